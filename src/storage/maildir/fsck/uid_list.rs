//! The UID list: nothing at which Dovecot would throw it away, one record for each message, and not too many of messages long gone.

use super::messages::{Messages, WrongFields, WrongSize, path};
use super::{Check, Mending, join, printable};
use crate::limits;
use crate::storage::maildir::file_name::{self, base};
use crate::storage::maildir::folder::{Folder, Place};
use crate::storage::maildir::interop::dovecot_uidlist::{Fields, Header, LONGEST_LINE, Record, Strict};
use crate::storage::maildir::interop::lines::{self, Line};
use crate::storage::maildir::keywords::KeywordTable;
use crate::storage::maildir::lock::Lock;
use crate::storage::maildir::uid_list::{FILE, Refreshed, UidListFile};
use crate::storage::{Result, StoreError};
use crate::types::Uid;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Read};
use std::time::Duration;

/// So many lines of messages long gone are nothing.
const FEW_DEAD: usize = 100;

/// A folder's list as it was read.
#[derive(Default)]
pub struct List {
    file: UidListFile,
    /// Ascending; each base once, with the UID that counts.
    records: Vec<Record>,
    by_base: HashMap<Box<[u8]>, usize>,
    faults: Vec<String>,
    /// There is one, and it gives UIDs.
    usable: bool,
}

impl List {
    /// The list's first line, if it can be used.
    pub fn header(&self) -> Option<&Header> {
        self.file.header().filter(|_| self.usable)
    }

    /// The UID of the message with this base.
    pub fn uid(&self, base: &[u8]) -> Option<Uid> {
        self.by_base.get(base).and_then(|&at| self.records.get(at)).map(|record| record.uid)
    }

    /// What the list has beside the name of a message.
    pub fn fields(&self, base: &[u8]) -> Option<&Fields> {
        self.by_base.get(base).and_then(|&at| self.records.get(at)).map(|record| &record.fields)
    }
}

/// Reads the list, and reports it if nothing can be made of it.
pub fn read(check: &mut Check<'_>, folder: &Folder, locked: bool) -> Result<List> {
    let mut list = List { faults: faults(folder, locked)?, ..List::default() };
    let records = match list.file.refresh(&folder.dir)? {
        Refreshed::Replaced(records) => records,
        Refreshed::Broken(why) => {
            let what = format!("cannot be used, and the next session gives new UIDs: {why}");
            check.leave(join(&folder.path, FILE), what, "only a copy of it can help");
            return Ok(list);
        }
        _ => return Ok(list),
    };
    list.usable = true;
    for record in records.iter() {
        let record = Record { uid: record.uid, base: record.base.into(), fields: Fields::of(record.fields) };
        if let Some(&at) = list.by_base.get(&record.base)
            && let Some(earlier) = list.records.get(at)
        {
            let what = format!("UIDs {} and {} are given to one message", earlier.uid, record.uid);
            list.faults.push(what);
        }
        list.by_base.insert(record.base.clone(), list.records.len());
        list.records.push(record);
    }
    Ok(list)
}

/// What a strict reader stumbles over.
fn faults(folder: &Folder, locked: bool) -> Result<Vec<String>> {
    /// How long somebody who is writing the last line may take.
    const WAITS: usize = 20;
    for wait in 0..=WAITS {
        let file = match folder.dir.open_file(FILE) {
            Ok(file) => file,
            // Whoever reads it for its records reports it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => break,
            Err(error) => return Err(error.into()),
        };
        let (mut strict, mut number, mut torn, mut found) = (Strict::default(), 0usize, false, Vec::new());
        lines::each_or_fault(BufReader::new(file.take(limits::UID_LIST)), LONGEST_LINE, |line| {
            number += 1;
            let fault = match line {
                Line::Whole(line) => strict.line(line).err(),
                Line::Long => Some("longer than any record"),
                Line::Torn => {
                    torn = true;
                    Some("cut off")
                }
            };
            found.extend(fault.map(|fault| format!("line {number}: {fault}")));
        })?;
        if !torn || locked || wait == WAITS {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Vec::new())
}

/// Compares the list with the messages, and writes it anew if that mends something.
pub fn check(
    check: &mut Check<'_>,
    folder: &Folder,
    lock: Option<&mut Lock>,
    mut list: List,
    messages: Messages,
) -> Result<()> {
    let present: HashSet<&[u8]> = messages.files.iter().map(|file| file.base()).collect();
    check.summary.without_uid += present.iter().filter(|base| !list.by_base.contains_key(**base)).count();
    let dead = list.records.iter().filter(|record| !present.contains(&*record.base)).count();
    check.summary.dead_lines += dead;
    if dead > FEW_DEAD && dead.saturating_mul(4) >= list.file.lines() {
        list.faults.push(format!("{dead} of {} lines are of messages that are gone", list.file.lines()));
    }
    if !list.usable {
        // A name is all by which a list that may come back finds its message.
        for wrong in &messages.wrong_sizes {
            if let Some(file) = messages.files.get(wrong.at) {
                let path = path(folder, file.place, &file.name);
                check.leave(path, wrong.what.clone(), "the next session does, when there is a UID list");
            }
        }
        return Ok(());
    }
    let Messages { files, wrong_sizes, wrong_fields, .. } = &messages;
    if list.faults.is_empty() && wrong_sizes.is_empty() && wrong_fields.is_empty() {
        return Ok(());
    }
    let mending = match lock {
        Some(lock) => Mending::of(mend(folder, lock, &mut list, &messages)),
        None => check.unlocked(),
    };
    let list_path = join(&folder.path, FILE);
    for fault in list.faults {
        check.tell(list_path.clone(), fault, mending.clone());
    }
    for wrong in wrong_fields {
        let what = format!("has wrong sizes for {}", printable(&wrong.base));
        check.tell(list_path.clone(), what, mending.clone());
    }
    for wrong in wrong_sizes {
        if let Some(file) = files.get(wrong.at) {
            let path = path(folder, file.place, &file.name);
            let mending = match &mending {
                Mending::Done(_) => Mending::Done("renamed, with its UID".to_owned()),
                other => other.clone(),
            };
            check.tell(path, wrong.what.clone(), mending);
        }
    }
    Ok(())
}

/// A message's file with its old name and its new one.
type Renamed<'a> = (Place, &'a [u8], Vec<u8>);

