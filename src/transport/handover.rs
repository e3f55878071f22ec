//! Hands a connection from the process that has made its handshake to the one that goes on with it: [`Stream::freeze`] there,
//! [`Stream::thaw`] here, and between them octets of a closed format, which are read as coming from an enemy.

use super::records::Records;
use super::suite::{Keys, Suite, Version};
use super::wire::Wire;
use super::{Layer, Stream, Tls};
use crate::limits;
use rustls::{ConnectionTrafficSecrets, KeyLog};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// A connection between two processes: all that is needed to go on with it but the socket. Wiped when dropped; `Debug` shows no
/// secret.
pub struct Frozen {
    tls: Option<FrozenTls>,
    /// Plaintext octets received and sent, those of `unread` not counted.
    received: u64,
    sent: u64,
    /// What the client has sent and nobody has used.
    unread: Zeroizing<Vec<u8>>,
}

struct FrozenTls {
    suite: &'static Suite,
    /// The client has said that it sends nothing more.
    ended: bool,
    sending: Direction,
    receiving: Direction,
}

/// One direction: the sequence number of the next record, and what [`Keys`] are made from. In TLS 1.3 that is the traffic secret,
/// from which key and IV come (RFC 8446 section 7.3), so that they cannot contradict it.
struct Direction {
    sequence: u64,
    material: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls.as_ref().map(|tls| tls.suite.description());
        f.debug_struct("Frozen").field("tls", &tls).field("unread", &self.unread.len()).finish_non_exhaustive()
    }
}

const PLAIN: u8 = 0;
const TLS: u8 = 1;
/// A traffic secret of SHA-384; no key with its IV is longer.
const LONGEST_MATERIAL: usize = 48;

impl Frozen {
    /// No encoded connection is longer.
    pub const LONGEST: usize = 1 + 8 + 8 + 4 + limits::UNREAD_AT_LOGIN + 2 + 1 + 2 * (8 + LONGEST_MATERIAL);

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// As octets for [`Frozen::decode`], big-endian: a kind, the counters, for TLS suite, end and both directions, then the length of
    /// the unread octets and those.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Enough at once: what grows leaves copies behind that nobody wipes.
        let mut out = Zeroizing::new(Vec::with_capacity(Self::LONGEST - limits::UNREAD_AT_LOGIN + self.unread.len()));
        out.push(if self.is_tls() { TLS } else { PLAIN });
        out.extend_from_slice(&self.received.to_be_bytes());
        out.extend_from_slice(&self.sent.to_be_bytes());
        if let Some(tls) = &self.tls {
            out.extend_from_slice(&u16::from(tls.suite.id).to_be_bytes());
            out.push(tls.ended.into());
            for direction in [&tls.sending, &tls.receiving] {
                out.extend_from_slice(&direction.sequence.to_be_bytes());
                out.extend_from_slice(&direction.material);
            }
        }
        // `freeze` and `decode` see to it that they are few.
        let unread = u32::try_from(self.unread.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&unread.to_be_bytes());
        out.extend_from_slice(&self.unread);
        out
    }

    /// What [`Frozen::encode`] gives and nothing else: `InvalidData`.
    pub fn decode(octets: &[u8]) -> io::Result<Self> {
        let mut rest = Rest(octets);
        let [kind] = rest.array()?;
        let received = u64::from_be_bytes(rest.array()?);
        let sent = u64::from_be_bytes(rest.array()?);
        let tls = match kind {
            PLAIN => None,
            TLS => Some(FrozenTls::decode(&mut rest)?),
            _ => return Err(invalid("a connection of an unknown kind")),
        };
        let len = u32::from_be_bytes(rest.array()?) as usize;
        if len > limits::UNREAD_AT_LOGIN {
            return Err(invalid("a connection with too much unread"));
        }
        let unread = Zeroizing::new(rest.take(len)?.to_vec());
        if rest.0.is_empty() {
            Ok(Self { tls, received, sent, unread })
        } else {
            Err(invalid("octets behind a connection"))
        }
    }
}

