//! The transcripts printed in RFC 3501, RFC 9051, RFC 7162, RFC 8474 and RFC 8514, replayed in both revisions. `transcripts/README` has the format.

use crate::on_both_stores;
use crate::support::session::Server;
use imapd::testing::storage::{Access, MailStore, MailboxStatus, StatusWanted};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Date, DateTime, Flags, Keyword, MailboxName, SystemFlag, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// Names and passwords that occur in the examples.
const USERS: &[(&str, &str)] = &[("test", "test"), ("SMITH", "SESAME"), ("fred", "blurdybloop"), ("mrc", "secret")];

const EXAMPLES: &str = include_str!("transcripts/examples.txt");

const OF_CONDSTORE: &str = include_str!("transcripts/condstore.txt");

#[test]
fn the_examples_of_the_standards_on_memory() {
    replay_all(EXAMPLES, 80, Server::memory);
}

#[test]
fn the_examples_of_the_standards_on_maildir() {
    replay_all(EXAMPLES, 80, Server::maildir);
}

on_both_stores! {
    fn the_examples_of_condstore_and_qresync(server) {
        replay_all(OF_CONDSTORE, 45, if server.root().is_some() { Server::maildir } else { Server::memory });
    }
}

fn replay_all(examples: &str, least: usize, server: fn() -> Server) {
    let mut failures = Vec::new();
    let mut replayed = 0;
    for example in examples.split("\n## ").map(|e| e.trim_start_matches("## ")) {
        let title = example.lines().next().unwrap();
        for revision in ["rev1", "rev2"] {
            let wanted = title.rsplit_once('[').expect("a title ends in its revisions").1.trim_end_matches(']');
            if !wanted.split(' ').any(|r| r == revision) {
                continue;
            }
            replayed += 1;
            let run = std::panic::AssertUnwindSafe(|| Fixture::new(server(), revision).replay(example));
            if let Err(why) = std::panic::catch_unwind(run) {
                let why = why.downcast_ref::<String>().map_or("see above", |w| w);
                failures.push(format!("{title} in {revision}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {replayed} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(replayed > least, "only {replayed} examples were found");
}

/// A server with one user, another session of that user, and the connection of the example.
struct Fixture {
    server: Server,
    other: Box<dyn MailStore>,
    revision: &'static str,
    connection: Option<Connection>,
    anonymous: bool,
    /// What stands for `<name>` from now on.
    values: BTreeMap<String, String>,
}

struct Connection {
    input: BufReader<UnixStream>,
    output: UnixStream,
}

impl Fixture {
    fn new(server: Server, revision: &'static str) -> Self {
        let other = server.store();
        Self { server, other, revision, connection: None, anonymous: false, values: BTreeMap::new() }
    }

    fn replay(&mut self, example: &str) {
        let lines: Vec<&str> = example.lines().skip(1).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let mut said: Vec<String> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if let Some(said_by_server) = line.strip_prefix("S:") {
                said.push(self.filled_in(said_by_server.trim_start()));
                continue;
            }
            self.expect(&std::mem::take(&mut said));
            match line.strip_prefix("! ") {
                Some(action) => self.act(action),
                None => {
                    let text = |l: &&str| l.strip_prefix("C:").map(|t| t.strip_prefix(' ').unwrap_or(t).to_owned());
                    let following: Vec<String> =
                        lines[at + 1..].iter().skip_while(|l| l.starts_with("S: +")).map_while(text).collect();
                    let line = text(line).unwrap().replace("<length>", &literal_length(&following).to_string());
                    self.send(&self.filled_in(&line));
                }
            }
        }
        self.expect(&said);
        self.connect().output.shutdown(std::net::Shutdown::Write).unwrap();
    }

    fn filled_in(&self, line: &str) -> String {
        self.values.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("<{name}>"), value))
    }

    fn status(&mut self, mailbox: &str) -> MailboxStatus {
        self.other.status(&name(mailbox), StatusWanted::default()).unwrap()
    }

    /// `create NAME...`, `subscribe NAME...`, `unsubscribe NAME`, `fill NAME COUNT` (small messages), `mail NAME COUNT DATE HEADER` (with a header
    /// field and INTERNALDATE of their own), `gray NAME REVISION` (the message of the sample connections), `flags NAME SET (FLAGS)` (of
    /// sequence numbers), `flagged NAME SET (FLAGS)` (of UIDs), `uids NAME SET` (messages with these UIDs), `leave NAME SET` (expunges all but these UIDs),
    /// `modseq VALUE NAME`, `validity VALUE NAME` and `id VALUE NAME` (from now on `<VALUE>` is what STATUS says), `expunge NAME SET`, `select NAME` (by the client), `anonymous` (do not log in). `other` in front says that
    /// another session does it while the client is connected, which is so for all of them anyway.
    fn act(&mut self, action: &str) {
        let action = action.strip_prefix("other ").unwrap_or(action);
        let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
        match verb {
            "anonymous" => self.anonymous = true,
            "create" => words(rest).iter().for_each(|n| drop(self.other.create(&name(n), None).unwrap())),
            "subscribe" => words(rest).iter().for_each(|n| self.other.subscribe(&name(n)).unwrap()),
            "unsubscribe" => self.other.unsubscribe(&name(rest)).unwrap(),
            "fill" => {
                let (mailbox, count) = rest.split_once(' ').unwrap();
                self.mail(mailbox, count.parse().unwrap(), None, "Subject: a message");
            }
            "mail" => {
                let [mailbox, count, date, header] = rest.splitn(4, ' ').collect::<Vec<_>>()[..] else {
                    panic!("{action}")
                };
                self.mail(mailbox, count.parse().unwrap(), Some(day(date)), header);
            }
            "gray" => {
                let (mailbox, revision) = rest.split_once(' ').unwrap();
                let date = DateTime::new(Date::new(1996, 7, 17).unwrap(), 2, 44, 25, -7 * 60).unwrap();
                self.append(mailbox, 1, Some(date), &gray(revision));
            }
            "flags" => {
                let [mailbox, set, flags] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{action}") };
                let mut opened = self.other.open(&name(mailbox), Access::ReadWrite).unwrap();
                let uids = pick(opened.uids(), set);
                opened.store(&uids, FlagChange::Replace, &parse_flags(flags), None).unwrap();
            }
            "flagged" => {
                let [mailbox, set, flags] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{action}") };
                let mut opened = self.other.open(&name(mailbox), Access::ReadWrite).unwrap();
                opened.store(&uid_set(set), FlagChange::Replace, &parse_flags(flags), None).unwrap();
            }
            "uids" | "leave" => {
                let (mailbox, set) = rest.split_once(' ').unwrap();
                let left = uid_set(set);
                if verb == "uids" {
                    let count = left.last().unwrap().get() + 1 - self.status(mailbox).uid_next.get();
                    self.mail(mailbox, count as usize, None, "Subject: a message");
                }
                let mut opened = self.other.open(&name(mailbox), Access::ReadWrite).unwrap();
                let gone = opened.uids().difference(&left);
                assert_eq!(opened.expunge(&gone).unwrap().done, gone);
            }
            "modseq" | "validity" | "id" => {
                let (value, mailbox) = rest.split_once(' ').unwrap();
                let status = self.status(mailbox);
                let told = match verb {
                    "modseq" => status.highest_modseq.to_string(),
                    "validity" => status.uid_validity.to_string(),
                    _ => status.id.as_str().to_owned(),
                };
                self.values.insert(value.to_owned(), told);
            }
            "expunge" => {
                let (mailbox, set) = rest.split_once(' ').unwrap();
                let mut opened = self.other.open(&name(mailbox), Access::ReadWrite).unwrap();
                let uids = pick(opened.uids(), set);
                assert_eq!(opened.expunge(&uids).unwrap().done, uids);
            }
            "select" => {
                self.send(&format!("S000 SELECT {rest}"));
                self.expect(&["....", "S000 OK [READ-WRITE]"]);
            }
            _ => panic!("no such action: {action}"),
        }
    }

    fn mail(&mut self, mailbox: &str, count: usize, date: Option<DateTime>, header: &str) {
        let message = format!("Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n{header}\r\n\r\nhello\r\n");
        self.append(mailbox, count, date, &message);
    }

    fn append(&mut self, mailbox: &str, count: usize, date: Option<DateTime>, message: &str) {
        let mut append = self.other.append(&name(mailbox)).unwrap();
        for _ in 0..count {
            append.begin(&Flags::new(), date).unwrap();
            append.write(message.as_bytes()).unwrap();
        }
        append.commit().unwrap();
    }

    fn connect(&mut self) -> &mut Connection {
        if self.connection.is_none() {
            let output = self.server.connect_raw(USERS);
            let input = BufReader::new(output.try_clone().unwrap());
            self.connection = Some(Connection { input, output });
            let greeting = self.line();
            assert!(greeting.starts_with(b"* OK "), "{}", String::from_utf8_lossy(&greeting));
            if !self.anonymous {
                self.send("L000 LOGIN test test");
                self.expect(&["L000 OK"]);
                if self.revision == "rev2" {
                    self.send("E000 ENABLE IMAP4rev2");
                    self.expect(&["* ENABLED IMAP4rev2", "E000 OK"]);
                }
            }
        }
        self.connection.as_mut().unwrap()
    }

    fn send(&mut self, line: &str) {
        self.connect().output.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        let input = &mut self.connect().input;
        loop {
            input.read_until(b'\n', &mut line).expect("the server answers in time");
            assert!(
                line.ends_with(b"\r\n"),
                "the server hung up or sent half a line: {}",
                String::from_utf8_lossy(&line)
            );
            let Some(size) = literal_size(&line) else { return line };
            let before = line.len();
            line.resize(before + size, 0);
            input.read_exact(&mut line[before..]).unwrap();
        }
    }

    /// Reads what the server says and compares. Tagged answers and continuations come in the order printed; among the untagged
    /// responses before one of them, the order is the server's choice.
    fn expect<T: AsRef<str>>(&mut self, lines: &[T]) {
        let mut wanted: Vec<String> = Vec::new();
        for line in join_literals(lines) {
            if line.starts_with("* ") || line == "...." {
                wanted.push(line);
            } else {
                self.expect_until(std::mem::take(&mut wanted), Some(&line));
            }
        }
        self.expect_until(wanted, None);
    }

    /// Reads up to and with the line `barrier`, or without one, until all that is wanted was said.
    fn expect_until(&mut self, mut wanted: Vec<String>, barrier: Option<&str>) {
        let mut said = Vec::new();
        let anything = wanted.iter().any(|w| w == "....");
        let mut expunges: Vec<u32> = wanted.iter().filter_map(|w| number_of(w, "EXPUNGE")).collect();
        wanted.retain(|w| w != "...." && number_of(w, "EXPUNGE").is_none());
        let to_expunge = places(&expunges);
        let mut left = expunges.len();
        expunges.clear();
        while barrier.is_some() || !wanted.is_empty() || left > 0 {
            let line = self.line();
            let text = String::from_utf8_lossy(&line).into_owned();
            said.push(text.clone());
            if let Some(number) = number_of(text.trim_end(), "EXPUNGE") {
                expunges.push(number);
                left = left.checked_sub(1).unwrap_or_else(|| panic!("an EXPUNGE too many: {said:?}"));
            } else if let Some(at) = wanted.iter().position(|w| matches(w.as_bytes(), &line)) {
                wanted.remove(at);
            } else if barrier.is_some_and(|b| matches(b.as_bytes(), &line)) {
                break;
            } else if ["* OK [HIGHESTMODSEQ ", "* OK [MAILBOXID ("].iter().any(|told| text.starts_with(told)) {
                // Told at every SELECT, also where an older RFC prints one.
            } else if !text.starts_with("* ") || !anything {
                panic!("got {text:?}\nwanting {wanted:?} and {barrier:?}\nafter {said:?}");
            }
        }
        assert!(wanted.is_empty() && left == 0, "not said: {wanted:?}\nbut {said:?}");
        assert_eq!(places(&expunges), to_expunge, "expunged other messages: {said:?}");
    }
}

/// The octets of a literal that these lines hold, the last of which ends the command too.
fn literal_length(lines: &[String]) -> usize {
    lines.iter().map(|l| l.len() + 2).sum::<usize>().saturating_sub(2)
}

/// Joins the lines of a literal, and what follows it, to the line that announces it.
fn join_literals<T: AsRef<str>>(lines: &[T]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in lines.iter().map(AsRef::as_ref) {
        match joined.last_mut().filter(|open| literal_open(open)) {
            Some(open) if line.starts_with(')') => open.push_str(line),
            Some(open) => open.push_str(&format!("{line}\r\n")),
            None if literal_size(format!("{line}\r\n").as_bytes()).is_some() => joined.push(format!("{line}\r\n")),
            None => joined.push((*line).to_owned()),
        }
    }
    joined
}

fn literal_size(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let at = line.iter().rposition(|&b| b == b'{')?;
    std::str::from_utf8(&line[at + 1..]).ok()?.parse().ok()
}

/// Whether an expected line lacks lines of its literal, or what follows it.
fn literal_open(line: &str) -> bool {
    let Some((head, rest)) = line.split_once("}\r\n") else { return false };
    let size: usize = head.rsplit_once('{').unwrap().1.parse().unwrap();
    rest.len() <= size
}

fn number_of(line: &str, what: &str) -> Option<u32> {
    line.strip_prefix("* ")?.strip_suffix(what)?.trim_end().parse().ok()
}

/// Which messages a series of EXPUNGE responses removes, by their places before the first.
fn places(numbers: &[u32]) -> BTreeSet<u32> {
    let mut view: Vec<u32> = (1..=2000).collect();
    numbers.iter().map(|&n| view.remove(n as usize - 1)).collect()
}

/// A response as tokens.
#[derive(Clone, PartialEq, Debug)]
enum Token {
    Word(String),
    Text(Vec<u8>),
    List(Vec<Token>),
    Anything,
    Rest,
}

fn tokens(line: &[u8]) -> Vec<Token> {
    let mut at = 0;
    list(line, &mut at)
}

fn list(line: &[u8], at: &mut usize) -> Vec<Token> {
    let mut out = Vec::new();
    while let Some(&octet) = line.get(*at) {
        match octet {
            b' ' | b'\r' | b'\n' => *at += 1,
            b'(' => {
                *at += 1;
                out.push(Token::List(list(line, at)));
            }
            b')' => {
                *at += 1;
                return out;
            }
            b'"' => {
                let end = *at + 1 + line[*at + 1..].iter().position(|&b| b == b'"').expect("a closing quote");
                out.push(Token::Text(line[*at + 1..end].to_vec()));
                *at = end + 1;
            }
            b'{' => {
                let end = *at + line[*at..].iter().position(|&b| b == b'\n').unwrap() + 1;
                let size = literal_size(&line[..end]).unwrap();
                out.push(Token::Text(line[end..end + size].to_vec()));
                *at = end + size;
            }
            _ => {
                let start = *at;
                let mut depth = 0;
                while let Some(&b) = line.get(*at) {
                    depth += i32::from(b == b'[') - i32::from(b == b']');
                    if depth == 0 && b" ()\r\n".contains(&b) {
                        break;
                    }
                    *at += 1;
                }
                let word = String::from_utf8_lossy(&line[start..*at]).into_owned();
                out.push(match word.as_str() {
                    "<any>" => Token::Anything,
                    "...." => Token::Rest,
                    _ => Token::Word(word),
                });
            }
        }
    }
    out
}

/// Whether the server's line is what the example says.
fn matches(expected: &[u8], line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(expected);
    let said = String::from_utf8_lossy(line);
    if text.starts_with('+') {
        return said.starts_with('+');
    }
    let (words, said_words): (Vec<&str>, Vec<&str>) = (text.split(' ').collect(), said.trim_end().split(' ').collect());
    if words.len() < 2 || said_words.len() < 2 || words[0] != said_words[0] {
        return false;
    }
    if ["OK", "NO", "BAD", "BYE"].contains(&words[1]) {
        // The code is compared, the text is not.
        let code = |s: &str| {
            s.split_once('[').filter(|(before, _)| before.split(' ').count() == 3).map(|(_, code)| code.to_owned())
        };
        return words[1] == said_words[1]
            && match (code(&text), code(&said)) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(wanted), Some(got)) => {
                    let cut = |s: &str| s.split_once(']').map_or(s.to_owned(), |(c, _)| c.to_owned());
                    let (wanted, got) = (cut(&wanted), cut(&got));
                    if wanted.starts_with("PERMANENTFLAGS (\\") {
                        subset_of_lists(&wanted, &got)
                    } else {
                        same(&tokens(wanted.as_bytes()), &tokens(got.as_bytes()))
                    }
                }
            };
    }
    let (wanted, got) = (tokens(expected), tokens(line));
    match words[1].to_ascii_uppercase().as_str() {
        "FLAGS" => subset_of_lists(&text, &said),
        "LIST" | "LSUB" => listing(&wanted, &got),
        _ if words.get(2).is_some_and(|w| w.eq_ignore_ascii_case("FETCH")) => fetched(&wanted, &got),
        "STATUS" => same(&wanted[..3], &got[..3]) && pairs(&wanted[3], &got[3]),
        _ => same(&wanted, &got),
    }
}

