//! What one connection goes through in every mode: TLS, login, becoming the user where that is to be, opening the mail,
//! the session.

use super::config::{Config, Passwords, Place, Sandbox, Storage};
use super::listener::Protocol;
use super::privilege;
use crate::auth::demo::Demo;
use crate::auth::pam::Pam;
use crate::auth::pam_session::PamSession;
use crate::auth::passwd_file::{PasswdFile, PasswdFileApart};
use crate::auth::{Account, Accounts, Authenticator, Peer, Recorded};
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::session::capabilities::Withheld;
use crate::session::channel::Channel;
use crate::session::login::{LoginOutcome, LoginPolicy, handshake_failed, login};
use crate::session::{Greeting, Session, SessionOptions, refuse};
use crate::storage::maildir::{self, IndexPlace, MaildirOptions};
use crate::storage::memory::MemoryServer;
use crate::storage::{MailStore, StoreError};
use crate::sys::socket;
use crate::transport::Stream;
use crate::transport::tls::TlsConfig;
use crate::transport::wait::Stop;
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
    pub becomes_user: bool,
    /// What is to be open while somebody is served.
    pub pam_session: Option<PamSession>,
    pub sandbox: Sandbox,
    pub offer: Offer,
}

/// What is offered before login, as far as the configuration says.
#[derive(Clone)]
pub struct Offer {
    allow_cleartext: bool,
    pub withheld: Withheld,
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
            becomes_user: config.becomes_user,
            pam_session,
            sandbox: config.sandbox,
            offer: Offer { allow_cleartext: config.allow_cleartext, withheld: config.withheld.clone() },
        })
    }

    /// What the administrator will probably not want. PAM itself says nothing of a service that it does not know: it
    /// takes the rules of `other`.
    pub fn warning(&self) -> Option<String> {
        let Authentication::Pam(Pam { service, .. }) = &self.authentication else { return None };
        let known =
            ["/etc/pam.d", "/usr/lib/pam.d"].iter().any(|directory| Path::new(directory).join(service).exists());
        if known { None } else { Some(format!("there is no PAM service {service} in /etc/pam.d")) }
    }

    /// Checks passwords, and tells the log of those that are wrong.
    pub fn authenticator(&self) -> Box<dyn Authenticator> {
        match &self.authentication {
            Authentication::Pam(pam) => Box::new(Recorded(pam.clone())),
            Authentication::File(file) => Box::new(Recorded(file.clone())),
            Authentication::FileApart(file) => Box::new(Recorded(file.clone())),
            Authentication::Demo(demo) => Box::new(Recorded(*demo)),
        }
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
        let (store, directories) = match &self.storage {
            Storage::Memory => (Ok(self.memory.store(&account.name)), Vec::new()),
            Storage::Maildir(place) => match self.options(place, account) {
                Ok(options) => {
                    let (root, index) = (options.root.clone(), options.index.clone());
                    let store = maildir::open(options);
                    let index = if let IndexPlace::Directory(path) = &index { Some(path.as_path()) } else { None };
                    let directories = match &store {
                        Ok(_) => privilege::session_directories(&root, index),
                        Err(_) => Vec::new(),
                    };
                    (store, directories)
                }
                Err(error) => (Err(error), Vec::new()),
            },
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
                let Client { peer, protocol } = client;
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
        let peer = socket.peer_addr().ok().map(peer).unwrap_or_default();
        if peer.address.is_some() {
            // Answers are written whole: waiting to fill packets would only delay them. Neither fails for a TCP socket.
            let _ = socket.set_nodelay(true);
            socket::keep_alive(&socket);
        }
        Self { socket: socket.into(), peer, protocol }
    }
}

fn peer(address: SocketAddr) -> Peer {
    Peer { address: Some(address.ip().to_canonical()), port: address.port() }
}

/// Serves a connection to its end. `admit` is asked once somebody has logged in, and says whether there may be one more
/// session of that user.
pub fn serve(
    connection: Connection,
    service: &Service,
    tls: Option<TlsConfig>,
    stop: Stop,
    admit: &mut dyn FnMut(&Account) -> bool,
) {
    let Connection { socket, peer, protocol } = connection;
    let client = Client { peer, protocol };
    let mut authenticator = service.authenticator();
    let (account, channel, tag) =
        match welcome(socket, &client, &service.offer, tls.as_ref(), stop, &mut *authenticator) {
            LoginOutcome::LoggedIn { account, channel, tag } => (account, channel, tag),
            LoginOutcome::Ended(reason) => return client.log_end(&reason),
        };
    // With it goes the way to the private key.
    drop(tls);
    let greeting = Greeting::LoggedIn(tag);
    if !admit(&account) {
        return refuse(channel, &greeting, &client.too_many_sessions(&account));
    }
    if service.becomes_user
        && let Err(error) = privilege::become_user(&account)
    {
        log!(Level::Error, "cannot become the user user={}: {error}", Quoted(account.name.as_bytes()));
        return refuse(channel, &greeting, &StoreError::Io(error));
    }
    let store = service.open(&account);
    service.run(channel, store, account, client, greeting);
}

/// Who is at the other end, as the log shows it.
pub struct Client {
    pub peer: Peer,
    pub protocol: Protocol,
}

impl Client {
    /// The account's name as the log shows it.
    pub fn shown<'a>(&self, account: &'a Account) -> Quoted<'a> {
        Quoted(account.name.as_bytes())
    }

    /// A connection ended before anybody had logged in.
    pub fn log_end(&self, reason: &str) {
        log!(Level::Info, "No login host=[{}] service={} reason={reason}", self.peer.host(), self.protocol.name());
    }

    /// The user has too many sessions: logs it, and gives what the client is told.
    pub fn too_many_sessions(&self, account: &Account) -> StoreError {
        let user = Quoted(account.name.as_bytes());
        log!(Level::Warning, "Too many sessions user={user} host=[{}]", self.peer.host());
        StoreError::Limit("too many sessions of this user")
    }
}

/// Everything before login: TLS where it comes first, the greeting, the dialogue.
pub fn welcome(
    socket: OwnedFd,
    client: &Client,
    offer: &Offer,
    tls: Option<&TlsConfig>,
    stop: Stop,
    authenticator: &mut dyn Authenticator,
) -> LoginOutcome {
    let stream = match stream(socket, client.protocol, tls) {
        Ok(stream) => stream,
        Err(error) => return LoginOutcome::Ended(handshake_failed(&error)),
    };
    let is_near = client.peer.address.is_none_or(|address| address.is_loopback());
    let policy = LoginPolicy {
        tls: if stream.is_tls() { None } else { tls },
        cleartext_allowed: stream.is_tls() || is_near || offer.allow_cleartext,
        withheld: &offer.withheld,
        peer: client.peer.clone(),
    };
    login(Channel::new(stream, stop), &policy, authenticator)
}

fn stream(socket: OwnedFd, protocol: Protocol, tls: Option<&TlsConfig>) -> io::Result<Stream> {
    let stream = Stream::socket(socket)?;
    match (protocol, tls) {
        (Protocol::Imap, _) => Ok(stream),
        (Protocol::Imaps, Some(tls)) => stream.start_tls(tls, Instant::now() + limits::TIME_OF_HANDSHAKE),
        (Protocol::Imaps, None) => Err(io::Error::other("there is no certificate")),
    }
}
