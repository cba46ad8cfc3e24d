//! How every command names a version of a model and a split of a dataset: in one word, `NAME/2` and
//! `imdb.test`, or in two, `NAME 2` and `imdb --split test`.

use clap::Args;
use trialbook::{
    error::{Error, Result},
    hint::{CommandLine, Hint},
    registry::Stage,
};

use super::Session;

/// What help says of a model, in every command.
macro_rules! model_forms {
    ($more:literal) => {
        concat!(
            "The model: NAME, NAME/2, NAME/Staging, NAME/latest or NAME@alias; NAME 2 is NAME/2, and 2 \
             alone is version 2 of the one model in production",
            $more
        )
    };
}
/// What help says of the word behind it.
macro_rules! version_forms {
    ($more:literal) => {
        concat!("The version, if the word before it does not name one: 2, Staging, latest", $more)
    };
}
pub(super) use {model_forms, version_forms};

/// The model that `given` names or, where nothing does, the one that is meant then.
pub(super) fn model_or_default(session: &Session, given: Option<&String>) -> Result<String> {
    match given {
        Some(given) => reference(session, given, None),
        None => session.book.registry()?.default_model(),
    }
}

/// Which split of a dataset, where the dataset's name does not say it.
#[derive(Debug, Clone, Args)]
pub(super) struct SplitFlag {
    /// The split, train or test, if the name of the dataset does not include it (NAME.test)
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
}

impl SplitFlag {
    /// `NAME.SPLIT`, or `NAME` alone where no split is named.
    ///
    /// # Errors
    /// When `name` and the flag name different splits.
    pub(super) fn join(&self, name: &str) -> Result<String> {
        match (name.split_once('.'), &self.split) {
            (_, None) => Ok(name.to_owned()),
            (None, Some(split)) => Ok(format!("{name}.{split}")),
            (Some((_, named)), Some(split)) if named == split => Ok(name.to_owned()),
            (Some((dataset, _)), Some(split)) => {
                Err(Error::invalid(format!("{name:?} names a split, and --split {split} another"))
                    .with_hint(format!("write {dataset}.{split}, or {dataset} --split {split}")))
            }
        }
    }
}

/// The name of a dataset that is meant as a whole.
///
/// # Errors
/// When it names one split.
pub(super) fn whole(name: &str) -> Result<&str> {
    match name.split_once('.') {
        Some((dataset, "train" | "test")) => {
            Err(Error::invalid(format!("{name:?} is one split, and this command takes a dataset"))
                .with_hint(format!("write {dataset}")))
        }
        _ => Ok(name),
    }
}

/// Whether `name` says more than a model's name: that has neither of these.
pub(super) fn is_reference(name: &str) -> bool {
    name.contains(['/', '@'])
}

/// `NAME` and `2` as `NAME/2`.
///
/// # Errors
/// When both name a version.
pub(super) fn join(name: &str, version: Option<&str>) -> Result<String> {
    match version {
        None => Ok(name.to_owned()),
        Some(version) if is_reference(name) => {
            Err(Error::invalid(format!("{name:?} names a version, and {version} another"))
                .with_hint("write NAME/2 or NAME 2"))
        }
        Some(version) => Ok(format!("{name}/{version}")),
    }
}

/// The reference that `name` and `version` spell; `2` alone is a version of the one model in
/// production.
///
/// # Errors
/// As [`join`], and when no model is the only one in production.
pub(super) fn reference(session: &Session, name: &str, version: Option<&str>) -> Result<String> {
    if version.is_none() && is_number_alone(session, name)? {
        return Ok(format!("{}/{name}", session.book.registry()?.default_model()?));
    }
    join(name, version)
}

/// Whether `name` is a number, and no model's name.
pub(super) fn is_number_alone(session: &Session, name: &str) -> Result<bool> {
    Ok(name.parse::<u32>().is_ok() && session.book.registry()?.model(name).is_err())
}

/// The model and the number of its version that `name` and `version` spell.
///
/// # Errors
/// When neither of them says which version, and [`trialbook::ErrorKind::NotFound`] for a stage or an alias
/// that no version has.
pub(super) fn version(
    session: &Session,
    name: &str,
    version: Option<&str>,
) -> Result<(String, u32)> {
    let reference = reference(session, name, version)?;
    if !is_reference(&reference) {
        return Err(Error::invalid(format!("which version of {name}?")).with_hint(
            Hint::from(format!("write {name}/2 or {name} 2; "))
                .run(CommandLine::new("models show").arg(name))
                .say(" has them all"),
        ));
    }
    if let Some((model, number)) = reference.rsplit_once('/')
        && !model.contains('/')
        && let Ok(number) = number.parse()
    {
        return Ok((model.to_owned(), number));
    }
    let found = session.book.registry()?.resolve(&reference)?;
    Ok((found.model, found.version))
}

/// The word that says which version: a number, a stage, or `latest`.
///
/// # Errors
/// Anything else.
pub(super) fn version_word(text: &str) -> Result<String> {
    if text.parse::<u32>().is_ok()
        || text.parse::<Stage>().is_ok()
        || text.eq_ignore_ascii_case("latest")
    {
        return Ok(text.to_owned());
    }
    let number = text.trim_start_matches(['v', 'V']);
    let example = if number.parse::<u32>().is_ok() { number } else { "2" };
    Err(Error::invalid(format!("{text:?} is no version"))
        .with_hint(format!("write {example}, or a stage: Staging, Production, Archived, latest")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_in_one_word_or_two() {
        for (name, version, expected) in [
            ("A", None, Some("A")),
            ("A", Some("2"), Some("A/2")),
            ("A", Some("Staging"), Some("A/Staging")),
            ("A/2", None, Some("A/2")),
            ("A@best", None, Some("A@best")),
            ("A/2", Some("3"), None),
            ("A@best", Some("3"), None),
        ] {
            assert_eq!(join(name, version).ok().as_deref(), expected, "{name} {version:?}");
        }
        for good in ["2", "staging", "Production", "LATEST"] {
            version_word(good).unwrap();
        }
        assert_eq!(
            version_word("v2").unwrap_err().hint().unwrap().to_string().split(',').next(),
            Some("write 2")
        );
    }

    #[test]
    fn a_split_is_named_in_the_name_or_by_the_flag() {
        let join = |name: &str, split: Option<&str>| {
            SplitFlag { split: split.map(str::to_owned) }.join(name).ok()
        };
        for (name, split, expected) in [
            ("imdb", None, Some("imdb")),
            ("imdb.test", None, Some("imdb.test")),
            ("imdb", Some("test"), Some("imdb.test")),
            ("imdb.test", Some("test"), Some("imdb.test")),
            ("imdb.test", Some("train"), None),
        ] {
            assert_eq!(join(name, split).as_deref(), expected, "{name} {split:?}");
        }
        assert_eq!(whole("imdb").unwrap(), "imdb");
        assert_eq!(whole("imdb.test").unwrap_err().hint().unwrap(), &"write imdb");
    }
}
