//! True labels of predictions, as people and programs say them afterwards, and what they say together.
//! Labels come late, in any order, several times and from several sources: what is true of a text does
//! not depend on that. It reads no file.
//!
//! Of one source the label with the latest time counts; of several sources that disagree the latest label
//! of them. A source takes its word back with a label that is none.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest id of a request: a server takes no longer one either.
const MAX_ID_CHARS: usize = 128;
/// Longest source and longest label, in characters.
const MAX_SOURCE_CHARS: usize = 64;
const MAX_LABEL_CHARS: usize = 250;

/// The way in which a text was picked to be labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleBy {
    /// Those that the model is least sure of.
    Uncertainty,
    /// Each prediction with the same chance: what is measured on them holds for all.
    Random,
    /// Those of which two versions say different things.
    Disagreement,
}

impl SampleBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uncertainty, Self::Random, Self::Disagreement];

    /// Its name, such as `random`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncertainty => "uncertainty",
            Self::Random => "random",
            Self::Disagreement => "disagreement",
        }
    }
}

impl fmt::Display for SampleBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SampleBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no way to pick texts: expected uncertainty, random or disagreement"
            ))
        })
    }
}

/// What one source says of one text: a line of the log of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrueLabel {
    /// The request that the text was in.
    pub request_id: String,
    /// The text's place in it, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// The true class; none where the source takes back what it said.
    pub label: Option<String>,
    /// Who says so, such as `user` or `annotator:ann`.
    pub source: String,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// How the text was picked to be labelled, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_by: Option<SampleBy>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A label as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenLabel {
    /// As in [`TrueLabel`].
    pub request_id: String,
    /// As in [`TrueLabel`].
    pub index: u32,
    /// As in [`TrueLabel`].
    pub label: Option<String>,
    /// As in [`TrueLabel`].
    pub source: String,
    /// When it was said; none for the time of its arrival.
    pub timestamp_ms: Option<i64>,
    /// As in [`TrueLabel`].
    pub sampled_by: Option<SampleBy>,
}

impl GivenLabel {
    /// The source of labels that name none.
    pub const DEFAULT_SOURCE: &str = "user";

    /// Checks the form of all parts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the part, what was found and what is expected.
    pub fn check(&self) -> Result<()> {
        let Self { request_id, label, source, .. } = self;
        if request_id.is_empty() || request_id.chars().count() > MAX_ID_CHARS {
            return Err(Error::invalid(format!(
                "request_id has {} characters, expected 1 to {MAX_ID_CHARS}",
                request_id.chars().count()
            )));
        }
        if let Some(label) = label
            && (label.trim().is_empty() || label.chars().count() > MAX_LABEL_CHARS)
        {
            return Err(Error::invalid(format!(
                "label has {} characters, expected 1 to {MAX_LABEL_CHARS}, not blank",
                label.chars().count()
            )));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@+/[]".contains(&byte);
        if source.is_empty() || source.len() > MAX_SOURCE_CHARS || !source.bytes().all(is_plain) {
            return Err(Error::invalid(format!(
                "source {source:?}: expected 1 to {MAX_SOURCE_CHARS} letters, digits and -_.:@+/, such as \
                 user or annotator:ann"
            )));
        }
        Ok(())
    }
}

/// What is known of one text: the latest word of each source.
type OfText = Vec<TrueLabel>;

/// True labels by request and place.
#[derive(Debug, Clone, Default)]
pub struct TrueLabels {
    requests: HashMap<String, BTreeMap<u32, OfText>>,
}

impl TrueLabels {
    /// Takes note of what a source says: it counts unless the same source said something later. The order in
    /// which labels are told, and how often, makes no difference.
    pub fn tell(&mut self, label: TrueLabel) {
        let texts = match self.requests.get_mut(&label.request_id) {
            Some(texts) => texts,
            None => self.requests.entry(label.request_id.clone()).or_default(),
        };
        let of_text = texts.entry(label.index).or_default();
        match of_text.iter_mut().find(|known| known.source == label.source) {
            Some(known) if rank(known) < rank(&label) => *known = label,
            Some(_) => {}
            None => of_text.push(label),
        }
    }

