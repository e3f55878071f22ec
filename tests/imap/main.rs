//! The imap suite.
