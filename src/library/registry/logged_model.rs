//! A logged model as it is kept: a model that a run made, before or without being registered. Its files
//! are artifacts under its own id.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    codec::{Malformed, Reader, Record, Writer},
    record::one_of,
};
use crate::error::Error;

/// The beginning of the ids of logged models.
pub(super) const ID_PREFIX: &str = "m-";

/// The status of a logged model, with MLflow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelStatus {
    /// Nothing was said.
    Unspecified,
    /// Its files are being uploaded.
    Pending,
    /// It is complete.
    Ready,
    /// Its files could not be uploaded.
    UploadFailed,
}

impl ModelStatus {
    /// Every status; its place is its code in the database and MLflow's number.
    pub const ALL: [Self; 4] = [Self::Unspecified, Self::Pending, Self::Ready, Self::UploadFailed];

    /// As MLflow writes it, such as `LOGGED_MODEL_READY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "LOGGED_MODEL_STATUS_UNSPECIFIED",
            Self::Pending => "LOGGED_MODEL_PENDING",
            Self::Ready => "LOGGED_MODEL_READY",
            Self::UploadFailed => "LOGGED_MODEL_UPLOAD_FAILED",
        }
    }

    /// As filters write it, such as `READY`.
    pub fn short(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::UploadFailed => "FAILED",
        }
    }
}

impl fmt::Display for ModelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ModelStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        one_of("status of a logged model", text, Self::ALL, Self::as_str)
    }
}

/// A metric that was measured of a logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedMetric {
    /// Such as `f1`.
    pub key: String,
    /// May be NaN or infinite.
    pub value: f64,
    /// Epoch or iteration.
    pub step: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The run that measured it.
    pub run_id: String,
    /// Name and digest of the dataset that it was measured on.
    pub dataset: Option<(String, String)>,
}

/// A logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub model_id: String,
    /// The experiment it belongs to.
    pub experiment_id: String,
    /// For people; need not be unique.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: i64,
    /// Its status.
    pub status: ModelStatus,
    /// Such as `Classifier`.
    pub model_type: Option<String>,
    /// The run that made it.
    pub source_run_id: Option<String>,
    /// Deleted ones are kept until `store gc`.
    pub deleted: bool,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// Hyperparameters, written once.
    pub params: BTreeMap<String, String>,
    /// Of each metric, run and dataset the newest value.
    pub metrics: Vec<LoggedMetric>,
}

/// A logged model without its id, which is the key.
pub(super) struct StoredLoggedModel(pub(super) LoggedModel);

impl Record for StoredLoggedModel {
    const KIND: &'static str = "logged model";
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        let Self(model) = self;
        out.text(&model.model_id);
        out.text(&model.experiment_id);
        out.text(&model.name);
        out.signed(model.created_ms);
        out.signed(model.updated_ms);
        out.byte(model.status as u8);
        out.option(model.model_type.as_deref(), Writer::text);
        out.option(model.source_run_id.as_deref(), Writer::text);
        out.byte(u8::from(model.deleted));
        out.section(&model.tags, |out, value| out.text(value));
        out.section(&model.params, |out, value| out.text(value));
        out.list(model.metrics.iter(), |out, metric| {
            out.text(&metric.key);
            out.float(metric.value);
            out.signed(metric.step);
            out.signed(metric.timestamp_ms);
            out.text(&metric.run_id);
            out.option(metric.dataset.as_ref(), |out, (name, digest)| {
                out.text(name);
                out.text(digest);
            });
        });
    }

    fn read(_version: u8, input: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self(LoggedModel {
            model_id: input.owned()?,
            experiment_id: input.owned()?,
            name: input.owned()?,
            created_ms: input.signed()?,
            updated_ms: input.signed()?,
            status: *ModelStatus::ALL.get(usize::from(input.byte()?)).ok_or(Malformed)?,
            model_type: input.option(Reader::owned)?,
            source_run_id: input.option(Reader::owned)?,
            deleted: input.byte()? != 0,
            tags: input.section(Reader::text)?.to_map(str::to_owned)?,
            params: input.section(Reader::text)?.to_map(str::to_owned)?,
            metrics: input.list(|input| {
                Ok(LoggedMetric {
                    key: input.owned()?,
                    value: input.float()?,
                    step: input.signed()?,
                    timestamp_ms: input.signed()?,
                    run_id: input.owned()?,
                    dataset: input.option(|input| Ok((input.owned()?, input.owned()?)))?,
                })
            })?,
        }))
    }
}
