//! Writing the log of predictions without making anyone wait: lines gather in a bounded buffer, which
//! a thread of its own writes out. When that falls behind, records are left out and counted.
//!
//! Several servers may write into one folder: each line goes out in one piece to the end of the
//! file. What a killed process had not written yet, at most [`FLUSH`] of it, is lost.
//!
//! The crates tracing-appender and file-rotate expect to be the only process that writes a file.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    PREDICTIONS_FILE,
    appended::{AppendedFile, refused},
    files::log_files,
    record::PredictionRecord,
    tally::{MIN_TALLIED_TEXTS, WordsLine},
};
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    figure::hex,
};

/// The time that a record waits for others before it is written.
const FLUSH: Duration = Duration::from_millis(200);
/// Bytes from which on the buffer is written before its time.
const BUFFER: usize = 256 << 10;
/// Bytes that may wait to be written before records are left out.
const MAX_BUFFER: usize = 16 << 20;

/// The part of a text that the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogText {
    /// All of it.
    Full,
    /// Its SHA-256: the same text is known again, what it says is not.
    #[default]
    Hash,
    /// Its length alone.
    None,
}

impl FromStr for LogText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "full" => Ok(Self::Full),
            "hash" => Ok(Self::Hash),
            "none" => Ok(Self::None),
            _ => Err(Error::invalid(format!(
                "{text:?} is not a way to log texts: expected full, hash or none"
            ))),
        }
    }
}

/// The settings of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The part of a text that the log keeps.
    pub text: LogText,
    /// True if words are counted: how many a text has and how many the model does not know, and over many texts
    /// which ones they have. Default yes.
    pub counts_words: bool,
    /// Length at which a file is set aside for a new one. Default 64 MiB: some 200,000 predictions.
    pub max_file_bytes: u64,
    /// Files that are kept, the one that is written among them. Default 10.
    pub max_files: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            text: LogText::default(),
            counts_words: true,
            max_file_bytes: 64 << 20,
            max_files: 10,
        }
    }
}

/// The log of one server. Closing or dropping it writes what is still buffered.
#[derive(Debug)]
pub struct PredictionLog {
    text: LogText,
    counts_words: bool,
    shared: Arc<LogState>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The state that those who log share with the thread that writes.
#[derive(Debug, Default)]
struct LogState {
    pending: Mutex<Pending>,
    /// The thread has something to do before its time.
    called: Condvar,
    n_lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    lines: Vec<u8>,
    /// The thread waits for a first line. While it lets lines gather, nobody calls it: that would
    /// take longer than all else about a record.
    is_idle: bool,
    is_over: bool,
}

impl LogState {
    /// The records that wait. They are whole even after a thread panicked: nothing panics while it
    /// holds the lock.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, n_lines: u64) {
        self.n_lost.fetch_add(n_lines, Ordering::Relaxed);
    }
}

