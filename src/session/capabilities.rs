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

/// Before login: only what is of use there. The rest is told with the OK of the login.
pub fn before_login(offer: BeforeLogin) -> Vec<&'static str> {
    let mut names = vec!["IMAP4rev2", "IMAP4rev1", "LITERAL+", "ID", "ENABLE"];
    if offer.starttls {
        names.push("STARTTLS");
    }
    if offer.passwords {
        names.extend(["AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"]);
    } else {
        names.push("LOGINDISABLED");
    }
    names
}

/// After login. Each is whole: see `man imapd`, STANDARDS.
pub fn after_login() -> Vec<&'static str> {
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
    ];
    names.push(&APPENDLIMIT);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_disabled_where_passwords_would_go_in_the_clear() {
        let names = before_login(BeforeLogin { starttls: true, passwords: false });
        assert!(names.contains(&"LOGINDISABLED") && names.contains(&"STARTTLS"));
        assert!(!names.iter().any(|name| name.starts_with("AUTH=") || *name == "SASL-IR"));
    }

    #[test]
    fn after_login_no_way_to_log_in_is_offered() {
        let names = after_login();
        assert!(!names.iter().any(|name| name.starts_with("AUTH=") || *name == "STARTTLS" || *name == "LOGINDISABLED"));
        assert!(names.contains(&"APPENDLIMIT=52428800"));
    }
}
