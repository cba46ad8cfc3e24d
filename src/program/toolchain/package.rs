//! A crate behind the prelude: where its sources are and with which features it was built. Cargo says
//! both while it builds; asked later, it would want crates that only tests need and that nobody
//! fetched.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One crate that can be read for the names it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name by which other crates know it.
    pub name: String,
    /// Its `src/lib.rs`.
    pub root: PathBuf,
    /// The features it is built with.
    pub features: Vec<String>,
}

/// The crates whose names people write in cells, those that hide names of others first.
const NAMED_IN_CELLS: [&str; 14] = [
    "trialbook",
    "trialbook_library",
    "polars",
    "polars_core",
    "polars_lazy",
    "polars_plan",
    "polars_ops",
    "polars_io",
    "polars_time",
    "polars_sql",
    "polars_expr",
    "polars_utils",
    "polars_error",
    "polars_dtype",
];

impl Package {
    /// Those of `all` whose names people write in cells.
    pub(super) fn named_in_cells(all: &[Self]) -> Vec<Self> {
        let find = |name: &&str| all.iter().find(|package| package.name == **name).cloned();
        NAMED_IN_CELLS.iter().filter_map(find).collect()
    }
}
