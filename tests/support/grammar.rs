//! Every response that a server may send, as RFC 9051 and RFC 3501 write it. What is not here is refused.

use super::lexer::{Lexer, Value};

/// A response code: its name and what follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    pub name: String,
    /// Empty if nothing follows.
    pub arguments: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response {
    /// `+`
    Continue(String),
    /// `OK`, `NO`, `BAD`, `PREAUTH`, `BYE`; untagged without tag.
    Condition {
        tag: Option<String>,
        condition: String,
        code: Option<Code>,
        text: String,
    },
    Capability(Vec<String>),
    Enabled(Vec<String>),
    Flags(Vec<String>),
    /// LIST, LSUB or XLIST. The name is as on the wire.
    List {
        kind: String,
        attributes: Vec<String>,
        delimiter: Option<char>,
        name: String,
        extended: Vec<(String, Value)>,
    },
    Status {
        name: String,
        items: Vec<(String, Value)>,
    },
    Namespace(Vec<Value>),
    Id(Vec<(String, Option<String>)>),
    Search {
        numbers: Vec<u32>,
        modseq: Option<u64>,
    },
    Esearch {
        tag: Option<String>,
        uid: bool,
        items: Vec<(String, Value)>,
    },
    Exists(u32),
    Recent(u32),
    Expunge(u32),
    /// RFC 7162 section 3.2.10
    Vanished {
        earlier: bool,
        uids: Vec<u32>,
    },
    /// Items by their names as on the wire, such as `BODY[1.MIME]<0>`.
    Fetch {
        number: u32,
        items: Vec<(String, Value)>,
    },
}

/// Response codes without arguments (RFC 9051 section 7.1, RFC 3501 section 7.1, RFC 6154, RFC 7888).
const BARE_CODES: &[&str] = &[
    "ALERT",
    "ALREADYEXISTS",
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "CANNOT",
    "CLIENTBUG",
    "CLOSED",
    "CONTACTADMIN",
    "CORRUPTION",
    "EXPIRED",
    "EXPUNGEISSUED",
    "HASCHILDREN",
    "INUSE",
    "LIMIT",
    "NONEXISTENT",
    "NOPERM",
    "NOTSAVED",
    "OVERQUOTA",
    "PARSE",
    "PRIVACYREQUIRED",
    "READ-ONLY",
    "READ-WRITE",
    "SERVERBUG",
    "TOOBIG",
    "TRYCREATE",
    "UIDNOTSTICKY",
    "UNAVAILABLE",
    "UNKNOWN-CTE",
    "USEATTR",
];

/// Reads one response.
pub fn response(lexer: &mut Lexer) -> Response {
    lexer.begin();
    if lexer.take(b'+') {
        // RFC 9051 and RFC 3501 want a space even before nothing.
        lexer.space();
        if lexer.peek() == b'\r' {
            lexer.crlf();
            return Response::Continue(String::new());
        }
        return Response::Continue(lexer.text_to_end());
    }
    if lexer.take(b'*') {
        lexer.space();
        return untagged(lexer);
    }
    let tag = lexer.tag();
    lexer.space();
    let condition = lexer.atom();
    if !["OK", "NO", "BAD"].contains(&condition.as_str()) {
        lexer.fail("a tagged response that is neither OK nor NO nor BAD");
    }
    condition_rest(lexer, Some(tag), condition)
}

fn untagged(lexer: &mut Lexer) -> Response {
    if lexer.peek().is_ascii_digit() {
        return numbered(lexer);
    }
    let name = lexer.atom();
    let response = match name.as_str() {
        "OK" | "NO" | "BAD" | "PREAUTH" | "BYE" => return condition_rest(lexer, None, name),
        "CAPABILITY" => {
            let capabilities = atoms_to_end(lexer);
            check_capabilities(lexer, &capabilities);
            return Response::Capability(capabilities);
        }
        "ENABLED" => {
            let enabled = atoms_to_end(lexer);
            lexer.utf8 |=
                enabled.iter().any(|e| e.eq_ignore_ascii_case("IMAP4rev2") || e.eq_ignore_ascii_case("UTF8=ACCEPT"));
            return Response::Enabled(enabled);
        }
        "FLAGS" => {
            lexer.space();
            Response::Flags(lexer.flags())
        }
        "LIST" | "LSUB" | "XLIST" => list(lexer, name),
        "STATUS" => status(lexer),
        "NAMESPACE" => namespace(lexer),
        "ID" => id(lexer),
        "SEARCH" => {
            if lexer.utf8 {
                lexer.fail("SEARCH where IMAP4rev2 has ESEARCH");
            }
            let (mut numbers, mut modseq) = (Vec::new(), None);
            while lexer.peek() != b'\r' {
                lexer.space();
                if !numbers.is_empty() && lexer.take(b'(') {
                    lexer.expect("MODSEQ ");
                    modseq = Some(mod_sequence(lexer));
                    lexer.expect(")");
                    break;
                }
                numbers.push(lexer.nz_number());
            }
            Response::Search { numbers, modseq }
        }
        "VANISHED" => {
            lexer.space();
            let earlier = lexer.take(b'(');
            if earlier {
                lexer.expect("EARLIER) ");
            }
            let text = lexer.until(b'\r');
            Response::Vanished { earlier, uids: set(lexer, &text) }
        }
        "ESEARCH" => esearch(lexer),
        _ => lexer.fail("an untagged response of no known name"),
    };
    lexer.crlf();
    response
}

