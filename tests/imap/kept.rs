//! FETCH and SEARCH with a store that keeps what was once parsed: the same answers, and no message opened for them.

use crate::corpus::messages;
use crate::support::keeping::Counts;
use crate::support::{Answer, Client, Part, Server, Value};
use imapd::testing::limits;
use imapd::testing::storage::Kept;

const MAIL: &[u8] = b"Received: from x\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSUBJECT: one\r\n two\r\n\
Date: Fri, 3 Jan 2020 12:00:00 +0000\r\nMessage-ID: <1@x>\r\nX-Other: y\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n--b\r\nContent-Type: image/png\r\n\r\npng\r\n--b--\r\n";

/// What Thunderbird asks of every message.
const USUAL: &str = "BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups \
                     In-Reply-To Content-Type Reply-To)]";

fn append(client: &mut Client, message: &[u8]) {
    let literal = if message.contains(&0) { Part::NonSync8(message) } else { Part::NonSync(message) };
    assert_eq!(client.command_with_literals(&[Part::Text("APPEND INBOX "), literal]).condition, "OK");
}

fn filled(server: &Server, mail: &[&[u8]]) -> Client {
    let mut client = server.connect();
    mail.iter().for_each(|message| append(&mut client, message));
    client.ok("SELECT INBOX");
    client
}

fn items(answer: &Answer) -> Vec<(u32, Vec<(String, Value)>)> {
    answer.fetches().into_iter().map(|(number, items)| (number, items.to_vec())).collect()
}

/// Makes a test of each function, on each store and one that keeps in front of it.
macro_rules! on_keeping_stores {
    ($(fn $name:ident($server:ident) $body:block)+) => {
        $(mod $name {
            use super::*;

            fn run($server: &Server) $body

            #[test]
            fn memory() {
                run(&Server::memory().keeping());
            }

            #[test]
            fn maildir() {
                run(&Server::maildir().keeping());
            }
        })+
    };
}

