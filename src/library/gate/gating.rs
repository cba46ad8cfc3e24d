//! Gating a registered version: read it and Production, measure Production anew where their test
//! splits differ, judge, store the verdict with the version.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Baseline, Candidate, Judgement, Policy, Verdict,
    judgement::{is_same_class, is_same_split, judge, usable},
};
use crate::{
    error::{Error, ErrorKind, Result},
    registry::{GateSeal, ModelVersion, Tracker},
};

/// Measures the Production version (first) on the test split of the candidate (second) and hands
/// back its metrics, `f1` among them.
pub type Reevaluate<'a> =
    dyn FnMut(&ModelVersion, &ModelVersion) -> Result<BTreeMap<String, f64>> + 'a;

/// Gates `version` of `model` by `policy` and stores the verdict with it; the newest one counts.
/// A no is a verdict like a yes, not an error.
///
/// # Errors
/// An unknown version, a policy that makes no sense, and whatever `reevaluate` and the registry
/// return; then nothing is stored.
pub fn run(
    registry: &dyn Tracker,
    model: &str,
    version: u32,
    policy: &Policy,
    reevaluate: &mut Reevaluate<'_>,
    now_ms: i64,
    who: &str,
) -> Result<Verdict> {
    policy.check()?;
    let subject = registry.refresh_registered(model, version)?;
    let production = registry.production(model)?;
    let candidate = Candidate::of(&subject);
    let baseline = production
        .as_ref()
        .map(|production| baseline(production, &subject, reevaluate))
        .transpose()?;
    let mut judgement = judge(policy, &candidate, baseline.as_ref());
    judgement.reasons.extend(outside(&subject, production.as_ref()));
    let verdict = Verdict::new(model, policy, (candidate, baseline), judgement, now_ms, who);
    let stored = serde_json::to_value(&verdict).map_err(|source| {
        Error::new(ErrorKind::Internal, "a verdict cannot be written as JSON").with_source(source)
    })?;
    registry.set_verdict(model, version, stored, GateSeal::new())?;
    tracing::info!(model, version, passed = verdict.passed, "gated");
    Ok(verdict)
}

/// Stores the verdict of another trialbook that judged `subject` from the same registry, in JSON. Its
/// evidence is judged again: what it says itself about passing does not count.
///
/// # Errors
/// [`ErrorKind::Invalid`] for what is no verdict on this version.
pub fn adopt(
    registry: &dyn Tracker,
    subject: &ModelVersion,
    verdict: &str,
    who: &str,
) -> Result<Verdict> {
    let refuse =
        |why: &str| Error::invalid(format!("this is no verdict on {}: {why}", subject.reference()));
    let told: Value = serde_json::from_str(verdict).map_err(|_| refuse("it is not JSON"))?;
    let told = Verdict::of(&ModelVersion { verdict: Some(told), ..subject.clone() })
        .map_err(|error| refuse(&error.to_string()))?;
    let told = told.ok_or_else(|| refuse("it is empty"))?;
    if told.model != subject.model || told.version != subject.version {
        return Err(refuse("it judges another version"));
    }
    told.policy.check()?;
    let Verdict { policy, candidate, baseline, reasons, at_ms, .. } = told;
    let judgement = judge(&policy, &candidate, baseline.as_ref());
    let is_same = judgement.passed == told.passed;
    let judgement = if is_same { Judgement { reasons, ..judgement } } else { judgement };
    let model = &subject.model;
    let verdict = Verdict::new(model, &policy, (candidate, baseline), judgement, at_ms, who);
    let stored = serde_json::to_value(&verdict).map_err(|source| {
        Error::new(ErrorKind::Internal, "a verdict cannot be written as JSON").with_source(source)
    })?;
    registry.set_verdict(model, subject.version, stored, GateSeal::new())?;
    Ok(verdict)
}

