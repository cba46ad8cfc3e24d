//! Classifiers: one trait to fit, one to predict, and how a model is saved and loaded. No front
//! end and no later stage asks which model it is.

mod calibration;
mod candidate;
mod cholesky;
mod class_weight;
mod cross_validate;
mod decision;
mod design;
mod device;
mod directions;
mod doubting;
mod dual;
mod explanation;
mod format;
mod header;
mod holdout;
mod isotonic;
mod linear_explainer;
mod load;
mod logistic;
mod loss;
mod memory_use;
#[cfg(feature = "neural")]
pub mod neural;
mod newton;
mod onnx;
pub mod prediction;
mod recipe;
mod sparse;
mod subspace;
mod tfidf;
mod tfidf_config;
mod tfidf_files;
mod tfidf_graph;
mod threshold;

pub use crate::confusion::{Averages, ConfusionMatrix};
pub use calibration::{Calibration, CalibrationMethod};
pub use candidate::FitCandidate;
pub(crate) use candidate::{CandidateFits, CandidateFold, CandidateGroup};
pub use class_weight::ClassWeight;
pub use cross_validate::{Fold, cross_validate};
pub(crate) use cross_validate::{FoldRows, fit_fold, fold_rows};
pub use decision::{Decision, DecisionRequest};
pub use device::{Device, RemoteAddress};
pub(crate) use doubting::held_out_probabilities;
pub use explanation::{
    Background, ClassTerms, Contribution, Explanation, Integration, IntegrationBaseline,
    StrongTerm, StrongTerms, WordWeight, excerpt,
};
pub(crate) use holdout::{Holdout, check_validation_size};
pub use load::{load, load_on};
pub use logistic::{FitReport, Logistic, LogisticParams, LogisticValidParams};
pub use memory_use::MemoryUse;
pub use recipe::from_recipe;
pub use sparse::SparseRows;
pub use tfidf::Tfidf;
pub use tfidf_config::TfidfConfig;
pub use threshold::{DEFAULT_THRESHOLD, Threshold, ThresholdRows, ThresholdRule, predicted_label};

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    progress::Monitor,
};

/// Something that can be trained.
pub trait Fit {
    /// The architecture's name, such as `tfidf`; the run's param `model`.
    fn name(&self) -> &'static str;

    /// Every hyperparameter by name, as it is logged with the run.
    fn params(&self) -> Vec<(String, String)>;

    /// Checks what can be told without data, so that nothing is begun in vain.
    ///
    /// # Errors
    /// The first setting that cannot work.
    fn check_settings(&self) -> Result<()> {
        Ok(())
    }

    /// Trains on `train`. Reports stages to `monitor` and metrics (key, value, step) to `log`.
    ///
    /// # Errors
    /// Unusable data or parameters, [`ErrorKind::Interrupted`] when asked to stop, and whatever
    /// `log` returns.
    fn fit(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
    ) -> Result<Box<dyn Classifier>>;

    /// Like [`Fit::fit`], and keeps in `folder` what a later process continues the training from;
    /// continues it when something is there already. Without states to keep it is the same.
    ///
    /// # Errors
    /// As [`Fit::fit`], and when the folder cannot be written or holds the state of something else.
    fn fit_resumable(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
        _folder: &Path,
    ) -> Result<Box<dyn Classifier>> {
        self.fit(train, monitor, log)
    }

    /// Like [`Fit::fit_resumable`] where there is a `folder`, with `validation` examples that are not
    /// learnt: a model that is trained epoch by epoch chooses the best one by them, and holds nothing
    /// of `train` out. Others have no use for them while they learn.
    ///
    /// # Errors
    /// As [`Fit::fit_resumable`].
    fn fit_validated(
        &self,
        train: &Split,
        _validation: &Split,
        monitor: &Monitor,
        log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
        folder: Option<&Path>,
    ) -> Result<Box<dyn Classifier>> {
        match folder {
            Some(folder) => self.fit_resumable(train, monitor, log, folder),
            None => self.fit(train, monitor, log),
        }
    }

    /// The share of each class that it holds out of `train` itself to choose by, and the seed that draws
    /// it, for one that is trained epoch by epoch.
    fn own_holdout(&self) -> Option<(f64, u64)> {
        None
    }

    /// The settings of which [`from_recipe`] makes the same training, for one that can be
    /// continued.
    fn recipe(&self) -> Option<Value> {
        None
    }
}

