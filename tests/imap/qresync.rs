//! QRESYNC (RFC 7162 section 3.2): a client that comes back is told what it missed, and no more.

use crate::on_both_stores;
use crate::support::{Answer, Client, Form, Response, Server};
use arbtest::arbitrary::{Result, Unstructured};
use imapd::testing::storage::{Access, MailStore};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Flags, MailboxName, SystemFlag, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MESSAGE: &[u8] = b"Subject: a\r\n\r\nx\r\n";

fn fill(server: &Server, count: usize) {
    let mut store = server.store();
    append(&mut *store, count);
}

fn append(store: &mut dyn MailStore, count: usize) {
    let mut append = store.append(&MailboxName::inbox()).unwrap();
    for _ in 0..count {
        append.begin(&Flags::new(), None).unwrap();
        append.write(MESSAGE).unwrap();
    }
    append.commit().unwrap();
}

/// A client with QRESYNC and INBOX selected, who knows all UIDs; what SELECT told.
fn connect(server: &Server) -> (Client, u64) {
    let mut client = server.connect();
    assert!(client.ok("ENABLE QRESYNC").contains(&Response::Enabled(vec!["QRESYNC".into()])));
    let highest = client.ok("SELECT INBOX").highest_modseq();
    client.ok("UID FETCH 1:* (FLAGS)");
    (client, highest)
}

/// What another client expunges.
fn expunge(server: &Server, uids: impl IntoIterator<Item = u32>) {
    let mut store = server.store();
    let doomed: UidSet = uids.into_iter().filter_map(Uid::new).collect();
    let mut inbox = store.open(&MailboxName::inbox(), Access::ReadWrite).unwrap();
    assert_eq!(inbox.expunge(&doomed).unwrap().done, doomed);
}

fn mark(server: &Server, uids: impl IntoIterator<Item = u32>, flag: SystemFlag) {
    let mut store = server.store();
    let uids: UidSet = uids.into_iter().filter_map(Uid::new).collect();
    let mut flags = Flags::new();
    flags.insert(flag);
    let mut inbox = store.open(&MailboxName::inbox(), Access::ReadWrite).unwrap();
    inbox.store(&uids, FlagChange::Add, &flags, None).unwrap();
}

fn fetched_uids(answer: &Answer) -> Vec<u32> {
    let uid = |items: &[(String, crate::support::Value)]| items.iter().find(|i| i.0 == "UID").unwrap().1.number();
    answer.fetches().into_iter().map(|(_, items)| uid(items) as u32).collect()
}

