//! The rows of the table: what each does, how much of it a round measures, and what it has to reach.

use crate::bare;
use crate::client::{Client, Transport};
use crate::mail::{self, RARE_WORD, SENDER, SUBJECT_WORD, Sizes};
use crate::processes;
use crate::server::{Forget, Kind, LARGE, MESSAGES_OF_USER, Mail, SMALL, Site, USERS, WORK};
use crate::{Outcome, Sample};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How a measured value is shown. Values are seconds for one of the unit, so that less is better, but for the last three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Time,
    /// So many in a second.
    PerSecond,
    /// Millions of octets in a second; the value is seconds for an octet.
    Megabytes,
    /// The value is octets.
    Memory,
    /// The value is processor seconds for a second, of all processes.
    Processor,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At most this part of the other server's value.
    Part(f64),
    /// At most this value.
    Below(f64),
    /// Only to be known.
    None,
}

pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: Unit,
    pub goal: Goal,
    /// Beside which Dovecot.
    pub beside: Kind,
    /// What a server has to offer for this.
    pub capability: Option<&'static str>,
    /// What takes long and varies little is not done more often than this.
    pub most_rounds: usize,
    /// Brings each server into the state that is measured, once before the rounds.
    pub warm: Option<fn(&Site, &Mail) -> Outcome<()>>,
    /// One round.
    pub run: fn(&Site, &Mail) -> Outcome<Sample>,
    /// The calls alone that no server can do without, in the unit of the row.
    pub bare: Option<fn(&Site, &Mail) -> Outcome<f64>>,
}

/// A row as most are; the others change some of it.
const ROW: Row = Row {
    name: "",
    what: "",
    unit: Unit::Time,
    goal: Goal::None,
    beside: Kind::Dovecot,
    capability: None,
    most_rounds: usize::MAX,
    warm: None,
    run: |_, _| Err("a row without work".into()),
    bare: None,
};

const MIB: f64 = 1024.0 * 1024.0;
const ENVELOPE: &str = "UID FETCH 1:* (ENVELOPE RFC822.SIZE INTERNALDATE)";
const ENVELOPE_ITEMS: &[&str] = &["ENVELOPE (", "RFC822.SIZE ", "INTERNALDATE \""];
const STRUCTURE: &str = "UID FETCH 1:* (BODYSTRUCTURE)";
const STRUCTURE_ITEMS: &[&str] = &["BODYSTRUCTURE ("];
const FIELDS: &str = "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID REFERENCES)])";
const FIELDS_ITEMS: &[&str] = &["BODY[HEADER.FIELDS ("];

