//! Searching runs: one pass over the runs' rows, read in place; only what is returned is built.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{
    Registry, codec,
    experiments::experiment_number,
    filter::{Filter, Order, SortKey},
    record::{Run, RunQuery},
    run_view::RunView,
    stored::StoredRun,
    tables::{RUNS, run_key},
    transaction::Rows,
};
use crate::{error::Result, figure::hex};

/// Below this, another thread costs more than it saves.
const MIN_RUNS_PER_TASK: usize = 512;

/// A run that was found: where its row lies in the copy of all found rows.
struct Hit {
    run_id: String,
    row: std::ops::Range<usize>,
    start_ms: i64,
    keys: Vec<SortKey>,
}

impl Registry {
    /// The runs that fit `query`, in its order, newest first where that leaves a choice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a filter or order that cannot be read,
    /// with the place and what was expected there.
    pub fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        let filter = query.filter.as_deref().map(Filter::parse).transpose()?.unwrap_or_default();
        let orders =
            query.order.iter().map(|text| Order::parse(text)).collect::<Result<Vec<_>>>()?;
        let experiments = query
            .experiment_ids
            .iter()
            .map(|experiment_id| experiment_number(experiment_id))
            .collect::<Result<BTreeSet<u64>>>()?;

        let mut rows = Vec::new();
        let mut hits: Vec<Hit> = Vec::new();
        self.database.read(|txn| {
            txn.scan(RUNS, &[], |key, bytes| {
                let damaged = |_| codec::damaged("run", key);
                let (_, content) = codec::content::<StoredRun>(key, bytes)?;
                let run = RunView::read(content).map_err(damaged)?;
                let wanted = run.head.deleted == query.deleted
                    && (experiments.is_empty() || experiments.contains(&run.head.experiment));
                if !wanted {
                    return Ok(());
                }
                let run_id = hex(key);
                if filter.matches(&run_id, &run).map_err(damaged)? {
                    let keys = orders.iter().map(|order| order.key(&run_id, &run));
                    let keys = keys.collect::<Result<_, _>>().map_err(damaged)?;
                    let from = rows.len();
                    rows.extend_from_slice(bytes);
                    let start_ms = run.head.start_ms;
                    hits.push(Hit { run_id, row: from..rows.len(), start_ms, keys });
                }
                Ok(())
            })
        })?;

        hits.sort_by(|a, b| {
            orders
                .iter()
                .zip(a.keys.iter().zip(&b.keys))
                .map(|(order, (a, b))| order.compare(a, b))
                .find(|ordering| ordering.is_ne())
                .unwrap_or_else(|| b.start_ms.cmp(&a.start_ms).then(a.run_id.cmp(&b.run_id)))
        });
        hits.truncate(query.limit.unwrap_or(usize::MAX));
        // Building a run allocates some thirty texts: worth all cores when there are thousands.
        hits.into_par_iter()
            .with_min_len(MIN_RUNS_PER_TASK)
            .map(|hit| {
                let key = run_key(&hit.run_id)?;
                let run: StoredRun = codec::unseal(&key, &rows[hit.row])?;
                Ok(run.into_run(hit.run_id))
            })
            .collect()
    }
}