on_both_stores! {
    fn without_enable_its_parameters_are_bad_and_the_mailbox_stays(server) {
        fill(server, 1);
        let mut client = server.connect();
        client.ok("SELECT INBOX (CONDSTORE)");
        client.bad("SELECT INBOX (QRESYNC (1 1))");
        client.bad("EXAMINE INBOX (QRESYNC (1 1 1:5))");
        client.bad("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)");
        assert_eq!(client.ok("FETCH 1 FLAGS").fetches().len(), 1);
    }

    fn enable_says_what_it_turned_on(server) {
        for (command, enabled) in [
            ("ENABLE QRESYNC", vec!["QRESYNC"]),
            ("ENABLE QRESYNC CONDSTORE", vec!["CONDSTORE", "QRESYNC"]),
            ("ENABLE CONDSTORE qresync", vec!["CONDSTORE", "QRESYNC"]),
            ("ENABLE CONDSTORE", vec!["CONDSTORE"]),
        ] {
            let enabled = enabled.into_iter().map(String::from).collect();
            assert_eq!(server.connect().ok(command).untagged, [Response::Enabled(enabled)], "{command}");
        }
    }

    fn vanished_takes_the_place_of_expunge_everywhere(server) {
        fill(server, 12);
        let (mut client, _) = connect(server);
        client.ok("CREATE there");
        client.ok("STORE 1,3,12 +FLAGS.SILENT (\\Deleted)");
        let answer = client.ok("UID EXPUNGE 3:4");
        assert_eq!((answer.vanished(Form::Now), answer.code_name()), (vec![3], "HIGHESTMODSEQ"));
        let answer = client.ok("EXPUNGE");
        assert_eq!((answer.vanished(Form::Now), answer.code_name()), (vec![1, 12], "HIGHESTMODSEQ"));
        let answer = client.ok("EXPUNGE");
        assert!(answer.vanished(Form::Now).is_empty() && answer.code.is_none(), "{answer:?}");
        let answer = client.ok("MOVE 1:2 there");
        assert_eq!((answer.vanished(Form::Now), answer.code_name()), (vec![2, 4], "HIGHESTMODSEQ"));
        assert_eq!(client.ok("UID MOVE 5 there").vanished(Form::Now), [5]);
        expunge(server, [6]);
        assert_eq!(client.ok("NOOP").vanished(Form::Now), [6]);
        expunge(server, [7]);
        assert_eq!(client.ok("UID FETCH 1:* (FLAGS)").vanished(Form::Now), [7]);
        let idle = client.idle();
        expunge(server, [8, 10]);
        client.wait_for(|r| *r == Response::Vanished { earlier: false, uids: vec![8, 10] });
        client.wait_for(|r| matches!(r, Response::Condition { code: Some(code), .. } if code.name == "HIGHESTMODSEQ"));
        client.done(&idle);
        assert_eq!(client.mirror_of_selected().uids(), [9, 11]);
        // RFC 7162 section 3.2.8
        client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        let answer = client.ok("CLOSE");
        assert!(answer.untagged.is_empty() && answer.code.is_none(), "{answer:?}");
    }

    fn vanished_is_not_told_where_numbers_could_be_confused(server) {
        fill(server, 5);
        let (mut client, _) = connect(server);
        let mut gone = 1;
        for command in ["FETCH 5 FLAGS", "STORE 5 +FLAGS (\\Seen)", "SEARCH ALL", "UID SEARCH 1:5", "UID SEARCH NOT 1"] {
            if gone == 1 {
                expunge(server, [1]);
                gone = 0;
            }
            assert!(client.ok(command).vanished(Form::Now).is_empty(), "{command}");
        }
        assert_eq!(client.ok("UID SEARCH UID 1:5").vanished(Form::Now), [1]);
    }

    fn a_message_that_came_and_went_unseen_never_vanishes(server) {
        fill(server, 2);
        let (mut client, _) = connect(server);
        fill(server, 2);
        expunge(server, [3]);
        let answer = client.ok("NOOP");
        assert!(answer.contains(&Response::Exists(3)) && answer.vanished(Form::Now).is_empty(), "{answer:?}");
        // This one was announced, though its UID was not.
        expunge(server, [4]);
        assert_eq!(client.ok("NOOP").vanished(Form::Now), [4]);
        assert_eq!(client.mirror_of_selected().uids(), [1, 2]);
    }

    fn every_flag_change_has_the_uid(server) {
        fill(server, 2);
        let (mut client, _) = connect(server);
        mark(server, [2], SystemFlag::Flagged);
        // The client itself looks for UID and MODSEQ.
        assert_eq!(fetched_uids(&client.ok("NOOP")), [2]);
        assert_eq!(fetched_uids(&client.ok("STORE 1:2 +FLAGS (\\Seen)")), [1, 2]);
        assert_eq!(fetched_uids(&client.ok("STORE 2 -FLAGS.SILENT (\\Seen)")), [2]);
    }

    fn with_another_uidvalidity_nothing_is_told(server) {
        fill(server, 3);
        let (mut client, _) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        expunge(server, [1]);
        mark(server, [2], SystemFlag::Seen);
        client.ok("UNSELECT");
        let other = if validity == 1 { 2 } else { validity - 1 };
        let answer = client.ok(&format!("SELECT INBOX (QRESYNC ({other} 1 1:3 (1:3 1:3)))"));
        assert!(answer.fetches().is_empty() && answer.vanished(Form::Earlier).is_empty(), "{answer:?}");
        assert_eq!(answer.code("UIDVALIDITY"), Some(validity.to_string().as_str()));
    }

    fn a_mailbox_that_is_empty_has_nothing_to_tell(server) {
        let (mut client, highest) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        for known in ["", " 1:5", " (1 1)", " 1:5 (1:5 1:5)"] {
            let answer = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest}{known}))"));
            assert!(answer.fetches().is_empty() && answer.vanished(Form::Earlier).is_empty(), "{answer:?}");
        }
    }
}

