//! Check a Maildir strictly, and mend what can be mended without changing a UID or losing a message.
//!
//! A check changes nothing on disk and takes no lock, so what it sees may be changing: whatever could be a moment's state is looked at twice. To mend, each
//! folder is locked from before it is listed until its files agree, as a session does it; sessions of ours and of others go on meanwhile.

mod directories;
mod index;
mod keywords;
mod leftovers;
mod messages;
mod state_files;
mod uid_list;

use super::folder::{self, Folder};
use super::folder_name::from_entry;
use super::index::IndexPlace;
use super::lock::Lock;
use super::root::Root;
use crate::limits;
use crate::storage::{Result, StoreError};
use crate::sys::credentials::effective_uid;
use crate::sys::file::{Dir, Kind};
use crate::types::MailboxName;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What to check.
#[derive(Clone, Debug)]
pub struct FsckOptions {
    /// INBOX's `cur`, `new` and `tmp` lie in it.
    pub root: PathBuf,
    /// Mend what can be mended.
    pub repair: bool,
    /// The present time, by which leftovers are told from work in progress.
    pub now: SystemTime,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub path: PathBuf,
    pub what: String,
    pub mending: Mending,
}

/// What became of a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mending {
    /// It was not to be mended.
    NotTried,
    /// How it was mended.
    Done(String),
    /// Why it was not.
    Failed(String),
}

/// What was looked at, and what was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    pub mailboxes: usize,
    pub messages: usize,
    /// Messages without a UID, which the next session gives them.
    pub without_uid: usize,
    /// Lines of UID lists whose messages are gone: they stay until the list is written anew.
    pub dead_lines: usize,
    pub findings: usize,
    pub mended: usize,
}

/// Checks a Maildir as its owner, who this process must be, and gives each finding to `report` as it is made. [`StoreError::NoSuchMailbox`] if
/// there is no Maildir.
pub fn fsck(options: &FsckOptions, report: &mut dyn FnMut(&Finding)) -> Result<Summary> {
    let root = Root::open(&options.root, IndexPlace::InRoot)?;
    if ![b"cur", b"new", b"tmp"].iter().any(|part| folder::is_dir(&root.dir, *part).unwrap_or(false)) {
        return Err(StoreError::NoSuchMailbox);
    }
    let now = options.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut check = Check {
        root,
        repair: options.repair,
        now: i64::try_from(now).unwrap_or(i64::MAX),
        user: effective_uid(),
        index: None,
        report,
        summary: Summary::default(),
    };
    check.all()?;
    Ok(check.summary)
}

/// A check under way.
struct Check<'a> {
    root: Root,
    repair: bool,
    /// Seconds since 1970.
    now: i64,
    /// Who checks.
    user: u32,
    /// What the index said before anything was looked at.
    index: Option<index::Snapshot>,
    report: &'a mut dyn FnMut(&Finding),
    summary: Summary,
}

