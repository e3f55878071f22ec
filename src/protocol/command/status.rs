//! STATUS (RFC 9051 section 6.3.11, RFC 3501 section 6.3.10, RFC 7162, RFC 7889, RFC 8438, RFC 8474).

use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode::{self, text};
use crate::types::MailboxName;

/// The arguments of STATUS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    pub mailbox: MailboxName,
    /// No item twice.
    pub items: Vec<StatusItem>,
}

/// What STATUS can tell of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusItem {
    Messages,
    /// RFC 3501 only.
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    AppendLimit,
    HighestModSeq,
    MailboxId,
}

impl StatusItem {
    /// Every item.
    pub const ALL: [StatusItem; 10] = [
        StatusItem::Messages,
        StatusItem::Recent,
        StatusItem::UidNext,
        StatusItem::UidValidity,
        StatusItem::Unseen,
        StatusItem::Deleted,
        StatusItem::Size,
        StatusItem::AppendLimit,
        StatusItem::HighestModSeq,
        StatusItem::MailboxId,
    ];

    /// As on the wire, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::AppendLimit => "APPENDLIMIT",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
            StatusItem::MailboxId => "MAILBOXID",
        }
    }
}

impl Status {
    /// ```abnf
    /// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let mailbox = cursor.mailbox()?;
        cursor.space()?;
        Ok(Self { mailbox, items: parse_items(cursor)? })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox(out, &self.mailbox, dialect);
        out.push(b' ');
        print_items(out, &self.items);
    }
}

/// ```abnf
/// status-att = "MESSAGES" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" / "DELETED" / "SIZE" / "RECENT" / "APPENDLIMIT" /
///              "HIGHESTMODSEQ" / "MAILBOXID"
/// ```
pub(super) fn parse_items(cursor: &mut Cursor<'_>) -> Parse<Vec<StatusItem>> {
    let mut items = Vec::new();
    cursor.list(|cursor| {
        let place = cursor.expected("a STATUS item that this server has");
        let name = cursor.word("a STATUS item")?;
        let item = StatusItem::ALL.into_iter().find(|item| item.name() == name).ok_or(place)?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}

pub(super) fn print_items(out: &mut Vec<u8>, items: &[StatusItem]) {
    out.push(b'(');
    encode::separated(out, items, |out, item| text(out, format_args!("{}", item.name())));
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;
    use crate::protocol::cursor::SyntaxError;

    #[test]
    fn every_item_once() {
        let all = StatusItem::ALL.map(StatusItem::name).join(" ");
        let status = Status { mailbox: MailboxName::parse("x").unwrap(), items: StatusItem::ALL.to_vec() };
        assert_eq!(parsed(&format!("STATUS x ({all})")), Command::Status(status.clone()));
        assert_eq!(parsed(&format!("status x ({0} {0})", all.to_lowercase())), Command::Status(status));
        for bad in [
            "STATUS x",
            "STATUS x ()",
            "STATUS x MESSAGES",
            "STATUS x (FOO)",
            "STATUS x (MESSAGES",
            "STATUS x (MESSAGES )",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
