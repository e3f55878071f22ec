//! The keeper of the private keys: a process that alone reads them, signs what a TLS server signs, and talks to no client.
//!
//! It reads the keys as root, tells the listener what everybody may know of them, becomes the unprivileged account, and is shut in. For each connection the
//! listener gives it one end of a channel; whoever has the other end may ask for so many signatures as a handshake needs. It ends when the listener has let go of
//! it and the last channel is closed.

use super::privilege;
use crate::limits;
use crate::log::{self, Level, Sink, log};
use crate::sys::poll::{Watch, poll};
use crate::sys::process::{self, Forked, Pid};
use crate::sys::sandbox;
use crate::sys::signal;
use crate::sys::socket;
use crate::sys::user;
use crate::transport::signing::{Files, Presented, PrivateKeys, Sign};
use crate::transport::tls::TlsConfig;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the listener waits for a keeper that starts. Reading keys takes some milliseconds.
const TIME_TO_START: Duration = Duration::from_secs(10);

/// A message of a keeper that starts: a certificate, or its last words.
const LONGEST_REPORT: usize = 64 * 1024;

/// Certificates in all chains together.
const MOST_CERTIFICATES: usize = 1000;

/// A client's numeric address, which the keeper needs for its log alone.
const LONGEST_HOST: usize = 64;

/// All that it maps. It needs some megabytes.
const MEMORY: u64 = 256 * 1024 * 1024;

/// What a keeper that starts says, by the first octet of each message.
mod report {
    /// The next certificate of a chain, in DER.
    pub const CERTIFICATE: u8 = b'c';
    /// The schemes of the chain's key, two octets each: the chain is complete.
    pub const SCHEMES: u8 = b's';
    /// All has been said, and nothing but signing is left to do.
    pub const READY: u8 = b'r';
    /// It cannot serve, and why.
    pub const FAILED: u8 = b'f';
}

/// A running keeper, as the listener has it.
pub struct Keeper {
    control: OwnedFd,
    presented: Arc<Vec<Presented>>,
    began: Instant,
}

impl Keeper {
    /// Starts one with these keys. The error is one line for the administrator.
    pub fn start(files: &[Files]) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start the keeper of the private keys: {error}");
        let (control, theirs) = socket::message_pair().map_err(failed)?;
        let blocked = signal::block().map_err(failed)?;
        let pid = match process::fork().map_err(failed)? {
            Forked::Child => {
                signal::ignore_all();
                drop(blocked);
                // The listener's values stay behind: their descriptors are closed.
                std::mem::forget(control);
                run(theirs, files)
            }
            Forked::Parent(pid) => pid,
        };
        drop((blocked, theirs));
        match hear_report(&control) {
            Ok(presented) => Ok(Self { control, presented: Arc::new(presented), began: Instant::now() }),
            Err(error) => {
                end(pid);
                Err(error)
            }
        }
    }

    /// A new channel to it, for the connection of this client.
    pub fn channel(&self, host: &str) -> io::Result<Channel> {
        let (ours, theirs) = socket::message_pair()?;
        socket::send_descriptor(&self.control, host.as_bytes(), theirs.as_fd())?;
        Ok(Channel { presented: self.presented.clone(), socket: ours })
    }

    /// To be kept open in the process that has started it.
    pub fn descriptor(&self) -> RawFd {
        self.control.as_raw_fd()
    }

    /// Whether it has ended, which it does not by itself.
    pub fn is_gone(&self) -> bool {
        socket::peer_is_gone(&self.control)
    }

    /// For how long it has been running.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

fn end(pid: Pid) {
    process::kill(pid);
    // It may have been waited for already, by nobody who minds.
    let _ = process::wait_for(pid);
}

fn hear_report(control: &OwnedFd) -> Result<Vec<Presented>, String> {
    let silent = || "the keeper of the private keys does not start".to_owned();
    let deadline = Instant::now() + TIME_TO_START;
    let (mut presented, mut chain, mut buffer) = (Vec::new(), Vec::new(), vec![0; LONGEST_REPORT]);
    for _ in 0..2 * MOST_CERTIFICATES {
        if !poll(&mut [Watch::input(control.as_fd())], Some(deadline)).is_ok_and(|ready| ready) {
            return Err(silent());
        }
        let length = socket::receive_whole_now(control, &mut buffer).map_err(|_| silent())?;
        match buffer.get(..length).and_then(<[u8]>::split_first) {
            Some((&report::CERTIFICATE, der)) => chain.push(der.to_vec()),
            Some((&report::SCHEMES, schemes)) if !chain.is_empty() => {
                let schemes = schemes.as_chunks().0.iter().map(|&scheme| u16::from_be_bytes(scheme)).collect();
                presented.push(Presented { chain: std::mem::take(&mut chain), schemes });
            }
            Some((&report::READY, _)) if !presented.is_empty() && chain.is_empty() => return Ok(presented),
            Some((&report::FAILED, why)) => return Err(String::from_utf8_lossy(why).into_owned()),
            _ => return Err(silent()),
        }
    }
    Err(silent())
}

