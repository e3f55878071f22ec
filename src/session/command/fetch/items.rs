//! One message's FETCH response: what it needs to know first, and its items in the order in which they were asked for.

use super::Trouble;
use super::kept;
use super::section::{self, Decoded};
use super::source::{LastRead, Need};
use crate::log::{Level, log};
use crate::message::section::{Section, SectionText};
use crate::message::thread;
use crate::protocol::Dialect;
use crate::protocol::command::fetch::{Fetch, FetchItem};
use crate::protocol::response;
use crate::session::Context;
use crate::session::channel::Channel;
use crate::session::selected::Selected;
use crate::session::updates::Items;
use crate::storage::StoreError;
use crate::storage::reader::{Block, Reader};
use crate::types::{DateTime, Flags, ModSeq, ObjectId, Uid};
use std::io::{self, Write};

/// What the items of a command ask of each message.
#[derive(Default)]
pub(super) struct Plan {
    need: Need,
    flags: bool,
    size: bool,
    date: bool,
    modseq: bool,
    save_date: bool,
    email: bool,
    thread: bool,
    /// Octets of the message are sent.
    content: bool,
    /// What the store keeps of messages is enough.
    kept_suffices: bool,
    /// What is found out is kept.
    fills: bool,
    /// The items mark what they read as \Seen.
    pub(super) sets_seen: bool,
}

impl Plan {
    pub(super) fn of(items: &[FetchItem]) -> Self {
        let mut plan = Plan { kept_suffices: kept::suffices(items), fills: kept::fills(items), ..Plan::default() };
        for item in items {
            plan.content |= matches!(
                item,
                FetchItem::Section { .. }
                    | FetchItem::Binary { .. }
                    | FetchItem::Rfc822
                    | FetchItem::Rfc822Header
                    | FetchItem::Rfc822Text
            );
            match item {
                FetchItem::Flags => plan.flags = true,
                FetchItem::Uid => {}
                FetchItem::InternalDate => plan.date = true,
                FetchItem::Size => plan.size = true,
                FetchItem::Envelope | FetchItem::Rfc822Header => plan.need.header = true,
                FetchItem::Body | FetchItem::BodyStructure => plan.need.structure = true,
                FetchItem::Section { section, peek, .. } => {
                    plan.section(section);
                    plan.sets_seen |= !peek;
                }
                FetchItem::Binary { path, peek, .. } => {
                    plan.binary(path);
                    plan.sets_seen |= !peek;
                }
                FetchItem::BinarySize { path } => plan.binary(path),
                FetchItem::Rfc822 => {
                    plan.need.length = true;
                    plan.sets_seen = true;
                }
                FetchItem::Rfc822Text => {
                    plan.need.structure = true;
                    plan.sets_seen = true;
                }
                FetchItem::ModSeq => plan.modseq = true,
                FetchItem::SaveDate => plan.save_date = true,
                FetchItem::EmailId => plan.email = true,
                FetchItem::ThreadId => {
                    plan.need.header = true;
                    plan.thread = true;
                }
            }
        }
        plan
    }

    fn section(&mut self, section: &Section) {
        match section.text {
            SectionText::Whole if section.path.is_empty() => self.need.length = true,
            SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)
                if section.path.is_empty() =>
            {
                self.need.header = true;
            }
            _ => self.need.structure = true,
        }
    }

    fn binary(&mut self, path: &[u32]) {
        if path.is_empty() { self.need.length = true } else { self.need.structure = true }
    }
}

/// What was found out before the first octet of the response is written, since from then on nothing may fail.
struct Known {
    flags: Option<Flags>,
    recent: bool,
    date: Option<DateTime>,
    size: Option<u64>,
    modseq: Option<ModSeq>,
    save_date: Option<DateTime>,
    email: Option<ObjectId>,
    thread: Option<ObjectId>,
    unknown_encoding: bool,
}

/// What is used again for each message of a command.
#[derive(Default)]
pub(super) struct Buffers {
    block: Block,
    kept: kept::Answers,
}

