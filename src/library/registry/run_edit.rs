//! Changes of a run by people: its name and its tags, each with an event in the audit
//! trail. What a program logs to its own run is `runs`' business.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock, names,
    record::Run,
    runs::live,
    tables::{RUNS, run_key},
    transaction::RowsMut as _,
};
use crate::error::{Error, ErrorKind, Result};

/// A change of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunEdit {
    /// Another name.
    pub name: Option<String>,
    /// Tags with the value that each was seen with and the value it gets; none where it is not there.
    pub tags: BTreeMap<String, TagEdit>,
}

/// A change of a tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagEdit {
    /// The value it was seen with; none where it was not there.
    pub seen: Option<String>,
    /// The value it gets; none removes it.
    pub value: Option<String>,
}

impl Registry {
    /// Changes a live run in one transaction. Nothing is changed unless every tag is as it was seen, so
    /// that of two people who change the same tag neither overwrites the other unawares.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for a tag that has another value by now and for a deleted run,
    /// [`ErrorKind::Invalid`] for a name, key or value beyond the limits, [`ErrorKind::NotFound`].
    pub fn edit_run(&self, run_id: &str, edit: &RunEdit) -> Result<Run> {
        if let Some(name) = &edit.name {
            names::check_name("run", name)?;
        }
        for (tag, TagEdit { value, .. }) in &edit.tags {
            names::check_tag(tag, value.as_deref().unwrap_or_default())?;
            if tag == names::NAME_TAG {
                return Err(Error::invalid(format!("the tag {tag} is the run's name"))
                    .with_hint("give the run another name instead"));
            }
        }
        let key = run_key(run_id)?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let mut run = live(txn, &key)?;
            if let Some(name) = edit.name.as_ref().filter(|name| **name != run.name) {
                let details = json!({"from": run.name, "to": name});
                audit::append(txn, &self.event(AuditAction::Rename, run_id, now_ms, details))?;
                run.name.clone_from(name);
            }
            for (tag, TagEdit { seen, value }) in &edit.tags {
                let present = run.tags.get(tag);
                if present == value.as_ref() {
                    continue;
                }
                if present != seen.as_ref() {
                    let message = format!("tag {tag:?} of run {run_id:?} was changed meanwhile");
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_hint("open the run again and repeat the change")
                        .into());
                }
                match value {
                    Some(value) => run.tags.insert(tag.clone(), value.clone()),
                    None => run.tags.remove(tag),
                };
                let details = json!({"tag": tag, "value": value});
                audit::append(txn, &self.event(AuditAction::Update, run_id, now_ms, details))?;
            }
            txn.put(RUNS, &key, &run)?;
            Ok(run.into_run(run_id.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        registry::{AuditEvent, AuditQuery, Lifecycle, NewRun},
        store::Store,
    };

    fn tag(tag: &str, seen: Option<&str>, value: Option<&str>) -> RunEdit {
        let edit = TagEdit { seen: seen.map(str::to_owned), value: value.map(str::to_owned) };
        RunEdit { tags: BTreeMap::from([(tag.to_owned(), edit)]), ..RunEdit::default() }
    }

    #[test]
    fn a_change_of_a_run_is_audited_and_never_overwrites_one_that_was_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap().acting_as("ada");
        let experiment_id = registry.experiment("e").unwrap().experiment_id;
        let new = NewRun { experiment_id, name: Some("a".to_owned()), ..NewRun::default() };
        let id = registry.create_run(new).unwrap().run_id;
        let tags = || registry.run(&id).unwrap().tags;

        registry.edit_run(&id, &tag("k", None, Some("1"))).unwrap();
        let error = registry.edit_run(&id, &tag("k", None, Some("2"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(tags()["k"], "1");
        // The same change twice is one change.
        registry.edit_run(&id, &tag("k", Some("0"), Some("1"))).unwrap();
        registry.edit_run(&id, &tag("k", Some("1"), None)).unwrap();
        assert!(tags().is_empty());
        let renamed = RunEdit { name: Some("b".to_owned()), ..RunEdit::default() };
        assert_eq!(registry.edit_run(&id, &renamed).unwrap().name, "b");
        registry.edit_run(&id, &renamed).unwrap();

        let events = registry.audit(&AuditQuery::default()).unwrap();
        let told = events.iter().map(|AuditEvent { who, action, subject, details, .. }| {
            assert_eq!((who.as_str(), subject), ("ada", &id));
            (*action, details["value"].as_str().or(details["to"].as_str()).map(str::to_owned))
        });
        let expected = [
            (AuditAction::Rename, Some("b".to_owned())),
            (AuditAction::Update, None),
            (AuditAction::Update, Some("1".to_owned())),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);

        for (wrong, kind) in [
            (tag("a//b", None, Some("1")), ErrorKind::Invalid),
            (tag("mlflow.runName", None, Some("c")), ErrorKind::Invalid),
            (tag("k", None, Some(&"x".repeat(8_001))), ErrorKind::Invalid),
            (RunEdit { name: Some(String::new()), ..RunEdit::default() }, ErrorKind::Invalid),
        ] {
            assert_eq!(registry.edit_run(&id, &wrong).unwrap_err().kind(), kind, "{wrong:?}");
        }
        registry.delete_run(&id).unwrap();
        let error = registry.edit_run(&id, &tag("k", None, Some("1"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(registry.run_counts(Lifecycle::Live).unwrap().len(), 0);
        assert_eq!(registry.run_counts(Lifecycle::Deleted).unwrap().values().sum::<usize>(), 1);
    }
}
