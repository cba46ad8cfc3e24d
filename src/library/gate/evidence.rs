//! The certainty of a comparison: candidate and Production on the same test examples, as numbers that are
//! kept with the verdict. Pure: what was predicted is handed in.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    evaluate::{
        McNemar, PairedBootstrap, agreement, mcnemar, n_to_tell, paired_bootstrap,
        tellable_difference,
    },
    figure,
    model::DEFAULT_THRESHOLD,
};

/// The difference that counts where a policy names no other: 0.2 points.
pub const MARGIN: f64 = 0.002;
/// The seed of the bootstrap: the same versions give the same interval.
const SEED: u64 = 42;
/// Resamples are as many as this number of draws allows, within the bounds below.
const MAX_DRAWS: usize = 400_000_000;
const RESAMPLES: (usize, usize) = (1_000, 10_000);

/// Candidate and Production on the same test examples: the candidate is the first, Production the
/// second, so that a difference above 0 speaks for the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Number of test examples.
    pub n_examples: usize,
    /// The differences with their 95 % percentile bootstrap intervals.
    pub bootstrap: PairedBootstrap,
    /// McNemar's exact test of who is right where the other is wrong.
    pub mcnemar: McNemar,
    /// The share of examples for which both predict the same class.
    pub agreement: f64,
    /// The size of the test split that it takes to tell.
    pub power: Power,
    /// The thresholds that the labels of both follow, where one of them has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

/// The probabilities of the positive class from which on two versions predict it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// The candidate's.
    pub candidate: f64,
    /// Production's.
    pub production: f64,
}

/// The test split that McNemar's test at level 0.05 needs to tell the two apart by their accuracy in
/// four of five cases (power 0.8); see [`n_to_tell`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// The share of examples that exactly one of the two gets right.
    pub discordant: f64,
    /// Examples needed for a difference as large as the one found; none where none was found.
    pub n_for_difference: Option<usize>,
    /// A difference that counts.
    pub margin: f64,
    /// Examples needed for a difference of `margin`.
    pub n_for_margin: Option<usize>,
    /// The smallest difference that this test split can show.
    pub tellable: Option<f64>,
}

impl Evidence {
    /// Compares the predictions of both; `margin` is the difference in accuracy that counts.
    ///
    /// # Shapes
    /// All are `[n]`, class indices below `n_classes`.
    ///
    /// # Errors
    /// Different lengths, no examples, or an index without a class.
    pub fn of(
        labels: &[u32],
        candidate: &[u32],
        production: &[u32],
        n_classes: usize,
        margin: f64,
    ) -> Result<Self> {
        let n_examples = labels.len();
        let n_resamples = (MAX_DRAWS / n_examples.max(1)).clamp(RESAMPLES.0, RESAMPLES.1);
        let mcnemar = mcnemar(labels, candidate, production)?;
        let bootstrap =
            paired_bootstrap(labels, candidate, production, n_classes, n_resamples, SEED)?;
        let n_discordant = mcnemar.n_only_first + mcnemar.n_only_second;
        let discordant = n_discordant as f64 / n_examples as f64;
        // Out of the counts: zero is zero, whatever the rounding of two accuracies.
        let difference =
            mcnemar.n_only_first.abs_diff(mcnemar.n_only_second) as f64 / n_examples as f64;
        let power = Power {
            discordant,
            n_for_difference: n_to_tell(discordant, difference),
            margin,
            n_for_margin: n_to_tell(discordant, margin),
            tellable: tellable_difference(discordant, n_examples),
        };
        let agreement = agreement(candidate, production)?;
        Ok(Self { n_examples, bootstrap, mcnemar, agreement, power, thresholds: None })
    }

    /// The evidence in a few lines; `metric` is the deciding metric as people read it.
    pub fn lines(&self, metric: &str, production: u32) -> Vec<String> {
        let (f1, mcnemar) = (self.bootstrap.f1, self.mcnemar);
        let mut lines = vec![
            format!(
                "evidence on {}: {metric} differs from that of Production version {production} by {}, \
                 95 % interval {} to {}",
                figure::counted(self.n_examples, "test row"),
                signed(f1.difference),
                signed(f1.lower),
                signed(f1.upper)
            ),
            format!(
                "only this version is right in {}, only Production in {}; McNemar's exact p = {}: {}",
                figure::counted(mcnemar.n_only_first, "row"),
                figure::count(mcnemar.n_only_second),
                figure::metric(mcnemar.p_value),
                self.told()
            ),
            format!("the two agree on {}; {}", percent(self.agreement), self.power.told()),
        ];
        lines.extend(self.thresholds.map(Thresholds::told));
        lines
    }

    /// The result of McNemar's test, in words.
    pub fn told(&self) -> &'static str {
        let McNemar { n_only_first, n_only_second, .. } = self.mcnemar;
        match (self.mcnemar.is_significant(), n_only_first > n_only_second) {
            (false, _) => "chance alone may explain that",
            (true, true) => "more than chance, for this version",
            (true, false) => "more than chance, for Production",
        }
    }
}