fn same(wanted: &[Token], got: &[Token]) -> bool {
    for (i, token) in wanted.iter().enumerate() {
        if *token == Token::Rest {
            return true;
        }
        let Some(other) = got.get(i) else { return false };
        let equal = match (token, other) {
            (Token::Anything, _) => true,
            (Token::List(a), Token::List(b)) => same(a, b),
            (Token::Word(a), Token::Word(b)) => a.eq_ignore_ascii_case(b),
            // RFC 9051 astring: the same name, however it is written. Media types are not case-sensitive.
            (Token::Word(a), Token::Text(b)) | (Token::Text(b), Token::Word(a)) => a != "NIL" && a.as_bytes() == b,
            (Token::Text(a), Token::Text(b)) => {
                a.eq_ignore_ascii_case(b) || moment(a).is_some_and(|m| moment(b) == Some(m))
            }
            _ => false,
        };
        if !equal {
            return false;
        }
    }
    wanted.len() == got.len()
}

/// An INTERNALDATE in seconds: a Maildir keeps the moment and not the zone.
fn moment(text: &[u8]) -> Option<i64> {
    let mut text = text.to_vec();
    text.iter_mut().take(11).filter(|b| **b == b'-').for_each(|b| *b = b' ');
    imapd::testing::message::date::parse(&text).map(|date| date.seconds)
}

