//! From a request to two checked splits in memory: read, check, name the classes, split. Nothing
//! is written here, so an error changes nothing.

use std::path::Path;

use super::{
    AddRequest, Source,
    classes::{Classes, check_not_single},
    column::ColumnChoice,
    excerpt::excerpt,
    file,
    folder::{self, Folder},
    input::STANDARD,
    raw::{RawRows, Rows},
    sample, shards,
    stratify::{check_test_size, stratify},
};
use crate::{
    error::{Error, Result},
    progress::Monitor,
};

/// A dataset in memory, ready to be stored.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) classes: Vec<String>,
    pub(super) train: Examples,
    pub(super) test: Examples,
    /// Where the examples came from, for the reader.
    pub(super) source: String,
    /// What was guessed.
    pub(super) notes: Vec<String>,
}

/// The examples of one split.
#[derive(Debug)]
pub(super) struct Examples {
    pub(super) texts: Vec<String>,
    /// Class indices.
    pub(super) labels: Vec<u32>,
}

enum Splits {
    Both(Rows, Rows),
    One(Rows),
}

/// Reads and checks what `request` asks for.
///
/// # Errors
/// Every bad input: what, in which file and row, what was expected, what to do.
pub(super) fn gather(request: &AddRequest, monitor: &Monitor) -> Result<Gathered> {
    if let Some(test_size) = request.test_size {
        check_test_size(test_size)?;
    }
    let choice = ColumnChoice {
        text: request.text_column.as_deref(),
        label: request.label_column.as_deref(),
    };
    let mut notes = Vec::new();
    let (splits, source) = monitor.stage("read", None, || read(request, choice, &mut notes))?;
    monitor.interrupt.check()?;
    match splits {
        Splits::Both(..) if request.test_size.is_some() => {
            Err(Error::invalid(format!("{source} has a test split of its own"))
                .with_hint("leave --test-size out"))
        }
        Splits::Both(train, test) => both(train, test, source, notes),
        Splits::One(rows) => one(rows, request, source, notes),
    }
}

fn both(train: Rows, test: Rows, source: String, mut notes: Vec<String>) -> Result<Gathered> {
    let classes = Classes::of(&train)?;
    let train_labels = classes.encode(&train)?;
    let test_labels = classes.encode(&test)?;
    check_not_single(&test_labels, classes.names(), &test.places.whole())?;
    notes.extend(classes.note(&train));
    Ok(Gathered {
        classes: classes.names().to_vec(),
        train: Examples { texts: train.texts, labels: train_labels },
        test: Examples { texts: test.texts, labels: test_labels },
        source,
        notes,
    })
}

fn one(
    rows: Rows,
    request: &AddRequest,
    source: String,
    mut notes: Vec<String>,
) -> Result<Gathered> {
    let classes = Classes::of(&rows)?;
    let labels = classes.encode(&rows)?;
    notes.extend(classes.note(&rows));
    let (test_size, seed) = match request.test_size {
        Some(test_size) => (test_size, request.seed),
        None => {
            let test_size = AddRequest::DEFAULT_TEST_SIZE;
            notes.push(format!(
                "one split in the source: {test_size} of each class became the test split \
                 (choose with --test-size and --seed)"
            ));
            (test_size, request.seed)
        }
    };
    let partition = stratify(&labels, classes.names(), test_size, seed, &rows.places.whole())?;
    let mut texts = rows.texts;
    let mut take = |rows: &[usize]| Examples {
        texts: rows.iter().map(|&row| std::mem::take(&mut texts[row])).collect(),
        labels: rows.iter().map(|&row| labels[row]).collect(),
    };
    Ok(Gathered {
        train: take(&partition.train),
        test: take(&partition.test),
        classes: classes.names().to_vec(),
        source: format!("{source}, test size {test_size}, seed {seed}"),
        notes,
    })
}

fn read(
    request: &AddRequest,
    choice: ColumnChoice<'_>,
    notes: &mut Vec<String>,
) -> Result<(Splits, String)> {
    let dialect = &request.dialect;
    match &request.source {
        Source::Path(path) if folder::is_one(path) => {
            refuse_columns(choice)?;
            let splits = match folder::read(path, dialect.encoding)? {
                Folder::Both { train, test } => Splits::Both(train.check()?, test.check()?),
                Folder::One(rows) => Splits::One(rows.check()?),
            };
            Ok((splits, format!("folder {path:?}")))
        }
        Source::Path(path) => match shards::splits(shards::files(path, dialect)?)? {
            shards::Splits::One(files) => {
                let (rows, guessed) = file::read_files(&files, dialect, choice)?;
                notes.extend(guessed);
                Ok((Splits::One(rows.check()?), called(path)))
            }
            shards::Splits::Both { train, test, note } => {
                notes.push(note);
                let read = |files| file::read_files(files, dialect, choice);
                let (train, test) = rayon::join(|| read(&train), || read(&test));
                Ok((pair(train, test, notes)?, called(path)))
            }
        },
        Source::Pair { train, test } => {
            let source = format!("{} and {}", called(train), called(test));
            if folder::is_one(train) && folder::is_one(test) {
                refuse_columns(choice)?;
            }
            if train == test && train == Path::new(STANDARD) {
                return Err(Error::invalid("standard input cannot be both train and test")
                    .with_hint("give a file for one of them"));
            }
            // Both at once; of two bad files the training one is complained about.
            let read = |path| file::read(path, dialect, choice);
            let (train, test) = rayon::join(|| read(train), || read(test));
            Ok((pair(train, test, notes)?, source))
        }
        Source::Sample { seed } => {
            refuse_columns(choice)?;
            let (train, test): (RawRows, RawRows) = sample::generate(*seed);
            Ok((
                Splits::Both(train.check()?, test.check()?),
                format!("the built-in sample, seed {seed}"),
            ))
        }
    }
}

/// The rows of two splits and remarks on what was guessed.
type Guessed = Result<(RawRows, Vec<String>)>;

fn pair(train: Guessed, test: Guessed, notes: &mut Vec<String>) -> Result<Splits> {
    let ((train, guessed), (test, guessed_in_test)) = (train?, test?);
    notes.extend(guessed);
    for note in guessed_in_test {
        if !notes.contains(&note) {
            notes.push(format!("test: {note}"));
        }
    }
    Ok(Splits::Both(train.check()?, test.check()?))
}

/// What a dataset's source is called from then on.
fn called(path: &Path) -> String {
    match path == Path::new(STANDARD) {
        true => "standard input".to_owned(),
        false => format!("{path:?}"),
    }
}

fn refuse_columns(choice: ColumnChoice<'_>) -> Result<()> {
    match choice.text.or(choice.label) {
        None => Ok(()),
        Some(column) => Err(Error::invalid(format!(
            "column {} was named, but this source has no columns",
            excerpt(column)
        ))
        .with_hint("leave --text and --label out")),
    }
}
