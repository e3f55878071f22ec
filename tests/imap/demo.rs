//! The demonstration mailbox, through the strict client: every item of every message, in both revisions.

use crate::support::Server;

#[test]
fn every_item_of_every_message_is_answered() {
    for rev2 in [false, true] {
        let server = Server::demo();
        let mut client = server.connect();
        if rev2 {
            client.ok("ENABLE IMAP4rev2");
        }
        let listed = client.ok("LIST \"\" * RETURN (STATUS (MESSAGES))");
        let names: Vec<String> = listed.names().into_iter().map(String::from).collect();
        assert_eq!(names.len(), 8);
        let mut seen = 0;
        for name in names {
            client.ok(&format!("EXAMINE \"{name}\""));
            let count = client.mirror_of_selected().messages.len() as u32;
            assert_eq!(listed.status(&name, "MESSAGES"), Some(count.into()));
            if count == 0 {
                continue;
            }
            let items = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] \
                BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] BODY.PEEK[]<2.7>)";
            let answer = client.ok(&format!("FETCH 1:* {items}"));
            for number in 1..=count {
                let item = |name: &str| answer.item(number, name).unwrap_or_else(|| panic!("{number} has no {name}"));
                let whole = item("BODY[]").bytes();
                assert_eq!(item("RFC822.SIZE").number(), whole.len() as u64);
                assert_eq!([item("BODY[HEADER]").bytes(), item("BODY[TEXT]").bytes()].concat(), whole);
                assert_eq!(item("BODY[]<2>").bytes(), &whole[2..9]);
            }
            seen += count;
        }
        assert_eq!(seen, 12);
    }
}
