//! LIST with its extensions, LSUB, XLIST, NAMESPACE (RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use super::status::StatusItem;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    pub select: SelectOptions,
    pub reference: String,
    /// UTF-8, with `*` and `%`. More than one only in the extended form.
    pub patterns: Vec<String>,
    pub returns: ReturnOptions,
    /// Whether selection options, several patterns or RETURN were used.
    pub extended: bool,
}

/// Reference and pattern of LSUB and XLIST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub reference: String,
    pub pattern: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SelectOptions {
    pub subscribed: bool,
    pub remote: bool,
    /// Never alone.
    pub recursive_match: bool,
    pub special_use: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReturnOptions {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub status: Option<Vec<StatusItem>>,
}
