//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE, and what every command has in common.

use crate::talk::{World, each_store, message, on_memory};

#[test]
fn the_greeting_of_a_preauthenticated_session_has_the_capabilities() {
    on_memory(|world| {
        let (_client, greeting) = world.greeted();
        assert!(greeting.starts_with("* PREAUTH [CAPABILITY "), "{greeting}");
        for name in ["IMAP4rev1", "IMAP4rev2", "MOVE", "LITERAL+", "APPENDLIMIT=52428800", "MULTIAPPEND"] {
            assert!(greeting.split([' ', ']']).any(|word| word == name), "{name} in {greeting}");
        }
        assert!(!greeting.contains("AUTH=") && !greeting.contains("STARTTLS"), "{greeting}");
    });
}

#[test]
fn capability_says_the_same_as_the_greeting() {
    on_memory(|world| {
        let (mut client, greeting) = world.greeted();
        let said = client.ok("CAPABILITY");
        let names = said[0].strip_prefix("* ").unwrap();
        assert!(greeting.contains(names), "{greeting} {said:?}");
    });
}

#[test]
fn logout_says_bye_before_ok_and_closes() {
    on_memory(|world| {
        let mut client = world.client();
        let said = client.ok("LOGOUT");
        assert!(said[0].starts_with("* BYE "), "{said:?}");
        client.at_end();
    });
}

#[test]
fn id_is_answered_with_name_and_version() {
    on_memory(|world| {
        let mut client = world.client();
        for command in ["ID NIL", "ID (\"name\" \"x\" \"version\" NIL)", "id ()"] {
            let said = client.ok(command);
            assert!(said[0].starts_with("* ID (\"name\" \"imapd\" \"version\" "), "{said:?}");
        }
    });
}

#[test]
fn enabled_is_sent_even_when_empty() {
    on_memory(|world| {
        let mut client = world.client();
        assert_eq!(client.ok("ENABLE X-NOTHING"), ["* ENABLED"]);
        assert_eq!(client.ok("ENABLE IMAP4rev1"), ["* ENABLED"]);
        assert_eq!(client.ok("ENABLE CONDSTORE imap4REV2"), ["* ENABLED IMAP4rev2 CONDSTORE"]);
        assert_eq!(client.ok("ENABLE IMAP4rev2"), ["* ENABLED"]);
    });
}

#[test]
fn enable_after_select_is_accepted() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        assert_eq!(client.ok("ENABLE IMAP4rev2"), ["* ENABLED IMAP4rev2"]);
        let said = client.ok("SELECT INBOX");
        assert!(!said.iter().any(|line| line.contains("RECENT")), "{said:?}");
    });
}

#[test]
fn the_commands_of_login_are_bad_after_it() {
    on_memory(|world| {
        let mut client = world.client();
        for command in ["LOGIN alice secret", "AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN AGEAYg==", "STARTTLS"] {
            client.bad(command);
        }
        client.ok("NOOP");
    });
}

#[test]
fn commands_of_the_selected_state_are_bad_before_it() {
    on_memory(|world| {
        let mut client = world.client();
        for command in [
            "CHECK",
            "CLOSE",
            "UNSELECT",
            "EXPUNGE",
            "UID EXPUNGE 1",
            "SEARCH ALL",
            "FETCH 1 FLAGS",
            "STORE 1 FLAGS ()",
            "COPY 1 INBOX",
            "UID MOVE 1 INBOX",
        ] {
            client.bad(command);
        }
        client.ok("NOOP");
    });
}

#[test]
fn empty_lines_are_passed_over() {
    on_memory(|world| {
        let mut client = world.client();
        client.send(b"\r\n\n   \r\na1 NOOP\r\n");
        assert_eq!(client.line(), "a1 OK NOOP completed");
    });
}

#[test]
fn commands_in_any_case_and_with_bare_line_feeds_are_understood() {
    on_memory(|world| {
        let mut client = world.client();
        client.send(b"a1 nOoP\na.2 uid\n1.169 select inbox\n");
        assert_eq!(client.line(), "a1 OK NOOP completed");
        assert!(client.line().starts_with("a.2 BAD "));
        let (said, tagged) = client.answer("1.169");
        assert!(tagged.starts_with("OK [READ-WRITE]"), "{tagged}");
        assert!(said.contains(&"* 0 EXISTS".into()), "{said:?}");
    });
}

