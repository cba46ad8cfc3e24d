//! `model-versions/transition-stage`: through the gate's door, as every move is.

use serde_json::json;
use trialbook::{
    gate,
    registry::{ModelVersion, Stage},
};

use super::{
    call::{CallAnswer, RestCall},
    versions,
    wire::{Code, WireRefusal},
};

/// The version's tag in which a client says why the gate is overruled: its request has no field for it.
const REASON_TAG: &str = "trialbook.override_reason";

/// The same in the request itself, as other trialbooks send it.
const REASON_FIELD: &str = "trialbook_override_reason";
/// Another trialbook's word that the move is a rollback, with who and why.
const ROLLBACK_FIELD: &str = "trialbook_rollback";

/// The way back, if it leads to the version that was named.
fn take_back(call: &RestCall, target: &ModelVersion, note: &str, who: &str) -> CallAnswer {
    let (name, version) = (target.model.as_str(), target.version);
    // Asked again: it was done.
    if target.stage != Stage::Production {
        let next = call.registry.rollback_target(name)?;
        if next != Some(version) {
            return Err(WireRefusal::new(
                Code::Conflict,
                format!(
                    "a rollback of {name} does not lead to version {version}: somebody else moved \
                     versions in between"
                ),
            ));
        }
        gate::rollback(&call.registry, name, who, note)?;
    }
    let version = call.registry.version(name, version)?;
    Ok(json!({ "model_version": versions::shape(call, &version)? }))
}

pub(super) fn transition(call: &mut RestCall) -> CallAnswer {
    let (name, version) = (call.fields.required("name")?, versions::number(&call.fields)?);
    let stage: Stage = call.fields.required("stage")?.parse()?;
    let archives = call.fields.bool("archive_existing_versions")?.unwrap_or(false);
    if archives && !matches!(stage, Stage::Staging | Stage::Production) {
        return Err(WireRefusal::invalid(format!(
            "archive_existing_versions goes with the stages Staging and Production, not with {stage}"
        )));
    }
    let who = call.registry.who().to_owned();
    let subject = call.registry.version(name, version)?;
    if let Some(note) = call.fields.text(ROLLBACK_FIELD)?.filter(|_| stage == Stage::Production) {
        return take_back(call, &subject, note, &who);
    }
    let reason = subject.tags.get(REASON_TAG).map(String::as_str);
    let reason = call.fields.filled(REASON_FIELD)?.or(reason);
    let reason = reason.filter(|_| stage == Stage::Production);
    gate::promote(&call.registry, name, version, stage, reason, &who).map_err(|error| {
        let refusal = WireRefusal::from(&error);
        match refusal.code {
            Code::Conflict => WireRefusal {
                message: format!(
                    "{}; or set the tag {REASON_TAG} of the version to the reason, and ask again",
                    refusal.message
                ),
                ..refusal
            },
            _ => refusal,
        }
    })?;
    // The former Production version is archived with the move itself.
    if archives && stage == Stage::Staging {
        let others = call.registry.versions(name)?.into_iter();
        let in_stage = |other: &ModelVersion| other.stage == stage && other.version != version;
        for other in others.filter(in_stage) {
            gate::promote(&call.registry, name, other.version, Stage::Archived, None, &who)?;
        }
    }
    let version = call.registry.version(name, version)?;
    Ok(json!({ "model_version": versions::shape(call, &version)? }))
}
