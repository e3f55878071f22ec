//! `BODY[...]`, `BINARY[...]` and their partials: octets out of one message.

use super::source::{LastRead, Place};
use crate::limits;
use crate::message::header;
use crate::message::section::{self, Section, SectionText};
use crate::message::structure::{Kind, Span};
use crate::message::transfer::Decoder;
use crate::protocol::command::fetch::Partial;
use crate::protocol::encode;
use crate::session::channel::Channel;
use crate::storage::reader::Reader;
use std::io;

/// Writes the value of a section, the item's name being written: NIL if there is no such section.
pub(super) fn body(
    channel: &mut Channel,
    source: &mut Reader,
    last: &mut LastRead,
    section: &Section,
    partial: Option<Partial>,
) -> io::Result<()> {
    let span = if section.path.is_empty() && section.text == SectionText::Whole {
        last.whole()
    } else {
        last.structure().and_then(|message| section::locate(message, section))
    };
    let Some(span) = span else {
        encode::nstring(&mut channel.out, None);
        return Ok(());
    };
    match &section.text {
        SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names) => {
            let keep = matches!(section.text, SectionText::HeaderFields(_));
            let found = match last.header().filter(|_| section.path.is_empty()) {
                Some(header) => header::select(header, names, keep),
                None => header::select(&wire_header(source, span)?, names, keep),
            };
            selected(&mut channel.out, found, partial);
            channel.flush_if_full()
        }
        _ => {
            let range = range(partial, span.wire);
            if !begin_literal(&mut channel.out, range.1, false) {
                return Ok(());
            }
            let mut copying = last.copying(span, range);
            loop {
                let start = channel.out.len();
                if !copying.next(source, &mut channel.out)? {
                    break;
                }
                hide_nul(&mut channel.out[start..]);
                channel.flush_if_full()?;
            }
            last.copied(copying);
            Ok(())
        }
    }
}

/// Of a header longer than [`limits::HEADERS`] only so much is looked at.
fn wire_header(source: &mut Reader, span: Span) -> io::Result<Vec<u8>> {
    let mut wire = Vec::new();
    let mut place = Place::start(span);
    while place.stored() < span.end && wire.len() < limits::HEADERS {
        place.block(source, span.end, &mut wire)?;
    }
    Ok(wire)
}

/// Writes the value of HEADER.FIELDS or HEADER.FIELDS.NOT. The partial is of what was selected (RFC 9051 section 6.4.5).
pub(super) fn selected(out: &mut Vec<u8>, mut found: Vec<u8>, partial: Option<Partial>) {
    hide_nul(&mut found);
    let (offset, length) = range(partial, found.len() as u64);
    if begin_literal(out, length, false) {
        out.extend_from_slice(&found[offset as usize..(offset + length) as usize]);
    }
}

/// Offset and length of what a partial asks for of `total` octets.
fn range(partial: Option<Partial>, total: u64) -> (u64, u64) {
    match partial {
        None => (0, total),
        Some(Partial { offset, length }) => {
            let offset = offset.min(total);
            (offset, length.min(total - offset))
        }
    }
}

/// Writes the head of a literal; `false` if it was an empty string, after which nothing is to be sent.
fn begin_literal(out: &mut Vec<u8>, length: u64, binary: bool) -> bool {
    if length == 0 {
        encode::string(out, b"");
    } else if binary {
        encode::literal8_header(out, length);
    } else {
        encode::literal_header(out, length);
    }
    length != 0
}

/// NUL, which a literal may not hold, is sent as 0x80 (see [`encode`]).
fn hide_nul(octets: &mut [u8]) {
    let mut at = 0;
    while let Some(next) = memchr::memchr(0, &octets[at..]) {
        octets[at + next] = 0x80;
        at += next + 1;
    }
}

/// What a part is when its transfer encoding is undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decoded {
    Missing,
    /// It is in an encoding that is not known.
    Unknown,
    Octets {
        size: u64,
        has_nul: bool,
    },
}

/// A part on its way through the decoder.
#[derive(Clone)]
pub(super) struct Decoding {
    path: Vec<u32>,
    place: Place,
    end: u64,
    decoder: Option<Decoder>,
    wire: Vec<u8>,
    /// Decoded; the first is at offset `at` of the decoded part.
    ready: Vec<u8>,
    at: u64,
}

