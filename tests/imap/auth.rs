//! LOGIN, AUTHENTICATE, STARTTLS, states before login.

use crate::talk::{Client, World, on_memory};

/// Past the greeting.
fn stranger(world: &World) -> Client {
    let mut client = world.stranger(true);
    let greeting = client.line();
    assert!(greeting.starts_with("* OK [CAPABILITY "), "{greeting}");
    client
}

#[test]
fn the_greeting_has_the_capabilities_and_no_version() {
    on_memory(|world| {
        let greeting = world.stranger(true).line();
        for name in ["IMAP4rev1", "IMAP4rev2", "AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"] {
            assert!(greeting.split([' ', ']']).any(|word| word == name), "{name} in {greeting}");
        }
        assert!(!greeting.contains("LOGINDISABLED") && !greeting.contains(env!("CARGO_PKG_VERSION")), "{greeting}");
    });
}

#[test]
fn login_with_the_right_password_tells_the_capabilities_after_it() {
    on_memory(|world| {
        let mut client = stranger(world);
        let (_, tagged) = client.run("LOGIN alice secret");
        assert!(tagged.starts_with("OK [CAPABILITY "), "{tagged}");
        assert!(tagged.contains(" MOVE ") && !tagged.contains("AUTH="), "{tagged}");
        client.ok("SELECT INBOX");
    });
}

#[test]
fn name_and_password_may_be_quoted_or_literal() {
    on_memory(|world| {
        for command in [
            "a LOGIN \"alice\" \"secret\"\r\n",
            "a login {5+}\r\nalice {6+}\r\nsecret\r\n",
            "a LOGIN alice {6+}\r\nsecret\r\n",
        ] {
            let mut client = stranger(world);
            client.send(command.as_bytes());
            assert!(client.answer("a").1.starts_with("OK "), "{command}");
        }
        let mut client = stranger(world);
        client.send(b"a LOGIN {5}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"alice {6}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"secret\r\n");
        assert!(client.line().starts_with("a OK "));
    });
}

#[test]
fn wrong_name_wrong_password_and_impossible_name_get_the_same_answer() {
    on_memory(|world| {
        let mut answers = Vec::new();
        for command in [
            "LOGIN alice wrong",
            "LOGIN nobody secret",
            "LOGIN root secret",
            "LOGIN alice \"\"",
            "LOGIN \"\" secret",
            "LOGIN ../alice secret",
            "LOGIN \"%{user}\" secret",
            "LOGIN -rf secret",
            "LOGIN \"a b\" secret",
        ] {
            answers.push(stranger(world).no(command));
        }
        let long = "p".repeat(2000);
        answers.push(stranger(world).no(&format!("LOGIN alice {long}")));
        assert!(
            answers.iter().all(|answer| answer == "NO [AUTHENTICATIONFAILED] Authentication failed"),
            "{answers:?}"
        );
    });
}

#[test]
fn nul_and_8_bit_in_name_or_password_do_not_log_in() {
    on_memory(|world| {
        let tries: [&[u8]; 6] = [
            b"a LOGIN {6+}\r\nalice\0 secret\r\n",
            b"a LOGIN alice {7+}\r\nsecret\0\r\n",
            b"a LOGIN {6+}\r\nalic\xc3\x28 secret\r\n",
            b"a LOGIN {3+}\r\n\xff\xfe\xfd secret\r\n",
            b"a LOGIN \"ali\0ce\" secret\r\n",
            b"a LOGIN al\xffice secret\r\n",
        ];
        for octets in tries {
            let mut client = stranger(world);
            client.send(octets);
            let line = client.line();
            assert!(line.starts_with("a NO ") || line.starts_with("a BAD "), "{octets:?}: {line}");
            assert!(line.is_ascii());
        }
    });
}

