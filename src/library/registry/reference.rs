//! A reference to a version of a registered model, as people and MLflow write it. Parsing reads no
//! store; [`Registry::resolve`](super::Registry::resolve) finds the version.

use std::{fmt, str::FromStr};

use super::{
    names::check_known_model_name,
    record::{ModelVersion, Stage},
};
use crate::error::{Error, Result};

/// The scheme of MLflow's model URIs.
const SCHEME: &str = "models:/";
/// The word for the newest version, as in MLflow.
const LATEST: &str = "latest";

/// A registered model and one of its versions: `NAME`, `NAME/3`, `NAME/Production`, `NAME/latest` or
/// `NAME@alias`, each also with MLflow's `models:/` in front.
///
/// ```
/// # use trialbook_library as trialbook;
/// # fn main() -> trialbook::Result<()> {
/// use trialbook::registry::{ModelReference, VersionSelector};
/// let reference: ModelReference = "models:/Reviews@champion".parse()?;
/// assert_eq!(reference.model, "Reviews");
/// assert_eq!(reference.version, VersionSelector::Alias("champion".to_owned()));
/// assert_eq!(reference.to_string(), "Reviews@champion");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelReference {
    /// The registered model's name.
    pub model: String,
    /// The version of it.
    pub version: VersionSelector,
}

/// A choice of one version among a model's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionSelector {
    /// The choice of a `NAME` alone: the Production version, or the newest one while there is none.
    Default,
    /// The version with this number.
    Number(u32),
    /// The newest version in this stage.
    Stage(Stage),
    /// The newest version.
    Latest,
    /// The version with this alias.
    Alias(String),
}

impl ModelReference {
    /// The reference that `NAME` alone is.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), version: VersionSelector::Default }
    }

    /// `NAME/3`.
    pub fn numbered(model: impl Into<String>, version: u32) -> Self {
        Self { model: model.into(), version: VersionSelector::Number(version) }
    }

    /// True for a `NAME` alone.
    pub fn is_bare(&self) -> bool {
        self.version == VersionSelector::Default
    }
}

impl ModelVersion {
    /// `NAME/3`, which [`Registry::resolve`](super::Registry::resolve) finds.
    pub fn reference(&self) -> ModelReference {
        ModelReference::numbered(&self.model, self.version)
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, version } = self;
        match version {
            VersionSelector::Default => f.pad(model),
            VersionSelector::Alias(_) => f.pad(&format!("{model}{version}")),
            _ => f.pad(&format!("{model}/{version}")),
        }
    }
}

/// `3`, `Production`, `latest` or `@champion`; nothing for the choice of a name alone.
impl fmt::Display for VersionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Stage(stage) => write!(f, "{stage}"),
            Self::Latest => f.write_str(LATEST),
            Self::Alias(alias) => write!(f, "@{alias}"),
        }
    }
}

impl FromStr for ModelReference {
    type Err = Error;

    /// # Errors
    /// A text of another form, with the place where it departs from it.
    fn from_str(text: &str) -> Result<Self> {
        let plain = text.strip_prefix(SCHEME).unwrap_or(text);
        let start = text.len() - plain.len();
        let fault = |what: String, at: usize| {
            let n_before = text[..at].chars().count();
            Error::invalid(format!(
                "model reference {text:?}: {what} at character {}",
                n_before + 1
            ))
            .with_hint("write NAME, NAME/3, NAME/Production, NAME/latest or NAME@alias")
        };
        let is_separator = |c: char| matches!(c, '/' | '@' | ':');
        let Some((name_end, separator)) = plain.char_indices().find(|(_, c)| is_separator(*c))
        else {
            check_known_model_name(plain)?;
            return Ok(Self::new(plain));
        };
        let (name, rest) = (&plain[..name_end], &plain[name_end + 1..]);
        let rest_start = start + name_end + 1;
        if name.is_empty() {
            return Err(fault(format!("no name before {separator:?}"), start));
        }
        if separator == ':' {
            return Err(fault("unexpected ':'".to_owned(), start + name_end));
        }
        check_known_model_name(name)?;
        if let Some((idx, extra)) = rest.char_indices().find(|(_, c)| is_separator(*c)) {
            return Err(fault(format!("unexpected {extra:?}"), rest_start + idx));
        }
        if rest.is_empty() {
            let expected = if separator == '@' { "alias" } else { "version" };
            return Err(fault(format!("no {expected} after {separator:?}"), rest_start));
        }
        let version = match separator {
            '@' => VersionSelector::Alias(rest.to_owned()),
            _ => rest.parse().map_err(|wrong: Error| {
                let error = fault(wrong.to_string(), rest_start);
                match number_in(rest) {
                    Some(number) => error.with_hint(format!("write {name}/{number}")),
                    None => error,
                }
            })?,
        };
        Ok(Self { model: name.to_owned(), version })
    }
}

