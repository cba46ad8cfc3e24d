//! The place of a store's artifacts: the folder `artifacts`, or S3-compatible storage, which a file of
//! that name says then. Older programs find no folder there and refuse to write one. The storage has a
//! mark of its own that says which store it belongs to, so that no store removes what another one needs.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    s3::{Bucket, S3Url},
    store::{STORE_ARTIFACTS_ENV, Store, sync_dir, temporary_file},
};

/// The object that says whose artifacts lie beside it.
const MARK: &str = "store.json";
/// The newest layout this build reads and the one it writes, of the file and of the mark.
const SCHEMA_VERSION: u32 = 1;

/// The content of the file `artifacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArtifactLocation {
    schema_version: u32,
    url: String,
    /// The store's own name for itself: 32 hex digits.
    store: String,
}

/// The content of the mark.
#[derive(Debug, Serialize, Deserialize)]
struct StoreMark {
    schema_version: u32,
    store: String,
}

impl ArtifactLocation {
    /// The place that the store says, or that it is asked to keep its artifacts at from now on; none for
    /// its own folder.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if they lie elsewhere already, or another store's lie there; when the
    /// storage refuses. Then the store is as it was.
    pub(super) fn of(store: &Store) -> Result<Option<Self>> {
        match store.wanted_artifacts() {
            None => Self::read(&store.artifacts_dir()),
            Some(wanted) => Self::settled(store, wanted, Bucket::connect).map(Some),
        }
    }

    /// The place `wanted`, which becomes the store's unless it has another one; `connect` is how it is
    /// reached.
    pub(super) fn settled(
        store: &Store,
        wanted: &S3Url,
        connect: impl FnOnce(&S3Url) -> Result<Bucket>,
    ) -> Result<Self> {
        let path = store.artifacts_dir();
        let wanted = wanted.without_slash();
        match Self::read(&path)? {
            Some(found) if found.url()? == wanted => return Ok(found),
            Some(found) => return Err(elsewhere(store, &wanted, &found.url)),
            None => {}
        }
        let made = Self {
            schema_version: SCHEMA_VERSION,
            url: wanted.to_string(),
            store: uuid::Uuid::new_v4().simple().to_string(),
        };
        store.make_dir(store.root())?;
        if !made.write(store, &path)? {
            // Another process was faster.
            return match Self::read(&path)? {
                Some(found) if found.url()? == wanted => Ok(found),
                Some(found) => Err(elsewhere(store, &wanted, &found.url)),
                None => Err(elsewhere(store, &wanted, "the folder `artifacts`")),
            };
        }
        if let Err(error) = connect(&wanted).and_then(|bucket| made.claim(&bucket)) {
            // The storage was not reached or is another store's: what was there before is there again.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(made)
    }

    /// The URL below which the artifacts lie.
    pub(super) fn url(&self) -> Result<S3Url> {
        self.url.parse()
    }

    /// Says in the storage that it is this store's, unless it says so.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it is another store's; when the storage refuses.
    pub(super) fn claim(&self, bucket: &Bucket) -> Result<()> {
        let mark = StoreMark { schema_version: SCHEMA_VERSION, store: self.store.clone() };
        let json = serde_json::to_vec(&mark).expect("plain values");
        let found = match bucket.small(MARK)? {
            Some(found) => found,
            None if bucket.create_small(MARK, &json)? => return Ok(()),
            None => bucket.small(MARK)?.unwrap_or_default(),
        };
        let found: Option<StoreMark> = serde_json::from_slice(&found).ok();
        if found.is_some_and(|found| found.store == self.store) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("{} holds the artifacts of another store", self.url),
        )
        .with_hint(format!(
            "name another prefix; if the other store is gone for good, remove {} first",
            bucket.url(MARK)
        )))
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) if path.is_dir() => return Ok(None),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let damaged = |what: String| {
            Error::new(
                ErrorKind::Corrupt,
                format!("{path:?} does not say where artifacts lie: {what}"),
            )
            .with_hint("bring the file back from a copy of the store's folder")
        };
        let found: Self =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if found.schema_version > SCHEMA_VERSION {
            return Err(Error::invalid(format!(
                "{path:?} has schema {}, this build reads 1 to {SCHEMA_VERSION}",
                found.schema_version
            ))
            .with_hint("a newer trialbook wrote it: update this one"));
        }
        Ok(Some(found))
    }

    /// Makes the file, durably; false if a file or a folder with artifacts is in its place.
    fn write(&self, store: &Store, path: &Path) -> Result<bool> {
        // A folder that holds nothing is no place yet; the others stay.
        let _ = fs::remove_dir(path);
        let fail = |source| Error::io("write", path, source);
        let mut temporary = temporary_file(store.root()).map_err(fail)?;
        let json = serde_json::to_vec_pretty(self).expect("plain values");
        temporary.write_all(&json).map_err(fail)?;
        temporary.as_file().sync_all().map_err(fail)?;
        match temporary.persist_noclobber(path) {
            Ok(_) => sync_dir(store.root()).map(|()| true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(fail(error.error)),
        }
    }
}

fn elsewhere(store: &Store, wanted: &S3Url, found: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the artifacts of store {:?} lie in {found}, not in {wanted}", store.root()),
    )
    .with_hint(
        Hint::from(format!("leave --artifacts and {STORE_ARTIFACTS_ENV} out; to move them: "))
            .run("store backup FILE")
            .say(", then ")
            .run("store restore FILE")
            .say(" with another --store and the new --artifacts"),
    )
}
