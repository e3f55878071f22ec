//! The keywords of a folder: the files of letters and of further keywords, read when they changed, written under the folder's lock.

use super::file_name::{self, Letters};
use super::folder::Folder;
use super::interop::dovecot_keywords::Keywords;
use super::lock::Lock;
use super::more_keywords::MoreKeywords;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Time, set_modified, stat_file};
use crate::types::{Flags, Keyword};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};

pub const LETTERS_FILE: &[u8] = b"dovecot-keywords";
pub const MORE_FILE: &[u8] = b"imapd-keywords";
/// The new content, which becomes the file. Whoever finds it holding the folder's lock may remove it.
pub const LETTERS_TEMPORARY: &[u8] = b"dovecot-keywords.lock";
pub const MORE_TEMPORARY: &[u8] = b"imapd-keywords.tmp";

/// What letters stand for, and who has which further keywords.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meaning {
    letters: Keywords,
    more: MoreKeywords,
}

impl Meaning {
    /// What letters stood for.
    pub fn letters(&self) -> &Keywords {
        &self.letters
    }

    /// Whether any message had keywords without letters.
    pub fn any_has_more(&self) -> bool {
        !self.more.is_empty()
    }

    fn flags_by_letters(&self, letters: Letters) -> Flags {
        let mut flags = Flags::new();
        letters.system().for_each(|flag| flags.insert(flag));
        for letter in letters.keyword_letters() {
            self.letters.keyword(letter).into_iter().for_each(|keyword| flags.insert_keyword(keyword));
        }
        flags
    }

    /// The flags of the message in a file of this name.
    pub fn flags(&self, name: &[u8]) -> Flags {
        let mut flags = self.flags_by_letters(file_name::letters(name));
        if !self.more.is_empty() {
            self.more.keywords_of(file_name::base(name)).for_each(|keyword| flags.insert_keyword(keyword.clone()));
        }
        flags
    }
}

/// Inode, size and time of a file that was read.
type Stamp = Option<(u64, u64, Time)>;

/// The keywords of this folder.
#[derive(Debug, Default)]
pub struct KeywordTable {
    /// Read, or tried to.
    loaded: bool,
    meaning: Meaning,
    letters_stamp: Stamp,
    more_stamp: Stamp,
    /// Kept open so that its inode is not given to the file that replaces it: two of the same size may be written in one tick of the clock.
    more_file: Option<File>,
    /// The further keywords are not as they are on disk.
    unsaved: bool,
}

impl KeywordTable {
    pub fn load(dir: &Dir) -> Result<Self> {
        let mut table = Self { loaded: true, ..Self::default() };
        table.refresh(dir)?;
        Ok(table)
    }

    /// Whether the files are as they were read.
    pub fn is_current(&self, dir: &Dir) -> bool {
        let is_same = |name, known: &Stamp| stamp(dir, name).is_ok_and(|stamp| stamp == *known);
        is_same(LETTERS_FILE, &self.letters_stamp) && is_same(MORE_FILE, &self.more_stamp) && !self.unsaved
    }

    /// Reads what changed and gives back what was true until then. What cannot be read has no keywords.
    pub fn refresh(&mut self, dir: &Dir) -> Result<Option<Meaning>> {
        if self.is_current(dir) {
            return Ok(None);
        }
        let letters_stamp = stamp(dir, LETTERS_FILE)?;
        let letters = if letters_stamp == self.letters_stamp {
            self.meaning.letters.clone()
        } else {
            Keywords::parse(&read(dir, LETTERS_FILE)?.1)
        };
        let more_stamp = stamp(dir, MORE_FILE)?;
        let (more_file, more) = read(dir, MORE_FILE)?;
        let meaning = Meaning { letters, more: MoreKeywords::parse(&more) };
        (self.letters_stamp, self.more_stamp, self.more_file, self.unsaved) =
            (letters_stamp, more_stamp, more_file, false);
        Ok(Some(std::mem::replace(&mut self.meaning, meaning)))
    }

