//! What the logs of a store say of a running release: true labels and drift, of the candidate that the registry
//! has and of the predictions that servers of this store logged. What follows from it is the gate's.

use std::path::PathBuf;

use super::{Book, drift::count_texts};
use crate::{
    error::Result,
    gate::{CandidateDrift, LoggedEvidence},
    monitor::{
        ReferenceProfile, WindowChoice, WindowCounts,
        drift::{DriftOptions, DriftTexts, compare},
        read_latest_log, read_release_labels,
    },
    progress::Monitor,
    registry::{ModelReference, Release, ReleaseKind},
};

/// What it takes to read the logs for one release; it loads no model that somebody else has loaded.
#[derive(Debug)]
pub struct ReleaseReader {
    logs_dir: PathBuf,
    /// The candidate's, in label order; empty where no F1 is asked for.
    classes: Vec<String>,
    /// The candidate's, where drift is asked for and there is one.
    profile: Option<ReferenceProfile>,
}

impl Book {
    /// What it takes to read the logs for `release`. `at_hand` are the candidate's classes, for whoever has
    /// loaded it.
    ///
    /// # Errors
    /// When the registry or the candidate's files cannot be read.
    pub fn release_reader(
        &self,
        release: &Release,
        at_hand: Option<Vec<String>>,
    ) -> Result<ReleaseReader> {
        let logs_dir = self.store().logs_dir();
        let mut reader = ReleaseReader { logs_dir, classes: Vec::new(), profile: None };
        // An A/B test needs right answers alone, and its candidate may be gone once it is over.
        let needs_classes = release.is_running() && release.bounds.min_f1.is_some();
        if !needs_classes && !release.needs_drift() {
            return Ok(reader);
        }
        let candidate = self.tracker()?.version(&release.model, release.candidate)?;
        let profile = self.kept_profile(&candidate)?.map(|found| found.profile);
        if needs_classes {
            let of_profile = || profile.as_ref().map(|profile| profile.classes.clone());
            reader.classes = match at_hand.or_else(of_profile) {
                Some(classes) => classes,
                None => self.version_classes(&release.model, release.candidate)?,
            };
        }
        reader.profile = profile.filter(|_| release.needs_drift());
        Ok(reader)
    }

    /// Refuses a bound on the drift of a version that has no reference profile: nothing could be compared.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for no such version, and for one without a profile.
    pub fn check_drift_bound(&self, model: &ModelReference) -> Result<()> {
        let version = self.tracker()?.resolve(model)?;
        match self.kept_profile(&version)? {
            Some(_) => Ok(()),
            None => Err(Self::without_profile(&version)),
        }
    }
}

impl ReleaseReader {
    /// What the newest `max_bytes` of the logs say of `release`.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn read(&self, release: &Release, max_bytes: u64) -> Result<LoggedEvidence> {
        let mut evidence = LoggedEvidence::default();
        if release.needs_labels() {
            let labels = read_release_labels(&self.logs_dir, release, &self.classes, max_bytes)?;
            evidence.labels = Some(labels);
        }
        if let Some(profile) = self.profile.as_ref().filter(|_| release.needs_drift()) {
            evidence.drift = Some(self.drift(release, profile, max_bytes)?);
        }
        Ok(evidence)
    }

    /// The drift of what the candidate was asked since the release began. An alert is noted nowhere: it is the
    /// release's, and no news about the model in Production.
    fn drift(
        &self,
        release: &Release,
        profile: &ReferenceProfile,
        max_bytes: u64,
    ) -> Result<CandidateDrift> {
        let choice = WindowChoice {
            model: release.model.clone(),
            version: release.candidate,
            from_ms: release.started_ms,
            to_ms: i64::MAX,
            is_shadow: release.kind == ReleaseKind::Shadow,
        };
        let new = || WindowCounts::new(profile, choice.clone());
        let mut window = read_latest_log(&self.logs_dir, release.started_ms, max_bytes, new)?;
        if window.n_tallied == 0 {
            count_texts(&mut window, &profile.word_counter());
        }
        let (texts, options) = (DriftTexts::default(), DriftOptions::default());
        let report = compare(profile, &window, &texts, &options, &Monitor::silent())?;
        let worst = report.signals.iter().filter(|signal| signal.level == report.verdict);
        Ok(CandidateDrift {
            level: report.verdict,
            signals: worst.map(|signal| signal.name.to_string()).collect(),
            n: window.n,
            min_n: options.min_n,
        })
    }
}
