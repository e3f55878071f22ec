//! Options and modes; usage text.

use crate::server;
use crate::server::config::{Arity, Config, Facts, Settings};
use getopts::{HasArg, Occur, Options};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Does what the command line asks for and gives the exit status. Errors are one line on standard error.
pub fn run(arguments: &[OsString]) -> u8 {
    let done = parse(arguments, server::facts()).and_then(|request| match request {
        Request::Print(text) => {
            print(&text);
            Ok(true)
        }
        Request::Check(config) => {
            print(&server::check(&config)?);
            Ok(true)
        }
        Request::Fsck { directory, repair } => {
            server::fsck::run(&directory, repair, &mut |line| print(&format!("{line}\n")))
        }
        Request::Serve(config) => server::run(*config).map(|()| true),
    });
    match done {
        Ok(true) => 0,
        // What is wrong was printed.
        Ok(false) => 1,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "imapd: {error}");
            1
        }
    }
}

fn print(text: &str) {
    // A reader that has had enough, such as head(1), is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What the command line asks for.
#[derive(Debug)]
enum Request {
    /// Print this and end.
    Print(String),
    /// Say what would be served.
    Check(Box<Config>),
    /// Check a Maildir.
    Fsck {
        directory: PathBuf,
        repair: bool,
    },
    Serve(Box<Config>),
}

/// Read if it exists and no other is named.
const CONFIGURATION: &str = "/etc/imapd.conf";

struct Opt {
    short: &'static str,
    long: &'static str,
    arity: Arity,
    hint: &'static str,
    text: &'static str,
    /// Whether it may stand in the configuration file.
    in_file: bool,
}

const fn switch(long: &'static str, text: &'static str) -> Opt {
    Opt { short: "", long, arity: Arity::Switch, hint: "", text, in_file: true }
}

const fn value(short: &'static str, long: &'static str, hint: &'static str, text: &'static str) -> Opt {
    Opt { short, long, arity: Arity::Once, hint, text, in_file: true }
}

const fn repeated(long: &'static str, hint: &'static str, text: &'static str) -> Opt {
    Opt { short: "", long, arity: Arity::Repeated, hint, text, in_file: true }
}

const fn only_on_the_command_line(mut opt: Opt) -> Opt {
    opt.in_file = false;
    opt
}

const OPTIONS: &[Opt] = &[
    value("p", "port", "PORT", "port to listen on (143, with --tls 993)"),
    Opt {
        short: "h",
        long: "host",
        arity: Arity::Repeated,
        hint: "HOST",
        text: "address to listen on: IPv4, IPv6 or name; may be repeated (127.0.0.1)",
        in_file: true,
    },
    value("", "tls-port", "PORT", "listen on this port too, for implicit TLS"),
    switch("tls", "implicit TLS; needs --cert and --key"),
    Opt {
        short: "",
        long: "cert",
        arity: Arity::Repeated,
        hint: "FILE",
        text: "certificate chain in PEM; with --key, and without --tls, turns STARTTLS on; may be repeated, chosen by name",
        in_file: true,
    },
    Opt {
        short: "",
        long: "key",
        arity: Arity::Repeated,
        hint: "FILE",
        text: "private key in PEM; as many as --cert, in the same order",
        in_file: true,
    },
    value("s", "storage", "memory|maildir", "where mail is kept (memory)"),
    value(
        "",
        "maildir-path",
        "PATH",
        "mail of a user is in PATH/<user> (~/Maildir; in a single process /var/mail/<user>)",
    ),
    value("", "index-path", "PATH", "keep the index of a user's mail in PATH/<user> instead of beside the mail"),
    switch("fork", "a process for each connection, which becomes the user; needs root and --storage maildir"),
    switch("inetd", "serve the one connection on standard input"),
    switch("preauth", "serve standard input and output for the user who starts it, without login"),
    value("", "passwd-file", "FILE", "check passwords with this file instead of PAM"),
    value("", "pam-service", "NAME", "PAM service that checks passwords (imapd)"),
    switch("pam-session", "keep a PAM session open while somebody is served; needs PAM, and --fork or --inetd as root"),
    value("", "min-uid", "UID", "refuse accounts below this uid (1000); root is always refused"),
    switch("allow-cleartext", "take passwords without TLS from other machines too"),
    repeated(
        "withhold",
        "CAPABILITY",
        "do not offer this capability, which some client cannot live with; may be repeated",
    ),
    switch("demo", "with --storage memory: user test, password test, some mail to look at"),
    value("", "max-connections", "NUMBER", "connections in all (1000)"),
    value("", "max-per-address", "NUMBER", "connections from one address (200)"),
    value("", "max-before-login", "NUMBER", "connections from one address that have not logged in (20)"),
    value(
        "",
        "max-startups",
        "START:RATE:FULL",
        "connections that have not logged in, from all addresses (100:30:400)",
    ),
    value("", "max-per-user", "NUMBER", "sessions of one user from one address (50)"),
    value("", "max-per-user-total", "NUMBER", "sessions of one user from all addresses (200)"),
    repeated("penalty-exempt", "NETWORK", "hold no failures against addresses in this network; may be repeated"),
    repeated("proxy", "NETWORK", "expect a PROXY header from addresses in this network; may be repeated"),
    value(
        "",
        "sandbox",
        "on|require|off",
        "shut processes in as far as the kernel can (on), or do not start where it cannot (require)",
    ),
    value("", "pidfile", "FILE", "write the process number to this file"),
    value("", "run-dir", "DIR", "with --inetd: connections before login are counted here (/run/imapd)"),
    value(
        "",
        "log",
        "stderr|syslog",
        "where to log (stderr if it is a terminal or in a single process, otherwise syslog)",
    ),
    only_on_the_command_line(value("", "config", "FILE", "read options from this file (/etc/imapd.conf if it exists)")),
    only_on_the_command_line(switch(
        "check",
        "check options, files, certificate and key, and say what would be served",
    )),
    only_on_the_command_line(value("", "fsck", "DIR", "check the Maildir DIR, as its owner or root, and end")),
    only_on_the_command_line(switch("repair", "with --fsck: mend what can be mended")),
    only_on_the_command_line(switch("help", "print this and exit")),
    only_on_the_command_line(switch("version", "print the version and exit")),
];

/// Understands the command line and the configuration file. The error is one line for the administrator.
fn parse(arguments: &[OsString], facts: Facts) -> Result<Request, String> {
    let options = options();
    let matches = options.parse(arguments).map_err(|error| format!("{error} (see imapd --help)"))?;
    if matches.opt_present("help") {
        return Ok(Request::Print(options.usage("Usage: imapd [options]\n\nServes mail in Maildirs over IMAP.")));
    }
    if matches.opt_present("version") {
        return Ok(Request::Print(format!("imapd {}\n", env!("CARGO_PKG_VERSION"))));
    }
    if let Some(extra) = matches.free.first() {
        return Err(format!("{extra} is not an option (see imapd --help)"));
    }
    if let Some(directory) = matches.opt_str("fsck") {
        return match OPTIONS.iter().find(|opt| !["fsck", "repair"].contains(&opt.long) && matches.opt_present(opt.long))
        {
            Some(other) => Err(format!("--{} makes no sense with --fsck", other.long)),
            None => Ok(Request::Fsck { directory: directory.into(), repair: matches.opt_present("repair") }),
        };
    }
    if matches.opt_present("repair") {
        return Err("--repair needs --fsck".to_owned());
    }
    let mut settings = Settings::default();
    for opt in OPTIONS.iter().filter(|opt| opt.in_file && matches.opt_present(opt.long)) {
        let values = if opt.arity == Arity::Switch { vec![String::new()] } else { matches.opt_strs(opt.long) };
        for value in values {
            settings.add(opt.long, value, format!("--{}", opt.long));
        }
    }
    let settings = match file(matches.opt_str("config").map(PathBuf::from))? {
        Some(file) => settings.over(file),
        None => settings,
    };
    let config = Box::new(Config::new(&settings, facts)?);
    Ok(if matches.opt_present("check") { Request::Check(config) } else { Request::Serve(config) })
}

fn options() -> Options {
    let mut options = Options::new();
    for opt in OPTIONS {
        let (has_arg, occur) = match opt.arity {
            Arity::Switch => (HasArg::No, Occur::Optional),
            Arity::Once => (HasArg::Yes, Occur::Optional),
            Arity::Repeated => (HasArg::Yes, Occur::Multi),
        };
        options.opt(opt.short, opt.long, opt.text, opt.hint, has_arg, occur);
    }
    options
}

fn file(named: Option<PathBuf>) -> Result<Option<Settings>, String> {
    let (path, must_exist) = match named {
        Some(path) => (path, true),
        None => (PathBuf::from(CONFIGURATION), false),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => parse_file(&path, &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(None),
        Err(error) => Err(format!("cannot read the configuration {}: {error}", path.display())),
    }
}

fn parse_file(path: &Path, text: &str) -> Result<Settings, String> {
    Settings::parse_file(path, text, |name| {
        OPTIONS.iter().find(|opt| opt.in_file && opt.long == name).map(|opt| opt.arity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Mode;

    const USER: Facts = Facts { is_root: false, has_connection: false };

    fn parsed(arguments: &[&str]) -> Result<Request, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        parse(&arguments, USER)
    }

    #[test]
    fn h_is_host_and_may_be_repeated() {
        let Ok(Request::Serve(config)) = parsed(&["-h", "::1", "--host", "127.0.0.1", "-p", "1143"]) else { panic!() };
        assert_eq!((config.hosts.len(), config.port, config.mode), (2, 1143, Mode::Threads));
    }

    #[test]
    fn an_unknown_option_or_word_is_an_error() {
        assert!(parsed(&["--frok"]).is_err());
        assert!(parsed(&["start"]).is_err());
        assert!(parsed(&["-p", "1", "-p", "2"]).is_err());
        assert!(parsed(&["-p", "65536"]).unwrap_err().starts_with("--port: "));
    }

    #[test]
    fn what_makes_no_sense_in_a_file_is_unknown_there() {
        for name in ["help", "version", "check", "config", "fsck", "repair"] {
            assert!(parse_file(Path::new("f"), &format!("{name} = yes")).is_err(), "{name}");
        }
    }

    #[test]
    fn a_check_of_a_maildir_is_nothing_else() {
        assert!(matches!(parsed(&["--fsck", "M"]), Ok(Request::Fsck { repair: false, .. })));
        assert!(matches!(parsed(&["--repair", "--fsck", "M"]), Ok(Request::Fsck { repair: true, .. })));
        for wrong in [&["--repair"][..], &["--fsck"], &["--fsck", "a", "--fsck", "b"], &["--fsck", "a", "--fork"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn help_names_every_option() {
        let Ok(Request::Print(usage)) = parsed(&["--help"]) else { panic!() };
        assert!(OPTIONS.iter().all(|opt| usage.contains(&format!("--{}", opt.long))));
    }
}
