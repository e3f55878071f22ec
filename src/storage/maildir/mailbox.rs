//! Mailbox over one Maildir: the verbs, each a few lines over the parts beside this file.

use super::file_name;
use super::folder::{Folder, Place};
use super::index::chunk::Row;
use super::index::facts::Held;
use super::index::table::{Ahead, Entry};
use super::index::{Failure, Index};
use super::interop::dovecot_uidlist::{Fields, Header};
use super::keywords::KeywordTable;
use super::learned::Learned;
use super::message::{Corrections, FileMessage};
use super::root::Root;
use super::scan::Said;
use super::uid_list::UidListFile;
use super::view::{Shown, View};
use super::watch::Watch;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Changes, Copied, Kept, Mailbox, Partly, Result, StoreError, Stored, StoredMessage};
use crate::sys::clock;
use crate::sys::file::{Stat, stat_file};
use crate::types::flag::FlagChange;
use crate::types::{DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, SystemFlag, Uid, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// A message's file, as far as the index knows.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub row: Row,
    pub name: Vec<u8>,
    /// What the UID list has beside the name.
    pub fields: Fields,
}

impl Located {
    fn new(entry: &Entry<'_>) -> Self {
        Self { row: entry.row, name: entry.name(), fields: Fields::of(entry.fields) }
    }

    pub fn place(&self) -> Place {
        self.row.place()
    }

    pub fn base(&self) -> &[u8] {
        file_name::base(&self.name)
    }

    /// Wire octets, if known.
    pub fn size(&self) -> Option<u64> {
        self.row.size().or_else(|| self.fields.wire_size())
    }
}

/// What one session sees of a folder.
pub(super) struct MaildirMailbox {
    pub root: Arc<Root>,
    pub folder: Folder,
    pub access: Access,
    pub list: UidListFile,
    /// `None` until the first look.
    pub header: Option<Header>,
    /// As of the last sync.
    pub uid_next: u32,
    pub view: View,
    /// The keywords beyond the 26 letters of those messages that have some, as they are shown.
    pub more: BTreeMap<Uid, Flags>,
    /// Some messages as they were in the index when one of them was looked up; forgotten whenever anything may have changed.
    pub ahead: Ahead,
    /// What is kept of messages is read by this while a command runs.
    pub held: Option<Held>,
    pub recent: UidSet,
    pub keywords: KeywordTable,
    /// How many keywords the last sync told of.
    pub keywords_told: usize,
    /// Rows of the index may not say yet which messages have further keywords.
    pub check_more: bool,
    /// Messages of the view whose flags are others since their keywords have other names.
    pub renamed_flags: UidSet,
    pub watch: Option<Watch>,
    pub corrections: Corrections,
    /// Found out since the index was last written.
    pub learned: Learned,
    /// Messages whose names carry wrong sizes: stored and wire octets as they are.
    pub wrong_sizes: BTreeMap<Uid, (u64, u64)>,
    /// Files were found that could not be given UIDs. No notice comes when they can.
    pub without_uid: bool,
    pub said: Said,
}

impl MaildirMailbox {
    /// Opens a folder; this is the first sync.
    pub fn open(root: &Arc<Root>, folder: Folder, access: Access) -> Result<Self> {
        let mut mailbox = Self {
            root: Arc::clone(root),
            keywords: KeywordTable::load(&folder.dir)?,
            folder,
            access,
            list: UidListFile::default(),
            header: None,
            uid_next: 1,
            view: View::new(),
            more: BTreeMap::new(),
            ahead: Ahead::default(),
            held: None,
            recent: UidSet::new(),
            keywords_told: 0,
            check_more: false,
            renamed_flags: UidSet::new(),
            watch: None,
            corrections: Corrections::default(),
            learned: Learned::default(),
            wrong_sizes: BTreeMap::new(),
            without_uid: false,
            said: Said::default(),
        };
        if access == Access::ReadWrite
            && let Err(error) = super::scan::clean_tmp(&mailbox.folder.tmp)
        {
            log!(Level::Warning, "cannot clean {}: {error}", mailbox.path_shown());
        }
        mailbox.sync()?;
        Ok(mailbox)
    }

