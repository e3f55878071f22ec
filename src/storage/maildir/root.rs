//! The root of a user's Maildir, shared by all that is open in it: which directory is which mailbox.

use super::deliver::prepare_list;
use super::folder::{Folder, is_absent, is_dir};
use super::folder_name::{Spelling, from_entry, spelling_of, to_entry};
use super::index::{Failure, Index, IndexPlace};
use super::state_file::replace;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::storage::{Result, StoreError};
use crate::sys::file::{Dir, Kind};
use crate::types::MailboxName;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub struct Root {
    pub path: PathBuf,
    pub dir: Dir,
    /// The directory with the index; `None` for one in memory.
    index_path: Option<PathBuf>,
    /// Opened when first asked for.
    index: Mutex<Option<Arc<Index>>>,
}

impl Root {
    /// Opens a Maildir that is there.
    pub fn open(path: &Path, index: IndexPlace) -> Result<Self> {
        match Dir::open(path) {
            Ok(dir) => Ok(Self {
                path: path.to_owned(),
                dir,
                index_path: match index {
                    IndexPlace::InRoot => Some(path.to_owned()),
                    IndexPlace::Directory(directory) => Some(directory),
                    IndexPlace::InMemory => None,
                },
                index: Mutex::new(None),
            }),
            Err(error) if is_absent(&error) => Err(StoreError::NoSuchMailbox),
            Err(error) => Err(error.into()),
        }
    }

