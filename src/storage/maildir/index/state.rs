//! `imapd-index-state`: whether the index is safe on the disk.
//!
//! ```abnf
//! file = ("synced" / "unsynced" SP boot-id / "damaged") LF *SP    ; rewritten in place, 64 octets
//! ```
//!
//! "unsynced" is on the disk before anything of the index can be. "damaged" is written by a session that ends by what it read in the index (see
//! [`crate::sys::fault`]), and stays until the index is made anew. Its one other use is as a lock for those who open the index.

use super::{Failure, Result};
use crate::sys::fault;
use crate::sys::file::Dir;
use crate::sys::lock::try_lock_octet;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILE: &[u8] = b"imapd-index-state";
const LENGTH: usize = 64;
/// Opening is short; who waits longer goes without the index.
const WAIT: Duration = Duration::from_secs(2);

/// The open file.
pub struct State {
    dir: Dir,
    file: Arc<File>,
}

/// The file while nobody else has it locked.
pub struct Held {
    text: Vec<u8>,
    /// Locks of a file end with the descriptor they were taken by.
    _file: File,
}

impl State {
    pub fn open(dir: &Dir, mode: u32) -> Result<Self> {
        let file = match dir.open_update(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match dir.create_new(FILE, mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => dir.open_update(FILE)?,
                other => other?,
            },
            other => other?,
        };
        Ok(Self { dir: dir.open_dir(b".")?, file: Arc::new(file) })
    }

    /// Waits for others to let go of it.
    pub fn lock(&mut self) -> Result<Held> {
        let file = self.dir.open_update(FILE)?;
        let (started, mut pause) = (Instant::now(), Duration::from_micros(100));
        while !try_lock_octet(&file, 0)? {
            if started.elapsed() > WAIT {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(Held { text: read(&file)?, _file: file })
    }

    /// A new index, of this boot: the mark of the one before is gone with it.
    pub fn begin(&mut self, boot: &str) -> Result<()> {
        self.put(&unsynced(boot))
    }

    /// From now on, and after a crash, the index is that of this boot.
    pub fn set_unsynced(&mut self, boot: &str) -> Result<()> {
        self.change(&unsynced(boot))
    }

    pub fn set_synced(&mut self) -> Result<()> {
        self.change("synced")
    }

    fn change(&mut self, text: &str) -> Result<()> {
        let before = self.read()?;
        if is_mark(&before) {
            return Err(Failure::damaged("a session ended by it"));
        }
        if before == line(text).as_bytes() { Ok(()) } else { self.put(text) }
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.file.write_all_at(line(text).as_bytes(), 0)?;
        Ok(self.file.sync_data()?)
    }

    /// Whether a session ended by what it read in the index.
    pub fn is_marked(&self) -> bool {
        self.read().is_ok_and(|text| is_mark(&text))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        read(&self.file)
    }

    /// The same open file, for whoever is to leave the mark.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }
}

fn unsynced(boot: &str) -> String {
    format!("unsynced {boot}")
}

fn line(text: &str) -> String {
    let line = format!("{text}\n");
    format!("{line:LENGTH$}")
}

fn is_mark(text: &[u8]) -> bool {
    text == fault::MARK
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = vec![0; LENGTH];
    let got = file.read_at(&mut text, 0)?;
    text.truncate(got);
    Ok(text)
}

/// Why an index may be damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// A session left the mark.
    Marked,
    EarlierBoot,
    Unknown,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::Marked => "a session ended by what it read there",
            Lost::EarlierBoot => "an earlier boot of this machine left it unsynced, or another machine",
            Lost::Unknown => "nothing says who wrote it",
        })
    }
}

impl Held {
    /// Why the index may be damaged, if it may.
    pub fn is_lost(&self, boot: &str) -> Option<Lost> {
        is_lost(&self.text, boot)
    }
}

fn is_lost(text: &[u8], boot: &str) -> Option<Lost> {
    let shown = String::from_utf8_lossy(text);
    match shown.trim_end().split_once(' ') {
        _ if is_mark(text) => Some(Lost::Marked),
        None if shown.trim_end() == "synced" => None,
        Some(("unsynced", by)) if by == boot && !boot.is_empty() => None,
        Some(("unsynced", _)) => Some(Lost::EarlierBoot),
        _ => Some(Lost::Unknown),
    }
}

/// Why the index in this directory may be damaged, without waiting for those who are about to open it.
pub fn why_lost(dir: &Dir, boot: &str) -> io::Result<Option<Lost>> {
    match dir.open_file(FILE) {
        Ok(file) => Ok(is_lost(&read(&file)?, boot)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(Some(Lost::Unknown))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_boot_or_a_synced_index_is_trusted() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let mut state = State::open(&dir, 0o600).unwrap();
        let is_lost = |boot| State::open(&dir, 0o600).unwrap().lock().unwrap().is_lost(boot).is_some();
        assert!(is_lost("one"));
        state.set_unsynced("one").unwrap();
        assert!(!is_lost("one"));
        assert!(is_lost("two"));
        state.set_synced().unwrap();
        assert!(!is_lost("two"));
        for damaged in ["", "unsynced", "unsynced ", "nonsense one", "\0\0"] {
            std::fs::write(place.path().join("imapd-index-state"), damaged).unwrap();
            assert!(is_lost("one"), "{damaged}");
        }
    }

    #[test]
    fn a_mark_stays_until_the_index_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let mut state = State::open(&dir, 0o600).unwrap();
        state.begin("one").unwrap();
        assert!(!state.is_marked());
        std::fs::write(place.path().join("imapd-index-state"), fault::MARK).unwrap();
        assert!(state.is_marked() && state.lock().unwrap().is_lost("one").is_some());
        assert!(matches!(state.set_unsynced("one"), Err(Failure::Damaged(_))));
        assert!(matches!(state.set_synced(), Err(Failure::Damaged(_))));
        assert!(state.is_marked());
        state.begin("one").unwrap();
        assert!(!state.is_marked() && state.lock().unwrap().is_lost("one").is_none());
    }
}
