//! The checks of a policy, as its file says them: which there are, their bounds, and whether one that
//! is not met blocks or warns. It reads text and judges nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::{Table, Value};

pub use super::level::Level;
use super::{
    Policy,
    cost_checks::{LatencyCheck, MemoryCheck},
    evidence::MARGIN,
    retraining::RetrainRule,
};
use crate::{
    error::{Error, Result},
    evaluate::{Slice, SliceFeature},
};

/// The checks of a policy; those that are absent are not made.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PolicyChecks {
    /// The F1 that is enough while there is no Production version.
    pub min_f1: f64,
    /// F1 at least that of Production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<StrictCheck>,
    /// F1 surely not worse than Production's by more than a margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_inferior: Option<NonInferiorCheck>,
    /// Right more often than Production, by more than chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub significant: Option<SignificantCheck>,
    /// A least value for every class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_floor: Option<ClassFloorCheck>,
    /// A least value for slices of the test split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_floor: Option<SliceFloorCheck>,
    /// Calibration not worse than Production's by more than a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationCheck>,
    /// The size of the model's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeCheck>,
    /// Test rows that the training split has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakage: Option<LeakageCheck>,
    /// The share of test rows for which both versions predict the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementCheck>,
    /// The stored artifact gives the stored metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reproducible: Option<ReproducibleCheck>,
    /// The number of times that the test split was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<VerdictsCheck>,
    /// Somebody's approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalCheck>,
    /// The pass rates of behaviour tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourCheck>,
    /// The time that one text takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyCheck>,
    /// The memory that the loaded model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCheck>,
    /// No check: when the model is to be trained again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrain: Option<RetrainRule>,
}

/// `[strict]`: F1 at least that of Production, on the same test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrictCheck {
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[non_inferior]`: the lower end of the interval of the difference in F1 lies above `-margin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonInferiorCheck {
    /// The loss that does not matter. Default 0.002.
    #[serde(default = "margin")]
    pub margin: f64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[significant]`: right more often than Production with McNemar's exact p below `alpha`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignificantCheck {
    /// The level of the test. Default 0.05.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[class_floor]`: a least recall, precision or F1 of every class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFloorCheck {
    /// `recall`, `precision` or `f1`. Default `recall`.
    #[serde(default)]
    pub metric: ClassMetric,
    /// The least value of every class that `classes` does not name.
    pub min: f64,
    /// Other least values for single classes.
    #[serde(default)]
    pub classes: BTreeMap<String, f64>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// A metric of a single class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassMetric {
    /// The share of the class's examples that are found.
    #[default]
    Recall,
    /// The share of predictions of the class that are right.
    Precision,
    /// The harmonic mean of both.
    F1,
}

impl ClassMetric {
    /// Its name, such as `recall`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Precision => "precision",
            Self::F1 => "f1",
        }
    }
}

/// `[slice_floor]`: a least accuracy or F1 on slices of the candidate's test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceFloorCheck {
    /// `accuracy` or `f1`. Default `accuracy`.
    #[serde(default)]
    pub metric: SliceMetric,
    /// The least value on every slice.
    pub min: f64,
    /// Rows that a slice has at least: a value of a feature in fewer rows is passed over, a slice that is
    /// named and has fewer cannot be judged. Default 50.
    #[serde(default = "min_rows")]
    pub min_rows: usize,
    /// Slices, such as `genre=drama and length:q4`.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// Features whose slices are judged: `length`, `unknown`, `negation` or columns of the dataset.
    #[serde(default)]
    pub by: Vec<SliceFeature>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// A metric of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SliceMetric {
    /// The share of right predictions.
    #[default]
    Accuracy,
    /// Of the positive class, of more than two classes the macro average.
    F1,
}

impl SliceMetric {
    /// Its name, such as `accuracy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
        }
    }
}

