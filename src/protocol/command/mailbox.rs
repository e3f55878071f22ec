//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::encode::{self, text};
use crate::protocol::mailbox_name::Written;
use crate::types::mailbox::SEPARATOR;
use crate::types::{MailboxName, SpecialUse};

/// RFC 9051 section 6.3.4, RFC 6154 section 3. A trailing separator has been taken off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    pub mailbox: MailboxName,
    /// The name as the client wrote it, if it was not in Unicode's form C (RFC 9051 section 6.3.9.7, OLDNAME).
    pub old_name: Option<String>,
    /// `USE (...)`; empty without. An attribute that is not known is `Err`.
    pub special_use: Vec<Result<SpecialUse, String>>,
}

/// RFC 9051 section 6.3.6.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rename {
    pub from: Written,
    pub to: Written,
}

/// ```abnf
/// delete = "DELETE" SP mailbox
/// ```
pub(super) fn parse_delete(cursor: &mut Cursor<'_>) -> Parse<Written> {
    cursor.space()?;
    cursor.mailbox_as_written(|text| text)
}

/// The only argument of SUBSCRIBE and UNSUBSCRIBE.
///
/// ```abnf
/// subscribe   = "SUBSCRIBE" SP mailbox
/// unsubscribe = "UNSUBSCRIBE" SP mailbox
/// ```
pub(super) fn parse_one(cursor: &mut Cursor<'_>) -> Parse<MailboxName> {
    cursor.space()?;
    cursor.mailbox()
}

/// Each attribute may stand there once (RFC 6154 has seven), and a client may know some more.
const ATTRIBUTES: usize = 16;

impl Create {
    /// ```abnf
    /// create       = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]     ; RFC 4466
    /// create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"                           ; RFC 6154
    /// use-attr     = "\All" / "\Archive" / "\Drafts" / "\Flagged" / "\Junk" / "\Sent" / "\Trash" / use-attr-ext
    /// use-attr-ext = "\" atom
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        // A trailing separator says only that children will follow (RFC 9051 section 6.3.4).
        let written = cursor.mailbox_as_written(|text| text.strip_suffix(SEPARATOR).unwrap_or(text))?;
        let mut special_use = Vec::new();
        if !cursor.ends_here() {
            cursor.space()?;
            cursor.list(|cursor| {
                let place = cursor.expected("a parameter of CREATE that this server has");
                if cursor.word("a parameter of CREATE")? != "USE" {
                    return Err(place);
                }
                cursor.space()?;
                cursor.list_or_empty(|cursor| use_attribute(cursor, &mut special_use))
            })?;
        }
        Ok(Self { mailbox: written.name, old_name: written.old_name, special_use })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox_text(out, self.old_name.as_deref().unwrap_or(self.mailbox.as_str()), dialect);
        if !self.special_use.is_empty() {
            out.extend_from_slice(b" (USE (");
            encode::separated(out, &self.special_use, |out, attribute| match attribute {
                Ok(known) => text(out, format_args!("{}", known.attribute())),
                Err(unknown) => text(out, format_args!("{unknown}")),
            });
            out.extend_from_slice(b"))");
        }
    }
}

fn use_attribute(cursor: &mut Cursor<'_>, list: &mut Vec<Result<SpecialUse, String>>) -> Parse<()> {
    cursor.expect(b'\\', "a special-use attribute")?;
    let name = format!("\\{}", cursor.atom("a special-use attribute")?);
    let attribute = SpecialUse::from_attribute(&name).ok_or(name);
    if !list.contains(&attribute) {
        list.push(attribute);
    }
    if list.len() > ATTRIBUTES { Err(SyntaxError::Limit("special-use attributes")) } else { Ok(()) }
}

impl Rename {
    /// ```abnf
    /// rename = "RENAME" SP mailbox SP mailbox
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let from = cursor.mailbox_as_written(|text| text)?;
        cursor.space()?;
        Ok(Self { from, to: cursor.mailbox_as_written(|text| text)? })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        for name in [&self.from, &self.to] {
            out.push(b' ');
            encode::mailbox_text(out, name.text(), dialect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    fn written(text: &str, old_name: Option<&str>) -> Written {
        Written { name: name(text), old_name: old_name.map(str::to_owned) }
    }

    #[test]
    fn create_takes_a_trailing_separator_and_special_uses() {
        let create = |text, special_use| Command::Create(Create { mailbox: name(text), old_name: None, special_use });
        assert_eq!(parsed("CREATE owatagusiam/"), create("owatagusiam", vec![]));
        assert_eq!(parsed("create a/b"), create("a/b", vec![]));
        assert_eq!(
            parsed("CREATE x (use (\\drafts \\Sent \\Drafts \\Other))"),
            create("x", vec![Ok(SpecialUse::Drafts), Ok(SpecialUse::Sent), Err("\\Other".to_owned())])
        );
        assert_eq!(parsed("CREATE x (USE ())"), create("x", vec![]));
        for bad in [
            "CREATE",
            "CREATE x USE",
            "CREATE x ()",
            "CREATE x (USE)",
            "CREATE x (FOO)",
            "CREATE x (USE (Sent))",
            "CREATE x (USE (\\))",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        for bad in ["CREATE /", "CREATE a//", "CREATE \"\"", "CREATE /etc", "CREATE a/../b"] {
            assert!(matches!(refused(bad), SyntaxError::Mailbox(_)), "{bad}");
        }
        let many: Vec<String> = (0..=ATTRIBUTES).map(|n| format!("\\x{n}")).collect();
        assert!(matches!(refused(&format!("CREATE x (USE ({}))", many.join(" "))), SyntaxError::Limit(_)));
    }

    #[test]
    fn the_others_take_names() {
        assert_eq!(parsed("DELETE foo"), Command::Delete(written("foo", None)));
        assert_eq!(parsed("SUBSCRIBE \"a b\""), Command::Subscribe(name("a b")));
        assert_eq!(parsed("UNSUBSCRIBE {3}\r\nfoo"), Command::Unsubscribe(name("foo")));
        assert_eq!(
            parsed("RENAME inbox old"),
            Command::Rename(Rename { from: written("INBOX", Some("inbox")), to: written("old", None) })
        );
        for bad in ["DELETE", "DELETE a b", "RENAME a", "RENAME a b c", "SUBSCRIBE *", "RENAME  a b"] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
