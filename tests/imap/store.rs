//! STORE, EXPUNGE, and what other sessions hear of them.

use crate::talk::{Client, World, each_store, message};

/// A session with so many messages in INBOX selected.
fn with_messages(world: &World, count: u32) -> Client {
    let mut client = world.client();
    for n in 0..count {
        client.append("INBOX", "()", &message(&n.to_string()));
    }
    // The second time none is recent any more.
    client.ok("SELECT INBOX");
    client.ok("SELECT INBOX");
    client
}

#[test]
fn store_answers_with_the_flags() {
    each_store(|world| {
        let mut client = with_messages(world, 2);
        let said = client.ok("STORE 1:2 FLAGS (\\Seen)");
        assert_eq!(said, ["* 1 FETCH (FLAGS (\\Seen))", "* 2 FETCH (FLAGS (\\Seen))"]);
        let said = client.ok("UID STORE 2 +FLAGS (\\Flagged)");
        assert!(said[0].starts_with("* 2 FETCH (UID 2 FLAGS ("), "{said:?}");
        assert!(said[0].contains("\\Seen") && said[0].contains("\\Flagged"), "{said:?}");
        let said = client.ok("STORE 2 -FLAGS \\Seen");
        assert!(!said[0].contains("\\Seen") && said[0].contains("\\Flagged"), "{said:?}");
        assert_eq!(client.ok("STORE 1:2 FLAGS.SILENT ()"), [""; 0]);
        assert_eq!(client.ok("UID STORE 1:2 -FLAGS.SILENT (\\Seen)"), [""; 0]);
    });
}

#[test]
fn in_rev2_every_flags_response_has_the_uid_and_none_is_recent() {
    each_store(|world| {
        let mut client = with_messages(world, 1);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        client.ok("ENABLE IMAP4rev2");
        let said = client.ok("STORE 1 FLAGS (\\Seen)");
        assert_eq!(said, ["* 1 FETCH (UID 1 FLAGS (\\Seen))"]);
        other.ok("STORE 1 FLAGS (\\Flagged)");
        assert_eq!(client.ok("NOOP"), ["* 1 FETCH (UID 1 FLAGS (\\Flagged))"]);
    });
}

#[test]
fn a_new_keyword_is_told_before_it_is_used() {
    each_store(|world| {
        let mut client = with_messages(world, 1);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        for said in [client.ok("STORE 1 FLAGS (Important)"), other.ok("NOOP")] {
            let flags = said.iter().position(|line| line.starts_with("* FLAGS (") && line.contains("Important"));
            let fetch = said.iter().position(|line| line.starts_with("* 1 FETCH") && line.contains("Important"));
            assert!(flags.is_some() && flags < fetch, "{said:?}");
            assert!(said.iter().any(|line| line.starts_with("* OK [PERMANENTFLAGS (")), "{said:?}");
        }
    });
}

#[test]
fn a_flag_change_of_another_session_is_told_once() {
    each_store(|world| {
        let mut client = with_messages(world, 2);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        client.ok("STORE 2 +FLAGS (\\Answered)");
        let said = other.ok("NOOP");
        assert_eq!(said, ["* 2 FETCH (FLAGS (\\Answered))"]);
        assert_eq!(other.ok("NOOP"), [""; 0]);
        assert_eq!(client.ok("NOOP"), [""; 0]);
    });
}

#[test]
fn expunge_removes_what_is_deleted_and_numbers_follow() {
    each_store(|world| {
        let mut client = with_messages(world, 5);
        client.ok("STORE 2,4,5 +FLAGS.SILENT (\\Deleted)");
        let said = client.ok("EXPUNGE");
        let mut left: Vec<u32> = (1..=5).collect();
        for line in &said {
            let number: usize = line.strip_prefix("* ").unwrap().strip_suffix(" EXPUNGE").unwrap().parse().unwrap();
            left.remove(number - 1);
        }
        assert_eq!(left, [1, 3]);
        let said = client.ok("UID STORE 3 FLAGS (\\Seen)");
        assert!(said[0].starts_with("* 2 FETCH (UID 3 "), "{said:?}");
    });
}

