//! The facts by which a rule decides whether a model is to be trained again: how long drift has been an alert,
//! how right the answers were, and which labels came since the last time.

use std::ops::RangeInclusive;

use super::Book;
use crate::{
    data::LabelledTexts,
    error::{ErrorKind, Result},
    evaluate::SignalLevel,
    gate::{RetrainFacts, RetrainRule},
    monitor::{
        Arm, PerformanceRequest, ReferenceProfile, SampleBy, TrueLabel, TrueLabels, WindowSize,
        drift::{DriftOptions, DriftTexts, compare},
        measure_performance, read_labels,
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
        let last = trail.last_retraining(&version.model)?;
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
        let since_ms = last.learnt_ms.map_or(i64::MIN, |learnt_ms| learnt_ms.saturating_add(1));
        // A label of the future, of a clock that was ahead, would be news after every training.
        let times = since_ms..=now_ms.saturating_add(CLOCK_MARGIN_MS);
        let n_new_labels = self.learnable(rule, version, times)?;
        let release = self.tracker()?.release(&version.model)?;
        let is_releasing = release.is_some_and(|release| release.is_running());
        let last_ms = last.began_ms;
        Ok(RetrainFacts { n_alerts, f1, n_labels, n_new_labels, is_releasing, last_ms })
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

    /// The F1 of the labelled answers of a version since then, and the number of labels. Labels of texts that were
    /// picked because the model is unsure of them, or versions disagree, are left out: on those it is low by
    /// construction.
    fn labelled_f1(&self, version: &ModelVersion, from_ms: i64) -> Result<(Option<f64>, usize)> {
        let dir = self.store().logs_dir();
        let (all, _) = read_labels(&dir)?;
        let mut labels = TrueLabels::default();
        let is_fair = |label: &&TrueLabel| label.sampled_by.is_none_or(|by| by == SampleBy::Random);
        all.iter().filter(is_fair).for_each(|label| labels.tell(label.clone()));
        let request = PerformanceRequest {
            model: Some(version.model.clone()),
            from_ms,
            window: WindowSize::Milliseconds(i64::MAX),
            latest_bytes: None,
        };
        let classes = |model: &str, version: u32| self.version_classes(model, version);
        let report = measure_performance(&dir, &labels, &request, classes)?;
        let own = report
            .versions
            .iter()
            .find(|line| line.version == version.version && line.arm == Arm::Production);
        Ok(own.map_or((None, 0), |line| {
            let measured = line.overall.measured.as_ref().map(|measured| measured.f1.value);
            (measured, usize::try_from(line.overall.n_labelled).unwrap_or(usize::MAX))
        }))
    }

    /// Labelled texts whose labels were said in these `times` and that the version's training split lacks.
    fn learnable(
        &self,
        rule: &RetrainRule,
        version: &ModelVersion,
        times: RangeInclusive<i64>,
    ) -> Result<usize> {
        let gathered = self.labelled_texts(&version.model, times, rule.texts.as_deref())?;
        if gathered.by_text.is_empty() || version.lineage.dataset.is_empty() {
            return Ok(gathered.by_text.len());
        }
        let (texts, labels) =
            gathered.by_text.into_iter().map(|(text, one)| (text, one.label)).unzip();
        let origin = format!("true labels of {}", version.model);
        let rows = LabelledTexts { origin, texts, labels, columns: Vec::new() };
        self.datasets().n_new_to(&version.lineage.dataset, rows)
    }
}
