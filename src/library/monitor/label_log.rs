//! The log of true labels in the store: any number of threads and processes write it, and a label that is
//! acknowledged is on the disk. Those who come at once share one sync. What the labels say together is
//! [`TrueLabels`]' business.
//!
//! Writers take turns by a lock on the file. Each reads what the others wrote since, so that all of them say
//! the same of a label: new, a correction, or known. What is held of each is a digest, not the label.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, ErrorKind as Cause, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    appended::AppendedFile,
    label::{GivenLabel, TrueLabel, TrueLabels},
};
use crate::{
    clock::now_ms,
    error::{Error, ErrorKind, Result},
    store::{LABELS_FILE, sync_dir},
};

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOutcome {
    /// It is new.
    Accepted,
    /// It takes the place of another label of the same source.
    Corrected,
    /// It was known, or the same source has said something later.
    Unchanged,
}

/// The log of labels of one store, as a process writes it.
#[derive(Debug)]
pub struct LabelLog {
    path: PathBuf,
    queue: Mutex<Queue>,
    /// A batch is done.
    done: Condvar,
    written: Mutex<WrittenLabels>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Arc<Job>>,
    /// One of those who wait writes for all.
    is_led: bool,
}

/// The labels of one caller.
#[derive(Debug)]
struct Job {
    labels: Vec<GivenLabel>,
    outcome: Mutex<Option<JobOutcome>>,
}

/// What became of each label of a job; the kind and the words of an error, which several callers get.
type JobOutcome = Result<Vec<LabelOutcome>, (ErrorKind, String)>;

/// What this process knows of the file.
#[derive(Debug, Default)]
struct WrittenLabels {
    file: Option<AppendedFile>,
    /// Bytes that were read.
    n_read: u64,
    /// The latest word of each source on each text, by its digest.
    known: HashMap<[u8; 16], SourceWord>,
    labels: Vec<String>,
    label_idxs: HashMap<String, u32>,
}

/// What a source said last: when, and the place of the label among all; none where it took it back.
#[derive(Debug, Clone, Copy)]
struct SourceWord {
    timestamp_ms: i64,
    label_idx: Option<u32>,
}

impl LabelLog {
    /// The log in the folder `dir`. Nothing is opened or made before the first label.
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join(LABELS_FILE),
            queue: Mutex::default(),
            done: Condvar::new(),
            written: Mutex::default(),
        }
    }

    /// Keeps `labels`, which are checked, and says what became of each: on the disk when this returns.
    ///
    /// # Errors
    /// When the system refuses to write or to sync; then some of them may be kept, and sending all of them
    /// again does no harm.
    pub fn keep(&self, labels: Vec<GivenLabel>) -> Result<Vec<LabelOutcome>> {
        let job = Arc::new(Job { labels, outcome: Mutex::default() });
        let mut queue = lock(&self.queue);
        queue.waiting.push(Arc::clone(&job));
        loop {
            if let Some(outcome) = lock(&job.outcome).take() {
                return outcome.map_err(|(kind, message)| Error::new(kind, message));
            }
            if queue.is_led {
                queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.is_led = true;
            let batch = std::mem::take(&mut queue.waiting);
            drop(queue);
            self.write(&batch);
            queue = lock(&self.queue);
            queue.is_led = false;
            self.done.notify_all();
        }
    }

    /// Writes the labels of `batch` and tells each of its callers what became of them.
    fn write(&self, batch: &[Arc<Job>]) {
        let mut written = lock(&self.written);
        match written.write(&self.path, batch) {
            Ok(outcomes) => {
                for (job, outcomes) in batch.iter().zip(outcomes) {
                    *lock(&job.outcome) = Some(Ok(outcomes));
                }
            }
            Err(error) => {
                // What of it is on the disk is read there again.
                *written = WrittenLabels::default();
                tracing::error!(error = error.chain(), "labels are not kept");
                for job in batch {
                    *lock(&job.outcome) = Some(Err((error.kind(), error.chain())));
                }
            }
        }
    }
}

impl WrittenLabels {
    fn write(&mut self, path: &Path, batch: &[Arc<Job>]) -> Result<Vec<Vec<LabelOutcome>>> {
        if self.file.is_none() {
            let dir = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(dir).map_err(|source| Error::io("make", dir, source))?;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => AppendedFile::open(path.to_owned())?,
        };
        if file.follow()? {
            *self = Self::default();
        }
        let fail = |action: &'static str| move |source| Error::io(action, path, source);
        file.file().lock().map_err(fail("lock"))?;
        let outcomes = self.write_locked(&mut file, path, batch);
        let unlocked = file.file().unlock().map_err(fail("unlock"));
        let outcomes = outcomes?;
        unlocked?;
        self.file = Some(file);
        Ok(outcomes)
    }

