//! Names of datasets and of their splits: `imdb`, `imdb.train`, `imdb.test`.

use super::sql_word::is_sql_word;
use crate::{
    error::{Error, ErrorKind, Result},
    reserved::TABLES,
};

/// Tables that SQL already knows under these names, so no dataset may bear them.
pub const RESERVED_NAMES: [&str; TABLES.len()] = TABLES;

/// The splits of every dataset, in the order in which they are stored and shown.
pub(super) const SPLIT_NAMES: [&str; 2] = ["train", "test"];

const MAX_LEN_CHARS: usize = 64;

/// Checks that a new dataset can be called `name`: well formed as [`check_known_name`] says, and
/// nothing else's name: neither a table's nor a word's that SQL has a use of its own for.
pub(super) fn check_name(name: &str) -> Result<()> {
    check_known_name(name)?;
    if RESERVED_NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(Error::invalid(format!("dataset name {name:?} is a table of the registry"))
            .with_hint(format!("choose another name than {}", RESERVED_NAMES.join(", "))));
    }
    if is_sql_word(name) {
        return Err(Error::invalid(format!("dataset name {name:?} is a word of SQL")).with_hint(
            format!("choose another name, such as `my_{}`", name.to_ascii_lowercase()),
        ));
    }
    Ok(())
}

/// Checks that `name` can be that of a dataset in the store, from a time perhaps when more names were
/// allowed: it begins with an ASCII letter, goes on with ASCII letters, digits, `_` and `-`, and has
/// at most 64 characters.
pub(super) fn check_known_name(name: &str) -> Result<()> {
    let invalid = |reason: String| {
        Err(Error::invalid(format!("dataset name {name:?} {reason}")).with_hint(
            "a name begins with a letter and goes on with letters, digits, `_` and `-`, \
             at most 64 characters",
        ))
    };
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return invalid("does not begin with a letter from a to z".into());
    }
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-".contains(*c))) {
        return invalid(format!("contains {bad:?}"));
    }
    if name.len() > MAX_LEN_CHARS {
        return invalid(format!("has {} characters", name.len()));
    }
    Ok(())
}

/// Takes `imdb.train` apart into the dataset and, where one is named, its split.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a split that is neither `train` nor `test`.
pub(super) fn parse_reference(reference: &str) -> Result<(&str, Option<&str>)> {
    match reference.split_once('.') {
        None => Ok((reference, None)),
        Some((dataset, split)) => Ok((dataset, Some(check_split(dataset, split)?))),
    }
}

/// `split` itself, when it is one.
pub(super) fn check_split<'a>(dataset: &str, split: &'a str) -> Result<&'a str> {
    if SPLIT_NAMES.contains(&split) {
        return Ok(split);
    }
    Err(Error::new(ErrorKind::NotFound, format!("dataset {dataset:?} has no split {split:?}"))
        .with_hint("the splits are `train` and `test`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass_and_bad_ones_say_why() {
        for good in ["imdb", "IMDB_50k", "my-data", "a", &"x".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for (bad, reason) in [
            ("", "does not begin with a letter"),
            ("1st", "does not begin with a letter"),
            (".hidden", "does not begin with a letter"),
            ("../up", "does not begin with a letter"),
            ("a/b", "contains '/'"),
            ("imdb.train", "contains '.'"),
            ("größe", "contains 'ö'"),
            ("runs", "is a table of the registry"),
            ("Models", "is a table of the registry"),
            ("audit", "is a table of the registry"),
            ("from", "is a word of SQL"),
            ("Table", "is a word of SQL"),
            (&"x".repeat(65), "has 65 characters"),
        ] {
            let error = check_name(bad).unwrap_err();
            assert!(
                error.to_string().contains(reason) && error.hint().is_some(),
                "{bad}: {error:?}"
            );
        }
    }

    #[test]
    fn names_that_were_allowed_once_are_still_known() {
        for name in RESERVED_NAMES.into_iter().chain(["from", "my-data"]) {
            check_known_name(name).unwrap();
        }
        assert!(check_known_name("../up").is_err());
    }

    #[test]
    fn a_reference_names_a_dataset_and_perhaps_a_split() {
        assert_eq!(parse_reference("imdb").unwrap(), ("imdb", None));
        assert_eq!(parse_reference("imdb.test").unwrap(), ("imdb", Some("test")));
        assert_eq!(parse_reference("imdb.dev").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
