//! The two servers, each with a copy of the mail: our binary, and Debian's Dovecot with a configuration of its own in the bench's
//! directory, which disturbs no Dovecot of this machine.

use crate::client::{Client, Transport};
use crate::mail::{self, Made, Owner, Sizes};
use crate::{Outcome, Plan};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Whatever starts or stops has done so by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// Virtual users with a small mailbox each, besides the one whose INBOX is large.
pub const USERS: usize = 50;
/// Messages of each of them.
pub const MESSAGES_OF_USER: usize = 200;
/// A directory's times are that coarse for a server: a change within this is looked at twice.
const DIRTY: Duration = Duration::from_millis(2100);

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Imapd,
    /// As it is shipped: a process for each login, a process for each session.
    Dovecot,
    /// With the setting that uses processes again, on the mail of the other.
    DovecotReusing,
}

/// A running server and its mail.
pub struct Site {
    pub kind: Kind,
    homes: PathBuf,
    owner: Owner,
    process: Child,
    port: u16,
    tls_port: u16,
    /// What is in the large INBOX now: also the number of the next message that is delivered.
    inbox: AtomicUsize,
}

/// The mail, made once and given to each.
pub struct Mail {
    pub messages: usize,
    pub inbox: Made,
    pub work: Made,
    pub small: Made,
    pub large: Made,
    /// How many sessions are to be in IDLE at once.
    pub sessions: usize,
    pub watch: Duration,
}

/// A folder of 10,000 messages that may be copied, moved and expunged.
pub const WORK: &str = "Work";
/// Messages of 4 KB, and of 25 MB.
pub const SMALL: &str = "Bodies4K";
pub const LARGE: &str = "Bodies25M";
const LARGE_OCTETS: usize = 25 << 20;

/// The account whose the mail is. Removed when dropped.
pub struct Account {
    name: Option<String>,
    pub owner: Owner,
}

impl Account {
    /// Makes one as root; anybody else measures as himself.
    pub fn new() -> Outcome<Self> {
        const PREFIX: &str = "imapdbench";
        if !nix::unistd::geteuid().is_root() {
            let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
            return Ok(Self { name: None, owner });
        }
        // What an interrupted run has left.
        for line in fs::read_to_string("/etc/passwd")?.lines() {
            let name = line.split(':').next().unwrap_or_default();
            let process = name.strip_prefix(PREFIX).unwrap_or_default();
            if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
                run(Command::new("userdel").args(["-f", name]))?;
            }
        }
        let name = format!("{PREFIX}{}", std::process::id());
        run(Command::new("useradd").args(["-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", &name]))?;
        let mut account = Self { name: Some(name.clone()), owner: Owner { uid: 0, gid: 0 } };
        let user = nix::unistd::User::from_name(&name)?.ok_or("useradd made no account")?;
        account.owner = Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() };
        Ok(account)
    }

    /// The owner of a small mailbox: a uid of his own, which is no account's, so that what the kernel counts by uid (inotify) is not
    /// all counted together.
    fn owner_of(&self, number: Option<usize>) -> Owner {
        const FIRST: u32 = 50_000;
        match (number, &self.name) {
            (Some(number), Some(_)) => Owner { uid: FIRST + number as u32, ..self.owner },
            _ => self.owner,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = run(Command::new("userdel").args(["-f", name]));
        }
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)).into())
    }
}

/// The user whose INBOX is large, or one of the others by number.
pub fn user(number: Option<usize>) -> String {
    number.map_or_else(|| "bench".to_owned(), |number| format!("user{number}"))
}

/// Makes the mail for these, below `DIRECTORY/KIND/homes/USER/Maildir`.
pub fn make_mail(directory: &Path, kinds: &[Kind], plan: &Plan, account: &Account) -> Outcome<Mail> {
    let owner = account.owner;
    let places = |number: Option<usize>, folder: &str| -> Outcome<Vec<PathBuf>> {
        let (mut places, owner) = (Vec::new(), account.owner_of(number));
        for kind in kinds.iter().filter(|kind| **kind != Kind::DovecotReusing) {
            let home = homes(directory, *kind).join(user(number));
            fs::create_dir_all(&home)?;
            std::os::unix::fs::chown(&home, Some(owner.uid), Some(owner.gid))?;
            places.push(home.join("Maildir").join(folder));
        }
        Ok(places)
    };
    let inbox = mail::make(&places(None, "")?, 0..plan.messages, plan.sizes, owner)?;
    let few = plan.messages.min(10_000);
    let work = mail::make(&places(None, &format!(".{WORK}"))?, 0..few, Sizes::Plain(4096), owner)?;
    let small = mail::make(&places(None, &format!(".{SMALL}"))?, 0..few, Sizes::Plain(4096), owner)?;
    let large = mail::make(&places(None, &format!(".{LARGE}"))?, 0..plan.large, Sizes::Plain(LARGE_OCTETS), owner)?;
    for number in 0..USERS {
        let owner = account.owner_of(Some(number));
        mail::make(&places(Some(number), "")?, 0..MESSAGES_OF_USER, Sizes::Realistic, owner)?;
    }
    Ok(Mail { messages: plan.messages, inbox, work, small, large, sessions: plan.sessions, watch: plan.watch })
}

