//! Open a memory-mapped database: the one call of LMDB that the compiler cannot check, and what it maps.

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Who else may have the database open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// Other processes.
    Shared,
    /// Nobody: there is no lock file.
    Private,
}

/// How large a database may become. It only reserves addresses.
#[cfg(target_pointer_width = "64")]
const MAP: usize = 1 << 36;
#[cfg(not(target_pointer_width = "64"))]
const MAP: usize = 1 << 29;
/// Sessions that may read at the same moment.
const READERS: u32 = 1000;

/// Opens the database in this file, or makes it. Commits do not wait for the disk. Only after the last fork of this process.
pub fn open(path: &Path, tables: u32, sharing: Sharing) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP).max_readers(READERS).max_dbs(tables);
    let mut flags = EnvFlags::NO_SUB_DIR | EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD;
    if sharing == Sharing::Private {
        flags |= EnvFlags::NO_LOCK;
    }
    // SAFETY: without NO_LOCK, LMDB keeps processes apart by its lock file, which the index never removes while the file beside it is in use by
    // its name; with it, the file has no other name than the descriptor of this process. That nobody writes into the file but LMDB is up to the
    // user whose mail it is: whoever damages it ends their own sessions.
    unsafe { options.flags(flags).open(path) }
}

/// A file without a name, in memory.
pub struct Nameless(OwnedFd);

impl Nameless {
    /// It is gone when it is dropped and nothing maps it.
    pub fn new() -> io::Result<Self> {
        Ok(Self(memfd_create("imapd-index", MFdFlags::MFD_CLOEXEC)?))
    }

    /// A path by which this process can open it.
    pub fn path(&self) -> std::path::PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// What names this run of the system: another after each boot. Empty where the system does not say.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').take(36).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heed::types::Bytes;

    #[test]
    fn a_nameless_file_holds_a_private_database() {
        let file = Nameless::new().unwrap();
        let env = open(&file.path(), 1, Sharing::Private).unwrap();
        let mut txn = env.write_txn().unwrap();
        let table = env.create_database::<Bytes, Bytes>(&mut txn, Some("x")).unwrap();
        table.put(&mut txn, b"key", b"value").unwrap();
        txn.commit().unwrap();
        assert_eq!(table.get(&env.read_txn().unwrap(), b"key").unwrap(), Some(&b"value"[..]));
        assert!(!boot_id().is_empty());
    }
}
