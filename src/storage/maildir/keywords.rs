//! The keywords of a folder: the file of letters, read when it changed, written under the folder's lock.

use super::file_name::Letters;
use super::folder::Folder;
use super::interop::dovecot_keywords::Keywords;
use super::lock::Lock;
use crate::limits;
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Time, set_modified};
use crate::types::{Flags, Keyword};
use std::fs::File;
use std::io::{self, Read, Write};

const FILE: &[u8] = b"dovecot-keywords";
/// The new content, which becomes the file. Whoever finds it holding the folder's lock may remove it.
const TEMPORARY: &[u8] = b"dovecot-keywords.lock";

/// What the letters of this folder stand for.
#[derive(Debug, Default)]
pub struct KeywordTable {
    letters: Keywords,
    /// Inode, size and time of the file that was read.
    stamp: Option<(u64, u64, Time)>,
}

impl KeywordTable {
    pub fn load(dir: &Dir) -> Result<Self> {
        let mut table = Self::default();
        table.refresh(dir)?;
        Ok(table)
    }

    /// Whether the file is as it was read.
    pub fn is_current(&self, dir: &Dir) -> bool {
        stamp(dir) == self.stamp
    }

    /// Reads the file if it changed. What cannot be read has no keywords.
    pub fn refresh(&mut self, dir: &Dir) -> Result<()> {
        let now = stamp(dir);
        if now == self.stamp {
            return Ok(());
        }
        let mut text = Vec::new();
        match dir.open_file(FILE) {
            Ok(file) => drop(file.take(limits::STATE_FILE).read_to_end(&mut text)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {}
            Err(error) => return Err(error.into()),
        }
        (self.letters, self.stamp) = (Keywords::parse(&text), now);
        Ok(())
    }

    pub fn keywords(&self) -> Vec<Keyword> {
        self.letters.iter().map(|(_, keyword)| keyword).collect()
    }

    /// The letters that stand for something.
    pub fn named(&self) -> Letters {
        let mut named = Letters::default();
        self.letters.iter().for_each(|(letter, _)| named.insert(letter));
        named
    }

    /// Whether there is room for another.
    pub fn has_room(&self) -> bool {
        self.letters.has_room()
    }

    /// The flags that letters stand for.
    pub fn flags(&self, letters: Letters) -> Flags {
        let mut flags = Flags::new();
        letters.system().for_each(|flag| flags.insert(flag));
        for letter in b'a'..=b'z' {
            if letters.has(letter)
                && let Some(keyword) = self.letters.keyword(letter)
            {
                flags.insert_keyword(keyword);
            }
        }
        flags
    }

    /// Letters for these flags; letters of `before` that stand for nothing we know are kept.
    pub fn letters(&self, flags: &Flags, before: Letters) -> Letters {
        let mut letters = before;
        for flag in crate::types::SystemFlag::ALL {
            letters.set_system(flag, flags.has(flag));
        }
        for (letter, keyword) in self.letters.iter() {
            if flags.has_keyword(&keyword) { letters.insert(letter) } else { letters.remove(letter) }
        }
        letters
    }

    /// Whether some of these have no letter yet.
    pub fn lacks<'a>(&self, mut wanted: impl Iterator<Item = &'a Keyword>) -> bool {
        wanted.any(|keyword| self.letters.letter(keyword).is_none())
    }

    /// Gives each keyword a letter, under the folder's lock and straight after a refresh. Letters `in_use` by some message are not given.
    pub fn provide<'a>(
        &mut self,
        folder: &Folder,
        lock: &mut Lock,
        wanted: impl Iterator<Item = &'a Keyword>,
        in_use: Letters,
    ) -> Result<()> {
        lock.touch();
        let mut letters = self.letters.clone();
        for keyword in wanted {
            if letters.add(keyword, |letter| in_use.has(letter)).is_none() {
                return Err(StoreError::Limit("no more keywords fit in this mailbox"));
            }
        }
        if letters != self.letters {
            self.write(folder, &letters)?;
            (self.letters, self.stamp) = (letters, stamp(&folder.dir));
        }
        Ok(())
    }

    fn write(&self, folder: &Folder, letters: &Keywords) -> Result<()> {
        let dir = &folder.dir;
        let _ = dir.unlink(TEMPORARY);
        let mut file = dir.create_new(TEMPORARY, folder.file_mode)?;
        let write = |file: &mut File| -> io::Result<()> {
            file.write_all(&letters.write())?;
            // Dovecot reads the file again only when the seconds of its time differ.
            if let (Some((_, _, before)), Ok(now)) = (&self.stamp, crate::sys::file::stat_file(file))
                && now.modified.seconds <= before.seconds
            {
                set_modified(file, before.seconds.saturating_add(1))?;
            }
            file.sync_all()?;
            dir.rename_over(TEMPORARY, dir, FILE)?;
            dir.sync()
        };
        write(&mut file).map_err(|error| {
            let _ = dir.unlink(TEMPORARY);
            error.into()
        })
    }
}

fn stamp(dir: &Dir) -> Option<(u64, u64, Time)> {
    dir.stat(FILE).ok().map(|stat| (stat.inode, stat.size, stat.modified))
}