    /// Letters that mean something else than `before`.
    pub fn changed_letters(&self, before: &Keywords) -> Letters {
        let mut changed = Letters::default();
        let letters = &self.meaning.letters;
        (b'a'..=b'z').filter(|&l| before.keyword(l) != letters.keyword(l)).for_each(|letter| changed.insert(letter));
        changed
    }

    /// Whether the further keywords of the message of this base are others than `before`.
    pub fn has_other_more(&self, before: &Meaning, base: &[u8]) -> bool {
        let (now, then) = (&self.meaning.more, &before.more);
        // The name may have got other sizes meanwhile.
        let before = Some(then.of(base)).filter(|numbers| !numbers.is_empty()).unwrap_or_else(|| then.of_unique(base));
        now.of(base) != before || (!before.is_empty() && !now.extends(then))
    }

    /// Takes back what was changed and not saved: the next refresh reads the files again.
    pub fn take_back(&mut self) {
        if self.unsaved {
            // What no file has: there may be none at all.
            let never = Some((0, 0, Time::default()));
            (self.letters_stamp, self.more_stamp, self.unsaved) = (never, never, false);
        }
    }

    /// Whether a change was begun and not saved.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether the files were looked at.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// What letters stand for.
    pub fn letters_meaning(&self) -> &Keywords {
        &self.meaning.letters
    }

    /// The flags that these letters stand for.
    pub fn flags_by_letters(&self, letters: Letters) -> Flags {
        self.meaning.flags_by_letters(letters)
    }

    /// Those with letters first.
    pub fn keywords(&self) -> Vec<Keyword> {
        let letters = &self.meaning.letters;
        let more = self.meaning.more.names().filter(|keyword| letters.letter(keyword).is_none()).cloned();
        letters.iter().map(|(_, keyword)| keyword).chain(more).collect()
    }

    /// Whether there is room for another.
    pub fn has_room(&self) -> bool {
        self.keywords().len() < limits::KEYWORDS_OF_MAILBOX
    }

    /// The flags of the message in a file of this name.
    pub fn flags(&self, name: &[u8]) -> Flags {
        self.meaning.flags(name)
    }

    /// Letters for these flags; letters of `before` that stand for nothing we know are kept.
    pub fn letters(&self, flags: &Flags, before: Letters) -> Letters {
        let mut letters = before;
        for flag in crate::types::SystemFlag::ALL {
            letters.set_system(flag, flags.has(flag));
        }
        for (letter, keyword) in self.meaning.letters.iter() {
            if flags.has_keyword(&keyword) { letters.insert(letter) } else { letters.remove(letter) }
        }
        letters
    }

    /// The keywords without letters of the message in a file of this base.
    pub fn more_flags(&self, base: &[u8]) -> Flags {
        let mut flags = Flags::new();
        self.meaning.more.keywords_of(base).for_each(|keyword| flags.insert_keyword(keyword.clone()));
        flags
    }

    /// Gives a message those of these flags that are keywords without a letter, and no others. Not on disk until [`Self::save`]. Says whether
    /// it has any.
    pub fn set_more(&mut self, base: &[u8], flags: &Flags) -> bool {
        let Meaning { letters, more } = &mut self.meaning;
        let without_letter = flags.keywords().iter().filter(|keyword| letters.letter(keyword).is_none());
        let numbers: Vec<u16> = without_letter.filter_map(|keyword| more.number(keyword)).collect();
        let any = !numbers.is_empty();
        if more.of(base) != numbers {
            let before = more.of(base).to_vec();
            more.set(base, numbers);
            self.unsaved |= more.of(base) != before;
        }
        any
    }

    /// The numbers of a message's keywords without letters, for [`Self::put_back`].
    pub fn numbers(&self, base: &[u8]) -> Vec<u16> {
        self.meaning.more.of(base).to_vec()
    }

