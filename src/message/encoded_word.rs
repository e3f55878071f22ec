//! RFC 2047.
//!
//! ```abnf
//! encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
//! ```
//!
//! Beyond it: words may be of any length, stand within other text and have blanks in them. Adjacent words of one charset are joined before
//! they are decoded, since many programs cut characters in two.

use memchr::{memchr, memchr_iter, memmem};

use super::{charset, header, parameter};
use crate::encoding::base64;

/// More than any charset's name with a language has.
const CHARSET: usize = 256;

/// Whether there may be an encoded word in these octets: there is `=?`.
pub fn may_be_in(octets: &[u8]) -> bool {
    memchr_iter(b'?', octets).any(|at| at > 0 && octets[at - 1] == b'=')
}

/// The value unfolded and with its encoded words decoded, 8-bit octets read as UTF-8 or else windows-1252.
pub fn decode(value: &[u8]) -> String {
    let value = header::unfold(value);
    let value = match String::from_utf8(value) {
        Ok(text) if !may_be_in(text.as_bytes()) => return text,
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut out = String::with_capacity(value.len());
    // The charset and octets of the words just read.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    let mut plain = 0;
    let mut at = 0;
    while let Some(found) = memmem::find(&value[at..], b"=?") {
        let start = at + found;
        let Some(word) = word(&value[start + 2..]) else {
            at = start + 2;
            continue;
        };
        let between = &value[plain..start];
        let joins = pending.is_some() && between.iter().all(|octet| matches!(octet, b' ' | b'\t'));
        match &mut pending {
            Some((charset, octets)) if joins && charset.eq_ignore_ascii_case(word.charset) => {
                octets.extend(word.octets)
            }
            _ => {
                flush(&mut pending, &mut out);
                if !joins {
                    out.push_str(&charset::decode(b"", between));
                }
                pending = Some((word.charset, word.octets));
            }
        }
        at = start + 2 + word.length;
        plain = at;
    }
    flush(&mut pending, &mut out);
    out.push_str(&charset::decode(b"", &value[plain..]));
    out
}

fn flush(pending: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((name, octets)) = pending.take() {
        out.push_str(&charset::decode(name, &octets));
    }
}

struct Word<'a> {
    charset: &'a [u8],
    octets: Vec<u8>,
    /// Octets that the word has behind its `=?`.
    length: usize,
}

/// The word that begins here, behind its `=?`.
fn word(text: &[u8]) -> Option<Word<'_>> {
    let charset_end = memchr(b'?', &text[..text.len().min(CHARSET)])?;
    let charset = &text[..charset_end];
    let &[encoding, b'?', ref rest @ ..] = &text[charset_end + 1..] else { return None };
    // The text has no question mark, so looking for its end never passes the start of another word.
    let end = memchr(b'?', rest).filter(|&end| rest.get(end + 1) == Some(&b'='))?;
    let octets = match encoding {
        b'b' | b'B' => {
            let mut octets = Vec::new();
            base64::Decoder::new().push(&rest[..end], &mut octets);
            octets
        }
        b'q' | b'Q' => unquote(&rest[..end]),
        _ => return None,
    };
    if charset.is_empty() {
        return None;
    }
    let charset = &charset[..memchr(b'*', charset).unwrap_or(charset.len())];
    Some(Word { charset, octets, length: charset_end + 3 + end + 2 })
}

/// RFC 2047 section 4.2.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if let (b'=', [high, low, behind @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (parameter::hex(*high), parameter::hex(*low))
        {
            out.push(high << 4 | low);
            rest = behind;
        } else {
            out.push(if first == b'_' { b' ' } else { first });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> String {
        decode(value.as_bytes())
    }

    #[test]
    fn the_examples_of_rfc_2047() {
        assert_eq!(of("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>"), "Keith Moore <moore@cs.utk.edu>");
        assert_eq!(of("=?ISO-8859-1?Q?Andr=E9?= Pirard"), "Andr\u{e9} Pirard");
        assert_eq!(
            of(
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="
            ),
            "If you can read this you understand the example."
        );
        assert_eq!(of("(=?ISO-8859-1?Q?a?= b)"), "(a b)");
        assert_eq!(of("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)"), "(ab)");
        assert_eq!(of("(=?ISO-8859-1?Q?a_b?=)"), "(a b)");
        assert_eq!(of("=?utf-8*en?q?x?="), "x");
    }

    #[test]
    fn where_there_may_be_a_word_is_seen_at_once() {
        for (text, wanted) in [("", false), ("a ? b = c", false), ("?=", false), ("=?", true), ("a =?x", true)] {
            assert_eq!(may_be_in(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn characters_cut_in_two_are_joined() {
        assert_eq!(of("=?utf-8?Q?=E2=82?= =?UTF-8?B?rA==?="), "\u{20ac}");
    }

    #[test]
    fn what_is_no_word_stays() {
        for text in ["=?", "=?utf-8?q?x", "=?utf-8?x?y?=", "=??q?x?=", "=?utf-8?q", "a =? b ?= c", "=?utf-8?q?a?b?="] {
            assert_eq!(of(text), text);
        }
        assert_eq!(of("=?utf-8?q?=zz=4?="), "=zz=4");
        assert_eq!(of("=?utf-8?b?!*!?= x"), " x");
        assert_eq!(decode(b"caf\xe9 =?utf-8?q?x?= \xc3\xa9"), "caf\u{e9} x \u{e9}");
    }

    #[test]
    fn an_unknown_charset_is_guessed() {
        assert_eq!(of(&format!("=?{}?q?=C3=A9?=", "x".repeat(200))), "\u{e9}");
        assert_eq!(of("=?unknown-8bit?q?=E9?="), "\u{e9}");
    }

    #[test]
    fn bombs_take_linear_time() {
        assert_eq!(of(&"=?utf-8?q?a?= ".repeat(100_000)).len(), 100_000);
        assert_eq!(of(&"=?utf-8?q?a?=  =?x?b?YQ==?= ".repeat(50_000)).len(), 100_000);
        for piece in ["=?", "=?a?q?", "?=", "=?a?q?=", "=?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            decode(piece.repeat(50_000).as_bytes());
        }
        decode(format!("=?utf-16?q?{}?=", "=D8".repeat(100_001)).as_bytes());
    }
}
