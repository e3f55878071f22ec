//! The closed set of messages between a gate and its child, one to a packet of a socket pair. What a gate sends is read as coming from an
//! enemy: it talks to strangers.

use super::reports;
use crate::auth::{Account, Credentials, Refusal};
use crate::limits;
use crate::session::Tag;
use crate::session::login::Ended;
use crate::transport::handover::Frozen;
use crate::types::Secret;
use std::io;
use std::net::{IpAddr, SocketAddr};
use zeroize::Zeroizing;

/// What a gate may say.
pub enum FromGate {
    /// A proxy says that the client has this address. May there be a connection from there?
    From(SocketAddr),
    /// Are these somebody's?
    Login(Credentials),
    /// The client may go on. Said once, and last, after a yes.
    Crossing(Crossing),
    /// The connection has ended, and why.
    Ended(Ended),
}

/// The connection of a client who has logged in, still in the octets of the gate.
pub struct Crossing(Zeroizing<Vec<u8>>);

const FROM: u8 = b'f';
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

    /// Two octets for the port, and those of the address.
    pub fn from(address: SocketAddr) -> io::Result<Zeroizing<Vec<u8>>> {
        let port = address.port().to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => message(FROM, &[&port, &ip.octets()]),
            IpAddr::V6(ip) => message(FROM, &[&port, &ip.octets()]),
        }
    }

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

    /// An octet for how to take it, and the reason, cut to what anybody reads.
    pub fn ended(Ended { reason, ending }: &Ended) -> io::Result<Zeroizing<Vec<u8>>> {
        let ending = u8::try_from(reports::status(*ending)).unwrap_or(0);
        message(ENDED, &[&[ending], reason.get(..LONGEST_REASON).unwrap_or(reason).as_bytes()])
    }

    /// `None` if it is none of these.
    pub fn parse(octets: Zeroizing<Vec<u8>>) -> Option<Self> {
        let (&kind, rest) = octets.split_first()?;
        match kind {
            FROM => {
                let (port, ip) = rest.split_first_chunk()?;
                let v4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
                let ip = v4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok()?;
                Some(Self::From(SocketAddr::new(ip, u16::from_be_bytes(*port))))
            }
            LOGIN => {
                let (user, password) = split(rest)?;
                let within = user.len() <= LONGEST_CREDENTIAL && password.len() <= LONGEST_CREDENTIAL;
                let user = within.then(|| std::str::from_utf8(user).ok()).flatten()?.to_owned();
                Some(Self::Login(Credentials { user, password: Secret::new(password.to_vec()) }))
            }
            CROSSING if rest.len() <= LONGEST_CROSSING => Some(Self::Crossing(Crossing(octets))),
            ENDED => {
                let (&ending, reason) = rest.split_first().filter(|(_, reason)| reason.len() <= LONGEST_REASON)?;
                let reason = String::from_utf8_lossy(reason).into_owned();
                Some(Self::Ended(Ended { reason, ending: reports::ending(ending.into())? }))
            }
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

/// What a child answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To [`FromGate::From`]; why there may be no connection from there.
    Placed(Option<String>),
    /// To [`FromGate::Login`].
    Yes,
    No(Refusal),
}

const PLACED: u8 = b'p';

impl Answer {
    /// Octets of the longest.
    pub const LONGEST: usize = 1 + LONGEST_REASON;

    pub fn to(result: &Result<Account, Refusal>) -> Self {
        result.as_ref().map_or_else(|&refusal| Self::No(refusal), |_| Self::Yes)
    }

    pub fn octets(&self) -> Vec<u8> {
        match self {
            Self::Placed(why) => {
                let why = why.as_deref().unwrap_or_default();
                [&[PLACED], why.get(..LONGEST_REASON).unwrap_or(why).as_bytes()].concat()
            }
            Self::Yes => b"y".to_vec(),
            Self::No(Refusal::Failed) => b"n".to_vec(),
            Self::No(Refusal::Expired) => b"x".to_vec(),
            Self::No(Refusal::Unavailable) => b"u".to_vec(),
        }
    }

    /// `None` if it is none of these.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        match octets {
            [PLACED, why @ ..] => {
                Some(Self::Placed((!why.is_empty()).then(|| String::from_utf8_lossy(why).into_owned())))
            }
            b"y" => Some(Self::Yes),
            b"n" => Some(Self::No(Refusal::Failed)),
            b"x" => Some(Self::No(Refusal::Expired)),
            b"u" => Some(Self::No(Refusal::Unavailable)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::login::Ending;

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
        let ended = |reason: &str| Ended { reason: reason.to_owned(), ending: Ending::TimeUp };
        let Some(FromGate::Ended(heard)) = FromGate::parse(FromGate::ended(&ended(&"x".repeat(1000))).unwrap()) else {
            panic!("not an end");
        };
        assert_eq!(heard, ended(&"x".repeat(200)));
        for address in ["192.0.2.7:143", "[2001:db8::7]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            let said = FromGate::parse(FromGate::from(address).unwrap());
            assert!(matches!(said, Some(FromGate::From(heard)) if heard == address));
        }
        let no = |refusal| Answer::No(refusal);
        for answer in [
            Answer::Placed(None),
            Answer::Placed(Some("too many".to_owned())),
            Answer::Yes,
            no(Refusal::Failed),
            no(Refusal::Expired),
            no(Refusal::Unavailable),
        ] {
            assert_eq!(Answer::parse(&answer.octets()), Some(answer));
        }
        for octets in [&b""[..], b"z", b"yy"] {
            assert_eq!(Answer::parse(octets), None);
        }
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
            b"e",
            b"e\x09why",
            &[&b"e\0"[..], &[b'x'; 201]].concat(),
            b"f\0\x8f\x01\x02\x03",
            b"f\0\x8f",
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
        let right = [
            login("al", b"secret").to_vec(),
            login("", b"").to_vec(),
            crossing,
            b"e\0reason".to_vec(),
            b"f\0\x01abcd".to_vec(),
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut dice = |sides: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % sides
        };
        let mut understood = [0; 5];
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
                Some(FromGate::Ended(Ended { reason, .. })) => {
                    assert!(reason.len() <= 3 * LONGEST_REASON);
                    2
                }
                Some(FromGate::From(address)) => {
                    assert_eq!(**FromGate::from(address).as_ref().unwrap(), octets);
                    3
                }
                None => 4,
            };
            understood[kind] += 1;
        }
        assert!(understood.iter().all(|&count| count > 200), "{understood:?}");
    }
}
