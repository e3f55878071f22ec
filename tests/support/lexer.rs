//! The words of IMAP, read octet by octet from a server that is not trusted to write them well. What the grammar does not allow
//! panics, with all that was read of the response.

use std::io::{ErrorKind, Read, Write};

/// What a client talks over. It must have a read timeout, so that a server that says nothing fails the test.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A value in parentheses or by itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Nil,
    /// An atom, a number or a flag.
    Atom(String),
    /// Quoted or literal.
    Text(Vec<u8>),
    /// `~{n}`
    Literal8(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    /// Of a string.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Text(octets) | Value::Literal8(octets) => octets,
            other => panic!("not a string: {other:?}"),
        }
    }

    /// Of a string or an atom.
    pub fn text(&self) -> String {
        match self {
            Value::Atom(atom) => atom.clone(),
            other => String::from_utf8(other.bytes().to_vec()).expect("UTF-8"),
        }
    }

    pub fn number(&self) -> u64 {
        self.as_number().unwrap_or_else(|| panic!("not a number: {self:?}"))
    }

    pub fn as_number(&self) -> Option<u64> {
        match self {
            Value::Atom(a) if a.bytes().all(|b| b.is_ascii_digit()) && (a == "0" || !a.starts_with('0')) => {
                a.parse().ok()
            }
            _ => None,
        }
    }

    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(values) => values,
            other => panic!("not a list: {other:?}"),
        }
    }

    pub fn is_string(&self) -> bool {
        matches!(self, Value::Text(_))
    }

    pub fn is_nstring(&self) -> bool {
        matches!(self, Value::Text(_) | Value::Nil)
    }
}

