//! The tree keeps its shape: who may import whom, where `unsafe` and outside crates live, that a command's two halves bear one
//! name, and that usage text, manual and README agree. What a reviewer would otherwise have to look for each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each top module may name of ours. Arrows only go down; a new one is a design decision.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["cli"]),
    ("cli", &["server", "limits", "log"]),
    ("server", &["session", "storage", "transport", "auth", "types", "limits", "log", "sys"]),
    // `encoding` for the base64 lines of AUTHENTICATE, which are no commands and so not the grammar's.
    (
        "session",
        &["search", "storage", "transport", "auth", "protocol", "message", "types", "encoding", "limits", "log"],
    ),
    ("search", &["storage", "message", "types", "encoding", "limits"]),
    ("storage", &["message", "types", "encoding", "limits", "log", "sys"]),
    ("transport", &["limits", "log", "sys"]),
    ("auth", &["types", "encoding", "limits", "log", "sys"]),
    ("protocol", &["message", "types", "encoding", "limits"]),
    ("message", &["types", "encoding", "limits"]),
    ("log", &["sys"]),
    // A type that is a bounded value (a mailbox name, a keyword) needs its bound.
    ("types", &["limits"]),
    ("encoding", &[]),
    ("limits", &[]),
    ("sys", &[]),
    (
        "testing",
        &[
            "auth",
            "cli",
            "encoding",
            "limits",
            "log",
            "message",
            "protocol",
            "search",
            "server",
            "session",
            "storage",
            "transport",
            "types",
        ],
    ),
];

/// Where an outside crate is at home; nothing else may name it.
const HOMES: &[(&str, &str)] = &[
    ("nix", "sys"),
    ("libc", "sys"),
    ("signal_hook", "sys"),
    ("landlock", "sys"),
    ("seccompiler", "sys"),
    ("rustls", "transport"),
    ("ring", "transport"),
    ("pam_client2", "auth"),
    ("argon2", "auth"),
    ("bcrypt", "auth"),
    ("sha_crypt", "auth"),
    ("encoding_rs", "message"),
    ("heed", "storage"),
    // Opening it is the one thing that the compiler cannot check.
    ("heed", "sys"),
    ("getopts", "cli"),
    ("syslog", "log"),
];

/// A thing without a better name has no home yet.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

#[test]
fn imports_only_go_down() {
    let mut found = Vec::new();
    for file in sources() {
        let top = file.top();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == top) else {
            found.push(format!("{}: top module `{top}` is not in the table of layers", file.shown()));
            continue;
        };
        for (line, named) in file.named_modules() {
            if named != top && LAYERS.iter().any(|(name, _)| *name == named) && !allowed.contains(&named.as_str()) {
                found.push(format!("{}:{line}: `{top}` must not name `{named}`", file.shown()));
            }
        }
    }
    none(&found);
}

#[test]
fn outside_crates_stay_at_home() {
    let mut found = Vec::new();
    for file in sources() {
        for (number, line) in file.code() {
            for (outside, home) in HOMES {
                let at_home = HOMES.iter().any(|(name, home)| name == outside && file.top() == *home);
                if !at_home && file.top() != "lib" && names_crate(&line, outside) {
                    found.push(format!("{}:{number}: `{outside}` belongs into src/{home}", file.shown()));
                }
            }
        }
    }
    none(&found);
}

#[test]
fn unsafe_stays_in_sys() {
    let mut found = Vec::new();
    for file in sources() {
        for (number, line) in file.code() {
            if file.top() != "sys" && words(&line).any(|word| word == "unsafe") {
                found.push(format!("{}:{number}: unsafe code outside src/sys", file.shown()));
            }
        }
    }
    none(&found);
}

