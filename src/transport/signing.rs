//! Private keys, and certificates whose key is elsewhere: what may be signed for a client, who signs it, and which certificate a client gets.
//!
//! The names of a certificate are matched by rustls itself (`verify_server_name`, which clients use), so that no other reader of certificates is needed.

use super::tls::{chain, secret};
use rustls::client::verify_server_name;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A file with a certificate chain and one with its key.
pub type Files = (PathBuf, PathBuf);

/// How keys of the kinds that we know sign, the best first.
const SCHEMES: [SignatureScheme; 9] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// What everybody may know of a certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presented {
    /// In DER, the server's own first.
    pub chain: Vec<Vec<u8>>,
    /// How the key signs (RFC 8446 section 4.2.3), the best first.
    pub schemes: Vec<u16>,
}

/// Certificates with their private keys.
pub struct PrivateKeys(Vec<Arc<CertifiedKey>>);

impl PrivateKeys {
    /// From PEM files. The error is one line for the administrator.
    pub fn load(files: &[Files]) -> Result<Self, String> {
        files.iter().map(|(certificate, key)| load(certificate, key).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// What everybody may know of them, in their order.
    pub fn presented(&self) -> Vec<Presented> {
        let known = |key: &Arc<CertifiedKey>| Presented {
            chain: key.cert.iter().map(|certificate| certificate.to_vec()).collect(),
            schemes: SCHEMES
                .iter()
                .filter(|&&scheme| key.key.choose_scheme(&[scheme]).is_some())
                .map(|&scheme| scheme.into())
                .collect(),
        };
        self.0.iter().map(known).collect()
    }

    /// Signs what a TLS server signs, and nothing else.
    pub fn sign(&self, certificate: usize, scheme: u16, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let key = self.0.get(certificate).ok_or(Unsigned::NoSuchKey)?;
        let scheme = SignatureScheme::from(scheme);
        let signer = key.key.choose_scheme(&[scheme]).ok_or(Unsigned::NoSuchKey)?;
        match Purpose::of(message) {
            Some(Purpose::Tls12) => {}
            // RFC 8446 section 4.4.3: no PKCS#1 there.
            Some(Purpose::Tls13) if !is_pkcs1(scheme) => {}
            _ => return Err(Unsigned::NotOfTls),
        }
        signer.sign(message).map_err(|_| Unsigned::Failed)
    }

    /// A resolver that signs with them in this process.
    pub(super) fn into_resolver(self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(ByName(self.0))
    }
}

impl fmt::Debug for PrivateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKeys({})", self.0.len())
    }
}

fn load(certificate: &std::path::Path, key: &std::path::Path) -> Result<CertifiedKey, String> {
    let chain = chain(certificate)?;
    let failed = |error: &dyn fmt::Display| format!("{} and {}: {error}", certificate.display(), key.display());
    let secret = any_supported_type(&secret(key)?).map_err(|error| failed(&error))?;
    let certified = CertifiedKey::new(chain, secret);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(format!("the key in {} does not belong to the certificate in {}", key.display(), certificate.display()))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Why something was not signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsigned {
    /// There is no such certificate, or its key does not sign that way.
    NoSuchKey,
    /// It is not what a TLS server signs.
    NotOfTls,
    /// The library could not.
    Failed,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchKey => "there is no such key",
            Self::NotOfTls => "it is not what a TLS server signs",
            Self::Failed => "the signature cannot be made",
        })
    }
}

fn is_pkcs1(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA256 | SignatureScheme::RSA_PKCS1_SHA384 | SignatureScheme::RSA_PKCS1_SHA512
    )
}

/// What a TLS server signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// ServerKeyExchange: both randoms and the parameters of an elliptic curve (RFC 8422 section 5.4).
    Tls12,
    /// CertificateVerify: 64 blanks, what it is for, zero, and the hash of the handshake (RFC 8446 section 4.4.3).
    Tls13,
}

impl Purpose {
    fn of(message: &[u8]) -> Option<Self> {
        const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
        const RANDOMS: usize = 64;
        /// SHA-256 and SHA-384: the hashes of the cipher suites of TLS 1.3.
        const HASHES: [usize; 2] = [32, 48];
        let (start, rest) = message.split_at_checked(RANDOMS)?;
        if start.iter().all(|&octet| octet == b' ') {
            // A client random of blanks does not come by chance, and must not pass for the other.
            let hash = rest.strip_prefix(CONTEXT)?;
            return HASHES.contains(&hash.len()).then_some(Self::Tls13);
        }
        let [3, curve @ ..] = rest else { return None };
        let (curve, point) = curve.split_at_checked(2)?;
        let (length, point) = point.split_first()?;
        let wanted = match u16::from_be_bytes([*curve.first()?, *curve.get(1)?]) {
            // secp256r1, secp384r1: points that are not compressed; x25519.
            0x17 if point.first() == Some(&4) => 65,
            0x18 if point.first() == Some(&4) => 97,
            0x1d => 32,
            _ => return None,
        };
        (usize::from(*length) == wanted && point.len() == wanted).then_some(Self::Tls12)
    }
}

