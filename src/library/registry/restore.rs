//! `store restore`: a backup's content into an empty store, whole or not at all. Everything is
//! unpacked beside its place and proved against the manifest before anything moves; the database
//! moves last, so that a store without it holds nothing yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    Registry,
    artifact_files::{Hashed, is_sha256},
    artifact_place::ArtifactPlace,
    audit::{self, AuditAction, STORE},
    backup::{
        ARTIFACTS_DIR, DATA_DIR, Entry, LABELS, MANIFEST, MANIFEST_SHA256, Manifest, POLICIES_DIR,
        ROWS, SCHEMA_VERSION,
    },
    clock,
    codec::{Malformed, Reader},
    database_file::create,
    fault::Fault,
    schema, tables,
    transaction::{RowsMut as _, TablesTxn},
    upkeep::BackupSummary,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Store, TEMPORARY_PREFIX, sync_dir},
};

/// Puts a backup's content into an empty or absent store folder. Files that are none of the
/// store's, such as a README, may lie there. The artifacts go where this store is to have them, which
/// may be another place than the one they came from.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the store holds anything, [`ErrorKind::Corrupt`] if any byte of the
/// backup is not what was written, [`ErrorKind::Invalid`] if a newer build wrote it,
/// [`ErrorKind::Io`] when the system refuses. Then the store is as it was.
pub fn restore(store: &Store, file: &Path) -> Result<BackupSummary> {
    let backup = File::open(file).map_err(|e| Error::io("read the backup", file, e))?;
    let n_bytes = backup.metadata().map_err(|e| Error::io("read the backup", file, e))?.len();
    refuse_unless_empty(store)?;
    let was_there = store.root().exists();
    store.make_dir(store.root())?;
    // Before the work: a place that cannot be had is no reason to unpack anything.
    let outcome = ArtifactPlace::open(store).and_then(|_| unpack_into(store, file, backup));
    if outcome.is_err() && !was_there {
        // Nothing of ours is left in it; a folder that is not empty stays.
        let _ = fs::remove_dir(store.root());
    }
    Ok(outcome?.summary(n_bytes))
}

fn unpack_into(store: &Store, file: &Path, backup: File) -> Result<Manifest> {
    let root = store.root();
    let staging = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempdir_in(root)
        .map_err(|e| Error::io("write below", root, e))?;
    let manifest = unpack(file, backup, staging.path())?;

    let rows_path = staging.path().join(ROWS);
    let rows = fs::read(&rows_path).map_err(|e| Error::io("read", &rows_path, e))?;
    let staged = Store::new(staging.path());
    create(&staged.registry_path(), |txn| fill(txn, &rows, file))?;
    let registry = Registry::open(&staged)?;
    registry.record_restore(file)?;
    let verification = registry.verify()?;
    if !verification.is_valid() {
        return Err(damaged(file, &format!("its records do not fit together: {verification:?}")));
    }
    drop(registry);
    install(store, &staged, &staging)?;
    Ok(manifest)
}

impl Registry {
    /// Notes in the trail that came with the backup where this store comes from.
    fn record_restore(&self, file: &Path) -> Result<()> {
        let details = serde_json::json!({"backup": file});
        let event = self.event(AuditAction::Restore, STORE, clock::now_ms(), details);
        self.database.write(|txn| audit::append(txn, &event))
    }
}

/// Moves what was unpacked to its place; undone if a step fails.
fn install(store: &Store, staged: &Store, staging: &TempDir) -> Result<()> {
    refuse_unless_empty(store)?;
    let mut moved: Vec<PathBuf> = Vec::new();
    // Objects that nothing names do no harm, if a later step fails; their place is known already.
    let place = ArtifactPlace::open(store)?;
    place.take_in(&staged.artifacts_dir())?;
    let artifacts = match place {
        ArtifactPlace::Folder(_) => Some((staged.artifacts_dir(), store.artifacts_dir())),
        ArtifactPlace::Bucket(_) => None,
    };
    let moves = [
        (staged.data_dir(), store.data_dir()),
        (staged.policies_dir(), store.policies_dir()),
        (staged.labels_path(), store.labels_path()),
        // Without it an older build would begin a registry of its own beside this one.
        (staged.older_registry_path(), store.older_registry_path()),
        // Empty by now, unless the system refused a checkpoint.
        (staged.registry_log_path(), store.registry_log_path()),
        (staged.registry_path(), store.registry_path()),
    ];
    if staged.labels_path().exists() {
        // Predictions may lie there already.
        store.make_dir(&store.logs_dir())?;
    }
    for (from, to) in artifacts.into_iter().chain(moves).filter(|(from, _)| from.exists()) {
        // An empty folder may be in the way: renaming onto it replaces it.
        if let Err(error) = fs::rename(&from, &to) {
            for path in &moved {
                if let Some(name) = path.file_name() {
                    let _ = fs::rename(path, staging.path().join(name));
                }
            }
            return Err(Error::io("write", &to, error));
        }
        moved.push(to);
    }
    if store.labels_path().exists() {
        sync_dir(&store.logs_dir())?;
    }
    sync_dir(store.root())
}

fn refuse_unless_empty(store: &Store) -> Result<()> {
    let holds = |dir: PathBuf| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    let has_file = [store.registry_path(), store.older_registry_path(), store.labels_path()]
        .iter()
        .any(|path| path.exists());
    let dirs = [store.artifacts_dir(), store.data_dir(), store.policies_dir()];
    if has_file || dirs.into_iter().any(holds) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("the store {:?} is not empty", store.root()),
        )
        .with_hint("restore into a new folder with --store DIR, then compare both"));
    }
    Ok(())
}

