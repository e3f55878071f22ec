//! Modified UTF-7 (RFC 3501 section 5.1.3).

use super::base64;

/// The text, or `None` unless `name` is modified UTF-7 in its one canonical form: printable US-ASCII as itself, no shift for what
/// needs none, no shift straight after a shift, whole UTF-16, no spare bits.
pub fn decode(name: &[u8]) -> Option<String> {
    let text = decode_loose(name)?;
    // A name that spells a text in another way than we would could stand for two mailboxes, or hide a separator.
    (encode(&text).as_bytes() == name).then_some(text)
}

fn decode_loose(name: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'&' {
            if !matches!(first, 0x20..=0x7e) {
                return None;
            }
            text.push(char::from(first));
            continue;
        }
        let end = rest.iter().position(|&b| b == b'-')?;
        let (shifted, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if shifted.is_empty() {
            text.push('&');
            continue;
        }
        let (mut bits, mut count, mut units) = (0u32, 0u32, Vec::with_capacity(shifted.len()));
        for &letter in shifted {
            let letter = if letter == b',' {
                b'/'
            } else if letter == b'/' {
                return None;
            } else {
                letter
            };
            bits = (bits << 6) | u32::from(base64::value(letter)?);
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push((bits >> count) as u16);
                bits &= (1 << count) - 1;
            }
        }
        if count >= 6 || bits != 0 {
            return None;
        }
        for c in char::decode_utf16(units) {
            text.push(c.ok()?);
        }
    }
    Some(text)
}

/// Every text has exactly one form.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, out: &mut String| {
        if !shifted.is_empty() {
            out.push('&');
            out.push_str(&base64::encode(shifted).trim_end_matches('=').replace('/', ","));
            out.push('-');
            shifted.clear();
        }
    };
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut shifted, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3501() {
        assert_eq!(
            decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(),
            Some("~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}")
        );
        assert_eq!(encode("\u{53f0}\u{5317}"), "&U,BTFw-");
        assert_eq!(decode(b"&Jjo-!").as_deref(), Some("\u{263a}!"));
        // "not permitted": superfluous shifts.
        assert_eq!(decode(b"&Jjo!"), None);
        assert_eq!(decode(b"&U,BTFw-&ZeVnLIqe-"), None);
    }

    #[test]
    fn only_the_canonical_form_is_a_name() {
        for bad in [
            &b"&AC8-"[..],
            b"&AC4-",
            b"&AGE-",
            b"&AA",
            b"&",
            b"&-&",
            b"\xc3\xa9",
            b"a\x01",
            b"&2AA-",
            b"&AOk",
            b"&AOl-",
            b"&AOk=-",
            b"&A/k-",
        ] {
            assert_eq!(decode(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
        assert_eq!(decode(b"&-").as_deref(), Some("&"));
    }

    #[test]
    fn what_encodes_decodes_to_itself() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            assert_eq!(decode(encode(&text).as_bytes()), Some(text));
            Ok(())
        });
    }
}
