//! The closed set of messages between a gate and its child, one to a packet of a socket pair. What a gate sends is read as coming from an
//! enemy: it talks to strangers.

use crate::auth::{Account, Credentials, Refusal};
use crate::limits;
use crate::session::Tag;
use crate::transport::handover::Frozen;
use crate::types::Secret;
use std::io;
use zeroize::Zeroizing;

/// What a gate may say.
pub enum FromGate {
    /// Are these somebody's? To be answered by an [`Answer`].
    Login(Credentials),
    /// The client may go on. Said once, and last, after a yes.
    Crossing(Crossing),
    /// The connection has ended, for this reason, which is for the log.
    Ended(String),
}

/// The connection of a client who has logged in, still in the octets of the gate.
pub struct Crossing(Zeroizing<Vec<u8>>);

const LOGIN: u8 = b'l';
const CROSSING: u8 = b'c';
const ENDED: u8 = b'e';

/// No user name or password that a command can carry is longer: each is a literal or a part of the line.
const LONGEST_CREDENTIAL: usize = limits::LINE_BEFORE_LOGIN + limits::LITERAL_BEFORE_LOGIN as usize;
/// A tag is at most a line.
const LONGEST_CROSSING: usize = 2 + limits::LINE_BEFORE_LOGIN + Frozen::LONGEST;
/// What is longer is cut: it is for people.
const LONGEST_REASON: usize = 200;

impl FromGate {
    /// Octets of the longest message.
    pub const LONGEST: usize =
        1 + if 2 + 2 * LONGEST_CREDENTIAL > LONGEST_CROSSING { 2 + 2 * LONGEST_CREDENTIAL } else { LONGEST_CROSSING };

    /// Two octets for the length of the name, the name, the password.
    pub fn login(credentials: &Credentials) -> io::Result<Zeroizing<Vec<u8>>> {
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        let length = u16::try_from(user.len()).map_err(|_| too_long())?;
        message(LOGIN, &[&length.to_be_bytes(), user, password])
    }

    /// Two octets for the length of the tag, the tag, the connection.
    pub fn crossing(tag: &Tag, frozen: &Frozen) -> io::Result<Zeroizing<Vec<u8>>> {
        let tag = tag.as_str().as_bytes();
        let length = u16::try_from(tag.len()).map_err(|_| too_long())?;
        message(CROSSING, &[&length.to_be_bytes(), tag, &frozen.encode()])
    }

    /// The reason, cut to what anybody reads.
    pub fn ended(reason: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        message(ENDED, &[reason.get(..LONGEST_REASON).unwrap_or(reason).as_bytes()])
    }

    /// `None` if it is none of these.
    pub fn parse(octets: Zeroizing<Vec<u8>>) -> Option<Self> {
        let (&kind, rest) = octets.split_first()?;
        match kind {
            LOGIN => {
                let (user, password) = split(rest)?;
                let within = user.len() <= LONGEST_CREDENTIAL && password.len() <= LONGEST_CREDENTIAL;
                let user = within.then(|| std::str::from_utf8(user).ok()).flatten()?.to_owned();
                Some(Self::Login(Credentials { user, password: Secret::new(password.to_vec()) }))
            }
            CROSSING if rest.len() <= LONGEST_CROSSING => Some(Self::Crossing(Crossing(octets))),
            ENDED if rest.len() <= LONGEST_REASON => Some(Self::Ended(String::from_utf8_lossy(rest).into_owned())),
            _ => None,
        }
    }
}

impl Crossing {
    /// The tag of the command that waits for its OK, and the connection. To be called where there is no privilege any more: this is the first time that
    /// anybody looks.
    pub fn open(self) -> io::Result<(Tag, Frozen)> {
        let parts = self.0.get(1..).and_then(split);
        let (tag, frozen) = parts.ok_or(io::ErrorKind::InvalidData)?;
        let tag = std::str::from_utf8(tag).ok().and_then(Tag::new).ok_or(io::ErrorKind::InvalidData)?;
        Ok((tag, Frozen::decode(frozen)?))
    }
}

/// What stands behind its length, and the rest.
fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

fn message(kind: u8, parts: &[&[u8]]) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    if length > FromGate::LONGEST {
        return Err(too_long());
    }
    // Enough at once: what grows leaves copies behind that nobody wipes.
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    message.push(kind);
    parts.iter().for_each(|part| message.extend_from_slice(part));
    Ok(message)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "too long for a message")
}

/// What a child says to a gate: one octet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Yes,
    No(Refusal),
}

impl Answer {
    pub fn to(result: &Result<Account, Refusal>) -> Self {
        result.as_ref().map_or_else(|&refusal| Self::No(refusal), |_| Self::Yes)
    }

    pub fn octet(self) -> u8 {
        match self {
            Self::Yes => b'y',
            Self::No(Refusal::Failed) => b'n',
            Self::No(Refusal::Expired) => b'x',
            Self::No(Refusal::Unavailable) => b'u',
        }
    }

