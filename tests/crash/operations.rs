//! What a server is doing when it is killed or its disk fails: one entry per case, each from the mail it begins with to what it tells the server.

use crate::site::{Site, message};
use std::fs;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Clone)]
pub struct Operation {
    pub name: &'static str,
    /// Puts the mail there. What was told while it did so is known to the client.
    prepare: fn(&Site),
    /// Whether some client has seen that mail before.
    pub seen: bool,
    /// Said by the session before.
    pub setup: &'static [&'static str],
    /// Done by others then, before the operation.
    pub meanwhile: fn(&Site),
    /// The operation.
    pub commands: Vec<String>,
    /// The mailbox that is selected by then.
    pub selected: Option<&'static str>,
    /// The messages that it gives to APPEND.
    pub appended: Vec<String>,
}

impl Operation {
    fn new(name: &'static str, setup: &'static [&'static str], commands: &[&str]) -> Self {
        Self {
            name,
            prepare: office,
            seen: true,
            setup,
            meanwhile: |_| {},
            commands: commands.iter().map(|&command| command.to_owned()).collect(),
            selected: setup.iter().find_map(|command| command.strip_prefix("SELECT ")),
            appended: Vec::new(),
        }
    }

    /// Each message with the arguments that stand before it.
    fn append(name: &'static str, mailbox: &str, messages: &[&str]) -> Self {
        let (mut command, mut appended) = (format!("APPEND {mailbox}"), Vec::new());
        for (number, arguments) in messages.iter().enumerate() {
            let id = format!("appended{number}");
            let text = message(&id);
            command.push_str(&format!(" {arguments}{{{}+}}\r\n{text}", text.len()));
            appended.push(id);
        }
        Self { appended, ..Self::new(name, &["STATUS INBOX (MESSAGES)", "STATUS Archive (MESSAGES)"], &[&command]) }
    }

    fn after(self, prepare: fn(&Site)) -> Self {
        Self { prepare, ..self }
    }

    fn meanwhile(self, meanwhile: fn(&Site)) -> Self {
        Self { meanwhile, ..self }
    }

    pub fn site(&self) -> Site {
        let site = Site::new();
        (self.prepare)(&site);
        site
    }
}

/// What a user may have: INBOX, where two messages have no flags, two have keywords and two are deleted; others.
fn office(site: &Site) {
    // Long ago: a mailbox whose UIDVALIDITY must be made from the clock has one of its own.
    fs::write(site.root.join("dovecot-uidvalidity"), "60000000").unwrap();
    fs::write(site.root.join("dovecot-uidvalidity.60000000"), "").unwrap();
    let mut client = site.connect();
    for name in ["Archive", "Work", "Work/a", "Work/b", "Full"] {
        client.ok(&format!("CREATE {name}"));
    }
    let mut append = |mailbox: &str, id: &str, flags: &str| {
        client.append(mailbox, &format!(" ({flags}) \"01-Feb-2024 10:00:00 +0000\""), message(id).as_bytes());
    };
    for (id, flags) in [
        ("i1", ""),
        ("i2", ""),
        ("i3", "\\Seen first second"),
        ("i4", "\\Flagged second third"),
        ("i5", "\\Deleted \\Seen"),
        ("i6", "\\Deleted first"),
    ] {
        append("INBOX", id, flags);
    }
    for (id, flags) in [("a1", "other second"), ("a2", ""), ("a3", "\\Seen")] {
        append("Archive", id, flags);
    }
    for name in ["Work", "Work/a", "Work/b"] {
        append(name, &format!("of-{name}"), "\\Seen own");
    }
    let letters: Vec<String> = (0..26).map(|number| format!("letter{number}")).collect();
    append("Full", "f1", &letters.join(" "));
    append("Full", "f2", "\\Seen letter3");
    client.ok("SUBSCRIBE Work");
    client.ok("SUBSCRIBE INBOX");
    client.ok("LOGOUT");
}

fn office_with_27_keywords(site: &Site) {
    office(site);
    let mut client = site.connect();
    client.ok("SELECT Full");
    client.ok("STORE 1:2 +FLAGS (letter26)");
    client.ok("LOGOUT");
}

fn deliveries(site: &Site, mailbox: &str) {
    for number in 1..=3 {
        site.deliver(mailbox, &format!("170000000{number}.M{number}P1.test"), &format!("new{number}"));
    }
}

/// Mail that was never served: some of it as other programs left it.
fn unseen(site: &Site) {
    deliveries(site, "INBOX");
    for (name, id) in
        [("1600000001.M1P2.test:2,", "c1"), ("1600000002.M1P2.test:2,FS", "c2"), ("1600000003.M1P2.test:2,Sa", "c3")]
    {
        fs::write(site.root.join("cur").join(name), message(id)).unwrap();
    }
    fs::write(site.root.join("dovecot-keywords"), "0 theirs\n").unwrap();
}

/// The list as Dovecot would write it after an expunge and a delivery.
fn rewritten_list(site: &Site) {
    deliveries(site, "INBOX");
    fs::rename(site.root.join("new/1700000001.M1P1.test"), site.root.join("cur/1700000001.M1P1.test:2,S")).unwrap();
    let list = fs::read_to_string(site.root.join("dovecot-uidlist")).unwrap();
    let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
    let gone = file_of(&site.root, "i2");
    fs::remove_file(&gone).unwrap();
    let base = gone.file_name().unwrap().to_str().unwrap().split(':').next().unwrap();
    lines.retain(|line| !line.ends_with(base));
    let header: Vec<String> = (lines[0].split(' '))
        .map(|field| if field.starts_with('N') { "N21".to_owned() } else { field.to_owned() })
        .collect();
    lines[0] = header.join(" ");
    lines.push("20 :1700000001.M1P1.test".into());
    fs::write(site.root.join("dovecot-uidlist.tmp"), lines.join("\n") + "\n").unwrap();
    fs::rename(site.root.join("dovecot-uidlist.tmp"), site.root.join("dovecot-uidlist")).unwrap();
}

/// Where a message lies.
fn file_of(folder: &Path, id: &str) -> PathBuf {
    let entries = ["new", "cur"].iter().flat_map(|part| fs::read_dir(folder.join(part)).unwrap());
    let is = |path: &PathBuf| fs::read_to_string(path).unwrap().starts_with(&format!("X-Id: {id}"));
    entries.map(|entry| entry.unwrap().path()).find(is).unwrap()
}

/// A list whose last line somebody did not finish.
fn torn_list(site: &Site) {
    deliveries(site, "INBOX");
    let mut list = fs::read(site.root.join("dovecot-uidlist")).unwrap();
    list.extend(b"99 :170000");
    fs::write(site.root.join("dovecot-uidlist"), list).unwrap();
}

/// As a mail reader on the same machine leaves it: flags changed, messages removed, no lock.
fn foreign_changes(site: &Site) {
    fs::remove_file(file_of(&site.root, "i3")).unwrap();
    let marked = file_of(&site.root, "i4");
    fs::rename(&marked, format!("{}:2,FR", marked.to_str().unwrap().split(':').next().unwrap())).unwrap();
    deliveries(site, "INBOX");
}

/// All of them.
pub fn all() -> Vec<Operation> {
    let inbox = &["SELECT INBOX", "STATUS Archive (MESSAGES)", "STATUS Full (MESSAGES)"][..];
    let new = Operation::new;
    let append = Operation::append;
    vec![
        append("append", "INBOX", &[""]),
        append("append_with_keywords", "Archive", &["(\\Seen \\Flagged second fresh1 fresh2) "]),
        append("append_with_a_27th_keyword", "Full", &["(letter1 letter26) "]),
        append("append_three", "INBOX", &["(\\Seen) ", "", "(first fresh) "]),
        append("append_to_a_torn_list", "INBOX", &["(\\Seen) "]).meanwhile(torn_list),
        new("copy_into_new", inbox, &["COPY 1:2 Archive"]),
        new("copy_into_cur", inbox, &["COPY 3:5 Archive"]),
        new("copy_within", inbox, &["COPY 1:4 INBOX"]),
        new("copy_with_a_27th_keyword", inbox, &["COPY 3:4 Full"]),
        new("move_into_new", inbox, &["MOVE 1:2 Archive"]),
        new("move_into_cur", inbox, &["MOVE 3:5 Archive"]),
        new("move_within", inbox, &["MOVE 1:4 INBOX"]),
        new("move_with_a_27th_keyword", inbox, &["MOVE 3:4 Full"]),
        new("move_from_27_keywords", &["SELECT Full"], &["MOVE 1:2 Archive"]).after(office_with_27_keywords),
        new("store_added", inbox, &["STORE 1:4 +FLAGS (\\Flagged \\Answered)"]),
        new("store_a_new_keyword", inbox, &["STORE 1:3 +FLAGS (fresh)"]),
        new("store_a_27th_keyword", &["SELECT Full"], &["STORE 1:2 +FLAGS (\\Flagged letter26)"]),
        new("store_removed", inbox, &["STORE 3:5 -FLAGS (\\Seen second)"]),
        new("store_replaced", inbox, &["STORE 1:6 FLAGS (\\Answered first other)"]),
        new("fetch_that_marks_as_seen", inbox, &["FETCH 1:2 BODY[]"]),
        new("expunge", inbox, &["EXPUNGE"]),
        new("uid_expunge", inbox, &["UID EXPUNGE 5"]),
        new("close", inbox, &["CLOSE"]),
        new("rename", &[], &["RENAME Work Jobs"]),
        new("rename_one_below", &[], &["RENAME Work/b Else/where"]),
        new("rename_inbox", &["STATUS INBOX (MESSAGES)"], &["RENAME INBOX Old"]),
        new("create", &[], &["CREATE Fresh/below"]),
        new("create_for_a_special_use", &[], &["CREATE Fresh (USE (\\Sent))"]),
        new("delete", &["STATUS Archive (MESSAGES)"], &["DELETE Archive"]),
        new("subscribe", &[], &["SUBSCRIBE Archive"]),
        new("unsubscribe", &[], &["UNSUBSCRIBE Work"]),
        new("select_after_deliveries", &["STATUS INBOX (MESSAGES)"], &["SELECT INBOX"])
            .meanwhile(|s| deliveries(s, "INBOX")),
        new("noop_after_deliveries", inbox, &["NOOP"]).meanwhile(|site| deliveries(site, "INBOX")),
        new("noop_after_foreign_changes", inbox, &["NOOP"]).meanwhile(foreign_changes),
        new("status_after_deliveries", &["STATUS Archive (MESSAGES)"], &["STATUS Archive (MESSAGES UIDNEXT UNSEEN)"])
            .meanwhile(|site| deliveries(site, "Archive")),
        Operation { seen: false, ..new("first_select", &[], &["SELECT INBOX"]).after(unseen) },
        new("select_after_a_foreign_rewrite", &["STATUS INBOX (MESSAGES)"], &["SELECT INBOX"])
            .meanwhile(rewritten_list),
        new("select_of_a_torn_list", &["STATUS INBOX (MESSAGES)"], &["SELECT INBOX"]).meanwhile(torn_list),
    ]
}

/// The one of this name.
pub fn named(name: &str) -> Operation {
    all().into_iter().find(|operation| operation.name == name).unwrap()
}
