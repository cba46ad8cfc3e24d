//! An artifact that arrives in pieces: written and hashed as it comes, named when it is whole. One that
//! breaks off leaves nothing.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::{
    Registry,
    artifact_files::{ArtifactContent, Stored},
    artifact_place::ArtifactPlace,
    artifacts::forbid_nesting,
    folders::ArtifactOwner,
    names,
    record::Artifact,
    tables::{ARTIFACTS, artifact_key},
    transaction::RowsMut as _,
    write_behind::WriteBehind,
};
use crate::{
    error::{Error, Result},
    figure::hex,
};

/// The most of an artifact that is kept in memory while it arrives.
const MEMORY_BYTES: usize = 256 << 10;

/// An artifact on its way. Dropped before [`Registry::finish_upload`], it was never there.
#[derive(Debug)]
pub struct Upload {
    owner: ArtifactOwner,
    path: String,
    content: ArtifactContent,
    place: ArtifactPlace,
    hasher: Sha256,
    size_bytes: u64,
    behind: WriteBehind,
}

impl Upload {
    /// Adds the next bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        if let ArtifactContent::Memory(before) = &mut self.content {
            if before.len() + bytes.len() <= MEMORY_BYTES {
                before.extend_from_slice(bytes);
                return Ok(());
            }
            self.content = ArtifactContent::File(self.place.spill(before)?);
        }
        let ArtifactContent::File(file) = &mut self.content else { return Ok(()) };
        let written = file.write_all(bytes);
        written.map_err(|error| Error::io("write an artifact", file.path(), error))?;
        self.behind.wrote(file.as_file(), self.size_bytes);
        Ok(())
    }
}

impl Registry {
    /// Begins an artifact called `path` of a run or a logged model.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) or
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for an owner that does not exist or is
    /// deleted, [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a path that cannot be one.
    pub fn begin_upload(&self, owner: ArtifactOwner, path: &str) -> Result<Upload> {
        names::check_artifact_path(path)?;
        let key = owner.key()?;
        self.database.read(|txn| {
            owner.check_live(txn)?;
            forbid_nesting(txn, &key, path)
        })?;
        Ok(Upload {
            owner,
            path: path.to_owned(),
            content: ArtifactContent::Memory(Vec::new()),
            place: self.files.clone(),
            hasher: Sha256::new(),
            size_bytes: 0,
            behind: WriteBehind::default(),
        })
    }

