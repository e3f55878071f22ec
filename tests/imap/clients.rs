//! What mail programs send, word for word, and what each of them cannot do without. The rules behind it are in `man imapd`; here is one test for each program.

use crate::on_both_stores;
use crate::support::{Answer, Client, Form, Part, Response, Server};

const PLAIN: &[u8] =
    b"From: a@example.org\r\nTo: b@example.org\r\nSubject: plain\r\nMessage-ID: <1@x>\r\n\r\nfirst line\r\nsecond line\r\n";

const MIXED: &[u8] = b"From: a@example.org\r\nSubject: mixed\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n\
    --b\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=a.png\r\n\r\niVBORw0KGgo=\r\n--b--\r\n";

/// Cut off in the middle of its header.
const DAMAGED: &[u8] = b"Subject: =?utf-8?b?broken\r\nContent-Type: multipart/mixed; boundary=\"\r\nDate: never";

/// A session with three messages in INBOX, nothing selected.
fn with_mail(server: &Server) -> Client {
    let mut client = server.connect();
    for message in [PLAIN, MIXED, DAMAGED] {
        client.append("INBOX", "", message);
    }
    client
}

/// The same with INBOX selected.
fn in_inbox(server: &Server) -> Client {
    let mut client = with_mail(server);
    client.ok("SELECT INBOX");
    client
}

/// The numbers of the messages that were fetched.
fn fetched(answer: &Answer) -> Vec<u32> {
    answer.fetches().iter().map(|f| f.0).collect()
}

fn has_exists(answer: &Answer, number: u32) -> bool {
    answer.contains(&Response::Exists(number))
}

/// Sends lines in one packet; says the answer to each.
fn pipeline(client: &mut Client, commands: &[(&str, &str)]) -> Vec<Answer> {
    let lines: String = commands.iter().map(|(tag, command)| format!("{tag} {command}\r\n")).collect();
    for (tag, command) in commands {
        let name = command.split(' ').take(1 + usize::from(command.starts_with("UID "))).collect::<Vec<_>>().join(" ");
        client.expect_tag(tag, &name);
    }
    client.send_raw(lines.as_bytes());
    commands.iter().map(|(tag, _)| client.finish(tag)).collect()
}

