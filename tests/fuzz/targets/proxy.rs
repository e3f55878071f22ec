//! A PROXY header: what is whole stays so with more behind it, and no beginning of it wants more than there is.

#![no_main]

use imapd::testing::limits;
use imapd::testing::transport::proxy::{Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    match parse(octets) {
        Parsed::Header(header) => {
            assert!(header.length <= octets.len() && header.length <= limits::PROXY_HEADER);
            assert_eq!(parse(&octets[..header.length]), Parsed::Header(header));
            for end in 0..header.length {
                let Parsed::More(more) = parse(&octets[..end]) else { panic!("{end}") };
                assert!(more > 0 && end + more <= header.length);
            }
        }
        Parsed::More(more) => assert!(more > 0 && octets.len() + more <= limits::PROXY_HEADER),
        Parsed::Invalid => {}
    }
});
