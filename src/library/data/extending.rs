//! A dataset made of another one and of labelled texts that came since: they go into the training split. The test
//! split stays as it is, so that versions of both datasets can be held against each other.

use std::collections::{HashMap, HashSet};

use super::{
    Added, Dataset, Datasets, Dropped, FeedbackLineage, LabelledTexts, Split,
    checked_splits::{CheckedSplits, Examples},
    datasets::settle,
    name::check_name,
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    progress::Monitor,
};

/// Labelled texts beside those that a training split has.
#[derive(Default)]
struct Extension {
    n_new: usize,
    n_relabelled: usize,
    n_known: usize,
    n_of_test: usize,
    /// True for each row that the training split has a new text or another label of.
    is_added: Vec<bool>,
}

impl Datasets {
    /// Makes the dataset `name` of `base` and `rows`. A text of the test split is left out, one of the training
    /// split gets the new label. Kept columns are left out, since the rows have none. `feedback` sums up the labels
    /// that are added, by whether each of `rows` is one of them.
    ///
    /// # Errors
    /// No such dataset; a label that is none of its classes; rows that change nothing;
    /// [`ErrorKind::Conflict`] as in [`Datasets::add`]. Nothing changes then.
    pub(crate) fn extend(
        &self,
        base: &str,
        name: &str,
        rows: LabelledTexts,
        feedback: impl FnOnce(&[bool]) -> FeedbackLineage,
        monitor: &Monitor,
    ) -> Result<Added> {
        check_name(name)?;
        let base = self.get(base)?;
        if *name == base.name {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{name:?} is the dataset that labels are added to"),
            )
            .with_hint("give the new dataset another name: the old one stays as it is"));
        }
        let (train, test) = monitor.stage("read", None, || {
            rayon::join(|| self.load(&base, "train"), || self.load(&base, "test"))
        });
        let (mut train, test) = (train?, test?);
        let extension = Extension::of(&mut train, &test, &base, rows)?;
        let feedback =
            FeedbackLineage { base: Some(base.name.clone()), ..feedback(&extension.is_added) };
        let gathered = CheckedSplits {
            classes: base.classes.clone(),
            train: Examples { texts: train.texts, labels: train.labels, columns: Vec::new() },
            test: Examples { texts: test.texts, labels: test.labels, columns: Vec::new() },
            source: format!(
                "{} and {} of {}",
                base.name,
                figure::counted(extension.n_new + extension.n_relabelled, "true label"),
                feedback.model
            ),
            dropped: Dropped::default(),
            notes: extension.notes(&base),
        };
        let made = monitor.stage("fingerprint", None, || Dataset {
            feedback: Some(feedback),
            ..self.manifest(name, &gathered)
        });
        if let Some(existing) = self.find(name)? {
            return settle(existing, &made, gathered);
        }
        monitor.interrupt.check()?;
        monitor.stage("write", None, || self.write(made, gathered))
    }
}

impl Datasets {
    /// The number of `rows`, texts with their labels, that the training split of `base` lacks: new texts, and those
    /// with another label there.
    ///
    /// # Errors
    /// No such dataset, and a label that is none of its classes.
    pub(crate) fn n_new_to(&self, base: &str, rows: LabelledTexts) -> Result<usize> {
        let base = self.get(base)?;
        let (mut train, test) = (self.load(&base, "train")?, self.load(&base, "test")?);
        let extension = Extension::count(&mut train, &test, &base, rows)?;
        Ok(extension.n_new + extension.n_relabelled)
    }
}

impl Extension {
    fn of(train: &mut Split, test: &Split, base: &Dataset, rows: LabelledTexts) -> Result<Self> {
        let extension = Self::count(train, test, base, rows)?;
        if extension.n_new + extension.n_relabelled == 0 {
            let known = extension.n_known + extension.n_of_test;
            return Err(Error::invalid(format!(
                "the {} say nothing that {} has not",
                figure::counted(known, "true label"),
                base.name
            )));
        }
        Ok(extension)
    }

    /// Puts `rows` into `train`.
    fn count(train: &mut Split, test: &Split, base: &Dataset, rows: LabelledTexts) -> Result<Self> {
        let mut extension = Self::default();
        let class_of: HashMap<&str, u32> =
            base.classes.iter().map(String::as_str).zip(0..).collect();
        let of_test: HashSet<&str> = test.texts.iter().map(String::as_str).collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (row, text) in train.texts.iter().enumerate() {
            places.entry(text.clone()).or_insert(row);
        }
        for (text, label) in rows.texts.into_iter().zip(rows.labels) {
            let Some(class) = class_of.get(label.as_str()).copied() else {
                return Err(Error::invalid(format!(
                    "the label {label:?} is no class of {}: expected one of {}",
                    base.name,
                    base.classes.join(", ")
                )));
            };
            if of_test.contains(text.as_str()) {
                extension.n_of_test += 1;
                extension.is_added.push(false);
                continue;
            }
            let n_before = extension.n_known;
            match places.get(&text) {
                Some(row) if train.labels[*row] == class => extension.n_known += 1,
                Some(row) => {
                    train.labels[*row] = class;
                    extension.n_relabelled += 1;
                }
                None => {
                    places.insert(text.clone(), train.texts.len());
                    train.texts.push(text);
                    train.labels.push(class);
                    extension.n_new += 1;
                }
            }
            extension.is_added.push(extension.n_known == n_before);
        }
        Ok(extension)
    }

