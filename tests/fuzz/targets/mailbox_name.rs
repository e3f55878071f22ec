//! Modified UTF-7: each text has one form, and what is taken is that form. Base64 likewise.

#![no_main]

use imapd::testing::encoding::{base64, utf7};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Some(text) = utf7::decode(octets) {
        assert_eq!(utf7::encode(&text).as_bytes(), octets);
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        let encoded = utf7::encode(text);
        assert!(encoded.is_ascii());
        // Controls have no form of their own, so they come back only as what they are.
        assert_eq!(utf7::decode(encoded.as_bytes()).as_deref(), Some(text));
    }
    assert_eq!(base64::decode_strict(base64::encode(octets).as_bytes()).as_deref(), Some(octets));
    if let Some(decoded) = base64::decode_strict(octets) {
        assert_eq!(base64::encode(&decoded).as_bytes(), octets);
    }
});
