//! A position in a framed command: atom, astring, string, number, list; errors with their place.

use super::Dialect;
use super::encode::{is_astring_char, is_atom_char};
use super::frame::LiteralHeader;
use crate::limits;
use crate::types::{Flags, Keyword, ObjectId, SystemFlag};
use std::borrow::Cow;

/// Why a command cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyntaxError {
    /// `BAD`: what was expected, and the octet at which it was missing.
    Expected { what: &'static str, at: usize },
    /// `BAD`: over a limit; the text names it.
    Limit(&'static str),
    /// `NO [CANNOT]`: right as an astring, but no mailbox name that can exist.
    Mailbox(&'static str),
    /// `NO [BADCHARSET (...)]`: SEARCH with a charset that is not known. If it was to save its result, that is now empty (RFC 5182
    /// section 2.1).
    Charset { saving: bool },
    /// `BAD`: no such command.
    UnknownCommand,
}

/// What a parser gives.
pub type Parse<T> = Result<T, SyntaxError>;

/// A position in a framed command. What a method does not find it leaves, except in case of an error, after which nothing is read any more.
pub struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
    dialect: Dialect,
    depth: usize,
    lists: usize,
}

impl<'a> Cursor<'a> {
    /// At the first octet.
    pub fn new(octets: &'a [u8], dialect: Dialect) -> Self {
        Self { octets, at: 0, dialect, depth: 0, lists: 0 }
    }

    /// The revision by which mailbox names are read.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether every octet was taken.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// The next octet, which is not taken.
    pub fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// The error that `what` was expected here.
    pub fn expected(&self, what: &'static str) -> SyntaxError {
        SyntaxError::Expected { what, at: self.at }
    }

    /// The end of the command. Blanks before it, which no reading needs, are forgiven.
    pub fn end(&mut self) -> Parse<()> {
        while self.take(b' ') {}
        if self.is_at_end() { Ok(()) } else { Err(self.expected("the end of the command")) }
    }

    /// Whether only blanks are left.
    pub fn ends_here(&self) -> bool {
        self.rest().iter().all(|&b| b == b' ')
    }

    fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// Takes this octet if it is the next.
    pub fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Takes this octet, which must be the next.
    pub fn expect(&mut self, octet: u8, what: &'static str) -> Parse<()> {
        if self.take(octet) { Ok(()) } else { Err(self.expected(what)) }
    }

    /// Exactly one blank (RFC 9051 section 9, note 2).
    pub fn space(&mut self) -> Parse<()> {
        self.expect(b' ', "a space")
    }

    /// Takes this text in any case, whatever follows it.
    pub fn take_word(&mut self, word: &str) -> bool {
        let found = crate::encoding::ascii::starts_with(self.rest(), word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Takes the next octet if it is a digit, and gives its value.
    pub fn take_digit(&mut self) -> Option<u8> {
        let digit = self.peek().filter(u8::is_ascii_digit)?;
        self.at += 1;
        Some(digit - b'0')
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let size = self.rest().iter().take_while(|&&b| belongs(b)).count();
        let run = self.rest().get(..size).unwrap_or_default();
        self.at += size;
        run
    }

    /// A run that the predicate, true of US-ASCII only, accepts; not empty.
    fn ascii_run(&mut self, belongs: impl Fn(u8) -> bool, what: &'static str) -> Parse<&'a str> {
        let place = self.expected(what);
        match std::str::from_utf8(self.run(|b| b.is_ascii() && belongs(b))) {
            Ok(run) if !run.is_empty() => Ok(run),
            _ => Err(place),
        }
    }

    /// A name of the grammar (a command, an item, a key, an option) in capitals: letters, digits, `.`, `-` and `_`.
    pub fn word(&mut self, what: &'static str) -> Parse<String> {
        let word = self.ascii_run(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'), what)?;
        Ok(word.to_ascii_uppercase())
    }

    /// ```abnf
    /// tag = 1*<any ASTRING-CHAR except "+">
    /// ```
    pub fn tag(&mut self) -> Parse<&'a str> {
        self.ascii_run(|b| is_astring_char(b) && b != b'+', "a tag")
    }

    /// ```abnf
    /// atom          = 1*ATOM-CHAR
    /// ATOM-CHAR     = <any CHAR except atom-specials>
    /// atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
    /// ```
    pub fn atom(&mut self, what: &'static str) -> Parse<&'a str> {
        self.ascii_run(is_atom_char, what)
    }

    /// ```abnf
    /// astring      = 1*ASTRING-CHAR / string
    /// ASTRING-CHAR = ATOM-CHAR / resp-specials
    /// ```
    pub fn astring(&mut self) -> Parse<Cow<'a, [u8]>> {
        self.string_or_run(is_astring_char)
    }

    /// As an astring, with wildcards as they are.
    pub fn list_string(&mut self) -> Parse<Cow<'a, [u8]>> {
        self.string_or_run(|b| is_astring_char(b) || matches!(b, b'*' | b'%'))
    }

    fn string_or_run(&mut self, belongs: impl Fn(u8) -> bool) -> Parse<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string();
        }
        self.ascii_run(belongs, "a string").map(|run| Cow::Borrowed(run.as_bytes()))
    }

    /// ```abnf
    /// string = quoted / literal
    /// ```
    pub fn string(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(self.expected("a quoted string or a literal")),
        }
    }

    /// ```abnf
    /// nstring = string / nil
    /// ```
    pub fn nstring(&mut self) -> Parse<Option<Cow<'a, [u8]>>> {
        if self.take_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// ```abnf
    /// quoted          = DQUOTE *QUOTED-CHAR DQUOTE
    /// QUOTED-CHAR     = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4
    /// quoted-specials = DQUOTE / "\"
    /// TEXT-CHAR       = <any CHAR except CR and LF>
    /// ```
    ///
    /// UTF-8 is taken in both revisions: clients have always sent passwords and search texts so.
    fn quoted(&mut self) -> Parse<Cow<'a, [u8]>> {
        let start = self.at;
        self.expect(b'"', "a quoted string")?;
        let mut content = Cow::Borrowed(self.run(is_text_char));
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let special = self.peek().filter(|b| matches!(b, b'"' | b'\\'));
                    let special = special.ok_or_else(|| self.expected("a quote or a backslash"))?;
                    self.at += 1;
                    let content = content.to_mut();
                    content.push(special);
                    content.extend_from_slice(self.run(is_text_char));
                }
                _ => return Err(self.expected("the end of a quoted string")),
            }
        }
        self.at += 1;
        if std::str::from_utf8(&content).is_err() {
            return Err(SyntaxError::Expected { what: "UTF-8 in a quoted string", at: start });
        }
        Ok(content)
    }

    /// ```abnf
    /// literal = "{" number64 ["+"] "}" CRLF *CHAR8
    /// CHAR8   = %x01-ff
    /// ```
    fn literal(&mut self) -> Parse<&'a [u8]> {
        let header = self.literal_header()?;
        if header.binary {
            return Err(self.expected("a literal without ~"));
        }
        self.expect(b'\r', "the line end behind a literal's size")?;
        self.expect(b'\n', "the line end behind a literal's size")?;
        let octets = usize::try_from(header.size).ok().and_then(|size| self.rest().get(..size));
        let octets = octets.ok_or_else(|| self.expected("the octets of a literal"))?;
        if memchr::memchr(0, octets).is_some() {
            return Err(self.expected("a literal without NUL"));
        }
        self.at += octets.len();
        Ok(octets)
    }

    /// `{5}`, `{5+}`, `~{5}` or `~{5+}`, without the line end.
    pub fn literal_header(&mut self) -> Parse<LiteralHeader> {
        let binary = self.take(b'~');
        self.expect(b'{', "a literal")?;
        let size = self.number64()?;
        let non_synchronizing = self.take(b'+');
        self.expect(b'}', "the end of a literal's size")?;
        Ok(LiteralHeader { size, non_synchronizing, binary })
    }

    /// Takes a line end, which stands in a framed command only behind a literal header.
    pub fn take_line_end(&mut self) -> bool {
        let found = self.rest().starts_with(b"\r\n");
        self.at += if found { 2 } else { 0 };
        found
    }

    /// ```abnf
    /// number    = 1*DIGIT           ; 0 <= n < 4,294,967,296
    /// nz-number = digit-nz *DIGIT
    /// ```
    pub fn nz_number(&mut self) -> Parse<u32> {
        let place = self.expected("a number from 1 to 4294967295");
        if self.peek() == Some(b'0') {
            return Err(place);
        }
        self.number64().ok().and_then(|number| u32::try_from(number).ok()).ok_or(place)
    }

    /// ```abnf
    /// number64 = 1*DIGIT            ; 0 <= n <= 9,223,372,036,854,775,807
    /// ```
    pub fn number64(&mut self) -> Parse<u64> {
        let place = self.expected("a number below 9223372036854775808");
        let digits = self.ascii_run(|b| b.is_ascii_digit(), "a number")?;
        digits.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()).ok_or(place)
    }

    /// ```abnf
    /// nz-number64 = digit-nz *DIGIT
    /// ```
    pub fn nz_number64(&mut self) -> Parse<u64> {
        if self.peek() == Some(b'0') {
            return Err(self.expected("a number that is not zero"));
        }
        self.number64()
    }

    /// ```abnf
    /// objectid = 1*255(ALPHA / DIGIT / "_" / "-")          ; RFC 8474
    /// ```
    pub fn object_id(&mut self) -> Parse<ObjectId> {
        let place = self.expected("an object identifier");
        ObjectId::parse(self.atom("an object identifier")?).ok_or(place)
    }

    /// `base64 / "="`, the initial response of SASL (RFC 4959), not decoded.
    pub fn base64(&mut self) -> Parse<&'a str> {
        self.ascii_run(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='), "base64")
    }

    /// Goes one level deeper for what `inner` parses.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= limits::NESTING {
            return Err(SyntaxError::Limit("nesting"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// `"(" item *(SP item) ")"`
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Parse<()>) -> Parse<()> {
        self.expect(b'(', "a list in parentheses")?;
        self.lists += 1;
        if self.lists > limits::LISTS {
            return Err(SyntaxError::Limit("lists"));
        }
        self.nested(|cursor| {
            loop {
                item(cursor)?;
                if cursor.take(b')') {
                    return Ok(());
                }
                cursor.expect(b' ', "a space or the end of a list")?;
            }
        })
    }

    /// `"(" [item *(SP item)] ")"`
    pub fn list_or_empty(&mut self, item: impl FnMut(&mut Self) -> Parse<()>) -> Parse<()> {
        if self.rest().starts_with(b"()") {
            self.at += 2;
            return Ok(());
        }
        self.list(item)
    }

    /// ```abnf
    /// flag-list      = "(" [flag *(SP flag)] ")"
    /// flag           = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
    /// flag-extension = "\" atom
    /// flag-keyword   = atom
    /// ```
    pub fn flag_list(&mut self) -> Parse<Flags> {
        let mut flags = FlagCollector::default();
        self.list_or_empty(|cursor| flags.flag(cursor))?;
        Ok(flags.flags)
    }

    /// `flag *(SP flag)`, to the end of the command.
    pub fn bare_flags(&mut self) -> Parse<Flags> {
        let mut flags = FlagCollector::default();
        loop {
            flags.flag(self)?;
            if self.ends_here() {
                return Ok(flags.flags);
            }
            self.space()?;
        }
    }

    /// `flag-keyword`, an atom of at most [`limits::KEYWORD`] octets.
    pub fn keyword(&mut self) -> Parse<Keyword> {
        let name = self.atom("a flag")?;
        Keyword::new(name).ok_or(SyntaxError::Limit("keyword too long"))
    }
}

