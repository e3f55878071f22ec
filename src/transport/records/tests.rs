//! The record layer against a client that can seal whatever it likes.

use super::super::wait::{Stop, Woken, wait};
use super::super::{Layer, Stream, suite};
use super::*;
use std::os::unix::net::UnixStream;

/// The client: it seals what it likes.
struct Peer {
    socket: UnixStream,
    sending: Keys,
    receiving: Keys,
}

const CLIENT: u8 = 1;
const SERVER: u8 = 2;

fn keys(suite: &'static Suite, of: u8, sequence: u64) -> Keys {
    Keys::new(suite, &vec![of; suite.material_len()], sequence).unwrap()
}

fn pair(suite: &'static Suite) -> (Stream, Peer) {
    pair_at(suite, 0)
}

fn pair_at(suite: &'static Suite, sequence: u64) -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let wire = Wire::new(ours.into(), None, Duration::from_secs(20));
    let (sending, receiving) = (keys(suite, SERVER, sequence), keys(suite, CLIENT, sequence));
    let records = Records::new(wire, suite, sending, receiving, false);
    let layer = Layer::Records(Box::new(records));
    let stream = Stream { layer, unread: Default::default(), received: 0, sent: 0 };
    let (sending, receiving) = (keys(suite, CLIENT, sequence), keys(suite, SERVER, sequence));
    (stream, Peer { socket: theirs, sending, receiving })
}

fn records(stream: &mut Stream) -> &mut Records {
    let Layer::Records(records) = &mut stream.layer else { panic!() };
    records
}

impl Peer {
    fn sealed(&mut self, content: u8, fragment: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        self.sending.seal(content, fragment, &mut record).unwrap();
        record
    }

    fn say(&mut self, content: u8, fragment: &[u8]) {
        let record = self.sealed(content, fragment);
        self.socket.write_all(&record).unwrap();
    }

    fn say_data(&mut self, data: &[u8]) {
        self.say(content::APPLICATION_DATA, data);
    }

    fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut record = vec![0; HEADER];
        self.socket.read_exact(&mut record).ok()?;
        let body = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(HEADER + body, 0);
        self.socket.read_exact(&mut record[HEADER..]).unwrap();
        let (kind, place) = self.receiving.open(&mut record).unwrap();
        Some((kind, record[place].to_vec()))
    }

    #[track_caller]
    fn hear_alert(&mut self, level: u8, alert: Alert) {
        assert_eq!(self.hear(), Some((content::ALERT, vec![level, alert as u8])));
    }

    #[track_caller]
    fn hear_data(&mut self, data: &[u8]) {
        assert_eq!(self.hear(), Some((content::APPLICATION_DATA, data.to_vec())));
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[track_caller]
fn read(stream: &mut Stream) -> Vec<u8> {
    assert_eq!(wait(stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
    let mut buffer = [0; 100];
    let count = stream.read(&mut buffer).unwrap();
    buffer[..count].to_vec()
}

#[track_caller]
fn fails(stream: &mut Stream, kind: io::ErrorKind) {
    for _ in 0..2 {
        assert_eq!(wait(stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        assert_eq!(stream.read(&mut [0; 100]).unwrap_err().kind(), kind);
    }
}

/// The client hears why and nothing else; no goodbye, no data.
#[track_caller]
fn ends_with(stream: &mut Stream, peer: &mut Peer, alert: Alert) {
    fails(stream, io::ErrorKind::InvalidData);
    assert_eq!(stream.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    peer.hear_alert(2, alert);
    peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
    stream.close();
    assert_eq!(peer.hear(), None);
}

fn tls12() -> impl Iterator<Item = &'static Suite> {
    suite::each().filter(|suite| suite.version() == Version::Tls12)
}

fn tls13() -> impl Iterator<Item = &'static Suite> {
    suite::each().filter(|suite| suite.version() == Version::Tls13)
}

#[test]
fn data_goes_both_ways_under_every_suite() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair_at(suite, 7);
        assert!(stream.is_tls());
        assert_eq!(stream.tls_description().unwrap(), suite.description());
        for n in 1..50 {
            let data = vec![n; usize::from(n)];
            peer.say_data(&data);
            assert_eq!(read(&mut stream), data);
            stream.write_all(&data).unwrap();
            peer.hear_data(&data);
        }
        assert_eq!(stream.counters(), (49 * 25, 49 * 25));
    }
}

#[test]
fn any_octet_of_a_record_that_is_damaged_ends_the_connection_with_an_alert() {
    for suite in suite::each() {
        let len = pair(suite).1.sealed(content::APPLICATION_DATA, b"a NOOP\r\n").len();
        for at in 0..len {
            // A length that is greater waits for what does not come.
            let bit = if (3..5).contains(&at) { continue } else { 1 << (at % 8) };
            let (mut stream, mut peer) = pair(suite);
            let mut record = peer.sealed(content::APPLICATION_DATA, b"a NOOP\r\n");
            record[at] ^= bit;
            peer.socket.write_all(&record).unwrap();
            let type_is_unknown = at == 0 && (suite.version() == Version::Tls13 || !(21..=23).contains(&record[0]));
            let alert = if type_is_unknown { Alert::UnexpectedMessage } else { Alert::BadRecordMac };
            ends_with(&mut stream, &mut peer, alert);
        }
    }
}

#[test]
fn a_record_that_comes_twice_or_too_early_is_damaged() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        let record = peer.sealed(content::APPLICATION_DATA, b"x");
        peer.socket.write_all(&record).unwrap();
        peer.socket.write_all(&record).unwrap();
        assert_eq!(read(&mut stream), b"x");
        ends_with(&mut stream, &mut peer, Alert::BadRecordMac);

        let (mut stream, mut peer) = pair(suite);
        peer.sealed(content::APPLICATION_DATA, b"x");
        peer.say_data(b"y");
        ends_with(&mut stream, &mut peer, Alert::BadRecordMac);
    }
}

