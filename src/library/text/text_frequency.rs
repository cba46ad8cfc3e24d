//! The number of texts that a term may or must occur in: a count, or a share of all texts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A bound on the number of texts a term occurs in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextFrequency {
    /// So many texts.
    Count(u32),
    /// So large a share of all texts, from 0 to 1.
    Fraction(f64),
}

impl TextFrequency {
    /// As a number of texts.
    pub(crate) fn of(self, n_texts: usize) -> f64 {
        match self {
            Self::Count(count) => f64::from(count),
            Self::Fraction(fraction) => fraction * n_texts as f64,
        }
    }
}

impl fmt::Display for TextFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Fraction(fraction) => write!(f, "{fraction:?}"),
        }
    }
}

impl FromStr for TextFrequency {
    type Err = Error;

    /// `2` is a count, `0.5` and `1.0` are shares.
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(count) = text.parse() {
            return Ok(Self::Count(count));
        }
        text.parse().map(Self::Fraction).map_err(|source| {
            Error::invalid(format!("{text:?} is neither a count such as 2 nor a share such as 0.5"))
                .with_source(source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_parsed_and_shown_as_they_are_written() {
        for text in ["2", "0.5", "1.0"] {
            assert_eq!(text.parse::<TextFrequency>().unwrap().to_string(), text);
        }
        assert_eq!("1".parse::<TextFrequency>().unwrap(), TextFrequency::Count(1));
        assert!("few".parse::<TextFrequency>().unwrap_err().to_string().contains("\"few\""));
        for bound in [TextFrequency::Count(1), TextFrequency::Fraction(1.0)] {
            let json = serde_json::to_string(&bound).unwrap();
            assert_eq!(serde_json::from_str::<TextFrequency>(&json).unwrap(), bound);
        }
    }
}
