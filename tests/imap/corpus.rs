//! Every message of the corpus goes in and comes out the same, and its sections and sizes agree with one another.

#[path = "../support/corpus.rs"]
pub mod messages;

use crate::on_both_stores;
use crate::support::{Client, Part, Server, Value};

/// Parts looked at in one message: those built to have thousands would take the time of all others together.
const PARTS: usize = 100;

/// The corpus in INBOX, selected; with what BODY[] must give for each, in order.
fn filled(server: &Server) -> (Client, Vec<(String, Vec<u8>)>) {
    let mut client = server.connect();
    let mut wanted = Vec::new();
    for (name, octets) in messages::messages() {
        // An empty literal means to give the APPEND up (RFC 3502 section 6.3.11), so such a message cannot be had.
        if octets.is_empty() {
            continue;
        }
        let message = if octets.contains(&0) { Part::NonSync8(&octets) } else { Part::NonSync(&octets) };
        let answer = client.command_with_literals(&[Part::Text("APPEND INBOX "), message]);
        assert_eq!(answer.condition, "OK", "{name}: {answer:?}");
        // A literal cannot hold NUL: it is sent as 0x80.
        wanted.push((name, octets.iter().map(|&octet| if octet == 0 { 0x80 } else { octet }).collect()));
    }
    client.ok("SELECT INBOX");
    (client, wanted)
}

/// The single parts of a BODYSTRUCTURE: section number and size in octets.
fn parts(body: &Value) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    let is_multipart = |body: &Value| matches!(body.list().first(), Some(Value::List(_)));
    let root = if is_multipart(body) { String::new() } else { "1".into() };
    let mut open = vec![(root, body)];
    while let Some((path, body)) = open.pop() {
        let below = |number: usize| if path.is_empty() { number.to_string() } else { format!("{path}.{number}") };
        let fields = body.list();
        if is_multipart(body) {
            let children = fields.iter().take_while(|field| matches!(field, Value::List(_)));
            open.extend((1..).zip(children).map(|(number, child)| (below(number), child)));
            continue;
        }
        out.push((path.clone(), fields[6].number()));
        let (main, sub) = (fields[0].bytes().to_ascii_lowercase(), fields[1].bytes().to_ascii_lowercase());
        if main == b"message" && (sub == b"rfc822" || sub == b"global") {
            let inner = &fields[8];
            open.push((if is_multipart(inner) { path.clone() } else { below(1) }, inner));
        }
    }
    out.sort();
    out
}

fn holds(whole: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(whole, piece).is_some()
}

on_both_stores! {
    fn every_message_comes_back_to_the_octet(server) {
        let (mut client, wanted) = filled(server);
        for (number, (name, octets)) in (1..).zip(&wanted) {
            let answer = client.ok(&format!(
                "FETCH {number} (RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])"
            ));
            let item = |item: &str| answer.item(number, item).unwrap_or_else(|| panic!("{name}: no {item}"));
            assert_eq!(item("RFC822.SIZE").number(), octets.len() as u64, "{name}");
            assert!(item("BODY[]").bytes() == octets, "{name}: {:?}", String::from_utf8_lossy(item("BODY[]").bytes()));
            assert!([item("BODY[HEADER]").bytes(), item("BODY[TEXT]").bytes()].concat() == *octets, "{name}");
        }
        // And what was not read is measured the same.
        let answer = client.ok("FETCH 1:* RFC822.SIZE");
        for (number, (name, octets)) in (1..).zip(&wanted) {
            assert_eq!(answer.item(number, "RFC822.SIZE").unwrap().number(), octets.len() as u64, "{name}");
        }
        assert_eq!(wanted.len(), answer.fetches().len());
    }

    fn every_part_is_in_the_whole_and_as_long_as_announced(server) {
        let (mut client, wanted) = filled(server);
        let mut seen = 0;
        for (number, (name, octets)) in (1..).zip(&wanted) {
            let structure = client.ok(&format!("FETCH {number} BODYSTRUCTURE"));
            let parts = parts(structure.item(number, "BODYSTRUCTURE").unwrap());
            for parts in parts.chunks(20).take(PARTS / 20) {
                let items: Vec<_> =
                    parts.iter().map(|(path, _)| format!("BODY.PEEK[{path}] BODY.PEEK[{path}.MIME] BINARY.SIZE[{path}]")).collect();
                // BINARY may be in an encoding that is not known: then NO, and the other items are there.
                let answer = client.run(&format!("FETCH {number} ({})", items.join(" ")));
                assert!(answer.condition == "OK" || answer.code_name() == "UNKNOWN-CTE", "{name}: {answer:?}");
                for (path, size) in parts {
                    let body = answer.item(number, &format!("BODY[{path}]")).unwrap().bytes();
                    assert_eq!(body.len() as u64, *size, "{name} {path}");
                    assert!(holds(octets, body), "{name} {path}");
                    let mime = answer.item(number, &format!("BODY[{path}.MIME]")).unwrap();
                    assert!(holds(octets, mime.bytes()), "{name} {path}.MIME");
                    seen += 1;
                }
            }
        }
        assert!(seen > wanted.len(), "{seen} parts in {} messages", wanted.len());
    }

    fn partials_put_together_are_the_message(server) {
        let (mut client, wanted) = filled(server);
        for (number, (name, octets)) in (1..).zip(&wanted) {
            let size = octets.len() / 5 + 1;
            let mut pieces = Vec::new();
            while pieces.len() < octets.len() {
                let origin = pieces.len();
                let answer = client.ok(&format!("FETCH {number} BODY.PEEK[]<{origin}.{size}>"));
                pieces.extend_from_slice(answer.item(number, &format!("BODY[]<{origin}>")).unwrap().bytes());
            }
            assert!(pieces == *octets, "{name}");
        }
    }

    fn every_message_can_be_searched(server) {
        let (mut client, wanted) = filled(server);
        let all: Vec<u32> = (1..).take(wanted.len()).collect();
        assert_eq!(client.ok("SEARCH NOT (TEXT \"in none of them, surely\" OR FROM \"no one\" SENTON 1-Jan-1901)").found(), all);
    }
}
