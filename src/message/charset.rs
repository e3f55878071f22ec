//! Octets in a named charset to text.
//!
//! Charsets are those of the WHATWG Encoding Standard (which read `us-ascii` and `iso-8859-1` as windows-1252), some more names for them
//! that mail has, and UTF-7 (RFC 2152), which that standard leaves out.

use encoding_rs::{CoderResult, Encoding, UTF_16BE, WINDOWS_1252};

use crate::encoding::base64;

/// Longer names are not looked up.
const NAME: usize = 40;

/// Whether SEARCH can take this charset.
pub fn is_known(name: &[u8]) -> bool {
    known(name).is_some()
}

/// The text; what is not valid in the charset becomes U+FFFD, an unknown charset is read as UTF-8 or else windows-1252.
pub fn decode(name: &[u8], octets: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = match known(name) {
        None if std::str::from_utf8(octets).is_err() => {
            Decoder { state: State::Named(WINDOWS_1252.new_decoder_without_bom_handling()) }
        }
        _ => Decoder::new(name),
    };
    decoder.push(octets, &mut text);
    decoder.finish(&mut text);
    text
}

/// The same in pieces. An unknown charset is read as UTF-8 up to the first octets that are not, and as windows-1252 from there on.
pub struct Decoder {
    state: State,
}

enum State {
    Named(encoding_rs::Decoder),
    Utf7(Utf7),
    /// Not known; the octets of an unfinished UTF-8 sequence.
    Guessed(Vec<u8>),
}

impl Decoder {
    /// For a charset by its MIME name.
    pub fn new(name: &[u8]) -> Self {
        let state = match known(name) {
            Some(Charset::Encoding(encoding)) => State::Named(encoding.new_decoder()),
            Some(Charset::Utf7) => State::Utf7(Utf7::default()),
            None => State::Guessed(Vec::new()),
        };
        Self { state }
    }

    /// Decodes a further piece, appending to `out`.
    pub fn push(&mut self, octets: &[u8], out: &mut String) {
        match &mut self.state {
            State::Named(decoder) => run(decoder, octets, Last::No, out),
            State::Utf7(utf7) => utf7.push(octets, out),
            State::Guessed(held) if held.is_empty() && octets.is_ascii() => {
                out.push_str(std::str::from_utf8(octets).unwrap_or_default());
            }
            State::Guessed(held) => {
                held.extend_from_slice(octets);
                let (valid, bad) = match std::str::from_utf8(held) {
                    Ok(text) => (text.len(), false),
                    Err(error) => (error.valid_up_to(), error.error_len().is_some()),
                };
                let rest = held.split_off(valid);
                out.push_str(&String::from_utf8_lossy(held));
                if bad {
                    let mut decoder = WINDOWS_1252.new_decoder_without_bom_handling();
                    run(&mut decoder, &rest, Last::No, out);
                    self.state = State::Named(decoder);
                } else {
                    *held = rest;
                }
            }
        }
    }

