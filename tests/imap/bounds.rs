//! The limits that a client meets: what is just within one is served, one more is refused. Time limits are in `limits`.

use crate::talk::{Client, World, each_store, has, on_memory};
use imapd::testing::limits;
use imapd::testing::session::channel::Patience;
use std::time::Duration;

fn stranger(world: &World) -> Client {
    let mut client = world.stranger(true);
    client.line();
    client.ok("NOOP");
    client
}

/// What the server says to these octets.
fn said(client: &mut Client, octets: &str) -> String {
    client.send(octets.as_bytes());
    client.line()
}

#[test]
fn limits_are_those_of_the_security_checklist() {
    assert_eq!((limits::LINE_BEFORE_LOGIN, limits::LINE), (8 << 10, 64 << 10));
    assert_eq!((limits::LITERAL_BEFORE_LOGIN, limits::LITERAL, limits::LITERALS_OF_COMMAND), (4096, 65536, 1 << 20));
    assert_eq!((limits::LITERAL_COUNT, limits::APPEND), (1000, 50 << 20));
    assert_eq!((limits::NESTING, limits::LISTS), (32, 4096));
    assert_eq!((limits::MIME_DEPTH, limits::MIME_PARTS, limits::MIME_PARAMETERS), (100, 10_000, 128));
    assert_eq!((limits::HEADER_FIELD, limits::HEADERS), (1 << 20, 10 << 20));
    assert_eq!((limits::SASL, limits::FAILED_LOGINS), (8 << 10, 3));
    assert_eq!((limits::SESSIONS_PER_USER_AND_ADDRESS, limits::CONNECTIONS_PER_ADDRESS_BEFORE_LOGIN), (50, 20));
    assert_eq!(
        (limits::TIME_OF_FAILURE, limits::LONGEST_TIME_OF_FAILURE),
        (Duration::from_secs(2), Duration::from_secs(15))
    );
}

#[test]
fn sessions_wait_as_long_as_the_limits_say() {
    let Patience { before_login, handshake, stalled_before_login, stalled, idle, poll, .. } = Patience::default();
    assert_eq!((before_login.as_secs(), handshake.as_secs()), (60, 15));
    assert_eq!((stalled_before_login.as_secs(), stalled.as_secs()), (30, 5 * 60));
    assert_eq!((idle.as_secs(), poll.as_secs()), (31 * 60, 10));
}

#[test]
fn a_line_before_login_has_so_many_octets_with_its_end() {
    on_memory(|world| {
        let line = |size: usize| format!("a LOGIN alice {}\r\n", "p".repeat(size - "a LOGIN alice \r\n".len()));
        let answer = said(&mut stranger(world), &line(limits::LINE_BEFORE_LOGIN));
        assert!(answer.starts_with("a NO [AUTHENTICATIONFAILED]"), "{answer}");
        let answer = said(&mut stranger(world), &line(limits::LINE_BEFORE_LOGIN + 1));
        assert!(answer.starts_with("* BYE "), "{answer}");
    });
}

#[test]
fn a_line_after_login_has_so_many_octets_with_its_end() {
    on_memory(|world| {
        let line = |size: usize| format!("a NOOP{}\r\n", "x".repeat(size - "a NOOP\r\n".len()));
        let mut client = world.client();
        assert!(said(&mut client, &line(limits::LINE)).starts_with("a BAD "));
        assert!(said(&mut client, &line(limits::LINE + 1)).starts_with("* BYE "));
    });
}

#[test]
fn literals_before_login_are_bounded_in_size_sum_and_number() {
    on_memory(|world| {
        let mut client = stranger(world);
        let most = limits::LITERAL_BEFORE_LOGIN;
        assert!(said(&mut client, &format!("a LOGIN {{{}}}\r\n", most + 1)).starts_with("a BAD [TOOBIG]"));
        assert!(said(&mut client, &format!("b LOGIN {{{most}}}\r\n")).starts_with("+ "));
        // The first has used up what there is for both.
        let name = "n".repeat(most as usize);
        assert!(said(&mut client, &format!("{name} {{1}}\r\n")).starts_with("b BAD [TOOBIG]"));
        let mut client = stranger(world);
        assert!(said(&mut client, "a LOGIN {5+}\r\nalice {6+}\r\nsecret {1}\r\n").starts_with("a BAD [TOOBIG]"));
        client.ok("LOGIN alice secret");
    });
}

