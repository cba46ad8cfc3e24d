//! The options of every `train`.

use std::path::PathBuf;

use clap::{Args, builder::NonEmptyStringValueParser};
use trialbook::{
    book::TrainRequest,
    gate::Policy,
    model::{CalibrationMethod, DecisionRequest, ThresholdRule},
};

/// The options of every architecture.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The dataset: the model is trained on its train split and measured on its test split
    #[arg(long, value_name = "NAME")]
    pub(super) data: String,
    /// The registered model that gets a new version [default: SentimentClassifier for the classes
    /// negative and positive, otherwise the dataset's name]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) model: Option<String>,
    /// Keep the run but register no version
    #[arg(long, conflicts_with = "deploy")]
    pub(super) no_register: bool,
    /// Also write the new version's number into this file, for scripts and pipelines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_register", "cv"])]
    pub(super) version_file: Option<PathBuf>,
    /// The experiment the run belongs to [default: sentiment-analysis for the classes negative and
    /// positive, otherwise the dataset's name]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) experiment: Option<String>,
    /// The run's name
    #[arg(long, value_name = "NAME")]
    pub(super) run_name: Option<String>,
    /// A tag of the run; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) tags: Vec<(String, String)>,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    pub(super) seed: u64,
    /// Measure by K-fold cross-validation on the train split, and register no model. The run's
    /// metrics are the means over the folds, std_f1 is the standard deviation of F1, and each fold
    /// is a run nested in it
    #[arg(long, value_name = "K", allow_negative_numbers = true, conflicts_with = "deploy")]
    pub(super) cv: Option<usize>,
    /// Hold out this share of each class of the train split, to choose settings. The model is
    /// trained on the rest, and the run's metrics (validation_f1 and so on) are measured on the
    /// held-out part. The test split is not used: it is for the gate and for evaluate. Nets choose
    /// their best epoch on the held-out part [default: nothing is held out, and the run's metrics
    /// are measured on the test split; nets hold out 0.1, only to choose their best epoch]
    #[arg(
        long,
        alias = "validation",
        value_name = "SHARE",
        allow_negative_numbers = true,
        conflicts_with = "cv"
    )]
    pub(super) validation_size: Option<f64>,
    /// Measure how much more training data would bring: train on 1/16, 1/8, 1/4, 1/2 and all of the
    /// rows that can be learnt, extrapolate F1 to twice the train split, and register no model. Each
    /// share is measured by cross-validation (--cv K, 5 folds unless said) or, with
    /// --validation-size, on rows that are held out, five times other ones
    #[arg(
        long,
        conflicts_with_all = ["deploy", "version_file", "threshold", "calibrate"]
    )]
    pub(super) learning_curve: bool,
    /// Of two classes: the probability from which on the positive one is predicted. best-f1,
    /// precision=P, recall=R and cost=FP:FN choose it on rows that the model has not learnt: those
    /// that are held out (--validation-size; nets hold out 0.1), for tfidf without them 5 folds of
    /// the train split [default: 0.5]
    #[arg(
        long,
        value_name = "RULE|PROBABILITY",
        allow_negative_numbers = true,
        conflicts_with = "cv"
    )]
    pub(super) threshold: Option<ThresholdRule>,
    /// Calibrate the probabilities on the same rows: temperature for any number of classes, isotonic
    /// for two
    #[arg(long, value_name = "temperature|isotonic", conflicts_with = "cv")]
    pub(super) calibrate: Option<CalibrationMethod>,
    /// Then gate the version, and promote it to Production if it passes
    #[arg(long)]
    pub(super) deploy: bool,
    /// With --deploy: the lowest F1 that passes while there is no Production version
    #[arg(long = "min", value_name = "F1", allow_negative_numbers = true, default_value_t = Policy::default().min_f1)]
    pub(super) min_f1: f64,
}

impl Common {
    /// The same with one more tag of the run.
    #[must_use]
    pub(crate) fn with_tag(&self, key: &str, value: &str) -> Self {
        let mut common = self.clone();
        common.tags.push((key.to_owned(), value.to_owned()));
        common
    }

    pub(crate) fn request(&self) -> TrainRequest {
        TrainRequest {
            dataset: self.data.clone(),
            experiment: self.experiment.clone().unwrap_or_default(),
            model: (!self.no_register && self.cv.is_none() && !self.learning_curve)
                .then(|| self.model.clone().unwrap_or_default()),
            run_name: self.run_name.clone(),
            tags: self.tags.iter().cloned().collect(),
            seed: self.seed,
            validation_size: self.validation_size,
            decision: DecisionRequest { calibrate: self.calibrate, threshold: self.threshold },
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
