//! The pure core of the gate: a policy, the candidate's numbers and Production's numbers give a
//! yes or a no, with a reason for each check. It reads and stores nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{METRIC, Policy, level::Level};
use crate::registry::ModelVersion;

/// The version to judge, as it was measured on its own test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The version's number.
    pub version: u32,
    /// SHA-256 of the test split it was measured on; empty when unknown.
    pub test_fingerprint: String,
    /// The metrics.
    #[serde(with = "crate::registry::finite_or_text")]
    pub metrics: BTreeMap<String, f64>,
}

/// The Production version, which the candidate is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The version's number.
    pub version: u32,
    /// SHA-256 of the test split `metrics` were measured on; empty when unknown.
    pub test_fingerprint: String,
    /// The metrics.
    #[serde(with = "crate::registry::finite_or_text")]
    pub metrics: BTreeMap<String, f64>,
    /// True if it was measured anew for this comparison, on the candidate's test split.
    pub reevaluated: bool,
}

/// One requirement and how the candidate met it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The requirement, such as `f1 >= Production version 2`.
    pub name: String,
    /// The candidate's value, where there is a usable one.
    pub candidate: Option<f64>,
    /// The least value that passes, where there is a usable one.
    pub required: Option<f64>,
    /// True if it is met.
    pub passed: bool,
    /// The consequence when it is not.
    #[serde(default, skip_serializing_if = "Level::is_block")]
    pub level: Level,
    /// The finding, in a sentence; absent where the verdict's reasons have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It is met.
    Passed,
    /// It is not met, which the verdict says.
    Warned,
    /// It is not met, and the version is blocked.
    Blocked,
}

impl Check {
    /// Its outcome.
    pub fn outcome(&self) -> CheckOutcome {
        match (self.passed, self.level) {
            (true, _) => CheckOutcome::Passed,
            (false, Level::Warn) => CheckOutcome::Warned,
            (false, Level::Block) => CheckOutcome::Blocked,
        }
    }
}

impl CheckOutcome {
    /// A word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "WARNING",
            Self::Blocked => "BLOCKED",
        }
    }
}

/// The gate's yes or no.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// True if no check blocks.
    pub passed: bool,
    /// The checks made.
    pub checks: Vec<Check>,
    /// The reasons, in sentences.
    pub reasons: Vec<String>,
}

impl Candidate {
    /// The registered numbers of `version`.
    pub fn of(version: &ModelVersion) -> Self {
        Self {
            version: version.version,
            test_fingerprint: version.lineage.test_fingerprint.clone(),
            metrics: version.metrics.clone(),
        }
    }
}

impl Baseline {
    /// The registered numbers of `production`.
    pub fn of(production: &ModelVersion) -> Self {
        Self {
            version: production.version,
            test_fingerprint: production.lineage.test_fingerprint.clone(),
            metrics: production.metrics.clone(),
            reevaluated: false,
        }
    }
}

/// Judges `candidate`. With a Production version its F1 must be at least that of Production, both
/// measured on the same test split; without one, or when the candidate is Production itself, at
/// least the policy's minimum. A value that is missing, not a number or outside [0, 1] blocks.
pub fn judge(policy: &Policy, candidate: &Candidate, production: Option<&Baseline>) -> Judgement {
    let (name, required, occasion) = match production {
        None => ("f1 >= minimum".to_owned(), Ok(policy.min_f1), "no Production version to beat"),
        Some(baseline) if baseline.version == candidate.version => (
            "f1 >= minimum".to_owned(),
            Ok(policy.min_f1),
            "it is the Production version itself, so only the minimum counts",
        ),
        Some(baseline) => {
            let value = usable(&baseline.metrics, baseline.version);
            let occasion = if baseline.reevaluated {
                "measured again on the candidate's test split"
            } else {
                "on the same test split"
            };
            (format!("f1 >= Production version {}", baseline.version), value, occasion)
        }
    };
    let found = usable(&candidate.metrics, candidate.version);
    let other = production.filter(|baseline| baseline.version != candidate.version);
    let has_same_split = other.is_none_or(|baseline| {
        is_same_split(&baseline.test_fingerprint, &candidate.test_fingerprint)
    });
    let has_same_class =
        other.is_none_or(|baseline| is_same_class(&baseline.metrics, &candidate.metrics));

    let mut reasons = Vec::new();
    let mut passed = false;
    match (&found, &required) {
        (Err(unusable), _) | (_, Err(unusable)) => reasons.push(unusable.clone()),
        (Ok(found), Ok(required)) if has_same_split && has_same_class => {
            passed = is_at_least(*found, *required);
            let relation = if passed { "is at least" } else { "is below" };
            let (found, required) = distinct(*found, *required);
            reasons.push(format!("{METRIC} {found} {relation} {required} ({occasion})"));
        }
        _ if has_same_split => reasons.push(format!(
            "the two versions were measured by {} and {}, so their numbers cannot be compared",
            metric_title(&candidate.metrics),
            other.map_or_else(String::new, |baseline| metric_title(&baseline.metrics)),
        )),
        _ => reasons.push(
            "the two versions were not measured on the same test split, so their numbers cannot \
             be compared"
                .to_owned(),
        ),
    }
    let (candidate, required) = (found.ok(), required.ok());
    let check = Check { name, candidate, required, passed, level: Level::default(), reason: None };
    Judgement { passed, checks: vec![check], reasons }
}

