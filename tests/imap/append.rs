//! APPEND and MULTIAPPEND.

use crate::talk::{World, each_store, has, message, on_maildir};

fn exists(world: &World, count: u32) {
    let said = world.client().ok("EXAMINE INBOX");
    assert!(has(&said, &format!("* {count} EXISTS")), "{said:?}");
    assert_eq!(world.unfinished(), 0);
}

#[test]
fn a_synchronizing_literal_is_asked_for() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX (\\Seen $Forwarded) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"A: b\n\r\n");
        let (_, tagged) = client.answer("a");
        assert!(tagged.starts_with("OK [APPENDUID ") && tagged.contains(" 1] "), "{tagged}");
        exists(world, 1);
    });
}

#[test]
fn several_messages_appear_together_with_uids_in_order() {
    each_store(|world| {
        let mut client = world.client();
        client.send(
            b"a APPEND INBOX (\\Seen) {4+}\r\nA: b (\\Flagged) \"17-Jul-1996 02:44:25 -0700\" {4+}\r\nC: d {4}\r\n",
        );
        assert!(client.line().starts_with("+ "));
        client.send(b"E: f\r\n");
        let (_, tagged) = client.answer("a");
        assert!(tagged.contains(" 1:3] "), "{tagged}");
        exists(world, 3);
    });
}

#[test]
fn the_mailbox_name_may_be_a_literal() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND {5+}\r\nINBOX {4+}\r\nA: b\r\n");
        assert!(client.line().starts_with("a OK [APPENDUID "));
        client.send(b"b APPEND {5}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"INBOX {4}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"A: b\r\n");
        assert!(client.line().starts_with("b OK [APPENDUID "));
        exists(world, 2);
    });
}

#[test]
fn a_binary_literal_is_taken() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX ~{9+}\r\nA: b\r\n\0\xff\r\r\n");
        let line = client.line();
        assert!(line.starts_with("a OK [APPENDUID "), "{line}");
        exists(world, 1);
    });
}

#[test]
fn a_missing_mailbox_is_tried_to_be_made_and_its_message_not_asked_for() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND nowhere {5}\r\n");
        assert!(client.line().starts_with("a NO [TRYCREATE]"));
        client.ok("NOOP");
        // What the client sends without waiting is passed over, however many messages it is.
        client.send(b"b APPEND nowhere {4+}\r\nA: b {9+}\r\nx NOOP\r\n (\\Seen) {1+}\r\nz\r\nc NOOP\r\n");
        assert!(client.line().starts_with("b NO [TRYCREATE]"));
        assert_eq!(client.line(), "c OK NOOP completed");
        // The second waits, and hears NO instead.
        client.send(b"d APPEND nowhere {4+}\r\nA: b {5}\r\n");
        assert!(client.line().starts_with("d NO [TRYCREATE]"));
        client.ok("NOOP");
        exists(world, 0);
    });
}

#[test]
fn a_message_over_the_limit_is_too_big() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX {52428801}\r\n");
        assert!(client.line().starts_with("a NO [TOOBIG]"));
        client.send(b"b APPEND INBOX {4+}\r\nA: b {52428801}\r\n");
        assert!(client.line().starts_with("b NO [TOOBIG]"));
        client.ok("NOOP");
        exists(world, 0);
    });
}

#[test]
fn an_empty_message_gives_up_all_of_them() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX {4+}\r\nA: b {0+}\r\n\r\n");
        assert!(client.line().starts_with("a NO "));
        client.send(b"b APPEND INBOX {0}\r\n");
        assert!(client.line().starts_with("b NO "));
        client.ok("NOOP");
        exists(world, 0);
    });
}

#[test]
fn what_is_wrong_behind_a_message_undoes_all_of_them() {
    each_store(|world| {
        let mut client = world.client();
        for rest in [
            "nonsense\r\n",
            " nonsense\r\n",
            " (\\Seen)\r\n",
            " (\\Seen) {4+}x\r\n",
            " (\\Nonsense {4+}\r\nA: b\r\n",
            " \"no date\" {4+}\r\nA: b\r\n",
        ] {
            client.send(format!("a APPEND INBOX {{4+}}\r\nA: b{rest}").as_bytes());
            let line = client.line();
            assert!(line.starts_with("a BAD "), "{rest}: {line}");
            client.ok("NOOP");
        }
        exists(world, 0);
    });
}

