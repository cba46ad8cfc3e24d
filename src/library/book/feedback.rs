//! True labels of what a store's servers predicted: measuring by them, picking what to label next,
//! and making a dataset of them. It joins the logs to versions, texts and datasets; what labels
//! say together and what is measured, the room of monitoring decides.

use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

use polars::prelude::{Column, DataFrame};
use sha2::{Digest as _, Sha256};

use super::Book;
use crate::{
    data::{
        AddRequest, Added, DatasetSource, FeedbackLineage, KeepColumns, LabelledTexts, RowsReader,
        RowsWriter,
    },
    error::{Error, ErrorKind, Result},
    figure::{self, hex},
    hint::Hint,
    monitor::{
        Arm, PerformanceReport, PerformanceRequest, PickRequest, Picked, SampleBy, TextSource,
        by_sha256, measure_performance, pick_texts, read_labels, visit_predictions,
    },
    progress::Monitor,
};

/// Predictions to be labelled.
#[derive(Debug, Clone, Default)]
pub struct SampleRequest {
    /// The registered model; none for the store's only one.
    pub model: Option<String>,
    /// The number of texts.
    pub n: usize,
    /// The way to pick them; none for those that the model is least sure of.
    pub by: Option<SampleBy>,
    /// Those from then on, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Those of this version alone; none for all.
    pub version: Option<u32>,
    /// As in [`PickRequest`].
    pub latest_bytes: Option<u64>,
    /// Decides what is picked at random.
    pub seed: u64,
    /// A dataset, a split of one, or a file that has the texts, for logs that keep only their SHA-256.
    pub texts: Option<String>,
}

/// A dataset to be made of true labels.
#[derive(Debug, Clone)]
pub struct FeedbackDatasetRequest {
    /// Its name.
    pub name: String,
    /// The dataset whose training split gets the labelled texts, and whose test split is kept; none for a dataset
    /// of the labelled texts alone.
    pub base: Option<String>,
    /// The registered model whose predictions are labelled; none for the store's only one.
    pub model: Option<String>,
    /// Labels from then on, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// As in [`SampleRequest`].
    pub texts: Option<String>,
    /// The part that becomes the test split; none for the usual one.
    pub test_size: Option<f64>,
    /// The seed of that split.
    pub seed: u64,
    /// The positive one of two classes.
    pub positive: Option<String>,
}

/// Labelled texts of a model's predictions.
#[derive(Default)]
pub(super) struct GatheredLabels {
    pub(super) by_text: BTreeMap<String, LabelledText>,
    /// Labels whose texts are not known.
    pub(super) n_without_text: u64,
    /// Labels of a text that has another one.
    n_repeated: usize,
    /// Those of them that say something else.
    n_contrary: usize,
}

/// A text with the label that counts.
pub(super) struct LabelledText {
    pub(super) label: String,
    source: String,
    timestamp_ms: i64,
    sampled_by: Option<SampleBy>,
    request_id: String,
    index: u32,
    version: u32,
}

impl Book {
    /// The model of what is labelled, and that there is a registry to ask for it.
    fn labelled_model(&self, model: Option<&str>) -> Result<String> {
        match model {
            Some(model) => Ok(self.tracker()?.model(model)?.name),
            None => self.tracker()?.default_model(),
        }
    }

    /// The classes of a version, in label order.
    pub(super) fn version_classes(&self, model: &str, version: u32) -> Result<Vec<String>> {
        let version = self.tracker()?.version(model, version)?;
        Ok(self.load(&version)?.classes().to_vec())
    }

    /// Measures what servers predicted by the true labels that came since, beside what the probabilities let one
    /// expect.
    ///
    /// # Errors
    /// When a log or the registry cannot be read.
    pub fn performance(&self, request: &PerformanceRequest) -> Result<PerformanceReport> {
        self.performance_of(request, |_, _| None)
    }

