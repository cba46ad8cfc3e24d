//! Several runs beside each other: what was different, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    figure,
    registry::{Registry, Run},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    changed,
    failure::PageFailure,
    history,
    parallel::{self, Axis},
    part::{named, run_link, status},
    query::coded,
    roc,
    shell::Tab,
};

const PATH: &str = "/ui/compare";
/// The most runs that are compared.
const MAX_RUNS: usize = 20;
/// The most axes of the picture.
const MAX_AXES: usize = 12;
/// Pictures that `train` leaves of what it measured, put side by side.
const PICTURES: [(&str, &str); 4] = [
    ("Confusion matrices", "confusion_matrix.svg"),
    ("ROC curves", "roc_curve.svg"),
    ("Precision and recall", "precision_recall_curve.svg"),
    ("Calibration", "calibration_curve.svg"),
];

/// A row of a table: what it is called and each run's value.
type Row = (String, Vec<Option<String>>);

pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let mut known = BTreeSet::new();
    let ids = asked.query.all("run").filter(|id| known.insert(*id)).take(MAX_RUNS);
    let runs = ids.map(|id| registry.run(id)).collect::<Result<Vec<Run>, _>>()?;
    if runs.is_empty() {
        return Err(PageFailure::invalid("no runs to compare")
            .hint("select two runs or more in the table of runs"));
    }
    let params = param_rows(&runs);
    let metrics = metric_keys(&runs);
    let roc = roc::of_runs(registry, &runs)?;
    if asked.json {
        let differing: BTreeMap<&String, &Vec<Option<String>>> = params
            .iter()
            .filter(|(_, values)| differ(values))
            .map(|(key, values)| (key, values))
            .collect();
        return Ok(Answer::Json(
            json!({"runs": runs, "params_that_differ": differing, "roc": roc::json(&roc)}),
        ));
    }
    let by_metric = history::of_runs(registry, &runs)?;
    let (differing, same): (Vec<&Row>, Vec<&Row>) =
        params.iter().partition(|(_, values)| differ(values));
    let names: Vec<String> =
        runs.iter().map(|run| named(&run.run_id, &run.name).to_owned()).collect();
    let axes = axes(&runs, &differing, &metrics);
    let body = html! {
        p.crumbs { a href="/ui/runs" { "Runs" } }
        h1 { "Compare " (figure::counted(runs.len(), "run")) }
        section aria-labelledby="metrics" {
            h2 #metrics { "Metrics" }
            (table(&runs, "Metric", html! {
                @for key in &metrics { (metric_row(key, &runs)) }
            }))
        }
        section aria-labelledby="params" {
            h2 #params { "Params that differ" }
            @if differing.is_empty() { p.quiet { "None: all params are the same." } }
            @else { (table(&runs, "Param", html! { @for row in &differing { (param_row(row)) } })) }
            @if !same.is_empty() {
                details {
                    summary { (figure::counted(same.len(), "param")) " with the same value" }
                    (table(&runs, "Param", html! { @for row in &same { (param_row(row)) } }))
                }
            }
        }
        (history::section(&asked.query, PATH, &by_metric))
        @if runs.len() > 1 && axes.len() > 1 {
            section aria-labelledby="parallel" {
                h2 #parallel { "Parallel coordinates" }
                p.legend {
                    @for (idx, run) in runs.iter().enumerate() {
                        span { span.chip data-series=(idx % 6) {} (run_link(&run.run_id, &run.name)) }
                    }
                }
                (parallel::picture(&names, &axes))
            }
        }
        (roc::section(&roc))
        (pictures(registry, &runs)?)
        (changed::section(registry, &asked.query, &runs)?)
    };
    Ok(Answer::Page(PageFrame::new(Tab::Runs, "Compare runs", body)))
}

fn param_rows(runs: &[Run]) -> Vec<Row> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
    let values = |key: &str| runs.iter().map(|run| run.params.get(key).cloned()).collect();
    keys.into_iter().map(|key| (key.clone(), values(key))).collect()
}

fn metric_keys(runs: &[Run]) -> BTreeSet<String> {
    runs.iter().flat_map(|run| run.metrics.keys().cloned()).collect()
}

fn differ(values: &[Option<String>]) -> bool {
    values.iter().any(|value| *value != values[0])
}

fn table(runs: &[Run], what: &str, rows: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(format!("{what}s of the runs")) {
            table.grid {
                thead {
                    tr {
                        th scope="col" { (what) }
                        @for run in runs {
                            th.number scope="col" { (run_link(&run.run_id, &run.name)) " " (status(run.status)) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

fn metric_row(key: &str, runs: &[Run]) -> Markup {
    let values = || runs.iter().filter_map(|run| run.metrics.get(key).copied());
    let highest = values().fold(f64::NEG_INFINITY, f64::max);
    let lowest = values().fold(f64::INFINITY, f64::min);
    html! {
        tr {
            th scope="row" { (key) }
            @for run in runs {
                @match run.metrics.get(key) {
                    Some(value) => {
                        td.number title=(value) {
                            (figure::metric(*value))
                            @if *value == highest && lowest < highest { span.mark title="highest" { " ▲" } }
                            @if *value == lowest && lowest < highest { span.mark title="lowest" { " ▽" } }
                        }
                    }
                    None => td.number.quiet { "–" }
                }
            }
        }
    }
}

fn param_row((key, values): &Row) -> Markup {
    html! {
        tr {
            th scope="row" { (key) }
            @for value in values {
                td.number { @match value { Some(value) => (value), None => span.quiet { "–" } } }
            }
        }
    }
}

/// The drawn columns: the params that differ, then the metrics.
fn axes(runs: &[Run], differing: &[&Row], metrics: &BTreeSet<String>) -> Vec<Axis> {
    let params = differing
        .iter()
        .map(|(key, values)| Axis { name: key.clone(), values: values.clone() })
        .take(MAX_AXES / 2);
    let of_metric = |key: &String| Axis {
        name: key.clone(),
        values: runs.iter().map(|run| run.metrics.get(key).map(f64::to_string)).collect(),
    };
    params.chain(metrics.iter().map(of_metric)).take(MAX_AXES).collect()
}

fn pictures(registry: &Registry, runs: &[Run]) -> Result<Markup, PageFailure> {
    let mut found = Vec::new();
    for run in runs {
        found.push(registry.artifacts(&run.run_id)?);
    }
    let path = |idx: usize, file: &str| {
        let paths = found[idx].iter().map(|artifact| artifact.path.clone());
        paths.into_iter().find(|path| path.rsplit('/').next() == Some(file))
    };
    Ok(html! {
        @for (title, file) in PICTURES {
            @let with: Vec<(usize, String)> =
                (0..runs.len()).filter_map(|idx| Some((idx, path(idx, file)?))).collect();
            @if !with.is_empty() {
                section aria-label=(title) {
                    h2 { (title) }
                    div.charts {
                        @for (idx, path) in with {
                            @let run = &runs[idx];
                            figure {
                                img src=(format!("/ui/runs/{}/raw?path={}", run.run_id, coded(&path)))
                                    alt=(format!("{title} of {}", run.name)) loading="lazy" width="600" height="400";
                                figcaption { (run_link(&run.run_id, &run.name)) }
                            }
                        }
                    }
                }
            }
        }
    })
}
