//! `--preauth`: standard input and output, for the user who started it.

use super::child;
use super::connection::Service;
use crate::auth::{Account, Peer, UnixAccount};
use crate::session::channel::Channel;
use crate::session::{Greeting, Session, SessionOptions};
use crate::sys::{process, user};
use crate::transport::Stream;
use std::io;
use std::os::fd::AsFd;

/// Serves it to its end. The error is one line for whoever started it; nothing was served then.
pub fn run(service: &Service) -> Result<(), String> {
    let user = user::of_this_process()
        .map_err(|error| format!("--preauth: cannot look up the user: {error}"))?
        .ok_or("--preauth: the user who runs this has no account")?;
    let unix = UnixAccount { uid: user.uid, gid: user.gid, home: user.home };
    let account = Account { name: user.name, unix: Some(unix) };
    process::set_private_umask();
    let store = service.open(&account).map_err(|error| format!("--preauth: cannot open the mail: {error}"))?;
    let stream = (|| {
        let (input, output) = (io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?);
        // The session's stream alone leads there now; what a library prints goes nowhere.
        process::silence_input_and_output()?;
        Stream::plain(input, output)
    })()
    .map_err(|error: io::Error| format!("--preauth: {error}"))?;
    let options = SessionOptions {
        user: account.name,
        peer: Peer::default(),
        service: "preauth",
        withheld: service.offer.withheld.clone(),
        greeting: Greeting::PreAuth,
    };
    Session::new(Channel::new(stream, child::stop()), store, options).run();
    Ok(())
}
