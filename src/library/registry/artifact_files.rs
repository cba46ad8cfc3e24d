//! Artifact files: `artifacts/<2 hex>/<sha256>`. A file is written whole under a temporary name,
//! renamed, and made durable together with its name before anybody hears of it; its name is its checksum,
//! so whoever reads it can prove it, also where a crash left the name without the content.
//! Knows nothing of runs or of the database.
//!
//! The cacache crate has an index beside its files; here the registry is the index.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{
    locked_file::{FileIdentity, identity},
    write_behind::WrittenBehind,
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
    hint::Hint,
    store::{TEMPORARY_PREFIX, sync_dir, temporary_file},
};

/// After so long a temporary file belongs to a process that died. Far longer than writing takes.
const STALE: Duration = Duration::from_secs(60 * 60);

/// A content of at most so many bytes is made durable by the commit log, until the log is written into the
/// tables: some fifteen of them fill it.
const MAX_LOGGED_BYTES: usize = 16 << 10;

/// As many files are known to be durable, so that those which every model has need no sync each time.
const MAX_SETTLED: usize = 4096;

/// The folder of artifact files.
#[derive(Debug, Clone)]
pub(super) struct ArtifactFiles {
    dir: PathBuf,
    /// Files and their folders that this process has made durable, as they were then, by name.
    settled: Arc<Mutex<BTreeMap<String, FileState>>>,
}

/// By these a file is known again: another one at its name has others.
type FileState = (Option<FileIdentity>, Option<SystemTime>);

/// A stored file: its name and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
}

/// The content of an artifact on its way: small ones need no file of their own.
#[derive(Debug)]
pub(super) enum ArtifactContent {
    Memory(Vec<u8>),
    File(NamedTempFile),
}

/// Content that arrived whole and has no lasting name yet.
pub(super) struct Received {
    content: ArtifactContent,
    /// True if its content was in the store before.
    is_there: bool,
}

