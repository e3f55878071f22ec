//! Goes on with a TLS connection whose handshake another process has made: the record layer of TLS 1.2 and 1.3, and the few
//! messages that may still come (alerts, KeyUpdate). What is not expected ends the connection with an alert.

use super::suite::{Alert, FRAGMENT, HEADER, Keys, RECORD, Suite, Version, Violation, content};
use super::wire::Wire;
use crate::limits;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What is read at once while the client sends little. A session that idles keeps no more.
const SMALL: usize = 4 * 1024;
/// The same while it sends much.
const GREAT: usize = 2 * RECORD;
/// Sealed and then written at once.
const BATCH: usize = 4 * FRAGMENT;
/// Kept of what can be sealed before the keys are used up: a KeyUpdate, and an alert.
const RESERVE: u64 = 2;

/// Handshake messages (RFC 8446 section 4, RFC 5246 section 7.4).
mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const KEY_UPDATE: u8 = 24;
}

/// The server's end of an established TLS connection.
pub(super) struct Records {
    pub wire: Wire,
    suite: &'static Suite,
    sending: Keys,
    receiving: Keys,
    /// Its length is what may be filled.
    inbox: Vec<u8>,
    /// In `inbox`: content that was opened and not yet read.
    open: Range<usize>,
    /// In `inbox`: what came and is still sealed.
    sealed: Range<usize>,
    /// What the last read from the socket gave.
    last_read: usize,
    outbox: Vec<u8>,
    /// The peer has said that it sends nothing more.
    ended: bool,
    /// We have said that we send nothing more, or cannot.
    closed: bool,
    /// Why nothing more can be read.
    failed: Option<io::Error>,
    /// The peer wants new keys from us too.
    update_due: bool,
    fruitless: u32,
    updates: Updates,
}

/// The KeyUpdates that came in this minute.
struct Updates {
    began: Instant,
    count: u32,
}

impl Updates {
    fn admit(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) >= Duration::from_secs(60) {
            *self = Self { began: now, count: 0 };
        }
        self.count += 1;
        self.count <= limits::KEY_UPDATES_PER_MINUTE
    }
}

impl Records {
    /// With `ended`, the peer has said already that it sends nothing more.
    pub fn new(wire: Wire, suite: &'static Suite, sending: Keys, receiving: Keys, ended: bool) -> Self {
        Self {
            wire,
            suite,
            sending,
            receiving,
            inbox: Vec::new(),
            open: 0..0,
            sealed: 0..0,
            last_read: 0,
            outbox: Vec::new(),
            ended,
            closed: false,
            failed: None,
            update_due: false,
            fruitless: 0,
            updates: Updates { began: Instant::now(), count: 0 },
        }
    }

    pub fn description(&self) -> String {
        self.suite.description()
    }

