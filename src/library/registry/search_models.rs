//! Searching experiments, registered models, versions and logged models, each by the attributes that
//! MLflow gives it.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    Registry,
    codec::{Decoded, Malformed},
    filter::{Attribute, DatasetField, Filter, Found, Order, SortKey, Subject},
    logged_model::LoggedModel,
    page::{Listing, Page},
    record::{Experiment, Lifecycle, ModelVersion, RegisteredModel},
};
use crate::error::{Error, ErrorKind, Result};

/// A search and the order of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// In MLflow's filter language.
    pub filter: Option<String>,
    /// Such as `name desc`.
    pub order: Vec<String>,
}

const EXPERIMENTS: &[Attribute] = &[
    Attribute::text("name"),
    Attribute::text("experiment_id"),
    Attribute::number("creation_time"),
    Attribute::number("last_update_time"),
];

const MODELS: &[Attribute] = &[
    Attribute::text("name"),
    Attribute::number("creation_timestamp"),
    Attribute::number("last_updated_timestamp").also(&["timestamp"]),
];

const VERSIONS: &[Attribute] = &[
    Attribute::text("name"),
    Attribute::number("version_number").also(&["version"]),
    Attribute::text("run_id"),
    Attribute::text("source_path").also(&["source"]),
    Attribute::number("creation_timestamp"),
    Attribute::number("last_updated_timestamp"),
];

const LOGGED_MODELS: &[Attribute] = &[
    Attribute::text("name"),
    Attribute::text("model_id"),
    Attribute::text("model_type"),
    Attribute::text("status"),
    Attribute::text("source_run_id"),
    Attribute::text("experiment_id"),
    Attribute::number("creation_timestamp").also(&["creation_time", "creation_timestamp_ms"]),
    Attribute::number("last_updated_timestamp")
        .also(&["last_updated_time", "last_updated_timestamp_ms"]),
];

/// The tag by which MLflow's clients ask every listing for what is no prompt. What lacks it is none.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

impl Registry {
    /// Experiments that fit, newest change first unless ordered otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a filter or order that cannot be read, with the place.
    pub fn search_experiments(
        &self,
        query: &Query,
        lifecycle: Lifecycle,
        page: &Page,
    ) -> Result<Listing<Experiment>> {
        let found = select(self.experiments_among(lifecycle)?, query, EXPERIMENTS, |a, b| {
            let number = |e: &Experiment| e.experiment_id.parse::<u64>().unwrap_or_default();
            b.created_ms.cmp(&a.created_ms).then(number(b).cmp(&number(a)))
        })?;
        Ok(page.of(found, |experiment| experiment.experiment_id.clone()))
    }

    /// Registered models that fit, by name unless ordered otherwise.
    ///
    /// # Errors
    /// As [`Registry::search_experiments`].
    pub fn search_models(&self, query: &Query, page: &Page) -> Result<Listing<RegisteredModel>> {
        let found = select(self.models()?, query, MODELS, |a, b| a.name.cmp(&b.name))?;
        Ok(page.of(found, |model| model.name.clone()))
    }

    /// Versions of all models that fit, the latest changed first unless ordered otherwise.
    ///
    /// # Errors
    /// As [`Registry::search_experiments`].
    pub fn search_versions(&self, query: &Query, page: &Page) -> Result<Listing<ModelVersion>> {
        let mut versions = Vec::new();
        for model in self.models()? {
            match self.versions(&model.name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => versions.extend(found?),
            }
        }
        let found = select(versions, query, VERSIONS, |a, b| {
            let newest = b.updated_ms().cmp(&a.updated_ms());
            newest.then(a.model.cmp(&b.model)).then(b.version.cmp(&a.version))
        })?;
        Ok(page.of(found, |version| version.reference().to_string()))
    }

    /// Logged models of experiments that fit, newest first unless ordered otherwise. With `datasets`,
    /// names and digests where given, the metrics of a filter are those measured on one of them.
    ///
    /// # Errors
    /// As [`Registry::search_experiments`].
    pub fn search_logged_models(
        &self,
        query: &Query,
        experiment_ids: &[String],
        datasets: &[(String, Option<String>)],
        page: &Page,
    ) -> Result<Listing<LoggedModel>> {
        let models = self.logged_models()?.into_iter();
        let models = models.filter(|model| experiment_ids.contains(&model.experiment_id));
        let on = models.map(|model| OnDatasets { model, datasets }).collect();
        let found = select(on, query, LOGGED_MODELS, |a, b| {
            let newest = b.model.created_ms.cmp(&a.model.created_ms);
            newest.then(a.model.model_id.cmp(&b.model.model_id))
        })?;
        let found = found.into_iter().map(|on| on.model).collect();
        Ok(page.of(found, |model| model.model_id.clone()))
    }
}

impl ModelVersion {
    /// The moment of the last change of its stage or description, or else of its making: milliseconds since the
    /// Unix epoch.
    pub fn updated_ms(&self) -> i64 {
        let moved_ms = self.history.last().map(|change| change.at_ms);
        let said_ms = self.registration.as_ref().map(|registration| registration.updated_ms);
        [moved_ms, said_ms].into_iter().flatten().fold(self.created_ms, i64::max)
    }
}

