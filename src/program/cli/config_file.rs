//! `trialbook.toml`: what options are when neither the command line nor the environment says so.
//!
//! A table is a command, a key one of its options; what stands outside the tables are the options of
//! all commands. The values become the parser's own defaults, so that they are checked as typed ones
//! are and help shows them. Crates such as figment merge values behind the parser, where neither happens.
//!
//! ```toml
//! store = "/var/lib/trialbook"
//!
//! [serve]
//! port = 8080
//! log-text = "none"
//!
//! [train.tfidf]
//! folds = 5
//! ```

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};
use trialbook::error::{Error, ErrorKind, Result};

/// Names the file.
pub(super) const CONFIG_ENV: &str = "TRIALBOOK_CONFIG";
/// The file that is read from the current folder when none is named.
const DEFAULT_FILE: &str = "trialbook.toml";

/// `parser` with the file's values as defaults: the file that `args` name with `--config-file`,
/// else `named`, else `trialbook.toml` in the current folder, if it is there.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a file that is no TOML or names what is no command or option; a named
/// file that cannot be read.
pub(super) fn configured(
    parser: Command,
    args: &[OsString],
    named: Option<OsString>,
) -> Result<Command> {
    let named = argument(args).or(named.filter(|named| !named.is_empty())).map(PathBuf::from);
    let path = named.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(parser);
        }
        Err(error) => return Err(Error::io("read", path, error)),
    };
    with_values(parser, &text).map_err(|error| error.with_context(path.display()))
}

/// The value of `--config-file`. The parser itself cannot be asked: what it accepts is still to be
/// read.
fn argument(args: &[OsString]) -> Option<OsString> {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if arg == "--config-file" {
            return args.next().cloned();
        }
        if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--config-file=")) {
            return Some(value.into());
        }
    }
    None
}

fn with_values(parser: Command, text: &str) -> Result<Command> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Error::invalid(format!("it is no TOML: {}", error.to_string().trim_end()))
    })?;
    // What is at the root belongs to all commands; its other options say what to do now.
    let parser = with_table(parser, &table, &[], Arg::is_global_set)?;
    asking_where_served(parser, &table)
}

/// `health` asks the port that `serve` is told, unless it is told another one itself.
fn asking_where_served(parser: Command, table: &Table) -> Result<Command> {
    let port_of = |command: &str| table.get(command)?.get("port");
    let (Some(port), None) = (port_of("serve"), port_of("health")) else { return Ok(parser) };
    let health = Table::from_iter([("port".to_owned(), port.clone())]);
    let table = Table::from_iter([("health".to_owned(), Value::Table(health))]);
    with_table(parser, &table, &[], Arg::is_global_set)
}

/// `command` with the defaults that `table` gives its options and, in turn, its subcommands; only
/// options that are `open` may be set.
fn with_table(
    mut command: Command,
    table: &Table,
    path: &[&str],
    open: fn(&Arg) -> bool,
) -> Result<Command> {
    for (key, value) in table {
        let path = [path, &[key.as_str()]].concat();
        if let Value::Table(table) = value {
            let Some(subcommand) = command.find_subcommand(key).cloned() else {
                let known = names(command.get_subcommands().map(Command::get_name));
                return Err(unknown(&path, "command", &known));
            };
            let subcommand = with_table(subcommand, table, &path, |_| true)?;
            command = command.mut_subcommand(key, |_| subcommand);
            continue;
        }
        let long = key.replace('_', "-");
        let is_open = |arg: &&Arg| open(arg) && !is_about_the_program(arg);
        let named = |arg: &&Arg| is_open(arg) && arg.get_long() == Some(&long);
        let Some(option) = command.get_arguments().find(named) else {
            let known = command.get_arguments().filter(is_open).filter_map(Arg::get_long);
            return Err(unknown(&path, "option", &names(known)));
        };
        let values = values(option, value, &path)?;
        let id = option.get_id().clone();
        command = command.mut_arg(id, |arg| arg.required(false).default_values(values));
    }
    Ok(command)
}

/// `--config-file` itself, `--help` and `--version`.
fn is_about_the_program(arg: &Arg) -> bool {
    let shows = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    shows || arg.get_id() == "config_file"
}

/// `value` as one would type it.
fn values(option: &Arg, value: &Value, path: &[&str]) -> Result<Vec<String>> {
    let takes_many = matches!(option.get_action(), ArgAction::Append);
    let typed = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Datetime(time) => time.to_string(),
            Value::Array(_) | Value::Table(_) => {
                let expected = if takes_many { "a value or a list of them" } else { "one value" };
                return Err(Error::invalid(format!(
                    "{} holds {value}, expected {expected}",
                    path.join(".")
                )));
            }
        };
        // Here, and not where the parser would name an option that nobody typed.
        check(option, &text).map_err(|error| error.with_context(path.join(".")))?;
        Ok(text)
    };
    match value {
        Value::Array(values) if takes_many => values.iter().map(typed).collect(),
        value => Ok(vec![typed(value)?]),
    }
}

