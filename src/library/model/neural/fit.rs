//! Training one of the nets as the rest of the program sees it: a split goes in, a classifier comes
//! out, and whatever happens in between can be continued.

use std::{fs, path::Path};

use super::{
    Neural,
    config::NeuralConfig,
    device::Resolved,
    header::Fitted,
    hugging_face,
    net::{EncodedExample, Net, NetConfig},
    remote,
    tokenizer::NetTokenizer,
    training::{self, Observer, TrainState, TrainingJob},
};
use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    model::{Classifier, Device, Fit, Holdout, ModelFiles, flatten},
    progress::Monitor,
    store::write_atomically,
    text::{WordIds, WordPiece},
};

/// Padding, unknown words, and something to learn from.
const LEAST_VOCABULARY: usize = 3;

type Log<'a> = &'a mut dyn FnMut(&str, f64, u64) -> Result<()>;

/// What becomes of the states of a training.
pub struct StateKeeping<'a> {
    /// The folder for them; a state that is there already is continued.
    pub folder: Option<&'a Path>,
    /// Hears of each state that has been written there.
    pub kept: &'a mut dyn FnMut() -> Result<()>,
    /// The name of the checkpoint for people, where its folder is a copy.
    pub checkpoint_name: Option<&'a str>,
}

impl Fit for NeuralConfig {
    fn name(&self) -> &'static str {
        self.net.name()
    }

    fn check_settings(&self) -> Result<()> {
        self.check()
    }

    fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let mut value = serde_json::to_value(self).expect("settings are plain values");
        if let (Some(_), Some(settings)) = (&self.checkpoint, value.as_object_mut()) {
            // Sizes and vocabulary are the checkpoint's, whatever stands here.
            settings.retain(|key, _| key != "net" && key != "min_freq");
        }
        flatten(&value, &["net", "training"], &mut params);
        // The run's param `model` says it.
        params.retain(|(key, _)| key != "architecture");
        params
    }

    fn fit(&self, train: &Split, monitor: &Monitor, log: Log<'_>) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.train(train, monitor, log, None)?))
    }

    fn fit_resumable(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: Log<'_>,
        folder: &Path,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.train(train, monitor, log, Some(folder))?))
    }

    fn fit_validated(
        &self,
        train: &Split,
        validation: &Split,
        monitor: &Monitor,
        log: Log<'_>,
        folder: Option<&Path>,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.train_on(train, Some(validation), monitor, log, folder)?))
    }

    fn own_holdout(&self) -> Option<(f64, u64)> {
        Some((self.validation, self.training.seed))
    }

    fn recipe(&self) -> Option<serde_json::Value> {
        Some(serde_json::to_value(self).expect("settings are plain values"))
    }
}

impl NeuralConfig {
    /// Trains on `train`, of which [`NeuralConfig::validation`] is held out to choose the best epoch
    /// by. With a `folder`, states are kept there, and one that is there already is continued.
    ///
    /// # Errors
    /// As [`Fit::fit`]; also a checkpoint or a device that cannot be used.
    pub fn train(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: Log<'_>,
        folder: Option<&Path>,
    ) -> Result<Neural> {
        self.train_on(train, None, monitor, log, folder)
    }

    /// Trains here, or has it done where [`NeuralConfig::device`] says.
    fn train_on(
        &self,
        train: &Split,
        validation: Option<&Split>,
        monitor: &Monitor,
        log: Log<'_>,
        folder: Option<&Path>,
    ) -> Result<Neural> {
        if let Device::Remote(address) = self.device {
            self.check()?;
            return remote::train(self, address, (train, validation), monitor, log, folder);
        }
        let keeping = StateKeeping { folder, kept: &mut || Ok(()), checkpoint_name: None };
        self.train_by(train, validation, monitor, log, keeping)
    }