/// Whoever chooses the names in a table must not be able to choose where they fall: the standard library's tables have a secret each, others
/// or a fixed hash have none.
#[test]
fn tables_are_hashed_with_a_secret() {
    // Processes that know nothing of each other must come to the same number there.
    const WITHOUT_TABLE: &str = "src/server/slots.rs";
    let mut found = Vec::new();
    for file in sources() {
        for (number, line) in file.code() {
            let fixed = ["DefaultHasher", "BuildHasherDefault", "SipHasher"];
            let other =
                ["with_hasher", "with_capacity_and_hasher", "hashbrown", "ahash", "fxhash", "rustc_hash", "fnv"];
            let named = |names: &[&str]| words(&line).any(|word| names.contains(&word));
            if named(&other) || (named(&fixed) && file.shown() != WITHOUT_TABLE) {
                found.push(format!("{}:{number}: a hash without a secret", file.shown()));
            }
        }
    }
    none(&found);
}

#[test]
fn every_file_says_what_it_is_for() {
    let found: Vec<String> = files_below("src")
        .into_iter()
        .chain(files_below("tests"))
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| format!("{}: does not begin with `//! `", path.display()))
        .collect();
    none(&found);
}

#[test]
fn every_file_has_a_name_of_its_own() {
    let found: Vec<String> = files_below("src")
        .into_iter()
        .chain(files_below("tests"))
        .filter(|path| path.iter().any(|part| NAMELESS.contains(&part.to_string_lossy().trim_end_matches(".rs"))))
        .map(|path| path.display().to_string())
        .collect();
    none(&found);
}

#[test]
fn a_command_has_two_halves_of_one_name() {
    assert_eq!(module_names("src/protocol/command"), module_names("src/session/command"));
}

#[test]
fn an_ignored_test_says_why() {
    let bare = concat!("#[", "ignore]");
    let found: Vec<String> = files_below("src")
        .into_iter()
        .chain(files_below("tests"))
        .filter(|path| read(path).contains(bare))
        .map(|path| format!("{}: {bare} without a reason", path.display()))
        .collect();
    none(&found);
}

#[test]
fn usage_manual_and_readme_have_the_same_options() {
    let usage = Command::new(env!("CARGO_BIN_EXE_imapd")).arg("--help").output().expect("imapd --help runs");
    assert!(usage.status.success(), "imapd --help: {}", usage.status);
    let usage = String::from_utf8(usage.stdout).expect("the usage text is UTF-8");
    let in_usage: BTreeSet<String> =
        usage.lines().map(str::trim_start).filter(|line| line.starts_with('-')).flat_map(usage_options).collect();
    assert!(in_usage.contains("--port"), "no options found in the usage text:\n{usage}");

    let manual = read(Path::new("man/imapd.8"));
    let in_manual: BTreeSet<String> = section(&manual, "OPTIONS")
        .lines()
        .filter(|line| line.starts_with(".It Fl"))
        .flat_map(manual_options)
        .collect();
    assert_eq!(in_usage, in_manual, "left: usage text, right: man/imapd.8");

    let readme = read(Path::new("README.md"));
    let in_readme: BTreeSet<String> = readme
        .lines()
        .filter(|line| line.starts_with("| `-"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').filter(|part| part.starts_with('-')).filter_map(|part| part.split(' ').next()))
        .map(str::to_owned)
        .collect();
    assert_eq!(in_usage, in_readme, "left: usage text, right: README.md");
}

#[test]
fn every_standard_cited_in_the_source_is_in_the_manual() {
    let manual = read(Path::new("man/imapd.8"));
    let listed = rfcs(section(&manual, "STANDARDS"));
    let mut missing: BTreeMap<u32, String> = BTreeMap::new();
    for path in files_below("src") {
        for number in rfcs(&read(&path)).difference(&listed) {
            missing.entry(*number).or_insert_with(|| path.display().to_string());
        }
    }
    assert!(missing.is_empty(), "cited in the source, but not in STANDARDS of man/imapd.8: {missing:#?}");
}

/// Judges none: a long file is a question (what is its second subject?), not an error.
#[test]
fn the_longest_files() {
    let mut lengths: Vec<(usize, PathBuf)> =
        files_below("src").into_iter().map(|path| (read(&path).lines().count(), path)).collect();
    lengths.sort_by(|a, b| b.cmp(a));
    // Written past the test runner, which shows nothing of a test that passes.
    let mut out = std::io::stderr();
    for (lines, path) in lengths.into_iter().take(10) {
        let _ = writeln!(out, "{lines:6} {}", path.display());
    }
}

/// One file below `src`.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// The top module that it belongs to: `session` of `src/session/command/list.rs`, `cli` of `src/cli.rs`.
    fn top(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }

    /// The names from the crate's root to this module.
    fn module(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.path.iter().skip(1).map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
        if names.last().is_some_and(|name| name == "mod") {
            names.pop();
        }
        names
    }

    /// Its numbered lines without comments, and without the tests, which stand last and may use what they like.
    fn code(&self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            if line == "#[cfg(test)]" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            lines.push((index + 1, code.to_owned()));
        }
        lines
    }

    /// The top modules of ours that it names, by `crate::` or by so many `super::` that they reach the root.
    fn named_modules(&self) -> Vec<(usize, String)> {
        let depth = self.module().len();
        let mut text = String::new();
        let mut starts = Vec::new();
        for (number, line) in self.code() {
            starts.push((text.len(), number));
            text.push_str(&line);
            text.push('\n');
        }
        let line_at = |at: usize| starts.iter().rev().find(|(start, _)| *start <= at).map_or(0, |(_, number)| *number);

        let to_root = if depth == 0 { Vec::new() } else { vec!["super::".repeat(depth)] };
        let mut named = Vec::new();
        for root in std::iter::once("crate::".to_owned()).chain(to_root) {
            for (at, _) in text.match_indices(&root) {
                let before = text[..at].chars().next_back();
                // `$crate::` in a macro belongs to the module that defines it.
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
                    continue;
                }
                for name in first_names(&text[at + root.len()..]) {
                    named.push((line_at(at), name));
                }
            }
        }
        named
    }
}

