//! rustls server sessions; loading and reloading of certificates; what may be negotiated.

use super::handover::TrafficSecrets;
use super::signing::{self, Presented, PrivateKeys, Sign};
use crate::sys::credentials::effective_uid;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Has the library find out what the processor can do, which processes that are forked from now on then know.
pub fn know_processor() {
    std::hint::black_box(::ring::digest::digest(&::ring::digest::SHA256, b""));
}

/// A certificate chain, its key, and what may be negotiated. Cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {
    server: Arc<rustls::ServerConfig>,
}

impl TlsConfig {
    /// From a PEM file with the chain (the server's certificate first) and one with the key (PKCS#8, PKCS#1 or SEC1).
    /// The error is one line for the administrator.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, String> {
        Self::with_keys(PrivateKeys::load(&[(certificate.to_owned(), key.to_owned())])?)
    }

    /// Signs in this process. The first certificate is for clients that ask for no name that another has.
    pub fn with_keys(keys: PrivateKeys) -> Result<Self, String> {
        Self::new(keys.into_resolver())
    }

    /// The same, but somebody else has the keys.
    pub fn signed_elsewhere(presented: &[Presented], sign: Arc<dyn Sign>) -> Result<Self, String> {
        Self::new(signing::resolver(presented, &sign))
    }

    /// TLS 1.2 and 1.3. No tickets and no session cache: with a process per connection they would not be found again,
    /// and a key that opens recorded traffic would live on.
    fn new(resolver: Arc<dyn ResolvesServerCert>) -> Result<Self, String> {
        let mut server = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // A client that offers other protocols only is refused: it took us for another server. One that offers none is
        // served.
        server.alpn_protocols = vec![b"imap".to_vec()];
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { server: Arc::new(server) })
    }

    /// The same for one connection, which can be handed over since its secrets are kept. A handful of reference counts, next to
    /// a handshake nothing.
    pub(super) fn of_connection(&self, secrets: Arc<TrafficSecrets>) -> Arc<rustls::ServerConfig> {
        let mut server = rustls::ServerConfig::clone(&self.server);
        server.enable_secret_extraction = true;
        server.key_log = secrets;
        Arc::new(server)
    }
}

pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error| format!("cannot read the certificate {}: {}", path.display(), plain(error));
    let chain = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if chain.is_empty() { Err(format!("there is no certificate in {}", path.display())) } else { Ok(chain) }
}

/// A key that others may read is no secret, and one that others own is theirs. A group may read it, as Debian's
/// ssl-cert does.
fn check_permissions(path: &Path) -> Result<(), String> {
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("cannot read the key {}: {error}", path.display()))?;
    if metadata.mode() & 0o027 != 0 {
        return Err(format!(
            "the key {} must not be readable by others or writable by its group (chmod 640)",
            path.display()
        ));
    }
    if metadata.uid() != 0 && metadata.uid() != effective_uid() {
        return Err(format!("the key {} belongs to another user", path.display()));
    }
    Ok(())
}

pub(super) fn secret(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    check_permissions(path)?;
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => format!("there is no private key in {}", path.display()),
        error => format!("cannot read the key {}: {}", path.display(), plain(error)),
    })
}

fn plain(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
