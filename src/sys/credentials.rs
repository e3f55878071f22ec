//! Become another user for good, and prove that there is no way back.

use super::file::Dir;
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use std::io;
use std::path::Path;

/// Whether this process may do anything.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The effective uid.
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The process is this user with these groups from now on, without any capability. An error means that it may be
/// anything: end it.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if uid.is_root() {
        return Err(io::Error::other("root is not a user to become"));
    }
    let groups: Vec<Gid> = groups.iter().map(|&group| Gid::from_raw(group)).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    drop_capabilities()?;
    verify(uid, gid, groups)
}

/// The process has the user's groups from now on, and is still root: for what is done in a user's name before the process becomes the user.
pub fn take_groups(gid: u32, groups: &[u32]) -> io::Result<()> {
    let gid = Gid::from_raw(gid);
    let groups: Vec<Gid> = groups.iter().map(|&group| Gid::from_raw(group)).collect();
    setgroups(&groups)?;
    Ok(setresgid(gid, gid, gid)?)
}

/// The process is this account of no rights from now on, in no group but the account's own. An error means that it may be anything: end it.
pub fn become_unprivileged(uid: u32, gid: u32) -> io::Result<()> {
    if gid == 0 {
        return Err(io::Error::other("the group of root is not one of no rights"));
    }
    become_user(uid, gid, &[])
}

/// This directory is all that the process can see of the file system from now on: one of root's, that nobody may write and where nothing is. Only as root.
pub fn shut_into(directory: &Path) -> io::Result<()> {
    let dir = Dir::open_itself(directory)?;
    let wrong = |what: &str| Err(io::Error::other(format!("{} {what}", directory.display())));
    let stat = dir.stat_self()?;
    if stat.owner != 0 {
        return wrong("does not belong to root");
    }
    if stat.mode & 0o022 != 0 {
        return wrong("can be written by others than root");
    }
    let mut is_empty = true;
    dir.each(|_, _| is_empty = false)?;
    if !is_empty {
        return wrong("is not empty");
    }
    // By descriptor: the path may mean another directory by now.
    nix::unistd::fchdir(&dir)?;
    nix::unistd::chroot(".")?;
    nix::unistd::chdir("/")?;
    Ok(())
}

fn verify(uid: Uid, gid: Gid, mut groups: Vec<Gid>) -> io::Result<()> {
    let uids = getresuid()?;
    let gids = getresgid()?;
    let mut now = getgroups()?;
    now.sort_unstable_by_key(|group| group.as_raw());
    now.dedup();
    groups.sort_unstable_by_key(|group| group.as_raw());
    groups.dedup();
    if [uids.real, uids.effective, uids.saved] != [uid; 3]
        || [gids.real, gids.effective, gids.saved] != [gid; 3]
        || now != groups
    {
        return Err(io::Error::other("the process did not become the user"));
    }
    let root = Uid::from_raw(0);
    if nix::unistd::setuid(root).is_ok() || setresuid(root, root, root).is_ok() {
        return Err(io::Error::other("the process can become root again"));
    }
    let group = Gid::from_raw(0);
    if setgroups(&[group]).is_ok() || gid != group && setresgid(group, group, group).is_ok() {
        return Err(io::Error::other("the process can win groups again"));
    }
    Ok(())
}

/// Empties the effective, permitted and inheritable sets and looks whether they are. Ambient capabilities go with the
/// permitted ones.
fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    /// _LINUX_CAPABILITY_VERSION_3: two words of 32 bits to a set.
    const VERSION: u32 = 0x2008_0522;
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: both pointers are to structures of the layout that this version of the call has.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; the kernel writes two sets.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if sets == [Sets::default(); 2] { Ok(()) } else { Err(io::Error::other("the process kept capabilities")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{self, Ended, Forked};
    use crate::sys::user;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn ended(work: impl FnOnce() -> bool) -> Ended {
        let child = match process::fork().unwrap() {
            Forked::Child => process::exit_now(i32::from(!work())),
            Forked::Parent(child) => child,
        };
        process::wait_for(child).unwrap()
    }

    #[test]
    fn only_an_empty_directory_of_roots_is_a_root_directory() {
        if !is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["good", "open", "full", "others"] {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o555)).unwrap();
        }
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o775)).unwrap();
        fs::write(at("full").join("x"), "").unwrap();
        chown(at("others"), Some(12345), None).unwrap();
        symlink(at("good"), at("link")).unwrap();
        let in_good = || {
            shut_into(&at("good")).is_ok()
                && !Path::new("/etc").exists()
                && fs::read_dir("/..").is_ok_and(|mut entries| entries.next().is_none())
        };
        assert_eq!(ended(in_good), Ended::Exit(0));
        for wrong in ["open", "full", "others", "link", "none"] {
            assert_eq!(
                ended(|| shut_into(&at(wrong)).is_err() && Path::new("/etc").exists()),
                Ended::Exit(0),
                "{wrong}"
            );
        }
    }

    #[test]
    fn who_is_unprivileged_cannot_be_anybody_again() {
        if !is_root() {
            return;
        }
        let nobody = user::unprivileged().unwrap();
        assert!(nobody.uid != 0 && nobody.gid != 0);
        let gone = ended(|| {
            become_unprivileged(nobody.uid, nobody.gid).is_ok()
                && getgroups().is_ok_and(|groups| groups.is_empty())
                && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_err()
                && setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).is_err()
                && setgroups(&[]).is_err()
                && nix::unistd::chroot(".").is_err()
                && fs::read("/etc/shadow").is_err()
        });
        assert_eq!(gone, Ended::Exit(0));
        assert_eq!(ended(|| become_unprivileged(nobody.uid, 0).is_err() && is_root()), Ended::Exit(0));
        assert_eq!(ended(|| become_unprivileged(0, nobody.gid).is_err()), Ended::Exit(0));
    }
}
