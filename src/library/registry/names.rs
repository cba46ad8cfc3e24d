//! Names, keys and values: what is allowed, MLflow's limits, and names made up for runs without one.

use uuid::Uuid;

use crate::{
    error::{Error, Result},
    reserved::{LIST_SEPARATOR, MODEL_SEPARATORS, PLACES, is_version},
};

/// MLflow's limits, in characters.
const MAX_KEY_CHARS: usize = 250;
const MAX_PARAM_CHARS: usize = 6_000;
const MAX_TAG_CHARS: usize = 8_000;
const MAX_NAME_CHARS: usize = 250;
const MAX_ALIAS_CHARS: usize = 255;
const MAX_EXPERIMENT_CHARS: usize = 500;
const MAX_EXPERIMENT_TAG_CHARS: usize = 20_000;
const MAX_MODEL_TAG_CHARS: usize = 100_000;

/// The tag under which MLflow's clients find and set a run's name.
pub(super) const NAME_TAG: &str = "mlflow.runName";

/// Checks the key of a metric, param or tag.
pub(super) fn check_key(kind: &str, key: &str) -> Result<()> {
    check_length(&format!("{kind} key"), key, MAX_KEY_CHARS)?;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if let Some(wrong) = key.chars().find(|c| !allowed(*c)) {
        return Err(Error::invalid(format!("{kind} key {key:?} contains {wrong:?}"))
            .with_hint("use letters, digits, _ - . : / and spaces"));
    }
    if key.starts_with('/') || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::invalid(format!("{kind} key {key:?} is not a plain path"))
            .with_hint("use / only between parts, as in `train/loss`"));
    }
    Ok(())
}

pub(super) fn check_param(key: &str, value: &str) -> Result<()> {
    check_key("param", key)?;
    check_value("param", key, value, MAX_PARAM_CHARS)
}

pub(super) fn check_tag(key: &str, value: &str) -> Result<()> {
    check_key("tag", key)?;
    check_value("tag", key, value, MAX_TAG_CHARS)
}

/// Checks a tag of an experiment.
pub(super) fn check_experiment_tag(key: &str, value: &str) -> Result<()> {
    check_key("tag", key)?;
    check_value("tag", key, value, MAX_EXPERIMENT_TAG_CHARS)
}

/// Checks a tag of a registered model, a version or a logged model.
pub(super) fn check_model_tag(key: &str, value: &str) -> Result<()> {
    check_key("tag", key)?;
    check_value("tag", key, value, MAX_MODEL_TAG_CHARS)
}

/// Checks the name of an experiment.
pub(super) fn check_experiment_name(name: &str) -> Result<()> {
    check_length("experiment name", name, MAX_EXPERIMENT_CHARS)?;
    check_no_control("experiment name", name)
}

/// Checks the name of a logged model.
pub(super) fn check_logged_model_name(name: &str) -> Result<()> {
    check_name("logged model", name)?;
    match name.chars().find(|c| "/:.%\"'".contains(*c)) {
        None => Ok(()),
        Some(wrong) => {
            Err(Error::invalid(format!("logged model name {name:?} contains {wrong:?}"))
                .with_hint("leave out / : . % and quotes"))
        }
    }
}

/// Checks what is kept as it comes, such as a description or a dataset's schema.
pub(super) fn check_text(what: &str, text: &str, max_chars: usize) -> Result<()> {
    let n_chars = text.chars().count();
    if n_chars > max_chars {
        return Err(Error::invalid(format!(
            "{what} has {n_chars} characters, at most {max_chars} are allowed"
        )));
    }
    Ok(())
}

/// Checks the name of a run.
pub(super) fn check_name(kind: &str, name: &str) -> Result<()> {
    check_length(&format!("{kind} name"), name, MAX_NAME_CHARS)?;
    check_no_control(&format!("{kind} name"), name)
}

