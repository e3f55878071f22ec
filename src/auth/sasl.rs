//! The exchange: PLAIN (RFC 4616) and LOGIN as small state machines, without I/O.

use super::Credentials;

/// One exchange, from the server's side.
pub struct Exchange {}

/// What comes next.
pub enum Step {
    /// Send this challenge (not yet base64) and give the response to [`Exchange::respond`].
    Challenge(Vec<u8>),
    Done(Credentials),
    /// The response makes no sense: BAD.
    Malformed(&'static str),
    /// PLAIN with an authorization identity that is not the user: NO [AUTHORIZATIONFAILED].
    NotAuthorized,
}

impl Exchange {
    /// `None` for a mechanism that is not ours. The name in capitals.
    pub fn new(_mechanism: &str) -> Option<Self> {
        todo!()
    }

    /// The first step, with the initial response if there is one (decoded).
    pub fn start(&mut self, _initial: Option<&[u8]>) -> Step {
        todo!()
    }

    /// A response, decoded.
    pub fn respond(&mut self, _response: &[u8]) -> Step {
        todo!()
    }
}
