//! BODY[...] and BINARY[...]: sections to any depth, partials, decoding.

use crate::on_both_stores;
use crate::support::{Client, Part, Server, Value};

/// RFC 9051 section 6.4.5.1's example, made flesh.
const NESTED: &[u8] = b"Subject: outer\r\nFrom: a@x\r\nX-Long: one\r\n two\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n\
--outer\r\n\r\nfirst\r\n\
--outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n\
--outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: third\r\nContent-Type: multipart/mixed; boundary=three\r\n\r\n\
--three\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n\
--three\r\nContent-Type: application/octet-stream\r\n\r\n3.2\r\n--three--\r\n\
--outer\r\nContent-Type: multipart/mixed; boundary=four\r\n\r\n\
--four\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: x-unknown\r\n\r\ngif\r\n\
--four\r\nContent-Type: message/rfc822\r\n\r\nSubject: four two\r\n\r\nbody of 4.2\r\n\
--four--\r\n\
--outer--\r\nepilogue\r\n";

fn filled(server: &Server, message: &[u8]) -> Client {
    let mut client = server.connect();
    let append = [Part::Text("APPEND INBOX "), Part::NonSync8(message)];
    assert_eq!(client.command_with_literals(&append).condition, "OK");
    client.ok("SELECT INBOX");
    client
}

fn fetch(client: &mut Client, item: &str, name: &str) -> Value {
    let answer = client.ok(&format!("FETCH 1 {item}"));
    answer.item(1, name).unwrap_or_else(|| panic!("{name}: {answer:?}")).clone()
}

fn body(client: &mut Client, section: &str) -> Option<String> {
    match fetch(client, &format!("BODY.PEEK[{section}]"), &format!("BODY[{section}]")) {
        Value::Nil => None,
        text => Some(text.text()),
    }
}

