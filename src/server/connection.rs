//! What one connection goes through in every mode: TLS, login, becoming the user where that is to be, opening the mail,
//! the session.

use super::accept;
use super::config::{Config, Passwords, Place, Sandbox, Storage};
use super::delay::Delayed;
use super::listener::Protocol;
use super::privilege;
use super::reports::Overseer;
use super::source::Networks;
use crate::auth::demo::Demo;
use crate::auth::pam::Pam;
use crate::auth::pam_session::PamSession;
use crate::auth::passwd_file::{PasswdFile, PasswdFileApart};
use crate::auth::{Account, Accounts, Authenticator, Peer, Recorded};
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::session::capabilities::Withheld;
use crate::session::channel::Channel;
use crate::session::login::{Ended, Ending, HANDSHAKE, LoginOutcome, LoginPolicy, login};
use crate::session::{Greeting, Session, SessionOptions, refuse};
use crate::storage::maildir::{self, IndexPlace, MaildirOptions};
use crate::storage::memory::MemoryServer;
use crate::storage::{MailStore, StoreError};
use crate::sys::socket;
use crate::sys::user::{self, Unprivileged};
use crate::transport::tls::TlsConfig;
use crate::transport::wait::Stop;
use crate::transport::{Stream, proxy};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What connections need of the configuration. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    authentication: Authentication,
    pub storage: Storage,
    index_path: Option<PathBuf>,
    memory: MemoryServer,
    /// What is to be open while somebody is served.
    pub pam_session: Option<PamSession>,
    pub sandbox: Sandbox,
    /// Whom gates become, where the process that serves a connection becomes the user. Looked up once: it takes longer than all else.
    pub unprivileged: Option<Unprivileged>,
    pub offer: Offer,
}

/// What is offered before login, as far as the configuration says.
#[derive(Clone)]
pub struct Offer {
    allow_cleartext: bool,
    pub withheld: Withheld,
    proxies: Networks,
}

impl Offer {
    /// Whether this client is a proxy, which says for whom it is here.
    pub fn expects_proxy_header(&self, peer: &Peer) -> bool {
        self.proxies.hold(peer.address)
    }
}

#[derive(Clone)]
enum Authentication {
    Pam(Pam),
    File(PasswdFile),
    FileApart(PasswdFileApart),
    Demo(Demo),
}

impl Service {
    /// The error is one line for the administrator.
    pub fn new(config: &Config) -> Result<Self, String> {
        let accounts = if config.becomes_user { Accounts::Unix { min_uid: config.min_uid } } else { Accounts::Any };
        let pam_session = match &config.passwords {
            Passwords::Pam { service } if config.pam_session => Some(PamSession { service: service.clone() }),
            _ => None,
        };
        let authentication = match &config.passwords {
            Passwords::Pam { service } => {
                Authentication::Pam(Pam { service: service.clone(), min_uid: config.min_uid, accounts })
            }
            Passwords::File(path) if config.becomes_user => {
                Authentication::FileApart(PasswdFileApart::load(path, accounts)?)
            }
            Passwords::File(path) => Authentication::File(PasswdFile::load(path, accounts)?),
            Passwords::Demo => Authentication::Demo(Demo),
        };
        let unprivileged = config.becomes_user.then(user::unprivileged).transpose();
        let unprivileged = unprivileged.map_err(|error| format!("cannot look up accounts: {error}"))?;
        if let Storage::Maildir(Place::Shared(path)) = &config.storage
            && !path.is_dir()
        {
            return Err(format!("--maildir-path {} is not a directory", path.display()));
        }
        if let Some(path) = &config.index_path
            && !path.is_dir()
        {
            return Err(format!("--index-path {} is not a directory", path.display()));
        }
        Ok(Self {
            authentication,
            storage: config.storage.clone(),
            index_path: config.index_path.clone(),
            memory: if config.demo { MemoryServer::demo() } else { MemoryServer::new() },
            pam_session,
            sandbox: config.sandbox,
            unprivileged,
            offer: Offer {
                allow_cleartext: config.allow_cleartext,
                withheld: config.withheld.clone(),
                proxies: config.proxies.clone(),
            },
        })
    }