on_keeping_stores! {
    fn everything_a_list_of_messages_shows_costs_one_reading(server) {
        let mut client = filled(server, &[MAIL]);
        let command = format!("FETCH 1 (FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE INTERNALDATE {USUAL})");
        let first = items(&client.ok(&command));
        let counts = server.shelf().counts();
        assert_eq!((counts.opened, counts.kept), (1, 3));
        assert!(counts.octets <= MAIL.len() as u64, "{counts:?}");
        // In another session as well.
        for client in [&mut client, &mut filled(server, &[])] {
            // Behind the flags: to the other session the message is not recent.
            assert_eq!(items(&client.ok(&command))[0].1[1..], first[0].1[1..]);
        }
        assert_eq!(server.shelf().counts(), Counts::default());
    }

    fn a_large_message_is_read_once_for_all_of_it(server) {
        let large = [MAIL, &b"epilogue\r\n".repeat(30_000)].concat();
        let mut client = filled(server, &[&large]);
        client.ok(&format!("FETCH 1 (ENVELOPE BODYSTRUCTURE RFC822.SIZE {USUAL})"));
        let counts = server.shelf().counts();
        assert_eq!((counts.opened, counts.kept), (1, 3));
        assert!(counts.octets <= large.len() as u64, "{counts:?}");
    }

    fn the_header_alone_is_read_for_what_is_in_it(server) {
        let large = [MAIL, &b"epilogue\r\n".repeat(30_000)].concat();
        let mut client = filled(server, &[&large]);
        client.ok("FETCH 1 ENVELOPE");
        let counts = server.shelf().counts();
        assert!(counts.octets <= 65_536 && counts.kept == 2, "{counts:?}");
        client.ok(&format!("FETCH 1 {USUAL}"));
        assert_eq!(server.shelf().counts(), Counts::default());
        client.ok("FETCH 1 BODYSTRUCTURE");
        assert_eq!(server.shelf().counts().kept, 1);
    }

    fn the_corpus_is_answered_alike_from_what_is_kept(server) {
        let mut client = server.connect();
        for (_, message) in messages::messages() {
            if !message.is_empty() {
                append(&mut client, &message);
            }
        }
        client.ok("SELECT INBOX");
        let fields = "SUBJECT FROM date references CONTENT-TYPE list-id";
        // The unusual field has every message opened.
        let unusual = format!("BODY.PEEK[HEADER.FIELDS ({fields} X-NOT-KEPT)]");
        let wanted = items(&client.ok(&format!("FETCH 1:* (BODYSTRUCTURE ENVELOPE {unusual})")));
        server.shelf().counts();
        for item in ["BODYSTRUCTURE", "ENVELOPE", &format!("BODY.PEEK[HEADER.FIELDS ({fields})]")] {
            let answers = items(&client.ok(&format!("FETCH 1:* {item}")));
            assert_eq!(answers.len(), wanted.len());
            for ((number, answer), (_, wanted)) in answers.into_iter().zip(&wanted) {
                let place = wanted.iter().position(|(name, _)| *name == answer[0].0).unwrap_or(2);
                assert_eq!(answer[0].1, wanted[place].1, "{number} {item}");
            }
        }
        let counts = server.shelf().counts();
        // Only what has too much to be kept.
        assert!(counts.opened <= 10, "{counts:?}");
    }

    fn partials_of_header_fields_are_those_of_the_message(server) {
        let mail = [&MAIL[..10], b"\0\r\nSubject: a\0b\r\n", &MAIL[10..]].concat();
        let mut client = filled(server, &[&mail, b"To: x", b"\r\n", b"X: y\r\nSubject: no end\r\n"]);
        for fields in ["SUBJECT", "SUBJECT TO subject", "List-Id"] {
            for partial in ["", "<0.5>", "<3.1000>", "<9999.1>", "<0.1>"] {
                let ask = |fields: &str| format!("FETCH 1:* BODY.PEEK[HEADER.FIELDS ({fields})]{partial}");
                let wanted = items(&client.ok(&ask(&format!("{fields} X-NOT-KEPT"))));
                for _ in 0..2 {
                    let got = items(&client.ok(&ask(fields)));
                    for ((_, got), (_, wanted)) in got.iter().zip(&wanted) {
                        assert_eq!(got[0].1, wanted[0].1, "{fields}{partial}");
                    }
                }
            }
        }
        server.shelf().counts();
        client.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (TO SUBJECT)]<2.3>");
        assert_eq!(server.shelf().counts().opened, 0);
    }

    fn other_sections_of_the_header_are_not_taken_from_it(server) {
        let mut client = filled(server, &[MAIL]);
        client.ok(&format!("FETCH 1 {USUAL}"));
        let section = |client: &mut Client, item: &str| client.ok(&format!("FETCH 1 BODY.PEEK[{item}]")).fetches()[0].1[0].1.text();
        assert!(section(&mut client, "HEADER").starts_with("Received: from x\r\n"));
        assert!(section(&mut client, "HEADER.FIELDS.NOT (Subject)").starts_with("Received: from x\r\n"));
        assert_eq!(section(&mut client, "HEADER.FIELDS (X-Other)"), "X-Other: y\r\n\r\n");
        assert_eq!(section(&mut client, "1.MIME"), "\r\n");
    }

    fn values_of_another_form_are_made_anew(server) {
        let mut client = filled(server, &[MAIL]);
        let command = format!("FETCH 1 (ENVELOPE BODYSTRUCTURE {USUAL})");
        let wanted = items(&client.ok(&command));
        server.shelf().spoil(b"\xff");
        server.shelf().counts();
        assert_eq!(items(&client.ok(&command)), wanted);
        assert_eq!((server.shelf().counts().kept, items(&client.ok(&command))), (3, wanted));
        assert_eq!(server.shelf().counts().opened, 0);
    }

    fn what_is_missing_is_filled_without_the_rest(server) {
        let mut client = filled(server, &[MAIL]);
        let command = format!("FETCH 1 (ENVELOPE BODYSTRUCTURE {USUAL})");
        let wanted = items(&client.ok(&command));
        for kind in [Kept::Envelope, Kept::Structure, Kept::Header] {
            server.shelf().forget(kind);
            server.shelf().counts();
            assert_eq!(items(&client.ok(&command)), wanted);
            let counts = server.shelf().counts();
            assert_eq!((counts.opened, counts.kept), (1, 1));
        }
    }

    fn what_is_too_long_is_answered_and_not_kept(server) {
        let long = format!("Subject: {}\r\nTo: a@b\r\n\r\n", "x".repeat(limits::KEPT));
        let mut client = filled(server, &[long.as_bytes()]);
        for _ in 0..2 {
            let answer = client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (TO SUBJECT)])");
            assert_eq!(answer.fetches()[0].1[2].1.bytes(), long.as_bytes());
            assert_eq!(server.shelf().counts().opened, 1);
        }
        assert_eq!(client.ok("SEARCH TO a@b SUBJECT xxx").found(), [1]);
    }

    fn searches_and_fetches_fill_for_each_other(server) {
        let mut client = filled(server, &[MAIL, b"Subject: other\r\n\r\n"]);
        let keys = "OR SUBJECT \"one two\" OR SENTBEFORE 1-Jan-2000 HEADER X-TUID \"\"";
        assert_eq!(client.ok(&format!("SEARCH {keys}")).found(), [1]);
        let counts = server.shelf().counts();
        assert_eq!((counts.opened, counts.kept), (2, 2));
        client.ok(&format!("FETCH 1:* {USUAL}"));
        client.ok(&format!("SEARCH {keys} FROM alice UNSEEN"));
        assert_eq!(server.shelf().counts(), Counts::default());
        assert_eq!(client.ok("SEARCH HEADER X-Other y").found(), [1]);
        assert_eq!(server.shelf().counts().opened, 2);
    }

    fn a_wrong_size_of_a_large_message_leaves_no_whole_literal_and_is_found_out(server) {
        let large = b"line\r\n".repeat(60_000);
        let right = large.len() as u64;
        for wrong in [right + 1, right + 6, right - 1, right - 6, right - 40_000] {
            let mut client = filled(server, &[&large]);
            server.shelf().lie(wrong);
            client.send("FETCH 1 BODY.PEEK[]");
            let announced = client.line_or_end().unwrap();
            if announced == format!("* 1 FETCH (BODY[] {{{wrong}}}") {
                assert!((client.octets_to_the_end().len() as u64) < wrong, "the literal looks whole");
            } else {
                // Less than the message has octets in the store: nobody believes it.
                assert!(wrong < right && announced == format!("* 1 FETCH (BODY[] {{{right}}}"), "{announced}");
            }
            // It is known from now on.
            let answer = filled(server, &[]).ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
            assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), large);
            assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), right);
        }
    }

    fn a_wrong_size_of_a_small_message_does_no_harm(server) {
        let mut client = filled(server, &[MAIL]);
        server.shelf().lie(7);
        let answer = client.ok("FETCH 1 (BODY.PEEK[] RFC822.SIZE)");
        assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), MAIL);
        assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), MAIL.len() as u64);
    }

    fn a_large_message_whose_size_is_known_is_read_once(server) {
        let large = b"line\r\n".repeat(60_000);
        let mut client = filled(server, &[&large]);
        let size = client.ok("FETCH 1 RFC822.SIZE").item(1, "RFC822.SIZE").unwrap().number();
        server.shelf().counts();
        assert_eq!(client.ok("FETCH 1 BODY.PEEK[]").item(1, "BODY[]").unwrap().bytes(), large);
        let counts = server.shelf().counts();
        // The first block is looked at before, to see whether the size can be true.
        assert!(counts.opened == 1 && counts.octets <= size, "{counts:?}");
        // In a mailbox that cannot take note of a wrong size it is not believed.
        client.ok("EXAMINE INBOX");
        server.shelf().lie(size - 1);
        assert_eq!(client.ok("FETCH 1 BODY.PEEK[]").item(1, "BODY[]").unwrap().bytes(), large);
    }
}

/// The name of a file claims a size that it might have and has not.
#[test]
fn a_wrong_size_in_a_file_name_costs_one_connection_at_most() {
    let server = Server::maildir();
    server.connect().ok("SELECT INBOX");
    let large = b"line\n".repeat(60_000);
    let claimed = 359_999;
    let name = format!("1700000000.M1.host,S={},W={claimed}:2,", large.len());
    std::fs::write(server.root().unwrap().join("cur").join(name), &large).unwrap();
    let mut client = filled(&server, &[]);
    client.send("FETCH 1 BODY.PEEK[]");
    assert_eq!(client.line_or_end().unwrap(), format!("* 1 FETCH (BODY[] {{{claimed}}}"));
    assert!(client.octets_to_the_end().len() < claimed);
    drop(client);
    let answer = filled(&server, &[]).ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])");
    assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), 360_000);
    assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), b"line\r\n".repeat(60_000));
}
