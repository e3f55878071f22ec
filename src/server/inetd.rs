//! `--inetd`: one connection, accepted by inetd, xinetd or systemd.

use super::accept;
use super::certificates::{Certificates, Tls};
use super::child;
use super::config::Config;
use super::connection::{Connection, Service, serve};
use super::counts::Source;
use super::listener::{self, Protocol};
use super::slots;
use crate::log::{self, Level, Sink, log};
use crate::sys::{process, signal, socket};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

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
    let address = connection.peer.address;
    let mut slot = match slots::take(&config.run_dir, &config.most, Source::of(address)) {
        Ok(Ok(slot)) => Some(slot),
        Ok(Err(why)) => {
            let host = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            log!(Level::Warning, "connection refused: {why}: host=[{host}]");
            accept::refuse(&connection.socket, protocol, why);
            return Ok(());
        }
        Err(error) => {
            // Who started us may have limits too, and people want their mail.
            log!(Level::Notice, "connections are not counted in {}: {error}", config.run_dir.display());
            None
        }
    };
    let tls = certificates.current(address);
    // A keeper ends once nobody can ask for more.
    drop(certificates);
    let mut admit = |_: &_| {
        slot = None;
        true
    };
    if service.becomes_user {
        let blocked = signal::block().map_err(|error| format!("--inetd: {error}"))?;
        child::guard(connection, service, tls, blocked, &mut admit);
    } else {
        serve(connection, service, tls.and_then(Tls::into_config), child::stop(), &mut admit);
    }
    Ok(())
}
