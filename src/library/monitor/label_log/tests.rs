//! Labels from many threads and several logs of one file, torn lines, and what is said of each.

use std::{fs, io::Write as _, thread};

use proptest::prelude::*;

use super::*;

fn given(request: u32, label: &str) -> GivenLabel {
    GivenLabel {
        request_id: format!("r{request}"),
        label: Some(label.to_owned()),
        source: "user".to_owned(),
        ..GivenLabel::default()
    }
}

fn truth(dir: &Path, request: u32) -> Option<String> {
    let (labels, _) = read_labels(dir).unwrap();
    labels.truth(&format!("r{request}"), 0).and_then(|label| label.label.clone())
}

#[test]
fn a_label_counts_once_and_a_later_one_corrects_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("logs");
    let (log, other) = (LabelLog::new(dir), LabelLog::new(dir));
    let keep = |log: &LabelLog, label: GivenLabel| log.keep(vec![label]).unwrap()[0];
    assert_eq!(keep(&log, given(1, "pos")), LabelOutcome::Accepted);
    assert_eq!(keep(&log, given(1, "pos")), LabelOutcome::Unchanged);
    assert_eq!(keep(&other, given(1, "pos")), LabelOutcome::Unchanged, "another process");
    assert_eq!(keep(&other, given(1, "neg")), LabelOutcome::Corrected);
    assert_eq!(keep(&log, given(1, "neg")), LabelOutcome::Unchanged);
    // In the same millisecond what arrives later still counts.
    for label in ["pos", "neg", "pos"] {
        assert_eq!(keep(&log, given(1, label)), LabelOutcome::Corrected);
        assert_eq!(truth(dir, 1).as_deref(), Some(label));
    }
    let before = fs::read(dir.join(LABELS_FILE)).unwrap();
    assert_eq!(keep(&log, given(1, "pos")), LabelOutcome::Unchanged);
    let back = GivenLabel { label: None, ..given(2, "") };
    assert_eq!(keep(&log, back), LabelOutcome::Unchanged, "nothing was said that is taken back");
    assert_eq!(fs::read(dir.join(LABELS_FILE)).unwrap(), before, "the same adds nothing");
    let old = GivenLabel { timestamp_ms: Some(5), ..given(1, "neg") };
    assert_eq!(keep(&log, old), LabelOutcome::Unchanged, "said before what is known");
    assert_eq!(truth(dir, 1).as_deref(), Some("pos"));
    assert_eq!(keep(&log, GivenLabel { label: None, ..given(1, "") }), LabelOutcome::Corrected);
    assert_eq!(truth(dir, 1), None);
}

#[test]
fn what_a_killed_process_left_of_a_line_costs_no_other_label() {
    let dir = tempfile::tempdir().unwrap();
    let (log, path) = (LabelLog::new(dir.path()), dir.path().join(LABELS_FILE));
    log.keep(vec![given(1, "pos")]).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"request_id\":\"r2\",\"lab").unwrap();
    log.keep(vec![given(3, "neg")]).unwrap();
    let (labels, n_unreadable) = read_labels(dir.path()).unwrap();
    assert_eq!((labels.n_texts(), n_unreadable), (2, 1));
    assert_eq!(truth(dir.path(), 3).as_deref(), Some("neg"));
    // A file that was taken away, with a store that was put back, is begun anew.
    fs::remove_file(&path).unwrap();
    assert_eq!(log.keep(vec![given(3, "neg")]).unwrap(), [LabelOutcome::Accepted]);
    assert_eq!(truth(dir.path(), 3).as_deref(), Some("neg"));
}

#[test]
fn many_threads_and_logs_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let logs = [LabelLog::new(dir.path()), LabelLog::new(dir.path())];
    let accepted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|idx| {
                let log = &logs[idx % 2];
                scope.spawn(move || {
                    // Each label is sent by two threads, one of each log.
                    let first = (idx / 2 * 20) as u32;
                    let sent =
                        (first..first + 20).map(|request| log.keep(vec![given(request, "pos")]));
                    sent.filter(|outcome| outcome.as_ref().unwrap()[0] == LabelOutcome::Accepted)
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(accepted, 160, "each is new once");
    let (labels, n_unreadable) = read_labels(dir.path()).unwrap();
    assert_eq!((labels.n_texts(), n_unreadable), (160, 0));
    let lines = fs::read_to_string(dir.path().join(LABELS_FILE)).unwrap();
    assert_eq!(lines.lines().count(), 160);
}

#[test]
fn a_disk_that_refuses_acknowledges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(LABELS_FILE)).unwrap();
    let log = LabelLog::new(dir.path());
    let error = log.keep(vec![given(1, "pos")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    fs::remove_dir(dir.path().join(LABELS_FILE)).unwrap();
    assert_eq!(log.keep(vec![given(1, "pos")]).unwrap(), [LabelOutcome::Accepted]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn labels_with_times_say_the_same_in_any_order(
        labels in prop::collection::vec((0_u32..3, 0_usize..3, 0_i64..4), 1..16)
            .prop_flat_map(|labels| {
                let repeated = [labels.clone(), labels.clone()].concat();
                (Just(labels), Just(repeated).prop_shuffle())
            })
    ) {
        let told = |labels: &[(u32, usize, i64)]| {
            let dir = tempfile::tempdir().unwrap();
            let log = LabelLog::new(dir.path());
            for (request, said, at_ms) in labels {
                let label = GivenLabel { timestamp_ms: Some(*at_ms), ..given(*request, ["a", "b", "c"][*said]) };
                log.keep(vec![label]).unwrap();
            }
            (0..3).map(|request| truth(dir.path(), request)).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(&labels.0), told(&labels.1));
    }
}
