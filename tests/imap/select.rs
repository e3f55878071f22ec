//! SELECT, EXAMINE, CHECK, CLOSE, UNSELECT.

use crate::talk::{each_store, has, message};

#[test]
fn select_in_rev1_tells_all_that_rfc_3501_asks() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "(\\Seen)", &message("one"));
        client.append("INBOX", "()", &message("two"));
        let (said, tagged) = client.run("SELECT inbox");
        assert!(tagged.starts_with("OK [READ-WRITE] SELECT completed"), "{tagged}");
        let flags = said.iter().find(|line| line.starts_with("* FLAGS (")).unwrap();
        for flag in ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"] {
            assert!(flags.contains(flag), "{flags}");
        }
        for keyword in ["$MDNSent", "$Forwarded", "$Junk", "$NotJunk", "$Phishing"] {
            assert!(flags.contains(keyword), "{flags}");
        }
        assert!(has(&said, "* 2 EXISTS"));
        assert!(has(&said, "* 2 RECENT"));
        assert!(has(&said, "* OK [UNSEEN 2]"));
        assert!(has(&said, "* OK [UIDNEXT 3]"));
        assert!(has(&said, "* OK [UIDVALIDITY "));
        let permanent = said.iter().find(|line| line.starts_with("* OK [PERMANENTFLAGS (")).unwrap();
        assert!(permanent.contains("\\*"), "{permanent}");
        assert!(!has(&said, "* LIST"), "{said:?}");
    });
}

#[test]
fn select_in_rev2_tells_list_and_neither_recent_nor_unseen() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "()", &message("one"));
        client.ok("CREATE INBOX/below");
        client.ok("SUBSCRIBE INBOX");
        client.ok("ENABLE IMAP4rev2");
        let said = client.ok("SELECT inbox");
        assert!(!has(&said, "* 1 RECENT") && !has(&said, "* 0 RECENT") && !has(&said, "* OK [UNSEEN"), "{said:?}");
        let list = said.iter().find(|line| line.starts_with("* LIST (")).unwrap();
        assert!(list.contains("\\HasChildren") && list.contains("\\Subscribed") && list.contains("INBOX"), "{list}");
    });
}

#[test]
fn select_in_rev2_names_what_was_normalised() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        client.ok("CREATE \"\u{fc}\"");
        let said = client.ok("SELECT \"u\u{308}\"");
        let list = said.iter().find(|line| line.starts_with("* LIST (")).unwrap();
        assert!(list.ends_with("\"\u{fc}\" (\"OLDNAME\" (\"u\u{308}\"))"), "{list}");
    });
}

#[test]
fn a_second_select_tells_that_the_first_is_closed() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE other");
        let said = client.ok("SELECT INBOX");
        assert!(!has(&said, "* OK [CLOSED]"));
        let said = client.ok("SELECT other");
        assert!(said[0].starts_with("* OK [CLOSED]"), "{said:?}");
    });
}

#[test]
fn a_select_that_fails_leaves_nothing_selected() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        let (said, tagged) = client.run("SELECT nowhere");
        assert!(tagged.starts_with("NO [NONEXISTENT]"), "{tagged}");
        assert!(has(&said, "* OK [CLOSED]"));
        client.bad("CHECK");
    });
}

#[test]
fn examine_allows_no_change() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "(\\Deleted)", &message("one"));
        client.ok("CREATE other");
        let (said, tagged) = client.run("EXAMINE INBOX");
        assert!(tagged.starts_with("OK [READ-ONLY]"), "{tagged}");
        assert!(has(&said, "* OK [PERMANENTFLAGS ()]"), "{said:?}");
        for command in ["STORE 1 FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 other"] {
            let tagged = client.no(command);
            assert!(tagged.starts_with("NO [READ-ONLY]"), "{command}: {tagged}");
        }
        client.ok("COPY 1 other");
        client.ok("CLOSE");
        assert!(has(&client.ok("SELECT INBOX"), "* 1 EXISTS"));
    });
}

#[test]
fn recent_stays_with_examine_and_goes_with_select() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "()", &message("one"));
        assert!(has(&client.ok("EXAMINE INBOX"), "* 1 RECENT"));
        assert!(has(&client.ok("SELECT INBOX"), "* 1 RECENT"));
        assert!(has(&client.ok("SELECT INBOX"), "* 0 RECENT"));
    });
}

#[test]
fn close_expunges_without_a_word_and_unselect_does_not_expunge() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "(\\Deleted)", &message("one"));
        client.append("INBOX", "()", &message("two"));
        client.ok("SELECT INBOX");
        assert_eq!(client.ok("UNSELECT"), [""; 0]);
        client.bad("CHECK");
        assert!(has(&client.ok("SELECT INBOX"), "* 2 EXISTS"));
        assert_eq!(client.ok("CLOSE"), [""; 0]);
        client.bad("CHECK");
        assert!(has(&client.ok("SELECT INBOX"), "* 1 EXISTS"));
    });
}

#[test]
fn check_is_noop() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("SELECT INBOX");
        let mut other = world.client();
        other.append("INBOX", "()", &message("one"));
        assert!(has(&client.ok("CHECK"), "* 1 EXISTS"));
    });
}

#[test]
fn a_mailbox_that_another_session_deletes_ends_the_session_and_shows_no_other() {
    each_store(|world| {
        let (mut a, mut b) = (world.client(), world.client());
        a.ok("CREATE box");
        b.ok("SELECT box");
        a.ok("DELETE box");
        a.ok("CREATE box");
        a.append("box", "()", &message("of another"));
        b.send(b"x NOOP\r\n");
        assert!(b.line().starts_with("* BYE "));
        b.at_end();
    });
}

#[test]
fn a_mailbox_that_another_session_renames_never_turns_into_another() {
    each_store(|world| {
        let (mut a, mut b) = (world.client(), world.client());
        a.ok("CREATE box");
        b.ok("SELECT box");
        a.ok("RENAME box other");
        a.ok("CREATE box");
        a.append("box", "()", &message("of another"));
        b.send(b"x NOOP\r\n");
        // A store may go on with the mailbox under its new name, or end.
        let line = b.line();
        assert!(line.starts_with("* BYE ") || line.starts_with("x OK "), "{line}");
    });
}
