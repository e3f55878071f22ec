//! Messages made to hurt whoever reads them: each is answered in full, with valid responses, in bounded time, and what stands beside it can still be read.

use crate::on_both_stores;
use crate::support::{Answer, Client, Part, Server, Value};
use imapd::testing::limits;
use std::fs::FileTimes;
use std::time::{Duration, Instant, SystemTime};

/// What a client asks of a message that it shows. BODY[] is left out, since most of these are large.
const ITEMS: &str = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[]<0.100> BODY.PEEK[HEADER]<0.100> \
    BODY.PEEK[TEXT]<0.100> BODY.PEEK[1]<0.100> BODY.PEEK[1.MIME]<0.100> BODY.PEEK[1.1.1]<0.100> BINARY.PEEK[1]<0.100> BINARY.SIZE[1] \
    BODY.PEEK[HEADER.FIELDS (X-LAST)] BODY.PEEK[HEADER.FIELDS.NOT (TO)]<0.100>";
const COUNT: usize = 17;

/// Far more than any of it takes, and far less than what grows with the square of a weapon.
const TIME: Duration = Duration::from_secs(60);

fn filled(server: &Server, messages: &[Vec<u8>]) -> Client {
    let mut client = server.connect();
    for message in messages {
        client.command_with_literals(&[Part::Text("APPEND INBOX "), Part::NonSync8(message)]);
    }
    client.append("INBOX", "", b"Subject: harmless\r\n\r\nA needle.\r\n");
    client.ok("SELECT INBOX");
    client
}

/// Asks for everything of every message, then searches all of them in every way. Says what FETCH said.
fn survives(server: &Server, messages: &[Vec<u8>]) -> (Client, Answer) {
    let mut client = filled(server, messages);
    let began = Instant::now();
    // A transfer encoding that nobody knows makes it NO, with all else answered.
    let answer = client.run(&format!("FETCH 1:* ({ITEMS})"));
    assert!(answer.condition == "OK" || answer.code_name() == "UNKNOWN-CTE", "{} {}", answer.condition, answer.text);
    for (number, message) in (1..).zip(messages) {
        let told = answer.fetches().iter().find(|fetch| fetch.0 == number).map(|fetch| fetch.1.len());
        let begin = String::from_utf8_lossy(&message[..message.len().min(60)]).into_owned();
        assert!(told.is_some_and(|told| told >= COUNT - 2), "{told:?} items of {begin:?}");
        let wire = on_the_wire(message);
        assert_eq!(answer.item(number, "RFC822.SIZE").unwrap().number(), wire.len() as u64, "{begin:?}");
        let head: Vec<u8> = wire.iter().take(100).map(|&octet| if octet == 0 { 0x80 } else { octet }).collect();
        assert!(answer.item(number, "BODY[]<0>").unwrap().bytes() == head, "{begin:?}");
    }
    let last = messages.len() as u32 + 1;
    assert_eq!(client.ok("SEARCH BODY \"a needle\"").found().last(), Some(&last));
    let keys = ["SUBJECT", "FROM", "TO", "HEADER X-NONE", "BODY"].map(|key| format!("OR {key} \"in none of them\" "));
    assert_eq!(client.ok(&format!("SEARCH {}TEXT \"in none of them\"", keys.concat())).found(), [0; 0]);
    client.ok("SEARCH SENTSINCE 1-Jan-2000 SENTBEFORE 1-Jan-2001");
    assert!(began.elapsed() < TIME, "{:?}", began.elapsed());
    (client, answer)
}

/// A lone LF is kept as the line end that it is to most.
fn on_the_wire(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len());
    for &octet in message {
        if octet == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(octet);
    }
    wire
}

fn bytes(text: String) -> Vec<u8> {
    text.into_bytes()
}

