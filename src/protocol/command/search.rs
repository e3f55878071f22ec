//! SEARCH, UID SEARCH (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 4731, RFC 5182, RFC 5032).

use super::Numbers;
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::encode;
use crate::protocol::search_key::{Charset, Keys, all_of, is_ascii, print_key};
use crate::types::SequenceSet;
use crate::types::query::Query;

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
        let mut keys = Keys::new(charset);
        let mut all = vec![keys.key(cursor)?];
        while !cursor.ends_here() {
            cursor.space()?;
            all.push(keys.key(cursor)?);
        }
        Ok(Self { numbers, returns, query: all_of(all) })
    }

    /// Whether it asks when messages changed.
    pub fn by_modseq(&self) -> bool {
        self.query.has(&|key| matches!(key, Query::ModSeq(_)))
    }

    /// Whether its keys name messages by their sequence numbers.
    pub fn names_sequence_numbers(&self) -> bool {
        self.query.has(&|key| matches!(key, Query::Sequence(SequenceSet::Ranges(_))))
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

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused, refused_octets};
    use super::*;
    use crate::limits;
    use crate::protocol::Dialect;
    use crate::protocol::search_key::{not, recent_and_unseen};
    use crate::types::query::AddressField;
    use crate::types::{Date, Keyword, ObjectId, SystemFlag};

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
            ("NEW", recent_and_unseen()),
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
            ("MODSEQ 0", Query::ModSeq(0)),
            ("modseq \"/flags/\\\\draft\" all 620162338", Query::ModSeq(620162338)),
            ("MODSEQ \"/flags/$Junk\" priv 9223372036854775807", Query::ModSeq((1 << 63) - 1)),
            ("SAVEDBEFORE 1-Feb-1994", Query::SavedBefore(day)),
            ("SAVEDON 1-Feb-1994", Query::SavedOn(day)),
            ("SAVEDSINCE 1-Feb-1994", Query::SavedSince(day)),
            ("SAVEDATESUPPORTED", Query::SaveDateSupported),
            ("EMAILID M6d99ac3275bb4e", Query::EmailId(ObjectId::parse("M6d99ac3275bb4e").unwrap())),
            ("THREADID T_-1", Query::ThreadId(ObjectId::parse("T_-1").unwrap())),
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
