//! Limits that processes keep together which nobody has forked: inetd and its kin start one for each connection, and
//! ask nobody. Each holds locks on a file until somebody has logged in. The kernel counts, and lets go of what a dead
//! process held, so that nothing goes stale; the file stays empty and is never read.

use super::config::Most;
use super::counts::{TOO_MANY, TOO_MANY_BEFORE_LOGIN};
use super::source::Source;
use crate::sys::credentials;
use crate::sys::file::{Dir, Kind, Stat, stat_file};
use crate::sys::lock::try_lock_octet;
use std::fs::{DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const NAME: &[u8] = b"before-login";

/// Octets of the file, as a power of two, that stand for connections of the same kind: all, or those of one source. A
/// greater limit is as good as this one.
const REGION_BITS: u32 = 20;

/// One connection without login, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Slot {
    _locked: File,
}

/// Counts this process's connection, or says why there may be none. An error means that it cannot be counted here.
pub fn take(directory: &Path, most: &Most, source: Source) -> io::Result<Result<Slot, &'static str>> {
    let file = open(directory)?;
    // A source that takes all it may have is turned away before it costs a look at the others.
    if !lock_one(&file, region(source), most.per_address_before_login)? {
        return Ok(Err(TOO_MANY_BEFORE_LOGIN));
    }
    if !lock_one(&file, 0, most.connections)? {
        return Ok(Err(TOO_MANY));
    }
    Ok(Ok(Slot { _locked: file }))
}

/// Locks a free octet among so many from there on; false if there is none. The first free one, so that processes with
/// different limits count the same connections.
fn lock_one(file: &File, start: u64, count: usize) -> io::Result<bool> {
    let count = u64::try_from(count).unwrap_or(u64::MAX).min(1 << REGION_BITS);
    for at in start..start + count {
        if try_lock_octet(file, at)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a source's octets begin: the same in each process of one build. Sources that meet in one of the 2^43 places
/// share one limit; even with all networks of an IPv6 /32 to choose from, somebody else's place is hardly ever met.
fn region(source: Source) -> u64 {
    // Without a key, unlike those of a HashMap.
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    // Offsets have 63 bits. The first region is that of all connections.
    (hasher.finish() >> (1 + REGION_BITS)).max(1) << REGION_BITS
}

/// The file, in a directory that nobody else has been able to prepare.
fn open(path: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let directory = Dir::open_itself(path)?;
    check_private(directory.stat_self()?)?;
    let file = match directory.open_update(NAME) {
        Err(error) if error.kind() == ErrorKind::NotFound => match directory.create_new(NAME, 0o600) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => directory.open_update(NAME),
            made => made,
        },
        found => found,
    }?;
    check_private(stat_file(&file)?)?;
    Ok(file)
}

fn check_private(stat: Stat) -> io::Result<()> {
    let what = if stat.kind == Kind::Directory { "the directory" } else { "the file in it" };
    if stat.owner != credentials::effective_uid() {
        return Err(io::Error::other(format!("{what} is another user's")));
    }
    if stat.mode & 0o077 != 0 {
        return Err(io::Error::other(format!("others have access to {what}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn most(connections: usize, per_address_before_login: usize) -> Most {
        Most { connections, per_address_before_login, ..Most::default() }
    }

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn both_limits_hold_and_what_is_given_back_is_free() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        let take = |text| take(&directory, &most(3, 2), source(text)).unwrap();
        let one = take("10.0.0.1").unwrap();
        let _two = take("::ffff:10.0.0.1").unwrap();
        assert_eq!(take("10.0.0.1").unwrap_err(), TOO_MANY_BEFORE_LOGIN);
        let _three = take("2001:db8::1").unwrap();
        assert_eq!(take("10.0.0.2").unwrap_err(), TOO_MANY);
        drop(one);
        // The refusals have kept nothing.
        let _four = take("10.0.0.2").unwrap();
        assert_eq!(take("10.0.0.1").unwrap_err(), TOO_MANY);
        let made = std::fs::metadata(&directory).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o700);
        let made = std::fs::metadata(directory.join("before-login")).unwrap();
        assert_eq!((made.mode() & 0o7777, made.len()), (0o600, 0));
    }

    #[test]
    fn a_limit_of_none_admits_nobody() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        assert!(take(&directory, &most(1, 0), source("10.0.0.1")).unwrap().is_err());
        assert!(take(&directory, &most(0, 1), source("10.0.0.1")).unwrap().is_err());
        assert!(take(&directory, &most(usize::MAX, usize::MAX), source("10.0.0.1")).unwrap().is_ok());
    }

    #[test]
    fn regions_do_not_overlap_and_end_within_a_file() {
        let first_octets = 0..=255;
        let mut starts: Vec<u64> = first_octets.map(|octet: u8| region(source(&format!("{octet}.0.0.1")))).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), 256);
        for start in starts {
            assert!(start >= 1 << REGION_BITS && start % (1 << REGION_BITS) == 0);
            assert!(i64::try_from(start + (1 << REGION_BITS) - 1).is_ok());
        }
        assert_eq!(region(source("2001:db8::1")), region(source("2001:db8::2")));
    }

    #[test]
    fn a_directory_that_others_have_prepared_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let refused = |path: &Path| take(path, &most(1, 1), source("10.0.0.1")).is_err();
        let allow = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();

        let (good, link) = (place.path().join("good"), place.path().join("link"));
        assert!(!refused(&good));
        symlink(&good, &link).unwrap();
        assert!(refused(&link));
        for mode in [0o777, 0o770, 0o701, 0o704] {
            allow(&good, mode);
            assert!(refused(&good), "{mode:o}");
        }
        allow(&good, 0o700);
        assert!(!refused(&good));

        let file = good.join("before-login");
        allow(&file, 0o666);
        assert!(refused(&good));
        std::fs::remove_file(&file).unwrap();
        let elsewhere = place.path().join("elsewhere");
        symlink(&elsewhere, &file).unwrap();
        assert!(refused(&good) && !elsewhere.exists());
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(refused(&good));
        assert!(refused(&place.path().join("no/where")) && refused(Path::new("/dev/null")));
    }
}
