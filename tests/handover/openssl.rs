//! OpenSSL's client, which is no relative of ours.

use crate::pair::{Kind, read, soon};
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

/// Sends each line that comes back with `echo ` before it, to the end. Handed over after the first.
fn echo(listener: TcpListener, kind: Kind) -> String {
    let (socket, _) = listener.accept().unwrap();
    let second = socket.try_clone().unwrap();
    let mut stream = Stream::socket(socket.into()).unwrap().start_tls(kind.config(), soon()).unwrap();
    let description = stream.tls_description().unwrap();
    let first = read(&mut stream);
    let frozen = stream.freeze(&first).unwrap().encode();
    let frozen = Frozen::decode(&frozen).unwrap();
    let mut stream = Stream::thaw(second.into(), frozen).unwrap();
    loop {
        let said = read(&mut stream);
        if said.is_empty() {
            stream.close();
            return description;
        }
        stream.write_all(&[b"echo ", &said[..]].concat()).unwrap();
    }
}

#[track_caller]
fn wait_for(from: &mut impl BufRead, expected: &str) {
    let mut line = String::new();
    while line != expected {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "no {expected}");
    }
}

#[test]
fn openssl_goes_on_and_changes_its_keys() {
    for kind in [Kind::Ecdsa, Kind::Rsa] {
        for version in ["-tls1_2", "-tls1_3"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || echo(listener, kind));
            let mut client = Command::new("openssl")
                .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), version])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("openssl is here");
            let mut say = client.stdin.take().unwrap();
            let mut hear = BufReader::new(client.stdout.take().unwrap());
            let mut tell = BufReader::new(client.stderr.take().unwrap());
            for n in 0..6 {
                // The keys of one side, and of both (s_client(1), connected commands).
                if version == "-tls1_3" && n > 0 {
                    say.write_all(if n % 2 == 0 { b"k\n" } else { b"K\n" }).unwrap();
                    wait_for(&mut tell, "KEYUPDATE\n");
                }
                say.write_all(format!("line {n}\n").as_bytes()).unwrap();
                wait_for(&mut hear, &format!("echo line {n}\n"));
            }
            say.write_all(b"Q\n").unwrap();
            let description = server.join().unwrap();
            assert!(description.starts_with(if version == "-tls1_3" { "TLSv1.3" } else { "TLSv1.2" }));
            hear.read_to_string(&mut String::new()).unwrap();
            client.wait().unwrap();
        }
    }
}