on_both_stores! {
    fn apple_mail(server) {
        let mut client = with_mail(server);
        let answers = pipeline(&mut client, &[
            ("1.169", "ID (\"name\" \"Mac OS X Mail\" \"version\" \"16.0 (3826.400.131.1.6)\" \"os\" \"Mac OS X\" \"os-version\" \"15.3 (24D60)\" \"vendor\" \"Apple Inc.\")"),
            ("2.169", "LIST \"\" %"),
            ("3.169", "LSUB \"\" *"),
            ("4.169", "SELECT INBOX"),
            ("5.169", "CHECK"),
        ]);
        assert!(answers.iter().all(|a| a.condition == "OK"), "{answers:?}");
        assert_eq!(answers[1].names(), ["INBOX"]);
        let answer = client.ok("FETCH 1:* (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier list-id list-unsubscribe)])");
        assert_eq!(fetched(&answer), [1, 2, 3]);
        // The size is what BODY[] has, or the partial fetches never end.
        for number in 1..=3 {
            let size = client.ok(&format!("FETCH {number} RFC822.SIZE")).item(number, "RFC822.SIZE").unwrap().number();
            let whole = client.ok(&format!("UID FETCH {number} (BODY.PEEK[] BODYSTRUCTURE)"));
            let whole = whole.item(number, "BODY[]").unwrap().bytes().to_vec();
            assert_eq!(whole.len() as u64, size);
            let mut pieces = Vec::new();
            for offset in (0..size + 7).step_by(7) {
                let piece = client.ok(&format!("UID FETCH {number} BODY.PEEK[]<{offset}.7>"));
                pieces.extend_from_slice(piece.item(number, &format!("BODY[]<{offset}>")).unwrap().bytes());
            }
            assert_eq!(pieces, whole);
        }
        let answer = client.ok("FETCH 1 BODY.PEEK[TEXT]<0.5>");
        assert_eq!(answer.item(1, "BODY[TEXT]<0>").unwrap().bytes(), b"first");
    }

    fn ios_mail_sends_done_and_the_next_commands_in_one_packet(server) {
        let mut client = in_inbox(server);
        let idle = client.idle();
        client.expect_tag("a", "NOOP");
        client.expect_tag("b", "UID FETCH");
        client.send_raw(b"DONE\r\na NOOP\r\nb UID FETCH 1 (UID BODY.PEEK[1]<0.393216>)\r\n");
        assert_eq!(client.finish(&idle).condition, "OK");
        assert_eq!(client.finish("a").condition, "OK");
        let answer = client.finish("b");
        assert_eq!(answer.item(1, "BODY[1]<0>").unwrap().bytes(), b"first line\r\nsecond line\r\n");
    }

    fn ios_mail_knows_the_sent_mailbox_by_its_special_use(server) {
        let mut client = with_mail(server);
        client.ok("CREATE \"Sent Messages\"");
        client.ok("CREATE \"Deleted Messages\"");
        let answer = client.ok("LIST (SPECIAL-USE) \"\" *");
        assert!(answer.attributes("Sent Messages").unwrap().contains(&"\\Sent".into()), "{answer:?}");
        assert!(answer.attributes("Deleted Messages").unwrap().contains(&"\\Trash".into()), "{answer:?}");
    }

    fn thunderbird(server) {
        let mut client = with_mail(server);
        client.ok("ID (\"name\" \"Thunderbird\" \"version\" \"140.0\")");
        client.ok("NAMESPACE");
        client.ok("CREATE \"Entw&APw-rfe/\"");
        client.ok("SUBSCRIBE \"Entw&APw-rfe\"");
        client.ok("CREATE Trash");
        client.ok("SUBSCRIBE Trash");
        let answer = client.ok("LSUB \"\" \"*\"");
        assert!(answer.names().contains(&"Entw&APw-rfe"));
        assert!(answer.attributes("Trash").unwrap().contains(&"\\Trash".into()));
        client.ok("LIST (SUBSCRIBED) \"\" \"*\" RETURN (SPECIAL-USE)");
        client.ok("SELECT \"INBOX\"");
        assert_eq!(fetched(&client.ok("UID FETCH 1:* (FLAGS)")), [1, 2, 3]);
        assert_eq!(client.ok("UID STORE 1:2 +FLAGS ($label1 NonJunk $Forwarded)").fetches().len(), 2);
        // An item that is missing from the answer is asked for again, for ever.
        for uid in 1..=3 {
            for offset in [0, 65536] {
                let answer = client.ok(&format!("UID FETCH {uid} (UID RFC822.SIZE BODY.PEEK[]<{offset}.65536>)"));
                assert!(answer.item(uid, &format!("BODY[]<{offset}>")).is_some());
            }
        }
        assert_eq!(client.ok("UID SEARCH UNDELETED UNKEYWORD NonJunk").found(), [3]);
    }

    fn thunderbird_is_told_in_idle_of_what_came_during_its_fetch(server) {
        let (mut client, mut other) = (in_inbox(server), server.connect());
        other.append("INBOX", "", PLAIN);
        assert!(has_exists(&client.ok("UID FETCH 3:* (FLAGS)"), 4));
        let idle = client.send("IDLE");
        client.continuation();
        client.wait_for(|r| *r == Response::Exists(4));
        client.done(&idle);
        other.append("INBOX", "", PLAIN);
        assert!(has_exists(&client.ok("FETCH 4 FLAGS"), 5));
        assert!(!has_exists(&client.ok("UID FETCH 5 FLAGS"), 5));
        assert!(has_exists(&client.ok("NOOP"), 5));
        assert!(!has_exists(&client.ok("NOOP"), 5));
    }

    fn outlook_learns_special_uses_from_xlist_and_lsub(server) {
        let mut client = with_mail(server);
        for name in ["\"Sent Items\"", "Drafts", "\"Deleted Items\"", "\"Junk E-mail\""] {
            client.ok(&format!("CREATE {name}"));
            client.ok(&format!("SUBSCRIBE {name}"));
        }
        client.ok("CREATE top/below");
        client.ok("DELETE top");
        client.ok("SUBSCRIBE top");
        for command in ["XLIST \"\" \"*\"", "LSUB \"\" \"*\""] {
            let answer = client.ok(command);
            for (name, attribute) in
                [("Sent Items", "\\Sent"), ("Drafts", "\\Drafts"), ("Deleted Items", "\\Trash"), ("Junk E-mail", "\\Junk")]
            {
                assert!(answer.attributes(name).unwrap().contains(&attribute.into()), "{command}: {answer:?}");
            }
        }
        assert!(client.ok("XLIST \"\" %").attributes("INBOX").unwrap().contains(&"\\Inbox".into()));
    }

    fn office_365_wants_the_tag_of_esearch_as_a_string(server) {
        let mut client = in_inbox(server);
        client.ok("ID (\"name\" \"Microsoft Office 365\")");
        // What is not offered is not turned on, and the session goes on without it.
        assert!(client.ok("ENABLE UIDONLY").contains(&Response::Enabled(vec![])));
        assert_eq!(fetched(&client.ok("FETCH 1:3 (UID FLAGS)")), [1, 2, 3]);
        client.expect_tag("A12", "UID SEARCH");
        client.send_raw(b"A12 UID SEARCH RETURN (ALL) ALL\r\n");
        assert_eq!(client.expect_line(), "* ESEARCH (TAG \"A12\") UID ALL 1:3");
        assert_eq!(client.finish("A12").condition, "OK");
    }

    fn k9_mail(server) {
        let mut client = server.connect_before_login();
        let Response::Condition { code: Some(code), .. } = client.greeting() else { panic!("no capabilities") };
        assert!(code.name == "CAPABILITY" && code.arguments.split(' ').any(|c| c == "SASL-IR"));
        let login = client.ok("AUTHENTICATE PLAIN AHRlc3QAdGVzdA==");
        let offered = login.code("CAPABILITY").unwrap();
        for wanted in ["IDLE", "NAMESPACE", "ENABLE", "ID", "SPECIAL-USE", "LIST-EXTENDED", "MOVE", "UIDPLUS"] {
            assert!(offered.split(' ').any(|c| c == wanted), "{wanted} in {offered}");
        }
        client.ok("ID (\"name\" \"Thunderbird for Android\" \"version\" \"8.0\")");
        client.ok("ENABLE UTF8=ACCEPT");
        client.ok("NAMESPACE");
        client.append("INBOX", "", PLAIN);
        client.ok("CREATE Sent");
        assert!(client.ok("LIST \"\" \"*\" RETURN (SPECIAL-USE)").attributes("Sent").unwrap().contains(&"\\Sent".into()));
        client.ok("LSUB \"\" \"*\"");
        client.ok("SELECT \"INBOX\"");
        assert_eq!(client.ok("UID SEARCH *:*").found(), [1]);
        assert_eq!(client.ok("SEARCH 1:* NOT DELETED").found(), [1]);
        assert_eq!(client.ok("UID SEARCH 1:1 NOT DELETED").found(), [1]);
        client.ok("UID FETCH 1 (UID FLAGS)");
        client.ok("UID FETCH 1 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe X-K9mail-Identity)])");
        client.ok("UID FETCH 1 (UID BODYSTRUCTURE)");
        let uids: Vec<String> = (1..=100).map(|n| (n * 40_000_000u64 + 1).to_string()).collect();
        client.ok(&format!("UID FETCH {} (UID FLAGS)", uids.join(",")));
        // Push is switched off for good unless IDLE gets its continuation.
        let idle = client.idle();
        client.done(&idle);
    }

    fn fairemail(server) {
        let mut client = with_mail(server);
        client.ok("ID (\"name\" \"FairEmail\" \"version\" \"1.2290\")");
        let answer = client.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)");
        assert_eq!(answer.status("INBOX", "MESSAGES"), Some(3));
        assert!(!client.ok("CAPABILITY").iter().any(|r| matches!(r, Response::Capability(c) if c.contains(&"NOTIFY".into()))));
        client.bad("NOTIFY SET STATUS (selected (MessageNew MessageExpunge FlagChange))");
        client.ok("SELECT INBOX");
        let answer = client.append("INBOX", " (\\Seen \\Draft)", PLAIN);
        assert!(answer.code("APPENDUID").unwrap().ends_with(" 4"));
        client.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)");
        assert_eq!(client.ok("UID EXPUNGE 4").expunged(), [4]);
    }

    fn mutt(server) {
        let mut client = with_mail(server);
        client.ok("CAPABILITY");
        client.ok("ENABLE UTF8=ACCEPT");
        let root = client.ok("LIST \"\" \"\"");
        assert!(matches!(&root[0], Response::List { delimiter: Some('/'), name, .. } if name.is_empty()));
        client.ok("LSUB \"\" \"%\"");
        let answer = client.ok("STATUS \"INBOX\" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES)");
        let validity = answer.status("INBOX", "UIDVALIDITY").unwrap();
        assert!(validity > 0 && validity <= u32::MAX.into());
        let answers = pipeline(&mut client, &[
            ("a0004", "SELECT \"INBOX\""),
            ("a0005", "FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST LIST-SUBSCRIBE LIST-UNSUBSCRIBE X-LABEL X-ORIGINAL-TO)])"),
            ("a0006", "UID STORE 1 +FLAGS.SILENT (\\Deleted)"),
            ("a0007", "EXPUNGE"),
            ("a0008", "UID FETCH 2 BODY.PEEK[]"),
            ("a0009", "CLOSE"),
        ]);
        assert!(answers.iter().all(|a| a.condition == "OK"), "{answers:?}");
        assert_eq!(fetched(&answers[1]), [1, 2, 3]);
        assert_eq!(answers[3].expunged(), [1]);
        assert_eq!(answers[4].item(1, "BODY[]").unwrap().bytes(), MIXED);
    }

    fn mbsync(server) {
        let mut client = with_mail(server);
        client.ok("NAMESPACE");
        client.ok("LIST \"\" \"*\"");
        client.ok("SELECT \"INBOX\"");
        assert_eq!(client.ok("UID FETCH * (UID)").item(3, "UID").unwrap().number(), 3);
        client.ok("UID FETCH 1:3 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-TUID)] BODY.PEEK[HEADER.FIELDS (Message-Id)])");
        let answer = client.command_with_literals(&[
            Part::Text("APPEND \"INBOX\" (\\Seen) \"02-Jan-2026 03:04:05 +0100\" "),
            Part::NonSync(b"X-TUID: abcdefghijkl\r\n\r\nx\r\n"),
        ]);
        assert_eq!(answer.code_name(), "APPENDUID");
        assert_eq!(client.ok("UID SEARCH HEADER X-TUID abcdefghijkl").found(), [4]);
        client.ok("CHECK");
        client.ok("UID STORE 4 +FLAGS (\\Deleted)");
        client.ok("CLOSE");
        client.ok("SELECT \"INBOX\"");
        assert_eq!(client.ok("UID FETCH * (UID)").item(3, "UID").unwrap().number(), 3);
    }

    fn mbsync_in_an_empty_mailbox(server) {
        let mut client = server.connect();
        client.ok("SELECT INBOX");
        for command in ["UID FETCH * (UID)", "UID FETCH 1:* (UID FLAGS)", "UID STORE 1:* +FLAGS (\\Seen)", "UID EXPUNGE 1:*"] {
            assert!(client.ok(command).is_empty(), "{command}");
        }
        assert_eq!(client.ok("UID SEARCH *:*").found(), [0; 0]);
        assert_eq!(client.ok("SEARCH 1:*").found(), [0; 0]);
        // RFC 9051 section 9, seq-number: `*` of an empty mailbox too. It does not count among what ends a session.
        for _ in 0..50 {
            client.bad("FETCH 1:* FLAGS");
        }
    }

    fn offlineimap(server) {
        let mut client = with_mail(server);
        client.ok("ID (\"name\" \"OfflineIMAP\" \"version\" \"8.0.0\")");
        assert!(matches!(&client.ok("LIST \"\" \"\"")[0], Response::List { delimiter: Some('/'), .. }));
        client.ok("EXAMINE INBOX");
        let answer = client.ok("FETCH 1:3 (FLAGS UID INTERNALDATE)");
        assert!((1..=3).all(|n| answer.item(n, "INTERNALDATE").is_some() && answer.item(n, "UID").is_some()));
        client.ok("SELECT INBOX");
        client.ok("UID FETCH 1 (BODY.PEEK[])");
        client.ok("UID STORE 1 +FLAGS (\\Seen)");
        let idle = client.idle();
        client.done(&idle);
        client.ok("NOOP");
    }

    fn the_gmail_app_wants_every_field_of_bodystructure(server) {
        let mut client = in_inbox(server);
        client.expect_tag("A", "UID FETCH");
        client.send_raw(b"A UID FETCH 2 (BODYSTRUCTURE)\r\n");
        assert_eq!(
            client.expect_line(),
            "* 2 FETCH (UID 2 BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 4 0 NIL NIL NIL NIL)\
             (\"image\" \"png\" (\"name\" \"a.png\") NIL NIL \"base64\" 12 NIL (\"attachment\" (\"filename\" \"a.png\")) NIL NIL) \
             \"mixed\" (\"boundary\" \"b\") NIL NIL NIL))"
        );
        client.finish("A");
    }

    fn imapflow_turns_on_rev2_unasked_and_reads_esearch(server) {
        let mut client = in_inbox(server);
        assert!(client.ok("ENABLE CONDSTORE IMAP4REV2").contains(&Response::Enabled(vec!["IMAP4rev2".into(), "CONDSTORE".into()])));
        client.expect_tag("8", "UID SEARCH");
        client.send_raw(b"8 UID SEARCH ALL\r\n");
        assert_eq!(client.expect_line(), "* ESEARCH (TAG \"8\") UID ALL 1:3");
        client.finish("8");
    }

    fn mailkit_and_go_imap_ask_for_all(server) {
        let mut client = in_inbox(server);
        for options in ["()", "(ALL)", "(all)"] {
            let answer = client.ok(&format!("UID SEARCH RETURN {options} ALL"));
            assert!(matches!(answer[0], Response::Esearch { uid: true, .. }), "{answer:?}");
            assert_eq!(answer.found(), [1, 2, 3], "{options}");
        }
    }

    fn what_others_do_is_told_in_rev2_as_rev2_has_it(server) {
        let (mut client, mut other) = (server.connect(), with_mail(server));
        client.ok("ENABLE IMAP4rev2");
        client.ok("SELECT INBOX");
        other.ok("SELECT INBOX");
        other.ok("STORE 1 +FLAGS (\\Seen kept)");
        other.append("INBOX", "", PLAIN);
        let answer = client.ok("NOOP");
        assert_eq!(answer.item(1, "UID").unwrap().number(), 1);
        assert!(has_exists(&answer, 4));
        let idle = client.idle();
        other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
        client.wait_for(|r| matches!(r, Response::Fetch { number: 2, .. }));
        other.ok("EXPUNGE");
        client.wait_for(|r| *r == Response::Expunge(2));
        other.append("INBOX", "", PLAIN);
        client.wait_for(|r| *r == Response::Exists(4));
        client.done(&idle);
        assert_eq!(client.ok("STORE 1:4 +FLAGS (\\Answered)").fetches().len(), 4);
        client.ok("UID STORE 1 -FLAGS.SILENT (\\Seen)");
        client.ok("FETCH 1 BODY[]");
        client.ok("UNSELECT");
    }

    fn without_enable_a_search_is_answered_as_in_rev1(server) {
        let mut client = in_inbox(server);
        assert!(matches!(client.ok("SEARCH ALL")[0], Response::Search { .. }));
        assert!(client.ok("SELECT INBOX").iter().any(|r| matches!(r, Response::Recent(_))));
    }

    fn every_item_is_answered_for_a_damaged_message_too(server) {
        let mut client = in_inbox(server);
        let items = [
            "FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.HEADER", "RFC822.TEXT",
            "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", "BODY.PEEK[7.7]", "BODY.PEEK[7.HEADER]",
            "BODY.PEEK[HEADER.FIELDS (X)]", "BODY.PEEK[]<99.1>", "BINARY.PEEK[1]", "BINARY.PEEK[7]", "BINARY.SIZE[1]", "BINARY.SIZE[7]",
        ];
        let answer = client.ok(&format!("FETCH 1:3 ({})", items.join(" ")));
        for number in 1..=3 {
            for item in items {
                let name = item.replace(".PEEK", "").replace("<99.1>", "<99>");
                assert!(answer.item(number, &name).is_some(), "{name} of {number}");
            }
        }
    }

    fn what_clients_write_otherwise_than_the_grammar(server) {
        let mut client = in_inbox(server);
        client.send_raw(b"\r\n\r\n");
        for command in [
            "fetch 1 flags",
            "Uid Fetch 1:* rfc822.size",
            "fetch 1 body.peek[header.fields (subject)]",
            "uid search return (min max) undeleted",
            "search charset utf-8 text \"a\"",
            "search subject \"\u{e4}\"",
            "store 1 +flags.silent \\seen",
            "list \"\" \"*\" return (children)",
            "status inbox (messages)",
            "create a/",
            "examine inbox",
        ] {
            client.ok(command);
        }
    }

    fn a_set_of_sixty_four_kilobytes_is_taken(server) {
        let mut client = in_inbox(server);
        let mut set = String::from("1");
        for n in 0.. {
            let next = format!(",{}", 1_000_000 + 2 * n);
            if set.len() + next.len() > 65_000 {
                break;
            }
            set += &next;
        }
        assert_eq!(fetched(&client.ok(&format!("UID FETCH {set} (FLAGS)"))), [1]);
        assert_eq!(client.ok(&format!("UID SEARCH UID {set}")).found(), [1]);
    }

    fn messages_that_are_gone_are_moved_and_copied_with_ok(server) {
        let mut client = in_inbox(server);
        client.ok("CREATE x");
        for command in ["UID MOVE 77 x", "UID COPY 77:99 x"] {
            let answer = client.ok(command);
            assert!(answer.is_empty() && answer.code.is_none(), "{answer:?}");
        }
        assert!(client.ok("UID MOVE 1,77 x").code("COPYUID").unwrap().ends_with(" 1 1"));
    }

    fn pipelined_commands_keep_their_order_and_their_numbers(server) {
        let mut client = in_inbox(server);
        let answers = pipeline(&mut client, &[
            ("a", "STORE 1 +FLAGS (\\Deleted)"),
            ("b", "EXPUNGE"),
            ("c", "FETCH 1 (UID)"),
            ("d", "STORE 1:2 +FLAGS (\\Seen)"),
            ("e", "SEARCH ALL"),
            ("f", "UNSELECT"),
            ("g", "FETCH 1 (UID)"),
        ]);
        assert_eq!(answers[1].expunged(), [1]);
        assert_eq!(answers[2].item(1, "UID").unwrap().number(), 2);
        assert_eq!(answers[4].found(), [1, 2]);
        assert_eq!(answers[6].condition, "BAD");
    }

    fn hundreds_of_commands_in_one_packet_are_answered_in_order(server) {
        let mut client = in_inbox(server);
        let tags: Vec<String> = (0..500).map(|n| format!("p{n}")).collect();
        let commands: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.as_str(), "UID FETCH 1:* (FLAGS)")).collect();
        assert!(pipeline(&mut client, &commands).iter().all(|a| fetched(a) == [1, 2, 3]));
    }

    fn special_uses_are_found_by_attribute_and_by_common_names(server) {
        let mut client = with_mail(server);
        client.ok("CREATE Gesendet (USE (\\Sent))");
        for name in ["Sent", "Trash", "Drafts", "Junk", "Archives"] {
            client.ok(&format!("CREATE {name}"));
        }
        let answer = client.ok("LIST \"\" * RETURN (SPECIAL-USE)");
        let special = |name, attribute: &str| answer.attributes(name).unwrap().contains(&attribute.into());
        assert!(special("Gesendet", "\\Sent") && !special("Sent", "\\Sent"), "{answer:?}");
        assert!(special("Trash", "\\Trash") && special("Drafts", "\\Drafts"), "{answer:?}");
        assert!(special("Junk", "\\Junk") && special("Archives", "\\Archive"), "{answer:?}");
    }
}

