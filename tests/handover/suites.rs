//! Every suite, with certificates of both kinds.

use crate::pair::{Random, hand_over, pair, read, read_exactly, ways};
use imapd::testing::transport::wait::{Stop, wait};
use std::io::Write;
use std::time::Instant;

#[test]
fn the_client_does_not_notice_under_any_suite() {
    for way in ways() {
        let (mut stream, mut client, socket) = pair(way);
        let described = stream.tls_description().unwrap();
        // Some records under way already, both ways, so that no sequence number is zero.
        for n in 1..4_u8 {
            client.say(&[n; 10]);
            assert_eq!(read(&mut stream), [n; 10]);
            stream.write_all(&[n; 20]).unwrap();
            assert_eq!(client.hear(20), [n; 20]);
        }
        let counted = stream.counters();
        let mut stream = hand_over(stream, b"", &socket);
        assert!(stream.is_tls());
        assert_eq!(stream.tls_description().unwrap(), described, "{way:?}");
        assert_eq!(stream.counters(), counted);
        for n in 1..4_u8 {
            client.say(&[n; 10]);
            assert_eq!(read(&mut stream), [n; 10], "{way:?}");
            stream.write_all(&[n; 20]).unwrap();
            assert_eq!(client.hear(20), [n; 20], "{way:?}");
        }
        assert_eq!(stream.counters(), (counted.0 + 30, counted.1 + 60));
    }
}

#[test]
fn much_goes_both_ways_at_once() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        let much = Random::new(7).octets(300_000);
        let expected = much.clone();
        let peer = std::thread::spawn(move || {
            for _ in 0..3 {
                client.say(&much);
            }
            for _ in 0..3 {
                assert_eq!(client.hear(much.len()), much);
            }
        });
        let mut all = Vec::new();
        while all.len() < 3 * expected.len() {
            all.extend(read(&mut stream));
        }
        assert!(all.chunks(expected.len()).all(|chunk| chunk == expected), "{way:?}");
        for _ in 0..3 {
            stream.write_all(&expected).unwrap();
        }
        peer.join().unwrap();
    }
}

#[test]
fn every_length_around_a_record_goes_both_ways() {
    for way in ways() {
        let (stream, mut client, socket) = pair(way);
        let mut stream = hand_over(stream, b"", &socket);
        let all = Random::new(1).octets(33_000);
        for len in [1, 2, 15, 16, 17, 255, 256, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769] {
            client.say(&all[..len]);
            assert_eq!(read_exactly(&mut stream, len), &all[..len], "{way:?} {len}");
            stream.write_all(&all[..len]).unwrap();
            assert_eq!(client.hear(len), &all[..len], "{way:?} {len}");
        }
        stream.write_all(b"").unwrap();
        stream.write_all(b"x").unwrap();
        assert_eq!(client.hear(1), b"x");
    }
}

#[test]
fn a_connection_that_stays_goes_on() {
    for way in ways() {
        let (mut stream, mut client, _socket) = pair(way);
        let records = client.seal(&[b'x'; 40_000]);
        client.socket.write_all(&records[..20_000]).unwrap();
        let mut all = read(&mut stream);
        // Whatever is half read by then.
        let _ = wait(&mut stream, None, &Stop(None), Instant::now());
        stream.settle();
        client.socket.write_all(&records[20_000..]).unwrap();
        while all.len() < 40_000 {
            all.extend(read(&mut stream));
        }
        assert_eq!(all, [b'x'; 40_000]);
        stream.write_all(b"ok").unwrap();
        assert_eq!(client.hear(2), b"ok");
    }
}

#[test]
fn what_was_read_and_what_was_not_comes_in_order() {
    for way in ways() {
        let (mut stream, mut client, socket) = pair(way);
        client.say(b"LOGIN one two ");
        client.say(b"three ");
        assert_eq!(read(&mut stream), b"LOGIN one two ");
        // A part of the record that comes next stays in rustls.
        let mut part = [0; 2];
        assert_eq!(stream.read(&mut part).unwrap(), 2);
        let mut stream = hand_over(stream, b"one two th", &socket);
        assert_eq!(stream.counters(), (16 - 10, 0));
        client.say(b"four");
        assert_eq!(read_exactly(&mut stream, 18), b"one two three four");
        assert_eq!(stream.counters(), (24, 0));
    }
}
