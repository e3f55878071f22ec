//! One client: its state, its commands, its news. Never calls the system: it has a stream, a store and a wait.

pub mod capabilities;
pub mod channel;
pub mod command;
mod input;
pub mod login;
pub mod outcome;
mod output;
pub mod selected;
pub mod updates;

pub use crate::protocol::command::Tag;

use crate::auth::Peer;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::protocol::Dialect;
use crate::protocol::command::append::message_follows;
use crate::protocol::command::{self as said, Command, Parsed};
use crate::protocol::cursor::SyntaxError;
use crate::protocol::frame::{LiteralHeader, TooLong};
use crate::protocol::response::code::Code;
use crate::protocol::response::{self, Condition};
use crate::storage::{MailStore, StoreError};
use crate::types::Secret;
use crate::types::UidSet;
use capabilities::Withheld;
use channel::Channel;
use command::{News, State, append, general};
use input::{Heard, Silence};
use outcome::{Done, Refusal};
use selected::Selected;
use std::io;
use std::time::Instant;

/// What ENABLE has turned on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Enabled {
    pub imap4rev2: bool,
    /// The client wants to know when what changed, whichever command has said so (RFC 7162 section 3.1).
    pub condstore: bool,
    /// VANISHED takes the place of EXPUNGE. Only with `condstore`.
    pub qresync: bool,
}

impl Enabled {
    /// Which revision's syntax the client now speaks and hears.
    pub fn dialect(self) -> Dialect {
        if self.imap4rev2 { Dialect::Rev2 } else { Dialect::Rev1 }
    }
}

/// What was done for the client, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub commands: u64,
    /// Messages whose content was sent.
    pub fetched: u64,
    pub appended: u64,
    pub expunged: u64,
}

/// What a command function works with besides its arguments and the selected mailbox.
pub struct Context<'a> {
    pub channel: &'a mut Channel,
    pub store: &'a mut dyn MailStore,
    pub enabled: &'a mut Enabled,
    pub withheld: &'a Withheld,
    pub tag: &'a Tag,
    pub counters: &'a mut Counters,
}

/// What the client still waits for.
#[derive(Clone, Debug)]
pub enum Greeting {
    /// The OK of the command that logged it in.
    LoggedIn(Tag),
    /// `* PREAUTH`
    PreAuth,
}

/// Whose session it is.
pub struct SessionOptions {
    /// The account's name, for the log.
    pub user: String,
    pub peer: Peer,
    /// For the log: `imap`, `imaps`, `preauth`.
    pub service: &'static str,
    pub withheld: Withheld,
    pub greeting: Greeting,
}

/// A client that has logged in.
pub struct Session {
    channel: Channel,
    store: Box<dyn MailStore>,
    options: SessionOptions,
    enabled: Enabled,
    selected: Option<Selected>,
    counters: Counters,
    /// Commands that were none, since the last that was one.
    wrong: u32,
    began: Instant,
}

/// The session is over.
enum End {
    Logout,
    Bye(String),
    Disconnected(io::Error),
}

impl From<Silence> for End {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Ended(error) => End::Disconnected(error),
            Silence::Stop => End::Bye("Server is going down".into()),
            Silence::TimeUp => End::Bye("Idle for too long".into()),
        }
    }
}

/// In the middle of a command, silence ends the session.
impl From<Silence> for Refusal {
    fn from(silence: Silence) -> Self {
        match End::from(silence) {
            End::Bye(text) => Refusal::Bye(text),
            End::Disconnected(error) => Refusal::Disconnected(error),
            End::Logout => Refusal::Bye("Logging out".into()),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Disconnected(error)
    }
}

/// Answers a login whose mail cannot be opened, and ends the connection. The caller has logged the error.
pub fn refuse(mut channel: Channel, greeting: &Greeting, error: &StoreError) {
    let (code, text) = outcome::told(error);
    if let Greeting::LoggedIn(tag) = greeting {
        response::status(&mut channel.out, Some(tag), Condition::No, Some(&code), &text);
    }
    response::status(&mut channel.out, None, Condition::Bye, Some(&code), &text);
    channel.close();
}

impl Session {
    /// A session that has not greeted its client yet.
    pub fn new(channel: Channel, store: Box<dyn MailStore>, options: SessionOptions) -> Self {
        let (enabled, counters) = (Enabled::default(), Counters::default());
        Self { channel, store, options, enabled, selected: None, counters, wrong: 0, began: Instant::now() }
    }

