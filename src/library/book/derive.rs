//! A version made of another one: the same model with another threshold or calibration. A version never
//! changes, and this one names the one that it comes from.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Book, CODE_VERSION, MadeDecision,
    asked_split::trained_on,
    decision::{CALIBRATION_PARAM, DECISION_PARAMS, HeldOutAnswers, RULE_PARAM, Unlearnt, decide},
    now_ms,
    profile::evaluate_with_profile,
    registering::{Keeping, Registering},
    train::fingerprint_tag,
};
use crate::{
    data::{Overlap, Split},
    error::{Error, ErrorKind, Result},
    evaluate::Evaluation,
    figure,
    hint::{CommandLine, Hint},
    model::{Classifier, Decision, DecisionRequest},
    monitor::ReferenceProfile,
    output::{Align, Output, Table},
    progress::Monitor,
    registry::{Lineage, ModelVersion, NewRun, Run, RunStatus},
};

/// Of rows that are new, fewer than one in so many has the text of an old one by chance: a review that was
/// posted twice, one of a single word.
const MAX_CHANCE: usize = 100;

/// The param and tag of a run whose model is another version's with another decision.
const FROM_PARAM: &str = "derived_from";
/// The metrics that are shown at once; `models show` has all of them.
const HEADLINES: [&str; 7] = ["accuracy", "precision", "recall", "f1", "log_loss", "brier", "ece"];

/// A version with another decision that is asked for.
#[derive(Debug, Clone)]
pub struct DeriveRequest {
    /// The version that it comes from, as for [`Book::version`].
    pub model: String,
    /// Its threshold and calibration; what is not asked for stays as it is. A new calibration without a new
    /// threshold chooses the old one again by its rule.
    pub decision: DecisionRequest,
    /// Dataset and split of the rows to choose by. Without them those that the training held out, and for a
    /// baseline that held none out, the folds of its train split.
    pub rows: Option<(String, String)>,
}

/// A version that was made of another one.
#[derive(Debug, Clone)]
pub struct Derived {
    /// The new version.
    pub version: ModelVersion,
    /// The one that it comes from.
    pub from: ModelVersion,
    /// Its decision.
    pub made: MadeDecision,
    /// Its quality on the test split, where it has one.
    pub evaluation: Option<Evaluation>,
}

impl Derived {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { version, from, made, evaluation } = self;
        let json = json!({
            "model": version.model,
            "version": version.version,
            "run_id": version.run_id,
            "derived_from": from.reference().to_string(),
            "decision": made.to_json(),
            "metrics": version.metrics,
        });
        let mut output = Output::new(json).text(format!(
            "{} is {} with another decision\n\n{}\n",
            version.reference(),
            from.reference(),
            made.lines().join("\n")
        ));
        if let Some(evaluation) = evaluation {
            output = output.table(beside(evaluation, from));
        }
        let gate = CommandLine::new("gate").arg(&version.model).arg(version.version);
        output.hint(Hint::from(format!("\nregistered {}; next: ", version.reference())).run(gate))
    }
}

/// The metrics on the test split, beside those of the version that it comes from.
pub(super) fn beside(evaluation: &Evaluation, from: &ModelVersion) -> Table {
    let before = format!("version {}", from.version);
    let mut table = Table::new([
        ("metric", Align::Left),
        ("test split", Align::Right),
        (before.as_str(), Align::Right),
    ]);
    for key in HEADLINES {
        table.push([
            evaluation.title(key),
            figure::metric_or_dash(evaluation.metric(key)),
            figure::metric_or_dash(from.metrics.get(key).copied()),
        ]);
    }
    table
}

