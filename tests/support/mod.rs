//! Shared by the suites.

#![allow(dead_code, unused_imports)] // Each suite uses a part.

pub mod client;
pub mod grammar;
pub mod lexer;
pub mod mirror;
mod structure;

pub use client::{Answer, Client, Part};
pub use grammar::{Code, Response};
pub use lexer::Value;
