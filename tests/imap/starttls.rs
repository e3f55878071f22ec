//! STARTTLS: what is before it and what is behind it have nothing to do with each other.

use crate::talk::{Client, World, each_store, on_memory};

fn stranger(world: &World) -> Client {
    let mut client = world.stranger_with_tls();
    let greeting = client.line();
    assert!(greeting.contains(" STARTTLS") && greeting.contains(" LOGINDISABLED"), "{greeting}");
    client
}

#[test]
fn passwords_are_taken_after_starttls() {
    each_store(|world| {
        let mut client = stranger(world);
        assert!(client.no("LOGIN alice secret").starts_with("NO [PRIVACYREQUIRED]"));
        client.ok("STARTTLS");
        let mut client = client.start_tls();
        let said = client.ok("CAPABILITY");
        assert!(said[0].contains(" AUTH=PLAIN") && !said[0].contains("STARTTLS") && !said[0].contains("LOGINDISABLED"));
        client.ok("LOGIN alice secret");
        client.ok("SELECT INBOX");
        client.ok("LOGOUT");
    });
}

#[test]
fn clear_text_behind_starttls_is_never_run() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a STARTTLS\r\nb CREATE injected\r\nc LOGIN alice secret\r\nd NOO");
        assert!(client.line().starts_with("a OK "));
        // Nothing answers b and c, neither in the clear nor within TLS; and `d NOO` is no beginning of what comes then.
        let mut client = client.start_tls();
        client.send(b"P NOOP\r\n");
        assert_eq!(client.line(), "P OK NOOP completed");
        client.bad("SELECT INBOX");
    });
}

#[test]
fn a_literal_that_was_announced_before_starttls_is_forgotten() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a STARTTLS\r\nb LOGIN {5+}\r\nal");
        assert!(client.line().starts_with("a OK "));
        let mut client = client.start_tls();
        client.ok("NOOP");
    });
}

#[test]
fn starttls_within_tls_and_after_login_is_bad() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("STARTTLS");
        let mut client = client.start_tls();
        client.bad("STARTTLS");
        client.ok("LOGIN alice secret");
        client.bad("STARTTLS");
        client.ok("NOOP");
    });
}

#[test]
fn what_is_no_handshake_ends_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("STARTTLS");
        client.send(b"a NOOP\r\n");
        client.hang_up();
        client.ended();
    });
}

#[test]
fn three_failed_logins_within_tls_end_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("STARTTLS");
        let mut client = client.start_tls();
        for _ in 0..3 {
            client.no("LOGIN alice wrong");
        }
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

#[test]
fn a_tls_stream_cut_off_in_a_message_leaves_nothing() {
    each_store(|world| {
        let mut client = stranger(world);
        client.ok("STARTTLS");
        let mut client = client.start_tls();
        client.ok("LOGIN alice secret");
        client.send(b"a APPEND INBOX {100000}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"Subject: half\r\n");
        client.hang_up();
        drop(client);
        world.wait_for_sessions();
        assert_eq!(world.client().ok("STATUS INBOX (MESSAGES)"), ["* STATUS INBOX (MESSAGES 0)"]);
        assert_eq!(world.unfinished(), 0);
    });
}
