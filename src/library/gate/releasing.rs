//! The steps of a release: begun, gone on, promoted, stopped, taken back. Each is one change in the
//! registry, which refuses what somebody else was faster with; promotion goes through the gate as any
//! other does.

use serde_json::Value;

use super::{
    Verdict,
    promotion::{Promotion, promote},
    verdict::OVERRULED,
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    registry::{
        GateSeal, ModelVersion, NewRelease, OverruledGate, Release, ReleaseEnd, ReleaseKind,
        ReleaseState, ReleaseStep, Stage, Tracker, percent,
    },
};

/// Starts a release. Servers that follow the registry give its candidate a part of the traffic within
/// seconds. A version that was never gated may prove itself so; one that the gate has blocked needs a reason in
/// `force`, which is kept with the release and in the audit trail.
///
/// # Errors
/// [`ErrorKind::NotFound`] for an unknown version, [`ErrorKind::Conflict`] while another release of the
/// model runs and without a version in Production, [`ErrorKind::Invalid`] for bounds that are none and an
/// empty reason, [`ErrorKind::Blocked`] for a version that the gate has blocked.
pub fn start_release(
    registry: &dyn Tracker,
    new: NewRelease,
    force: Option<&str>,
) -> Result<Release> {
    if new.kind == ReleaseKind::Ab && new.bounds.min_agreement.is_some() {
        return Err(Error::invalid(
            "an A/B test has no bound on the agreement: two versions that differ are its point",
        )
        .with_hint("leave --min-agreement out, or start a --canary"));
    }
    let version = registry.version(&new.model, new.candidate)?;
    let new = NewRelease { overruled: overruled(&version, force)?, ..new };
    let release = registry.start_release(new, GateSeal::new())?;
    tracing::info!(
        model = release.model,
        candidate = release.candidate,
        kind = release.kind.as_str(),
        "release started"
    );
    Ok(release)
}

/// The gate's objection to releasing `version`, overruled for the reason in `force`; none where it has none.
///
/// # Errors
/// [`ErrorKind::Blocked`] with the objection where there is no reason, [`ErrorKind::Invalid`] for an empty one.
fn overruled(version: &ModelVersion, force: Option<&str>) -> Result<Option<OverruledGate>> {
    let reason = force.map(str::trim);
    if reason == Some("") {
        return Err(Error::invalid("a forced release needs a reason")
            .with_hint("add `--reason \"why the gate is overruled\"`"));
    }
    let objection = match Verdict::of(version) {
        Ok(None) => return Ok(None),
        Ok(Some(verdict)) => {
            let is_its_own = verdict.model == version.model && verdict.version == version.version;
            if verdict.passed || !is_its_own {
                return Ok(None);
            }
            Error::new(
                ErrorKind::Blocked,
                format!("the gate blocked it: {}", verdict.reasons.join("; ")),
            )
        }
        // What cannot be read is no permission.
        Err(unreadable) => unreadable,
    };
    let (model, number) = (&version.model, version.version);
    match reason {
        Some(reason) => {
            Ok(Some(OverruledGate { objection: objection.to_string(), reason: reason.to_owned() }))
        }
        None => Err(objection
            .with_context(format!("{model} version {number} cannot be released"))
            .with_hint(
                Hint::new()
                    .say("gate it again with ")
                    .run(CommandLine::new("gate").arg(model).arg(number))
                    .say(", or overrule with ")
                    .run(
                        CommandLine::new("release start").arg(model).arg(number).written(OVERRULED),
                    ),
            )),
    }
}

/// Moves `release` from its present step to the next one, with the `evidence` that lets it.
///
/// # Errors
/// [`ErrorKind::Conflict`] when somebody else moved or ended it.
pub fn advance_release(
    registry: &dyn Tracker,
    release: &Release,
    evidence: Value,
) -> Result<Release> {
    let Release { model, id, step_idx, .. } = release;
    let advanced = registry.advance_release(model, id, *step_idx, evidence, GateSeal::new())?;
    tracing::info!(
        model,
        candidate = release.candidate,
        share = percent(advanced.step().share),
        "release went on"
    );
    Ok(advanced)
}

