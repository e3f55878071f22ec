//! How many connections there are, in all and from whom, and whether there may be one more.
//!
//! Of connections that have not logged in there may be fewer than of others, since they cost whoever makes them nothing.
//! Where there are many, newcomers are not turned away as by sshd's MaxStartups, whose flood keeps everybody out who is
//! not lucky. Room is made for them: the oldest goes of the source that has the most, or the newcomer itself if no other
//! source has more than its own. So a flood from one source only ever pushes itself, and one from many addresses must
//! bring as many connections as there may be in the time of one login to push that login.

use super::config::{Most, Startups};
use super::penalties::{Offence, Penalties};
use super::source::{Networks, Source};
use crate::log::{Level, log};
use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

/// Said to who is one too many, in all or from one source before login.
pub const TOO_MANY: &str = "too many connections";
pub const TOO_MANY_BEFORE_LOGIN: &str = "too many connections without login from this address";
/// Said to whoever comes from a source that owes too much.
const TOO_MANY_FAILURES: &str = "too many failures from this address";
const TOO_MANY_STARTUPS: &str = "too many connections without login";

/// The running connections, and what their sources owe.
pub struct Counts {
    most: Most,
    penalties: Penalties,
    /// But for those that were told to go.
    all: usize,
    /// Told to go, and not gone yet.
    dropped: usize,
    by_source: HashMap<Source, usize>,
    /// In the order in which they came.
    before_login: HashMap<Source, VecDeque<Number>>,
    by_user_and_source: HashMap<(String, Source), usize>,
    by_user: HashMap<String, usize>,
    next: u64,
    /// Nobody outside can foresee what it makes of the next number.
    dice: RandomState,
}

/// Which connection; later ones have greater numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Number(u64);

/// One running connection, to be given back to [`Counts::remove`].
#[derive(Debug)]
pub struct Slot {
    pub number: Number,
    /// `None` until a proxy has said from where it is.
    source: Option<Source>,
    user: Option<String>,
}

impl Slot {
    /// Whether it still has to be said from where it is.
    pub fn awaits_source(&self) -> bool {
        self.source.is_none()
    }

    /// Where it is from, if that is known.
    pub fn host(&self) -> String {
        self.source.map_or_else(|| "-".to_owned(), |source| source.to_string())
    }
}

/// A connection that has to go at once, so that another one may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dropped {
    pub number: Number,
    pub source: Source,
}

impl Counts {
    /// Nobody is connected yet, and nobody owes anything.
    pub fn new(most: Most, exempt: Networks) -> Self {
        let (by_source, before_login, by_user_and_source, by_user, dice) = Default::default();
        let penalties = Penalties::new(exempt);
        let (all, dropped, next) = (0, 0, 0);
        Self { most, penalties, all, dropped, by_source, before_login, by_user_and_source, by_user, next, dice }
    }

    /// All that run.
    pub fn all(&self) -> usize {
        self.all + self.dropped
    }

