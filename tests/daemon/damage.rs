//! An index that a disk or a hand damages, between sessions and under them: it costs one connection at most, and no UID, flag or answer.

use crate::support::{BINARY, directory};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const MESSAGES: usize = 400;
const PAGE: usize = 4096;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

struct Site {
    _place: tempfile::TempDir,
    base: PathBuf,
    mail: PathBuf,
    /// The flags of each message.
    flags: Vec<&'static str>,
    /// What never changes of them, as FETCH says it.
    rest: Vec<String>,
    uid_validity: String,
}

const REST: &str = "FETCH 1:* (UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)";

impl Site {
    fn new() -> Self {
        let place = directory();
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        let mail = place.path().join(String::from_utf8(name).unwrap().trim());
        for part in ["new", "cur", "tmp"] {
            fs::create_dir_all(mail.join(part)).unwrap();
        }
        for n in 0..MESSAGES {
            let text =
                format!("From: a{n}@example.org\nSubject: number {n}\nMessage-ID: <{n}@x>\n\n{}\n", "x".repeat(n));
            fs::write(mail.join(format!("cur/{}.M1P{n}.host:2,", 1_700_000_000 + n)), text).unwrap();
        }
        let base = place.path().to_owned();
        let (flags, rest, uid_validity) = (vec![""; MESSAGES], Vec::new(), String::new());
        let mut site = Self { _place: place, base, mail, flags, rest, uid_validity };
        let ended = site.run(&["SELECT INBOX", REST]);
        assert!(ended.is_whole, "{:?}", ended.lines);
        site.rest = ended.fetched(REST);
        assert_eq!(site.rest.len(), MESSAGES);
        site.uid_validity = ended.uid_validity();
        site
    }

    fn start(&self) -> Child {
        Command::new(BINARY)
            .args(["--preauth", "--log", "stderr", "-s", "maildir", "--maildir-path"])
            .arg(&self.base)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A whole session.
    fn run(&self, commands: &[&str]) -> Ended {
        let mut child = self.start();
        let text: String = commands.iter().map(|command| format!("x {command}\r\n")).collect();
        // It may end before it has read that.
        let _ = child.stdin.take().unwrap().write_all(format!("{text}z LOGOUT\r\n").as_bytes());
        Ended::of(child)
    }

    fn index(&self) -> File {
        File::options().read(true).write(true).open(self.mail.join("imapd-index")).unwrap()
    }

    /// Fresh sessions, which may change flags first, show all as it is; the first of them may be lost if none was so far.
    #[track_caller]
    fn assert_true(&self, first: &[&str], what: &str, seen_death: bool) {
        let commands = [&["SELECT INBOX"], first, &["FETCH 1:* (UID FLAGS)", REST]].concat();
        let mut died = false;
        for try_again in [!seen_death, false] {
            let ended = self.run(&commands);
            if !ended.is_whole && try_again {
                assert!(ended.signal.is_some_and(|signal| [6, 7, 11].contains(&signal)), "{what}: {}", ended.shown());
                died = true;
                continue;
            }
            assert!(ended.is_whole, "{what}: {}", ended.shown());
            assert_eq!(ended.uid_validity(), self.uid_validity, "{what}: {:?}", ended.log);
            assert!(ended.fetched(REST) == self.rest, "{what}: {:?}", ended.log);
            let shown = ended.fetched("FETCH 1:* (UID FLAGS)");
            let expected: Vec<String> =
                (1..).zip(&self.flags).map(|(n, flags)| format!("* {n} FETCH (UID {n} FLAGS ({flags}))")).collect();
            assert!(shown == expected, "{what}: {:?}", ended.log);
            assert!(!died || ended.log.contains("index is made anew: a session ended by"), "{what}: {}", ended.log);
            break;
        }
    }
}

struct Ended {
    lines: Vec<String>,
    log: String,
    signal: Option<i32>,
    /// All commands were answered OK.
    is_whole: bool,
}

impl Ended {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).split("\r\n").map(str::to_owned).collect();
        let is_whole = output.status.success()
            && lines.iter().any(|line| line.starts_with("z OK"))
            && !lines.iter().any(|line| line.starts_with("x NO") || line.starts_with("x BAD"));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { lines, log, signal: output.status.signal(), is_whole }
    }

    /// For whoever wonders why it failed.
    fn shown(&self) -> String {
        let rest: Vec<&String> = self.lines.iter().filter(|line| !line.contains(" FETCH ")).collect();
        format!("{rest:#?} {:?} {}", self.signal, self.log)
    }

    /// The FETCH responses to this command, which are told by what they have.
    fn fetched(&self, command: &str) -> Vec<String> {
        let has = if command.contains("ENVELOPE") { " ENVELOPE " } else { " FLAGS (" };
        let lines = self.lines.iter().filter(|line| line.contains(" FETCH (UID ") && line.contains(has));
        lines.filter(|line| has != " FLAGS (" || !line.contains(" ENVELOPE ")).cloned().collect()
    }

    fn uid_validity(&self) -> String {
        self.lines.iter().find(|line| line.contains("UIDVALIDITY")).unwrap().clone()
    }
}

