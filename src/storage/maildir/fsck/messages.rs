//! The files in `new` and `cur`: names that say what is true, one name for each message, and nothing that is no message.

use super::directories::{give_back, unusable};
use super::uid_list::List;
use super::{Check, join};
use crate::storage::Result;
use crate::storage::maildir::file_name::{self, Letters, base, is_message};
use crate::storage::maildir::folder::{Folder, Place};
use crate::storage::maildir::lock::Lock;
use crate::storage::maildir::message::{count_wire, is_compressed};
use crate::sys::file::{Dir, Kind, Stat, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::PathBuf;

/// Seconds after which two names of one file are no delivery in progress.
const OLD_LINK: i64 = 30;
/// What the owner of a message needs.
const READABLE: u32 = 0o400;

/// The messages of a folder.
#[derive(Default)]
pub struct Messages {
    pub files: Vec<MessageFile>,
    /// All letters that some message has.
    pub letters: Letters,
    /// By the places of their files; these names can be changed only together with the list.
    pub wrong_sizes: Vec<WrongSize>,
    /// Sizes in the list that are wrong, with the right ones.
    pub wrong_fields: Vec<WrongFields>,
}

pub struct MessageFile {
    pub place: Place,
    pub name: Vec<u8>,
    /// Its wire octets, once it was read.
    pub wire: Option<u64>,
}

impl MessageFile {
    pub fn base(&self) -> &[u8] {
        base(&self.name)
    }
}

/// A name whose sizes are not those of the file, which are these.
pub struct WrongSize {
    pub at: usize,
    pub what: String,
    pub stored: u64,
    pub wire: u64,
}

/// A record whose sizes are not those of the file.
pub struct WrongFields {
    pub base: Box<[u8]>,
    pub stored: Option<u64>,
    pub wire: Option<u64>,
}

pub fn path(folder: &Folder, place: Place, name: &[u8]) -> PathBuf {
    let part = match place {
        Place::New => "new",
        Place::Cur => "cur",
    };
    join(&folder.path.join(part), name)
}

pub fn check(
    check: &mut Check<'_>,
    folder: &Folder,
    mut lock: Option<&mut Lock>,
    list: &List,
    measured: &Measured,
) -> Result<Messages> {
    let mut messages = Messages::default();
    for place in [Place::New, Place::Cur] {
        let mut entries = Vec::new();
        folder.place(place).each(|name, kind| {
            // Hidden files of other programs are none of our business.
            if name.first() != Some(&b'.') {
                entries.push((name.to_vec(), kind));
            }
        })?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in entries {
            let kind = match kind {
                Kind::Unknown => folder.place(place).stat(&name).map_or(Kind::Unknown, |stat| stat.kind),
                kind => kind,
            };
            match kind {
                // It went while we looked.
                Kind::Unknown => {}
                Kind::File if is_message(&name) => messages.files.push(MessageFile { place, name, wire: None }),
                Kind::File => rename_odd(check, folder, lock.as_deref_mut(), place, &name),
                _ => set_aside(check, folder, lock.as_deref_mut(), place, &name, kind),
            }
        }
    }
    duplicates(check, folder, lock.as_deref_mut(), &mut messages);
    for at in 0..messages.files.len() {
        sort_letters(check, folder, lock.as_deref_mut(), &mut messages, at);
        if let Some(lock) = &mut lock {
            lock.touch();
        }
        sizes(check, folder, &mut messages, at, list, measured);
    }
    check.summary.messages += messages.files.len();
    Ok(messages)
}

/// A name that no message can have: it becomes a new message.
fn rename_odd(check: &mut Check<'_>, folder: &Folder, lock: Option<&mut Lock>, place: Place, name: &[u8]) {
    check.found_locked(path(folder, place, name), "has a name that no message can have", lock, |_| {
        let dir = folder.place(place);
        let fresh = match file_name::letters(name) {
            letters if letters.is_empty() => file_name::unique(),
            letters => file_name::with_letters(&file_name::unique(), letters),
        };
        dir.rename_new(name, dir, &fresh)?;
        Ok("renamed; it gets a UID")
    });
}

/// What is no regular file is no message.
fn set_aside(check: &mut Check<'_>, folder: &Folder, lock: Option<&mut Lock>, place: Place, name: &[u8], kind: Kind) {
    let path = path(folder, place, name);
    match kind {
        Kind::Link => check.leave(path, "is a symbolic link, which is not followed", "it may be somebody's message"),
        _ => check.found_locked(path, "is no file", lock, |_| {
            let aside = [b"imapd-aside.", &*file_name::unique()].concat();
            folder.place(place).rename_new(name, &folder.dir, &aside)?;
            Ok("moved out of the way, to imapd-aside.* in the folder")
        }),
    }
}

/// Files of one name, apart from the flags. The one that was there first keeps the name, and with it the UID.
fn duplicates(check: &mut Check<'_>, folder: &Folder, mut lock: Option<&mut Lock>, messages: &mut Messages) {
    let mut by_base: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, file) in messages.files.iter().enumerate() {
        by_base.entry(file.base()).or_default().push(at);
    }
    let mut groups: Vec<Vec<usize>> = by_base.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable();
    let mut gone = HashSet::new();
    for group in groups {
        let present = |&at: &usize| {
            let file = messages.files.get(at)?;
            Some((at, folder.place(file.place).stat(&file.name).ok()?))
        };
        // Twice, so that it was not one file before and after it was renamed.
        let first: Vec<(usize, Stat)> = group.iter().filter_map(present).collect();
        let mut found: Vec<(usize, Stat)> = first.iter().filter_map(|(at, _)| present(at)).collect();
        gone.extend(group.iter().filter(|at| !found.iter().any(|(there, _)| there == *at)));
        // Of two names of one file, the one with fewer flags, or in new, is the older and goes.
        found.sort_by_key(|(at, stat)| {
            let file = messages.files.get(*at);
            let letters = file.map_or(0, |file| file_name::letters(&file.name).iter().count());
            (file.is_some_and(|file| file.place == Place::New), stat.modified, Reverse(letters))
        });
        let mut kept: HashSet<(u64, u64)> = HashSet::new();
        for (at, stat) in found {
            let first = kept.is_empty();
            let another = kept.insert((stat.device, stat.inode));
            let Some(file) = messages.files.get_mut(at).filter(|_| !first) else { continue };
            let (dir, path, mut done) = (folder.place(file.place), path(folder, file.place, &file.name), false);
            if another {
                let fresh = file_name::with_fresh_base(&file.name);
                check.found_locked(path, "has the name of another message", lock.as_deref_mut(), |_| {
                    dir.rename_new(&file.name, dir, &fresh)?;
                    done = true;
                    Ok("renamed; it gets a UID of its own")
                });
                if done {
                    file.name = fresh;
                }
            } else if check.now.saturating_sub(stat.changed.seconds) > OLD_LINK {
                check.found_locked(path, "is a second name of one message", lock.as_deref_mut(), |_| {
                    dir.unlink(&file.name)?;
                    done = true;
                    Ok("the name was removed")
                });
                if done {
                    gone.insert(at);
                }
            }
        }
    }
    let mut at = 0..messages.files.len();
    messages.files.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
}

