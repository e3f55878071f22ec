//! imapd beside Debian's Dovecot: the same mail, the same machine, the same client, in one run, through the wire. `make bench` runs it;
//! `cargo bench --bench walltime -- --help` says what else it can do.
//!
//! Each row is measured in several rounds that alternate between the servers, and shown with its median, the ratio of the two and the
//! goal. An answer that is not complete is an error, whatever time it took. Beside rows that change many files stands what the file system's calls
//! alone take.

mod bare;
mod client;
#[path = "../support/credulous.rs"]
mod credulous;
mod mail;
mod processes;
mod rows;
mod server;

use mail::Sizes;
use rows::{Goal, MILLION, ROWS, Row, Unit};
use server::{Account, Kind, Mail, Site, make_mail};
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one round gave.
pub struct Sample {
    /// In the unit of the row.
    value: f64,
    /// What must be the same with both servers.
    alike: Option<u64>,
}

impl Sample {
    fn of(value: f64) -> Self {
        Self { value, alike: None }
    }
}

/// What is to be measured.
pub struct Plan {
    messages: usize,
    sizes: Sizes,
    /// Of 25 MB.
    large: usize,
    /// In IDLE at once.
    sessions: usize,
    /// How long their processor time is watched.
    watch: Duration,
    rounds: usize,
    rows: Vec<&'static Row>,
    keep: bool,
}

fn main() -> ExitCode {
    match plan().and_then(|plan| plan.map_or(Ok(true), |plan| measure(&plan))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// By the arguments; none when they only asked for help.
fn plan() -> Outcome<Option<Plan>> {
    let mut options = getopts::Options::new();
    options
        .optopt("n", "messages", "messages in the large INBOX (100000)", "N")
        .optopt("r", "rounds", "rounds of each row (5)", "N")
        .optflag("", "quick", "2,000 messages, one round, few sessions: does the bench work?")
        .optflag("", "million", "1,000,000 small messages, and the rows where their number matters")
        .optflag("", "keep", "leave mail, configurations and logs, and say where")
        .optflag("", "list", "print the names of the rows")
        .optflag("", "bench", "(cargo says this)")
        .optflag("", "help", "print this");
    let given = options.parse(std::env::args().skip(1))?;
    if given.opt_present("help") {
        print!("{}", options.usage("Usage: cargo bench --bench walltime -- [options] [ROW...]"));
        return Ok(None);
    }
    if given.opt_present("list") {
        for row in ROWS {
            println!("{:18} {}", row.name, row.what);
        }
        return Ok(None);
    }
    let (quick, million) = (given.opt_present("quick"), given.opt_present("million"));
    let (messages, rounds) = match (quick, million) {
        (true, _) => (2000, 1),
        (false, true) => (1_000_000, 3),
        (false, false) => (100_000, 5),
    };
    let named = |name: &str| ROWS.iter().find(|row| row.name == name).ok_or_else(|| format!("no row is called {name}"));
    let rows = match &given.free[..] {
        [] if million => MILLION.iter().map(|name| named(name)).collect::<Result<_, _>>()?,
        [] => ROWS.iter().collect(),
        names => names.iter().map(|name| named(name)).collect::<Result<_, _>>()?,
    };
    Ok(Some(Plan {
        messages: given.opt_get_default("messages", messages)?.max(100),
        sizes: if million { Sizes::Small } else { Sizes::Realistic },
        large: if quick { 1 } else { 4 },
        sessions: if quick { 100 } else { 2000 },
        watch: Duration::from_secs(if quick { 1 } else { 10 }),
        rounds: given.opt_get_default("rounds", rounds)?.max(1),
        rows,
        keep: given.opt_present("keep"),
    }))
}

/// Set by the signals that end a program, so that what was made is removed.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// An error once somebody wants an end.
fn go_on() -> Outcome<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}

/// Whether every answer was complete. That a goal is missed is no failure.
fn measure(plan: &Plan) -> Outcome<bool> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, INTERRUPTED.clone())?;
    }
    raise_limit_of_files()?;
    let mut directory = tempfile::Builder::new().prefix("imapd-bench.").tempdir()?;
    directory.disable_cleanup(plan.keep);
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))?;
    let kinds = kinds(plan);
    let account = Account::new()?;
    make_certificate(directory.path())?;
    let start = Instant::now();
    let mail = make_mail(directory.path(), &kinds, plan, &account)?;
    println!(
        "{} messages of {:.1} KB on average, for each server, made in {:.1} s; {} rounds",
        mail.messages,
        mail.inbox.octets as f64 / 1000.0 / mail.messages as f64,
        start.elapsed().as_secs_f64(),
        plan.rounds
    );
    let sites = kinds
        .iter()
        .map(|kind| Site::start(*kind, directory.path(), plan.messages, &account))
        .collect::<Outcome<Vec<_>>>()?;
    println!("{:18} {:50} {:>15} {:>12} {:>7}  goal", "", "", "imapd", "Dovecot", "ratio");
    let (mut missed, mut failed) = (Vec::new(), Vec::new());
    for row in &plan.rows {
        go_on()?;
        if row.unit == Unit::Memory && !nix::unistd::geteuid().is_root() {
            println!("{:18} {}: wants a process for each session, and so root", row.name, row.what);
            continue;
        }
        match measure_row(row, plan.rounds, &sites, &mail) {
            Ok(line) => {
                println!("{}", line.text);
                if !line.reached {
                    missed.push(line.text);
                }
            }
            Err(error) => {
                println!("{:18} {}: {error}", row.name, row.what);
                failed.push(row.name);
            }
        }
    }
    if plan.keep {
        println!("\nAll is left in {}", directory.path().display());
    }
    if !missed.is_empty() {
        println!("\nMissed:\n{}", missed.join("\n"));
    }
    if !failed.is_empty() {
        println!("\nFailed: {}", failed.join(" "));
    }
    Ok(failed.is_empty())
}

