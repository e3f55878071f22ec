//! `--pam-session`: the child stays root while a PAM session is open, and a fork of it becomes the user.
//!
//! The child opens the session, forks, waits, and closes the session, however the fork has ended. It has neither the client's socket nor what came from the gate
//! meanwhile, and ends as the fork did, so that the listener, or whoever has started it, is told.

use super::privilege;
use crate::auth::pam_session::PamSession;
use crate::auth::{Account, Peer};
use crate::log::{self, Level, Quoted, log};
use crate::storage::StoreError;
use crate::sys::process::{self, Ended, Forked, Pid};
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Serves in a fork that is the user's, while a PAM session is open, and ends this process behind that. Where none can be opened this process becomes the user to
/// tell the client, who is refused. An error means that this process may be anything: it must serve nobody.
pub fn serve_within(
    session: &PamSession,
    account: &Account,
    peer: &Peer,
    serve: impl FnOnce(Option<StoreError>),
) -> io::Result<()> {
    log::close_descriptors();
    let kept = process::open_descriptors()?;
    let (mut serve, keeper) = (Some(serve), process::this());
    let served = privilege::take_groups(account).and_then(|()| {
        session.around(&account.name, peer, || match process::fork()? {
            Forked::Child => become_session(account, &kept, keeper, serve.take()),
            Forked::Parent(child) => {
                // Closes the client's socket, and wipes the keys.
                serve = None;
                Ok(process::wait_for(child).unwrap_or(Ended::Exit(1)))
            }
        })?
    });
    match served {
        Ok(ended) => process::end_like(ended),
        Err(error) => {
            log!(Level::Error, "cannot open a PAM session user={}: {error}", Quoted(account.name.as_bytes()));
            become_user(account, &kept)?;
            if let Some(serve) = serve {
                serve(Some(StoreError::Io(error)));
            }
            Ok(())
        }
    }
}

/// Becomes the user in a process in which modules have run, and may have left anything behind.
fn become_user(account: &Account, kept: &[RawFd]) -> io::Result<()> {
    log::close_descriptors();
    process::close_all_but(kept);
    process::set_private_umask();
    std::env::set_current_dir("/")?;
    privilege::become_user(account)
}

/// The fork, to its end.
fn become_session(account: &Account, kept: &[RawFd], keeper: Pid, serve: Option<impl FnOnce(Option<StoreError>)>) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| {
        let became = become_user(account, kept);
        // Nobody else hears a signal that ends the session. Behind the change of identity, which takes it away.
        process::die_with_parent(keeper);
        match (became, serve) {
            (Err(error), _) => {
                log!(Level::Error, "cannot become the user user={}: {error}", Quoted(account.name.as_bytes()));
            }
            (Ok(()), Some(serve)) => serve(None),
            (Ok(()), None) => {}
        }
    }));
    process::exit_now(i32::from(served.is_err()))
}
