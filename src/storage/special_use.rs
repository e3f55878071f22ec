//! Which mailbox is for what (RFC 6154) where nobody said so: by the names that programs and people commonly give.

use super::Listed;
use crate::types::{MailboxName, SpecialUse};

/// The usual name first. Compared without regard to ASCII case, at the top and directly below INBOX.
const NAMES: [(SpecialUse, &[&str]); 5] = [
    (SpecialUse::Archive, &["Archive", "Archives"]),
    (SpecialUse::Drafts, &["Drafts", "Draft"]),
    (SpecialUse::Junk, &["Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail"]),
    (SpecialUse::Sent, &["Sent", "Sent Items", "Sent Messages", "Sent Mail"]),
    (SpecialUse::Trash, &["Trash", "Deleted Items", "Deleted Messages"]),
];

/// Gives each use that no mailbox of the listing has yet to the one with the most usual name for it, so that at most one mailbox has
/// it: clients take the first they see, and differ in which that is.
pub fn assign(listing: &mut [Listed]) {
    for (special_use, names) in NAMES {
        if listing.iter().any(|l| l.special_use == Some(special_use)) {
            continue;
        }
        let best = (listing.iter_mut())
            .filter(|l| l.special_use.is_none())
            .filter_map(|l| Some((rank(&l.name, names)?, l)))
            .min_by_key(|(rank, _)| *rank);
        if let Some((_, listed)) = best {
            listed.special_use = Some(special_use);
        }
    }
}

/// Whether a mailbox may be made for this use. `\All` and `\Flagged` are views over other mailboxes, which no store here has.
pub fn can_be_given(special_use: SpecialUse) -> bool {
    !matches!(special_use, SpecialUse::All | SpecialUse::Flagged)
}

fn rank(name: &MailboxName, names: &[&str]) -> Option<usize> {
    let at_top = |text: &str| names.iter().position(|n| n.eq_ignore_ascii_case(text));
    at_top(name.as_str()).or_else(|| Some(names.len() + at_top(name.as_str().strip_prefix("INBOX/")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(names: &[(&str, Option<SpecialUse>)]) -> Vec<Option<SpecialUse>> {
        let mut listing: Vec<Listed> = (names.iter())
            .map(|&(name, special_use)| Listed { name: MailboxName::parse(name).unwrap(), special_use, marked: None })
            .collect();
        assign(&mut listing);
        listing.into_iter().map(|l| l.special_use).collect()
    }

    #[test]
    fn one_mailbox_has_each_use_and_the_usual_name_wins() {
        let names = [("INBOX/Sent", None), ("Sent Items", None), ("sent", None), ("x/Sent", None), ("Spam", None)];
        assert_eq!(assigned(&names), [None, None, Some(SpecialUse::Sent), None, Some(SpecialUse::Junk)]);
        assert_eq!(assigned(&[("INBOX/Drafts", None)]), [Some(SpecialUse::Drafts)]);
    }

    #[test]
    fn a_use_that_was_asked_for_goes_before_the_name() {
        let names = [("Gesendet", Some(SpecialUse::Sent)), ("Sent", None), ("Trash", Some(SpecialUse::Junk))];
        assert_eq!(assigned(&names), [Some(SpecialUse::Sent), None, Some(SpecialUse::Junk)]);
    }
}
