//! Moving a version to a stage. Only Production is guarded: it takes a passing verdict that still
//! holds, or a reason why not, which stays in the version's history.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Verdict, stored_policy::StoredPolicy, verdict::OVERRULED};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::short,
    hint::{CommandLine, Hint},
    output::Output,
    registry::{GateSeal, Grounds, ModelVersion, Stage, Tracker},
};

/// The result of a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promotion {
    /// The registered model's name.
    pub model: String,
    /// The version that was moved.
    pub version: u32,
    /// Its stage before.
    pub from: Stage,
    /// Its stage now.
    pub to: Stage,
    /// The former Production version, which is Archived now.
    pub archived: Option<u32>,
    /// The gate's objection that was overruled, if any.
    pub overruled: Option<String>,
    /// False when the version had the stage already and nothing was done.
    pub changed: bool,
}

/// Moves `version` of `model` to `stage`. Production needs a passing verdict that still holds, see
/// [`permit`]; `force` overrules it with a reason that is kept in the stage history. A version that
/// has the stage already stays as it is.
///
/// # Errors
/// [`ErrorKind::Blocked`] without such a verdict, [`ErrorKind::Invalid`] for an empty reason,
/// [`ErrorKind::NotFound`] for an unknown version.
pub fn promote(
    registry: &dyn Tracker,
    model: &str,
    version: u32,
    stage: Stage,
    force: Option<&str>,
    who: &str,
) -> Result<Promotion> {
    let subject = registry.version(model, version)?;
    if subject.stage == stage {
        return Ok(plan(&subject, (None, None), stage, force, who)?.promotion);
    }
    let mut promotion = None;
    // Judged inside the transaction that moves it: another promotion cannot slip in between.
    let mut permit = |subject: &ModelVersion, production: Option<&ModelVersion>| {
        let policy = StoredPolicy::current_sha256(registry.store())?;
        let plan = plan(subject, (production, policy.as_deref()), stage, force, who)?;
        let note = plan.note.unwrap_or_else(|| who.to_owned());
        let overruled = plan.promotion.overruled.clone();
        promotion = Some(plan.promotion);
        Ok(Grounds { note, overruled })
    };
    registry.set_stage(model, version, stage, &mut permit, GateSeal::new())?;
    let promotion = promotion.expect("a stage is set only after its plan was made");
    tracing::info!(model, version, ?stage, forced = promotion.overruled.is_some(), "moved");
    Ok(promotion)
}

/// The verdict that lets `version` become Production, given the present Production version and the
/// SHA-256 of the policy that holds, which is [`StoredPolicy::current_sha256`].
///
/// # Errors
/// [`ErrorKind::Blocked`] when it was never gated, was blocked, or the verdict does not hold any
/// more: Production or the policy is another one, or numbers changed since. The message is the reason
/// alone.
pub fn permit(
    version: &ModelVersion,
    production: Option<&ModelVersion>,
    policy: Option<&str>,
) -> Result<Verdict> {
    let refuse = |reason: String| Err(Error::new(ErrorKind::Blocked, reason));
    let Some(verdict) = Verdict::of(version)? else {
        return refuse("it was never gated".to_owned());
    };
    if (verdict.model.as_str(), verdict.version) != (version.model.as_str(), version.version) {
        return refuse(format!(
            "its verdict belongs to {} version {}",
            verdict.model, verdict.version
        ));
    }
    if !verdict.passed {
        return refuse(format!("the gate blocked it: {}", verdict.reasons.join("; ")));
    }
    let name = |number: Option<u32>| {
        number.map_or_else(|| "no version".to_owned(), |number| format!("version {number}"))
    };
    let then = verdict.baseline.as_ref().map(|baseline| baseline.version);
    let now = production.map(|production| production.version);
    if then != now {
        return refuse(format!(
            "its verdict is stale: Production was {} then and is {} now",
            name(then),
            name(now)
        ));
    }
    let then = verdict.policy_record.as_ref().map(|record| record.sha256.as_str());
    if then != policy {
        let name = |sha256: Option<&str>| {
            sha256.map_or_else(|| "the default rule".to_owned(), |sha256| short(sha256).to_owned())
        };
        return refuse(format!(
            "its verdict is stale: the policy was {} then and is {} now",
            name(then),
            name(policy)
        ));
    }
    if verdict.candidate.test_fingerprint != version.lineage.test_fingerprint
        || !is_same(&verdict.candidate.metrics, &version.metrics)
    {
        return refuse("its verdict is stale: its metrics have changed".to_owned());
    }
    if let (Some(baseline), Some(production)) = (&verdict.baseline, production)
        && !baseline.reevaluated
        && !is_same(&baseline.metrics, &production.metrics)
    {
        return refuse("its verdict is stale: Production's metrics have changed".to_owned());
    }
    Ok(verdict)
}

