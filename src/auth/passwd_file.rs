//! Authenticator over a file: development, tests, virtual users.
//!
//! A line is `user:{SCHEME}secret:uid:gid:gecos:home`, the fields after the secret optional; empty lines and those that
//! begin with `#` are passed over. Schemes are PLAIN, SHA512-CRYPT (`$6$...`), BLF-CRYPT (`$2y$...`) and ARGON2ID
//! (`$argon2id$...`); without a scheme the secret's beginning tells it, but for PLAIN. Where a process becomes the
//! user, a line without uid stands for the system's account of that name.

use super::apart::{Outcome, apart};
use super::{Account, Accounts, Authenticator, Credentials, Peer, Refusal, UnixAccount};
use super::{are_possible, is_plausible_name, unix_account};
use crate::log::{Level, log};
use sha_crypt::PasswordVerifier as _;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file and what was last read of it. Cheap enough to clone for each connection.
#[derive(Clone)]
pub struct PasswdFile {
    path: PathBuf,
    accounts: Accounts,
    stamp: Stamp,
    entries: HashMap<String, Entry>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

#[derive(Clone)]
struct Entry {
    secret: Stored,
    unix: Option<UnixAccount>,
}

#[derive(Clone)]
enum Stored {
    Plain(Zeroizing<String>),
    Sha512Crypt(String),
    Bcrypt(String),
    Argon2id(String),
}

impl PasswdFile {
    /// Reads the file. The error is one line for the administrator.
    pub fn load(path: &Path, accounts: Accounts) -> Result<Self, String> {
        let (stamp, entries) = read(path)?;
        Ok(Self { path: path.to_owned(), accounts, stamp, entries })
    }

    /// Reads the file again if it has changed. What was last read stays while it cannot be read or has a line that
    /// makes no sense, as a file that is just being written may.
    fn refresh(&mut self) {
        let now = std::fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata));
        if now.is_ok_and(|now| now == self.stamp) {
            return;
        }
        match read(&self.path) {
            Ok((stamp, entries)) => (self.stamp, self.entries) = (stamp, entries),
            Err(error) => log!(Level::Error, "{error}; what it said before still holds"),
        }
    }

    fn check(&self, credentials: &Credentials) -> Result<Account, Refusal> {
        let entry = self.entries.get(&credentials.user);
        // Somebody's secret is checked for an unknown user too, so that it costs the same.
        let Some(secret) = entry.or_else(|| self.entries.values().next()).map(|entry| &entry.secret) else {
            return Err(Refusal::Failed);
        };
        let right = are_possible(credentials) && secret.is(credentials.password.expose());
        let (Some(entry), true) = (entry, right) else { return Err(Refusal::Failed) };
        let name = credentials.user.clone();
        match (self.accounts, &entry.unix) {
            (Accounts::Any, _) => Ok(Account { name, unix: None }),
            (accounts, Some(unix)) if accounts.allow(unix.uid) => Ok(Account { name, unix: Some(unix.clone()) }),
            (_, Some(_)) => Err(Refusal::Failed),
            (accounts, None) => {
                let unix = unix_account(&name, accounts)?.ok_or(Refusal::Failed)?;
                Ok(Account { name, unix: Some(unix) })
            }
        }
    }
}

impl Authenticator for PasswdFile {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        self.refresh();
        self.check(credentials)
    }
}

/// The same file, read anew for each check in a process of its own, so that no secret of its users is in any other.
#[derive(Clone)]
pub struct PasswdFileApart {
    path: PathBuf,
    accounts: Accounts,
}

impl PasswdFileApart {
    /// Reads the file. The error is one line for the administrator.
    pub fn load(path: &Path, accounts: Accounts) -> Result<Self, String> {
        let this = Self { path: path.to_owned(), accounts };
        // Nobody is looked for: only that it can be read is asked.
        let _ = this.ask(|_| Err(Refusal::Failed))?;
        Ok(this)
    }

