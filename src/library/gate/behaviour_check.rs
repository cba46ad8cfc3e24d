//! Judging behaviour tests: pass rates against their floors, with counts. Pure: the model was asked
//! before.

use super::{
    checks::{BehaviourCheck, Level},
    judgement::Check,
};
use crate::{evaluate::BehaviourReport, figure};

/// Behaviour tests and what came of them.
#[derive(Debug, Clone, PartialEq)]
pub struct BehaviourExamination {
    /// SHA-256 of the tests' text, under which the store keeps what was set.
    pub sha256: String,
    /// The results.
    pub report: BehaviourReport,
}

/// A check for all cases, one for each test that has a floor of its own, and one for each test of the
/// policy that there is not. Without `found`, whose error says why, none is met.
pub(super) fn judge_behaviour(
    check: &BehaviourCheck,
    found: Result<&BehaviourExamination, &str>,
) -> Vec<Check> {
    let level = check.level;
    let name = format!("share of behaviour cases that pass >= {}", check.min);
    let BehaviourExamination { sha256, report } = match found {
        Ok(found) => found,
        Err(why) => return vec![unknown(name, why, level)],
    };
    let tests = figure::counted(report.tests.len() as u64, "test");
    let mut checks = vec![judged(
        Counted {
            what: format!("{tests} of behaviour ({})", figure::short(sha256)),
            n_passed: report.n_passed,
            n_cases: report.n_cases,
            share: report.pass_rate,
        },
        name,
        check.min,
        level,
    )];
    for test in &report.tests {
        let min = check.tests.get(&test.name).copied().or(check.min_test);
        let Some(min) = min else { continue };
        checks.push(judged(
            Counted {
                what: format!("behaviour test {:?}", test.name),
                n_passed: test.n_passed,
                n_cases: test.n_cases,
                share: test.pass_rate,
            },
            format!("behaviour test {:?} >= {min}", test.name),
            min,
            level,
        ));
    }
    let is_there = |name: &&String| report.tests.iter().any(|test| test.name == **name);
    let absent = check.tests.keys().filter(|name| !is_there(name));
    checks.extend(
        absent.map(|name| {
            unknown(format!("behaviour test {name:?}"), "there is no such test", level)
        }),
    );
    checks
}

/// Cases that passed.
struct Counted {
    what: String,
    n_passed: usize,
    n_cases: usize,
    share: f64,
}

fn judged(counted: Counted, name: String, min: f64, level: Level) -> Check {
    let Counted { what, n_passed, n_cases, share } = counted;
    let passed = share >= min;
    let reason = format!(
        "{what}: {} of {} pass, {} {min}",
        figure::count(n_passed as u64),
        figure::counted(n_cases as u64, "case"),
        if passed { "at least" } else { "below" },
    );
    let (candidate, required) = (Some(share), Some(min));
    Check { name, candidate, required, passed, level, reason: Some(reason) }
}

fn unknown(name: String, why: &str, level: Level) -> Check {
    let reason = Some(format!("{name} cannot be judged: {why}"));
    Check { name, candidate: None, required: None, passed: false, level, reason }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        evaluate::{BehaviourSuite, run_behaviour},
        model::{Classifier, Probabilities},
    };

    /// Takes everything for `b`.
    struct Stubborn(Vec<String>);

    impl Classifier for Stubborn {
        fn name(&self) -> &'static str {
            "stubborn"
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn predict(&self, texts: &[&str]) -> crate::Result<Probabilities> {
            Ok(Probabilities::new([0.1, 0.9].repeat(texts.len()), 2))
        }
        fn save(&self, _dir: &std::path::Path) -> crate::Result<()> {
            Ok(())
        }
        fn describe(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    /// Three of four cases of `keeps` and `asks` together pass, and one of two of `asks`.
    fn examined() -> BehaviourExamination {
        let suite = BehaviourSuite::parse(
            "[[test]]\nname = 'asks'\nkind = 'directional'\ntoward = 'b'\nmin_rise = -1.0\n\
             pairs = [{ text = 'x', changed = 'y' }, { text = 'x', changed = 'z' }]\n\
             [[test]]\nname = 'keeps'\nkind = 'invariance'\n\
             pairs = [{ text = 'x', changed = 'y' }, { text = 'x', changed = 'z' }]\n",
        )
        .unwrap();
        let model = Stubborn(vec!["a".to_owned(), "b".to_owned()]);
        let mut report = run_behaviour(&model, &suite).unwrap();
        assert_eq!((report.n_cases, report.n_passed), (4, 4));
        (report.n_passed, report.pass_rate) = (3, 0.75);
        (report.tests[0].n_passed, report.tests[0].pass_rate) = (1, 0.5);
        BehaviourExamination { sha256: "ab".repeat(32), report }
    }

    fn outcomes(min: f64, min_test: Option<f64>, tests: &[(&str, f64)]) -> Vec<(bool, String)> {
        let tests: BTreeMap<String, f64> =
            tests.iter().map(|(name, min)| ((*name).to_owned(), *min)).collect();
        let check = BehaviourCheck { min, min_test, tests, level: Level::Warn };
        let checks = judge_behaviour(&check, Ok(&examined()));
        assert!(checks.iter().all(|check| check.level == Level::Warn));
        checks.into_iter().map(|check| (check.passed, check.reason.unwrap())).collect()
    }

    #[test]
    fn floors_hold_at_their_line_for_all_cases_and_for_each_test() {
        let all = "2 tests of behaviour (abababab): 3 of 4 cases pass, ";
        let told = |passed, rest: &str| (passed, format!("{all}{rest}"));
        assert_eq!(outcomes(0.75, None, &[]), [told(true, "at least 0.75")]);
        assert_eq!(outcomes(0.76, None, &[]), [told(false, "below 0.76")]);
        let each = outcomes(0.0, Some(0.5), &[]);
        assert!(each.iter().all(|(passed, _)| *passed) && each.len() == 3, "{each:?}");
        let each = outcomes(0.0, Some(0.51), &[]);
        let expected = "behaviour test \"asks\": 1 of 2 cases pass, below 0.51";
        assert_eq!((each[1].0, each[1].1.as_str(), each[2].0), (false, expected, true));
        let own = outcomes(0.0, Some(0.9), &[("asks", 0.5)]);
        assert!(own.iter().all(|(passed, _)| *passed), "{own:?}");
        let absent = outcomes(0.0, None, &[("aks", 0.5)]);
        let expected = "behaviour test \"aks\" cannot be judged: there is no such test";
        assert_eq!(absent[1], (false, expected.to_owned()));
    }

    #[test]
    fn without_results_it_is_not_met() {
        let check = BehaviourCheck {
            min: 0.0,
            min_test: None,
            tests: BTreeMap::new(),
            level: Level::Block,
        };
        let checks = judge_behaviour(&check, Err("it has no tests"));
        let [check] = checks.as_slice() else { panic!("{checks:?}") };
        assert!(!check.passed && check.reason.as_ref().unwrap().ends_with(": it has no tests"));
    }
}
