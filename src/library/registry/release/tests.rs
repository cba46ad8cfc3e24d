use super::*;

#[test]
fn steps_are_shares_that_grow_each_with_its_time() {
    let step = |share, bake_ms| ReleaseStep { share, bake_ms };
    for (text, expected) in [
        ("5%", Some(vec![step(0.05, None)])),
        ("0.5", Some(vec![step(0.5, None)])),
        ("1%:10m, 100%:2h", Some(vec![step(0.01, Some(600_000)), step(1.0, Some(7_200_000))])),
        ("1%:500ms,2%", Some(vec![step(0.01, Some(500)), step(0.02, None)])),
        ("1%,2%", None),
        ("2%:1m,2%:1m", None),
        ("10%:1m,5%:1m", None),
        ("0%", None),
        ("101%", None),
        ("-1%", None),
        ("NaN", None),
        ("5%:0s", None),
        ("5%:10", None),
        ("5%:é", None),
        ("", None),
    ] {
        assert_eq!(ReleaseStep::parse_list(text).ok(), expected, "{text:?}");
    }
}

#[test]
fn requests_are_split_by_a_key_a_header_or_their_id() {
    for (text, expected) in [
        ("key", Some(SplitKey::Client)),
        ("request", Some(SplitKey::Request)),
        ("header:X-User", Some(SplitKey::Header("x-user".to_owned()))),
        ("header:", None),
        ("header:two words", None),
        ("cookie", None),
    ] {
        assert_eq!(text.parse::<SplitKey>().ok(), expected, "{text:?}");
    }
    let json = serde_json::to_string(&SplitKey::Header("x-user".to_owned())).unwrap();
    assert_eq!(json, r#""header:x-user""#);
    assert!(serde_json::from_str::<SplitKey>(r#""cookie""#).is_err());
}
