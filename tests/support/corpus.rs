//! Real and broken messages: the files of tests/fixtures/messages, and generated ones, the same in each run.

use std::path::Path;

use imapd::testing::message::line_ends::ToWire;

/// Name and octets of each message, in wire form: no LF without a CR before it. Some have NULs, which APPEND takes as `literal8` only.
pub fn messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = files();
    generate(&mut |name, text| messages.push((name, wire(text.as_bytes()))));
    messages
}

fn wire(stored: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ToWire::new().push(stored, &mut out);
    out
}

fn files() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages");
    let mut found = Vec::new();
    for folder in ["own", "cpython", "mail-parser"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                found.push((format!("{folder}/{name}"), wire(&std::fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

fn generate(out: &mut dyn FnMut(String, String)) {
    charsets(out);
    multiparts(out);
    nested(out);
    fields(out);
    large(out);
}

const START: &str =
    "From: Gen <gen@example.org>\nTo: test@example.org\nDate: Wed, 1 May 2024 12:00:00 +0200\nMIME-Version: 1.0\n";

/// A text in each charset and transfer encoding.
fn charsets(out: &mut dyn FnMut(String, String)) {
    let bodies = [
        ("us-ascii", "7bit", "plain text\n"),
        ("utf-8", "8bit", "caf\u{e9} \u{20ac}\n"),
        ("utf-8", "quoted-printable", "caf=C3=A9 =\n=E2=82=AC=20\n"),
        ("utf-8", "base64", "Y2Fmw6kg4oKsCg==\n"),
        ("iso-8859-1", "quoted-printable", "caf=E9\n"),
        ("windows-1252", "base64", "Y2Fm6SCACg==\n"),
        ("koi8-r", "quoted-printable", "=F0=D2=C9=D7=C5=D4\n"),
        ("iso-2022-jp", "7bit", "\u{1b}$B%F%9%H\u{1b}(B\n"),
        ("utf-7", "7bit", "Hi +Jjo-!\n"),
        ("utf-16", "base64", "/v8AYQBiAAo=\n"),
        ("x-unknown", "x-unknown", "?\n"),
        ("big5", "base64", "!!not base64!!\n"),
    ];
    for (charset, encoding, body) in bodies {
        for (kind, quote) in [("plain", ""), ("html", "\"")] {
            out(
                format!("text/{kind}-{charset}-{encoding}"),
                format!(
                    "{START}Subject: {charset}\nContent-Type: text/{kind}; charset={quote}{charset}{quote}\nContent-Transfer-Encoding: {encoding}\n\n{body}"
                ),
            );
        }
    }
}

/// Each kind of multipart, whole and damaged in each way.
fn multiparts(out: &mut dyn FnMut(String, String)) {
    const ONE: &str = "Content-Type: text/plain\n\nfirst part\n";
    const TWO: &str = "Content-Type: application/pdf; name=\"a b.pdf\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a\n\nJVBERi0=\n";
    for kind in ["mixed", "alternative", "related", "parallel", "x-unknown", "form-data"] {
        let mut message = |damage: &str, boundary: &str, body: String| {
            out(
                format!("multipart/{kind}-{damage}"),
                format!("{START}Subject: {damage}\nContent-Type: multipart/{kind}; boundary={boundary}\n\n{body}"),
            );
        };
        message("whole", "b", format!("--b\n{ONE}\n--b\n{TWO}\n--b--\n"));
        message(
            "preamble-and-epilogue",
            "b",
            format!("This is MIME.\n--b\n{ONE}--b\n{TWO}--b--\nbehind\n--b\nnothing\n"),
        );
        message("without-end", "b", format!("--b\n{ONE}\n--b\n{TWO}"));
        message("without-line-end", "b", format!("--b\n{ONE}--b\n{TWO}--b--"));
        message("without-parts", "b", "only a preamble\n".into());
        message("ended-at-once", "b", "--b--\n".into());
        message("without-empty-lines", "b", "--b\nContent-Type: text/html\n--b\nnot a field\n--b--\n".into());
        message("with-empty-parts", "b", "--b\n--b\n\n--b\n\n\n--b--\n".into());
        message("with-blanks-behind", "b", format!("--b \t\n{ONE}--b  \n{TWO}--b--   \n"));
        message("with-other-boundaries", "b", format!("--b\n{ONE}--bb\nx --b\n --b\n--B\n--b-\n-b\n--b\n{TWO}--b--\n"));
        message(
            "with-odd-boundary",
            "\"=_'()+_,-./:=? a\"",
            format!("--=_'()+_,-./:=? a\n{ONE}--=_'()+_,-./:=? a--\n"),
        );
    }
    for (name, kind) in [("without-boundary", ""), ("with-empty-boundary", "; boundary=\"\"")] {
        out(format!("multipart/{name}"), format!("{START}Content-Type: multipart/mixed{kind}\n\n--\n{ONE}----\n"));
    }
    let long = "b".repeat(300);
    out(
        "multipart/with-long-boundary".into(),
        format!("{START}Content-Type: multipart/mixed; boundary={long}\n\n--{long}\n{ONE}--{long}--\n"),
    );
}

/// Multiparts and messages in each other, ended and not.
fn nested(out: &mut dyn FnMut(String, String)) {
    for depth in [1, 2, 3, 10, 40, 150] {
        for end in ["ended", "open"] {
            let mut body = format!("Subject: at the bottom of {depth}\n\nbottom\n");
            let mut mixed = body.clone();
            for level in 0..depth {
                let last = if end == "ended" { format!("\n--b{level}--\n") } else { String::new() };
                body = format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n{body}{last}");
                let embedded = format!("Content-Type: message/rfc822\n\nSubject: level {level}\n");
                mixed =
                    format!("{embedded}Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n{mixed}{last}");
            }
            out(format!("nested/multipart-{depth}-{end}"), format!("{START}{body}"));
            out(format!("nested/message-{depth}-{end}"), format!("{START}{mixed}"));
        }
    }
    let inner = "Content-Type: multipart/mixed; boundary=i\n\n--i\n\none\n--i\n\ntwo\n";
    out(
        "nested/outer-ends-inner".into(),
        format!("{START}Content-Type: multipart/mixed; boundary=o\n\n--o\n{inner}--o\n\nthree\n--o--\n"),
    );
    out(
        "nested/same-boundary".into(),
        format!("{START}Content-Type: multipart/mixed; boundary=i\n\n--i\n{inner}--i--\n--i\n\nthree\n--i--\n"),
    );
    out(
        "nested/cut-message".into(),
        format!(
            "{START}Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\nSubject: cut\n--o\n\nrest\n--o--\n"
        ),
    );
}

/// Headers of every kind.
fn fields(out: &mut dyn FnMut(String, String)) {
    let values = [
        ("To", "\"Q. \\\"X\\\"\" <q@example.org>, g: a@b, c@d;, <@r,@s:t@u> (name)"),
        ("To", "undisclosed-recipients:;"),
        ("To", "((((((((((unclosed, a@b"),
        ("To", "a@b; c@d; \"unclosed"),
        ("Cc", "J\u{f6}rg <j\u{f6}rg@example.org>, =?utf-8?q?J=C3=B6rg?= <j@example.org>"),
        ("From", "@@@"),
        ("From", "nobody"),
        ("From", ""),
        ("Reply-To", "<>"),
        ("Sender", "a . b @ c . d (old)"),
        ("Subject", "=?utf-8?B?4oKs?=\n =?utf-8?Q?=E2=82=AC_x?="),
        ("Subject", "=?iso-8859-1?q?=E9?= {3} \"quoted\\\" ) NIL"),
        ("Subject", "\n \n folded over empty\n\tlines"),
        ("Subject", "caf\u{e9} \u{0}nul \u{7f}\u{1}"),
        ("Date", "1 Jan 70 00:00 EST"),
        ("Date", "tomorrow"),
        ("Date", "Mon, 31 Feb 99999 25:61:61 +9999"),
        ("Message-ID", "no brackets"),
        ("In-Reply-To", "<a@b>\n <c@d> (comment)"),
        ("Content-Type", "text/plain; charset=us-ascii (Plain text); format=flowed"),
        ("Content-Type", "text"),
        ("Content-Type", "application/octet-stream; name*0*=utf-8''a%20; name*1=b; name*99999999*=c; ;=;x"),
        ("Content-Type", "message/rfc822"),
        ("Content-Type", "message/external-body; access-type=local-file; name=\"/x\""),
        ("Content-Type", "message/partial; id=x; number=1; total=2"),
        ("Content-Transfer-Encoding", "BASE64 (really)"),
        ("Content-Disposition", "inline; filename=\"a\\\\b\\\"c\"; filename=twice"),
        ("Content-Language", "en, de, (c) fr"),
        ("no colon here", ""),
        ("Blank-Before ", "x"),
        (" Begins-Blank", "x"),
        ("\u{e9}", "x"),
    ];
    for (at, (name, value)) in values.into_iter().enumerate() {
        let colon = if name.starts_with("no ") { "" } else { ": " };
        out(
            format!("field/{at:02}"),
            format!("X-First: 1\n{name}{colon}{value}\nX-Last: 2\n\nSubject: body\n\nbody\n"),
        );
    }
}

/// Much of something.
fn large(out: &mut dyn FnMut(String, String)) {
    out("large/one-line".into(), format!("{START}\n{}", "x".repeat(300_000)));
    out("large/lines".into(), format!("{START}\n{}", "0123456789abcdef\n".repeat(20_000)));
    out("large/empty-lines".into(), format!("{START}\n{}", "\n".repeat(50_000)));
    out("large/header-lines".into(), format!("{START}{}\nbody\n", "X: y\n".repeat(20_000)));
    out("large/header-field".into(), format!("{START}X: {}\n\nbody\n", "0123456789\n ".repeat(20_000)));
    out("large/addresses".into(), format!("{START}Cc: {}\n\nbody\n", "a@example.org,\n ".repeat(12_000)));
    out(
        "large/parts".into(),
        format!("{START}Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(12_000)),
    );
    out("large/parameters".into(), format!("{START}Content-Type: text/plain{}\n\nbody\n", "; a=b".repeat(5_000)));
    out(
        "large/dashes".into(),
        format!("{START}Content-Type: multipart/mixed; boundary=-\n\n---\n\n{}", "---\n--\n".repeat(3_000)),
    );
}
