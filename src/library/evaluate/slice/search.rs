//! The worst slices, found without being named: a shallow decision tree that separates wrong from right
//! answers by what is known of the rows.
//!
//! What a search finds in the rows that it searched proves nothing: the best of many questions looks good
//! by chance. So one half of the rows, drawn by a seed, grows the tree, and its leaves are measured on the
//! other half, which had no say in choosing them. A question is only asked if it is worth it: Fisher's p
//! times the number of questions that could have been asked has to be small.

use super::{
    expression::{Relation, RowValue, Slice, SliceCondition, SliceTest},
    features::RowFeatures,
    group::{SliceFeature, ValueCounts},
    measure::{SliceMetrics, SlicedPredictions},
};
use crate::{data::CellValues, error::Result, evaluate::RightAnswers, random::Random};

/// Questions on the way to a leaf.
const MAX_DEPTH: usize = 3;
/// The largest p of a question's answers, times the number of questions that there were.
const MAX_P_VALUE: f64 = 0.1;
/// The parts of equally many rows at whose ends a number is cut.
const N_PARTS: usize = 10;
/// Values of a column that are asked about, the most frequent ones.
const MAX_VALUES: usize = 20;
/// A column of numbers with more different values than this is asked about by order.
const MAX_SINGLE_NUMBERS: usize = 10;
/// The code of a row for which no question of a feature holds.
const NO_CODE: u16 = u16::MAX;

/// A leaf of the tree in which more answers are wrong than on average.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSlice {
    /// Its number of rows in the whole split.
    pub n_rows: usize,
    /// It beside the rest, both on the half of the rows that had no part in finding it.
    pub held_out: SliceMetrics,
}

/// A feature whose questions are numbered.
struct CodedFeature {
    questions: Vec<SliceTest>,
    /// True if the question with the number `k` holds for rows with codes up to `k`, and not for those
    /// with the code `k` alone.
    is_ordered: bool,
    /// True if a row has no number: then the opposite of "at most" is not "above".
    has_gaps: bool,
    codes: Vec<u16>,
}

/// A question with its answers on the rows of a node.
struct NodeSplit {
    feature_idx: usize,
    question_idx: usize,
    holds: RightAnswers,
    fails: RightAnswers,
}

/// The rows and features that the tree grows by.
struct Growth<'a> {
    features: &'a [CodedFeature],
    is_right: &'a [bool],
    min_rows: usize,
    /// The share of right answers in all searched rows.
    accuracy: f64,
    leaves: Vec<Slice>,
}

/// The leaves of a shallow tree that have more wrong answers than the average, each of at least
/// `min_rows` rows, half of them on either half of the split. `by` are the features that may be asked
/// about. Their p values are those of rows that the search has not seen; several of them are to be
/// corrected together with whatever else is looked at.
///
/// # Errors
/// A column or a share of unknown words that `features` lacks.
pub fn find_slices(
    predictions: &SlicedPredictions<'_>,
    by: &[SliceFeature],
    features: &RowFeatures<'_>,
    min_rows: usize,
    seed: u64,
) -> Result<Vec<FoundSlice>> {
    let is_right = predictions.is_right();
    let min_half = min_rows.div_ceil(2).max(1);
    let is_held_out = halves(&is_right, seed);
    let searched: Vec<usize> = (0..is_right.len()).filter(|row| !is_held_out[*row]).collect();
    let coded = by
        .iter()
        .map(|feature| CodedFeature::of(feature, features, min_rows))
        .collect::<Result<Vec<CodedFeature>>>()?;
    let all = RightAnswers::count(&is_right, |row| !is_held_out[row]);
    let mut growth = Growth {
        features: &coded,
        is_right: &is_right,
        min_rows: min_half,
        accuracy: all.accuracy(),
        leaves: Vec::new(),
    };
    growth.grow(searched, all, &[]);
    let mut found = Vec::new();
    for slice in growth.leaves {
        let rows = features.rows(&slice)?;
        let n_rows = rows.iter().filter(|is_in| **is_in).count();
        let n_held_out = (0..rows.len()).filter(|row| rows[*row] && is_held_out[*row]).count();
        if n_held_out >= min_half {
            let held_out = predictions.measure_among(&slice, &rows, |row| is_held_out[row])?;
            found.push(FoundSlice { n_rows, held_out });
        }
    }
    Ok(found)
}

