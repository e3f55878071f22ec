//! Whole commands on a large Maildir, by the clock: `cargo bench --bench walltime [-- MESSAGES]`. For the eye, beside another server or an
//! earlier build on the same machine; not for a pass or a fail.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Sizes of the messages made, in octets.
const MESSAGE: usize = 4096;

fn main() -> Outcome<()> {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let directory = tempfile::tempdir()?;
    make_maildir(&directory.path().join("mail/bench"), count)?;
    let server = Server::start(directory.path())?;

    println!("{count} messages of {MESSAGE} octets");
    time("connect, LOGIN, LOGOUT (100 times)", || {
        for _ in 0..100 {
            Client::login(server.port)?.run("LOGOUT")?;
        }
        Ok(())
    })?;
    let mut client = Client::login(server.port)?;
    for command in [
        "SELECT INBOX",
        "UNSELECT",
        "SELECT INBOX",
        "NOOP",
        "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)",
        "UID FETCH 1:* (UID FLAGS)",
        "UID FETCH 1:* (ENVELOPE RFC822.SIZE INTERNALDATE)",
        "UID FETCH 1:* (BODYSTRUCTURE)",
        "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID REFERENCES)])",
        "UID FETCH 1:* (BODY.PEEK[])",
        "UID SEARCH SUBJECT \"number 77\"",
        "UID SEARCH SINCE 1-Feb-2026",
        "UID SEARCH BODY needle",
        "UID STORE 1:* +FLAGS.SILENT (\\Flagged $Bench)",
        "CREATE Archive",
        "UID COPY 1:* Archive",
        "UID STORE 1:* +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
    ] {
        time(command, || client.run(command))?;
    }
    let text = message(0);
    time("APPEND 4 KB (100 times)", || {
        for _ in 0..100 {
            client.write(&format!("t APPEND INBOX {{{}+}}\r\n{text}\r\n", text.len()))?;
            client.read_to_the_end()?;
        }
        Ok(())
    })
}

fn time(what: &str, work: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let start = Instant::now();
    work()?;
    println!("{:>10.2} ms  {what}", start.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

fn message(number: usize) -> String {
    let mut text = format!(
        "From: Sender {number} <s{number}@example.org>\r\nTo: bench@example.org\r\nSubject: message number {number}\r\n\
         Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMessage-ID: <b{number}@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
    );
    while text.len() < MESSAGE {
        text.push_str("The quick brown fox jumps over the lazy dog.\r\n");
    }
    text + "--x--\r\n"
}

fn make_maildir(path: &Path, count: usize) -> Outcome<()> {
    for name in ["tmp", "new", "cur"] {
        fs::create_dir_all(path.join(name))?;
    }
    for number in 0..count {
        fs::write(path.join(format!("cur/17000{number:08}.M1.bench:2,S")), message(number).replace("\r\n", "\n"))?;
    }
    Ok(())
}

/// The real binary on a port of its own.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(directory: &Path) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let users = directory.join("users");
        fs::write(&users, "bench:{PLAIN}bench\n")?;
        let configuration = directory.join("imapd.conf");
        fs::write(&configuration, "")?;
        let process = Command::new(env!("CARGO_BIN_EXE_imapd"))
            .args(["-s", "maildir", "-h", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .arg("--config")
            .arg(configuration)
            .arg("--passwd-file")
            .arg(users)
            .arg("--maildir-path")
            .arg(directory.join("mail"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { process, port };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > end {
                return Err("the server does not listen".into());
            }
            std::thread::yield_now();
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn login(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::with_capacity(256 * 1024, stream) };
        client.stream.read_until(b'\n', &mut Vec::new())?;
        client.run("LOGIN bench bench")?;
        Ok(client)
    }

    fn run(&mut self, command: &str) -> Outcome<()> {
        self.write(&format!("t {command}\r\n"))?;
        self.read_to_the_end()
    }

    fn write(&mut self, text: &str) -> Outcome<()> {
        Ok(self.stream.get_mut().write_all(text.as_bytes())?)
    }

    /// Up to the tagged answer. No line of our messages looks like one.
    fn read_to_the_end(&mut self) -> Outcome<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err("the server closed the connection".into());
            }
            if line.starts_with(b"t OK") {
                return Ok(());
            }
            if line.starts_with(b"t ") {
                return Err(String::from_utf8_lossy(&line).into());
            }
        }
    }
}
