//! The parser's knowledge of commands, for whoever helps to write one: verbs, flags and the values
//! they take. It parses nothing itself.

use std::sync::OnceLock;

use clap::{Arg, Command};

use super::evcxr;

/// A command that the parser does not know, because only who runs cells can do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verb {
    /// Its name, without the colon.
    pub(crate) name: &'static str,
    /// The form of its arguments.
    pub(crate) form: &'static str,
    /// Its help, in one line.
    pub(crate) about: &'static str,
}

/// The commands about the session.
pub(crate) fn of_session() -> impl Iterator<Item = Verb> {
    [
        ("help", "[COMMAND]", "List the commands, or explain one"),
        ("who", "", "List the variables with their types"),
        ("rerun", "NUMBER|last", "Run a cell of this session again"),
        ("timeit", "[-n RUNS] CELL", "Say how long a cell takes"),
        ("save", "FILE.ipynb|.rs|.tb [--force]", "Write the session into a file"),
    ]
    .into_iter()
    .map(|(name, form, about)| Verb { name, form, about })
}

/// The commands about the session, then evcxr's; a name that both have is told once.
pub(crate) fn beside() -> impl Iterator<Item = Verb> {
    let is_new = |name: &str| !of_session().any(|verb| verb.name == name);
    let of_evcxr = evcxr::COMMANDS
        .iter()
        .filter(move |command| is_new(command.name))
        .map(|command| Verb { name: command.name, form: command.arguments, about: command.help });
    of_session().chain(of_evcxr)
}

/// True if Rust follows the command called `verb`.
pub(crate) fn takes_rust(verb: &str) -> bool {
    matches!(verb, "doc" | "t" | "timeit" | "type")
}

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
pub(crate) fn find(words: &[&str]) -> (&'static Command, usize) {
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
