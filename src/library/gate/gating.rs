//! Gating a registered version: read it and Production, ask both models on the candidate's test split,
//! judge, store the verdict with the version.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Baseline, Candidate, Policy, Verdict,
    approval::approvals,
    assessment::{VersionFacts, assess},
    checks::{PolicyChecks, SliceFloorCheck},
    examination::Examination,
    judgement::{Judgement, is_same_class, is_same_split, judge, usable},
    stored_policy::StoredPolicy,
    verdict::Judged,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::DEFAULT_THRESHOLD,
    registry::{AuditAction, AuditQuery, GateSeal, ModelVersion, Registry, Tracker},
};

/// Measures the Production version (first) on the test split of the candidate (second) and hands
/// back its metrics, `f1` among them.
pub type Reevaluate<'a> =
    dyn FnMut(&ModelVersion, &ModelVersion) -> Result<BTreeMap<String, f64>> + 'a;

/// Asks both models on the candidate's test split: the candidate, and the Production version where
/// that is another one.
pub type Examine<'a> =
    dyn FnMut(&ModelVersion, Option<&ModelVersion>, &Question) -> Result<Examination> + 'a;

/// The questions to the models beside their predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The difference in accuracy that counts.
    pub margin: f64,
    /// True if test rows that the training split has too are to be counted.
    pub leakage: bool,
    /// The slices that the candidate is to be measured on.
    pub slices: Option<SliceFloorCheck>,
    /// True if the candidate is to be asked the behaviour tests of its dataset.
    pub behaviour: bool,
    /// The share of three-word sequences from which such a row counts without being equal; none for
    /// equal ones alone.
    pub near: Option<f64>,
    /// True if the time that one text takes is to be measured.
    pub latency: bool,
    /// True if the memory of the loaded model is to be known.
    pub memory: bool,
}

/// The rule by which a version is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule<'a> {
    /// The default: F1 at least that of Production, else at least a minimum.
    Default(&'a Policy),
    /// A policy's checks.
    Checks(&'a StoredPolicy),
}

/// A gate to be asked: where, by which rule, when, and by whom.
#[derive(Clone, Copy)]
pub struct Gating<'a> {
    /// The registry that has the version.
    pub registry: &'a dyn Tracker,
    /// The rule.
    pub rule: Rule<'a>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// The person who asks.
    pub who: &'a str,
}

/// Gates `version` of `model` by `policy` without asking the models themselves, so that the verdict
/// has no evidence beside its numbers; [`Gating::run`] asks them.
///
/// # Errors
/// As [`Gating::run`].
pub fn run(
    registry: &dyn Tracker,
    model: &str,
    version: u32,
    policy: &Policy,
    reevaluate: &mut Reevaluate<'_>,
    now_ms: i64,
    who: &str,
) -> Result<Verdict> {
    let gating = Gating { registry, rule: Rule::Default(policy), now_ms, who };
    gating.run(model, version, reevaluate, None)
}

impl Gating<'_> {
    /// Gates `version` of `model` and stores the verdict with it; the newest one counts. A no is a
    /// verdict like a yes, not an error. Models that cannot be asked leave the verdict without
    /// evidence, and it says why.
    ///
    /// # Errors
    /// An unknown version, a policy that makes no sense, and whatever `reevaluate` and the registry
    /// return; then nothing is stored.
    pub fn run(
        &self,
        model: &str,
        version: u32,
        reevaluate: &mut Reevaluate<'_>,
        examine: Option<&mut Examine<'_>>,
    ) -> Result<Verdict> {
        let registry = self.registry;
        let policy = self.rule.policy();
        policy.check()?;
        let subject = registry.refresh_registered(model, version)?;
        let production = registry.production(model)?;
        let candidate = Candidate::of(&subject);
        let examination = self.examine(&subject, production.as_ref(), examine);
        let mut known = known_of_production(&examination);
        let mut measure = |production: &ModelVersion, subject: &ModelVersion| {
            known.take().map_or_else(|| reevaluate(production, subject), Ok)
        };
        let baseline = production
            .as_ref()
            .map(|production| baseline(production, &subject, &mut measure))
            .transpose()?;
        let (mut judgement, record) = match self.rule {
            Rule::Default(policy) => (judge(policy, &candidate, baseline.as_ref()), None),
            Rule::Checks(policy) => {
                let found = (&candidate, baseline.as_ref());
                (self.assess(&policy.checks, &subject, found, &examination)?, Some(policy.record()))
            }
        };
        judgement.reasons.extend(outside(&subject, production.as_ref()));
        judgement.reasons.extend(own_threshold(&examination));
        let (evidence, no_evidence) = match examination {
            Ok(examination) => told(examination, production.as_ref(), &subject),
            Err(why) => (None, Some(why)),
        };
        let judged = Judged { candidate, baseline, judgement, record, evidence, no_evidence };
        let verdict = Verdict::new(model, &policy, judged, self.now_ms, self.who);
        let stored = serde_json::to_value(&verdict).map_err(|source| {
            Error::new(ErrorKind::Internal, "a verdict cannot be written as JSON")
                .with_source(source)
        })?;
        registry.set_verdict(model, version, stored, GateSeal::new())?;
        tracing::info!(model, version, passed = verdict.passed, "gated");
        Ok(verdict)
    }

    /// The answers of the models themselves, or the reason why they were not asked.
    fn examine(
        &self,
        subject: &ModelVersion,
        production: Option<&ModelVersion>,
        examine: Option<&mut Examine<'_>>,
    ) -> Result<Examination, String> {
        let Some(examine) = examine else { return Err("the models were not asked".to_owned()) };
        if subject.is_from_outside() {
            return Err("it was logged by an MLflow client".to_owned());
        }
        // What cannot pass is not worth asking.
        usable(&subject.metrics, subject.version)?;
        let rival = production.filter(|production| production.version != subject.version);
        examine(subject, rival, &self.rule.question()).map_err(|error| error.to_string())
    }

    /// The store's own registry, which the check `name` needs.
    fn own(&self, name: &str) -> Result<&Registry> {
        self.registry.own().ok_or_else(|| {
            let place = self.registry.place();
            Error::invalid(format!(
                "the policy's check {name:?} needs the audit trail, which the registry at {place} has none of"
            ))
            .with_hint("take the check out of the policy, or keep the registry in the store")
        })
    }

    fn assess(
        &self,
        checks: &PolicyChecks,
        subject: &ModelVersion,
        (candidate, production): (&Candidate, Option<&Baseline>),
        examination: &Result<Examination, String>,
    ) -> Result<Judgement> {
        let n_verdicts = match checks.verdicts {
            Some(_) => 1 + n_verdicts(self.own("verdicts")?, &candidate.test_fingerprint)?,
            None => 1,
        };
        let approvals = match checks.approval {
            Some(_) => approvals(self.own("approval")?, subject, self.now_ms)?,
            None => Vec::new(),
        };
        let facts = VersionFacts {
            candidate,
            production,
            examination: examination.as_ref().map_err(String::as_str),
            n_bytes: subject.files.iter().map(|file| file.size_bytes).sum(),
            n_verdicts,
            approvals: &approvals,
        };
        Ok(assess(checks, &facts))
    }
}

