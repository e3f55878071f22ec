//! Authenticator of the demonstration: user `test`, password `test`.

use super::{Account, Authenticator, Credentials, Peer, Refusal};

/// Knows one user, whose password is known to everybody.
#[derive(Clone, Copy)]
pub struct Demo;

impl Authenticator for Demo {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        if credentials.user == "test" && credentials.password.expose() == b"test" {
            return Ok(Account { name: credentials.user.clone(), unix: None });
        }
        Err(Refusal::Failed)
    }
}