/// The way of one connection to the keeper.
pub struct Channel {
    presented: Arc<Vec<Presented>>,
    socket: OwnedFd,
}

impl Channel {
    /// To be kept open in the process that serves the connection.
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// TLS that is signed for through this channel.
    pub fn into_tls(self) -> Result<TlsConfig, String> {
        TlsConfig::signed_elsewhere(&self.presented, Arc::new(Asking(Mutex::new(Some(self.socket)))))
    }
}

/// Asks once; then the channel is closed.
#[derive(Debug)]
struct Asking(Mutex<Option<OwnedFd>>);

impl Sign for Asking {
    fn sign(&self, certificate: usize, scheme: u16, message: &[u8]) -> io::Result<Vec<u8>> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let socket = taken.ok_or_else(|| io::Error::other("the keeper signs once"))?;
        socket::send_now(&socket, &Request { certificate, scheme, message }.encode())?;
        if !poll(&mut [Watch::input(socket.as_fd())], Some(Instant::now() + limits::TIME_OF_SIGNATURE))? {
            return Err(io::Error::new(ErrorKind::TimedOut, "the keeper does not answer"));
        }
        let mut signature = vec![0; LONGEST_SIGNATURE];
        let length = socket::receive_whole_now(&socket, &mut signature)?;
        if length == 0 || length > signature.len() {
            return Err(io::Error::other("the keeper refuses"));
        }
        signature.truncate(length);
        Ok(signature)
    }
}

/// RSA with a key of 8192 bits.
const LONGEST_SIGNATURE: usize = 1024;

/// What is asked for on a channel: one octet for the certificate, two for the scheme, and the message.
#[derive(PartialEq, Eq, Debug)]
struct Request<'a> {
    certificate: usize,
    scheme: u16,
    message: &'a [u8],
}

impl<'a> Request<'a> {
    fn encode(&self) -> Vec<u8> {
        // An index that does not fit is one that the keeper does not know either.
        let certificate = u8::try_from(self.certificate).unwrap_or(u8::MAX);
        [&[certificate][..], &self.scheme.to_be_bytes(), self.message].concat()
    }

    fn parse(octets: &'a [u8]) -> Option<Self> {
        let (&[certificate, high, low], message) = octets.split_first_chunk()?;
        Some(Self { certificate: certificate.into(), scheme: u16::from_be_bytes([high, low]), message })
    }
}

/// The process.
fn run(control: OwnedFd, files: &[Files]) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| {
        process::hide_memory();
        log::close_descriptors();
        process::close_all_but(&[control.as_raw_fd()]);
        match prepare(&control, files) {
            Ok(keys) => serve(control, &keys),
            Err(why) => {
                let why = why.as_bytes();
                say(&control, report::FAILED, why.get(..LONGEST_REPORT - 1).unwrap_or(why));
            }
        }
    }));
    process::exit_now(i32::from(served.is_err()));
}

/// Everything that needs rights.
fn prepare(control: &OwnedFd, files: &[Files]) -> Result<PrivateKeys, String> {
    let failed = |error: io::Error| format!("cannot shut in the keeper of the private keys: {error}");
    process::start_session();
    process::set_private_umask();
    process::raise_descriptor_limit();
    match log::sink() {
        Sink::Stderr => process::silence_input_and_output(),
        _ => process::silence_standard_streams(),
    }
    .map_err(failed)?;
    let keys = PrivateKeys::load(files)?;
    if !process::lock_memory() {
        log!(Level::Notice, "the private keys may be swapped out: memory cannot be locked");
    }
    log::settle();
    let account = user::unprivileged().map_err(failed)?;
    privilege::become_nobody(&account).map_err(failed)?;
    let lacks = sandbox::lock_up_keeper(MEMORY).map_err(failed)?;
    if !lacks.is_empty() {
        log!(Level::Warning, "the keeper is not shut in as it could be: this kernel lacks {}", lacks.join(", "));
    }
    for presented in keys.presented() {
        for certificate in presented.chain {
            if !say(control, report::CERTIFICATE, &certificate) {
                return Err("a certificate is too large".to_owned());
            }
        }
        let schemes: Vec<u8> = presented.schemes.into_iter().flat_map(u16::to_be_bytes).collect();
        say(control, report::SCHEMES, &schemes);
    }
    say(control, report::READY, &[]);
    Ok(keys)
}