/// What has to be known about versions that this program did not train.
fn outside(subject: &ModelVersion, production: Option<&ModelVersion>) -> Vec<String> {
    let mut told = Vec::new();
    if subject.is_from_outside() {
        told.push(
            "it was logged by an MLflow client: its stored numbers count, and it cannot be evaluated \
             again here"
                .to_owned(),
        );
        if subject.lineage.test_fingerprint.is_empty()
            && production.is_some_and(|production| production.version != subject.version)
        {
            told.push(
                "its run does not say what it was measured on: log that with \
                 mlflow.log_input(dataset, context=\"test\")"
                    .to_owned(),
            );
        }
    }
    if let Some(production) = production.filter(|production| production.is_from_outside())
        && production.version != subject.version
    {
        told.push(format!(
            "Production version {} was logged by an MLflow client and cannot be evaluated again here",
            production.version
        ));
    }
    told
}

/// Production's numbers on the test split of `subject`: the registered ones where it is the same
/// split with the same positive class, else measured anew. A candidate without a usable number is blocked whatever Production
/// reaches, so nothing is measured for it.
fn baseline(
    production: &ModelVersion,
    subject: &ModelVersion,
    reevaluate: &mut Reevaluate<'_>,
) -> Result<Baseline> {
    let registered = Baseline::of(production);
    let is_same = is_same_split(&registered.test_fingerprint, &subject.lineage.test_fingerprint)
        && is_same_class(&registered.metrics, &subject.metrics);
    let is_needless = production.version == subject.version
        || is_same
        // Neither can be asked for the other's split.
        || production.is_from_outside()
        || subject.is_from_outside()
        || usable(&subject.metrics, subject.version).is_err();
    if is_needless {
        return Ok(registered);
    }
    let metrics = reevaluate(production, subject).map_err(|error| {
        error.with_context(format!(
            "cannot measure Production version {} on the test split of version {}",
            production.version, subject.version
        ))
    })?;
    Ok(Baseline {
        version: production.version,
        test_fingerprint: subject.lineage.test_fingerprint.clone(),
        metrics,
        reevaluated: true,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::verdict::tests::version, *};
    use crate::registry::Stage;

    fn never(_: &ModelVersion, _: &ModelVersion) -> Result<BTreeMap<String, f64>> {
        panic!("nothing is to be measured");
    }

    #[test]
    fn on_the_same_split_the_registered_numbers_count() {
        let production = version(1, 0.9, Stage::Production);
        let baseline = baseline(&production, &version(2, 0.8, Stage::None), &mut never).unwrap();
        assert_eq!(baseline, Baseline::of(&production));
    }

    #[test]
    fn on_another_split_production_is_measured_anew() {
        for fingerprint in ["bb", ""] {
            let production = version(1, 0.9, Stage::Production);
            let mut subject = version(2, 0.8, Stage::None);
            subject.lineage.test_fingerprint = fingerprint.to_owned();
            let mut measure = |of: &ModelVersion, on: &ModelVersion| {
                assert_eq!((of.version, on.version), (1, 2));
                Ok(BTreeMap::from([("f1".to_owned(), 0.7)]))
            };
            let baseline = baseline(&production, &subject, &mut measure).unwrap();
            assert!(baseline.reevaluated);
            assert_eq!(baseline.metrics["f1"], 0.7);
            assert_eq!(baseline.test_fingerprint, fingerprint);
        }
    }

    #[test]
    fn nothing_is_measured_for_a_candidate_that_cannot_pass_or_is_production() {
        let production = version(1, 0.9, Stage::Production);
        let mut subject = version(2, f64::NAN, Stage::None);
        subject.lineage.test_fingerprint = "bb".to_owned();
        assert!(!baseline(&production, &subject, &mut never).unwrap().reevaluated);
        subject.version = 1;
        assert!(!baseline(&production, &subject, &mut never).unwrap().reevaluated);
    }

    #[test]
    fn a_failed_measurement_says_what_was_measured_for_what() {
        let mut subject = version(2, 0.8, Stage::None);
        subject.lineage.test_fingerprint = "bb".to_owned();
        let mut fail = |_: &ModelVersion, _: &ModelVersion| {
            Err(Error::new(ErrorKind::NotFound, "dataset \"imdb\" does not exist"))
        };
        let error = baseline(&version(1, 0.9, Stage::Production), &subject, &mut fail).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "cannot measure Production version 1 on the test split of version 2: dataset \"imdb\" \
             does not exist"
        );
    }
}
