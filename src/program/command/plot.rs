//! `plot`: datasets, answers of SQL and runs as pictures.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, ValueEnum};
use polars::prelude::col;
use serde::de::DeserializeOwned;
use serde_json::json;
use trialbook::{
    book::{CURVE_ARTIFACT, listed_metric, measured_on},
    error::{Error, ErrorKind, Result},
    evaluate::{
        CalibrationCurve, ConfusionMatrix, LearningCurve, PrecisionRecallCurve, RocCurve,
        calibration_plot, confusion_plot, learning_curve_plot, precision_recall_plot, roc_plot,
    },
    figure::short,
    output::{self, Output},
    plot::{Chart, Plotter, Series, plot},
    registry::{Run, Tracker},
};

use super::{Session, named::SplitFlag};

const EXAMPLES: &str = "\
Examples:
  plot imdb.train words              how long the reviews are (chars: in characters)
  plot imdb.train label              how many reviews each label has
  plot imdb.train words --by label   how long the reviews of each label are
  plot sql \"select label, count(*) as n from imdb group by label\" --kind bar
  plot run RUN loss f1               metrics over the steps of a run
  plot roc RUN                       curves kept with a run: roc, pr, calibration, confusion, learning-curve
  plot compare RUN RUN               metrics of runs side by side";

/// `plot imdb.train words`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Plot {
    /// A dataset or split such as imdb.train, or sql, run, roc, pr, calibration, confusion, learning-curve, compare
    subject: String,
    /// Columns of the dataset; the query; the run and its metrics; the runs
    #[arg(value_name = "OF")]
    of: Vec<String>,
    /// The form of the columns' chart; without it their types decide
    #[arg(long, value_enum)]
    kind: Option<ChartKind>,
    /// Draw each value of this column apart, at most the 6 most frequent ones
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
    /// A metric to compare; repeat it for more
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
    /// Also write the picture into a file: .svg, .png or .html
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// The form of the columns' chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChartKind {
    /// A histogram of one column
    Hist,
    /// Bars: the first column has their names, the others their heights; of one column, how often
    /// each value occurs
    Bar,
    /// Lines over the first column
    Line,
    /// A point for each row of two columns
    Scatter,
}

/// The metrics of runs that are compared unless others are named.
const COMPARED: [&str; 6] = ["accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"];

/// The metric whose numbers are of another size than those of losses and scores.
const LEARNING_RATE: &str = "learning_rate";