impl Check<'_> {
    fn all(&mut self) -> Result<()> {
        leftovers::in_root(self)?;
        index::read(self)?;
        self.folder(b"");
        for entry in self.folder_entries()? {
            self.folder(&entry);
        }
        index::folders_gone(self);
        if state_files::usable_in_root(self)? {
            state_files::subscriptions(self);
            state_files::special_uses(self);
            state_files::uid_validity(self);
            // Last, since names that carry wrong sizes are mended by now.
            state_files::quota(self);
        }
        Ok(())
    }

    /// The directories of all mailboxes but INBOX. What looks like one and can be none is reported.
    fn folder_entries(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        self.root.dir.each(|name, kind| {
            if name.first() == Some(&b'.') && !matches!(kind, Kind::File | Kind::Other) {
                found.push(name.to_vec());
            }
        })?;
        found.sort_unstable();
        let mut names: BTreeMap<MailboxName, Vec<u8>> = BTreeMap::new();
        let mut entries = Vec::new();
        for entry in found {
            if entry.starts_with(b"..") || entry.starts_with(b".nfs") {
                continue;
            }
            let path = self.root.path_of(&entry);
            match folder::is_dir(&self.root.dir, &entry) {
                Ok(true) => {}
                Ok(false) => {
                    if self.root.dir.stat(&entry).is_ok_and(|stat| stat.kind == Kind::Link) {
                        self.leave(path, "leads nowhere", "somebody must say where it should lead");
                    }
                    continue;
                }
                Err(error) => {
                    self.cannot_look(path, &error);
                    continue;
                }
            }
            match from_entry(&entry) {
                None => self.leave(path, "has a name that no mailbox can have", "it needs another name"),
                Some(name) => {
                    if let Some(other) = names.get(&name) {
                        let what = format!("is a mailbox of the same name as {}", printable(other));
                        self.leave(path, what, "one of them needs another name");
                    }
                    names.insert(name, entry.clone());
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    /// One folder; the root for the empty entry.
    fn folder(&mut self, entry: &[u8]) {
        self.summary.mailboxes += 1;
        let path = self.root.path_of(entry);
        let checked = match directories::open(self, entry) {
            Ok(Some(folder)) => self.content(&folder),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match checked {
            // Somebody deleted it while we looked.
            Err(StoreError::NoSuchMailbox) if !entry.is_empty() => {}
            Err(error) => self.cannot_look(path, &error),
            Ok(()) => {}
        }
    }

    fn content(&mut self, folder: &Folder) -> Result<()> {
        leftovers::before_locking(self, folder)?;
        if !state_files::usable_in_folder(self, folder) {
            return Ok(());
        }
        // What takes long comes before the lock, for which sessions wait.
        let measured = if self.repair { messages::measure_all(folder)? } else { messages::Measured::new() };
        let mut lock = match self.repair.then(|| folder.lock(limits::TIME_LOCK)).transpose() {
            Ok(lock) => lock,
            Err(StoreError::NoSuchMailbox) => return Err(StoreError::NoSuchMailbox),
            Err(error) => {
                self.leave(folder.path.clone(), format!("cannot be locked: {error}"), "it is only checked");
                None
            }
        };
        leftovers::behind_the_lock(self, folder, lock.is_some())?;
        // Before the messages, which may not be named otherwise while the list cannot be read.
        let list = uid_list::read(self, folder, lock.is_some())?;
        let messages = messages::check(self, folder, lock.as_mut(), &list, &measured)?;
        keywords::check(self, folder, lock.as_mut(), &messages)?;
        index::compare(self, folder, &list, &messages)?;
        uid_list::check(self, folder, lock.as_mut(), list, messages)?;
        state_files::recent(self, folder, lock.is_some());
        Ok(())
    }

    /// Reports something, and mends it if that is wanted; `mend` says how it did.
    fn found(&mut self, path: PathBuf, what: impl Into<String>, mend: impl FnOnce(&Root) -> Result<&'static str>) {
        let mending = if self.repair { Mending::of(mend(&self.root)) } else { Mending::NotTried };
        self.tell(path, what.into(), mending);
    }

    /// Reports what a folder's lock is needed for to mend it.
    fn found_locked(
        &mut self,
        path: PathBuf,
        what: impl Into<String>,
        lock: Option<&mut Lock>,
        mend: impl FnOnce(&mut Lock) -> Result<&'static str>,
    ) {
        let mending = match lock {
            Some(lock) => {
                lock.touch();
                Mending::of(mend(lock))
            }
            None => self.unlocked(),
        };
        self.tell(path, what.into(), mending);
    }

    /// What becomes of a finding in a folder that is not locked.
    fn unlocked(&self) -> Mending {
        if self.repair { Mending::Failed("the folder is in use".to_owned()) } else { Mending::NotTried }
    }

    /// Reports what is not ours to mend.
    fn leave(&mut self, path: PathBuf, what: impl Into<String>, why: &str) {
        let mending = if self.repair { Mending::Failed(why.to_owned()) } else { Mending::NotTried };
        self.tell(path, what.into(), mending);
    }

    fn cannot_look(&mut self, path: PathBuf, error: &StoreError) {
        self.leave(path, format!("cannot be checked: {error}"), "it cannot be read");
    }

    fn tell(&mut self, path: PathBuf, what: String, mending: Mending) {
        self.summary.findings += 1;
        self.summary.mended += usize::from(matches!(mending, Mending::Done(_)));
        (self.report)(&Finding { path, what, mending });
    }
}

impl Mending {
    fn of(result: Result<&'static str>) -> Self {
        match result {
            Ok(how) => Mending::Done(how.to_owned()),
            Err(error) => Mending::Failed(error.to_string()),
        }
    }
}

fn join(directory: &Path, name: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(name))
}

/// A name or path as part of a line: nothing in it breaks the line or plays with a terminal.
pub fn printable(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => name.escape_ascii().to_string(),
    }
}

/// The content of a small file; nothing if there is no such file. What is no regular file, or too long, is reported, since we read none such.
fn content_of(check: &mut Check<'_>, folder: &Path, dir: &Dir, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    match dir.open_file(name) {
        Ok(file) => drop(file.take(limits::STATE_FILE).read_to_end(&mut text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            check.leave(join(folder, name), "is no regular file", "somebody must say what it should be");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    if text.len() as u64 == limits::STATE_FILE {
        check.leave(join(folder, name), "is longer than what is read of it", "it would be cut off");
        return Ok(None);
    }
    Ok(Some(text))
}

/// The numbers of the lines that are not in a file as it would be written.
fn lines_lost(text: &[u8], written: &[u8]) -> Vec<usize> {
    let kept: HashSet<&[u8]> = written.split(|&b| b == b'\n').collect();
    let lines = text.split(|&b| b == b'\n').enumerate();
    lines.filter(|(_, line)| !line.is_empty() && !kept.contains(line)).map(|(at, _)| at + 1).collect()
}

/// Whether the last line of a file has no LF.
fn is_torn(text: &[u8]) -> bool {
    text.last().is_some_and(|&last| last != b'\n')
}
