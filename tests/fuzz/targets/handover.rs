//! A connection that was handed over. Its octets come from an enemy: what is decoded encodes alike. And then a client that has the keys
//! sends records of any kind: what is read is what was sent as data, in order, and what is answered are whole records.

#![no_main]

use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use libfuzzer_sys::fuzz_target;
use ring::aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// What fits into a socket's buffer, so that one thread can write it all before the server reads.
const LONGEST: usize = 8 * 1024;

const DATA: u8 = 23;
const TLS13_AES_128_GCM_SHA256: u16 = 0x1301;
const TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: u16 = 0xcca9;

fuzz_target!(|octets: &[u8]| {
    if let Ok(frozen) = Frozen::decode(octets) {
        assert_eq!(*frozen.encode(), octets);
    }
    let Some((&mode, said)) = octets.split_first() else { return };
    if said.len() > LONGEST {
        return;
    }
    let (suite, material) = match mode % 2 {
        0 => (TLS13_AES_128_GCM_SHA256, 32),
        _ => (TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 44),
    };
    let mut connection = vec![1];
    connection.extend([0; 16]);
    connection.extend(suite.to_be_bytes());
    connection.push(0);
    for of in [2, 1] {
        connection.extend([0; 8]);
        connection.extend(vec![of; material]);
    }
    connection.extend([0; 4]);
    let frozen = Frozen::decode(&connection).expect("a connection that is well made");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let mut stream = Stream::thaw(ours.into(), frozen).expect("keys of the right length");
    assert!(stream.is_tls());

    let mut client = Client::new(suite, vec![1; material]);
    let (mut rest, mut sent) = (said, Vec::new());
    let mut wire = Vec::new();
    // A kind, a length, and so many octets: a record, or what is none.
    while let [kind, len, after @ ..] = rest {
        let (fragment, after) = after.split_at(after.len().min(usize::from(*len)));
        rest = after;
        match kind {
            0x80.. => wire.extend_from_slice(fragment),
            &kind => client.seal(kind, fragment, &mut wire),
        }
        if *kind == DATA {
            sent.extend_from_slice(fragment);
        }
    }
    theirs.write_all(&wire).expect("it fits");
    theirs.shutdown(Shutdown::Write).expect("an open socket");

    let mut read = Vec::new();
    let mut buffer = vec![0; 1 + usize::from(mode)];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..count]);
        // Few: nobody reads them yet, and each takes its place in the socket.
        if read.len() < 100 {
            let _ = stream.write_all(b"x");
        }
        assert!(read.len() <= LONGEST);
    }
    // Padding makes data of other kinds, so in TLS 1.3 only a client that sends none can be held to it.
    if suite != TLS13_AES_128_GCM_SHA256 {
        assert!(sent.starts_with(&read));
    }
    stream.close();
    drop(stream);
    let mut answers = Vec::new();
    theirs.read_to_end(&mut answers).expect("whole answers");
    let mut rest = &answers[..];
    while let [kind, 3, 3, high, low, after @ ..] = rest {
        assert!((21..=23).contains(kind));
        rest = after.get(usize::from(u16::from_be_bytes([*high, *low]))..).expect("a whole record");
    }
    assert!(rest.is_empty());
});

/// The sending half of a client.
struct Client {
    tls13: bool,
    material: Vec<u8>,
    sequence: u64,
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

impl Client {
    fn new(suite: u16, material: Vec<u8>) -> Self {
        Self { tls13: suite == TLS13_AES_128_GCM_SHA256, material, sequence: 0 }
    }

    /// RFC 8446 section 7.1.
    fn expanded(&self, label: &str, len: usize) -> Vec<u8> {
        let info = [&[0, len as u8, 6 + label.len() as u8][..], b"tls13 ", label.as_bytes(), &[0]];
        let mut out = vec![0; len];
        let prk = Prk::new_less_safe(HKDF_SHA256, &self.material);
        prk.expand(&info, Len(len)).and_then(|okm| okm.fill(&mut out)).expect("a short secret");
        out
    }

    fn seal(&mut self, kind: u8, fragment: &[u8], wire: &mut Vec<u8>) {
        let (key, iv) = if self.tls13 {
            (self.expanded("key", 16), self.expanded("iv", 12))
        } else {
            (self.material[..32].to_vec(), self.material[32..].to_vec())
        };
        let mut nonce: [u8; 12] = iv.try_into().expect("12 octets");
        for (octet, of_sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *octet ^= of_sequence;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let mut text = fragment.to_vec();
        if self.tls13 {
            text.push(kind);
        }
        let body = ((text.len() + 16) as u16).to_be_bytes();
        let header = [if self.tls13 { DATA } else { kind }, 3, 3, body[0], body[1]];
        let aad = if self.tls13 {
            header.to_vec()
        } else {
            let len = (fragment.len() as u16).to_be_bytes();
            [&self.sequence.to_be_bytes()[..], &header[..3], &len].concat()
        };
        let cipher = if self.tls13 { &AES_128_GCM } else { &CHACHA20_POLY1305 };
        let cipher = LessSafeKey::new(UnboundKey::new(cipher, &key).expect("a key of its length"));
        cipher.seal_in_place_append_tag(nonce, Aad::from(aad), &mut text).expect("a short record");
        wire.extend(header);
        wire.extend(text);
        self.sequence += 1;
        if self.tls13 && kind == 22 && matches!(fragment, [24, 0, 0, 1, 0 | 1]) {
            self.material = self.expanded("traffic upd", 32);
            self.sequence = 0;
        }
    }
}
