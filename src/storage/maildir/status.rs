//! What STATUS asks, remembered as long as nothing in the folder changes.

use super::file_name;
use super::mailbox::MaildirMailbox;
use super::{recent, uid_list};
use crate::storage::{Mailbox, MailboxStatus, Result, StatusWanted};
use crate::sys::file::{Time, stat_path};
use crate::types::{SystemFlag, Uid};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A status, and what the folder looked like on disk when it was true.
pub struct Remembered {
    seen: Seen,
    wanted: StatusWanted,
    status: MailboxStatus,
}

/// Device, inode and time of `new` and `cur`; inode, size and time of the UID list and of what is recent.
#[derive(PartialEq, Eq)]
struct Seen {
    directories: [(u64, u64, Time); 2],
    files: [Option<(u64, u64, Time)>; 2],
}

impl Seen {
    fn look(folder: &Path) -> Option<Self> {
        let directory = |name: &str| {
            let stat = stat_path(&folder.join(name)).ok()?;
            Some((stat.device, stat.inode, stat.modified))
        };
        let file = |name: &[u8]| {
            let stat = stat_path(&folder.join(OsStr::from_bytes(name))).ok()?;
            Some((stat.inode, stat.size, stat.modified))
        };
        Some(Self {
            directories: [directory("new")?, directory("cur")?],
            files: [file(uid_list::FILE), file(recent::FILE)],
        })
    }
}

impl Remembered {
    /// Remembers a status just computed, if any change from now on will show.
    pub fn new(mailbox: &MaildirMailbox, wanted: StatusWanted, status: &MailboxStatus) -> Option<Self> {
        let settled = [mailbox.new_stamp.settled()?, mailbox.cur_stamp.settled()?];
        let seen = Seen::look(&mailbox.folder.path)?;
        let same = seen.directories == settled && mailbox.list.is_current(&mailbox.folder.dir);
        same.then(|| Self { seen, wanted, status: status.clone() })
    }

    /// The status, if it is still true and has what is wanted.
    pub fn recall(&self, folder: &Path, wanted: StatusWanted) -> Option<MailboxStatus> {
        let enough = (self.wanted.size || !wanted.size) && (self.wanted.counts || !wanted.counts);
        if !enough || Seen::look(folder).as_ref() != Some(&self.seen) {
            return None;
        }
        let mut status = self.status.clone();
        if !wanted.size {
            status.size = 0;
        }
        if !wanted.counts {
            (status.unseen, status.deleted) = (0, 0);
        }
        Some(status)
    }
}

impl MaildirMailbox {
    pub(super) fn status(&mut self, wanted: StatusWanted) -> Result<MailboxStatus> {
        let mut status = MailboxStatus {
            messages: count(self.messages.len()),
            recent: count(self.recent.len()),
            uid_next: self.uid_next(),
            uid_validity: self.uid_validity(),
            highest_modseq: self.highest_modseq(),
            id: self.id(),
            unseen: 0,
            deleted: 0,
            size: 0,
        };
        if wanted.counts {
            for message in &self.messages {
                let letters = file_name::letters(&message.name);
                status.unseen += u32::from(letters.system().all(|flag| flag != SystemFlag::Seen));
                status.deleted += u32::from(letters.system().any(|flag| flag == SystemFlag::Deleted));
            }
        }
        if wanted.size {
            let uids: Vec<Uid> = self.messages.iter().map(|m| m.uid).collect();
            for uid in uids {
                // One that vanished or cannot be read adds nothing.
                status.size = status.size.saturating_add(self.size(uid).unwrap_or(0));
            }
        }
        Ok(status)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