impl Plot {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let is_of_runs =
            ["run", "compare", "roc", "pr", "calibration", "confusion", "learning-curve"]
                .contains(&self.subject.as_str());
        if let (Some(by), true) = (&self.by, is_of_runs) {
            return Err(Error::invalid(format!(
                "--by {by} does not go with `plot {}`",
                self.subject
            ))
            .with_hint("it groups rows of a dataset or of an answer of sql"));
        }
        let picture = match self.subject.as_str() {
            "sql" => self.sql(session)?.draw(),
            "run" => self.metrics(session.book.tracker()?)?.draw(),
            "compare" => self.compare(session.book.tracker()?)?.draw(),
            "roc" | "pr" | "calibration" | "confusion" | "learning-curve" => {
                self.evaluation(session.book.tracker()?)?
            }
            dataset => self.columns(session, &self.split.join(dataset)?)?.draw(),
        };
        if let Some(path) = &self.save {
            picture.save(path)?;
        }
        let output = Output::new(json!({
            "title": picture.title,
            "vega_lite": picture.vega_lite,
            "saved": self.save,
        }));
        let output = output.plot(picture);
        Ok(match &self.save {
            Some(path) => output.text(format!("saved {}", path.display())),
            None => output,
        })
    }

    fn columns(&self, session: &Session, dataset: &str) -> Result<Chart> {
        let frame = session.book.datasets().frame(dataset).map_err(|error| {
            // A mistyped subject looks like a dataset that is not there.
            match error.kind() {
                ErrorKind::NotFound => error
                    .with_hint("name a dataset (`data list` shows them), or one of sql, run, roc, pr, calibration, confusion, learning-curve, compare"),
                _ => error,
            }
        })?;
        let read = |frame: polars::prelude::LazyFrame| {
            frame.collect().map_err(|source| {
                Error::new(ErrorKind::Io, format!("cannot read {dataset}")).with_source(source)
            })
        };
        // Only what is drawn is read: texts are most of a dataset.
        let known = read(frame.clone().limit(0))?;
        let stored = |name: &String| match (known.column(name).is_ok(), name.as_str()) {
            (false, "words" | "chars") => "text".to_owned(),
            _ => name.clone(),
        };
        let mut names: Vec<String> = self.of.iter().chain(&self.by).map(stored).collect();
        names.sort();
        names.dedup();
        let columns: Vec<&str> = self.of.iter().map(String::as_str).collect();
        if columns.is_empty() || names.iter().any(|name| known.column(name).is_err()) {
            // The empty frame knows its columns, which is all that the complaint needs.
            return self.chart(&known, &columns);
        }
        let frame = read(frame.select(names.iter().map(col).collect::<Vec<_>>()))?;
        let chart = self.chart(&frame, &columns)?;
        let title = format!("{dataset}: {}", chart.name());
        Ok(chart.title(title))
    }

    fn sql(&self, session: &Session) -> Result<Chart> {
        let [query] = &self.of[..] else {
            return Err(Error::invalid(format!("{} words after sql", self.of.len()))
                .with_hint("give one query, in quotes"));
        };
        let frame = session.book.sql(query)?;
        let columns: Vec<&str> =
            frame.columns().iter().map(|column| column.name().as_str()).collect();
        let columns: Vec<&str> =
            columns.into_iter().filter(|name| self.by.as_deref() != Some(name)).collect();
        self.chart(&frame, &columns)
    }

    fn chart(&self, frame: &polars::prelude::DataFrame, columns: &[&str]) -> Result<Chart> {
        let plotter = match &self.by {
            Some(by) => plot(frame).by(by),
            None => plot(frame),
        };
        chart(plotter, columns, self.kind)
    }

    /// Metrics of one run over its steps.
    fn metrics(&self, registry: &dyn Tracker) -> Result<Chart> {
        let [reference, keys @ ..] = &self.of[..] else {
            return Err(Error::invalid("no run to plot")
                .with_hint("name a run, then its metrics: `plot run RUN loss`"));
        };
        let run = registry.run(reference)?;
        let mut histories: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for point in registry.histories(&run.run_id)? {
            histories.entry(point.key).or_default().push((point.step as f64, point.value));
        }
        let known = || histories.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let drawn: Vec<&String> = match keys {
            [] => histories
                .iter()
                .filter(|(_, points)| points.len() > 1)
                .map(|(key, _)| key)
                .collect(),
            keys => keys.iter().collect(),
        };
        if drawn.is_empty() {
            return Err(Error::invalid(format!(
                "run {} has no metric with several steps",
                run.name
            ))
            .with_hint(format!("name metrics with a single value: there are {}", known())));
        }
        let mut lines = Vec::with_capacity(drawn.len());
        for key in drawn {
            let Some(points) = histories.get(key) else {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("run {} has no metric {key:?}", run.name),
                )
                .with_hint(format!("there are {}", known())));
            };
            lines.push(Series::new(key, points.clone()));
        }
        let y_name = match &lines[..] {
            [only] => only.name.clone(),
            _ => "value".to_owned(),
        };
        Ok(Chart::lines(lines)
            .with_whole_x()
            .axes("step", y_name)
            .with_right_axis(|key| key == LEARNING_RATE)
            .title(format!("Run {} ({})", run.name, short(&run.run_id))))
    }

    /// A picture of what was kept of a run's evaluation.
    fn evaluation(&self, registry: &dyn Tracker) -> Result<output::Plot> {
        let [reference] = &self.of[..] else {
            return Err(Error::invalid(format!(
                "{} runs for a {} plot: expected one",
                self.of.len(),
                self.subject
            ))
            .with_hint(format!("`plot {} RUN`; `runs list` shows runs", self.subject)));
        };
        let run = registry.run(reference)?;
        let undefined = || {
            Error::invalid(format!("the curve of run {} is undefined", run.name))
                .with_hint("it needs examples of every class in the test split")
        };
        match self.subject.as_str() {
            "roc" => {
                let curves: Vec<RocCurve> = kept(registry, &run, "roc_curve.json")?;
                roc_plot(&curves).ok_or_else(undefined).map(|chart| chart.draw())
            }
            "pr" => {
                let curves: Vec<PrecisionRecallCurve> =
                    kept(registry, &run, "precision_recall_curve.json")?;
                precision_recall_plot(&curves).ok_or_else(undefined).map(|chart| chart.draw())
            }
            "calibration" => {
                let curve: CalibrationCurve = kept(registry, &run, "calibration_curve.json")?;
                let confusion: ConfusionMatrix = kept(registry, &run, "confusion_matrix.json")?;
                let positive = confusion.classes().get(1).map_or("", String::as_str);
                let ece = listed_metric(&run, "ece").unwrap_or(f64::NAN);
                Ok(calibration_plot(&curve, positive, ece).draw())
            }
            "learning-curve" => {
                let curve: LearningCurve = kept(registry, &run, CURVE_ARTIFACT)?;
                Ok(learning_curve_plot(&curve).draw())
            }
            _ => {
                let confusion = kept(registry, &run, "confusion_matrix.json")?;
                Ok(confusion_plot(&confusion))
            }
        }
    }

    /// Metrics of several runs side by side.
    fn compare(&self, registry: &dyn Tracker) -> Result<Chart> {
        if self.of.len() < 2 {
            return Err(Error::invalid(format!("{} runs to compare", self.of.len()))
                .with_hint("name two or more: `plot compare RUN RUN`"));
        }
        let runs = self.of.iter().map(|run| registry.run(run)).collect::<Result<Vec<Run>>>()?;
        let has = |key: &str| runs.iter().any(|run| listed_metric(run, key).is_some());
        let keys: Vec<&str> = match &self.metric[..] {
            [] => COMPARED.into_iter().filter(|key| has(key)).collect(),
            asked => asked.iter().map(String::as_str).collect(),
        };
        if let Some(unknown) = keys.iter().find(|key| !has(key)) {
            let mut known: Vec<&str> =
                runs.iter().flat_map(|run| run.metrics.keys()).map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("none of the runs has a metric {unknown:?}"),
            )
            .with_hint(format!("there are {}", known.join(", "))));
        }
        let is_unique = |name: &str| runs.iter().filter(|run| run.name == name).count() == 1;
        let mut grounds: Vec<Option<String>> = runs.iter().map(measured_on).collect();
        grounds.dedup();
        // Runs that were not measured on the same rows must not look as if they had been.
        let is_mixed = grounds.len() > 1;
        let axis = match grounds.swap_remove(0) {
            _ if is_mixed => "value".to_owned(),
            Some(ground) if ground == "test" => "value on the test split".to_owned(),
            Some(ground) => format!("value on {ground}"),
            None => "value".to_owned(),
        };
        let series = runs.iter().map(|run| {
            let name = match is_unique(&run.name) {
                true => run.name.clone(),
                false => format!("{} ({})", run.name, short(&run.run_id)),
            };
            // A fold's own name says which it is.
            let ground = measured_on(run).filter(|_| is_mixed && !run.params.contains_key("fold"));
            let name = match ground {
                Some(ground) => format!("{name}, {ground}"),
                _ => name,
            };
            let value = |key: &&str| listed_metric(run, key).unwrap_or(f64::NAN);
            (name, keys.iter().map(value).collect())
        });
        let names = keys.iter().map(|key| (*key).to_owned()).collect();
        Ok(Chart::bars(names, series.collect())
            .axes("metric", axis)
            .title(format!("{} runs compared", runs.len())))
    }
}

