//! Policies in the store: every content ever set is kept as `policies/<sha256>.toml`, and
//! `policies/current` names the one that holds. Setting one is in the audit trail, in the transaction
//! that promotions wait for.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::checks::PolicyChecks;
use crate::{
    error::{Error, ErrorKind, Result},
    figure::{hex, short},
    hint::Hint,
    registry::Registry,
    store::{Store, write_atomically},
};

/// The largest policy that is read.
const MAX_BYTES: u64 = 64 << 10;
/// The audit trail's name of what is changed.
const SUBJECT: &str = "gate policy";

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
        Ok(Self { sha256: hex(&Sha256::digest(text.as_bytes())), text: text.to_owned(), checks })
    }

    /// The policy in a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or no text, and what [`PolicyChecks::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        let context = |error: Error| error.with_context(format!("policy {path:?}"));
        Self::parse(&read_text(path)?).map_err(context)
    }

    /// The policy that holds in `store`; none is the default rule.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is not there or not what was set, and when the system refuses.
    pub fn current(store: &Store) -> Result<Option<Self>> {
        let Some(sha256) = Self::current_sha256(store)? else { return Ok(None) };
        Self::kept(store, &sha256).map(Some)
    }

    /// The digest of the policy that holds in `store`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a name that is none, and when the system refuses.
    pub fn current_sha256(store: &Store) -> Result<Option<String>> {
        let path = store.policies_dir().join("current");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let sha256 = text.trim_end();
        if is_digest(sha256) {
            return Ok(Some(sha256.to_owned()));
        }
        Err(damaged(&path, "it names no policy"))
    }

    /// The policy of this digest, as it was set once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a digest that was never set, [`ErrorKind::Corrupt`] for a file that
    /// is not what was set.
    pub fn kept(store: &Store, sha256: &str) -> Result<Self> {
        let unknown = || {
            Error::new(ErrorKind::NotFound, format!("no policy {sha256:?} was ever set"))
                .with_hint(Hint::new().run("audit").say(" lists every change of the policy"))
        };
        if !is_digest(sha256) {
            return Err(unknown());
        }
        let path = store.policies_dir().join(format!("{sha256}.toml"));
        if !path.exists() {
            return Err(unknown());
        }
        let text = read_text(&path)?;
        if hex(&Sha256::digest(text.as_bytes())) != sha256 {
            return Err(damaged(&path, "its text is another one than was set"));
        }
        Self::parse(&text).map_err(|error| error.with_context(format!("policy {path:?}")))
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
        let store = registry.store();
        let former = Self::current_sha256(store)?;
        if former.as_deref() == Some(&self.sha256) {
            return Ok(false);
        }
        let dir = store.policies_dir();
        store.make_dir(&dir)?;
        write_atomically(&dir.join(format!("{}.toml", self.sha256)), self.text.as_bytes())?;
        let details = json!({"policy": self.sha256, "former": former});
        registry.update_outside(SUBJECT, details, || {
            write_atomically(&dir.join("current"), self.sha256.as_bytes())
        })?;
        tracing::info!(policy = short(&self.sha256), "policy of the gate set");
        Ok(true)
    }
}

fn read_text(path: &Path) -> Result<String> {
    let fail = |source| Error::io("read the policy", path, source);
    let n_bytes = fs::metadata(path).map_err(fail)?.len();
    if n_bytes > MAX_BYTES {
        return Err(Error::invalid(format!(
            "policy {path:?} has {n_bytes} bytes: at most {MAX_BYTES} are read"
        )));
    }
    let bytes = fs::read(path).map_err(fail)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::invalid(format!("policy {path:?} is no UTF-8 text")))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("policy {path:?} is damaged: {what}"))
        .with_hint(Hint::new().run("gate policy set FILE").say(" sets one anew"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::AuditQuery;

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
