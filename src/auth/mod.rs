//! Authenticator: credentials in, account or refusal out.

pub mod demo;
pub mod pam;
pub mod passwd_file;
pub mod sasl;

use crate::limits;
use crate::sys::user;
use crate::types::Secret;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Instant;

/// Who a client proved to be: an account of the system, or of a password file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub name: String,
    /// `None` where the process does not change its user (single process, memory store).
    pub unix: Option<UnixAccount>,
}

/// What a process needs to become a user of the system.
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

/// Why a login was refused. All but [`Refusal::Unavailable`] get the same answer in the same time where telling would
/// help a guesser.
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
    /// Whose credentials these are. Blocks for as long as the check takes.
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal>;
}

/// What an account must have besides a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accounts {
    /// Nothing: the process does not change its user.
    Any,
    /// A uid to become, not below this one and not root's.
    Unix { min_uid: u32 },
}

impl Accounts {
    /// Whether this uid may read mail here.
    fn allow(self, uid: u32) -> bool {
        match self {
            Accounts::Any => true,
            Accounts::Unix { min_uid } => uid != 0 && uid >= min_uid,
        }
    }
}

/// Whether this can be the name of an account at all. What cannot is shown to no PAM module and becomes no part of a
/// path: modules have expanded `%u`, run shells and opened files named after users.
pub fn is_plausible_name(name: &str) -> bool {
    (1..=limits::USER).contains(&name.len())
        && !name.starts_with(['-', '.', '~'])
        && name.chars().all(|c| c.is_alphanumeric() || "._-+@$\\".contains(c))
}

/// Whether an account can have such a name and password. What cannot be right is answered like what is wrong.
fn are_possible(credentials: &Credentials) -> bool {
    let password = credentials.password.expose();
    is_plausible_name(&credentials.user) && (1..=limits::PASSWORD).contains(&password.len()) && !password.contains(&0)
}

/// The system's account of this name, if it may read mail here.
fn unix_account(name: &str, accounts: Accounts) -> Result<Option<UnixAccount>, Refusal> {
    match user::by_name(name) {
        Ok(found) => Ok(found.filter(|user| user.name == name && accounts.allow(user.uid)).map(|user| UnixAccount {
            uid: user.uid,
            gid: user.gid,
            home: user.home,
        })),
        Err(error) => {
            crate::log::log!(crate::log::Level::Error, "cannot look up accounts: {error}");
            Err(Refusal::Unavailable)
        }
    }
}

/// Waits until a failure that began then has taken as long as every failure takes at least.
fn wait_after_failure(began: Instant) {
    std::thread::sleep(limits::TIME_OF_FAILURE.saturating_sub(began.elapsed()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_programs_would_misread_are_not_plausible() {
        for name in
            ["", "-rf", "../x", "a/b", "%u", "a b", "a\tb", "a\nb", "o'x", "a(b", "*", "a\0", "~root", ".", "\u{202e}a"]
        {
            assert!(!is_plausible_name(name), "{name:?}");
        }
        assert!(!is_plausible_name(&"a".repeat(256)));
        for name in ["alice", "alice.b-c_d", "alice@example.org", "DOMAIN\\alice", "alice+x", "machine$", "jörg"] {
            assert!(is_plausible_name(name), "{name:?}");
        }
    }

    #[test]
    fn passwords_that_no_check_could_take_are_not_possible() {
        let possible = |password: Vec<u8>| {
            are_possible(&Credentials { user: "alice".to_owned(), password: Secret::new(password) })
        };
        assert!(possible(vec![b'p'; limits::PASSWORD]) && possible(b"\xff \n".to_vec()));
        for password in [vec![], vec![b'p'; limits::PASSWORD + 1], b"a\0b".to_vec()] {
            assert!(!possible(password.clone()), "{password:?}");
        }
    }

    #[test]
    fn root_and_low_uids_may_not_read_mail() {
        let accounts = Accounts::Unix { min_uid: 0 };
        assert!(!accounts.allow(0) && accounts.allow(1));
        assert!(!Accounts::Unix { min_uid: 1000 }.allow(999));
        assert_eq!(unix_account("root", accounts), Ok(None));
    }
}
