//! The process that has the private keys: nobody else has them, it signs nothing but handshakes, and its end ends no service. Rows 23 and 24 of the security
//! checklist.

use crate::privilege::{Site, login, status};
use crate::support::{Daemon, PATIENCE, Talk, certificate, certificate_for, children_of, is_root, tcp, tls, tls_to};
use nix::sys::signal::{SIGHUP, SIGKILL, SIGTERM, kill};
use nix::unistd::Pid;
use rustls::version::{TLS12, TLS13};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Instant;

const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn daemon(site: &Site, pairs: &[(String, String)]) -> Daemon {
    let mut arguments = vec!["--tls-port", "0"];
    for (crt, key) in pairs {
        arguments.extend(["--cert", crt, "--key", key]);
    }
    site.daemon(&arguments)
}

/// The keepers that are no remains waiting to be reaped.
pub fn keepers(daemon: &Daemon) -> Vec<i32> {
    let in_empty = |pid: &i32| {
        std::fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root.to_str() == Some("/run/imapd-empty"))
    };
    daemon.children().into_iter().filter(in_empty).collect()
}

#[track_caller]
pub fn wait_until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Whether any of the needles is in the memory of a process.
fn remembers(pid: i32, needles: &[Vec<u8>]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut read = 0;
    let found =
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|may| may.starts_with('r'))).any(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            let mut octets = vec![0; usize::try_from(end - start).unwrap()];
            // What the kernel maps for itself cannot be read.
            let Ok(count) = memory.read_at(&mut octets, start) else { return false };
            read += count;
            needles.iter().any(|needle| memchr::memmem::find(&octets[..count], needle).is_some())
        });
    assert!(found || read > 100_000, "the memory of {pid} was not read");
    found
}

/// A number of a key as `openssl pkey -text` shows it under this heading, the most significant octet first.
fn number(key: &str, heading: &str) -> Vec<u8> {
    let shown = Command::new("openssl").args(["pkey", "-noout", "-text", "-in", key]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let lines = shown.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let hex: String = lines.take_while(|line| line.starts_with(' ')).flat_map(|line| line.trim().split(':')).collect();
    let octets: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    octets.into_iter().skip_while(|&octet| octet == 0).collect()
}

fn reversed(mut octets: Vec<u8>) -> Vec<u8> {
    octets.reverse();
    octets
}

/// A scalar of P-256 as ring computes with it: times 2^256, modulo the order of the curve.
fn montgomery(scalar: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let order = [&[0][..], &ORDER].concat();
    let mut value = vec![0; 33 - scalar.len()];
    value.extend(scalar);
    for _ in 0..256 {
        let mut carry = 0;
        for octet in value.iter_mut().rev() {
            let doubled = u16::from(*octet) * 2 + carry;
            (*octet, carry) = (doubled as u8, doubled >> 8);
        }
        if value >= order {
            let mut borrow = 0;
            for (octet, less) in value.iter_mut().zip(&order).rev() {
                let difference = i16::from(*octet) - i16::from(*less) - borrow;
                (*octet, borrow) = (difference as u8, i16::from(difference < 0));
            }
        }
    }
    value.remove(0);
    value
}

/// Octets that only who has the key knows: its numbers in every form that could be in use, and a piece of its file.
fn secrets(key: &str, headings: &[&str]) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(key).unwrap();
    let mut needles = vec![text.lines().nth(1).unwrap().as_bytes()[10..60].to_vec()];
    for heading in headings {
        let octets = number(key, heading);
        assert!(octets.len() > 16, "no {heading} in {key}");
        if octets.len() <= 32 {
            needles.push(reversed(montgomery(&octets)));
        }
        needles.push(reversed(octets.clone()));
        needles.push(octets);
    }
    needles
}

