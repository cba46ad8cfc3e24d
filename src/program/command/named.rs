//! Names on the command line, for every command: a version of a model in one word, `NAME/2`, or in two,
//! `NAME 2`; a split of a dataset as `imdb.test` or `imdb --split test`. What a reference is, the library
//! says; this adds the word of its own and `2` alone.

use clap::Args;
use trialbook::{
    error::{Error, Result},
    hint::{CommandLine, Hint},
    registry::{ModelReference, VersionSelector},
};

use super::Session;

/// The help of a model, or of a version that is not left open.
macro_rules! model_forms {
    ($more:literal) => {
        concat!(
            "The model: NAME, NAME/2, NAME/Staging, NAME/latest or NAME@alias, also with models:/ in front; \
             NAME 2 is NAME/2, and 2 alone is version 2 of the one model in production",
            $more
        )
    };
}
/// The help of a version to read in one word: what NAME alone means.
macro_rules! version_word_forms {
    ($more:literal) => {
        concat!(
            "The model: NAME (its Production version, or the newest if none is in Production), NAME/2, \
             NAME/Staging, NAME/latest or NAME@alias, also with models:/ in front; 2 alone is version 2 of \
             the one model in production",
            $more
        )
    };
}
/// The same where the version may be a word of its own.
macro_rules! version_read_forms {
    ($more:literal) => {
        concat!(
            "The model: NAME (its Production version, or the newest if none is in Production), NAME/2, \
             NAME/Staging, NAME/latest or NAME@alias, also with models:/ in front; NAME 2 is NAME/2, and 2 \
             alone is version 2 of the one model in production",
            $more
        )
    };
}
/// The help of the word behind it.
macro_rules! version_forms {
    ($more:literal) => {
        concat!("The version, if the word before it does not name one: 2, Staging, latest", $more)
    };
}
pub(super) use {model_forms, version_forms, version_read_forms, version_word_forms};

/// The model that `given` names or, where nothing does, the one that is meant then.
pub(super) fn model_or_default(
    session: &Session,
    given: Option<&String>,
) -> Result<ModelReference> {
    match given {
        Some(given) => reference(session, given, None),
        None => session.book.tracker()?.default_model().map(ModelReference::new),
    }
}

/// The registered model that `given` names, and the number of the version where it names one: `NAME`, `NAME/2`,
/// `NAME/Staging`, `NAME@alias`. NAME alone is all of its versions.
///
/// # Errors
/// When there is no such model or version.
pub(super) fn model_and_version(
    session: &Session,
    given: Option<&String>,
) -> Result<(Option<String>, Option<u32>)> {
    let Some(given) = given else { return Ok((None, None)) };
    let reference = reference(session, given, None)?;
    let tracker = session.book.tracker()?;
    Ok(match reference.version {
        VersionSelector::Default => (Some(tracker.model(&reference.model)?.name), None),
        _ => {
            let found = tracker.resolve(&reference)?;
            (Some(found.model), Some(found.version))
        }
    })
}

/// The split of a dataset, where the dataset's name does not say it.
#[derive(Debug, Clone, Args)]
pub(super) struct SplitFlag {
    /// The split, train or test, if the name of the dataset does not include it (NAME.test)
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
}

impl SplitFlag {
    /// True if a split is named.
    pub(super) fn is_given(&self) -> bool {
        self.split.is_some()
    }

    /// The split that the flag names.
    pub(super) fn named(&self) -> Option<&str> {
        self.split.as_deref()
    }

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

    /// The dataset that `name` names, if it does, and the split: `test` where neither says it. A split
    /// may be named without its dataset.
    ///
    /// # Errors
    /// As [`SplitFlag::join`].
    pub(super) fn apart(&self, name: Option<&str>) -> Result<(Option<String>, String)> {
        let named = self.join(name.unwrap_or_default())?;
        let (dataset, split) = named.split_once('.').unwrap_or((&named, "test"));
        Ok(((!dataset.is_empty()).then(|| dataset.to_owned()), split.to_owned()))
    }
}

