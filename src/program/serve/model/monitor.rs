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

use super::{recent::RecentRequests, served::ServedModel, words::WordWatch};

/// Predictions whose confidences are remembered.
const N_LATEST: usize = 10_000;

/// The memory of one model's predictions.
pub(crate) struct ModelMonitor {
    log: Option<Arc<PredictionLog>>,
    latest: Mutex<Latest>,
    recent: RecentRequests,
    words: WordWatch,
}

#[derive(Default)]
struct Latest {
    n_predictions: u64,
    labels: BTreeMap<String, u64>,
    confidences: VecDeque<f64>,
}

impl ModelMonitor {
    pub(crate) fn new(log: Option<Arc<PredictionLog>>) -> Self {
        let (latest, recent, words) = Default::default();
        Self { log, latest, recent, words }
    }

    /// One request's predictions were made by `served`, which had this part in a release; each text comes
    /// with its place in the request. A shadow's are logged alone, since nobody got them.
    pub(crate) fn predicted(
        &self,
        (served, arm): (&ServedModel, Arm),
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
        let (timestamp_ms, info) = (now_ms(), &served.info);
        let read = texts.iter().map(|(_, text)| *text);
        let counted = self.words.count(log, served, arm, read, predictions, timestamp_ms);
        let texts = texts.iter().zip(counted);
        let records = texts.zip(predictions).map(|((&(index, text), counts), prediction)| {
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
                n_words: counts.n_words,
                n_unknown_words: counts.n_unknown_words,
                embedding: counts.embedding,
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

    /// Hands what is counted over several requests to the log.
    pub(crate) fn flush(&self) {
        if let Some(log) = &self.log {
            self.words.flush(log);
        }
    }

    /// The same, of what no further request may hand over.
    pub(crate) fn flush_due(&self) {
        if let Some(log) = &self.log {
            self.words.flush_due(log, now_ms());
        }
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
