//! A moment as people write it: a date in UTC, or how far from now.

use std::str::FromStr;

use chrono::NaiveDate;
use trialbook::{
    error::{Error, Result},
    span::Span,
};

/// `2027-01-31` (when that day begins, in UTC) or a duration: `90d`, `12h`, `30m`, `45s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeArgument {
    /// Milliseconds since the Unix epoch.
    At(i64),
    /// Milliseconds from now.
    Away(i64),
}

impl TimeArgument {
    /// Milliseconds since the Unix epoch, a duration counted on from `now_ms`.
    pub(super) fn after(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at_ms) => at_ms,
            Self::Away(span_ms) => now_ms.saturating_add(span_ms),
        }
    }

    /// The same, a duration counted back.
    pub(super) fn before(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at_ms) => at_ms,
            Self::Away(span_ms) => now_ms.saturating_sub(span_ms),
        }
    }
}

impl FromStr for TimeArgument {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            let is_none = text.trim_end_matches(['s', 'm', 'h', 'd']).parse() == Ok(0_u32);
            let unsigned = text.strip_prefix('-').filter(|rest| Span::parse(rest).is_some());
            match unsigned {
                Some(rest) => {
                    Error::invalid(format!("{text:?} has a sign, and a duration has none"))
                        .with_hint(format!("write {rest}"))
                }
                None if is_none && !text.ends_with(|last: char| last.is_ascii_digit()) => {
                    Error::invalid(format!("{text:?} is no time: expected a longer one"))
                        .with_hint("write 90d, 12h, 30m or 45s")
                }
                None => Error::invalid(format!("{text:?} is neither a date nor a duration"))
                    .with_hint("write 2027-01-31, or 90d, 12h, 30m or 45s"),
            }
        })
    }
}

fn parse(text: &str) -> Option<TimeArgument> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(TimeArgument::At(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis()));
    }
    Span::parse(text).map(|span| TimeArgument::Away(span.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_a_duration() {
        for (text, expected) in [
            ("1970-01-02", Some(TimeArgument::At(86_400_000))),
            ("90d", Some(TimeArgument::Away(90 * 86_400_000))),
            ("12h", Some(TimeArgument::Away(12 * 3_600_000))),
            ("30m", Some(TimeArgument::Away(1_800_000))),
            ("45s", Some(TimeArgument::Away(45_000))),
            ("0d", None),
            ("-1d", None),
            ("d", None),
            ("5", None),
            ("5é", None),
            ("tomorrow", None),
            ("2027-13-01", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<TimeArgument>().ok(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("0d", "\"0d\" is no time"),
            ("-5h", "\"-5h\" has a sign"),
            ("0", "\"0\" is neither"),
            ("7", "\"7\" is neither"),
            ("--json", "\"--json\" is neither"),
        ] {
            let error = text.parse::<TimeArgument>().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        assert_eq!((TimeArgument::Away(5).after(10), TimeArgument::Away(5).before(10)), (15, 5));
        assert_eq!((TimeArgument::At(5).after(10), TimeArgument::At(5).before(10)), (5, 5));
    }
}
