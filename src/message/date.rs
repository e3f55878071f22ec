//! The Date header, as people really write it (RFC 5322 sections 3.3 and 4.3).
//!
//! ```abnf
//! date-time = [ day-of-week "," ] date time [CFWS]
//! date      = day month year
//! time      = 2DIGIT ":" 2DIGIT [ ":" 2DIGIT ] (FWS zone / obs-zone)
//! ```
//!
//! Also taken: asctime (`Fri Nov 21 09:55:06 1997`), day and month swapped (`Nov 21, 1997`), dashes (`21-Nov-1997`), ISO 8601
//! (`1997-11-21T09:55:06Z`), full month names, AM and PM, fractions of seconds, a missing time or zone, and any weekday, right or wrong.

use crate::encoding::ascii;
use crate::types::{Date, DateTime};

/// More tokens than any date has. What comes behind them is not looked at.
const TOKENS: usize = 16;

/// `None` if there is no date in it.
pub fn parse(value: &[u8]) -> Option<DateTime> {
    let mut date = Reading::default();
    let mut rest = value;
    for _ in 0..TOKENS {
        let (token, behind) = token(rest)?;
        rest = behind;
        match token {
            Token::End => break,
            Token::Word(word) => date.word(word),
            Token::Number { digits, sign, colon_behind } => date.number(digits, sign, colon_behind),
        }
    }
    date.finish()
}

enum Token<'a> {
    Word(&'a [u8]),
    Number {
        digits: &'a [u8],
        /// What stood before it without a blank between.
        sign: Option<u8>,
        colon_behind: bool,
    },
    End,
}

/// The next token and what follows it; comments and other octets are passed over.
fn token(text: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let mut rest = text;
    let mut sign = None;
    let mut comment = 0usize;
    while let Some((&first, behind)) = rest.split_first() {
        let run = |of: fn(&u8) -> bool| rest.iter().position(|octet| !of(octet)).unwrap_or(rest.len());
        match first {
            b'(' => comment += 1,
            b')' => comment = comment.saturating_sub(1),
            _ if comment > 0 => {}
            b'0'..=b'9' => {
                let (digits, behind) = rest.split_at(run(u8::is_ascii_digit));
                return Some((
                    Token::Number { digits, sign, colon_behind: ascii::trim(behind).first() == Some(&b':') },
                    behind,
                ));
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let (word, behind) = rest.split_at(run(u8::is_ascii_alphabetic));
                return Some((Token::Word(word), behind));
            }
            _ => {}
        }
        // Blanks around colons are obsolete.
        if !(sign == Some(b':') && first.is_ascii_whitespace()) {
            sign = matches!(first, b'+' | b'-' | b':' | b'.').then_some(first);
        }
        rest = behind;
    }
    Some((Token::End, rest))
}

#[derive(Default)]
struct Reading {
    day: Option<u32>,
    month: Option<u8>,
    year: Option<i32>,
    time: [Option<u8>; 3],
    zone: Option<i16>,
    /// The word before told that it comes after noon, or before.
    half: Option<Half>,
    /// The year came first, so months are numbers (ISO 8601).
    iso: bool,
}

#[derive(PartialEq)]
enum Half {
    Morning,
    Afternoon,
}

impl Reading {
    fn word(&mut self, word: &[u8]) {
        let is = |name: &&str| word.eq_ignore_ascii_case(name.as_bytes());
        let month = word.get(..3).and_then(|start| {
            MONTHS.iter().position(|name| {
                start.eq_ignore_ascii_case(&name.as_bytes()[..3])
                    && name.len() >= word.len()
                    && name.as_bytes()[..word.len()].eq_ignore_ascii_case(word)
                    || word.eq_ignore_ascii_case(b"sept") && *name == "september"
            })
        });
        if let Some(month) = month.filter(|_| self.month.is_none()) {
            self.month = Some(month as u8 + 1);
        } else if is(&"am") {
            self.half = Some(Half::Morning);
        } else if is(&"pm") {
            self.half = Some(Half::Afternoon);
        } else if self.time[0].is_some()
            && self.zone.is_none()
            && let Some((_, hours)) = ZONES.iter().find(|(name, _)| is(name))
        {
            self.zone = Some(hours * 60);
        }
    }

