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
use super::cursor::{Cursor, Parse, SyntaxError};
use super::encode::{self, text};
use super::mailbox_name::Written;
use crate::types::MailboxName;

/// The tag that a client gave a command (RFC 9051 `tag`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(Box<str>);

impl Tag {
    /// `None` unless the text is a tag as the grammar has it.
    pub fn new(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text.as_bytes(), Dialect::Rev1);
        let tag = cursor.tag().ok()?;
        cursor.is_at_end().then(|| Self(tag.into()))
    }

    /// As the client wrote it.
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
    Delete(Written),
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
///
/// ```abnf
/// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
/// uid     = "UID" SP (copy / move / fetch / search / store / uid-expunge)
/// ```
pub fn parse(framed: &[u8], dialect: Dialect) -> Parsed {
    let mut cursor = Cursor::new(framed, dialect);
    let tag = match cursor.tag() {
        Ok(tag) => Tag(tag.into()),
        Err(error) => return Parsed { tag: None, name: String::new(), command: Err(error) },
    };
    let mut name = String::new();
    let command = rest(&mut cursor, &mut name);
    Parsed { tag: Some(tag), name, command }
}

/// What stands behind the tag. Leaves the command's name in `name`.
fn rest(cursor: &mut Cursor<'_>, name: &mut String) -> Parse<Command> {
    cursor.space()?;
    *name = cursor.word("a command").map_err(|_| SyntaxError::UnknownCommand)?;
    let command = if name == "UID" {
        cursor.space()?;
        *name = cursor.word("a command that UID can stand before")?;
        by_numbers(cursor, name, Numbers::Uid)?
    } else {
        command(cursor, name)?
    };
    cursor.end()?;
    Ok(command)
}

