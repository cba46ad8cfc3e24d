//! Measuring a trained model on what it has not learnt: the rows that were held out to choose by, and
//! the test split.

use std::time::Instant;

use super::{Book, TrainRequest, profile::evaluate_with_profile};
use crate::{
    data::Split,
    error::Result,
    evaluate::{Evaluation, evaluate_on},
    model::Classifier,
    monitor::ReferenceProfile,
    progress::Monitor,
};

/// The measurements of one model, and the seconds that they took.
pub(super) struct Measurements {
    pub(super) of_validation: Option<Evaluation>,
    pub(super) of_test: Option<Evaluation>,
    /// Of the answers to the test split.
    pub(super) profile: Option<ReferenceProfile>,
    /// Empty where the test split was not needed.
    pub(super) test_fingerprint: String,
    pub(super) read_s: f64,
    pub(super) evaluate_s: f64,
}

impl Book {
    /// Measures on the rows that were held out, and on the test split unless nothing needs it.
    pub(super) fn measure(
        &self,
        classifier: &dyn Classifier,
        validation: Option<Split>,
        request: &TrainRequest,
        monitor: &Monitor,
    ) -> Result<Measurements> {
        let mut measured = Measurements {
            of_validation: None,
            of_test: None,
            profile: None,
            test_fingerprint: String::new(),
            read_s: 0.0,
            evaluate_s: 0.0,
        };
        let clock = Instant::now();
        let stage =
            |split: &Split| monitor.stage("evaluating", None, || evaluate_on(classifier, split));
        measured.of_validation = validation.as_ref().map(stage).transpose()?;
        measured.evaluate_s = clock.elapsed().as_secs_f64();
        drop(validation);
        // Without a version to judge nothing is in need of the test split.
        if measured.of_validation.is_none() || request.model.is_some() {
            let clock = Instant::now();
            let test = self.datasets().split(&request.dataset, "test")?;
            measured.read_s = clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            let (evaluation, profile) = monitor.stage("evaluating", None, || {
                evaluate_with_profile(classifier, &request.dataset, &test)
            })?;
            measured.evaluate_s += clock.elapsed().as_secs_f64();
            measured.of_test = Some(evaluation);
            measured.profile = Some(profile);
            measured.test_fingerprint = test.fingerprint.sha256;
        }
        Ok(measured)
    }
}
