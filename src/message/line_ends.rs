//! LF files seen as CRLF messages, without rewriting them.
//!
//! To the wire: an LF that no CR precedes becomes CRLF. To the store: CRLF becomes LF, unless a further CR stands before it. So what came
//! from the wire with CRLF line ends goes back to the octet, `CR CR LF` and lone CRs included; a lone LF comes back as CRLF, since a lone LF
//! is not allowed in a message (RFC 5322 section 2.3).

use memchr::memchr;

/// Stored octets to wire octets, in pieces.
#[derive(Clone, Copy, Default)]
pub struct ToWire {
    after_cr: bool,
}

impl ToWire {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the wire form of the next stored octets to `out`.
    pub fn push(&mut self, stored: &[u8], out: &mut Vec<u8>) {
        let mut rest = stored;
        while let Some(at) = memchr(b'\n', rest) {
            let after_cr = if at == 0 { self.after_cr } else { rest[at - 1] == b'\r' };
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(if after_cr { b"\n" } else { b"\r\n" });
            self.after_cr = false;
            rest = &rest[at + 1..];
        }
        if let Some(&last) = rest.last() {
            self.after_cr = last == b'\r';
        }
        out.extend_from_slice(rest);
    }

    /// How many wire octets the next stored octets make.
    pub fn count(&mut self, stored: &[u8]) -> u64 {
        let mut bare = 0;
        for at in memchr::memchr_iter(b'\n', stored) {
            let after_cr = if at == 0 { self.after_cr } else { stored[at - 1] == b'\r' };
            bare += u64::from(!after_cr);
        }
        if let Some(&last) = stored.last() {
            self.after_cr = last == b'\r';
        }
        stored.len() as u64 + bare
    }

    /// As [`ToWire::count`], but of the longest beginning of `stored` that makes at most `limit` wire octets. Gives its length, stored and on the
    /// wire; the latter is one short of `limit` where an LF follows whose CR alone would still fit.
    pub fn count_up_to(&mut self, stored: &[u8], limit: u64) -> (usize, u64) {
        let mut bare = 0;
        let mut fits = stored.len();
        for at in memchr::memchr_iter(b'\n', stored) {
            if at as u64 + bare >= limit {
                break;
            }
            let after_cr = if at == 0 { self.after_cr } else { stored[at - 1] == b'\r' };
            if !after_cr {
                if at as u64 + bare + 2 > limit {
                    fits = at;
                    break;
                }
                bare += 1;
            }
        }
        fits = fits.min(usize::try_from(limit.saturating_sub(bare)).unwrap_or(usize::MAX));
        let wire = fits as u64 + bare;
        if let Some(&last) = stored[..fits].last() {
            self.after_cr = last == b'\r';
        }
        (fits, wire)
    }
}

/// Wire octets to stored octets, in pieces.
#[derive(Clone, Copy, Default)]
pub struct ToStored {
    /// CRs held back: the last octets were `count` CRs, of which this many are not yet written (at most one).
    held_cr: bool,
    /// The octet before the held CR was a CR.
    cr_before: bool,
}

impl ToStored {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the stored form of the next wire octets to `out`.
    pub fn push(&mut self, wire: &[u8], out: &mut Vec<u8>) {
        for &octet in wire {
            if self.held_cr {
                if octet != b'\n' || self.cr_before {
                    out.push(b'\r');
                }
                self.held_cr = false;
                if octet == b'\r' {
                    (self.held_cr, self.cr_before) = (true, true);
                    continue;
                }
                out.push(octet);
                self.cr_before = false;
            } else if octet == b'\r' {
                (self.held_cr, self.cr_before) = (true, false);
            } else {
                out.push(octet);
            }
        }
    }

    /// Appends what was held back.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.held_cr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(wire: &[u8], piece: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut to_stored, mut stored) = (ToStored::new(), Vec::new());
        wire.chunks(piece).for_each(|c| to_stored.push(c, &mut stored));
        to_stored.finish(&mut stored);
        let (mut to_wire, mut counter, mut back, mut counted) = (ToWire::new(), ToWire::new(), Vec::new(), 0);
        for chunk in stored.chunks(piece) {
            to_wire.push(chunk, &mut back);
            counted += counter.count(chunk);
        }
        assert_eq!(counted, back.len() as u64);
        (stored, back)
    }

    #[test]
    fn crlf_is_stored_as_lf_and_comes_back() {
        assert_eq!(round(b"a\r\nb\r\n", 1), (b"a\nb\n".to_vec(), b"a\r\nb\r\n".to_vec()));
        assert_eq!(round(b"a\r\r\n\rb\r", 2).1, b"a\r\r\n\rb\r");
        assert_eq!(round(b"a\nb", 3).1, b"a\r\nb");
    }

    #[test]
    fn counting_up_to_a_limit_never_divides_a_line_end() {
        let count = |stored: &[u8], limit| ToWire::new().count_up_to(stored, limit);
        assert_eq!(count(b"ab\ncd", 2), (2, 2));
        assert_eq!(count(b"ab\ncd", 3), (2, 2));
        assert_eq!(count(b"ab\ncd", 4), (3, 4));
        assert_eq!(count(b"ab\r\ncd", 3), (3, 3));
        assert_eq!(count(b"\n\n", 0), (0, 0));
        arbtest::arbtest(|u| {
            let stored: Vec<u8> =
                (0..u.int_in_range(0..=20)?).map(|_| u.choose(b"\r\nx").copied()).collect::<Result<_, _>>()?;
            let limit = u.int_in_range(0..=45u64)?;
            let (fits, wire) = ToWire::new().count_up_to(&stored, limit);
            assert_eq!(ToWire::new().count(&stored[..fits]), wire);
            assert!(wire <= limit);
            if fits < stored.len() {
                assert!(ToWire::new().count(&stored[..=fits]) > limit);
            }
            Ok(())
        });
    }

    #[test]
    fn every_message_without_a_lone_lf_comes_back_to_the_octet() {
        arbtest::arbtest(|u| {
            let mut wire = Vec::new();
            for _ in 0..u.int_in_range(0..=20)? {
                wire.extend_from_slice(u.choose(&[&b"\r\n"[..], b"\r", b"x", b"\r\r\n"])?);
            }
            assert_eq!(round(&wire, u.int_in_range(1..=5)?).1, wire);
            Ok(())
        });
    }
}
