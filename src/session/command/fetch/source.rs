//! The message that is read: its wire form from any place, and what is remembered of it from command to command.

use super::section::Decoding;
use crate::limits;
use crate::message::line_ends::ToWire;
use crate::message::structure::{Message, Scanner, Span};
use crate::storage::Result;
use crate::storage::reader::Reader;
use crate::types::Uid;
use std::io;

/// A place in the wire form of a span: always before a stored octet, so that it can be gone on from.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where the span begins, stored.
    span: u64,
    /// Offset in the message, stored.
    stored: u64,
    /// Offset in the span, on the wire.
    wire: u64,
    state: ToWire,
}

impl Place {
    pub(super) fn start(span: Span) -> Self {
        Self { span: span.start, stored: span.start, wire: 0, state: ToWire::new() }
    }

    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Appends the wire form of a block of the message.
    pub(super) fn block(&mut self, source: &mut Reader, end: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let octets = source.octets(self.stored, end)?;
        self.state.push(octets, out);
        self.stored += octets.len() as u64;
        Ok(())
    }
}

/// A stretch of a span on its way out, in its wire form.
pub(super) struct Copying {
    span: Span,
    place: Place,
    /// Wire offsets in the span.
    from: u64,
    to: u64,
    ended: bool,
}

impl Copying {
    /// Appends what the next block of the message makes; `false` at the end.
    ///
    /// If the end of the span and the length that was announced of it do not come together, this is an error before the last octet that was announced is
    /// given out: a literal that is wrong must not look whole.
    pub(super) fn next(&mut self, source: &mut Reader, out: &mut Vec<u8>) -> io::Result<bool> {
        let Self { span, place, from, to, ended } = self;
        while place.wire < *from {
            let octets = source.octets(place.stored, span.end)?;
            let (stored, wire) = place.state.count_up_to(octets, *from - place.wire);
            place.stored += stored as u64;
            place.wire += wire;
            if stored == 0 {
                break;
            }
        }
        if *ended || place.wire >= *to {
            return Ok(false);
        }
        let octets = source.octets(place.stored, span.end)?;
        let room = *to - place.wire;
        let to_the_end = *to == span.wire;
        let is_last = to_the_end && place.stored + octets.len() as u64 == span.end;
        let fits = match is_last || octets.len() as u64 * 2 <= room {
            true => octets.len(),
            false => ToWire::clone(&place.state).count_up_to(octets, room).0,
        };
        // One, if the copy begins between the CR and the LF that an LF becomes.
        let skip = from.saturating_sub(place.wire) as usize;
        let start = out.len();
        place.state.push(&octets[..fits], out);
        place.stored += fits as u64;
        place.wire += (out.len() - start) as u64;
        *ended = fits == 0 || place.wire >= *to;
        if *ended && to_the_end && (place.wire, place.stored) != (span.wire, span.end) {
            out.truncate(start);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is longer than its known size"));
        }
        if fits == 0 {
            // Of the CRLF that comes next, only the CR is wanted.
            out.push(b'\r');
        }
        out.drain(start..out.len().min(start + skip));
        Ok(true)
    }
}

/// From this size on (stored octets) a message is worth remembering.
const LARGE: u64 = 256 * 1024;

/// What is remembered of the message that was read last, so that a client which fetches a large message piece by piece does not cost a scan
/// of the whole for each piece.
#[derive(Default)]
pub struct LastRead {
    message: Option<(Uid, u64)>,
    /// Wire octets of the message.
    length: Option<u64>,
    /// The length is what the store says, not what was counted.
    believed: bool,
    scanned: Option<Message>,
    /// Not only the header was scanned.
    complete: bool,
    /// The header in wire form, if it was read in this command and is no longer than [`limits::HEADERS`].
    header: Option<Vec<u8>>,
    /// Where the last copy ended.
    place: Option<Place>,
    /// What BINARY found, by part.
    pub(super) decoded: Vec<(Vec<u32>, super::section::Decoded)>,
    /// Where the last BINARY ended.
    pub(super) decoding: Option<Decoding>,
}

/// What of a message must be known before it can be answered.
#[derive(Clone, Copy, Default)]
pub(super) struct Need {
    /// Its length on the wire.
    pub(super) length: bool,
    pub(super) header: bool,
    pub(super) structure: bool,
}

impl Need {
    pub(super) fn nothing(self) -> bool {
        !(self.length || self.header || self.structure)
    }
}

