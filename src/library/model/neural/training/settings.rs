//! The settings of a net's training; refuses what cannot work before anything is loaded.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    model::{
        ClassWeight,
        neural::{device::Resolved, net::Precision},
    },
};

/// The settings of the training of a net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training examples, at most. Default 3.
    pub epochs: u64,
    /// Examples of one forward pass. Default 32.
    pub batch_size: usize,
    /// Highest learning rate, a step. Default 1e-3; 2e-5 to 5e-5 is usual for a pretrained encoder.
    pub learning_rate: f64,
    /// Share of all steps in which the learning rate rises to its height. Default 0.1.
    pub warmup_ratio: f64,
    /// AdamW's weight decay, of weights only: never of biases and norms. Default 0.01.
    pub weight_decay: f64,
    /// Largest norm of all gradients together. Default 1.0.
    pub clip_norm: f64,
    /// Batches whose gradients make one step. Default 1.
    pub accumulation: usize,
    /// Share of each target that is spread over all classes. Default 0.
    pub label_smoothing: f64,
    /// The weight of an example of each class in the loss, by the training examples that are
    /// learnt. Default: every example the same.
    pub class_weight: ClassWeight,
    /// Epochs without a better F1 after which training stops; `None` never stops early. Default
    /// `None`.
    pub patience: Option<u64>,
    /// Steps between checkpoints, besides the one after each epoch. Default `None`.
    pub checkpoint_every: Option<u64>,
    /// Number format of the products; other than f32 only on GPUs. Default f32.
    pub precision: Precision,
    /// Decides new weights, the order of examples and dropout. Default 42.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 3,
            batch_size: 32,
            learning_rate: 1e-3,
            warmup_ratio: 0.1,
            weight_decay: 0.01,
            clip_norm: 1.0,
            accumulation: 1,
            label_smoothing: 0.0,
            class_weight: ClassWeight::Uniform,
            patience: None,
            checkpoint_every: None,
            precision: Precision::F32,
            seed: 42,
        }
    }
}

impl TrainSettings {
    /// # Errors
    /// [`crate::error::ErrorKind::Invalid`] with the first setting that cannot work.
    pub fn check(&self, device: &Resolved) -> Result<()> {
        let fail = |what: String| Err(Error::invalid(what));
        for (name, count) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size as u64),
            ("accumulation", self.accumulation as u64),
            ("patience", self.patience.unwrap_or(1)),
            ("checkpoint_every", self.checkpoint_every.unwrap_or(1)),
        ] {
            if count == 0 {
                return fail(format!("{name} must be at least 1, found 0"));
            }
        }
        for (name, number) in [("learning_rate", self.learning_rate), ("clip_norm", self.clip_norm)]
        {
            if !(number > 0.0 && number.is_finite()) {
                return fail(format!("{name} must be a number above 0, found {number}"));
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return fail(format!(
                "weight_decay must be a number of at least 0, found {}",
                self.weight_decay
            ));
        }
        for (name, share) in
            [("warmup_ratio", self.warmup_ratio), ("label_smoothing", self.label_smoothing)]
        {
            if !(0.0..1.0).contains(&share) {
                return fail(format!("{name} must be at least 0 and below 1, found {share}"));
            }
        }
        if let ClassWeight::Given(weights) = &self.class_weight
            && let Some(wrong) =
                weights.iter().find(|weight| !(**weight > 0.0 && weight.is_finite()))
        {
            return fail(format!("class_weight must be numbers above 0, found {wrong}"));
        }
        self.precision.check(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Device;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        let device = Device::Cpu.resolve().unwrap();
        TrainSettings::default().check(&device).unwrap();
        let check = |settings: TrainSettings, part: &str| {
            let error = settings.check(&device).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        let base = TrainSettings::default;
        check(TrainSettings { epochs: 0, ..base() }, "epochs must be at least 1");
        check(TrainSettings { patience: Some(0), ..base() }, "patience must be at least 1");
        check(TrainSettings { learning_rate: f64::NAN, ..base() }, "learning_rate");
        check(TrainSettings { weight_decay: -0.1, ..base() }, "weight_decay");
        let class_weight = ClassWeight::Given(vec![1.0, 0.0]);
        check(TrainSettings { class_weight, ..base() }, "class_weight must be numbers above 0");
        check(
            TrainSettings { warmup_ratio: 1.0, ..base() },
            "warmup_ratio must be at least 0 and below 1",
        );
        check(TrainSettings { precision: Precision::Bf16, ..base() }, "works on GPUs only");
    }
}
