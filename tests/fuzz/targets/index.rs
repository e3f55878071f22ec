//! A damaged index: whatever its values hold, they are read within their bounds or refused, and what is written is read back the same.

#![no_main]

use imapd::testing::storage::maildir::index::chunk::{Builder, Names, Rows, write_rows};
use imapd::testing::storage::maildir::index::record::Record;
use imapd::testing::storage::maildir::index::{history, pages, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    // As a whole file.
    let read_at = |at: u64, into: &mut [u8]| {
        let found = usize::try_from(at).ok().and_then(|at| octets.get(at..at.checked_add(into.len())?));
        into.copy_from_slice(found.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    };
    let _ = pages::read(&read_at, &mut |table, key, value| {
        let _ = seal::open(std::str::from_utf8(table).unwrap_or_default(), key, value);
        Ok(())
    });
    if let Ok(value) = seal::open("rows", b"key", octets) {
        assert_eq!(seal::seal("rows", b"key", value), octets);
    }
    if let Some(record) = Record::read(octets) {
        assert_eq!(Record::read(&record.write()), Some(record));
    }
    if let Ok(uids) = history::read(octets) {
        assert_eq!(history::read(&history::write(&uids)).ok(), Some(uids));
    }
    let Some((&divide, octets)) = octets.split_first() else { return };
    let (first, second) = octets.split_at(usize::from(divide).min(octets.len()));
    let Some(rows) = Rows::new(first) else { return };
    for row in rows.iter() {
        rows.find(row.uid);
    }
    let Some(names) = Names::new(second, rows.len()) else { return };
    let (sound, mut chunk, mut readable) = (names.are_sound(), Builder::default(), 0);
    for (at, row) in rows.iter().enumerate() {
        let Some((kept, fields)) = names.get(at) else { continue };
        readable += 1;
        let name = row.name(kept);
        row.is_named(kept, row.place(), &name);
        chunk.push(row, kept, fields);
    }
    assert!(!sound || readable == rows.len());
    if readable < rows.len() {
        return;
    }
    let Some((_, new_rows, new_names)) = chunk.finish() else { return };
    let again = Rows::new(&new_rows).expect("rows that were just written");
    assert!(again.iter().eq(rows.iter()));
    assert_eq!(write_rows(&again.iter().collect::<Vec<_>>()), new_rows);
    let new_names = Names::new(&new_names, rows.len()).expect("names that were just written");
    assert!(new_names.are_sound());
    assert!((0..rows.len()).all(|at| new_names.get(at) == names.get(at)));
});
