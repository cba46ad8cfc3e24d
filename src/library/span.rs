//! Lengths of time as people write them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A length of time in whole seconds, spelled `90s`, `10m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    seconds: u32,
}

impl Span {
    /// The span that `text` spells; nothing for none, for 0 and for one beyond some 136 years.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().last()?;
        let unit_s = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        let n: u32 = text[..text.len() - unit.len_utf8()].parse().ok()?;
        n.checked_mul(unit_s).filter(|seconds| *seconds > 0).map(|seconds| Self { seconds })
    }

    pub(crate) const fn of_seconds(seconds: u32) -> Self {
        Self { seconds }
    }

    /// Its length in milliseconds.
    pub fn millis(self) -> i64 {
        i64::from(self.seconds) * 1_000
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm'), (1, 's')];
        let (unit_s, unit) = *units
            .iter()
            .find(|(unit_s, _)| self.seconds.is_multiple_of(*unit_s))
            .unwrap_or(&(1, 's'));
        write!(f, "{}{unit}", self.seconds / unit_s)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no time: expected one such as 90s, 10m, 12h or 7d"
            ))
        })
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_secs(span.seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_spelled_as_they_are_read() {
        for (text, millis) in
            [("90s", 90_000), ("10m", 600_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.millis(), span.to_string()), (millis, text.to_owned()));
        }
        for text in ["", "5", "0s", "-1d", "d", "5é", "4000000000d"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
