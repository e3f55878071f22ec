//! What a process can no longer ask of the kernel: three ways to be locked up, each for good.
//!
//! The gate and the keeper may make the system calls of a list, and die of any other. They open nothing, reach no network and make no process; what they need is
//! open already. A session may do what a program does with files below its directories, and nothing that has to do with programs, sockets, other processes or
//! identities.
//!
//! What the kernel cannot do is told, as short words; whoever locks up decides whether that will do.
//!
//! Landlock knows directories, not the calls chmod(2), chown(2), utimes(2) and stat(2): what these may do to files elsewhere is up to the user's rights alone.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{SFlag, fstat};
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, sock_filter};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// What the kernel could not do, in words for the log: `seccomp`, `landlock`, `landlock-tcp`.
pub type Lacks = Vec<&'static str>;

/// The process of a client who has not logged in: it goes on with the sockets that it has. Its memory may grow to so many octets in all.
pub fn lock_up_gate(memory: u64) -> io::Result<Lacks> {
    hide()?;
    let mut lacks = landlock(&[], &[])?;
    forbid_files()?;
    limit_descriptors_to_those_open()?;
    setrlimit(Resource::RLIMIT_AS, memory, memory)?;
    lacks.extend(allow_only(GATE, NOT_IN_GATE)?);
    Ok(lacks)
}

/// The keeper of the private keys: it also receives descriptors.
pub fn lock_up_keeper(memory: u64) -> io::Result<Lacks> {
    hide()?;
    let mut lacks = landlock(&[], &[])?;
    forbid_files()?;
    setrlimit(Resource::RLIMIT_AS, memory, memory)?;
    // recvmsg(2), which a gate has too, brings it descriptors; its memory is locked already.
    lacks.extend(allow_only(GATE, NOT_IN_GATE)?);
    Ok(lacks)
}

