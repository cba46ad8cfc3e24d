//! Registered models and their versions looked up in a transaction, and what is said when they are not
//! there.

use super::{
    fault::Fault,
    record::{ModelVersion, Stage},
    stored::StoredModel,
    tables::{MODELS, VERSIONS, version_key, versions_prefix},
    transaction::Rows,
};
use crate::error::{Error, ErrorKind, Result};
use crate::hint::{CommandLine, Hint};

/// The model called `name`, which must be there.
pub(super) fn existing_model(txn: &impl Rows, name: &str) -> Result<StoredModel, Fault> {
    if let Some(model) = txn.get::<StoredModel>(MODELS, name.as_bytes())? {
        return Ok(model);
    }
    let mut names = Vec::new();
    txn.scan(MODELS, &[], |key, _| {
        names.push(String::from_utf8_lossy(key).into_owned());
        Ok(())
    })?;
    let hint = if names.is_empty() {
        Hint::from("no model is registered yet: ").run("train").say(" registers one")
    } else {
        Hint::from(format!("there are: {}", names.join(", ")))
    };
    Err(Fault::Ours(
        Error::new(ErrorKind::NotFound, format!("model {name:?} does not exist")).with_hint(hint),
    ))
}

pub(super) fn unknown_alias(model: &str, alias: &str, stored: &StoredModel) -> Error {
    let aliases: Vec<&str> = stored.aliases.keys().map(String::as_str).collect();
    let error = Error::new(ErrorKind::NotFound, format!("model {model:?} has no alias {alias:?}"));
    if aliases.is_empty() {
        let set = CommandLine::new("models alias").arg(model).arg(alias).written("VERSION");
        return error.with_hint(Hint::from("set one with ").run(set));
    }
    error.with_hint(format!("it has {}", aliases.join(", ")))
}

/// One version, which must be there.
pub(super) fn existing(txn: &impl Rows, model: &str, version: u32) -> Result<ModelVersion, Fault> {
    match txn.get(VERSIONS, &version_key(model, version))? {
        Some(version) => Ok(version),
        None => Err(missing(txn, model, &format!("no version {version}"))?),
    }
}

/// Every version of a model, oldest first.
pub(super) fn all(txn: &impl Rows, model: &str) -> Result<Vec<ModelVersion>, Fault> {
    let versions = txn.all::<ModelVersion>(VERSIONS, &versions_prefix(model))?;
    Ok(versions.into_iter().map(|(_, version)| version).collect())
}

/// The newest version in `stage`.
pub(super) fn newest_in(
    txn: &impl Rows,
    model: &str,
    stage: Stage,
) -> Result<Option<ModelVersion>, Fault> {
    Ok(all(txn, model)?.into_iter().rfind(|version| version.stage == stage))
}

pub(super) fn missing(txn: &impl Rows, model: &str, wanted: &str) -> Result<Fault, Fault> {
    let found: Vec<String> = all(txn, model)?
        .iter()
        .map(|version| format!("{} ({})", version.version, version.stage))
        .collect();
    let hint = match found.as_slice() {
        [] => Hint::from("it has no versions: ").run("train").say(" registers one"),
        [.., _] if found.len() > 10 => {
            let newest = found[found.len() - 10..].join(", ");
            format!("it has {} versions, the newest are {newest}", found.len()).into()
        }
        _ => format!("it has {}", found.join(", ")).into(),
    };
    let error = Error::new(ErrorKind::NotFound, format!("model {model:?} has {wanted}"));
    Ok(Fault::Ours(error.with_hint(hint)))
}