    /// Serves the client until it or the server ends it. Begins and ends with a line in the log.
    pub fn run(mut self) {
        self.channel.stream.settle();
        self.channel.stream.set_stall(self.channel.patience.stalled);
        self.channel.set_limits(input::LIMITS);
        self.greet();
        let end = loop {
            if let Err(end) = self.turn() {
                break end;
            }
        };
        let reason = match &end {
            End::Logout => "logout".into(),
            End::Bye(text) => {
                response::status(&mut self.channel.out, None, Condition::Bye, None, text);
                text.clone()
            }
            End::Disconnected(error) if error.kind() == io::ErrorKind::UnexpectedEof => "disconnected".into(),
            End::Disconnected(error) => error.to_string(),
        };
        // The mailbox first: closing the stream may take its time.
        self.selected = None;
        self.channel.close();
        self.log_end(&reason);
    }

    fn greet(&mut self) {
        let code = Code::Capability(capabilities::after_login(&self.options.withheld));
        let out = &mut self.channel.out;
        match &self.options.greeting {
            Greeting::LoggedIn(tag) => response::status(out, Some(tag), Condition::Ok, Some(&code), "Logged in"),
            Greeting::PreAuth => response::status(out, None, Condition::PreAuth, Some(&code), "Logged in"),
        }
        let SessionOptions { user, peer, service, .. } = &self.options;
        let tls = self.channel.stream.tls_description().unwrap_or_else(|| "-".into());
        log!(Level::Info, "Login user={} host=[{}] service={service} tls={tls}", Quoted(user.as_bytes()), peer.host());
    }

    fn log_end(&self, reason: &str) {
        let SessionOptions { user, peer, .. } = &self.options;
        let (received, sent) = self.channel.stream.counters();
        let Counters { commands, fetched, appended, expunged } = self.counters;
        let seconds = self.began.elapsed().as_secs();
        log!(
            Level::Info,
            "Logout user={} host=[{}] commands={commands} in={received} out={sent} fetched={fetched} appended={appended} \
             expunged={expunged} seconds={seconds} reason={reason}",
            Quoted(user.as_bytes()),
            peer.host()
        );
    }

    /// One command, or one literal of it.
    fn turn(&mut self) -> Result<(), End> {
        match self.channel.hear(Instant::now() + self.channel.patience.idle)? {
            Heard::Command(framed) if framed.iter().all(|&b| b == b' ') => Ok(()),
            Heard::Command(framed) => {
                let framed = Secret::new(framed);
                self.command(framed.expose(), None)
            }
            Heard::Literal(header) | Heard::TooLong(TooLong::Literal(header))
                if message_follows(self.channel.framer.so_far()) =>
            {
                // The message goes to the store past the framer.
                let head = self.channel.framer.so_far().to_vec();
                self.channel.set_limits(input::LIMITS);
                self.command(&head, Some(header))
            }
            Heard::Literal(header) => {
                self.channel.accept(header);
                Ok(())
            }
            Heard::TooLong(TooLong::Literal(header)) if !header.non_synchronizing => {
                let tag = said::parse(self.channel.framer.so_far(), self.enabled.dialect()).tag;
                self.channel.set_limits(input::LIMITS);
                self.bad(tag.as_ref(), Some(&Code::TooBig), "Literal too long")
            }
            Heard::TooLong(_) => Err(End::Bye("Command too long".into())),
        }
    }

