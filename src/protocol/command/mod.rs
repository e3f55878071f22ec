//! A command as a value; tag and name lead to the family that parses the rest.
//!
//! Each file has one family: its types, its ABNF and parser, and its printing: what parses prints and parses back the same.

pub mod append;
pub mod auth;
pub mod copy;
pub mod expunge;
pub mod fetch;
pub mod general;
pub mod idle;
pub mod list;
pub mod mailbox;
pub mod search;
pub mod select;
pub mod status;
pub mod store;

use super::Dialect;
use super::cursor::SyntaxError;
use crate::types::MailboxName;

/// The tag that a client gave a command (RFC 9051 `tag`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(pub(super) Box<str>);

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every command that we know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id(general::Id),
    Enable(general::Enable),
    StartTls,
    Login(auth::Login),
    Authenticate(auth::Authenticate),
    Select(select::Select),
    Examine(select::Select),
    Check,
    Close,
    Unselect,
    Create(mailbox::Create),
    Delete(MailboxName),
    Rename(mailbox::Rename),
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    List(list::List),
    /// Also XLIST's and LSUB's simple form: reference and pattern.
    Lsub(list::Pattern),
    Xlist(list::Pattern),
    Namespace,
    Status(status::Status),
    /// Its head, up to the first message's literal.
    Append(append::Append),
    Idle,
    Expunge(expunge::Expunge),
    Search(search::Search),
    Fetch(fetch::Fetch),
    Store(store::Store),
    Copy(copy::Copy),
    Move(copy::Copy),
}

/// Whether a command's sets and answers are of UIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbers {
    Sequence,
    Uid,
}

/// A framed command as far as it could be understood. The tag is there if the line began with one, so that even a wrong command can be answered.
pub struct Parsed {
    pub tag: Option<Tag>,
    /// In capitals, without `UID `; empty if there was none. For logs and counters.
    pub name: String,
    pub command: Result<Command, SyntaxError>,
}

/// Parses what [`super::frame::Framer::take`] gave.
pub fn parse(_framed: &[u8], _dialect: Dialect) -> Parsed {
    todo!()
}
