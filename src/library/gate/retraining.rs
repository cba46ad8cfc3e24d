//! `[retrain]` of a policy: when a model is to be trained again, and how. It reads text and decides by
//! numbers that it is given; it knows neither logs nor clocks, and trains nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    figure,
    span::Span,
};

/// When a model is to be trained again, and how.
///
/// ```toml
/// [retrain]
/// train = ["tfidf", "--ngram", "2"]
/// release = ["--canary", "5%:1h,50%:1h"]
/// drift = { window = "1h", windows = 3 }
/// min_f1 = 0.85
/// new_labels = 500
/// cooldown = "1d"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRule {
    /// The words after `train`: an architecture and its options, without a dataset.
    pub train: Vec<String>,
    /// The words after `release start NAME/VERSION` for a version that the gate passes; without them it
    /// waits in the registry for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release: Vec<String>,
    /// A dataset or a file that has the texts of predictions, for logs that keep their SHA-256 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<String>,
    /// Trains again when an alert of drift lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<LastingDrift>,
    /// Trains again when the F1 that labels give is below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_f1: Option<f64>,
    /// Labels that the F1 takes at least. Default 100.
    #[serde(default = "min_labels")]
    pub min_labels: usize,
    /// The time before now whose labelled predictions give the F1. Default 7 days.
    #[serde(default = "week")]
    pub window: Span,
    /// Trains again when so many labels came since the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_labels: Option<usize>,
    /// The time between two trainings at least. Default 1 day.
    #[serde(default = "day")]
    pub cooldown: Span,
}

/// An alert of drift in each of several windows of time that follow each other, the last one ending now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastingDrift {
    /// The length of one window. Default 1 hour.
    #[serde(default = "hour")]
    pub window: Span,
    /// Their number. Default 3.
    #[serde(default = "three")]
    pub windows: usize,
}

/// The facts that a rule decides by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RetrainFacts {
    /// The number of windows up to now, one after the other, that were each an alert of drift.
    pub n_alerts: usize,
    /// The F1 by labels.
    pub f1: Option<f64>,
    /// The number of labels that gave it.
    pub n_labels: usize,
    /// The number of labelled texts that can be learnt from: their labels came since the last training by the rule,
    /// and the training split of the version's dataset lacks them.
    pub n_new_labels: usize,
    /// True if a release of the model runs, so that another one cannot begin.
    pub is_releasing: bool,
    /// The time at which a training by the rule last began, in milliseconds since the Unix epoch.
    pub last_ms: Option<i64>,
}

/// A reason to train again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RetrainReason {
    /// An alert of drift lasts.
    Drift {
        /// The number of windows that were an alert.
        n_windows: usize,
    },
    /// The F1 by labels is below its floor.
    F1 {
        /// The F1.
        f1: f64,
        /// The floor.
        min_f1: f64,
        /// The number of labels that gave it.
        n_labels: usize,
    },
    /// Enough new labels came.
    Labels {
        /// Their number.
        n_new: usize,
    },
}

/// The decision of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrainDecision {
    /// The reasons to train again; none without one.
    pub reasons: Vec<RetrainReason>,
    /// The time before which the model is left alone although there are reasons.
    pub waits_until_ms: Option<i64>,
    /// True if there are reasons, and no label came since the last time: there is nothing to learn from.
    pub lacks_labels: bool,
    /// True if there are reasons, and a release runs that has to end first.
    pub waits_for_release: bool,
}

impl RetrainDecision {
    /// True if the model is to be trained now.
    pub fn trains(&self) -> bool {
        !self.reasons.is_empty()
            && self.waits_until_ms.is_none()
            && !self.lacks_labels
            && !self.waits_for_release
    }
}