    /// For the log.
    pub fn path_shown(&self) -> String {
        use std::os::unix::ffi::OsStrExt;
        Quoted(self.folder.path.as_os_str().as_bytes()).to_string()
    }

    pub fn check_writable(&self) -> Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::NoPermission),
        }
    }

    /// Works with the index; if that fails, again with another.
    pub fn with_index<T>(&mut self, mut work: impl FnMut(&mut Self, &Index) -> Result<T>) -> Result<T> {
        // The one that is there, the one that is made in its place if it is damaged, and the one in memory.
        const INDEXES: usize = 3;
        for _ in 1..INDEXES {
            let index = self.root.index()?;
            match work(self, &index) {
                Err(error) => match Failure::behind(&error) {
                    Some(failure) => {
                        // What is still in use cannot be opened anew.
                        self.held = None;
                        self.root.change_index(index, failure)?;
                    }
                    None => return Err(error),
                },
                done => return done,
            }
        }
        let index = self.root.index()?;
        work(self, &index)
    }

    /// The messages of the view among these that the index still has, ascending.
    pub fn locate(&mut self, uids: &UidSet) -> Result<Vec<Located>> {
        let wanted = uids.intersection(self.view.uids());
        self.with_index(|mailbox, index| {
            let mut found = Vec::new();
            if let Some(number) = mailbox.number(index)? {
                let reading = index.read()?;
                reading.find_all(number, &wanted, |entry| found.push(Located::new(&entry)))?;
            }
            Ok(found)
        })
    }

    /// [`StoreError::Expunged`] if it is gone.
    pub fn locate_one(&mut self, uid: Uid) -> Result<Located> {
        if self.view.get(uid).is_none() {
            return Err(StoreError::Expunged);
        }
        if let Some(entry) = self.ahead.find(uid.get()) {
            return Ok(Located::new(&entry));
        }
        let found = self.with_index(|mailbox, index| {
            let Some(number) = mailbox.number(index)? else { return Ok(None) };
            let reading = index.read()?;
            mailbox.ahead = reading.chunk_with(number, uid.get())?;
            Ok(mailbox.ahead.find(uid.get()).map(|entry| Located::new(&entry)))
        });
        found?.ok_or(StoreError::Expunged)
    }

    /// As [`Self::locate_one`], `None` if it is gone.
    fn locate_if_there(&mut self, uid: Uid) -> Result<Option<Located>> {
        match self.locate_one(uid) {
            Err(StoreError::Expunged) => Ok(None),
            located => located.map(Some),
        }
    }

    /// As [`Self::locate_one`], without the name.
    pub fn row(&mut self, uid: Uid) -> Result<Row> {
        match self.ahead.find(uid.get()) {
            Some(entry) => Ok(entry.row),
            None => Ok(self.locate_one(uid)?.row),
        }
    }

    /// The number of this mailbox in the index. One that was changed since the last look is filled first: what it does not have is not gone.
    fn number(&mut self, index: &Index) -> Result<Option<u32>> {
        if let Some(number) = self.view.number_in(index) {
            return Ok(Some(number));
        }
        if let Some(record) = self.record(&index.read()?)? {
            return Ok(Some(record.number));
        }
        // Without it, if we hold it already or somebody else does.
        let mut lock = self.folder.lock(Duration::ZERO).ok();
        self.update(index, lock.as_mut(), true)?;
        Ok(self.record(&index.read()?)?.map(|record| record.number))
    }

    /// Does something with a message's file by its name; if it is not there any more, looks where it went and tries once more.
    /// `None` if it is gone.
    pub fn with_file<T>(
        &mut self,
        located: &mut Located,
        mut lock: Option<&mut super::lock::Lock>,
        mut work: impl FnMut(&Self, &Located) -> io::Result<T>,
    ) -> Result<Option<T>> {
        let Some(uid) = Uid::new(located.row.uid) else { return Ok(None) };
        // First by what we know, then by what another session has told the index since, and then by a look of our own.
        for last_try in [false, true] {
            match work(self, located) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => return Ok(Some(done?)),
            }
            self.ahead = Ahead::default();
            let now = self.locate_if_there(uid)?;
            let known = now.as_ref().is_none_or(|now| (now.place(), &now.name) == (located.place(), &located.name));
            let now = if known && !last_try {
                self.find_again(lock.as_deref_mut())?;
                self.locate_if_there(uid)?
            } else {
                now
            };
            match now {
                Some(now) => *located = now,
                None => return Ok(None),
            }
        }
        match work(self, located) {
            // It has another name each time we look. The next sync will have the last word.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            done => Ok(Some(done?)),
        }
    }

    pub fn open_message(&mut self, uid: Uid) -> Result<(Located, File, Stat)> {
        let mut located = self.locate_one(uid)?;
        let opened = self.with_file(&mut located, None, |mailbox, located| {
            let file = mailbox.folder.place(located.place()).open_file(&located.name)?;
            let stat = stat_file(&file)?;
            Ok((file, stat))
        });
        let (file, stat) = match opened {
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                log!(Level::Warning, "{}: {} is no regular file", self.path_shown(), Quoted(&located.name));
                return Err(StoreError::Io(error));
            }
            other => other?.ok_or(StoreError::Expunged)?,
        };
        self.take_corrections();
        self.check_size(&mut located, &file, &stat)?;
        Ok((located, file, stat))
    }

    fn flags_of(&self, shown: &Shown) -> Flags {
        let mut flags = self.keywords.flags_by_letters(shown.letters());
        if let Some(more) = self.more.get(&shown.uid) {
            flags.add(more);
        }
        flags
    }

    /// A message is shown with these further keywords from now on.
    pub fn show_more(&mut self, uid: Uid, more: Flags) {
        if more.is_empty() {
            self.more.remove(&uid);
        } else {
            self.more.insert(uid, more);
        }
    }

    fn uid_validity_known(&self) -> Option<UidValidity> {
        self.header.as_ref().map(|header| header.uid_validity)
    }
}

