//! What a client knows of the selected mailbox from untagged responses alone; panics when a server says what RFC 9051 forbids.

use super::grammar::{Code, Response};

/// One message, as far as the server has told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    pub uid: Option<u32>,
    pub flags: Option<Vec<String>>,
    pub modseq: Option<u64>,
}

/// The selected mailbox.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// The n-th is message n + 1.
    pub messages: Vec<Known>,
    pub recent: Option<u32>,
    pub flags: Option<Vec<String>>,
    pub permanent_flags: Option<Vec<String>>,
    pub uid_validity: Option<u32>,
    pub uid_next: Option<u32>,
    pub read_only: bool,
    exists_told: bool,
    /// What the client may say of itself when it comes back (RFC 7162 section 6).
    pub highest_modseq: Option<u64>,
    /// HIGHESTMODSEQ since the last tagged answer, and the greatest MODSEQ.
    highest_told: Option<u64>,
    modseq_told: Option<u64>,
    /// UIDs of VANISHED (EARLIER), to be taken from what was known before.
    pub vanished_earlier: Vec<u32>,
}

/// Which commands forbid EXPUNGE in their answers (RFC 9051 section 7.5.1).
const NO_EXPUNGE: [&str; 3] = ["FETCH", "STORE", "SEARCH"];

impl Mirror {
    /// UIDs in the order of their messages; panics if one is not known.
    pub fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|m| m.uid.expect("a UID was never told")).collect()
    }

    /// Takes in an untagged response. `command` is the one in progress.
    pub fn hear(&mut self, response: &Response, command: Option<&str>) {
        match response {
            Response::Exists(number) => {
                let number = *number as usize;
                assert!(number >= self.messages.len(), "EXISTS {number} after {} without EXPUNGE", self.messages.len());
                self.messages.resize_with(number, Known::default);
                self.exists_told = true;
            }
            Response::Recent(number) => {
                assert!(*number as usize <= self.messages.len() || !self.exists_told, "more RECENT than EXISTS");
                self.recent = Some(*number);
            }
            Response::Expunge(number) => {
                let command = command.unwrap_or_else(|| panic!("EXPUNGE {number} with no command in progress"));
                assert!(!NO_EXPUNGE.contains(&command), "EXPUNGE {number} during {command}");
                let place = *number as usize;
                assert!(place <= self.messages.len(), "EXPUNGE {number} of {}", self.messages.len());
                self.messages.remove(place - 1);
            }
            Response::Vanished { earlier: true, uids } => {
                let command = command.unwrap_or_default();
                assert!(["SELECT", "EXAMINE", "UID FETCH"].contains(&command), "VANISHED (EARLIER) during {command}");
                let here = |uid: &&u32| self.messages.iter().any(|m| m.uid == Some(**uid));
                assert_eq!(uids.iter().find(here), None, "VANISHED (EARLIER) of a message that is there");
                self.vanished_earlier.extend(uids);
            }
            Response::Vanished { earlier: false, uids } => {
                let command = command.unwrap_or_else(|| panic!("VANISHED {uids:?} with no command in progress"));
                assert!(!NO_EXPUNGE.contains(&command), "VANISHED {uids:?} during {command}");
                uids.iter().for_each(|&uid| self.vanish(uid));
            }
            Response::Fetch { number, items } => {
                let place = *number as usize;
                assert!(place <= self.messages.len(), "FETCH of {number} of {}", self.messages.len());
                for (name, value) in items {
                    let known = &mut self.messages[place - 1];
                    match name.as_str() {
                        "UID" => {
                            let uid = value.number() as u32;
                            assert!(
                                known.uid.is_none_or(|k| k == uid),
                                "message {number} was {known:?}, now has UID {uid}"
                            );
                            known.uid = Some(uid);
                            self.check_ascending(place - 1, uid);
                        }
                        "MODSEQ" => {
                            known.modseq = Some(value.number());
                            self.modseq_told = self.modseq_told.max(known.modseq);
                        }
                        "FLAGS" => known.flags = Some(value.list().iter().map(|f| f.text()).collect()),
                        _ => {}
                    }
                }
            }
            Response::Flags(flags) => self.flags = Some(flags.clone()),
            Response::Condition { code: Some(Code { name, arguments }), .. } => match name.as_str() {
                "UIDVALIDITY" => {
                    let told = arguments.parse().ok();
                    assert!(
                        self.uid_validity.is_none() || self.uid_validity == told,
                        "UIDVALIDITY changed while selected"
                    );
                    self.uid_validity = told;
                }
                "HIGHESTMODSEQ" => self.highest_told = arguments.parse().ok(),
                "UIDNEXT" => self.uid_next = arguments.parse().ok(),
                "PERMANENTFLAGS" => {
                    self.permanent_flags =
                        Some(arguments.split(' ').filter(|f| !f.is_empty()).map(String::from).collect());
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// A message whose UID was never told goes from the only place where it can have been.
    fn vanish(&mut self, uid: u32) {
        let below = self.messages.iter().rposition(|m| m.uid.is_some_and(|known| known < uid)).map_or(0, |at| at + 1);
        let known = self.messages.iter().position(|m| m.uid == Some(uid));
        let place = known.unwrap_or(below);
        assert!(
            self.messages.get(place).is_some_and(|m| m.uid.is_none_or(|known| known == uid)),
            "VANISHED {uid}, which is not there"
        );
        self.messages.remove(place);
    }

    /// A command was answered (RFC 7162 section 6): a HIGHESTMODSEQ counts, even if MODSEQs were greater; else they do.
    pub fn tagged(&mut self) {
        let (highest, modseq) = (self.highest_told.take(), self.modseq_told.take());
        if self.highest_modseq.is_some() || highest.is_some() {
            self.highest_modseq = highest.or(self.highest_modseq.max(modseq));
        }
    }

    fn check_ascending(&self, place: usize, uid: u32) {
        let before = self.messages[..place].iter().rev().find_map(|m| m.uid);
        let after = self.messages[place + 1..].iter().find_map(|m| m.uid);
        assert!(before.is_none_or(|b| b < uid) && after.is_none_or(|a| a > uid), "UID {uid} is out of order");
    }

    /// Whether a SELECT or EXAMINE told all that it must (RFC 9051 section 6.3.2).
    pub fn check_complete(&self, rev2: bool) {
        assert!(self.exists_told, "SELECT without EXISTS");
        assert!(self.flags.is_some(), "SELECT without FLAGS");
        assert!(self.uid_validity.is_some(), "SELECT without UIDVALIDITY");
        assert!(self.uid_next.is_some(), "SELECT without UIDNEXT");
        assert!(self.permanent_flags.is_some(), "SELECT without PERMANENTFLAGS");
        assert!(rev2 || self.recent.is_some(), "SELECT without RECENT");
    }
}
