//! The training loop: epochs of steps, an evaluation after each, checkpoints in between.

use std::time::Instant;

use super::{
    EpochReport, TrainSettings, TrainState,
    adamw::AdamW,
    evaluate,
    loss::{Objective, added, diverged, gradients},
    memory,
    schedule::Schedule,
    state::Position,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{
        net::{Batch, EncodedExample, Net, epoch_order, mix, parameters::DeviceTensor},
        simd::rows::KeptMemory,
    },
    progress::Monitor,
};

/// Loss and learning rate are reported this often in an epoch.
const REPORTS_PER_EPOCH: u64 = 50;

/// A training: its examples and its settings.
#[derive(Debug, Clone, Copy)]
pub struct TrainingJob<'a> {
    /// Its settings.
    pub settings: &'a TrainSettings,
    /// The examples that the weights are fitted to.
    pub train: &'a [EncodedExample],
    /// The examples that decide which epoch was best.
    pub valid: &'a [EncodedExample],
    /// The state in which an earlier run of the same job stopped.
    pub resume: Option<&'a TrainState>,
}

/// Receives what has to outlive the process while a run goes on.
pub trait Observer {
    /// A number of the run at `step`: `loss` and `learning_rate` within an epoch, `train_loss`,
    /// `valid_loss`, `valid_accuracy` and `valid_f1` after it.
    ///
    /// # Errors
    /// Whatever storing it returns; the run ends with it.
    fn metric(&mut self, key: &str, value: f64, step: u64) -> Result<()>;

    /// A state the run can be continued from.
    ///
    /// # Errors
    /// Whatever storing it returns; the run ends with it.
    fn checkpoint(&mut self, state: &TrainState) -> Result<()>;
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct TrainingOutcome {
    /// The net with the weights of its best epoch.
    pub net: Net,
    /// The best epoch, counted from 1.
    pub best_epoch: u64,
    /// Its F1 on the validation examples.
    pub best_f1: f64,
    /// Every epoch.
    pub epochs: Vec<EpochReport>,
    /// Steps taken.
    pub n_steps: u64,
    /// True if patience ended the run before its last epoch.
    pub stopped_early: bool,
}

/// Trains `net` and returns it with the weights of its best epoch by F1.
///
/// On the CPU, the same job with the same seed ends with the same bits, whether it was interrupted
/// and resumed or not.
///
/// # Errors
/// Settings or examples that cannot work; a run that would not fit into memory; weights or a loss
/// that are no longer numbers; what the observer returns; and
/// [`crate::error::ErrorKind::Interrupted`] when asked to stop, after a checkpoint.
pub fn train(
    net: Net,
    job: &TrainingJob<'_>,
    monitor: &Monitor,
    observer: &mut dyn Observer,
) -> Result<TrainingOutcome> {
    job.check(&net)?;
    TrainingLoop::new(net, job)?.finish(monitor, observer)
}

impl TrainingJob<'_> {
    fn check(&self, net: &Net) -> Result<()> {
        self.settings.check(net.device())?;
        let config = net.config();
        let n_classes = config.n_classes();
        for (part, examples) in [("training", self.train), ("validation", self.valid)] {
            if examples.is_empty() {
                return Err(Error::invalid(format!("there are no {part} examples")));
            }
            for (example_idx, example) in examples.iter().enumerate() {
                let fault = if example.label >= n_classes {
                    format!("has label {}, the net has {n_classes} classes", example.label)
                } else if example.ids.is_empty() {
                    "has no token".to_owned()
                } else if config.max_length().is_some_and(|longest| example.ids.len() > longest) {
                    format!("has {} tokens, too many for the net", example.ids.len())
                } else if example.ids.iter().any(|id| *id as usize >= config.vocab_size()) {
                    format!("has a token id outside the vocabulary of {}", config.vocab_size())
                } else {
                    continue;
                };
                return Err(Error::invalid(format!("{part} example {example_idx} {fault}")));
            }
        }
        let longest = self.train.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        memory::check(config, self.settings, self.batch_size(), longest, net.device())
    }

    /// Examples of the largest forward pass.
    fn batch_size(&self) -> usize {
        self.settings.batch_size.min(self.train.len())
    }

    /// A fingerprint of the training examples (FNV-1a over labels, lengths and ids).
    fn data(&self) -> u64 {
        let words = self.train.iter().flat_map(|example| {
            let head = [example.label as u64, example.ids.len() as u64];
            head.into_iter().chain(example.ids.iter().map(|id| u64::from(*id)))
        });
        words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3))
    }
}

