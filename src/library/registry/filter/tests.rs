//! Tests of the search language: the texts it accepts and refuses, and their meaning for a run.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::registry::{
    codec::{Reader, Record as _, Writer},
    flow::{RunDataset, RunFlow},
    record::RunStatus,
    run_view::RunView,
    stored::{Latest, StoredRun},
};

fn run() -> StoredRun {
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let latest = |value| Latest { value, step: 0, timestamp_ms: 0 };
    StoredRun {
        experiment: 3,
        name: "swift-otter-417".into(),
        status: RunStatus::Finished,
        start_ms: 1_700_000_000_000,
        end_ms: None,
        deleted: false,
        n_batches: 1,
        params: texts(&[("model", "tfidf"), ("C", "10"), ("it's", "50%")]),
        tags: texts(&[("note", "First Try"), ("a b", "x")]),
        metrics: BTreeMap::from([
            ("f1".to_owned(), latest(0.9)),
            ("val/f1".to_owned(), latest(0.8)),
            ("loss".to_owned(), latest(f64::NAN)),
            ("top".to_owned(), latest(f64::INFINITY)),
        ]),
        user: "ada".into(),
        flow: RunFlow {
            datasets: vec![
                RunDataset {
                    name: "imdb".into(),
                    digest: "d1".into(),
                    tags: texts(&[("mlflow.data.context", "training")]),
                },
                RunDataset { name: "mail".into(), digest: "d2".into(), tags: texts(&[]) },
            ],
            ..RunFlow::default()
        },
    }
}

fn with_subject<T>(work: impl FnOnce(&RunSubject) -> T) -> T {
    let mut out = Writer::default();
    run().write(&mut out);
    let bytes = out.into_bytes();
    let view = RunView::read(Reader::new(&bytes)).unwrap();
    let artifact_uri = |experiment: u64, run_id: &str| format!("{experiment}/{run_id}");
    let key = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
    work(&RunSubject { key: &key, view: &view, artifact_uri: &artifact_uri })
}

fn matches(filter: &str) -> bool {
    let filter = parsed(filter).unwrap();
    with_subject(|subject| filter.matches(subject).unwrap())
}

fn parsed(filter: &str) -> crate::error::Result<Filter> {
    Filter::parse(filter, RUNS)
}

