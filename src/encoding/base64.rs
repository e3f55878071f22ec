//! Base64 (RFC 4648 section 4): strict for SASL, forgiving and streamed for mail.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// By letter; [`NONE`] for what is none.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
};

/// More than any value, so that it shows in what several values have together.
const NONE: u8 = 0xff;

/// The value of one letter of the alphabet.
pub fn value(letter: u8) -> Option<u8> {
    Some(VALUES[usize::from(letter)]).filter(|&value| value != NONE)
}

/// With padding, without line ends.
pub fn encode(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len().div_ceil(3) * 4);
    for chunk in octets.chunks(3) {
        let n = (u32::from(chunk[0]) << 16)
            | (u32::from(chunk.get(1).copied().unwrap_or(0)) << 8)
            | u32::from(chunk.get(2).copied().unwrap_or(0));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(ALPHABET[(n >> (18 - 6 * i)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// The octets, or `None` unless the text is base64 to the letter: whole groups, right padding, no spare bits, nothing else.
pub fn decode_strict(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|&&b| b == b'=').count();
    let letters = &text[..text.len() - padding];
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in letters.chunks(4) {
        let mut n = 0u32;
        for &letter in group {
            n = (n << 6) | u32::from(value(letter)?);
        }
        n <<= 6 * (4 - group.len());
        let keep = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        if n & (0xff_ffff >> (8 * keep)) != 0 && keep < 3 {
            return None;
        }
        out.extend_from_slice(&n.to_be_bytes()[1..1 + keep]);
    }
    Some(out)
}

/// Decodes mail: skips what is not of the alphabet, stops at padding, forgives a missing end. Takes input in pieces.
#[derive(Clone, Default)]
pub struct Decoder {
    bits: u32,
    count: u32,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a further piece, appending to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        // Whole groups at once, the others letter by letter.
        out.reserve(piece.len() / 4 * 3 + 3);
        while let Some((&first, tail)) = rest.split_first() {
            if self.count == 0
                && let Some((&[a, b, c, d], behind)) = rest.split_first_chunk()
            {
                let [a, b, c, d] = [a, b, c, d].map(|letter| VALUES[usize::from(letter)]);
                if (a | b | c | d) < 64 {
                    out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                    rest = behind;
                    continue;
                }
            }
            rest = tail;
            let letter = first;
            if letter == b'=' {
                // The end of a group, and in concatenated base64 not of all.
                (self.bits, self.count) = (0, 0);
                continue;
            }
            let Some(v) = value(letter) else { continue };
            self.bits = (self.bits << 6) | u32::from(v);
            self.count += 6;
            if self.count >= 8 {
                self.count -= 8;
                out.push((self.bits >> self.count) as u8);
                self.bits &= (1 << self.count) - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_takes_what_encode_makes_and_nothing_loose() {
        for (plain, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(encode(plain), text);
            assert_eq!(decode_strict(text.as_bytes()).as_deref(), Some(plain));
        }
        for bad in ["Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zg==Zg==", "Zm9v!", "="] {
            assert_eq!(decode_strict(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_decoder_forgives_and_takes_any_pieces() {
        let text = b"Zm9v\r\nYm Fy!Zg==Zm8";
        let mut whole = Vec::new();
        Decoder::new().push(text, &mut whole);
        assert_eq!(whole, b"foobarffo");
        let (mut decoder, mut pieces) = (Decoder::new(), Vec::new());
        text.chunks(1).for_each(|c| decoder.push(c, &mut pieces));
        assert_eq!(pieces, whole);
    }

    #[test]
    fn whole_groups_give_what_single_letters_give() {
        arbtest::arbtest(|u| {
            let mut text = Vec::new();
            for _ in 0..u.int_in_range(0..=20)? {
                text.extend_from_slice(u.choose(&[&b"Zm9v"[..], b"+/Az", b"Q", b"=", b"\r\n", b"\xff"])?);
            }
            let (mut whole, mut single, mut by_letter) = (Vec::new(), Vec::new(), Decoder::new());
            Decoder::new().push(&text, &mut whole);
            text.iter().for_each(|letter| by_letter.push(&[*letter], &mut single));
            assert_eq!(whole, single);
            Ok(())
        });
    }
}
