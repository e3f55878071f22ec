//! IDLE.

use crate::protocol::command::idle::is_done;
use crate::protocol::frame::TooLong;
use crate::protocol::response::{self, Condition};
use crate::session::command::News;
use crate::session::input::{Heard, Silence};
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::{Context, updates};
use crate::transport::wait::{Woken, wait};
use std::time::Instant;

/// IDLE (RFC 9051 section 6.3.13): tells what happens until the client says DONE; valid without a selected mailbox too. Commands may follow DONE in the
/// same packet: they stay in the channel.
pub fn idle(context: &mut Context<'_>, selected: &mut Option<Selected>) -> Result<Done, Refusal> {
    response::continuation(&mut context.channel.out, "idling");
    let patience = context.channel.patience;
    let end = Instant::now() + patience.idle;
    let mut keepalive = Instant::now() + patience.keepalive;
    if let Some(selected) = selected {
        // Watching begins before the first look, so that nothing falls between the two.
        selected.mailbox.watch();
        updates::tell_again(context.channel, selected);
    }
    loop {
        if let Some(selected) = selected {
            updates::tell(context.channel, selected, *context.enabled, News::All)?;
            if let Some(code) = updates::highest_modseq(selected, *context.enabled) {
                updates::untagged_highest(&mut context.channel.out, &code);
            }
        }
        if Instant::now() >= keepalive {
            response::status(&mut context.channel.out, None, Condition::Ok, None, "Still here");
        }
        if !context.channel.out.is_empty() {
            keepalive = Instant::now() + patience.keepalive;
        }
        context.channel.flush()?;
        if let Some(heard) = context.channel.hear_buffered() {
            return done(context, heard);
        }
        match pause(context, selected, end.min(keepalive))? {
            Woken::Client => context.channel.read()?,
            Woken::Mailbox => {}
            Woken::Timeout if Instant::now() >= end => return Err(Silence::TimeUp.into()),
            Woken::Timeout => {}
            Woken::Stop => return Err(Silence::Stop.into()),
        }
    }
}

/// Sleeps until something happens. Where the store cannot say when, or a look failed, the mailbox is looked at from time to time.
fn pause(context: &mut Context<'_>, selected: &mut Option<Selected>, until: Instant) -> Result<Woken, Refusal> {
    let channel = &mut *context.channel;
    let Some(selected) = selected else { return Ok(wait(&mut channel.stream, None, &channel.stop, until)?) };
    let (watch, until) = match selected.mailbox.watch() {
        Some(watch) if !selected.look_failed => (Some(watch), until),
        _ => (None, until.min(Instant::now() + channel.patience.poll)),
    };
    Ok(wait(&mut channel.stream, watch, &channel.stop, until)?)
}

fn done(context: &mut Context<'_>, heard: Heard) -> Result<Done, Refusal> {
    match heard {
        Heard::Command(line) if is_done(&line) => Ok(Done::plain()),
        Heard::Command(_) => Err(Refusal::Bad(None, "Expected DONE".into())),
        Heard::Literal(header) | Heard::TooLong(TooLong::Literal(header)) if !header.non_synchronizing => {
            context.channel.set_limits(crate::session::input::LIMITS);
            Err(Refusal::Bad(None, "Expected DONE".into()))
        }
        Heard::Literal(_) | Heard::TooLong(_) => Err(Refusal::Bye("Expected DONE".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command::Tag;
    use crate::session::capabilities::Withheld;
    use crate::session::channel::{Channel, Patience};
    use crate::session::selected::tests::{Fake, set};
    use crate::session::{Counters, Enabled};
    use crate::storage::Changes;
    use crate::storage::memory::MemoryServer;
    use crate::transport::Stream;
    use crate::transport::wait::Stop;
    use crate::types::MailboxName;
    use std::io::{BufRead, BufReader, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    /// Runs IDLE on this mailbox until the client has heard this line.
    fn idle_until(mailbox: Fake, line: &str) {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let session = std::thread::spawn(move || {
            let patience = Patience { poll: Duration::from_millis(20), ..Patience::default() };
            let stream = Stream::socket(OwnedFd::from(server)).unwrap();
            let mut context = Context {
                channel: &mut Channel::new(stream, Stop(None)).with_patience(patience),
                store: &mut *MemoryServer::new().store("alice"),
                enabled: &mut Enabled::default(),
                withheld: &Withheld::default(),
                tag: &Tag::new("a").unwrap(),
                counters: &mut Counters::default(),
            };
            let mut selected = Some(Selected::new(MailboxName::inbox(), Box::new(mailbox), false));
            idle(&mut context, &mut selected).is_ok()
        });
        assert!(BufReader::new(&client).lines().map(Result::unwrap).any(|said| said == line));
        client.write_all(b"DONE\r\n").unwrap();
        assert!(session.join().unwrap());
    }

    #[test]
    fn a_look_that_failed_is_tried_again_without_a_new_notice() {
        let mut mailbox = Fake::new(set(&[1]), Changes { arrived: set(&[2]), ..Changes::default() });
        mailbox.failures = 3;
        let (never, _end) = UnixStream::pair().unwrap();
        mailbox.watch = Some(never);
        idle_until(mailbox, "* 2 EXISTS");
    }
}