/// Unpacks and proves every entry of the backup below `dir`.
fn unpack(file: &Path, backup: File, dir: &Path) -> Result<Manifest> {
    let cut_short =
        |source: io::Error| damaged(file, "it cannot be read to the end").with_source(source);
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(1 << 20, backup));
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    let mut dirs = BTreeSet::new();
    for entry in archive.entries().map_err(cut_short)? {
        let mut entry = entry.map_err(cut_short)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = entry.header().entry_type().is_file();
        if !is_file || !is_expected(&name) || found.contains_key(&name) {
            return Err(damaged(file, &format!("it holds an unexpected entry {name:?}")));
        }
        let path = dir.join(&name);
        let fail = |source| Error::io("write", &path, source);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
            dirs.insert(parent.to_owned());
        }
        let mut output = File::create_new(&path).map_err(fail)?;
        let mut content = Hashed::new(&mut entry);
        let copied = io::copy(&mut content, &mut output);
        match (copied, content.failed()) {
            (Ok(_), _) => {}
            (Err(source), true) => return Err(cut_short(source)),
            (Err(source), false) => return Err(fail(source)),
        }
        output.sync_all().map_err(fail)?;
        let (sha256, size_bytes) = content.finish();
        found.insert(name.clone(), Entry { path: name, size_bytes, sha256 });
    }
    let manifest = prove_manifest(file, dir, &mut found)?;
    compare(file, &manifest, found)?;
    dirs.iter().try_for_each(|dir| sync_dir(dir))?;
    Ok(manifest)
}

/// The manifest, once its own checksum is right; both leave `found`.
fn prove_manifest(
    file: &Path,
    dir: &Path,
    found: &mut BTreeMap<String, Entry>,
) -> Result<Manifest> {
    let (Some(manifest), Some(_)) = (found.remove(MANIFEST), found.remove(MANIFEST_SHA256)) else {
        return Err(damaged(file, "it has no manifest, so it is incomplete"));
    };
    let read = |name| {
        let path = dir.join(name);
        fs::read(&path).map_err(|source| Error::io("read", &path, source))
    };
    if read(MANIFEST_SHA256)? != manifest.sha256.as_bytes() {
        return Err(damaged(file, "its manifest has the wrong content"));
    }
    read_manifest(file, &read(MANIFEST)?)
}

fn read_manifest(file: &Path, json: &[u8]) -> Result<Manifest> {
    let value: serde_json::Value = serde_json::from_slice(json)
        .map_err(|error| damaged(file, "its manifest cannot be read").with_source(error))?;
    let found = value.get("schema_version").and_then(serde_json::Value::as_u64).unwrap_or_default();
    if found > u64::from(SCHEMA_VERSION) {
        return Err(Error::invalid(format!(
            "backup {file:?} has schema {found}, this build reads 1 to {SCHEMA_VERSION}"
        ))
        .with_hint("a newer trialbook wrote it: update this one"));
    }
    serde_json::from_value(value)
        .map_err(|error| damaged(file, "its manifest cannot be read").with_source(error))
}

/// Checks that exactly what the manifest names was found.
fn compare(file: &Path, manifest: &Manifest, mut found: BTreeMap<String, Entry>) -> Result<()> {
    for expected in &manifest.entries {
        match found.remove(&expected.path) {
            None => return Err(damaged(file, &format!("it lacks {:?}", expected.path))),
            Some(entry) if entry != *expected => {
                return Err(damaged(file, &format!("{:?} has the wrong content", expected.path)));
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(name) => Err(damaged(file, &format!("its manifest does not name {name:?}"))),
        None => Ok(()),
    }
}

/// True if a backup may hold an entry of this name; nothing may climb out of the store.
fn is_expected(name: &str) -> bool {
    let path = Path::new(name);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return false;
    }
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        _ if name == LABELS => true,
        [only] => [ROWS, MANIFEST, MANIFEST_SHA256].contains(only),
        [ARTIFACTS_DIR, shard, sha256] => is_sha256(sha256) && sha256.starts_with(shard),
        [DATA_DIR, ..] | [POLICIES_DIR, _] => true,
        _ => false,
    }
}

/// Writes a backup's rows into a new database.
fn fill(txn: &TablesTxn, rows: &[u8], file: &Path) -> Result<(), Fault> {
    schema::make_tables(txn)?;
    let malformed = |Malformed| Fault::Ours(damaged(file, "its rows cannot be read"));
    let mut input = Reader::new(rows);
    while !input.is_empty() {
        let name = input.text().map_err(malformed)?;
        let key = input.bytes().map_err(malformed)?;
        let value = input.bytes().map_err(malformed)?;
        let table = tables::ALL.into_iter().find(|(known, _)| *known == name);
        let (_, table) = table.ok_or_else(|| {
            Error::invalid(format!("backup {file:?} holds the unknown table {name:?}"))
                .with_hint("a newer trialbook wrote it: update this one")
        })?;
        txn.put_raw(table, key, value)?;
    }
    Ok(())
}

fn damaged(file: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("backup {file:?} is damaged: {what}"))
        .with_hint("use another backup; the store was not changed")
}
