//! MIME parameters, RFC 2231 continuations and charsets.
//!
//! The pieces `name*0`, `name*1` are joined to `name` (RFC 9051 section 7.5.2 asks for it). If one of them is percent-encoded (`name*0*`), the
//! joined value stays so, charset and language in front, and is called `name*`: that is what Dovecot and Cyrus send, what clients
//! that know RFC 2231 decode, and ASCII whatever the charset. Pieces with a gap before them stay as they stand.

use std::collections::HashMap;

use memchr::memchr;

use super::content::is_token;
use super::{charset, encoded_word};
use crate::encoding::ascii;
use crate::limits;

/// Name and value, each without quotation marks.
pub type Parameter = (Vec<u8>, Vec<u8>);

/// The parameters of an unfolded field value, from its first semicolon on. What is none is passed over.
///
/// ```abnf
/// parameter := attribute "=" value        ; RFC 2045 section 5.1
/// value     := token / quoted-string
/// ```
///
/// A value without quotation marks reaches to the next semicolon, blanks included, since many programs write file names so.
pub fn parse(text: &[u8]) -> Vec<Parameter> {
    parse_within(text, &mut limits::MIME_PARAMETERS.clone())
}

/// The same with at most this many, from which it takes those that it found.
pub(super) fn parse_within(text: &[u8], left: &mut usize) -> Vec<Parameter> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < limits::MIME_PARAMETERS && *left > 0 {
        let Some(start) = rest.iter().position(|&octet| !matches!(octet, b';' | b' ' | b'\t')) else { break };
        rest = &rest[start..];
        if let Some(behind) = behind_comment(rest) {
            rest = behind;
            continue;
        }
        let name = &rest[..rest.iter().position(|&octet| !is_token(octet)).unwrap_or(rest.len())];
        let after = trim_start(&rest[name.len()..]);
        let Some(value) = after.strip_prefix(b"=").filter(|_| !name.is_empty()) else {
            rest = &rest[end_of_parameter(rest)..];
            continue;
        };
        let value = trim_start(value);
        let read;
        (read, rest) = if let Some(quoted) = value.strip_prefix(b"\"") { unquote(quoted) } else { bare(value) };
        found.push((name.to_vec(), read));
        *left -= 1;
    }
    join(found)
}

/// The text of a parameter: from `name*` with its charset, or else from `name`, whose encoded words are decoded too, because many programs
/// write those there.
pub fn text(parameters: &[Parameter], name: &[u8]) -> Option<String> {
    if let Some(value) = find(parameters, &[name, b"*"].concat()) {
        let (charset, octets) = decode_extended(value);
        return Some(charset::decode(charset, &octets));
    }
    find(parameters, name).map(encoded_word::decode)
}

/// The octets of a parameter: from `name*`, or else `name` as it stands.
pub fn octets(parameters: &[Parameter], name: &[u8]) -> Option<Vec<u8>> {
    let extended = find(parameters, &[name, b"*"].concat()).map(|value| decode_extended(value).1);
    extended.or_else(|| find(parameters, name).map(<[u8]>::to_vec))
}

/// The first value of this name.
pub fn find<'a>(parameters: &'a [Parameter], name: &[u8]) -> Option<&'a [u8]> {
    let (_, value) = parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    Some(value)
}

/// The charset and the octets in it.
///
/// ```abnf
/// extended-initial-value := [charset] "'" [language] "'" extended-other-values
/// ```
fn decode_extended(value: &[u8]) -> (&[u8], Vec<u8>) {
    let mut pieces = value.splitn(3, |&octet| octet == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(name), Some(_), Some(octets)) => (name, percent_decode(octets)),
        _ => (b"", percent_decode(value)),
    }
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, behind @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = behind;
        } else {
            out.push(first);
        }
    }
    out
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// ```abnf
/// attribute "*" section ["*"]             ; RFC 2231 sections 3 and 4.1
/// ```
fn section(name: &[u8]) -> Option<(Vec<u8>, u32, bool)> {
    let (name, extended) = name.strip_suffix(b"*").map_or((name, false), |name| (name, true));
    let star = memchr(b'*', name)?;
    let (base, digits) = (&name[..star], &name[star + 1..]);
    let number = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    (!base.is_empty()).then(|| (base.to_ascii_lowercase(), number, extended))
}

fn join(found: Vec<Parameter>) -> Vec<Parameter> {
    let mut pieces: HashMap<(Vec<u8>, u32), (usize, bool)> = HashMap::new();
    for (at, (name, _)) in found.iter().enumerate() {
        if let Some((base, number, extended)) = section(name) {
            pieces.entry((base, number)).or_insert((at, extended));
        }
    }
    if pieces.is_empty() {
        return found;
    }
    let mut joined = Vec::with_capacity(found.len());
    let mut used = vec![false; found.len()];
    // Each sequence stands where its first piece stood.
    let mut whole: HashMap<usize, Parameter> = HashMap::new();
    for ((base, number), &(first, _)) in &pieces {
        if *number != 0 {
            continue;
        }
        let run: Vec<_> = (0..).map_while(|n| pieces.get(&(base.clone(), n))).collect();
        run.iter().for_each(|&&(at, _)| used[at] = true);
        let extended = run.iter().any(|(_, extended)| *extended);
        let mut value = Vec::new();
        for (n, &&(at, encoded)) in run.iter().enumerate() {
            if n == 0 && extended && !encoded {
                value.extend_from_slice(b"''");
            }
            if extended && !encoded {
                percent_encode(&found[at].1, &mut value);
            } else {
                value.extend_from_slice(&found[at].1);
            }
        }
        let mut name = found[first].0[..base.len()].to_vec();
        if extended {
            name.push(b'*');
        }
        whole.insert(first, (name, value));
    }
    for (at, parameter) in found.into_iter().enumerate() {
        if let Some(parameter) = whole.remove(&at) {
            joined.push(parameter);
        } else if !used[at] {
            joined.push(parameter);
        }
    }
    joined
}