#[test]
fn literals_after_login_are_bounded_in_size_sum_and_number() {
    on_memory(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        let most = limits::LITERAL as usize;
        assert!(said(&mut client, &format!("a SEARCH TEXT {{{}}}\r\n", most + 1)).starts_with("a BAD [TOOBIG]"));
        let full =
            format!("TEXT {{{most}+}}\r\n{} ", "x".repeat(most)).repeat(limits::LITERALS_OF_COMMAND as usize / most);
        assert!(said(&mut client, &format!("b SEARCH {full}TEXT {{1}}\r\n")).starts_with("b BAD [TOOBIG]"));
        client.send(format!("c SEARCH {full}SEEN\r\n").as_bytes());
        assert!(client.answer("c").1.starts_with("OK"));
        let small = "TEXT {1+}\r\nx ".repeat(limits::LITERAL_COUNT);
        client.send(format!("d SEARCH {small}SEEN\r\n").as_bytes());
        assert!(client.answer("d").1.starts_with("OK"));
        assert!(said(&mut client, &format!("e SEARCH {small}TEXT {{1}}\r\n")).starts_with("e BAD [TOOBIG]"));
        client.ok("NOOP");
        assert!(said(&mut client, &format!("f SEARCH {small}TEXT {{1+}}\r\n")).starts_with("* BYE "));
    });
}

#[test]
fn the_greatest_message_is_advertised_and_asked_for() {
    each_store(|world| {
        let mut client = world.client();
        let said_so = format!("APPENDLIMIT={}", limits::APPEND);
        assert!(client.ok("CAPABILITY")[0].split(' ').any(|word| word == said_so));
        assert!(client.ok("STATUS INBOX (APPENDLIMIT)")[0].contains(&limits::APPEND.to_string()));
        assert!(
            said(&mut client, &format!("a APPEND INBOX {{{}}}\r\n", limits::APPEND + 1)).starts_with("a NO [TOOBIG]")
        );
        assert!(said(&mut client, &format!("b APPEND INBOX {{{}}}\r\n", limits::APPEND)).starts_with("+ "));
    });
}

#[test]
fn one_append_has_so_many_messages_and_with_one_more_none_is_stored() {
    on_memory(|world| {
        let mut client = world.client();
        let many = " {1+}\r\nx".repeat(limits::APPEND_MESSAGES);
        client.send(format!("a APPEND INBOX{many} {{1+}}\r\nx\r\n").as_bytes());
        let (_, tagged) = client.answer("a");
        assert!(tagged.starts_with("NO [LIMIT]"), "{tagged}");
        assert!(has(&client.ok("EXAMINE INBOX"), "* 0 EXISTS"));
        client.send(format!("b APPEND INBOX{many}\r\n").as_bytes());
        assert!(client.answer("b").1.starts_with("OK [APPENDUID"));
    });
}

#[test]
fn parentheses_and_negations_nest_so_deep() {
    on_memory(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        let nested = |depth: usize| format!("SEARCH {}ALL{}", "(".repeat(depth), ")".repeat(depth));
        client.ok(&nested(limits::NESTING));
        client.bad(&nested(limits::NESTING + 1));
        client.ok(&format!("SEARCH {}ALL", "NOT ".repeat(limits::NESTING)));
        client.bad(&format!("SEARCH {}ALL", "NOT ".repeat(limits::NESTING + 1)));
    });
}

#[test]
fn a_search_has_so_many_keys_and_a_fetch_so_many_items() {
    on_memory(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        client.ok(&format!("SEARCH {}", ["ALL"; limits::SEARCH_KEYS].join(" ")));
        client.bad(&format!("SEARCH {}", ["ALL"; limits::SEARCH_KEYS + 1].join(" ")));
        let items = |count: usize| (1..=count).map(|n| format!("BODY[{n}]")).collect::<Vec<_>>().join(" ");
        client.ok(&format!("UID FETCH 1 ({})", items(limits::FETCH_ITEMS - 1)));
        client.bad(&format!("UID FETCH 1 ({})", items(limits::FETCH_ITEMS + 1)));
        let names = |count: usize| format!("UID FETCH 1 BODY[HEADER.FIELDS ({})]", vec!["a"; count].join(" "));
        client.ok(&names(limits::HEADER_NAMES));
        client.bad(&names(limits::HEADER_NAMES + 1));
    });
}

#[test]
fn id_has_so_many_pairs() {
    on_memory(|world| {
        let pairs = |count: usize| format!("ID ({})", vec!["\"k\" \"v\""; count].join(" "));
        stranger(world).ok(&pairs(limits::ID_PAIRS));
        stranger(world).bad(&pairs(limits::ID_PAIRS + 1));
    });
}

