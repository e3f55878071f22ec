//! A disk that fails: any call may come back with an error, once or from then on. The client hears OK or NO with the right code, the session goes on, and
//! what was refused is done not at all or as a whole.

use crate::killed::{Case, each, thorough};
use crate::ledger::Ending;
use crate::operations;
use crate::shim::{CHANGING, Fate, KINDS, Kind, mask};
use nix::errno::Errno;

/// What a disk may say, and what the client is then told.
const ERRORS: [(Errno, &str); 8] = [
    (Errno::ENOSPC, "OVERQUOTA"),
    (Errno::EDQUOT, "OVERQUOTA"),
    (Errno::EIO, "UNAVAILABLE"),
    (Errno::EROFS, "NOPERM"),
    (Errno::EACCES, "NOPERM"),
    (Errno::EMFILE, "UNAVAILABLE"),
    (Errno::ENOMEM, "UNAVAILABLE"),
    (Errno::ENOLCK, "UNAVAILABLE"),
];

/// Where OK does not say that all was done: FETCH is answered also where \Seen cannot be noted; names above a new one are made if possible (RFC 9051
/// section 6.3.4).
const BEST_EFFORT: [&str; 3] = ["fetch_that_marks_as_seen", "create", "rename_one_below"];

/// Where NO says that not all was done: to each message by itself, and the client is told to which (RFC 6851 section 3.3).
const ONE_BY_ONE: [&str; 3] = ["expunge", "close", "move_within"];

/// Whether a call of this kind may fail so.
fn can_fail(kind: Kind, error: Errno) -> bool {
    use Kind::*;
    match error {
        Errno::ENOSPC | Errno::EDQUOT => matches!(kind, Create | Write | Name | Sync | Truncate),
        Errno::EIO => !matches!(kind, Close | Tell | Map | Lock),
        Errno::EROFS => matches!(kind, Create | OpenWrite | Name | Unlink | Attribute),
        Errno::EACCES => matches!(kind, Create | Open | OpenWrite | Name | Unlink | Stat),
        Errno::EMFILE => matches!(kind, Create | Open | OpenWrite),
        Errno::ENOMEM => kind == Map,
        Errno::ENOLCK => kind == Lock,
        _ => false,
    }
}

/// The calls of a case with the fates that they meet. Without thoroughness one error for each call, not the same everywhere.
fn points(calls: &[Kind]) -> Vec<(u32, Fate, &'static str)> {
    let mut points = Vec::new();
    for (at, &kind) in calls.iter().enumerate() {
        // Of those that only look there are very many.
        if !thorough() && !CHANGING.contains(&kind) && at % 3 > 0 {
            continue;
        }
        let number = at as u32 + 1;
        let possible: Vec<_> = ERRORS.iter().filter(|(error, _)| can_fail(kind, *error)).collect();
        for (turn, &(error, code)) in possible.iter().enumerate() {
            // A lock that cannot be removed is waited for until it is old enough to be judged.
            let slow = kind == Kind::Unlink;
            if thorough() || (turn == at % possible.len() && !slow) {
                points.push((number, Fate::FailOnce(*error as i32), *code));
            }
            let failing = KINDS.into_iter().filter(|kind| can_fail(*kind, *error)).collect::<Vec<_>>();
            let slow = failing.contains(&Kind::Unlink) && at > 0;
            if thorough() || (turn == at / 4 % possible.len() && !slow && at % 4 == 0) {
                points.push((number, Fate::FailOn(*error as i32, mask(&failing)), *code));
            }
        }
    }
    points
}

fn everywhere(name: &str) {
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| !matches!(kind, Kind::Close | Kind::Tell)).collect();
    let case = Case::new(operations::named(name), &kinds);
    each(&format!("{name}, failing"), &points(&case.calls), |(at, fate, code)| {
        let tried = case.attempt(&kinds, at, fate);
        assert!(tried.heard.complete, "the session ended: {:?}", tried.heard);
        let kind = case.calls[at as usize - 1];
        let tagged = tried.heard.tagged.last().unwrap();
        let done = tagged.starts_with("x OK");
        let log = || tried.site.log();
        assert!(done || tagged.starts_with(&format!("x NO [{code}]")), "{kind:?} failed: {tagged}; {}", log());
        for line in &tried.after {
            assert!(!line.starts_with("x ") || line.starts_with("x OK"), "afterwards: {line}");
        }
        tried.site.remove_locks_of(tried.pid);
        let ending = match (done, fate) {
            (true, _) if BEST_EFFORT.contains(&name) => Ending::Killed,
            (true, _) => Ending::Done,
            // Where every further call fails too, nothing can be taken back.
            (false, Fate::FailOnce(_)) if ONE_BY_ONE.contains(&name) => Ending::Partly,
            (false, Fate::FailOnce(_)) => Ending::Refused,
            (false, _) => Ending::Killed,
        };
        case.check(&tried, ending);
        tried.hit > 0
    });
}

crate::killed::for_each_operation!(everywhere);
