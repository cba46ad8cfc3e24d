//! From a request to two checked splits in memory: read, check, name the classes, split. Nothing
//! is written here, so an error changes nothing.

use std::{mem, path::Path};

use polars::prelude::Column;

use super::{
    AddRequest, DatasetSource, Dropped, KeepColumns, LabelledTexts,
    classes::{Classes, check_not_single, listed},
    column::ColumnChoice,
    excerpt::excerpt,
    file,
    folder::{self, TextFolder},
    input::STANDARD,
    kept::{self, KeptColumns, StoredColumns, picked},
    raw::{Dropping, LabelledRows, Places, RawRows},
    sample, shards,
    stratify::{check_test_size, stratify},
};
use crate::{
    error::{Error, Result},
    progress::Monitor,
};

/// A dataset in memory, ready to be stored.
#[derive(Debug)]
pub(super) struct CheckedSplits {
    pub(super) classes: Vec<String>,
    pub(super) train: Examples,
    pub(super) test: Examples,
    /// The origin of the examples, for the reader.
    pub(super) source: String,
    /// The rows left out as asked.
    pub(super) dropped: Dropped,
    /// The guesses.
    pub(super) notes: Vec<String>,
}

/// The examples of one split.
#[derive(Debug)]
pub(super) struct Examples {
    pub(super) texts: Vec<String>,
    /// Class indices.
    pub(super) labels: Vec<u32>,
    /// The kept columns, the same in both splits; one value an example.
    pub(super) columns: Vec<Column>,
}

enum RawSplits {
    Both(Box<LabelledRows>, Box<LabelledRows>),
    One(Box<LabelledRows>),
}

/// Reads and checks what `request` asks for.
///
/// # Errors
/// Every bad input: what, in which file and row, what was expected, what to do.
pub(super) fn gather(request: &AddRequest, monitor: &Monitor) -> Result<CheckedSplits> {
    if let Some(test_size) = request.test_size {
        check_test_size(test_size)?;
    }
    let choice = ColumnChoice {
        text: request.text_column.as_deref(),
        label: request.label_column.as_deref(),
        keep: &request.columns,
    };
    let dropping = Dropping { unlabelled: request.drop_unlabelled, empty: request.drop_empty };
    let mut notes = Vec::new();
    let (splits, source) =
        monitor.stage("read", None, || read(request, choice, dropping, &mut notes))?;
    monitor.interrupt.check()?;
    match splits {
        RawSplits::Both(..) if request.test_size.is_some() => {
            Err(Error::invalid(format!("{source} has a test split of its own"))
                .with_hint("leave --test-size out"))
        }
        RawSplits::Both(train, test) => both(*train, *test, request, source, notes),
        RawSplits::One(rows) => one(*rows, request, source, notes),
    }
}

fn both(
    mut train: LabelledRows,
    mut test: LabelledRows,
    request: &AddRequest,
    source: String,
    mut notes: Vec<String>,
) -> Result<CheckedSplits> {
    let classes = Classes::of(&train, request.positive.as_deref())?;
    let train_labels = classes.encode(&train)?;
    let test_labels = classes.encode(&test)?;
    check_not_single(&test_labels, classes.names(), &test.places.whole())?;
    notes.extend(train.dropped.note("train: "));
    notes.extend(test.dropped.note("test: "));
    notes.extend(classes.notes(&train, request.positive_of.as_deref()));
    let dropped = train.dropped.and(test.dropped);
    let parts = [&mut train, &mut test].map(|rows| (mem::take(&mut rows.kept), rows.texts.len()));
    let (mut columns, more) = settle(parts.into(), request)?;
    notes.extend(more);
    let test_columns = columns.pop().unwrap_or_default();
    let train_columns = columns.pop().unwrap_or_default();
    Ok(CheckedSplits {
        classes: classes.names().to_vec(),
        train: Examples { texts: train.texts, labels: train_labels, columns: train_columns },
        test: Examples { texts: test.texts, labels: test_labels, columns: test_columns },
        source: with_dropped(source, dropped),
        dropped,
        notes,
    })
}

fn one(
    rows: LabelledRows,
    request: &AddRequest,
    source: String,
    mut notes: Vec<String>,
) -> Result<CheckedSplits> {
    let classes = Classes::of(&rows, request.positive.as_deref())?;
    let labels = classes.encode(&rows)?;
    notes.extend(rows.dropped.note(""));
    notes.extend(classes.notes(&rows, request.positive_of.as_deref()));
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
    let (names, by_name) = by_alphabet(classes.names(), &labels);
    let partition = stratify(&by_name, &names, test_size, seed, &rows.places.whole())?;
    let mut texts = rows.texts;
    let (mut columns, more) = settle(vec![(rows.kept, texts.len())], request)?;
    notes.extend(more);
    let columns = columns.pop().unwrap_or_default();
    let mut take = |rows: &[usize]| {
        Ok::<_, Error>(Examples {
            texts: rows.iter().map(|&row| mem::take(&mut texts[row])).collect(),
            labels: rows.iter().map(|&row| labels[row]).collect(),
            columns: columns.iter().map(|column| picked(column, rows)).collect::<Result<_>>()?,
        })
    };
    Ok(CheckedSplits {
        train: take(&partition.train)?,
        test: take(&partition.test)?,
        classes: classes.names().to_vec(),
        source: with_dropped(format!("{source}, test size {test_size}, seed {seed}"), rows.dropped),
        dropped: rows.dropped,
        notes,
    })
}

