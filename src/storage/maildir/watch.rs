//! inotify on the directories of an open folder.

use crate::log::{Level, log};
use crate::sys::inotify::{Notices, Watched};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Readable when something happened in `new` or `cur`, or to the folder itself.
pub struct Watch {
    notices: Notices,
    /// Readable for ever; there from the beginning if something happened before the watch was set.
    late: Option<UnixStream>,
}

impl Watch {
    /// `None` if the system gives no more of these: then the folder must be polled.
    pub fn new(folder: &Path) -> Option<Self> {
        static SAID: AtomicBool = AtomicBool::new(false);
        let start = || {
            let notices = Notices::new()?;
            notices.add(&folder.join("new"), Watched::Entries)?;
            notices.add(&folder.join("cur"), Watched::Entries)?;
            // Files of state are moved into place here.
            notices.add(folder, Watched::Arrivals)?;
            Ok::<_, std::io::Error>(notices)
        };
        match start() {
            Ok(notices) => Some(Self { notices, late: None }),
            Err(error) => {
                if !SAID.swap(true, Ordering::Relaxed) {
                    log!(Level::Notice, "no notice of new mail, polling instead: {error}");
                }
                None
            }
        }
    }

    /// Makes it readable, for what may have happened before it was there.
    pub fn ring(&mut self) {
        // The other end is closed at once, which can be read.
        self.late = UnixStream::pair().ok().map(|(end, _)| end);
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.late {
            Some(late) => late.as_fd(),
            None => self.notices.as_fd(),
        }
    }

    /// Makes it unreadable, and says whether it was readable.
    pub fn drain(&mut self) -> bool {
        self.late.take().is_some() | self.notices.drain()
    }
}
