//! The cipher suites that we offer, and what each does with one record: seal it, open it, and the keys that come next. No I/O.

use crate::limits;
use ring::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{self, Prk};
use rustls::CipherSuite;
use std::io;
use std::ops::Range;
use zeroize::Zeroizing;

/// What stands before the body of a record: content type, version, length (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
pub(super) const HEADER: usize = 5;
/// The content of one record at most (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
pub(super) const FRAGMENT: usize = 1 << 14;
/// The authentication tag of every suite.
const TAG: usize = 16;
/// The part of the nonce that TLS 1.2 sends along with AES-GCM (RFC 5288 section 3).
const EXPLICIT: usize = 8;
/// A header, and all that any suite adds to a fragment.
pub(super) const RECORD: usize = HEADER + EXPLICIT + FRAGMENT + TAG;

/// Content types (RFC 8446 section 5.1).
pub(super) mod content {
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// What can be told to a peer (RFC 8446 section 6, RFC 5246 section 7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alert {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    IllegalParameter = 47,
    DecodeError = 50,
    InternalError = 80,
    UserCanceled = 90,
    NoRenegotiation = 100,
}

/// What a peer may not do: the alert that tells it, and words for our log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Violation(pub Alert, pub &'static str);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// A cipher suite; which it is says also which version of TLS is spoken.
pub(super) struct Suite {
    pub id: CipherSuite,
    cipher: &'static aead::Algorithm,
    /// That of the key schedule of TLS 1.3; none: TLS 1.2.
    hash: Option<&'static hkdf::Algorithm>,
}

static SUITES: [Suite; 9] = [
    tls13(CipherSuite::TLS13_AES_256_GCM_SHA384, &aead::AES_256_GCM, &hkdf::HKDF_SHA384),
    tls13(CipherSuite::TLS13_AES_128_GCM_SHA256, &aead::AES_128_GCM, &hkdf::HKDF_SHA256),
    tls13(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &aead::CHACHA20_POLY1305, &hkdf::HKDF_SHA256),
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, &aead::AES_256_GCM),
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &aead::AES_128_GCM),
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &aead::CHACHA20_POLY1305),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, &aead::AES_256_GCM),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, &aead::AES_128_GCM),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, &aead::CHACHA20_POLY1305),
];

const fn tls13(id: CipherSuite, cipher: &'static aead::Algorithm, hash: &'static hkdf::Algorithm) -> Suite {
    Suite { id, cipher, hash: Some(hash) }
}

const fn tls12(id: CipherSuite, cipher: &'static aead::Algorithm) -> Suite {
    Suite { id, cipher, hash: None }
}

