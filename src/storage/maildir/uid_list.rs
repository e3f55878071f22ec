//! The UID list of a folder as a file: read what is new, append, write anew. It is never changed in place nor truncated, since readers take no
//! lock and tell by inode and size what they have not read.

use super::index::record as index;
use super::interop::dovecot_uidlist::{BadHeader, Fields, Header, LONGEST_LINE, Line, Reader, write_record};
use super::lock::Lock;
use super::records::Records;
use super::texts::IN_MEMORY;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::error::{Result, StoreError};
use crate::sys::file::{Dir, Stat, Time, stat_file};
use crate::types::{Uid, UidValidity};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

pub const FILE: &[u8] = b"dovecot-uidlist";
pub const TEMPORARY: &[u8] = b"dovecot-uidlist.tmp";
/// Where a list is put that gives no UIDVALIDITY, for the administrator to look at.
pub const BROKEN: &[u8] = b"imapd-uidlist.broken";
/// How much of a list's end is read to find its last record.
const TAIL: u64 = 4 * LONGEST_LINE as u64;

/// What is known of the list on disk.
#[derive(Debug, Default)]
pub struct UidListFile {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Kept open so that its inode cannot be given to another file; `None` when another session read it and the index remembers.
    file: Option<File>,
    identity: (u64, u64),
    /// Of its content and of its inode, when last looked at.
    times: (Time, Time),
    /// Up to here, behind an LF, it was read.
    read: u64,
    /// The size at that time; more than `read` if the last line is torn.
    size: u64,
    reader: Reader,
    /// Lines behind the header, dead ones included.
    lines: usize,
}

/// How far the list was read, for another session to go on from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ListState {
    identity: (u64, u64),
    times: (Time, Time),
    read: u64,
    size: u64,
    lines: u64,
    highest: u32,
    last: u32,
    imperfect: bool,
    version_1: bool,
    /// Written as version 3, whichever it was.
    header: Vec<u8>,
}

impl ListState {
    pub fn write(&self, out: &mut index::Writer) {
        let time = |time: Time| [time.seconds.cast_unsigned(), time.nanoseconds.cast_unsigned()];
        let flags = u64::from(self.imperfect) | u64::from(self.version_1) << 1;
        let numbers = [self.identity.0, self.identity.1, self.read, self.size, self.lines, flags];
        numbers.into_iter().chain(time(self.times.0)).chain(time(self.times.1)).for_each(|n| out.number(n));
        out.number(self.highest.into());
        out.number(self.last.into());
        out.octets(&self.header);
    }

    pub fn read(from: &mut index::Reader<'_>) -> Option<Self> {
        let identity = (from.number()?, from.number()?);
        let (read, size, lines) = (from.number()?, from.number()?, from.number()?);
        let flags: u64 = from.number()?;
        let mut time = || {
            let mut half = || from.number::<u64>().map(u64::cast_signed);
            Some(Time { seconds: half()?, nanoseconds: half()? })
        };
        let times = (time()?, time()?);
        let (highest, last) = (from.number()?, from.number()?);
        let (imperfect, version_1) = (flags & 1 != 0, flags & 2 != 0);
        let header = from.octets()?.to_vec();
        Some(Self { identity, times, read, size, lines, highest, last, imperfect, version_1, header })
    }

    /// Goes on to the end of what was appended; `false` if it was not at the end before.
    pub fn advance(&mut self, dealt: &Dealt) -> bool {
        let (Some((before, after)), Some(last)) = (&dealt.written, dealt.uids.last()) else { return false };
        if self.identity != identity(after)
            || self.size != *before
            || self.read != *before
            || self.highest >= last.get()
        {
            return false;
        }
        (self.read, self.size, self.times) = (after.size, after.size, (after.modified, after.changed));
        (self.highest, self.last) = (last.get(), last.get());
        self.lines += dealt.uids.len() as u64;
        true
    }

    /// The first line.
    pub fn header(&self) -> Option<Header> {
        Header::parse(self.header.strip_suffix(b"\n")?)
    }

    /// Whether the file is as it was when it was read.
    pub fn is_current(&self, dir: &Dir) -> bool {
        dir.stat(FILE).is_ok_and(|stat| self.is_of(&stat))
    }

    fn is_of(&self, stat: &Stat) -> bool {
        self.identity == identity(stat) && self.size == stat.size && self.times == (stat.modified, stat.changed)
    }
}