/// Damages the index somewhere, and says how.
fn damage(site: &Site, dice: &mut Dice) -> String {
    let index = site.index();
    let length = index.metadata().unwrap().len() as usize;
    let pages = length / PAGE;
    match dice.below(8) {
        0 => {
            let to = dice.below(length);
            index.set_len(to as u64).unwrap();
            format!("cut off at {to} of {length}")
        }
        1 => {
            let page = dice.below(pages);
            let text: Vec<u8> = (0..PAGE).map(|_| dice.below(256) as u8).collect();
            index.write_all_at(&text, (page * PAGE) as u64).unwrap();
            format!("page {page} of {pages} is noise")
        }
        2 => {
            let page = dice.below(pages);
            index.write_all_at(&[0; PAGE], (page * PAGE) as u64).unwrap();
            format!("page {page} of {pages} is empty")
        }
        3 => {
            let (from, to) = (dice.below(pages), dice.below(pages));
            let mut text = [0; PAGE];
            index.read_exact_at(&mut text, (from * PAGE) as u64).unwrap();
            index.write_all_at(&text, (to * PAGE) as u64).unwrap();
            format!("page {to} of {pages} is a copy of page {from}")
        }
        kind => {
            // The heads of pages, by which LMDB finds its way, or anything.
            let flips: Vec<(usize, u8)> = (0..1 + dice.below(12))
                .map(|_| {
                    let within = if kind < 6 { dice.below(64) } else { dice.below(PAGE) };
                    // The first pages say where all else is.
                    let page = if dice.below(4) == 0 { dice.below(pages.min(4)) } else { dice.below(pages) };
                    (page * PAGE + within, 1 << dice.below(8))
                })
                .collect();
            for (at, bit) in &flips {
                let mut octet = [0];
                index.read_exact_at(&mut octet, *at as u64).unwrap();
                index.write_all_at(&[octet[0] ^ bit], *at as u64).unwrap();
            }
            format!("flipped {flips:?} of {pages} pages")
        }
    }
}

const FLAGS: [&str; 4] = ["\\Seen", "\\Answered", "\\Flagged \\Seen", ""];

/// So many times, with dice of their own.
fn rounds(rounds: std::ops::Range<u64>) {
    let mut site = Site::new();
    for round in rounds {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ ((round + 1) * 0x1234_5677));
        let mut died = false;
        let mut what = format!("round {round}: ");
        if round % 2 == 0 {
            what += &damage(&site, &mut dice);
        } else {
            // Under a session that has the index open.
            let mut child = site.start();
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"x SELECT INBOX\r\n").unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            while !line.starts_with("x ") {
                line.clear();
                assert!(output.read_line(&mut line).unwrap() > 0, "{what}: {:?}", child.wait_with_output());
            }
            what += &damage(&site, &mut dice);
            let _ = input.write_all(format!("x {REST}\r\nx NOOP\r\nz LOGOUT\r\n").as_bytes());
            drop(input);
            let mut shown = Vec::new();
            output.lines().map_while(Result::ok).for_each(|line| shown.push(line));
            let status = child.wait().unwrap();
            died = !status.success();
            assert!(!died || status.signal().is_some_and(|signal| [6, 7, 11].contains(&signal)), "{what}: {status}");
            // What it did show was true.
            for line in shown.iter().filter(|line| line.contains(" ENVELOPE ") && line.ends_with(')')) {
                assert!(site.rest.contains(line), "{what}: {line}");
            }
        }
        let (at, flags) = (dice.below(MESSAGES), FLAGS[dice.below(4)]);
        site.flags[at] = flags;
        site.assert_true(&[&format!("STORE {} FLAGS.SILENT ({flags})", at + 1)], &what, died);
        // No session that follows fails.
        site.assert_true(&[], &what, true);
    }
}

#[test]
fn a_damaged_index_costs_one_connection_at_most_and_nothing_else() {
    std::thread::scope(|threads| {
        threads.spawn(|| rounds(0..14));
        threads.spawn(|| rounds(14..28));
    });
}