    /// What the administrator will probably not want. PAM itself says nothing of a service that it does not know: it
    /// takes the rules of `other`.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> =
            self.unprivileged.iter().filter_map(|account| account.warning.clone()).collect();
        if let Authentication::Pam(Pam { service, .. }) = &self.authentication
            && !["/etc/pam.d", "/usr/lib/pam.d"].iter().any(|directory| Path::new(directory).join(service).exists())
        {
            warnings.push(format!("there is no PAM service {service} in /etc/pam.d"));
        }
        warnings
    }

    /// Whether the process that serves a connection becomes the user, behind a gate.
    pub fn becomes_user(&self) -> bool {
        self.unprivileged.is_some()
    }

    /// Checks passwords, and tells the log of those that are wrong.
    pub fn authenticator(&self) -> Box<dyn Authenticator> {
        let authenticator: Box<dyn Authenticator> = match &self.authentication {
            Authentication::Pam(pam) => Box::new(pam.clone()),
            Authentication::File(file) => Box::new(file.clone()),
            Authentication::FileApart(file) => Box::new(file.clone()),
            Authentication::Demo(demo) => Box::new(*demo),
        };
        Box::new(Recorded(authenticator))
    }

    /// The mail of this account, in the identity that this process now has.
    pub fn open(&self, account: &Account) -> Result<Box<dyn MailStore>, StoreError> {
        match &self.storage {
            Storage::Memory => Ok(self.memory.store(&account.name)),
            Storage::Maildir(place) => maildir::open(self.options(place, account)?),
        }
    }

    /// The same, and from then on this process can do nothing but work with that mail. The error is not of the mail: nobody is to be served.
    pub fn open_shut_in(&self, account: &Account) -> io::Result<Result<Box<dyn MailStore>, StoreError>> {
        let mut directories = Vec::new();
        let store = match &self.storage {
            Storage::Memory => Ok(self.memory.store(&account.name)),
            Storage::Maildir(place) => self.options(place, account).and_then(|options| {
                let (root, index) = (options.root.clone(), options.index.clone());
                let store = maildir::open(options)?;
                let index = if let IndexPlace::Directory(path) = &index { Some(path.as_path()) } else { None };
                directories = privilege::session_directories(&root, index);
                Ok(store)
            }),
        };
        if self.sandbox != Sandbox::Off {
            privilege::shut_in_session(&directories)?;
        }
        Ok(store)
    }

    fn options(&self, place: &Place, account: &Account) -> Result<MaildirOptions, StoreError> {
        let root = privilege::maildir(place, account)?;
        Ok(MaildirOptions { root, create: true, index: self.index_place(account) })
    }

    /// The session of somebody who has logged in, to its end.
    pub fn run(
        &self,
        channel: Channel,
        store: Result<Box<dyn MailStore>, StoreError>,
        account: Account,
        client: Client,
        greeting: Greeting,
    ) {
        match store {
            Ok(store) => {
                let Client { peer, protocol, .. } = client;
                let withheld = self.offer.withheld.clone();
                let options = SessionOptions { user: account.name, peer, service: protocol.name(), withheld, greeting };
                Session::new(channel, store, options).run();
            }
            Err(error) => {
                log!(Level::Error, "cannot open the mail user={}: {error}", Quoted(account.name.as_bytes()));
                refuse(channel, &greeting, &error);
            }
        }
    }

    /// Where the index of this account's mail is kept. A place that cannot be used costs time, not the session.
    fn index_place(&self, account: &Account) -> IndexPlace {
        let Some(base) = &self.index_path else { return IndexPlace::InRoot };
        match privilege::index_directory(base, account) {
            Ok(directory) => IndexPlace::Directory(directory),
            Err(error) => {
                let user = Quoted(account.name.as_bytes());
                log!(Level::Warning, "no index, this session goes without: {error} user={user}");
                IndexPlace::InMemory
            }
        }
    }
}

