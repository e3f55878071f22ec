//! A file name: whatever it is, flags are put into it and read back, and its base stays.

#![no_main]

use imapd::testing::storage::maildir::{file_name, folder_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((&letter, name)) = octets.split_first() else { return };
    let mut letters = file_name::letters(name);
    letters.insert(letter);
    let written = file_name::with_letters(name, letters);
    assert_eq!(file_name::letters(&written), letters);
    assert_eq!(file_name::base(&written), file_name::base(name));
    assert_eq!(file_name::with_letters(&written, letters), written);
    let sized = file_name::with_sizes(name, 1, 2);
    assert_eq!((file_name::stored_size(&sized), file_name::wire_size(&sized)), (Some(1), Some(2)));
    if let Some(mailbox) = folder_name::from_entry(name)
        && let Ok(entry) = folder_name::to_entry(&mailbox, folder_name::Spelling::Utf7)
    {
        assert_eq!(folder_name::from_entry(&entry), Some(mailbox));
    }
});