/// In the order in which they run: what changes the large INBOX comes last.
pub const ROWS: &[Row] = &[
    Row {
        name: "login",
        what: "connect, LOGIN, LOGOUT",
        unit: Unit::PerSecond,
        goal: Goal::Part(0.1),
        run: |site, _| logins(site, Transport::Plain),
        ..ROW
    },
    Row {
        name: "login-tls",
        what: "the same, TLS, whole handshakes",
        unit: Unit::PerSecond,
        goal: Goal::Part(0.1),
        run: |site, _| logins(site, Transport::Tls),
        ..ROW
    },
    Row {
        name: "login-reused",
        what: "the same, plain, processes reused there",
        unit: Unit::PerSecond,
        goal: Goal::Part(1.0),
        beside: Kind::DovecotReusing,
        run: |site, _| logins(site, Transport::Plain),
        ..ROW
    },
    Row {
        name: "login-tls-reused",
        what: "the same, TLS, processes reused there",
        unit: Unit::PerSecond,
        goal: Goal::Part(1.0),
        beside: Kind::DovecotReusing,
        run: |site, _| logins(site, Transport::Tls),
        ..ROW
    },
    Row {
        name: "select",
        what: "SELECT, indexed",
        goal: Goal::Part(0.5),
        warm: Some(|site, _| {
            site.settle()?;
            site.selected("INBOX", site.inbox())?.logout()
        }),
        run: select,
        ..ROW
    },
    Row {
        name: "select-first",
        what: "first SELECT, never seen before",
        goal: Goal::Part(0.5),
        run: select_first,
        ..ROW
    },
    Row {
        name: "flags",
        what: "UID FETCH 1:* (UID FLAGS)",
        goal: Goal::Part(1.0 / 3.0),
        run: |site, _| fetch(site, "UID FETCH 1:* (UID FLAGS)", &["UID ", "FLAGS ("]),
        ..ROW
    },
    Row {
        name: "envelope-first",
        what: "ENVELOPE, size, date, nothing cached",
        goal: Goal::Part(0.5),
        most_rounds: 3,
        run: |site, _| fetch_first(site, ENVELOPE, ENVELOPE_ITEMS),
        ..ROW
    },
    Row {
        name: "envelope",
        what: "the same, cached",
        goal: Goal::Part(0.2),
        warm: Some(|site, _| fetch(site, ENVELOPE, ENVELOPE_ITEMS).map(drop)),
        run: |site, _| fetch(site, ENVELOPE, ENVELOPE_ITEMS),
        ..ROW
    },
    Row {
        name: "structure-first",
        what: "BODYSTRUCTURE, nothing cached",
        goal: Goal::Part(0.5),
        most_rounds: 3,
        run: |site, _| fetch_first(site, STRUCTURE, STRUCTURE_ITEMS),
        ..ROW
    },
    Row {
        name: "structure",
        what: "the same, cached",
        goal: Goal::Part(1.0 / 3.0),
        warm: Some(|site, _| fetch(site, STRUCTURE, STRUCTURE_ITEMS).map(drop)),
        run: |site, _| fetch(site, STRUCTURE, STRUCTURE_ITEMS),
        ..ROW
    },
    Row {
        name: "fields-first",
        what: "six header fields, nothing cached",
        goal: Goal::Part(0.5),
        most_rounds: 3,
        run: |site, _| fetch_first(site, FIELDS, FIELDS_ITEMS),
        ..ROW
    },
    Row {
        name: "fields",
        what: "the same, cached",
        goal: Goal::Part(1.0 / 3.0),
        warm: Some(|site, _| fetch(site, FIELDS, FIELDS_ITEMS).map(drop)),
        run: |site, _| fetch(site, FIELDS, FIELDS_ITEMS),
        ..ROW
    },
    Row {
        name: "bodies-4k",
        what: "bodies of 4 KB, plain",
        unit: Unit::Megabytes,
        goal: Goal::Part(1.0 / 3.0),
        run: |site, mail| bodies(site, SMALL, &mail.small, Transport::Plain),
        ..ROW
    },
    Row {
        name: "bodies-4k-tls",
        what: "bodies of 4 KB, TLS",
        unit: Unit::Megabytes,
        goal: Goal::Part(1.0 / 3.0),
        run: |site, mail| bodies(site, SMALL, &mail.small, Transport::Tls),
        ..ROW
    },
    Row {
        name: "bodies-25m",
        what: "bodies of 25 MB, plain",
        unit: Unit::Megabytes,
        goal: Goal::Part(0.5),
        run: |site, mail| bodies(site, LARGE, &mail.large, Transport::Plain),
        ..ROW
    },
    Row {
        name: "bodies-25m-tls",
        what: "bodies of 25 MB, TLS",
        unit: Unit::Megabytes,
        goal: Goal::Part(0.25),
        run: |site, mail| bodies(site, LARGE, &mail.large, Transport::Tls),
        ..ROW
    },
    Row {
        name: "pieces",
        what: "25 MB in pieces of 64 KB",
        unit: Unit::Megabytes,
        goal: Goal::Part(1.0 / 3.0),
        run: pieces,
        ..ROW
    },
    Row {
        name: "append",
        what: "APPEND 4 KB, one by one",
        unit: Unit::PerSecond,
        goal: Goal::Part(1.0 / 1.5),
        run: |site, _| append(site, 200, 1, 4096),
        bare: Some(|site, _| bare::writes(site, 200, 1, 4096)),
        ..ROW
    },
    Row {
        name: "append-100",
        what: "MULTIAPPEND of 100, 4 KB each",
        unit: Unit::PerSecond,
        goal: Goal::Part(1.0 / 3.0),
        capability: Some("MULTIAPPEND"),
        run: |site, _| append(site, 10, 100, 4096),
        bare: Some(|site, _| bare::writes(site, 10, 100, 4096)),
        ..ROW
    },
    Row {
        name: "append-10m",
        what: "APPEND 10 MB",
        unit: Unit::Megabytes,
        goal: Goal::Part(0.5),
        run: |site, _| {
            const OCTETS: usize = 10 << 20;
            append(site, 5, 1, OCTETS).map(|sample| Sample { value: sample.value / OCTETS as f64, ..sample })
        },
        bare: Some(|site, _| Ok(bare::writes(site, 5, 1, 10 << 20)? / f64::from(10 << 20))),
        ..ROW
    },
    Row {
        name: "copy",
        what: "COPY of 10,000",
        goal: Goal::Part(1.0 / 3.0),
        run: copy,
        bare: Some(bare::copies),
        ..ROW
    },
    Row {
        name: "move",
        what: "MOVE of 10,000",
        goal: Goal::Part(1.0 / 3.0),
        capability: Some("MOVE"),
        run: move_messages,
        bare: Some(bare::moves),
        ..ROW
    },
    Row {
        name: "store",
        what: "STORE of 10,000",
        goal: Goal::Part(1.0 / 3.0),
        run: store,
        bare: Some(bare::renames),
        ..ROW
    },
    Row {
        name: "expunge",
        what: "EXPUNGE of 10,000",
        goal: Goal::Part(1.0 / 3.0),
        run: expunge,
        bare: Some(bare::removals),
        ..ROW
    },
    Row {
        name: "search-subject",
        what: "SEARCH SUBJECT, cached",
        goal: Goal::Part(0.2),
        warm: Some(|site, _| search(site, &by_subject()).map(drop)),
        run: |site, _| search(site, &by_subject()),
        ..ROW
    },
    Row {
        name: "search-from",
        what: "SEARCH FROM, cached",
        goal: Goal::Part(0.2),
        warm: Some(|site, _| search(site, &by_sender()).map(drop)),
        run: |site, _| search(site, &by_sender()),
        ..ROW
    },
    Row {
        name: "search-since",
        what: "SEARCH SINCE, cached",
        goal: Goal::Part(0.2),
        warm: Some(|site, mail| search(site, &since(mail)).map(drop)),
        run: |site, mail| search(site, &since(mail)),
        ..ROW
    },
    Row {
        name: "search-body",
        what: "SEARCH BODY over 10,000",
        goal: Goal::Part(0.2),
        run: |site, mail| search(site, &format!("SEARCH 1:{} BODY {RARE_WORD}", mail.messages.min(10_000))),
        ..ROW
    },
    Row {
        name: "search-text",
        what: "SEARCH TEXT over 10,000",
        goal: Goal::Part(0.2),
        run: |site, mail| search(site, &format!("SEARCH 1:{} TEXT {RARE_WORD}", mail.messages.min(10_000))),
        ..ROW
    },
    Row {
        name: "sort",
        what: "SORT (REVERSE DATE), cached",
        goal: Goal::Part(1.0 / 3.0),
        capability: Some("SORT"),
        warm: Some(|site, _| search(site, SORT).map(drop)),
        run: |site, _| all(search(site, SORT)?, site),
        ..ROW
    },
    Row {
        name: "thread",
        what: "THREAD REFERENCES, cached",
        goal: Goal::Part(1.0 / 3.0),
        capability: Some("THREAD=REFERENCES"),
        warm: Some(|site, _| search(site, THREAD).map(drop)),
        run: |site, _| all(search(site, THREAD)?, site),
        ..ROW
    },
    Row { name: "noop", what: "NOOP, round trip", goal: Goal::Part(1.0), run: noop, ..ROW },
    Row {
        name: "noop-pipelined",
        what: "NOOP, pipelined",
        unit: Unit::PerSecond,
        goal: Goal::Part(1.0 / 3.0),
        run: noop_pipelined,
        ..ROW
    },
    Row {
        name: "mixed",
        what: "mixed commands, 16 connections, 50 users",
        unit: Unit::PerSecond,
        goal: Goal::Part(0.5),
        run: mixed,
        ..ROW
    },
    Row {
        name: "idle-memory",
        what: "private memory of a session in IDLE, plain",
        unit: Unit::Memory,
        goal: Goal::Below(0.8 * MIB),
        run: |site, _| idle_memory(site, Some(0), Transport::Plain),
        ..ROW
    },
    Row {
        name: "idle-memory-tls",
        what: "the same, TLS",
        unit: Unit::Memory,
        goal: Goal::Below(0.8 * MIB),
        run: |site, _| idle_memory(site, Some(0), Transport::Tls),
        ..ROW
    },
    Row {
        name: "idle-memory-large",
        what: "the same, plain, the large INBOX",
        unit: Unit::Memory,
        goal: Goal::Below(0.8 * MIB),
        run: |site, _| idle_memory(site, None, Transport::Plain),
        ..ROW
    },
    Row {
        name: "memory",
        what: "private memory after SELECT, FETCH FLAGS, SEARCH",
        unit: Unit::Memory,
        run: |site, _| memory_of_work(site, processes::private_dirty),
        ..ROW
    },
    Row {
        name: "memory-peak",
        what: "peak of that session, shared pages counted",
        unit: Unit::Memory,
        run: |site, _| memory_of_work(site, processes::peak),
        ..ROW
    },
    Row {
        name: "idle-2000",
        what: "2,000 sessions in IDLE: processor time",
        unit: Unit::Processor,
        goal: Goal::Below(0.01),
        most_rounds: 1,
        run: idle_many,
        ..ROW
    },
    Row { name: "idle-news", what: "new mail to a client in IDLE", goal: Goal::Below(0.020), run: idle_news, ..ROW },
    Row {
        name: "select-delivered",
        what: "SELECT after 10 deliveries",
        goal: Goal::Part(0.1),
        run: select_delivered,
        ..ROW
    },
];

