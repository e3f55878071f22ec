//! SEARCH: every key, both forms of answer, `$`, texts in any encoding.

use crate::on_both_stores;
use crate::support::{Answer, Client, Part, Response, Server};
use imapd::testing::storage::Access;
use imapd::testing::types::{MailboxName, UidSet};

/// Flags and date as APPEND takes them, and the message.
const MAIL: &[(&str, &[u8])] = &[
    (
        " (\\Seen) \"01-Jan-2020 12:00:00 +0000\"",
        b"Date: Fri, 3 Jan 2020 23:59:00 -1200\r\nFrom: Alice Smith <alice@example.org>\r\nTo: bob@example.org\r\n\
          Subject: Plain words\r\nMessage-ID: <1@x>\r\n\r\nThe quick brown fox.\r\n",
    ),
    (
        " (\\Answered \\Flagged) \"15-Mar-2021 12:00:00 +0000\"",
        b"Date: 15 Mar 2021 12:00:00 +0000\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nCc: carol@example.org\r\n\
          Subject: =?iso-8859-1?q?Gr=FC=DFe?= aus =?utf-8?b?TcO8bmNoZW4=?=\r\nMIME-Version: 1.0\r\n\
          Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Stra=\r\n=DFe\r\n",
    ),
    (
        " (\\Deleted \\Draft $Junk custom) \"31-Dec-2021 12:00:00 +0000\"",
        b"Subject: third\r\nBcc: \"Dave, D.\" <dave@example.org>\r\nMIME-Version: 1.0\r\n\
          Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
          Content-Transfer-Encoding: base64\r\n\r\nPGI+0JzQvtGB0LrQstCwPC9iPg==\r\n\
          --b\r\nContent-Type: application/octet-stream; name=hidden.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n\
          --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: forwarded one\r\n\r\ninner words\r\n--b--\r\n",
    ),
    (" \"15-Mar-2021 12:00:00 +0000\"", b"Subject: empty\r\nX-Empty:\r\nDate: nonsense\r\n\r\n"),
];

fn filled(server: &Server) -> Client {
    let mut client = server.connect();
    for (arguments, message) in MAIL {
        client.append("INBOX", arguments, message);
    }
    client.ok("SELECT INBOX");
    client
}

fn found(client: &mut Client, keys: &str) -> Vec<u32> {
    client.ok(&format!("SEARCH {keys}")).found()
}

fn with_text(client: &mut Client, before: &str, text: &str) -> Answer {
    client.command_with_literals(&[Part::Text(before), Part::NonSync(text.as_bytes())])
}

/// The items of the one ESEARCH, and whether it has the UID mark.
fn esearch(answer: &Answer) -> (Vec<(String, String)>, bool) {
    let all: Vec<_> = answer
        .iter()
        .filter_map(|r| match r {
            Response::Esearch { uid, items, .. } => {
                Some((items.iter().map(|(name, value)| (name.clone(), value.text())).collect(), *uid))
            }
            _ => None,
        })
        .collect();
    assert_eq!(all.len(), 1, "{answer:?}");
    all.into_iter().next().unwrap()
}

fn items(answer: &Answer) -> String {
    let items: Vec<_> = esearch(answer).0.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
    items.join(" ")
}

const NONE: &[u32] = &[];