    /// Names an artifact that is whole, in place of what had its name.
    ///
    /// # Errors
    /// As [`Registry::begin_upload`]; then nothing is changed.
    pub fn finish_upload(&self, upload: Upload) -> Result<Artifact> {
        let Upload { owner, path, content, hasher, size_bytes, .. } = upload;
        let stored = Stored { sha256: hex(&hasher.finalize()), size_bytes };
        let key = owner.key()?;
        let artifact = Artifact { path, sha256: stored.sha256.clone(), size_bytes };
        let arrived = self.files.receive(content, &stored)?;
        self.database.write(|txn| {
            owner.check_live(txn)?;
            forbid_nesting(txn, &key, &artifact.path)?;
            // `store gc` of another process removes files only while it holds the write transaction,
            // which is ours now.
            if let Some(content) =
                self.files.place(arrived, &stored, txn.has_content(&stored.sha256))?
            {
                txn.put_content(&stored.sha256, &content);
            }
            txn.put(ARTIFACTS, &artifact_key(&key, &artifact.path), &artifact)?;
            Ok(artifact)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{registry::NewRun, store::Store};

    struct Fixture {
        folder: tempfile::TempDir,
        registry: Option<Registry>,
        run_id: String,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let registry = Registry::open(&Store::new(folder.path().join("store"))).unwrap();
            let run = registry
                .create_tracked_run(NewRun { experiment_id: "0".to_owned(), ..NewRun::default() })
                .unwrap();
            Self { folder, registry: Some(registry), run_id: run.run_id }
        }

        fn registry(&self) -> &Registry {
            self.registry.as_ref().unwrap()
        }

        fn upload(&self, path: &str, bytes: &[u8]) -> Artifact {
            let owner = ArtifactOwner::Run(self.run_id.clone());
            let mut upload = self.registry().begin_upload(owner, path).unwrap();
            upload.write(bytes).unwrap();
            self.registry().finish_upload(upload).unwrap()
        }

        /// The store after a power failure: what was synced, and nothing of what was not.
        fn after_power_failure(&self, name: &str) -> Registry {
            let ours = self.registry().store();
            let store = Store::new(self.folder.path().join(name));
            fs::create_dir(store.root()).unwrap();
            for path in [ours.registry_path(), ours.registry_log_path()] {
                fs::copy(&path, store.root().join(path.file_name().unwrap())).unwrap();
            }
            Registry::open(&store).unwrap()
        }

        fn n_logged(&self) -> usize {
            self.registry().database.read(|txn| Ok(txn.contents().count())).unwrap()
        }
    }

    #[test]
    fn a_small_artifact_outlives_a_power_failure_before_its_file_is_durable() {
        let fixture = Fixture::new();
        let artifacts =
            [fixture.upload("small.txt", b"small"), fixture.upload("same.txt", b"small")];
        assert_eq!(fixture.n_logged(), 1);
        let after = fixture.after_power_failure("after");
        for artifact in &artifacts {
            assert_eq!(after.read_artifact(artifact).unwrap(), b"small");
        }
        assert!(after.verify().unwrap().is_valid());
    }

    #[test]
    fn an_artifact_that_cannot_be_written_again_keeps_nobody_from_the_rest() {
        let fixture = Fixture::new();
        let artifact = fixture.upload("small.txt", b"small");
        let store = Store::new(fixture.folder.path().join("after"));
        fs::create_dir_all(store.artifacts_dir()).unwrap();
        // Where its folder would be.
        fs::write(store.artifacts_dir().join(&artifact.sha256[..2]), b"").unwrap();
        let ours = fixture.registry().store();
        for path in [ours.registry_path(), ours.registry_log_path()] {
            fs::copy(&path, store.root().join(path.file_name().unwrap())).unwrap();
        }
        let after = Registry::open(&store).unwrap();
        assert_eq!(after.run(&fixture.run_id).unwrap().run_id, fixture.run_id);
        assert!(after.read_artifact(&artifact).is_err());
    }

    #[test]
    fn a_small_artifact_is_a_durable_file_once_the_log_begins_anew() {
        let mut fixture = Fixture::new();
        let artifact = fixture.upload("small.txt", b"small");
        let store = fixture.registry().store().clone();
        fixture.registry = None;
        fixture.registry = Some(Registry::open(&store).unwrap());
        assert_eq!(fixture.n_logged(), 0);
        assert_eq!(fixture.registry().read_artifact(&artifact).unwrap(), b"small");
    }

    #[test]
    fn artifacts_that_fill_the_log_are_all_there() {
        let fixture = Fixture::new();
        let content = |idx: u8| vec![idx; 12_000];
        let artifacts: Vec<Artifact> =
            (0..60).map(|idx| fixture.upload(&format!("{idx}.bin"), &content(idx))).collect();
        assert!(fixture.n_logged() < 30);
        for (artifact, idx) in artifacts.iter().zip(0..) {
            assert_eq!(fixture.registry().read_artifact(artifact).unwrap(), content(idx));
        }
        assert!(fixture.registry().verify().unwrap().is_valid());
    }

    #[test]
    fn a_large_artifact_is_not_in_the_log() {
        let fixture = Fixture::new();
        fixture.upload("large.bin", &[7; 17_000]);
        assert_eq!(fixture.n_logged(), 0);
    }

    #[test]
    fn what_was_collected_does_not_come_back() {
        let fixture = Fixture::new();
        let artifact = fixture.upload("small.txt", b"small");
        fixture.registry().delete_run(&fixture.run_id).unwrap();
        assert_eq!(fixture.registry().gc(false).unwrap().n_artifacts, 1);
        assert_eq!(fixture.n_logged(), 0);
        let ArtifactPlace::Folder(files) = &fixture.registry().files else { unreachable!() };
        let path = files.path(&artifact.sha256);
        let after = Registry::open(fixture.registry().store()).unwrap();
        assert!(!path.exists());
        drop(after);
    }
}
