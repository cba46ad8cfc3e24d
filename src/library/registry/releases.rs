//! The releases of registered models, each change in one transaction: a model has one running release at
//! most, two servers never take the same step twice, and an end is final, so that a person's stop
//! is never overwritten by a step that was decided before it.

use serde_json::{Value, json};

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    names,
    record::Stage,
    reference::ModelReference,
    registered::{existing, existing_model, newest_in},
    release::{NewRelease, Release, ReleaseEnd, ReleaseState, percent},
    tables::{RELEASES, release_key, releases_prefix},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
};

impl Registry {
    /// The newest release of a model, running or over.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn release(&self, model: &str) -> Result<Option<Release>> {
        self.database.read(|txn| newest(txn, model))
    }

    /// Every release of a model, the newest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn releases(&self, model: &str) -> Result<Vec<Release>> {
        let found =
            self.database.read(|txn| txn.all::<Release>(RELEASES, &releases_prefix(model)))?;
        Ok(found.into_iter().map(|(_, release)| release).collect())
    }

    pub(super) fn begin_release(&self, new: NewRelease) -> Result<Release> {
        let at_ms = clock::now_ms();
        self.database.write(|txn| {
            existing_model(txn, &new.model)?;
            let candidate = existing(txn, &new.model, new.candidate)?;
            self.check_servable(&candidate, Stage::Production)?;
            let production = newest_in(txn, &new.model, Stage::Production)?;
            let last = newest(txn, &new.model)?;
            let release =
                begun(new, production.map(|found| found.version), last, &self.actor, at_ms)?;
            put(txn, &release)?;
            let subject = subject(&release);
            let mut details = json!({
                "release": release.number,
                "kind": release.kind,
                "production": release.production,
                "steps": release.steps,
                "split_by": release.split_by,
                "bounds": release.bounds,
            });
            if let Some(overruled) = &release.overruled {
                details["overruled"] = overruled.objection.clone().into();
                details["reason"] = overruled.reason.clone().into();
            }
            audit::append(txn, &self.event(AuditAction::StartRelease, &subject, at_ms, details))?;
            Ok(release)
        })
    }

    pub(super) fn step_release(
        &self,
        model: &str,
        id: &str,
        from_step_idx: usize,
        evidence: Value,
    ) -> Result<Release> {
        let at_ms = clock::now_ms();
        self.database.write(|txn| {
            let release = running(newest(txn, model)?, model, Some(id))?;
            let from = release.step().share;
            let release = stepped(release, from_step_idx, evidence, at_ms)?;
            put(txn, &release)?;
            let details = json!({
                "release": release.number,
                "from": from,
                "to": release.step().share,
                "step": release.step_idx + 1,
            });
            let event = self.event(AuditAction::AdvanceRelease, &subject(&release), at_ms, details);
            audit::append(txn, &event)?;
            Ok(release)
        })
    }

    pub(super) fn finish_release(
        &self,
        model: &str,
        id: Option<&str>,
        end: ReleaseEnd,
    ) -> Result<Release> {
        let at_ms = clock::now_ms();
        self.database.write(|txn| {
            let release = running(newest(txn, model)?, model, id)?;
            self.end_in(txn, release, end, at_ms)
        })
    }

    /// Ends the running release of `model` whose Production version is another one by now: the
    /// candidate's own promotion is its success.
    pub(super) fn settle_release(
        &self,
        txn: &WriteTxn,
        model: &str,
        at_ms: i64,
    ) -> Result<(), Fault> {
        let Some(release) = newest(txn, model)?.filter(Release::is_running) else { return Ok(()) };
        let production = newest_in(txn, model, Stage::Production)?.map(|found| found.version);
        if production == Some(release.production) {
            return Ok(());
        }
        let end = release.ended_by(production);
        self.end_in(txn, release, end, at_ms).map(drop)
    }

    fn end_in(
        &self,
        txn: &WriteTxn,
        release: Release,
        end: ReleaseEnd,
        at_ms: i64,
    ) -> Result<Release, Fault> {
        let release = ended(release, end, &self.actor, at_ms);
        put(txn, &release)?;
        let action = match release.state {
            ReleaseState::TakenBack => AuditAction::TakeBackRelease,
            _ => AuditAction::EndRelease,
        };
        let details = json!({
            "release": release.number,
            "state": release.state,
            "share": release.step().share,
            "reason": release.reason,
            "evidence": release.evidence,
        });
        audit::append(txn, &self.event(action, &subject(&release), at_ms, details))?;
        Ok(release)
    }
}

