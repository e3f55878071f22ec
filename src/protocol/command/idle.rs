//! IDLE, DONE (RFC 2177, RFC 9051 section 6.3.13).

/// Whether a line that came during IDLE ends it: `DONE` in any case.
pub fn is_done(line: &[u8]) -> bool {
    line.eq_ignore_ascii_case(b"DONE")
}