impl ArtifactFiles {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, settled: Arc::default() }
    }

    /// The path of the file called `sha256`, which may be absent.
    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        // A name that is too short comes only from a damaged row; it then names no file.
        self.dir.join(sha256.get(..2).unwrap_or("")).join(sha256)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// An empty file on the way to its place.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        let fail = |error| Error::io("write an artifact below", &self.dir, error);
        match temporary_file(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir).map_err(fail)?;
                temporary_file(&self.dir).map_err(fail)
            }
            made => made.map_err(fail),
        }
    }

    /// Stores `bytes`. A file that is there already, and whole, is left alone.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Stored> {
        let sha256 = hex(&Sha256::digest(bytes));
        let stored = Stored { sha256, size_bytes: bytes.len() as u64 };
        if !self.settle_whole(&stored)? {
            let (temporary, stored) = self.copy(&mut &bytes[..])?;
            self.keep(temporary, &stored)?;
        }
        Ok(stored)
    }

    /// Stores the content of `file`.
    pub(super) fn put_file(&self, file: &Path) -> Result<Stored> {
        let mut input = File::open(file).map_err(|e| Error::io("read", file, e))?;
        self.put_from(&mut input)
    }

    /// Stores what `input` reads.
    pub(super) fn put_from(&self, input: &mut dyn Read) -> Result<Stored> {
        let (temporary, stored) = self.copy(input)?;
        if !self.settle_whole(&stored)? {
            self.keep(temporary, &stored)?;
        }
        Ok(stored)
    }

    /// Makes content that arrived from elsewhere durable as far as that may take long, unless it is there
    /// already.
    pub(super) fn receive(&self, content: ArtifactContent, stored: &Stored) -> Result<Received> {
        let is_there = self.prove(&stored.sha256, stored.size_bytes).is_ok();
        if let ArtifactContent::File(file) = &content
            && !is_there
        {
            file.as_file()
                .sync_all()
                .map_err(|e| Error::io("write an artifact", file.path(), e))?;
        }
        Ok(Received { content, is_there })
    }

    /// Gives what was received its lasting name, unless it has it. Durably, but for a small content, which is
    /// returned: its file is durable once the log has it, as `is_logged` says of one that was there before.
    pub(super) fn place(
        &self,
        received: Received,
        stored: &Stored,
        is_logged: bool,
    ) -> Result<Option<Vec<u8>>> {
        let Received { content, is_there } = received;
        if is_there && self.contains(&stored.sha256, stored.size_bytes) {
            if !is_logged {
                self.settle(&stored.sha256)?;
            }
            return Ok(None);
        }
        let file = match content {
            ArtifactContent::File(file) => file,
            ArtifactContent::Memory(bytes) if bytes.len() <= MAX_LOGGED_BYTES => {
                self.put_small(&bytes, stored)?;
                return Ok(Some(bytes));
            }
            ArtifactContent::Memory(bytes) => holding(self.temporary()?, &bytes)?,
        };
        self.keep(file, stored)?;
        Ok(None)
    }

    /// Writes a content again whose file was lost, or only in part written.
    pub(super) fn restore(&self, sha256: &str, content: &[u8]) -> Result<()> {
        if self.prove(sha256, content.len() as u64).is_err() {
            self.put(content)?;
        }
        Ok(())
    }

    /// Makes a file durable that is there, and whole; false if there is none. It is opened once: `store gc`
    /// may remove it at any moment, and whoever names it looks again.
    fn settle_whole(&self, stored: &Stored) -> Result<bool> {
        match self.open_proved(&stored.sha256, stored.size_bytes) {
            Ok(file) => self.settle_file(&file, &stored.sha256).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Makes a file durable that another process may have put there a moment ago, and that none removes now.
    fn settle(&self, sha256: &str) -> Result<()> {
        let path = self.path(sha256);
        let file = File::open(&path).map_err(|e| Error::io("read the artifact", &path, e))?;
        self.settle_file(&file, sha256)
    }

    fn settle_file(&self, file: &File, sha256: &str) -> Result<()> {
        let path = self.path(sha256);
        let fail = |error| Error::io("read the artifact", &path, error);
        let state = file_state(&file.metadata().map_err(fail)?);
        if self.settled().get(sha256) == Some(&state) {
            return Ok(());
        }
        file.sync_all().map_err(fail)?;
        self.sync_name(&path)?;
        self.note_settled(sha256, state);
        Ok(())
    }

    /// Makes the name of the file at `path` durable.
    fn sync_name(&self, path: &Path) -> Result<()> {
        let shard = path.parent().unwrap_or(&self.dir);
        sync_dir(shard)?;
        // The folder itself may be new, and its maker not be done.
        let metadata = fs::metadata(shard).map_err(|e| Error::io("read the folder", shard, e))?;
        let (name, state) = (name_of(shard), (identity(&metadata), None));
        if self.settled().get(name) != Some(&state) {
            sync_dir(&self.dir)?;
            self.note_settled(name, state);
        }
        Ok(())
    }

    fn settled(&self) -> MutexGuard<'_, BTreeMap<String, FileState>> {
        // One insertion at a time: a panic leaves the map as it was.
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_settled(&self, sha256: &str, state: FileState) {
        let mut settled = self.settled();
        if settled.len() >= MAX_SETTLED {
            settled.clear();
        }
        settled.insert(sha256.to_owned(), state);
    }

    /// True if the file is there with the right length; its content is not read.
    pub(super) fn contains(&self, sha256: &str, size_bytes: u64) -> bool {
        fs::metadata(self.path(sha256)).is_ok_and(|m| m.is_file() && m.len() == size_bytes)
    }

    /// The bytes, once their checksum is right.
    pub(super) fn read(&self, sha256: &str, size_bytes: u64) -> Result<Vec<u8>> {
        let path = self.path(sha256);
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, sha256, error))?;
        check(sha256, size_bytes, &hex(&Sha256::digest(&bytes)), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The file's path, once the checksum of its content is right.
    pub(super) fn prove(&self, sha256: &str, size_bytes: u64) -> Result<PathBuf> {
        self.open_proved(sha256, size_bytes).map(|_| self.path(sha256))
    }

    /// The file, once the checksum of its content is right.
    fn open_proved(&self, sha256: &str, size_bytes: u64) -> Result<File> {
        let path = self.path(sha256);
        let mut file = File::open(&path).map_err(|error| unreadable(&path, sha256, error))?;
        let (found, n_bytes) = copy_hashed(&mut file, &mut io::sink())
            .map_err(|error| unreadable(&path, sha256, error))?;
        check(sha256, size_bytes, &found, n_bytes)?;
        Ok(file)
    }

    /// Every artifact file, by name; what is none is left out.
    pub(super) fn list(&self) -> Result<Vec<Stored>> {
        let mut artifacts = Vec::new();
        for shard in read_dir(&self.dir)? {
            for path in read_dir(&shard)? {
                let name = name_of(&path);
                if !is_sha256(name) || self.path(name) != path {
                    continue;
                }
                // A file that is gone by now was removed by another process's `store gc`.
                if let Ok(metadata) = fs::metadata(&path) {
                    let size_bytes = metadata.len();
                    artifacts.push(Stored { sha256: name.to_owned(), size_bytes });
                }
            }
        }
        Ok(artifacts)
    }

    /// Copies `input` into a temporary file on the way to its place.
    fn copy(&self, input: &mut dyn Read) -> Result<(NamedTempFile, Stored)> {
        let temporary = self.temporary()?;
        let mut output = WrittenBehind::new(temporary.as_file());
        let (sha256, size_bytes) = copy_hashed(input, &mut output)
            .map_err(|error| Error::io("write an artifact below", &self.dir, error))?;
        Ok((temporary, Stored { sha256, size_bytes }))
    }

    /// Gives a temporary file its lasting name, durably. The name goes first: file systems with a
    /// journal then write content and name in one piece.
    fn keep(&self, temporary: NamedTempFile, stored: &Stored) -> Result<()> {
        let path = self.path(&stored.sha256);
        let fail = |error| Error::io("write the artifact", &path, error);
        let file = self.give_name(temporary, stored)?;
        file.sync_all().map_err(fail)?;
        self.sync_name(&path)?;
        self.note_settled(&stored.sha256, file_state(&file.metadata().map_err(fail)?));
        Ok(())
    }

    /// Writes a small content to its place, without waiting for the disk. It is written there at once: nobody
    /// has heard of it yet, and one that a crash leaves in part is proved before it is used.
    fn put_small(&self, bytes: &[u8], stored: &Stored) -> Result<()> {
        let path = self.path(&stored.sha256);
        match File::create_new(&path) {
            Ok(mut file) => file.write_all(bytes).map_err(|error| {
                let _ = fs::remove_file(&path);
                Error::io("write the artifact", &path, error)
            }),
            // Its folder is new, or something else lies there.
            Err(_) => self.give_name(holding(self.temporary()?, bytes)?, stored).map(drop),
        }
    }

    fn give_name(&self, temporary: NamedTempFile, stored: &Stored) -> Result<File> {
        let path = self.path(&stored.sha256);
        let fail = |error| Error::io("write the artifact", &path, error);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir)).map_err(fail)?;
        temporary.persist(&path).map_err(|error| fail(error.error))
    }
}

