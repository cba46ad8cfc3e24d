//! Judging by a policy's checks: the facts about a version against their bounds, with a reason for
//! each. Pure: it measures, reads and stores nothing.

use super::{
    METRIC, Policy,
    behaviour_check::judge_behaviour,
    checks::{
        ApprovalCheck, CalibrationCheck, ClassFloorCheck, LeakageCheck, Level, PolicyChecks,
        ReproducibleCheck, SizeCheck, VerdictsCheck,
    },
    cost_checks::CostFacts,
    evidence::{Evidence, percent, signed},
    examination::Examination,
    judgement::{Baseline, Candidate, Check, CheckOutcome, Judgement, is_same_split, judge},
    slice_floor::{FloorSlice, slice_floors},
};
use crate::figure;

/// Everything that a policy may ask about a version.
#[derive(Debug)]
pub(super) struct VersionFacts<'a> {
    /// The version's numbers.
    pub(super) candidate: &'a Candidate,
    /// Production's, where there is one.
    pub(super) production: Option<&'a Baseline>,
    /// The answers of the models themselves, or the reason why they were not asked.
    pub(super) examination: Result<&'a Examination, &'a str>,
    /// The size of the version's files.
    pub(super) n_bytes: u64,
    /// Verdicts asked of its test split, this one included.
    pub(super) n_verdicts: u64,
    /// The keys in force whose holders approved it.
    pub(super) approvals: &'a [String],
}

/// The finding of one check.
struct Finding {
    name: String,
    candidate: Option<f64>,
    required: Option<f64>,
    passed: bool,
    reason: String,
}

/// Judges by every check that `policy` has.
pub(super) fn assess(policy: &PolicyChecks, facts: &VersionFacts<'_>) -> Judgement {
    let mut checks = comparisons(policy, facts);
    if let Some(check) = &policy.slice_floor {
        checks.extend(slice_floors(check, facts.slices()));
    }
    let mut push = |level: Level, finding: Finding| checks.push(finding.into_check(level));
    if let Some(check) = &policy.class_floor {
        class_floors(check, facts).into_iter().for_each(|finding| push(check.level, finding));
    }
    if let Some(check) = &policy.calibration {
        calibration(check, facts).into_iter().for_each(|finding| push(check.level, finding));
    }
    if let Some(check) = &policy.agreement {
        push(check.level, agreement(check.min, facts));
    }
    if let Some(check) = &policy.leakage {
        push(check.level, leakage(check, facts));
    }
    if let Some(check) = &policy.reproducible {
        push(check.level, reproducible(check, facts));
    }
    if let Some(check) = &policy.size {
        push(check.level, size(check, facts));
    }
    if let Some(check) = &policy.verdicts {
        push(check.level, verdicts(check, facts));
    }
    if let Some(check) = &policy.approval {
        push(check.level, approval(check, facts));
    }
    if let Some(check) = &policy.behaviour {
        let found = facts.examination.and_then(|examination| match &examination.behaviour {
            None => Err("the behaviour tests were not asked"),
            Some(found) => found.as_ref().map_err(String::as_str),
        });
        checks.extend(judge_behaviour(check, found));
    }
    if let Some(check) = &policy.latency {
        checks.extend(check.judge(facts.costs()));
    }
    if let Some(check) = &policy.memory {
        checks.extend(check.judge(facts.costs()));
    }
    Judgement {
        passed: checks.iter().all(|check| check.outcome() != CheckOutcome::Blocked),
        reasons: reasons(&checks),
        checks,
    }
}

/// The reasons of a no, then the warnings; of a clean yes the number of checks.
fn reasons(checks: &[Check]) -> Vec<String> {
    let told = |outcome: CheckOutcome, prefix: &'static str| {
        checks
            .iter()
            .filter(move |check| check.outcome() == outcome)
            .filter_map(move |check| Some(format!("{prefix}{}", check.reason.as_ref()?)))
    };
    let mut reasons: Vec<String> =
        told(CheckOutcome::Blocked, "").chain(told(CheckOutcome::Warned, "warning: ")).collect();
    if checks.iter().all(|check| check.outcome() != CheckOutcome::Blocked) {
        let n_passed = checks.iter().filter(|check| check.passed).count();
        reasons.insert(0, format!("{} met", figure::counted(n_passed, "check")));
    }
    reasons
}

