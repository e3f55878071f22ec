//! Small files of state beside the mail: subscriptions, special uses, the last UIDVALIDITY, the quota, what is recent.

use super::directories::{give_back, unusable};
use super::{Check, content_of, is_torn, join, lines_lost};
use crate::storage::maildir::folder::Folder;
use crate::storage::maildir::interop::dovecot_subscriptions::Subscriptions;
use crate::storage::maildir::interop::dovecot_uidvalidity;
use crate::storage::maildir::keywords::{LETTERS_FILE, MORE_FILE};
use crate::storage::maildir::{attributes, quota, recent, subscriptions, uid_list};
use crate::storage::{Result, StoreError};
use crate::sys::file::{Dir, Kind};
use std::path::Path;

/// The files that a folder may have, and that the root may have too.
const OF_FOLDER: [&[u8]; 4] = [uid_list::FILE, LETTERS_FILE, MORE_FILE, recent::FILE];
const OF_ROOT: [&[u8]; 4] = [subscriptions::FILE, attributes::FILE, dovecot_uidvalidity::FILE, quota::FILE];

/// Whether all those of a folder can be used by their owner, by now.
pub fn usable_in_folder(check: &mut Check<'_>, folder: &Folder) -> bool {
    usable(check, &folder.path, &folder.dir, &OF_FOLDER)
}

/// The same for those of the root.
pub fn usable_in_root(check: &mut Check<'_>) -> Result<bool> {
    let (path, dir) = (check.root.path.clone(), check.root.dir.open_dir(b".")?);
    Ok(usable(check, &path, &dir, &OF_ROOT))
}

fn usable(check: &mut Check<'_>, folder: &Path, dir: &Dir, names: &[&[u8]]) -> bool {
    const NEEDED: u32 = 0o600;
    let mut all = true;
    for name in names {
        if let Ok(stat) = dir.stat(name)
            && stat.kind == Kind::File
            && let Some(what) = unusable(check, &stat, NEEDED)
        {
            check.found(join(folder, name), what, |_| give_back(dir, name, &stat, NEEDED));
            all &= check.repair;
        }
    }
    all
}

pub fn subscriptions(check: &mut Check<'_>) {
    let Some(text) = root_file(check, subscriptions::FILE) else { return };
    let faults = Subscriptions::faults(&text);
    let mend = |text: &[u8]| Subscriptions::parse(text).mended().write();
    replace(check, subscriptions::FILE, faults.into_iter().map(str::to_owned).collect(), mend);
}

pub fn special_uses(check: &mut Check<'_>) {
    let Some(text) = root_file(check, attributes::FILE) else { return };
    let lost = lines_lost(&text, &attributes::mended(&text));
    let mut faults: Vec<String> = lost.iter().map(|line| format!("line {line} is not understood")).collect();
    if faults.is_empty() && is_torn(&text) {
        faults.push("the last line is cut off".to_owned());
    }
    replace(check, attributes::FILE, faults, attributes::mended);
}

fn root_file(check: &mut Check<'_>, name: &[u8]) -> Option<Vec<u8>> {
    let root = check.root.path.clone();
    let dir = check.root.dir.open_dir(b".").map_err(StoreError::from);
    dir.and_then(|dir| content_of(check, &root, &dir, name)).unwrap_or_else(|error| {
        check.cannot_look(join(&root, name), &error);
        None
    })
}

/// Reports the faults of a file, and writes it anew without them.
fn replace(check: &mut Check<'_>, name: &[u8], faults: Vec<String>, mend: impl Fn(&[u8]) -> Vec<u8>) {
    let path = join(&check.root.path, name);
    let mut written: Option<Result<()>> = None;
    for fault in faults {
        check.found(path.clone(), fault, |root| {
            match written.get_or_insert_with(|| root.replace_state(name, |text| Ok(Some(mend(text))))) {
                Ok(()) => Ok("written anew without it"),
                Err(_) => Err(StoreError::Cannot("it cannot be written")),
            }
        });
    }
}

pub fn uid_validity(check: &mut Check<'_>) {
    let path = join(&check.root.path, dovecot_uidvalidity::FILE);
    let mut fault = dovecot_uidvalidity::fault(&check.root.dir);
    if matches!(fault, Ok(Some(_))) {
        // Somebody may be between the marker and the text.
        std::thread::sleep(std::time::Duration::from_millis(50));
        fault = dovecot_uidvalidity::fault(&check.root.dir);
    }
    match fault {
        Ok(None) => {}
        Ok(Some(what)) => check.found(path, what, |root| Ok(dovecot_uidvalidity::mend(&root.dir)?)),
        Err(error) => check.cannot_look(path, &error.into()),
    }
}

pub fn quota(check: &mut Check<'_>) {
    let path = join(&check.root.path, quota::FILE);
    match quota::fault(&check.root) {
        Ok(None) => {}
        Ok(Some(what)) => check.found(path, what, |root| match quota::rewrite(root)? {
            true => Ok("counted anew"),
            false => Err(StoreError::Cannot("somebody must say what the limits should be")),
        }),
        Err(error) => check.cannot_look(path, &error),
    }
}

/// What a session tells the next of what is recent. It is written in place and may be torn, which costs little.
pub fn recent(check: &mut Check<'_>, folder: &Folder, locked: bool) {
    if folder.dir.stat(recent::FILE).is_err() || recent::read(&folder.dir).is_some() {
        return;
    }
    check.found(join(&folder.path, recent::FILE), "is damaged", |_| {
        if !locked {
            return Err(StoreError::InUse);
        }
        folder.dir.unlink(recent::FILE)?;
        Ok("removed: the next session makes it")
    });
}
