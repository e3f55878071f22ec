//! The normal forms of Unicode.

use unicode_normalization::UnicodeNormalization;

/// NFKD: letters before their marks, and no difference in form alone.
pub fn decomposed(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkd()
}
