//! Test: every command that the grammar allows parses, and prints so that it parses back the same, framed in any pieces.

use super::Dialect;
use super::command::{Tag, parse, print};
use super::frame::{FrameLimits, Framer, Progress};
use crate::limits;
use arbtest::arbitrary::{Result, Unstructured};

/// Writes random commands by the grammar, as a client might.
struct Client<'a, 'b> {
    random: &'a mut Unstructured<'b>,
    dialect: Dialect,
    /// How deep search keys still may go.
    depth: usize,
    line: Vec<u8>,
}

impl Client<'_, '_> {
    fn add(&mut self, text: &str) -> Result<()> {
        self.line.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// A word of the grammar, in any case.
    fn word(&mut self, words: &[&str]) -> Result<()> {
        let word = *self.random.choose(words)?;
        let word = if self.random.ratio(1, 4)? { word.to_ascii_lowercase() } else { word.to_owned() };
        self.add(&word)
    }

    /// Some of what `item` writes, with blanks between.
    fn some(&mut self, least: usize, item: fn(&mut Self) -> Result<()>) -> Result<()> {
        for i in 0..self.random.int_in_range(least..=least + 3)? {
            if i > 0 {
                self.add(" ")?;
            }
            item(self)?;
        }
        Ok(())
    }

    fn list(&mut self, least: usize, item: fn(&mut Self) -> Result<()>) -> Result<()> {
        self.add("(")?;
        self.some(least, item)?;
        self.add(")")
    }

    fn maybe(&mut self, item: fn(&mut Self) -> Result<()>) -> Result<()> {
        if self.random.arbitrary()? { item(self) } else { Ok(()) }
    }

    /// Octets as one of the forms of a string.
    fn string(&mut self, octets: &[u8]) -> Result<()> {
        let quotable = std::str::from_utf8(octets).is_ok() && !octets.iter().any(|b| b"\0\r\n".contains(b));
        if quotable && self.random.arbitrary()? {
            self.add("\"")?;
            for &octet in octets {
                if b"\"\\".contains(&octet) {
                    self.add("\\")?;
                }
                self.line.push(octet);
            }
            return self.add("\"");
        }
        let plus = if self.random.arbitrary()? { "+" } else { "" };
        self.add(&format!("{{{}{plus}}}\r\n", octets.len()))?;
        self.line.extend_from_slice(octets);
        Ok(())
    }

    fn any_string(&mut self) -> Result<()> {
        let octets: Vec<u8> = self.random.arbitrary_iter::<u8>()?.take(12).filter_map(Result::ok).collect();
        let octets: Vec<u8> = octets.into_iter().filter(|&b| b != 0).collect();
        self.string(&octets)
    }

    fn astring(&mut self) -> Result<()> {
        if self.random.arbitrary()? { self.word(&["abc", "x]", "NIL", "{0}\r\n", "1"]) } else { self.any_string() }
    }

    fn text(&mut self) -> Result<()> {
        let text: String = self.random.arbitrary::<String>()?.chars().filter(|&c| c != '\0').take(8).collect();
        self.string(text.as_bytes())
    }

    fn mailbox(&mut self) -> Result<()> {
        let name = *self.random.choose(&["inbox", "a/b", "Sent Items", "Entw\u{fc}rfe", "u\u{308}", "A&B", "x]"])?;
        match self.dialect {
            Dialect::Rev1 => self.string(crate::encoding::utf7::encode(name).as_bytes()),
            Dialect::Rev2 => self.string(name.as_bytes()),
        }
    }

    fn pattern(&mut self) -> Result<()> {
        self.word(&["*", "%", "a/%", "\"\"", "\"x y*\"", "{1}\r\n%", "INBOX"])
    }

    fn set(&mut self) -> Result<()> {
        self.word(&["1", "*", "$", "1:*", "*:*", "4,2:1,7:*,3", "4294967295"])
    }

    fn flags(&mut self) -> Result<()> {
        self.list(0, |client| client.word(&["\\Seen", "\\Deleted", "\\Recent", "$Junk", "a", "\\ANSWERED"]))
    }

    fn status_items(&mut self) -> Result<()> {
        self.list(1, |client| {
            client.word(&["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"])?;
            client.add(" ")?;
            client.word(&["DELETED", "SIZE", "APPENDLIMIT", "HIGHESTMODSEQ", "MAILBOXID"])
        })
    }

    fn item(&mut self) -> Result<()> {
        match self.random.int_in_range(0..=4)? {
            0 => self.word(&["FLAGS", "UID", "ENVELOPE", "BODY", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE"]),
            1 => self.word(&["MODSEQ", "SAVEDATE", "EMAILID", "THREADID"]),
            2 => self.word(&["RFC822", "RFC822.HEADER", "RFC822.TEXT", "BINARY.SIZE[2.1]", "BINARY.PEEK[1]<0.5>"]),
            _ => {
                self.word(&["BODY[", "BODY.PEEK["])?;
                let texts = ["HEADER]", "TEXT]", "MIME]", "HEADER.FIELDS ", "HEADER.FIELDS.NOT "];
                let numbered = self.random.arbitrary()?;
                if numbered {
                    self.word(&["1", "4.2.1"])?;
                }
                let whole: bool = self.random.arbitrary()?;
                if whole {
                    self.add("]")?;
                } else {
                    let text = *self.random.choose(&texts)?;
                    let text = if text == "MIME]" && !numbered { "TEXT]" } else { text };
                    self.add(if numbered { "." } else { "" })?;
                    self.add(text)?;
                    if !text.ends_with(']') {
                        self.list(1, Self::astring)?;
                        self.add("]")?;
                    }
                }
                self.maybe(|client| client.word(&["<0.65536>", "<9223372036854775807.1>"]))
            }
        }
    }

    fn key(&mut self) -> Result<()> {
        let deep = self.depth > 0;
        match self.random.int_in_range(0..=if deep { 9 } else { 5 })? {
            0 => self.word(&["ALL", "SEEN", "UNSEEN", "NEW", "OLD", "RECENT", "KEYWORD $a", "UNKEYWORD b", "UNDRAFT"]),
            1 => self.word(&[
                "BEFORE 1-Feb-1994",
                "SENTON \"09-Mar-2020\"",
                "LARGER 0",
                "OLDER 5",
                "YOUNGER 4294967295",
                "MODSEQ 0",
                "MODSEQ \"/flags/\\\\seen\" all 9223372036854775807",
                "SAVEDON 1-Feb-1994",
                "SAVEDATESUPPORTED",
                "EMAILID E_-",
                "THREADID T1",
            ]),
            2 => self.set(),
            3 => {
                self.add("UID ")?;
                self.set()
            }
            4 => {
                self.word(&["BCC ", "CC ", "FROM ", "TO ", "SUBJECT ", "BODY ", "TEXT "])?;
                self.text()
            }
            5 => {
                self.add("HEADER ")?;
                self.text()?;
                self.add(" ")?;
                self.text()
            }
            choice => {
                self.depth -= 1;
                match choice {
                    6 => self.list(1, Self::key)?,
                    7 => {
                        self.add("NOT ")?;
                        self.key()?;
                    }
                    _ => {
                        self.add("OR ")?;
                        self.key()?;
                        self.add(" ")?;
                        self.key()?;
                    }
                }
                self.depth += 1;
                Ok(())
            }
        }
    }

    fn command(&mut self) -> Result<()> {
        let tag = *self.random.choose(&["a ", "1.169 ", "A] "])?;
        self.add(tag)?;
        match self.random.int_in_range(0..=16)? {
            0 => self.word(&[
                "NOOP",
                "CAPABILITY",
                "LOGOUT",
                "CHECK",
                "CLOSE",
                "UNSELECT",
                "NAMESPACE",
                "IDLE",
                "EXPUNGE",
            ]),
            1 => {
                self.word(&["LOGIN "])?;
                self.astring()?;
                self.add(" ")?;
                self.astring()
            }
            2 => {
                self.word(&["ID "])?;
                self.list(0, |client| {
                    client.any_string()?;
                    client.add(" ")?;
                    if client.random.arbitrary()? { client.add("NIL") } else { client.any_string() }
                })
            }
            3 => self.word(&[
                "ENABLE IMAP4rev2 X",
                "ENABLE CONDSTORE QRESYNC",
                "AUTHENTICATE PLAIN",
                "AUTHENTICATE PLAIN =",
                "STARTTLS",
            ]),
            4 => {
                self.word(&["SELECT ", "EXAMINE ", "DELETE ", "SUBSCRIBE ", "UNSUBSCRIBE ", "CREATE "])?;
                self.mailbox()
            }
            16 => {
                self.word(&["SELECT ", "EXAMINE "])?;
                self.mailbox()?;
                self.word(&[
                    " (CONDSTORE)",
                    " (QRESYNC (67890007 20050715194045000))",
                    " (QRESYNC (1 2 1:29997) CONDSTORE)",
                    " (CONDSTORE QRESYNC (1 2 7:3,3 (5000,9990:9999,10001 15000,29970:29979,4294967295)))",
                    " (QRESYNC (4294967295 9223372036854775807 (1:2,4 1,7:8)))",
                ])
            }
            5 => {
                self.word(&["RENAME "])?;
                self.mailbox()?;
                self.add(" ")?;
                self.mailbox()
            }
            6 => {
                self.word(&["CREATE "])?;
                self.mailbox()?;
                self.add(" (USE ")?;
                self.list(0, |client| client.word(&["\\Sent", "\\Trash", "\\Odd"]))?;
                self.add(")")
            }
            7 => {
                self.word(&["LSUB ", "XLIST ", "LIST "])?;
                self.mailbox()?;
                self.add(" ")?;
                self.pattern()
            }
            8 => {
                self.word(&["LIST "])?;
                self.maybe(|client| client.word(&["() ", "(SUBSCRIBED RECURSIVEMATCH) ", "(SPECIAL-USE REMOTE) "]))?;
                self.mailbox()?;
                self.add(" ")?;
                self.list(1, Self::pattern)?;
                self.maybe(|client| {
                    client.add(" RETURN ")?;
                    client.list(0, |client| {
                        client.word(&["CHILDREN", "SUBSCRIBED", "SPECIAL-USE", "STATUS (SIZE DELETED)"])
                    })
                })
            }
            9 => {
                self.word(&["STATUS "])?;
                self.mailbox()?;
                self.add(" ")?;
                self.status_items()
            }
            10 => {
                self.word(&["APPEND "])?;
                self.mailbox()?;
                self.add(" ")?;
                self.maybe(|client| {
                    client.flags()?;
                    client.add(" ")
                })?;
                self.maybe(|client| client.add("\" 7-Feb-1994 21:52:25 -0800\" "))?;
                self.word(&["{5}", "{0+}", "~{7}", "~{99999999+}"])
            }
            11 | 12 => {
                let uid = self.random.arbitrary()?;
                self.word(if uid { &["UID FETCH "] } else { &["FETCH "] })?;
                self.set()?;
                self.add(" ")?;
                match self.random.int_in_range(0..=2)? {
                    0 => self.word(&["ALL", "FAST", "FULL"]),
                    1 => self.item(),
                    _ => self.list(1, Self::item),
                }?;
                self.word(if uid {
                    &["", " (CHANGEDSINCE 0)", " (CHANGEDSINCE 5 VANISHED)", " (VANISHED CHANGEDSINCE 5)"]
                } else {
                    &["", " (CHANGEDSINCE 9223372036854775807)"]
                })
            }
            13 => {
                self.word(&["STORE ", "UID STORE "])?;
                self.set()?;
                self.word(&["", " (UNCHANGEDSINCE 0)", " (UNCHANGEDSINCE 12121230045)"])?;
                self.word(&[" FLAGS ", " +FLAGS ", " -FLAGS ", " FLAGS.SILENT ", " +FLAGS.SILENT "])?;
                self.flags()
            }
            14 => {
                self.word(&["COPY ", "UID COPY ", "MOVE ", "UID MOVE "])?;
                self.set()?;
                self.add(" ")?;
                self.mailbox()
            }
            _ => {
                self.word(&["SEARCH ", "UID SEARCH "])?;
                self.maybe(|client| {
                    client.add("RETURN ")?;
                    client.list(0, |client| client.word(&["MIN", "MAX", "ALL", "COUNT", "SAVE"]))?;
                    client.add(" ")
                })?;
                self.maybe(|client| client.word(&["CHARSET UTF-8 ", "CHARSET \"us-ascii\" "]))?;
                self.some(1, Self::key)
            }
        }
    }
}

/// The command that the octets are, cut into pieces of this size.
fn framed(line: &[u8], size: usize) -> Vec<u8> {
    let mut framer = Framer::new(FrameLimits {
        line: limits::LINE,
        literal: limits::LITERAL,
        literals: limits::LITERALS_OF_COMMAND,
        count: limits::LITERAL_COUNT,
    });
    for mut piece in [line, b"\r\n"].concat().chunks(size) {
        loop {
            let (taken, progress) = framer.push(piece);
            piece = &piece[taken..];
            match progress {
                Progress::More => break,
                Progress::Literal(_) if super::command::append::message_follows(framer.so_far()) => {
                    return framer.take();
                }
                Progress::Literal(_) => framer.accept(),
                Progress::Complete => return framer.take(),
                Progress::TooLong(_) if line.ends_with(b"~{99999999+}") => return framer.take(),
                Progress::TooLong(_) => panic!("{progress:?}"),
            }
        }
    }
    panic!("no end: {}", line.escape_ascii());
}

#[test]
fn what_the_grammar_allows_parses_and_prints_back_the_same() {
    arbtest::arbtest(|random| {
        let dialect = if random.arbitrary()? { Dialect::Rev1 } else { Dialect::Rev2 };
        let size = random.int_in_range(1..=40)?;
        let mut client = Client { random, dialect, depth: 6, line: Vec::new() };
        client.command()?;
        let line = client.line;
        assert_eq!(framed(&line, size), line, "{}", line.escape_ascii());
        let parsed = parse(&line, dialect);
        let command = parsed.command.unwrap_or_else(|error| panic!("{}: {error:?}", line.escape_ascii()));
        let tag = parsed.tag.unwrap_or_else(|| Tag::new("none").unwrap());
        let printed = print(&command, &tag, dialect);
        let again = parse(&printed, dialect);
        assert_eq!(again.command, Ok(command), "{}\n{}", line.escape_ascii(), printed.escape_ascii());
        assert_eq!(again.tag, Some(tag));
        assert_eq!(framed(&printed, size), printed);
        Ok(())
    })
    .budget_ms(500);
}