/// Answers for one message. With `seen_set` its flags are told even if not asked for, and after CONDSTORE what else tells of a change.
pub(super) fn answer(
    context: &mut Context<'_>,
    selected: &mut Selected,
    fetch: &Fetch,
    plan: &Plan,
    uid: Uid,
    seen_set: bool,
    buffers: &mut Buffers,
) -> Result<(), Trouble> {
    let Some(number) = selected.number_of(uid) else { return Ok(()) };
    let mailbox = &mut selected.mailbox;
    if !mailbox.uids().contains(uid) {
        return Err(StoreError::Expunged.into());
    }
    let mut known = Known {
        flags: if plan.flags || seen_set { Some(mailbox.flags(uid).ok_or(StoreError::Expunged)?) } else { None },
        recent: context.enabled.dialect() == Dialect::Rev1 && mailbox.recent().contains(uid),
        date: if plan.date { Some(mailbox.internal_date(uid)?) } else { None },
        size: None,
        modseq: if plan.modseq || seen_set { mailbox.modseq(uid) } else { None },
        save_date: if plan.save_date { mailbox.save_date(uid)? } else { None },
        email: if plan.email { Some(mailbox.email_id(uid)?) } else { None },
        thread: None,
        unknown_encoding: false,
    };
    let news = Items::of_news(*context.enabled);
    let told = [(news.uid, FetchItem::Uid), (news.flags, FetchItem::Flags), (news.modseq, FetchItem::ModSeq)];
    let told: Vec<FetchItem> = match seen_set {
        false => Vec::new(),
        true => {
            told.into_iter().filter(|(told, item)| *told && !fetch.items.contains(item)).map(|told| told.1).collect()
        }
    };
    if plan.modseq || (seen_set && news.modseq) {
        selected.modseq_told = selected.modseq_told.max(known.modseq);
    }
    let last = &mut selected.last_read;
    let mut source = None;
    let kept = plan.kept_suffices && buffers.kept.take(&mut **mailbox, uid, &fetch.items);
    if !plan.need.nothing() && !kept {
        let opened = source.insert(Reader::new(mailbox.read(uid)?, std::mem::take(&mut buffers.block)));
        // A mailbox that cannot be changed would not learn what it was wrong about.
        let mut size = || mailbox.size(uid);
        last.learn(uid, opened, plan.need, if selected.read_only { None } else { Some(&mut size) })?;
        known.unknown_encoding = has_unknown_encoding(opened, last, fetch).map_err(StoreError::Io)?;
        known.thread = last.header().filter(|_| plan.thread).and_then(thread::id);
        if plan.fills {
            kept::keep(&mut **mailbox, uid, last);
        }
    }
    if plan.size {
        // Once a message was measured, that is its size, so that it always agrees with BODY[].
        known.size = match last.whole().filter(|_| source.is_some()) {
            Some(whole) => Some(whole.wire),
            None => Some(mailbox.size(uid)?),
        };
    }

    let mark = context.channel.out.len();
    response::fetch::begin(&mut context.channel.out, number);
    let kept = kept.then(|| buffers.kept.iter());
    let mut response = Response { channel: context.channel, kept, source: source.as_mut(), last, known: &known, uid };
    match response.items(told.iter().chain(&fetch.items)) {
        Ok(0) => context.channel.out.truncate(mark),
        Ok(_) => context.channel.out.extend_from_slice(b")\r\n"),
        Err(error) => {
            if let Some(mut source) = source {
                let failed = source.failed();
                let at_odds = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
                let misled = at_odds && last.was_misled(&mut source);
                if misled {
                    // The store takes note of what was read.
                    let _ = mailbox.size(uid);
                }
                if failed || misled {
                    log!(
                        Level::Error,
                        "message {uid} cannot be read to its end, so the connection ends within it: {error}"
                    );
                }
            }
            return Err(Trouble::Broken(error));
        }
    }
    if let Some(source) = source {
        buffers.block = source.into_block();
    }
    context.counters.fetched += u64::from(plan.content);
    if known.unknown_encoding { Err(Trouble::UnknownEncoding) } else { Ok(()) }
}

/// Whether a part that is to be decoded cannot be. Decodes them all once.
fn has_unknown_encoding(source: &mut Reader, last: &mut LastRead, fetch: &Fetch) -> io::Result<bool> {
    let mut unknown = false;
    for item in &fetch.items {
        if let FetchItem::Binary { path, .. } | FetchItem::BinarySize { path } = item {
            unknown |= section::decoded(source, last, path)? == Decoded::Unknown;
        }
    }
    Ok(unknown)
}

/// A response on its way out.
struct Response<'a> {
    channel: &'a mut Channel,
    /// There if what is kept suffices: the items of content.
    kept: Option<kept::Iter<'a>>,
    /// There if the plan needs it.
    source: Option<&'a mut Reader>,
    last: &'a mut LastRead,
    known: &'a Known,
    uid: Uid,
}

