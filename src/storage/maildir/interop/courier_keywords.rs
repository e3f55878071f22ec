//! `courierimapkeywords/`: which keywords Courier gave to which message, read once when a folder comes from there. Never changed.
//!
//! ```abnf
//! list    = *( keyword LF ) LF *( base ":" index *( SP index ) LF )    ; ":list"; indexes from 0 into the keywords
//! update  = *( keyword LF )                                            ; in files named by their message
//! newest  = base                                                       ; names of updates; of several aged ones
//! aged    = "." number "." base                                        ; that of the largest number counts
//! ```
//!
//! A message's newest update comes before its aged one, and that before what the list says; an empty update means none.

use super::super::file_name::{base, decimal, is_message};
use super::lines;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::storage::error::Result;
use crate::sys::file::{Dir, Kind};
use crate::types::Keyword;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

const DIRECTORY: &[u8] = b"courierimapkeywords";
const LIST: &[u8] = b":list";
/// A line: a keyword, or a file name and a number for each of the mailbox's keywords.
const LONGEST_LINE: usize = 8 * 1024;
/// How much of an update is read: all keywords that a mailbox can have.
const LONGEST_UPDATE: u64 = (limits::KEYWORDS_OF_MAILBOX * (limits::KEYWORD + 1)) as u64;

/// Keywords by the base of their message's name; a message without any may be there or not.
pub type ByBase = HashMap<Box<[u8]>, Vec<Keyword>>;

