//! A folder's own directories and its mark: there, and fit to be used by their owner.

use super::{Check, join};
use crate::storage::maildir::folder::{Folder, is_absent};
use crate::storage::{Result, StoreError};
use crate::sys::file::{Dir, Kind, Stat};
use std::io;
use std::path::Path;

const PARTS: [&[u8]; 3] = [b"cur", b"new", b"tmp"];
const MARK: &[u8] = b"maildirfolder";

/// The folder, if it can be looked into: what its owner cannot use is no further looked at before it is mended.
pub fn open(check: &mut Check<'_>, entry: &[u8]) -> Result<Option<Folder>> {
    let path = check.root.path_of(entry);
    let this = if entry.is_empty() { b"." } else { entry };
    let stat = check.root.dir.stat_through(this)?;
    if let Some(what) = unusable(check, &stat, DIRECTORY) {
        check.found(path.clone(), what, |root| give_back(&root.dir, this, &stat, DIRECTORY));
        if !check.repair {
            return Ok(None);
        }
    }
    let dir = check.root.dir.open_dir(this)?;
    let mut complete = true;
    for part in PARTS {
        complete &= part_is_usable(check, &path, &dir, part, &stat);
    }
    mark(check, &path, &dir, entry.is_empty(), &stat)?;
    if complete { Folder::open(&path).map(Some) } else { Ok(None) }
}

fn part_is_usable(check: &mut Check<'_>, folder: &Path, dir: &Dir, part: &[u8], of: &Stat) -> bool {
    let path = join(folder, part);
    match dir.stat_through(part) {
        Ok(stat) if stat.kind == Kind::Directory => {
            if let Some(what) = unusable(check, &stat, DIRECTORY) {
                check.found(path, what, |_| give_back(dir, part, &stat, DIRECTORY));
                return check.repair;
            }
            return true;
        }
        Ok(_) => check.leave(path, "is no directory", "somebody must say what it should be"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && dir.stat(part).is_err() => {
            check.found(path, "is missing", |_| {
                dir.make_dir(part, of.mode & 0o777 | 0o700)?;
                Ok("made")
            });
            return check.repair && dir.stat_through(part).is_ok();
        }
        Err(error) if is_absent(&error) => check.leave(path, "leads nowhere", "somebody must say where it should lead"),
        Err(error) => check.cannot_look(path, &error.into()),
    }
    false
}

/// By `maildirfolder` programs tell a folder from a Maildir of its own, when they look for the quota.
fn mark(check: &mut Check<'_>, folder: &Path, dir: &Dir, is_root: bool, of: &Stat) -> Result<()> {
    let path = join(folder, MARK);
    match dir.stat(MARK) {
        Ok(stat) if is_root => {
            let plain = stat.kind == Kind::File && stat.size == 0;
            check.found(path, "says that this Maildir is a folder of another", |_| {
                if !plain {
                    return Err(StoreError::Cannot("it is no empty file"));
                }
                dir.unlink(MARK)?;
                Ok("removed")
            });
        }
        Ok(stat) if stat.kind != Kind::File => {
            check.leave(path, "is no regular file", "somebody must say what it should be");
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_root => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check.found(path, "is missing: other programs take this folder for a Maildir of its own", |_| {
                dir.create_new(MARK, of.mode & 0o666 | 0o600)?;
                Ok("made")
            });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What the owner of a directory needs.
const DIRECTORY: u32 = 0o700;

/// What keeps the user from using something that needs these permission bits, in a few words.
pub fn unusable(check: &Check<'_>, stat: &Stat, needed: u32) -> Option<String> {
    let lacks = stat.owner == check.user && stat.mode & needed != needed;
    lacks.then(|| format!("has mode {:o}, by which its owner cannot use it", stat.mode & 0o777))
}

/// Gives the owner the permission bits that were lacking.
pub fn give_back(dir: &Dir, name: &[u8], stat: &Stat, needed: u32) -> Result<&'static str> {
    dir.set_mode(name, stat.mode | needed)?;
    Ok("permission given to the owner")
}
