//! A moment with its zone, and a calendar day.

/// A moment: seconds since 1970-01-01 UTC, and the zone in which it is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DateTime {
    /// Seconds since 1970-01-01 00:00:00 UTC; may be negative.
    pub seconds: i64,
    /// Minutes east of UTC, within a day either way.
    pub zone: i16,
}

/// A calendar day of the proleptic Gregorian calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// `None` if there is no such day.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (day >= 1 && day <= days).then_some(Self { year, month, day })
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i64 {
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
        let y = i64::from(self.year) - i64::from(self.month <= 2);
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day that lies `days` after 1970-01-01. Days beyond the years that i32 holds are cut to the nearest.
    pub fn from_days(days: i64) -> Self {
        let z = days.clamp(-700_000_000_000, 700_000_000_000) + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let mp = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * mp + 2) / 5 + 1) as u8;
        let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u8;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year: year.clamp(i32::MIN.into(), i32::MAX.into()) as i32, month, day }
    }
}

impl DateTime {
    /// `None` if there is no such moment: a field out of range (second 60 counts as 59), or a zone of a day or more.
    pub fn new(date: Date, hour: u8, minute: u8, second: u8, zone: i16) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 60 || zone.abs() >= 24 * 60 {
            return None;
        }
        let local = date.days() * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
        Some(Self { seconds: local - i64::from(zone) * 60, zone })
    }

    /// The moment, shown in UTC.
    pub fn utc(seconds: i64) -> Self {
        Self { seconds, zone: 0 }
    }

    /// The day on the calendar of its own zone.
    pub fn date(self) -> Date {
        Date::from_days(self.local().div_euclid(86_400))
    }

    /// Hour, minute and second in its own zone.
    pub fn time(self) -> (u8, u8, u8) {
        let s = self.local().rem_euclid(86_400);
        ((s / 3600) as u8, (s / 60 % 60) as u8, (s % 60) as u8)
    }

    fn local(self) -> i64 {
        self.seconds.saturating_add(i64::from(self.zone) * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for days in (-800_000..3_000_000).step_by(37) {
            let date = Date::from_days(days);
            assert_eq!(date.days(), days);
            assert_eq!(Date::new(date.year, date.month, date.day), Some(date));
        }
        assert_eq!(Date::new(2000, 2, 29).unwrap().days(), 11_016);
        assert_eq!(Date::new(1900, 2, 29), None);
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        let moment = DateTime::new(Date::new(2026, 1, 1).unwrap(), 0, 30, 0, 60).unwrap();
        assert_eq!(moment.seconds, 1_767_223_800);
        assert_eq!(moment.date(), Date::new(2026, 1, 1).unwrap());
        assert_eq!(DateTime::utc(moment.seconds).date(), Date::new(2025, 12, 31).unwrap());
    }
}