/// The newest release of a model: its key is the first of them.
pub(super) fn newest(txn: &impl Rows, model: &str) -> Result<Option<Release>, Fault> {
    let prefix = releases_prefix(model);
    let mut found = None;
    txn.scan_from(RELEASES, &prefix, &mut |key, bytes| {
        if key.starts_with(&prefix) {
            found = Some(super::codec::unseal(key, bytes)?);
        }
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Moves the releases of a model that gets another name.
pub(super) fn rename(txn: &WriteTxn, model: &str, new_name: &str) -> Result<(), Fault> {
    let releases = txn.all::<Release>(RELEASES, &releases_prefix(model))?;
    txn.remove_all(RELEASES, &releases_prefix(model))?;
    for (_, release) in releases {
        put(txn, &Release { model: new_name.to_owned(), ..release })?;
    }
    Ok(())
}

/// Refuses to take away a version that a running release tries.
pub(super) fn refuse_tried(txn: &WriteTxn, model: &str, version: u32) -> Result<(), Fault> {
    let tried =
        newest(txn, model)?.filter(|release| release.is_running() && release.candidate == version);
    match tried {
        Some(release) => Err(Fault::Ours(
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "version {version} of model {model:?} is tried by release {} and cannot be deleted",
                    release.number
                ),
            )
            .with_hint(Hint::from("end it first: ").run(CommandLine::new("release stop").arg(model))),
        )),
        None => Ok(()),
    }
}

fn put(txn: &WriteTxn, release: &Release) -> Result<(), Fault> {
    txn.put(RELEASES, &release_key(&release.model, release.number), release)
}

fn subject(release: &Release) -> String {
    ModelReference::numbered(release.model.clone(), release.candidate).to_string()
}

// The rules, which hold wherever a release is kept.

/// The release that `new` asks for, after the `last` one of the model.
///
/// # Errors
/// [`ErrorKind::Conflict`] while another one runs, or without a Production version, or one for the
/// Production version itself; [`ErrorKind::Invalid`] for bounds that are none.
pub(super) fn begun(
    new: NewRelease,
    production: Option<u32>,
    last: Option<Release>,
    who: &str,
    at_ms: i64,
) -> Result<Release> {
    new.bounds.check()?;
    let NewRelease { model, candidate, kind, steps, split_by, bounds, overruled } = new;
    if steps.is_empty() {
        return Err(Error::invalid("a release needs at least one step"));
    }
    if let Some(last) = last.as_ref().filter(|last| last.is_running()) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "release {} of model {model:?} is running: {} of version {} at {}",
                last.number,
                last.kind,
                last.candidate,
                percent(last.step().share)
            ),
        )
        .with_hint(
            Hint::from("end it with ")
                .run(CommandLine::new("release stop").arg(&model))
                .say(" or ")
                .run(CommandLine::new("release promote").arg(&model)),
        ));
    }
    let Some(production) = production else {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("model {model:?} has no version in Production to release beside"),
        )
        .with_hint(
            Hint::from("the first version is promoted: ")
                .run(CommandLine::new("promote").arg(&model).arg(candidate)),
        ));
    };
    if production == candidate {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("version {candidate} of model {model:?} is in Production already"),
        ));
    }
    Ok(Release {
        id: names::new_run_id(),
        number: last.map_or(0, |last| last.number) + 1,
        model,
        candidate,
        production,
        kind,
        steps,
        step_idx: 0,
        step_since_ms: at_ms,
        split_by,
        bounds,
        overruled,
        state: ReleaseState::Running,
        reason: String::new(),
        evidence: None,
        started_by: who.to_owned(),
        started_ms: at_ms,
        ended_by: None,
        ended_ms: None,
    })
}

/// The running release of a model; that of this `id`, where one is meant.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there was none, [`ErrorKind::Conflict`] with how it ended.
pub(super) fn running(newest: Option<Release>, model: &str, id: Option<&str>) -> Result<Release> {
    let start = || {
        Hint::from("start one with ")
            .run(CommandLine::new("release start").arg(model).written("--shadow"))
    };
    let Some(release) = newest else {
        return Err(Error::new(ErrorKind::NotFound, format!("model {model:?} has no release"))
            .with_hint(start()));
    };
    if !release.is_running() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "release {} of model {model:?} is over, {}: {}",
                release.number, release.state, release.reason
            ),
        )
        .with_hint(start()));
    }
    if id.is_some_and(|id| id != release.id) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("model {model:?} has another release by now, number {}", release.number),
        ));
    }
    Ok(release)
}

/// `release` at the step after `from_step_idx`.
///
/// # Errors
/// [`ErrorKind::Conflict`] when it is at another step by now, or there is none after it.
pub(super) fn stepped(
    release: Release,
    from_step_idx: usize,
    evidence: Value,
    at_ms: i64,
) -> Result<Release> {
    if release.step_idx != from_step_idx || release.is_last_step() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "release {} of model {:?} is at step {} of {} already",
                release.number,
                release.model,
                release.step_idx + 1,
                release.steps.len()
            ),
        ));
    }
    Ok(Release {
        step_idx: from_step_idx + 1,
        step_since_ms: at_ms,
        evidence: Some(evidence),
        ..release
    })
}

/// `release`, ended.
pub(super) fn ended(release: Release, end: ReleaseEnd, who: &str, at_ms: i64) -> Release {
    let ReleaseEnd { state, reason, evidence } = end;
    let evidence = evidence.or_else(|| release.evidence.clone());
    let (ended_by, ended_ms) = (Some(who.to_owned()), Some(at_ms));
    Release { state, reason, evidence, ended_by, ended_ms, ..release }
}

#[cfg(test)]
mod tests;
