//! What strangers and users send that no client would. What they get back must be one plain answer; what they did must change nothing.

use crate::talk::{Client, World, each_store, has, message, on_memory};
use imapd::testing::encoding::base64;
use imapd::testing::session::channel::Patience;
use std::time::Duration;

/// One command after login, so that what follows is no first line.
fn stranger(world: &World) -> Client {
    let mut client = world.stranger(true);
    client.line();
    client.ok("NOOP");
    client
}

fn plain(line: &str) -> bool {
    line.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// A refusal, and no octet in it that a terminal or a parser could stumble on.
fn is_refusal(line: &str) -> bool {
    ["* BAD ", "a BAD ", "a NO ", "* BYE "].iter().any(|start| line.starts_with(start)) && plain(line)
}

#[test]
fn sizes_that_no_literal_has_are_refused_wherever_a_literal_may_stand() {
    on_memory(|world| {
        for size in
            ["4294967295", "18446744073709551616", "-1", "+", " 5", "5 ", "", "5++", "0x5", "9223372036854775808"]
        {
            for command in ["LOGIN", "LOGIN alice", "AUTHENTICATE", "ID", "NOOP", "STARTTLS"] {
                let mut client = stranger(world);
                client.send(format!("a {command} {{{size}}}\r\n").as_bytes());
                let line = client.line();
                assert!(is_refusal(&line), "{command} {size}: {line}");
            }
            for command in ["SELECT", "APPEND INBOX", "APPEND", "SEARCH TEXT", "CREATE", "LIST \"\"", "APPEND INBOX ~"]
            {
                let mut client = world.client();
                client.ok("SELECT INBOX");
                client.send(format!("a {command} {{{size}}}\r\n").as_bytes());
                let line = client.line();
                assert!(is_refusal(&line), "{command} {size}: {line}");
            }
        }
    });
}

#[test]
fn oversized_literals_that_are_not_waited_for_end_the_connection_at_every_command() {
    on_memory(|world| {
        for command in
            ["SELECT", "APPEND INBOX", "APPEND nowhere", "APPEND", "APPEND INBOX ~", "SEARCH TEXT", "NONSENSE"]
        {
            let mut client = world.client();
            client.ok("SELECT INBOX");
            client.send(format!("a {command} {{2147483647+}}\r\n").as_bytes());
            client.send(&[b'x'; 100_000]);
            let line = loop {
                let line = client.line();
                if line.starts_with("* BYE ") {
                    break line;
                }
                assert!(is_refusal(&line), "{command}: {line}");
            };
            assert!(plain(&line));
            client.ended();
        }
    });
}

#[test]
fn brackets_without_end_are_refused_in_every_command() {
    on_memory(|world| {
        for open in ["(", "[", "<", "{", "\"", "\\"] {
            for command in ["LOGIN ", "ID ", "AUTHENTICATE ", "CAPABILITY ", "ENABLE ", ""] {
                let mut client = stranger(world);
                let (_, tagged) = client.run(&format!("{command}{}", open.repeat(8000)));
                assert!(tagged.starts_with("BAD ") || tagged.starts_with("NO "), "{command}{open}: {tagged}");
                client.ok("LOGIN alice secret");
            }
            for command in [
                "SEARCH ",
                "SEARCH RETURN ",
                "FETCH 1 ",
                "FETCH 1 BODY",
                "STORE 1 FLAGS ",
                "LIST ",
                "LIST \"\" ",
                "STATUS INBOX ",
                "CREATE x ",
                "APPEND INBOX ",
                "UID SEARCH ",
                "ID ",
            ] {
                let mut client = world.client();
                client.ok("SELECT INBOX");
                let (_, tagged) = client.run(&format!("{command}{}", open.repeat(60_000)));
                assert!(tagged.starts_with("BAD ") || tagged.starts_with("NO "), "{command}{open}: {tagged}");
                client.ok("NOOP");
            }
        }
        let mut client = world.client();
        client.ok("SELECT INBOX");
        for chain in ["NOT ", "OR ", "OR NOT ", "NOT (", "OR (", "(NOT ", "((", "OR ALL (", "UID "] {
            client.bad(&format!("SEARCH {}", chain.repeat(60_000 / chain.len())));
            client.ok("NOOP");
        }
    });
}

#[test]
fn nul_is_refused_before_login_wherever_it_stands() {
    on_memory(|world| {
        let tries: &[&[u8]] = &[
            b"a\0 NOOP\r\n",
            b"a NO\0OP\r\n",
            b"a NOOP\0\r\n",
            b"a LOGIN al\0ice secret\r\n",
            b"a LOGIN \"al\0ice\" secret\r\n",
            b"a LOGIN alice \"sec\0ret\"\r\n",
            b"a LOGIN {6+}\r\nal\0ice secret\r\n",
            b"a LOGIN {5+}\r\nalice {7+}\r\nsecret\0\r\n",
            b"a ID (\"name\" \"\0\")\r\n",
            b"a AUTHENTICATE PLAIN AGFsaWNl\0AHNlY3JldA==\r\n",
            b"a AUTHENTICATE PL\0AIN\r\n",
        ];
        for octets in tries {
            let mut client = stranger(world);
            client.send(octets);
            let line = client.line();
            assert!(is_refusal(&line), "{octets:?}: {line:?}");
            client.ok("LOGIN alice secret");
        }
        // In what is base64, and in what base64 stands for.
        for response in
            [&b"AGFsaWNlAHNl\0Y3JldA==\r\n"[..], &[base64::encode(b"\0alice\0sec\0ret").as_bytes(), b"\r\n"].concat()]
        {
            let mut client = stranger(world);
            client.send(b"a AUTHENTICATE PLAIN\r\n");
            assert_eq!(client.line(), "+ ");
            client.send(response);
            assert!(is_refusal(&client.line()));
            client.ok("LOGIN alice secret");
        }
    });
}

#[test]
fn no_utf8_and_broken_utf8_is_a_user() {
    on_memory(|world| {
        let names: &[&[u8]] = &[
            b"\xe4lice",
            b"ali\xc3",
            b"\xc0\xaflice",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xff",
            "ålice".as_bytes(),
        ];
        for name in names {
            let quoted = [b"a LOGIN \"", *name, b"\" secret\r\n"].concat();
            let literal = [format!("a LOGIN {{{}+}}\r\n", name.len()).as_bytes(), name, b" secret\r\n"].concat();
            let sasl = base64::encode(&[b"\0", *name, b"\0secret"].concat());
            let sasl = format!("a AUTHENTICATE PLAIN {sasl}\r\n").into_bytes();
            for octets in [quoted, literal, sasl] {
                let mut client = stranger(world);
                client.send(&octets);
                let line = client.line();
                assert!(
                    line.starts_with("a NO [AUTHENTICATIONFAILED] ") || line.starts_with("a BAD "),
                    "{name:?}: {line}"
                );
                assert!(plain(&line));
                client.ok("LOGIN alice secret");
            }
        }
    });
}

#[test]
fn every_kind_of_line_end_ends_a_command_or_belongs_to_it() {
    on_memory(|world| {
        // A lone LF ends a line; a CR anywhere but before LF is no part of any command.
        for (octets, first) in [
            (&b"a NOOP\n"[..], "a OK "),
            (b"a NOOP\r\n", "a OK "),
            (b"a NOOP\r\r\n", "a BAD "),
            (b"a NO\rOP\r\n", "a BAD "),
            (b"\n\ra NOOP\r\n", "* BAD "),
            (b"\ra NOOP\r\n", "* BAD "),
        ] {
            for mut client in [world.client(), stranger(world)] {
                client.send(octets);
                let line = client.line();
                assert!(line.starts_with(first) && plain(&line), "{octets:?}: {line:?}");
                client.ok("NOOP");
            }
        }
    });
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_answers() {
    on_memory(|world| {
        let talk = b"a LOGIN {5+}\r\nalice \"secret\"\r\nb SELECT INBOX\r\nc SEARCH TEXT {3+}\r\nx\r\n\r\nd LOGOUT\r\n";
        for cut in 1..talk.len() {
            let mut client = world.stranger(true);
            client.line();
            let (head, tail) = talk.split_at(cut);
            client.send(head);
            // So that the two halves come in two reads, wherever the session waits in between.
            std::thread::sleep(Duration::from_millis(1));
            client.send(tail);
            for tag in ["a", "b", "c", "d"] {
                assert!(client.answer(tag).1.starts_with("OK"), "cut at {cut}");
            }
            client.at_end();
        }
    });
}

#[test]
fn a_command_that_ends_with_the_stream_is_not_run_before_login() {
    on_memory(|world| {
        for octets in
            [&b"a LOGIN alice secret"[..], b"a LOGIN alice secret\r", b"a LOGIN {5+}\r\nalice {6+}\r\nsecret", b"a"]
        {
            let mut client = stranger(world);
            client.send(octets);
            client.hang_up();
            client.at_end();
        }
    });
}

#[test]
fn one_octet_at_a_time_does_not_lengthen_the_time_before_login() {
    on_memory(|world| {
        world.be_patient(Patience { before_login: Duration::from_millis(300), ..Patience::default() });
        let mut client = world.stranger(true);
        client.line();
        // More octets than fit into the time, none of which ends the line.
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(500) {
            client.send(b"x");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(client.line().starts_with("* BYE "));
        client.ended();
    });
}

#[test]
fn a_tag_of_a_whole_line_is_no_tag_before_login_and_is_never_a_format() {
    on_memory(|world| {
        let mut client = stranger(world);
        client.send(&[&[b't'; 64 * 1024][..], b" NOOP\r\n"].concat());
        assert!(client.line().starts_with("* BYE "));
        let mut client = stranger(world);
        client.send(b"%n%s%x NOOP\r\n");
        assert!(client.line().starts_with("* BAD "));
        client.send(b"&n$s{ NOOP\r\n");
        assert!(client.line().starts_with("&n$s BAD "));
        client.send(b" NOOP\r\n");
        assert!(client.line().starts_with("* BAD "));
        assert!(client.line().starts_with("* BYE "));
        client.at_end();
    });
}

#[test]
fn empty_lines_bring_nobody_closer_to_login_nor_keep_the_connection() {
    on_memory(|world| {
        world.be_patient(Patience { before_login: Duration::from_millis(300), ..Patience::default() });
        let mut client = world.stranger(true);
        client.line();
        for _ in 0..1000 {
            client.send(b"\r\n   \r\n\n");
        }
        client.ok("NOOP");
        assert!(client.line().starts_with("* BYE "));
        client.ended();
    });
}

#[test]
fn ten_thousand_commands_in_one_piece_before_login_are_answered_in_order() {
    on_memory(|world| {
        let mut client = stranger(world);
        let mut reader = client.second();
        let sender = std::thread::spawn(move || {
            for _ in 0..100 {
                client.send("c CAPABILITY\r\nn NOOP\r\n".repeat(50).as_bytes());
            }
            client.send(b"o LOGOUT\r\n");
            client
        });
        for _ in 0..5000 {
            assert!(reader.answer("c").0[0].starts_with("* CAPABILITY "));
            assert!(reader.answer("n").0.is_empty());
        }
        reader.answer("o");
        reader.at_end();
        sender.join().unwrap();
    });
}

#[test]
fn authenticate_goes_wrong_in_every_way_and_nothing_stays_of_it() {
    on_memory(|world| {
        for arguments in ["", " ", " PLAIN !", " PLAIN a", " PLAIN ====", " PLAIN AGFs AGFs", " \"PLAIN\""] {
            let mut client = stranger(world);
            client.send(format!("a AUTHENTICATE{arguments}\r\n").as_bytes());
            let line = client.line();
            assert!(is_refusal(&line), "{arguments}: {line}");
            client.ok("LOGIN alice secret");
        }
        // The empty initial response is a response, and an empty one.
        let mut client = stranger(world);
        client.send(b"a AUTHENTICATE PLAIN =\r\n");
        assert!(is_refusal(&client.line()));
        client.send(b"a AUTHENTICATE EXTERNAL =\r\n");
        assert!(is_refusal(&client.line()));
        client.ok("LOGIN alice secret");
        // In each step of each mechanism: given up, cut off, too long, no base64.
        for (mechanism, steps) in [("PLAIN", 1), ("LOGIN", 2)] {
            for wrong_at in 0..steps {
                for (wrong, refused) in [("*", true), ("*x", true), ("\x07", true), ("{5+}", false), ("", false)] {
                    let mut client = stranger(world);
                    client.send(format!("a AUTHENTICATE {mechanism}\r\n").as_bytes());
                    assert!(client.line().starts_with("+ "));
                    for _ in 0..wrong_at {
                        client.send(b"YWxpY2U=\r\n");
                        assert!(client.line().starts_with("+ "));
                    }
                    client.send(format!("{wrong}\r\n").as_bytes());
                    let line = client.line();
                    assert!(is_refusal(&line) || (!refused && line.starts_with("+ ")), "{mechanism} {wrong:?}: {line}");
                }
                let mut client = stranger(world);
                client.send(format!("a AUTHENTICATE {mechanism}\r\n").as_bytes());
                assert!(client.line().starts_with("+ "));
                client.hang_up();
                client.at_end();
            }
        }
    });
}

#[test]
fn sasl_plain_has_two_nuls_a_user_and_a_password() {
    on_memory(|world| {
        for message in [
            &b"alice"[..],
            b"alice\0secret",
            b"\0alice",
            b"\0alice\0",
            b"\0alice\0secret\0",
            b"\0alice\0secret\0\0",
            b"\0\0secret",
            b"\0\0",
            b"",
            b"bob\0alice\0secret",
            b"alice\0alice\0wrong",
            b"root\0root\0secret",
            &[&b"\0alice\0"[..], &[b'p'; 5000]].concat(),
        ] {
            let mut client = stranger(world);
            let (_, tagged) = client.run(&format!(
                "AUTHENTICATE PLAIN {}",
                if message.is_empty() { "=".into() } else { base64::encode(message) }
            ));
            assert!(tagged.starts_with("NO ") || tagged.starts_with("BAD "), "{message:?}: {tagged}");
            client.ok("LOGIN alice secret");
        }
        // A password of 1 MiB, in each form.
        let long = "p".repeat(1 << 20);
        let sasl = base64::encode(format!("\0alice\0{long}").as_bytes());
        for command in [
            format!("a LOGIN alice {long}\r\n"),
            format!("a LOGIN alice \"{long}\"\r\n"),
            format!("a LOGIN alice {{1048576+}}\r\n{long}\r\n"),
            format!("a AUTHENTICATE PLAIN {sasl}\r\n"),
            format!("a AUTHENTICATE PLAIN\r\n{sasl}\r\n"),
        ] {
            let mut client = stranger(world);
            client.send(command.as_bytes());
            while !client.line().starts_with("* BYE ") {}
            client.ended();
        }
        let mut client = stranger(world);
        client.send(b"a LOGIN alice {1048576}\r\n");
        assert!(client.line().starts_with("a BAD [TOOBIG]"));
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn an_id_full_of_controls_is_answered_like_any() {
    on_memory(|world| {
        let ours = "* ID (\"name\" \"imapd\")";
        for arguments in ["NIL", "()", "(\"name\" NIL)", "(\"n\x1b[31m\" \"\x07%n\")", "({3+}\r\na\r\n {3+}\r\n\n* )"] {
            assert_eq!(stranger(world).ok(&format!("ID {arguments}")), [ours], "{arguments}");
        }
        for arguments in [
            "",
            "(\"odd\")",
            "(\"a\" \"b\" \"c\")",
            "(NIL \"x\")",
            "((\"a\" \"b\"))",
            "(\"a\" \"b\") x",
            "x",
            "(\"a\"\"b\")",
        ] {
            stranger(world).bad(&format!("ID {arguments}"));
        }
    });
}

#[test]
fn set_and_size_numbers_never_run_over() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "()", &message("one"));
        client.ok("SELECT INBOX");
        for set in [
            "4294967295:4294967296",
            "1:99999999999999999999",
            "00001",
            "1:0",
            "0:*",
            "+1",
            "1 :2",
            "1,",
            ",",
            "*:0",
            "$,1",
        ] {
            client.bad(&format!("FETCH {set} UID"));
            client.bad(&format!("SEARCH {set}"));
            client.bad(&format!("UID COPY {set} INBOX"));
            client.ok("NOOP");
        }
        for set in ["4294967295", "4294967294:4294967295", "2:4294967295"] {
            assert_eq!(client.ok(&format!("UID FETCH {set} UID")), [""; 0], "{set}");
            client.bad(&format!("FETCH {set} UID"));
        }
        for key in ["LARGER 4294967296", "SMALLER 99999999999999999999", "LARGER -1", "OLDER 0", "YOUNGER 4294967296"] {
            let (_, tagged) = client.run(&format!("SEARCH {key}"));
            assert!(tagged.starts_with("OK ") || tagged.starts_with("BAD "), "{key}: {tagged}");
        }
        let line = format!("UID FETCH {}1 (UID)", "1,".repeat(30_000));
        assert_eq!(client.ok(&line).len(), 1);
        let line = format!("FETCH {}1 (UID)", "1:*,*:1,".repeat(8000));
        assert_eq!(client.ok(&line).len(), 1);
    });
}

#[test]
fn messages_announced_wrongly_leave_nothing_behind() {
    each_store(|world| {
        let mut client = world.client();
        for head in [
            "~{4",
            "~{}",
            "~{-1}",
            "~~{4}",
            "~ {4}",
            "{4}~",
            "UTF8 (~{4}",
            "(\\Seen ~{4}",
            "() \"\" {4}",
            "(\\*) {4}",
            "(\\Seen\\Seen) {4}",
            "(a (b)) {4}",
            "\"1-Jan-2020 00:00:00\" {4}",
        ] {
            let (_, tagged) = client.run(&format!("APPEND INBOX {head}"));
            assert!(tagged.starts_with("BAD "), "{head}: {tagged}");
        }
        client.send(b"a APPEND INBOX UTF8 (~{4+}\r\nA: b)\r\n");
        assert!(client.line().starts_with("a BAD "));
        client.send(format!("b APPEND INBOX ({}) {{4+}}\r\nA: b\r\n", "k".repeat(60_000)).as_bytes());
        assert!(client.line().starts_with("b BAD "));
        let many = (0..10_000).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ");
        client.send(format!("c APPEND INBOX ({many}) {{4+}}\r\nA: b\r\n").as_bytes());
        assert!(client.line().starts_with("c BAD "));
        client.ok("NOOP");
        assert!(has(&client.ok("EXAMINE INBOX"), "* 0 EXISTS"));
        let mut endless = world.client();
        endless.send(format!("a APPEND INBOX ({}", "k".repeat(1 << 20)).as_bytes());
        assert!(endless.line().starts_with("* BYE "));
        assert!(has(&world.client().ok("EXAMINE INBOX"), "* 0 EXISTS"));
        assert_eq!(world.unfinished(), 0);
    });
}

#[test]
fn a_hundred_thousand_messages_in_one_append_are_refused_together() {
    each_store(|world| {
        let mut client = world.client();
        let mut reader = client.second();
        let sender = std::thread::spawn(move || {
            client.send(b"a APPEND INBOX");
            for _ in 0..100 {
                client.send(" {4+}\r\nA: b".repeat(1000).as_bytes());
            }
            client.send(b"\r\n");
        });
        assert!(reader.answer("a").1.starts_with("NO [LIMIT]"));
        sender.join().unwrap();
        assert!(has(&reader.ok("EXAMINE INBOX"), "* 0 EXISTS"));
        assert_eq!(world.unfinished(), 0);
    });
}

#[test]
fn quoted_8_bit_is_text_only_where_it_is_utf8() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        client.send("a CREATE \"ü\"\r\n".as_bytes());
        assert!(client.line().starts_with("a OK "));
        client.send(b"a CREATE \"\xfc\"\r\n");
        let line = client.line();
        assert!(line.starts_with("a BAD ") || line.starts_with("a NO "), "{line}");
        assert!(client.ok("LIST \"\" %")[1].ends_with(" \"ü\""));
        // To a client that did not ask for it, the name is ASCII.
        assert!(world.client().ok("LIST \"\" %")[1].ends_with(" &APw-"));
    });
}

