//! `GET /release`: the newest release of each model, and what is known of it here.

use axum::{Json, extract::State};
use serde_json::{Value, json};
use trialbook::gate::{LoggedEvidence, ReleaseCounts, ReleaseStatus};

use crate::serve::{model::slot::ModelSlot, state::ServerState};

/// The handler: one entry for each model that has had a release, the default model's first.
pub(crate) async fn releases(State(state): State<ServerState>) -> Json<Value> {
    let releases = state.slots().iter().filter_map(status);
    Json(json!({ "releases": releases.collect::<Vec<_>>() }))
}

/// The status of a model's newest release, as far as this server knows it.
fn status(slot: &ModelSlot) -> Option<Value> {
    let trial = slot.trial();
    let judged = trial.as_ref().and_then(|trial| trial.tally().status());
    let release = slot.release()?;
    let is_live = trial.is_some_and(|trial| trial.is_live());
    let status = match judged.filter(|status| status.release.id == release.id) {
        // What the registry said last, with the counts of the last look.
        Some(status) => status.with_release(release),
        None => {
            let (counts, logged) = (ReleaseCounts::default(), LoggedEvidence::default());
            ReleaseStatus::new(release, &counts, 0, &logged)
        }
    };
    let mut json = json!(status);
    json["is_live"] = is_live.into();
    json["headline"] = status.headline().into();
    Some(json)
}

/// For `/health`: which release runs, if one does.
pub(super) fn summary(slot: &ModelSlot) -> Option<Value> {
    let trial = slot.trial()?;
    let release = trial.release();
    Some(json!({
        "number": release.number,
        "kind": release.kind,
        "candidate": release.candidate,
        "share": if trial.splits() { release.step().share } else { 0.0 },
        "is_live": trial.is_live(),
    }))
}
