//! Directories by descriptor, and the files in them by name. A symbolic link is followed for directories only; nothing but a regular file
//! is ever opened for its content, and opening never waits.

use nix::dir::Type;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, fdatasync, linkat, unlinkat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An open directory. It stays the same directory whatever its path comes to mean.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

/// What a directory entry is, as far as the directory itself tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File,
    Directory,
    Link,
    /// FIFO, socket or device.
    Other,
    /// The file system does not say; ask [`Dir::stat`].
    Unknown,
}

/// A moment of the file system's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// The part of stat(2) that a store asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    pub device: u64,
    pub inode: u64,
    pub links: u64,
    pub kind: Kind,
    /// The uid.
    pub owner: u32,
    /// Permission bits with setgid and the like.
    pub mode: u32,
    pub size: u64,
    pub accessed: Time,
    pub modified: Time,
    pub changed: Time,
}

impl From<FileStat> for Stat {
    // The widths of these fields differ between systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn from(s: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Link,
            _ => Kind::Other,
        };
        Stat {
            device: s.st_dev as u64,
            inode: s.st_ino as u64,
            links: s.st_nlink as u64,
            kind,
            owner: s.st_uid,
            mode: u32::from(s.st_mode) & 0o7777,
            size: u64::try_from(s.st_size).unwrap_or(0),
            accessed: Time { seconds: s.st_atime as i64, nanoseconds: s.st_atime_nsec as i64 },
            modified: Time { seconds: s.st_mtime as i64, nanoseconds: s.st_mtime_nsec as i64 },
            changed: Time { seconds: s.st_ctime as i64, nanoseconds: s.st_ctime_nsec as i64 },
        }
    }
}

