//! What we advertise in which state; what ENABLE can turn on.

use crate::limits;
use std::sync::LazyLock;

/// What is offered to a client that has not logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeforeLogin {
    pub starttls: bool,
    /// Passwords are taken on this stream as it is.
    pub passwords: bool,
}

/// What the administrator does not let be offered, because some client cannot live with it. The commands are there all the same: only ENABLE
/// turns on nothing that is not offered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Withheld(Vec<&'static str>);

impl Withheld {
    /// Names in any case, `APPENDLIMIT` without its number. The error says what cannot be withheld.
    pub fn new(names: &[String]) -> Result<Self, String> {
        let offered = after_login(&Withheld::default());
        let known = |name: &String| {
            let is_meant = |offered: &&str| {
                let plain = offered.split('=').next().filter(|_| offered.starts_with("APPENDLIMIT")).unwrap_or(offered);
                plain.eq_ignore_ascii_case(name) && *offered != "IMAP4rev1"
            };
            offered
                .iter()
                .copied()
                .find(is_meant)
                .ok_or_else(|| format!("{name} is no capability that can be withheld"))
        };
        names.iter().map(known).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this is not to be offered; the name as it is offered.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn take_from(&self, names: &mut Vec<&'static str>) {
        names.retain(|name| !self.has(name));
    }
}

/// Before login: only what is of use there. The rest is told with the OK of the login.
pub fn before_login(offer: BeforeLogin, withheld: &Withheld) -> Vec<&'static str> {
    let mut names = vec!["IMAP4rev2", "IMAP4rev1", "LITERAL+", "ID", "ENABLE"];
    if offer.starttls {
        names.push("STARTTLS");
    }
    if offer.passwords {
        names.extend(["AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"]);
    } else {
        names.push("LOGINDISABLED");
    }
    withheld.take_from(&mut names);
    names
}

/// After login. Each is whole: see `man imapd`, STANDARDS.
pub fn after_login(withheld: &Withheld) -> Vec<&'static str> {
    static APPENDLIMIT: LazyLock<String> = LazyLock::new(|| format!("APPENDLIMIT={}", limits::APPEND));
    let mut names = vec![
        "IMAP4rev2",
        "IMAP4rev1",
        "LITERAL+",
        "ID",
        "ENABLE",
        "IDLE",
        "NAMESPACE",
        "CHILDREN",
        "UNSELECT",
        "UIDPLUS",
        "MOVE",
        "BINARY",
        "ESEARCH",
        "SEARCHRES",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "SPECIAL-USE",
        "CREATE-SPECIAL-USE",
        "STATUS=SIZE",
        "MULTIAPPEND",
        "WITHIN",
        "CONDSTORE",
        "QRESYNC",
        "SAVEDATE",
        "OBJECTID",
    ];
    names.push(&APPENDLIMIT);
    withheld.take_from(&mut names);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_disabled_where_passwords_would_go_in_the_clear() {
        let names = before_login(BeforeLogin { starttls: true, passwords: false }, &Withheld::default());
        assert!(names.contains(&"LOGINDISABLED") && names.contains(&"STARTTLS"));
        assert!(!names.iter().any(|name| name.starts_with("AUTH=") || *name == "SASL-IR"));
    }

    /// A name that ends so promises that the exchange is bound to the TLS connection.
    #[test]
    fn no_mechanism_is_offered_that_is_bound_to_a_channel() {
        for starttls in [false, true] {
            for passwords in [false, true] {
                let names = before_login(BeforeLogin { starttls, passwords }, &Withheld::default());
                assert!(!names.iter().any(|name| name.ends_with("-PLUS")), "{names:?}");
            }
        }
    }

    #[test]
    fn after_login_no_way_to_log_in_is_offered() {
        let names = after_login(&Withheld::default());
        assert!(!names.iter().any(|name| name.starts_with("AUTH=") || *name == "STARTTLS" || *name == "LOGINDISABLED"));
        assert!(names.contains(&"APPENDLIMIT=52428800"));
    }

    #[test]
    fn what_is_withheld_is_offered_nowhere() {
        let withheld = Withheld::new(&["imap4rev2".into(), "appendlimit".into()]).unwrap();
        let offer = BeforeLogin { starttls: false, passwords: true };
        assert!(!before_login(offer, &withheld).contains(&"IMAP4rev2"));
        let names = after_login(&withheld);
        assert!(!names.iter().any(|name| *name == "IMAP4rev2" || name.starts_with("APPENDLIMIT")));
        assert!(names.contains(&"IMAP4rev1"));
    }

    #[test]
    fn only_what_is_there_and_can_be_spared_is_withheld() {
        for name in ["IMAP4rev1", "UIDONLY", "STATUS", "AUTH=PLAIN", ""] {
            assert!(Withheld::new(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}