#[test]
fn conditions_mean_what_mlflow_means() {
    for filter in [
        "",
        "  ",
        "metrics.f1 > 0.85",
        "metrics.f1>=.9 and metrics.f1 <= 9e-1",
        "metric.`val/f1` < 1",
        "metrics.val/f1 = 0.8",
        "metrics.\"val/f1\" != 1",
        "metrics.top > 1e300",
        "metrics.loss != 1",
        "params.model = 'tfidf' AND params.C != \"1\"",
        "params.`it's` = '50%'",
        "tags.note LIKE 'First%'",
        "tags.note ILIKE '%try'",
        "tags.note ilike '_irst%t_y'",
        "tags.`a b` = 'x'",
        "attributes.status = 'FINISHED'",
        "status = 'finished'",
        "status != 'RUNNING' and run_name LIKE 'swift-%'",
        "start_time > 1699999999999",
        "start_time = 1700000000000",
        "attribute.experiment_id IN ('3')",
        "run_id IN ('x', '0123456789abcdef0123456789abcdef')",
        "params.model NOT IN ('cnn', 'lstm')",
        "params.missing IS NULL and params.model is not null",
        "user_id = 'ada' and attributes.artifact_uri LIKE '3/%'",
        "dataset.name = 'mail' and datasets.context = 'training'",
        "dataset.digest IN ('d2', 'd3')",
        "tags.mlflow.runName = 'swift-otter-417'",
        "start_time = '1700000000000'",
    ] {
        assert!(matches(filter), "{filter} must match");
    }
    for filter in [
        "metrics.f1 > 0.9",
        "metrics.missing != 1",
        "metrics.loss = 0",
        "metrics.loss < 1",
        "params.missing != 'x'",
        "params.model LIKE 'TF%'",
        "tags.note = 'first try'",
        "end_time > 0",
        "status IN ('RUNNING')",
        "params.model not in ('tfidf')",
        "params.model IS NULL",
        "tags.missing IS NOT NULL",
        "dataset.name = 'sms'",
        "dataset.context = 'test'",
        "metrics.f1 > 0.85 and params.model = 'cnn'",
    ] {
        assert!(!matches(filter), "{filter} must not match");
    }
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (filter, expected) in [
        ("metrics.f1 >", "expected a number at position 13, found the end"),
        ("metrics.f1 > 'x'", "expected a number at position 14, found \"'x'\""),
        ("metrics.f1 > 1e999", "expected a number at position 14, found \"1e999\""),
        ("metrics.f1 LIKE 'x'", "expected =, !=, <, <=, > or >= at position 12, found \"LIKE\""),
        ("metrics.f1 == 1", "expected =, !=, <, <=, > or >= at position 12, found \"==\""),
        ("params.m = tfidf", "expected a text in quotes at position 12, found \"tfidf\""),
        (
            "params.m > '1'",
            "expected =, !=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL at position 10, found \">\"",
        ),
        (
            "params.m = 'x",
            "expected a text in quotes at position 12, found a quote that is not closed: 'x",
        ),
        ("params.m IN ()", "expected a text in quotes at position 14, found \")\""),
        ("params.m IN ('a' 'b')", "expected \")\" at position 18, found \"'b'\""),
        (
            "f1 > 1",
            "expected an attribute (run_id, run_name, status, experiment_id, user_id, artifact_uri, start_time, end_time) at position 1, found \"f1\"",
        ),
        ("params.m IS 'x'", "expected NULL or NOT NULL at position 13, found \"'x'\""),
        (
            "dataset.size = 'x'",
            "expected dataset.name, dataset.digest or dataset.context at position 1, found \"dataset.size\"",
        ),
        ("metrics. > 1", "expected a key right after the point at position 10, found \">\""),
        ("metrics.`` > 1", "expected a key that is not empty at position 9, found \"``\""),
        (
            "foo.bar = 1",
            "expected metrics.KEY, params.KEY, tags.KEY or an attribute at position 1, found \"foo.bar\"",
        ),
        (
            "(metrics.f1 > 1)",
            "expected metrics.KEY, params.KEY, tags.KEY or an attribute at position 1, found \"(\"",
        ),
        ("metrics.f1 > 1 and", "expected a condition at position 19, found the end"),
        ("metrics.f1 > 1 metrics.f1 > 2", "expected AND at position 16, found \"metrics.f1\""),
        ("metrics.é > 1 or status = 'x'", "expected AND at position 15, found \"or\""),
    ] {
        let error = parsed(filter).err().unwrap_or_else(|| panic!("{filter} must fail"));
        assert_eq!(error.to_string(), format!("filter {filter:?}: {expected}"));
        assert!(error.hint().is_some());
    }
    let error = parsed("status = 'a' or status = 'b'").err().unwrap();
    assert!(error.hint().unwrap().to_string().contains("joined by AND only"), "{error:?}");
}

#[test]
fn orders_put_nan_and_missing_values_last_in_both_directions() {
    for text in ["metrics.f1 desc", "metrics.f1", "metrics.f1 ASC"] {
        let order = Order::parse(text, RUNS).unwrap();
        let mut keys = [
            SortKey::Missing,
            SortKey::NotANumber,
            SortKey::Number(f64::NEG_INFINITY),
            SortKey::Number(0.5),
            SortKey::Number(f64::INFINITY),
        ];
        keys.sort_by(|a, b| order.compare(a, b));
        assert_eq!(keys[3..], [SortKey::NotANumber, SortKey::Missing], "{text}");
        let first = if order.descending { f64::INFINITY } else { f64::NEG_INFINITY };
        assert_eq!(keys[0], SortKey::Number(first), "{text}");
    }
    with_subject(|subject| {
        let key = |text| Order::parse(text, RUNS).unwrap().key(subject).unwrap();
        assert_eq!(key("metrics.f1"), SortKey::Number(0.9));
        assert_eq!(key("metrics.loss"), SortKey::NotANumber);
        assert_eq!(key("params.nope desc"), SortKey::Missing);
        assert_eq!(key("run_name"), SortKey::Text("swift-otter-417".into()));
    });
    for wrong in ["", "metrics.f1 down", "metrics.f1 desc desc", "f1"] {
        assert!(Order::parse(wrong, RUNS).is_err(), "{wrong:?}");
    }
}

