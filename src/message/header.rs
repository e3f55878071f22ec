//! Header fields: find, unfold, select, tolerate.

/// One field as it stands in the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Without the colon.
    pub name: &'a [u8],
    /// What follows the colon, folded as it is, without the last line end.
    pub value: &'a [u8],
    /// The whole field with its line end.
    pub raw: &'a [u8],
}

/// The fields in their order, in a header with LF or CRLF line ends. What is no field is left out.
pub fn fields(_header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::empty()
}

/// The value without folds and without blanks at its ends.
pub fn unfold(_value: &[u8]) -> Vec<u8> {
    todo!()
}

/// What BODY[HEADER.FIELDS (names)] or, with `keep` false, HEADER.FIELDS.NOT gives: whole fields as they stand, in the order of the header,
/// and the empty line. `header` is in wire form. Names are compared without regard to case.
pub fn select(_header: &[u8], _names: &[Vec<u8>], _keep: bool) -> Vec<u8> {
    todo!()
}