impl Response<'_> {
    /// Says how many items were written.
    fn items<'i>(&mut self, items: impl Iterator<Item = &'i FetchItem>) -> io::Result<usize> {
        let mut written = 0;
        for item in items {
            if self.left_out(item)? {
                continue;
            }
            if written > 0 {
                self.channel.out.push(b' ');
            }
            self.item(item)?;
            written += 1;
        }
        Ok(written)
    }

    fn left_out(&mut self, item: &FetchItem) -> io::Result<bool> {
        match (item, self.source.as_deref_mut()) {
            (FetchItem::Binary { path, .. } | FetchItem::BinarySize { path }, Some(source)) => {
                Ok(section::decoded(source, self.last, path)? == Decoded::Unknown)
            }
            _ => Ok(false),
        }
    }

    fn item(&mut self, item: &FetchItem) -> io::Result<()> {
        let out = &mut self.channel.out;
        if let Some(kept) = self.kept.as_mut().filter(|_| kept::is_of_content(item)) {
            out.extend_from_slice(kept.next().unwrap_or_default());
            return Ok(());
        }
        match item {
            FetchItem::Flags => {
                response::fetch::flags(out, self.known.flags.as_ref().unwrap_or(&Flags::new()), self.known.recent);
            }
            FetchItem::Uid => response::fetch::uid(out, self.uid),
            FetchItem::ModSeq => response::fetch::modseq(out, self.known.modseq.unwrap_or(ModSeq::MIN)),
            FetchItem::SaveDate => response::fetch::save_date(out, self.known.save_date),
            FetchItem::EmailId => response::fetch::object_id(out, "EMAILID", self.known.email.as_ref()),
            FetchItem::ThreadId => response::fetch::object_id(out, "THREADID", self.known.thread.as_ref()),
            FetchItem::InternalDate => {
                response::fetch::internal_date(out, self.known.date.unwrap_or(DateTime::utc(0)));
            }
            FetchItem::Size => write!(out, "RFC822.SIZE {}", self.known.size.unwrap_or(0))?,
            FetchItem::Envelope => {
                out.extend_from_slice(b"ENVELOPE ");
                if let Some(message) = self.last.structure() {
                    response::envelope::envelope(out, &message.envelope);
                }
            }
            FetchItem::Body => self.structure("BODY ", false),
            FetchItem::BodyStructure => self.structure("BODYSTRUCTURE ", true),
            FetchItem::Section { section, partial, .. } => {
                response::fetch::section_name(out, section, partial.map(|p| p.offset));
                if let Some(source) = self.source.as_deref_mut() {
                    section::body(self.channel, source, self.last, section, *partial)?;
                }
            }
            FetchItem::Binary { path, partial, .. } => {
                response::fetch::binary_name(out, "BINARY", path, partial.map(|p| p.offset));
                if let Some(source) = self.source.as_deref_mut() {
                    section::binary(self.channel, source, self.last, path, *partial)?;
                }
            }
            FetchItem::BinarySize { path } => {
                response::fetch::binary_name(out, "BINARY.SIZE", path, None);
                let Some(source) = self.source.as_deref_mut() else { return Ok(()) };
                // The grammar has no NIL for a part that is missing.
                let size = match section::decoded(source, self.last, path)? {
                    Decoded::Octets { size, .. } => size,
                    Decoded::Missing | Decoded::Unknown => 0,
                };
                write!(self.channel.out, "{size}")?;
            }
            FetchItem::Rfc822 => self.whole_message("RFC822 ", SectionText::Whole)?,
            FetchItem::Rfc822Header => self.whole_message("RFC822.HEADER ", SectionText::Header)?,
            FetchItem::Rfc822Text => self.whole_message("RFC822.TEXT ", SectionText::Text)?,
        }
        Ok(())
    }

    fn structure(&mut self, name: &str, extended: bool) {
        self.channel.out.extend_from_slice(name.as_bytes());
        if let Some(message) = self.last.structure() {
            response::structure::structure(&mut self.channel.out, message, extended);
        }
    }

    /// A section of the message under its name of RFC 3501.
    fn whole_message(&mut self, name: &str, text: SectionText) -> io::Result<()> {
        self.channel.out.extend_from_slice(name.as_bytes());
        let section = Section { path: Vec::new(), text };
        match self.source.as_deref_mut() {
            Some(source) => section::body(self.channel, source, self.last, &section, None),
            None => Ok(()),
        }
    }
}
