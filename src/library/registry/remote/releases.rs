//! Releases on a server, which has no place for them: two tags of the model, its newest release and that
//! one's end. Whoever changes one reads first and reads again; what was ended stays ended, whatever a slower
//! replica writes.

use serde_json::Value;

use super::{
    RemoteRegistry,
    tags::{self, RELEASE_END_TAG, RELEASE_TAG, text},
};
use crate::{
    actor, clock,
    error::{Error, ErrorKind, Result},
    registry::{
        release::{NewRelease, Release, ReleaseEnd},
        releases::{begun, ended, running, stepped},
    },
};

impl RemoteRegistry {
    pub(super) fn newest_release(&self, model: &str) -> Result<Option<Release>> {
        let found = match self.model_called(model) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        tags::release(&found.tags, model)
    }

    pub(super) fn begin_release(&self, new: NewRelease) -> Result<Release> {
        self.version_numbered(&new.model, new.candidate)?;
        let production = self.in_production(&new.model)?.map(|found| found.version);
        let last = self.newest_release(&new.model)?;
        let release = begun(new, production, last, &who(), clock::now_ms())?;
        self.tag(&release.model, None, RELEASE_TAG, Some(&text(&release)))?;
        self.still(&release)
    }

    pub(super) fn step_release(
        &self,
        model: &str,
        id: &str,
        from_step_idx: usize,
        evidence: Value,
    ) -> Result<Release> {
        let release = running(self.newest_release(model)?, model, Some(id))?;
        let release = stepped(release, from_step_idx, evidence, clock::now_ms())?;
        self.tag(model, None, RELEASE_TAG, Some(&text(&release)))?;
        self.still(&release)
    }

    pub(super) fn finish_release(
        &self,
        model: &str,
        id: Option<&str>,
        end: ReleaseEnd,
    ) -> Result<Release> {
        let release = running(self.newest_release(model)?, model, id)?;
        let release = ended(release, end, &who(), clock::now_ms());
        self.tag(model, None, RELEASE_END_TAG, Some(&text(&release)))?;
        self.still(&release)
    }

    /// `release`, once the server says the same.
    fn still(&self, release: &Release) -> Result<Release> {
        let found = self.newest_release(&release.model)?;
        match found {
            Some(found) if found.id == release.id => Ok(found),
            found => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "release {} of model {:?} was written, and somebody else wrote {} at the same time",
                    release.number,
                    release.model,
                    found.map_or_else(
                        || "none".to_owned(),
                        |found| format!("one of version {}", found.candidate)
                    )
                ),
            )),
        }
    }
}

fn who() -> String {
    format!("{}@{}", actor::user(), actor::host())
}