/// The classes in the order of the alphabet and each label's index there. Which rows go into the
/// test split must not depend on which class is positive, nor on how classes are ordered.
fn by_alphabet(classes: &[String], labels: &[u32]) -> (Vec<String>, Vec<u32>) {
    let mut names = classes.to_vec();
    names.sort_unstable();
    let ranks: Vec<u32> =
        classes.iter().map(|class| names.partition_point(|name| name < class) as u32).collect();
    (names, labels.iter().map(|&label| ranks[label as usize]).collect())
}

/// The kept columns of each split, and what to say of them.
///
/// # Errors
/// When one is asked for by name that is not there or cannot be kept.
fn settle(
    parts: Vec<(KeptColumns, usize)>,
    request: &AddRequest,
) -> Result<(Vec<Vec<Column>>, Vec<String>)> {
    if let KeepColumns::Only(asked) = &request.columns
        && let Some(missing) =
            asked.iter().find(|name| parts.iter().all(|(kept, _)| !kept.has(name)))
    {
        return Err(Error::invalid(format!("no column {missing:?} to keep in the source"))
            .with_hint("choose others with --columns A,B, or all of them with --columns all"));
    }
    let StoredColumns { parts, mut notes } = KeptColumns::settle(parts, &request.columns)?;
    let types: Vec<String> = parts
        .first()
        .into_iter()
        .flatten()
        .map(|column| format!("{} ({})", column.name(), column.dtype()))
        .collect();
    if !types.is_empty() {
        let leaving = match request.source {
            // Who makes a dataset of labels has no such option.
            DatasetSource::Labelled(_) => "",
            _ => " (leave out with --columns none)",
        };
        notes.push(format!("kept for queries, not for training: {}{leaving}", listed(&types)));
    }
    Ok((parts, notes))
}

fn with_dropped(source: String, dropped: Dropped) -> String {
    match dropped.n_rows() {
        0 => source,
        1 => format!("{source}, 1 row dropped"),
        n_rows => format!("{source}, {n_rows} rows dropped"),
    }
}

fn read(
    request: &AddRequest,
    choice: ColumnChoice<'_>,
    dropping: Dropping,
    notes: &mut Vec<String>,
) -> Result<(RawSplits, String)> {
    let dialect = &request.dialect;
    let check = |rows: RawRows| rows.check(dropping);
    let both = |train: RawRows, test: RawRows| {
        Ok::<_, Error>(RawSplits::Both(Box::new(check(train)?), Box::new(check(test)?)))
    };
    match &request.source {
        DatasetSource::Path(path) if folder::is_one(path) => {
            refuse_columns(choice)?;
            let splits = match folder::read(path, dialect.encoding)? {
                TextFolder::Both { train, test } => both(*train, *test)?,
                TextFolder::One(rows) => RawSplits::One(Box::new(check(*rows)?)),
            };
            Ok((splits, format!("folder {path:?}")))
        }
        DatasetSource::Path(path) => match shards::splits(shards::files(path, dialect)?)? {
            shards::ShardSplits::One(files) => {
                let (rows, guessed) = file::read_files(&files, dialect, choice)?;
                notes.extend(guessed);
                Ok((RawSplits::One(Box::new(check(rows)?)), called(path)))
            }
            shards::ShardSplits::Both { train, test, note } => {
                notes.push(note);
                let read = |files| file::read_files(files, dialect, choice);
                let (train, test) = rayon::join(|| read(&train), || read(&test));
                let (train, test) = pair(train, test, notes)?;
                Ok((both(train, test)?, called(path)))
            }
        },
        DatasetSource::Pair { train, test } => {
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
            let (train, test) = pair(train, test, notes)?;
            Ok((both(train, test)?, source))
        }
        DatasetSource::Labelled(LabelledTexts { origin, texts, labels, columns }) => {
            let given = |values: &[String]| values.iter().cloned().map(Some).collect();
            let mut rows =
                RawRows::new(given(texts), given(labels), Places::Handed(origin.clone()));
            let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
            let (wanted, mut kept) = kept::wanted(&names, &[], choice.keep)?;
            for wanted in wanted {
                let values = Column::new(wanted.name.as_str().into(), &columns[wanted.idx].1);
                kept.push(&wanted, values);
            }
            rows.kept = kept;
            Ok((RawSplits::One(Box::new(check(rows)?)), origin.clone()))
        }
        DatasetSource::Sample { seed } => {
            refuse_columns(choice)?;
            let (train, test): (RawRows, RawRows) = sample::generate(*seed);
            Ok((both(train, test)?, format!("the built-in sample, seed {seed}")))
        }
    }
}

/// The rows of two splits and remarks on what was guessed.
type Guessed = Result<(RawRows, Vec<String>)>;

fn pair(train: Guessed, test: Guessed, notes: &mut Vec<String>) -> Result<(RawRows, RawRows)> {
    let ((train, guessed), (test, guessed_in_test)) = (train?, test?);
    notes.extend(guessed);
    for note in guessed_in_test {
        if !notes.contains(&note) {
            notes.push(format!("test: {note}"));
        }
    }
    Ok((train, test))
}

/// The name of a dataset's source from then on.
fn called(path: &Path) -> String {
    match path == Path::new(STANDARD) {
        true => "standard input".to_owned(),
        false => format!("{path:?}"),
    }
}

fn refuse_columns(choice: ColumnChoice<'_>) -> Result<()> {
    let kept = match choice.keep {
        KeepColumns::Only(names) => names.first().map(String::as_str),
        KeepColumns::All | KeepColumns::None => None,
    };
    match choice.text.or(choice.label).or(kept) {
        None => Ok(()),
        Some(column) => Err(Error::invalid(format!(
            "column {} was named, but this source has no columns",
            excerpt(column)
        ))
        .with_hint("leave --text, --label and --columns out")),
    }
}
