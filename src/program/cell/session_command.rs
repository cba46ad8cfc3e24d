//! The commands that are about the session itself: help, variables, running again, timing, saving.
//! They need what only the one who runs cells has, a [`SessionHost`].

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use trialbook::{
    display::{self, Content},
    error::{Error, Result},
    figure::{count, seconds},
    output::{Align, Output, Table},
};

use super::{
    failure::Failure,
    front::{Event, Front, InputRequest, Stream},
    log::Log,
    verbs::{self, Verb},
    words::Words,
};
use crate::command::{self, Request};

/// Whoever runs cells.
pub(crate) trait SessionHost {
    /// Name and type of each variable, in the order to show them.
    fn variables(&mut self) -> Vec<(String, String)>;

    /// Runs `cell` within the running one.
    ///
    /// # Errors
    /// When the cell fails.
    fn run(&mut self, cell: &str, front: &Arc<dyn Front>) -> Result<(), Failure>;

    /// The cells that were run so far.
    fn log(&mut self) -> &mut Log;
}

/// One of these commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionCommand {
    /// Lists the commands, or explains one.
    Help(Vec<String>),
    /// Runs a cell several times and says how long it takes.
    Timeit {
        /// The number of times; as often as fits into a moment where it is not said.
        n_runs: Option<usize>,
        /// The cell to run.
        cell: String,
    },
    /// Lists the variables.
    Who,
    /// Runs a cell again: by its number, or the last one.
    Rerun(Option<usize>),
    /// Writes the session into a file.
    Save {
        /// The file; its ending says the form.
        path: PathBuf,
        /// True if another file there is given up.
        force: bool,
    },
}

impl SessionCommand {
    /// The command that `line`, without its colon, spells; `None` when it is none of these.
    pub(crate) fn parse(line: &str) -> Option<Result<Self>> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let words = Words::of(rest).words;
        let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        Some(match verb {
            "help" | "h" | "?" => Ok(Self::Help(words.into_iter().map(str::to_owned).collect())),
            "who" => none(&words, Self::Who),
            "timeit" => timeit(rest.trim()),
            "rerun" => rerun(&words),
            "save" => save(&words),
            _ => return None,
        })
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// Those of the command, or of the cell that it runs.
    pub(crate) fn run(
        &self,
        host: &mut dyn SessionHost,
        front: &Arc<dyn Front>,
    ) -> Result<(), Failure> {
        match self {
            Self::Help(words) => {
                front.event(Event::Page(Content::text(help(words)?)));
                Ok(())
            }
            Self::Timeit { n_runs, cell } => time(host, cell, *n_runs, front),
            Self::Who => {
                show(front, &who(&host.variables()));
                Ok(())
            }
            Self::Rerun(number) => {
                let cell = match number {
                    Some(number) => host.log().cell(*number)?.to_owned(),
                    None => host.log().last()?.to_owned(),
                };
                host.run(&cell, front)
            }
            Self::Save { path, force } => {
                let n_cells = host.log().save(path, *force)?;
                let cells = if n_cells == 1 { "cell" } else { "cells" };
                let text = format!("wrote {} {cells} to {}", count(n_cells as u64), path.display());
                show(front, &Output::new(n_cells).text(text));
                Ok(())
            }
        }
    }
}

fn show(front: &Arc<dyn Front>, output: &Output) {
    for content in display::contents(output, front.width()) {
        front.event(Event::Display { content, id: None });
    }
}

fn none(words: &[&str], command: SessionCommand) -> Result<SessionCommand> {
    match words {
        [] => Ok(command),
        [surplus, ..] => Err(Error::invalid(format!("unexpected {surplus:?}"))),
    }
}

fn timeit(rest: &str) -> Result<SessionCommand> {
    let missing =
        || Error::invalid("nothing to time").with_hint("write :timeit CELL, or :timeit -n 10 CELL");
    let (n_runs, cell) = match rest.strip_prefix("-n") {
        Some(rest) => {
            let rest = rest.trim_start();
            let (number, cell) = rest.split_once(char::is_whitespace).ok_or_else(missing)?;
            let n_runs = number.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                Error::invalid(format!("-n {number:?}: expected a number of runs, 1 or more"))
            })?;
            (Some(n_runs), cell.trim_start())
        }
        None => (None, rest),
    };
    match cell {
        "" => Err(missing()),
        cell => Ok(SessionCommand::Timeit { n_runs, cell: cell.to_owned() }),
    }
}

