//! Become the user for good, and find the mail that is this user's to read.

use super::config::{Place, Sandbox};
use crate::auth::apart::{Outcome, apart};
use crate::auth::{Account, UnixAccount};
use crate::limits;
use crate::log::{self, Level, log};
use crate::storage::StoreError;
use crate::sys::user::Unprivileged;
use crate::sys::{credentials, process, sandbox, user};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a session can have open at once: its socket, the log, and the files of one command. Far more than that is a
/// fault.
const DESCRIPTORS: u64 = 256;

/// This process is the account's user from now on, and can be nobody else again. An error means that it may be
/// anything: it must serve nobody.
pub fn become_user(account: &Account) -> io::Result<()> {
    let (unix, groups) = identity(account)?;
    credentials::become_user(unix.uid, unix.gid, &groups)?;
    process::hide_memory();
    process::forbid_processes()?;
    process::limit_descriptors(DESCRIPTORS);
    process::clear_environment();
    Ok(())
}

/// This process stays root, in the groups of the account's user.
pub fn take_groups(account: &Account) -> io::Result<()> {
    let (unix, groups) = identity(account)?;
    credentials::take_groups(unix.gid, &groups)?;
    // The change makes a process visible again.
    process::hide_memory();
    Ok(())
}

/// Whom the account is to be, and in which groups.
fn identity(account: &Account) -> io::Result<(&UnixAccount, Vec<u32>)> {
    let unix = account.unix.as_ref().ok_or_else(|| io::Error::other("the account has no uid"))?;
    // An account of a password file has the groups of the system's account of the same name and number, if there is
    // one.
    let groups = match user::by_name(&account.name)? {
        Some(user) if user.uid == unix.uid && user.gid == unix.gid => user::groups(&account.name, unix.gid)?,
        _ => vec![unix.gid],
    };
    Ok((unix, groups))
}

/// The root directory of processes that need no file. It is made when it is missing, as after each boot.
const EMPTY: &str = "/run/imapd-empty";

/// This process has no rights and sees no file from now on, for good. An error means that it may be anything: end it.
pub fn become_nobody(account: &Unprivileged) -> io::Result<()> {
    let directory = Path::new(EMPTY);
    match std::fs::DirBuilder::new().mode(0o555).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io::Error::other(format!("{EMPTY}: {error}")));
        }
        _ => {}
    }
    process::clear_environment();
    credentials::shut_into(directory)?;
    credentials::become_unprivileged(account.uid, account.gid)?;
    process::hide_memory();
    process::forbid_processes()
}

/// This process, which is a user's, can only work below these directories from now on, and with what is open. What the kernel cannot do,
/// [`check_sandbox`] has told.
pub fn shut_in_session(directories: &[PathBuf]) -> io::Result<()> {
    log::settle();
    let directories: Vec<&Path> = directories.iter().map(PathBuf::as_path).collect();
    sandbox::lock_up_session(&directories, limits::MEMORY_OF_SESSION).map(drop)
}

/// Tries how far processes can be shut in, and tells the log. The error is one line for the administrator.
pub fn check_sandbox(sandbox: Sandbox) -> Result<(), String> {
    if sandbox == Sandbox::Off {
        log!(Level::Warning, "processes that talk to clients are not shut in, as --sandbox says");
        return Ok(());
    }
    let mut lacks = Vec::new();
    let session = || sandbox::lock_up_session(&[], limits::MEMORY_OF_SESSION);
    let gate = || sandbox::lock_up_gate(limits::MEMORY_BEFORE_LOGIN);
    for lock_up in [&session as &dyn Fn() -> io::Result<sandbox::Lacks>, &gate] {
        // In a process that ends with it. The first octet is there where nothing is lacking too.
        let tried = apart(|| match lock_up() {
            Ok(lacks) => Zeroizing::new(format!(" {}", lacks.join(" ")).into_bytes()),
            Err(error) => Zeroizing::new(format!("!{error}").into_bytes()),
        });
        let said = match tried {
            Ok(Outcome::Answer(said)) => String::from_utf8_lossy(&said).into_owned(),
            Ok(Outcome::Late | Outcome::Nothing) => "!a process that was shut in did not go on".to_owned(),
            Err(error) => format!("!{error}"),
        };
        if let Some(error) = said.strip_prefix('!') {
            return Err(format!("cannot shut processes in: {error}"));
        }
        lacks.extend(said.split_whitespace().map(str::to_owned));
    }
    lacks.sort();
    lacks.dedup();
    match (lacks.is_empty(), sandbox) {
        (true, _) => Ok(()),
        (false, Sandbox::Require) => Err(format!("--sandbox require: this kernel lacks {}", lacks.join(", "))),
        (false, _) => {
            log!(Level::Warning, "processes are not shut in as they could be: this kernel lacks {}", lacks.join(", "));
            Ok(())
        }
    }
}

