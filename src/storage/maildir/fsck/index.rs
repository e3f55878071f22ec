//! The index: that it can be read, and says of each folder that it is current for what the files and the UID list say. It is read without a lock and without
//! mapping it, so that neither a session nor this is disturbed.

use super::messages::Messages;
use super::uid_list::List;
use super::{Check, join, printable};
use crate::storage::Result;
use crate::storage::maildir::folder::{Folder, Place};
use crate::storage::maildir::index::chunk::{Names, Row, Rows};
use crate::storage::maildir::index::record::{Record, inode_of};
use crate::storage::maildir::index::{self, FILE, Failure, Index, pages, seal};
use crate::storage::maildir::root::Root;
use crate::sys::file::Dir;
use crate::sys::lmdb::boot_id;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// So often it is read again when sessions change it meanwhile.
const TRIES: usize = 5;

/// What the index says.
#[derive(Default)]
pub struct Snapshot {
    records: HashMap<u64, Record>,
    /// By mailbox and first UID.
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    names: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads the index, if there is one that the next session would use.
pub fn read(check: &mut Check<'_>) -> Result<()> {
    let file = match check.root.dir.open_file(FILE) {
        Ok(file) if pages::READABLE => file,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            check.leave(join(&check.root.path, FILE), "is no regular file", "somebody must say what it should be");
            return Ok(());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => return Ok(()),
    };
    let why = match index::why_lost(&check.root.dir, &boot_id())? {
        None => match snapshot(&file) {
            Ok(read) => {
                check.index = read;
                return Ok(());
            }
            Err(Failure::Unusable(why)) => {
                check.leave(join(&check.root.path, FILE), format!("cannot be checked: {why}"), "it cannot be read");
                return Ok(());
            }
            Err(Failure::Damaged(what)) => format!("is damaged: {what}"),
        },
        // Every crash of the machine does that, and the next session mends it.
        Some(index::Lost::EarlierBoot) => return Ok(()),
        Some(lost) => format!("is damaged: {lost}"),
    };
    check.found(join(&check.root.path, FILE), why, |root| {
        index::remove(&root.dir)?;
        Ok("removed; the next session makes another")
    });
    Ok(())
}

/// Nothing if sessions change it faster than it can be read.
fn snapshot(file: &File) -> index::Result<Option<Snapshot>> {
    let read_at = |at: u64, into: &mut [u8]| file.read_exact_at(into, at);
    for _ in 0..TRIES {
        let mut snapshot = Snapshot::default();
        let before = pages::last_transaction(&read_at)?;
        let read = pages::read(&read_at, &mut |table, key, value| snapshot.take(table, key, value));
        if pages::last_transaction(&read_at)? == before {
            return read.map(|_| Some(snapshot));
        }
    }
    Ok(None)
}

impl Snapshot {
    fn take(&mut self, table: &[u8], key: &[u8], value: &[u8]) -> index::Result<()> {
        if (table, key) == (b"records", index::VERSION_KEY) {
            return if value == index::VERSION.to_le_bytes() {
                Ok(())
            } else {
                Err(Failure::damaged("another version made it"))
            };
        }
        let value = seal::open(std::str::from_utf8(table).unwrap_or_default(), key, value)?;
        match table {
            b"records" => {
                if let Some(inode) = inode_of(key) {
                    let record = Record::read(value).ok_or(Failure::damaged("the record of a mailbox"))?;
                    self.records.insert(inode, record);
                }
            }
            b"rows" => drop(self.rows.insert(key.to_vec(), value.to_vec())),
            b"names" => drop(self.names.insert(key.to_vec(), value.to_vec())),
            _ => {}
        }
        Ok(())
    }

    /// The messages of a mailbox with the names of their files; an error says what is wrong.
    fn messages(&self, number: u32) -> std::result::Result<Vec<(Row, Vec<u8>)>, &'static str> {
        let (start, end) = (number.to_be_bytes().to_vec(), number.saturating_add(1).to_be_bytes().to_vec());
        let mut messages = Vec::new();
        for (key, rows) in self.rows.range(start..end) {
            let rows = Rows::new(rows).ok_or("its rows cannot be read")?;
            let names =
                self.names.get(key).and_then(|names| Names::new(names, rows.len())).ok_or("names are missing")?;
            for (at, row) in rows.iter().enumerate() {
                let (kept, _) = names.get(at).ok_or("a name is missing")?;
                messages.push((row, row.name(kept)));
            }
        }
        Ok(messages)
    }
}

