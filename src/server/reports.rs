//! What the process of a connection tells the listener until somebody has logged in, and what it is answered: a closed
//! set of short messages, each of which is answered before the next. What is none of them, or comes out of order, is not
//! said by our code: that process is killed.

use super::penalties::Offence;
use crate::limits;
use crate::session::login::Ending;
use crate::sys::socket;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Told of what happens on one connection before somebody has logged in.
pub trait Overseer {
    /// A proxy says that the client has this address. An error says why there may be no connection from there.
    fn from(&mut self, client: IpAddr) -> Result<(), String>;

    /// A login has failed. Gives how long it shall take in all.
    fn failed(&mut self) -> Duration;

    /// Somebody has logged in. Gives whether there may be one more session of this user. The last that is said.
    fn logged_in(&mut self, user: &str) -> bool;
}

/// A message to the listener: a letter for its kind, and what it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    From(IpAddr),
    Failed,
    LoggedIn(String),
}

/// The longest has the name of a user.
const LONGEST: usize = 1 + limits::USER;

impl Report {
    fn to_octets(&self) -> Vec<u8> {
        match self {
            Report::From(IpAddr::V4(address)) => [b"A", &address.octets()[..]].concat(),
            Report::From(IpAddr::V6(address)) => [b"A", &address.octets()[..]].concat(),
            Report::Failed => b"F".to_vec(),
            Report::LoggedIn(user) => [b"L", user.as_bytes()].concat(),
        }
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        match octets.split_first()? {
            (b'A', address) => {
                let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
                v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok().map(Report::From)
            }
            (b'F', []) => Some(Report::Failed),
            (b'L', user) if (1..=limits::USER).contains(&user.len()) => {
                Some(Report::LoggedIn(std::str::from_utf8(user).ok()?.to_owned()))
            }
            _ => None,
        }
    }

    /// The next one from a process. `None` is the end of what it says; an error of kind `InvalidData` is none of these.
    pub fn receive_now(socket: &OwnedFd) -> io::Result<Option<Self>> {
        // One more, so that what is too long is not taken for what it begins with.
        let mut octets = [0; LONGEST + 1];
        match socket::receive_now(socket, &mut octets)? {
            0 => Ok(None),
            length => match Self::parse(octets.get(..length).unwrap_or_default()) {
                Some(report) => Ok(Some(report)),
                None => Err(io::ErrorKind::InvalidData.into()),
            },
        }
    }
}

/// What the listener answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// To `From`, where nothing is the consent.
    Refused(Option<&'a str>),
    /// To `Failed`.
    Delay(Duration),
    /// To `LoggedIn`.
    Admitted(bool),
}

/// Longer than each reason for a refusal.
const LONGEST_ANSWER: usize = 128;

impl Answer<'_> {
    /// A process that is gone needs no answer.
    pub fn send(self, socket: &OwnedFd) {
        let octets = match self {
            // Empty messages cannot be told from the end.
            Answer::Refused(why) => [b"R", why.unwrap_or_default().as_bytes()].concat(),
            Answer::Delay(delay) => u16::try_from(delay.as_millis()).unwrap_or(u16::MAX).to_be_bytes().to_vec(),
            Answer::Admitted(yes) => vec![u8::from(yes)],
        };
        let _ = socket::send_now(socket, &octets);
    }
}

/// The listener, as the process of a connection knows it. Where it does not answer because it has ended, connections go
/// on without it.
pub struct Listener(pub Option<OwnedFd>);

impl Listener {
    fn ask(&self, report: &Report) -> Option<Vec<u8>> {
        let socket = self.0.as_ref()?;
        socket::send_now(socket, &report.to_octets()).ok()?;
        let mut answer = vec![0; LONGEST_ANSWER];
        let length = socket::receive(socket, &mut answer).ok().filter(|&length| length > 0)?;
        answer.truncate(length);
        Some(answer)
    }
}

impl Overseer for Listener {
    fn from(&mut self, client: IpAddr) -> Result<(), String> {
        match self.ask(&Report::From(client)).as_deref() {
            Some([b'R', why @ ..]) if !why.is_empty() => Err(String::from_utf8_lossy(why).into_owned()),
            _ => Ok(()),
        }
    }

    fn failed(&mut self) -> Duration {
        match self.ask(&Report::Failed).as_deref() {
            Some(&[high, low]) => Duration::from_millis(u16::from_be_bytes([high, low]).into()),
            _ => limits::TIME_OF_FAILURE,
        }
    }

