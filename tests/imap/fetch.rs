//! FETCH: its items, \Seen, sets, messages that are gone, large messages.

use crate::on_both_stores;
use crate::support::{Answer, Client, Server, Value};
use imapd::testing::storage::Access;
use imapd::testing::types::{MailboxName, UidSet};

const SIMPLE: &[u8] = b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@Blurdybloop.example>\r\n\
Subject: afternoon meeting\r\nTo: mooch@owatagu.example\r\nMessage-Id: <B27397-0100000@Blurdybloop.example>\r\n\
MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nHello Joe, do you think we can meet at 3:30 tomorrow?\r\n";

/// Messages in INBOX, selected.
fn filled(server: &Server, messages: &[&[u8]]) -> Client {
    let mut client = server.connect();
    for message in messages {
        client.append("INBOX", "", message);
    }
    client.ok("SELECT INBOX");
    client
}

fn flags(answer: &Answer, number: u32) -> Vec<String> {
    let value = answer.item(number, "FLAGS").unwrap_or_else(|| panic!("no FLAGS: {answer:?}"));
    value.list().iter().map(Value::text).collect()
}

on_both_stores! {
    fn every_item_is_answered(server) {
        let mut client = server.connect();
        client.append("INBOX", " (\\Flagged) \"17-Jul-1996 02:44:25 -0700\"", SIMPLE);
        client.ok("SELECT INBOX");
        let answer = client.ok("FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] \
            BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.5> BINARY.PEEK[1] BINARY.SIZE[1] RFC822 RFC822.HEADER RFC822.TEXT)");
        assert_eq!(answer.fetches().len(), 1);
        // A file's time has no zone, so a Maildir shows the same moment in UTC.
        let date = answer.item(1, "INTERNALDATE").unwrap().text();
        assert!(["17-Jul-1996 02:44:25 -0700", "17-Jul-1996 09:44:25 +0000"].contains(&date.as_str()), "{date}");
        assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), SIMPLE.len() as u64);
        assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), SIMPLE);
        assert_eq!(answer.item(1, "RFC822").unwrap().bytes(), SIMPLE);
        let header = answer.item(1, "BODY[HEADER]").unwrap().bytes();
        let text = answer.item(1, "RFC822.TEXT").unwrap().bytes();
        assert_eq!([header, text].concat(), SIMPLE);
        assert_eq!(answer.item(1, "RFC822.HEADER").unwrap().bytes(), header);
        assert_eq!(answer.item(1, "BODY[TEXT]<0>").unwrap().bytes(), b"Hello");
        assert_eq!(answer.item(1, "BINARY[1]").unwrap().bytes(), text);
        assert_eq!(answer.item(1, "BINARY.SIZE[1]").unwrap().number(), text.len() as u64);
        assert_eq!(answer.item(1, "UID").unwrap().number(), 1);
        assert_eq!(
            format!("{:?}", answer.item(1, "ENVELOPE").unwrap()),
            "(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" \"afternoon meeting\" \
             ((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\"))\
             ((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\"))\
             ((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\"))\
             ((NIL NIL \"mooch\" \"owatagu.example\")) NIL NIL NIL \"<B27397-0100000@Blurdybloop.example>\")"
        );
        assert_eq!(
            format!("{:?}", answer.item(1, "BODY").unwrap()),
            format!("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" {} 1)", text.len())
        );
    }

    fn macros_stand_for_their_items(server) {
        let mut client = filled(server, &[SIMPLE]);
        for (name, items) in [
            ("FAST", &["FLAGS", "INTERNALDATE", "RFC822.SIZE"][..]),
            ("ALL", &["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
            ("full", &["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]),
        ] {
            let answer = client.ok(&format!("FETCH 1 {name}"));
            let told: Vec<_> = answer.fetches()[0].1.iter().map(|item| item.0.clone()).collect();
            assert_eq!(told, items, "{name}");
        }
    }

    fn recent_is_shown_to_rev1_only(server) {
        let mut client = filled(server, &[SIMPLE]);
        assert!(flags(&client.ok("FETCH 1 FLAGS"), 1).contains(&"\\Recent".into()));
        client.ok("ENABLE IMAP4rev2");
        assert!(flags(&client.ok("FETCH 1 FLAGS"), 1).is_empty());
    }

    fn uid_fetch_tells_the_uid_unasked(server) {
        let mut client = filled(server, &[SIMPLE, SIMPLE]);
        let answer = client.ok("UID FETCH 2:* FLAGS");
        assert_eq!(answer.fetches().len(), 1);
        assert_eq!(answer.item(2, "UID").unwrap().number(), 2);
        assert!(client.ok("FETCH 2 FLAGS").item(2, "UID").is_none());
        // `*` is the last message, whichever way round the range is written.
        assert_eq!(client.ok("UID FETCH 900:* UID").fetches().len(), 1);
        assert_eq!(client.ok("UID FETCH 900:901 UID").fetches().len(), 0);
    }

    fn reading_a_body_sets_seen_and_tells_so_once(server) {
        let mut client = filled(server, &[SIMPLE, SIMPLE, SIMPLE]);
        let answer = client.ok("FETCH 1:2 BODY[TEXT]");
        for number in [1, 2] {
            assert!(flags(&answer, number).contains(&"\\Seen".into()));
            assert_eq!(answer.fetches().iter().filter(|f| f.0 == number).count(), 1);
        }
        assert!(client.ok("FETCH 1 BODY[]").item(1, "FLAGS").is_none());
        for peek in ["BODY.PEEK[]", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "RFC822.HEADER", "BODY", "ENVELOPE"] {
            assert!(client.ok(&format!("FETCH 3 {peek}")).item(3, "FLAGS").is_none(), "{peek}");
            assert!(!flags(&client.ok("FETCH 3 FLAGS"), 3).contains(&"\\Seen".into()), "{peek}");
        }
        assert!(flags(&client.ok("FETCH 3 (FLAGS RFC822.TEXT)"), 3).contains(&"\\Seen".into()));
        let mut other = server.connect();
        assert_eq!(other.ok("STATUS INBOX (UNSEEN)").status("INBOX", "UNSEEN"), Some(0));
    }

    fn each_item_that_reads_sets_seen(server) {
        for item in ["BODY[HEADER]", "BODY[]<0.1>", "BODY[9]", "BINARY[1]", "RFC822", "RFC822.TEXT"] {
            let mut client = server.connect();
            client.append("INBOX", "", SIMPLE);
            client.ok("SELECT INBOX");
            let answer = client.ok(&format!("UID FETCH * {item}"));
            let number = answer.fetches()[0].0;
            assert!(flags(&answer, number).contains(&"\\Seen".into()), "{item}");
        }
    }

    fn more_messages_than_are_marked_at_once_are_all_marked(server) {
        let messages = vec![SIMPLE; 150];
        let mut client = filled(server, &messages);
        let answer = client.ok("FETCH 1:* BODY[HEADER.FIELDS (SUBJECT)]");
        assert_eq!(answer.fetches().len(), 150);
        assert_eq!(client.ok("SEARCH UNSEEN").found(), Vec::<u32>::new());
    }

    fn examine_never_sets_seen(server) {
        let mut client = filled(server, &[SIMPLE]);
        client.ok("EXAMINE INBOX");
        assert!(client.ok("FETCH 1 BODY[]").item(1, "FLAGS").is_none());
        assert!(!flags(&client.ok("FETCH 1 FLAGS"), 1).contains(&"\\Seen".into()));
    }

    fn a_set_however_written_answers_each_message_once(server) {
        let mut client = filled(server, &[SIMPLE, SIMPLE, SIMPLE]);
        for set in ["1:3", "3:1", "1,2,3,3,2,1", "*:1", "1:*,1:*,1:*,2"] {
            let answer = client.ok(&format!("FETCH {set} UID"));
            assert_eq!(answer.fetches().iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2, 3], "{set}");
        }
        let many = format!("UID FETCH {}1 UID", "1:*,".repeat(10_000));
        assert_eq!(client.ok(&many).fetches().len(), 3);
        assert_eq!(client.ok("UID FETCH 1:4294967295 UID").fetches().len(), 3);
        for wrong in ["0", "4294967296", "1:0", "1,,2", "1:", ""] {
            client.bad(&format!("FETCH {wrong} UID"));
        }
        client.bad("FETCH 4 UID");
        client.bad("FETCH 1:4294967295 UID");
    }

    fn a_saved_result_is_a_set(server) {
        let mut client = filled(server, &[SIMPLE, b"Subject: other\r\n\r\n", SIMPLE]);
        client.ok("SEARCH RETURN (SAVE) SUBJECT afternoon");
        assert_eq!(client.ok("FETCH $ UID").fetches().iter().map(|f| f.0).collect::<Vec<_>>(), [1, 3]);
        client.ok("SEARCH RETURN (SAVE) SUBJECT absent");
        assert_eq!(client.ok("UID FETCH $ FLAGS").fetches().len(), 0);
    }

    fn messages_that_another_session_expunged_are_named_by_the_tagged_answer(server) {
        let mut client = filled(server, &[SIMPLE, SIMPLE, SIMPLE]);
        let mut store = server.store();
        let mut mailbox = store.open(&MailboxName::parse("INBOX").unwrap(), Access::ReadWrite).unwrap();
        let second: UidSet = mailbox.uids().iter().nth(1).into_iter().collect();
        mailbox.expunge(&second).unwrap();
        let answer = client.no("FETCH 1:3 (UID BODY.PEEK[])");
        assert_eq!(answer.code_name(), "EXPUNGEISSUED");
        assert_eq!(answer.fetches().iter().map(|f| f.0).collect::<Vec<_>>(), [1, 3]);
        // A UID that is gone is as one that never was; its EXPUNGE comes with this answer, at its end.
        let answer = client.ok("UID FETCH 1:3 BODY.PEEK[]");
        assert_eq!(answer.fetches().iter().map(|f| f.1[0].1.number()).collect::<Vec<_>>(), [1, 3]);
        client.ok("NOOP");
        assert_eq!(client.ok("FETCH 1:2 BODY.PEEK[]").fetches().len(), 2);
    }

    fn what_is_damaged_is_answered_in_full(server) {
        let odd: &[&[u8]] = &[
            b"\r\n",
            b"\r\n\r\n",
            b"Subject: no body",
            b"Subject: no body\r\n",
            b"no header at all\r\n",
            b"\rlone\rreturns\r",
            b"Subject: a\r\rb\r\n\r\n\r\r\n\r",
            b": no name\r\nContent-Type: \r\nDate: \r\nFrom: \r\n\r\nx",
            b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nno end",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
            b"Content-Type: message/rfc822\r\n\r\n",
            b"From: \"((((\\\" <@@@>, group: a, b\r\nTo: =?x?y?z?=\r\nSubject: \x80\xff\r\n\r\n\xff",
        ];
        let mut client = filled(server, odd);
        let items = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] \
            BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)] BINARY.PEEK[1] BINARY.SIZE[1]";
        let answer = client.ok(&format!("FETCH 1:* ({items})"));
        for (number, message) in (1..).zip(odd) {
            let told = answer.fetches().iter().find(|f| f.0 == number).map(|f| f.1.len());
            assert_eq!(told, Some(15), "{:?}", String::from_utf8_lossy(message));
            assert_eq!(answer.item(number, "BODY[]").unwrap().bytes(), *message);
            assert_eq!(answer.item(number, "RFC822.SIZE").unwrap().number(), message.len() as u64);
            let whole =
                [answer.item(number, "BODY[HEADER]").unwrap().bytes(), answer.item(number, "BODY[TEXT]").unwrap().bytes()];
            assert_eq!(whole.concat(), *message);
        }
    }

    fn a_header_cannot_break_out_of_its_response(server) {
        // The strict client refuses a response that is split; here only what must not be lost is looked at.
        let message = b"Subject: =?utf-8?q?a=0D=0A*_BYE?= \"quoted\\\" \x01\xe4\r\nFrom: \"a\\\"\\\r\n b\" <x\"y@z>\r\n\
            Content-Type: text/plain; name=\"a\\\"b\r\n\tc\xff\"; x=\"{5}\r\n\"\r\nContent-Description: ){3}\r\n\r\nx\r\n";
        let mut client = filled(server, &[message]);
        let answer = client.ok("FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)");
        assert_eq!(answer.fetches()[0].1.len(), 3);
        assert!(answer.item(1, "ENVELOPE").unwrap().list()[1].bytes().ends_with(b"\xe4"));
    }

    fn a_large_message_in_pieces_is_the_whole(server) {
        let line = b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n";
        let message = [&b"Subject: large\r\n\r\n"[..], &line.repeat(60_000)].concat();
        let mut client = filled(server, &[&message]);
        let answer = client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
        assert!(answer.item(1, "BODY[]").unwrap().bytes() == message);
        assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), message.len() as u64);
        for size in [65_536, 393_216, 1_000_001] {
            let mut pieces = Vec::new();
            while pieces.len() < message.len() {
                let origin = pieces.len();
                let answer = client.ok(&format!("UID FETCH 1 (BODY.PEEK[]<{origin}.{size}>)"));
                let piece = answer.item(1, &format!("BODY[]<{origin}>")).unwrap().bytes().to_vec();
                assert_eq!(piece.len(), size.min(message.len() - origin));
                pieces.extend(piece);
            }
            assert!(pieces == message, "{size}");
        }
    }

    fn fetch_needs_a_selected_mailbox(server) {
        let mut client = server.connect();
        client.bad("FETCH 1 UID");
        client.ok("SELECT INBOX");
        client.bad("FETCH 1 UID");
        assert_eq!(client.ok("UID FETCH 1:* UID").fetches().len(), 0);
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let server = Server::maildir();
    let message = [&b"Subject: large\r\n\r\n"[..], &b"0123456789\r\n".repeat(2_000_000)].concat();
    let mut client = filled(&server, &[&message]);
    client.send("FETCH 1 BODY.PEEK[]");
    assert_eq!(client.expect_line(), format!("* 1 FETCH (BODY[] {{{}}}", message.len()));
    // The session now waits for us to read what no socket can hold.
    let mut files = Vec::new();
    for folder in ["cur", "new"] {
        files.extend(std::fs::read_dir(server.root().unwrap().join(folder)).unwrap().map(|f| f.unwrap().path()));
    }
    assert_eq!(files.len(), 1);
    std::fs::OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(1000).unwrap();
    let mut received = 0;
    while let Some(line) = client.line_or_end() {
        assert!(line.starts_with("01234") || line.starts_with("Subject") || line.is_empty(), "{line:?}");
        received += line.len() + 2;
    }
    assert!(received < message.len(), "the literal was filled up");
}
