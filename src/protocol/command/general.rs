//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE.

/// RFC 2971. Longer values are cut, further pairs refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Id {
    /// Empty for NIL.
    pub pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// RFC 5161.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enable {
    /// In capitals.
    pub capabilities: Vec<String>,
}
