//! The exchange: PLAIN (RFC 4616) and LOGIN as small state machines, without I/O.

use super::Credentials;
use crate::types::Secret;

/// One exchange, from the server's side.
pub struct Exchange {
    state: State,
}

enum State {
    Plain,
    LoginUser,
    LoginPassword { user: String },
    Ended,
}

/// What comes next.
pub enum Step {
    /// Send this challenge (not yet base64) and give the response to [`Exchange::respond`].
    Challenge(Vec<u8>),
    Done(Credentials),
    /// The response makes no sense: BAD.
    Malformed(&'static str),
    /// PLAIN with an authorization identity that is not the user: `NO [AUTHORIZATIONFAILED]`.
    NotAuthorized,
}

impl Exchange {
    /// `None` for a mechanism that is not ours. The name in capitals.
    pub fn new(mechanism: &str) -> Option<Self> {
        let state = match mechanism {
            "PLAIN" => State::Plain,
            "LOGIN" => State::LoginUser,
            _ => return None,
        };
        Some(Self { state })
    }

    /// The first step, with the initial response if there is one (decoded).
    pub fn start(&mut self, initial: Option<&[u8]>) -> Step {
        match (initial, &self.state) {
            (Some(response), _) => self.respond(response),
            (None, State::LoginUser) => Step::Challenge(b"Username:".to_vec()),
            (None, _) => Step::Challenge(Vec::new()),
        }
    }

    /// A response, decoded.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Plain => plain(response),
            State::LoginUser => match name(response) {
                Ok(user) => {
                    self.state = State::LoginPassword { user };
                    Step::Challenge(b"Password:".to_vec())
                }
                Err(why) => Step::Malformed(why),
            },
            State::LoginPassword { user } => credentials(user, response),
            State::Ended => Step::Malformed("the exchange is over"),
        }
    }
}

/// RFC 4616 section 2
///
/// ```abnf
/// message = [authzid] UTF8NUL authcid UTF8NUL passwd
/// ```
fn plain(message: &[u8]) -> Step {
    let mut fields = message.split(|&octet| octet == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Step::Malformed("expected three fields");
    };
    match name(authcid) {
        Err(why) => Step::Malformed(why),
        Ok(_) if !authzid.is_empty() && authzid != authcid => Step::NotAuthorized,
        Ok(user) => credentials(user, password),
    }
}

fn name(octets: &[u8]) -> Result<String, &'static str> {
    match std::str::from_utf8(octets) {
        Ok("") => Err("the user name is empty"),
        Ok(name) if name.contains('\0') => Err("there is a NUL in the user name"),
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err("the user name is not UTF-8"),
    }
}

/// Too long a name or password is not malformed: the authenticator refuses it like a wrong one.
fn credentials(user: String, password: &[u8]) -> Step {
    match password {
        [] => Step::Malformed("the password is empty"),
        octets if octets.contains(&0) => Step::Malformed("there is a NUL in the password"),
        octets => Step::Done(Credentials { user, password: Secret::new(octets.to_vec()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(step: Step) -> String {
        match step {
            Step::Challenge(text) => format!("+ {}", String::from_utf8(text).unwrap()),
            Step::Done(credentials) => {
                format!("{}:{}", credentials.user, std::str::from_utf8(credentials.password.expose()).unwrap())
            }
            Step::Malformed(_) => "BAD".to_owned(),
            Step::NotAuthorized => "NO".to_owned(),
        }
    }

    fn plain_with(response: &[u8]) -> String {
        show(Exchange::new("PLAIN").unwrap().start(Some(response)))
    }

    #[test]
    fn plain_asks_with_an_empty_challenge() {
        let mut exchange = Exchange::new("PLAIN").unwrap();
        assert_eq!(show(exchange.start(None)), "+ ");
        assert_eq!(show(exchange.respond(b"\0alice\0secret")), "alice:secret");
        assert_eq!(show(exchange.respond(b"\0alice\0secret")), "BAD");
    }

    #[test]
    fn plain_with_another_identity_is_not_authorized() {
        assert_eq!(plain_with(b"alice\0alice\0secret"), "alice:secret");
        assert_eq!(plain_with(b"bob\0alice\0secret"), "NO");
    }

    #[test]
    fn plain_that_is_damaged_is_malformed() {
        for response in
            [&b""[..], b"alice", b"\0alice", b"\0\0secret", b"\0alice\0", b"\0alice\0a\0b", b"\0\xff\0secret"]
        {
            assert_eq!(plain_with(response), "BAD", "{response:?}");
        }
    }

    #[test]
    fn login_asks_for_name_and_password() {
        let mut exchange = Exchange::new("LOGIN").unwrap();
        assert_eq!(show(exchange.start(None)), "+ Username:");
        assert_eq!(show(exchange.respond(b"alice")), "+ Password:");
        assert_eq!(show(exchange.respond(b"sec ret")), "alice:sec ret");
    }

    #[test]
    fn login_takes_the_name_as_initial_response() {
        let mut exchange = Exchange::new("LOGIN").unwrap();
        assert_eq!(show(exchange.start(Some(b"alice"))), "+ Password:");
        assert_eq!(show(exchange.respond(b"a\0b")), "BAD");
        assert_eq!(show(Exchange::new("LOGIN").unwrap().start(Some(b""))), "BAD");
    }

    #[test]
    fn other_mechanisms_are_not_ours() {
        assert!(Exchange::new("EXTERNAL").is_none());
        assert!(Exchange::new("plain").is_none());
        for bound in ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "PLAIN-PLUS"] {
            assert!(Exchange::new(bound).is_none(), "{bound}");
        }
    }
}
