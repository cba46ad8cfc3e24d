//! Measuring a trained model on what it has not learnt: the rows that were held out to choose by, and
//! the test split.

use std::time::Instant;

use super::{Book, TrainRequest};
use crate::{
    data::Split,
    error::Result,
    evaluate::{Evaluation, evaluate_on},
    model::Classifier,
    progress::Monitor,
};

/// The measurements of one model, and the seconds that they took.
pub(super) struct Judgement {
    pub(super) of_validation: Option<Evaluation>,
    pub(super) of_test: Option<Evaluation>,
    /// Empty where the test split was not needed.
    pub(super) test_fingerprint: String,
    pub(super) read_s: f64,
    pub(super) evaluate_s: f64,
}

impl Book {
    /// Measures on the rows that were held out, and on the test split unless nothing needs it.
    pub(super) fn judge(
        &self,
        classifier: &dyn Classifier,
        validation: Option<Split>,
        request: &TrainRequest,
        monitor: &Monitor,
    ) -> Result<Judgement> {
        let mut judged = Judgement {
            of_validation: None,
            of_test: None,
            test_fingerprint: String::new(),
            read_s: 0.0,
            evaluate_s: 0.0,
        };
        let mut on = |split: &Split| {
            let clock = Instant::now();
            let evaluated = monitor.stage("evaluating", None, || evaluate_on(classifier, split));
            judged.evaluate_s += clock.elapsed().as_secs_f64();
            evaluated
        };
        judged.of_validation = validation.as_ref().map(&mut on).transpose()?;
        drop(validation);
        // Without a version to judge nothing is in need of the test split.
        if judged.of_validation.is_none() || request.model.is_some() {
            let clock = Instant::now();
            let test = self.datasets().split(&request.dataset, "test")?;
            judged.read_s = clock.elapsed().as_secs_f64();
            judged.of_test = Some(on(&test)?);
            judged.test_fingerprint = test.fingerprint.sha256;
        }
        Ok(judged)
    }
}