#[test]
fn a_sasl_response_has_so_many_octets() {
    on_memory(|world| {
        let response = |size: usize| imapd::testing::encoding::base64::encode(&vec![b'x'; size]);
        let mut client = stranger(world);
        assert!(said(&mut client, "a AUTHENTICATE PLAIN\r\n").starts_with("+ "));
        assert!(said(&mut client, &format!("{}\r\n", response(limits::SASL))).starts_with("a BAD "));
        assert!(said(&mut client, "b AUTHENTICATE PLAIN\r\n").starts_with("+ "));
        // One group of base64 more.
        assert!(said(&mut client, &format!("{}\r\n", response(limits::SASL + 2))).starts_with("* BYE "));
    });
}

#[test]
fn a_mailbox_name_has_so_many_octets_and_levels() {
    on_memory(|world| {
        let mut client = world.client();
        let name = |size: usize| vec!["x".repeat(99); 10].join("/") + &"y".repeat(size - 999);
        client.ok(&format!("CREATE {}", name(limits::MAILBOX_NAME)));
        assert!(client.no(&format!("CREATE {}", name(limits::MAILBOX_NAME + 1))).starts_with("NO [CANNOT]"));
        client.ok(&format!("CREATE {}", vec!["z"; limits::MAILBOX_LEVELS].join("/")));
        let deeper = vec!["z"; limits::MAILBOX_LEVELS + 1].join("/");
        assert!(client.no(&format!("CREATE {deeper}")).starts_with("NO [CANNOT]"));
    });
}

/// Sends these commands without waiting, and says how the last of them ended.
fn last_of(client: &mut Client, commands: impl Iterator<Item = String>) -> String {
    let mut last = String::new();
    for command in commands {
        client.send(format!("p {command}\r\n").as_bytes());
        last = client.answer("p").1;
    }
    last
}

#[test]
fn a_user_has_so_many_mailboxes_in_memory() {
    on_memory(|world| {
        let mut client = world.client();
        let more = |n: usize| format!("CREATE m{n}");
        // INBOX is one of them.
        assert!(last_of(&mut client, (1..limits::MAILBOXES).map(more)).starts_with("OK "));
        assert!(client.no("CREATE one-more").starts_with("NO [LIMIT]"));
        client.ok("DELETE m1");
        client.ok("CREATE one-more");
    });
}

#[test]
fn a_user_has_so_many_subscriptions_in_memory() {
    on_memory(|world| {
        let mut client = world.client();
        let more = |n: usize| format!("SUBSCRIBE m{n}");
        assert!(last_of(&mut client, (0..limits::SUBSCRIPTIONS).map(more)).starts_with("OK "));
        assert!(client.no("SUBSCRIBE one-more").starts_with("NO [LIMIT]"));
    });
}

#[test]
fn keywords_are_bounded_in_length_in_one_command_and_in_one_mailbox() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "()", "Subject: x\r\n\r\nx\r\n");
        client.ok("SELECT INBOX");
        client.ok(&format!("STORE 1 +FLAGS ({})", "k".repeat(limits::KEYWORD)));
        let refused = client.run(&format!("STORE 1 +FLAGS ({})", "k".repeat(limits::KEYWORD + 1))).1;
        assert!(refused.starts_with("BAD ") || refused.starts_with("NO "), "{refused}");
        client.ok(&format!("STORE 1 -FLAGS ({})", vec!["x"; limits::FLAGS_OF_COMMAND].join(" ")));
        client.bad(&format!("STORE 1 -FLAGS ({})", vec!["x"; limits::FLAGS_OF_COMMAND + 1].join(" ")));
        let many = |from: usize| (0..600).map(|n| format!("k{}", from + n)).collect::<Vec<_>>().join(" ");
        let answers = [0, 600].map(|from| client.run(&format!("STORE 1 +FLAGS ({})", many(from))).1);
        assert!(answers.iter().any(|answer| answer.starts_with("NO [LIMIT]")), "{answers:?}");
        client.ok("STORE 1 +FLAGS (\\Seen)");
    });
}

#[test]
fn a_list_has_so_many_patterns() {
    on_memory(|world| {
        let mut client = world.client();
        let list = |count: usize| format!("LIST \"\" ({})", vec!["x"; count].join(" "));
        client.ok(&list(limits::LIST_PATTERNS));
        assert!(!client.run(&list(limits::LIST_PATTERNS + 1)).1.starts_with("OK"));
    });
}
