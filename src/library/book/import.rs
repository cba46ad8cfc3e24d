//! Registering a checkpoint that was trained elsewhere.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Book, CODE_VERSION, now_ms,
    profile::evaluate_with_profile,
    registering::{Keeping, Registering},
};
use crate::{
    error::{Error, Result},
    model::{Classifier as _, neural},
    progress::Monitor,
    registry::{DefaultNames, Lineage, ModelVersion, NewRun, RunStatus, check_model_name},
};

/// An import that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// A Hugging Face snapshot: a folder with `config.json`, `model.safetensors` or
    /// `pytorch_model.bin`, whole or in several files, or `model.onnx`, and `tokenizer.json` or
    /// `vocab.txt`; or that of a model in the hub's cache, `models--ORG--NAME`.
    pub folder: PathBuf,
    /// The registered model that gets a new version. Empty for that of the dataset (see
    /// [`DefaultNames`]) or, without one, of the classes, if they are those of sentiment, else of the
    /// folder.
    pub model: String,
    /// The class names in label order; without them they are those of `config.json`. Names that are
    /// the dataset's but for the case of letters become the dataset's.
    pub classes: Option<Vec<String>>,
    /// The dataset on whose test split the version is measured, which a gate needs; or none.
    pub dataset: Option<String>,
}

/// The result of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The new version.
    pub version: ModelVersion,
    /// Remarks on it: tensors that were left aside, classes that were renamed, and where
    /// Transformers answers something else.
    pub notes: Vec<String>,
}

impl Book {
    /// Registers a checkpoint as a new version, with a run that says where it came from.
    ///
    /// # Errors
    /// A checkpoint that cannot be used, an unknown dataset, or one with other classes.
    pub fn import(&self, request: &ImportRequest, monitor: &Monitor) -> Result<Imported> {
        if !request.model.is_empty() {
            self.check_model_name(&request.model)?;
        }
        let snapshot = neural::checkpoint::snapshot(&request.folder)?;
        let (mut classifier, mut notes) = monitor
            .stage("reading", None, || neural::import(&snapshot, request.classes.clone()))?;
        let datasets = self.datasets();
        let test = match &request.dataset {
            Some(dataset) => Some(datasets.split(dataset, "test")?),
            None => None,
        };
        if let (Some(test), Some(dataset)) = (&test, &request.dataset) {
            let own = classifier.classes().join(", ");
            let names = names_of(classifier.classes(), &test.classes, dataset)?;
            if names != classifier.classes() {
                notes.push(format!("the classes {own} are {dataset}'s {}", names.join(", ")));
                classifier = classifier.with_classes(names);
            }
        }
        let names = match &test {
            Some(test) => Some(DefaultNames::of(
                request.dataset.as_deref().unwrap_or_default(),
                &test.classes,
            )),
            None => DefaultNames::of_sentiment(classifier.classes()),
        };
        let names = names.map_or_else(|| of_folder(&request.folder), Ok);
        let DefaultNames { experiment, model } = match request.model.as_str() {
            "" => names?,
            given => DefaultNames {
                experiment: names.map_or_else(|_| given.to_owned(), |names| names.experiment),
                model: given.to_owned(),
            },
        };
        self.store().make_dir(self.store().root())?;
        let registry = self.tracker()?;
        let experiment = registry.experiment(&experiment)?;
        let folder = snapshot.display().to_string();
        let mut params = BTreeMap::from([
            ("model".to_owned(), classifier.name().to_owned()),
            ("imported_from".to_owned(), folder),
        ]);
        params.extend(request.dataset.iter().map(|name| ("dataset".to_owned(), name.clone())));
        let run = registry.create_run(NewRun {
            experiment_id: experiment.experiment_id,
            name: None,
            start_ms: now_ms(),
            tags: self.own_tags(),
            params,
            user: String::new(),
        })?;
        self.in_run(&run, || {
            let dataset = request.dataset.as_deref().unwrap_or_default();
            let measured = test.as_ref().map(|test| {
                monitor
                    .stage("evaluating", None, || evaluate_with_profile(&classifier, dataset, test))
            });
            let (evaluation, profile) = measured.transpose()?.unzip();
            let metrics: BTreeMap<String, f64> = evaluation
                .as_ref()
                .map(|of_test| of_test.metrics().into_iter().collect())
                .unwrap_or_default();
            let version = self.keep(Keeping {
                run: &run,
                files: self.keep_files(&run, &classifier)?,
                evaluation: evaluation.as_ref(),
                place: "",
                metrics: &metrics,
                profile: profile.as_ref(),
                version: Some(Registering {
                    model,
                    lineage: Lineage {
                        dataset: request.dataset.clone().unwrap_or_default(),
                        train_fingerprint: String::new(),
                        test_fingerprint: test
                            .as_ref()
                            .map(|test| test.fingerprint.sha256.clone())
                            .unwrap_or_default(),
                        code_version: CODE_VERSION.to_owned(),
                        seed: 0,
                    },
                    metrics: metrics.clone(),
                }),
            })?;
            let version = version.expect("a version was to be registered");
            registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
            Ok(Imported { version, notes })
        })
    }
}

