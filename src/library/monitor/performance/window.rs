//! How a stretch of time is cut into pieces that are measured by themselves: by the clock, or by the number of
//! predictions.

use std::str::FromStr;

use serde::Serialize;

use crate::{
    error::{Error, Result},
    span::Span,
};

/// The size of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowSize {
    /// So many milliseconds, from a multiple of them since the Unix epoch on.
    Milliseconds(i64),
    /// So many predictions in the order of the log; the last window has fewer.
    Predictions(u64),
}

impl FromStr for WindowSize {
    type Err = Error;

    /// A duration (`1d`, `12h`, `30m`) or a number of predictions (`1000`).
    fn from_str(text: &str) -> Result<Self> {
        let size = match Span::parse(text) {
            Some(span) => Some(Self::Milliseconds(span.millis())),
            None => text.parse().ok().filter(|n| *n > 0).map(|n: u32| Self::Predictions(n.into())),
        };
        size.ok_or_else(|| {
            Error::invalid(format!("{text:?} is no window")).with_hint(
                "write a duration such as 1d, 12h or 30m, or a number of predictions such as 1000",
            )
        })
    }
}

impl WindowSize {
    /// The window of a prediction that was made at `at_ms` after `n_before` others.
    pub(super) fn window(self, at_ms: i64, n_before: u64) -> i64 {
        match self {
            Self::Milliseconds(span_ms) => at_ms.div_euclid(span_ms.max(1)),
            Self::Predictions(n) => i64::try_from(n_before / n.max(1)).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_duration_or_a_number() {
        for (text, expected) in [
            ("1d", Some(WindowSize::Milliseconds(86_400_000))),
            ("30m", Some(WindowSize::Milliseconds(1_800_000))),
            ("1000", Some(WindowSize::Predictions(1_000))),
            ("0", None),
            ("0d", None),
            ("d", None),
            ("", None),
            ("-5", None),
            ("1é", None),
        ] {
            assert_eq!(text.parse::<WindowSize>().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_prediction_is_in_one_window() {
        let day = WindowSize::Milliseconds(10);
        assert_eq!([-1, 0, 9, 10, 35].map(|at_ms| day.window(at_ms, 0)), [-1, 0, 0, 1, 3]);
        let two = WindowSize::Predictions(2);
        assert_eq!([0, 1, 2, 5].map(|n_before| two.window(7, n_before)), [0, 0, 1, 2]);
    }
}
