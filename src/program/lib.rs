//! The program `trialbook`: everything between a person and the library. The library, the crate
//! `trialbook`, knows nothing of what is here.
//!
//! As in the library, imports run only upward in this list of modules.

mod syntax;

mod pipeline;
pub mod serve;
pub mod toolchain;

pub mod command;

pub mod cell;
pub mod kernel;
mod shell;

pub mod cli;

#[cfg(test)]
#[path = "../library/stub_library.rs"]
mod stub_library;

/// The name of the program, and of the crate that notebooks depend on.
const NAME: &str = "trialbook";

/// Runs the program with the arguments of this process.
///
/// It has to be the first thing that `main` does: the process of a cell is this very program.
pub fn main() -> std::process::ExitCode {
    cell::analyzer::runtime_hook();
    cli::main()
}
