//! Measuring settings on folds: several folds side by side, each on its share of the threads. It keeps
//! nothing and ranks nothing.

use std::{collections::BTreeMap, panic, thread};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::runs::FoldOutcomes;
use crate::{
    data::Split,
    error::{Error, Result},
    evaluate::evaluate,
    model::{CandidateFits, CandidateFold, CandidateGroup, FitCandidate, FoldRows},
    progress::Monitor,
};

/// Folds side by side, at most: each has a matrix of its own.
const MAX_SIDE_BY_SIDE: usize = 4;

/// What settings are measured with.
pub(super) struct Measure<'a> {
    fits: CandidateFits<'a>,
    train: &'a Split,
    /// The metric that has to be there.
    metric: &'a str,
    /// The threads. None: all there are.
    pool: Option<&'a ThreadPool>,
    monitor: &'a Monitor,
}

/// One setting's metrics in a fold, and its terms.
type FoldMetrics = (BTreeMap<String, f64>, Option<usize>);

/// A pool of so many threads.
///
/// # Errors
/// The system gives no more threads.
pub(super) fn pool(n_threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(n_threads.max(1)).build().map_err(|source| {
        Error::invalid(format!("{n_threads} threads cannot be started")).with_source(source)
    })
}

impl<'a> Measure<'a> {
    pub(super) fn new(
        candidates: &'a [FitCandidate],
        train: &'a Split,
        metric: &'a str,
        pool: Option<&'a ThreadPool>,
        monitor: &'a Monitor,
    ) -> Self {
        Self { fits: CandidateFits::new(candidates, train), train, metric, pool, monitor }
    }

    /// The metrics of each setting of `group` in each fold, and its terms; none where `must_stop` said
    /// so before the last fold was begun.
    ///
    /// # Errors
    /// Those of training, a metric that is not measured, and an interrupt.
    pub(super) fn group(
        &self,
        group: &[usize],
        folds: &[FoldRows],
        must_stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Vec<FoldOutcomes>>> {
        let mut outcomes: Vec<FoldOutcomes> =
            group.iter().map(|_| FoldOutcomes::default()).collect();
        let group = self.in_pool(|| self.fits.group(group, self.monitor))?;
        let n_side_by_side = match group {
            CandidateGroup::Tfidf(..) => self.n_threads().min(MAX_SIDE_BY_SIDE),
            CandidateGroup::Other(_) => 1,
        };
        for (wave_idx, folds) in folds.chunks(n_side_by_side).enumerate() {
            self.monitor.interrupt.check()?;
            if wave_idx > 0 && must_stop() {
                return Ok(None);
            }
            for answers in self.wave(&group, folds)? {
                for (outcome, (metrics, n_features)) in outcomes.iter_mut().zip(answers) {
                    outcome.folds.push(metrics);
                    outcome.n_features.extend(n_features.map(|n_features| n_features as f64));
                }
            }
        }
        Ok(Some(outcomes))
    }

    /// What comes of each of `folds`, all of them at a time.
    fn wave(
        &self,
        group: &CandidateGroup<'_>,
        folds: &[FoldRows],
    ) -> Result<Vec<Vec<FoldMetrics>>> {
        if let [rows] = folds {
            return Ok(vec![self.in_pool(|| self.fold(group, rows))?]);
        }
        let n_threads = self.n_threads();
        // Searches wait for their threads after every product: fewer threads each wait less.
        let pools = (0..folds.len())
            .map(|idx| pool((n_threads + idx) / folds.len()))
            .collect::<Result<Vec<ThreadPool>>>()?;
        thread::scope(|scope| {
            let threads: Vec<_> = folds
                .iter()
                .zip(&pools)
                .map(|(rows, pool)| scope.spawn(move || pool.install(|| self.fold(group, rows))))
                .collect();
            let answers = threads.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
            });
            answers.collect()
        })
    }

    fn fold(&self, group: &CandidateGroup<'_>, rows: &FoldRows) -> Result<Vec<FoldMetrics>> {
        let answers = self.fits.fit(group, rows, self.monitor)?;
        answers.into_iter().map(|answer| self.metrics(answer)).collect()
    }

    fn metrics(&self, CandidateFold { fold, n_features }: CandidateFold) -> Result<FoldMetrics> {
        let evaluation = evaluate(&fold.labels, fold.probabilities.values(), &self.train.classes)?;
        let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
        if !metrics.contains_key(self.metric) {
            let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
            return Err(Error::invalid(format!(
                "metric {:?} is not measured; there are {}",
                self.metric,
                names.join(", ")
            )));
        }
        Ok((metrics, n_features))
    }

    fn n_threads(&self) -> usize {
        self.pool.map_or_else(rayon::current_num_threads, ThreadPool::current_num_threads)
    }

    /// Runs `work` on the threads that the sweep was given.
    fn in_pool<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}