fn numbered(lexer: &mut Lexer) -> Response {
    let number = lexer.number();
    lexer.space();
    let name = lexer.atom();
    let response = match name.as_str() {
        "EXISTS" => Response::Exists(number),
        "RECENT" => Response::Recent(number),
        "EXPUNGE" => Response::Expunge(number),
        "FETCH" => {
            lexer.space();
            let items = fetch_items(lexer);
            Response::Fetch { number, items }
        }
        _ => lexer.fail("a numbered response of no known name"),
    };
    if number == 0 && matches!(response, Response::Expunge(_) | Response::Fetch { .. }) {
        lexer.fail("message number zero");
    }
    lexer.crlf();
    response
}

/// `SP resp-text CRLF`
fn condition_rest(lexer: &mut Lexer, tag: Option<String>, condition: String) -> Response {
    lexer.space();
    let mut code = None;
    if lexer.take(b'[') {
        code = Some(response_code(lexer));
        lexer.expect("]");
        lexer.space();
    }
    Response::Condition { tag, condition, code, text: lexer.text_to_end() }
}

fn response_code(lexer: &mut Lexer) -> Code {
    let name = lexer.atom();
    if BARE_CODES.contains(&name.as_str()) {
        return Code { name, arguments: String::new() };
    }
    if name == "BADCHARSET" && lexer.peek() == b']' {
        return Code { name, arguments: String::new() };
    }
    lexer.space();
    let arguments = match name.as_str() {
        "CAPABILITY" => {
            let text = lexer.until(b']');
            check_capabilities(lexer, &text.split(' ').map(String::from).collect::<Vec<_>>());
            text
        }
        "UIDNEXT" | "UIDVALIDITY" | "UNSEEN" => lexer.nz_number().to_string(),
        "HIGHESTMODSEQ" => mod_sequence(lexer).to_string(),
        "MAILBOXID" => object_id(lexer),
        "MODIFIED" => {
            let numbers = lexer.until(b']');
            set(lexer, &numbers);
            numbers
        }
        "PERMANENTFLAGS" => {
            let flags = lexer.parenthesized(|lexer| {
                if lexer.take(b'\\') {
                    let any = lexer.take(b'*');
                    if any { "\\*".to_owned() } else { format!("\\{}", lexer.atom()) }
                } else {
                    lexer.atom()
                }
            });
            if flags.iter().any(|f| f.eq_ignore_ascii_case("\\Recent")) {
                lexer.fail("\\Recent among PERMANENTFLAGS");
            }
            flags.join(" ")
        }
        "APPENDUID" => {
            let validity = lexer.nz_number();
            lexer.space();
            let uids = lexer.atom();
            set(lexer, &uids);
            format!("{validity} {uids}")
        }
        "COPYUID" => {
            let validity = lexer.nz_number();
            lexer.space();
            let from = lexer.atom();
            lexer.space();
            let to = lexer.atom();
            if set(lexer, &from).len() != set(lexer, &to).len() {
                lexer.fail("COPYUID with sets of different sizes");
            }
            format!("{validity} {from} {to}")
        }
        "BADCHARSET" => {
            let charsets = lexer.parenthesized(Lexer::astring);
            String::from_utf8(charsets.join(&b' ')).unwrap_or_default()
        }
        _ => lexer.fail("a response code of no known name"),
    };
    Code { name, arguments }
}

