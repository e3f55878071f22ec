//! Who may write, for how long, and stale locks: lock files as Dovecot makes them, so that both respect each other.

use super::file_name;
use crate::log::{Level, log};
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Stat, stat_file};
use crate::sys::lock::{host_name, process_id, process_lives, processes_are_shared};
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A lock of somebody unknown that did not change for so long, nor what it protects, is a leftover.
const STALE: i64 = 120;
/// A lock younger than this is not judged by its owner's process: the file may not be filled yet.
const YOUNG: i64 = 2;
/// How often a holder shows that it lives.
const TOUCH: Duration = Duration::from_secs(10);
/// Between removing a stale lock and making ours, so that two who do this do not remove each other's.
const AFTER_OVERRIDE: Duration = Duration::from_millis(100);

/// Lock files that this process holds, by device and inode: another thread of ours may be the holder that a lock names.
static HELD: Mutex<Option<HashSet<(u64, u64)>>> = Mutex::new(None);

fn held<T>(use_it: impl FnOnce(&mut HashSet<(u64, u64)>) -> T) -> T {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(held.get_or_insert_default())
}

/// A lock file, removed on drop if it is still ours.
#[derive(Debug)]
pub struct Lock {
    dir: Dir,
    name: Vec<u8>,
    identity: (u64, u64),
    touched: Instant,
}

impl Lock {
    /// Locks `protected` in `dir` by the file `protected.lock`, waiting for others at most `wait`. In `tmp` it gets its content before it gets its name:
    /// a lock that says nothing of its owner could be left by one that died, and would be waited for until it is stale.
    pub fn take(dir: &Dir, tmp: &Dir, protected: &[u8], wait: Duration) -> Result<Lock> {
        let name = [protected, b".lock"].concat();
        let (started, mut pause) = (Instant::now(), Duration::from_millis(1));
        let mut seen: Option<Stat> = None;
        // First of all: without a descriptor to spare we must not be left with a lock that nobody removes.
        let own = dir.open_dir(b".")?;
        let mut prepared = Prepared::new(tmp).ok();
        loop {
            let made = match &prepared {
                Some(file) => file.link(dir, &name),
                None => create(dir, &name),
            };
            match made {
                Ok(identity) => {
                    if let Some(prepared) = &mut prepared {
                        prepared.is_lock = true;
                    }
                    return Ok(Lock { dir: own, name, identity, touched: Instant::now() });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Here files can have no second name, or `tmp` is elsewhere.
                Err(_) if prepared.take().is_some() => continue,
                Err(error) => return Err(error.into()),
            }
            let stat = match dir.stat(&name) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let changed = seen.as_ref().is_none_or(|s| s != &stat);
            seen = Some(stat);
            let out_of_time = started.elapsed() >= wait;
            if is_stale(dir, &name, protected, &stat, now()) || (out_of_time && !changed && from_the_future(&stat)) {
                log!(Level::Warning, "removing stale lock {}", String::from_utf8_lossy(&name));
                remove_if_same(dir, &name, (stat.device, stat.inode))?;
                std::thread::sleep(AFTER_OVERRIDE.min(wait));
                continue;
            }
            if out_of_time {
                return Err(StoreError::InUse);
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_millis(200));
        }
    }

    /// To be called now and then in long work, so that nobody thinks us dead.
    pub fn touch(&mut self) {
        if self.touched.elapsed() < TOUCH {
            return;
        }
        self.touched = Instant::now();
        if let Ok(file) = self.dir.open_update(&self.name) {
            let _ = crate::sys::file::set_modified(&file, now());
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        match insist(|| remove_if_same(&self.dir, &self.name, self.identity)) {
            Ok(true) => {}
            Ok(false) => log!(Level::Warning, "our lock {} was overridden", String::from_utf8_lossy(&self.name)),
            Err(error) => log!(Level::Warning, "cannot remove lock {}: {error}", String::from_utf8_lossy(&self.name)),
        }
        held(|h| h.remove(&self.identity));
    }
}

/// A lock file under another name.
struct Prepared<'a> {
    tmp: &'a Dir,
    name: Vec<u8>,
    identity: (u64, u64),
    /// It has become the lock.
    is_lock: bool,
}

impl<'a> Prepared<'a> {
    fn new(tmp: &'a Dir) -> io::Result<Self> {
        let name = file_name::unique();
        let mut file = tmp.create_new(&name, 0o600)?;
        let mut prepared = Self { tmp, name, identity: (0, 0), is_lock: false };
        let stat = stat_file(&file)?;
        prepared.identity = (stat.device, stat.inode);
        // Before another thread can find it, to which our own number says nothing.
        held(|h| h.insert(prepared.identity));
        file.write_all(content().as_bytes())?;
        Ok(prepared)
    }

