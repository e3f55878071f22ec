//! Processes: fork, wait, end; what a process inherits and gives up.

use super::sealed;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::ForkResult;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pid(nix::unistd::Pid);

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of the two processes this is.
pub enum Forked {
    Child,
    Parent(Pid),
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// Makes a second process. In a process with several threads the child may only do what [`super::sealed`] protects, and
/// end.
pub fn fork() -> io::Result<Forked> {
    let _sealed = sealed();
    // SAFETY: the child of a process with one thread may do anything. In one with more, only the locks held by other
    // threads matter: glibc makes malloc usable after fork, and the account database, which it does not, is behind the
    // lock taken above.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(Forked::Child),
        ForkResult::Parent { child } => Ok(Forked::Parent(Pid(child))),
    }
}

/// Ends this process at once: nothing is flushed, no destructor runs. For children of [`fork`].
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Ends this process at once, and as that one ended.
pub fn end_like(ended: Ended) -> ! {
    match ended {
        Ended::Exit(code) => exit_now(code),
        Ended::Signal(signal) => {
            // SAFETY: the default action runs no code of this process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // SAFETY: raise takes one number.
            unsafe { libc::raise(signal) };
            // For a signal that is blocked, or ends nobody.
            exit_now(128 + signal)
        }
    }
}

/// A child that has ended and was not waited for yet, if there is one.
pub fn reap() -> Option<(Pid, Ended)> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => return Some((Pid(pid), Ended::Exit(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => return Some((Pid(pid), Ended::Signal(signal as i32))),
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Waits for one child to end.
pub fn wait_for(child: Pid) -> io::Result<Ended> {
    loop {
        match waitpid(child.0, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Ended::Exit(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until a child has ended, without waiting for it as [`wait_for`] does, or until then.
pub fn await_end(child: Pid, deadline: Instant) {
    // SAFETY: takes two numbers, and makes a descriptor or none.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, child.0.as_raw(), 0) };
    // Linux before 5.3 has none.
    let Some(number) = RawFd::try_from(number).ok().filter(|&number| number >= 0) else { return };
    // SAFETY: the descriptor was just made and is nobody else's.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    let _ = super::poll::poll(&mut [super::poll::Watch::input(descriptor.as_fd())], Some(deadline));
}

/// Waits until this process has no children any more.
pub fn wait_for_all() {
    while !matches!(waitpid(None, None), Err(error) if error != Errno::EINTR) {}
}

/// Asks a process to end (SIGTERM).
pub fn terminate(pid: Pid) {
    // A process that is gone already needs no asking.
    let _ = nix::sys::signal::kill(pid.0, nix::sys::signal::SIGTERM);
}

/// Ends a process (SIGKILL).
pub fn kill(pid: Pid) {
    let _ = nix::sys::signal::kill(pid.0, nix::sys::signal::SIGKILL);
}

/// Closes every descriptor above standard error but these. The owners of those closed must never be used or dropped
/// again: for a process that has just been forked and leaves its parent's values behind.
pub fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd.saturating_add(1);
    }
    close_range(first, u32::MAX);
}

/// The descriptors that are open in this process.
pub fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let listed: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // That of the list itself is closed by now.
    // SAFETY: F_GETFD looks at a descriptor and changes nothing.
    Ok(listed.into_iter().filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0).collect())
}

fn close_range(first: u32, last: u32) {
    // SAFETY: closes descriptors; the caller of `close_all_but` promises that nobody uses them.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    // Linux before 5.9.
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft).min(1 << 20);
    for fd in first..=last.min(u32::try_from(limit).unwrap_or(1024)) {
        // SAFETY: as above.
        unsafe { libc::close(fd as RawFd) };
    }
}

/// Standard input, output and error lead to /dev/null from now on, so that no library reads or writes what it should
/// not.
pub fn silence_standard_streams() -> io::Result<()> {
    silence_input_and_output()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stderr(&null)?)
}

/// The same, but standard error stays.
pub fn silence_input_and_output() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    Ok(nix::unistd::dup2_stdout(&null)?)
}