/// `mod-sequence-value`
fn mod_sequence(lexer: &mut Lexer) -> u64 {
    match lexer.value().as_number() {
        Some(number) if number > 0 => number,
        _ => lexer.fail("no modification sequence"),
    }
}

/// `"(" objectid ")"`
fn object_id(lexer: &mut Lexer) -> String {
    lexer.expect("(");
    let id = lexer.atom();
    if id.len() > 255 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        lexer.fail("no object identifier");
    }
    lexer.expect(")");
    id
}

/// `uid-set`, every number once.
pub fn set(lexer: &Lexer, text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for range in text.split(',') {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        let number = |t: &str| match t.parse::<u32>() {
            Ok(n) if n > 0 && !t.starts_with(['0', '+']) => n,
            _ => lexer.fail(&format!("{text:?} is no set of numbers")),
        };
        let (a, b) = (number(a), number(b));
        numbers.extend(a.min(b)..=a.max(b));
    }
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != numbers.len() {
        lexer.fail(&format!("a number twice in the set {text:?}"));
    }
    numbers
}

fn atoms_to_end(lexer: &mut Lexer) -> Vec<String> {
    let mut atoms = Vec::new();
    while lexer.peek() != b'\r' {
        lexer.space();
        atoms.push(lexer.atom());
    }
    lexer.crlf();
    atoms
}

fn check_capabilities(lexer: &Lexer, capabilities: &[String]) {
    if !capabilities.iter().any(|c| c == "IMAP4rev1") {
        lexer.fail("a capability list without IMAP4rev1");
    }
    for (i, capability) in capabilities.iter().enumerate() {
        if capability.is_empty() || capabilities[..i].iter().any(|c| c.eq_ignore_ascii_case(capability)) {
            lexer.fail(&format!("the capability {capability:?} is empty or there twice"));
        }
    }
}

/// A mailbox name as on the wire: INBOX in capitals, and before ENABLE IMAP4rev2 modified UTF-7 (RFC 3501 section 5.1.3).
fn mailbox(lexer: &mut Lexer) -> String {
    let octets = lexer.astring();
    let name = String::from_utf8(octets).unwrap_or_else(|_| lexer.fail("a mailbox name that is not UTF-8"));
    if name.eq_ignore_ascii_case("INBOX") && name != "INBOX" {
        lexer.fail("INBOX not in capitals");
    }
    if name.chars().any(char::is_control) {
        lexer.fail("a control character in a mailbox name");
    }
    if !lexer.utf8 {
        if !name.is_ascii() {
            lexer.fail("a mailbox name not in modified UTF-7");
        }
        for shifted in name.split('&').skip(1) {
            let base64 = shifted.split_once('-').map(|(base64, _)| base64);
            if !base64.is_some_and(|b| b.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b',')) {
                lexer.fail("a mailbox name with a wrong shift in its modified UTF-7");
            }
        }
    }
    name
}

fn delimiter(lexer: &mut Lexer) -> Option<char> {
    if lexer.peek() != b'"' {
        lexer.expect("NIL");
        return None;
    }
    let quoted = String::from_utf8(lexer.quoted()).unwrap_or_default();
    let mut chars = quoted.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Some(c),
        _ => lexer.fail("a delimiter that is not one character"),
    }
}

fn list(lexer: &mut Lexer, kind: String) -> Response {
    lexer.space();
    let attributes = lexer.flags();
    if attributes.iter().any(|a| !a.starts_with('\\')) {
        lexer.fail("a mailbox attribute without backslash");
    }
    let has = |name: &str| attributes.iter().any(|a| a.eq_ignore_ascii_case(name));
    if has("\\HasChildren") && has("\\HasNoChildren") || has("\\Marked") && has("\\Unmarked") {
        lexer.fail("mailbox attributes that exclude each other");
    }
    if (has("\\Noselect") || has("\\NonExistent")) && (has("\\Marked") || has("\\Unmarked")) {
        lexer.fail("two selectability attributes");
    }
    lexer.space();
    let delimiter = delimiter(lexer);
    lexer.space();
    let name = mailbox(lexer);
    let mut extended = Vec::new();
    if lexer.take(b' ') {
        extended = lexer.parenthesized(|lexer| {
            let tag = String::from_utf8(lexer.astring()).unwrap_or_default();
            lexer.space();
            let value = lexer.value();
            match tag.as_str() {
                "CHILDINFO" | "OLDNAME" if matches!(&value, Value::List(l) if !l.is_empty()) => {}
                _ => lexer.fail("an extended item of LIST that is neither CHILDINFO nor OLDNAME"),
            }
            (tag, value)
        });
    }
    Response::List { kind, attributes, delimiter, name, extended }
}

