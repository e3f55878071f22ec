//! Authenticator of the demonstration: user `test`, password `test`.

use super::{Account, Authenticator, Credentials, Peer, Refusal, wait_after_failure};
use std::time::Instant;

/// Knows one user, whose password is known to everybody.
#[derive(Clone, Copy)]
pub struct Demo;

impl Authenticator for Demo {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        let began = Instant::now();
        if credentials.user == "test" && credentials.password.expose() == b"test" {
            return Ok(Account { name: credentials.user.clone(), unix: None });
        }
        wait_after_failure(began);
        Err(Refusal::Failed)
    }
}
