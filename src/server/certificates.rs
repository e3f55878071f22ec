//! The certificate and key that new connections get; read again when the files change.

use super::config::Config;
use crate::log::{Level, log};
use crate::transport::tls::TlsConfig;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the files are looked at, at most: a new connection is what looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The files, what was read of them, and when they were last looked at.
pub struct Certificates {
    /// `None`: no TLS.
    files: Option<Files>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    config: TlsConfig,
    stamp: [Stamp; 2],
    looked: Instant,
}

/// Device, inode, size and time of change, be it only of the permissions; `None` while the file cannot be looked at.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

impl Certificates {
    /// The error is one line for the administrator.
    pub fn load(config: &Config) -> Result<Self, String> {
        let Some((certificate, key)) = &config.tls_files else { return Ok(Self { files: None }) };
        // Before they are read: a change in between is then seen as one.
        let stamp = [stamp(certificate), stamp(key)];
        let config = TlsConfig::load(certificate, key)?;
        let (certificate, key) = (certificate.clone(), key.clone());
        Ok(Self { files: Some(Files { certificate, key, config, stamp, looked: Instant::now() }) })
    }

    /// What a new connection gets.
    pub fn current(&mut self) -> Option<TlsConfig> {
        let files = self.files.as_mut()?;
        if files.looked.elapsed() >= LOOK_EVERY {
            files.looked = Instant::now();
            if [stamp(&files.certificate), stamp(&files.key)] != files.stamp {
                files.reload();
            }
        }
        Some(files.config.clone())
    }

    /// What was loaded at the start.
    pub fn loaded(&self) -> Option<TlsConfig> {
        self.files.as_ref().map(|files| files.config.clone())
    }

    /// Reads the files whether or not they look changed.
    pub fn reload(&mut self) {
        if let Some(files) = &mut self.files {
            files.reload();
        }
    }
}

impl Files {
    /// The old ones stay on any error. Half-written files are tried again when they have changed once more.
    fn reload(&mut self) {
        self.stamp = [stamp(&self.certificate), stamp(&self.key)];
        match TlsConfig::load(&self.certificate, &self.key) {
            Ok(config) => {
                self.config = config;
                log!(Level::Notice, "certificate loaded from {}", self.certificate.display());
            }
            Err(error) => log!(Level::Error, "{error}; the certificate loaded before stays in use"),
        }
    }
}
