//! A server that is killed before, at or after any call that it makes: what it had answered holds, nothing is lost, nothing is there twice, no UID stands
//! for two messages, and the next server goes on.

use crate::ledger::{Ending, Ledger, Snapshot, judge};
use crate::operations::{self, Operation};
use crate::shim::{CHANGING, Control, Fate, KINDS, Kind};
use crate::site::{Heard, Session, Site, message};
use imapd::testing::storage::maildir::interop::dovecot_uidlist::strictly_valid;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether every case is to be tried in every way, not only those that differ much.
pub fn thorough() -> bool {
    std::env::var_os("CRASH_THOROUGH").is_some()
}

/// A case, tried once without fault, so that it is known what to expect.
pub struct Case {
    pub operation: Operation,
    template: Site,
    /// As the client knew it.
    shown: Snapshot,
    /// And as others have changed it since.
    pub before: Snapshot,
    pub done: Snapshot,
    /// The calls that it takes.
    pub calls: Vec<Kind>,
}

/// One try.
pub struct Try {
    pub site: Site,
    pub heard: Heard,
    /// What the session heard when it went on after a fault.
    pub after: Vec<String>,
    pub hit: u32,
    pub calls: Vec<Kind>,
    /// Whose locks may be left.
    pub pid: u32,
    /// The number of the call that met its fate.
    at: u32,
}

/// Without thoroughness a day's work follows on one try of so many: it takes longer than all else.
const WORKED: u32 = 4;

impl Case {
    pub fn new(operation: Operation, kinds: &[Kind]) -> Self {
        let template = operation.site();
        // What others do meanwhile is there before.
        let shown = if operation.seen { Snapshot::take(&mut template.copy().connect()) } else { Snapshot::default() };
        let (before, done) = (Snapshot::default(), Snapshot::default());
        let mut case = Self { operation, template, shown, before, done, calls: Vec::new() };
        let (site, _, mut session) = case.prepared();
        session.kill();
        case.before = Snapshot::take(&mut site.connect());
        let tried = case.attempt(kinds, 0, Fate::Count);
        assert!(tried.heard.tagged.iter().all(|line| line.starts_with("x OK")), "{:#?}", tried.heard);
        case.done = Snapshot::take(&mut tried.site.connect());
        case.calls = tried.calls;
        case.ledger(&tried.heard).learn(&case.done);
        case
    }

    /// A place of its own, and a session that is about to begin.
    fn prepared(&self) -> (Site, Control, Session) {
        let site = self.template.copy();
        let control = Control::new();
        control.without_syncs();
        let mut session = site.session(&control);
        let setup: Vec<String> = self.operation.setup.iter().map(|&command| command.to_owned()).collect();
        assert!(session.run(&setup).tagged.iter().all(|line| line.starts_with("x OK")));
        (self.operation.meanwhile)(&site);
        (site, control, session)
    }

    /// Does it in a place of its own, with this fate for one call.
    pub fn attempt(&self, kinds: &[Kind], at: u32, fate: Fate) -> Try {
        let (site, control, mut session) = self.prepared();
        control.arm(kinds, at, fate);
        let heard = session.run(&self.operation.commands);
        let account = control.disarm();
        let mut after = Vec::new();
        if heard.complete && matches!(fate, Fate::FailOnce(_) | Fate::FailOn(..)) {
            // The fault is lifted, and the session goes on.
            let mut further =
                vec!["NOOP", "STATUS INBOX (MESSAGES)", "SELECT INBOX", "UID FETCH 1:* (FLAGS BODY.PEEK[HEADER])"];
            if self.is_open_afterwards() {
                further.insert(1, "UID FETCH 1:* (FLAGS)");
            }
            let further: Vec<String> = further.into_iter().map(str::to_owned).collect();
            let heard = session.run(&further);
            assert!(heard.complete, "the session ended afterwards: {:?}", heard.lines);
            after = heard.lines;
        }
        session.kill();
        Try { pid: session.pid(), site, heard, after, hit: account.hit, calls: account.kinds, at }
    }

    /// Whether the mailbox that was selected still is.
    fn is_open_afterwards(&self) -> bool {
        self.operation.selected.is_some() && self.operation.commands != ["CLOSE"]
    }