/// A user's session, as that user: it may do anything with files and directories below `directories`, and read what is in [`READ_BY_SESSIONS`]. They must exist.
/// Its own memory may grow to so many octets, those of mapped files not counted.
pub fn lock_up_session(directories: &[&Path], memory: u64) -> io::Result<Lacks> {
    hide()?;
    let mut lacks = landlock(directories, READ_BY_SESSIONS)?;
    // The administrator may have set a lower one for this user.
    let (soft, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    setrlimit(Resource::RLIMIT_DATA, soft.min(memory), hard.min(memory))?;
    lacks.extend(refuse(NEVER, REFUSED, REFUSED_IF)?);
    Ok(lacks)
}

/// What a session reads that is not mail: which run of the system this is, for the index. The time zone has been read before.
const READ_BY_SESSIONS: &[&str] = &["/proc/sys/kernel/random/boot_id"];

/// No program gives it rights; nobody of the same user looks into it; it leaves no core; it makes no process.
fn hide() -> io::Result<()> {
    super::process::forbid_processes()?;
    let no: libc::c_ulong = 0;
    // SAFETY: PR_SET_DUMPABLE takes one number, and zeroes behind it.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, no, no, no, no) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// No octet is written to a file, but to the log where that is one.
fn forbid_files() -> io::Result<()> {
    let is_file =
        |stat: nix::sys::stat::FileStat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    if fstat(io::stderr()).is_ok_and(is_file) { Ok(()) } else { Ok(setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?) }
}

/// No further descriptor. poll(2) takes no more of them than the limit, which is therefore not zero.
fn limit_descriptors_to_those_open() -> io::Result<()> {
    // The lowest number that is free is the one that a new descriptor would have.
    let free = io::stderr().as_fd().try_clone_to_owned().map(|copy| copy.as_raw_fd())?;
    let most = u64::try_from(free).unwrap_or(0);
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// Everything that Landlock can keep from a process is kept, but for what it may do below some directories and read of some files.
fn landlock(directories: &[&Path], files: &[&str]) -> io::Result<Lacks> {
    /// As far as we have looked at what is refused. A kernel that knows less refuses that.
    const KNOWN: ABI = ABI::V6;
    let mut lacks = Vec::new();
    let all = AccessFs::from_all(KNOWN);
    let beneath = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        // rename(2) and link(2) from one directory to another.
        | AccessFs::Refer;
    let mut rules: Vec<(PathFd, BitFlags<AccessFs>)> = Vec::new();
    for path in directories {
        rules.push((PathFd::new(path).map_err(io::Error::other)?, beneath));
    }
    // Without one of these a session does less well, but it does.
    rules.extend(files.iter().filter_map(|path| Some((PathFd::new(path).ok()?, AccessFs::ReadFile.into()))));
    let status = Ruleset::default()
        .handle_access(all)
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(|mut ruleset| {
            for (fd, may) in rules {
                ruleset = ruleset.add_rule(PathBeneath::new(fd, may))?;
            }
            ruleset.restrict_self()
        })
        .map_err(io::Error::other)?;
    match status.landlock {
        _ if status.ruleset == RulesetStatus::NotEnforced => lacks.push("landlock"),
        LandlockStatus::Available { effective_abi, .. } => {
            for (since, word) in [
                (ABI::V2, "landlock-rename"),
                (ABI::V3, "landlock-truncate"),
                (ABI::V4, "landlock-tcp"),
                (ABI::V5, "landlock-ioctl"),
                (ABI::V6, "landlock-scope"),
            ] {
                if effective_abi < since {
                    lacks.push(word);
                }
            }
        }
        _ => lacks.push("landlock"),
    }
    Ok(lacks)
}

/// A system call, and under which conditions on its arguments: all must hold. Several entries for one call are alternatives.
type Rule = (libc::c_long, &'static [Condition]);

/// About one argument, by its place.
#[derive(Clone, Copy)]
enum Condition {
    /// It has this value (32 bits).
    Is(u8, u32),
    Not(u8, u32),
    /// None of these bits is set.
    Without(u8, u64),
    /// These bits are set.
    With(u8, u64),
    /// It is not this process.
    NotThisProcess(u8),
}
use Condition::{Is, Not, NotThisProcess, With, Without};

const EXEC: u64 = libc::PROT_EXEC as u64;
const ANONYMOUS: u64 = libc::MAP_ANONYMOUS as u64;

/// TLS, the dialogue before login, messages to the child, and the log.
const GATE: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    // What kind of socket it is; no option is set.
    libc::SYS_getsockopt,
    libc::SYS_close,
    // Before each close, in a build with debug assertions.
    libc::SYS_fcntl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Of those, what ends it all the same: memory that could be run or that is a file, and anything but a look at a descriptor.
const NOT_IN_GATE: &[Rule] = &[
    (libc::SYS_mmap, &[With(2, EXEC)]),
    (libc::SYS_mmap, &[Without(3, ANONYMOUS)]),
    (libc::SYS_mprotect, &[With(2, EXEC)]),
    (libc::SYS_fcntl, &[Not(1, libc::F_GETFD as u32)]),
];

/// What no code of ours asks for: a session that does has been taken over, and ends. Everything that makes, changes or looks into processes, identities, the
/// system, or asks the kernel to do work behind the filter's back.
const NEVER: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_personality,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    libc::SYS_memfd_secret,
    libc::SYS_pkey_mprotect,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    libc::SYS_mknodat,
];

/// What a library may try and can do without: it is told that this is not permitted.
const REFUSED: &[libc::c_long] = &[
    // The log, when it is started anew; the account database.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_prctl,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setaffinity,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// The same, of calls that are allowed otherwise.
const REFUSED_IF: &[Rule] = &[
    // A signal to somebody else. Whether a process lives may be asked: locks name processes.
    (libc::SYS_kill, &[Not(1, 0), NotThisProcess(0)]),
    (libc::SYS_tgkill, &[NotThisProcess(0)]),
    (libc::SYS_tkill, &[NotThisProcess(0)]),
    // Limits of others.
    (libc::SYS_prlimit64, &[Not(0, 0), NotThisProcess(0)]),
    (libc::SYS_ioctl, &[Is(1, libc::TIOCSTI as u32)]),
    (libc::SYS_ioctl, &[Is(1, TIOCLINUX)]),
    // Code that was not there before.
    (libc::SYS_mmap, &[With(2, EXEC)]),
    (libc::SYS_mprotect, &[With(2, EXEC)]),
];

/// ioctl_console(2): paste into a terminal.
const TIOCLINUX: u32 = 0x541c;

/// The process may make these calls, but for some by their arguments. Any other ends it.
fn allow_only(numbers: &[libc::c_long], but: &[Rule]) -> io::Result<Lacks> {
    let program = by_number(KILL, KILL, &[(numbers, libc::SECCOMP_RET_ALLOW)]);
    apply(&[by_arguments(but, SeccompAction::KillProcess), Ok(program)])
}

/// The process may make all calls but these: some end it, others are refused, and what is newer than this program does not exist.
fn refuse(never: &[libc::c_long], refused: &[libc::c_long], refused_if: &[Rule]) -> io::Result<Lacks> {
    let not_there = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let not_permitted = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let program = by_number(libc::SECCOMP_RET_ALLOW, not_there, &[(never, KILL), (refused, not_permitted)]);
    apply(&[by_arguments(refused_if, SeccompAction::Errno(libc::EPERM as u32)), Ok(program)])
}

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// Of several filters the severest answer counts. The first makes sure of the architecture, and must still allow to apply the second.
fn apply(programs: &[io::Result<BpfProgram>]) -> io::Result<Lacks> {
    for program in programs {
        let program = match program {
            Ok(program) => program,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(vec!["seccomp"]),
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        match seccompiler::apply_filter(program) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error))
                if matches!(Errno::from_raw(error.raw_os_error().unwrap_or(0)), Errno::ENOSYS | Errno::EINVAL) =>
            {
                return Ok(vec!["seccomp"]);
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
    Ok(Vec::new())
}

/// A filter that looks at arguments: `matched` is what these calls get, all others pass. By the numbers of another architecture none does: that ends the process.
fn by_arguments(rules: &[Rule], matched: SeccompAction) -> io::Result<BpfProgram> {
    let mut alternatives: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (number, conditions) in rules {
        let conditions = conditions.iter().map(|condition| condition.compiled()).collect::<Result<Vec<_>, _>>();
        let rule = conditions.and_then(SeccompRule::new).map_err(io::Error::other)?;
        alternatives.entry(*number).or_default().push(rule);
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    SeccompFilter::new(alternatives, SeccompAction::Allow, matched, architecture)
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)
}

impl Condition {
    fn compiled(self) -> Result<SeccompCondition, seccompiler::BackendError> {
        match self {
            Is(at, value) => SeccompCondition::new(at, Dword, SeccompCmpOp::Eq, value.into()),
            Not(at, value) => SeccompCondition::new(at, Dword, SeccompCmpOp::Ne, value.into()),
            Without(at, bits) => SeccompCondition::new(at, Qword, SeccompCmpOp::MaskedEq(bits), 0),
            With(at, bits) => SeccompCondition::new(at, Qword, SeccompCmpOp::MaskedEq(bits), bits),
            NotThisProcess(at) => SeccompCondition::new(at, Dword, SeccompCmpOp::Ne, std::process::id().into()),
        }
    }
}

/// A filter that looks at the number alone: what the lists say, else `otherwise`, and for calls that came after this was written `newer`. Numbers of the x32 ABI end
/// the process. It finds its answer by halving: the kernel tries every number at once when it is applied, and a list to be gone through would cost each login a
/// third of a millisecond.
fn by_number(otherwise: u32, newer: u32, lists: &[(&[libc::c_long], u32)]) -> BpfProgram {
    /// mseal(2), of Linux 6.10. All architectures count on together since 424.
    const NEWEST: u32 = 462;
    /// __X32_SYSCALL_BIT
    const X32: u32 = 0x4000_0000;
    let mut answers = [otherwise; NEWEST as usize + 1];
    // The first list that names it counts.
    for (numbers, answer) in lists.iter().rev() {
        for number in *numbers {
            if let Some(place) = usize::try_from(*number).ok().and_then(|number| answers.get_mut(number)) {
                *place = *answer;
            }
        }
    }
    // Where numbers begin that get another answer than those before.
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for (number, answer) in (0..).zip(answers).chain([(NEWEST + 1, newer), (X32, KILL)]) {
        if ranges.last().is_none_or(|(_, last)| *last != answer) {
            ranges.push((number, answer));
        }
    }
    // seccomp_data.nr
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    program.extend(halved(&ranges));
    program
}

fn halved(ranges: &[(u32, u32)]) -> BpfProgram {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let Some((start, answer)) = upper.first() else { return Vec::new() };
    if lower.is_empty() {
        return vec![instruction(libc::BPF_RET | libc::BPF_K, 0, 0, *answer)];
    }
    let (lower, upper) = (halved(lower), halved(upper));
    let over = lower.len() as u32;
    // A jump that depends reaches 255 instructions; one that does not, all.
    let mut program = match u8::try_from(over) {
        Ok(over) => vec![instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, over, 0, *start)],
        Err(_) => vec![
            instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, *start),
            instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, over),
        ],
    };
    program.extend(lower);
    program.extend(upper);
    program
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{self, Ended, Forked};
    use crate::sys::{credentials, inotify, socket, user};
    use std::fs::{self, File};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;

    const MEMORY: u64 = crate::limits::MEMORY_BEFORE_LOGIN;
    const MEMORY_OF_SESSION: u64 = crate::limits::MEMORY_OF_SESSION;
    const KILLED: Ended = Ended::Signal(libc::SIGSYS);
    const FINE: Ended = Ended::Exit(0);

    /// How a process ends that does this.
    fn ended(work: impl FnOnce() -> bool) -> Ended {
        let child = match process::fork().unwrap() {
            Forked::Child => process::exit_now(if work() { 0 } else { 1 }),
            Forked::Parent(child) => child,
        };
        process::wait_for(child).unwrap()
    }

    fn call(number: libc::c_long, arguments: [libc::c_long; 4]) -> io::Result<libc::c_long> {
        let [a, b, c, d] = arguments;
        // SAFETY: for calls that are refused, or that do no harm with null pointers.
        let result = unsafe { libc::syscall(number, a, b, c, d, 0, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    fn is_refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    /// Whether this kernel has what we ask for; what it lacks is another test's.
    fn kernel_has(what: &str) -> bool {
        let (mut told, child) = UnixStream::pair().unwrap();
        let ended = ended(|| match lock_up_gate(MEMORY) {
            Ok(lacks) => (&child).write_all(lacks.join(" ").as_bytes()).is_ok(),
            Err(_) => false,
        });
        assert_eq!(ended, FINE);
        drop(child);
        let mut lacks = String::new();
        told.read_to_string(&mut lacks).unwrap();
        if lacks.contains(what) {
            eprintln!("skipped: the kernel lacks {lacks}");
        }
        !lacks.contains(what)
    }

    /// What a process that has been taken over would try first, by the raw numbers.
    fn attempts() -> Vec<(&'static str, libc::c_long, [libc::c_long; 4])> {
        let parent = i64::from(std::process::id());
        let path = c"/etc/passwd".as_ptr() as libc::c_long;
        vec![
            ("openat", libc::SYS_openat, [libc::AT_FDCWD.into(), path, 0, 0]),
            ("execve", libc::SYS_execve, [c"/bin/true".as_ptr() as libc::c_long, 0, 0, 0]),
            ("execveat", libc::SYS_execveat, [libc::AT_FDCWD.into(), c"/bin/true".as_ptr() as libc::c_long, 0, 0]),
            ("socket", libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0, 0]),
            ("ptrace", libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0]),
            ("clone", libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0]),
            ("kill", libc::SYS_kill, [parent, libc::SIGURG.into(), 0, 0]),
            ("setuid", libc::SYS_setuid, [0; 4]),
            ("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
            ("chroot", libc::SYS_chroot, [c"/".as_ptr() as libc::c_long, 0, 0, 0]),
            ("mount", libc::SYS_mount, [path, path, 0, 0]),
            ("bpf", libc::SYS_bpf, [0; 4]),
            ("keyctl", libc::SYS_keyctl, [0; 4]),
            ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0]),
            ("process_vm_readv", libc::SYS_process_vm_readv, [parent, 0, 0, 0]),
            ("memory that can be run", libc::SYS_mmap, [0, 4096, 7, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into()]),
        ]
    }

    #[test]
    fn a_gate_and_a_keeper_that_do_what_is_not_theirs_are_killed() {
        if !kernel_has("seccomp") {
            return;
        }
        for lock_up in [lock_up_gate, lock_up_keeper] {
            for (what, number, arguments) in attempts() {
                let ended = ended(|| lock_up(MEMORY).is_ok() && call(number, arguments).is_err());
                assert_eq!(ended, KILLED, "{what}");
            }
            // Through the library, as our own code would.
            assert_eq!(ended(|| lock_up(MEMORY).is_ok() && File::open("/etc/passwd").is_err()), KILLED);
            assert_eq!(ended(|| lock_up(MEMORY).is_ok() && TcpStream::connect("127.0.0.1:1").is_err()), KILLED);
            assert_eq!(ended(|| lock_up(MEMORY).is_ok() && UnixStream::pair().is_err()), KILLED);
        }
    }

    /// Numbers of another architecture mean other calls.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_by_foreign_numbers_are_refused() {
        if !kernel_has("seccomp") {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let session = || lock_up_session(&[place.path()], MEMORY_OF_SESSION).is_ok();
        let gate = || lock_up_gate(MEMORY).is_ok();
        let by_x32 = || call(0x4000_0000 | libc::SYS_getpid, [0; 4]).is_err();
        assert_eq!(ended(|| gate() && by_x32()), KILLED);
        assert_eq!(ended(|| session() && by_x32()), KILLED);
        let by_i386 = || {
            // SAFETY: getpid, by the number that it has there. A kernel without i386 sends SIGSEGV.
            unsafe { std::arch::asm!("int 0x80", inout("eax") 20 => _) };
            false
        };
        assert!(matches!(ended(|| gate() && by_i386()), KILLED | Ended::Signal(libc::SIGSEGV)));
        assert!(matches!(ended(|| session() && by_i386()), KILLED | Ended::Signal(libc::SIGSEGV)));
        let by_a_number_of_the_future = || call(600, [0; 4]).is_err_and(|e| e.raw_os_error() == Some(libc::ENOSYS));
        assert_eq!(ended(|| session() && by_a_number_of_the_future()), FINE);
    }

    /// What a filter that looks at numbers alone answers.
    fn answered(program: &BpfProgram, number: u32) -> u32 {
        let mut at = 1;
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return step.k,
                code if code == libc::BPF_JMP | libc::BPF_JA => at += step.k as usize,
                _ => at += usize::from(if number >= step.k { step.jt } else { step.jf }),
            }
        }
    }

    #[test]
    fn every_number_gets_the_answer_of_its_list() {
        // So many changes of the answer that jumps reach further than 255.
        let odd: Vec<libc::c_long> = (0..462).filter(|number| number % 2 == 1).collect();
        for (otherwise, newer, lists) in [
            (1, 2, vec![(NEVER, 3), (REFUSED, 4)]),
            (KILL, KILL, vec![(GATE, 1)]),
            (1, 2, vec![(&odd[..], 3)]),
            (1, 1, vec![]),
        ] {
            let program = by_number(otherwise, newer, &lists);
            for number in (0..1000).chain([0x3fff_ffff, 0x4000_0000, 0x4000_0027, u32::MAX]) {
                let listed =
                    lists.iter().find(|(numbers, _)| numbers.contains(&number.into())).map(|(_, answer)| *answer);
                let other = match number {
                    0..=462 => otherwise,
                    463..0x4000_0000 => newer,
                    _ => KILL,
                };
                assert_eq!(answered(&program, number), listed.unwrap_or(other), "{number}");
            }
        }
    }

    #[test]
    fn a_gate_can_do_its_work() {
        let (mut client, ours) = UnixStream::pair().unwrap();
        let (listener, theirs) = socket::message_pair().unwrap();
        client.write_all(b"hello").unwrap();
        // As the program does when it starts.
        crate::sys::clock::zone_at(0);
        let ended = ended(|| {
            if lock_up_gate(MEMORY).is_err() {
                return false;
            }
            let mut buffer = vec![0; 1 << 20];
            let read = (&ours).read(&mut buffer).is_ok_and(|count| count == 5);
            let watches = &mut [crate::sys::poll::Watch::input(theirs.as_fd())];
            let soon = std::time::Instant::now() + std::time::Duration::from_millis(5);
            let waited = crate::sys::poll::poll(watches, Some(soon)).is_ok();
            std::thread::sleep(std::time::Duration::from_millis(1));
            let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut buffer[..32]).is_ok();
            let map: std::collections::HashMap<u8, u8> = (0..100).map(|i| (i, i)).collect();
            let sent = socket::send_now(&ours, b"x").is_ok() && socket::send_message(&theirs, b"x").is_ok();
            let ended = socket::end_sending(&ours).is_ok();
            let _ = crate::sys::clock::local_now();
            let _ = std::io::stderr().write(b"");
            read && waited && random && map.len() == 100 && sent && ended
        });
        assert_eq!(ended, FINE);
        drop(listener);
    }

    #[test]
    fn a_gate_has_so_much_memory_and_no_further_descriptor() {
        let ended = ended(|| {
            let mut large = Vec::<u8>::new();
            let before = large.try_reserve_exact(2 * MEMORY as usize).is_ok();
            let (_a, b) = socket::message_pair().unwrap();
            drop(large);
            let limited = hide().is_ok()
                && limit_descriptors_to_those_open().is_ok()
                && setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).is_ok();
            let mut large = Vec::<u8>::new();
            before
                && limited
                && b.try_clone().is_err()
                && File::open("/dev/null").is_err()
                && large.try_reserve_exact(MEMORY as usize).is_err()
                && large.try_reserve_exact(1 << 20).is_ok()
        });
        assert_eq!(ended, FINE);
    }

    #[test]
    fn landlock_alone_shuts_files_network_and_signals() {
        if !kernel_has("landlock") {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let parent = libc::c_long::from(std::process::id());
        let ended = ended(|| {
            landlock(&[], &[]).is_ok_and(|lacks| lacks.is_empty())
                && is_refused(File::open("/etc/passwd"))
                && is_refused(fs::read_dir("/"))
                && is_refused(TcpStream::connect(address))
                && is_refused(TcpListener::bind("127.0.0.1:0"))
                && is_refused(call(libc::SYS_kill, [parent, libc::SIGURG.into(), 0, 0]))
        });
        assert_eq!(ended, FINE);
    }

    #[test]
    fn a_session_that_does_what_is_not_its_own_is_refused_or_killed() {
        if !kernel_has("seccomp") || !kernel_has("landlock") {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        // What a library may try.
        let refused = ["openat", "socket", "clone", "kill", "memory that can be run"];
        for (what, number, arguments) in attempts() {
            let ended = ended(|| {
                lock_up_session(&[place.path()], MEMORY_OF_SESSION).is_ok() && is_refused(call(number, arguments))
            });
            assert_eq!(ended, if refused.contains(&what) { FINE } else { KILLED }, "{what}");
        }
        let everything = |number: &libc::c_long| {
            ended(|| lock_up_session(&[place.path()], MEMORY_OF_SESSION).is_ok() && call(*number, [0; 4]).is_err())
        };
        for number in NEVER {
            assert_eq!(everything(number), KILLED, "{number}");
        }
        let parent = libc::c_long::from(std::process::id());
        let ended = ended(|| {
            lock_up_session(&[place.path()], MEMORY_OF_SESSION).is_ok()
                && is_refused(call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0]))
                && is_refused(call(libc::SYS_ioctl, [0, libc::TIOCSTI as libc::c_long, 0, 0]))
                && is_refused(call(libc::SYS_tgkill, [parent, parent, 0, 0]))
                && is_refused(UnixStream::pair())
                // Whether a process lives is told all the same: locks need that.
                && crate::sys::lock::process_lives(parent as i32)
                && !crate::sys::lock::process_lives(i32::MAX)
                && call(libc::SYS_kill, [std::process::id().into(), 0, 0, 0]).is_ok()
        });
        assert_eq!(ended, FINE);
    }

    #[test]
    fn a_session_does_with_its_files_what_it_likes_and_sees_no_other() {
        if !kernel_has("landlock") {
            return;
        }
        let (mail, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for directory in ["cur", "new", "tmp"] {
            fs::create_dir(mail.path().join(directory)).unwrap();
        }
        fs::write(other.path().join("secret"), "x").unwrap();
        symlink(other.path(), mail.path().join("out")).unwrap();
        let at = |name: &str| mail.path().join(name);
        let outside = |name: &str| other.path().join(name);
        let steps = || -> io::Result<Vec<(&str, bool)>> {
            lock_up_session(&[mail.path()], MEMORY_OF_SESSION)?;
            fs::write(at("tmp/1"), "text")?;
            File::open(at("tmp/1"))?.sync_all()?;
            File::options().write(true).open(at("tmp/1"))?.set_len(2)?;
            fs::rename(at("tmp/1"), at("new/1"))?;
            fs::hard_link(at("new/1"), at("cur/1"))?;
            fs::create_dir(at(".Sub"))?;
            fs::rename(at(".Sub"), at(".Other"))?;
            fs::remove_dir(at(".Other"))?;
            fs::remove_file(at("new/1"))?;
            crate::sys::file::Dir::open(mail.path())?.sync()?;
            let notices = inotify::Notices::new()?;
            notices.add(&at("new"), inotify::Watched::Entries)?;
            fs::write(at("new/2"), "")?;
            let lock = File::options().write(true).open(at("new/2"))?;
            Ok(vec![
                ("inotify", notices.drain()),
                ("lock", crate::sys::lock::try_lock_octet(&lock, 0)?),
                ("boot", !crate::sys::lmdb::boot_id().is_empty()),
                ("read outside", is_refused(fs::read(outside("secret")))),
                ("list outside", is_refused(fs::read_dir(other.path()))),
                ("write outside", is_refused(fs::write(outside("new"), "x"))),
                ("truncate outside", is_refused(File::options().write(true).truncate(true).open(outside("secret")))),
                ("read by a link", is_refused(fs::read(at("out/secret")))),
                ("make a link", is_refused(symlink("/etc", at("etc")))),
                ("make a socket", is_refused(std::os::unix::net::UnixListener::bind(at("socket")))),
                ("move out", fs::rename(at("cur/1"), outside("1")).is_err()),
                ("move in", fs::rename(outside("secret"), at("cur/2")).is_err()),
                ("link in", fs::hard_link(outside("secret"), at("cur/2")).is_err()),
                ("remove outside", is_refused(fs::remove_file(outside("secret")))),
                ("passwd", is_refused(fs::read("/etc/passwd"))),
                ("run", std::process::Command::new("/bin/true").status().is_err()),
            ])
        };
        let (mut told, child) = UnixStream::pair().unwrap();
        let ended = ended(|| {
            let wrong = match steps() {
                Ok(steps) => {
                    steps.iter().filter(|(_, right)| !right).map(|(what, _)| *what).collect::<Vec<_>>().join(", ")
                }
                Err(error) => error.to_string(),
            };
            (&child).write_all(wrong.as_bytes()).is_ok()
        });
        drop(child);
        let mut wrong = String::new();
        told.read_to_string(&mut wrong).unwrap();
        assert_eq!((ended, wrong.as_str()), (FINE, ""));
    }

    #[test]
    fn a_session_cannot_take_all_memory() {
        let place = tempfile::tempdir().unwrap();
        let ended = ended(|| {
            let most = MEMORY_OF_SESSION as usize;
            lock_up_session(&[place.path()], MEMORY_OF_SESSION).is_ok()
                && Vec::<u8>::new().try_reserve_exact(most).is_err()
                && Vec::<u8>::new().try_reserve_exact(most / 4).is_ok()
        });
        assert_eq!(ended, FINE);
    }

    /// What /proc says of a process that is nobody and locked up.
    #[test]
    fn a_locked_up_process_has_no_right_left() {
        if !credentials::is_root() {
            return;
        }
        let empty = tempfile::tempdir().unwrap();
        let nobody = user::unprivileged().unwrap();
        for lock_up in [lock_up_gate, lock_up_keeper] {
            let (mut told, child) = UnixStream::pair().unwrap();
            let pid = match process::fork().unwrap() {
                Forked::Child => {
                    drop(told);
                    // Standard error may be a file, which may be written to.
                    let ready = process::silence_standard_streams().is_ok()
                        && credentials::shut_into(empty.path()).is_ok()
                        && credentials::become_unprivileged(nobody.uid, nobody.gid).is_ok()
                        && lock_up(MEMORY).is_ok()
                        && (&child).write_all(b"x").is_ok();
                    // Until the other end is closed.
                    let _ = (&child).read(&mut [0; 8]);
                    process::exit_now(i32::from(!ready))
                }
                Forked::Parent(pid) => pid,
            };
            drop(child);
            assert_eq!(told.read(&mut [0; 1]).unwrap(), 1);
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
            assert_eq!(of("Uid:"), [nobody.uid.to_string().as_str(); 4].join("\t"));
            assert_eq!((of("Groups:"), of("NoNewPrivs:"), of("Seccomp:")), (String::new(), "1".into(), "2".into()));
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(of(set), "0000000000000000");
            }
            assert_eq!(fs::read_link(format!("/proc/{pid}/root")).unwrap(), empty.path());
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            for limit in ["Max core file size 0 0 ", "Max processes 0 0 ", "Max file size 0 0 "] {
                let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
                assert!(limits.lines().any(|line| words(line).starts_with(limit)), "{limits}");
            }
            drop(told);
            assert_eq!(process::wait_for(pid).unwrap(), FINE);
        }
    }
}