/// One tree of homes for both Dovecots: they never run a session at once.
fn homes(directory: &Path, kind: Kind) -> PathBuf {
    directory.join(if kind == Kind::Imapd { "imapd/homes" } else { "dovecot/homes" })
}

impl Site {
    /// Starts the server, and returns when it listens.
    pub fn start(kind: Kind, directory: &Path, messages: usize, account: &Account) -> Outcome<Self> {
        let homes = homes(directory, kind);
        let place = directory.join(match kind {
            Kind::Imapd => "imapd",
            Kind::Dovecot => "dovecot",
            Kind::DovecotReusing => "dovecot-reusing",
        });
        fs::create_dir_all(&place)?;
        write_users(&place.join("users"), &homes, account)?;
        let (port, tls_port) = free_ports()?;
        let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        let mut command = match kind {
            Kind::Imapd => imapd(&place, &homes, &certificate, &key, port, tls_port)?,
            Kind::Dovecot | Kind::DovecotReusing => dovecot(kind, &place, &certificate, &key, port, tls_port)?,
        };
        let log = File::create(place.join("stderr"))?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut site =
            Self { kind, homes, owner: account.owner, process, port, tls_port, inbox: AtomicUsize::new(messages) };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if site.process.try_wait()?.is_some() || Instant::now() > end {
                let said: String =
                    ["stderr", "log"].iter().flat_map(|name| fs::read_to_string(place.join(name))).collect();
                return Err(format!("{} does not listen:\n{said}", site.name()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(site)
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Imapd => "imapd",
            Kind::Dovecot => "Dovecot",
            Kind::DovecotReusing => "Dovecot, processes reused",
        }
    }

    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    pub fn connect(&self, transport: Transport) -> Outcome<Client> {
        Client::connect(if transport == Transport::Tls { self.tls_port } else { self.port }, transport)
    }

    /// A new session of a user.
    pub fn login(&self, number: Option<usize>, transport: Transport) -> Outcome<Client> {
        let mut client = self.connect(transport)?;
        client.run(&format!("LOGIN {} secret", user(number)))?;
        Ok(client)
    }

    /// A new session with the large INBOX.
    pub fn session(&self) -> Outcome<Client> {
        self.login(None, Transport::Plain)
    }

    /// The same with a folder selected, which must be complete.
    pub fn selected(&self, folder: &str, messages: usize) -> Outcome<Client> {
        let mut client = self.session()?;
        self.select(&mut client, folder, messages)?;
        Ok(client)
    }

    pub fn select(&self, client: &mut Client, folder: &str, messages: usize) -> Outcome<()> {
        match client.run(&format!("SELECT {folder}"))?.exists {
            Some(exists) if exists == messages => Ok(()),
            other => Err(format!("{folder} has {messages} messages, and the server says {other:?}").into()),
        }
    }

    /// The large INBOX.
    pub fn maildir(&self) -> PathBuf {
        self.homes.join(user(None)).join("Maildir")
    }

    /// How many messages it has.
    pub fn inbox(&self) -> usize {
        self.inbox.load(Ordering::Relaxed)
    }

    /// Delivers messages to the large INBOX.
    pub fn deliver(&self, count: usize) -> Outcome<()> {
        for _ in 0..count {
            mail::deliver(&self.maildir(), self.inbox.fetch_add(1, Ordering::Relaxed), self.owner)?;
        }
        Ok(())
    }

    /// Waits until the last change of the large INBOX is so old that no server looks twice for its sake.
    pub fn settle(&self) -> Outcome<()> {
        for name in ["cur", "new"] {
            let changed = fs::metadata(self.maildir().join(name))?.modified()?;
            let age = SystemTime::now().duration_since(changed).unwrap_or(DIRTY);
            std::thread::sleep(DIRTY.saturating_sub(age));
        }
        Ok(())
    }

    /// Takes away what is derived from the large INBOX, which no session may have open: what was parsed, and on request the UIDs too.
    pub fn forget(&self, what: Forget) -> Outcome<()> {
        for entry in fs::read_dir(self.maildir())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let derived = name.starts_with("dovecot.index") || name.starts_with("imapd-index");
            if derived || what == Forget::All && (name.starts_with("dovecot.") || name == "dovecot-uidlist") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// What a mailbox is made to have forgotten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    Parsed,
    All,
}

impl Drop for Site {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.pid());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM);
        let end = Instant::now() + PATIENCE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two that nobody listens on: both are held until both are known.
fn free_ports() -> Outcome<(u16, u16)> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

/// The password file, which both read.
fn write_users(path: &Path, homes: &Path, account: &Account) -> Outcome<()> {
    let mut lines = String::new();
    for number in std::iter::once(None).chain((0..USERS).map(Some)) {
        let (name, owner) = (user(number), account.owner_of(number));
        let home = homes.join(&name);
        let _ = writeln!(lines, "{name}:{{PLAIN}}secret:{}:{}::{}", owner.uid, owner.gid, home.display());
    }
    Ok(fs::write(path, lines)?)
}

fn imapd(place: &Path, homes: &Path, certificate: &Path, key: &Path, port: u16, tls_port: u16) -> Outcome<Command> {
    let configuration = place.join("imapd.conf");
    fs::write(&configuration, "")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapd"));
    command.arg("--config").arg(configuration).arg("--passwd-file").arg(place.join("users"));
    command.arg("--cert").arg(certificate).arg("--key").arg(key);
    command.args(["-s", "maildir", "-h", "127.0.0.1", "--log", "stderr"]);
    command.args(["-p", &port.to_string(), "--tls-port", &tls_port.to_string()]);
    // All our clients come from one address.
    for limit in ["--max-connections", "--max-per-address", "--max-before-login", "--max-per-user"] {
        command.args([limit, "5000"]);
    }
    if nix::unistd::geteuid().is_root() {
        command.arg("--fork");
    } else {
        // A single process has no homes: the user's directory below a path is his Maildir itself.
        let base = place.join("mail");
        fs::create_dir_all(&base)?;
        for number in std::iter::once(None).chain((0..USERS).map(Some)) {
            std::os::unix::fs::symlink(homes.join(user(number)).join("Maildir"), base.join(user(number)))?;
        }
        command.arg("--maildir-path").arg(base);
    }
    Ok(command)
}

fn dovecot(kind: Kind, place: &Path, certificate: &Path, key: &Path, port: u16, tls_port: u16) -> Outcome<Command> {
    let reusing = if kind == Kind::DovecotReusing {
        "service imap-login {\n  service_count = 0\n  process_min_avail = 2\n}\n\
         service imap {\n  service_count = 256\n  process_min_avail = 2\n}\n"
    } else {
        ""
    };
    let (place_text, users) = (place.display(), place.join("users"));
    let users = users.display();
    let configuration = format!(
        "base_dir = {place_text}/run\nstate_dir = {place_text}/state\ninstance_name = imapd-bench\n\
         protocols = imap\nlisten = 127.0.0.1\nlog_path = {place_text}/log\n\
         ssl = yes\nssl_cert = <{}\nssl_key = <{}\n\
         disable_plaintext_auth = no\nauth_mechanisms = plain login\nmail_location = maildir:~/Maildir\n\
         passdb {{\n  driver = passwd-file\n  args = scheme=PLAIN username_format=%u {users}\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n\
         service imap-login {{\n  inet_listener imap {{\n    port = {port}\n  }}\n\
         \x20 inet_listener imaps {{\n    port = {tls_port}\n    ssl = yes\n  }}\n  process_limit = 5000\n}}\n\
         service imap {{\n  process_limit = 5000\n}}\n\
         default_client_limit = 20000\ndefault_vsz_limit = 4G\nmail_max_userip_connections = 5000\n{reusing}",
        certificate.display(),
        key.display(),
    );
    let path = place.join("dovecot.conf");
    fs::write(&path, configuration)?;
    let mut command = Command::new("/usr/sbin/dovecot");
    command.arg("-F").arg("-c").arg(path);
    Ok(command)
}
