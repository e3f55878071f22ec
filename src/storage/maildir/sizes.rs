//! Message sizes: trusted where the name, the list or the index has them, computed once where not, put right where they prove wrong.

use super::file_name;
use super::index::table::Edit;
use super::lock::Lock;
use super::mailbox::{Located, MaildirMailbox};
use super::message::{count_wire, is_compressed};
use super::uid_list;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Result, StoreError};
use crate::sys::file::Stat;
use crate::types::{Uid, UidSet};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

impl MaildirMailbox {
    /// RFC822.SIZE.
    pub(super) fn wire_size(&mut self, uid: Uid) -> Result<u64> {
        self.take_corrections();
        if let Some(size) = self.learned.size(uid).or(self.row(uid)?.size()) {
            return Ok(size);
        }
        let (located, file, _) = self.open_message(uid)?;
        // Opening may have counted already, when the name was found to be wrong.
        if let Some(size) = self.known_size(&located) {
            return Ok(size);
        }
        if is_compressed(&file)? {
            return self.refuse_compressed(&located);
        }
        let wire = count_wire(&file)?;
        self.learned.set_size(uid, wire);
        self.keep_much_learned();
        Ok(wire)
    }

    /// Wire octets, if anybody knows.
    pub(super) fn known_size(&self, located: &Located) -> Option<u64> {
        let uid = Uid::new(located.row.uid)?;
        self.learned.size(uid).or_else(|| located.size())
    }

    /// A size in the name that is not that of the file: then nothing is taken on trust.
    pub(super) fn check_size(&mut self, located: &mut Located, file: &File, stat: &Stat) -> Result<()> {
        let Some(uid) = Uid::new(located.row.uid) else { return Ok(()) };
        let named = file_name::stored_size(&located.name);
        // Each LF adds one octet at most.
        let plausible = self.known_size(located).is_none_or(|w| w >= stat.size && w / 2 <= stat.size);
        let unquestioned = self.wrong_sizes.contains_key(&uid);
        if unquestioned || (named.is_none_or(|s| s == stat.size) && plausible) {
            return Ok(());
        }
        if is_compressed(file)? {
            return self.refuse_compressed(located);
        }
        let wire = count_wire(file)?;
        self.correct_size(uid, &located.name, stat.size, wire);
        Ok(())
    }

    fn refuse_compressed<T>(&self, located: &Located) -> Result<T> {
        let name = Quoted(&located.name);
        log!(Level::Error, "{}: {name} is compressed, which imapd does not read", self.path_shown());
        Err(StoreError::Io(io::ErrorKind::InvalidData.into()))
    }

    /// What readers found out since.
    pub(super) fn take_corrections(&mut self) {
        for (uid, stored, wire) in self.corrections.take() {
            if let Ok(located) = self.locate_one(uid) {
                self.correct_size(uid, &located.name, stored, wire);
            }
        }
    }

    fn correct_size(&mut self, uid: Uid, name: &[u8], stored: u64, wire: u64) {
        let shown = self.path_shown();
        log!(Level::Warning, "{shown}: {} has {wire} octets, not what its name or the list says", Quoted(name));
        self.learned.set_size(uid, wire);
        self.wrong_sizes.insert(uid, (stored, wire));
    }

    /// Whether names or records carry sizes that are not true.
    pub(super) fn has_wrong_sizes(&self) -> bool {
        self.access == Access::ReadWrite && !self.wrong_sizes.is_empty()
    }

    /// At the end, if nobody holds the lock: so that the next session, and other programs, are not misled.
    pub(super) fn put_wrong_sizes_right(&mut self) {
        if !self.has_wrong_sizes() || self.folder.check().is_err() {
            return;
        }
        if let Ok(mut lock) = Lock::take(&self.folder.dir, &self.folder.tmp, uid_list::FILE, Duration::ZERO)
            && let Err(error) = self.catch_up(&mut lock)
        {
            log!(Level::Warning, "{}: cannot put sizes right: {error}", self.path_shown());
        }
    }

    /// Gives files names with their true sizes, before the list is written anew, under the lock. Says which had which names. Should we be stopped
    /// between, a message is known again by the part of its name that stayed.
    pub(super) fn rename_wrong_sizes(&mut self, lock: &mut Lock) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let wrong = std::mem::take(&mut self.wrong_sizes);
        if self.access != Access::ReadWrite || wrong.is_empty() {
            return Ok(Vec::new());
        }
        self.keep_learned();
        let uids: UidSet = wrong.keys().copied().collect();
        let all = self.locate(&uids)?;
        let sized = |located: &Located| {
            let (stored, wire) = Uid::new(located.row.uid).and_then(|uid| wrong.get(&uid)).copied()?;
            Some((file_name::with_sizes(&located.name, stored, wire), wire))
        };
        // Should we be stopped between, a message's keywords are found by either name.
        for located in &all {
            if let Some((name, _)) = sized(located) {
                self.keywords.copy_more(located.base(), file_name::base(&name));
            }
        }
        self.keywords.save(&self.folder, lock)?;
        let (mut renamed, mut rows) = (Vec::new(), BTreeMap::new());
        let before = self.stat_cur()?;
        for located in &all {
            lock.touch();
            let Some((name, wire)) = sized(located) else { continue };
            let dir = self.folder.place(located.place());
            if name != located.name {
                match dir.rename_new(&located.name, dir, &name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        log!(Level::Warning, "{}: cannot put a size right: {error}", self.path_shown());
                        continue;
                    }
                    Ok(()) => renamed.push((located.name.clone(), name.clone())),
                }
            }
            // EMAILID is of the name that the message had first.
            let mut fields = located.fields.clone();
            if fields.get(b'G').is_none() {
                fields.set(b'G', located.base());
            }
            if fields.wire_size().is_some() {
                fields.set(b'W', wire.to_string().as_bytes());
            }
            rows.insert(located.row.uid, (located.place(), name, fields, wire));
        }
        self.folder.cur.sync()?;
        let uids: Vec<u32> = rows.keys().copied().collect();
        self.note(&uids, &before, |entry, _| {
            let mut row = entry.row;
            let Some((place, name, fields, wire)) = rows.get(&row.uid) else { return Edit::Row(row) };
            let kept = row.set_name(*place, name).to_vec();
            row.set_size(Some(*wire));
            Edit::All(row, kept, fields.octets().to_vec())
        })?;
        Ok(renamed)
    }

    /// The list still has the old names.
    pub(super) fn put_names_back(&mut self, renamed: Vec<(Vec<u8>, Vec<u8>)>) {
        for (before, after) in renamed {
            let (new, cur) = (&self.folder.new, &self.folder.cur);
            let back = cur.rename_new(&after, cur, &before).or_else(|_| new.rename_new(&after, new, &before));
            if let Err(error) = back {
                log!(Level::Error, "{}: {} keeps its name: {error}", self.path_shown(), Quoted(&after));
            }
        }
    }
}
