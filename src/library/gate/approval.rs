//! Approving a version with an API key: the key's secret proves who approves, and the audit trail keeps
//! the key's name. A key that was revoked or expired since approves nothing any more.

use serde_json::json;

use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    registry::{AuditAction, AuditQuery, KeyState, ModelVersion, Registry, digest},
};

/// The field of an approval's details in the audit trail.
const FIELD: &str = "approved_with";

/// Approves a version with the API key that `secret` is: its name, which policies ask for.
///
/// # Errors
/// [`ErrorKind::NotFound`] for an unknown version, [`ErrorKind::Invalid`] for a secret that is no key
/// of this store or one that is not in force.
pub fn approve(
    registry: &Registry,
    model: &str,
    version: u32,
    secret: &str,
    now_ms: i64,
) -> Result<String> {
    let subject = registry.version(model, version)?;
    let sha256 = digest(secret.trim());
    let Some(key) = registry.keys()?.into_iter().find(|key| key.sha256 == sha256) else {
        return Err(Error::invalid("the key is none of this store's").with_hint(
            Hint::from("give the secret that ").run("keys add NAME").say(" showed once"),
        ));
    };
    let state = key.state(now_ms);
    if state != KeyState::Active {
        let message = format!("key {:?} is {}: it approves nothing", key.name, state.as_str());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let details = json!({FIELD: key.name, "run_id": subject.run_id});
    let acting = registry.acting_as(&key.name);
    acting.update_outside(&subject.reference().to_string(), details, || Ok(()))?;
    tracing::info!(model, version, key = key.name, "approved");
    Ok(key.name)
}

/// The names of the keys in force with which `version` was approved.
///
/// # Errors
/// When the registry cannot be read.
pub(super) fn approvals(
    registry: &Registry,
    version: &ModelVersion,
    now_ms: i64,
) -> Result<Vec<String>> {
    let subject = version.reference().to_string();
    let keys = registry.keys()?;
    let is_active = |name: &str| {
        keys.iter().any(|key| key.name == name && key.state(now_ms) == KeyState::Active)
    };
    let mut names: Vec<String> = registry
        .audit(&AuditQuery::default())?
        .into_iter()
        .filter(|event| event.action == AuditAction::Update && event.subject == subject)
        // A deleted version's number may be another one's now.
        .filter(|event| event.details["run_id"] == version.run_id.as_str())
        .filter_map(|event| Some(event.details[FIELD].as_str()?.to_owned()))
        .filter(|name| is_active(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        registry::{Lineage, NewKey, NewRun, NewVersion, Scope},
        store::Store,
    };

    #[test]
    fn a_key_in_force_approves_and_a_revoked_one_does_not_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        let new = NewRun { experiment_id: "0".to_owned(), ..NewRun::default() };
        let run_id = registry.create_run(new).unwrap().run_id;
        let file = registry.log_artifact(&run_id, "w", b"abc").unwrap();
        let new = NewVersion {
            model: "M".to_owned(),
            run_id,
            files: vec![file],
            lineage: Lineage::default(),
            metrics: std::collections::BTreeMap::new(),
            created_ms: 0,
        };
        let version = registry.create_version(new).unwrap();
        let new =
            |name: &str| NewKey { name: name.to_owned(), scope: Scope::Read, expires_ms: None };
        let made = registry.add_key(new("release")).unwrap();
        let now_ms = made.key.created_ms;
        let approved = || approvals(&registry, &version, now_ms).unwrap();
        assert!(approved().is_empty());
        let error = approve(&registry, "M", 1, "tbk_wrong", now_ms).unwrap_err();
        assert_eq!(error.to_string(), "the key is none of this store's");
        for _ in 0..2 {
            let name = approve(&registry, "M", 1, &format!("{}\n", made.secret), now_ms).unwrap();
            assert_eq!(name, "release");
        }
        assert_eq!(approved(), ["release"]);
        assert_eq!(registry.audit(&AuditQuery::default()).unwrap()[0].who, "release");
        assert!(approve(&registry, "M", 7, &made.secret, now_ms).is_err());
        registry.revoke_key("release").unwrap();
        assert!(approved().is_empty());
        let error = approve(&registry, "M", 1, &made.secret, i64::MAX).unwrap_err();
        assert_eq!(error.to_string(), "key \"release\" is revoked: it approves nothing");
    }
}
