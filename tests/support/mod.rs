//! Shared by the suites.

#![allow(dead_code, unused_imports)] // Each suite uses a part.

pub mod client;
pub mod credulous;
mod grammar;
pub mod keeping;
mod lexer;
mod mirror;
pub mod session;
mod structure;

pub use client::{Answer, Client, Form, Part, expand};
pub use grammar::{Code, Response};
pub use lexer::{Value, Wire};
pub use mirror::{Known, Mirror};
pub use session::Server;
