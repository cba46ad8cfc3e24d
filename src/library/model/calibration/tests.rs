//! Calibration of rows made up here; `tests/threshold` has the peers.

use proptest::prelude::*;

use super::*;

fn names(n_classes: usize) -> Vec<String> {
    (0..n_classes).map(|idx| format!("c{idx}")).collect()
}

fn refused(method: CalibrationMethod, labels: &[u32], rows: &[f64]) -> String {
    let error = Calibration::fit(method, labels, rows, &names(2), "validation rows");
    error.unwrap_err().to_string()
}

#[test]
fn too_few_rows_are_one_sentence() {
    let (temperature, isotonic) = (CalibrationMethod::Temperature, CalibrationMethod::Isotonic);
    for method in [temperature, isotonic] {
        let said = refused(method, &[], &[]);
        assert_eq!(said, "there are no validation rows to calibrate by");
    }
    let expected = "a temperature cannot be told: all 2 validation rows are predicted right, expected \
                    some that are not";
    assert_eq!(refused(temperature, &[0, 1], &[0.9, 0.1, 0.2, 0.8]), expected);
    let labels: Vec<u32> = (0..200).map(|row| u32::from(row < 9)).collect();
    let said = refused(isotonic, &labels, &[0.5; 400]);
    assert!(said.ends_with("found 200 validation rows with 9 of one class"), "{said}");
    let said = refused(isotonic, &[0, 1].repeat(49), &[0.5; 196]);
    assert!(said.ends_with("found 98 validation rows with 49 of one class"), "{said}");
}

#[test]
fn certain_rows_that_are_wrong_do_not_break_it() {
    let labels = [0, 1, 1, 0];
    let rows = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.2, 0.8];
    let method = CalibrationMethod::Temperature;
    let fitted = Calibration::fit(method, &labels, &rows, &names(2), "rows").unwrap();
    assert_eq!(fitted.fault(2), None);
    let mut values = rows.to_vec();
    fitted.apply(&mut values, 2);
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{values:?}");
}

#[test]
fn an_overconfident_model_is_judged_by_rows_that_its_calibration_has_not_seen() {
    let mut random = Random::new(5);
    let (mut labels, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..400 {
        let truth = random.below(1000) as f64 / 1000.0;
        labels.push(u32::from((random.below(1000) as f64 / 1000.0) < truth));
        let sure = 1.0 / (1.0 + (-12.0 * (truth - 0.5)).exp());
        rows.extend([1.0 - sure, sure]);
    }
    for method in [CalibrationMethod::Temperature, CalibrationMethod::Isotonic] {
        let fitted = Calibration::fit(method, &labels, &rows, &names(2), "rows").unwrap();
        let mut seen = rows.clone();
        fitted.apply(&mut seen, 2);
        let unseen = Calibration::cross_fitted(method, &labels, &rows, &names(2), 7).unwrap();
        let distance = |values: &[f64]| -> f64 {
            let pairs = labels.iter().zip(values.chunks_exact(2));
            pairs.map(|(label, row)| (row[1] - f64::from(*label)).powi(2)).sum()
        };
        assert!(distance(&seen) < distance(&unseen), "{method}");
        assert!(distance(&unseen) < distance(&rows), "{method}");
    }
}

proptest! {
    #[test]
    fn a_temperature_keeps_the_order_of_classes_and_the_sum(
        row in prop::collection::vec(0.001_f64..1.0, 2..6), temperature in 0.05_f64..20.0
    ) {
        let sum: f64 = row.iter().sum();
        let row: Vec<f64> = row.iter().map(|value| value / sum).collect();
        let n_classes = row.len();
        let calibrated = |temperature: f64| {
            let mut values = row.clone();
            Calibration::Temperature { temperature, fitted_on: String::new() }
                .apply(&mut values, n_classes);
            values
        };
        let found = calibrated(temperature);
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let place = |values: &[f64]| predicted_label(values, DEFAULT_THRESHOLD);
        prop_assert!(found[place(&row)] >= found[place(&found)]);
        for (same, value) in calibrated(1.0).iter().zip(&row) {
            prop_assert!((same - value).abs() < 1e-12);
        }
    }
}
