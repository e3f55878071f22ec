//! What a hostile client gets.

use crate::talk::{Client, World, each_store, has, message, on_memory};
use imapd::testing::session::channel::Patience;
use std::time::Duration;

fn stranger(world: &World) -> Client {
    let mut client = world.stranger(true);
    client.line();
    client
}

/// BYE, perhaps after tagged or untagged refusals, and the end.
fn ends_with_bye(client: &mut Client) {
    loop {
        let line = client.line();
        if line.starts_with("* BYE ") {
            break;
        }
        assert!(line.contains("BAD ") || line.contains("NO ") || line.starts_with("+ "), "{line}");
    }
    client.at_end();
}

#[test]
fn a_line_without_end_before_login_ends_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        for _ in 0..64 {
            client.send(&[b'a'; 16 * 1024]);
        }
        ends_with_bye(&mut client);
    });
}

#[test]
fn a_line_without_end_after_login_ends_the_session() {
    on_memory(|world| {
        let mut client = world.client();
        client.send(b"a FETCH ");
        for _ in 0..64 {
            client.send(&[b'1'; 16 * 1024]);
        }
        ends_with_bye(&mut client);
    });
}

#[test]
fn a_line_of_64_kib_is_a_command() {
    on_memory(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        let set = vec!["1"; 30_000].join(",");
        client.ok(&format!("UID STORE {set} FLAGS ()"));
    });
}

#[test]
fn literals_of_impossible_size_are_refused_before_anything_is_kept() {
    on_memory(|world| {
        for header in
            ["{4294967295}", "{18446744073709551616}", "{99999999999999999999999}", "{-1}", "{+}", "{ 5}", "{5 }", "{}"]
        {
            for login in [true, false] {
                let mut client = if login { stranger(world) } else { world.client() };
                client.send(b"0 NOOP\r\n");
                client.answer("0");
                client.send(format!("a LOGIN {header}\r\n").as_bytes());
                let line = client.line();
                assert!(line.starts_with("a BAD ") || line.starts_with("* BYE "), "{header}: {line}");
            }
        }
    });
}

#[test]
fn a_non_synchronizing_literal_over_the_limit_ends_the_connection() {
    on_memory(|world| {
        for login in [true, false] {
            let mut client = if login { stranger(world) } else { world.client() };
            client.send(b"0 NOOP\r\n");
            client.answer("0");
            client.send(b"a LOGIN {2147483647+}\r\n");
            ends_with_bye(&mut client);
        }
        let mut client = world.client();
        client.send(b"a APPEND INBOX {2147483647+}\r\n");
        ends_with_bye(&mut client);
    });
}

#[test]
fn too_many_literals_in_one_command_are_refused() {
    on_memory(|world| {
        for login in [true, false] {
            let mut client = if login { stranger(world) } else { world.client() };
            client.send(b"0 NOOP\r\n");
            client.answer("0");
            client.send(b"a LOGIN ");
            client.send("{1+}\r\nx ".repeat(100_000).as_bytes());
            ends_with_bye(&mut client);
        }
    });
}

#[test]
fn deep_nesting_is_refused() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(b"0 NOOP\r\n");
        client.answer("0");
        client.bad(&format!("ID {}", "(".repeat(4000)));
        let mut client = world.client();
        client.ok("SELECT INBOX");
        for nest in ["(", "[", "<", "NOT ", "OR "] {
            client.bad(&format!("SEARCH {}", nest.repeat(60_000 / nest.len())));
            client.bad(&format!("FETCH 1 {}", nest.repeat(60_000 / nest.len())));
            client.ok("NOOP");
        }
    });
}

#[test]
fn what_is_no_imap_is_sent_away_at_its_first_line() {
    on_memory(|world| {
        let tries: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x80\x2e\x01\x00",
            b"+ OK\r\n",
            b"* BYE\r\n",
        ];
        for octets in tries {
            let mut client = stranger(world);
            client.send(octets);
            let line = client.line();
            assert!(line.starts_with("* BYE "), "{line}");
            client.at_end();
        }
    });
}

#[test]
fn wrong_tags_are_refused_and_never_echoed() {
    on_memory(|world| {
        for tag in ["+x", "(", "{", "%", "*", "\"a\"", "a\\", "a\0", "\u{e4}", "a%n{"] {
            let mut client = world.client();
            client.send(format!("{tag} NOOP\r\nok NOOP\r\n").as_bytes());
            let line = client.line();
            assert!(line.starts_with("* BAD ") || line.starts_with("a BAD "), "{tag}: {line}");
            assert_eq!(client.line(), "ok OK NOOP completed");
        }
    });
}

