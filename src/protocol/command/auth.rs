//! STARTTLS, LOGIN, AUTHENTICATE.

use crate::types::Secret;

/// RFC 9051 section 6.2.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    pub user: Vec<u8>,
    pub password: Secret,
}

/// RFC 9051 section 6.2.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticate {
    /// In capitals.
    pub mechanism: String,
    /// Base64 as it came; `=` stands for the empty response (RFC 4959 section 3).
    pub initial: Option<Secret>,
}
