//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE.

use crate::limits;
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::encode::{self, text};

/// RFC 2971. Longer values are cut, further pairs refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Id {
    /// Empty for NIL.
    pub pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// RFC 5161.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enable {
    /// In capitals.
    pub capabilities: Vec<String>,
}

impl Id {
    /// ```abnf
    /// id             = "ID" SP id-params-list
    /// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut pairs = Vec::new();
        cursor.space()?;
        if cursor.take_word("NIL") {
            return Ok(Self { pairs });
        }
        cursor.list_or_empty(|cursor| {
            if pairs.len() >= limits::ID_PAIRS {
                return Err(SyntaxError::Limit("pairs in ID"));
            }
            let cut = |mut octets: Vec<u8>| {
                octets.truncate(limits::ID_VALUE);
                octets
            };
            let name = cut(cursor.string()?.into_owned());
            cursor.space()?;
            let value = cursor.nstring()?.map(|value| cut(value.into_owned()));
            pairs.push((name, value));
            Ok(())
        })?;
        Ok(Self { pairs })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        if self.pairs.is_empty() {
            return out.extend_from_slice(b" NIL");
        }
        out.extend_from_slice(b" (");
        encode::separated(out, &self.pairs, |out, (name, value)| {
            encode::string(out, name);
            out.push(b' ');
            encode::nstring(out, value.as_deref());
        });
        out.push(b')');
    }
}

impl Enable {
    /// ```abnf
    /// enable     = "ENABLE" 1*(SP capability)
    /// capability = ("AUTH=" auth-type) / atom
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        let mut capabilities = Vec::new();
        loop {
            cursor.space()?;
            capabilities.push(cursor.atom("a capability")?.to_ascii_uppercase());
            if cursor.ends_here() {
                return Ok(Self { capabilities });
            }
        }
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        for name in &self.capabilities {
            text(out, format_args!(" {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;

    #[test]
    fn id_has_pairs_or_nothing() {
        assert_eq!(parsed("ID NIL"), Command::Id(Id { pairs: vec![] }));
        assert_eq!(parsed("id ()"), Command::Id(Id { pairs: vec![] }));
        let pairs = vec![(b"name".to_vec(), Some(b"x \xc3\xa9".to_vec())), (b"os".to_vec(), None)];
        assert_eq!(parsed("ID (\"name\" \"x \u{e9}\" {2}\r\nos nil)"), Command::Id(Id { pairs }));
        for bad in ["ID", "ID (\"a\")", "ID (\"a\" \"b\"", "ID (a b)", "ID \"a\"", "ID (NIL NIL)", "ID ((\"a\" NIL))"] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }

    #[test]
    fn id_is_bounded() {
        let line = format!("ID ({})", vec!["\"a\" NIL"; limits::ID_PAIRS + 1].join(" "));
        assert_eq!(refused(&line), SyntaxError::Limit("pairs in ID"));
        let Command::Id(id) = parsed(&format!("ID (\"a\" \"{}\")", "v".repeat(2 * limits::ID_VALUE))) else { panic!() };
        assert_eq!(id.pairs[0].1.as_ref().map(Vec::len), Some(limits::ID_VALUE));
    }

    #[test]
    fn enable_takes_names_in_any_case() {
        let capabilities = vec!["CONDSTORE".to_owned(), "IMAP4REV2".to_owned(), "UTF8=ACCEPT".to_owned()];
        assert_eq!(parsed("ENABLE CONDSTORE imap4rev2 UTF8=Accept"), Command::Enable(Enable { capabilities }));
        for bad in ["ENABLE", "ENABLE (X)", "ENABLE  X"] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
