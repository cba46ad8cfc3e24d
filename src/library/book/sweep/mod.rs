//! Many settings of one model, measured by cross-validation on the same folds and compared: a run of the
//! whole, and nested in it one of each setting, by MLflow's own tag. Settings that agree on the first
//! part of their work share it. A sweep that was stopped or killed goes on where it was.

mod choice;
mod measure;
mod request;
mod runs;
pub mod space;
mod swept;

use std::{cmp::Ordering, collections::BTreeMap, time::Instant};

use sha2::{Digest, Sha256};

use self::{
    choice::{Score, better, choose},
    measure::{Measure, pool},
    runs::{SWEEP_TAG, SweepRuns},
};
pub use self::{
    request::{SweepFolds, SweepRequest},
    swept::{Swept, SweptSetting},
};
use super::{
    Book, TrainRequest,
    measured::{CV_PARAM, STD_PREFIX},
    now_ms,
    registering::logged,
    train::prefixed,
};
use crate::{
    data::Split,
    error::{Error, Result},
    model::{FitCandidate, FoldRows},
    progress::Monitor,
    random::Random,
    registry::{Run, RunBatch, RunStatus},
};

/// The parts of a sweep that stay the same while it runs.
struct Sweep<'a> {
    book: &'a Book,
    candidates: &'a [FitCandidate],
    request: &'a SweepRequest,
    /// With its names filled in.
    train_request: TrainRequest,
    train: Split,
    folds: Vec<FoldRows>,
    run: Run,
    pool: Option<rayon::ThreadPool>,
    monitor: &'a Monitor,
    started: Instant,
}

impl Book {
    /// Measures each of `candidates` by cross-validation on the train split and ranks them; the test
    /// split is not read, and nothing is registered. `on_setting` hears of each as soon as it is
    /// measured.
    ///
    /// A setting's run has its params, the mean of each metric under its own name, the deviation as
    /// `std_f1` and so on, and as `fold_f1` each fold's value, whose step is the fold. Where the same
    /// sweep was stopped or killed before, it goes on: what has a run is not measured again.
    ///
    /// # Errors
    /// As [`Book::cross_validate`]; a metric that is not measured; and a sweep of the same settings
    /// that is at work in another process.
    pub fn sweep(
        &self,
        candidates: &[FitCandidate],
        request: &SweepRequest,
        monitor: &Monitor,
        on_setting: &mut dyn FnMut(&SweptSetting) -> Result<()>,
    ) -> Result<Swept> {
        let started = Instant::now();
        let Some(first) = candidates.first() else {
            return Err(Error::invalid("no settings to compare"));
        };
        if let Some(factor) = request.halving
            && factor < 2
        {
            return Err(Error::invalid(format!("halving by {factor}: expected 2 or more")));
        }
        // One that cannot work is known before the others are measured.
        candidates.iter().try_for_each(|candidate| candidate.fit().check_settings())?;
        let train_request = TrainRequest { model: None, ..self.named(&request.train)? };
        let train = self.datasets().split(&train_request.dataset, "train")?;
        let folds = request.folds.rows(&train, train_request.seed)?;
        let digest = digest(candidates, request, &train, folds.len());
        let mut whole = self.new_run(first.fit(), &train_request)?;
        whole.params.retain(|key, _| ["model", "dataset", "seed"].contains(&key.as_str()));
        whole.params.insert(CV_PARAM.to_owned(), folds.len().to_string());
        whole.params.insert("n_settings".to_owned(), candidates.len().to_string());
        whole.params.insert("metric".to_owned(), request.metric.clone());
        let halving = request.halving.map(|factor| ("halving".to_owned(), factor.to_string()));
        whole.params.extend(halving);
        whole.tags.insert(SWEEP_TAG.to_owned(), digest.clone());
        let stopped = if request.is_fresh { None } else { self.stopped_sweep(&digest)? };
        let run = match &stopped {
            Some(run) => self.continued(run)?,
            None => self.begin(whole)?,
        };
        let pool = request.n_jobs.map(pool);
        self.in_run(&run.clone(), || {
            let pool = pool.transpose()?;
            let sweep = Sweep {
                book: self,
                candidates,
                request,
                train_request,
                train,
                folds,
                run,
                pool,
                monitor,
                started,
            };
            let known = if stopped.is_some() { sweep.runs().known()? } else { Vec::new() };
            sweep.run(known, on_setting)
        })
    }
}