    /// As [`Book::performance`], for whoever has the classes of some versions at hand.
    ///
    /// # Errors
    /// As [`Book::performance`].
    pub fn performance_of(
        &self,
        request: &PerformanceRequest,
        at_hand: impl Fn(&str, u32) -> Option<Vec<String>>,
    ) -> Result<PerformanceReport> {
        let dir = self.store().logs_dir();
        let (labels, n_unreadable) = read_labels(&dir)?;
        let classes = |model: &str, version: u32| {
            at_hand(model, version).map_or_else(|| self.version_classes(model, version), Ok)
        };
        let mut report = measure_performance(&dir, &labels, request, classes)?;
        report.n_unreadable += n_unreadable;
        Ok(report)
    }

    /// Picks predictions to be labelled next.
    ///
    /// # Errors
    /// No such model, logs that cannot be read; [`ErrorKind::NotFound`] with what to do where predictions could be
    /// picked and no text of them is known.
    pub fn pick_texts(&self, request: &SampleRequest) -> Result<Picked> {
        let dir = self.store().logs_dir();
        let (labels, _) = read_labels(&dir)?;
        let texts = self.known_texts(request.texts.as_deref())?;
        let by = request.by.unwrap_or(SampleBy::Uncertainty);
        let asked = PickRequest {
            model: self.labelled_model(request.model.as_deref())?,
            n: request.n,
            by,
            from_ms: request.from_ms,
            version: request.version,
            latest_bytes: request.latest_bytes,
            seed: request.seed,
        };
        let picked = pick_texts(&dir, &labels, &texts, &asked)?;
        if picked.texts.is_empty() && picked.n_without_text > 0 {
            return Err(without_texts(picked.n_without_text, request.texts.as_deref()));
        }
        Ok(picked)
    }

    /// Writes what was picked into a file for people: a row a text, with an empty column for the label. What the
    /// model predicted is in it only if `shows_predictions`: who sees it tends to agree. How they were picked is in it
    /// as [`Picked::sampled_by`] has it.
    ///
    /// # Errors
    /// As for any file: the format, a file that is there already, the system.
    pub fn write_picked(
        &self,
        picked: &Picked,
        by: SampleBy,
        shows_predictions: bool,
        path: &Path,
        replace: bool,
    ) -> Result<()> {
        let texts = &picked.texts;
        let sampled_by = picked.sampled_by(by).map(|by| by.to_string());
        // A null in JSON takes a label back: what nobody has come to yet is an empty text there.
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let blank = (ending != "csv" && ending != "tsv").then(String::new);
        let of = |name: &str, values: Vec<String>| Column::new(name.into(), values);
        let mut columns = vec![
            of("request_id", texts.iter().map(|text| text.request_id.clone()).collect()),
            Column::new("index".into(), texts.iter().map(|text| text.index).collect::<Vec<_>>()),
            of("text", texts.iter().map(|text| text.text.clone()).collect()),
            Column::new("label".into(), vec![blank; texts.len()]),
            Column::new("sampled_by".into(), vec![sampled_by; texts.len()]),
        ];
        if shows_predictions {
            columns
                .push(of("prediction", texts.iter().map(|text| text.prediction.clone()).collect()));
            columns.push(Column::new(
                "confidence".into(),
                texts.iter().map(|text| text.confidence).collect::<Vec<_>>(),
            ));
        }
        let frame = DataFrame::new(texts.len(), columns).map_err(|source| {
            Error::new(ErrorKind::Internal, "the texts make no frame").with_source(source)
        })?;
        RowsWriter::write_frame(path, frame, replace)
    }

