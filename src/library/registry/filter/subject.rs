//! The subject of a search: something with metrics, params, tags, datasets and attributes; and a run as one,
//! read in place.

use std::borrow::Cow;

use crate::figure::hex;

use super::super::{
    codec::Malformed,
    flow::{CONTEXT_TAG, RunDataset},
    run_view::RunView,
};

/// Something that a filter is asked of.
pub(in super::super) trait Subject {
    /// A metric's value; only what is measured has some.
    fn metric(&self, _key: &str) -> Result<Option<f64>, Malformed> {
        Ok(None)
    }

    /// A param's value; only what is computed has some.
    fn param(&self, _key: &str) -> Result<Option<Cow<'_, str>>, Malformed> {
        Ok(None)
    }

    fn tag(&self, key: &str) -> Result<Option<Cow<'_, str>>, Malformed>;
    /// The value of one of its vocabulary's attributes.
    fn attribute(&self, name: &str) -> Result<Option<Found<'_>>, Malformed>;

    /// A field of each dataset that it has.
    fn datasets(&self, _field: DatasetField) -> Result<Vec<String>, Malformed> {
        Ok(Vec::new())
    }
}

/// The value of an entity.
pub(in super::super) enum Found<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a str> for Found<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

/// A dataset's fields, as filters call them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum DatasetField {
    Name,
    Digest,
    Context,
}

impl DatasetField {
    pub(super) const ALL: [Self; 3] = [Self::Name, Self::Digest, Self::Context];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Digest => "digest",
            Self::Context => "context",
        }
    }

    fn of(self, dataset: RunDataset) -> Option<String> {
        match self {
            Self::Name => Some(dataset.name),
            Self::Digest => Some(dataset.digest),
            Self::Context => { dataset.tags }.remove(CONTEXT_TAG),
        }
    }
}

/// One attribute of a vocabulary.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Attribute {
    pub(in super::super) name: &'static str,
    pub(in super::super) is_number: bool,
    /// Other names that MLflow knows it under, in lower case.
    pub(in super::super) also: &'static [&'static str],
}

impl Attribute {
    pub(in super::super) const fn text(name: &'static str) -> Self {
        Self { name, is_number: false, also: &[] }
    }

    pub(in super::super) const fn number(name: &'static str) -> Self {
        Self { name, is_number: true, also: &[] }
    }

    pub(in super::super) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }
}

/// The attributes of runs.
pub(in super::super) const RUNS: &[Attribute] = &[
    Attribute::text("run_id"),
    Attribute::text("run_name").also(&["run name", "runname"]),
    Attribute::text("status"),
    Attribute::text("experiment_id"),
    Attribute::text("user_id"),
    Attribute::text("artifact_uri"),
    Attribute::number("start_time").also(&["created"]),
    Attribute::number("end_time"),
];

/// A run's row with the id that is its key.
pub(in super::super) struct RunSubject<'a> {
    /// Spells the run's id in hexadecimal digits.
    pub(in super::super) key: &'a [u8],
    pub(in super::super) view: &'a RunView<'a>,
    /// The URI of the run's artifacts, by its experiment and its id.
    pub(in super::super) artifact_uri: &'a dyn Fn(u64, &str) -> String,
}

impl Subject for RunSubject<'_> {
    fn metric(&self, key: &str) -> Result<Option<f64>, Malformed> {
        self.view.metric(key)
    }

    fn param(&self, key: &str) -> Result<Option<Cow<'_, str>>, Malformed> {
        Ok(self.view.param(key)?.map(Cow::from))
    }

    fn tag(&self, key: &str) -> Result<Option<Cow<'_, str>>, Malformed> {
        Ok(self.view.tag(key)?.map(Cow::from))
    }

    fn attribute(&self, name: &str) -> Result<Option<Found<'_>>, Malformed> {
        let head = &self.view.head;
        let text = |text: String| Some(Found::Text(text.into()));
        // Milliseconds since 1970 are exact in a double until the year 287396.
        Ok(match name {
            "run_id" => text(hex(self.key)),
            "run_name" => Some(head.name.into()),
            "status" => Some(head.status.as_str().into()),
            "experiment_id" => text(head.experiment.to_string()),
            "user_id" => Some(self.view.user()?.into()),
            "artifact_uri" => text((self.artifact_uri)(head.experiment, &hex(self.key))),
            "start_time" => Some(Found::Number(head.start_ms as f64)),
            "end_time" => head.end_ms.map(|end_ms| Found::Number(end_ms as f64)),
            _ => None,
        })
    }

    fn datasets(&self, field: DatasetField) -> Result<Vec<String>, Malformed> {
        let flow = self.view.flow()?;
        Ok(flow.datasets.into_iter().filter_map(|dataset| field.of(dataset)).collect())
    }
}