/// A digest of all that decides what a sweep measures.
fn digest(
    candidates: &[FitCandidate],
    request: &SweepRequest,
    train: &Split,
    n_folds: usize,
) -> String {
    let mut sha = Sha256::new();
    let mut add = |text: &str| {
        sha.update((text.len() as u64).to_le_bytes());
        sha.update(text.as_bytes());
    };
    add(&train.fingerprint.sha256);
    add(&format!("{:?} {n_folds} {:?} {}", request.folds, request.halving, request.train.seed));
    for candidate in candidates {
        add(candidate.fit().name());
        for (key, value) in candidate.fit().params() {
            add(&key);
            add(&value);
        }
    }
    sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// One round: the settings that take part, and the share of each fold's rows that they learn.
struct Round {
    settings: Vec<usize>,
    share: f64,
}

impl Sweep<'_> {
    fn runs(&self) -> SweepRuns<'_> {
        SweepRuns {
            book: self.book,
            run: &self.run,
            train_request: &self.train_request,
            n_folds: self.folds.len(),
            candidates: self.candidates,
        }
    }

    /// Measures round after round and ranks what was measured.
    fn run(
        self,
        known: Vec<SweptSetting>,
        on_setting: &mut dyn FnMut(&SweptSetting) -> Result<()>,
    ) -> Result<Swept> {
        let metric = self.request.metric.as_str();
        let n_continued = known.len();
        let mut measured = known;
        let shares = shares(self.candidates.len(), self.request.halving);
        let mut round = Round { settings: (0..self.candidates.len()).collect(), share: shares[0] };
        let mut n_left = 0;
        let tools =
            Measure::new(self.candidates, &self.train, metric, self.pool.as_ref(), self.monitor);
        for (round_idx, share) in shares.iter().enumerate() {
            round.share = *share;
            n_left = self.measure(&tools, &round, &mut measured, on_setting)?;
            if n_left > 0 {
                break;
            }
            if round_idx + 1 < shares.len() {
                let mut of_round: Vec<&SweptSetting> =
                    measured.iter().filter(|setting| setting.train_share == *share).collect();
                of_round.sort_by(|one, other| compare(metric, one, other));
                let factor = self.request.halving.unwrap_or(1);
                let n_kept = of_round.len().div_ceil(factor);
                round.settings = of_round[..n_kept].iter().map(|setting| setting.setting).collect();
                round.settings.sort_unstable();
            }
        }
        // A setting counts by its last round.
        let mut last: BTreeMap<usize, SweptSetting> = BTreeMap::new();
        for setting in measured {
            let is_later = last
                .get(&setting.setting)
                .is_none_or(|known| known.train_share < setting.train_share);
            if is_later {
                last.insert(setting.setting, setting);
            }
        }
        let mut settings: Vec<SweptSetting> = last.into_values().collect();
        settings.sort_by(|one, other| compare(metric, one, other));
        let best_share = settings.first().map_or(1.0, |best| best.train_share);
        let root = (self.folds.len() as f64).sqrt();
        let scores: Vec<Score> = settings
            .iter()
            .take_while(|setting| setting.train_share == best_share)
            .map(|setting| Score {
                mean: setting.value(metric),
                standard_error: setting.std.get(metric).copied().unwrap_or(0.0) / root,
                complexity: setting.complexity(),
            })
            .collect();
        let (_, plainest) = choose(metric, &scores)?;
        let registry = self.book.registry()?;
        let best = &settings[0];
        registry.log(&self.run.run_id, &logged(&best.mean, 0))?;
        registry.log(&self.run.run_id, &logged(&prefixed(STD_PREFIX, &best.std), 0))?;
        let tags = vec![("trialbook.sweep.best".to_owned(), best.run_id.clone())];
        registry.log(&self.run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.finish_run(&self.run.run_id, RunStatus::Finished, now_ms())?;
        Ok(Swept {
            run: registry.run(&self.run.run_id)?,
            metric: self.request.metric.clone(),
            n_folds: self.folds.len(),
            plainest,
            settings,
            n_continued,
            n_left,
        })
    }

    /// Measures those settings of a round that are not among `measured` yet, group by group. Returns the
    /// number that the budget left.
    fn measure(
        &self,
        tools: &Measure<'_>,
        round: &Round,
        measured: &mut Vec<SweptSetting>,
        on_setting: &mut dyn FnMut(&SweptSetting) -> Result<()>,
    ) -> Result<usize> {
        let left: Vec<usize> = round
            .settings
            .iter()
            .copied()
            .filter(|setting| {
                !measured
                    .iter()
                    .any(|known| known.setting == *setting && known.train_share == round.share)
            })
            .collect();
        let folds = self.folds_learning(round.share);
        let n_steps = (left.len() * folds.len()) as u64;
        let stage = match round.share {
            1.0 => "sweep".to_owned(),
            share => format!("sweep on {:.0} % of the rows", share * 100.0),
        };
        self.monitor.stage(&stage, Some(n_steps), || {
            if self.is_out_of_time() && !measured.is_empty() {
                return Ok(left.len());
            }
            let groups = self.groups(&left);
            // The first settings are measured whatever the budget.
            let budget = self.request.budget;
            let started = self.started;
            let must_stop = || budget.is_some_and(|budget| started.elapsed() >= budget);
            let mut n_left = left.len();
            let stopping: (bool, &(dyn Fn() -> bool + Sync)) = (!measured.is_empty(), &must_stop);
            tools.groups(&groups, &folds, stopping, &mut |group, whole| {
                let seconds = whole.seconds / group.len() as f64;
                for (setting, outcome) in group.iter().zip(whole.outcomes) {
                    let swept = self.runs().keep(*setting, round.share, outcome, seconds)?;
                    self.note_best(measured, &swept);
                    on_setting(&swept)?;
                    measured.push(swept);
                    n_left -= 1;
                }
                Ok(())
            })?;
            Ok(n_left)
        })
    }

    /// `settings` in groups that share their work, in the order of their first ones.
    fn groups(&self, settings: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for setting in settings {
            let candidate = &self.candidates[*setting];
            let joins = |group: &&mut Vec<usize>| candidate.shares_work(&self.candidates[group[0]]);
            match groups.iter_mut().find(joins) {
                Some(group) => group.push(*setting),
                None => groups.push(vec![*setting]),
            }
        }
        groups
    }

    /// The folds whose models learn this share of their rows: a larger share has those of a smaller one.
    fn folds_learning(&self, share: f64) -> Vec<FoldRows> {
        let n_rows = self.train.labels.len();
        let mut rank: Vec<usize> = (0..n_rows).collect();
        if share < 1.0 {
            Random::new(self.train_request.seed).shuffle(&mut rank);
        }
        let bound = (share * n_rows as f64).ceil() as usize;
        self.folds.iter().map(|fold| fold.learning(|row| rank[row] < bound)).collect()
    }

    fn is_out_of_time(&self) -> bool {
        self.request.budget.is_some_and(|budget| self.started.elapsed() >= budget)
    }

    fn note_best(&self, measured: &[SweptSetting], new: &SweptSetting) {
        let metric = &self.request.metric;
        let best = measured.iter().chain([new]).min_by(|one, other| compare(metric, one, other));
        if let Some(best) = best {
            let value = best.value(metric);
            self.monitor.progress.note(&format!("best {metric} {value:.4}"));
        }
    }
}

/// The shares of the rows that the rounds learn, the last one all of them.
fn shares(n_settings: usize, halving: Option<usize>) -> Vec<f64> {
    let Some(factor) = halving else { return vec![1.0] };
    let (mut n_left, mut n_rounds) = (n_settings, 1);
    while n_left >= factor {
        n_left /= factor;
        n_rounds += 1;
    }
    (0..n_rounds).rev().map(|round| (factor as f64).powi(-round)).collect()
}

/// A later round first, then the better mean, then the earlier setting.
fn compare(metric: &str, one: &SweptSetting, other: &SweptSetting) -> Ordering {
    other
        .train_share
        .total_cmp(&one.train_share)
        .then_with(|| better(metric, one.value(metric), other.value(metric)))
        .then_with(|| one.setting.cmp(&other.setting))
}
