//! How connections end after they have changed hands, as a real client sees it.

use crate::pair::{hand_over, pair, read, read_error, ways};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;

#[test]
fn a_goodbye_is_heard_on_both_sides() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        client.tls.send_close_notify();
        client.say(b"");
        assert_eq!(read(&mut stream), b"");
        stream.write_all(b"* BYE").unwrap();
        client.socket.shutdown(Shutdown::Write).unwrap();
        stream.close();
        assert_eq!(client.hear_end().unwrap(), b"* BYE", "{way:?}");
    }
}

#[test]
fn a_goodbye_before_the_change_is_not_forgotten() {
    for way in ways() {
        let (mut stream, mut client, socket) = pair(way);
        client.say(b"a LOGIN\r\n");
        client.tls.send_close_notify();
        client.say(b"");
        assert_eq!(read(&mut stream), b"a LOGIN\r\n");
        assert_eq!(read(&mut stream), b"");
        let mut stream = hand_over(stream, b"N\r\n", &socket);
        assert_eq!(read(&mut stream), b"N\r\n");
        assert_eq!(read(&mut stream), b"");
        stream.write_all(b"* BYE").unwrap();
        client.socket.shutdown(Shutdown::Write).unwrap();
        stream.close();
        assert_eq!(client.hear_end().unwrap(), b"* BYE");
    }
}

#[test]
fn a_client_that_vanishes_has_not_said_goodbye() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        let record = client.seal(b"a NOOP\r\n");
        client.socket.write_all(&record[..record.len() / 2]).unwrap();
        drop(client);
        assert_eq!(read_error(&mut stream), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_server_that_vanishes_has_not_said_goodbye() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let stream = hand_over(stream, b"", &socket);
        drop((stream, socket));
        assert_eq!(client.hear_end().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_damaged_record_is_told_to_the_client() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        let mut record = client.seal(b"a NOOP\r\n");
        *record.last_mut().unwrap() ^= 1;
        client.socket.write_all(&record).unwrap();
        assert_eq!(read_error(&mut stream), ErrorKind::InvalidData);
        let error = client.hear_end().unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
}

#[test]
fn what_cannot_be_handed_over_is_refused() {
    let way = ways()[0];
    let (mut stream, mut client, socket) = pair(way);
    // Half a record was read.
    let record = client.seal(b"a NOOP\r\n");
    client.socket.write_all(&record[..9]).unwrap();
    use imapd::testing::transport::wait::{Stop, Woken, wait};
    let shortly = std::time::Instant::now() + std::time::Duration::from_millis(20);
    assert_eq!(wait(&mut stream, None, &Stop(None), shortly).unwrap(), Woken::Timeout);
    assert!(stream.freeze(b"").is_err());
    // It has failed already.
    let (mut stream, mut client, _socket) = pair(way);
    client.socket.write_all(b"no TLS at all").unwrap();
    assert_eq!(wait(&mut stream, None, &Stop(None), shortly).unwrap(), Woken::Client);
    assert!(stream.freeze(b"").is_err());
    // It was to stay, and may have been read ahead.
    let (mut stream, _client, _socket) = pair(way);
    stream.settle();
    assert!(stream.freeze(b"").is_err());
    // It was handed over.
    drop(socket);
    let (stream, _client, socket) = pair(way);
    let stream = hand_over(stream, b"", &socket);
    assert!(stream.freeze(b"").is_err());
}
