//! The profile of a dataset before anyone trains on it: sizes, balance, lengths, vocabulary, the
//! words that tell classes apart, duplicates and leaks between the splits. Pure functions of two
//! splits in memory.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::Serialize;

use super::{
    KeptColumn, Split,
    conflicts::LabelConflicts,
    fingerprint::{TextDigest, text_digests},
    words::{WordCounts, n_words},
};
use crate::{
    figure,
    output::{Align, Output, Table},
};

/// The number of telling words that are kept for each class.
const N_TELLING_WORDS: usize = 12;

/// The profile of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetProfile {
    /// The dataset.
    pub dataset: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// One a split, `train` first.
    pub splits: Vec<SplitProfile>,
    /// Texts that are in both splits.
    pub overlap: Overlap,
    /// Identical texts with different labels.
    pub label_conflicts: LabelConflicts,
    /// The words that tell each class best from the others, in the training split.
    pub telling_words: Vec<ClassWords>,
    /// The other columns of the source, kept for queries.
    pub columns: Vec<KeptColumn>,
}

/// One split of a dataset in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitProfile {
    /// `train` or `test`.
    pub name: String,
    /// Number of examples.
    pub n_rows: usize,
    /// Examples of each class, in class order.
    pub class_counts: Vec<usize>,
    /// Length of the texts in words that white space separates, `<br />` not counted.
    pub n_words: Distribution,
    /// Distinct words: lower-cased runs of at least two letters or digits.
    pub n_vocabulary: usize,
    /// Examples whose text, white space aside, an earlier example of the split has.
    pub n_duplicates: usize,
    /// Examples whose text is empty; adding refuses those, so more than 0 means damage.
    pub n_empty: usize,
}

/// A distribution of whole numbers. Quartiles are interpolated linearly between the two nearest
/// values, as NumPy's and R's defaults do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// The smallest value.
    pub min: usize,
    /// A quarter lies below.
    pub q1: f64,
    /// A half lies below.
    pub median: f64,
    /// Three quarters lie below.
    pub q3: f64,
    /// The largest value.
    pub max: usize,
    /// The arithmetic mean.
    pub mean: f64,
}

/// Texts that are both in train and in test: what was learnt by heart is not a measure of learning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// Distinct texts, white space aside, that both splits have.
    pub n_texts: usize,
    /// Test examples with such a text.
    pub n_test_rows: usize,
}

/// The words that tell one class from the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassWords {
    /// The class name.
    pub class: String,
    /// The most telling first.
    pub words: Vec<TellingWord>,
}

/// One word and how much it tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TellingWord {
    /// The word, lower-cased.
    pub word: String,
    /// z-score of its log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and
    /// Quinn, 2008); above 2 is more than chance.
    pub z_score: f64,
    /// Examples of the class that contain it.
    pub n_in_class: u32,
    /// Examples of all other classes that contain it.
    pub n_in_others: u32,
}

impl Overlap {
    /// The texts that both splits have.
    pub(crate) fn of(train: &Split, test: &Split) -> Self {
        let train_texts = text_digests(&train.texts).into_iter().collect();
        let test_digests = text_digests(&test.texts);
        let test_texts = test_digests.iter().copied().collect();
        Self::counted(&train_texts, &test_texts, &test_digests)
    }

    fn counted(
        train_texts: &HashSet<TextDigest>,
        test_texts: &HashSet<TextDigest>,
        test_digests: &[TextDigest],
    ) -> Self {
        Self {
            n_texts: test_texts.intersection(train_texts).count(),
            n_test_rows: test_digests.iter().filter(|text| train_texts.contains(*text)).count(),
        }
    }
}

impl DatasetProfile {
    /// The profile of the dataset `name` with these splits.
    pub(super) fn of(name: &str, train: &Split, test: &Split) -> Self {
        let counts =
            |split: &Split| WordCounts::of(&split.texts, &split.labels, split.classes.len());
        let (train_words, test_words) = (counts(train), counts(test));
        let train_digests = text_digests(&train.texts);
        let test_digests = text_digests(&test.texts);
        let telling_words = train
            .classes
            .par_iter()
            .enumerate()
            .map(|(class_idx, class)| ClassWords {
                class: class.clone(),
                words: telling(&train_words, class_idx),
            })
            .collect();
        let train_texts: HashSet<TextDigest> = train_digests.iter().copied().collect();
        let test_texts: HashSet<TextDigest> = test_digests.iter().copied().collect();
        let overlap = Overlap::counted(&train_texts, &test_texts, &test_digests);
        Self {
            dataset: name.to_owned(),
            classes: train.classes.clone(),
            overlap,
            label_conflicts: LabelConflicts::of((train, &train_digests), (test, &test_digests)),
            splits: vec![
                SplitProfile::of(train, &train_words, train_texts.len()),
                SplitProfile::of(test, &test_words, test_texts.len()),
            ],
            telling_words,
            columns: Vec::new(),
        }
    }

