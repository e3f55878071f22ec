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

/// Sleeps until something happens. Where the store cannot say when, the mailbox is looked at from time to time.
fn pause(context: &mut Context<'_>, selected: &mut Option<Selected>, until: Instant) -> Result<Woken, Refusal> {
    let channel = &mut *context.channel;
    let (watch, until) = match selected.as_mut().map(|selected| selected.mailbox.watch()) {
        Some(None) => (None, until.min(Instant::now() + channel.patience.poll)),
        Some(watch) => (watch, until),
        None => (None, until),
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
