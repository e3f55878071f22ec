//! STARTTLS, LOGIN, AUTHENTICATE.

use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode::{astring, text};
use crate::types::Secret;

/// RFC 9051 section 6.2.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    pub user: Vec<u8>,
    pub password: Secret,
}

/// RFC 9051 section 6.2.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticate {
    /// In capitals.
    pub mechanism: String,
    /// Base64 as it came; `=` stands for the empty response (RFC 4959 section 3).
    pub initial: Option<Secret>,
}

impl Login {
    /// ```abnf
    /// login = "LOGIN" SP userid SP password
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let user = cursor.astring()?.into_owned();
        cursor.space()?;
        let password = Secret::new(cursor.astring()?.into_owned());
        Ok(Self { user, password })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        for octets in [&self.user, self.password.expose()] {
            out.push(b' ');
            astring(out, octets);
        }
    }
}

impl Authenticate {
    /// ```abnf
    /// authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
    /// initial-resp = (base64 / "=")
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let mechanism = cursor.atom("a SASL mechanism")?.to_ascii_uppercase();
        if cursor.ends_here() {
            return Ok(Self { mechanism, initial: None });
        }
        cursor.space()?;
        let initial = Secret::new(cursor.base64()?.as_bytes().to_vec());
        Ok(Self { mechanism, initial: Some(initial) })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        text(out, format_args!(" {}", self.mechanism));
        if let Some(initial) = &self.initial {
            out.push(b' ');
            out.extend_from_slice(initial.expose());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused, refused_octets};
    use super::*;
    use crate::protocol::Dialect;
    use crate::protocol::cursor::SyntaxError;

    fn login(user: &[u8], password: &[u8]) -> Command {
        Command::Login(Login { user: user.to_vec(), password: Secret::new(password.to_vec()) })
    }

    #[test]
    fn login_takes_every_form_of_a_string() {
        assert_eq!(parsed("LOGIN smith sesame"), login(b"smith", b"sesame"));
        assert_eq!(parsed("login {5}\r\nsmith \"a \\\"b\""), login(b"smith", b"a \"b"));
        assert_eq!(parsed("LOGIN \"\" \"\""), login(b"", b""));
        assert_eq!(parsed("LOGIN x \"y{5}\""), login(b"x", b"y{5}"));
        assert_eq!(parsed_octets(b"LOGIN x {2}\r\n\xff\xfe", Dialect::Rev1), login(b"x", b"\xff\xfe"));
    }

    #[test]
    fn hostile_logins_are_refused() {
        for line in [
            &b"LOGIN"[..],
            b"LOGIN x",
            b"LOGIN x y z",
            b"LOGIN x\0 y",
            b"LOGIN \"x\0\" y",
            b"LOGIN {2}\r\nx\0 y",
            b"LOGIN \"\xff\" y",
            b"LOGIN \"\xc0\x80\" y",
            b"LOGIN {4294967295}",
            b"LOGIN {18446744073709551616}",
            b"LOGIN {-1}",
            b"LOGIN {+}",
            b"LOGIN { 5}",
            b"LOGIN {5 }",
            b"LOGIN (x) y",
            b"LOGIN x\t y",
        ] {
            assert!(matches!(refused_octets(line), SyntaxError::Expected { .. }), "{}", line.escape_ascii());
        }
        assert!(matches!(refused(&format!("LOGIN {}", "(".repeat(60_000))), SyntaxError::Expected { .. }));
    }

    #[test]
    fn authenticate_may_have_an_initial_response() {
        let made = |mechanism: &str, initial: Option<&str>| {
            let initial = initial.map(|text| Secret::new(text.into()));
            Command::Authenticate(Authenticate { mechanism: mechanism.to_owned(), initial })
        };
        assert_eq!(parsed("AUTHENTICATE plain"), made("PLAIN", None));
        assert_eq!(parsed("authenticate PLAIN dGVzdAB0ZXN0"), made("PLAIN", Some("dGVzdAB0ZXN0")));
        assert_eq!(parsed("AUTHENTICATE EXTERNAL ="), made("EXTERNAL", Some("=")));
        for bad in ["AUTHENTICATE", "AUTHENTICATE PLAIN a b", "AUTHENTICATE PLAIN \"YQ==\"", "AUTHENTICATE PLAIN a\0"] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad:?}");
        }
    }
}