#[test]
fn pipelined_commands_are_answered_in_their_order() {
    each_store(|world| {
        let mut client = world.client();
        let commands: String = (0..1000).map(|n| format!("t{n} NOOP\r\n")).collect();
        client.send(commands.as_bytes());
        for n in 0..1000 {
            assert_eq!(client.line(), format!("t{n} OK NOOP completed"));
        }
    });
}

#[test]
fn a_command_that_comes_octet_by_octet_is_understood() {
    on_memory(|world| {
        let mut client = world.client();
        for octet in b"a1 SELECT {5}\r\n" {
            client.send(&[*octet]);
        }
        assert_eq!(client.line(), "+ OK");
        for octet in b"INBOX\r\n" {
            client.send(&[*octet]);
        }
        assert!(client.answer("a1").1.starts_with("OK"));
    });
}

#[test]
fn a_stop_ends_the_session_with_bye() {
    on_memory(|world| {
        let mut client = world.client();
        client.ok("NOOP");
        world.stop();
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

#[test]
fn a_stop_ends_idle_with_bye() {
    each_store(|world: &World| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        client.send(b"a IDLE\r\n");
        assert_eq!(client.line(), "+ idling");
        world.stop();
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

/// RFC 5464 (METADATA), RFC 5257 (ANNOTATE) and the draft before them. What none can store has no limits to pass.
#[test]
fn annotations_are_not_offered_and_not_stored() {
    each_store(|world| {
        let (mut client, greeting) = world.greeted();
        assert!(!greeting.contains("METADATA") && !greeting.contains("ANNOTAT"), "{greeting}");
        assert_eq!(client.ok("ENABLE METADATA METADATA-SERVER"), ["* ENABLED"]);
        client.append("INBOX", "()", &message("one"));
        client.ok("SELECT INBOX");
        let files = || world.directory().map(walk);
        let before = files();
        let entries = |count: usize, value: &str| {
            (0..count).map(|n| format!("/private/vendor/x/{n} {value}")).collect::<Vec<_>>().join(" ")
        };
        let mebibyte = format!("{{1048576+}}\r\n{}", "v".repeat(1 << 20));
        for command in [
            "GETMETADATA INBOX /private/comment",
            "GETMETADATA (MAXSIZE 1024 DEPTH infinity) \"\" (/shared/comment /private/comment)",
            "SETMETADATA INBOX (/private/comment \"x\")",
            "SETMETADATA \"\" (/shared/admin NIL)",
            "SETMETADATA INBOX (/private/comment {1+}\r\nx /private/other {2+}\r\nxy)",
            "SETMETADATA INBOX (/private/comment ~{3+}\r\n\0\0\0)",
            &format!("SETMETADATA INBOX ({})", entries(1001, "\"v\"")),
            "GETANNOTATION INBOX \"/comment\" \"value\"",
            "SETANNOTATION INBOX \"/comment\" (\"value.priv\" \"x\")",
            "SELECT INBOX (ANNOTATE)",
            "FETCH 1 (ANNOTATION (/comment value.priv))",
            "STORE 1 ANNOTATION (/comment (value.priv \"x\"))",
            "SEARCH ANNOTATION /comment value.priv \"x\"",
            "SORT (ANNOTATION /comment value.priv) UTF-8 ALL",
            "LIST \"\" * RETURN (METADATA (/private/comment))",
            "APPEND INBOX ANNOTATION (/comment (value.priv \"x\")) {3+}\r\nx\r\n",
        ] {
            client.bad(command);
            // The next is understood: nothing of what was refused is left in between.
            client.ok("NOOP");
        }
        client.send(b"m SETMETADATA INBOX (/private/comment {5}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"value)\r\n");
        assert!(client.line().starts_with("m BAD "));
        // One that comes unasked and is longer than any literal may be ends the connection, as it would in any command.
        client.send(format!("m SETMETADATA INBOX (/private/comment {mebibyte})\r\n").as_bytes());
        let said = client.line();
        assert!(said.starts_with("* BYE ") || said.starts_with("m BAD "), "{said}");
        client.ended();
        assert_eq!(files(), before);
    });
}

/// All files below a directory.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
