//! The process of one connection: root until somebody has logged in, then that user, to its end.
//!
//! As root it is the monitor of its gate. It reads no octet from the client: it hears the gate's messages, which are few, has passwords checked, and kills a
//! gate that says anything out of order. When the gate is gone it becomes the user, gives up what a session does not need, and only then looks at what has
//! crossed. With a PAM session to be kept it stays root, and a fork of it does the latter (`pam_session`).

use super::certificates::Tls;
use super::connection::{Client, Connection, Service};
use super::gate::{self, Start};
use super::messages::{Answer, Crossing, FromGate};
use super::{pam_session, privilege};
use crate::auth::{Account, Authenticator};
use crate::limits;
use crate::log::{self, Level, Quoted, log};
use crate::session::channel::Channel;
use crate::session::{Greeting, refuse};
use crate::storage::StoreError;
use crate::sys::poll::{Watch, poll};
use crate::sys::process::{self, Ended, Forked, Pid};
use crate::sys::signal::{Blocked, Signal, Signals};
use crate::sys::socket;
use crate::sys::user;
use crate::transport::wait::Stop;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A user's name, sent to the listener.
pub const LONGEST_QUESTION: usize = crate::limits::USER;

/// A gate knows its time itself. One that does not end by then is ended.
const GRACE: Duration = Duration::from_secs(10);

/// Serves the connection in a process that has just been forked, with all signals blocked and none caught.
pub fn run(connection: Connection, service: &Service, tls: Option<Tls>, question: OwnedFd, blocked: Blocked) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| {
        log::close_descriptors();
        let mut kept = vec![connection.socket.as_raw_fd(), question.as_raw_fd()];
        kept.extend(tls.as_ref().and_then(Tls::descriptor));
        process::close_all_but(&kept);
        process::start_session();
        process::hide_memory();
        process::set_private_umask();
        if std::env::set_current_dir("/").is_err() {
            return;
        }
        let mut question = Some(question);
        guard(connection, service, tls, blocked, &mut |account| ask(question.take(), account));
    }));
    process::exit_now(i32::from(served.is_err()));
}

/// SIGTERM and SIGINT end the session with BYE.
pub fn stop() -> Stop {
    let signals = Signals::catch(&[Signal::Terminate, Signal::Interrupt]).and_then(Signals::into_descriptor);
    // Without it a signal does not end the session; the listener's end does not depend on that.
    Stop(signals.ok().map(Arc::new))
}

/// Asks the listener whether there may be one more session of this user.
fn ask(question: Option<OwnedFd>, account: &Account) -> bool {
    let Some(question) = question else { return false };
    // Signals for the listener, such as its end, must not strand the user: an end without an answer is a yes.
    if socket::send_now(&question, account.name.as_bytes()).is_err() {
        return true;
    }
    let mut answer = [0];
    !matches!(socket::receive(&question, &mut answer), Ok(1) if answer == [0])
}

/// Serves a connection to its end behind a gate, in a process of root's with all signals blocked and none caught. `admit` is asked once somebody has logged
/// in, and says whether there may be one more session of that user.
pub fn guard(
    connection: Connection,
    service: &Service,
    tls: Option<Tls>,
    blocked: Blocked,
    admit: &mut dyn FnMut(&Account) -> bool,
) {
    let Connection { socket, peer, protocol } = connection;
    let client = Client { peer, protocol };
    let gate = match Gate::open(&socket, &client, service, tls, blocked, gate::dialogue) {
        Ok(gate) => gate,
        Err(error) => return log!(Level::Error, "cannot open a gate: {error} host=[{}]", client.peer.host()),
    };
    let stop = gate.stop.clone();
    let Some((account, crossing)) = gate.attend(&client, &mut *service.authenticator()) else { return };
    // A keeper of this connection alone ends with the gate.
    process::wait_for_all();
    let refused = if admit(&account) { None } else { Some(client.too_many_sessions(&account)) };
    let (user, peer) = (account.clone(), client.peer.clone());
    let serve = |refused| serve_as_user(service, client, account, crossing, socket, stop, refused);
    let became = match &service.pam_session {
        Some(session) if refused.is_none() => pam_session::serve_within(session, &user, &peer, serve),
        _ => privilege::become_user(&user).map(|()| serve(refused)),
    };
    if let Err(error) = became {
        log!(Level::Error, "cannot become the user user={}: {error}", Quoted(user.name.as_bytes()));
    }
}