/// What a look at the list found.
#[derive(Debug)]
pub enum Refreshed {
    Missing,
    /// There is something of this name that is no list.
    Broken(&'static str),
    Unchanged,
    /// Further records, ascending.
    Appended(Records),
    /// All records, ascending.
    Replaced(Records),
}

impl UidListFile {
    pub fn header(&self) -> Option<&Header> {
        self.open.as_ref().and_then(|o| o.reader.header())
    }

    /// The next UID by all that was read.
    pub fn next_uid(&self) -> u32 {
        self.open.as_ref().map_or(1, |o| o.reader.next_uid())
    }

    /// Records in the file, dead ones included.
    pub fn lines(&self) -> usize {
        self.open.as_ref().map_or(0, |o| o.lines)
    }

    /// Whether Dovecot, or an append, would stumble over it: it should be written anew.
    pub fn imperfect(&self) -> bool {
        self.open.as_ref().is_some_and(|o| o.reader.imperfect || o.read != o.size)
    }

    /// Whether the file is as it was when last read.
    pub fn is_current(&self, dir: &Dir) -> bool {
        match (&self.open, dir.stat(FILE)) {
            (Some(open), Ok(stat)) => open.is_unchanged(&stat),
            _ => false,
        }
    }

    /// How far it was read.
    pub fn state(&self) -> ListState {
        let Some(open) = &self.open else { return ListState::default() };
        let mut header = Vec::new();
        open.reader.header().into_iter().for_each(|h| h.write(&mut header));
        ListState {
            identity: open.identity,
            times: open.times,
            read: open.read,
            size: open.size,
            lines: open.lines as u64,
            highest: open.reader.highest(),
            last: open.reader.last(),
            imperfect: open.reader.imperfect,
            version_1: open.reader.version_1(),
            header,
        }
    }

    /// Goes on from where a session had read. A list that was written anew since is read as a whole.
    pub fn resume(&mut self, state: &ListState) {
        if self.open.as_ref().is_some_and(|open| open.identity == state.identity && open.read == state.read) {
            return;
        }
        let file = self.open.take().filter(|open| open.identity == state.identity).and_then(|open| open.file);
        let Some(header) = state.header() else { return };
        let mut reader = Reader::at_end(header, state.last).with_highest(state.highest, state.version_1);
        reader.imperfect = state.imperfect;
        self.open = Some(Open {
            file,
            identity: state.identity,
            times: state.times,
            read: state.read,
            size: state.size,
            reader,
            lines: usize::try_from(state.lines).unwrap_or(usize::MAX),
        });
    }

    /// Reads what was not read yet. Needs no lock.
    pub fn refresh(&mut self, dir: &Dir) -> Result<Refreshed> {
        let stat = match dir.stat(FILE) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Refreshed::Missing),
            Err(error) => return Err(error.into()),
        };
        if self.open.as_ref().is_some_and(|open| open.is_unchanged(&stat)) {
            return Ok(Refreshed::Unchanged);
        }
        let file = match dir.open_file(FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Refreshed::Missing),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Ok(Refreshed::Broken("not a regular file"));
            }
            Err(error) => return Err(error.into()),
        };
        let stat = stat_file(&file)?;
        if let Some(open) = &mut self.open
            && open.identity == identity(&stat)
            && stat.size >= open.size
            && (open.file.is_some() || open.goes_on(&file)?)
        {
            open.file.get_or_insert(file);
            open.times = (stat.modified, stat.changed);
            if stat.size == open.size {
                return Ok(Refreshed::Unchanged);
            }
            return match open.read_on(dir) {
                Ok(records) => Ok(Refreshed::Appended(records)),
                Err(error) => Err(error.into()),
            };
        }
        let mut open = Open::new(file, &stat);
        let records = match open.read_on(dir) {
            Ok(records) => records,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Refreshed::Broken("no valid first line"));
            }
            Err(error) => return Err(error.into()),
        };
        if open.reader.header().is_none() {
            return Ok(Refreshed::Broken("no first line"));
        }
        self.open = Some(open);
        Ok(Refreshed::Replaced(records))
    }

    /// Gives UIDs, none lower than `floor`, to new messages, under the lock and straight after a refresh. They count as read.
    pub fn append(&mut self, dir: &Dir, lock: &mut Lock, floor: u32, new: &[(&[u8], Fields)]) -> Result<Vec<Uid>> {
        lock.touch();
        let open = self.open.as_mut().ok_or_else(gone)?;
        let uids = deal(open.reader.next_uid().max(floor), new.len())?;
        let Some(&last) = uids.last() else { return Ok(uids) };
        if open.reader.version_1() || open.reader.header().is_none() || open.read != open.size {
            rewrite_with(dir, new, &uids)?;
            // All of it is to be read again. Until that can be done, what was known of it stays known.
            let before = self.open.take();
            if let Err(error) = self.refresh(dir) {
                self.open = before;
                return Err(error);
            }
            return Ok(uids);
        }
        let stat = append_lines(dir, open.identity, open.size, new, &uids)?;
        (open.read, open.size, open.times) = (stat.size, stat.size, (stat.modified, stat.changed));
        open.reader.passed(last.get());
        open.lines += uids.len();
        Ok(uids)
    }

    /// Writes the list anew, under the lock. `records` gives each line's parts, UID, fields and base, ascending.
    pub fn rewrite<'a>(
        &mut self,
        dir: &Dir,
        header: &Header,
        records: impl Iterator<Item = (Uid, &'a [u8], &'a [u8])>,
    ) -> Result<()> {
        let (file, lines, last) = write_anew(dir, header, records)?;
        let stat = stat_file(&file)?;
        let reader = Reader::at_end(header.clone(), last);
        self.open = Some(Open { read: stat.size, size: stat.size, reader, lines, ..Open::new(file, &stat) });
        Ok(())
    }
}

