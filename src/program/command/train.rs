//! `train MODEL --data NAME`: one training as one run; `--deploy` goes on to gate and promotion.
//! `train --resume RUN` continues one that was interrupted.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    book::{
        CrossValidation, HeldOut, LearningCurveRequest, MadeDecision, Trained, VALIDATION_PREFIX,
        measured_on,
    },
    error::{Error, Result},
    figure::{count, counted, metric, seconds, short},
    gate::{Policy, Verdict},
    hint::{CommandLine, Hint},
    model::{Device, Fit, FitCandidate},
    output::{Align, Output, Table},
    registry::{ModelVersion, Run, Stage},
    store::write_atomically,
};

use super::{
    Session,
    gate::{gate_and_promote, policy},
    named::whole,
};

mod common;
mod learning_curve;
mod neural;
mod tfidf;

use self::common::Common;

/// A training, or the run to continue.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Train {
    /// Continue an interrupted training of a neural net from its last checkpoint
    #[arg(long, required = true, value_name = "RUN")]
    resume: Option<String>,
    /// With --resume: continue on this device, in place of the one that the run began on
    #[arg(long, requires = "resume", value_name = "DEVICE")]
    device: Option<Device>,
    #[command(subcommand)]
    model: Option<Model>,
}

/// One architecture a subcommand.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Model {
    /// TF-IDF and logistic regression: the baseline
    Tfidf(Box<tfidf::TrainTfidf>),
    /// The mean of word embeddings and two dense layers
    Avgnet(Box<neural::Avgnet>),
    /// Convolutions over word embeddings and the maximum over time
    Cnn(Box<neural::TrainCnn>),
    /// A bidirectional LSTM over word embeddings
    Lstm(Box<neural::TrainLstm>),
    /// A transformer encoder: fine-tunes a Hugging Face checkpoint of a DistilBERT or BERT
    Distilbert(Box<neural::Distilbert>),
}

impl Train {
    /// The architecture with its options, unless a run is to be continued.
    pub(super) fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match (&self.model, &self.resume) {
            (Some(model), _) => model.run(session),
            (None, Some(run)) => {
                Ok(answer(&session.book.resume_on(run, self.device, &session.monitor)?, None))
            }
            (None, None) => Err(Error::invalid("nothing to train: name a model or --resume a run")),
        }
    }
}

impl Model {
    fn run(&self, session: &Session) -> Result<Output> {
        let (common, candidate) = self.parts()?;
        common.run(session, candidate.fit())
    }

    /// The options of every architecture, and the training that all options together set.
    ///
    /// # Errors
    /// When what was said cannot be meant.
    pub(super) fn parts(&self) -> Result<(&Common, FitCandidate)> {
        fn neural(architecture: &dyn neural::NetArguments) -> Result<(&Common, FitCandidate)> {
            let (common, config) = architecture.parts()?;
            Ok((common, FitCandidate::Other(Box::new(config))))
        }
        match self {
            Self::Tfidf(tfidf) => {
                let (common, config) = tfidf.parts();
                Ok((common, FitCandidate::Tfidf(config)))
            }
            Self::Avgnet(avgnet) => neural(avgnet.as_ref()),
            Self::Cnn(cnn) => neural(cnn.as_ref()),
            Self::Lstm(lstm) => neural(lstm.as_ref()),
            Self::Distilbert(distilbert) => neural(distilbert.as_ref()),
        }
    }
}

impl Common {
    pub(super) fn run(&self, session: &Session, fit: &dyn Fit) -> Result<Output> {
        whole(&self.data)?;
        let policy = policy(session, self.min_f1)?;
        let request = self.request();
        if let Some(n_folds) = self.cv.filter(|n_folds| *n_folds < 2) {
            return Err(Error::invalid(format!("--cv {n_folds}: expected at least 2 folds"))
                .with_hint("--cv 5 is usual"));
        }
        if self.learning_curve {
            let asked = LearningCurveRequest {
                n_folds: self.cv.unwrap_or(5),
                ..LearningCurveRequest::new(&self.data)
            };
            let asked = LearningCurveRequest { train: request, ..asked };
            let (run, curve) = session.book.learning_curve(fit, &asked, &session.monitor)?;
            return Ok(learning_curve::answer(&run, &curve));
        }
        if let Some(n_folds) = self.cv {
            let (run, folds) =
                session.book.cross_validate(fit, &request, n_folds, &session.monitor)?;
            return Ok(cross_validated(&run, &folds));
        }
        let trained = session.book.train(fit, &request, &session.monitor)?;
        if let (Some(file), Some(version)) = (&self.version_file, &trained.version) {
            write_atomically(file, version.version.to_string().as_bytes())?;
        }
        let deployed = match &trained.version {
            Some(version) if self.deploy => {
                let deployed = deploy(session, version, &policy).map_err(|error| {
                    error.with_context(format!(
                        "run {} registered {}/{}, which is not deployed",
                        short(&trained.run.run_id),
                        version.model,
                        version.version
                    ))
                })?;
                Some(deployed)
            }
            _ => None,
        };
        Ok(answer(&trained, deployed))
    }
}

/// Gates a new version and promotes it if it passes: the verdict and the version as it now stands.
fn deploy(
    session: &Session,
    version: &ModelVersion,
    policy: &Policy,
) -> Result<(Verdict, ModelVersion)> {
    let (verdict, _) =
        gate_and_promote(session, &version.model, version.version, Stage::Production, policy)?;
    let version = session.book.tracker()?.version(&version.model, version.version)?;
    Ok((verdict, version))
}

