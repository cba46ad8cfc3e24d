//! Reading Parquet and Arrow IPC files (Feather version 2) through polars: only text, label and the
//! columns that are kept are decoded, these after what matters has been found sound.

use std::{collections::HashMap, fs::File, io, path::Path, sync::Arc};

use polars::{datatypes::ArrowDataType, prelude::*};

use super::{
    class_names::{Declared, METADATA_KEY, are_indices, declared, named},
    column::ColumnChoice,
    container::{Container, broken},
    guarded::{first_line, guarded},
    kept::{Kept, MAX_BYTES, Wanted, text_of},
    raw::{Places, RawRows},
    types::unread,
};
use crate::error::{Error, Result};

/// A file's description of itself, before its rows.
struct Head {
    schema: Arc<ArrowSchema>,
    /// The metadata that Hugging Face's `datasets` wrote there.
    hugging_face: Option<String>,
    /// Bytes of each column as they are encoded, where the format says it.
    n_bytes: HashMap<String, usize>,
}

/// The columns of the file at `file`, which messages call `path`.
///
/// # Errors
/// Broken files.
pub(super) fn columns(path: &Path, file: &Path, container: Container) -> Result<Vec<String>> {
    let file = File::open(file).map_err(|source| Error::io("read", path, source))?;
    let head =
        guarded(|| head(file, container)).map_err(|source| broken(path, container, &source))?;
    Ok(head.schema.iter_names().map(ToString::to_string).collect())
}

/// Reads text, label and the kept columns of the file at `file`, which messages call `path`.
///
/// # Errors
/// Broken files, columns that are not there, a text column that is no string, a label column that
/// is neither string nor number nor boolean, and labels that the file's class names do not know.
pub(super) fn read(
    path: &Path,
    file: &Path,
    container: Container,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let broken = |source: PolarsError| broken(path, container, &source);
    let open = || File::open(file).map_err(|source| Error::io("read", path, source));
    let head = open()?;
    let head = guarded(|| self::head(head, container)).map_err(broken)?;
    let columns: Vec<String> = head.schema.iter_names().map(ToString::to_string).collect();
    let chosen = choice.choose(&columns, path)?;
    let (text, label) = (&columns[chosen.text_idx], &columns[chosen.label_idx]);
    let opened = open()?;
    let frame = guarded(|| decode(opened, container, &[text, label])).map_err(broken)?;
    if frame.height() == 0 {
        // A column without values may have any type: pandas writes that of a number.
        return Ok((RawRows::none(path), chosen.notes));
    }
    let texts = strings(frame.column(text).map_err(broken)?).map_err(|found| {
        Error::invalid(format!("{path:?}: text column {text:?} holds {found}, not strings"))
            .with_hint("choose another one with --text COLUMN")
    })?;
    let label_column = frame.column(label).map_err(broken)?;
    let mut labels = labels(label_column).map_err(|found| {
        Error::invalid(format!(
            "{path:?}: label column {label:?} holds {found}, not strings, numbers or booleans"
        ))
        .with_hint("choose another one with --label COLUMN")
    })?;
    let places = Places::Rows { path: path.to_owned() };
    let mut notes = chosen.notes;
    let class_names = match head.hugging_face.as_deref().map(|it| declared(it, label)) {
        Some(Declared::Names(names)) => Some(names),
        Some(Declared::Unusable(reason)) => {
            notes.push(format!("the file's metadata {reason}: its labels are taken as they stand"));
            None
        }
        Some(Declared::Nothing) | None => None,
    };
    // Of a column of other strings they give the order alone.
    if let Some(names) = &class_names
        && (label_column.dtype().is_primitive_numeric() || are_indices(&labels, names))
    {
        labels = named(labels, names, &places)?;
    }
    drop(frame);
    let taken = [chosen.text_idx, chosen.label_idx];
    let kept = kept(file, container, &head, choice.kept(&columns, &taken)?, &columns);
    Ok((RawRows { kept, class_names, ..RawRows::new(texts, labels, places) }, notes))
}

fn head(file: File, container: Container) -> PolarsResult<Head> {
    let mut n_bytes = HashMap::new();
    let (schema, hugging_face) = match container {
        Container::Parquet => {
            let mut reader = ParquetReader::new(file);
            let schema = reader.schema()?;
            let metadata = reader.get_metadata()?;
            for column in metadata.row_groups.iter().flat_map(|group| group.parquet_columns()) {
                if let Some(root) = column.descriptor().path_in_schema.first() {
                    *n_bytes.entry(root.to_string()).or_insert(0) +=
                        usize::try_from(column.uncompressed_size()).unwrap_or(0);
                }
            }
            let pairs = metadata.key_value_metadata().iter().flatten();
            let mut of_key = pairs.filter(|pair| pair.key == METADATA_KEY);
            (schema, of_key.find_map(|pair| pair.value.clone()))
        }
        Container::ArrowFile => {
            let mut reader = IpcReader::new(file);
            let schema = reader.schema()?;
            let metadata = reader.custom_metadata()?;
            let value = metadata.and_then(|pairs| pairs.get(METADATA_KEY).map(ToString::to_string));
            (schema, value)
        }
    };
    Ok(Head { schema, hugging_face, n_bytes })
}

fn decode(file: File, container: Container, columns: &[&String]) -> PolarsResult<DataFrame> {
    let wanted = Some(columns.iter().map(|column| (*column).clone()).collect());
    match container {
        Container::Parquet => ParquetReader::new(file).with_columns(wanted).finish(),
        Container::ArrowFile => IpcReader::new(file).with_columns(wanted).finish(),
    }
}

