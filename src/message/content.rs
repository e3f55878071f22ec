//! Content-Type, -Disposition, -Transfer-Encoding, -Language, -Location, -ID, -MD5 and -Description.

/// The MIME fields of a part, defaults filled in (RFC 2045 section 5.2). Octets are as the header has them, unfolded; a text that was not
/// valid is cut or left out, so that each field can be written as the grammar asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// As written, such as `text`.
    pub main_type: Vec<u8>,
    pub sub_type: Vec<u8>,
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    /// `7BIT` if the header says nothing.
    pub encoding: Vec<u8>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<Disposition>,
    pub language: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    pub kind: Vec<u8>,
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}
