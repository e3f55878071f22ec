//! `--fork`: a process for each connection.

use super::accept::{self, Launcher, Refused};
use super::certificates::{Certificates, Tls};
use super::child;
use super::config::Config;
use super::connection::{Connection, Service};
use super::counts::{Counts, Dropped, Slot};
use super::listener::Listener;
use super::penalties::Offence;
use super::reports::{self, Answer, Report};
use super::source::Source;
use crate::limits;
use crate::log::{Level, log};
use crate::sys::process::{self, Ended, Forked, Pid};
use crate::sys::signal::{self, Signal, Signals};
use crate::sys::socket;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Runs until told to end. The error is of the start.
pub fn run(listeners: Vec<Listener>, config: &Config, service: Service, certificates: Certificates) -> io::Result<()> {
    process::silence_input_and_output()?;
    process::hide_memory();
    let caught = [Signal::Terminate, Signal::Interrupt, Signal::Reload, Signal::ChildEnded];
    let mut processes = Processes {
        service,
        counts: Counts::new(config.most, config.penalty_exempt.clone()),
        children: HashMap::new(),
        signals: Signals::catch(&caught)?,
    };
    accept::run(listeners, certificates, &mut processes);
    Ok(())
}

struct Processes {
    service: Service,
    counts: Counts,
    children: HashMap<Pid, Child>,
    signals: Signals,
}

struct Child {
    slot: Slot,
    /// On which it reports and asks; `None` once it has a user.
    question: Option<OwnedFd>,
    failures: u32,
    has_logged_in: bool,
    /// Held against its client, if we have killed it.
    killed_for: Option<Offence>,
    began: Instant,
}

impl Launcher for Processes {
    fn watched(&self) -> Vec<BorrowedFd<'_>> {
        self.children.values().filter_map(|child| child.question.as_ref()).map(AsFd::as_fd).collect()
    }

    fn attend(&mut self) {
        let mut dropped = Vec::new();
        for (&pid, child) in &mut self.children {
            match child.answer(&mut self.counts) {
                Ok(one) => dropped.extend(one),
                Err(OutOfOrder) => {
                    log!(Level::Error, "session process {pid} has said what it may not: killed");
                    // Somebody may have taken it over.
                    child.kill(pid, Offence::Crash);
                }
            }
        }
        for dropped in dropped {
            self.let_go(dropped);
        }
        while let Some((pid, ended)) = process::reap() {
            match self.children.remove(&pid) {
                Some(child) => {
                    let offence = child.judge(pid, ended);
                    self.counts.remove(child.slot, offence, Instant::now());
                }
                // What is no session is a keeper of the private keys.
                None => match ended {
                    Ended::Exit(0) => {}
                    Ended::Exit(code) => log!(Level::Error, "keeper process {pid} ended with status {code}"),
                    Ended::Signal(signal) => {
                        log!(Level::Error, "keeper process {pid} was killed by signal {signal}");
                    }
                },
            }
        }
    }

    fn launch(&mut self, connection: Connection, certificates: &mut Certificates) -> Result<Option<Source>, Refused> {
        let peer = &connection.peer;
        let source = (!self.service.offer.expects_proxy_header(peer)).then(|| Source::of(peer.address));
        let (slot, dropped) = self.counts.add(source, Instant::now()).map_err(Refused::Limit)?;
        if let Some(dropped) = dropped {
            self.let_go(dropped);
        }
        let tls = certificates.current(&connection.peer);
        match self.fork(connection, tls) {
            Ok((pid, question)) => {
                let (question, began) = (Some(question), Instant::now());
                let (failures, has_logged_in, killed_for) = Default::default();
                self.children.insert(pid, Child { slot, question, failures, has_logged_in, killed_for, began });
                Ok(dropped.map(|dropped| dropped.source))
            }
            Err(error) => {
                self.counts.remove(slot, None, Instant::now());
                Err(Refused::Exhausted(error))
            }
        }
    }

    fn running(&self) -> usize {
        self.children.len()
    }

    fn stop_all(&mut self) {
        for &pid in self.children.keys() {
            process::terminate(pid);
        }
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}

impl Processes {
    /// The kernel closes the connection of a process that is killed.
    fn let_go(&mut self, dropped: Dropped) {
        let found = self.children.iter_mut().find(|(_, child)| child.slot.number == dropped.number);
        if let Some((&pid, child)) = found {
            child.kill(pid, Offence::Abandoned);
        }
    }

    fn fork(&mut self, connection: Connection, tls: Option<Tls>) -> io::Result<(Pid, OwnedFd)> {
        let (ours, theirs) = socket::message_pair()?;
        // A signal for the child that came before it has put its own house in order would be handled as ours.
        let blocked = signal::block()?;
        match process::fork()? {
            Forked::Child => {
                self.signals.ignore();
                child::run(connection, &self.service, tls, theirs, blocked)
            }
            Forked::Parent(pid) => Ok((pid, ours)),
        }
    }
}

/// A process said what none of ours says there.
struct OutOfOrder;