    fn logged_in(&mut self, user: &str) -> bool {
        let answer = self.ask(&Report::LoggedIn(user.to_owned()));
        // The process is about to become the user, who has nothing to say to the listener.
        self.0 = None;
        answer.as_deref() != Some(&[0])
    }
}

/// What a process whose connection ended so exits with. Where it ended after login it is in order for the listener.
pub fn status(ending: Ending) -> i32 {
    match ending {
        Ending::InOrder => 0,
        Ending::Abandoned => 10,
        Ending::TimeUp => 11,
    }
}

/// With which a process exits that has panicked.
pub const PANICKED: i32 = 1;

/// With which a process exits whose gate has crashed, or was ended since it did what it may not. The log has been told.
pub const GATE_CRASHED: i32 = 12;

/// What an end without login is called where there is a penalty for it.
pub fn offence(ending: Ending) -> Option<Offence> {
    match ending {
        Ending::InOrder => None,
        Ending::Abandoned => Some(Offence::Abandoned),
        Ending::TimeUp => Some(Offence::TimeUp),
    }
}

/// The reverse of [`status`]; `None` for a status that is none of these.
pub fn ending(code: i32) -> Option<Ending> {
    [Ending::InOrder, Ending::Abandoned, Ending::TimeUp].into_iter().find(|&ending| status(ending) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_the_same() {
        for report in [
            Report::From("192.0.2.7".parse().unwrap()),
            Report::From("2001:db8::7".parse().unwrap()),
            Report::Failed,
            Report::LoggedIn("a".to_owned()),
            Report::LoggedIn("j\u{f6}rg".repeat(51)),
        ] {
            let octets = report.to_octets();
            assert!(octets.len() <= LONGEST);
            assert_eq!(Report::parse(&octets), Some(report));
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let long = [b"L", &[b'a'; limits::USER + 1][..]].concat();
        for octets in [
            &b""[..],
            b"A",
            b"A\0\0\0",
            b"A\0\0\0\0\0",
            b"A0000000000000000x",
            b"F\0",
            b"FF",
            b"L",
            b"L\xff",
            b"f",
            b"\0",
            &long,
        ] {
            assert_eq!(Report::parse(octets), None, "{octets:?}");
        }
        let (ours, theirs) = socket::message_pair().unwrap();
        let receive = |octets: &[u8]| {
            socket::send_now(&theirs, octets).unwrap();
            Report::receive_now(&ours).map_err(|error| error.kind())
        };
        assert_eq!(receive(b"F"), Ok(Some(Report::Failed)));
        // What is cut off at the buffer's end is not mistaken for the shorter one.
        assert_eq!(receive(&[b'L'; 4000]), Err(io::ErrorKind::InvalidData));
        assert_eq!(receive(b"x"), Err(io::ErrorKind::InvalidData));
        assert_eq!(Report::receive_now(&ours).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert_eq!(Report::receive_now(&ours).unwrap(), None);
    }

    /// What a process makes of an answer; `None` for a listener that has ended.
    fn told<T>(answer: Option<Answer<'_>>, ask: impl FnOnce(&mut Listener) -> T) -> T {
        let (ours, theirs) = socket::message_pair().unwrap();
        if let Some(answer) = answer {
            answer.send(&ours);
        } else {
            drop(ours);
            return ask(&mut Listener(Some(theirs)));
        }
        ask(&mut Listener(Some(theirs)))
    }

    #[test]
    fn answers_are_understood() {
        let delay = Duration::from_millis(15_000);
        assert_eq!(told(Some(Answer::Delay(delay)), |listener| listener.failed()), delay);
        assert!(told(Some(Answer::Admitted(true)), |listener| listener.logged_in("a")));
        assert!(!told(Some(Answer::Admitted(false)), |listener| listener.logged_in("a")));
        let from = |listener: &mut Listener| listener.from("192.0.2.7".parse().unwrap());
        assert_eq!(told(Some(Answer::Refused(None)), from), Ok(()));
        assert_eq!(told(Some(Answer::Refused(Some("too many"))), from), Err("too many".to_owned()));
    }

    #[test]
    fn without_a_listener_connections_go_on_and_failures_take_their_least_time() {
        assert_eq!(told(None, |listener| listener.failed()), limits::TIME_OF_FAILURE);
        assert!(told(None, |listener| listener.logged_in("a")));
        assert_eq!(told(None, |listener| listener.from("192.0.2.7".parse().unwrap())), Ok(()));
    }

    #[test]
    fn a_status_tells_how_a_connection_ended() {
        for end in [Ending::InOrder, Ending::Abandoned, Ending::TimeUp] {
            assert_eq!(ending(status(end)), Some(end));
        }
        assert_eq!(ending(PANICKED), None);
    }
}