/// What [`append_to`] did.
#[derive(Debug)]
pub struct Dealt {
    pub uid_validity: UidValidity,
    pub uids: Vec<Uid>,
    /// The size that the list had, and the file as it is now; `None` if it was written anew.
    written: Option<(u64, Stat)>,
}

/// Gives UIDs to new messages, under the lock, without reading the list beyond its first and last line where that can be.
pub fn append_to(dir: &Dir, lock: &mut Lock, new: &[(&[u8], Fields)]) -> Result<Dealt> {
    if let Some(end) = read_ends(dir)? {
        lock.touch();
        let uid_validity = end.reader.header().ok_or_else(gone)?.uid_validity;
        let uids = deal(end.reader.next_uid(), new.len())?;
        let written = match uids.is_empty() {
            true => None,
            false => Some((end.size, append_lines(dir, end.identity, end.size, new, &uids)?)),
        };
        return Ok(Dealt { uid_validity, uids, written });
    }
    let mut list = UidListFile::default();
    list.refresh(dir)?;
    let uid_validity = list.header().ok_or_else(gone)?.uid_validity;
    Ok(Dealt { uid_validity, uids: list.append(dir, lock, 1, new)?, written: None })
}

/// Whether there is a list that [`append_to`] can go on with as it stands.
pub fn can_append(dir: &Dir) -> Result<bool> {
    Ok(read_ends(dir)?.is_some())
}

/// Sets a list aside that cannot be used.
pub fn set_aside(dir: &Dir) -> Result<()> {
    Ok(dir.rename_over(FILE, dir, BROKEN)?)
}

fn gone() -> StoreError {
    StoreError::Io(io::Error::new(io::ErrorKind::NotFound, "the UID list vanished"))
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.device, stat.inode)
}

/// The next `count` UIDs.
pub fn deal(next: u32, count: usize) -> Result<Vec<Uid>> {
    let mut uids = Vec::with_capacity(count);
    let mut next = Uid::new(next).filter(|&uid| uid <= Uid::MAX);
    for _ in 0..count {
        let uid = next.ok_or(StoreError::Limit("no UIDs are left in this mailbox"))?;
        uids.push(uid);
        next = uid.next();
    }
    Ok(uids)
}

/// Gives the file as it is then.
fn append_lines(dir: &Dir, of: (u64, u64), size: u64, new: &[(&[u8], Fields)], uids: &[Uid]) -> Result<Stat> {
    let mut lines = Vec::new();
    for ((base, fields), &uid) in new.iter().zip(uids) {
        write_record(uid, fields.octets(), base, &mut lines);
    }
    let mut file = dir.open_append(FILE)?;
    let stat = stat_file(&file)?;
    if identity(&stat) != of || stat.size != size {
        // Somebody writes without the lock, or took it from us.
        return Err(StoreError::InUse);
    }
    // What a full disk cuts off is a torn line, which nobody reads and the next writer mends.
    file.write_all(&lines)?;
    file.sync_data()?;
    Ok(stat_file(&file)?)
}

