//! Storage changes into untagged EXISTS, EXPUNGE, FETCH; when each is allowed.

use super::Enabled;
use super::channel::Channel;
use super::command::News;
use super::outcome::Refusal;
use super::selected::Selected;
use crate::log::{Level, log};
use crate::protocol::response::code::Code;
use crate::protocol::response::fetch::{self, Vanished};
use crate::protocol::response::{self, Condition, mailbox};
use crate::storage::{Mailbox, StoreError};
use crate::types::{Flags, Keyword, SeqNum, SystemFlag, Uid, UidSet};

/// Keywords that mean the same to every client (RFC 9051 section 2.3.2), listed also where no message has them yet.
const WELL_KNOWN: [&str; 5] = ["$MDNSent", "$Forwarded", "$Junk", "$NotJunk", "$Phishing"];

/// Looks at the mailbox and tells the client what changed.
///
/// Expunges come first and from the last to the first, so that each number is right whether or not the client has counted the others.
/// While they may not be told (RFC 9051 section 7.5.1), the messages keep their places. [`Refusal::MailboxGone`] if the mailbox is.
pub fn tell(channel: &mut Channel, selected: &mut Selected, enabled: Enabled, news: News) -> Result<(), Refusal> {
    if news == News::None {
        return Ok(());
    }
    let looked = selected.mailbox.sync();
    selected.look_failed = looked.is_err();
    let changes = match looked {
        Ok(changes) => changes,
        Err(StoreError::NoSuchMailbox) => return Err(Refusal::MailboxGone),
        Err(error) => {
            // The command was done all the same; what is new will be told when the store works again.
            log!(Level::Warning, "cannot look for changes: {error}");
            return Ok(());
        }
    };
    selected.gone = selected.gone.union(&changes.expunged);
    if news == News::All && !selected.gone.is_empty() {
        expunges(channel, selected, enabled)?;
    }
    arrivals(channel, selected, enabled);
    if changes.new_keywords {
        keywords(&mut channel.out, selected);
    }
    for uid in changes.flags.difference(&selected.gone).iter() {
        changed(channel, selected, uid, None, Items::of_news(enabled), enabled)?;
    }
    if selected.gone.is_empty() {
        selected.told_to = selected.mailbox.highest_modseq();
    }
    Ok(())
}

/// From now on the client is told when what changed; if a mailbox is selected, up to when it has been told of that.
pub fn enable_condstore(channel: &mut Channel, enabled: &mut Enabled, selected: Option<&Selected>) {
    let before = std::mem::replace(&mut enabled.condstore, true);
    if let (false, Some(selected)) = (before, selected) {
        untagged_highest(&mut channel.out, &Code::HighestModSeq(selected.told_to));
    }
}

/// `* OK [HIGHESTMODSEQ n]`
pub fn untagged_highest(out: &mut Vec<u8>, code: &Code) {
    response::status(out, None, Condition::Ok, Some(code), "Highest modification sequence");
}

/// Before a tagged answer: HIGHESTMODSEQ, if the client would not find the right value by itself, which is the greatest that it was told of any message
/// (RFC 7162 section 6). That is too little where messages were expunged, and too much while an expunge may not be told yet.
pub fn highest_modseq(selected: &mut Selected, enabled: Enabled) -> Option<Code> {
    let expunges_told = std::mem::take(&mut selected.expunges_told);
    let too_much = selected.modseq_told.take().is_some_and(|told| told > selected.told_to);
    (enabled.condstore && (expunges_told || too_much)).then_some(Code::HighestModSeq(selected.told_to))
}

/// Says EXISTS again after a FETCH whose answer told of new messages: Thunderbird does not look for them there, and would wait in IDLE for what it
/// was told already.
pub fn tell_again(channel: &mut Channel, selected: &mut Selected) {
    if std::mem::take(&mut selected.overheard) {
        mailbox::exists(&mut channel.out, selected.exists());
    }
}

