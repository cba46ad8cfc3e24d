//! The facts by which a rule decides whether a model is to be trained again: how long drift has been an alert,
//! how right the answers were, and which labels came since the last time.

use std::ops::{Bound, RangeBounds as _};

use super::Book;
use crate::{
    error::{ErrorKind, Result},
    evaluate::SignalLevel,
    gate::{RetrainFacts, RetrainRule},
    monitor::{
        Arm, PerformanceMeter, PerformanceRequest, ReferenceProfile, WindowSize,
        drift::{DriftOptions, DriftTexts, compare},
        read_labels, visit_predictions,
    },
    progress::Monitor,
    registry::{ModelVersion, Registry},
};

/// The clocks of those who label and of this machine differ by no more.
const CLOCK_MARGIN_MS: i64 = 10 * 60_000;

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
        let labelled = self.labelled_facts(rule, version, last_ms, now_ms)?;
        Ok(RetrainFacts { n_alerts, last_ms, ..labelled })
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

    /// What labels say: how right the answers of `version` were, where `rule` asks for it, and the number of
    /// labels of its model that were said after `last_ms`. The log is gone through once.
    fn labelled_facts(
        &self,
        rule: &RetrainRule,
        version: &ModelVersion,
        last_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<RetrainFacts> {
        let dir = self.store().logs_dir();
        let (labels, _) = read_labels(&dir)?;
        let mut facts = RetrainFacts::default();
        if labels.is_empty() {
            return Ok(facts);
        }
        let request = PerformanceRequest {
            model: Some(version.model.clone()),
            from_ms: now_ms.saturating_sub(rule.window.millis()),
            window: WindowSize::Milliseconds(i64::MAX),
            latest_bytes: None,
        };
        let classes = |model: &str, version: u32| self.version_classes(model, version);
        let mut meter = rule.min_f1.map(|_| PerformanceMeter::new(&labels, &request, classes));
        // A label of the future, of a clock that was ahead, would be news after every training.
        let news = (
            last_ms.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Included(now_ms.saturating_add(CLOCK_MARGIN_MS)),
        );
        visit_predictions(&dir, None, |record| {
            if let Some(meter) = &mut meter {
                meter.add(record);
            }
            if record.model == version.model && record.arm != Arm::Shadow {
                let truth = labels.truth(record.request_id, record.index);
                let is_new = truth.is_some_and(|truth| news.contains(&truth.timestamp_ms));
                facts.n_new_labels += usize::from(is_new);
            }
            Ok(())
        })?;
        let Some(meter) = meter else { return Ok(facts) };
        let report = meter.finish()?;
        let own = report
            .versions
            .iter()
            .find(|line| line.version == version.version && line.arm == Arm::Production);
        if let Some(line) = own {
            facts.f1 = line.overall.measured.as_ref().map(|measured| measured.f1.value);
            facts.n_labels = usize::try_from(line.overall.n_labelled).unwrap_or(usize::MAX);
        }
        Ok(facts)
    }
}
