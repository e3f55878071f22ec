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

    /// Opens one whole record in place: its content type, and where the content stands in it.
    pub fn open(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), Violation> {
        const DAMAGED: Violation = Violation(Alert::BadRecordMac, "a TLS record is damaged");
        const OVERFLOW: Violation = Violation(Alert::RecordOverflow, "a TLS record is too long");
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
                if inner.len() > FRAGMENT + 1 {
                    return Err(OVERFLOW);
                }
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
                if content.len() > FRAGMENT {
                    return Err(OVERFLOW);
                }
                (outer, start..start + content.len())
            }
        };
        self.sequence = next;
        Ok(opened)
    }
}
