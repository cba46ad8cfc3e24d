//! What came of behaviour tests: counts, pass rates, and cases that failed.

use serde::Serialize;

use super::suite::{BehaviourExpectation, BehaviourTest};
use crate::{
    figure,
    output::{Align, Table},
};

/// Cases that a result keeps of those that failed, at most.
pub(super) const MOST_FAILURES: usize = 100;

/// The results of all tests of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourReport {
    /// Number of cases of all tests.
    pub n_cases: usize,
    /// Those that passed.
    pub n_passed: usize,
    /// Their share.
    pub pass_rate: f64,
    /// The result of each test, in the order of the file.
    pub tests: Vec<BehaviourResult>,
}

/// The result of one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourResult {
    /// Its name.
    pub name: String,
    /// The expectation.
    #[serde(flatten)]
    pub expectation: BehaviourExpectation,
    /// Number of cases.
    pub n_cases: usize,
    /// Those that passed.
    pub n_passed: usize,
    /// Their share.
    pub pass_rate: f64,
    /// The first 100 cases that failed.
    pub failures: Vec<BehaviourFailure>,
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourFailure {
    /// The text and its answer.
    #[serde(flatten)]
    pub answer: BehaviourAnswer,
    /// The changed text and its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<BehaviourAnswer>,
}

/// An answer to one text of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourAnswer {
    /// The text.
    pub text: String,
    /// The predicted class.
    pub predicted: String,
    /// Its probability.
    pub confidence: f64,
    /// The probability of the class that the test names, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_class: Option<f64>,
}

impl BehaviourReport {
    pub(super) fn new(tests: Vec<BehaviourResult>) -> Self {
        let n_cases = tests.iter().map(|test| test.n_cases).sum();
        let n_passed = tests.iter().map(|test| test.n_passed).sum();
        Self { n_cases, n_passed, pass_rate: share(n_passed, n_cases), tests }
    }

    /// A row for each test, and one for all of them.
    pub fn table(&self) -> Table {
        let mut table = Table::new([
            ("test", Align::Left),
            ("kind", Align::Left),
            ("passed", Align::Right),
            ("cases", Align::Right),
            ("rate", Align::Right),
        ]);
        let mut push = |name: &str, kind: &str, n_passed: usize, n_cases: usize, rate: f64| {
            table.push([
                name.to_owned(),
                kind.to_owned(),
                figure::count(n_passed as u64),
                figure::count(n_cases as u64),
                percent(rate),
            ]);
        };
        for test in &self.tests {
            let kind = test.expectation.kind().name().replace('_', " ");
            push(&test.name, &kind, test.n_passed, test.n_cases, test.pass_rate);
        }
        push("all", "", self.n_passed, self.n_cases, self.pass_rate);
        table
    }

    /// The first `n_each` failures of each test; none where there are none.
    pub fn failures_table(&self, n_each: usize) -> Option<Table> {
        let mut table = Table::new([
            ("test", Align::Left),
            ("text", Align::Left),
            ("expected", Align::Left),
            ("found", Align::Left),
        ])
        .with_title("For example");
        let mut is_empty = true;
        for test in &self.tests {
            for failure in test.failures.iter().take(n_each) {
                is_empty = false;
                let BehaviourFailure { answer, changed } = failure;
                let mut text = answer.text.clone();
                let mut found = answer.told();
                if let Some(changed) = changed {
                    text.push_str(&format!(" → {}", changed.text));
                    found.push_str(&format!(" → {}", changed.told()));
                }
                table.push([test.name.clone(), text, test.expectation.told(), found]);
            }
        }
        (!is_empty).then_some(table)
    }
}

impl BehaviourResult {
    pub(super) fn new(
        test: &BehaviourTest,
        n_passed: usize,
        failures: Vec<BehaviourFailure>,
    ) -> Self {
        let n_cases = test.cases.len();
        Self {
            name: test.name.clone(),
            expectation: test.expectation.clone(),
            n_cases,
            n_passed,
            pass_rate: share(n_passed, n_cases),
            failures,
        }
    }
}

impl BehaviourAnswer {
    fn told(&self) -> String {
        format!("{} {}", self.predicted, percent(self.confidence))
    }
}

impl BehaviourExpectation {
    /// In a few words.
    pub fn told(&self) -> String {
        match self {
            Self::MinimumFunctionality { expected } => expected.clone(),
            Self::Invariance => "the same class".to_owned(),
            Self::Directional { toward: None, .. } => "another class".to_owned(),
            Self::Directional { toward: Some(class), flip: true, .. } => {
                format!("turns to {class}")
            }
            Self::Directional { toward: Some(class), min_rise, .. } if *min_rise < 0.0 => {
                format!("{class} does not fall by more than {}", percent(-min_rise))
            }
            Self::Directional { toward: Some(class), min_rise, .. } if *min_rise > 0.0 => {
                format!("{class} rises by {}", percent(*min_rise))
            }
            Self::Directional { toward: Some(class), .. } => format!("{class} rises"),
        }
    }
}

fn share(n_passed: usize, n_cases: usize) -> f64 {
    n_passed as f64 / n_cases.max(1) as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
