//! From values to shares of an axis, with ticks on round numbers and their labels.

use chrono::DateTime;

use super::marks::{Axis, is_drawable};
use crate::figure;

/// An axis' numbers laid out: where it begins and ends and what is written along it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    pub(super) ticks: Vec<Tick>,
}

/// A number with a mark and a label at the axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

const SECOND: f64 = 1e3;
const HOUR: f64 = 3600.0 * SECOND;
const DAY: f64 = 24.0 * HOUR;
/// Steps of a clock and a calendar, in milliseconds; months and years are not all equally long.
const TIME_STEPS: [f64; 18] = [
    SECOND,
    5.0 * SECOND,
    15.0 * SECOND,
    30.0 * SECOND,
    60.0 * SECOND,
    300.0 * SECOND,
    900.0 * SECOND,
    1800.0 * SECOND,
    HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
    365.0 * DAY,
];

impl Scale {
    /// The scale of `axis` for these values, with about `n_ticks` ticks. It begins and ends at a
    /// tick unless the axis says where it does.
    pub(super) fn new(axis: &Axis, values: impl Iterator<Item = f64>, n_ticks: usize) -> Self {
        let (mut low, mut high) = axis.domain.unwrap_or_else(|| extent(values));
        if low >= high {
            let margin = if low == 0.0 || axis.is_whole { 1.0 } else { low.abs() / 10.0 };
            (low, high) = (low - margin, high + margin);
        }
        let rough = (high - low) / n_ticks.max(1) as f64;
        let mut step = match axis.is_time {
            true => TIME_STEPS
                .into_iter()
                .find(|step| *step >= rough)
                .unwrap_or_else(|| round_step(rough / TIME_STEPS[17]) * TIME_STEPS[17]),
            false => round_step(rough),
        };
        if axis.is_whole {
            step = step.max(1.0);
        }
        // What is 0 but for rounding would otherwise become a step of its own.
        let slack = 1e-9;
        let (first, last) = match axis.domain.is_some() || axis.is_time {
            true => ((low / step - slack).ceil(), (high / step + slack).floor()),
            false => ((low / step + slack).floor(), (high / step - slack).ceil()),
        };
        if axis.domain.is_none() && !axis.is_time {
            (low, high) = (first * step, last * step);
        }
        if low >= high {
            high = low + step;
        }
        let n_steps = (last - first).clamp(0.0, 60.0) as usize;
        let label = |at: f64| match axis.is_time {
            true => time_label(at, step),
            false => number_label(at, step, low.abs().max(high.abs())),
        };
        let ticks = (0..=n_steps)
            .map(|idx| (first + idx as f64) * step)
            .map(|at| Tick { at, label: label(at) })
            .collect();
        Self { from: low, to: high, ticks }
    }

    /// The place of `value` between the ends, 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }
}

/// The lowest and the highest value that can be drawn.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let extent = values
        .filter(|value| is_drawable(*value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if extent.0 > extent.1 { (0.0, 1.0) } else { extent }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `rough`.
pub(super) fn round_step(rough: f64) -> f64 {
    if !(rough > 0.0 && rough.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let factor = rough / power;
    // A power of ten computed a hair too large must not become twice as large.
    let round = [1.0, 2.0, 5.0].into_iter().find(|round| factor <= round * (1.0 + 1e-9));
    power * round.unwrap_or(10.0)
}

/// A value as it is written at its bar.
pub(super) fn value_label(value: f64, is_whole: bool) -> String {
    match (value.is_finite(), is_whole && value.abs() < 1e15) {
        (false, _) => "-".to_owned(),
        (true, true) => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", figure::count(value.abs() as u64))
        }
        (true, false) => figure::metric(value),
    }
}

fn number_label(at: f64, step: f64, largest: f64) -> String {
    let (divisor, suffix) = match largest {
        size if size >= 1e15 || step < 1e-6 => return exponential(at, step),
        size if size >= 1e12 => (1e12, "T"),
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        _ => (1.0, ""),
    };
    let n_decimals = (-(step / divisor).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let at = at / divisor;
    let text = format!("{:.n_decimals$}", at.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), |n: u64| figure::count(n));
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let (sign, suffix) = if is_zero { ("", "") } else { (if at < 0.0 { "-" } else { "" }, suffix) };
    format!("{sign}{whole}{rest}{suffix}")
}

fn exponential(at: f64, step: f64) -> String {
    if at.abs() < step / 2.0 {
        return "0".to_owned();
    }
    let n_digits = (at.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{at:.n_digits$e}")
}

fn time_label(at_ms: f64, step: f64) -> String {
    let Some(at) = DateTime::from_timestamp_millis(at_ms as i64) else {
        return exponential(at_ms, step);
    };
    let pattern = match step {
        step if step < 60.0 * SECOND => "%H:%M:%S",
        step if step < DAY => "%b %d %H:%M",
        step if step < 365.0 * DAY => "%Y-%m-%d",
        _ => "%Y",
    };
    at.format(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, values: &[f64]) -> Vec<String> {
        let scale = Scale::new(axis, values.iter().copied(), 5);
        scale.ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_lie_on_round_numbers() {
        let axis = Axis::default();
        for (values, expected) in [
            (&[0.0, 1.0][..], "0.0 0.2 0.4 0.6 0.8 1.0"),
            (&[0.0, 25_000.0], "0 5,000 10,000 15,000 20,000 25,000"),
            (&[-0.3, 0.42], "-0.4 -0.2 0.0 0.2 0.4 0.6"),
            (&[0.9111, 0.9137], "0.911 0.912 0.913 0.914"),
            (&[0.0, 3.2e6], "0 1M 2M 3M 4M"),
            (&[0.0, 2e-9], "0 5e-10 1.0e-9 1.5e-9 2.0e-9"),
            (&[7.0], "6.0 6.5 7.0 7.5 8.0"),
            (&[], "0.0 0.2 0.4 0.6 0.8 1.0"),
            (&[f64::NAN, f64::INFINITY, 0.0, 1.0], "0.0 0.2 0.4 0.6 0.8 1.0"),
        ] {
            assert_eq!(labels(&axis, values).join(" "), expected, "{values:?}");
        }
        let whole = Axis { is_whole: true, ..Axis::default() };
        assert_eq!(labels(&whole, &[1.0, 3.0]), ["1", "2", "3"]);
        let unit = Axis { domain: Some((0.0, 1.0)), ..Axis::default() };
        assert_eq!(labels(&unit, &[5.0]).join(" "), "0.0 0.2 0.4 0.6 0.8 1.0");
    }

    #[test]
    fn time_has_the_steps_of_a_calendar() {
        let axis = Axis { is_time: true, ..Axis::default() };
        assert_eq!(
            labels(&axis, &[0.0, 3.0 * DAY]),
            ["1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04"]
        );
        assert_eq!(
            labels(&axis, &[0.0, 20.0 * SECOND]),
            ["00:00:00", "00:00:05", "00:00:10", "00:00:15", "00:00:20"]
        );
    }

    #[test]
    fn any_numbers_have_a_scale() {
        for values in
            [[-1e300, 1e300], [1e-300, 2e-300], [1e300, 1e300], [0.0, 5e-324], [1.0, 1.0 + 1e-16]]
        {
            let scale = Scale::new(&Axis::default(), values.into_iter(), 5);
            assert!(scale.ticks.len() < 70, "{values:?}");
            assert!(values.iter().all(|value| scale.share(*value).is_finite()), "{values:?}");
        }
    }
}