fn command(cursor: &mut Cursor<'_>, name: &str) -> Parse<Command> {
    Ok(match name {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "ID" => Command::Id(general::Id::parse(cursor)?),
        "ENABLE" => Command::Enable(general::Enable::parse(cursor)?),
        "STARTTLS" => Command::StartTls,
        "LOGIN" => Command::Login(auth::Login::parse(cursor)?),
        "AUTHENTICATE" => Command::Authenticate(auth::Authenticate::parse(cursor)?),
        "SELECT" => Command::Select(select::Select::parse(cursor)?),
        "EXAMINE" => Command::Examine(select::Select::parse(cursor)?),
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "CREATE" => Command::Create(mailbox::Create::parse(cursor)?),
        "DELETE" => Command::Delete(mailbox::parse_delete(cursor)?),
        "RENAME" => Command::Rename(mailbox::Rename::parse(cursor)?),
        "SUBSCRIBE" => Command::Subscribe(mailbox::parse_one(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(mailbox::parse_one(cursor)?),
        "LIST" => Command::List(list::List::parse(cursor)?),
        "LSUB" => Command::Lsub(list::Pattern::parse(cursor)?),
        "XLIST" => Command::Xlist(list::Pattern::parse(cursor)?),
        "NAMESPACE" => Command::Namespace,
        "STATUS" => Command::Status(status::Status::parse(cursor)?),
        "APPEND" => Command::Append(append::Append::parse(cursor)?),
        "IDLE" => Command::Idle,
        _ => return by_numbers(cursor, name, Numbers::Sequence),
    })
}

/// The commands that have a UID form.
fn by_numbers(cursor: &mut Cursor<'_>, name: &str, numbers: Numbers) -> Parse<Command> {
    Ok(match name {
        "EXPUNGE" => Command::Expunge(expunge::Expunge::parse(cursor, numbers)?),
        "SEARCH" => Command::Search(search::Search::parse(cursor, numbers)?),
        "FETCH" => Command::Fetch(fetch::Fetch::parse(cursor, numbers)?),
        "STORE" => Command::Store(store::Store::parse(cursor, numbers)?),
        "COPY" => Command::Copy(copy::Copy::parse(cursor, numbers)?),
        "MOVE" => Command::Move(copy::Copy::parse(cursor, numbers)?),
        _ => return Err(SyntaxError::UnknownCommand),
    })
}

/// Writes a command as [`super::frame::Framer::take`] would give it. What [`parse`] made prints so that it parses to the same value.
pub fn print(command: &Command, tag: &Tag, dialect: Dialect) -> Vec<u8> {
    let mut printed = Vec::new();
    let out = &mut printed;
    text(out, format_args!("{} {}", tag.as_str(), command.name()));
    match command {
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::StartTls
        | Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Namespace
        | Command::Idle
        | Command::Expunge(expunge::Expunge::All) => {}
        Command::Id(id) => id.print(out),
        Command::Enable(enable) => enable.print(out),
        Command::Login(login) => login.print(out),
        Command::Authenticate(authenticate) => authenticate.print(out),
        Command::Select(select) | Command::Examine(select) => select.print(out, dialect),
        Command::Create(create) => create.print(out, dialect),
        Command::Rename(rename) => rename.print(out, dialect),
        Command::Delete(name) => {
            out.push(b' ');
            encode::mailbox_text(out, name.text(), dialect);
        }
        Command::Subscribe(name) | Command::Unsubscribe(name) => {
            out.push(b' ');
            encode::mailbox(out, name, dialect);
        }
        Command::List(list) => list.print(out, dialect),
        Command::Lsub(pattern) | Command::Xlist(pattern) => pattern.print(out, dialect),
        Command::Status(status) => status.print(out, dialect),
        Command::Append(append) => append.print(out, dialect),
        Command::Expunge(expunge::Expunge::Among(set)) => text(out, format_args!(" {set}")),
        Command::Search(search) => search.print(out),
        Command::Fetch(fetch) => fetch.print(out),
        Command::Store(store) => store.print(out),
        Command::Copy(copy) | Command::Move(copy) => copy.print(out, dialect),
    }
    printed
}

impl Command {
    /// Its name as on the wire, with `UID ` where it has that.
    fn name(&self) -> &'static str {
        use Numbers::{Sequence, Uid};
        match self {
            Command::Capability => "CAPABILITY",
            Command::Noop => "NOOP",
            Command::Logout => "LOGOUT",
            Command::Id(_) => "ID",
            Command::Enable(_) => "ENABLE",
            Command::StartTls => "STARTTLS",
            Command::Login(_) => "LOGIN",
            Command::Authenticate(_) => "AUTHENTICATE",
            Command::Select(_) => "SELECT",
            Command::Examine(_) => "EXAMINE",
            Command::Check => "CHECK",
            Command::Close => "CLOSE",
            Command::Unselect => "UNSELECT",
            Command::Create(_) => "CREATE",
            Command::Delete(_) => "DELETE",
            Command::Rename(_) => "RENAME",
            Command::Subscribe(_) => "SUBSCRIBE",
            Command::Unsubscribe(_) => "UNSUBSCRIBE",
            Command::List(_) => "LIST",
            Command::Lsub(_) => "LSUB",
            Command::Xlist(_) => "XLIST",
            Command::Namespace => "NAMESPACE",
            Command::Status(_) => "STATUS",
            Command::Append(_) => "APPEND",
            Command::Idle => "IDLE",
            Command::Expunge(expunge::Expunge::All) => "EXPUNGE",
            Command::Expunge(expunge::Expunge::Among(_)) => "UID EXPUNGE",
            Command::Search(search::Search { numbers: Sequence, .. }) => "SEARCH",
            Command::Search(search::Search { numbers: Uid, .. }) => "UID SEARCH",
            Command::Fetch(fetch::Fetch { numbers: Sequence, .. }) => "FETCH",
            Command::Fetch(fetch::Fetch { numbers: Uid, .. }) => "UID FETCH",
            Command::Store(store::Store { numbers: Sequence, .. }) => "STORE",
            Command::Store(store::Store { numbers: Uid, .. }) => "UID STORE",
            Command::Copy(copy::Copy { numbers: Sequence, .. }) => "COPY",
            Command::Copy(copy::Copy { numbers: Uid, .. }) => "UID COPY",
            Command::Move(copy::Copy { numbers: Sequence, .. }) => "MOVE",
            Command::Move(copy::Copy { numbers: Uid, .. }) => "UID MOVE",
        }
    }
}

/// For the tests of this folder.
#[cfg(test)]
pub(super) mod check {
    use super::*;

    /// Parses a command with the tag `a`, and checks that it prints to the same in both dialects.
    pub fn parsed(line: &str) -> Command {
        parsed_octets(line.as_bytes(), Dialect::Rev1)
    }

    pub fn parsed_octets(line: &[u8], dialect: Dialect) -> Command {
        let tag = Tag::new("a").unwrap();
        let shown = String::from_utf8_lossy(line);
        let command = parse(&[b"a ", line].concat(), dialect).command.unwrap_or_else(|e| panic!("{shown}: {e:?}"));
        for dialect in [Dialect::Rev1, Dialect::Rev2] {
            let printed = print(&command, &tag, dialect);
            let again = parse(&printed, dialect);
            assert_eq!(again.command.as_ref(), Ok(&command), "{shown}: {}", String::from_utf8_lossy(&printed));
        }
        command
    }

    /// Why it does not parse.
    pub fn refused(line: &str) -> SyntaxError {
        refused_octets(line.as_bytes())
    }

    pub fn refused_octets(line: &[u8]) -> SyntaxError {
        let parsed = parse(&[b"a ", line].concat(), Dialect::Rev1);
        match parsed.command {
            Err(error) => error,
            Ok(command) => panic!("{}: {command:?}", String::from_utf8_lossy(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check::{parsed, refused, refused_octets};
    use super::*;

    #[test]
    fn commands_without_arguments_in_any_case() {
        for (line, command) in [
            ("CAPABILITY", Command::Capability),
            ("noop", Command::Noop),
            ("LogOut", Command::Logout),
            ("STARTTLS", Command::StartTls),
            ("check", Command::Check),
            ("CLOSE", Command::Close),
            ("UNSELECT", Command::Unselect),
            ("namespace", Command::Namespace),
            ("IDLE", Command::Idle),
            ("EXPUNGE", Command::Expunge(expunge::Expunge::All)),
            ("NOOP ", Command::Noop),
        ] {
            assert_eq!(parsed(line), command);
        }
        for line in ["NOOP x", "CLOSE (x)", "IDLE\t", "EXPUNGE 1", "NOOP\r", "NOOP\0"] {
            assert!(matches!(refused(line), SyntaxError::Expected { .. }), "{line:?}");
        }
    }

    #[test]
    fn a_tag_survives_whatever_follows_it() {
        for (line, tag, name) in [
            (&b"a1 NOOP"[..], Some("a1"), "NOOP"),
            (b"1.169 uid fetch", Some("1.169"), "FETCH"),
            (b"a", Some("a"), ""),
            (b"a ", Some("a"), ""),
            (b"a  NOOP", Some("a"), ""),
            (b"a FOO bar", Some("a"), "FOO"),
            (b"GET / HTTP/1.1", Some("GET"), ""),
            (b"", None, ""),
            (b" ", None, ""),
            (b"+ NOOP", None, ""),
            (b"* OK", None, ""),
            (b"\x16\x03\x01\x02\x00\x01", None, ""),
            (b"a\0b NOOP", Some("a"), ""),
        ] {
            let parsed = parse(line, Dialect::Rev1);
            assert_eq!((parsed.tag.as_ref().map(Tag::as_str), parsed.name.as_str()), (tag, name), "{line:?}");
            assert_eq!(parsed.command.is_ok(), name == "NOOP");
        }
    }

    #[test]
    fn unknown_commands_are_called_so() {
        for line in ["FOO", "UID FOO", "UID NOOP", "/ HTTP/1.1", "\"NOOP\"", "FETCHX 1 ALL", "{4}\r\nNOOP", ""] {
            assert_eq!(refused(line), SyntaxError::UnknownCommand, "{line:?}");
        }
    }

    #[test]
    fn nul_and_raw_8_bit_octets_are_nowhere_taken() {
        for line in [
            &b"LOGIN \0 x"[..],
            b"LOGIN x \"\0\"",
            b"LOGIN x {1}\r\n\0",
            b"LOGIN \xe9 x",
            b"LOGIN \xc3\xa9 x",
            b"SELECT a\0",
            b"SELECT \"a\0\"",
            b"SELECT {2}\r\na\0",
            b"LIST \"\" \xc3\xa9*",
            b"AUTHENTICATE PLAIN YQ\0=",
            b"ENABLE X\0",
            b"STORE 1 FLAGS (\xff)",
            b"ID (\"a\" \"\0\")",
            b"FETCH 1 BODY[HEADER.FIELDS (a\0)]",
            b"NOOP\0",
        ] {
            assert!(matches!(refused_octets(line), SyntaxError::Expected { .. }), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_tag_may_be_as_long_as_a_line_and_is_given_back_whole() {
        let tag = "t".repeat(crate::limits::LINE - 10);
        let parsed = parse(format!("{tag} NOOP").as_bytes(), Dialect::Rev1);
        assert_eq!(parsed.tag, Tag::new(&tag));
        assert_eq!(parsed.command, Ok(Command::Noop));
        assert_eq!(Tag::new("a b"), None);
        assert_eq!(parse(b"%n%s NOOP", Dialect::Rev1).tag, None);
    }

    #[test]
    fn any_octets_get_an_answer() {
        arbtest::arbtest(|u| {
            let words: [&[u8]; 16] = [
                b"a ", b" ", b"(", b")", b"\"", b"{3}\r\n", b"FETCH ", b"UID ", b"SEARCH ", b"BODY[", b"]", b"<1.",
                b"1", b"*", b"OR ", b"LIST ",
            ];
            let mut line = b"a ".to_vec();
            while !u.is_empty() {
                if u.ratio(1, 5)? { line.push(u.arbitrary()?) } else { line.extend_from_slice(u.choose(&words)?) }
            }
            for dialect in [Dialect::Rev1, Dialect::Rev2] {
                let parsed = parse(&line, dialect);
                let _ = append::parse_next(&line, dialect);
                let _ = append::message_follows(&line);
                if let (Some(tag), Ok(command)) = (parsed.tag, parsed.command) {
                    assert_eq!(parse(&print(&command, &tag, dialect), dialect).command, Ok(command));
                }
            }
            Ok(())
        });
    }
}