/// The rest, in a process that is the user's. Somebody who is refused is told so.
fn serve_as_user(
    service: &Service,
    client: Client,
    account: Account,
    crossing: Crossing,
    socket: OwnedFd,
    stop: Stop,
    refused: Option<StoreError>,
) {
    let store = match service.open_shut_in(&account) {
        Ok(store) => store,
        Err(error) => return log!(Level::Error, "cannot shut in a session user={}: {error}", client.shown(&account)),
    };
    // From here on whatever the client has sent can be looked at: it can do no more than the user can.
    let crossed = crossing.open().and_then(|(tag, frozen)| Ok((tag, Channel::resume(socket, frozen, stop)?)));
    let (tag, channel) = match crossed {
        Ok(crossed) => crossed,
        Err(error) => return log!(Level::Error, "a connection did not cross user={}: {error}", client.shown(&account)),
    };
    let greeting = Greeting::LoggedIn(tag);
    if let Some(error) = refused {
        return refuse(channel, &greeting, &error);
    }
    service.run(channel, store, account, client, greeting);
}

/// A running gate.
struct Gate {
    pid: Pid,
    socket: OwnedFd,
    stop: Stop,
    /// It has been told to end.
    stopped: bool,
    deadline: Instant,
}

/// What became of waiting for a gate.
enum Heard {
    Message(FromGate),
    /// It has ended, or is to be ended, without a word that could be understood.
    Nothing,
    Wrong(&'static str),
}

impl Gate {
    fn open(
        connection: &OwnedFd,
        client: &Client,
        service: &Service,
        tls: Option<Tls>,
        blocked: Blocked,
        work: gate::Work,
    ) -> io::Result<Self> {
        let account = user::unprivileged()?;
        let (ours, theirs) = socket::message_pair()?;
        let copy = connection.try_clone()?;
        match process::fork()? {
            Forked::Child => {
                drop(ours);
                let (offer, sandbox) = (&service.offer, service.sandbox);
                let start = Start { socket: copy, child: theirs, client, offer, tls, account: &account, sandbox };
                gate::run(start, blocked, work)
            }
            Forked::Parent(pid) => {
                drop(blocked);
                let deadline = Instant::now() + limits::TIME_BEFORE_LOGIN + GRACE;
                Ok(Self { pid, socket: ours, stop: stop(), stopped: false, deadline })
            }
        }
    }

    /// Hears the gate to its end. What its client may go on with, if somebody has logged in; everything else is told to the log.
    fn attend(mut self, client: &Client, authenticator: &mut dyn Authenticator) -> Option<(Account, Crossing)> {
        let mut accepted: Option<Account> = None;
        let mut failures = 0;
        let host = client.peer.host();
        let wrong = loop {
            match (self.hear(), &accepted) {
                (Heard::Message(FromGate::Login(credentials)), None) if failures < limits::FAILED_LOGINS => {
                    let result = authenticator.authenticate(&credentials, &client.peer);
                    let answer = Answer::to(&result);
                    failures += u32::from(result.is_err());
                    accepted = result.ok();
                    if socket::send_now(&self.socket, &[answer.octet()]).is_err() {
                        // Its end says why.
                        continue;
                    }
                }
                (Heard::Message(FromGate::Login(_)), None) => break "a login after too many",
                (Heard::Message(FromGate::Login(_)), Some(_)) => break "a second login",
                (Heard::Message(FromGate::Crossing(_)), None) => break "a client who has not logged in",
                (Heard::Message(FromGate::Crossing(crossing)), Some(_)) => {
                    // It has nothing more to do, and must be gone before anybody else speaks on this socket.
                    self.end();
                    return accepted.map(|account| (account, crossing));
                }
                (Heard::Message(FromGate::Ended(reason)), _) => {
                    self.end();
                    client.log_end(&reason);
                    return None;
                }
                (Heard::Nothing, _) => {
                    match self.end() {
                        Some(Ended::Signal(signal)) => {
                            log!(Level::Error, "gate process was killed by signal {signal} host=[{host}]");
                        }
                        _ => log!(Level::Error, "gate process ended without a word host=[{host}]"),
                    }
                    return None;
                }
                (Heard::Wrong(what), _) => break what,
            }
        };
        log!(Level::Error, "gate process was ended since it sent {wrong} host=[{host}]");
        self.end();
        None
    }

