//! A version with its weights in 8 bits, made of another one: smaller and faster, and nearly the same. Its
//! run says which one it comes from, and how often both agree.

use serde_json::json;

use super::{
    Book,
    derive::{Derivation, beside, check_made_here},
    profile::evaluate_with_profile,
};
use crate::{
    data::Split,
    error::{Error, Result},
    evaluate::Evaluation,
    figure,
    hint::{CommandLine, Hint},
    model::{Classifier, MemoryUse, predicted_label},
    output::Output,
    progress::Monitor,
    registry::ModelVersion,
};

/// The param of a run with the number format of its model's weights, where it is not that of its training.
pub(super) const WEIGHTS_PARAM: &str = "weights";
/// Texts of the test split that both versions are asked: a few hundred show a difference that matters, and
/// the version in 32 bits takes its time.
const MAX_COMPARED: usize = 500;

/// A version in 8 bits that was made of another one.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The new version.
    pub version: ModelVersion,
    /// The one that it comes from.
    pub from: ModelVersion,
    /// The memory of both, the new one first.
    pub memory: [Option<MemoryUse>; 2],
    /// Its quality on the test split, where it has one.
    pub evaluation: Option<Evaluation>,
    /// How far both answer the same, where there is a test split.
    pub agreement: Option<Agreement>,
}

/// The answers of two versions to the same texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Texts that both were asked.
    pub n_texts: usize,
    /// Those with the same label.
    pub n_same: usize,
    /// The largest difference of two probabilities of the same class.
    pub largest_difference: f64,
}

impl Agreement {
    /// Asks both the texts of `split`, or where it has many as many of them as show it, evenly spread.
    fn of(one: &dyn Classifier, other: &dyn Classifier, split: &Split) -> Result<Self> {
        let step = split.texts.len().div_ceil(MAX_COMPARED).max(1);
        let texts: Vec<&str> = split.texts.iter().step_by(step).map(String::as_str).collect();
        let (own, others) = (one.predict(&texts)?, other.predict(&texts)?);
        let label = |classifier: &dyn Classifier, row: &[f64]| {
            predicted_label(row, classifier.decision().threshold())
        };
        let rows = own.rows().zip(others.rows());
        let n_same = rows.filter(|(a, b)| label(one, a) == label(other, b)).count();
        let differences = own.values().iter().zip(others.values()).map(|(a, b)| (a - b).abs());
        let largest_difference = differences.fold(0.0, f64::max);
        Ok(Self { n_texts: texts.len(), n_same, largest_difference })
    }
}

impl Quantized {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { version, from, memory: [memory, before], evaluation, agreement } = self;
        let n_bytes = |memory: &Option<MemoryUse>| memory.as_ref().map(|memory| memory.n_bytes);
        let json = json!({
            "model": version.model,
            "version": version.version,
            "run_id": version.run_id,
            "derived_from": from.reference().to_string(),
            "weights": "int8",
            "memory_bytes": n_bytes(memory),
            "memory_bytes_before": n_bytes(before),
            "agreement": agreement.map(|agreement| json!({
                "n_texts": agreement.n_texts,
                "n_same_label": agreement.n_same,
                "largest_difference": agreement.largest_difference,
            })),
            "metrics": version.metrics,
        });
        let mut text = format!("{} is {} in 8 bits\n", version.reference(), from.reference());
        if let (Some(memory), Some(before)) = (n_bytes(memory), n_bytes(before)) {
            text +=
                &format!("\nmemory: {}, before {}\n", figure::bytes(memory), figure::bytes(before));
        }
        if let Some(Agreement { n_texts, n_same, largest_difference }) = agreement {
            text += &format!(
                "labels: {} of {} test texts have the same; probabilities differ by at most {largest_difference:.4}\n",
                figure::count(*n_same),
                figure::count(*n_texts),
            );
        }
        let mut output = Output::new(json).text(text);
        if let Some(evaluation) = evaluation {
            output = output.table(beside(evaluation, from));
        }
        let gate = CommandLine::new("gate").arg(&version.model).arg(version.version);
        output.hint(Hint::from(format!("\nregistered {}; next: ", version.reference())).run(gate))
    }
}

impl Book {
    /// Registers the model of the version `reference`, as for [`Book::version`], with its weights in 8 bits
    /// as a new version: with a run of its own that names the old one, measured on the same test split. Its
    /// threshold and calibration stay as they are.
    ///
    /// # Errors
    /// No such version, one that this program cannot load, and a model of a kind that is not quantised or is
    /// already. Then there is neither a run nor a version.
    pub fn quantize(&self, reference: &str, monitor: &Monitor) -> Result<Quantized> {
        let from = self.version(reference)?;
        check_made_here(&from, "its weights are not quantised here")?;
        let loaded = self.load(&from)?;
        let classifier = monitor.stage("quantizing", None, || loaded.quantized())?;
        let run = self.tracker()?.run(&from.run_id).ok();
        let test = match from.lineage.dataset.as_str() {
            "" => None,
            dataset => Some(self.datasets().split(dataset, "test")?),
        };
        let measured = test.as_ref().map(|test| {
            let measured = monitor.stage("evaluating", None, || {
                evaluate_with_profile(classifier.as_ref(), &from.lineage.dataset, test)
            })?;
            let agreement = monitor.stage("comparing", None, || {
                Agreement::of(classifier.as_ref(), loaded.as_ref(), test)
            })?;
            Ok::<_, Error>((measured, agreement))
        });
        let (measured, agreement) = measured.transpose()?.unzip();
        let (evaluation, profile) = measured.unzip();
        let memory = [classifier.memory_use(), loaded.memory_use()];
        drop(loaded);
        let version = self.register_derived(Derivation {
            from: &from,
            run: run.as_ref(),
            params: vec![(WEIGHTS_PARAM.to_owned(), "int8".to_owned())],
            made: None,
            classifier: classifier.as_ref(),
            test: test.as_ref(),
            evaluation: evaluation.as_ref(),
            profile: profile.as_ref(),
        })?;
        Ok(Quantized { version, from, memory, evaluation, agreement })
    }
}
