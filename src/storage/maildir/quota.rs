//! `maildirsize`: the quota of Maildir++, kept up where there is one. We make none: its first line is the only place that has the limits.
//!
//! ```abnf
//! file   = limit *( "," limit ) LF *( change LF )
//! limit  = 1*DIGIT letter                       ; S: octets as stored, C: messages; zero or missing: none
//! change = *SP octets 1*SP messages *SP         ; signed; their sum is what is used
//! ```
//!
//! It lies in the root and counts all folders. Nobody locks it: a change is one write at its end, and now and then somebody counts anew. The user can
//! write into it, so it binds nobody who does not want to be bound, and nothing in it is taken on trust but the limits.

use super::file_name;
use super::root::Root;
use crate::log::{Level, log};
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Kind, Stat, Time, stat_file};
use crate::sys::lock::host_name;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

pub const FILE: &[u8] = b"maildirsize";
/// A file of this size, in octets, is to be written anew.
const FULL: u64 = 5120;
/// Seconds after which a sum of one line is not believed when it says that there is no room.
const OLD: i64 = 15 * 60;
/// How often is counted when mail comes or goes meanwhile.
const TRIES: usize = 3;

/// How much comes, or with a minus goes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Amount {
    /// As stored.
    pub octets: i64,
    pub messages: i64,
}

impl Amount {
    /// One more message of this size.
    pub fn add(&mut self, octets: u64) {
        self.octets = self.octets.saturating_add(i64::try_from(octets).unwrap_or(i64::MAX));
        self.messages = self.messages.saturating_add(1);
    }

    /// The same amount going.
    pub fn gone(self) -> Self {
        Self { octets: self.octets.saturating_neg(), messages: self.messages.saturating_neg() }
    }
}

/// What is allowed and what is used. No limit is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    pub octets: i64,
    pub octets_limit: Option<u64>,
    pub messages: i64,
    pub messages_limit: Option<u64>,
}

impl Usage {
    fn has_room_for(&self, more: Amount) -> bool {
        let fits = |used: i64, more: i64, limit: Option<u64>| {
            more <= 0 || limit.is_none_or(|limit| i128::from(used) + i128::from(more) <= i128::from(limit))
        };
        fits(self.octets, more.octets, self.octets_limit) && fits(self.messages, more.messages, self.messages_limit)
    }
}

/// Whether there is a quota, so that what comes and goes must be told.
pub fn is_kept(root: &Root) -> bool {
    root.dir.stat(FILE).is_ok_and(|stat| stat.kind == Kind::File && stat.size > 0)
}

/// What is allowed and used; `None` without a quota. Counts anew if the file must be written anew.
pub fn usage(root: &Root) -> Result<Option<Usage>> {
    let Some(sizes) = read(&root.dir)? else { return Ok(None) };
    if sizes.used.is_some() {
        return Ok(Some(sizes.usage()));
    }
    rebuild(root, &sizes).map(Some)
}

/// Whether so much may be added; [`StoreError::OverQuota`] if not. Before that is said, what is used is counted unless that was done just now.
pub fn check(root: &Root, more: Amount) -> Result<()> {
    let Some(sizes) = read(&root.dir)? else { return Ok(()) };
    let usage = sizes.usage();
    let doubtful = match sizes.used {
        None => true,
        Some(_) if usage.has_room_for(more) => return Ok(()),
        Some(_) => sizes.lines > 1 || now().saturating_sub(sizes.modified.seconds) > OLD,
    };
    let usage = if doubtful {
        match rebuild(root, &sizes) {
            Ok(usage) => usage,
            // On a full disk, say: what is known must do.
            Err(error) => {
                log!(Level::Warning, "cannot write maildirsize anew: {error}");
                usage
            }
        }
    } else {
        usage
    };
    if usage.has_room_for(more) { Ok(()) } else { Err(StoreError::OverQuota) }
}

