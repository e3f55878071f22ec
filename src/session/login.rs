//! Everything before login: greeting, STARTTLS, CAPABILITY, ID, NOOP, LOGIN, AUTHENTICATE, LOGOUT. A stream goes in; an authenticated
//! account and the channel come out, with the tag that still waits for its OK. Knows no mail store, so that it can run in a process
//! that has none.

use super::capabilities::{self, BeforeLogin, Withheld};
use super::channel::Channel;
use super::command::general;
use super::input::{Heard, Silence};
use crate::auth::sasl::{Exchange, Step};
use crate::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use crate::encoding::base64;
use crate::limits;
use crate::protocol::Dialect;
use crate::protocol::command::auth::{Authenticate, Login};
use crate::protocol::command::{self, Command, Parsed, Tag};
use crate::protocol::cursor::SyntaxError;
use crate::protocol::frame::{FrameLimits, LiteralHeader, TooLong};
use crate::protocol::response::code::Code;
use crate::protocol::response::{self, Condition};
use crate::transport::tls::TlsConfig;
use crate::types::Secret;
use std::io;
use std::time::Instant;

/// What is offered before login.
pub struct LoginPolicy<'a> {
    /// For STARTTLS; `None` where there is no certificate or TLS is already on.
    pub tls: Option<&'a TlsConfig>,
    /// Passwords are taken although the stream is not encrypted.
    pub cleartext_allowed: bool,
    pub withheld: &'a Withheld,
    pub peer: Peer,
}

/// How the dialogue ended.
#[expect(clippy::large_enum_variant, reason = "one is made for each connection")]
pub enum LoginOutcome {
    /// The command `tag` waits for its OK, which the session sends when the store is open.
    LoggedIn { account: Account, channel: Channel, tag: Tag },
    /// LOGOUT, BYE or a broken stream; all is said.
    Ended(Ended),
}

/// Why a dialogue has ended without login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// For the log.
    pub reason: String,
    pub ending: Ending,
}

/// What to think of a client that has not logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It took its leave, or was sent away for what has been counted already.
    InOrder,
    /// It went without a word, made no handshake, or spoke something else.
    Abandoned,
    /// It took too long.
    TimeUp,
}

impl Ended {
    /// The client did not come as far as IMAP.
    pub fn before_greeting(what: &str, error: &io::Error) -> Self {
        let ending = if error.kind() == io::ErrorKind::TimedOut { Ending::TimeUp } else { Ending::Abandoned };
        Self { reason: format!("{what}: {error}"), ending }
    }
}

/// Holds the dialogue.
pub fn login(channel: Channel, policy: &LoginPolicy<'_>, authenticator: &mut dyn Authenticator) -> LoginOutcome {
    let deadline = Instant::now() + channel.patience.before_login;
    let mut dialogue =
        Dialogue { channel, policy, authenticator, deadline, failures: 0, checked: false, wrong: 0, first: true };
    dialogue.set_stall();
    let code = Code::Capability(capabilities::before_login(dialogue.offer(), policy.withheld));
    response::status(&mut dialogue.channel.out, None, Condition::Ok, Some(&code), "IMAP server ready");
    loop {
        match dialogue.turn() {
            Ok(()) => {}
            Err(End::LoggedIn(account, tag)) => {
                return LoginOutcome::LoggedIn { account, channel: dialogue.channel, tag };
            }
            Err(End::StartTls) => {
                let Dialogue { channel, failures, checked, wrong, .. } = dialogue;
                let channel = match start_tls(channel, policy, deadline) {
                    Ok(channel) => channel,
                    Err(error) => return LoginOutcome::Ended(Ended::before_greeting(HANDSHAKE, &error)),
                };
                dialogue = Dialogue { channel, policy, authenticator, deadline, failures, checked, wrong, first: true };
                dialogue.set_stall();
            }
            Err(End::Over(reason, ending)) => return LoginOutcome::Ended(dialogue.end(reason, ending)),
            Err(End::Bye(reason, ending)) => {
                response::status(&mut dialogue.channel.out, None, Condition::Bye, None, reason);
                return LoginOutcome::Ended(dialogue.end(reason, ending));
            }
        }
    }
}

