//! One Maildir as directories held open: `new`, `cur`, `tmp` and what lies beside them.

use super::lock::Lock;
use super::scan::Stamp;
use super::uid_list;
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Kind, Stat, stat_path};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where a message file lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    New,
    Cur,
}

/// A folder's directories. They stay the same if the folder is renamed; [`Folder::check`] notices.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub dir: Dir,
    pub new: Dir,
    pub cur: Dir,
    pub tmp: Arc<Dir>,
    /// Permission bits for files.
    pub file_mode: u32,
    identity: (u64, u64),
    /// Of `new` and of `cur`.
    parts: [(u64, u64); 2],
}

impl Folder {
    /// Opens a folder, making those of the three directories that are missing, as Dovecot does.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = match Dir::open(path) {
            Ok(dir) => dir,
            Err(error) if is_absent(&error) => return Err(StoreError::NoSuchMailbox),
            Err(error) => return Err(error.into()),
        };
        let stat = dir.stat_self()?;
        let dir_mode = stat.mode & 0o777 | 0o700;
        let part = |name: &[u8]| -> Result<Dir> {
            match dir.open_dir(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match dir.make_dir(name, dir_mode) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                        _ => {}
                    }
                    Ok(dir.open_dir(name)?)
                }
                other => Ok(other?),
            }
        };
        let (tmp, new, cur) = (part(b"tmp")?, part(b"new")?, part(b"cur")?);
        let file_mode = stat.mode & 0o666 | 0o600;
        let identity = |stat: Stat| (stat.device, stat.inode);
        let parts = [identity(new.stat_self()?), identity(cur.stat_self()?)];
        let tmp = Arc::new(tmp);
        Ok(Self { path: path.to_owned(), new, cur, tmp, file_mode, identity: identity(stat), parts, dir })
    }

    /// [`StoreError::NoSuchMailbox`] if the path no longer leads here: the folder was deleted, renamed or replaced.
    pub fn check(&self) -> Result<()> {
        match stat_path(&self.path) {
            Ok(stat) if (stat.device, stat.inode) == self.identity => Ok(()),
            Ok(_) => Err(StoreError::NoSuchMailbox),
            Err(error) if is_absent(&error) => Err(StoreError::NoSuchMailbox),
            Err(error) => Err(error.into()),
        }
    }

    /// The lock of the folder's messages, UIDs and keywords, while the folder is where it should be.
    pub fn lock(&self, wait: Duration) -> Result<Lock> {
        let lock = match Lock::take(&self.dir, &self.tmp, uid_list::FILE, wait) {
            // In a directory that was removed nothing can be made.
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoSuchMailbox);
            }
            other => other?,
        };
        self.check()?;
        Ok(lock)
    }

    pub fn place(&self, place: Place) -> &Dir {
        match place {
            Place::New => &self.new,
            Place::Cur => &self.cur,
        }
    }

    /// Has on the disk what was done in those of its directories that are given, each synced once.
    pub fn sync_places(&self, places: impl Iterator<Item = Place> + Clone) -> io::Result<()> {
        for place in [Place::New, Place::Cur] {
            if places.clone().any(|given| given == place) {
                self.place(place).sync()?;
            }
        }
        Ok(())
    }

    /// Whether these are still the directories that were opened.
    pub fn has_parts(&self, new: &Stat, cur: &Stat) -> bool {
        self.parts == [new, cur].map(|stat| (stat.device, stat.inode))
    }

    /// Whether these are stamps of the directories that were opened.
    pub fn has_stamps(&self, new: &Stamp, cur: &Stamp) -> bool {
        self.parts == [new.identity(), cur.identity()]
    }

    /// Of its directory. It stays when the folder is renamed.
    pub fn inode(&self) -> u64 {
        self.identity.1
    }

    pub fn is_same(&self, other: &Folder) -> bool {
        self.identity == other.identity
    }
}

/// Makes a folder that must not exist: its directories with the permission bits of the root, and the mark of a Maildir++ folder.
pub fn make(root: &Dir, entry: &[u8]) -> Result<()> {
    let mode = root.stat_self()?.mode;
    match root.make_dir(entry, mode & 0o777 | 0o700) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(StoreError::AlreadyExists),
        other => other?,
    }
    let fill = || -> io::Result<()> {
        let dir = root.open_dir(entry)?;
        for part in [b"tmp", b"new", b"cur"] {
            dir.make_dir(part, mode & 0o777 | 0o700)?;
        }
        dir.create_new(b"maildirfolder", mode & 0o666 | 0o600)?;
        dir.sync()?;
        root.sync()
    };
    fill().map_err(|error| {
        let _ = root.remove_tree(entry, 2);
        error.into()
    })
}

/// Whether an entry is a directory, following a link.
pub fn is_dir(root: &Dir, entry: &[u8]) -> Result<bool> {
    match root.stat_through(entry) {
        Ok(stat) => Ok(stat.kind == Kind::Directory),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}