fn rerun(words: &[&str]) -> Result<SessionCommand> {
    match words {
        [] | ["last"] => Ok(SessionCommand::Rerun(None)),
        [number] => {
            number.parse().map(|number| SessionCommand::Rerun(Some(number))).map_err(|_| {
                Error::invalid(format!("{number:?} is no cell's number"))
                    .with_hint("write :rerun 3, or :rerun last")
            })
        }
        [_, surplus, ..] => Err(Error::invalid(format!("unexpected {surplus:?}"))),
    }
}

fn save(words: &[&str]) -> Result<SessionCommand> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        words.iter().copied().partition(|word| word.starts_with("--"));
    match (names[..].first(), &flags[..], names.len()) {
        (Some(name), [] | ["--force"], 1) => {
            Ok(SessionCommand::Save { path: PathBuf::from(name), force: !flags.is_empty() })
        }
        _ => Err(Error::invalid("expected one file").with_hint(
            "write :save FILE with an ending .ipynb, .rs or .tb, and --force if needed",
        )),
    }
}

fn who(variables: &[(String, String)]) -> Output {
    let json: Vec<_> = variables
        .iter()
        .map(|(name, type_name)| serde_json::json!({"name": name, "type": type_name}))
        .collect();
    let output = Output::new(json);
    if variables.is_empty() {
        return output.text("no variables yet");
    }
    let mut table = Table::new([("name", Align::Left), ("type", Align::Left)]);
    for (name, type_name) in variables {
        table.push([name, type_name]);
    }
    output.table(table)
}

/// The text that explains the command which `words` name, or lists all of them.
fn help(words: &[String]) -> Result<String> {
    let words: Vec<&str> = words.iter().map(|word| word.trim_start_matches(':')).collect();
    match &words[..] {
        [] => Ok(overview()),
        [name] if let Some(verb) = verbs::beside().find(|verb| verb.name == *name) => {
            Ok(format!("{}\n\nUsage: :{} {}", verb.about, verb.name, verb.form)
                .trim_end()
                .to_owned())
        }
        _ => match command::request(&[&words[..], &["--help"]].concat())? {
            Request::Help(text) => Ok(text),
            Request::Run { .. } => {
                Err(Error::invalid(format!("there is no help on {:?}", words.join(" "))))
            }
        },
    }
}

fn overview() -> String {
    let of_parser = verbs::parser()
        .get_subcommands()
        .map(|verb| (verb.get_name(), verb.get_about().map(ToString::to_string)));
    let of_parser: Vec<(String, String)> =
        of_parser.map(|(name, about)| (name.to_owned(), about.unwrap_or_default())).collect();
    let listed = |verbs: &mut dyn Iterator<Item = Verb>| -> Vec<(String, String)> {
        verbs.map(|verb| (verb.name.to_owned(), verb.about.to_owned())).collect()
    };
    let of_session = listed(&mut verbs::of_session());
    let of_evcxr = listed(&mut verbs::beside().skip(of_session.len()));
    let longest = |verbs: &[(String, String)]| verbs.iter().map(|(name, _)| name.len()).max();
    let width = longest(&of_evcxr).max(longest(&of_parser)).unwrap_or_default();
    let mut text = String::from("Rust runs as it is typed; `!ls` asks the system's shell.\n");
    for (title, verbs) in [
        ("Commands", of_parser),
        ("About this session", of_session),
        ("Known from evcxr", of_evcxr),
    ] {
        text.push_str(&format!("\n{title}\n"));
        for (name, about) in verbs {
            text.push_str(&format!("  :{name:<width$} {about}\n"));
        }
    }
    text.push_str("\n:help COMMAND explains one.");
    text
}

/// As long as `:timeit` goes on when nobody says how often.
const TIMING: Duration = Duration::from_secs(2);
/// More runs than that say nothing new.
const MAX_RUNS: usize = 1000;

