//! Mailbox and group lists, with the obsolete forms (RFC 5322 sections 3.4 and 4.4).
//!
//! ```abnf
//! address      = mailbox / group
//! mailbox      = name-addr / addr-spec
//! name-addr    = [display-name] [CFWS] "<" [obs-route] addr-spec ">" [CFWS]
//! obs-route    = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain]) ":"
//! addr-spec    = local-part "@" domain
//! local-part   = dot-atom / quoted-string / obs-local-part
//! domain       = dot-atom / domain-literal / obs-domain
//! group        = display-name ":" [group-list] ";" [CFWS]
//! ```
//!
//! Beyond the grammar: 8-bit octets are letters, a semicolon outside a group separates like a comma, a quotation mark or parenthesis
//! without its counterpart is a letter, and the comment behind an address without a display name is its name, as it was before RFC 822
//! and still is in the mail of many programs.

use crate::limits;

/// One address structure of ENVELOPE. A group begins with an address whose host is `None` and whose mailbox is the group's name, and
/// ends with one whose host and mailbox are both `None`. An address without a domain has an empty host, not `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    pub name: Option<Vec<u8>>,
    /// The source route (`@a,@b`), obsolete.
    pub route: Option<Vec<u8>>,
    /// Without quotation marks and escapes.
    pub mailbox: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
}

/// The addresses of one field's value, folded or not. Never fails: what cannot be read becomes an address whose mailbox is the text.
pub fn parse(value: &[u8]) -> Vec<Address> {
    parse_within(value, limits::ADDRESSES)
}

/// The same, but ends once there are this many (and one to end a group).
pub(super) fn parse_within(value: &[u8], most: usize) -> Vec<Address> {
    let mut list = List { tokens: Tokens::new(value), most, found: Vec::new(), in_group: false };
    while list.found.len() < most && list.element() {}
    if list.in_group {
        list.found.push(Address::default());
    }
    list.found
}

struct List<'a> {
    tokens: Tokens<'a>,
    most: usize,
    found: Vec<Address>,
    in_group: bool,
}

impl List<'_> {
    /// Reads up to the next separator. False at the end of the value.
    fn element(&mut self) -> bool {
        let mut words = Words::default();
        let mut comment = None;
        let mut have_address = false;
        loop {
            let token = self.tokens.next();
            match token.kind {
                Kind::End | Kind::Special(b',' | b';') => {
                    // Words behind an address in angle brackets belong to nothing.
                    if !words.is_empty() && !have_address {
                        let mailbox = Some(words.joined());
                        self.found.push(Address { name: comment.take(), mailbox, host: Some(Vec::new()), route: None });
                    } else if let (Some(comment), Some(last)) =
                        (comment, self.found.last_mut().filter(|_| have_address))
                    {
                        last.name.get_or_insert(comment);
                    }
                    if token.kind == Kind::Special(b';') && self.in_group {
                        self.in_group = false;
                        self.found.push(Address::default());
                    }
                    return token.kind != Kind::End;
                }
                Kind::Special(b':') if !self.in_group => {
                    self.in_group = true;
                    self.found.push(Address { mailbox: Some(words.joined()), ..Address::default() });
                    return true;
                }
                Kind::Special(b'<') => {
                    let name = Some(words.joined()).filter(|name| !name.is_empty());
                    let (mut address, separated) = self.in_brackets();
                    address.name = name;
                    self.found.push(address);
                    if separated {
                        return true;
                    }
                    (words, have_address, comment) = (Words::default(), true, None);
                }
                Kind::Special(b'@') => {
                    let (phrase, local) = words.split_local_part();
                    let (host, end) = self.domain(&mut comment);
                    let name = Some(phrase).filter(|name| !name.is_empty()).or(comment.take());
                    self.found.push(Address { name, mailbox: Some(local), host: Some(host), route: None });
                    if end == Kind::Special(b';') && self.in_group {
                        self.in_group = false;
                        self.found.push(Address::default());
                    }
                    return end != Kind::End;
                }
                Kind::Comment(text) => comment = Some(text).filter(|text| !text.is_empty()).or(comment),
                Kind::Special(octet) => words.push(vec![octet], token.blank_before),
                Kind::Word(text) => words.push(text, token.blank_before),
            }
            // What two addresses in brackets without a separator between them would make.
            if self.found.len() >= self.most {
                return true;
            }
        }
    }

    /// The host behind an `@`, up to a separator or the end, which is returned with it.
    fn domain(&mut self, comment: &mut Option<Vec<u8>>) -> (Vec<u8>, Kind) {
        let mut host = Vec::new();
        let mut blank = false;
        loop {
            let token = self.tokens.next();
            match token.kind {
                Kind::End | Kind::Special(b',' | b';') => return (host, token.kind),
                Kind::Comment(text) => {
                    *comment = Some(text).filter(|text| !text.is_empty()).or(comment.take());
                    blank = true;
                }
                Kind::Special(octet) => host.push(octet),
                Kind::Word(text) => {
                    // Blanks around dots are obsolete, others are wrong and kept.
                    if (blank || token.blank_before) && !matches!(host.last(), None | Some(b'.')) {
                        host.push(b' ');
                    }
                    host.extend(text);
                    blank = false;
                }
            }
        }
    }

    /// What stands in angle brackets, and whether a separator ended it in place of the closing one.
    fn in_brackets(&mut self) -> (Address, bool) {
        let mut address = Address::default();
        let mut words = Words::default();
        let mut in_route = false;
        let mut separated = false;
        loop {
            let token = self.tokens.next();
            match token.kind {
                Kind::Special(b'>') | Kind::End => break,
                Kind::Special(b',') if in_route => words.push(vec![b','], false),
                Kind::Special(b',' | b';') => {
                    separated = true;
                    break;
                }
                Kind::Special(b'@') if address.mailbox.is_none() && !in_route => {
                    if words.is_empty() && address.route.is_none() {
                        in_route = true;
                        words.push(vec![b'@'], false);
                    } else {
                        address.mailbox = Some(std::mem::take(&mut words).dotted());
                    }
                }
                Kind::Special(b':') if in_route => {
                    in_route = false;
                    address.route = Some(std::mem::take(&mut words).joined());
                }
                Kind::Special(octet) => words.push(vec![octet], false),
                Kind::Word(text) => words.push(text, token.blank_before && !in_route),
                Kind::Comment(_) => {}
            }
        }
        if in_route {
            // `<@host>`, not a route.
            address.host = Some(words.dotted()[1..].to_vec());
        } else if address.mailbox.is_some() {
            address.host = Some(words.dotted());
        } else {
            address.mailbox = Some(words.dotted());
        }
        address.mailbox.get_or_insert_default();
        address.host.get_or_insert_default();
        (address, separated)
    }
}

