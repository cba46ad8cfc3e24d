//! The settings that a sweep tries: values of parameters as people write them, all combinations of them,
//! or some drawn at random. It does not know what the parameters mean.

use std::collections::BTreeSet;

use crate::{
    error::{Error, Result},
    random::Random,
};

/// The most settings that one sweep tries.
const MAX_SETTINGS: usize = 10_000;
/// The points of a linear range whose number is not said.
const LINEAR_POINTS: usize = 5;

/// The values that one parameter may take.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueList(Vec<ValuePiece>);

#[derive(Debug, Clone, PartialEq)]
enum ValuePiece {
    One(String),
    Range(ValueRange),
}

/// `LOW..HIGH`, on a scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    /// The least value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// True if the scale is logarithmic.
    pub is_log: bool,
    /// True if its values are whole numbers.
    pub is_whole: bool,
    /// The points of a grid, where their number was said.
    pub n_points: Option<usize>,
}

/// One setting: a value for each parameter, in the order of the space's parameters.
pub type Setting = Vec<String>;

impl ValueList {
    /// Reads `1,2,5`, `0.1..100:log` (one point a decade), `0.1..100:log:7` (7 points), `1..5` (5 points
    /// at equal distances) or a mixture. A range between whole numbers has whole numbers alone, and without
    /// a scale each of them.
    ///
    /// # Errors
    /// An empty value, and a range that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let pieces = text.split(',').map(|piece| ValuePiece::parse(piece.trim(), text));
        Ok(Self(pieces.collect::<Result<_>>()?))
    }

    /// One value, whatever its text.
    pub fn one(text: &str) -> Self {
        Self(vec![ValuePiece::One(text.to_owned())])
    }

    /// True if a parameter with these values varies.
    pub fn varies(&self) -> bool {
        !matches!(self.0.as_slice(), [ValuePiece::One(_)])
    }

    /// The range that they are, if they are one and nothing else.
    pub fn range(&self) -> Option<ValueRange> {
        match self.0.as_slice() {
            [ValuePiece::Range(range)] => Some(*range),
            _ => None,
        }
    }

    /// The points that a grid has of them, each once.
    pub fn points(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.0.iter().flat_map(|piece| match piece {
            ValuePiece::One(value) => vec![value.clone()],
            ValuePiece::Range(range) => range.points(),
        });
        all.filter(|value| seen.insert(value.clone())).collect()
    }

    /// One of them, each piece equally likely, and within a range each point of its scale.
    fn draw(&self, random: &mut Random) -> String {
        match &self.0[random.below(self.0.len())] {
            ValuePiece::One(value) => value.clone(),
            ValuePiece::Range(range) => range.at(random.next_u64() as f64 / u64::MAX as f64),
        }
    }
}

impl ValuePiece {
    fn parse(piece: &str, whole: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::invalid(format!("values {whole:?}: {why}"))
                .with_hint("write values as 1,2,5, a range as 0.1..100:log or 1..5"))
        };
        if piece.is_empty() {
            return refuse("one of them is empty");
        }
        let Some((low, rest)) = piece.split_once("..") else {
            return Ok(Self::One(piece.to_owned()));
        };
        let mut parts = rest.split(':');
        let high = parts.next().unwrap_or_default();
        let (Ok(low_value), Ok(high_value)) = (low.parse::<f64>(), high.parse::<f64>()) else {
            return refuse(&format!("{piece:?} is a range of something else than numbers"));
        };
        let mut range = ValueRange {
            low: low_value,
            high: high_value,
            is_log: false,
            is_whole: low.parse::<i64>().is_ok() && high.parse::<i64>().is_ok(),
            n_points: None,
        };
        for part in parts {
            match (part, part.parse::<usize>()) {
                ("log", _) => range.is_log = true,
                ("linear", _) => range.is_log = false,
                (_, Ok(n_points)) if (2..=MAX_SETTINGS).contains(&n_points) => {
                    range.n_points = Some(n_points);
                }
                _ => {
                    return refuse(&format!(
                        "{part:?} behind a range: expected log, linear, or a number of points, 2 or more"
                    ));
                }
            }
        }
        if !(range.low.is_finite() && range.high.is_finite() && range.low < range.high) {
            return refuse(&format!("{piece:?} has to rise from a number to a larger one"));
        }
        if range.is_log && range.low <= 0.0 {
            return refuse(&format!("{piece:?} has to begin above 0 for a log scale"));
        }
        Ok(Self::Range(range))
    }
}

impl ValueRange {
    fn points(&self) -> Vec<String> {
        let n_points = self.n_points.unwrap_or_else(|| {
            if self.is_log {
                ((self.high / self.low).log10().round() as usize).max(1) + 1
            } else if self.is_whole {
                ((self.high - self.low) as usize).saturating_add(1).min(MAX_SETTINGS + 1)
            } else {
                LINEAR_POINTS
            }
        });
        (0..n_points).map(|idx| self.at(idx as f64 / (n_points - 1) as f64)).collect()
    }

    /// The value at a share of the scale.
    fn at(&self, share: f64) -> String {
        let value = if self.is_log {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + (self.high - self.low) * share
        };
        let value = value.clamp(self.low, self.high);
        if self.is_whole {
            return (value.round() as i64).to_string();
        }
        short(value)
    }
}

