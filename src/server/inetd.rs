//! `--inetd`: one connection, accepted by inetd, xinetd or systemd.

use super::accept;
use super::certificates::{Certificates, Tls};
use super::child;
use super::config::Config;
use super::connection::{Connection, Service, serve};
use super::listener::{self, Protocol};
use super::reports::Overseer;
use super::slots::{self, Slot};
use super::source::Source;
use crate::limits;
use crate::log::{self, Level, Sink, log};
use crate::sys::{process, signal, socket};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// The connection that this process was started with.
pub fn connection() -> Result<OwnedFd, String> {
    if let Some(socket) = listener::take_handed_over_connection() {
        return Ok(socket);
    }
    let stdin = io::stdin();
    if !socket::is_socket(stdin.as_fd()) {
        return Err("--inetd: standard input is not a socket".to_owned());
    }
    if socket::is_listening(stdin.as_fd()) {
        return Err("--inetd: standard input is a listening socket; inetd must be told nowait".to_owned());
    }
    stdin.as_fd().try_clone_to_owned().map_err(|error| format!("--inetd: {error}"))
}

/// Serves it. What is wrong from here on is said to the log and the client.
pub fn run(socket: OwnedFd, config: &Config, service: &Service, mut certificates: Certificates) -> Result<(), String> {
    // Standard output, and with inetd standard error too, are the connection: nothing but the session may write there.
    let silenced = match config.log {
        Some(Sink::Stderr) if !socket::is_socket(io::stderr().as_fd()) => process::silence_input_and_output(),
        _ => process::silence_standard_streams(),
    };
    silenced.map_err(|error| format!("--inetd: {error}"))?;
    log::close_descriptors();
    let kept: Vec<_> = std::iter::once(socket.as_raw_fd()).chain(certificates.descriptor()).collect();
    process::close_all_but(&kept);
    process::hide_memory();
    process::set_private_umask();
    std::env::set_current_dir("/").map_err(|error| format!("--inetd: {error}"))?;
    let protocol = if config.implicit_tls { Protocol::Imaps } else { Protocol::Imap };
    let connection = Connection::new(socket, protocol);
    let mut alone = Alone { config, slot: None };
    // Where a proxy says from where the connection is, it counts when that has been said.
    if !service.offer.expects_proxy_header(&connection.peer)
        && let Err(why) = alone.count(connection.peer.address)
    {
        log!(Level::Warning, "connection refused: {why}: host=[{}]", connection.peer.host());
        accept::refuse(&connection.socket, protocol, why);
        return Ok(());
    }
    let tls = certificates.current(&connection.peer);
    // A keeper ends once nobody can ask for more.
    drop(certificates);
    if service.becomes_user() {
        let blocked = signal::block().map_err(|error| format!("--inetd: {error}"))?;
        // How it ended is for a listener to hear.
        let _ = child::guard(connection, service, tls, blocked, &mut alone);
    } else {
        serve(connection, service, tls.and_then(Tls::into_config), child::stop(), &mut alone);
    }
    Ok(())
}

/// Instead of a listener, of which there is none: connections are counted (`slots`), and nothing is held against anybody.
/// Who starts these processes may do that, and fail2ban can.
struct Alone<'a> {
    config: &'a Config,
    slot: Option<Slot>,
}

impl Alone<'_> {
    fn count(&mut self, address: Option<IpAddr>) -> Result<(), &'static str> {
        match slots::take(&self.config.run_dir, &self.config.most, Source::of(address)) {
            Ok(Ok(slot)) => self.slot = Some(slot),
            Ok(Err(why)) => return Err(why),
            // Who started us may have limits too, and people want their mail.
            Err(error) => {
                log!(Level::Notice, "connections are not counted in {}: {error}", self.config.run_dir.display());
            }
        }
        Ok(())
    }
}

impl Overseer for Alone<'_> {
    fn from(&mut self, client: IpAddr) -> Result<(), String> {
        self.count(Some(client)).map_err(str::to_owned)
    }

    fn failed(&mut self) -> Duration {
        limits::TIME_OF_FAILURE
    }

    fn logged_in(&mut self, _user: &str) -> bool {
        self.slot = None;
        true
    }
}
