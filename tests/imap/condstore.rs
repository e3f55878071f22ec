//! CONDSTORE (RFC 7162 section 3.1): when messages changed, and changes on condition.

use crate::on_both_stores;
use crate::support::{Answer, Client, Response, Server};

const MESSAGE: &[u8] = b"Subject: a\r\n\r\nx\r\n";

/// A client with so many messages in INBOX selected, none recent, CONDSTORE not yet enabled.
fn in_inbox(server: &Server, count: usize) -> Client {
    let mut client = server.connect();
    (0..count).for_each(|_| drop(client.append("INBOX", "", MESSAGE)));
    client.ok("SELECT INBOX");
    client.ok("SELECT INBOX");
    client
}

/// Another client of the same mail, INBOX selected.
fn other(server: &Server) -> Client {
    let mut client = server.connect();
    client.ok("SELECT INBOX");
    client
}

fn flags(answer: &Answer, number: u32) -> Option<String> {
    answer.item(number, "FLAGS").map(|flags| format!("{flags:?}"))
}

on_both_stores! {
    fn a_client_that_never_asked_hears_of_it_at_select_alone(server) {
        let mut client = in_inbox(server, 3);
        let mut theirs = other(server);
        let answer = client.ok("SELECT INBOX");
        assert!(answer.code("HIGHESTMODSEQ").is_some() && answer.code("MAILBOXID").is_some(), "{answer:?}");
        theirs.ok("STORE 1 FLAGS (\\Seen)");
        theirs.ok("STORE 2 FLAGS (\\Deleted)");
        theirs.ok("EXPUNGE");
        // The client itself looks that there is no MODSEQ.
        for command in ["STORE 1 +FLAGS (\\Flagged)", "NOOP", "FETCH 1 BODY[]", "UID FETCH 1:* (FLAGS)", "EXPUNGE"] {
            let answer = client.ok(command);
            assert_eq!(answer.code("HIGHESTMODSEQ"), None, "{answer:?}");
        }
    }

    fn what_is_withheld_is_not_told(server) {
        let names = ["CONDSTORE", "QRESYNC", "OBJECTID", "SAVEDATE"];
        let server = match server.root() {
            Some(_) => Server::maildir(),
            None => Server::memory(),
        }
        .withholding(&names);
        let mut client = server.connect();
        let Response::Capability(offered) = &client.ok("CAPABILITY")[0] else { panic!("no CAPABILITY") };
        assert!(!offered.iter().any(|name| names.contains(&name.as_str())), "{offered:?}");
        assert!(client.ok("ENABLE CONDSTORE QRESYNC").contains(&Response::Enabled(vec![])));
        assert_eq!(client.ok("CREATE a").code, None);
        let answer = client.ok("SELECT INBOX");
        assert!(answer.code("HIGHESTMODSEQ").is_none() && answer.code("MAILBOXID").is_none(), "{answer:?}");
        client.bad("SELECT INBOX (QRESYNC (1 1))");
        // The commands are there all the same.
        assert!(client.ok("SELECT INBOX (CONDSTORE)").code("HIGHESTMODSEQ").is_some());
    }

    fn the_new_capabilities_are_offered(server) {
        let Response::Capability(offered) = &server.connect().ok("CAPABILITY")[0] else { panic!("no CAPABILITY") };
        for name in ["CONDSTORE", "QRESYNC", "SAVEDATE", "OBJECTID", "ENABLE"] {
            assert!(offered.iter().any(|offered| offered == name), "{name}");
        }
    }

    fn what_no_such_command_is_stays_bad(server) {
        let mut client = in_inbox(server, 1);
        for command in [
            "SELECT INBOX (FOO)",
            "SELECT INBOX (CONDSTORE FOO)",
            "FETCH 1 FLAGS (CHANGEDSINCE)",
            "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
            "FETCH 1 FLAGS (VANISHED CHANGEDSINCE 1)",
            "UID FETCH 1 FLAGS (VANISHED)",
            "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
            "STORE 1 (UNCHANGEDSINCE x) FLAGS ()",
            "STORE 1 (CHANGEDSINCE 1) FLAGS ()",
            "SEARCH MODSEQ",
            "SEARCH MODSEQ \"/flags/\\\\seen\" 5",
            "STATUS INBOX (NOMODSEQ)",
        ] {
            let answer = client.bad(command);
            assert_eq!(answer.code("HIGHESTMODSEQ"), None, "{command}");
        }
        assert!(client.ok("FETCH 1 FLAGS").item(1, "MODSEQ").is_none(), "still selected, and nothing enabled");
    }
}

