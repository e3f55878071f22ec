//! What a client knows of the selected mailbox from untagged responses alone; panics when a server says what RFC 9051 forbids.

use super::grammar::{Code, Response};

/// One message, as far as the server has told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    pub uid: Option<u32>,
    pub flags: Option<Vec<String>>,
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
