//! `models list|show|threshold|calibrate|quantize|tag|alias|delete|import|export`: registered models and their
//! versions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    book::{ImportRequest, Imported},
    display::{pairs, version_output, versions_table},
    error::{Error, Result},
    figure,
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::{RegisteredModel, Tracker, VersionSelector},
};

mod decision;
mod export;

use self::{
    decision::{Calibrate, SetThreshold},
    export::Export,
};
use super::{
    Session,
    named::{self, model_forms, version_forms, version_read_forms, version_word},
};

/// The verbs on registered models.
#[derive(Debug, Clone, Subcommand)]
pub enum Models {
    /// List registered models
    List,
    /// Show a model with its versions, or one version
    Show(ShowModel),
    /// Register a version with another threshold as a new version, for two classes
    Threshold(SetThreshold),
    /// Register a version with calibrated probabilities as a new version
    Calibrate(Calibrate),
    /// Register a distilbert with its weights in 8 bits as a new version: a quarter of the memory, faster on a CPU
    Quantize(Quantize),
    /// Set or remove a tag of a model or of one version
    Tag(Tag),
    /// Give a version an alias, NAME@alias, or remove the alias
    Alias(Alias),
    /// Delete a version, or a model with all its versions
    Delete(Delete),
    /// Register a Hugging Face checkpoint (a DistilBERT with a classifier) as a new version
    Import(ImportModel),
    /// Write a version's files into a folder: Transformers opens those of a distilbert, ONNX Runtime what
    /// --format onnx writes
    Export(Export),
}

/// A model or a version.
#[derive(Debug, Clone, Args)]
pub struct ShowModel {
    #[arg(help = model_forms!(""))]
    reference: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
}

/// `models quantize SentimentClassifier/4`
#[derive(Debug, Clone, Args)]
pub struct Quantize {
    #[arg(help = version_read_forms!(""))]
    reference: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
}

/// A tag.
#[derive(Debug, Clone, Args)]
pub struct Tag {
    #[arg(help = model_forms!(""))]
    reference: String,
    /// KEY=VALUE sets the tag, KEY alone removes it. The version goes before it, if NAME does not include it
    #[arg(value_name = "[VERSION] KEY[=VALUE]", required = true, num_args = 1..=2)]
    tag: Vec<String>,
}

/// An alias.
#[derive(Debug, Clone, Args)]
pub struct Alias {
    #[arg(help = model_forms!(""))]
    reference: String,
    #[arg(help = version_forms!(""))]
    version: String,
    /// The alias: letters, digits, _ and -, such as champion
    alias: Option<String>,
    /// Remove the alias: models alias NAME ALIAS --delete
    #[arg(long)]
    delete: bool,
}

/// A version or a model to delete.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    #[arg(help = model_forms!(""))]
    reference: String,
    #[arg(value_parser = version_word, help = version_forms!("; without a version all of them"))]
    version: Option<VersionSelector>,
}

/// `models import DIR --name SentimentClassifier --data imdb`
#[derive(Debug, Clone, Args)]
pub struct ImportModel {
    /// The folder with config.json, with model.safetensors, pytorch_model.bin or Optimum's model.onnx, and
    /// with tokenizer.json or vocab.txt; or a folder models--ORG--NAME of the hub's cache
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The registered model that gets a new version [default: SentimentClassifier for the classes
    /// negative and positive, otherwise the name of the dataset or, without --data, of the folder]
    #[arg(long)]
    name: Option<String>,
    /// Class names in the order of the labels, instead of those in config.json. With --data, capital
    /// and small letters are the same
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    classes: Option<Vec<String>>,
    /// Measure the version on this dataset's test split; the gate needs this measurement
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
}

impl Models {
    /// True if it may train, which takes its time.
    pub(super) fn is_long(&self) -> bool {
        matches!(self, Self::Threshold(_) | Self::Calibrate(_) | Self::Quantize(_))
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        // Opened by the verb: an import may be the first thing that a store holds.
        let registry = || session.book.tracker();
        match self {
            Self::List => list(registry()?),
            Self::Show(show) => show.run(session),
            Self::Threshold(threshold) => threshold.run(session),
            Self::Calibrate(calibrate) => calibrate.run(session),
            Self::Quantize(quantize) => quantize.run(session),
            Self::Tag(tag) => tag.run(session),
            Self::Alias(alias) => alias.run(session),
            Self::Delete(delete) => {
                let (name, version) =
                    model_and_version(session, &delete.reference, delete.version.as_ref())?;
                registry()?.delete_model(&name, version)?;
                Ok(Output::new(json!({"name": name, "version": version, "deleted": true}))
                    .text(format!("deleted {}", spelt(&name, version))))
            }
            Self::Import(import) => import.run(session),
            Self::Export(export) => export.run(session),
        }
    }
}

/// The model that `name` and `version` spell and, where they name one, the number of its version.
fn model_and_version(
    session: &Session,
    name: &str,
    version: Option<&VersionSelector>,
) -> Result<(String, Option<u32>)> {
    let reference = named::reference(session, name, version)?;
    if reference.is_bare() {
        return Ok((reference.model, None));
    }
    named::version(session, name, version).map(|(model, number)| (model, Some(number)))
}

/// `NAME/3`, or `NAME` alone.
fn spelt(name: &str, version: Option<u32>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name}/{version}"))
}

