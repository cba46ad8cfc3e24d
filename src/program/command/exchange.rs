//! `import mlflow PATH|URI` and `export mlflow DIR|URI`: a tracking store of MLflow's taken over, and the
//! way back.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trialbook::{
    error::Result,
    exchange::{self, ExchangeCounts, ExchangeReport, ImportOptions, StorePlace},
    figure::counted,
    hint::Hint,
    output::{Align, Output, Table},
};

use super::Session;

/// Rows of the report that are shown; all of them are in the JSON.
const N_SHOWN: usize = 50;

/// The kinds of stores that can be taken over.
#[derive(Debug, Clone, Subcommand)]
pub enum ImportStore {
    /// Take over an mlruns folder, an mlflow.db or a running server; what is here already stays as it is
    Mlflow(ImportMlflow),
}

/// The kinds of stores that can be written.
#[derive(Debug, Clone, Subcommand)]
pub enum ExportStore {
    /// Write an mlruns folder or into a running server; what is there already stays as it is
    Mlflow(ExportMlflow),
}

/// `import mlflow mlruns`
#[derive(Debug, Clone, Args)]
pub struct ImportMlflow {
    /// A folder mlruns, a file mlflow.db (read only), or a server's address, http://HOST:PORT
    #[arg(value_name = "PATH|URI")]
    place: String,
    /// The folder of a server's artifacts, for an mlflow.db whose runs keep theirs at
    /// mlflow-artifacts:/ [default: mlartifacts beside it]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// `export mlflow mlruns`
#[derive(Debug, Clone, Args)]
pub struct ExportMlflow {
    /// A folder, new, empty or an mlruns, or a server's address, http://HOST:PORT
    #[arg(value_name = "DIR|URI")]
    place: String,
}

impl ImportStore {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let Self::Mlflow(ImportMlflow { place, artifacts }) = self;
        let place = StorePlace::parse(place)?;
        place.check()?;
        let options = ImportOptions { artifacts: artifacts.clone() };
        // It may be the first thing that a store holds.
        let store = session.book.store();
        store.make_dir(store.root())?;
        let registry = session.book.registry()?;
        Ok(said("took over", &exchange::import(registry, &place, &options, &session.monitor)?))
    }
}

impl ExportStore {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let Self::Mlflow(ExportMlflow { place }) = self;
        let place = StorePlace::parse(place)?;
        let registry = session.book.registry()?;
        let report = exchange::export(registry, &place, &session.monitor)?;
        let output = said("wrote", &report);
        Ok(match place {
            StorePlace::Folder(_) => output.hint(
                Hint::from("MLflow 3 opens it with MLFLOW_ALLOW_FILE_STORE=true, and ")
                    .say("`mlflow migrate-filestore` makes a database of it"),
            ),
            _ => output,
        })
    }
}

fn said(verb: &str, report: &ExchangeReport) -> Output {
    let counts = |counts: &ExchangeCounts| {
        let named = [
            (counts.n_experiments, "experiment"),
            (counts.n_runs, "run"),
            (counts.n_metrics, "metric value"),
            (counts.n_artifacts, "artifact"),
            (counts.n_logged_models, "logged model"),
            (counts.n_models, "registered model"),
            (counts.n_versions, "version"),
        ];
        let there = named.iter().filter(|(n, _)| *n > 0);
        let there: Vec<String> = there.map(|(n, one)| counted(*n, one)).collect();
        if there.is_empty() { "nothing".to_owned() } else { there.join(", ") }
    };
    let mut text =
        format!("{verb} {} from {} to {}", counts(&report.moved), report.from, report.to);
    if report.present != ExchangeCounts::default() {
        text.push_str(&format!("; there already: {}", counts(&report.present)));
    }
    let output = Output::new(report).text(text);
    if report.left_out.is_empty() {
        return output;
    }
    let title = match report.left_out.len() {
        n if n > N_SHOWN => format!("left out, the first {N_SHOWN} of {n}"),
        _ => "left out".to_owned(),
    };
    let mut table = Table::new([("what", Align::Left), ("why", Align::Left)]).with_title(title);
    for left in report.left_out.iter().take(N_SHOWN) {
        table.push([left.what.as_str(), left.why.as_str()]);
    }
    output.table(table)
}
