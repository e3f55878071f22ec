//! All names that a listing may show, with what it may say of them.

use super::pattern::Patterns;
use crate::protocol::command::list::SelectOptions;
use crate::storage::{MailStore, Result};
use crate::types::{MailboxName, SpecialUse};
use std::collections::BTreeMap;

/// What is known of one name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    pub exists: bool,
    special_use: Option<SpecialUse>,
    marked: Option<bool>,
    /// A mailbox that exists lies below.
    children: bool,
    subscribed: bool,
    /// A name below matches the selection options.
    pub has_matching_below: bool,
    /// One of them does not match the pattern, so it is not listed itself.
    pub hides_matching: bool,
}

/// How a name without a mailbox is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// For clients that may not know `\NonExistent` (RFC 3501).
    NoSelect,
    NonExistent,
}

impl Entry {
    /// Whether the selection options of a LIST choose it, RECURSIVEMATCH left aside.
    pub fn is_selected_by(&self, select: SelectOptions) -> bool {
        (!select.subscribed || self.subscribed)
            && (!select.special_use || self.special_use.is_some())
            && (select.subscribed || self.exists || self.children)
    }

    /// For a LIST response, with all that is known, asked for or not.
    pub fn attributes(&self, missing: Missing) -> Vec<&'static str> {
        let mut attributes = Vec::new();
        match (self.exists, missing) {
            (true, _) => {}
            (false, Missing::NoSelect) => attributes.push("\\Noselect"),
            (false, Missing::NonExistent) => attributes.push("\\NonExistent"),
        }
        match (self.children, self.exists) {
            (true, _) => attributes.push("\\HasChildren"),
            (false, true) => attributes.push("\\HasNoChildren"),
            (false, false) => {}
        }
        match self.marked {
            Some(true) => attributes.push("\\Marked"),
            Some(false) => attributes.push("\\Unmarked"),
            None => {}
        }
        attributes.extend(self.special_use.map(SpecialUse::attribute));
        if self.subscribed {
            attributes.push("\\Subscribed");
        }
        attributes
    }
}

/// The names in their order.
#[derive(Default)]
pub struct Tree(BTreeMap<MailboxName, Entry>);

impl Tree {
    /// The mailboxes that exist, and the names above them.
    pub fn read(store: &mut dyn MailStore) -> Result<Self> {
        let mut tree = Self::default();
        for listed in store.list()? {
            for parent in listed.name.ancestors() {
                tree.0.entry(parent).or_default().children = true;
            }
            let entry = tree.0.entry(listed.name).or_default();
            (entry.exists, entry.special_use, entry.marked) = (true, listed.special_use, listed.marked);
        }
        Ok(tree)
    }

    /// Marks the subscribed names. Those that do not exist, and the names above them, come into the tree: see [`Entry::is_selected_by`].
    pub fn add_subscriptions(&mut self, names: Vec<MailboxName>) {
        for name in names {
            for parent in name.ancestors() {
                self.0.entry(parent).or_default();
            }
            self.0.entry(name).or_default().subscribed = true;
        }
    }

    /// For RECURSIVEMATCH (RFC 9051 section 6.3.9.6).
    pub fn look_below(&mut self, select: SelectOptions, patterns: &Patterns) {
        let matching: Vec<(MailboxName, bool)> = self
            .iter()
            .filter(|(_, entry)| entry.is_selected_by(select))
            .map(|(name, _)| (name.clone(), patterns.match_name(name)))
            .collect();
        for (name, listed) in matching {
            for parent in name.ancestors() {
                let entry = self.0.entry(parent).or_default();
                entry.has_matching_below = true;
                entry.hides_matching |= !listed;
            }
        }
    }

    pub fn get(&self, name: &MailboxName) -> Option<&Entry> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&MailboxName, &Entry)> {
        self.0.iter()
    }
}