fn status(lexer: &mut Lexer) -> Response {
    lexer.space();
    let name = mailbox(lexer);
    lexer.space();
    let items = lexer.parenthesized(|lexer| {
        let item = lexer.atom();
        lexer.space();
        let number = match item.as_str() {
            "MESSAGES" | "UNSEEN" | "DELETED" | "RECENT" => Value::Atom(lexer.number().to_string()),
            "UIDNEXT" | "UIDVALIDITY" => Value::Atom(lexer.nz_number().to_string()),
            "HIGHESTMODSEQ" => Value::Atom(mod_sequence(lexer).to_string()),
            "MAILBOXID" => Value::Text(object_id(lexer).into_bytes()),
            "SIZE" | "APPENDLIMIT" => {
                let value = lexer.value();
                if value.as_number().is_none() {
                    lexer.fail("no number of 63 bits");
                }
                value
            }
            _ => lexer.fail("a status item of no known name"),
        };
        (item, number)
    });
    Response::Status { name, items }
}

fn namespace(lexer: &mut Lexer) -> Response {
    let mut kinds = Vec::new();
    for _ in 0..3 {
        lexer.space();
        let kind = lexer.value();
        if let Value::List(namespaces) = &kind {
            for namespace in namespaces {
                let good = match namespace {
                    Value::List(fields) => {
                        matches!(fields.as_slice(), [Value::Text(_), Value::Text(d)] if d.len() == 1)
                            || matches!(fields.as_slice(), [Value::Text(_), Value::Nil])
                    }
                    _ => false,
                };
                if !good {
                    lexer.fail("a namespace that is not a prefix and a delimiter");
                }
            }
        } else if kind != Value::Nil {
            lexer.fail("neither namespaces nor NIL");
        }
        if kind == Value::List(Vec::new()) {
            lexer.fail("an empty list of namespaces");
        }
        kinds.push(kind);
    }
    Response::Namespace(kinds)
}

fn id(lexer: &mut Lexer) -> Response {
    lexer.space();
    if lexer.peek() != b'(' {
        lexer.expect("NIL");
        return Response::Id(Vec::new());
    }
    let pairs = lexer.parenthesized(|lexer| {
        let field = String::from_utf8(lexer.string()).unwrap_or_default();
        lexer.space();
        let value = lexer.nstring();
        (field, (value != Value::Nil).then(|| value.text()))
    });
    Response::Id(pairs)
}

/// RFC 9051 section 7.3.4 (`esearch-response`)
fn esearch(lexer: &mut Lexer) -> Response {
    let (mut tag, mut uid, mut items) = (None, false, Vec::new());
    let mut first = true;
    while lexer.take(b' ') {
        if first && lexer.take(b'(') {
            lexer.expect("TAG ");
            tag = Some(String::from_utf8(lexer.string()).unwrap_or_default());
            lexer.expect(")");
            first = false;
            continue;
        }
        first = false;
        let name = lexer.atom();
        if name == "UID" && items.is_empty() && !uid {
            uid = true;
            continue;
        }
        lexer.space();
        let value = lexer.value();
        match (name.as_str(), &value) {
            ("MIN" | "MAX", value) if value.as_number().is_some_and(|n| n > 0) => {}
            ("COUNT", value) if value.as_number().is_some() => {}
            ("MODSEQ", value) if value.as_number().is_some_and(|n| n > 0) => {}
            ("ALL", Value::Atom(text)) => drop(set(lexer, text)),
            _ => lexer.fail("wrong or unknown return data of ESEARCH"),
        }
        if items.iter().any(|(n, _)| *n == name) {
            lexer.fail("return data of ESEARCH twice");
        }
        items.push((name, value));
    }
    Response::Esearch { tag, uid, items }
}

