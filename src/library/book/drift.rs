//! Drift of a version: its reference profile, and a window of the log or the rows of a file, brought
//! together.

use std::{ops::Range, path::Path};

use super::{Book, profile::FoundProfile};
use crate::{
    data::RowsReader,
    error::{Error, ErrorKind, Result},
    evaluate::SignalLevel,
    figure,
    hint::Hint,
    model::{Classifier, prediction::predictions},
    monitor::{
        CountedAnswer, ReferenceProfile, WindowChoice, WindowCounts, WordCounter,
        drift::{DriftOptions, DriftReport, DriftTexts, compare, note_alert},
        n_unknown_words, read_log, sample_key,
    },
    progress::Monitor,
    registry::{ModelReference, ModelVersion},
};

/// Texts of a side that a classifier is asked to tell apart.
const MAX_TEXTS: usize = 2_000;
/// Texts that are predicted at once.
const CHUNK: usize = 4_096;

/// The predictions that are compared with a version's reference profile.
#[derive(Debug, Clone, PartialEq)]
pub enum DriftSource {
    /// Those that servers logged from this moment on, in milliseconds since the Unix epoch.
    Log {
        /// The moment.
        from_ms: i64,
    },
    /// The version's answers to the texts of a split, such as `imdb.test`, or of a file.
    Data(String),
}

/// A question about drift.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftRequest {
    /// The version, as for [`Book::version`].
    pub model: ModelReference,
    /// What is compared.
    pub source: DriftSource,
    /// How it is compared.
    pub options: DriftOptions,
}

impl Book {
    /// How far a version's predictions are from those that it was judged by. An alert of the log is noted
    /// beside it: the report says whether it is news.
    ///
    /// # Errors
    /// No such version, one without a reference profile, a log or a window without its predictions, a
    /// file that cannot be read, and [`ErrorKind::Interrupted`].
    pub fn drift(&self, request: &DriftRequest, monitor: &Monitor) -> Result<DriftReport> {
        let version = self.tracker()?.resolve(&request.model)?;
        let found = self.reference_profile(&version)?;
        self.drift_from(&version, found, request, monitor)
    }

    /// As [`Book::drift`], of a version whose profile is known already.
    ///
    /// # Errors
    /// As [`Book::drift`].
    pub fn drift_from(
        &self,
        version: &ModelVersion,
        found: FoundProfile,
        request: &DriftRequest,
        monitor: &Monitor,
    ) -> Result<DriftReport> {
        self.compared(version, found, request, monitor, Err)
    }

    /// As [`Book::drift_from`], for whoever asks again and again: a log that has no predictions of the version
    /// yet is no error, and nothing is judged then.
    ///
    /// # Errors
    /// As [`Book::drift`], but for that.
    pub fn drift_so_far(
        &self,
        version: &ModelVersion,
        found: FoundProfile,
        request: &DriftRequest,
        monitor: &Monitor,
    ) -> Result<DriftReport> {
        let nothing = DriftReport {
            model: version.reference().to_string(),
            min_n: request.options.min_n,
            computed_ms: super::now_ms(),
            ..DriftReport::of(&found.profile)
        };
        self.compared(version, found, request, monitor, |error| match error.kind() {
            ErrorKind::NotFound => {
                let notes = nothing.too_few().into_iter().chain([error.to_string()]).collect();
                Ok(DriftReport { notes, ..nothing })
            }
            _ => Err(error),
        })
    }

    /// `without` is the answer where the log has nothing to compare.
    fn compared(
        &self,
        version: &ModelVersion,
        found: FoundProfile,
        request: &DriftRequest,
        monitor: &Monitor,
        without: impl FnOnce(Error) -> Result<DriftReport>,
    ) -> Result<DriftReport> {
        let FoundProfile { profile, note } = found;
        let (window, source) = match &request.source {
            DriftSource::Log { from_ms } => {
                match self.logged_window(version, &profile, *from_ms..i64::MAX) {
                    Ok(window) => (window, "log".to_owned()),
                    Err(error) => return without(error),
                }
            }
            DriftSource::Data(name) => {
                (self.data_window(version, &profile, name, monitor)?, name.clone())
            }
        };
        let texts = self.drift_texts(version, &window);
        let report = monitor.stage("comparing", None, || {
            compare(&profile, &window, &texts, &request.options, monitor)
        })?;
        let mut notes: Vec<String> = note.into_iter().collect();
        notes.extend(report.too_few());
        notes.extend(window_notes(&window));
        let (model, computed_ms) = (version.reference().to_string(), super::now_ms());
        let mut report = DriftReport { model, source, notes, computed_ms, ..report };
        if matches!(request.source, DriftSource::Log { .. }) {
            let noted = note_alert(&self.store().logs_dir(), &report, super::now_ms());
            // A log that may only be read is told of all the same, each time as news.
            report.alert = noted.unwrap_or(None).or(match report.verdict {
                SignalLevel::Alert => {
                    let since_ms = super::now_ms();
                    Some(crate::monitor::drift::AlertNote { since_ms, is_new: true })
                }
                _ => None,
            });
        }
        Ok(report)
    }

