//! STARTTLS, LOGIN, AUTHENTICATE: what they are after login. Before it, see `session::login`.

use crate::session::outcome::{Done, Refusal};

/// RFC 9051 section 6.2: valid only before login.
pub fn after_login() -> Result<Done, Refusal> {
    Err(Refusal::Bad(None, "Already logged in".into()))
}
