//! The pipeline's parameters and its steps, each a command line of this program. What a step takes
//! and hands on is read off that line, so there is nothing beside it to keep in agreement.

use serde_json::{Value, json};
use trialbook::{
    gate::Policy,
    registry::{DEFAULT_MODEL, Stage},
};

/// The path where the volume with the store is mounted, in every step.
pub(super) const MOUNT: &str = "/store";

/// The parameter that names the volume. No command line holds it: it is mounted before one runs.
pub(super) const CLAIM: &str = "store_claim";

/// The claim where nothing else is said.
pub(super) const CLAIM_DEFAULT: &str = "trialbook-store";

/// The kind of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterType {
    Text,
    Integer,
    Number,
}

/// A parameter of the pipeline, set by whoever starts a run.
#[derive(Debug)]
pub(super) struct PipelineParameter {
    pub(super) name: &'static str,
    pub(super) kind: ParameterType,
    /// The value where none is set; a parameter without one must be.
    pub(super) default: Option<Value>,
    pub(super) about: &'static str,
}

/// Every parameter, the one that must be set first.
pub(super) fn parameters() -> Vec<PipelineParameter> {
    let text = |name, default: &str, about| PipelineParameter {
        name,
        kind: ParameterType::Text,
        default: Some(json!(default)),
        about,
    };
    vec![
        PipelineParameter {
            name: "data",
            kind: ParameterType::Text,
            default: None,
            about: "The labelled texts: a path on the volume, such as /store/incoming/reviews.csv",
        },
        text("dataset", "reviews", "The name of the dataset in the store"),
        text(
            "model",
            DEFAULT_MODEL,
            "The registered model that gets a new version; give it the name of the dataset unless \
             the classes are negative and positive",
        ),
        text("trainer", "tfidf", "What to train: tfidf, avgnet, cnn, lstm or distilbert"),
        PipelineParameter {
            name: "min_f1",
            kind: ParameterType::Number,
            default: Some(json!(Policy::default().min_f1)),
            about: "The lowest F1 that passes while there is no Production version",
        },
        text("stage", Stage::Production.as_str(), "The stage of a version that passes"),
        text("store", MOUNT, "The store's folder on the volume"),
        text(
            CLAIM,
            CLAIM_DEFAULT,
            "The volume claim in the namespace of the run that is mounted at /store",
        ),
    ]
}

/// A result that a step hands on, by the name its command line has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepOutput {
    /// A value: the command writes it into the file it is given.
    Parameter(&'static str, ParameterType),
    /// Files, which go to the pipeline's artifact store: the command fills the folder it is given.
    Artifact(&'static str),
}

/// One step.
#[derive(Debug)]
pub(super) struct PipelineStep {
    pub(super) name: &'static str,
    /// The arguments of `trialbook`. `{name}` stands for a parameter, for what an earlier step
    /// handed on, or for where this one puts what it makes.
    pub(super) command: &'static str,
    pub(super) makes: Option<StepOutput>,
}

/// The steps in their order: each starts when the one before it is done.
pub(super) static STEPS: [PipelineStep; 4] = [
    PipelineStep {
        name: "preprocess_data",
        command: "--store {store} data add {dataset} {data}",
        makes: None,
    },
    PipelineStep {
        name: "train_model",
        command: "--store {store} train {trainer} --data {dataset} --model {model} --version-file {version}",
        makes: Some(StepOutput::Parameter("version", ParameterType::Integer)),
    },
    PipelineStep {
        name: "evaluate_model",
        command: "--store {store} evaluate {model}/{version} --data {dataset} --out {report}",
        makes: Some(StepOutput::Artifact("report")),
    },
    // Exit code 3 of a blocked version fails the step, and with it the run.
    PipelineStep {
        name: "deploy_model",
        command: "--store {store} promote {model} {version} --stage {stage} --gate --min {min_f1}",
        makes: None,
    },
];

/// A piece of a command line's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgumentPart {
    /// Text that stands for itself.
    Text(&'static str),
    /// The name that stood in braces.
    Name(&'static str),
}

impl PipelineStep {
    /// The command's words in pieces. Split before any value is known: one with blanks or quotes
    /// stays one argument.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<ArgumentPart>> {
        self.command.split(' ').map(pieces)
    }

    /// The names that come from outside, each once.
    pub(super) fn takes(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for piece in self.words().flatten() {
            match piece {
                ArgumentPart::Name(name) if self.made(name).is_none() && !names.contains(&name) => {
                    names.push(name);
                }
                ArgumentPart::Name(_) | ArgumentPart::Text(_) => {}
            }
        }
        names
    }

    /// The result of the step that is called `name`.
    pub(super) fn made(&self, name: &str) -> Option<StepOutput> {
        self.makes.filter(|made| made.name() == name)
    }
}

impl StepOutput {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parameter(name, _) | Self::Artifact(name) => name,
        }
    }
}

fn pieces(word: &'static str) -> Vec<ArgumentPart> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((text, (name, after))) =
        rest.split_once('{').and_then(|(text, named)| Some((text, named.split_once('}')?)))
    {
        if !text.is_empty() {
            pieces.push(ArgumentPart::Text(text));
        }
        pieces.push(ArgumentPart::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(ArgumentPart::Text(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_text_and_names() {
        use ArgumentPart::{Name, Text};
        for (word, expected) in [
            ("--store", &[Text("--store")][..]),
            ("{model}", &[Name("model")]),
            ("{model}/{version}", &[Name("model"), Text("/"), Name("version")]),
            ("--a={b}c", &[Text("--a="), Name("b"), Text("c")]),
        ] {
            assert_eq!(pieces(word), expected, "{word}");
        }
    }

    #[test]
    fn every_name_is_a_parameter_or_was_made_by_an_earlier_step() {
        let mut known: Vec<&str> = parameters().iter().map(|parameter| parameter.name).collect();
        let mut taken = vec![CLAIM];
        for step in &STEPS {
            for name in step.takes() {
                assert!(known.contains(&name), "{}: {name}", step.name);
                taken.push(name);
            }
            known.extend(step.makes.map(StepOutput::name));
        }
        for parameter in parameters() {
            assert!(taken.contains(&parameter.name), "no step takes {}", parameter.name);
        }
    }
}
