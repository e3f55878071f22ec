//! LIST with its extensions, LSUB, XLIST, NAMESPACE (RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use super::status::{StatusItem, parse_items, print_items};
use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode;

/// The arguments of LIST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    pub select: SelectOptions,
    pub reference: String,
    /// UTF-8, with `*` and `%`. More than one only in the extended form.
    pub patterns: Vec<String>,
    pub returns: ReturnOptions,
    /// Whether selection options, several patterns or RETURN were used.
    pub extended: bool,
}

/// Reference and pattern of LSUB and XLIST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub reference: String,
    pub pattern: String,
}

/// Which names a LIST is about (RFC 9051 section 6.3.9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SelectOptions {
    pub subscribed: bool,
    pub remote: bool,
    /// Never alone.
    pub recursive_match: bool,
    pub special_use: bool,
}

/// What a LIST tells of each name (RFC 9051 section 6.3.9.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReturnOptions {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub status: Option<Vec<StatusItem>>,
}

impl List {
    /// ```abnf
    /// list             = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    /// mbox-or-pat      = list-mailbox / patterns
    /// patterns         = "(" list-mailbox *(SP list-mailbox) ")"      ; RFC 5258
    /// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut list = Self {
            select: SelectOptions::default(),
            reference: String::new(),
            patterns: Vec::new(),
            returns: ReturnOptions::default(),
            extended: false,
        };
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            list.select = SelectOptions::parse(cursor)?;
            cursor.space()?;
        }
        list.reference = cursor.reference()?;
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            cursor.list(|cursor| {
                list.patterns.push(cursor.list_mailbox()?);
                Ok(())
            })?;
        } else {
            list.patterns.push(cursor.list_mailbox()?);
        }
        if !cursor.ends_here() {
            cursor.space()?;
            if !cursor.take_word("RETURN") {
                return Err(cursor.expected("RETURN"));
            }
            cursor.space()?;
            list.extended = true;
            list.returns = ReturnOptions::parse(cursor)?;
        }
        Ok(list)
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        if self.extended {
            out.push(b' ');
            self.select.print(out);
        }
        out.push(b' ');
        encode::mailbox_text(out, &self.reference, dialect);
        out.push(b' ');
        if self.extended {
            out.push(b'(');
            encode::separated(out, &self.patterns, |out, pattern| encode::mailbox_text(out, pattern, dialect));
            out.extend_from_slice(b") RETURN ");
            self.returns.print(out);
        } else if let Some(pattern) = self.patterns.first() {
            encode::mailbox_text(out, pattern, dialect);
        }
    }
}

impl SelectOptions {
    /// ```abnf
    /// list-select-opts            = "(" [(*(list-select-opt SP) list-select-base-opt *(SP list-select-opt))
    ///                               / (list-select-independent-opt *(SP list-select-independent-opt))] ")"
    /// list-select-base-opt        = "SUBSCRIBED"
    /// list-select-independent-opt = "REMOTE" / "SPECIAL-USE"          ; RFC 6154
    /// list-select-mod-opt         = "RECURSIVEMATCH"
    /// ```
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut options = Self::default();
        let start = cursor.expected("SUBSCRIBED beside RECURSIVEMATCH");
        cursor.list_or_empty(|cursor| {
            let place = cursor.expected("a selection option that this server has");
            match cursor.word("a selection option")?.as_str() {
                "SUBSCRIBED" => options.subscribed = true,
                "REMOTE" => options.remote = true,
                "RECURSIVEMATCH" => options.recursive_match = true,
                "SPECIAL-USE" => options.special_use = true,
                _ => return Err(place),
            }
            Ok(())
        })?;
        if options.recursive_match && !options.subscribed { Err(start) } else { Ok(options) }
    }

    fn print(self, out: &mut Vec<u8>) {
        let names = [
            (self.subscribed, "SUBSCRIBED"),
            (self.remote, "REMOTE"),
            (self.recursive_match, "RECURSIVEMATCH"),
            (self.special_use, "SPECIAL-USE"),
        ];
        out.push(b'(');
        let given = names.into_iter().filter(|name| name.0);
        encode::separated(out, given, |out, (_, name)| out.extend_from_slice(name.as_bytes()));
        out.push(b')');
    }
}