/// As on the wire, all strings quoted; so a whole structure can be compared with a text.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Nil => f.write_str("NIL"),
            Value::Atom(atom) => f.write_str(atom),
            Value::Text(octets) => write!(f, "{:?}", String::from_utf8_lossy(octets)),
            Value::Literal8(octets) => write!(f, "~{:?}", String::from_utf8_lossy(octets)),
            Value::List(values) => {
                f.write_str("(")?;
                for (i, value) in values.iter().enumerate() {
                    // Bodies in a multipart stand without a space between them.
                    let bodies = i > 0 && matches!((&values[i - 1], value), (Value::List(_), Value::List(_)));
                    write!(f, "{}{value:?}", if i > 0 && !bodies { " " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Reads from the server.
pub struct Lexer {
    pub wire: Box<dyn Wire>,
    ahead: Vec<u8>,
    at: usize,
    /// What was read of the current response, for the message of a panic.
    so_far: Vec<u8>,
    /// 8-bit is allowed where RFC 9051 allows it.
    pub utf8: bool,
}

impl Lexer {
    pub fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, ahead: Vec::new(), at: 0, so_far: Vec::new(), utf8: false }
    }

    pub fn begin(&mut self) {
        self.so_far.clear();
    }

    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}, after {:?}", String::from_utf8_lossy(&self.so_far))
    }

    /// Nothing is read ahead.
    pub fn is_drained(&self) -> bool {
        self.at == self.ahead.len()
    }

    /// The next octet, not used up; `None` at the end of the stream.
    pub fn peek_or_end(&mut self) -> Option<u8> {
        while self.is_drained() {
            let mut buffer = vec![0; 64 * 1024];
            match self.wire.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => {
                    buffer.truncate(n);
                    (self.ahead, self.at) = (buffer, 0);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.fail("the server says nothing")
                }
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return None,
                Err(e) => self.fail(&format!("reading: {e}")),
            }
        }
        Some(self.ahead[self.at])
    }

    pub fn peek(&mut self) -> u8 {
        self.peek_or_end().unwrap_or_else(|| self.fail("the server closed the connection"))
    }

    pub fn octet(&mut self) -> u8 {
        let octet = self.peek();
        self.at += 1;
        self.so_far.push(octet);
        octet
    }

    pub fn expect(&mut self, text: &str) {
        for wanted in text.bytes() {
            let octet = self.octet();
            if octet != wanted {
                self.fail(&format!("{:?} where {text:?} belongs", char::from(octet)));
            }
        }
    }

    /// Uses the octet up if it comes next.
    pub fn take(&mut self, octet: u8) -> bool {
        let there = self.peek() == octet;
        if there {
            self.octet();
        }
        there
    }

    pub fn space(&mut self) {
        self.expect(" ");
    }

    pub fn crlf(&mut self) {
        self.expect("\r\n");
    }

    fn while_octet(&mut self, test: impl Fn(u8) -> bool) -> String {
        let mut out = String::new();
        while test(self.peek()) {
            out.push(char::from(self.octet()));
        }
        out
    }

    /// `1*ATOM-CHAR`
    pub fn atom(&mut self) -> String {
        let atom = self.while_octet(is_atom_char);
        if atom.is_empty() {
            self.fail("no atom");
        }
        atom
    }

    /// `1*<any ASTRING-CHAR except "+">`
    pub fn tag(&mut self) -> String {
        let tag = self.while_octet(|b| (is_atom_char(b) || b == b']') && b != b'+');
        if tag.is_empty() {
            self.fail("no tag");
        }
        tag
    }

    /// 32 bits, without leading zeros.
    pub fn number(&mut self) -> u32 {
        let digits = self.while_octet(|b| b.is_ascii_digit());
        if digits.len() > 1 && digits.starts_with('0') {
            self.fail("a number with a leading zero");
        }
        digits.parse().unwrap_or_else(|_| self.fail("no number of 32 bits"))
    }

    pub fn nz_number(&mut self) -> u32 {
        let number = self.number();
        if number == 0 {
            self.fail("a zero");
        }
        number
    }

    /// A system flag, a keyword, or an attribute of a mailbox.
    pub fn flag(&mut self) -> String {
        if self.take(b'\\') { format!("\\{}", self.atom()) } else { self.atom() }
    }

    /// `"(" [flag *(SP flag)] ")"`, none twice.
    pub fn flags(&mut self) -> Vec<String> {
        let flags = self.parenthesized(Self::flag);
        for (i, flag) in flags.iter().enumerate() {
            if flags[..i].iter().any(|f| f.eq_ignore_ascii_case(flag)) {
                self.fail(&format!("{flag} twice"));
            }
        }
        flags
    }

    /// `"(" [item *(SP item)] ")"`
    pub fn parenthesized<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.expect("(");
        let mut items = Vec::new();
        while !self.take(b')') {
            if !items.is_empty() {
                self.space();
            }
            items.push(item(self));
        }
        items
    }

    pub fn quoted(&mut self) -> Vec<u8> {
        self.expect("\"");
        let mut out = Vec::new();
        loop {
            match self.octet() {
                b'"' => break,
                b'\\' => match self.octet() {
                    octet @ (b'"' | b'\\') => out.push(octet),
                    _ => self.fail("a backslash in a quoted string before neither a quote nor a backslash"),
                },
                b'\r' | b'\n' | 0 => self.fail("CR, LF or NUL in a quoted string"),
                octet if octet >= 0x80 && !self.utf8 => self.fail("8-bit in a quoted string before ENABLE IMAP4rev2"),
                octet => out.push(octet),
            }
        }
        if std::str::from_utf8(&out).is_err() {
            self.fail("a quoted string that is not UTF-8");
        }
        out
    }

    /// The octets of `{n}`.
    fn literal(&mut self) -> Vec<u8> {
        self.expect("{");
        let length = self.number();
        self.expect("}\r\n");
        // The octets would only drown the message of a panic.
        let kept = self.so_far.len();
        let octets: Vec<u8> = (0..length).map(|_| self.octet()).collect();
        if length > 2000 {
            self.so_far.truncate(kept);
            self.so_far.extend_from_slice(b"...");
        }
        octets
    }

    /// `string`
    pub fn string(&mut self) -> Vec<u8> {
        if self.peek() == b'"' {
            return self.quoted();
        }
        let octets = self.literal();
        if octets.contains(&0) {
            self.fail("NUL in a literal");
        }
        octets
    }

    /// `nstring`
    pub fn nstring(&mut self) -> Value {
        if matches!(self.peek(), b'"' | b'{') {
            return Value::Text(self.string());
        }
        match self.atom().as_str() {
            "NIL" => Value::Nil,
            _ => self.fail("neither a string nor NIL"),
        }
    }

    /// `nstring / literal8`
    pub fn nstring_or_literal8(&mut self) -> Value {
        if self.take(b'~') { Value::Literal8(self.literal()) } else { self.nstring() }
    }

    /// `astring`
    pub fn astring(&mut self) -> Vec<u8> {
        if matches!(self.peek(), b'"' | b'{') {
            return self.string();
        }
        let atom = self.while_octet(|b| is_atom_char(b) || b == b']');
        if atom.is_empty() {
            self.fail("no astring");
        }
        atom.into_bytes()
    }

    /// Strings, NIL, atoms, numbers and lists of such. Between lists no space is needed, as in a multipart's bodies; [`super::grammar`] checks
    /// what belongs where.
    pub fn value(&mut self) -> Value {
        match self.peek() {
            b'"' | b'{' => Value::Text(self.string()),
            b'(' => {
                self.expect("(");
                let mut values: Vec<Value> = Vec::new();
                while !self.take(b')') {
                    let bodies = self.peek() == b'(' && matches!(values.last(), Some(Value::List(_)));
                    if !values.is_empty() && !bodies {
                        self.space();
                    }
                    values.push(self.value());
                }
                Value::List(values)
            }
            b'\\' => Value::Atom(self.flag()),
            _ => {
                // Sets such as 1:3,7 are atoms too.
                let atom = self.atom();
                if atom == "NIL" { Value::Nil } else { Value::Atom(atom) }
            }
        }
    }

    /// The rest of the line, which is not empty, and its CRLF.
    pub fn text_to_end(&mut self) -> String {
        let mut out = Vec::new();
        while self.peek() != b'\r' {
            match self.octet() {
                b'\n' | 0 => self.fail("LF or NUL in a text"),
                octet if octet >= 0x80 && !self.utf8 => self.fail("8-bit in a text before ENABLE IMAP4rev2"),
                octet => out.push(octet),
            }
        }
        self.crlf();
        if out.is_empty() {
            self.fail("an empty text");
        }
        String::from_utf8(out).unwrap_or_else(|_| self.fail("a text that is not UTF-8"))
    }

    /// Up to, without, the octet `end`, which must come before the end of the line.
    pub fn until(&mut self, end: u8) -> String {
        let (mut out, mut quoted) = (Vec::new(), false);
        while quoted || self.peek() != end {
            let octet = self.octet();
            quoted ^= octet == b'"';
            if matches!(octet, b'\r' | b'\n' | 0) {
                self.fail(&format!("the line ends before {:?}", char::from(end)));
            }
            out.push(octet);
        }
        String::from_utf8(out).unwrap_or_else(|_| self.fail("not UTF-8"))
    }
}

fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}
