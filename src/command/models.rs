//! `models list|show|tag|alias|delete|import|export`: registered models and their versions.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Session;
use crate::{
    book::{ImportRequest, Imported},
    display::{pairs, verdict_word, version_output},
    error::{Error, ErrorKind, Result},
    figure::{self, short},
    output::{Align, Output, Table},
    registry::Registry,
};

/// The verbs on registered models.
#[derive(Debug, Clone, Subcommand)]
pub enum Models {
    /// List registered models
    List,
    /// Show a model with its versions, or one version: NAME, NAME/3, NAME/Production, NAME@alias
    Show(Show),
    /// Set or remove a tag of a model or of one version
    Tag(Tag),
    /// Give a version another name, NAME@alias, or take the alias away
    Alias(Alias),
    /// Delete a version, or a model with all its versions
    Delete(Delete),
    /// Register a Hugging Face checkpoint, a DistilBERT with a classifier, as a new version
    Import(Import),
    /// Write a version's files into a folder; a distilbert's open in Transformers
    Export(Export),
}

/// A model or a version.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// NAME, NAME/3, NAME/Production or NAME@alias
    reference: String,
}

/// A tag.
#[derive(Debug, Clone, Args)]
pub struct Tag {
    /// NAME or NAME/3
    reference: String,
    /// KEY=VALUE sets the tag, KEY alone removes it
    #[arg(value_name = "KEY[=VALUE]")]
    tag: String,
}

/// An alias.
#[derive(Debug, Clone, Args)]
pub struct Alias {
    /// The registered model
    name: String,
    /// The alias, such as champion
    alias: String,
    /// The version it names; without one the alias is removed
    version: Option<u32>,
}

/// What to delete.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    /// NAME or NAME/3
    reference: String,
}

/// `models import DIR --name SentimentClassifier --data imdb`
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// The folder: config.json, model.safetensors or pytorch_model.bin, tokenizer.json or vocab.txt;
    /// or the hub cache's models--ORG--NAME
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The registered model that gets a new version [default: SentimentClassifier for the classes
    /// negative and positive, otherwise the dataset's name, without one the folder's]
    #[arg(long)]
    name: Option<String>,
    /// Class names in label order, instead of those in config.json; with --data the case of letters
    /// does not matter
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    classes: Option<Vec<String>>,
    /// Measure it on this dataset's test split, which a gate needs
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
}

/// `models export SentimentClassifier/4 OUT`
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// NAME/3, NAME/Production or NAME@alias
    reference: String,
    /// The folder to write: new, or empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Models {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        // Opened by the verb: an import may be the first thing that a store holds.
        let registry = || session.book.registry();
        match self {
            Self::List => list(registry()?),
            Self::Show(show) => show.run(registry()?),
            Self::Tag(tag) => tag.run(registry()?),
            Self::Alias(alias) => alias.run(registry()?),
            Self::Delete(delete) => {
                let (name, version) = split_version(&delete.reference)?;
                registry()?.delete_model(name, version)?;
                Ok(Output::new(json!({"name": name, "version": version, "deleted": true}))
                    .text(format!("deleted {}", delete.reference)))
            }
            Self::Import(import) => import.run(session),
            Self::Export(export) => export.run(registry()?),
        }
    }
}

/// `NAME/3` as name and number, `NAME` as name alone.
fn split_version(reference: &str) -> Result<(&str, Option<u32>)> {
    let Some((name, version)) = reference.split_once('/') else { return Ok((reference, None)) };
    let version = version.parse().map_err(|source| {
        Error::invalid(format!("model version {version:?} in {reference:?} is not a number"))
            .with_hint("write NAME or NAME/3")
            .with_source(source)
    })?;
    Ok((name, Some(version)))
}

fn list(registry: &Registry) -> Result<Output> {
    let mut table = Table::new([
        ("model", Align::Left),
        ("versions", Align::Right),
        ("production", Align::Right),
        ("f1", Align::Right),
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
            figure::time(model.updated_ms),
        ]);
        let mut row = json!(model);
        row["n_versions"] = json!(versions.len());
        row["production"] = json!(production.map(|version| version.version));
        rows.push(row);
    }
    let output = Output::new(&rows);
    if rows.is_empty() {
        return Ok(output.text("no models; `trialbook train tfidf --data NAME` registers one"));
    }
    Ok(output.table(table))
}

