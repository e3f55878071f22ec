//! inotify on the directories of an open folder.

use crate::log::{Level, log};
use crate::sys::inotify::{Notices, Watched};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Readable when something happened in `new` or `cur`, or to the folder itself.
pub struct Watch {
    notices: Notices,
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
            Ok(notices) => Some(Self { notices }),
            Err(error) => {
                if !SAID.swap(true, Ordering::Relaxed) {
                    log!(Level::Notice, "no notice of new mail, polling instead: {error}");
                }
                None
            }
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }

    /// Makes it unreadable, and says whether it was readable.
    pub fn drain(&self) -> bool {
        self.notices.drain()
    }
}
