//! The files a run keeps of its evaluation: numbers and curves as JSON, pictures as SVG. Only their
//! names and bytes; storing them is the registry's business.

use serde::Serialize;
use serde_json::json;

use super::Evaluation;

/// Every artifact of `evaluation` as (name, bytes). Curves that are undefined have no files.
pub fn artifacts(evaluation: &Evaluation) -> Vec<(String, Vec<u8>)> {
    let metrics: serde_json::Map<String, serde_json::Value> =
        evaluation.metrics().into_iter().map(|(name, value)| (name, json!(value))).collect();
    let mut files = vec![
        ("metrics.json".to_owned(), pretty(&metrics)),
        ("confusion_matrix.json".to_owned(), pretty(evaluation.confusion())),
        ("confusion_matrix.svg".to_owned(), evaluation.confusion_plot().svg.into_bytes()),
    ];
    if let Some(chart) = evaluation.roc_plot() {
        files.push(("roc_curve.json".to_owned(), compact(evaluation.roc())));
        files.push(("roc_curve.svg".to_owned(), chart.draw().svg.into_bytes()));
    }
    if let Some(chart) = evaluation.precision_recall_plot() {
        files.push((
            "precision_recall_curve.json".to_owned(),
            compact(evaluation.precision_recall()),
        ));
        files.push(("precision_recall_curve.svg".to_owned(), chart.draw().svg.into_bytes()));
    }
    files.push(("calibration_curve.json".to_owned(), pretty(evaluation.calibration())));
    files.push((
        "calibration_curve.svg".to_owned(),
        evaluation.calibration_plot().draw().svg.into_bytes(),
    ));
    files
}

/// JSON that people open.
fn pretty(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("string keys and plain values")
}

/// JSON of a thousand numbers, which nobody wants a line each.
fn compact(value: impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&value).expect("string keys and plain values")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::evaluate;

    fn names(labels: &[u32], rows: &[f64]) -> Vec<String> {
        let evaluation = evaluate(labels, rows, &["neg".to_owned(), "pos".to_owned()]).unwrap();
        artifacts(&evaluation).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn every_defined_artifact_is_there_once() {
        let expected = "metrics.json confusion_matrix.json confusion_matrix.svg roc_curve.json \
                        roc_curve.svg precision_recall_curve.json precision_recall_curve.svg \
                        calibration_curve.json calibration_curve.svg";
        assert_eq!(names(&[0, 1], &[0.8, 0.2, 0.3, 0.7]).join(" "), expected);
        assert_eq!(names(&[0, 0], &[0.8, 0.2, 0.3, 0.7]).len(), 5);
    }

    #[test]
    fn metrics_are_read_back_to_the_last_bit() {
        let classes = ["neg".to_owned(), "pos".to_owned()];
        let evaluation = evaluate(&[0, 1, 1], &[0.7, 0.3, 0.6, 0.4, 0.1, 0.9], &classes).unwrap();
        let (_, bytes) = artifacts(&evaluation).swap_remove(0);
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for (name, value) in evaluation.metrics() {
            assert_eq!(read[&name].as_f64(), Some(value), "{name}");
        }
    }
}