fn expunges(channel: &mut Channel, selected: &mut Selected, enabled: Enabled) -> Result<(), Refusal> {
    let gone = std::mem::take(&mut selected.gone);
    // RFC 7162 section 3.2.10.2: nothing that the client has not been told of.
    let known: Vec<(Uid, SeqNum)> = gone.iter().filter_map(|uid| Some((uid, selected.number_of(uid)?))).collect();
    if enabled.qresync {
        let uids: UidSet = known.iter().map(|&(uid, _)| uid).collect();
        fetch::vanished(&mut channel.out, Vanished::Now, &uids);
    } else {
        for &(_, number) in known.iter().rev() {
            fetch::expunge(&mut channel.out, number);
            channel.flush_if_full()?;
        }
    }
    selected.expunges_told |= !known.is_empty();
    selected.view.retain(|&uid| !gone.contains(uid));
    selected.saved = selected.saved.difference(&gone);
    Ok(())
}

/// All that the mailbox has beyond the view: also what came while a renamed mailbox was opened anew, which is in no change.
fn arrivals(channel: &mut Channel, selected: &mut Selected, enabled: Enabled) {
    let Selected { view, mailbox, .. } = selected;
    let (before, last) = (view.len(), view.last().copied());
    view.extend(mailbox.uids().iter().rev().take_while(|&uid| last.is_none_or(|last| uid > last)));
    view[before..].reverse();
    if view.len() > before {
        mailbox::exists(&mut channel.out, selected.exists());
    }
    let recent = selected.mailbox.recent().len();
    if recent != selected.recent_told {
        selected.recent_told = recent;
        if !enabled.imap4rev2 {
            mailbox::recent(&mut channel.out, u32::try_from(recent).unwrap_or(u32::MAX));
        }
    }
}

/// What stands in a FETCH response that tells of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Items {
    pub uid: bool,
    pub flags: bool,
    pub modseq: bool,
}

impl Items {
    /// In IMAP4rev2 every FETCH response that was not asked for has the UID (RFC 9051 section 7.5.2). So it has after CONDSTORE where QRESYNC is
    /// known too, and the time of the change (RFC 7162 section 3.2.4).
    pub fn of_news(enabled: Enabled) -> Self {
        Self { uid: enabled.imap4rev2 || enabled.condstore, flags: true, modseq: enabled.condstore }
    }
}

/// `* n FETCH (UID ... FLAGS (...) MODSEQ (...))`, with these flags or else those that the mailbox says; nothing for a message that is not in the view.
pub fn changed(
    channel: &mut Channel,
    selected: &mut Selected,
    uid: Uid,
    flags: Option<&Flags>,
    items: Items,
    enabled: Enabled,
) -> Result<(), Refusal> {
    let Some(number) = selected.number_of(uid) else { return Ok(()) };
    let current;
    let flags = match flags {
        Some(flags) => flags,
        None => match selected.mailbox.flags(uid) {
            Some(flags) => {
                current = flags;
                &current
            }
            None => return Ok(()),
        },
    };
    let recent = !enabled.imap4rev2 && selected.mailbox.recent().contains(uid);
    let modseq = selected.mailbox.modseq(uid).filter(|_| items.modseq);
    selected.modseq_told = selected.modseq_told.max(modseq);
    let out = &mut channel.out;
    fetch::begin(out, number);
    let start = out.len();
    if items.uid {
        fetch::uid(out, uid);
        out.push(b' ');
    }
    if items.flags {
        fetch::flags(out, flags, recent);
        out.push(b' ');
    }
    if let Some(modseq) = modseq {
        fetch::modseq(out, modseq);
    } else if out.len() > start {
        out.pop();
    }
    out.extend_from_slice(b")\r\n");
    Ok(channel.flush_if_full()?)
}

/// FLAGS and PERMANENTFLAGS, if there are keywords that the client has not been told of.
pub fn keywords(out: &mut Vec<u8>, selected: &mut Selected) {
    let known = selected.mailbox.keywords().len();
    if known != selected.keywords_told {
        selected.keywords_told = known;
        mailbox::flags(out, &applicable(&*selected.mailbox));
        permanent_flags(out, selected);
    }
}

/// The flags that FLAGS lists: what messages have, and what they may get.
pub fn applicable(mailbox: &dyn Mailbox) -> Flags {
    let mut flags = Flags::new();
    SystemFlag::ALL.into_iter().for_each(|flag| flags.insert(flag));
    mailbox.keywords().into_iter().for_each(|keyword| flags.insert_keyword(keyword));
    if mailbox.can_create_keywords() {
        WELL_KNOWN.into_iter().filter_map(Keyword::new).for_each(|keyword| flags.insert_keyword(keyword));
    }
    flags
}

