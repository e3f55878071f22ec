//! What the command line and the configuration file decided, validated once, immutable after.

use super::source::Networks;
use crate::limits;
use crate::log::Sink;
use crate::session::capabilities::Withheld;
use crate::transport::signing::Files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Values of options by their long names, each with where it was said.
#[derive(Clone, Default, Debug)]
pub struct Settings(BTreeMap<String, Vec<Setting>>);

#[derive(Clone, Debug)]
struct Setting {
    value: String,
    /// Such as `--port` or `/etc/imapd.conf line 3`.
    origin: String,
}

/// What an option may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// No value; `yes` or `no` in the file.
    Switch,
    Once,
    Repeated,
}

/// Certificates, counted in an octet where they are asked for.
const MOST_CERTIFICATES: usize = 255;

/// The options that choose a mode. One on the command line puts those of the file out of force.
const MODES: [&str; 3] = ["fork", "inetd", "preauth"];

impl Settings {
    /// A further value of an option.
    pub fn add(&mut self, name: &str, value: String, origin: String) {
        self.0.entry(name.to_owned()).or_default().push(Setting { value, origin });
    }

    /// The lines of a configuration file: `name = value`, `#` comments and empty lines. `arity` knows the names.
    pub fn parse_file(path: &Path, text: &str, arity: impl Fn(&str) -> Option<Arity>) -> Result<Self, String> {
        let mut settings = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let origin = format!("{} line {}", path.display(), number + 1);
            let (name, value) = line.split_once('=').ok_or_else(|| format!("{origin}: expected name = value"))?;
            let (name, value) = (name.trim(), value.trim());
            let arity = arity(name).ok_or_else(|| format!("{origin}: there is no option {name}"))?;
            if arity != Arity::Repeated && settings.0.contains_key(name) {
                return Err(format!("{origin}: {name} is given twice"));
            }
            match (arity, value) {
                (Arity::Switch, "yes") => settings.add(name, String::new(), origin),
                (Arity::Switch, "no") => {}
                (Arity::Switch, _) => return Err(format!("{origin}: {name} is yes or no")),
                (_, "") => return Err(format!("{origin}: {name} needs a value")),
                (_, value) => settings.add(name, value.to_owned(), origin),
            }
        }
        Ok(settings)
    }

    /// These settings, and those of the file where these say nothing.
    pub fn over(mut self, file: Settings) -> Self {
        let mode_chosen = MODES.iter().any(|mode| self.has(mode));
        for (name, values) in file.0 {
            if !(mode_chosen && MODES.contains(&name.as_str())) {
                self.0.entry(name).or_insert(values);
            }
        }
        self
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.get(name).into_iter().flatten().map(|setting| setting.value.clone()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(|setting| setting.value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(Setting { value, origin }) = self.0.get(name).and_then(|settings| settings.last()) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| format!("{origin}: {value} is not a number that {name} can be"))
    }

    /// Absolute from here on: processes that serve a connection work in `/`.
    fn path(&self, name: &str) -> Result<Option<PathBuf>, String> {
        Ok(self.paths(name)?.pop())
    }

    /// Relative ones are of the directory of the start: processes work elsewhere.
    fn paths(&self, name: &str) -> Result<Vec<PathBuf>, String> {
        let settings = self.0.get(name).into_iter().flatten();
        settings
            .map(|Setting { value, origin }| {
                std::path::absolute(value).map_err(|error| format!("{origin}: {value:?} is no path: {error}"))
            })
            .collect()
    }
}

/// What this process is and was started with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    pub is_root: bool,
    /// Standard input, or the one socket that systemd handed over, is a connected socket.
    pub has_connection: bool,
}

/// How connections come, and what serves them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// One process, a thread for each connection.
    Threads,
    /// A process for each connection.
    Fork,
    /// One connection, on standard input.
    Inetd,
    /// One session on standard input and output, without login.
    PreAuth,
}

/// Where mail is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Storage {
    Memory,
    Maildir(Place),
}

/// Where a user's Maildir is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `~/Maildir`
    Home,
    /// In this directory, under the user's name.
    Shared(PathBuf),
}

/// Whether processes that talk to clients are shut in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sandbox {
    /// As far as the kernel can.
    On,
    /// Nobody is served where the kernel cannot.
    Require,
    /// They only give up their rights.
    Off,
}

/// Who knows the passwords.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Passwords {
    Pam {
        service: String,
    },
    File(PathBuf),
    /// User `test`, password `test`.
    Demo,
}