/// Row 23. That the search finds what it looks for is shown by the keeper.
#[test]
fn a_private_key_is_in_the_memory_of_the_keeper_alone() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let ec = certificate_for(site.homes.path(), "ec", P256, "DNS:ec.example");
    let rsa = certificate_for(site.homes.path(), "rsa", &["rsa:2048"], "DNS:rsa.example");
    let keys = [secrets(&ec.1, &["priv:"]), secrets(&rsa.1, &["prime1:", "prime2:"])];
    let mut daemon = daemon(&site, &[ec, rsa]);
    // One connection of each kind: before login, in clear text and with TLS by both keys, and logged in with both.
    let mut before = daemon.connect();
    before.line();
    let names = ["ec.example", "rsa.example"];
    let versions = [&TLS12, &TLS13];
    let mut clients: Vec<_> = names
        .iter()
        .flat_map(|name| versions.map(|version| (name, version)))
        .map(|(name, version)| Talk::new(tls_to(name, tcp(daemon.port("imaps")), &[], &[version]).unwrap()))
        .collect();
    for client in &mut clients {
        client.line();
    }
    clients[0].ok(&user.login());
    clients[3].ok(&user.login());
    let _plain = login(&daemon, &user);
    // The keys that are loaded anew are no more shared than those of the start.
    daemon.signal(SIGHUP);
    daemon.wait_for_log("certificate loaded");
    let mut after = daemon.connect_tls();
    after.line();

    let keepers = keepers(&daemon);
    assert!(!keepers.is_empty());
    let children: Vec<i32> = daemon.children().into_iter().filter(|pid| !keepers.contains(pid)).collect();
    let gates: Vec<i32> = children.iter().flat_map(|&child| children_of(child)).collect();
    assert_eq!((children.len(), gates.len()), (7, 4), "{children:?} {gates:?}");
    let others: Vec<i32> = children.into_iter().chain(gates).chain([daemon.pid()]).collect();
    for needles in &keys {
        for &keeper in &keepers {
            assert!(remembers(keeper, needles), "the search does not find what must be there");
        }
        for &other in &others {
            assert!(!remembers(other, needles), "{other} has a private key: {}", status(other, "Uid"));
        }
    }
}

#[test]
fn the_keeper_is_nobody_in_an_empty_directory() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let pair = certificate(site.homes.path(), "served");
    let daemon = daemon(&site, &[pair]);
    let keeper = keepers(&daemon)[0];
    let ids: BTreeSet<String> = status(keeper, "Uid").split(' ').map(str::to_owned).collect();
    assert!(ids.len() == 1 && !ids.contains("0"), "{ids:?}");
    assert_eq!(status(keeper, "Groups"), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(keeper, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(keeper, "NoNewPrivs"), "1");
    assert_eq!(status(keeper, "Seccomp"), "2");
    let sockets = std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().filter(|entry| {
        std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket"))
    });
    assert_eq!(sockets.count(), 1);
    assert_eq!(std::fs::read_dir("/run/imapd-empty").unwrap().count(), 0);
}

/// The way of a process to the keeper, as whoever has taken the process over has it.
fn stolen_channel(pid: i32) -> OwnedFd {
    let packets: BTreeSet<String> = std::fs::read_to_string("/proc/net/unix")
        .unwrap()
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // SOCK_SEQPACKET
            (fields.get(4) == Some(&"0005")).then(|| format!("socket:[{}]", fields[6]))
        })
        .collect();
    let mut numbers: Vec<i32> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let to = std::fs::read_link(&path).ok()?.to_string_lossy().into_owned();
            packets.contains(&to).then(|| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        })
        .collect();
    numbers.sort_unstable();
    // The other one leads to the child. It was made later, when the numbers below were free again.
    assert_eq!(numbers.len(), 2);
    // SAFETY: both calls make a descriptor that is this process's own.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        let process = OwnedFd::from_raw_fd(process);
        let taken = libc::syscall(libc::SYS_pidfd_getfd, std::os::fd::AsRawFd::as_raw_fd(&process), numbers[1], 0);
        OwnedFd::from_raw_fd(taken as i32)
    }
}