/// The items that fit, in the query's order and else in `natural`.
fn select<T: Subject>(
    items: Vec<T>,
    query: &Query,
    attributes: &'static [Attribute],
    natural: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Result<Vec<T>> {
    let filter = query.filter.as_deref().map(|text| Filter::parse(text, attributes));
    let filter = filter.transpose()?.unwrap_or_default();
    let orders = query.order.iter().map(|text| Order::parse(text, attributes));
    let orders = orders.collect::<Result<Vec<_>>>()?;
    let unreadable = |Malformed| Error::new(ErrorKind::Internal, "a record cannot be searched");
    let mut found: Vec<(Vec<SortKey>, T)> = Vec::new();
    for item in items {
        if filter.matches(&item).map_err(unreadable)? {
            let keys = orders.iter().map(|order| order.key(&item));
            found.push((keys.collect::<Result<_, _>>().map_err(unreadable)?, item));
        }
    }
    found.sort_by(|(a_keys, a), (b_keys, b)| {
        let keys = orders.iter().zip(a_keys.iter().zip(b_keys));
        let mut compared = keys.map(|(order, (a, b))| order.compare(a, b));
        compared.find(|ordering| ordering.is_ne()).unwrap_or_else(|| natural(a, b))
    });
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

/// A text of a map, for the many subjects that have only tags.
fn text<'a>(map: &'a BTreeMap<String, String>, key: &str) -> Option<Cow<'a, str>> {
    map.get(key).map(|value| value.as_str().into())
}

/// As [`text`], where a missing prompt tag says that something is no prompt.
fn tag_of<'a>(tags: &'a BTreeMap<String, String>, key: &str) -> Option<Cow<'a, str>> {
    text(tags, key).or_else(|| (key == PROMPT_TAG).then_some("false".into()))
}

impl Subject for Experiment {
    fn tag(&self, key: &str) -> Decoded<Option<Cow<'_, str>>> {
        Ok(text(&self.tags, key))
    }
    fn attribute(&self, name: &str) -> Decoded<Option<Found<'_>>> {
        Ok(match name {
            "name" => Some(self.name.as_str().into()),
            "experiment_id" => Some(self.experiment_id.as_str().into()),
            "creation_time" => Some(Found::Number(self.created_ms as f64)),
            "last_update_time" => Some(Found::Number(self.updated_ms as f64)),
            _ => None,
        })
    }
}

impl Subject for RegisteredModel {
    fn tag(&self, key: &str) -> Decoded<Option<Cow<'_, str>>> {
        Ok(tag_of(&self.tags, key))
    }
    fn attribute(&self, name: &str) -> Decoded<Option<Found<'_>>> {
        Ok(match name {
            "name" => Some(self.name.as_str().into()),
            "creation_timestamp" => Some(Found::Number(self.created_ms as f64)),
            "last_updated_timestamp" => Some(Found::Number(self.updated_ms as f64)),
            _ => None,
        })
    }
}

impl Subject for ModelVersion {
    fn metric(&self, key: &str) -> Decoded<Option<f64>> {
        Ok(self.metrics.get(key).copied())
    }
    fn tag(&self, key: &str) -> Decoded<Option<Cow<'_, str>>> {
        Ok(tag_of(&self.tags, key))
    }
    fn attribute(&self, name: &str) -> Decoded<Option<Found<'_>>> {
        Ok(match name {
            "name" => Some(self.model.as_str().into()),
            "version_number" => Some(Found::Number(self.version.into())),
            "run_id" => Some(self.run_id.as_str().into()),
            "source_path" => {
                self.registration.as_ref().map(|registration| registration.source.as_str().into())
            }
            "creation_timestamp" => Some(Found::Number(self.created_ms as f64)),
            "last_updated_timestamp" => Some(Found::Number(self.updated_ms() as f64)),
            _ => None,
        })
    }
}

/// A logged model, of whose metrics those count that were measured on the datasets, if there are any.
struct OnDatasets<'a> {
    model: LoggedModel,
    datasets: &'a [(String, Option<String>)],
}

impl Subject for OnDatasets<'_> {
    fn metric(&self, key: &str) -> Decoded<Option<f64>> {
        let is_on = |measured: &Option<(String, String)>| {
            let is_one_of = |(name, digest): &(String, String)| {
                self.datasets.iter().any(|(wanted, wanted_digest)| {
                    wanted == name && wanted_digest.as_ref().is_none_or(|wanted| wanted == digest)
                })
            };
            self.datasets.is_empty() || measured.as_ref().is_some_and(is_one_of)
        };
        let metrics = self.model.metrics.iter().filter(|metric| metric.key == key);
        let newest = metrics
            .filter(|metric| is_on(&metric.dataset))
            .max_by_key(|metric| (metric.step, metric.timestamp_ms));
        Ok(newest.map(|metric| metric.value))
    }
    fn param(&self, key: &str) -> Decoded<Option<Cow<'_, str>>> {
        Ok(text(&self.model.params, key))
    }
    fn tag(&self, key: &str) -> Decoded<Option<Cow<'_, str>>> {
        Ok(text(&self.model.tags, key))
    }
    fn attribute(&self, name: &str) -> Decoded<Option<Found<'_>>> {
        let LoggedModel { model_type, source_run_id, .. } = &self.model;
        Ok(match name {
            "name" => Some(self.model.name.as_str().into()),
            "model_id" => Some(self.model.model_id.as_str().into()),
            "model_type" => model_type.as_deref().map(Found::from),
            "status" => Some(self.model.status.short().into()),
            "source_run_id" => source_run_id.as_deref().map(Found::from),
            "experiment_id" => Some(self.model.experiment_id.as_str().into()),
            "creation_timestamp" => Some(Found::Number(self.model.created_ms as f64)),
            "last_updated_timestamp" => Some(Found::Number(self.model.updated_ms as f64)),
            _ => None,
        })
    }
    fn datasets(&self, field: DatasetField) -> Decoded<Vec<String>> {
        let on = self.model.metrics.iter().filter_map(|metric| metric.dataset.clone());
        Ok(match field {
            DatasetField::Name => on.map(|(name, _)| name).collect(),
            DatasetField::Digest => on.map(|(_, digest)| digest).collect(),
            DatasetField::Context => Vec::new(),
        })
    }
}
