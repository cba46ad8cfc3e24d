//! Files as tables: `from 'reviews.csv'`. They are read by polars as they are, with types guessed from
//! all rows where the format has none, so that `where stars > 3` works; a dataset is not made of them.

use std::path::Path;

use polars::prelude::{
    LazyCsvReader, LazyFileListReader as _, LazyFrame, LazyJsonLineReader, PlRefPath,
    ScanArgsParquet, UnifiedScanArgs,
};

use crate::{
    data::guarded::{first_line, guarded},
    error::{Error, Result},
};

/// The rows of the file at `path`, not read yet.
///
/// # Errors
/// A file that is not there, or of a format that is not known.
pub(super) fn scan(path: &Path) -> Result<LazyFrame> {
    std::fs::metadata(path).map_err(|source| Error::io("read", path, source))?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let place = || PlRefPath::try_from_path(path);
    let csv = |separator| {
        guarded(|| {
            LazyCsvReader::new(place()?)
                .with_separator(separator)
                .with_infer_schema_length(None)
                .finish()
        })
    };
    let frame = match extension.as_str() {
        "csv" => csv(b','),
        "tsv" => csv(b'\t'),
        "jsonl" | "ndjson" => {
            guarded(|| LazyJsonLineReader::new(place()?).with_infer_schema_length(None).finish())
        }
        "parquet" => guarded(|| LazyFrame::scan_parquet(place()?, ScanArgsParquet::default())),
        "arrow" | "feather" | "ipc" => guarded(|| {
            LazyFrame::scan_ipc(place()?, Default::default(), UnifiedScanArgs::default())
        }),
        other => {
            return Err(Error::invalid(format!("sql: {path:?}: unknown extension {other:?}"))
                .with_hint("a file in SQL is .csv, .tsv, .jsonl, .parquet or .arrow"));
        }
    };
    frame.map_err(|source| {
        Error::invalid(format!("sql: {path:?} cannot be read")).with_source(first_line(&source))
    })
}
