//! Messages on their way in: written to `tmp`, synced, and moved to `new` or `cur` all together under the lock, with their UIDs recorded.

use super::arrivals::{self, Arrival, Before};
use super::file_name::{self, Letters};
use super::folder::{Folder, Place};
use super::interop::dovecot_uidlist::Fields;
use super::keywords::KeywordTable;
use super::listing::Listing;
use super::lock::Lock;
use super::quota;
use super::root::Root;
use super::scan::Said;
use super::uid_list::{self, Dealt};
use crate::limits;
use crate::log::{Level, log};
use crate::message::line_ends::{ToStored, ToWire};
use crate::storage::{Append, Appended, Result, StoreError};
use crate::sys::file::{Dir, set_modified, start_writing};
use crate::types::{DateTime, Flags, MailboxName, Uid, UidValidity};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A message that lies complete in the target's `tmp`.
#[derive(Debug)]
pub struct Staged {
    /// Its name there, and the unique part of its name to be.
    pub unique: Vec<u8>,
    /// Octets as stored and on the wire, where both are known.
    pub sizes: Option<(u64, u64)>,
    pub flags: Flags,
    /// Letters of the source that stand for nothing we know.
    pub kept: Letters,
    pub fields: Fields,
    /// INTERNALDATE in seconds since 1970, if known.
    pub date: Option<i64>,
}

/// Messages staged for one folder. Those that are not published are removed on drop.
#[derive(Debug)]
pub struct Staging {
    root: Arc<Root>,
    pub folder: Folder,
    pub staged: Vec<Staged>,
}

impl Staging {
    pub fn new(root: &Arc<Root>, folder: Folder) -> Self {
        Self { root: Arc::clone(root), folder, staged: Vec::new() }
    }

    /// How much the staged messages are.
    fn amount(&self) -> quota::Amount {
        let mut amount = quota::Amount::default();
        for staged in &self.staged {
            let size = || self.folder.tmp.stat(&staged.unique).map_or(0, |stat| stat.size);
            amount.add(staged.sizes.map_or_else(size, |(stored, _)| stored));
        }
        amount
    }

    /// Whether the user's quota has room for the staged messages. To be asked before the lock is taken, since counting takes time.
    pub fn check_quota(&self) -> Result<()> {
        if quota::is_kept(&self.root) { quota::check(&self.root, self.amount()) } else { Ok(()) }
    }

    /// Makes all staged messages appear, in their order, or none.
    pub fn publish(&mut self, lock: &mut Lock) -> Result<(UidValidity, Vec<Uid>)> {
        let Targets { seats, keywords } = targets(&self.folder, lock, &self.staged)?;
        let amount = if quota::is_kept(&self.root) { self.amount() } else { quota::Amount::default() };
        let folder = &self.folder;
        let before = Before::of(folder)?;
        let mut published = Vec::new();
        let mut publish = || -> Result<Dealt> {
            for (staged, (place, name)) in self.staged.iter().zip(&seats) {
                lock.touch();
                folder.tmp.rename_new(&staged.unique, folder.place(*place), name)?;
                published.push((*place, name));
            }
            folder.sync_places(published.iter().map(|(place, _)| *place))?;
            let new: Vec<(&[u8], Fields)> = (self.staged.iter().zip(&seats))
                .map(|(staged, (_, name))| (file_name::base(name), staged.fields.clone()))
                .collect();
            uid_list::append_to(&folder.dir, lock, &new)
        };
        let dealt = match publish() {
            Ok(dealt) => dealt,
            Err(error) => {
                for (place, name) in published {
                    let _ = folder.place(place).unlink(name);
                }
                return Err(error);
            }
        };
        let staged = std::mem::take(&mut self.staged).into_iter();
        let arrivals = staged.zip(seats).zip(&dealt.uids).map(|((staged, (place, name)), &uid)| Arrival {
            uid,
            place,
            more: keywords.has_more(file_name::base(&name)),
            name,
            fields: staged.fields,
            date: staged.date,
        });
        let letters = keywords.is_loaded().then(|| keywords.letters_meaning());
        quota::note(&self.root, amount);
        arrivals::note(&self.root, folder, &before, &dealt, letters, &arrivals.collect::<Vec<_>>());
        Ok((dealt.uid_validity, dealt.uids))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for staged in &self.staged {
            let _ = self.folder.tmp.unlink(&staged.unique);
        }
    }
}

/// Where messages go in a folder, and its keywords then; none were looked at if no message has any.
pub struct Targets {
    pub seats: Vec<(Place, Vec<u8>)>,
    pub keywords: KeywordTable,
}

/// Where each message goes, its keywords given letters there, as far as there are some: without flags to `new`, whose names carry none.
pub fn targets(folder: &Folder, lock: &mut Lock, staged: &[Staged]) -> Result<Targets> {
    let wanted = || staged.iter().flat_map(|s| s.flags.keywords());
    // Most messages come without keywords.
    let mut keywords =
        if wanted().next().is_none() { KeywordTable::default() } else { KeywordTable::load(&folder.dir)? };
    if keywords.lacks(wanted()) {
        keywords.provide_what_fits(folder, lock, wanted(), letters_in_use(folder)?)?;
    }
    let mut target = |staged: &Staged| {
        let letters = keywords.letters(&staged.flags, staged.kept);
        let base = match staged.sizes {
            Some((stored, wire)) => file_name::sized(&staged.unique, stored, wire),
            None => staged.unique.clone(),
        };
        let more = keywords.set_more(&base, &staged.flags);
        let in_new = letters.is_empty() && !more;
        if in_new { (Place::New, base) } else { (Place::Cur, file_name::with_letters(&base, letters)) }
    };
    let seats = staged.iter().map(&mut target).collect();
    keywords.save(folder, lock)?;
    Ok(Targets { seats, keywords })
}

