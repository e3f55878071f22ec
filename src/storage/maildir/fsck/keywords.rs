//! The files of keywords: every line understood, and a name for every letter that some message has.

use super::messages::Messages;
use super::{Check, content_of, is_torn, join, lines_lost};
use crate::storage::Result;
use crate::storage::maildir::file_name::Letters;
use crate::storage::maildir::folder::Folder;
use crate::storage::maildir::keywords::{KeywordTable, LETTERS_FILE};
use crate::storage::maildir::lock::Lock;

/// `messages` were listed before: a session writes the file before it uses a new letter.
pub fn check(check: &mut Check<'_>, folder: &Folder, mut lock: Option<&mut Lock>, messages: &Messages) -> Result<()> {
    /// How often the files are read again while a session writes them.
    const TRIES: usize = 5;
    let (mut table, mut texts) = (KeywordTable::default(), Vec::new());
    for _ in 0..TRIES {
        table = KeywordTable::load(&folder.dir)?;
        texts.clear();
        for (name, written) in table.texts() {
            let text = content_of(check, &folder.path, &folder.dir, name)?;
            texts.extend(text.map(|text| (name, written, text)));
        }
        if table.is_current(&folder.dir) {
            break;
        }
    }
    let mut nameless = Letters::default();
    (b'a'..=b'z')
        .filter(|&letter| messages.letters.has(letter) && !table.names_letter(letter))
        .for_each(|letter| nameless.insert(letter));
    for (name, written, text) in texts {
        let mut faults: Vec<String> =
            lines_lost(&text, &written).iter().map(|line| format!("line {line} is not understood")).collect();
        if faults.is_empty() && is_torn(&text) {
            faults.push("the last line is cut off".to_owned());
        }
        let mut mended = false;
        for fault in faults {
            check.found_locked(join(&folder.path, name), fault, lock.as_deref_mut(), |lock| {
                match (std::mem::replace(&mut mended, true), name == LETTERS_FILE) {
                    (true, _) => {}
                    (_, true) => table.mend_letters(folder, lock, Letters::default())?,
                    (_, false) => table.mend_more(folder, lock)?,
                }
                Ok("written anew without it")
            });
        }
    }
    for letter in nameless.iter() {
        let what = format!("has no keyword for the letter {}, which some message has", char::from(letter));
        check.found_locked(join(&folder.path, LETTERS_FILE), what, lock.as_deref_mut(), |lock| {
            let mut one = Letters::default();
            one.insert(letter);
            table.mend_letters(folder, lock, one)?;
            Ok("named as Dovecot names it")
        });
    }
    Ok(())
}
