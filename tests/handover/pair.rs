//! Both ends of a connection, and what the suites of this folder choose from.

use crate::credulous::Credulous;
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use imapd::testing::transport::tls::TlsConfig;
use imapd::testing::transport::wait::{Stop, Woken, wait};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, SupportedCipherSuite};
use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a certificate's key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ecdsa,
    Rsa,
}

static ECDSA: LazyLock<TlsConfig> =
    LazyLock::new(|| certificate(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]));
static RSA: LazyLock<TlsConfig> = LazyLock::new(|| certificate(&["-newkey", "rsa:2048"]));

fn certificate(key_kind: &[&str]) -> TlsConfig {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("crt"), directory.path().join("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(key_kind)
        .args(["-out".as_ref(), certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
        .output()
        .expect("openssl makes certificates for the tests");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    TlsConfig::load(&certificate, &key).unwrap()
}

impl Kind {
    pub fn config(self) -> &'static TlsConfig {
        match self {
            Kind::Ecdsa => &ECDSA,
            Kind::Rsa => &RSA,
        }
    }
}

/// A suite with a certificate for which it can be used.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub suite: SupportedCipherSuite,
    pub kind: Kind,
}

impl Way {
    pub fn is_tls13(&self) -> bool {
        self.suite.tls13().is_some()
    }
}

/// Every suite, those of TLS 1.3 with both kinds of certificate.
pub fn ways() -> Vec<Way> {
    let fits = |suite: &SupportedCipherSuite, kind| {
        let name = format!("{:?}", suite.suite());
        name.contains(if kind == Kind::Ecdsa { "ECDSA" } else { "RSA" }) || suite.tls13().is_some()
    };
    let suites = || ring::ALL_CIPHER_SUITES.iter().copied();
    [Kind::Ecdsa, Kind::Rsa]
        .into_iter()
        .flat_map(|kind| suites().filter(move |suite| fits(suite, kind)).map(move |suite| Way { suite, kind }))
        .collect()
}

/// The client's end.
pub struct Client {
    pub tls: ClientConnection,
    pub socket: UnixStream,
}

fn client_config(suite: SupportedCipherSuite) -> Arc<ClientConfig> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![suite];
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    Arc::new(config)
}

/// Both ends after the handshake, and the server's socket once more.
pub fn pair(way: Way) -> (Stream, Client, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = ClientConnection::new(client_config(way.suite), "localhost".try_into().unwrap()).unwrap();
    let handshake = std::thread::spawn(move || {
        while tls.is_handshaking() {
            tls.complete_io(&mut theirs).unwrap();
        }
        Client { tls, socket: theirs }
    });
    let second = ours.try_clone().unwrap();
    let stream = Stream::socket(ours.into()).unwrap().start_tls(way.kind.config(), soon()).unwrap();
    (stream, handshake.join().unwrap(), second)
}

/// To the other process and back to life, as octets.
pub fn hand_over(stream: Stream, unused: &[u8], socket: &UnixStream) -> Stream {
    let octets = stream.freeze(unused).unwrap().encode();
    assert!(octets.len() <= Frozen::LONGEST);
    Stream::thaw(socket.try_clone().unwrap().into(), Frozen::decode(&octets).unwrap()).unwrap()
}

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// What comes next, as a session would read it.
#[track_caller]
pub fn read(stream: &mut Stream) -> Vec<u8> {
    assert_eq!(wait(stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
    let mut buffer = vec![0; 64 * 1024];
    let count = stream.read(&mut buffer).unwrap();
    buffer.truncate(count);
    buffer
}

/// So many octets.
#[track_caller]
pub fn read_exactly(stream: &mut Stream, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = read(stream);
        assert!(!more.is_empty(), "ended after {} of {count}", all.len());
        all.extend(more);
    }
    assert_eq!(all.len(), count);
    all
}

#[track_caller]
pub fn read_error(stream: &mut Stream) -> ErrorKind {
    assert_eq!(wait(stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
    stream.read(&mut [0; 100]).unwrap_err().kind()
}

impl Client {
    /// What was said, sealed and not sent.
    pub fn sealed(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    pub fn seal(&mut self, octets: &[u8]) -> Vec<u8> {
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(octets).unwrap();
        self.sealed()
    }

    pub fn say(&mut self, octets: &[u8]) {
        let records = self.seal(octets);
        self.socket.write_all(&records).unwrap();
    }

    /// New keys for what this side sends; the other is asked for new ones too.
    pub fn change_keys(&mut self) {
        self.tls.refresh_traffic_keys().unwrap();
        let records = self.sealed();
        self.socket.write_all(&records).unwrap();
    }

    /// The next so many octets.
    #[track_caller]
    pub fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut heard = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.tls.reader().read(&mut heard[filled..]) {
                Ok(0) => panic!("goodbye after {filled} of {count}"),
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(self.tls.read_tls(&mut self.socket).unwrap() > 0, "vanished after {filled} of {count}");
                    self.tls.process_new_packets().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        heard
    }

    /// All up to close_notify; an error if it does not come.
    pub fn hear_end(&mut self) -> std::io::Result<Vec<u8>> {
        let mut heard = Vec::new();
        rustls::Stream::new(&mut self.tls, &mut self.socket).read_to_end(&mut heard)?;
        Ok(heard)
    }
}

/// The same numbers in each run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