/// The metrics that a training shows at once; `runs show` has all of them.
const HEADLINES: [&str; 8] =
    ["accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss", "ece"];

fn answer(trained: &Trained, deployed: Option<(Verdict, ModelVersion)>) -> Output {
    let prefix = if trained.held_out.is_some() { VALIDATION_PREFIX } else { "" };
    let metrics = trained.evaluation.metrics().into_iter();
    // By the names that they have with the run.
    let metrics: BTreeMap<String, f64> =
        metrics.map(|(key, value)| (format!("{prefix}{key}"), value)).collect();
    let timings = &trained.timings;
    let version = deployed.as_ref().map(|(_, version)| version).or(trained.version.as_ref());
    let json = json!({
        "run_id": trained.run.run_id,
        "run_name": trained.run.name,
        "status": trained.run.status,
        "model": version.map(|version| &version.model),
        "version": version.map(|version| version.version),
        "stage": version.map(|version| version.stage),
        "experiment": trained.experiment,
        "metrics": metrics,
        "measured_on": measured_on(&trained.run),
        "held_out": trained.held_out,
        "classifier": trained.model,
        "decision": trained.made.as_ref().map(MadeDecision::to_json),
        "timings": timings,
        "verdict": deployed.as_ref().map(|(verdict, _)| verdict),
    });
    let measured = if trained.held_out.is_some() { "validation rows" } else { "test split" };
    let mut table = Table::new([("metric", Align::Left), (measured, Align::Right)]);
    for key in HEADLINES {
        if let Some(value) = trained.evaluation.metric(key) {
            table.push([trained.evaluation.title(key), metric(value)]);
        }
    }
    let mut output = Output::new(json)
        .text(format!(
            "run {} ({}) of experiment {} finished in {}: read {}, fit {}, evaluate {}, save {}\n",
            trained.run.name,
            short(&trained.run.run_id),
            trained.experiment,
            seconds(timings.total_s),
            seconds(timings.read_s),
            seconds(timings.fit_s),
            seconds(timings.evaluate_s),
            seconds(timings.save_s)
        ))
        .table(table)
        .text("")
        .table(trained.evaluation.report());
    if let Some(HeldOut { validation_size, n_train, n_validation }) = trained.held_out {
        output = output.text(format!(
            "\n{} training rows were held out to choose by ({:.0} % of each class); the model learnt the \
             other {}",
            count(n_validation as u64),
            validation_size * 100.0,
            count(n_train as u64)
        ));
        if let Some(version) = &trained.version {
            output = output.text(format!(
                "{}/{} was measured on the test split for the gate, not to choose by",
                version.model, version.version
            ));
        }
    }
    if let Some(made) = &trained.made {
        output = output.text(format!("\n{}", made.lines().join("\n")));
    }
    let sizes = &trained.model["sizes"];
    if let Some(features) = sizes["n_features"].as_u64() {
        output = output.text(format!("\n{}", counted(features, "feature")));
    }
    if let Some(parameters) = sizes["n_parameters"].as_u64() {
        let fit = &trained.model["fit"];
        let said = |key: &str| fit[key].as_str().unwrap_or_default().to_owned();
        output = output.text(format!(
            "\n{} parameters, from {}, on {}; epoch {} of {} was best",
            count(parameters),
            said("initialized_from"),
            said("device"),
            fit["best_epoch"],
            fit["n_epochs"]
        ));
    }
    match (deployed, &trained.version) {
        (Some((verdict, version)), _) => {
            let blocked = !verdict.passed;
            output = output
                .text("")
                .text(verdict.evidence().to_text(None))
                .text(format!("\n{}/{}: {}", version.model, version.version, version.stage));
            if blocked { output.blocked() } else { output }
        }
        (None, Some(version)) => output.hint(
            Hint::from(format!("registered {}/{}; next: ", version.model, version.version))
                .run(CommandLine::new("gate").arg(&version.model).arg(version.version)),
        ),
        (None, None) => output,
    }
}

fn cross_validated(run: &Run, folds: &CrossValidation) -> Output {
    let mut table = Table::new([
        ("metric", Align::Left),
        ("mean", Align::Right),
        ("std", Align::Right),
        ("folds", Align::Left),
    ]);
    for (key, mean) in &folds.mean {
        let values: Vec<String> = folds
            .folds
            .iter()
            .filter_map(|fold| fold.get(key))
            .map(|value| metric(*value))
            .collect();
        let std = folds.std.get(key).copied().unwrap_or_default();
        table.push([key.clone(), metric(*mean), metric(std), values.join("  ")]);
    }
    let runs: Vec<_> =
        folds.runs.iter().map(|run| json!({"run_id": run.run_id, "run_name": run.name})).collect();
    Output::new(json!({
        "run_id": run.run_id,
        "run_name": run.name,
        "cross_validation": folds,
        "fold_runs": runs,
    }))
    .text(format!("run {} ({})\n", run.name, short(&run.run_id)))
    .table(table)
    .text(format!(
        "\nthe run has the means; {} runs are nested in it, {name}-fold-1 to {name}-fold-{}",
        folds.runs.len(),
        folds.runs.len(),
        name = run.name
    ))
}
