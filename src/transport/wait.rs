//! Sleep until the client speaks, a mailbox changes, we are asked to stop, or time is up.

use super::Stream;
use crate::sys::poll::{Watch, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// [`Stream::read`] has something to say, be it the end.
    Client,
    /// The watched mailbox.
    Mailbox,
    /// The server ends this session.
    Stop,
    Timeout,
}

/// Becomes readable, and stays so, when sessions shall end with BYE. One for all sessions of a process.
#[derive(Clone)]
pub struct Stop(pub Option<Arc<OwnedFd>>);

/// Waits. What rustls has already decrypted counts as the client speaking, and half a TLS record does not: after
/// `Client` a read does not wait. `Stop` is told before `Client`, `Client` before `Mailbox`.
pub fn wait(stream: &mut Stream, mailbox: Option<BorrowedFd<'_>>, stop: &Stop, deadline: Instant) -> io::Result<Woken> {
    loop {
        let read_ahead = stream.has_read_ahead();
        let mut watches = Vec::with_capacity(3);
        watches.push(Watch::input(stream.input()));
        let stop_at = stop.0.as_ref().map(|fd| {
            watches.push(Watch::input(fd.as_fd()));
            watches.len() - 1
        });
        let mailbox_at = mailbox.map(|fd| {
            watches.push(Watch::input(fd));
            watches.len() - 1
        });
        let any = poll(&mut watches, Some(if read_ahead { Instant::now() } else { deadline }))?;
        let ready = |at: Option<usize>| at.and_then(|at| watches.get(at)).is_some_and(Watch::is_ready);
        let (stopped, client, changed) = (ready(stop_at), ready(Some(0)), ready(mailbox_at));
        if stopped {
            return Ok(Woken::Stop);
        }
        if read_ahead || (client && stream.take_in()) {
            return Ok(Woken::Client);
        }
        if changed {
            return Ok(Woken::Mailbox);
        }
        if !any || Instant::now() >= deadline {
            return Ok(Woken::Timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::socket(ours.into()).unwrap(), theirs)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn the_client_speaking_and_leaving_are_told() {
        let (mut stream, mut client) = pair();
        client.write_all(b"a NOOP\r\n").unwrap();
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).unwrap(), 8);
        drop(client);
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        assert_eq!(stream.read(&mut buffer).unwrap(), 0);
        assert_eq!(stream.counters(), (8, 0));
    }

    #[test]
    fn stop_goes_before_client_and_client_before_mailbox() {
        let (mut stream, mut client) = pair();
        let (mailbox, mut change) = UnixStream::pair().unwrap();
        let (stop, mut stopper) = UnixStream::pair().unwrap();
        let stop = Stop(Some(Arc::new(stop.into())));
        change.write_all(b"x").unwrap();
        assert_eq!(wait(&mut stream, Some(mailbox.as_fd()), &stop, soon()).unwrap(), Woken::Mailbox);
        client.write_all(b"x").unwrap();
        assert_eq!(wait(&mut stream, Some(mailbox.as_fd()), &stop, soon()).unwrap(), Woken::Client);
        stopper.write_all(b"x").unwrap();
        assert_eq!(wait(&mut stream, Some(mailbox.as_fd()), &stop, soon()).unwrap(), Woken::Stop);
    }

    /// A TLS connection, and the client's side of it without a socket of its own.
    fn encrypted() -> (Stream, rustls::ClientConnection, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let here = tempfile::tempdir().unwrap();
        let (certificate, key) = (here.path().join("crt"), here.path().join("key"));
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
            .args(["-out".as_ref(), certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
            .output()
            .unwrap();
        assert!(made.status.success());
        let config = crate::transport::tls::TlsConfig::load(&certificate, &key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::pem::PemObject;
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let mut client = rustls::ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        let handshake = std::thread::spawn(move || {
            while client.is_handshaking() {
                client.complete_io(&mut theirs).unwrap();
            }
            (client, theirs)
        });
        let stream = Stream::socket(ours.into()).unwrap().start_tls(&config, soon()).unwrap();
        let (client, theirs) = handshake.join().unwrap();
        (stream, client, theirs)
    }

    fn sealed(client: &mut rustls::ClientConnection, text: &str) -> Vec<u8> {
        let mut record = Vec::new();
        client.writer().write_all(text.as_bytes()).unwrap();
        client.write_tls(&mut record).unwrap();
        record
    }

    #[test]
    fn half_a_tls_record_is_not_the_client_speaking() {
        let (mut stream, mut client, mut theirs) = encrypted();
        assert!(stream.is_tls() && stream.tls_description().unwrap().starts_with("TLSv1.3 "));
        let record = sealed(&mut client, "a NOOP\r\n");
        theirs.write_all(&record[..7]).unwrap();
        let shortly = Instant::now() + Duration::from_millis(30);
        assert_eq!(wait(&mut stream, None, &Stop(None), shortly).unwrap(), Woken::Timeout);
        theirs.write_all(&record[7..]).unwrap();
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).unwrap(), 8);
    }

    #[test]
    fn what_is_already_decrypted_is_the_client_speaking() {
        let (mut stream, mut client, mut theirs) = encrypted();
        theirs.write_all(&sealed(&mut client, "a NOOP\r\nb NOOP\r\n")).unwrap();
        let mut buffer = [0; 8];
        for _ in 0..2 {
            assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
            assert_eq!(stream.read(&mut buffer).unwrap(), 8);
        }
        assert_eq!(wait(&mut stream, None, &Stop(None), Instant::now()).unwrap(), Woken::Timeout);
    }

    #[test]
    fn a_tls_peer_that_vanishes_is_no_end() {
        let (mut stream, mut client, mut theirs) = encrypted();
        client.send_close_notify();
        let mut goodbye = Vec::new();
        client.write_tls(&mut goodbye).unwrap();
        theirs.write_all(&goodbye).unwrap();
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);

        let (mut stream, _client, theirs) = encrypted();
        drop(theirs);
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_tls_is_said_and_does_not_block() {
        let (mut stream, _client, mut theirs) = encrypted();
        theirs.write_all(b"a NOOP\r\n").unwrap();
        assert_eq!(wait(&mut stream, None, &Stop(None), soon()).unwrap(), Woken::Client);
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn time_is_up() {
        let (mut stream, _client) = pair();
        assert_eq!(wait(&mut stream, None, &Stop(None), Instant::now()).unwrap(), Woken::Timeout);
    }

    #[test]
    fn a_client_that_takes_nothing_is_given_up() {
        let (mut stream, _client) = pair();
        stream.set_stall(Duration::from_millis(20));
        let error = stream.write_all(&vec![0; 8 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
