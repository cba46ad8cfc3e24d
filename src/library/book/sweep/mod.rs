//! Many settings of one model, measured by cross-validation on the same folds and compared: a run of the
//! whole, and nested in it one of each setting, by MLflow's own tag. Settings that agree on the first
//! part of their work share it. A sweep that was stopped or killed goes on where it was.

mod choice;
pub mod space;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use self::choice::{Score, better, choose};
use super::{
    Book, TrainRequest,
    cross_validate::CrossValidation,
    measured::{CV_PARAM, STD_PREFIX},
    now_ms,
    registering::{logged, this_process},
    train::{is_dead, prefixed},
};
use crate::{
    data::Split,
    error::{Error, Result},
    evaluate::evaluate,
    model::{FitCandidate, FoldRows, fit_together, fold_rows},
    progress::Monitor,
    random::Random,
    registry::{
        Metric, NewRun, PARENT_RUN_TAG, PROCESS_TAG, Run, RunBatch, RunQuery, RunStatus, RunUpdate,
    },
};

/// The tag by which a stopped sweep is known again: a digest of its settings, folds and rows.
const SWEEP_TAG: &str = "trialbook.sweep";
/// The tag of a setting's run: its index among the settings.
const SETTING_TAG: &str = "trialbook.sweep.setting";
/// The param of a setting's run that learnt a part of each fold's rows.
const SHARE_PARAM: &str = "train_share";
/// The metric with the number of terms that a setting learnt, the mean over the folds.
const FEATURES_METRIC: &str = "n_features";
/// In front of a metric of one fold; its step is the fold, from 1.
const FOLD_PREFIX: &str = "fold_";
/// The metric with a setting's share of the work, in seconds.
const SECONDS_METRIC: &str = "seconds";

/// The folds that all settings are measured on.
#[derive(Debug, Clone, PartialEq)]
pub enum SweepFolds {
    /// So many, drawn by the seed with the classes in the split's proportions.
    Stratified(usize),
    /// The fold of each row of the train split, from 0.
    Given(Vec<usize>),
}

/// A sweep that is asked for.
#[derive(Debug, Clone)]
pub struct SweepRequest {
    /// Its data, experiment, name, tags and seed; nothing is registered.
    pub train: TrainRequest,
    /// The folds. Default 5.
    pub folds: SweepFolds,
    /// The metric that settings are compared by. Default `f1`.
    pub metric: String,
    /// Successive halving: the first round learns a small part of the rows, and of each round the best
    /// 1 in so many go on to the next one, with so many times the rows. Default: none, all settings
    /// learn all rows.
    pub halving: Option<usize>,
    /// No new work is begun after this time. Default: none.
    pub budget: Option<Duration>,
    /// Threads. Default: one for each core.
    pub n_jobs: Option<usize>,
    /// True to leave a stopped sweep of the same settings alone. Default: it goes on.
    pub is_fresh: bool,
}

/// A setting that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SweptSetting {
    /// Its index among the settings, from 0.
    pub setting: usize,
    /// Every hyperparameter.
    pub params: BTreeMap<String, String>,
    /// Mean of each metric over the folds.
    pub mean: BTreeMap<String, f64>,
    /// Standard deviation over the folds (n - 1 in the denominator).
    pub std: BTreeMap<String, f64>,
    /// Terms learnt, the mean over the folds; none for a net.
    pub n_features: Option<f64>,
    /// The share of each fold's rows that was learnt: below 1 in an early round of halving.
    pub train_share: f64,
    /// Seconds of wall time; shared work is divided equally.
    pub seconds: f64,
    /// Its run.
    pub run_id: String,
}

/// The result of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct Swept {
    /// The run of the whole.
    #[serde(skip)]
    pub run: Run,
    /// The metric that settings were compared by.
    pub metric: String,
    /// The number of folds.
    pub n_folds: usize,
    /// All settings, the best first: those of a later round of halving before those of an earlier one.
    pub settings: Vec<SweptSetting>,
    /// The place among `settings` of the plainest one within one standard error of the best: the fewest
    /// terms, then the smallest `c`.
    pub plainest: usize,
    /// The number of settings that an earlier, stopped process had measured.
    pub n_continued: usize,
    /// The number of settings that the budget left unmeasured.
    pub n_left: usize,
}

impl SweepRequest {
    /// A sweep on `dataset` with every default.
    pub fn new(dataset: &str) -> Self {
        Self {
            train: TrainRequest::new(dataset),
            folds: SweepFolds::Stratified(5),
            metric: "f1".to_owned(),
            halving: None,
            budget: None,
            n_jobs: None,
            is_fresh: false,
        }
    }
}

