//! The books: what a client was told of mailboxes and messages, and whether it still holds.

use crate::site::Heard;
use crate::support::{Client, expand};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// All mail as one client found it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    pub mailboxes: BTreeMap<String, Contents>,
    pub subscribed: BTreeSet<String>,
}

/// One mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    pub validity: u32,
    pub next: u32,
    pub messages: BTreeMap<u32, Message>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Message {
    /// By which it is known from all others.
    pub id: String,
    pub flags: BTreeSet<String>,
}

impl Snapshot {
    /// Looks at everything.
    pub fn take(client: &mut Client) -> Self {
        let mut snapshot = Self::default();
        let listed = client.ok("LIST \"\" *");
        // A name that stands there for those below it alone is no mailbox.
        let is_there =
            |name: &&str| !listed.attributes(name).unwrap().iter().any(|attribute| attribute == "\\Noselect");
        let names: Vec<String> = listed.names().into_iter().filter(is_there).map(str::to_owned).collect();
        snapshot.subscribed = client.ok("LSUB \"\" *").names().into_iter().map(str::to_owned).collect();
        for name in names {
            let status = client.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY)"));
            let contents = Contents::take(client, &name);
            for (item, seen) in [
                ("UIDNEXT", contents.next),
                ("UIDVALIDITY", contents.validity),
                ("MESSAGES", contents.messages.len() as u32),
            ] {
                assert_eq!(status.status(&name, item), Some(u64::from(seen)), "{item} of {name}: STATUS, then EXAMINE");
            }
            snapshot.mailboxes.insert(name, contents);
        }
        client.ok("UNSELECT");
        snapshot
    }

    /// For each message its mailboxes, and by what flags it is there, once for each time.
    fn places(&self) -> BTreeMap<&str, BTreeMap<&str, Vec<&BTreeSet<String>>>> {
        let mut places: BTreeMap<&str, BTreeMap<&str, Vec<&BTreeSet<String>>>> = BTreeMap::new();
        for (name, contents) in &self.mailboxes {
            for message in contents.messages.values() {
                places.entry(&message.id).or_default().entry(name).or_default().push(&message.flags);
            }
        }
        places.values_mut().flat_map(|homes| homes.values_mut()).for_each(|flags| flags.sort());
        places
    }

    fn names(&self) -> BTreeSet<&String> {
        self.mailboxes.keys().collect()
    }

    /// The same but for the numbers.
    pub fn agrees_with(&self, other: &Snapshot) -> bool {
        self.places() == other.places() && self.names() == other.names() && self.subscribed == other.subscribed
    }

    /// The messages of a mailbox by their sequence numbers, from 0.
    pub fn sequence(&self, mailbox: &str) -> Vec<(u32, String)> {
        let Some(contents) = self.mailboxes.get(mailbox) else { return Vec::new() };
        contents.messages.iter().map(|(uid, message)| (*uid, message.id.clone())).collect()
    }
}

impl Contents {
    pub fn take(client: &mut Client, mailbox: &str) -> Self {
        client.ok(&format!("EXAMINE {mailbox}"));
        let mirror = client.mirror_of_selected();
        let (validity, next) = (mirror.uid_validity.unwrap(), mirror.uid_next.unwrap());
        let mut messages = BTreeMap::new();
        if !mirror.messages.is_empty() {
            let answer = client.ok("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-ID)])");
            for (_, items) in answer.fetches() {
                let item = |wanted: &str| &items.iter().find(|(name, _)| name.starts_with(wanted)).unwrap().1;
                let header = item("BODY[").text();
                let id = header.strip_prefix("X-Id: ").expect("each message has a name").trim_end().to_owned();
                let flags = item("FLAGS").list().iter().map(|flag| flag.text()).filter(|f| f != "\\Recent").collect();
                messages.insert(item("UID").number() as u32, Message { id, flags });
            }
        }
        Self { validity, next, messages }
    }
}

/// Everything that any client was ever told. UIDVALIDITY is never the same for two mailboxes of one Maildir, so it names one.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    messages: HashMap<(u32, u32), String>,
    next: HashMap<u32, u32>,
    /// UIDs that were told to be gone.
    gone: HashSet<(u32, u32)>,
    /// UIDs that must be there.
    live: HashSet<(u32, u32)>,
}

