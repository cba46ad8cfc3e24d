//! The `trialbook` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    trialbook::cell::analyzer::runtime_hook();
    trialbook::cli::main()
}
