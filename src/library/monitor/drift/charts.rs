//! What is worth drawing of a comparison: both sides' shares beside each other.

use super::counts::{label_counts, length_counts};
use crate::{
    monitor::{
        profile::{ReferenceProfile, length_of_bin},
        window::WindowCounts,
    },
    plot::{Chart, Series},
};

/// Points of a curve of lengths.
const N_LENGTHS: usize = 100;

/// The pictures of a comparison; none of an empty window.
pub(super) fn charts(profile: &ReferenceProfile, window: &WindowCounts) -> Vec<Chart> {
    if window.n == 0 {
        return Vec::new();
    }
    let mut charts = vec![labels(profile, window), confidence(profile, window)];
    charts.extend(lengths(profile, window));
    charts.extend(unknown_words(profile, window));
    charts
}

fn labels(profile: &ReferenceProfile, window: &WindowCounts) -> Chart {
    let mut names = profile.classes.clone();
    names.extend(window.labels.keys().filter(|label| !profile.classes.contains(label)).cloned());
    let counts = label_counts(profile, window);
    bars(names, &counts).title("Predicted labels").axes("label", "share")
}

fn confidence(profile: &ReferenceProfile, window: &WindowCounts) -> Chart {
    let edges = profile.confidence.edges();
    let names = edges.windows(2).map(|ends| format!("{:.2}", ends[0])).collect();
    let counts = [profile.confidence.counts.clone(), window.confidence.counts.clone()];
    bars(names, &counts).title("Confidence").axes("confidence, from", "share")
}

fn bars(names: Vec<String>, counts: &[Vec<u64>; 2]) -> Chart {
    let [reference, current] = counts;
    let series =
        vec![("reference".to_owned(), shares(reference)), ("now".to_owned(), shares(current))];
    Chart::bars(names, series)
}

/// The share of texts that are no longer than so many words, up to where nearly all are.
fn lengths(profile: &ReferenceProfile, window: &WindowCounts) -> Option<Chart> {
    let (bins, counts) = length_counts(profile, window)?;
    let x: Vec<f64> = bins.iter().map(|bin| length_of_bin(*bin)).collect();
    let curves = [0, 1].map(|side: usize| cumulative(&shares(&counts[side])));
    let n_shown = (0..x.len()).find(|idx| curves.iter().all(|curve| curve[*idx] > 0.99));
    let n_shown = n_shown.map_or(x.len(), |idx| idx + 1);
    let step = n_shown.div_ceil(N_LENGTHS).max(1);
    let series = curves.iter().zip(["reference", "now"]).map(|(curve, name)| {
        let points = (0..n_shown).step_by(step).map(|idx| (x[idx], curve[idx]));
        Series::new(name, points.collect())
    });
    let chart = Chart::lines(series.collect()).title("Length of the texts");
    Some(chart.axes("words, at most", "share of texts"))
}

fn unknown_words(profile: &ReferenceProfile, window: &WindowCounts) -> Option<Chart> {
    let reference = profile.unknown_words.as_ref()?;
    if window.unknown_words.iter().all(|count| *count == 0) {
        return None;
    }
    let series =
        [(reference, "reference"), (&window.unknown_words, "now")].map(|(counts, name)| {
            let curve = cumulative(&shares(counts));
            let points = curve.into_iter().enumerate().map(|(idx, share)| (idx as f64, share));
            Series::new(name, points.collect())
        });
    let chart = Chart::lines(series.into()).title("Words that the model does not know");
    Some(chart.axes("% of a text's words, at most", "share of texts"))
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|count| *count as f64 / total).collect()
}

fn cumulative(shares: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |share: &f64| {
        sum += share;
        sum
    };
    shares.iter().map(add).collect()
}
