//! MailStore and Mailbox: all that the session may ask of any store, and the promises that every store keeps.
//!
//! One [`MailStore`] belongs to one session of one user. Whatever other sessions, processes or programs do at the same time, each
//! call sees and leaves a consistent mailbox. `tests/storage/contract.rs` says when a store is done.

pub mod change;
pub mod error;
pub mod maildir;
pub mod memory;
pub mod reader;
pub mod special_use;

pub use change::Changes;
pub use error::{Result, StoreError};

use crate::types::flag::FlagChange;
use crate::types::{
    DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, SpecialUse, SystemFlag, Uid, UidSet, UidValidity,
};
use std::io;
use std::os::fd::BorrowedFd;

/// A user's mail, as one session uses it.
pub trait MailStore: Send {
    /// Every mailbox that exists, INBOX always among them, in the order of their names. A name that exists only as the parent of others
    /// is left out: the session derives it.
    fn list(&mut self) -> Result<Vec<Listed>>;

    /// Makes a mailbox and says its MAILBOXID, if that can be found out by now; missing parents need not be made. With a UIDVALIDITY that no mailbox
    /// of this name had before. An error means that there is no new mailbox.
    fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<Option<ObjectId>>;

    /// Removes a mailbox and its messages, not those below it. INBOX cannot be deleted.
    fn delete(&mut self, name: &MailboxName) -> Result<()>;

    /// Renames a mailbox and all below it, UIDs and UIDVALIDITY kept; `from` need not itself exist if there are some below it. Renaming
    /// INBOX moves its messages to the new mailbox and leaves an empty INBOX, children staying (RFC 9051 section 6.3.6).
    /// Subscriptions are not touched.
    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<()>;

    /// The subscribed names, in the order of subscription; they need not exist.
    fn subscriptions(&mut self) -> Result<Vec<MailboxName>>;

    /// Adds a name, which need not exist. Not an error if it was subscribed.
    fn subscribe(&mut self, name: &MailboxName) -> Result<()>;

    /// Not an error if it was not subscribed.
    fn unsubscribe(&mut self, name: &MailboxName) -> Result<()>;

    /// All that STATUS can ask for, computed only as far as `wanted` says.
    fn status(&mut self, name: &MailboxName, wanted: StatusWanted) -> Result<MailboxStatus>;

    /// Opens a mailbox. With [`Access::ReadOnly`] nothing on disk that other programs see changes by reading: \Recent is not taken away.
    fn open(&mut self, name: &MailboxName, access: Access) -> Result<Box<dyn Mailbox>>;

    /// Begins to add messages to a mailbox.
    fn append(&mut self, name: &MailboxName) -> Result<Box<dyn Append + '_>>;
}

/// One or more messages on their way in. Dropped without [`Append::commit`] it leaves no trace.
pub trait Append {
    /// Begins a message; what [`Append::write`] takes from now on belongs to it. Without a date, now.
    fn begin(&mut self, flags: &Flags, date: Option<DateTime>) -> Result<()>;

    /// The next wire octets of the message. They are not kept in memory by a store on disk.
    fn write(&mut self, wire: &[u8]) -> Result<()>;

    /// Makes all messages appear at once and durably, in the order given, and tells their UIDs.
    fn commit(self: Box<Self>) -> Result<Appended>;
}

/// What APPENDUID tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    pub uid_validity: UidValidity,
    /// In the order of the messages; ascending.
    pub uids: Vec<Uid>,
}

/// What COPYUID tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub uid_validity: UidValidity,
    /// Source and new UID, both ascending. Messages that had vanished are left out.
    pub pairs: Vec<(Uid, Uid)>,
}

/// What was done to many messages, each for itself, and why not to all of them.
#[derive(Debug)]
pub struct Partly<T> {
    pub done: T,
    /// The first of what went wrong; `None` if all was done.
    pub failure: Option<StoreError>,
}

impl<T> Partly<T> {
    /// All of it was done.
    pub fn whole(done: T) -> Self {
        Self { done, failure: None }
    }
}

/// What STORE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// The messages with their flags, changed or as they were; ascending. [`Mailbox::modseq`] knows their new times.
    pub flags: Vec<(Uid, Flags)>,
    /// Those that `unchanged_since` kept from being changed.
    pub modified: UidSet,
}

/// What a store keeps of a message once it was made, as octets that mean nothing to it: [`crate::message::kept`] has their form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// ENVELOPE as it goes on the wire.
    Envelope,
    /// BODYSTRUCTURE as it goes on the wire.
    Structure,
    /// The header fields that clients, searches, sorts and threads ask for.
    Header,
}

/// An open mailbox. It shows the state of the last [`Mailbox::sync`] (opening is one), with the changes made through it since.
///
/// A message that another session expunged stays listed in [`Mailbox::uids`] until sync reports it; asked for its content the store says
/// [`StoreError::Expunged`].
pub trait Mailbox: Send {
    /// Does not change while the mailbox is open.
    fn uid_validity(&self) -> UidValidity;

    /// MAILBOXID (RFC 8474 section 4): survives RENAME. Does not change while the mailbox is open.
    fn id(&self) -> ObjectId;

    /// The next UID that will be given, as of the last sync.
    fn uid_next(&self) -> Uid;

    /// Every message, as of the last sync.
    fn uids(&self) -> &UidSet;

    /// Those of [`Mailbox::uids`] of which this session is the first to be told (RFC 3501 section 2.3.2, \Recent). A store on disk may
    /// know it only of messages that came without flags.
    fn recent(&self) -> &UidSet;