/// Every plain value with its key, those in `groups` among the others: names are unique without
/// those of the groups.
fn flatten(value: &Value, groups: &[&str], params: &mut Vec<(String, String)>) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        match value {
            Value::Object(_) if groups.contains(&key.as_str()) => flatten(value, groups, params),
            Value::String(text) => params.push((key.clone(), text.clone())),
            Value::Null => params.push((key.clone(), "none".to_owned())),
            _ => params.push((key.clone(), value.to_string())),
        }
    }
}

/// A trained model.
pub trait Classifier: Send + Sync {
    /// The architecture's name, such as `tfidf`.
    fn name(&self) -> &'static str;

    /// Class names in label order. With two classes, index 1 is the positive one.
    fn classes(&self) -> &[String];

    /// The decision by the probabilities: their calibration, and the one from which on the positive of
    /// two classes is predicted.
    fn decision(&self) -> &Decision {
        &decision::PLAIN
    }

    /// The same model with another decision.
    ///
    /// # Errors
    /// One that does not fit the classes, and a model that keeps none.
    fn with_decision(self: Box<Self>, _decision: Decision) -> Result<Box<dyn Classifier>> {
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("a {} keeps neither threshold nor calibration", self.name()),
        ))
    }

    /// The training that made the model, for one that is done again in seconds: so its answers to what it
    /// has learnt can be had from models that have not.
    fn training(&self) -> Option<Box<dyn Fit>> {
        None
    }

    /// Probabilities of every class for every text, calibrated.
    ///
    /// # Errors
    /// When the model cannot run on this input.
    fn predict(&self, texts: &[&str]) -> Result<Probabilities>;

    /// [`Classifier::predict`], with how much of each text the model knows, for one that can tell.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    fn answer(&self, texts: &[&str]) -> Result<Answers> {
        Ok(Answers { probabilities: self.predict(texts)?, known_shares: None })
    }

    /// The lengths of texts, for a model that reads only the first tokens of a long one; none for a
    /// model that reads every text to its end.
    ///
    /// # Errors
    /// When the model cannot read a text.
    fn count_tokens(&self, _texts: &[&str]) -> Result<Option<TokenCounts>> {
        Ok(None)
    }

    /// The place of each text among others as the model sees them, for a model that can tell; none for a text
    /// of fewer than [`MIN_EMBEDDED_TOKENS`] tokens, whose words could be told from it.
    ///
    /// # Errors
    /// When the model cannot read a text.
    fn embed(&self, _texts: &[&str]) -> Result<Option<Vec<Option<TextEmbedding>>>> {
        Ok(None)
    }

    /// For a model that many texts together cost less than one after the other, and each of them
    /// more than a thread that also talks to clients should spend: how many tokens it wants to be
    /// asked at once. More would gain nothing, and keep those waiting who could have been answered.
    fn batch_tokens(&self) -> Option<usize> {
        None
    }

    /// The memory of the loaded model, without that of a moment's answer; none for a model
    /// that cannot tell.
    fn memory_use(&self) -> Option<MemoryUse> {
        None
    }

    /// The reasons of the answer for `text`, its `n_terms` strongest terms; none for a model that
    /// cannot tell. With a `background` of the same model, what a term adds is counted from the mean of
    /// its texts.
    ///
    /// # Errors
    /// When the model cannot run on this input.
    fn explain(
        &self,
        _text: &str,
        _background: Option<&Background>,
        _n_terms: usize,
    ) -> Result<Option<Explanation>> {
        Ok(None)
    }

    /// True if an explanation costs about as much as an answer; false for one that costs a hundred
    /// times as much, which only texts that somebody looks at are worth.
    fn explains_at_once(&self) -> bool {
        true
    }

    /// The reason why this model's answers are not explained, where [`Classifier::explain`] has none.
    fn unexplained_because(&self) -> &'static str {
        "it is a model without reasons"
    }

    /// The same model with its weights in 8 bits, which takes a quarter of the memory and answers in a
    /// fraction of the time, nearly the same.
    ///
    /// # Errors
    /// A model of a kind that is not quantised, and one that is already.
    fn quantized(&self) -> Result<Box<dyn Classifier>> {
        Err(not_quantised(self.name()))
    }

    /// The mean of `texts` as the model sees them; none for a model that is explained without.
    ///
    /// # Errors
    /// When the model cannot run on this input.
    fn background(&self, _texts: &[&str]) -> Result<Option<Background>> {
        Ok(None)
    }

    /// The `n_terms` terms that speak most for each class, with how often they occurred in training;
    /// none for a model that cannot tell.
    fn strong_terms(&self, _n_terms: usize) -> Option<StrongTerms> {
        None
    }

    /// Writes the model's files into the existing folder `dir`.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    fn save(&self, dir: &Path) -> Result<()>;

    /// Writes the model in ONNX's format into the existing folder `dir`, with the files that whoever opens it
    /// needs beside it. Returns what to tell of it: what the format does not hold.
    ///
    /// # Errors
    /// A model of a kind that is not written as ONNX, and when the system refuses, with the path.
    fn save_onnx(&self, _dir: &Path) -> Result<Vec<String>> {
        Err(not_in_onnx(self.name()))
    }

    /// A description of the model for people and programs: sizes, features, hyperparameters.
    fn describe(&self) -> Value;
}

