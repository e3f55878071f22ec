//! Framing and grammar: the same octets are the same commands, however they arrive; no limit is passed; what parses prints and parses back the
//! same.

#![no_main]

use imapd::testing::protocol::Dialect;
use imapd::testing::protocol::command::append::{message_follows, parse_next};
use imapd::testing::protocol::command::{parse, print};
use imapd::testing::protocol::frame::{FrameLimits, Framer, Progress};
use libfuzzer_sys::fuzz_target;

const LIMITS: FrameLimits = FrameLimits { line: 2000, literal: 1000, literals: 3000, count: 10 };

fuzz_target!(|octets: &[u8]| {
    let Some((&cut, input)) = octets.split_first() else { return };
    let at_once = commands(input, input.len().max(1));
    let in_pieces = commands(input, usize::from(cut) + 1);
    assert_eq!(at_once, in_pieces, "what is read depends on how it arrives");
    for command in at_once {
        for dialect in [Dialect::Rev1, Dialect::Rev2] {
            check(&command, dialect);
        }
    }
});

fn check(framed: &[u8], dialect: Dialect) {
    let _ = parse_next(framed, dialect);
    let parsed = parse(framed, dialect);
    let (Some(tag), Ok(command)) = (parsed.tag, parsed.command) else { return };
    let printed = print(&command, &tag, dialect);
    let again = parse(&printed, dialect);
    assert_eq!(again.tag, Some(tag));
    assert_eq!(again.command, Ok(command), "{}", printed.escape_ascii());
}

/// The commands of an input that arrives in pieces, up to the first that passes a limit.
fn commands(input: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(LIMITS);
    let mut found = Vec::new();
    for mut piece in input.chunks(size) {
        loop {
            let (taken, progress) = framer.push(piece);
            piece = &piece[taken..];
            match progress {
                Progress::More => break,
                Progress::Literal(_) if message_follows(framer.so_far()) => found.push(framer.take()),
                Progress::Literal(header) => {
                    assert!(header.size <= LIMITS.literal);
                    framer.accept();
                }
                Progress::Complete => {
                    let command = framer.take();
                    assert!(command.len() as u64 <= LIMITS.line as u64 + LIMITS.literals);
                    found.push(command);
                }
                Progress::TooLong(_) => return found,
            }
        }
    }
    found
}