/// Six digits are enough for a setting, and `0.1` stays `0.1`.
fn short(value: f64) -> String {
    let digits = 5 - (value.abs().log10().floor() as i32).clamp(-300, 300);
    let rounded = if value == 0.0 || digits > 300 {
        value
    } else {
        let scale = 10f64.powi(digits);
        (value * scale).round() / scale
    };
    format!("{rounded}")
}

/// All combinations of the parameters' values: the last parameter varies first.
///
/// # Errors
/// More than 10,000 of them.
pub fn grid(parameters: &[ValueList]) -> Result<Vec<Setting>> {
    let points: Vec<Vec<String>> = parameters.iter().map(ValueList::points).collect();
    let n_settings = points.iter().try_fold(1usize, |n, values| n.checked_mul(values.len()));
    if n_settings.is_none_or(|n_settings| n_settings > MAX_SETTINGS) {
        return Err(Error::invalid(format!(
            "the grid has {} settings, at most {MAX_SETTINGS} are tried",
            n_settings.map_or("too many".to_owned(), |n_settings| n_settings.to_string())
        ))
        .with_hint("give fewer values, or draw some with --random N"));
    }
    let mut settings: Vec<Setting> = vec![Vec::new()];
    for values in &points {
        settings = settings
            .iter()
            .flat_map(|setting| {
                values.iter().map(|value| {
                    let mut setting = setting.clone();
                    setting.push(value.clone());
                    setting
                })
            })
            .collect();
    }
    Ok(settings)
}

/// `n_settings` combinations drawn at random, no two alike: fewer where there are no more.
///
/// # Errors
/// None or more than 10,000 are asked for.
pub fn random(parameters: &[ValueList], n_settings: usize, seed: u64) -> Result<Vec<Setting>> {
    if !(1..=MAX_SETTINGS).contains(&n_settings) {
        return Err(Error::invalid(format!(
            "{n_settings} random settings: expected 1 to {MAX_SETTINGS}"
        )));
    }
    let mut random = Random::new(seed);
    let mut seen = BTreeSet::new();
    let mut settings = Vec::new();
    // A small space runs out: draws that bring nothing new end it.
    let mut n_vain = 0;
    while settings.len() < n_settings && n_vain < 1000 {
        let setting: Setting = parameters.iter().map(|values| values.draw(&mut random)).collect();
        if seen.insert(setting.clone()) {
            settings.push(setting);
            n_vain = 0;
        } else {
            n_vain += 1;
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> String {
        ValueList::parse(text)
            .map(|values| values.points().join(" "))
            .unwrap_or_else(|error| format!("error: {error}"))
    }

    #[test]
    fn values_and_ranges_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1,2,5", "1 2 5"),
            ("english, none", "english none"),
            ("0.1..100:log", "0.1 1 10 100"),
            ("1..100:log", "1 10 100"),
            ("1..100:log:5", "1 3 10 32 100"),
            ("0.5..2:log:3", "0.5 1 2"),
            ("1..4", "1 2 3 4"),
            ("0.2..0.6:5", "0.2 0.3 0.4 0.5 0.6"),
            ("1,1..3,3", "1 2 3"),
            ("1e-4..1e-2:log", "0.0001 0.001 0.01"),
        ] {
            assert_eq!(points(text), expected, "{text}");
        }
        for (text, why) in [
            ("1,,2", "empty"),
            ("a..b", "something else than numbers"),
            ("5..1", "has to rise"),
            ("0..1:log", "above 0"),
            ("1..5:logs", "expected log"),
            ("1..5:1", "2 or more"),
        ] {
            assert!(points(text).contains(why), "{text}: {}", points(text));
        }
    }

    #[test]
    fn a_grid_has_every_combination_once_and_random_settings_differ() {
        let space = [
            ValueList::parse("1,2").unwrap(),
            ValueList::one("x,y"),
            ValueList::parse("0.1..10:log").unwrap(),
        ];
        let settings = grid(&space).unwrap();
        assert_eq!(settings.len(), 6);
        assert_eq!(settings[0], ["1", "x,y", "0.1"]);
        assert_eq!(settings[5], ["2", "x,y", "10"]);
        assert!(!space[1].varies() && space[0].varies());

        let drawn = random(&space, 40, 7).unwrap();
        assert_eq!(drawn.len(), 40);
        assert_eq!(drawn, random(&space, 40, 7).unwrap(), "the seed alone decides");
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 40);
        let values: Vec<f64> = drawn.iter().map(|setting| setting[2].parse().unwrap()).collect();
        assert!(values.iter().all(|value| (0.1..=10.0).contains(value)));
        let n_low = values.iter().filter(|value| **value < 1.0).count();
        assert!((10..=30).contains(&n_low), "log-uniform: {n_low} of 40 below 1");

        assert_eq!(random(&[ValueList::parse("1,2,3").unwrap()], 40, 7).unwrap().len(), 3);
        assert!(grid(&[ValueList::parse("1..20000").unwrap()]).is_err());
        assert!(random(&space, 0, 7).is_err());
    }
}