    /// Looks at the store and says what changed since the last sync: everything that others did, and the arrivals and expunges that were
    /// done through this mailbox, but not the flags that [`Mailbox::store`] returned. Cheap when nothing changed.
    /// [`StoreError::NoSuchMailbox`] if the mailbox was deleted, replaced or its UIDs dealt anew: the session must end the selection.
    fn sync(&mut self) -> Result<Changes>;

    /// Readable when [`Mailbox::sync`] may have something to tell; `None` if the store cannot say and must be polled. Calling sync
    /// makes it unreadable again. Watching begins with the first call: what happened before it only a sync after it is sure to tell.
    fn watch(&mut self) -> Option<BorrowedFd<'_>>;

    /// The message's flags, or `None` if there is no such message. No disk is touched.
    fn flags(&self, uid: Uid) -> Option<Flags>;

    /// Those of [`Mailbox::uids`] that have this flag, at a cost of nanoseconds a message.
    fn with_flag(&self, flag: SystemFlag) -> UidSet {
        self.uids().iter().filter(|&uid| self.flags(uid).is_some_and(|flags| flags.has(flag))).collect()
    }

    /// HIGHESTMODSEQ (RFC 7162 section 3.1.2.1): not below that of any message, flag change or expunge that this mailbox shows; what happens
    /// later, here or elsewhere, has a greater one.
    fn highest_modseq(&self) -> ModSeq;

    /// When the message came or its flags last changed, as far as this mailbox shows it; `None` if there is no such message.
    fn modseq(&self, uid: Uid) -> Option<ModSeq>;

    /// The UIDs that were expunged after this moment, among those that this mailbox no longer shows. Where the history does not reach back so far,
    /// every UID below the next that has no message.
    fn vanished_since(&mut self, since: ModSeq) -> Result<UidSet>;

    /// Keywords that the mailbox has in use or had: what FLAGS lists.
    fn keywords(&self) -> Vec<Keyword>;

    /// Whether a keyword that is not among [`Mailbox::keywords`] can be stored (`\*` in PERMANENTFLAGS).
    fn can_create_keywords(&self) -> bool;

    /// INTERNALDATE.
    fn internal_date(&mut self, uid: Uid) -> Result<DateTime>;

    /// SAVEDATE (RFC 8514): when the message came into this mailbox; `None` if nobody knows.
    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>>;

    /// EMAILID (RFC 8474 section 5.1): copied and moved messages keep it.
    fn email_id(&mut self, uid: Uid) -> Result<ObjectId>;

    /// Gives what was kept of the message to `take`, if anything was; says whether it did. For a message that is gone, nothing.
    fn kept(&mut self, uid: Uid, kind: Kept, take: &mut dyn FnMut(&[u8])) -> bool {
        let _ = (uid, kind, take);
        false
    }

    /// Keeps what was made of a message's content, which never changes, for this session and later ones; may be forgotten at any time. Failing
    /// to is no error.
    fn keep(&mut self, uid: Uid, kind: Kept, octets: &[u8]) {
        let _ = (uid, kind, octets);
    }

    /// RFC822.SIZE: the wire octets of the message, exactly as many as it has when read.
    fn size(&mut self, uid: Uid) -> Result<u64>;

    /// The message's content.
    fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>>;

    /// Changes flags and says for each message of `uids` that still exists what its flags are now. Messages that are gone are left out.
    /// All or nothing as far as errors other than of single vanished messages go. With `unchanged_since`, messages that changed after it are left as
    /// they are and named (RFC 7162 section 3.1.3); nobody can change a message between the look and the change.
    fn store(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Stored>;

    /// Removes these messages for good, whether or not marked deleted, and says which it removed; those that cannot be removed keep no other from being
    /// so. The next sync reports them. One that this mailbox shows as deleted and another session has since taken that mark from is left: somebody
    /// wants it kept. An error means that none was removed.
    fn expunge(&mut self, uids: &UidSet) -> Result<Partly<UidSet>>;

    /// Copies messages with their flags and dates: all that exist, or none. The target may be this mailbox.
    /// Keywords for which the target has no room are left out.
    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied>;

    /// Moves messages: each is in exactly one of the two at any moment that others can see, or at worst in both. The next sync reports them gone.
    /// Each that cannot be moved stays as it was, with no copy left in the target (RFC 6851 section 3.3).
    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Partly<Copied>>;
}

/// A message's content as it is stored. See [`crate::message`] for the two forms of line ends.
pub trait StoredMessage: Send {
    /// Octets as stored.
    fn stored_size(&self) -> u64;

    /// Reads stored octets from `offset`, as many as there are up to the size of `buffer`; zero only at the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What an open mailbox lets be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// A mailbox in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub name: MailboxName,
    pub special_use: Option<SpecialUse>,
    /// Whether there may be messages that are \Recent (`\Marked`); `None` if that would cost too much to know.
    pub marked: Option<bool>,
}

/// What a STATUS needs beyond what costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatusWanted {
    /// Sum of the sizes of all messages.
    pub size: bool,
    /// Number of unseen and of deleted messages, and anything else that needs the flags.
    pub counts: bool,
}

/// What STATUS tells of a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxStatus {
    pub messages: u32,
    pub recent: u32,
    pub uid_next: Uid,
    pub uid_validity: UidValidity,
    pub highest_modseq: ModSeq,
    pub id: ObjectId,
    /// Zero unless wanted.
    pub unseen: u32,
    /// Zero unless wanted.
    pub deleted: u32,
    /// Wire octets; zero unless wanted.
    pub size: u64,
}
