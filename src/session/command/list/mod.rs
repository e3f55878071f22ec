//! LIST with its extensions, LSUB, XLIST, NAMESPACE.

mod pattern;
mod tree;

use super::status;
use crate::limits;
use crate::log::{Level, log};
use crate::protocol::Dialect;
use crate::protocol::command::list::{List, Pattern as Args};
use crate::protocol::response::code::Code;
use crate::protocol::response::mailbox::{self, ListLine, Listing};
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::storage::MailStore;
use crate::types::MailboxName;
use pattern::Patterns;
use std::collections::BTreeSet;
use tree::{Missing, Tree};

/// LIST (RFC 9051 section 6.3.9).
pub fn list(context: &mut Context<'_>, list: &List) -> Result<Done, Refusal> {
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        mailbox::separator(&mut context.channel.out, Listing::List);
        return Ok(Done::plain());
    }
    if list.patterns.len() > limits::LIST_PATTERNS {
        return Err(Refusal::no(Code::Limit, "Too many patterns"));
    }
    let patterns = Patterns::new(&list.reference, &list.patterns);
    let mut tree = Tree::read(context.store)?;
    if list.select.subscribed || list.returns.subscribed {
        tree.add_subscriptions(context.store.subscriptions()?);
    }
    if list.select.recursive_match {
        tree.look_below(list.select, &patterns);
    }
    let dialect = context.enabled.dialect();
    let missing = if list.extended || dialect == Dialect::Rev2 { Missing::NonExistent } else { Missing::NoSelect };
    for (name, entry) in tree.iter().filter(|(name, _)| patterns.match_name(name)) {
        let matches = entry.is_selected_by(list.select);
        if !matches && !entry.hides_matching {
            continue;
        }
        let line = ListLine {
            attributes: entry.attributes(missing),
            name,
            child_info_subscribed: entry.has_matching_below && list.select.subscribed,
            old_name: None,
        };
        mailbox::listing(&mut context.channel.out, Listing::List, &line, dialect);
        if let (true, true, Some(items)) = (matches, entry.exists, &list.returns.status) {
            match status::values(context.store, name, items) {
                Ok(values) => mailbox::status(&mut context.channel.out, name, &values, dialect),
                // RFC 5819 section 2: left out.
                Err(error) => log!(Level::Warning, "no status of a mailbox in LIST: {error}"),
            }
        }
        context.channel.flush_if_full()?;
    }
    Ok(Done::plain())
}

/// XLIST, from which Outlook 2013 and 2016 learn the special uses: LIST, with `\Inbox`.
pub fn xlist(context: &mut Context<'_>, args: &Args) -> Result<Done, Refusal> {
    if args.pattern.is_empty() {
        mailbox::separator(&mut context.channel.out, Listing::Xlist);
        return Ok(Done::plain());
    }
    let patterns = Patterns::new(&args.reference, std::slice::from_ref(&args.pattern));
    let tree = Tree::read(context.store)?;
    for (name, entry) in tree.iter().filter(|(name, _)| patterns.match_name(name)) {
        let mut attributes = entry.attributes(Missing::NoSelect);
        if name.is_inbox() {
            attributes.push("\\Inbox");
        }
        write(context, Listing::Xlist, attributes, name)?;
    }
    Ok(Done::plain())
}

/// LSUB (RFC 3501 section 6.3.9). The attributes are those of LIST, since some clients learn special uses only here. A name that is not subscribed
/// comes, with `\Noselect`, if a subscribed one lies below it that the pattern's `%` does not reach.
pub fn lsub(context: &mut Context<'_>, args: &Args) -> Result<Done, Refusal> {
    if args.pattern.is_empty() {
        mailbox::separator(&mut context.channel.out, Listing::Lsub);
        return Ok(Done::plain());
    }
    let patterns = Patterns::new(&args.reference, std::slice::from_ref(&args.pattern));
    let tree = Tree::read(context.store)?;
    let subscribed: BTreeSet<MailboxName> = context.store.subscriptions()?.into_iter().collect();
    let mut parents = BTreeSet::new();
    for name in &subscribed {
        if patterns.match_name(name) {
            let attributes =
                tree.get(name).filter(|entry| entry.exists).map(|entry| entry.attributes(Missing::NoSelect));
            write(context, Listing::Lsub, attributes.unwrap_or_default(), name)?;
        } else {
            parents.extend(name.ancestors().filter(|parent| patterns.match_name(parent)));
        }
    }
    for name in parents.difference(&subscribed) {
        write(context, Listing::Lsub, vec!["\\Noselect"], name)?;
    }
    Ok(Done::plain())
}

fn write(
    context: &mut Context<'_>,
    which: Listing,
    attributes: Vec<&'static str>,
    name: &MailboxName,
) -> Result<(), Refusal> {
    let line = ListLine { attributes, name, child_info_subscribed: false, old_name: None };
    mailbox::listing(&mut context.channel.out, which, &line, context.enabled.dialect());
    Ok(context.channel.flush_if_full()?)
}

/// NAMESPACE (RFC 9051 section 6.3.10): one personal namespace.
pub fn namespace(context: &mut Context<'_>) -> Result<Done, Refusal> {
    mailbox::namespace(&mut context.channel.out);
    Ok(Done::plain())
}

/// What LIST says of one name.
pub struct Described {
    name: MailboxName,
    attributes: Vec<&'static str>,
}

impl Described {
    /// `old_name`: what the client wrote, if that was normalised (RFC 9051 section 6.3.9.7).
    pub fn write(&self, out: &mut Vec<u8>, old_name: Option<&str>, dialect: Dialect) {
        let (attributes, name) = (self.attributes.clone(), &self.name);
        let line = ListLine { attributes, name, child_info_subscribed: false, old_name };
        mailbox::listing(out, Listing::List, &line, dialect);
    }
}

/// For SELECT, where all attributes must be right (RFC 9051 section 6.3.2).
pub fn one(store: &mut dyn MailStore, name: &MailboxName) -> Result<Described, Refusal> {
    let mut tree = Tree::read(store)?;
    tree.add_subscriptions(store.subscriptions()?);
    let attributes = tree.get(name).copied().unwrap_or_default().attributes(Missing::NonExistent);
    Ok(Described { name: name.clone(), attributes })
}

/// Tells a client of IMAP4rev2 the name of a mailbox that it wrote differently (RFC 9051 section 6.3.9.7).
///
/// The command is done by then: what fails here is not told.
pub fn tell_normalized(context: &mut Context<'_>, name: &MailboxName, old_name: Option<&str>) {
    let (true, Some(old_name)) = (context.enabled.imap4rev2, old_name) else { return };
    match one(context.store, name) {
        Ok(named) => named.write(&mut context.channel.out, Some(old_name), context.enabled.dialect()),
        Err(_) => log!(Level::Warning, "cannot tell that a mailbox name was normalised"),
    }
}
