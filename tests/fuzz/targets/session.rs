//! A whole session in each state, on mail in memory: whatever a client sends, the session ends when the client does, and every line that
//! it answers is a response.

#![no_main]

use imapd::testing::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use imapd::testing::session::capabilities::Withheld;
use imapd::testing::session::channel::Channel;
use imapd::testing::session::login::{LoginOutcome, LoginPolicy, login};
use imapd::testing::session::{Greeting, Session, SessionOptions};
use imapd::testing::storage::memory::MemoryServer;
use imapd::testing::transport::Stream;
use imapd::testing::transport::wait::Stop;
use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// What fits into a socket's buffer, so that one thread can write it all before the session reads.
const LONGEST: usize = 32 * 1024;

const MESSAGES: &[&str] = &[
    "Subject: one\r\nFrom: a@b\r\n\r\nbody\r\n",
    "Subject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\npart\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n",
    "Subject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw7w=\r\n",
];

fuzz_target!(|octets: &[u8]| {
    let Some((&state, sent)) = octets.split_first() else { return };
    if sent.len() > LONGEST {
        return;
    }
    let before: &[u8] = match state % 6 {
        0 | 1 => b"",
        2 => b"p SELECT INBOX\r\n",
        3 => b"p EXAMINE INBOX\r\n",
        4 => b"p ENABLE IMAP4rev2\r\np SELECT INBOX\r\n",
        _ => b"p ENABLE QRESYNC\r\np SELECT INBOX\r\np STORE 2 FLAGS (\\Deleted)\r\np EXPUNGE\r\n",
    };
    let (mut client, server) = UnixStream::pair().expect("a pair of sockets");
    for message in if state % 6 > 1 { MESSAGES } else { &[] } {
        write!(client, "p APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).expect("it fits");
    }
    client.write_all(before).expect("it fits");
    client.write_all(sent).expect("it fits");
    client.shutdown(Shutdown::Write).expect("an open socket");
    let reader = std::thread::spawn(move || {
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers);
        answers
    });
    serve(state % 6 == 0, server);
    let answers = reader.join().expect("the reader does not panic");
    assert!(answers.starts_with(b"* "), "no greeting");
    assert!(answers.ends_with(b"\r\n"), "the last line is not whole");
});

fn serve(before_login: bool, socket: UnixStream) {
    let server = MemoryServer::new();
    let channel = Channel::new(Stream::socket(OwnedFd::from(socket)).expect("a socket"), Stop(None));
    let options = |greeting| SessionOptions {
        user: "test".into(),
        peer: Peer::default(),
        service: "imap",
        withheld: Withheld::default(),
        greeting,
    };
    if !before_login {
        return Session::new(channel, server.store("test"), options(Greeting::PreAuth)).run();
    }
    let withheld = &Withheld::default();
    let policy = LoginPolicy { cleartext_allowed: true, tls: None, withheld, peer: Peer::default() };
    if let LoginOutcome::LoggedIn { channel, tag, .. } = login(channel, &policy, &mut OnePassword) {
        Session::new(channel, server.store("test"), options(Greeting::LoggedIn(tag))).run();
    }
}

struct OnePassword;

impl Authenticator for OnePassword {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        if credentials.password.expose() == b"test" {
            Ok(Account { name: "test".into(), unix: None })
        } else {
            Err(Refusal::Failed)
        }
    }
}
