//! A message as a search reads it: its structure, its headers and the texts of its parts, encodings undone.

use super::skim::Skim;
use super::text::Hunt;
use super::{Stopped, collate};
use crate::limits;
use crate::message::charset;
use crate::message::header::{self, Field};
use crate::message::line_ends::ToWire;
use crate::message::structure::{Message, Part, Scanner, Span};
use crate::message::transfer::Decoder;
use crate::message::{address, encoded_word};
use crate::storage::StoreError;
use crate::storage::reader::{Block, Reader};
use std::io;

/// How a field's text can be meant, folded: decoded, and as it stands if that is something else.
pub(super) fn folded_forms(field: &Field<'_>) -> Vec<Vec<u8>> {
    forms(field).iter().map(|text| collate::folded(text)).collect()
}

/// The same as it is shown.
fn forms(field: &Field<'_>) -> Vec<String> {
    let value = &field.value[..field.value.len().min(limits::HEADER_FIELD)];
    let decoded = encoded_word::decode(value);
    if decoded.is_ascii() && !encoded_word::may_be_in(value) {
        // The raw form is the same.
        return vec![decoded];
    }
    let raw = String::from_utf8_lossy(&header::unfold(value)).into_owned();
    if decoded == raw { vec![decoded] } else { vec![decoded, raw] }
}

/// The addresses as ENVELOPE has them, folded, so that what only quotes or comments divide is found together.
pub(super) fn folded_addresses(value: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for address in address::parse(value) {
        let mut push = |octets: &Option<Vec<u8>>, before: &str, after: &str| {
            if let Some(octets) = octets {
                out.push_str(before);
                out.push_str(&encoded_word::decode(octets));
                out.push_str(after);
            }
        };
        push(&address.name, "", " ");
        push(&address.mailbox, "<", "");
        push(&address.host, "@", ">");
        out.push_str(", ");
    }
    collate::folded(&out)
}

/// Which kinds of key a text is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Body,
    Text,
}

/// The texts that are still looked for.
pub(super) struct Hunts<'a> {
    /// Of BODY keys.
    pub body: Hunt<'a>,
    /// Of TEXT keys.
    pub text: Hunt<'a>,
}

impl Hunts<'_> {
    /// Nothing was found in the message that begins.
    pub fn begin(&mut self) {
        self.body.begin();
        self.text.begin();
    }

    fn is_over(&self) -> bool {
        self.body.is_over() && self.text.is_over()
    }

    /// Every field of a header, name and all.
    pub fn header(&mut self, header: &[u8], which: &[Which]) {
        for hunt in which {
            let hunt = match hunt {
                Which::Body => &mut self.body,
                Which::Text => &mut self.text,
            };
            for field in header::fields(header) {
                if hunt.is_over() {
                    break;
                }
                let name = String::from_utf8_lossy(field.name);
                for text in forms(&field) {
                    hunt.push(&name);
                    hunt.push(": ");
                    hunt.push(&text);
                    // Texts of several fields share a window; the needle that would hold a line end is not in them.
                    hunt.push("\n");
                }
            }
            hunt.end();
        }
    }

    fn push(&mut self, text: &str) {
        self.body.push(text);
        self.text.push(text);
    }

    fn end(&mut self) {
        self.body.end();
        self.text.end();
    }
}

/// What is used again for each message.
pub(super) struct Desk<'a> {
    pub block: Block,
    pub hunts: Hunts<'a>,
    pub texts: Texts,
    pub skim: Skim,
}

/// A block of a part on its way to text.
#[derive(Default)]
pub(super) struct Texts {
    wire: Vec<u8>,
    plain: Vec<u8>,
    text: String,
}

impl<'a> Desk<'a> {
    /// With empty buffers.
    pub fn new(hunts: Hunts<'a>) -> Self {
        Self { block: Block::default(), hunts, texts: Texts::default(), skim: Skim::default() }
    }
}

/// A message that is being read.
pub(super) struct Reading<'a> {
    reader: Reader,
    cancelled: &'a mut dyn FnMut() -> bool,
}

impl<'a> Reading<'a> {
    /// `cancelled` is asked before each block; if it says yes, the reading ends in [`Stopped::Cancelled`].
    pub fn new(reader: Reader, cancelled: &'a mut dyn FnMut() -> bool) -> Self {
        Self { reader, cancelled }
    }