impl Thresholds {
    /// Of both, where one of them is not the usual one.
    pub(crate) fn of(candidate: Option<f64>, production: Option<f64>) -> Option<Self> {
        let thresholds = Self { candidate: candidate?, production: production? };
        let usual = Self { candidate: DEFAULT_THRESHOLD, production: DEFAULT_THRESHOLD };
        (thresholds != usual).then_some(thresholds)
    }

    /// The thresholds, in words.
    pub(super) fn told(self) -> String {
        self.told_of("this version", "Production")
    }

    /// The thresholds of two versions with names, in words.
    pub(crate) fn told_of(self, candidate: &str, production: &str) -> String {
        format!(
            "each is judged by its own threshold: {} for {candidate}, {} for {production}",
            self.candidate, self.production
        )
    }
}

impl Power {
    /// The size of the test split that it takes, in words.
    pub fn told(&self) -> String {
        let rows = |n: usize| format!("about {} test rows", figure::count(rounded(n)));
        let for_margin = self.n_for_margin.map(|n| {
            format!("a difference of {} points in accuracy takes {}", points(self.margin), rows(n))
        });
        match (self.n_for_difference, for_margin) {
            (Some(n), Some(for_margin)) => {
                format!("to tell a difference as found takes {}, {for_margin}", rows(n))
            }
            (Some(n), None) => format!("to tell a difference as found takes {}", rows(n)),
            (None, Some(for_margin)) => format!("both are right equally often; {for_margin}"),
            (None, None) => "both are right in the same rows".to_owned(),
        }
    }
}

/// A number of rows with three digits that count.
fn rounded(n: usize) -> usize {
    let digits = n.checked_ilog10().unwrap_or(0);
    let step = 10_usize.pow(digits.saturating_sub(2));
    n.div_ceil(step) * step
}

/// A difference with its sign, `+0.0021`.
pub(super) fn signed(difference: f64) -> String {
    format!("{difference:+.4}")
}

/// A share as per cent, `97.8 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A difference of shares in points of a hundred, `0.2`.
pub(super) fn points(difference: f64) -> String {
    let text = format!("{:.2}", difference * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_above_zero_speaks_for_the_candidate() {
        // The candidate is always right; Production misses every fourth.
        let labels: Vec<u32> = (0..400).map(|idx| idx % 2).collect();
        let worse: Vec<u32> =
            (0..400).map(|idx| if idx % 4 == 0 { 1 - idx % 2 } else { idx % 2 }).collect();
        let evidence = Evidence::of(&labels, &labels, &worse, 2, MARGIN).unwrap();
        assert!(evidence.bootstrap.f1.lower > 0.0 && evidence.mcnemar.is_significant());
        assert_eq!((evidence.mcnemar.n_only_first, evidence.mcnemar.n_only_second), (100, 0));
        assert_eq!((evidence.agreement, evidence.power.discordant), (0.75, 0.25));
        assert_eq!(evidence.told(), "more than chance, for this version");
        let turned = Evidence::of(&labels, &worse, &labels, 2, MARGIN).unwrap();
        assert_eq!(turned.told(), "more than chance, for Production");
        assert_eq!(turned.bootstrap.f1.difference, -evidence.bootstrap.f1.difference);
    }

    #[test]
    fn equal_models_are_told_to_be_equal() {
        let labels = [0, 1, 2, 1];
        let evidence = Evidence::of(&labels, &labels, &labels, 3, MARGIN).unwrap();
        assert_eq!(evidence.power.n_for_difference, None);
        let lines = evidence.lines("f1", 1);
        assert!(lines[1].ends_with("p = 1.0000: chance alone may explain that"), "{lines:?}");
        assert_eq!(lines[2], "the two agree on 100.0 %; both are right in the same rows");
    }

    #[test]
    fn thresholds_are_told_where_one_is_not_the_usual_one() {
        assert_eq!(Thresholds::of(Some(0.5), Some(0.5)), None);
        assert_eq!(Thresholds::of(None, None), None);
        let labels = [0, 1, 0, 1];
        let thresholds = Thresholds::of(Some(0.37), Some(0.5));
        let evidence =
            Evidence { thresholds, ..Evidence::of(&labels, &labels, &labels, 2, MARGIN).unwrap() };
        let said = "each is judged by its own threshold: 0.37 for this version, 0.5 for Production";
        assert_eq!(evidence.lines("f1", 1).last().unwrap(), said);
        let json = serde_json::to_value(evidence).unwrap();
        assert_eq!(serde_json::from_value::<Evidence>(json.clone()).unwrap(), evidence);
        let mut older = json;
        older.as_object_mut().unwrap().remove("thresholds");
        assert_eq!(serde_json::from_value::<Evidence>(older).unwrap().thresholds, None);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            (signed(-0.00214), percent(0.978), points(0.002)),
            ("-0.0021".into(), "97.8 %".into(), "0.2".into())
        );
        assert_eq!(points(1.0), "100");
        assert_eq!((rounded(117_733), rounded(42), rounded(0)), (118_000, 42, 0));
    }
}
