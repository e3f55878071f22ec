//! A PAM session around a piece of work: opened before it, closed behind it, with a handle of its own.
//!
//! Unlike a password check this runs modules in the process that needs what they do: limits, name spaces and keyrings are a process's own, and those that are forked
//! from it inherit them.

use super::Peer;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::sys::process;
use pam_client2::conv_null::Conversation;
use pam_client2::{Context, Flag, SessionToken};
use std::io;

/// Sessions of a PAM service.
#[derive(Clone)]
pub struct PamSession {
    /// The name of a file in /etc/pam.d.
    pub service: String,
}

impl PamSession {
    /// Does the work while a session of this user is open. Without one it is not done. Only as root, who has the user's groups already: modules add to what
    /// they find (pam_setcred(3)).
    pub fn around<T>(&self, user: &str, peer: &Peer, work: impl FnOnce() -> T) -> io::Result<T> {
        let opened = undisturbed(|| {
            let mut context = self.start(user, peer)?;
            // Establishes the credentials first.
            let token = context.open_session(Flag::SILENT)?.leak();
            Ok::<_, pam_client2::Error>((context, token))
        });
        let (context, token) = opened.map_err(io::Error::other)?;
        let done = work();
        if let Err(error) = undisturbed(|| close(context, token)) {
            log!(Level::Error, "cannot close the PAM session user={}: {error}", Quoted(user.as_bytes()));
        }
        Ok(done)
    }

    fn start(&self, user: &str, peer: &Peer) -> Result<Context<Conversation>, pam_client2::Error> {
        // The password is not here any more, and nobody else is to be asked.
        let mut context = Context::new(&self.service, Some(user), Conversation::new())?;
        if let Some(address) = peer.address {
            context.set_rhost(Some(&address.to_string()))?;
        }
        context.set_tty(Some("imapd"))?;
        Ok(context)
    }
}

/// Modules write to no log of ours, and take so much time and no more.
fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    process::in_time(limits::TIME_OF_PAM_SESSION, || process::without_standard_error(work))
}

/// Closes the session, takes the credentials back and ends the transaction.
fn close(mut context: Context<Conversation>, token: SessionToken) -> Result<(), pam_client2::Error> {
    let Err(mut error) = context.unleak_session(token).close(Flag::SILENT) else { return Ok(()) };
    // It would be closed a second time, by modules too that have done so and count.
    if let Some(session) = error.take_payload() {
        let _ = session.leak();
    }
    let error = error.into_without_payload();
    drop(context.unleak_session(SessionToken::PseudoSession));
    Err(error)
}
