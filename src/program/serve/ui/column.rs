//! The columns of the table of runs beside what every run has: its params and metrics, which of them there
//! are, and which are shown where nobody picked any.

use std::collections::BTreeSet;

use maud::{Markup, html};
use trialbook::{
    figure,
    registry::{Registry, Run, RunQuery},
};

use super::{failure::PageFailure, query::Query};

/// So few runs may lack columns that others have.
const FEW_RUNS: usize = 20;
/// The newest runs that are looked at for more columns.
const N_NEWEST: usize = 100;
/// Columns where none are picked.
const N_PARAMS: usize = 3;
const N_METRICS: usize = 5;
/// Metrics that people look at first.
const FIRST: [&str; 8] = [
    "f1",
    "accuracy",
    "validation_f1",
    "validation_accuracy",
    "roc_auc",
    "log_loss",
    "loss",
    "val_loss",
];

/// The most characters that a column is made wide for.
pub(super) const MAX_CHARS: usize = 28;

/// True if a text is longer than its column is wide.
pub(super) fn is_long(text: &str) -> bool {
    text.chars().nth(MAX_CHARS).is_some()
}

/// A column: `params.KEY` or `metrics.KEY`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Param(String),
    Metric(String),
}

impl Column {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('.')? {
            ("params", key) if !key.is_empty() => Some(Self::Param(key.to_owned())),
            ("metrics", key) if !key.is_empty() => Some(Self::Metric(key.to_owned())),
            _ => None,
        }
    }

    pub(super) fn key(&self) -> &str {
        match self {
            Self::Param(key) | Self::Metric(key) => key,
        }
    }

    pub(super) fn is_missing(&self, run: &Run) -> bool {
        match self {
            Self::Param(key) => !run.params.contains_key(key),
            Self::Metric(key) => !run.metrics.contains_key(key),
        }
    }

    /// As URLs and filters name it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Param(key) => format!("params.{key}"),
            Self::Metric(key) => format!("metrics.{key}"),
        }
    }

    pub(super) fn cell(&self, run: &Run) -> Markup {
        match self {
            Self::Param(key) => {
                let value = run.params.get(key).map_or("", String::as_str);
                html! { td .cut[is_long(value)] title=[is_long(value).then_some(value)] { (value) } }
            }
            Self::Metric(key) => {
                html! { td.number { (run.metrics.get(key).map(|v| figure::metric(*v)).unwrap_or_default()) } }
            }
        }
    }
}

/// The order that the query names, as the registry reads it.
pub(super) fn order(query: &Query) -> Option<String> {
    let sort = query.get("sort")?;
    let entity = match Column::parse(sort) {
        Some(column) => {
            let kind = if matches!(column, Column::Param(_)) { "params" } else { "metrics" };
            format!("{kind}.`{}`", column.key().replace('`', "``"))
        }
        None => sort.to_owned(),
    };
    let direction = if query.get("dir") == Some("asc") { "ASC" } else { "DESC" };
    Some(format!("{entity} {direction}"))
}

/// The columns there are: of the runs that are shown and, where these are few, of the newest.
pub(super) fn known(registry: &Registry, shown: &[Run]) -> Result<BTreeSet<Column>, PageFailure> {
    let of_run = |run: &Run| {
        let params = run.params.keys().cloned().map(Column::Param);
        params.chain(run.metrics.keys().cloned().map(Column::Metric)).collect::<Vec<_>>()
    };
    let mut known: BTreeSet<Column> = shown.iter().flat_map(of_run).collect();
    if shown.len() < FEW_RUNS {
        let newest = RunQuery { limit: Some(N_NEWEST), ..RunQuery::default() };
        known.extend(registry.search_runs(&newest)?.iter().flat_map(of_run));
    }
    Ok(known)
}

/// The columns that are shown: those that are picked, else what differs and what people look at first.
pub(super) fn columns(query: &Query, known: &BTreeSet<Column>, runs: &[Run]) -> Vec<Column> {
    if query.get("col").is_some() {
        return query.all("col").filter_map(Column::parse).collect();
    }
    let differs = |key: &str| {
        let mut values = runs.iter().map(|run| run.params.get(key));
        let first = values.next().flatten();
        values.any(|value| value != first)
    };
    // What most runs have comes before what few have.
    let n_without = |column: &Column| {
        runs.iter().filter(|run| column.is_missing(run)).count() * 10 / runs.len().max(1)
    };
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let (mut params, mut metrics): (Vec<&Column>, Vec<&Column>) =
        known.iter().partition(|column| matches!(column, Column::Param(_)));
    params.retain(|column| runs.len() < 2 || differs(column.key()));
    params.sort_by_key(|column| (n_without(column), column.key() != "model"));
    metrics.sort_by_key(|column| (n_without(column), rank(column.key())));
    let params = params.into_iter().take(N_PARAMS);
    params.chain(metrics.into_iter().take(N_METRICS)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_any_key() {
        for (url, expected) in [
            ("sort=metrics.f1", Some("metrics.`f1` DESC")),
            ("sort=params.a b%60c&dir=asc", Some("params.`a b``c` ASC")),
            ("sort=start_time&dir=asc", Some("start_time ASC")),
            ("dir=asc", None),
        ] {
            assert_eq!(order(&Query::of(url)).as_deref(), expected, "{url}");
        }
    }
}