    fn number(&mut self, digits: &[u8], sign: Option<u8>, colon_behind: bool) {
        // No number of a date has more digits, and this many fit.
        let Some(value) = (digits.len() <= 6).then(|| digits.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0')))
        else {
            return;
        };
        let small = Some(u8::try_from(value).unwrap_or(u8::MAX));
        if self.time[0].is_none() && colon_behind {
            self.time[0] = small;
        } else if self.time[0].is_some() && sign == Some(b':') && self.time[2].is_none() && self.zone.is_none() {
            let place = if self.time[1].is_none() { 1 } else { 2 };
            self.time[place] = small;
        } else if self.time[0].is_some() && sign == Some(b'.') && self.zone.is_none() {
            // A fraction of a second.
        } else if self.time[0].is_some() && matches!(sign, Some(b'+' | b'-')) && self.zone.is_none() {
            self.zone = Some(zone(value, digits.len(), sign == Some(b'-'), colon_behind));
        } else if digits.len() >= 3 && self.year.is_none() {
            self.iso = self.day.is_none() && self.month.is_none() && digits.len() == 4;
            self.year = Some(match (digits.len(), value) {
                // RFC 5322 section 4.3: three digits count from 1900, as programs of the last century made them.
                (3, _) => value as i32 + 1900,
                _ => value as i32,
            });
        } else if self.iso && self.month.is_none() {
            self.month = small;
        } else if self.day.is_none() {
            self.day = Some(value);
        } else if self.year.is_none() && digits.len() <= 2 {
            self.year = Some(value as i32 + if value < 50 { 2000 } else { 1900 });
        }
    }

    fn finish(self) -> Option<DateTime> {
        let year = self.year.filter(|year| *year <= 9999)?;
        let date = Date::new(year, self.month?, u8::try_from(self.day?).ok()?)?;
        let [hour, minute, second] = self.time.map(|number| number.unwrap_or(0));
        let hour = match self.half {
            Some(Half::Morning) if hour == 12 => 0,
            Some(Half::Afternoon) if hour < 12 => hour + 12,
            _ => hour,
        };
        let zone = self.zone.unwrap_or(0);
        // A time that is none does not make the day unknown.
        DateTime::new(date, hour, minute, second, zone).or_else(|| DateTime::new(date, 0, 0, 0, zone))
    }
}

/// Minutes east. What cannot be a zone is taken for UTC, as RFC 5322 section 4.3 asks for unknown ones.
fn zone(value: u32, digits: usize, west: bool, colon_behind: bool) -> i16 {
    let (hours, minutes) = if digits <= 2 || colon_behind { (value, 0) } else { (value / 100, value % 100) };
    if hours > 23 || minutes > 59 {
        return 0;
    }
    let east = (hours * 60 + minutes) as i16;
    if west { -east } else { east }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Hours east: those of RFC 5322 section 4.3, and a few that are common in mail. Others, the military letters among them, are UTC.
const ZONES: [(&str, i16); 20] = [
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("wet", 0),
    ("bst", 1),
    ("met", 1),
    ("cet", 1),
    ("mest", 2),
    ("cest", 2),
    ("eet", 2),
    ("jst", 9),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 and the zone.
    fn of(value: &str) -> Option<(i64, i16)> {
        parse(value.as_bytes()).map(|moment| (moment.seconds, moment.zone))
    }

    const NOON: i64 = 880_127_706;

    #[test]
    fn the_forms_of_rfc_5322() {
        assert_eq!(of("Fri, 21 Nov 1997 09:55:06 -0600"), Some((NOON, -360)));
        assert_eq!(of("21 Nov 97 09:55:06 CST"), Some((NOON, -360)));
        assert_eq!(of(" Fri (x),\r\n 21 (day (nested)) nov 1997 09 : 55 : 06 -0600 (x)").map(|m| m.1), Some(-360));
        assert_eq!(of("21 Nov 1997 15:55 GMT"), Some((NOON - 6, 0)));
        assert_eq!(of("21 Nov 097 15:55:06 A"), Some((NOON, 0)));
        assert_eq!(of("Fri, 21 Nov 1997 09:55:06 -0600 (CST)"), Some((NOON, -360)));
        assert_eq!(of("21 Nov 49 0:0 +0000").map(|m| m.0 > 0), Some(true));
    }

    #[test]
    fn the_forms_of_people() {
        for value in [
            "Fri Nov 21 15:55:06 1997",
            "Fri Nov 21 15:55:06 GMT 1997",
            "Friday, November 21, 1997 3:55:06 PM",
            "21-Nov-1997 15:55:06",
            "1997-11-21T15:55:06Z",
            "1997-11-21 15:55:06.123456",
            "Wrong, 21 Nov 1997 15:55:06",
            "Fri, 21 Nov 1997 15.55.06 15:55:06",
            "Fri,21Nov1997 15:55:06+0000",
        ] {
            assert_eq!(of(value), Some((NOON, 0)), "{value}");
        }
        assert_eq!(of("1997-11-21T16:55:06+01:00"), Some((NOON, 60)));
        assert_eq!(of("1997-11-21T09:55:06-06"), Some((NOON, -360)));
        assert_eq!(of("Fri, 21 Nov 1997 16:55:06 MET"), Some((NOON, 60)));
        assert_eq!(of("Sept 1 2020"), of("1 Sep 2020"));
        assert_eq!(of("1 Jan 2020 12:30 AM"), of("1 Jan 2020 00:30"));
    }

    #[test]
    fn bad_times_and_zones_leave_the_day() {
        let day = of("21 Nov 1997");
        assert!(day.is_some());
        for value in [
            "21 Nov 1997 99:99:99",
            "21 Nov 1997 24:00:00",
            "21 Nov 1997 300:1:1",
            "21 Nov 1997 0:0:0 +9999",
            "21 Nov 1997 0:0:0 +0099",
        ] {
            assert_eq!(of(value), day, "{value}");
        }
        assert_eq!(of("31 Dec 2016 23:59:60 +0000"), of("31 Dec 2016 23:59:59 +0000"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for value in [
            "",
            "now",
            "0 Jan 2020",
            "32 Jan 2020",
            "30 Feb 2020",
            "1 Jan 99999",
            "1 Jan 99999999999999999999",
            "1 Foo 2020",
            "2020-13-01",
            "2020-00-01",
            "Jan 2020",
            "12:00",
            "((((((",
            "-1 -1 -1",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
        assert_eq!(parse(&b"("[..].repeat(1_000_000)), None);
        assert_eq!(parse(&b"1 "[..].repeat(1_000_000)), None);
        assert_eq!(parse(&b"9"[..].repeat(1_000_000)), None);
    }

    #[test]
    fn the_ends_of_the_calendar_are_dates() {
        assert!(of("1 Jan 1900 00:00:00 +0000").unwrap().0 < 0);
        assert!(of("31 Dec 9999 23:59:59 -2359").is_some());
        assert!(of("1 Jan 0001 00:00:00 +2359").is_some());
    }
}