/// `file`, with `bytes` in it.
pub(super) fn holding(mut file: NamedTempFile, bytes: &[u8]) -> Result<NamedTempFile> {
    let written = file.write_all(bytes);
    written.map_err(|error| Error::io("write an artifact", file.path(), error))?;
    Ok(file)
}

fn file_state(metadata: &fs::Metadata) -> FileState {
    (identity(metadata), metadata.modified().ok())
}

/// Temporary files and folders in `dir` that nobody writes any more.
pub(super) fn stale_in(dir: &Path, now: SystemTime) -> Result<Vec<PathBuf>> {
    let mut paths = read_dir(dir)?;
    paths.retain(|path| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let age = modified.and_then(|at| now.duration_since(at).ok());
        name_of(path).starts_with(TEMPORARY_PREFIX) && age.is_some_and(|age| age > STALE)
    });
    Ok(paths)
}

/// Copies `input` to `output`; the SHA-256 and the number of the bytes.
pub(super) fn copy_hashed(
    input: &mut dyn Read,
    output: &mut dyn io::Write,
) -> io::Result<(String, u64)> {
    let mut input = Hashed::new(input);
    // The copy goes through the writer's buffer; its own would be 8 kB.
    let mut output = io::BufWriter::with_capacity(256 * 1024, output);
    io::copy(&mut input, &mut output)?;
    output.flush()?;
    Ok(input.finish())
}