impl Child {
    /// Hears a report, if there is one, and answers it. Gives a connection that has to go for this one.
    fn answer(&mut self, counts: &mut Counts) -> Result<Option<Dropped>, OutOfOrder> {
        let Some(question) = &self.question else { return Ok(None) };
        let report = match Report::receive_now(question) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(OutOfOrder),
            // It ends.
            Err(_) | Ok(None) => {
                self.question = None;
                return Ok(None);
            }
            Ok(Some(report)) => report,
        };
        let now = Instant::now();
        match report {
            Report::From(address) if self.slot.awaits_source() && self.failures == 0 => {
                let placed = counts.place(&mut self.slot, Source::of(Some(address)), now);
                Answer::Refused(placed.err()).send(question);
                return Ok(placed.unwrap_or_default());
            }
            Report::Failed if !self.slot.awaits_source() && self.failures < limits::FAILED_LOGINS => {
                self.failures += 1;
                Answer::Delay(counts.fail(&self.slot, now)).send(question);
            }
            Report::LoggedIn(user) if !self.slot.awaits_source() && self.failures < limits::FAILED_LOGINS => {
                self.has_logged_in = counts.log_in(&mut self.slot, &user);
                Answer::Admitted(self.has_logged_in).send(question);
                self.question = None;
            }
            _ => return Err(OutOfOrder),
        }
        Ok(None)
    }

    fn kill(&mut self, pid: Pid, offence: Offence) {
        process::kill(pid);
        self.question = None;
        self.killed_for = Some(offence);
    }

    /// Logs what is wrong with this end, and says what is to be held against the client.
    fn judge(&self, pid: Pid, ended: Ended) -> Option<Offence> {
        let (seconds, host) = (self.began.elapsed().as_secs(), self.slot.host());
        match ended {
            // The log has been told why.
            Ended::Signal(_) if self.killed_for.is_some() => return self.killed_for,
            Ended::Exit(0) => return None,
            Ended::Exit(reports::GATE_CRASHED) if !self.has_logged_in => {}
            Ended::Exit(code) => match reports::ending(code) {
                Some(ending) if !self.has_logged_in => return reports::offence(ending),
                _ => log!(Level::Error, "session process {pid} ended with status {code} host=[{host}]"),
            },
            Ended::Signal(signal) => log!(
                Level::Error,
                "session process {pid} was killed by signal {signal} after {seconds} seconds host=[{host}]"
            ),
        }
        Some(Offence::Crash)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Most;
    use super::super::source::Networks;
    use super::*;

    fn counts() -> Counts {
        Counts::new(Most::default(), Networks::default())
    }

    fn source(text: &str) -> Option<Source> {
        Some(Source::of(text.parse().ok()))
    }

    /// A process that has said these, each heard before the next. How often that was in order.
    fn heard(from: Option<Source>, said: &[&[u8]]) -> (usize, Child) {
        let (ours, theirs) = socket::message_pair().unwrap();
        let mut counts = counts();
        let (slot, _) = counts.add(from, Instant::now()).unwrap();
        let (question, began) = (Some(ours), Instant::now());
        let (failures, has_logged_in, killed_for) = Default::default();
        let mut child = Child { slot, question, failures, has_logged_in, killed_for, began };
        assert!(child.answer(&mut counts).is_ok());
        for (number, octets) in said.iter().enumerate() {
            if socket::send_now(&theirs, octets).is_err() || child.answer(&mut counts).is_err() {
                return (number, child);
            }
        }
        (said.len(), child)
    }

    /// Row 35.
    #[test]
    fn a_process_that_says_anything_out_of_order_is_found_out() {
        let (direct, proxied) = (source("192.0.2.7"), None);
        let address = b"A\xc0\0\x02\x07".as_slice();
        for (from, said, good) in [
            (direct, &[b"F".as_slice(), b"F", b"F", b"F"][..], 3),
            (direct, &[b"F", b"F", b"F", b"Lal"], 3),
            (direct, &[b"F", b"F", b"Lal", b"F"], 3),
            (direct, &[b"Lal", b"Lbo"], 1),
            (direct, &[address], 0),
            (direct, &[b"x"], 0),
            (direct, &[&[b'L'; 1000]], 0),
            (proxied, &[b"F"], 0),
            (proxied, &[b"Lal"], 0),
            (proxied, &[address, address], 1),
            (proxied, &[address, b"F", address], 2),
            (proxied, &[address, b"F", b"Lal"], 3),
        ] {
            assert_eq!(heard(from, said).0, good, "{said:?}");
        }
    }

    #[test]
    fn an_end_before_login_is_judged_and_one_after_it_is_not() {
        let (_, child) = heard(source("192.0.2.7"), &[b"F"]);
        let pid = match process::fork().unwrap() {
            Forked::Child => process::exit_now(0),
            Forked::Parent(pid) => pid,
        };
        process::wait_for(pid).unwrap();
        let judged = |child: &Child| {
            [Ended::Exit(0), Ended::Exit(10), Ended::Exit(11), Ended::Exit(1), Ended::Signal(11)]
                .map(|ended| child.judge(pid, ended))
        };
        let crash = Some(Offence::Crash);
        assert_eq!(judged(&child), [None, Some(Offence::Abandoned), Some(Offence::TimeUp), crash, crash]);
        let (_, mut child) = heard(source("192.0.2.7"), &[b"Lal"]);
        // The counts know that it has logged in, and hold nothing against it.
        assert_eq!(judged(&child), [None, crash, crash, crash, crash]);
        child.killed_for = Some(Offence::Abandoned);
        assert_eq!(child.judge(pid, Ended::Signal(9)), Some(Offence::Abandoned));
    }
}
