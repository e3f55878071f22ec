//! SEARCH, UID SEARCH (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 4731, RFC 5182, RFC 5032).

use super::Numbers;
use crate::limits;
use crate::message::charset;
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::date_time::write_date;
use crate::protocol::encode::{self, text};
use crate::types::query::{AddressField, Query};
use crate::types::{Date, SystemFlag};

/// The arguments of SEARCH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    pub numbers: Numbers,
    /// `None` without RETURN: then the revision says how to answer.
    pub returns: Option<SearchReturn>,
    /// Texts already decoded from the CHARSET.
    pub query: Query,
}

/// RETURN (...). The empty list means ALL, and the parser has made it so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
}

impl Search {
    /// ```abnf
    /// search         = "SEARCH" [search-return-opts] SP search-program
    /// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
    /// charset        = atom / quoted                      ; RFC 3501: astring
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>, numbers: Numbers) -> Parse<Self> {
        cursor.space()?;
        let mut returns = None;
        if cursor.take_word("RETURN ") {
            returns = Some(SearchReturn::parse(cursor)?);
            cursor.space()?;
        }
        let mut charset = Charset::Unsaid;
        if cursor.take_word("CHARSET ") {
            let saving = returns.is_some_and(|returns| returns.save);
            charset = Charset::named(&cursor.astring()?).ok_or(SyntaxError::Charset { saving })?;
            cursor.space()?;
        }
        let mut keys = Keys { charset, count: 0 };
        let mut all = vec![keys.key(cursor)?];
        while !cursor.ends_here() {
            cursor.space()?;
            all.push(keys.key(cursor)?);
        }
        Ok(Self { numbers, returns, query: all_of(all) })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        if let Some(returns) = self.returns {
            out.push(b' ');
            returns.print(out);
        }
        if !is_ascii(&self.query) {
            out.extend_from_slice(b" CHARSET UTF-8");
        }
        out.push(b' ');
        match &self.query {
            Query::And(keys) if !keys.is_empty() => encode::separated(out, keys, print_key),
            key => print_key(out, key),
        }
    }
}

impl SearchReturn {
    /// ```abnf
    /// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
    /// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE"
    /// ```
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut options = Self::default();
        cursor.list_or_empty(|cursor| {
            let place = cursor.expected("a return option that this server has");
            match cursor.word("a return option")?.as_str() {
                "MIN" => options.min = true,
                "MAX" => options.max = true,
                "ALL" => options.all = true,
                "COUNT" => options.count = true,
                "SAVE" => options.save = true,
                _ => return Err(place),
            }
            Ok(())
        })?;
        if options == Self::default() {
            options.all = true;
        }
        Ok(options)
    }

    fn print(self, out: &mut Vec<u8>) {
        let names =
            [(self.min, "MIN"), (self.max, "MAX"), (self.all, "ALL"), (self.count, "COUNT"), (self.save, "SAVE")];
        out.extend_from_slice(b"RETURN (");
        let given = names.into_iter().filter(|name| name.0);
        encode::separated(out, given, |out, (_, name)| out.extend_from_slice(name.as_bytes()));
        out.push(b')');
    }
}

/// How the texts of this search are encoded.
enum Charset {
    /// No CHARSET: US-ASCII (RFC 3501) or UTF-8 (RFC 9051), of which the one is the other's beginning.
    Unsaid,
    Other(Vec<u8>),
}

impl Charset {
    fn named(name: &[u8]) -> Option<Self> {
        // These two must be known (RFC 9051 section 6.4.4).
        if name.eq_ignore_ascii_case(b"UTF-8") || name.eq_ignore_ascii_case(b"US-ASCII") {
            return Some(Charset::Unsaid);
        }
        charset::is_known(name).then(|| Charset::Other(name.to_vec()))
    }
}

/// What holds for all keys of a search.
struct Keys {
    charset: Charset,
    count: usize,
}