fn letters_in_use(folder: &Folder) -> Result<Letters> {
    let (mut listing, mut used) = (Listing::of(folder), Letters::default());
    listing.read(folder, Place::New, &mut Said::default())?;
    listing.read(folder, Place::Cur, &mut Said::default())?;
    listing.iter().for_each(|(_, name)| used.add(file_name::letters(name)));
    Ok(used)
}

/// A new file in `tmp` under a name that nothing has.
pub fn create_in_tmp(tmp: &Dir, mode: u32) -> io::Result<(Vec<u8>, File)> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let unique = file_name::unique();
        match tmp.create_new(&unique, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok((unique, other?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// [`Append`] over one folder.
///
/// Each file of a MULTIAPPEND is handed to the disk when it is complete and waited for only later, together with those after it: then a file system with a journal
/// commits it once for all of them.
pub struct Delivery {
    staging: Staging,
    current: Option<Writing>,
    /// Complete, and not yet safe on the disk.
    unsynced: Vec<File>,
    /// Some octets were lost on the way to the disk.
    failed: bool,
}

/// The message that is being written.
struct Writing {
    unique: Vec<u8>,
    file: File,
    flags: Flags,
    date: Option<DateTime>,
    to_stored: ToStored,
    counter: ToWire,
    /// Stored octets, not written yet.
    buffer: Vec<u8>,
    stored: u64,
    wire: u64,
}

/// So many files are held open to be synced together.
const UNSYNCED: usize = 32;

/// How many octets are gathered for one write.
const BUFFER: usize = 128 * 1024;

impl Delivery {
    pub fn new(root: &Arc<Root>, name: &MailboxName) -> Result<Self> {
        Ok(Self { staging: Staging::new(root, root.target(name)?), current: None, unsynced: Vec::new(), failed: false })
    }

    /// Completes the message that is being written, if any.
    fn finish(&mut self) -> Result<()> {
        let Some(mut writing) = self.current.take() else { return Ok(()) };
        let mut done = writing.finish();
        self.unsynced.push(writing.file);
        if done.is_ok() && self.unsynced.len() >= UNSYNCED {
            done = self.sync();
        }
        self.failed |= done.is_err();
        // From here on the staging removes it, if it comes to that.
        self.staging.staged.push(Staged {
            unique: writing.unique,
            sizes: Some((writing.stored, writing.wire)),
            flags: writing.flags,
            kept: Letters::default(),
            fields: Fields::default(),
            date: writing.date.map(|date| date.seconds),
        });
        Ok(done?)
    }

    /// Has on the disk what is complete.
    fn sync(&mut self) -> io::Result<()> {
        self.unsynced.drain(..).try_for_each(|file| file.sync_all())
    }
}

impl Writing {
    fn push(&mut self, wire: &[u8]) -> io::Result<()> {
        for piece in wire.chunks(BUFFER) {
            self.to_stored.push(piece, &mut self.buffer);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stored += self.buffer.len() as u64;
        self.wire += self.counter.count(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.to_stored).finish(&mut self.buffer);
        self.flush()?;
        if let Some(date) = self.date {
            set_modified(&self.file, date.seconds)?;
        }
        Ok(())
    }
}

impl Append for Delivery {
    fn begin(&mut self, flags: &Flags, date: Option<DateTime>) -> Result<()> {
        self.finish()?;
        self.unsynced.last().into_iter().for_each(start_writing);
        let folder = &self.staging.folder;
        let (unique, file) = match create_in_tmp(&folder.tmp, folder.file_mode) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NoSuchMailbox),
            other => other?,
        };
        self.current = Some(Writing {
            unique,
            file,
            flags: flags.clone(),
            date,
            to_stored: ToStored::new(),
            counter: ToWire::new(),
            buffer: Vec::new(),
            stored: 0,
            wire: 0,
        });
        Ok(())
    }

    fn write(&mut self, wire: &[u8]) -> Result<()> {
        match &mut self.current {
            Some(writing) => {
                let pushed = writing.push(wire);
                self.failed |= pushed.is_err();
                Ok(pushed?)
            }
            None => Err(StoreError::Cannot("no message was begun")),
        }
    }

    fn commit(mut self: Box<Self>) -> Result<Appended> {
        self.finish()?;
        self.sync()?;
        if self.failed {
            return Err(StoreError::Io(io::Error::other("the message could not be written")));
        }
        self.staging.check_quota()?;
        let mut lock = self.staging.folder.lock(limits::TIME_LOCK)?;
        let (uid_validity, uids) = self.staging.publish(&mut lock)?;
        Ok(Appended { uid_validity, uids })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(writing) = self.current.take()
            && let Err(error) = self.staging.folder.tmp.unlink(&writing.unique)
        {
            log!(Level::Warning, "cannot remove an unfinished message: {error}");
        }
    }
}

/// Checks that UIDs can be recorded in a folder that need not be open.
pub fn prepare_list(root: &Arc<Root>, folder: Folder) -> Result<Folder> {
    if uid_list::can_append(&folder.dir)? {
        return Ok(folder);
    }
    // There is none, or it needs care: a look from a session takes it.
    let path = folder.path.clone();
    drop(super::mailbox::MaildirMailbox::open(root, folder, crate::storage::Access::ReadOnly)?);
    Folder::open(&path)
}