/// The chart of `columns`: as asked for, or as what they hold suggests.
fn chart(plotter: Plotter<'_>, columns: &[&str], kind: Option<ChartKind>) -> Result<Chart> {
    let [first, others @ ..] = columns else {
        // Asking for nothing names what there is.
        return plotter.hist("").map_err(|error| {
            let hint = error.hint().cloned().unwrap_or_default();
            Error::invalid("no column to plot").with_hint(hint)
        });
    };
    let kind = match (kind, others, plotter.is_numeric(first)?) {
        (Some(kind), _, _) => kind,
        (None, [], true) => ChartKind::Hist,
        (None, [_], true) => ChartKind::Scatter,
        (None, _, true) => ChartKind::Line,
        (None, _, false) => ChartKind::Bar,
    };
    match (kind, others) {
        (ChartKind::Hist, []) => plotter.hist(first),
        (ChartKind::Bar, []) => plotter.count(first),
        (ChartKind::Bar, heights) => plotter.bars(first, heights),
        (ChartKind::Line, ys) => plotter.lines(first, ys),
        (ChartKind::Scatter, [y]) => plotter.scatter(first, y),
        (ChartKind::Hist, _) => {
            Err(Error::invalid(format!("a histogram of {} columns: expected one", columns.len()))
                .with_hint("name one column, or choose --kind scatter, line or bar"))
        }
        (ChartKind::Scatter, _) => Err(Error::invalid(format!(
            "a scatter plot of {} columns: expected two",
            columns.len()
        ))
        .with_hint("name two columns, or choose --kind line")),
    }
}

/// The artifact that the run keeps under `name`, read from JSON.
fn kept<T: DeserializeOwned>(registry: &dyn Tracker, run: &Run, name: &str) -> Result<T> {
    let artifacts = registry.artifacts(&run.run_id)?;
    let is_it = |path: &str| path.rsplit('/').next() == Some(name);
    let Some(artifact) = artifacts.iter().find(|artifact| is_it(&artifact.path)) else {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("run {} keeps no {name}", run.name),
        )
        .with_hint("runs that trained and measured a model keep one; a curve needs every class in the test split"));
    };
    serde_json::from_slice(&registry.read_artifact(&run.run_id, artifact)?).map_err(|source| {
        Error::invalid(format!(
            "run {}: {} is not what a curve looks like",
            run.name, artifact.path
        ))
        .with_source(source)
    })
}
