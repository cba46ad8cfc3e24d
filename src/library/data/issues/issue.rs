//! One thing that may be wrong with a row, as it is written to files and read from them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The kinds of issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueKind {
    /// The label is probably wrong.
    Label,
    /// The text is nearly that of another row, which has another label.
    ContradictingDuplicate,
    /// The text is nearly that of another row with the same label.
    NearDuplicate,
    /// The text has no visible character.
    Empty,
    /// The text is very short.
    Short,
    /// The text is in another language than most.
    OtherLanguage,
    /// The text is no text in any language: digits, marks, an address, encoded bytes.
    NonText,
    /// A word or a column gives the label away. It concerns the whole split; its row is an example.
    Leakage,
}

/// One thing that may be wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// The row in its split, from 0.
    pub row: usize,
    /// `train` or `test`.
    pub split: String,
    /// The kind of fault.
    pub kind: IssueKind,
    /// The strength of the evidence, from 0 to 1. Of a label: the probability that it is wrong by the
    /// model's word. Of a duplicate: the share of three-word sequences in common.
    pub score: f64,
    /// The reason in one sentence.
    pub why: String,
    /// The class of the row.
    pub label: String,
    /// The class that the row probably has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<String>,
    /// The beginning of the text, on one line.
    pub text: String,
    /// The row that this one is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherRow>,
    /// The fingerprint of the split, SHA-256 in hex: the row is a place in these examples alone.
    pub fingerprint: String,
}

/// The other row of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherRow {
    /// The row in its split, from 0.
    pub row: usize,
    /// `train` or `test`.
    pub split: String,
    /// Its class.
    pub label: String,
    /// The beginning of its text, on one line.
    pub text: String,
}

impl IssueKind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Label,
        Self::ContradictingDuplicate,
        Self::NearDuplicate,
        Self::Empty,
        Self::Short,
        Self::OtherLanguage,
        Self::NonText,
        Self::Leakage,
    ];

    /// The name for programs: `near_duplicate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::ContradictingDuplicate => "contradicting_duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::Empty => "empty",
            Self::Short => "short",
            Self::OtherLanguage => "other_language",
            Self::NonText => "non_text",
            Self::Leakage => "leakage",
        }
    }

    /// The description of the kind, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Label => "label probably wrong",
            Self::ContradictingDuplicate => "nearly the text of another row, with another label",
            Self::NearDuplicate => "nearly the text of another row",
            Self::Empty => "no visible character",
            Self::Short => "very short",
            Self::OtherLanguage => "in another language than most",
            Self::NonText => "digits, marks, an address or encoded bytes",
            Self::Leakage => "a word or a column gives the label away",
        }
    }
}

impl fmt::Display for IssueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for IssueKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            Error::invalid(format!("{text:?} is no kind of issue"))
                .with_hint(format!("the kinds are {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for kind in IssueKind::ALL {
            assert_eq!(kind.name().parse::<IssueKind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let error = "labels".parse::<IssueKind>().unwrap_err();
        assert_eq!(error.to_string(), "\"labels\" is no kind of issue");
        assert!(error.hint().unwrap().to_string().starts_with("the kinds are label, "));
    }
}
