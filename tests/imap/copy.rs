//! COPY, MOVE and their UID forms.

use crate::talk::{Client, World, each_store, has, message};

/// A session with three messages in INBOX selected, and a mailbox `other`.
fn with_messages(world: &World) -> Client {
    let mut client = world.client();
    for subject in ["one", "two", "three"] {
        client.append("INBOX", "(\\Flagged)", &message(subject));
    }
    client.ok("CREATE other");
    client.ok("SELECT INBOX");
    client
}

#[test]
fn copy_tells_old_and_new_uids() {
    each_store(|world| {
        let mut client = with_messages(world);
        let (_, tagged) = client.run("COPY 2:3 other");
        assert!(tagged.starts_with("OK [COPYUID ") && tagged.contains(" 2:3 1:2] "), "{tagged}");
        let (_, tagged) = client.run("UID COPY 1,3 other");
        assert!(tagged.contains(" 1,3 3:4] "), "{tagged}");
        assert!(has(&client.ok("SELECT other"), "* 4 EXISTS"));
    });
}

#[test]
fn copy_into_the_same_mailbox_is_told() {
    each_store(|world| {
        let mut client = with_messages(world);
        assert!(client.ok("COPY 1 INBOX").contains(&"* 4 EXISTS".into()));
    });
}

#[test]
fn move_tells_copyuid_before_the_expunges() {
    each_store(|world| {
        let mut client = with_messages(world);
        let (said, tagged) = client.run("MOVE 1,3 other");
        assert!(said[0].starts_with("* OK [COPYUID ") && said[0].contains(" 1,3 1:2] "), "{said:?}");
        assert_eq!(said.iter().filter(|line| line.ends_with(" EXPUNGE")).count(), 2, "{said:?}");
        assert!(tagged.starts_with("OK MOVE completed"), "{tagged}");
        let (said, _) = client.run("UID MOVE 2 other");
        assert!(said[0].starts_with("* OK [COPYUID ") && said[1] == "* 1 EXPUNGE", "{said:?}");
        assert!(has(&client.ok("SELECT other"), "* 3 EXISTS"));
    });
}

#[test]
fn a_missing_target_may_be_made() {
    each_store(|world| {
        let mut client = with_messages(world);
        for command in ["COPY 1 nowhere", "UID COPY 1 nowhere", "MOVE 1 nowhere", "UID MOVE 1 nowhere"] {
            assert!(client.no(command).starts_with("NO [TRYCREATE]"), "{command}");
        }
        assert!(has(&client.ok("EXAMINE INBOX"), "* 3 EXISTS"));
    });
}

#[test]
fn uids_without_a_message_are_done_with_ok() {
    each_store(|world| {
        let mut client = with_messages(world);
        for command in ["UID COPY 100:200 other", "UID MOVE 100 other", "UID STORE 100 FLAGS ()", "UID EXPUNGE 100"] {
            assert_eq!(client.ok(command), [""; 0], "{command}");
        }
        client.bad("COPY 4 other");
        client.bad("MOVE 4 other");
    });
}

#[test]
fn messages_that_another_session_expunged_are_left_out() {
    each_store(|world| {
        let mut client = with_messages(world);
        let mut other = world.client();
        other.ok("SELECT INBOX");
        other.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
        other.ok("EXPUNGE");
        let (_, tagged) = client.run("UID COPY 1:3 other");
        assert!(tagged.starts_with("OK [COPYUID ") && tagged.contains(" 3 1] "), "{tagged}");
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        other.ok("EXPUNGE");
        client.ok("UID MOVE 3 other");
    });
}
