//! What a loss of power leaves is decided by the order of syncs and renames. The library writes down all calls of an operation, and this order is looked
//! at: a file is synced before its rename gives it its name, and whatever a client is told has been synced before: the names in every directory that was
//! changed, and the UID list.

use crate::operations;
use crate::shim::{Call, Control, Fate, KINDS};
use std::collections::{BTreeMap, BTreeSet};

/// What has been changed and not yet synced.
#[derive(Default)]
struct Unsynced {
    /// Files by the path that they had when they were written to.
    files: BTreeSet<String>,
    /// Directories, and what was done there.
    directories: BTreeMap<String, String>,
}

/// A file that may be lost: it says only who is at work, is a log, is of no use any more, or can be made anew. The last UIDVALIDITY is among these: without it the clock gives the next.
fn may_be_lost(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name == "log"
        || name.ends_with(".lock")
        || name.starts_with("dovecot-uidvalidity")
        || path.contains("/..DOVECOT-TRASHED")
        || (name.starts_with("imapd-") && name != "imapd-keywords")
        || parent(path).ends_with("/tmp")
}

/// Whether a message was moved from new to cur, with no flags.
fn came_in(from: &str, to: &str) -> bool {
    from.contains("/new/") && from.replacen("/new/", "/cur/", 1) == to.trim_end_matches(":2,")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Unsynced {
    fn changed(&mut self, path: &str, call: &Call) {
        if !may_be_lost(path) {
            self.directories.insert(parent(path).to_owned(), format!("{} {} {}", call.name, call.path, call.second));
        }
    }

    /// Takes in a call; panics where the order is wrong.
    fn follow(&mut self, call: &Call) {
        if call.result < 0 {
            return;
        }
        match call.name.as_str() {
            "write" | "truncate" => drop(self.files.insert(call.path.clone())),
            "create" => self.changed(&call.path, call),
            "sync" => {
                self.files.remove(&call.path);
                self.directories.remove(&call.path);
            }
            // Whether mail is in new or in cur makes no difference to anybody who has its UID.
            "rename" if came_in(&call.path, &call.second) => {}
            "rename" | "link" => {
                // A lock file that becomes what it protects has a name that counts from then on.
                let written = self.files.contains(&call.path);
                assert!(
                    !written || may_be_lost(&call.second),
                    "{} got the name {} before it was synced",
                    call.path,
                    call.second
                );
                self.changed(&call.second, call);
                if call.name == "rename" {
                    self.changed(&call.path, call);
                }
            }
            "unlink" => {
                self.files.remove(&call.path);
                self.changed(&call.path, call);
            }
            "mkdir" => self.changed(&call.path, call),
            "tell" if call.path.contains("|x OK") || call.path.starts_with("x OK") => {
                let files: Vec<_> = self.files.iter().filter(|path| !may_be_lost(path)).collect();
                assert!(files.is_empty(), "OK was told before these were synced: {files:?}");
                assert!(self.directories.is_empty(), "OK was told before these were synced: {:#?}", self.directories);
            }
            _ => {}
        }
    }
}

/// The calls of an operation, as far as it was told to be done.
fn calls(name: &str) -> Vec<Call> {
    let operation = operations::named(name);
    let site = operation.site();
    let control = Control::new();
    let mut session = site.session(&control);
    let setup: Vec<String> = operation.setup.iter().map(|&command| command.to_owned()).collect();
    session.run(&setup);
    (operation.meanwhile)(&site);
    control.trace_calls();
    control.arm(&KINDS, 0, Fate::Count);
    let heard = session.run(&operation.commands);
    control.disarm();
    assert!(heard.tagged.iter().all(|line| line.starts_with("x OK")), "{:?}", heard.lines);
    control.calls()
}

fn in_order(name: &str) {
    let calls = calls(name);
    let mut unsynced = Unsynced::default();
    for call in &calls {
        unsynced.follow(call);
    }
    assert!(calls.iter().any(|call| call.name == "tell"), "nothing was told");
}

crate::killed::for_each_operation!(in_order);

fn call(name: &str, path: &str, second: &str) -> Call {
    Call { name: name.into(), result: 0, path: path.into(), second: second.into() }
}

/// The judge judges.
#[test]
fn a_wrong_order_is_noticed() {
    let right = [
        call("create", "/m/tmp/a", ""),
        call("write", "/m/tmp/a", ""),
        call("sync", "/m/tmp/a", ""),
        call("rename", "/m/tmp/a", "/m/new/a"),
        call("sync", "/m/new", ""),
        call("write", "/m/dovecot-uidlist", ""),
        call("sync", "/m/dovecot-uidlist", ""),
        call("tell", "x OK [APPENDUID 1 1] done|", ""),
    ];
    let follow = |left_out: Option<usize>| {
        let kept = right.iter().enumerate().filter(|(at, _)| Some(*at) != left_out).map(|(_, call)| call.clone());
        let kept: Vec<Call> = kept.collect();
        std::panic::catch_unwind(|| {
            let mut unsynced = Unsynced::default();
            kept.iter().for_each(|call| unsynced.follow(call));
        })
    };
    assert!(follow(None).is_ok());
    for sync in [2, 4, 6] {
        assert!(follow(Some(sync)).is_err(), "without {:?}", right[sync]);
    }
}
