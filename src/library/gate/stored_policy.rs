//! Policies in the store: every content ever set is kept as `policies/<sha256>.toml`, and
//! `policies/current` names the one that holds. Setting one is in the audit trail, in the transaction
//! that promotions wait for.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    checks::PolicyChecks,
    text_shelf::{TextShelf, digest},
};
use crate::{
    error::{Error, Result},
    registry::Registry,
    store::Store,
};

/// The shelf of policies.
fn shelf() -> TextShelf {
    TextShelf {
        what: "policy",
        current: "current".to_owned(),
        subject: "gate policy".to_owned(),
        detail: "policy",
        setter: "gate policy set FILE",
    }
}

/// A policy out of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredPolicy {
    /// Lower-case hex of the SHA-256 of `text`.
    pub sha256: String,
    /// The file's text.
    pub text: String,
    /// Its checks.
    pub checks: PolicyChecks,
}

/// The policy of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// SHA-256 of its text, under which the store keeps it.
    pub sha256: String,
}

impl StoredPolicy {
    /// The policy that `text` is.
    ///
    /// # Errors
    /// As [`PolicyChecks::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        let checks = PolicyChecks::parse(text)?;
        Ok(Self { sha256: digest(text), text: text.to_owned(), checks })
    }

    /// The policy in a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or no text, and what [`PolicyChecks::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        let context = |error: Error| error.with_context(format!("policy {path:?}"));
        Self::parse(&shelf().read_text(path)?).map_err(context)
    }

    /// The policy that holds in `store`; none is the default rule.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Corrupt`] when it is not there or not what was set, and when the system refuses.
    pub fn current(store: &Store) -> Result<Option<Self>> {
        let Some(sha256) = Self::current_sha256(store)? else { return Ok(None) };
        Self::kept(store, &sha256).map(Some)
    }

    /// The digest of the policy that holds in `store`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Corrupt`] for a name that is none, and when the system refuses.
    pub fn current_sha256(store: &Store) -> Result<Option<String>> {
        shelf().current_sha256(store)
    }

    /// The policy of this digest, as it was set once.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::NotFound`] for a digest that was never set,
    /// [`crate::error::ErrorKind::Corrupt`] for a file that is not what was set.
    pub fn kept(store: &Store, sha256: &str) -> Result<Self> {
        shelf().kept(store, sha256, Self::parse)
    }

    /// The policy of this digest, or of the one digest that begins with `reference`, at least 4 characters.
    ///
    /// # Errors
    /// As [`StoredPolicy::kept`], and [`crate::error::ErrorKind::Conflict`] when several begin with it.
    pub fn find(store: &Store, reference: &str) -> Result<Self> {
        Self::kept(store, &shelf().whole_digest(store, reference)?)
    }

    /// The part of it that a verdict keeps.
    pub(super) fn record(&self) -> PolicyRecord {
        PolicyRecord { sha256: self.sha256.clone() }
    }

    /// Makes it the policy that holds in the store of `registry`. False if it is that already.
    ///
    /// # Errors
    /// When the system or the registry refuses; then the former policy holds.
    pub fn set(&self, registry: &Registry) -> Result<bool> {
        shelf().set(registry, &self.sha256, &self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::{error::ErrorKind, registry::AuditQuery};

    fn registry() -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        (folder, registry)
    }

    #[test]
    fn every_policy_is_kept_and_each_change_is_in_the_trail() {
        let (_folder, registry) = registry();
        let store = registry.store();
        assert_eq!(StoredPolicy::current(store).unwrap(), None);
        let first = StoredPolicy::parse("[strict]\n").unwrap();
        let second = StoredPolicy::parse("[non_inferior]\nmargin = 0.01\n").unwrap();
        assert!(first.set(&registry).unwrap());
        assert!(!first.set(&registry).unwrap(), "it holds already");
        assert!(second.set(&registry).unwrap());
        assert_eq!(StoredPolicy::current(store).unwrap(), Some(second.clone()));
        assert_eq!(StoredPolicy::kept(store, &first.sha256).unwrap(), first);
        for n_chars in [4, 8, 64] {
            assert_eq!(StoredPolicy::find(store, &first.sha256[..n_chars]).unwrap(), first);
        }
        for reference in ["", &first.sha256[..3], "00000000"] {
            let error = StoredPolicy::find(store, reference).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
        let twin = format!("{}{}", &first.sha256[..8], "0".repeat(56));
        let twin = store.policies_dir().join(format!("{twin}.toml"));
        fs::write(&twin, "[strict]").unwrap();
        let error = StoredPolicy::find(store, &first.sha256[..8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        fs::remove_file(twin).unwrap();
        let events = registry.audit(&AuditQuery::default()).unwrap();
        let told: Vec<_> =
            events.iter().map(|event| (event.subject.as_str(), &event.details["former"])).collect();
        assert_eq!(told, [("gate policy", &json!(first.sha256)), ("gate policy", &json!(null))]);
        assert_eq!(events[0].details["policy"], second.sha256);
    }

    #[test]
    fn a_policy_that_was_edited_in_the_store_is_refused() {
        let (_folder, registry) = registry();
        let policy = StoredPolicy::parse("[strict]\n").unwrap();
        policy.set(&registry).unwrap();
        let dir = registry.store().policies_dir();
        fs::write(dir.join(format!("{}.toml", policy.sha256)), "[strict]\nlevel = \"warn\"")
            .unwrap();
        let error = StoredPolicy::current(registry.store()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        fs::write(dir.join("current"), "../../etc/passwd").unwrap();
        let error = StoredPolicy::current(registry.store()).unwrap_err();
        assert!(error.to_string().ends_with("it names no policy"), "{error}");
        for digest in ["", "../x", "ABC"] {
            let error = StoredPolicy::kept(registry.store(), digest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_is_named_where_it_is_no_policy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        assert!(StoredPolicy::read(&path).unwrap_err().to_string().contains("p.toml"));
        fs::write(&path, "[stict]").unwrap();
        let error = StoredPolicy::read(&path).unwrap_err().to_string();
        assert!(error.contains("p.toml") && error.contains("unknown check \"stict\""), "{error}");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(StoredPolicy::read(&path).unwrap_err().to_string().ends_with("is no UTF-8 text"));
    }
}