const BASE: OFlag = OFlag::O_CLOEXEC.union(OFlag::O_NOCTTY);
const CONTENT: OFlag = BASE.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens a directory by path, following symbolic links.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Self::open_from(nix::fcntl::AT_FDCWD, path)
    }

    /// Opens a directory by path, unless the last part of it is a symbolic link.
    pub fn open_itself(path: &Path) -> io::Result<Dir> {
        let how = BASE | OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        Ok(Dir { fd: openat(nix::fcntl::AT_FDCWD, path, how, Mode::empty())? })
    }

    /// Opens a directory in this one, following a symbolic link.
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Dir> {
        Self::open_from(&self.fd, name)
    }

    fn open_from<P: ?Sized + nix::NixPath>(at: impl AsFd, name: &P) -> io::Result<Dir> {
        let fd = openat(at, name, BASE | OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Dir { fd })
    }

    /// Calls `entry` with every name but `.` and `..`. What is added or removed meanwhile may or may not be seen.
    pub fn each(&self, mut entry: impl FnMut(&[u8], Kind)) -> io::Result<()> {
        // A descriptor of its own: the position of a shared one would be shared too.
        let mut dir = nix::dir::Dir::openat(&self.fd, ".", BASE | OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        for item in dir.iter() {
            let item = item?;
            let name = item.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match item.file_type() {
                Some(Type::File) => Kind::File,
                Some(Type::Directory) => Kind::Directory,
                Some(Type::Symlink) => Kind::Link,
                Some(_) => Kind::Other,
                None => Kind::Unknown,
            };
            entry(name, kind);
        }
        Ok(())
    }

    /// Opens a regular file for reading. A link, FIFO, device or directory is refused with [`io::ErrorKind::InvalidInput`].
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        self.open_content(name, OFlag::O_RDONLY)
    }

    /// The same for reading and for writing at its end.
    pub fn open_append(&self, name: &[u8]) -> io::Result<File> {
        self.open_content(name, OFlag::O_RDWR | OFlag::O_APPEND)
    }

    /// The same for reading and writing anywhere.
    pub fn open_update(&self, name: &[u8]) -> io::Result<File> {
        self.open_content(name, OFlag::O_RDWR)
    }

    fn open_content(&self, name: &[u8], flags: OFlag) -> io::Result<File> {
        match openat(&self.fd, name, CONTENT | flags, Mode::empty()) {
            Ok(fd) => {
                let file = File::from(fd);
                if stat_file(&file)?.kind != Kind::File {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                Ok(file)
            }
            // A link; a socket or a FIFO without a reader; a directory opened for writing.
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => Err(io::ErrorKind::InvalidInput.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file that must not exist, with exactly these permission bits.
    pub fn create_new(&self, name: &[u8], mode: u32) -> io::Result<File> {
        self.create(name, OFlag::O_EXCL, mode)
    }

    /// Makes a file anew, throwing away what a regular file of this name held.
    pub fn create_over(&self, name: &[u8], mode: u32) -> io::Result<File> {
        match self.create(name, OFlag::O_TRUNC, mode) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Err(io::ErrorKind::InvalidInput.into()),
            other => other,
        }
    }

    fn create(&self, name: &[u8], how: OFlag, mode: u32) -> io::Result<File> {
        let bits = Mode::from_bits_truncate(mode & 0o777);
        let fd = openat(&self.fd, name, CONTENT | OFlag::O_RDWR | OFlag::O_CREAT | how, bits)?;
        let file = File::from(fd);
        let stat = match stat_file(&file) {
            Ok(stat) => stat,
            Err(error) => {
                // What nobody had before is not left behind: it may be a lock.
                if how.contains(OFlag::O_EXCL) {
                    let _ = self.unlink(name);
                }
                return Err(error);
            }
        };
        if stat.kind != Kind::File {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if stat.mode & 0o777 != mode & 0o777 {
            // The umask took something away. A file system without permissions is no reason to fail.
            let _ = fchmod(&file, bits);
        }
        Ok(file)
    }

    /// Makes a directory with these permission bits; what the file system inherits (setgid) stays.
    pub fn make_dir(&self, name: &[u8], mode: u32) -> io::Result<()> {
        mkdirat(&self.fd, name, Mode::from_bits_truncate(mode & 0o777))?;
        // It is there, whatever becomes of its bits.
        if let Ok(made) = self.open_dir(name)
            && let Ok(stat) = made.stat_self()
            && stat.mode & 0o777 != mode & 0o777
        {
            let _ = fchmod(&made.fd, Mode::from_bits_truncate((stat.mode & 0o7000) | (mode & 0o777)));
        }
        Ok(())
    }

    /// stat(2) of an entry, not following a link.
    pub fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
    }

    /// stat(2) of what an entry leads to.
    pub fn stat_through(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(fstatat(&self.fd, name, AtFlags::empty())?.into())
    }

    pub fn stat_self(&self) -> io::Result<Stat> {
        Ok(fstat(&self.fd)?.into())
    }

    /// rename(2): what `to` named before is gone.
    pub fn rename_over(&self, from: &[u8], target: &Dir, to: &[u8]) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &target.fd, to)?)
    }

    /// Renames unless `to` exists ([`io::ErrorKind::AlreadyExists`]). Where the file system cannot promise that, it is looked up before.
    pub fn rename_new(&self, from: &[u8], target: &Dir, to: &[u8]) -> io::Result<()> {
        match renameat2(&self.fd, from, &target.fd, to, RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => match target.stat(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename_over(from, target, to),
                Err(error) => Err(error),
            },
            other => Ok(other?),
        }
    }

    /// A further name for a file; a symbolic link is not followed.
    pub fn link(&self, from: &[u8], target: &Dir, to: &[u8]) -> io::Result<()> {
        Ok(linkat(&self.fd, from, &target.fd, to, AtFlags::empty())?)
    }

    /// Sets the permission bits of a file or directory, following a link: look first what it is.
    pub fn set_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        let bits = Mode::from_bits_truncate(mode & 0o7777);
        Ok(fchmodat(&self.fd, name, bits, FchmodatFlags::FollowSymlink)?)
    }

    pub fn unlink(&self, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)?)
    }

    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)?)
    }

    /// Removes an entry and all below it, following no link. Entries that vanish meanwhile are no error; `depth` bounds the descent.
    pub fn remove_tree(&self, name: &[u8], depth: usize) -> io::Result<()> {
        match self.unlink(name) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => match self.stat(name) {
                Ok(stat) if stat.kind == Kind::Directory && depth > 0 => {}
                Ok(_) => return Err(error),
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        }
        let fd =
            openat(&self.fd, name, BASE | OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())?;
        let dir = Dir { fd };
        // Collected first: removing while reading makes some file systems skip entries.
        let mut names = Vec::new();
        dir.each(|name, _| names.push(name.to_vec()))?;
        for name in names {
            dir.remove_tree(&name, depth - 1)?;
        }
        match self.remove_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the names in this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        match fdatasync(&self.fd) {
            // Some file systems cannot sync a directory, and need not.
            Err(Errno::EINVAL) => Ok(()),
            other => Ok(other?),
        }
    }
}