impl PredictionLog {
    /// Opens the log in the folder `dir`, which is made if need be.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, or the system refuses a thread.
    pub fn open(dir: &Path, config: &LogConfig) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|source| refused("make", dir, source))?;
        let shared = Arc::new(LogState::default());
        let mut writer = LogWriter::open(dir, config, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("trialbook-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| {
                Error::new(ErrorKind::Io, "cannot start the thread that writes the log")
                    .with_source(source)
            })?;
        let LogConfig { text, counts_words, .. } = *config;
        Ok(Self { text, counts_words, shared, writer: Mutex::new(Some(thread)) })
    }

    /// Buffers records; a full buffer leaves them out. Never waits for the disk.
    pub fn push(&self, records: impl IntoIterator<Item = PredictionRecord>) {
        self.push_lines(records);
    }

    /// Buffers a line of counted words, as [`PredictionLog::push`] does records.
    pub fn push_words(&self, line: WordsLine) {
        self.push_lines([line]);
    }

    fn push_lines(&self, records: impl IntoIterator<Item = impl Serialize>) {
        let mut lines = Vec::with_capacity(512);
        let mut n_lines = 0;
        for record in records {
            serde_json::to_writer(&mut lines, &record)
                .expect("a line is plain values, and memory takes them");
            lines.push(b'\n');
            n_lines += 1;
        }
        let mut pending = self.shared.pending();
        if pending.lines.len() >= MAX_BUFFER || pending.is_over {
            drop(pending);
            return self.shared.lose(n_lines);
        }
        pending.lines.extend_from_slice(&lines);
        let calls = pending.is_idle || pending.lines.len() >= BUFFER;
        pending.is_idle = false;
        drop(pending);
        if calls {
            self.shared.called.notify_one();
        }
    }

    /// The part of `text` that is kept: the text, its hash.
    pub fn kept(&self, text: &str) -> (Option<String>, Option<String>) {
        match self.text {
            LogText::Full => (Some(text.to_owned()), None),
            LogText::Hash => (None, Some(hex(&Sha256::digest(text.as_bytes())))),
            LogText::None => (None, None),
        }
    }

    /// True if words are counted.
    pub fn counts_words(&self) -> bool {
        self.counts_words
    }

    /// The texts of which a line of counted words may be made: one, where the texts themselves are kept.
    pub fn min_tallied_texts(&self) -> u64 {
        if self.text == LogText::Full { 1 } else { MIN_TALLIED_TEXTS }
    }

    /// Writes what is buffered and returns once that is done. What is pushed from then on is left
    /// out.
    pub fn close(&self) {
        self.shared.pending().is_over = true;
        self.shared.called.notify_one();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take() {
            // A panic there was reported there.
            let _ = writer.join();
        }
    }

    /// Records that were left out since the log was opened.
    pub fn n_lost(&self) -> u64 {
        self.shared.n_lost.load(Ordering::Relaxed)
    }
}

impl Drop for PredictionLog {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread's side.
struct LogWriter {
    dir: PathBuf,
    file: AppendedFile,
    max_file_bytes: u64,
    max_files: usize,
    shared: Arc<LogState>,
    /// The lines that are being written.
    lines: Vec<u8>,
    fails: bool,
}

impl LogWriter {
    fn open(dir: &Path, config: &LogConfig, shared: Arc<LogState>) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            file: AppendedFile::open(dir.join(PREDICTIONS_FILE))?,
            max_file_bytes: config.max_file_bytes,
            max_files: config.max_files.max(1),
            shared,
            lines: Vec::new(),
            fails: false,
        })
    }

    fn run(&mut self) {
        while self.gather() {
            self.flush();
        }
    }

    /// Takes the lines that came within [`FLUSH`] of a first one; false when the log is over.
    fn gather(&mut self) -> bool {
        let LogState { called, .. } = &*self.shared;
        let mut pending = self.shared.pending();
        pending.is_idle = pending.lines.is_empty();
        pending = called
            .wait_while(pending, |pending| pending.lines.is_empty() && !pending.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        pending.is_idle = false;
        (pending, _) = called
            .wait_timeout_while(pending, FLUSH, |pending| {
                pending.lines.len() < BUFFER && !pending.is_over
            })
            .unwrap_or_else(PoisonError::into_inner);
        if pending.lines.is_empty() {
            return false;
        }
        // The buffer that was written is the next to fill.
        self.lines.clear();
        std::mem::swap(&mut self.lines, &mut pending.lines);
        true
    }

    /// Writes what was gathered. A disk that refuses costs the records that are not written by then,
    /// and is tried again with the next ones.
    fn flush(&mut self) {
        let mut n_written = 0;
        match self.write(&mut n_written) {
            Ok(()) => self.fails = false,
            Err(error) => {
                self.shared.lose(n_lines(&self.lines[n_written..]));
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::error!(error = error.chain(), "predictions are not logged");
                }
            }
        }
    }

    /// Counts in `n_written` how many bytes of the lines are written.
    fn write(&mut self, n_written: &mut usize) -> Result<()> {
        // Another server set the file aside, or someone took it away.
        self.file.follow()?;
        if self.file.n_bytes()? >= self.max_file_bytes {
            self.rotate(&self.dir.join(PREDICTIONS_FILE))?;
        }
        self.file.write(&mut self.lines, n_written)
    }

    fn rotate(&mut self, path: &Path) -> Result<()> {
        /// No two files of this process have the same name.
        static N_ROTATED: AtomicU64 = AtomicU64::new(0);

        // Another server may do the same at the same time: what is gone already is no fault.
        let unless_gone = |outcome: std::io::Result<()>, verb, path: &Path| match outcome {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(verb, path, source))
            }
            _ => Ok(()),
        };
        let now_ms = clock::now_ms();
        let (pid, number) = (std::process::id(), N_ROTATED.fetch_add(1, Ordering::Relaxed));
        let aside = self.dir.join(format!("predictions-{now_ms}-{pid}-{number:06}.jsonl"));
        unless_gone(fs::rename(path, &aside), "rename", path)?;
        self.file = AppendedFile::open(path.to_owned())?;
        let files = log_files(&self.dir)?;
        for old in files.iter().take(files.len().saturating_sub(self.max_files)) {
            unless_gone(fs::remove_file(old), "remove", old)?;
        }
        Ok(())
    }
}

