//! A small strict IMAP client. It parses every response with a grammar of its own, keeps a mirror of the selected mailbox, and panics
//! when the server says anything that the RFCs do not allow.

use super::grammar::{self, Code, Response};
use super::lexer::{Lexer, Value, Wire};
use super::mirror::Mirror;
use std::collections::VecDeque;
use std::ops::Deref;

/// A command in pieces.
pub enum Part<'a> {
    Text(&'a str),
    /// `{n}`, sent when the server asks for it.
    Literal(&'a [u8]),
    /// `{n+}`
    NonSync(&'a [u8]),
    /// `~{n+}`
    NonSync8(&'a [u8]),
}

/// The answer to a command: how it ended, and all that came before, in order.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `OK`, `NO` or `BAD`.
    pub condition: String,
    pub code: Option<Code>,
    pub text: String,
    pub untagged: Vec<Response>,
}

impl Deref for Answer {
    type Target = [Response];

    fn deref(&self) -> &[Response] {
        &self.untagged
    }
}

impl Answer {
    /// The name of the tagged response's code, or the empty text.
    pub fn code_name(&self) -> &str {
        self.code.as_ref().map_or("", |code| &code.name)
    }

    /// The arguments of the first code of this name, tagged or not.
    pub fn code(&self, name: &str) -> Option<&str> {
        let untagged = self.untagged.iter().filter_map(|r| match r {
            Response::Condition { code, .. } => code.as_ref(),
            _ => None,
        });
        self.code.iter().chain(untagged).find(|c| c.name == name).map(|c| c.arguments.as_str())
    }

    /// Every FETCH: message numbers and items.
    pub fn fetches(&self) -> Vec<(u32, &[(String, Value)])> {
        let fetch = |r| match r {
            &Response::Fetch { number, ref items } => Some((number, items.as_slice())),
            _ => None,
        };
        self.untagged.iter().filter_map(fetch).collect()
    }

    /// The item that was told of message `number`, last if more than once.
    pub fn item(&self, number: u32, name: &str) -> Option<&Value> {
        let items = self.fetches().into_iter().rev().filter(|f| f.0 == number).flat_map(|f| f.1);
        items.filter(|(n, _)| n == name).map(|(_, v)| v).next()
    }

    /// The message numbers of every EXPUNGE, in order.
    pub fn expunged(&self) -> Vec<u32> {
        self.untagged.iter().filter_map(|r| if let Response::Expunge(n) = r { Some(*n) } else { None }).collect()
    }

    /// The names of every LIST, LSUB or XLIST.
    pub fn names(&self) -> Vec<&str> {
        self.untagged
            .iter()
            .filter_map(|r| if let Response::List { name, .. } = r { Some(name.as_str()) } else { None })
            .collect()
    }

    /// The attributes of a listed mailbox.
    pub fn attributes(&self, mailbox: &str) -> Option<&[String]> {
        self.untagged.iter().find_map(|r| match r {
            Response::List { name, attributes, .. } if name == mailbox => Some(attributes.as_slice()),
            _ => None,
        })
    }

    /// A number that STATUS said.
    pub fn status(&self, mailbox: &str, item: &str) -> Option<u64> {
        self.status_value(mailbox, item).map(Value::number)
    }

    /// What STATUS said.
    pub fn status_value(&self, mailbox: &str, item: &str) -> Option<&Value> {
        self.untagged.iter().find_map(|r| match r {
            Response::Status { name, items } if name == mailbox => items.iter().find(|i| i.0 == item).map(|i| &i.1),
            _ => None,
        })
    }

    /// The UIDs of every VANISHED of this form, in order.
    pub fn vanished(&self, which: Form) -> Vec<u32> {
        let uids = self.untagged.iter().filter_map(|r| match r {
            Response::Vanished { earlier, uids } if *earlier == (which == Form::Earlier) => Some(uids.clone()),
            _ => None,
        });
        uids.flatten().collect()
    }

    /// HIGHESTMODSEQ, which must have been told once.
    pub fn highest_modseq(&self) -> u64 {
        self.code("HIGHESTMODSEQ").unwrap_or_else(|| panic!("no HIGHESTMODSEQ in {self:?}")).parse().unwrap()
    }

    /// MODSEQ of message `number`.
    pub fn modseq(&self, number: u32) -> u64 {
        self.item(number, "MODSEQ").unwrap_or_else(|| panic!("no MODSEQ of {number} in {self:?}")).number()
    }

    /// The numbers of SEARCH or of ESEARCH's ALL.
    pub fn found(&self) -> Vec<u32> {
        let found = self.untagged.iter().find_map(|r| match r {
            Response::Search { numbers, .. } => Some(numbers.clone()),
            Response::Esearch { items, .. } => {
                let all = items.iter().find(|(name, _)| name == "ALL").map(|(_, value)| value.text());
                Some(all.map_or_else(Vec::new, |all| expand(&all)))
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no SEARCH in {self:?}"))
    }
}

/// Which VANISHED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Now,
    Earlier,
}

/// The numbers of a set such as `1:3,7`.
pub fn expand(set: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().unwrap();
    set.split(',')
        .flat_map(|range| {
            let (a, b) = range.split_once(':').unwrap_or((range, range));
            number(a).min(number(b))..=number(a).max(number(b))
        })
        .collect()
}

/// A command that waits for its tagged response.
struct Pending {
    tag: String,
    /// In capitals, with `UID ` before it if it was a UID command.
    name: String,
    /// It asks for times of changes, and so for ever after (RFC 7162 section 3.1).
    condstore: bool,
}

pub struct Client {
    lexer: Lexer,
    next_tag: u32,
    pending: VecDeque<Pending>,
    /// The mailbox that is selected, or being selected.
    pub selected: Option<Mirror>,
    /// After `ENABLE IMAP4rev2`.
    rev2: bool,
    /// Some command was one that enables CONDSTORE.
    condstore: bool,
    /// After `ENABLE QRESYNC`.
    qresync: bool,
    bye: bool,
    /// Called when the client is dropped, the connection being closed by then.
    at_end: Option<Box<dyn FnOnce() + Send>>,
}

impl Client {
    /// Over a connection with a read timeout; reads nothing yet.
    pub fn new(wire: impl Wire + 'static) -> Self {
        Self {
            lexer: Lexer::new(Box::new(wire)),
            next_tag: 0,
            pending: VecDeque::new(),
            selected: None,
            rev2: false,
            condstore: false,
            qresync: false,
            bye: false,
            at_end: None,
        }
    }

    pub fn at_end(&mut self, done: impl FnOnce() + Send + 'static) {
        self.at_end = Some(Box::new(done));
    }

    /// Reads the greeting: OK, PREAUTH or BYE.
    pub fn greeting(&mut self) -> Response {
        let response = self.response();
        match &response {
            Response::Condition { tag: None, condition, .. }
                if ["OK", "PREAUTH", "BYE"].contains(&condition.as_str()) => {}
            other => panic!("no greeting: {other:?}"),
        }
        response
    }

    /// Reads one response, whatever it is, checks it and takes it in.
    pub fn response(&mut self) -> Response {
        assert!(!self.bye || self.lexer.peek_or_end().is_some(), "the connection was closed after BYE");
        let response = grammar::response(&mut self.lexer);
        match &response {
            Response::Enabled(names) => {
                let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
                self.rev2 |= has("IMAP4rev2");
                self.qresync |= has("QRESYNC");
                self.condstore |= has("QRESYNC") || has("CONDSTORE");
            }
            Response::Condition { tag: Some(tag), condition, code, .. } => {
                self.ended(tag.clone(), condition, code.as_ref())
            }
            Response::Condition { condition, .. } if condition == "BYE" => self.bye = true,
            _ => {}
        }
        if self.rev2 {
            self.check_rev2(&response);
        }
        self.check_condstore(&response);
        self.mirror(&response);
        if let (Response::Condition { tag: Some(_), .. }, Some(mirror)) = (&response, &mut self.selected) {
            mirror.tagged();
        }
        response
    }

    /// What a client hears of changes before and after it said that it wants to (RFC 7162 sections 3.2.4 and 3.2.10).
    fn check_condstore(&self, response: &Response) {
        let front = self.pending.front();
        match response {
            Response::Expunge(_) => assert!(!self.qresync, "{response:?} after ENABLE QRESYNC"),
            Response::Vanished { .. } => assert!(self.qresync, "{response:?} before ENABLE QRESYNC"),
            Response::Fetch { items, .. } => {
                let has = |name: &str| items.iter().any(|(n, _)| n == name);
                let asked = front.is_some_and(|p| p.name.ends_with("FETCH"));
                let wanted = self.condstore || front.is_some_and(|p| p.condstore);
                assert!(wanted || !has("MODSEQ"), "{response:?} to a client that did not ask for it");
                assert!(!wanted || asked || (has("UID") && has("MODSEQ")), "{response:?} without UID or MODSEQ");
            }
            _ => {}
        }
    }

    /// What IMAP4rev2 does not have any more (RFC 9051 appendix E, 12), and that every FETCH which was not asked for has the UID (21).
    fn check_rev2(&self, response: &Response) {
        let has_recent = |flags: &[String]| flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Recent"));
        match response {
            Response::Recent(_) => panic!("{response:?} after ENABLE IMAP4rev2"),
            Response::Flags(flags) => assert!(!has_recent(flags), "{response:?} after ENABLE IMAP4rev2"),
            Response::Fetch { items, .. } => {
                let flags = items.iter().find(|(name, _)| name == "FLAGS").map(|(_, value)| value.list());
                let flags: Vec<String> = flags.into_iter().flatten().map(Value::text).collect();
                assert!(!has_recent(&flags), "{response:?} after ENABLE IMAP4rev2");
                let asked = self.pending.front().is_some_and(|p| p.name.ends_with("FETCH"));
                assert!(asked || items.iter().any(|(name, _)| name == "UID"), "{response:?} without UID");
            }
            _ => {}
        }
    }

    fn mirror(&mut self, response: &Response) {
        let command = self.pending.front().map(|p| p.name.as_str());
        let selecting = matches!(command, Some("SELECT" | "EXAMINE"));
        match response {
            Response::Condition { code: Some(code), .. } if code.name == "CLOSED" => {
                assert!(selecting && self.selected.is_some(), "[CLOSED] with nothing to close");
                self.selected = None;
            }
            Response::Exists(_)
            | Response::Recent(_)
            | Response::Flags(_)
            | Response::Expunge(_)
            | Response::Vanished { .. }
            | Response::Fetch { .. }
                if self.selected.is_none() =>
            {
                assert!(selecting, "{response:?} with no mailbox selected");
                let mut mirror = Mirror::default();
                mirror.hear(response, command);
                self.selected = Some(mirror);
            }
            Response::Condition { tag: None, code: Some(_), .. } if selecting && self.selected.is_none() => {
                let mut mirror = Mirror::default();
                mirror.hear(response, command);
                self.selected = Some(mirror);
            }
            _ => {
                if let Some(mirror) = &mut self.selected {
                    mirror.hear(response, command);
                }
            }
        }
    }

    fn ended(&mut self, tag: String, condition: &str, code: Option<&Code>) {
        let pending = self.pending.pop_front().unwrap_or_else(|| panic!("tagged {tag} with no command in progress"));
        assert_eq!(pending.tag, tag, "answers out of order");
        self.condstore |= pending.condstore && condition != "BAD";
        let code_name = code.map_or("", |c| c.name.as_str());
        match (pending.name.as_str(), condition) {
            ("SELECT" | "EXAMINE", "OK") => {
                let rev2 = self.rev2;
                let mirror = self.selected.as_mut().expect("SELECT said nothing of the mailbox");
                mirror.check_complete(rev2);
                mirror.read_only = match code_name {
                    "READ-ONLY" => true,
                    "READ-WRITE" => false,
                    _ => panic!("{} ended in OK without READ-ONLY or READ-WRITE", pending.name),
                };
                assert!(mirror.read_only || pending.name == "SELECT", "EXAMINE is not READ-ONLY");
            }
            // RFC 9051 section 6.3.2: after a failure no mailbox is selected.
            ("SELECT" | "EXAMINE", "NO") | ("CLOSE" | "UNSELECT" | "LOGOUT", "OK") => self.selected = None,
            _ => {}
        }
    }

    fn begin(&mut self, command: &str) -> String {
        self.next_tag += 1;
        let tag = format!("t{}", self.next_tag);
        let mut words = command.split(' ').map(str::to_ascii_uppercase);
        let first = words.next().unwrap_or_default();
        let name = if first == "UID" { format!("UID {}", words.next().unwrap_or_default()) } else { first };
        let text = command.to_ascii_uppercase();
        let condstore = match name.as_str() {
            "SELECT" | "EXAMINE" => text.contains("(CONDSTORE") || text.contains("QRESYNC ("),
            "STATUS" | "LIST" => text.contains("HIGHESTMODSEQ"),
            "FETCH" | "UID FETCH" => text.contains("MODSEQ") || text.contains("CHANGEDSINCE"),
            "SEARCH" | "UID SEARCH" => text.contains("MODSEQ"),
            "STORE" | "UID STORE" => text.contains("UNCHANGEDSINCE"),
            _ => false,
        };
        self.pending.push_back(Pending { tag: tag.clone(), name, condstore });
        tag
    }

    /// Sends a command without waiting for its answer; says its tag. To be followed by [`Client::finish`].
    pub fn send(&mut self, command: &str) -> String {
        let tag = self.begin(command);
        self.send_raw(format!("{tag} {command}\r\n").as_bytes());
        tag
    }

    /// Sends octets as they are. A tag in them must be told with [`Client::expect_tag`] before its answer is read.
    pub fn send_raw(&mut self, octets: &[u8]) {
        if let Err(error) = self.lexer.wire.write_all(octets).and_then(|()| self.lexer.wire.flush()) {
            // A server may close after BYE while we still speak; the reading says what it said.
            assert!(
                matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset),
                "{error}"
            );
        }
    }

    /// A command `name` with this tag was sent by [`Client::send_raw`].
    pub fn expect_tag(&mut self, tag: &str, name: &str) {
        self.pending.push_back(Pending { tag: tag.into(), name: name.to_ascii_uppercase(), condstore: false });
    }

    /// Reads up to the tagged response of the command that was sent with `tag`.
    pub fn finish(&mut self, tag: &str) -> Answer {
        let mut untagged = Vec::new();
        loop {
            match self.response() {
                Response::Condition { tag: Some(t), condition, code, text } if t == tag => {
                    return Answer { condition, code, text, untagged };
                }
                Response::Condition { tag: Some(other), .. } => panic!("the answer to {other} while waiting for {tag}"),
                Response::Continue(text) => panic!("an unexpected continuation request: + {text}"),
                response => untagged.push(response),
            }
        }
    }

    /// Sends a command and waits for its answer.
    pub fn run(&mut self, command: &str) -> Answer {
        let tag = self.send(command);
        self.finish(&tag)
    }

    fn run_for(&mut self, command: &str, condition: &str) -> Answer {
        let answer = self.run(command);
        assert_eq!(answer.condition, condition, "{command}: {answer:?}");
        answer
    }

    /// A command that must succeed.
    pub fn ok(&mut self, command: &str) -> Answer {
        self.run_for(command, "OK")
    }

    /// A command that must be refused.
    pub fn no(&mut self, command: &str) -> Answer {
        self.run_for(command, "NO")
    }

    /// A command that must be no command.
    pub fn bad(&mut self, command: &str) -> Answer {
        self.run_for(command, "BAD")
    }

    /// Sends a command in pieces. When the server refuses a literal, the rest is not sent.
    pub fn command_with_literals(&mut self, parts: &[Part<'_>]) -> Answer {
        let name = match parts.first() {
            Some(Part::Text(text)) => *text,
            _ => panic!("a command begins with text"),
        };
        let tag = self.begin(name);
        let mut untagged = Vec::new();
        let mut waiting = format!("{tag} ").into_bytes();
        for part in parts {
            let octets = match part {
                Part::Text(text) => {
                    waiting.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::NonSync(octets) | Part::NonSync8(octets) => {
                    let tilde = if matches!(part, Part::NonSync8(_)) { "~" } else { "" };
                    waiting.extend_from_slice(format!("{tilde}{{{}+}}\r\n", octets.len()).as_bytes());
                    waiting.extend_from_slice(octets);
                    continue;
                }
                Part::Literal(octets) => octets,
            };
            waiting.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
            self.send_raw(&std::mem::take(&mut waiting));
            loop {
                match self.response() {
                    Response::Continue(_) => break,
                    Response::Condition { tag: Some(_), condition, code, text } => {
                        return Answer { condition, code, text, untagged };
                    }
                    response => untagged.push(response),
                }
            }
            waiting.extend_from_slice(octets);
        }
        waiting.extend_from_slice(b"\r\n");
        self.send_raw(&waiting);
        let mut answer = self.finish(&tag);
        untagged.append(&mut answer.untagged);
        Answer { untagged, ..answer }
    }

    /// APPEND of one message, which must succeed. `arguments` stand between the name and the message, such as ` (\Seen)`.
    pub fn append(&mut self, mailbox: &str, arguments: &str, message: &[u8]) -> Answer {
        let answer =
            self.command_with_literals(&[Part::Text(&format!("APPEND {mailbox}{arguments} ")), Part::NonSync(message)]);
        assert_eq!(answer.condition, "OK", "{answer:?}");
        answer
    }

    /// Reads a continuation request; panics at a tagged response.
    pub fn continuation(&mut self) -> String {
        loop {
            match self.response() {
                Response::Continue(text) => return text,
                Response::Condition { tag: Some(_), condition, text, .. } => panic!("{condition} {text} instead of +"),
                _ => {}
            }
        }
    }

    /// Begins IDLE; says its tag. What comes before the `+` is taken into the mirror.
    pub fn idle(&mut self) -> String {
        let tag = self.send("IDLE");
        self.continuation();
        tag
    }

    /// Reads until a response is the one waited for.
    pub fn wait_for(&mut self, mut wanted: impl FnMut(&Response) -> bool) -> Response {
        loop {
            let response = self.response();
            if wanted(&response) {
                return response;
            }
            assert!(
                !matches!(response, Response::Condition { tag: Some(_), .. }),
                "{response:?} before what was waited for"
            );
        }
    }

    /// Ends IDLE.
    pub fn done(&mut self, tag: &str) -> Answer {
        self.send_raw(b"DONE\r\n");
        let answer = self.finish(tag);
        assert_eq!(answer.condition, "OK", "{answer:?}");
        answer
    }

    /// Waits for the end of the connection; says what came before, BYE among it.
    pub fn closed(&mut self) -> Vec<Response> {
        let mut responses = Vec::new();
        while self.lexer.peek_or_end().is_some() {
            responses.push(self.response());
        }
        responses
    }

    /// The line of the next octets as they are, without its CRLF. Past the grammar and the mirror.
    pub fn expect_line(&mut self) -> String {
        self.lexer.begin();
        self.lexer.text_to_end()
    }

    /// The same, or `None` at the end of the connection; what stands there without a line end is left out.
    pub fn line_or_end(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            self.lexer.begin();
            line.push(self.lexer.peek_or_end()?);
            self.lexer.octet();
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }

    /// All octets that come before the connection ends.
    pub fn octets_to_the_end(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        loop {
            self.lexer.begin();
            let Some(octet) = self.lexer.peek_or_end() else { return octets };
            octets.push(octet);
            self.lexer.octet();
        }
    }

    /// The mirror of the selected mailbox.
    pub fn mirror_of_selected(&self) -> &Mirror {
        self.selected.as_ref().expect("no mailbox is selected")
    }

    /// Replaces the connection, as after STARTTLS; nothing may have been read ahead.
    pub fn upgrade(&mut self, over: impl FnOnce(Box<dyn Wire>) -> Box<dyn Wire>) {
        assert!(self.lexer.is_drained(), "plaintext after the answer to STARTTLS");
        let plain = std::mem::replace(&mut self.lexer.wire, Box::new(std::io::Cursor::new(Vec::new())));
        self.lexer.wire = over(plain);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.lexer.wire = Box::new(std::io::Cursor::new(Vec::new()));
        if let Some(done) = self.at_end.take() {
            done();
        }
    }
}
