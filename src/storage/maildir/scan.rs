//! Read `new` and `cur`: names only, no stat per file.

use super::file_name;
use super::folder::{Folder, Place};
use super::index::record::{Reader, Writer};
use crate::log::{Level, Quoted, log};
use crate::sys::file::{Dir, Kind, Stat, Time};
use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gives the names of messages in a directory, and whether it did not say what they are. What cannot be a message is passed over, with one line in
/// the log.
pub fn each_message(
    folder: &Folder,
    place: Place,
    said: &mut Said,
    mut take: impl FnMut(&[u8], bool),
) -> io::Result<()> {
    folder.place(place).each(|name, kind| {
        // Hidden files, directories and the like of other programs are none of our business.
        if name.first() == Some(&b'.') || kind == Kind::Directory {
            return;
        }
        if !file_name::is_message(name) || !matches!(kind, Kind::File | Kind::Unknown) {
            if said.first_time(name) {
                log!(Level::Warning, "passed over {}, which is no message", Quoted(name));
            }
            return;
        }
        take(name, kind == Kind::Unknown);
    })
}

/// What was already complained of, so that the log has it once.
#[derive(Debug, Default)]
pub struct Said(HashSet<Box<[u8]>>);

impl Said {
    /// Bounded: whoever plants a million such files gets a thousand lines.
    const MOST: usize = 1000;

    pub fn first_time(&mut self, what: &[u8]) -> bool {
        self.0.len() < Self::MOST && self.0.insert(what.into())
    }
}

/// The time of a directory's last change at which we looked at it, and whether that look can be relied on.
///
/// The clock of a file system ticks: a change in the same tick as an earlier one, after our look, leaves no trace in the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    identity: (u64, u64),
    modified: Time,
    doubt: Doubt,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Doubt {
    #[default]
    None,
    /// Look again next time.
    Now,
    /// Look again when the file system's clock must have ticked; nanoseconds since 1970.
    After(i128),
}

/// Coarser than the tick of any kernel.
pub const TICK: Duration = Duration::from_millis(20);
/// Where times have no fractions of a second.
const COARSE_TICK: Duration = Duration::from_secs(1);
/// A time that far in the future was set by somebody, or the clock was set back: any change shows.
const FUTURE: i128 = 60_000_000_000;

fn now() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    i128::try_from(now).unwrap_or(0)
}

fn nanoseconds(time: Time) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)
}

/// In nanoseconds.
fn tick(stat: &Stat) -> i128 {
    let tick = if stat.modified.nanoseconds == 0 { COARSE_TICK } else { TICK };
    tick.as_nanos().cast_signed()
}

impl Stamp {
    /// Taken before the directory is read.
    pub fn before_reading(stat: &Stat) -> Self {
        let tick = tick(stat);
        let age = now() - nanoseconds(stat.modified);
        let doubt = if age < tick && age > -FUTURE { Doubt::Now } else { Doubt::None };
        Self { identity: (stat.device, stat.inode), modified: stat.modified, doubt }
    }

    /// Taken after changes of our own to a directory that was known: it need not be read again for them, but for what others may have done in the
    /// same moment, later.
    pub fn after_writing(stat: &Stat) -> Self {
        let tick = tick(stat);
        let doubt = Doubt::After(now().max(nanoseconds(stat.modified)) + tick);
        Self { identity: (stat.device, stat.inode), modified: stat.modified, doubt }
    }

    /// Has the directory read again next time.
    pub fn distrust(&mut self) {
        self.doubt = Doubt::Now;
    }

    /// Whether the directory must be read again.
    pub fn is_outdated(&self, stat: &Stat) -> bool {
        self.changed(stat)
            || match self.doubt {
                Doubt::None => false,
                Doubt::Now => true,
                Doubt::After(time) => now() > time,
            }
    }

    /// Whether the directory shows another time than this.
    pub fn changed(&self, stat: &Stat) -> bool {
        self.identity != (stat.device, stat.inode) || self.modified != stat.modified
    }

    /// Whether both are of one time of one directory.
    pub fn is_of_same_time(&self, other: &Stamp) -> bool {
        (self.identity, self.modified) == (other.identity, other.modified)
    }

    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// The directory and its time, if they can be relied on to show any change.
    pub fn settled(&self) -> Option<(u64, u64, Time)> {
        (self.doubt == Doubt::None).then_some((self.identity.0, self.identity.1, self.modified))
    }

    pub fn write(&self, out: &mut Writer) {
        let (kind, until) = match self.doubt {
            Doubt::None => (0, 0),
            Doubt::Now => (1, 0),
            Doubt::After(time) => (2, u64::try_from(time).unwrap_or(0)),
        };
        let Time { seconds, nanoseconds } = self.modified;
        for number in
            [self.identity.0, self.identity.1, seconds.cast_unsigned(), nanoseconds.cast_unsigned(), kind, until]
        {
            out.number(number);
        }
    }

    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let identity = (from.number()?, from.number()?);
        let mut signed = || from.number::<u64>().map(u64::cast_signed);
        let modified = Time { seconds: signed()?, nanoseconds: signed()? };
        let (kind, until) = (from.number::<u64>()?, from.number::<u64>()?);
        let doubt = match kind {
            0 => Doubt::None,
            1 => Doubt::Now,
            2 => Doubt::After(until.into()),
            _ => return None,
        };
        Some(Self { identity, modified, doubt })
    }

    /// Whether something may have escaped us that leaves no further trace.
    pub fn in_doubt(&self) -> bool {
        self.doubt != Doubt::None
    }
}

/// Removes what programs that died left in `tmp`: plain files untouched for 36 hours. Looks once a week at most.
pub fn clean_tmp(tmp: &Dir) -> io::Result<()> {
    const OLD: i64 = 36 * 3600;
    const INTERVAL: i64 = 7 * 24 * 3600;
    let now = i64::try_from(now() / 1_000_000_000).unwrap_or(0);
    let stat = tmp.stat_self()?;
    let looked_since_it_changed = stat.accessed.seconds > stat.changed.seconds.saturating_add(OLD);
    if looked_since_it_changed || stat.accessed.seconds > now.saturating_sub(INTERVAL) {
        return Ok(());
    }
    let mut names = Vec::new();
    tmp.each(|name, kind| {
        if matches!(kind, Kind::File | Kind::Unknown) {
            names.push(name.to_vec());
        }
    })?;
    for name in names {
        if let Ok(stat) = tmp.stat(&name)
            && stat.kind == Kind::File
            && stat.changed.seconds < now.saturating_sub(OLD)
        {
            tmp.unlink(&name)?;
        }
    }
    Ok(())
}