/// The handshake. What the client sent behind STARTTLS in the clear is thrown away: anyone on the way could have put it there
/// (CVE-2011-0411 and its kin).
fn start_tls(channel: Channel, policy: &LoginPolicy<'_>, deadline: Instant) -> io::Result<Channel> {
    let Channel { stream, stop, patience, .. } = channel;
    let deadline = deadline.min(Instant::now() + patience.handshake);
    let tls = policy.tls.ok_or(io::ErrorKind::NotFound)?;
    Ok(Channel::new(stream.start_tls(tls, deadline)?, stop).with_patience(patience))
}

/// What went wrong, for [`Ended::before_greeting`].
pub const HANDSHAKE: &str = "TLS handshake";

/// Why the dialogue is over.
enum End {
    LoggedIn(Account, Tag),
    StartTls,
    /// BYE has been said, or cannot be.
    Over(&'static str, Ending),
    Bye(&'static str, Ending),
}

/// The client is no longer there.
const DISCONNECTED: End = End::Over("disconnected", Ending::Abandoned);

impl From<Silence> for End {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Ended(_) => DISCONNECTED,
            Silence::Stop => End::Bye("Server is going down", Ending::InOrder),
            Silence::TimeUp => End::Bye("Too slow", Ending::TimeUp),
        }
    }
}

struct Dialogue<'p, 'a> {
    channel: Channel,
    policy: &'p LoginPolicy<'p>,
    authenticator: &'a mut dyn Authenticator,
    deadline: Instant,
    failures: u32,
    /// The authenticator has been asked, and so knows of this client.
    checked: bool,
    /// Commands that were none.
    wrong: u32,
    /// No line has come yet.
    first: bool,
}

impl Dialogue<'_, '_> {
    /// What is waiting is sent.
    fn end(&mut self, reason: &str, ending: Ending) -> Ended {
        self.channel.close();
        Ended { reason: reason.to_owned(), ending: if self.checked { Ending::InOrder } else { ending } }
    }

    fn set_stall(&mut self) {
        self.channel.stream.set_stall(self.channel.patience.stalled_before_login);
    }

    fn offer(&self) -> BeforeLogin {
        let encrypted = self.channel.stream.is_tls();
        BeforeLogin {
            starttls: self.policy.tls.is_some() && !encrypted,
            passwords: encrypted || self.policy.cleartext_allowed,
        }
    }

    /// One command, or one literal of it.
    fn turn(&mut self) -> Result<(), End> {
        if self.first && self.channel.framer.so_far().is_empty() {
            // A TLS ClientHello, for one, has no line end for long.
            let octet = self.channel.first_octet(self.deadline)?;
            if !octet.is_ascii_graphic() && !b" \r\n".contains(&octet) {
                return Err(End::Bye("This is an IMAP server", Ending::Abandoned));
            }
        }
        match self.channel.hear(self.deadline)? {
            Heard::Command(framed) if framed.iter().all(|&b| b == b' ') => Ok(()),
            Heard::Command(framed) => {
                let framed = Secret::new(framed);
                let parsed = command::parse(framed.expose(), Dialect::Rev1);
                let done = self.command(parsed);
                self.channel.wipe_used();
                done
            }
            Heard::Literal(header) => self.literal(header),
            Heard::TooLong(TooLong::Literal(header)) if !header.non_synchronizing => {
                let tag = command::parse(self.channel.framer.so_far(), Dialect::Rev1).tag;
                self.channel.set_limits(super::input::LIMITS_BEFORE_LOGIN);
                self.bad(tag.as_ref(), Some(&Code::TooBig), "Literal too long")
            }
            Heard::TooLong(_) => Err(End::Bye("Command too long", Ending::Abandoned)),
        }
    }

    /// LOGIN with its password in a literal is refused before the client sends it in the clear.
    fn literal(&mut self, header: LiteralHeader) -> Result<(), End> {
        if !self.offer().passwords && !header.non_synchronizing {
            let Parsed { tag, name, .. } = command::parse(self.channel.framer.so_far(), Dialect::Rev1);
            if let (Some(tag), "LOGIN") = (tag, name.as_str()) {
                self.channel.set_limits(super::input::LIMITS_BEFORE_LOGIN);
                return self.privacy_required(&tag);
            }
        }
        self.channel.accept(header);
        Ok(())
    }

