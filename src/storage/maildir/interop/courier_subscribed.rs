//! `courierimapsubscribed`: what Courier's users subscribed to, read as long as there is no file of our own. Never changed.
//!
//! ```abnf
//! file = *( "INBOX" *( "." part ) LF )    ; in UTF-8, in old versions modified UTF-7; with "#" first: another namespace
//! ```

use super::super::folder_name::from_storage;
use crate::types::MailboxName;
use std::collections::HashSet;

pub const FILE: &[u8] = b"courierimapsubscribed";

/// The names in the order of the file, each once: Courier shows all folders below INBOX, we show them beside it.
pub fn parse(file: &[u8]) -> Vec<MailboxName> {
    let mut seen = HashSet::new();
    let lines = file.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter_map(name).filter(|name| seen.insert(name.clone())).collect()
}

fn name(line: &[u8]) -> Option<MailboxName> {
    if line.eq_ignore_ascii_case(b"INBOX") {
        return Some(MailboxName::inbox());
    }
    let (prefix, rest) = line.split_at_checked(b"INBOX.".len())?;
    from_storage(rest).filter(|name| prefix.eq_ignore_ascii_case(b"INBOX.") && !name.is_inbox())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_prefix_and_may_be_spelled_either_way() {
        let text = "INBOX\nINBOX.Sent\nINBOX.Entwürfe.2024\nINBOX.B&APw-ro\r\nINBOX.Sent\n#shared.list.x\n\nINBOX.\nINBOX.a..b\nother\nINBOX.inbox\ninbox.low";
        let names: Vec<String> = parse(text.as_bytes()).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["INBOX", "Sent", "Entwürfe/2024", "Büro", "low"]);
    }

    #[test]
    fn no_file_is_too_odd_to_be_read() {
        arbtest::arbtest(|u| {
            let mut text = Vec::new();
            for _ in 0..u.int_in_range(0..=40)? {
                text.extend_from_slice(u.choose(&[
                    &b"INBOX."[..],
                    b"\n",
                    b"a",
                    b".",
                    b"&",
                    b"-",
                    b"\xc3\xbc",
                    b"\xff",
                    b"\0",
                    b"#",
                ])?);
            }
            let names = parse(&text);
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
            Ok(())
        });
    }
}