/// Words and dots, as they were collected before it is known what they are.
#[derive(Default)]
struct Words {
    list: Vec<(Vec<u8>, bool)>,
}

impl Words {
    fn push(&mut self, word: Vec<u8>, blank_before: bool) {
        self.list.push((word, blank_before));
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// With one blank where there were any.
    fn joined(self) -> Vec<u8> {
        join(&self.list)
    }

    /// The same without blanks around dots, which are obsolete in local parts and domains and no part of them.
    fn dotted(mut self) -> Vec<u8> {
        for at in 1..self.list.len() {
            self.list[at].1 = !self.glued(at);
        }
        self.joined()
    }

    /// What belongs to a local part at the end, and what stands before it.
    fn split_local_part(mut self) -> (Vec<u8>, Vec<u8>) {
        let start = (1..self.list.len()).rev().find(|&at| !self.glued(at)).unwrap_or(0);
        let local = Words { list: self.list.split_off(start) };
        (self.joined(), local.dotted())
    }

    fn glued(&self, at: usize) -> bool {
        let is_dot = |at: usize| self.list[at].0 == b".";
        !self.list[at].1 || is_dot(at) || is_dot(at - 1)
    }
}

fn join(words: &[(Vec<u8>, bool)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (word, blank_before) in words {
        if *blank_before && !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out
}

#[derive(PartialEq, Debug)]
enum Kind {
    /// An atom, a quoted string without its quotation marks, or a domain literal with its brackets.
    Word(Vec<u8>),
    /// Without its outer parentheses.
    Comment(Vec<u8>),
    /// One of `<>@,:;.`
    Special(u8),
    End,
}

struct Token {
    kind: Kind,
    blank_before: bool,
}

struct Tokens<'a> {
    rest: &'a [u8],
    /// Each is tried only until it fails once, so that a thousand of them do not each look through the whole value.
    quotes_close: bool,
    comments_close: bool,
    literals_close: bool,
}

impl<'a> Tokens<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest, quotes_close: true, comments_close: true, literals_close: true }
    }

