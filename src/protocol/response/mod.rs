//! Responses: each function writes one, whole with its CRLF unless it says otherwise, to a buffer.

pub mod code;
pub mod envelope;
pub mod fetch;
pub mod mailbox;
pub mod search;
pub mod structure;

use super::command::Tag;
use super::encode;
use code::Code;

/// The condition of a status response (RFC 9051 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Condition::Ok => "OK",
            Condition::No => "NO",
            Condition::Bad => "BAD",
            Condition::PreAuth => "PREAUTH",
            Condition::Bye => "BYE",
        }
    }
}

/// `tag OK [CODE] text`, or `* ...` without a tag. Controls and 8-bit octets of `text` are replaced.
///
/// ```abnf
/// resp-text = ["[" resp-text-code "]" SP] text        ; RFC 3501; the text is optional only in RFC 9051
/// ```
pub fn status(out: &mut Vec<u8>, tag: Option<&Tag>, condition: Condition, code: Option<&Code>, text: &str) {
    out.extend_from_slice(tag.map_or("*", Tag::as_str).as_bytes());
    out.push(b' ');
    out.extend_from_slice(condition.name().as_bytes());
    out.push(b' ');
    let start = out.len();
    if let Some(code) = code {
        code.write(out);
    }
    // A text that begins with a bracket would be read as a code.
    let coded = out.len() > start;
    let text = if text.is_empty() { condition.name() } else { text };
    clean(out, text);
    if !coded && let Some(first @ b'[') = out.get_mut(start) {
        *first = b'(';
    }
    out.extend_from_slice(b"\r\n");
}

/// Text as every client can read it: printable US-ASCII.
fn clean(out: &mut Vec<u8>, text: &str) {
    out.extend(text.chars().map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }));
}

/// `+ text`
pub fn continuation(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"+ ");
    clean(out, text);
    out.extend_from_slice(b"\r\n");
}

/// `* CAPABILITY ...`
pub fn capability(out: &mut Vec<u8>, names: &[&str]) {
    words(out, "* CAPABILITY", names);
}

/// `* ENABLED ...`, also when empty (RFC 9051 section 6.3.1).
pub fn enabled(out: &mut Vec<u8>, names: &[&str]) {
    words(out, "* ENABLED", names);
}

fn words(out: &mut Vec<u8>, start: &str, words: &[&str]) {
    out.extend_from_slice(start.as_bytes());
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* ID (...)` (RFC 2971).
pub fn id(out: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    if pairs.is_empty() {
        return out.extend_from_slice(b"* ID NIL\r\n");
    }
    out.extend_from_slice(b"* ID (");
    encode::separated(out, pairs, |out, (name, value)| {
        encode::string(out, name.as_bytes());
        out.push(b' ');
        encode::string(out, value.as_bytes());
    });
    out.extend_from_slice(b")\r\n");
}

/// What a writer wrote, for the tests of this folder.
#[cfg(test)]
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_tag_code_and_text() {
        let tag = Tag::new("a1").unwrap();
        assert_eq!(written(|o| status(o, Some(&tag), Condition::Ok, None, "Done.")), "a1 OK Done.\r\n");
        assert_eq!(
            written(|o| status(o, None, Condition::No, Some(&Code::TryCreate), "No such mailbox.")),
            "* NO [TRYCREATE] No such mailbox.\r\n"
        );
        assert_eq!(written(|o| status(o, None, Condition::Bye, None, "")), "* BYE BYE\r\n");
    }

    #[test]
    fn a_status_text_cannot_become_another_line_or_a_code() {
        assert_eq!(
            written(|o| status(o, None, Condition::Bad, None, "[ALERT] a\r\nb \u{e9}")),
            "* BAD (ALERT] a??b ?\r\n"
        );
        assert_eq!(written(|o| status(o, None, Condition::Ok, Some(&Code::Limit), "[x]")), "* OK [LIMIT] [x]\r\n");
    }

    #[test]
    fn lists_of_words() {
        assert_eq!(written(|o| capability(o, &["IMAP4rev1", "IDLE"])), "* CAPABILITY IMAP4rev1 IDLE\r\n");
        assert_eq!(written(|o| enabled(o, &[])), "* ENABLED\r\n");
        assert_eq!(written(|o| id(o, &[("name", "im\"apd")])), "* ID (\"name\" \"im\\\"apd\")\r\n");
        assert_eq!(written(|o| id(o, &[])), "* ID NIL\r\n");
        assert_eq!(written(|o| continuation(o, "")), "+ \r\n");
    }
}