/// A client and how it came.
pub struct Connection {
    pub socket: OwnedFd,
    pub peer: Peer,
    pub protocol: Protocol,
}

impl Connection {
    /// Asks the socket who is at its other end.
    pub fn new(socket: OwnedFd, protocol: Protocol) -> Self {
        let socket = TcpStream::from(socket);
        // A client without an address (a Unix socket) is on this machine.
        let peer = socket.peer_addr().ok().map(peer_at).unwrap_or_default();
        if peer.address.is_some() {
            // Answers are written whole: waiting to fill packets would only delay them. Neither fails for a TCP socket.
            let _ = socket.set_nodelay(true);
            socket::keep_alive(&socket);
        }
        Self { socket: socket.into(), peer, protocol }
    }
}

fn peer_at(address: SocketAddr) -> Peer {
    Peer { address: Some(address.ip().to_canonical()), port: address.port() }
}

/// Serves a connection to its end, and says how that was if nobody has logged in. `overseer` is told what happens.
pub fn serve(
    connection: Connection,
    service: &Service,
    tls: Option<TlsConfig>,
    stop: Stop,
    overseer: &mut dyn Overseer,
) -> Ending {
    let Connection { socket, peer, protocol } = connection;
    let mut client = Client::new(peer, protocol);
    let arrived = arrive(socket, &mut client, &service.offer, &stop, &mut |address| overseer.from(address.ip()));
    let outcome = match arrived {
        Ok(stream) => {
            let mut authenticator = Delayed { authenticator: service.authenticator(), overseer, stop: stop.clone() };
            welcome(stream, &client, &service.offer, tls.as_ref(), stop, &mut authenticator)
        }
        Err(ended) => LoginOutcome::Ended(ended),
    };
    let (account, channel, tag) = match outcome {
        LoginOutcome::LoggedIn { account, channel, tag } => (account, channel, tag),
        LoginOutcome::Ended(Ended { reason, ending }) => {
            client.log_end(&reason);
            return ending;
        }
    };
    // With it goes the private key.
    drop(tls);
    let greeting = Greeting::LoggedIn(tag);
    if !overseer.logged_in(&account.name) {
        refuse(channel, &greeting, &client.too_many_sessions(&account));
        return Ending::InOrder;
    }
    let store = service.open(&account);
    service.run(channel, store, account, client, greeting);
    Ending::InOrder
}

fn is_local(peer: &Peer) -> bool {
    peer.address.is_none_or(|address| address.is_loopback())
}

/// Who is at the other end, as the log shows it.
#[derive(Clone)]
pub struct Client {
    /// By the word of a proxy where it came through one.
    pub peer: Peer,
    pub protocol: Protocol,
    /// Nobody can have listened on the way. Who is near to a proxy is not near to us.
    pub is_near: bool,
}

impl Client {
    pub fn new(peer: Peer, protocol: Protocol) -> Self {
        Self { is_near: is_local(&peer), peer, protocol }
    }

    /// A proxy says that this is the client.
    pub fn set_peer(&mut self, address: SocketAddr) {
        self.peer = peer_at(address);
        self.is_near &= is_local(&self.peer);
    }

    /// A connection ended before anybody had logged in.
    pub fn log_end(&self, reason: &str) {
        // By the word of a gate, which may have been taken over: it forges no field of the line.
        let reason = reason.replace(['[', ']', '='], "?");
        log!(Level::Info, "No login host=[{}] service={} reason={reason}", self.peer.host(), self.protocol.name());
    }

