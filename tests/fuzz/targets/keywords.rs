//! Both keyword files, Dovecot's and our own: what is read is written and reads back the same.

#![no_main]

use imapd::testing::storage::maildir::interop::dovecot_keywords::Keywords;
use imapd::testing::storage::maildir::more_keywords::MoreKeywords;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let keywords = Keywords::parse(octets);
    assert_eq!(Keywords::parse(&keywords.write()), keywords);
    for (letter, keyword) in keywords.iter() {
        assert_eq!(keywords.letter(&keyword), Some(letter));
    }
    let more = MoreKeywords::parse(octets);
    assert_eq!(MoreKeywords::parse(&more.write()), more);
    for keyword in more.names() {
        assert!(more.number(keyword).is_some());
    }
});