/// Tells that so much came or went. To be called after it did. Nothing that goes wrong here undoes that: the next count puts it right.
pub fn note(root: &Root, change: Amount) {
    if change == Amount::default() {
        return;
    }
    let done = match root.dir.open_append(FILE) {
        Ok(file) => append(root, file, change),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = done {
        log!(Level::Warning, "cannot keep maildirsize up: {error}");
    }
}

fn append(root: &Root, mut file: File, change: Amount) -> Result<()> {
    let stat = stat_file(&file)?;
    let mut last = [0];
    let ended = stat.size > 0 && file.read_at(&mut last, stat.size - 1)? == 1 && last == *b"\n";
    if ended && stat.size < FULL {
        // In one write, in columns as Courier writes them.
        return Ok(file.write_all(format!("{:>12} {:>12}\n", change.octets, change.messages).as_bytes())?);
    }
    if let Some(sizes) = read(&root.dir)? {
        rebuild(root, &sizes)?;
    }
    Ok(())
}

/// What lies in a folder's `new` and `cur`.
pub fn amount_of(folder: &Dir) -> Amount {
    let mut amount = Amount::default();
    for part in [b"new", b"cur"] {
        let Ok(dir) = folder.open_dir(part) else { continue };
        let listed = dir.each(|name, kind| {
            if name.first() == Some(&b'.') || !matches!(kind, Kind::File | Kind::Unknown) {
                return;
            }
            let sized = || dir.stat(name).ok().filter(|stat| stat.kind == Kind::File).map(|stat| stat.size);
            // One that went meanwhile is not counted.
            if let Some(size) = file_name::stored_size(name).or_else(sized) {
                amount.add(size);
            }
        });
        if let Err(error) = listed {
            log!(Level::Warning, "cannot count all mail: {error}");
        }
    }
    amount
}

/// What all folders hold, by looking, and whether that was still so afterwards.
pub fn count(root: &Root) -> Result<(Amount, bool)> {
    let folders = folders(&root.dir)?;
    let newest = || {
        let parts =
            folders.iter().flat_map(|folder| [[folder, &b"/new"[..]].concat(), [folder, &b"/cur"[..]].concat()]);
        parts.filter_map(|part| Some(root.dir.stat_through(&part).ok()?.modified)).max()
    };
    let before = newest();
    let mut sum = Amount::default();
    for folder in &folders {
        // One that went meanwhile is not counted.
        let Ok(folder) = root.dir.open_dir(folder) else { continue };
        let amount = amount_of(&folder);
        sum.octets = sum.octets.saturating_add(amount.octets);
        sum.messages = sum.messages.saturating_add(amount.messages);
    }
    Ok((sum, newest() <= before))
}

/// The root and all folders in it. What is being deleted, with two dots before its name, is none.
fn folders(root: &Dir) -> Result<Vec<Vec<u8>>> {
    let mut folders = vec![b".".to_vec()];
    root.each(|name, kind| {
        if name.first() == Some(&b'.') && name.get(1) != Some(&b'.') && !matches!(kind, Kind::File | Kind::Other) {
            folders.push(name.to_vec());
        }
    })?;
    Ok(folders)
}

/// What is wrong with the file, in a few words; `None` if nothing is, or if there is none.
pub fn fault(root: &Root) -> Result<Option<String>> {
    for _ in 0..TRIES {
        let Some(sizes) = read(&root.dir)? else {
            let there = root.dir.stat(FILE).is_ok();
            return Ok(there.then(|| "has no limits in its first line".to_owned()));
        };
        let Some(used) = sizes.used else {
            // The next change writes a full one anew.
            let full = root.dir.stat(FILE).is_ok_and(|stat| stat.size >= FULL);
            return Ok((!full).then(|| "cannot be summed up".to_owned()));
        };
        let (counted, settled) = count(root)?;
        if used == counted {
            return Ok(None);
        }
        // Nothing came or went, and nobody told of it meanwhile.
        if settled && read(&root.dir)?.is_some_and(|now| now.used == sizes.used) {
            return Ok(Some(format!(
                "says {} octets in {} messages where there are {} in {}",
                used.octets, used.messages, counted.octets, counted.messages
            )));
        }
    }
    // In so much traffic nobody can tell.
    Ok(None)
}

/// Writes the file anew with what is used now; says whether there are limits to write.
pub fn rewrite(root: &Root) -> Result<bool> {
    match read(&root.dir)? {
        Some(sizes) => rebuild(root, &sizes).map(|_| true),
        None => Ok(false),
    }
}

fn rebuild(root: &Root, sizes: &Sizes) -> Result<Usage> {
    let mut left = TRIES;
    loop {
        let (used, settled) = count(root)?;
        write(root, &sizes.first, used)?;
        left -= 1;
        // Removing the file would lose the limits. The sum may be off by what came just now.
        if settled || left == 0 {
            return Ok(Sizes { used: Some(used), ..sizes.clone() }.usage());
        }
    }
}

fn write(root: &Root, first: &[u8], used: Amount) -> Result<()> {
    let name = [&*file_name::unique(), b"_NeWmAiLdIrSiZe.", host_name().as_bytes()].concat();
    let tmp = root.dir.open_dir(b"tmp")?;
    let mode = root.dir.stat_self()?.mode & 0o666 | 0o600;
    let mut file = tmp.create_new(&name, mode)?;
    let mut text = first.to_vec();
    text.extend_from_slice(format!("\n{:>12} {:>12}\n", used.octets, used.messages).as_bytes());
    let done = file.write_all(&text).and_then(|()| tmp.rename_over(&name, &root.dir, FILE));
    done.map_err(|error| {
        let _ = tmp.unlink(&name);
        error.into()
    })
}

/// The file as it was read.
#[derive(Clone, Debug)]
struct Sizes {
    /// The first line, without its LF.
    first: Vec<u8>,
    /// `None` if the lines cannot be summed, or the file is to be written anew for another reason.
    used: Option<Amount>,
    /// Lines behind the first.
    lines: usize,
    modified: Time,
}

impl Sizes {
    fn usage(&self) -> Usage {
        let used = self.used.unwrap_or_default();
        let mut usage = Usage { octets: used.octets, messages: used.messages, ..Usage::default() };
        for limit in self.first.split(|&b| b == b',') {
            let Some((&letter, digits)) = limit.trim_ascii().split_last() else { continue };
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                continue;
            }
            // What is more than a number can say is not reached either.
            let number = file_name::decimal(digits).unwrap_or(u64::MAX);
            let number = (number > 0).then_some(number);
            match letter {
                b'S' => usage.octets_limit = number,
                b'C' => usage.messages_limit = number,
                _ => {}
            }
        }
        usage
    }
}

