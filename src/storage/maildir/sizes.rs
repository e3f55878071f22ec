//! Message sizes: trusted where the name or the list has them, computed once where not, put right where they prove wrong.

use super::file_name;
use super::lock::Lock;
use super::mailbox::{MaildirMailbox, Message};
use super::message::{count_wire, is_compressed};
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Result, StoreError};
use crate::sys::file::Stat;
use crate::types::Uid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

impl MaildirMailbox {
    /// RFC822.SIZE.
    pub(super) fn wire_size(&mut self, uid: Uid) -> Result<u64> {
        self.take_corrections();
        let known = |mailbox: &Self| {
            let at = mailbox.index(uid).ok_or(StoreError::Expunged)?;
            Ok::<_, StoreError>(mailbox.messages.get(at).and_then(Message::size))
        };
        if let Some(size) = known(self)? {
            return Ok(size);
        }
        let (at, file, _) = self.open_message(uid)?;
        // Opening may have counted already, when the name was found to be wrong.
        if let Some(size) = known(self)? {
            return Ok(size);
        }
        if is_compressed(&file)? {
            return self.refuse_compressed(at);
        }
        let wire = count_wire(&file)?;
        if let Some(message) = self.messages.get_mut(at) {
            message.set_size(wire);
            self.unrecorded_sizes += 1;
        }
        Ok(wire)
    }

    /// A size in the name that is not that of the file: then nothing is taken on trust.
    pub(super) fn check_size(&mut self, at: usize, file: &File, stat: &Stat) -> Result<()> {
        let Some(message) = self.messages.get(at) else { return Ok(()) };
        let named = file_name::stored_size(&message.name);
        // Each LF adds one octet at most.
        let plausible = message.size().is_none_or(|w| w >= stat.size && w / 2 <= stat.size);
        let unquestioned = self.wrong_sizes.contains_key(&message.uid);
        if unquestioned || (named.is_none_or(|s| s == stat.size) && plausible) {
            return Ok(());
        }
        if is_compressed(file)? {
            return self.refuse_compressed(at);
        }
        let wire = count_wire(file)?;
        self.correct_size(at, stat.size, wire);
        Ok(())
    }

    fn refuse_compressed<T>(&self, at: usize) -> Result<T> {
        let name = self.messages.get(at).map(|m| &*m.name).unwrap_or_default();
        log!(Level::Error, "{}: {} is compressed, which imapd does not read", self.path_shown(), Quoted(name));
        Err(StoreError::Io(io::ErrorKind::InvalidData.into()))
    }

    /// What readers found out since.
    pub(super) fn take_corrections(&mut self) {
        for (uid, stored, wire) in self.corrections.take() {
            if let Some(at) = self.index(uid) {
                self.correct_size(at, stored, wire);
            }
        }
    }

    fn correct_size(&mut self, at: usize, stored: u64, wire: u64) {
        let shown = self.path_shown();
        let Some(message) = self.messages.get_mut(at) else { return };
        log!(
            Level::Warning,
            "{shown}: {} has {wire} octets, not what its name or the list says",
            Quoted(&message.name)
        );
        message.set_size(wire);
        let uid = message.uid;
        self.wrong_sizes.insert(uid, (stored, wire));
    }

    /// Whether so many sizes were computed, or found wrong, that the next session should be spared the work.
    pub(super) fn sizes_are_worth_recording(&self) -> bool {
        self.access == Access::ReadWrite
            && (self.unrecorded_sizes > self.messages.len() / 8 || !self.wrong_sizes.is_empty())
    }

    /// Before the list is written anew, under the lock: names without wrong sizes, and fields for those that names do not have.
    /// Says which messages had which names.
    pub(super) fn put_sizes_right(&mut self, lock: &mut Lock) -> Vec<(Uid, Box<[u8]>)> {
        let mut renamed = Vec::new();
        let wrong = std::mem::take(&mut self.wrong_sizes);
        if self.access == Access::ReadWrite
            && !wrong.is_empty()
            && let Err(error) = self.rename_sizes(&wrong, lock, &mut renamed)
        {
            log!(Level::Warning, "{}: cannot put sizes right: {error}", self.path_shown());
        }
        for message in &mut self.messages {
            if let Some(size) = message.size()
                && file_name::wire_size(&message.name).is_none()
                && message.fields.wire_size() != Some(size)
            {
                message.fields.set(b'W', size.to_string().as_bytes());
            }
        }
        self.unrecorded_sizes = 0;
        renamed
    }

    fn rename_sizes(
        &mut self,
        wrong: &BTreeMap<Uid, (u64, u64)>,
        lock: &mut Lock,
        done: &mut Vec<(Uid, Box<[u8]>)>,
    ) -> Result<()> {
        self.refresh_keywords()?;
        // Should we be stopped between, a message's keywords are found by either name.
        for (&uid, &(stored, wire)) in wrong {
            if let Some(message) = self.index(uid).and_then(|at| self.messages.get(at)) {
                let name = file_name::with_sizes(&message.name, stored, wire);
                self.keywords.copy_more(message.base(), file_name::base(&name));
            }
        }
        self.keywords.save(&self.folder, lock)?;
        for (&uid, &(stored, wire)) in wrong {
            lock.touch();
            let Some(at) = self.index(uid) else { continue };
            let renamed = self.with_file(at, |mailbox, message| {
                let (dir, name) =
                    (mailbox.folder.place(message.place), file_name::with_sizes(&message.name, stored, wire));
                if *name != *message.name {
                    dir.rename_new(&message.name, dir, &name)?;
                }
                Ok(name)
            })?;
            if let (Some(name), Some(message)) = (renamed, self.messages.get_mut(at)) {
                done.push((uid, std::mem::replace(&mut message.name, name.into())));
            }
        }
        Ok(())
    }

    /// The list still has the old names.
    pub(super) fn put_names_back(&mut self, renamed: Vec<(Uid, Box<[u8]>)>) {
        for (uid, name) in renamed {
            let Some(at) = self.index(uid) else { continue };
            let back = self.with_file(at, |mailbox, message| {
                let dir = mailbox.folder.place(message.place);
                if *message.name == *name { Ok(()) } else { dir.rename_new(&message.name, dir, &name) }
            });
            match (back, self.messages.get_mut(at)) {
                (Ok(Some(())), Some(message)) => message.name = name,
                (Err(error), _) => log!(Level::Error, "{}: {uid} keeps another name: {error}", self.path_shown()),
                _ => {}
            }
        }
    }
}