    fn check(&self, credentials: &Credentials) -> Result<Account, Refusal> {
        match self.ask(|file| file.check(credentials)) {
            Ok(found) => found.map(|unix| Account { name: credentials.user.clone(), unix }),
            Err(why) => {
                log!(Level::Error, "{why}");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// What is found in the file, in a process of its own. The error is one line for the administrator.
    fn ask(
        &self,
        find: impl FnOnce(&PasswdFile) -> Result<Account, Refusal>,
    ) -> Result<Result<Option<UnixAccount>, Refusal>, String> {
        let failed = || format!("cannot read the password file {} in a process of its own", self.path.display());
        let outcome = apart(|| Reply::to(&PasswdFile::load(&self.path, self.accounts).map(|file| find(&file))));
        match outcome.map_err(|error| format!("{}: {error}", failed()))? {
            Outcome::Answer(octets) => match Reply::read(&octets).ok_or_else(failed)? {
                Reply::Is(unix) => Ok(Ok(unix)),
                Reply::IsNot(refusal) => Ok(Err(refusal)),
                Reply::Unreadable(why) => Err(why),
            },
            Outcome::Late | Outcome::Nothing => Err(failed()),
        }
    }
}

impl Authenticator for PasswdFileApart {
    fn authenticate(&mut self, credentials: &Credentials, _peer: &Peer) -> Result<Account, Refusal> {
        self.check(credentials)
    }
}

/// What a process says that has read the file.
#[derive(PartialEq, Eq, Debug)]
enum Reply {
    /// The password is this account's.
    Is(Option<UnixAccount>),
    IsNot(Refusal),
    /// The file cannot be used, and why.
    Unreadable(String),
}

impl Reply {
    /// An octet, and what belongs to it: uid, gid and home, or the text.
    fn to(result: &Result<Result<Account, Refusal>, String>) -> Zeroizing<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        Zeroizing::new(match result {
            Ok(Ok(Account { unix: None, .. })) => b"y".to_vec(),
            Ok(Ok(Account { unix: Some(unix), .. })) => {
                let (uid, gid) = (unix.uid.to_be_bytes(), unix.gid.to_be_bytes());
                [b"a", &uid[..], &gid, unix.home.as_os_str().as_bytes()].concat()
            }
            Ok(Err(Refusal::Failed)) => b"n".to_vec(),
            Ok(Err(Refusal::Expired)) => b"x".to_vec(),
            Ok(Err(Refusal::Unavailable)) => b"u".to_vec(),
            Err(why) => [b"e", why.as_bytes()].concat(),
        })
    }

    fn read(octets: &[u8]) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;
        let (&kind, rest) = octets.split_first()?;
        Some(match kind {
            b'y' => Self::Is(None),
            b'a' => {
                let (uid, rest) = rest.split_first_chunk()?;
                let (gid, home) = rest.split_first_chunk()?;
                let home = std::ffi::OsStr::from_bytes(home).into();
                Self::Is(Some(UnixAccount { uid: u32::from_be_bytes(*uid), gid: u32::from_be_bytes(*gid), home }))
            }
            b'n' => Self::IsNot(Refusal::Failed),
            b'x' => Self::IsNot(Refusal::Expired),
            b'u' => Self::IsNot(Refusal::Unavailable),
            b'e' => Self::Unreadable(String::from_utf8_lossy(rest).into_owned()),
            _ => return None,
        })
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self { inode: metadata.ino(), size: metadata.size(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

fn read(path: &Path) -> Result<(Stamp, HashMap<String, Entry>), String> {
    let failed = |error: io::Error| format!("cannot read the password file {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o002 != 0 {
        return Err(format!("anybody may write to the password file {}", path.display()));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    let mut entries = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, entry) =
            entry(line).map_err(|why| format!("password file {} line {}: {why}", path.display(), number + 1))?;
        if entries.insert(name.to_owned(), entry).is_some() {
            return Err(format!("password file {} line {}: a user twice", path.display(), number + 1));
        }
    }
    Ok((Stamp::of(&metadata), entries))
}

/// One line. What is wrong with it is said without showing any of it.
fn entry(line: &str) -> Result<(&str, Entry), &'static str> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_plausible_name(name)).ok_or("this is not the name of a user")?;
    let secret = fields.next().ok_or("expected a secret after the user")?;
    let secret = match secret.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((scheme, secret)) => Stored::new(scheme, secret)?,
        None if secret.starts_with("$6$") => Stored::new("SHA512-CRYPT", secret)?,
        None if secret.starts_with("$2") => Stored::new("BLF-CRYPT", secret)?,
        None if secret.starts_with("$argon2id$") => Stored::new("ARGON2ID", secret)?,
        None => return Err("expected {SCHEME} before the secret"),
    };
    let mut number = |what| match fields.next() {
        None | Some("") => Ok(None),
        Some(digits) => digits.parse::<u32>().map(Some).map_err(|_| what),
    };
    let uid = number("the uid is not a number")?;
    let gid = number("the gid is not a number")?;
    let home = fields.nth(1).filter(|home| !home.is_empty());
    let unix = match (uid, gid, home) {
        (Some(uid), Some(gid), home) => Some(UnixAccount { uid, gid, home: home.unwrap_or("/nonexistent").into() }),
        (None, None, None) => None,
        _ => return Err("uid and gid belong together, and a home to them"),
    };
    Ok((name, Entry { secret, unix }))
}

impl Stored {
    fn new(scheme: &str, secret: &str) -> Result<Self, &'static str> {
        let hashed = |prefix: &str| {
            if secret.starts_with(prefix) { Ok(secret.to_owned()) } else { Err("the secret does not fit its scheme") }
        };
        match scheme {
            "PLAIN" if secret.is_empty() => Err("the secret is empty"),
            "PLAIN" => Ok(Stored::Plain(Zeroizing::new(secret.to_owned()))),
            "SHA512-CRYPT" => hashed("$6$").map(Stored::Sha512Crypt),
            "BLF-CRYPT" => hashed("$2").map(Stored::Bcrypt),
            "ARGON2ID" => hashed("$argon2id$").map(Stored::Argon2id),
            _ => Err("the scheme is none of PLAIN, SHA512-CRYPT, BLF-CRYPT, ARGON2ID"),
        }
    }

    fn is(&self, password: &[u8]) -> bool {
        match self {
            Stored::Plain(secret) => is_equal(secret.as_bytes(), password),
            Stored::Sha512Crypt(hash) => sha_crypt::ShaCrypt::SHA512.verify_password(password, hash.as_str()).is_ok(),
            Stored::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Stored::Argon2id(hash) => argon2::Argon2::default().verify_password(password, hash.as_str()).is_ok(),
        }
    }
}

/// In a time that does not tell how much of it is right.
fn is_equal(secret: &[u8], given: &[u8]) -> bool {
    let differences = secret.iter().zip(given).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    secret.len() == given.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn check(file: &PasswdFile, user: &str, password: &str) -> Result<Account, Refusal> {
        file.check(&Credentials { user: user.to_owned(), password: Secret::new(password.as_bytes().to_vec()) })
    }

    /// By `openssl passwd -6`, crypt(3) and argon2's own test vectors.
    const HASHED: &str = "\
sha:{SHA512-CRYPT}$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/
blf:{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm
arg:{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4
plain:{PLAIN}password
";

    /// A difference counts wherever it is, also beside others that might cancel it: so all octets are looked at. That none is skipped is for the source to show.
    #[test]
    fn secrets_are_compared_to_their_last_octet() {
        let secret = b"correct horse";
        assert!(is_equal(secret, secret) && is_equal(b"", b""));
        for at in 0..secret.len() {
            for bit in 0..8 {
                let mut given = *secret;
                given[at] ^= 1 << bit;
                assert!(!is_equal(secret, &given), "{at}");
                given[(at + 1) % secret.len()] ^= 1 << bit;
                assert!(!is_equal(secret, &given), "{at} and the next");
            }
            assert!(!is_equal(secret, &secret[..at]) && !is_equal(&secret[..at], secret), "{at}");
        }
    }

    #[test]
    fn each_scheme_knows_its_password() {
        let text = file(HASHED);
        let file = PasswdFile::load(text.path(), Accounts::Any).unwrap();
        for user in ["sha", "blf", "arg", "plain"] {
            assert_eq!(check(&file, user, "password"), Ok(Account { name: user.to_owned(), unix: None }), "{user}");
            assert_eq!(check(&file, user, "passwor"), Err(Refusal::Failed), "{user}");
            assert_eq!(check(&file, user, "password2"), Err(Refusal::Failed), "{user}");
        }
        assert_eq!(check(&file, "nobody-here", "password"), Err(Refusal::Failed));
    }

    #[test]
    fn a_hash_tells_its_scheme() {
        let text = file(
            &HASHED
                .lines()
                .map(|line| {
                    line.replace("{SHA512-CRYPT}", "").replace("{BLF-CRYPT}", "").replace("{ARGON2ID}", "") + "\n"
                })
                .collect::<String>(),
        );
        let file = PasswdFile::load(text.path(), Accounts::Any).unwrap();
        for user in ["sha", "blf", "arg"] {
            assert!(check(&file, user, "password").is_ok(), "{user}");
        }
    }

    #[test]
    fn fields_after_the_secret_make_an_account() {
        let text =
            file("# virtual\n\nal:{PLAIN}x:5000:5001:Al:/srv/al\nroot:{PLAIN}x:0:0::/root\nlow:{PLAIN}x:99:99\n");
        let file = PasswdFile::load(text.path(), Accounts::Unix { min_uid: 1000 }).unwrap();
        let account = check(&file, "al", "x").unwrap();
        assert_eq!(account.unix, Some(UnixAccount { uid: 5000, gid: 5001, home: "/srv/al".into() }));
        assert_eq!(check(&file, "root", "x"), Err(Refusal::Failed));
        assert_eq!(check(&file, "low", "x"), Err(Refusal::Failed));
    }

    #[test]
    fn line_ends_of_windows_are_line_ends_and_its_mark_at_the_start_is_refused() {
        let text = file("al:{PLAIN}x\r\n\r\n# y\r\nbo:{PLAIN}z:5000:5001::/srv/bo\r\n");
        let read = PasswdFile::load(text.path(), Accounts::Unix { min_uid: 1000 }).unwrap();
        assert_eq!(check(&read, "bo", "z").unwrap().unix.unwrap().home, Path::new("/srv/bo"));
        let read = PasswdFile::load(text.path(), Accounts::Any).unwrap();
        assert!(check(&read, "al", "x").is_ok());
        let error = PasswdFile::load(file("\u{feff}al:{PLAIN}x\n").path(), Accounts::Any).err().unwrap();
        assert!(error.ends_with("line 1: this is not the name of a user"), "{error}");
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_without_its_secret() {
        for line in
            ["al", "al:hunter2", "al:{MD5}hunter2", "../al:{PLAIN}hunter2", "al:{PLAIN}hunter2:x", "al:{PLAIN}:1:1"]
        {
            let text = file(&format!("ok:{{PLAIN}}x\n{line}\n"));
            let error = PasswdFile::load(text.path(), Accounts::Any).err().unwrap();
            assert!(error.contains(" line 2: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_read_in_another_process_says_the_same() {
        let mut text = file("al:{PLAIN}x:5000:5001:Al:/srv/al\n");
        let accounts = Accounts::Unix { min_uid: 1000 };
        let apart = PasswdFileApart::load(text.path(), accounts).unwrap();
        let check = |user: &str, password: &[u8]| {
            apart.check(&Credentials { user: user.to_owned(), password: Secret::new(password.to_vec()) })
        };
        let unix = UnixAccount { uid: 5000, gid: 5001, home: "/srv/al".into() };
        assert_eq!(check("al", b"x"), Ok(Account { name: "al".to_owned(), unix: Some(unix) }));
        assert_eq!(check("al", b"y"), Err(Refusal::Failed));
        assert_eq!(check("bo", b"z"), Err(Refusal::Failed));
        text.write_all(b"bo:{PLAIN}z:5002:5001::/srv/bo\n").unwrap();
        assert!(check("bo", b"z").is_ok());
        text.write_all(b"ca:{PL").unwrap();
        assert_eq!(check("bo", b"z"), Err(Refusal::Unavailable));
        let error = PasswdFileApart::load(text.path(), accounts).err().unwrap();
        assert!(error.contains(" line 3: "), "{error}");
        for result in [Ok(Err(Refusal::Expired)), Ok(Err(Refusal::Unavailable)), Err("why".to_owned())] {
            assert!(Reply::read(&Reply::to(&result)).is_some(), "{result:?}");
        }
        for octets in [&b""[..], b"a", b"a\0\0\0\x01", b"z"] {
            assert_eq!(Reply::read(octets), None);
        }
    }

    #[test]
    fn a_change_is_seen_and_a_damaged_file_changes_nothing() {
        let mut text = file("al:{PLAIN}one\n");
        let mut file = PasswdFile::load(text.path(), Accounts::Any).unwrap();
        text.write_all(b"bo:{PLAIN}two\n").unwrap();
        file.refresh();
        assert!(check(&file, "bo", "two").is_ok());
        text.write_all(b"ca:{PL").unwrap();
        file.refresh();
        assert!(check(&file, "bo", "two").is_ok());
    }
}