/// What `--million` runs: where a mailbox's size is what matters.
pub const MILLION: &[&str] =
    &["select", "select-first", "flags", "search-subject", "idle-news", "select-delivered", "memory", "memory-peak"];

const SORT: &str = "SORT (REVERSE DATE) UTF-8 ALL";
const THREAD: &str = "THREAD REFERENCES UTF-8 ALL";

fn by_subject() -> String {
    format!("UID SEARCH SUBJECT {SUBJECT_WORD}")
}

fn by_sender() -> String {
    format!("UID SEARCH FROM {SENDER}")
}

/// The last tenth, by INTERNALDATE.
fn since(mail: &Mail) -> String {
    format!("UID SEARCH SINCE {}", mail::imap_date(mail::time(mail.messages * 9 / 10)))
}

/// Seconds for one of so many.
fn each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_secs_f64() / count as f64
}

fn logins(site: &Site, transport: Transport) -> Outcome<Sample> {
    const COUNT: usize = 50;
    let start = Instant::now();
    for _ in 0..COUNT {
        site.login(Some(0), transport)?.logout()?;
    }
    Ok(Sample::of(each(start, COUNT)))
}

fn select(site: &Site, _: &Mail) -> Outcome<Sample> {
    const COUNT: usize = 10;
    let mut seconds = 0.0;
    for _ in 0..COUNT {
        let mut client = site.session()?;
        seconds += timed(|| site.select(&mut client, "INBOX", site.inbox()))?;
        client.logout()?;
    }
    Ok(Sample::of(seconds / COUNT as f64))
}