/// Numbers of a text's embedding.
pub const EMBEDDING_DIMS: usize = 32;
/// Tokens from which on a text has an embedding: as many unknowns as there are numbers.
pub const MIN_EMBEDDED_TOKENS: usize = EMBEDDING_DIMS;

/// The mean of a text's token embeddings, projected on random directions that are always the same.
pub type TextEmbedding = [f32; EMBEDDING_DIMS];

/// The refusal of a model of a kind that has no form in 8 bits.
fn not_quantised(name: &str) -> Error {
    Error::invalid(format!("{name} models are not quantised: only a distilbert computes in 8 bits"))
}

/// The refusal of a model of a kind that has no form in ONNX.
fn not_in_onnx(name: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{name} models are not written as ONNX: only a tfidf and a distilbert are"),
    )
}

/// A model's answers to texts, and the share of each that it knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Of every class for every text.
    pub probabilities: Probabilities,
    /// For each text the share of its tokens, from 0 to 1, that are in the model's vocabulary, of
    /// those that it reads; 0 where it knows nothing of the text, whose probabilities are then those
    /// of any such text. None for a model that cannot tell.
    pub known_shares: Option<Vec<f64>>,
}

/// The number of tokens of texts, beside the number of them that the model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens of each text before it is cut, those included that the model itself adds.
    pub n_tokens: Vec<usize>,
    /// Tokens that the model reads of a text.
    pub max_tokens: usize,
}

impl TokenCounts {
    /// True if the model reads only the beginning of the text with the index `text_idx`.
    pub fn is_cut(&self, text_idx: usize) -> bool {
        self.n_tokens[text_idx] > self.max_tokens
    }
}

/// A row of class probabilities for each text.
///
/// # Shapes
/// `[n_texts, n_classes]`, row-major; every row sums to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    values: Vec<f64>,
    n_classes: usize,
}

impl Probabilities {
    /// Wraps row-major `values`.
    ///
    /// # Panics
    /// If `n_classes` is 0 or does not divide the number of values.
    pub fn new(values: Vec<f64>, n_classes: usize) -> Self {
        assert!(n_classes > 0 && values.len().is_multiple_of(n_classes), "rows must be whole");
        Self { values, n_classes }
    }

    /// Number of texts.
    pub fn n_texts(&self) -> usize {
        self.values.len() / self.n_classes
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One row of class probabilities a text.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.n_classes)
    }
}

/// A saved model's files: the name inside the model folder and where the bytes lie.
#[derive(Debug, Clone, Default)]
pub struct ModelFiles {
    files: BTreeMap<String, PathBuf>,
    /// The locks of those that may be removed once nobody reads them.
    _locks: Vec<Arc<File>>,
}

impl ModelFiles {
    /// Files by their names.
    pub fn new(files: BTreeMap<String, PathBuf>) -> Self {
        Self { files, _locks: Vec::new() }
    }

    /// The same files, with the locks that keep them while this is there.
    #[must_use]
    pub(crate) fn kept_by(self, locks: Vec<Arc<File>>) -> Self {
        Self { _locks: locks, ..self }
    }

    /// All files directly in `dir`, and what links there lead to: Hugging Face's cache is made of
    /// them.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        let fail = |source| Error::io("read the model folder", dir, source);
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if entry.path().is_file() {
                files.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
            }
        }
        Ok(Self::new(files))
    }

    /// The path of the file called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are.
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| {
            let found: Vec<&str> = self.files.keys().map(String::as_str).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("model file {name:?} is missing: found {}", found.join(", ")),
            )
        })
    }

    /// Every file, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.files.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }
}
