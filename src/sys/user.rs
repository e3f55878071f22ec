//! The system's accounts.

use super::sealed;
use nix::unistd::{Gid, Uid};
use std::ffi::CString;
use std::io;
use std::path::PathBuf;

/// An account of the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

impl From<nix::unistd::User> for User {
    fn from(user: nix::unistd::User) -> Self {
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }
    }
}

/// The account of this name. An error is the database's, not the name's.
pub fn by_name(name: &str) -> io::Result<Option<User>> {
    let _sealed = sealed();
    Ok(nix::unistd::User::from_name(name)?.map(User::from))
}

/// The account of this number; of several, the one that the database names first.
pub fn by_uid(uid: u32) -> io::Result<Option<User>> {
    let _sealed = sealed();
    Ok(nix::unistd::User::from_uid(Uid::from_raw(uid))?.map(User::from))
}

/// The account of the user whom this process runs as.
pub fn of_this_process() -> io::Result<Option<User>> {
    let _sealed = sealed();
    Ok(nix::unistd::User::from_uid(Uid::effective())?.map(User::from))
}

/// All groups of an account, `gid` among them.
pub fn groups(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let _sealed = sealed();
    let name = CString::new(name)?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}
