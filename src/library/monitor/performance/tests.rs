//! Labels joined to a log that was written by hand: in any order and repeated they say the same.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{
    Error,
    monitor::{PREDICTIONS_FILE, PredictionRecord, TrueLabel},
};

fn record(number: u32, at_ms: i64, positive: f64) -> PredictionRecord {
    PredictionRecord {
        timestamp_ms: at_ms,
        request_id: format!("r{}", number / 2),
        index: number % 2,
        model: "M".to_owned(),
        version: 1,
        label: if positive >= 0.5 { "pos" } else { "neg" }.to_owned(),
        confidence: positive.max(1.0 - positive),
        probability: Some(positive),
        ..PredictionRecord::default()
    }
}

fn label(number: u32, said: &str, at_ms: i64) -> TrueLabel {
    TrueLabel {
        request_id: format!("r{}", number / 2),
        index: number % 2,
        label: Some(said.to_owned()),
        source: "user".to_owned(),
        timestamp_ms: at_ms,
        sampled_by: None,
    }
}

fn log(records: &[PredictionRecord]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> =
        records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    fs::write(dir.path().join(PREDICTIONS_FILE), lines.join("\n") + "\n").unwrap();
    dir
}

fn report(dir: &Path, labels: &[TrueLabel], window: &str) -> PerformanceReport {
    let mut known = TrueLabels::default();
    labels.iter().for_each(|label| known.tell(label.clone()));
    let request = PerformanceRequest {
        model: None,
        from_ms: 0,
        latest_bytes: None,
        window: window.parse().unwrap(),
    };
    measure_performance(dir, &known, &request, |model, _| match model {
        "M" => Ok(vec!["neg".to_owned(), "pos".to_owned()]),
        _ => Err(Error::invalid("gone")),
    })
    .unwrap()
}