    /// The answer of `data describe`.
    pub fn to_output(&self) -> Output {
        let mut output = Output::new(self)
            .table(self.size_table())
            .table(self.length_table())
            .text(self.overlap_text())
            .text(self.label_conflicts.line());
        if self.has_class_table() {
            output = output.table(self.class_table());
        }
        if let Some(table) = self.label_conflicts.table() {
            output = output.table(table);
        }
        if !self.columns.is_empty() {
            output = output.text(format!("kept columns: {}", KeptColumn::listed(&self.columns)));
        }
        if let [negative, positive] = &self.telling_words[..] {
            output = output.table(side_by_side(negative, positive));
        } else {
            output = output.table(one_a_class(&self.telling_words));
        }
        output
    }

    /// Rows, words and flaws of each split; with few classes also how many examples each has.
    fn size_table(&self) -> Table {
        let mut heads = vec![("split", Align::Left), ("rows", Align::Right)];
        if !self.has_class_table() {
            heads.extend(self.classes.iter().map(|class| (class.as_str(), Align::Right)));
        }
        heads.extend(["vocabulary", "duplicates", "empty"].map(|head| (head, Align::Right)));
        let title = format!("{}: examples", self.dataset);
        let mut table = Table::new(heads).with_title(title).continued();
        for split in &self.splits {
            let mut row = vec![split.name.clone(), figure::count(split.n_rows)];
            if !self.has_class_table() {
                row.extend((0..self.classes.len()).map(|class_idx| split.class_share(class_idx)));
            }
            row.extend([split.n_vocabulary, split.n_duplicates, split.n_empty].map(figure::count));
            table.push(row);
        }
        table
    }

    /// More classes than fit side by side get a table of their own, one in a row.
    fn has_class_table(&self) -> bool {
        const MAX_SIDE_BY_SIDE: usize = 5;
        self.classes.len() > MAX_SIDE_BY_SIDE
    }

    fn class_table(&self) -> Table {
        let splits = self.splits.iter().map(|split| (split.name.as_str(), Align::Right));
        let mut table = Table::new([("class", Align::Left)].into_iter().chain(splits))
            .with_title(format!("examples of each of {} classes", self.classes.len()));
        for (class_idx, class) in self.classes.iter().enumerate() {
            let counts = self.splits.iter().map(|split| split.class_share(class_idx));
            table.push([class.clone()].into_iter().chain(counts));
        }
        table
    }

    fn length_table(&self) -> Table {
        let heads = ["min", "25%", "median", "75%", "max", "mean"];
        let heads = heads.map(|head| (head, Align::Right));
        let mut table = Table::new([("split", Align::Left)].into_iter().chain(heads))
            .with_title("length in words");
        for split in &self.splits {
            let Distribution { min, q1, median, q3, max, mean } = split.n_words;
            table.push([
                split.name.clone(),
                figure::count(min),
                format!("{q1}"),
                format!("{median}"),
                format!("{q3}"),
                figure::count(max),
                format!("{mean:.1}"),
            ]);
        }
        table
    }

    fn overlap_text(&self) -> String {
        let Overlap { n_texts, n_test_rows } = self.overlap;
        match n_texts {
            0 => "train and test share no text".into(),
            _ => format!(
                "train and test share {}: {} {} known from training",
                figure::counted(n_texts, "text"),
                figure::counted(n_test_rows, "test row"),
                if n_test_rows == 1 { "is" } else { "are" }
            ),
        }
    }
}

impl SplitProfile {
    /// The number of examples of a class, and their share: `1,083 (49.5%)`.
    fn class_share(&self, class_idx: usize) -> String {
        let n_examples = self.class_counts[class_idx];
        let percent = 100.0 * n_examples as f64 / self.n_rows.max(1) as f64;
        format!("{} ({percent:.1}%)", figure::count(n_examples))
    }

    fn of(split: &Split, words: &WordCounts, n_distinct: usize) -> Self {
        let lengths: Vec<usize> = split.texts.par_iter().map(|text| n_words(text)).collect();
        Self {
            name: split.name.clone(),
            n_rows: split.texts.len(),
            class_counts: split.fingerprint.class_counts.clone(),
            n_words: Distribution::of(lengths),
            n_vocabulary: words.len(),
            n_duplicates: split.texts.len() - n_distinct,
            n_empty: split.texts.iter().filter(|text| text.trim().is_empty()).count(),
        }
    }
}

impl Distribution {
    /// The distribution of `values`; all zeros when there are none.
    fn of(mut values: Vec<usize>) -> Self {
        values.sort_unstable();
        let quantile = |share: f64| {
            let position = share * values.len().saturating_sub(1) as f64;
            let below = position.floor() as usize;
            let value = |idx: usize| values.get(idx).map_or(0.0, |&value| value as f64);
            let (low, high) = (value(below), value((below + 1).min(values.len().max(1) - 1)));
            low + (high - low) * position.fract()
        };
        Self {
            min: values.first().copied().unwrap_or(0),
            q1: quantile(0.25),
            median: quantile(0.5),
            q3: quantile(0.75),
            max: values.last().copied().unwrap_or(0),
            mean: values.iter().sum::<usize>() as f64 / values.len().max(1) as f64,
        }
    }
}

