//! Bind addresses, or take sockets from systemd.

use super::config::Config;
use crate::sys::socket;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd, RawFd};

/// What is spoken first on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// IMAP, with STARTTLS where there is a certificate.
    Imap,
    /// TLS.
    Imaps,
}

impl Protocol {
    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Imaps => "imaps",
        }
    }
}

/// An address to listen at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    address: SocketAddr,
    protocol: Protocol,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.protocol.name())
    }
}

/// A socket that waits for connections. Accepting from it does not block.
pub struct Listener {
    pub socket: TcpListener,
    pub protocol: Protocol,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket.local_addr() {
            Ok(address) => Endpoint { address, protocol: self.protocol }.fmt(f),
            Err(_) => f.write_str(self.protocol.name()),
        }
    }
}

/// The first descriptor that systemd hands over (SD_LISTEN_FDS_START).
const FIRST_HANDED_OVER: RawFd = 3;

/// The sockets that systemd hands over or, if there are none, those at the configured addresses.
pub fn open(config: &Config) -> Result<Vec<Listener>, String> {
    let handed_over = handed_over();
    if handed_over == 0 {
        return bind(config);
    }
    (FIRST_HANDED_OVER..FIRST_HANDED_OVER.saturating_add(handed_over))
        .map(|number| {
            let failed = |why: &dyn fmt::Display| format!("descriptor {number} from LISTEN_FDS: {why}");
            let fd = socket::inherited(number).ok_or_else(|| failed(&"is not open"))?;
            if !socket::is_listening(fd.as_fd()) {
                return Err(failed(&"is not a listening socket"));
            }
            let socket = TcpListener::from(fd);
            let address = socket.local_addr().map_err(|error| failed(&error))?;
            // The port tells: a socket unit has no other way to say it.
            let is_tls = config.implicit_tls || Some(address.port()) == config.tls_port || address.port() == 993;
            if is_tls && config.tls_files.is_empty() {
                return Err(failed(&"port 993 needs --cert and --key"));
            }
            let protocol = if is_tls { Protocol::Imaps } else { Protocol::Imap };
            ready(socket, protocol).map_err(|error| failed(&error))
        })
        .collect()
}

fn ready(socket: TcpListener, protocol: Protocol) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    Ok(Listener { socket, protocol })
}

/// Whether systemd has handed over one socket that is a connection (`Accept=yes`).
pub fn handed_over_connection() -> bool {
    handed_over() == 1
        && socket::borrow_inherited(FIRST_HANDED_OVER)
            .is_some_and(|fd| socket::is_socket(fd) && !socket::is_listening(fd))
}

/// That connection.
pub fn take_handed_over_connection() -> Option<OwnedFd> {
    if handed_over_connection() { socket::inherited(FIRST_HANDED_OVER) } else { None }
}

/// How many descriptors systemd has handed over to this process.
fn handed_over() -> RawFd {
    let number = |name| std::env::var(name).ok().and_then(|value: String| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return 0;
    }
    const MOST: u32 = 1000;
    number("LISTEN_FDS").filter(|&count| count <= MOST).and_then(|count| count.try_into().ok()).unwrap_or(0)
}

/// Where the configuration says to listen.
pub fn endpoints(config: &Config) -> Result<Vec<Endpoint>, String> {
    let protocol = if config.implicit_tls { Protocol::Imaps } else { Protocol::Imap };
    let ports = [Some((config.port, protocol)), config.tls_port.map(|port| (port, Protocol::Imaps))];
    let mut endpoints = Vec::new();
    for host in &config.hosts {
        for (port, protocol) in ports.into_iter().flatten() {
            // Brackets, as in URLs, do no harm.
            let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            let addresses =
                (bare, port).to_socket_addrs().map_err(|error| format!("cannot find host {host}: {error}"))?;
            for address in addresses {
                let endpoint = Endpoint { address, protocol };
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
    }
    Ok(endpoints)
}

fn bind(config: &Config) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    let mut absent = None;
    for Endpoint { address, protocol } in endpoints(config)? {
        match socket::listen_at(address).and_then(|socket| ready(socket, protocol)) {
            Ok(listener) => listeners.push(listener),
            // `localhost` also means ::1 on machines that have no IPv6.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_FAMILY) => {
                absent = Some(format!("cannot listen at {address}: {error}"));
            }
            Err(error) => return Err(format!("cannot listen at {address}: {error}")),
        }
    }
    match absent {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

/// EAFNOSUPPORT, which has no `ErrorKind`.
const NO_FAMILY: i32 = 97;
