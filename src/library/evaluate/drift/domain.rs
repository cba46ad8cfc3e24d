//! Whether a classifier can tell new texts from old ones, and by which words: the area under the ROC
//! curve of answers by models that have not learnt the text, with its interval.

use serde::{Deserialize, Serialize};

use super::super::{ranking::Ranking, special::normal_tail};
use crate::{
    error::{Error, Result},
    model::{LogisticParams, held_out_probabilities},
    progress::Monitor,
    text::{TextFrequency, Vectorizer},
};

/// Models that answer for each other's texts.
const N_FOLDS: usize = 5;

/// The 97.5th percentile of the standard normal distribution: a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// An area under the ROC curve with what chance leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AucInterval {
    /// The area: the probability that a positive example scores above a negative one.
    pub auc: f64,
    /// The lower end of the 95 % interval.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// The probability of an area at least as large by scores that know nothing.
    pub p_value: f64,
}

/// How well new texts can be told from old ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainComparison {
    /// The area for telling them apart: 0.5 where they are the same.
    #[serde(flatten)]
    pub auc: AucInterval,
    /// Words that say that a text is new, the strongest first.
    pub new_words: Vec<DomainWord>,
    /// Words that say that a text is one of the old ones, the strongest first.
    pub old_words: Vec<DomainWord>,
}

/// A word by which new texts and old ones are told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainWord {
    /// The word.
    pub word: String,
    /// The classifier's weight: positive where the word speaks for a new text.
    pub weight: f64,
    /// The share of old texts that contain it.
    pub reference_share: f64,
    /// The share of new texts that contain it.
    pub current_share: f64,
}

/// The area under the ROC curve with its 95 % interval by the variance of DeLong, DeLong and
/// Clarke-Pearson 1988, "Comparing the Areas under Two or More Correlated Receiver Operating
/// Characteristic Curves", Biometrics 44, 837–845. Where every pair of a positive and a negative example
/// is in the right order that variance is 0, and the interval is the exact one of as many independent
/// pairs as there are. The p value is the one-sided one of the Mann-Whitney test by its normal
/// approximation with ties, without continuity correction (SciPy's `mannwhitneyu`).
///
/// # Shapes
/// `scores` and `positive` are `[n]`.
///
/// # Errors
/// Different lengths, a score that is NaN, and examples of one kind alone.
pub fn auc_interval(scores: &[f64], positive: &[bool]) -> Result<AucInterval> {
    let Some(auc) = Ranking::new(scores, positive)?.roc_auc() else {
        return Err(Error::invalid(format!(
            "an area needs positive and negative examples: found {} of one kind",
            scores.len()
        )));
    };
    let placements = Placements::of(scores, positive);
    let [n_positive, n_negative] =
        [&placements.of_positive, &placements.of_negative].map(|places| places.len() as f64);
    let variance = variance(&placements.of_positive) + variance(&placements.of_negative);
    let (lower, upper) = match variance {
        // n right pairs of n: Clopper and Pearson's interval.
        0.0 if auc == 1.0 => (0.025_f64.powf(1.0 / n_positive.min(n_negative)), 1.0),
        0.0 if auc == 0.0 => (0.0, 1.0 - 0.025_f64.powf(1.0 / n_positive.min(n_negative))),
        _ => {
            let half = Z * variance.sqrt();
            ((auc - half).max(0.0), (auc + half).min(1.0))
        }
    };
    let n = n_positive + n_negative;
    let untied = n + 1.0 - placements.tied_cubes / (n * (n - 1.0));
    let spread = (untied / (12.0 * n_positive * n_negative)).sqrt();
    let p_value = if spread > 0.0 { normal_tail((auc - 0.5) / spread) } else { 1.0 };
    Ok(AucInterval { auc, lower, upper, p_value })
}

/// Of each example the share of those of the other kind that it outranks.
struct Placements {
    of_positive: Vec<f64>,
    of_negative: Vec<f64>,
    /// The sum of `t³ - t` over the groups of equal scores.
    tied_cubes: f64,
}

impl Placements {
    fn of(scores: &[f64], positive: &[bool]) -> Self {
        let mut examples: Vec<(f64, bool)> =
            scores.iter().map(|score| score + 0.0).zip(positive.iter().copied()).collect();
        examples.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let n_positive = positive.iter().filter(|is_positive| **is_positive).count();
        let n_negative = positive.len() - n_positive;
        let mut placements =
            Self { of_positive: Vec::new(), of_negative: Vec::new(), tied_cubes: 0.0 };
        let (mut positive_below, mut negative_below) = (0, 0);
        for group in examples.chunk_by(|one, other| one.0 == other.0) {
            let positive_in = group.iter().filter(|example| example.1).count();
            let negative_in = group.len() - positive_in;
            let place = |below: usize, within: usize, n: usize| {
                (below as f64 + 0.5 * within as f64) / n as f64
            };
            let above = n_positive - positive_below - positive_in;
            let own = place(negative_below, negative_in, n_negative);
            placements.of_positive.extend(std::iter::repeat_n(own, positive_in));
            let own = place(above, positive_in, n_positive);
            placements.of_negative.extend(std::iter::repeat_n(own, negative_in));
            let tied = group.len() as f64;
            placements.tied_cubes += tied * tied * tied - tied;
            positive_below += positive_in;
            negative_below += negative_in;
        }
        placements
    }
}

/// The variance of the mean of `values`; that of one value counts as 0.
fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (n - 1.0).max(1.0) / n
}

