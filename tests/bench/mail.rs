//! The mail that both servers are given: made up, but with sizes, structures, charsets, threads and file names as they are found in a
//! mailbox of years. The same number always makes the same message.

use crate::{Outcome, go_on};
use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::{chown, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// In one subject of a hundred or so.
pub const SUBJECT_WORD: &str = "turbine";
/// One of the correspondents.
pub const SENDER: &str = "miriam";
/// In the plain text of one message of some hundreds.
pub const RARE_WORD: &str = "zanzibar";

/// Changed only when the mail is to be other mail.
const SEED: u64 = 0x1a2b_3c4d_5e6f_7081;
/// The first message's time, 1 January 2024, and the seconds from each to the next.
const FIRST: u64 = 1_704_067_200;
const STEP: u64 = 600;
const HOST: &str = "mx.example.org";

const WORDS: &[&str] = &[
    "the", "of", "and", "to", "we", "in", "that", "is", "for", "on", "with", "please", "you", "as", "have", "meeting",
    "report", "about", "which", "project", "will", "from", "invoice", "attached", "next", "week", "order", "can",
    "budget", "draft", "question", "thanks", "network", "server", "plan", "review", "still", "before", "after",
    "contract", "customer", "delivery", "travel", "schedule", "update", "release", "kitchen", "train", "summer",
    "archive", "library", "letter", "figures", "harbour", "quarter", "board", "minutes", "shift",
];
const LOCAL: &[&str] = &[
    "für",
    "größer",
    "schöne",
    "Grüße",
    "été",
    "déjà",
    "naïve",
    "señor",
    "mañana",
    "Übung",
    "façade",
    "où",
    "plötzlich",
    "öffnen",
];
const NAMES: &[&str] = &[
    SENDER, "anna", "boris", "chen", "dagmar", "emre", "fatima", "gustav", "helene", "ivan", "jamila", "kenji",
    "lucia", "marek", "nadia", "oskar", "paula", "quentin", "rosa", "stefan", "tamar", "ulrich", "vera", "walter",
    "xenia", "yusuf", "zofia",
];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A small generator of numbers (splitmix64), so that the mail depends on no crate's version.
struct Random(u64);

impl Random {
    fn of(number: u64, purpose: u64) -> Self {
        Self(SEED ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of_hundred(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    /// Between the two, small values as often as large ones by their order of magnitude.
    fn spread(&mut self, least: f64, most: f64) -> usize {
        let fraction = self.below(1 << 20) as f64 / (1 << 20) as f64;
        (least * (most / least).powf(fraction)) as usize
    }
}

/// How large the messages are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// As in life: mostly some kilobytes, attachments up to some hundred, about 10 KB on average.
    Realistic,
    /// At most two kilobytes or so: for a million of them.
    Small,
    /// Plain text of this size, in octets as IMAP counts them.
    Plain(usize),
}

/// What is written, and what that is for IMAP.
pub struct Made {
    pub messages: usize,
    /// The sum of RFC822.SIZE.
    pub octets: u64,
}

/// When this message came, in seconds since 1970.
pub fn time(number: usize) -> u64 {
    FIRST + number as u64 * STEP
}

/// `1-Feb-2026` of a time.
pub fn imap_date(time: u64) -> String {
    let (year, month, day) = civil(time);
    format!("{day}-{}-{year}", MONTHS[month - 1])
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month and day: days since 1970 into the Gregorian calendar, by its cycles of 400 years.
fn civil(time: u64) -> (u64, usize, u64) {
    let days = time / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month as usize, day)
}

fn rfc5322_date(time: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (year, month, day) = civil(time);
    let (weekday, second) = (DAYS[(time / 86_400 % 7) as usize], time % 86_400);
    format!(
        "{weekday}, {day} {} {year} {:02}:{:02}:{:02} +0000",
        MONTHS[month - 1],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// A message with LF line ends, as it lies in a Maildir.
pub fn message(number: usize, sizes: Sizes) -> Vec<u8> {
    if let Sizes::Plain(size) = sizes {
        return plain(number, size);
    }
    let mut random = Random::of(number as u64, 1);
    let mut text = String::with_capacity(16 * 1024);
    header(&mut text, number, &mut random);
    match (sizes, random.below(100)) {
        (Sizes::Small, kind) => simple(&mut text, kind, 1200, &mut random),
        (_, kind @ 0..45) => simple(&mut text, kind, 6000, &mut random),
        (_, 45..80) => alternative(&mut text, &format!("alt{number}"), &mut random),
        (_, 80..97) => mixed(&mut text, number, &mut random),
        _ => forwarded(&mut text, number, &mut random),
    }
    text.into_bytes()
}

/// The number of the message that this one answers.
fn parent(number: usize) -> Option<usize> {
    let mut random = Random::of(number as u64, 2);
    if random.of_hundred(40) {
        return None;
    }
    number.checked_sub(1 + random.below(40) as usize)
}

fn message_id(number: usize) -> String {
    format!("<{:x}.{number}@{HOST}>", Random::of(number as u64, 3).next())
}

fn header(text: &mut String, number: usize, random: &mut Random) {
    let time = time(number);
    let date = rfc5322_date(time);
    for hop in 0..=random.below(3) {
        let _ = write!(
            text,
            "Received: from relay{hop}.example.net (relay{hop}.example.net [192.0.2.{}])\n\tby {HOST} (Postfix) with ESMTPS id {:X}\n\t\
             for <bench@example.org>; {date}\n",
            random.below(250),
            random.next()
        );
    }
    if random.of_hundred(60) {
        text.push_str("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net;\n\ts=key1; h=from:to:subject:date; b=");
        base64(text, 240, random);
    }
    let name = random.pick(NAMES);
    let surname = random.pick(WORDS);
    let from = match random.below(5) {
        0 => format!("=?utf-8?Q?{name}_Gr=C3=BCnwald?="),
        1 => format!("=?ISO-8859-1?Q?{name}_Andr=E9?="),
        _ => format!("\"{name} {surname}\""),
    };
    let _ = writeln!(text, "From: {from} <{name}@{surname}.example.com>");
    let _ = writeln!(text, "To: Bench <bench@example.org>");
    if random.of_hundred(25) {
        let others: Vec<String> =
            (0..=random.below(6)).map(|_| format!("{0} <{0}@example.org>", random.pick(NAMES))).collect();
        let _ = writeln!(text, "Cc: {}", others.join(",\n\t"));
    }
    // A thread keeps the subject of its first message; the References are what led here, at most ten.
    let mut references = Vec::new();
    let mut first = number;
    while let Some(before) = parent(first).filter(|_| references.len() < 10) {
        references.push(message_id(before));
        first = before;
    }
    references.reverse();
    let re = if references.is_empty() { "" } else { "Re: " };
    let _ = writeln!(text, "Subject: {re}{}", subject(first));
    let _ = writeln!(text, "Date: {date}\nMessage-ID: {}", message_id(number));
    if let Some(last) = references.last() {
        let _ = writeln!(text, "In-Reply-To: {last}\nReferences: {}", references.join("\n "));
    }
    if random.of_hundred(20) {
        let _ = writeln!(text, "List-Id: <{surname}.lists.example.org>\nPrecedence: list");
    }
    text.push_str("MIME-Version: 1.0\n");
}

fn subject(number: usize) -> String {
    let mut random = Random::of(number as u64, 4);
    let mut words: Vec<&str> = (0..3 + random.below(5)).map(|_| random.pick(WORDS)).collect();
    if random.of_hundred(1) {
        words.push(SUBJECT_WORD);
    }
    let words = words.join(" ");
    match random.below(8) {
        0 => format!("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= {words}"),
        1 => format!("=?iso-8859-1?q?R=E9union?= {words}"),
        _ => words,
    }
}

/// Text of about so many octets in lines of some seventy.
fn prose(text: &mut String, octets: usize, local: bool, random: &mut Random) {
    let end = text.len() + octets;
    let mut column = 0;
    if random.below(400) == 0 {
        text.push_str(RARE_WORD);
        text.push('\n');
    }
    while text.len() < end {
        let word = if local && random.of_hundred(8) { random.pick(LOCAL) } else { random.pick(WORDS) };
        text.push_str(word);
        column += word.len() + 1;
        let end_of_line = column > 68;
        text.push(if end_of_line { '\n' } else { ' ' });
        if end_of_line {
            column = 0;
        }
    }
    text.push('\n');
}

fn text_part(text: &mut String, subtype: &str, charset: u64, octets: usize, random: &mut Random) {
    let (charset, encoding) = match charset % 4 {
        0 => ("utf-8", "8bit"),
        1 => ("utf-8", "quoted-printable"),
        2 => ("iso-8859-1", "quoted-printable"),
        _ => ("us-ascii", "7bit"),
    };
    let _ = write!(text, "Content-Type: text/{subtype}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n");
    let mut body = String::new();
    if subtype == "html" {
        body.push_str("<html><body><table width=\"600\" style=\"font-family: sans-serif\"><tr><td>\n");
    }
    prose(&mut body, octets, charset != "us-ascii", random);
    if encoding != "quoted-printable" {
        text.push_str(&body);
        return;
    }
    for c in body.chars() {
        match c {
            '=' => text.push_str("=3D"),
            c if c.is_ascii() => text.push(c),
            c if charset == "iso-8859-1" => {
                let _ = write!(text, "={:02X}", u32::from(c));
            }
            c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| {
                let _ = write!(text, "={octet:02X}");
            }),
        }
    }
}

fn simple(text: &mut String, charset: u64, most: usize, random: &mut Random) {
    let octets = random.spread(200.0, most as f64);
    text_part(text, "plain", charset, octets, random);
}

fn alternative(text: &mut String, boundary: &str, random: &mut Random) {
    let octets = random.spread(300.0, 5000.0);
    let charset = random.below(3);
    let _ = write!(text, "Content-Type: multipart/alternative;\n boundary=\"{boundary}\"\n\n--{boundary}\n");
    text_part(text, "plain", charset, octets, random);
    let _ = writeln!(text, "--{boundary}");
    text_part(text, "html", charset, octets * 2, random);
    let _ = writeln!(text, "--{boundary}--");
}

fn mixed(text: &mut String, number: usize, random: &mut Random) {
    let _ = write!(text, "Content-Type: multipart/mixed; boundary=\"mix{number}\"\n\n--mix{number}\n");
    alternative(text, &format!("inner{number}"), random);
    for part in 0..=random.below(2) {
        let _ = write!(
            text,
            "--mix{number}\nContent-Type: application/pdf; name=\"{}-{part}.pdf\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment;\n filename=\"{}-{part}.pdf\"\n\n",
            random.pick(WORDS),
            random.pick(WORDS)
        );
        let octets = random.spread(1000.0, 120_000.0);
        base64(text, octets, random);
    }
    let _ = writeln!(text, "--mix{number}--");
}

fn forwarded(text: &mut String, number: usize, random: &mut Random) {
    let _ = write!(text, "Content-Type: multipart/mixed; boundary=\"fwd{number}\"\n\n--fwd{number}\n");
    text_part(text, "plain", 0, 300, random);
    let _ = write!(text, "--fwd{number}\nContent-Type: message/rfc822\nContent-Disposition: inline\n\n");
    header(text, number + 1_000_000_007, random);
    simple(text, 1, 3000, random);
    let _ = writeln!(text, "--fwd{number}--");
}

/// Lines of 76 that look like base64: about so many octets.
fn base64(text: &mut String, octets: usize, random: &mut Random) {
    for _ in 0..=octets / 77 {
        let mut line = [0; 76];
        for ten in line.chunks_mut(10) {
            let mut bits = random.next();
            for octet in ten {
                *octet = BASE64[(bits & 63) as usize];
                bits >>= 6;
            }
        }
        text.extend(line.iter().map(|octet| char::from(*octet)));
        text.push('\n');
    }
}

fn plain(number: usize, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: sender{number} <sender{number}@example.com>\nTo: bench@example.org\nSubject: number {number}\nDate: {}\n\
         Message-ID: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n",
        rfc5322_date(time(number)),
        message_id(number)
    );
    let line = "The quick brown fox jumps over the lazy dog, and does so once more. 0123456\n";
    let mut octets = imap_size(text.as_bytes());
    while octets + line.len() + 1 < size {
        text.push_str(line);
        octets += line.len() + 1;
    }
    text.into_bytes()
}

/// RFC822.SIZE of what has LF line ends.
pub fn imap_size(message: &[u8]) -> usize {
    message.len() + memchr::memchr_iter(b'\n', message).count()
}

/// With the line ends that APPEND wants.
pub fn crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(imap_size(message));
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        out.extend(line.strip_suffix(b"\n").unwrap_or(line));
        if line.ends_with(b"\n") {
            out.extend(b"\r\n");
        }
    }
    out
}

/// The base of a message's name, as Postfix, Exim or Dovecot's delivery agent writes it.
fn base_name(number: usize, message: &[u8]) -> String {
    let mut random = Random::of(number as u64, 5);
    let (time, microseconds, process) = (time(number), random.below(1_000_000), 1000 + random.below(30_000));
    match random.below(4) {
        0 | 1 => format!("{time}.Vfe01I{:x}M{microseconds}.{HOST}", random.below(1 << 32)),
        2 => format!("{time}.H{microseconds}P{process}.{HOST}"),
        _ => {
            format!("{time}.M{microseconds}P{process}.{HOST},S={},W={}", message.len(), imap_size(message))
        }
    }
}

/// What a reader has left behind the base: most are read, some answered, some flagged, some with a keyword.
fn flags(number: usize) -> &'static str {
    match Random::of(number as u64, 6).below(100) {
        0..78 => ":2,S",
        78..88 => ":2,RS",
        88..91 => ":2,FS",
        91..94 => ":2,Sa",
        94..95 => ":2,FRSab",
        _ => ":2,",
    }
}

