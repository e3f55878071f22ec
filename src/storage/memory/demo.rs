//! A mailbox to try things on.

use super::MemoryServer;
use crate::storage::{MailStore, Result};
use crate::types::{DateTime, Flags, Keyword, MailboxName, SystemFlag};

/// Folders besides INBOX, all subscribed.
const FOLDERS: [&str; 7] = ["Archive", "Archive/2026", "Drafts", "Junk", "Sent", "Trash", "Entwürfe & Notizen"];

struct Sample {
    folder: &'static str,
    octets: &'static [u8],
    flags: &'static [SystemFlag],
    keyword: Option<&'static str>,
    /// INTERNALDATE, in hours after 2026-01-05 09:00 UTC.
    hour: i64,
}

macro_rules! sample {
    ($folder:literal, $file:literal, [$($flag:ident),*], $keyword:expr, $hour:literal) => {
        Sample {
            folder: $folder,
            octets: include_bytes!(concat!("demo/", $file, ".eml")),
            flags: &[$(SystemFlag::$flag),*],
            keyword: $keyword,
            hour: $hour,
        }
    };
}

const SAMPLES: [Sample; 12] = [
    sample!("INBOX", "welcome", [], None, 0),
    sample!("INBOX", "alternative", [Seen, Answered], None, 26),
    sample!("INBOX", "reply", [Seen], Some("$Label1"), 26),
    sample!("INBOX", "attachment", [Seen, Flagged], None, 52),
    sample!("INBOX", "forwarded", [Seen], Some("$Forwarded"), 79),
    sample!("INBOX", "subject", [], None, 93),
    sample!("INBOX", "delivery", [], None, 221),
    sample!("Archive/2026", "list", [Seen], None, 169),
    sample!("Entwürfe & Notizen", "japanese", [Flagged], Some("$Label2"), 123),
    sample!("Drafts", "draft", [Draft, Seen], None, 27),
    sample!("Junk", "related", [], Some("$Junk"), 189),
    sample!("Sent", "sent", [Seen], None, 250),
];

impl MemoryServer {
    /// A server whose user `test` has a few folders with a message of every shape.
    pub fn demo() -> Self {
        let server = Self::new();
        let filled = fill(&mut *server.store("test"));
        debug_assert!(filled.is_ok(), "{filled:?}");
        server
    }
}

fn fill(store: &mut dyn MailStore) -> Result<()> {
    store.subscribe(&MailboxName::inbox())?;
    for folder in FOLDERS.into_iter().flat_map(MailboxName::parse) {
        store.create(&folder, None)?;
        store.subscribe(&folder)?;
    }
    for sample in &SAMPLES {
        let mut flags = Flags::new();
        sample.flags.iter().for_each(|&flag| flags.insert(flag));
        sample.keyword.and_then(Keyword::new).into_iter().for_each(|keyword| flags.insert_keyword(keyword));
        let Ok(folder) = MailboxName::parse(sample.folder) else { continue };
        let mut append = store.append(&folder)?;
        append.begin(&flags, Some(DateTime::utc(1_767_603_600 + sample.hour * 3600)))?;
        append.write(sample.octets)?;
        append.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Access, StatusWanted};
    use crate::types::{SpecialUse, Uid};

    #[test]
    fn the_demonstration_has_its_mail() {
        let mut store = MemoryServer::demo().store("test");
        let listing = store.list().unwrap();
        assert_eq!(listing.len(), FOLDERS.len() + 1);
        assert_eq!(listing.iter().find(|l| l.name.as_str() == "Sent").unwrap().special_use, Some(SpecialUse::Sent));
        let messages: u32 =
            (listing.iter()).map(|l| store.status(&l.name, StatusWanted::default()).unwrap().messages).sum();
        assert_eq!(messages as usize, SAMPLES.len());
        let mut inbox = store.open(&MailboxName::inbox(), Access::ReadOnly).unwrap();
        assert_eq!(inbox.size(Uid::MIN).unwrap(), inbox.read(Uid::MIN).unwrap().stored_size());
    }
}