/// Flags in ascending order, each once.
fn sort_letters(check: &mut Check<'_>, folder: &Folder, lock: Option<&mut Lock>, messages: &mut Messages, at: usize) {
    let Some(file) = messages.files.get_mut(at) else { return };
    let letters = file_name::letters(&file.name);
    messages.letters.add(letters);
    if !file_name::has_letters(&file.name) {
        return;
    }
    let sorted = file_name::with_letters(&file.name, letters);
    if sorted == file.name {
        return;
    }
    let (dir, mut renamed) = (folder.place(file.place), false);
    let path = path(folder, file.place, &file.name);
    check.found_locked(path, "has flags out of order or twice", lock, |_| {
        dir.rename_new(&file.name, dir, &sorted)?;
        renamed = true;
        Ok("sorted")
    });
    if renamed {
        file.name = sorted;
    }
}

/// That a file can be read, and that name and list have its sizes.
fn sizes(check: &mut Check<'_>, folder: &Folder, messages: &mut Messages, at: usize, list: &List, known: &Measured) {
    let Some(file) = messages.files.get(at) else { return };
    let dir = folder.place(file.place);
    let path = path(folder, file.place, &file.name);
    let stat = match dir.stat(&file.name) {
        Ok(stat) => stat,
        // It went, or was renamed, while we looked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return check.cannot_look(path, &error.into()),
    };
    if let Some(what) = unusable(check, &stat, READABLE) {
        check.found(path.clone(), what, |_| give_back(dir, &file.name, &stat, READABLE));
        if !check.repair {
            return;
        }
    }
    let fields = list.fields(file.base());
    let measured = match known.get(&fingerprint(&stat)) {
        Some(measured) => Ok(*measured),
        None => measure(dir, &file.name),
    };
    let (measured, compressed) = match measured {
        Ok(measured) => measured,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return check.cannot_look(path, &error.into()),
    };
    if compressed {
        // Its sizes are those of what it would be.
        return check.leave(path, "is compressed, and is not served", "it must be decompressed by who did it");
    }
    let wrong = |named: Option<u64>, is: u64| named.is_some_and(|named| named != is);
    let (stored, wire) = (file_name::stored_size(&file.name), file_name::wire_size(&file.name));
    if wrong(stored, stat.size) || wrong(wire, measured) {
        let what = format!("has {} octets, {measured} on the wire, not what its name says", stat.size);
        messages.wrong_sizes.push(WrongSize { at, what, stored: stat.size, wire: measured });
        return;
    }
    if let Some(file) = messages.files.get_mut(at) {
        file.wire = Some(measured);
    }
    let Some(file) = messages.files.get(at) else { return };
    let Some(fields) = fields else { return };
    let recorded = |key| fields.get(key).and_then(file_name::decimal);
    let found = WrongFields {
        base: file.base().into(),
        stored: (stored.is_none() && wrong(recorded(b'S'), stat.size)).then_some(stat.size),
        wire: (wire.is_none() && wrong(recorded(b'W'), measured)).then_some(measured),
    };
    if found.stored.is_some() || found.wire.is_some() {
        messages.wrong_fields.push(found);
    }
}

