//! The name of a message file: unique part, sizes, info letters. Parse and build.
//!
//! ```abnf
//! name   = base [ ":" info ]
//! base   = unique *( "," KEY "=" value )    ; S: octets as stored, W: octets on the wire
//! info   = "2," flags [ "," anything ]      ; any other info is opaque
//! flags  = *letter                          ; sorted, without repetition when we write it
//! ```
//!
//! Two names with the same base are the same message. What is not understood is kept octet for octet.

use crate::sys::lock::{host_name, process_id};
use crate::types::SystemFlag;
use std::sync::atomic::{self, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

/// The letters that stand for system flags.
const SYSTEM: [(u8, SystemFlag); 5] = [
    (b'D', SystemFlag::Draft),
    (b'F', SystemFlag::Flagged),
    (b'R', SystemFlag::Answered),
    (b'S', SystemFlag::Seen),
    (b'T', SystemFlag::Deleted),
];

/// Flag letters of one name: a set of printable ASCII, in ascending order when written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Letters(u128);

impl Letters {
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A bit for each ASCII octet.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// From such bits, which must be of letters.
    pub fn of_bits(bits: u128) -> Self {
        Self(bits)
    }

    pub fn insert(&mut self, letter: u8) {
        if (0x21..=0x7e).contains(&letter) && letter != b',' && letter != b'/' && letter != b':' {
            self.0 |= 1 << letter;
        }
    }

    pub fn remove(&mut self, letter: u8) {
        if letter < 0x80 {
            self.0 &= !(1 << letter);
        }
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: Letters) {
        self.0 |= other.0;
    }

    pub fn has(self, letter: u8) -> bool {
        letter < 0x80 && self.0 & (1 << letter) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0x21..=0x7eu8).filter(move |&letter| self.has(letter))
    }

    /// Those of `a` to `z`.
    pub fn keyword_letters(self) -> impl Iterator<Item = u8> {
        let mut rest = (self.0 >> b'a') as u32 & 0x3ff_ffff;
        std::iter::from_fn(move || {
            let lowest = u8::try_from(rest.trailing_zeros()).ok().filter(|&bit| bit < 26)?;
            rest &= rest - 1;
            Some(b'a' + lowest)
        })
    }

    pub fn system(self) -> impl Iterator<Item = SystemFlag> {
        SYSTEM.into_iter().filter(move |(letter, _)| self.has(*letter)).map(|(_, flag)| flag)
    }

    pub fn set_system(&mut self, flag: SystemFlag, set: bool) {
        for (letter, _) in SYSTEM.into_iter().filter(|(_, f)| *f == flag) {
            if set { self.insert(letter) } else { self.remove(letter) }
        }
    }
}

/// The letter that stands for a system flag.
pub fn letter_of(flag: SystemFlag) -> u8 {
    SYSTEM.into_iter().find(|(_, f)| *f == flag).map_or(b'?', |(letter, _)| letter)
}

/// When the file came into its folder, in seconds since 1970: programs that deliver, and we that copy and move, begin the name with that
/// moment. `None` if it begins otherwise.
pub fn saved(name: &[u8]) -> Option<i64> {
    /// The summer of 1996: Maildirs are not older, and other numbers are mostly smaller.
    const FIRST: u64 = 836_000_000;
    /// The year 2100.
    const LAST: u64 = 4_102_444_800;
    let seconds = base(name).split(|&b| b == b'.').next().and_then(decimal)?;
    i64::try_from(seconds).ok().filter(|_| (FIRST..LAST).contains(&seconds))
}

/// What two names of one message share even when the sizes in them differ: all before the first comma or colon.
pub fn unique_part(name: &[u8]) -> &[u8] {
    let base = base(name);
    base.split(|&b| b == b',').next().unwrap_or(base)
}

/// The part that names the message: all before the first colon.
pub fn base(name: &[u8]) -> &[u8] {
    match memchr::memchr(b':', name) {
        Some(colon) => &name[..colon],
        None => name,
    }
}

/// Where the flag letters of a name begin and end; `None` if it has no info that we understand.
fn letters_range(name: &[u8]) -> Option<(usize, usize)> {
    let colon = memchr::memrchr(b':', name)?;
    let start = colon + 3;
    if name.get(colon + 1..start)? != b"2," {
        return None;
    }
    let rest = &name[start..];
    Some((start, start + memchr::memchr(b',', rest).unwrap_or(rest.len())))
}

/// Whether a name has info that may carry flag letters.
pub fn has_letters(name: &[u8]) -> bool {
    letters_range(name).is_some()
}

