//! What failed logins take.

use super::reports::Overseer;
use crate::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use crate::limits;
use crate::sys::poll::{Watch, poll};
use crate::transport::wait::Stop;
use std::os::fd::AsFd;
use std::time::Instant;

/// An authenticator whose failures all take the time that the overseer says, whatever was wrong: here, where passwords
/// are checked, so that nobody else has to wait.
pub struct Delayed<'a, A> {
    pub authenticator: A,
    pub overseer: &'a mut dyn Overseer,
    /// Ends a delay.
    pub stop: Stop,
}

impl<A: Authenticator> Authenticator for Delayed<'_, A> {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        let began = Instant::now();
        let result = self.authenticator.authenticate(credentials, peer);
        let delay = match result {
            Ok(_) => return result,
            // An outage of ours is nobody's offence.
            Err(Refusal::Unavailable) => limits::TIME_OF_FAILURE,
            Err(Refusal::Failed | Refusal::Expired) => self.overseer.failed(),
        };
        let mut stop: Vec<Watch<'_>> = self.stop.0.iter().map(|stop| Watch::input(stop.as_fd())).collect();
        if poll(&mut stop, Some(began + delay)).is_err() {
            std::thread::sleep(delay.saturating_sub(began.elapsed()));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::demo::Demo;
    use crate::types::Secret;
    use std::io::Write;
    use std::net::IpAddr;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Duration;

    /// Counts failures, and lets them take so long.
    struct Notes(u32, Duration);

    impl Overseer for Notes {
        fn from(&mut self, _client: IpAddr) -> Result<(), String> {
            Ok(())
        }

        fn failed(&mut self) -> Duration {
            self.0 += 1;
            self.1
        }

        fn logged_in(&mut self, _user: &str) -> bool {
            true
        }
    }

    #[test]
    fn a_failed_login_takes_the_time_that_it_is_told() {
        let mut notes = Notes(0, Duration::from_millis(100));
        let (mut stopper, stop) = UnixStream::pair().unwrap();
        let stop = Stop(Some(Arc::new(stop.into())));
        let mut authenticator = Delayed { authenticator: Demo, overseer: &mut notes, stop };
        let mut check = |password: &str| {
            let began = Instant::now();
            let password = Secret::new(password.as_bytes().to_vec());
            let credentials = Credentials { user: "test".to_owned(), password };
            let result = authenticator.authenticate(&credentials, &Peer::default());
            (result.is_ok(), began.elapsed() >= Duration::from_millis(100))
        };
        assert_eq!(check("wrong"), (false, true));
        assert_eq!(check("test"), (true, false));
        // A server that goes down waits for no failure.
        stopper.write_all(b"x").unwrap();
        assert_eq!(check("wrong"), (false, false));
        assert_eq!(notes.0, 2);
    }
}