    /// The predictions of `version` in the log from the start of `times` on and before its end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without one, and when the log cannot be read.
    pub(super) fn logged_window(
        &self,
        version: &ModelVersion,
        profile: &ReferenceProfile,
        times: Range<i64>,
    ) -> Result<WindowCounts> {
        let dir = self.store().logs_dir();
        let Range { start: from_ms, end: to_ms } = times;
        let (model, version_number) = (version.model.clone(), version.version);
        let choice =
            WindowChoice { model, version: version_number, from_ms, to_ms, is_shadow: false };
        let mut window = read_log(&dir, from_ms, || WindowCounts::new(profile, choice.clone()))?;
        if window.n == 0 {
            let reference = version.reference();
            let since = match from_ms > 0 {
                true => format!(" since {} (UTC)", figure::time(from_ms)),
                false => String::new(),
            };
            let error = Error::new(
                ErrorKind::NotFound,
                format!("the log has no predictions of {reference}{since}"),
            );
            return Err(match window.n_other_versions {
                0 => error.with_hint(Hint::new().run("serve").say(" logs each one")),
                n => error.with_hint(format!(
                    "there are {} of other versions: name one of them",
                    figure::count(n)
                )),
            });
        }
        if window.n_tallied == 0 {
            count_texts(&mut window, &profile.word_counter());
        }
        Ok(window)
    }

    fn data_window(
        &self,
        version: &ModelVersion,
        profile: &ReferenceProfile,
        name: &str,
        monitor: &Monitor,
    ) -> Result<WindowCounts> {
        let classifier = self.load(version)?;
        let choice = WindowChoice {
            model: version.model.clone(),
            version: version.version,
            from_ms: 0,
            to_ms: i64::MAX,
            is_shadow: false,
        };
        let mut asked = AskedTexts {
            classifier: classifier.as_ref(),
            counter: profile.word_counter(),
            window: WindowCounts::new(profile, choice),
        };
        let (dataset, split) = name.split_once('.').unwrap_or((name, "test"));
        let is_split = matches!(split, "train" | "test") && !Path::new(name).exists();
        monitor.stage("predicting", None, || -> Result<()> {
            if is_split {
                let split = self.datasets().split(dataset, split)?;
                for texts in split.texts.chunks(CHUNK) {
                    monitor.interrupt.check()?;
                    asked.add(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
                return Ok(());
            }
            let mut reader = RowsReader::open_texts(Path::new(name))?;
            while let Some(chunk) = reader.next()? {
                monitor.interrupt.check()?;
                let texts: Vec<&str> = chunk
                    .texts
                    .iter()
                    .filter_map(|text| text.as_deref())
                    .filter(|text| !text.trim().is_empty())
                    .collect();
                asked.add(&texts)?;
            }
            Ok(())
        })?;
        match asked.window.n {
            0 => Err(Error::invalid(format!("{name:?} has no texts to compare"))),
            _ => Ok(asked.window),
        }
    }

    /// Texts of the window and of the version's test split, where both are there.
    fn drift_texts(&self, version: &ModelVersion, window: &WindowCounts) -> DriftTexts {
        let current: Vec<String> = window.texts().map(str::to_owned).collect();
        let lineage = &version.lineage;
        if current.is_empty() || lineage.dataset.is_empty() {
            return DriftTexts::default();
        }
        let Ok(split) = self.datasets().split(&lineage.dataset, "test") else {
            return DriftTexts::default();
        };
        if split.fingerprint.sha256 != lineage.test_fingerprint {
            return DriftTexts::default();
        }
        let (n_rows, n_kept) = (split.texts.len(), split.texts.len().min(MAX_TEXTS));
        let reference = (0..n_kept).map(|idx| split.texts[idx * n_rows / n_kept].clone()).collect();
        DriftTexts { reference, current }
    }
}

/// A model that is asked about texts, and what is counted of its answers.
struct AskedTexts<'a> {
    classifier: &'a dyn Classifier,
    counter: WordCounter,
    window: WindowCounts,
}

impl AskedTexts<'_> {
    fn add(&mut self, texts: &[&str]) -> Result<()> {
        if texts.is_empty() {
            return Ok(());
        }
        let answers = predictions(self.classifier, texts)?;
        let embeddings = self.classifier.embed(texts)?.unwrap_or_default();
        let mut found = Vec::new();
        for (text, answer) in texts.iter().zip(&answers) {
            found.clear();
            let n_words = self.counter.count(text, &mut found);
            let unknown = answer.known_share.map(|share| n_unknown_words(n_words, share));
            let key = sample_key(self.window.n);
            self.window.add(CountedAnswer {
                label: &answer.label,
                confidence: answer.confidence,
                n_words: u32::try_from(n_words).ok(),
                n_unknown_words: unknown,
            });
            self.window.add_words(1, found.iter().map(|id| (*id, 1)));
            self.window.add_text(key, text);
        }
        let first = self.window.n - texts.len() as u64;
        for (row, embedding) in (first..).zip(embeddings) {
            if let Some(embedding) = embedding {
                self.window.add_embedding(sample_key(row), embedding);
            }
        }
        Ok(())
    }
}

/// Counts the words of the texts that a log kept, for one that has no counts.
pub(super) fn count_texts(window: &mut WindowCounts, counter: &WordCounter) {
    let texts: Vec<String> = window.texts().map(str::to_owned).collect();
    let mut found = Vec::new();
    for text in &texts {
        found.clear();
        counter.count(text, &mut found);
        window.add_words(1, found.iter().map(|id| (*id, 1)));
    }
}

/// What people should know of a window.
fn window_notes(window: &WindowCounts) -> Vec<String> {
    let mut notes = Vec::new();
    if window.lengths.is_empty() {
        notes.push(
            "the log has no counts of words: it was written by an older version of trialbook"
                .to_owned(),
        );
    } else if window.n_tallied == 0 {
        notes.push(match window.n_of_other_lists {
            0 => "the log has no words counted over many texts yet".to_owned(),
            _ => "the words in the log were counted for another profile".to_owned(),
        });
    }
    if window.n_other_versions > 0 {
        let n = figure::counted(window.n_other_versions, "prediction");
        notes.push(format!("{n} of other versions of the model are not in it"));
    }
    if window.n_unreadable > 0 {
        let n = figure::count(window.n_unreadable);
        notes.push(format!("unreadable lines in the log: {n}"));
    }
    notes
}
