//! Names, keys and values: what is allowed, MLflow's limits, and names made up for runs without one.

use uuid::Uuid;

use crate::error::{Error, Result};

/// MLflow's limits, in characters.
const MAX_KEY_CHARS: usize = 250;
const MAX_PARAM_CHARS: usize = 6_000;
const MAX_TAG_CHARS: usize = 8_000;
const MAX_NAME_CHARS: usize = 250;

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

/// Checks the name of a run or an experiment.
pub(super) fn check_name(kind: &str, name: &str) -> Result<()> {
    check_length(&format!("{kind} name"), name, MAX_NAME_CHARS)?;
    check_no_control(&format!("{kind} name"), name)
}

/// Checks the name of a registered model: it stands in `models:/NAME/STAGE` and `NAME@alias`.
///
/// # Errors
/// An empty or too long name, and one with `/`, `:`, `@` or control characters.
pub fn check_model_name(name: &str) -> Result<()> {
    check_name("model", name)?;
    if let Some(wrong) = name.chars().find(|c| matches!(c, '/' | ':' | '@')) {
        return Err(Error::invalid(format!("model name {name:?} contains {wrong:?}"))
            .with_hint("leave out / : and @, which separate the parts of a model reference"));
    }
    Ok(())
}

/// Checks an alias of a model version.
pub(super) fn check_alias(alias: &str) -> Result<()> {
    check_length("alias", alias, MAX_NAME_CHARS)?;
    let well_formed = alias.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !well_formed {
        return Err(Error::invalid(format!("alias {alias:?} is not a plain word"))
            .with_hint("use letters, digits, _ - and ."));
    }
    let is_version = alias
        .strip_prefix(['v', 'V'])
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    let is_number = alias.bytes().all(|b| b.is_ascii_digit());
    let is_stage = alias.parse::<super::Stage>().is_ok();
    if is_version || is_number || is_stage || alias.eq_ignore_ascii_case("latest") {
        return Err(Error::invalid(format!("alias {alias:?} reads like a version or a stage"))
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
        for bad in ["a/b", "a:b", "a@b", "", "a\0b"] {
            assert!(check_model_name(bad).is_err(), "{bad:?}");
        }
        check_alias("champion").unwrap();
        for bad in ["latest", "v3", "a b", ""] {
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