/// The file, if it is one that says anything.
fn read(root: &Dir) -> Result<Option<Sizes>> {
    let file = match root.open_file(FILE) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (stat, mut text) = (stat_file(&file)?, Vec::new());
    file.take(FULL).read_to_end(&mut text)?;
    Ok(parse(&text, &stat))
}

fn parse(text: &[u8], stat: &Stat) -> Option<Sizes> {
    let mut lines = text.split(|&b| b == b'\n');
    let first = lines.next().filter(|first| !first.trim_ascii().is_empty() && !first.contains(&0))?.to_vec();
    // Behind the last LF there is nothing, or a line that was cut off.
    let whole = text.last() == Some(&b'\n') && (text.len() as u64) < FULL;
    let changes: Vec<&[u8]> = lines.collect();
    let changes = changes.split_last().map(|(_, changes)| changes).unwrap_or_default();
    let used = if whole { sum(changes) } else { None };
    Some(Sizes { first, used, lines: changes.len(), modified: stat.modified })
}

/// What the lines come to; `None` if one cannot be understood, or if less than nothing is used.
fn sum(changes: &[&[u8]]) -> Option<Amount> {
    let (mut octets, mut messages) = (0i128, 0i128);
    for change in changes {
        let text = std::str::from_utf8(change).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(|number| number.parse::<i64>().ok());
        octets += i128::from(numbers.next()??);
        messages += i128::from(numbers.next()??);
        if numbers.next().is_some() {
            return None;
        }
    }
    let small = |number: i128| i64::try_from(number).ok().filter(|&number| number >= 0);
    Some(Amount { octets: small(octets)?, messages: small(messages)? })
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::maildir::IndexPlace;
    use std::path::Path;

    fn scratch(sizes: &str) -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        for part in ["tmp", "new", "cur"] {
            std::fs::create_dir(place.path().join(part)).unwrap();
        }
        std::fs::write(place.path().join("maildirsize"), sizes).unwrap();
        let root = Root::open(place.path(), IndexPlace::InRoot).unwrap();
        (place, root)
    }

    fn text(place: &Path) -> String {
        std::fs::read_to_string(place.join("maildirsize")).unwrap()
    }

    fn used(root: &Root) -> (i64, i64) {
        let usage = usage(root).unwrap().unwrap();
        (usage.octets, usage.messages)
    }

    fn set_age(place: &Path, seconds: u64) {
        let file = File::options().write(true).open(place.join("maildirsize")).unwrap();
        file.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
    }

    const NOTHING: &str = "           0            0\n";

    #[test]
    fn limits_are_read_and_lines_are_summed() {
        let (_place, root) = scratch("1000S,10C\n100 1\n   -40    -1\n 5\t2 \n");
        let expected = Usage { octets: 65, octets_limit: Some(1000), messages: 2, messages_limit: Some(10) };
        assert_eq!(usage(&root).unwrap(), Some(expected));
        for (line, octets, messages) in [
            ("0S", None, None),
            ("5C", None, Some(5)),
            ("5C,0S,7X", None, Some(5)),
            ("99999999999999999999S", Some(u64::MAX), None),
            ("NOQUOTA", None, None),
            ("-5S, 3C", None, Some(3)),
        ] {
            let (_place, root) = scratch(&format!("{line}\n"));
            let usage = usage(&root).unwrap().unwrap();
            assert_eq!((usage.octets_limit, usage.messages_limit), (octets, messages), "{line}");
        }
    }

    #[test]
    fn without_a_file_nothing_is_limited_and_none_is_made() {
        for damaged in ["", "\n", "\n5 5\n", "100\0S\n"] {
            let (_place, root) = scratch(damaged);
            check(&root, Amount { octets: i64::MAX, messages: i64::MAX }).unwrap();
            assert_eq!(usage(&root).unwrap(), None);
        }
        let (place, root) = scratch("");
        std::fs::remove_file(place.path().join("maildirsize")).unwrap();
        check(&root, Amount { octets: i64::MAX, messages: 1 }).unwrap();
        note(&root, Amount { octets: 5, messages: 1 });
        assert!(!place.path().join("maildirsize").exists());
        std::os::unix::fs::symlink("/dev/zero", place.path().join("maildirsize")).unwrap();
        note(&root, Amount { octets: 5, messages: 1 });
        check(&root, Amount { octets: 5, messages: 1 }).unwrap();
    }

    #[test]
    fn a_change_is_one_line_at_the_end() {
        let (place, root) = scratch("1000S\n100 1\n");
        note(&root, Amount { octets: 50, messages: 1 });
        note(&root, Amount { octets: 150, messages: 2 }.gone());
        note(&root, Amount::default());
        assert_eq!(text(place.path()), "1000S\n100 1\n          50            1\n        -150           -2\n");
    }

    #[test]
    fn what_cannot_be_summed_is_counted() {
        let full = format!("1000S\n{}", "1 0\n".repeat(2000));
        for damaged in [
            "1000S\n5 1\nx\n",
            "1000S\n5\n",
            "1000S\n5 1 1\n",
            "1000S\n\n",
            "1000S\n5 1\0\n",
            "1000S\n-5 1\n",
            "1000S\n5 -1\n",
            "1000S\n99999999999999999999 1\n",
            "1000S\n9223372036854775807 1\n9223372036854775807 1\n",
            "1000S\n5 1\n5",
            "1000S",
            &full,
        ] {
            let (place, root) = scratch(damaged);
            std::fs::write(place.path().join("cur/1.a.h,S=70:2,S"), "not so long").unwrap();
            std::fs::write(place.path().join("new/2.b.h"), "abc").unwrap();
            std::fs::create_dir_all(place.path().join(".Trash/cur")).unwrap();
            std::fs::write(place.path().join(".Trash/cur/3.c.h:2,T"), "abcd").unwrap();
            std::fs::create_dir_all(place.path().join("..DOVECOT-TRASHED/cur")).unwrap();
            std::fs::write(place.path().join("..DOVECOT-TRASHED/cur/4.d.h"), "abcd").unwrap();
            assert_eq!(used(&root), (77, 3), "{damaged}");
            assert_eq!(text(place.path()), "1000S\n          77            3\n");
            assert!(std::fs::read_dir(place.path().join("tmp")).unwrap().next().is_none());
        }
    }

    #[test]
    fn a_change_to_a_torn_or_full_file_is_a_count() {
        let full = format!("1000S\n{}", "1 0\n".repeat(2000));
        for damaged in ["1000S\n5 1\n5", &full] {
            let (place, root) = scratch(damaged);
            note(&root, Amount { octets: 50, messages: 1 });
            assert_eq!(text(place.path()), format!("1000S\n{NOTHING}"));
        }
    }

    #[test]
    fn a_file_never_grows_far_beyond_what_is_read() {
        let (place, root) = scratch("1000S\n");
        for _ in 0..1000 {
            note(&root, Amount { octets: 1, messages: 1 });
            assert!(text(place.path()).len() < FULL as usize + 100);
        }
    }

    #[test]
    fn no_room_is_said_only_of_what_was_counted() {
        let more = Amount { octets: 600, messages: 1 };
        // Wrong, but of one line and young.
        let (place, root) = scratch("1000S\n500 1\n");
        assert!(matches!(check(&root, more), Err(StoreError::OverQuota)));
        check(&root, Amount { octets: 500, messages: 1 }).unwrap();
        assert_eq!(text(place.path()), "1000S\n500 1\n");
        set_age(place.path(), 16 * 60);
        check(&root, more).unwrap();
        assert_eq!(text(place.path()), format!("1000S\n{NOTHING}"));
        // Of two lines.
        let (place, root) = scratch("1000S\n500 1\n1 1\n");
        check(&root, more).unwrap();
        assert_eq!(text(place.path()), format!("1000S\n{NOTHING}"));
        assert!(matches!(check(&root, Amount { octets: 1001, messages: 1 }), Err(StoreError::OverQuota)));
        // By number.
        let (_place, root) = scratch("0S,2C\n9 2\n");
        assert!(matches!(check(&root, Amount { octets: 1, messages: 1 }), Err(StoreError::OverQuota)));
        check(&root, Amount { octets: 9, messages: 1 }.gone()).unwrap();
    }

    #[test]
    fn a_file_that_goes_while_it_is_written_is_no_error() {
        let (place, root) = scratch("1000S\n5 1\n");
        let file = root.dir.open_append(FILE).unwrap();
        std::fs::remove_file(place.path().join("maildirsize")).unwrap();
        append(&root, file, Amount { octets: 5, messages: 1 }).unwrap();
        assert!(!place.path().join("maildirsize").exists());
    }

    #[test]
    fn no_text_is_too_odd_to_be_read() {
        arbtest::arbtest(|u| {
            let mut file = b"9S".to_vec();
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[
                    &b"1"[..],
                    b" ",
                    b"\n",
                    b"-",
                    b"\0",
                    b"\xff",
                    b"9223372036854775807",
                    b"\n5 1\n",
                ])?);
            }
            let stat = Dir::open(Path::new("/")).unwrap().stat_self().unwrap();
            if let Some(sizes) = parse(&file, &stat) {
                assert!(sizes.used.is_none_or(|used| used.octets >= 0 && used.messages >= 0));
                sizes.usage().has_room_for(Amount { octets: i64::MAX, messages: i64::MAX });
            }
            Ok(())
        });
    }
}
