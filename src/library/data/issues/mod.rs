//! The issues of a dataset's examples: near-duplicates, flawed rows, words and columns
//! that give the label away, and how all of that is listed. Wrong labels are found elsewhere: that
//! takes a model.

mod flaws;
mod issue;
mod language;
mod leakage;
mod near_duplicates;
mod report;

pub(crate) use flaws::{RowFlaw, row_flaws};
pub use issue::{Issue, IssueKind, OtherRow};
pub(crate) use leakage::{ColumnCodes, Leak, column_leak, token_leaks};
pub use near_duplicates::{NearDuplicate, near_duplicates};
pub use report::DataIssues;