    fn command(&mut self, parsed: Parsed) -> Result<(), End> {
        let first = std::mem::replace(&mut self.first, false);
        let Some(tag) = parsed.tag else {
            if first {
                return Err(End::Bye("This is an IMAP server", Ending::Abandoned));
            }
            return self.bad(None, None, "Missing or invalid tag");
        };
        match parsed.command {
            Err(error) if first && (parsed.name.is_empty() || error == SyntaxError::UnknownCommand) => {
                Err(End::Bye("This is an IMAP server", Ending::Abandoned))
            }
            Err(error) => {
                let text = general::syntax_text(&error);
                self.bad(Some(&tag), None, &text)
            }
            Ok(Command::Capability) => {
                let names = capabilities::before_login(self.offer(), self.policy.withheld);
                response::capability(&mut self.channel.out, &names);
                self.ok(&tag, "CAPABILITY completed")
            }
            Ok(Command::Noop) => self.ok(&tag, "NOOP completed"),
            Ok(Command::Id(_)) => {
                // No version before login.
                response::id(&mut self.channel.out, &[("name", "imapd")]);
                self.ok(&tag, "ID completed")
            }
            Ok(Command::Logout) => {
                response::status(&mut self.channel.out, None, Condition::Bye, None, "Logging out");
                self.ok(&tag, "LOGOUT completed")?;
                Err(End::Over("logout", Ending::InOrder))
            }
            Ok(Command::StartTls) => self.starttls(&tag),
            Ok(Command::Login(login)) => self.login(&tag, login),
            Ok(Command::Authenticate(authenticate)) => self.authenticate(&tag, &authenticate),
            Ok(_) => self.bad(Some(&tag), None, "Log in first"),
        }
    }

    fn starttls(&mut self, tag: &Tag) -> Result<(), End> {
        if self.channel.stream.is_tls() {
            return self.bad(Some(tag), None, "TLS is already active");
        }
        if self.policy.tls.is_none() {
            return self.bad(Some(tag), None, "TLS is not available");
        }
        self.ok(tag, "Begin TLS negotiation now")?;
        self.channel.flush().map_err(|_| DISCONNECTED)?;
        Err(End::StartTls)
    }

    fn login(&mut self, tag: &Tag, login: Login) -> Result<(), End> {
        if !self.offer().passwords {
            return self.privacy_required(tag);
        }
        // What is not UTF-8 comes to a name that nobody has.
        let user = String::from_utf8_lossy(&login.user).into_owned();
        self.check(tag, Credentials { user, password: login.password })
    }

    fn authenticate(&mut self, tag: &Tag, command: &Authenticate) -> Result<(), End> {
        let Some(mut exchange) = Exchange::new(&command.mechanism) else {
            return self.no(tag, None, "No such authentication mechanism");
        };
        if !self.offer().passwords {
            return self.privacy_required(tag);
        }
        let initial = match &command.initial {
            None => None,
            // RFC 4959 section 3: the empty response.
            Some(initial) if initial.expose() == b"=" => Some(Secret::new(Vec::new())),
            Some(initial) => match decoded(initial) {
                Some(initial) => Some(initial),
                None => return self.bad(Some(tag), None, "Invalid base64"),
            },
        };
        let mut step = exchange.start(initial.as_ref().map(Secret::expose));
        loop {
            match step {
                Step::Challenge(challenge) => {
                    response::continuation(&mut self.channel.out, &base64::encode(&challenge));
                    let Some(line) = self.sasl_response()? else {
                        return self.bad(Some(tag), None, "Invalid response");
                    };
                    if line.expose() == b"*" {
                        return self.bad(Some(tag), None, "Authentication cancelled");
                    }
                    let Some(response) = decoded(&line) else {
                        return self.bad(Some(tag), None, "Invalid base64");
                    };
                    step = exchange.respond(response.expose());
                }
                Step::Done(credentials) => return self.check(tag, credentials),
                Step::Malformed(what) => return self.bad(Some(tag), None, what),
                Step::NotAuthorized => return self.not_authorized(tag),
            }
        }
    }