#[test]
fn expired_and_unavailable_have_codes_of_their_own() {
    on_memory(|world| {
        let mut client = stranger(world);
        assert!(client.no("LOGIN expired x").starts_with("NO [EXPIRED] "));
        assert!(client.no("LOGIN broken x").starts_with("NO [UNAVAILABLE] "));
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn the_third_failed_login_ends_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        for _ in 0..3 {
            client.no("LOGIN alice wrong");
        }
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

#[test]
fn authenticate_plain_with_and_without_initial_response() {
    on_memory(|world| {
        let plain = "AGFsaWNlAHNlY3JldA==";
        stranger(world).ok(&format!("AUTHENTICATE PLAIN {plain}"));
        let mut client = stranger(world);
        client.send(b"a authenticate plain\r\n");
        assert_eq!(client.line(), "+ ");
        client.send(format!("{plain}\r\n").as_bytes());
        assert!(client.line().starts_with("a OK [CAPABILITY "));
    });
}

#[test]
fn authenticate_login_asks_for_name_and_password() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a AUTHENTICATE LOGIN\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"YWxpY2U=\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"c2VjcmV0\r\n");
        assert!(client.line().starts_with("a OK "));
    });
}

#[test]
fn an_exchange_can_be_cancelled_in_every_step() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a AUTHENTICATE PLAIN\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"*\r\n");
        assert!(client.line().starts_with("a BAD "));
        client.send(b"b AUTHENTICATE LOGIN\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"YWxpY2U=\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"*\r\n");
        assert!(client.line().starts_with("b BAD "));
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn bad_base64_and_bad_messages_are_refused() {
    on_memory(|world| {
        for response in [
            "AGFsaWNlAHNlY3JldA",
            "!!!!",
            "=",
            "",
            "YQ==YQ==",
            "AGEA AGIA",
            "AAAAAA==",
            "YWxpY2U=",
            "{3}",
            "AGFsaWNlAHNlAGNyZXQ=",
        ] {
            let mut client = stranger(world);
            client.send(b"a AUTHENTICATE PLAIN\r\n");
            assert!(client.line().starts_with("+ "));
            client.send(format!("{response}\r\n").as_bytes());
            let line = client.line();
            assert!(line.starts_with("a BAD ") || line.starts_with("a NO "), "{response}: {line}");
            client.ok("LOGIN alice secret");
        }
    });
}

#[test]
fn an_authorization_identity_that_is_another_is_refused() {
    on_memory(|world| {
        let mut client = stranger(world);
        // bob NUL alice NUL secret
        assert!(client.no("AUTHENTICATE PLAIN Ym9iAGFsaWNlAHNlY3JldA==").starts_with("NO [AUTHORIZATIONFAILED]"));
        // alice NUL alice NUL secret
        client.ok("AUTHENTICATE PLAIN YWxpY2UAYWxpY2UAc2VjcmV0");
    });
}

#[test]
fn an_overlong_sasl_response_ends_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a AUTHENTICATE PLAIN\r\n");
        assert!(client.line().starts_with("+ "));
        client.send("A".repeat(11_000).as_bytes());
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

#[test]
fn unknown_mechanisms_are_refused() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.no("AUTHENTICATE EXTERNAL =");
        client.no("AUTHENTICATE CRAM-MD5");
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn without_tls_passwords_are_refused_before_they_are_looked_at() {
    on_memory(|world| {
        let mut client = world.stranger(false);
        let greeting = client.line();
        assert!(greeting.contains(" LOGINDISABLED") && !greeting.contains("AUTH="), "{greeting}");
        for command in ["LOGIN alice secret", "AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA=="] {
            assert!(client.no(command).starts_with("NO [PRIVACYREQUIRED]"), "{command}");
        }
        client.send(b"a LOGIN {5}\r\n");
        assert!(client.line().starts_with("a NO [PRIVACYREQUIRED]"));
        client.ok("NOOP");
    });
}

#[test]
fn before_login_only_its_commands_are_valid() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("CAPABILITY");
        client.ok("NOOP");
        assert_eq!(client.ok("ID (\"name\" \"x\")"), ["* ID (\"name\" \"imapd\")"]);
        client.bad("SELECT INBOX");
        client.bad("ENABLE IMAP4rev2");
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn starttls_without_a_certificate_is_bad() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.bad("STARTTLS");
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn commands_pipelined_behind_login_are_run_after_it() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n");
        assert!(client.answer("a").1.starts_with("OK"));
        assert!(client.answer("b").1.starts_with("OK"));
        assert!(client.answer("c").1.starts_with("OK"));
        client.at_end();
    });
}

#[test]
fn logout_before_login_says_bye() {
    on_memory(|world| {
        let mut client = stranger(world);
        assert!(client.ok("LOGOUT")[0].starts_with("* BYE "));
        client.at_end();
    });
}
