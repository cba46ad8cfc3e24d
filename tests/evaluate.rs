//! Metrics and curves against scikit-learn, whose answers lie in `fixtures/metrics_expected.json`, and
//! comparisons of two models against SciPy and statsmodels (`paired_expected.json`);
//! `fixtures/make_metrics.py` and `make_paired.py` wrote them and name the versions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

#[path = "../benches/pairs.rs"]
mod pairs;

use pairs::SyntheticPair;
use serde_json::Value;
use trialbook::evaluate::{
    Evaluation, agreement, artifacts, evaluate, mcnemar, n_to_tell, paired_bootstrap,
};

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

/// SciPy's intervals are resampled with other random numbers: with 20,000 resamples on either side the
/// ends of two intervals differ by less than 5 % of their width.
const INTERVAL_TOLERANCE: f64 = 0.05;

fn paired_fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/paired_expected.json")).unwrap()
}

#[test]
fn paired_differences_and_mcnemar_are_scipys_and_statsmodels() {
    let fixture = paired_fixture();
    let n_resamples = fixture["n_resamples"].as_u64().unwrap() as usize;
    for case in fixture["cases"].as_array().unwrap() {
        let classes = |key: &str| -> Vec<u32> {
            numbers(&case[key]).into_iter().map(|class| class as u32).collect()
        };
        let (labels, first, second) = (classes("labels"), classes("first"), classes("second"));
        let n_classes = case["n_classes"].as_u64().unwrap() as usize;
        let test = mcnemar(&labels, &first, &second).unwrap();
        assert_eq!(test.n_only_first as u64, case["mcnemar"]["n_only_first"], "{}", case["name"]);
        assert_eq!(test.n_only_second as u64, case["mcnemar"]["n_only_second"], "{}", case["name"]);
        let p_value = case["mcnemar"]["p_value"].as_f64().unwrap();
        assert_close("p-value", &[test.p_value], &[p_value]);
        let same = agreement(&first, &second).unwrap();
        assert_close("agreement", &[same], &[case["agreement"].as_f64().unwrap()]);

        let found = paired_bootstrap(&labels, &first, &second, n_classes, n_resamples, 5).unwrap();
        for (metric, found) in [("f1", found.f1), ("accuracy", found.accuracy)] {
            let expected = |key: &str| case[metric][key].as_f64().unwrap();
            assert_close(metric, &[found.difference], &[expected("difference")]);
            let width = expected("upper") - expected("lower");
            for (end, found) in [("lower", found.lower), ("upper", found.upper)] {
                let off = (found - expected(end)).abs() / width;
                assert!(off < INTERVAL_TOLERANCE, "{} {metric} {end}: off by {off}", case["name"]);
            }
        }
    }
}

#[test]
fn the_size_of_a_test_split_is_connors_and_has_the_power_it_promises() {
    for size in paired_fixture()["sizes"].as_array().unwrap() {
        let of = |key: &str| size[key].as_f64().unwrap();
        let found = n_to_tell(of("discordant"), of("difference")).unwrap();
        assert!(found.abs_diff(of("n") as usize) <= 1, "{size}: {found}");
        // Summed over all outcomes by SciPy's binomial distribution.
        if let Some(power) = size["power"].as_f64() {
            assert!((power - 0.8).abs() < 0.01, "{size}");
        }
    }
}

/// `just simulate` does the same with 10,000 pairs.
#[test]
fn the_interval_covers_the_truth_and_the_rules_err_as_often_as_they_say() {
    const N_PAIRS: usize = 300;
    let equal =
        SyntheticPair { n_examples: 400, n_classes: 2, accuracies: [0.85; 2], together: 0.5 };
    let many = SyntheticPair { n_classes: 4, accuracies: [0.85, 0.8], ..equal };
    let worse = SyntheticPair { accuracies: [0.8, 0.85], ..equal };
    assert_eq!(equal.difference(), 0.0);
    let rates = [equal, many, worse].map(|pair| pair.simulate(N_PAIRS, 200, 0.02));
    for found in rates {
        // 95 % with a standard error of 1.3 points, and a little less for 200 resamples.
        assert!((0.905..=0.985).contains(&found.covered), "{found:?}");
    }
    let [equal, many, worse] = rates;
    // A coin decides between equals under the default rule; McNemar's test is wrong in 2.5 % at most.
    assert!((0.4..=0.65).contains(&equal.strict), "{equal:?}");
    assert!(equal.significant <= 0.05, "{equal:?}");
    // Five points worse: none may count as better, and hardly one as not worse by two points.
    assert!(worse.significant == 0.0 && worse.non_inferior <= 0.02, "{worse:?}");
    assert!(many.significant > 0.4 && many.non_inferior > 0.9, "{many:?}");
}
