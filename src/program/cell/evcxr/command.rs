//! evcxr's commands: one table with a line for each name, and how a line of a cell becomes one.

use trialbook::{display::Content, error::Result};

use crate::cell::evcxr::{Host, answer};

/// A command's work on a session, and its answer.
type CommandRun = fn(&mut dyn Host, Option<&str>) -> Result<Option<Content>>;

/// One command as help and completion show it.
#[derive(Debug)]
pub struct CommandHelp {
    /// Its name, without the colon.
    pub name: &'static str,
    /// The form of its argument, empty where it takes none.
    pub arguments: &'static str,
    /// Its help, in one line.
    pub help: &'static str,
    run: CommandRun,
}

const fn meaning(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: CommandRun,
) -> CommandHelp {
    CommandHelp { name, arguments, help, run }
}

/// All of evcxr's commands, by name.
pub static COMMANDS: [CommandHelp; 33] = [
    meaning(
        "allow_static_linking",
        "0|1",
        "Link dependencies into each cell, or share one copy",
        answer::allow_static_linking,
    ),
    meaning("build_env", "KEY=VALUE", "Set a variable for rustc and cargo", answer::build_env),
    meaning(
        "cache",
        "[MIB]",
        "Share built dependencies between sessions, up to a size; 0 stops it",
        answer::cache,
    ),
    meaning("clear", "", "Forget all variables, items and dependencies", answer::clear),
    meaning("clear_cache", "", "Throw out what :cache keeps", answer::clear_cache),
    meaning(
        "codegen_backend",
        "[NAME]",
        "Show or choose rustc's code generator (nightly)",
        answer::codegen_backend,
    ),
    meaning("dep", "NAME [= SPEC]", "Add a crate, such as :dep regex = \"1.0\"", answer::dep),
    meaning("doc", "NAME", "Show the documentation of a variable, type or module", answer::doc),
    meaning("efmt", "[FORMAT]", "Show or choose how errors of ? are written", answer::efmt),
    meaning(
        "env",
        "KEY=VALUE",
        "Set a variable for the cells' process, from :restart on",
        answer::env,
    ),
    meaning("explain", "", "Explain the last compile errors", answer::explain),
    meaning("fmt", "[FORMAT]", "Choose how values are written; {:?} if not said", answer::fmt),
    meaning("help", "", "List these commands", help),
    meaning(
        "internal_debug",
        "",
        "Have the session explain its inner workings, or not",
        answer::internal_debug,
    ),
    meaning(
        "last_compile_dir",
        "",
        "Show the folder of the last compiled cell",
        answer::last_compile_dir,
    ),
    meaning(
        "last_error_json",
        "",
        "Show the last compile errors as rustc's JSON",
        answer::last_error_json,
    ),
    meaning("linker", "[NAME]", "Show or choose the linker: system, lld or mold", answer::linker),
    meaning("load_config", "[--quiet]", "Read the startup files again", answer::load_config),
    meaning("offline", "0|1", "Keep cargo away from the network", answer::offline),
    meaning(
        "opt",
        "[LEVEL]",
        "Choose the optimization level; without one, 0 and 2 take turns",
        answer::opt,
    ),
    meaning(
        "preserve_vars_on_panic",
        "0|1",
        "Keep variables when a cell panics",
        answer::preserve_vars_on_panic,
    ),
    meaning("quit", "", "End the session", answer::quit),
    meaning("restart", "", "Start a fresh process; variables are gone", answer::restart),
    meaning("sccache", "[0|1]", "Let sccache keep what rustc makes", answer::sccache),
    meaning("show_deps", "", "List the crates that :dep added", answer::show_deps),
    meaning("t", "NAME", "Short for :type", answer::type_),
    meaning("time_passes", "", "Show rustc's passes and their times, or not", answer::time_passes),
    meaning("timing", "", "Show how long cells take, or not", answer::timing),
    meaning("toolchain", "[NAME]", "Show or choose rustup's toolchain", answer::toolchain),
    meaning("type", "NAME", "Show the type of a variable or an expression", answer::type_),
    meaning("types", "", "Show the type of each cell's value, or not", answer::types),
    meaning("vars", "", "List variables and their types", answer::vars),
    meaning("version", "", "Show which evcxr this session speaks for", answer::version),
];

/// Names that evcxr gives to commands without arguments and trialbook to others that need some.
const OURS_WITH_ARGUMENTS: [&str; 1] = ["explain"];

fn help(_: &mut dyn Host, _: Option<&str>) -> Result<Option<Content>> {
    let rows = COMMANDS.iter().map(|meaning| {
        let usage = format!(":{} {}", meaning.name, meaning.arguments);
        [usage.trim_end().to_owned(), meaning.help.to_owned()]
    });
    Ok(Some(answer::two_columns(None, rows.collect())))
}

/// One of evcxr's commands with what was typed after it.
#[derive(Debug, Clone)]
pub struct EvcxrCommand {
    meaning: &'static CommandHelp,
    argument: Option<String>,
}

impl EvcxrCommand {
    /// The command that a line such as `:opt 2` spells; none when the name is not evcxr's, or is with
    /// what follows it a command of trialbook's.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim().strip_prefix(':')?;
        let (name, argument) = match line.split_once(char::is_whitespace) {
            Some((name, argument)) => (name, Some(argument.trim())),
            None => (line, None),
        };
        let meaning = COMMANDS.iter().find(|meaning| meaning.name == name)?;
        let argument = argument.filter(|argument| !argument.is_empty()).map(str::to_owned);
        if argument.is_some() && OURS_WITH_ARGUMENTS.contains(&name) {
            return None;
        }
        Some(Self { meaning, argument })
    }

    /// Its name, without the colon.
    pub fn name(&self) -> &'static str {
        self.meaning.name
    }

    /// The text typed after it.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// Does it, and hands back what there is to show.
    ///
    /// # Errors
    /// When the argument makes no sense, or what it asks for fails.
    pub fn apply(&self, host: &mut dyn Host) -> Result<Option<Content>> {
        (self.meaning.run)(host, self.argument())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_what_follows() {
        let parsed = |line: &str| {
            EvcxrCommand::parse(line)
                .map(|command| (command.name(), command.argument().map(str::to_owned)))
        };
        assert_eq!(parsed(":opt"), Some(("opt", None)));
        assert_eq!(parsed(" :opt  2 "), Some(("opt", Some("2".to_owned()))));
        assert_eq!(parsed(":t x"), Some(("t", Some("x".to_owned()))));
        let dep = Some(("dep", Some("a = { path = \".\" }".to_owned())));
        assert_eq!(parsed(":dep a = { path = \".\" }"), dep);
        assert_eq!(parsed(":explain "), Some(("explain", None)));
        for other in
            [":explain Reviews/1 \"good\"", "", ":", "opt", ":optimise", ":runs list", "::std"]
        {
            assert_eq!(parsed(other), None, "{other:?}");
        }
    }
}