fn set_of(tokens: &[Token]) -> BTreeSet<String> {
    let upper = |t: &Token| if let Token::Word(w) = t { w.to_ascii_uppercase() } else { format!("{t:?}") };
    tokens.iter().map(upper).collect()
}

fn first_list(tokens: &[Token]) -> &[Token] {
    tokens.iter().find_map(|t| if let Token::List(l) = t { Some(&l[..]) } else { None }).unwrap_or(&[])
}

fn subset_of_lists(wanted: &str, got: &str) -> bool {
    set_of(first_list(&tokens(wanted.as_bytes()))).is_subset(&set_of(first_list(&tokens(got.as_bytes()))))
}

fn listing(wanted: &[Token], got: &[Token]) -> bool {
    let (a, mut b) = (set_of(first_list(wanted)), set_of(first_list(got)));
    if a.contains("\\NOSELECT") && b.remove("\\NONEXISTENT") {
        b.insert("\\NOSELECT".into());
    }
    let free = |s: &str| {
        ["\\HASCHILDREN", "\\HASNOCHILDREN", "\\MARKED", "\\UNMARKED", "\\JUNK", "\\DRAFTS", "\\NOSELECT"].contains(&s)
    };
    wanted.len() > 3
        && got.len() > 3
        && a.is_subset(&b)
        && b.difference(&a).all(|extra| free(extra))
        && same(&wanted[3..], &got[3..])
}