on_both_stores! {
    fn every_section_is_found(server) {
        let mut client = filled(server, NESTED);
        for (section, octets) in [
            ("1", "first"),
            ("1.MIME", "\r\n"),
            ("2", "AAECAw=="),
            ("2.MIME", "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
            ("3.HEADER", "Subject: third\r\nContent-Type: multipart/mixed; boundary=three\r\n\r\n"),
            ("3.HEADER.FIELDS (SUBJECT)", "Subject: third\r\n\r\n"),
            ("3.MIME", "Content-Type: message/rfc822\r\n\r\n"),
            ("3.1", "a=3Db=\r\nc"),
            ("3.2", "3.2"),
            ("3.2.MIME", "Content-Type: application/octet-stream\r\n\r\n"),
            ("4.1", "gif"),
            ("4.2.HEADER", "Subject: four two\r\n\r\n"),
            ("4.2.TEXT", "body of 4.2"),
            ("4.2.1", "body of 4.2"),
            ("HEADER.FIELDS (SUBJECT)", "Subject: outer\r\n\r\n"),
            ("HEADER.FIELDS (X-LONG)", "X-Long: one\r\n two\r\n\r\n"),
            ("HEADER.FIELDS (ABSENT)", "\r\n"),
        ] {
            assert_eq!(body(&mut client, section).as_deref(), Some(octets), "{section}");
        }
        assert!(body(&mut client, "3.TEXT").unwrap().starts_with("--three\r\n"));
        assert!(body(&mut client, "TEXT").unwrap().starts_with("preamble\r\n"));
        let rest = body(&mut client, "HEADER.FIELDS.NOT (SUBJECT CONTENT-TYPE MIME-VERSION)").unwrap();
        assert_eq!(rest, "From: a@x\r\nX-Long: one\r\n two\r\n\r\n");
        let three = body(&mut client, "3").unwrap();
        assert_eq!(three, body(&mut client, "3.HEADER").unwrap() + &body(&mut client, "3.TEXT").unwrap());
    }

    fn a_part_that_is_not_there_is_nil(server) {
        let mut client = filled(server, NESTED);
        for section in ["5", "1.1.1", "9.9", "3.3", "4.2.2", "1.HEADER", "2.TEXT", "4.HEADER", "4294967295"] {
            assert_eq!(body(&mut client, section), None, "{section}");
        }
        client.bad("FETCH 1 BODY[0]");
        client.bad("FETCH 1 BODY[MIME]");
        client.bad("FETCH 1 BODY[1.]");
        client.bad("FETCH 1 BODY[HEADER.FIELDS ()]");
        assert_eq!(fetch(&mut client, "BINARY.PEEK[9]", "BINARY[9]"), Value::Nil);
        assert_eq!(fetch(&mut client, "BINARY.SIZE[9]", "BINARY.SIZE[9]").number(), 0);
    }

    fn header_fields_are_named_as_the_client_named_them(server) {
        let mut client = filled(server, NESTED);
        let answer = client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject \"From\")]");
        let (name, value) = answer.fetches()[0].1[0].clone();
        assert!(name.to_ascii_uppercase().contains("HEADER.FIELDS (SUBJECT"), "{name}");
        assert_eq!(value.text(), "Subject: outer\r\nFrom: a@x\r\n\r\n");
    }

    fn partials_put_together_are_the_section(server) {
        let mut client = filled(server, NESTED);
        for section in ["", "HEADER", "TEXT", "3", "3.1", "2.MIME", "HEADER.FIELDS (X-LONG SUBJECT)"] {
            let whole = body(&mut client, section).unwrap();
            for size in [1, 7, 64] {
                let mut pieces = String::new();
                while pieces.len() < whole.len() {
                    let origin = pieces.len();
                    let item = format!("BODY.PEEK[{section}]<{origin}.{size}>");
                    pieces += &fetch(&mut client, &item, &format!("BODY[{section}]<{origin}>")).text();
                }
                assert_eq!(pieces, whole, "{section} by {size}");
            }
        }
    }

    fn a_partial_beyond_the_end_is_empty_and_nothing_overflows(server) {
        let mut client = filled(server, NESTED);
        let size = NESTED.len();
        for (partial, origin, length) in [
            (format!("<{size}.1>"), size as u64, 0),
            ("<4294967295.4294967295>".into(), 4_294_967_295, 0),
            ("<0.4294967295>".into(), 0, size),
            (format!("<{}.100>", size - 3), size as u64 - 3, 3),
        ] {
            let got = fetch(&mut client, &format!("BODY.PEEK[]{partial}"), &format!("BODY[]<{origin}>"));
            assert_eq!(got.bytes().len(), length, "{partial}");
            fetch(&mut client, &format!("BINARY.PEEK[1]{partial}"), &format!("BINARY[1]<{origin}>"));
        }
        // The answer to <0.n> is a partial even if it is all there is.
        assert_eq!(fetch(&mut client, "BODY.PEEK[1]<0.100>", "BODY[1]<0>").text(), "first");
        for wrong in ["<0.0>", "<0>", "<-1.5>", "<1.18446744073709551616>", "<99999999999999999999.1>", "<1.2"] {
            client.bad(&format!("FETCH 1 BODY.PEEK[]{wrong}"));
        }
    }

    fn binary_undoes_the_transfer_encoding(server) {
        let mut client = filled(server, NESTED);
        assert_eq!(fetch(&mut client, "BINARY.PEEK[2]", "BINARY[2]"), Value::Literal8(vec![0, 1, 2, 3]));
        assert_eq!(fetch(&mut client, "BINARY.SIZE[2]", "BINARY.SIZE[2]").number(), 4);
        // Only what has a NUL needs a literal8.
        assert_eq!(fetch(&mut client, "BINARY.PEEK[2]<1.2>", "BINARY[2]<1>"), Value::Text(vec![1, 2]));
        assert_eq!(fetch(&mut client, "BINARY.PEEK[2]<0.2>", "BINARY[2]<0>"), Value::Literal8(vec![0, 1]));
        assert_eq!(fetch(&mut client, "BINARY.PEEK[2]<9.2>", "BINARY[2]<9>"), Value::Text(vec![]));
        assert_eq!(fetch(&mut client, "BINARY[3.1]", "BINARY[3.1]").text(), "a=bc");
        assert_eq!(fetch(&mut client, "BINARY.SIZE[3.1]", "BINARY.SIZE[3.1]").number(), 4);
        assert_eq!(fetch(&mut client, "BINARY.PEEK[3.1]<2.1>", "BINARY[3.1]<2>").text(), "b");
        assert_eq!(fetch(&mut client, "BINARY.PEEK[]", "BINARY[]").bytes(), NESTED);
        assert_eq!(fetch(&mut client, "BINARY.SIZE[]", "BINARY.SIZE[]").number(), NESTED.len() as u64);
    }

    fn an_unknown_transfer_encoding_is_told_and_the_rest_is_answered(server) {
        let mut client = filled(server, NESTED);
        let append = [Part::Text("APPEND INBOX "), Part::NonSync(b"Subject: b\r\n\r\nb\r\n")];
        client.command_with_literals(&append);
        client.ok("NOOP");
        let answer = client.no("FETCH 1:2 (UID BINARY.PEEK[4.1] BINARY.PEEK[1])");
        assert_eq!(answer.code_name(), "UNKNOWN-CTE");
        assert_eq!(answer.item(1, "BINARY[1]").unwrap().text(), "first");
        assert_eq!(answer.item(2, "BINARY[1]").unwrap().text(), "b\r\n");
        let answer = client.no("FETCH 1 BINARY.SIZE[4.1]");
        assert_eq!((answer.code_name(), answer.fetches().len()), ("UNKNOWN-CTE", 0));
        assert_eq!(body(&mut client, "4.1").as_deref(), Some("gif"));
    }

    fn a_large_part_decoded_in_pieces_is_the_whole(server) {
        let plain: Vec<u8> = (0..1_200_000u32).map(|n| (n % 251) as u8).collect();
        let encoded = base64_lines(&plain);
        let message = [&b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"[..], &encoded]
            .concat();
        let mut client = filled(server, &message);
        assert_eq!(fetch(&mut client, "BINARY.SIZE[1]", "BINARY.SIZE[1]").number(), plain.len() as u64);
        assert!(fetch(&mut client, "BINARY.PEEK[1]", "BINARY[1]").bytes() == plain);
        let mut pieces = Vec::new();
        while pieces.len() < plain.len() {
            let origin = pieces.len();
            let item = format!("BINARY.PEEK[1]<{origin}.100000>");
            pieces.extend_from_slice(fetch(&mut client, &item, &format!("BINARY[1]<{origin}>")).bytes());
        }
        assert!(pieces == plain);
    }

    fn nul_in_a_message_is_kept_for_binary_and_hidden_from_body(server) {
        let message = b"Subject: n\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\r\n";
        let mut client = filled(server, message);
        assert_eq!(fetch(&mut client, "BINARY.PEEK[1]", "BINARY[1]"), Value::Literal8(b"a\0b\r\n".to_vec()));
        assert_eq!(fetch(&mut client, "BODY.PEEK[1]", "BODY[1]").bytes(), b"a\x80b\r\n");
        assert_eq!(fetch(&mut client, "RFC822.SIZE", "RFC822.SIZE").number(), message.len() as u64);
        assert_eq!(fetch(&mut client, "BODY.PEEK[]", "BODY[]").bytes().len(), message.len());
    }

    fn a_message_of_ten_thousand_nested_parts_is_answered(server) {
        let mut message = String::from("Subject: deep\r\n");
        for level in 0..10_000 {
            message += &format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n");
        }
        message += "\r\nx\r\n";
        let mut client = filled(server, message.as_bytes());
        let answer = client.ok("FETCH 1 (BODYSTRUCTURE BODY.PEEK[1.1.1.1] BODY.PEEK[] BINARY.SIZE[1.1] ENVELOPE)");
        assert_eq!(answer.fetches()[0].1.len(), 5);
        assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), message.as_bytes());
        let path = vec!["1"; 200].join(".");
        client.run(&format!("FETCH 1 BODY.PEEK[{path}]"));
        assert_eq!(client.ok("SEARCH TEXT x").found(), [1]);
    }

    fn a_message_of_more_parts_than_are_told_apart_is_answered(server) {
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        let message = format!("{head}{}--b--\r\n", "--b\r\n\r\n.\r\n".repeat(30_000));
        let mut client = filled(server, message.as_bytes());
        let answer = client.ok("FETCH 1 (BODYSTRUCTURE BODY.PEEK[9000] BODY.PEEK[29999] BODY.PEEK[TEXT])");
        assert_eq!(answer.fetches()[0].1.len(), 4);
        assert_eq!(answer.item(1, "BODY[9000]").unwrap().text(), ".");
        assert_eq!(answer.item(1, "BODY[TEXT]").unwrap().bytes().len(), message.len() - head.len());
    }

    fn parameters_and_boundaries_out_of_all_proportion_are_answered(server) {
        let mut message = String::from("Content-Type: multipart/mixed");
        for n in 0..10_000 {
            message += &format!(";\r\n p*{n}*=%41; q{n}*99999999*=x");
        }
        message += &format!(";\r\n boundary={}\r\n\r\n--x\r\n\r\nbody\r\n", "x".repeat(100_000));
        let mut client = filled(server, message.as_bytes());
        let answer = client.ok("FETCH 1 (BODYSTRUCTURE BODY BODY.PEEK[] BODY.PEEK[1])");
        assert_eq!(answer.fetches()[0].1.len(), 4);
        assert_eq!(answer.item(1, "BODY[]").unwrap().bytes(), message.as_bytes());
    }

    fn a_header_of_very_many_lines_is_answered(server) {
        let mut message = String::from("To: a@b");
        for n in 0..20_000 {
            message += &format!(",\r\n u{n}@example.org");
        }
        message += "\r\n";
        for n in 0..30_000 {
            message += &format!("X-{n}: y\r\n");
        }
        message += "Subject: last\r\n\r\nbody\r\n";
        let mut client = filled(server, message.as_bytes());
        let answer = client.ok("FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[HEADER] BODY.PEEK[TEXT])");
        assert_eq!(answer.item(1, "BODY[HEADER.FIELDS (SUBJECT)]").unwrap().text(), "Subject: last\r\n\r\n");
        assert_eq!(answer.item(1, "BODY[TEXT]").unwrap().text(), "body\r\n");
        assert!(answer.item(1, "ENVELOPE").unwrap().list()[5].list().len() >= 10_000);
    }
}

fn base64_lines(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in plain.chunks(57) {
        out.extend_from_slice(imapd::testing::encoding::base64::encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}