    /// What can be read now, from as many records as have come whole; blocks if there is nothing. Zero after close_notify,
    /// `UnexpectedEof` if the peer vanished without it (RFC 8446 section 6.1).
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let rest = buffer.get_mut(count..).unwrap_or_default();
            let ready = self.inbox.get(self.open.clone()).unwrap_or_default();
            let taken = ready.len().min(rest.len());
            if let (Some(from), Some(to)) = (ready.get(..taken), rest.get_mut(..taken)) {
                to.copy_from_slice(from);
            }
            self.open.start += taken;
            count += taken;
            if count == buffer.len() {
                return Ok(count);
            }
            self.advance();
            if !self.open.is_empty() {
                continue;
            }
            if count > 0 || self.ended {
                return Ok(count);
            }
            if let Some(error) = &self.failed {
                return Err(again(error));
            }
            if self.fill()? == 0 {
                return Err(self.vanished());
            }
        }
    }

    /// Seals and sends all.
    pub fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        for batch in octets.chunks(BATCH) {
            if self.closed {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the TLS connection is closed"));
            }
            if self.update_due {
                // RFC 8446 section 4.6.3: before the next application data, and one answer to many requests.
                self.update_due = false;
                self.update_sending()?;
            }
            for fragment in batch.chunks(FRAGMENT) {
                self.seal_data(fragment)?;
            }
            self.send()?;
        }
        if octets.len() <= SMALL && self.outbox.capacity() > 2 * SMALL {
            self.outbox = Vec::new();
        }
        Ok(())
    }

    /// Says goodbye and ends the sending side.
    pub fn close(&mut self) {
        // A peer that is gone already need not hear it.
        let _ = self.say_last(1, Alert::CloseNotify);
        self.wire.close();
    }

    /// Whether [`Records::read`] has something to say without looking at the socket.
    pub fn has_something_to_say(&mut self) -> bool {
        self.advance();
        let something = !self.open.is_empty() || self.ended || self.failed.is_some();
        if !something && self.sealed.is_empty() && self.last_read <= SMALL && self.inbox.len() > SMALL {
            self.inbox = Vec::new();
            (self.open, self.sealed) = (0..0, 0..0);
        }
        something
    }

    /// To be called when the socket is readable. False if [`Records::read`] would have to wait all the same.
    pub fn take_in(&mut self) -> bool {
        match self.fill() {
            Ok(0) => {
                self.failed = Some(self.vanished());
                true
            }
            Ok(_) => self.has_something_to_say(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => {
                self.failed = Some(error);
                true
            }
        }
    }

    fn vanished(&self) -> io::Error {
        io::Error::new(io::ErrorKind::UnexpectedEof, "the client vanished without close_notify")
    }

    /// Reads what is there. All that was opened must have been read.
    fn fill(&mut self) -> io::Result<usize> {
        let have = self.sealed.len();
        if self.sealed.start > 0 {
            self.inbox.copy_within(self.sealed.clone(), 0);
            (self.open, self.sealed) = (0..0, 0..have);
        }
        let whole = HEADER + self.body_len().unwrap_or(0);
        let wanted = if self.last_read >= SMALL { GREAT } else { SMALL.max(whole) };
        if self.inbox.len() < wanted {
            self.inbox.resize(wanted, 0);
        }
        self.last_read = self.wire.read(self.inbox.get_mut(have..).unwrap_or_default())?;
        self.sealed.end += self.last_read;
        Ok(self.last_read)
    }

    /// What the header says that came, if it is here.
    fn body_len(&self) -> Option<usize> {
        let &[_, _, _, high, low] = self.inbox.get(self.sealed.clone())?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes([high, low])))
    }

    /// Opens records until there is something to read or the next has not come whole.
    fn advance(&mut self) {
        while self.open.is_empty() && !self.ended && self.failed.is_none() {
            match self.open_next() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Violation(alert, text)) => {
                    let _ = self.say_last(2, alert);
                    self.failed = Some(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
    }

    /// False if the next record has not come whole.
    fn open_next(&mut self) -> Result<bool, Violation> {
        let Some(&outer) = self.inbox.get(self.sealed.clone()).and_then(|sealed| sealed.first()) else {
            return Ok(false);
        };
        // RFC 8446 section 5.2. A change_cipher_spec may come until the client has finished its handshake (section 5), and in
        // TLS 1.2 nothing may follow that would need one.
        let expected = match self.suite.version() {
            Version::Tls13 => outer == content::APPLICATION_DATA,
            Version::Tls12 => matches!(outer, content::APPLICATION_DATA | content::ALERT | content::HANDSHAKE),
        };
        if !expected {
            return Err(Violation(Alert::UnexpectedMessage, "no TLS record of an expected type"));
        }
        let Some(body) = self.body_len() else { return Ok(false) };
        if body > self.suite.longest_body() {
            return Err(Violation(Alert::RecordOverflow, "a TLS record is too long"));
        }
        let start = self.sealed.start;
        let end = start + HEADER + body;
        if end > self.sealed.end {
            return Ok(false);
        }
        let record = self.inbox.get_mut(start..end).unwrap_or_default();
        let (kind, within) = self.receiving.open(record)?;
        self.sealed.start = end;
        let place = start + within.start..start + within.end;
        match kind {
            content::APPLICATION_DATA if place.is_empty() => self.count_fruitless()?,
            content::APPLICATION_DATA => {
                self.fruitless = 0;
                self.open = place;
            }
            content::ALERT => {
                let &[level, description] = self.message(place)?;
                self.hear_alert(level, description)?;
            }
            content::HANDSHAKE => self.hear_handshake(place)?,
            _ => return Err(Violation(Alert::UnexpectedMessage, "a TLS record of an unexpected type")),
        }
        Ok(true)
    }

    /// An alert is a record of its own, of two octets; and it is not empty (RFC 8446 sections 5.1 and 5.4).
    fn message(&self, place: Range<usize>) -> Result<&[u8; 2], Violation> {
        match self.inbox.get(place).unwrap_or_default() {
            [] => Err(Violation(Alert::UnexpectedMessage, "an empty TLS alert")),
            octets => octets.try_into().map_err(|_| Violation(Alert::DecodeError, "a malformed TLS alert")),
        }
    }

    fn count_fruitless(&mut self) -> Result<(), Violation> {
        self.fruitless += 1;
        if self.fruitless <= limits::FRUITLESS_RECORDS {
            return Ok(());
        }
        Err(Violation(Alert::UnexpectedMessage, "too many TLS records that bring nothing"))
    }

    fn hear_alert(&mut self, level: u8, description: u8) -> Result<(), Violation> {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        let tls13 = self.suite.version() == Version::Tls13;
        if description == Alert::CloseNotify as u8 {
            // What may follow is ignored (RFC 8446 section 6.1).
            self.ended = true;
            return Ok(());
        }
        // RFC 8446 section 6: in TLS 1.3 the level says nothing, and only user_canceled is not the end. RFC 5246 section 7.2.
        if if tls13 { description == Alert::UserCanceled as u8 } else { level == WARNING } {
            return self.count_fruitless();
        }
        if !tls13 && level != FATAL {
            return Err(Violation(Alert::IllegalParameter, "a TLS alert of no known level"));
        }
        // RFC 8446 section 6.2: the connection is closed at once, without an alert of ours.
        self.closed = true;
        self.failed =
            Some(io::Error::new(io::ErrorKind::InvalidData, format!("the client sent TLS alert {description}")));
        Ok(())
    }

    fn hear_handshake(&mut self, place: Range<usize>) -> Result<(), Violation> {
        let message = self.inbox.get(place).unwrap_or_default();
        match (self.suite.version(), message) {
            (Version::Tls13, &[handshake::KEY_UPDATE, 0, 0, 1, request]) => self.hear_key_update(request),
            (Version::Tls13, &[handshake::KEY_UPDATE, a, b, c, ..]) if (a, b, c) != (0, 0, 1) => {
                Err(Violation(Alert::DecodeError, "a malformed KeyUpdate"))
            }
            // No renegotiation (RFC 5246 section 7.2.2): a warning, and the client may stay.
            (Version::Tls12, &[handshake::CLIENT_HELLO, a, b, c, ref rest @ ..])
                if u32::from_be_bytes([0, a, b, c]) as usize == rest.len() =>
            {
                self.count_fruitless()?;
                self.say(1, Alert::NoRenegotiation)
                    .map_err(|_| Violation(Alert::InternalError, "no alert could be sent"))
            }
            // Also a KeyUpdate that is not the end of its record: RFC 8446 section 5.1 has new keys begin with a record.
            _ => Err(Violation(Alert::UnexpectedMessage, "a TLS handshake message that does not belong here")),
        }
    }

    /// RFC 8446 section 4.6.3.
    fn hear_key_update(&mut self, request: u8) -> Result<(), Violation> {
        if !self.updates.admit(Instant::now()) {
            return Err(Violation(Alert::UnexpectedMessage, "too many KeyUpdates"));
        }
        match request {
            0 => {}
            1 => self.update_due = true,
            _ => return Err(Violation(Alert::IllegalParameter, "a malformed KeyUpdate")),
        }
        self.receiving.update().map_err(|_| Violation(Alert::InternalError, "no new TLS keys"))
    }

    fn seal_data(&mut self, fragment: &[u8]) -> io::Result<()> {
        if self.sending.left() <= RESERVE {
            match self.suite.version() {
                Version::Tls13 => self.update_sending()?,
                // There are no new keys without a handshake, so this is the end (RFC 5246 section 6.1).
                Version::Tls12 => {
                    self.send()?;
                    self.say_last(1, Alert::CloseNotify)?;
                    return Err(io::Error::other("the TLS keys are used up"));
                }
            }
        }
        self.sending.seal(content::APPLICATION_DATA, fragment, &mut self.outbox)
    }

    /// KeyUpdate without a request for one, and our new keys. RFC 8446 section 4.6.3.
    fn update_sending(&mut self) -> io::Result<()> {
        self.sending.seal(content::HANDSHAKE, &[handshake::KEY_UPDATE, 0, 0, 1, 0], &mut self.outbox)?;
        self.sending.update()
    }

    fn say(&mut self, level: u8, alert: Alert) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.sending.seal(content::ALERT, &[level, alert as u8], &mut self.outbox)?;
        self.send()
    }

    /// The last that we say.
    fn say_last(&mut self, level: u8, alert: Alert) -> io::Result<()> {
        let said = self.say(level, alert);
        self.closed = true;
        said
    }

    /// Half a record that was sent can be followed by nothing.
    fn send(&mut self) -> io::Result<()> {
        let sent = self.wire.write_all(&self.outbox);
        self.outbox.clear();
        self.closed |= sent.is_err();
        sent
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
