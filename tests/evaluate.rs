//! Metrics and curves against scikit-learn, whose answers lie in `fixtures/metrics_expected.json`;
//! `fixtures/make_metrics.py` wrote them and names the versions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use serde_json::Value;
use trialbook::evaluate::{Evaluation, artifacts, evaluate};

/// Sums are taken in another order than NumPy's, nothing more.
const TOLERANCE: f64 = 1e-9;

fn fixture() -> Vec<Value> {
    let fixture: Value =
        serde_json::from_str(include_str!("fixtures/metrics_expected.json")).unwrap();
    fixture["cases"].as_array().unwrap().clone()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn evaluated(case: &Value) -> Evaluation {
    let labels: Vec<u32> = numbers(&case["labels"]).into_iter().map(|label| label as u32).collect();
    let probabilities = numbers(&case["probabilities"]);
    let classes: Vec<String> =
        (0..probabilities.len() / labels.len()).map(|idx| format!("c{idx}")).collect();
    evaluate(&labels, &probabilities, &classes).unwrap()
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (point_idx, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "{what} {point_idx}: {found}, not {expected}"
        );
    }
}

#[test]
fn every_metric_is_scikit_learns() {
    for case in fixture() {
        let evaluation = evaluated(&case);
        let expected = case["metrics"].as_object().unwrap();
        assert_eq!(evaluation.metrics().len(), expected.len(), "{}", case["name"]);
        for (name, value) in expected {
            let found = evaluation.metric(name).unwrap();
            assert_close(
                &format!("{}: {name}", case["name"]),
                &[found],
                &[value.as_f64().unwrap()],
            );
        }
        let counts = serde_json::to_value(evaluation.confusion().counts()).unwrap();
        assert_eq!(counts, case["confusion"], "{}", case["name"]);
    }
}

#[test]
fn every_curve_is_scikit_learns() {
    for case in fixture().iter().filter(|case| case.get("roc").is_some()) {
        let (name, evaluation) = (&case["name"], evaluated(case));
        let (x, y) = (|key: &str| numbers(&case[key]["x"]), |key: &str| numbers(&case[key]["y"]));
        let roc = &evaluation.roc()[0];
        assert_close(&format!("{name}: fpr"), &roc.false_positive_rates, &x("roc"));
        assert_close(&format!("{name}: tpr"), &roc.true_positive_rates, &y("roc"));
        let curve = &evaluation.precision_recall()[0];
        assert_close(&format!("{name}: recall"), &curve.recalls, &x("precision_recall"));
        assert_close(&format!("{name}: precision"), &curve.precisions, &y("precision_recall"));
        let bins = &evaluation.calibration().bins;
        let means: Vec<f64> = bins.iter().map(|bin| bin.mean_forecast).collect();
        let observed: Vec<f64> = bins.iter().map(|bin| bin.observed_frequency).collect();
        assert_close(&format!("{name}: forecast"), &means, &x("calibration"));
        assert_close(&format!("{name}: observed"), &observed, &y("calibration"));
    }
}

#[test]
fn pictures_need_nothing_from_outside() {
    for case in fixture() {
        for (name, bytes) in artifacts(&evaluated(&case)) {
            let text = String::from_utf8(bytes).unwrap();
            if name.ends_with(".svg") {
                assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "{name}");
                let outside = text.replace("http://www.w3.org/2000/svg", "");
                for reference in ["http", "href", "url(", "@import", "<script", "NaN", "inf"] {
                    assert!(!outside.contains(reference), "{name} has {reference:?}");
                }
            } else {
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "{name}");
            }
        }
    }
}
