//! Identical texts with different labels: what no model can learn, or learns and is then told is wrong.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Split, fingerprint::TextDigest, head::on_one_line};
use crate::{
    figure,
    output::{Align, Table},
};

/// The number of such texts that are shown.
const MAX_EXAMPLES: usize = 3;

/// Texts that, white space aside, have more than one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelConflicts {
    /// Among the training examples.
    pub train: ConflictCount,
    /// Among the test examples.
    pub test: ConflictCount,
    /// Test examples whose text the training split has with another label.
    pub between: ConflictCount,
    /// A few of them, those with the most examples first.
    pub examples: Vec<ConflictExample>,
}

/// The number of texts with more than one label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ConflictCount {
    /// Distinct texts.
    pub n_texts: usize,
    /// Examples that have one of these texts.
    pub n_rows: usize,
    /// Their share of the split's examples, from 0 to 1.
    pub share: f64,
}

/// One text that has more than one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConflictExample {
    /// The text, as the first of its examples has it.
    pub text: String,
    /// The number of training examples that give it each class.
    pub train: BTreeMap<String, usize>,
    /// The same of the test examples.
    pub test: BTreeMap<String, usize>,
}

/// The examples that have one text.
struct Group<'a> {
    text: &'a str,
    /// Place among all texts, to tell which comes first.
    order: usize,
    /// Examples of each class that occurs, of `train` and of `test`.
    counts: [BTreeMap<u32, usize>; 2],
}

impl Group<'_> {
    fn n_rows(&self, split_idx: usize) -> usize {
        self.counts[split_idx].values().sum()
    }

    /// Test examples with a class that the text has not alone in training.
    fn n_contradicted(&self) -> usize {
        let [train, test] = &self.counts;
        let is_known_otherwise = |class: &u32| train.keys().any(|known| known != class);
        test.iter().filter(|(class, _)| is_known_otherwise(class)).map(|(_, n)| n).sum()
    }
}

impl LabelConflicts {
    /// Those of two splits with the digests of their texts.
    pub(super) fn of(
        (train, train_digests): (&Split, &[TextDigest]),
        (test, test_digests): (&Split, &[TextDigest]),
    ) -> Self {
        let mut groups: HashMap<TextDigest, Group<'_>> = HashMap::new();
        for (split_idx, (split, digests)) in
            [(train, train_digests), (test, test_digests)].into_iter().enumerate()
        {
            for ((text, &label), digest) in split.texts.iter().zip(&split.labels).zip(digests) {
                let order = groups.len();
                let group = groups.entry(*digest).or_insert_with(|| Group {
                    text,
                    order,
                    counts: [BTreeMap::new(), BTreeMap::new()],
                });
                *group.counts[split_idx].entry(label).or_insert(0) += 1;
            }
        }
        let count = |split: &Split, n_rows_of: &dyn Fn(&Group<'_>) -> usize| {
            let found = groups.values().map(n_rows_of).filter(|n_rows| *n_rows > 0);
            let (n_texts, n_rows) = found.fold((0, 0), |(texts, rows), n| (texts + 1, rows + n));
            ConflictCount {
                n_texts,
                n_rows,
                share: n_rows as f64 / split.texts.len().max(1) as f64,
            }
        };
        let within = |split_idx: usize| {
            move |group: &Group<'_>| match group.counts[split_idx].len() {
                0 | 1 => 0,
                _ => group.n_rows(split_idx),
            }
        };
        let mut shown: Vec<&Group<'_>> = groups
            .values()
            .filter(|group| {
                let [train, test] = &group.counts;
                train.len() > 1 || test.len() > 1 || group.n_contradicted() > 0
            })
            .collect();
        shown.sort_by_key(|group| {
            (std::cmp::Reverse(group.n_rows(0) + group.n_rows(1)), group.order)
        });
        let named = |counts: &BTreeMap<u32, usize>| {
            counts.iter().map(|(class, n)| (train.classes[*class as usize].clone(), *n)).collect()
        };
        Self {
            train: count(train, &within(0)),
            test: count(test, &within(1)),
            between: count(test, &|group| group.n_contradicted()),
            examples: shown
                .into_iter()
                .take(MAX_EXAMPLES)
                .map(|group| ConflictExample {
                    text: group.text.to_owned(),
                    train: named(&group.counts[0]),
                    test: named(&group.counts[1]),
                })
                .collect(),
        }
    }

    /// One line that says it all.
    pub(super) fn line(&self) -> String {
        let said = |count: ConflictCount, what: &str| {
            let counted = |n: usize, noun: &str| {
                format!("{} {noun}{}", figure::count(n), if n == 1 { "" } else { "s" })
            };
            (count.n_texts > 0).then(|| {
                format!(
                    "{} {what} ({}, {:.1}%)",
                    counted(count.n_texts, "text"),
                    counted(count.n_rows, "row"),
                    100.0 * count.share
                )
            })
        };
        let parts: Vec<String> = [
            said(self.train, "in train"),
            said(self.test, "in test"),
            said(self.between, "in test that train has with another label"),
        ]
        .into_iter()
        .flatten()
        .collect();
        match parts.is_empty() {
            true => "no text has two labels".into(),
            false => format!("identical texts with different labels: {}", parts.join(", ")),
        }
    }

    /// The examples, where there are any.
    pub(super) fn table(&self) -> Option<Table> {
        let counts = |counts: &BTreeMap<String, usize>| {
            let counts: Vec<String> =
                counts.iter().map(|(class, n)| format!("{} {class}", figure::count(*n))).collect();
            counts.join(", ")
        };
        let heads = ["train", "test", "text"].map(|head| (head, Align::Left));
        let mut table = Table::new(heads).with_title("identical texts with different labels");
        for example in &self.examples {
            let text = on_one_line(&example.text, 80);
            table.push([counts(&example.train), counts(&example.test), text]);
        }
        (!self.examples.is_empty()).then_some(table)
    }
}