/// Gives files their true sizes and writes the list anew, both or neither.
fn mend(folder: &Folder, lock: &mut Lock, list: &mut List, messages: &Messages) -> Result<&'static str> {
    let alive = alive(folder, messages)?;
    let renamed = rename(folder, lock, messages)?;
    lock.touch();
    match rewrite(folder, list, &alive, &renamed, &messages.wrong_fields) {
        Ok(()) => Ok("written anew, every UID kept that is beyond doubt"),
        Err(error) => {
            for (place, old, new) in renamed {
                let dir = folder.place(place);
                dir.rename_new(&new, dir, old)?;
            }
            Err(error)
        }
    }
}

/// The bases of all messages, by two looks: one may miss a file that is being renamed.
fn alive(folder: &Folder, messages: &Messages) -> Result<HashSet<Box<[u8]>>> {
    let mut alive: HashSet<Box<[u8]>> = messages.files.iter().map(|file| file.base().into()).collect();
    for place in [Place::New, Place::Cur] {
        folder.place(place).each(|name, _| {
            alive.insert(base(name).into());
        })?;
    }
    Ok(alive)
}

fn rename<'a>(folder: &Folder, lock: &mut Lock, messages: &'a Messages) -> Result<Vec<Renamed<'a>>> {
    let named = |wrong: &WrongSize| {
        let file = messages.files.get(wrong.at)?;
        Some((file.place, &*file.name, file_name::with_sizes(&file.name, wrong.stored, wrong.wire)))
    };
    let wanted: Vec<Renamed<'a>> = messages.wrong_sizes.iter().filter_map(named).collect();
    if wanted.is_empty() {
        return Ok(wanted);
    }
    // Should we be stopped between, a message's keywords are found by either name.
    let mut keywords = KeywordTable::load(&folder.dir)?;
    wanted.iter().for_each(|(_, old, new)| keywords.copy_more(base(old), base(new)));
    keywords.save(folder, lock)?;
    let mut renamed = Vec::new();
    for (place, old, new) in wanted {
        lock.touch();
        let dir = folder.place(place);
        match dir.rename_new(old, dir, &new) {
            Ok(()) => renamed.push((place, old, new)),
            Err(error) => {
                for (place, old, new) in renamed {
                    let dir = folder.place(place);
                    dir.rename_new(&new, dir, old)?;
                }
                return Err(error.into());
            }
        }
    }
    Ok(renamed)
}

fn rewrite(
    folder: &Folder,
    list: &mut List,
    alive: &HashSet<Box<[u8]>>,
    renamed: &[Renamed<'_>],
    wrong_fields: &[WrongFields],
) -> Result<()> {
    let mut header = list.file.header().cloned().ok_or(StoreError::Cannot("the UID list has no first line"))?;
    header.next_uid = list.file.next_uid();
    let new_bases: HashMap<&[u8], &[u8]> = renamed.iter().map(|(_, old, new)| (base(old), base(new))).collect();
    let right: HashMap<&[u8], &WrongFields> = wrong_fields.iter().map(|wrong| (&*wrong.base, wrong)).collect();
    let by_base = &list.by_base;
    let kept = list
        .records
        .iter()
        .enumerate()
        .filter(|(at, record)| alive.contains(&record.base) && by_base.get(&record.base) == Some(at));
    let records: Vec<(Uid, Fields, &[u8])> = kept
        .map(|(_, record)| {
            let mut fields = record.fields.clone();
            if let Some(right) = right.get(&*record.base) {
                right.stored.iter().for_each(|size| fields.set(b'S', size.to_string().as_bytes()));
                right.wire.iter().for_each(|size| fields.set(b'W', size.to_string().as_bytes()));
            }
            (record.uid, fields, *new_bases.get(&*record.base).unwrap_or(&&*record.base))
        })
        .collect();
    let records = records.iter().map(|(uid, fields, base)| (*uid, fields.octets(), *base));
    list.file.rewrite(&folder.dir, &header, records)
}