/// The dataset's name for each of the model's `labels`, in their order: the same but for the case of
/// letters.
///
/// # Errors
/// Labels that are something else, with the option that gives them the dataset's names.
fn names_of(labels: &[String], classes: &[String], dataset: &str) -> Result<Vec<String>> {
    let name = |label: &String| {
        let exact = classes.iter().find(|class| *class == label);
        let mut alike = classes.iter().filter(|class| class.to_lowercase() == label.to_lowercase());
        // Two classes of the dataset that differ in case alone are not guessed between.
        exact.or_else(|| alike.next().filter(|_| alike.next().is_none())).cloned()
    };
    let names: Option<Vec<String>> = labels.iter().map(name).collect();
    let is_whole = |names: &Vec<String>| {
        names.len() == classes.len() && classes.iter().all(|class| names.contains(class))
    };
    names.filter(is_whole).ok_or_else(|| {
        let error = Error::invalid(format!(
            "the model knows the classes {}, the dataset {dataset} has {}",
            labels.join(", "),
            classes.join(", ")
        ));
        error.with_hint(if labels.len() == classes.len() {
            format!(
                "if these are the same classes under other names, give their names in the model's order: --classes {}",
                classes.join(",")
            )
        } else {
            "evaluate it on a dataset with the classes it was trained on".to_owned()
        })
    })
}

/// The names of what lies in `folder` where neither a dataset nor the classes say more: the folder's
/// own, or for a snapshot in the hub's cache that of its repository.
fn of_folder(folder: &Path) -> Result<DefaultNames> {
    let whole = folder.canonicalize().map_err(|source| Error::io("find", folder, source))?;
    let parts = || whole.iter().filter_map(|part| part.to_str());
    let repository = parts().find_map(|part| part.strip_prefix("models--"));
    let name = repository.and_then(|name| name.rsplit("--").next()).or_else(|| parts().next_back());
    let name = name.unwrap_or_default().to_owned();
    check_model_name(&name)
        .map_err(|error| error.with_hint("give the model a name with --name NAME"))?;
    Ok(DefaultNames { experiment: name.clone(), model: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_datasets_classes_whatever_their_case() {
        let owned =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let check = |labels: &[&str], classes: &[&str], expected: Option<&[&str]>| {
            let found = names_of(&owned(labels), &owned(classes), "d").ok();
            assert_eq!(found, expected.map(owned), "{labels:?} {classes:?}");
        };
        let classes = ["negative", "positive"];
        check(&["negative", "positive"], &classes, Some(&classes));
        check(&["NEGATIVE", "Positive"], &classes, Some(&classes));
        check(&["POSITIVE", "NEGATIVE"], &classes, Some(&["positive", "negative"]));
        check(&["\u{c9}T\u{c9}", "a"], &["a", "\u{e9}t\u{e9}"], Some(&["\u{e9}t\u{e9}", "a"]));
        check(&["a", "A"], &["A", "a"], Some(&["a", "A"]));
        check(&["LABEL_0", "LABEL_1"], &classes, None);
        check(&["NEGATIVE", "negative"], &classes, None);
        check(&["x", "X"], &["x", "y"], None);
        check(&["X", "y"], &["x", "x ", "y"], None);
        check(&["AB", "c"], &["aB", "Ab"], None);
        let hint = |labels: &[&str]| {
            let error = names_of(&owned(labels), &owned(&classes), "d").unwrap_err();
            error.hint().unwrap().to_string()
        };
        assert!(hint(&["LABEL_0", "LABEL_1"]).ends_with("--classes negative,positive"));
        assert!(hint(&["a", "b", "c"]).contains("on a dataset with the classes"));
    }

    #[test]
    fn a_checkpoint_is_called_as_its_folder_or_its_repository() {
        let root = tempfile::tempdir().unwrap();
        for (folder, expected) in [
            ("emotion", "emotion"),
            ("hub/models--j-hartmann--emotion-english/snapshots/0e1cd914", "emotion-english"),
            ("hub/models--distilbert-emotion/snapshots/0e1cd914", "distilbert-emotion"),
        ] {
            let folder = root.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let names = of_folder(&folder).unwrap();
            assert_eq!([names.experiment, names.model], [expected; 2]);
        }
        let odd = root.path().join("a@b");
        std::fs::create_dir(&odd).unwrap();
        assert!(
            of_folder(&odd)
                .unwrap_err()
                .hint()
                .is_some_and(|hint| hint.to_string().contains("--name"))
        );
    }
}