/// What was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub mode: Mode,
    /// Where the process is root and must become the user who logs in.
    pub becomes_user: bool,
    pub sandbox: Sandbox,
    pub hosts: Vec<String>,
    pub port: u16,
    /// A further port, for implicit TLS.
    pub tls_port: Option<u16>,
    /// TLS from the first octet on `port`, or on standard input.
    pub implicit_tls: bool,
    /// Certificates, each with its key; the first is for clients that ask for none by name. Empty: no TLS.
    pub tls_files: Vec<Files>,
    pub storage: Storage,
    /// Indexes are kept in this directory, under the users' names, instead of beside the mail.
    pub index_path: Option<PathBuf>,
    /// With mail to look at.
    pub demo: bool,
    pub passwords: Passwords,
    /// A PAM session is open while somebody is served.
    pub pam_session: bool,
    pub min_uid: u32,
    pub allow_cleartext: bool,
    pub withheld: Withheld,
    pub pidfile: Option<PathBuf>,
    /// Where processes that each serve one connection count how many they are.
    pub run_dir: PathBuf,
    /// `None`: what fits the mode.
    pub log: Option<Sink>,
    pub most: Most,
    /// Whose failures are not held against them.
    pub penalty_exempt: Networks,
    /// Who begins with a PROXY header.
    pub proxies: Networks,
}

/// How many connections there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Most {
    pub connections: usize,
    pub per_address: usize,
    pub per_address_before_login: usize,
    pub startups: Startups,
    pub per_user_and_address: usize,
    pub per_user: usize,
}

/// How many connections without login there may be from all addresses, as `START:RATE:FULL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Startups {
    /// With so many, some newcomers make one drop.
    pub start: usize,
    /// So many of a hundred, and more and more up to `full`.
    pub rate: usize,
    /// With so many, each does.
    pub full: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS,
            per_address: limits::CONNECTIONS_PER_ADDRESS,
            per_address_before_login: limits::CONNECTIONS_PER_ADDRESS_BEFORE_LOGIN,
            startups: Startups { start: limits::STARTUPS, rate: limits::STARTUPS_RATE, full: limits::STARTUPS_MOST },
            per_user_and_address: limits::SESSIONS_PER_USER_AND_ADDRESS,
            per_user: limits::SESSIONS_PER_USER,
        }
    }
}

impl Most {
    fn new(settings: &Settings) -> Result<Self, String> {
        let usual = Self::default();
        Ok(Self {
            connections: settings.number("max-connections")?.unwrap_or(usual.connections),
            per_address: settings.number("max-per-address")?.unwrap_or(usual.per_address),
            per_address_before_login: settings.number("max-before-login")?.unwrap_or(usual.per_address_before_login),
            startups: match settings.one("max-startups") {
                None => usual.startups,
                Some(text) => Startups::parse(text)
                    .ok_or_else(|| format!("--max-startups is START:RATE:FULL such as 100:30:400, not {text}"))?,
            },
            per_user_and_address: settings.number("max-per-user")?.unwrap_or(usual.per_user_and_address),
            per_user: settings.number("max-per-user-total")?.unwrap_or(usual.per_user),
        })
    }
}

impl Startups {
    fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<usize> = text.split(':').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let &[start, rate, full] = numbers.as_slice() else { return None };
        (start <= full && (1..=100).contains(&rate)).then_some(Self { start, rate, full })
    }
}

