//! The issues of a dataset, all kinds together: labels that the baseline does not believe,
//! and what the data room finds in texts and columns. Each finding becomes an issue with its row.

use super::Book;
use crate::{
    data::{
        DataIssues, Dataset, Issue, IssueKind, Leak, NearDuplicate, OtherRow, RowFlaw, Split,
        column_leak, near_duplicates, on_one_line, row_flaws, token_leaks,
    },
    error::{Error, ErrorKind, Result},
    evaluate::confident_learning,
    hint::Hint,
    model::held_out_probabilities,
    progress::Monitor,
};

/// Texts that share so much of their three-word sequences are nearly the same.
const NEAR: f64 = 0.8;

/// Characters of a text in an issue.
const TEXT_CHARS: usize = 160;

/// The settings of [`Book::data_issues`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuesRequest {
    /// The kinds to look for; all of them if none is named.
    pub kinds: Vec<IssueKind>,
    /// Folds of the cross-validation that labels are doubted by. Default 5.
    pub n_folds: usize,
    /// Decides the folds, and which hashes near-duplicates are found by. Default 42.
    pub seed: u64,
}

impl Default for IssuesRequest {
    fn default() -> Self {
        Self { kinds: Vec::new(), n_folds: 5, seed: 42 }
    }
}

/// A split that is looked at, and the collected issues.
struct IssueSearch<'a> {
    dataset: &'a Dataset,
    splits: Vec<Split>,
    /// The places in `splits` of those whose rows are reported.
    asked: Vec<usize>,
    issues: Vec<Issue>,
}

impl Book {
    /// The issues of the rows of `imdb`, or of one split such as `imdb.train`:
    ///
    /// - labels, by confident learning on the probabilities of the TF-IDF baseline, cross-validated
    ///   in each split on its own;
    /// - near-duplicates, which share at least 0.8 of their three-word sequences, within the split
    ///   and with the other one, those with contradicting labels apart. The earlier row of two is
    ///   the one that is compared with; of a row of `train` and one of `test`, that is the one of
    ///   `test` unless `imdb.test` alone is asked about;
    /// - rows that are empty, very short, in another language than most, or no text;
    /// - words, and kept columns, that alone give the label away.
    ///
    /// The same request on the same examples gives the same issues, whatever the number of threads.
    ///
    /// # Errors
    /// No such dataset or split; of labels, a split of one class, fewer than 2 folds, or a class with
    /// fewer examples than folds; an interrupt.
    ///
    /// ```
    /// # use trialbook_library as trialbook;
    /// # fn main() -> trialbook::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// use trialbook::{Book, book::IssuesRequest, data::IssueKind, progress::Monitor};
    /// # use trialbook::data::{AddRequest, DatasetSource};
    /// let book = Book::open(folder.path());
    /// # let sample = AddRequest::new(DatasetSource::Sample { seed: 42 });
    /// # book.datasets().add("sample", &sample, &Monitor::silent())?;
    /// let request = IssuesRequest { kinds: vec![IssueKind::Short], ..IssuesRequest::default() };
    /// let found = book.data_issues("sample.train", &request, &Monitor::default())?;
    /// assert!(found.issues.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn data_issues(
        &self,
        reference: &str,
        request: &IssuesRequest,
        monitor: &Monitor,
    ) -> Result<DataIssues> {
        let kinds: Vec<IssueKind> = IssueKind::ALL
            .into_iter()
            .filter(|kind| request.kinds.is_empty() || request.kinds.contains(kind))
            .collect();
        let is_wanted = |wanted: &[IssueKind]| wanted.iter().any(|kind| kinds.contains(kind));
        let (name, split) = match reference.split_once('.') {
            Some((name, split)) => (name, Some(split)),
            None => (reference, None),
        };
        let datasets = self.datasets();
        let dataset = datasets.get(name)?;
        if let Some(split) = split {
            dataset.split(split)?;
        }
        // The rows that others are compared with come first: the other split's, and test's before
        // train's, so that leaving a row out leaves the test split as it is.
        let order = if split == Some("test") { ["train", "test"] } else { ["test", "train"] };
        let splits = order.map(|name| datasets.split(&dataset.name, name));
        let splits = splits.into_iter().collect::<Result<Vec<Split>>>()?;
        let asked = if split.is_some() { vec![1] } else { vec![1, 0] };
        let mut search = IssueSearch { dataset: &dataset, splits, asked, issues: Vec::new() };
        if is_wanted(&[IssueKind::Label]) {
            search.labels(request, monitor)?;
        }
        if is_wanted(&[IssueKind::ContradictingDuplicate, IssueKind::NearDuplicate]) {
            search.duplicates(request.seed, monitor)?;
        }
        if is_wanted(&[
            IssueKind::Empty,
            IssueKind::Short,
            IssueKind::OtherLanguage,
            IssueKind::NonText,
        ]) {
            monitor.interrupt.check()?;
            monitor.stage("flaws", None, || search.flaws());
        }
        if is_wanted(&[IssueKind::Leakage]) {
            monitor.stage("leakage", None, || search.leakage(self, monitor))?;
        }
        let n_rows = search.asked.iter().map(|split| search.splits[*split].texts.len()).sum();
        let IssueSearch { mut issues, .. } = search;
        issues.retain(|issue| kinds.contains(&issue.kind));
        let mut found = DataIssues { data: reference.to_owned(), n_rows, kinds, issues };
        found.sort();
        Ok(found)
    }
}