    /// The session that met a fault believes what is there.
    fn agrees(&self, heard: &[String], now: &Snapshot) {
        let mut answers = heard.split(|line| line.starts_with("x "));
        let (Some(_), Some(shown)) = (answers.next(), answers.next().filter(|_| self.is_open_afterwards())) else {
            return;
        };
        let shown: Vec<(u32, BTreeSet<String>)> =
            shown.iter().filter(|line| line.contains(" FETCH (")).map(|line| flags_of(line)).collect();
        let there = now.mailboxes[self.operation.selected.unwrap()].messages.iter();
        let there: Vec<_> = there.map(|(uid, message)| (*uid, message.flags.clone())).collect();
        assert_eq!(shown, there, "what the session shows, and what is there");
    }

    /// All that the client has heard by then.
    fn ledger(&self, heard: &Heard) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.learn(&self.shown);
        ledger.hear(heard, self.operation.selected, &self.shown, &self.operation.appended);
        ledger
    }

    /// The books after a try: by a fresh server, and then, if that one has worked, by a further one.
    pub fn check(&self, tried: &Try, ending: Ending) {
        let mut ledger = self.ledger(&tried.heard);
        valid_lists(&tried.site, false);
        let mut client = tried.site.connect();
        let after = Snapshot::take(&mut client);
        ledger.learn(&after);
        self.agrees(&tried.after, &after);
        judge(ending, &self.before, &self.done, &after, self.operation.commands[0].starts_with("MOVE"));
        if !thorough() && tried.at % WORKED > 0 {
            return;
        }
        work(&mut client, &mut ledger, &after);
        drop(client);
        let later = Snapshot::take(&mut tried.site.connect());
        ledger.learn(&later);
        for (name, contents) in &after.mailboxes {
            let now = &later.mailboxes[name];
            let kept: Vec<_> = now.messages.iter().filter(|(uid, _)| **uid < contents.next).collect();
            assert!(kept.into_iter().eq(contents.messages.iter()), "{name}: {contents:#?}, then {now:#?}");
        }
        valid_lists(&tried.site, true);
    }
}

/// UID and flags of a line such as `* 1 FETCH (UID 3 FLAGS (\Seen))`.
fn flags_of(line: &str) -> (u32, BTreeSet<String>) {
    let behind = |word: &str| line.split_once(word).unwrap().1;
    let uid = behind("UID ").split([' ', ')']).next().unwrap().parse().unwrap();
    let flags = behind("FLAGS (").split(')').next().unwrap().split(' ');
    (uid, flags.filter(|flag| !flag.is_empty() && *flag != "\\Recent").map(str::to_owned).collect())
}

/// A day's work with all mailboxes: each operation is done, and others' messages stay as they are.
fn work(client: &mut crate::support::Client, ledger: &mut Ledger, mail: &Snapshot) {
    for (number, name) in mail.mailboxes.keys().enumerate() {
        let id = format!("later{number}");
        let answer = client.append(name, " (\\Answered later)", message(&id).as_bytes());
        let (validity, uid) = answer.code("APPENDUID").unwrap().split_once(' ').unwrap();
        let (validity, uid) = (validity.parse().unwrap(), uid.parse().unwrap());
        ledger.told(validity, uid, &id);
        client.ok(&format!("SELECT {name}"));
        let copied = client.ok(&format!("UID COPY {uid} INBOX"));
        let [to, _, copy] = copied.code("COPYUID").unwrap().split(' ').collect::<Vec<_>>()[..] else { panic!() };
        ledger.must_be(to.parse().unwrap(), copy.parse().unwrap(), &id);
        client.ok(&format!("UID STORE {uid} +FLAGS (\\Deleted latest)"));
        client.ok(&format!("UID EXPUNGE {uid}"));
        ledger.must_be_gone(validity, uid);
    }
    client.ok("SUBSCRIBE INBOX");
    client.ok("UNSUBSCRIBE INBOX");
}