/// Ends `release` because a check failed: its candidate gets no traffic any more.
///
/// # Errors
/// [`ErrorKind::Conflict`] when it is over already.
pub fn take_back_release(
    registry: &dyn Tracker,
    release: &Release,
    reason: String,
    evidence: Value,
) -> Result<Release> {
    let end = ReleaseEnd { state: ReleaseState::TakenBack, reason, evidence: Some(evidence) };
    registry.end_release(&release.model, Some(&release.id), end, GateSeal::new())
}

/// Ends the running release of `model` because a person says so; `evidence` is kept with it.
///
/// # Errors
/// [`ErrorKind::NotFound`] and [`ErrorKind::Conflict`] where none is running.
pub fn stop_release(
    registry: &dyn Tracker,
    model: &str,
    who: &str,
    reason: &str,
    evidence: Value,
) -> Result<Release> {
    let reason = match reason.trim() {
        "" => format!("{who} stopped it"),
        reason => format!("{who} stopped it: {reason}"),
    };
    let evidence = Some(evidence).filter(|evidence| !evidence.is_null());
    let end = ReleaseEnd { state: ReleaseState::Stopped, reason, evidence };
    registry.end_release(model, None, end, GateSeal::new())
}

/// Ends `release`, during which `production` took the place of the version that it was held against.
///
/// # Errors
/// [`ErrorKind::Conflict`] when it is over already.
pub fn settle_release(
    registry: &dyn Tracker,
    release: &Release,
    production: Option<u32>,
) -> Result<Release> {
    let end = release.ended_by(production);
    registry.end_release(&release.model, Some(&release.id), end, GateSeal::new())
}

/// Promotes the candidate of the running release of `model` to Production, which ends the release; see
/// [`promote`] for what that takes.
///
/// # Errors
/// As [`promote`], and [`ErrorKind::NotFound`] and [`ErrorKind::Conflict`] where none is running.
pub fn promote_release(
    registry: &dyn Tracker,
    model: &str,
    force: Option<&str>,
    who: &str,
) -> Result<(Promotion, Release)> {
    let release = running(registry, model)?;
    let promotion = promote(registry, model, release.candidate, Stage::Production, force, who)?;
    // A store ends it in the promotion's own transaction; a server is told.
    let ended = match registry.release(model)? {
        Some(now) if now.id == release.id && now.is_running() => {
            settle_release(registry, &now, Some(release.candidate))?
        }
        Some(now) => now,
        None => release,
    };
    Ok((promotion, ended))
}

/// Ends `shadow` as a success, and starts a canary of its candidate with the same bounds. The gate may have
/// blocked the candidate since the shadow began: then it takes a reason, in `force` or from the shadow's start.
///
/// # Errors
/// As [`start_release`], and [`ErrorKind::Conflict`] when the shadow is over already.
pub fn shadow_to_canary(
    registry: &dyn Tracker,
    shadow: Release,
    steps: Vec<ReleaseStep>,
    force: Option<&str>,
) -> Result<Release> {
    let before = shadow.overruled.as_ref().map(|overruled| overruled.reason.as_str());
    let force = force.or(before);
    // Refused before the shadow ends.
    overruled(&registry.version(&shadow.model, shadow.candidate)?, force)?;
    let end = ReleaseEnd {
        state: ReleaseState::Promoted,
        reason: "goes on as a canary".to_owned(),
        evidence: None,
    };
    registry.end_release(&shadow.model, Some(&shadow.id), end, GateSeal::new())?;
    let Release { model, candidate, split_by, bounds, .. } = &shadow;
    let new = NewRelease {
        model: model.clone(),
        candidate: *candidate,
        kind: ReleaseKind::Canary,
        steps,
        split_by: split_by.clone(),
        bounds: *bounds,
        overruled: None,
    };
    start_release(registry, new, force)
}

/// The running release of `model`.
///
/// # Errors
/// [`ErrorKind::NotFound`] where none is running.
pub(crate) fn running(registry: &dyn Tracker, model: &str) -> Result<Release> {
    registry.release(model)?.filter(Release::is_running).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("model {model:?} has no running release"))
            .with_hint(
                Hint::from("start one with ")
                    .run(CommandLine::new("release start").arg(model).written("--shadow")),
            )
    })
}