/// Checks the name of a registered model that is to be made: it stands in `models:/NAME/STAGE`,
/// `NAME@alias`, `--model A,B` and in the paths of a server.
///
/// # Errors
/// An empty or too long name, one with `/`, `:`, `@`, `,` or control characters, and one that is read
/// as something else: a version, a stage, an option, a folder.
pub fn check_model_name(name: &str) -> Result<()> {
    check_known_model_name(name)?;
    let (separator, usage) = LIST_SEPARATOR;
    if name.contains(separator) {
        return Err(Error::invalid(format!("model name {name:?} contains {separator:?}"))
            .with_hint(format!("leave it out: it separates names, as in {usage}")));
    }
    if name.trim() != name {
        return Err(Error::invalid(format!("model name {name:?} begins or ends with white space"))
            .with_hint("leave the white space out"));
    }
    if name.starts_with('-') {
        return Err(Error::invalid(format!("model name {name:?} reads like an option"))
            .with_hint("begin with a letter or a digit"));
    }
    if PLACES.contains(&name) {
        return Err(Error::invalid(format!("model name {name:?} stands for a folder"))
            .with_hint("a URL cannot contain this name: choose a word"));
    }
    if is_version(name) || name.parse::<super::Stage>().is_ok() {
        return Err(Error::invalid(format!("model name {name:?} reads like a version or a stage"))
            .with_hint("choose a word that says what it classifies, such as `Reviews`"));
    }
    Ok(())
}

/// Checks the name of a registered model that may be there already, from a time when more names were
/// allowed.
///
/// # Errors
/// An empty or too long name, and one with `/`, `:`, `@` or control characters.
pub fn check_known_model_name(name: &str) -> Result<()> {
    check_name("model", name)?;
    let separator = MODEL_SEPARATORS.iter().find(|(separator, _)| name.contains(*separator));
    if let Some((separator, usage)) = separator {
        return Err(Error::invalid(format!("model name {name:?} contains {separator:?}"))
            .with_hint(format!(
                "leave it out: it separates the parts of a model reference, as in {usage}"
            )));
    }
    Ok(())
}

/// Checks an alias that a version is to get, by MLflow's rules: letters, digits, `_` and `-`; not
/// `latest`, and not a number with a `v` in front. Aliases of other forms, which could be set once,
/// are read and removed as they are.
pub(super) fn check_alias(alias: &str) -> Result<()> {
    check_length("alias", alias, MAX_ALIAS_CHARS)?;
    if let Some(wrong) = alias.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        return Err(Error::invalid(format!("alias {alias:?} contains {wrong:?}"))
            .with_hint("use letters, digits, _ and -"));
    }
    let number = alias.strip_prefix(['v', 'V']).unwrap_or_default();
    let is_version = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_version || alias.eq_ignore_ascii_case("latest") {
        return Err(Error::invalid(format!("alias {alias:?} reads like a version"))
            .with_hint("choose a word such as `champion`"));
    }
    Ok(())
}

/// Checks the name of an API key: it stands in logs and in the audit trail.
pub(super) fn check_key_name(name: &str) -> Result<()> {
    check_length("key name", name, MAX_NAME_CHARS)?;
    let well_formed =
        name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
    if !well_formed {
        return Err(Error::invalid(format!("key name {name:?} is not a plain word"))
            .with_hint("use letters, digits, _ - . and @, as in `web-shop`"));
    }
    Ok(())
}

/// Checks an artifact's name: relative, `/` between parts, nothing that climbs out.
pub(super) fn check_artifact_path(path: &str) -> Result<()> {
    check_length("artifact path", path, 1_000)?;
    check_no_control("artifact path", path)?;
    if path.contains('\\') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::invalid(format!("artifact path {path:?} is not a plain relative path"))
            .with_hint("write it like `model/weights.bin`"));
    }
    Ok(())
}

fn check_value(kind: &str, key: &str, value: &str, max_chars: usize) -> Result<()> {
    let n_chars = value.chars().count();
    if n_chars > max_chars {
        return Err(Error::invalid(format!(
            "the value of {kind} {key:?} has {n_chars} characters, at most {max_chars} are allowed"
        ))
        .with_hint("log long texts as an artifact"));
    }
    Ok(())
}

fn check_length(what: &str, text: &str, max_chars: usize) -> Result<()> {
    let n_chars = text.chars().count();
    if text.trim().is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    if n_chars > max_chars {
        let start: String = text.chars().take(20).collect();
        return Err(Error::invalid(format!(
            "{what} {start:?}… has {n_chars} characters, at most {max_chars} are allowed"
        )));
    }
    Ok(())
}

fn check_no_control(what: &str, text: &str) -> Result<()> {
    if text.contains(char::is_control) {
        return Err(Error::invalid(format!("{what} {text:?} contains a control character")));
    }
    Ok(())
}