impl Keys {
    /// ```abnf
    /// search-key = "ALL" / "ANSWERED" / "BCC" SP astring / "BEFORE" SP date / "BODY" SP astring / "CC" SP astring /
    ///              "DELETED" / "FLAGGED" / "FROM" SP astring / "KEYWORD" SP flag-keyword / "NEW" / "OLD" /
    ///              "ON" SP date / "RECENT" / "SEEN" / "SINCE" SP date / "SUBJECT" SP astring / "TEXT" SP astring /
    ///              "TO" SP astring / "UNANSWERED" / "UNDELETED" / "UNFLAGGED" / "UNKEYWORD" SP flag-keyword /
    ///              "UNSEEN" / "DRAFT" / "HEADER" SP header-fld-name SP astring / "LARGER" SP number64 /
    ///              "NOT" SP search-key / "OR" SP search-key SP search-key / "SENTBEFORE" SP date /
    ///              "SENTON" SP date / "SENTSINCE" SP date / "SMALLER" SP number64 / "UID" SP sequence-set /
    ///              "UNDRAFT" / sequence-set / "(" search-key *(SP search-key) ")" /
    ///              "OLDER" SP nz-number / "YOUNGER" SP nz-number                           ; RFC 5032
    /// ```
    ///
    /// NEW, OLD and RECENT are RFC 3501's alone; they are taken in both revisions, as they have no other meaning.
    fn key(&mut self, cursor: &mut Cursor<'_>) -> Parse<Query> {
        self.count += 1;
        if self.count > limits::SEARCH_KEYS {
            return Err(SyntaxError::Limit("search keys"));
        }
        if cursor.sequence_set_follows() {
            return cursor.sequence_set().map(Query::Sequence);
        }
        if cursor.peek() == Some(b'(') {
            let mut keys = Vec::new();
            cursor.list(|cursor| {
                keys.push(self.key(cursor)?);
                Ok(())
            })?;
            return Ok(all_of(keys));
        }
        let place = cursor.expected("a search key that this server has");
        let name = cursor.word("a search key")?;
        let flag = |flag| Ok(Query::Flag(flag));
        let no_flag = |flag| Ok(not(Query::Flag(flag)));
        match name.as_str() {
            "ALL" => Ok(Query::All),
            "ANSWERED" => flag(SystemFlag::Answered),
            "DELETED" => flag(SystemFlag::Deleted),
            "DRAFT" => flag(SystemFlag::Draft),
            "FLAGGED" => flag(SystemFlag::Flagged),
            "SEEN" => flag(SystemFlag::Seen),
            "UNANSWERED" => no_flag(SystemFlag::Answered),
            "UNDELETED" => no_flag(SystemFlag::Deleted),
            "UNDRAFT" => no_flag(SystemFlag::Draft),
            "UNFLAGGED" => no_flag(SystemFlag::Flagged),
            "UNSEEN" => no_flag(SystemFlag::Seen),
            "RECENT" => Ok(Query::Recent),
            "OLD" => Ok(not(Query::Recent)),
            "NEW" => Ok(new()),
            "KEYWORD" => keyword(cursor),
            "UNKEYWORD" => keyword(cursor).map(not),
            "BEFORE" => date(cursor).map(Query::Before),
            "ON" => date(cursor).map(Query::On),
            "SINCE" => date(cursor).map(Query::Since),
            "SENTBEFORE" => date(cursor).map(Query::SentBefore),
            "SENTON" => date(cursor).map(Query::SentOn),
            "SENTSINCE" => date(cursor).map(Query::SentSince),
            "LARGER" => number(cursor).map(Query::Larger),
            "SMALLER" => number(cursor).map(Query::Smaller),
            "OLDER" => interval(cursor).map(Query::Older),
            "YOUNGER" => interval(cursor).map(Query::Younger),
            "BCC" => Ok(Query::Address(AddressField::Bcc, self.text(cursor)?)),
            "CC" => Ok(Query::Address(AddressField::Cc, self.text(cursor)?)),
            "FROM" => Ok(Query::Address(AddressField::From, self.text(cursor)?)),
            "TO" => Ok(Query::Address(AddressField::To, self.text(cursor)?)),
            "SUBJECT" => self.text(cursor).map(Query::Subject),
            "BODY" => self.text(cursor).map(Query::Body),
            "TEXT" => self.text(cursor).map(Query::Text),
            "HEADER" => Ok(Query::Header(self.text(cursor)?, self.text(cursor)?)),
            "UID" => {
                cursor.space()?;
                cursor.sequence_set().map(Query::Uid)
            }
            "NOT" => {
                cursor.space()?;
                cursor.nested(|cursor| self.key(cursor)).map(not)
            }
            "OR" => self.alternatives(cursor),
            _ => Err(place),
        }
    }

