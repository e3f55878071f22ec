//! Small files of state that are written whole: the lock file is the new content and becomes the file, as Dovecot does it.

use super::lock::remove_if_same;
use crate::storage::{Result, StoreError};
use crate::sys::file::{Dir, Stat, stat_file};
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A lock that did not change for so long, nor its file, is a leftover; it carries no name of its owner.
const STALE: i64 = 30;

/// Replaces `name` by what `change` makes of the content that `read` finds once nobody else can write. `None` leaves the file as it is.
pub fn replace<T>(
    dir: &Dir,
    name: &[u8],
    mode: u32,
    wait: Duration,
    change: impl FnOnce() -> Result<(Option<Vec<u8>>, T)>,
) -> Result<T> {
    let lock = [name, b".lock"].concat();
    let mut file = take(dir, &lock, name, mode, wait)?;
    let mine = stat_file(&file)?;
    let finish = || -> Result<T> {
        let (content, result) = change()?;
        let Some(content) = content else {
            dir.unlink(&lock)?;
            return Ok(result);
        };
        file.write_all(&content)?;
        file.sync_all()?;
        let now = dir.stat(&lock)?;
        if (now.device, now.inode) != (mine.device, mine.inode) {
            return Err(StoreError::InUse);
        }
        dir.rename_over(&lock, dir, name)?;
        dir.sync()?;
        Ok(result)
    };
    finish().inspect_err(|_| {
        if dir.stat(&lock).is_ok_and(|now| (now.device, now.inode) == (mine.device, mine.inode)) {
            let _ = dir.unlink(&lock);
        }
    })
}

/// Whether a lock file, as it was seen, is a leftover, since neither it nor the file `name` changed for long. `now` is in seconds since 1970.
pub fn is_stale(dir: &Dir, name: &[u8], lock: &Stat, now: i64) -> bool {
    let last_sign = dir.stat(name).map_or(i64::MIN, |stat| stat.changed.seconds).max(lock.changed.seconds);
    now.saturating_sub(last_sign) > STALE
}

fn take(dir: &Dir, lock: &[u8], name: &[u8], mode: u32, wait: Duration) -> Result<std::fs::File> {
    let (started, mut pause) = (Instant::now(), Duration::from_millis(1));
    loop {
        match dir.create_new(lock, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok(other?),
        }
        let found = match dir.stat(lock) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if is_stale(dir, name, &found, i64::try_from(now).unwrap_or(0)) {
            remove_if_same(dir, lock, (found.device, found.inode))?;
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        if started.elapsed() >= wait {
            return Err(StoreError::InUse);
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}
