//! RFC 2047.

/// The value unfolded and with its encoded words decoded, 8-bit octets read as UTF-8 or else windows-1252.
pub fn decode(_value: &[u8]) -> String {
    todo!()
}