impl Rule<'_> {
    /// The minimum that holds while there is no Production version.
    fn policy(&self) -> Policy {
        match self {
            Self::Default(policy) => **policy,
            Self::Checks(policy) => Policy { min_f1: policy.checks.min_f1 },
        }
    }

    fn question(&self) -> Question {
        let default = PolicyChecks::default();
        let checks = match self {
            Self::Default(_) => &default,
            Self::Checks(StoredPolicy { checks, .. }) => checks,
        };
        Question {
            margin: checks.margin(),
            leakage: checks.leakage.is_some(),
            near: checks.leakage.as_ref().and_then(|check| check.near),
            slices: checks.slice_floor.clone(),
            behaviour: checks.behaviour.is_some(),
            latency: checks.latency.is_some(),
            memory: checks.memory.is_some(),
        }
    }
}

/// That the candidate has a threshold of its own, where it has.
fn own_threshold(examination: &Result<Examination, String>) -> Option<String> {
    let threshold = examination.as_ref().ok()?.threshold?;
    (threshold != DEFAULT_THRESHOLD)
        .then(|| format!("its labels follow its own threshold of {threshold}"))
}

/// Production's metrics on the candidate's test split, where the examination has them.
fn known_of_production(examination: &Result<Examination, String>) -> Option<BTreeMap<String, f64>> {
    examination.as_ref().ok()?.production.as_ref()?.as_ref().ok().cloned()
}

/// The evidence of an examination, or why there is none.
fn told(
    examination: Examination,
    production: Option<&ModelVersion>,
    subject: &ModelVersion,
) -> (Option<super::Evidence>, Option<String>) {
    let why = match (examination.production, production) {
        (Some(Err(why)), _) => Some(why),
        (_, Some(production)) if production.version == subject.version => {
            Some("it is the Production version itself".to_owned())
        }
        (_, None) => Some("no Production version to compare with".to_owned()),
        _ => None,
    };
    (examination.evidence, why)
}

/// The number of verdicts that were asked of a test split, by the audit trail.
fn n_verdicts(registry: &Registry, test_fingerprint: &str) -> Result<u64> {
    let events = registry.audit(&AuditQuery::default())?;
    let n_asked = events
        .iter()
        .filter(|event| event.action == AuditAction::Gate)
        .filter(|event| event.details["candidate"]["test_fingerprint"] == test_fingerprint)
        .count();
    Ok(n_asked as u64)
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
    if told.policy_record.is_some() {
        return Err(refuse(
            "it was judged by a policy's checks, which cannot be judged again without the models",
        ));
    }
    let Verdict { policy, candidate, baseline, reasons, evidence, no_evidence, at_ms, .. } = told;
    let judgement = judge(&policy, &candidate, baseline.as_ref());
    let is_same = judgement.passed == told.passed;
    let judgement = if is_same { Judgement { reasons, ..judgement } } else { judgement };
    let model = &subject.model;
    let judged = Judged { candidate, baseline, judgement, record: None, evidence, no_evidence };
    let verdict = Verdict::new(model, &policy, judged, at_ms, who);
    let stored = serde_json::to_value(&verdict).map_err(|source| {
        Error::new(ErrorKind::Internal, "a verdict cannot be written as JSON").with_source(source)
    })?;
    registry.set_verdict(model, subject.version, stored, GateSeal::new())?;
    Ok(verdict)
}

/// The facts that a gate needs of versions that this program did not train.
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
