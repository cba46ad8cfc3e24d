//! A server's memory of a model's predictions: the log in the store, which all of its models
//! share, and the latest for `/health`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use trialbook::{
    book::now_ms,
    model::prediction::Prediction,
    monitor::{Arm, PredictionLog, PredictionRecord, Summary},
};

use super::{recent::RecentRequests, served::ModelInfo};

/// Predictions whose confidences are remembered.
const N_LATEST: usize = 10_000;

/// The memory of one model's predictions.
pub(crate) struct ModelMonitor {
    log: Option<Arc<PredictionLog>>,
    latest: Mutex<Latest>,
    recent: RecentRequests,
}

#[derive(Default)]
struct Latest {
    n_predictions: u64,
    labels: BTreeMap<String, u64>,
    confidences: VecDeque<f64>,
}

impl ModelMonitor {
    pub(crate) fn new(log: Option<Arc<PredictionLog>>) -> Self {
        Self { log, latest: Mutex::default(), recent: RecentRequests::default() }
    }

    /// One request's predictions were made by `info`, which had this part in a release; each text comes
    /// with its place in the request. A shadow's are logged alone, since nobody got them.
    pub(crate) fn predicted(
        &self,
        (info, arm): (&ModelInfo, Arm),
        request_id: &str,
        texts: &[(u32, &str)],
        predictions: &[Prediction],
        duration: Duration,
    ) {
        if arm != Arm::Shadow {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.n_predictions += predictions.len() as u64;
            for prediction in predictions {
                match latest.labels.get_mut(&prediction.label) {
                    Some(n) => *n += 1,
                    None => {
                        latest.labels.insert(prediction.label.clone(), 1);
                    }
                }
                if latest.confidences.len() == N_LATEST {
                    latest.confidences.pop_front();
                }
                latest.confidences.push_back(prediction.confidence);
            }
        }
        let Some(log) = &self.log else { return };
        if let Some(last) = texts.iter().map(|(index, _)| *index).max() {
            self.recent.push(request_id, last);
        }
        let timestamp_ms = now_ms();
        let records = texts.iter().zip(predictions).map(|(&(index, text), prediction)| {
            let (kept, text_sha256) = log.kept(text);
            let probabilities = match prediction.probability {
                Some(_) => Vec::new(),
                None => prediction.scores.iter().map(|(_, probability)| *probability).collect(),
            };
            PredictionRecord {
                timestamp_ms,
                request_id: request_id.to_owned(),
                index,
                arm,
                model: info.name.clone(),
                version: info.version,
                label: prediction.label.clone(),
                confidence: prediction.confidence,
                probability: prediction.probability,
                probabilities,
                latency_ms: duration.as_secs_f64() * 1e3,
                n_chars: text.chars().count() as u64,
                text: kept,
                text_sha256,
            }
        });
        log.push(records);
    }

    /// True if the text at `index` of a request is known to be logged as predicted.
    pub(crate) fn knows(&self, request_id: &str, index: u32) -> bool {
        self.recent.has(request_id, index)
    }

    /// For `/health`.
    pub(crate) fn report(&self) -> Value {
        let (n_predictions, labels, confidences) = {
            let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            let confidences: Vec<f64> = latest.confidences.iter().copied().collect();
            (latest.n_predictions, latest.labels.clone(), confidences)
        };
        json!({
            "n_predictions": n_predictions,
            "labels": labels,
            "confidence": (!confidences.is_empty()).then(|| Summary::of(confidences)),
            "n_not_logged": self.log.as_ref().map_or(0, |log| log.n_lost()),
        })
    }
}
