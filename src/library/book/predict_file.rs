//! Predicting every row of a file into another one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::Book;
use crate::{
    data::{
        AddedColumn, AddedValues, Dialect, RowChunk, RowsFormat, RowsReader, RowsWriter, STANDARD,
        check_standard_streams, exists,
    },
    error::{Error, ErrorKind, Result},
    model::{
        Classifier,
        prediction::{BatchPrediction, Prediction},
    },
    progress::Monitor,
    registry::{ModelReference, ModelVersion},
    s3::{self, S3Url},
};

/// A file to predict, and the file to write.
#[derive(Debug, Clone)]
pub struct PredictFileRequest {
    /// The version.
    pub model: ModelReference,
    /// Rows: a file of CSV, TSV, JSON, Parquet or Arrow, as its content and name say, a folder of
    /// them, or a pattern such as `new/*.csv`, here or as `s3://BUCKET/KEY`. On the command line `-` is
    /// standard input.
    pub input: PathBuf,
    /// The file or object `s3://BUCKET/KEY` to write: CSV, TSV, JSON lines or Parquet, as its extension
    /// says. On the command line `-` is standard output, which gets the format of the input.
    pub output: PathBuf,
    /// The dialect of the input's text, as far as it is given; the rest is guessed.
    pub dialect: Dialect,
    /// The column that holds the texts; none for the one that is obvious.
    pub text_column: Option<String>,
    /// Stands in front of the names of the columns that are added.
    pub prefix: String,
    /// True if the output may take the place of another file.
    pub replace: bool,
}

/// The result of predicting a file.
#[derive(Debug, Clone, Serialize)]
pub struct PredictedFile {
    /// The version that answered.
    pub model: ModelVersion,
    /// The column that held the texts.
    pub text_column: String,
    /// Rows read and written.
    pub n_rows: u64,
    /// Rows without a text, whose predictions are empty.
    pub n_without_text: u64,
    /// Texts of which the model read only the beginning.
    pub n_truncated: u64,
    /// Texts of which the model knows no word: their predictions say nothing about them.
    pub n_unknown: u64,
    /// The probability of the positive class from which on it is predicted; none for more than two classes.
    pub threshold: Option<f64>,
    /// The number of rows that each label was predicted for.
    pub labels: BTreeMap<String, u64>,
    /// The guesses made on the way.
    pub notes: Vec<String>,
}

impl Book {
    /// Predicts every row of a file: all its columns, then `label`, `confidence` and a `score_CLASS`
    /// for each class. Reads, predicts and writes a chunk at a time; the output has its name once it
    /// is whole.
    ///
    /// # Errors
    /// Files that cannot be read or written, a text column that is not there, an output that is
    /// there already, and [`ErrorKind::Interrupted`] when asked to
    /// stop. Then nothing is left of the output.
    pub fn predict_file(
        &self,
        request: &PredictFileRequest,
        monitor: &Monitor,
    ) -> Result<PredictedFile> {
        let PredictFileRequest { input, dialect, output, prefix, replace, .. } = request;
        let is_stdout = output == Path::new(STANDARD);
        if is_stdout {
            check_standard_streams()?;
        } else {
            RowsFormat::of_output(output)?;
            if is_same(input, output) {
                return Err(Error::invalid(format!("{output:?} is the input itself"))
                    .with_hint("write to another file"));
            }
            refuse_taken(output, *replace)?;
        }
        let object = S3Url::of_path(output)?;
        let mut reader = RowsReader::open(input, dialect, request.text_column.as_deref())?;
        // Standard output and an object get the whole file or nothing, like a name.
        let extension = match &object {
            Some(_) => output.extension().map(|extension| extension.to_string_lossy().into_owned()),
            None => is_stdout.then(|| reader.extension().to_owned()),
        };
        let scratch = extension.map(|extension| ScratchFile::new(&extension)).transpose()?;
        let (file, replace_file) = match &scratch {
            Some(scratch) => (&scratch.file, true),
            None => (output, *replace),
        };
        let model = self.tracker()?.resolve(&request.model)?;
        let classifier = self.load(&model)?;
        let none = added(classifier.as_ref(), prefix, &[]);
        let mut writer = RowsWriter::create(file, &reader, &none, &monitor.interrupt)?;
        let mut done = PredictedFile {
            model,
            text_column: reader.text_column().to_owned(),
            n_rows: 0,
            n_without_text: 0,
            n_truncated: 0,
            n_unknown: 0,
            threshold: (classifier.classes().len() == 2).then(|| classifier.decision().threshold()),
            labels: BTreeMap::new(),
            notes: reader.notes().to_vec(),
        };
        monitor.stage("predicting", reader.n_rows(), || -> Result<()> {
            while let Some(chunk) = reader.next()? {
                monitor.interrupt.check()?;
                let n_rows = chunk.n_rows() as u64;
                let predictions = done.predict(classifier.as_ref(), &chunk)?;
                writer.write(chunk, &added(classifier.as_ref(), prefix, &predictions))?;
                monitor.progress.advance(n_rows);
                monitor.progress.note(&format!("{} rows", done.n_rows));
            }
            Ok(())
        })?;
        monitor.interrupt.check()?;
        writer.finish(replace_file)?;
        match (&scratch, &object) {
            (Some(scratch), Some(object)) => {
                refuse_taken(output, *replace)?;
                s3::send(&scratch.file, object)?;
            }
            (Some(scratch), None) => scratch.print()?,
            (None, _) => {}
        }
        Ok(done)
    }
}

