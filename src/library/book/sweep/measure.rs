//! Measuring settings on folds: several folds side by side, each on its share of the threads. It keeps
//! nothing and ranks nothing.

use std::{
    collections::BTreeMap,
    panic,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

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

/// A group in a fold.
struct MeasuredFold {
    /// One a setting.
    metrics: Vec<FoldMetrics>,
    seconds: f64,
}

/// A group in all folds.
pub(super) struct MeasuredGroup {
    /// One a setting.
    pub(super) outcomes: Vec<FoldOutcomes>,
    /// The time that all of its folds took together, each on its threads.
    pub(super) seconds: f64,
}

/// Every group in every fold, group after group: a task each.
struct FoldQueue<'a> {
    groups: &'a [Vec<usize>],
    folds: &'a [FoldRows],
    next: AtomicUsize,
    is_over: AtomicBool,
}

impl FoldQueue<'_> {
    /// The next task, if there is one.
    fn take(&self) -> Option<usize> {
        if self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let task = self.next.fetch_add(1, Ordering::Relaxed);
        (task < self.groups.len() * self.folds.len()).then_some(task)
    }

    fn at(&self, task: usize) -> (&[usize], &FoldRows) {
        (&self.groups[task / self.folds.len()], &self.folds[task % self.folds.len()])
    }
}

/// What came so far.
struct Gathered<'a> {
    groups: &'a [Vec<usize>],
    /// The folds of each group; nothing where one is still to come.
    folds: Vec<Vec<Option<MeasuredFold>>>,
    n_folds: usize,
    n_done: usize,
}

impl<'a> Gathered<'a> {
    fn new(groups: &'a [Vec<usize>], n_folds: usize) -> Self {
        let folds = groups.iter().map(|_| (0..n_folds).map(|_| None).collect()).collect();
        Self { groups, folds, n_folds, n_done: 0 }
    }

    /// Takes what came of a task, and hands its group over if that was the last one of it.
    fn take(
        &mut self,
        task: usize,
        measured: MeasuredFold,
        on_group: &mut dyn FnMut(&[usize], MeasuredGroup) -> Result<()>,
    ) -> Result<()> {
        let (group_idx, fold_idx) = (task / self.n_folds, task % self.n_folds);
        let (group, folds) = (&self.groups[group_idx], &mut self.folds[group_idx]);
        folds[fold_idx] = Some(measured);
        if folds.iter().any(Option::is_none) {
            return Ok(());
        }
        let mut whole = MeasuredGroup {
            outcomes: group.iter().map(|_| FoldOutcomes::default()).collect(),
            seconds: 0.0,
        };
        for fold in std::mem::take(folds).into_iter().flatten() {
            whole.seconds += fold.seconds;
            for (outcome, (metrics, n_features)) in whole.outcomes.iter_mut().zip(fold.metrics) {
                outcome.folds.push(metrics);
                outcome.n_features.extend(n_features.map(|n_features| n_features as f64));
            }
        }
        self.n_done += 1;
        on_group(group, whole)
    }
}

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

    /// Measures each setting of each of `groups` in each fold, and hands a group over once all of its folds are
    /// measured. Before each fold `must_stop` is asked, unless nothing is measured yet: `has_some` is whether
    /// something was before. Returns the number of groups that were handed over.
    ///
    /// # Errors
    /// Those of training and of `on_group`, a metric that is not measured, and an interrupt.
    pub(super) fn groups(
        &self,
        groups: &[Vec<usize>],
        folds: &[FoldRows],
        (has_some, must_stop): (bool, &(dyn Fn() -> bool + Sync)),
        on_group: &mut dyn FnMut(&[usize], MeasuredGroup) -> Result<()>,
    ) -> Result<usize> {
        let n_sides = match self.fits.are_light() {
            true => self.n_threads().min(MAX_SIDE_BY_SIDE),
            false => 1,
        };
        let queue =
            FoldQueue { groups, folds, next: AtomicUsize::new(0), is_over: AtomicBool::new(false) };
        let mut gathered = Gathered::new(groups, folds.len());
        if n_sides == 1 {
            while let Some(task) = queue.take() {
                if (has_some || gathered.n_done > 0) && must_stop() {
                    break;
                }
                let measured = self.in_pool(|| self.task(&queue, task))?;
                gathered.take(task, measured, on_group)?;
            }
            return Ok(gathered.n_done);
        }
        // What all folds need is made by all threads.
        if let Some(first) = groups.first() {
            self.in_pool(|| self.fits.group(first, self.monitor))?;
        }
        // Searches wait for their threads after every product: fewer threads each wait less.
        let pools = (0..n_sides)
            .map(|idx| pool((self.n_threads() + idx) / n_sides))
            .collect::<Result<Vec<ThreadPool>>>()?;
        let may_stop = AtomicBool::new(has_some);
        let (sender, arriving) = mpsc::channel();
        let work = |pool: &ThreadPool, sender: &mpsc::Sender<(usize, Result<MeasuredFold>)>| {
            while !(may_stop.load(Ordering::Relaxed) && must_stop()) {
                let Some(task) = queue.take() else { return };
                let measured = pool.install(|| self.task(&queue, task));
                if sender.send((task, measured)).is_err() {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = pools
                .iter()
                .map(|pool| {
                    let sender = sender.clone();
                    scope.spawn(move || work(pool, &sender))
                })
                .collect();
            drop(sender);
            let mut outcome = Ok(());
            for (task, measured) in arriving {
                if outcome.is_ok() {
                    outcome = measured.and_then(|measured| gathered.take(task, measured, on_group));
                    may_stop.store(has_some || gathered.n_done > 0, Ordering::Relaxed);
                }
                if outcome.is_err() {
                    queue.is_over.store(true, Ordering::Relaxed);
                }
            }
            for thread in threads {
                thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
            }
            outcome
        })?;
        Ok(gathered.n_done)
    }

    /// One group in one fold.
    fn task(&self, queue: &FoldQueue<'_>, task: usize) -> Result<MeasuredFold> {
        self.monitor.interrupt.check()?;
        let clock = Instant::now();
        let (group, rows) = queue.at(task);
        let group = self.fits.group(group, self.monitor)?;
        let metrics = self.fold(&group, rows)?;
        Ok(MeasuredFold { metrics, seconds: clock.elapsed().as_secs_f64() })
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
