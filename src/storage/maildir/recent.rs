//! Which messages no session was told of yet (`\Recent`): `imapd-recent` in the folder. File names cannot say it of a message that has flags.
//!
//! ```abnf
//! file = uidvalidity SP uid LF    ; ten digits each; messages from this UID on are untold
//! ```
//!
//! It is written in place and not synced: when it is lost or torn, a message is recent if it lies in `new`.

use super::file_name::decimal;
use crate::sys::file::Dir;
use crate::types::UidValidity;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

pub const FILE: &[u8] = b"imapd-recent";
const LENGTH: usize = 22;

/// The first UID that no session was told of, if that is known.
pub fn first_untold(dir: &Dir, uid_validity: UidValidity) -> Option<u32> {
    read(dir).filter(|(of, _)| *of == uid_validity.get()).map(|(_, first)| first)
}

/// UIDVALIDITY and UID, if there is a file that says them.
pub fn read(dir: &Dir) -> Option<(u32, u32)> {
    let mut text = Vec::new();
    dir.open_file(FILE).ok()?.take(LENGTH as u64 + 1).read_to_end(&mut text).ok()?;
    let mut fields = text.strip_suffix(b"\n").filter(|t| t.len() == LENGTH - 1)?.split(|&b| b == b' ');
    let mut number = || u32::try_from(decimal(fields.next()?)?).ok();
    Some((number()?, number()?))
}

/// Under the folder's lock.
pub fn write(dir: &Dir, mode: u32, uid_validity: UidValidity, first_untold: u32) -> io::Result<()> {
    let file = match dir.open_update(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.create_over(FILE, mode)?,
        other => other?,
    };
    file.write_all_at(format!("{:010} {first_untold:010}\n", uid_validity.get()).as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_for_the_same_uidvalidity_only() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let (one, other) = (UidValidity::new(u32::MAX).unwrap(), UidValidity::new(1).unwrap());
        assert_eq!(first_untold(&dir, one), None);
        write(&dir, 0o600, one, u32::MAX).unwrap();
        assert_eq!((first_untold(&dir, one), first_untold(&dir, other)), (Some(u32::MAX), None));
        write(&dir, 0o600, other, 7).unwrap();
        assert_eq!(first_untold(&dir, other), Some(7));
        for damaged in ["", "1 7\n", "0000000001 0000000007", "0000000001 00000x0007\n", "0000000001 0000000007\nmore"]
        {
            std::fs::write(place.path().join("imapd-recent"), damaged).unwrap();
            assert_eq!(first_untold(&dir, other), None, "{damaged}");
        }
    }
}
