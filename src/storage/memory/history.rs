//! Which messages a mailbox had, and when they were expunged.

use crate::limits;
use crate::types::{ModSeq, UidSet};
use std::collections::VecDeque;

/// Expunges in the order of their times, as far back as [`limits::EXPUNGED_RANGES`] allows.
pub(super) struct History {
    expunges: VecDeque<(ModSeq, UidSet)>,
    /// Ranges in `expunges`.
    ranges: usize,
    /// The last expunge that is no longer in it.
    forgotten: ModSeq,
}

impl History {
    pub fn new() -> Self {
        Self { expunges: VecDeque::new(), ranges: 0, forgotten: ModSeq::MIN }
    }

    /// These were expunged now, which is after all that was recorded before.
    pub fn record(&mut self, when: ModSeq, uids: UidSet) {
        self.ranges += uids.ranges().count();
        self.expunges.push_back((when, uids));
        while self.ranges > limits::EXPUNGED_RANGES {
            let Some((when, uids)) = self.expunges.pop_front() else { break };
            self.ranges -= uids.ranges().count();
            self.forgotten = when;
        }
    }

    /// What was expunged after this moment; `None` if some of it is forgotten (RFC 7162 section 5.3).
    pub fn since(&self, since: ModSeq) -> Option<UidSet> {
        let after = self.expunges.iter().rev().take_while(|(when, _)| *when > since);
        (since >= self.forgotten).then(|| UidSet::union_of(after.map(|(_, uids)| uids)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uid;

    fn one(uid: u32) -> UidSet {
        Uid::new(uid).into_iter().collect()
    }

    fn at(time: u64) -> ModSeq {
        ModSeq::new(time).unwrap()
    }

    #[test]
    fn a_history_tells_what_came_after() {
        let mut history = History::new();
        assert_eq!(history.since(ModSeq::MIN), Some(UidSet::new()));
        history.record(at(10), one(3));
        history.record(at(20), one(1));
        let since = |time| history.since(at(time)).map(|uids| uids.to_string());
        assert_eq!(since(1).as_deref(), Some("1,3"));
        assert_eq!(since(10).as_deref(), Some("1"));
        assert_eq!(since(20).as_deref(), Some(""));
    }

    #[test]
    fn a_history_is_bounded_and_knows_what_it_forgot() {
        let mut history = History::new();
        let count = limits::EXPUNGED_RANGES as u32;
        for n in 1..=count + 5 {
            history.record(at(u64::from(n) + 1), one(2 * n));
        }
        assert_eq!(history.expunges.len(), limits::EXPUNGED_RANGES);
        assert_eq!(history.since(at(5)), None);
        assert_eq!(history.since(at(6)).map(|uids| uids.len()), Some(limits::EXPUNGED_RANGES));
        let many: UidSet = (1..=count + 1).filter_map(|n| Uid::new(2 * n)).collect();
        history.record(at(u64::from(count) + 100), many);
        assert_eq!((history.ranges, history.since(at(6))), (0, None));
        assert_eq!(history.since(at(u64::from(count) + 100)), Some(UidSet::new()));
    }
}
