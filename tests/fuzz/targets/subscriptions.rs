//! A subscriptions file: what is read is written and reads back the same, and a name is in it after it was added and not after it was removed.

#![no_main]

use imapd::testing::storage::maildir::folder_name::Spelling;
use imapd::testing::storage::maildir::interop::dovecot_subscriptions::Subscriptions;
use imapd::testing::types::MailboxName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut subscriptions = Subscriptions::parse(octets);
    assert_eq!(Subscriptions::parse(&subscriptions.write()).names(), subscriptions.names());
    let Ok(name) = MailboxName::parse(&String::from_utf8_lossy(octets)) else { return };
    if subscriptions.add(&name, Spelling::Utf7).is_ok() {
        assert!(Subscriptions::parse(&subscriptions.write()).names().contains(&name));
        assert!(subscriptions.remove(&name));
        assert!(!Subscriptions::parse(&subscriptions.write()).names().contains(&name));
    }
});
