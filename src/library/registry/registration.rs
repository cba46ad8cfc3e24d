//! The account of a model version by whoever registered it from outside, such as a client of MLflow's.

use serde::{Deserialize, Serialize};

use super::codec::{Malformed, Reader, Writer};

/// The words with which a version was registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// The URI of the folder that the model's files came from.
    pub source: String,
    /// The logged model that it is, `m-` and 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// A page about the run, elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_link: Option<String>,
    /// A description in its users' words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user who registered it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The moment of the last change of its description or stage: milliseconds since the Unix epoch.
    pub updated_ms: i64,
}

impl Registration {
    pub(super) fn write(&self, out: &mut Writer) {
        out.text(&self.source);
        out.option(self.model_id.as_deref(), Writer::text);
        out.option(self.run_link.as_deref(), Writer::text);
        out.text(&self.description);
        out.text(&self.user);
        out.signed(self.updated_ms);
    }

    pub(super) fn read(input: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            source: input.owned()?,
            model_id: input.option(Reader::owned)?,
            run_link: input.option(Reader::owned)?,
            description: input.owned()?,
            user: input.owned()?,
            updated_ms: input.signed()?,
        })
    }
}