    /// Makes a dataset of predicted texts and their true labels. A text that came more than once is in it once, with
    /// the latest label.
    ///
    /// # Errors
    /// No label with a text, and as for any dataset: too few classes or rows, a name that is taken.
    pub fn dataset_from_feedback(
        &self,
        request: &FeedbackDatasetRequest,
        monitor: &Monitor,
    ) -> Result<Added> {
        let model = self.labelled_model(request.model.as_deref())?;
        let gathered =
            self.labelled_texts(&model, request.from_ms..=i64::MAX, request.texts.as_deref())?;
        let GatheredLabels { by_text, n_without_text, n_repeated, n_contrary } = gathered;
        if by_text.is_empty() {
            if n_without_text > 0 {
                return Err(without_texts(n_without_text, request.texts.as_deref()));
            }
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("no prediction of {model} in the log has a true label in this time"),
            )
            .with_hint(
                Hint::from("label some with ")
                    .run("monitor sample")
                    .say(" and ")
                    .run("monitor label FILE"),
            ));
        }
        let feedback = lineage(&model, by_text.values());
        let (texts, labelled): (Vec<String>, Vec<LabelledText>) = by_text.into_iter().unzip();
        // What is positive for the model is so for its labels.
        let newest = feedback
            .versions
            .last()
            .and_then(|version| self.version_classes(&model, *version).ok());
        let positive = request.positive.clone().or_else(|| match newest.as_deref() {
            Some([_, positive]) if labelled.iter().any(|one| one.label == *positive) => {
                Some(positive.clone())
            }
            _ => None,
        });
        let column = |value: &dyn Fn(&LabelledText) -> String| labelled.iter().map(value).collect();
        let columns: Vec<(String, Vec<String>)> = vec![
            ("request_id".to_owned(), column(&|one| one.request_id.clone())),
            ("index".to_owned(), column(&|one| one.index.to_string())),
            ("label_source".to_owned(), column(&|one| one.source.clone())),
        ];
        let labels = column(&|one| one.label.clone());
        let origin = format!("true labels of {model}");
        let rows = LabelledTexts { origin, texts, labels, columns };
        let mut added = match &request.base {
            Some(base) => {
                let of_added = |is_added: &[bool]| {
                    let rows = labelled.iter().zip(is_added);
                    lineage(&model, rows.filter(|(_, is_added)| **is_added).map(|(one, _)| one))
                };
                self.datasets().extend(base, &request.name, rows, of_added, monitor)?
            }
            None => {
                let add = AddRequest {
                    test_size: request.test_size,
                    seed: request.seed,
                    positive,
                    positive_of: request.positive.is_none().then(|| model.clone()),
                    columns: KeepColumns::All,
                    ..AddRequest::new(DatasetSource::Labelled(rows))
                };
                self.datasets().add_made(&request.name, &add, Some(feedback), monitor)?
            }
        };
        let mut note = |n: u64, text: &str| {
            if n > 0 {
                added.notes.push(Hint::from(format!("{} {text}", figure::counted(n, "label"))));
            }
        };
        note(n_repeated as u64, "of a text that is there once already");
        note(n_contrary as u64, "that contradict another one of the same text: the latest counts");
        note(n_without_text, "left out: their texts are not known here");
        Ok(added)
    }

    /// The texts of a model's predictions that have a label said in these `times`, each once with the latest one.
    ///
    /// # Errors
    /// When a log or the texts cannot be read.
    pub(super) fn labelled_texts(
        &self,
        model: &str,
        times: RangeInclusive<i64>,
        texts: Option<&str>,
    ) -> Result<GatheredLabels> {
        let dir = self.store().logs_dir();
        let (labels, _) = read_labels(&dir)?;
        if labels.is_empty() {
            return Ok(GatheredLabels::default());
        }
        let known = self.known_texts(texts)?;
        let mut gathered = GatheredLabels::default();
        visit_predictions(&dir, None, |record| {
            if record.model != model || record.arm == Arm::Shadow {
                return Ok(());
            }
            let Some(truth) = labels.truth(record.request_id, record.index) else { return Ok(()) };
            let Some(label) = truth.label.clone().filter(|_| times.contains(&truth.timestamp_ms))
            else {
                return Ok(());
            };
            let known_text = || known.get(record.text_sha256?).map(String::as_str);
            let Some(text) = record.text.or_else(known_text) else {
                gathered.n_without_text += 1;
                return Ok(());
            };
            let one = LabelledText {
                label,
                source: truth.source.clone(),
                timestamp_ms: truth.timestamp_ms,
                sampled_by: truth.sampled_by,
                request_id: record.request_id.to_owned(),
                index: record.index,
                version: record.version,
            };
            match gathered.by_text.get_mut(text) {
                None => {
                    gathered.by_text.insert(text.to_owned(), one);
                }
                Some(earlier) => {
                    gathered.n_repeated += 1;
                    gathered.n_contrary += usize::from(earlier.label != one.label);
                    let rank =
                        |one: &LabelledText| (one.timestamp_ms, one.request_id.clone(), one.index);
                    if rank(&one) > rank(earlier) {
                        *earlier = one;
                    }
                }
            }
            Ok(())
        })?;
        Ok(gathered)
    }

    /// The texts of a dataset, of a split of one, or of a file, by their SHA-256; none without any.
    fn known_texts(&self, source: Option<&str>) -> Result<TextSource> {
        let Some(source) = source else { return Ok(TextSource::default()) };
        let (name, split) = match source.split_once('.') {
            Some((name, split @ ("train" | "test"))) => (name, Some(split)),
            _ => (source, None),
        };
        if let Ok(dataset) = self.datasets().get(name) {
            let wanted =
                dataset.splits.iter().filter(|found| split.is_none_or(|split| split == found.name));
            let mut texts = TextSource::default();
            for found in wanted {
                texts.extend(by_sha256(self.datasets().split(name, &found.name)?.texts));
            }
            return Ok(texts);
        }
        let mut reader = RowsReader::open_texts(Path::new(source)).map_err(|error| {
            error.with_context(format!("{source:?} is no dataset here, and as a file"))
        })?;
        let mut texts = TextSource::default();
        while let Some(chunk) = reader.next()? {
            texts.extend(by_sha256(chunk.texts.into_iter().flatten()));
        }
        Ok(texts)
    }
}

