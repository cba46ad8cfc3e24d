use super::*;

#[test]
fn settings_that_are_left_out_have_their_defaults() {
    let text = "[strict]\nlevel = \"warn\"\n[non_inferior]\n[verdicts]\nmax = 20\n[class_floor]\n\
                min = 0.8\nclasses = { spam = 0.9 }\n";
    let checks = PolicyChecks::parse(text).unwrap();
    assert_eq!(checks.min_f1, 0.85);
    assert_eq!(checks.strict, Some(StrictCheck { level: Level::Warn }));
    let expected = NonInferiorCheck { margin: 0.002, level: Level::Block };
    assert_eq!(checks.non_inferior, Some(expected));
    assert_eq!(checks.verdicts, Some(VerdictsCheck { max: 20, level: Level::Warn }));
    let floor = checks.class_floor.unwrap();
    assert_eq!((floor.metric, floor.classes["spam"]), (ClassMetric::Recall, 0.9));
    assert_eq!(checks.approval, None);
}

#[test]
fn what_is_no_policy_is_refused_in_one_sentence() {
    for (text, expected) in [
        ("", "it has no check: expected one of min_f1, strict"),
        ("min_f1 = 0.9", "it has no check"),
        ("[stict]", "unknown check \"stict\": expected one of min_f1, strict, non_inferior"),
        ("strict = true", "strict: invalid type: boolean `true`, expected a table"),
        (
            "[agreement]\nmin = \"high\"",
            "agreement: invalid type: string \"high\", expected a number",
        ),
        (
            "[verdicts]\nmax = \"many\"",
            "verdicts: invalid type: string \"many\", expected a whole number from 0 on",
        ),
        ("[approval]\nkeys = \"ann\"", "approval: invalid type: string \"ann\", expected a list"),
        (
            "[class_floor]\nmin = 0.5\nclasses = 3",
            "class_floor: invalid type: integer `3`, expected a table",
        ),
        (
            "[strict]\nlevel = \"stop\"",
            "strict: unknown variant `stop`, expected `block` or `warn`",
        ),
        ("[size]", "size: missing field `max_bytes`"),
        (
            "[size]\nmax_bytes = -5",
            "size: invalid value: integer `-5`, expected a whole number from 0 on",
        ),
        ("[size]\nmax_bytes = 0", "size.max_bytes is 0: must be >= 1"),
        (
            "[non_inferior]\neps = 0.1",
            "non_inferior: unknown field `eps`, expected `margin` or `level`",
        ),
        ("[non_inferior]\nmargin = 2.0", "non_inferior.margin is 2: must lie between 0 and 1"),
        ("[non_inferior]\nmargin = nan", "non_inferior.margin is NaN: must lie between 0 and 1"),
        ("[significant]\nalpha = 0.0", "significant.alpha is 0: must be above 0 and at most 0.5"),
        ("min_f1 = 85.0\n[strict]", "min_f1 is 85: must lie between 0 and 1"),
        ("[class_floor]\nmin = 0.1\nclasses = { a = 7.0 }", "class_floor.classes.a is 7"),
        ("[slice_floor]\nmin = 0.8", "slice_floor names no slice: expected slices or by"),
        ("[slice_floor]\nmin = 0.8\nmin_rows = 0\nby = [\"length\"]", "slice_floor.min_rows is 0"),
        ("[slice_floor]\nmin = 80\nby = [\"length\"]", "slice_floor.min is 80: must lie between"),
        (
            "[slice_floor]\nmin = 0.8\nslices = [\"length:q5\"]",
            "slice_floor: slice \"length:q5\", character 8: found \"q5\", expected a quarter",
        ),
        ("[slice_floor]\nmin = 0.8\nmetric = \"recall\"", "slice_floor: unknown variant `recall`"),
        ("[verdicts]\nmax = 0", "verdicts.max is 0"),
        ("[leakage]\nnear = 0.1", "leakage.near is 0.1: must lie between 0.5 and 1"),
        ("[latency]", "latency has no bound: expected max_ms, max_ratio or both"),
        ("[latency]\nmax_ms = 0", "latency.max_ms is 0: must be a number above 0"),
        ("[memory]\nmax_bytes = 0", "memory.max_bytes is 0"),
        ("[memory]\nmax_mb = 1", "memory: unknown field `max_mb`, expected one of `max_bytes`"),
        ("[approval]\nkeys = []", "approval.keys is empty: expected the name of an API key"),
        ("[behaviour]", "behaviour: missing field `min`"),
        ("[behaviour]\nmin = 0.9\nmin_test = 2.0", "behaviour.min_test is 2: must lie"),
        ("[behaviour]\nmin = 0.9\ntests = { a = -1.0 }", "behaviour.tests.a is -1: must lie"),
        ("[strict]\nlevel = ", "line 2 is no TOML: "),
    ] {
        let error = PolicyChecks::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