    /// What follows OR. `OR a OR b OR c d`, as clients write long lists of alternatives, becomes a balanced tree, so that neither its depth nor
    /// that of those who walk it grows with the list.
    fn alternatives(&mut self, cursor: &mut Cursor<'_>) -> Parse<Query> {
        let mut found = Vec::new();
        cursor.space()?;
        loop {
            flatten(cursor.nested(|cursor| self.key(cursor))?, &mut found);
            cursor.space()?;
            if !cursor.take_word("OR ") {
                break;
            }
            self.count += 1;
            if self.count > limits::SEARCH_KEYS {
                return Err(SyntaxError::Limit("search keys"));
            }
        }
        flatten(cursor.nested(|cursor| self.key(cursor))?, &mut found);
        Ok(any_of(found))
    }

    /// `SP astring`, decoded.
    fn text(&self, cursor: &mut Cursor<'_>) -> Parse<String> {
        cursor.space()?;
        let place = cursor.expected("text in the charset of the search");
        let octets = cursor.astring()?;
        let text = match &self.charset {
            Charset::Unsaid => std::str::from_utf8(&octets).ok().map(str::to_owned),
            Charset::Other(name) => Some(charset::decode(name, &octets)),
        };
        // No message has NUL in its text, and no literal could hold it again.
        text.filter(|text| !text.contains('\0')).ok_or(place)
    }
}

fn not(query: Query) -> Query {
    Query::Not(Box::new(query))
}

/// RFC 3501: functionally equivalent to `(RECENT UNSEEN)`.
fn new() -> Query {
    Query::And(vec![Query::Recent, not(Query::Flag(SystemFlag::Seen))])
}

fn all_of(mut keys: Vec<Query>) -> Query {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        last => {
            keys.extend(last);
            Query::And(keys)
        }
    }
}

/// Takes alternatives apart. The depth is that of a balanced tree.
fn flatten(query: Query, into: &mut Vec<Query>) {
    match query {
        Query::Or(left, right) => {
            flatten(*left, into);
            flatten(*right, into);
        }
        other => into.push(other),
    }
}

fn any_of(mut found: Vec<Query>) -> Query {
    let right = found.split_off(found.len() / 2);
    match (found.is_empty(), right.len()) {
        (false, _) => Query::Or(Box::new(any_of(found)), Box::new(any_of(right))),
        (true, _) => all_of(right),
    }
}

fn keyword(cursor: &mut Cursor<'_>) -> Parse<Query> {
    cursor.space()?;
    cursor.keyword().map(Query::Keyword)
}

fn date(cursor: &mut Cursor<'_>) -> Parse<Date> {
    cursor.space()?;
    cursor.date()
}

fn number(cursor: &mut Cursor<'_>) -> Parse<u64> {
    cursor.space()?;
    cursor.number64()
}

fn interval(cursor: &mut Cursor<'_>) -> Parse<u32> {
    cursor.space()?;
    cursor.nz_number()
}

/// Whether every text of the query can go without CHARSET as RFC 3501 has it.
fn is_ascii(query: &Query) -> bool {
    match query {
        Query::And(keys) => keys.iter().all(is_ascii),
        Query::Or(left, right) => is_ascii(left) && is_ascii(right),
        Query::Not(key) => is_ascii(key),
        Query::Header(name, value) => name.is_ascii() && value.is_ascii(),
        Query::Address(_, value) | Query::Subject(value) | Query::Body(value) | Query::Text(value) => value.is_ascii(),
        _ => true,
    }
}

