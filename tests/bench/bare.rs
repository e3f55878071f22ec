//! What the file system takes for the changes that a row makes, without a server: the same calls on as many files in a directory beside the mail. No
//! server that keeps a message in a file can be faster than these.

use crate::Outcome;
use crate::server::{Mail, Site};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Two directories for the calls, removed when dropped.
struct Bench {
    path: PathBuf,
    one: OwnedFd,
    other: OwnedFd,
}

impl Bench {
    /// The first has files of these names.
    fn new(site: &Site, names: &[String]) -> Outcome<Self> {
        let path = site.maildir().with_file_name("bare");
        let _ = fs::remove_dir_all(&path);
        let at = |name: &str| -> Outcome<OwnedFd> {
            fs::create_dir_all(path.join(name))?;
            Ok(open(&path.join(name), OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
        };
        let (one, other) = (at("one")?, at("other")?);
        for name in names {
            fs::write(path.join("one").join(name), [b'x'; 4096])?;
        }
        nix::unistd::sync();
        Ok(Self { one, other, path })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("17000{number:05}.M{number}P1.host,S=4096,W=4180:2,S")).collect()
}

/// Does something for each of as many files as the work folder has, then syncs.
fn each(site: &Site, mail: &Mail, work: impl Fn(&Bench, &str) -> nix::Result<()>) -> Outcome<f64> {
    let names = names(mail.work.messages);
    let bench = Bench::new(site, &names)?;
    let start = Instant::now();
    for name in &names {
        work(&bench, name)?;
    }
    nix::unistd::fdatasync(&bench.one)?;
    nix::unistd::fdatasync(&bench.other)?;
    Ok(start.elapsed().as_secs_f64())
}

/// A further name in another directory.
pub fn copies(site: &Site, mail: &Mail) -> Outcome<f64> {
    each(site, mail, |bench, name| linkat(&bench.one, name, &bench.other, name, AtFlags::empty()))
}

/// Another directory.
pub fn moves(site: &Site, mail: &Mail) -> Outcome<f64> {
    each(site, mail, |bench, name| renameat(&bench.one, name, &bench.other, name))
}

/// Another name in the same directory.
pub fn renames(site: &Site, mail: &Mail) -> Outcome<f64> {
    each(site, mail, |bench, name| renameat(&bench.one, name, &bench.one, format!("{name}T").as_str()))
}

/// One of the two names that a message of the row has goes.
pub fn removals(site: &Site, mail: &Mail) -> Outcome<f64> {
    let names = names(mail.work.messages);
    let bench = Bench::new(site, &names)?;
    for name in &names {
        linkat(&bench.one, name.as_str(), &bench.other, name.as_str(), AtFlags::empty())?;
    }
    let start = Instant::now();
    for name in &names {
        unlinkat(&bench.other, name.as_str(), UnlinkatFlags::NoRemoveDir)?;
    }
    nix::unistd::fdatasync(&bench.other)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for each of these files, written, synced and renamed one by one, and the directory synced after so many.
pub fn writes(site: &Site, commands: usize, messages: usize, octets: usize) -> Outcome<f64> {
    let names = names(commands * messages);
    let text = vec![b'x'; octets];
    let bench = Bench::new(site, &[])?;
    let start = Instant::now();
    for command in names.chunks(messages) {
        let path = |part: &str, name: &str| Path::new(&bench.path).join(part).join(name);
        for name in command {
            let mut file = File::create_new(path("one", name))?;
            file.write_all(&text)?;
            file.sync_all()?;
        }
        for name in command {
            renameat(AT_FDCWD, &path("one", name), AT_FDCWD, &path("other", name))?;
        }
        nix::unistd::fdatasync(&bench.other)?;
    }
    Ok(start.elapsed().as_secs_f64() / names.len() as f64)
}