/// What the keeper answers; empty when it has closed the channel.
fn ask(channel: &OwnedFd, request: &[u8]) -> Vec<u8> {
    use nix::sys::socket::{MsgFlags, recv, send};
    use std::os::fd::AsRawFd;
    let mut answer = vec![0; 2048];
    if send(channel.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL).is_err() {
        return Vec::new();
    }
    let length = recv(channel.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap_or(0);
    answer.truncate(length);
    answer
}

fn certificate_verify(hash: usize) -> Vec<u8> {
    [&[0, 4, 3][..], &[b' '; 64], b"TLS 1.3, server CertificateVerify\0", &vec![7; hash]].concat()
}

#[test]
fn a_process_before_login_gets_one_signature_and_only_for_tls() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let pair = certificate(site.homes.path(), "served");
    let mut daemon = daemon(&site, &[pair]);
    let keeper = keepers(&daemon)[0];
    let mut client_verify = certificate_verify(32);
    client_verify.splice(76..82, *b"client");
    let forged: &[(&[u8], &str)] = &[
        (b"x", "too short"),
        (b"\0\x04\x03anything", "not what a TLS server signs"),
        (&client_verify, "not what a TLS server signs"),
        (&certificate_verify(20), "not what a TLS server signs"),
        (&[&[0, 4, 3][..], &[9; 64], &[3, 0, 0x1d, 31], &[1; 31]].concat(), "not what a TLS server signs"),
        // RSA, of a key that is none; a certificate that there is not.
        (&[&[0, 8, 4][..], &certificate_verify(32)[3..]].concat(), "no such key"),
        (&[&[1][..], &certificate_verify(32)[1..]].concat(), "no such key"),
        (&certificate_verify(1000), "too long"),
        (&[0; 100_000], "too long"),
    ];
    for (request, why) in forged {
        let mut client = daemon.connect();
        client.line();
        let child = *daemon.children().iter().find(|&&pid| pid != keeper).unwrap();
        let channel = stolen_channel(children_of(child)[0]);
        assert_eq!(ask(&channel, request), b"", "{why}");
        // Not even what is right is signed after that.
        assert_eq!(ask(&channel, &certificate_verify(32)), b"");
        let line = daemon.wait_for_log("was asked for and refused");
        assert!(line.contains(why) && line.ends_with("host=[127.0.0.1]"), "{line}");
        client.ok("LOGOUT");
        wait_until(|| daemon.children() == [keeper]);
    }
    let mut client = daemon.connect();
    client.line();
    let child = *daemon.children().iter().find(|&&pid| pid != keeper).unwrap();
    let channel = stolen_channel(children_of(child)[0]);
    assert!(ask(&channel, &certificate_verify(32)).len() > 64);
    assert_eq!(ask(&channel, &certificate_verify(32)), b"");
    daemon.connect_tls().ok("NOOP");
    daemon.signal(SIGTERM);
    client.ok("LOGOUT");
    daemon.wait_for_log("stopped");
    let refusals = daemon.log.iter().filter(|line| line.contains("was asked for and refused")).count();
    assert_eq!(refusals, forged.len(), "{:#?}", daemon.log);
}

#[test]
fn a_keeper_that_is_killed_is_replaced_and_ends_no_session() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let pair = certificate(site.homes.path(), "served");
    let mut daemon = daemon(&site, &[pair]);
    let mut plain = login(&daemon, &user);
    let mut encrypted = daemon.connect_tls();
    encrypted.line();
    encrypted.ok(&user.login());
    let mut waiting = daemon.connect();
    waiting.line();
    let old = keepers(&daemon);
    kill(Pid::from_raw(old[0]), SIGKILL).unwrap();
    daemon.wait_for_log("was killed by signal 9");
    daemon.wait_for_log("another is started");
    wait_until(|| keepers(&daemon).len() == 1 && keepers(&daemon) != old);
    daemon.connect_tls().ok("NOOP");
    plain.ok("NOOP");
    encrypted.ok("NOOP");
    // Its channel leads to the old one: no TLS for this one, who can come again.
    waiting.ok("STARTTLS");
    assert!(tls(waiting.stream, &[], rustls::DEFAULT_VERSIONS).is_err());
    login(&daemon, &user).ok("NOOP");
    // Killed again and again it comes back more slowly, and plain connections go on.
    for _ in 0..3 {
        for keeper in keepers(&daemon) {
            kill(Pid::from_raw(keeper), SIGKILL).unwrap();
        }
        login(&daemon, &user).ok("NOOP");
    }
    wait_until(|| tls(tcp(daemon.port("imaps")), &[], rustls::DEFAULT_VERSIONS).is_ok());
}

