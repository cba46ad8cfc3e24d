//! The requests that were predicted of late, so that a true label is known to belong to one: those of this
//! server from memory, those of others and from before its start from the end of the log. Both are bounded: a
//! label for an older prediction finds it when the log is read.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use trialbook::{error::Result, monitor::visit_predictions};

/// Requests that are remembered of each model: some three megabytes.
const N_REQUESTS: usize = 100_000;
/// The end of the log that is read: some sixty thousand predictions.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// The least time between two looks at the log.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The requests that a model of this server answered last.
#[derive(Default)]
pub(super) struct RecentRequests {
    hashes: RandomState,
    known: Mutex<KnownRequests>,
}

#[derive(Default)]
struct KnownRequests {
    /// The last place of a text in each.
    last_indexes: HashMap<u64, u32>,
    in_order: VecDeque<u64>,
}

impl RecentRequests {
    /// Remembers a request whose texts have places up to `last`.
    pub(super) fn push(&self, request_id: &str, last: u32) {
        let hash = self.hashes.hash_one(request_id);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let KnownRequests { last_indexes, in_order } = &mut *known;
        if let Some(index) = last_indexes.get_mut(&hash) {
            *index = last.max(*index);
            return;
        }
        if in_order.len() == N_REQUESTS
            && let Some(oldest) = in_order.pop_front()
        {
            last_indexes.remove(&oldest);
        }
        in_order.push_back(hash);
        last_indexes.insert(hash, last);
    }

    /// True if a request with a text at `index` is remembered.
    pub(super) fn has(&self, request_id: &str, index: u32) -> bool {
        let hash = self.hashes.hash_one(request_id);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.last_indexes.get(&hash).is_some_and(|last| index <= *last)
    }
}

/// The predictions at the end of the log.
#[derive(Default)]
pub(crate) struct LoggedRequests {
    hashes: RandomState,
    looked: Mutex<Looked>,
}

#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    /// The model of each, by request and place.
    models: HashMap<u64, u32>,
    names: Vec<String>,
}

impl LoggedRequests {
    /// The model that predicted the text at `index` of a request, for each of `texts`. The log in the folder
    /// `dir` is read again when one of them is not known from the last time, and that is long enough ago.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn models(&self, dir: &Path, texts: &[(&str, u32)]) -> Result<Vec<Option<String>>> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<u64> = texts.iter().map(|text| self.hashes.hash_one(text)).collect();
        let knows_all = keys.iter().all(|key| looked.models.contains_key(key));
        if !knows_all && looked.at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            *looked = Looked { at: Some(Instant::now()), ..Looked::default() };
            visit_predictions(dir, Some(MAX_LOG_BYTES), |record| {
                let Looked { models, names, .. } = &mut *looked;
                let name_idx =
                    names.iter().position(|name| name == record.model).unwrap_or_else(|| {
                        names.push(record.model.to_owned());
                        names.len() - 1
                    });
                let key = self.hashes.hash_one((record.request_id, record.index));
                models.insert(key, u32::try_from(name_idx).unwrap_or(u32::MAX));
                Ok(())
            })?;
        }
        let model = |key| looked.models.get(key).and_then(|idx| looked.names.get(*idx as usize));
        Ok(keys.iter().map(|key| model(key).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_requests_are_remembered_the_newest() {
        let recent = RecentRequests::default();
        for number in 0..N_REQUESTS + 10 {
            recent.push(&number.to_string(), 2);
        }
        recent.push("100", 5);
        for (request, index, expected) in
            [("9", 0, false), ("10", 0, true), ("10", 2, true), ("10", 3, false), ("100", 5, true)]
        {
            assert_eq!(recent.has(request, index), expected, "{request} {index}");
        }
        assert_eq!(recent.known.lock().unwrap().in_order.len(), N_REQUESTS);
    }
}
