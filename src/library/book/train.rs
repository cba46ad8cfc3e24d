//! One training as one run: read, fit, predict, evaluate, keep. Whatever happens, the run says how
//! it ended.

use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    thread,
    time::Instant,
};

use serde::Serialize;

use super::{
    Book, CODE_VERSION, MadeDecision, TrainRequest,
    decision::{CALIBRATION_PARAM, RULE_PARAM, Unlearnt, decide},
    measured::VALIDATION_PREFIX,
    measurements::Measurements,
    now_ms,
    registering::{Keeping, Registering},
    unfinished::Unfinished,
};
use crate::{
    actor,
    data::Split,
    error::{Error, ErrorKind, Result},
    evaluate::Evaluation,
    model::{Classifier, Decision, Fit, Holdout, check_validation_size},
    progress::Monitor,
    registry::{
        DefaultNames, Lineage, Metric, ModelVersion, NewRun, PROCESS_TAG, Run, RunBatch, RunQuery,
        RunStatus, RunUpdate, Tracker,
    },
};

/// Seconds of wall time that each step took.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Reading both splits.
    pub read_s: f64,
    /// Vectorising and fitting, and making the decision.
    pub fit_s: f64,
    /// Predicting the test split and measuring the answers.
    pub evaluate_s: f64,
    /// Saving the model and the run's artifacts, as far as measuring did not take longer.
    pub save_s: f64,
    /// All of it, bookkeeping included.
    pub total_s: f64,
}

/// The division of the train split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HeldOut {
    /// The share that was asked for.
    pub validation_size: f64,
    /// Examples that were learnt.
    pub n_train: usize,
    /// Examples that were measured instead.
    pub n_validation: usize,
}

/// The result of a training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The finished run.
    pub run: Run,
    /// The registered version, where one was asked for.
    pub version: Option<ModelVersion>,
    /// The name of the experiment that the run belongs to.
    pub experiment: String,
    /// The measurement whose metrics the run has: on the rows that were held out to choose by, or
    /// where there are none on the test split. A registered version's own metrics are always those
    /// of the test split.
    pub evaluation: Evaluation,
    /// The rows held out to choose by.
    pub held_out: Option<HeldOut>,
    /// The calibration and the threshold that were asked for.
    pub made: Option<MadeDecision>,
    /// A description of the model.
    pub model: serde_json::Value,
    /// The time of each step.
    pub timings: Timings,
}

impl Book {
    /// Trains, measures and registers one model as one run. An error or an interrupt ends the run
    /// as FAILED or KILLED and keeps what was logged until then.
    ///
    /// # Errors
    /// An unknown dataset (then there is no run), unusable data, or a store that cannot be written.
    pub fn train(
        &self,
        fit: &dyn Fit,
        request: &TrainRequest,
        monitor: &Monitor,
    ) -> Result<Trained> {
        let request = self.named(request)?;
        let run = self.begin(self.new_run(fit, &request)?)?;
        self.in_run(&run, || {
            let unfinished = Unfinished::begin(self, &run, fit, &request)?;
            self.train_in(&run, fit, &request, unfinished.as_ref(), monitor)
        })
    }

    /// Marks as FAILED the runs whose process is gone: killed at once, it could not say so itself.
    /// Those that keep checkpoints tell it by their lock, on whatever machine they ran, others by
    /// their process on this one. Returns how many there were.
    ///
    /// # Errors
    /// When the registry cannot be read or written.
    pub fn settle_dead_runs(&self) -> Result<usize> {
        let registry = self.tracker()?;
        let running = RunQuery {
            filter: Some("attributes.status = 'RUNNING'".to_owned()),
            ..RunQuery::default()
        };
        let mut n_settled = 0;
        for run in registry.search_runs(&running)? {
            let is_dead = match Unfinished::is_at_work(self, &run) {
                Some(is_at_work) => !is_at_work,
                None => run.tags.get(PROCESS_TAG).is_some_and(|process| is_dead(process)),
            };
            if !is_dead {
                continue;
            }
            let error = ("trialbook.error".to_owned(), "its process died".to_owned());
            registry.log(&run.run_id, &RunBatch { tags: vec![error], ..RunBatch::default() })?;
            let failed = RunUpdate { status: Some(RunStatus::Failed), ..RunUpdate::default() };
            registry.update_run(&run.run_id, failed)?;
            n_settled += 1;
        }
        Ok(n_settled)
    }