    /// Gives messages the numbers that they had, and writes them if need be, also where a [`Self::save`] failed and nobody knows what it did.
    pub fn put_back<'a>(
        &mut self,
        folder: &Folder,
        lock: &mut Lock,
        had: impl Iterator<Item = (&'a [u8], &'a Vec<u16>)>,
    ) {
        for (base, numbers) in had {
            if self.meaning.more.of(base) != numbers {
                self.meaning.more.set(base, numbers.clone());
                self.unsaved = true;
            }
        }
        if let Err(error) = self.save(folder, lock) {
            log!(Level::Warning, "cannot take a change of keywords back: {error}");
            self.take_back();
        }
    }

    /// A message is gone. Not on disk until [`Self::save`].
    pub fn forget_more(&mut self, base: &[u8]) {
        if self.has_more(base) {
            self.meaning.more.set(base, Vec::new());
            self.unsaved = true;
        }
    }

    /// A message's file gets another base: its keywords are found by either until the old one is forgotten. Not on disk until [`Self::save`].
    pub fn copy_more(&mut self, from: &[u8], to: &[u8]) {
        let numbers = self.meaning.more.of(from).to_vec();
        if !numbers.is_empty() {
            self.meaning.more.set(to, numbers);
            self.unsaved = true;
        }
    }

    /// Whether the message in a file of this base has keywords without letters.
    pub fn has_more(&self, base: &[u8]) -> bool {
        !self.meaning.more.of(base).is_empty()
    }

    /// Whether any message has keywords without letters.
    pub fn any_has_more(&self) -> bool {
        !self.meaning.more.is_empty()
    }

    /// Forgets what messages had that are not among `live`. Not on disk until [`Self::save`].
    pub fn keep_more(&mut self, live: &HashSet<&[u8]>) {
        self.unsaved |= self.meaning.more.keep(live);
    }

    /// Whether some of these are new here.
    pub fn lacks<'a>(&self, mut wanted: impl Iterator<Item = &'a Keyword>) -> bool {
        let Meaning { letters, more } = &self.meaning;
        wanted.any(|keyword| letters.letter(keyword).is_none() && more.number(keyword).is_none())
    }

    /// Gives each keyword a letter, or a place among the further ones when there is none left, under the folder's lock and straight after a
    /// refresh. Letters `in_use` by some message are not given. The further ones are on disk with [`Self::save`].
    pub fn provide<'a>(
        &mut self,
        folder: &Folder,
        lock: &mut Lock,
        wanted: impl Iterator<Item = &'a Keyword>,
        in_use: Letters,
    ) -> Result<()> {
        match self.with(wanted, in_use) {
            (meaning, true) => self.keep(folder, lock, meaning),
            (_, false) => Err(StoreError::Limit("no more keywords fit in this mailbox")),
        }
    }

    /// The same for as many as fit: a message is not kept out of a folder, the trash for one, because of a keyword.
    pub fn provide_what_fits<'a>(
        &mut self,
        folder: &Folder,
        lock: &mut Lock,
        wanted: impl Iterator<Item = &'a Keyword>,
        in_use: Letters,
    ) -> Result<()> {
        let (meaning, _) = self.with(wanted, in_use);
        self.keep(folder, lock, meaning)
    }

    /// The meaning with these keywords added as far as they fit, and whether all do.
    fn with<'a>(&self, wanted: impl Iterator<Item = &'a Keyword>, in_use: Letters) -> (Meaning, bool) {
        let Meaning { mut letters, mut more } = self.meaning.clone();
        let mut count = self.keywords().len();
        let mut all = true;
        for keyword in wanted {
            if letters.letter(keyword).is_some() || more.number(keyword).is_some() {
                continue;
            }
            let fits = count < limits::KEYWORDS_OF_MAILBOX
                && (letters.add(keyword, |letter| in_use.has(letter)).is_some() || more.add(keyword).is_some());
            count += usize::from(fits);
            all &= fits;
        }
        (Meaning { letters, more }, all)
    }

    /// Names letters that stand for nothing, as Dovecot does when it meets them, and writes the file of letters anew, under the folder's lock and
    /// straight after a refresh.
    pub fn mend_letters(&mut self, folder: &Folder, lock: &mut Lock, nameless: Letters) -> Result<()> {
        lock.touch();
        let mut letters = self.meaning.letters.clone();
        nameless.iter().for_each(|letter| letters.name_unknown(letter));
        self.write_letters(folder, &letters)?;
        (self.meaning.letters, self.letters_stamp) = (letters, stamp(&folder.dir, LETTERS_FILE)?);
        Ok(())
    }

    /// Writes the file of further keywords anew, without what is not understood, under the folder's lock and straight after a refresh.
    pub fn mend_more(&mut self, folder: &Folder, lock: &mut Lock) -> Result<()> {
        self.unsaved = true;
        self.save(folder, lock)
    }

    /// Whether a letter has a name, be it one that no client can be shown.
    pub fn names_letter(&self, letter: u8) -> bool {
        self.meaning.letters.has_name(letter)
    }

    /// The files of letters and of further keywords as they would be written.
    pub fn texts(&self) -> [(&'static [u8], Vec<u8>); 2] {
        [(LETTERS_FILE, self.meaning.letters.write()), (MORE_FILE, self.meaning.more.write())]
    }

    fn keep(&mut self, folder: &Folder, lock: &mut Lock, Meaning { letters, more }: Meaning) -> Result<()> {
        lock.touch();
        if letters != self.meaning.letters {
            self.write_letters(folder, &letters)?;
            (self.meaning.letters, self.letters_stamp) =
                (letters, stamp(&folder.dir, LETTERS_FILE).unwrap_or_default());
        }
        self.unsaved |= more != self.meaning.more;
        self.meaning.more = more;
        Ok(())
    }

    fn write_letters(&self, folder: &Folder, letters: &Keywords) -> Result<()> {
        let before = self.letters_stamp;
        write(folder, LETTERS_FILE, LETTERS_TEMPORARY, &letters.write(), |file| {
            // Dovecot reads the file again only when the seconds of its time differ.
            match before {
                Some((_, _, before)) if stat_file(file)?.modified.seconds <= before.seconds => {
                    set_modified(file, before.seconds.saturating_add(1))
                }
                _ => Ok(()),
            }
        })?;
        Ok(())
    }

    /// Writes the further keywords if they changed, under the folder's lock. If that fails the next refresh reads what is on disk.
    pub fn save(&mut self, folder: &Folder, lock: &mut Lock) -> Result<()> {
        if !self.unsaved {
            return Ok(());
        }
        lock.touch();
        let text = self.meaning.more.write();
        if text.len() as u64 > limits::STATE_FILE {
            return Err(StoreError::Limit("too many messages of this mailbox have too many keywords"));
        }
        let file = write(folder, MORE_FILE, MORE_TEMPORARY, &text, |_| Ok(()))?;
        (self.more_file, self.more_stamp, self.unsaved) =
            (Some(file), stamp(&folder.dir, MORE_FILE).unwrap_or_default(), false);
        Ok(())
    }
}