/// The name of a dataset that is meant as a whole.
///
/// # Errors
/// When it names one split.
pub(super) fn whole(name: &str) -> Result<&str> {
    match name.split_once('.') {
        Some(("", "train" | "test")) => {
            Err(Error::invalid(format!("{name:?} names a split, and no dataset"))
                .with_hint("write the name of a dataset"))
        }
        Some((dataset, "train" | "test")) => {
            Err(Error::invalid(format!("{name:?} is one split, and this command takes a dataset"))
                .with_hint(format!("write {dataset}")))
        }
        _ => Ok(name),
    }
}

/// `NAME` and `2` as `NAME/2`.
///
/// # Errors
/// When `name` is no reference, and when both name a version.
fn join(name: &str, version: Option<&VersionSelector>) -> Result<ModelReference> {
    let reference: ModelReference = name.parse()?;
    match version {
        None => Ok(reference),
        Some(version) if !reference.is_bare() => {
            Err(Error::invalid(format!("{name:?} names a version, and {version} another"))
                .with_hint("write NAME/2 or NAME 2"))
        }
        Some(version) => Ok(ModelReference { version: version.clone(), ..reference }),
    }
}

/// The reference that `name` and `version` spell; `2` alone is a version of the one model in
/// production, unless a model has this name.
///
/// # Errors
/// As [`join`], and when no model is the only one in production.
pub(super) fn reference(
    session: &Session,
    name: &str,
    version: Option<&VersionSelector>,
) -> Result<ModelReference> {
    if version.is_none()
        && let Ok(number) = name.parse::<u32>()
    {
        let registry = session.book.tracker()?;
        if registry.model(name).is_err() {
            return Ok(ModelReference::numbered(registry.default_model()?, number));
        }
    }
    join(name, version)
}

/// The model and the number of its version that `name` and `version` spell, for a command that changes
/// the version: it has to be named.
///
/// # Errors
/// When neither of them says which version, and [`trialbook::ErrorKind::NotFound`] for a stage or an alias
/// that no version has.
pub(super) fn version(
    session: &Session,
    name: &str,
    version: Option<&VersionSelector>,
) -> Result<(String, u32)> {
    let reference = reference(session, name, version)?;
    match reference.version {
        VersionSelector::Default => {
            let name = reference.model;
            Err(Error::invalid(format!("which version of {name}?")).with_hint(
                Hint::from(format!("write {name}/2 or {name} 2; "))
                    .run(CommandLine::new("models show").arg(&name))
                    .say(" has them all"),
            ))
        }
        VersionSelector::Number(number) => Ok((reference.model, number)),
        _ => {
            let found = session.book.tracker()?.resolve(&reference)?;
            Ok((found.model, found.version))
        }
    }
}

/// The word that says which version: a number, a stage, or `latest`.
///
/// # Errors
/// Anything else.
pub(super) fn version_word(text: &str) -> Result<VersionSelector> {
    text.parse()
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
            let word = version.map(|version| version_word(version).unwrap());
            let joined = join(name, word.as_ref()).ok().map(|reference| reference.to_string());
            assert_eq!(joined.as_deref(), expected, "{name} {version:?}");
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
        let apart = |name: Option<&str>, split: Option<&str>| {
            let (dataset, split) =
                SplitFlag { split: split.map(str::to_owned) }.apart(name).unwrap();
            (dataset.unwrap_or_default(), split)
        };
        let owned = |dataset: &str, split: &str| (dataset.to_owned(), split.to_owned());
        assert_eq!(apart(None, None), owned("", "test"));
        assert_eq!(apart(None, Some("train")), owned("", "train"));
        assert_eq!(apart(Some("imdb"), None), owned("imdb", "test"));
        assert_eq!(apart(Some("imdb.train"), None), owned("imdb", "train"));
        assert_eq!(whole("imdb").unwrap(), "imdb");
        assert_eq!(whole("imdb.test").unwrap_err().hint().unwrap(), &"write imdb");
        let nameless = whole(".test").unwrap_err();
        assert_eq!(nameless.hint().unwrap(), &"write the name of a dataset");
    }
}