/// The keywords of a folder's messages. What cannot be read, or is no keyword of IMAP, costs only itself.
pub fn keywords(dir: &Dir) -> Result<ByBase> {
    let dir = match dir.open_dir(DIRECTORY) {
        Ok(dir) => dir,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(ByBase::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut keywords = match open(&dir, LIST)? {
        Some(file) => parse_list(BufReader::new(file.take(limits::UID_LIST)))?,
        None => ByBase::new(),
    };
    let mut updates = Updates::default();
    dir.each(|name, kind| {
        if matches!(kind, Kind::File | Kind::Unknown) {
            updates.add(name);
        }
    })?;
    for (base, name) in updates.chosen() {
        match open(&dir, &name)? {
            Some(file) => drop(keywords.insert(base, parse_update(BufReader::new(file.take(LONGEST_UPDATE)))?)),
            None => log!(Level::Warning, "cannot read Courier's keywords in {}", Quoted(&name)),
        }
    }
    Ok(keywords)
}

fn open(dir: &Dir, name: &[u8]) -> Result<Option<std::fs::File>> {
    match dir.open_file(name) {
        Ok(file) => Ok(Some(file)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What `:list` says.
pub fn parse_list(input: impl BufRead) -> io::Result<ByBase> {
    let (mut names, mut in_names, mut keywords) = (Vec::new(), true, ByBase::new());
    lines::each(input, LONGEST_LINE, |line| {
        if in_names {
            if line.is_empty() {
                in_names = false;
            } else if names.len() < limits::KEYWORDS_OF_MAILBOX {
                // One that is no keyword keeps its number.
                names.push(keyword(line));
            }
            return;
        }
        let base = base(line);
        let Some(indexes) = line.get(base.len() + 1..).filter(|_| is_message(base)) else { return };
        let mut found = Vec::new();
        for index in indexes.split(|&b| b == b' ').filter_map(decimal) {
            let named = usize::try_from(index).ok().and_then(|index| names.get(index)?.as_ref());
            named.into_iter().for_each(|keyword| add(&mut found, keyword));
        }
        keywords.insert(base.into(), found);
    })?;
    Ok(keywords)
}

/// What an update says.
pub fn parse_update(input: impl BufRead) -> io::Result<Vec<Keyword>> {
    let mut found = Vec::new();
    lines::each(input, LONGEST_LINE, |line| {
        keyword(line).iter().for_each(|keyword| add(&mut found, keyword));
    })?;
    Ok(found)
}

fn keyword(line: &[u8]) -> Option<Keyword> {
    Keyword::new(std::str::from_utf8(line).ok()?)
}

fn add(found: &mut Vec<Keyword>, keyword: &Keyword) {
    if !found.contains(keyword) {
        found.push(keyword.clone());
    }
}

/// Which update counts for each message.
#[derive(Default)]
struct Updates(HashMap<Box<[u8]>, u64>);

/// Stands for the newest, above every number that an aged one can have.
const NEWEST: u64 = u64::MAX;

impl Updates {
    /// Takes the name of a file; leftovers and what is no update are passed over.
    fn add(&mut self, name: &[u8]) {
        let parsed = match name.strip_prefix(b".") {
            None => Some((NEWEST, name)),
            Some(rest) => memchr::memchr(b'.', rest)
                .and_then(|dot| Some((decimal(&rest[..dot]).filter(|&n| n > 0 && n < NEWEST)?, &rest[dot + 1..]))),
        };
        if let Some((age, name)) = parsed
            && is_message(name)
            && base(name).len() == name.len()
        {
            let known = self.0.entry(name.into()).or_insert(age);
            *known = age.max(*known);
        }
    }

    /// Messages with the names of their files.
    fn chosen(self) -> impl Iterator<Item = (Box<[u8]>, Vec<u8>)> {
        self.0.into_iter().map(|(base, age)| {
            let prefix = if age == NEWEST { String::new() } else { format!(".{age}.") };
            let name = [prefix.as_bytes(), &base].concat();
            (base, name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keywords: &ByBase, base: &str) -> Vec<String> {
        keywords.get(base.as_bytes()).into_iter().flatten().map(Keyword::to_string).collect()
    }

    #[test]
    fn the_list_names_keywords_by_number() {
        let list = parse_list(&b"$Junk\nodd]name\nwork\n\n1.a.h:0 2\n2.b.h,S=5:2 2 x 1 -1 99999999999999999999 7\n3.c.h:\n4.d.h\n:0\n.x:0\n5.e.h:0"[..]);
        let list = list.unwrap();
        assert_eq!(of(&list, "1.a.h"), ["$Junk", "work"]);
        assert_eq!(of(&list, "2.b.h,S=5"), ["work"]);
        assert!(of(&list, "3.c.h").is_empty());
        // Cut off in the middle of a line.
        assert!(!list.contains_key(&b"5.e.h"[..]));
        assert_eq!(list.len(), 3);
        assert!(parse_list(&b"1.a.h:0\n"[..]).unwrap().is_empty());
    }

    #[test]
    fn the_newest_update_counts_then_the_largest_number_then_the_list() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert!(keywords(&dir).unwrap().is_empty());
        let at = place.path().join("courierimapkeywords");
        std::fs::create_dir(&at).unwrap();
        for (name, text) in [
            (":list", "listed\n\na:0\nb:0\nc:0\nd:0\ne:0\n"),
            ("b", "newest\nwork\nWORK\n"),
            (".5700000.b", "aged\n"),
            (".9.c", "older\n"),
            (".10.c", "younger\n"),
            ("d", ""),
            (".tmp.1719.x", "leftover\n"),
            (".x.e", "no number\n"),
            (".0.e", "no number\n"),
        ] {
            std::fs::write(at.join(name), text).unwrap();
        }
        std::fs::create_dir(at.join("e")).unwrap();
        let found = keywords(&dir).unwrap();
        assert_eq!(of(&found, "a"), ["listed"]);
        assert_eq!(of(&found, "b"), ["newest", "work"]);
        assert_eq!(of(&found, "c"), ["younger"]);
        assert!(of(&found, "d").is_empty());
        assert_eq!(of(&found, "e"), ["listed"]);
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn no_list_is_too_odd_to_be_read() {
        arbtest::arbtest(|u| {
            let mut text = Vec::new();
            for _ in 0..u.int_in_range(0..=40)? {
                text.extend_from_slice(u.choose(&[
                    &b"a"[..],
                    b":",
                    b" ",
                    b"\n",
                    b"\n\n",
                    b"0",
                    b"1",
                    b"\xff",
                    b"]",
                    b"\0",
                ])?);
            }
            for (base, keywords) in parse_list(&text[..]).unwrap() {
                assert!(is_message(&base) && !base.contains(&b':'));
                assert!(keywords.len() <= text.len());
            }
            let mut updates = Updates::default();
            text.split(|&b| b == b'\n').for_each(|name| updates.add(name));
            assert!(updates.chosen().all(|(base, name)| is_message(&base) && name.ends_with(&base)));
            Ok(())
        });
    }

    #[test]
    fn what_one_mailbox_may_have_bounds_what_is_read() {
        let names: String = (0..2 * limits::KEYWORDS_OF_MAILBOX).map(|n| format!("k{n}\n")).collect();
        let list = parse_list(format!("{names}\nx:999 1000 1999\n").as_bytes()).unwrap();
        assert_eq!(of(&list, "x"), ["k999"]);
    }
}
