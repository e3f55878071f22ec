//! A message's octets to the tree of its parts, as a stream, bounded in depth and number.
//!
//! Choices where the RFCs leave one:
//! - A delimiter is a line of `--`, the whole boundary, `--` if it is the last, and blanks; `--bb` is no delimiter of boundary `b`.
//! - The line end before a delimiter belongs to it (RFC 2046 section 5.1.1), but never the one that ends a header.
//! - A delimiter of an outer multipart ends the inner ones, whether they were ended or not.
//! - A multipart without a usable boundary is text/plain, as RFC 2045 section 5.2 asks for a syntactically wrong Content-Type.
//! - What is not taken apart though its type says message or multipart is shown as application/octet-stream, since the grammar of
//!   BODYSTRUCTURE has no message/rfc822 without an envelope and no multipart without parts: a message whose transfer encoding is not
//!   an identity (against RFC 2046 section 5.2.1; its parts would have no octets of their own in the file), and what lies deeper
//!   than the limits.

use memchr::memchr;

use super::content::{self, Content};
use super::envelope::{self, Envelope};
use super::structure::{Kind, Message, Part, Span};
use crate::limits;

/// The structure of a message that lies in memory.
pub fn scan(stored: &[u8]) -> Message {
    let mut scanner = Scanner::new();
    scanner.push(stored);
    scanner.finish()
}

/// Takes a message in pieces of any size and gives its structure. Memory is bounded by the limits on headers, depth and parts, not
/// by the message; time is linear in its size.
pub struct Scanner {
    here: Place,
    /// Where the current line began.
    line: Place,
    /// The same without the line end before it, if there is one.
    before_line: Place,
    /// The start of the current line as far as it came in earlier pieces, up to [`LINE_START`].
    line_start: Vec<u8>,
    /// What came of the current line behind that was more than blanks.
    line_goes_on: bool,
    after_cr: bool,
    /// The header being read; `None` in a body, preamble or epilogue.
    header: Option<Header>,
    /// The parts we are in, outermost first.
    open: Vec<Open>,
    with_envelopes: bool,
    envelope: Envelope,
    root: Option<Part>,
    parts: usize,
    header_octets_left: usize,
    addresses_left: usize,
    parameters_left: usize,
}

/// `--`, a boundary and `--`, and one octet to see that there is more.
const LINE_START: usize = limits::MIME_BOUNDARY + 5;

/// A point between two octets.
#[derive(Clone, Copy, Default)]
struct Place {
    stored: u64,
    wire: u64,
    /// Line ends before it.
    lines: u64,
}

impl Place {
    fn to(self, end: Place) -> Span {
        Span { start: self.stored, end: end.stored, wire: end.wire - self.wire }
    }

    fn or_later(self, other: Place) -> Place {
        if other.stored > self.stored { other } else { self }
    }
}

struct Header {
    start: Place,
    octets: Vec<u8>,
    /// Where in `octets` the current line began.
    line: usize,
    /// Octets that the current field has in `octets`.
    field: usize,
}

impl Header {
    fn at(start: Place) -> Self {
        Self { start, octets: Vec::new(), line: 0, field: 0 }
    }

    /// Keeps what the limits allow of a further piece of a line.
    fn push(&mut self, piece: &[u8], begins_line: bool, left: &mut usize) {
        if begins_line {
            // A line that was cut must not run into the next.
            if self.octets.last().is_some_and(|&octet| octet != b'\n') {
                self.octets.push(b'\n');
            }
            self.line = self.octets.len();
            if !matches!(piece.first(), Some(b' ' | b'\t')) {
                self.field = 0;
            }
        }
        let keep = piece.len().min(*left).min(limits::HEADER_FIELD - self.field);
        self.octets.extend_from_slice(&piece[..keep]);
        self.field += keep;
        *left -= keep;
    }
}

/// A part whose end has not been seen.
struct Open {
    header: Span,
    body: Place,
    content: Content,
    shape: Shape,
}