/// A listener that is gone need not hear it.
fn say(control: &OwnedFd, what: u8, text: &[u8]) -> bool {
    if text.len() >= LONGEST_REPORT {
        return false;
    }
    let message = [&[what], text].concat();
    // Waits where the listener is slow to read: there is nothing else to do yet.
    socket::send_message(control, &message).is_ok()
}

/// The keeper's end of a channel.
struct Asked {
    socket: OwnedFd,
    host: String,
    left: u32,
}

/// Whether a channel is still of use.
#[derive(PartialEq, Eq)]
enum Then {
    Stays,
    Closes,
}

fn serve(control: OwnedFd, keys: &PrivateKeys) {
    let mut control = Some(control);
    let mut channels: Vec<Asked> = Vec::new();
    while control.is_some() || !channels.is_empty() {
        let sockets = control.iter().chain(channels.iter().map(|channel| &channel.socket));
        let mut watches: Vec<Watch<'_>> = sockets.map(|socket| Watch::input(socket.as_fd())).collect();
        if poll(&mut watches, None).is_err() {
            // Out of memory for a moment; nothing is lost but time.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        let mut ready: Vec<bool> = watches.iter().map(Watch::is_ready).collect();
        let told = control.is_some() && ready.remove(0);
        let mut ready = ready.into_iter();
        channels.retain_mut(|channel| !ready.next().unwrap_or(false) || channel.answer(keys) == Then::Stays);
        if told
            && let Some(listener) = &control
            && take_channels(listener, &mut channels) == Then::Closes
        {
            control = None;
        }
    }
}

/// The channels that the listener has sent.
fn take_channels(control: &OwnedFd, channels: &mut Vec<Asked>) -> Then {
    loop {
        let mut host = [0; LONGEST_HOST];
        match socket::receive_descriptor(control, &mut host) {
            Ok((0, None)) => return Then::Closes,
            Ok((length, Some(socket))) => {
                let host = String::from_utf8_lossy(host.get(..length).unwrap_or_default()).into_owned();
                channels.push(Asked { socket, host, left: limits::SIGNATURES_OF_CONNECTION });
            }
            // Without a descriptor, or with one too many (out of descriptors, for one): whoever has the other end sees it closed.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Then::Stays,
            Err(_) => return Then::Closes,
        }
    }
}

impl Asked {
    fn answer(&mut self, keys: &PrivateKeys) -> Then {
        let mut octets = [0; limits::SIGNING_REQUEST];
        let length = match socket::receive_whole_now(&self.socket, &mut octets) {
            Ok(0) => return Then::Closes,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Then::Stays,
            Err(_) => return Then::Closes,
        };
        let Some(octets) = octets.get(..length) else { return self.refuse(&"it is too long") };
        let Some(request) = Request::parse(octets) else { return self.refuse(&"it is too short") };
        let signature = match keys.sign(request.certificate, request.scheme, request.message) {
            Ok(signature) => signature,
            Err(why) => return self.refuse(&why),
        };
        self.left = self.left.saturating_sub(1);
        if socket::send_now(&self.socket, &signature).is_err() || self.left == 0 { Then::Closes } else { Then::Stays }
    }

    /// Only a process that has been taken over asks so.
    fn refuse(&self, why: &dyn fmt::Display) -> Then {
        log!(Level::Error, "a signature was asked for and refused: {why} host=[{}]", self.host);
        Then::Closes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Peer;
    use crate::auth::demo::Demo;
    use crate::session::capabilities::Withheld;
    use crate::session::login::{LoginOutcome, LoginPolicy, login};
    use crate::sys::clock;
    use crate::sys::process::Ended;
    use crate::transport::Stream;
    use crate::transport::wait::Stop;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::version::{TLS12, TLS13};
    use rustls::{RootCertStore, SupportedProtocolVersion};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_signature_that_does_not_come_is_given_up() {
        let (ours, theirs) = socket::message_pair().unwrap();
        let asking = Asking(Mutex::new(Some(ours)));
        let began = Instant::now();
        assert_eq!(asking.sign(0, 0x0403, b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= limits::TIME_OF_SIGNATURE && began.elapsed() < limits::TIME_OF_SIGNATURE * 2);
        let mut request = [0; 16];
        assert_eq!(socket::receive_whole_now(&theirs, &mut request).unwrap(), 4);
        assert_eq!(Request::parse(&request[..4]), Some(Request { certificate: 0, scheme: 0x0403, message: b"x" }));
        // It asks once.
        assert!(asking.sign(0, 0x0403, b"x").is_err());
        assert!(asking.0.lock().unwrap().is_none());
    }

    #[test]
    fn what_no_keeper_says_is_no_start() {
        let hear = |messages: &[&[u8]]| {
            let (ours, theirs) = socket::message_pair().unwrap();
            for message in messages {
                socket::send_message(&theirs, message).unwrap();
            }
            drop(theirs);
            hear_report(&ours)
        };
        let known = |chain: &[&[u8]], schemes: &[u16]| Presented {
            chain: chain.iter().map(|der| der.to_vec()).collect(),
            schemes: schemes.to_vec(),
        };
        assert_eq!(
            hear(&[b"cone", b"ctwo", b"s\x04\x03", b"cthree", b"s\x08\x04\x08\x05", b"r"]).unwrap(),
            [known(&[b"one", b"two"], &[0x0403]), known(&[b"three"], &[0x0804, 0x0805])]
        );
        assert_eq!(hear(&[b"fit is so"]).unwrap_err(), "it is so");
        let too_long = vec![b'c'; LONGEST_REPORT + 1];
        for wrong in ["", "r", "s12 r", "cone r", "cone s x"] {
            let messages: Vec<&[u8]> = wrong.split(' ').map(str::as_bytes).collect();
            assert!(hear(&messages).is_err(), "{wrong:?}");
        }
        assert!(hear(&[&too_long]).is_err());
    }

    /// A client's side of a connection: a handshake and commands, the last of which is answered OK.
    fn talk(mut socket: UnixStream, roots: RootCertStore, version: &'static SupportedProtocolVersion) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tls = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        // In pieces, as from a network, with a failed login that has to wait.
        for piece in ["a CAPABILITY\r\nb ID NIL\r\nc LO", "GIN test wrong\r\n", "d LOGIN test {4}\r\n", "test\r\n"] {
            if stream.write_all(piece.as_bytes()).and_then(|()| stream.flush()).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        String::from_utf8_lossy(&answers).into_owned()
    }

    /// The whole of it, but for the chroot: the keeper's loop on one side, and what a gate does on the other.
    #[test]
    fn a_gate_that_is_locked_up_can_make_handshakes_and_hear_logins() {
        clock::zone_at(0);
        for (kind, version) in [("ec:P-256", &TLS13), ("ec:P-256", &TLS12), ("rsa:2048", &TLS13), ("rsa:2048", &TLS12)]
        {
            let here = tempfile::tempdir().unwrap();
            let (crt, key) = (here.path().join("crt"), here.path().join("key"));
            let newkey: &[&str] = match kind.strip_prefix("ec:") {
                Some(curve) => &["ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")],
                None => &[kind],
            };
            let made = std::process::Command::new("openssl")
                .args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-newkey"])
                .args(newkey)
                .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
                .args(["-out".as_ref(), crt.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
                .output()
                .unwrap();
            assert!(made.status.success());
            let keys = PrivateKeys::load(&[(crt.clone(), key)]).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(&crt).unwrap()).unwrap();
            let (control, theirs) = socket::message_pair().unwrap();
            let keeper = Keeper { control, presented: Arc::new(keys.presented()), began: Instant::now() };
            let keeping = std::thread::spawn(move || serve(theirs, &keys));
            let channel = keeper.channel("-").unwrap();
            let (client, ours) = UnixStream::pair().unwrap();
            let gate = match process::fork().unwrap() {
                Forked::Child => {
                    drop((client, keeper));
                    process::exit_now(gate(ours, channel))
                }
                Forked::Parent(gate) => gate,
            };
            drop((ours, channel));
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let answers = talk(client, roots, version);
            assert_eq!(process::wait_for(gate).unwrap(), Ended::Exit(0), "{kind} {version:?}: {answers}");
            assert!(answers.starts_with("* OK") && answers.contains("c NO"), "{answers}");
            drop(keeper);
            keeping.join().unwrap();
        }
    }

    fn gate(socket: UnixStream, channel: Channel) -> i32 {
        let (Ok(stream), Ok(tls)) = (Stream::socket(socket.into()), channel.into_tls()) else { return 2 };
        if sandbox::lock_up_gate(limits::MEMORY_BEFORE_LOGIN).is_err() {
            return 3;
        }
        let Ok(stream) = stream.start_tls(&tls, Instant::now() + limits::TIME_OF_HANDSHAKE) else { return 4 };
        let policy =
            LoginPolicy { tls: None, cleartext_allowed: true, withheld: &Withheld::default(), peer: Peer::default() };
        match login(crate::session::channel::Channel::new(stream, Stop(None)), &policy, &mut Demo) {
            LoginOutcome::LoggedIn { account, .. } if account.name == "test" => 0,
            _ => 5,
        }
    }
}