/// The labels of a dataset, summed up.
fn lineage<'a>(model: &str, labels: impl Iterator<Item = &'a LabelledText>) -> FeedbackLineage {
    let mut lineage = FeedbackLineage {
        base: None,
        model: model.to_owned(),
        versions: Vec::new(),
        n_labels: 0,
        from_ms: i64::MAX,
        to_ms: i64::MIN,
        sources: BTreeMap::new(),
        sampled_by: BTreeMap::new(),
        sha256: String::new(),
    };
    let mut lines = Vec::new();
    for one in labels {
        lineage.n_labels += 1;
        lineage.from_ms = lineage.from_ms.min(one.timestamp_ms);
        lineage.to_ms = lineage.to_ms.max(one.timestamp_ms);
        if !lineage.versions.contains(&one.version) {
            lineage.versions.push(one.version);
        }
        *lineage.sources.entry(one.source.clone()).or_default() += 1;
        let by = one.sampled_by.map_or("unknown", SampleBy::as_str);
        *lineage.sampled_by.entry(by.to_owned()).or_default() += 1;
        let LabelledText { request_id, index, source, timestamp_ms, label, .. } = one;
        lines.push(format!("{request_id}\n{index}\n{source}\n{timestamp_ms}\n{label}"));
    }
    lineage.versions.sort_unstable();
    lines.sort_unstable();
    lineage.sha256 = hex(&Sha256::digest(lines.join("\n\n")));
    lineage
}

/// No text is known of predictions that are to be shown.
fn without_texts(n: u64, looked_in: Option<&str>) -> Error {
    let n = figure::counted(n, "prediction");
    match looked_in {
        Some(source) => Error::new(ErrorKind::NotFound, format!("{n} found, and {source:?} has the text of none"))
            .with_hint("the texts have to be the same, byte for byte, as those that were sent to the server"),
        None => Error::new(ErrorKind::NotFound, format!("{n} found, and the log has the text of none")).with_hint(
            Hint::from("a log keeps no texts unless it is told to: start servers with ")
                .run("serve --log-text full")
                .say(", or name a dataset or a file that has the texts with --texts: they are found by their SHA-256"),
        ),
    }
}