impl FromStr for VersionSelector {
    type Err = Error;

    /// The word behind `NAME/`: a number, a stage in any case, or `latest`.
    ///
    /// # Errors
    /// Any other word.
    fn from_str(word: &str) -> Result<Self> {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            let too_large = |_| Error::invalid(format!("{word:?} is too large for a version"));
            return word.parse().map(Self::Number).map_err(too_large);
        }
        if word.eq_ignore_ascii_case(LATEST) {
            return Ok(Self::Latest);
        }
        word.parse().map(Self::Stage).map_err(|_| {
            let example = number_in(word).unwrap_or(2);
            Error::invalid(format!("{word:?} is no version")).with_hint(format!(
                "write {example}, or a stage: Staging, Production, Archived, latest"
            ))
        })
    }
}

/// The number in `v3`.
fn number_in(word: &str) -> Option<u32> {
    word.strip_prefix(['v', 'V'])?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_with_and_without_the_scheme_and_written_back() {
        for (text, version, written) in [
            ("A", VersionSelector::Default, "A"),
            ("A/3", VersionSelector::Number(3), "A/3"),
            ("A/007", VersionSelector::Number(7), "A/7"),
            ("A/production", VersionSelector::Stage(Stage::Production), "A/Production"),
            ("A/Staging", VersionSelector::Stage(Stage::Staging), "A/Staging"),
            ("A/none", VersionSelector::Stage(Stage::None), "A/None"),
            ("A/LATEST", VersionSelector::Latest, "A/latest"),
            ("A@champion", VersionSelector::Alias("champion".to_owned()), "A@champion"),
            ("A@Production", VersionSelector::Alias("Production".to_owned()), "A@Production"),
            // Aliases with points could be set once.
            ("A@v1.2", VersionSelector::Alias("v1.2".to_owned()), "A@v1.2"),
        ] {
            let expected = ModelReference { model: "A".to_owned(), version };
            for text in [text.to_owned(), format!("models:/{text}")] {
                assert_eq!(text.parse::<ModelReference>().unwrap(), expected, "{text}");
            }
            assert_eq!(expected.to_string(), written);
            assert_eq!(written.parse::<ModelReference>().unwrap(), expected);
        }
        // Names with commas were allowed once; a number may be a name.
        for name in ["A,B", "2", "größe 3", "latest"] {
            assert_eq!(name.parse::<ModelReference>().unwrap(), ModelReference::new(name));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_place() {
        for (text, expected) in [
            ("", "model name is empty"),
            ("models:/", "model name is empty"),
            ("/3", "model reference \"/3\": no name before '/' at character 1"),
            ("models:/@a", "model reference \"models:/@a\": no name before '@' at character 9"),
            ("A/", "model reference \"A/\": no version after '/' at character 3"),
            ("A@", "model reference \"A@\": no alias after '@' at character 3"),
            ("é/x", "model reference \"é/x\": \"x\" is no version at character 3"),
            ("A/3/4", "model reference \"A/3/4\": unexpected '/' at character 4"),
            ("A/3@b", "model reference \"A/3@b\": unexpected '@' at character 4"),
            ("A@b/3", "model reference \"A@b/3\": unexpected '/' at character 4"),
            ("runs:/1/model", "model reference \"runs:/1/model\": unexpected ':' at character 5"),
            ("A/+3", "model reference \"A/+3\": \"+3\" is no version at character 3"),
            (
                "A/4294967296",
                "model reference \"A/4294967296\": \"4294967296\" is too large for a version at \
                 character 3",
            ),
        ] {
            let error = text.parse::<ModelReference>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        let hint = |text: &str| {
            text.parse::<ModelReference>().unwrap_err().hint().map(ToString::to_string)
        };
        assert_eq!(hint("A/v3").as_deref(), Some("write A/3"));
        assert!(hint("A/x").unwrap().starts_with("write NAME, NAME/3"));
    }
}