impl Suite {
    /// By the number that it has on the wire.
    pub fn find(id: u16) -> Option<&'static Self> {
        SUITES.iter().find(|suite| u16::from(suite.id) == id)
    }

    pub fn version(&self) -> Version {
        if self.hash.is_some() { Version::Tls13 } else { Version::Tls12 }
    }

    /// As rustls would describe it: `TLSv1.3 TLS13_AES_128_GCM_SHA256`.
    pub fn description(&self) -> String {
        let version = match self.version() {
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        };
        format!("{version} {:?}", self.id)
    }

    /// The octets from which the keys of one direction come: in TLS 1.3 the traffic secret, in TLS 1.2 the key and the whole IV.
    pub fn material_len(&self) -> usize {
        match self.hash {
            Some(hash) => hash.hmac_algorithm().digest_algorithm().output_len(),
            None => self.cipher.key_len() + NONCE_LEN,
        }
    }

    /// How many records one key may seal. RFC 8446 section 5.5: with ChaCha20-Poly1305 the sequence number would wrap first.
    fn records_per_key(&self) -> u64 {
        if self.cipher == &aead::CHACHA20_POLY1305 { u64::MAX - 1 } else { limits::RECORDS_PER_KEY }
    }

    /// Octets that the nonce takes within a record.
    fn explicit_len(&self) -> usize {
        let explicit = self.hash.is_none() && self.cipher != &aead::CHACHA20_POLY1305;
        if explicit { EXPLICIT } else { 0 }
    }

    /// The greatest body that can hold an allowed fragment. RFC 8446 section 5.2 lets a record be a little longer, but then
    /// what is in it is too long (section 5.4), which is answered alike; so do RFC 5246 sections 6.2.1 and 6.2.3.
    pub fn longest_body(&self) -> usize {
        let inner_type = usize::from(self.hash.is_some());
        self.explicit_len() + FRAGMENT + inner_type + TAG
    }

    /// Key and IV. RFC 8446 section 7.3.
    pub fn key_and_iv(&self, material: &[u8]) -> io::Result<(Zeroizing<Vec<u8>>, [u8; NONCE_LEN])> {
        let mut key = Zeroizing::new(vec![0; self.cipher.key_len()]);
        let mut iv = [0; NONCE_LEN];
        match self.hash {
            Some(hash) => {
                expand_label(*hash, material, "key", &mut key)?;
                expand_label(*hash, material, "iv", &mut iv)?;
            }
            None => {
                let (raw_key, raw_iv) = material.split_at_checked(key.len()).ok_or_else(unusable)?;
                key.copy_from_slice(raw_key);
                iv = raw_iv.try_into().map_err(|_| unusable())?;
            }
        }
        Ok((key, iv))
    }

    /// The traffic secret after this one; `InvalidInput` in TLS 1.2. RFC 8446 section 7.2.
    pub fn next_secret(&self, secret: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let hash = self.hash.ok_or(io::ErrorKind::InvalidInput)?;
        let mut next = Zeroizing::new(vec![0; self.material_len()]);
        expand_label(*hash, secret, "traffic upd", &mut next)?;
        Ok(next)
    }
}

fn unusable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the TLS keys are not usable")
}

/// HKDF-Expand-Label with an empty context: RFC 8446 section 7.1.
fn expand_label(hash: hkdf::Algorithm, secret: &[u8], label: &str, out: &mut [u8]) -> io::Result<()> {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    const PREFIX: &str = "tls13 ";
    let len = u16::try_from(out.len()).map_err(|_| unusable())?.to_be_bytes();
    let label_len = u8::try_from(PREFIX.len() + label.len()).map_err(|_| unusable())?;
    let info = [&len[..], &[label_len], PREFIX.as_bytes(), label.as_bytes(), &[0]];
    let prk = Prk::new_less_safe(hash, secret);
    let okm = prk.expand(&info, Len(out.len())).map_err(|_| unusable())?;
    okm.fill(out).map_err(|_| unusable())
}

/// The keys of one direction.
pub(super) struct Keys {
    suite: &'static Suite,
    cipher: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// Of the next record.
    sequence: u64,
    /// TLS 1.3: what the next keys come from. Empty in TLS 1.2.
    secret: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// From octets of [`Suite::material_len`].
    pub fn new(suite: &'static Suite, material: &[u8], sequence: u64) -> io::Result<Self> {
        if material.len() != suite.material_len() {
            return Err(unusable());
        }
        let (key, iv) = suite.key_and_iv(material)?;
        let cipher = LessSafeKey::new(UnboundKey::new(suite.cipher, &key).map_err(|_| unusable())?);
        let secret = match suite.version() {
            Version::Tls12 => Zeroizing::default(),
            Version::Tls13 => Zeroizing::new(material.to_vec()),
        };
        Ok(Self { suite, cipher, iv, sequence, secret })
    }

    /// Changes to the next keys (RFC 8446 section 7.2).
    pub fn update(&mut self) -> io::Result<()> {
        *self = Self::new(self.suite, &self.suite.next_secret(&self.secret)?, 0)?;
        Ok(())
    }

    /// How many more records these keys may seal.
    pub fn left(&self) -> u64 {
        self.suite.records_per_key().saturating_sub(self.sequence)
    }

