//! The daemon suite.