/// Does this while standard error leads to /dev/null, for a library that may write there. What cannot be put aside stays where it is.
pub fn without_standard_error<T>(work: impl FnOnce() -> T) -> T {
    let aside = std::io::stderr().as_fd().try_clone_to_owned();
    if aside.is_ok()
        && let Ok(null) = File::options().write(true).open("/dev/null")
    {
        let _ = nix::unistd::dup2_stderr(&null);
    }
    let done = work();
    if let Ok(aside) = aside {
        let _ = nix::unistd::dup2_stderr(&aside);
    }
    done
}

/// Does this, and is killed (SIGALRM) if it takes longer: for a library that may hang where nobody else can end it. Whole seconds, at least one.
pub fn in_time<T>(time: Duration, work: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigSet, Signal};
    // SAFETY: the default action runs no code of this process.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
    // Fails for no set of signals that exist.
    let _ = SigSet::from(Signal::SIGALRM).thread_unblock();
    nix::unistd::alarm::set(u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1));
    let done = work();
    nix::unistd::alarm::cancel();
    done
}

/// Standard error leads to there from now on.
#[cfg(test)]
pub fn redirect_standard_error(to: impl std::os::fd::AsFd) -> io::Result<()> {
    Ok(nix::unistd::dup2_stderr(to)?)
}

/// Removes all environment variables but the time zone, and wipes what they were. Only while the process has one thread.
pub fn clear_environment() {
    unsafe extern "C" {
        static environ: *mut *mut libc::c_char;
    }
    // Not by the library: it only forgets where they are, and waits for a lock that another thread may have held when this process was forked.
    // SAFETY: an array of pointers to strings, the last one null (environ(7)), that no other thread reads or changes, by the contract above. It only gets shorter.
    unsafe {
        let (mut from, mut to) = (environ, environ);
        while let Some(&variable) = from.as_ref().filter(|variable| !variable.is_null()) {
            let octets = CStr::from_ptr(variable).to_bytes();
            if octets.starts_with(b"TZ=") {
                *to = variable;
                to = to.add(1);
            } else {
                std::ptr::write_bytes(variable, 0, octets.len());
            }
            from = from.add(1);
        }
        if !to.is_null() {
            *to = std::ptr::null_mut();
        }
    }
}

/// Gives memory back to the system that was used and is free again, where the C library would keep it for later.
pub fn give_memory_back() {
    // SAFETY: malloc_trim may be called at any time.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Finds out what the processor can do. In a virtual machine each question takes tens of microseconds, and libraries ask some dozens; processes that are forked
/// from now on know the answers.
pub fn know_processor() {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::hint::black_box(std::is_x86_feature_detected!("avx2"));
}

/// New files are for their owner only.
pub fn set_private_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
}

/// Leaves the terminal and the process group of whoever started us.
pub fn start_session() {
    // Fails for the leader of a process group, which a forked process is not.
    let _ = nix::unistd::setsid();
}

/// No core file, and no other process of the same user may look into this one's memory.
pub fn hide_memory() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: PR_SET_DUMPABLE takes one number.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// What this process has in memory now, and what becomes of it, is not written to swap. False where that is not allowed.
pub fn lock_memory() -> bool {
    use nix::sys::mman::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT)).is_ok()
}

/// At most so many descriptors.
pub fn limit_descriptors(most: u64) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(most), hard.min(most));
    }
}

/// As many descriptors as the system lets this process have.
pub fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// This process, which is not root, can make no further processes and can win no rights by running a program.
pub fn forbid_processes() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_NPROC, 0, 0)?;
    // SAFETY: PR_SET_NO_NEW_PRIVS takes one number.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// This process.
pub fn this() -> Pid {
    Pid(nix::unistd::getpid())
}

/// This process is killed when the one that forked it ends, which is `parent`, or has ended.
pub fn die_with_parent(parent: Pid) {
    // SAFETY: PR_SET_PDEATHSIG takes one number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    // No signal comes for an end that came before.
    if nix::unistd::getppid() != parent.0 {
        exit_now(1);
    }
}