impl RetrainRule {
    /// Whether `facts` are a reason to train again at `now_ms`.
    pub fn decide(&self, facts: &RetrainFacts, now_ms: i64) -> RetrainDecision {
        let mut reasons = Vec::new();
        if let Some(drift) = self.drift.filter(|drift| facts.n_alerts >= drift.windows) {
            reasons.push(RetrainReason::Drift { n_windows: drift.windows });
        }
        if let (Some(min_f1), Some(f1)) = (self.min_f1, facts.f1)
            && f1 < min_f1
            && facts.n_labels >= self.min_labels
        {
            reasons.push(RetrainReason::F1 { f1, min_f1, n_labels: facts.n_labels });
        }
        if self.new_labels.is_some_and(|n| facts.n_new_labels >= n) {
            reasons.push(RetrainReason::Labels { n_new: facts.n_new_labels });
        }
        // A clock that was put back leaves no last time in the future: it would wait for it.
        let waits_until_ms = facts
            .last_ms
            .filter(|last_ms| *last_ms <= now_ms)
            .map(|last_ms| last_ms.saturating_add(self.cooldown.millis()))
            .filter(|until_ms| *until_ms > now_ms && !reasons.is_empty());
        let lacks_labels = !reasons.is_empty() && facts.n_new_labels == 0;
        let waits_for_release =
            !reasons.is_empty() && facts.is_releasing && !self.release.is_empty();
        RetrainDecision { reasons, waits_until_ms, lacks_labels, waits_for_release }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.train.is_empty() {
            return Err(Error::invalid("retrain.train is empty: expected the words after `train`")
                .with_hint("such as train = [\"tfidf\", \"--ngram\", \"2\"]"));
        }
        if let Some(taken) =
            self.train.iter().find(|word| SET_BY_RULE.iter().any(|flag| is_flag(word, flag)))
        {
            return Err(Error::invalid(format!(
                "retrain.train has {taken}: dataset, model and deployment are the rule's to choose"
            )));
        }
        if self.drift.is_none() && self.min_f1.is_none() && self.new_labels.is_none() {
            return Err(Error::invalid(
                "retrain has no reason: expected drift, min_f1, new_labels or several of them",
            ));
        }
        if self.drift.is_some_and(|drift| drift.windows == 0) {
            return Err(Error::invalid("retrain.drift.windows is 0: must be >= 1"));
        }
        if self.new_labels == Some(0) {
            return Err(Error::invalid("retrain.new_labels is 0: must be >= 1"));
        }
        match self.min_f1 {
            Some(min_f1) if !(0.0..=1.0).contains(&min_f1) => {
                Err(Error::invalid(format!("retrain.min_f1 is {min_f1}: must lie between 0 and 1")))
            }
            _ => Ok(()),
        }
    }
}

/// The options of `train` that the rule sets itself.
const SET_BY_RULE: [&str; 4] = ["--data", "--model", "--deploy", "--no-register"];

fn is_flag(word: &str, flag: &str) -> bool {
    word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

impl fmt::Display for RetrainReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift { n_windows } => {
                write!(f, "drift was an alert in {}", figure::counted(*n_windows, "window"))
            }
            Self::F1 { f1, min_f1, n_labels } => write!(
                f,
                "F1 {} is below {min_f1}, by {}",
                figure::metric(*f1),
                figure::counted(*n_labels, "label")
            ),
            Self::Labels { n_new } => {
                write!(f, "{} came since the last training", figure::counted(*n_new, "new label"))
            }
        }
    }
}

fn min_labels() -> usize {
    100
}

fn hour() -> Span {
    Span::of_seconds(60 * 60)
}

fn day() -> Span {
    Span::of_seconds(24 * 60 * 60)
}

fn week() -> Span {
    Span::of_seconds(7 * 24 * 60 * 60)
}

