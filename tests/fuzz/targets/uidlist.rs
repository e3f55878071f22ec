//! A UID list: what is read is written so that Dovecot takes it, and reads back the same.

#![no_main]

use imapd::testing::storage::maildir::interop::dovecot_uidlist::{UidList, strictly_valid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(list) = UidList::parse(octets) {
        assert!(list.records.windows(2).all(|pair| pair[0].uid < pair[1].uid));
        assert!(list.records.last().is_none_or(|last| last.uid.get() < list.header.next_uid));
        let written = list.write();
        assert_eq!(strictly_valid(&written), Ok(()));
        assert_eq!(UidList::parse(&written), Ok(list));
    }
});