/// Asks the baseline whether a text is of `reference` or of `current`, each text answered by a model that
/// has learnt other texts, and names the `n_words` words of each kind that say most.
///
/// # Errors
/// Fewer than 5 texts on a side, texts without words in common, and an interrupt.
pub fn compare_domains(
    reference: &[String],
    current: &[String],
    n_words: usize,
    seed: u64,
    monitor: &Monitor,
) -> Result<DomainComparison> {
    let texts: Vec<&str> = reference.iter().chain(current).map(String::as_str).collect();
    let labels: Vec<u32> = (0..texts.len()).map(|row| u32::from(row >= reference.len())).collect();
    let classes = ["reference".to_owned(), "current".to_owned()];
    let probabilities = held_out_probabilities(&texts, &labels, &classes, N_FOLDS, seed, monitor)?;
    let scores: Vec<f64> = probabilities.chunks_exact(2).map(|row| row[1]).collect();
    let is_current: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
    let auc = auc_interval(&scores, &is_current)?;
    let words = weigh_words(&texts, &labels, monitor)?;
    let strongest = |sign: f64| {
        let mut words: Vec<&DomainWord> =
            words.iter().filter(|word| word.weight * sign > 0.0).collect();
        words.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()));
        words.into_iter().take(n_words).cloned().collect()
    };
    Ok(DomainComparison { auc, new_words: strongest(1.0), old_words: strongest(-1.0) })
}

/// Every word with its weight in a model of all texts.
fn weigh_words(texts: &[&str], labels: &[u32], monitor: &Monitor) -> Result<Vec<DomainWord>> {
    let vectorizer = Vectorizer {
        ngram_max: 1,
        min_df: TextFrequency::Count(2),
        sublinear_tf: true,
        ..Vectorizer::default()
    };
    let (fitted, matrix) = vectorizer.fit_transform(texts, monitor)?;
    let params = linfa::ParamGuard::check(LogisticParams::default())?;
    let (logistic, _) =
        params.fit_rows(&matrix, labels, 2, &mut |_, _, _| monitor.interrupt.check())?;
    let n_current = labels.iter().filter(|label| **label == 1).count();
    let n_reference = labels.len() - n_current;
    let starts = matrix.proper_indptr();
    let columns = starts.windows(2).map(|column| &matrix.indices()[column[0]..column[1]]);
    let words = fitted.vocabulary().terms().into_iter().zip(logistic.coefficients()).zip(columns);
    let telling = words.map(|((word, weight), rows)| {
        let n_new = rows.iter().filter(|row| labels[**row as usize] == 1).count();
        DomainWord {
            word,
            weight: *weight,
            reference_share: (rows.len() - n_new) as f64 / n_reference as f64,
            current_share: n_new as f64 / n_current as f64,
        }
    });
    Ok(telling.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(n: usize, word: &str, seed: usize) -> Vec<String> {
        let common = ["film", "plot", "actor", "scene", "story", "music", "role"];
        (0..n)
            .map(|row| {
                let pick = |at: usize| common[(row * 31 + at * 17 + seed * 7 + row * at) % 7];
                format!("{} {} {} {word}", pick(1), pick(2), pick(3))
            })
            .collect()
    }

    #[test]
    fn the_words_that_give_new_texts_away_are_named() {
        let found = compare_domains(
            &texts(60, "cinema", 1),
            &texts(40, "streaming", 2),
            3,
            1,
            &Monitor::silent(),
        )
        .unwrap();
        assert!(found.auc.auc > 0.99 && found.auc.lower > 0.8, "{found:?}");
        assert!(found.auc.p_value < 1e-9, "{found:?}");
        let (new, old) = (&found.new_words[0], &found.old_words[0]);
        assert_eq!(
            (new.word.as_str(), new.reference_share, new.current_share),
            ("streaming", 0.0, 1.0)
        );
        assert_eq!(
            (old.word.as_str(), old.reference_share, old.current_share),
            ("cinema", 1.0, 0.0)
        );
        assert!(found.new_words.len() <= 3 && new.weight > 0.0 && old.weight < 0.0);
    }

    #[test]
    fn texts_of_one_kind_cannot_be_told_apart() {
        let all = texts(200, "again", 3);
        let found = compare_domains(&all[..100], &all[100..], 3, 1, &Monitor::silent()).unwrap();
        assert!(found.auc.p_value > 0.01, "{found:?}");
        let few = compare_domains(&all[..4], &all[4..50], 3, 1, &Monitor::silent()).unwrap_err();
        assert!(few.to_string().contains("4 examples"), "{few}");
    }

    #[test]
    fn an_area_without_a_wrong_pair_still_has_an_interval() {
        let scores = [0.1, 0.2, 0.3, 0.7, 0.8, 0.9];
        let positive = [false, false, false, true, true, true];
        let found = auc_interval(&scores, &positive).unwrap();
        assert_eq!((found.auc, found.upper), (1.0, 1.0));
        assert!((found.lower - 0.025_f64.cbrt()).abs() < 1e-12, "{found:?}");
        let mirrored = auc_interval(&scores, &positive.map(|is| !is)).unwrap();
        assert_eq!((mirrored.auc, mirrored.lower), (0.0, 0.0));
        assert!((mirrored.p_value + found.p_value - 1.0).abs() < 1e-12);
        assert_eq!(auc_interval(&[1.0; 4], &[true, true, false, false]).unwrap().p_value, 1.0);
        assert!(auc_interval(&[0.5], &[true]).is_err());
        assert!(auc_interval(&[0.5, f64::NAN], &[true, false]).is_err());
    }
}