    /// Appends what stands for octets that wait for others.
    pub fn finish(&mut self, out: &mut String) {
        match &mut self.state {
            State::Named(decoder) => run(decoder, &[], Last::Yes, out),
            State::Utf7(utf7) => utf7.finish(out),
            State::Guessed(held) => run(&mut WINDOWS_1252.new_decoder_without_bom_handling(), held, Last::Yes, out),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Yes,
    No,
}

fn run(decoder: &mut encoding_rs::Decoder, octets: &[u8], last: Last, out: &mut String) {
    let mut rest = octets;
    loop {
        out.reserve(decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len()).clamp(16, 64 * 1024));
        let (result, read, _) = decoder.decode_to_string(rest, out, last == Last::Yes);
        rest = &rest[read..];
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

enum Charset {
    Encoding(&'static Encoding),
    Utf7,
}

fn known(name: &[u8]) -> Option<Charset> {
    if name.len() > NAME {
        return None;
    }
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(&["utf-7", "unicode-1-1-utf-7", "utf7"]) {
        return Some(Charset::Utf7);
    }
    // RFC 2781 section 4.3: without a byte order mark, big-endian.
    if is(&["utf-16"]) {
        return Some(Charset::Encoding(UTF_16BE));
    }
    let name = match ALIASES.iter().find(|(alias, _)| is(&[alias])) {
        Some((_, label)) => label.as_bytes(),
        None => name,
    };
    Encoding::for_label_no_replacement(name).map(Charset::Encoding)
}

/// Names in use which the Encoding Standard does not have.
const ALIASES: [(&str, &str); 8] = [
    ("ascii8", "us-ascii"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("latin-1", "iso-8859-1"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("utf8mb4", "utf-8"),
];

/// RFC 2152. Octets beyond ASCII, and what is not UTF-16 within a shift, become U+FFFD.
///
/// ```abnf
/// encoded = "+" *base64 ["-"]             ; big-endian UTF-16; "+-" is "+"
/// ```
#[derive(Default)]
struct Utf7 {
    shifted: bool,
    /// Nothing came since the `+`.
    fresh: bool,
    bits: u32,
    count: u32,
    /// A high surrogate that waits for the low one.
    high: Option<u16>,
}

impl Utf7 {
    fn push(&mut self, octets: &[u8], out: &mut String) {
        for &octet in octets {
            if self.shifted {
                if let Some(value) = base64::value(octet) {
                    self.fresh = false;
                    self.bits = (self.bits << 6) | u32::from(value);
                    self.count += 6;
                    if self.count >= 16 {
                        self.count -= 16;
                        self.unit((self.bits >> self.count) as u16, out);
                        self.bits &= (1 << self.count) - 1;
                    }
                    continue;
                }
                let fresh = self.fresh;
                self.unshift(out);
                if octet == b'-' {
                    if fresh {
                        out.push('+');
                    }
                    continue;
                }
            }
            match octet {
                b'+' => (self.shifted, self.fresh) = (true, true),
                0..=0x7f => out.push(char::from(octet)),
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }

    fn unit(&mut self, unit: u16, out: &mut String) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                out.push(c);
                return;
            }
            out.push(char::REPLACEMENT_CHARACTER);
        }
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else {
            out.push(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }

    fn unshift(&mut self, out: &mut String) {
        if self.high.is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        *self = Self::default();
    }

    fn finish(&mut self, out: &mut String) {
        self.unshift(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_whatever_their_case() {
        for name in [
            "utf-8",
            "UTF-8",
            "us-ascii",
            "ISO-8859-15",
            "koi8-r",
            "iso-2022-jp",
            "GB2312",
            "utf-7",
            "CP932",
            "utf-16",
            "windows-1251",
        ] {
            assert!(is_known(name.as_bytes()), "{name}");
        }
        for name in ["", "x-nope", "iso-2022-kr", "utf-8\0", "ibm-1047"] {
            assert!(!is_known(name.as_bytes()), "{name}");
        }
        assert!(!is_known(&[b'u'; 200]));
    }

    #[test]
    fn charsets_are_decoded() {
        assert_eq!(decode(b"iso-8859-1", b"\xe9"), "\u{e9}");
        assert_eq!(decode(b"us-ascii", b"a\x80"), "a\u{20ac}");
        assert_eq!(decode(b"UTF-8", b"\xe2\x82\xac\xff"), "\u{20ac}\u{fffd}");
        assert_eq!(decode(b"iso-2022-jp", b"\x1b$B%F%9%H\x1b(B!"), "\u{30c6}\u{30b9}\u{30c8}!");
        assert_eq!(decode(b"koi8-r", b"\xf0\xd2\xc9"), "\u{41f}\u{440}\u{438}");
        assert_eq!(decode(b"utf-16", b"\0a\0b\0"), "ab\u{fffd}");
        assert_eq!(decode(b"utf-16", b"\xff\xfea\0"), "a");
        assert_eq!(decode(b"utf-16le", b"a\0"), "a");
    }

    #[test]
    fn an_unknown_charset_is_guessed() {
        assert_eq!(decode(b"x-nope", "\u{20ac}".as_bytes()), "\u{20ac}");
        assert_eq!(decode(&[b'x'; 200], b"caf\xe9 \xe2\x82\xac"), "caf\u{e9} \u{e2}\u{201a}\u{ac}");
        assert_eq!(decode(b"", b"\xe2\x82"), "\u{e2}\u{201a}");
    }

    #[test]
    fn utf_7_is_decoded() {
        assert_eq!(decode(b"utf-7", b"A+ImIDkQ."), "A\u{2262}\u{391}.");
        assert_eq!(decode(b"utf-7", b"Hi Mom -+Jjo--!"), "Hi Mom -\u{263a}-!");
        assert_eq!(decode(b"utf-7", b"Item 3 is +AKM-1."), "Item 3 is \u{a3}1.");
        assert_eq!(decode(b"UTF-7", b"1 +- 1 +"), "1 + 1 ");
        assert_eq!(decode(b"utf-7", b"+2D3cAA-"), "\u{1f400}");
        assert_eq!(decode(b"utf-7", b"+2D3YPdwA-x"), "\u{fffd}\u{1f400}x");
        assert_eq!(decode(b"utf-7", b"+2D0-\xff+3AA-"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn pieces_give_the_same_as_the_whole() {
        arbtest::arbtest(|u| {
            let name = *u.choose(&["utf-8", "utf-7", "iso-2022-jp", "utf-16", "gb18030", "x-none", "big5"])?;
            let mut octets: Vec<u8> = u.arbitrary()?;
            if name == "x-none" {
                // Only what is UTF-8 throughout is read alike, see `Decoder`.
                octets = String::from_utf8_lossy(&octets).into_owned().into_bytes();
            }
            let (mut decoder, mut text) = (Decoder::new(name.as_bytes()), String::new());
            octets.chunks(u.int_in_range(1..=5)?).for_each(|piece| decoder.push(piece, &mut text));
            decoder.finish(&mut text);
            assert_eq!(text, decode(name.as_bytes(), &octets));
            Ok(())
        });
    }

    #[test]
    fn shifts_without_end_are_bounded() {
        let shifts = b"\x1b$B\x1b(B".repeat(100_000);
        assert!(decode(b"iso-2022-jp", &shifts).len() <= shifts.len() * 3);
        let shifts = b"+".repeat(600_000);
        assert!(decode(b"utf-7", &shifts).len() <= shifts.len() * 3);
    }
}