    fn write_locked(
        &mut self,
        file: &mut AppendedFile,
        path: &Path,
        batch: &[Arc<Job>],
    ) -> Result<Vec<Vec<LabelOutcome>>> {
        let fail = |action: &'static str| move |source| Error::io(action, path, source);
        self.catch_up(file).map_err(fail("read"))?;
        file.look_at_end()?;
        let mut lines = Vec::new();
        let now_ms = now_ms();
        let outcomes = batch.iter().map(|job| {
            let labels = job.labels.iter();
            labels.map(|given| self.take(given, now_ms, &mut lines)).collect()
        });
        let outcomes = outcomes.collect();
        if !lines.is_empty() {
            file.write(&mut lines, &mut 0)?;
            // Also when another one wrote the line: it may not have come to its sync.
        }
        file.file().sync_data().map_err(fail("sync"))?;
        if self.n_read == 0
            && let Some(dir) = path.parent()
        {
            sync_dir(dir)?;
        }
        self.n_read = file.n_bytes()?;
        Ok(outcomes)
    }

    /// Reads what others wrote behind what is known.
    fn catch_up(&mut self, file: &mut AppendedFile) -> std::io::Result<()> {
        let mut reader = BufReader::new(file.file());
        reader.seek(SeekFrom::Start(self.n_read))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let n_bytes = reader.read_until(b'\n', &mut line)?;
            if n_bytes == 0 {
                return Ok(());
            }
            self.n_read += n_bytes as u64;
            if let Ok(label) = serde_json::from_slice::<TrueLabel>(&line) {
                let key = digest(&label.request_id, label.index, &label.source);
                let word = self.word(label.timestamp_ms, label.label.as_deref());
                if self.known.get(&key).is_none_or(|known| self.is_later(*known, word)) {
                    self.known.insert(key, word);
                }
            }
        }
    }

    /// Decides what becomes of a label, and adds its line to `lines` if it is to be written.
    fn take(&mut self, given: &GivenLabel, now_ms: i64, lines: &mut Vec<u8>) -> LabelOutcome {
        let key = digest(&given.request_id, given.index, &given.source);
        let known = self.known.get(&key).copied();
        let is_same = known.is_some_and(|known| self.label(known) == given.label.as_deref());
        let timestamp_ms = match (given.timestamp_ms, known) {
            (Some(at_ms), _) => at_ms,
            // What arrives later counts, whatever the clock says.
            (None, Some(known)) => now_ms.max(known.timestamp_ms.saturating_add(1)),
            (None, None) => now_ms,
        };
        let word = self.word(timestamp_ms, given.label.as_deref());
        let outcome = match known {
            None if given.label.is_none() => return LabelOutcome::Unchanged,
            None => LabelOutcome::Accepted,
            // A repeated answer without a time of its own is the same answer.
            Some(_) if is_same && given.timestamp_ms.is_none() => return LabelOutcome::Unchanged,
            Some(known) if !self.is_later(known, word) => return LabelOutcome::Unchanged,
            Some(_) if is_same => LabelOutcome::Unchanged,
            Some(_) => LabelOutcome::Corrected,
        };
        self.known.insert(key, word);
        let line = TrueLabel {
            request_id: given.request_id.clone(),
            index: given.index,
            label: given.label.clone(),
            source: given.source.clone(),
            timestamp_ms,
            sampled_by: given.sampled_by,
        };
        serde_json::to_writer(&mut *lines, &line).expect("a label is plain values");
        lines.push(b'\n');
        outcome
    }

    fn word(&mut self, timestamp_ms: i64, label: Option<&str>) -> SourceWord {
        let label_idx = label.map(|label| match self.label_idxs.get(label) {
            Some(idx) => *idx,
            None => {
                let idx = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
                self.labels.push(label.to_owned());
                self.label_idxs.insert(label.to_owned(), idx);
                idx
            }
        });
        SourceWord { timestamp_ms, label_idx }
    }

    fn label(&self, word: SourceWord) -> Option<&str> {
        word.label_idx.and_then(|idx| self.labels.get(idx as usize)).map(String::as_str)
    }

    /// Whether `word` counts rather than `known`, of the same source.
    fn is_later(&self, known: SourceWord, word: SourceWord) -> bool {
        (known.timestamp_ms, self.label(known)) < (word.timestamp_ms, self.label(word))
    }
}

/// What tells the words of a source on a text from all others.
fn digest(request_id: &str, index: u32, source: &str) -> [u8; 16] {
    let mut sha256 = Sha256::new();
    sha256.update(index.to_le_bytes());
    sha256.update((request_id.len() as u64).to_le_bytes());
    sha256.update(request_id);
    sha256.update(source);
    let digest: [u8; 32] = sha256.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The labels in a folder of logs, and the number of lines that are none.
///
/// # Errors
/// When the system refuses to read a file that is there.
pub fn read_labels(dir: &Path) -> Result<(TrueLabels, usize)> {
    let path = dir.join(LABELS_FILE);
    let fail = |source| Error::io("read", &path, source);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(source) if source.kind() == Cause::NotFound => return Ok((TrueLabels::default(), 0)),
        Err(source) => return Err(fail(source)),
    };
    let n_bytes = file.metadata().map_err(fail)?.len();
    let (mut labels, mut n_unreadable) = (TrueLabels::default(), 0);
    // What is written from now on is for the next reader.
    for line in BufReader::new(file.take(n_bytes)).split(b'\n') {
        let line = line.map_err(fail)?;
        match serde_json::from_slice::<TrueLabel>(&line) {
            Ok(label) => labels.tell(label),
            Err(_) if line.is_empty() => {}
            Err(_) => n_unreadable += 1,
        }
    }
    Ok((labels, n_unreadable))
}

#[cfg(test)]
mod tests;