/// The media type of a part and of all parts in it.
fn types(body: &Value) -> Vec<String> {
    let fields = body.list();
    if matches!(fields.first(), Some(Value::List(_))) {
        let children: Vec<_> = fields.iter().take_while(|field| matches!(field, Value::List(_))).collect();
        let subtype = fields[children.len()].text().to_ascii_lowercase();
        return [vec![format!("multipart/{subtype}")], children.into_iter().flat_map(types).collect()].concat();
    }
    let own = format!("{}/{}", fields[0].text(), fields[1].text()).to_ascii_lowercase();
    let inner = if own == "message/rfc822" { types(&fields[8]) } else { Vec::new() };
    [vec![own], inner].concat()
}

on_both_stores! {
    fn a_million_parts_are_answered_and_the_last_of_them_searched(server) {
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        let message = format!("{head}{}--b\r\n\r\nat the very end\r\n--b--\r\n", "--b\r\n\r\n\r\n".repeat(1_000_000));
        let (mut client, answer) = survives(server, &[bytes(message)]);
        assert_eq!(types(answer.item(1, "BODYSTRUCTURE").unwrap()).len(), limits::MIME_PARTS);
        assert_eq!(client.ok("SEARCH BODY \"at the very end\"").found(), [1]);
        client.ok("FETCH 1 (BODY.PEEK[10000]<0.100> BODY.PEEK[10001] BODY.PEEK[1000000] BODY.PEEK[4294967295])");
    }

    fn messages_within_messages_without_end_are_answered(server) {
        let nested = format!("{}Subject: inside\r\n\r\nx\r\n", "Content-Type: message/rfc822\r\n\r\n".repeat(10_000));
        let mut multipart = String::new();
        for level in 0..10_000 {
            multipart += &format!("Content-Type: multipart/mixed; boundary={level}\r\n\r\n--{level}\r\n");
        }
        let digest = multipart.replace("mixed", "digest").replace("Content-Type", "\r\nContent-Type");
        let (mut client, answer) = survives(server, &[bytes(nested), bytes(multipart), bytes(digest.trim_start().to_owned())]);
        for number in 1..=3 {
            let depth = types(answer.item(number, "BODYSTRUCTURE").unwrap()).len();
            assert!((50..=250).contains(&depth), "{depth} levels in message {number}");
            let path = vec!["1"; 300].join(".");
            let answer = client.ok(&format!("FETCH {number} (BODY.PEEK[{path}] BODY.PEEK[{path}.MIME] BODY.PEEK[{path}.HEADER])"));
            assert!(answer.fetches()[0].1.iter().all(|(_, value)| *value == Value::Nil || value.is_string()));
        }
    }

    fn boundaries_that_mislead_divide_as_their_lines_say(server) {
        let outer = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        let part = |boundary: &str| format!("Content-Type: multipart/alternative; boundary={boundary}\r\n\r\n");
        let leaf = "\r\ntext\r\n";
        let messages = [
            // One boundary begins as the other does.
            format!("{outer}--b\r\n{}--bb\r\n{leaf}--bb\r\n{leaf}--bb--\r\n--b\r\n{leaf}--b--\r\n", part("bb")),
            format!("{outer}--b\r\n{leaf}--bx\r\n--b y\r\n--b\r\n{leaf}--b--\r\n"),
            // The same boundary within itself: the outer one's line ends the inner.
            format!("{outer}--b\r\n{}--b\r\n{leaf}--b--\r\n--b--\r\n", part("b")),
            // No end, no beginning, nothing but an end.
            format!("{outer}--b\r\n{leaf}--b\r\n{leaf}"),
            format!("{outer}no beginning\r\n"),
            format!("{outer}--b--\r\n{leaf}"),
            // A boundary of nothing, of blanks, of 1 MiB, of what a grammar could trip over.
            format!("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n{leaf}----\r\n"),
            format!("Content-Type: multipart/mixed; boundary=\"   \"\r\n\r\n--   \r\n{leaf}"),
            format!("Content-Type: multipart/mixed; boundary={0}\r\n\r\n--{0}\r\n{leaf}--{0}--\r\n", "x".repeat(1 << 20)),
            format!("Content-Type: multipart/mixed; boundary=\"\\\"){{3}}\r\n \r\n\"\r\n\r\n--\"){{3}}\r\n{leaf}"),
        ];
        let (mut client, answer) = survives(server, &messages.map(bytes));
        let structure = |number| types(answer.item(number, "BODYSTRUCTURE").unwrap());
        assert_eq!(structure(1), ["multipart/mixed", "multipart/alternative", "text/plain", "text/plain", "text/plain"]);
        assert_eq!(structure(2), ["multipart/mixed", "text/plain", "text/plain"]);
        assert_eq!(structure(4), ["multipart/mixed", "text/plain", "text/plain"]);
        let answer = client.ok("FETCH 1 (BODY.PEEK[1.2] BODY.PEEK[2])");
        for name in ["BODY[1.2]", "BODY[2]"] {
            assert_eq!(answer.item(1, name).unwrap().text(), "text");
        }
        assert_eq!(client.ok("FETCH 2 BODY.PEEK[1]").item(2, "BODY[1]").unwrap().text(), "text\r\n--bx\r\n--b y");
    }

    fn parameters_by_the_hundred_thousand_are_cut(server) {
        let many = |parameter: &dyn Fn(usize) -> String| {
            let parameters: String = (0..100_000).map(|n| format!(";{}", parameter(n))).collect();
            bytes(format!("Content-Type: text/plain{parameters}\r\nContent-Disposition: attachment{parameters}\r\n\r\nx\r\n"))
        };
        let (_, answer) = survives(server, &[
            many(&|n| format!("p{n}=v")),
            many(&|n| format!("p*{n}=v")),
            many(&|n| format!("p*{n}*=%41")),
            many(&|_| "p=v".into()),
            many(&|_| "".into()),
            many(&|n| format!("p*{}*=utf-8''x", 99_999_999u64 * n as u64)),
        ]);
        for number in 1..=6 {
            let parameters = &answer.item(number, "BODYSTRUCTURE").unwrap().list()[2];
            // The charset that every text has comes on top.
            let count = if *parameters == Value::Nil { 0 } else { parameters.list().len() / 2 };
            assert!(count <= limits::MIME_PARAMETERS + 1, "{count} in message {number}");
        }
    }

    fn very_many_header_lines_are_answered_and_the_last_of_them_found(server) {
        let message = format!("{}X-Last: here\r\n\r\nbody\r\n", "X: y\r\n".repeat(200_000));
        let (mut client, answer) = survives(server, &[bytes(message)]);
        assert_eq!(answer.item(1, "BODY[HEADER.FIELDS (X-LAST)]").unwrap().text(), "X-Last: here\r\n\r\n");
        assert_eq!(answer.item(1, "BODY[TEXT]<0>").unwrap().text(), "body\r\n");
        client.ok("SEARCH HEADER X-Last here");
    }

    fn header_fields_of_eight_mebibytes_are_passed_through(server) {
        let value = " (\"<=?utf-8?q?a;,\r\n".repeat(1 << 19);
        let message = |name: &str| bytes(format!("{name}: {value} x\r\n\r\nbody\r\n"));
        let (mut client, _) = survives(server, &["Subject", "To", "Content-Type"].map(message));
        for number in 1..=3 {
            let answer = client.ok(&format!("FETCH {number} BODY.PEEK[TEXT]"));
            assert_eq!(answer.item(number, "BODY[TEXT]").unwrap().text(), "body\r\n");
        }
    }

    fn address_fields_of_all_kinds_give_an_envelope_that_is_bounded(server) {
        let many = 1 << 16;
        let fields: Vec<String> = [
            "a@b,".repeat(many),
            "a@b".to_owned() + &",".repeat(many),
            "g:".repeat(many),
            "g:;".repeat(many / 4),
            "g: a@b, c@d;,".repeat(many / 8),
            "(".repeat(many),
            "(a".repeat(many / 2) + &")".repeat(many / 2) + " x@y",
            "\"".to_owned() + &"a".repeat(many),
            "\\".repeat(many),
            "@".repeat(many),
            "<".repeat(many),
            "<@a,@b,@c:x@y>,".repeat(many / 4),
            "<@a,".repeat(many / 4),
            ";:,".repeat(many / 4),
            "a ".repeat(many),
            "a.".repeat(many),
            "=?utf-8?q?=22=2C=0D=0A?= <a@b>,".repeat(many / 32),
            "\u{1}\u{7f}\u{80}\u{ff}@\u{0}".into(),
        ]
        .into();
        let messages: Vec<_> = fields.iter().map(|field| bytes(format!("From: {field}\r\nTo: {field}\r\nCc: {field}\r\n\r\nx\r\n"))).collect();
        let (_, answer) = survives(server, &messages);
        for (number, field) in (1..).zip(&fields) {
            let envelope = answer.item(number, "ENVELOPE").unwrap().list();
            for addresses in &envelope[2..8] {
                let count = if *addresses == Value::Nil { 0 } else { addresses.list().len() };
                // Each group that was begun is ended, beyond the limit too.
                assert!(count <= 10_001, "{count} of {}", &field[..4]);
            }
        }
        assert_eq!(answer.item(12, "ENVELOPE").unwrap().list()[2].list().len(), 10_000);
    }

    fn encoded_words_and_charsets_that_are_none_are_searched(server) {
        let subject = |text: String| bytes(format!("Subject: {text}\r\nFrom: {text} <a@b>\r\n\r\nx\r\n"));
        let body = |head: &str, body: &[u8]| [b"Subject: s\r\nContent-Type: text/plain; ", head.as_bytes(), b"\r\n\r\n", body].concat();
        let name = "x".repeat(200);
        survives(server, &[
            subject("=?utf-8?q?x?= ".repeat(100_000)),
            subject("=?utf-8?b?4pyT?=".repeat(100_000)),
            subject("=?".repeat(200_000)),
            subject("=?utf-8?q?".repeat(100_000)),
            subject(format!("=?{name}?q?x?= =?{name}*en?b?eA==?=")),
            subject("=?utf-16?b?AGEAYgB?= =?utf-16le?b?YQ==?= =?utf-32?b?AAAA?=".into()),
            subject("=?utf-7?q?+AGE-+?= =?iso-2022-jp?b?GyRC?= =?utf-8?b?!!!!?= =?utf-8?x?y?= =?utf-8?q?=?= =?utf-8?q?=G?=".into()),
            subject("=?utf-8?b?/+/+/+8=?=\r\n =?us-ascii?q?=FF=00=0D=0A?=".into()),
            body(&format!("charset={name}"), b"\xff\xfe\x00x"),
            body("charset=\"\"", b"\xff"),
            body("charset=iso-2022-jp", &b"\x1b$B\x1b(B".repeat(100_000)),
            body("charset=iso-2022-kr", &b"\x0e\x0f".repeat(100_000)),
            body("charset=utf-7", &b"+-+AGE+".repeat(100_000)),
            body("charset=utf-16", b"a\0b"),
            body("charset=utf-16le", b"\xd8\x00\xd8"),
            body("charset=utf-8\r\nContent-Transfer-Encoding: base64", &b"!=a=b\0==\xff".repeat(10_000)),
            body("charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable", &b"=\r\n==G=0\t \r\n".repeat(10_000)),
            body("charset=utf-8\r\nContent-Transfer-Encoding: x-uuencode", b"begin 644 x\r\n"),
            body("name*0*=utf-8''a; name*99999999*=b; name*1*=%; name*=x'y; name**=z", b"x"),
        ]);
    }

    fn octets_in_any_order_are_a_message(server) {
        let head = "Subject: s\r\nFrom: a@b\r\n";
        survives(server, &[
            b"\0".to_vec(),
            b"Sub\0ject: \0\r\nFrom: \0@\0\r\nContent-Type: te\0xt/\0; a=\0\r\n\r\n\0\r\n".to_vec(),
            b"Subject: \xe4\xff\x80\r\nFrom: \xe4 <\xff@\x80>\r\nContent-Type: \xe4/\xff; \x80=\xe4\r\n\r\n\xff\xfe\r\n".to_vec(),
            b"no separator at all".to_vec(),
            b"Subject: no body".to_vec(),
            bytes(format!("{head}\r\n")),
            bytes(head.to_owned()),
            b"\r\n".to_vec(),
            b"\n".to_vec(),
            b"\r".to_vec(),
            b"\r\r\r\r".to_vec(),
            b"\n\r\n\r\n\r".to_vec(),
            b"Subject: only LF\nFrom: a@b\n\nbody\nmore\n".iter().flat_map(|&octet| if octet == b'\n' { vec![b'\r', b'\n'] } else { vec![octet] }).collect(),
            b"Subject: only CR\rFrom: a@b\r\rbody\rmore\r".to_vec(),
            bytes(format!("{head}\r\nno final line end")),
            bytes(format!(" {head}\r\nbegins with a blank\r\n")),
            bytes(format!("{head} \r\n\t\r\n\r\nblank lines in the header\r\n")),
        ]);
    }

    fn a_line_of_eight_mebibytes_is_a_body_and_a_header(server) {
        let line = "x".repeat(8 << 20);
        survives(server, &[bytes(format!("Subject: s\r\n\r\n{line}")), bytes(line)]);
    }

    fn what_stands_in_a_message_never_splits_a_response(server) {
        // The strict client panics at 8-bit, NUL, CR and LF in a quoted string, and at a response that is none.
        let evil = "x\"\\) {5}\r\n * BYE \u{1}\u{7f}\r\n\tok OK [ALERT] ü\u{0}";
        let names = ["Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "Reply-To", "Content-Type", "Content-ID",
            "Content-Description", "Content-Disposition", "Content-Language", "Content-Location", "Content-MD5", "Content-Transfer-Encoding"];
        let mut messages: Vec<Vec<u8>> = names.iter().map(|name| bytes(format!("{name}: {evil}\r\n\r\nx\r\n"))).collect();
        messages.push(bytes(names.iter().map(|name| format!("{name}: {evil}\r\n")).collect::<String>() + "\r\nx\r\n"));
        messages.push(bytes(format!("Content-Type: {evil}/{evil}; {evil}={evil}; a=\"{evil}\"\r\nContent-Disposition: {evil}; a={evil}\r\n\r\n")));
        messages.push(bytes(format!("From: {evil} <{evil}@{evil}>, \"{evil}\" <a@b>, ({evil}) c@d, {evil}: e@f;\r\n\r\n")));
        survives(server, &messages);
    }

    fn dates_that_cannot_be_are_stored_as_given_and_shown_as_dates(server) {
        let mut client = server.connect();
        for (date, taken) in [
            ("31-Dec-9999 23:59:59 +0000", true),
            (" 1-Jan-1970 00:00:00 +0000", true),
            ("29-Feb-2000 00:00:00 -1200", true),
            ("19-Jan-2038 03:14:08 +0000", true),
            ("01-Jan-1900 00:00:00 +0000", true),
            ("30-Jun-2015 23:59:60 +0000", true),
            ("01-Jan-0000 00:00:00 +0000", true),
            ("31-Dec-99999 00:00:00 +0000", false),
            ("00-Jan-2020 00:00:00 +0000", false),
            ("32-Jan-2020 00:00:00 +0000", false),
            ("29-Feb-1900 00:00:00 +0000", false),
            ("01-Foo-2020 00:00:00 +0000", false),
            ("01-Jan-2020 24:00:00 +0000", false),
            ("01-Jan-2020 00:60:00 +0000", false),
            ("01-Jan-2020 00:00:61 +0000", false),
            ("01-Jan-2020 00:00:00 +9999", false),
            ("01-Jan-2020 00:00:00 0000", false),
            ("-1-Jan-2020 00:00:00 +0000", false),
        ] {
            let answer = client.command_with_literals(&[Part::Text(&format!("APPEND INBOX \"{date}\" ")), Part::NonSync(b"A: b\r\n\r\n")]);
            assert_eq!(answer.condition, if taken { "OK" } else { "BAD" }, "{date}");
        }
        client.ok("SELECT INBOX");
        let answer = client.ok("FETCH 1:* (INTERNALDATE)");
        assert!(answer.fetches().len() >= 4);
        for date in ["1-Jan-0001", "31-Dec-9999", "1-Jan-1970"] {
            client.ok(&format!("SEARCH OR BEFORE {date} OR ON {date} SINCE {date}"));
        }
    }

    fn date_fields_that_cannot_be_match_no_date(server) {
        let dates = ["99999", "2147483648", "4294967296", "18446744073709551616", "-1", "0"].map(|year| format!("1 Jan {year} 00:00:00 +0000"));
        let zones = ["+9999", "-9999", "+99999999999", "+", "ZZZ", "(((((", "+0000 (\\"].map(|zone| format!("1 Jan 1995 00:00:00 {zone}"));
        let times = ["24:00:00", "23:59:60", "23:59:61", "99:99:99", "::", "-1:-1:-1", "99999999999:0:0"].map(|time| format!("1 Jan 1995 {time} +0000"));
        let days = ["0 Jan", "32 Jan", "31 Feb", "1 Foo", "1 0", "99999999999 Jan", "-1 Jan", "Jan"].map(|day| format!("{day} 1995 00:00:00 +0000"));
        let messages: Vec<_> =
            dates.iter().chain(&zones).chain(&times).chain(&days).map(|date| bytes(format!("Date: {date}\r\n\r\nx\r\n"))).collect();
        let (mut client, answer) = survives(server, &messages);
        for (number, message) in (1..).zip(&messages) {
            let date = answer.item(number, "ENVELOPE").unwrap().list()[0].text();
            assert!(String::from_utf8_lossy(message).contains(date.trim()), "{date}");
        }
        for date in ["1-Jan-0001", "31-Dec-9999"] {
            client.ok(&format!("SEARCH OR SENTBEFORE {date} OR SENTON {date} SENTSINCE {date}"));
        }
    }
}

