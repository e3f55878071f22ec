//! The process model: who listens, who is root, who serves.
//!
//! ```text
//! --fork     listener  root          accepts, counts, forks, reaps; reads no octet from a client    accept, processes
//!             ├ keeper _imapd        has the private keys, signs; in an empty directory              keeper
//!             └ child  root → user   hears its gate; then is the user's session                     child
//!                ├ gate _imapd       TLS, the dialogue before login; in an empty directory          gate
//!                └ pam  root         one password check                                             auth::apart
//!             with --pam-session the child stays root, and a fork of it becomes the user            pam_session
//! --inetd    the child with a keeper of its own, as root; else one process                          inetd, slots
//! --preauth  the session alone, as the user who started it                                          preauth
//! otherwise  one process, a thread for each connection                                              accept, threads
//! ```
//!
//! What one connection goes through is the same in all of them: `connection`. What a child tells the listener, which
//! alone knows of the other connections, is in `reports`.

mod accept;
mod certificates;
mod child;
pub mod config;
mod connection;
mod counts;
mod delay;
pub mod fsck;
mod gate;
mod inetd;
mod keeper;
mod listener;
mod messages;
mod notify;
mod pam_session;
mod penalties;
mod preauth;
mod privilege;
mod processes;
mod reports;
mod slots;
mod source;
mod threads;

use crate::log::{self, Level, Sink, log};
use crate::sys::{clock, credentials, process, socket};
use crate::transport::tls;
use certificates::Certificates;
use config::{Config, Facts, Mode, Passwords, Place, Sandbox, Storage};
use connection::Service;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// What this process is and was started with.
pub fn facts() -> Facts {
    let stdin = std::io::stdin();
    Facts {
        is_root: credentials::is_root(),
        has_connection: (socket::is_socket(stdin.as_fd()) && !socket::is_listening(stdin.as_fd()))
            || listener::handed_over_connection(),
    }
}

/// Serves until told to end. The error is one line for the administrator; nothing was started then.
pub fn run(config: Config) -> Result<(), String> {
    std::panic::set_hook(Box::new(|panic| {
        // The message might quote what a client sent.
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        log!(Level::Error, "internal error at {place}; the connection ends");
    }));
    log::open(sink(&config), Level::Info);
    // Read /etc/localtime while it can be seen: sessions have no environment, and may be shut in.
    clock::zone_at(0);
    let certificates = if config.becomes_user {
        process::know_processor();
        tls::know_processor();
        Certificates::load_in_keeper(&config)?
    } else {
        Certificates::load(&config)?
    };
    let service = Service::new(&config)?;
    // A process of inetd has no time to try what is only told.
    if config.becomes_user && (config.mode == Mode::Fork || config.sandbox == Sandbox::Require) {
        privilege::check_sandbox(config.sandbox)?;
    }
    match config.mode {
        Mode::PreAuth => preauth::run(&service),
        Mode::Inetd => inetd::run(inetd::connection()?, &config, &service, certificates),
        Mode::Fork | Mode::Threads => {
            let listeners = listener::open(&config)?;
            let pidfile = PidFile::write(&config)?;
            for warning in service.warnings() {
                log!(Level::Warning, "{warning}");
            }
            process::raise_descriptor_limit();
            let result = match config.mode {
                Mode::Fork => processes::run(listeners, &config, service, certificates),
                _ => threads::run(listeners, &config, service, certificates),
            };
            drop(pidfile);
            result.map_err(|error| format!("cannot go on: {error}"))
        }
    }
}

/// Checks all that can be checked without starting anything, and says what would be served.
pub fn check(config: &Config) -> Result<String, String> {
    Certificates::load(config)?;
    let service = Service::new(config)?;
    let mut lines = Vec::new();
    lines.push(match config.mode {
        Mode::Threads => "mode: single process".to_owned(),
        Mode::Fork => "mode: a process for each connection".to_owned(),
        Mode::Inetd => "mode: one connection on standard input".to_owned(),
        Mode::PreAuth => "mode: standard input and output, without login".to_owned(),
    });
    if matches!(config.mode, Mode::Fork | Mode::Threads) {
        for endpoint in listener::endpoints(config)? {
            lines.push(format!("listen: {endpoint}"));
        }
    }
    if config.tls_files.is_empty() {
        lines.push("tls: none".to_owned());
    }
    for (certificate, key) in &config.tls_files {
        lines.push(format!("tls: certificate {}, key {}", certificate.display(), key.display()));
    }
    lines.push(match &config.storage {
        Storage::Memory => "mail: in memory".to_owned(),
        Storage::Maildir(Place::Home) => "mail: ~/Maildir".to_owned(),
        Storage::Maildir(Place::Shared(path)) => format!("mail: {}/<user>", path.display()),
    });
    lines.extend(config.index_path.as_ref().map(|path| format!("indexes: {}/<user>", path.display())));
    lines.push(match &config.passwords {
        _ if config.mode == Mode::PreAuth => "passwords: none".to_owned(),
        Passwords::Pam { service } if config.pam_session => format!("passwords: PAM service {service}, with a session"),
        Passwords::Pam { service } => format!("passwords: PAM service {service}"),
        Passwords::File(path) => format!("passwords: {}", path.display()),
        Passwords::Demo => "passwords: user test, password test".to_owned(),
    });
    if config.mode != Mode::PreAuth {
        lines.extend(service.warnings().iter().map(|warning| format!("warning: {warning}")));
    }
    Ok(lines.join("\n") + "\n")
}

fn sink(config: &Config) -> Sink {
    let to_stderr = match config.mode {
        Mode::Threads => true,
        Mode::Fork => std::io::stderr().is_terminal(),
        // Standard error may be the connection.
        Mode::Inetd | Mode::PreAuth => false,
    };
    match config.log {
        Some(Sink::Stderr) if config.mode == Mode::Inetd && socket::is_socket(std::io::stderr().as_fd()) => {
            Sink::Syslog
        }
        Some(sink) => sink,
        None if to_stderr => Sink::Stderr,
        None if log::has_syslog() => Sink::Syslog,
        None if config.mode == Mode::Fork => Sink::Stderr,
        None => Sink::Nowhere,
    }
}

/// The file with our process number; it goes when we do.
struct PidFile(std::path::PathBuf);

impl PidFile {
    fn write(config: &Config) -> Result<Option<Self>, String> {
        let Some(path) = &config.pidfile else { return Ok(None) };
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| format!("cannot write the pid file {}: {error}", path.display()))?;
        Ok(Some(Self(path.clone())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It may be gone, or in a directory that has become read-only: the next start overwrites it.
        let _ = std::fs::remove_file(&self.0);
    }
}