    /// The user has too many sessions: logs it, and gives what the client is told.
    pub fn too_many_sessions(&self, account: &Account) -> StoreError {
        let user = Quoted(account.name.as_bytes());
        log!(Level::Warning, "Too many sessions user={user} host=[{}]", self.peer.host());
        StoreError::Limit("too many sessions of this user")
    }
}

/// What comes before all else: the header of a proxy, if this is one. `from` is told who the client is then, and may say
/// why there is to be no connection from there.
pub fn arrive(
    socket: OwnedFd,
    client: &mut Client,
    offer: &Offer,
    stop: &Stop,
    from: &mut dyn FnMut(SocketAddr) -> Result<(), String>,
) -> Result<Stream, Ended> {
    let failed = |error: &io::Error| Ended::before_greeting("PROXY header", error);
    let mut stream = Stream::socket(socket).map_err(|error| failed(&error))?;
    if !offer.expects_proxy_header(&client.peer) {
        return Ok(stream);
    }
    let deadline = Instant::now() + limits::TIME_OF_HANDSHAKE;
    let header = proxy::read(&mut stream, stop, deadline).map_err(|error| failed(&error))?;
    if let Some(address) = header.client {
        client.set_peer(address);
    }
    // A proxy that speaks for itself, such as to see whether we are there, counts as itself.
    let peer = client.peer.address.map(|address| SocketAddr::new(address, client.peer.port));
    if let Some(Err(reason)) = peer.map(from) {
        if client.protocol == Protocol::Imap {
            // A client that is gone need not hear it.
            let _ = stream.write_all(accept::refusal(&reason).as_bytes());
            stream.close();
        }
        return Err(Ended { reason, ending: Ending::InOrder });
    }
    Ok(stream)
}

/// Everything before login: TLS where it comes first, the greeting, the dialogue.
pub fn welcome(
    stream: Stream,
    client: &Client,
    offer: &Offer,
    tls: Option<&TlsConfig>,
    stop: Stop,
    authenticator: &mut dyn Authenticator,
) -> LoginOutcome {
    let stream = match secured(stream, client.protocol, tls) {
        Ok(stream) => stream,
        Err(error) => return LoginOutcome::Ended(Ended::before_greeting(HANDSHAKE, &error)),
    };
    let policy = LoginPolicy {
        tls: if stream.is_tls() { None } else { tls },
        cleartext_allowed: stream.is_tls() || client.is_near || offer.allow_cleartext,
        withheld: &offer.withheld,
        peer: client.peer.clone(),
    };
    login(Channel::new(stream, stop), &policy, authenticator)
}