#[test]
fn too_many_wrong_commands_end_the_connection() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("NOOP");
        client.bad("NONSENSE");
        client.bad("NONSENSE");
        client.bad("NONSENSE");
        ends_with_bye(&mut client);
        let mut client = world.client();
        for _ in 0..19 {
            client.bad("NONSENSE");
        }
        client.ok("NOOP");
        for _ in 0..20 {
            client.bad("NONSENSE");
        }
        ends_with_bye(&mut client);
    });
}

#[test]
fn ten_thousand_pipelined_commands_before_login_are_answered() {
    on_memory(|world| {
        let mut client = stranger(world);
        for chunk in 0..100 {
            client.send("n NOOP\r\n".repeat(50).as_bytes());
            client.send("c CAPABILITY\r\n".repeat(50).as_bytes());
            for _ in 0..50 {
                assert!(client.answer("n").1.starts_with("OK"), "{chunk}");
            }
            for _ in 0..50 {
                assert!(client.answer("c").1.starts_with("OK"), "{chunk}");
            }
        }
    });
}

#[test]
fn id_with_too_much_is_cut_or_refused() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("ID NIL");
        let pairs = "\"k\" \"v\" ".repeat(31);
        client.bad(&format!("ID ({})", pairs.trim()));
        client.ok(&format!("ID (\"k\" \"{}\")", "v".repeat(1025)));
        client.bad("ID (\"k\")");
        client.ok("ID ()");
    });
}

#[test]
fn a_command_cut_short_by_the_end_of_the_stream_is_not_run() {
    each_store(|world| {
        let mut client = world.client();
        client.send(b"a CREATE half");
        client.hang_up();
        client.at_end();
        assert!(world.client().no("SELECT half").starts_with("NO [NONEXISTENT]"));
    });
}

#[test]
fn refusals_never_echo_what_could_split_a_line() {
    on_memory(|world| {
        let mut client = world.client();
        client.send(b"a SELECT {12+}\r\nx\r\n* BYE bad\r\n");
        assert!(client.line().starts_with("a NO [CANNOT]"));
        client.send(b"b \x1b[31m\x07\r\n");
        let line = client.line();
        assert!(line.starts_with("b BAD ") && line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line:?}");
    });
}

#[test]
fn sets_at_the_edges_of_their_numbers() {
    each_store(|world| {
        let mut client = world.client();
        for subject in ["one", "two", "three"] {
            client.append("INBOX", "()", &message(subject));
        }
        client.ok("SELECT INBOX");
        for set in ["0", "4294967296", "4", "1:4", "18446744073709551616", "1:", ":1", "", "1,,2", "-1", "5:*", "*:4"] {
            client.bad(&format!("STORE {set} FLAGS ()"));
        }
        for (set, count) in [("1:*", 3), ("*:*", 1), ("*", 1), ("3:1", 3), ("1:*,1:*,1:*,*:1", 3), ("1,1,1,1", 1)] {
            assert_eq!(client.ok(&format!("STORE {set} FLAGS ()")).len(), count, "{set}");
        }
        for (set, count) in [("1:4294967295", 3), ("4294967295", 0), ("4294967295:*", 1), ("100:200", 0), ("2,*", 2)] {
            assert_eq!(client.ok(&format!("UID STORE {set} FLAGS ()")).len(), count, "{set}");
        }
        client.bad("UID STORE 0 FLAGS ()");
        client.bad("UID STORE 4294967296 FLAGS ()");
        client.ok("CREATE empty");
        client.ok("SELECT empty");
        assert_eq!(client.ok("UID STORE 1:* FLAGS ()"), [""; 0]);
        client.bad("STORE 1:* FLAGS ()");
        client.bad("STORE * FLAGS ()");
    });
}

#[test]
fn pipelined_store_and_expunge_keep_their_order() {
    each_store(|world| {
        let mut client = world.client();
        for _ in 0..3 {
            client.append("INBOX", "()", &message("x"));
        }
        client.ok("SELECT INBOX");
        client.ok("SELECT INBOX");
        client.send(
            b"a STORE 2 +FLAGS.SILENT (\\Deleted)\r\nb EXPUNGE\r\nc STORE 2 +FLAGS.SILENT (\\Deleted)\r\nd EXPUNGE\r\n",
        );
        client.answer("a");
        assert_eq!(client.answer("b").0, ["* 2 EXPUNGE"]);
        client.answer("c");
        assert_eq!(client.answer("d").0, ["* 2 EXPUNGE"]);
        assert!(has(&client.ok("SELECT INBOX"), "* 1 EXISTS"));
    });
}