impl Ledger {
    /// A UID of a mailbox stands for this message, for ever.
    pub fn told(&mut self, validity: u32, uid: u32, id: &str) {
        let before = self.messages.entry((validity, uid)).or_insert_with(|| id.to_owned());
        assert_eq!(before, id, "UID {uid} of {validity} was one message and is another");
        assert!(!self.gone.contains(&(validity, uid)), "UID {uid} of {validity}, {id}, was expunged and is back");
    }

    /// It is there until it is told to be gone.
    pub fn must_be(&mut self, validity: u32, uid: u32, id: &str) {
        self.told(validity, uid, id);
        self.live.insert((validity, uid));
    }

    pub fn must_be_gone(&mut self, validity: u32, uid: u32) {
        self.gone.insert((validity, uid));
    }

    /// Takes in a snapshot, and checks it.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        let mut validities = HashSet::new();
        for (name, contents) in &snapshot.mailboxes {
            assert!(validities.insert(contents.validity), "{name} has the UIDVALIDITY of another mailbox");
            self.learn_one(name, contents);
        }
        let missing = self.live.iter().find(|(validity, uid)| {
            let mailbox = snapshot.mailboxes.values().find(|contents| contents.validity == *validity);
            !mailbox.is_some_and(|contents| contents.messages.contains_key(uid))
        });
        assert_eq!(missing, None, "a UID that was told is missing, {:?}", missing.and_then(|at| self.messages.get(at)));
    }

    fn learn_one(&mut self, name: &str, contents: &Contents) {
        let known = self.next.get(&contents.validity).copied().unwrap_or(0);
        assert!(contents.next >= known, "UIDNEXT of {name} was {known} and is {}", contents.next);
        for (uid, message) in &contents.messages {
            assert!(*uid < contents.next, "UID {uid} of {name} and UIDNEXT {}", contents.next);
            let new = !self.messages.contains_key(&(contents.validity, *uid));
            assert!(!new || *uid >= known, "{} came to {name} with UID {uid} below UIDNEXT {known}", message.id);
            self.told(contents.validity, *uid, &message.id);
        }
        // What was there and is not will not come back.
        for (validity, uid) in self.messages.keys() {
            if *validity == contents.validity && !contents.messages.contains_key(uid) {
                self.gone.insert((*validity, *uid));
            }
        }
        self.next.insert(contents.validity, contents.next);
    }

    /// Takes in what a session heard. `selected` was its mailbox, `before` all mail before its commands, `appended` the messages that it gave to APPEND.
    pub fn hear(&mut self, heard: &Heard, selected: Option<&str>, before: &Snapshot, appended: &[String]) {
        let mut shown = selected.map_or_else(Vec::new, |mailbox| before.sequence(mailbox));
        let mut appended = appended.iter();
        let source = selected.and_then(|mailbox| before.mailboxes.get(mailbox));
        for line in &heard.lines {
            if let Some(arguments) = code(line, "APPENDUID") {
                let (validity, uids) = arguments.split_once(' ').unwrap();
                for uid in expand(uids) {
                    self.must_be(validity.parse().unwrap(), uid, appended.next().expect("more UIDs than messages"));
                }
            }
            if let Some(arguments) = code(line, "COPYUID") {
                let [validity, from, to] = arguments.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
                let (from, to) = (expand(from), expand(to));
                assert_eq!(from.len(), to.len(), "{line}");
                for (from, to) in from.into_iter().zip(to) {
                    let id = &source.and_then(|contents| contents.messages.get(&from)).expect("copied from nowhere").id;
                    self.must_be(validity.parse().unwrap(), to, id);
                }
            }
            if let Some(number) = line.strip_prefix("* ").and_then(|rest| rest.strip_suffix(" EXPUNGE")) {
                let (uid, _) = shown.remove(number.parse::<usize>().unwrap() - 1);
                self.must_be_gone(source.unwrap().validity, uid);
            }
        }
    }
}

