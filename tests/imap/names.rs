//! Mailbox names that lead elsewhere, read as others, or are too long: no command takes them, and nothing outside of the mail is touched.

use crate::talk::{Client, World, each_store, has, on_memory};
use std::collections::BTreeSet;
use std::path::Path;

/// Names as they stand in a command of IMAP4rev1, each of which no mailbox can have.
const NEVER: &[&str] = &[
    "..",
    "../x",
    "a/../../b",
    "a/..",
    "/etc",
    "/",
    "//",
    "a//b",
    "/etc/passwd",
    "~root",
    "~",
    "~/x",
    ".",
    "./x",
    "a/.",
    "INBOX/../x",
    "INBOX/..",
    "INBOX/./x",
    "\"\"",
    // Modified UTF-7 for `/`, `.`, `..`, NUL, LF, ESC, `a`, `&`: what must stand for itself, or nowhere.
    "&AC8-",
    "a&AC8-b",
    "&AC4-",
    "&AC4ALg-",
    "&AC4ALgAv-x",
    "&AAA-",
    "a&AAA-b",
    "&AAo-",
    "&ABs-",
    "&AGE-",
    "&ACY-",
    // No canonical base64, none at all, no end, surrogates alone or in the wrong order, two runs in a row.
    "&",
    "&AOQ",
    "&AOR-",
    "&AO-",
    "&A-",
    "&!-",
    "&AOQ=-",
    "&2AA-",
    "&3AA-",
    "&3ADYAA-",
    "&AOQ-&APY-",
    // What makes a name read as another.
    "a&IC4-b",
    "&IC4-",
    "&IGYgZw-",
    "&ICg-",
    "&,v8-",
];

/// Refused, whichever way: with NO and a code, or as what the grammar has not.
fn refused(client: &mut Client, command: &str) {
    let (said, tagged) = client.run(command);
    assert!(tagged.starts_with("NO ") || tagged.starts_with("BAD "), "{command}: {tagged}");
    assert!(!said.iter().any(|line| line.starts_with("* LIST") || line.starts_with("* STATUS")), "{command}: {said:?}");
    client.ok("NOOP");
}

/// All that there is on disk, the mail's own directories left out.
fn outside(world: &World) -> BTreeSet<String> {
    let Some(directory) = world.directory() else { return BTreeSet::new() };
    fn walk(at: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            out.insert(path.display().to_string());
            if path.is_dir() && path.file_name().unwrap() != "Maildir" {
                walk(&path, out);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(directory, &mut found);
    found
}

#[test]
fn names_that_lead_elsewhere_are_refused_by_every_command() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "()", "Subject: x\r\n\r\nx\r\n");
        client.ok("CREATE there");
        let before = outside(world);
        client.ok("SELECT INBOX");
        for name in NEVER {
            for command in
                ["CREATE", "DELETE", "EXAMINE", "RENAME there", "COPY 1", "MOVE 1", "UID COPY 1", "UID MOVE 1"]
            {
                refused(&mut client, &format!("{command} {name}"));
                if command == "EXAMINE" {
                    client.ok("SELECT INBOX");
                }
            }
            refused(&mut client, &format!("RENAME {name} elsewhere"));
            refused(&mut client, &format!("STATUS {name} (MESSAGES)"));
            refused(&mut client, &format!("APPEND {name} {{1000}}"));
            refused(&mut client, &format!("SUBSCRIBE {name}"));
            let (said, _) = client.run(&format!("LIST \"\" {name}"));
            assert!(said.iter().all(|line| line.ends_with(" \"\"")), "{name}: {said:?}");
            let (said, _) = client.run(&format!("LIST {name} %"));
            assert!(!said.iter().any(|line| line.contains("passwd") || line.contains("..")), "{name}: {said:?}");
        }
        let listed = client.ok("LIST \"\" *");
        assert!(listed.len() == 2 && listed[0].ends_with(" INBOX") && listed[1].ends_with(" there"), "{listed:?}");
        assert_eq!(client.ok("LSUB \"\" *"), [""; 0]);
        assert_eq!(client.ok("STATUS INBOX (MESSAGES)"), ["* STATUS INBOX (MESSAGES 1)"]);
        assert_eq!(outside(world), before);
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused_in_utf8_too() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        let before = outside(world);
        let names: &[&[u8]] = &[
            b"..",
            b"a/../b",
            b"/etc",
            b"a\0b",
            b"a\nb",
            b"a\rb",
            b"\x1b[31m",
            b"\x7f",
            b"\xc0\xae\xc0\xae",
            b"\xe0\x80\xaf",
            b"\xed\xa0\x80",
            b"\xed\xb0\x80\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc3",
            b"\xff",
            "\u{202e}txt".as_bytes(),
            "\u{2028}".as_bytes(),
            "\u{85}".as_bytes(),
            "\u{feff}".as_bytes(),
        ];
        for name in names {
            for command in ["CREATE", "SUBSCRIBE", "DELETE", "SELECT"] {
                client.send(&[format!("a {command} {{{}+}}\r\n", name.len()).as_bytes(), name, b"\r\n"].concat());
                let (_, tagged) = client.answer("a");
                assert!(tagged.starts_with("NO ") || tagged.starts_with("BAD "), "{command} {name:?}: {tagged}");
                client.ok("NOOP");
            }
        }
        assert_eq!(client.ok("LIST \"\" *").len(), 1);
        assert_eq!(outside(world), before);
    });
}

