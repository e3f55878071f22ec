//! A Maildir of one's own, and the real binary serving it on a socket pair.

use crate::shim::Control;
use crate::support::Client;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// Whatever takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Site {
    place: TempDir,
    /// INBOX's directory.
    pub root: PathBuf,
}

impl Site {
    /// An empty Maildir.
    pub fn new() -> Self {
        // In memory where that can be: nothing here has to outlive the machine.
        let place = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().expect("whoever runs this has a name");
        let root = place.path().join("mail").join(user.name);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        Self { place, root }
    }

    /// The same mail in another place.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        let from = self.root.join(".");
        let done = Command::new("cp").arg("-a").arg(from).arg(&copy.root).status().unwrap();
        assert!(done.success());
        copy
    }

    /// The directory of a mailbox with an ASCII name.
    pub fn folder(&self, mailbox: &str) -> PathBuf {
        if mailbox == "INBOX" { self.root.clone() } else { self.root.join(format!(".{}", mailbox.replace('/', "."))) }
    }

    /// As a delivery agent does it.
    pub fn deliver(&self, mailbox: &str, name: &str, id: &str) {
        let folder = self.folder(mailbox);
        fs::write(folder.join("tmp").join(name), message(id).replace("\r\n", "\n")).unwrap();
        fs::rename(folder.join("tmp").join(name), folder.join("new").join(name)).unwrap();
    }

    fn start(&self, control: &Control) -> (Child, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapd"));
        command
            .args(["--preauth", "-s", "maildir", "--log", "stderr", "--maildir-path"])
            .arg(self.place.path().join("mail"))
            .stdout(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap());
        control.watch(&mut command);
        (command.spawn().unwrap(), ours)
    }

    fn log_file(&self) -> PathBuf {
        self.place.path().join("log")
    }

    /// What all servers logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// A strict client of a server of its own.
    pub fn connect(&self) -> Client {
        self.connect_to_kill().0
    }

    /// The same with the number of the server's process.
    pub fn connect_to_kill(&self) -> (Client, u32) {
        static IDLE: OnceLock<Control> = OnceLock::new();
        let control = IDLE.get_or_init(|| {
            let control = Control::new();
            control.without_syncs();
            control
        });
        let (child, stream) = self.start(control);
        let pid = child.id();
        (client(child, stream), pid)
    }

    /// A client of Dovecot's, who opens this mail as a user of its own, and the file where it logs.
    pub fn connect_to(&self, program: &str) -> (Client, PathBuf) {
        /// nobody, on every system: Dovecot serves no root.
        const NOBODY: u32 = 65534;
        let [run, log, configuration] = ["run", "dovecot.log", "dovecot.conf"].map(|name| self.place.path().join(name));
        fs::create_dir(&run).unwrap();
        let lines = format!(
            "mail_location = maildir:{}\nlog_path = /dev/stderr\nbase_dir = {1}\nstate_dir = {1}\nssl = no\nstats_writer_socket_path =\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nprotocols = imap\n",
            self.root.display(),
            run.display()
        );
        fs::write(&configuration, lines).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&configuration)
            .env_clear()
            .env("HOME", &run)
            .env("USER", "nobody")
            .stdout(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(fs::File::create(&log).unwrap());
        if nix::unistd::geteuid().is_root() {
            let given =
                Command::new("chown").args(["-R", &NOBODY.to_string()]).arg(self.place.path()).status().unwrap();
            assert!(given.success());
            command.uid(NOBODY).gid(NOBODY);
        }
        (client(command.spawn().unwrap(), ours), log)
    }

    /// A client that is not surprised when its server dies.
    pub fn session(&self, control: &Control) -> Session {
        let (child, stream) = self.start(control);
        let mut session = Session { child, reader: BufReader::new(stream) };
        let greeting = session.line().unwrap_or_default();
        assert!(greeting.starts_with("* PREAUTH "), "{greeting}, {}", self.log());
        session
    }

    /// Removes the lock files that a dead process left, and says which they were. Whoever waits for such a lock to grow stale waits for seconds.
    pub fn remove_locks_of(&self, dead: u32) -> Vec<PathBuf> {
        let locks = self.locks();
        for lock in &locks {
            let content = fs::read_to_string(lock).unwrap();
            // The lock of a file that is replaced is its new content, and has no pid.
            if lock.ends_with("dovecot-uidlist.lock") {
                let pid = content.split(':').next().and_then(|pid| pid.parse().ok());
                assert_eq!(pid, Some(dead), "{} of somebody else, or of nobody", lock.display());
            }
            fs::remove_file(lock).unwrap();
        }
        locks
    }

    pub fn locks(&self) -> Vec<PathBuf> {
        self.files(|name| name.ends_with(".lock"))
    }

    /// Every file of such a name beside the messages, in every folder.
    pub fn files(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let folders = entries(&self.root).into_iter().filter(|path| path.is_dir());
        for folder in std::iter::once(self.root.clone()).chain(folders) {
            let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
            found.extend(entries(&folder).into_iter().filter(|path| path.is_file() && named(path)));
        }
        found
    }
}

/// Waits for the server's end when it is dropped.
fn client(mut child: Child, stream: UnixStream) -> Client {
    let mut client = Client::new(stream);
    client.at_end(move || {
        let _ = child.wait();
    });
    client.greeting();
    client
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

/// A message that bears its own name.
pub fn message(id: &str) -> String {
    format!("X-Id: {id}\r\nSubject: message {id}\r\n\r\nThis is {id}.\r\n")
}

/// A session that may end at any moment.
pub struct Session {
    child: Child,
    reader: BufReader<UnixStream>,
}

/// What a client heard before the server died, or went on.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Whole lines, tagged responses among them.
    pub lines: Vec<String>,
    /// The tagged responses of all commands, if the server came so far.
    pub tagged: Vec<String>,
    /// Whether every command was answered.
    pub complete: bool,
}

impl Session {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line without its end, if it came whole.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("the server neither answers nor ends: {error}"),
        }
        let line = String::from_utf8(line).unwrap();
        line.strip_suffix("\r\n").map(str::to_owned)
    }

    /// One command after the other, as long as the server lives.
    pub fn run(&mut self, commands: &[String]) -> Heard {
        let mut heard = Heard::default();
        for command in commands {
            // What was not taken is not answered.
            if self.reader.get_mut().write_all(format!("x {command}\r\n").as_bytes()).is_err() {
                return heard;
            }
            loop {
                let Some(line) = self.line() else { return heard };
                heard.lines.push(line.clone());
                if line.starts_with("x ") {
                    heard.tagged.push(line);
                    break;
                }
            }
        }
        heard.complete = true;
        heard
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}
