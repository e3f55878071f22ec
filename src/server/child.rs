//! The process of one connection: root until somebody has logged in, then that user, to its end.
//!
//! As root it is the monitor of its gate. It reads no octet from the client: it hears the gate's messages, which are few, has passwords checked, and kills a
//! gate that says anything out of order. When the gate is gone it becomes the user, gives up what a session does not need, and only then looks at what has
//! crossed. With a PAM session to be kept it stays root, and a fork of it does the latter (`pam_session`).

use super::certificates::Tls;
use super::connection::{Client, Connection, Service};
use super::delay::Delayed;
use super::gate::{self, Start};
use super::messages::{Answer, Crossing, FromGate};
use super::reports::{self, Listener, Overseer};
use super::{pam_session, privilege};
use crate::auth::{Account, Authenticator};
use crate::limits;
use crate::log::{self, Level, Quoted, log};
use crate::session::channel::Channel;
use crate::session::login::{Ended, Ending};
use crate::session::{Greeting, refuse};
use crate::storage::StoreError;
use crate::sys::poll::{Watch, poll};
use crate::sys::process::{self, Forked, Pid};
use crate::sys::signal::{Blocked, Signal, Signals};
use crate::sys::socket;
use crate::transport::wait::Stop;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A gate knows its time itself. One that does not end by then is ended.
const GRACE: Duration = Duration::from_secs(10);

/// A gate that has closed its end of the socket is about to end itself.
const TIME_TO_END: Duration = Duration::from_secs(1);

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
            return reports::PANICKED;
        }
        match guard(connection, service, tls, blocked, &mut Listener(Some(question))) {
            Ok(ending) => reports::status(ending),
            Err(GateCrashed) => reports::GATE_CRASHED,
        }
    }));
    process::exit_now(served.unwrap_or(reports::PANICKED));
}

/// SIGTERM and SIGINT end the session with BYE.
pub fn stop() -> Stop {
    let signals = Signals::catch(&[Signal::Terminate, Signal::Interrupt]).and_then(Signals::into_descriptor);
    // Without it a signal does not end the session; the listener's end does not depend on that.
    Stop(signals.ok().map(Arc::new))
}

/// A gate was killed, or did what it may not. The log has been told.
pub struct GateCrashed;

/// Serves a connection to its end behind a gate, in a process of root's with all signals blocked and none caught, and says how that was if nobody has logged in.
/// `overseer` is told what happens.
pub fn guard(
    connection: Connection,
    service: &Service,
    tls: Option<Tls>,
    blocked: Blocked,
    overseer: &mut dyn Overseer,
) -> Result<Ending, GateCrashed> {
    let Connection { socket, peer, protocol } = connection;
    let mut client = Client::new(peer, protocol);
    let fault = |what: &str, error: &io::Error, who: &dyn std::fmt::Display| {
        log!(Level::Error, "{what}: {error} {who}");
        Ok(Ending::InOrder)
    };
    let gate = match Gate::open(&socket, &client, service, tls, blocked, gate::dialogue) {
        Ok(gate) => gate,
        Err(error) => return fault("cannot open a gate", &error, &format_args!("host=[{}]", client.peer.host())),
    };
    let stop = gate.stop.clone();
    let (account, crossing) = match gate.attend(&mut client, &mut service.authenticator(), overseer) {
        End::LoggedIn(account, crossing) => (account, crossing),
        End::Ended(ending) => return Ok(ending),
        End::Crashed => return Err(GateCrashed),
    };
    // A keeper of this connection alone ends with the gate.
    process::wait_for_all();
    let refused = if overseer.logged_in(&account.name) { None } else { Some(client.too_many_sessions(&account)) };
    let (user, peer) = (account.clone(), client.peer.clone());
    let serve = |refused| serve_as_user(service, client, account, crossing, socket, stop, refused);
    let became = match &service.pam_session {
        Some(session) if refused.is_none() => pam_session::serve_within(session, &user, &peer, serve),
        _ => privilege::become_user(&user).map(|()| serve(refused)),
    };
    match became {
        Ok(()) => Ok(Ending::InOrder),
        Err(error) => fault("cannot become the user", &error, &shown(&user)),
    }
}

