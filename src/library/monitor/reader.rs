//! Reading a log of any length: each line is handed over as it is read, and none is kept. What its
//! lines mean is for others.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead as _, BufReader, ErrorKind as Cause},
    path::Path,
};

use rayon::prelude::*;
use serde::Deserialize;

use super::{
    Arm,
    record::{is_sound, log_files},
    tally::{WORDS_KIND, WordsLine},
};
use crate::error::{Error, Result};

/// A file that was set aside so long before a window begins has nothing of it: servers write late, and
/// their clocks differ.
const MARGIN_MS: i64 = 10 * 60_000;

/// A logged prediction, as far as statistics need it.
#[derive(Debug, Clone)]
pub struct PredictionView<'a> {
    /// As in [`PredictionRecord`](super::PredictionRecord), like all of these.
    pub timestamp_ms: i64,
    /// The request.
    pub request_id: &'a str,
    /// The text's place in it.
    pub index: u32,
    /// The part that the version had in a release.
    pub arm: Arm,
    /// The registered model's name.
    pub model: &'a str,
    /// The version.
    pub version: u32,
    /// The predicted class.
    pub label: &'a str,
    /// The probability of the predicted label.
    pub confidence: f64,
    /// The time that the request took.
    pub latency_ms: f64,
    /// Length in words.
    pub n_words: Option<u32>,
    /// Words that the model does not know.
    pub n_unknown_words: Option<u32>,
    /// The place of the text among others.
    pub embedding: Option<&'a str>,
    /// The text itself.
    pub text: Option<&'a str>,
}

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

/// Any line, its text borrowed where it has no escapes.
#[derive(Deserialize)]
struct AnyLine<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    timestamp_ms: Option<i64>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    arm: Arm,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(borrow, default)]
    label: Option<Cow<'a, str>>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    probability: Option<f64>,
    #[serde(default)]
    latency_ms: Option<f64>,
    #[serde(default)]
    n_words: Option<u32>,
    #[serde(default)]
    n_unknown_words: Option<u32>,
    #[serde(borrow, default)]
    embedding: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

impl AnyLine<'_> {
    fn prediction(&self) -> Option<PredictionView<'_>> {
        Some(PredictionView {
            timestamp_ms: self.timestamp_ms?,
            request_id: self.request_id.as_deref()?,
            index: self.index,
            arm: self.arm,
            model: self.model.as_deref()?,
            version: self.version?,
            label: self.label.as_deref()?,
            confidence: self.confidence.filter(|confidence| {
                is_sound(*confidence, self.probability, self.n_words, self.n_unknown_words)
            })?,
            latency_ms: self.latency_ms?,
            n_words: self.n_words,
            n_unknown_words: self.n_unknown_words,
            embedding: self.embedding.as_deref(),
            text: self.text.as_deref(),
        })
    }
}

/// Hands every line of the log in the folder `dir` over, but for files that were set aside before
/// `from_ms`: one sink a file, which `new` makes, on several threads, then merged from the oldest on.
/// No folder or no file is an empty log.
///
/// # Errors
/// When the system refuses to read a file that is there.
pub fn read_log<S: LogSink>(dir: &Path, from_ms: i64, new: impl Fn() -> S + Sync) -> Result<S> {
    let files = log_files(dir)?;
    let wanted: Vec<_> = files.iter().filter(|path| !is_older(path, from_ms)).collect();
    let read = |path: &&std::path::PathBuf| -> Result<S> {
        let mut sink = new();
        read_file(path, &mut sink)?;
        Ok(sink)
    };
    let parts: Vec<S> = wanted.par_iter().map(read).collect::<Result<_>>()?;
    Ok(parts.into_iter().fold(new(), |mut all, part| {
        all.merge(part);
        all
    }))
}

/// True for a file whose name says that it was set aside before `from_ms`.
fn is_older(path: &Path, from_ms: i64) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let time = name.strip_prefix("predictions-").and_then(|rest| rest.split(['-', '.']).next());
    let aside_ms: Option<i64> = time.and_then(|digits| digits.parse().ok());
    aside_ms.is_some_and(|aside_ms| aside_ms.saturating_add(MARGIN_MS) < from_ms)
}

fn read_file(path: &Path, sink: &mut impl LogSink) -> Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Rotated away since the folder was listed.
        Err(source) if source.kind() == Cause::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("open", path, source)),
    };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let n_bytes =
            file.read_until(b'\n', &mut line).map_err(|source| Error::io("read", path, source))?;
        if n_bytes == 0 {
            return Ok(());
        }
        take(line.strip_suffix(b"\n").unwrap_or(&line), sink);
    }
}

fn take(line: &[u8], sink: &mut impl LogSink) {
    let Ok(any) = serde_json::from_slice::<AnyLine<'_>>(line) else { return sink.unreadable() };
    match any.kind.as_deref() {
        None => match any.prediction() {
            Some(record) => sink.prediction(&record),
            None => sink.unreadable(),
        },
        Some(WORDS_KIND) => match serde_json::from_slice::<WordsLine>(line) {
            Ok(words) if words.is_sound() => sink.words(&words),
            Ok(_) | Err(_) => sink.unreadable(),
        },
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::PredictionRecord;

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
            (3, 4),
            "a kind of line is no damage"
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
            let visited = crate::monitor::visit_predictions(folder.path(), |_| {
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
}