#[test]
fn a_keeper_ends_with_its_listener() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let pair = certificate(site.homes.path(), "served");
    let mut daemon = daemon(&site, &[pair]);
    let keeper = keepers(&daemon)[0];
    // It does not heed what its listener does.
    for signal in [SIGTERM, SIGHUP] {
        kill(Pid::from_raw(keeper), signal).unwrap();
    }
    daemon.connect_tls().ok("NOOP");
    daemon.signal(SIGKILL);
    daemon.ended();
    wait_until(|| !std::path::Path::new(&format!("/proc/{keeper}/exe")).exists());
}

fn served_by(daemon: &Daemon, name: &str) -> Vec<u8> {
    let stream = tls_to(name, tcp(daemon.port("imaps")), &[], rustls::DEFAULT_VERSIONS).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let one = certificate_for(site.homes.path(), "one", P256, "DNS:mail.example.org");
    let two = certificate_for(site.homes.path(), "two", &["rsa:2048"], "DNS:*.example.net");
    let single = Daemon::start(&[
        "--demo",
        "--tls-port",
        "0",
        "--cert",
        &one.0,
        "--key",
        &one.1,
        "--cert",
        &two.0,
        "--key",
        &two.1,
    ]);
    let forked = daemon(&site, &[one, two]);
    let [first, second] = ["mail.example.org", "a.example.net"].map(|name| served_by(&forked, name));
    assert_ne!(first, second);
    for daemon in [&single, &forked] {
        for (name, certificate) in [
            ("mail.example.org", &first),
            ("imap.example.net", &second),
            ("example.net", &first),
            ("a.b.example.net", &first),
            ("localhost", &first),
        ] {
            assert_eq!(served_by(daemon, name), *certificate, "{name}");
        }
    }
}

/// Row 24.
#[test]
fn a_new_certificate_gets_a_new_keeper_and_a_bad_one_changes_nothing() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let pair = certificate(site.homes.path(), "served");
    let mut daemon = daemon(&site, &[pair]);
    let old = served_by(&daemon, "localhost");
    let keeper = keepers(&daemon);
    let path = |name: &str| site.homes.path().join(name);
    // It was there before, so it is signed for by the old keeper still.
    let mut waiting = daemon.connect();
    waiting.line();

    std::fs::write(path("served.crt"), "half-written").unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("stays in use");
    assert_eq!(served_by(&daemon, "localhost"), old);
    assert_eq!(keepers(&daemon), keeper);

    certificate(site.homes.path(), "other");
    std::fs::rename(path("other.crt"), path("served.crt")).unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("does not belong");
    assert_eq!(served_by(&daemon, "localhost"), old);
    assert_eq!(keepers(&daemon), keeper);

    std::fs::rename(path("other.key"), path("served.key")).unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("certificate loaded");
    assert_ne!(served_by(&daemon, "localhost"), old);
    assert_eq!(keepers(&daemon).len(), 2);
    waiting.ok("STARTTLS");
    let waiting = tls(waiting.stream, &[], rustls::DEFAULT_VERSIONS).unwrap();
    assert_eq!(waiting.conn.peer_certificates().unwrap()[0].to_vec(), old);
    wait_until(|| keepers(&daemon).len() == 1 && keepers(&daemon) != keeper);
}