impl ReturnOptions {
    /// ```abnf
    /// return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / status-option
    /// status-option = "STATUS" SP "(" status-att *(SP status-att) ")"
    /// ```
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut options = Self::default();
        cursor.list_or_empty(|cursor| {
            let place = cursor.expected("a return option that this server has");
            match cursor.word("a return option")?.as_str() {
                "SUBSCRIBED" => options.subscribed = true,
                "CHILDREN" => options.children = true,
                "SPECIAL-USE" => options.special_use = true,
                "STATUS" => {
                    cursor.space()?;
                    options.status = Some(parse_items(cursor)?);
                }
                _ => return Err(place),
            }
            Ok(())
        })?;
        Ok(options)
    }

    fn print(&self, out: &mut Vec<u8>) {
        let names = [(self.subscribed, "SUBSCRIBED"), (self.children, "CHILDREN"), (self.special_use, "SPECIAL-USE")];
        let given =
            names.into_iter().filter(|name| name.0).map(|name| name.1).chain(self.status.as_ref().map(|_| "STATUS"));
        out.push(b'(');
        encode::separated(out, given, |out, name| out.extend_from_slice(name.as_bytes()));
        if let Some(items) = &self.status {
            out.push(b' ');
            print_items(out, items);
        }
        out.push(b')');
    }
}

impl Pattern {
    /// ```abnf
    /// lsub = "LSUB" SP mailbox SP list-mailbox
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let reference = cursor.reference()?;
        cursor.space()?;
        Ok(Self { reference, pattern: cursor.list_mailbox()? })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox_text(out, &self.reference, dialect);
        out.push(b' ');
        encode::mailbox_text(out, &self.pattern, dialect);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused};
    use super::*;
    use crate::limits;
    use crate::protocol::cursor::SyntaxError;

    fn list(line: &str) -> List {
        match parsed(line) {
            Command::List(list) => list,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_plain_form() {
        for (line, reference, pattern) in [
            ("LIST \"\" *", "", "*"),
            ("list \"\" \"%\"", "", "%"),
            ("LIST \"\" \"\"", "", ""),
            ("LIST ~/Mail/ a]b%", "~/Mail/", "a]b%"),
            ("LIST {2}\r\na/ Entw&APw-*", "a/", "Entw\u{fc}*"),
        ] {
            let found = list(line);
            assert!(!found.extended);
            assert_eq!((found.reference.as_str(), found.patterns), (reference, vec![pattern.to_owned()]), "{line}");
        }
    }

    #[test]
    fn the_extended_form() {
        let found = list(
            "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"Drafts\" Sent/%) RETURN (CHILDREN STATUS (MESSAGES SIZE) special-use)",
        );
        assert!(found.extended && found.select.subscribed && found.select.recursive_match && !found.select.remote);
        assert_eq!(found.patterns, ["INBOX", "Drafts", "Sent/%"]);
        assert!(found.returns.children && found.returns.special_use && !found.returns.subscribed);
        assert_eq!(found.returns.status, Some(vec![StatusItem::Messages, StatusItem::Size]));
        for line in [
            "LIST () \"\" *",
            "LIST \"\" (*)",
            "LIST \"\" * RETURN ()",
            "list (remote special-use) \"\" * return (subscribed)",
        ] {
            assert!(list(line).extended, "{line}");
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for bad in [
            "LIST",
            "LIST \"\"",
            "LIST \"\" ()",
            "LIST (RECURSIVEMATCH) \"\" *",
            "LIST (REMOTE RECURSIVEMATCH) \"\" *",
            "LIST (SPECIAL-USE RECURSIVEMATCH) \"\" *",
            "LIST (FOO) \"\" *",
            "LIST \"\" * (CHILDREN)",
            "LIST \"\" * RETURN",
            "LIST \"\" * RETURN CHILDREN",
            "LIST \"\" * RETURN (FOO)",
            "LIST \"\" * RETURN (STATUS)",
            "LIST \"\" * RETURN (STATUS ())",
            "LIST * *",
            "LIST \"\" a(b",
            "LSUB \"\"",
            "LSUB \"\" (*)",
            "LSUB (SUBSCRIBED) \"\" *",
            "XLIST \"\" * RETURN (CHILDREN)",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        for bad in ["LIST \"\" &AC8", "LIST A&B *", &format!("LIST \"\" {}", "*".repeat(limits::MAILBOX_NAME + 1))] {
            assert!(matches!(refused(bad), SyntaxError::Mailbox(_)), "{bad}");
        }
    }

    #[test]
    fn lsub_and_xlist_have_reference_and_pattern() {
        let pattern = Pattern { reference: "#news.".to_owned(), pattern: "comp.*".to_owned() };
        assert_eq!(parsed("LSUB \"#news.\" \"comp.*\""), Command::Lsub(pattern.clone()));
        assert_eq!(parsed("xlist #news. comp.*"), Command::Xlist(pattern));
    }

    #[test]
    fn patterns_are_normalised_as_names_are() {
        let pattern = Pattern { reference: String::new(), pattern: "\u{e9}%".to_owned() };
        assert_eq!(parsed_octets("LSUB \"\" \"e\u{301}%\"".as_bytes(), Dialect::Rev2), Command::Lsub(pattern));
    }
}
