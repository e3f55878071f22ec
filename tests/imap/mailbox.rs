//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use crate::talk::{each_store, has, message};

#[test]
fn create_makes_the_names_above_too() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a/b/c");
        for name in ["a", "a/b", "a/b/c"] {
            client.ok(&format!("SELECT {name}"));
        }
    });
}

#[test]
fn create_passes_over_a_trailing_separator() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE folder/");
        client.ok("SELECT folder");
        assert!(client.no("CREATE folder").starts_with("NO [ALREADYEXISTS]"));
    });
}

#[test]
fn inbox_can_be_neither_made_nor_deleted() {
    each_store(|world| {
        let mut client = world.client();
        assert!(client.no("CREATE inbox").starts_with("NO [ALREADYEXISTS]"));
        client.no("DELETE INBOX");
        client.ok("SELECT INBOX");
    });
}

#[test]
fn names_that_no_mailbox_can_have_are_refused_with_cannot() {
    each_store(|world| {
        let mut client = world.client();
        for name in
            ["..", "../x", "a/../b", "/etc", "~root", ".", "a//b", "\"\"", "&AC8-x", "&AAA-", "&AGE-", "&-&", "x&2AA-"]
        {
            let tagged = client.no(&format!("CREATE {name}"));
            assert!(tagged.starts_with("NO [CANNOT]"), "{name}: {tagged}");
        }
        let levels = vec!["x"; 200].join("/");
        assert!(client.no(&format!("CREATE {levels}")).starts_with("NO [CANNOT]"));
        let long = "x".repeat(4096);
        assert!(client.no(&format!("CREATE {long}")).starts_with("NO [CANNOT]"));
    });
}

#[test]
fn a_special_use_is_kept_and_two_or_unknown_ones_are_refused() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE Gesendet (USE (\\sent))");
        let said = client.ok("LIST \"\" Gesendet");
        assert!(said[0].contains("\\Sent"), "{said:?}");
        assert!(client.no("CREATE x (USE (\\Junk \\Trash))").starts_with("NO [USEATTR]"));
        assert!(client.no("CREATE x (USE (\\Nonsense))").starts_with("NO [USEATTR]"));
        assert!(client.no("SELECT x").starts_with("NO [NONEXISTENT]"));
    });
}

#[test]
fn delete_leaves_the_children_and_a_name_that_cannot_be_selected() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a/b");
        client.ok("DELETE a");
        let said = client.ok("LIST \"\" %");
        assert!(said.iter().any(|line| line.contains("\\Noselect") && line.ends_with(" a")), "{said:?}");
        assert!(client.no("SELECT a").starts_with("NO [NONEXISTENT]"));
        assert!(client.no("DELETE a").starts_with("NO [HASCHILDREN]"));
        client.ok("DELETE a/b");
        assert!(client.no("DELETE a").starts_with("NO [NONEXISTENT]"));
    });
}

#[test]
fn deleting_the_selected_mailbox_leaves_nothing_selected() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a");
        client.ok("SELECT a");
        client.ok("DELETE a");
        client.bad("CHECK");
    });
}

#[test]
fn rename_takes_the_children_along() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a/b/c");
        client.append("a/b", "()", &message("kept"));
        client.ok("RENAME a x/y");
        assert!(has(&client.ok("SELECT x/y/b"), "* 1 EXISTS"));
        client.ok("SELECT x/y/b/c");
        client.ok("SELECT x");
        assert!(client.no("SELECT a").starts_with("NO [NONEXISTENT]"));
    });
}

#[test]
fn rename_to_what_exists_or_into_itself_is_refused() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a");
        client.ok("CREATE b");
        assert!(client.no("RENAME a b").starts_with("NO [ALREADYEXISTS]"));
        assert!(client.no("RENAME a INBOX").starts_with("NO [ALREADYEXISTS]"));
        assert!(client.no("RENAME a a").starts_with("NO [ALREADYEXISTS]"));
        assert!(client.no("RENAME a a/b").starts_with("NO [CANNOT]"));
        assert!(client.no("RENAME nothing c").starts_with("NO [NONEXISTENT]"));
        client.ok("SELECT a");
    });
}

#[test]
fn renaming_inbox_moves_its_messages_and_leaves_it() {
    each_store(|world| {
        let mut client = world.client();
        client.append("INBOX", "(\\Flagged)", &message("one"));
        client.ok("CREATE INBOX/below");
        client.ok("RENAME INBOX old");
        assert!(has(&client.ok("SELECT old"), "* 1 EXISTS"));
        assert!(has(&client.ok("SELECT INBOX"), "* 0 EXISTS"));
        client.ok("SELECT INBOX/below");
    });
}

