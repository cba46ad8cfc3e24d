//! Everything a run needs to be continued as if it had never stopped.
//!
//! No generator's state is kept: the order of an epoch and the dropout of a step are decided by the
//! run's seed and the epoch's or step's number.

use serde::{Deserialize, Serialize};

use super::{Evaluation, TrainSettings};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{net::NetConfig, tensors::Tensors},
};

/// One epoch that is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: u64,
    /// Steps taken by its end.
    pub step: u64,
    /// Mean loss of its steps, with dropout.
    pub train_loss: f64,
    /// On the validation examples.
    pub valid: Evaluation,
}

/// AdamW's two moments of one parameter, in the order the device keeps its weights in.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Decaying mean of the gradients.
    pub mean: Vec<f32>,
    /// Decaying mean of their squares.
    pub square: Vec<f32>,
}

/// The state of a run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The numbers.
    pub position: Position,
    /// The weights now.
    pub weights: Tensors,
    /// The weights of the best epoch, once there is one.
    pub best: Option<Tensors>,
    /// Of every parameter, in the order of [`Net::expected`](crate::model::neural::net::Net::expected).
    pub moments: Vec<Moments>,
}

/// The part of a [`TrainState`] that is not tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The net that is trained.
    pub config: NetConfig,
    /// The settings of the run.
    pub settings: TrainSettings,
    /// Says which training examples, in which order.
    pub data: u64,
    /// Steps taken.
    pub step: u64,
    /// The epoch the next step belongs to, counted from 0.
    pub epoch: u64,
    /// Steps of that epoch already taken.
    pub step_of_epoch: u64,
    /// Sum of the losses of those steps.
    pub epoch_loss: f64,
    /// Every epoch that is over.
    pub epochs: Vec<EpochReport>,
}

impl Position {
    /// The report of the best epoch: the first with the highest F1.
    pub(super) fn best(&self) -> Option<&EpochReport> {
        self.epochs.iter().reduce(
            |best, epoch| {
                if epoch.valid.f1 > best.valid.f1 { epoch } else { best }
            },
        )
    }

    /// Checks that a run of `config`, `settings` and `data` continues from here.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with what differs.
    pub(super) fn check(
        &self,
        config: &NetConfig,
        settings: &TrainSettings,
        data: u64,
    ) -> Result<()> {
        let conflict = |what: String| {
            Err(Error::new(ErrorKind::Conflict, format!("cannot continue the run: {what}"))
                .with_hint("resume with the run's own settings and data, or start a new run"))
        };
        if self.config != *config {
            return conflict(format!("its net is {:?}, this one is {config:?}", self.config));
        }
        if self.settings != *settings {
            return conflict(format!(
                "its settings are {:?}, these are {settings:?}",
                self.settings
            ));
        }
        if self.data != data {
            return conflict("the training examples are not the ones it started with".into());
        }
        Ok(())
    }
}
