//! Options and modes; usage text.