impl PredictedFile {
    /// Predicts the rows of `chunk` that have a text, and counts.
    fn predict(
        &mut self,
        classifier: &dyn Classifier,
        chunk: &RowChunk,
    ) -> Result<Vec<Option<Prediction>>> {
        let is_given = |text: &&str| !text.trim().is_empty();
        let texts = || chunk.texts.iter().map(|text| text.as_deref().filter(is_given));
        let given: Vec<&str> = texts().flatten().collect();
        let BatchPrediction { predictions, truncated } = match given.is_empty() {
            true => BatchPrediction::default(),
            false => BatchPrediction::of(classifier, &given)?,
        };
        let mut predictions = predictions.into_iter();
        self.n_truncated += truncated.iter().filter(|is_cut| **is_cut).count() as u64;
        self.n_rows += chunk.n_rows() as u64;
        self.n_without_text += (chunk.n_rows() - given.len()) as u64;
        let rows = texts().map(|text| text.and_then(|_| predictions.next()));
        let rows: Vec<Option<Prediction>> = rows.collect();
        for prediction in rows.iter().flatten() {
            *self.labels.entry(prediction.label.clone()).or_default() += 1;
            self.n_unknown += u64::from(prediction.is_of_unknown_text());
        }
        Ok(rows)
    }
}

/// The columns that say what `rows` are predicted as.
fn added(
    classifier: &dyn Classifier,
    prefix: &str,
    rows: &[Option<Prediction>],
) -> Vec<AddedColumn> {
    let named = |name: String, values| AddedColumn { name: format!("{prefix}{name}"), values };
    let of_each = |value: &dyn Fn(&Prediction) -> f64| {
        AddedValues::Number(rows.iter().map(|row| row.as_ref().map(value)).collect())
    };
    let labels = rows.iter().map(|row| row.as_ref().map(|row| row.label.clone()));
    let mut columns = vec![
        named("label".to_owned(), AddedValues::Text(labels.collect())),
        named("confidence".to_owned(), of_each(&|prediction| prediction.confidence)),
    ];
    for (class_idx, class) in classifier.classes().iter().enumerate() {
        let scores = of_each(&|prediction| prediction.scores[class_idx].1);
        columns.push(named(format!("score_{class}"), scores));
    }
    columns
}

/// A file that goes to standard output, or becomes an object in S3, when it is whole.
struct ScratchFile {
    /// Takes the file with it.
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl ScratchFile {
    fn new(extension: &str) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|source| {
            Error::io("make a folder in", &std::env::temp_dir(), source)
                .with_hint("set TMPDIR to a folder with room for the output")
        })?;
        let file = folder.path().join(format!("rows.{extension}"));
        Ok(Self { _folder: folder, file })
    }

    fn print(&self) -> Result<()> {
        let mut file =
            File::open(&self.file).map_err(|source| Error::io("read", &self.file, source))?;
        let mut stdout = io::stdout().lock();
        match io::copy(&mut file, &mut stdout).and_then(|_| stdout.flush()) {
            // `… --out - | head` closes the pipe early: nothing is wrong.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Error::new(ErrorKind::Io, "cannot write to standard output").with_source(error))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Refuses an output that is there already, unless it may be replaced.
fn refuse_taken(output: &Path, replace: bool) -> Result<()> {
    let is_there = || match S3Url::of_path(output)? {
        Some(object) => s3::occupied(&object),
        None => Ok(output.exists()),
    };
    match !replace && is_there()? {
        true => Err(exists(output)),
        false => Ok(()),
    }
}

/// True if both paths lead to one file or object.
fn is_same(input: &Path, output: &Path) -> bool {
    if input == output && S3Url::is_one(input) {
        return true;
    }
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    }
}