/// Now, when all that was changed before is on the disk: it would be written while something else is timed.
fn at_rest_from_now() -> Instant {
    nix::unistd::sync();
    Instant::now()
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let start = at_rest_from_now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn select_first(site: &Site, _: &Mail) -> Outcome<Sample> {
    site.forget(Forget::All)?;
    let mut client = site.session()?;
    let sample = Sample::of(timed(|| site.select(&mut client, "INBOX", site.inbox()))?);
    client.logout()?;
    Ok(sample)
}

fn select_delivered(site: &Site, _: &Mail) -> Outcome<Sample> {
    site.settle()?;
    site.selected("INBOX", site.inbox())?.logout()?;
    site.deliver(10)?;
    let mut client = site.session()?;
    let sample = Sample::of(timed(|| site.select(&mut client, "INBOX", site.inbox()))?);
    client.logout()?;
    Ok(sample)
}

fn idle_news(site: &Site, _: &Mail) -> Outcome<Sample> {
    const COUNT: usize = 3;
    let mut client = site.selected("INBOX", site.inbox())?;
    let mut seconds = 0.0;
    for _ in 0..COUNT {
        client.idle()?;
        // A message that finds the server at rest.
        site.settle()?;
        let start = Instant::now();
        site.deliver(1)?;
        client.wait_for(format!("* {} EXISTS", site.inbox()).as_bytes())?;
        seconds += start.elapsed().as_secs_f64();
        client.done()?;
    }
    client.logout()?;
    Ok(Sample::of(seconds / COUNT as f64))
}

/// Fetches something of each message of the large INBOX; each must come with all that was asked for.
fn fetch(site: &Site, command: &str, items: &[&str]) -> Outcome<Sample> {
    let messages = site.inbox();
    let mut client = site.selected("INBOX", messages)?;
    let start = Instant::now();
    let answer = client.count(command, items)?;
    let seconds = start.elapsed().as_secs_f64();
    client.logout()?;
    if answer.fetches != messages || answer.found.iter().any(|count| *count < messages) {
        return Err(format!(
            "{command}: {messages} messages, but {} answers with {:?} of {items:?}",
            answer.fetches, answer.found
        )
        .into());
    }
    // Header fields come as literals from each server; what is in an ENVELOPE may be quoted by one and not by the other.
    let alike = command.contains("BODY.PEEK").then_some(answer.octets);
    Ok(Sample { value: seconds, alike })
}

fn fetch_first(site: &Site, command: &str, items: &[&str]) -> Outcome<Sample> {
    site.forget(Forget::Parsed)?;
    fetch(site, command, items)
}

fn bodies(site: &Site, folder: &str, made: &mail::Made, transport: Transport) -> Outcome<Sample> {
    let mut client = site.login(None, transport)?;
    site.select(&mut client, folder, made.messages)?;
    let start = Instant::now();
    let answer = client.run("UID FETCH 1:* (BODY.PEEK[])")?;
    let seconds = start.elapsed().as_secs_f64();
    client.logout()?;
    if answer.fetches != made.messages || answer.octets != made.octets {
        return Err(format!("{folder}: {} bodies of {} octets", answer.fetches, answer.octets).into());
    }
    Ok(Sample::of(seconds / made.octets as f64))
}

fn pieces(site: &Site, mail: &Mail) -> Outcome<Sample> {
    const PIECE: u64 = 65_536;
    let mut client = site.selected(LARGE, mail.large.messages)?;
    let size = mail.large.octets / mail.large.messages as u64;
    let (mut came, start) = (0, Instant::now());
    for from in (0..size + PIECE).step_by(PIECE as usize) {
        came += client.run(&format!("FETCH 1 (BODY.PEEK[]<{from}.{PIECE}>)"))?.octets;
    }
    let seconds = start.elapsed().as_secs_f64();
    client.logout()?;
    // The four differ in a few octets of header.
    if came.abs_diff(size) > 16 {
        return Err(format!("pieces of {came} octets, and the message has about {size}").into());
    }
    Ok(Sample::of(seconds / came as f64))
}

/// Seconds for each message of these commands.
fn append(site: &Site, commands: usize, messages: usize, octets: usize) -> Outcome<Sample> {
    let texts: Vec<Vec<u8>> =
        (0..messages).map(|number| mail::crlf(&mail::message(number, Sizes::Plain(octets)))).collect();
    let mut client = site.session()?;
    client.run("CREATE Appended")?;
    let start = at_rest_from_now();
    for _ in 0..commands {
        client.append("Appended", &texts)?;
    }
    let seconds = each(start, commands * messages);
    expect_messages(&mut client, "Appended", commands * messages)?;
    client.run("DELETE Appended")?;
    client.logout()?;
    Ok(Sample::of(seconds))
}

fn expect_messages(client: &mut Client, folder: &str, messages: usize) -> Outcome<()> {
    match client.count(&format!("STATUS {folder} (MESSAGES)"), &[&format!("MESSAGES {messages})")])?.found[..] {
        [1] => Ok(()),
        _ => Err(format!("{folder} has not {messages} messages").into()),
    }
}

/// A session with a copy of the work folder selected, for what would change it.
fn copied(site: &Site, mail: &Mail) -> Outcome<Client> {
    let mut client = site.selected(WORK, mail.work.messages)?;
    client.run("CREATE Copied")?;
    client.run("UID COPY 1:* Copied")?;
    site.select(&mut client, "Copied", mail.work.messages)?;
    Ok(client)
}

fn copy(site: &Site, mail: &Mail) -> Outcome<Sample> {
    let mut client = site.selected(WORK, mail.work.messages)?;
    client.run("CREATE Copied")?;
    let sample = Sample::of(timed(|| client.run("UID COPY 1:* Copied").map(drop))?);
    expect_messages(&mut client, "Copied", mail.work.messages)?;
    client.run("DELETE Copied")?;
    client.logout()?;
    Ok(sample)
}

fn move_messages(site: &Site, mail: &Mail) -> Outcome<Sample> {
    let mut client = copied(site, mail)?;
    client.run("CREATE Moved")?;
    let start = at_rest_from_now();
    let answer = client.run("UID MOVE 1:* Moved")?;
    let seconds = start.elapsed().as_secs_f64();
    client.run("UNSELECT")?;
    expect_messages(&mut client, "Moved", mail.work.messages)?;
    expect_messages(&mut client, "Copied", 0)?;
    client.run("DELETE Copied")?;
    client.run("DELETE Moved")?;
    client.logout()?;
    if answer.expunged != mail.work.messages {
        return Err(format!("MOVE: {} were announced as expunged", answer.expunged).into());
    }
    Ok(Sample::of(seconds))
}

fn store(site: &Site, mail: &Mail) -> Outcome<Sample> {
    let mut client = site.selected(WORK, mail.work.messages)?;
    // Always a change of each: what a round before has left is taken back, and is part of no time.
    client.run("UID STORE 1:* -FLAGS.SILENT (\\Draft $Bench)")?;
    let sample = Sample::of(timed(|| client.run("UID STORE 1:* +FLAGS.SILENT (\\Draft $Bench)").map(drop))?);
    let changed = client.run("UID SEARCH DRAFT KEYWORD $Bench")?.hits;
    client.logout()?;
    if changed != mail.work.messages {
        return Err(format!("STORE: {changed} have the flags").into());
    }
    Ok(sample)
}

fn expunge(site: &Site, mail: &Mail) -> Outcome<Sample> {
    let mut client = copied(site, mail)?;
    client.run("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")?;
    let start = at_rest_from_now();
    let answer = client.run("EXPUNGE")?;
    let seconds = start.elapsed().as_secs_f64();
    client.run("UNSELECT")?;
    expect_messages(&mut client, "Copied", 0)?;
    client.run("DELETE Copied")?;
    client.logout()?;
    if answer.expunged != mail.work.messages {
        return Err(format!("EXPUNGE: {} were announced", answer.expunged).into());
    }
    Ok(Sample::of(seconds))
}

/// Looks for something that is there; how much of it, both must agree upon.
fn search(site: &Site, command: &str) -> Outcome<Sample> {
    let mut client = site.selected("INBOX", site.inbox())?;
    let start = Instant::now();
    let hits = client.run(command)?.hits;
    let seconds = start.elapsed().as_secs_f64();
    client.logout()?;
    if hits == 0 {
        return Err(format!("{command}: nothing was found").into());
    }
    Ok(Sample { value: seconds, alike: Some(hits as u64) })
}

/// A SORT or THREAD has every message in its answer.
fn all(sample: Sample, site: &Site) -> Outcome<Sample> {
    if sample.alike == Some(site.inbox() as u64) {
        Ok(sample)
    } else {
        Err(format!("{:?} of {} messages are in the answer", sample.alike, site.inbox()).into())
    }
}

fn noop(site: &Site, _: &Mail) -> Outcome<Sample> {
    const COUNT: usize = 2000;
    let mut client = site.selected("INBOX", site.inbox())?;
    let start = Instant::now();
    for _ in 0..COUNT {
        client.run("NOOP")?;
    }
    let seconds = each(start, COUNT);
    client.logout()?;
    Ok(Sample::of(seconds))
}

fn noop_pipelined(site: &Site, _: &Mail) -> Outcome<Sample> {
    const BATCH: usize = 1000;
    const BATCHES: usize = 20;
    let mut client = site.selected("INBOX", site.inbox())?;
    let commands = b"t NOOP\r\n".repeat(BATCH);
    let start = Instant::now();
    // One batch is always under way while the answers of another are read.
    client.send(&commands)?;
    for batch in 0..BATCHES {
        if batch + 1 < BATCHES {
            client.send(&commands)?;
        }
        for _ in 0..BATCH {
            client.answer(&[])?;
        }
    }
    let seconds = each(start, BATCH * BATCHES);
    client.logout()?;
    Ok(Sample::of(seconds))
}

fn mixed(site: &Site, _: &Mail) -> Outcome<Sample> {
    const CONNECTIONS: usize = 16;
    const SESSIONS: usize = 10;
    let start = Instant::now();
    let commands = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|thread| {
                scope.spawn(move || {
                    (0..SESSIONS).try_fold(0, |commands, session| {
                        // Users meet each other and themselves.
                        let user = (thread * 7 + session * 13) % USERS;
                        mixed_session(site, user, thread + session)
                            .map(|more| commands + more)
                            // The errors of threads must be able to travel.
                            .map_err(|error| error.to_string())
                    })
                })
            })
            .collect();
        threads.into_iter().try_fold(0, |sum, thread| match thread.join() {
            Ok(Ok(commands)) => Ok(sum + commands),
            Ok(Err(error)) => Err(error),
            Err(_) => Err("a client panicked".to_owned()),
        })
    })?;
    Ok(Sample::of(each(start, commands)))
}

