//! A client that costs little beside the servers: one write for a command, large reads, and of the answer it only counts what tells
//! whether it was complete.

use crate::Outcome;
use crate::credulous::Credulous;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// No command of ours takes longer; a server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(600);
const BUFFER: usize = 256 * 1024;
const TAG: &[u8] = b"t";

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

/// Whether the connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// What was counted in an answer.
#[derive(Default)]
pub struct Answer {
    pub exists: Option<usize>,
    pub fetches: usize,
    pub expunged: usize,
    /// The numbers of a SEARCH, SORT or THREAD.
    pub hits: usize,
    /// In literals.
    pub octets: u64,
    /// How often each wanted piece of text stood outside literals, in the order in which they were asked for.
    pub found: Vec<usize>,
    /// The text of the tagged line.
    pub end: String,
}

pub struct Client {
    stream: Box<dyn ReadWrite>,
    buffer: Vec<u8>,
    unread: Range<usize>,
}

impl Client {
    /// Connects and reads the greeting.
    pub fn connect(port: u16, transport: Transport) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let stream: Box<dyn ReadWrite> = match transport {
            Transport::Plain => Box::new(stream),
            Transport::Tls => Box::new(encrypted(stream)?),
        };
        let mut client = Self { stream, buffer: vec![0; BUFFER], unread: 0..0 };
        let greeting = client.line()?;
        if !client.buffer[greeting.clone()].starts_with(b"* OK") {
            return Err(format!("greeting: {}", client.text(greeting)).into());
        }
        Ok(client)
    }

    /// Sends a command and reads its whole answer, which must be OK.
    pub fn run(&mut self, command: &str) -> Outcome<Answer> {
        self.count(command, &[])
    }

    /// The same, and counts pieces of text outside literals.
    pub fn count(&mut self, command: &str, wanted: &[&str]) -> Outcome<Answer> {
        self.send(format!("t {command}\r\n").as_bytes())?;
        self.answer(wanted).map_err(|error| format!("{command:.200}: {error}").into())
    }

    pub fn send(&mut self, octets: &[u8]) -> Outcome<()> {
        self.stream.write_all(octets)?;
        Ok(self.stream.flush()?)
    }

    /// A command with messages as its literals, the tagged answer of which must be OK.
    pub fn append(&mut self, folder: &str, messages: &[Vec<u8>]) -> Outcome<Answer> {
        let mut command = format!("t APPEND {folder}").into_bytes();
        for message in messages {
            command.extend(format!(" (\\Seen) {{{}+}}\r\n", message.len()).into_bytes());
            command.extend(message);
        }
        command.extend(b"\r\n");
        self.send(&command)?;
        self.answer(&[])
    }

    /// Begins IDLE and waits for the continuation.
    pub fn idle(&mut self) -> Outcome<()> {
        self.send(b"t IDLE\r\n")?;
        self.wait_for(b"+")
    }

    /// Reads lines until one begins so.
    pub fn wait_for(&mut self, beginning: &[u8]) -> Outcome<()> {
        loop {
            let line = self.line()?;
            if self.buffer[line].starts_with(beginning) {
                return Ok(());
            }
        }
    }

    pub fn done(&mut self) -> Outcome<()> {
        self.send(b"DONE\r\n")?;
        self.answer(&[]).map(drop)
    }

    pub fn logout(mut self) -> Outcome<()> {
        self.run("LOGOUT").map(drop)
    }

    /// Reads up to the tagged line.
    pub fn answer(&mut self, wanted: &[&str]) -> Outcome<Answer> {
        let wanted: Vec<_> = wanted.iter().map(|text| memchr::memmem::Finder::new(text.as_bytes())).collect();
        let mut answer = Answer { found: vec![0; wanted.len()], ..Answer::default() };
        let mut within = false;
        loop {
            let range = self.line()?;
            let line = &self.buffer[range.clone()];
            for (count, text) in answer.found.iter_mut().zip(&wanted) {
                *count += text.find_iter(line).count();
            }
            if !within {
                if line.starts_with(TAG) && line.get(TAG.len()) == Some(&b' ') {
                    answer.end = self.text(range);
                    return if answer.end.starts_with("t OK") { Ok(answer) } else { Err(answer.end.into()) };
                }
                note(line, &mut answer);
            }
            let literal = literal(line);
            within = literal.is_some();
            if let Some(octets) = literal {
                self.skip(octets)?;
                answer.octets += octets as u64;
            }
        }
    }

    fn text(&self, range: Range<usize>) -> String {
        String::from_utf8_lossy(&self.buffer[range]).trim_end().to_owned()
    }

    /// The next line with its end, as a place in the buffer that is good until the next read.
    fn line(&mut self) -> Outcome<Range<usize>> {
        let mut looked = 0;
        loop {
            let Range { start, end } = self.unread;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[start + looked..end]) {
                let line = start..start + looked + at + 1;
                self.unread.start = line.end;
                return Ok(line);
            }
            looked = end - start;
            self.fill()?;
        }
    }

    /// Reads more behind what is unread.
    fn fill(&mut self) -> Outcome<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.unread.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.unread.end..]) {
            Ok(0) => Err("the server closed the connection".into()),
            Ok(count) => {
                self.unread.end += count;
                Ok(())
            }
            // Halted, and gone on.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.fill(),
            Err(error) => Err(error.into()),
        }
    }

    fn skip(&mut self, octets: usize) -> Outcome<()> {
        let mut left = octets;
        loop {
            let here = left.min(self.unread.len());
            self.unread.start += here;
            left -= here;
            if left == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }
}

/// Takes down what the first line of a response says.
fn note(line: &[u8], answer: &mut Answer) {
    let Some(rest) = line.strip_prefix(b"* ") else { return };
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    if digits == 0 {
        let list = ["SEARCH", "SORT", "THREAD"].iter().find_map(|name| rest.strip_prefix(name.as_bytes()));
        if let Some(list) = list {
            answer.hits += list.split(|octet| !octet.is_ascii_digit()).filter(|number| !number.is_empty()).count();
        }
        return;
    }
    let word = rest.get(digits + 1..).unwrap_or_default();
    if word.starts_with(b"FETCH ") {
        answer.fetches += 1;
    } else if word.starts_with(b"EXPUNGE") {
        answer.expunged += 1;
    } else if word.starts_with(b"EXISTS") {
        answer.exists = std::str::from_utf8(&rest[..digits]).ok().and_then(|number| number.parse().ok());
    }
}

/// The size of the literal that a line announces at its end.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = memchr::memrchr(b'{', line)?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

/// A whole handshake each time: no tickets.
fn encrypted(stream: TcpStream) -> Outcome<StreamOwned<ClientConnection, TcpStream>> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the versions that rustls speaks")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Arc::new(config)
    });
    let connection = ClientConnection::new(CONFIG.clone(), ServerName::try_from("localhost")?)?;
    Ok(StreamOwned::new(connection, stream))
}