struct TrainingLoop<'a> {
    job: &'a TrainingJob<'a>,
    net: Net,
    best: Option<Net>,
    optimizer: AdamW,
    schedule: Schedule,
    lengths: Vec<usize>,
    labels: Vec<usize>,
    /// The weight of an example of each class.
    class_weights: Vec<f64>,
    position: Position,
    steps_per_epoch: u64,
    _memory: KeptMemory,
}

impl<'a> TrainingLoop<'a> {
    fn new(mut net: Net, job: &'a TrainingJob<'a>) -> Result<Self> {
        let settings = job.settings;
        let per_step = settings.batch_size.saturating_mul(settings.accumulation);
        let steps_per_epoch = job.train.len().div_ceil(per_step) as u64;
        let mut optimizer = AdamW::new(&net, settings);
        let mut best = None;
        let mut position = Position {
            config: net.config().clone(),
            settings: settings.clone(),
            data: job.data(),
            step: 0,
            epoch: 0,
            step_of_epoch: 0,
            epoch_loss: 0.0,
            epochs: Vec::new(),
        };
        if let Some(state) = job.resume {
            state.position.check(net.config(), settings, position.data)?;
            net.set_parameters(&state.weights)?;
            optimizer.restore(state.position.step, &state.moments, &net);
            if let Some(weights) = &state.best {
                best = Some(Net::load(net.config().clone(), weights, net.device())?);
            }
            position = state.position.clone();
        }
        let n_steps = steps_per_epoch.saturating_mul(settings.epochs);
        let labels: Vec<usize> = job.train.iter().map(|example| example.label).collect();
        let mut counts = vec![0; net.config().n_classes()];
        labels.iter().for_each(|label| counts[*label] += 1);
        Ok(Self {
            job,
            net,
            best,
            optimizer,
            schedule: Schedule::new(n_steps, settings.warmup_ratio),
            lengths: job.train.iter().map(|example| example.ids.len()).collect(),
            labels,
            class_weights: settings.class_weight.of_counts(&counts)?,
            position,
            steps_per_epoch,
            _memory: KeptMemory::new(),
        })
    }

    fn finish(mut self, monitor: &Monitor, observer: &mut dyn Observer) -> Result<TrainingOutcome> {
        while self.position.epoch < self.job.settings.epochs && !self.is_out_of_patience() {
            self.epoch(monitor, observer)?;
        }
        let best = self.position.best().copied();
        let Some((best, net)) = best.zip(self.best) else {
            return Err(Error::invalid("the run has no finished epoch"));
        };
        Ok(TrainingOutcome {
            net,
            best_epoch: best.epoch,
            best_f1: best.valid.f1,
            n_steps: self.position.step,
            stopped_early: self.position.epoch < self.job.settings.epochs,
            epochs: self.position.epochs,
        })
    }

    fn is_out_of_patience(&self) -> bool {
        let best_epoch = self.position.best().map_or(0, |best| best.epoch);
        let patience = self.job.settings.patience;
        patience.is_some_and(|patience| self.position.epoch - best_epoch >= patience)
    }

    fn epoch(&mut self, monitor: &Monitor, observer: &mut dyn Observer) -> Result<()> {
        let settings = self.job.settings;
        let name = format!("epoch {}/{}", self.position.epoch + 1, settings.epochs);
        monitor.progress.begin(&name, Some(self.job.train.len() as u64));
        let steps = self.steps(monitor, observer);
        monitor.progress.end();
        steps?;
        let valid = monitor.stage(&format!("{name}: evaluating"), None, || {
            evaluate(&self.net, self.job.valid, settings.batch_size, monitor)
        });
        let valid = match valid {
            Ok(valid) if !valid.loss.is_finite() => {
                return Err(diverged("loss of the validation examples", valid.loss));
            }
            Ok(valid) => valid,
            // Interrupted between the last step and the report: that is where a resumed run starts.
            Err(error) => {
                if error.kind() == ErrorKind::Interrupted {
                    observer.checkpoint(&self.state())?;
                }
                return Err(error);
            }
        };
        let report = EpochReport {
            epoch: self.position.epoch + 1,
            step: self.position.step,
            train_loss: self.position.epoch_loss / self.steps_per_epoch as f64,
            valid,
        };
        if self.position.best().is_none_or(|best| valid.f1 > best.valid.f1) {
            self.best = Some(self.net.clone());
        }
        self.position.epochs.push(report);
        self.position.epoch += 1;
        self.position.step_of_epoch = 0;
        self.position.epoch_loss = 0.0;
        for (key, value) in [
            ("train_loss", report.train_loss),
            ("valid_loss", valid.loss),
            ("valid_accuracy", valid.accuracy),
            ("valid_f1", valid.f1),
        ] {
            observer.metric(key, value, report.step)?;
        }
        observer.checkpoint(&self.state())
    }