#[test]
fn the_selected_mailbox_stays_selected_under_its_new_name() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a/b");
        client.append("a/b", "()", &message("one"));
        client.ok("SELECT a/b");
        client.ok("RENAME a x");
        client.append("x/b", "()", &message("two"));
        let said = client.ok("STORE 1:2 +FLAGS (\\Seen)");
        assert_eq!(said.len(), 2, "{said:?}");
    });
}

#[test]
fn what_came_before_the_selected_mailbox_is_renamed_is_told() {
    each_store(|world| {
        let (mut client, mut other) = (world.client(), world.client());
        client.ok("CREATE a");
        client.append("a", "()", &message("one"));
        client.append("a", "()", &message("two"));
        client.ok("SELECT a");
        other.ok("SELECT a");
        other.ok("STORE 1 +FLAGS (\\Deleted)");
        other.ok("EXPUNGE");
        other.ok("STORE 1 +FLAGS (\\Flagged)");
        other.append("a", "()", &message("three"));
        let told = [client.ok("RENAME a b"), client.ok("NOOP")].concat();
        assert!(has(&told, "* 1 EXPUNGE") && has(&told, "* 2 EXISTS"), "{told:?}");
        assert!(told.iter().any(|line| line.contains(" FETCH (FLAGS (") && line.contains("\\Flagged")), "{told:?}");
        assert_eq!(client.ok("FETCH 2 UID"), ["* 2 FETCH (UID 3)"]);
    });
}

#[test]
fn subscriptions_outlive_their_mailboxes() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a");
        client.ok("SUBSCRIBE a");
        client.ok("SUBSCRIBE never/was");
        client.ok("DELETE a");
        let said = client.ok("LSUB \"\" *");
        assert!(said.iter().any(|line| line.ends_with(" a")), "{said:?}");
        assert!(said.iter().any(|line| line.ends_with(" never/was")), "{said:?}");
        client.ok("UNSUBSCRIBE a");
        client.ok("UNSUBSCRIBE a");
        assert_eq!(client.ok("LSUB \"\" *").len(), 1);
    });
}

#[test]
fn names_are_modified_utf7_in_rev1_and_utf8_in_rev2() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE &ANw-ber&-");
        let said = client.ok("LIST \"\" %ber*");
        assert!(said[0].ends_with(" &ANw-ber&-"), "{said:?}");
        client.ok("ENABLE IMAP4rev2");
        let said = client.ok("LIST \"\" \"\u{dc}*\"");
        assert!(said[0].ends_with(" \"\u{dc}ber&\""), "{said:?}");
        client.ok("SELECT \"\u{dc}ber&\"");
        let said = client.ok("CREATE \"u\u{308}\"");
        assert!(said[0].ends_with("\"\u{fc}\" (\"OLDNAME\" (\"u\u{308}\"))"), "{said:?}");
    });
}

#[test]
fn a_special_use_that_no_mailbox_can_have_is_told_as_such() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("CREATE a (USE (\\Sent))");
        for refused in ["\\Sent", "\\All", "\\Flagged", "\\Unheard", "\\Junk \\Trash"] {
            let said = client.no(&format!("CREATE b (USE ({refused}))"));
            assert!(said.starts_with("NO [USEATTR] "), "{refused}: {said}");
        }
        client.ok("CREATE b (USE ())");
    });
}

#[test]
fn in_rev2_every_command_that_normalises_a_name_says_so() {
    each_store(|world| {
        let mut client = world.client();
        client.ok("ENABLE IMAP4rev2");
        let (wrong, right) = ("\"u\u{308}\"", "\"\u{fc}\"");
        let oldname = format!("(\"OLDNAME\" ({wrong}))");
        let told = |said: &[String], name: &str| {
            assert!(said[0].starts_with("* LIST (") && said[0].ends_with(&format!("{name} {oldname}")), "{said:?}");
        };
        told(&client.ok(&format!("CREATE {wrong}")), right);
        told(&client.ok(&format!("APPEND {wrong} {{3+}}\r\na\r\n")), right);
        told(&client.ok(&format!("RENAME {wrong} plain")), "plain");
        let said = client.ok(&format!("RENAME plain {wrong}"));
        assert!(said[0].ends_with(&format!("{right} (\"OLDNAME\" (plain))")), "{said:?}");
        let said = client.ok(&format!("DELETE {wrong}"));
        told(&said, right);
        assert!(said[0].starts_with("* LIST (\\NonExistent)"), "{said:?}");
        assert_eq!(client.ok("RENAME inbox old"), [""; 0]);
    });
}