#[test]
fn what_is_wrong_before_a_message_is_refused_with_the_message_passed_over() {
    each_store(|world| {
        let mut client = world.client();
        for head in
            ["INBOX (\\Seen", "INBOX nonsense", "INBOX \"32-Jul-1996 02:44:25 -0700\"", "INBOX (a{b})", "INBOX () ()"]
        {
            client.send(format!("a APPEND {head} {{9+}}\r\nx NOOP\r\n\r\n").as_bytes());
            let line = client.line();
            assert!(line.starts_with("a BAD "), "{head}: {line}");
            client.ok("NOOP");
            client.send(format!("b APPEND {head} {{9}}\r\n").as_bytes());
            let line = client.line();
            assert!(line.starts_with("b BAD "), "{head}: {line}");
            client.ok("NOOP");
        }
        client.bad("APPEND INBOX");
        client.bad("APPEND INBOX \"text\"");
        exists(world, 0);
    });
}

#[test]
fn a_connection_lost_in_a_message_leaves_nothing() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX {4+}\r\nA: b {52428800}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(&[b'x'; 100_000]);
        client.hang_up();
        client.at_end();
        exists(world, 0);
    });
}

#[test]
fn a_connection_lost_between_the_message_and_the_line_end_leaves_nothing() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a APPEND INBOX {4+}\r\nA: b");
        client.hang_up();
        client.at_end();
        exists(world, 0);
    });
}

#[test]
fn a_large_message_goes_through_in_pieces() {
    each_store(|world| {
        let mut client = world.client();
        let text = "Subject: x\r\n\r\n".to_owned() + &"0123456789abcdef\r\n".repeat(200_000);
        client.append("INBOX", "()", &text);
        let said = client.ok("STATUS INBOX (SIZE)");
        assert_eq!(said, [format!("* STATUS INBOX (SIZE {})", text.len())]);
    });
}

#[test]
fn a_date_with_one_digit_is_taken() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("APPEND INBOX \"7-Feb-1994 21:52:25 +0000\" {3+}\r\nabc");
        client.ok("SELECT INBOX");
        assert!(client.ok("FETCH 1 INTERNALDATE")[0].contains("\" 7-Feb-1994 21:52:25 +0000\""));
    });
}

#[test]
fn a_message_for_the_selected_mailbox_is_told_before_ok() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        client.send(b"a APPEND INBOX {4+}\r\nA: b\r\n");
        let (said, tagged) = client.answer("a");
        assert!(said.contains(&"* 1 EXISTS".into()), "{said:?}");
        assert!(tagged.starts_with("OK [APPENDUID "));
    });
}

#[test]
fn recent_and_too_many_or_too_long_keywords_are_not_stored() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "(\\Recent \\Seen)", &message("one"));
        for keywords in ["k".repeat(200), (0..1200).map(|n| format!("k{n} ")).collect::<String>().trim().to_owned()] {
            client.send(format!("a APPEND INBOX ({keywords}) {{4+}}\r\nA: b\r\n").as_bytes());
            let line = client.line();
            assert!(line.starts_with("a NO ") || line.starts_with("a BAD "), "{line}");
            client.ok("NOOP");
        }
        exists(world, 1);
    });
}

#[test]
fn a_full_quota_is_told_as_such() {
    on_maildir(|world| {
        let mut client = world.client();
        let sizes = world.directory().unwrap().join("Maildir/maildirsize");
        std::fs::write(&sizes, "40S,3C\n").unwrap();
        let mut append = |tag: &str, octets: usize| {
            client.send(format!("{tag} APPEND INBOX {{{octets}+}}\r\n{}\r\n", "x".repeat(octets)).as_bytes());
            client.answer(tag).1
        };
        assert!(append("a", 30).starts_with("OK [APPENDUID "));
        let refused = append("b", 11);
        assert!(refused.starts_with("NO [OVERQUOTA] "), "{refused}");
        assert!(append("c", 10).starts_with("OK [APPENDUID "));
        exists(world, 2);
        let text = std::fs::read_to_string(sizes).unwrap();
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["40S,3C", "30", "1", "10", "1"]);
    });
}
