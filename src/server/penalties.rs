//! What each source owes for failed logins, connections that came to nothing, and crashes: a time, which passes by
//! itself. The more a source owes the longer its next failed login takes, and from a point on its connections are
//! refused until it owes nothing more (as by sshd's PerSourcePenalties).
//!
//! The listener alone keeps the table; the processes of connections tell it what happens (`reports`). So there is no
//! memory that a process which a client has taken over could write to. A successful login forgives nothing, as with
//! sshd: whoever has one account would else guess at the others for nothing.

use super::source::{Networks, Source};
use crate::limits;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is held against a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offence {
    FailedLogin,
    /// A connection that ended without login: no handshake, no word, or not of IMAP.
    Abandoned,
    /// A connection that took too long.
    TimeUp,
    /// The process of a connection crashed before login: somebody may be looking for a way in.
    Crash,
}

impl Offence {
    fn costs(self) -> Duration {
        match self {
            Offence::FailedLogin => limits::PENALTY_OF_FAILURE,
            Offence::Abandoned => limits::PENALTY_OF_ABANDONED,
            Offence::TimeUp => limits::PENALTY_OF_TIME_UP,
            Offence::Crash => limits::PENALTY_OF_CRASH,
        }
    }

    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Offence::FailedLogin => "failed login",
            Offence::Abandoned => "abandoned",
            Offence::TimeUp => "too slow",
            Offence::Crash => "crash",
        }
    }
}

/// What all sources owe.
pub struct Penalties {
    exempt: Networks,
    debts: HashMap<Source, Debt>,
}

struct Debt {
    /// When it will have passed.
    until: Instant,
    /// It was so great that the source is refused until then.
    refused: bool,
}

impl Penalties {
    /// Nobody owes anything yet; sources in `exempt` never will.
    pub fn new(exempt: Networks) -> Self {
        Self { exempt, debts: HashMap::new() }
    }

    /// Holds this against a source. Gives for how long it is refused if it was not refused before.
    pub fn add(&mut self, source: Source, offence: Offence, now: Instant) -> Option<Duration> {
        if self.exempt.touch(source) {
            return None;
        }
        if !self.debts.contains_key(&source) {
            self.make_room(now);
        }
        let debt = self.debts.entry(source).or_insert(Debt { until: now, refused: false });
        if debt.until <= now {
            *debt = Debt { until: now, refused: false };
        }
        debt.until = (debt.until + offence.costs()).min(now + limits::PENALTY_MOST);
        let owed = debt.until - now;
        // Everybody's webmail, tunnel or proxy may be behind it.
        let refused = owed >= limits::PENALTY_REFUSED && !source.is_this_machine();
        if !refused || debt.refused {
            return None;
        }
        debt.refused = true;
        Some(owed)
    }

    /// How long a login of this source takes that has failed and was just held against it: 2, 4, 8, and then 15 seconds
    /// where one follows the other, less again where time has passed.
    pub fn delay(&self, source: Source, now: Instant) -> Duration {
        let failures = self.owed(source, now).as_millis().div_ceil(limits::PENALTY_OF_FAILURE.as_millis().max(1));
        let doublings = u32::try_from(failures).unwrap_or(u32::MAX).saturating_sub(1).min(8);
        (limits::TIME_OF_FAILURE * (1 << doublings)).min(limits::LONGEST_TIME_OF_FAILURE)
    }

    /// Whether connections of this source are refused.
    pub fn refuses(&self, source: Source, now: Instant) -> bool {
        self.debts.get(&source).is_some_and(|debt| debt.refused && debt.until > now)
    }

    fn owed(&self, source: Source, now: Instant) -> Duration {
        self.debts.get(&source).map_or(Duration::ZERO, |debt| debt.until.saturating_duration_since(now))
    }

