//! search-key: parse, print.

use super::cursor::{Cursor, Parse, SyntaxError};
use super::date_time::write_date;
use super::encode::{self, text};
use crate::limits;
use crate::message::charset;
use crate::types::query::{AddressField, Query};
use crate::types::{Date, ObjectId, SystemFlag};

/// How the texts of this search are encoded.
pub(super) enum Charset {
    /// No CHARSET: US-ASCII (RFC 3501) or UTF-8 (RFC 9051), of which the one is the other's beginning.
    Unsaid,
    Other(Vec<u8>),
}

impl Charset {
    /// `None` if it is not known.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        // These two must be known (RFC 9051 section 6.4.4).
        if name.eq_ignore_ascii_case(b"UTF-8") || name.eq_ignore_ascii_case(b"US-ASCII") {
            return Some(Charset::Unsaid);
        }
        charset::is_known(name).then(|| Charset::Other(name.to_vec()))
    }
}

/// Parses the keys of one search: what holds for all of them.
pub(super) struct Keys {
    charset: Charset,
    count: usize,
}

impl Keys {
    pub(super) fn new(charset: Charset) -> Self {
        Self { charset, count: 0 }
    }

    /// ```abnf
    /// search-key = "ALL" / "ANSWERED" / "BCC" SP astring / "BEFORE" SP date / "BODY" SP astring / "CC" SP astring /
    ///              "DELETED" / "FLAGGED" / "FROM" SP astring / "KEYWORD" SP flag-keyword / "NEW" / "OLD" /
    ///              "ON" SP date / "RECENT" / "SEEN" / "SINCE" SP date / "SUBJECT" SP astring / "TEXT" SP astring /
    ///              "TO" SP astring / "UNANSWERED" / "UNDELETED" / "UNFLAGGED" / "UNKEYWORD" SP flag-keyword /
    ///              "UNSEEN" / "DRAFT" / "HEADER" SP header-fld-name SP astring / "LARGER" SP number64 /
    ///              "NOT" SP search-key / "OR" SP search-key SP search-key / "SENTBEFORE" SP date /
    ///              "SENTON" SP date / "SENTSINCE" SP date / "SMALLER" SP number64 / "UID" SP sequence-set /
    ///              "UNDRAFT" / sequence-set / "(" search-key *(SP search-key) ")" /
    ///              "OLDER" SP nz-number / "YOUNGER" SP nz-number /                         ; RFC 5032
    ///              "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer /     ; RFC 7162
    ///              "SAVEDBEFORE" SP date / "SAVEDON" SP date / "SAVEDSINCE" SP date /
    ///              "SAVEDATESUPPORTED" /                                                   ; RFC 8514
    ///              "EMAILID" SP objectid / "THREADID" SP objectid                          ; RFC 8474
    /// ```
    ///
    /// NEW, OLD and RECENT are RFC 3501's alone; they are taken in both revisions, as they have no other meaning.
    pub(super) fn key(&mut self, cursor: &mut Cursor<'_>) -> Parse<Query> {
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
            "NEW" => Ok(recent_and_unseen()),
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
            "MODSEQ" => modseq(cursor).map(Query::ModSeq),
            "SAVEDBEFORE" => date(cursor).map(Query::SavedBefore),
            "SAVEDON" => date(cursor).map(Query::SavedOn),
            "SAVEDSINCE" => date(cursor).map(Query::SavedSince),
            "SAVEDATESUPPORTED" => Ok(Query::SaveDateSupported),
            "EMAILID" => object_id(cursor).map(Query::EmailId),
            "THREADID" => object_id(cursor).map(Query::ThreadId),
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

pub(super) fn not(query: Query) -> Query {
    Query::Not(Box::new(query))
}

/// RFC 3501: functionally equivalent to `(RECENT UNSEEN)`.
pub(super) fn recent_and_unseen() -> Query {
    Query::And(vec![Query::Recent, not(Query::Flag(SystemFlag::Seen))])
}

/// What side by side means: one key alone is itself.
pub(super) fn all_of(mut keys: Vec<Query>) -> Query {
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

/// A message has one time for all its flags, so what names one of them is read and passed over (RFC 7162 section 3.1.5).
///
/// ```abnf
/// entry-name     = DQUOTE "/flags/" attr-flag DQUOTE
/// entry-type-req = "priv" / "shared" / "all"
/// ```
fn modseq(cursor: &mut Cursor<'_>) -> Parse<u64> {
    cursor.space()?;
    if cursor.peek() == Some(b'"') {
        let place = cursor.expected("the name of a flag such as \"/flags/\\\\Seen\"");
        if !cursor.string()?.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"/flags/")) {
            return Err(place);
        }
        cursor.space()?;
        let place = cursor.expected("priv, shared or all");
        if !["PRIV", "SHARED", "ALL"].contains(&cursor.word("priv, shared or all")?.as_str()) {
            return Err(place);
        }
        cursor.space()?;
    }
    cursor.number64()
}

fn object_id(cursor: &mut Cursor<'_>) -> Parse<ObjectId> {
    cursor.space()?;
    cursor.object_id()
}

fn interval(cursor: &mut Cursor<'_>) -> Parse<u32> {
    cursor.space()?;
    cursor.nz_number()
}

/// Whether every text of the query can go without CHARSET as RFC 3501 has it.
pub(super) fn is_ascii(query: &Query) -> bool {
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
pub(super) fn print_key(out: &mut Vec<u8>, query: &Query) {
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
        key if *key == recent_and_unseen() => out.extend_from_slice(b"NEW"),
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
        Query::ModSeq(modseq) => text(out, format_args!("MODSEQ {modseq}")),
        Query::SavedBefore(date) => day(out, "SAVEDBEFORE", *date),
        Query::SavedOn(date) => day(out, "SAVEDON", *date),
        Query::SavedSince(date) => day(out, "SAVEDSINCE", *date),
        Query::SaveDateSupported => out.extend_from_slice(b"SAVEDATESUPPORTED"),
        Query::EmailId(id) => text(out, format_args!("EMAILID {}", id.as_str())),
        Query::ThreadId(id) => text(out, format_args!("THREADID {}", id.as_str())),
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