#[test]
fn names_that_only_look_odd_are_names() {
    each_store(|world| {
        let mut client = world.client();
        let before = outside(world);
        // As directories of a Maildir or as separators of another server they would mean something else.
        for name in [
            "a..b",
            "cur",
            "new",
            "tmp",
            ".x",
            "a.b",
            "a/cur",
            "x~y",
            "-rf",
            "$HOME",
            "`id`",
            "dovecot-uidlist",
            "subscriptions",
            "&AOQ-",
            "&-",
        ] {
            let (_, tagged) = client.run(&format!("CREATE {name}"));
            if !tagged.starts_with("OK ") {
                assert!(tagged.starts_with("NO [CANNOT]"), "{name}: {tagged}");
                continue;
            }
            client.append(name, "()", "Subject: x\r\n\r\nx\r\n");
            assert!(has(&client.ok(&format!("EXAMINE {name}")), "* 1 EXISTS"), "{name}");
            let said = client.ok(&format!("LIST \"\" {name}"));
            assert_eq!(said.len(), 1, "{name}: {said:?}");
            client.ok(&format!("RENAME {name} moved"));
            client.ok("RENAME moved again");
            client.ok("DELETE again");
        }
        assert!(has(&client.ok("EXAMINE INBOX"), "* 0 EXISTS"));
        assert_eq!(outside(world), before);
    });
}

#[test]
fn composed_and_decomposed_are_one_name() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        client.send("a CREATE \"J\u{f6}rg\"\r\n".as_bytes());
        assert!(client.answer("a").1.starts_with("OK"));
        client.send("b CREATE \"Jo\u{308}rg\"\r\n".as_bytes());
        assert!(client.answer("b").1.starts_with("NO [ALREADYEXISTS]"));
        client.send("c SELECT \"Jo\u{308}rg\"\r\n".as_bytes());
        assert!(client.answer("c").1.starts_with("OK"));
        assert_eq!(client.ok("LIST \"\" J*").len(), 1);
    });
}

#[test]
fn names_as_long_as_a_directory_entry_are_kept_or_refused_whole() {
    each_store(|world| {
        let mut client = world.client();
        for size in [240, 253, 254, 255, 256, 257, 999, 1000, 1001, 4096] {
            for name in
                ["x".repeat(size), vec!["y"; size.div_ceil(2)].join("/"), format!("{}&AOQ-", "z".repeat(size - 5))]
            {
                let (_, tagged) = client.run(&format!("CREATE {name}"));
                let known = client.ok("LIST \"\" *").iter().any(|line| line.ends_with(&format!(" {name}")));
                match tagged.starts_with("OK ") {
                    true => {
                        assert!(known, "{size}");
                        client.append(&name, "()", "Subject: x\r\n\r\nx\r\n");
                        assert!(has(&client.ok(&format!("EXAMINE {name}")), "* 1 EXISTS"));
                        let long = format!("{name}{}", "w".repeat(250));
                        let renamed = client.run(&format!("RENAME {name} {long}")).1;
                        client.ok(&format!("DELETE {}", if renamed.starts_with("OK") { &long } else { &name }));
                    }
                    false => {
                        assert!(
                            tagged.starts_with("NO [CANNOT]") || tagged.starts_with("NO [LIMIT]"),
                            "{size}: {tagged}"
                        );
                        assert!(!known, "{size}");
                    }
                }
            }
        }
        let levels = |count: usize| vec!["l"; count].join("/");
        assert!(client.no(&format!("CREATE {}", levels(200))).starts_with("NO [CANNOT]"));
        assert!(client.no(&format!("RENAME INBOX {}", levels(200))).starts_with("NO [CANNOT]"));
        assert!(!has(&client.ok("LIST \"\" *"), "* LIST (\\HasNoChildren) \"/\" l"));
    });
}

#[test]
fn names_in_error_texts_and_responses_are_never_raw() {
    on_memory(|world| {
        let mut client = world.client();
        for octets in
            [&b"\r\n* BYE x"[..], b"\x1b[2J", b"\xff\xfe", b"\0", b"{5}", b"\"", b"\\", b"]", b"(", b"%", b"*"]
        {
            for command in ["SELECT", "DELETE", "STATUS", "LIST \"\"", "NAMESPACE", "ENABLE", "ID", "SUBSCRIBE"] {
                client.send(
                    &[format!("a {command} {{{}+}}\r\n", octets.len()).as_bytes(), octets, b" (MESSAGES)\r\n"].concat(),
                );
                let (said, tagged) = client.answer("a");
                for line in said.iter().chain([&tagged]) {
                    assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{command} {octets:?}: {line:?}");
                }
                client.ok("NOOP");
            }
        }
    });
}