impl Decoding {
    /// `Err` if there is nothing that could be decoded. The empty path is the whole message as it is, since a message has no transfer encoding of
    /// its own; nor have multiparts (RFC 2045 section 6.4), whatever their header says.
    fn start(last: &LastRead, path: &[u32]) -> Result<Self, Decoded> {
        let (span, encoding) = if path.is_empty() {
            (last.whole().ok_or(Decoded::Missing)?, &b"BINARY"[..])
        } else {
            let message = last.structure().ok_or(Decoded::Missing)?;
            let part = section::part(message, path).ok_or(Decoded::Missing)?;
            let multipart = matches!(part.kind, Kind::Multipart(_));
            (part.body, if multipart { &b"BINARY"[..] } else { &part.content.encoding })
        };
        Ok(Self {
            path: path.to_vec(),
            place: Place::start(span),
            end: span.end,
            decoder: Some(Decoder::new(encoding).ok_or(Decoded::Unknown)?),
            wire: Vec::new(),
            ready: Vec::new(),
            at: 0,
        })
    }

    /// Passes over what is ready and decodes a further block; `false` at the end.
    fn next(&mut self, source: &mut Reader) -> io::Result<bool> {
        self.at += self.ready.len() as u64;
        self.ready.clear();
        while self.ready.is_empty() {
            if self.place.stored() < self.end {
                self.wire.clear();
                self.place.block(source, self.end, &mut self.wire)?;
                if let Some(decoder) = &mut self.decoder {
                    decoder.push(&self.wire, &mut self.ready);
                }
            } else {
                let Some(decoder) = self.decoder.take() else { return Ok(false) };
                decoder.finish(&mut self.ready);
            }
        }
        Ok(true)
    }

    /// Gives `length` decoded octets from `offset`, which must not lie before those that were passed over, to `sink`.
    fn copy(
        &mut self,
        source: &mut Reader,
        (mut offset, mut length): (u64, u64),
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while length > 0 {
            let passed = offset - self.at;
            if passed >= self.ready.len() as u64 {
                if !self.next(source)? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            let rest = &self.ready[passed as usize..];
            let piece = &rest[..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
            sink(piece)?;
            offset += piece.len() as u64;
            length -= piece.len() as u64;
        }
        Ok(())
    }
}

/// Decodes a part once through, to know what can be announced of it.
pub(super) fn decoded(source: &mut Reader, last: &mut LastRead, path: &[u32]) -> io::Result<Decoded> {
    if let Some((_, known)) = last.decoded.iter().find(|known| known.0 == path) {
        return Ok(*known);
    }
    let decoded = match Decoding::start(last, path) {
        Err(nothing) => nothing,
        Ok(mut decoding) => {
            let (mut size, mut has_nul) = (0, false);
            while decoding.next(source)? {
                size += decoding.ready.len() as u64;
                has_nul = has_nul || memchr::memchr(0, &decoding.ready).is_some();
            }
            Decoded::Octets { size, has_nul }
        }
    };
    last.decoded.push((path.to_vec(), decoded));
    Ok(decoded)
}

/// Writes the value of `BINARY[...]`, its name being written. As a literal8 if there is a NUL in it (RFC 9051 section 7.5.2).
pub(super) fn binary(
    channel: &mut Channel,
    source: &mut Reader,
    last: &mut LastRead,
    path: &[u32],
    partial: Option<Partial>,
) -> io::Result<()> {
    let Decoded::Octets { size, has_nul } = decoded(source, last, path)? else {
        encode::nstring(&mut channel.out, None);
        return Ok(());
    };
    let (offset, length) = range(partial, size);
    let known = last.decoding.take().filter(|known| known.path == path && known.at <= offset);
    let mut decoding = match known {
        Some(known) => known,
        None => Decoding::start(last, path).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?,
    };
    let has_nul = has_nul && {
        let mut found = length == size;
        if !found {
            decoding.clone().copy(source, (offset, length), &mut |octets| {
                found |= memchr::memchr(0, octets).is_some();
                Ok(())
            })?;
        }
        found
    };
    if begin_literal(&mut channel.out, length, has_nul) {
        decoding.copy(source, (offset, length), &mut |octets| channel.send(octets))?;
    }
    last.decoding = Some(decoding);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_never_reaches_beyond_the_end() {
        let ask = |offset, length| range(Some(Partial { offset, length }), 10);
        assert_eq!(ask(0, 4), (0, 4));
        assert_eq!(ask(8, 4), (8, 2));
        assert_eq!(ask(10, 1), (10, 0));
        assert_eq!(ask(u64::MAX, u64::MAX), (10, 0));
        assert_eq!(ask(1, u64::MAX), (1, 9));
        assert_eq!(range(None, 10), (0, 10));
    }

    #[test]
    fn nul_is_hidden_and_nothing_else() {
        let mut octets = *b"\0a\0\0b\xff\0";
        hide_nul(&mut octets);
        assert_eq!(octets, *b"\x80a\x80\x80b\xff\x80");
    }
}