/// Appends by writing all anew: the list is of an old version, or its last line is torn.
fn rewrite_with(dir: &Dir, new: &[(&[u8], Fields)], uids: &[Uid]) -> Result<()> {
    let mut list = UidListFile::default();
    let Refreshed::Replaced(old) = list.refresh(dir)? else { return Err(gone()) };
    let mut header = list.header().cloned().ok_or_else(gone)?;
    header.next_uid = uids.last().map_or(list.next_uid(), |uid| uid.get().saturating_add(1));
    let old = old.iter().map(|r| (r.uid, r.fields, r.base));
    let new = uids.iter().zip(new).map(|(&uid, (base, fields))| (uid, fields.octets(), *base));
    write_anew(dir, &header, old.chain(new))?;
    Ok(())
}

fn write_anew<'a>(
    dir: &Dir,
    header: &Header,
    records: impl Iterator<Item = (Uid, &'a [u8], &'a [u8])>,
) -> Result<(File, usize, u32)> {
    let mode = dir.stat_self()?.mode & 0o666 | 0o600;
    let file = match dir.create_over(TEMPORARY, mode) {
        // Something else of this name is in the way.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            dir.unlink(TEMPORARY)?;
            dir.create_new(TEMPORARY, mode)?
        }
        other => other?,
    };
    let write = || -> io::Result<(usize, u32)> {
        let mut out = BufWriter::with_capacity(256 * 1024, &file);
        let (mut line, mut lines, mut last) = (Vec::new(), 0, 0);
        header.write(&mut line);
        out.write_all(&line)?;
        for (uid, fields, base) in records {
            line.clear();
            write_record(uid, fields, base, &mut line);
            out.write_all(&line)?;
            (lines, last) = (lines + 1, uid.get());
        }
        out.flush()?;
        file.sync_data()?;
        dir.rename_over(TEMPORARY, dir, FILE)?;
        dir.sync()?;
        Ok((lines, last))
    };
    match write() {
        Ok((lines, last)) => Ok((file, lines, last)),
        Err(error) => {
            let _ = dir.unlink(TEMPORARY);
            Err(error.into())
        }
    }
}