on_both_stores! {
    fn select_tells_what_was_missed_in_this_order(server) {
        fill(server, 6);
        let (mut client, highest) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        expunge(server, [2, 5]);
        mark(server, [4], SystemFlag::Seen);
        fill(server, 1);
        client.expect_tag("x", "SELECT");
        client.send_raw(format!("x SELECT INBOX (QRESYNC ({validity} {highest}))\r\n").as_bytes());
        let answer = client.finish("x");
        let place = |wanted: &dyn Fn(&Response) -> bool| answer.iter().position(wanted).unwrap();
        let code = |name: &'static str| {
            place(&move |r: &Response| matches!(r, Response::Condition { code: Some(code), .. } if code.name == name))
        };
        let order = [
            code("CLOSED"),
            place(&|r| *r == Response::Exists(5)),
            place(&|r| *r == Response::Vanished { earlier: true, uids: vec![2, 5] }),
            place(&|r| matches!(r, Response::Fetch { number: 3, .. })),
            place(&|r| matches!(r, Response::Fetch { number: 5, .. })),
        ];
        assert!(order.is_sorted() && code("HIGHESTMODSEQ") < order[2], "{answer:?}");
        assert_eq!(fetched_uids(&answer), [4, 7]);
        assert_eq!(answer.code_name(), "READ-WRITE");
        assert!(answer.highest_modseq() > highest);
        let again = client.ok(&format!("EXAMINE INBOX (QRESYNC ({validity} {}))", answer.highest_modseq()));
        assert!(again.fetches().is_empty() && again.vanished(Form::Earlier).is_empty(), "{again:?}");
    }

    fn only_of_known_uids_something_is_told(server) {
        fill(server, 10);
        let (mut client, highest) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        expunge(server, [2, 5, 9]);
        mark(server, [4, 10], SystemFlag::Seen);
        let answer = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest} 4:7,9))"));
        assert_eq!((answer.vanished(Form::Earlier), fetched_uids(&answer)), (vec![5, 9], vec![4]));
    }

    fn what_matches_by_number_is_known_to_be_there(server) {
        fill(server, 12);
        let (mut client, highest) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        expunge(server, [6, 9]);
        let mut vanished = |known: &str| {
            client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest} {known}))")).vanished(Form::Earlier)
        };
        assert_eq!(vanished("1:12"), [6, 9]);
        // As the client had them: the first five still are so.
        assert_eq!(vanished("1:12 (1,5,12 1,5,12)"), [6, 9]);
        assert_eq!(vanished("1:12 (1:12 1:12)"), [6, 9]);
        // Of a client that heard of 6 but not of 9: message 7 is UID 8.
        assert_eq!(vanished("1:12 (3,7 3,8)"), [9]);
        assert_eq!(vanished("(7 8)"), [9]);
        assert_eq!(vanished("(10 12)"), [0; 0]);
        assert_eq!(vanished("(1:4294967295 1:4294967295)"), [6, 9]);
    }

    fn a_client_older_than_the_history_is_told_of_all_that_is_not_there(server) {
        fill(server, 2 * imapd::testing::limits::EXPUNGED_RANGES + 3);
        let (mut client, highest) = connect(server);
        let validity = client.mirror_of_selected().uid_validity.unwrap();
        let last = *client.mirror_of_selected().uids().last().unwrap();
        client.ok("UNSELECT");
        expunge(server, [1]);
        let one = server.connect().ok("EXAMINE INBOX").highest_modseq();
        expunge(server, (3..last).step_by(2));
        let gone: Vec<u32> = (1..last).step_by(2).collect();
        let answer = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest}))"));
        assert_eq!(answer.vanished(Form::Earlier), gone);
        let answer = client.ok(&format!("UID FETCH 1:* (UID) (CHANGEDSINCE {one} VANISHED)"));
        assert!([&gone[..], &gone[1..]].contains(&&answer.vanished(Form::Earlier)[..]));
        let now = client.ok("NOOP");
        assert!(now.untagged.is_empty());
        let now = client.mirror_of_selected().highest_modseq.unwrap();
        let answer = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {now}))"));
        assert!(answer.vanished(Form::Earlier).is_empty());
    }

    fn uid_fetch_tells_what_vanished_before_what_changed(server) {
        fill(server, 8);
        let (mut client, highest) = connect(server);
        expunge(server, [3, 8]);
        mark(server, [5], SystemFlag::Seen);
        client.ok("NOOP");
        let answer = client.ok(&format!("UID FETCH 2:6 (FLAGS) (CHANGEDSINCE {highest} VANISHED)"));
        assert_eq!((answer.vanished(Form::Earlier), fetched_uids(&answer)), (vec![3], vec![5]));
        assert!(matches!(answer[0], Response::Vanished { earlier: true, .. }), "{answer:?}");
        // `*` is beyond the last that is left: what vanished at the end is told too.
        let answer = client.ok(&format!("UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE {highest})"));
        assert_eq!(answer.vanished(Form::Earlier), [3, 8]);
        let answer = client.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {highest})"));
        assert!(answer.vanished(Form::Earlier).is_empty());
    }

    fn what_the_client_still_counts_vanishes_now_and_not_earlier(server) {
        fill(server, 3);
        let (mut client, highest) = connect(server);
        expunge(server, [2]);
        client.ok("FETCH 1 FLAGS");
        let answer = client.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {highest} VANISHED)"));
        assert_eq!((answer.vanished(Form::Earlier), answer.vanished(Form::Now)), (vec![], vec![2]));
    }

    fn a_client_that_was_away_ends_where_a_full_download_ends(server) {
        arbtest::arbtest(|random| {
            let server = match server.root() {
                Some(_) => Server::maildir(),
                None => Server::memory(),
            };
            come_and_go(&server, random)
        })
        .size_min(4096)
        .budget_ms(4000);
    }
}

