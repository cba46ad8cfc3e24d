//! True labels as a server takes them: each is matched with the prediction that it is about, checked against
//! the classes of the model, and kept on the disk before anybody hears of it. One without a prediction is
//! kept too: the prediction may become visible later.

use std::path::PathBuf;

use trialbook::{
    error::Result,
    monitor::{GivenLabel, LabelLog, LabelOutcome},
};

use super::{outcome::FeedbackOutcome, recent::LoggedRequests, slot::ModelSlot};

/// The log of labels of a server's store, and what is known of its predictions.
pub(crate) struct Feedback {
    logs_dir: PathBuf,
    log: LabelLog,
    logged: LoggedRequests,
}

/// What became of a label, and why where it does not count so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedbackAnswer {
    pub(crate) outcome: FeedbackOutcome,
    pub(crate) error: Option<String>,
}

impl FeedbackAnswer {
    pub(crate) fn refused(error: impl Into<String>) -> Self {
        Self { outcome: FeedbackOutcome::Refused, error: Some(error.into()) }
    }
}

impl Feedback {
    /// The labels of predictions that are logged in the folder `logs_dir`.
    pub(crate) fn new(logs_dir: PathBuf) -> Self {
        Self { log: LabelLog::new(&logs_dir), logs_dir, logged: LoggedRequests::default() }
    }

    /// Keeps those of `labels` that are well formed and name a class of the model that was asked, one of
    /// `slots`, and says what became of each.
    ///
    /// # Errors
    /// When the disk refuses; then none of them is acknowledged.
    pub(crate) fn take(
        &self,
        slots: &[ModelSlot],
        labels: Vec<Result<GivenLabel>>,
    ) -> Result<Vec<FeedbackAnswer>> {
        let models = self.models(slots, &labels)?;
        let mut answers: Vec<Option<FeedbackAnswer>> = Vec::with_capacity(labels.len());
        let mut kept = Vec::new();
        for (label, model) in labels.into_iter().zip(&models) {
            let checked = label
                .and_then(|label| check_class(slots, model.as_deref(), &label).map(|()| label));
            answers.push(match checked {
                Ok(label) => {
                    kept.push(label);
                    None
                }
                Err(error) => Some(FeedbackAnswer::refused(error.to_string())),
            });
        }
        let mut outcomes = match kept.is_empty() {
            true => Vec::new(),
            false => self.log.keep(kept)?,
        }
        .into_iter();
        let answers = answers.into_iter().zip(models).map(|(answer, model)| {
            answer.unwrap_or_else(|| {
                let outcome = outcomes.next().unwrap_or(LabelOutcome::Unchanged);
                match model {
                    Some(_) => FeedbackAnswer { outcome: outcome.into(), error: None },
                    None => FeedbackAnswer {
                        outcome: FeedbackOutcome::Unmatched,
                        error: Some(UNMATCHED.to_owned()),
                    },
                }
            })
        });
        Ok(answers.collect())
    }

    /// The model that predicted the text of each label, where that is known.
    fn models(
        &self,
        slots: &[ModelSlot],
        labels: &[Result<GivenLabel>],
    ) -> Result<Vec<Option<String>>> {
        let mut models: Vec<Option<String>> = labels
            .iter()
            .map(|label| {
                let label = label.as_ref().ok()?;
                let slot = slots
                    .iter()
                    .find(|slot| slot.monitor().knows(&label.request_id, label.index))?;
                Some(slot.name().to_owned())
            })
            .collect();
        let missing: Vec<usize> = (0..labels.len())
            .filter(|idx| models[*idx].is_none() && labels[*idx].is_ok())
            .collect();
        if missing.is_empty() {
            return Ok(models);
        }
        let texts: Vec<(&str, u32)> = missing
            .iter()
            .filter_map(|idx| labels[*idx].as_ref().ok())
            .map(|label| (label.request_id.as_str(), label.index))
            .collect();
        for (idx, model) in missing.into_iter().zip(self.logged.models(&self.logs_dir, &texts)?) {
            models[idx] = model;
        }
        Ok(models)
    }
}

const UNMATCHED: &str = "no prediction of this request and index is known here; the label is kept, and counts \
                         once the prediction is found in the log";

/// Checks that a label is a class of the model that predicted its text, as far as both are known here.
fn check_class(slots: &[ModelSlot], model: Option<&str>, given: &GivenLabel) -> Result<()> {
    let (Some(model), Some(label)) = (model, &given.label) else { return Ok(()) };
    let slot = slots.iter().find(|slot| slot.name() == model);
    let Some(served) = slot.and_then(|slot| slot.served().ok()) else { return Ok(()) };
    let classes = served.classifier.classes();
    match classes.contains(label) {
        true => Ok(()),
        false => Err(trialbook::Error::invalid(format!(
            "label {label:?} is no class of {model}: expected one of {}",
            classes.join(", ")
        ))),
    }
}
