//! STORE, UID STORE (RFC 9051 section 6.4.6).

use super::Numbers;
use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode::{self, text};
use crate::types::flag::FlagChange;
use crate::types::{Flags, SequenceSet};

/// The arguments of STORE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    pub numbers: Numbers,
    pub set: SequenceSet,
    /// RFC 7162 section 3.1.3.
    pub unchanged_since: Option<u64>,
    pub change: FlagChange,
    pub silent: bool,
    /// `\Recent`, which a client cannot set, has been dropped.
    pub flags: Flags,
}

impl Store {
    /// ```abnf
    /// store           = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
    /// store-modifiers = SP "(" store-modifier *(SP store-modifier) ")"           ; RFC 4466
    /// store-modifier  = "UNCHANGEDSINCE" SP mod-sequence-valzer                  ; RFC 7162, only once
    /// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>, numbers: Numbers) -> Parse<Self> {
        cursor.space()?;
        let set = cursor.sequence_set()?;
        cursor.space()?;
        let mut unchanged_since = None;
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| {
                let place = cursor.expected("a modifier of STORE that this server has");
                match cursor.word("a modifier of STORE")?.as_str() {
                    "UNCHANGEDSINCE" if unchanged_since.is_none() => {
                        cursor.space()?;
                        unchanged_since = Some(cursor.number64()?);
                        Ok(())
                    }
                    _ => Err(place),
                }
            })?;
            cursor.space()?;
        }
        let change = match cursor.peek() {
            Some(b'+') => FlagChange::Add,
            Some(b'-') => FlagChange::Remove,
            _ => FlagChange::Replace,
        };
        if change != FlagChange::Replace {
            let _sign = cursor.take(b'+') || cursor.take(b'-');
        }
        let place = cursor.expected("FLAGS or FLAGS.SILENT");
        let silent = match cursor.word("FLAGS or FLAGS.SILENT")?.as_str() {
            "FLAGS" => false,
            "FLAGS.SILENT" => true,
            _ => return Err(place),
        };
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') { cursor.flag_list()? } else { cursor.bare_flags()? };
        Ok(Self { numbers, set, unchanged_since, change, silent, flags })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        let sign = match self.change {
            FlagChange::Replace => "",
            FlagChange::Add => "+",
            FlagChange::Remove => "-",
        };
        text(out, format_args!(" {} ", self.set));
        if let Some(since) = self.unchanged_since {
            text(out, format_args!("(UNCHANGEDSINCE {since}) "));
        }
        text(out, format_args!("{sign}FLAGS{} ", if self.silent { ".SILENT" } else { "" }));
        encode::flag_list(out, &self.flags, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;
    use crate::protocol::cursor::SyntaxError;
    use crate::types::{Keyword, SystemFlag};

    #[test]
    fn every_form_of_change() {
        let mut flags = Flags::new();
        flags.insert(SystemFlag::Deleted);
        flags.insert_keyword(Keyword::new("$label1").unwrap());
        for (form, change, silent) in [
            ("FLAGS", FlagChange::Replace, false),
            ("+FLAGS", FlagChange::Add, false),
            ("-flags.silent", FlagChange::Remove, true),
            ("Flags.Silent", FlagChange::Replace, true),
        ] {
            for list in ["(\\Deleted $label1)", "$label1 \\deleted", "(\\Recent \\Deleted $label1)"] {
                let set = Cursor::new(b"2:4", Default::default()).sequence_set().unwrap();
                let mut store =
                    Store { numbers: Numbers::Uid, set, unchanged_since: None, change, silent, flags: flags.clone() };
                assert_eq!(parsed(&format!("UID STORE 2:4 {form} {list}")), Command::Store(store.clone()));
                store.unchanged_since = Some(12121230045);
                let conditional = format!("UID STORE 2:4 (unchangedSince 12121230045) {form} {list}");
                assert_eq!(parsed(&conditional), Command::Store(store));
            }
        }
        assert!(matches!(parsed("STORE $ FLAGS ()"), Command::Store(Store { numbers: Numbers::Sequence, .. })));
    }

    #[test]
    fn what_is_no_change_of_flags_is_refused() {
        for bad in [
            "STORE 1",
            "STORE 1 FLAGS",
            "STORE 1 +FLAGS \"\\Seen\"",
            "STORE 1 +-FLAGS (\\Seen)",
            "STORE 1 FLAGSX (\\Seen)",
            "STORE 1 FLAGS (\\Seen) x",
            "STORE 1 FLAGS \\Seen, \\Deleted",
            "STORE 1 FLAGS (\\Unknown)",
            "STORE 1 FLAGS (\\*)",
            "STORE 1 BODY x",
            "STORE FLAGS (\\Seen)",
            "STORE 1 () FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE) FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE -1) FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS (\\Seen)",
            "STORE 1 (CHANGEDSINCE 1) FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1)FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1)",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