/// One key. What has a name of its own is written by that, so that no key prints deeper than it was parsed.
fn print_key(out: &mut Vec<u8>, query: &Query) {
    let texts = |out: &mut Vec<u8>, name: &str, values: &[&str]| {
        out.extend_from_slice(name.as_bytes());
        for value in values {
            out.push(b' ');
            encode::astring(out, value.as_bytes());
        }
    };
    let day = |out: &mut Vec<u8>, name: &str, date: Date| {
        text(out, format_args!("{name} "));
        write_date(out, date);
    };
    match query {
        Query::And(keys) if keys.is_empty() => out.extend_from_slice(b"ALL"),
        key if *key == new() => out.extend_from_slice(b"NEW"),
        Query::And(keys) => {
            out.push(b'(');
            encode::separated(out, keys, print_key);
            out.push(b')');
        }
        Query::Or(..) => print_alternatives(out, query),
        Query::Not(key) => match &**key {
            Query::Flag(flag) => text(out, format_args!("UN{}", flag_key(*flag))),
            Query::Keyword(keyword) => text(out, format_args!("UNKEYWORD {keyword}")),
            Query::Recent => out.extend_from_slice(b"OLD"),
            key => {
                out.extend_from_slice(b"NOT ");
                print_key(out, key);
            }
        },
        Query::All => out.extend_from_slice(b"ALL"),
        Query::Sequence(set) => text(out, format_args!("{set}")),
        Query::Uid(set) => text(out, format_args!("UID {set}")),
        Query::Flag(flag) => out.extend_from_slice(flag_key(*flag).as_bytes()),
        Query::Keyword(keyword) => text(out, format_args!("KEYWORD {keyword}")),
        Query::Recent => out.extend_from_slice(b"RECENT"),
        Query::Before(date) => day(out, "BEFORE", *date),
        Query::On(date) => day(out, "ON", *date),
        Query::Since(date) => day(out, "SINCE", *date),
        Query::SentBefore(date) => day(out, "SENTBEFORE", *date),
        Query::SentOn(date) => day(out, "SENTON", *date),
        Query::SentSince(date) => day(out, "SENTSINCE", *date),
        Query::Larger(size) => text(out, format_args!("LARGER {size}")),
        Query::Smaller(size) => text(out, format_args!("SMALLER {size}")),
        Query::Older(seconds) => text(out, format_args!("OLDER {seconds}")),
        Query::Younger(seconds) => text(out, format_args!("YOUNGER {seconds}")),
        Query::Header(name, value) => texts(out, "HEADER", &[name, value]),
        Query::Address(field, value) => texts(out, field.name(), &[value]),
        Query::Subject(value) => texts(out, "SUBJECT", &[value]),
        Query::Body(value) => texts(out, "BODY", &[value]),
        Query::Text(value) => texts(out, "TEXT", &[value]),
    }
}

/// As the flat list that they were, for a balanced tree would print deeper than it was parsed.
fn print_alternatives(out: &mut Vec<u8>, query: &Query) {
    fn walk<'a>(query: &'a Query, found: &mut Vec<&'a Query>) {
        match query {
            Query::Or(left, right) => {
                walk(left, found);
                walk(right, found);
            }
            other => found.push(other),
        }
    }
    let mut found = Vec::new();
    walk(query, &mut found);
    let last = found.pop();
    for key in found {
        out.extend_from_slice(b"OR ");
        print_key(out, key);
        out.push(b' ');
    }
    if let Some(last) = last {
        print_key(out, last);
    }
}