impl Config {
    /// The error is one line for the administrator.
    pub fn new(settings: &Settings, facts: Facts) -> Result<Self, String> {
        let mode = mode(settings, facts)?;
        let implicit_tls = settings.has("tls") && mode != Mode::PreAuth;
        let tls_port = settings.number("tls-port")?;
        let (certificates, keys) = (settings.paths("cert")?, settings.paths("key")?);
        let tls_files: Vec<Files> = match (certificates.len(), keys.len()) {
            // They are root's, and there is nothing to encrypt.
            _ if mode == Mode::PreAuth => Vec::new(),
            (0, 0) if settings.has("tls") => return Err("--tls needs --cert and --key".to_owned()),
            (0, 0) if tls_port.is_some() => return Err("--tls-port needs --cert and --key".to_owned()),
            (_, 0) if !certificates.is_empty() => return Err("--cert needs --key".to_owned()),
            (0, _) if !keys.is_empty() => return Err("--key needs --cert".to_owned()),
            (certificates, keys) if certificates != keys => {
                return Err("there must be as many --key as --cert, in the same order".to_owned());
            }
            (count, _) if count > MOST_CERTIFICATES => {
                return Err(format!("there may be {MOST_CERTIFICATES} certificates, not {count}"));
            }
            _ => certificates.into_iter().zip(keys).collect(),
        };
        let storage = storage(settings, facts, mode)?;
        let demo = settings.has("demo");
        if demo && storage != Storage::Memory {
            return Err("--demo needs --storage memory".to_owned());
        }
        let index_path = settings.path("index-path")?;
        if index_path.is_some() && storage == Storage::Memory {
            return Err("--index-path needs --storage maildir".to_owned());
        }
        if mode == Mode::Fork && !facts.is_root {
            return Err("--fork needs root".to_owned());
        }
        let passwords = match settings.path("passwd-file")? {
            Some(path) => Passwords::File(path),
            None if demo => Passwords::Demo,
            None => Passwords::Pam { service: settings.one("pam-service").unwrap_or("imapd").to_owned() },
        };
        let becomes_user = matches!(mode, Mode::Fork | Mode::Inetd) && facts.is_root && storage != Storage::Memory;
        // A tunnel is in the session of who has opened it.
        let pam_session = settings.has("pam-session") && mode != Mode::PreAuth;
        if pam_session && !matches!(passwords, Passwords::Pam { .. }) {
            return Err("--pam-session needs passwords that PAM checks".to_owned());
        }
        if pam_session && !becomes_user {
            return Err("--pam-session needs --fork, or --inetd as root with --storage maildir".to_owned());
        }
        let hosts = settings.all("host");
        Ok(Self {
            mode,
            sandbox: sandbox(settings)?,
            becomes_user,
            hosts: if hosts.is_empty() { vec!["127.0.0.1".to_owned()] } else { hosts },
            port: settings.number("port")?.unwrap_or(if implicit_tls { 993 } else { 143 }),
            tls_port,
            implicit_tls,
            tls_files,
            storage,
            index_path,
            demo,
            passwords,
            pam_session,
            min_uid: settings.number("min-uid")?.unwrap_or(limits::LOWEST_UID),
            allow_cleartext: settings.has("allow-cleartext"),
            withheld: Withheld::new(&settings.all("withhold")).map_err(|error| format!("--withhold: {error}"))?,
            pidfile: settings.path("pidfile")?,
            run_dir: settings.path("run-dir")?.unwrap_or_else(|| "/run/imapd".into()),
            log: match settings.one("log") {
                None => None,
                Some("stderr") => Some(Sink::Stderr),
                Some("syslog") => Some(Sink::Syslog),
                Some(other) => return Err(format!("--log is stderr or syslog, not {other}")),
            },
            most: Most::new(settings)?,
            penalty_exempt: networks(settings, "penalty-exempt")?,
            proxies: networks(settings, "proxy")?,
        })
    }
}

fn mode(settings: &Settings, facts: Facts) -> Result<Mode, String> {
    match MODES.map(|mode| settings.has(mode)) {
        [false, false, false] if facts.has_connection => Ok(Mode::Inetd),
        [false, false, false] => Ok(Mode::Threads),
        [true, false, false] => Ok(Mode::Fork),
        [false, true, false] => Ok(Mode::Inetd),
        [false, false, true] => Ok(Mode::PreAuth),
        _ => Err("only one of --fork, --inetd and --preauth can be given".to_owned()),
    }
}

fn sandbox(settings: &Settings) -> Result<Sandbox, String> {
    match settings.one("sandbox") {
        None | Some("on") => Ok(Sandbox::On),
        Some("require") => Ok(Sandbox::Require),
        Some("off") => Ok(Sandbox::Off),
        Some(other) => Err(format!("--sandbox is on, require or off, not {other}")),
    }
}

fn networks(settings: &Settings, name: &str) -> Result<Networks, String> {
    Networks::parse(&settings.all(name)).map_err(|error| format!("--{name}: {error}"))
}

