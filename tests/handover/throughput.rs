//! A measurement, no test: what a stream that was handed over moves beside one on rustls, in one run. With
//! `cargo test --release --test handover -- --ignored --nocapture throughput`.

use crate::pair::{Way, hand_over, pair, ways};
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use imapd::testing::transport::wait::{Stop, wait};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const OCTETS: usize = 256 << 20;
/// As a session writes a large answer and reads a large message.
const PIECE: usize = 64 * 1024;

/// Seconds to write it all to a client that only counts.
fn writing(mut stream: Stream, mut socket: UnixStream) -> f64 {
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    let piece = vec![b'x'; PIECE];
    let began = Instant::now();
    for _ in 0..OCTETS / PIECE {
        stream.write_all(&piece).unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(stream);
    reader.join().unwrap();
    seconds
}

/// Seconds to read it all from a client that has sealed it before.
fn reading(mut stream: Stream, mut socket: UnixStream, sealed: Vec<u8>) -> f64 {
    let writer = std::thread::spawn(move || socket.write_all(&sealed).unwrap());
    let mut buffer = vec![0; PIECE];
    let (mut count, began) = (0, Instant::now());
    while count < OCTETS {
        wait(&mut stream, None, &Stop(None), began + Duration::from_secs(600)).unwrap();
        count += stream.read(&mut buffer).unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    writer.join().unwrap();
    seconds
}

fn measure(way: Way, handed_over: bool, write: bool) -> f64 {
    let (mut stream, mut client, socket) = pair(way);
    if handed_over {
        stream = hand_over(stream, b"", &socket);
    }
    stream.settle();
    drop(socket);
    if write {
        return writing(stream, client.socket);
    }
    let mut sealed = Vec::new();
    for _ in 0..OCTETS / PIECE {
        sealed.extend(client.seal(&[b'x'; PIECE]));
    }
    reading(stream, client.socket, sealed)
}

/// Microseconds from one process to the other, and the octets between them.
fn crossing(way: Way) -> (f64, usize) {
    let (mut shortest, mut octets) = (f64::MAX, 0);
    for _ in 0..100 {
        let (stream, _client, socket) = pair(way);
        let began = Instant::now();
        let encoded = stream.freeze(b"").unwrap().encode();
        let stream = Stream::thaw(socket.into(), Frozen::decode(&encoded).unwrap()).unwrap();
        shortest = shortest.min(began.elapsed().as_secs_f64() * 1e6);
        octets = encoded.len();
        drop(stream);
    }
    (shortest, octets)
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn throughput() {
    for way in ways().into_iter().filter(|way| way.kind == crate::pair::Kind::Ecdsa) {
        let (time, octets) = crossing(way);
        println!("{:60} crosses in {time:.0} us as {octets} octets", format!("{:?}", way.suite.suite()));
        for write in [true, false] {
            let (mut before, mut after) = (f64::MAX, f64::MAX);
            for _ in 0..7 {
                before = before.min(measure(way, false, write));
                after = after.min(measure(way, true, write));
            }
            let rate = |seconds: f64| OCTETS as f64 / seconds / 1e6;
            let name = format!("{:?} {}", way.suite.suite(), if write { "write" } else { "read" });
            println!(
                "{name:60} rustls {:6.0} MB/s  ours {:6.0} MB/s  ratio {:.2}",
                rate(before),
                rate(after),
                before / after
            );
        }
    }
}