    /// RFC 8446 section 5.3, RFC 7905 section 2; and rustls makes its explicit nonces of RFC 5288 in this way too, so that none
    /// that it used comes again.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (octet, of_sequence) in nonce.iter_mut().rev().zip(self.sequence.to_le_bytes()) {
            *octet ^= of_sequence;
        }
        nonce
    }

    /// Appends one record with this fragment, which is at most [`FRAGMENT`] octets long. Fails when the keys are used up.
    pub fn seal(&mut self, content: u8, fragment: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if self.left() == 0 || fragment.len() > FRAGMENT {
            return Err(io::Error::other("the TLS keys are used up"));
        }
        let nonce = self.nonce();
        let explicit = self.suite.explicit_len();
        let inner_type = self.suite.version() == Version::Tls13;
        let body = explicit + fragment.len() + usize::from(inner_type) + TAG;
        let [high, low] = u16::try_from(body).map_err(io::Error::other)?.to_be_bytes();
        // RFC 8446 section 5.2: what it is stands within.
        let outer = if inner_type { content::APPLICATION_DATA } else { content };
        let header = [outer, 3, 3, high, low];
        out.reserve(HEADER + body);
        out.extend_from_slice(&header);
        out.extend_from_slice(nonce.get(NONCE_LEN - explicit..).unwrap_or_default());
        let start = out.len();
        out.extend_from_slice(fragment);
        if inner_type {
            out.push(content);
        }
        let text = out.get_mut(start..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = if inner_type {
            self.cipher.seal_in_place_separate_tag(nonce, Aad::from(header), text)
        } else {
            let aad = self.aad_of_tls12([content, 3, 3], fragment.len());
            self.cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), text)
        };
        let tag = tag.map_err(|_| io::Error::other("a TLS record cannot be sealed"))?;
        out.extend_from_slice(tag.as_ref());
        self.sequence += 1;
        Ok(())
    }

    /// RFC 5246 section 6.2.3.3.
    fn aad_of_tls12(&self, type_and_version: [u8; 3], len: usize) -> [u8; 13] {
        let mut aad = [0; 13];
        let (sequence, rest) = aad.split_at_mut(8);
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        let [kind, major, minor] = type_and_version;
        // At most RECORD, which 16 bits hold.
        let [.., high, low] = len.to_be_bytes();
        rest.copy_from_slice(&[kind, major, minor, high, low]);
        aad
    }

    /// Opens one whole record in place, with a body that is not longer than [`Suite::longest_body`]: its content type, and where the
    /// content stands in it.
    pub fn open(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), Violation> {
        const DAMAGED: Violation = Violation(Alert::BadRecordMac, "a TLS record is damaged");
        let (header, body) = record.split_first_chunk_mut::<HEADER>().ok_or(DAMAGED)?;
        let explicit = self.suite.explicit_len();
        let (sent_nonce, sealed) = body.split_at_mut_checked(explicit).ok_or(DAMAGED)?;
        let mut nonce = self.nonce();
        if let Some(place) = nonce.last_chunk_mut::<EXPLICIT>()
            && explicit > 0
        {
            place.copy_from_slice(sent_nonce);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let next = self.sequence.checked_add(1).ok_or(DAMAGED)?;
        let start = HEADER + explicit;
        let [outer, major, minor, ..] = *header;
        let opened = match self.suite.version() {
            Version::Tls13 => {
                let inner = self.cipher.open_in_place(nonce, Aad::from(*header), sealed).map_err(|_| DAMAGED)?;
                // RFC 8446 section 5.4: behind the content its type, then any number of zeros.
                let end = inner
                    .iter()
                    .rposition(|&octet| octet != 0)
                    .ok_or(Violation(Alert::UnexpectedMessage, "a TLS record without a content type"))?;
                (inner.get(end).copied().unwrap_or_default(), start..start + end)
            }
            Version::Tls12 => {
                let len = sealed.len().checked_sub(TAG).ok_or(DAMAGED)?;
                let aad = self.aad_of_tls12([outer, major, minor], len);
                let content = self.cipher.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| DAMAGED)?;
                (outer, start..start + content.len())
            }
        };
        self.sequence = next;
        Ok(opened)
    }
}