/// Signs somewhere else.
pub trait Sign: fmt::Debug + Send + Sync {
    /// The signature of `message` by the key of this certificate.
    fn sign(&self, certificate: usize, scheme: u16, message: &[u8]) -> io::Result<Vec<u8>>;
}

/// A resolver that has others sign.
pub(super) fn resolver(presented: &[Presented], sign: &Arc<dyn Sign>) -> Arc<dyn ResolvesServerCert> {
    let certified = |(certificate, known): (usize, &Presented)| {
        let chain = known.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let schemes: Vec<_> = known.schemes.iter().map(|&scheme| SignatureScheme::from(scheme)).collect();
        let key = KeyElsewhere { certificate, schemes, sign: sign.clone() };
        Arc::new(CertifiedKey::new(chain, Arc::new(key)))
    };
    Arc::new(ByName(presented.iter().enumerate().map(certified).collect()))
}

/// Certificates by the name that the client asks for.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    /// Those with the name, or all if there is none; and of them the first whose key the client can do with.
    fn choose(&self, name: Option<&str>, offered: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let usable = |key: &&&Arc<CertifiedKey>| key.key.choose_scheme(offered).is_some();
        let all: Vec<&Arc<CertifiedKey>> = self.0.iter().collect();
        let name = if all.len() > 1 { name.and_then(|name| ServerName::try_from(name).ok()) } else { None };
        let named =
            name.map_or_else(Vec::new, |name| all.iter().copied().filter(|key| bears(key, &name)).collect::<Vec<_>>());
        let candidates = if named.is_empty() { all } else { named };
        candidates.iter().find(usable).or_else(|| candidates.first()).copied()
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

/// Whether the certificate has this name, exactly or by a wildcard (RFC 9525 section 6.3).
fn bears(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

#[derive(Debug)]
struct KeyElsewhere {
    certificate: usize,
    schemes: Vec<SignatureScheme>,
    sign: Arc<dyn Sign>,
}

impl SigningKey for KeyElsewhere {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.schemes.iter().copied().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(SignerElsewhere { certificate: self.certificate, scheme, sign: self.sign.clone() }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.schemes.first() {
            Some(&SignatureScheme::ED25519) => SignatureAlgorithm::ED25519,
            Some(SignatureScheme::ECDSA_NISTP256_SHA256 | SignatureScheme::ECDSA_NISTP384_SHA384) => {
                SignatureAlgorithm::ECDSA
            }
            _ => SignatureAlgorithm::RSA,
        }
    }
}

#[derive(Debug)]
struct SignerElsewhere {
    certificate: usize,
    scheme: SignatureScheme,
    sign: Arc<dyn Sign>,
}

impl Signer for SignerElsewhere {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.sign
            .sign(self.certificate, self.scheme.into(), message)
            .map_err(|error| rustls::Error::General(format!("no signature: {error}")))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// A self-signed certificate and its key.
    fn make(directory: &Path, name: &str, kind: &[&str], names: &str) -> Files {
        let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey"])
            .args(kind)
            .args(["-nodes", "-days", "2", "-subj", "/CN=x", "-addext", &format!("subjectAltName={names}")])
            .args(["-out".as_ref(), certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        (certificate, key)
    }

    const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const P384: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];

    fn tls13(hash: usize) -> Vec<u8> {
        [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &vec![7; hash]].concat()
    }

    fn tls12(curve: u16, point: &[u8]) -> Vec<u8> {
        [&[9; 64][..], &[3], &curve.to_be_bytes(), &[point.len() as u8], point].concat()
    }

    #[test]
    fn nothing_is_signed_but_what_a_tls_server_signs() {
        assert_eq!(Purpose::of(&tls13(32)), Some(Purpose::Tls13));
        assert_eq!(Purpose::of(&tls13(48)), Some(Purpose::Tls13));
        for (curve, length) in [(0x1d, 32), (0x17, 65), (0x18, 97)] {
            assert_eq!(Purpose::of(&tls12(curve, &vec![4; length])), Some(Purpose::Tls12));
            for wrong in [length - 1, length + 1] {
                assert_eq!(Purpose::of(&tls12(curve, &vec![4; wrong])), None);
            }
        }
        let mut client = tls13(32);
        client.splice(73..79, *b"client");
        let mut blanks = tls12(0x1d, &[4; 32]);
        blanks[..64].fill(b' ');
        let mut longer = tls12(0x1d, &[4; 32]);
        longer.push(0);
        let compressed = tls12(0x17, &[2; 65]);
        let explicit = [&[9; 64][..], &[1], &[0; 100]].concat();
        for wrong in [
            Vec::new(),
            vec![b' '; 64],
            tls13(0),
            tls13(31),
            tls13(64),
            client,
            blanks,
            longer,
            compressed,
            explicit,
            tls12(0x16, &[4; 65]),
        ] {
            assert_eq!(Purpose::of(&wrong), None, "{wrong:?}");
        }
        for right in [tls13(32), tls12(0x1d, &[4; 32]), tls12(0x17, &[4; 65])] {
            for length in 0..right.len() {
                assert_eq!(Purpose::of(&right[..length]), None);
            }
        }
    }

    #[test]
    fn a_key_signs_by_its_own_schemes_only() {
        let here = tempfile::tempdir().unwrap();
        let keys = PrivateKeys::load(&[
            make(here.path(), "ec", P256, "DNS:a"),
            make(here.path(), "ec384", P384, "DNS:a"),
            make(here.path(), "rsa", &["rsa:2048"], "DNS:a"),
            make(here.path(), "ed", &["ed25519"], "DNS:a"),
        ])
        .unwrap();
        let schemes: Vec<_> = keys.presented().into_iter().map(|known| known.schemes).collect();
        assert_eq!(schemes[0], [0x0403]);
        assert_eq!(schemes[1], [0x0503]);
        assert_eq!(schemes[2], [0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401]);
        assert_eq!(schemes[3], [0x0807]);
        for (certificate, schemes) in schemes.iter().enumerate() {
            for scheme in SCHEMES {
                let own = schemes.contains(&scheme.into());
                let signed12 = keys.sign(certificate, scheme.into(), &tls12(0x1d, &[1; 32]));
                let signed13 = keys.sign(certificate, scheme.into(), &tls13(32));
                assert_eq!(signed12.is_ok(), own, "{certificate} {scheme:?}");
                assert_eq!(signed13.is_ok(), own && !is_pkcs1(scheme), "{certificate} {scheme:?}");
            }
        }
        assert_eq!(keys.sign(4, 0x0403, &tls13(32)), Err(Unsigned::NoSuchKey));
        assert_eq!(keys.sign(0, 0x0403, b"anything"), Err(Unsigned::NotOfTls));
    }

    #[test]
    fn a_client_gets_the_certificate_with_the_name_that_it_asks_for() {
        let here = tempfile::tempdir().unwrap();
        let keys = PrivateKeys::load(&[
            make(here.path(), "one", P256, "DNS:mail.example.org"),
            make(here.path(), "two", P256, "DNS:example.net,DNS:*.example.net"),
            make(here.path(), "three", &["rsa:2048"], "DNS:*.example.net,IP:192.0.2.1"),
        ])
        .unwrap();
        let by_name = ByName(keys.0.clone());
        let (ec, rsa) = (SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256);
        let chosen = |name: Option<&str>, offered: &[SignatureScheme]| {
            let chosen = by_name.choose(name, offered).unwrap();
            by_name.0.iter().position(|key| Arc::ptr_eq(key, chosen)).unwrap()
        };
        for (name, at) in [
            (Some("mail.example.org"), 0),
            (Some("MAIL.EXAMPLE.ORG"), 0),
            (Some("example.net"), 1),
            (Some("imap.example.net"), 1),
            // A wildcard is one label, and no part of one.
            (Some("a.b.example.net"), 0),
            (Some("*.example.net"), 0),
            (Some(".example.net"), 0),
            (Some("example.org"), 0),
            (Some("192.0.2.1"), 2),
            (Some(""), 0),
            (None, 0),
        ] {
            assert_eq!(chosen(name, &[ec, rsa]), at, "{name:?}");
        }
        // One that the client cannot verify is left to others of the same name.
        assert_eq!(chosen(Some("imap.example.net"), &[rsa]), 2);
        assert_eq!(chosen(None, &[rsa]), 2);
        assert_eq!(chosen(None, &[]), 0);
    }
}