#[test]
fn labels_meet_their_predictions_by_request_place_and_part() {
    let mut records: Vec<_> = [0.9, 0.8, 0.3, 0.6]
        .into_iter()
        .zip(0..)
        .map(|(p, n)| record(n, i64::from(n) * 600_000, p))
        .collect();
    records.push(PredictionRecord { arm: Arm::Shadow, version: 2, ..record(0, 0, 0.2) });
    records.push(PredictionRecord { model: "Gone".to_owned(), ..record(9, 0, 0.2) });
    let dir = log(&records);
    let labels = [
        label(0, "pos", 1),
        label(2, "neg", 1),
        label(3, "neg", 1),
        label(1, "maybe", 1),
        label(77, "pos", 1),
    ];
    let found = report(dir.path(), &labels, "20m");
    assert_eq!((found.n_labels, found.n_unmatched, found.n_no_class), (5, 1, 1));
    assert_eq!(found.left_out.keys().collect::<Vec<_>>(), ["Gone/1"]);
    let [own, shadow] = &found.versions[..] else { panic!("{found:?}") };
    assert_eq!((own.arm, shadow.arm, shadow.version), (Arm::Production, Arm::Shadow, 2));
    assert_eq!((own.overall.n_predictions, own.overall.n_labelled), (4, 3));
    let measured = own.overall.measured.as_ref().unwrap();
    // TP 1, FP 1, TN 1.
    assert_eq!(
        (measured.accuracy.value, measured.precision.value, measured.recall.value),
        (2.0 / 3.0, 0.5, 1.0)
    );
    let beside = own.overall.beside.unwrap();
    // Expected of 0.9, 0.3 and 0.6: TP 1.5, FP 0.5, FN 0.3.
    assert!((beside.f1.estimate - 3.0 / 3.8).abs() < 1e-12, "{beside:?}");
    assert!((own.overall.estimated.unwrap().accuracy.estimate - 3.0 / 4.0).abs() < 1e-12);
    let windows: Vec<_> =
        own.windows.iter().map(|window| (window.n_predictions, window.n_labelled)).collect();
    assert_eq!(windows, [(2, 1), (2, 2)]);
    // What the shadow said of the same text is wrong.
    assert_eq!(shadow.overall.measured.as_ref().unwrap().accuracy.value, 0.0);
    let text = found.to_output().to_text(None);
    for part in [
        "M/1\n",
        "M/2 as shadow",
        "3 of 4 predictions labelled",
        "no random sample",
        "Gone/1 is left out",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_random_sample_is_not_warned_of() {
    let dir = log(&[record(0, 0, 0.9), record(1, 0, 0.8)]);
    let random =
        |number| TrueLabel { sampled_by: Some(SampleBy::Random), ..label(number, "pos", 1) };
    let text = report(dir.path(), &[random(0), random(1)], "1000").to_output().to_text(None);
    assert!(!text.contains("no random sample"), "{text}");
    let text =
        report(dir.path(), &[random(0), label(1, "pos", 1)], "1000").to_output().to_text(None);
    assert!(text.contains("1 of them were not picked"), "{text}");
}

#[test]
fn a_version_without_probabilities_is_measured_and_not_estimated() {
    let dir = log(&[PredictionRecord { probability: None, ..record(0, 0, 0.9) }]);
    let found = report(dir.path(), &[label(0, "pos", 1)], "1d");
    let overall = &found.versions[0].overall;
    assert_eq!((overall.measured.as_ref().unwrap().f1.value, overall.estimated), (1.0, None));
    assert_eq!(overall.measured.as_ref().unwrap().ece, None);
}

#[test]
fn clocks_that_jump_make_no_more_windows_than_there_are_predictions() {
    let times = [i64::MIN, -5, 0, 1_790_000_000_000, 4_102_444_800_000, i64::MAX];
    let records: Vec<_> = times.iter().zip(0..).map(|(at_ms, n)| record(n, *at_ms, 0.9)).collect();
    let dir = log(&records);
    let labels: Vec<_> = times.iter().zip(0..).map(|(at_ms, n)| label(n, "pos", *at_ms)).collect();
    let mut known = TrueLabels::default();
    labels.iter().for_each(|label| known.tell(label.clone()));
    for window in ["1s", "1d", "1"] {
        let request = PerformanceRequest {
            model: None,
            from_ms: i64::MIN,
            latest_bytes: None,
            window: window.parse().unwrap(),
        };
        let classes = |_: &str, _| Ok(vec!["neg".to_owned(), "pos".to_owned()]);
        let found = measure_performance(dir.path(), &known, &request, classes).unwrap();
        let own = &found.versions[0];
        let n_of_windows: u64 = own.windows.iter().map(|window| window.n_predictions).sum();
        assert_eq!((own.overall.n_labelled, n_of_windows, found.n_without_window), (6, 6, 0));
        assert!(own.windows.len() <= 6 && own.windows.len() >= 5, "{window}");
        assert!(found.to_output().to_text(None).contains("6 of 6 predictions labelled"));
    }
}

#[test]
fn of_too_many_windows_the_newest_stay_and_all_predictions_count() {
    let n = MAX_WINDOWS as u32 + 500;
    let dir = log(&(0..n).map(|n| record(n, i64::from(n), 0.9)).collect::<Vec<_>>());
    let found = report(dir.path(), &[label(n - 1, "pos", 1)], "1");
    let own = &found.versions[0];
    assert_eq!((own.overall.n_predictions, own.windows.len()), (n.into(), MAX_WINDOWS));
    assert_eq!((found.n_without_window, own.windows[0].from_ms), (500, 500));
    assert_eq!(own.windows.last().unwrap().n_labelled, 1);
    assert!(found.notes().iter().any(|note| note.contains("500 predictions")), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn labels_in_any_order_and_repeated_say_the_same(
        labels in prop::collection::vec((0_u32..12, 0_usize..3, 0_i64..4), 0..30)
            .prop_flat_map(|labels| {
                let repeated = [labels.clone(), labels.clone()].concat();
                (Just(labels), Just(repeated).prop_shuffle())
            })
    ) {
        let records: Vec<_> = (0..10).map(|n| record(n, i64::from(n), f64::from(n) / 9.0)).collect();
        let dir = log(&records);
        let of = |labels: &[(u32, usize, i64)]| {
            let labels: Vec<_> = labels.iter().map(|(number, said, at_ms)| label(*number, ["neg", "pos", "odd"][*said], *at_ms)).collect();
            report(dir.path(), &labels, "3")
        };
        prop_assert_eq!(of(&labels.0), of(&labels.1));
    }
}
