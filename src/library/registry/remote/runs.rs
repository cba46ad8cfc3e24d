//! Experiments, runs and metrics of a server.

use serde_json::{Map, Value, json};

use super::{
    RemoteRegistry,
    client::{API, Repeat},
    shapes::{self, RemoteRun, list},
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    registry::{
        json_number, names,
        record::{Experiment, Lifecycle, Metric, NewRun, Run, RunBatch, RunQuery, RunUpdate},
    },
};

/// MLflow's limits of a batch.
const MAX_METRICS: usize = 1_000;
const MAX_PARAMS: usize = 100;
const MAX_TAGS: usize = 100;
/// Runs and experiments that are asked for at once.
const PAGE: usize = 1_000;
/// Points of a metric that are asked for at once: as many as MLflow's client asks for.
const HISTORY_PAGE: usize = 25_000;
/// The least that is read as the beginning of a run's id.
const MIN_PREFIX_CHARS: usize = 4;

impl RemoteRegistry {
    fn post(&self, path: &str, body: &Value, repeat: Repeat) -> Result<Value> {
        self.client.ask("POST", &format!("{API}{path}"), body, repeat)
    }

    pub(super) fn named_or_new_experiment(&self, name: &str) -> Result<Experiment> {
        names::check_experiment_name(name)?;
        if let Some(found) = self.named_experiment(name)? {
            if found.deleted {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("experiment {name:?} is deleted"),
                )
                .with_hint("restore it there, or name another one"));
            }
            return Ok(found);
        }
        match self.post("/experiments/create", &json!({ "name": name }), Repeat::Never) {
            Ok(_) => {}
            // Somebody else made it in between.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        self.named_experiment(name)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("experiment {name:?} was made and is not there"),
            )
        })
    }

    fn named_experiment(&self, name: &str) -> Result<Option<Experiment>> {
        let path = format!("{API}/experiments/get-by-name");
        match self.client.get(&path, &[("experiment_name", name)]) {
            Ok(answer) => Ok(Some(shapes::experiment(&answer["experiment"]))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn experiment_called(&self, id_or_name: &str) -> Result<Experiment> {
        let all = self.experiments()?;
        let by_name = all.iter().find(|found| found.name == id_or_name);
        let found = by_name.or_else(|| all.iter().find(|found| found.experiment_id == id_or_name));
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = all.iter().take(10).map(|found| found.name.as_str()).collect();
            Error::new(ErrorKind::NotFound, format!("experiment {id_or_name:?} does not exist"))
                .with_hint(format!("there are: {}", names.join(", ")))
        })
    }

    fn experiments(&self) -> Result<Vec<Experiment>> {
        let found = self.pages("/experiments/search", "experiments", json!({}), usize::MAX)?;
        Ok(found.iter().map(shapes::experiment).collect())
    }

    /// The items of a search, page by page, until there are `limit`.
    pub(super) fn pages(
        &self,
        path: &str,
        key: &str,
        mut body: Value,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let mut items: Vec<Value> = Vec::new();
        while items.len() < limit {
            body["max_results"] = json!(PAGE.min(limit - items.len()));
            let mut answer = self.post(path, &body, Repeat::Safe)?;
            if let Value::Array(found) = answer[key].take() {
                items.extend(found);
            }
            match answer["next_page_token"].as_str() {
                Some(token) if !token.is_empty() => body["page_token"] = json!(token),
                _ => break,
            }
        }
        Ok(items)
    }

    pub(super) fn begin_run(&self, new: NewRun) -> Result<Run> {
        let NewRun { experiment_id, name, start_ms, tags, params, user } = new;
        tags.iter().try_for_each(|(key, value)| names::check_tag(key, value))?;
        params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
        let user = if user.is_empty() { tags.get("trialbook.user").cloned() } else { Some(user) };
        let pairs: Vec<Value> =
            tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let mut body = json!({
            "experiment_id": experiment_id, "start_time": start_ms, "tags": pairs,
            "user_id": user.unwrap_or_default(),
        });
        if let Some(name) = name {
            names::check_name("run", &name)?;
            body["run_name"] = json!(name);
        }
        let answer = self.post("/runs/create", &body, Repeat::Never)?;
        let mut run = shapes::run(&answer["run"])?.run;
        let batch = RunBatch { params: params.into_iter().collect(), ..RunBatch::default() };
        self.log_parts(&run.run_id, &batch)?;
        run.params = batch.params.into_iter().collect();
        Ok(run)
    }

    pub(super) fn log_parts(&self, run_id: &str, batch: &RunBatch) -> Result<()> {
        let RunBatch { metrics, params, tags } = batch;
        // MLflow cuts long values without a word.
        metrics.iter().try_for_each(|metric| names::check_key("metric", &metric.key))?;
        params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
        tags.iter().try_for_each(|(key, value)| names::check_tag(key, value))?;
        let pair = |(key, value): &(String, String)| json!({"key": key, "value": value});
        for part in params.chunks(MAX_PARAMS) {
            self.log_batch(run_id, "params", part.iter().map(pair).collect(), Repeat::Safe)?;
        }
        for part in tags.chunks(MAX_TAGS) {
            self.log_batch(run_id, "tags", part.iter().map(pair).collect(), Repeat::Safe)?;
        }
        for part in metrics.chunks(MAX_METRICS) {
            let point = |metric: &Metric| {
                let Metric { key, value, step, timestamp_ms } = metric;
                json!({"key": key, "value": json_number(*value), "step": step, "timestamp": timestamp_ms})
            };
            // The same point twice is one point in MLflow's history, and two in ours.
            self.log_batch(run_id, "metrics", part.iter().map(point).collect(), Repeat::Never)?;
        }
        Ok(())
    }

    fn log_batch(&self, run_id: &str, key: &str, items: Vec<Value>, repeat: Repeat) -> Result<()> {
        let mut body = Map::new();
        body.insert("run_id".to_owned(), json!(run_id));
        body.insert(key.to_owned(), Value::Array(items));
        self.post("/runs/log-batch", &Value::Object(body), repeat).map(drop)
    }

    pub(super) fn change_run(&self, run_id: &str, update: RunUpdate) -> Result<()> {
        let RunUpdate { name, status, end_ms } = update;
        let mut body = json!({ "run_id": run_id });
        if let Some(name) = name {
            body["run_name"] = json!(name);
        }
        if let Some(status) = status {
            body["status"] = json!(status.as_str());
        }
        if let Some(end_ms) = end_ms {
            body["end_time"] = json!(end_ms);
        }
        self.post("/runs/update", &body, Repeat::Safe).map(drop)
    }

    pub(super) fn remove_run_tag(&self, run_id: &str, key: &str) -> Result<()> {
        let body = json!({"run_id": run_id, "key": key});
        match self.post("/runs/delete-tag", &body, Repeat::Never) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    pub(super) fn run_called(&self, reference: &str) -> Result<RemoteRun> {
        let unknown = || {
            Error::new(ErrorKind::NotFound, format!("run {reference:?} does not exist"))
                .with_hint(Hint::new().run("runs list").say(" shows runs"))
        };
        let is_id = reference.len() == 32 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            let path = format!("{API}/runs/get");
            return match self.client.get(&path, &[("run_id", reference)]) {
                Ok(answer) => shapes::run(&answer["run"]),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown()),
                Err(error) => Err(error),
            };
        }
        let quoted = if reference.contains('\'') {
            format!("\"{reference}\"")
        } else {
            format!("'{reference}'")
        };
        let mut found = self.found(&format!("attributes.run_name = {quoted}"))?;
        let is_prefix = reference.chars().count() >= MIN_PREFIX_CHARS
            && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        if found.is_empty() && is_prefix {
            found =
                self.found(&format!("attributes.run_id LIKE '{}%'", reference.to_lowercase()))?;
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(unknown()),
            n => Err(Error::new(ErrorKind::Conflict, format!("{n} runs are called {reference:?}"))
                .with_hint("name it by its id")),
        }
    }

    /// Runs that fit a filter of ours, as many as are needed to say that there are several.
    fn found(&self, filter: &str) -> Result<Vec<RemoteRun>> {
        let query =
            RunQuery { filter: Some(filter.to_owned()), limit: Some(10), ..RunQuery::default() };
        self.search(&query)
    }

    fn search(&self, query: &RunQuery) -> Result<Vec<RemoteRun>> {
        // MLflow finds nothing where no experiment is named.
        let experiment_ids = match query.experiment_ids.is_empty() {
            true => self.experiments()?.into_iter().map(|found| found.experiment_id).collect(),
            false => query.experiment_ids.clone(),
        };
        let view = match query.lifecycle {
            Lifecycle::Live => "ACTIVE_ONLY",
            Lifecycle::Deleted => "DELETED_ONLY",
            Lifecycle::Any => "ALL",
        };
        let body = json!({
            "experiment_ids": experiment_ids,
            "filter": query.filter.as_deref().unwrap_or_default(),
            "order_by": query.order,
            "run_view_type": view,
        });
        let limit = query.limit.unwrap_or(usize::MAX);
        let found = self.pages("/runs/search", "runs", body, limit)?;
        found.iter().map(shapes::run).collect()
    }

    pub(super) fn runs_of(&self, query: &RunQuery) -> Result<Vec<Run>> {
        Ok(self.search(query)?.into_iter().map(|found| found.run).collect())
    }

    pub(super) fn history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let path = format!("{API}/metrics/get-history");
        let page = HISTORY_PAGE.to_string();
        let (mut points, mut token) = (Vec::new(), String::new());
        loop {
            let mut query =
                vec![("run_id", run_id), ("metric_key", key), ("max_results", page.as_str())];
            if !token.is_empty() {
                query.push(("page_token", token.as_str()));
            }
            let answer = self.client.get(&path, &query)?;
            points.extend(list(&answer["metrics"]).map(shapes::metric));
            match answer["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => break,
            }
        }
        points.sort_by_key(|point| (point.step, point.timestamp_ms));
        Ok(points)
    }

    pub(super) fn set_run_deleted(&self, reference: &str, deleted: bool) -> Result<()> {
        let found = self.run_called(reference)?.run;
        if found.deleted == deleted {
            let state = if deleted { "deleted already" } else { "not deleted" };
            return Err(Error::new(ErrorKind::Conflict, format!("run {reference:?} is {state}")));
        }
        let path = if deleted { "/runs/delete" } else { "/runs/restore" };
        self.post(path, &json!({ "run_id": found.run_id }), Repeat::Safe).map(drop)
    }
}
