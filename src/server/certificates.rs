//! The certificates that new connections get; read again when the files change.

use super::config::Config;
use super::keeper::{Channel, Keeper};
use crate::auth::Peer;
use crate::log::{Level, log};
use crate::transport::signing::{Files, PrivateKeys};
use crate::transport::tls::TlsConfig;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the files are looked at, at most: a new connection is what looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait at most before a keeper that ends again and again is started once more. One that lasted longer than this is started at once.
const LONGEST_REST: Duration = Duration::from_secs(64);

/// What is served with TLS.
pub struct Certificates {
    /// `None`: no TLS.
    loaded: Option<Loaded>,
}

struct Loaded {
    files: Vec<Files>,
    keys: Keys,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// Who has the private keys.
enum Keys {
    /// This process.
    Here(TlsConfig),
    /// A process of their own, `None` while there is none.
    Kept { keeper: Option<Keeper>, rest: Rest },
}

/// When the next keeper may be started, after so many that did not last.
#[derive(Default)]
struct Rest {
    length: Duration,
    until: Option<Instant>,
}

impl Rest {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until)
    }

    /// The first is replaced at once, each further one after twice the time.
    fn after(&mut self, lasted: Duration) {
        if lasted > LONGEST_REST {
            self.length = Duration::ZERO;
        }
        self.until = Some(Instant::now() + self.length);
        self.length = (self.length * 2).clamp(Duration::from_secs(1), LONGEST_REST);
    }
}

/// What one connection gets.
pub enum Tls {
    Here(TlsConfig),
    Kept(Channel),
}

impl Tls {
    /// The way to the keeper.
    pub fn descriptor(&self) -> Option<RawFd> {
        match self {
            Tls::Here(_) => None,
            Tls::Kept(channel) => Some(channel.descriptor()),
        }
    }

    /// To be called in the process that serves the connection.
    pub fn into_config(self) -> Option<TlsConfig> {
        match self {
            Tls::Here(config) => Some(config),
            Tls::Kept(channel) => {
                channel.into_tls().inspect_err(|error| log!(Level::Error, "no TLS for a connection: {error}")).ok()
            }
        }
    }
}

/// Device, inode, size and time of change, be it only of the permissions; `None` while the file cannot be looked at.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

fn stamps(files: &[Files]) -> Vec<Stamp> {
    files.iter().flat_map(|(certificate, key)| [stamp(certificate), stamp(key)]).collect()
}

impl Certificates {
    /// With the keys in this process. The error is one line for the administrator.
    pub fn load(config: &Config) -> Result<Self, String> {
        Self::with(config, |files| Ok(Keys::Here(TlsConfig::with_keys(PrivateKeys::load(files)?)?)))
    }

    /// With the keys in a process of their own, and in no other. The error is one line for the administrator.
    pub fn load_in_keeper(config: &Config) -> Result<Self, String> {
        Self::with(config, |files| Ok(Keys::Kept { keeper: Some(Keeper::start(files)?), rest: Rest::default() }))
    }

    fn with(config: &Config, load: impl FnOnce(&[Files]) -> Result<Keys, String>) -> Result<Self, String> {
        let files = config.tls_files.clone();
        if files.is_empty() {
            return Ok(Self { loaded: None });
        }
        // Before they are read: a change in between is then seen as one.
        let stamps = stamps(&files);
        let keys = load(&files)?;
        Ok(Self { loaded: Some(Loaded { files, keys, stamps, looked: Instant::now() }) })
    }

    /// What a new connection of this client gets.
    pub fn current(&mut self, peer: &Peer) -> Option<Tls> {
        let loaded = self.loaded.as_mut()?;
        if loaded.looked.elapsed() >= LOOK_EVERY {
            loaded.looked = Instant::now();
            if stamps(&loaded.files) != loaded.stamps {
                loaded.reload();
            }
        }
        match &loaded.keys {
            Keys::Here(config) => Some(Tls::Here(config.clone())),
            Keys::Kept { keeper, .. } => {
                let host = peer.host();
                match keeper.as_ref()?.channel(&host) {
                    Ok(channel) => Some(Tls::Kept(channel)),
                    Err(error) => {
                        log!(Level::Error, "no TLS for a connection: {error} host=[{host}]");
                        None
                    }
                }
            }
        }
    }

    /// The way to the keeper, if there is one.
    pub fn descriptor(&self) -> Option<RawFd> {
        match &self.loaded.as_ref()?.keys {
            Keys::Here(_) => None,
            Keys::Kept { keeper, .. } => keeper.as_ref().map(Keeper::descriptor),
        }
    }

    /// Reads the files whether or not they look changed.
    pub fn reload(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.reload();
        }
    }

    /// Sees to it that there is a keeper. To be called after each wait.
    pub fn attend(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.attend();
        }
    }
}

impl Loaded {
    /// The old ones stay on any error. Half-written files are tried again when they have changed once more.
    fn reload(&mut self) {
        self.stamps = stamps(&self.files);
        let failed = match &mut self.keys {
            Keys::Here(config) => {
                PrivateKeys::load(&self.files).and_then(TlsConfig::with_keys).map(|new| *config = new)
            }
            // The one before ends when the handshakes that need it have.
            Keys::Kept { keeper, .. } => Keeper::start(&self.files).map(|new| *keeper = Some(new)),
        };
        match failed {
            Ok(()) => {
                for (certificate, _) in &self.files {
                    log!(Level::Notice, "certificate loaded from {}", certificate.display());
                }
            }
            Err(error) => log!(Level::Error, "{error}; the certificate loaded before stays in use"),
        }
    }

    fn attend(&mut self) {
        let Keys::Kept { keeper, rest } = &mut self.keys else { return };
        if let Some(ended) = keeper.take_if(|keeper| keeper.is_gone()) {
            rest.after(ended.age());
            log!(Level::Error, "the keeper of the private keys has ended; another is started");
        }
        if keeper.is_none() && rest.is_over() {
            match Keeper::start(&self.files) {
                Ok(new) => *keeper = Some(new),
                Err(error) => {
                    rest.after(Duration::ZERO);
                    log!(Level::Error, "{error}; there is no TLS until one can be started");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_does_not_last_is_started_again_ever_more_slowly() {
        let mut rest = Rest::default();
        rest.after(Duration::ZERO);
        assert!(rest.is_over());
        for _ in 0..20 {
            rest.after(Duration::ZERO);
            assert!(!rest.is_over());
        }
        assert_eq!(rest.length, LONGEST_REST);
        rest.after(LONGEST_REST * 2);
        assert!(rest.is_over());
    }
}