/// The checks that compare with Production. Without another version there F1 has to reach the
/// policy's minimum in their place.
fn comparisons(policy: &PolicyChecks, facts: &VersionFacts<'_>) -> Vec<Check> {
    let levels = [
        policy.strict.as_ref().map(|check| check.level),
        policy.non_inferior.as_ref().map(|check| check.level),
        policy.significant.as_ref().map(|check| check.level),
    ];
    let seed = |level: Level| {
        let rule = Policy { min_f1: policy.min_f1 };
        let Judgement { checks, reasons, .. } = judge(&rule, facts.candidate, facts.production);
        let reason = Some(reasons.join("; "));
        checks.into_iter().map(move |check| Check { level, reason: reason.clone(), ..check })
    };
    if facts.rival().is_none() {
        let strictest = levels.into_iter().flatten().min_by_key(|level| *level == Level::Warn);
        return strictest.into_iter().flat_map(seed).collect();
    }
    let mut checks: Vec<Check> = levels[0].into_iter().flat_map(seed).collect();
    if let Some(check) = &policy.non_inferior {
        checks.push(non_inferior(check.margin, facts).into_check(check.level));
    }
    if let Some(check) = &policy.significant {
        checks.push(significant(check.alpha, facts).into_check(check.level));
    }
    checks
}

fn non_inferior(margin: f64, facts: &VersionFacts<'_>) -> Finding {
    let name = format!("lower end of the difference in {METRIC} > {}", -margin);
    let evidence = match facts.evidence() {
        Ok(evidence) => evidence,
        Err(why) => return Finding::unknown(name, &why),
    };
    let f1 = evidence.bootstrap.f1;
    let passed = f1.lower > -margin;
    let relation = if passed { "above" } else { "not above" };
    let reason = format!(
        "the 95 % interval of the difference in {METRIC}, {} to {}, is {relation} {}",
        signed(f1.lower),
        signed(f1.upper),
        -margin
    );
    Finding { name, candidate: Some(f1.lower), required: Some(-margin), passed, reason }
}

fn significant(alpha: f64, facts: &VersionFacts<'_>) -> Finding {
    let name = format!("better than Production with McNemar's p < {alpha}");
    let evidence = match facts.evidence() {
        Ok(evidence) => evidence,
        Err(why) => return Finding::unknown(name, &why),
    };
    let test = evidence.mcnemar;
    let is_better = test.n_only_first > test.n_only_second;
    let reason = format!(
        "only this version is right in {}, only Production in {}: p = {}",
        figure::counted(test.n_only_first, "row"),
        figure::count(test.n_only_second),
        figure::metric(test.p_value)
    );
    let passed = is_better && test.p_value < alpha;
    Finding { name, candidate: Some(test.p_value), required: Some(alpha), passed, reason }
}

/// One finding for each class, and one for each class of the policy that the version does not know.
fn class_floors(check: &ClassFloorCheck, facts: &VersionFacts<'_>) -> Vec<Finding> {
    let metric = check.metric.as_str();
    let prefix = format!("{metric}_");
    let found: Vec<(&str, f64)> = facts
        .candidate
        .metrics
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, *value)))
        .collect();
    let mut findings: Vec<Finding> = found
        .iter()
        .map(|(class, value)| {
            let min = check.classes.get(*class).copied().unwrap_or(check.min);
            let (passed, value) = (*value >= min, *value);
            let relation = if passed { "is at least" } else { "is below" };
            Finding {
                name: format!("{metric} of {class} >= {min}"),
                candidate: Some(value),
                required: Some(min),
                passed,
                reason: format!("{metric} of {class} {} {relation} {min}", figure::metric(value)),
            }
        })
        .collect();
    let name = |class: &str| format!("{metric} of {class}");
    for class in check.classes.keys().filter(|class| found.iter().all(|(known, _)| known != class))
    {
        findings.push(Finding::unknown(name(class), "the version has no such class"));
    }
    if found.is_empty() {
        findings.push(Finding::unknown(name("every class"), "the version has no such metrics"));
    }
    findings
}