fn list(registry: &dyn Tracker) -> Result<Output> {
    let mut table = Table::new([
        ("model", Align::Left),
        ("versions", Align::Right),
        ("production", Align::Right),
        ("f1", Align::Right),
        ("aliases", Align::Left),
        ("updated (UTC)", Align::Left),
    ]);
    let mut rows = Vec::new();
    for model in registry.models()? {
        let versions = registry.versions(&model.name)?;
        let production = registry.production(&model.name)?;
        table.push([
            model.name.clone(),
            versions.len().to_string(),
            production
                .as_ref()
                .map_or_else(|| "-".to_owned(), |version| version.version.to_string()),
            figure::metric_or_dash(
                production.as_ref().and_then(|version| version.metrics.get("f1").copied()),
            ),
            aliases(&model),
            figure::time(model.updated_ms),
        ]);
        let mut row = json!(model);
        row["n_versions"] = json!(versions.len());
        row["production"] = json!(production.map(|version| version.version));
        rows.push(row);
    }
    let output = Output::new(&rows);
    if rows.is_empty() {
        let said = Hint::from("no models; ").run("train tfidf --data NAME").say(" registers one");
        return Ok(output.hint(said));
    }
    Ok(output.table(table))
}

/// The aliases of a model with the numbers of their versions: `champion → 3`.
fn aliases(model: &RegisteredModel) -> String {
    let aliases: Vec<String> =
        model.aliases.iter().map(|(alias, version)| format!("{alias} → {version}")).collect();
    aliases.join(", ")
}

impl ShowModel {
    fn run(&self, session: &Session) -> Result<Output> {
        let registry = session.book.tracker()?;
        let reference = named::reference(session, &self.reference, self.version.as_ref())?;
        if !reference.is_bare() {
            let version = registry.resolve(&reference)?;
            let model = registry.model(&version.model)?;
            let aliases: Vec<&str> = model.aliases_of(version.version).collect();
            let output = version_output(&version, &aliases).field("aliases", &aliases);
            return Ok(decision::shown(registry, &version, output));
        }
        let model = registry.model(&reference.model)?;
        let versions = registry.versions(&model.name)?;
        let table = versions_table(&versions, Some(&model.aliases));
        let mut json = json!(model);
        json["versions"] = json!(versions);
        let mut output = Output::new(json).text(format!("model {}\n", model.name)).table(table);
        if !model.tags.is_empty() {
            output = output.text("").table(pairs("tag", &model.tags));
        }
        Ok(output)
    }
}

impl Tag {
    fn run(&self, session: &Session) -> Result<Output> {
        let (word, tag) = match &self.tag[..] {
            [version, tag] => (Some(named::version_word(version)?), tag.as_str()),
            words => (None, words.first().map_or("", String::as_str)),
        };
        let (name, version) = model_and_version(session, &self.reference, word.as_ref())?;
        let (key, value) = match tag.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (tag, None),
        };
        session.book.tracker()?.tag_model(&name, version, key, value)?;
        let subject = spelt(&name, version);
        let said = match value {
            Some(value) => format!("{subject}: tag {key} = {value}"),
            None => format!("{subject}: tag {key} removed"),
        };
        Ok(Output::new(json!({"name": name, "version": version, "key": key, "value": value}))
            .text(said))
    }
}

impl Quantize {
    fn run(&self, session: &Session) -> Result<Output> {
        let reference = named::reference(session, &self.reference, self.version.as_ref())?;
        Ok(session.book.quantize(&reference.to_string(), &session.monitor)?.to_output())
    }
}

impl Alias {
    fn run(&self, session: &Session) -> Result<Output> {
        let (name, alias, version) = match (self.delete, &self.alias) {
            (true, None) => {
                let reference = named::reference(session, &self.reference, None)?;
                if !reference.is_bare() {
                    return Err(Error::invalid(format!("{reference} is a version")).with_hint(
                        "an alias is removed from its model: models alias NAME ALIAS --delete",
                    ));
                }
                (reference.model, &self.version, None)
            }
            (true, Some(_)) => {
                return Err(Error::invalid("--delete takes the alias alone, without a version")
                    .with_hint("models alias NAME ALIAS --delete"));
            }
            (false, alias) => {
                let (word, alias) = match alias {
                    // `NAME champion 2` is as good as `NAME 2 champion`.
                    Some(word) if version_word(&self.version).is_err() => {
                        (Some(version_word(word)?), &self.version)
                    }
                    Some(alias) => (Some(version_word(&self.version)?), alias),
                    None => (None, &self.version),
                };
                let (name, version) = named::version(session, &self.reference, word.as_ref())?;
                (name, alias, Some(version))
            }
        };
        session.book.tracker()?.set_alias(&name, alias, version)?;
        let said = match version {
            Some(version) => format!("{name}@{alias} is version {version}"),
            None => format!("{name}@{alias} removed"),
        };
        Ok(Output::new(json!({"name": name, "alias": alias, "version": version})).text(said))
    }
}

impl ImportModel {
    fn run(&self, session: &Session) -> Result<Output> {
        let request = ImportRequest {
            folder: self.folder.clone(),
            model: self.name.clone().unwrap_or_default(),
            classes: self.classes.clone(),
            dataset: self.data.clone(),
        };
        let Imported { version, notes } = session.book.import(&request, &session.monitor)?;
        let mut output = version_output(&version, &[]).field("notes", &notes);
        for note in &notes {
            output = output.text(format!("\n{note}"));
        }
        let name = version.reference().to_string();
        let predict = CommandLine::new("predict --model").arg(&name).written("TEXT");
        Ok(output.hint(Hint::from(format!("\nregistered {name}; next: ")).run(predict)))
    }
}