/// Every suite, for tests that hold for each.
#[cfg(test)]
pub(super) fn each() -> impl Iterator<Item = &'static Suite> {
    SUITES.iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn the_suites_are_those_of_rustls() {
        let theirs: Vec<_> = rustls::crypto::ring::DEFAULT_CIPHER_SUITES.iter().map(|suite| suite.suite()).collect();
        assert_eq!(SUITES.iter().map(|suite| suite.id).collect::<Vec<_>>(), theirs);
        for (ours, theirs) in SUITES.iter().zip(rustls::crypto::ring::DEFAULT_CIPHER_SUITES) {
            assert_eq!(ours.version() == Version::Tls13, theirs.tls13().is_some());
        }
        assert!(Suite::find(0x1304).is_none() && Suite::find(0).is_none());
    }

    /// The client's and the server's application data of the simple 1-RTT handshake in RFC 8448 section 3.
    #[test]
    fn the_records_of_rfc_8448_come_out() {
        let suite = Suite::find(0x1301).unwrap();
        let secret = octets("9e40646c e79a7f9d c05af888 9bce6552 875afa0b 06df0087 f792ebb7 c17504a5");
        let (key, iv) = suite.key_and_iv(&secret).unwrap();
        assert_eq!(*key, octets("17422dda 596ed5d9 acd890e3 c63f5051"));
        assert_eq!(iv.to_vec(), octets("5b78923d ee085790 33e523d9"));
        let record = octets(
            "1703030043 a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2\
             977014bd1e3deae63aeebb21694915e4",
        );
        let content: Vec<u8> = (0..50).collect();
        let mut sealed = Vec::new();
        Keys::new(suite, &secret, 0).unwrap().seal(content::APPLICATION_DATA, &content, &mut sealed).unwrap();
        assert_eq!(sealed, record);
        let (kind, place) = Keys::new(suite, &secret, 0).unwrap().open(&mut sealed).unwrap();
        assert_eq!((kind, &sealed[place]), (content::APPLICATION_DATA, &content[..]));
    }

    /// RFC 5288 section 3 and RFC 5246 section 6.2.3.3: salt, explicit nonce, and what is authenticated; RFC 7905 section 2: no
    /// explicit nonce.
    #[test]
    fn the_records_of_tls_1_2_are_built_as_the_rfcs_say() {
        for (id, explicit) in [(0xc02b, 8), (0xcca9, 0)] {
            let suite = Suite::find(id).unwrap();
            let material: Vec<u8> = (0..suite.material_len() as u8).collect();
            let mut sealed = Vec::new();
            Keys::new(suite, &material, 0x0102).unwrap().seal(content::ALERT, b"\x01\x00", &mut sealed).unwrap();
            assert_eq!(sealed[..5], [21, 3, 3, 0, (explicit + 2 + TAG) as u8]);
            let (key, iv) = material.split_at(material.len() - 12);
            let mut nonce: [u8; 12] = iv.try_into().unwrap();
            nonce[10] ^= 1;
            nonce[11] ^= 2;
            assert_eq!(sealed[5..5 + explicit], nonce[12 - explicit..]);
            let cipher = LessSafeKey::new(UnboundKey::new(suite.cipher, key).unwrap());
            let aad = Aad::from([0, 0, 0, 0, 0, 0, 1, 2, 21, 3, 3, 0, 2]);
            let opened =
                cipher.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed[5 + explicit..]).unwrap();
            assert_eq!(opened, b"\x01\x00");
        }
    }

    #[test]
    fn keys_of_a_wrong_length_are_refused() {
        for suite in each() {
            for len in (0..100).filter(|&len| len != suite.material_len()) {
                assert!(Keys::new(suite, &vec![7; len], 0).is_err(), "{:?} {len}", suite.id);
            }
        }
    }

    #[test]
    fn no_key_seals_more_records_than_it_may() {
        for suite in each() {
            let material = vec![7; suite.material_len()];
            let last = suite.records_per_key() - 1;
            let mut keys = Keys::new(suite, &material, last).unwrap();
            let mut out = Vec::new();
            assert_eq!(keys.left(), 1);
            keys.seal(content::APPLICATION_DATA, b"x", &mut out).unwrap();
            assert!(keys.seal(content::APPLICATION_DATA, b"x", &mut out).is_err());
            let is_gcm = suite.cipher != &aead::CHACHA20_POLY1305;
            assert_eq!(last + 1 == limits::RECORDS_PER_KEY, is_gcm);
        }
    }
}
