//! IDLE: two clients.

use crate::talk::{Client, each_store, message, on_memory};

/// Begins IDLE.
fn idle(client: &mut Client) {
    client.send(b"i IDLE\r\n");
    assert_eq!(client.line(), "+ idling");
}

#[test]
fn what_happens_is_told_at_once() {
    each_store(|world| {
        let (mut watcher, mut actor) = (world.client(), world.client());
        watcher.ok("SELECT INBOX");
        idle(&mut watcher);
        actor.append("INBOX", "()", &message("one"));
        assert_eq!(watcher.line(), "* 1 EXISTS");
        assert_eq!(watcher.line(), "* 1 RECENT");
        actor.ok("SELECT INBOX");
        actor.ok("STORE 1 +FLAGS (\\Deleted)");
        let line = watcher.line();
        assert!(line.starts_with("* 1 FETCH (FLAGS (") && line.contains("\\Deleted"), "{line}");
        actor.ok("EXPUNGE");
        assert_eq!(watcher.line(), "* 1 EXPUNGE");
        watcher.send(b"DONE\r\n");
        let (_, tagged) = watcher.answer("i");
        assert_eq!(tagged, "OK IDLE completed");
    });
}

#[test]
fn what_happened_before_idle_is_told() {
    each_store(|world| {
        let (mut watcher, mut actor) = (world.client(), world.client());
        watcher.ok("SELECT INBOX");
        actor.append("INBOX", "()", &message("one"));
        watcher.send(b"i IDLE\r\n");
        let lines = [watcher.line(), watcher.line()];
        assert!(lines.contains(&"+ idling".into()) && lines.contains(&"* 1 EXISTS".into()), "{lines:?}");
    });
}

#[test]
fn commands_in_the_same_packet_as_done_are_run() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        idle(&mut client);
        client.send(b"DONE\r\na NOOP\r\nb UNSELECT\r\n");
        assert!(client.line().starts_with("i OK "));
        assert!(client.line().starts_with("a OK "));
        assert!(client.line().starts_with("b OK "));
        client.send(b"i IDLE\r\nDONE\r\nc NOOP\r\n");
        assert_eq!(client.line(), "+ idling");
        assert!(client.line().starts_with("i OK "));
        assert!(client.line().starts_with("c OK "));
    });
}

#[test]
fn idle_is_valid_without_a_selected_mailbox() {
    on_memory(|world| {
        let mut client = world.client();
        idle(&mut client);
        client.send(b"done\n");
        assert!(client.line().starts_with("i OK "));
    });
}

#[test]
fn anything_but_done_is_bad() {
    on_memory(|world| {
        let mut client = world.client();
        for line in ["a NOOP", "", "DONE now", "{5}"] {
            idle(&mut client);
            client.send(format!("{line}\r\n").as_bytes());
            assert!(client.line().starts_with("i BAD "), "{line}");
            client.ok("NOOP");
        }
    });
}

#[test]
fn a_client_that_leaves_in_idle_ends_its_session() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        idle(&mut client);
        client.hang_up();
        client.at_end();
    });
}

#[test]
fn the_deletion_of_the_mailbox_ends_idle() {
    each_store(|world| {
        let (mut watcher, mut actor) = (world.client(), world.client());
        actor.ok("CREATE box");
        watcher.ok("SELECT box");
        idle(&mut watcher);
        actor.ok("DELETE box");
        assert!(watcher.line().starts_with("* BYE "));
        watcher.at_end();
    });
}