/// The first names of a path or of a braced group of paths: `a`, `b` of `{a::x, b::{y, z}}`.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut fresh = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// Whether a line names an outside crate: `nix::…` or `use nix;`, but not `crate::sys::nix::…` or `self.nix`.
fn names_crate(line: &str, outside: &str) -> bool {
    line.match_indices(outside).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + outside.len()..];
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || "_:.\"".contains(c)));
        starts && (after.starts_with("::") || line.trim_start().starts_with("use ") && after.starts_with([';', ' ']))
    })
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// `-p`, `--port` of `-p, --port PORT   port to listen on`.
fn usage_options(line: &str) -> Vec<String> {
    line.split_whitespace()
        .take_while(|word| word.starts_with('-') || word.chars().all(|c| c.is_ascii_uppercase() || c == ','))
        .filter(|word| word.starts_with('-'))
        .map(|word| word.trim_end_matches(',').split(['=', '[']).next().unwrap_or_default().to_owned())
        .collect()
}

/// `-p`, `--port` of `.It Fl p , Fl -port Ar port`.
fn manual_options(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "Fl").map(|pair| format!("-{}", pair[1])).collect()
}

/// A section of the manual, without its heading.
fn section<'a>(manual: &'a str, name: &str) -> &'a str {
    let heading = format!("\n.Sh {name}\n");
    let start = manual.find(&heading).unwrap_or_else(|| panic!("man/imapd.8 has no section {name}")) + heading.len();
    let rest = &manual[start..];
    rest.find("\n.Sh ").map_or(rest, |end| &rest[..end])
}

/// The numbers after "RFC ".
fn rfcs(text: &str) -> BTreeSet<u32> {
    text.split("RFC ")
        .skip(1)
        .filter_map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok())
        .collect()
}

fn sources() -> Vec<Source> {
    files_below("src").into_iter().map(|path| Source { text: read(&path), path }).collect()
}

/// All Rust files below a directory, but for what a build has left there.
fn files_below(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::from(directory)];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of ours can be read") {
            let path = entry.expect("an entry of it too").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The modules of a directory by name, whether a file or a directory each.