/// FETCH items may come in any order, and so may flags.
fn fetched(wanted: &[Token], got: &[Token]) -> bool {
    if !same(&wanted[..3], &got[..3]) {
        return false;
    }
    wanted.get(3) == Some(&Token::Rest) || pairs(&wanted[3], &got[3])
}

fn pairs(wanted: &Token, got: &Token) -> bool {
    let (Token::List(wanted), Token::List(got)) = (wanted, got) else { return false };
    wanted.len() == got.len()
        && wanted.chunks(2).all(|pair| {
            got.chunks(2).any(|other| {
                let flags = matches!(&pair[0], Token::Word(w) if w == "FLAGS");
                same(&pair[..1], &other[..1])
                    && if flags { same_set(&pair[1], &other[1]) } else { same(&pair[1..], &other[1..]) }
            })
        })
}

fn same_set(a: &Token, b: &Token) -> bool {
    matches!((a, b), (Token::List(a), Token::List(b)) if set_of(a) == set_of(b))
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text.trim_matches('"')).unwrap()
}

/// Words, a quoted one as a whole.
fn words(text: &str) -> Vec<String> {
    match text.strip_prefix('"') {
        Some(quoted) => vec![quoted.trim_end_matches('"').to_owned()],
        None => text.split(' ').map(str::to_owned).collect(),
    }
}