/// A reader that hashes and counts what passes through it.
pub(super) struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    n_bytes: u64,
    failed: bool,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), n_bytes: 0, failed: false }
    }

    /// True if reading failed: a copy that failed otherwise failed to write.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// SHA-256 and number of the bytes that were read.
    pub(super) fn finish(self) -> (String, u64) {
        (hex(&self.hasher.finalize()), self.n_bytes)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer).inspect_err(|_| self.failed = true)?;
        self.hasher.update(&buffer[..n_read]);
        self.n_bytes += n_read as u64;
        Ok(n_read)
    }
}

/// A writer that hashes and counts what passes through it.
pub(super) struct HashedWriter<W> {
    inner: W,
    hasher: Sha256,
    n_bytes: u64,
}

impl<W: io::Write> HashedWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), n_bytes: 0 }
    }

    /// SHA-256 and number of the bytes that were written.
    pub(super) fn finish(self) -> (String, u64) {
        (hex(&self.hasher.finalize()), self.n_bytes)
    }
}

impl<W: io::Write> io::Write for HashedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n_written]);
        self.n_bytes += n_written as u64;
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// True if `name` is a SHA-256 as artifacts are named.
pub(super) fn is_sha256(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// That an artifact with this SHA-256 and length is the one that was written.
pub(super) fn check(sha256: &str, size_bytes: u64, found: &str, n_bytes: u64) -> Result<()> {
    if n_bytes != size_bytes {
        return Err(corrupt(format!(
            "artifact {sha256} has {n_bytes} bytes, expected {size_bytes}"
        )));
    }
    if found != sha256 {
        return Err(corrupt(format!("artifact {sha256} has the SHA-256 {found}")));
    }
    Ok(())
}

fn unreadable(path: &Path, sha256: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return missing(sha256);
    }
    Error::io("read the artifact", path, error)
}

/// The error for an artifact that is named and not there.
pub(super) fn missing(sha256: &str) -> Error {
    corrupt(format!("artifact {sha256} is missing from the store"))
}

/// Removes a file or a folder; one that is gone counts as removed.
pub(super) fn remove_path(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message).with_hint(
        Hint::new()
            .run("store verify")
            .say(" lists all damage; `store restore FILE` brings a backup back"),
    )
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// The entries of `dir`, sorted; none if it does not exist or is a file.
fn read_dir(dir: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| Error::io("read the folder", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(fail)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn what_is_removed_meanwhile_is_stored_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let files = ArtifactFiles::new(dir.path().to_owned());
        let stored = files.put(b"weights").unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    remove_path(&files.path(&stored.sha256)).unwrap();
                }
            });
            let outcomes: Vec<_> = (0..400)
                .flat_map(|_| [files.put(b"weights"), files.put_from(&mut &b"weights"[..])])
                .collect();
            is_over.store(true, Ordering::Relaxed);
            for outcome in outcomes {
                assert_eq!(outcome.unwrap(), stored);
            }
        });
    }
}