/// Makes `cur`, `new` and `tmp`, and what Maildir++ wants of a folder.
fn make_directories(maildir: &Path, owner: Owner) -> Outcome<()> {
    for name in ["", "tmp", "new", "cur"] {
        let path = maildir.join(name);
        fs::create_dir_all(&path)?;
        owner.give(&path)?;
    }
    if maildir.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
        let mark = maildir.join("maildirfolder");
        File::create(&mark)?;
        owner.give(&mark)?;
    }
    Ok(())
}

/// Whose the mail is.
#[derive(Clone, Copy)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    fn give(self, path: &Path) -> Outcome<()> {
        Ok(chown(path, Some(self.uid), Some(self.gid))?)
    }
}

/// Writes the same messages into a folder of each server: the octets, names and times are the same, the files are not.
pub fn make(maildirs: &[PathBuf], numbers: Range<usize>, sizes: Sizes, owner: Owner) -> Outcome<Made> {
    let made: Vec<_> = std::thread::scope(|scope| {
        // Each makes them anew: what takes the time is the kernel's work, and that is on directories of its own.
        let threads: Vec<_> = maildirs
            .iter()
            .map(|maildir| (maildir, numbers.clone()))
            .map(|(maildir, numbers)| {
                scope.spawn(move || make_one(maildir, numbers, sizes, owner).map_err(|error| error.to_string()))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a writer panicked".into()))).collect()
    });
    let mut first = None;
    for made in made {
        first = first.or(Some(made?));
    }
    first.ok_or_else(|| "nobody wants mail".into())
}

fn make_one(maildir: &Path, numbers: Range<usize>, sizes: Sizes, owner: Owner) -> Outcome<Made> {
    make_directories(maildir, owner)?;
    let keywords = maildir.join("dovecot-keywords");
    fs::write(&keywords, "0 $Forwarded\n1 $Label1\n")?;
    owner.give(&keywords)?;
    let mut made = Made { messages: 0, octets: 0 };
    for number in numbers {
        go_on()?;
        let message = message(number, sizes);
        let name = format!("cur/{}{}", base_name(number, &message), flags(number));
        write(&maildir.join(&name), &message, time(number), owner)?;
        made.messages += 1;
        made.octets += imap_size(&message) as u64;
    }
    Ok(made)
}

fn write(path: &Path, message: &[u8], time: u64, owner: Owner) -> Outcome<()> {
    let mut file = File::create_new(path)?;
    file.write_all(message)?;
    fchown(&file, Some(owner.uid), Some(owner.gid))?;
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(time)))?;
    Ok(())
}

/// Delivers a new message, as a mail transfer agent does.
pub fn deliver(maildir: &Path, number: usize, owner: Owner) -> Outcome<()> {
    let message = message(number, Sizes::Small);
    let name = base_name(number, &message);
    let path = maildir.join("tmp").join(&name);
    write(&path, &message, time(number), owner)?;
    fs::rename(&path, maildir.join("new").join(&name))?;
    Ok(())
}