/// `msg-att`
fn fetch_items(lexer: &mut Lexer) -> Vec<(String, Value)> {
    let items = lexer.parenthesized(|lexer| {
        let mut name = String::new();
        while !matches!(lexer.peek(), b' ' | b'[' | b'\r') {
            name.push(char::from(lexer.octet()));
        }
        let mut whole = name.clone();
        if lexer.take(b'[') {
            let section = lexer.until(b']');
            lexer.expect("]");
            if !is_section(&section) {
                lexer.fail("a wrong section");
            }
            whole = format!("{name}[{section}]");
            if lexer.take(b'<') {
                whole = format!("{whole}<{}>", lexer.number());
                lexer.expect(">");
            }
            name.push_str("[]");
        }
        lexer.space();
        let value = match name.as_str() {
            "FLAGS" => Value::List(lexer.flags().into_iter().map(Value::Atom).collect()),
            "UID" => Value::Atom(lexer.nz_number().to_string()),
            "RFC822.SIZE" | "BINARY.SIZE[]" => {
                let value = lexer.value();
                if value.as_number().is_none() {
                    lexer.fail("a size that is no number");
                }
                value
            }
            "MODSEQ" => {
                lexer.expect("(");
                let modseq = mod_sequence(lexer).to_string();
                lexer.expect(")");
                Value::Atom(modseq)
            }
            "EMAILID" => Value::Text(object_id(lexer).into_bytes()),
            "THREADID" | "SAVEDATE" if lexer.peek() == b'N' => {
                lexer.expect("NIL");
                Value::Nil
            }
            "THREADID" => Value::Text(object_id(lexer).into_bytes()),
            "INTERNALDATE" | "SAVEDATE" => {
                let date = lexer.quoted();
                if !is_date_time(&date) {
                    lexer.fail("a wrong date-time");
                }
                Value::Text(date)
            }
            "ENVELOPE" => {
                let value = lexer.value();
                super::structure::envelope(&value).unwrap_or_else(|why| lexer.fail(&why));
                value
            }
            "BODY" | "BODYSTRUCTURE" => {
                let value = lexer.value();
                let extended = name == "BODYSTRUCTURE";
                super::structure::body(&value, extended).unwrap_or_else(|why| lexer.fail(&why));
                value
            }
            "BODY[]" | "RFC822" | "RFC822.HEADER" | "RFC822.TEXT" => lexer.nstring(),
            "BINARY[]" => lexer.nstring_or_literal8(),
            _ => lexer.fail("a FETCH item of no known name"),
        };
        (whole, value)
    });
    if items.is_empty() {
        lexer.fail("FETCH with nothing in it");
    }
    for (i, (name, _)) in items.iter().enumerate() {
        if items[..i].iter().any(|(n, _)| n == name) {
            lexer.fail(&format!("{name} twice in one FETCH"));
        }
    }
    items
}

/// `[section-spec]`
fn is_section(section: &str) -> bool {
    let digits = section.len() - section.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (part, text) = section.split_at(digits);
    let (numbers, text) = match part.strip_suffix('.') {
        Some(numbers) if !text.is_empty() => (numbers, text),
        _ if !part.is_empty() && !text.is_empty() => return false,
        _ => (part, text),
    };
    let numbers_good = numbers.is_empty() || numbers.split('.').all(|n| n.parse::<u32>().is_ok_and(|n| n > 0));
    let fields =
        |rest: &str| rest.strip_prefix(" (").and_then(|r| r.strip_suffix(')')).is_some_and(|r| !r.trim().is_empty());
    let text_good = match text {
        "" | "HEADER" | "TEXT" => true,
        "MIME" => !numbers.is_empty(),
        _ => text.strip_prefix("HEADER.FIELDS.NOT").or_else(|| text.strip_prefix("HEADER.FIELDS")).is_some_and(fields),
    };
    numbers_good && text_good
}

/// `date-time` without its quotes: ` 1-Jan-2026 00:00:00 +0000`
fn is_date_time(text: &[u8]) -> bool {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let number = |range: std::ops::Range<usize>, max: u32| {
        text.get(range)
            .is_some_and(|t| t.bytes().all(|b| b.is_ascii_digit()) && t.parse::<u32>().is_ok_and(|n| n <= max))
    };
    let month = text.get(3..6).and_then(|m| MONTHS.find(m)).is_some_and(|at| at % 3 == 0);
    let day = number(0..2, 31) || text.starts_with(' ') && number(1..2, 9);
    let marks = [(2, '-'), (6, '-'), (11, ' '), (14, ':'), (17, ':'), (20, ' ')];
    text.len() == 26
        && day
        && !text.starts_with(" 0")
        && month
        && number(7..11, 9999)
        && number(12..14, 23)
        && number(15..17, 59)
        && number(18..20, 60)
        && matches!(text.get(21..22), Some("+" | "-"))
        && number(22..26, 9999)
        && marks.iter().all(|&(at, c)| text[at..].starts_with(c))
}
