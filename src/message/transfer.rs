//! Undo base64, quoted-printable and uuencode-free identity encodings, as a stream.

/// One part's content transfer decoder.
pub struct Decoder {}

impl Decoder {
    /// `None` for an encoding that is not known, which BINARY answers with UNKNOWN-CTE (RFC 3516 section 4.3).
    pub fn new(_encoding: &[u8]) -> Option<Self> {
        todo!()
    }

    /// Decodes a further piece in wire form, appending to `out`.
    pub fn push(&mut self, _wire: &[u8], _out: &mut Vec<u8>) {
        todo!()
    }

    /// Appends what was held back.
    pub fn finish(self, _out: &mut Vec<u8>) {
        todo!()
    }
}