#[test]
fn uid_expunge_removes_only_those_it_names() {
    each_store(|world| {
        let mut client = with_messages(world, 4);
        client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)");
        assert_eq!(client.ok("UID EXPUNGE 3:4,100"), ["* 3 EXPUNGE"]);
        assert_eq!(client.ok("UID EXPUNGE 4"), [""; 0]);
        assert_eq!(client.ok("EXPUNGE").len(), 2);
    });
}

#[test]
fn an_expunge_by_another_session_is_not_told_during_store_by_number() {
    each_store(|world| {
        let mut client = with_messages(world, 3);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        client.ok("EXPUNGE");
        let said = other.ok("STORE 3 FLAGS (\\Seen)");
        assert!(said.iter().any(|line| line.starts_with("* 3 FETCH ")), "{said:?}");
        assert!(!said.iter().any(|line| line.ends_with(" EXPUNGE")), "{said:?}");
        assert!(other.no("STORE 1 FLAGS (\\Seen)").starts_with("NO [EXPUNGEISSUED]"));
        other.ok("STORE 1 FLAGS.SILENT (\\Seen)");
        let said = other.ok("UID STORE 1,3 +FLAGS (\\Flagged)");
        let expunge = said.iter().position(|line| line == "* 1 EXPUNGE").unwrap();
        let fetch = said.iter().position(|line| line.starts_with("* 3 FETCH (UID 3 ")).unwrap();
        assert!(fetch < expunge, "{said:?}");
        assert!(other.ok("STORE 2 FLAGS (\\Seen)")[0].starts_with("* 2 FETCH "));
    });
}

#[test]
fn arrivals_are_told_while_expunges_have_to_wait() {
    each_store(|world| {
        let mut client = with_messages(world, 2);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        client.ok("EXPUNGE");
        client.append("INBOX", "()", &message("new"));
        let said = other.ok("STORE 2 FLAGS.SILENT (\\Seen)");
        assert!(said.contains(&"* 3 EXISTS".into()), "{said:?}");
        let said = other.ok("NOOP");
        assert_eq!(said[0], "* 1 EXPUNGE");
        let said = other.ok("UID STORE 3 FLAGS (\\Seen)");
        assert!(said[0].starts_with("* 2 FETCH (UID 3 "), "{said:?}");
    });
}

#[test]
fn many_sessions_agree_about_numbers() {
    each_store(|world| {
        let mut first = with_messages(world, 10);
        let mut second = world.client();
        second.ok("SELECT INBOX");
        first.ok("STORE 1,3,5 +FLAGS.SILENT (\\Deleted)");
        second.ok("STORE 2,10 +FLAGS.SILENT (\\Deleted)");
        first.ok("NOOP");
        first.ok("EXPUNGE");
        second.ok("NOOP");
        for client in [&mut first, &mut second] {
            for (number, uid) in [(1, 4), (2, 6), (3, 7), (4, 8), (5, 9)] {
                let said = client.ok(&format!("UID STORE {uid} FLAGS (\\Draft)"));
                let wanted = format!("* {number} FETCH (UID {uid} ");
                assert!(said.iter().any(|line| line.starts_with(&wanted)), "{said:?}");
            }
        }
    });
}

/// RFC 9051 section 6.4.6: whether or not `.SILENT` was said, so that nobody has wrong flags for good.
#[test]
fn silence_does_not_hide_what_others_changed() {
    each_store(|world| {
        let (mut client, mut other) = (world.client(), world.client());
        for _ in 0..2 {
            client.append("INBOX", "()", &message("one"));
        }
        client.ok("SELECT INBOX");
        other.ok("SELECT INBOX");
        other.ok("STORE 1 +FLAGS (\\Flagged)");
        let told = [client.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)"), client.ok("NOOP")].concat();
        let of = |number: u32| told.iter().filter(|line| line.starts_with(&format!("* {number} FETCH"))).count();
        assert_eq!((of(1), of(2)), (1, 0), "{told:?}");
        assert!(told.iter().any(|line| line.contains("\\Flagged") && line.contains("\\Seen")), "{told:?}");
    });
}