enum Shape {
    Leaf,
    Multipart { boundary: Vec<u8>, ended: bool, parts: Vec<Part> },
    Message { envelope: Box<Envelope>, root: Option<Box<Part>> },
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// At the first octet of a message.
    pub fn new() -> Self {
        Self {
            here: Place::default(),
            line: Place::default(),
            before_line: Place::default(),
            line_start: Vec::new(),
            line_goes_on: false,
            after_cr: false,
            header: Some(Header::at(Place::default())),
            open: Vec::new(),
            with_envelopes: true,
            envelope: Envelope::default(),
            root: None,
            parts: 1,
            header_octets_left: limits::HEADERS,
            addresses_left: limits::ADDRESSES_OF_MESSAGE,
            parameters_left: limits::MIME_PARAMETERS_OF_MESSAGE,
        }
    }

    /// The same, but leaves envelopes empty, which take as long as all the rest.
    pub fn without_envelopes() -> Self {
        Self { with_envelopes: false, ..Self::new() }
    }

    /// The next stored octets.
    pub fn push(&mut self, stored: &[u8]) {
        let mut rest = stored;
        while let Some(at) = memchr(b'\n', rest) {
            let (piece, tail) = rest.split_at(at + 1);
            self.end_line(piece);
            rest = tail;
        }
        if !rest.is_empty() {
            self.go_on_line(rest);
        }
    }

    /// The stored offset behind the header of the message, once it has been seen whole. From then on [`Scanner::finish`] gives a true envelope (and a root
    /// part without its inner structure) even if the rest is not pushed.
    pub fn header_end(&self) -> Option<u64> {
        self.open.first().map(|root| root.header.end)
    }

    /// The structure of what was pushed. Every input has one.
    pub fn finish(mut self) -> Message {
        if self.here.stored > self.line.stored && !self.line_goes_on {
            let text = std::mem::take(&mut self.line_start);
            self.delimiter(&text);
        }
        self.close(0, self.here);
        let whole = Place::default().to(self.here);
        let root = self.root.unwrap_or_else(|| empty_text(Place::default()));
        Message { envelope: self.envelope, root, whole }
    }

    /// A piece without a line end.
    fn go_on_line(&mut self, piece: &[u8]) {
        let begins = self.here.stored == self.line.stored;
        if let Some(header) = &mut self.header {
            header.push(piece, begins, &mut self.header_octets_left);
        }
        self.keep_line_start(piece);
        self.here.stored += piece.len() as u64;
        self.here.wire += piece.len() as u64;
        self.after_cr = piece.last() == Some(&b'\r');
    }

