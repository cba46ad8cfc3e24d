//! Metric histories: every value that was logged, in the batches it came in.

use super::{
    Registry, codec,
    fault::Fault,
    record::Metric,
    runs,
    stored::{MetricBatch, StoredRun},
    tables::{METRICS, RUNS, run_key},
    transaction::Rows,
};
use crate::error::Result;

impl Registry {
    /// Every value of metric `key`, ordered by step, then timestamp, then as logged. Empty if the
    /// run has no such metric.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the run does not exist.
    pub fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let mut history = self.histories(run_id)?;
        history.retain(|metric| metric.key == key);
        Ok(history)
    }

    /// Every value of every metric of a run, ordered as by [`Registry::metric_history`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the run does not exist.
    pub fn histories(&self, run_id: &str) -> Result<Vec<Metric>> {
        let run = run_key(run_id)?;
        let mut history: Vec<Metric> = self.database.read(|txn| {
            let stored = txn.get::<StoredRun>(RUNS, &run)?;
            let n_batches = stored.ok_or_else(|| runs::unknown(run_id))?.n_batches;
            let batches = txn.all::<MetricBatch>(METRICS, &run)?;
            if batches.len() as u64 != n_batches {
                return Err(Fault::Ours(codec::damaged("metric history of run", &run)));
            }
            Ok(batches.into_iter().flat_map(|(_, MetricBatch(metrics))| metrics).collect())
        })?;
        history.sort_by_key(|metric| (metric.step, metric.timestamp_ms));
        Ok(history)
    }
}
