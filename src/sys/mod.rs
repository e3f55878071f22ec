//! The fence: all unsafe code and all raw system calls live below this line, behind safe functions.

pub mod poll;
pub mod socket;