/// Where this account's Maildir is. To be called as the user: only what the user may see is looked at.
pub fn maildir(place: &Place, account: &Account) -> Result<PathBuf, StoreError> {
    match (place, &account.unix) {
        (Place::Shared(base), _) => {
            let root = base.join(&account.name);
            check_owner(&root).or_else(|error| match error.kind() {
                // It is made, if the user may make it there.
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            Ok(root)
        }
        (Place::Home, Some(unix)) => {
            check_owner(&unix.home)?;
            Ok(unix.home.join("Maildir"))
        }
        (Place::Home, None) => Err(StoreError::Io(io::Error::other("the account has no home"))),
    }
}

/// What a session of this Maildir needs to reach, as it is now: the Maildir, the directory of an index elsewhere, and where links in the Maildir lead to, such as a
/// folder on another disk. A session that is shut in can make no further link. To be called as the user.
pub fn session_directories(root: &Path, index: Option<&Path>) -> Vec<PathBuf> {
    let mut directories = vec![root.to_owned()];
    directories.extend(index.map(Path::to_owned));
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let targets = links.filter_map(|entry| std::fs::canonicalize(entry.path()).ok()).filter(|target| target.is_dir());
    directories.extend(targets.take(crate::limits::MAILBOXES));
    directories
}

/// The directory for the index of this account's mail, made if it is missing and the user may make it. To be called as the user, who may be the one
/// who made `base`'s other entries: a link, which leads where somebody else wants, is refused.
pub fn index_directory(base: &Path, account: &Account) -> io::Result<PathBuf> {
    let directory = base.join(&account.name);
    let shown = |error: io::Error| io::Error::other(format!("{}: {error}", directory.display()));
    match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(shown(error)),
        _ => {}
    }
    if std::fs::symlink_metadata(&directory).map_err(shown)?.is_symlink() {
        return Err(io::Error::other(format!("{} is a link", directory.display())));
    }
    check_owner(&directory)?;
    Ok(directory)
}

/// A directory of this process's user into which not everybody may write. A home that is missing, or someone else's, is
/// not served and nothing is made in it: it is not mounted, or the account is wrong.
fn check_owner(directory: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(directory)?;
    let wrong = |what| Err(io::Error::other(format!("{} {what}", directory.display())));
    if !metadata.is_dir() {
        return wrong("is not a directory");
    }
    if metadata.uid() != credentials::effective_uid() {
        return wrong("does not belong to the user");
    }
    if metadata.mode() & 0o002 != 0 {
        return wrong("can be written by everybody");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn account(home: &Path) -> Account {
        let unix = UnixAccount { uid: credentials::effective_uid(), gid: 1, home: home.to_owned() };
        Account { name: "al".to_owned(), unix: Some(unix) }
    }

    #[test]
    fn a_home_that_is_missing_or_open_to_all_is_not_served() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(maildir(&Place::Home, &account(home.path())).unwrap(), home.path().join("Maildir"));
        assert!(maildir(&Place::Home, &account(&home.path().join("none"))).is_err());
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(maildir(&Place::Home, &account(home.path())).is_err());
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_directory_for_an_index_is_made_and_must_be_the_users() {
        let base = tempfile::tempdir().unwrap();
        let (own, account) = (base.path().join("al"), account(Path::new("/")));
        for _ in 0..2 {
            assert_eq!(index_directory(base.path(), &account).unwrap(), own);
            assert_eq!(std::fs::metadata(&own).unwrap().mode() & 0o7777, 0o700);
        }
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(index_directory(base.path(), &account).unwrap_err().to_string().contains("written by everybody"));
        std::fs::remove_dir(&own).unwrap();
        std::os::unix::fs::symlink("/", &own).unwrap();
        assert!(index_directory(base.path(), &account).unwrap_err().to_string().ends_with("is a link"));
        std::fs::remove_file(&own).unwrap();
        std::fs::write(&own, "").unwrap();
        assert!(index_directory(base.path(), &account).is_err());
        assert!(index_directory(&base.path().join("none"), &account).is_err());
    }

    #[test]
    fn a_session_reaches_its_maildir_and_where_its_links_lead() {
        let (home, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = home.path().join("Maildir");
        std::fs::create_dir_all(root.join(".Here")).unwrap();
        std::fs::write(disk.path().join("file"), "").unwrap();
        std::fs::create_dir(disk.path().join("Folder")).unwrap();
        for (name, target) in [(".There", "Folder"), ("file", "file"), (".Gone", "none")] {
            std::os::unix::fs::symlink(disk.path().join(target), root.join(name)).unwrap();
        }
        let there = std::fs::canonicalize(disk.path().join("Folder")).unwrap();
        assert_eq!(session_directories(&root, None), [root.clone(), there.clone()]);
        assert_eq!(session_directories(&root, Some(disk.path())), [root, disk.path().to_owned(), there]);
    }

    #[test]
    fn a_shared_directory_need_not_have_the_user_yet() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::Shared(base.path().to_owned());
        assert_eq!(maildir(&place, &account(Path::new("/"))).unwrap(), base.path().join("al"));
        std::fs::write(base.path().join("al"), "x").unwrap();
        assert!(maildir(&place, &account(Path::new("/"))).is_err());
    }
}
