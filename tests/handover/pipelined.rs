//! What a client sends behind its login arrives, wherever records and packets are cut.

use crate::pair::{Client, Random, Way, hand_over, pair, ways};
use imapd::testing::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use imapd::testing::session::capabilities::Withheld;
use imapd::testing::session::channel::Channel;
use imapd::testing::session::login::{LoginOutcome, LoginPolicy, login};
use imapd::testing::session::{Greeting, Session, SessionOptions};
use imapd::testing::storage::memory::MemoryServer;
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use imapd::testing::transport::wait::Stop;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

struct OnlyAlice;

impl Authenticator for OnlyAlice {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("alice", &b"secret"[..]));
        Ok(Account { name: "alice".into(), unix: None })
    }
}

/// Login here, and the session as another process would hold it.
fn serve(stream: Stream, socket: UnixStream) {
    let withheld = &Withheld::default();
    let policy = LoginPolicy { cleartext_allowed: true, tls: None, withheld, peer: Peer::default() };
    let LoginOutcome::LoggedIn { channel, tag, .. } = login(Channel::new(stream, Stop(None)), &policy, &mut OnlyAlice)
    else {
        panic!("no login")
    };
    let frozen = Frozen::decode(&channel.freeze().unwrap().encode()).unwrap();
    let channel = Channel::resume(socket.into(), frozen, Stop(None)).unwrap();
    let options = SessionOptions {
        user: "alice".into(),
        peer: Peer::default(),
        service: "imap",
        withheld: Withheld::default(),
        greeting: Greeting::LoggedIn(tag),
    };
    Session::new(channel, MemoryServer::new().store("alice"), options).run();
}

/// What a client says at once, piece by piece, and the message in it.
fn script(random: &mut Random) -> (Vec<Vec<u8>>, Vec<u8>) {
    let len = [1, 2, 3, 100, 1000, 5000, 16_384, 20_000][random.below(8)] + random.below(3);
    let message: Vec<u8> = (0..len).map(|_| b'!' + (random.next() % 90) as u8).collect();
    let login: &[u8] = match random.below(4) {
        0 => b"a LOGIN alice secret\r\n",
        1 => b"a LOGIN \"alice\" {6+}\r\nsecret\r\n",
        2 => b"a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n",
        _ => b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n",
    };
    let append = [format!("c APPEND INBOX {{{len}+}}\r\n").as_bytes(), &message, b"\r\n"].concat();
    let rest: &[&[u8]] =
        &[b"d SELECT {5+}\r\nINBOX\r\n", b"e UID FETCH 1 BODY.PEEK[]\r\n", b"f NOOP\r\n", b"g LOGOUT\r\n"];
    let mut said = vec![login.to_vec(), b"b NOOP\r\n".to_vec(), append];
    said.extend(rest.iter().map(|command| command.to_vec()));
    (said, message)
}

/// Cuts octets at random places, now into few pieces and now into many.
fn cut(octets: &[u8], random: &mut Random, most: usize) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = (0..random.below(most + 1)).map(|_| random.below(octets.len() + 1)).collect();
    places.extend([0, octets.len()]);
    places.sort_unstable();
    places.windows(2).map(|place| octets[place[0]..place[1]].to_vec()).collect()
}

/// The answers, in order, with the message that was stored.
fn check(answers: &[u8], message: &[u8], case: u64) {
    let shown = || format!("case {case}: {}", String::from_utf8_lossy(&answers[..answers.len().min(2000)]));
    let mut at = 0;
    let body = [format!("BODY[] {{{}}}\r\n", message.len()).as_bytes(), message, b")\r\n"].concat();
    let tagged: &[&[u8]] = &[b"a OK ", b"b OK ", b"c OK ", b"d OK ", &body, b"e OK ", b"f OK ", b"* BYE ", b"g OK "];
    for expected in tagged {
        let found = answers[at..].windows(expected.len()).position(|window| window == *expected);
        let named = String::from_utf8_lossy(&expected[..expected.len().min(20)]);
        at += found.unwrap_or_else(|| panic!("no {named:?} in {}", shown()));
    }
    assert!(answers.ends_with(b"\r\n"), "{}", shown());
}

fn send_slowly(socket: &mut UnixStream, pieces: Vec<Vec<u8>>, random: &mut Random) {
    for piece in pieces {
        socket.write_all(&piece).unwrap();
        if random.below(3) > 0 {
            std::thread::sleep(Duration::from_micros(random.below(100) as u64));
        }
    }
}

fn encrypted(way: Way, case: u64) {
    let mut random = Random::new(case);
    let (stream, mut client, socket) = pair(way);
    let server = std::thread::spawn(move || serve(stream, socket));
    let (said, message) = script(&mut random);
    // Records may hold parts of commands, one command or many.
    let records: Vec<Vec<u8>> = match random.below(3) {
        0 => said,
        1 => vec![said.concat()],
        _ => cut(&said.concat(), &mut random, 20),
    };
    let Client { tls, socket } = &mut client;
    tls.set_buffer_limit(None);
    let mut sealed = Vec::new();
    for record in records {
        tls.writer().write_all(&record).unwrap();
        if tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) && random.below(10) == 0 {
            tls.refresh_traffic_keys().unwrap();
        }
        while tls.wants_write() {
            tls.write_tls(&mut sealed).unwrap();
        }
    }
    let pieces = cut(&sealed, &mut random, 8);
    send_slowly(socket, pieces, &mut random);
    let answers = client.hear_end().unwrap_or_else(|error| panic!("case {case}: {error}"));
    drop(client);
    server.join().unwrap();
    check(&answers, &message, case);
}

#[test]
fn what_is_pipelined_behind_login_arrives_wherever_it_is_cut() {
    let ways = ways();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let ways = ways.clone();
            std::thread::spawn(move || {
                for case in (thread..2400).step_by(4) {
                    encrypted(ways[case as usize % ways.len()], case);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn without_tls_it_arrives_too() {
    for case in 0..1000 {
        let mut random = Random::new(case);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let second = ours.try_clone().unwrap();
        let server = std::thread::spawn(move || serve(Stream::socket(ours.into()).unwrap(), second));
        let (said, message) = script(&mut random);
        let pieces = cut(&said.concat(), &mut random, 8);
        send_slowly(&mut theirs, pieces, &mut random);
        let mut answers = Vec::new();
        theirs.read_to_end(&mut answers).unwrap();
        drop(theirs);
        server.join().unwrap();
        check(&answers, &message, case);
    }
}

/// Every place, one record in two packets, with the command behind LOGIN in the same record.
#[test]
fn every_cut_of_one_record_leaves_it_whole() {
    for way in [ways()[0], *ways().last().unwrap()] {
        let (mut stream, mut client, socket) = pair(way);
        let text = b"a LOGIN alice secret\r\nb NOOP\r\n";
        let whole = client.seal(text);
        client.socket.write_all(&whole).unwrap();
        assert_eq!(crate::pair::read(&mut stream), text);
        let mut stream = hand_over(stream, &text[22..], &socket);
        assert_eq!(crate::pair::read(&mut stream), &text[22..]);
        for cut in 0..whole.len() {
            let record = client.seal(text);
            client.socket.write_all(&record[..cut]).unwrap();
            let now = std::time::Instant::now();
            let woken = imapd::testing::transport::wait::wait(&mut stream, None, &Stop(None), now).unwrap();
            assert_eq!(woken, imapd::testing::transport::wait::Woken::Timeout);
            client.socket.write_all(&record[cut..]).unwrap();
            assert_eq!(crate::pair::read(&mut stream), text);
        }
    }
}
