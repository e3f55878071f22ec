//! rustls server sessions; loading and reloading of certificates; what may be negotiated.

/// A certificate chain, its key, and what may be negotiated. Cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {}