/// Lines that end in `bytes`.
fn n_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        time::Instant,
    };

    use super::*;
    use crate::monitor::{PredictionStats, appended::write_all, read_predictions};

    fn record(number: u32) -> PredictionRecord {
        PredictionRecord {
            timestamp_ms: 1_795_000_000_000 + i64::from(number),
            request_id: format!("request-{number}"),
            model: "Reviews".to_owned(),
            version: 1 + number % 2,
            label: if number.is_multiple_of(4) { "neg" } else { "pos" }.to_owned(),
            confidence: 0.5 + f64::from(number % 50) / 100.0,
            probability: Some(0.25),
            latency_ms: f64::from(number),
            n_chars: 7,
            ..PredictionRecord::default()
        }
    }

    #[test]
    fn what_was_pushed_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        assert_eq!(read_predictions(&logs).unwrap(), Default::default());
        for part in [0..60, 60..100] {
            let log = PredictionLog::open(&logs, &LogConfig::default()).unwrap();
            part.for_each(|number| log.push([record(number)]));
            drop(log);
        }
        let found = read_predictions(&logs).unwrap();
        assert_eq!(found.records, (0..100).map(record).collect::<Vec<_>>());
        // A process that was killed in the middle of a line.
        let mut file =
            fs::OpenOptions::new().append(true).open(logs.join(PREDICTIONS_FILE)).unwrap();
        file.write_all(b"{\"timestamp_ms\": 1795").unwrap();
        let found = read_predictions(&logs).unwrap();
        assert_eq!((found.records.len(), found.n_unreadable), (100, 1));
        // It costs the next one nothing.
        let log = PredictionLog::open(&logs, &LogConfig::default()).unwrap();
        log.push([record(100)]);
        drop(log);
        let next = read_predictions(&logs).unwrap();
        assert_eq!((next.records.len(), next.n_unreadable), (101, 1));

        let mut two = found.records.clone();
        two.extend((0..8).map(|n| PredictionRecord { model: "Tickets".to_owned(), ..record(n) }));
        let models = PredictionStats::by_model(&two);
        let counts: Vec<_> = models.iter().map(|(name, s)| (&**name, s.n_predictions)).collect();
        assert_eq!(counts, [("Reviews", 100), ("Tickets", 8)]);
        assert_eq!(models["Tickets"].labels["neg"], 2);

        let stats = PredictionStats::of(&found.records);
        assert_eq!((stats.n_predictions, stats.labels["neg"], stats.labels["pos"]), (100, 25, 75));
        assert_eq!(
            (stats.from_ms, stats.to_ms),
            (Some(1_795_000_000_000), Some(1_795_000_000_099))
        );
        assert!((stats.confidence.mean - 0.745).abs() < 1e-12);
        assert_eq!(stats.latency_ms.p50, 49.5);
        assert!((stats.latency_ms.p95 - 94.05).abs() < 1e-9);
    }

    /// Waits for what another thread does.
    fn wait_until(is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn lines_are_written_while_the_log_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let log = PredictionLog::open(dir.path(), &LogConfig::default()).unwrap();
        for number in 1..4 {
            log.push([record(number)]);
            wait_until(|| read_predictions(dir.path()).unwrap().records.len() == number as usize);
        }
    }

    #[test]
    fn more_lines_than_are_buffered_at_once_are_all_written() {
        let dir = tempfile::tempdir().unwrap();
        let log = PredictionLog::open(dir.path(), &LogConfig::default()).unwrap();
        let line = serde_json::to_string(&record(0)).unwrap();
        let n_records = 2 * (BUFFER / line.len()) as u32;
        (0..n_records).for_each(|number| log.push([record(number)]));
        assert_eq!(log.n_lost(), 0);
        drop(log);
        let found = read_predictions(dir.path()).unwrap().records;
        assert_eq!(found, (0..n_records).map(record).collect::<Vec<_>>());
    }

    #[test]
    fn files_are_set_aside_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { max_file_bytes: 2_000, max_files: 3, ..LogConfig::default() };
        for number in 0..40 {
            // Each flushes when it is dropped.
            let log = PredictionLog::open(dir.path(), &config).unwrap();
            log.push((0..5).map(|idx| record(5 * number + idx)));
        }
        assert_eq!(log_files(dir.path()).unwrap().len(), 3);
        let records = read_predictions(dir.path()).unwrap().records;
        let last: Vec<_> = (200 - records.len() as u32..200).map(record).collect();
        assert_eq!(records, last);
        assert!(records.len() > 10);
    }

    #[test]
    fn two_servers_write_whole_lines_and_heed_each_others_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { max_file_bytes: 4_000, max_files: 1_000, ..LogConfig::default() };
        std::thread::scope(|scope| {
            for server in 0..2 {
                let (dir, config) = (dir.path(), &config);
                scope.spawn(move || {
                    for number in 0..20 {
                        let log = PredictionLog::open(dir, config).unwrap();
                        log.push((0..10).map(|idx| record(1_000 * server + 10 * number + idx)));
                        drop(log);
                    }
                });
            }
        });
        let found = read_predictions(dir.path()).unwrap();
        assert_eq!((found.records.len(), found.n_unreadable), (400, 0));
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_records_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let log = PredictionLog::open(&logs, &LogConfig::default()).unwrap();
        fs::remove_dir_all(&logs).unwrap();
        fs::write(&logs, "no folder").unwrap();
        log.push([record(1), record(2)]);
        wait_until(|| log.n_lost() == 2);
        // A store that was put back has no folder of logs.
        fs::remove_file(&logs).unwrap();
        log.push([record(3)]);
        log.close();
        assert_eq!(read_predictions(&logs).unwrap().records, [record(3)]);
        log.push([record(4)]);
        assert_eq!(log.n_lost(), 3, "closed");
    }

    /// A disk that takes so many bytes.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n_bytes = bytes.len().min(self.0);
            if n_bytes == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= n_bytes;
            self.1.extend_from_slice(&bytes[..n_bytes]);
            Ok(n_bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_the_lines_that_are_not_whole() {
        for (room, lost) in [(0, 3), (3, 3), (4, 2), (9, 1), (12, 0)] {
            let (mut disk, mut n_written) = (Full(room, Vec::new()), 0);
            let lines = b"one\ntwo\n333\n";
            let outcome = write_all(&mut disk, lines, &mut n_written);
            assert_eq!(outcome.is_ok(), lost == 0);
            assert_eq!(disk.1, lines[..n_written]);
            assert_eq!(n_lines(&lines[n_written..]), lost, "{room}");
        }
    }

    #[test]
    fn a_text_is_kept_as_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let kept = |text: &str| {
            let config = LogConfig { text: text.parse().unwrap(), ..LogConfig::default() };
            PredictionLog::open(dir.path(), &config).unwrap().kept("abc")
        };
        assert_eq!(kept("full"), (Some("abc".to_owned()), None));
        // FIPS 180-2, appendix B.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(kept("hash"), (None, Some(hash.to_owned())));
        assert_eq!(kept("none"), (None, None));
        assert!("all".parse::<LogText>().unwrap_err().to_string().contains("hash"));
    }
}
