//! What STATUS asks, remembered as long as nothing in the folder changes.

use super::mailbox::MaildirMailbox;
use super::{keywords, recent, uid_list};
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
    files: [Option<(u64, u64, Time)>; 4],
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
            files: [uid_list::FILE, recent::FILE, keywords::LETTERS_FILE, keywords::MORE_FILE].map(file),
        })
    }
}

impl Remembered {
    /// Remembers a status just computed, if any change from now on will show.
    pub fn new(mailbox: &MaildirMailbox, wanted: StatusWanted, status: &MailboxStatus) -> Option<Self> {
        let settled = mailbox.settled()?;
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
    /// `new` and `cur` as the index has them, if their times show every change.
    fn settled(&self) -> Option<[(u64, u64, Time); 2]> {
        let index = self.root.index().ok()?;
        let record = self.record(&index.read().ok()?).ok()??;
        Some([record.new.settled()?, record.cur.settled()?])
    }

    pub(super) fn status(&mut self, wanted: StatusWanted) -> Result<MailboxStatus> {
        let mut status = MailboxStatus {
            messages: count(self.view.messages().len()),
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
            status.unseen = status.messages.saturating_sub(count(self.with_flag(SystemFlag::Seen).len()));
            status.deleted = count(self.with_flag(SystemFlag::Deleted).len());
        }
        if wanted.size {
            let uids: Vec<Uid> = self.view.messages().iter().map(|shown| shown.uid).collect();
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