    /// Runs a command and answers it. With `message`, it is an APPEND whose first message comes next.
    fn command(&mut self, framed: &[u8], message: Option<LiteralHeader>) -> Result<(), End> {
        let Parsed { tag, name, command } = said::parse(framed, self.enabled.dialect());
        if name == "LOGIN" || name == "AUTHENTICATE" {
            // Too late or not, there is a password in it.
            self.channel.wipe_used();
        }
        let Some(tag) = tag else {
            self.skip(message)?;
            return self.bad(None, None, "Missing or invalid tag");
        };
        let command = match command {
            Ok(Command::Append(_)) if message.is_none() => Err(SyntaxError::Limit("APPEND without a message")),
            command => command,
        };
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                self.skip(message)?;
                return self.not_understood(&tag, &error);
            }
        };
        self.wrong = 0;
        self.counters.commands += 1;
        let leaving = command == Command::Logout;
        let rules = command::rules(&command);
        if rules.state == State::Selected && self.selected.is_none() {
            return self.bad(Some(&tag), None, "No mailbox selected");
        }
        if command::needs_qresync(&command) && !self.enabled.qresync {
            return self.bad(Some(&tag), None, "QRESYNC is not enabled");
        }
        if command::enables_condstore(&command) {
            // SELECT tells of the mailbox that it opens.
            let selected =
                self.selected.as_ref().filter(|_| !matches!(command, Command::Select(_) | Command::Examine(_)));
            updates::enable_condstore(&mut self.channel, &mut self.enabled, selected);
        }
        let mut context = Context {
            channel: &mut self.channel,
            store: &mut *self.store,
            enabled: &mut self.enabled,
            withheld: &self.options.withheld,
            tag: &tag,
            counters: &mut self.counters,
        };
        let outcome = command::run(&mut context, &mut self.selected, command);
        self.answer(&tag, &name, rules.news, outcome)?;
        if leaving { Err(End::Logout) } else { Ok(()) }
    }

    /// Throws away the messages of an APPEND that was refused.
    fn skip(&mut self, message: Option<LiteralHeader>) -> Result<(), End> {
        let Some(header) = message else { return Ok(()) };
        match append::skip_messages(&mut self.channel, header) {
            Ok(()) => Ok(()),
            Err(Refusal::Disconnected(error)) => Err(End::Disconnected(error)),
            Err(Refusal::Bye(text)) => Err(End::Bye(text)),
            Err(_) => Err(End::Bye("Message too big".into())),
        }
    }

    /// The news, then the tagged answer.
    fn answer(&mut self, tag: &Tag, name: &str, news: News, mut outcome: Result<Done, Refusal>) -> Result<(), End> {
        if let (Ok(_) | Err(Refusal::No(..)), Some(selected)) = (&outcome, &mut self.selected) {
            let fetch = name == "FETCH";
            if !fetch && news != News::None {
                updates::tell_again(&mut self.channel, selected);
            }
            let before = selected.view.last().copied();
            match updates::tell(&mut self.channel, selected, self.enabled, news) {
                Ok(()) => {}
                Err(Refusal::Disconnected(error)) => return Err(End::Disconnected(error)),
                Err(_) => return Err(gone()),
            }
            selected.overheard |= fetch && selected.view.last().copied() > before;
            match (updates::highest_modseq(selected, self.enabled), &mut outcome) {
                // Where RFC 7162 section 3.2.7 wants it.
                (Some(code), Ok(Done { code: place @ None, .. })) => *place = Some(code),
                (Some(code), _) => updates::untagged_highest(&mut self.channel.out, &code),
                (None, _) => {}
            }
        }
        let out = &mut self.channel.out;
        match outcome {
            Ok(Done { code, text }) => {
                let completed = format!("{name} completed");
                let text = text.unwrap_or(&completed);
                response::status(out, Some(tag), Condition::Ok, code.as_ref(), text);
            }
            Err(Refusal::No(code, text)) => response::status(out, Some(tag), Condition::No, code.as_ref(), &text),
            Err(Refusal::Bad(code, text)) => response::status(out, Some(tag), Condition::Bad, code.as_ref(), &text),
            Err(Refusal::MailboxGone) => return Err(gone()),
            Err(Refusal::Bye(text)) => return Err(End::Bye(text)),
            Err(Refusal::Disconnected(error)) => return Err(End::Disconnected(error)),
        }
        Ok(self.channel.flush_if_full()?)
    }

    fn not_understood(&mut self, tag: &Tag, error: &SyntaxError) -> Result<(), End> {
        let out = &mut self.channel.out;
        match error {
            // Right by the grammar, so no sign of a client gone astray.
            SyntaxError::Mailbox(why) => {
                response::status(out, Some(tag), Condition::No, Some(&Code::Cannot), why);
                Ok(())
            }
            SyntaxError::Charset { saving } => {
                if let (true, Some(selected)) = (saving, &mut self.selected) {
                    selected.save(UidSet::new());
                }
                let code = Code::BadCharset(vec!["US-ASCII", "UTF-8"]);
                response::status(out, Some(tag), Condition::No, Some(&code), "Unknown charset");
                Ok(())
            }
            error => self.bad(Some(tag), None, &general::syntax_text(error)),
        }
    }

    fn bad(&mut self, tag: Option<&Tag>, code: Option<&Code>, text: &str) -> Result<(), End> {
        response::status(&mut self.channel.out, tag, Condition::Bad, code, text);
        self.wrong += 1;
        if self.wrong < limits::BAD_COMMANDS { Ok(()) } else { Err(End::Bye("Too many wrong commands".into())) }
    }
}

fn gone() -> End {
    End::Bye("The selected mailbox is gone".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Stream;
    use crate::transport::wait::Stop;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn refused(greeting: Greeting, error: StoreError) -> String {
        let (mut client, server) = UnixStream::pair().unwrap();
        refuse(Channel::new(Stream::socket(OwnedFd::from(server)).unwrap(), Stop(None)), &greeting, &error);
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        said
    }

    #[test]
    fn who_logs_in_and_has_no_mail_hears_no_and_bye() {
        let tag = said::parse(b"a1 NOOP", Dialect::Rev1).tag.unwrap();
        let said = refused(Greeting::LoggedIn(tag), StoreError::Io(io::Error::other("/home/alice: gone")));
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("a1 NO [UNAVAILABLE] ") && lines[1].starts_with("* BYE [UNAVAILABLE] "), "{said}");
        assert!(!said.contains("alice"));
        let said = refused(Greeting::PreAuth, StoreError::NoPermission);
        assert!(said.starts_with("* BYE [NOPERM] ") && said.lines().count() == 1, "{said}");
    }
}