    fn keep_line_start(&mut self, piece: &[u8]) {
        let keep = piece.len().min(LINE_START - self.line_start.len());
        let (start, rest) = piece.split_at(keep);
        self.line_start.extend_from_slice(start);
        self.line_goes_on |= rest.iter().any(|octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n'));
    }

    /// A piece with the line end that is its last octet.
    fn end_line(&mut self, piece: &[u8]) {
        let begins = self.here.stored == self.line.stored;
        let cr = if piece.len() > 1 { piece[piece.len() - 2] == b'\r' } else { !begins && self.after_cr };
        let length = piece.len() as u64;
        let line_end = 1 + u64::from(cr);
        let before = Place {
            stored: self.here.stored + length - line_end,
            wire: self.here.wire + length - line_end,
            lines: self.here.lines,
        };
        let after = Place { stored: before.stored + line_end, wire: before.wire + 2, lines: before.lines + 1 };
        let empty = before.stored == self.line.stored;

        if let Some(header) = &mut self.header {
            header.push(piece, begins, &mut self.header_octets_left);
        }
        self.here = after;
        if begins {
            if piece.starts_with(b"--") {
                self.delimiter(piece);
            }
        } else {
            self.keep_line_start(piece);
            let mut text = std::mem::take(&mut self.line_start);
            if !self.line_goes_on {
                self.delimiter(&text);
            }
            text.clear();
            self.line_start = text;
        }
        if empty && self.header.is_some() {
            self.end_header(after);
        }
        self.line = after;
        self.before_line = before;
        self.line_goes_on = false;
        self.after_cr = false;
    }

    /// Acts on a line, now read whole, if it is a delimiter of a multipart that we are in.
    fn delimiter(&mut self, line: &[u8]) {
        let Some(text) = line.strip_prefix(b"--") else { return };
        // Further parts belong to the last.
        if self.parts >= limits::MIME_PARTS {
            return;
        }
        let length =
            text.iter().rposition(|octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).map_or(0, |at| at + 1);
        let text = &text[..length];
        let last = text.strip_suffix(b"--");
        let found = self.open.iter().enumerate().rev().find_map(|(level, open)| match &open.shape {
            Shape::Multipart { boundary, ended: false, .. } if boundary == text => Some((level, false)),
            Shape::Multipart { boundary, ended: false, .. } if last == Some(boundary) => Some((level, true)),
            _ => None,
        });
        let Some((level, last)) = found else { return };
        if let Some(header) = &mut self.header {
            header.octets.truncate(header.line);
        }
        // An unfinished header ends before this line, and what is nested ends before the line end that the delimiter owns.
        let after = self.here;
        self.end_headers(self.line);
        self.close(level + 1, self.before_line);
        if let Some(Open { shape: Shape::Multipart { ended, .. }, .. }) = self.open.last_mut() {
            *ended = last;
        }
        if !last {
            self.parts += 1;
            self.header = Some(Header::at(after));
        }
    }

    /// Ends the header being read, and those that begin where it ends, because the part ends there as well.
    fn end_headers(&mut self, at: Place) {
        // Ends: a header without octets makes a leaf or, in a digest, a message whose own header does.
        while self.header.is_some() {
            self.end_header(at);
        }
    }

    /// The header being read ends here; what follows is the body that it announces.
    fn end_header(&mut self, at: Place) {
        let Some(header) = self.header.take() else { return };
        let mut default = content::Default::Text;
        match self.open.last_mut() {
            None if self.with_envelopes => {
                self.envelope = envelope::read_within(&header.octets, &mut self.addresses_left);
            }
            None => {}
            Some(parent) => match &mut parent.shape {
                Shape::Message { envelope, .. } if self.with_envelopes => {
                    **envelope = envelope::read_within(&header.octets, &mut self.addresses_left);
                }
                Shape::Multipart { .. } if parent.content.sub_type.eq_ignore_ascii_case(b"digest") => {
                    default = content::Default::Message;
                }
                _ => {}
            },
        }
        let mut content = content::read_within(&header.octets, default, &mut self.parameters_left);
        let may_nest = self.open.len() < limits::MIME_DEPTH && self.parts < limits::MIME_PARTS;
        let shape = if content.is_multipart() {
            match content.parameter(b"boundary").as_deref().map(boundary) {
                Some(boundary) if !boundary.is_empty() && boundary.len() <= limits::MIME_BOUNDARY => {
                    if may_nest {
                        Shape::Multipart { boundary: boundary.to_vec(), ended: false, parts: Vec::new() }
                    } else {
                        content.make_opaque();
                        Shape::Leaf
                    }
                }
                _ => {
                    content.make_text();
                    Shape::Leaf
                }
            }
        } else if content.is_message() {
            if may_nest && content.is_identity() {
                Shape::Message { envelope: Box::default(), root: None }
            } else {
                content.make_opaque();
                Shape::Leaf
            }
        } else {
            Shape::Leaf
        };
        if matches!(shape, Shape::Message { .. }) {
            self.parts += 1;
            self.header = Some(Header::at(at));
        }
        self.open.push(Open { header: header.start.to(at), body: at, content, shape });
    }

    /// Ends all open parts from this level inwards.
    fn close(&mut self, level: usize, at: Place) {
        self.end_headers(self.here);
        let mut end = at;
        while self.open.len() > level {
            let Some(open) = self.open.pop() else { return };
            // The line end that would be the delimiter's may be the header's.
            end = end.or_later(open.body);
            let body = open.body.to(end);
            let lines = end.lines - open.body.lines;
            let kind = match open.shape {
                Shape::Leaf => Kind::Leaf,
                Shape::Multipart { parts, .. } if parts.is_empty() => Kind::Multipart(vec![empty_text(end)]),
                Shape::Multipart { parts, .. } => Kind::Multipart(parts),
                Shape::Message { envelope, root } => {
                    let root = root.map_or_else(|| empty_text(end), |root| *root);
                    Kind::Message(Box::new(Message { envelope: *envelope, root, whole: body }))
                }
            };
            let part = Part { header: open.header, body, lines, content: open.content, kind };
            match self.open.last_mut().map(|parent| &mut parent.shape) {
                Some(Shape::Multipart { parts, .. }) => parts.push(part),
                Some(Shape::Message { root, .. }) => *root = Some(Box::new(part)),
                // A leaf holds nothing, so this is the outermost.
                Some(Shape::Leaf) | None => self.root = Some(part),
            }
        }
    }
}

/// The boundary as a line can show it: blanks at its end would be lost among those that may follow it.
fn boundary(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |at| at + 1);
    &value[..end]
}