#[test]
fn an_empty_file_and_files_from_before_and_after_all_calendars_are_messages() {
    let server = Server::maildir();
    let new = server.root().unwrap().join("new");
    server.connect();
    let second = Duration::from_secs(1);
    let times = [
        SystemTime::UNIX_EPOCH - second * 1_000_000_000,
        SystemTime::UNIX_EPOCH - second,
        SystemTime::UNIX_EPOCH + second * 2_147_483_648u32,
        SystemTime::UNIX_EPOCH + second * 4_294_967_295u32 + second,
        SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
    ];
    std::fs::write(new.join("1.empty.host"), b"").unwrap();
    for (n, time) in (2..).zip(times) {
        let path = new.join(format!("{n}.M{n}P1.host"));
        std::fs::write(&path, b"Subject: odd\n\nx\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        // Not every file system keeps every time; what it makes of it is as good.
        let _ = file.set_times(FileTimes::new().set_modified(time));
    }
    let mut client = server.connect();
    client.ok("SELECT INBOX");
    let answer = client
        .run("FETCH 1:* (INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[TEXT] BINARY.SIZE[1])");
    assert_eq!((answer.condition.as_str(), answer.fetches().len()), ("OK", 7), "{answer:?}");
    assert_eq!(answer.item(1, "RFC822.SIZE").unwrap().number(), 0);
    assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), b"");
    client.ok("SEARCH OR BEFORE 1-Jan-1970 SINCE 1-Jan-2100");
    client.ok("SEARCH OLDER 4294967295 YOUNGER 1");
    client.ok("COPY 1:* INBOX");
}