/// The `wanted` columns. One of them that cannot be read is no reason to refuse the file.
fn kept(
    file: &Path,
    container: Container,
    head: &Head,
    (wanted, mut kept): (Vec<Wanted>, Kept),
    columns: &[String],
) -> Kept {
    let mut readable = Vec::new();
    for wanted in wanted {
        let dtype = head.schema.get_at_index(wanted.idx).map(|(_, field)| &field.dtype);
        let n_bytes = head.n_bytes.get(&columns[wanted.idx]).copied().unwrap_or(0);
        match dtype.and_then(|dtype| unkept_type(dtype, container)) {
            Some(reason) => kept.leave_out(&wanted, reason),
            None if n_bytes > MAX_BYTES => {
                kept.leave_out(&wanted, format!("{} MiB, more than fits", n_bytes >> 20));
            }
            None => readable.push(wanted),
        }
    }
    let read = |wanted: &[Wanted]| {
        let names: Vec<&String> = wanted.iter().map(|wanted| &columns[wanted.idx]).collect();
        guarded(|| decode(File::open(file)?, container, &names))
    };
    let together = if readable.is_empty() { None } else { read(&readable).ok() };
    for wanted in readable {
        let one = match &together {
            Some(frame) => Ok(frame.clone()),
            // Which of them it was is found out one by one.
            None => read(std::slice::from_ref(&wanted)),
        };
        match one.and_then(|frame| frame.column(&columns[wanted.idx]).cloned()) {
            Ok(column) => kept.push(&wanted, storable(column)),
            Err(source) => kept.leave_out(&wanted, first_line(&source)),
        }
    }
    kept
}

/// The reason why a column of this type is not kept, where that is known before it is read.
fn unkept_type(dtype: &ArrowDataType, container: Container) -> Option<String> {
    if has_bytes(dtype) {
        return Some("bytes, not text".to_owned());
    }
    unread(dtype, container).map(|(found, _)| format!("{found}, which are not read"))
}

fn has_bytes(dtype: &ArrowDataType) -> bool {
    match dtype {
        ArrowDataType::Binary
        | ArrowDataType::LargeBinary
        | ArrowDataType::BinaryView
        | ArrowDataType::FixedSizeBinary(_) => true,
        ArrowDataType::List(inner)
        | ArrowDataType::LargeList(inner)
        | ArrowDataType::FixedSizeList(inner, _)
        | ArrowDataType::Map(inner, _) => has_bytes(&inner.dtype),
        ArrowDataType::Struct(fields) => fields.iter().any(|field| has_bytes(&field.dtype)),
        ArrowDataType::Dictionary(_, values, _) => has_bytes(values),
        ArrowDataType::Extension(extension) => has_bytes(&extension.inner),
        _ => false,
    }
}

/// `column` as it is, or as JSON texts where Parquet does not take it. Of what has no parts all
/// that is read can be written.
fn storable(column: polars::prelude::Column) -> polars::prelude::Column {
    if !column.dtype().is_nested() {
        return column;
    }
    let written = guarded(|| {
        let mut frame = DataFrame::new(column.len(), vec![column.clone()])?;
        ParquetWriter::new(io::sink()).finish(&mut frame)
    });
    match written {
        Ok(_) => column,
        Err(_) => text_of(&column),
    }
}

/// The strings of a column, or the type that it has instead.
pub(super) fn strings(column: &polars::prelude::Column) -> Result<Vec<Option<String>>, DataType> {
    match column.dtype() {
        DataType::String => {
            let strings = column.as_materialized_series().str().map_err(|_| DataType::String)?;
            Ok(strings.iter().map(|text| text.map(str::to_owned)).collect())
        }
        DataType::Categorical(..) | DataType::Enum(..) | DataType::Null => labels(column),
        other => Err(other.clone()),
    }
}

fn labels(column: &polars::prelude::Column) -> Result<Vec<Option<String>>, DataType> {
    let series = column.as_materialized_series().rechunk();
    // A decimal prints with all its digits; what is whole among them is made so with all labels.
    let text = DataType::String;
    let series = match matches!(series.dtype(), DataType::Decimal(..)) {
        true => series.cast(&text).map_err(|_| series.dtype().clone())?,
        false => series,
    };
    series.iter().map(|value| label(&value).map_err(|()| series.dtype().clone())).collect()
}

fn label(value: &AnyValue<'_>) -> Result<Option<String>, ()> {
    Ok(Some(match value {
        AnyValue::Null => return Ok(None),
        AnyValue::Boolean(value) => value.to_string(),
        AnyValue::String(value) => (*value).to_owned(),
        AnyValue::StringOwned(value) => value.to_string(),
        AnyValue::Categorical(..)
        | AnyValue::CategoricalOwned(..)
        | AnyValue::Enum(..)
        | AnyValue::EnumOwned(..) => value.get_str().ok_or(())?.to_owned(),
        // pandas writes a missing number so.
        AnyValue::Float32(value) if value.is_nan() => return Ok(None),
        AnyValue::Float64(value) if value.is_nan() => return Ok(None),
        AnyValue::Float32(value) if value.is_finite() => value.to_string(),
        AnyValue::Float64(value) if value.is_finite() => value.to_string(),
        AnyValue::Int8(_)
        | AnyValue::Int16(_)
        | AnyValue::Int32(_)
        | AnyValue::Int64(_)
        | AnyValue::Int128(_)
        | AnyValue::UInt8(_)
        | AnyValue::UInt16(_)
        | AnyValue::UInt32(_)
        | AnyValue::UInt64(_) => value.extract::<i128>().ok_or(())?.to_string(),
        _ => return Err(()),
    }))
}
