//! Header fields: any octets are a header, and each field of it has dates, addresses and words or has none.

#![no_main]

use imapd::testing::message::{address, charset, content, date, encoded_word, envelope, header, parameter, transfer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for field in header::fields(octets).take(100) {
        let value = header::unfold(field.value);
        date::parse(&value);
        address::parse(&value);
        encoded_word::decode(&value);
    }
    date::parse(octets);
    encoded_word::decode(octets);
    groups_close(&address::parse(octets));
    envelope::read(octets);
    let content = content::read(octets, content::Default::Text);
    assert!(!content.main_type.is_empty() && !content.sub_type.is_empty() && !content.encoding.is_empty());
    let parameters = parameter::parse(octets);
    for (name, value) in &parameters {
        assert!(!name.is_empty());
        parameter::text(&parameters, name);
        encoded_word::decode(value);
    }
    // To keep some fields and to leave the same ones out divides a header.
    let names = vec![b"subject".to_vec(), b"x".to_vec()];
    let kept = header::select(octets, &names, true);
    assert_eq!(header::select(&kept, &names, true), kept);

    let Some((&choice, rest)) = octets.split_first() else { return };
    let label = ["utf-8", "iso-8859-1", "iso-2022-jp", "gb18030", "utf-7", "koi8-r", "big5", "nonsense"]
        [usize::from(choice % 8)];
    let text = charset::decode(label.as_bytes(), rest);
    if label != "nonsense" {
        let (mut decoder, mut pieces) = (charset::Decoder::new(label.as_bytes()), String::new());
        for piece in rest.chunks(usize::from(choice) + 1) {
            decoder.push(piece, &mut pieces);
        }
        decoder.finish(&mut pieces);
        assert_eq!(text, pieces, "the text depends on how the octets are cut");
    }
    for encoding in ["base64", "quoted-printable", "7bit"] {
        let Some(mut whole) = transfer::Decoder::new(encoding.as_bytes()) else { continue };
        let mut once = Vec::new();
        whole.push(rest, &mut once);
        whole.finish(&mut once);
        let Some(mut cut) = transfer::Decoder::new(encoding.as_bytes()) else { continue };
        let mut pieces = Vec::new();
        for piece in rest.chunks(usize::from(choice) + 1) {
            cut.push(piece, &mut pieces);
        }
        cut.finish(&mut pieces);
        assert_eq!(once, pieces, "what is decoded depends on how it is cut");
    }
});

/// A group that is not closed would take in all addresses behind it.
fn groups_close(list: &[address::Address]) {
    let mut open = false;
    for address in list {
        match (&address.mailbox, &address.host) {
            (Some(_), None) => assert!(!std::mem::replace(&mut open, true)),
            (None, None) => assert!(std::mem::replace(&mut open, false)),
            (Some(_), Some(_)) => {}
            (None, Some(_)) => panic!("a host without a mailbox"),
        }
    }
    assert!(!open);
}
