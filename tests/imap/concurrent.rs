//! Three clients at once on one mailbox: they append, flag, fetch and expunge by sequence numbers, and each number always means the message that
//! the client thinks it means.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::session::Server;
use std::collections::BTreeMap;
use std::sync::Mutex;

const CLIENTS: u32 = 3;
const COMMANDS: u32 = 150;

/// The subject of each message by its UID. Whoever learns of one enters it; nobody may learn anything else later.
type Subjects = Mutex<BTreeMap<u32, String>>;

on_both_stores! {
    fn three_clients_at_once_never_mistake_a_number(server) {
        let subjects = Subjects::default();
        let mut clients: Vec<Client> = std::thread::scope(|scope| {
            let working: Vec<_> = (1..=CLIENTS).map(|n| scope.spawn({
                let subjects = &subjects;
                move || work(server, n, subjects)
            })).collect();
            working.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let truth: Vec<BTreeMap<u32, (u32, Vec<String>)>> = clients.iter_mut().map(|client| {
            client.ok("NOOP");
            let known = client.mirror_of_selected().clone();
            let all = client.ok("UID FETCH 1:* (UID FLAGS)");
            assert_eq!(all.fetches().len(), known.messages.len());
            let now = client.mirror_of_selected();
            now.messages.iter().zip(1..).map(|(message, number)| {
                let mut flags = message.flags.clone().unwrap();
                flags.retain(|flag| flag != "\\Recent");
                (message.uid.unwrap(), (number, flags))
            }).collect()
        }).collect();
        assert!(!truth[0].is_empty(), "everything was expunged: nothing was shown");
        assert!(truth.windows(2).all(|two| two[0] == two[1]), "{truth:#?}");
        let gone = subjects.lock().unwrap().keys().filter(|uid| !truth[0].contains_key(uid)).count();
        assert!(gone > 10, "only {gone} messages were expunged: little was shown");
    }
}

fn work(server: &Server, session: u32, subjects: &Subjects) -> Client {
    let mut client = server.connect();
    client.ok("SELECT INBOX");
    let mut dice = session.wrapping_mul(2_654_435_761);
    let mut roll = |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        dice as usize % sides
    };
    for turn in 0..COMMANDS {
        let exists = client.mirror_of_selected().messages.len();
        let number = if exists == 0 { 0 } else { roll(exists) + 1 };
        match roll(8) {
            0..3 => {
                let subject = format!("message {turn} of {session}");
                let said = client.append("INBOX", "", format!("Subject: {subject}\r\n\r\nx\r\n").as_bytes());
                let uid = said.code("APPENDUID").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
                learn(subjects, uid, &subject);
            }
            _ if number == 0 => drop(client.ok("NOOP")),
            3 => fetch(&mut client, number, subjects),
            4 => or_gone(client.run(&format!("STORE {number} +FLAGS (\\Flagged)"))),
            5 => or_gone(client.run(&format!("STORE {number} +FLAGS (\\Deleted)"))),
            6 => drop(client.ok("EXPUNGE")),
            _ => {
                let tag = client.idle();
                client.done(&tag);
                let exists = client.mirror_of_selected().messages.len();
                fetch(&mut client, number.min(exists), subjects);
            }
        }
    }
    client
}

/// What the number stands for must be what its UID stands for, to this client and to all others.
fn fetch(client: &mut Client, number: usize, subjects: &Subjects) {
    if number == 0 {
        return;
    }
    let known = client.mirror_of_selected().messages[number - 1].uid;
    let said = client.run(&format!("FETCH {number} (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"));
    if let Some(text) = said.item(number as u32, "BODY[HEADER.FIELDS (SUBJECT)]") {
        let uid = said.item(number as u32, "UID").unwrap().number() as u32;
        assert!(known.is_none_or(|known| known == uid));
        learn(subjects, uid, text.text().trim().strip_prefix("Subject: ").unwrap());
    }
    or_gone(said);
}

fn learn(subjects: &Subjects, uid: u32, subject: &str) {
    let mut subjects = subjects.lock().unwrap();
    let known = subjects.entry(uid).or_insert_with(|| subject.to_owned());
    assert_eq!(known, subject, "UID {uid}");
}

/// A message that another client has expunged is the only excuse.
fn or_gone(said: Answer) {
    assert!(said.condition == "OK" || said.condition == "NO" && said.code_name() == "EXPUNGEISSUED", "{said:?}");
}
