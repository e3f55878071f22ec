//! Octets in a named charset to text.

/// Whether SEARCH can take this charset.
pub fn is_known(_name: &[u8]) -> bool {
    todo!()
}

/// The text; what is not valid in the charset becomes U+FFFD, an unknown charset is read as UTF-8 or else windows-1252.
pub fn decode(_name: &[u8], _octets: &[u8]) -> String {
    todo!()
}