    /// [`NeuralConfig::train`]; with `validation` examples nothing of `train` is held out.
    ///
    /// # Errors
    /// As [`NeuralConfig::train`], and what [`StateKeeping::kept`] returns.
    pub fn train_by(
        &self,
        train: &Split,
        validation: Option<&Split>,
        monitor: &Monitor,
        log: Log<'_>,
        keeping: StateKeeping<'_>,
    ) -> Result<Neural> {
        let StateKeeping { folder, kept, checkpoint_name } = keeping;
        self.check()?;
        let device = self.device.resolve()?;
        // Before minutes of reading: what the device cannot do is known now.
        self.training.check(&device)?;
        let state = folder.map(resumed).transpose()?.flatten();
        let start = monitor.stage("preparing", None, || match (folder, &state) {
            (Some(folder), Some(state)) if TrainingStart::is_kept(folder) => {
                TrainingStart::again(folder, state, self.max_length, &device)
            }
            _ => {
                let mut start = self.start(train, &device)?;
                if let (Some(folder), Some(name)) = (&self.checkpoint, checkpoint_name) {
                    start.origin = start.origin.replacen(&folder.display().to_string(), name, 1);
                }
                if let Some(folder) = folder {
                    start.keep(folder)?;
                }
                Ok(start)
            }
        })?;
        let (learnt, valid) = monitor.stage("tokenizing", None, || {
            let examples = |split: &Split| examples(&start.tokenizer, split);
            Ok::<_, Error>(match validation {
                Some(validation) => (examples(train)?, examples(validation)?),
                None => {
                    let Holdout { train: learnt, valid } =
                        Holdout::new(train, self.validation, self.training.seed)?;
                    let all = examples(train)?;
                    let at = |rows: &[usize]| rows.iter().map(|row| all[*row].clone()).collect();
                    (at(&learnt), at(&valid))
                }
            })
        })?;
        let job = TrainingJob {
            settings: &self.training,
            train: &learnt,
            valid: &valid,
            resume: state.as_ref(),
        };
        let mut keeper = Keeper { log, folder, kept };
        monitor.progress.note(&format!("on {device}"));
        let outcome = training::train(start.net, &job, monitor, &mut keeper)?;
        (keeper.log)("best_epoch", outcome.best_epoch as f64, outcome.n_steps)?;
        let fitted = Fitted {
            device: device.to_string(),
            initialized_from: start.origin,
            n_train: learnt.len(),
            n_valid: valid.len(),
            best_epoch: outcome.best_epoch,
            valid_f1: outcome.best_f1,
            n_epochs: outcome.epochs.len() as u64,
            n_steps: outcome.n_steps,
            stopped_early: outcome.stopped_early,
        };
        Neural::trained(self, train.classes.clone(), start.tokenizer, outcome.net, fitted)
    }

    /// The tokenizer and the net that training begins with.
    fn start(&self, train: &Split, device: &Resolved) -> Result<TrainingStart> {
        let n_classes = train.classes.len();
        if let Some(folder) = &self.checkpoint {
            if !matches!(self.net, NetConfig::DistilBert(_)) {
                return Err(Error::invalid(format!(
                    "{} does not start from a checkpoint, only distilbert does",
                    self.name()
                )));
            }
            let (tokenizer, net, origin) = hugging_face::start(
                folder,
                &train.classes,
                self.max_length,
                self.training.seed,
                device,
            )?;
            return Ok(TrainingStart { tokenizer, net, origin });
        }
        let most = self.net.vocab_size();
        if most < LEAST_VOCABULARY {
            return Err(Error::invalid(format!(
                "vocab_size must be at least {LEAST_VOCABULARY}, found {most}: padding and unknown \
                 words need two"
            )));
        }
        let tokenizer = match &self.net {
            NetConfig::DistilBert(_) => {
                let pieces = WordPiece::train(&train.texts, most, self.max_length)?;
                NetTokenizer::WordPiece(Box::new(pieces))
            }
            NetConfig::AvgNet(_) | NetConfig::Cnn(_) | NetConfig::Lstm(_) => {
                let words = WordIds::fit(&train.texts, self.min_freq, most);
                if words.is_empty() {
                    return Err(Error::invalid(format!(
                        "no word occurs at least {} times in the {} training texts",
                        self.min_freq,
                        train.texts.len()
                    ))
                    .with_hint("--min-freq 1 keeps every word"));
                }
                NetTokenizer::Words { words, max_length: self.max_length }
            }
        };
        let sizes = self.net.clone().of_data(tokenizer.vocab_size(), n_classes);
        training::memory::check(&sizes, &self.training, 1, 1, device)?;
        let net = Net::new(sizes, self.training.seed, device)?;
        Ok(TrainingStart { tokenizer, net, origin: "random weights".to_owned() })
    }
}