/// Checks that the option takes `text`, asked of a parser that has nothing but this option.
fn check(option: &Arg, text: &str) -> Result<()> {
    let is_flag = matches!(option.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
    if is_flag {
        return match text {
            "true" | "false" => Ok(()),
            _ => Err(Error::invalid(format!("it is {text:?}, expected true or false"))),
        };
    }
    let Some(long) = option.get_long() else { return Ok(()) };
    let alone = Arg::new("value")
        .long(long.to_owned())
        .action(ArgAction::Set)
        .num_args(1)
        .allow_hyphen_values(true)
        .value_parser(option.get_value_parser().clone());
    let typed = [format!("--{long}"), text.to_owned()];
    match Command::new("check").no_binary_name(true).arg(alone).try_get_matches_from(typed) {
        Ok(_) => Ok(()),
        Err(error) => {
            let told = error.to_string();
            let reason = told.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Err(Error::invalid(reason.to_owned()))
        }
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.join(", ")
}

fn unknown(path: &[&str], what: &str, known: &str) -> Error {
    let error = Error::new(ErrorKind::Invalid, format!("there is no {what} {}", path.join(".")));
    error.with_hint(format!("expected one of: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> Command {
        let port = clap::value_parser!(u16);
        Command::new("program")
            .arg(Arg::new("store").long("store").global(true).default_value("store"))
            .arg(Arg::new("cell").long("cell"))
            .subcommand(
                Command::new("serve")
                    .arg(Arg::new("port").long("port").value_parser(port).required(true))
                    .arg(Arg::new("no_log").long("no-log").action(ArgAction::SetTrue))
                    .arg(Arg::new("origin").long("origin").action(ArgAction::Append))
                    .arg(Arg::new("text").conflicts_with("no_log")),
            )
            .subcommand(
                Command::new("health")
                    .arg(Arg::new("port").long("port").value_parser(clap::value_parser!(u16))),
            )
            .subcommand(Command::new("train").subcommand(
                Command::new("tfidf").arg(Arg::new("c").long("c").allow_hyphen_values(true)),
            ))
    }

    #[test]
    fn values_are_defaults_that_the_command_line_overrides() {
        let file = "store = \"elsewhere\"\n[serve]\nport = 81\nno_log = true\norigin = [\"a\", \"b\"]\n\
                    [train.tfidf]\nc = -1.5";
        let parse = |args: &[&str]| {
            let args = [&["program"], args].concat();
            with_values(parser(), file).unwrap().try_get_matches_from(args).unwrap()
        };
        let matches = parse(&["serve", "a text"]);
        assert_eq!(matches.get_one::<String>("store").unwrap(), "elsewhere");
        let serve = matches.subcommand_matches("serve").unwrap();
        assert_eq!(serve.get_one::<u16>("port"), Some(&81));
        assert!(serve.get_flag("no_log"));
        let origins: Vec<&String> = serve.get_many("origin").unwrap().collect();
        assert_eq!(origins, ["a", "b"]);

        let matches = parse(&["serve", "--port", "82", "--origin", "c", "--store", "here"]);
        let serve = matches.subcommand_matches("serve").unwrap();
        assert_eq!(serve.get_one::<u16>("port"), Some(&82));
        assert_eq!(serve.get_many::<String>("origin").unwrap().len(), 1);
        assert_eq!(serve.get_one::<String>("store").unwrap(), "here");

        let health = parse(&["health"]);
        let health = health.subcommand_matches("health").unwrap();
        assert_eq!(health.get_one::<u16>("port"), Some(&81), "where `serve` listens");

        let train = parse(&["train", "tfidf"]);
        let (_, tfidf) = train.subcommand_matches("train").unwrap().subcommand().unwrap();
        assert_eq!(tfidf.get_one::<String>("c").unwrap(), "-1.5");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (file, expected) in [
            ("[serve]\nprot = 1", "there is no option serve.prot"),
            ("[sevre]\nport = 1", "there is no command sevre"),
            ("cell = \"1\"", "there is no option cell"),
            ("[serve]\nhelp = true", "there is no option serve.help"),
            ("[serve]\nport = 70000", "serve.port: invalid value '70000' for '--port"),
            ("[serve]\nno-log = 3", "serve.no-log: it is \"3\", expected true or false"),
            ("[serve]\nport = [1, 2]", "serve.port holds [1, 2], expected one value"),
            ("[serve\n", "it is no TOML"),
        ] {
            let error = with_values(parser(), file).unwrap_err();
            assert!(error.to_string().contains(expected), "{file:?}: {error}");
        }
    }

    #[test]
    fn the_file_is_the_one_that_is_named() {
        for (args, expected) in [
            (&["serve", "--config-file", "a.toml"][..], Some("a.toml")),
            (&["--config-file=b.toml", "serve"], Some("b.toml")),
            (&["predict", "--", "--config-file", "c.toml"], None),
            (&["serve", "--config-file"], None),
        ] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(argument(&args), expected.map(OsString::from), "{args:?}");
        }
        let named = Some(OsString::from("/nowhere/trialbook.toml"));
        let error = configured(parser(), &[], named).unwrap_err();
        assert!(error.to_string().contains("/nowhere/trialbook.toml"), "{error}");
    }
}
