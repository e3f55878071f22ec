//! From the client: one framed command with its literals, within limits and time.

use super::channel::Channel;
use crate::limits;
use crate::protocol::frame::{FrameLimits, LiteralHeader, Progress, TooLong};
use crate::protocol::response;
use crate::transport::wait::{Woken, wait};
use crate::types::secret;
use std::io;
use std::time::Instant;

/// Before login one literal may have what all together may have.
pub(super) const LIMITS_BEFORE_LOGIN: FrameLimits = FrameLimits {
    line: limits::LINE_BEFORE_LOGIN,
    literal: limits::LITERAL_BEFORE_LOGIN,
    literals: limits::LITERAL_BEFORE_LOGIN,
    count: limits::LITERAL_COUNT_BEFORE_LOGIN,
};

/// APPEND's messages are not counted: they never come into the framer.
pub(super) const LIMITS: FrameLimits = FrameLimits {
    line: limits::LINE,
    literal: limits::LITERAL,
    literals: limits::LITERALS_OF_COMMAND,
    count: limits::LITERAL_COUNT,
};

/// What one read asks for; enough for most commands, little enough for a session that idles.
const READ: usize = 16 * 1024;
/// The same while a message comes in.
const READ_LITERAL: usize = 64 * 1024;

/// What came.
pub(super) enum Heard {
    /// A whole command.
    Command(Vec<u8>),
    /// A literal within the limits is announced: [`Channel::accept`] it or refuse the command. `framer.so_far()` is the command up to it.
    Literal(LiteralHeader),
    TooLong(TooLong),
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Silence {
    Ended(io::Error),
    /// The server ends this session.
    Stop,
    TimeUp,
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Silence::Ended(error)
    }
}

impl Channel {
    /// The next command, or the next literal of one.
    pub(super) fn hear(&mut self, deadline: Instant) -> Result<Heard, Silence> {
        loop {
            if let Some(heard) = self.hear_buffered() {
                return Ok(heard);
            }
            self.fill(deadline, READ)?;
        }
    }

    /// The same from what was already read; `None` when it does not suffice.
    pub(super) fn hear_buffered(&mut self) -> Option<Heard> {
        if self.used >= self.inbox.len() {
            return None;
        }
        let (taken, progress) = self.framer.push(&self.inbox[self.used..]);
        self.used = self.inbox.len().min(self.used + taken);
        match progress {
            Progress::More => None,
            Progress::Literal(header) => Some(Heard::Literal(header)),
            Progress::Complete => Some(Heard::Command(self.framer.take())),
            Progress::TooLong(what) => Some(Heard::TooLong(what)),
        }
    }

    /// What comes next, without using it.
    pub(super) fn first_octet(&mut self, deadline: Instant) -> Result<u8, Silence> {
        loop {
            if let Some(&octet) = self.inbox.get(self.used) {
                return Ok(octet);
            }
            self.fill(deadline, READ)?;
        }
    }

    /// Lets the literal that was announced become part of the command.
    pub(super) fn accept(&mut self, header: LiteralHeader) {
        self.framer.accept();
        if !header.non_synchronizing {
            response::continuation(&mut self.out, "OK");
        }
    }

    /// Octets of a literal that does not go through the framer: at least one and at most `most`, to be handed to
    /// [`Channel::use_octets`] when they have been used.
    pub(super) fn octets(&mut self, most: u64) -> Result<&[u8], Silence> {
        if self.used >= self.inbox.len() {
            self.fill(Instant::now() + self.patience.stalled, READ_LITERAL)?;
        }
        let ready = &self.inbox[self.used..];
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(&ready[..ready.len().min(most)])
    }

    /// Says that `count` of the octets which [`Channel::octets`] gave were used.
    pub(super) fn use_octets(&mut self, count: usize) {
        self.used = self.inbox.len().min(self.used + count);
    }

    /// Sends what waits, then waits for the client and reads.
    fn fill(&mut self, deadline: Instant, amount: usize) -> Result<(), Silence> {
        self.flush()?;
        loop {
            match wait(&mut self.stream, None, &self.stop, deadline)? {
                Woken::Client => break,
                Woken::Stop => return Err(Silence::Stop),
                Woken::Timeout => return Err(Silence::TimeUp),
                Woken::Mailbox => {}
            }
        }
        self.read_now(amount)
    }

    /// Whether the client has gone away, or the session shall end, as far as can be seen without waiting. To be asked by commands that
    /// take long; what the client has sent ahead is kept, and while there is some, nothing more is read.
    pub(super) fn is_gone(&mut self) -> bool {
        self.used >= self.inbox.len() && !matches!(self.fill(Instant::now(), READ), Ok(()) | Err(Silence::TimeUp))
    }

    /// Reads what is there. Everything read before must have been used.
    pub(super) fn read(&mut self) -> Result<(), Silence> {
        self.read_now(READ)
    }

    fn read_now(&mut self, amount: usize) -> Result<(), Silence> {
        self.inbox.drain(..self.used);
        self.used = 0;
        if amount <= READ {
            self.inbox.shrink_to(READ);
        }
        let start = self.inbox.len();
        self.inbox.resize(start + amount, 0);
        let read = loop {
            match self.stream.read(&mut self.inbox[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.inbox.truncate(start + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(Silence::Ended(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// Wipes what was used, because a password was in it.
    pub(super) fn wipe_used(&mut self) {
        secret::wipe(&mut self.inbox[..self.used]);
    }
}
