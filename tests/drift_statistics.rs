//! The statistics of drift against SciPy, scikit-learn, Evidently and NannyML, whose answers lie in
//! `fixtures/drift_expected.json` and `fixtures/performance_estimate_expected.json`; `make_drift.py` and
//! `make_performance_estimate.py` beside them wrote them and name the versions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use serde_json::Value;
use trialbook::evaluate::{
    auc_interval, chi_squared, estimate_performance, hellinger_distance, jensen_shannon_distance,
    kolmogorov_smirnov, kolmogorov_smirnov_counts, l_infinity_distance, maximum_mean_discrepancy,
    normed_wasserstein, normed_wasserstein_counts, population_stability_index,
};

/// Sums are taken in another order than NumPy's, nothing more.
const TOLERANCE: f64 = 1e-9;

fn cases(fixture: &str, key: &str) -> Vec<Value> {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let cases = fixture[key].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{key}");
    cases
}

fn drift_cases(key: &str) -> Vec<Value> {
    cases(include_str!("fixtures/drift_expected.json"), key)
}

fn nannyml_cases(key: &str) -> Vec<Value> {
    cases(include_str!("fixtures/performance_estimate_expected.json"), key)
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn counts(values: &Value) -> Vec<u64> {
    values.as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
}

/// Both are the same to nine digits behind the point, or to nine digits where they are above 1.
fn assert_close(case: &Value, what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
        "{}: {what}: {found}, not {expected}",
        case["name"]
    );
}

#[test]
fn distances_of_shares_are_scipys_and_evidentlys() {
    for case in drift_cases("shares") {
        let (reference, current) = (counts(&case["reference"]), counts(&case["current"]));
        let jensen_shannon = jensen_shannon_distance(&reference, &current);
        let in_nats = jensen_shannon * std::f64::consts::LN_2.sqrt();
        assert_close(&case, "Jensen-Shannon", jensen_shannon, &case["jensen_shannon"]);
        assert_close(&case, "Jensen-Shannon in nats", in_nats, &case["jensen_shannon_nats"]);
        assert_close(&case, "PSI", population_stability_index(&reference, &current), &case["psi"]);
        let hellinger = hellinger_distance(&reference, &current);
        assert_close(&case, "Hellinger", hellinger, &case["hellinger"]);
        let test = chi_squared(&reference, &current);
        assert_close(&case, "chi-squared", test.statistic, &case["chi_squared"][0]);
        assert_close(&case, "its p value", test.p_value, &case["chi_squared"][1]);
    }
}

#[test]
fn distances_of_shares_are_nannymls() {
    for case in nannyml_cases("categories") {
        let (reference, current) = (counts(&case["reference"]), counts(&case["current"]));
        let jensen_shannon = jensen_shannon_distance(&reference, &current);
        assert_close(&case, "Jensen-Shannon", jensen_shannon, &case["jensen_shannon"]);
        let hellinger = hellinger_distance(&reference, &current);
        assert_close(&case, "Hellinger", hellinger, &case["hellinger"]);
        let l_infinity = l_infinity_distance(&reference, &current);
        assert_close(&case, "L-infinity", l_infinity, &case["l_infinity"]);
        assert_close(&case, "chi2", chi_squared(&reference, &current).statistic, &case["chi2"]);
    }
}

#[test]
fn samples_are_as_far_apart_as_scipy_and_evidently_say() {
    for case in drift_cases("ordered") {
        let (reference, current) = (numbers(&case["reference"]), numbers(&case["current"]));
        let test = kolmogorov_smirnov(&reference, &current);
        assert_close(&case, "Kolmogorov-Smirnov", test.statistic, &case["kolmogorov_smirnov"][0]);
        assert_close(&case, "its p value", test.p_value, &case["kolmogorov_smirnov"][1]);
        let moved = normed_wasserstein(&reference, &current);
        assert_close(&case, "Wasserstein", moved, &case["wasserstein"]);
    }
}

#[test]
fn counted_values_are_as_far_apart_as_scipy_and_evidently_say() {
    for case in drift_cases("counted") {
        let (reference, current) = (counts(&case["reference"]), counts(&case["current"]));
        let test = kolmogorov_smirnov_counts(&reference, &current);
        assert_close(&case, "Kolmogorov-Smirnov", test.statistic, &case["kolmogorov_smirnov"][0]);
        assert_close(&case, "its p value", test.p_value, &case["kolmogorov_smirnov"][1]);
        let moved = normed_wasserstein_counts(&numbers(&case["values"]), &reference, &current);
        assert_close(&case, "Wasserstein", moved, &case["wasserstein"]);
    }
}

#[test]
fn an_area_has_delongs_deviation_and_scipys_p_value() {
    for case in drift_cases("areas") {
        let positive: Vec<bool> =
            case["positive"].as_array().unwrap().iter().map(|is| is.as_bool().unwrap()).collect();
        let found = auc_interval(&numbers(&case["scores"]), &positive).unwrap();
        assert_close(&case, "area", found.auc, &case["auc"]);
        assert_close(&case, "p value", found.p_value, &case["p_value"]);
        let half = 1.959_963_984_540_054 * case["deviation"].as_f64().unwrap();
        assert!((found.lower - (found.auc - half)).abs() < TOLERANCE, "{found:?}");
        assert!((found.upper - (found.auc + half).min(1.0)).abs() < TOLERANCE, "{found:?}");
    }
}

#[test]
fn the_discrepancy_of_rows_is_that_of_scikit_learns_kernel() {
    for case in drift_cases("discrepancies") {
        let rows = |key: &str| -> Vec<f32> {
            numbers(&case[key]).into_iter().map(|value| value as f32).collect()
        };
        let width = case["width"].as_u64().unwrap() as usize;
        let found =
            maximum_mean_discrepancy(&rows("reference"), &rows("current"), width, 99, 1).unwrap();
        assert_close(&case, "bandwidth", found.bandwidth, &case["bandwidth"]);
        assert_close(&case, "discrepancy", found.mmd2, &case["mmd2"]);
        assert_eq!(found.p_value <= 0.05, case["name"] == "shifted", "{found:?}");
    }
}

#[test]
fn estimates_without_labels_are_nannymls() {
    for case in nannyml_cases("cases") {
        let predicted: Vec<u32> =
            counts(&case["predicted"]).into_iter().map(|label| label as u32).collect();
        let n_classes = case["n_classes"].as_u64().unwrap() as usize;
        let probabilities = numbers(&case["probabilities"]);
        let found = estimate_performance(&probabilities, &predicted, n_classes).unwrap();
        for (name, metric) in [
            ("accuracy", found.accuracy),
            ("f1", found.f1),
            ("precision", found.precision),
            ("recall", found.recall),
        ] {
            assert_close(&case, name, metric.estimate, &case["metrics"][name]);
            assert!(metric.lower <= metric.estimate && metric.estimate <= metric.upper);
        }
    }
}