/// The deciding metric as people read it: of which class it is, or that it averages all of them, as
/// far as the numbers of single classes beside it tell. Of two classes it is the one whose own
/// numbers are all the same as the headline's.
pub(super) fn metric_title(metrics: &BTreeMap<String, f64>) -> String {
    let classes = classes(metrics);
    if classes.len() > 2 {
        return format!("{METRIC} (macro average of {} classes)", classes.len());
    }
    // Where both are the same it is true of either; the positive class is usually the last one.
    match headline_classes(metrics).last() {
        Some(class) => format!("{METRIC} of {class}"),
        None => METRIC.to_owned(),
    }
}

/// True if the deciding metric of both may be of the same class: not where two datasets with the
/// same examples chose each another class for the positive one.
pub(super) fn is_same_class(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> bool {
    let (left, right) = (headline_classes(left), headline_classes(right));
    left.is_empty() || right.is_empty() || left.iter().any(|class| right.contains(class))
}

/// The classes that have numbers of their own.
fn classes(metrics: &BTreeMap<String, f64>) -> Vec<&str> {
    metrics.keys().filter_map(|key| key.strip_prefix(METRIC)?.strip_prefix('_')).collect()
}

/// Of two classes those that the headline's numbers can be of; none where that is not to be told.
fn headline_classes(metrics: &BTreeMap<String, f64>) -> Vec<&str> {
    let own = |name: &str, class: &str| metrics.get(&format!("{name}_{class}"));
    let is_headline = |class: &&str| {
        ["precision", "recall", METRIC].iter().all(|name| own(name, class) == metrics.get(*name))
    };
    let classes = classes(metrics);
    match classes.len() {
        2 => classes.into_iter().filter(is_headline).collect(),
        _ => Vec::new(),
    }
}

/// True if two measurements are of the same examples; an unknown split is like no other.
pub(super) fn is_same_split(left: &str, right: &str) -> bool {
    !left.is_empty() && left == right
}

/// The deciding metric of a version, or why it cannot be used.
pub(super) fn usable(metrics: &BTreeMap<String, f64>, version: u32) -> Result<f64, String> {
    match metrics.get(METRIC) {
        None => Err(format!("{METRIC} of version {version} is missing")),
        Some(value) if (0.0..=1.0).contains(value) => Ok(*value),
        Some(value) => Err(format!(
            "{METRIC} of version {version} is {value}: a share between 0 and 1 is needed"
        )),
    }
}

/// `found >= required`, but for rounding: a number that went through decimal text may come back
/// some units in the last place off, and two models that differ at all differ by far more.
fn is_at_least(found: f64, required: f64) -> bool {
    found >= required - 4.0 * f64::EPSILON
}

/// Both numbers with four decimals, or as many as it takes to tell them apart.
fn distinct(left: f64, right: f64) -> (String, String) {
    let written = |decimals: usize| (format!("{left:.decimals$}"), format!("{right:.decimals$}"));
    (4..=12).map(written).find(|(left, right)| left != right).unwrap_or_else(|| written(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(f1: Option<f64>) -> BTreeMap<String, f64> {
        f1.map(|f1| ("f1".to_owned(), f1)).into_iter().collect()
    }

    fn candidate(f1: Option<f64>) -> Candidate {
        Candidate { version: 3, test_fingerprint: "aa".to_owned(), metrics: metrics(f1) }
    }

    fn production(version: u32, f1: Option<f64>, test_fingerprint: &str) -> Baseline {
        let test_fingerprint = test_fingerprint.to_owned();
        Baseline { version, test_fingerprint, metrics: metrics(f1), reevaluated: false }
    }

    fn judged(f1: Option<f64>, production: Option<&Baseline>) -> Judgement {
        judge(&Policy::default(), &candidate(f1), production)
    }

    #[test]
    fn without_production_the_minimum_decides() {
        let cases =
            [(0.0, false), (0.85 - 1e-9, false), (0.85, true), (0.85 + 1e-9, true), (1.0, true)];
        for (f1, expected) in cases {
            let judgement = judged(Some(f1), None);
            assert_eq!(judgement.passed, expected, "{f1}: {judgement:?}");
            assert_eq!(judgement.checks[0].required, Some(0.85));
        }
        let reasons = judged(Some(0.9), None).reasons;
        assert_eq!(reasons, ["f1 0.9000 is at least 0.8500 (no Production version to beat)"]);
    }

    #[test]
    fn with_production_its_f1_decides_and_the_minimum_does_not() {
        // Below the minimum yet better than Production passes; above it yet worse is blocked.
        for base in [0.6, 0.91] {
            let production = production(2, Some(base), "aa");
            for (f1, expected) in [(base - 1e-9, false), (base, true), (base + 1e-9, true)] {
                let judgement = judged(Some(f1), Some(&production));
                assert_eq!(judgement.passed, expected, "{f1} against {base}: {judgement:?}");
            }
        }
    }

    #[test]
    fn a_reason_shows_a_difference_however_small() {
        let judgement = judged(Some(0.91 - 1e-9), Some(&production(2, Some(0.91), "aa")));
        let expected = "f1 0.909999999 is below 0.910000000 (on the same test split)";
        assert_eq!(judgement.reasons, [expected]);
    }

    #[test]
    fn rounding_of_decimal_text_blocks_no_equal_model() {
        let production = production(2, Some(0.91_f64.next_up()), "aa");
        assert!(judged(Some(0.91), Some(&production)).passed);
    }

    #[test]
    fn a_value_that_is_no_share_blocks_on_either_side() {
        let good = production(2, Some(0.5), "aa");
        let bad = [None, Some(f64::NAN), Some(f64::INFINITY), Some(91.3), Some(-0.1)];
        for f1 in bad {
            for other in [None, Some(&good)] {
                let judgement = judged(f1, other);
                assert!(!judgement.passed, "{f1:?}");
                assert!(judgement.reasons[0].contains("version 3 is"), "{judgement:?}");
                assert_eq!(judgement.checks[0].candidate, None);
            }
            let judgement = judged(Some(0.99), Some(&production(2, f1, "aa")));
            assert!(!judgement.passed, "{f1:?}");
            assert!(judgement.reasons[0].contains("version 2 is"), "{judgement:?}");
        }
    }

    #[test]
    fn numbers_of_different_or_unknown_splits_do_not_compare() {
        for fingerprint in ["bb", ""] {
            let judgement = judged(Some(0.99), Some(&production(2, Some(0.5), fingerprint)));
            assert!(!judgement.passed);
            assert!(judgement.reasons[0].contains("same test split"), "{judgement:?}");
        }
        let unknown = Candidate { test_fingerprint: String::new(), ..candidate(Some(0.99)) };
        let production = production(2, Some(0.5), "");
        assert!(!judge(&Policy::default(), &unknown, Some(&production)).passed);
    }

    #[test]
    fn the_metric_says_of_which_class_it_is() {
        let measured = |values: &[(&str, f64)]| {
            values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let of_two = |legit: f64| {
            measured(&[
                ("precision", 0.9),
                ("recall", 0.8),
                ("f1", 0.85),
                ("precision_fraud", 0.9),
                ("recall_fraud", legit),
                ("f1_fraud", 0.85),
                ("precision_legit", 0.9),
                ("recall_legit", 0.8),
                ("f1_legit", 0.85),
            ])
        };
        assert_eq!(metric_title(&of_two(0.1)), "f1 of legit");
        assert_eq!(metric_title(&of_two(0.8)), "f1 of legit", "true of either");
        let of_three = [("f1", 0.5), ("f1_a", 0.5), ("f1_b", 0.5), ("f1_c", 0.5)];
        assert_eq!(metric_title(&measured(&of_three)), "f1 (macro average of 3 classes)");
        assert_eq!(metric_title(&measured(&[("f1", 0.5)])), "f1");
    }

    #[test]
    fn numbers_of_two_positive_classes_do_not_compare() {
        let measured = |positive: &str| {
            let mut metrics = BTreeMap::new();
            for (class, value) in [("ham", 0.9), ("spam", 0.7)] {
                for name in ["precision", "recall", "f1"] {
                    metrics.insert(format!("{name}_{class}"), value);
                    if class == positive {
                        metrics.insert(name.to_owned(), value);
                    }
                }
            }
            metrics
        };
        assert_eq!(metric_title(&measured("ham")), "f1 of ham");
        let candidate = Candidate { metrics: measured("ham"), ..candidate(None) };
        let baseline =
            |positive| Baseline { metrics: measured(positive), ..production(2, None, "aa") };
        let judgement = judge(&Policy::default(), &candidate, Some(&baseline("spam")));
        assert!(!judgement.passed);
        assert_eq!(
            judgement.reasons,
            [
                "the two versions were measured by f1 of ham and f1 of spam, so their numbers cannot be \
                 compared"
            ]
        );
        assert!(judge(&Policy::default(), &candidate, Some(&baseline("ham"))).passed);
    }

    #[test]
    fn production_itself_is_judged_by_the_minimum() {
        for (f1, expected) in [(0.85 - 1e-9, false), (0.85, true), (0.86, true)] {
            let judgement = judged(Some(f1), Some(&production(3, Some(f1), "aa")));
            assert_eq!(judgement.passed, expected, "{f1}");
            assert!(judgement.reasons[0].contains("the Production version itself"));
        }
    }
}
