//! date, date-time: parse, write.

use super::cursor::{Cursor, Parse};
use super::encode::text;
use crate::types::{Date, DateTime};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Cursor<'_> {
    /// ```abnf
    /// date      = date-text / DQUOTE date-text DQUOTE
    /// date-text = date-day "-" date-month "-" date-year
    /// date-day  = 1*2DIGIT
    /// ```
    pub fn date(&mut self) -> Parse<Date> {
        let quoted = self.take(b'"');
        let mut day = self.digit("a day of the month")?;
        if let Some(digit) = self.take_digit() {
            day = day * 10 + digit;
        }
        let date = self.month_and_year(day)?;
        if quoted {
            self.expect(b'"', "the quote behind a date")?;
        }
        Ok(date)
    }

    /// ```abnf
    /// date-time      = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
    /// date-day-fixed = (SP DIGIT) / 2DIGIT                  ; a digit alone is taken too: some clients write it
    /// time           = 2DIGIT ":" 2DIGIT ":" 2DIGIT
    /// zone           = ("+" / "-") 4DIGIT
    /// ```
    pub fn date_time(&mut self) -> Parse<DateTime> {
        self.expect(b'"', "a quoted date and time")?;
        let blank = self.take(b' ');
        let mut day = self.digit("a day of the month")?;
        if !blank && self.peek() != Some(b'-') {
            day = day * 10 + self.digit("a day of the month")?;
        }
        let date = self.month_and_year(day)?;
        self.space()?;
        let hour = self.two_digits()?;
        self.expect(b':', "a colon")?;
        let minute = self.two_digits()?;
        self.expect(b':', "a colon")?;
        let second = self.two_digits()?;
        self.space()?;
        let west = self.take(b'-');
        if !west {
            self.expect(b'+', "the sign of a time zone")?;
        }
        let (hours, minutes) = (self.two_digits()?, self.two_digits()?);
        if minutes > 59 {
            return Err(self.expected("a time zone"));
        }
        let east = i16::from(hours) * 60 + i16::from(minutes);
        let zone = if west { -east } else { east };
        let moment = DateTime::new(date, hour, minute, second, zone)
            .ok_or_else(|| self.expected("a date and time that exist"))?;
        self.expect(b'"', "the quote behind a date and time")?;
        Ok(moment)
    }

    fn month_and_year(&mut self, day: u8) -> Parse<Date> {
        self.expect(b'-', "a hyphen")?;
        let month = (1..).zip(MONTHS).find(|(_, name)| self.take_word(name)).map(|(month, _)| month);
        let month = month.ok_or_else(|| self.expected("the name of a month"))?;
        self.expect(b'-', "a hyphen")?;
        let (century, year) = (self.two_digits()?, self.two_digits()?);
        let year = i32::from(century) * 100 + i32::from(year);
        Date::new(year, month, day).ok_or_else(|| self.expected("a day that exists"))
    }

    fn two_digits(&mut self) -> Parse<u8> {
        Ok(self.digit("two digits")? * 10 + self.digit("two digits")?)
    }

    fn digit(&mut self, what: &'static str) -> Parse<u8> {
        self.take_digit().ok_or_else(|| self.expected(what))
    }
}

fn month_name(date: Date) -> &'static str {
    MONTHS.get(usize::from(date.month).wrapping_sub(1)).copied().unwrap_or("Jan")
}

/// As `1-Feb-1994`.
pub fn write_date(out: &mut Vec<u8>, date: Date) {
    text(out, format_args!("{}-{}-{:04}", date.day, month_name(date), date.year));
}

/// With its quotes. What lies before the year 1 or after 9999 is cut to the nearest moment that the grammar can hold.
pub fn write_date_time(out: &mut Vec<u8>, moment: DateTime) {
    let date = moment.date();
    if date.year < 1 {
        return out.extend_from_slice(b"\" 1-Jan-0001 00:00:00 +0000\"");
    }
    if date.year > 9999 {
        return out.extend_from_slice(b"\"31-Dec-9999 23:59:59 +0000\"");
    }
    let (hour, minute, second) = moment.time();
    let sign = if moment.zone < 0 { '-' } else { '+' };
    let zone = moment.zone.unsigned_abs();
    text(
        out,
        format_args!(
            "\"{:2}-{}-{:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}\"",
            date.day,
            month_name(date),
            date.year,
            zone / 60,
            zone % 60
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::super::Dialect;
    use super::*;

    fn date(text: &str) -> Option<Date> {
        let mut cursor = Cursor::new(text.as_bytes(), Dialect::Rev1);
        cursor.date().ok().filter(|_| cursor.is_at_end())
    }

    fn date_time(text: &str) -> Option<DateTime> {
        let mut cursor = Cursor::new(text.as_bytes(), Dialect::Rev1);
        cursor.date_time().ok().filter(|_| cursor.is_at_end())
    }

    #[test]
    fn dates_quoted_or_not_in_any_case() {
        let expected = Date::new(1994, 2, 1);
        for text in ["1-Feb-1994", "01-FEB-1994", "\"1-feb-1994\""] {
            assert_eq!(date(text), expected, "{text}");
        }
        for bad in
            ["", "1-Feb-94", "30-Feb-1994", "0-Feb-1994", "1-Fev-1994", "\"1-Feb-1994", "001-Feb-1994", " 1-Feb-1994"]
        {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_have_one_or_two_digits_and_a_zone() {
        let expected = DateTime::new(Date::new(1994, 2, 7).unwrap(), 21, 52, 25, -480);
        for text in
            ["\" 7-Feb-1994 21:52:25 -0800\"", "\"7-Feb-1994 21:52:25 -0800\"", "\"07-feb-1994 21:52:25 -0800\""]
        {
            assert_eq!(date_time(text), expected, "{text}");
        }
        for bad in [
            "\" 07-Feb-1994 21:52:25 -0800\"",
            "\"007-Feb-1994 21:52:25 -0800\"",
            "\"-Feb-1994 21:52:25 -0800\"",
            "\" 7-Feb-1994 24:52:25 -0800\"",
            "\" 7-Feb-1994 21:60:25 -0800\"",
            "\" 7-Feb-1994 21:52:25 -0860\"",
            "\" 7-Feb-1994 21:52:25 +2400\"",
            "\" 7-Feb-1994 21:52:25 PST\"",
            "\" 7-Feb-1994 21:52:25 +0000",
            " 7-Feb-1994 21:52:25 +0000",
        ] {
            assert_eq!(date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_parses_back() {
        arbtest::arbtest(|u| {
            let seconds = u.int_in_range(-62_135_000_000i64..=253_402_000_000)?;
            let moment = DateTime { seconds, zone: u.int_in_range(-1439..=1439)? };
            let mut out = Vec::new();
            write_date_time(&mut out, moment);
            assert_eq!(date_time(std::str::from_utf8(&out).unwrap()), Some(moment));
            let mut out = Vec::new();
            write_date(&mut out, moment.date());
            assert_eq!(date(std::str::from_utf8(&out).unwrap()), Some(moment.date()));
            Ok(())
        });
    }

    #[test]
    fn years_beyond_four_digits_are_cut() {
        for seconds in [i64::MIN, i64::MAX, -62_200_000_000, 253_500_000_000] {
            let mut out = Vec::new();
            write_date_time(&mut out, DateTime::utc(seconds));
            let shown = date_time(std::str::from_utf8(&out).unwrap()).unwrap();
            assert_eq!(shown.date().year, if seconds < 0 { 1 } else { 9999 });
        }
    }
}
