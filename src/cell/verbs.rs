//! What the parser knows about commands, for whoever helps to write one: verbs, flags and the values
//! they take. It parses nothing itself.

use std::sync::OnceLock;

use clap::{Arg, Command};

/// The parser of command lines, built once.
pub(crate) fn parser() -> &'static Command {
    static PARSER: OnceLock<Command> = OnceLock::new();
    PARSER.get_or_init(|| {
        let mut parser = crate::command::parser();
        // Global flags reach the verbs only when the parser is built.
        parser.build();
        parser
    })
}

/// The command that the leading `words` name, and how many of them do.
pub(crate) fn find<'a>(words: &[&str]) -> (&'static Command, usize) {
    let mut command = parser();
    for (depth, word) in words.iter().enumerate() {
        match command.find_subcommand(word) {
            Some(subcommand) => command = subcommand,
            None => return (command, depth),
        }
    }
    (command, words.len())
}

/// The argument that `flag` (`--rows`, `--rows=5` or `-n`) is for the command that `words` name.
pub(crate) fn argument(words: &[&str], flag: &str) -> Option<&'static Arg> {
    let name = flag.split('=').next().unwrap_or_default();
    find(words).0.get_arguments().find(|argument| match name.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short().is_some_and(|short| name == format!("-{short}")),
    })
}
