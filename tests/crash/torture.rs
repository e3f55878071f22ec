//! Many at once on one mailbox, some of whom die, others of whom never heard of locks: afterwards the books balance, nobody was told a wrong number, and Dovecot
//! opens what is left.

use crate::killed::{report, valid_lists};
use crate::ledger::{Contents, Ledger, Snapshot};
use crate::site::{Site, message};
use crate::support::{Answer, Client, expand};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Sessions; beside them somebody delivers, and somebody renames.
const SESSIONS: u32 = 6;
const MAILBOXES: [&str; 3] = ["INBOX", "one", "two"];
/// More messages than this in a mailbox only make it slow.
const ENOUGH: usize = 60;

fn duration() -> Duration {
    let seconds = std::env::var("TORTURE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(12))
}

/// How often a message may be there in the end.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    least: i32,
    most: i32,
}

/// What all of them together did and heard.
#[derive(Default)]
struct Books {
    ledger: Mutex<Ledger>,
    counts: Mutex<BTreeMap<String, Count>>,
    /// For the end: until then some session may have been told of a message before it went and say so later.
    gone: Mutex<Vec<(u32, u32)>>,
    commands: AtomicU32,
    kills: AtomicU32,
}

/// A book, also after somebody who wrote in it has failed: that failure is the one to be shown.
fn open<T>(book: &Mutex<T>) -> MutexGuard<'_, T> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Books {
    fn add(&self, id: &str, least: i32, most: i32) {
        let mut counts = open(&self.counts);
        let count = counts.entry(id.to_owned()).or_default();
        count.least += least;
        count.most += most;
    }

    fn told(&self, validity: u32, uid: u32, id: &str) {
        open(&self.ledger).told(validity, uid, id);
    }
}

/// A sequence of numbers that differs by who rolls.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.roll(all.len().max(1) as u32) as usize)
    }
}

/// Who alone may remove or move a message, and its copies.
fn owner(id: &str) -> u32 {
    id.bytes().fold(7_u32, |sum, octet| sum.wrapping_mul(31).wrapping_add(u32::from(octet))) % SESSIONS
}

/// One user's program, which begins anew whenever its server is killed.
struct Worker<'a> {
    number: u32,
    dice: Dice,
    site: &'a Site,
    books: &'a Books,
    client: Client,
    pid: u32,
    /// The selected mailbox, and its messages by UID as far as they were looked at.
    mailbox: &'static str,
    known: HashMap<u32, String>,
    appended: u32,
}

/// How a command ended.
enum Ended {
    Ok(Answer),
    No,
    /// Its server was killed before it answered.
    Unknown,
}

impl<'a> Worker<'a> {
    fn new(number: u32, site: &'a Site, books: &'a Books) -> Self {
        let (client, pid) = site.connect_to_kill();
        let dice = Dice(number * 7919 + 17);
        let mut this = Self { number, dice, site, books, client, pid, mailbox: "", known: HashMap::new(), appended: 0 };
        this.select();
        this
    }

    fn select(&mut self) {
        self.mailbox = if self.dice.roll(3) > 0 { MAILBOXES[0] } else { MAILBOXES[1 + self.dice.roll(2) as usize] };
        self.known.clear();
        loop {
            let answer = self.client.run(&format!("SELECT {}", self.mailbox));
            if answer.condition == "OK" {
                break;
            }
            assert_eq!(answer.code_name(), "INUSE", "{answer:?}");
        }
        self.look();
    }

    /// The UIDs in the order of the messages, as far as they were told.
    fn shown(&self) -> Vec<Option<u32>> {
        self.client.mirror_of_selected().messages.iter().map(|message| message.uid).collect()
    }

    fn validity(&self) -> u32 {
        self.client.mirror_of_selected().uid_validity.unwrap()
    }

