//! Making a model's decision: calibration and threshold, by its answers to rows that it has not learnt.
//! Which rows those are is decided here: those that were held out, or where none were, all rows of the
//! train split, each answered by a model of the other folds. Never those of the test split.

use serde::Serialize;
use serde_json::{Value, json};

use super::now_ms;
use crate::{
    data::Split,
    error::{Error, Result},
    evaluate::{Evaluation, choose_threshold, evaluate},
    figure,
    model::{
        Calibration, CalibrationMethod, Classifier, Decision, DecisionRequest, Fit, Fold, Holdout,
        fit_fold, fold_rows,
    },
    progress::Monitor,
    registry::{Metric, Run, RunBatch, Tracker},
};

/// Folds of which each is answered by a model of the others.
const N_FOLDS: usize = 5;
/// Rows that were held out, in words.
const VALIDATION_ROWS: &str = "validation rows";

/// The param of a run with the threshold of its model.
pub(super) const THRESHOLD_PARAM: &str = "threshold";
/// The param with the rule by which it was chosen.
pub(super) const RULE_PARAM: &str = "threshold_rule";
/// The param with the kind of calibration.
pub(super) const CALIBRATION_PARAM: &str = "calibration";
const TEMPERATURE_PARAM: &str = "temperature";
/// The params with the rows that chose the threshold and that the calibration was fitted on.
const THRESHOLD_ROWS_PARAM: &str = "threshold_rows";
const CALIBRATION_ROWS_PARAM: &str = "calibration_rows";
/// All of them: a version with another decision has its own.
pub(super) const DECISION_PARAMS: [&str; 6] = [
    THRESHOLD_PARAM,
    RULE_PARAM,
    THRESHOLD_ROWS_PARAM,
    CALIBRATION_PARAM,
    CALIBRATION_ROWS_PARAM,
    TEMPERATURE_PARAM,
];

/// Below so many rows, or so many of a class, a decision is mostly chance.
const FEW_ROWS: usize = 100;
const FEW_OF_A_CLASS: usize = 10;

/// Metrics of probabilities, which calibration is there for.
const OF_PROBABILITIES: [&str; 3] = ["ece", "brier", "log_loss"];

/// A model's uncalibrated answers to rows that it has not learnt.
pub(super) struct HeldOutAnswers {
    /// The rows, in words.
    pub(super) rows: String,
    pub(super) labels: Vec<u32>,
    /// `[n, n_classes]`, row-major, in the order of the model's classes.
    pub(super) probabilities: Vec<f64>,
}

/// A decision that was made, and what it brings.
#[derive(Debug, Clone)]
pub struct MadeDecision {
    /// The calibration and the threshold.
    pub decision: Decision,
    /// The positive class of two; empty for more.
    pub class: String,
    /// The effect of a new calibration.
    pub calibrated: Option<CalibrationEffect>,
    /// The doubts about it, a sentence each.
    pub warnings: Vec<String>,
}

/// Probabilities before and after calibration, on the same rows.
#[derive(Debug, Clone, Serialize)]
pub struct CalibrationEffect {
    /// The rows, in words.
    pub rows: String,
    /// As the model gives them.
    pub before: Evaluation,
    /// Calibrated: each fifth of the rows by the other four, so that no row is judged by a calibration that
    /// has seen it.
    pub after: Evaluation,
}

impl HeldOutAnswers {
    /// The answers of an uncalibrated `classifier` to `split`, which it has not learnt.
    pub(super) fn of(classifier: &dyn Classifier, split: &Split, rows: String) -> Result<Self> {
        let split = in_order(split, classifier.classes())?;
        let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
        let probabilities = classifier.predict(&texts)?.values().to_vec();
        Ok(Self { rows, labels: split.labels, probabilities })
    }