impl LastRead {
    /// Turns to this message and finds out what is needed and not known.
    ///
    /// BODY[] must be announced before its first octet is sent. A message that fits a block is read once in any case and its length counted. Of a
    /// larger one the length is what `known`, the store, says, unless the first block shows that this cannot be, so that it need not be read twice; whether
    /// it was right turns out at the end, see [`Copying::next`].
    pub(super) fn learn(
        &mut self,
        uid: Uid,
        source: &mut Reader,
        need: Need,
        known: Option<&mut dyn FnMut() -> Result<u64>>,
    ) -> Result<()> {
        let message = Some((uid, source.size()));
        if self.message != message {
            *self = Self { message, ..Self::default() };
        }
        if need.structure && !self.complete {
            let message = self.scan(source, |_| true)?;
            (self.length, self.believed) = (Some(message.whole.wire), false);
            self.scanned = Some(message);
            self.complete = true;
        }
        if need.header && self.scanned.is_none() {
            self.scanned = Some(self.scan(source, |scanner| scanner.header_end().is_none())?);
        }
        if need.length && self.length.is_none() {
            let (mut start, mut wire) = (0, 0);
            self.each_block(source, |octets| {
                (start, wire) = (octets.len() as u64, ToWire::new().count(octets));
                false
            })?;
            let rest = source.size().saturating_sub(start);
            let known = known.filter(|_| rest > 0).map(|known| known()).transpose()?;
            match known.filter(|known| (wire + rest..=wire + 2 * rest).contains(known)) {
                Some(known) => (self.length, self.believed) = (Some(known), true),
                None if rest == 0 => (self.length, self.believed) = (Some(wire), false),
                None => self.count(source)?,
            }
        }
        Ok(())
    }

    /// Scans the message while more is wanted, and sets its header aside on the way.
    fn scan(&mut self, source: &mut Reader, more: impl Fn(&Scanner) -> bool) -> io::Result<Message> {
        let (mut scanner, mut header, mut at) = (Scanner::new(), Some(Vec::new()), 0);
        self.each_block(source, |octets| {
            let in_header = scanner.header_end().is_none();
            scanner.push(octets);
            if let Some(header) = header.as_mut().filter(|_| in_header) {
                let end = scanner.header_end().map_or(octets.len(), |end| (end - at) as usize);
                header.extend_from_slice(&octets[..end.min(octets.len())]);
            }
            header.take_if(|header| header.len() > limits::HEADERS);
            at += octets.len() as u64;
            more(&scanner)
        })?;
        self.header = header.map(|stored| {
            let mut wire = Vec::new();
            ToWire::new().push(&stored, &mut wire);
            wire
        });
        self.header.take_if(|wire| wire.len() > limits::HEADERS);
        Ok(scanner.finish())
    }

    fn count(&mut self, source: &mut Reader) -> io::Result<()> {
        let (mut counter, mut length) = (ToWire::new(), 0);
        self.each_block(source, |octets| {
            length += counter.count(octets);
            true
        })?;
        (self.length, self.believed) = (Some(length), false);
        Ok(())
    }

    /// The response failed half way. If that may be because the store was wrong about the length, all of the message is read, by which the store learns the
    /// truth, and the next connection will be answered. Says whether it was.
    pub(super) fn was_misled(&mut self, source: &mut Reader) -> bool {
        let before = self.length;
        self.believed && self.count(source).is_ok() && self.length != before
    }

    /// A command ends. Of a message that is soon read again nothing is kept, so that a session that idles is small.
    pub(super) fn rest(&mut self) {
        self.header = None;
        if self.message.is_none_or(|(_, size)| size < LARGE) {
            *self = Self::default();
        }
    }

    fn each_block(&self, source: &mut Reader, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let (mut at, size) = (0, source.size());
        while at < size {
            let octets = source.octets(at, size)?;
            at += octets.len() as u64;
            if !take(octets) {
                break;
            }
        }
        Ok(())
    }

    /// The whole message, if its length is known.
    pub(super) fn whole(&self) -> Option<Span> {
        Some(Span { start: 0, end: self.message?.1, wire: self.length? })
    }

    /// The message's header in wire form, if it is at hand.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Whether [`LastRead::structure`] is of the whole message.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// As far as it was scanned.
    pub(super) fn structure(&self) -> Option<&Message> {
        self.scanned.as_ref()
    }

    /// A copy of wire octets of a span, offset and length, that goes on from where the last one ended, if that helps. To be handed back to
    /// [`LastRead::copied`].
    pub(super) fn copying(&mut self, span: Span, (offset, length): (u64, u64)) -> Copying {
        let known = self.place.take().filter(|place| place.span == span.start && place.wire <= offset);
        let place = known.unwrap_or_else(|| Place::start(span));
        Copying { span, place, from: offset, to: offset.saturating_add(length), ended: length == 0 }
    }

