//! Registered models and their versions on a server.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    RemoteRegistry,
    client::{API, Repeat},
    shapes::{self, list},
    tags::{is_record_tag, registered_tags},
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    registry::{
        names,
        record::{ModelVersion, NewVersion, RegisteredModel, Stage},
        reference::{ModelReference, VersionSelector},
        registering::take_measured,
    },
};

impl RemoteRegistry {
    fn call(&self, method: &str, path: &str, body: &Value, repeat: Repeat) -> Result<Value> {
        self.client.ask(method, &format!("{API}{path}"), body, repeat)
    }

    pub(super) fn all_models(&self) -> Result<Vec<RegisteredModel>> {
        let (path, mut query) = (format!("{API}/registered-models/search"), String::new());
        let mut models = Vec::new();
        loop {
            let mut fields = vec![("max_results", "500")];
            if !query.is_empty() {
                fields.push(("page_token", query.as_str()));
            }
            let answer = self.client.get(&path, &fields)?;
            models.extend(list(&answer["registered_models"]).filter_map(shapes::model));
            match answer["next_page_token"].as_str() {
                Some(token) if !token.is_empty() => query = token.to_owned(),
                _ => break,
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    pub(super) fn model_called(&self, name: &str) -> Result<RegisteredModel> {
        let path = format!("{API}/registered-models/get");
        let missing = || self.no_model(name);
        match self.client.get(&path, &[("name", name)]) {
            Ok(answer) => shapes::model(&answer["registered_model"]).ok_or_else(missing),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(error),
        }
    }

    fn no_model(&self, name: &str) -> Error {
        let error = Error::new(ErrorKind::NotFound, format!("model {name:?} does not exist"));
        let names: Vec<String> =
            self.all_models().unwrap_or_default().into_iter().map(|model| model.name).collect();
        error.with_hint(match names.is_empty() {
            true => Hint::from("no model is registered yet: ").run("train").say(" registers one"),
            false => Hint::from(format!("there are: {}", names.join(", "))),
        })
    }

    pub(super) fn versions_of(&self, model: &str) -> Result<Vec<ModelVersion>> {
        let quote = if model.contains('\'') { '"' } else { '\'' };
        let filter = format!("name={quote}{model}{quote}");
        let path = format!("{API}/model-versions/search");
        let (mut versions, mut token) = (Vec::new(), String::new());
        loop {
            let mut fields = vec![("filter", filter.as_str()), ("max_results", "1000")];
            if !token.is_empty() {
                fields.push(("page_token", token.as_str()));
            }
            let answer = self.client.get(&path, &fields)?;
            for version in list(&answer["model_versions"]) {
                versions.push(shapes::version(version)?);
            }
            match answer["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => break,
            }
        }
        if versions.is_empty() {
            self.model_called(model)?;
        }
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    pub(super) fn version_numbered(&self, model: &str, number: u32) -> Result<ModelVersion> {
        let path = format!("{API}/model-versions/get");
        match self.client.get(&path, &[("name", model), ("version", &number.to_string())]) {
            Ok(answer) => shapes::version(&answer["model_version"]),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let versions = self.versions_of(model)?;
                Err(missing(model, &versions, &format!("no version {number}")))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn in_production(&self, model: &str) -> Result<Option<ModelVersion>> {
        let body = json!({"name": model, "stages": [Stage::Production.as_str()]});
        let path = "/registered-models/get-latest-versions";
        let answer = match self.call("POST", path, &body, Repeat::Safe) {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.no_model(model)),
            Err(error) => return Err(error),
        };
        let found = list(&answer["model_versions"]).map(shapes::version);
        let found = found.collect::<Result<Vec<_>>>()?;
        Ok(newest_in(found, Stage::Production))
    }

    pub(super) fn version_meant(&self, reference: &ModelReference) -> Result<ModelVersion> {
        let ModelReference { model, version } = reference;
        let versions = || self.versions_of(model);
        match version {
            VersionSelector::Number(number) => self.version_numbered(model, *number),
            VersionSelector::Alias(alias) => {
                let known = self.model_called(model)?;
                match known.aliases.get(alias) {
                    Some(number) => self.version_numbered(model, *number),
                    None => Err(no_alias(&known, alias)),
                }
            }
            VersionSelector::Stage(stage) => {
                let all = versions()?;
                let what = format!("no version in {stage}");
                newest_in(all.clone(), *stage).ok_or_else(|| missing(model, &all, &what))
            }
            VersionSelector::Latest => {
                versions()?.pop().ok_or_else(|| missing(model, &[], "no version"))
            }
            VersionSelector::Default => {
                let mut all = versions()?;
                match newest_in(all.clone(), Stage::Production).or_else(|| all.pop()) {
                    Some(found) => Ok(found),
                    None => Err(missing(
                        model,
                        &[],
                        "no version: its name alone means the Production version, or else the newest",
                    )),
                }
            }
        }
    }

    pub(super) fn names_by_run(&self) -> Result<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        for model in self.all_models()? {
            for version in self.versions_of(&model.name)? {
                let reference = version.reference().to_string();
                names.insert(version.run_id, reference);
            }
        }
        Ok(names)
    }

    pub(super) fn register(&self, new: NewVersion) -> Result<ModelVersion> {
        let NewVersion { model, run_id, files, lineage, metrics, .. } = new;
        names::check_known_model_name(&model)?;
        let [first, ..] = files.as_slice() else {
            return Err(Error::invalid(format!("a version of model {model:?} needs files"))
                .with_hint("log the saved model as artifacts of its run first"));
        };
        let run = self.run_called(&run_id)?;
        // Where in the run they lie: the names are those inside the model's folder.
        let folder = run.sha256.iter().find_map(|(path, sha256)| {
            let folder = path.strip_suffix(first.path.as_str())?;
            (*sha256 == first.sha256 && (folder.is_empty() || folder.ends_with('/')))
                .then(|| folder.trim_end_matches('/').to_owned())
        });
        let folder = folder.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{} is no artifact of run {run_id}", first.path),
            )
            .with_hint("log the saved model as artifacts of its run first")
        })?;
        let source = match folder.as_str() {
            "" => run.artifact_uri.clone(),
            folder => format!("{}/{folder}", run.artifact_uri.trim_end_matches('/')),
        };
        match self.call("POST", "/registered-models/create", &json!({"name": model}), Repeat::Never)
        {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        let tags = registered_tags(&files, &lineage, &metrics);
        let tags: Vec<Value> =
            tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let body = json!({"name": model, "source": source, "run_id": run_id, "tags": tags});
        let answer = self.call("POST", "/model-versions/create", &body, Repeat::Never)?;
        shapes::version(&answer["model_version"])
    }

    pub(super) fn measured_by_now(&self, model: &str, number: u32) -> Result<ModelVersion> {
        let mut version = self.version_numbered(model, number)?;
        if version.is_from_outside() && !version.run_id.is_empty() {
            let run = self.run_called(&version.run_id)?.run;
            take_measured(&mut version.metrics, &mut version.lineage, &run.metrics, &run.flow);
        }
        Ok(version)
    }

    pub(super) fn tag(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        names::check_model_tag(key, value.unwrap_or_default())?;
        let mut body = json!({"name": model, "key": key});
        let of = if let Some(number) = version {
            body["version"] = json!(number.to_string());
            "model-versions"
        } else {
            "registered-models"
        };
        match value {
            Some(value) => {
                body["value"] = json!(value);
                self.call("POST", &format!("/{of}/set-tag"), &body, Repeat::Safe).map(drop)
            }
            None => {
                self.call("DELETE", &format!("/{of}/delete-tag"), &body, Repeat::Safe).map(drop)
            }
        }
    }

    pub(super) fn point_alias(&self, model: &str, alias: &str, to: Option<u32>) -> Result<()> {
        let path = "/registered-models/alias";
        let Some(number) = to else {
            let known = self.model_called(model)?;
            if !known.aliases.contains_key(alias) {
                return Err(no_alias(&known, alias));
            }
            let body = json!({"name": model, "alias": alias});
            return self.call("DELETE", path, &body, Repeat::Safe).map(drop);
        };
        names::check_alias(alias)?;
        self.version_numbered(model, number)?;
        let body = json!({"name": model, "alias": alias, "version": number.to_string()});
        self.call("POST", path, &body, Repeat::Safe).map(drop)
    }

    pub(super) fn delete(&self, model: &str, version: Option<u32>) -> Result<()> {
        let doomed = match version {
            Some(number) => vec![self.version_numbered(model, number)?],
            None => self.versions_of(model)?,
        };
        // MLflow deletes what serves without a word.
        if let Some(used) = doomed
            .iter()
            .find(|version| matches!(version.stage, Stage::Staging | Stage::Production))
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "version {} of model {model:?} is in {} and cannot be deleted",
                    used.version, used.stage
                ),
            )
            .with_hint("archive it first, or promote another version in its place"));
        }
        let (path, body) = match version {
            Some(number) => {
                ("/model-versions/delete", json!({"name": model, "version": number.to_string()}))
            }
            None => ("/registered-models/delete", json!({ "name": model })),
        };
        self.call("DELETE", path, &body, Repeat::Never).map(drop)
    }

    /// Refuses to change by hand what stands for a part of a version's record.
    pub(super) fn tag_of_people(&self, key: &str) -> Result<()> {
        if !is_record_tag(key) {
            return Ok(());
        }
        Err(Error::invalid(format!("the tag {key} is what trialbook knows of the version"))
            .with_hint("use another key"))
    }
}

