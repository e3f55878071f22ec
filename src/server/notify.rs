//! What systemd wants to be told (sd_notify(3)), without its library.

use crate::log::{Level, log};
use crate::sys::clock;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The sockets are open, or the reload is done.
pub fn ready() {
    send("READY=1");
}

/// The certificates are being read again.
pub fn reloading() {
    send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic_micros()));
}

/// No connection is accepted any more.
pub fn stopping() {
    send("STOPPING=1");
}

/// A line for `systemctl status`.
pub fn status(text: &str) {
    send(&format!("STATUS={text}"));
}

fn send(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        log!(Level::Warning, "cannot notify systemd: {error}");
    }
}