/// What a client does in a minute; how many commands that are.
fn mixed_session(site: &Site, user: usize, variant: usize) -> Outcome<usize> {
    let mut client = site.login(Some(user), Transport::Plain)?;
    let mut commands = 2;
    let mut run = |client: &mut Client, command: &str, fetches: Option<usize>| -> Outcome<()> {
        let answer = client.run(command)?;
        commands += 1;
        match fetches {
            Some(wanted) if answer.fetches < wanted => Err(format!("{command}: {} answers", answer.fetches).into()),
            _ => Ok(()),
        }
    };
    run(&mut client, "LIST \"\" *", None)?;
    run(&mut client, "STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)", None)?;
    run(&mut client, "SELECT INBOX", None)?;
    run(&mut client, "UID FETCH 1:* (FLAGS)", Some(MESSAGES_OF_USER))?;
    for turn in 0..4 {
        let number = 1 + (variant * 31 + turn * 17) % MESSAGES_OF_USER;
        run(&mut client, &format!("FETCH {number} (ENVELOPE BODYSTRUCTURE)"), Some(1))?;
        run(&mut client, &format!("FETCH {number} (BODY.PEEK[])"), Some(1))?;
        let sign = if turn % 2 == 0 { '+' } else { '-' };
        run(&mut client, &format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged)"), None)?;
        run(&mut client, "NOOP", None)?;
    }
    run(&mut client, "UID SEARCH UNSEEN", None)?;
    run(&mut client, &format!("UID SEARCH FROM {SENDER}"), None)?;
    client.append("INBOX", &[mail::crlf(&mail::message(variant, Sizes::Small))])?;
    commands += 1;
    client.logout()?;
    Ok(commands)
}

