//! Moves between stages on a server. A server knows no transaction over several requests: a move is
//! judged by what was just read, made, and read again; where somebody else came in between, that is an
//! error that says what is there now. History, and the way back, are kept in tags, unless the server keeps
//! them itself, as one of ours does.

use serde_json::json;

use super::{
    RemoteRegistry,
    client::{API, Repeat},
    tags::{FORMER_TAG, HISTORY_TAG, former_production, history_text},
    versions::newest_in,
};
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    registry::{
        record::{ModelVersion, Stage, StageChange},
        tracker::Permit,
    },
};

/// What a server of ours is told beside MLflow's own fields, which others pass over: the reason why its
/// gate is overruled, and that the move is a rollback.
const REASON_FIELD: &str = "trialbook_override_reason";
const ROLLBACK_FIELD: &str = "trialbook_rollback";

/// A move that was decided.
struct Move<'a> {
    subject: &'a ModelVersion,
    stage: Stage,
    /// The versions as they were read when it was decided.
    before: &'a [ModelVersion],
    note: String,
    /// The note of the version that leaves Production for it.
    note_of_former: String,
    field: Option<(&'static str, String)>,
}

impl RemoteRegistry {
    pub(super) fn move_version(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: &mut Permit<'_>,
    ) -> Result<ModelVersion> {
        let before = self.versions_of(model)?;
        let Some(subject) = before.iter().find(|found| found.version == version) else {
            // It says which there are.
            return self.version_numbered(model, version);
        };
        if subject.stage == stage {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("version {version} of model {model:?} is in {stage} already"),
            ));
        }
        let production = newest_in(before.clone(), Stage::Production);
        let grounds = permit(subject, production.as_ref())?;
        let mut former = self.former(model)?;
        let leaves = match stage {
            Stage::Production => production.as_ref().map(|production| production.version),
            _ => (subject.stage == Stage::Production).then_some(version),
        };
        former.extend(leaves);
        let decided = Move {
            subject,
            stage,
            before: &before,
            note_of_former: format!("version {version} took its place: {}", grounds.note),
            field: grounds.overruled.is_some().then(|| (REASON_FIELD, grounds.note.clone())),
            note: grounds.note,
        };
        self.make(decided, leaves.is_some().then_some(former))
    }

    pub(super) fn take_back(&self, model: &str, note: &str) -> Result<(u32, u32)> {
        let refuse = |what: &str| {
            let hint = Hint::from("promote one with ")
                .run(CommandLine::new("promote").arg(model).written("VERSION"));
            Error::new(ErrorKind::Conflict, format!("model {model:?} {what}")).with_hint(hint)
        };
        let before = self.versions_of(model)?;
        let Some(present) = newest_in(before.clone(), Stage::Production) else {
            return Err(refuse("has no version in Production"));
        };
        let mut former = self.former(model)?;
        let target = loop {
            // A version can be there twice, the present one may be among them, and others are deleted.
            match former.pop() {
                Some(number) if number != present.version => {
                    if let Some(found) = before.iter().find(|found| found.version == number) {
                        break found;
                    }
                }
                Some(_) => {}
                None => return Err(refuse("has no earlier Production version to go back to")),
            }
        };
        let (from, to) = (present.version, target.version);
        let decided = Move {
            subject: target,
            stage: Stage::Production,
            before: &before,
            note: format!("rolled back from version {from}: {note}"),
            note_of_former: format!("rolled back to version {to}: {note}"),
            field: Some((ROLLBACK_FIELD, note.to_owned())),
        };
        self.make(decided, Some(former))?;
        Ok((from, to))
    }

    /// The versions that were in Production, by the model's tag.
    fn former(&self, model: &str) -> Result<Vec<u32>> {
        former_production(&self.model_called(model)?.tags, model)
    }

    /// Makes a move, looks at what came of it, and keeps its history.
    fn make(&self, decided: Move<'_>, former: Option<Vec<u32>>) -> Result<ModelVersion> {
        let Move { subject, stage, before, note, note_of_former, field } = decided;
        let (model, number) = (subject.model.as_str(), subject.version);
        let mut body = json!({
            "name": model,
            "version": number.to_string(),
            "stage": stage.as_str(),
            "archive_existing_versions": stage == Stage::Production,
        });
        if let Some((key, value)) = field {
            body[key] = json!(value);
        }
        let path = format!("{API}/model-versions/transition-stage");
        // Made twice it is the same move.
        self.client.ask("POST", &path, &body, Repeat::Safe)?;
        let after = self.versions_of(model)?;
        let mut others = Vec::new();
        for found in &after {
            let was = before.iter().find(|was| was.version == found.version);
            let expected = match was {
                _ if found.version == number => stage,
                Some(was) if stage == Stage::Production && was.stage == stage => Stage::Archived,
                Some(was) => was.stage,
                None => Stage::None,
            };
            if found.stage != expected {
                others.push(format!("version {} is in {}", found.version, found.stage));
            }
        }
        let moved = after.iter().find(|found| found.version == number);
        let Some(moved) = moved.filter(|_| others.is_empty()) else {
            let found = match others.is_empty() {
                true => format!("version {number} is gone"),
                false => others.join(", "),
            };
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "version {number} of model {model:?} was moved to {stage}, and somebody else \
                     changed stages at the same time: {found}"
                ),
            )
            .with_hint(
                Hint::from("see ")
                    .run(CommandLine::new("models show").arg(model))
                    .say(" and move again what is wrong"),
            ));
        };
        if moved.history.len() > subject.history.len() {
            // The server keeps history and the way back itself.
            return Ok(moved.clone());
        }
        let at_ms = clock::now_ms();
        let mut moved = moved.clone();
        self.keep_change(&mut moved, subject.stage, at_ms, note)?;
        if stage == Stage::Production {
            for was in before.iter().filter(|was| was.stage == stage && was.version != number) {
                let mut was = ModelVersion { stage: Stage::Archived, ..was.clone() };
                self.keep_change(&mut was, Stage::Production, at_ms, note_of_former.clone())?;
            }
        }
        if let Some(former) = former {
            self.tag(model, None, FORMER_TAG, Some(&json!(former).to_string()))?;
        }
        Ok(moved)
    }

    /// Adds a step to a version's history, which ends in its stage.
    fn keep_change(
        &self,
        version: &mut ModelVersion,
        from: Stage,
        at_ms: i64,
        note: String,
    ) -> Result<()> {
        let note = note.trim_end_matches([':', ' ']).to_owned();
        version.history.push(StageChange { from, to: version.stage, at_ms, note });
        let text = history_text(&version.history);
        self.tag(&version.model, Some(version.version), HISTORY_TAG, Some(&text))
    }
}
