//! Authenticator: credentials in, account or refusal out.

pub mod apart;
pub mod demo;
pub mod pam;
pub mod pam_session;
pub mod passwd_file;
pub mod sasl;

use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::sys::user;
use crate::types::Secret;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

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

impl Peer {
    /// The address as the log shows it: an IPv4 address also where the socket is IPv6; `-` without one.
    pub fn host(&self) -> String {
        self.address.map_or_else(|| "-".to_owned(), |address| address.to_canonical().to_string())
    }
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

/// Checks passwords. That all failures take the same time is for the caller to see to, who knows how long that is.
pub trait Authenticator {
    /// Whose credentials these are. Blocks for as long as the check takes.
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal>;
}

/// An authenticator whose refusals the log tells.
pub struct Recorded<A>(pub A);

impl<A: Authenticator> Authenticator for Recorded<A> {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        let result = self.0.authenticate(credentials, peer);
        // An outage of ours is no failed attempt of theirs: nobody shall be banned for it.
        if matches!(result, Err(Refusal::Failed | Refusal::Expired)) {
            log!(Level::Notice, "{}", FailedLogin { user: credentials.user.as_bytes(), peer });
        }
        result
    }
}

/// The line that fail2ban's filter `uwimap-auth` matches: no blank in the name, the address in brackets at the end.
struct FailedLogin<'a> {
    user: &'a [u8],
    peer: &'a Peer,
}

impl fmt::Display for FailedLogin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Quoted(if self.user.is_empty() { b"-" } else { self.user });
        write!(f, "Login failed user={name} auth={name} host=[{}]", self.peer.host())
    }
}

impl<A: Authenticator + ?Sized> Authenticator for &mut A {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        (**self).authenticate(credentials, peer)
    }
}

impl<A: Authenticator + ?Sized> Authenticator for Box<A> {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        (**self).authenticate(credentials, peer)
    }
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
            log!(Level::Error, "cannot look up accounts: {error}");
            Err(Refusal::Unavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &[u8], address: &str) -> String {
        let peer = Peer { address: address.parse().ok(), port: 1 };
        FailedLogin { user, peer: &peer }.to_string()
    }

    #[test]
    fn the_line_of_a_failed_login_is_what_fail2ban_matches() {
        assert_eq!(line(b"alice", "192.0.2.7"), "Login failed user=alice auth=alice host=[192.0.2.7]");
        assert_eq!(line(b"", "::ffff:192.0.2.7"), "Login failed user=- auth=- host=[192.0.2.7]");
    }

    #[test]
    fn a_user_name_cannot_forge_the_line_of_a_failed_login() {
        let forged = line(b"x host=[1.2.3.4]\r\n\x1b\0\xff", "2001:db8::1");
        assert!(forged.ends_with(" host=[2001:db8::1]"), "{forged}");
        assert_eq!(forged.matches('[').count(), 1, "{forged}");
        assert_eq!(forged.matches(' ').count(), 4, "{forged}");
        assert!(forged.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{forged}");
    }

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
