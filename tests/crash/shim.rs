//! The library that is loaded before the C library into a server, and the file by which a test tells it what is to happen at which call.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What a call does. The order is that of shim.c.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Create,
    Open,
    OpenWrite,
    Write,
    /// A rename, link or new directory.
    Name,
    Unlink,
    Sync,
    Attribute,
    Truncate,
    List,
    Stat,
    /// Of an open file.
    StatOpen,
    Read,
    Close,
    /// Octets to the client.
    Tell,
    /// A file into memory.
    Map,
    /// Of a part of a file.
    Lock,
}

pub const KINDS: [Kind; 17] = [
    Kind::Create,
    Kind::Open,
    Kind::OpenWrite,
    Kind::Write,
    Kind::Name,
    Kind::Unlink,
    Kind::Sync,
    Kind::Attribute,
    Kind::Truncate,
    Kind::List,
    Kind::Stat,
    Kind::StatOpen,
    Kind::Read,
    Kind::Close,
    Kind::Tell,
    Kind::Map,
    Kind::Lock,
];

/// Calls that change something, or that others may come between.
pub const CHANGING: [Kind; 9] = [
    Kind::Create,
    Kind::Write,
    Kind::Name,
    Kind::Unlink,
    Kind::Sync,
    Kind::Attribute,
    Kind::Truncate,
    Kind::List,
    Kind::Tell,
];

/// A set of kinds as the library reads it.
pub fn mask(kinds: &[Kind]) -> u32 {
    kinds.iter().fold(0, |mask, kind| mask | 1 << (*kind as u32))
}

/// What is to happen, and at which call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing; the calls are counted.
    Count,
    KillBefore,
    KillAfter,
    /// Half of the octets are written first. Not at other calls.
    KillHalfway,
    /// With this errno.
    FailOnce(i32),
    /// With this errno, and every further call of these kinds too.
    FailOn(i32, u32),
}

/// What happened.
#[derive(Debug)]
pub struct Account {
    /// The counted calls in their order, as far as they are remembered.
    pub kinds: Vec<Kind>,
    /// How many calls were met by their fate.
    pub hit: u32,
}

/// The file that a server's library and the test share.
pub struct Control {
    place: TempDir,
    file: File,
}

const KINDS_AT: u64 = 64;
const REMEMBERED: usize = 8192;

impl Control {
    pub fn new() -> Self {
        let place = TempDir::new().unwrap();
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(place.path().join("control")).unwrap();
        file.set_len(KINDS_AT + REMEMBERED as u64).unwrap();
        Self { place, file }
    }

    /// So that the program is watched by the library. Nothing happens before [`Control::arm`].
    pub fn watch(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library());
        command.env("CRASH_CONTROL", self.place.path().join("control"));
        command.env("CRASH_TRACE", self.trace());
    }

    fn trace(&self) -> PathBuf {
        self.place.path().join("trace")
    }

    fn put(&self, word: u64, value: u32) {
        self.file.write_all_at(&value.to_ne_bytes(), word * 4).unwrap();
    }

    fn get(&self, word: u64) -> u32 {
        let mut octets = [0; 4];
        self.file.read_exact_at(&mut octets, word * 4).unwrap();
        u32::from_ne_bytes(octets)
    }

    /// What is killed needs no disk to turn: pages that were written outlive their writer. It saves most of the time.
    pub fn without_syncs(&self) {
        self.put(8, 1);
    }

    /// Has every call written down from now on.
    pub fn trace_calls(&self) {
        self.put(9, 1);
    }

    /// From now on calls of these kinds are counted, and the one of this number meets its fate.
    pub fn arm(&self, kinds: &[Kind], at: u32, fate: Fate) {
        let (mode, error, failing) = match fate {
            Fate::Count => (0, 0, 0),
            Fate::KillBefore => (1, 0, 0),
            Fate::KillAfter => (2, 0, 0),
            Fate::KillHalfway => (3, 0, 0),
            Fate::FailOnce(error) => (4, error, 0),
            Fate::FailOn(error, failing) => (5, error, failing),
        };
        for (word, value) in [(1, mode), (2, at), (3, error as u32), (4, mask(kinds)), (5, 0), (6, 0), (7, failing)] {
            self.put(word, value);
        }
        self.put(0, 1);
    }

    pub fn disarm(&self) -> Account {
        self.put(0, 0);
        let mut octets = vec![0; (self.get(5) as usize).min(REMEMBERED)];
        self.file.read_exact_at(&mut octets, KINDS_AT).unwrap();
        Account { kinds: octets.into_iter().map(|kind| KINDS[usize::from(kind)]).collect(), hit: self.get(6) }
    }

    /// What was written down: a call, its result, one path or two.
    pub fn calls(&self) -> Vec<Call> {
        let text = std::fs::read(self.trace()).unwrap_or_default();
        let lines = String::from_utf8_lossy(&text).into_owned();
        lines
            .lines()
            .map(|line| {
                let mut fields = line.split('\t').map(str::to_owned);
                let mut next = || fields.next().unwrap_or_default();
                Call { name: next(), result: next().parse().unwrap(), path: next(), second: next() }
            })
            .collect()
    }
}

/// A call that was written down.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub result: i64,
    pub path: String,
    pub second: String,
}

/// Built once per run.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, object) = BUILT.get_or_init(|| {
        let place = TempDir::new().unwrap();
        let (source, object) = (place.path().join("shim.c"), place.path().join("shim.so"));
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&object).arg(&source).arg("-ldl");
        let built = compiler.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (place, object)
    });
    object
}
