//! A message read block by block.

use super::StoredMessage;
use std::io;

/// How much of a message is in memory at once. Most messages are smaller and are read in one go.
const BLOCK: usize = 64 * 1024;

/// An open message.
pub struct Reader {
    content: Box<dyn StoredMessage>,
    size: u64,
    block: Block,
    failed: bool,
}

/// A stretch of stored octets. Given from message to message, so that it is made once a command.
#[derive(Default)]
pub struct Block {
    octets: Vec<u8>,
    start: u64,
    held: usize,
}

impl Reader {
    /// Opens nothing: the content is open. `block` may come from the reader of another message.
    pub fn new(content: Box<dyn StoredMessage>, mut block: Block) -> Self {
        block.held = 0;
        Self { size: content.stored_size(), content, block, failed: false }
    }

    /// For the next reader.
    pub fn into_block(self) -> Block {
        self.block
    }

    /// Stored octets.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Stored octets from `offset`, at least one, none from `end` on. `UnexpectedEof` if the message ends before: it became shorter
    /// since it was opened.
    pub fn octets(&mut self, offset: u64, end: u64) -> io::Result<&[u8]> {
        self.failed = true;
        let block = &mut self.block;
        if offset < block.start || offset - block.start >= block.held as u64 {
            block.octets.resize(BLOCK, 0);
            block.held = 0;
            block.held = loop {
                match self.content.read_at(offset, &mut block.octets) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => break other?,
                }
            };
            block.start = offset;
        }
        let from = (offset - block.start) as usize;
        let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let octets = &block.octets[from..block.held];
        let octets = &octets[..octets.len().min(room)];
        if octets.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.failed = false;
        Ok(octets)
    }

    /// Whether the last attempt to read was in vain.
    pub fn failed(&self) -> bool {
        self.failed
    }
}