/// First and last line of a list that can be appended to as it is; `None` if it must be read as a whole.
fn read_ends(dir: &Dir) -> Result<Option<Open>> {
    let Ok(file) = dir.open_file(FILE) else { return Ok(None) };
    let stat = stat_file(&file)?;
    let mut first = vec![0; LONGEST_LINE];
    let got = read_up_to(&file, &mut first, 0)?;
    let Some(line_end) = memchr::memchr(b'\n', &first[..got]) else { return Ok(None) };
    let mut reader = Reader::new();
    if reader.line(&first[..line_end]).is_err() || reader.imperfect {
        return Ok(None);
    }
    let (start, header_end) = (stat.size.saturating_sub(TAIL), line_end as u64 + 1);
    let mut tail = vec![0; usize::try_from(stat.size - start).unwrap_or(0)];
    let got = read_up_to(&file, &mut tail, start)?;
    if got != tail.len() || tail.last() != Some(&b'\n') {
        return Ok(None);
    }
    if stat.size > header_end {
        // The last two lines: the last alone would not show that its UID is out of order.
        let lines = &tail[usize::try_from(header_end.saturating_sub(start)).unwrap_or(0)..tail.len() - 1];
        let from = memchr::memrchr_iter(b'\n', lines).nth(1).map_or(0, |at| at + 1);
        if from == 0 && start >= header_end {
            return Ok(None);
        }
        for line in lines[from..].split(|&b| b == b'\n') {
            if !matches!(reader.line(line), Ok(Line::Record(_))) {
                return Ok(None);
            }
        }
    }
    Ok(Some(Open { read: stat.size, size: stat.size, reader, ..Open::new(file, &stat) }))
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

impl Open {
    /// Nothing of it was read.
    fn new(file: File, stat: &Stat) -> Self {
        let times = (stat.modified, stat.changed);
        Self { file: Some(file), identity: identity(stat), times, read: 0, size: 0, reader: Reader::new(), lines: 0 }
    }

    /// With the file open, its inode and size tell; otherwise its times must too.
    fn is_unchanged(&self, stat: &Stat) -> bool {
        self.identity == identity(stat)
            && self.size == stat.size
            && (self.file.is_some() || self.times == (stat.modified, stat.changed))
    }

    /// Whether this file, of the inode and at least the size that was read, is that list and not another in its place: its first line is the same,
    /// and the last record that was read ends where it did.
    fn goes_on(&self, file: &File) -> io::Result<bool> {
        let Some(mut end) = usize::try_from(self.read.min(LONGEST_LINE as u64)).ok().map(|n| vec![0; n]) else {
            return Ok(false);
        };
        let mut first = vec![0; LONGEST_LINE];
        let got = read_up_to(file, &mut first, 0)?;
        let line = first[..got].split(|&b| b == b'\n').next().unwrap_or_default();
        let start = self.read - end.len() as u64;
        let got = read_up_to(file, &mut end, start)?;
        if Header::parse(line).as_ref() != self.reader.header() || got != end.len() || end.last() != Some(&b'\n') {
            return Ok(false);
        }
        let last = end[..got - 1].rsplit(|&b| b == b'\n').next().unwrap_or_default();
        let uid = last.split(|&b| b == b' ').next().and_then(super::file_name::decimal);
        Ok(self.lines == 0 || uid == Some(self.reader.last().into()))
    }

    /// Reads from where reading ended to the end of the last whole line.
    fn read_on(&mut self, dir: &Dir) -> io::Result<Records> {
        let Some(mut file) = self.file.as_ref() else { return Err(io::ErrorKind::NotFound.into()) };
        let is_long = stat_file(file)?.size.saturating_sub(self.read) > IN_MEMORY as u64;
        let tmp = if is_long { dir.open_dir(b"tmp").ok() } else { None };
        let mut records = Records::in_tmp(tmp.map(Arc::new));
        file.seek(SeekFrom::Start(self.read))?;
        let mut input = BufReader::with_capacity(256 * 1024, file.take(limits::UID_LIST.saturating_sub(self.read)));
        let mut line = Vec::new();
        let mut torn = 0;
        loop {
            line.clear();
            // One octet more than a line may have, to tell a long one.
            let got = (&mut input).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut line)? as u64;
            if got == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                if got <= LONGEST_LINE as u64 {
                    torn = got;
                    break;
                }
                let (more, complete) = skip_line(&mut input)?;
                if !complete {
                    torn = got + more;
                    break;
                }
                self.read += more;
                line.truncate(64);
            } else {
                line.pop();
            }
            self.read += got;
            match self.reader.line(&line) {
                Ok(Line::Header) => continue,
                Ok(Line::Record(record)) => records.push(record.as_listed()),
                Ok(Line::Fault { spoils_last }) => {
                    log!(Level::Warning, "damaged line in UID list: {}", crate::log::Quoted(&line));
                    if spoils_last {
                        records.pop();
                    }
                }
                Err(BadHeader(why)) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            }
            self.lines += 1;
        }
        self.size = self.read + torn;
        if records.overflowed() {
            return Err(io::Error::other("the UID list has too many records"));
        }
        Ok(records)
    }
}