    /// For the next message.
    pub fn into_block(self) -> Block {
        self.reader.into_block()
    }

    /// The header of the message in wire form, of one longer than [`limits::HEADERS`] its beginning; whether it is the whole.
    pub fn header(&mut self) -> Result<(Vec<u8>, bool), Stopped> {
        /// Few headers are longer, and many messages.
        const STEP: usize = 8 * 1024;
        let (mut stored, mut ended) = (Vec::new(), false);
        self.each_block(self.whole(), |octets| {
            for step in octets.chunks(STEP) {
                // The empty line may have begun in the last step.
                let from = stored.len().saturating_sub(2);
                stored.extend_from_slice(step);
                if let Some(end) = header::end(&stored, from) {
                    stored.truncate(end);
                    ended = true;
                }
                if ended || stored.len() >= limits::HEADERS {
                    return false;
                }
            }
            true
        })?;
        let whole = (ended || stored.len() as u64 == self.reader.size()) && stored.len() <= limits::HEADERS;
        stored.truncate(limits::HEADERS);
        let mut wire = Vec::new();
        ToWire::new().push(&stored, &mut wire);
        let whole = whole && wire.len() <= limits::HEADERS;
        Ok((wire, whole))
    }

    /// The structure of the message, the envelopes left out.
    pub fn scan(&mut self) -> Result<Message, Stopped> {
        let mut scanner = Scanner::without_envelopes();
        self.each_block(self.whole(), |octets| {
            scanner.push(octets);
            true
        })?;
        Ok(scanner.finish())
    }

    fn whole(&self) -> Span {
        Span { start: 0, end: self.reader.size(), wire: 0 }
    }

    /// The stored octets of a header, of a very long one its beginning.
    pub fn octets(&mut self, span: Span) -> Result<Vec<u8>, Stopped> {
        let end = span.end.min(span.start.saturating_add(limits::HEADERS as u64));
        let mut out = Vec::new();
        self.each_block(Span { end, ..span }, |octets| {
            out.extend_from_slice(octets);
            true
        })?;
        Ok(out)
    }

    /// The text of a part, its encodings undone. Parts that are no text are passed over (RFC 9051 section 6.4.4 allows it). An encoding that is not
    /// known is taken for none.
    pub fn body(&mut self, part: &Part, hunts: &mut Hunts<'_>, texts: &mut Texts) -> Result<(), Stopped> {
        let main_type = &part.content.main_type;
        let is_text = main_type.eq_ignore_ascii_case(b"text") || main_type.eq_ignore_ascii_case(b"message");
        if !is_text || hunts.is_over() {
            return Ok(());
        }
        let decoder = Decoder::new(&part.content.encoding).or_else(|| Decoder::new(b"BINARY"));
        let Some(mut decoder) = decoder else { return Ok(()) };
        // US-ASCII often is not, so it is guessed at as if nothing had been said.
        let named = part.content.charset().filter(|name| !name.eq_ignore_ascii_case(b"us-ascii"));
        let mut charset = charset::Decoder::new(&named.unwrap_or_default());
        let mut to_wire = ToWire::new();
        let Texts { wire, plain, text } = texts;
        self.each_block(part.body, |octets| {
            wire.clear();
            plain.clear();
            text.clear();
            to_wire.push(octets, wire);
            if decoder.is_identity() {
                charset.push(wire, text);
            } else {
                decoder.push(wire, plain);
                charset.push(plain, text);
            }
            hunts.push(text);
            !hunts.is_over()
        })?;
        plain.clear();
        text.clear();
        decoder.finish(plain);
        charset.push(plain, text);
        charset.finish(text);
        hunts.push(text);
        hunts.end();
        Ok(())
    }

    /// Gives the blocks of a span until `take` has enough.
    fn each_block(&mut self, span: Span, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Stopped> {
        let mut at = span.start;
        while at < span.end {
            if (self.cancelled)() {
                return Err(Stopped::Cancelled);
            }
            let octets = self.reader.octets(at, span.end).map_err(failed)?;
            at += octets.len() as u64;
            if !take(octets) {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: io::Error) -> Stopped {
    Stopped::Store(StoreError::from(error))
}