/// What a store may lose while nobody looks, since it can make it anew: names of files and directories below the mail directory.
const MAY_BE_LOST: &[&str] = &["imapd-index", "imapd-index-lock", "imapd-index-state"];

/// The server starts anew, and may have lost what it may lose.
fn restart(server: &Server, random: &mut Unstructured<'_>) -> Result<()> {
    let Some(root) = server.root() else { return Ok(()) };
    for name in MAY_BE_LOST {
        if random.ratio(1, 3)? {
            lose(&root, name);
        }
    }
    Ok(())
}

fn lose(directory: &Path, name: &str) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        match (entry.file_name() == name, path.is_dir()) {
            (true, true) => std::fs::remove_dir_all(&path).unwrap(),
            (true, false) => std::fs::remove_file(&path).unwrap(),
            (false, true) => lose(&path, name),
            (false, false) => {}
        }
    }
}

/// What a client keeps of INBOX between two visits.
#[derive(Default)]
struct Cache {
    uid_validity: u32,
    highest_modseq: u64,
    messages: BTreeMap<u32, BTreeSet<String>>,
    /// Numbers and UIDs as they were.
    places: Vec<(u32, u32)>,
}

type Contents = BTreeMap<u32, BTreeSet<String>>;

/// UIDs and flags in an answer.
fn contents(answer: &Answer) -> Contents {
    let value = |items: &[(String, crate::support::Value)], name: &str| {
        items.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    let message = |(_, items): (u32, &[(String, crate::support::Value)])| {
        let flags =
            value(items, "FLAGS")?.list().iter().map(|flag| flag.text()).filter(|flag| flag != "\\Recent").collect();
        Some((value(items, "UID")?.number() as u32, flags))
    };
    answer.fetches().into_iter().filter_map(message).collect()
}

impl Cache {
    /// What the client knows at the end of a visit, however it ended.
    fn of(client: &Client) -> Self {
        let mirror = client.mirror_of_selected();
        let places: Vec<_> = (1..).zip(&mirror.messages).filter_map(|(n, m)| Some((n, m.uid?))).collect();
        // What is new from the first that it has not fetched on.
        let messages = mirror.messages.iter().map_while(|m| {
            let flags = m.flags.clone()?.into_iter().filter(|flag| flag != "\\Recent").collect();
            Some((m.uid?, flags))
        });
        Self {
            uid_validity: mirror.uid_validity.unwrap(),
            highest_modseq: mirror.highest_modseq.unwrap(),
            messages: messages.collect(),
            places,
        }
    }

    fn take_in(&mut self, answer: &Answer) {
        for uid in answer.vanished(Form::Earlier) {
            self.messages.remove(&uid);
        }
        self.messages.extend(contents(answer));
    }

    /// Comes back in one of the ways that there are.
    fn resynchronize(&mut self, server: &Server, random: &mut Unstructured<'_>) -> Result<Client> {
        let mut client = server.connect();
        client.ok("ENABLE QRESYNC");
        let last = self.messages.keys().next_back().copied().unwrap_or(0);
        let Self { uid_validity, highest_modseq, .. } = *self;
        if random.ratio(1, 4)? && last > 0 {
            client.ok("SELECT INBOX");
            let fetch = format!("UID FETCH 1:{last} (FLAGS) (CHANGEDSINCE {highest_modseq} VANISHED)");
            let answer = client.ok(&fetch);
            self.take_in(&answer);
        } else {
            let known = if random.arbitrary()? && last > 0 { format!(" 1:{last}") } else { String::new() };
            let sample: Vec<_> = self.places.iter().filter(|_| random.ratio(1, 3).unwrap_or(false)).collect();
            let set = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let (numbers, uids) = sample.into_iter().copied().unzip();
            let (numbers, uids): (String, String) = (set(numbers), set(uids));
            let matches = if numbers.is_empty() { String::new() } else { format!(" ({numbers} {uids})") };
            let select = format!("SELECT INBOX (QRESYNC ({uid_validity} {highest_modseq}{known}{matches}))");
            let answer = client.ok(&select);
            self.take_in(&answer);
        }
        // New messages, by RFC 7162 section 6 a step of its own.
        let answer = client.ok(&format!("UID FETCH {}:* (FLAGS)", last + 1));
        self.messages.extend(contents(&answer));
        Ok(client)
    }
}

/// Something that others do to INBOX.
fn others_act(server: &Server, random: &mut Unstructured<'_>) -> Result<()> {
    let mut store = server.store();
    if random.ratio(1, 4)? {
        append(&mut *store, random.int_in_range(1..=3)?);
        return Ok(());
    }
    let mut inbox = store.open(&MailboxName::inbox(), Access::ReadWrite).unwrap();
    let all: Vec<Uid> = inbox.uids().iter().collect();
    let mut some = UidSet::new();
    for uid in all {
        if random.ratio(1, 4)? {
            some.insert(uid);
        }
    }
    if random.ratio(1, 3)? {
        inbox.expunge(&some).unwrap();
        return Ok(());
    }
    let mut flags = Flags::new();
    flags.insert(*random.choose(&SystemFlag::ALL)?);
    let change = *random.choose(&[FlagChange::Add, FlagChange::Remove, FlagChange::Replace])?;
    inbox.store(&some, change, &flags, None).unwrap();
    Ok(())
}

/// Something that the client does; it may have no messages.
fn client_command(client: &Client, random: &mut Unstructured<'_>) -> Result<String> {
    let mirror = client.mirror_of_selected();
    let count = mirror.messages.len() as u32;
    let since = mirror.highest_modseq.unwrap();
    if count == 0 {
        return Ok("NOOP".into());
    }
    let number = random.int_in_range(1..=count)?;
    Ok(match random.int_in_range(0..=12)? {
        0 => "NOOP".into(),
        1 => format!("STORE {number} +FLAGS (\\Seen)"),
        2 => format!("STORE 1:{number} -FLAGS.SILENT (\\Seen \\Flagged)"),
        3 => format!("STORE {number} (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)"),
        4 => format!("FETCH {number} BODY[]"),
        5 => "EXPUNGE".into(),
        6 => "UID FETCH 1:* (FLAGS MODSEQ)".into(),
        7 => format!("UID STORE 1:* (UNCHANGEDSINCE {since}) -FLAGS (\\Deleted $a)"),
        8 => format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)"),
        9 => format!("COPY {number} INBOX"),
        10 => format!("MOVE {number} INBOX"),
        11 => format!("STORE {number} FLAGS ($a \\Deleted)"),
        _ => format!("SEARCH MODSEQ {since}"),
    })
}

