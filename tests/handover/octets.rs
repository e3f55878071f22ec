//! What crosses from one process to the other: it comes from an enemy.

use crate::pair::{Random, hand_over, pair, read, soon, ways};
use imapd::testing::limits;
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;

/// An encoded connection of each suite, and one without TLS.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<_> =
        ways().into_iter().map(|way| pair(way).0.freeze(b"b NOOP\r\n").unwrap().encode().to_vec()).collect();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    samples.push(Stream::socket(ours.into()).unwrap().freeze(b"b NOOP\r\n").unwrap().encode().to_vec());
    samples
}

#[test]
fn what_is_encoded_is_decoded_and_encodes_alike() {
    for sample in samples() {
        assert_eq!(*Frozen::decode(&sample).unwrap().encode(), sample);
    }
}

#[test]
fn nothing_may_lack_and_nothing_may_follow() {
    for sample in samples() {
        for len in 0..sample.len() {
            assert_eq!(Frozen::decode(&sample[..len]).unwrap_err().kind(), ErrorKind::InvalidData);
        }
        for more in [&b"\0"[..], b"b NOOP\r\n"] {
            assert!(Frozen::decode(&[&sample, more].concat()).is_err());
        }
    }
}

#[test]
fn every_field_is_checked() {
    // Where they stand: kind, 2 counters of 8, suite of 2, end, then a sequence number.
    const KIND: usize = 0;
    const SUITE: usize = 17;
    const ENDED: usize = 19;
    const SEQUENCE: usize = 20;
    for sample in samples() {
        let with = |at: usize, octets: &[u8]| {
            let mut changed = sample.clone();
            changed[at..at + octets.len()].copy_from_slice(octets);
            Frozen::decode(&changed)
        };
        assert!((2..=255).all(|kind| with(KIND, &[kind]).is_err()));
        if sample[KIND] == 0 {
            assert!(with(KIND, &[1]).is_err());
            continue;
        }
        assert!(with(KIND, &[0]).is_err());
        assert!((2..=255).all(|ended| with(ENDED, &[ended]).is_err()));
        assert!(with(SEQUENCE, &limits::RECORDS_PER_KEY.to_be_bytes()).is_ok());
        assert!(with(SEQUENCE, &(limits::RECORDS_PER_KEY + 1).to_be_bytes()).is_err());
        assert!(with(SEQUENCE, &u64::MAX.to_be_bytes()).is_err());
        // Suites with keys of another length do not fit, and nothing else is a suite.
        let accepted = (0..=u16::MAX).filter(|suite| with(SUITE, &suite.to_be_bytes()).is_ok()).count();
        assert!((1..=6).contains(&accepted), "{accepted}");
    }
}

#[test]
fn what_a_client_has_sent_ahead_is_bounded() {
    let plain = |len: usize| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        Stream::socket(ours.into()).unwrap().freeze(&vec![b'x'; len])
    };
    let most = plain(limits::UNREAD_AT_LOGIN).unwrap().encode();
    assert!(most.len() <= Frozen::LONGEST);
    Frozen::decode(&most).unwrap();
    assert!(plain(limits::UNREAD_AT_LOGIN + 1).is_err());
    // The same from one who does not ask us.
    let mut more = most.to_vec();
    more.push(b'x');
    let at = more.len() - limits::UNREAD_AT_LOGIN - 1 - 4;
    more[at..at + 4].copy_from_slice(&(limits::UNREAD_AT_LOGIN as u32 + 1).to_be_bytes());
    assert!(Frozen::decode(&more).is_err());
    more[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(Frozen::decode(&more).is_err());

    // A buffer full that was read, and a record that rustls holds.
    for way in ways() {
        for (unused, fits) in [(limits::UNREAD_AT_LOGIN - 16384, true), (limits::UNREAD_AT_LOGIN - 16383, false)] {
            let (mut stream, mut client, _socket) = pair(way);
            client.say(&[b'x'; 16384]);
            assert!(
                imapd::testing::transport::wait::wait(
                    &mut stream,
                    None,
                    &imapd::testing::transport::wait::Stop(None),
                    soon()
                )
                .is_ok()
            );
            assert_eq!(stream.freeze(&vec![b'x'; unused]).is_ok(), fits);
        }
    }
}

#[test]
fn octets_that_are_none_do_not_harm() {
    let mut random = Random::new(42);
    let samples = samples();
    for n in 0..20_000 {
        let mut octets = if n % 4 == 0 {
            let len = random.below(300);
            random.octets(len)
        } else {
            samples[random.below(samples.len())].clone()
        };
        for _ in 0..random.below(5) {
            if octets.is_empty() {
                break;
            }
            let at = random.below(octets.len());
            match random.below(3) {
                0 => octets[at] = random.next() as u8,
                1 => octets.truncate(at),
                _ => octets.insert(at, random.next() as u8),
            }
        }
        let Ok(frozen) = Frozen::decode(&octets) else { continue };
        assert_eq!(*frozen.encode(), octets);
        // And what comes then is no TLS for these keys.
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let Ok(mut stream) = Stream::thaw(ours.into(), frozen) else { continue };
        let len = random.below(100);
        theirs.write_all(&random.octets(len)).unwrap();
        drop(theirs);
        for _ in 0..5 {
            let _ = stream.read(&mut [0; 50]);
            let _ = stream.write_all(b"x");
        }
    }
}

#[test]
fn no_secret_is_shown() {
    for way in ways() {
        let frozen = pair(way).0.freeze(b"b LOGIN alice secret").unwrap();
        let shown = format!("{frozen:?}");
        assert!(shown.starts_with("Frozen { tls: Some(\"TLSv1.") && shown.ends_with("unread: 20, .. }"), "{shown}");
    }
}

#[test]
fn a_plain_connection_is_handed_over_too() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let second = ours.try_clone().unwrap();
    let mut stream = Stream::socket(ours.into()).unwrap();
    theirs.write_all(b"a LOGIN x y\r\nb NOOP\r\n").unwrap();
    assert_eq!(read(&mut stream).len(), 21);
    let mut stream = hand_over(stream, b"b NOOP\r\n", &second);
    assert!(!stream.is_tls() && stream.tls_description().is_none());
    theirs.write_all(b"c NOOP\r\n").unwrap();
    assert_eq!(read(&mut stream), b"b NOOP\r\n");
    assert_eq!(read(&mut stream), b"c NOOP\r\n");
    assert_eq!(stream.counters(), (29, 0));
}
