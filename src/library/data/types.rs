//! The types of columns that are read. polars panics at some of the others, and names no column.

use std::{fs::File, path::Path, sync::Arc};

use polars::{
    datatypes::{ArrowDataType, ArrowTimeUnit as TimeUnit},
    prelude::{ArrowField, ArrowSchema, IpcReader, ParquetReader, SerReader as _, TimeZone},
};

use super::{
    container::{Container, broken},
    guarded::guarded,
};
use crate::error::{Error, Result};

/// The most digits of a decimal, which 128 bits hold.
const MAX_DECIMAL_DIGITS: usize = 38;

/// The columns of the file at `file`, which messages call `path`, and their types.
///
/// # Errors
/// When it cannot be read or is damaged.
pub(super) fn schema(path: &Path, file: &Path, container: Container) -> Result<Arc<ArrowSchema>> {
    let file = File::open(file).map_err(|source| Error::io("read", path, source))?;
    guarded(|| match container {
        Container::Parquet => ParquetReader::new(file).schema(),
        Container::ArrowFile => IpcReader::new(file).schema(),
    })
    .map_err(|source| broken(path, container, &source))
}

/// That every column of `schema`, which a `container` at `path` has, is of a type that is read.
///
/// # Errors
/// Names the first one that is not, and what to do.
pub(super) fn check_types(path: &Path, container: Container, schema: &ArrowSchema) -> Result<()> {
    for (name, field) in schema.iter() {
        if let Some((found, hint)) = unread(&field.dtype, container) {
            return Err(Error::invalid(format!(
                "{path:?}: column {:?} holds {found}, which are not read",
                name.as_str()
            ))
            .with_hint(hint));
        }
    }
    Ok(())
}

/// The part of `dtype` that is not read from a `container`, with advice.
pub(super) fn unread(
    dtype: &ArrowDataType,
    container: Container,
) -> Option<(String, &'static str)> {
    const CAST: &str = "cast the column to another type, such as string, or leave it out";
    let inside = |inner: &ArrowField| unread(&inner.dtype, container);
    match dtype {
        ArrowDataType::Decimal(precision, _) | ArrowDataType::Decimal256(precision, _)
            if *precision > MAX_DECIMAL_DIGITS =>
        {
            let found = format!("decimals of {precision} digits, more than {MAX_DECIMAL_DIGITS}");
            Some((found, "cast it to decimal128(38, scale) or string, or leave it out"))
        }
        // polars 0.55 panics at 256 bits in Arrow files.
        ArrowDataType::Decimal256(..) if container == Container::ArrowFile => {
            Some(("decimals of 256 bits".into(), "cast it to decimal128, or leave it out"))
        }
        // Parquet has no seconds: they are written as milliseconds, which polars 0.55 reads as
        // seconds, and of the impossible times that these are it makes nulls.
        ArrowDataType::Time32(TimeUnit::Second) if container == Container::Parquet => {
            Some(("times in seconds".into(), "cast it to time32('ms') or time64"))
        }
        ArrowDataType::Timestamp(_, Some(zone))
            if TimeZone::opt_try_new(Some(zone.clone())).is_err() =>
        {
            let found = format!("timestamps of the time zone {:?}", zone.as_str());
            Some((found, "cast it to a zone of the IANA database, such as UTC or Asia/Kolkata"))
        }
        ArrowDataType::Float16 => Some(("floats of 16 bits".into(), "cast it to float32")),
        ArrowDataType::Interval(_) => Some(("calendar intervals".into(), CAST)),
        ArrowDataType::Union(..) => Some(("unions".into(), CAST)),
        ArrowDataType::UInt128 => Some(("unsigned integers of 128 bits".into(), CAST)),
        ArrowDataType::Unknown => Some(("values of an unknown type".into(), CAST)),
        ArrowDataType::Extension(extension) => {
            Some((format!("values of the extension type {:?}", extension.name.as_str()), CAST))
        }
        ArrowDataType::List(inner)
        | ArrowDataType::LargeList(inner)
        | ArrowDataType::FixedSizeList(inner, _)
        | ArrowDataType::Map(inner, _) => inside(inner),
        ArrowDataType::Struct(fields) => {
            let is_double =
                |idx: usize| fields[..idx].iter().any(|one| one.name == fields[idx].name);
            match (0..fields.len()).find(|idx| is_double(*idx)) {
                Some(idx) => Some((
                    format!("structs with two fields called {:?}", fields[idx].name.as_str()),
                    "give each field a name of its own",
                )),
                None => fields.iter().find_map(inside),
            }
        }
        ArrowDataType::Dictionary(_, values, _) => unread(values, container),
        _ => None,
    }
}
