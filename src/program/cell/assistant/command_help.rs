//! Help with command lines: verbs, flags, the values they take, and what each is for. All of it
//! comes from the parser and the store.

use clap::{Arg, Command, ValueHint};
use trialbook::display::Content;

use super::{Assistant, Completion, CompletionKind, Completions, names::NameKind, path, sql};
use crate::cell::{
    verbs::{self, find},
    words::{LineWords, query_start},
};

impl Assistant {
    /// The completions of `line`, a command without its colon that begins at `start` of `cell` and
    /// ends at `cursor`.
    pub(super) fn complete_command(
        &self,
        line: &str,
        start: usize,
        cell: &str,
        cursor: usize,
    ) -> Completions {
        let words = LineWords::of(line).words;
        let (verb, typed) = match words.split_last() {
            Some((last, before)) if last.end == line.len() => (before, Some(last)),
            _ => (&words[..], None),
        };
        let before: Vec<&str> = verb.iter().map(|word| word.text.as_str()).collect();
        let (at, typed) = typed.map_or((line.len(), ""), |word| (word.start, word.text.as_str()));
        if before.first() == Some(&"sql") {
            let query = query_start(line, &words, |flag| {
                verbs::argument(&["sql"], flag).is_some_and(|flag| flag.get_action().takes_values())
            });
            if query < line.len() || !typed.starts_with('-') && !self.wants_value(&before) {
                return self.complete_sql(line, query, &cell[cursor..]).moved(start, cursor);
            }
        }
        if let Some(verb) = words.first().filter(|verb| verbs::takes_rust(&verb.text))
            && !before.is_empty()
        {
            // Blanks for all that is no Rust, so that places stay what they are.
            let code = start + verb.end;
            let code = format!("{}{}", " ".repeat(code), &cell[code..]);
            return self.complete_rust(&code, cursor);
        }
        let items = self.candidates(&before, typed);
        // `--flag=va`: only the value is replaced.
        let (at, typed) = match typed.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (at + flag.len() + 1, value),
            _ => (at, typed),
        };
        Completions::matching(at, typed, items.into_iter().map(quoted)).moved(start, cursor)
    }

    /// True if the last of `words` is a flag whose value comes next.
    fn wants_value(&self, words: &[&str]) -> bool {
        let flag = words.last().filter(|word| word.starts_with('-') && !word.contains('='));
        flag.and_then(|flag| verbs::argument(words, flag))
            .is_some_and(|flag| flag.get_action().takes_values())
    }

    fn candidates(&self, before: &[&str], typed: &str) -> Vec<Completion> {
        match before {
            [] => return all_verbs().collect(),
            ["help", before @ ..] => {
                let subverbs = find(before).0.get_subcommands().map(verb);
                return if before.is_empty() { all_verbs().collect() } else { subverbs.collect() };
            }
            ["save", ..] => return path::entries(typed),
            ["rerun"] => return vec![Completion::new("last", CompletionKind::Command, "")],
            _ => {}
        }
        let (command, depth) = find(before);
        let given = &before[depth..];
        if depth == 0 {
            return Vec::new();
        }
        if let Some((flag, value)) = typed.split_once('=').filter(|(flag, _)| flag.starts_with('-'))
        {
            let argument = verbs::argument(before, flag);
            return argument.map_or_else(Vec::new, |flag| self.values(command, flag, &[], value));
        }
        if typed.starts_with('-') {
            return flags(command, given);
        }
        if self.wants_value(before) {
            let argument = before.last().and_then(|flag| verbs::argument(before, flag));
            return argument.map_or_else(Vec::new, |flag| self.values(command, flag, &[], typed));
        }
        if command.has_subcommands() {
            return command
                .get_subcommands()
                .filter(|sub| sub.get_name() != "help")
                .map(verb)
                .collect();
        }
        let positionals = positionals(before, given);
        let arguments: Vec<&Arg> = command.get_positionals().collect();
        let takes_more = |last: &&&Arg| last.get_num_args().is_some_and(|n| n.max_values() > 1);
        let argument =
            arguments.get(positionals.len()).or_else(|| arguments.last().filter(takes_more));
        let values = argument
            .map(|argument| self.values(command, argument, &positionals, typed))
            .unwrap_or_default();
        if argument.is_none() && typed.is_empty() { flags(command, given) } else { values }
    }

    /// The values that `argument` of `command` may have, when `positionals` stand before it.
    fn values(
        &self,
        command: &Command,
        argument: &Arg,
        positionals: &[&str],
        typed: &str,
    ) -> Vec<Completion> {
        let possible = argument.get_possible_values();
        if !possible.is_empty() {
            return possible
                .iter()
                .map(|value| {
                    let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                    Completion::new(value.get_name(), CompletionKind::Name, help)
                })
                .collect();
        }
        if matches!(
            argument.get_value_hint(),
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
        ) {
            return path::entries(typed);
        }
        let mut found = wanted(command.get_name(), argument, positionals)
            .map_or_else(Vec::new, |wanted| self.names.find(&wanted));
        if (command.get_name(), argument.get_id().as_str()) == ("plot", "subject") {
            let words = PLOT_SUBJECTS.iter();
            found.extend(words.map(|word| Completion::new(*word, CompletionKind::Name, "")));
        }
        found
    }

    fn complete_sql(&self, line: &str, query: usize, behind: &str) -> Completions {
        let datasets = || self.names.find(&NameKind::Splits);
        sql::complete(&line[query..], behind, datasets).moved(query, line.len())
    }

    /// The form of the command that `cell` begins with, when it is a verb and a blank so far.
    pub fn form(&self, cell: &str) -> Option<String> {
        let line = cell.strip_prefix(':').filter(|line| line.ends_with(' '))?;
        let words = LineWords::of(line).words;
        let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        if let [name] = words[..]
            && let Some(verb) = verbs::beside().find(|verb| verb.name == name)
        {
            return (!verb.form.is_empty()).then(|| verb.form.to_owned());
        }
        let (command, depth) = find(&words);
        if depth == 0 || depth < words.len() {
            return None;
        }
        let usage = command.clone().render_usage().to_string();
        let name = words.join(" ");
        let (_, form) = usage.split_once(&name)?;
        Some(form.trim().to_owned())
    }

    /// The help on the last word of `line`, a command without its colon.
    pub(super) fn inspect_command(&self, line: &str, detail: u8) -> Option<Content> {
        let words = LineWords::of(line).words;
        let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let first = words.first()?;
        if let Some(verb) = verbs::beside().find(|verb| verb.name == *first) {
            let text = format!(":{} {}", verb.name, verb.form);
            return Some(Content::text(format!("{}\n{}", text.trim_end(), verb.about)));
        }
        let last = words.last()?;
        if last.starts_with('-')
            && let Some(argument) = verbs::argument(&words, last)
        {
            let help = argument.get_long_help().or(argument.get_help());
            return Some(Content::text(format!("{argument}: {}", help?)));
        }
        let (command, depth) = find(&words);
        (depth > 0).then(|| {
            let mut command = command.clone();
            let help = if detail > 0 { command.render_long_help() } else { command.render_help() };
            Content::text(help.to_string())
        })
    }
}

