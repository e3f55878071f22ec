//! KeyUpdate (RFC 8446 section 4.6.3) by a real client, before, while and after the connection changes hands.

use crate::pair::{Way, hand_over, pair, read, read_error, ways};
use imapd::testing::limits;
use std::io::ErrorKind;

fn tls13() -> impl Iterator<Item = Way> {
    ways().into_iter().filter(Way::is_tls13)
}

#[test]
fn keys_that_changed_before_go_on() {
    for way in tls13() {
        for updates in 1..4 {
            let (mut stream, mut client, socket) = pair(way);
            for _ in 0..updates {
                client.change_keys();
                client.say(b"login");
                assert_eq!(read(&mut stream), b"login");
                stream.write_all(b"ok").unwrap();
                assert_eq!(client.hear(2), b"ok");
            }
            let mut stream = hand_over(stream, b"", &socket);
            for _ in 0..2 {
                client.say(b"more");
                assert_eq!(read(&mut stream), b"more");
                stream.write_all(b"yes").unwrap();
                assert_eq!(client.hear(3), b"yes");
                client.change_keys();
            }
        }
    }
}

#[test]
fn an_update_that_was_not_answered_yet_is_answered() {
    for way in tls13() {
        let (mut stream, mut client, socket) = pair(way);
        client.change_keys();
        client.say(b"login");
        assert_eq!(read(&mut stream), b"login");
        // rustls has new sending keys by now, and has not told it.
        let mut stream = hand_over(stream, b"", &socket);
        stream.write_all(b"ok").unwrap();
        assert_eq!(client.hear(2), b"ok");
    }
}

#[test]
fn an_update_that_was_not_read_yet_is_the_next_process_s() {
    for way in tls13() {
        let (mut stream, mut client, socket) = pair(way);
        client.say(b"login");
        client.change_keys();
        client.say(b"pipelined");
        assert_eq!(read(&mut stream), b"login");
        let mut stream = hand_over(stream, b"", &socket);
        assert_eq!(read(&mut stream), b"pipelined");
        stream.write_all(b"ok").unwrap();
        assert_eq!(client.hear(2), b"ok");
    }
}

#[test]
fn many_updates_after_and_too_many_in_a_minute() {
    for way in tls13() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        for n in 0..limits::KEY_UPDATES_PER_MINUTE {
            client.change_keys();
            let data = n.to_be_bytes();
            client.say(&data);
            assert_eq!(read(&mut stream), data);
            stream.write_all(&data).unwrap();
            assert_eq!(client.hear(4), data);
        }
        client.change_keys();
        assert_eq!(read_error(&mut stream), ErrorKind::InvalidData);
        let error = client.hear_end().unwrap_err();
        assert!(error.to_string().contains("UnexpectedMessage"), "{error}");
    }
}

#[test]
fn more_updates_before_login_than_any_client_makes_end_in_an_error() {
    let way = tls13().next().unwrap();
    for updates in [limits::KEY_UPDATES_BEFORE_LOGIN, limits::KEY_UPDATES_BEFORE_LOGIN + 1] {
        let (mut stream, mut client, socket) = pair(way);
        for _ in 0..updates {
            client.change_keys();
            client.say(b"x");
            assert_eq!(read(&mut stream), b"x");
        }
        if updates > limits::KEY_UPDATES_BEFORE_LOGIN {
            assert!(stream.freeze(b"").is_err());
        } else {
            let mut stream = hand_over(stream, b"", &socket);
            client.say(b"login");
            assert_eq!(read(&mut stream), b"login");
        }
    }
}