    fn hear(&mut self) -> Heard {
        loop {
            let mut watches = vec![Watch::input(self.socket.as_fd())];
            watches.extend(self.stop.0.iter().filter(|_| !self.stopped).map(|stop| Watch::input(stop.as_fd())));
            match poll(&mut watches, Some(self.deadline)) {
                Ok(true) => {}
                Ok(false) => return Heard::Wrong("nothing, and is still there"),
                Err(_) => return Heard::Nothing,
            }
            let (spoke, stopped) = (watches[0].is_ready(), watches.get(1).is_some_and(Watch::is_ready));
            if spoke {
                break;
            }
            if stopped {
                // It says goodbye. Its end is what is waited for now.
                process::terminate(self.pid);
                self.stopped = true;
                self.deadline = self.deadline.min(Instant::now() + GRACE);
            }
        }
        let mut octets = Zeroizing::new(vec![0; FromGate::LONGEST]);
        match socket::receive_whole_now(&self.socket, &mut octets) {
            Ok(0) | Err(_) => Heard::Nothing,
            Ok(length) if length > octets.len() => Heard::Wrong("a message that is too long"),
            Ok(length) => {
                octets.truncate(length);
                FromGate::parse(octets).map_or(Heard::Wrong("what is no message"), Heard::Message)
            }
        }
    }

    /// How it ended; it is gone after this.
    fn end(&mut self) -> Option<Ended> {
        // One that has ended by itself tells how all the same.
        process::kill(self.pid);
        process::wait_for(self.pid).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Config, Facts, Settings};
    use super::super::listener::Protocol;
    use super::*;
    use crate::auth::{Credentials, Peer};
    use crate::sys::credentials::is_root;
    use crate::sys::signal;
    use crate::types::Secret;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// What a gate that was taken over can try: it is shut in as the real one, and has what that has.
    struct Hostile {
        socket: UnixStream,
        child: OwnedFd,
    }

    impl Hostile {
        fn new(start: Start<'_>) -> Self {
            let Start { socket, child, sandbox, .. } = start;
            if gate::shut_in(sandbox).is_err() {
                process::exit_now(9);
            }
            Self { socket: socket.into(), child }
        }

        fn say(&self, octets: &[u8]) {
            let _ = socket::send_message(&self.child, octets);
        }

        fn log_in(&self, user: &str, password: &str) -> Option<Answer> {
            let credentials = Credentials { user: user.to_owned(), password: Secret::new(password.into()) };
            self.say(&FromGate::login(&credentials).ok()?);
            let mut octet = [0];
            socket::receive(&self.child, &mut octet).ok().filter(|&length| length == 1)?;
            Answer::of_octet(octet[0])
        }

        /// A connection as one would have it that is not encrypted, with a tag.
        fn cross(&self) {
            let plain = [&b"c\0\x01t\0"[..], &[0; 8 + 8 + 4]].concat();
            self.say(&plain);
        }
    }

    /// One user, whose password is `right`. No time passes.
    struct OneUser;

    impl Authenticator for OneUser {
        fn authenticate(&mut self, credentials: &Credentials, _: &Peer) -> Result<Account, crate::auth::Refusal> {
            if credentials.user == "al" && credentials.password.expose() == b"right" {
                Ok(Account { name: "al".to_owned(), unix: None })
            } else {
                Err(crate::auth::Refusal::Failed)
            }
        }
    }

