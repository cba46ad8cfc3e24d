//! Reading a log of any length: each line is handed over as it is read, and none is kept. What its
//! lines mean is for others.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
};

use rayon::prelude::*;

use super::{
    files::{LogFile, files_since, latest_files},
    line::{LogLine, PredictionView, with_line},
    record::PredictionRecord,
    tally::WordsLine,
};
use crate::error::{Error, Result};

/// Takes what a log says.
pub trait LogSink: Send {
    /// A prediction.
    fn prediction(&mut self, record: &PredictionView<'_>);
    /// Counted words.
    fn words(&mut self, line: &WordsLine);
    /// A line that is neither, and does not say that it is something else.
    fn unreadable(&mut self);
    /// Takes over what another one took from later files.
    fn merge(&mut self, later: Self);
}

/// The predictions in a folder of logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoggedPredictions {
    /// Oldest file first, in each file in the order of its lines.
    pub records: Vec<PredictionRecord>,
    /// Lines that are unreadable, such as the last one of a process that was killed.
    pub n_unreadable: usize,
}

/// Hands every line of the log in the folder `dir` over, but for files that were set aside before
/// `from_ms`: one sink a file, which `new` makes, on several threads, then merged from the oldest on.
/// No folder or no file is an empty log.
///
/// # Errors
/// When the system refuses to read a file that is there.
pub fn read_log<S: LogSink>(dir: &Path, from_ms: i64, new: impl Fn() -> S + Sync) -> Result<S> {
    read_files(&files_since(dir, from_ms)?, new)
}

/// As [`read_log`], of the newest `max_bytes` of the log: what is watched all the time.
///
/// # Errors
/// As [`read_log`].
pub fn read_latest_log<S: LogSink>(
    dir: &Path,
    from_ms: i64,
    max_bytes: u64,
    new: impl Fn() -> S + Sync,
) -> Result<S> {
    let mut files = latest_files(dir, Some(max_bytes))?;
    files.retain(|file| !file.is_older(from_ms));
    read_files(&files, new)
}

fn read_files<S: LogSink>(files: &[LogFile], new: impl Fn() -> S + Sync) -> Result<S> {
    let read = |file: &LogFile| -> Result<S> {
        let mut sink = new();
        each_line(file, |line| {
            match line {
                LogLine::Prediction(record) => sink.prediction(&record),
                LogLine::Words(words) => sink.words(&words),
                LogLine::OtherKind => {}
                LogLine::Unreadable => sink.unreadable(),
            }
            Ok(())
        })?;
        Ok(sink)
    };
    let parts: Vec<S> = files.par_iter().map(read).collect::<Result<_>>()?;
    Ok(parts.into_iter().fold(new(), |mut all, part| {
        all.merge(part);
        all
    }))
}

