//! Work in a process of its own, which ends with it: what it reads, and whatever its libraries leave behind, is in no other process's memory.

use crate::limits;
use crate::sys::poll::{Watch, poll};
use crate::sys::process::{self, Forked};
use crate::sys::signal;
use crate::sys::socket;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;
use zeroize::Zeroizing;

/// An answer is not longer.
const LONGEST: usize = 16 * 1024;

/// What came of it.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    Answer(Zeroizing<Vec<u8>>),
    /// It did not answer within [`limits::TIME_OF_CHECK`].
    Late,
    /// It crashed, or said nothing.
    Nothing,
}

/// Does the work in a process that has this one's rights, but of its descriptors only standard error and the connection to the log, and waits for its answer.
pub fn apart(work: impl FnOnce() -> Zeroizing<Vec<u8>>) -> io::Result<Outcome> {
    let (ours, theirs) = socket::message_pair()?;
    let this = process::this();
    let child = match process::fork()? {
        Forked::Child => {
            // Whatever happens in here, the copy of our caller's stack must not go on.
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                process::die_with_parent(this);
                signal::restore_defaults();
                crate::log::close_descriptors();
                process::close_all_but(&[theirs.as_raw_fd()]);
                work()
            }));
            let sent = answer.is_ok_and(|answer| socket::send_now(&theirs, &answer).is_ok());
            process::exit_now(i32::from(!sent));
        }
        Forked::Parent(child) => child,
    };
    drop(theirs);
    let mut answer = Zeroizing::new(vec![0; LONGEST]);
    let outcome = match poll(&mut [Watch::input(ours.as_fd())], Some(Instant::now() + limits::TIME_OF_CHECK)) {
        Ok(true) => match socket::receive(&ours, &mut answer) {
            Ok(length) if length > 0 => {
                answer.truncate(length);
                Outcome::Answer(answer)
            }
            _ => Outcome::Nothing,
        },
        Ok(false) | Err(_) => Outcome::Late,
    };
    // It has answered or will not: what its libraries do at the end is not waited for.
    process::kill(child);
    process::wait_for(child)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_from_another_process_and_a_crash_is_none() {
        let here = std::process::id();
        let there = apart(|| Zeroizing::new(std::process::id().to_ne_bytes().to_vec())).unwrap();
        assert!(matches!(&there, Outcome::Answer(id) if **id != here.to_ne_bytes()));
        assert_eq!(apart(|| Zeroizing::new(Vec::new())).unwrap(), Outcome::Nothing);
        assert_eq!(apart(|| process::exit_now(3)).unwrap(), Outcome::Nothing);
        let silent = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let panicked = apart(|| panic!("as a library may"));
        std::panic::set_hook(silent);
        assert_eq!(panicked.unwrap(), Outcome::Nothing);
    }
}
