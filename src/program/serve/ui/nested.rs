//! The runs that belong to one: the folds of a cross-validation, the settings of a sweep, and whatever an
//! MLflow client started inside it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use trialbook::{
    figure,
    registry::{PARENT_RUN_TAG, Page, Registry, Run, RunQuery},
};

use super::{
    failure::PageFailure,
    part::{run_link, status},
    query::Query,
};

const MAX_RUNS: usize = 200;
const MAX_COLUMNS: usize = 6;
/// Metrics that people look for first.
const FIRST: [&str; 4] = ["f1", "accuracy", "macro_f1", "log_loss"];

/// The runs below `run`; nothing where there are none.
pub(super) fn section(registry: &Registry, run: &Run) -> Result<Markup, PageFailure> {
    let filter = format!("tags.`{PARENT_RUN_TAG}` = '{}'", run.run_id);
    let below = RunQuery {
        experiment_ids: vec![run.experiment_id.clone()],
        filter: Some(filter.clone()),
        ..RunQuery::default()
    };
    let part = Page { limit: MAX_RUNS, after: None, skip: 0 };
    let found = registry.search_runs_page(&below, &part)?;
    if found.items.is_empty() {
        return Ok(html! {});
    }
    let (params, metrics) = (differing(&found.items), metrics(&found.items));
    Ok(html! {
        section aria-labelledby="nested" {
            h2 #nested { "Nested runs" }
            div.scroll.tall tabindex="0" role="region" aria-label="Nested runs" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Run" } th scope="col" { "Status" }
                        @for key in &params { th scope="col" { (key) } }
                        @for key in &metrics { th.number scope="col" { (key) } }
                    } }
                    tbody {
                        @for run in &found.items {
                            tr {
                                th scope="row" { (run_link(&run.run_id, &run.name)) }
                                td { (status(run.status)) }
                                @for key in &params { td { (run.params.get(*key).map_or("–", String::as_str)) } }
                                @for key in &metrics { td.number { (figure::metric_or_dash(run.metrics.get(*key).copied())) } }
                            }
                        }
                    }
                }
            }
            p.quiet {
                (figure::counted(found.n_items, "run")) " · "
                a href=(Query::default().with("filter", &filter).on("/ui/runs")) { "in the table of runs" }
            }
        }
    })
}

/// Params that do not have the same value in all `runs`.
fn differing(runs: &[Run]) -> Vec<&str> {
    let mut values: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for key in runs.iter().flat_map(|run| run.params.keys()) {
        values.entry(key).or_default();
    }
    for (key, found) in &mut values {
        found.extend(runs.iter().map(|run| run.params.get(*key).map(String::as_str)));
    }
    let differing = values.into_iter().filter(|(_, found)| found.len() > 1).map(|(key, _)| key);
    differing.take(MAX_COLUMNS).collect()
}

/// The metrics to show: those that people look for first, then others that every run has.
fn metrics(runs: &[Run]) -> Vec<&str> {
    let has = |key: &str| runs.iter().any(|run| run.metrics.contains_key(key));
    let mut shown: Vec<&str> = FIRST.into_iter().filter(|key| has(key)).collect();
    if shown.is_empty() {
        let all: BTreeSet<&str> =
            runs.iter().flat_map(|run| run.metrics.keys().map(String::as_str)).collect();
        shown.extend(all.into_iter().take(MAX_COLUMNS));
    }
    shown
}