impl IssueSearch<'_> {
    fn labels(&mut self, request: &IssuesRequest, monitor: &Monitor) -> Result<()> {
        for split_idx in self.asked.clone() {
            let split = &self.splits[split_idx];
            let Split { texts, labels, classes, .. } = split;
            let IssuesRequest { n_folds, seed, .. } = *request;
            let reference = format!("{}.{}", self.dataset.name, split.name);
            let probabilities =
                held_out_probabilities(texts, labels, classes, n_folds, seed, monitor)
                    .map_err(|error| of_labels(error, &reference))?;
            let found = confident_learning(labels, &probabilities, classes.len())?;
            for doubt in found.doubts {
                let suggested = doubt.suggested as usize;
                let label = labels[doubt.row] as usize;
                let likely = probabilities[doubt.row * classes.len() + suggested];
                let issue = Issue {
                    suggested: Some(classes[suggested].clone()),
                    ..self.issue(
                        (split_idx, doubt.row),
                        IssueKind::Label,
                        1.0 - doubt.self_confidence,
                        format!(
                            "the rows of the other folds make it {} with probability {likely:.3}, and {} \
                             with {:.3}",
                            classes[suggested], classes[label], doubt.self_confidence
                        ),
                    )
                };
                self.issues.push(issue);
            }
        }
        Ok(())
    }

    fn duplicates(&mut self, seed: u64, monitor: &Monitor) -> Result<()> {
        let texts: Vec<&str> =
            self.splits.iter().flat_map(|split| &split.texts).map(String::as_str).collect();
        let n_texts = texts.len() as u64;
        let pairs = monitor.stage("near-duplicates", Some(n_texts), || {
            near_duplicates(&texts, NEAR, seed, monitor)
        })?;
        drop(texts);
        for pairs in pairs.chunk_by(|one, other| one.row == other.row) {
            let place = self.place(pairs[0].row);
            if !self.asked.contains(&place.0) {
                continue;
            }
            let contradicts =
                |pair: &&NearDuplicate| self.label(self.place(pair.other)) != self.label(place);
            // The most similar first; a contradiction says more.
            let (kind, pair) = match pairs.iter().find(contradicts) {
                Some(pair) => (IssueKind::ContradictingDuplicate, pair),
                None => (IssueKind::NearDuplicate, &pairs[0]),
            };
            let other = self.place(pair.other);
            let (split, label) = (&self.splits[other.0], self.label(other));
            let why = match (kind, pair.similarity >= 1.0) {
                (IssueKind::ContradictingDuplicate, true) => {
                    format!(
                        "row {} of {} has the same words of two letters or more and is {label}",
                        other.1, split.name
                    )
                }
                (_, true) => format!(
                    "row {} of {} has the same words of two letters or more",
                    other.1, split.name
                ),
                (IssueKind::ContradictingDuplicate, false) => format!(
                    "row {} of {} shares {:.0} % of its three-word sequences and is {label}",
                    other.1,
                    split.name,
                    100.0 * pair.similarity
                ),
                (_, false) => format!(
                    "row {} of {} shares {:.0} % of its three-word sequences",
                    other.1,
                    split.name,
                    100.0 * pair.similarity
                ),
            };
            let issue = Issue {
                other: Some(OtherRow {
                    row: other.1,
                    split: split.name.clone(),
                    label: label.to_owned(),
                    text: on_one_line(&split.texts[other.1], TEXT_CHARS),
                }),
                ..self.issue(place, kind, pair.similarity, why)
            };
            self.issues.push(issue);
        }
        Ok(())
    }

    fn flaws(&mut self) {
        for split_idx in self.asked.clone() {
            for RowFlaw { row, kind, score, why } in row_flaws(&self.splits[split_idx].texts) {
                let issue = self.issue((split_idx, row), kind, score, why);
                self.issues.push(issue);
            }
        }
    }

    fn leakage(&mut self, book: &Book, monitor: &Monitor) -> Result<()> {
        for split_idx in self.asked.clone() {
            monitor.interrupt.check()?;
            let Split { name, texts, labels, classes, .. } = &self.splits[split_idx];
            let mut leaks = token_leaks(texts, labels, classes);
            for column in &self.dataset.columns {
                monitor.interrupt.check()?;
                let codes = book.datasets().column_codes(&self.dataset.name, name, &column.name)?;
                leaks.extend(codes.and_then(|codes| column_leak(&codes, labels, classes)));
            }
            for Leak { row, precision, why } in leaks {
                let issue = self.issue((split_idx, row), IssueKind::Leakage, precision, why);
                self.issues.push(issue);
            }
        }
        Ok(())
    }

    /// The split and the row there of a place in all texts together.
    fn place(&self, text_idx: usize) -> (usize, usize) {
        let n_first = self.splits[0].texts.len();
        match text_idx < n_first {
            true => (0, text_idx),
            false => (1, text_idx - n_first),
        }
    }

    /// The class of a row.
    fn label(&self, (split_idx, row): (usize, usize)) -> &str {
        let split = &self.splits[split_idx];
        &split.classes[split.labels[row] as usize]
    }

    fn issue(
        &self,
        (split_idx, row): (usize, usize),
        kind: IssueKind,
        score: f64,
        why: String,
    ) -> Issue {
        let split = &self.splits[split_idx];
        Issue {
            row,
            split: split.name.clone(),
            kind,
            score,
            why,
            label: self.label((split_idx, row)).to_owned(),
            suggested: None,
            text: on_one_line(&split.texts[row], TEXT_CHARS),
            other: None,
            fingerprint: split.fingerprint.sha256.clone(),
        }
    }
}