fn module_names(directory: &str) -> BTreeSet<String> {
    fs::read_dir(directory)
        .expect("a directory of ours can be read")
        .map(|entry| {
            entry.expect("an entry of it too").file_name().to_string_lossy().trim_end_matches(".rs").to_owned()
        })
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// tests/CHECKLIST maps threats and limits to tests; what it names is there, and no limit is left out.
#[test]
fn the_checklist_names_tests_that_exist_and_every_limit() {
    let tests = names_of_tests();
    let checklist = read(Path::new("tests/CHECKLIST"));
    let (mut found, mut limits) = (Vec::new(), BTreeSet::new());
    for entry in checklist.lines().filter_map(|line| line.strip_prefix("    ")) {
        let (limit, test) = entry.split_once(": ").map_or((None, entry), |(limit, test)| (Some(limit), test));
        limits.extend(limit);
        if !tests.contains(test) {
            found.push(format!("tests/CHECKLIST: no test is called {test}"));
        }
    }
    for line in read(Path::new("src/limits.rs")).lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let name = line.split(':').next().unwrap_or_default();
        if !limits.remove(name) {
            found.push(format!("tests/CHECKLIST: no test for the limit {name}"));
        }
    }
    found.extend(limits.iter().map(|name| format!("tests/CHECKLIST: there is no limit {name}")));
    none(&found);
}

/// SECURITY.md names, behind "Shown by:", the tests that show what it says.
#[test]
fn security_notes_name_tests_that_exist() {
    let tests = names_of_tests();
    let notes = read(Path::new("SECURITY.md"));
    let lists = shown_by(&notes);
    assert!(!lists.is_empty(), "SECURITY.md names no tests");
    let mut found = Vec::new();
    for list in lists {
        if list.is_empty() {
            found.push("SECURITY.md: nothing behind `Shown by:`".to_owned());
        }
        found.extend(
            list.iter()
                .filter(|test| !tests.contains(**test))
                .map(|test| format!("SECURITY.md: no test is called {test}")),
        );
    }
    none(&found);
}

/// What stands in backticks behind each "Shown by:", to the end of its paragraph.
fn shown_by(notes: &str) -> Vec<Vec<&str>> {
    let paragraphs = notes.split("Shown by:").skip(1).map(|rest| rest.split("\n\n").next().unwrap_or_default());
    paragraphs.map(|list| list.split('`').skip(1).step_by(2).collect()).collect()
}

/// All functions that a test could be.
fn names_of_tests() -> BTreeSet<String> {
    files_below("src")
        .into_iter()
        .chain(files_below("tests"))
        .flat_map(|path| read(&path).lines().filter_map(|line| after_fn(line).map(str::to_owned)).collect::<Vec<_>>())
        .collect()
}

/// The name of the function that a line begins.
fn after_fn(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert_eq!(first_names("{a::x, b::{y, z}, c}; d"), ["a", "b", "c"]);
    assert_eq!(first_names("sys::fork()"), ["sys"]);
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let named =
        source("src/session/updates.rs", "use crate::{\n    sys,\n};\n// crate::cli\nsuper::super::log::x();\n")
            .named_modules();
    assert_eq!(named, [(1, "sys".to_owned()), (5, "log".to_owned())]);
    assert!(names_crate("    nix::unistd::fork()", "nix"));
    assert!(names_crate("use libc;", "libc"));
    assert!(!names_crate("use crate::sys::nix::x;", "nix"));
    assert!(!names_crate("unix::x", "nix"));
    assert_eq!(usage_options("-p, --port PORT   port to listen on"), ["-p", "--port"]);
    assert_eq!(manual_options(".It Fl p , Fl -port Ar port"), ["-p", "--port"]);
    assert_eq!(rfcs("RFC 9051 and RFC 3501."), BTreeSet::from([3501, 9051]));
    assert_eq!(shown_by("`x` Shown by: `a`,\n`b`.\n\n`y`\n\nShown by: `c`."), [vec!["a", "b"], vec!["c"]]);
}