fn parse_flags(text: &str) -> Flags {
    let mut flags = Flags::new();
    for word in text.trim_matches(['(', ')']).split(' ').filter(|w| !w.is_empty()) {
        match SystemFlag::from_name(word) {
            Some(flag) => flags.insert(flag),
            None => flags.insert_keyword(Keyword::new(word).unwrap()),
        }
    }
    flags
}

fn uid_set(set: &str) -> UidSet {
    crate::support::expand(set).into_iter().filter_map(Uid::new).collect()
}

/// The messages at these places.
fn pick(uids: &UidSet, set: &str) -> UidSet {
    let all: Vec<Uid> = uids.iter().collect();
    let mut picked = UidSet::new();
    for range in set.split(',') {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        let (a, b): (usize, usize) = (a.parse().unwrap(), b.parse().unwrap());
        all[a - 1..b].iter().for_each(|&uid| picked.insert(uid));
    }
    picked
}

fn day(text: &str) -> DateTime {
    let [day, month, year] = text.split('-').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let month = ["Jan", "Feb", "Mar"].iter().position(|m| *m == month).unwrap() as u8 + 1;
    DateTime::new(Date::new(year.parse().unwrap(), month, day.parse().unwrap()).unwrap(), 12, 0, 0, 0).unwrap()
}

/// The message of the sample connections: a header of 342 octets, and 92 lines of 3028 octets.
fn gray(revision: &str) -> String {
    let mut message = format!(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\nSubject: {revision} WG mtg summary and \
         minutes\r\nTo: imap@cac.washington.edu\r\ncc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: \
         <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
    );
    assert_eq!(message.len(), 342);
    for _ in 0..91 {
        message.push_str("a line of thirty-one octets..\r\n");
    }
    message.push_str(&"x".repeat(3028 - 91 * 31 - 2));
    message.push_str("\r\n");
    message
}
