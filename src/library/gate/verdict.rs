//! A gate's verdict as it is stored with the version and shown to people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Baseline, Candidate, Check, Judgement, METRIC, Policy, evidence::Evidence,
    judgement::metric_title, stored_policy::PolicyRecord,
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::ModelVersion,
};

/// The flags by which a promotion overrules the gate.
pub(super) const OVERRULED: &str = "--force --reason \"…\"";

/// The newest verdict layout this build reads. Verdicts by the default rule are written as 1, which
/// older builds read; those by a policy as 2, since older builds could not hold a promotion to it.
pub const SCHEMA_VERSION: u32 = 2;

/// A gate's decision, its evidence, its time, and who asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Layout of this record; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The registered model's name.
    pub model: String,
    /// The version that was judged.
    pub version: u32,
    /// True if it may become Production.
    pub passed: bool,
    /// The default rule, or the minimum that a policy names.
    pub policy: Policy,
    /// The policy it was judged by; none is the default rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_record: Option<PolicyRecord>,
    /// The version's numbers.
    pub candidate: Candidate,
    /// The numbers of the Production version at that time, where there was one.
    pub baseline: Option<Baseline>,
    /// The checks made.
    pub checks: Vec<Check>,
    /// The reasons, in sentences.
    pub reasons: Vec<String>,
    /// The certainty of the comparison with Production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The reason why there is no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The person who asked.
    pub who: String,
}

/// The subject of a judgement and its result.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) candidate: Candidate,
    pub(super) baseline: Option<Baseline>,
    pub(super) judgement: Judgement,
    pub(super) record: Option<PolicyRecord>,
    pub(super) evidence: Option<Evidence>,
    pub(super) no_evidence: Option<String>,
}

impl Verdict {
    /// The judgement with its evidence.
    pub(super) fn new(model: &str, policy: &Policy, judged: Judged, at_ms: i64, who: &str) -> Self {
        let Judged { candidate, baseline, judgement, record, evidence, no_evidence } = judged;
        let Judgement { passed, checks, reasons } = judgement;
        Self {
            schema_version: if record.is_some() { SCHEMA_VERSION } else { 1 },
            model: model.to_owned(),
            version: candidate.version,
            passed,
            policy: *policy,
            policy_record: record,
            candidate,
            baseline,
            checks,
            reasons,
            evidence,
            no_evidence,
            at_ms,
            who: who.to_owned(),
        }
    }

    /// The verdict stored with `version`, if it was ever gated.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a verdict of a newer build, [`ErrorKind::Corrupt`] for one that
    /// is none.
    pub fn of(version: &ModelVersion) -> Result<Option<Self>> {
        let Some(stored) = &version.verdict else {
            return Ok(None);
        };
        let thing = format!("verdict of {} version {}", version.model, version.version);
        let schema = stored.get("schema_version").and_then(Value::as_u64);
        if let Some(newer) = schema.filter(|schema| *schema > u64::from(SCHEMA_VERSION)) {
            return Err(Error::invalid(format!(
                "{thing}: schema {newer}, this build reads up to {SCHEMA_VERSION}"
            ))
            .with_hint("use the newer trialbook, or gate the version again"));
        }
        Self::deserialize(stored).map(Some).map_err(|source| {
            Error::new(ErrorKind::Corrupt, format!("{thing} cannot be read"))
                .with_hint("gate the version again")
                .with_source(source)
        })
    }

    /// The verdict for people and programs, with what to do next; a no is marked as blocked.
    pub fn to_output(&self) -> Output {
        self.evidence().hint(self.advice())
    }

    /// The next step after it.
    pub fn advice(&self) -> Hint {
        let promote = CommandLine::new("promote").arg(&self.model).arg(self.version);
        match self.passed {
            true => Hint::from("promote it with ").run(promote),
            false => {
                Hint::from("train a better one, or overrule with ").run(promote.written(OVERRULED))
            }
        }
    }

    /// The verdict alone: headline, checks, reasons and evidence.
    pub fn evidence(&self) -> Output {
        let reasons: Vec<String> =
            self.reasons.iter().map(|reason| format!("because {reason}")).collect();
        let output = Output::new(self).text(self.headline()).table(self.table()).text(
            reasons.iter().cloned().chain(self.evidence_lines()).collect::<Vec<_>>().join("\n"),
        );
        if self.passed { output } else { output.blocked() }
    }

    /// The verdict in one line.
    pub fn headline(&self) -> String {
        let word = if self.passed { "passed" } else { "BLOCKED" };
        format!("{} version {}: gate {word}", self.model, self.version)
    }

    /// The checks with their numbers.
    pub fn table(&self) -> Table {
        self.checks_table(false)
    }

    /// The checks with their numbers and, if they are wanted, what each of them found.
    pub(super) fn checks_table(&self, with_reasons: bool) -> Table {
        let mut heads = vec![
            ("check", Align::Left),
            ("candidate", Align::Right),
            ("required", Align::Right),
            ("verdict", Align::Left),
        ];
        heads.extend(with_reasons.then_some(("found", Align::Left)));
        let mut table = Table::new(heads);
        for check in &self.checks {
            let mut cells = vec![
                self.check_title(check),
                number(check.candidate),
                number(check.required),
                check.outcome().as_str().to_owned(),
            ];
            cells.extend(with_reasons.then(|| check.reason.clone().unwrap_or_default()));
            table.push(cells);
        }
        table
    }

