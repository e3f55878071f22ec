//! Substring search in a text that comes in pieces, case and form folded, in bounded memory.

use super::collate;
use crate::limits;
use memchr::memmem::Finder;

/// A text that is looked for.
pub struct Needle {
    finder: Finder<'static>,
    /// Its longest stretches of ASCII letters and digits.
    stretches: Vec<Finder<'static>>,
}

/// So many stretches of a needle are looked for on their own.
const STRETCHES: usize = 3;

impl Needle {
    /// Folds the text.
    pub fn new(text: &str) -> Self {
        let folded = collate::folded(text);
        let mut stretches: Vec<&[u8]> = folded.split(|octet| !octet.is_ascii_alphanumeric()).collect();
        stretches.sort_by_key(|stretch| std::cmp::Reverse(stretch.len()));
        let stretches =
            stretches.into_iter().take(STRETCHES).map(|stretch| Finder::new(stretch).into_owned()).collect();
        Self { stretches, finder: Finder::new(&folded).into_owned() }
    }

    /// Folded octets.
    fn len(&self) -> usize {
        self.finder.needle().len()
    }

    /// Whether octets in small letters hold its stretches of ASCII letters and digits, without which no text holds it all.
    pub(super) fn may_be_in(&self, folded: &[u8]) -> bool {
        self.stretches.iter().all(|stretch| stretch.find(folded).is_some())
    }

    /// Whether a whole folded text holds it. The empty needle is in every text.
    pub fn is_in(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }
}

/// Looks for several needles at once.
///
/// Time is linear in the text for each needle not yet found; memory is bounded by [`limits::SEARCH_WINDOW`] and the longest needle.
pub struct Hunt<'a> {
    needles: &'a [Needle],
    found: Vec<bool>,
    open: Vec<usize>,
    window: Vec<u8>,
    /// So much of the window was searched before.
    overlap: usize,
}

impl<'a> Hunt<'a> {
    /// Nothing is found yet.
    pub fn new(needles: &'a [Needle]) -> Self {
        let open = (0..needles.len()).collect();
        Self { needles, found: vec![false; needles.len()], open, window: Vec::new(), overlap: 0 }
    }

    /// Another message: nothing is found yet.
    pub fn begin(&mut self) {
        self.found.fill(false);
        self.open.clear();
        self.open.extend(0..self.needles.len());
        self.window.clear();
        self.overlap = 0;
    }

    /// Which of the needles were found so far.
    pub fn found(&self) -> &[bool] {
        &self.found
    }

    /// Nothing is left to be found.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// The next piece of a text. A needle is found across pieces.
    pub fn push(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() && !self.is_over() {
            let mut cut = rest.len().min(limits::SEARCH_WINDOW);
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            collate::fold(&rest[..cut], &mut self.window);
            if self.window.len() >= limits::SEARCH_WINDOW {
                self.look();
            }
            rest = &rest[cut..];
        }
    }

    /// The text ends; what follows is another.
    pub fn end(&mut self) {
        self.look();
        self.window.clear();
        self.overlap = 0;
    }

    fn look(&mut self) {
        if self.window.len() == self.overlap && !self.window.is_empty() {
            return;
        }
        let Self { needles, found, open, window, .. } = self;
        let mut longest = 1;
        open.retain(|&at| {
            let Some(needle) = needles.get(at) else { return false };
            let hit = needle.finder.find(window).is_some();
            if hit {
                found[at] = true;
            } else {
                longest = longest.max(needle.len());
            }
            !hit
        });
        let keep = window.len().min(longest - 1);
        window.drain(..window.len() - keep);
        self.overlap = keep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunt(needles: &[&str], texts: &[&[&str]]) -> Vec<bool> {
        let needles: Vec<Needle> = needles.iter().map(|n| Needle::new(n)).collect();
        let mut hunt = Hunt::new(&needles);
        for text in texts {
            text.iter().for_each(|piece| hunt.push(piece));
            hunt.end();
        }
        hunt.found().to_vec()
    }

    #[test]
    fn a_needle_is_found_across_pieces_but_not_across_texts() {
        assert_eq!(hunt(&["needle", "other"], &[&["a nee", "DLE b"]]), [true, false]);
        assert_eq!(hunt(&["needle"], &[&["nee"], &["dle"]]), [false]);
    }

    #[test]
    fn a_needle_is_found_across_windows() {
        let padding = "x".repeat(limits::SEARCH_WINDOW - 3);
        let more = "y".repeat(3 * limits::SEARCH_WINDOW);
        assert_eq!(hunt(&["needle", "absent"], &[&[&padding, "needle", &more]]), [true, false]);
        let wide = format!("{}\u{e9}needle", "z".repeat(limits::SEARCH_WINDOW - 1));
        assert_eq!(hunt(&["z\u{c9}NEEDLE"], &[&[&wide]]), [true]);
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let needles = [Needle::new("absent")];
        let mut hunt = Hunt::new(&needles);
        let piece = "many words ".repeat(1000);
        for _ in 0..500 {
            hunt.push(&piece);
            assert!(hunt.window.len() < 2 * limits::SEARCH_WINDOW);
        }
    }

    #[test]
    fn finds_what_a_search_of_the_whole_finds() {
        arbtest::arbtest(|u| {
            let text: Vec<&str> = (0..u.int_in_range(0..=30)?)
                .map(|_| u.choose(&["a", "B", "ab", "\u{e9}", "\u{c9}", "s"]).copied())
                .collect::<Result<_, _>>()?;
            let needle = u.choose(&["aba", "e\u{301}a", "\u{e9}\u{e9}", "bb", "ss"])?;
            let whole = text.concat();
            let at_once = Needle::new(needle).is_in(&collate::folded(&whole));
            assert_eq!(hunt(&[needle], &[&text]), [at_once]);
            Ok(())
        });
    }
}