#[test]
fn records_have_so_many_octets() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        let data = vec![b'x'; FRAGMENT];
        peer.say_data(&data);
        let mut buffer = vec![0; 2 * FRAGMENT];
        assert_eq!(stream.read(&mut buffer).unwrap(), FRAGMENT);
        // The header alone suffices. A fragment and its tag, and with it the inner type or the explicit nonce.
        let longest = 16384
            + 16
            + match (suite.version(), suite.description().contains("GCM")) {
                (Version::Tls13, _) => 1,
                (Version::Tls12, true) => 8,
                (Version::Tls12, false) => 0,
            };
        assert_eq!(suite.longest_body(), longest);
        let [high, low] = u16::try_from(longest + 1).unwrap().to_be_bytes();
        peer.socket.write_all(&[23, 3, 3, high, low]).unwrap();
        ends_with(&mut stream, &mut peer, Alert::RecordOverflow);

        for len in [0, 1, 15, 16, 23] {
            let (mut stream, mut peer) = pair(suite);
            peer.socket.write_all(&[23, 3, 3, 0, len]).unwrap();
            peer.socket.write_all(&[0; 23][..len.into()]).unwrap();
            ends_with(&mut stream, &mut peer, Alert::BadRecordMac);
        }
    }
}

#[test]
fn what_may_not_come_is_answered_with_the_alert_that_the_rfcs_name() {
    use Alert::{DecodeError, IllegalParameter, UnexpectedMessage};
    let of_tls13: &[(u8, &[u8], Alert)] = &[
        (20, &[1], UnexpectedMessage),
        (24, &[1], UnexpectedMessage),
        (content::ALERT, &[], UnexpectedMessage),
        (content::ALERT, &[2], DecodeError),
        (content::ALERT, &[1, 0, 1, 0], DecodeError),
        (content::HANDSHAKE, &[], UnexpectedMessage),
        // ClientHello, NewSessionTicket, EndOfEarlyData, Certificate, Finished
        (content::HANDSHAKE, &[1, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[4, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[5, 0, 0, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[11, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[20, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[24, 0, 0, 1, 2], IllegalParameter),
        (content::HANDSHAKE, &[24, 0, 0, 0], DecodeError),
        (content::HANDSHAKE, &[24, 0, 0, 2, 0, 0], DecodeError),
        // Half of one, and something behind one.
        (content::HANDSHAKE, &[24, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[24, 0, 0, 1], UnexpectedMessage),
        (content::HANDSHAKE, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0], UnexpectedMessage),
        // No content type: all zeros.
        (0, &[], UnexpectedMessage),
        (0, &[0; 100], UnexpectedMessage),
    ];
    let of_tls12: &[(u8, &[u8], Alert)] = &[
        (20, &[1], UnexpectedMessage),
        (24, &[1], UnexpectedMessage),
        (content::ALERT, &[], UnexpectedMessage),
        (content::ALERT, &[2], DecodeError),
        (content::ALERT, &[3, 40], IllegalParameter),
        (content::HANDSHAKE, &[], UnexpectedMessage),
        // HelloRequest, which only a server sends; Finished; KeyUpdate; half a ClientHello
        (content::HANDSHAKE, &[0, 0, 0, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[20, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[24, 0, 0, 1, 0], UnexpectedMessage),
        (content::HANDSHAKE, &[1, 0, 0, 9, 0], UnexpectedMessage),
    ];
    for suite in suite::each() {
        for &(kind, fragment, alert) in if suite.version() == Version::Tls13 { of_tls13 } else { of_tls12 } {
            let (mut stream, mut peer) = pair(suite);
            peer.say_data(b"before");
            assert_eq!(read(&mut stream), b"before");
            peer.say(kind, fragment);
            ends_with(&mut stream, &mut peer, alert);
        }
    }
}

#[test]
fn what_is_no_tls_is_refused_before_it_is_whole() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        peer.socket.write_all(b"a").unwrap();
        ends_with(&mut stream, &mut peer, Alert::UnexpectedMessage);
    }
    for suite in tls13() {
        // An alert, a handshake, a change_cipher_spec in the clear.
        for kind in [20, 21, 22] {
            let (mut stream, mut peer) = pair(suite);
            peer.socket.write_all(&[kind, 3, 3, 0, 2, 1, 0]).unwrap();
            ends_with(&mut stream, &mut peer, Alert::UnexpectedMessage);
        }
    }
}

#[test]
fn padding_is_no_content() {
    for suite in tls13() {
        let (mut stream, mut peer) = pair(suite);
        // The type behind the content, then zeros; `seal` adds the last.
        peer.say(0, b"padded\x17\0\0\0\0");
        assert_eq!(read(&mut stream), b"padded");
        let mut longest = b"\0zeros within\0\0".to_vec();
        longest.push(23);
        longest.resize(FRAGMENT, 0);
        peer.say(0, &longest);
        assert_eq!(read(&mut stream), b"\0zeros within\0\0");
        peer.say(0, b"\x01\x00\x15\0\0");
        assert_eq!(read(&mut stream), b"");
    }
}

#[test]
fn a_goodbye_of_the_client_is_the_end_and_what_follows_is_ignored() {
    for suite in suite::each() {
        for level in [1, 2] {
            let (mut stream, mut peer) = pair(suite);
            peer.say_data(b"last");
            peer.say(content::ALERT, &[level, 0]);
            peer.say_data(b"ignored");
            peer.socket.write_all(b"and no TLS").unwrap();
            assert_eq!(read(&mut stream), b"last");
            for _ in 0..3 {
                assert_eq!(read(&mut stream), b"");
            }
            stream.write_all(b"* BYE\r\n").unwrap();
            peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
            stream.close();
            peer.hear_data(b"* BYE\r\n");
            peer.hear_alert(1, Alert::CloseNotify);
            assert_eq!(peer.hear(), None);
        }
    }
}

#[test]
fn our_goodbye_is_said_once() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
        stream.close();
        stream.close();
        assert_eq!(stream.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        peer.hear_alert(1, Alert::CloseNotify);
        assert_eq!(peer.hear(), None);
    }
}

#[test]
fn a_client_that_vanishes_is_no_end_wherever_it_stops() {
    for suite in suite::each() {
        let whole = pair(suite).1.sealed(content::APPLICATION_DATA, b"x").len();
        for cut in 0..whole {
            let (mut stream, mut peer) = pair(suite);
            peer.say_data(b"all of it");
            let record = peer.sealed(content::APPLICATION_DATA, b"x");
            peer.socket.write_all(&record[..cut]).unwrap();
            peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(read(&mut stream), b"all of it");
            fails(&mut stream, io::ErrorKind::UnexpectedEof);
            // A half-closed connection can still be written to.
            stream.write_all(b"* BYE\r\n").unwrap();
            peer.hear_data(b"* BYE\r\n");
        }
    }
}

#[test]
fn a_read_that_nobody_waited_for_waits_and_tells_the_same() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        let later = std::thread::spawn(move || {
            let record = peer.sealed(content::APPLICATION_DATA, b"late");
            for octet in record {
                std::thread::sleep(Duration::from_micros(100));
                peer.socket.write_all(&[octet]).unwrap();
            }
        });
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).unwrap(), 4);
        for _ in 0..2 {
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        later.join().unwrap();
    }
}

#[test]
fn an_alert_of_the_client_is_the_end_and_not_answered() {
    for suite in suite::each() {
        for description in [10, 20, 40, 80, 255] {
            let (mut stream, mut peer) = pair(suite);
            peer.say(content::ALERT, &[2, description]);
            fails(&mut stream, io::ErrorKind::InvalidData);
            peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
            stream.close();
            assert_eq!(peer.hear(), None);
        }
    }
    // The level says nothing there.
    for suite in tls13() {
        let (mut stream, mut peer) = pair(suite);
        peer.say(content::ALERT, &[1, 40]);
        fails(&mut stream, io::ErrorKind::InvalidData);
    }
}

#[test]
fn records_that_bring_nothing_are_bounded_in_a_row() {
    for suite in suite::each() {
        // Warnings: any in TLS 1.2, only user_canceled in TLS 1.3.
        let warning = if suite.version() == Version::Tls13 { 90 } else { 41 };
        for (kind, fragment) in [(content::APPLICATION_DATA, &[][..]), (content::ALERT, &[1, warning])] {
            let (mut stream, mut peer) = pair(suite);
            for _ in 0..3 {
                for _ in 0..limits::FRUITLESS_RECORDS {
                    peer.say(kind, fragment);
                }
                peer.say_data(b"data");
                assert_eq!(read(&mut stream), b"data");
            }
            for _ in 0..=limits::FRUITLESS_RECORDS {
                peer.say(kind, fragment);
            }
            ends_with(&mut stream, &mut peer, Alert::UnexpectedMessage);
        }
    }
}

#[test]
fn a_renegotiation_is_refused_with_a_warning() {
    const HELLO: [u8; 7] = [1, 0, 0, 3, 3, 3, 0];
    for suite in tls12() {
        let (mut stream, mut peer) = pair(suite);
        peer.say(content::HANDSHAKE, &HELLO);
        peer.say_data(b"on");
        assert_eq!(read(&mut stream), b"on");
        peer.hear_alert(1, Alert::NoRenegotiation);
        for _ in 0..=limits::FRUITLESS_RECORDS {
            peer.say(content::HANDSHAKE, &HELLO);
        }
        fails(&mut stream, io::ErrorKind::InvalidData);
        for _ in 0..limits::FRUITLESS_RECORDS {
            peer.hear_alert(1, Alert::NoRenegotiation);
        }
        peer.hear_alert(2, Alert::UnexpectedMessage);
    }
}

#[test]
fn a_key_update_is_answered_before_the_next_data_and_many_requests_once() {
    for suite in tls13() {
        let (mut stream, mut peer) = pair(suite);
        for requests in [1, 3] {
            for _ in 0..requests {
                peer.say(content::HANDSHAKE, &[24, 0, 0, 1, 1]);
                peer.sending.update().unwrap();
            }
            peer.say_data(b"new keys");
            assert_eq!(read(&mut stream), b"new keys");
            stream.write_all(b"ours").unwrap();
            assert_eq!(peer.hear(), Some((content::HANDSHAKE, vec![24, 0, 0, 1, 0])));
            peer.receiving.update().unwrap();
            peer.hear_data(b"ours");
        }
        // One that asks for nothing gets nothing.
        peer.say(content::HANDSHAKE, &[24, 0, 0, 1, 0]);
        peer.sending.update().unwrap();
        peer.say_data(b"newer keys");
        assert_eq!(read(&mut stream), b"newer keys");
        stream.write_all(b"ours").unwrap();
        peer.hear_data(b"ours");
        // The old keys are gone.
        let old = peer.sealed(content::HANDSHAKE, &[24, 0, 0, 1, 0]);
        peer.socket.write_all(&old).unwrap();
        peer.say_data(b"old keys");
        ends_with(&mut stream, &mut peer, Alert::BadRecordMac);
    }
}

#[test]
fn a_client_may_change_its_keys_so_often_in_a_minute() {
    let began = Instant::now();
    let mut updates = Updates { began, count: 0 };
    for minute in 0..3 {
        let now = began + Duration::from_secs(60) * minute;
        assert!((0..limits::KEY_UPDATES_PER_MINUTE).all(|_| updates.admit(now)));
        assert!(!updates.admit(now + Duration::from_secs(59)));
    }
    for suite in tls13() {
        let (mut stream, mut peer) = pair(suite);
        for n in 0..=limits::KEY_UPDATES_PER_MINUTE {
            peer.say(content::HANDSHAKE, &[24, 0, 0, 1, (n % 2) as u8]);
            peer.sending.update().unwrap();
            if n < limits::KEY_UPDATES_PER_MINUTE {
                peer.say_data(b"x");
                assert_eq!(read(&mut stream), b"x");
            }
        }
        ends_with(&mut stream, &mut peer, Alert::UnexpectedMessage);
    }
}

#[test]
fn our_keys_change_before_they_are_used_up_or_the_connection_ends() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair_at(suite, limits::RECORDS_PER_KEY - RESERVE - 1);
        stream.write_all(b"last but two").unwrap();
        peer.hear_data(b"last but two");
        if suite.description().contains("CHACHA20") {
            stream.write_all(b"and on").unwrap();
            peer.hear_data(b"and on");
        } else if suite.version() == Version::Tls13 {
            stream.write_all(b"new keys").unwrap();
            assert_eq!(peer.hear(), Some((content::HANDSHAKE, vec![24, 0, 0, 1, 0])));
            peer.receiving.update().unwrap();
            peer.hear_data(b"new keys");
        } else {
            assert!(stream.write_all(b"too much").is_err());
            peer.hear_alert(1, Alert::CloseNotify);
            assert_eq!(stream.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    }
}

#[test]
fn half_a_record_is_not_the_client_speaking() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        let record = peer.sealed(content::APPLICATION_DATA, b"a NOOP\r\n");
        for octet in &record[..record.len() - 1] {
            peer.socket.write_all(&[*octet]).unwrap();
            assert_eq!(wait(&mut stream, None, &Stop(None), Instant::now()).unwrap(), Woken::Timeout);
        }
        peer.socket.write_all(&record[record.len() - 1..]).unwrap();
        assert_eq!(read(&mut stream), b"a NOOP\r\n");
        assert_eq!(wait(&mut stream, None, &Stop(None), Instant::now()).unwrap(), Woken::Timeout);
    }
}

