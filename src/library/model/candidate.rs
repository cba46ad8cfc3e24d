//! Settings that are compared with each other, fitted on the same rows. The baseline's vectoriser is
//! fitted once for all settings that agree on it: that is most of the work of a grid. It draws no
//! folds and chooses nothing.

use linfa::ParamGuard;
use rayon::prelude::*;

use super::{
    Fit, Fold, FoldRows, Logistic, LogisticParams, LogisticValidParams, Probabilities, TfidfConfig,
    fit_fold,
};
use crate::{data::Split, error::Result, progress::Monitor, text::TermMatrix};

/// One setting among those that are compared.
pub enum FitCandidate {
    /// The baseline's.
    Tfidf(TfidfConfig),
    /// Another model's.
    Other(Box<dyn Fit + Send + Sync>),
}

impl FitCandidate {
    /// The training that it sets.
    pub fn fit(&self) -> &dyn Fit {
        match self {
            Self::Tfidf(config) => config,
            Self::Other(fit) => fit.as_ref(),
        }
    }

    /// True if both learn from the same matrix of terms.
    pub(crate) fn shares_work(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tfidf(one), Self::Tfidf(other)) => one.vectorizer == other.vectorizer,
            _ => false,
        }
    }
}

/// A candidate's answers to the rows of one fold.
pub(crate) struct CandidateFold {
    /// The answers.
    pub(crate) fold: Fold,
    /// The terms that it learnt; none for a net.
    pub(crate) n_features: Option<usize>,
}

/// Trains each of `candidates`, all of which share their work, on the rows of the other folds, and lets
/// it predict this one. Advances `monitor` by 1 for each.
///
/// # Errors
/// Those of training and predicting, and an interrupt.
pub(crate) fn fit_together(
    candidates: &[&FitCandidate],
    split: &Split,
    rows: &FoldRows,
    monitor: &Monitor,
) -> Result<Vec<CandidateFold>> {
    let mut configs = Vec::new();
    for candidate in candidates {
        match candidate {
            FitCandidate::Tfidf(config) => configs.push(config),
            FitCandidate::Other(fit) => {
                // What shares its work with nothing comes alone.
                let fold = fit_fold(fit.as_ref(), split, rows, monitor, &mut |_, _, _| Ok(()))?;
                monitor.progress.advance(1);
                return Ok(vec![CandidateFold { fold, n_features: None }]);
            }
        }
    }
    fit_on_one_matrix(&configs, split, rows, monitor)
}

/// As [`fit_together`], for settings of the baseline with one vectoriser.
fn fit_on_one_matrix(
    configs: &[&TfidfConfig],
    split: &Split,
    rows: &FoldRows,
    monitor: &Monitor,
) -> Result<Vec<CandidateFold>> {
    let Some(first) = configs.first() else { return Ok(Vec::new()) };
    let n_classes = split.classes.len();
    let texts = |rows: &[usize]| -> Vec<&str> {
        rows.iter().map(|row| split.texts[*row].as_str()).collect()
    };
    let labels =
        |rows: &[usize]| -> Vec<u32> { rows.iter().map(|row| split.labels[*row]).collect() };
    let params = configs
        .iter()
        .map(|config| {
            LogisticParams::default()
                .c(config.c)
                .class_weight(config.class_weight.clone())
                .max_iter(config.max_iter)
                .tolerance(config.tol)
                .check()
        })
        .collect::<Result<Vec<LogisticValidParams>>>()?;
    let learnt_labels = labels(rows.others());
    let own_labels = labels(rows.own());
    // Steps of the vectoriser are no candidates.
    let quiet = Monitor { interrupt: monitor.interrupt.clone(), ..Monitor::silent() };
    let (vectorizer, matrix) = first.vectorizer.fit_transform(&texts(rows.others()), &quiet)?;
    let own: TermMatrix = vectorizer.transform(&texts(rows.own()));
    let n_features = matrix.cols();
    let fit = |params: &LogisticValidParams| -> Result<CandidateFold> {
        let (logistic, _): (Logistic, _) =
            params.fit_rows(&matrix, &learnt_labels, n_classes, &mut |_, _, _| {
                monitor.interrupt.check()
            })?;
        let probabilities = Probabilities::new(logistic.probabilities(&own), n_classes);
        monitor.progress.advance(1);
        let fold = Fold { rows: rows.own().to_vec(), labels: own_labels.clone(), probabilities };
        Ok(CandidateFold { fold, n_features: Some(n_features) })
    };
    params.par_iter().map(fit).collect()
}