    /// Lets `work` fill an open run and closes it by how the work ended.
    pub(super) fn in_run<T>(&self, run: &Run, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let registry = self.tracker()?;
        // A bug in a model must not leave a run that seems to go on for ever.
        let outcome = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "training panicked")
                .with_hint("this is a bug: please report the message above"))
        });
        if let Err(error) = &outcome {
            let status = match error.kind() {
                ErrorKind::Interrupted => RunStatus::Killed,
                _ => RunStatus::Failed,
            };
            let tags = vec![("trialbook.error".to_owned(), error.chain())];
            // The first error is the one to show; if the store is what failed, these fail too.
            let _ = registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() });
            let _ = registry.finish_run(&run.run_id, status, now_ms());
        }
        outcome
    }

    /// `request` with the names that it leaves to the dataset.
    pub(super) fn named(&self, request: &TrainRequest) -> Result<TrainRequest> {
        let dataset = self.datasets().get(&request.dataset)?;
        let names = DefaultNames::of(&dataset.name, &dataset.classes);
        let or = |given: &String, default: String| match given.is_empty() {
            true => default,
            false => given.clone(),
        };
        Ok(TrainRequest {
            experiment: or(&request.experiment, names.experiment),
            model: request.model.as_ref().map(|model| or(model, names.model)),
            ..request.clone()
        })
    }

    /// The run of a request, whose names are [`Book::named`].
    pub(super) fn new_run(&self, fit: &dyn Fit, request: &TrainRequest) -> Result<NewRun> {
        // Known before anything is computed, so said before.
        if let Some(model) = &request.model {
            self.check_model_name(model)?;
        }
        if let Some(share) = request.validation_size {
            check_validation_size(share)?;
        }
        let dataset = self.datasets().get(&request.dataset)?;
        request.decision.check_classes(&dataset.classes)?;
        let mut params: BTreeMap<String, String> = fit.params().into_iter().collect();
        params.insert("model".to_owned(), fit.name().to_owned());
        params.insert("dataset".to_owned(), dataset.name.clone());
        params.insert("seed".to_owned(), request.seed.to_string());
        let share = request.validation_size;
        params.extend(share.map(|share| ("validation_size".to_owned(), share.to_string())));
        let rule = request.decision.threshold.map(|rule| (RULE_PARAM, rule.to_string()));
        let method = request.decision.calibrate.map(|how| (CALIBRATION_PARAM, how.to_string()));
        let asked = rule.into_iter().chain(method);
        params.extend(asked.map(|(key, value)| (key.to_owned(), value)));
        let mut tags = request.tags.clone();
        tags.extend(self.own_tags());
        for split in &dataset.splits {
            tags.insert(fingerprint_tag(&split.name), split.fingerprint.sha256.clone());
        }
        Ok(NewRun {
            experiment_id: self.tracker()?.experiment(&request.experiment)?.experiment_id,
            name: request.run_name.clone(),
            start_ms: now_ms(),
            tags,
            params,
            user: String::new(),
        })
    }

    /// Opens a run now.
    pub(super) fn begin(&self, run: NewRun) -> Result<Run> {
        self.tracker()?.create_run(NewRun { start_ms: now_ms(), ..run })
    }

    pub(super) fn train_in(
        &self,
        run: &Run,
        fit: &dyn Fit,
        request: &TrainRequest,
        unfinished: Option<&Unfinished>,
        monitor: &Monitor,
    ) -> Result<Trained> {
        let registry = self.tracker()?;
        let started = Instant::now();
        let mut timings = Timings::default();

        let clock = Instant::now();
        let datasets = self.datasets();
        let train = monitor.stage("reading", None, || datasets.split(&request.dataset, "train"))?;
        timings.read_s += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let train_fingerprint = train.fingerprint.sha256.clone();
        let (train, validation) = held_out(train, request)?;
        let held_out = request.validation_size.zip(validation.as_ref());
        let held_out = held_out.map(|(validation_size, validation)| HeldOut {
            validation_size,
            n_train: train.texts.len(),
            n_validation: validation.texts.len(),
        });
        let unlearnt = match request.decision.needs_rows() {
            true => Some(Unlearnt::by(fit, &train, validation.as_ref())?),
            false => None,
        };
        // Known before anything is learnt, so said before.
        unlearnt.as_ref().map_or(Ok(()), |rows| rows.check(&request.decision, &train))?;
        let mut log = training_log(registry, run);
        let folder = unfinished.map(Unfinished::folder);
        let classifier = match (&validation, folder) {
            (Some(validation), _) => {
                fit.fit_validated(&train, validation, monitor, &mut log, folder)?
            }
            (None, Some(folder)) => fit.fit_resumable(&train, monitor, &mut log, folder)?,
            (None, None) => fit.fit(&train, monitor, &mut log)?,
        };
        let (classifier, made) =
            decided(classifier, fit, unlearnt.as_ref(), &train, request, monitor)?;
        drop(unlearnt);
        made.as_ref().map_or(Ok(()), |made| made.log(registry, run))?;
        timings.fit_s = clock.elapsed().as_secs_f64();
        // Writing the model waits for the disk most of the time, measuring never does. The training texts are the
        // largest thing in memory: the test split takes their place, while they are given back one by one.
        let (files, measured) = thread::scope(|scope| {
            scope.spawn(move || drop(train));
            let saving = scope.spawn(|| self.keep_files(run, classifier.as_ref()));
            let measured = self.measure(classifier.as_ref(), validation, request, monitor);
            let clock = Instant::now();
            let files = saving.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            timings.save_s += clock.elapsed().as_secs_f64();
            measured.and_then(|measured| Ok((files?, measured)))
        })?;
        let Measurements { of_validation, of_test, profile, test_fingerprint, read_s, evaluate_s } =
            measured;
        timings.read_s += read_s;
        timings.evaluate_s = evaluate_s;
        monitor.interrupt.check()?;

        let clock = Instant::now();
        let by_name = |evaluation: &Evaluation| -> BTreeMap<String, f64> {
            evaluation.metrics().into_iter().collect()
        };
        // The gate's own: a version is judged by the test split, whatever was chosen by.
        let test_metrics = of_test.as_ref().map(by_name).unwrap_or_default();
        let metrics = match &of_validation {
            Some(validation) => prefixed(VALIDATION_PREFIX, &by_name(validation)),
            None => test_metrics.clone(),
        };
        let evaluation = of_validation.or(of_test).expect("one of both was measured");
        let version = monitor.stage("saving", None, || {
            self.keep(Keeping {
                run,
                files,
                evaluation: Some(&evaluation),
                // Nobody shall take these for what the test split says.
                place: if held_out.is_some() { "validation/" } else { "" },
                metrics: &metrics,
                profile: profile.as_ref(),
                version: request.model.as_ref().map(|model| Registering {
                    model: model.clone(),
                    lineage: Lineage {
                        dataset: request.dataset.clone(),
                        train_fingerprint,
                        test_fingerprint,
                        code_version: CODE_VERSION.to_owned(),
                        seed: request.seed,
                    },
                    metrics: test_metrics,
                }),
            })
        })?;
        timings.save_s += clock.elapsed().as_secs_f64();

        registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
        if let Some(unfinished) = unfinished {
            unfinished.forget();
        }
        timings.total_s = started.elapsed().as_secs_f64();
        Ok(Trained {
            run: registry.run(&run.run_id)?,
            version,
            experiment: request.experiment.clone(),
            evaluation,
            held_out,
            made,
            model: classifier.describe(),
            timings,
        })
    }
}