on_both_stores! {
    fn every_key_finds_what_it_says(server) {
        let mut client = filled(server);
        for (keys, wanted) in [
            ("ALL", &[1, 2, 3, 4][..]),
            ("SEEN", &[1]),
            ("UNSEEN", &[2, 3, 4]),
            ("ANSWERED", &[2]),
            ("UNANSWERED", &[1, 3, 4]),
            ("FLAGGED", &[2]),
            ("UNFLAGGED", &[1, 3, 4]),
            ("DELETED", &[3]),
            ("UNDELETED", &[1, 2, 4]),
            ("DRAFT", &[3]),
            ("UNDRAFT", &[1, 2, 4]),
            ("KEYWORD $junk", &[3]),
            ("KEYWORD absent", NONE),
            ("UNKEYWORD CUSTOM", &[1, 2, 4]),
            ("ON 1-Jan-2020", &[1]),
            ("BEFORE 1-Jan-2020", NONE),
            ("SINCE 31-Dec-2021", &[3]),
            ("ON 31-Dec-2021", &[3]),
            ("BEFORE 15-Mar-2021", &[1]),
            ("SINCE 15-Mar-2021", &[2, 3, 4]),
            ("SENTON 3-Jan-2020", &[1]),
            ("SENTBEFORE 4-Jan-2020", &[1]),
            ("SENTSINCE 4-Jan-2020", &[2]),
            ("NOT SENTSINCE 4-Jan-2020", &[1, 3, 4]),
            ("OLDER 3600", &[1, 2, 3, 4]),
            ("YOUNGER 3600", NONE),
            ("SMALLER 60", &[4]),
            ("LARGER 400", &[3]),
            ("FROM smith", &[1]),
            ("FROM ALICE@EXAMPLE", &[1]),
            ("FROM \"Alice Smith <alice@example.org>\"", &[1]),
            ("TO bob", &[1]),
            ("CC carol", &[2]),
            ("BCC \"dave, d. <dave\"", &[3]),
            ("FROM \"\"", &[1, 2]),
            ("SUBJECT plain", &[1]),
            ("SUBJECT \"words plain\"", NONE),
            ("HEADER Message-ID <1@x>", &[1]),
            ("HEADER X-Empty \"\"", &[4]),
            ("HEADER X-Absent \"\"", NONE),
            ("HEADER SUBJECT \"\"", &[1, 2, 3, 4]),
            ("HEADER Subject =?iso-8859-1?q?", &[2]),
            ("BODY fox", &[1]),
            ("BODY plain", NONE),
            ("TEXT plain", &[1, 2]),
            ("BODY inner", &[3]),
            ("BODY forwarded", &[3]),
            ("BODY secret", NONE),
            ("TEXT hidden.bin", &[3]),
            ("BODY hidden.bin", NONE),
            ("TEXT \"\"", &[1, 2, 3, 4]),
            ("1,3", &[1, 3]),
            ("*", &[4]),
            ("3:*", &[3, 4]),
            ("4:900", &[4]),
            ("UID 2:3", &[2, 3]),
            ("UID 900:*", &[4]),
            ("NOT 1", &[2, 3, 4]),
            ("OR SEEN FLAGGED", &[1, 2]),
            ("OR (SEEN FROM alice) (DELETED NOT BODY fox)", &[1, 3]),
            ("UNSEEN FLAGGED", &[2]),
            ("()", NONE),
        ] {
            if keys == "()" {
                client.bad("SEARCH ()");
                continue;
            }
            assert_eq!(found(&mut client, keys), wanted, "{keys}");
        }
    }

    fn recent_messages_are_those_no_session_had_seen(server) {
        let mut client = server.connect();
        client.append("INBOX", "", b"Subject: one\r\n\r\n");
        client.ok("SELECT INBOX");
        client.ok("CLOSE");
        client.append("INBOX", "", b"Subject: two\r\n\r\n");
        client.ok("SELECT INBOX");
        assert_eq!(found(&mut client, "RECENT"), [2]);
        assert_eq!(found(&mut client, "OLD"), [1]);
        client.ok("STORE 2 +FLAGS (\\Seen)");
        assert_eq!(found(&mut client, "NEW"), NONE);
    }

    fn texts_are_found_whatever_their_encoding_and_case(server) {
        let mut client = filled(server);
        for (key, text, wanted) in [
            ("SUBJECT", "gr\u{fc}\u{df}e aus m\u{fc}nchen", &[2][..]),
            ("SUBJECT", "GR\u{dc}SSE", &[2]),
            ("FROM", "J\u{dc}RGEN", &[2]),
            ("FROM", "ju\u{308}rgen", &[2]),
            ("BODY", "sch\u{d6}ne stra\u{df}e", &[2]),
            ("TEXT", "M\u{fc}nchen", &[2]),
            ("BODY", "\u{41c}\u{41e}\u{421}\u{41a}\u{412}\u{410}", &[3]),
            ("BODY", "PGI+0Jz", NONE),
        ] {
            let answer = with_text(&mut client, &format!("SEARCH CHARSET UTF-8 {key} "), text);
            assert_eq!(answer.found(), wanted, "{key} {text}");
        }
        let latin = client.command_with_literals(&[
            Part::Text("SEARCH CHARSET ISO-8859-1 SUBJECT "),
            Part::NonSync(b"M\xfcnchen"),
        ]);
        assert_eq!(latin.found(), [2]);
    }

    fn a_charset_that_is_not_known_is_refused(server) {
        let mut client = filled(server);
        let answer = client.no("SEARCH CHARSET x-klingon TEXT a");
        assert_eq!(answer.code_name(), "BADCHARSET");
    }

    fn rev1_gets_search_and_rev2_esearch(server) {
        let mut client = filled(server);
        let answer = client.ok("SEARCH UNSEEN");
        assert!(answer.iter().any(|r| *r == Response::Search { numbers: vec![2, 3, 4], modseq: None }));
        assert!(client.ok("SEARCH KEYWORD absent").iter().any(|r| *r == Response::Search { numbers: vec![], modseq: None }));
        client.ok("ENABLE IMAP4rev2");
        assert_eq!(items(&client.ok("SEARCH UNSEEN")), "ALL 2:4");
        assert_eq!(items(&client.ok("SEARCH KEYWORD absent")), "");
        assert_eq!(esearch(&client.ok("UID SEARCH UNSEEN")), (vec![("ALL".into(), "2:4".into())], true));
    }

    fn return_options_say_what_is_told(server) {
        let mut client = filled(server);
        for (returns, told, nothing) in [
            ("()", "ALL 2:4", ""),
            ("(ALL)", "ALL 2:4", ""),
            ("(MIN)", "MIN 2", ""),
            ("(MAX)", "MAX 4", ""),
            ("(MIN MAX)", "MIN 2 MAX 4", ""),
            ("(COUNT)", "COUNT 3", "COUNT 0"),
            ("(COUNT MAX)", "MAX 4 COUNT 3", "COUNT 0"),
            ("(MIN MAX COUNT ALL SAVE)", "MIN 2 MAX 4 ALL 2:4 COUNT 3", "COUNT 0"),
        ] {
            let sorted = |text: &str| {
                let words: Vec<_> = text.split(' ').collect();
                let mut pairs: Vec<_> = words.chunks(2).map(|pair| pair.join(" ")).collect();
                pairs.sort();
                pairs
            };
            let answer = client.ok(&format!("SEARCH RETURN {returns} UNSEEN"));
            assert_eq!(sorted(&items(&answer)), sorted(told), "{returns}");
            assert!(!esearch(&answer).1);
            let answer = client.ok(&format!("UID SEARCH RETURN {returns} KEYWORD absent"));
            assert_eq!(items(&answer), nothing, "{returns}");
            assert!(esearch(&answer).1);
        }
        client.bad("SEARCH RETURN (FROB) ALL");
    }

    fn uid_search_answers_uids_and_its_numbers_are_numbers(server) {
        let mut client = filled(server);
        client.ok("STORE 1 +FLAGS (\\Deleted)");
        client.ok("UID EXPUNGE 1");
        assert_eq!(client.ok("UID SEARCH ALL").found(), [2, 3, 4]);
        assert_eq!(client.ok("SEARCH ALL").found(), [1, 2, 3]);
        assert_eq!(client.ok("UID SEARCH 1").found(), [2]);
        assert_eq!(client.ok("SEARCH UID 2").found(), [1]);
        assert_eq!(client.ok("UID SEARCH *:*").found(), [4]);
        assert_eq!(client.ok("UID SEARCH RETURN (ALL) 2:3").found(), [3, 4]);
    }

    fn what_is_saved_follows_the_options(server) {
        let mut client = filled(server);
        for (returns, saved) in [
            ("(SAVE)", &[2, 3, 4][..]),
            ("(SAVE ALL)", &[2, 3, 4]),
            ("(SAVE COUNT MIN)", &[2, 3, 4]),
            ("(SAVE MIN)", &[2]),
            ("(SAVE MAX)", &[4]),
            ("(SAVE MIN MAX)", &[2, 4]),
        ] {
            client.ok(&format!("SEARCH RETURN {returns} UNSEEN"));
            assert_eq!(found(&mut client, "$"), saved, "{returns}");
            assert_eq!(found(&mut client, "UID $"), saved, "{returns}");
        }
        // Without SAVE, BAD and NO without SAVE leave it alone; NO with SAVE empties it.
        client.ok("SEARCH RETURN (SAVE) UNSEEN");
        client.ok("SEARCH SEEN");
        client.bad("SEARCH RETURN (SAVE) FROB");
        client.no("SEARCH CHARSET x-klingon TEXT a");
        assert_eq!(found(&mut client, "NOT $"), [1]);
        client.ok("SEARCH RETURN (SAVE MIN) KEYWORD absent");
        assert_eq!(found(&mut client, "$"), NONE);
        client.ok("SELECT INBOX");
        assert_eq!(found(&mut client, "$"), NONE);
    }

    fn save_alone_says_nothing(server) {
        let mut client = filled(server);
        let answer = client.ok("SEARCH RETURN (SAVE) ALL");
        assert!(!answer.iter().any(|r| matches!(r, Response::Search { .. } | Response::Esearch { .. })), "{answer:?}");
    }

    fn expunged_messages_leave_the_saved_result(server) {
        let mut client = filled(server);
        client.ok("SEARCH RETURN (SAVE) ALL");
        client.ok("STORE 2 +FLAGS (\\Deleted)");
        client.ok("UID EXPUNGE 2");
        assert_eq!(client.ok("UID SEARCH $").found(), [1, 3, 4]);
    }

    fn a_message_that_another_session_expunged_matches_nothing(server) {
        let mut client = filled(server);
        let mut store = server.store();
        let mut mailbox = store.open(&MailboxName::parse("INBOX").unwrap(), Access::ReadWrite).unwrap();
        let first: UidSet = mailbox.uids().first().into_iter().collect();
        mailbox.expunge(&first).unwrap();
        assert_eq!(found(&mut client, "TEXT fox"), NONE);
        // Sequence numbers are still those that the client knows.
        assert_eq!(found(&mut client, "SUBJECT third"), [3]);
    }

    fn nothing_is_found_in_an_empty_mailbox(server) {
        let mut client = server.connect();
        client.ok("SELECT INBOX");
        for keys in ["ALL", "1:*", "*", "UID 1:*", "$", "NOT SEEN", "UID *:*"] {
            assert_eq!(found(&mut client, keys), NONE, "{keys}");
        }
    }

    fn searching_sets_no_flag(server) {
        let mut client = filled(server);
        client.ok("SEARCH TEXT fox");
        assert_eq!(found(&mut client, "UNSEEN"), [2, 3, 4]);
    }

    fn thousands_of_keys_are_answered_or_refused(server) {
        let mut client = filled(server);
        let keys = "TEXT a ".repeat(4000);
        assert_eq!(found(&mut client, &format!("{keys}TEXT fox")), [1]);
        // A client that looks for any of many senders writes a long chain, which is as good as a list.
        let ors = format!("{}TEXT fox", "OR TEXT zzz ".repeat(2000));
        assert_eq!(found(&mut client, &ors), [1]);
        client.bad(&format!("SEARCH {}ALL", "OR SEEN ".repeat(8000)));
        let nots = "NOT ".repeat(10_000);
        client.bad(&format!("SEARCH {nots}ALL"));
        assert_eq!(found(&mut client, "NOT NOT NOT SEEN"), [2, 3, 4]);
        let set = "1:*,".repeat(15_000);
        assert_eq!(found(&mut client, &format!("{set}1")), [1, 2, 3, 4]);
    }

    fn a_text_at_the_end_of_a_large_body_is_found(server) {
        let mut client = server.connect();
        let body = "many words that say little\r\n".repeat(40_000);
        let message = format!("Subject: large\r\n\r\n{body}the needle\r\n");
        client.append("INBOX", "", message.as_bytes());
        client.ok("SELECT INBOX");
        assert_eq!(found(&mut client, "BODY needle"), [1]);
        assert_eq!(found(&mut client, "BODY haystack"), NONE);
    }

    fn dates_that_no_calendar_has_are_no_dates(server) {
        let mut client = server.connect();
        for date in [
            "1 Jan 99999 00:00:00 +0000",
            "1 Foo 2020 00:00:00 +0000",
            "0 Jan 2020 00:00:00 +0000",
            "31 Feb 2020 00:00:00 +0000",
            "1 Jan 18446744073709551616 00:00:00 +9999",
            "99999999999999999999",
            "",
        ] {
            client.append("INBOX", "", format!("Date: {date}\r\n\r\n").as_bytes());
        }
        // A leap second is in its day.
        client.append("INBOX", "", b"Date: Sat, 31 Dec 2016 23:59:60 +0000\r\n\r\n");
        client.ok("SELECT INBOX");
        assert_eq!(found(&mut client, "SENTON 31-Dec-2016"), [8]);
        assert_eq!(found(&mut client, "OR SENTSINCE 1-Jan-2019 SENTBEFORE 31-Dec-2016").last(), None);
        assert_eq!(client.ok("FETCH 1:* ENVELOPE").fetches().len(), 8);
    }

    fn many_encoded_words_are_searched(server) {
        let mut client = server.connect();
        let mut message = String::from("Subject: ");
        for _ in 0..20_000 {
            message += "=?utf-8?q?ab?=\r\n ";
        }
        message += "=?x-no-such-charset-with-a-long-name?q?end?=\r\n\r\n";
        client.append("INBOX", "", message.as_bytes());
        client.ok("SELECT INBOX");
        assert_eq!(found(&mut client, "SUBJECT abababab"), [1]);
    }
}
