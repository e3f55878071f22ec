//! `dovecot-uidvalidity`: the last UIDVALIDITY handed out in this Maildir, so that a mailbox deleted and made again within a second gets another.
//!
//! The value stands in the text file, 8 hexadecimal digits, and in the name of an empty marker file beside it; whoever renames the
//! marker to the next value owns that value.

use crate::sys::file::Dir;
use crate::types::UidValidity;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub const FILE: &[u8] = b"dovecot-uidvalidity";
/// How many values are tried upwards before the directory is read.
const TRIES: usize = 10;
/// What follows the last value: zero is none.
const FIRST: UidValidity = UidValidity::new(1).unwrap();

/// The next UIDVALIDITY of a Maildir. What goes wrong on disk never stops a mailbox from being made: then it is the time, ascending in this process.
pub fn next(root: &Dir) -> UidValidity {
    advance(root).unwrap_or_else(|_| by_time())
}

fn by_time() -> UidValidity {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Seconds since 1970 fit until 2106; after that any value that is not zero will do.
    let now = u32::try_from(now & u64::from(u32::MAX)).unwrap_or(1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last.saturating_add(1))));
    let value = last.map_or(now, |last| now.max(last.saturating_add(1)));
    UidValidity::new(value).unwrap_or(FIRST)
}

fn advance(root: &Dir) -> io::Result<UidValidity> {
    let mut value = match read(root) {
        Some(value) => value,
        None => match largest_marker(root)? {
            Some(value) => value,
            None => return start(root),
        },
    };
    for _ in 0..TRIES {
        let next = after(value);
        match root.rename_new(&marker(value), root, &marker(next.get())) {
            Ok(()) => return record(root, next),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                value = next.get();
            }
            Err(error) => return Err(error),
        }
    }
    let Some(value) = largest_marker(root)? else { return start(root) };
    let next = after(value);
    root.rename_new(&marker(value), root, &marker(next.get()))?;
    record(root, next)
}

/// The first value of a Maildir is the time.
fn start(root: &Dir) -> io::Result<UidValidity> {
    let value = by_time();
    match root.create_new(&marker(value.get()), 0o444) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => record(root, value),
    }
}

fn record(root: &Dir, value: UidValidity) -> io::Result<UidValidity> {
    let mode = root.stat_self()?.mode & 0o666 | 0o600;
    let file = match root.open_update(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => root.create_over(FILE, mode)?,
        other => other?,
    };
    file.write_all_at(format!("{:08x}", value.get()).as_bytes(), 0)?;
    Ok(value)
}

fn read(root: &Dir) -> Option<u32> {
    let mut text = Vec::new();
    root.open_file(FILE).ok()?.take(9).read_to_end(&mut text).ok()?;
    parse_hex(text.get(..8)?)
}

fn largest_marker(root: &Dir) -> io::Result<Option<u32>> {
    Ok(markers(root)?.into_iter().max())
}

/// The values that markers name.
fn markers(root: &Dir) -> io::Result<Vec<u32>> {
    let mut values = Vec::new();
    root.each(|name, _| {
        values.extend(name.strip_prefix(FILE).and_then(|n| n.strip_prefix(b".")).and_then(parse_hex));
    })?;
    Ok(values)
}

/// What does not agree, in a few words; `None` if all does, or if no value was handed out yet.
pub fn fault(root: &Dir) -> io::Result<Option<&'static str>> {
    let there = root.stat(FILE).is_ok();
    let (text, markers) = (read(root), markers(root)?);
    Ok(match (text, &*markers) {
        (None, []) if !there => None,
        (None, _) if there => Some("is no value of eight digits"),
        (None, _) => Some("is missing beside its marker"),
        (Some(_), []) => Some("has no marker"),
        (Some(text), [marker]) if text == *marker => None,
        (Some(_), [_]) => Some("and its marker differ"),
        (Some(_), _) => Some("has several markers"),
    })
}