fn storage(settings: &Settings, facts: Facts, mode: Mode) -> Result<Storage, String> {
    let at_home = match mode {
        Mode::Fork | Mode::PreAuth => true,
        Mode::Inetd => facts.is_root,
        Mode::Threads => false,
    };
    let place = match settings.path("maildir-path")? {
        Some(path) => Place::Shared(path),
        None if at_home => Place::Home,
        None => Place::Shared("/var/mail".into()),
    };
    match settings.one("storage") {
        Some("maildir") => Ok(Storage::Maildir(place)),
        // A tunnel to a mailbox that is empty and then forgotten would serve nobody.
        None if mode == Mode::PreAuth => Ok(Storage::Maildir(place)),
        None | Some("memory") if mode == Mode::Fork => Err("--fork needs --storage maildir".to_owned()),
        None | Some("memory") => Ok(Storage::Memory),
        Some(other) => Err(format!("--storage is memory or maildir, not {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Facts = Facts { is_root: false, has_connection: false };
    const ROOT: Facts = Facts { is_root: true, has_connection: false };

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.add(name, (*value).to_owned(), format!("--{name}"));
        }
        settings
    }

    fn config(pairs: &[(&str, &str)], facts: Facts) -> Result<Config, String> {
        Config::new(&settings(pairs), facts)
    }

    fn file(text: &str) -> Result<Settings, String> {
        Settings::parse_file(Path::new("f"), text, |name| match name {
            "port" => Some(Arity::Once),
            "host" => Some(Arity::Repeated),
            "tls" | "fork" => Some(Arity::Switch),
            _ => None,
        })
    }

    #[test]
    fn nothing_said_is_a_single_process_on_loopback() {
        let config = config(&[], ROOT).unwrap();
        assert_eq!((config.mode, config.port, config.hosts), (Mode::Threads, 143, vec!["127.0.0.1".to_owned()]));
        assert_eq!(config.storage, Storage::Memory);
        assert!(!config.becomes_user);
    }

    #[test]
    fn tls_moves_the_port_and_needs_its_files() {
        let tls = [("tls", ""), ("cert", "c"), ("key", "k")];
        assert_eq!(config(&tls, USER).unwrap().port, 993);
        let two = [("cert", "/a"), ("key", "/b"), ("cert", "/c"), ("key", "/d")];
        let pairs = [("/a".into(), "/b".into()), ("/c".into(), "/d".into())];
        assert_eq!(config(&two, USER).unwrap().tls_files, pairs);
        assert!(config(&two[..3], USER).unwrap_err().contains("as many"));
        for missing in [&tls[..1], &tls[..2], &tls[1..2], &[("tls-port", "993")]] {
            assert!(config(missing, USER).unwrap_err().contains("needs"), "{missing:?}");
        }
    }

    #[test]
    fn fork_needs_root_and_maildir() {
        assert_eq!(config(&[("fork", "")], ROOT).unwrap_err(), "--fork needs --storage maildir");
        assert_eq!(config(&[("fork", ""), ("storage", "memory")], ROOT).unwrap_err(), "--fork needs --storage maildir");
        assert_eq!(config(&[("fork", ""), ("storage", "maildir")], USER).unwrap_err(), "--fork needs root");
        let config = config(&[("fork", ""), ("storage", "maildir")], ROOT).unwrap();
        assert!(config.becomes_user);
        assert_eq!(config.storage, Storage::Maildir(Place::Home));
    }

    #[test]
    fn a_pam_session_needs_pam_and_a_process_that_becomes_the_user() {
        let session = ("pam-session", "");
        let maildir = ("storage", "maildir");
        for mode in ["fork", "inetd"] {
            assert!(config(&[session, (mode, ""), maildir], ROOT).unwrap().pam_session);
            assert!(!config(&[(mode, ""), maildir], ROOT).unwrap().pam_session);
            let file = config(&[session, (mode, ""), maildir, ("passwd-file", "f")], ROOT).unwrap_err();
            assert_eq!(file, "--pam-session needs passwords that PAM checks");
        }
        for (pairs, facts) in [
            (&[session][..], ROOT),
            (&[session, maildir], ROOT),
            (&[session, ("inetd", "")], ROOT),
            (&[session, ("inetd", ""), maildir], USER),
        ] {
            let error = config(pairs, facts).unwrap_err();
            assert_eq!(error, "--pam-session needs --fork, or --inetd as root with --storage maildir", "{pairs:?}");
        }
        // The file of a machine may say so, and a user of it open a tunnel.
        assert!(!config(&[session, ("preauth", "")], USER).unwrap().pam_session);
    }

    #[test]
    fn a_single_process_keeps_maildirs_in_var_mail() {
        let config = config(&[("storage", "maildir")], USER).unwrap();
        assert_eq!(config.storage, Storage::Maildir(Place::Shared("/var/mail".into())));
    }

    #[test]
    fn a_socket_as_standard_input_is_inetd() {
        let facts = Facts { is_root: true, has_connection: true };
        assert_eq!(config(&[("storage", "maildir")], facts).unwrap().mode, Mode::Inetd);
        assert_eq!(config(&[("storage", "maildir"), ("fork", "")], facts).unwrap().mode, Mode::Fork);
    }

    #[test]
    fn a_file_is_read_with_line_numbers() {
        let settings = file("# x\n\n port = 1143\nhost=::1\nhost = a\ntls = no\n").unwrap();
        let config = Config::new(&settings, USER).unwrap();
        assert_eq!((config.port, config.hosts), (1143, vec!["::1".to_owned(), "a".to_owned()]));
        assert_eq!(file("\nprot = 1").unwrap_err(), "f line 2: there is no option prot");
        assert_eq!(file("port = 1\nport = 2").unwrap_err(), "f line 2: port is given twice");
        assert!(file("tls = maybe").unwrap_err().starts_with("f line 1: "));
        assert!(file("tls").unwrap_err().starts_with("f line 1: "));
        let settings = file("port = 99999").unwrap();
        assert!(Config::new(&settings, USER).unwrap_err().starts_with("f line 1: "));
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = settings(&[("fork", ""), ("port", "1"), ("storage", "maildir")]);
        let merged = settings(&[("inetd", ""), ("port", "2")]).over(file);
        let config = Config::new(&merged, ROOT).unwrap();
        assert_eq!((config.mode, config.port), (Mode::Inetd, 2));
        assert_eq!(config.storage, Storage::Maildir(Place::Home));
    }

    #[test]
    fn capabilities_are_withheld_by_name() {
        assert_ne!(config(&[("withhold", "MOVE"), ("withhold", "idle")], USER).unwrap().withheld, Withheld::default());
        assert_eq!(
            config(&[("withhold", "MOV")], USER).unwrap_err(),
            "--withhold: MOV is no capability that can be withheld"
        );
    }

    #[test]
    fn an_index_elsewhere_needs_mail_on_disk() {
        let elsewhere = ("index-path", "/var/cache/imapd");
        assert_eq!(config(&[elsewhere], USER).unwrap_err(), "--index-path needs --storage maildir");
        let config = config(&[elsewhere, ("storage", "maildir")], USER).unwrap();
        assert_eq!(config.index_path.as_deref(), Some(Path::new("/var/cache/imapd")));
    }

    #[test]
    fn paths_are_absolute() {
        let here = std::env::current_dir().unwrap();
        let names = ["cert", "key", "maildir-path", "index-path", "passwd-file", "pidfile", "run-dir"];
        let pairs: Vec<_> = [("storage", "maildir")].into_iter().chain(names.map(|name| (name, name))).collect();
        let config = config(&pairs, USER).unwrap();
        let place = |name: &str| here.join(name);
        assert_eq!(config.tls_files, [(place("cert"), place("key"))]);
        assert_eq!(config.storage, Storage::Maildir(Place::Shared(place("maildir-path"))));
        assert_eq!(config.index_path, Some(place("index-path")));
        assert_eq!(config.passwords, Passwords::File(place("passwd-file")));
        assert_eq!((config.pidfile, config.run_dir), (Some(place("pidfile")), place("run-dir")));
        let nothing = self::config(&[("pidfile", "")], USER).unwrap_err();
        assert!(nothing.starts_with("--pidfile: \"\" is no path"), "{nothing}");
    }

    #[test]
    fn startups_and_networks_are_understood_or_refused() {
        let made = config(&[("max-startups", "10:50:20"), ("proxy", "10.0.0.0/8"), ("proxy", "::1")], USER).unwrap();
        assert_eq!(made.most.startups, Startups { start: 10, rate: 50, full: 20 });
        assert!(made.proxies.hold("::1".parse().ok()) && made.proxies.hold("10.1.1.1".parse().ok()));
        for wrong in ["", "10", "10:30", "10:30:5", "10:0:20", "10:101:20", "10:30:20:1", "a:b:c", "-1:30:20"] {
            assert!(config(&[("max-startups", wrong)], USER).unwrap_err().starts_with("--max-startups is"), "{wrong}");
        }
        let wrong = config(&[("penalty-exempt", "10.0.0.1/8")], USER).unwrap_err();
        assert!(wrong.starts_with("--penalty-exempt: 10.0.0.1/8 has"), "{wrong}");
    }

    #[test]
    fn an_unknown_storage_is_an_error() {
        assert_eq!(config(&[("storage", "mbox")], USER).unwrap_err(), "--storage is memory or maildir, not mbox");
    }
}