/// `[calibration]`: expected calibration error and Brier score not worse than Production's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationCheck {
    /// The most by which the expected calibration error may rise. Default 0.01.
    #[serde(default = "rise")]
    pub max_ece_rise: f64,
    /// The most by which the Brier score may rise. Default 0.01.
    #[serde(default = "rise")]
    pub max_brier_rise: f64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[size]`: all files of the model together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeCheck {
    /// The most bytes.
    pub max_bytes: u64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[leakage]`: test rows whose text, white space aside, the training split has too, or nearly so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakageCheck {
    /// The largest share of test rows. Default 0.
    #[serde(default)]
    pub max_share: f64,
    /// The share of its three-word sequences that a row has in common with one of the training split to
    /// count as well. Default: only equal rows count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<f64>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[agreement]`: the share of test rows for which candidate and Production predict the same class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementCheck {
    /// The least share.
    pub min: f64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[reproducible]`: the stored artifact, measured again, gives the stored metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReproducibleCheck {
    /// The largest difference of any metric. Default 1e-9.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[verdicts]`: the number of verdicts asked of this test split, this one included. A split that is
/// asked often is fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictsCheck {
    /// The most verdicts.
    pub max: u64,
    /// The consequence when it is not met. Default `warn`.
    #[serde(default = "warn")]
    pub level: Level,
}