impl SweepFolds {
    fn rows(&self, train: &Split, seed: u64) -> Result<Vec<FoldRows>> {
        match self {
            Self::Stratified(n_folds) => fold_rows(train, *n_folds, seed),
            Self::Given(fold_of) => {
                let n_rows = train.labels.len();
                if fold_of.len() != n_rows {
                    return Err(Error::invalid(format!(
                        "{} folds are given for the {n_rows} rows of the train split: expected one for \
                         each row",
                        fold_of.len()
                    )));
                }
                let used: BTreeSet<usize> = fold_of.iter().copied().collect();
                let n_folds = used.len();
                if n_folds < 2 || used.last() != Some(&(n_folds - 1)) {
                    return Err(Error::invalid(format!(
                        "the given folds are {used:?}: expected 0, 1 and so on, each of them used"
                    )));
                }
                Ok(FoldRows::of(fold_of, n_folds))
            }
        }
    }
}

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
        let pool = request.n_jobs.map(|n_jobs| {
            rayon::ThreadPoolBuilder::new().num_threads(n_jobs.max(1)).build().map_err(|source| {
                Error::invalid(format!("{n_jobs} threads cannot be started")).with_source(source)
            })
        });
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
            let known = if stopped.is_some() { sweep.known()? } else { Vec::new() };
            sweep.run(known, on_setting)
        })
    }

    /// The newest sweep with this digest that began and did not end.
    fn stopped_sweep(&self, digest: &str) -> Result<Option<Run>> {
        let query = RunQuery {
            filter: Some(format!(
                "tags.`{SWEEP_TAG}` = '{digest}' and attributes.status != 'FINISHED'"
            )),
            limit: Some(1),
            ..RunQuery::default()
        };
        let Some(run) = self.registry()?.search_runs(&query)?.pop() else { return Ok(None) };
        let is_at_work = run.status == RunStatus::Running
            && run
                .tags
                .get(PROCESS_TAG)
                .is_some_and(|process| *process != this_process() && !is_dead(process));
        if is_at_work {
            return Err(Error::invalid(format!(
                "the same sweep is at work as run {} ({})",
                run.name,
                run.tags.get(PROCESS_TAG).map_or("", String::as_str)
            ))
            .with_hint("wait for it, or begin another one with --fresh"));
        }
        Ok(Some(run))
    }

    /// A stopped sweep's run, now this process's.
    fn continued(&self, run: &Run) -> Result<Run> {
        let registry = self.registry()?;
        let running = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        registry.update_run(&run.run_id, running)?;
        let tags = vec![(PROCESS_TAG.to_owned(), this_process())];
        registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.run(&run.run_id)
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
        for (round_idx, share) in shares.iter().enumerate() {
            round.share = *share;
            n_left = self.measure(&round, &mut measured, on_setting)?;
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
        round: &Round,
        measured: &mut Vec<SweptSetting>,
        on_setting: &mut dyn FnMut(&SweptSetting) -> Result<()>,
    ) -> Result<usize> {
        let mut left: Vec<usize> = round
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
            while let Some(first) = left.first().copied() {
                let first = &self.candidates[first];
                let (group, others): (Vec<usize>, Vec<usize>) = left
                    .iter()
                    .enumerate()
                    .map(|(place, setting)| (place, *setting))
                    .fold((Vec::new(), Vec::new()), |(mut group, mut others), (place, setting)| {
                        let joins = place == 0 || first.shares_work(&self.candidates[setting]);
                        if joins {
                            group.push(setting)
                        } else {
                            others.push(setting)
                        }
                        (group, others)
                    });
                if self.is_out_of_time() && !measured.is_empty() {
                    return Ok(left.len());
                }
                let clock = Instant::now();
                let Some(by_fold) = self.measure_group(&group, &folds, measured.is_empty())? else {
                    return Ok(left.len());
                };
                let seconds = clock.elapsed().as_secs_f64() / group.len() as f64;
                for (setting, outcome) in group.iter().zip(by_fold) {
                    let swept = self.keep(*setting, round.share, outcome, seconds)?;
                    self.note_best(measured, &swept);
                    on_setting(&swept)?;
                    measured.push(swept);
                }
                left = others;
            }
            Ok(0)
        })
    }

    /// The metrics of each of `group` in each fold, and its terms; none where the budget ended first.
    fn measure_group(
        &self,
        group: &[usize],
        folds: &[FoldRows],
        is_first: bool,
    ) -> Result<Option<Vec<FoldOutcomes>>> {
        let candidates: Vec<&FitCandidate> =
            group.iter().map(|setting| &self.candidates[*setting]).collect();
        let mut outcomes: Vec<FoldOutcomes> =
            group.iter().map(|_| FoldOutcomes::default()).collect();
        for (fold_idx, rows) in folds.iter().enumerate() {
            self.monitor.interrupt.check()?;
            if fold_idx > 0 && !is_first && self.is_out_of_time() {
                return Ok(None);
            }
            let fit = || fit_together(&candidates, &self.train, rows, self.monitor);
            let answers = match &self.pool {
                Some(pool) => pool.install(fit)?,
                None => fit()?,
            };
            for (outcome, answer) in outcomes.iter_mut().zip(answers) {
                let evaluation = evaluate(
                    &answer.fold.labels,
                    answer.fold.probabilities.values(),
                    &self.train.classes,
                )?;
                let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
                let metric = &self.request.metric;
                if !metrics.contains_key(metric) {
                    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
                    return Err(Error::invalid(format!(
                        "metric {metric:?} is not measured; there are {}",
                        names.join(", ")
                    )));
                }
                outcome.folds.push(metrics);
                outcome.n_features.extend(answer.n_features.map(|n_features| n_features as f64));
            }
        }
        Ok(Some(outcomes))
    }

    /// Keeps a measured setting as a finished run.
    fn keep(
        &self,
        setting: usize,
        share: f64,
        outcome: FoldOutcomes,
        seconds: f64,
    ) -> Result<SweptSetting> {
        let registry = self.book.registry()?;
        let fit = self.candidates[setting].fit();
        let mut new: NewRun = self.book.new_run(fit, &self.train_request)?;
        new.name = Some(format!("{}-{}", self.run.name, setting + 1));
        new.params.insert(CV_PARAM.to_owned(), self.folds.len().to_string());
        if share < 1.0 {
            new.params.insert(SHARE_PARAM.to_owned(), share.to_string());
        }
        new.tags.insert(PARENT_RUN_TAG.to_owned(), self.run.run_id.clone());
        new.tags.insert(SETTING_TAG.to_owned(), setting.to_string());
        // Its part of the work is over already.
        new.start_ms = now_ms() - (seconds * 1e3) as i64;
        let child = registry.create_run(new)?;
        let n_features = (!outcome.n_features.is_empty())
            .then(|| outcome.n_features.iter().sum::<f64>() / outcome.n_features.len() as f64);
        let of_folds = fold_history(&outcome.folds);
        let CrossValidation { mean, std, .. } = CrossValidation::of(outcome.folds, Vec::new());
        let mut all = mean.clone();
        all.extend(prefixed(STD_PREFIX, &std));
        all.extend(n_features.map(|n_features| (FEATURES_METRIC.to_owned(), n_features)));
        all.insert(SECONDS_METRIC.to_owned(), seconds);
        let mut batch = logged(&all, 0);
        batch.metrics.extend(of_folds);
        registry.log(&child.run_id, &batch)?;
        registry.finish_run(&child.run_id, RunStatus::Finished, now_ms())?;
        Ok(SweptSetting {
            setting,
            params: fit.params().into_iter().collect(),
            mean,
            std,
            n_features,
            train_share: share,
            seconds,
            run_id: child.run_id,
        })
    }

    /// The settings that an earlier process measured for this sweep.
    fn known(&self) -> Result<Vec<SweptSetting>> {
        let query = RunQuery {
            filter: Some(format!(
                "tags.`{PARENT_RUN_TAG}` = '{}' and attributes.status = 'FINISHED'",
                self.run.run_id
            )),
            ..RunQuery::default()
        };
        let runs = self.book.registry()?.search_runs(&query)?;
        let read = |run: &Run| -> Option<SweptSetting> {
            let setting: usize = run.tags.get(SETTING_TAG)?.parse().ok()?;
            let fit = self.candidates.get(setting)?.fit();
            let own = |key: &str| {
                key.starts_with(FOLD_PREFIX) || key == FEATURES_METRIC || key == SECONDS_METRIC
            };
            let (mut mean, mut std) = (BTreeMap::new(), BTreeMap::new());
            for (key, value) in &run.metrics {
                match key.strip_prefix(STD_PREFIX) {
                    Some(name) => std.insert(name.to_owned(), *value),
                    None if own(key) => None,
                    None => mean.insert(key.clone(), *value),
                };
            }
            Some(SweptSetting {
                setting,
                params: fit.params().into_iter().collect(),
                mean,
                std,
                n_features: run.metrics.get(FEATURES_METRIC).copied(),
                train_share: match run.params.get(SHARE_PARAM) {
                    Some(share) => share.parse().ok()?,
                    None => 1.0,
                },
                seconds: run.metrics.get(SECONDS_METRIC).copied().unwrap_or(0.0),
                run_id: run.run_id.clone(),
            })
        };
        Ok(runs.iter().filter_map(read).collect())
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

/// The measurements of a setting.
#[derive(Default)]
struct FoldOutcomes {
    folds: Vec<BTreeMap<String, f64>>,
    n_features: Vec<f64>,
}

/// Each fold's metrics, with the fold as their step.
fn fold_history(folds: &[BTreeMap<String, f64>]) -> Vec<Metric> {
    let of_fold = |(fold_idx, metrics): (usize, &BTreeMap<String, f64>)| {
        logged(&prefixed(FOLD_PREFIX, metrics), fold_idx as i64 + 1).metrics
    };
    folds.iter().enumerate().flat_map(of_fold).collect()
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

impl SweptSetting {
    /// The mean of `metric`; of one that is not there, not a number.
    pub fn value(&self, metric: &str) -> f64 {
        self.mean.get(metric).copied().unwrap_or(f64::NAN)
    }

    fn complexity(&self) -> [f64; 2] {
        let c = self.params.get("c").and_then(|c| c.parse().ok()).unwrap_or(0.0);
        [self.n_features.unwrap_or(0.0), c]
    }
}
