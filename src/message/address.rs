//! Mailbox and group lists, with the obsolete forms (RFC 5322 sections 3.4 and 4.4).

/// One address structure of ENVELOPE. A group begins with an address whose host is `None` and whose mailbox is the group's name, and
/// ends with one whose host and mailbox are both `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    pub name: Option<Vec<u8>>,
    /// The source route (`@a,@b`), obsolete.
    pub route: Option<Vec<u8>>,
    pub mailbox: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
}

/// The addresses of one field's value. Never fails: what cannot be read becomes an address whose mailbox is the text.
pub fn parse(_value: &[u8]) -> Vec<Address> {
    todo!()
}
