//! The steps of a release: begun, gone on, promoted, stopped, taken back. Each is one change in the
//! registry, which refuses what somebody else was faster with; promotion goes through the gate as any
//! other does.

use serde_json::Value;

use super::promotion::{Promotion, promote};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    registry::{
        GateSeal, NewRelease, Release, ReleaseEnd, ReleaseKind, ReleaseState, ReleaseStep, Stage,
        Tracker, percent,
    },
};

/// Starts a release. Servers that follow the registry give its candidate a part of the traffic within
/// seconds.
///
/// # Errors
/// [`ErrorKind::NotFound`] for an unknown version, [`ErrorKind::Conflict`] while another release of the
/// model runs and without a version in Production, [`ErrorKind::Invalid`] for bounds that are none.
pub fn start_release(registry: &dyn Tracker, new: NewRelease) -> Result<Release> {
    if new.kind == ReleaseKind::Ab && new.bounds.min_agreement.is_some() {
        return Err(Error::invalid(
            "an A/B test has no bound on the agreement: two versions that differ are its point",
        )
        .with_hint("leave --min-agreement out, or start a --canary"));
    }
    let release = registry.start_release(new, GateSeal::new())?;
    tracing::info!(
        model = release.model,
        candidate = release.candidate,
        kind = release.kind.as_str(),
        "release started"
    );
    Ok(release)
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

/// Ends the running release of `model` because a person says so.
///
/// # Errors
/// [`ErrorKind::NotFound`] and [`ErrorKind::Conflict`] where none is running.
pub fn stop_release(
    registry: &dyn Tracker,
    model: &str,
    who: &str,
    reason: &str,
) -> Result<Release> {
    let reason = match reason.trim() {
        "" => format!("{who} stopped it"),
        reason => format!("{who} stopped it: {reason}"),
    };
    let end = ReleaseEnd { state: ReleaseState::Stopped, reason, evidence: None };
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

/// Ends `shadow` as a success, and starts a canary of its candidate with the same bounds.
///
/// # Errors
/// As [`start_release`], and [`ErrorKind::Conflict`] when the shadow is over already.
pub fn shadow_to_canary(
    registry: &dyn Tracker,
    shadow: Release,
    steps: Vec<ReleaseStep>,
) -> Result<Release> {
    let end = ReleaseEnd {
        state: ReleaseState::Promoted,
        reason: "goes on as a canary".to_owned(),
        evidence: None,
    };
    registry.end_release(&shadow.model, Some(&shadow.id), end, GateSeal::new())?;
    let Release { model, candidate, split_by, bounds, .. } = shadow;
    let kind = ReleaseKind::Canary;
    start_release(registry, NewRelease { model, candidate, kind, steps, split_by, bounds })
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