    /// What is true of the text at `index` of a request: the latest word of all sources that stand by one.
    pub fn truth(&self, request_id: &str, index: u32) -> Option<&TrueLabel> {
        let of_text = self.requests.get(request_id)?.get(&index)?;
        of_text
            .iter()
            .filter(|label| label.label.is_some())
            .max_by_key(|label| (label.timestamp_ms, &label.source, &label.label, label.sampled_by))
    }

    /// Whether a source says something of the text that differs from what another one says.
    pub fn is_disputed(&self, request_id: &str, index: u32) -> bool {
        let of_text = self.requests.get(request_id).and_then(|texts| texts.get(&index));
        let mut said = of_text.into_iter().flatten().filter_map(|label| label.label.as_deref());
        said.next().is_some_and(|first| said.any(|label| label != first))
    }

    /// Texts with a label.
    pub fn n_texts(&self) -> usize {
        let texts = self.requests.values().flat_map(BTreeMap::values);
        texts.filter(|of_text| of_text.iter().any(|label| label.label.is_some())).count()
    }

    /// Whether nothing was ever said.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The latest word of each source on each text, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TrueLabel> {
        self.requests.values().flat_map(BTreeMap::values).flatten()
    }
}

/// What decides which of two labels of one source counts.
pub(super) fn rank(label: &TrueLabel) -> (i64, &Option<String>, Option<SampleBy>) {
    (label.timestamp_ms, &label.label, label.sampled_by)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label(request: u32, source: &str, label: Option<&str>, timestamp_ms: i64) -> TrueLabel {
        TrueLabel {
            request_id: format!("r{request}"),
            index: 0,
            label: label.map(str::to_owned),
            source: source.to_owned(),
            timestamp_ms,
            sampled_by: None,
        }
    }

    fn truth(labels: &[TrueLabel]) -> Option<String> {
        let mut known = TrueLabels::default();
        labels.iter().for_each(|label| known.tell(label.clone()));
        known.truth("r0", 0).and_then(|label| label.label.clone())
    }

    #[test]
    fn the_latest_word_counts_and_can_be_taken_back() {
        let ann_pos = label(0, "ann", Some("pos"), 1);
        let ann_neg = label(0, "ann", Some("neg"), 3);
        let bob_pos = label(0, "bob", Some("pos"), 2);
        let ann_back = label(0, "ann", None, 4);
        assert_eq!(truth(&[]), None);
        assert_eq!(truth(&[ann_neg.clone(), ann_pos.clone()]).as_deref(), Some("neg"));
        assert_eq!(truth(&[ann_neg.clone(), bob_pos.clone()]).as_deref(), Some("neg"));
        let all = [ann_back, ann_neg, bob_pos, ann_pos];
        assert_eq!(truth(&all).as_deref(), Some("pos"), "bob stands by his word");
        assert_eq!(truth(&[all[0].clone(), all[1].clone()]), None);
    }

    #[test]
    fn the_form_of_a_label_is_checked() {
        let good = GivenLabel {
            request_id: "7b0c".to_owned(),
            label: Some("pos".to_owned()),
            source: "annotator:ann".to_owned(),
            ..GivenLabel::default()
        };
        good.check().unwrap();
        for (bad, expected) in [
            (GivenLabel { request_id: String::new(), ..good.clone() }, "request_id has 0"),
            (GivenLabel { request_id: "x".repeat(129), ..good.clone() }, "request_id has 129"),
            (GivenLabel { label: Some("  ".to_owned()), ..good.clone() }, "label has 2"),
            (GivenLabel { source: "two words".to_owned(), ..good.clone() }, "source \"two words\""),
            (GivenLabel { source: String::new(), ..good }, "source \"\""),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_makes_a_difference(
            labels in prop::collection::vec((0_u32..3, 0_usize..3, 0_usize..3, 0_i64..4), 0..24)
                .prop_flat_map(|labels| {
                    let repeated = [labels.clone(), labels.clone()].concat();
                    (Just(labels), Just(repeated).prop_shuffle())
                })
        ) {
            let told = |labels: &[(u32, usize, usize, i64)]| {
                let mut known = TrueLabels::default();
                for (request, source, said, at_ms) in labels {
                    let (source, said) = (["ann", "bob", "user"][*source], [None, Some("neg"), Some("pos")][*said]);
                    known.tell(label(*request, source, said, *at_ms));
                }
                (0..3).map(|request| known.truth(&format!("r{request}"), 0).cloned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(told(&labels.0), told(&labels.1));
        }
    }
}