    /// Remembers where a copy ended.
    pub(super) fn copied(&mut self, copying: Copying) {
        self.place = Some(copying.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StoredMessage;
    use crate::storage::reader::Block;

    struct Bytes(Vec<u8>);

    impl StoredMessage for Bytes {
        fn stored_size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    fn source(stored: &[u8]) -> Reader {
        Reader::new(Box::new(Bytes(stored.to_vec())), Block::default())
    }

    fn copy(last: &mut LastRead, source: &mut Reader, range: (u64, u64)) -> Vec<u8> {
        let mut out = Vec::new();
        let span = last.whole().unwrap();
        let mut copying = last.copying(span, range);
        while copying.next(source, &mut out).unwrap() {}
        last.copied(copying);
        out
    }

    #[test]
    fn pieces_of_any_size_in_any_order_are_those_of_the_whole() {
        arbtest::arbtest(|u| {
            let stored: Vec<u8> = (0..u.int_in_range(0..=40)?)
                .map(|_| u.choose(b"\r\n\nxyz").copied())
                .collect::<std::result::Result<_, _>>()?;
            let mut wire = Vec::new();
            ToWire::new().push(&stored, &mut wire);
            let (mut last, mut source) = (LastRead::default(), source(&stored));
            last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }, None).unwrap();
            assert_eq!(last.whole().unwrap().wire, wire.len() as u64);
            for _ in 0..8 {
                let from = u.int_in_range(0..=wire.len())?;
                let to = u.int_in_range(from..=wire.len())?;
                assert_eq!(copy(&mut last, &mut source, (from as u64, (to - from) as u64)), &wire[from..to]);
            }
            Ok(())
        });
    }

    #[test]
    fn blocks_are_joined_without_a_seam() {
        let stored = b"line\n".repeat(50_000);
        let wire = b"line\r\n".repeat(50_000);
        let (mut last, mut source) = (LastRead::default(), source(&stored));
        last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }, None).unwrap();
        assert!(copy(&mut last, &mut source, (0, wire.len() as u64)) == wire);
        for (at, piece) in wire.chunks(65_537).enumerate() {
            assert!(copy(&mut last, &mut source, (at as u64 * 65_537, piece.len() as u64)) == piece);
        }
    }

    /// Why the whole span cannot be copied; what was given out until then is less than was announced.
    fn failure(last: &mut LastRead, source: &mut Reader, span: Span) -> io::Error {
        let (mut copying, mut out) = (last.copying(span, (0, span.wire)), Vec::new());
        loop {
            match copying.next(source, &mut out) {
                Ok(more) => assert!(more && (out.len() as u64) < span.wire),
                Err(error) => return error,
            }
            assert!((out.len() as u64) < span.wire);
        }
    }

    #[test]
    fn a_wrong_length_never_gives_a_whole_literal() {
        for stored in [&b"a\nb\nc"[..], b"a\n", b"a\r\n\n", b"x"] {
            let (mut last, mut reader) = (LastRead::default(), source(stored));
            let need = Need { length: true, ..Need::default() };
            last.learn(Uid::MIN, &mut reader, need, None).unwrap();
            let right = last.whole().unwrap();
            for wire in (1..right.wire).chain([right.wire + 1, right.wire + 70_000]) {
                failure(&mut last, &mut reader, Span { wire, ..right });
            }
            assert_eq!(copy(&mut last, &mut reader, (0, right.wire)).len() as u64, right.wire);
        }
    }

    #[test]
    fn a_length_is_believed_only_where_it_can_be_and_spares_reading() {
        let stored = b"line\n".repeat(50_000);
        let (need, right) = (Need { length: true, ..Need::default() }, 300_000);
        let learn = |stored: &[u8], known: u64| {
            let (mut last, mut reader) = (LastRead::default(), source(stored));
            last.learn(Uid::MIN, &mut reader, need, Some(&mut || Ok(known))).unwrap();
            (last.whole().unwrap().wire, last.believed)
        };
        assert_eq!(learn(&stored, right), (right, true));
        assert_eq!(learn(&stored, right - 1), (right - 1, true));
        // Less than its stored octets and the line ends that were seen make, and more than all of it could.
        assert_eq!(learn(&stored, 250_000), (right, false));
        assert_eq!(learn(&stored, 600_000), (right, false));
        // One that is read in one go anyway.
        assert_eq!(learn(b"a\nb\n", 5), (6, false));
    }

    #[test]
    fn a_message_that_became_shorter_is_an_error() {
        let (mut last, mut source) = (LastRead::default(), source(b"a\nb\n"));
        last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }, None).unwrap();
        let mut shorter = Reader::new(Box::new(Bytes(b"a\n".to_vec())), Block::default());
        let span = last.whole().unwrap();
        assert_eq!(failure(&mut last, &mut shorter, span).kind(), io::ErrorKind::UnexpectedEof);
    }
}