#[test]
fn what_was_opened_is_the_client_speaking_and_comes_together() {
    let (mut stream, mut peer) = pair(suite::each().next().unwrap());
    for _ in 0..10 {
        peer.say_data(b"12345");
    }
    assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
    let mut buffer = [0; 12];
    assert_eq!(stream.read(&mut buffer).unwrap(), 12);
    assert_eq!(&buffer, b"123451234512");
    assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
    let mut buffer = [0; 100];
    assert_eq!(stream.read(&mut buffer).unwrap(), 38);
}

#[test]
fn a_session_that_idles_keeps_little() {
    for suite in suite::each() {
        let (mut stream, mut peer) = pair(suite);
        let much = vec![b'x'; 1 << 20];
        let sender = std::thread::spawn(move || {
            for fragment in much.chunks(FRAGMENT) {
                peer.say_data(fragment);
            }
            for _ in 0..64 {
                assert!(peer.hear().is_some());
            }
            peer
        });
        let (mut read_in_all, mut buffer) = (0, vec![0; 64 * 1024]);
        while read_in_all < 1 << 20 {
            assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
            read_in_all += stream.read(&mut buffer).unwrap();
        }
        assert!(records(&mut stream).inbox.len() <= GREAT);
        stream.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let mut peer = sender.join().unwrap();
        peer.say_data(b"a IDLE\r\n");
        assert_eq!(read(&mut stream), b"a IDLE\r\n");
        stream.write_all(b"+ idling\r\n").unwrap();
        assert_eq!(wait(&mut stream, None, &Stop(None), Instant::now()).unwrap(), Woken::Timeout);
        let records = records(&mut stream);
        assert!(records.inbox.capacity() + records.outbox.capacity() <= 2 * SMALL);
    }
}

#[test]
fn nothing_follows_half_a_record() {
    let (mut stream, mut peer) = pair(suite::each().next().unwrap());
    stream.set_stall(Duration::from_millis(20));
    assert_eq!(stream.write_all(&vec![0; 8 << 20]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(stream.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
        peer.socket.read_to_end(&mut all).unwrap();
        let mut rest = &mut all[..];
        while rest.len() >= HEADER {
            let body = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            if rest.len() < HEADER + body {
                return true;
            }
            let (record, after) = rest.split_at_mut(HEADER + body);
            peer.receiving.open(record).unwrap();
            rest = after;
        }
        !rest.is_empty()
    });
    stream.close();
    drop(stream);
    // Whole records, then a part of one.
    assert!(reader.join().unwrap());
}