fn shown(account: &Account) -> String {
    format!("user={}", Quoted(account.name.as_bytes()))
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
        Err(error) => return log!(Level::Error, "cannot shut in a session: {error} {}", shown(&account)),
    };
    // From here on whatever the client has sent can be looked at: it can do no more than the user can.
    let crossed = crossing.open().and_then(|(tag, frozen)| Ok((tag, Channel::resume(socket, frozen, stop)?)));
    let (tag, channel) = match crossed {
        Ok(crossed) => crossed,
        Err(error) => return log!(Level::Error, "a connection did not cross: {error} {}", shown(&account)),
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
    /// It is to say first for whom a proxy is here.
    awaits_address: bool,
    deadline: Instant,
}

/// What came of hearing a gate to its end.
enum End {
    /// Its client may go on.
    LoggedIn(Account, Crossing),
    Ended(Ending),
    Crashed,
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
        let account = service.unprivileged.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let (ours, theirs) = socket::message_pair()?;
        let copy = connection.try_clone()?;
        let parent = process::this();
        match process::fork()? {
            Forked::Child => {
                drop(ours);
                let (offer, sandbox) = (&service.offer, service.sandbox);
                let start = Start { socket: copy, child: theirs, parent, client, offer, tls, account, sandbox };
                gate::run(start, blocked, work)
            }
            Forked::Parent(pid) => {
                drop(blocked);
                let deadline = Instant::now() + limits::TIME_BEFORE_LOGIN + GRACE;
                let awaits_address = service.offer.expects_proxy_header(&client.peer);
                Ok(Self { pid, socket: ours, stop: stop(), stopped: false, awaits_address, deadline })
            }
        }
    }

    /// Hears the gate to its end, and tells the log of it.
    fn attend(
        mut self,
        client: &mut Client,
        authenticator: &mut dyn Authenticator,
        overseer: &mut dyn Overseer,
    ) -> End {
        let mut accepted: Option<Account> = None;
        let mut failures = 0;
        let wrong = loop {
            let answer = match self.hear() {
                Heard::Message(FromGate::From(address)) if self.awaits_address => {
                    self.awaits_address = false;
                    client.set_peer(address);
                    Answer::Placed(overseer.from(address.ip()).err())
                }
                Heard::Message(FromGate::From(_)) => break "an address that nobody asked for",
                Heard::Message(FromGate::Login(credentials)) => {
                    if self.awaits_address {
                        break "a login before an address";
                    }
                    if accepted.is_some() {
                        break "a second login";
                    }
                    if failures >= limits::FAILED_LOGINS {
                        break "a login after too many";
                    }
                    let (authenticator, overseer, stop) = (&mut *authenticator, &mut *overseer, self.stop.clone());
                    let mut delayed = Delayed { authenticator, overseer, stop };
                    let result = delayed.authenticate(&credentials, &client.peer);
                    let answer = Answer::to(&result);
                    failures += u32::from(result.is_err());
                    accepted = result.ok();
                    answer
                }
                Heard::Message(FromGate::Crossing(crossing)) => match accepted {
                    // It has nothing more to do, and must be gone before anybody else speaks on this socket.
                    Some(account) => {
                        self.end();
                        return End::LoggedIn(account, crossing);
                    }
                    None => break "a client who has not logged in",
                },
                Heard::Message(FromGate::Ended(Ended { reason, ending })) => {
                    self.end();
                    client.log_end(&reason);
                    return End::Ended(ending);
                }
                Heard::Nothing => {
                    let host = client.peer.host();
                    // One that ends by itself tells how.
                    process::await_end(self.pid, Instant::now() + TIME_TO_END);
                    match self.end() {
                        Some(process::Ended::Signal(signal)) => {
                            log!(Level::Error, "gate process was killed by signal {signal} host=[{host}]");
                        }
                        _ => log!(Level::Error, "gate process ended without a word host=[{host}]"),
                    }
                    return End::Crashed;
                }
                Heard::Wrong(what) => break what,
            };
            // One that is gone need not hear it: its end says why.
            let _ = socket::send_now(&self.socket, &answer.octets());
        };
        log!(Level::Error, "gate process was ended since it sent {wrong} host=[{}]", client.peer.host());
        self.end();
        End::Crashed
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
    fn end(&mut self) -> Option<process::Ended> {
        process::kill(self.pid);
        process::wait_for(self.pid).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Config, Facts, Sandbox, Settings};
    use super::super::listener::Protocol;
    use super::*;
    use crate::auth::{Credentials, Peer};
    use crate::sys::credentials::is_root;
    use crate::sys::signal;
    use crate::types::Secret;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicU64, Ordering};

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
            let mut octets = [0; Answer::LONGEST];
            let length = socket::receive(&self.child, &mut octets).ok()?;
            Answer::parse(&octets[..length])
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

    /// No failure takes its time.
    struct Patient;

    impl Overseer for Patient {
        fn from(&mut self, _: std::net::IpAddr) -> Result<(), String> {
            Ok(())
        }

        fn failed(&mut self) -> Duration {
            Duration::ZERO
        }

        fn logged_in(&mut self, _: &str) -> bool {
            true
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

    /// What the child makes of a gate that does this.
    #[derive(PartialEq, Eq, Debug)]
    struct Attended {
        /// The account with which it goes on.
        account: Option<String>,
        /// What the client sees to the end.
        seen: Vec<u8>,
        /// The log, without process numbers.
        log: Vec<String>,
    }

    fn ended(reason: &str) -> Ended {
        Ended { reason: reason.to_owned(), ending: Ending::InOrder }
    }

    fn attended(work: gate::Work) -> Attended {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let connection = OwnedFd::from(theirs);
        let mut client = Client::new(Peer::default(), Protocol::Imap);
        let service = service();
        // In a process of its own: other tests have signals and children too.
        let (told, tell) = socket::message_pair().unwrap();
        let (logged, stderr) = UnixStream::pair().unwrap();
        let child = match process::fork().unwrap() {
            Forked::Child => {
                process::redirect_standard_error(&stderr).unwrap();
                log::open(log::Sink::Stderr, Level::Info);
                let blocked = signal::block().unwrap();
                let gate = Gate::open(&connection, &client, &service, None, blocked, work).unwrap();
                let pid = gate.pid;
                let account = match gate.attend(&mut client, &mut OneUser, &mut Patient) {
                    End::LoggedIn(account, _) => account.name,
                    End::Ended(_) | End::Crashed => String::new(),
                };
                // It is gone, whatever it did.
                assert!(!crate::sys::lock::process_lives(pid.to_string().parse().unwrap()));
                let _ = socket::send_message(&tell, account.as_bytes());
                process::exit_now(0)
            }
            Forked::Parent(child) => child,
        };
        drop((connection, tell, stderr));
        let mut name = [0; 100];
        let length = socket::receive(&told, &mut name).unwrap();
        assert_eq!(process::wait_for(child).unwrap(), process::Ended::Exit(0));
        let mut seen = Vec::new();
        ours.read_to_end(&mut seen).unwrap();
        let name = String::from_utf8(name[..length].to_vec()).unwrap();
        let log = std::io::read_to_string(logged).unwrap();
        let log = log.lines().map(|line| line.split_once("]: ").map_or(line, |(_, said)| said).to_owned()).collect();
        Attended { account: (!name.is_empty()).then_some(name), seen, log }
    }

    #[test]
    fn a_gate_that_keeps_to_the_rules_is_gone_on_with() {
        if !is_root() {
            return;
        }
        let attended = attended(|start| {
            let gate = Hostile::new(start);
            let answers = [gate.log_in("al", "wrong"), gate.log_in("al", "right")];
            if answers == [Some(Answer::No(crate::auth::Refusal::Failed)), Some(Answer::Yes)] {
                let _ = (&gate.socket).write_all(b"x");
                gate.cross();
            }
        });
        assert_eq!((attended.account.as_deref(), &attended.seen[..]), (Some("al"), &b"x"[..]));
        assert_eq!(attended.log, [""; 0]);
    }

    /// Each is ended, its client goes on with nobody's mail, and it could do nothing else.
    #[test]
    fn a_gate_that_was_taken_over_gets_nobody_in() {
        if !is_root() {
            return;
        }
        let works: &[(&str, gate::Work)] = &[
            ("process was ended since it sent a client who has not logged in", |start| Hostile::new(start).cross()),
            ("process was ended since it sent a client who has not logged in", |start| {
                let gate = Hostile::new(start);
                let _ = gate.log_in("al", "wrong");
                gate.cross();
            }),
            ("process was ended since it sent a second login", |start| {
                let gate = Hostile::new(start);
                let _ = gate.log_in("al", "right");
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("process was ended since it sent a login after too many", |start| {
                let gate = Hostile::new(start);
                for _ in 0..limits::FAILED_LOGINS {
                    let _ = gate.log_in("al", "wrong");
                }
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("process was ended since it sent what is no message", |start| {
                let gate = Hostile::new(start);
                gate.say(b"zzz");
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("process was ended since it sent a message that is too long", |start| {
                let gate = Hostile::new(start);
                gate.say(&vec![b'l'; FromGate::LONGEST + 1]);
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("process was ended since it sent what is no message", |start| {
                let gate = Hostile::new(start);
                gate.say(&Answer::Yes.octets());
                gate.cross();
            }),
            ("process was ended since it sent an address that nobody asked for", |start| {
                let gate = Hostile::new(start);
                gate.say(&FromGate::from(std::net::SocketAddr::from(([192, 0, 2, 7], 1))).unwrap());
                let _ = gate.log_in("al", "right");
                gate.cross();
            }),
            ("process ended without a word", |start| drop(Hostile::new(start))),
        ];
        for (what, work) in works {
            assert_ended(*work, what);
        }
    }

    /// It ends with this one line, and nobody is let in.
    #[track_caller]
    fn assert_ended(work: gate::Work, what: &str) {
        let log = vec![format!("gate {what} host=[-]")];
        assert_eq!(attended(work), Attended { account: None, seen: Vec::new(), log });
    }

    /// The kernel ends each, and the child says so once.
    #[test]
    fn a_gate_that_tries_what_it_may_not_is_killed_and_logged_once() {
        if !is_root() || privilege::check_sandbox(Sandbox::Require).is_err() {
            return;
        }
        let works: &[gate::Work] = &[
            |start| {
                let gate = Hostile::new(start);
                let _ = std::fs::read("/etc/passwd");
                gate.say(&FromGate::ended(&ended("read a file")).unwrap());
            },
            |start| {
                let gate = Hostile::new(start);
                let _ = std::os::unix::process::CommandExt::exec(&mut std::process::Command::new("/bin/true"));
                gate.say(&FromGate::ended(&ended("ran a program")).unwrap());
            },
            |start| {
                let gate = Hostile::new(start);
                let _ = std::net::UdpSocket::bind("127.0.0.1:0");
                gate.say(&FromGate::ended(&ended("made a socket")).unwrap());
            },
            |start| {
                let gate = Hostile::new(start);
                let _ = process::fork();
                gate.say(&FromGate::ended(&ended("made a process")).unwrap());
            },
            |start| {
                let parent = start.parent;
                let gate = Hostile::new(start);
                process::kill(parent);
                gate.say(&FromGate::ended(&ended("sent a signal")).unwrap());
            },
            |start| {
                let gate = Hostile::new(start);
                let _ = crate::sys::credentials::become_user(1, 1, &[]);
                gate.say(&FromGate::ended(&ended("became another")).unwrap());
            },
            // Logged in before, it gets no further.
            |start| {
                let gate = Hostile::new(start);
                let _ = gate.log_in("al", "right");
                let _ = std::fs::read("/etc/passwd");
                gate.cross();
            },
        ];
        for work in works {
            // SIGSYS
            assert_ended(*work, "process was killed by signal 31");
        }
    }

    /// Anything that a gate could say, in any order: nobody is let in but by a right password, as the first thing that is right, and a crossing behind it.
    #[test]
    fn whatever_a_gate_says_only_a_right_password_lets_a_client_in() {
        if !is_root() {
            return;
        }
        static SEED: AtomicU64 = AtomicU64::new(0);
        let mut let_in = 0;
        for seed in 1..=60 {
            SEED.store(seed, Ordering::SeqCst);
            let attended = attended(|start| {
                let gate = Hostile::new(start);
                let messages = at_random(SEED.load(Ordering::SeqCst));
                let verdict = [if lets_in(&messages) { b'y' } else { b'n' }];
                // First: it may be killed at any word.
                let _ = (&gate.socket).write_all(&verdict);
                for message in messages {
                    gate.say(&message);
                    // Who goes without hearing the answer is not heard either.
                    if let Some(FromGate::Login(_)) = FromGate::parse(Zeroizing::new(message)) {
                        let _ = socket::receive(&gate.child, &mut [0; Answer::LONGEST]);
                    }
                }
            });
            let expected = attended.seen == b"y";
            assert!(expected || attended.seen == b"n", "{seed}: {attended:?}");
            assert_eq!(attended.account.is_some(), expected, "{seed}: {attended:?}");
            assert_eq!(attended.log.len(), usize::from(!expected), "{seed}: {attended:?}");
            let_in += u32::from(expected);
        }
        assert!((5..55).contains(&let_in), "{let_in} of 60");
    }

    /// Messages, right ones and damaged ones.
    fn at_random(seed: u64) -> Vec<Vec<u8>> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = move |sides: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % sides
        };
        let right = |password: &str| {
            let credentials = Credentials { user: "al".to_owned(), password: Secret::new(password.into()) };
            FromGate::login(&credentials).unwrap().to_vec()
        };
        let crossing = [&b"c\0\x01t\0"[..], &[0; 8 + 8 + 4]].concat();
        (0..2 + dice(5))
            .map(|at| {
                // As often as not what is right in its place.
                let mut message = match dice(18) {
                    0..9 if at == 0 => right("right"),
                    0..9 if at == 1 => crossing.clone(),
                    0..5 => right("right"),
                    5..9 => right("wrong"),
                    9..15 => crossing.clone(),
                    15 => FromGate::ended(&ended("x")).unwrap().to_vec(),
                    _ => (0..1 + dice(40)).map(|_| dice(256) as u8).collect(),
                };
                if dice(6) == 0 {
                    let at = dice(message.len());
                    match dice(3) {
                        0 => message[at] ^= 1 << dice(8),
                        1 => message.truncate(at.max(1)),
                        _ => message.extend(std::iter::repeat_n(0, 1 + at)),
                    }
                }
                message
            })
            .collect()
    }

    /// What must come of it.
    fn lets_in(messages: &[Vec<u8>]) -> bool {
        let (mut accepted, mut failures) = (false, 0);
        for message in messages {
            match FromGate::parse(Zeroizing::new(message.clone())) {
                Some(FromGate::Login(credentials)) if !accepted && failures < limits::FAILED_LOGINS => {
                    accepted = OneUser.authenticate(&credentials, &Peer::default()).is_ok();
                    failures += u32::from(!accepted);
                }
                Some(FromGate::Crossing(_)) => return accepted,
                _ => return false,
            }
        }
        false
    }
}