on_both_stores! {
    fn each_enabling_command_tells_the_highest_time_once_and_turns_the_others_on(server) {
        in_inbox(server, 2);
        for command in [
            "STATUS INBOX (HIGHESTMODSEQ)",
            "LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))",
            "FETCH 1 MODSEQ",
            "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
            "FETCH 1 FLAGS (CHANGEDSINCE 0)",
            "SEARCH MODSEQ 1",
            "UID SEARCH NOT (SEEN MODSEQ 5)",
            "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()",
            "ENABLE CONDSTORE",
            "ENABLE QRESYNC",
        ] {
            let (mut client, mut theirs) = (other(server), other(server));
            let highest = client.ok("SELECT INBOX").highest_modseq();
            assert_eq!(client.ok(command).highest_modseq(), highest, "{command}");
            assert_eq!(client.ok(command).code("HIGHESTMODSEQ"), None, "{command} again");
            theirs.ok("STORE 1 FLAGS (\\Flagged)");
            assert!(client.ok("NOOP").modseq(1) > highest, "{command}");
            theirs.ok("STORE 1 FLAGS ()");
        }
        for command in ["SELECT INBOX (CONDSTORE)", "EXAMINE INBOX (CONDSTORE)"] {
            let (mut client, mut theirs) = (other(server), other(server));
            let highest = client.ok(command).highest_modseq();
            theirs.ok("STORE 1 FLAGS (\\Flagged)");
            assert!(client.ok("NOOP").modseq(1) > highest, "{command}");
            theirs.ok("STORE 1 FLAGS ()");
        }
    }

    fn store_tells_the_time_of_each_change_even_silently(server) {
        let mut client = in_inbox(server, 3);
        let before = client.ok("ENABLE CONDSTORE").highest_modseq();
        let answer = client.ok("STORE 1:2 +FLAGS (\\Seen)");
        assert!(answer.modseq(1) > before && answer.modseq(2) > before);
        assert_eq!(flags(&answer, 1).as_deref(), Some("(\\Seen)"));
        let silent = client.ok("STORE 2:3 +FLAGS.SILENT (\\Seen)");
        assert_eq!(silent.modseq(2), answer.modseq(2), "nothing changed");
        assert!(silent.modseq(3) > answer.modseq(2));
        assert_eq!((flags(&silent, 2), flags(&silent, 3)), (None, None));
        // What others did as well is told, once.
        other(server).ok("STORE 1 +FLAGS (\\Answered)");
        let joined = client.ok("UID STORE 1 +FLAGS.SILENT (\\Flagged)");
        assert_eq!(joined.fetches().len(), 1, "{joined:?}");
        assert!(flags(&joined, 1).unwrap().contains("\\Answered"));
        assert_eq!(client.ok("FETCH 1 MODSEQ").modseq(1), joined.modseq(1));
        assert_eq!(client.ok("SELECT INBOX").highest_modseq(), joined.modseq(1));
    }

    fn a_conditional_store_leaves_what_changed_and_says_why(server) {
        let mut client = in_inbox(server, 4);
        let since = client.ok("ENABLE CONDSTORE").highest_modseq();
        other(server).ok("STORE 2,4 FLAGS (\\Answered)");
        let answer = client.ok(&format!("STORE 1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)"));
        assert_eq!(answer.code("MODIFIED"), Some("2"));
        assert!(answer.modseq(1) > since && answer.modseq(3) > since);
        assert_eq!(flags(&answer, 1), None);
        assert_eq!(flags(&answer, 2).as_deref(), Some("(\\Answered)"));
        let seen = answer.modseq(2);
        // By then the session knows: it tells again what the client has missed.
        let answer = client.ok(&format!("UID STORE 2,4 (UNCHANGEDSINCE {since}) FLAGS (\\Deleted)"));
        assert_eq!(answer.code("MODIFIED"), Some("2,4"));
        assert_eq!((answer.modseq(2), flags(&answer, 4).as_deref()), (seen, Some("(\\Answered)")));
        let answer = client.ok(&format!("STORE 2 (UNCHANGEDSINCE {seen}) +FLAGS (\\Deleted)"));
        assert_eq!(answer.code("MODIFIED"), None);
        assert_eq!(flags(&answer, 2).as_deref(), Some("(\\Answered \\Deleted)"));
    }

    fn a_message_named_twice_is_no_conflict_with_itself(server) {
        let mut client = in_inbox(server, 3);
        let since = client.ok("ENABLE CONDSTORE").highest_modseq();
        let answer = client.ok(&format!("STORE 2,1:3,2 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)"));
        assert_eq!((answer.code("MODIFIED"), answer.fetches().len()), (None, 3));
    }

    fn unchanged_since_zero_always_fails(server) {
        let mut client = in_inbox(server, 2);
        let answer = client.ok("STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)");
        assert_eq!(answer.code("MODIFIED"), Some("1:2"));
        assert_eq!(client.ok("SEARCH KEYWORD $MDNSent").found(), [0; 0]);
    }

    fn a_flag_that_went_and_came_back_is_a_change(server) {
        let mut client = in_inbox(server, 1);
        let since = client.ok("ENABLE CONDSTORE").highest_modseq();
        let mut theirs = other(server);
        theirs.ok("STORE 1 +FLAGS (\\Seen)");
        theirs.ok("STORE 1 -FLAGS (\\Seen)");
        client.ok("NOOP");
        let answer = client.ok(&format!("STORE 1 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen)"));
        assert_eq!(answer.code("MODIFIED"), Some("1"));
        let now = answer.modseq(1);
        assert_eq!(client.ok(&format!("STORE 1 (UNCHANGEDSINCE {now}) +FLAGS (\\Seen)")).code("MODIFIED"), None);
    }

    fn of_messages_that_are_gone_a_conditional_store_says_no(server) {
        let mut client = in_inbox(server, 4);
        let since = client.ok("ENABLE CONDSTORE").highest_modseq();
        let mut theirs = other(server);
        theirs.ok("STORE 2 FLAGS (\\Answered)");
        theirs.ok("STORE 3:4 FLAGS.SILENT (\\Deleted)");
        theirs.ok("EXPUNGE");
        let answer = client.no(&format!("STORE 1:4 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen)"));
        assert_eq!(answer.code("MODIFIED"), Some("2"));
        assert!(answer.modseq(1) > since);
        // RFC 7162 section 3.2: the expunge that is kept back is later than what the client may believe to know.
        assert_eq!(answer.highest_modseq(), since);
        let news = client.ok("NOOP");
        assert_eq!(news.expunged(), [4, 3]);
        assert_eq!(news.highest_modseq(), client.ok("STATUS INBOX (HIGHESTMODSEQ)").status("INBOX", "HIGHESTMODSEQ").unwrap());
        assert_eq!(client.ok(&format!("UID STORE 3 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen)")).code, None);
    }

    fn while_an_expunge_is_kept_back_the_client_is_not_told_to_be_further(server) {
        let mut client = in_inbox(server, 3);
        let before = client.ok("ENABLE CONDSTORE").highest_modseq();
        let mut theirs = other(server);
        theirs.ok("STORE 1 FLAGS.SILENT (\\Deleted)");
        theirs.ok("EXPUNGE");
        theirs.ok("STORE 2 FLAGS (\\Answered)");
        for command in ["STORE 2 +FLAGS.SILENT (\\Seen)", "FETCH 2 MODSEQ", "SEARCH ALL", "FETCH 3 BODY[]"] {
            let answer = client.ok(command);
            assert!(answer.expunged().is_empty());
            let last = answer.fetches().iter().flat_map(|f| f.1).filter(|i| i.0 == "MODSEQ").map(|i| i.1.number()).max();
            match last {
                Some(modseq) if modseq > before => assert_eq!(answer.highest_modseq(), before, "{command}"),
                _ => assert_eq!(answer.code("HIGHESTMODSEQ"), None, "{command}"),
            }
            assert_eq!(client.mirror_of_selected().highest_modseq, Some(before), "{command}");
        }
        let answer = client.ok("NOOP");
        assert_eq!(answer.expunged(), [1]);
        assert!(answer.highest_modseq() > before);
        assert_eq!(answer.code_name(), "HIGHESTMODSEQ", "in the tagged answer");
    }

    fn fetch_changedsince_gives_what_changed(server) {
        let mut client = in_inbox(server, 4);
        let since = client.ok("FETCH 1 MODSEQ").highest_modseq();
        let mut theirs = other(server);
        theirs.ok("STORE 2,4 FLAGS (\\Seen)");
        client.ok("NOOP");
        let answer = client.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {since})"));
        assert_eq!(answer.fetches().iter().map(|f| f.0).collect::<Vec<_>>(), [2, 4]);
        assert!(answer.modseq(2) > since && answer.item(2, "UID").is_none());
        let answer = client.ok(&format!("UID FETCH 1:3 (UID) (CHANGEDSINCE {since})"));
        assert_eq!(answer.fetches().len(), 1);
        let now = client.mirror_of_selected().highest_modseq.unwrap();
        assert!(client.ok(&format!("FETCH 1:* FLAGS (CHANGEDSINCE {now})")).fetches().is_empty());
        assert_eq!(client.ok("FETCH 1:* FLAGS (CHANGEDSINCE 0)").fetches().len(), 4);
        // What is left out is not marked as read either.
        client.ok(&format!("FETCH 1:* BODY[] (CHANGEDSINCE {now})"));
        assert_eq!(client.ok("SEARCH SEEN").found(), [2, 4]);
    }

    fn a_fetch_that_marks_as_read_tells_uid_flags_and_time(server) {
        let mut client = in_inbox(server, 2);
        let before = client.ok("ENABLE CONDSTORE").highest_modseq();
        let answer = client.ok("FETCH 1 BODY[TEXT]");
        assert!(answer.modseq(1) > before);
        assert_eq!((answer.item(1, "UID").unwrap().number(), flags(&answer, 1).as_deref()), (1, Some("(\\Seen)")));
        let answer = client.ok("FETCH 1 BODY[TEXT]");
        assert!(answer.item(1, "MODSEQ").is_none() && answer.item(1, "FLAGS").is_none());
        let answer = client.ok("UID FETCH 2 (MODSEQ FLAGS BODY[])");
        assert_eq!(flags(&answer, 2).as_deref(), Some("(\\Seen)"));
    }

    fn a_search_by_time_tells_the_highest_found(server) {
        let mut client = in_inbox(server, 5);
        let since = client.ok("ENABLE CONDSTORE").highest_modseq();
        client.ok("STORE 2 FLAGS (\\Seen)");
        client.ok("STORE 4 FLAGS (\\Seen)");
        client.ok("STORE 3 FLAGS (\\Flagged)");
        let times = client.ok("FETCH 1:5 MODSEQ");
        let time = |number| times.modseq(number);
        let modseq = |answer: &Answer| {
            answer.iter().find_map(|r| match r {
                Response::Search { modseq, .. } => *modseq,
                Response::Esearch { items, .. } => items.iter().find(|i| i.0 == "MODSEQ").map(|i| i.1.number()),
                _ => None,
            })
        };
        let mut ask = |query: &str| {
            let answer = client.ok(query);
            (answer.found(), modseq(&answer))
        };
        let later = since + 1;
        assert_eq!(ask(&format!("SEARCH MODSEQ {later}")), (vec![2, 3, 4], Some(time(3))));
        assert_eq!(ask(&format!("SEARCH MODSEQ {later} SEEN")), (vec![2, 4], Some(time(4))));
        assert_eq!(ask(&format!("SEARCH MODSEQ \"/flags/\\\\seen\" all {}", time(4))), (vec![3, 4], Some(time(3))));
        assert_eq!(ask(&format!("UID SEARCH NOT MODSEQ {later}")), (vec![1, 5], Some(time(5))));
        assert_eq!(ask(&format!("SEARCH MODSEQ {}", time(3) + 1)), (vec![], None));
        assert_eq!(ask("SEARCH SEEN"), (vec![2, 4], None));
        assert_eq!(ask(&format!("SEARCH OR MODSEQ {later} 1")), (vec![1, 2, 3, 4], Some(time(3))));
        assert_eq!(ask("SEARCH MODSEQ 0").0, [1, 2, 3, 4, 5]);
        // RFC 4731 section 3.2: of those that are returned.
        assert_eq!(ask(&format!("SEARCH RETURN () MODSEQ {later}")), (vec![2, 3, 4], Some(time(3))));
        assert_eq!(ask(&format!("SEARCH RETURN (MIN) MODSEQ {later}")).1, Some(time(2)));
        assert_eq!(ask(&format!("SEARCH RETURN (MAX) MODSEQ {later}")).1, Some(time(4)));
        assert_eq!(ask(&format!("SEARCH RETURN (MIN MAX) MODSEQ {later}")).1, Some(time(4)));
        assert_eq!(ask(&format!("SEARCH RETURN (MIN COUNT) MODSEQ {later}")).1, Some(time(3)));
        assert_eq!(ask(&format!("SEARCH RETURN (COUNT) MODSEQ {}", time(3) + 1)).1, None);
    }

    fn status_tells_what_select_tells(server) {
        let mut client = in_inbox(server, 2);
        client.ok("CREATE other");
        let told = client.ok("STATUS INBOX (HIGHESTMODSEQ MESSAGES)").status("INBOX", "HIGHESTMODSEQ");
        assert_eq!(Some(client.ok("EXAMINE INBOX").highest_modseq()), told);
        client.ok("COPY 1 other");
        let answer = client.ok("LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))");
        let there = answer.status("other", "HIGHESTMODSEQ");
        assert_eq!(answer.status("INBOX", "HIGHESTMODSEQ"), told);
        assert_eq!(Some(client.ok("SELECT other").highest_modseq()), there);
        assert_eq!(client.ok("FETCH 1 MODSEQ").modseq(1), there.unwrap());
    }

    fn a_renamed_mailbox_keeps_its_times(server) {
        let mut client = server.connect();
        client.ok("CREATE a");
        client.append("a", "", MESSAGE);
        client.append("a", "", MESSAGE);
        let highest = client.ok("SELECT a (CONDSTORE)").highest_modseq();
        client.ok("RENAME a b");
        assert_eq!(client.ok("FETCH 2 MODSEQ").modseq(2), highest);
        let changed = client.ok("STORE 1 FLAGS (\\Seen)").modseq(1);
        assert!(changed > highest);
        assert_eq!(client.ok("SELECT b").highest_modseq(), changed);
        assert_eq!(client.ok(&format!("FETCH 1:* FLAGS (CHANGEDSINCE {highest})")).fetches().len(), 1);
    }

    fn idle_tells_times(server) {
        let mut client = in_inbox(server, 1);
        let before = client.ok("ENABLE CONDSTORE").highest_modseq();
        let idle = client.idle();
        other(server).ok("STORE 1 FLAGS (\\Seen)");
        client.wait_for(|r| matches!(r, Response::Fetch { number: 1, .. }));
        client.done(&idle);
        assert!(client.mirror_of_selected().highest_modseq.unwrap() > before);
    }
}
