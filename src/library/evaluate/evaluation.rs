//! Everything known about one set of predictions, computed once: metrics by name, the confusion
//! matrix and the curves.

use serde::{Serialize, Serializer};

use super::{
    CalibrationCurve, ConfusionMatrix, Forecast, N_BINS, PrecisionRecallCurve, Ranking, RocCurve,
    SplitAnswers, brier, calibration_error, log_loss,
};
use crate::{
    error::{Error, Result},
    figure,
    model::{DEFAULT_THRESHOLD, predicted_label},
    output::{Align, Table},
};

/// The most points a stored curve has; its area is always that of the whole curve.
pub const MAX_CURVE_POINTS: usize = 1000;

/// The distance from 1 that the sum of a row of probabilities may have: models that compute in
/// `f32` round.
const ROW_SUM_TOLERANCE: f64 = 1e-3;

/// The measured quality of predictions on one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    n_examples: usize,
    #[serde(serialize_with = "as_map")]
    metrics: Vec<(String, f64)>,
    /// The number of metrics of the whole split; those of each class come after them.
    #[serde(skip)]
    n_overall: usize,
    confusion: ConfusionMatrix,
    roc: Vec<RocCurve>,
    precision_recall: Vec<PrecisionRecallCurve>,
    calibration: CalibrationCurve,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

/// Evaluates predictions against the true labels; the predicted class is that of
/// [`predicted_label`] at 0.5.
///
/// # Shapes
/// `labels` is `[n]`, `probabilities` is `[n, n_classes]`, row-major, every row summing to 1.
///
/// # Errors
/// No examples, fewer than two classes, shapes that do not fit, a label without a class, or a row
/// that is no probability distribution.
pub fn evaluate(labels: &[u32], probabilities: &[f64], classes: &[String]) -> Result<Evaluation> {
    check(labels, probabilities, classes)?;
    let rows = probabilities.chunks_exact(classes.len());
    let answers = SplitAnswers {
        predicted: rows.map(|row| predicted_label(row, DEFAULT_THRESHOLD) as u32).collect(),
        probabilities: probabilities.to_vec(),
        threshold: (classes.len() == 2).then_some(DEFAULT_THRESHOLD),
    };
    evaluate_answers(labels, &answers, classes)
}

/// As [`evaluate`], with the labels that a model made of its probabilities.
///
/// # Errors
/// As [`evaluate`], and a predicted label without a class.
pub fn evaluate_answers(
    labels: &[u32],
    answers: &SplitAnswers,
    classes: &[String],
) -> Result<Evaluation> {
    let SplitAnswers { probabilities, predicted, threshold } = answers;
    check(labels, probabilities, classes)?;
    let n_classes = classes.len();
    // Lengths and labels are checked with the counts, before they are used as indices.
    let confusion = ConfusionMatrix::count(labels, predicted, classes)?;
    let rows = || probabilities.chunks_exact(n_classes);
    // How far probabilities can be believed does not depend on the threshold that labels are made by.
    let likeliest: Vec<usize> = rows().map(|row| predicted_label(row, DEFAULT_THRESHOLD)).collect();
    let correct: Vec<bool> =
        labels.iter().zip(&likeliest).map(|(label, guess)| *label as usize == *guess).collect();
    let confidences: Vec<f64> =
        rows().zip(&likeliest).map(|(row, guess)| row[*guess].clamp(0.0, 1.0)).collect();

    // One ranking of the positive class, or one of each class against the rest.
    let ranked_classes = if n_classes == 2 { 1..2 } else { 0..n_classes };
    let mut rankings = Vec::with_capacity(ranked_classes.len());
    for class_idx in ranked_classes {
        let (scores, positive) = one_against_rest(labels, probabilities, n_classes, class_idx);
        rankings.push((&classes[class_idx], Ranking::new(&scores, &positive)?));
    }
    let calibration = if n_classes == 2 {
        let (scores, positive) = one_against_rest(labels, probabilities, n_classes, 1);
        CalibrationCurve::new(Forecast::PositiveProbability, &scores, &positive, N_BINS)?
    } else {
        CalibrationCurve::new(Forecast::Confidence, &confidences, &correct, N_BINS)?
    };

    let (headline, average) = (confusion.headline(), confusion.macro_average());
    let mut metrics = Metrics::default();
    metrics.push("accuracy", confusion.accuracy());
    metrics.push("precision", headline.precision);
    metrics.push("recall", headline.recall);
    metrics.push("f1", headline.f1);
    metrics.push("macro_precision", average.precision);
    metrics.push("macro_recall", average.recall);
    metrics.push("macro_f1", average.f1);
    if let Some(roc_auc) = mean(rankings.iter().map(|(_, ranking)| ranking.roc_auc())) {
        metrics.push("roc_auc", roc_auc);
    }
    if let Some(pr_auc) = mean(rankings.iter().map(|(_, ranking)| ranking.average_precision())) {
        metrics.push("pr_auc", pr_auc);
    }
    metrics.push("log_loss", log_loss(labels, probabilities, n_classes));
    metrics.push("brier", brier(labels, probabilities, n_classes));
    metrics.push("ece", calibration_error(&confidences, &correct)?);
    let n_overall = metrics.0.len();
    for (class_idx, class) in classes.iter().enumerate() {
        let own = confusion.of_class(class_idx);
        metrics.push(&format!("precision_{class}"), own.precision);
        metrics.push(&format!("recall_{class}"), own.recall);
        metrics.push(&format!("f1_{class}"), own.f1);
    }

    let roc = rankings.iter().filter_map(|(class, ranking)| ranking.roc_curve(class));
    let precision_recall =
        rankings.iter().filter_map(|(class, ranking)| ranking.precision_recall_curve(class));
    Ok(Evaluation {
        n_examples: labels.len(),
        metrics: metrics.0,
        n_overall,
        confusion,
        roc: roc.map(|curve| curve.thinned(MAX_CURVE_POINTS)).collect(),
        precision_recall: precision_recall.map(|curve| curve.thinned(MAX_CURVE_POINTS)).collect(),
        calibration,
        threshold: *threshold,
    })
}