    fn next(&mut self) -> Token {
        let start = self.rest.iter().position(|octet| !is_blank(*octet)).unwrap_or(self.rest.len());
        self.rest = &self.rest[start..];
        Token { kind: self.kind(), blank_before: start > 0 }
    }

    fn kind(&mut self) -> Kind {
        let Some(&first) = self.rest.first() else { return Kind::End };
        match first {
            b'"' if self.quotes_close => {
                if let Some(text) = self.enclosed(b'"', b'"') {
                    return Kind::Word(text);
                }
                self.quotes_close = false;
            }
            b'(' if self.comments_close => {
                if let Some(text) = self.enclosed(b'(', b')') {
                    return Kind::Comment(text);
                }
                self.comments_close = false;
            }
            b'[' if self.literals_close => {
                if let Some(text) = self.enclosed(b'[', b']') {
                    return Kind::Word([b"[", &text[..], b"]"].concat());
                }
                self.literals_close = false;
            }
            _ if is_special(first) => {
                self.rest = &self.rest[1..];
                return Kind::Special(first);
            }
            _ => {}
        }
        let ends = |&octet: &u8| {
            is_blank(octet)
                || is_special(octet)
                || match octet {
                    b'"' => self.quotes_close,
                    b'(' => self.comments_close,
                    b'[' => self.literals_close,
                    _ => false,
                }
        };
        let end = 1 + self.rest[1..].iter().position(ends).unwrap_or(self.rest.len() - 1);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Kind::Word(word.to_vec())
    }

