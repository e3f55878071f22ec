//! Who holds a lock file: this host, its processes, and whether a process number means the same to us as to who wrote it.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_impossible_one_does_not() {
        assert!(process_lives(process_id() as i32));
        assert!(!process_lives(i32::MAX));
        assert!(!process_lives(0) && !process_lives(-1));
    }
}