/// Skips the rest of a line; says how much, and whether it ended.
fn skip_line(input: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok((skipped, false));
        }
        let (length, complete) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(length);
        skipped += length as u64;
        if complete {
            return Ok((skipped, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::maildir::interop::dovecot_uidlist::strictly_valid;

    fn scratch(content: &str) -> (tempfile::TempDir, Dir) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("dovecot-uidlist"), content).unwrap();
        let dir = Dir::open(place.path()).unwrap();
        (place, dir)
    }

    fn content(place: &tempfile::TempDir) -> String {
        std::fs::read_to_string(place.path().join("dovecot-uidlist")).unwrap()
    }

    const HEADER: &str = "3 V7 N3 G0f1e2d3c4b5a69788796a5b4c3d2e1f0\n";

    fn numbers(records: &Records) -> Vec<u32> {
        records.iter().map(|r| r.uid.get()).collect()
    }

    #[test]
    fn only_what_is_new_is_read() {
        let (place, dir) = scratch(&format!("{HEADER}1 :a\n2 :b"));
        let mut list = UidListFile::default();
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Replaced(r) if numbers(&r) == [1]));
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Unchanged));
        assert!(list.imperfect());
        std::fs::write(place.path().join("dovecot-uidlist"), format!("{HEADER}1 :a\n2 :b\n5 :c\n")).unwrap();
        let refreshed = list.refresh(&dir).unwrap();
        // The same inode: written on, as far as we can tell.
        assert!(matches!(refreshed, Refreshed::Appended(r) if numbers(&r) == [2, 5]));
        assert_eq!(list.next_uid(), 6);
        std::fs::write(place.path().join("new"), format!("{HEADER}1 :a\n")).unwrap();
        std::fs::rename(place.path().join("new"), place.path().join("dovecot-uidlist")).unwrap();
        assert!(!list.is_current(&dir));
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Replaced(r) if numbers(&r) == [1]));
        std::fs::remove_file(place.path().join("dovecot-uidlist")).unwrap();
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Missing));
    }

    #[test]
    fn appending_keeps_what_is_there_octet_for_octet() {
        let (place, dir) = scratch(&format!("{HEADER}1 :a\n7 Qx :b\n"));
        let mut lock = Lock::take(&dir, &dir, FILE, limits::TIME_LOCK).unwrap();
        let Dealt { uid_validity, uids, .. } =
            append_to(&dir, &mut lock, &[(b"c", Fields::default()), (b"d", Fields::default())]).unwrap();
        assert_eq!((uid_validity.get(), uids.iter().map(|u| u.get()).collect::<Vec<_>>()), (7, vec![8, 9]));
        assert_eq!(content(&place), format!("{HEADER}1 :a\n7 Qx :b\n8 :c\n9 :d\n"));
    }

    #[test]
    fn appending_to_a_list_with_header_only_starts_at_its_next_uid() {
        let (place, dir) = scratch(HEADER);
        let mut lock = Lock::take(&dir, &dir, FILE, limits::TIME_LOCK).unwrap();
        append_to(&dir, &mut lock, &[(b"c", Fields::default())]).unwrap();
        assert_eq!(content(&place), format!("{HEADER}3 :c\n"));
    }

    #[test]
    fn a_torn_last_line_or_an_old_version_is_written_anew() {
        for (before, after) in [
            (format!("{HEADER}1 :a\n2 :b"), "3 V7 N4 G0f1e2d3c4b5a69788796a5b4c3d2e1f0\n1 :a\n3 :c\n".to_owned()),
            ("1 7 9\n2 a\n5 b\n".into(), "3 V7 N10\n2 :a\n5 :b\n9 :c\n".into()),
        ] {
            let (place, dir) = scratch(&before);
            let mut lock = Lock::take(&dir, &dir, FILE, limits::TIME_LOCK).unwrap();
            append_to(&dir, &mut lock, &[(b"c", Fields::default())]).unwrap();
            assert_eq!(content(&place), after);
            strictly_valid(content(&place).as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_long_list_is_appended_to_by_its_ends() {
        let mut text = HEADER.to_owned();
        for n in 1..5000 {
            text.push_str(&format!("{n} :1719999990.M{n}P20.a-rather-long-host-name.example,S=812,W=835\n"));
        }
        let (place, dir) = scratch(&text);
        let mut lock = Lock::take(&dir, &dir, FILE, limits::TIME_LOCK).unwrap();
        append_to(&dir, &mut lock, &[(b"c", Fields::default())]).unwrap();
        assert!(read_ends(&dir).unwrap().is_some());
        assert_eq!(content(&place), text + "5000 :c\n");
    }

    #[test]
    fn uids_are_dealt_to_the_last_and_no_further() {
        assert_eq!(deal(u32::MAX - 1, 1).unwrap(), [Uid::MAX]);
        assert!(matches!(deal(u32::MAX - 1, 2), Err(StoreError::Limit(_))));
        assert!(matches!(deal(u32::MAX, 1), Err(StoreError::Limit(_))));
    }

    #[test]
    fn an_endless_line_costs_no_memory_and_a_link_is_no_list() {
        let (place, dir) = scratch(&format!("{HEADER}1 :a\n{}\n9 :b\n", "x".repeat(10_000_000)));
        let mut list = UidListFile::default();
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Replaced(r) if numbers(&r) == [1, 9]));
        std::fs::rename(place.path().join("dovecot-uidlist"), place.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", place.path().join("dovecot-uidlist")).unwrap();
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Broken(_)));
        set_aside(&dir).unwrap();
        assert!(matches!(list.refresh(&dir).unwrap(), Refreshed::Missing));
    }
}