impl Show {
    fn run(&self, registry: &Registry) -> Result<Output> {
        let reference = self.reference.strip_prefix("models:/").unwrap_or(&self.reference);
        if reference.contains(['/', '@']) {
            return Ok(version_output(&registry.resolve(reference)?));
        }
        let model = registry.model(reference)?;
        let versions = registry.versions(reference)?;
        let mut table = Table::new([
            ("version", Align::Right),
            ("stage", Align::Left),
            ("f1", Align::Right),
            ("accuracy", Align::Right),
            ("data", Align::Left),
            ("run", Align::Left),
            ("verdict", Align::Left),
            ("aliases", Align::Left),
            ("created (UTC)", Align::Left),
        ]);
        for version in &versions {
            let aliases: Vec<&str> = model
                .aliases
                .iter()
                .filter(|(_, number)| **number == version.version)
                .map(|(alias, _)| alias.as_str())
                .collect();
            table.push([
                version.version.to_string(),
                version.stage.to_string(),
                figure::metric_or_dash(version.metrics.get("f1").copied()),
                figure::metric_or_dash(version.metrics.get("accuracy").copied()),
                version.lineage.dataset.clone(),
                short(&version.run_id).to_owned(),
                verdict_word(version).to_owned(),
                aliases.join(", "),
                figure::time(version.created_ms),
            ]);
        }
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
    fn run(&self, registry: &Registry) -> Result<Output> {
        let (name, version) = split_version(&self.reference)?;
        let (key, value) = match self.tag.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (self.tag.as_str(), None),
        };
        registry.tag_model(name, version, key, value)?;
        let said = match value {
            Some(value) => format!("{}: tag {key} = {value}", self.reference),
            None => format!("{}: tag {key} removed", self.reference),
        };
        Ok(Output::new(json!({"name": name, "version": version, "key": key, "value": value}))
            .text(said))
    }
}

impl Alias {
    fn run(&self, registry: &Registry) -> Result<Output> {
        registry.set_alias(&self.name, &self.alias, self.version)?;
        let said = match self.version {
            Some(version) => format!("{}@{} is version {version}", self.name, self.alias),
            None => format!("{}@{} removed", self.name, self.alias),
        };
        Ok(Output::new(json!({"name": self.name, "alias": self.alias, "version": self.version}))
            .text(said))
    }
}

impl Import {
    fn run(&self, session: &Session) -> Result<Output> {
        let request = ImportRequest {
            folder: self.folder.clone(),
            model: self.name.clone().unwrap_or_default(),
            classes: self.classes.clone(),
            dataset: self.data.clone(),
        };
        let Imported { version, notes } = session.book.import(&request, &session.monitor)?;
        let mut output = version_output(&version).field("notes", &notes);
        for note in &notes {
            output = output.text(format!("\n{note}"));
        }
        Ok(output.text(format!(
            "\nregistered {name}/{number}; next: `trialbook predict --model {word} TEXT`",
            word = figure::shell_word(&format!("{}/{}", version.model, version.version)),
            name = version.model,
            number = version.version
        )))
    }
}

impl Export {
    fn run(&self, registry: &Registry) -> Result<Output> {
        let version = registry.resolve(&self.reference)?;
        let files = registry.model_files(&version)?;
        let folder = &self.folder;
        let is_taken = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_taken || folder.is_file() {
            return Err(Error::new(ErrorKind::Conflict, format!("{folder:?} is there already"))
                .with_hint("name a new folder: nothing is overwritten"));
        }
        fs::create_dir_all(folder)
            .map_err(|source| Error::io("create the folder", folder, source))?;
        let mut names = Vec::new();
        for (name, path) in files.iter() {
            let target = folder.join(name);
            fs::copy(path, &target).map_err(|source| Error::io("write", &target, source))?;
            names.push(name);
        }
        let said = format!(
            "wrote {}/{} to {}: {}",
            version.model,
            version.version,
            folder.display(),
            names.join(", ")
        );
        let json = json!({
            "name": version.model, "version": version.version, "folder": folder, "files": names,
        });
        Ok(Output::new(json).text(said))
    }
}
