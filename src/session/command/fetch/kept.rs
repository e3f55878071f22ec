//! FETCH from what the store keeps of messages, and to it.

use super::section;
use super::source::LastRead;
use crate::message::header;
use crate::message::kept;
use crate::message::section::{Section, SectionText};
use crate::message::thread;
use crate::protocol::command::fetch::FetchItem;
use crate::protocol::response;
use crate::storage::{Kept, Mailbox};
use crate::types::Uid;

/// So many values of one message are in memory at once.
const VALUES: usize = 4;

/// The items of one message that were answered from what is kept. Used again for each message.
#[derive(Default)]
pub(super) struct Answers {
    octets: Vec<u8>,
    ends: Vec<usize>,
}

/// Whether these items need nothing of a message's content but what stores keep, and something of that.
pub(super) fn suffices(items: &[FetchItem]) -> bool {
    let of_content = items.iter().filter(|item| is_of_content(item)).count();
    let kept = items.iter().filter(|item| kind(item).is_some()).count();
    of_content == kept && (1..=VALUES).contains(&kept)
}

/// Whether an item cannot be answered without knowing the content of the message.
pub(super) fn is_of_content(item: &FetchItem) -> bool {
    use FetchItem::{EmailId, Flags, InternalDate, ModSeq, SaveDate, Size, Uid};
    !matches!(item, Flags | Uid | InternalDate | Size | ModSeq | SaveDate | EmailId)
}

impl Answers {
    /// Takes the answers to those of the items that are about the content of the message; `false` if one of them is not there.
    pub(super) fn take(&mut self, mailbox: &mut dyn Mailbox, uid: Uid, items: &[FetchItem]) -> bool {
        self.octets.clear();
        self.ends.clear();
        items.iter().filter(|item| is_of_content(item)).all(|item| {
            let written = write(mailbox, uid, item, &mut self.octets);
            self.ends.push(self.octets.len());
            written
        })
    }

    /// One after the other, each with its item's name.
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter { octets: &self.octets, ends: self.ends.iter(), at: 0 }
    }
}

/// What is left of [`Answers`].
pub(super) struct Iter<'a> {
    octets: &'a [u8],
    ends: std::slice::Iter<'a, usize>,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = std::mem::replace(&mut self.at, *self.ends.next()?);
        self.octets.get(start..self.at)
    }
}

/// Whether what is found out for these items is worth keeping.
pub(super) fn fills(items: &[FetchItem]) -> bool {
    items.iter().any(|item| kind(item).is_some())
}

/// Which of the values kept has the answer.
fn kind(item: &FetchItem) -> Option<Kept> {
    match item {
        FetchItem::Envelope => Some(Kept::Envelope),
        FetchItem::BodyStructure => Some(Kept::Structure),
        FetchItem::ThreadId => Some(Kept::Header),
        FetchItem::Section { section: Section { path, text: SectionText::HeaderFields(names) }, .. }
            if path.is_empty() && names.iter().all(|name| kept::has_field(name)) =>
        {
            Some(Kept::Header)
        }
        _ => None,
    }
}

/// Writes an item, name and value, if its value is kept.
fn write(mailbox: &mut dyn Mailbox, uid: Uid, item: &FetchItem, out: &mut Vec<u8>) -> bool {
    let Some(kind) = kind(item) else { return false };
    let mut written = false;
    mailbox.kept(uid, kind, &mut |octets| {
        let Some(octets) = kept::octets(octets) else { return };
        match item {
            FetchItem::Envelope => {
                out.extend_from_slice(b"ENVELOPE ");
                out.extend_from_slice(octets);
            }
            FetchItem::BodyStructure => {
                out.extend_from_slice(b"BODYSTRUCTURE ");
                out.extend_from_slice(octets);
            }
            FetchItem::ThreadId => response::fetch::object_id(out, "THREADID", thread::id(octets).as_ref()),
            FetchItem::Section { section: asked, partial, .. } => {
                let SectionText::HeaderFields(names) = &asked.text else { return };
                response::fetch::section_name(out, asked, partial.map(|p| p.offset));
                section::selected(out, header::select(octets, names, true), *partial);
            }
            _ => return,
        }
        written = true;
    });
    written
}

/// Keeps what was found out of a message and is not kept. Of one of which not all was scanned, no structure.
pub(super) fn keep(mailbox: &mut dyn Mailbox, uid: Uid, last: &LastRead) {
    let Some(message) = last.structure() else { return };
    let mut value = Vec::new();
    for kind in [Kept::Envelope, Kept::Structure, Kept::Header] {
        let mut known = false;
        mailbox.kept(uid, kind, &mut |octets| known = kept::octets(octets).is_some());
        if known {
            continue;
        }
        value.clear();
        let made = match kind {
            Kept::Envelope => {
                response::envelope::envelope(&mut value, &message.envelope);
                kept::value(&value)
            }
            Kept::Structure if last.is_complete() => {
                response::structure::structure(&mut value, message, true);
                kept::value(&value)
            }
            Kept::Structure => None,
            Kept::Header => last.header().and_then(kept::header),
        };
        if let Some(made) = made {
            mailbox.keep(uid, kind, &made);
        }
    }
}
