//! The gate: everything before login, in a process that can do nothing but talk to its client and its child.
//!
//! It opens nothing. It gives up its identity, the file system, every system call but a few, and the log. It may still read from and write to the client's
//! socket, the socket to its child and, for one handshake, the channel to the keeper. It ends when the client has logged in, or has not.

use super::certificates::Tls;
use super::child;
use super::config::Sandbox;
use super::connection::{Client, Offer, arrive, welcome};
use super::messages::{Answer, FromGate};
use super::privilege;
use crate::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use crate::limits;
use crate::log;
use crate::session::login::{Ended, Ending, LoginOutcome};
use crate::sys::poll::{Watch, poll};
use crate::sys::process::Pid;
use crate::sys::signal::Blocked;
use crate::sys::user::Unprivileged;
use crate::sys::{process, sandbox, socket};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// For the child's own work around a password check, and the delay after one that failed.
const TIME_AROUND_CHECK: Duration = Duration::from_secs(30);

/// What a gate is started with.
pub struct Start<'a> {
    pub socket: OwnedFd,
    /// The way to the child, which has forked this process.
    pub child: OwnedFd,
    pub parent: Pid,
    pub client: &'a Client,
    pub offer: &'a Offer,
    pub tls: Option<Tls>,
    pub account: &'a Unprivileged,
    pub sandbox: Sandbox,
}

/// What a gate does once it is shut in. Another than [`dialogue`] stands for one that was taken over, in tests.
pub type Work = fn(Start<'_>);

/// The process, just forked, with all signals blocked and none caught.
pub fn run(start: Start<'_>, blocked: Blocked, work: Work) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| -> io::Result<()> {
        log::open(log::Sink::Nowhere, log::Level::Error);
        let mut kept = vec![start.socket.as_raw_fd(), start.child.as_raw_fd()];
        kept.extend(start.tls.as_ref().and_then(Tls::descriptor));
        process::close_all_but(&kept);
        process::silence_standard_streams()?;
        privilege::become_nobody(start.account)?;
        // Behind the change of identity, which takes it away.
        process::die_with_parent(start.parent);
        drop(blocked);
        work(start);
        Ok(())
    }));
    process::exit_now(i32::from(!matches!(served, Ok(Ok(())))));
}

/// Shuts the process in for good; what the kernel cannot do, [`privilege::check_sandbox`] has told.
pub fn shut_in(sandbox: Sandbox) -> io::Result<()> {
    if sandbox == Sandbox::Off { Ok(()) } else { sandbox::lock_up_gate(limits::MEMORY_BEFORE_LOGIN).map(drop) }
}

/// Handshake, greeting, dialogue; then the connection crosses to the child.
pub fn dialogue(start: Start<'_>) {
    let Start { socket, child, client, offer, tls, sandbox, .. } = start;
    let stop = child::stop();
    if shut_in(sandbox).is_err() {
        return;
    }
    let (tls, mut client) = (tls.and_then(Tls::into_config), client.clone());
    let mut asking = Asking(&child);
    let arrived = arrive(socket, &mut client, offer, &stop, &mut |address| asking.place(address));
    let outcome = match arrived {
        Ok(stream) => welcome(stream, &client, offer, tls.as_ref(), stop, &mut asking),
        Err(ended) => LoginOutcome::Ended(ended),
    };
    let last = match outcome {
        LoginOutcome::LoggedIn { channel, tag, .. } => match channel.freeze() {
            Ok(frozen) => FromGate::crossing(&tag, &frozen),
            Err(_) => FromGate::ended(&Ended { reason: "disconnected".to_owned(), ending: Ending::InOrder }),
        },
        LoginOutcome::Ended(ended) => FromGate::ended(&ended),
    };
    // A child that does not hear it sees the end.
    let _ = last.and_then(|message| socket::send_message(&child, &message));
}

/// The child knows what may be, and checks passwords.
struct Asking<'a>(&'a OwnedFd);

impl Asking<'_> {
    /// `None` without an answer that could be understood.
    fn ask(&self, question: io::Result<Zeroizing<Vec<u8>>>) -> Option<Answer> {
        socket::send_message(self.0, &question.ok()?).ok()?;
        let deadline = Instant::now() + limits::TIME_OF_CHECK + TIME_AROUND_CHECK;
        if !poll(&mut [Watch::input(self.0.as_fd())], Some(deadline)).ok()? {
            return None;
        }
        let mut octets = [0; Answer::LONGEST];
        let length = socket::receive_whole_now(self.0, &mut octets).ok()?;
        Answer::parse(octets.get(..length)?)
    }

    /// Whether there may be a connection from this address, by whose word a proxy is here; if not, why.
    fn place(&mut self, address: SocketAddr) -> Result<(), String> {
        match self.ask(FromGate::from(address)) {
            Some(Answer::Placed(None)) => Ok(()),
            Some(Answer::Placed(Some(why))) => Err(why),
            _ => Err("cannot be counted now".to_owned()),
        }
    }
}

impl Authenticator for Asking<'_> {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        match self.ask(FromGate::login(credentials)) {
            // Whose account it is and what it has is none of the gate's business.
            Some(Answer::Yes) => Ok(Account { name: credentials.user.clone(), unix: None }),
            Some(Answer::No(refusal)) => Err(refusal),
            _ => Err(Refusal::Unavailable),
        }
    }
}
