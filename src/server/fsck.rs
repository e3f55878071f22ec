//! `--fsck`: check a Maildir as its owner, whom root becomes before it looks at anything in it.

use super::privilege;
use crate::auth::{Account, UnixAccount};
use crate::storage::StoreError;
use crate::storage::maildir::fsck::{Finding, FsckOptions, Mending, Summary, fsck, printable};
use crate::sys::{credentials, user};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// Checks the Maildir `directory`, and mends what can be mended if `repair` says so. Gives `say` a line for each finding, and one for what was looked at.
/// Says whether all is well now. The error is one line for the administrator.
pub fn run(directory: &Path, repair: bool, say: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let shown = directory.display();
    let cannot = |error: &dyn std::fmt::Display| format!("cannot check {shown}: {error}");
    // By its path alone: whatever a link leads to is looked at by the owner only.
    let owner = std::fs::symlink_metadata(directory).map_err(|error| cannot(&error))?;
    if owner.is_symlink() {
        return Err(format!("{shown} is a symbolic link: name the directory itself"));
    }
    if !owner.is_dir() {
        return Err(format!("{shown} is no directory"));
    }
    if credentials::is_root() {
        become_owner(directory, &owner)?;
        let now = std::fs::symlink_metadata(directory).map_err(|error| cannot(&error))?;
        if (now.dev(), now.ino(), now.uid()) != (owner.dev(), owner.ino(), owner.uid()) {
            return Err(format!("{shown} was replaced while it was looked at"));
        }
    } else if owner.uid() != credentials::effective_uid() {
        return Err(format!("{shown} belongs to somebody else: run this as its owner, or as root"));
    }
    let options = FsckOptions { root: directory.to_owned(), repair, now: SystemTime::now() };
    let summary = fsck(&options, &mut |finding| say(&line(finding))).map_err(|error| match error {
        StoreError::NoSuchMailbox => format!("{shown} is no Maildir"),
        error => cannot(&error),
    })?;
    say(&outcome(&summary));
    Ok(summary.findings == summary.mended)
}

/// Root follows nobody's files.
fn become_owner(directory: &Path, owner: &std::fs::Metadata) -> Result<(), String> {
    let shown = directory.display();
    if owner.uid() == 0 {
        return Err(format!("{shown} belongs to root, who has no mail"));
    }
    let account = user::by_uid(owner.uid()).map_err(|error| format!("cannot look up accounts: {error}"))?;
    let Some(account) = account else {
        return Err(format!("{shown} belongs to uid {}, which is no account: run this as that user", owner.uid()));
    };
    let unix = UnixAccount { uid: account.uid, gid: account.gid, home: account.home };
    privilege::become_user(&Account { name: account.name, unix: Some(unix) })
        .map_err(|error| format!("cannot become the owner of {shown}: {error}"))
}

/// `path: what`, and what became of it.
fn line(finding: &Finding) -> String {
    let path = printable(finding.path.as_os_str().as_bytes());
    match &finding.mending {
        Mending::NotTried => format!("{path}: {}", finding.what),
        Mending::Done(how) => format!("{path}: {}; mended: {how}", finding.what),
        Mending::Failed(why) => format!("{path}: {}; not mended: {why}", finding.what),
    }
}

fn outcome(summary: &Summary) -> String {
    let Summary { mailboxes, messages, without_uid, dead_lines, findings, mended } = summary;
    format!(
        "{mailboxes} mailboxes, {messages} messages ({without_uid} without a UID yet), {dead_lines} lines of messages that are gone; \
         {findings} findings, {mended} mended"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_the_name() {
        let finding = |path: &str, mending| Finding { path: path.into(), what: "odd".to_owned(), mending };
        assert_eq!(line(&finding("M/.Entwürfe", Mending::NotTried)), "M/.Entwürfe: odd");
        assert_eq!(line(&finding("a\nb\x1b", Mending::Done("so".into()))), "a\\nb\\x1b: odd; mended: so");
        assert_eq!(line(&finding("a", Mending::Failed("no".into()))), "a: odd; not mended: no");
    }

    #[test]
    fn what_is_no_maildir_or_anothers_is_refused() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(".", place.path().join("link")).unwrap();
        for name in ["missing", "file", "link"] {
            assert!(run(&place.path().join(name), true, &mut |line| panic!("{line}")).is_err(), "{name}");
        }
        if credentials::is_root() {
            // Never as root.
            assert!(run(place.path(), true, &mut |line| panic!("{line}")).unwrap_err().contains("belongs to root"));
        }
    }
}