    fn link(&self, dir: &Dir, name: &[u8]) -> io::Result<(u64, u64)> {
        match self.tmp.link(&self.name, dir, name) {
            // On NFS it may be done and the answer lost.
            Err(_) if dir.stat(name).is_ok_and(|stat| (stat.device, stat.inode) == self.identity) => Ok(self.identity),
            linked => linked.map(|()| self.identity),
        }
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        // What stays is removed with other leftovers in `tmp`, some day.
        let _ = insist(|| self.tmp.unlink(&self.name));
        if !self.is_lock {
            held(|h| h.remove(&self.identity));
        }
    }
}

/// Makes a lock file at once.
fn create(dir: &Dir, name: &[u8]) -> io::Result<(u64, u64)> {
    let mut file = dir.create_new(name, 0o600)?;
    let stat = stat_file(&file).inspect_err(|_| drop(dir.unlink(name)))?;
    held(|h| h.insert((stat.device, stat.inode)));
    // Without its content (disk full) it is still a lock, judged by its age alone.
    let _ = file.write_all(content().as_bytes());
    Ok((stat.device, stat.inode))
}

/// As Dovecot writes it.
fn content() -> String {
    format!("{}:{}", process_id(), host_name())
}

/// What fails for a moment is done again.
fn insist<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const TRIES: usize = 3;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..TRIES {
        match act() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    act()
}

/// Removes a lock file if it is the one that was seen; says whether it was.
pub fn remove_if_same(dir: &Dir, name: &[u8], identity: (u64, u64)) -> io::Result<bool> {
    match dir.stat(name) {
        Ok(stat) if (stat.device, stat.inode) == identity => match dir.unlink(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(true),
        },
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// The status change time is set by the kernel alone: a lock that claims to be from the future was made before the clock was set back.
fn from_the_future(stat: &Stat) -> bool {
    stat.changed.seconds > now().saturating_add(STALE)
}

/// Whether the lock file `name`, as it was seen, is a leftover: its owner is gone, or neither it nor what it protects changed for too long. `now` is
/// in seconds since 1970.
pub fn is_stale(dir: &Dir, name: &[u8], protected: &[u8], stat: &Stat, now: i64) -> bool {
    if held(|h| h.contains(&(stat.device, stat.inode))) {
        return false;
    }
    if now.saturating_sub(stat.changed.seconds) >= YOUNG
        && let Some(alive) = owner_lives(dir, name)
    {
        return !alive;
    }
    let last_sign = match dir.stat(protected) {
        Ok(list) => stat.changed.seconds.max(list.changed.seconds),
        Err(_) => stat.changed.seconds,
    };
    now.saturating_sub(last_sign) > STALE
}

/// Whether the process that the lock names lives; `None` if that cannot be known here.
fn owner_lives(dir: &Dir, name: &[u8]) -> Option<bool> {
    let mut content = Vec::new();
    dir.open_file(name).ok()?.take(512).read_to_end(&mut content).ok()?;
    let content = String::from_utf8(content).ok()?;
    let (pid, host) = content.trim_end().split_once(':')?;
    if host != host_name() {
        return None;
    }
    let pid: i32 = pid.parse().ok()?;
    if u32::try_from(pid).ok()? == process_id() {
        // Not among those we hold: from a process that had our number before.
        return Some(false);
    }
    if process_lives(pid) {
        return Some(true);
    }
    processes_are_shared().then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn scratch() -> (tempfile::TempDir, Dir) {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        (place, dir)
    }

    const SHORT: Duration = Duration::from_millis(50);

    /// A lock file as another program would have left it some seconds ago: only the kernel sets the status change time, so the test waits
    /// until the file is old enough to be judged.
    fn foreign(place: &Path, content: &str) {
        std::fs::write(place.join("x.lock"), content).unwrap();
    }

    fn take_when_old_enough(dir: &Dir) -> Result<Lock> {
        Lock::take(dir, dir, b"x", Duration::from_secs(YOUNG as u64 + 2))
    }

    #[test]
    fn one_holder_at_a_time_and_the_file_goes_with_it() {
        let (place, dir) = scratch();
        let lock = Lock::take(&dir, &dir, b"x", SHORT).unwrap();
        let content = std::fs::read_to_string(place.path().join("x.lock")).unwrap();
        assert_eq!(content, format!("{}:{}", process_id(), host_name()));
        assert!(matches!(Lock::take(&dir, &dir, b"x", SHORT), Err(StoreError::InUse)));
        drop(lock);
        assert!(!place.path().join("x.lock").exists());
        Lock::take(&dir, &dir, b"x", SHORT).unwrap();
    }

    #[test]
    fn nothing_is_left_of_a_lock_and_without_links_there_is_one_too() {
        let (place, dir) = scratch();
        let (elsewhere, tmp) = scratch();
        drop(Lock::take(&dir, &tmp, b"x", SHORT).unwrap());
        let lock = Lock::take(&dir, &tmp, b"x", SHORT).unwrap();
        assert!(Lock::take(&dir, &tmp, b"x", SHORT).is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        drop(lock);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        // A directory in which nothing can be made.
        drop(elsewhere);
        let lock = Lock::take(&dir, &tmp, b"x", SHORT).unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("x.lock")).unwrap(), content());
        drop(lock);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_of_a_dead_process_is_overridden_and_one_of_a_living_is_not() {
        let (place, dir) = scratch();
        foreign(place.path(), &format!("1:{}", host_name()));
        assert!(matches!(take_when_old_enough(&dir), Err(StoreError::InUse)));
        foreign(place.path(), &format!("{}:{}", process_id(), host_name()));
        take_when_old_enough(&dir).unwrap();
        if processes_are_shared() {
            foreign(place.path(), &format!("{}:{}", i32::MAX, host_name()));
            take_when_old_enough(&dir).unwrap();
        }
    }

    #[test]
    fn a_lock_of_another_host_is_waited_for_but_not_for_ever() {
        let (place, dir) = scratch();
        for content in [format!("{}:elsewhere.example", i32::MAX), String::new(), "nonsense".into()] {
            foreign(place.path(), &content);
            assert!(matches!(Lock::take(&dir, &dir, b"x", SHORT), Err(StoreError::InUse)), "{content}");
        }
    }

    /// What its file's time claims is anybody's to write; the kernel's own says how old it is.
    #[test]
    fn a_lock_that_claims_to_be_of_tomorrow_is_judged_as_any_other() {
        let judged = |content: String| {
            let (place, dir) = scratch();
            foreign(place.path(), &content);
            let file = std::fs::File::options().write(true).open(place.path().join("x.lock")).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(24 * 3600)).unwrap();
            let taken = take_when_old_enough(&dir);
            assert!(place.path().join("x.lock").exists(), "{content}");
            taken
        };
        std::thread::scope(|scope| {
            // Of a process that lives, of nobody who can be asked, and of one that died.
            let here = host_name();
            for content in [format!("1:{here}"), format!("{}:elsewhere.example", i32::MAX), "nonsense".to_owned()] {
                let judged = &judged;
                scope.spawn(move || {
                    let shown = content.clone();
                    assert!(matches!(judged(content), Err(StoreError::InUse)), "{shown}");
                });
            }
            if processes_are_shared() {
                let judged = &judged;
                scope.spawn(move || assert!(judged(format!("{}:{here}", i32::MAX)).is_ok()));
            }
        });
    }

    /// Its times as the kernel gave them, of a clock that was set back since: nothing of it can be believed but that it does not change.
    #[test]
    fn a_lock_of_a_clock_that_was_set_back_is_waited_for_and_then_overridden() {
        let (place, dir) = scratch();
        let file = |content: &str| {
            foreign(place.path(), content);
            dir.stat(b"x.lock").unwrap()
        };
        let seen = file("1:elsewhere.example");
        let day = 24 * 3600;
        let before = now() - day;
        // Seen from the day before, it is not stale by age, whoever's it is.
        assert!(!is_stale(&dir, b"x.lock", b"x", &seen, before));
        assert!(!is_stale(&dir, b"x.lock", b"x", &file(&format!("{}:{}", i32::MAX, host_name())), before));
        let tomorrow = Stat { changed: crate::sys::file::Time { seconds: now() + day, nanoseconds: 0 }, ..seen };
        assert!(from_the_future(&tomorrow) && !from_the_future(&seen));
    }

    #[test]
    fn a_lock_that_was_overridden_is_not_removed() {
        let (place, dir) = scratch();
        let lock = Lock::take(&dir, &dir, b"x", SHORT).unwrap();
        std::fs::rename(place.path().join("x.lock"), place.path().join("mine")).unwrap();
        foreign(place.path(), "1:elsewhere");
        drop(lock);
        assert!(place.path().join("x.lock").exists());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_at_once() {
        let (place, dir) = scratch();
        drop(place);
        assert!(matches!(Lock::take(&dir, &dir, b"x", Duration::from_secs(60)), Err(StoreError::Io(_))));
    }
}