    /// What stands between these, escapes undone; `None` if the closing one is missing. Only parentheses nest.
    fn enclosed(&mut self, opening: u8, closing: u8) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut depth = 0usize;
        let mut octets = self.rest.iter().enumerate().skip(1);
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'\\' => text.extend(octets.next().map(|(_, &escaped)| escaped)),
                _ if octet == closing && depth == 0 => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                _ => {
                    if octet == closing {
                        depth -= 1;
                    } else if octet == opening && opening == b'(' {
                        depth += 1;
                    }
                    text.push(octet);
                }
            }
        }
        None
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_special(octet: u8) -> bool {
    b"<>@,:;.".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each address as `name|route|mailbox|host`, `-` for what is none.
    fn shown(value: &str) -> Vec<String> {
        let show =
            |field: &Option<Vec<u8>>| field.as_ref().map_or("-".into(), |f| String::from_utf8_lossy(f).into_owned());
        let line = |a: &Address| [&a.name, &a.route, &a.mailbox, &a.host].map(show).join("|");
        parse(value.as_bytes()).iter().map(line).collect()
    }

    #[test]
    fn the_forms_of_rfc_5322() {
        assert_eq!(shown("jdoe@example.org"), ["-|-|jdoe|example.org"]);
        assert_eq!(shown("John Doe <jdoe@example.org>"), ["John Doe|-|jdoe|example.org"]);
        assert_eq!(
            shown("\"Joe \\\"Q\\\" Public\" <john.q.public@example.com>"),
            ["Joe \"Q\" Public|-|john.q.public|example.com"]
        );
        assert_eq!(shown("Who? <one@y.test>, <boss@nil.test>"), ["Who?|-|one|y.test", "-|-|boss|nil.test"]);
        assert_eq!(shown("\"Giant; \\\"Big\\\" Box\" <s@e.net>"), ["Giant; \"Big\" Box|-|s|e.net"]);
        assert_eq!(shown("a@[192.0.2.1], b@[IPv6:::1]"), ["-|-|a|[192.0.2.1]", "-|-|b|[IPv6:::1]"]);
        assert_eq!(shown("\"john doe\"@x, \"a\\\"b\"@y"), ["-|-|john doe|x", "-|-|a\"b|y"]);
    }

    #[test]
    fn groups_begin_and_end() {
        assert_eq!(
            shown("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>; x@y"),
            [
                "-|-|A Group|-",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                "-|-|-|-",
                "-|-|x|y"
            ]
        );
        assert_eq!(shown("Undisclosed recipients:;"), ["-|-|Undisclosed recipients|-", "-|-|-|-"]);
        assert_eq!(shown("(c) g :(d) a@b , ; (e)"), ["-|-|g|-", "d|-|a|b", "-|-|-|-"]);
        assert_eq!(shown("open: a@b"), ["-|-|open|-", "-|-|a|b", "-|-|-|-"]);
        assert_eq!(shown("g:h:i;"), ["-|-|g|-", "-|-|h:i|", "-|-|-|-"]);
    }

    #[test]
    fn the_obsolete_forms() {
        assert_eq!(
            shown("Joe Q. Public <john . q . public @ example . com>"),
            ["Joe Q. Public|-|john.q.public|example.com"]
        );
        assert_eq!(
            shown("Mary <@node.test,@b.test:mary@example.net>, , j@t"),
            ["Mary|@node.test,@b.test|mary|example.net", "-|-|j|t"]
        );
        assert_eq!(shown("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"), ["Pete|-|pete|silly.test"]);
        assert_eq!(shown("john . doe @ example . org (John (Jack) Doe)"), ["John (Jack) Doe|-|john.doe|example.org"]);
        assert_eq!(shown("<a@b> (Al)"), ["Al|-|a|b"]);
    }

    #[test]
    fn what_is_broken_is_still_an_address() {
        assert_eq!(shown("root"), ["-|-|root|"]);
        assert_eq!(shown("<root>, <>, Name <>"), ["-|-|root|", "-|-||", "Name|-||"]);
        assert_eq!(shown("John Doe john@example.org"), ["John Doe|-|john|example.org"]);
        assert_eq!(shown("@@@"), ["-|-||@@"]);
        assert_eq!(shown("<@@@>, <@host>"), ["-|-||@@", "-|-||host"]);
        assert_eq!(shown("a@b@c, d"), ["-|-|a|b@c", "-|-|d|"]);
        assert_eq!(shown("a@b; c@d;"), ["-|-|a|b", "-|-|c|d"]);
        assert_eq!(shown("\"open <a@b>, c@d"), ["\"open|-|a|b", "-|-|c|d"]);
        assert_eq!(shown("(open <a@b>, c@d"), ["(open|-|a|b", "-|-|c|d"]);
        assert_eq!(shown("<a@b, <c@d> <e@f> x, g@h"), ["-|-|a|b", "-|-|c|d", "-|-|e|f", "-|-|g|h"]);
        assert_eq!(shown("J\u{f6}rg <j\u{f6}rg@m\u{fc}nchen.de>"), ["J\u{f6}rg|-|j\u{f6}rg|m\u{fc}nchen.de"]);
        assert_eq!(shown("=?utf-8?q?J=C3=B6rg?= <a@b>"), ["=?utf-8?q?J=C3=B6rg?=|-|a|b"]);
        assert_eq!(shown("a@b c@d"), ["-|-|a|b c@d"]);
        assert_eq!(shown(" , ;(x),\t"), Vec::<String>::new());
        assert_eq!(shown("\\"), ["-|-|\\|"]);
        assert_eq!(shown("a:b@c,d\\"), ["-|-|a|-", "-|-|b|c", "-|-|d\\|", "-|-|-|-"]);
    }

    #[test]
    fn bombs_take_linear_time() {
        for bomb in
            ["(", "\"", "[", "<", "@", ":", "a b ", "(a)", "\"\"", "[]", "\\(", "<a>", "g:", "(\"[<@", ".", "\\\"("]
        {
            let list = parse(bomb.repeat(100_000).as_bytes());
            assert!(list.len() <= limits::ADDRESSES + 1, "{bomb:?} {}", list.len());
            assert!(parse_within(bomb.repeat(100).as_bytes(), 10).len() <= 11, "{bomb:?}");
        }
        let nested = ["(".repeat(200_000), ")".repeat(200_000), "a@b".into()].concat();
        assert_eq!(parse(nested.as_bytes()).len(), 1);
    }

    #[test]
    fn groups_always_close_whatever_the_value() {
        arbtest::arbtest(|u| {
            let mut value = Vec::new();
            for _ in 0..u.int_in_range(0..=30)? {
                value.extend_from_slice(
                    u.choose(&["a", " ", "\"", "(", ")", "<", ">", "@", ",", ":", ";", ".", "\\", "[", "]", "\u{e9}"])?
                        .as_bytes(),
                );
            }
            let mut in_group = false;
            for address in parse(&value) {
                match (&address.mailbox, &address.host) {
                    (Some(_), None) => assert!(!std::mem::replace(&mut in_group, true)),
                    (None, None) => assert!(std::mem::replace(&mut in_group, false)),
                    (Some(_), Some(_)) => {}
                    (None, Some(_)) => panic!("a host without a mailbox"),
                }
            }
            assert!(!in_group);
            Ok(())
        });
    }
}
