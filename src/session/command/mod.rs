//! The table: command name, states it is valid in, whether EXPUNGE may be told before its tagged answer, the function that runs it.

pub mod append;
pub mod auth;
pub mod copy;
pub mod expunge;
pub mod fetch;
pub mod general;
pub mod idle;
pub mod list;
pub mod mailbox;
pub mod search;
pub mod select;
pub mod status;
pub mod store;

use super::Context;
use super::outcome::{Done, Refusal};
use super::selected::Selected;
use crate::protocol::command::fetch::FetchItem;
use crate::protocol::command::status::StatusItem;
use crate::protocol::command::{Command, Numbers};
use crate::storage::Access;

/// In which state after login a command is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Authenticated,
    Selected,
}

/// What may be told before the tagged answer (RFC 9051 section 7.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    All,
    /// For commands with sequence numbers in arguments or answers.
    NoExpunge,
    /// The command has just opened the mailbox, or ends.
    None,
}

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    pub state: State,
    pub news: News,
}

/// The row of a command.
pub fn rules(command: &Command) -> Rules {
    use Command as C;
    let (state, news) = match command {
        C::Capability | C::Noop | C::Id(_) | C::Enable(_) => (State::Authenticated, News::All),
        C::StartTls | C::Login(_) | C::Authenticate(_) => (State::Authenticated, News::None),
        C::Logout => (State::Authenticated, News::None),
        C::Select(_) | C::Examine(_) => (State::Authenticated, News::None),
        C::Create(_) | C::Delete(_) | C::Rename(_) => (State::Authenticated, News::All),
        C::Subscribe(_) | C::Unsubscribe(_) => (State::Authenticated, News::All),
        C::List(_) | C::Lsub(_) | C::Xlist(_) | C::Namespace | C::Status(_) => (State::Authenticated, News::All),
        C::Append(_) | C::Idle => (State::Authenticated, News::All),
        C::Check | C::Expunge(_) => (State::Selected, News::All),
        C::Close | C::Unselect => (State::Selected, News::None),
        // RFC 7162 section 3.2.10.2: by UID too, if its keys have sequence numbers.
        C::Search(search) if search.names_sequence_numbers() => (State::Selected, News::NoExpunge),
        C::Search(search) => (State::Selected, by_numbers(search.numbers)),
        C::Fetch(fetch) => (State::Selected, by_numbers(fetch.numbers)),
        C::Store(store) => (State::Selected, by_numbers(store.numbers)),
        C::Copy(_) | C::Move(_) => (State::Selected, News::All),
    };
    Rules { state, news }
}

/// Whether a command says that the client wants to know when what changed (RFC 7162 section 3.1). ENABLE says it where that is offered.
pub fn enables_condstore(command: &Command) -> bool {
    use Command as C;
    let highest = |items: &[StatusItem]| items.contains(&StatusItem::HighestModSeq);
    match command {
        C::Select(select) | C::Examine(select) => select.condstore || select.qresync.is_some(),
        C::Status(status) => highest(&status.items),
        C::List(list) => list.returns.status.as_deref().is_some_and(highest),
        C::Fetch(fetch) => fetch.items.contains(&FetchItem::ModSeq),
        C::Search(search) => search.by_modseq(),
        C::Store(store) => store.unchanged_since.is_some(),
        _ => false,
    }
}

/// Whether a command is BAD before ENABLE QRESYNC (RFC 7162 section 3.2.3).
pub fn needs_qresync(command: &Command) -> bool {
    match command {
        Command::Select(select) | Command::Examine(select) => select.qresync.is_some(),
        Command::Fetch(fetch) => fetch.vanished,
        _ => false,
    }
}

fn by_numbers(numbers: Numbers) -> News {
    match numbers {
        Numbers::Sequence => News::NoExpunge,
        Numbers::Uid => News::All,
    }
}

/// Runs a command. One that needs the selected state is BAD in another.
pub fn run(context: &mut Context<'_>, selected: &mut Option<Selected>, command: Command) -> Result<Done, Refusal> {
    use Command as C;
    match command {
        C::Capability => general::capability(context),
        C::Noop => Ok(Done::plain()),
        C::Logout => general::logout(context),
        C::Id(_) => general::id(context),
        C::Enable(args) => general::enable(context, selected.as_ref(), &args),
        C::StartTls | C::Login(_) | C::Authenticate(_) => auth::after_login(),
        C::Select(args) => select::select(context, selected, &args, Access::ReadWrite),
        C::Examine(args) => select::select(context, selected, &args, Access::ReadOnly),
        C::Create(args) => mailbox::create(context, &args),
        C::Delete(name) => mailbox::delete(context, selected, &name),
        C::Rename(args) => mailbox::rename(context, selected, &args),
        C::Subscribe(name) => mailbox::subscribe(context, &name),
        C::Unsubscribe(name) => mailbox::unsubscribe(context, &name),
        C::List(args) => list::list(context, &args),
        C::Lsub(args) => list::lsub(context, &args),
        C::Xlist(args) => list::xlist(context, &args),
        C::Namespace => list::namespace(context),
        C::Status(args) => status::status(context, &args),
        C::Append(args) => append::append(context, &args),
        C::Idle => idle::idle(context, selected),
        C::Check => Ok(Done::plain()),
        C::Close => select::close(context, selected),
        C::Unselect => select::unselect(selected),
        C::Expunge(args) => expunge::expunge(context, open(selected)?, &args),
        C::Search(args) => search::search(context, open(selected)?, &args),
        C::Fetch(args) => fetch::fetch(context, open(selected)?, &args),
        C::Store(args) => store::store(context, open(selected)?, &args),
        C::Copy(args) => copy::copy(open(selected)?, &args),
        C::Move(args) => copy::move_to(context, open(selected)?, &args),
    }
}

fn open(selected: &mut Option<Selected>) -> Result<&mut Selected, Refusal> {
    selected.as_mut().ok_or_else(|| Refusal::Bad(None, "No mailbox selected".into()))
}
