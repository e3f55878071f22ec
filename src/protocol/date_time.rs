//! date, date-time: parse, write.