fn calibration(check: &CalibrationCheck, facts: &VersionFacts<'_>) -> Vec<Finding> {
    [("ece", check.max_ece_rise), ("brier", check.max_brier_rise)]
        .into_iter()
        .map(|(key, max_rise)| {
            let name = format!("rise of {key} <= {max_rise}");
            let Some(production) = facts.rival() else { return Finding::alone(name) };
            if !is_same_split(&production.test_fingerprint, &facts.candidate.test_fingerprint) {
                return Finding::unknown(name, "the two were not measured on the same test split");
            }
            let of = |metrics: &std::collections::BTreeMap<String, f64>| metrics.get(key).copied();
            let (Some(own), Some(other)) = (of(&facts.candidate.metrics), of(&production.metrics))
            else {
                return Finding::unknown(name, &format!("{key} is not among the metrics of both"));
            };
            let rise = own - other;
            let (own, other) = (figure::metric(own), figure::metric(other));
            Finding {
                name,
                candidate: Some(rise),
                required: Some(max_rise),
                passed: rise <= max_rise,
                reason: format!("{key} is {own} beside Production's {other}"),
            }
        })
        .collect()
}

fn agreement(min: f64, facts: &VersionFacts<'_>) -> Finding {
    let name = format!("agreement with Production >= {min}");
    if facts.rival().is_none() {
        return Finding::alone(name);
    }
    match facts.evidence() {
        Err(why) => Finding::unknown(name, &why),
        Ok(Evidence { agreement, n_examples, .. }) => Finding {
            name,
            candidate: Some(*agreement),
            required: Some(min),
            passed: *agreement >= min,
            reason: format!(
                "the two agree on {} of {}",
                percent(*agreement),
                figure::counted(*n_examples, "test row")
            ),
        },
    }
}

fn leakage(check: &LeakageCheck, facts: &VersionFacts<'_>) -> Finding {
    let name = match check.near {
        None => format!("share of test rows that are in train <= {}", check.max_share),
        Some(near) => {
            format!("share of test rows that are in train or {near} alike <= {}", check.max_share)
        }
    };
    let leakage = match facts.examination.map(|examination| &examination.leakage) {
        Err(why) => return Finding::unknown(name, why),
        Ok(None) => return Finding::unknown(name, "the training split was not looked at"),
        Ok(Some(Err(why))) => return Finding::unknown(name, why),
        Ok(Some(Ok(leakage))) => *leakage,
    };
    Finding {
        name,
        candidate: Some(leakage.share()),
        required: Some(check.max_share),
        passed: leakage.share() <= check.max_share,
        reason: match leakage.n_near {
            None => format!(
                "{} of {} are in the training split too",
                figure::count(leakage.n_leaked),
                figure::counted(leakage.n_test, "test row")
            ),
            Some(n_near) => format!(
                "{} of {} are in the training split too, and {} more are nearly the same as a row there",
                figure::count(leakage.n_leaked),
                figure::counted(leakage.n_test, "test row"),
                figure::count(n_near - leakage.n_leaked)
            ),
        },
    }
}

fn reproducible(check: &ReproducibleCheck, facts: &VersionFacts<'_>) -> Finding {
    let name = format!("stored metrics measured again, within {:e}", check.tolerance);
    let examination = match facts.examination {
        Ok(examination) => examination,
        Err(why) => return Finding::unknown(name, why),
    };
    let stored = &facts.candidate.metrics;
    let differences = examination.candidate.iter().filter_map(|(key, found)| {
        let difference = (stored.get(key)? - found).abs();
        // NaN is no small difference.
        Some((key, if difference.is_nan() { f64::INFINITY } else { difference }))
    });
    let Some((key, worst)) = differences.max_by(|left, right| left.1.total_cmp(&right.1)) else {
        return Finding::unknown(name, "none of the stored metrics can be measured again");
    };
    let passed = worst <= check.tolerance;
    let reason = match passed {
        true => "the stored files give the stored metrics".to_owned(),
        false => format!("{key} differs by {worst:.3e} when the stored files are measured again"),
    };
    Finding { name, candidate: Some(worst), required: Some(check.tolerance), passed, reason }
}