impl Promotion {
    /// The promotion for people and programs.
    pub fn to_output(&self) -> Output {
        Output::new(self).hint(self.told())
    }

    /// Every version that moved, a line each, and how to take it back.
    pub fn told(&self) -> Hint {
        let Self { model, version, from, to, .. } = self;
        if !self.changed {
            return format!("{model} version {version} is {to:?} already: nothing changed").into();
        }
        let mut lines = vec![format!("{model} version {version}: {from:?} → {to:?}")];
        if let Some(archived) = self.archived {
            lines.push(format!("{model} version {archived}: Production → Archived"));
        }
        if let Some(objection) = &self.overruled {
            lines.push(format!("overruled the gate: {objection}"));
        }
        let told = Hint::from(lines.join("\n"));
        match to {
            Stage::Production => {
                told.say("\nundo with ").run(CommandLine::new("rollback").arg(model))
            }
            _ => told,
        }
    }
}

/// A promotion that may be done, and the note for the stage history; none when there is nothing to
/// do.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    promotion: Promotion,
    note: Option<String>,
}

/// The second argument is the present Production version, and the digest of the policy that holds.
fn plan(
    subject: &ModelVersion,
    (production, policy): (Option<&ModelVersion>, Option<&str>),
    stage: Stage,
    force: Option<&str>,
    who: &str,
) -> Result<Plan> {
    let reason = force.map(str::trim);
    if reason == Some("") {
        return Err(Error::invalid("a forced promotion needs a reason")
            .with_hint("add `--reason \"why the gate is overruled\"`"));
    }
    let promotion = Promotion {
        model: subject.model.clone(),
        version: subject.version,
        from: subject.stage,
        to: stage,
        archived: None,
        overruled: None,
        changed: subject.stage != stage,
    };
    if !promotion.changed {
        return Ok(Plan { promotion, note: None });
    }
    if stage != Stage::Production {
        let note = reason.map_or_else(|| who.to_owned(), |reason| format!("{who}: {reason}"));
        return Ok(Plan { promotion, note: Some(note) });
    }
    let (overruled, note) = match (permit(subject, production, policy), reason) {
        (Ok(verdict), None) => {
            (None, format!("{who}: gate passed, {}", verdict.reasons.join("; ")))
        }
        (Ok(verdict), Some(reason)) => {
            (None, format!("{who}: gate passed, {}; {reason}", verdict.reasons.join("; ")))
        }
        (Err(objection), Some(reason)) => {
            let objection = objection.to_string();
            let note = format!("{who}: forced, {reason} (overruled: {objection})");
            (Some(objection), note)
        }
        (Err(objection), None) => {
            let (model, version) = (&subject.model, subject.version);
            let context = format!("{model} version {version} cannot become Production");
            return Err(objection.with_context(context).with_hint(
                Hint::new()
                    .say("gate it with ")
                    .run(CommandLine::new("gate").arg(model).arg(version))
                    .say(", or overrule with ")
                    .run(CommandLine::new("promote").arg(model).arg(version).written(OVERRULED)),
            ));
        }
    };
    let archived = production.map(|production| production.version);
    Ok(Plan { promotion: Promotion { archived, overruled, ..promotion }, note: Some(note) })
}