on_both_stores! {
    fn neomutt_with_qresync_catches_up_with_one_uid_fetch(server) {
        let mut client = with_mail(server);
        client.ok("ENABLE QRESYNC");
        let highest = client.ok("SELECT \"INBOX\"").highest_modseq();
        client.ok("UID FETCH 1:3 (UID FLAGS)");
        client.ok("CLOSE");
        let mut other = server.connect();
        other.ok("SELECT INBOX");
        other.ok("STORE 1 +FLAGS (\\Seen)");
        other.ok("STORE 2 +FLAGS (\\Deleted)");
        other.ok("EXPUNGE");
        client.ok("SELECT \"INBOX\"");
        let answer = client.ok(&format!("UID FETCH 1:3 (FLAGS) (CHANGEDSINCE {highest} VANISHED)"));
        assert_eq!((answer.vanished(Form::Earlier), fetched(&answer)), (vec![2], vec![1]));
    }

    fn fairemail_sees_by_status_whether_anything_changed(server) {
        let mut client = with_mail(server);
        let mut highest = || client.ok("STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)").status("INBOX", "HIGHESTMODSEQ");
        let before = highest();
        assert_eq!(highest(), before);
        let mut other = server.connect();
        other.ok("SELECT INBOX");
        for command in ["STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
            let before = highest();
            other.ok(command);
            assert!(highest() > before, "{command}");
        }
    }

    fn ios_mail_asks_for_all_changes_since_zero(server) {
        let mut client = in_inbox(server);
        let answer = client.ok("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 0)");
        assert_eq!(fetched(&answer), [1, 2, 3]);
    }
}

#[test]
fn a_capability_that_a_client_cannot_live_with_is_withheld() {
    let server = Server::memory().withholding(&["IMAP4rev2", "MOVE"]);
    let mut client = server.connect_before_login();
    let Response::Condition { code: Some(greeting), .. } = client.greeting() else { panic!("no capabilities") };
    let login = client.ok("LOGIN test test");
    for offered in [&greeting.arguments[..], login.code("CAPABILITY").unwrap()] {
        assert!(offered.split(' ').any(|c| c == "IMAP4rev1"), "{offered}");
        assert!(!offered.split(' ').any(|c| c == "IMAP4rev2" || c == "MOVE"), "{offered}");
    }
    assert!(client.ok("ENABLE IMAP4rev2").contains(&Response::Enabled(vec![])));
    client.ok("SELECT INBOX");
    assert!(matches!(client.ok("SEARCH ALL")[0], Response::Search { .. }));
    client.ok("UID MOVE 1 x");
}