/// Replaces a file by this content.
fn write(
    folder: &Folder,
    name: &[u8],
    temporary: &[u8],
    text: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> Result<File> {
    let dir = &folder.dir;
    let _ = dir.unlink(temporary);
    let file = dir.create_new(temporary, folder.file_mode)?;
    let write = || -> io::Result<()> {
        (&file).write_all(text)?;
        prepare(&file)?;
        file.sync_all()?;
        dir.rename_over(temporary, dir, name)?;
        dir.sync()
    };
    match write() {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = dir.unlink(temporary);
            Err(error.into())
        }
    }
}

/// A file and its content; nothing if there is none, or something that is no regular file.
fn read(dir: &Dir, name: &[u8]) -> Result<(Option<File>, Vec<u8>)> {
    let mut text = Vec::new();
    match dir.open_file(name) {
        Ok(file) => {
            (&file).take(limits::STATE_FILE).read_to_end(&mut text)?;
            Ok((Some(file), text))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok((None, text)),
        Err(error) => Err(error.into()),
    }
}

/// A file that cannot be looked at is not one that is missing: what is taken for empty is written anew without what it held.
fn stamp(dir: &Dir, name: &[u8]) -> io::Result<Stamp> {
    match dir.stat(name) {
        Ok(stat) => Ok(Some((stat.inode, stat.size, stat.modified))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