/// All but `attribute-char` (RFC 2231 section 7).
fn percent_encode(octets: &[u8], out: &mut Vec<u8>) {
    for &octet in octets {
        if is_token(octet) && !b"*'%".contains(&octet) {
            out.push(octet);
        } else {
            out.extend_from_slice(format!("%{octet:02X}").as_bytes());
        }
    }
}

/// What stands behind the opening quotation mark, and the rest. Without a closing one, all of it.
fn unquote(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut octets = text.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => return (value, &text[at + 1..]),
            b'\\' => value.extend(octets.next().map(|(_, &escaped)| escaped)),
            _ => value.push(octet),
        }
    }
    (value, &[])
}

fn bare(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let (value, rest) = text.split_at(memchr(b';', text).unwrap_or(text.len()));
    // `us-ascii (Plain text)` has a comment, `a(1).txt` has none.
    let end = value.windows(2).position(|pair| matches!(pair, [b' ' | b'\t', b'('])).unwrap_or(value.len());
    (ascii::trim(&value[..end]).to_vec(), rest)
}

/// Where the semicolon stands that ends what is no parameter.
fn end_of_parameter(text: &[u8]) -> usize {
    let mut quoted = false;
    text.iter()
        .position(|&octet| {
            quoted ^= octet == b'"';
            octet == b';' && !quoted
        })
        .unwrap_or(text.len())
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|octet| !matches!(octet, b' ' | b'\t')).unwrap_or(text.len())..]
}

/// What follows the comment that the text begins with.
fn behind_comment(text: &[u8]) -> Option<&[u8]> {
    if text.first() != Some(&b'(') {
        return None;
    }
    let mut depth = 0usize;
    let mut octets = text.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[at + 1..]);
                }
            }
            b'\\' => drop(octets.next()),
            _ => {}
        }
    }
    Some(&[])
}

/// The text without its comments (RFC 5322 section 3.2.2). One without an end reaches to the end.
pub(super) fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'(', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = behind_comment(&rest[at..]).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Vec<String> {
        let show =
            |(name, value): &Parameter| format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        parse(value.as_bytes()).iter().map(show).collect()
    }

    #[test]
    fn quoted_and_bare_values_are_read() {
        assert_eq!(shown("; a=b;c=\"d; \\\"e\\\"\" ; f = g"), ["a=b", "c=d; \"e\"", "f=g"]);
        assert_eq!(shown("; charset=us-ascii (Plain text)"), ["charset=us-ascii"]);
        assert_eq!(shown("; (x) name=my file(1).pdf ; y=\"open"), ["name=my file(1).pdf", "y=open"]);
    }

    #[test]
    fn what_is_no_parameter_is_passed_over() {
        assert_eq!(shown(";; ;=x; y; \"a;b=c\"; z=;@=1;n=v"), ["z=", "n=v"]);
        assert_eq!(shown(""), Vec::<String>::new());
    }

    #[test]
    fn continuations_are_joined() {
        assert_eq!(shown("; a*1=cd; b=x; a*0=ab"), ["b=x", "a=abcd"]);
        assert_eq!(shown("; URL*0=\"ftp://\"; URL*1=\"x/y\""), ["URL=ftp://x/y"]);
        assert_eq!(
            shown("; title*0*=us-ascii'en'This%20is; title*1*=%2A%2A; title*2=\"isn't\""),
            ["title*=us-ascii'en'This%20is%2A%2Aisn%27t"]
        );
        assert_eq!(shown("; a*0=x%; a*1*=%41"), ["a*=''x%25%41"]);
    }

    #[test]
    fn pieces_with_a_gap_stay_as_they_stand() {
        assert_eq!(shown("; a*0=x; a*2=z"), ["a=x", "a*2=z"]);
        assert_eq!(
            shown("; a*99999999*=x; b*99999999999999*=y; *0=z"),
            ["a*99999999*=x", "b*99999999999999*=y", "*0=z"]
        );
    }

    #[test]
    fn the_text_is_decoded() {
        let of = |value: &str| text(&parse(value.as_bytes()), b"filename");
        assert_eq!(of("; filename*=utf-8''%e2%82%ac%20x").as_deref(), Some("\u{20ac} x"));
        assert_eq!(of("; filename=\"=?utf-8?q?=E2=82=AC?=\"").as_deref(), Some("\u{20ac}"));
        assert_eq!(of("; filename*0*=iso-8859-1''%e9; filename*1=b; filename=plain").as_deref(), Some("\u{e9}b"));
        assert_eq!(of("; filename*=%e").as_deref(), Some("%e"));
        assert_eq!(of("; name=x"), None);
        let boundary = parse(b"; boundary*=ansi-x3.4-1968''a%20b");
        assert_eq!(octets(&boundary, b"boundary").as_deref(), Some(&b"a b"[..]));
    }

    #[test]
    fn a_hundred_thousand_parameters_are_cut_at_the_limit() {
        let many: String = (0..100_000).map(|n| format!(";a*{n}=b")).collect();
        assert_eq!(shown(&many), [format!("a={}", "b".repeat(limits::MIME_PARAMETERS))]);
        assert_eq!(shown(&";=".repeat(100_000)), Vec::<String>::new());
        assert_eq!(shown(&"(".repeat(100_000)), Vec::<String>::new());
        assert_eq!(shown(&"(x)".repeat(100_000)), Vec::<String>::new());
    }
}