/// A split whose labels cannot be doubted still has its other issues found.
fn of_labels(error: Error, reference: &str) -> Error {
    match error.kind() {
        ErrorKind::Invalid => {
            let kinds = "look for other kinds alone (--kinds)";
            let hint = match error.hint() {
                Some(hint) => hint.clone().say(format!("; or {kinds}")),
                None => Hint::from(kinds),
            };
            error.with_context(format!("doubting the labels of {reference}")).with_hint(hint)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{AddRequest, DatasetSource, contradicted};

    fn sample() -> (tempfile::TempDir, Book) {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path());
        let sample = AddRequest::new(DatasetSource::Sample { seed: AddRequest::DEFAULT_SEED });
        book.datasets().add("sample", &sample, &Monitor::silent()).unwrap();
        (dir, book)
    }

    /// 65 of the 2,000 labels are wrong: of 50 rows drawn at random, one or two would be.
    #[test]
    fn of_the_fifty_most_doubted_labels_of_the_sample_most_are_wrong() {
        let (_dir, book) = sample();
        let request = IssuesRequest { kinds: vec![IssueKind::Label], ..IssuesRequest::default() };
        let found = book.data_issues("sample.train", &request, &Monitor::silent()).unwrap();
        let wrong = contradicted(AddRequest::DEFAULT_SEED);
        let n_wrong = wrong.iter().filter(|wrong| **wrong).count();
        let n_found = found.issues.iter().take(50).filter(|issue| wrong[issue.row]).count();
        assert_eq!(n_wrong, 65);
        // 46 at the time of writing: a precision of 0.92.
        assert!(n_found >= 45, "{n_found} of 50");
        assert_eq!(book.data_issues("sample.train", &request, &Monitor::silent()).unwrap(), found);
    }
}