    fn service() -> Service {
        let mut settings = Settings::default();
        for (name, value) in [("fork", ""), ("storage", "maildir"), ("sandbox", "on")] {
            settings.add(name, value.to_owned(), String::new());
        }
        let config = Config::new(&settings, Facts { is_root: true, has_connection: false }).unwrap();
        Service::new(&config).unwrap()
    }

    /// What the child makes of a gate that does this: the account, if it goes on with one; and what the client sees to the end.
    fn attended(work: gate::Work) -> (Option<String>, Vec<u8>) {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let connection = OwnedFd::from(theirs);
        let client = Client { peer: Peer::default(), protocol: Protocol::Imap };
        let service = service();
        // In a process of its own: other tests have signals and children too.
        let (told, tell) = socket::message_pair().unwrap();
        let child = match process::fork().unwrap() {
            Forked::Child => {
                let blocked = signal::block().unwrap();
                let gate = Gate::open(&connection, &client, &service, None, blocked, work).unwrap();
                let pid = gate.pid;
                let account = gate.attend(&client, &mut OneUser).map(|(account, _)| account.name);
                // It is gone, whatever it did.
                assert!(!crate::sys::lock::process_lives(pid.to_string().parse().unwrap()));
                let _ = socket::send_message(&tell, account.unwrap_or_default().as_bytes());
                process::exit_now(0)
            }
            Forked::Parent(child) => child,
        };
        drop((connection, tell));
        let mut name = [0; 100];
        let length = socket::receive(&told, &mut name).unwrap();
        assert_eq!(process::wait_for(child).unwrap(), Ended::Exit(0));
        let mut seen = Vec::new();
        ours.read_to_end(&mut seen).unwrap();
        let name = String::from_utf8(name[..length].to_vec()).unwrap();
        ((!name.is_empty()).then_some(name), seen)
    }

    #[test]
    fn a_gate_that_keeps_to_the_rules_is_gone_on_with() {
        if !is_root() {
            return;
        }
        let (account, seen) = attended(|start| {
            let gate = Hostile::new(start);
            let answers = [gate.log_in("al", "wrong"), gate.log_in("al", "right")];
            if answers == [Some(Answer::No(crate::auth::Refusal::Failed)), Some(Answer::Yes)] {
                let _ = (&gate.socket).write_all(b"x");
                gate.cross();
            }
        });
        assert_eq!((account.as_deref(), &seen[..]), (Some("al"), &b"x"[..]));
    }

    /// Each is ended, its client goes on with nobody's mail, and it could do nothing else.
    #[test]
    fn a_gate_that_was_taken_over_gets_nobody_in() {
        if !is_root() {
            return;
        }
        let works: &[(&str, gate::Work)] = &[
            ("a crossing before login", |start| Hostile::new(start).cross()),
            ("a crossing after a failure", |start| {
                let gate = Hostile::new(start);
                let _ = gate.log_in("al", "wrong");
                gate.cross();
            }),
            ("a second login", |start| {
                let gate = Hostile::new(start);
                let _ = gate.log_in("al", "right");
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("a login after too many failures", |start| {
                let gate = Hostile::new(start);
                for _ in 0..limits::FAILED_LOGINS {
                    let _ = gate.log_in("al", "wrong");
                }
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("no message", |start| {
                let gate = Hostile::new(start);
                gate.say(b"zzz");
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("too long a message", |start| {
                let gate = Hostile::new(start);
                gate.say(&vec![b'l'; FromGate::LONGEST + 1]);
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("a child's answer", |start| {
                let gate = Hostile::new(start);
                gate.say(&[Answer::Yes.octet()]);
                gate.cross();
            }),
            ("silence", |start| drop(Hostile::new(start))),
        ];
        for (what, work) in works {
            assert_eq!(attended(*work), (None, Vec::new()), "{what}");
        }
    }
}