    /// Asks who is who; the strict client compares the UIDs with what it has heard, and the books what stands behind them.
    fn look(&mut self) {
        if self.client.mirror_of_selected().messages.is_empty() {
            return;
        }
        let answer = self.client.run("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-ID)])");
        let validity = self.validity();
        for (_, items) in answer.fetches() {
            let item = |wanted: &str| items.iter().find(|(name, _)| name.starts_with(wanted)).map(|(_, value)| value);
            let (Some(uid), Some(header)) = (item("UID"), item("BODY[")) else { continue };
            let (uid, header) = (uid.number() as u32, header.text());
            // A message that is gone may be shown without content (RFC 2180 section 4.1).
            let Some(id) = header.strip_prefix("X-Id: ").map(str::trim_end) else { continue };
            self.books.told(validity, uid, id);
            self.known.insert(uid, id.to_owned());
        }
        let shown = self.shown();
        self.known.retain(|uid, _| shown.contains(&Some(*uid)));
    }

    fn run(&mut self, command: &str) -> Ended {
        self.books.commands.fetch_add(1, Ordering::SeqCst);
        if self.dice.roll(60) > 0 {
            let answer = self.client.run(command);
            match answer.condition.as_str() {
                "OK" => return Ended::Ok(answer),
                "NO" if matches!(answer.code_name(), "INUSE" | "EXPUNGEISSUED") => return Ended::No,
                _ => panic!("{command}: {answer:?}"),
            }
        }
        self.client.send(command);
        std::thread::sleep(Duration::from_micros(u64::from(self.dice.roll(4000))));
        let victim = nix::unistd::Pid::from_raw(self.pid as i32);
        nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).unwrap();
        self.books.kills.fetch_add(1, Ordering::SeqCst);
        // The old one is dropped and waited for before the next begins.
        (self.client, self.pid) = self.site.connect_to_kill();
        Ended::Unknown
    }

    /// One thing that a user does.
    fn act(&mut self) {
        let all: Vec<(u32, String)> = self.known.iter().map(|(uid, id)| (*uid, id.clone())).collect();
        let own: Vec<(u32, String)> = all.iter().filter(|(_, id)| owner(id) == self.number).cloned().collect();
        let full = all.len() > ENOUGH;
        let died = match self.dice.roll(10) {
            0 | 1 if !full => self.append(),
            2 if !full => self.copy(&all),
            3 | 4 => self.shift(&own),
            5 | 6 => self.expunge(&own),
            7 | 8 => self.flag(&all),
            _ => matches!(self.run("NOOP"), Ended::Unknown),
        };
        if died || self.dice.roll(25) == 0 {
            self.select();
        } else if self.dice.roll(3) == 0 {
            self.look();
        }
    }

    fn append(&mut self) -> bool {
        self.appended += 1;
        let id = format!("from{}-{}", self.number, self.appended);
        let text = message(&id);
        let mailbox = self.dice.one_of(&MAILBOXES).unwrap();
        let flags = ["", "(\\Seen) ", "(first) ", "(\\Flagged second) "][self.dice.roll(4) as usize];
        match self.run(&format!("APPEND {mailbox} {flags}{{{}+}}\r\n{text}", text.len())) {
            Ended::Ok(answer) => {
                let (validity, uid) = answer.code("APPENDUID").unwrap().split_once(' ').unwrap();
                self.books.told(validity.parse().unwrap(), uid.parse().unwrap(), &id);
                self.books.add(&id, 1, 1);
            }
            Ended::No => {}
            Ended::Unknown => {
                self.books.add(&id, 0, 1);
                return true;
            }
        }
        false
    }

    /// Some of them, as a set of UIDs.
    fn some(&mut self, of: &[(u32, String)]) -> Option<(String, Vec<String>)> {
        let mut chosen = BTreeMap::new();
        for _ in 0..=self.dice.roll(3) {
            let (uid, id) = self.dice.one_of(of)?;
            chosen.insert(*uid, id.clone());
        }
        let uids: Vec<String> = chosen.keys().map(u32::to_string).collect();
        Some((uids.join(","), chosen.into_values().collect()))
    }

    /// What COPYUID told goes to the books; says which messages it named.
    fn copied(&self, answer: &Answer) -> Vec<String> {
        let Some(arguments) = answer.code("COPYUID") else { return Vec::new() };
        let [validity, from, to] = arguments.split(' ').collect::<Vec<_>>()[..] else { panic!("{arguments}") };
        let pairs = expand(from).into_iter().zip(expand(to));
        let told = pairs.map(|(from, to)| {
            let id = self.known[&from].clone();
            self.books.told(validity.parse().unwrap(), to, &id);
            id
        });
        told.collect()
    }

    fn copy(&mut self, all: &[(u32, String)]) -> bool {
        let Some((uids, ids)) = self.some(all) else { return false };
        let target = self.dice.one_of(&MAILBOXES).unwrap();
        match self.run(&format!("UID COPY {uids} {target}")) {
            Ended::Ok(answer) => self.copied(&answer).iter().for_each(|id| self.books.add(id, 1, 1)),
            Ended::No => {}
            Ended::Unknown => {
                ids.iter().for_each(|id| self.books.add(id, 0, 1));
                return true;
            }
        }
        false
    }

    /// MOVE. By its owner alone, so that it is known who took a message away.
    fn shift(&mut self, own: &[(u32, String)]) -> bool {
        let Some((uids, ids)) = self.some(own) else { return false };
        let target = self.dice.one_of(&MAILBOXES).unwrap();
        match self.run(&format!("UID MOVE {uids} {target}")) {
            Ended::Ok(answer) => drop(self.copied(&answer)),
            Ended::No => {}
            // In one of the two, at worst in both.
            Ended::Unknown => {
                ids.iter().for_each(|id| self.books.add(id, 0, 1));
                return true;
            }
        }
        false
    }

    fn expunge(&mut self, own: &[(u32, String)]) -> bool {
        let Some((uids, ids)) = self.some(own) else { return false };
        if matches!(self.run(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)")), Ended::Unknown) {
            return true;
        }
        let before = self.shown();
        match self.run(&format!("UID EXPUNGE {uids}")) {
            Ended::Ok(answer) => {
                let mut shown = before;
                for number in answer.expunged() {
                    let uid = shown.remove(number as usize - 1);
                    if let Some(uid) = uid.filter(|uid| expand(&uids).contains(uid)) {
                        open(&self.books.gone).push((self.validity(), uid));
                        self.books.add(&self.known[&uid], -1, -1);
                    }
                }
            }
            Ended::No => {}
            Ended::Unknown => {
                ids.iter().for_each(|id| self.books.add(id, -1, 0));
                return true;
            }
        }
        false
    }

    fn flag(&mut self, all: &[(u32, String)]) -> bool {
        let Some((uids, _)) = self.some(all) else { return false };
        let what = ["+FLAGS (\\Seen)", "-FLAGS (\\Seen)", "+FLAGS (first)", "-FLAGS (first)", "+FLAGS (second third)"];
        let what = what[self.dice.roll(5) as usize];
        matches!(self.run(&format!("UID STORE {uids} {what}")), Ended::Unknown)
    }
}

