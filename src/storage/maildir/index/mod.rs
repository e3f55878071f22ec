//! The index of one user's mail in LMDB: what makes commands fast and what file names cannot say. All of it can be derived again from the
//! mail and the UID lists, but for the history of changes; it may be deleted at any time.
//!
//! `imapd-index` in the root of the Maildir (or below `--index-path`) is the database, `imapd-index-lock` LMDB's lock file beside it. Commits do
//! not wait for the disk, so a crash of the machine may leave it damaged: `imapd-index-state` says which boot of the machine wrote to it last, and
//! whether all of that reached the disk. What an earlier boot left behind unsynced is thrown away.
//!
//! Where the index cannot be used (a full disk, a read-only file system, damage), a session has one of its own in memory, filled from the mail.
//! Nobody is told but the log.

pub mod chunk;
pub mod facts;
pub mod history;
pub mod pages;
pub mod record;
pub mod seal;
mod state;
pub mod table;

use crate::log::{Level, Quoted, log};
use crate::storage::StoreError;
use crate::sys::fault::{Guard, guard};
use crate::sys::file::{Dir, stat_path};
use crate::sys::lmdb::{self, Nameless, Sharing};
use heed::types::Bytes;
use heed::{Env, RoTxn, RwTxn, WithoutTls};
use seal::Table;
use state::State;
pub use state::{Lost, why_lost};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};

/// The database's file.
pub const FILE: &[u8] = b"imapd-index";
/// LMDB's own.
const LOCK_FILE: &[u8] = b"imapd-index-lock";
/// Of everything in it. Another version's index is thrown away.
pub const VERSION: u32 = 2;
/// Under this key of the records stands the version, without a seal: what it means must be known before anything else.
pub const VERSION_KEY: &[u8] = b"version";

/// What an operation of the index gives. Its errors never reach a client: the session goes on with an index in memory.
pub type Result<T> = std::result::Result<T, Failure>;

/// The index cannot be used.
#[derive(Debug)]
pub enum Failure {
    /// It contradicts itself, or is of another version: it must be made anew.
    Damaged(String),
    /// The system does not let us; there is nothing wrong with it.
    Unusable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Damaged(what) => write!(f, "it is damaged: {what}"),
            Failure::Unusable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub fn damaged(what: &str) -> Self {
        Self::Damaged(what.into())
    }