    fn notes(&self, base: &Dataset) -> Vec<String> {
        let mut notes = vec![format!("the test split is that of {}", base.name)];
        for (n, what) in [
            (self.n_relabelled, "of a text of the training split: it has the new label"),
            (self.n_known, "that the training split has already"),
            (self.n_of_test, "of a text of the test split: left out"),
        ] {
            if n > 0 {
                notes.push(format!("{} {what}", figure::counted(n, "label")));
            }
        }
        if !base.columns.is_empty() {
            let names: Vec<&str> = base.columns.iter().map(|column| column.name.as_str()).collect();
            notes.push(format!(
                "columns that labelled texts lack are left out: {}",
                names.join(", ")
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        data::{AddRequest, DatasetSource},
        store::Store,
    };

    fn labelled(rows: &[(&str, &str)]) -> LabelledTexts {
        LabelledTexts {
            origin: "labels".to_owned(),
            texts: rows.iter().map(|(text, _)| (*text).to_owned()).collect(),
            labels: rows.iter().map(|(_, label)| (*label).to_owned()).collect(),
            columns: Vec::new(),
        }
    }

    fn feedback(is_added: &[bool]) -> FeedbackLineage {
        FeedbackLineage {
            base: None,
            model: "M".to_owned(),
            versions: vec![1],
            n_labels: is_added.iter().filter(|is_added| **is_added).count(),
            from_ms: 0,
            to_ms: 0,
            sources: BTreeMap::new(),
            sampled_by: BTreeMap::new(),
            sha256: String::new(),
        }
    }

    #[test]
    fn labels_go_into_the_training_split_and_the_test_split_stays() {
        let folder = tempfile::tempdir().unwrap();
        let datasets = Datasets::new(&Store::new(folder.path()));
        let rows: Vec<(String, &str)> = (0..40)
            .map(|n| (format!("text number {n}"), if n % 2 == 0 { "bad" } else { "good" }))
            .collect();
        let rows: Vec<(&str, &str)> =
            rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
        let add = AddRequest::new(DatasetSource::Labelled(labelled(&rows)));
        let base = datasets.add("base", &add, &Monitor::default()).unwrap().dataset;
        let test = datasets.split("base", "test").unwrap();
        let train = datasets.split("base", "train").unwrap();
        let other = |label: u32| base.classes[1 - label as usize].clone();
        let (known, relabelled) = (&train.texts[0], &train.texts[1]);
        let (of_known, of_relabelled) =
            (base.classes[train.labels[0] as usize].clone(), other(train.labels[1]));
        let given = labelled(&[
            ("a new text", "good"),
            (known, &of_known),
            (relabelled, &of_relabelled),
            (&test.texts[0], "bad"),
        ]);
        let extend = |rows| datasets.extend("base", "more", rows, feedback, &Monitor::default());
        let added = extend(given).unwrap();
        let made = datasets.split("more", "train").unwrap();
        assert_eq!(datasets.split("more", "test").unwrap().fingerprint, test.fingerprint);
        assert_eq!(made.texts.len(), train.texts.len() + 1);
        assert_eq!(made.texts.last().unwrap(), "a new text");
        assert_eq!(base.classes[made.labels[1] as usize], of_relabelled);
        let shown = added.dataset.to_output().to_text(None);
        assert!(shown.starts_with("more: 41 rows from base and 2 true labels of M,"), "{shown}");
        assert!(shown.contains("made of base and 2 true labels of predictions of M,"), "{shown}");
        assert_eq!(added.dataset.feedback.unwrap().base.as_deref(), Some("base"));
        let notes: Vec<String> = added.notes.iter().map(ToString::to_string).collect();
        assert!(
            notes.iter().any(|note| note.contains("1 label of a text of the test split")),
            "{notes:?}"
        );

        let refused = |rows: &[(&str, &str)]| extend(labelled(rows)).unwrap_err().to_string();
        assert!(
            refused(&[("x", "ugly")])
                .contains("\"ugly\" is no class of base: expected one of bad, good")
        );
        assert!(
            refused(&[(known, &of_known)])
                .contains("the 1 true label say nothing that base has not")
        );
    }
}
