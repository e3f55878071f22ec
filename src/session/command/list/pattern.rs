//! Which names a LIST pattern matches.
//!
//! # Complexity
//!
//! At most the pattern's length times the name's for one name, whatever the wildcards; a pattern with more letters than a name can have is not tried.

use crate::limits;
use crate::types::MailboxName;
use crate::types::mailbox::{SEPARATOR, normalized};

/// Patterns of one command; a name need match only one.
pub struct Patterns(Vec<Vec<Token>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Octet(u8),
    /// `*`
    Any,
    /// `%`: all but the separator.
    Level,
}

impl Patterns {
    /// The reference is what stands before each pattern (RFC 9051 section 6.3.9).
    pub fn new(reference: &str, patterns: &[String]) -> Self {
        Self(patterns.iter().filter_map(|pattern| compile(reference, pattern)).collect())
    }

    pub fn match_name(&self, name: &MailboxName) -> bool {
        // INBOX is INBOX in any case, also as the first part of a longer name.
        let blind = if name.parts().next() == Some("INBOX") { "INBOX".len() } else { 0 };
        self.0.iter().any(|pattern| matches(pattern, name.as_str().as_bytes(), blind))
    }
}

/// `None` if no name can match.
fn compile(reference: &str, pattern: &str) -> Option<Vec<Token>> {
    let pattern =
        if reference.ends_with(SEPARATOR) { pattern.strip_prefix(SEPARATOR).unwrap_or(pattern) } else { pattern };
    let mut tokens: Vec<Token> = Vec::new();
    let mut letters = 0;
    for octet in normalized(&format!("{reference}{pattern}")).bytes() {
        let token = match octet {
            b'*' => Token::Any,
            b'%' => Token::Level,
            octet => Token::Octet(octet),
        };
        match (tokens.last_mut(), token) {
            // A run of wildcards is one of them.
            (Some(Token::Any), Token::Any | Token::Level) | (Some(Token::Level), Token::Level) => {}
            (Some(last @ Token::Level), Token::Any) => *last = Token::Any,
            _ => {
                letters += usize::from(matches!(token, Token::Octet(_)));
                tokens.push(token);
            }
        }
    }
    (letters <= limits::MAILBOX_NAME).then_some(tokens)
}

/// Follows all ways through the pattern at once: `reached[i]` says that the first `i` tokens can match what was read of the name.
fn matches(pattern: &[Token], name: &[u8], blind: usize) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_wildcards(pattern, &mut reached);
    for (place, &octet) in name.iter().enumerate() {
        let mut next = vec![false; pattern.len() + 1];
        let mut alive = false;
        for (i, token) in pattern.iter().enumerate().filter(|&(i, _)| reached[i]) {
            let to = match *token {
                Token::Any => i,
                Token::Level if octet != SEPARATOR as u8 => i,
                Token::Level => continue,
                Token::Octet(wanted) if wanted == octet => i + 1,
                Token::Octet(wanted) if place < blind && wanted.eq_ignore_ascii_case(&octet) => i + 1,
                Token::Octet(_) => continue,
            };
            next[to] = true;
            alive = true;
        }
        if !alive {
            return false;
        }
        skip_wildcards(pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A wildcard can match nothing.
fn skip_wildcards(pattern: &[Token], reached: &mut [bool]) {
    for (i, token) in pattern.iter().enumerate() {
        if reached[i] && !matches!(token, Token::Octet(_)) {
            reached[i + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn matched(reference: &str, pattern: &str, name: &str) -> bool {
        Patterns::new(reference, &[pattern.into()]).match_name(&MailboxName::parse(name).unwrap())
    }

    #[test]
    fn the_percent_sign_stops_at_the_separator_and_the_star_does_not() {
        for (pattern, name, expected) in [
            ("%", "a", true),
            ("%", "a/b", false),
            ("*", "a/b", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a/%", "a", false),
            ("a*c", "a/b/c", true),
            ("a%c", "a/b/c", false),
            ("%/%", "a/b", true),
            ("*b", "a/b/b", true),
            ("*%", "a/b", true),
            ("%*", "a/b", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(matched("", pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_reference_stands_before_the_pattern() {
        assert!(matched("a/", "%", "a/b"));
        assert!(matched("a", "/b", "a/b"));
        assert!(matched("a/", "/b", "a/b"));
        assert!(!matched("a", "b", "a/b"));
    }

    #[test]
    fn inbox_matches_in_any_case_and_other_names_do_not() {
        assert!(matched("", "inbox", "INBOX"));
        assert!(matched("", "iNb*", "INBOX"));
        assert!(matched("", "Inbox/%", "INBOX/a"));
        assert!(!matched("", "inbox/A", "INBOX/a"));
        assert!(!matched("", "A", "a"));
        assert!(!matched("", "inboxes", "INBOXES"));
    }

    #[test]
    fn a_decomposed_pattern_matches_the_composed_name() {
        assert!(matched("", "u\u{308}%", "\u{fc}ber"));
    }

    #[test]
    fn many_wildcards_do_not_multiply_the_work() {
        let pattern = "%*%*a".repeat(200) + "b";
        let name = "a".repeat(limits::MAILBOX_NAME);
        let begin = Instant::now();
        assert!(!matched("", &pattern, &name));
        assert!(!matched("", &"*a".repeat(40_000), &name));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
