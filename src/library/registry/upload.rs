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
        written.map_err(|error| Error::io("write an artifact", file.path(), error))
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
            self.files.place(arrived, &stored)?;
            txn.put(ARTIFACTS, &artifact_key(&key, &artifact.path), &artifact)?;
            Ok(artifact)
        })
    }
}