    /// The answers to all of `train`, each by a model of the folds without it.
    pub(super) fn of_folds(
        fit: &dyn Fit,
        train: &Split,
        seed: u64,
        monitor: &Monitor,
    ) -> Result<Self> {
        let smallest = train.fingerprint.class_counts.iter().min().copied().unwrap_or_default();
        let n_folds = smallest.clamp(2, N_FOLDS);
        let n_classes = train.classes.len();
        let mut probabilities = vec![0.0; train.labels.len() * n_classes];
        let folds = fold_rows(train, n_folds, seed)?;
        // What a fold's model says of itself belongs to no run.
        let quiet = Monitor { interrupt: monitor.interrupt.clone(), ..Monitor::silent() };
        monitor.stage("cross-validate", Some(n_folds as u64), || {
            for rows in &folds {
                monitor.interrupt.check()?;
                let Fold { rows, probabilities: found, .. } =
                    fit_fold(fit, train, rows, &quiet, &mut |_, _, _| Ok(()))?;
                for (row, found) in rows.iter().zip(found.rows()) {
                    probabilities[row * n_classes..(row + 1) * n_classes].copy_from_slice(found);
                }
                monitor.progress.advance(1);
            }
            Ok::<(), Error>(())
        })?;
        let rows = format!("training rows ({n_folds} folds)");
        Ok(Self { rows, labels: train.labels.clone(), probabilities })
    }
}

/// `split` with its classes in another order.
///
/// # Errors
/// Other classes.
fn in_order(split: &Split, classes: &[String]) -> Result<Split> {
    let place = |class: &String| classes.iter().position(|known| known == class);
    let places: Option<Vec<usize>> = split.classes.iter().map(place).collect();
    let places = places.filter(|places| places.len() == classes.len()).ok_or_else(|| {
        Error::invalid(format!(
            "the model knows the classes {}, the rows have {}",
            classes.join(", "),
            split.classes.join(", ")
        ))
    })?;
    let labels = split.labels.iter().map(|label| places[*label as usize] as u32).collect();
    Ok(Split { labels, classes: classes.to_vec(), ..split.clone() })
}

/// The rows that a training leaves for a decision.
pub(super) enum Unlearnt {
    /// Those that were held out.
    HeldOut(Split),
    /// None: what it learns has to be learnt again by folds.
    All,
}

impl Unlearnt {
    /// The rows of `train` that `fit` does not learn; `validation` ones were taken out of it before.
    pub(super) fn by(fit: &dyn Fit, train: &Split, validation: Option<&Split>) -> Result<Self> {
        Ok(match (validation, fit.own_holdout()) {
            (Some(validation), _) => Self::HeldOut(validation.clone()),
            (None, Some((share, seed))) => Self::held_out(train, share, seed)?,
            (None, None) => Self::All,
        })
    }

    /// Those that a training held out of `train` by `share` and `seed`.
    pub(super) fn held_out(train: &Split, share: f64, seed: u64) -> Result<Self> {
        let Holdout { valid, .. } = Holdout::new(train, share, seed)?;
        Ok(Self::HeldOut(train.subset(&valid)))
    }

    /// That they are enough for what is asked for.
    pub(super) fn check(&self, wanted: &DecisionRequest, train: &Split) -> Result<()> {
        match self {
            Self::HeldOut(split) => wanted.check_rows(&split.labels, VALIDATION_ROWS),
            Self::All => wanted.check_rows(&train.labels, "training rows"),
        }
    }

    /// The answers to them.
    pub(super) fn answers(
        &self,
        classifier: &dyn Classifier,
        fit: &dyn Fit,
        train: &Split,
        seed: u64,
        monitor: &Monitor,
    ) -> Result<HeldOutAnswers> {
        match self {
            Self::HeldOut(split) => {
                HeldOutAnswers::of(classifier, split, VALIDATION_ROWS.to_owned())
            }
            Self::All => HeldOutAnswers::of_folds(fit, train, seed, monitor),
        }
    }
}