    /// The failure behind an error of the store, if it is of this kind.
    pub fn behind(error: &StoreError) -> Option<&Failure> {
        match error {
            StoreError::Io(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        use heed::MdbError as M;
        match error {
            heed::Error::Mdb(
                M::PageNotFound
                | M::Corrupted
                | M::Panic
                | M::VersionMismatch
                | M::Invalid
                | M::PageFull
                | M::CursorFull
                | M::Incompatible
                | M::BadTxn
                | M::BadValSize
                | M::BadDbi
                | M::KeyExist
                | M::NotFound
                // Numbers in the first pages are out of all proportion; or it has grown so large that it should begin anew.
                | M::MapFull
                | M::MapResized
                | M::TxnFull
                | M::Problem,
            )
            | heed::Error::Encoding(_)
            | heed::Error::Decoding(_) => Self::Damaged(error.to_string()),
            error => Self::Unusable(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        StoreError::Io(io::Error::other(failure))
    }
}

/// Where the index of a Maildir is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexPlace {
    /// Beside the mail.
    InRoot,
    /// In this directory, such as for mail on a network or a file system that is only read.
    Directory(PathBuf),
    /// Nowhere: each session has one of its own.
    InMemory,
}

/// An open index.
pub struct Index {
    /// No two that this process opens have the same.
    pub id: u64,
    env: Env<WithoutTls>,
    records: Table,
    rows: Table,
    names: Table,
    history: Table,
    envelopes: Table,
    structures: Table,
    headers: Table,
    /// Where it lies; `None` for one in memory.
    place: Option<Place>,
    /// The file of one in memory, which has no other name.
    _nameless: Option<Nameless>,
}

struct Place {
    dir: Dir,
    path: PathBuf,
    identity: (u64, u64),
    /// Which boot this is.
    boot: String,
    state: Mutex<State>,
    /// This process wrote something that it did not sync.
    written: AtomicBool,
    /// Marks the index as damaged if this process ends by it.
    _guard: Guard,
}

/// Whether the pages of an index are looked through when it is opened.
static CAREFUL: AtomicBool = AtomicBool::new(false);

/// From now on the pages of an index are looked through when it is opened. For a process that serves many users, all of whom a damaged one would cost their
/// sessions; it takes as long as reading the file.
pub fn look_through_when_opened() {
    CAREFUL.store(true, Ordering::Relaxed);
}

/// The indexes that this process has open, by path: LMDB wants each opened once.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Index>>>> = Mutex::new(None);

impl Index {
    /// The index in this directory, or one in memory if that cannot be used; an error only when not even that can be had.
    pub fn open(directory: &Path) -> Result<Arc<Index>> {
        match Self::open_shared(directory) {
            Ok(index) => Ok(index),
            Err(failure) => {
                log!(
                    Level::Notice,
                    "{}: no index, this session goes without: {failure}",
                    Quoted(directory.as_os_str().as_bytes())
                );
                Self::in_memory()
            }
        }
    }

    fn open_shared(directory: &Path) -> Result<Arc<Index>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, index| index.strong_count() > 0);
        let path = directory.join(OsStr::from_bytes(FILE));
        if let Some(index) = open.get(&path).and_then(Weak::upgrade)
            && index.is_in_place()
        {
            return Ok(index);
        }
        let dir = Dir::open(directory)?;
        let mode = dir.stat_self()?.mode & 0o666 | 0o600;
        let mut state = State::open(&dir, mode)?;
        // Until the database is open nobody else removes it.
        let held = state.lock()?;
        let boot = lmdb::boot_id();
        let exists = dir.stat(FILE).is_ok();
        let lost = held.is_lost(&boot);
        if exists && let Some(why) = lost {
            log!(Level::Notice, "{}: index is made anew: {why}", Quoted(path.as_os_str().as_bytes()));
            remove(&dir)?;
        }
        let is_new = !exists || lost.is_some();
        if is_new {
            state.begin(&boot)?;
        }
        // Before the first look into it.
        let guard = guard(state.file())?;
        let mut index = match Self::open_file(&dir, &path, mode) {
            Ok(opened) => opened,
            Err(failure) => {
                log!(Level::Warning, "{}: index is made anew: {failure}", Quoted(path.as_os_str().as_bytes()));
                remove(&dir)?;
                Self::open_file(&dir, &path, mode)?
            }
        };
        drop(held);
        let stat = dir.stat(FILE)?;
        let (identity, written) = ((stat.device, stat.inode), AtomicBool::new(is_new));
        let state = Mutex::new(state);
        index.place = Some(Place { dir, path: path.clone(), identity, boot, state, written, _guard: guard });
        let index = Arc::new(index);
        open.insert(path, Arc::downgrade(&index));
        Ok(index)
    }

    fn open_file(dir: &Dir, path: &Path, mode: u32) -> Result<Index> {
        match dir.stat(FILE) {
            // Somebody removed the one without the other: processes that have the old one open must not share a lock file with us.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if dir.stat(LOCK_FILE).is_ok() {
                    dir.unlink(LOCK_FILE)?;
                }
                dir.create_new(FILE, mode)?;
            }
            // A regular file, no link.
            _ => drop(dir.open_update(FILE)?),
        }
        if dir.stat(LOCK_FILE).is_err() {
            dir.create_new(LOCK_FILE, mode)?;
        } else {
            drop(dir.open_update(LOCK_FILE)?);
        }
        let env = lmdb::open(path, 8, Sharing::Shared)?;
        // Sessions that were killed pin old pages.
        env.clear_stale_readers()?;
        let size = dir.stat(FILE)?.size;
        let used =
            (env.info().last_page_number as u64).saturating_add(1).saturating_mul(u64::from(env.stat().page_size));
        if env.info().last_page_number > 1 && used > size {
            return Err(Failure::damaged("the file is cut off"));
        }
        if CAREFUL.load(Ordering::Relaxed) && pages::READABLE {
            // While nobody writes.
            let txn = env.write_txn()?;
            let file = dir.open_file(FILE)?;
            pages::read(&|at, into| file.read_exact_at(into, at), &mut |_, _, _| Ok(()))?;
            txn.abort();
        }
        Self::with_tables(env, None)
    }

    /// An index that nobody else sees, and that is gone with the session.
    pub fn in_memory() -> Result<Arc<Index>> {
        let nameless = Nameless::new()?;
        let env = lmdb::open(&nameless.path(), 8, Sharing::Private)?;
        Ok(Arc::new(Self::with_tables(env, Some(nameless))?))
    }

    fn with_tables(env: Env<WithoutTls>, nameless: Option<Nameless>) -> Result<Index> {
        const NAMES: [&str; 7] = ["records", "rows", "names", "history", "envelopes", "structures", "headers"];
        let version: [u8; 4] = VERSION.to_le_bytes();
        let mut tables = Vec::with_capacity(NAMES.len());
        {
            let txn = env.read_txn()?;
            for name in NAMES {
                let table = env.open_database::<Bytes, Bytes>(&txn, Some(name))?;
                tables.extend(table.map(|table| Table::new(name, table)));
            }
            let known = match tables.first() {
                Some(records) => records.database.get(&txn, VERSION_KEY)?.map(<[u8]>::to_vec),
                None => None,
            };
            // A handle opened in a transaction is good from its commit on.
            txn.commit()?;
            if known.is_some_and(|known| known != version) {
                return Err(Failure::damaged("another version made it"));
            }
        }
        if tables.len() < NAMES.len() {
            tables.clear();
            let mut txn = env.write_txn()?;
            for name in NAMES {
                tables.push(Table::new(name, env.create_database::<Bytes, Bytes>(&mut txn, Some(name))?));
            }
            if let Some(records) = tables.first() {
                records.database.put(&mut txn, VERSION_KEY, &version)?;
            }
            txn.commit()?;
        }
        let &[records, rows, names, history, envelopes, structures, headers] = tables.as_slice() else {
            return Err(Failure::damaged("tables are missing"));
        };
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (id, place, _nameless) = (LAST.fetch_add(1, Ordering::Relaxed), None, nameless);
        Ok(Index { id, env, records, rows, names, history, envelopes, structures, headers, place, _nameless })
    }

    /// Whether other sessions see what is written here.
    pub fn is_shared(&self) -> bool {
        self.place.is_some()
    }

    /// Whether the file is still the one that others open by its name, and no session ended by it.
    pub fn is_in_place(&self) -> bool {
        let Some(place) = &self.place else { return true };
        stat_path(&place.path).is_ok_and(|stat| (stat.device, stat.inode) == place.identity)
            && !place.state.lock().unwrap_or_else(PoisonError::into_inner).is_marked()
    }

    /// A look at the index as it is now. Not to be held while waiting for a client: old pages stay pinned.
    pub fn read(&self) -> Result<Reading<'_>> {
        Ok(Reading { index: self, txn: self.env.read_txn()? })
    }

    /// A change, made with [`Writing::commit`]. One at a time among all sessions of the user; never to be held across anything that waits.
    pub fn write(&self) -> Result<Writing<'_>> {
        let txn = self.env.write_txn()?;
        if let Some(place) = &self.place {
            // Each time: another session may have synced everything since, or have ended by what it read.
            place.state.lock().unwrap_or_else(PoisonError::into_inner).set_unsynced(&place.boot)?;
            place.written.store(true, Ordering::Relaxed);
        }
        Ok(Writing { index: self, txn })
    }

    /// Waits until everything is on the disk, so that it outlives the machine's next crash. For when a session ends.
    pub fn sync(&self) {
        let Some(place) = &self.place else { return };
        if !place.written.load(Ordering::Relaxed) {
            return;
        }
        // While nobody writes.
        let synced = || -> Result<()> {
            let txn = self.env.write_txn()?;
            self.env.force_sync()?;
            place.state.lock().unwrap_or_else(PoisonError::into_inner).set_synced()?;
            place.written.store(false, Ordering::Relaxed);
            txn.abort();
            Ok(())
        };
        if let Err(failure) = synced() {
            log!(Level::Notice, "{}: cannot sync the index: {failure}", Quoted(place.path.as_os_str().as_bytes()));
        }
    }

    /// Has everybody who opens it from now on make another.
    pub fn discard(&self) {
        if let Some(place) = &self.place
            && stat_path(&place.path).is_ok_and(|stat| (stat.device, stat.inode) == place.identity)
            && let Err(error) = remove(&place.dir)
        {
            log!(Level::Notice, "cannot remove a damaged index: {error}");
        }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("path", &self.place.as_ref().map(|place| &place.path)).finish_non_exhaustive()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.sync();
    }
}

/// Removes the index, if there is one; whoever has it open notices.
pub fn remove(dir: &Dir) -> io::Result<()> {
    for name in [FILE, LOCK_FILE] {
        match dir.unlink(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The index as it was at one moment.
pub struct Reading<'a> {
    index: &'a Index,
    txn: RoTxn<'a, WithoutTls>,
}

/// A change of the index on its way.
pub struct Writing<'a> {
    index: &'a Index,
    txn: RwTxn<'a>,
}

impl Writing<'_> {
    /// Makes the change, all of it or none. Without it nothing happened.
    pub fn commit(self) -> Result<()> {
        Ok(self.txn.commit()?)
    }
}

/// The numbers of mailboxes are keys of four octets, and so are UIDs: in this order the tables are sorted.
fn key(mailbox: u32, uid: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&mailbox.to_be_bytes());
    key[4..].copy_from_slice(&uid.to_be_bytes());
    key
}
