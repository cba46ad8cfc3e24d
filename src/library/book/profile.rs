//! The reference profile of a version: made when it is measured, kept with its files, and for a version
//! that was registered without one made again from its dataset.

use std::fs;

use sha2::{Digest as _, Sha256};

use super::{Book, trained_on};
use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    evaluate::{Evaluation, SplitAnswers, answer_on, evaluate_answers},
    figure::hex,
    hint::{CommandLine, Hint},
    model::Classifier,
    monitor::{MAX_PROFILE_ROWS, PROFILE_FILE, ProfileRows, ReferenceProfile},
    registry::ModelVersion,
    store::write_atomically,
};

/// A version's reference profile.
#[derive(Debug, Clone)]
pub struct FoundProfile {
    /// The profile.
    pub profile: ReferenceProfile,
    /// What people should know of it, such as that it was made only now.
    pub note: Option<String>,
}

/// The quality of `classifier` on a split of `dataset`, and the profile of its answers to it.
///
/// # Errors
/// As [`evaluate_on`](crate::evaluate::evaluate_on).
pub(super) fn evaluate_with_profile(
    classifier: &dyn Classifier,
    dataset: &str,
    split: &Split,
) -> Result<(Evaluation, ReferenceProfile)> {
    let (answers, known_shares) = answer_on(classifier, split)?;
    let evaluation = evaluate_answers(&split.labels, &answers, &split.classes)?;
    let profile = profile_of(classifier, dataset, split, &answers, known_shares.as_deref())?;
    Ok((evaluation, profile))
}

/// The profile of `answers` to a split of `dataset`, of at most [`MAX_PROFILE_ROWS`] of its rows, evenly
/// spread.
fn profile_of(
    classifier: &dyn Classifier,
    dataset: &str,
    split: &Split,
    answers: &SplitAnswers,
    known_shares: Option<&[f64]>,
) -> Result<ReferenceProfile> {
    let rows = spread(split.texts.len());
    let texts: Vec<&str> = rows.iter().map(|row| split.texts[*row].as_str()).collect();
    let predicted: Vec<u32> = rows.iter().map(|row| answers.predicted[*row]).collect();
    let n_classes = split.classes.len();
    let confidence = |row: &usize| {
        let label = answers.predicted[*row] as usize;
        answers.probabilities.get(row * n_classes + label).copied().unwrap_or_default()
    };
    let confidences: Vec<f64> = rows.iter().map(confidence).collect();
    let known_shares: Option<Vec<f64>> =
        known_shares.map(|shares| rows.iter().map(|row| shares[*row]).collect());
    let embeddings: Option<Vec<_>> =
        classifier.embed(&texts)?.map(|found| found.into_iter().flatten().collect());
    Ok(ReferenceProfile::of(&ProfileRows {
        name: &format!("{dataset}.{}", split.name),
        fingerprint: &split.fingerprint.sha256,
        classes: &split.classes,
        texts: &texts,
        predicted: &predicted,
        confidences: &confidences,
        known_shares: known_shares.as_deref(),
        embeddings: embeddings.as_deref(),
    }))
}

/// At most [`MAX_PROFILE_ROWS`] of `n_rows` rows, evenly spread.
fn spread(n_rows: usize) -> Vec<usize> {
    let n_kept = n_rows.min(MAX_PROFILE_ROWS);
    (0..n_kept).map(|idx| idx * n_rows / n_kept).collect()
}

impl Book {
    /// The reference profile of `version`: the one that was kept when it was trained. For a version from
    /// before there were any it is made from the test split of its dataset, which takes as long as an
    /// evaluation, and remembered in the store's cache.
    ///
    /// # Errors
    /// A profile that is damaged or of a newer version; a version of another program, and one without
    /// profile whose dataset is not in the store.
    pub fn reference_profile(&self, version: &ModelVersion) -> Result<FoundProfile> {
        if let Some(found) = self.kept_profile(version)? {
            return Ok(found);
        }
        let reference = version.reference();
        if version.is_from_outside() {
            return Err(Error::invalid(format!(
                "{reference} was logged by an MLflow client: it has no reference profile"
            ))
            .with_hint("drift is told for versions that trialbook trained or imported"));
        }
        let without = |error: Error| {
            error
                .with_context(format!("{reference} has no reference profile"))
                .with_hint("add the dataset again that it was trained on, or train it again")
        };
        let dataset = trained_on(version).map_err(without)?;
        let split = self.datasets().split(dataset, "test").map_err(without)?;
        let note = match split.fingerprint.sha256 == version.lineage.test_fingerprint {
            true => String::new(),
            false => ", which is another one than at the training".to_owned(),
        };
        let classifier = self.load(version)?;
        let rows = spread(split.texts.len());
        let split = split.subset(&rows);
        let (answers, known_shares) = answer_on(classifier.as_ref(), &split)?;
        let profile =
            profile_of(classifier.as_ref(), dataset, &split, &answers, known_shares.as_deref())?;
        // A cache that cannot be written costs the time to do it again.
        let path = self.profile_cache(version);
        let _ = path.parent().map(|dir| self.store().make_dir(dir));
        let _ = write_atomically(&path, &profile.to_json());
        Ok(FoundProfile { profile, note: Some(made_now(dataset, &note)) })
    }

    /// As [`Book::reference_profile`], without making one.
    ///
    /// # Errors
    /// A profile that is damaged or of a newer version.
    pub fn kept_profile(&self, version: &ModelVersion) -> Result<Option<FoundProfile>> {
        if version.files.iter().any(|file| file.path == PROFILE_FILE) {
            let files = self.tracker()?.model_files(version)?;
            let path = files.path(PROFILE_FILE)?;
            let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
            let profile = ReferenceProfile::from_json(&bytes)
                .map_err(|error| error.with_context(version.reference().to_string()))?;
            return Ok(Some(FoundProfile { profile, note: None }));
        }
        // What a cache holds that cannot be read is made again.
        let cached = fs::read(self.profile_cache(version)).ok();
        let profile = cached.and_then(|bytes| ReferenceProfile::from_json(&bytes).ok());
        Ok(profile.map(|profile| {
            let dataset = profile.rows.split('.').next().unwrap_or_default();
            FoundProfile { note: Some(made_now(dataset, "")), profile }
        }))
    }

    /// The error of a server that was asked about a version without a profile.
    pub fn without_profile(version: &ModelVersion) -> Error {
        let reference = version.reference().to_string();
        Error::new(ErrorKind::NotFound, format!("{reference} has no reference profile")).with_hint(
            Hint::new()
                .run(CommandLine::new("monitor drift").arg(reference))
                .say(" makes one from the test split of its dataset"),
        )
    }

    /// The cache's file of a version's profile, by the files that make the version.
    fn profile_cache(&self, version: &ModelVersion) -> std::path::PathBuf {
        let mut hash = Sha256::new();
        for file in &version.files {
            hash.update(file.path.as_bytes());
            hash.update(file.sha256.as_bytes());
        }
        hash.update(version.run_id.as_bytes());
        let name = format!("{}.json", hex(&hash.finalize()));
        self.store().cache_dir().join("profiles").join(name)
    }
}

fn made_now(dataset: &str, more: &str) -> String {
    format!(
        "the version was registered without a reference profile: this one is made from {dataset}.test{more}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_evenly() {
        assert_eq!(spread(3), [0, 1, 2]);
        assert_eq!(spread(0), [0_usize; 0]);
        let rows = spread(MAX_PROFILE_ROWS * 5 / 2);
        assert_eq!((rows.len(), rows[1], rows[2]), (MAX_PROFILE_ROWS, 2, 5));
    }
}