#[test]
fn a_mailbox_made_anew_under_the_same_name_is_another() {
    each_store(|world| {
        let (mut a, mut b) = (world.client(), world.client());
        a.ok("CREATE box");
        a.append("box", "()", &message("old"));
        b.ok("SELECT box");
        a.ok("DELETE box");
        a.ok("CREATE box");
        a.append("box", "()", &message("new"));
        b.send(b"f FETCH 1 BODY.PEEK[]\r\ng UID FETCH 1:* BODY.PEEK[]\r\nn NOOP\r\n");
        loop {
            let line = b.line();
            assert!(!line.contains("Text of new"), "{line}");
            if line.starts_with("* BYE ") {
                break;
            }
            assert!(!line.starts_with("n OK"), "the session goes on in a mailbox that is gone");
        }
        b.at_end();
    });
}

#[test]
fn an_expunge_in_the_middle_of_a_fetch_never_shows_another_message() {
    each_store(|world| {
        let (mut a, mut b) = (world.client(), world.client());
        let large = |n: usize| format!("Subject: number {n}\r\n\r\n{}", format!("{n}\r\n").repeat(50_000));
        for n in 1..=8 {
            a.append("INBOX", "()", &large(n));
        }
        b.ok("SELECT INBOX");
        // More than any socket holds: the session waits in the middle while the other expunges.
        b.send(b"f FETCH 1:8 (UID BODY.PEEK[])\r\n");
        assert!(b.line().contains("Subject: number 1\r\n"));
        a.ok("SELECT INBOX");
        a.ok("STORE 1:7 +FLAGS.SILENT (\\Deleted)");
        a.ok("EXPUNGE");
        let (said, tagged) = b.answer("f");
        for line in said {
            assert!(!line.ends_with(" EXPUNGE"), "{line}");
            if !line.contains(" FETCH ") {
                continue;
            }
            let number = line.split(' ').nth(1).unwrap();
            let whole = format!("Subject: number {number}\r\n");
            assert!(line.contains(&whole), "{}", &line[..line.len().min(200)]);
        }
        assert!(tagged.starts_with("OK ") || tagged.starts_with("NO [EXPUNGEISSUED]"), "{tagged}");
        assert_eq!(b.ok("NOOP").iter().filter(|line| line.ends_with(" EXPUNGE")).count(), 7);
        assert!(b.ok("FETCH 1 (BODY.PEEK[])")[0].contains("Subject: number 8\r\n"));
    });
}