/// Makes the decision that is `wanted` for a model of `classes`; what is not asked for is `inherited`.
/// Calibration comes first: a threshold is one of calibrated probability.
///
/// # Errors
/// Rows that are too few, or of one class; a precision that is not reached.
pub(super) fn decide(
    wanted: &DecisionRequest,
    inherited: &Decision,
    classes: &[String],
    answers: Option<&HeldOutAnswers>,
    seed: u64,
) -> Result<MadeDecision> {
    let mut decision = inherited.clone();
    let nothing = HeldOutAnswers {
        rows: VALIDATION_ROWS.to_owned(),
        labels: Vec::new(),
        probabilities: Vec::new(),
    };
    let HeldOutAnswers { rows, labels, probabilities } = answers.unwrap_or(&nothing);
    let mut calibrated = None;
    if let Some(method) = wanted.calibrate {
        decision.calibration =
            Some(Calibration::fit(method, labels, probabilities, classes, rows)?);
        calibrated = Some(effect(method, labels, probabilities, classes, rows, seed)?);
    }
    let positive_class = classes.get(1).filter(|_| classes.len() == 2);
    if let (Some(rule), Some(class)) = (wanted.threshold, positive_class) {
        let mut probabilities = probabilities.clone();
        decision.calibrate(&mut probabilities, classes.len());
        let positive: Vec<f64> = probabilities.chunks_exact(2).map(|row| row[1]).collect();
        decision.threshold = Some(choose_threshold(rule, labels, &positive, class, rows)?);
    }
    let class = positive_class.cloned().unwrap_or_default();
    let few = answers.and_then(|answers| few_rows(answers, classes));
    let warnings = few.into_iter().chain(calibrated.as_ref().and_then(worse)).collect();
    Ok(MadeDecision { decision, class, calibrated, warnings })
}

/// The warnings about a decision by few rows, or by few of a class.
fn few_rows(answers: &HeldOutAnswers, classes: &[String]) -> Option<String> {
    let HeldOutAnswers { rows, labels, .. } = answers;
    let mut counts = vec![0; classes.len()];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    let (n_of_class, class) = counts.iter().zip(classes).min()?;
    (labels.len() < FEW_ROWS || *n_of_class < FEW_OF_A_CLASS).then(|| {
        format!(
            "decided by {} {rows}, {} of them {class}: with fewer than {FEW_ROWS}, or than \
             {FEW_OF_A_CLASS} of a class, it is mostly chance; choose by more rows",
            figure::count(labels.len()),
            figure::count(*n_of_class)
        )
    })
}

/// The warning about a calibration that makes probabilities worse.
fn worse(effect: &CalibrationEffect) -> Option<String> {
    let CalibrationEffect { before, after, .. } = effect;
    let (before, after) = (before.metric("log_loss")?, after.metric("log_loss")?);
    (after > before).then(|| {
        format!(
            "the calibration makes probabilities worse on rows that it has not seen: log_loss {} to {}; \
             leave it out, or fit it on more rows",
            figure::metric(before),
            figure::metric(after)
        )
    })
}

fn effect(
    method: CalibrationMethod,
    labels: &[u32],
    probabilities: &[f64],
    classes: &[String],
    rows: &str,
    seed: u64,
) -> Result<CalibrationEffect> {
    let after = Calibration::cross_fitted(method, labels, probabilities, classes, seed)?;
    Ok(CalibrationEffect {
        rows: rows.to_owned(),
        before: evaluate(labels, probabilities, classes)?,
        after: evaluate(labels, &after, classes)?,
    })
}

impl MadeDecision {
    /// Keeps it with `run`: params, metrics, and the reliability diagrams as artifacts.
    pub(super) fn log(&self, registry: &dyn Tracker, run: &Run) -> Result<()> {
        let timestamp_ms = now_ms();
        let metrics = self.metrics().into_iter().map(|(key, value)| Metric {
            key,
            value,
            step: 0,
            timestamp_ms,
        });
        let batch =
            RunBatch { metrics: metrics.collect(), params: self.params(), ..RunBatch::default() };
        registry.log(&run.run_id, &batch)?;
        let Some(CalibrationEffect { before, after, .. }) = &self.calibrated else { return Ok(()) };
        for (name, evaluation) in [("before", before), ("after", after)] {
            let svg = evaluation.calibration_plot().draw().svg;
            let curve = serde_json::to_vec_pretty(evaluation.calibration()).expect("plain values");
            registry.log_artifact(
                &run.run_id,
                &format!("calibration/{name}.svg"),
                svg.as_bytes(),
            )?;
            registry.log_artifact(&run.run_id, &format!("calibration/{name}.json"), &curve)?;
        }
        Ok(())
    }

    fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let mut add = |key: &str, value: String| params.push((key.to_owned(), value));
        if let Some(threshold) = &self.decision.threshold {
            add(THRESHOLD_PARAM, threshold.value.to_string());
            if let Some(chosen_on) = &threshold.chosen_on {
                let n_rows = figure::count(chosen_on.n_rows);
                add(THRESHOLD_ROWS_PARAM, format!("{n_rows} {}", chosen_on.rows));
            }
        }
        if let Some(calibration) = &self.decision.calibration {
            add(CALIBRATION_ROWS_PARAM, calibration.fitted_on().to_owned());
        }
        if let Some(Calibration::Temperature { temperature, .. }) = &self.decision.calibration {
            add(TEMPERATURE_PARAM, temperature.to_string());
        }
        params
    }

    fn metrics(&self) -> Vec<(String, f64)> {
        let mut metrics = Vec::new();
        let threshold = self.decision.threshold.as_ref();
        if let Some(rows) = threshold.and_then(|threshold| threshold.chosen_on.as_ref()) {
            for (key, value) in
                [("precision", rows.precision), ("recall", rows.recall), ("f1", rows.f1)]
            {
                metrics.push((format!("threshold_{key}"), value));
            }
        }
        if let Some(CalibrationEffect { before, after, .. }) = &self.calibrated {
            for key in OF_PROBABILITIES {
                for (when, evaluation) in [("before", before), ("after", after)] {
                    let value = evaluation.metric(key);
                    metrics.extend(value.map(|value| (format!("calibration_{when}_{key}"), value)));
                }
            }
        }
        metrics
    }

    /// The decision and the doubts about it, a sentence each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let (Some(calibration), Some(effect)) = (&self.decision.calibration, &self.calibrated) {
            let CalibrationEffect { before, after, .. } = effect;
            let kind = match calibration {
                Calibration::Temperature { temperature, .. } => {
                    format!("temperature {}", figure::metric(*temperature))
                }
                Calibration::Isotonic { x, .. } => {
                    format!("isotonic ({})", figure::counted(x.len(), "point"))
                }
            };
            let moved = OF_PROBABILITIES.map(|key| {
                let value =
                    |evaluation: &Evaluation| figure::metric_or_dash(evaluation.metric(key));
                format!("{key} {} to {}", value(before), value(after))
            });
            lines.push(format!(
                "calibration: {kind}, fitted on {}: {}",
                calibration.fitted_on(),
                moved.join(", ")
            ));
        }
        if let Some(threshold) = &self.decision.threshold {
            let on = threshold.chosen_on.as_ref().map_or_else(
                || ", as given".to_owned(),
                |rows| {
                    format!(
                        " ({}), chosen on {} {}: precision {}, recall {}, f1 {}",
                        threshold.rule,
                        figure::count(rows.n_rows),
                        rows.rows,
                        figure::metric(rows.precision),
                        figure::metric(rows.recall),
                        figure::metric(rows.f1)
                    )
                },
            );
            lines.push(format!("threshold: {} from {} on{on}", self.class, threshold.value));
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines
    }

    /// It for programs: the decision, and the metrics before and after a new calibration.
    pub fn to_json(&self) -> Value {
        let mut json = self.decision.describe();
        json["warnings"] = json!(self.warnings);
        json["effect"] = match &self.calibrated {
            None => Value::Null,
            Some(CalibrationEffect { rows, before, after }) => {
                let of = |evaluation: &Evaluation| -> serde_json::Map<String, Value> {
                    let value = |key: &str| (key.to_owned(), json!(evaluation.metric(key)));
                    OF_PROBABILITIES.into_iter().map(value).collect()
                };
                json!({ "rows": rows, "before": of(before), "after": of(after) })
            }
        };
        json
    }
}