fn three() -> usize {
    3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::PolicyChecks;

    fn rule(text: &str) -> RetrainRule {
        let text = format!("[strict]\n[retrain]\ntrain = [\"tfidf\"]\n{text}");
        PolicyChecks::parse(&text).unwrap().retrain.unwrap()
    }

    #[test]
    fn each_reason_is_one_alone_and_all_are_said() {
        let rule = rule(
            "drift = { windows = 2 }\nmin_f1 = 0.8\nmin_labels = 50\nnew_labels = 500\ncooldown = \"2h\"",
        );
        let decide = |facts: RetrainFacts| rule.decide(&facts, 0).reasons;
        let facts = RetrainFacts::default();
        assert_eq!(decide(facts), []);
        assert_eq!(decide(RetrainFacts { n_alerts: 1, ..facts }), []);
        let drift = RetrainReason::Drift { n_windows: 2 };
        assert_eq!(decide(RetrainFacts { n_alerts: 3, ..facts }), [drift]);
        let low = RetrainFacts { f1: Some(0.79), n_labels: 50, ..facts };
        let f1 = RetrainReason::F1 { f1: 0.79, min_f1: 0.8, n_labels: 50 };
        assert_eq!(decide(low), [f1]);
        assert_eq!(decide(RetrainFacts { n_labels: 49, ..low }), []);
        assert_eq!(decide(RetrainFacts { f1: Some(0.8), ..low }), []);
        let all = RetrainFacts { n_alerts: 2, n_new_labels: 501, ..low };
        assert_eq!(decide(all), [drift, f1, RetrainReason::Labels { n_new: 501 }]);
        assert_eq!(f1.to_string(), "F1 0.7900 is below 0.8, by 50 labels");
    }

    #[test]
    fn the_model_is_left_alone_until_the_cooldown_is_over() {
        let rule = rule("new_labels = 1\ncooldown = \"1h\"");
        let at = |last_ms: i64, now_ms: i64| {
            let facts =
                RetrainFacts { n_new_labels: 5, last_ms: Some(last_ms), ..Default::default() };
            rule.decide(&facts, now_ms)
        };
        assert_eq!(at(1_000, 2_000).waits_until_ms, Some(3_601_000));
        assert!(!at(1_000, 3_600_999).trains());
        assert!(at(1_000, 3_601_000).trains());
        // The clock was put back by a year: nobody waits for it.
        assert!(at(31_536_000_000, 1_000).trains());
        let none = RetrainFacts { last_ms: Some(1_000), ..Default::default() };
        assert_eq!(rule.decide(&none, 2_000).waits_until_ms, None);
    }

    #[test]
    fn without_a_new_label_there_is_nothing_to_learn_from() {
        let rule = rule("drift = { windows = 1 }");
        let facts = RetrainFacts { n_alerts: 1, ..Default::default() };
        let decision = rule.decide(&facts, 0);
        assert!(decision.lacks_labels && !decision.trains());
        let with_label = RetrainFacts { n_new_labels: 1, ..facts };
        assert!(rule.decide(&with_label, 0).trains());

        // A release that runs is waited for by a rule that begins one.
        let releasing = RetrainFacts { is_releasing: true, ..with_label };
        assert!(rule.decide(&releasing, 0).trains());
        let rule = RetrainRule { release: vec!["--shadow".to_owned()], ..rule };
        assert!(rule.decide(&releasing, 0).waits_for_release);
        assert!(!rule.decide(&releasing, 0).trains());
    }

    #[test]
    fn a_rule_that_cannot_be_followed_is_refused() {
        let parse = |text: &str| PolicyChecks::parse(&format!("[strict]\n[retrain]\n{text}"));
        for (text, expected) in [
            ("new_labels = 5", "retrain: missing field `train`"),
            ("train = []\nnew_labels = 5", "retrain.train is empty"),
            ("train = [\"tfidf\"]", "retrain has no reason: expected drift, min_f1, new_labels"),
            ("train = [\"tfidf\"]\nmin_f1 = 85", "retrain.min_f1 is 85: must lie between 0 and 1"),
            ("train = [\"tfidf\"]\nnew_labels = 0", "retrain.new_labels is 0: must be >= 1"),
            ("train = [\"tfidf\"]\ndrift = { windows = 0 }", "retrain.drift.windows is 0"),
            (
                "train = [\"tfidf\"]\ndrift = { window = \"soon\" }",
                "\"soon\" is no time: expected one such as 90s, 10m, 12h or 7d",
            ),
            (
                "train = [\"tfidf\", \"--data=imdb\"]\nnew_labels = 5",
                "retrain.train has --data=imdb: dataset, model and deployment are the rule's",
            ),
            ("train = [\"tfidf\"]\nnew_label = 5", "unknown field `new_label`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let alone = PolicyChecks::parse("[retrain]\ntrain = [\"tfidf\"]\nnew_labels = 5");
        assert!(alone.unwrap_err().to_string().contains("it has no check"));
    }
}