/// Every example of `split` as the net reads it.
fn examples(tokenizer: &NetTokenizer, split: &Split) -> Result<Vec<EncodedExample>> {
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    let ids = tokenizer.encode(&texts)?;
    let example = |(ids, label): (Vec<u32>, &u32)| EncodedExample { ids, label: *label as usize };
    Ok(ids.into_iter().zip(&split.labels).map(example).collect())
}

/// The beginning of a training.
struct TrainingStart {
    tokenizer: NetTokenizer,
    net: Net,
    /// The origin of the weights, for people.
    origin: String,
}

/// The folder among a run's checkpoints that holds what [`TrainingStart`] is made of but for the weights.
const START_FOLDER: &str = "start";
const ORIGIN_FILE: &str = "origin.txt";

impl TrainingStart {
    /// Keeps what a later process cannot find out again: a checkpoint's folder may be gone by then,
    /// or hold another tokenizer.
    fn keep(&self, folder: &Path) -> Result<()> {
        let folder = folder.join(START_FOLDER);
        fs::create_dir_all(&folder).map_err(|source| Error::io("create", &folder, source))?;
        self.tokenizer.save(&folder)?;
        // Last: it says that the others are whole.
        write_atomically(&folder.join(ORIGIN_FILE), self.origin.as_bytes())
    }

    /// True if [`TrainingStart::keep`] has been here: runs of earlier versions kept nothing.
    fn is_kept(folder: &Path) -> bool {
        folder.join(START_FOLDER).join(ORIGIN_FILE).exists()
    }

    /// The start that was kept, with the weights of `state`.
    fn again(
        folder: &Path,
        state: &TrainState,
        max_length: usize,
        device: &Resolved,
    ) -> Result<Self> {
        let folder = folder.join(START_FOLDER);
        let tokenizer = NetTokenizer::load(&ModelFiles::in_dir(&folder)?, max_length)?;
        let net = Net::load(state.position.config.clone(), &state.weights, device)?;
        let path = folder.join(ORIGIN_FILE);
        let origin = fs::read_to_string(&path).map_err(|s| Error::io("read", &path, s))?;
        Ok(Self { tokenizer, net, origin })
    }
}

/// The state that an earlier process left in `folder`.
fn resumed(folder: &Path) -> Result<Option<TrainState>> {
    match TrainState::from_files(folder) {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hands on what the training loop has to say.
struct Keeper<'a> {
    log: Log<'a>,
    folder: Option<&'a Path>,
    kept: &'a mut dyn FnMut() -> Result<()>,
}

impl Observer for Keeper<'_> {
    fn metric(&mut self, key: &str, value: f64, step: u64) -> Result<()> {
        (self.log)(key, value, step)
    }

    fn checkpoint(&mut self, state: &TrainState) -> Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        state.to_files(folder)?;
        (self.kept)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::net::DistilBertConfig;

    #[test]
    fn params_name_sizes_only_where_no_checkpoint_brings_its_own() {
        let names = |checkpoint: Option<&str>| -> Vec<String> {
            let checkpoint = checkpoint.map(Into::into);
            let config = NeuralConfig::distilbert(DistilBertConfig::small(), checkpoint);
            config.params().into_iter().map(|(name, _)| name).collect()
        };
        let (random, loaded) = (names(None), names(Some("minilm")));
        for name in ["dim", "n_layers", "vocab_size", "min_freq"] {
            assert!(random.iter().any(|found| found == name), "{name}");
            assert!(!loaded.iter().any(|found| found == name), "{name}");
        }
        for name in ["checkpoint", "max_length", "epochs", "learning_rate"] {
            assert!(loaded.iter().any(|found| found == name), "{name}");
        }
    }
}