/// Which servers these rows need and this machine has.
fn kinds(plan: &Plan) -> Vec<Kind> {
    let mut kinds = vec![Kind::Imapd];
    if !Path::new("/usr/sbin/dovecot").exists() {
        println!("Dovecot is not installed here (dovecot-imapd): imapd is measured alone");
    } else if !nix::unistd::geteuid().is_root() {
        println!("Dovecot is started by root alone: imapd is measured alone, and as a single process");
    } else {
        kinds.push(Kind::Dovecot);
        if plan.rows.iter().any(|row| row.beside == Kind::DovecotReusing) {
            kinds.push(Kind::DovecotReusing);
        }
    }
    kinds
}

/// 2,000 connections need more descriptors than a shell gives.
fn raise_limit_of_files() -> Outcome<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

fn make_certificate(directory: &Path) -> Outcome<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/make-test-cert");
    let made = Command::new("sh").arg(script).args([directory.join("cert.pem"), directory.join("key.pem")]).status()?;
    if made.success() { Ok(()) } else { Err("no certificate could be made".into()) }
}

/// A row of the table, and whether it is as it should be.
struct Line {
    text: String,
    reached: bool,
}

fn measure_row(row: &Row, rounds: usize, sites: &[Site], mail: &Mail) -> Outcome<Line> {
    let of_site = |site: &Site, error: Box<dyn Error>| format!("{}: {error}", site.name());
    let mut taking_part = Vec::new();
    let mut lacking = false;
    for site in sites.iter().filter(|site| site.kind == Kind::Imapd || site.kind == row.beside) {
        let able = row.capability.map_or(Ok(true), |capability| offers(site, capability));
        if able.map_err(|error| of_site(site, error))? {
            taking_part.push(site);
        } else {
            lacking |= site.kind == Kind::Imapd;
        }
    }
    for site in &taking_part {
        row.warm.map_or(Ok(()), |warm| warm(site, mail)).map_err(|error| of_site(site, error))?;
    }
    let mut samples: Vec<Vec<Sample>> = taking_part.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds.min(row.most_rounds) {
        for place in 0..taking_part.len() {
            // Neither is always the first.
            let place = if round % 2 == 0 { place } else { taking_part.len() - 1 - place };
            let sample = (row.run)(taking_part[place], mail).map_err(|error| of_site(taking_part[place], error))?;
            samples[place].push(sample);
        }
    }
    let mut alike = samples.iter().flatten().filter_map(|sample| sample.alike);
    if let Some(first) = alike.next()
        && let Some(other) = alike.find(|other| *other != first)
    {
        return Err(format!("the servers do not agree: {first} and {other}").into());
    }
    let value_of = |imapd: bool| {
        let place = taking_part.iter().position(|site| (site.kind == Kind::Imapd) == imapd)?;
        Some(median(samples[place].iter().map(|sample| sample.value).collect()))
    };
    let mut line = line(row, value_of(true), value_of(false), lacking);
    if let Some((bare, site)) = row.bare.zip(taking_part.first()) {
        let values = (0..rounds.min(row.most_rounds)).map(|_| bare(site, mail)).collect::<Outcome<_>>()?;
        line.text += &format!("  (the calls alone: {})", row.unit.shown(median(values)));
    }
    Ok(line)
}

fn offers(site: &Site, capability: &str) -> Outcome<bool> {
    let mut client = site.session()?;
    // The line ends with the last of them.
    let wanted = [format!(" {capability} "), format!(" {capability}\r")];
    let found = client.count("CAPABILITY", &[&wanted[0], &wanted[1]])?.found;
    client.logout()?;
    Ok(found.iter().sum::<usize>() > 0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn line(row: &Row, ours: Option<f64>, theirs: Option<f64>, lacking: bool) -> Line {
    let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs).filter(|ratio| ratio.is_finite());
    let (goal, reached) = match row.goal {
        Goal::Part(part) => (format!("{part:.2}"), ratio.is_none_or(|ratio| ratio <= part)),
        Goal::Below(most) => (format!("under {}", row.unit.shown(most)), ours.is_none_or(|ours| ours <= most)),
        Goal::None => (String::new(), true),
    };
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| row.unit.shown(value));
    let ours = if lacking { "not offered yet".to_owned() } else { shown(ours) };
    let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    let mark = if reached { "" } else { "  missed" };
    Line {
        text: format!("{:18} {:50} {ours:>15} {:>12} {ratio:>7}  {goal}{mark}", row.name, row.what, shown(theirs)),
        reached: reached && !lacking,
    }
}

impl Unit {
    fn shown(self, value: f64) -> String {
        match self {
            Self::Time if value < 0.001 => format!("{:.0} us", value * 1e6),
            Self::Time if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Self::Time => format!("{value:.2} s"),
            Self::PerSecond => format!("{:.0}/s", 1.0 / value),
            Self::Megabytes => format!("{:.0} MB/s", 1.0 / value / 1e6),
            Self::Memory => format!("{:.2} MiB", value / 1024.0 / 1024.0),
            Self::Processor => format!("{:.1} %", value * 100.0),
        }
    }
}
