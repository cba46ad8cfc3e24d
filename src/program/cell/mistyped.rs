//! The command that somebody meant who mistyped it, or left out its colon.

use trialbook::error::{Error, Result};

use super::verbs;

/// Refuses a `verb` that no command has, and names the one that is spelt most like it.
///
/// # Errors
/// For every verb but those of commands.
pub(crate) fn check_verb(verb: &str) -> Result<()> {
    // What begins with a dash is for the parser to explain.
    if verb.starts_with('-') || verbs::find(&[verb]).1 == 1 {
        return Ok(());
    }
    let known = verbs::parser().get_subcommands().map(|command| command.get_name());
    let known = known.chain(verbs::beside().map(|verb| verb.name));
    let error = Error::invalid(format!("there is no command :{verb}"));
    Err(match nearest(verb, known) {
        Some(meant) => error.with_hint(format!("write :{meant}; :help lists all commands")),
        None => error.with_hint(":help lists all commands"),
    })
}

/// The error for a cell's Rust that is no Rust but a command without its colon. `is_defined` knows the
/// names of the session's variables and items.
///
/// # Errors
/// When it is one.
pub(crate) fn check_colon(text: &str, is_defined: impl Fn(&str) -> bool) -> Result<()> {
    let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return Ok(());
    };
    let line = line.trim_end_matches(';');
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let is_verb = verbs::find(&[verb]).1 == 1
        || verbs::of_session().any(|known| known.name == verb && verb.len() > 1);
    if !is_verb {
        return Ok(());
    }
    // `demo` and `demo --fast` could be Rust too, if there were a variable of that name.
    let is_command = match rest.is_empty() || rest.trim_start().starts_with("--") {
        true => text.trim().lines().count() == 1 && !is_defined(verb),
        false => syn::parse_str::<syn::Block>(&format!("{{{text}\n}}")).is_err(),
    };
    if !is_command {
        return Ok(());
    }
    Err(Error::invalid(format!("`{verb}` is a command, and a command begins with a colon"))
        .with_hint(format!("write `:{line}`")))
}

/// The name that fewest changes of a letter make of `word`: at most two, and fewer than half of it.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let max = 2.min(word.chars().count().saturating_sub(1) / 2);
    names
        .filter(|name| name.chars().count() > 1)
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| *distance <= max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The number of letters that have to be added, left out, changed, or swapped with the next one
/// (the distance of optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // The last three rows of the table are all that is looked at.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_verb_is_told_the_nearest_one() {
        for (verb, expected) in [
            ("hlep", Some(":help")),
            ("trian", Some(":train")),
            ("evalute", Some(":evaluate")),
            ("dta", Some(":data")),
            ("modles", Some(":models")),
            ("tiemit", Some(":timeit")),
            ("quti", Some(":quit")),
            ("xyzzy", None),
            ("q7", None),
        ] {
            let error = check_verb(verb).unwrap_err();
            let hint = error.hint().unwrap().to_string();
            match expected {
                Some(meant) => {
                    assert!(hint.starts_with(&format!("write {meant};")), "{verb}: {hint}")
                }
                None => assert_eq!(hint, ":help lists all commands", "{verb}"),
            }
        }
        for verb in ["train", "data", "--help"] {
            check_verb(verb).unwrap();
        }
        assert_eq!(distance("abcd", "abcd"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_command_without_its_colon_is_told_from_rust() {
        let is_defined = |name: &str| name == "audit";
        for line in [
            "train tfidf --data sample",
            "data list",
            "\nsql \"select 1\"",
            "predict \"a fine film\"",
            "help",
            "who",
            "help train",
            "runs list;",
            "demo --fast",
            "promote SentimentClassifier 2",
        ] {
            let error = check_colon(line, is_defined).unwrap_err();
            let expected = format!("write `:{}`", line.trim().trim_end_matches(';'));
            assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some(expected.as_str()));
        }
        for line in [
            "",
            "let data = 1;",
            "data.len()",
            "train(1)",
            "audit",
            "audit - 1",
            "predict!(x)",
            "data\n    .len()",
            "let x = 1;\ndata list",
            "frame list",
        ] {
            check_colon(line, is_defined).unwrap();
        }
    }
}