impl FrozenTls {
    fn decode(rest: &mut Rest<'_>) -> io::Result<Self> {
        let suite = Suite::find(u16::from_be_bytes(rest.array()?)).ok_or_else(|| invalid("an unknown cipher suite"))?;
        let ended = match rest.array()? {
            [0] => false,
            [1] => true,
            _ => return Err(invalid("neither true nor false")),
        };
        let (sending, receiving) = (Direction::decode(rest, suite)?, Direction::decode(rest, suite)?);
        Ok(Self { suite, ended, sending, receiving })
    }
}

impl Direction {
    fn decode(rest: &mut Rest<'_>, suite: &Suite) -> io::Result<Self> {
        let sequence = u64::from_be_bytes(rest.array()?);
        if sequence > limits::RECORDS_PER_KEY {
            return Err(invalid("a sequence number that no login reaches"));
        }
        Ok(Self { sequence, material: Zeroizing::new(rest.take(suite.material_len())?.to_vec()) })
    }
}

/// What was not yet decoded.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| invalid("a connection cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| invalid("a connection cut short"))
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Stream {
    /// Takes the connection out of this process, to go on in another that has the same socket. `unused` was read from it and comes
    /// again, before all else. What is waiting to be sent is sent first. The socket is closed here, not shut down.
    pub fn freeze(self, unused: &[u8]) -> io::Result<Frozen> {
        let Self { layer, unread, received, sent } = self;
        let mut waiting = Zeroizing::new(Vec::with_capacity(limits::UNREAD_AT_LOGIN));
        waiting.extend_from_slice(unused.get(..limits::UNREAD_AT_LOGIN).unwrap_or(unused));
        waiting.extend_from_slice(unread.rest());
        let tls = match layer {
            Layer::Plain(_) => None,
            Layer::Tls(tls) => Some(freeze_tls(*tls, &mut waiting)?),
            Layer::Records(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "handed over already")),
        };
        if unused.len() > limits::UNREAD_AT_LOGIN || waiting.len() > limits::UNREAD_AT_LOGIN {
            return Err(invalid("too much was sent ahead"));
        }
        Ok(Frozen { tls, received: received.saturating_sub(unused.len() as u64), sent, unread: waiting })
    }

    /// Goes on with a connection over its socket.
    pub fn thaw(socket: OwnedFd, frozen: Frozen) -> io::Result<Self> {
        let Frozen { tls, received, sent, unread } = frozen;
        let wire = Wire::new(socket, None, limits::TIME_STALLED_BEFORE_LOGIN);
        let layer = match tls {
            None => Layer::Plain(wire),
            Some(FrozenTls { suite, ended, sending, receiving }) => {
                let sending = Keys::new(suite, &sending.material, sending.sequence)?;
                let receiving = Keys::new(suite, &receiving.material, receiving.sequence)?;
                Layer::Records(Box::new(Records::new(wire, suite, sending, receiving, ended)))
            }
        };
        Ok(Self { layer, unread: Unread { octets: unread, used: 0 }, received, sent })
    }
}

/// Octets that are read before anything else.
#[derive(Default)]
pub(super) struct Unread {
    octets: Zeroizing<Vec<u8>>,
    used: usize,
}

impl Unread {
    pub fn rest(&self) -> &[u8] {
        self.octets.get(self.used..).unwrap_or_default()
    }

    /// Gives what there is and forgets it.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.rest();
        let count = rest.len().min(buffer.len());
        if let (Some(from), Some(to)) = (rest.get(..count), buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.used += count;
        if self.rest().is_empty() {
            *self = Self::default();
        }
        count
    }
}

