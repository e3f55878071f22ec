//! Parse the command line, run the chosen mode, turn the outcome into an exit code.

fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    imapd::run(&arguments).into()
}