#[test]
fn nothing_of_a_password_comes_back() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.ok("NOOP");
        for command in ["LOGIN alice sup3rs3cret extra", "LOGIN sup3rs3cret", "AUTHENTICATE PLAIN sup3rs3cret!"] {
            let (untagged, tagged) = client.run(command);
            assert!(!format!("{untagged:?}{tagged}").contains("sup3rs3cret"), "{tagged}");
        }
    });
}

#[test]
fn nul_is_refused_wherever_it_stands() {
    each_store(|world| {
        let tries: [&[u8]; 8] = [
            b"a\0 NOOP\r\n",
            b"a NO\0OP\r\n",
            b"a NOOP\0\r\n",
            b"a SELECT IN\0BOX\r\n",
            b"a SELECT \"IN\0BOX\"\r\n",
            b"a SELECT {6+}\r\nIN\0BOX\r\n",
            b"a CREATE \"x\0\"\r\n",
            b"a SUBSCRIBE {2+}\r\nx\0\r\n",
        ];
        let mut client = world.client();
        for octets in tries {
            client.send(octets);
            let line = client.line();
            let refused = ["* BAD ", "a BAD ", "a NO "].iter().any(|start| line.starts_with(start));
            assert!(refused && line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{octets:?}: {line:?}");
        }
        assert_eq!(client.ok("LSUB \"\" *"), [""; 0]);
    });
}

#[test]
fn utf8_that_is_none_is_no_mailbox_name() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        for octets in [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xff", b"\xc3", b"\xf4\x90\x80\x80"] {
            client.send(format!("a CREATE {{{}+}}\r\n", octets.len()).as_bytes());
            client.send(octets);
            client.send(b"\r\n");
            let line = client.line();
            assert!(line.starts_with("a NO [CANNOT]") || line.starts_with("a BAD "), "{octets:?}: {line}");
        }
        assert_eq!(client.ok("LIST \"\" *").len(), 1);
    });
}

#[test]
fn names_that_need_quoting_never_split_a_response() {
    each_store(|world| {
        let mut client = world.client();
        for name in
            ["\"a b\"", "\"a(b\"", "\"q\\\"uote\"", "\"back\\\\slash\"", "\"x{3}\"", "\"NIL\"", "\"]\"", "\"%d\""]
        {
            let created = client.run(&format!("CREATE {name}")).1;
            if created.starts_with("OK") {
                client.ok(&format!("SUBSCRIBE {name}"));
                let said = client.ok(&format!("STATUS {name} (MESSAGES)"));
                assert_eq!(said.len(), 1, "{name}: {said:?}");
            }
        }
        for command in ["LIST \"\" *", "LSUB \"\" *", "XLIST \"\" *", "LIST \"\" * RETURN (STATUS (MESSAGES))"] {
            for line in client.ok(command) {
                let known = ["* LIST (", "* LSUB (", "* XLIST (", "* STATUS "];
                assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
            }
        }
    });
}

#[test]
fn a_client_that_does_not_read_is_waited_for_and_served_when_it_does() {
    each_store(|world| {
        let mut client = world.client();
        let text = "Subject: x\r\n\r\n".to_owned() + &"0123456789abcdef\r\n".repeat(50_000);
        client.append("INBOX", "(\\Seen)", &text);
        client.ok("SELECT INBOX");
        for n in 0..20 {
            client.send(format!("f{n} FETCH 1 BODY.PEEK[]\r\n").as_bytes());
        }
        client.send(b"u UNSELECT\r\nc NOOP\r\n");
        for n in 0..20 {
            let (said, tagged) = client.answer(&format!("f{n}"));
            assert!(said[0].len() > text.len() && tagged.starts_with("OK"), "{tagged}");
        }
        assert!(client.answer("u").1.starts_with("OK"));
        assert!(client.answer("c").1.starts_with("OK"));
    });
}