/// Dovecot would take each list as it is; what is being appended may be cut off.
pub fn valid_lists(site: &Site, whole: bool) {
    for path in site.files(|name| name == "dovecot-uidlist") {
        let mut list = fs::read(&path).unwrap();
        if !whole {
            list.truncate(list.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1));
        }
        strictly_valid(&list).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Written past the test runner, which shows nothing of a test that passes.
pub fn report(count: usize, what: &str) {
    let _ = writeln!(std::io::stderr(), "{count:6} {what}");
}

/// Runs each of the tries, some of which wait for something; says in the end which of them failed.
pub fn each<T: std::fmt::Debug + Copy + Send + Sync>(name: &str, tries: &[T], attempt: impl Fn(T) -> bool + Sync) {
    const AT_ONCE: usize = 4;
    let (next, made, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&one) = tries.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match catch_unwind(AssertUnwindSafe(|| attempt(one))) {
                        Ok(hit) => drop(made.fetch_add(usize::from(hit), Ordering::SeqCst)),
                        Err(panic) => {
                            let literal = panic.downcast_ref::<&str>().copied().unwrap_or("it panicked");
                            let text = panic.downcast_ref::<String>().map_or(literal, |text| text.as_str());
                            failed.lock().unwrap().push(format!("{one:?}: {text}"));
                        }
                    }
                }
            });
        }
    });
    let (made, failed) = (made.into_inner(), failed.into_inner().unwrap());
    report(made + failed.len(), &format!("points: {name}"));
    assert!(failed.is_empty(), "{name}: {} failed\n{}", failed.len(), failed.join("\n"));
    assert!(made > 0, "{name}: there was nothing to try");
}

/// At every call.
fn everywhere(name: &str) {
    let kinds = if thorough() { &KINDS[..] } else { &CHANGING[..] };
    let case = Case::new(operations::named(name), kinds);
    let points = (1..=case.calls.len() as u32).flat_map(|at| {
        let halfway = matches!(case.calls[at as usize - 1], Kind::Write | Kind::Tell);
        // After one call is before the next, but for the last.
        let after = thorough() || at as usize == case.calls.len();
        let fates = [(true, Fate::KillBefore), (halfway, Fate::KillHalfway), (after, Fate::KillAfter)];
        fates.into_iter().filter(|(wanted, _)| *wanted).map(move |(_, fate)| (at, fate))
    });
    each(name, &points.collect::<Vec<_>>(), |(at, fate)| {
        let tried = case.attempt(kinds, at, fate);
        if tried.hit > 0 {
            tried.site.remove_locks_of(tried.pid);
        }
        case.check(&tried, if tried.heard.complete { Ending::Done } else { Ending::Killed });
        tried.hit > 0
    });
}

/// Elsewhere the tests remove what lies in the way, since a lock is looked at only when it is some seconds old. All cases wait at the same time.
#[test]
fn locks_of_the_dead_are_overridden() {
    let overridden = |operation: Operation| {
        let case = Case::new(operation, &CHANGING);
        let middle = case.calls.len() as u32 / 2;
        let points = (middle..=case.calls.len() as u32).chain((1..middle).rev());
        let named = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(':');
        for at in points {
            let tried = case.attempt(&CHANGING, at, Fate::KillBefore);
            let locks = tried.site.locks();
            if tried.hit > 0 && !locks.is_empty() && locks.iter().all(named) {
                case.check(&tried, Ending::Killed);
                let log = tried.site.log();
                assert!(log.contains("removing stale lock"), "{}: {log}", case.operation.name);
                return 1;
            }
        }
        0
    };
    let count: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = operations::all().into_iter().map(|one| scope.spawn(move || overridden(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    report(count as usize, "points: locks that the dead left");
    assert!(count > 20, "{count}");
}

/// A test for each case, by its name.
macro_rules! for_each_operation {
    ($test:ident) => {
        $crate::killed::for_each_operation! { $test:
            append append_with_keywords append_with_a_27th_keyword append_three append_to_a_torn_list
            copy_into_new copy_into_cur copy_within copy_with_a_27th_keyword
            move_into_new move_into_cur move_within move_with_a_27th_keyword move_from_27_keywords
            store_added store_a_new_keyword store_a_27th_keyword store_removed store_replaced fetch_that_marks_as_seen
            expunge uid_expunge close
            rename rename_one_below rename_inbox create create_for_a_special_use delete subscribe unsubscribe
            select_after_deliveries noop_after_deliveries noop_after_foreign_changes status_after_deliveries
            first_select select_after_a_foreign_rewrite select_of_a_torn_list
        }
    };
    ($test:ident: $($name:ident)*) => {
        $(#[test] fn $name() { $test(stringify!($name)); })*

        #[test]
        fn no_operation_is_left_out() {
            let tested = [$(stringify!($name)),*];
            assert!($crate::operations::all().iter().map(|operation| operation.name).eq(tested));
        }
    };
}

pub(crate) use for_each_operation;

for_each_operation!(everywhere);
