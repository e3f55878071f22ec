//! inotify(7): a descriptor that becomes readable when something happens in a directory.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// What to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    /// Files that appear in, vanish from or move within a directory.
    Entries,
    /// A file moved into the directory, and the end of the directory itself.
    Arrivals,
}

/// Watches on directories. Each costs one of few descriptors that the system grants a user.
pub struct Notices {
    inotify: Inotify,
}

impl Notices {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)? })
    }

    /// Watches a directory from now on.
    pub fn add(&self, directory: &Path, what: Watched) -> io::Result<()> {
        let mask = match what {
            Watched::Entries => {
                AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_MOVED_FROM
                    | AddWatchFlags::IN_MOVED_TO
                    | AddWatchFlags::IN_DELETE_SELF
            }
            Watched::Arrivals => {
                AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF
            }
        };
        self.inotify.add_watch(directory, mask | AddWatchFlags::IN_ONLYDIR)?;
        Ok(())
    }

    /// Forgets what has been reported so far, and says whether there was anything.
    pub fn drain(&self) -> bool {
        let mut any = false;
        loop {
            match self.inotify.read_events() {
                Ok(events) if !events.is_empty() => any = true,
                Err(Errno::EINTR) => {}
                _ => return any,
            }
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_noticed_once() {
        let place = tempfile::tempdir().unwrap();
        let notices = Notices::new().unwrap();
        notices.add(place.path(), Watched::Entries).unwrap();
        assert!(!notices.drain());
        std::fs::write(place.path().join("x"), "").unwrap();
        assert!(notices.drain());
        assert!(!notices.drain());
    }
}
