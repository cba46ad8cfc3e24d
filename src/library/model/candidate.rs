//! Settings that are compared with each other, fitted on the same rows. Texts are read and their terms
//! counted once for all settings and folds; a fold's matrix is made once for all settings that agree on
//! the vectoriser. It draws no folds and chooses nothing.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::{Fit, Fold, FoldRows, LogisticValidParams, Probabilities, TfidfConfig, fit_fold};
use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    progress::Monitor,
    text::{TermCounts, Vectorizer},
};

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

/// Fits candidates on the rows of a split. Of the baseline's, terms are counted once for all that cut
/// texts alike.
pub(crate) struct CandidateFits<'a> {
    candidates: &'a [FitCandidate],
    split: &'a Split,
    /// The counts that were needed last, and the settings of a vectoriser that cuts like this.
    counted: Mutex<Option<(Vectorizer, Arc<TermCounts>)>>,
}

/// Candidates that share their work.
pub(crate) enum CandidateGroup<'a> {
    /// The baseline's, which have one vectoriser, and its terms.
    Tfidf(Vec<&'a TfidfConfig>, Arc<TermCounts>),
    /// Another model's, which comes alone.
    Other(&'a (dyn Fit + Send + Sync)),
}

impl<'a> CandidateFits<'a> {
    pub(crate) fn new(candidates: &'a [FitCandidate], split: &'a Split) -> Self {
        Self { candidates, split, counted: Mutex::default() }
    }

    /// True if a candidate learns in a moment on one thread: the baseline's. A net wants all threads.
    pub(crate) fn are_light(&self) -> bool {
        self.candidates.iter().all(|candidate| matches!(candidate, FitCandidate::Tfidf(_)))
    }

    /// The candidates with these indices, all of which share their work.
    ///
    /// # Errors
    /// No candidate, texts without words, and an interrupt.
    pub(crate) fn group(
        &self,
        candidates: &[usize],
        monitor: &Monitor,
    ) -> Result<CandidateGroup<'a>> {
        let mut configs = Vec::new();
        for candidate in candidates {
            match &self.candidates[*candidate] {
                FitCandidate::Tfidf(config) => configs.push(config),
                FitCandidate::Other(fit) => return Ok(CandidateGroup::Other(fit.as_ref())),
            }
        }
        let Some(first) = configs.first() else {
            return Err(Error::new(ErrorKind::Internal, "a group has no candidate"));
        };
        let counts = self.counts(&first.vectorizer, monitor)?;
        Ok(CandidateGroup::Tfidf(configs, counts))
    }

    /// The counts of all terms that a candidate may learn whose texts are cut as `vectorizer` does.
    fn counts(&self, vectorizer: &Vectorizer, monitor: &Monitor) -> Result<Arc<TermCounts>> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, counts)) = counted.as_ref()
            && known.cuts_like(vectorizer)
        {
            return Ok(Arc::clone(counts));
        }
        // Not both at a time.
        *counted = None;
        let alike = || {
            self.candidates.iter().filter_map(|candidate| match candidate {
                FitCandidate::Tfidf(config) if config.vectorizer.cuts_like(vectorizer) => {
                    Some(&config.vectorizer)
                }
                _ => None,
            })
        };
        let max_words = alike().map(|one| one.ngram_max).max().unwrap_or(vectorizer.ngram_max);
        // A share of the rows that are learnt is at least that of none.
        let min_texts = alike().map(|one| one.min_df.of(0)).fold(f64::INFINITY, f64::min);
        // Steps of the vectoriser are no candidates.
        let quiet = Monitor { interrupt: monitor.interrupt.clone(), ..Monitor::silent() };
        let counts =
            TermCounts::new(&self.split.texts, vectorizer, max_words, min_texts.max(1.0), &quiet)?;
        let counts = Arc::new(counts);
        *counted = Some((vectorizer.clone(), Arc::clone(&counts)));
        Ok(counts)
    }

    /// Trains each of a group on the rows of the other folds, and lets it predict this one. Advances
    /// `monitor` by 1 for each.
    ///
    /// # Errors
    /// Those of training and predicting, and an interrupt.
    pub(crate) fn fit(
        &self,
        group: &CandidateGroup<'_>,
        rows: &FoldRows,
        monitor: &Monitor,
    ) -> Result<Vec<CandidateFold>> {
        match group {
            CandidateGroup::Tfidf(configs, counts) => {
                fit_on_one_matrix(configs, counts, self.split, rows, monitor)
            }
            CandidateGroup::Other(fit) => {
                let fold = fit_fold(*fit, self.split, rows, monitor, &mut |_, _, _| Ok(()))?;
                monitor.progress.advance(1);
                Ok(vec![CandidateFold { fold, n_features: None }])
            }
        }
    }
}

/// As [`CandidateFits::fit`], for settings of the baseline with one vectoriser.
fn fit_on_one_matrix(
    configs: &[&TfidfConfig],
    counts: &TermCounts,
    split: &Split,
    rows: &FoldRows,
    monitor: &Monitor,
) -> Result<Vec<CandidateFold>> {
    let Some(first) = configs.first() else { return Ok(Vec::new()) };
    let n_classes = split.classes.len();
    let labels =
        |rows: &[usize]| -> Vec<u32> { rows.iter().map(|row| split.labels[*row]).collect() };
    let params = configs
        .iter()
        .map(|config| config.logistic_params())
        .collect::<Result<Vec<LogisticValidParams>>>()?;
    let learnt_labels = labels(rows.others());
    let own_labels = labels(rows.own());
    let (matrix, own) = counts.weigh(&first.vectorizer, rows.others(), rows.own())?;
    let n_features = matrix.cols();
    let mut on_round = |_: usize, _: usize, _: f64, _: f64| monitor.interrupt.check();
    let params: Vec<&LogisticValidParams> = params.iter().collect();
    let fitted = LogisticValidParams::fit_rows_together(
        &params,
        &matrix,
        &learnt_labels,
        n_classes,
        &mut on_round,
    )?;
    let answers = fitted.par_iter().map(|(logistic, _)| {
        let probabilities = Probabilities::new(logistic.probabilities(&own), n_classes);
        monitor.progress.advance(1);
        let fold = Fold { rows: rows.own().to_vec(), labels: own_labels.clone(), probabilities };
        CandidateFold { fold, n_features: Some(n_features) }
    });
    Ok(answers.collect())
}