/// For each row whether it is held out: one half of the right and one of the wrong answers.
fn halves(is_right: &[bool], seed: u64) -> Vec<bool> {
    let mut is_held_out = vec![false; is_right.len()];
    let mut random = Random::new(seed);
    for side in [false, true] {
        let mut rows: Vec<usize> =
            (0..is_right.len()).filter(|row| is_right[*row] == side).collect();
        random.shuffle(&mut rows);
        rows[..rows.len() / 2].iter().for_each(|row| is_held_out[*row] = true);
    }
    is_held_out
}

impl Growth<'_> {
    fn grow(&mut self, rows: Vec<usize>, answers: RightAnswers, path: &[SliceCondition]) {
        if path.len() < MAX_DEPTH
            && let Some(split) = self.best_split(&rows, answers)
        {
            let feature = &self.features[split.feature_idx];
            let (inside, outside): (Vec<usize>, Vec<usize>) =
                rows.into_iter().partition(|row| feature.holds(split.question_idx, *row));
            let [holds, fails] = feature.conditions(split.question_idx);
            self.grow(inside, split.holds, &[path, &[holds]].concat());
            self.grow(outside, split.fails, &[path, &[fails]].concat());
        } else if !path.is_empty() && answers.accuracy() < self.accuracy {
            self.leaves.push(Slice { conditions: without_repetition(path) });
        }
    }

    /// The question that separates wrong from right answers best, if it is worth asking.
    fn best_split(&self, rows: &[usize], answers: RightAnswers) -> Option<NodeSplit> {
        let (mut best, mut n_asked) = (None, 0);
        for (feature_idx, feature) in self.features.iter().enumerate() {
            for (question_idx, holds) in
                feature.answers(rows, self.is_right).into_iter().enumerate()
            {
                let fails = RightAnswers {
                    n_right: answers.n_right - holds.n_right,
                    n_rows: answers.n_rows - holds.n_rows,
                };
                if holds.n_rows < self.min_rows || fails.n_rows < self.min_rows {
                    continue;
                }
                n_asked += 1;
                let gain = gain(holds, fails);
                if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                    best = Some((gain, NodeSplit { feature_idx, question_idx, holds, fails }));
                }
            }
        }
        let (_, split) = best?;
        let p_value = split.holds.fisher(split.fails) * f64::from(n_asked);
        (p_value <= MAX_P_VALUE).then_some(split)
    }
}

/// Pearson's chi-square of the two answers, but for a factor that all questions of a node share: the
/// decrease of Gini's impurity.
fn gain(holds: RightAnswers, fails: RightAnswers) -> f64 {
    let difference = holds.accuracy() - fails.accuracy();
    let (own, other) = (holds.n_rows as f64, fails.n_rows as f64);
    difference * difference * own * other / (own + other)
}

impl CodedFeature {
    fn of(feature: &SliceFeature, features: &RowFeatures<'_>, min_rows: usize) -> Result<Self> {
        match feature {
            SliceFeature::Negation => Ok(Self {
                questions: vec![SliceTest::Negation],
                is_ordered: false,
                has_gaps: false,
                codes: features.negations().iter().map(|has| u16::from(!has)).collect(),
            }),
            SliceFeature::Length => Self::ordered(RowValue::Length, features),
            SliceFeature::Unknown => Self::ordered(RowValue::Unknown, features),
            SliceFeature::Column(name) => {
                let subject = RowValue::Column(name.clone());
                let texts: Vec<Option<String>> = match &features.column(name)?.values {
                    CellValues::Texts(texts) => texts.clone(),
                    CellValues::Numbers(numbers) => {
                        let written: Vec<Option<String>> =
                            numbers.iter().map(|number| number.map(|n| n.to_string())).collect();
                        let values = ValueCounts::count(written.iter().map(Option::as_deref));
                        if values.n_distinct() > MAX_SINGLE_NUMBERS {
                            return Self::ordered(subject, features);
                        }
                        written
                    }
                };
                Ok(Self::named(&subject, &texts, min_rows))
            }
        }
    }