/// Hands every prediction of the log in the folder `dir` to `visit`, oldest file first and in the order of
/// the lines, and returns the number of lines that are unreadable. It reads the newest `latest_bytes` of the
/// log where that is given. No folder or no file is an empty log.
///
/// # Errors
/// When the system refuses to read a file that is there; those of `visit`, which end it.
pub fn visit_predictions(
    dir: &Path,
    latest_bytes: Option<u64>,
    mut visit: impl FnMut(&PredictionView<'_>) -> Result<()>,
) -> Result<usize> {
    let mut n_unreadable = 0;
    for file in latest_files(dir, latest_bytes)? {
        each_line(&file, |line| match line {
            LogLine::Prediction(record) => visit(&record),
            LogLine::Words(_) | LogLine::OtherKind => Ok(()),
            LogLine::Unreadable => {
                n_unreadable += 1;
                Ok(())
            }
        })?;
    }
    Ok(n_unreadable)
}

/// Every prediction of the log in the folder `dir`, in memory.
///
/// # Errors
/// As [`visit_predictions`].
pub fn read_predictions(dir: &Path) -> Result<LoggedPredictions> {
    collected(dir, None)
}

/// As [`read_predictions`], of the newest `max_bytes` of the log: what people watch.
///
/// # Errors
/// As [`visit_predictions`].
pub fn read_latest_predictions(dir: &Path, max_bytes: u64) -> Result<LoggedPredictions> {
    collected(dir, Some(max_bytes))
}

fn collected(dir: &Path, latest_bytes: Option<u64>) -> Result<LoggedPredictions> {
    let mut records = Vec::new();
    let n_unreadable = visit_predictions(dir, latest_bytes, |record| {
        records.push(record.into());
        Ok(())
    })?;
    Ok(LoggedPredictions { records, n_unreadable })
}

/// Hands the lines of `file` over that are asked for. A line that begins before them is left out.
fn each_line(file: &LogFile, mut take: impl FnMut(LogLine<'_>) -> Result<()>) -> Result<()> {
    let Some(open) = file.open()? else { return Ok(()) };
    let mut reader = BufReader::with_capacity(1 << 18, open);
    let mut line = Vec::new();
    let mut is_cut = file.n_skipped > 0;
    loop {
        line.clear();
        let n_bytes = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| Error::io("read", &file.path, source))?;
        if n_bytes == 0 {
            return Ok(());
        }
        if !std::mem::take(&mut is_cut) {
            with_line(line.strip_suffix(b"\n").unwrap_or(&line), &mut take)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, ops::Range};

    use super::*;
    use crate::monitor::{PREDICTIONS_FILE, files::MARGIN_MS};

    #[derive(Default, PartialEq, Debug)]
    struct SeenLines {
        times: Vec<i64>,
        n_words_lines: usize,
        n_unreadable: usize,
    }

    impl LogSink for SeenLines {
        fn prediction(&mut self, record: &PredictionView<'_>) {
            assert_eq!((record.label, record.request_id), ("a\"b", "r"));
            self.times.push(record.timestamp_ms);
        }
        fn words(&mut self, line: &WordsLine) {
            assert_eq!(line.counts, [(4, 9)]);
            self.n_words_lines += 1;
        }
        fn unreadable(&mut self) {
            self.n_unreadable += 1;
        }
        fn merge(&mut self, later: Self) {
            self.times.extend(later.times);
            self.n_words_lines += later.n_words_lines;
            self.n_unreadable += later.n_unreadable;
        }
    }

    fn line(timestamp_ms: i64) -> String {
        let record = PredictionRecord {
            timestamp_ms,
            request_id: "r".to_owned(),
            label: "a\"b".to_owned(),
            ..PredictionRecord::default()
        };
        serde_json::to_string(&record).unwrap() + "\n"
    }

    #[test]
    fn lines_come_in_order_whatever_they_are_and_damage_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(
            read_log(&dir.join("none"), 0, SeenLines::default).unwrap(),
            SeenLines::default()
        );
        let words = r#"{"kind":"words","model":"M","version":1,"list":"l","from_ms":0,"to_ms":9,"n":9,"counts":[[4,9]]}"#;
        let old = format!("{}{words}\n{}{{\"kind\":\"later\",\"x\":1}}\n", line(1), line(2));
        fs::write(dir.join("predictions-1000-7-000000.jsonl"), old).unwrap();
        let damaged = "\n{}\n{\"kind\":\"words\"}\n\u{0}\n";
        let torn = line(4);
        let new = format!("{}{damaged}{}", line(3), &torn[..torn.len() / 2]);
        fs::write(dir.join("predictions.jsonl"), new).unwrap();
        let seen = read_log(dir, i64::MIN, SeenLines::default).unwrap();
        assert_eq!(seen, SeenLines { times: vec![1, 2, 3], n_words_lines: 1, n_unreadable: 5 });
        let found = crate::monitor::read_predictions(dir).unwrap();
        assert_eq!(
            (found.records.len(), found.n_unreadable),
            (3, 5),
            "both ways of reading call the same lines damage"
        );
    }

    /// Whoever reads a log counts the same lines as damaged.
    #[test]
    fn a_line_whose_numbers_cannot_be_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let fields = |more: &str| {
            format!(
                r#"{{"timestamp_ms":1,"request_id":"r","model":"M","version":1,"label":"a\"b","latency_ms":1,"n_chars":1,{more}}}"#
            )
        };
        let words = |n: u64| {
            format!(
                r#"{{"kind":"words","model":"M","version":1,"list":"l","from_ms":0,"to_ms":9,"n":{n},"counts":[[4,9]]}}"#
            )
        };
        for (line, is_damaged) in [
            (fields(r#""confidence":1"#), false),
            (
                fields(r#""confidence":0.5,"probability":0.5,"n_words":2,"n_unknown_words":2"#),
                false,
            ),
            (fields(r#""confidence":7"#), true),
            (fields(r#""confidence":-0.1"#), true),
            (fields(r#""confidence":0.5,"probability":-3"#), true),
            (fields(r#""confidence":0.5,"n_words":2,"n_unknown_words":3"#), true),
            (words(9), false),
            (words(8), true),
            (words(0), true),
        ] {
            fs::write(folder.path().join("predictions.jsonl"), line.clone() + "\n").unwrap();
            let seen = read_log(folder.path(), 0, SeenLines::default).unwrap();
            let n_damaged = usize::from(is_damaged);
            assert_eq!(seen.n_unreadable, n_damaged, "{line}");
            assert_eq!(seen.times.len() + seen.n_words_lines, 1 - n_damaged, "{line}");
            if line.contains("words\",\"model") {
                continue;
            }
            let read = crate::monitor::read_predictions(folder.path()).unwrap();
            assert_eq!(
                (read.records.len(), read.n_unreadable),
                (1 - n_damaged, n_damaged),
                "{line}"
            );
            let mut n_visited = 0;
            let visited = crate::monitor::visit_predictions(folder.path(), None, |_| {
                n_visited += 1;
                Ok(())
            });
            assert_eq!((n_visited, visited.unwrap()), (1 - n_damaged, n_damaged), "{line}");
        }
    }

    #[test]
    fn a_file_from_long_before_the_window_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        fs::write(dir.join("predictions-5000-7-000000.jsonl"), line(4)).unwrap();
        fs::write(dir.join("predictions.jsonl"), line(6_000)).unwrap();
        let times = |from_ms| read_log(dir, from_ms, SeenLines::default).unwrap().times;
        assert_eq!(times(5_000 + MARGIN_MS), [4, 6_000]);
        assert_eq!(times(5_001 + MARGIN_MS), [6_000]);
    }

    #[test]
    fn the_end_of_the_log_is_read_over_its_files_and_from_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let lines = |numbers: Range<i64>| numbers.map(line).collect::<String>();
        fs::write(folder.path().join("predictions-1.jsonl"), lines(10..14)).unwrap();
        fs::write(folder.path().join(PREDICTIONS_FILE), lines(14..18)).unwrap();
        let n_bytes = line(10).len() as u64;
        let read = |max_bytes| -> Vec<i64> {
            let found = read_latest_predictions(folder.path(), max_bytes).unwrap();
            assert_eq!(found.n_unreadable, 0);
            found.records.iter().map(|record| record.timestamp_ms).collect()
        };
        assert_eq!(read(u64::MAX), (10..18).collect::<Vec<_>>());
        assert_eq!(read(n_bytes * 2), [16, 17]);
        assert_eq!(read(n_bytes * 2 + 1), [16, 17]);
        assert_eq!(read(n_bytes * 5), [13, 14, 15, 16, 17]);
        assert_eq!(read(n_bytes - 1), Vec::<i64>::new());
    }

    #[test]
    fn whoever_visits_may_end_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PREDICTIONS_FILE), line(1) + &line(2)).unwrap();
        let mut n_seen = 0;
        let ended = visit_predictions(folder.path(), None, |_| {
            n_seen += 1;
            Err(Error::invalid("enough"))
        });
        assert_eq!((ended.unwrap_err().to_string().as_str(), n_seen), ("enough", 1));
    }
}
