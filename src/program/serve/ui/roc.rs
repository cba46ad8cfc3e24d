//! The ROC curves of several runs over each other, with the area under each: a picture for each class that
//! counts as positive.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Value, json};
use trialbook::{
    evaluate::{RocCurve, roc_plot},
    plot::Chart,
    registry::{Registry, Run},
};

use super::{chart::chart, failure::PageFailure, part::named};

/// The file that measuring leaves of the curves.
const FILE: &str = "roc_curve.json";
/// The largest such file that is read.
const MAX_BYTES: u64 = 4 << 20;
/// The most lines of one picture: a chart has so many colours.
const MAX_LINES: usize = 6;
/// The most pictures.
const MAX_CLASSES: usize = 8;

/// The curve of one run.
pub(super) struct RunCurve {
    run_id: String,
    name: String,
    curve: RocCurve,
}

/// The curves of `runs` by the class that counts as positive.
pub(super) fn of_runs(
    registry: &Registry,
    runs: &[Run],
) -> Result<BTreeMap<String, Vec<RunCurve>>, PageFailure> {
    let mut by_class: BTreeMap<String, Vec<RunCurve>> = BTreeMap::new();
    for run in runs {
        let files = registry.artifacts(&run.run_id)?;
        let file = files.iter().find(|file| file.path.rsplit('/').next() == Some(FILE));
        let Some(file) = file.filter(|file| file.size_bytes <= MAX_BYTES) else { continue };
        // A run of somebody else may have another file of this name.
        let Ok(curves) = serde_json::from_slice::<Vec<RocCurve>>(&registry.read_artifact(file)?)
        else {
            continue;
        };
        for curve in curves {
            let name = named(&run.run_id, &run.name).to_owned();
            let of_run = RunCurve { run_id: run.run_id.clone(), name, curve };
            by_class.entry(of_run.curve.class.clone()).or_default().push(of_run);
        }
    }
    Ok(by_class)
}

/// Areas and curves for programs.
pub(super) fn json(by_class: &BTreeMap<String, Vec<RunCurve>>) -> Value {
    let curves = by_class.values().flatten();
    let told =
        curves.map(|RunCurve { run_id, curve, .. }| json!({"run_id": run_id, "curve": curve}));
    told.collect()
}

/// The pictures, where there is more than one curve to lay over another.
pub(super) fn section(by_class: &BTreeMap<String, Vec<RunCurve>>) -> Markup {
    let several = || by_class.iter().filter(|(_, curves)| curves.len() > 1);
    html! {
        @if several().next().is_some() {
            section aria-labelledby="roc" {
                h2 #roc { "ROC curves over each other" }
                div.charts {
                    @for (class, curves) in several().take(MAX_CLASSES) {
                        @if let Some(drawn) = overlaid(class, curves) { (chart(&drawn)) }
                    }
                }
                @if several().any(|(_, curves)| curves.len() > MAX_LINES) {
                    p.quiet { "The curves of the first " (MAX_LINES) " runs are drawn." }
                }
                @if several().count() > MAX_CLASSES {
                    p.quiet { "The curves of the first " (MAX_CLASSES) " classes are drawn." }
                }
            }
        }
    }
}

fn overlaid(class: &str, curves: &[RunCurve]) -> Option<Chart> {
    // In the legend a run's name takes the place of the class.
    let of_runs = curves.iter().take(MAX_LINES);
    let named = of_runs.map(|of| RocCurve { class: of.name.clone(), ..of.curve.clone() });
    let chart = roc_plot(&named.collect::<Vec<_>>())?;
    Some(chart.title(format!("ROC curves with their areas (AUC), positive: {class}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_one_class_share_a_picture_that_says_their_areas() {
        let curve = |name: &str, auc: f64| RunCurve {
            run_id: "0".repeat(32),
            name: name.to_owned(),
            curve: RocCurve {
                class: "<b>".to_owned(),
                auc,
                thresholds: vec![None, Some(0.5)],
                false_positive_rates: vec![0.0, 1.0],
                true_positive_rates: vec![0.0, 1.0],
            },
        };
        let several = BTreeMap::from([
            ("<b>".to_owned(), vec![curve("calm", 0.75), curve("<i>", 0.5)]),
            ("lone".to_owned(), vec![curve("calm", 0.9)]),
        ]);
        let shown = section(&several).into_string();
        assert_eq!(shown.matches("<svg").count(), 1, "{shown}");
        assert!(shown.contains("calm: area 0.7500"), "{shown}");
        assert!(shown.contains(": area 0.5000"));
        assert!(!shown.contains("<b>") && !shown.contains("<i>") && !shown.contains("lone"));
        assert_eq!(json(&several).as_array().unwrap().len(), 3);
        assert_eq!(section(&BTreeMap::new()).into_string(), "");
    }
}