/// What the client knows to have stored where the server, asked to be silent, tells only the time of it.
fn apply_silent(client: &mut Client, command: &str, answer: &Answer) {
    let Some((words, flags)) = command.split_once("FLAGS.SILENT (") else { return };
    let mirror = client.selected.as_mut().unwrap();
    for (number, items) in answer.fetches() {
        if items.iter().any(|(name, _)| name == "FLAGS") {
            continue;
        }
        // Of one that has just arrived the client knows no flags yet.
        let Some(known) = &mut mirror.messages[number as usize - 1].flags else { continue };
        for flag in flags.trim_end_matches(')').split(' ') {
            known.retain(|known| known != flag);
            if words.ends_with('+') {
                known.push(flag.to_owned());
            }
        }
    }
}

fn come_and_go(server: &Server, random: &mut Unstructured<'_>) -> Result<()> {
    append(&mut *server.store(), random.int_in_range(0..=12)?);
    let (client, _) = connect(server);
    let mut cache = Cache::of(&client);
    drop(client);
    for _ in 0..random.int_in_range(1..=4)? {
        for _ in 0..random.int_in_range(0..=6)? {
            others_act(server, random)?;
        }
        restart(server, random)?;
        let mut client = cache.resynchronize(server, random)?;
        let mut fresh = server.connect();
        fresh.ok("EXAMINE INBOX");
        let full = contents(&fresh.ok("UID FETCH 1:* (FLAGS)"));
        assert_eq!(cache.messages, full);
        client.ok("UID FETCH 1:* (FLAGS)");
        for _ in 0..random.int_in_range(0..=5)? {
            if random.arbitrary()? {
                others_act(server, random)?;
            }
            let command = client_command(&client, random)?;
            let answer = client.run(&command);
            apply_silent(&mut client, &command, &answer);
        }
        cache = Cache::of(&client);
        // The connection may break while a command is on its way.
        if random.arbitrary()? {
            let command = client_command(&client, random)?;
            client.send(&command);
        }
    }
    Ok(())
}