    /// The epoch's steps that are left.
    fn steps(&mut self, monitor: &Monitor, observer: &mut dyn Observer) -> Result<()> {
        let settings = self.job.settings;
        let batches = epoch_order(
            &self.lengths,
            &self.labels,
            settings.batch_size,
            self.net.config().by_length(),
            (settings.seed, self.position.epoch),
        );
        let groups = batches.chunks(settings.accumulation);
        let n_done = self.position.step_of_epoch as usize;
        let n_seen: usize = groups.clone().take(n_done).flatten().map(Vec::len).sum();
        monitor.progress.advance(n_seen as u64);
        let mut pace = Pace::new();
        let report_every = (self.steps_per_epoch / REPORTS_PER_EPOCH).max(1);
        for group in groups.skip(n_done) {
            if let Err(interrupted) = monitor.interrupt.check() {
                observer.checkpoint(&self.state())?;
                return Err(interrupted);
            }
            let rate = settings.learning_rate * self.schedule.share(self.position.step);
            let loss = self.step(group, rate)?;
            self.position.step += 1;
            self.position.step_of_epoch += 1;
            self.position.epoch_loss += loss;
            let step = self.position.step;
            if step.is_multiple_of(report_every) {
                observer.metric("loss", loss, step)?;
                observer.metric("learning_rate", rate, step)?;
            }
            let is_last = self.position.step_of_epoch == self.steps_per_epoch;
            if settings.checkpoint_every.is_some_and(|every| step.is_multiple_of(every)) && !is_last
            {
                observer.checkpoint(&self.state())?;
            }
            let n_examples: usize = group.iter().map(Vec::len).sum();
            monitor.progress.advance(n_examples as u64);
            let steps_left = self.steps_per_epoch * settings.epochs - step;
            monitor.progress.note(&pace.note(loss, n_examples, steps_left));
        }
        Ok(())
    }

    /// One step: the gradients of a group of batches, summed, and AdamW.
    fn step(&mut self, group: &[Vec<usize>], rate: f64) -> Result<f64> {
        let settings = self.job.settings;
        let weight = |idx: &usize| self.class_weights[self.labels[*idx]];
        let total_weight = group.iter().flatten().map(weight).sum();
        let mut total = 0.0;
        let mut sums: Option<Vec<DeviceTensor<2>>> = None;
        for (batch_idx, members) in group.iter().enumerate() {
            let examples = members.iter().map(|idx| &self.job.train[*idx]);
            let texts: Vec<&[u32]> = examples.map(|example| example.ids.as_slice()).collect();
            let labels: Vec<usize> = members.iter().map(|idx| self.labels[*idx]).collect();
            let objective = Objective {
                label_smoothing: settings.label_smoothing,
                class_weights: &self.class_weights,
                precision: settings.precision,
                total_weight,
                seed: mix(mix(settings.seed, self.position.step), batch_idx as u64),
            };
            let batch = Batch::new(&texts, 0)?;
            let (loss, parts) = gradients(&self.net, &batch, &labels, objective)?;
            total += loss;
            sums = Some(match sums {
                None => parts,
                Some(sums) => added(sums, parts),
            });
        }
        self.optimizer.step(&mut self.net, sums.unwrap_or_default(), rate)?;
        Ok(total)
    }

    fn state(&self) -> TrainState {
        TrainState {
            position: self.position.clone(),
            weights: self.net.parameters(),
            best: self.best.as_ref().map(Net::parameters),
            moments: self.optimizer.save(),
        }
    }
}

/// Keeps the times behind the progress line.
struct Pace {
    started: Instant,
    n_examples: usize,
    n_steps: u64,
    loss: Option<f64>,
}

impl Pace {
    fn new() -> Self {
        Self { started: Instant::now(), n_examples: 0, n_steps: 0, loss: None }
    }

    /// `loss 0.312, 512 examples/s, 1:05 left`, the loss as a moving average.
    fn note(&mut self, loss: f64, n_examples: usize, steps_left: u64) -> String {
        self.n_examples += n_examples;
        self.n_steps += 1;
        let smooth = self.loss.map_or(loss, |before| 0.9 * before + 0.1 * loss);
        self.loss = Some(smooth);
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let left = (seconds / self.n_steps as f64 * steps_left as f64).round() as u64;
        let clock = match left {
            0..3600 => format!("{}:{:02}", left / 60, left % 60),
            _ => format!("{}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60),
        };
        let rate = self.n_examples as f64 / seconds;
        let digits = if rate < 10.0 { 1 } else { 0 };
        format!("loss {smooth:.3}, {rate:.digits$} examples/s, {clock} left")
    }
}
