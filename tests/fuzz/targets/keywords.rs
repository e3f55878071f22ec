//! A keyword file: what is read is written and reads back the same.

#![no_main]

use imapd::testing::storage::maildir::interop::dovecot_keywords::Keywords;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let keywords = Keywords::parse(octets);
    assert_eq!(Keywords::parse(&keywords.write()), keywords);
    for (letter, keyword) in keywords.iter() {
        assert_eq!(keywords.letter(&keyword), Some(letter));
    }
});
