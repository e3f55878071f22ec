//! LIST, LSUB, STATUS, NAMESPACE, FLAGS, EXISTS, RECENT.

use crate::protocol::Dialect;
use crate::protocol::command::status::StatusItem;
use crate::protocol::encode::{self, text};
use crate::types::mailbox::SEPARATOR;
use crate::types::{Flags, MailboxName, ObjectId};

/// Which of the three listings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    List,
    Lsub,
    Xlist,
}

impl Listing {
    fn name(self) -> &'static str {
        match self {
            Listing::List => "LIST",
            Listing::Lsub => "LSUB",
            Listing::Xlist => "XLIST",
        }
    }
}

/// One line of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListLine<'a> {
    /// With their backslashes.
    pub attributes: Vec<&'static str>,
    pub name: &'a MailboxName,
    /// `("CHILDINFO" ("SUBSCRIBED"))` (RFC 5258).
    pub child_info_subscribed: bool,
    /// `("OLDNAME" ("..."))` (RFC 9051 section 6.3.9.7): the former name, or what the client had written; as text, not in modified UTF-7.
    pub old_name: Option<&'a str>,
}

/// `* LIST (\attr ...) "/" name (extended data)`
///
/// ```abnf
/// mailbox-list          = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
///                         [SP mbox-list-extended]
/// mbox-list-extended    = "(" [mbox-list-extended-item *(SP mbox-list-extended-item)] ")"
/// oldname-extended-item = "OLDNAME" SP "(" mailbox ")"
/// ```
pub fn listing(out: &mut Vec<u8>, which: Listing, line: &ListLine<'_>, dialect: Dialect) {
    text(out, format_args!("* {} (", which.name()));
    encode::separated(out, &line.attributes, |out, name| out.extend_from_slice(name.as_bytes()));
    text(out, format_args!(") \"{SEPARATOR}\" "));
    encode::mailbox(out, line.name, dialect);
    let mut open = " (";
    if line.child_info_subscribed {
        text(out, format_args!("{open}\"CHILDINFO\" (\"SUBSCRIBED\")"));
        open = " ";
    }
    if let Some(old_name) = line.old_name {
        text(out, format_args!("{open}\"OLDNAME\" ("));
        encode::mailbox_text(out, old_name, dialect);
        out.push(b')');
        open = " ";
    }
    out.extend_from_slice(if open == " " { b")\r\n" } else { b"\r\n" });
}

/// The answer to `LIST "" ""`: the separator and the root name, which is empty.
pub fn separator(out: &mut Vec<u8>, which: Listing) {
    text(out, format_args!("* {} (\\Noselect) \"{SEPARATOR}\" \"\"\r\n", which.name()));
}

/// What STATUS says of one item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatusValue {
    Number(u64),
    /// In parentheses (RFC 8474 section 4.3).
    Id(ObjectId),
}

/// `* STATUS name (ITEM n ...)`
pub fn status(out: &mut Vec<u8>, name: &MailboxName, items: &[(StatusItem, StatusValue)], dialect: Dialect) {
    out.extend_from_slice(b"* STATUS ");
    encode::mailbox(out, name, dialect);
    out.extend_from_slice(b" (");
    encode::separated(out, items, |out, (item, value)| match value {
        StatusValue::Number(number) => text(out, format_args!("{} {number}", item.name())),
        StatusValue::Id(id) => text(out, format_args!("{} ({})", item.name(), id.as_str())),
    });
    out.extend_from_slice(b")\r\n");
}

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(out: &mut Vec<u8>) {
    text(out, format_args!("* NAMESPACE ((\"\" \"{SEPARATOR}\")) NIL NIL\r\n"));
}

/// `* FLAGS (...)`
pub fn flags(out: &mut Vec<u8>, flags: &Flags) {
    out.extend_from_slice(b"* FLAGS ");
    encode::flag_list(out, flags, None);
    out.extend_from_slice(b"\r\n");
}

/// `* n EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    text(out, format_args!("* {count} EXISTS\r\n"));
}

/// `* n RECENT`
pub fn recent(out: &mut Vec<u8>, count: u32) {
    text(out, format_args!("* {count} RECENT\r\n"));
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::types::SystemFlag;

    #[test]
    fn a_listing_has_attributes_separator_name_and_extended_data() {
        let name = MailboxName::parse("Gel\u{f6}scht/x y").unwrap();
        let mut line = ListLine {
            attributes: vec!["\\HasNoChildren", "\\Trash"],
            name: &name,
            child_info_subscribed: false,
            old_name: None,
        };
        assert_eq!(
            written(|o| listing(o, Listing::List, &line, Dialect::Rev1)),
            "* LIST (\\HasNoChildren \\Trash) \"/\" \"Gel&APY-scht/x y\"\r\n"
        );
        assert_eq!(
            written(|o| listing(o, Listing::Xlist, &line, Dialect::Rev2)),
            "* XLIST (\\HasNoChildren \\Trash) \"/\" \"Gel\u{f6}scht/x y\"\r\n"
        );
        line.attributes.clear();
        line.child_info_subscribed = true;
        assert_eq!(
            written(|o| listing(o, Listing::List, &line, Dialect::Rev1)),
            "* LIST () \"/\" \"Gel&APY-scht/x y\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
        );
        line.old_name = Some("old");
        assert_eq!(
            written(|o| listing(o, Listing::Lsub, &line, Dialect::Rev1)),
            "* LSUB () \"/\" \"Gel&APY-scht/x y\" (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (old))\r\n"
        );
        line.child_info_subscribed = false;
        assert_eq!(
            written(|o| listing(o, Listing::List, &line, Dialect::Rev1)),
            "* LIST () \"/\" \"Gel&APY-scht/x y\" (\"OLDNAME\" (old))\r\n"
        );
    }

    #[test]
    fn the_other_lines() {
        assert_eq!(written(|o| separator(o, Listing::List)), "* LIST (\\Noselect) \"/\" \"\"\r\n");
        let items = [
            (StatusItem::Messages, StatusValue::Number(3)),
            (StatusItem::Size, StatusValue::Number(u64::from(u32::MAX) + 1)),
            (StatusItem::MailboxId, StatusValue::Id(ObjectId::parse("F6352ae03").unwrap())),
        ];
        assert_eq!(
            written(|o| status(o, &MailboxName::inbox(), &items, Dialect::Rev2)),
            "* STATUS INBOX (MESSAGES 3 SIZE 4294967296 MAILBOXID (F6352ae03))\r\n"
        );
        assert_eq!(written(|o| status(o, &MailboxName::inbox(), &[], Dialect::Rev1)), "* STATUS INBOX ()\r\n");
        assert_eq!(written(namespace), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
        let mut set = Flags::new();
        set.insert(SystemFlag::Draft);
        assert_eq!(written(|o| flags(o, &set)), "* FLAGS (\\Draft)\r\n");
        assert_eq!(written(|o| exists(o, 0)), "* 0 EXISTS\r\n");
        assert_eq!(written(|o| recent(o, 2)), "* 2 RECENT\r\n");
    }
}
