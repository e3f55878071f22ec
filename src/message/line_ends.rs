//! LF files seen as CRLF messages, without rewriting them.
//!
//! To the wire: an LF that no CR precedes becomes CRLF. To the store: CRLF becomes LF, unless a further CR stands before it. So what came
//! from the wire with CRLF line ends goes back to the octet, `CR CR LF` and lone CRs included; a lone LF comes back as CRLF, since a lone LF
//! is not allowed in a message (RFC 5322 section 2.3).

use memchr::{memchr, memchr_iter};

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
        let Some((&first, &last)) = stored.first().zip(stored.last()) else { return };
        // Room for lines as they are in mail, so that it rarely has to be found again.
        out.reserve(stored.len() + stored.len() / 32 + 2);
        let mut from = 0;
        if first == b'\n' && !self.after_cr {
            out.extend_from_slice(b"\r\n");
            from = 1;
        }
        for at in memchr_iter(b'\n', stored) {
            if at > 0 && stored[at - 1] != b'\r' {
                out.extend_from_slice(&stored[from..at]);
                out.extend_from_slice(b"\r\n");
                from = at + 1;
            }
        }
        out.extend_from_slice(&stored[from..]);
        self.after_cr = last == b'\r';
    }

    /// How many wire octets the next stored octets make.
    pub fn count(&mut self, stored: &[u8]) -> u64 {
        let Some((&first, &last)) = stored.first().zip(stored.last()) else { return 0 };
        let bare = u64::from(first == b'\n' && !self.after_cr) + bare_line_feeds(stored);
        self.after_cr = last == b'\r';
        stored.len() as u64 + bare
    }

    /// As [`ToWire::count`], but of the longest beginning of `stored` that makes at most `limit` wire octets. Gives its length, stored and on the
    /// wire; the latter is one short of `limit` where an LF follows whose CR alone would still fit.
    pub fn count_up_to(&mut self, stored: &[u8], limit: u64) -> (usize, u64) {
        let mut bare = 0;
        let mut fits = stored.len();
        for at in memchr_iter(b'\n', stored) {
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

/// How many LFs stand behind an octet that is no CR; one at the very start does not count. Sizes are counted of every message: without a CR in it
/// that is only counting LFs, else it is done in steps that the compiler makes vectors of.
fn bare_line_feeds(octets: &[u8]) -> u64 {
    /// So many that their number fits an octet.
    const STEP: usize = u8::MAX as usize;
    let behind = octets.get(1..).unwrap_or_default();
    if memchr(b'\r', octets).is_none() {
        return memchr_iter(b'\n', behind).count() as u64;
    }
    let steps = octets.chunks(STEP).zip(behind.chunks(STEP));
    steps
        .map(|(before, here)| {
            let bare =
                before.iter().zip(here).map(|(&before, &here)| u8::from(before != b'\r') & u8::from(here == b'\n'));
            u64::from(bare.fold(0, u8::wrapping_add))
        })
        .sum()
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
        out.reserve(wire.len() + 1);
        let mut rest = wire;
        while let Some((&first, behind)) = rest.split_first() {
            if self.held_cr {
                if first != b'\n' || self.cr_before {
                    out.push(b'\r');
                }
                (self.held_cr, self.cr_before) = (first == b'\r', true);
                if first != b'\r' {
                    out.push(first);
                }
                rest = behind;
                continue;
            }
            // Whole lines at once.
            let Some(at) = memchr(b'\r', rest) else { return out.extend_from_slice(rest) };
            out.extend_from_slice(&rest[..at]);
            (self.held_cr, self.cr_before) = (true, false);
            rest = &rest[at + 1..];
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

    /// Octet by octet.
    /// The stored form, octet by octet.
    fn plainly_stored(wire: &[u8]) -> Vec<u8> {
        let kept = |at: usize| {
            let is_end = wire[at] == b'\r' && wire.get(at + 1) == Some(&b'\n');
            !is_end || at > 0 && wire[at - 1] == b'\r'
        };
        (0..wire.len()).filter(|&at| kept(at)).map(|at| wire[at]).collect()
    }

    #[test]
    fn what_is_stored_does_not_depend_on_how_it_comes() {
        arbtest::arbtest(|u| {
            let wire: Vec<u8> =
                (0..u.int_in_range(0..=40)?).map(|_| u.choose(b"\r\r\n\nab").copied()).collect::<Result<_, _>>()?;
            let (mut to_stored, mut stored) = (ToStored::new(), Vec::new());
            wire.chunks(u.int_in_range(1..=9)?).for_each(|piece| to_stored.push(piece, &mut stored));
            to_stored.finish(&mut stored);
            assert_eq!(stored, plainly_stored(&wire));
            Ok(())
        });
    }

    fn plainly(stored: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut before = 0;
        for &octet in stored {
            if octet == b'\n' && before != b'\r' {
                out.push(b'\r');
            }
            out.push(octet);
            before = octet;
        }
        out
    }

    #[test]
    fn any_pieces_give_what_a_plain_loop_gives() {
        arbtest::arbtest(|u| {
            let mut stored = Vec::new();
            for _ in 0..u.int_in_range(0..=20)? {
                let piece = *u.choose(&[&b"\r"[..], b"\n", b"x", b"\r\n", b"\n\n"])?;
                stored.extend(piece.repeat(u.int_in_range(0..=300)?));
            }
            let (mut to_wire, mut counter, mut wire, mut counted) = (ToWire::new(), ToWire::new(), Vec::new(), 0);
            for piece in stored.chunks(u.int_in_range(1..=700)?) {
                to_wire.push(piece, &mut wire);
                counted += counter.count(piece);
            }
            assert_eq!(wire, plainly(&stored));
            assert_eq!(counted, wire.len() as u64);
            Ok(())
        });
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
