//! Header fields: any octets are a header, and each field of it has dates, addresses and words or has none.

#![no_main]

use imapd::testing::message::{address, charset, date, encoded_word, header, transfer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for field in header::fields(octets).take(100) {
        let value = header::unfold(field.value);
        date::parse(&value);
        address::parse(&value);
        encoded_word::decode(&value);
    }
    date::parse(octets);
    address::parse(octets);
    encoded_word::decode(octets);
    // To keep some fields and to leave the same ones out divides a header.
    let names = vec![b"subject".to_vec(), b"x".to_vec()];
    let kept = header::select(octets, &names, true);
    assert_eq!(header::select(&kept, &names, true), kept);

    let Some((&choice, rest)) = octets.split_first() else { return };
    let label = ["utf-8", "iso-8859-1", "iso-2022-jp", "gb18030", "utf-7", "koi8-r", "big5", "nonsense"]
        [usize::from(choice % 8)];
    charset::decode(label.as_bytes(), rest);
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