pub(super) fn newest_in(versions: Vec<ModelVersion>, stage: Stage) -> Option<ModelVersion> {
    let in_stage = versions.into_iter().filter(|version| version.stage == stage);
    in_stage.max_by_key(|version| version.version)
}

fn no_alias(model: &RegisteredModel, alias: &str) -> Error {
    let aliases: Vec<&str> = model.aliases.keys().map(String::as_str).collect();
    let error =
        Error::new(ErrorKind::NotFound, format!("model {:?} has no alias {alias:?}", model.name));
    if aliases.is_empty() {
        let set = CommandLine::new("models alias").arg(&model.name).arg(alias).written("VERSION");
        return error.with_hint(Hint::from("set one with ").run(set));
    }
    error.with_hint(format!("it has {}", aliases.join(", ")))
}

fn missing(model: &str, versions: &[ModelVersion], wanted: &str) -> Error {
    let newest = versions.iter().rev().take(10);
    let found: Vec<String> =
        newest.map(|version| format!("{} ({})", version.version, version.stage)).collect();
    Error::new(ErrorKind::NotFound, format!("model {model:?} has {wanted}")).with_hint(match found
        .is_empty()
    {
        true => Hint::from("it has no versions: ").run("train").say(" registers one"),
        false => Hint::from(format!("the newest are {}", found.join(", "))),
    })
}
