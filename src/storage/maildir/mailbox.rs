//! Mailbox over one Maildir: the verbs, each a few lines over the parts beside this file.

use super::file_name;
use super::folder::{Folder, Place};
use super::interop::dovecot_uidlist::Fields;
use super::keywords::KeywordTable;
use super::message::{Corrections, FileMessage};
use super::root::Root;
use super::scan::{Listing, Said, Stamp};
use super::sync::Unmatched;
use super::uid_list::UidListFile;
use super::watch::Watch;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Changes, Copied, Mailbox, Result, StoreError, Stored, StoredMessage};
use crate::sys::clock;
use crate::sys::file::{Stat, stat_file};
use crate::types::flag::FlagChange;
use crate::types::{DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, Uid, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// A message of the view.
#[derive(Debug)]
pub(super) struct Message {
    pub uid: Uid,
    pub place: Place,
    /// Expunged, or not to be found, since the last sync.
    pub gone: bool,
    /// The file's name when last seen.
    pub name: Box<[u8]>,
    /// What the UID list has beside the name.
    pub fields: Fields,
    /// Wire octets; see [`Message::size`].
    size: u64,
}

/// Stands for a size that is not known.
const UNKNOWN: u64 = u64::MAX;

impl Message {
    pub fn new(uid: Uid, place: Place, name: &[u8], fields: Fields) -> Self {
        let size = file_name::wire_size(name).or_else(|| fields.wire_size()).unwrap_or(UNKNOWN);
        Self { uid, place, gone: false, name: name.into(), fields, size }
    }

    pub fn base(&self) -> &[u8] {
        file_name::base(&self.name)
    }

    /// Wire octets, if known.
    pub fn size(&self) -> Option<u64> {
        (self.size != UNKNOWN).then_some(self.size)
    }

    pub fn set_size(&mut self, size: u64) {
        self.size = size;
    }
}

/// What one session sees of a folder.
pub(super) struct MaildirMailbox {
    pub root: Arc<Root>,
    pub folder: Folder,
    pub access: Access,
    pub list: UidListFile,
    /// `None` until the first look.
    pub uid_validity: Option<UidValidity>,
    /// As of the last sync.
    pub uid_next: u32,
    /// Ascending; those that are gone stay until the next sync.
    pub messages: Vec<Message>,
    pub uids: UidSet,
    pub recent: UidSet,
    pub keywords: KeywordTable,
    /// How many keywords the last sync told of.
    pub keywords_told: usize,
    /// The flags shown of messages that turned out to have others, until the next sync tells.
    pub shown: BTreeMap<Uid, Flags>,
    /// What a look that failed half way had found.
    pub pending: Changes,
    pub new_stamp: Stamp,
    pub cur_stamp: Stamp,
    pub watch: Option<Watch>,
    pub corrections: Corrections,
    /// Sizes computed since the list was written, and not in names.
    pub unrecorded_sizes: usize,
    /// Messages whose names carry wrong sizes: stored and wire octets as they are.
    pub wrong_sizes: BTreeMap<Uid, (u64, u64)>,
    /// Records of the list whose files were not found in a look without the lock.
    pub waiting: Unmatched,
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
            uid_validity: None,
            uid_next: 1,
            messages: Vec::new(),
            uids: UidSet::new(),
            recent: UidSet::new(),
            keywords_told: 0,
            shown: BTreeMap::new(),
            pending: Changes::default(),
            new_stamp: Stamp::default(),
            cur_stamp: Stamp::default(),
            watch: None,
            corrections: Corrections::default(),
            unrecorded_sizes: 0,
            wrong_sizes: BTreeMap::new(),
            waiting: Unmatched::new(),
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

    /// Where a message stands in [`Self::messages`], if it is still there.
    pub fn index(&self, uid: Uid) -> Option<usize> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        self.messages.get(at).filter(|m| !m.gone).map(|_| at)
    }

    /// The places of those of `uids` that are still there, ascending.
    pub fn indices(&self, uids: &UidSet) -> Vec<usize> {
        uids.intersection(&self.uids).iter().filter_map(|uid| self.index(uid)).collect()
    }

    /// Does something with a message's file by its name; if it is not there any more, looks where it went and tries once more.
    /// `None` if it is gone.
    pub fn with_file<T>(&mut self, at: usize, work: impl Fn(&Self, &Message) -> io::Result<T>) -> Result<Option<T>> {
        for last_try in [false, true] {
            let Some(message) = self.messages.get(at).filter(|m| !m.gone) else { return Ok(None) };
            match work(self, message) {
                Ok(done) => return Ok(Some(done)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !last_try => self.find_again(at)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        // It has another name each time we look. The next sync will have the last word.
        Ok(None)
    }

    /// Lists the folder to learn the present names of all messages, since one of them changed. What two listings do not show is gone.
    fn find_again(&mut self, wanted: usize) -> Result<()> {
        let first = self.relist()?;
        if first.get(wanted) == Some(&true) {
            return Ok(());
        }
        let second = self.relist()?;
        for ((message, first), second) in self.messages.iter_mut().zip(first).zip(second) {
            message.gone |= !first && !second;
        }
        Ok(())
    }

    fn relist(&mut self) -> Result<Vec<bool>> {
        let mut listing = Listing::default();
        listing.read(&self.folder, Place::New, &mut self.said)?;
        listing.read(&self.folder, Place::Cur, &mut self.said)?;
        Ok(self.take_names(&listing))
    }

    /// Takes over the names of a listing and says which messages were in it.
    fn take_names(&mut self, listing: &Listing) -> Vec<bool> {
        let mut seen = vec![false; self.messages.len()];
        let mut renamed = Vec::new();
        {
            let known: std::collections::HashMap<&[u8], usize> =
                self.messages.iter().enumerate().map(|(at, m)| (m.base(), at)).collect();
            for (found, name) in listing.iter() {
                if let Some(&at) = known.get(file_name::base(name))
                    && let Some(seen) = seen.get_mut(at)
                {
                    *seen = true;
                    renamed.push((at, found.place, name));
                }
            }
        }
        for (at, place, name) in renamed {
            let Some(message) = self.messages.get_mut(at) else { continue };
            if *message.name != *name || message.place != place {
                self.shown.entry(message.uid).or_insert_with(|| self.keywords.flags(&message.name));
                (message.name, message.place) = (name.into(), place);
            }
        }
        seen
    }

    pub fn open_message(&mut self, uid: Uid) -> Result<(usize, File, Stat)> {
        let at = self.index(uid).ok_or(StoreError::Expunged)?;
        let opened = self.with_file(at, |mailbox, message| {
            let file = mailbox.folder.place(message.place).open_file(&message.name)?;
            let stat = stat_file(&file)?;
            Ok((file, stat))
        });
        let opened = match opened {
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                let name = self.messages.get(at).map(|m| m.name.clone()).unwrap_or_default();
                log!(Level::Warning, "{}: {} is no regular file", self.path_shown(), Quoted(&name));
                return Err(StoreError::Io(error));
            }
            other => other?,
        };
        let (file, stat) = opened.ok_or(StoreError::Expunged)?;
        self.take_corrections();
        self.check_size(at, &file, &stat)?;
        Ok((at, file, stat))
    }
}

impl Mailbox for MaildirMailbox {
    fn uid_validity(&self) -> UidValidity {
        const NEVER: UidValidity = UidValidity::new(1).unwrap();
        // The first look, which is part of opening, has set it.
        self.uid_validity.unwrap_or(NEVER)
    }

    fn uid_next(&self) -> Uid {
        Uid::new(self.uid_next).unwrap_or(Uid::MIN)
    }

    fn uids(&self) -> &UidSet {
        &self.uids
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
        self.watch.as_ref().filter(|_| !self.without_uid).map(Watch::fd)
    }

    fn flags(&self, uid: Uid) -> Option<Flags> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        let message = self.messages.get(at)?;
        Some(self.shown.get(&uid).cloned().unwrap_or_else(|| self.keywords.flags(&message.name)))
    }

    fn id(&self) -> ObjectId {
        let guid = self.list.header().and_then(|header| header.guid.as_deref());
        let bits = guid.and_then(|digits| u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        ObjectId::new('M', bits.unwrap_or(0))
    }

    fn highest_modseq(&self) -> ModSeq {
        ModSeq::MIN
    }

    fn modseq(&self, uid: Uid) -> Option<ModSeq> {
        self.uids.contains(uid).then_some(ModSeq::MIN)
    }

    fn vanished_since(&mut self, _: ModSeq) -> Result<UidSet> {
        Ok(UidSet::new())
    }

    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>> {
        self.index(uid).map(|_| None).ok_or(StoreError::Expunged)
    }

    fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
        let message = self.index(uid).and_then(|at| self.messages.get(at)).ok_or(StoreError::Expunged)?;
        Ok(ObjectId::of('E', message.fields.get(b'G').unwrap_or_else(|| message.base())))
    }

    fn keywords(&self) -> Vec<Keyword> {
        self.keywords.keywords()
    }

    fn can_create_keywords(&self) -> bool {
        self.access == Access::ReadWrite && self.keywords.has_room()
    }

    fn internal_date(&mut self, uid: Uid) -> Result<DateTime> {
        let at = self.index(uid).ok_or(StoreError::Expunged)?;
        let stat = self.with_file(at, |mailbox, m| mailbox.folder.place(m.place).stat(&m.name))?;
        let seconds = stat.ok_or(StoreError::Expunged)?.modified.seconds;
        Ok(DateTime { seconds, zone: clock::zone_at(seconds) })
    }

    fn size(&mut self, uid: Uid) -> Result<u64> {
        self.wire_size(uid)
    }

    fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>> {
        let (at, file, stat) = self.open_message(uid)?;
        let wire = self.messages.get(at).and_then(Message::size);
        Ok(Box::new(FileMessage::new(file, stat.size, uid, wire, self.corrections.clone())))
    }

    fn store(&mut self, uids: &UidSet, change: FlagChange, flags: &Flags, _: Option<u64>) -> Result<Stored> {
        self.check_writable()?;
        Ok(Stored { flags: self.change_flags(uids, change, flags)?, modified: UidSet::new() })
    }

    fn expunge(&mut self, uids: &UidSet) -> Result<UidSet> {
        self.check_writable()?;
        self.expunge_files(uids)
    }

    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.copy_to(uids, target)
    }

    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.check_writable()?;
        self.move_files(uids, target)
    }
}

impl Drop for MaildirMailbox {
    fn drop(&mut self) {
        self.record_sizes();
    }
}
