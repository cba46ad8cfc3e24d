//! Slices of a test split, two versions beside each other, and the gate's floors for slices: the numbers
//! against SciPy and statsmodels (`fixtures/make_slices.py` wrote them), the rest as a script sees it.

use serde_json::Value;
use trialbook::evaluate::{RightAnswers, false_discovery_rates};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/slices_expected.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn intervals_and_tests_of_shares_are_scipys_and_statsmodels() {
    let fixture = fixture();
    let pairs = fixture["pairs"].as_array().unwrap();
    assert!(pairs.len() >= 10);
    for pair in pairs {
        let of = |right: &str, n: &str| RightAnswers {
            n_right: pair[right].as_u64().unwrap() as usize,
            n_rows: pair[n].as_u64().unwrap() as usize,
        };
        let (own, rest) = (of("right", "n"), of("rest_right", "rest_n"));
        for (name, (lower, upper)) in
            [("wilson", own.interval()), ("newcombe", own.difference_interval(rest))]
        {
            let expected = [number(&pair[name][0]), number(&pair[name][1])];
            for (found, expected) in [lower, upper].into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{name} {pair}: {found}");
            }
        }
        let expected = number(&pair["fisher"]);
        let found = own.fisher(rest);
        assert!((found / expected - 1.0).abs() < 1e-8, "{pair}: {found}");
    }
    for family in fixture["families"].as_array().unwrap() {
        let of =
            |key: &str| family[key].as_array().unwrap().iter().map(number).collect::<Vec<f64>>();
        let found = false_discovery_rates(&of("p")).unwrap();
        for (found, expected) in found.into_iter().zip(of("q")) {
            assert!((found - expected).abs() < 1e-12, "{family}: {found}");
        }
    }
}
