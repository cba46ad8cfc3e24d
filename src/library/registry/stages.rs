//! Moving versions between stages, with two promises that hold in every transaction: a model has
//! at most one Production version, and every move is in the version's history and the audit trail.
//!
//! A model remembers which versions were Production, as a stack. A version that leaves Production
//! in any way but a rollback is pushed. A rollback pops: after promoting 1, 2, 3 a first rollback
//! gives 2, a second one 1, a third is refused. Promoting starts from there.

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    record::{ModelVersion, RollbackRecord, Stage, StageChange},
    registered::{existing, existing_model, newest_in},
    tables::{MODELS, VERSIONS, version_key},
    transaction::{RowsMut as _, WriteTxn},
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
};

/// The reasons for a move, which are kept; only the gate gives them.
#[derive(Debug)]
pub struct Grounds {
    /// The person and the reason, for the version's history.
    pub(crate) note: String,
    /// The objection that was overruled.
    pub(crate) overruled: Option<String>,
}

impl Registry {
    /// Moves a version to `stage` if `permit` allows it: it sees the version and the present
    /// Production version inside the transaction that moves the one and archives the other, so
    /// nothing can change in between. It returns the grounds, or the error that refuses the move.
    ///
    /// Moving to Production archives the former Production version in the same transaction and
    /// remembers it for [`Registry::rollback`]. Only the gate makes moves, so none goes past it: see
    /// [`gate::promote`](crate::gate::promote).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if it is in that stage already,
    /// [`ErrorKind::Corrupt`] if it is to serve and a file of it is not in the store, and whatever
    /// `permit` returns.
    pub(crate) fn set_stage(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: impl FnOnce(&ModelVersion, Option<&ModelVersion>) -> Result<Grounds>,
    ) -> Result<ModelVersion> {
        let at_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut stored = existing_model(txn, model)?;
            let present = existing(txn, model, version)?;
            if present.stage == stage {
                return Err(Fault::Ours(Error::new(
                    ErrorKind::Conflict,
                    format!("version {version} of model {model:?} is in {stage} already"),
                )));
            }
            self.check_servable(&present, stage)?;
            let production = newest_in(txn, model, Stage::Production)?;
            let grounds = permit(&present, production.as_ref())?;
            if present.stage == Stage::Production {
                stored.former_production.push(version);
            }
            if stage == Stage::Production
                && let Some(former) = production
            {
                stored.former_production.push(former.version);
                let note = format!("version {version} took its place: {}", grounds.note);
                let grounds = Grounds { note, overruled: None };
                self.shift(txn, former, Stage::Archived, at_ms, (AuditAction::Archive, grounds))?;
            }
            let action = match stage {
                Stage::Production if grounds.overruled.is_some() => AuditAction::Force,
                Stage::Production | Stage::Staging => AuditAction::Promote,
                Stage::Archived => AuditAction::Archive,
                Stage::None => AuditAction::Demote,
            };
            stored.updated_ms = at_ms;
            txn.put(MODELS, model.as_bytes(), &stored)?;
            let moved = self.shift(txn, present, stage, at_ms, (action, grounds))?;
            self.settle_release(txn, model, at_ms)?;
            Ok(moved)
        })
    }

    /// The version that was Production before the present one becomes Production again, and the
    /// present one is archived, in one transaction. Repeated, it goes further back.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist, [`ErrorKind::Conflict`] if no version
    /// is in Production or none was before, [`ErrorKind::Corrupt`] if a file of the former version
    /// is not in the store.
    pub(crate) fn rollback(&self, model: &str, note: &str) -> Result<RollbackRecord> {
        let at_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut stored = existing_model(txn, model)?;
            let refuse = |what: &str, hint: Hint| {
                let message = format!("model {model:?} {what}");
                Fault::Ours(Error::new(ErrorKind::Conflict, message).with_hint(hint))
            };
            let promote = Hint::from("promote one with ")
                .run(CommandLine::new("promote").arg(model).written("VERSION"));
            let Some(present) = newest_in(txn, model, Stage::Production)? else {
                return Err(refuse("has no version in Production", promote));
            };
            let target = loop {
                // A version can be on the stack twice, and the present one may be among them.
                match stored.former_production.pop() {
                    Some(number) if number != present.version => break number,
                    Some(_) => {}
                    None => {
                        let what = "has no earlier Production version to go back to";
                        return Err(refuse(what, promote));
                    }
                }
            };
            let target = existing(txn, model, target)?;
            self.check_servable(&target, Stage::Production)?;
            let (from, to) = (present.version, target.version);
            stored.updated_ms = at_ms;
            txn.put(MODELS, model.as_bytes(), &stored)?;
            let grounds = |note: String| Grounds { note, overruled: None };
            let left = grounds(format!("rolled back to version {to}: {note}"));
            let back = grounds(format!("rolled back from version {from}: {note}"));
            let (archive, rollback) = (AuditAction::Archive, AuditAction::Rollback);
            let rolled_back = RollbackRecord {
                from: self.shift(txn, present, Stage::Archived, at_ms, (archive, left))?,
                to: self.shift(txn, target, Stage::Production, at_ms, (rollback, back))?,
            };
            self.settle_release(txn, model, at_ms)?;
            Ok(rolled_back)
        })
    }

    /// The versions that were in Production, oldest first: what rollbacks go back to.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist.
    pub fn former_production(&self, model: &str) -> Result<Vec<u32>> {
        self.database.read(|txn| Ok(existing_model(txn, model)?.former_production))
    }

    /// The version that a rollback would bring back, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist.
    pub fn rollback_target(&self, model: &str) -> Result<Option<u32>> {
        self.database.read(|txn| {
            let stored = existing_model(txn, model)?;
            let present = newest_in(txn, model, Stage::Production)?;
            Ok(present.and_then(|present| {
                let mut former = stored.former_production.into_iter().rev();
                former.find(|number| *number != present.version)
            }))
        })
    }

    /// A version that is about to serve must have its files.
    pub(super) fn check_servable(&self, version: &ModelVersion, stage: Stage) -> Result<(), Fault> {
        if !matches!(stage, Stage::Staging | Stage::Production) {
            return Ok(());
        }
        match self.absent(&version.files)? {
            Some(file) => Err(Fault::Ours(
                Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "version {} of model {:?} cannot serve: {} is missing or has the wrong length",
                        version.version, version.model, file.path
                    ),
                )
                .with_hint(Hint::new().run("store verify").say(" lists all damage")),
            )),
            _ => Ok(()),
        }
    }

    /// Writes a version with its new stage, the step in its history, and the event of the step.
    fn shift(
        &self,
        txn: &WriteTxn,
        mut version: ModelVersion,
        to: Stage,
        at_ms: i64,
        (action, grounds): (AuditAction, Grounds),
    ) -> Result<ModelVersion, Fault> {
        let from = version.stage;
        let note = grounds.note.trim_end_matches([':', ' ']).to_owned();
        let mut details = json!({"from": from, "to": to, "note": note});
        if let Some(overruled) = grounds.overruled {
            details["overruled"] = overruled.into();
        }
        audit::append(txn, &self.event(action, &version.reference().to_string(), at_ms, details))?;
        version.history.push(StageChange { from, to, at_ms, note });
        version.stage = to;
        txn.put(VERSIONS, &version_key(&version.model, version.version), &version)?;
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        registry::{Lineage, NewRun, NewVersion},
        store::Store,
    };

    #[test]
    fn a_move_is_decided_inside_its_transaction_and_a_refusal_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        let new = NewRun { experiment_id: "0".to_owned(), ..NewRun::default() };
        let run_id = registry.create_run(new).unwrap().run_id;
        let file = registry.log_artifact(&run_id, "w", b"abc").unwrap();
        for created_ms in 0..2 {
            let new = NewVersion {
                model: "M".to_owned(),
                run_id: run_id.clone(),
                files: vec![file.clone()],
                lineage: Lineage::default(),
                metrics: BTreeMap::new(),
                created_ms,
            };
            registry.create_version(new).unwrap();
        }
        let grounds = |note: &str| Grounds { note: note.to_owned(), overruled: None };
        let serve = |version, note: &str| {
            registry.set_stage("M", version, Stage::Production, |_, _| Ok(grounds(note)))
        };
        serve(1, "first").unwrap();
        let again = serve(1, "again").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        assert_eq!(again.to_string(), "version 1 of model \"M\" is in Production already");

        let before =
            (registry.versions("M").unwrap(), registry.audit(&Default::default()).unwrap());
        let refused = registry.set_stage("M", 2, Stage::Production, |subject, production| {
            assert_eq!((subject.version, production.map(|version| version.version)), (2, Some(1)));
            Err(Error::new(ErrorKind::Blocked, "no"))
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Blocked);
        let after = (registry.versions("M").unwrap(), registry.audit(&Default::default()).unwrap());
        assert_eq!(after, before);
    }
}
