//! `data behaviour set|show|check`: the behaviour tests of a dataset.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use serde_json::json;
use trialbook::{
    error::Result,
    figure::short,
    gate::StoredBehaviour,
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
};

use super::super::{Session, named::whole};

/// The verbs on behaviour tests.
#[derive(Debug, Clone, Subcommand)]
pub enum BehaviourCommand {
    /// Show the tests of a dataset: those that were set, or the built-in ones for sentiment
    Show(ShowBehaviour),
    /// Make a file (TOML) the tests of a dataset; the store keeps its text and the audit trail the change
    Set(SetBehaviour),
    /// Check a file without setting it
    Check(CheckBehaviour),
}

/// `data behaviour show imdb`
#[derive(Debug, Clone, Args)]
pub struct ShowBehaviour {
    /// The dataset
    name: String,
}

/// `data behaviour set imdb behaviour.toml`
#[derive(Debug, Clone, Args)]
pub struct SetBehaviour {
    /// The dataset
    name: String,
    /// The tests: a [[test]] for each; docs/behaviour.md has all that a file may say
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// `data behaviour check behaviour.toml`
#[derive(Debug, Clone, Args)]
pub struct CheckBehaviour {
    /// The tests
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

impl BehaviourCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Show(ShowBehaviour { name }) => {
                let dataset = session.book.datasets().get(whole(name)?)?;
                if let Some(tests) =
                    StoredBehaviour::of_dataset(session.book.store(), &dataset.name)?
                {
                    return Ok(shown(&tests).text(format!("\n{}", tests.text.trim_end())));
                }
                Ok(match StoredBehaviour::built_in(&dataset.classes) {
                    Some(tests) => shown(&tests)
                        .field("built_in", true)
                        .text(format!("\n{}", tests.text.trim_end()))
                        .hint(set_hint("\nthese are built in; ", name)),
                    None => Output::new(json!(null))
                        .hint(set_hint(&format!("{name} has no behaviour tests; "), name)),
                })
            }
            Self::Set(SetBehaviour { name, file }) => {
                let dataset = session.book.datasets().get(whole(name)?)?;
                let tests = StoredBehaviour::read(file)?;
                tests.suite.check_classes(&dataset.classes)?;
                let is_new = tests.set(session.book.registry()?, &dataset.name)?;
                let told = match is_new {
                    true => "they are asked from now on, also by the gate",
                    false => "they were set already: nothing changed",
                };
                Ok(shown(&tests).field("changed", is_new).text(told))
            }
            Self::Check(CheckBehaviour { file }) => {
                let tests = StoredBehaviour::read(file)?;
                let command =
                    CommandLine::new("data behaviour set").written("NAME").arg(file.display());
                Ok(shown(&tests)
                    .hint(Hint::from("it has behaviour tests; set them with ").run(command)))
            }
        }
    }
}

fn set_hint(what: &str, name: &str) -> Hint {
    let command = CommandLine::new("data behaviour set").arg(name).written("FILE");
    Hint::from(what.to_owned()).run(command).say(" sets others")
}

/// The tests of a file, with what they expect.
fn shown(tests: &StoredBehaviour) -> Output {
    let mut table = Table::new([
        ("test", Align::Left),
        ("kind", Align::Left),
        ("expected", Align::Left),
        ("cases", Align::Right),
    ]);
    let list = |test: &trialbook::evaluate::BehaviourTest| {
        let mut value = json!(test);
        value["n_cases"] = json!(test.cases.len());
        value
    };
    for test in &tests.suite.tests {
        table.push([
            test.name.clone(),
            test.expectation.kind().name().replace('_', " "),
            test.expectation.told(),
            test.cases.len().to_string(),
        ]);
    }
    let listed: Vec<_> = tests.suite.tests.iter().map(list).collect();
    Output::new(json!({"sha256": tests.sha256, "text": tests.text, "tests": listed}))
        .text(format!("behaviour tests {} ({})\n", short(&tests.sha256), tests.sha256))
        .table(table)
}