fn telling(counts: &WordCounts, class_idx: usize) -> Vec<TellingWord> {
    let scored = counts.telling(class_idx, N_TELLING_WORDS);
    scored
        .into_iter()
        .map(|scored| TellingWord {
            word: scored.word.into(),
            z_score: scored.z,
            n_in_class: scored.n_in_class,
            n_in_others: scored.n_in_others,
        })
        .collect()
}

/// With two classes, a word has one score for both: side by side reads best.
fn side_by_side(negative: &ClassWords, positive: &ClassWords) -> Table {
    let mut table = Table::new([
        (negative.class.as_str(), Align::Left),
        ("z", Align::Right),
        (positive.class.as_str(), Align::Left),
        ("z", Align::Right),
    ])
    .with_title("most telling words (train)");
    let cells = |words: &ClassWords, idx: usize| {
        words.words.get(idx).map_or_else(Default::default, |word| {
            [word.word.clone(), format!("{:.1}", word.z_score)]
        })
    };
    for idx in 0..negative.words.len().max(positive.words.len()) {
        table.push(cells(negative, idx).into_iter().chain(cells(positive, idx)));
    }
    table
}

fn one_a_class(classes: &[ClassWords]) -> Table {
    let mut table =
        Table::new([("class", Align::Left), ("most telling words (train)", Align::Left)]);
    for class in classes {
        let words: Vec<&str> = class.words.iter().map(|word| word.word.as_str()).collect();
        table.push([class.class.clone(), words.join(", ")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ConflictCount, Fingerprint};

    fn split(name: &str, rows: &[(&str, u32)]) -> Split {
        let texts: Vec<String> = rows.iter().map(|(text, _)| (*text).to_owned()).collect();
        let labels: Vec<u32> = rows.iter().map(|(_, label)| *label).collect();
        let classes = vec!["negative".to_owned(), "positive".to_owned()];
        let fingerprint = Fingerprint::of(&texts, &labels, &classes);
        Split { name: name.into(), texts, labels, classes, fingerprint }
    }

    /// Quartiles by NumPy 2: `np.quantile([1, 2, 4, 8, 16, 32], [.25, .5, .75])`.
    #[test]
    fn quartiles_are_numpys() {
        let found = Distribution::of(vec![32, 1, 16, 2, 8, 4]);
        let expected = Distribution { min: 1, q1: 2.5, median: 6.0, q3: 14.0, max: 32, mean: 10.5 };
        assert_eq!(found, expected);
        assert_eq!(Distribution::of(vec![7]).q3, 7.0);
        assert_eq!(Distribution::of(Vec::new()).median, 0.0);
    }

    #[test]
    fn duplicates_and_overlap_look_past_white_space() {
        let train = split(
            "train",
            &[("a good film", 1), ("a  good\nfilm ", 1), ("a bad film", 0), ("other", 0)],
        );
        let test = split("test", &[("a bad  film", 0), ("a bad film", 1), ("new", 1)]);
        let profile = DatasetProfile::of("x", &train, &test);
        assert_eq!(profile.splits[0].n_duplicates, 1);
        assert_eq!(profile.splits[1].n_duplicates, 1);
        assert_eq!(profile.overlap, Overlap { n_texts: 1, n_test_rows: 2 });
        assert_eq!(profile.splits[0].n_vocabulary, 4);
        assert_eq!(profile.splits[0].n_words.max, 3);
        let text = profile.to_output().to_text(None);
        assert!(text.contains("train and test share 1 text: 2 test rows are"), "{text}");
    }

    #[test]
    fn identical_texts_with_different_labels_are_told_with_examples() {
        let train = split(
            "train",
            &[("fine", 1), ("so so", 1), ("so  so", 0), ("so so ", 0), ("dull", 0), ("twice", 1)],
        );
        let test = split("test", &[("fine", 1), ("dull", 1), (" dull", 1), ("so so", 1)]);
        let profile = DatasetProfile::of("x", &train, &test);
        let conflicts = &profile.label_conflicts;
        let count = |n_texts, n_rows, share| ConflictCount { n_texts, n_rows, share };
        assert_eq!(conflicts.train, count(1, 3, 0.5));
        assert_eq!(conflicts.test, count(0, 0, 0.0));
        assert_eq!(conflicts.between, count(2, 3, 0.75));
        let json = serde_json::to_value(&profile).unwrap();
        let expected = serde_json::json!([
            {"text": "so so", "train": {"negative": 2, "positive": 1}, "test": {"positive": 1}},
            {"text": "dull", "train": {"negative": 1}, "test": {"positive": 2}},
        ]);
        assert_eq!(json["label_conflicts"]["examples"], expected);
        let text = profile.to_output().to_text(None);
        for expected in [
            "identical texts with different labels: 1 text in train (3 rows, 50.0%), \
             2 texts in test that train has with another label (3 rows, 75.0%)",
            "2 negative, 1 positive",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let clean =
            DatasetProfile::of("x", &split("train", &[("a", 0)]), &split("test", &[("a", 0)]));
        assert!(clean.to_output().to_text(None).contains("no text has two labels"));
    }
}