/// What a file was found to be, as long as it is the same file: messages do not change.
pub type Measured = BTreeMap<(u64, u64, u64, Time), (u64, bool)>;

fn fingerprint(stat: &Stat) -> (u64, u64, u64, Time) {
    (stat.device, stat.inode, stat.size, stat.modified)
}

/// Reads all messages of a folder. What cannot be read is left for later to report.
pub fn measure_all(folder: &Folder) -> Result<Measured> {
    let mut measured = Measured::new();
    for place in [Place::New, Place::Cur] {
        let dir = folder.place(place);
        let mut names = Vec::new();
        dir.each(|name, kind| {
            if is_message(name) && matches!(kind, Kind::File | Kind::Unknown) {
                names.push(name.to_vec());
            }
        })?;
        for name in names {
            if let (Ok(stat), Ok(found)) = (dir.stat(&name), measure(dir, &name)) {
                measured.insert(fingerprint(&stat), found);
            }
        }
    }
    Ok(measured)
}

/// The wire octets of a file, and whether it is compressed. All of it is read: that it can be read is worth knowing.
fn measure(dir: &Dir, name: &[u8]) -> io::Result<(u64, bool)> {
    let file = dir.open_file(name)?;
    Ok((count_wire(&file)?, is_compressed(&file)?))
}