/// True if two sets of metrics are the same but for the rounding of decimal text.
fn is_same(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> bool {
    let is_close = |left: f64, right: f64| {
        left == right
            || (left.is_nan() && right.is_nan())
            || (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
    };
    left.len() == right.len()
        && left.iter().zip(right).all(|((left_key, left), (right_key, right))| {
            left_key == right_key && is_close(*left, *right)
        })
}

#[cfg(test)]
mod tests {
    use super::{
        super::verdict::tests::{verdict, version},
        *,
    };

    /// Version 2 with the verdict of a gate against `production`.
    fn gated(f1: f64, production: Option<&ModelVersion>) -> ModelVersion {
        let mut subject = version(2, f1, Stage::None);
        subject.verdict = Some(serde_json::to_value(verdict(&subject, production)).unwrap());
        subject
    }

    fn objection(subject: &ModelVersion, production: Option<&ModelVersion>) -> String {
        let error = permit(subject, production, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Blocked, "{error}");
        error.to_string()
    }

    #[test]
    fn a_fresh_passing_verdict_permits() {
        let production = version(1, 0.9, Stage::Production);
        assert!(permit(&gated(0.9, Some(&production)), Some(&production), None).is_ok());
        assert!(permit(&gated(0.85, None), None, None).is_ok());
        let mut odd = version(2, 0.9, Stage::None);
        odd.metrics.insert("loss".to_owned(), f64::NAN);
        odd.verdict = Some(serde_json::to_value(verdict(&odd, None)).unwrap());
        assert!(permit(&odd, None, None).is_ok(), "NaN equals itself here");
    }

    #[test]
    fn no_verdict_a_no_and_anothers_verdict_do_not_permit() {
        assert_eq!(objection(&version(2, 0.9, Stage::None), None), "it was never gated");
        let blocked = objection(&gated(0.84, None), None);
        assert!(blocked.starts_with("the gate blocked it: f1 0.8400 is below 0.8500"), "{blocked}");
        let mut copied = gated(0.9, None);
        copied.version = 3;
        assert_eq!(objection(&copied, None), "its verdict belongs to M version 2");
    }

    #[test]
    fn a_verdict_does_not_outlive_the_production_it_was_measured_against() {
        let (first, third) =
            (version(1, 0.8, Stage::Production), version(3, 0.8, Stage::Production));
        let stale = "its verdict is stale: Production was";
        let cases = [
            (None, Some(&first), "no version then and is version 1 now"),
            (Some(&first), None, "version 1 then and is no version now"),
            (Some(&first), Some(&third), "version 1 then and is version 3 now"),
        ];
        for (then, now, expected) in cases {
            assert_eq!(objection(&gated(0.9, then), now), format!("{stale} {expected}"));
        }
    }

    #[test]
    fn a_verdict_does_not_outlive_the_policy_it_was_judged_by() {
        let subject = gated(0.9, None);
        let error = permit(&subject, None, Some("0123456789")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Blocked);
        let expected =
            "its verdict is stale: the policy was the default rule then and is 01234567 now";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_verdict_does_not_outlive_its_numbers() {
        let production = version(1, 0.8, Stage::Production);
        let mut changed = gated(0.9, Some(&production));
        changed.metrics.insert("f1".to_owned(), 0.95);
        assert!(objection(&changed, Some(&production)).contains("its metrics have changed"));
        let mut added = gated(0.9, Some(&production));
        added.metrics.insert("loss".to_owned(), 0.3);
        assert!(objection(&added, Some(&production)).contains("its metrics have changed"));
        let mut moved = gated(0.9, Some(&production));
        moved.lineage.test_fingerprint = "bb".to_owned();
        assert!(objection(&moved, Some(&production)).contains("its metrics have changed"));
        let better = version(1, 0.99, Stage::Production);
        let subject = gated(0.9, Some(&production));
        assert!(objection(&subject, Some(&better)).contains("Production's metrics"));
    }

    #[test]
    fn a_refusal_says_how_to_gate_and_how_to_overrule() {
        let subject = version(2, 0.9, Stage::None);
        let error = plan(&subject, (None, None), Stage::Production, None, "ada").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Blocked);
        assert_eq!(error.to_string(), "M version 2 cannot become Production: it was never gated");
        let hint = error.hint().unwrap().to_string();
        assert!(
            hint.contains("`trialbook gate M 2`") && hint.contains("--force --reason"),
            "{hint}"
        );
    }

    #[test]
    fn force_is_recorded_with_its_reason_and_what_it_overruled() {
        let subject = version(2, 0.9, Stage::None);
        let forced =
            plan(&subject, (None, None), Stage::Production, Some(" demo "), "ada").unwrap();
        assert_eq!(forced.note.unwrap(), "ada: forced, demo (overruled: it was never gated)");
        assert_eq!(forced.promotion.overruled.as_deref(), Some("it was never gated"));
        for reason in ["", "  "] {
            let error =
                plan(&subject, (None, None), Stage::Production, Some(reason), "ada").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn force_overrules_even_a_verdict_that_cannot_be_read() {
        let mut subject = version(2, 0.9, Stage::None);
        subject.verdict = Some(serde_json::json!({ "schema_version": 99 }));
        assert!(plan(&subject, (None, None), Stage::Production, None, "ada").is_err());
        let forced =
            plan(&subject, (None, None), Stage::Production, Some("urgent"), "ada").unwrap();
        assert!(forced.promotion.overruled.unwrap().contains("schema 99"));
    }

    #[test]
    fn force_is_no_overruling_where_the_gate_agrees() {
        let passed =
            plan(&gated(0.9, None), (None, None), Stage::Production, Some("friday"), "ada")
                .unwrap();
        assert_eq!(passed.promotion.overruled, None);
        let note = passed.note.unwrap();
        assert!(note.starts_with("ada: gate passed, f1 0.9000") && note.ends_with("; friday"));
    }

    #[test]
    fn other_stages_need_no_verdict() {
        for stage in [Stage::Staging, Stage::Archived] {
            let plan =
                plan(&version(2, 0.1, Stage::None), (None, None), stage, None, "ada").unwrap();
            assert_eq!((plan.note.as_deref(), plan.promotion.changed), (Some("ada"), true));
        }
        let retired = version(2, 0.1, Stage::Production);
        let plan =
            plan(&retired, (Some(&retired), None), Stage::None, Some("broken"), "ada").unwrap();
        assert_eq!((plan.note.as_deref(), plan.promotion.archived), (Some("ada: broken"), None));
    }

    #[test]
    fn a_stage_it_has_already_changes_nothing_and_says_so() {
        let production = version(2, 0.9, Stage::Production);
        let plan =
            plan(&production, (Some(&production), None), Stage::Production, None, "ada").unwrap();
        assert_eq!(plan.note, None);
        let text = plan.promotion.to_output().to_text(None);
        assert_eq!(text, "M version 2 is Production already: nothing changed");
    }

    #[test]
    fn the_output_names_every_version_that_moved() {
        let production = version(1, 0.9, Stage::Production);
        let subject = gated(0.95, Some(&production));
        let plan =
            plan(&subject, (Some(&production), None), Stage::Production, None, "ada").unwrap();
        let expected = "M version 2: None → Production\nM version 1: Production → Archived\nundo \
                        with `trialbook rollback M`";
        assert_eq!(plan.promotion.to_output().to_text(None), expected);
    }
}
