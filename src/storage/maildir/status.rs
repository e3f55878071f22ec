//! What STATUS asks, remembered as long as nothing in the folder changes.

use super::file_name;
use super::mailbox::MaildirMailbox;
use crate::storage::{Mailbox, MailboxStatus, Result, StatusWanted};
use crate::types::{SystemFlag, Uid};

impl MaildirMailbox {
    pub(super) fn status(&mut self, wanted: StatusWanted) -> Result<MailboxStatus> {
        let mut status = MailboxStatus {
            messages: count(self.messages.len()),
            recent: count(self.recent.len()),
            uid_next: self.uid_next(),
            uid_validity: self.uid_validity(),
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
