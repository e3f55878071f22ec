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

/// The account that exists for this program alone: for what happens before login.
const OWN: &str = "_imapd";
/// What many others use too, and so can look into each other's processes.
const SHARED: &str = "nobody";

/// An account without rights, and what to tell the administrator of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unprivileged {
    pub uid: u32,
    pub gid: u32,
    pub warning: Option<String>,
}

/// The account for what needs no rights: one of our own, or else the one that everybody uses.
pub fn unprivileged() -> io::Result<Unprivileged> {
    if let Some(user) = by_name(OWN)? {
        return Ok(Unprivileged { uid: user.uid, gid: user.gid, warning: None });
    }
    let user = by_name(SHARED)?.ok_or_else(|| io::Error::other(format!("there is no account {OWN}")))?;
    let warning = format!("there is no account {OWN}; {SHARED} is used, which other services may use too");
    Ok(Unprivileged { uid: user.uid, gid: user.gid, warning: Some(warning) })
}

/// All groups of an account, `gid` among them.
pub fn groups(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let _sealed = sealed();
    let name = CString::new(name)?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}