    /// A line of a SASL exchange. `None` if it looked like one with a literal.
    fn sasl_response(&mut self) -> Result<Option<Secret>, End> {
        // In base64, with its CRLF.
        const LINE: usize = limits::SASL.div_ceil(3) * 4 + 2;
        const SASL: FrameLimits = FrameLimits { line: LINE, literal: 0, literals: 0, count: 0 };
        self.channel.set_limits(SASL);
        let heard = self.channel.hear(self.deadline)?;
        self.channel.wipe_used();
        let line = match heard {
            Heard::Command(line) => Some(Secret::new(line)),
            Heard::Literal(header) | Heard::TooLong(TooLong::Literal(header)) if !header.non_synchronizing => None,
            Heard::Literal(_) | Heard::TooLong(_) => return Err(End::Bye("Response too long", Ending::Abandoned)),
        };
        self.channel.set_limits(super::input::LIMITS_BEFORE_LOGIN);
        Ok(line)
    }

    /// Asks the authenticator, which also knows what can be no name and no password: all failures take their time in there.
    fn check(&mut self, tag: &Tag, credentials: Credentials) -> Result<(), End> {
        // The delay after a failure happens in there; what waits to be sent shall not wait with it.
        self.channel.flush().map_err(|_| DISCONNECTED)?;
        self.checked = true;
        match self.authenticator.authenticate(&credentials, &self.policy.peer) {
            Ok(account) => Err(End::LoggedIn(account, tag.clone())),
            Err(refusal) => self.failed(tag, refusal),
        }
    }

    /// The same words whatever was wrong with name or password.
    fn failed(&mut self, tag: &Tag, refusal: Refusal) -> Result<(), End> {
        let (code, text) = match refusal {
            Refusal::Failed => (Code::AuthenticationFailed, "Authentication failed"),
            Refusal::Expired => (Code::Expired, "Password expired"),
            Refusal::Unavailable => (Code::Unavailable, "Authentication is not available now"),
        };
        self.no(tag, Some(&code), text)?;
        self.count_failure()
    }

    fn not_authorized(&mut self, tag: &Tag) -> Result<(), End> {
        // An attempt like any other, which takes its time and is told to the log.
        let nobody = Credentials { user: String::new(), password: Secret::new(Vec::new()) };
        self.channel.flush().map_err(|_| DISCONNECTED)?;
        self.checked = true;
        let _ = self.authenticator.authenticate(&nobody, &self.policy.peer);
        self.no(tag, Some(&Code::AuthorizationFailed), "Nobody may log in for another")?;
        self.count_failure()
    }

    fn count_failure(&mut self) -> Result<(), End> {
        self.failures += 1;
        if self.failures < limits::FAILED_LOGINS {
            Ok(())
        } else {
            Err(End::Bye("Too many failed logins", Ending::Abandoned))
        }
    }

    fn privacy_required(&mut self, tag: &Tag) -> Result<(), End> {
        self.no(tag, Some(&Code::PrivacyRequired), "Passwords are taken only over TLS")
    }

    fn ok(&mut self, tag: &Tag, text: &str) -> Result<(), End> {
        response::status(&mut self.channel.out, Some(tag), Condition::Ok, None, text);
        self.channel.flush_if_full().map_err(|_| DISCONNECTED)
    }

    fn no(&mut self, tag: &Tag, code: Option<&Code>, text: &str) -> Result<(), End> {
        response::status(&mut self.channel.out, Some(tag), Condition::No, code, text);
        self.channel.flush_if_full().map_err(|_| DISCONNECTED)
    }

    fn bad(&mut self, tag: Option<&Tag>, code: Option<&Code>, text: &str) -> Result<(), End> {
        response::status(&mut self.channel.out, tag, Condition::Bad, code, text);
        self.wrong += 1;
        if self.wrong < limits::BAD_COMMANDS_BEFORE_LOGIN {
            Ok(())
        } else {
            Err(End::Bye("Too many wrong commands", Ending::Abandoned))
        }
    }
}

fn decoded(text: &Secret) -> Option<Secret> {
    base64::decode_strict(text.expose()).map(Secret::new)
}
