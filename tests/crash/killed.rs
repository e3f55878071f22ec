//! A server that is killed before, at or after any call that it makes: what it had answered holds, nothing is lost, nothing is there twice, no UID stands
//! for two messages, and the next server goes on.

use crate::ledger::{Ending, Ledger, Snapshot, judge};
use crate::operations::{self, Operation};
use crate::shim::{CHANGING, Control, Fate, KINDS, Kind};
use crate::site::{Heard, Site, message};
use imapd::testing::storage::maildir::interop::dovecot_uidlist::strictly_valid;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether every case is to be tried in every way, not only those that differ much.
pub fn thorough() -> bool {
    std::env::var_os("CRASH_THOROUGH").is_some()
}

/// A case, tried once without fault, so that it is known what to expect.
pub struct Case {
    pub operation: Operation,
    template: Site,
    pub before: Snapshot,
    pub done: Snapshot,
    /// The calls that it takes.
    pub calls: Vec<Kind>,
}

/// One try.
pub struct Try {
    pub site: Site,
    pub heard: Heard,
    pub hit: u32,
    pub calls: Vec<Kind>,
    /// Whose locks may be left.
    pub pid: u32,
}

impl Case {
    pub fn new(operation: Operation, kinds: &[Kind]) -> Self {
        let template = operation.site();
        // What others do meanwhile is there before.
        let looked_at = template.copy();
        (operation.meanwhile)(&looked_at);
        let before = Snapshot::take(&mut looked_at.connect(None));
        let mut case = Self { operation, template, before, done: Snapshot::default(), calls: Vec::new() };
        let tried = case.attempt(kinds, 0, Fate::Count);
        assert!(tried.heard.tagged.iter().all(|line| line.starts_with("x OK")), "{:#?}", tried.heard);
        case.done = Snapshot::take(&mut tried.site.connect(None));
        case.calls = tried.calls;
        let mut ledger = case.ledger();
        case.hear(&mut ledger, &tried.heard);
        ledger.learn(&case.done);
        case
    }

    pub fn name(&self) -> &'static str {
        self.operation.name
    }

    /// Does it in a place of its own, with this fate for one call.
    pub fn attempt(&self, kinds: &[Kind], at: u32, fate: Fate) -> Try {
        let site = self.template.copy();
        let control = Control::new();
        control.without_syncs();
        let mut session = site.session(&control);
        let setup: Vec<String> = self.operation.setup.iter().map(|&command| command.to_owned()).collect();
        assert!(session.run(&setup).tagged.iter().all(|line| line.starts_with("x OK")));
        (self.operation.meanwhile)(&site);
        control.arm(kinds, at, fate);
        let heard = session.run(&self.operation.commands);
        let account = control.disarm();
        if heard.complete && fate != Fate::Count && account.hit > 0 {
            // The fault is lifted, and the session goes on.
            let after = session.run(&["NOOP".into()]);
            let killed = !matches!(fate, Fate::FailOnce(_) | Fate::FailOn(..));
            assert!(killed || after.tagged.iter().any(|line| line.starts_with("x OK")), "NOOP: {:?}", after.lines);
        }
        session.kill();
        Try { pid: session.pid(), site, heard, hit: account.hit, calls: account.kinds }
    }

    /// What is known before the operation.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        if self.operation.seen {
            // As it was before others changed it.
            ledger.learn(&self.seen());
        }
        ledger
    }

    /// What a client knew: all that was there with a UID of its own.
    fn seen(&self) -> Snapshot {
        let mut seen = self.before.clone();
        for contents in seen.mailboxes.values_mut() {
            // Deliveries get their UIDs from whoever sees them first, and may get others in another place.
            contents.messages.retain(|_, message| !message.id.starts_with("new"));
            contents.next = contents.messages.keys().last().map_or(1, |uid| uid + 1);
        }
        seen
    }

    pub fn hear(&self, ledger: &mut Ledger, heard: &Heard) {
        ledger.hear(heard, self.operation.selected, &self.before, &self.operation.appended);
    }

    /// The books after a try: by a fresh server, and then, when that one has worked, by a further one.
    pub fn check(&self, tried: &Try, ending: Ending) {
        let mut ledger = self.ledger();
        self.hear(&mut ledger, &tried.heard);
        valid_lists(&tried.site, false);
        let mut client = tried.site.connect(None);
        let after = Snapshot::take(&mut client);
        ledger.learn(&after);
        judge(ending, &self.before, &self.done, &after);
        work(&mut client, &mut ledger, &after);
        drop(client);
        let later = Snapshot::take(&mut tried.site.connect(None));
        ledger.learn(&later);
        for (name, contents) in &after.mailboxes {
            let now = &later.mailboxes[name];
            let kept: Vec<_> = now.messages.iter().filter(|(uid, _)| **uid < contents.next).collect();
            assert!(kept.into_iter().eq(contents.messages.iter()), "{name}: {contents:#?}, then {now:#?}");
        }
        valid_lists(&tried.site, true);
    }
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
fn valid_lists(site: &Site, whole: bool) {
    for path in site.files(|name| name == "dovecot-uidlist") {
        let mut list = fs::read(&path).unwrap();
        if !whole {
            list.truncate(list.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1));
        }
        strictly_valid(&list).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Runs each of the tries; says in the end which of them failed.
pub fn each<T: std::fmt::Debug + Copy>(name: &str, tries: impl IntoIterator<Item = T>, attempt: impl Fn(T) -> bool) {
    let (mut made, mut failed) = (0, Vec::new());
    for one in tries {
        match catch_unwind(AssertUnwindSafe(|| attempt(one))) {
            Ok(hit) => made += usize::from(hit),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or_else(|| "?", |text| text.as_str());
                failed.push(format!("{one:?}: {}", text.lines().next().unwrap_or_default()));
            }
        }
    }
    // Written past the test runner, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "{:6} points of {name}", made + failed.len());
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
    each(name, points, |(at, fate)| {
        let tried = case.attempt(kinds, at, fate);
        if tried.hit > 0 {
            tried.site.remove_locks_of(tried.pid);
        }
        case.check(&tried, if tried.heard.complete { Ending::Done } else { Ending::Killed });
        tried.hit > 0
    });
}

macro_rules! killed_at_every_call {
    ($($name:ident)*) => {
        $(#[test] fn $name() { everywhere(stringify!($name)); })*

        #[test]
        fn no_operation_is_left_out() {
            let tested = [$(stringify!($name)),*];
            assert!(operations::all().iter().map(|operation| operation.name).eq(tested));
        }
    };
}

killed_at_every_call! {
    append append_with_keywords append_with_a_27th_keyword append_three append_to_a_torn_list
    copy_into_new copy_into_cur copy_within copy_with_a_27th_keyword
    move_into_new move_into_cur move_within move_with_a_27th_keyword move_from_27_keywords
    store_added store_a_new_keyword store_a_27th_keyword store_removed store_replaced fetch_that_marks_as_seen
    expunge uid_expunge close
    rename rename_below_itself rename_inbox create create_for_a_special_use delete subscribe unsubscribe
    select_after_deliveries noop_after_deliveries noop_after_foreign_changes status_after_deliveries
    first_select select_after_a_foreign_rewrite select_of_a_torn_list
}

