//! The `trialbook` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    trialbook_program::main()
}
