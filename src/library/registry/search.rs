//! Searching runs: one pass over the runs' rows on all cores, read in place; only what is returned is
//! built.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use rayon::prelude::*;

use super::{
    Registry, codec,
    experiments::experiment_number,
    fault::Fault,
    filter::{Filter, Order, RUNS as ATTRIBUTES, RunSubject, SortKey},
    folders::run_artifact_uri,
    page::{Listing, Page},
    record::{Lifecycle, Run, RunQuery},
    run_view::RunView,
    stored::{StoredExperiment, StoredRun},
    tables::{EXPERIMENTS, RUNS, RunKey},
    transaction::{ReadTxn, Rows},
};
use crate::{error::Result, figure::hex};

/// Below this, another thread costs more than it saves.
const MIN_RUNS_PER_TASK: usize = 512;

/// A run that was found.
struct Hit {
    key: RunKey,
    start_ms: i64,
    keys: Vec<SortKey>,
}

/// A query once it is read.
struct Search {
    filter: Filter,
    orders: Vec<Order>,
    experiments: BTreeSet<u64>,
}

impl Registry {
    /// The runs that fit `query`, in its order, newest first where that leaves a choice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a filter or order that cannot be read,
    /// with the place and what was expected there.
    pub fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        let Some(limit) = query.limit else { return self.search_all_runs(query) };
        Ok(self.search_runs_page(query, &Page { limit, ..Page::default() })?.items)
    }

    /// As [`Registry::search_runs`] without a limit: each run is built when its row is seen.
    fn search_all_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        let search = Search::read(query)?;
        let (mut hits, mut runs) = (Vec::new(), Vec::new());
        let found = self.database.read(|txn| {
            search.scan(txn, query, |found: &mut Vec<(Hit, Run)>, hit, row| {
                let run: StoredRun = codec::unseal(&hit.key, row)?;
                let run = run.into_run(hex(&hit.key));
                found.push((hit, run));
                Ok(())
            })
        })?;
        for (hit, run) in found.into_iter().flatten() {
            hits.push((hit, runs.len()));
            runs.push(Some(run));
        }
        hits.par_sort_by(|(a, _), (b, _)| search.compare(a, b));
        Ok(hits.into_iter().filter_map(|(_, idx)| runs[idx].take()).collect())
    }

    /// One page of the runs that fit `query`; its own limit does not count. The last run of the page
    /// before is known by its id.
    ///
    /// # Errors
    /// As [`Registry::search_runs`].
    pub fn search_runs_page(&self, query: &RunQuery, page: &Page) -> Result<Listing<Run>> {
        let search = Search::read(query)?;
        let (hits, next, n_items) = self.database.read(|txn| {
            let hits = search.scan(txn, query, |hits: &mut Vec<Hit>, hit, _| {
                hits.push(hit);
                Ok(())
            })?;
            let mut hits: Vec<Hit> = hits.into_iter().flatten().collect();
            hits.par_sort_by(|a, b| search.compare(a, b));
            let n_items = hits.len();
            let (range, next) = page.range(n_items, |idx| hex(&hits[idx].key));
            let rows = hits[range].iter().map(|hit| {
                let row = txn.get_raw(RUNS, &hit.key)?;
                Ok((hit.key, row.ok_or_else(|| codec::damaged("run", &hit.key))?))
            });
            Ok((rows.collect::<Result<Vec<_>, Fault>>()?, next, n_items))
        })?;
        // Building a run allocates some thirty texts: worth all cores when there are thousands.
        let runs = hits.into_par_iter().with_min_len(MIN_RUNS_PER_TASK).map(|(key, row)| {
            let run: StoredRun = codec::unseal(&key, &row)?;
            Ok(run.into_run(hex(&key)))
        });
        Ok(Listing { items: runs.collect::<Result<Vec<_>>>()?, next, n_items })
    }

    /// The number of runs in each experiment that has some, by its id, among those of a lifecycle.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn run_counts(&self, lifecycle: Lifecycle) -> Result<BTreeMap<String, usize>> {
        let counts = self.database.read(|txn| {
            txn.scan_in_parts(RUNS, |counts: &mut BTreeMap<u64, usize>, key, bytes| {
                let (_, content) = codec::content::<StoredRun>(key, bytes)?;
                let view = RunView::read(content).map_err(|_| codec::damaged("run", key))?;
                if lifecycle.fits(view.head.deleted) {
                    *counts.entry(view.head.experiment).or_default() += 1;
                }
                Ok(())
            })
        })?;
        let mut sum = BTreeMap::new();
        for (number, n_runs) in counts.into_iter().flatten() {
            *sum.entry(number.to_string()).or_default() += n_runs;
        }
        Ok(sum)
    }
}

impl Search {
    fn read(query: &RunQuery) -> Result<Self> {
        let filter = query.filter.as_deref().map(|text| Filter::parse(text, ATTRIBUTES));
        let orders = query.order.iter().map(|text| Order::parse(text, ATTRIBUTES));
        let experiments = query.experiment_ids.iter().map(|id| experiment_number(id));
        Ok(Self {
            filter: filter.transpose()?.unwrap_or_default(),
            orders: orders.collect::<Result<Vec<_>>>()?,
            experiments: experiments.collect::<Result<BTreeSet<u64>>>()?,
        })
    }

    /// Shows `take` every run that fits, with its row; in parts, as [`ReadTxn::scan_in_parts`].
    fn scan<T: Default + Send>(
        &self,
        txn: &ReadTxn,
        query: &RunQuery,
        take: impl Fn(&mut T, Hit, &[u8]) -> Result<(), Fault> + Sync,
    ) -> Result<Vec<T>, Fault> {
        let mut locations: BTreeMap<u64, Option<String>> = BTreeMap::new();
        for (key, experiment) in txn.all::<StoredExperiment>(EXPERIMENTS, &[])? {
            if let Some(key) = key.first_chunk() {
                locations.insert(u64::from_be_bytes(*key), experiment.artifact_location);
            }
        }
        let artifact_uri = |experiment: u64, run_id: &str| {
            let location = locations.get(&experiment).and_then(Option::as_deref);
            run_artifact_uri(location, &experiment.to_string(), run_id)
        };
        txn.scan_in_parts(RUNS, |found: &mut T, key, bytes| {
            let damaged = |_| codec::damaged("run", key);
            let (_, content) = codec::content::<StoredRun>(key, bytes)?;
            let view = RunView::read(content).map_err(damaged)?;
            let wanted = query.lifecycle.fits(view.head.deleted)
                && (self.experiments.is_empty()
                    || self.experiments.contains(&view.head.experiment));
            if !wanted {
                return Ok(());
            }
            let subject = RunSubject { key, view: &view, artifact_uri: &artifact_uri };
            if self.filter.matches(&subject).map_err(damaged)? {
                let keys = self.orders.iter().map(|order| order.key(&subject));
                let keys = keys.collect::<Result<_, _>>().map_err(damaged)?;
                let start_ms = view.head.start_ms;
                let key = RunKey::try_from(key).map_err(|_| codec::damaged("run", key))?;
                take(found, Hit { key, start_ms, keys }, bytes)?;
            }
            Ok(())
        })
    }

    /// The order of two runs that fit.
    fn compare(&self, a: &Hit, b: &Hit) -> Ordering {
        self.orders
            .iter()
            .zip(a.keys.iter().zip(&b.keys))
            .map(|(order, (a, b))| order.compare(a, b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| b.start_ms.cmp(&a.start_ms).then(a.key.cmp(&b.key)))
    }
}