/// Runs `cell` once to have it compiled, then again and again with its output left out.
fn time(
    host: &mut dyn SessionHost,
    cell: &str,
    n_runs: Option<usize>,
    front: &Arc<dyn Front>,
) -> Result<(), Failure> {
    let muted: Arc<dyn Front> = Arc::new(Muted(Arc::clone(front)));
    let clock = Instant::now();
    host.run(cell, &muted)?;
    let first = clock.elapsed();
    let mut runs = Vec::new();
    let clock = Instant::now();
    while runs.len() < n_runs.unwrap_or(MAX_RUNS)
        && (n_runs.is_some() || runs.is_empty() || clock.elapsed() < TIMING)
    {
        let run = Instant::now();
        host.run(cell, &muted)?;
        runs.push(run.elapsed());
    }
    runs.sort_unstable();
    let (best, median, worst) = (runs[0], runs[runs.len() / 2], runs[runs.len() - 1]);
    let text = format!(
        "median {}, best {}, worst {} of {} runs; the first took {}",
        short_time(median),
        short_time(best),
        short_time(worst),
        count(runs.len() as u64),
        short_time(first),
    );
    let json = serde_json::json!({
        "n_runs": runs.len(),
        "median_s": median.as_secs_f64(),
        "best_s": best.as_secs_f64(),
        "worst_s": worst.as_secs_f64(),
        "first_s": first.as_secs_f64(),
    });
    show(front, &Output::new(json).text(text));
    Ok(())
}

fn short_time(time: Duration) -> String {
    match time.as_secs_f64() {
        under if under < 1e-3 => format!("{:.0} µs", under * 1e6),
        under if under < 0.1 => format!("{:.1} ms", under * 1e3),
        longer => seconds(longer),
    }
}

/// A front end that is shown only what goes wrong.
struct Muted(Arc<dyn Front>);

impl Front for Muted {
    fn event(&self, event: Event) {
        if matches!(event, Event::Stream(Stream::Stderr, _)) {
            self.0.event(event);
        }
    }

    fn input(&self, request: &InputRequest) -> Result<String> {
        self.0.input(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_commands_are_read_with_their_arguments() {
        use SessionCommand::{Help, Rerun, Save, Timeit, Who};
        for (line, expected) in [
            ("who", Who),
            ("help", Help(vec![])),
            ("help train tfidf", Help(vec!["train".into(), "tfidf".into()])),
            ("rerun 3", Rerun(Some(3))),
            ("rerun last", Rerun(None)),
            ("timeit f(\"a b\")", Timeit { n_runs: None, cell: "f(\"a b\")".into() }),
            ("timeit\nlet a = 1;\na", Timeit { n_runs: None, cell: "let a = 1;\na".into() }),
            ("timeit -n 5 :runs list", Timeit { n_runs: Some(5), cell: ":runs list".into() }),
            ("save 'my session.rs'", Save { path: "my session.rs".into(), force: false }),
            ("save --force x.tb", Save { path: "x.tb".into(), force: true }),
        ] {
            assert_eq!(SessionCommand::parse(line).unwrap().unwrap(), expected, "{line:?}");
        }
        assert!(SessionCommand::parse("runs list").is_none());
        for line in ["who x", "rerun x", "rerun 1 2", "timeit", "timeit -n 0 x", "save", "save a b"]
        {
            assert!(SessionCommand::parse(line).unwrap().is_err(), "{line:?}");
        }
    }

    #[test]
    fn help_knows_every_command() {
        let text = overview();
        for command in verbs::parser().get_subcommands() {
            assert!(text.contains(&format!("  :{} ", command.get_name())), "{text}");
            let explained = help(&[command.get_name().to_owned()]).unwrap();
            assert!(explained.contains("Usage: :"), "{explained}");
        }
        for verb in verbs::beside() {
            assert!(text.contains(&format!("  :{}", verb.name)), "{text}");
            assert!(help(&[verb.name.to_owned()]).unwrap().contains("Usage: :"), "{}", verb.name);
        }
        assert!(help(&[":save".to_owned()]).unwrap().contains(".ipynb"));
        let error = help(&["trian".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("'train'"), "{error}");
    }
}