    /// The requirement for people: it says of which class the deciding metric is.
    pub fn check_title(&self, check: &Check) -> String {
        match check.name.strip_prefix(METRIC) {
            Some(rest) if rest.starts_with(' ') && self.policy_record.is_none() => {
                format!("{}{rest}", self.metric())
            }
            _ => check.name.clone(),
        }
    }

    /// The deciding metric as people read it.
    pub fn metric(&self) -> String {
        metric_title(&self.candidate.metrics)
    }

    /// The certainty of the comparison, in lines; where there is nothing to compare with, none.
    pub fn evidence_lines(&self) -> Vec<String> {
        let Some(baseline) = &self.baseline else { return Vec::new() };
        match (&self.evidence, &self.no_evidence) {
            (Some(evidence), _) => evidence.lines(&self.metric(), baseline.version),
            (None, Some(why)) if baseline.version != self.version => {
                vec![format!("no evidence beside the numbers: {why}")]
            }
            _ => Vec::new(),
        }
    }
}

/// A number of a check, where there is one.
fn number(value: Option<f64>) -> String {
    match value {
        None => "—".to_owned(),
        Some(value) if value.fract() == 0.0 && (2.0..1e15).contains(&value) => {
            figure::count(value as u64)
        }
        Some(value) => figure::metric(value),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        gate::judge,
        output::Outcome,
        registry::{Lineage, Stage},
    };

    /// A version as the registry would hand it out, measured on the split `aa`.
    pub(in crate::gate) fn version(number: u32, f1: f64, stage: Stage) -> ModelVersion {
        ModelVersion {
            model: "M".to_owned(),
            version: number,
            stage,
            run_id: "0".repeat(32),
            created_ms: 0,
            files: Vec::new(),
            lineage: Lineage { test_fingerprint: "aa".to_owned(), ..Lineage::default() },
            metrics: BTreeMap::from([("f1".to_owned(), f1)]),
            tags: BTreeMap::new(),
            verdict: None,
            history: Vec::new(),
            registration: None,
        }
    }

    /// The verdict of a gate between registered numbers.
    pub(in crate::gate) fn verdict(
        subject: &ModelVersion,
        production: Option<&ModelVersion>,
    ) -> Verdict {
        let (candidate, baseline) = (Candidate::of(subject), production.map(Baseline::of));
        let judgement = judge(&Policy::default(), &candidate, baseline.as_ref());
        let (record, evidence, no_evidence) = (None, None, None);
        let judged = Judged { candidate, baseline, judgement, record, evidence, no_evidence };
        Verdict::new("M", &Policy::default(), judged, 17, "ada")
    }

    #[test]
    fn a_no_is_blocked_and_shows_its_numbers() {
        let production = version(1, 0.91, Stage::Production);
        let output = verdict(&version(2, 0.9, Stage::None), Some(&production)).to_output();
        assert_eq!(output.outcome(), Outcome::Blocked);
        let expected = "\
M version 2: gate BLOCKED
check                       candidate  required  verdict
────────────────────────────────────────────────────────
f1 >= Production version 1     0.9000    0.9100  BLOCKED
because f1 0.9000 is below 0.9100 (on the same test split)
train a better one, or overrule with `trialbook promote M 2 --force --reason \"…\"`";
        assert_eq!(output.to_text(None), expected);
        assert_eq!(output.json()["passed"], false);
        assert_eq!(output.json()["baseline"]["version"], 1);
    }

    #[test]
    fn a_yes_says_what_to_type_next() {
        let output = verdict(&version(1, 0.9, Stage::None), None).to_output();
        assert_eq!(output.outcome(), Outcome::Done);
        assert!(output.to_text(None).ends_with("`trialbook promote M 1`"));
    }

    #[test]
    fn a_verdict_survives_storing_whatever_was_measured() {
        let mut subject = version(2, f64::NAN, Stage::None);
        subject.metrics.insert("loss".to_owned(), f64::INFINITY);
        let written = verdict(&subject, Some(&version(1, 0.5, Stage::Production)));
        subject.verdict = Some(serde_json::to_value(&written).unwrap());
        let read = Verdict::of(&subject).unwrap().unwrap();
        assert!(read.candidate.metrics["f1"].is_nan());
        assert_eq!(read.candidate.metrics["loss"], f64::INFINITY);
        assert_eq!((read.baseline, read.at_ms, read.who.as_str()), (written.baseline, 17, "ada"));
        assert!(!read.passed);
    }

    #[test]
    fn the_first_layout_is_read_and_a_newer_one_is_refused() {
        let mut subject = version(2, 0.9, Stage::None);
        assert_eq!(Verdict::of(&subject).unwrap(), None);
        let stored = include_str!("../../../tests/fixtures/verdict_v1.json");
        subject.verdict = Some(serde_json::from_str(stored).unwrap());
        let read = Verdict::of(&subject).unwrap().unwrap();
        assert!(read.passed && read.baseline.is_some_and(|baseline| baseline.reevaluated));

        subject.verdict = Some(serde_json::json!({ "schema_version": 3, "passed": true }));
        let error = Verdict::of(&subject).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("schema 3, this build reads up to 2"), "{error}");

        subject.verdict = Some(serde_json::json!({ "passed": true }));
        assert_eq!(Verdict::of(&subject).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