/// What the processes that serve one session have for themselves.
fn idle_memory(site: &Site, user: Option<usize>, transport: Transport) -> Outcome<Sample> {
    // Whatever a server starts once for all is there after this.
    site.login(user, transport)?.logout()?;
    of_session(site, processes::private_dirty, || {
        let mut client = site.login(user, transport)?;
        client.run("SELECT INBOX")?;
        client.idle()?;
        Ok(client)
    })
}

fn memory_of_work(site: &Site, measure: fn(&BTreeSet<i32>) -> Outcome<f64>) -> Outcome<Sample> {
    site.session()?.logout()?;
    of_session(site, measure, || {
        let mut client = site.selected("INBOX", site.inbox())?;
        client.run("UID FETCH 1:* (UID FLAGS)")?;
        client.run(&by_subject())?;
        Ok(client)
    })
}

fn of_session(
    site: &Site,
    measure: fn(&BTreeSet<i32>) -> Outcome<f64>,
    begin: impl FnOnce() -> Outcome<Client>,
) -> Outcome<Sample> {
    let before = at_rest(site)?;
    let client = begin()?;
    let all = at_rest(site)?;
    let theirs: BTreeSet<i32> = all.difference(&before).copied().collect();
    if theirs.is_empty() {
        return Err("the session has no process of its own".into());
    }
    let value = measure(&theirs)?;
    drop(client);
    Ok(Sample::of(value))
}

/// The server's processes once none comes and none goes.
fn at_rest(site: &Site) -> Outcome<BTreeSet<i32>> {
    const REST: Duration = Duration::from_millis(300);
    let mut before = processes::tree(site.pid());
    for _ in 0..100 {
        std::thread::sleep(REST);
        let now = processes::tree(site.pid());
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err("the server's processes never come to rest".into())
}

/// Processor time of all processes of the server while nothing happens. Each client must still be served after that.
fn idle_many(site: &Site, mail: &Mail) -> Outcome<Sample> {
    let mut clients = Vec::with_capacity(mail.sessions);
    for number in 0..mail.sessions {
        let mut client =
            site.login(Some(number % USERS), Transport::Plain).map_err(|error| format!("session {number}: {error}"))?;
        client.run("SELECT INBOX")?;
        client.idle()?;
        clients.push(client);
    }
    let processes = at_rest(site)?;
    let before = processes::processor_seconds(&processes);
    std::thread::sleep(mail.watch);
    let seconds = processes::processor_seconds(&processes) - before;
    for mut client in clients {
        client.done()?;
        client.logout()?;
    }
    Ok(Sample::of(seconds / mail.watch.as_secs_f64()))
}