/// The arguments of a response code in a line.
pub fn code<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("[{name} "))?;
    rest.split_once(']').map(|(arguments, _)| arguments)
}

/// How the commands ended, for [`judge`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Each was answered OK.
    Done,
    /// Answered NO.
    Refused,
    /// Answered NO, where each message may have been done or not.
    Partly,
    /// Not answered.
    Killed,
}

/// What may be there after commands that would have led from `before` to `done`. What was `moved` may be in both places, even if they are one mailbox.
pub fn judge(ending: Ending, before: &Snapshot, done: &Snapshot, after: &Snapshot, moved: bool) {
    let agrees = match ending {
        Ending::Done => after.agrees_with(done),
        Ending::Refused => after.agrees_with(before) || after.agrees_with(done),
        Ending::Partly | Ending::Killed => {
            halfway(before, done, after, moved && ending == Ending::Killed);
            true
        }
    };
    assert!(agrees, "{ending:?}, but found {:?}; before {:?}", differences(done, after), differences(done, before));
}

/// What one has and another has not, shown with `-`, and the other way round, with `+`.
fn differences(from: &Snapshot, to: &Snapshot) -> Vec<String> {
    let lines = |snapshot: &Snapshot| -> BTreeSet<String> {
        let of = |(name, contents): (&String, &Contents)| -> Vec<String> {
            let messages = contents.messages.values().map(|m| format!("{name}: {} {:?}", m.id, m.flags));
            messages.chain([format!("mailbox {name}")]).collect()
        };
        let subscribed = snapshot.subscribed.iter().map(|name| format!("subscribed {name}"));
        snapshot.mailboxes.iter().flat_map(of).chain(subscribed).collect()
    };
    let (from, to) = (lines(from), lines(to));
    let lost = from.difference(&to).map(|line| format!("- {line}"));
    lost.chain(to.difference(&from).map(|line| format!("+ {line}"))).collect()
}

/// Nothing is lost, nothing appears that neither was nor was to be, nothing is there more often than it was to be.
fn halfway(before: &Snapshot, done: &Snapshot, after: &Snapshot, moved: bool) {
    within("mailboxes", &before.names(), &done.names(), &after.names());
    let subscribed = |snapshot: &Snapshot| snapshot.subscribed.clone();
    within("subscriptions", &subscribed(before), &subscribed(done), &subscribed(after));
    let (b, d, a) = (before.places(), done.places(), after.places());
    let none = BTreeMap::new();
    for id in b.keys().chain(d.keys()).chain(a.keys()) {
        let [b, d, a] = [&b, &d, &a].map(|places| places.get(id).unwrap_or(&none));
        let sum = |homes: &BTreeMap<&str, Vec<_>>| homes.values().map(Vec::len).sum::<usize>();
        assert!(sum(a) > 0 || sum(b) == 0 || sum(d) == 0, "{id} is lost");
        for home in b.keys().chain(d.keys()).chain(a.keys()) {
            let [b, d, a] = [b, d, a].map(|homes| homes.get(home).map_or(&[][..], |flags| flags));
            let most = if moved { b.len() + d.len() } else { b.len().max(d.len()) };
            assert!(a.len() <= most, "{id} is {} times in {home}", a.len());
            assert!(a.len() >= b.len().min(d.len()), "{id} is missing in {home}");
            for flags in a {
                let known = b.iter().chain(d);
                let fits = |low: &BTreeSet<String>, high: &BTreeSet<String>| {
                    low.intersection(high).all(|f| flags.contains(f))
                        && flags.iter().all(|f| low.contains(f) || high.contains(f))
                };
                let fits = known.clone().any(|low| known.clone().any(|high| fits(low, high)));
                assert!(fits, "{id} in {home} has the flags {flags:?}; before {b:?}, if done {d:?}");
            }
        }
    }
}

fn within<T: Ord + std::fmt::Debug>(what: &str, before: &BTreeSet<T>, done: &BTreeSet<T>, after: &BTreeSet<T>) {
    let fits = before.intersection(done).all(|one| after.contains(one))
        && after.iter().all(|one| before.contains(one) || done.contains(one));
    assert!(fits, "{what}: before {before:?}, if done {done:?}, found {after:?}");
}