/// Compares what the index says of a folder with what is there, unless something changed since the index was written, of which the next session learns.
pub fn compare(check: &mut Check<'_>, folder: &Folder, list: &List, messages: &Messages) -> Result<()> {
    let Some(snapshot) = &check.index else { return Ok(()) };
    let Some(record) = snapshot.records.get(&folder.inode()).filter(|record| is_current(folder, record)) else {
        return Ok(());
    };
    let mut wrong = differences(snapshot, record, list, messages);
    if wrong.is_empty() || !is_current(folder, record) {
        return Ok(());
    }
    let more = wrong.len() - 1;
    let mut what = format!("differs from {}: {}", printable_name(folder), wrong.swap_remove(0));
    if more > 0 {
        what += &format!(", and {more} more");
    }
    let inode = folder.inode();
    check.found(join(&check.root.path, FILE), what, |root| {
        forget(root, inode)?;
        Ok("it forgets the folder; the next session learns it again")
    });
    Ok(())
}

fn printable_name(folder: &Folder) -> String {
    use std::os::unix::ffi::OsStrExt;
    printable(folder.path.as_os_str().as_bytes())
}

/// Whether the folder is as it was when the record was written, beyond doubt.
fn is_current(folder: &Folder, record: &Record) -> bool {
    let is_same = |stamp: &crate::storage::maildir::scan::Stamp, dir: &Dir| {
        dir.stat_self().is_ok_and(|stat| !stamp.in_doubt() && !stamp.changed(&stat))
    };
    is_same(&record.new, &folder.new) && is_same(&record.cur, &folder.cur) && record.list.is_current(&folder.dir)
}

fn differences(snapshot: &Snapshot, record: &Record, list: &List, messages: &Messages) -> Vec<String> {
    let rows = match snapshot.messages(record.number) {
        Ok(rows) => rows,
        Err(what) => return vec![what.to_owned()],
    };
    let mut wrong = Vec::new();
    if list.header().is_some_and(|header| header.uid_validity != record.uid_validity) {
        wrong.push(format!("UIDVALIDITY {}", record.uid_validity));
    }
    if record.messages as usize != rows.len() {
        wrong.push(format!("{} messages where it has {}", record.messages, rows.len()));
    }
    let in_new = rows.iter().filter(|(row, _)| row.place() == Place::New).count();
    if record.in_new as usize != in_new {
        wrong.push(format!("{} messages in new where it has {in_new}", record.in_new));
    }
    let mut files: BTreeMap<u32, _> = BTreeMap::new();
    files.extend(messages.files.iter().filter_map(|file| Some((list.uid(file.base())?.get(), file))));
    if let Some(last) = files.keys().next_back().filter(|last| **last >= record.uid_next) {
        wrong.push(format!("UIDNEXT {} is not above UID {last}", record.uid_next));
    }
    for (row, name) in &rows {
        let uid = row.uid;
        match files.remove(&uid) {
            None => wrong.push(format!("UID {uid} is no message that is there")),
            Some(file) if (file.place, &file.name) != (row.place(), name) => {
                wrong.push(format!("UID {uid} has another file"));
            }
            Some(file) if file.wire.is_some_and(|wire| row.size().is_some_and(|size| size != wire)) => {
                wrong.push(format!("UID {uid} has another size"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(files.keys().map(|uid| format!("UID {uid} is missing")));
    wrong
}

/// Mailboxes of the index whose folders are gone.
pub fn folders_gone(check: &mut Check<'_>) {
    let Some(before) = check.index.take() else { return };
    let mut entries = vec![b".".to_vec()];
    let listed = check.root.dir.each(|name, _| {
        if name.first() == Some(&b'.') {
            entries.push(name.to_vec());
        }
    });
    // What cannot be looked at may be any of them.
    let inode = |entry: &Vec<u8>| match check.root.dir.stat_through(entry) {
        Ok(stat) => Ok(Some(stat.inode)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let inodes: io::Result<Vec<Option<u64>>> = listed.and_then(|()| entries.iter().map(inode).collect());
    let Ok(inodes) = inodes else { return };
    let is_gone = |inode: &u64| !inodes.contains(&Some(*inode));
    if !before.records.keys().any(is_gone) {
        return;
    }
    // Once more: a session may have deleted it while we looked.
    let now = check.root.dir.open_file(FILE).ok().and_then(|file| snapshot(&file).ok()?);
    let Some(now) = now else { return };
    let mut gone: Vec<u64> = before.records.keys().copied().filter(is_gone).collect();
    gone.retain(|inode| now.records.contains_key(inode));
    gone.sort_unstable();
    for inode in gone {
        let messages = now.records.get(&inode).map_or(0, |record| record.messages);
        let what = format!("has a mailbox of {messages} messages whose folder is gone");
        check.found(join(&check.root.path, FILE), what, |root| {
            forget(root, inode)?;
            Ok("it forgets the mailbox")
        });
    }
}

/// As a session that deletes a mailbox.
fn forget(root: &Root, inode: u64) -> Result<()> {
    let index = Index::open(&root.path)?;
    let mut writing = index.write()?;
    writing.forget(inode)?;
    Ok(writing.commit()?)
}