impl Evaluation {
    /// Number of examples.
    pub fn n_examples(&self) -> usize {
        self.n_examples
    }

    /// Every metric by its name: `accuracy`, `precision`, `recall`, `f1` (of the positive class;
    /// of more than two classes the macro average), `macro_precision`, `macro_recall`, `macro_f1`,
    /// `roc_auc`, `pr_auc` (of more than two classes the mean of each class against the rest),
    /// `log_loss`, `brier`, `ece`, and `precision_CLASS`, `recall_CLASS`, `f1_CLASS`.
    ///
    /// A metric that is undefined is absent: `roc_auc` where a class does not occur. A character
    /// of a class name that MLflow allows in no metric name is written `_`.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        self.metrics.clone()
    }

    /// One metric, where it is defined.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The title of the metric `name` for people: it says of which class it is, or that it is an
    /// average of all, where its name alone would leave that open.
    pub fn title(&self, name: &str) -> String {
        let per_class = matches!(name, "precision" | "recall" | "f1");
        match self.confusion.classes() {
            [_, positive] if per_class => format!("{name} of {positive}"),
            classes if per_class => format!("{name} (macro average of {} classes)", classes.len()),
            _ => name.to_owned(),
        }
    }

    /// The number of times each class was predicted as each class.
    pub fn confusion(&self) -> &ConfusionMatrix {
        &self.confusion
    }

    /// The ROC curve of the positive class, or one of each class against the rest; those that are
    /// undefined are left out.
    pub fn roc(&self) -> &[RocCurve] {
        &self.roc
    }

    /// The precision-recall curve of the positive class, or one of each class against the rest.
    pub fn precision_recall(&self) -> &[PrecisionRecallCurve] {
        &self.precision_recall
    }

    /// Of two classes the calibration of the positive probability, of more that of the confidence.
    pub fn calibration(&self) -> &CalibrationCurve {
        &self.calibration
    }

    /// The probability of the positive class from which on a row was labelled with it; none for more than
    /// two classes.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// `positive from 0.37 on`, where that is not from 0.5.
    pub fn own_threshold(&self) -> Option<String> {
        let threshold = self.threshold.filter(|threshold| *threshold != DEFAULT_THRESHOLD)?;
        let positive = self.confusion.classes().get(1)?;
        Some(format!("{positive} from {threshold} on"))
    }

    /// The metrics of the whole split as a table; [`Evaluation::report`] has those of each class.
    pub fn table(&self) -> Table {
        let mut table = Table::new([("metric", Align::Left), ("value", Align::Right)]);
        for (name, value) in &self.metrics[..self.n_overall] {
            table.push([self.title(name), figure::metric(*value)]);
        }
        table
    }
}

/// Longest metric name; the registry takes 250 bytes, and a character may have four of them.
const MAX_KEY_CHARS: usize = 60;

