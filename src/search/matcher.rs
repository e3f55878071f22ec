//! Does this message satisfy this query.
//!
//! A query is asked again each time more is known of the message: first what costs nothing, then date and size, then the header, then the body. As soon as
//! what is known decides, the rest is not looked at. Each message is opened at most once.

use super::reading::{Desk, Hunts, Reading, Which, folded_addresses, folded_forms};
use super::skim::{self, Fields, Skim};
use super::text::{Hunt, Needle};
use super::{Stopped, View};
use crate::message::structure::Kind;
use crate::message::{date, header, kept, thread};
use crate::storage::reader::Reader;
use crate::storage::{Kept, Mailbox, StoreError};
use crate::types::query::Query;
use crate::types::{Date, DateTime, Flags, Keyword, ModSeq, ObjectId, SequenceSet, SystemFlag, Uid, UidSet};

/// A query made ready for one view of a mailbox. It takes no more memory than the query and a set of messages
/// for each system flag in it.
pub struct Matcher<'a> {
    view: View<'a>,
    key: Key,
    fields: Vec<FieldKey>,
    /// Of BODY keys.
    body: Vec<Needle>,
    /// Of TEXT keys.
    text: Vec<Needle>,
    /// The messages that have the flags which are asked for.
    flagged: Vec<(SystemFlag, UidSet)>,
    uses: Uses,
}

/// What the keys ask for.
#[derive(Clone, Copy, Default)]
struct Uses {
    keywords: bool,
    date: bool,
    size: bool,
    modseq: bool,
    arrival: bool,
    email: bool,
    thread: bool,
    /// Fields of the header, the Date among them.
    fields: bool,
    sent: bool,
    addresses: bool,
    /// Some of the fields are not among those that stores keep.
    unusual_fields: bool,
    /// The whole text, header and body.
    text: bool,
}

/// A key whose texts lie in the matcher. No deeper than [`crate::limits::NESTING`] by the parser's rule, so that it can be
/// walked by recursion.
enum Key {
    Constant(bool),
    Every(Vec<Key>),
    Any(Vec<Key>),
    Not(Box<Key>),
    /// A sequence number within these ranges.
    Number(Ranges),
    Uid(Ranges),
    /// `$`
    Saved,
    Flag(SystemFlag),
    Keyword(Keyword),
    Recent,
    Internal(Day),
    /// At this moment or before.
    NotAfter(i64),
    /// At this moment or after.
    NotBefore(i64),
    Larger(u64),
    Smaller(u64),
    /// Changed at this moment or after.
    Changed(u64),
    /// Saved in this mailbox.
    Arrived(Day),
    Email(ObjectId),
    Thread(ObjectId),
    Sent(Day),
    Field(usize),
    Body(usize),
    Text(usize),
}

/// Ascending, disjoint, inclusive.
struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    fn contain(&self, number: u32) -> bool {
        let place = self.0.partition_point(|range| range.1 < number);
        self.0.get(place).is_some_and(|range| range.0 <= number)
    }
}

#[derive(Clone, Copy)]
enum Day {
    Before(Date),
    On(Date),
    Since(Date),
}

impl Day {
    fn holds(self, date: Date) -> bool {
        match self {
            Day::Before(day) => date < day,
            Day::On(day) => date == day,
            Day::Since(day) => date >= day,
        }
    }
}

/// A text in header fields of one name.
struct FieldKey {
    name: String,
    /// `None`: that there is such a field suffices.
    needle: Option<Needle>,
    addresses: bool,
}

/// What is known of a message; what is not yet known is `None`.
struct Facts {
    uid: Uid,
    /// Its sequence number.
    number: u32,
    saved: bool,
    /// Of the system flags that are asked for, those that the message has, as bits.
    system_flags: u8,
    flags: Option<Flags>,
    recent: bool,
    date: Option<DateTime>,
    size: Option<u64>,
    modseq: Option<u64>,
    arrival: Option<DateTime>,
    email: Option<ObjectId>,
    header: Option<HeaderFacts>,
    /// Which were found; those not found are so for good when `body_read`.
    body: Vec<bool>,
    text: Vec<bool>,
    body_read: bool,
}

struct HeaderFacts {
    /// The day of the Date field, if there is one that can be read.
    sent: Option<Date>,
    /// If some key asks for it.
    thread: Option<ObjectId>,
    fields: Vec<bool>,
}

impl<'a> Matcher<'a> {
    /// `now` in seconds since 1970.
    pub fn new(query: &Query, mailbox: &dyn Mailbox, view: View<'a>, now: i64) -> Self {
        let (fields, body, text, flagged, uses) = Default::default();
        let mut matcher = Self { view, key: Key::Constant(true), fields, body, text, flagged, uses };
        matcher.key = matcher.compile(query, now);
        for (flag, messages) in &mut matcher.flagged {
            *messages = mailbox.with_flag(*flag);
        }
        matcher
    }