pub fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(fstat(file)?.into())
}

/// Has the system begin to write a file to the disk, where it can be told so. Nothing is promised, and no error told, before the file is synced.
pub fn start_writing(file: &File) {
    #[cfg(target_os = "linux")]
    // SAFETY: takes a descriptor, which is open, and numbers.
    unsafe {
        libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Sets the modification time; the access time becomes the same.
pub fn set_modified(file: &File, seconds: i64) -> io::Result<()> {
    #[allow(clippy::useless_conversion)]
    let seconds = libc::time_t::try_from(seconds).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let time = TimeSpec::new(seconds, 0);
    Ok(futimens(file, &time, &time)?)
}

/// stat(2) of a path, following links.
pub fn stat_path(path: &Path) -> io::Result<Stat> {
    Ok(nix::sys::stat::stat(path)?.into())
}

/// Whether a link or rename failed only because the two places cannot share a file, so that a copy can still work.
pub fn must_copy(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EXDEV | libc::EMLINK | libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EOPNOTSUPP)
    )
}

/// Whether a name was longer than the file system takes.
pub fn name_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENAMETOOLONG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn scratch() -> (tempfile::TempDir, Dir) {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        (place, dir)
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (place, dir) = scratch();
        std::fs::write(place.path().join("file"), "x").unwrap();
        symlink("file", place.path().join("link")).unwrap();
        nix::unistd::mkfifo(&place.path().join("fifo"), Mode::S_IRWXU).unwrap();
        std::fs::create_dir(place.path().join("dir")).unwrap();
        symlink("/dev/zero", place.path().join("zero")).unwrap();
        assert!(dir.open_file(b"file").is_ok());
        for name in ["link", "fifo", "dir", "zero"] {
            for open in [Dir::open_file, Dir::open_append, Dir::open_update] {
                assert_eq!(open(&dir, name.as_bytes()).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            }
        }
        assert!(dir.create_over(b"link", 0o600).is_err());
    }

    #[test]
    fn a_rename_to_a_new_name_never_destroys() {
        let (place, dir) = scratch();
        std::fs::write(place.path().join("a"), "a").unwrap();
        std::fs::write(place.path().join("b"), "b").unwrap();
        assert_eq!(dir.rename_new(b"a", &dir, b"b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(place.path().join("b")).unwrap(), b"b");
        dir.rename_new(b"a", &dir, b"c").unwrap();
        assert_eq!(std::fs::read(place.path().join("c")).unwrap(), b"a");
    }

    #[test]
    fn removing_a_tree_leaves_what_its_links_point_to() {
        let (place, dir) = scratch();
        std::fs::create_dir_all(place.path().join("tree/cur")).unwrap();
        std::fs::create_dir(place.path().join("other")).unwrap();
        std::fs::write(place.path().join("other/file"), "x").unwrap();
        std::fs::write(place.path().join("tree/cur/file"), "x").unwrap();
        symlink("../other", place.path().join("tree/link")).unwrap();
        dir.remove_tree(b"tree", 4).unwrap();
        assert!(!place.path().join("tree").exists());
        assert!(place.path().join("other/file").exists());
    }

    #[test]
    fn permission_bits_are_those_asked_for() {
        let (place, dir) = scratch();
        dir.create_new(b"file", 0o666).unwrap();
        dir.make_dir(b"dir", 0o770).unwrap();
        let mode = |name: &str| std::fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("file"), mode("dir")), (0o666, 0o770));
    }
}
