//! The behaviour tests of a dataset in the store: every content ever set is kept beside the policies,
//! and `policies/behaviour-<dataset>` names the one that holds. They belong to the dataset's name: they
//! stay when it is removed and added again.

use std::path::Path;

use serde::Serialize;

use super::text_shelf::{TextShelf, digest};
use crate::{
    error::{Error, Result},
    evaluate::BehaviourSuite,
    registry::Registry,
    store::Store,
};

/// Behaviour tests out of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredBehaviour {
    /// Lower-case hex of the SHA-256 of `text`.
    pub sha256: String,
    /// The file's text.
    pub text: String,
    /// Its tests.
    #[serde(flatten)]
    pub suite: BehaviourSuite,
}

fn shelf(dataset: &str) -> TextShelf {
    TextShelf {
        what: "behaviour file",
        current: format!("behaviour-{dataset}"),
        subject: format!("behaviour tests of {dataset}"),
        detail: "behaviour",
        setter: "data behaviour set NAME FILE",
    }
}

impl StoredBehaviour {
    /// The tests that `text` is.
    ///
    /// # Errors
    /// As [`BehaviourSuite::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        let suite = BehaviourSuite::parse(text)?;
        Ok(Self { sha256: digest(text), text: text.to_owned(), suite })
    }

    /// The tests in a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or no text, and what [`BehaviourSuite::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        let context = |error: Error| error.with_context(format!("behaviour file {path:?}"));
        Self::parse(&shelf("").read_text(path)?).map_err(context)
    }

    /// The tests built in for a model of `classes`, where these are those of sentiment.
    pub fn built_in(classes: &[String]) -> Option<Self> {
        let suite = BehaviourSuite::sentiment(classes)?;
        let text = BehaviourSuite::SENTIMENT.to_owned();
        Some(Self { sha256: digest(&text), text, suite })
    }

    /// The tests that were set for `dataset`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Corrupt`] when they are not there or not what was set, and when the
    /// system refuses.
    pub fn of_dataset(store: &Store, dataset: &str) -> Result<Option<Self>> {
        let shelf = shelf(dataset);
        let Some(sha256) = shelf.current_sha256(store)? else { return Ok(None) };
        shelf.kept(store, &sha256, Self::parse).map(Some)
    }

    /// Makes them the tests of `dataset` in the store of `registry`. False if they are that already.
    ///
    /// # Errors
    /// When the system or the registry refuses; then the former ones hold.
    pub fn set(&self, registry: &Registry, dataset: &str) -> Result<bool> {
        shelf(dataset).set(registry, &self.sha256, &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, registry::AuditQuery};

    const ONE: &str =
        "[[test]]\nname = 'a'\nkind = 'minimum_functionality'\nexpected = 'b'\ntexts = ['x']\n";

    #[test]
    fn each_dataset_has_its_own_tests_and_changes_are_in_the_trail() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        let store = registry.store();
        let (one, other) = (
            StoredBehaviour::parse(ONE).unwrap(),
            StoredBehaviour::parse(&ONE.replace("'x'", "'y'")).unwrap(),
        );
        assert!(one.set(&registry, "first").unwrap());
        assert!(!one.set(&registry, "first").unwrap(), "they hold already");
        assert!(other.set(&registry, "second").unwrap());
        assert_eq!(StoredBehaviour::of_dataset(store, "first").unwrap(), Some(one.clone()));
        assert_eq!(StoredBehaviour::of_dataset(store, "second").unwrap(), Some(other));
        assert_eq!(StoredBehaviour::of_dataset(store, "third").unwrap(), None);
        let events = registry.audit(&AuditQuery::default()).unwrap();
        let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
        assert_eq!(subjects, ["behaviour tests of second", "behaviour tests of first"]);
        std::fs::write(store.policies_dir().join(format!("{}.toml", one.sha256)), "x").unwrap();
        let error = StoredBehaviour::of_dataset(store, "first").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}
