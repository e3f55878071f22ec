//! How many connections there are, in all and from whom, and whether there may be one more.

use super::config::Most;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where connections come from as far as limits go: an IPv4 address, or the network of an IPv6 one, since whoever has
/// one address of a /64 has them all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Source(IpAddr);

impl Source {
    /// Where a connection from this address counts. One without an address comes from this machine.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            Some(v4) => v4,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
    }
}

/// Said to who is one too many, in all or from one source before login.
pub const TOO_MANY: &str = "too many connections";
pub const TOO_MANY_BEFORE_LOGIN: &str = "too many connections without login from this address";

/// The running connections.
pub struct Counts {
    most: Most,
    all: usize,
    by_source: HashMap<Source, usize>,
    before_login: HashMap<Source, usize>,
    by_user: HashMap<(String, Source), usize>,
}

/// One running connection, to be given back to [`Counts::remove`].
#[derive(Debug)]
pub struct Slot {
    source: Source,
    user: Option<String>,
}

impl Counts {
    /// Nobody is connected yet.
    pub fn new(most: Most) -> Self {
        let (by_source, before_login, by_user) = Default::default();
        Self { most, all: 0, by_source, before_login, by_user }
    }

    /// All running connections.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Counts a connection, or says why there may be none.
    pub fn add(&mut self, source: Source) -> Result<Slot, &'static str> {
        if self.all >= self.most.connections {
            return Err(TOO_MANY);
        }
        if self.by_source.get(&source).is_some_and(|&count| count >= self.most.per_address) {
            return Err("too many connections from this address");
        }
        if self.before_login.get(&source).is_some_and(|&count| count >= self.most.per_address_before_login) {
            return Err(TOO_MANY_BEFORE_LOGIN);
        }
        self.all += 1;
        *self.by_source.entry(source).or_default() += 1;
        *self.before_login.entry(source).or_default() += 1;
        Ok(Slot { source, user: None })
    }

    /// The connection has logged in. False if this user has too many sessions from there; it then stays counted as one
    /// without login.
    pub fn log_in(&mut self, slot: &mut Slot, user: &str) -> bool {
        let key = (user.to_owned(), slot.source);
        let count = self.by_user.entry(key).or_default();
        if *count >= self.most.per_user_and_address || slot.user.is_some() {
            return false;
        }
        *count += 1;
        slot.user = Some(user.to_owned());
        take_one(&mut self.before_login, slot.source);
        true
    }

    /// The connection has ended.
    pub fn remove(&mut self, slot: Slot) {
        self.all = self.all.saturating_sub(1);
        take_one(&mut self.by_source, slot.source);
        match slot.user {
            None => take_one(&mut self.before_login, slot.source),
            Some(user) => take_one(&mut self.by_user, (user, slot.source)),
        }
    }
}

fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    fn counts() -> Counts {
        Counts::new(Most { connections: 4, per_address: 3, per_address_before_login: 2, per_user_and_address: 2 })
    }

    #[test]
    fn a_source_that_does_not_log_in_leaves_room_for_others() {
        let mut counts = counts();
        let _slots = [counts.add(source("10.0.0.1")).unwrap(), counts.add(source("10.0.0.1")).unwrap()];
        assert!(counts.add(source("::ffff:10.0.0.1")).is_err());
        assert!(counts.add(source("10.0.0.2")).is_ok());
    }

    #[test]
    fn each_limit_holds_and_what_ends_is_given_back() {
        let mut counts = counts();
        let mut slots = Vec::new();
        for user in ["a", "a", "b"] {
            let mut slot = counts.add(source("10.0.0.1")).unwrap();
            assert!(counts.log_in(&mut slot, user));
            slots.push(slot);
        }
        assert_eq!(counts.add(source("10.0.0.1")).unwrap_err(), "too many connections from this address");
        slots.push(counts.add(source("10.0.0.2")).unwrap());
        assert_eq!(counts.add(source("10.0.0.3")).unwrap_err(), "too many connections");
        for slot in slots {
            counts.remove(slot);
        }
        assert_eq!(counts.all(), 0);
        assert!(counts.by_source.is_empty() && counts.before_login.is_empty() && counts.by_user.is_empty());
    }

    #[test]
    fn a_user_has_so_many_sessions_from_one_address() {
        let mut counts = counts();
        for _ in 0..2 {
            let mut slot = counts.add(source("10.0.0.1")).unwrap();
            assert!(counts.log_in(&mut slot, "a"));
        }
        let mut slot = counts.add(source("10.0.0.1")).unwrap();
        assert!(!counts.log_in(&mut slot, "a"));
        counts.remove(slot);
        let mut slot = counts.add(source("10.0.0.2")).unwrap();
        assert!(counts.log_in(&mut slot, "a"));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
    }
}
