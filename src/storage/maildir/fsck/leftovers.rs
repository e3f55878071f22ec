//! What programs that died left behind: locks, files half written, folders half deleted.

use super::{Check, join};
use crate::storage::Result;
use crate::storage::maildir::folder::Folder;
use crate::storage::maildir::folders::{DEPTH, TRASH};
use crate::storage::maildir::keywords::{LETTERS_TEMPORARY, MORE_TEMPORARY};
use crate::storage::maildir::lock::{self, remove_if_same};
use crate::storage::maildir::{attributes, quota, state_file, subscriptions, uid_list};
use crate::sys::file::{Kind, Stat};

/// Seconds after which a file in `tmp` is no delivery in progress, as the Maildir format has it.
const OLD_IN_TMP: i64 = 36 * 3600;
/// Seconds after which a folder in the trash is no longer being deleted.
const OLD_IN_TRASH: i64 = 3600;

/// Locks of the root's state files, and folders that somebody began to delete.
pub fn in_root(check: &mut Check<'_>) -> Result<()> {
    for protected in [subscriptions::FILE, attributes::FILE, quota::FILE] {
        let name = [protected, b".lock"].concat();
        let Ok(stat) = check.root.dir.stat(&name) else { continue };
        if state_file::is_stale(&check.root.dir, protected, &stat, check.now) {
            check.found(join(&check.root.path, &name), STALE_LOCK, |root| {
                remove_if_same(&root.dir, &name, identity(&stat))?;
                Ok("removed")
            });
        }
    }
    let mut trashed = Vec::new();
    check.root.dir.each(|name, _| {
        if name.starts_with(TRASH) {
            trashed.push(name.to_vec());
        }
    })?;
    for name in trashed {
        let Ok(stat) = check.root.dir.stat(&name) else { continue };
        if check.now.saturating_sub(stat.changed.seconds) > OLD_IN_TRASH {
            check.found(join(&check.root.path, &name), "is what is left of a deleted mailbox", |root| {
                root.dir.remove_tree(&name, DEPTH)?;
                Ok("removed")
            });
        }
    }
    Ok(())
}

const STALE_LOCK: &str = "is the lock of a program that is gone";

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.device, stat.inode)
}

/// The lock of a folder, and files in its `tmp`.
pub fn before_locking(check: &mut Check<'_>, folder: &Folder) -> Result<()> {
    let name = [uid_list::FILE, b".lock"].concat();
    if let Ok(stat) = folder.dir.stat(&name)
        && lock::is_stale(&folder.dir, &name, uid_list::FILE, &stat, check.now)
    {
        check.found(join(&folder.path, &name), STALE_LOCK, |_| {
            remove_if_same(&folder.dir, &name, identity(&stat))?;
            Ok("removed")
        });
    }
    if folder.dir.stat(uid_list::BROKEN).is_ok() {
        let what = "is a UID list that could not be used, and was set aside";
        check.leave(join(&folder.path, uid_list::BROKEN), what, "somebody should look at it, and remove it");
    }
    let mut names = Vec::new();
    folder.tmp.each(|name, kind| {
        if matches!(kind, Kind::File | Kind::Unknown) {
            names.push(name.to_vec());
        }
    })?;
    for name in names {
        let Ok(stat) = folder.tmp.stat(&name) else { continue };
        if stat.kind == Kind::File && check.now.saturating_sub(stat.changed.seconds) > OLD_IN_TMP {
            check.found(join(&folder.path.join("tmp"), &name), "is a delivery that was never finished", |_| {
                folder.tmp.unlink(&name)?;
                Ok("removed")
            });
        }
    }
    Ok(())
}

/// Files that only the holder of the folder's lock writes, when nobody or we hold it.
pub fn behind_the_lock(check: &mut Check<'_>, folder: &Folder, locked: bool) -> Result<()> {
    let lock = [uid_list::FILE, b".lock"].concat();
    for name in [uid_list::TEMPORARY, LETTERS_TEMPORARY, MORE_TEMPORARY] {
        let Ok(before) = folder.dir.stat(name) else { continue };
        // Whoever were writing it would hold the lock for as long as it is there.
        let in_use = !locked
            && folder
                .dir
                .stat(&lock)
                .is_ok_and(|stat| !lock::is_stale(&folder.dir, &lock, uid_list::FILE, &stat, check.now));
        if in_use || folder.dir.stat(name).map_or(true, |after| identity(&after) != identity(&before)) {
            continue;
        }
        check.found(join(&folder.path, name), "was being written by a program that is gone", |_| {
            folder.dir.unlink(name)?;
            Ok("removed")
        });
    }
    Ok(())
}