    fn ordered(subject: RowValue, features: &RowFeatures<'_>) -> Result<Self> {
        let numbers = features.numbers(&subject)?;
        let sorted = numbers.sorted();
        // Shares of words are cut at places that read well.
        let short = |cut: f64| match subject {
            RowValue::Unknown => (cut * 1000.0).round() / 1000.0,
            _ => cut,
        };
        let mut cuts: Vec<f64> = (1..N_PARTS)
            .filter_map(|nth| sorted.get((nth * sorted.len() / N_PARTS).saturating_sub(1)))
            .map(|cut| short(*cut))
            .collect();
        cuts.dedup();
        let code = |row: usize| match numbers.get(row) {
            None => NO_CODE,
            Some(number) => cuts.partition_point(|cut| *cut < number) as u16,
        };
        Ok(Self {
            codes: (0..features.n_rows()).map(code).collect(),
            is_ordered: true,
            has_gaps: sorted.len() < features.n_rows(),
            questions: cuts
                .iter()
                .map(|cut| SliceTest::Compares(subject.clone(), Relation::AtMost, *cut))
                .collect(),
        })
    }

    fn named(subject: &RowValue, texts: &[Option<String>], min_rows: usize) -> Self {
        let values = ValueCounts::count(texts.iter().map(Option::as_deref));
        let asked: Vec<&Option<String>> = values.frequent(min_rows, MAX_VALUES).collect();
        let code = |text: &Option<String>| {
            asked.iter().position(|value| *value == text).map_or(NO_CODE, |code| code as u16)
        };
        Self {
            codes: texts.iter().map(code).collect(),
            is_ordered: false,
            has_gaps: false,
            questions: asked
                .iter()
                .map(|value| SliceTest::Equals(subject.clone(), (*value).clone()))
                .collect(),
        }
    }

    fn holds(&self, question_idx: usize, row: usize) -> bool {
        let code = usize::from(self.codes[row]);
        if self.is_ordered { code <= question_idx } else { code == question_idx }
    }

    /// For each question the rows of `rows` for which it holds.
    fn answers(&self, rows: &[usize], is_right: &[bool]) -> Vec<RightAnswers> {
        let mut answers = vec![RightAnswers { n_right: 0, n_rows: 0 }; self.questions.len()];
        for row in rows {
            // Numbers above the last cut have a code, and no question.
            if let Some(answers) = answers.get_mut(usize::from(self.codes[*row])) {
                answers.n_rows += 1;
                answers.n_right += usize::from(is_right[*row]);
            }
        }
        if self.is_ordered {
            for idx in 1..answers.len() {
                answers[idx].n_rows += answers[idx - 1].n_rows;
                answers[idx].n_right += answers[idx - 1].n_right;
            }
        }
        answers
    }

    /// The conditions that a question holds and that it fails.
    fn conditions(&self, question_idx: usize) -> [SliceCondition; 2] {
        let question = self.questions[question_idx].clone();
        let fails = match &question {
            SliceTest::Compares(subject, Relation::AtMost, cut) if !self.has_gaps => {
                SliceTest::Compares(subject.clone(), Relation::Above, *cut).holds()
            }
            _ => question.clone().fails(),
        };
        [question.holds(), fails]
    }
}

/// `path` without the conditions that a later one makes needless: of two cuts of a number on the same
/// side the earlier one, and other values of a column that has a certain one.
fn without_repetition(path: &[SliceCondition]) -> Vec<SliceCondition> {
    let is_needless = |earlier: &SliceCondition, later: &SliceCondition| {
        let is_same = earlier.is_negated == later.is_negated;
        match (&earlier.test, &later.test) {
            (SliceTest::Compares(one, relation, _), SliceTest::Compares(other, same, _)) => {
                is_same && one == other && relation == same
            }
            (SliceTest::Equals(one, _), SliceTest::Equals(other, _)) => {
                earlier.is_negated && !later.is_negated && one == other
            }
            _ => false,
        }
    };
    let needed = path
        .iter()
        .enumerate()
        .filter(|(idx, earlier)| path[idx + 1..].iter().all(|later| !is_needless(earlier, later)));
    needed.map(|(_, condition)| condition.clone()).collect()
}

#[cfg(test)]
mod tests;
