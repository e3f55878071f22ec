//! Undo base64, quoted-printable and uuencode-free identity encodings, as a stream.

use memchr::memchr2;

use super::parameter::hex;
use crate::encoding::{ascii, base64};

/// One part's content transfer decoder.
#[derive(Clone)]
pub struct Decoder {
    state: State,
}

#[derive(Clone)]
enum State {
    Identity,
    Base64(base64::Decoder),
    QuotedPrintable(QuotedPrintable),
}

impl Decoder {
    /// `None` for an encoding that is not known, which BINARY answers with UNKNOWN-CTE (RFC 3516 section 4.3).
    pub fn new(encoding: &[u8]) -> Option<Self> {
        let encoding = ascii::trim(encoding);
        let is = |name: &str| encoding.eq_ignore_ascii_case(name.as_bytes());
        let state = if is("base64") {
            State::Base64(base64::Decoder::new())
        } else if is("quoted-printable") {
            State::QuotedPrintable(QuotedPrintable::default())
        } else if is("7bit") || is("8bit") || is("binary") || encoding.is_empty() {
            State::Identity
        } else {
            return None;
        };
        Some(Self { state })
    }

    /// Whether decoding changes nothing.
    pub fn is_identity(&self) -> bool {
        matches!(self.state, State::Identity)
    }

    /// Decodes a further piece in wire form, appending to `out`.
    pub fn push(&mut self, wire: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(wire),
            State::Base64(decoder) => decoder.push(wire, out),
            State::QuotedPrintable(decoder) => decoder.push_all(wire, out),
        }
    }

    /// Appends what was held back.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let State::QuotedPrintable(decoder) = self.state {
            decoder.finish(out);
        }
    }
}

/// Blanks that may turn out to be the end of a line. RFC 2045 section 6.7 allows lines of 76 octets; longer runs are no padding.
const BLANKS: usize = 998;

/// RFC 2045 section 6.7. What is no encoding stays as it is, as section 6.7 advises.
///
/// ```abnf
/// quoted-printable := qp-line *(CRLF qp-line)
/// hex-octet        := "=" 2(DIGIT / "A" / "B" / "C" / "D" / "E" / "F")
/// ```
#[derive(Clone, Default)]
struct QuotedPrintable {
    /// `=` and what came behind it, or blanks, or CR: what cannot be decided yet.
    held: Vec<u8>,
}

impl QuotedPrintable {
    /// Stretches in which nothing has to wait are taken whole; [`QuotedPrintable::push`] says what is meant.
    fn push_all(&mut self, wire: &[u8], out: &mut Vec<u8>) {
        let mut rest = wire;
        while let Some(&first) = rest.first() {
            if !self.held.is_empty() {
                self.push(first, out);
                rest = &rest[1..];
                continue;
            }
            let special = memchr2(b'=', b'\n', rest);
            let (stretch, behind) = rest.split_at(special.unwrap_or(rest.len()));
            let octet = |at: usize| behind.get(at).copied().unwrap_or(0);
            if octet(0) == b'=' {
                out.extend_from_slice(stretch);
                if let (Some(high), Some(low)) = (hex(octet(1)), hex(octet(2))) {
                    out.push(high << 4 | low);
                    rest = &behind[3..];
                } else if (octet(1), octet(2)) == (b'\r', b'\n') {
                    rest = &behind[3..];
                } else {
                    self.push(b'=', out);
                    rest = &behind[1..];
                }
                continue;
            }
            // Blanks and a CR at the end of the stretch wait for what comes behind.
            let plain = stretch.iter().rposition(|octet| !matches!(octet, b' ' | b'\t' | b'\r')).map_or(0, |at| at + 1);
            out.extend_from_slice(&stretch[..plain]);
            let waiting = stretch[plain..].iter().chain(behind.first());
            waiting.for_each(|&octet| self.push(octet, out));
            rest = behind.get(1..).unwrap_or_default();
        }
    }