impl Mailbox for MaildirMailbox {
    fn uid_validity(&self) -> UidValidity {
        const NEVER: UidValidity = UidValidity::new(1).unwrap();
        // The first look, which is part of opening, has set it.
        self.uid_validity_known().unwrap_or(NEVER)
    }

    fn uid_next(&self) -> Uid {
        Uid::new(self.uid_next).unwrap_or(Uid::MIN)
    }

    fn uids(&self) -> &UidSet {
        self.view.uids()
    }

    fn recent(&self) -> &UidSet {
        &self.recent
    }

    fn sync(&mut self) -> Result<Changes> {
        self.look()
    }

    fn watch(&mut self) -> Option<BorrowedFd<'_>> {
        if self.watch.is_none() {
            self.watch = Watch::new(&self.folder.path);
        }
        // Whoever watches waits: a good moment to have on the disk what others would otherwise work out again.
        self.held = None;
        self.keep_learned();
        self.watch.as_ref().filter(|_| !self.without_uid).map(Watch::fd)
    }

    fn flags(&self, uid: Uid) -> Option<Flags> {
        self.view.get(uid).map(|shown| self.flags_of(shown))
    }

    fn with_flag(&self, flag: SystemFlag) -> UidSet {
        let letter = file_name::letter_of(flag);
        self.view.messages().iter().filter(|shown| shown.letters.has(letter)).map(|shown| shown.uid).collect()
    }

    fn id(&self) -> ObjectId {
        let guid = self.header.as_ref().and_then(|header| header.guid.as_deref());
        let bits = guid.and_then(|digits| u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        ObjectId::new('M', bits.unwrap_or(0))
    }

    fn highest_modseq(&self) -> ModSeq {
        self.view.highest()
    }

    fn modseq(&self, uid: Uid) -> Option<ModSeq> {
        ModSeq::new(self.view.get(uid)?.modseq)
    }

    fn vanished_since(&mut self, since: ModSeq) -> Result<UidSet> {
        let known = self.with_index(|mailbox, index| {
            let reading = index.read()?;
            match mailbox.record(&reading)? {
                Some(record) if since >= record.floor => Ok(Some(reading.expunged_since(record.number, since)?)),
                _ => Ok(None),
            }
        })?;
        let below = Uid::new(self.uid_next.saturating_sub(1));
        let vanished = match (known, below) {
            (Some(vanished), _) => vanished,
            (None, Some(last)) => UidSet::range(Uid::MIN, last),
            (None, None) => UidSet::new(),
        };
        Ok(vanished.difference(self.view.uids()))
    }

    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>> {
        let located = self.locate_one(uid)?;
        let seconds = file_name::saved(&located.name);
        Ok(seconds.map(|seconds| DateTime { seconds, zone: clock::zone_at(seconds) }))
    }

    fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
        let located = self.locate_one(uid)?;
        Ok(ObjectId::of('E', located.fields.get(b'G').unwrap_or_else(|| located.base())))
    }

    fn keywords(&self) -> Vec<Keyword> {
        self.keywords.keywords()
    }

    fn can_create_keywords(&self) -> bool {
        self.access == Access::ReadWrite && self.keywords.has_room()
    }

    fn internal_date(&mut self, uid: Uid) -> Result<DateTime> {
        let known = self.row(uid)?.date().or_else(|| self.learned.date(uid));
        let seconds = match known {
            Some(seconds) => seconds,
            None => {
                let mut located = self.locate_one(uid)?;
                let stat = |mailbox: &Self, l: &Located| mailbox.folder.place(l.place()).stat(&l.name);
                let stat = self.with_file(&mut located, None, stat)?.ok_or(StoreError::Expunged)?;
                self.learned.set_date(uid, stat.modified.seconds);
                self.keep_much_learned();
                stat.modified.seconds
            }
        };
        Ok(DateTime { seconds, zone: clock::zone_at(seconds) })
    }

    fn size(&mut self, uid: Uid) -> Result<u64> {
        self.wire_size(uid)
    }

    fn kept(&mut self, uid: Uid, kind: Kept, take: &mut dyn FnMut(&[u8])) -> bool {
        if let Some(octets) = self.learned.kept(uid, kind) {
            take(octets);
            return true;
        }
        let kept = self.with_index(|mailbox, index| {
            let Some(number) = mailbox.number(index)? else { return Ok(false) };
            if mailbox.held.as_ref().is_none_or(|held| !held.is_of(index)) {
                mailbox.held = Some(Held::new(mailbox.root.index()?)?);
            }
            let Some(held) = &mailbox.held else { return Ok(false) };
            Ok(held.kept(number, uid.get(), kind)?.map(&mut *take).is_some())
        });
        kept.unwrap_or(false)
    }

    fn keep(&mut self, uid: Uid, kind: Kept, octets: &[u8]) {
        if self.view.get(uid).is_some() {
            self.learned.keep(uid, kind, octets);
            self.keep_much_learned();
        }
    }

    fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>> {
        let (located, file, stat) = self.open_message(uid)?;
        let wire = self.known_size(&located);
        Ok(Box::new(FileMessage::new(file, stat.size, uid, wire, self.corrections.clone())))
    }

    fn store(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Stored> {
        self.check_writable()?;
        self.change_flags(uids, change, flags, unchanged_since)
    }

    fn expunge(&mut self, uids: &UidSet) -> Result<Partly<UidSet>> {
        self.check_writable()?;
        self.expunge_files(uids)
    }

    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.copy_to(uids, target)
    }

    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Partly<Copied>> {
        self.check_writable()?;
        self.move_files(uids, target)
    }
}

impl Drop for MaildirMailbox {
    fn drop(&mut self) {
        self.keep_learned();
        self.put_wrong_sizes_right();
    }
}
