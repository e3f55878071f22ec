//! The message that is read: its wire form from any place, and what is remembered of it from command to command.

use super::section::Decoding;
use crate::limits;
use crate::message::line_ends::ToWire;
use crate::message::structure::{Message, Scanner, Span};
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

    /// Gives the wire octets of the span from `offset`, `length` of them, to `sink`.
    pub(super) fn copy(
        &mut self,
        source: &mut Reader,
        end: u64,
        (offset, length): (u64, u64),
        sink: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while self.wire < offset {
            let octets = source.octets(self.stored, end)?;
            let (stored, wire) = self.state.count_up_to(octets, offset - self.wire);
            self.stored += stored as u64;
            self.wire += wire;
            if stored == 0 {
                break;
            }
        }
        // One, if the copy begins between the CR and the LF that an LF becomes.
        let mut skip = (offset - self.wire) as usize;
        let last = offset.saturating_add(length);
        let mut piece = Vec::new();
        while self.wire < last {
            let octets = source.octets(self.stored, end)?;
            let mut counter = self.state;
            let (stored, wire) = counter.count_up_to(octets, last - self.wire);
            if stored == 0 {
                return if skip == 0 { sink(&mut [b'\r']) } else { Ok(()) };
            }
            piece.clear();
            self.state.push(&octets[..stored], &mut piece);
            self.stored += stored as u64;
            self.wire += wire;
            sink(&mut piece[skip..])?;
            skip = 0;
        }
        Ok(())
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
    scanned: Option<Message>,
    /// Not only the header was scanned.
    complete: bool,
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
    pub(super) fn learn(&mut self, uid: Uid, source: &mut Reader, need: Need) -> io::Result<()> {
        let message = Some((uid, source.size()));
        if self.message != message {
            *self = Self { message, ..Self::default() };
        }
        if need.structure && !self.complete {
            let mut scanner = Scanner::new();
            self.each_block(source, |octets| {
                scanner.push(octets);
                true
            })?;
            let message = scanner.finish();
            self.length = Some(message.whole.wire);
            self.scanned = Some(message);
            self.complete = true;
        }
        if need.header && self.scanned.is_none() {
            let mut scanner = Scanner::new();
            self.each_block(source, |octets| {
                scanner.push(octets);
                !scanner.header_done()
            })?;
            self.scanned = Some(scanner.finish());
        }
        if need.length && self.length.is_none() {
            let (mut counter, mut length) = (ToWire::new(), 0);
            self.each_block(source, |octets| {
                length += counter.count(octets);
                true
            })?;
            self.length = Some(length);
        }
        Ok(())
    }

    /// A command ends. Of a message that is soon read again nothing is kept, so that a session that idles is small.
    pub(super) fn rest(&mut self) {
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

    /// As far as it was scanned.
    pub(super) fn structure(&self) -> Option<&Message> {
        self.scanned.as_ref()
    }

    /// The header as it is on the wire, if the message was scanned so far.
    pub(super) fn header(&self, source: &mut Reader) -> io::Result<Vec<u8>> {
        let mut header = Vec::new();
        if let Some(message) = &self.scanned {
            let span = message.root.header;
            let mut place = Place::start(span);
            while place.stored() < span.end.min(span.start + limits::HEADERS as u64) {
                place.block(source, span.end, &mut header)?;
            }
        }
        Ok(header)
    }

    /// As [`Place::copy`], going on from where the last copy ended, if that helps.
    pub(super) fn copy(
        &mut self,
        source: &mut Reader,
        span: Span,
        range: (u64, u64),
        sink: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let known = self.place.take().filter(|place| place.span == span.start && place.wire <= range.0);
        let mut place = known.unwrap_or_else(|| Place::start(span));
        place.copy(source, span.end, range, sink)?;
        self.place = Some(place);
        Ok(())
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
        last.copy(source, span, range, &mut |octets| {
            out.extend_from_slice(octets);
            Ok(())
        })
        .unwrap();
        out
    }

    #[test]
    fn pieces_of_any_size_in_any_order_are_those_of_the_whole() {
        arbtest::arbtest(|u| {
            let stored: Vec<u8> =
                (0..u.int_in_range(0..=40)?).map(|_| u.choose(b"\r\n\nxyz").copied()).collect::<Result<_, _>>()?;
            let mut wire = Vec::new();
            ToWire::new().push(&stored, &mut wire);
            let (mut last, mut source) = (LastRead::default(), source(&stored));
            last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }).unwrap();
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
        last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }).unwrap();
        assert!(copy(&mut last, &mut source, (0, wire.len() as u64)) == wire);
        for (at, piece) in wire.chunks(65_537).enumerate() {
            assert!(copy(&mut last, &mut source, (at as u64 * 65_537, piece.len() as u64)) == piece);
        }
    }

    #[test]
    fn a_message_that_became_shorter_is_an_error() {
        let (mut last, mut source) = (LastRead::default(), source(b"a\nb\n"));
        last.learn(Uid::MIN, &mut source, Need { length: true, ..Need::default() }).unwrap();
        let mut shorter = Reader::new(Box::new(Bytes(b"a\n".to_vec())), Block::default());
        let span = last.whole().unwrap();
        let error = last.copy(&mut shorter, span, (0, 6), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
