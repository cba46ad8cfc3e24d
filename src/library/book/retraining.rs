//! The facts by which a rule decides whether a model is to be trained again: how long drift has been an alert,
//! how right the answers were, and which labels came since the last time.

use super::Book;
use crate::{
    error::{ErrorKind, Result},
    evaluate::SignalLevel,
    gate::{RetrainFacts, RetrainRule},
    monitor::{
        Arm, PerformanceRequest, ReferenceProfile, WindowSize,
        drift::{DriftOptions, DriftTexts, compare},
        read_labels, visit_predictions,
    },
    progress::Monitor,
    registry::{ModelVersion, Registry},
};

impl Book {
    /// What `rule` decides by about `version`, the one in Production, at `now_ms`. When a rule last trained the
    /// model, the `trail` says.
    ///
    /// # Errors
    /// A version without a reference profile where the rule asks for drift; when the logs or the registry
    /// cannot be read; [`ErrorKind::Interrupted`].
    pub fn retrain_facts(
        &self,
        rule: &RetrainRule,
        version: &ModelVersion,
        trail: &Registry,
        now_ms: i64,
        monitor: &Monitor,
    ) -> Result<RetrainFacts> {
        let last_ms = trail.last_retraining(&version.model)?;
        let n_alerts = match rule.drift {
            Some(drift) => {
                let profile = self.reference_profile(version)?.profile;
                let window_ms = drift.window.millis();
                let mut n = 0;
                while n < drift.windows
                    && self.was_alert(version, &profile, now_ms, (n as i64, window_ms), monitor)?
                {
                    n += 1;
                }
                n
            }
            None => 0,
        };
        let (f1, n_labels) = match rule.min_f1 {
            Some(_) => self.labelled_f1(version, now_ms.saturating_sub(rule.window.millis()))?,
            None => (None, 0),
        };
        let n_new_labels = self.labels_since(&version.model, last_ms)?;
        Ok(RetrainFacts { n_alerts, f1, n_labels, n_new_labels, last_ms })
    }

    /// True if drift was an alert in one window: the newest is number 0, the one before it 1. One with too
    /// few predictions was none.
    fn was_alert(
        &self,
        version: &ModelVersion,
        profile: &ReferenceProfile,
        now_ms: i64,
        (number, window_ms): (i64, i64),
        monitor: &Monitor,
    ) -> Result<bool> {
        let to_ms = now_ms.saturating_sub(number.saturating_mul(window_ms));
        // The newest one has what is logged this very moment.
        let end_ms = if number == 0 { i64::MAX } else { to_ms };
        let times = to_ms.saturating_sub(window_ms)..end_ms;
        let window = match self.logged_window(version, profile, times) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let options = DriftOptions::default();
        let report = compare(profile, &window, &DriftTexts::default(), &options, monitor)?;
        Ok(report.verdict == SignalLevel::Alert)
    }

    /// The F1 of the labelled answers of a version since then, and the number of labels.
    fn labelled_f1(&self, version: &ModelVersion, from_ms: i64) -> Result<(Option<f64>, usize)> {
        let request = PerformanceRequest {
            model: Some(version.model.clone()),
            from_ms,
            window: WindowSize::Milliseconds(i64::MAX),
            latest_bytes: None,
        };
        let report = self.performance(&request)?;
        let own = report
            .versions
            .iter()
            .find(|line| line.version == version.version && line.arm == Arm::Production);
        Ok(own.map_or((None, 0), |line| {
            let measured = line.overall.measured.as_ref().map(|measured| measured.f1.value);
            (measured, usize::try_from(line.overall.n_labelled).unwrap_or(usize::MAX))
        }))
    }

    /// Labelled texts of a model whose labels were said after `since_ms`.
    fn labels_since(&self, model: &str, since_ms: Option<i64>) -> Result<usize> {
        let dir = self.store().logs_dir();
        let (labels, _) = read_labels(&dir)?;
        if labels.is_empty() {
            return Ok(0);
        }
        let mut n = 0;
        visit_predictions(&dir, |record| {
            let truth = labels.truth(&record.request_id, record.index);
            let is_new = truth
                .is_some_and(|truth| since_ms.is_none_or(|since_ms| truth.timestamp_ms > since_ms));
            n += usize::from(is_new && record.model == model && record.arm != Arm::Shadow);
            Ok(())
        })?;
        Ok(n)
    }
}
