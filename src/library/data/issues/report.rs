//! All issues of a dataset or a split: as a list for programs and files, and as tables for people.

use std::path::Path;

use serde::{Serialize, Serializer};

use super::{super::head::on_one_line, Issue, IssueKind};
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    output::{Align, Output, Table},
    store::write_atomically,
};

/// Characters of a text in a table.
const SHOWN_CHARS: usize = 90;

/// The issues of a dataset, or of one split. In JSON it is the list of its issues.
#[derive(Debug, Clone, PartialEq)]
pub struct DataIssues {
    /// The dataset, or `NAME.train`.
    pub data: String,
    /// Rows that were looked at.
    pub n_rows: usize,
    /// The kinds that were looked for.
    pub kinds: Vec<IssueKind>,
    /// The issues by kind, the most probable first.
    pub issues: Vec<Issue>,
}

impl Serialize for DataIssues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.issues.serialize(serializer)
    }
}

impl DataIssues {
    /// The issues of `kind`.
    pub fn of(&self, kind: IssueKind) -> impl Iterator<Item = &Issue> {
        self.issues.iter().filter(move |issue| issue.kind == kind)
    }

    /// Puts the issues into the order in which they are listed.
    pub(crate) fn sort(&mut self) {
        self.issues.sort_by(|one, other| {
            let by_kind = one.kind.cmp(&other.kind);
            let by_score = other.score.total_cmp(&one.score);
            // `train` before `test`, as everywhere.
            let by_split = other.split.cmp(&one.split);
            by_kind.then(by_score).then(by_split).then(one.row.cmp(&other.row))
        });
    }

    /// Writes the list to a JSON file, which `data drop` reads.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::new(ErrorKind::Internal, "issues").with_source(source))?;
        write_atomically(path, &json)
    }

    /// The answer of `data issues`: how many of each kind, and the first `n_shown` of each.
    pub fn to_output(&self, n_shown: usize) -> Output {
        let rows = figure::counted(self.n_rows, "row");
        if self.issues.is_empty() {
            return Output::new(self).text(format!("{}: nothing to doubt in {rows}", self.data));
        }
        let mut output = Output::new(self).table(self.counts(&rows));
        for kind in self.kinds.iter().copied() {
            let n_found = self.of(kind).count();
            if n_found > 0 && n_shown > 0 {
                output = output.text("").table(self.table(kind, n_found, n_shown));
            }
        }
        output
    }

    fn counts(&self, rows: &str) -> Table {
        let heads = [("kind", Align::Left), ("rows", Align::Right), ("what", Align::Left)];
        let mut table = Table::new(heads).with_title(format!("{}: issues in {rows}", self.data));
        for kind in &self.kinds {
            let n_found = self.of(*kind).count();
            table.push([kind.name().to_owned(), figure::count(n_found), kind.meaning().to_owned()]);
        }
        table
    }

    fn table(&self, kind: IssueKind, n_found: usize, n_shown: usize) -> Table {
        let split = ("split", Align::Left);
        let heads: &[(&str, Align)] = match kind {
            IssueKind::Label => &[
                split,
                ("row", Align::Right),
                ("label", Align::Left),
                ("suggested", Align::Left),
                ("score", Align::Right),
                ("text", Align::Left),
            ],
            IssueKind::ContradictingDuplicate | IssueKind::NearDuplicate => &[
                split,
                ("row", Align::Right),
                ("label", Align::Left),
                ("other", Align::Left),
                ("its label", Align::Left),
                ("shared", Align::Right),
                ("text", Align::Left),
            ],
            _ => &[
                split,
                ("row", Align::Right),
                ("label", Align::Left),
                ("why", Align::Left),
                ("text", Align::Left),
            ],
        };
        let title = match n_found > n_shown {
            true => format!("{}: {n_shown} of {}", kind.name(), figure::count(n_found)),
            false => kind.name().to_owned(),
        };
        let mut table =
            Table::new(heads.iter().copied()).with_title(title).with_dispensable(["split"]);
        for issue in self.of(kind).take(n_shown) {
            let mut cells = vec![issue.split.clone(), issue.row.to_string(), issue.label.clone()];
            let score = || format!("{:.3}", issue.score);
            match (kind, &issue.other) {
                (IssueKind::Label, _) => {
                    cells.extend([issue.suggested.clone().unwrap_or_default(), score()]);
                }
                (_, Some(other)) => cells.extend([
                    format!("{} {}", other.split, other.row),
                    other.label.clone(),
                    score(),
                ]),
                _ => cells.push(issue.why.clone()),
            }
            cells.push(on_one_line(&issue.text, SHOWN_CHARS));
            table.push(cells);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::OtherRow;

    fn issue(kind: IssueKind, row: usize, score: f64) -> Issue {
        Issue {
            row,
            split: "train".into(),
            kind,
            score,
            why: "for a reason".into(),
            label: "neg".into(),
            suggested: (kind == IssueKind::Label).then(|| "pos".into()),
            text: "A fine film".into(),
            other: (kind == IssueKind::NearDuplicate).then(|| OtherRow {
                row: 7,
                split: "test".into(),
                label: "neg".into(),
                text: "A fine film!".into(),
            }),
            fingerprint: "ab".into(),
        }
    }

    fn issues() -> DataIssues {
        let mut issues = DataIssues {
            data: "reviews".into(),
            n_rows: 1_000,
            kinds: IssueKind::ALL.to_vec(),
            issues: vec![
                issue(IssueKind::Short, 3, 0.5),
                issue(IssueKind::Label, 9, 0.7),
                issue(IssueKind::NearDuplicate, 8, 0.9),
                issue(IssueKind::Label, 4, 0.9),
            ],
        };
        issues.sort();
        issues
    }

    #[test]
    fn programs_get_a_list_by_kind_with_the_most_probable_first() {
        let json = serde_json::to_value(issues()).unwrap();
        let places: Vec<(&str, u64)> = json
            .as_array()
            .unwrap()
            .iter()
            .map(|issue| (issue["kind"].as_str().unwrap(), issue["row"].as_u64().unwrap()))
            .collect();
        assert_eq!(places, [("label", 4), ("label", 9), ("near_duplicate", 8), ("short", 3)]);
        assert_eq!(json[0]["suggested"], "pos");
        assert_eq!(json[2]["other"]["row"], 7);
        let read: Vec<Issue> = serde_json::from_value(json).unwrap();
        assert_eq!(read, issues().issues);
    }

    #[test]
    fn people_get_counts_and_the_first_of_each_kind() {
        let text = issues().to_output(1).to_text(None);
        for expected in [
            "reviews: issues in 1,000 rows",
            "label: 1 of 2",
            "pos        0.900  A fine film",
            "test 7",
            "for a reason",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let none = DataIssues { issues: Vec::new(), ..issues() };
        let text = none.to_output(5).to_text(None);
        assert_eq!(text, "reviews: nothing to doubt in 1,000 rows");
    }
}
