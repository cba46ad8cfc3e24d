//! The groups of a column's values: one series of a chart each.

use std::collections::HashMap;

use super::{
    chart::{Chart, MAX_SERIES},
    histogram,
    marks::{Series, is_drawable},
};
use crate::figure;

/// The largest groups, and which of them each row is in.
#[derive(Debug)]
pub(super) struct Groups {
    names: Vec<String>,
    /// One a row; none in a group that is not drawn.
    group_of: Vec<Option<usize>>,
    /// A remark on what is left out.
    note: Option<String>,
}

impl Groups {
    /// Groups by `values`, one a row: the largest come first, and those of equal size by name.
    pub(super) fn of(values: &[String]) -> Self {
        let counts = counted(values.iter().map(String::as_str));
        let names: Vec<String> =
            counts.iter().take(MAX_SERIES).map(|(name, _)| (*name).to_owned()).collect();
        let group_of =
            values.iter().map(|value| names.iter().position(|name| name == value)).collect();
        let note = (counts.len() > MAX_SERIES).then(|| {
            let n_rows: usize = counts[MAX_SERIES..].iter().map(|(_, n)| n).sum();
            format!(
                "the {MAX_SERIES} largest of {} groups; {} rows of the others are left out",
                figure::count(counts.len()),
                figure::count(n_rows)
            )
        });
        Self { names, group_of, note }
    }

    /// A histogram of each group as a line: over the middle of each bin of a histogram of all.
    pub(super) fn histogram(&self, values: &[Option<f64>]) -> Chart {
        let known: Vec<(usize, f64)> = values
            .iter()
            .zip(&self.group_of)
            .filter_map(|(value, group)| Some(((*group)?, (*value)?)))
            .filter(|(_, value)| is_drawable(*value))
            .collect();
        let all: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
        let bins = histogram::bins(&all);
        let is_whole = all.iter().all(|value| value.fract() == 0.0);
        let mut counts = vec![vec![0_usize; bins.len()]; self.names.len()];
        for (group, value) in &known {
            let bin = bins.partition_point(|bin| bin.lower <= *value).saturating_sub(1);
            counts[*group][bin] += 1;
        }
        let series = self.names.iter().zip(counts).map(|(name, counts)| {
            let points = bins.iter().zip(counts).map(|(bin, n)| {
                // A bin of one whole number stands for that number.
                let is_single = is_whole && bin.upper - bin.lower == 1.0;
                let at = if is_single { bin.lower } else { f64::midpoint(bin.lower, bin.upper) };
                (at, n as f64)
            });
            Series::new(name, points.collect())
        });
        let mut chart = Chart::lines(series.collect());
        chart.y.is_whole = true;
        let n_missing = values
            .iter()
            .zip(&self.group_of)
            .filter(|(value, group)| group.is_some() && value.is_none_or(|x| !is_drawable(x)))
            .count();
        let missing = (n_missing > 0)
            .then(|| format!("{} rows without a value are left out", figure::count(n_missing)));
        self.noted(chart, missing)
    }

    /// One bar a name and group, as high as the name is frequent in the group.
    pub(super) fn bars(&self, names: Vec<String>, values: &[String]) -> Chart {
        let mut counts: HashMap<(&str, usize), f64> = HashMap::new();
        for (value, group) in values.iter().zip(&self.group_of) {
            if let Some(group) = group {
                *counts.entry((value, *group)).or_default() += 1.0;
            }
        }
        let series = self.names.iter().enumerate().map(|(group, group_name)| {
            let height = |name: &String| counts.get(&(name.as_str(), group)).copied();
            let heights = names.iter().map(|name| height(name).unwrap_or_default()).collect();
            (group_name.clone(), heights)
        });
        let series = series.collect();
        self.noted(Chart::bars(names, series), None)
    }

    /// One series a group of the points of all rows.
    pub(super) fn series(&self, points: &[Option<(f64, f64)>]) -> Vec<Series> {
        let mut series: Vec<Series> =
            self.names.iter().map(|name| Series::new(name, Vec::new())).collect();
        for (point, group) in points.iter().zip(&self.group_of) {
            if let (Some(point), Some(group)) = (point, group) {
                series[*group].points.push(*point);
            }
        }
        series
    }

    /// `chart` with the remarks that it has, `more`, and that there are more groups.
    pub(super) fn noted(&self, mut chart: Chart, more: Option<String>) -> Chart {
        let notes: Vec<String> =
            [chart.note.take(), more, self.note.clone()].into_iter().flatten().collect();
        match notes.is_empty() {
            true => chart,
            false => chart.note(notes.join("; ")),
        }
    }
}

/// Each value with how often it occurs: the most frequent first, then by name.
pub(super) fn counted<'a>(values: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts
}
