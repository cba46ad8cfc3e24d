//! The source of one model's versions: the one that the registry wants to answer, and that one
//! loaded and warmed up. When to look again is the follower's business.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use trialbook::{
    error::{Error, ErrorKind, Result},
    model::{self, ModelFiles},
    monitor::{PROFILE_FILE, ReferenceProfile, WordCounter},
    registry::{ModelVersion, Release, Tracker},
};

use super::served::{ModelInfo, ServedModel};

/// The text that a new model predicts before anyone asks it: first calls touch weights and start threads.
const WARM_UP: &str = "An utterly wonderful film, and a waste of an evening.";

/// The time between two looks at the store's own registry. One look costs some ten microseconds.
const OWN_INTERVAL: Duration = Duration::from_millis(500);
/// The time between two looks at a registry that a server keeps: a promotion there is followed after at most this
/// and the time of one answer.
const SERVER_INTERVAL: Duration = Duration::from_secs(2);
/// The same for releases, while one runs.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);

/// The words of the reference profile among `files`. A version answers without one too.
fn words(files: &ModelFiles) -> Option<WordCounter> {
    let bytes = std::fs::read(files.path(PROFILE_FILE).ok()?).ok()?;
    match ReferenceProfile::from_json(&bytes) {
        Ok(profile) => Some(profile.word_counter()),
        Err(error) => {
            tracing::warn!(error = error.chain(), "words are not counted for drift");
            None
        }
    }
}

/// The source of one model's versions.
pub(crate) struct Source {
    registry: Arc<dyn Tracker>,
    model: String,
    interval: Duration,
    /// Stays with this version, whatever is in production.
    pin: Option<u32>,
}

impl Source {
    /// The model of `registry`, which is a server's if it `is_remote`.
    pub(crate) fn new(
        registry: Arc<dyn Tracker>,
        is_remote: bool,
        model: &str,
        pin: Option<u32>,
    ) -> Self {
        let interval = if is_remote { SERVER_INTERVAL } else { OWN_INTERVAL };
        Self { registry, model: model.to_owned(), interval, pin }
    }

    /// The time to wait between two looks.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// The time to wait between two looks at releases, while one runs here or while none does.
    pub(crate) fn release_interval(&self, runs: bool) -> Duration {
        if runs { self.interval.min(RELEASE_INTERVAL) } else { self.interval }
    }

    /// The version that was in Production when the registry was last asked, for a start while it is
    /// away.
    pub(crate) fn remembered(&self) -> Option<ModelVersion> {
        let remembered = self.registry.remembered_production(&self.model)?;
        self.pin.is_none_or(|pin| pin == remembered.version).then_some(remembered)
    }

    /// The version that it stays with, if it stays with one.
    pub(crate) fn pin(&self) -> Option<u32> {
        self.pin
    }

    /// The version that should answer, if there is one.
    ///
    /// # Errors
    /// When the registry cannot be read; [`ErrorKind::NotFound`] for a pinned version that is not
    /// there.
    pub(crate) fn wanted(&self) -> Result<Option<ModelVersion>> {
        match self.pin {
            Some(version) => self.registry.version(&self.model, version).map(Some),
            None => match self.registry.production(&self.model) {
                // The model may be registered later.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                found => found,
            },
        }
    }

    /// The newest release of the model; none for a server that stays with one version.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(crate) fn release(&self) -> Result<Option<Release>> {
        match self.pin {
            Some(_) => Ok(None),
            None => self.registry.release(&self.model),
        }
    }

    /// The version that a release tries, loaded and warmed up.
    ///
    /// # Errors
    /// As [`Source::load`], and when there is no such version.
    pub(crate) fn candidate(&self, release: &Release) -> Result<ServedModel> {
        self.load(&self.registry.version(&self.model, release.candidate)?)
    }

    /// The registry, for what a release makes of what was counted.
    pub(crate) fn registry(&self) -> &dyn Tracker {
        &*self.registry
    }

    /// Why no version is wanted, where it takes more than a promotion to change that. It names no
    /// other model: everyone may ask for a server's health.
    pub(crate) fn absence(&self) -> Option<String> {
        let error = self.registry.model(&self.model).err()?;
        (error.kind() == ErrorKind::NotFound).then(|| format!("there is no model {:?}", self.model))
    }

    /// `version`, loaded and warmed up.
    ///
    /// # Errors
    /// When its files are not what was written, or it cannot predict.
    pub(crate) fn load(&self, version: &ModelVersion) -> Result<ServedModel> {
        // It names the version itself.
        let files = self.registry.model_files(version)?;
        let load = || {
            let classifier = model::load(&files)?;
            classifier.predict(&[WARM_UP])?;
            Ok(ServedModel {
                classifier: classifier.into(),
                info: ModelInfo::from(version).into(),
                words: words(&files),
            })
        };
        let outcome = catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the model panicked while it was loaded"))
        });
        outcome.map_err(|error| {
            error.with_context(format!("model {:?} version {}", self.model, version.version))
        })
    }
}
