//! `imapd-index-state`: whether the index is safe on the disk.
//!
//! ```abnf
//! file = ("synced" / "unsynced" SP boot-id) LF *SP    ; rewritten in place, 64 octets
//! ```
//!
//! "unsynced" is on the disk before anything of the index can be. Its one other use is as a lock for those who open the index.

use super::Result;
use crate::sys::file::Dir;
use crate::sys::lock::try_lock_octet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const FILE: &[u8] = b"imapd-index-state";
const LENGTH: usize = 64;
/// Opening is short; who waits longer goes without the index.
const WAIT: Duration = Duration::from_secs(2);

/// The open file.
pub struct State {
    dir: Dir,
    file: File,
}

/// The file while nobody else has it locked.
pub struct Held {
    text: String,
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
        Ok(Self { dir: dir.open_dir(b".")?, file })
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
        let mut text = vec![0; LENGTH];
        let got = file.read_at(&mut text, 0)?;
        text.truncate(got);
        Ok(Held { text: String::from_utf8_lossy(&text).trim_end().to_owned(), _file: file })
    }

    /// From now on, and after a crash, the index is that of this boot.
    pub fn set_unsynced(&mut self, boot: &str) -> io::Result<()> {
        self.write(&format!("unsynced {boot}"))
    }

    pub fn set_synced(&mut self) -> io::Result<()> {
        self.write("synced")
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let line = format!("{text}\n");
        let mut before = [0; LENGTH];
        let got = self.file.read_at(&mut before, 0)?;
        let wanted = format!("{line:LENGTH$}");
        if before.get(..got) == Some(wanted.as_bytes()) {
            return Ok(());
        }
        self.file.write_all_at(wanted.as_bytes(), 0)?;
        self.file.sync_data()
    }
}

impl Held {
    /// Whether the index may be damaged: another boot wrote to it, or nobody knows.
    pub fn is_lost(&self, boot: &str) -> bool {
        match self.text.split_once(' ') {
            None => self.text != "synced",
            Some((state, by)) => state != "unsynced" || by != boot || boot.is_empty(),
        }
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
        assert!(state.lock().unwrap().is_lost("one"));
        state.set_unsynced("one").unwrap();
        assert!(!state.lock().unwrap().is_lost("one"));
        assert!(state.lock().unwrap().is_lost("two"));
        state.set_synced().unwrap();
        assert!(!state.lock().unwrap().is_lost("two"));
        for damaged in ["", "unsynced", "unsynced ", "nonsense one", "\0\0"] {
            std::fs::write(place.path().join("imapd-index-state"), damaged).unwrap();
            assert!(state.lock().unwrap().is_lost("one"), "{damaged}");
        }
    }
}
