//! The metric histories of runs, as curves.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trialbook::registry::{Metric, Registry, Run};

use super::{
    chart::{Drawing, Point, chart, curves},
    failure::PageFailure,
    part::{kept, named},
    query::Query,
};

/// The most charts of one page.
const MAX_CHARTS: usize = 24;

/// The curves of one metric, one a run: what it is called, and its points.
pub(super) type Curves = Vec<(String, Vec<Point>)>;

/// Every metric that has more than one point in one of `runs`.
pub(super) fn of_runs(
    registry: &Registry,
    runs: &[Run],
) -> Result<BTreeMap<String, Curves>, PageFailure> {
    let mut by_metric: BTreeMap<String, Curves> = BTreeMap::new();
    for run in runs {
        let mut of_run: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for Metric { key, step, timestamp_ms, value } in registry.histories(&run.run_id)? {
            of_run.entry(key).or_default().push((step, timestamp_ms, value));
        }
        for (key, points) in of_run {
            let name = named(&run.run_id, &run.name).to_owned();
            by_metric.entry(key).or_default().push((name, points));
        }
    }
    by_metric.retain(|_, curves| curves.iter().any(|(_, points)| points.len() > 1));
    Ok(by_metric)
}

/// The drawing of curves that the query asks for.
pub(super) fn drawing(query: &Query) -> Drawing {
    let smoothing = query.get("smooth").and_then(|text| text.parse().ok()).unwrap_or(0.0_f64);
    Drawing {
        over_time: query.get("x") == Some("time"),
        smoothing: if smoothing.is_finite() { smoothing.clamp(0.0, 0.99) } else { 0.0 },
        is_log: query.get("log").is_some(),
    }
}

/// The charts, with what they are drawn by.
pub(super) fn section(query: &Query, path: &str, by_metric: &BTreeMap<String, Curves>) -> Markup {
    let drawing = drawing(query);
    html! {
        @if !by_metric.is_empty() {
            section aria-labelledby="curves" {
                h2 #curves { "Curves" }
                form.bar method="get" action=(path) data-auto="" {
                    (kept(query, &["x", "smooth", "log"]))
                    label { "Over "
                        select name="x" {
                            option value="" selected[!drawing.over_time] { "steps" }
                            option value="time" selected[drawing.over_time] { "time" }
                        }
                    }
                    label { "Smoothing "
                        input type="range" name="smooth" min="0" max="0.95" step="0.05"
                            value=(drawing.smoothing);
                    }
                    label.check {
                        input type="checkbox" name="log" value="1" checked[drawing.is_log]; " Log scale"
                    }
                    noscript { button type="submit" { "Draw" } }
                }
                div.charts #curves-live data-part="" {
                    @for (name, curves_of) in by_metric.iter().take(MAX_CHARTS) {
                        (chart(&curves(name, curves_of, drawing)))
                    }
                }
                @if by_metric.len() > MAX_CHARTS {
                    p.quiet { "The first " (MAX_CHARTS) " of " (by_metric.len()) " metrics are drawn." }
                }
            }
        }
    }
}
