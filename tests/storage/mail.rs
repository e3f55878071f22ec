//! Short words for what every test of a store does.

use imapd::testing::message::line_ends::ToWire;
use imapd::testing::storage::{Access, MailStore, Mailbox, Result, StoreError};
use imapd::testing::types::{DateTime, Flags, Keyword, MailboxName, SystemFlag, Uid, UidSet};

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub fn inbox() -> MailboxName {
    MailboxName::inbox()
}

/// From names with blanks between, such as `\Seen $Junk`.
pub fn flags(text: &str) -> Flags {
    let mut flags = Flags::new();
    for word in text.split_whitespace() {
        match SystemFlag::from_name(word) {
            Some(flag) => flags.insert(flag),
            None => flags.insert_keyword(Keyword::new(word).unwrap()),
        }
    }
    flags
}

pub fn set(uids: &[Uid]) -> UidSet {
    uids.iter().copied().collect()
}

/// A small message that tells itself from others.
pub fn message(subject: &str) -> Vec<u8> {
    format!("Subject: {subject}\r\n\r\nThis is {subject}.\r\n").into_bytes()
}

/// Adds one message and says its UID.
pub fn append(store: &mut dyn MailStore, to: &MailboxName, given: &str, octets: &[u8]) -> Uid {
    append_dated(store, to, given, None, octets)
}

pub fn append_dated(
    store: &mut dyn MailStore,
    to: &MailboxName,
    given: &str,
    date: Option<DateTime>,
    octets: &[u8],
) -> Uid {
    let mut append = store.append(to).unwrap();
    append.begin(&flags(given), date).unwrap();
    append.write(octets).unwrap();
    append.commit().unwrap().uids[0]
}

/// INBOX with three messages, and their UIDs.
pub fn three(store: &mut dyn MailStore) -> [Uid; 3] {
    ["one", "two", "three"].map(|subject| append(store, &inbox(), "", &message(subject)))
}

pub fn open(store: &mut dyn MailStore, mailbox: &MailboxName) -> Box<dyn Mailbox> {
    store.open(mailbox, Access::ReadWrite).unwrap()
}

/// The wire octets of a message, read in pieces of odd sizes; the announced sizes are checked against them.
pub fn content(mailbox: &mut dyn Mailbox, uid: Uid) -> Result<Vec<u8>> {
    let mut message = mailbox.read(uid)?;
    let (mut to_wire, mut wire, mut offset) = (ToWire::new(), Vec::new(), 0);
    let mut buffer = [0; 777];
    loop {
        let read = message.read_at(offset, &mut buffer)?;
        if read == 0 {
            break;
        }
        offset += read as u64;
        to_wire.push(&buffer[..read], &mut wire);
    }
    assert_eq!(offset, message.stored_size());
    assert_eq!(mailbox.size(uid)?, wire.len() as u64);
    Ok(wire)
}

/// The contents of all messages, in the order of their UIDs.
pub fn contents(mailbox: &mut dyn Mailbox) -> Vec<Vec<u8>> {
    mailbox.uids().clone().iter().map(|uid| content(mailbox, uid).unwrap()).collect()
}

pub fn exists(store: &mut dyn MailStore) -> Vec<String> {
    store.list().unwrap().into_iter().map(|l| l.name.to_string()).collect()
}

#[track_caller]
pub fn refused<T>(result: Result<T>) -> StoreError {
    match result {
        Ok(_) => panic!("not refused"),
        Err(error) => error,
    }
}

/// `refused!(result, StoreError::Expunged)`
#[macro_export]
macro_rules! refused {
    ($result:expr, $pattern:pat) => {
        let error = $crate::mail::refused($result);
        assert!(matches!(error, $pattern), "{error:?}");
    };
}
