//! A sweep as an engine of a cluster shall run it: one training of this program for each setting. It knows no
//! engine.

use trialbook::{
    book::sweep::space::{Setting, ValueList},
    error::{Error, Result},
};

/// The secret whose `token` opens the registry; it may be absent.
pub(super) const SECRET: &str = "trialbook-registry";
/// The variable with that token.
pub(super) const TOKEN_ENV: &str = "MLFLOW_TRACKING_TOKEN";
/// The tag that all runs of one sweep have, with its name.
const TAG: &str = "sweep";
/// The longest name: what a cluster makes of it is longer.
const MAX_NAME: usize = 40;

/// A sweep to be compiled.
#[derive(Debug)]
pub(crate) struct SweepPlan {
    /// The image that every training runs.
    pub(crate) image: String,
    /// The address of the registry that all of them track to.
    pub(crate) registry: String,
    /// The words of a training but for what varies: `train tfidf --data=reviews --cv=5`.
    pub(crate) words: Vec<String>,
    /// The varied options.
    pub(crate) parameters: Vec<PlanParameter>,
    /// The settings, a value for each parameter.
    pub(crate) settings: Vec<Setting>,
    /// True if the settings are drawn at random.
    pub(crate) is_random: bool,
    /// The seed of what is drawn.
    pub(crate) seed: u64,
    /// The metric to rank by, the mean over the folds.
    pub(crate) metric: String,
    /// True if less of it is better.
    pub(crate) is_loss: bool,
    /// Trainings that run at once.
    pub(crate) n_parallel: usize,
}

/// An option that varies.
#[derive(Debug)]
pub(crate) struct PlanParameter {
    /// With its dashes.
    pub(crate) flag: String,
    /// Its values.
    pub(crate) values: ValueList,
}

impl PlanParameter {
    /// Its name where dashes are no part of one: `min_df`.
    pub(super) fn name(&self) -> String {
        self.flag.trim_start_matches('-').replace('-', "_")
    }
}

impl SweepPlan {
    /// The name of the sweep, which a cluster takes: `sweep-tfidf-reviews`.
    pub(crate) fn name(&self, architecture: &str, dataset: &str) -> String {
        let whole = format!("sweep-{architecture}-{dataset}").to_ascii_lowercase();
        let letters =
            whole.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' });
        let name: String = letters.take(MAX_NAME).collect();
        name.trim_end_matches('-').to_owned()
    }

    /// The words of every training of the sweep called `name`: with its folds and the tag that finds its runs.
    pub(super) fn tagged(&self, name: &str) -> Vec<String> {
        let tag = format!("--tag={TAG}={name}");
        self.words.iter().cloned().chain([tag]).collect()
    }

    /// The arguments that list the sweep's runs, the best first. Runs of single folds have no deviation.
    pub(super) fn ranking(&self, name: &str) -> Vec<String> {
        let Self { metric, is_loss, .. } = self;
        let order = if *is_loss { "asc" } else { "desc" };
        [
            "runs",
            "list",
            "--filter",
            &format!("tags.{TAG} = '{name}' and metrics.std_{metric} >= 0"),
            "--order",
            &format!("metrics.{metric} {order}"),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Checks what an engine could take for something else.
    ///
    /// # Errors
    /// Nothing that varies, and a metric, a value or a word that engines do not take as it is.
    pub(crate) fn check(&self) -> Result<()> {
        if self.parameters.is_empty() {
            return Err(Error::invalid("no option varies: an engine has nothing to try")
                .with_hint("give one of them several values, such as --c 0.1..100:log"));
        }
        let is_word = |text: &str| {
            text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') && !text.is_empty()
        };
        if !is_word(&self.metric) {
            return Err(Error::invalid(format!(
                "metric {:?}: an engine reads names of letters, digits and _ alone",
                self.metric
            )));
        }
        let is_plain = |value: &&String| {
            !value.is_empty()
                && value.chars().all(|char| char.is_ascii_alphanumeric() || "._+-".contains(char))
        };
        if let Some(value) = self.settings.iter().flatten().find(|value| !is_plain(value)) {
            return Err(Error::invalid(format!(
                "value {value:?}: an engine takes letters, digits and . _ + - alone"
            )));
        }
        // Engines replace these wherever they stand.
        let is_replaced =
            |word: &&String| ["{{", "{trialParameters."].iter().any(|mark| word.contains(mark));
        if let Some(word) = self.words.iter().find(is_replaced) {
            return Err(Error::invalid(format!(
                "{word:?} has the marks by which engines fill in values"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SweepPlan {
        SweepPlan {
            image: "trialbook:latest".to_owned(),
            registry: "http://registry.example.org:5000".to_owned(),
            words: vec!["train".to_owned(), "tfidf".to_owned(), "--data=reviews".to_owned()],
            parameters: vec![PlanParameter {
                flag: "--min-df".to_owned(),
                values: ValueList::parse("1,2").unwrap(),
            }],
            settings: vec![vec!["1".to_owned()], vec!["2".to_owned()]],
            is_random: false,
            seed: 42,
            metric: "log_loss".to_owned(),
            is_loss: true,
            n_parallel: 4,
        }
    }

    #[test]
    fn names_are_what_a_cluster_takes() {
        for (dataset, expected) in [
            ("reviews", "sweep-tfidf-reviews"),
            ("My Reviews_2", "sweep-tfidf-my-reviews-2"),
            ("größe", "sweep-tfidf-gr--e"),
            ("é", "sweep-tfidf"),
            (&"x".repeat(100), "sweep-tfidf-xxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ] {
            assert_eq!(plan().name("tfidf", dataset), expected);
        }
        assert_eq!(plan().parameters[0].name(), "min_df");
    }

    #[test]
    fn runs_of_a_sweep_are_listed_with_the_best_first() {
        let words = plan().ranking("sweep-tfidf-reviews");
        let expected = "tags.sweep = 'sweep-tfidf-reviews' and metrics.std_log_loss >= 0";
        assert_eq!((words[3].as_str(), words[5].as_str()), (expected, "metrics.log_loss asc"));
        assert_eq!(plan().tagged("s").last().map(String::as_str), Some("--tag=sweep=s"));
    }

    #[test]
    fn what_an_engine_takes_for_something_else_is_refused() {
        assert!(plan().check().is_ok());
        let refused = |change: fn(&mut SweepPlan)| {
            let mut plan = plan();
            change(&mut plan);
            plan.check().unwrap_err().to_string()
        };
        assert!(refused(|plan| plan.parameters.clear()).starts_with("no option varies"));
        assert!(refused(|plan| plan.metric = "f1 $x".to_owned()).contains("digits and _ alone"));
        for value in ["", "a b", "'", "$(x)", "{{x}}"] {
            let mut plan = plan();
            plan.settings[1][0] = value.to_owned();
            let error = plan.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("value {value:?}")), "{error}");
        }
        for word in ["--tag=a={{$.x}}", "--tag=a=${trialParameters.c}"] {
            let mut plan = plan();
            plan.words.push(word.to_owned());
            assert!(plan.check().unwrap_err().to_string().contains("fill in values"));
        }
    }
}
