//! Who holds a lock file: this host, its processes, and whether a process number means the same to us as to who wrote it.
//! And locks that the kernel keeps, and lets go of when their holder dies.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::sync::OnceLock;

/// This host's name, fit to stand in file names and in lock files: no `/`, `:`, `,`, blank or control.
pub fn host_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' })
            .take(64)
            .collect();
        if name.is_empty() { "localhost".into() } else { name }
    })
}

/// This process's number.
pub fn process_id() -> u32 {
    std::process::id()
}

/// Whether a process of this number lives here. One that is not ours to signal lives too.
pub fn process_lives(pid: i32) -> bool {
    // Zero and negative numbers mean groups to kill(2).
    pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

/// Whether every process of a host of our name can be seen by its number: not so in a container, which may share name and files with others.
pub fn processes_are_shared() -> bool {
    static SHARED: OnceLock<bool> = OnceLock::new();
    *SHARED.get_or_init(|| {
        /// PROC_PID_INIT_INO of the kernel: the first namespace of processes.
        const FIRST_NAMESPACE: &str = "pid:[4026531836]";
        match std::fs::read_link("/proc/self/ns/pid") {
            Ok(namespace) => namespace.as_os_str() == FIRST_NAMESPACE,
            Err(_) => !["/.dockerenv", "/run/.containerenv"].iter().any(|mark| std::path::Path::new(mark).exists()),
        }
    })
}

/// Locks one octet of a file that is open for writing, unless another open file has it: false then. Whether the file
/// has such an octet makes no difference. Held until this file and all copies of its descriptor are closed.
pub fn try_lock_octet(file: &File, at: u64) -> io::Result<bool> {
    let start = libc::off_t::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // The widths of these fields differ between systems. A lock of an open file has no process: l_pid must be zero.
    let octet = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&octet)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octet_is_locked_by_one_open_file_until_that_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().write(true).open(file.path()).unwrap();
        let (one, two) = (open(), open());
        let far = i64::MAX as u64;
        for octet in [0, far] {
            assert!(try_lock_octet(&one, octet).unwrap());
            assert!(!try_lock_octet(&two, octet).unwrap());
        }
        assert!(try_lock_octet(&two, 1).unwrap());
        assert_eq!(try_lock_octet(&two, far + 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        drop(one);
        assert!(try_lock_octet(&two, 0).unwrap() && try_lock_octet(&two, far).unwrap());
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    }

    #[test]
    fn this_process_lives_and_an_impossible_one_does_not() {
        assert!(process_lives(process_id() as i32));
        assert!(!process_lives(i32::MAX));
        assert!(!process_lives(0) && !process_lives(-1));
    }
}