/// A name in quotes where it would fall apart without.
fn quoted(mut item: Completion) -> Completion {
    if item.kind == CompletionKind::Name && item.text.contains(char::is_whitespace) {
        item.text = format!("\"{}\"", item.text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    if item.kind == CompletionKind::Path {
        item.text = item.text.replace('\\', "\\\\").replace(' ', "\\ ");
    }
    item
}

/// Every verb: the parser's, then those that need a session.
fn all_verbs() -> impl Iterator<Item = Completion> {
    let beside =
        verbs::beside().map(|verb| Completion::new(verb.name, CompletionKind::Command, verb.about));
    verbs::parser().get_subcommands().map(verb).chain(beside)
}

fn verb(command: &Command) -> Completion {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    Completion::new(command.get_name(), CompletionKind::Command, about)
}

/// The flags of `command` that `given` does not hold yet.
fn flags(command: &Command, given: &[&str]) -> Vec<Completion> {
    command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| {
            let flag = format!("--{}", argument.get_long()?);
            let is_new = matches!(argument.get_action(), clap::ArgAction::Append)
                || !given.iter().any(|word| word.split('=').next() == Some(&flag));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            is_new.then(|| Completion::new(flag, CompletionKind::Flag, help))
        })
        .collect()
}

/// Those of `given`, the words behind the verbs of `words`, that are no flags and no flag's value.
fn positionals<'a>(words: &[&str], given: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut given = given.iter().copied();
    while let Some(word) = given.next() {
        if !word.starts_with('-') {
            found.push(word);
        } else if !word.contains('=')
            && verbs::argument(words, word).is_some_and(|flag| flag.get_action().takes_values())
        {
            given.next();
        }
    }
    found
}

/// The subjects of `plot` besides datasets; all but the first are about runs.
const PLOT_SUBJECTS: [&str; 8] =
    ["sql", "run", "compare", "roc", "pr", "calibration", "confusion", "learning-curve"];

/// The names that `argument` of the command called `command` takes.
fn wanted(command: &str, argument: &Arg, positionals: &[&str]) -> Option<NameKind> {
    let model = || positionals.first().map(|model| (*model).to_owned());
    match (command, argument.get_id().as_str()) {
        // The name of something that is not there yet.
        ("add" | "sample", _) => None,
        ("revoke", "name") => Some(NameKind::Keys),
        ("head" | "counts" | "issues", "name")
        | ("plot", "subject")
        | ("evaluate" | "errors" | "slices" | "compare", "data") => Some(NameKind::Splits),
        ("plot", "of") => match positionals.first() {
            Some(subject) if PLOT_SUBJECTS[1..].contains(subject) => Some(NameKind::Runs),
            _ => None,
        },
        ("show" | "describe" | "drop" | "remove", "name") | (_, "data") => Some(NameKind::Datasets),
        (_, "run" | "runs") => Some(NameKind::Runs),
        (_, "reference")
        | (
            "evaluate" | "errors" | "slices" | "explain" | "predict" | "serve",
            "model" | "models",
        )
        | ("compare", "first" | "second")
        | ("gate" | "promote" | "rollback" | "start", "name") => Some(NameKind::References),
        (_, "name" | "model") => Some(NameKind::Models),
        (_, "version") => model().map(NameKind::Versions),
        (_, "alias") => model().map(NameKind::Aliases),
        (_, "experiment") => Some(NameKind::Experiments),
        (_, "stage" | "to") => Some(NameKind::Stages),
        _ => None,
    }
}
