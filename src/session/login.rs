//! Everything before login: greeting, STARTTLS, CAPABILITY, ID, NOOP, LOGIN, AUTHENTICATE, LOGOUT. A stream goes in; an authenticated
//! account and the channel come out, with the tag that still waits for its OK. Knows no mail store, so that it can run in a process
//! that has none.

use super::channel::Channel;
use crate::auth::{Account, Authenticator, Peer};
use crate::protocol::command::Tag;
use crate::transport::tls::TlsConfig;

/// What is offered before login.
pub struct LoginPolicy<'a> {
    /// For STARTTLS; `None` where there is no certificate or TLS is already on.
    pub tls: Option<&'a TlsConfig>,
    /// Passwords are taken although the stream is not encrypted.
    pub cleartext_allowed: bool,
    pub peer: Peer,
    /// For the log: `imap` or `imaps`.
    pub service: &'static str,
}

/// How the dialogue ended.
pub enum LoginOutcome {
    /// The command `tag` waits for its OK, which the session sends when the store is open.
    LoggedIn { account: Account, channel: Channel, tag: Tag },
    /// LOGOUT, BYE or a broken stream; all is said and logged.
    Ended,
}

/// Holds the dialogue.
pub fn login(_channel: Channel, _policy: &LoginPolicy<'_>, _authenticator: &mut dyn Authenticator) -> LoginOutcome {
    todo!()
}
