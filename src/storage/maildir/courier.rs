//! A folder that comes from Courier: its UIDs and keywords are taken over when it is opened for the first time. Courier's own files stay as they
//! are, and are not looked at again once there is a UID list.

use super::file_name::{self, Letters};
use super::folder::{Folder, Place};
use super::interop::dovecot_uidlist::{Header, Record};
use super::interop::{courier_keywords, courier_uiddb};
use super::keywords::KeywordTable;
use super::listing::Listing;
use super::lock::Lock;
use super::scan::Said;
use super::uid_list;
use crate::log::{Level, Quoted, log};
use crate::storage::error::Result;
use crate::sys::file::{Kind, name_too_long};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// There once the folder was taken over. Should its UID list be lost after that, Courier's would give UIDs again that were given meanwhile.
const MARK: &[u8] = b"imapd-courier";

/// What Courier's UID map says, to be written as the folder's UID list: a header without GUID, and records that may be of files long gone. `None`
/// if the folder does not come from Courier, or did before. To be called under the folder's lock while there is no UID list, before the folder is
/// listed: the keywords are by then on disk in our way, with files renamed for it. Doing it all again after a crash does no harm. When the list is
/// written, [`done`] is to be called.
pub fn import(folder: &Folder, lock: &mut Lock) -> Result<Option<(Header, Vec<Record>)>> {
    if folder.dir.stat(MARK).is_ok() || folder.dir.stat(uid_list::BROKEN).is_ok() {
        return Ok(None);
    }
    let Some((header, records)) = courier_uiddb::import(&folder.dir)? else { return Ok(None) };
    let path = Quoted(folder.path.as_os_str().as_bytes()).to_string();
    log!(Level::Notice, "{path}: UIDs and keywords are taken over from Courier");
    if folder.tmp.stat(b"courier.lock").is_ok() {
        log!(Level::Warning, "{path}: Courier may still be running; it must not serve this mail at the same time");
    }
    import_keywords(folder, lock)?;
    Ok(Some((header, records)))
}

/// Marks a folder as taken over. Without the mark it is served all the same.
pub fn done(folder: &Folder) {
    if let Err(error) = folder.dir.create_over(MARK, folder.file_mode) {
        let path = Quoted(folder.path.as_os_str().as_bytes()).to_string();
        log!(Level::Warning, "{path}: cannot note that it was taken over from Courier: {error}");
    }
}

fn import_keywords(folder: &Folder, lock: &mut Lock) -> Result<()> {
    let by_base = courier_keywords::keywords(&folder.dir)?;
    let (mut listing, mut said) = (Listing::of(folder), Said::default());
    listing.read(folder, Place::New, &mut said)?;
    listing.read(folder, Place::Cur, &mut said)?;
    let given = |name: &[u8]| by_base.get(file_name::base(name)).filter(|keywords| !keywords.is_empty());
    let mut in_use = Letters::default();
    listing.iter().for_each(|(_, name)| in_use.add(file_name::letters(name)));
    let wanted = || listing.iter().filter_map(|(_, name)| given(name)).flatten();
    if wanted().next().is_none() {
        return Ok(());
    }
    let mut table = KeywordTable::load(&folder.dir)?;
    table.provide_what_fits(folder, lock, wanted(), in_use)?;
    let mut renamed = Vec::new();
    for (found, name) in listing.iter() {
        let Some(keywords) = given(name) else { continue };
        let mut flags = table.flags(name);
        keywords.iter().for_each(|keyword| flags.insert_keyword(keyword.clone()));
        table.set_more(file_name::base(name), &flags);
        let new = file_name::with_letters(name, table.letters(&flags, file_name::letters(name)));
        if new != name {
            renamed.push((found, name, new));
        }
    }
    table.save(folder, lock)?;
    for (found, name, new) in renamed {
        lock.touch();
        let from = folder.place(found.place);
        if found.unsure() && from.stat(name).is_ok_and(|stat| stat.kind != Kind::File) {
            continue;
        }
        match from.rename_new(name, &folder.cur, &new) {
            Ok(()) => {}
            // Somebody else was there first, and their name for it counts.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
            Err(error) if name_too_long(&error) => {
                log!(Level::Warning, "{} has no room for its keywords", Quoted(name));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