#[test]
fn like_is_sql_like() {
    for (text, pattern, expected) in [
        ("", "", true),
        ("", "%", true),
        ("", "_", false),
        ("abc", "a%c", true),
        ("abc", "a_c", true),
        ("abc", "%b", false),
        ("aXbXc", "a%X%c", true),
        ("aaab", "%aab", true),
        ("äöü", "_ö_", true),
    ] {
        assert_eq!(is_like(text, pattern), expected, "{text:?} LIKE {pattern:?}");
    }
}

fn entity() -> impl Strategy<Value = Entity> {
    prop_oneof![
        "\\PC{1,8}".prop_map(Entity::Metric),
        "[a-z`'\" .]{1,8}".prop_map(Entity::Param),
        "\\PC{1,8}".prop_map(Entity::Tag),
        prop::sample::select(RUNS.iter().collect::<Vec<_>>()).prop_map(Entity::Attribute),
        prop::sample::select(DatasetField::ALL.to_vec()).prop_map(Entity::Dataset),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let number = (prop::sample::select(NumberOp::ALL.to_vec()), any::<f64>());
    let text = (prop::sample::select(TextOp::ALL.to_vec()), any::<String>());
    let member = (any::<bool>(), prop::collection::vec(any::<String>(), 1..4));
    (entity(), number, text, member, any::<bool>()).prop_map(
        |(entity, (number_op, number), (text_op, text), (negated, values), is_member)| {
            let test = if entity.is_number() {
                Test::Number(number_op, if number.is_finite() { number } else { 0.0 })
            } else if is_member {
                Test::Member { negated, values }
            } else {
                Test::Text(text_op, text)
            };
            let is_status =
                matches!(&entity, Entity::Attribute(attribute) if attribute.name == "status");
            let test = if is_status { test.upper_case() } else { test };
            Condition { entity, test }
        },
    )
}

proptest! {
    #[test]
    fn a_displayed_filter_reads_as_itself(conditions in prop::collection::vec(condition(), 0..4)) {
        let filter = Filter { conditions };
        prop_assert_eq!(parsed(&filter.to_string()).unwrap(), filter);
    }

    #[test]
    fn a_displayed_order_reads_as_itself(entity in entity(), descending: bool) {
        let order = Order { entity, descending };
        prop_assert_eq!(Order::parse(&order.to_string(), RUNS).unwrap(), order);
    }

    #[test]
    fn no_input_panics_and_what_is_read_displays_as_itself(text in "\\PC{0,30}") {
        if let Ok(filter) = parsed(&text) {
            prop_assert_eq!(parsed(&filter.to_string()).unwrap(), filter);
        }
    }

    #[test]
    fn no_near_filter_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "metrics.", "metrics.f1", "params.`a`", "tags.\"b\"", "status", "=", "!=", "<", "LIKE",
                "IN", "NOT", "(", ")", ",", "'x'", "1", "-1.5e-3", "and", "or", "'", "`", "\"", ".", "-",
            ]),
            0..8,
        ),
        gap in "[ ]?",
    ) {
        let text = words.join(&gap);
        if let Ok(filter) = parsed(&text) {
            prop_assert_eq!(parsed(&filter.to_string()).unwrap(), filter);
        }
        let _ = Order::parse(&text, RUNS);
    }
}