    /// Forgets debts that have passed and, where that is not enough, the smaller half, so that the table cannot be made
    /// to take all memory, and a small debt drives out no great one.
    fn make_room(&mut self, now: Instant) {
        if self.debts.len() < limits::PENALIZED_SOURCES {
            return;
        }
        self.debts.retain(|_, debt| debt.until > now);
        if self.debts.len() < limits::PENALIZED_SOURCES {
            return;
        }
        let mut ends: Vec<Instant> = self.debts.values().map(|debt| debt.until).collect();
        let (_, &mut median, _) = ends.select_nth_unstable(limits::PENALIZED_SOURCES / 2);
        self.debts.retain(|_, debt| debt.until > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    fn penalties(exempt: &[&str]) -> Penalties {
        let exempt: Vec<String> = exempt.iter().map(|text| (*text).to_owned()).collect();
        Penalties::new(Networks::parse(&exempt).unwrap())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn failed_logins_take_longer_and_longer_and_shorter_again() {
        let (mut table, it, began) = (penalties(&[]), source("192.0.2.7"), Instant::now());
        let mut fail = |at| {
            table.add(it, Offence::FailedLogin, began + seconds(at));
            table.delay(it, began + seconds(at)).as_secs()
        };
        assert_eq!([fail(0), fail(2), fail(6), fail(14), fail(29)], [2, 4, 8, 15, 15]);
        // Of the hundred seconds that have come together, 29 have passed.
        assert_eq!([fail(29 + 55), fail(29 + 55 + 37)], [4, 2]);
        assert_eq!(fail(500), 2);
        assert_eq!(table.delay(source("192.0.2.8"), began), seconds(2));
    }

    #[test]
    fn a_source_is_refused_above_a_threshold_and_until_all_has_passed() {
        let (mut table, it, now) = (penalties(&[]), source("2001:db8::1"), Instant::now());
        for _ in 1..6 {
            assert_eq!(table.add(it, Offence::FailedLogin, now), None);
            assert!(!table.refuses(it, now));
        }
        assert_eq!(table.add(it, Offence::FailedLogin, now), Some(limits::PENALTY_REFUSED));
        // Told once.
        assert_eq!(table.add(it, Offence::FailedLogin, now), None);
        assert!(table.refuses(source("2001:db8::2"), now) && !table.refuses(source("2001:db8:1::1"), now));
        assert!(table.refuses(it, now + seconds(139)));
        assert!(!table.refuses(it, now + seconds(140)));
        // And from nothing again.
        assert_eq!(table.add(it, Offence::FailedLogin, now + seconds(140)), None);
        assert!(!table.refuses(it, now + seconds(140)));
    }

    #[test]
    fn one_guess_after_the_other_from_one_source_comes_to_its_end() {
        let (mut table, it, mut now) = (penalties(&[]), source("192.0.2.7"), Instant::now());
        let mut guesses = 0;
        while !table.refuses(it, now) {
            table.add(it, Offence::FailedLogin, now);
            now += table.delay(it, now);
            guesses += 1;
        }
        assert!((6..20).contains(&guesses), "{guesses}");
    }

    #[test]
    fn each_offence_has_its_weight_and_there_is_a_most() {
        let (mut table, now) = (penalties(&[]), Instant::now());
        let many = |table: &mut Penalties, address: &str, offence, count| {
            for _ in 0..count {
                table.add(source(address), offence, now);
            }
            table.refuses(source(address), now)
        };
        assert!(!many(&mut table, "10.0.0.1", Offence::Crash, 1) && many(&mut table, "10.0.0.1", Offence::Crash, 1));
        assert!(!many(&mut table, "10.0.0.2", Offence::TimeUp, 11) && many(&mut table, "10.0.0.2", Offence::TimeUp, 1));
        assert!(!many(&mut table, "10.0.0.3", Offence::Abandoned, 59));
        assert!(many(&mut table, "10.0.0.3", Offence::Abandoned, 1));
        many(&mut table, "10.0.0.3", Offence::Abandoned, 10_000);
        assert_eq!(table.owed(source("10.0.0.3"), now), limits::PENALTY_MOST);
    }

    #[test]
    fn this_machine_is_delayed_and_never_refused_and_who_is_exempt_is_neither() {
        let (mut table, now) = (penalties(&["10.0.0.0/8", "2001:db8::5"]), Instant::now());
        for address in ["127.0.0.1", "::1", "10.1.2.3", "2001:db8::1"] {
            for _ in 0..100 {
                assert_eq!(table.add(source(address), Offence::FailedLogin, now), None);
            }
            assert!(!table.refuses(source(address), now), "{address}");
        }
        assert_eq!(table.delay(source("::1"), now), limits::LONGEST_TIME_OF_FAILURE);
        assert_eq!(table.delay(source("10.1.2.3"), now), limits::TIME_OF_FAILURE);
        assert_eq!(table.debts.len(), 2);
    }

    #[test]
    fn so_many_sources_are_remembered_and_the_greatest_debts_longest() {
        let (mut table, great, now) = (penalties(&[]), source("192.0.2.7"), Instant::now());
        while !table.refuses(great, now) {
            table.add(great, Offence::Crash, now);
        }
        for number in 0..3 * u32::try_from(limits::PENALIZED_SOURCES).unwrap() {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
            table.add(Source::of(Some(address.into())), Offence::Abandoned, now);
            assert!(table.debts.len() <= limits::PENALIZED_SOURCES);
        }
        assert!(table.refuses(great, now));
        // What has passed goes first.
        let later = now + limits::PENALTY_MOST + seconds(1);
        table.debts.reserve(1);
        while table.debts.len() < limits::PENALIZED_SOURCES {
            let address = Ipv4Addr::from_bits(0x0b00_0000 + u32::try_from(table.debts.len()).unwrap());
            table.add(Source::of(Some(address.into())), Offence::Abandoned, now);
        }
        table.add(source("192.0.2.8"), Offence::Abandoned, later);
        assert_eq!(table.debts.len(), 1);
    }
}