    /// What the matching of one message after the other needs.
    pub(super) fn desk(&self) -> Desk<'_> {
        Desk::new(Hunts { body: Hunt::new(&self.body), text: Hunt::new(&self.text) })
    }

    fn compile(&mut self, query: &Query, now: i64) -> Key {
        let key = match query {
            Query::And(keys) => Key::Every(keys.iter().map(|key| self.compile(key, now)).collect()),
            Query::Or(one, other) => Key::Any(vec![self.compile(one, now), self.compile(other, now)]),
            Query::Not(key) => Key::Not(Box::new(self.compile(key, now))),
            Query::All => Key::Constant(true),
            // Numbers beyond the last message name nothing: clients search `1:500` in whatever mailbox there is.
            Query::Sequence(set) => {
                among(set, u32::try_from(self.view.messages.len()).unwrap_or(u32::MAX), Key::Number)
            }
            Query::Uid(set) => among(set, self.view.messages.last().map_or(0, |uid| uid.get()), Key::Uid),
            Query::Flag(flag) => {
                if self.flagged.iter().all(|(known, _)| known != flag) {
                    self.flagged.push((*flag, UidSet::new()));
                }
                Key::Flag(*flag)
            }
            Query::Keyword(keyword) => Key::Keyword(keyword.clone()),
            Query::Recent => Key::Recent,
            Query::Before(day) => Key::Internal(Day::Before(*day)),
            Query::On(day) => Key::Internal(Day::On(*day)),
            Query::Since(day) => Key::Internal(Day::Since(*day)),
            Query::SentBefore(day) => Key::Sent(Day::Before(*day)),
            Query::SentOn(day) => Key::Sent(Day::On(*day)),
            Query::SentSince(day) => Key::Sent(Day::Since(*day)),
            Query::Larger(size) => Key::Larger(*size),
            Query::Smaller(size) => Key::Smaller(*size),
            Query::Older(seconds) => Key::NotAfter(now.saturating_sub(i64::from(*seconds))),
            Query::Younger(seconds) => Key::NotBefore(now.saturating_sub(i64::from(*seconds))),
            Query::ModSeq(since) => Key::Changed(*since),
            Query::SavedBefore(day) => Key::Arrived(Day::Before(*day)),
            Query::SavedOn(day) => Key::Arrived(Day::On(*day)),
            Query::SavedSince(day) => Key::Arrived(Day::Since(*day)),
            // Every store of ours does.
            Query::SaveDateSupported => Key::Constant(true),
            Query::EmailId(id) => Key::Email(id.clone()),
            Query::ThreadId(id) => Key::Thread(id.clone()),
            Query::Header(name, text) => self.field(name, text, false),
            Query::Address(field, text) => self.field(field.name(), text, true),
            Query::Subject(text) => self.field("Subject", text, false),
            Query::Body(text) | Query::Text(text) if text.is_empty() => Key::Constant(true),
            Query::Body(text) => {
                self.body.push(Needle::new(text));
                Key::Body(self.body.len() - 1)
            }
            Query::Text(text) => {
                self.text.push(Needle::new(text));
                Key::Text(self.text.len() - 1)
            }
        };
        match key {
            Key::Keyword(_) => self.uses.keywords = true,
            Key::Internal(_) | Key::NotAfter(_) | Key::NotBefore(_) => self.uses.date = true,
            Key::Larger(_) | Key::Smaller(_) => self.uses.size = true,
            Key::Changed(_) => self.uses.modseq = true,
            Key::Arrived(_) => self.uses.arrival = true,
            Key::Email(_) => self.uses.email = true,
            Key::Thread(_) => (self.uses.fields, self.uses.thread) = (true, true),
            Key::Sent(_) => (self.uses.fields, self.uses.sent) = (true, true),
            Key::Field(_) => self.uses.fields = true,
            Key::Text(_) => self.uses.text = true,
            _ => {}
        }
        key
    }

    fn field(&mut self, name: &str, text: &str, addresses: bool) -> Key {
        self.uses.addresses |= addresses;
        self.uses.unusual_fields |= !kept::has_field(name.as_bytes());
        let needle = (!text.is_empty()).then(|| Needle::new(text));
        self.fields.push(FieldKey { name: name.to_owned(), needle, addresses });
        Key::Field(self.fields.len() - 1)
    }

    /// Whether the message satisfies the query. `Expunged` if it is gone.
    pub(super) fn matches(
        &self,
        mailbox: &mut dyn Mailbox,
        uid: Uid,
        desk: &mut Desk<'_>,
        cancelled: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Stopped> {
        let Ok(place) = self.view.messages.binary_search(&uid) else { return Ok(false) };
        if !mailbox.uids().contains(uid) {
            return Ok(false);
        }
        let mut facts = Facts {
            uid,
            number: u32::try_from(place + 1).unwrap_or(u32::MAX),
            saved: self.view.saved.contains(uid),
            system_flags: self
                .flagged
                .iter()
                .filter(|(_, messages)| messages.contains(uid))
                .map(|(flag, _)| *flag as u8)
                .sum(),
            flags: None,
            date: None,
            size: None,
            modseq: if self.uses.modseq { mailbox.modseq(uid).map(ModSeq::get) } else { None },
            arrival: None,
            email: None,
            header: None,
            body_read: false,
            recent: mailbox.recent().contains(uid),
            body: vec![false; self.body.len()],
            text: vec![false; self.text.len()],
        };
        if self.uses.keywords {
            facts.flags = Some(mailbox.flags(uid).ok_or(Stopped::Store(StoreError::Expunged))?);
        }
        if let Some(decided) = self.key.decide(&facts) {
            return Ok(decided);
        }
        if self.uses.date {
            facts.date = Some(mailbox.internal_date(uid).map_err(Stopped::Store)?);
            if let Some(decided) = self.key.decide(&facts) {
                return Ok(decided);
            }
        }
        if self.uses.arrival {
            // RFC 8514 section 4.3: the other date where there is none.
            facts.arrival = match mailbox.save_date(uid).map_err(Stopped::Store)? {
                Some(saved) => Some(saved),
                None => Some(mailbox.internal_date(uid).map_err(Stopped::Store)?),
            };
            if let Some(decided) = self.key.decide(&facts) {
                return Ok(decided);
            }
        }
        if self.uses.email {
            facts.email = Some(mailbox.email_id(uid).map_err(Stopped::Store)?);
            if let Some(decided) = self.key.decide(&facts) {
                return Ok(decided);
            }
        }
        if self.uses.size {
            facts.size = Some(mailbox.size(uid).map_err(Stopped::Store)?);
            if let Some(decided) = self.key.decide(&facts) {
                return Ok(decided);
            }
        }
        if self.uses.fields && !self.uses.unusual_fields {
            mailbox.kept(uid, Kept::Header, &mut |value| {
                facts.header = kept::octets(value).map(|header| self.look_at_header(header, &mut desk.skim));
            });
            if let Some(decided) = self.key.decide(&facts) {
                return Ok(decided);
            }
        }
        let content = mailbox.read(uid).map_err(Stopped::Store)?;
        let mut reading = Reading::new(Reader::new(content, std::mem::take(&mut desk.block)), cancelled);
        let decided = self.read(&mut facts, mailbox, &mut reading, desk);
        desk.block = reading.into_block();
        decided
    }

    /// Goes on with the content of the message.
    fn read(
        &self,
        facts: &mut Facts,
        mailbox: &mut dyn Mailbox,
        reading: &mut Reading<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<bool, Stopped> {
        let Desk { hunts, texts, skim, .. } = desk;
        hunts.begin();
        if facts.header.is_none() && self.uses.fields || self.uses.text {
            let (header, whole) = reading.header()?;
            if facts.header.is_none() && self.uses.fields {
                facts.header = Some(self.look_at_header(&header, skim));
                if whole && let Some(value) = kept::header(&header) {
                    mailbox.keep(facts.uid, Kept::Header, &value);
                }
            }
            if self.uses.text {
                hunts.header(&header, &[Which::Text]);
                facts.text.copy_from_slice(hunts.text.found());
            }
            if let Some(decided) = self.key.decide(facts) {
                return Ok(decided);
            }
        }
        let message = reading.scan()?;
        for (at, part) in message.parts().enumerate() {
            if at > 0 && !hunts.text.is_over() {
                hunts.header(&reading.octets(part.header)?, &[Which::Text]);
            }
            match &part.kind {
                Kind::Leaf => reading.body(part, hunts, texts)?,
                // The header of a message within this one is part of the body, as the reader of the mail sees it.
                Kind::Message(inner) => {
                    hunts.header(&reading.octets(inner.root.header)?, &[Which::Body, Which::Text]);
                }
                Kind::Multipart(_) => {}
            }
            if facts.body != hunts.body.found() || facts.text != hunts.text.found() {
                facts.body.copy_from_slice(hunts.body.found());
                facts.text.copy_from_slice(hunts.text.found());
                if let Some(decided) = self.key.decide(facts) {
                    return Ok(decided);
                }
            }
        }
        facts.body_read = true;
        Ok(self.key.decide(facts).unwrap_or(false))
    }

    fn look_at_header(&self, header: &[u8], skim: &mut Skim) -> HeaderFacts {
        let thread = if self.uses.thread { thread::id(header) } else { None };
        let mut facts = HeaderFacts { sent: None, thread, fields: vec![false; self.fields.len()] };
        let kinds = if self.uses.addresses { Fields::Addresses } else { Fields::Texts };
        let is_asked_for = |first: u8| {
            let like = |name: &str| name.as_bytes().first().is_some_and(|known| known.eq_ignore_ascii_case(&first));
            (self.uses.sent && like("Date")) || self.fields.iter().any(|key| like(&key.name))
        };
        for field in header::fields_like(header, is_asked_for) {
            if self.uses.sent && facts.sent.is_none() && field.name.eq_ignore_ascii_case(b"Date") {
                facts.sent = date::parse(field.value).map(DateTime::date);
            }
            // Looked over, and decoded, at most once, however many keys ask for it.
            let (mut simple, mut texts, mut addresses) = (None, None, None);
            for (key, found) in self.fields.iter().zip(&mut facts.fields) {
                if *found || !field.name.eq_ignore_ascii_case(key.name.as_bytes()) {
                    continue;
                }
                let Some(needle) = &key.needle else {
                    *found = true;
                    continue;
                };
                if *simple.get_or_insert_with(|| skim.over(field.value, kinds)) && !skim.may_hold(needle) {
                    continue;
                }
                let texts = texts.get_or_insert_with(|| folded_forms(&field));
                *found = texts.iter().any(|text| needle.is_in(text));
                // Taken apart only where its addresses can have letters side by side that its text has not.
                if !*found
                    && key.addresses
                    && (skim::divides(field.value) || texts.iter().any(|text| needle.may_be_in(text)))
                {
                    *found = needle.is_in(addresses.get_or_insert_with(|| folded_addresses(field.value)));
                }
            }
        }
        facts
    }
}

impl Key {
    /// `None` if not enough is known.
    fn decide(&self, facts: &Facts) -> Option<bool> {
        let searched = |found: &[bool], at: usize| match found.get(at) {
            Some(true) => Some(true),
            _ => facts.body_read.then_some(false),
        };
        match self {
            Key::Constant(value) => Some(*value),
            Key::Every(keys) => all(keys.iter().map(|key| key.decide(facts))),
            Key::Any(keys) => all(keys.iter().map(|key| key.decide(facts).map(|value| !value))).map(|none| !none),
            Key::Not(key) => key.decide(facts).map(|value| !value),
            Key::Number(ranges) => Some(ranges.contain(facts.number)),
            Key::Uid(ranges) => Some(ranges.contain(facts.uid.get())),
            Key::Saved => Some(facts.saved),
            Key::Flag(flag) => Some(facts.system_flags & *flag as u8 != 0),
            Key::Keyword(keyword) => facts.flags.as_ref().map(|flags| flags.has_keyword(keyword)),
            Key::Recent => Some(facts.recent),
            Key::Internal(day) => facts.date.map(|date| day.holds(date.date())),
            Key::NotAfter(moment) => facts.date.map(|date| date.seconds <= *moment),
            Key::NotBefore(moment) => facts.date.map(|date| date.seconds >= *moment),
            Key::Larger(size) => facts.size.map(|s| s > *size),
            Key::Smaller(size) => facts.size.map(|s| s < *size),
            Key::Changed(since) => Some(facts.modseq.is_some_and(|modseq| modseq >= *since)),
            Key::Arrived(day) => facts.arrival.map(|date| day.holds(date.date())),
            Key::Email(id) => facts.email.as_ref().map(|email| email == id),
            Key::Thread(id) => facts.header.as_ref().map(|header| header.thread.as_ref() == Some(id)),
            Key::Sent(day) => facts.header.as_ref().map(|header| header.sent.is_some_and(|sent| day.holds(sent))),
            Key::Field(at) => facts.header.as_ref().map(|header| header.fields.get(*at).copied().unwrap_or(false)),
            Key::Body(at) => searched(&facts.body, *at),
            Key::Text(at) => searched(&facts.text, *at),
        }
    }
}

/// Whether all hold: no if one does not, whatever the others are; unknown if only unknown ones stand in the way.
fn all(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for value in values {
        match value {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

/// The numbers of a set, `*` being `last`.
fn among(set: &SequenceSet, last: u32, numbers: fn(Ranges) -> Key) -> Key {
    set.normalized(last).map_or(Key::Saved, |ranges| numbers(Ranges(ranges)))
}
