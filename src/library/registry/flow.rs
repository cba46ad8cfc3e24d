//! The inputs and outputs of a run: datasets, models that it read, models that it made.
//! A dataset's long texts lie in a row of their own, once for an experiment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{Decoded, Reader, Record, Writer};

/// The tag that says what a run read a dataset for, by MLflow's own name.
pub(super) const CONTEXT_TAG: &str = "mlflow.data.context";

/// The datasets and models that a run read, and the models that it made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFlow {
    /// Datasets that it read, in the order they were told.
    pub datasets: Vec<RunDataset>,
    /// Ids of logged models that it read.
    pub model_inputs: Vec<String>,
    /// Ids of logged models that it made, each with its step.
    pub model_outputs: Vec<(String, i64)>,
}

/// A dataset as a run read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDataset {
    /// Its name.
    pub name: String,
    /// The digest by which its content is known.
    pub digest: String,
    /// The use that the run made of it, such as `mlflow.data.context` = `training`.
    pub tags: BTreeMap<String, String>,
}

/// The record of a dataset for every run of an experiment that read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: String,
    /// The digest by which its content is known.
    pub digest: String,
    /// The kind of place it came from, such as `http`.
    pub source_type: String,
    /// The place, in JSON.
    pub source: String,
    /// Its columns, in JSON.
    pub schema: Option<String>,
    /// Counts of it, in JSON.
    pub profile: Option<String>,
}

impl RunFlow {
    /// True if nothing was told.
    pub fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.model_inputs.is_empty() && self.model_outputs.is_empty()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.list(self.datasets.iter(), |out, dataset| {
            out.text(&dataset.name);
            out.text(&dataset.digest);
            out.section(&dataset.tags, |out, value| out.text(value));
        });
        out.list(self.model_inputs.iter(), |out, model_id| out.text(model_id));
        out.list(self.model_outputs.iter(), |out, (model_id, step)| {
            out.text(model_id);
            out.signed(*step);
        });
    }

    pub(super) fn read(input: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            datasets: input.list(|input| {
                Ok(RunDataset {
                    name: input.owned()?,
                    digest: input.owned()?,
                    tags: input.section(Reader::text)?.to_map(str::to_owned)?,
                })
            })?,
            model_inputs: input.list(Reader::owned)?,
            model_outputs: input.list(|input| Ok((input.owned()?, input.signed()?)))?,
        })
    }
}

impl Record for DatasetRecord {
    const KIND: &'static str = "dataset of an experiment";
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.text(&self.name);
        out.text(&self.digest);
        out.text(&self.source_type);
        out.text(&self.source);
        out.option(self.schema.as_deref(), Writer::text);
        out.option(self.profile.as_deref(), Writer::text);
    }

    fn read(_version: u8, input: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            name: input.owned()?,
            digest: input.owned()?,
            source_type: input.owned()?,
            source: input.owned()?,
            schema: input.option(Reader::owned)?,
            profile: input.option(Reader::owned)?,
        })
    }
}
