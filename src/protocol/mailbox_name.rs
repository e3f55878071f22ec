//! mailbox: INBOX, modified UTF-7 or UTF-8.