    fn push(&mut self, octet: u8, out: &mut Vec<u8>) {
        match (self.held.first(), octet) {
            // Nothing waits.
            (None, b'=' | b' ' | b'\t' | b'\r') => self.held.push(octet),
            (None, _) => out.push(octet),
            // The end of a line: soft behind `=`, else without the blanks before it.
            (Some(b'='), b'\n') if self.is_blank_behind_first() => self.held.clear(),
            (Some(b' ' | b'\t' | b'\r'), b'\n') => {
                if self.held.last() == Some(&b'\r') {
                    out.push(b'\r');
                }
                out.push(b'\n');
                self.held.clear();
            }
            (Some(b'='), _) if self.held.len() == 1 && hex(octet).is_some() => self.held.push(octet),
            (Some(b'='), _) if self.held.len() == 2 && hex(self.held[1]).is_some() => {
                if let (Some(high), Some(low)) = (hex(self.held[1]), hex(octet)) {
                    out.push(high << 4 | low);
                    self.held.clear();
                } else {
                    self.release(octet, out);
                }
            }
            // Blanks, and one CR at their end.
            (Some(_), b' ' | b'\t' | b'\r') if self.held.last() != Some(&b'\r') && self.held.len() < BLANKS => {
                self.held.push(octet)
            }
            _ => self.release(octet, out),
        }
    }

    fn is_blank_behind_first(&self) -> bool {
        self.held[1..].iter().all(|octet| matches!(octet, b' ' | b'\t' | b'\r'))
    }

    /// What waited is nothing special.
    fn release(&mut self, octet: u8, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.push(octet, out);
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        // A soft line end before the end of the body, or blanks at the end of the last line.
        let ends = matches!(self.held.first(), Some(b'=' | b' ' | b'\t')) && self.is_blank_behind_first();
        if !ends {
            out.append(&mut self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: &str, wire: &str, piece: usize) -> String {
        let (mut decoder, mut out) = (Decoder::new(encoding.as_bytes()).unwrap(), Vec::new());
        wire.as_bytes().chunks(piece).for_each(|piece| decoder.push(piece, &mut out));
        decoder.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn quoted(wire: &str) -> String {
        let whole = decode("Quoted-Printable", wire, 10_000);
        assert_eq!(decode("quoted-printable", wire, 1), whole);
        assert_eq!(decode("quoted-printable", wire, 3), whole);
        let (mut by_octet, mut out) = (QuotedPrintable::default(), Vec::new());
        wire.bytes().for_each(|octet| by_octet.push(octet, &mut out));
        by_octet.finish(&mut out);
        assert_eq!(out, whole.as_bytes());
        whole
    }

    #[test]
    fn quoted_printable_is_undone() {
        assert_eq!(
            quoted("Now's the time =\r\nfor all folk to come=\r\n to the aid"),
            "Now's the time for all folk to come to the aid"
        );
        assert_eq!(quoted("=C3=a9=3D\r\n"), "\u{e9}=\r\n");
        assert_eq!(quoted("trailing \t \r\nblanks  "), "trailing\r\nblanks");
        assert_eq!(quoted("soft= \t\r\nbreak="), "softbreak");
        assert_eq!(quoted("lf=\nonly \n"), "lfonly\n");
    }

    #[test]
    fn what_is_not_quoted_printable_stays() {
        assert_eq!(quoted("a=b=4x=4=41== =x =\rx\ry \r\rz"), "a=b=4x=4A== =x =\rx\ry \r\rz");
        assert_eq!(quoted("x=4"), "x=4");
        assert_eq!(quoted("x\r"), "x\r");
        let blanks = format!("a{}b", " ".repeat(5000));
        assert_eq!(quoted(&blanks), blanks);
    }

    #[test]
    fn base64_is_undone_and_identity_does_nothing() {
        assert_eq!(decode("BASE64", "Zm9v\r\nYmFy\r\n", 5), "foobar");
        assert_eq!(decode(" 8bit ", "a=41\r\n", 2), "a=41\r\n");
        assert_eq!(decode("binary", "\0", 2), "\0");
    }

    #[test]
    fn an_unknown_encoding_has_no_decoder() {
        assert!(Decoder::new(b"x-uuencode").is_none());
        assert!(Decoder::new(&[b'x'; 5000]).is_none());
    }

    #[test]
    fn quoted_printable_of_any_pieces_is_the_same() {
        arbtest::arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=30)? {
                text.push_str(u.choose(&["=", "4", "1", " ", "\t", "\r", "\n", "\r\n", "x"])?);
            }
            quoted(&text);
            Ok(())
        });
    }
}