/// The flag letters of a name.
pub fn letters(name: &[u8]) -> Letters {
    let mut letters = Letters::default();
    if let Some((start, end)) = letters_range(name) {
        name[start..end].iter().for_each(|&l| letters.insert(l));
    }
    letters
}

/// The same name with other flag letters. Opaque info stays, with ours behind it: readers look behind the last colon.
pub fn with_letters(name: &[u8], letters: Letters) -> Vec<u8> {
    let (head, tail) = match letters_range(name) {
        Some((start, end)) => (&name[..start], &name[end..]),
        None => (name, &b""[..]),
    };
    let mut out = Vec::with_capacity(name.len() + 8);
    out.extend_from_slice(head);
    if letters_range(name).is_none() {
        out.extend_from_slice(b":2,");
    }
    out.extend(letters.iter());
    out.extend_from_slice(tail);
    out
}

/// `,S=`: octets as stored.
pub fn stored_size(name: &[u8]) -> Option<u64> {
    size_field(base(name), b",S=")
}

/// `,W=`: octets on the wire.
pub fn wire_size(name: &[u8]) -> Option<u64> {
    size_field(base(name), b",W=")
}

/// The first such field counts, if its value is digits and nothing else.
fn size_field(base: &[u8], key: &[u8; 3]) -> Option<u64> {
    let at = memchr::memmem::find(base, key)?;
    let value = base[at + 3..].split(|&b| b == b',').next().unwrap_or_default();
    decimal(value)
}

/// Digits and nothing else, within u64.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        if !b.is_ascii_digit() {
            return None;
        }
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// The name without the fields behind the unique part, as written when the sizes in them proved wrong. Info is kept.
pub fn with_sizes(name: &[u8], stored: u64, wire: u64) -> Vec<u8> {
    let base = base(name);
    let mut out = sized(unique_part(name), stored, wire);
    out.extend_from_slice(&name[base.len()..]);
    out
}

/// A unique part with its sizes.
pub fn sized(unique: &[u8], stored: u64, wire: u64) -> Vec<u8> {
    let mut out = unique.to_vec();
    out.extend_from_slice(format!(",S={stored},W={wire}").as_bytes());
    out
}

/// Whether a name found in `new` or `cur` can be that of a message: not hidden, with a base, and fit for a line of the UID list.
pub fn is_message(name: &[u8]) -> bool {
    !matches!(name.first(), None | Some(b'.' | b':')) && !name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// A unique part that nothing else has: `SECONDS.MmicrosecondsPpid.host`. Never twice in this process, however fast the calls or wrong the clock.
pub fn unique() -> Vec<u8> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or(0);
    let advance = |last: u64| Some(now.max(last.saturating_add(1)));
    let last = LAST.fetch_update(atomic::Ordering::Relaxed, atomic::Ordering::Relaxed, advance).unwrap_or(now);
    let mine = now.max(last.saturating_add(1));
    format!("{}.M{}P{}.{}", mine / 1_000_000, mine % 1_000_000, process_id(), host_name()).into_bytes()
}

/// The same name for another message: with a base that nothing has, and its info kept.
pub fn with_fresh_base(name: &[u8]) -> Vec<u8> {
    let mut out = unique();
    out.extend_from_slice(&name[base(name).len()..]);
    out
}

/// The order in which UIDs are dealt to messages found together: by seconds, then by microseconds (those that have none first), then by octets.
pub fn arrival(name: &[u8]) -> (u64, Option<u64>, &[u8]) {
    let base = base(name);
    let (seconds, micros) = moment(base);
    (seconds, micros, base)
}

/// A number that is no greater for what [`arrival`] has first; names of one number are to be compared by that.
pub fn rough_arrival(name: &[u8]) -> u64 {
    /// Bits for microseconds, with one value for those that have none.
    const MICROS: u32 = 28;
    const SECONDS: u64 = u64::MAX >> MICROS;
    let (seconds, micros) = moment(base(name));
    let micros =
        if seconds < SECONDS { micros.map_or(0, |micros| micros.saturating_add(1).min((1 << MICROS) - 1)) } else { 0 };
    seconds.min(SECONDS) << MICROS | micros
}