fn empty_text(at: Place) -> Part {
    let nothing = at.to(at);
    Part {
        header: nothing,
        body: nothing,
        lines: 0,
        content: content::read(b"", content::Default::Text),
        kind: Kind::Leaf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in short: a leaf as its text, a multipart as `(a b)`, a message as `{a}`; `!` marks what is shown as octet-stream.
    fn shape(text: &str) -> String {
        show(&scan(text.as_bytes()).root, text)
    }

    fn show(part: &Part, text: &str) -> String {
        match &part.kind {
            Kind::Leaf => {
                let mark = if part.content.sub_type == b"octet-stream" { "!" } else { "" };
                format!("{mark}{}", cut(part.body, text).replace("\r\n", "/"))
            }
            Kind::Multipart(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| show(part, text)).collect();
                format!("({})", parts.join(" "))
            }
            Kind::Message(message) => format!("{{{}}}", show(&message.root, text)),
        }
    }

    fn cut(span: Span, text: &str) -> &str {
        &text[span.start as usize..span.end as usize]
    }

    fn mixed(boundary: &str) -> String {
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n")
    }

    #[test]
    fn the_line_end_before_a_delimiter_belongs_to_it() {
        let text = mixed("b") + "preamble\r\n--b\r\n\r\none\r\n\r\n--b  \t\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n";
        assert_eq!(shape(&text), "(one/ two)");
        let message = scan(text.as_bytes());
        let Kind::Multipart(parts) = &message.root.kind else { panic!() };
        assert_eq!((parts[0].lines, parts[1].lines), (1, 0));
        assert_eq!(message.root.lines, 10);
        assert_eq!(cut(parts[0].header, &text), "\r\n");
    }

    #[test]
    fn only_whole_delimiters_at_the_start_of_a_line_count() {
        assert_eq!(
            shape(&(mixed("b") + "--b\r\n\r\nx --b\r\n--bb\r\n --b\r\n--b-\r\n--b--x\r\n--b--\r\n")),
            "(x --b/--bb/ --b/--b-/--b--x)"
        );
        let nested = mixed("b") + "--b\r\n" + &mixed("bb") + "--bb\r\n\r\n1\r\n--bb--\r\n--b\r\n\r\n2\r\n--b--\r\n";
        assert_eq!(shape(&nested), "((1) 2)");
        let nested = mixed("bb") + "--bb\r\n" + &mixed("b") + "--b\r\n\r\n1\r\n--b--\r\n--bb\r\n\r\n2\r\n--bb--\r\n";
        assert_eq!(shape(&nested), "((1) 2)");
    }

    #[test]
    fn an_outer_delimiter_ends_what_is_inside() {
        let text =
            mixed("o") + "--o\r\n" + &mixed("i") + "--i\r\n\r\n1\r\n--i\r\n\r\n2\r\n--o\r\n\r\n3\r\n--i\r\n--o--\r\n";
        assert_eq!(shape(&text), "((1 2) 3/--i)");
        let message =
            mixed("o") + "--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: cut\r\n--o\r\n\r\n2\r\n--o--\r\n";
        assert_eq!(shape(&message), "({} 2)");
        let same = mixed("b") + "--b\r\n" + &mixed("b") + "--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n2\r\n--b--\r\n";
        assert_eq!(shape(&same), "((1) 2)");
    }

    #[test]
    fn what_was_never_ended_ends_with_the_message() {
        assert_eq!(shape(&(mixed("b") + "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n")), "(1 2/)");
        assert_eq!(shape(&(mixed("b") + "--b\r\n\r\n1\r\n--b--")), "(1)");
        assert_eq!(shape(&(mixed("b") + "--b\r\n\r\n1\r\n--b")), "(1 )");
        assert_eq!(shape(&(mixed("b") + "--b\r\n\r\n1\r\n--b--  ")), "(1)");
    }

    #[test]
    fn a_part_without_an_empty_line_is_a_header() {
        let text = mixed("b") + "--b\r\nContent-Type: text/x\r\n--b\r\n--b\r\n\r\n--b\r\nA: 1\r\n\r\n--b--\r\n";
        assert_eq!(shape(&text), "(   )");
        let message = scan(text.as_bytes());
        let headers: Vec<_> = message.leaves().map(|part| cut(part.header, &text)).collect();
        assert_eq!(headers, ["Content-Type: text/x\r\n", "", "\r\n", "A: 1\r\n\r\n"]);
        assert_eq!(message.leaves().next().unwrap().content.sub_type, b"x");
    }

    #[test]
    fn a_multipart_is_never_empty() {
        assert_eq!(shape(&(mixed("b") + "no delimiter\r\n")), "()");
        assert_eq!(shape(&(mixed("b") + "--b--\r\n")), "()");
        assert_eq!(shape("Content-Type: multipart/mixed; boundary=b"), "()");
    }

    #[test]
    fn a_multipart_without_a_boundary_is_text() {
        for parameter in ["", "; boundary=", "; boundary=\" \""] {
            let message = scan(format!("Content-Type: multipart/mixed{parameter}\r\n\r\n--\r\nx\r\n").as_bytes());
            assert_eq!(message.root.kind, Kind::Leaf);
            assert_eq!(
                (&message.root.content.main_type[..], &message.root.content.sub_type[..]),
                (&b"text"[..], &b"plain"[..])
            );
        }
    }

    #[test]
    fn messages_nest_unless_they_are_encoded() {
        let inner = "Subject: in\r\n\r\nbody\r\n";
        for kind in ["message/rfc822", "Message/Global"] {
            assert_eq!(shape(&format!("Content-Type: {kind}\r\n\r\n{inner}")), "{body/}");
        }
        let message = scan(format!("Subject: out\r\nContent-Type: message/rfc822\r\n\r\n{inner}").as_bytes());
        assert_eq!(message.envelope.subject.as_deref(), Some(&b"out"[..]));
        assert_eq!(message.embedded().next().unwrap().envelope.subject.as_deref(), Some(&b"in"[..]));
        assert_eq!(
            shape("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n"),
            "!QQ==/"
        );
        assert_eq!(shape("Content-Type: message/rfc822"), "{}");
        assert_eq!(shape("Content-Type: message/partial\r\n\r\nx"), "x");
    }

    #[test]
    fn parts_of_a_digest_are_messages() {
        let text = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--b\r\n--b--\r\n";
        assert_eq!(shape(text), "({one} two {})");
    }

    #[test]
    fn the_first_content_type_counts() {
        let text = "Content-Type: multipart/mixed; boundary=a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--a\r\n\r\n1\r\n--b\r\n--a--\r\n";
        assert_eq!(shape(text), "(1/--b)");
    }

    #[test]
    fn a_boundary_may_end_in_dashes_or_have_blanks() {
        assert_eq!(shape(&(mixed("b--") + "--b--\r\n\r\n1\r\n--b----\r\nx")), "(1)");
        assert_eq!(shape(&(mixed("a b ") + "--a b\r\n\r\n1\r\n--a b--\r\n")), "(1)");
    }

    #[test]
    fn the_envelope_is_there_once_the_header_is() {
        let mut scanner = Scanner::new();
        scanner.push(b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n");
        assert_eq!(scanner.header_end(), None);
        scanner.push(b"\r\n");
        assert!(scanner.header_end().is_some());
        assert_eq!(scanner.finish().envelope.subject.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn odd_line_ends_have_a_structure() {
        assert_eq!(scan(b"").whole, Span::default());
        assert_eq!(scan(b"\n").root.header, Span { start: 0, end: 1, wire: 2 });
        assert_eq!(scan(b"Subject: x\r\rbody").root.header.end, 16);
        let mixed = scan(b"A: 1\n\r\nx\ny\r\n\rz\r\r\n\0");
        assert_eq!(mixed.root.header, Span { start: 0, end: 7, wire: 8 });
        assert_eq!(mixed.root.body, Span { start: 7, end: 18, wire: 12 });
        assert_eq!(mixed.root.lines, 3);
    }

    /// Delimiters, headers and bodies in any order.
    fn rubbish(u: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<Vec<u8>> {
        const PIECES: [&str; 22] = [
            "\n",
            "\r\n",
            "\r",
            "--a",
            "--b",
            "--b--",
            "--a--",
            "--aa",
            "text",
            " ",
            "-",
            "\n--a\n\n",
            "\n--b\n\n",
            "\n\n",
            "Subject: x\n",
            "Content-Type: multipart/mixed; boundary=a\n",
            "Content-Type: multipart/digest; boundary=b\n\n",
            "Content-Type: message/rfc822\n\n",
            "Content-Type: multipart/mixed;\n boundary=aa\n\n",
            "\n--b\nContent-Type: multipart/mixed; boundary=a\n\n",
            "From: a@b\n",
            "\t",
        ];
        let mut text = Vec::new();
        for _ in 0..u.int_in_range(0..=40)? {
            text.extend_from_slice(u.choose(&PIECES)?.as_bytes());
        }
        Ok(text)
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        arbtest::arbtest(|u| {
            let text = rubbish(u)?;
            let mut scanner = Scanner::new();
            let mut rest = &text[..];
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(u.int_in_range(1..=9)?.min(rest.len()));
                scanner.push(piece);
                rest = tail;
            }
            assert_eq!(scanner.finish(), scan(&text));
            Ok(())
        });
    }

    #[test]
    fn wire_sizes_do_not_depend_on_how_lines_are_stored() {
        use crate::message::line_ends::ToWire;
        arbtest::arbtest(|u| {
            let text = rubbish(u)?;
            let mut wire = Vec::new();
            ToWire::new().push(&text, &mut wire);
            let (stored, sent) = (scan(&text), scan(&wire));
            assert_eq!(stored.parts().count(), sent.parts().count());
            for (a, b) in stored.parts().zip(sent.parts()) {
                assert_eq!((a.header.wire, a.body.wire, a.lines), (b.header.wire, b.body.wire, b.lines));
                assert_eq!(a.content, b.content);
                assert_eq!(b.body.wire, b.body.end - b.body.start);
                let (mut body, mut after_cr) = (Vec::new(), ToWire::new());
                after_cr.push(&text[..a.body.start as usize], &mut Vec::new());
                after_cr.push(&text[a.body.start as usize..a.body.end as usize], &mut body);
                assert_eq!(body, wire[b.body.start as usize..b.body.end as usize]);
            }
            Ok(())
        });
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let depth = 10_000;
        let mut text = String::new();
        for level in 0..depth {
            text += &format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        }
        for boundary in ["same", "x"] {
            assert!(scan(mixed(boundary).repeat(depth).as_bytes()).parts().count() <= 2);
        }
        let message = scan(text.as_bytes());
        assert_eq!(message.parts().count(), limits::MIME_DEPTH + 1);
        let last = message.parts().last().unwrap();
        assert_eq!(last.content.sub_type, b"octet-stream");
        let messages = scan("Content-Type: message/rfc822\r\n\r\n".repeat(depth).as_bytes());
        assert_eq!(messages.embedded().count(), limits::MIME_DEPTH);
    }

    #[test]
    fn later_parts_belong_to_the_last() {
        let text = mixed("b") + &"--b\r\n\r\nx\r\n".repeat(100_000) + "--b--\r\n";
        let message = scan(text.as_bytes());
        assert_eq!(message.parts().count(), limits::MIME_PARTS);
        let last = message.parts().last().unwrap();
        assert_eq!(last.body.end as usize, text.len());
        let short = mixed("b") + &"--b\n".repeat(100_000);
        assert!(scan(short.as_bytes()).parts().count() <= limits::MIME_PARTS);
        let digest = "Content-Type: multipart/digest; boundary=b\n\n".to_owned() + &"--b\n".repeat(100_000);
        assert!(scan(digest.as_bytes()).parts().count() <= limits::MIME_PARTS + 2);
    }

    #[test]
    fn a_boundary_beyond_the_limit_is_none() {
        let at_limit = "b".repeat(limits::MIME_BOUNDARY);
        assert_eq!(shape(&format!("{}--{at_limit}\r\n\r\n1\r\n--{at_limit}--\r\n", mixed(&at_limit))), "(1)");
        let huge = "b".repeat(1 << 20);
        let text = format!("{}--{huge}\r\n\r\n1\r\n--{huge}--\r\n", mixed(&huge));
        assert_eq!(scan(text.as_bytes()).root.kind, Kind::Leaf);
    }

    #[test]
    fn a_long_line_of_blanks_behind_a_delimiter_is_not_kept() {
        let mut scanner = Scanner::new();
        scanner.push((mixed("b") + "--b\r\n\r\n1\r\n--b").as_bytes());
        for _ in 0..1000 {
            scanner.push(&[b' '; 1000]);
        }
        assert!(scanner.line_start.capacity() <= 2 * LINE_START);
        scanner.push(b"\r\n\r\n2\r\n--b--\r\n");
        assert_eq!(scanner.finish().parts().count(), 3);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        for start in ["Subject: x\r\n\r\n".to_owned(), mixed("b"), mixed("b") + "--b"] {
            let mut scanner = Scanner::new();
            scanner.push(start.as_bytes());
            (0..1000).for_each(|_| scanner.push(&[b'-'; 10_000]));
            assert!(scanner.line_start.capacity() <= 2 * LINE_START && scanner.header.is_none());
            assert_eq!(scanner.finish().whole.end, 10_000_000 + start.len() as u64);
        }
    }

    #[test]
    fn a_header_longer_than_the_limits_is_cut_but_spanned() {
        let long = "x".repeat(limits::HEADER_FIELD + 5);
        let text = format!("Subject: {long}\r\nTo: a@b\r\n\r\nbody");
        let mut scanner = Scanner::new();
        text.as_bytes().chunks(4096).for_each(|piece| scanner.push(piece));
        let message = scanner.finish();
        assert_eq!(message.envelope.to.len(), 1);
        assert_eq!(message.envelope.subject.as_ref().map(Vec::len), Some(limits::HEADER_FIELD - "Subject: ".len()));
        assert_eq!(cut(message.root.body, &text), "body");
        let lines = format!("A: {}\r\n", "1".repeat(95)).repeat(limits::HEADERS / 100 + 10) + "To: a@b\r\n\r\nbody";
        let message = scan(lines.as_bytes());
        assert!(message.envelope.to.is_empty());
        assert_eq!(cut(message.root.body, &lines), "body");
    }

    #[test]
    fn addresses_and_parameters_of_many_parts_are_bounded_together() {
        let addresses = "a@b,".repeat(9_000);
        let text =
            mixed("b") + &format!("--b\r\nContent-Type: message/rfc822\r\n\r\nTo: {addresses}\r\n\r\n").repeat(20);
        let shown: usize = scan(text.as_bytes()).embedded().map(|message| message.envelope.to.len()).sum();
        assert_eq!(shown, limits::ADDRESSES_OF_MESSAGE);
        let parameters = ";a=b".repeat(limits::MIME_PARAMETERS);
        let text = mixed("b") + &format!("--b\r\nContent-Type: text/html{parameters}\r\n\r\n").repeat(2000);
        let shown: usize = scan(text.as_bytes()).parts().map(|part| part.content.parameters.len()).sum();
        assert_eq!(shown, limits::MIME_PARAMETERS_OF_MESSAGE);
    }
}