/// Delivers as a mail server does, without asking anybody.
fn deliver(site: &Site, books: &Books, until: Instant) {
    let mut number = 0;
    while Instant::now() < until {
        number += 1;
        let id = format!("delivered{number}");
        books.add(&id, 1, 1);
        site.deliver("INBOX", &format!("{}.M{number}P1.torture", 1_700_000_000 + number), &id);
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Marks messages as a mail reader does that knows of no locks.
fn rename(site: &Site, until: Instant) {
    let mut dice = Dice(4711);
    while Instant::now() < until {
        let folder = site.folder(MAILBOXES[dice.roll(3) as usize]);
        let names = |part: &str| -> Vec<String> {
            fs::read_dir(folder.join(part)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        // Somebody else may have been faster.
        if let Some(name) = dice.one_of(&names("cur"))
            && let Some((base, flags)) = name.split_once(":2,")
        {
            let letter = ["F", "R", "S"][dice.roll(3) as usize];
            let mut letters: Vec<&str> = flags.split("").filter(|one| !one.is_empty() && *one != letter).collect();
            if !flags.contains(letter) {
                letters.push(letter);
            }
            letters.sort_unstable();
            let _ = fs::rename(
                folder.join("cur").join(name),
                folder.join("cur").join(format!("{base}:2,{}", letters.concat())),
            );
        }
        if let Some(name) = dice.one_of(&names("new")) {
            let _ = fs::rename(folder.join("new").join(name), folder.join("cur").join(format!("{name}:2,")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_books_balance_after_torture() {
    let site = Site::new();
    let mut client = site.connect();
    client.ok("CREATE one");
    client.ok("CREATE two");
    client.ok("LOGOUT");
    let (books, until) = (Books::default(), Instant::now() + duration());
    std::thread::scope(|scope| {
        scope.spawn(|| deliver(&site, &books, until));
        scope.spawn(|| rename(&site, until));
        for number in 0..SESSIONS {
            let (site, books) = (&site, &books);
            scope.spawn(move || {
                let mut worker = Worker::new(number, site, books);
                while Instant::now() < until {
                    worker.act();
                }
            });
        }
    });
    report(
        books.commands.load(Ordering::SeqCst) as usize,
        &format!("commands: torture, {} servers killed", books.kills.load(Ordering::SeqCst)),
    );
    // All are gone; so is whoever held these.
    for lock in site.locks() {
        fs::remove_file(lock).unwrap();
    }
    let found = Snapshot::take(&mut site.connect());
    let mut ledger = open(&books.ledger);
    open(&books.gone).iter().for_each(|&(validity, uid)| ledger.must_be_gone(validity, uid));
    ledger.learn(&found);
    balance(&found, &open(&books.counts));
    valid_lists(&site, true);
    fsck(&site);
    let theirs = by_dovecot(&site);
    for (name, contents) in theirs {
        let ours = &found.mailboxes[&name];
        let uids = |contents: &Contents| -> Vec<(u32, String)> {
            contents.messages.iter().map(|(uid, message)| (*uid, message.id.clone())).collect()
        };
        assert_eq!((contents.validity, uids(&contents)), (ours.validity, uids(ours)), "{name}: Dovecot's, ours");
    }
}

fn balance(found: &Snapshot, counts: &BTreeMap<String, Count>) {
    let mut there: BTreeMap<&str, i32> = BTreeMap::new();
    for message in found.mailboxes.values().flat_map(|contents| contents.messages.values()) {
        *there.entry(&message.id).or_default() += 1;
    }
    for (id, count) in counts {
        let there = there.remove(id.as_str()).unwrap_or(0);
        assert!((count.least..=count.most).contains(&there), "{id} is there {there} times: {count:?}");
    }
    assert!(there.is_empty(), "nobody gave these: {there:?}");
}

/// If this program can check a Maildir, it finds nothing wrong.
fn fsck(site: &Site) {
    let binary = env!("CARGO_BIN_EXE_imapd");
    let usage = Command::new(binary).arg("--help").output().unwrap();
    if String::from_utf8_lossy(&usage.stdout).contains("--fsck") {
        let checked = Command::new(binary).arg("--fsck").arg(&site.root).output().unwrap();
        let said = [checked.stdout, checked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(checked.status.success(), "{}: {}", checked.status, said.concat());
    }
}

/// The mailboxes as Dovecot shows them, which has nothing to complain of; none where there is no Dovecot.
fn by_dovecot(site: &Site) -> Vec<(String, Contents)> {
    const DOVECOT: &str = "/usr/lib/dovecot/imap";
    if !PathBuf::from(DOVECOT).exists() {
        eprintln!("skipped: there is no Dovecot to look at what is left");
        return Vec::new();
    }
    let (mut client, log) = site.connect_to(DOVECOT);
    let contents = MAILBOXES.iter().map(|name| (name.to_string(), Contents::take(&mut client, name))).collect();
    client.ok("LOGOUT");
    drop(client);
    let log = fs::read_to_string(log).unwrap();
    assert!(!["Warning", "Error", "Panic", "Fatal"].iter().any(|word| log.contains(word)), "{log}");
    contents
}