    /// The index of this Maildir.
    pub fn index(&self) -> Result<Arc<Index>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        match &*index {
            Some(index) => Ok(Arc::clone(index)),
            None => Ok(Arc::clone(index.insert(self.open_index()?))),
        }
    }

    fn open_index(&self) -> super::index::Result<Arc<Index>> {
        self.index_path.as_deref().map_or_else(Index::in_memory, Index::open)
    }

    fn index_shown(&self) -> String {
        let path = self.index_path.as_deref().unwrap_or(&self.path);
        Quoted(path.as_os_str().as_bytes()).to_string()
    }

    /// Opens the index anew if somebody removed the file.
    pub fn check_index(&self) -> Result<()> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.as_ref().is_some_and(|index| !index.is_in_place()) {
            log!(Level::Notice, "{}: the index was removed, or ended a session", self.index_shown());
            *index = None;
            *index = Some(self.open_index()?);
        }
        Ok(())
    }

    /// Goes on without an index that failed: with a new one if it is damaged, otherwise with one in memory.
    pub fn change_index(&self, failed: Arc<Index>, failure: &Failure) -> Result<()> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.as_ref().is_some_and(|index| index.id != failed.id) {
            // Done already.
            return Ok(());
        }
        let path = self.index_shown();
        *index = None;
        if !failed.is_shared() {
            log!(Level::Error, "{path}: not even an index in memory can be used: {failure}");
            return Err(StoreError::Io(io::Error::other("no index")));
        }
        log!(Level::Warning, "{path}: the index cannot be used: {failure}");
        let is_damaged = matches!(failure, Failure::Damaged(_));
        if is_damaged {
            failed.discard();
        }
        drop(failed);
        *index = Some(if is_damaged { self.open_index()? } else { Index::in_memory()? });
        Ok(())
    }

    /// Forgets what the index has of a folder that is gone.
    pub fn forget(&self, inode: u64) {
        let forget = || -> super::index::Result<()> {
            let Ok(index) = self.index() else { return Ok(()) };
            let mut writing = index.write()?;
            writing.forget(inode)?;
            writing.commit()
        };
        if let Err(failure) = forget() {
            log!(Level::Notice, "the index keeps a mailbox that was deleted: {failure}");
        }
    }

    /// Every mailbox but INBOX, with its directory, in the order of their names. Of two directories that spell one name, the one that is opened
    /// by that name.
    pub fn entries(&self) -> Result<BTreeMap<MailboxName, Vec<u8>>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut unsure = Vec::new();
        self.dir.each(|entry, kind| {
            if entry.first() == Some(&b'.') {
                match kind {
                    Kind::Directory => found.push(entry.to_vec()),
                    Kind::Link | Kind::Unknown => unsure.push(entry.to_vec()),
                    Kind::File | Kind::Other => {}
                }
            }
        })?;
        found.extend(unsure.into_iter().filter(|entry| is_dir(&self.dir, entry).unwrap_or(false)));
        found.sort_unstable();
        let mut entries: BTreeMap<MailboxName, Vec<u8>> = BTreeMap::new();
        for entry in found {
            let Some(name) = from_entry(&entry) else {
                if !entry.starts_with(b"..") && !entry.starts_with(b".nfs") {
                    log!(Level::Debug, "{} is not shown as a mailbox", Quoted(&entry));
                }
                continue;
            };
            let better = |entry: &[u8]| preferred(&name).iter().position(|p| p == entry).unwrap_or(usize::MAX);
            match entries.get_mut(&name) {
                Some(other) => {
                    log!(Level::Notice, "{} and {} are one mailbox name", Quoted(other), Quoted(&entry));
                    if better(&entry) < better(other) {
                        *other = entry;
                    }
                }
                None => drop(entries.insert(name, entry)),
            }
        }
        Ok(entries)
    }

    /// The directory of a mailbox that exists; empty for INBOX.
    pub fn entry(&self, name: &MailboxName) -> Result<Vec<u8>> {
        if name.is_inbox() {
            return Ok(Vec::new());
        }
        for entry in preferred(name) {
            if is_dir(&self.dir, &entry)? {
                return Ok(entry);
            }
        }
        // In a spelling that is not ours: not normalised, or raw.
        self.entries()?.remove(name).ok_or(StoreError::NoSuchMailbox)
    }

    pub fn exists(&self, name: &MailboxName) -> Result<bool> {
        match self.entry(name) {
            Ok(_) => Ok(true),
            Err(StoreError::NoSuchMailbox) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn folder(&self, name: &MailboxName) -> Result<Folder> {
        let entry = self.entry(name)?;
        Folder::open(&self.path_of(&entry))
    }

    /// Where a directory given by [`Root::entry`] lies.
    pub fn path_of(&self, entry: &[u8]) -> PathBuf {
        if entry.is_empty() { self.path.clone() } else { self.path.join(OsStr::from_bytes(entry)) }
    }

    /// A folder to which messages will be added.
    pub fn target(self: &Arc<Self>, name: &MailboxName) -> Result<Folder> {
        prepare_list(self, self.folder(name)?)
    }

    /// The directory that a new mailbox gets, spelled as others in this Maildir are.
    pub fn new_entry(&self, name: &MailboxName) -> Result<Vec<u8>> {
        if name.as_str().is_ascii() {
            return to_entry(name, Spelling::Utf7);
        }
        let mut utf8 = false;
        self.dir.each(|entry, _| {
            utf8 |= entry.first() == Some(&b'.') && spelling_of(entry) == Some(Spelling::Utf8);
        })?;
        let entry = to_entry(name, if utf8 { Spelling::Utf8 } else { Spelling::Utf7 })?;
        // A name with an ampersand may read otherwise in UTF-8.
        if from_entry(&entry).as_ref() == Some(name) { Ok(entry) } else { to_entry(name, Spelling::Utf7) }
    }

    /// How names are spelled here, for the subscriptions.
    pub fn spelling(&self) -> Spelling {
        let mut spelling = Spelling::Utf7;
        let _ = self.dir.each(|entry, _| {
            if entry.first() == Some(&b'.') && spelling_of(entry) == Some(Spelling::Utf8) {
                spelling = Spelling::Utf8;
            }
        });
        spelling
    }

    /// Reads a small state file, as far as [`limits::STATE_FILE`]; empty if there is none or it is no regular file.
    pub fn read_state(&self, name: &[u8]) -> Result<Vec<u8>> {
        use std::io::Read;
        let mut text = Vec::new();
        match self.dir.open_file(name) {
            Ok(file) => drop(file.take(limits::STATE_FILE).read_to_end(&mut text)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(text)
    }

    /// Replaces a small state file by what `change` makes of its content; `None` leaves it as it is. [`StoreError::Limit`] if the file may be longer
    /// than what was read of it, or would become so.
    pub fn replace_state(&self, name: &[u8], change: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>>) -> Result<()> {
        let mode = self.dir.stat_self()?.mode & 0o666 | 0o600;
        replace(&self.dir, name, mode, limits::TIME_LOCK, || {
            let text = self.read_state(name)?;
            let content = change(&text)?;
            match &content {
                Some(content) if text.len().max(content.len()) as u64 >= limits::STATE_FILE => {
                    Err(StoreError::Limit("a file of this mail store is too long to be changed"))
                }
                _ => Ok((content, ())),
            }
        })
    }
}

/// The directories that a name is looked for in first.
fn preferred(name: &MailboxName) -> Vec<Vec<u8>> {
    let mut entries = Vec::with_capacity(2);
    for spelling in [Spelling::Utf7, Spelling::Utf8] {
        if let Ok(entry) = to_entry(name, spelling)
            && !entries.contains(&entry)
            && from_entry(&entry).as_ref() == Some(name)
        {
            entries.push(entry);
        }
    }
    entries
}