fn size(check: &SizeCheck, facts: &VersionFacts<'_>) -> Finding {
    let (found, most) = (figure::bytes(facts.n_bytes), figure::bytes(check.max_bytes));
    Finding {
        name: format!("bytes of the model <= {}", check.max_bytes),
        candidate: Some(facts.n_bytes as f64),
        required: Some(check.max_bytes as f64),
        passed: facts.n_bytes <= check.max_bytes,
        reason: format!("the model's files have {found}, and {most} are allowed"),
    }
}

fn verdicts(check: &VerdictsCheck, facts: &VersionFacts<'_>) -> Finding {
    let name = format!("verdicts asked of the test split <= {}", check.max);
    if facts.candidate.test_fingerprint.is_empty() {
        return Finding::unknown(name, "its test split is not known");
    }
    Finding {
        name,
        candidate: Some(facts.n_verdicts as f64),
        required: Some(check.max as f64),
        passed: facts.n_verdicts <= check.max,
        reason: format!(
            "{} asked of this test split: one that is asked often is fitted to",
            figure::counted(facts.n_verdicts, "verdict")
        ),
    }
}

fn approval(check: &ApprovalCheck, facts: &VersionFacts<'_>) -> Finding {
    let approved: Vec<&str> =
        facts.approvals.iter().filter(|key| check.keys.contains(key)).map(String::as_str).collect();
    let wanted = check.keys.join(" or ");
    Finding {
        name: format!("approved with the key {wanted}"),
        candidate: None,
        required: None,
        passed: !approved.is_empty(),
        reason: match approved.as_slice() {
            [] => format!("nobody approved it with the key {wanted}"),
            keys => format!("approved with the key {}", keys.join(" and ")),
        },
    }
}

impl<'a> VersionFacts<'a> {
    /// Production, unless that is the version itself.
    fn rival(&self) -> Option<&'a Baseline> {
        self.production.filter(|production| production.version != self.candidate.version)
    }

    /// The candidate on slices, or why it was not measured on them.
    fn slices(&self) -> Result<&'a [FloorSlice], &'a str> {
        match &self.examination?.slices {
            Some(Ok(slices)) => Ok(slices),
            Some(Err(why)) => Err(why),
            None => Err("the candidate was not measured on slices"),
        }
    }
    fn costs(&self) -> CostFacts<'a> {
        let costs = self.examination.and_then(|examination| match &examination.costs {
            Some(costs) => costs.as_ref().map_err(String::as_str),
            None => Err("the models were not asked for it"),
        });
        CostFacts { costs, has_rival: self.rival().is_some() }
    }

    fn evidence(&self) -> Result<&'a Evidence, String> {
        let examination = self.examination.map_err(str::to_owned)?;
        match (&examination.evidence, &examination.production) {
            (Some(evidence), _) => Ok(evidence),
            (None, Some(Err(why))) => Err(why.clone()),
            (None, _) => Err("Production was not measured beside it".to_owned()),
        }
    }
}

impl Finding {
    /// A check without the facts that it needs: it is not met.
    fn unknown(name: String, why: &str) -> Self {
        let reason = format!("{name} cannot be judged: {why}");
        Self { name, candidate: None, required: None, passed: false, reason }
    }

    /// A check against Production where there is no other version: it is met.
    fn alone(name: String) -> Self {
        let reason = "no other Production version to compare with".to_owned();
        Self { name, candidate: None, required: None, passed: true, reason }
    }

    fn into_check(self, level: Level) -> Check {
        let Self { name, candidate, required, passed, reason } = self;
        Check { name, candidate, required, passed, level, reason: Some(reason) }
    }
}

#[cfg(test)]
mod tests;