/// Any CHAR that stands in a quoted string as itself, and octets of UTF-8.
fn is_text_char(octet: u8) -> bool {
    !matches!(octet, b'\0' | b'\r' | b'\n' | b'"' | b'\\')
}

/// Flags as they come, counted.
#[derive(Default)]
struct FlagCollector {
    flags: Flags,
    count: usize,
}

impl FlagCollector {
    /// `\Recent`, which no client can set, is passed over; a system flag that we do not know is refused, for it could not be kept.
    fn flag(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        self.count += 1;
        if self.count > limits::FLAGS_OF_COMMAND {
            return Err(SyntaxError::Limit("flags"));
        }
        let place = cursor.expected("a flag that this server has");
        if !cursor.take(b'\\') {
            self.flags.insert_keyword(cursor.keyword()?);
            return Ok(());
        }
        let name = cursor.atom("a flag")?;
        match SystemFlag::from_name(&format!("\\{name}")) {
            Some(flag) => self.flags.insert(flag),
            None if name.eq_ignore_ascii_case("Recent") => {}
            None => return Err(place),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(octets: &[u8]) -> Cursor<'_> {
        Cursor::new(octets, Dialect::Rev1)
    }

    fn astring(octets: &[u8]) -> Option<Vec<u8>> {
        let mut cursor = cursor(octets);
        cursor.astring().ok().filter(|_| cursor.is_at_end()).map(Cow::into_owned)
    }

    #[test]
    fn lists_of_one_command_are_bounded_in_number_and_depth() {
        let lists = "(x)".repeat(limits::LISTS + 1);
        let mut cursor = Cursor::new(lists.as_bytes(), Dialect::Rev1);
        let mut list = || cursor.list(|cursor| cursor.expect(b'x', "x"));
        assert!((0..limits::LISTS).all(|_| list().is_ok()));
        assert!(matches!(list(), Err(SyntaxError::Limit(_))));
        fn deeper(cursor: &mut Cursor<'_>) -> Parse<()> {
            cursor.list(|cursor| if cursor.peek() == Some(b'(') { deeper(cursor) } else { cursor.expect(b'x', "x") })
        }
        let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
        assert!(deeper(&mut Cursor::new(nested(limits::NESTING).as_bytes(), Dialect::Rev1)).is_ok());
        assert!(deeper(&mut Cursor::new(nested(limits::NESTING + 1).as_bytes(), Dialect::Rev1)).is_err());
    }

    #[test]
    fn the_three_forms_of_a_string() {
        assert_eq!(astring(b"a]b+").as_deref(), Some(&b"a]b+"[..]));
        assert_eq!(astring(b"\"\"").as_deref(), Some(&b""[..]));
        assert_eq!(astring(b"\"a \\\"b\\\\ \x7f\"").as_deref(), Some(&b"a \"b\\ \x7f"[..]));
        assert_eq!(astring(b"{3}\r\n\"\r\n").as_deref(), Some(&b"\"\r\n"[..]));
        assert_eq!(astring(b"{3+}\r\n\xff\xfea").as_deref(), Some(&b"\xff\xfea"[..]));
        assert_eq!(astring("\"\u{e9}\"".as_bytes()).as_deref(), Some("\u{e9}".as_bytes()));
        assert_eq!(astring(b"NIL").as_deref(), Some(&b"NIL"[..]));
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for bad in [
            &b""[..],
            b"\"",
            b"\"a",
            b"\"a\\\"",
            b"\"a\\n\"",
            b"\"a\0\"",
            b"\"a\r\n\"",
            b"\"\xc0\xaf\"",
            b"\"\xe2\x82\"",
            b"\xc3\xa9",
            b"a\0",
            b"\0",
            b"(a",
            b"{3}\r\nab",
            b"{3}ab",
            b"{3}\nabc",
            b"{1}\r\n\0",
            b"{-1}\r\na",
            b"{+}\r\na",
            b"{ 1}\r\na",
            b"{1 }\r\na",
            b"{99999999999999999999}\r\na",
            b"{18446744073709551615}\r\na",
            b"{9223372036854775807}\r\na",
            b"~{1}\r\na",
        ] {
            assert_eq!(astring(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(cursor(b"4294967295").nz_number(), Ok(u32::MAX));
        assert_eq!(cursor(b"9223372036854775807").number64(), Ok(u64::MAX / 2));
        assert_eq!(cursor(b"007").number64(), Ok(7));
        for bad in [&b"4294967296"[..], b"0", b"01", b"", b"-1", b"99999999999999999999"] {
            assert!(cursor(bad).nz_number().is_err(), "{bad:?}");
        }
        assert!(cursor(b"9223372036854775808").number64().is_err());
    }

    #[test]
    fn tags_are_what_the_grammar_says() {
        for good in ["a1", "1.169", "A]", "&", "~x!"] {
            assert_eq!(cursor(good.as_bytes()).tag(), Ok(good));
        }
        for bad in ["", " a", "+", "(", "{", "%", "*", "\"a\"", "\\", "\u{e9}", "\0"] {
            assert!(cursor(bad.as_bytes()).tag().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_drop_recent_and_refuse_what_cannot_be_kept() {
        let flags = cursor(b"(\\seen \\Recent $Junk \\DELETED)").flag_list().unwrap();
        assert!(flags.has(SystemFlag::Seen) && flags.has(SystemFlag::Deleted));
        assert_eq!(flags.keywords().len(), 1);
        assert_eq!(cursor(b"()").flag_list(), Ok(Flags::new()));
        for bad in [&b"(\\Foo)"[..], b"(\\*)", b"(\\)", b"(a  b)", b"( a)", b"(a )", b"(a", b"(\"a\")"] {
            assert!(cursor(bad).flag_list().is_err(), "{bad:?}");
        }
        let many = format!("({})", vec!["a"; limits::FLAGS_OF_COMMAND + 1].join(" "));
        assert_eq!(cursor(many.as_bytes()).flag_list(), Err(SyntaxError::Limit("flags")));
        let long = format!("({})", "k".repeat(limits::KEYWORD + 1));
        assert_eq!(cursor(long.as_bytes()).flag_list(), Err(SyntaxError::Limit("keyword too long")));
    }

    #[test]
    fn an_error_names_its_place() {
        let mut cursor = cursor(b"abc def");
        cursor.atom("a word").unwrap();
        cursor.space().unwrap();
        let error = cursor.nz_number().unwrap_err();
        assert_eq!(error, SyntaxError::Expected { what: "a number from 1 to 4294967295", at: 4 });
    }
}