/// Appends what rustls has decrypted to `unread`.
fn freeze_tls(tls: Tls, unread: &mut Zeroizing<Vec<u8>>) -> io::Result<FrozenTls> {
    let Tls { stream, failed, secrets } = tls;
    let (mut connection, mut wire) = (stream.conn, stream.sock);
    if let Some(error) = failed {
        return Err(error);
    }
    // rustls changes its sending keys when it hears a KeyUpdate, and answers it when it next writes, be it nothing.
    let _nothing = connection.writer().write(&[])?;
    while connection.wants_write() {
        connection.write_tls(&mut wire)?;
    }
    if !wire.is_between_records() {
        return Err(io::Error::other("a TLS record is half read"));
    }
    let mut buffer = Zeroizing::new([0; 4096]);
    let ended = loop {
        match connection.reader().read(&mut *buffer) {
            Ok(0) => break true,
            // One record at most is waiting: `WholeRecords`.
            Ok(count) if unread.len() + count <= limits::UNREAD_AT_LOGIN => {
                unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            Ok(_) => return Err(invalid("too much was sent ahead")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
            Err(error) => return Err(error),
        }
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| Suite::find(suite.suite().into()));
    let suite = suite.ok_or_else(|| io::Error::other("no cipher suite of ours"))?;
    let extracted = connection.dangerous_extract_secrets().map_err(io::Error::other)?;
    let sending = Direction::extract(suite, extracted.tx, &secrets.server)?;
    let receiving = Direction::extract(suite, extracted.rx, &secrets.client)?;
    Ok(FrozenTls { suite, ended, sending, receiving })
}

impl Direction {
    /// From what rustls uses now and the secret with which this direction began.
    fn extract(suite: &Suite, used: (u64, ConnectionTrafficSecrets), first: &Mutex<Octets>) -> io::Result<Self> {
        let (sequence, used) = used;
        let (key, iv) = match used {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
            _ => return Err(io::Error::other("no cipher of ours")),
        };
        if suite.version() == Version::Tls12 {
            let material = Zeroizing::new([key.as_ref(), iv.as_ref()].concat());
            return Ok(Self { sequence, material });
        }
        let mut secret = first.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        for _ in 0..=limits::KEY_UPDATES_BEFORE_LOGIN {
            if *suite.key_and_iv(&secret)?.0 == key.as_ref() {
                return Ok(Self { sequence, material: secret });
            }
            secret = suite.next_secret(&secret)?;
        }
        Err(io::Error::other("too many KeyUpdates before login"))
    }
}

/// The traffic secrets with which both directions of one connection began (RFC 8446 section 7.1). rustls gives out keys, but not
/// what the next keys come from. Empty in TLS 1.2, where there are no next.
#[derive(Debug, Default)]
pub(super) struct TrafficSecrets {
    client: Mutex<Octets>,
    server: Mutex<Octets>,
}

#[derive(Default)]
struct Octets(Zeroizing<Vec<u8>>);

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Octets(...)")
    }
}

impl TrafficSecrets {
    /// When they will not be asked for.
    pub fn forget(&self) {
        for place in [&self.client, &self.server] {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Octets::default();
        }
    }
}

const CLIENT_SECRET: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER_SECRET: &str = "SERVER_TRAFFIC_SECRET_0";

impl KeyLog for TrafficSecrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let place = match label {
            CLIENT_SECRET => &self.client,
            SERVER_SECRET => &self.server,
            _ => return,
        };
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Octets(Zeroizing::new(secret.to_vec()));
    }

    fn will_log(&self, label: &str) -> bool {
        label == CLIENT_SECRET || label == SERVER_SECRET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_a_connection_are_kept_and_not_shown_until_they_are_forgotten() {
        let secrets = TrafficSecrets::default();
        let kept = |place: &Mutex<Octets>| place.lock().unwrap().0.to_vec();
        let labels =
            [CLIENT_SECRET, SERVER_SECRET, "CLIENT_RANDOM", "EXPORTER_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"];
        for (n, label) in labels.into_iter().enumerate() {
            assert_eq!(secrets.will_log(label), n < 2);
            secrets.log(label, b"random", &[201 + n as u8; 32]);
        }
        assert_eq!((kept(&secrets.client), kept(&secrets.server)), (vec![201; 32], vec![202; 32]));
        let shown = format!("{secrets:?}");
        assert!(!shown.contains("201") && !shown.contains("202"), "{shown}");
        secrets.forget();
        assert!(kept(&secrets.client).is_empty() && kept(&secrets.server).is_empty());
    }

    #[test]
    fn no_suite_needs_more_octets_than_are_allowed() {
        assert!(super::super::suite::each().all(|suite| suite.material_len() <= LONGEST_MATERIAL));
    }
}