#[test]
fn messages_expunged_by_another_session_stay_in_their_places_for_fetch() {
    each_store(|world| {
        let (mut a, mut b) = (world.client(), world.client());
        for subject in ["one", "two", "three"] {
            a.append("INBOX", "()", &message(subject));
        }
        a.ok("SELECT INBOX");
        b.ok("SELECT INBOX");
        a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        a.ok("EXPUNGE");
        let (said, _) = b.run("FETCH 1:3 (UID BODY.PEEK[TEXT])");
        assert!(!said.iter().any(|line| line.ends_with(" EXPUNGE")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("* 2 FETCH ") && line.contains("Text of two")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("* 3 FETCH ") && line.contains("Text of three")), "{said:?}");
        assert_eq!(b.ok("NOOP")[0], "* 1 EXPUNGE");
        let said = b.ok("FETCH 1 (UID BODY.PEEK[TEXT])");
        assert!(said[0].contains("UID 2 ") && said[0].contains("Text of two"), "{said:?}");
    });
}

#[test]
fn what_search_saved_follows_the_expunges() {
    each_store(|world| {
        let mut client = world.client();
        for subject in ["one", "two", "three"] {
            client.append("INBOX", "()", &message(subject));
        }
        client.ok("SELECT INBOX");
        client.ok("SELECT INBOX");
        client.ok("SEARCH RETURN (SAVE) 1:2");
        client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        client.ok("EXPUNGE");
        assert_eq!(client.ok("STORE $ FLAGS (\\Seen)"), ["* 1 FETCH (FLAGS (\\Seen))"]);
        client.ok("SELECT INBOX");
        assert_eq!(client.ok("STORE $ FLAGS (\\Seen)"), [""; 0]);
    });
}

/// So long that what a test does at once is done, so short that one can wait for it.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_client_that_does_not_log_in_in_time_is_sent_away_however_much_it_says() {
    on_memory(|world| {
        world.be_patient(Patience { before_login: SHORT, ..Patience::default() });
        let mut silent = stranger(world);
        ends_with_bye(&mut silent);
        let mut slow = stranger(world);
        slow.send(b"a LOG");
        ends_with_bye(&mut slow);
        let mut busy = stranger(world);
        let line = loop {
            busy.send(b"a NOOP\r\n");
            let line = busy.line();
            if !line.starts_with("a OK ") {
                break line;
            }
        };
        assert!(line.starts_with("* BYE "), "{line}");
    });
}

#[test]
fn a_handshake_that_is_not_made_in_time_ends_the_connection() {
    on_memory(|world| {
        world.be_patient(Patience { handshake: SHORT, ..Patience::default() });
        let mut client = world.stranger_with_tls();
        client.line();
        client.ok("STARTTLS");
        client.ended();
    });
}

#[test]
fn a_client_that_is_silent_for_too_long_is_logged_out() {
    each_store(|world| {
        world.be_patient(Patience { idle: SHORT, ..Patience::default() });
        let mut client = world.client();
        client.ok("SELECT INBOX");
        ends_with_bye(&mut client);
        let mut client = world.client();
        client.ok("SELECT INBOX");
        client.send(b"a IDLE\r\n");
        ends_with_bye(&mut client);
    });
}

#[test]
fn a_client_in_idle_is_sent_a_line_from_time_to_time() {
    on_memory(|world| {
        world.be_patient(Patience { keepalive: SHORT, ..Patience::default() });
        let mut client = world.client();
        client.send(b"a IDLE\r\n");
        assert_eq!(client.line(), "+ idling");
        assert_eq!(client.line(), "* OK Still here");
        assert_eq!(client.line(), "* OK Still here");
        client.send(b"DONE\r\n");
        client.answer("a");
    });
}

#[test]
fn a_message_that_stops_in_the_middle_is_given_up() {
    each_store(|world| {
        world.be_patient(Patience { stalled: SHORT, ..Patience::default() });
        let mut client = world.client();
        client.send(b"a APPEND INBOX {52428800}\r\n");
        assert!(client.line().starts_with("+ "));
        client.send(b"Subject: half");
        ends_with_bye(&mut client);
        assert!(has(&world.client().ok("EXAMINE INBOX"), "* 0 EXISTS"));
        assert_eq!(world.unfinished(), 0);
    });
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    each_store(|world| {
        world.be_patient(Patience { stalled: SHORT, ..Patience::default() });
        let mut client = world.client();
        client.append("INBOX", "()", &"0123456789abcdef\r\n".repeat(100_000));
        client.ok("SELECT INBOX");
        client.send("f FETCH 1 BODY.PEEK[]\r\n".repeat(10).as_bytes());
        // The session is over before anything is read: its mailbox is closed, and its thread can be waited for.
        world.wait_for_sessions();
        client.ended();
    });
}
