//! Parallel coordinates: an axis for each param and metric, a line for each run. Which values lead to which
//! result is seen in the way the lines go.

use std::collections::BTreeSet;

use maud::{Markup, html};
use trialbook::figure;

const HEIGHT: f64 = 300.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 22.0;
const GAP: f64 = 150.0;
const SIDE: f64 = 80.0;
const N_COLOURS: usize = 6;

/// An axis: its name and the value of each run, where it has one.
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) values: Vec<Option<String>>,
}

/// The place of each value on an axis, from 0 to 1, and the labels with theirs.
type Places = (Vec<Option<f64>>, Vec<(f64, String)>);

/// The picture of `runs`, by their names, on `axes`.
pub(super) fn picture(runs: &[String], axes: &[Axis]) -> Markup {
    let width = 2.0 * SIDE + GAP * axes.len().saturating_sub(1) as f64;
    let places: Vec<Places> = axes.iter().map(place).collect();
    let x = |idx: usize| SIDE + GAP * idx as f64;
    let y = |share: f64| HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Parallel coordinates" {
            svg.parallel role="img" width=(width) height=(HEIGHT)
                viewBox=(format!("0 0 {width} {HEIGHT}")) {
                title { "Params and metrics of " (runs.len()) " runs, a line each" }
                @for (idx, axis) in axes.iter().enumerate() {
                    line.axis x1=(x(idx)) x2=(x(idx)) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    text.name x=(x(idx)) y="16" text-anchor="middle" { (cut(&axis.name, 20)) }
                    @for (share, label) in &places[idx].1 {
                        text x=(x(idx) + 6.0) y=(y(*share) + 4.0) { (cut(label, 16)) }
                    }
                }
                @for (run_idx, run) in runs.iter().enumerate() {
                    @let points = points(&places, run_idx).map(|(idx, share)| {
                        format!("{:.1},{:.1}", x(idx), y(share))
                    });
                    polyline class=(format!("tb-s{}-l", run_idx % N_COLOURS))
                        points=(points.collect::<Vec<_>>().join(" ")) { title { (run) } }
                }
            }
        }
    }
}

fn points(places: &[Places], run_idx: usize) -> impl Iterator<Item = (usize, f64)> {
    let found = places.iter().enumerate();
    found.filter_map(move |(idx, (shares, _))| Some((idx, (*shares.get(run_idx)?)?)))
}

fn place(axis: &Axis) -> Places {
    let numbers: Option<Vec<Option<f64>>> = axis.values.iter().map(number).collect();
    if let Some(numbers) = numbers {
        let known = || numbers.iter().flatten().copied();
        let (low, high) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
        let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
        let mut labels = vec![(share(low), figure::metric(low))];
        if high > low {
            labels.push((1.0, figure::metric(high)));
        }
        let labels = if known().next().is_some() { labels } else { Vec::new() };
        return (numbers.iter().map(|value| value.map(share)).collect(), labels);
    }
    let names: BTreeSet<&String> = axis.values.iter().flatten().collect();
    let names: Vec<&String> = names.into_iter().collect();
    let share = |idx: usize| match names.len() {
        1 => 0.5,
        n => idx as f64 / (n - 1) as f64,
    };
    let at = |value: &String| names.iter().position(|name| *name == value).map(share);
    let labels = names.iter().enumerate().map(|(idx, name)| (share(idx), (*name).clone()));
    (axis.values.iter().map(|value| value.as_ref().and_then(at)).collect(), labels.collect())
}

/// The number that a value is; a missing one is no reason against numbers.
fn number(value: &Option<String>) -> Option<Option<f64>> {
    match value {
        None => Some(None),
        Some(text) => text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Some),
    }
}

/// The beginning of a long text.
fn cut(text: &str, n_chars: usize) -> String {
    match text.char_indices().nth(n_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[&str]) -> Axis {
        let value = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
        Axis { name: "a".to_owned(), values: values.iter().map(value).collect() }
    }

    #[test]
    fn numbers_lie_by_size_and_names_by_order() {
        let (places, labels) = place(&axis(&["1", "3", "", "2"]));
        assert_eq!(places, [Some(0.0), Some(1.0), None, Some(0.5)]);
        assert_eq!(labels.len(), 2);
        let (places, labels) = place(&axis(&["b", "a", "1"]));
        assert_eq!(places, [Some(1.0), Some(0.5), Some(0.0)]);
        assert_eq!(labels[2], (1.0, "b".to_owned()));
        assert_eq!(place(&axis(&["2", "2"])).0, [Some(0.5), Some(0.5)]);
        assert_eq!(place(&axis(&["", ""])), (vec![None, None], vec![]));
    }

    #[test]
    fn a_hostile_name_is_text() {
        let picture = picture(&["<script>".to_owned()], &[axis(&["<b>"])]).into_string();
        assert!(!picture.contains("<script>") && !picture.contains("<b>"), "{picture}");
    }
}