/// The trained model with the decision that was asked for.
fn decided(
    classifier: Box<dyn Classifier>,
    fit: &dyn Fit,
    unlearnt: Option<&Unlearnt>,
    train: &Split,
    request: &TrainRequest,
    monitor: &Monitor,
) -> Result<(Box<dyn Classifier>, Option<MadeDecision>)> {
    if request.decision.is_empty() {
        return Ok((classifier, None));
    }
    let answers =
        unlearnt.map(|rows| rows.answers(classifier.as_ref(), fit, train, request.seed, monitor));
    let answers = answers.transpose()?;
    let (wanted, classes) = (&request.decision, classifier.classes());
    let made = decide(wanted, &Decision::default(), classes, answers.as_ref(), request.seed)?;
    Ok((classifier.with_decision(made.decision.clone())?, Some(made)))
}

/// The train split in two: what is learnt, and what is held out to choose by, if that is wanted.
fn held_out(train: Split, request: &TrainRequest) -> Result<(Split, Option<Split>)> {
    let Some(share) = request.validation_size else { return Ok((train, None)) };
    let Holdout { train: learnt, valid } = Holdout::new(&train, share, request.seed)?;
    Ok((train.subset(&learnt), Some(train.subset(&valid))))
}

/// Logs what a model says of itself while it learns.
pub(super) fn training_log<'a>(
    registry: &'a dyn Tracker,
    run: &'a Run,
) -> impl FnMut(&str, f64, u64) -> Result<()> + 'a {
    |key: &str, value: f64, step: u64| {
        let metric = Metric {
            key: key.to_owned(),
            value,
            step: i64::try_from(step).unwrap_or(i64::MAX),
            timestamp_ms: now_ms(),
        };
        registry.log(&run.run_id, &RunBatch { metrics: vec![metric], ..RunBatch::default() })
    }
}

/// `metrics` under other names: `validation_f1` for `f1`.
pub(super) fn prefixed(prefix: &str, metrics: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    metrics.iter().map(|(key, value)| (format!("{prefix}{key}"), *value)).collect()
}

/// The tag that says which rows a split had.
pub(super) fn fingerprint_tag(split: &str) -> String {
    format!("trialbook.fingerprint.{split}")
}

/// True if `process`, a `PID@HOST`, ran on this machine and runs no more. Unknown counts as alive.
pub(super) fn is_dead(process: &str) -> bool {
    let proc = std::path::Path::new("/proc");
    process.split_once('@').is_some_and(|(pid, host)| {
        host == actor::host()
            && pid.bytes().all(|digit| digit.is_ascii_digit())
            && proc.join("self").exists()
            && !proc.join(pid).exists()
    })
}