/// Leading seconds (zero if there are none), and the number behind the first `M` of the second field.
fn moment(base: &[u8]) -> (u64, Option<u64>) {
    let mut fields = base.split(|&b| b == b'.');
    let seconds = leading_number(fields.next().unwrap_or_default()).unwrap_or(0);
    let micros = fields.next().and_then(|field| {
        let m = field.iter().position(|&b| b == b'M')?;
        leading_number(&field[m + 1..])
    });
    (seconds, micros)
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    decimal(&text[..digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(letters: &str) -> Letters {
        let mut set = Letters::default();
        letters.bytes().for_each(|l| set.insert(l));
        set
    }

    fn changed(name: &str, letters: &str) -> String {
        String::from_utf8(with_letters(name.as_bytes(), set(letters))).unwrap()
    }

    #[test]
    fn the_base_ends_at_the_first_colon_and_flags_begin_at_the_last() {
        assert_eq!(base(b"a,S=1:2,:2,S"), b"a,S=1");
        assert_eq!(letters(b"a:1,x:2,SR"), set("RS"));
        assert_eq!(letters(b"a:2,S,foo=bar"), set("S"));
        for none in ["a", "a:", "a:2", "a:2,", "a:1,S", ":"] {
            assert!(letters(none.as_bytes()).is_empty(), "{none}");
        }
    }

    #[test]
    fn written_flags_are_sorted_and_what_follows_is_kept() {
        assert_eq!(changed("a:2,SRaS,foo=bar", "aSRPa"), "a:2,PRSa,foo=bar");
        assert_eq!(changed("a", "S"), "a:2,S");
        assert_eq!(changed("a", ""), "a:2,");
        assert_eq!(changed("a:1,xyz", "S"), "a:1,xyz:2,S");
        assert_eq!(changed("a:2", "S"), "a:2:2,S");
    }

    #[test]
    fn every_name_keeps_its_base_and_gets_the_letters_it_is_given() {
        arbtest::arbtest(|u| {
            let mut name = Vec::new();
            for _ in 0..u.int_in_range(1..=12)? {
                name.extend_from_slice(u.choose(&[&b"a"[..], b":", b"2", b",", b"S", b"T", b",S=7", b"\xff", b" "])?);
            }
            let letters = Letters(u128::arbitrary(u)?);
            let mut clean = Letters::default();
            letters.iter().for_each(|l| clean.insert(l));
            let written = with_letters(&name, clean);
            assert_eq!(base(&written), base(&name));
            assert_eq!(super::letters(&written), clean);
            assert_eq!(with_letters(&written, clean), written);
            Ok(())
        });
    }

    use arbtest::arbitrary::Arbitrary;

    #[test]
    fn a_size_is_the_first_field_of_its_kind_and_only_digits() {
        assert_eq!(stored_size(b"1.a.h,S=12,S=13:2,S"), Some(12));
        assert_eq!(stored_size(b"1.a.h,W=5,S=12"), Some(12));
        assert_eq!(wire_size(b"1.a.h,W=5,S=12"), Some(5));
        for bad in ["1,S=12x", "1,S=", "1,S=99999999999999999999", "1:2,S=5", "1,S=-1"] {
            assert_eq!(stored_size(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(with_sizes(b"1.a.h,S=9,X=2:2,S", 3, 4), b"1.a.h,S=3,W=4:2,S");
    }

    #[test]
    fn what_cannot_be_a_message_is_told() {
        for bad in [&b""[..], b".x", b":2,S", b"a\nb", b"a\r"] {
            assert!(!is_message(bad));
        }
        assert!(is_message(b"a b\xff"));
    }

    #[test]
    fn uids_are_dealt_by_time_then_by_name() {
        let mut names = ["9.x", "10.M5P1.h", "10.M40P1.h", "10.H7.h", "10.M5P0.h", "x"];
        names.sort_by_key(|name| arrival(name.as_bytes()));
        assert_eq!(names[0], "x");
        assert_eq!(names[1], "9.x");
        assert!(names.iter().position(|n| *n == "10.M5P0.h") < names.iter().position(|n| *n == "10.M40P1.h"));
        let most = format!("{0}.M{0}", u64::MAX);
        let more = [
            "68719476734.M9999999999",
            "68719476735.M1",
            "68719476735.x",
            "68719476736.M1",
            "10.M268435454",
            "10.M268435455.h",
            &most,
        ];
        for a in names.iter().chain(&more) {
            for b in names.iter().chain(&more) {
                let rough = rough_arrival(a.as_bytes()).cmp(&rough_arrival(b.as_bytes()));
                assert!(rough.is_eq() || rough == arrival(a.as_bytes()).cmp(&arrival(b.as_bytes())), "{a} {b}");
            }
        }
    }

    #[test]
    fn no_unique_name_comes_twice() {
        let names: std::collections::HashSet<_> = (0..10_000).map(|_| unique()).collect();
        assert_eq!(names.len(), 10_000);
    }
}