fn secured(stream: Stream, protocol: Protocol, tls: Option<&TlsConfig>) -> io::Result<Stream> {
    match (protocol, tls) {
        (Protocol::Imap, _) => Ok(stream),
        (Protocol::Imaps, Some(tls)) => stream.start_tls(tls, Instant::now() + limits::TIME_OF_HANDSHAKE),
        (Protocol::Imaps, None) => Err(io::Error::other("there is no certificate")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Facts, Settings};
    use super::*;
    use crate::auth::UnixAccount;
    use crate::sys::credentials;
    use crate::sys::process::{self, Ended, Forked};
    use std::fs;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// A user with mail, another whose mail everybody may read, and the server's files: only what shuts a session in keeps it from them.
    struct Place {
        here: tempfile::TempDir,
        server: TcpListener,
    }

    const UID: u32 = 54321;

    impl Place {
        fn new() -> Self {
            let place = Self { here: tempfile::tempdir().unwrap(), server: TcpListener::bind("127.0.0.1:0").unwrap() };
            for directory in
                ["", "al", "al/Maildir", "al/Maildir/cur", "al/Maildir/new", "al/Maildir/tmp", "bo", "bo/cur"]
            {
                let path = place.at(directory);
                let _ = fs::create_dir(&path);
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                chown(&path, Some(UID), Some(UID)).unwrap();
            }
            for file in ["al/Maildir/cur/1:2,", "al/.profile", "bo/cur/1:2,", "key"] {
                fs::write(place.at(file), "text").unwrap();
                chown(place.at(file), Some(UID), Some(UID)).unwrap();
            }
            place
        }

        fn at(&self, path: &str) -> PathBuf {
            self.here.path().join(path)
        }

        /// How a session ends in which this is done as the daemon does it.
        fn session(&self, act: fn(&Self) -> io::Result<()>) -> Ended {
            let mut settings = Settings::default();
            for (name, value) in [("fork", ""), ("storage", "maildir"), ("sandbox", "on")] {
                settings.add(name, value.to_owned(), String::new());
            }
            let config = Config::new(&settings, Facts { is_root: true, has_connection: false }).unwrap();
            let service = Service::new(&config).unwrap();
            let unix = Some(UnixAccount { uid: UID, gid: UID, home: self.at("al") });
            let account = Account { name: "al".to_owned(), unix };
            match process::fork().unwrap() {
                Forked::Child => {
                    let ready = privilege::become_user(&account).is_ok();
                    let store = service.open_shut_in(&account);
                    let code = match store {
                        Ok(Ok(_)) if ready => match act(self) {
                            Ok(()) => DONE,
                            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => REFUSED,
                            Err(_) => 2,
                        },
                        _ => 3,
                    };
                    process::exit_now(code)
                }
                Forked::Parent(child) => process::wait_for(child).unwrap(),
            }
        }
    }

    const DONE: i32 = 0;
    const REFUSED: i32 = 1;
    /// SIGSYS
    const KILLED: Ended = Ended::Signal(31);

    type Act = fn(&Place) -> io::Result<()>;

    #[test]
    fn a_session_that_was_taken_over_has_its_users_mail_and_nothing_else() {
        if !credentials::is_root() || privilege::check_sandbox(Sandbox::Require).is_err() {
            return;
        }
        let place = Place::new();
        let own: &[(&str, Act)] = &[
            ("read a message", |place| fs::read(place.at("al/Maildir/cur/1:2,")).map(drop)),
            ("store one", |place| fs::write(place.at("al/Maildir/tmp/2"), "x")),
            ("make a folder", |place| fs::create_dir(place.at("al/Maildir/.x"))),
        ];
        let refused: &[(&str, Act)] = &[
            ("read what everybody may", |_| fs::read("/etc/passwd").map(drop)),
            ("read another's mail", |place| fs::read(place.at("bo/cur/1:2,")).map(drop)),
            ("list another's mail", |place| fs::read_dir(place.at("bo/cur")).map(drop)),
            ("write another's mail", |place| fs::write(place.at("bo/cur/2"), "x")),
            ("remove another's mail", |place| fs::remove_file(place.at("bo/cur/1:2,"))),
            ("read a key of the server", |place| fs::read(place.at("key")).map(drop)),
            ("write what a shell runs", |place| fs::write(place.at("al/.profile"), "x")),
            ("make a link", |place| symlink(place.at("bo"), place.at("al/Maildir/.bo"))),
            ("look into itself", |_| fs::read("/proc/self/maps").map(drop)),
            ("connect", |place| TcpStream::connect(place.server.local_addr()?).map(drop)),
            ("send a packet", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
            ("speak to the log", |_| UnixStream::connect("/dev/log").map(drop)),
            ("make a process", |_| process::fork().map(drop)),
        ];
        let killed: &[(&str, Act)] = &[
            ("run a program", |_| Err(Command::new("/bin/true").exec())),
            ("become another", |_| credentials::become_user(UID + 1, UID + 1, &[])),
        ];
        let acts = [(own, Ended::Exit(DONE)), (refused, Ended::Exit(REFUSED)), (killed, KILLED)];
        for (acts, expected) in acts {
            for (what, act) in acts {
                assert_eq!(place.session(*act), expected, "{what}");
            }
        }
        assert_eq!(fs::read_to_string(place.at("bo/cur/1:2,")).unwrap(), "text");
    }
}
