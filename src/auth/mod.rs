//! Authenticator: credentials in, account or refusal out.

pub mod pam;
pub mod passwd_file;
pub mod sasl;

use crate::types::Secret;
use std::net::IpAddr;
use std::path::PathBuf;

/// Who a client proved to be: an account of the system, or of a password file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub name: String,
    /// `None` where the process does not change its user (single process, memory store).
    pub unix: Option<UnixAccount>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnixAccount {
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

/// A user name and password as they came.
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// The other end.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// `None` for standard input that is no socket.
    pub address: Option<IpAddr>,
    pub port: u16,
}

/// Why a login was refused. All but [`Refusal::Unavailable`] get the same answer in the same time where telling would help a guesser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `[AUTHENTICATIONFAILED]`
    Failed,
    /// `[EXPIRED]`: the password was right.
    Expired,
    /// `[UNAVAILABLE]`: the check itself failed. Logged.
    Unavailable,
}

/// Checks passwords. Delays after a failure happen inside.
pub trait Authenticator {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal>;
}