impl Book {
    /// Registers the model of a version with another threshold or calibration as a new version: with a run
    /// of its own that names the old one, measured on the same test split.
    ///
    /// # Errors
    /// No such version, one that this program cannot load, a decision that does not fit the classes, rows that
    /// are gone, too few or the test split's, and a precision that no threshold reaches. Then there is neither
    /// a run nor a version.
    pub fn derive(&self, request: &DeriveRequest, monitor: &Monitor) -> Result<Derived> {
        if request.decision.is_empty() {
            return Err(Error::invalid("neither a threshold nor a calibration is asked for"));
        }
        let from = self.version(&request.model)?;
        check_made_here(&from, "its labels are not made here")?;
        let loaded = self.load(&from)?;
        request.decision.check_classes(loaded.classes())?;
        let inherited = loaded.decision().clone();
        let wanted = DecisionRequest {
            threshold: request
                .decision
                .threshold
                .or_else(|| inherited.threshold.as_ref().map(|threshold| threshold.rule)),
            ..request.decision
        };
        let run = self.tracker()?.run(&from.run_id).ok();
        let plain = loaded.with_decision(Decision::default())?;
        let answers = match wanted.needs_rows() {
            false => None,
            true => Some(self.unlearnt(request, &wanted, &from, run.as_ref(), &*plain, monitor)?),
        };
        let seed = from.lineage.seed;
        let made = decide(&wanted, &inherited, plain.classes(), answers.as_ref(), seed)?;
        drop(answers);
        let classifier = plain.with_decision(made.decision.clone())?;
        let test = match from.lineage.dataset.as_str() {
            "" => None,
            dataset => Some(self.datasets().split(dataset, "test")?),
        };
        let measured = test.as_ref().map(|test| {
            monitor.stage("evaluating", None, || {
                evaluate_with_profile(classifier.as_ref(), &from.lineage.dataset, test)
            })
        });
        let (evaluation, profile) = measured.transpose()?.unzip();
        let version = self.register_derived(Derivation {
            from: &from,
            run: run.as_ref(),
            params: decision_params(&wanted, &made.decision),
            made: Some(&made),
            classifier: classifier.as_ref(),
            test: test.as_ref(),
            evaluation: evaluation.as_ref(),
            profile: profile.as_ref(),
        })?;
        Ok(Derived { version, from, made, evaluation })
    }

    /// The answers of `plain`, the model without its decision, to rows that it has not learnt.
    fn unlearnt(
        &self,
        request: &DeriveRequest,
        wanted: &DecisionRequest,
        from: &ModelVersion,
        run: Option<&Run>,
        plain: &dyn Classifier,
        monitor: &Monitor,
    ) -> Result<HeldOutAnswers> {
        if let Some((dataset, split)) = &request.rows {
            let rows = self.named_rows(from, dataset, split)?;
            let name = format!("rows of {dataset}.{split}");
            wanted.check_rows(&rows.labels, &name)?;
            return HeldOutAnswers::of(plain, &rows, name);
        }
        let dataset = trained_on(from)?;
        let train = self.datasets().split(dataset, "train")?;
        if train.fingerprint.sha256 != from.lineage.train_fingerprint {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the train split of {dataset} is another one than {} was trained on",
                    from.reference()
                ),
            )
            .with_hint("name rows that it has not learnt with --data"));
        }
        let param = |key: &str| run.and_then(|run| run.params.get(key)?.parse::<f64>().ok());
        let described = plain.describe();
        let own_seed = described["params"]["seed"].as_u64().unwrap_or(from.lineage.seed);
        let training = plain.training();
        let unlearnt = match (param("validation_size"), param("validation")) {
            (Some(share), _) => Unlearnt::held_out(&train, share, from.lineage.seed)?,
            (None, Some(share)) => Unlearnt::held_out(&train, share, own_seed)?,
            (None, None) => Unlearnt::All,
        };
        unlearnt.check(wanted, &train)?;
        match (&unlearnt, training) {
            (Unlearnt::HeldOut(_), Some(fit)) => {
                unlearnt.answers(plain, fit.as_ref(), &train, own_seed, monitor)
            }
            (Unlearnt::HeldOut(split), None) => {
                HeldOutAnswers::of(plain, split, "validation rows".to_owned())
            }
            // Without its run nobody knows whether it held rows out.
            (Unlearnt::All, Some(fit)) if run.is_some() => {
                unlearnt.answers(plain, fit.as_ref(), &train, from.lineage.seed, monitor)
            }
            _ => Err(Error::invalid(format!(
                "{} does not say which rows of {dataset} it has not learnt",
                from.reference()
            ))
            .with_hint("name some with --data")),
        }
    }

    /// Rows that were named.
    ///
    /// # Errors
    /// Those of the test split, which the gate judges by, and those that were learnt: by the texts, whatever
    /// dataset they are in.
    fn named_rows(&self, from: &ModelVersion, dataset: &str, split: &str) -> Result<Split> {
        let rows = self.datasets().split(dataset, split)?;
        let Lineage { dataset: own, train_fingerprint, test_fingerprint, .. } = &from.lineage;
        let found = &rows.fingerprint.sha256;
        let refuse = |why: &str| {
            Err(Error::invalid(format!("{dataset}.{split} {why}")).with_hint(
                "name rows that it has neither learnt nor is judged by, or leave --data out",
            ))
        };
        if found == test_fingerprint || (dataset == own && split == "test") {
            return refuse(&format!("is the test split that {} is judged by", from.reference()));
        }
        if found == train_fingerprint || (dataset == own && split == "train") {
            return refuse(&format!("is what {} has learnt", from.reference()));
        }
        if own.is_empty() {
            return Ok(rows);
        }
        let reference = from.reference();
        for (own_split, fingerprint, what) in [
            ("test", None, format!("the test split that {reference} is judged by")),
            ("train", Some(train_fingerprint), format!("what {reference} has learnt")),
        ] {
            let own = self.datasets().split(own, own_split)?;
            // Another train split is not what it has learnt; another test split judges from now on.
            if fingerprint.is_some_and(|fingerprint| *fingerprint != own.fingerprint.sha256) {
                continue;
            }
            let n_shared = Overlap::of(&own, &rows).n_test_rows;
            if n_shared * MAX_CHANCE > rows.texts.len() {
                let n_rows = figure::counted(rows.texts.len(), "row");
                return refuse(&format!(
                    "has {} of its {n_rows} in {what}",
                    figure::count(n_shared)
                ));
            }
        }
        Ok(rows)
    }

    /// Keeps the model as a new version with a run of its own.
    pub(super) fn register_derived(&self, derivation: Derivation<'_>) -> Result<ModelVersion> {
        let Derivation { from, run, params: own, made, classifier, test, evaluation, profile } =
            derivation;
        let registry = self.tracker()?;
        let name = from.reference().to_string();
        let mut params = run.map(|run| run.params.clone()).unwrap_or_default();
        if made.is_some() {
            params.retain(|key, _| !DECISION_PARAMS.contains(&key.as_str()));
        }
        params.extend(own);
        params.insert(FROM_PARAM.to_owned(), name.clone());
        params.insert("model".to_owned(), classifier.name().to_owned());
        let mut tags = self.own_tags();
        tags.insert(format!("trialbook.{FROM_PARAM}"), name);
        for (split, fingerprint) in [
            ("train", Some(&from.lineage.train_fingerprint)),
            ("test", test.map(|test| &test.fingerprint.sha256)),
        ] {
            let fingerprint = fingerprint.filter(|fingerprint| !fingerprint.is_empty());
            tags.extend(fingerprint.map(|sha256| (fingerprint_tag(split), sha256.clone())));
        }
        let experiment_id = match run {
            Some(run) => run.experiment_id.clone(),
            None => registry.experiment(&from.model)?.experiment_id,
        };
        let run = self.begin(NewRun {
            experiment_id,
            name: None,
            start_ms: now_ms(),
            tags,
            params,
            user: String::new(),
        })?;
        self.in_run(&run, || {
            made.map_or(Ok(()), |made| made.log(registry, &run))?;
            let metrics: BTreeMap<String, f64> = evaluation
                .map(|evaluation| evaluation.metrics().into_iter().collect())
                .unwrap_or_default();
            let test_fingerprint = test.map(|test| test.fingerprint.sha256.clone());
            let version = self.keep(Keeping {
                run: &run,
                files: self.keep_files(&run, classifier)?,
                evaluation,
                place: "",
                metrics: &metrics,
                profile,
                version: Some(Registering {
                    model: from.model.clone(),
                    lineage: Lineage {
                        test_fingerprint: test_fingerprint.unwrap_or_default(),
                        code_version: CODE_VERSION.to_owned(),
                        ..from.lineage.clone()
                    },
                    metrics: metrics.clone(),
                }),
            })?;
            registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
            version.ok_or_else(|| Error::new(ErrorKind::Internal, "no version was registered"))
        })
    }
}