/// Makes text and marker agree on the greatest value that either names, so that none is handed out twice, and says what was done.
pub fn mend(root: &Dir) -> io::Result<&'static str> {
    let mut markers = markers(root)?;
    markers.sort_unstable();
    let largest = markers.pop();
    let Some(value) = largest.max(read(root)).and_then(UidValidity::new) else {
        root.unlink(FILE)?;
        return Ok("removed: the time is greater than any value that was handed out");
    };
    match largest {
        Some(largest) if largest == value.get() => {}
        Some(largest) => root.rename_new(&marker(largest), root, &marker(value.get()))?,
        None => drop(root.create_new(&marker(value.get()), 0o444)?),
    }
    for smaller in markers {
        root.unlink(&marker(smaller))?;
    }
    record(root, value)?;
    Ok("file and marker have the greatest value now")
}

fn parse_hex(digits: &[u8]) -> Option<u32> {
    let plain = digits.len() == 8 && digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    plain.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

fn after(value: u32) -> UidValidity {
    UidValidity::new(value.wrapping_add(1)).unwrap_or(FIRST)
}

fn marker(value: u32) -> Vec<u8> {
    [FILE, format!(".{value:08x}").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_the_one_after_the_last() {
        let place = tempfile::tempdir().unwrap();
        let root = Dir::open(place.path()).unwrap();
        let first = next(&root);
        assert_eq!(next(&root).get(), first.get() + 1);
        // The text file is lost or behind: the marker tells.
        std::fs::remove_file(place.path().join("dovecot-uidvalidity")).unwrap();
        assert_eq!(next(&root).get(), first.get() + 2);
        std::fs::write(place.path().join("dovecot-uidvalidity"), format!("{:08x}", first.get() - 100)).unwrap();
        assert_eq!(next(&root).get(), first.get() + 3);
        assert_eq!(
            std::fs::read_to_string(place.path().join("dovecot-uidvalidity")).unwrap(),
            format!("{:08x}", first.get() + 3)
        );
        let markers = std::fs::read_dir(place.path()).unwrap().count();
        assert_eq!(markers, 2);
    }

    #[test]
    fn text_and_marker_are_made_to_agree_on_the_greatest_value() {
        let files = |text: Option<&str>, markers: &[&str]| {
            let place = tempfile::tempdir().unwrap();
            let path = |name: &str| place.path().join(format!("dovecot-uidvalidity{name}"));
            text.iter().for_each(|text| std::fs::write(path(""), text).unwrap());
            markers.iter().for_each(|marker| std::fs::write(path(&format!(".{marker}")), "").unwrap());
            let root = Dir::open(place.path()).unwrap();
            (place, root)
        };
        for (text, markers, after) in [
            (Some("0000000f"), &["0000000e"][..], "0000000f"),
            (Some("0000000f"), &[], "0000000f"),
            (None, &["0000000f"], "0000000f"),
            (Some("x"), &["0000000e", "0000000f", "00000001"], "0000000f"),
            (Some("0000000e"), &["0000000f"], "0000000f"),
        ] {
            let (place, root) = files(text, markers);
            assert!(fault(&root).unwrap().is_some(), "{text:?} {markers:?}");
            mend(&root).unwrap();
            assert_eq!(fault(&root).unwrap(), None);
            assert_eq!(std::fs::read_to_string(place.path().join("dovecot-uidvalidity")).unwrap(), after);
            assert!(place.path().join(format!("dovecot-uidvalidity.{after}")).exists());
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
        }
        let (_place, root) = files(Some("nonsense"), &[]);
        mend(&root).unwrap();
        for (text, markers) in [(None, &[][..]), (Some("0000000f"), &["0000000f"])] {
            assert_eq!(fault(&files(text, markers).1).unwrap(), None);
        }
        assert_eq!(fault(&root).unwrap(), None);
    }

    #[test]
    fn zero_is_skipped_and_a_directory_that_cannot_be_written_is_no_obstacle() {
        let place = tempfile::tempdir().unwrap();
        let root = Dir::open(place.path()).unwrap();
        std::fs::write(place.path().join("dovecot-uidvalidity.ffffffff"), "").unwrap();
        std::fs::write(place.path().join("dovecot-uidvalidity"), "ffffffff").unwrap();
        assert_eq!(next(&root).get(), 1);
        drop(place);
        assert!(next(&root).get() > 1);
    }
}