    /// Counts a connection, or says why there may be none. A proxy's has no source yet, and counts in all only.
    pub fn add(&mut self, source: Option<Source>, now: Instant) -> Result<(Slot, Option<Dropped>), &'static str> {
        // One that was told to go is gone at once where it is a process, but a thread may be busy.
        if self.dropped >= self.most.connections {
            return Err(TOO_MANY);
        }
        if let Some(source) = source {
            self.check(source, now)?;
        }
        let dropped = if self.all >= self.most.connections {
            Some(self.drop_one(source).ok_or(TOO_MANY)?)
        } else {
            source.map_or(Ok(None), |source| self.keep_startups(source))?
        };
        self.next += 1;
        let mut slot = Slot { number: Number(self.next), source: None, user: None };
        self.all += 1;
        if let Some(source) = source {
            self.enter(&mut slot, source);
        }
        Ok((slot, dropped))
    }

    /// A proxy has said from where its connection is. An error says why there may be none from there.
    pub fn place(&mut self, slot: &mut Slot, source: Source, now: Instant) -> Result<Option<Dropped>, &'static str> {
        self.check(source, now)?;
        let dropped = self.keep_startups(source)?;
        self.enter(slot, source);
        Ok(dropped)
    }

    fn check(&self, source: Source, now: Instant) -> Result<(), &'static str> {
        if self.penalties.refuses(source, now) {
            return Err(TOO_MANY_FAILURES);
        }
        if self.by_source.get(&source).is_some_and(|&count| count >= self.most.per_address) {
            return Err("too many connections from this address");
        }
        if self.waiting(source) >= self.most.per_address_before_login {
            return Err(TOO_MANY_BEFORE_LOGIN);
        }
        Ok(())
    }

    /// How many have not logged in.
    fn waiting(&self, source: Source) -> usize {
        self.before_login.get(&source).map_or(0, VecDeque::len)
    }

    /// By chance, as sshd does: from so many on some newcomers cost one its place, and with too many each does.
    fn keep_startups(&mut self, source: Source) -> Result<Option<Dropped>, &'static str> {
        let waiting: usize = self.before_login.values().map(VecDeque::len).sum();
        if self.dice.hash_one(self.next) % 100 >= self.chance(waiting) {
            return Ok(None);
        }
        self.drop_one(Some(source)).map(Some).ok_or(TOO_MANY_STARTUPS)
    }

    /// With so many, out of a hundred.
    fn chance(&self, waiting: usize) -> u64 {
        let Startups { start, rate, full } = self.most.startups;
        let chance = match waiting {
            waiting if waiting >= full => 100,
            waiting if waiting < start => 0,
            waiting => rate + (100 - rate) * (waiting - start) / (full - start),
        };
        chance as u64
    }

    /// Takes the oldest of the source that has the most before login out of the counts, for a newcomer from elsewhere.
    /// `None` if that source has no more than the newcomer's.
    fn drop_one(&mut self, newcomer: Option<Source>) -> Option<Dropped> {
        let (&source, numbers) =
            self.before_login.iter().max_by_key(|(_, numbers)| (numbers.len(), Reverse(numbers.front())))?;
        if newcomer.is_some_and(|newcomer| self.waiting(newcomer) >= numbers.len()) {
            return None;
        }
        let number = *numbers.front()?;
        self.leave_before_login(source, number);
        take_one(&mut self.by_source, source);
        self.all = self.all.saturating_sub(1);
        self.dropped += 1;
        Some(Dropped { number, source })
    }

    fn enter(&mut self, slot: &mut Slot, source: Source) {
        slot.source = Some(source);
        *self.by_source.entry(source).or_default() += 1;
        self.before_login.entry(source).or_default().push_back(slot.number);
    }

    /// False if it was not there, because it was dropped.
    fn leave_before_login(&mut self, source: Source, number: Number) -> bool {
        let Some(numbers) = self.before_login.get_mut(&source) else { return false };
        let Some(at) = numbers.iter().position(|&other| other == number) else { return false };
        numbers.remove(at);
        if numbers.is_empty() {
            self.before_login.remove(&source);
        }
        true
    }

    /// The connection has logged in. False if this user has too many sessions; it then stays counted as one without
    /// login.
    pub fn log_in(&mut self, slot: &mut Slot, user: &str) -> bool {
        let Some(source) = slot.source else { return false };
        let count = |count: Option<&usize>| count.copied().unwrap_or_default();
        let key = (user.to_owned(), source);
        if slot.user.is_some()
            || count(self.by_user_and_source.get(&key)) >= self.most.per_user_and_address
            || count(self.by_user.get(user)) >= self.most.per_user
            || !self.leave_before_login(source, slot.number)
        {
            return false;
        }
        *self.by_user_and_source.entry(key).or_default() += 1;
        *self.by_user.entry(user.to_owned()).or_default() += 1;
        slot.user = Some(user.to_owned());
        true
    }

    /// A login has failed. Gives how long it shall take in all.
    pub fn fail(&mut self, slot: &Slot, now: Instant) -> Duration {
        // Who comes from nowhere cannot have asked for a login.
        let source = slot.source.unwrap_or_else(|| Source::of(None));
        self.penalise(source, Offence::FailedLogin, now);
        self.penalties.delay(source, now)
    }

    /// The connection has ended, and this is what is to be held against it if it has not logged in.
    pub fn remove(&mut self, slot: Slot, offence: Option<Offence>, now: Instant) {
        let waited = match (slot.user, slot.source) {
            (None, None) => true,
            (None, Some(source)) => {
                if let Some(offence) = offence {
                    self.penalise(source, offence, now);
                }
                let waited = self.leave_before_login(source, slot.number);
                if waited {
                    take_one(&mut self.by_source, source);
                }
                waited
            }
            (Some(user), Some(source)) => {
                take_one(&mut self.by_source, source);
                take_one(&mut self.by_user, user.clone());
                take_one(&mut self.by_user_and_source, (user, source));
                true
            }
            (Some(_), None) => true,
        };
        let count = if waited { &mut self.all } else { &mut self.dropped };
        *count = count.saturating_sub(1);
    }

    fn penalise(&mut self, source: Source, offence: Offence, now: Instant) {
        if let Some(refused) = self.penalties.add(source, offence, now) {
            let (seconds, reason) = (refused.as_secs(), offence.name());
            log!(Level::Notice, "Source refused host=[{source}] seconds={seconds} reason={reason}");
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
    use crate::limits;

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    fn with(most: Most) -> Counts {
        Counts::new(most, Networks::default())
    }

    fn counts() -> Counts {
        with(Most {
            connections: 4,
            per_address: 3,
            per_address_before_login: 2,
            per_user_and_address: 2,
            per_user: 3,
            ..Most::default()
        })
    }

    impl Counts {
        fn from(&mut self, text: &str) -> Result<Slot, &'static str> {
            let (slot, dropped) = self.add(Some(source(text)), Instant::now())?;
            assert_eq!(dropped, None);
            Ok(slot)
        }

        fn end(&mut self, slot: Slot) {
            self.remove(slot, None, Instant::now());
        }

        #[track_caller]
        fn assert_empty(&self) {
            assert_eq!((self.all, self.dropped), (0, 0));
            assert!(self.by_source.is_empty() && self.before_login.is_empty());
            assert!(self.by_user.is_empty() && self.by_user_and_source.is_empty());
        }
    }

    #[test]
    fn a_source_that_does_not_log_in_leaves_room_for_others() {
        let mut counts = counts();
        let _slots = [counts.from("10.0.0.1").unwrap(), counts.from("10.0.0.1").unwrap()];
        assert_eq!(counts.from("::ffff:10.0.0.1").unwrap_err(), TOO_MANY_BEFORE_LOGIN);
        assert!(counts.from("10.0.0.2").is_ok());
    }

    #[test]
    fn each_limit_holds_and_what_ends_is_given_back() {
        let mut counts = counts();
        let mut slots = Vec::new();
        for user in ["a", "a", "b"] {
            let mut slot = counts.from("10.0.0.1").unwrap();
            assert!(counts.log_in(&mut slot, user));
            slots.push(slot);
        }
        assert_eq!(counts.from("10.0.0.1").unwrap_err(), "too many connections from this address");
        let mut slot = counts.from("10.0.0.2").unwrap();
        assert!(counts.log_in(&mut slot, "c"));
        slots.push(slot);
        assert_eq!(counts.from("10.0.0.3").unwrap_err(), TOO_MANY);
        for slot in slots {
            counts.end(slot);
        }
        counts.assert_empty();
    }

    #[test]
    fn a_user_has_so_many_sessions_from_one_address() {
        let mut counts = counts();
        for _ in 0..2 {
            let mut slot = counts.from("10.0.0.1").unwrap();
            assert!(counts.log_in(&mut slot, "a"));
        }
        let mut slot = counts.from("10.0.0.1").unwrap();
        assert!(!counts.log_in(&mut slot, "a"));
        counts.end(slot);
        let mut slot = counts.from("10.0.0.2").unwrap();
        assert!(counts.log_in(&mut slot, "a"));
    }

    #[test]
    fn a_user_has_so_many_sessions_from_everywhere() {
        let mut counts = counts();
        let mut slots = Vec::new();
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            let mut slot = counts.from(address).unwrap();
            assert!(counts.log_in(&mut slot, "a") && !counts.log_in(&mut slot, "a"));
            slots.push(slot);
        }
        let mut slot = counts.from("10.0.0.4").unwrap();
        assert!(!counts.log_in(&mut slot, "a"));
        counts.end(slots.pop().unwrap());
        assert!(counts.log_in(&mut slot, "a"));
        slots.push(slot);
        for slot in slots {
            counts.end(slot);
        }
        counts.assert_empty();
    }

    fn crowded(full: usize) -> Counts {
        with(Most { startups: Startups { start: full, rate: 100, full }, ..Most::default() })
    }

    #[test]
    fn the_oldest_of_the_greatest_source_makes_room() {
        let (mut counts, now) = (crowded(4), Instant::now());
        let mut slots = Vec::new();
        for address in ["10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.1"] {
            slots.push(counts.from(address).unwrap());
        }
        let mut drop_for = |text: &str| {
            counts.add(Some(source(text)), now).map(|(slot, dropped)| {
                slots.push(slot);
                dropped.map(|dropped| slots.iter().position(|slot| slot.number == dropped.number).unwrap())
            })
        };
        // The greatest source makes no room for itself.
        assert_eq!(drop_for("10.0.0.1"), Err(TOO_MANY_STARTUPS));
        assert_eq!(drop_for("10.0.0.3"), Ok(Some(1)));
        // Two of the first, and one each of the second and third; then one each of four, of which the oldest is the first.
        assert_eq!(drop_for("10.0.0.4"), Ok(Some(2)));
        assert_eq!(drop_for("10.0.0.5"), Ok(Some(0)));
        assert_eq!(drop_for("10.0.0.4"), Err(TOO_MANY_STARTUPS));
        assert_eq!((counts.all, counts.dropped), (4, 3));
        // One that was dropped cannot log in any more.
        assert!(!counts.log_in(&mut slots[1], "a") && counts.log_in(&mut slots[3], "a"));
        for slot in slots {
            counts.end(slot);
        }
        counts.assert_empty();
    }

    #[test]
    fn room_is_made_among_those_without_login_when_all_places_are_taken() {
        let (mut counts, now) = (counts(), Instant::now());
        let mut slots: Vec<Slot> =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.3"].iter().map(|text| counts.from(text).unwrap()).collect();
        assert!(counts.log_in(&mut slots[0], "a") && counts.log_in(&mut slots[1], "b"));
        let (mut fifth, dropped) = counts.add(Some(source("10.0.0.4")), now).unwrap();
        assert_eq!(dropped, Some(Dropped { number: slots[2].number, source: source("10.0.0.3") }));
        assert!(counts.log_in(&mut slots[3], "c") && counts.log_in(&mut fifth, "d"));
        assert_eq!(counts.add(Some(source("10.0.0.5")), now).unwrap_err(), TOO_MANY);
        assert_eq!(counts.add(None, now).unwrap_err(), TOO_MANY);
    }

    #[test]
    fn threads_that_do_not_go_when_told_cannot_be_heaped_up() {
        let mut counts = with(Most { connections: 2, ..Most::default() });
        let mut stuck = Vec::new();
        while let Ok((slot, _)) = counts.add(Some(source(&format!("10.0.0.{}", stuck.len()))), Instant::now()) {
            stuck.push(slot);
        }
        assert_eq!(stuck.len(), 4);
    }

    #[test]
    fn the_more_have_not_logged_in_the_more_likely_one_goes() {
        let mut counts = with(Most::default());
        assert_eq!([0, 99, 100, 250, 399, 400, 9999].map(|count| counts.chance(count)), [0, 0, 30, 65, 99, 100, 100]);
        let mut dropped = 0;
        let mut slots = Vec::new();
        for number in 0..1000 {
            let from = source(&format!("10.0.{}.{}", number / 250, number % 250));
            let (slot, one) = counts.add(Some(from), Instant::now()).unwrap();
            assert!(one.is_none() || number >= limits::STARTUPS);
            dropped += usize::from(one.is_some());
            slots.push(slot);
            assert!(counts.all <= limits::STARTUPS_MOST);
        }
        assert_eq!(counts.all + dropped, 1000);
        assert!(counts.all > 200, "{}", counts.all);
    }

    #[test]
    fn a_connection_by_proxy_counts_where_it_is_from_once_that_is_said() {
        let (mut counts, now) = (counts(), Instant::now());
        let mut slots = Vec::new();
        for _ in 0..3 {
            let (slot, dropped) = counts.add(None, now).unwrap();
            assert!(slot.awaits_source() && dropped.is_none());
            slots.push(slot);
        }
        assert!(!counts.log_in(&mut slots[0], "a"));
        for slot in &mut slots[..2] {
            assert_eq!(counts.place(slot, source("10.0.0.1"), now), Ok(None));
        }
        assert_eq!(counts.place(&mut slots[2], source("10.0.0.1"), now), Err(TOO_MANY_BEFORE_LOGIN));
        assert!(slots[2].awaits_source() && counts.log_in(&mut slots[0], "a"));
        for slot in slots {
            counts.remove(slot, Some(Offence::Abandoned), now);
        }
        counts.assert_empty();
    }

    #[test]
    fn failures_are_held_against_the_source_and_refuse_it() {
        let (mut counts, now) = (with(Most::default()), Instant::now());
        let mut one = counts.from("10.0.0.1").unwrap();
        assert_eq!([counts.fail(&one, now), counts.fail(&one, now)].map(|delay| delay.as_secs()), [2, 4]);
        assert!(counts.log_in(&mut one, "a"));
        // What happens after login is nobody's attack.
        counts.remove(one, Some(Offence::Crash), now);
        let two = counts.from("10.0.0.1").unwrap();
        counts.remove(two, Some(Offence::Crash), now);
        assert_eq!(counts.from("10.0.0.1").unwrap_err(), TOO_MANY_FAILURES);
        let (mut proxied, _) = counts.add(None, now).unwrap();
        assert_eq!(counts.place(&mut proxied, source("10.0.0.1"), now), Err(TOO_MANY_FAILURES));
        assert!(counts.from("10.0.0.2").is_ok());
    }
}