/// `[approval]`: the holder of one of these API keys approved the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalCheck {
    /// Names of API keys; one of them is enough.
    pub keys: Vec<String>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[behaviour]`: the share of the dataset's behaviour tests that pass, by cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourCheck {
    /// The least share of all cases.
    pub min: f64,
    /// The least share of each test that `tests` does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_test: Option<f64>,
    /// Other least values for single tests.
    #[serde(default)]
    pub tests: BTreeMap<String, f64>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

fn margin() -> f64 {
    MARGIN
}

fn alpha() -> f64 {
    0.05
}

fn rise() -> f64 {
    0.01
}

fn tolerance() -> f64 {
    1e-9
}

fn min_rows() -> usize {
    50
}

fn warn() -> Level {
    Level::Warn
}

/// The names that a policy may have at its root.
const NAMES: &str = "min_f1, strict, non_inferior, significant, class_floor, slice_floor, calibration, \
                     size, leakage, agreement, reproducible, verdicts, approval, behaviour, latency, memory, retrain";

impl PolicyChecks {
    /// The checks that `text` says, in TOML: a table for each check.
    ///
    /// # Errors
    /// Text that is no TOML, a check or a setting that is unknown, one that is missing or out of
    /// range, and a policy without a check.
    pub fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| 1 + newlines(text, span.start));
            Error::invalid(format!("line {line} is no TOML: {}", one_line(error.message())))
        })?;
        let mut checks = Self { min_f1: Policy::default().min_f1, ..Self::default() };
        for (name, value) in table {
            match name.as_str() {
                "min_f1" => checks.min_f1 = read(&name, value)?,
                "strict" => checks.strict = Some(read(&name, value)?),
                "non_inferior" => checks.non_inferior = Some(read(&name, value)?),
                "significant" => checks.significant = Some(read(&name, value)?),
                "class_floor" => checks.class_floor = Some(read(&name, value)?),
                "slice_floor" => checks.slice_floor = Some(read(&name, value)?),
                "calibration" => checks.calibration = Some(read(&name, value)?),
                "size" => checks.size = Some(read(&name, value)?),
                "leakage" => checks.leakage = Some(read(&name, value)?),
                "agreement" => checks.agreement = Some(read(&name, value)?),
                "reproducible" => checks.reproducible = Some(read(&name, value)?),
                "verdicts" => checks.verdicts = Some(read(&name, value)?),
                "approval" => checks.approval = Some(read(&name, value)?),
                "behaviour" => checks.behaviour = Some(read(&name, value)?),
                "latency" => checks.latency = Some(read(&name, value)?),
                "memory" => checks.memory = Some(read(&name, value)?),
                "retrain" => checks.retrain = Some(read(&name, value)?),
                _ => {
                    return Err(Error::invalid(format!(
                        "unknown check {name:?}: expected one of {NAMES}"
                    )));
                }
            }
        }
        checks.check()?;
        Ok(checks)
    }

    /// The difference that counts: that of `[non_inferior]`, else 0.2 points.
    pub fn margin(&self) -> f64 {
        // A margin of 0 would take a test split without end.
        let margin = self.non_inferior.as_ref().map_or(MARGIN, |check| check.margin);
        if margin > 0.0 { margin } else { MARGIN }
    }

    fn check(&self) -> Result<()> {
        within("min_f1", self.min_f1, 0.0..=1.0)?;
        if let Some(check) = &self.non_inferior {
            within("non_inferior.margin", check.margin, 0.0..=1.0)?;
        }
        if let Some(check) = &self.significant {
            within("significant.alpha", check.alpha, f64::MIN_POSITIVE..=0.5)?;
        }
        if let Some(check) = &self.class_floor {
            within("class_floor.min", check.min, 0.0..=1.0)?;
            for (class, min) in &check.classes {
                within(&format!("class_floor.classes.{class}"), *min, 0.0..=1.0)?;
            }
        }
        if let Some(check) = &self.slice_floor {
            within("slice_floor.min", check.min, 0.0..=1.0)?;
            if check.min_rows == 0 {
                return Err(Error::invalid("slice_floor.min_rows is 0: must be >= 1"));
            }
            if check.slices.is_empty() && check.by.is_empty() {
                return Err(Error::invalid("slice_floor names no slice: expected slices or by")
                    .with_hint("such as by = [\"length\"] or slices = [\"negation\"]"));
            }
        }
        if let Some(check) = &self.calibration {
            within("calibration.max_ece_rise", check.max_ece_rise, 0.0..=1.0)?;
            within("calibration.max_brier_rise", check.max_brier_rise, 0.0..=2.0)?;
        }
        if let Some(SizeCheck { max_bytes: 0, .. }) = self.size {
            return Err(Error::invalid("size.max_bytes is 0: must be >= 1"));
        }
        if let Some(check) = &self.leakage {
            within("leakage.max_share", check.max_share, 0.0..=1.0)?;
            // Texts that share little are found by chance alone.
            check.near.map_or(Ok(()), |near| within("leakage.near", near, 0.5..=1.0))?;
        }
        if let Some(check) = &self.agreement {
            within("agreement.min", check.min, 0.0..=1.0)?;
        }
        if let Some(check) = &self.reproducible {
            within("reproducible.tolerance", check.tolerance, 0.0..=1.0)?;
        }
        if let Some(VerdictsCheck { max: 0, .. }) = self.verdicts {
            return Err(Error::invalid("verdicts.max is 0: must be >= 1, this verdict counts too"));
        }
        if self.approval.as_ref().is_some_and(|check| check.keys.is_empty()) {
            return Err(Error::invalid("approval.keys is empty: expected the name of an API key"));
        }
        if let Some(check) = &self.behaviour {
            within("behaviour.min", check.min, 0.0..=1.0)?;
            check.min_test.map_or(Ok(()), |min| within("behaviour.min_test", min, 0.0..=1.0))?;
            for (test, min) in &check.tests {
                within(&format!("behaviour.tests.{test}"), *min, 0.0..=1.0)?;
            }
        }
        self.latency.as_ref().map_or(Ok(()), LatencyCheck::check)?;
        self.memory.as_ref().map_or(Ok(()), MemoryCheck::check)?;
        self.retrain.as_ref().map_or(Ok(()), RetrainRule::check)?;
        let (min_f1, retrain) = (self.min_f1, self.retrain.clone());
        let has_none = Self { min_f1, retrain, ..Self::default() } == *self;
        if has_none {
            return Err(Error::invalid(format!("it has no check: expected one of {NAMES}"))
                .with_hint("the default rule alone is `[strict]`"));
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    value.try_into().map_err(|error: toml::de::Error| {
        Error::invalid(format!("{name}: {}", in_tomls_words(&one_line(error.message()))))
    })
}

/// `message` with the words that TOML has for the types of Rust.
fn in_tomls_words(message: &str) -> String {
    let Some((found, expected)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let expected = match expected {
        "f64" => "a number",
        "u64" | "u32" | "usize" => "a whole number from 0 on",
        "a sequence" => "a list",
        "a map" => "a table",
        // The type's own name follows.
        of_table if of_table.starts_with("struct ") => "a table",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn within(name: &str, found: f64, range: std::ops::RangeInclusive<f64>) -> Result<()> {
    if range.contains(&found) {
        return Ok(());
    }
    let (least, most) = (*range.start(), *range.end());
    let expected = match least == f64::MIN_POSITIVE {
        true => format!("must be above 0 and at most {most}"),
        false => format!("must lie between {least} and {most}"),
    };
    Err(Error::invalid(format!("{name} is {found}: {expected}")))
}

fn newlines(text: &str, end: usize) -> usize {
    text.bytes().take(end).filter(|byte| *byte == b'\n').count()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