#[derive(Default)]
struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Adds a metric under a name MLflow allows; a second class whose name becomes the same gets
    /// a number.
    fn push(&mut self, name: &str, value: f64) {
        // A slash would make folders of it, and those have rules of their own.
        let allowed = |letter: char| letter.is_alphanumeric() || "_-. :".contains(letter);
        let name: String = name
            .chars()
            .take(MAX_KEY_CHARS)
            .map(|letter| if allowed(letter) { letter } else { '_' })
            .collect();
        let is_free = |key: &String| self.0.iter().all(|(taken, _)| taken != key);
        let numbered = (2..).map(|nth| format!("{name}_{nth}"));
        let key = [name.clone()].into_iter().chain(numbered).find(is_free);
        self.0.push((key.expect("numbers do not run out"), value));
    }
}

fn check(labels: &[u32], probabilities: &[f64], classes: &[String]) -> Result<()> {
    let (n_examples, n_classes) = (labels.len(), classes.len());
    if n_examples == 0 {
        return Err(Error::invalid("nothing to evaluate: the split has no examples"));
    }
    if n_classes < 2 {
        return Err(Error::invalid(format!("{n_classes} classes: evaluation needs at least 2")));
    }
    if probabilities.len() != n_examples * n_classes {
        return Err(Error::invalid(format!(
            "{} probabilities for {n_examples} examples of {n_classes} classes: expected {}",
            probabilities.len(),
            n_examples * n_classes
        )));
    }
    if let Some(example_idx) = labels.iter().position(|label| *label as usize >= n_classes) {
        return Err(Error::invalid(format!(
            "example {example_idx}: label {} but only {n_classes} classes",
            labels[example_idx]
        )));
    }
    let is_distribution = |row: &[f64]| {
        let slack = -ROW_SUM_TOLERANCE..=1.0 + ROW_SUM_TOLERANCE;
        row.iter().all(|probability| slack.contains(probability))
            && (row.iter().sum::<f64>() - 1.0).abs() <= ROW_SUM_TOLERANCE
    };
    match probabilities.chunks_exact(n_classes).position(|row| !is_distribution(row)) {
        None => Ok(()),
        Some(example_idx) => Err(Error::invalid(format!(
            "example {example_idx}: probabilities {:?} do not lie in [0, 1] and sum to 1",
            &probabilities[example_idx * n_classes..(example_idx + 1) * n_classes]
        ))),
    }
}

fn one_against_rest(
    labels: &[u32],
    probabilities: &[f64],
    n_classes: usize,
    class_idx: usize,
) -> (Vec<f64>, Vec<bool>) {
    let scores =
        probabilities.chunks_exact(n_classes).map(|row| row[class_idx].clamp(0.0, 1.0)).collect();
    (scores, labels.iter().map(|label| *label as usize == class_idx).collect())
}

/// The mean, if every value is there.
fn mean(values: impl ExactSizeIterator<Item = Option<f64>>) -> Option<f64> {
    let n_values = values.len();
    Some(values.sum::<Option<f64>>()? / n_values as f64)
}

