//! APPEND, MULTIAPPEND: the messages go from the client to the store in pieces, all or none.

use crate::limits;
use crate::protocol::Dialect;
use crate::protocol::command::append::{Append, AppendMessage, parse_next};
use crate::protocol::cursor::SyntaxError;
use crate::protocol::frame::{LiteralHeader, TooLong};
use crate::protocol::response;
use crate::protocol::response::code::Code;
use crate::session::Context;
use crate::session::channel::Channel;
use crate::session::command::{general, list};
use crate::session::input::{Heard, LIMITS};
use crate::session::outcome::{Done, Refusal};
use crate::storage;
use std::time::Instant;

/// APPEND (RFC 9051 section 6.3.12) with any number of messages (RFC 3502). When it is refused the client's messages are read all the same as far as it
/// sends them without waiting.
pub fn append(context: &mut Context<'_>, append: &Append) -> Result<Done, Refusal> {
    let dialect = context.enabled.dialect();
    let channel = &mut *context.channel;
    let mut message = append.first.clone();
    let mut target = match refuse_literal(message.literal) {
        Err(refusal) => Err(refusal),
        Ok(()) => context.store.append(&append.mailbox.name).map_err(Refusal::of_target),
    }
    .map_err(|refusal| after_skipping(channel, message.literal, refusal))?;
    for _ in 0..limits::APPEND_MESSAGES {
        refuse_literal(message.literal)
            .and_then(|()| target.begin(&message.flags, message.date).map_err(Refusal::of_target))
            .map_err(|refusal| after_skipping(channel, message.literal, refusal))?;
        let stored = receive(channel, &mut *target, message.literal)?;
        match (next(channel, dialect)?, stored) {
            (Next::End, Ok(())) => {
                let appended = target.commit().map_err(Refusal::of_target)?;
                context.counters.appended += appended.uids.len() as u64;
                list::tell_normalized(context, &append.mailbox.name, append.mailbox.old_name.as_deref());
                let uids = appended.uids.into_iter().collect();
                return Ok(Done::with(Code::AppendUid(appended.uid_validity, uids)));
            }
            (Next::Message(following), Ok(())) => message = following,
            (Next::End, Err(error)) => return Err(Refusal::of_target(error)),
            (Next::Message(following), Err(error)) => {
                return Err(after_skipping(channel, following.literal, Refusal::of_target(error)));
            }
            (Next::Wrong(error, literal), _) => {
                let refusal = Refusal::Bad(None, general::syntax_text(&error));
                return Err(match literal {
                    Some(literal) => after_skipping(channel, literal, refusal),
                    None => refusal,
                });
            }
        }
    }
    let refusal = Refusal::no(Code::Limit, "Too many messages in one APPEND");
    Err(after_skipping(channel, message.literal, refusal))
}

/// What can be refused before the first octet.
fn refuse_literal(literal: LiteralHeader) -> Result<(), Refusal> {
    match literal.size {
        // RFC 3502 section 6.3.11: so a client gives up in the middle.
        0 => Err(Refusal::No(None, "An empty message gives the APPEND up".into())),
        size if size > limits::APPEND => Err(Refusal::no(Code::TooBig, "Message too big")),
        _ => Ok(()),
    }
}

/// The refusal, when the messages that follow have been skipped; or what went wrong with that.
fn after_skipping(channel: &mut Channel, literal: LiteralHeader, refusal: Refusal) -> Refusal {
    match skip_messages(channel, literal) {
        Ok(()) => refusal,
        Err(worse) => worse,
    }
}

/// Reads a refused APPEND to its end, from this literal on. A client that waits for leave to send it gets none, and the command ends there. One that sends
/// more than the greatest message without waiting is not listened to.
pub fn skip_messages(channel: &mut Channel, mut literal: LiteralHeader) -> Result<(), Refusal> {
    while literal.non_synchronizing {
        if literal.size > limits::APPEND {
            return Err(Refusal::Bye("Message too big".into()));
        }
        take(channel, literal.size, |_| {})?;
        match rest(channel)? {
            Rest::Line(_) => return Ok(()),
            Rest::Literal(_, following) => literal = following,
        }
    }
    Ok(())
}

/// Streams one message. What the store says is kept until the literal is at its end: the client cannot be stopped in the middle of it.
fn receive(
    channel: &mut Channel,
    target: &mut (dyn storage::Append + '_),
    literal: LiteralHeader,
) -> Result<storage::Result<()>, Refusal> {
    if !literal.non_synchronizing {
        response::continuation(&mut channel.out, "OK");
    }
    let mut stored = Ok(());
    take(channel, literal.size, |octets| {
        if stored.is_ok() {
            stored = target.write(octets);
        }
    })?;
    Ok(stored)
}

/// Gives the next `size` octets of the client to `sink`, in pieces.
fn take(channel: &mut Channel, size: u64, mut sink: impl FnMut(&[u8])) -> Result<(), Refusal> {
    let mut left = size;
    while left > 0 {
        let octets = channel.octets(left)?;
        sink(octets);
        let count = octets.len();
        channel.use_octets(count);
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}

enum Next {
    End,
    Message(AppendMessage),
    /// With a literal that was announced.
    Wrong(SyntaxError, Option<LiteralHeader>),
}

/// What follows a message.
fn next(channel: &mut Channel, dialect: Dialect) -> Result<Next, Refusal> {
    let (parsed, literal) = match rest(channel)? {
        Rest::Line(line) => (parse_next(&line, dialect), None),
        Rest::Literal(head, literal) => (parse_next(&head, dialect), Some(literal)),
    };
    Ok(match (parsed, literal) {
        (Ok(None), None) => Next::End,
        (Ok(Some(message)), Some(_)) => Next::Message(message),
        (Ok(_), literal) => Next::Wrong(SyntaxError::Limit("Expected a message"), literal),
        (Err(error), literal) => Next::Wrong(error, literal),
    })
}

enum Rest {
    Line(Vec<u8>),
    /// The line up to and with this literal's header.
    Literal(Vec<u8>, LiteralHeader),
}

/// The rest of the line behind a literal.
fn rest(channel: &mut Channel) -> Result<Rest, Refusal> {
    channel.set_limits(LIMITS);
    match channel.hear(Instant::now() + channel.patience.stalled)? {
        Heard::Command(line) => Ok(Rest::Line(line)),
        Heard::Literal(literal) | Heard::TooLong(TooLong::Literal(literal)) => {
            let head = channel.framer.so_far().to_vec();
            channel.set_limits(LIMITS);
            Ok(Rest::Literal(head, literal))
        }
        Heard::TooLong(_) => Err(Refusal::Bye("Command too long".into())),
    }
}