    pub fn of_octet(octet: u8) -> Option<Self> {
        [Self::Yes, Self::No(Refusal::Failed), Self::No(Refusal::Expired), Self::No(Refusal::Unavailable)]
            .into_iter()
            .find(|answer| answer.octet() == octet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let credentials = Credentials { user: user.to_owned(), password: Secret::new(password.to_vec()) };
        FromGate::login(&credentials).unwrap()
    }

    fn parse(octets: &[u8]) -> Option<FromGate> {
        FromGate::parse(Zeroizing::new(octets.to_vec()))
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        for (user, password) in [("al", &b"secret"[..]), ("", b""), ("j\u{f6}rg", b"\0\xff")] {
            let Some(FromGate::Login(heard)) = FromGate::parse(login(user, password)) else { panic!("{user}") };
            assert_eq!((heard.user.as_str(), heard.password.expose()), (user, password));
        }
        let Some(FromGate::Ended(reason)) = FromGate::parse(FromGate::ended(&"x".repeat(1000)).unwrap()) else {
            panic!("not an end");
        };
        assert_eq!(reason, "x".repeat(200));
        for answer in [Answer::Yes, Answer::No(Refusal::Failed), Answer::No(Refusal::Expired)] {
            assert_eq!(Answer::of_octet(answer.octet()), Some(answer));
        }
        assert_eq!(Answer::of_octet(0), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        for octets in [
            &b""[..],
            b"z",
            b"y",
            b"l",
            b"l\0",
            b"l\0\x02a",
            b"l\xff\xffabc",
            b"l\0\x01\xffpassword",
            &[&b"e"[..], &[b'x'; 201]].concat(),
            &[&b"l\0\x01a"[..], &vec![b'p'; LONGEST_CREDENTIAL + 1]].concat(),
            &[&b"c"[..], &vec![0; LONGEST_CROSSING + 1]].concat(),
        ] {
            assert!(parse(octets).is_none(), "{:?}", octets.get(..20).unwrap_or(octets));
        }
    }

    #[test]
    fn a_crossing_that_is_none_opens_nothing() {
        for octets in [
            &b"c"[..],
            b"c\0",
            b"c\0\0",
            b"c\0\x02a",
            b"c\0\x01a",
            b"c\0\x01a\0\0\0",
            b"c\0\x03a b\0",
            b"c\0\x01\xff\0",
        ] {
            let Some(FromGate::Crossing(crossing)) = parse(octets) else { panic!("{octets:?}") };
            assert!(crossing.open().is_err(), "{octets:?}");
        }
        arbtest::arbtest(|u| {
            let octets: Vec<u8> = u.arbitrary()?;
            if let Some(FromGate::Crossing(crossing)) = parse(&octets) {
                let _ = crossing.open();
            }
            Ok(())
        });
    }

    /// Right messages that are damaged, and octets that were never right: what is understood is within its limits and says the same when it is said again.
    #[test]
    fn of_thousands_of_messages_none_is_more_than_it_may_be() {
        let crossing = [&b"c\0\x01t\0"[..], &[0; 20]].concat();
        let right = [login("al", b"secret").to_vec(), login("", b"").to_vec(), crossing, b"ereason".to_vec()];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut dice = |sides: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % sides
        };
        let mut understood = [0; 4];
        for _ in 0..5_000 {
            let mut octets = match dice(4) {
                0 => (0..dice(60)).map(|_| dice(256) as u8).collect(),
                _ => right[dice(right.len())].clone(),
            };
            for _ in 0..dice(4) {
                let at = dice(octets.len() + 1);
                match dice(4) {
                    0 => octets.insert(at, dice(256) as u8),
                    1 => octets.truncate(at),
                    2 => octets.resize(octets.len() + dice(2 * FromGate::LONGEST), b'x'),
                    _ => octets.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 1 << dice(8)),
                }
            }
            let kind = match parse(&octets) {
                Some(FromGate::Login(credentials)) => {
                    let (user, password) = (&credentials.user, credentials.password.expose());
                    assert!(user.len() <= LONGEST_CREDENTIAL && password.len() <= LONGEST_CREDENTIAL);
                    assert_eq!(**FromGate::login(&credentials).as_ref().unwrap(), octets);
                    0
                }
                Some(FromGate::Crossing(crossing)) => {
                    assert!(octets.len() <= FromGate::LONGEST);
                    let _ = crossing.open();
                    1
                }
                // An octet that is no UTF-8 takes three.
                Some(FromGate::Ended(reason)) => {
                    assert!(reason.len() <= 3 * LONGEST_REASON);
                    2
                }
                None => 3,
            };
            understood[kind] += 1;
        }
        assert!(understood.iter().all(|&count| count > 200), "{understood:?}");
    }
}