fn as_map<S: Serializer>(metrics: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn binary(labels: &[u32], positive: &[f64]) -> Result<Evaluation> {
        let rows: Vec<f64> = positive.iter().flat_map(|p| [1.0 - p, *p]).collect();
        evaluate(labels, &rows, &names(&["neg", "pos"]))
    }

    #[test]
    fn two_classes_have_every_metric() {
        let evaluation = binary(&[0, 1, 1, 0], &[0.2, 0.9, 0.5, 0.6]).unwrap();
        let keys: Vec<String> = evaluation.metrics().into_iter().map(|(key, _)| key).collect();
        let expected = "accuracy precision recall f1 macro_precision macro_recall macro_f1 roc_auc \
                        pr_auc log_loss brier ece precision_neg recall_neg f1_neg precision_pos \
                        recall_pos f1_pos";
        assert_eq!(keys.join(" "), expected);
        // 0.5 counts as positive: predictions 0, 1, 1, 1.
        assert_eq!(evaluation.metric("f1"), Some(0.8));
        assert_eq!(evaluation.metric("f1"), evaluation.metric("f1_pos"));
        assert_eq!(evaluation.metric("roc_auc"), Some(0.75));
        assert_eq!(evaluation.calibration().forecast, Forecast::PositiveProbability);
    }

    #[test]
    fn the_labels_that_a_model_made_count() {
        let labels = [0, 1, 1, 0];
        let positive = [0.2, 0.9, 0.5, 0.6];
        let answers = |threshold: f64| SplitAnswers {
            probabilities: positive.iter().flat_map(|p| [1.0 - p, *p]).collect(),
            predicted: positive.iter().map(|p| u32::from(*p >= threshold)).collect(),
            threshold: Some(threshold),
        };
        let classes = names(&["neg", "pos"]);
        let usual = evaluate_answers(&labels, &answers(0.5), &classes).unwrap();
        assert_eq!(usual, binary(&labels, &positive).unwrap());
        assert_eq!(usual.own_threshold(), None);
        let own = evaluate_answers(&labels, &answers(0.7), &classes).unwrap();
        assert_eq!(own.metric("precision"), Some(1.0));
        assert_eq!(own.metric("recall"), Some(0.5));
        assert_eq!(own.own_threshold().as_deref(), Some("pos from 0.7 on"));
        for of_probabilities in ["roc_auc", "log_loss", "brier", "ece"] {
            assert_eq!(own.metric(of_probabilities), usual.metric(of_probabilities));
        }
        let mut broken = answers(0.5);
        broken.predicted[1] = 2;
        assert!(evaluate_answers(&labels, &broken, &classes).is_err());
        broken.predicted.pop();
        assert!(evaluate_answers(&labels, &broken, &classes).is_err());
    }

    #[test]
    fn f1_of_more_classes_is_the_macro_average() {
        let rows = [0.7, 0.2, 0.1, 0.2, 0.6, 0.2, 0.3, 0.4, 0.3, 0.1, 0.1, 0.8];
        let evaluation = evaluate(&[0, 1, 2, 2], &rows, &names(&["a", "b", "c"])).unwrap();
        assert_eq!(evaluation.metric("f1"), evaluation.metric("macro_f1"));
        assert_eq!(evaluation.roc().len(), 3);
        assert_eq!(evaluation.calibration().forecast, Forecast::Confidence);
    }

    #[test]
    fn what_is_undefined_is_absent() {
        let evaluation = binary(&[0, 0], &[0.2, 0.9]).unwrap();
        assert_eq!((evaluation.metric("roc_auc"), evaluation.metric("pr_auc")), (None, None));
        assert!(evaluation.roc().is_empty() && evaluation.precision_recall().is_empty());
        assert_eq!(evaluation.metric("f1"), Some(0.0));
        assert!(evaluation.metrics().iter().all(|(_, value)| value.is_finite()));
    }

    #[test]
    fn class_names_become_legal_and_distinct_metric_names() {
        let classes = names(&["a!", "a?", "très bon"]);
        let rows = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let evaluation = evaluate(&[0, 1, 2], &rows, &classes).unwrap();
        for key in ["f1_a_", "f1_a__2", "f1_très bon"] {
            assert_eq!(evaluation.metric(key), Some(1.0), "{key}");
        }
    }

    #[test]
    fn the_json_has_metrics_by_name() {
        let json = serde_json::to_value(binary(&[0, 1], &[0.2, 0.9]).unwrap()).unwrap();
        assert_eq!(json["metrics"]["accuracy"], 1.0);
        assert_eq!(json["confusion"]["counts"][1][1], 1);
        assert_eq!(json["roc"][0]["class"], "pos");
    }

    #[test]
    fn long_curves_are_thinned_and_areas_are_not() {
        let labels: Vec<u32> = (0..5000).map(|idx| u32::from(idx % 7 < 3)).collect();
        let positive: Vec<f64> = (0..5000).map(|idx| f64::from(idx * 37 % 5000) / 5000.0).collect();
        let evaluation = binary(&labels, &positive).unwrap();
        let curve = &evaluation.precision_recall()[0];
        assert_eq!(curve.recalls.len(), MAX_CURVE_POINTS);
        assert_eq!(Some(curve.average_precision), evaluation.metric("pr_auc"));
    }

    #[test]
    fn unusable_input_is_named() {
        let two = names(&["neg", "pos"]);
        let one = &two[..1];
        let check = |labels: &[u32], rows: &[f64], classes: &[String], expected: &str| {
            let error = evaluate(labels, rows, classes).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(&[], &[], &two, "no examples");
        check(&[0], &[1.0], one, "1 classes");
        check(
            &[0, 1],
            &[1.0, 0.0],
            &two,
            "2 probabilities for 2 examples of 2 classes: expected 4",
        );
        check(&[2], &[1.0, 0.0], &two, "label 2");
        check(&[0], &[f64::NAN, 0.0], &two, "example 0: probabilities [NaN, 0.0]");
        check(&[0], &[1.5, -0.5], &two, "[1.5, -0.5]");
        check(&[0, 0], &[1.0, 0.0, 0.5, 0.4], &two, "example 1");
    }
}