/// That the model of `version` was saved by this program; `otherwise` says what is not done with others.
///
/// # Errors
/// A model that an MLflow client logged.
pub(super) fn check_made_here(version: &ModelVersion, otherwise: &str) -> Result<()> {
    if version.is_from_outside() {
        return Err(Error::invalid(format!(
            "{} was logged by an MLflow client: {otherwise}",
            version.reference()
        )));
    }
    Ok(())
}

/// The facts of a version that is to be registered.
pub(super) struct Derivation<'a> {
    pub(super) from: &'a ModelVersion,
    /// Its run, where it is still there.
    pub(super) run: Option<&'a Run>,
    /// The params that the new run has beside those of the old one.
    pub(super) params: Vec<(String, String)>,
    /// Another decision, where it has one.
    pub(super) made: Option<&'a MadeDecision>,
    pub(super) classifier: &'a dyn Classifier,
    pub(super) test: Option<&'a Split>,
    pub(super) evaluation: Option<&'a Evaluation>,
    /// Of the answers to the test split.
    pub(super) profile: Option<&'a ReferenceProfile>,
}

/// The params that a run has from its beginning: what was asked for, or kept.
fn decision_params(wanted: &DecisionRequest, decision: &Decision) -> Vec<(String, String)> {
    let rule = wanted.threshold.map(|rule| (RULE_PARAM.to_owned(), rule.to_string()));
    let method = decision.calibration.as_ref().map(|calibration| calibration.method());
    let method = method.map(|method| (CALIBRATION_PARAM.to_owned(), method.to_string()));
    rule.into_iter().chain(method).collect()
}
