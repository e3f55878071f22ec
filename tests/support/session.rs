//! Sessions in process, each over a socket pair in a thread of its own, on either store.

use super::client::Client;
use super::keeping::Shelf;
use imapd::testing::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use imapd::testing::session::capabilities::Withheld;
use imapd::testing::session::channel::Channel;
use imapd::testing::session::login::{LoginOutcome, LoginPolicy, login};
use imapd::testing::session::{Greeting, Session, SessionOptions};
use imapd::testing::storage::MailStore;
use imapd::testing::storage::maildir::{self, IndexPlace, MaildirOptions};
use imapd::testing::storage::memory::MemoryServer;
use imapd::testing::transport::Stream;
use imapd::testing::transport::tls::TlsConfig;
use imapd::testing::transport::wait::Stop;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may say nothing before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The mail of user `test`, whose password is `test`.
pub struct Server {
    mail: Mail,
    tls: Option<TlsConfig>,
    withheld: Withheld,
    shelf: Option<Shelf>,
}

enum Mail {
    Memory(MemoryServer),
    Maildir(TempDir),
}

impl Server {
    pub fn memory() -> Self {
        Self { mail: Mail::Memory(MemoryServer::new()), tls: None, withheld: Withheld::default(), shelf: None }
    }

    pub fn maildir() -> Self {
        Self { mail: Mail::Maildir(TempDir::new().unwrap()), tls: None, withheld: Withheld::default(), shelf: None }
    }

    /// The mail that `--demo` shows.
    pub fn demo() -> Self {
        Self { mail: Mail::Memory(MemoryServer::demo()), tls: None, withheld: Withheld::default(), shelf: None }
    }

    /// With a certificate, so that STARTTLS is offered, and passwords in the clear are not taken.
    pub fn with_tls(self, tls: TlsConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Keeps what sessions give it to keep, see [`Server::shelf`].
    pub fn keeping(self) -> Self {
        Self { shelf: Some(Shelf::default()), ..self }
    }

    /// What is kept.
    pub fn shelf(&self) -> Shelf {
        self.shelf.clone().unwrap()
    }

    /// Without these capabilities.
    pub fn withholding(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Self { withheld: Withheld::new(&names).unwrap(), ..self }
    }

    /// Where the mail is, if it is on disk.
    pub fn root(&self) -> Option<PathBuf> {
        match &self.mail {
            Mail::Memory(_) => None,
            Mail::Maildir(directory) => Some(directory.path().join("Maildir")),
        }
    }

    /// The mail as a further session sees it.
    pub fn store(&self) -> Box<dyn MailStore> {
        self.opener()()
    }

    fn opener(&self) -> Box<dyn FnOnce() -> Box<dyn MailStore> + Send> {
        let open = self.plain_opener();
        match self.shelf.clone() {
            Some(shelf) => Box::new(move || shelf.wrap(open())),
            None => open,
        }
    }

    fn plain_opener(&self) -> Box<dyn FnOnce() -> Box<dyn MailStore> + Send> {
        match &self.mail {
            Mail::Memory(server) => {
                let server = server.clone();
                Box::new(move || server.store("test"))
            }
            Mail::Maildir(_) => {
                let options = MaildirOptions { root: self.root().unwrap(), create: true, index: IndexPlace::InRoot };
                Box::new(move || maildir::open(options).unwrap())
            }
        }
    }

    /// A client that is logged in.
    pub fn connect(&self) -> Client {
        let open = self.opener();
        let withheld = self.withheld.clone();
        let (ours, thread) = serve(move |channel| {
            Session::new(channel, open(), options(Greeting::PreAuth, withheld)).run();
        });
        let mut client = client(ours, thread);
        client.greeting();
        client
    }

    /// A client to whom the server has not yet said anything.
    pub fn connect_before_login(&self) -> Client {
        let (ours, thread) = self.accept(&[("test", "test")]);
        client(ours, thread)
    }

    /// The client's end of a connection to which the server has not yet said anything, as it is. All of `users`, names and passwords, have the one mail.
    pub fn connect_raw(&self, users: &'static [(&'static str, &'static str)]) -> UnixStream {
        self.accept(users).0
    }

    fn accept(&self, users: &'static [(&'static str, &'static str)]) -> (UnixStream, JoinHandle<()>) {
        let open = self.opener();
        let tls = self.tls.clone();
        let withheld = self.withheld.clone();
        serve(move |channel| {
            let policy = LoginPolicy {
                cleartext_allowed: tls.is_none(),
                tls: tls.as_ref(),
                withheld: &withheld,
                peer: Peer::default(),
            };
            if let LoginOutcome::LoggedIn { channel, tag, .. } = login(channel, &policy, &mut Passwords(users)) {
                Session::new(channel, open(), options(Greeting::LoggedIn(tag), withheld)).run();
            }
        })
    }
}

fn options(greeting: Greeting, withheld: Withheld) -> SessionOptions {
    SessionOptions { user: "test".into(), peer: Peer::default(), service: "imap", withheld, greeting }
}

/// Runs the server's side in a thread.
fn serve(side: impl FnOnce(Channel) + Send + 'static) -> (UnixStream, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    ours.set_write_timeout(Some(PATIENCE)).unwrap();
    let stream = Stream::socket(OwnedFd::from(theirs)).unwrap();
    (ours, thread::spawn(move || side(Channel::new(stream, Stop(None)))))
}

/// A panic of the session fails the test when the client is dropped.
fn client(ours: UnixStream, thread: JoinHandle<()>) -> Client {
    let mut client = Client::new(ours);
    client.at_end(move || {
        let ended = thread.join();
        assert!(thread::panicking() || ended.is_ok(), "the session panicked");
    });
    client
}

/// Knows these names and passwords.
struct Passwords(&'static [(&'static str, &'static str)]);

impl Authenticator for Passwords {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        let password = credentials.password.expose();
        let known = |(name, secret): &(&str, &str)| credentials.user == *name && password == secret.as_bytes();
        if self.0.iter().any(known) {
            Ok(Account { name: credentials.user.clone(), unix: None })
        } else {
            Err(Refusal::Failed)
        }
    }
}

/// Makes a test of each function, on each store: `on_both_stores! { fn idle_sees_a_delivery(server) { ... } }`. `server` is a `&Server`.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$attribute:meta])* fn $name:ident($server:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn run($server: &$crate::support::session::Server) $body

            $(#[$attribute])*
            #[test]
            fn memory() {
                run(&$crate::support::session::Server::memory());
            }

            $(#[$attribute])*
            #[test]
            fn maildir() {
                run(&$crate::support::session::Server::maildir());
            }
        })+
    };
}

/// The same on the memory store only.
#[macro_export]
macro_rules! on_memory {
    ($($(#[$attribute:meta])* fn $name:ident($server:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn run($server: &$crate::support::session::Server) $body

            $(#[$attribute])*
            #[test]
            fn memory() {
                run(&$crate::support::session::Server::memory());
            }
        })+
    };
}