fn flag_key(flag: SystemFlag) -> &'static str {
    match flag {
        SystemFlag::Answered => "ANSWERED",
        SystemFlag::Flagged => "FLAGGED",
        SystemFlag::Deleted => "DELETED",
        SystemFlag::Seen => "SEEN",
        SystemFlag::Draft => "DRAFT",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused, refused_octets};
    use super::*;
    use crate::protocol::Dialect;
    use crate::types::{Keyword, SequenceSet};

    fn search(line: &str) -> Search {
        match parsed(line) {
            Command::Search(search) => search,
            other => panic!("{other:?}"),
        }
    }

    fn query(line: &str) -> Query {
        search(&format!("SEARCH {line}")).query
    }

    fn set(text: &str) -> SequenceSet {
        Cursor::new(text.as_bytes(), Dialect::Rev1).sequence_set().unwrap()
    }

    #[test]
    fn every_key_of_both_revisions() {
        let day = Date::new(1994, 2, 1).unwrap();
        let s = || "x".to_owned();
        for (line, expected) in [
            ("ALL", Query::All),
            ("answered", Query::Flag(SystemFlag::Answered)),
            ("DELETED", Query::Flag(SystemFlag::Deleted)),
            ("DRAFT", Query::Flag(SystemFlag::Draft)),
            ("FLAGGED", Query::Flag(SystemFlag::Flagged)),
            ("SEEN", Query::Flag(SystemFlag::Seen)),
            ("UNANSWERED", not(Query::Flag(SystemFlag::Answered))),
            ("UNDELETED", not(Query::Flag(SystemFlag::Deleted))),
            ("UNDRAFT", not(Query::Flag(SystemFlag::Draft))),
            ("UNFLAGGED", not(Query::Flag(SystemFlag::Flagged))),
            ("UNSEEN", not(Query::Flag(SystemFlag::Seen))),
            ("NOT SEEN", not(Query::Flag(SystemFlag::Seen))),
            ("RECENT", Query::Recent),
            ("OLD", not(Query::Recent)),
            ("NEW", new()),
            ("KEYWORD $Junk", Query::Keyword(Keyword::new("$Junk").unwrap())),
            ("UNKEYWORD $Junk", not(Query::Keyword(Keyword::new("$Junk").unwrap()))),
            ("BEFORE 1-Feb-1994", Query::Before(day)),
            ("ON \"01-feb-1994\"", Query::On(day)),
            ("SINCE 1-Feb-1994", Query::Since(day)),
            ("SENTBEFORE 1-Feb-1994", Query::SentBefore(day)),
            ("SENTON 1-Feb-1994", Query::SentOn(day)),
            ("SENTSINCE 1-Feb-1994", Query::SentSince(day)),
            ("LARGER 0", Query::Larger(0)),
            ("SMALLER 4294967296", Query::Smaller(1 << 32)),
            ("OLDER 86400", Query::Older(86400)),
            ("YOUNGER 1", Query::Younger(1)),
            ("BCC x", Query::Address(AddressField::Bcc, s())),
            ("CC x", Query::Address(AddressField::Cc, s())),
            ("FROM \"x\"", Query::Address(AddressField::From, s())),
            ("TO {1}\r\nx", Query::Address(AddressField::To, s())),
            ("SUBJECT x", Query::Subject(s())),
            ("BODY x", Query::Body(s())),
            ("TEXT x", Query::Text(s())),
            ("HEADER x \"\"", Query::Header(s(), String::new())),
            ("UID *:*", Query::Uid(set("*"))),
            ("UID $", Query::Uid(SequenceSet::Saved)),
            ("$", Query::Sequence(SequenceSet::Saved)),
            ("2,4:7,*", Query::Sequence(set("2,4:7,*"))),
        ] {
            assert_eq!(query(line), expected, "{line}");
            // Deep inside, too.
            assert_eq!(query(&format!("(NOT {line} ALL)")), Query::And(vec![not(expected), Query::All]), "{line}");
        }
    }

    #[test]
    fn keys_side_by_side_all_match() {
        let unseen = || not(Query::Flag(SystemFlag::Seen));
        assert_eq!(query("1:* UNSEEN"), Query::And(vec![Query::Sequence(set("1:*")), unseen()]));
        assert_eq!(query("(1:* UNSEEN)"), query("1:* UNSEEN"));
        assert_eq!(query("((UNSEEN))"), unseen());
        assert_eq!(search("UID SEARCH *:*").numbers, Numbers::Uid);
        assert_eq!(
            query("ALL (SEEN DRAFT)"),
            Query::And(vec![
                Query::All,
                Query::And(vec![Query::Flag(SystemFlag::Seen), Query::Flag(SystemFlag::Draft)])
            ])
        );
    }

    #[test]
    fn the_empty_return_list_means_all() {
        let all = SearchReturn { all: true, ..SearchReturn::default() };
        assert_eq!(search("SEARCH ALL").returns, None);
        assert_eq!(search("SEARCH RETURN () ALL").returns, Some(all));
        assert_eq!(search("uid search return (all) ALL").returns, Some(all));
        assert_eq!(
            search("SEARCH RETURN (MIN MAX COUNT SAVE) CHARSET UTF-8 ALL").returns,
            Some(SearchReturn { min: true, max: true, count: true, save: true, all: false })
        );
        assert_eq!(
            search("SEARCH RETURN (SAVE) ALL").returns,
            Some(SearchReturn { save: true, ..SearchReturn::default() })
        );
    }

    #[test]
    fn texts_are_utf_8_or_refused() {
        let subject = Query::Subject("\u{fc}".to_owned());
        for line in [
            "SEARCH SUBJECT \"\u{fc}\"",
            "SEARCH CHARSET UTF-8 SUBJECT {2}\r\n\u{fc}",
            "SEARCH charset \"us-ascii\" SUBJECT {2}\r\n\u{fc}",
        ] {
            assert_eq!(search(line).query, subject, "{line:?}");
        }
        for bad in [&b"SEARCH CHARSET UTF-8 SUBJECT {1}\r\n\xfc"[..], b"SEARCH SUBJECT {1}\r\n\xfc"] {
            assert!(matches!(refused_octets(bad), SyntaxError::Expected { .. }));
        }
        let latin = parsed_octets(b"SEARCH CHARSET iso-8859-1 SUBJECT {1}\r\n\xfc", Dialect::Rev1);
        assert!(matches!(latin, Command::Search(Search { query, .. }) if query == subject));
        assert_eq!(refused("SEARCH CHARSET X-UNKNOWN ALL"), SyntaxError::Charset { saving: false });
    }

    #[test]
    fn long_lists_of_alternatives_stay_shallow() {
        fn depth(query: &Query) -> usize {
            match query {
                Query::Or(left, right) => 1 + depth(left).max(depth(right)),
                _ => 0,
            }
        }
        assert_eq!(query("OR SEEN DRAFT"), query("OR (SEEN) (DRAFT)"));
        assert_eq!(query("OR SEEN OR DRAFT DELETED"), query("OR OR SEEN DRAFT DELETED"));
        let keys = limits::SEARCH_KEYS / 2;
        let line = format!("{}SEEN", "OR DRAFT ".repeat(keys - 1));
        assert_eq!(depth(&query(&line)), keys.ilog2() as usize);
        let left = format!("{}{}", "OR ".repeat(limits::NESTING), "SEEN ".repeat(limits::NESTING + 1));
        assert_eq!(depth(&query(left.trim_end())), 6);
        assert_eq!(query("OR (SEEN DRAFT) ALL"), Query::Or(Box::new(query("SEEN DRAFT")), Box::new(Query::All)));
    }

    #[test]
    fn depth_and_number_of_keys_are_bounded() {
        for word in ["NOT ", "(", "OR ", "OR OR ", "NOT (", "OR ALL ", "OR ALL NOT "] {
            let line = format!("SEARCH {}", word.repeat(60_000 / word.len()));
            let error = refused(&line);
            assert!(matches!(error, SyntaxError::Limit("nesting" | "search keys")), "{word}: {error:?}");
        }
        let deepest = format!("{}RECENT", "NOT ".repeat(limits::NESTING));
        assert!(matches!(query(&deepest), Query::Not(_)));
        assert_eq!(refused(&format!("SEARCH NOT {deepest}")), SyntaxError::Limit("nesting"));
        let most = format!("SEARCH {}", ["ALL"; limits::SEARCH_KEYS].join(" "));
        assert!(matches!(search(&most).query, Query::And(keys) if keys.len() == limits::SEARCH_KEYS));
        assert_eq!(refused(&format!("{most} ALL")), SyntaxError::Limit("search keys"));
        // Lists side by side are no deeper than one.
        assert!(matches!(query(&["(ALL)"; 1000].join(" ")), Query::And(_)));
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for bad in [
            "SEARCH",
            "SEARCH ",
            "SEARCH FOO",
            "SEARCH ()",
            "SEARCH (ALL",
            "SEARCH (ALL ",
            "SEARCH ALL)",
            "SEARCH ALL  SEEN",
            "SEARCH NOT",
            "SEARCH OR ALL",
            "SEARCH OR ALL ",
            "SEARCH FROM",
            "SEARCH FROM (x)",
            "SEARCH HEADER x",
            "SEARCH KEYWORD \\Seen",
            "SEARCH KEYWORD \"x\"",
            "SEARCH BEFORE 1994",
            "SEARCH BEFORE 32-Jan-1994",
            "SEARCH LARGER -1",
            "SEARCH LARGER 9223372036854775808",
            "SEARCH OLDER 0",
            "SEARCH UID",
            "SEARCH 0",
            "SEARCH 4294967296",
            "SEARCH 1:",
            "SEARCH ALL RETURN (MIN)",
            "SEARCH RETURN (MIN)",
            "SEARCH RETURN (FOO) ALL",
            "SEARCH RETURN MIN ALL",
            "SEARCH CHARSET UTF-8",
            "SEARCH ALL CHARSET UTF-8",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }

    #[test]
    fn a_nul_cannot_come_through() {
        assert!(matches!(refused_octets(b"SEARCH TEXT {1}\r\n\0"), SyntaxError::Expected { .. }));
        assert!(matches!(refused_octets(b"SEARCH TEXT \"\0\""), SyntaxError::Expected { .. }));
        let text = parsed_octets(b"SEARCH TEXT {3}\r\na\r\n", Dialect::Rev2);
        assert!(matches!(text, Command::Search(Search { query: Query::Text(text), .. }) if text == "a\r\n"));
    }
}