const ADJECTIVES: [&str; 32] = [
    "able", "bold", "brave", "bright", "calm", "clever", "crisp", "eager", "fair", "fast", "fine",
    "fond", "gentle", "glad", "grand", "handy", "honest", "keen", "kind", "lively", "lucid",
    "merry", "neat", "nimble", "patient", "polite", "proud", "quick", "quiet", "sharp", "swift",
    "wise",
];
const ANIMALS: [&str; 32] = [
    "badger", "bear", "beaver", "bee", "crane", "crow", "deer", "dolphin", "eagle", "elk",
    "falcon", "finch", "fox", "goat", "hare", "hawk", "heron", "horse", "lark", "lynx", "mole",
    "moose", "otter", "owl", "puffin", "raven", "robin", "seal", "stork", "swan", "trout", "wolf",
];

/// A new run id: 32 hexadecimal digits, random.
pub(super) fn new_run_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A name such as `swift-otter-417`, random.
pub(super) fn made_up_name() -> String {
    let random = Uuid::new_v4();
    let bytes = random.as_bytes();
    let adjective = ADJECTIVES[usize::from(bytes[0]) % ADJECTIVES.len()];
    let animal = ANIMALS[usize::from(bytes[1]) % ANIMALS.len()];
    let number = u16::from_le_bytes([bytes[2], bytes[3]]) % 1_000;
    format!("{adjective}-{animal}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass_and_others_are_refused_with_a_reason() {
        for good in ["f1", "train/loss", "top k: 5", "läuft.gut", "a-b_c"] {
            check_key("metric", good).unwrap();
        }
        let long = "x".repeat(251);
        for bad in ["", " ", "/a", "a/../b", "a//b", "a\nb", "a=b", &long] {
            assert!(check_key("metric", bad).is_err(), "{bad:?}");
        }
        check_model_name("SentimentClassifier").unwrap();
        for good in ["v2 of reviews", "3 stars", "latest news", "Production line", "a.b", "größe"]
        {
            check_model_name(good).unwrap();
        }
        for bad in ["a/b", "a:b", "a@b", "", "a\0b"] {
            assert!(check_model_name(bad).is_err(), "{bad:?}");
            assert!(check_known_model_name(bad).is_err(), "{bad:?}");
        }
        for (bad, reason) in [
            ("A,B", "contains ','"),
            (" A", "white space"),
            ("-A", "reads like an option"),
            ("..", "stands for a folder"),
            ("3", "reads like a version or a stage"),
            ("v3", "reads like a version or a stage"),
            ("Latest", "reads like a version or a stage"),
            ("production", "reads like a version or a stage"),
            ("None", "reads like a version or a stage"),
        ] {
            let error = check_model_name(bad).unwrap_err();
            assert!(error.to_string().contains(reason) && error.hint().is_some(), "{error}");
            check_known_model_name(bad).unwrap();
        }
        for good in ["champion", "3", "Production", "v3x", "v", "größe_2-b", &"x".repeat(255)] {
            check_alias(good).unwrap();
        }
        for bad in ["latest", "Latest", "v3", "V30", "a b", "a.b", "a@b", "", &"x".repeat(256)] {
            assert!(check_alias(bad).is_err(), "{bad:?}");
        }
        check_artifact_path("model/weights.bin").unwrap();
        for bad in ["/etc/passwd", "../x", "a/./b", "a\\b", "", "a/"] {
            assert!(check_artifact_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_are_those_the_message_names() {
        check_param("p", &"é".repeat(6_000)).unwrap();
        let error = check_param("p", &"é".repeat(6_001)).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the value of param \"p\" has 6001 characters, at most 6000 are allowed"
        );
        check_tag("t", &"x".repeat(8_000)).unwrap();
        assert!(check_tag("t", &"x".repeat(8_001)).is_err());
        check_key("metric", &"x".repeat(250)).unwrap();
    }

    #[test]
    fn made_up_names_have_an_adjective_an_animal_and_a_number() {
        let name = made_up_name();
        let parts: Vec<&str> = name.split('-').collect();
        assert!(ADJECTIVES.contains(&parts[0]) && ANIMALS.contains(&parts[1]), "{name}");
        assert!(parts[2].parse::<u16>().unwrap() < 1_000, "{name}");
        assert_eq!(new_run_id().len(), 32);
    }
}