/// `* OK [PERMANENTFLAGS (...)]`; none in a mailbox that is open for reading only.
pub fn permanent_flags(out: &mut Vec<u8>, selected: &Selected) {
    let code = if selected.read_only {
        Code::PermanentFlags(Flags::new(), false)
    } else {
        Code::PermanentFlags(applicable(&*selected.mailbox), selected.mailbox.can_create_keywords())
    };
    response::status(out, None, Condition::Ok, Some(&code), "Flags that can be changed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::selected::tests::{selected, set};
    use crate::storage::Changes;
    use crate::transport::Stream;
    use crate::transport::wait::Stop;
    use crate::types::UidSet;
    use std::collections::VecDeque;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn channel() -> (UnixStream, Channel) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, Channel::new(Stream::socket(OwnedFd::from(theirs)).unwrap(), Stop(None)))
    }

    fn said(channel: &mut Channel) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut channel.out)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn expunges_are_told_from_the_last_to_the_first() {
        let (_peer, mut channel) = channel();
        let changes = Changes { expunged: set(&[2, 5, 9]), arrived: set(&[10]), ..Changes::default() };
        let mut selected = selected(&[2, 3, 5, 9], changes);
        selected.save(set(&[3, 5]));
        tell(&mut channel, &mut selected, Enabled::default(), News::All).unwrap();
        assert_eq!(said(&mut channel), ["* 4 EXPUNGE", "* 3 EXPUNGE", "* 1 EXPUNGE", "* 2 EXISTS"]);
        assert_eq!(selected.saved, set(&[3]));
    }

    #[test]
    fn a_client_that_counts_along_is_never_wrong() {
        arbtest::arbtest(|u| {
            let (_peer, mut channel) = channel();
            let mut selected = selected(&[1, 2, 3], Changes::default());
            let qresync = u.arbitrary()?;
            let enabled = Enabled { condstore: qresync, qresync, ..Enabled::default() };
            // What the client believes, and the messages that it will be told of, in their order.
            let mut believed = vec![1, 2, 3];
            let mut coming = VecDeque::new();
            let mut next = 4;
            for _ in 0..u.int_in_range(1..=20)? {
                let arrived: Vec<u32> = (next..next + u.int_in_range(0..=3)?).collect();
                next += 3;
                coming.extend(&arrived);
                let mut expunged = UidSet::new();
                for uid in selected.mailbox.uids().iter() {
                    if u.ratio(1, 4)? {
                        expunged.insert(uid);
                    }
                }
                selected.mailbox =
                    remade(&selected, Changes { arrived: set(&arrived), expunged, ..Changes::default() });
                let news = if u.arbitrary()? { News::All } else { News::NoExpunge };
                tell(&mut channel, &mut selected, enabled, news).unwrap();
                for line in said(&mut channel) {
                    let words: Vec<&str> = line.split(' ').collect();
                    if words[1] == "VANISHED" {
                        assert!(qresync && news == News::All);
                        for range in words[2].split(',') {
                            let (first, last) = range.split_once(':').unwrap_or((range, range));
                            for uid in first.parse().unwrap()..=last.parse().unwrap() {
                                believed.remove(believed.iter().position(|&known| known == uid).unwrap());
                            }
                        }
                        continue;
                    }
                    let number: usize = words[1].parse().unwrap();
                    match words[2] {
                        "EXISTS" => {
                            assert!(number > believed.len(), "EXISTS takes no message away");
                            believed.resize_with(number, || coming.pop_front().unwrap());
                        }
                        "EXPUNGE" => {
                            assert!(!qresync && news == News::All);
                            believed.remove(number - 1);
                        }
                        other => panic!("{other}"),
                    }
                }
                let view: Vec<u32> = selected.messages().map(|(_, uid)| uid.get()).collect();
                assert_eq!(believed, view);
            }
            tell(&mut channel, &mut selected, enabled, News::All).unwrap();
            let view: Vec<Uid> = selected.messages().map(|(_, uid)| uid).collect();
            assert!(view.into_iter().eq(selected.mailbox.uids().iter()));
            Ok(())
        });
    }

    /// The same mailbox, which will tell these changes.
    fn remade(selected: &Selected, next: Changes) -> Box<dyn Mailbox> {
        use crate::session::selected::tests::Fake;
        Box::new(Fake::new(selected.mailbox.uids().clone(), next))
    }
}
