//! `runs list|show|compare|delete|restore`: what was tried and how it went.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    book::measured_on,
    display::{headline, pairs, runs_table},
    error::{Error, Result},
    figure::{self, short},
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::{Lifecycle, Run, RunQuery, Tracker, json_number},
};

use super::Session;

/// The verbs on runs.
#[derive(Debug, Clone, Subcommand)]
pub enum Runs {
    /// List runs, newest first, and what each was measured on
    ///
    /// That is the test split, the rows held out by --validation-size (then accuracy and f1 are
    /// validation_accuracy and validation_f1), one fold of a cross-validation, or the mean of its
    /// folds.
    List(ListRuns),
    /// Show one run: params, metrics, tags, artifacts
    Show(One),
    /// Put params and metrics of several runs side by side
    Compare(Compare),
    /// Delete a run; `store gc` removes it for good, until then it can be restored
    Delete(One),
    /// Bring a deleted run back
    Restore(One),
}

/// A choice of runs, and their order.
#[derive(Debug, Clone, Args)]
pub struct ListRuns {
    /// Only runs that fit, such as "metrics.f1 > 0.85 and params.model = 'tfidf'"
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Order, such as "metrics.f1 desc"; several are separated by commas
    #[arg(long, value_name = "KEY [asc|desc]", value_delimiter = ',')]
    order: Vec<String>,
    /// Only runs of this experiment
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// Show at most this many runs
    #[arg(short = 'n', long, default_value_t = 100, value_name = "RUNS")]
    limit: usize,
    /// List deleted runs instead
    #[arg(long)]
    deleted: bool,
}

/// One run.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// The run's id, the first characters of it (at least 4), or its name
    run: String,
}

/// Several runs.
#[derive(Debug, Clone, Args)]
pub struct Compare {
    /// Runs by id, first characters of it, or name
    #[arg(required = true, num_args = 2..)]
    runs: Vec<String>,
}

impl Runs {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let registry = session.book.tracker()?;
        match self {
            Self::List(list) => list.run(registry),
            Self::Show(one) => one.show(registry),
            Self::Compare(compare) => compare.run(registry),
            Self::Delete(one) => {
                let run = registry.run(&one.run)?;
                registry.delete_run(&run.run_id)?;
                Ok(Output::new(json!({"run_id": run.run_id, "deleted": true})).hint(
                    Hint::from(format!("deleted run {} ({}); ", run.name, short(&run.run_id)))
                        .run(CommandLine::new("runs restore").arg(short(&run.run_id)))
                        .say(" brings it back"),
                ))
            }
            Self::Restore(one) => {
                // A deleted run is found by restoring alone: no other verb sees it.
                registry.restore_run(&one.run)?;
                let run = registry.run(&one.run)?;
                Ok(Output::new(json!({"run_id": run.run_id, "deleted": false})).text(format!(
                    "restored run {} ({})",
                    run.name,
                    short(&run.run_id)
                )))
            }
        }
    }
}

impl ListRuns {
    fn run(&self, registry: &dyn Tracker) -> Result<Output> {
        let experiment_ids = match &self.experiment {
            Some(name) => vec![registry.find_experiment(name)?.experiment_id],
            None => Vec::new(),
        };
        let runs = registry.search_runs(&RunQuery {
            experiment_ids,
            filter: self.filter.clone(),
            order: self.order.clone(),
            limit: Some(self.limit),
            lifecycle: if self.deleted { Lifecycle::Deleted } else { Lifecycle::Live },
        })?;
        let output = Output::new(&runs);
        if runs.is_empty() {
            let narrowed = self.filter.is_some() || self.experiment.is_some() || self.deleted;
            return Ok(output.hint(match narrowed {
                true => Hint::from("no run fits"),
                false => Hint::from("no runs; train one with ").run("train tfidf --data NAME"),
            }));
        }
        let registered = registry.versions_by_run()?;
        Ok(output.table(runs_table(&runs, Some(&registered))))
    }
}

impl One {
    fn show(&self, registry: &dyn Tracker) -> Result<Output> {
        let run = registry.run(&self.run)?;
        let artifacts = registry.artifacts(&run.run_id)?;
        let mut histories = serde_json::Map::new();
        let mut metrics = Table::new([
            ("metric", Align::Left),
            ("value", Align::Right),
            ("step", Align::Right),
            ("points", Align::Right),
        ]);
        for (key, value) in &run.metrics {
            let history = registry.metric_history(&run.run_id, key)?;
            let step = history.iter().map(|point| point.step).max().unwrap_or_default();
            metrics.push([
                key.clone(),
                figure::metric(*value),
                step.to_string(),
                history.len().to_string(),
            ]);
            let points: Vec<_> = history
                .iter()
                .map(|point| {
                    json!({"value": json_number(point.value), "step": point.step, "timestamp_ms": point.timestamp_ms})
                })
                .collect();
            histories.insert(key.clone(), points.into());
        }
        let mut files = Table::new([
            ("artifact", Align::Left),
            ("size", Align::Right),
            ("sha256", Align::Left),
        ]);
        for artifact in &artifacts {
            files.push([
                artifact.path.clone(),
                figure::bytes(artifact.size_bytes),
                short(&artifact.sha256).to_owned(),
            ]);
        }
        let mut json = serde_json::to_value(&run)
            .map_err(|error| Error::invalid("run cannot be shown").with_source(error))?;
        json["artifacts"] = json!(artifacts);
        json["metric_history"] = histories.into();
        Ok(Output::new(json)
            .text(headline(&run))
            .table(pairs("param", &run.params))
            .text("")
            .table(metrics)
            .text("")
            .table(pairs("tag", &run.tags))
            .text("")
            .table(files))
    }
}

impl Compare {
    fn run(&self, registry: &dyn Tracker) -> Result<Output> {
        let runs = self.runs.iter().map(|run| registry.run(run)).collect::<Result<Vec<Run>>>()?;
        let heads: Vec<&str> = runs.iter().map(|run| short(&run.run_id)).collect();
        let mut params = Table::new(
            [("param", Align::Left)]
                .into_iter()
                .chain(heads.iter().map(|head| (*head, Align::Left))),
        );
        let mut row = |key: &str, values: Vec<String>| {
            let differs = values.iter().any(|value| *value != values[0]);
            let head = if differs { format!("{key} *") } else { key.to_owned() };
            params.push(std::iter::once(head).chain(values));
        };
        row("(name)", runs.iter().map(|run| run.name.clone()).collect());
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        row("(measured on)", runs.iter().map(|run| or_dash(measured_on(run))).collect());
        let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
        for key in keys {
            row(key, runs.iter().map(|run| or_dash(run.params.get(key).cloned())).collect());
        }
        let mut metrics = Table::new(
            [("metric", Align::Left)]
                .into_iter()
                .chain(heads.iter().map(|head| (*head, Align::Right))),
        );
        let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
        for key in keys {
            let values =
                runs.iter().map(|run| figure::metric_or_dash(run.metrics.get(key).copied()));
            metrics.push(std::iter::once(key.clone()).chain(values));
        }
        Ok(Output::new(&runs).table(params).text("* differs between the runs\n").table(metrics))
    }
}
