//! Calls of the system that fail for want of something (row 31): the daemon waits a little, says so once, does not spin, and serves again when there
//! is enough. The failures are made by a library that is loaded before the C library.

use crate::support::{BINARY, Daemon, PamService, User, directory, is_root};
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Each call fails with the errno that the file of its name holds in the directory given by the environment, while it is there. `accept4` fails
/// with ECONNABORTED as the kernel does, with the connection taken.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static int failing(const char *call) {
    char path[4096], text[16] = "";
    const char *directory = getenv("FAILING_CALLS");
    if (!directory) return 0;
    snprintf(path, sizeof path, "%s/%s", directory, call);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atoi(text);
}

pid_t fork(void) {
    int error = failing("fork");
    if (error) { errno = error; return -1; }
    return ((pid_t (*)(void))dlsym(RTLD_NEXT, "fork"))();
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    int error = failing("pthread_create");
    if (error) return error;
    return ((int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create"))(
        thread, attributes, run, argument);
}

int accept4(int listener, struct sockaddr *address, socklen_t *size, int flags) {
    int error = failing("accept4");
    if (error && error != ECONNABORTED) { errno = error; return -1; }
    int socket = ((int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4"))(listener, address, size, flags);
    if (error && socket >= 0) { close(socket); errno = error; return -1; }
    return socket;
}
"#;

fn shim(directory: &Path) -> PathBuf {
    let (source, object) = (directory.join("shim.c"), directory.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&source).arg("-ldl").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    object
}

/// A daemon whose calls fail as told.
struct Failing {
    daemon: Daemon,
    calls: tempfile::TempDir,
}

impl Failing {
    fn start(arguments: &[&str]) -> Self {
        let calls = directory();
        let mut command = Command::new(BINARY);
        command.args(["--log", "stderr", "--port", "0"]).args(arguments).stdin(Stdio::null());
        command.env("LD_PRELOAD", shim(calls.path())).env("FAILING_CALLS", calls.path());
        Self { daemon: Daemon::spawn(command, 1), calls }
    }

    /// Written whole at once: a call sees the fault or none.
    fn fail(&self, call: &str, error: Errno) {
        let half = self.calls.path().join("half");
        std::fs::write(&half, (error as i32).to_string()).unwrap();
        std::fs::rename(half, self.calls.path().join(call)).unwrap();
    }

    fn recover(&self, call: &str) {
        std::fs::remove_file(self.calls.path().join(call)).unwrap();
    }

    /// The processor's time that the daemon itself has taken.
    fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.daemon.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // utime and stime, in hundredths of a second on every Linux.
        let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The daemon sleeps nearly all the time that this takes, some seconds.
    #[track_caller]
    fn assert_rests(&self, during: impl FnOnce()) {
        let before = self.processor();
        during();
        let taken = self.processor() - before;
        assert!(taken < Duration::from_millis(100), "{taken:?} of the processor");
    }

    #[track_caller]
    fn assert_serves(&mut self) {
        let mut client = self.daemon.connect();
        assert!(client.line().unwrap().starts_with("* OK "));
        client.ok("LOGOUT");
        self.daemon.wait_for_log("reason=logout");
    }

    fn logged(&self, part: &str) -> usize {
        self.daemon.log.iter().filter(|line| line.contains(part)).count()
    }
}

#[test]
fn while_nothing_can_be_accepted_the_daemon_rests_and_says_so_once() {
    let errors = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EPERM];
    std::thread::scope(|scope| {
        for error in errors {
            scope.spawn(move || {
                let mut site = Failing::start(&["--demo"]);
                site.assert_serves();
                site.fail("accept4", error);
                let mut waiting = site.daemon.connect();
                let line = site.daemon.wait_for_log("cannot accept a connection");
                assert!(line.contains(&format!("os error {}", error as i32)), "{line}");
                site.assert_rests(|| std::thread::sleep(Duration::from_secs(3)));
                site.recover("accept4");
                // The client that had to wait is not forgotten.
                assert!(waiting.line().unwrap().starts_with("* OK "));
                site.assert_serves();
                assert_eq!(site.logged("cannot accept"), 1, "{:#?}", site.daemon.log);
            });
        }
    });
}

#[test]
fn connections_aborted_before_they_are_accepted_are_nobodys_fault() {
    let mut site = Failing::start(&["--demo"]);
    site.fail("accept4", Errno::ECONNABORTED);
    // More than are accepted at a time.
    for _ in 0..100 {
        assert_eq!(site.daemon.connect().rest(), [""; 0]);
    }
    site.assert_rests(|| std::thread::sleep(Duration::from_secs(3)));
    site.recover("accept4");
    site.assert_serves();
    assert_eq!(site.logged("cannot"), 0, "{:#?}", site.daemon.log);
}

/// Each client is told, one in a second.
#[track_caller]
fn assert_turns_away(site: &mut Failing, call: &str) {
    site.assert_serves();
    site.fail(call, Errno::EAGAIN);
    let mut clients: Vec<_> = (0..4).map(|_| site.daemon.connect()).collect();
    let began = Instant::now();
    site.assert_rests(|| {
        for client in &mut clients {
            assert_eq!(client.rest(), ["* BYE [UNAVAILABLE] Try again later"]);
        }
    });
    // The first may have been told before all were there.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    site.recover(call);
    site.assert_serves();
    assert_eq!(site.logged("cannot serve"), 1, "{:#?}", site.daemon.log);
}

#[test]
fn while_no_process_can_be_made_clients_are_turned_away_slowly() {
    if !is_root() {
        return;
    }
    let pam = PamService::unix();
    assert_turns_away(&mut Failing::start(&["--fork", "-s", "maildir", "--pam-service", &pam.name]), "fork");
}

#[test]
fn while_no_thread_can_be_made_clients_are_turned_away_slowly() {
    assert_turns_away(&mut Failing::start(&["--demo"]), "pthread_create");
}

#[test]
fn a_password_that_cannot_be_checked_now_can_be_later() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let (user, pam) = (User::new(homes.path()), PamService::unix());
    let mut site = Failing::start(&["--fork", "-s", "maildir", "--pam-service", &pam.name]);
    let mut client = site.daemon.connect();
    client.line();
    site.fail("fork", Errno::EAGAIN);
    let answer = client.answer(&user.login());
    assert!(answer.starts_with("x NO [UNAVAILABLE]"), "{answer}");
    assert!(site.daemon.wait_for_log("cannot ask PAM").contains("os error 11"));
    site.recover("fork");
    client.ok(&user.login());
}
