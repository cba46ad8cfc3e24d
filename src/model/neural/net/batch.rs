//! Token ids of several texts as one rectangle, and how a dataset is cut into such batches.

use crate::{
    error::{Error, Result},
    random::Random,
};

/// Token ids with the class they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Token ids, at least one.
    pub ids: Vec<u32>,
    /// Class index.
    pub label: usize,
}

/// Token ids of several texts, padded on the right to the longest.
///
/// # Shapes
/// `ids`: `[n, length]` row-major; `lengths`: `[n]`, each in `1..=length`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    lengths: Vec<u32>,
    length: usize,
}

impl Batch {
    /// Pads `texts` with `padding_id` to the longest of them.
    ///
    /// # Errors
    /// When there is no text, or one without a token.
    pub fn new(texts: &[&[u32]], padding_id: u32) -> Result<Self> {
        let length = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        Self::padded_to(texts, length, padding_id)
    }

    /// Pads `texts` with `padding_id` to `length` tokens.
    ///
    /// # Errors
    /// When there is no text, one without a token, or one longer than `length`.
    pub fn padded_to(texts: &[&[u32]], length: usize, padding_id: u32) -> Result<Self> {
        if texts.is_empty() {
            return Err(Error::invalid("a batch holds at least one text, found none"));
        }
        let mut ids = Vec::with_capacity(texts.len() * length);
        let mut lengths = Vec::with_capacity(texts.len());
        for (text_idx, text) in texts.iter().enumerate() {
            if text.is_empty() || text.len() > length {
                return Err(Error::invalid(format!(
                    "text {text_idx} of the batch has {} tokens, expected 1 to {length}",
                    text.len()
                )));
            }
            ids.extend_from_slice(text);
            ids.resize(ids.len() + length - text.len(), padding_id);
            lengths.push(text.len() as u32);
        }
        Ok(Self { ids, lengths, length })
    }

    /// Number of texts.
    pub fn n(&self) -> usize {
        self.lengths.len()
    }

    /// Number of tokens a row, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Ids, `[n, length]` row-major.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Real tokens of each row.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Whether any row has padding.
    pub fn is_padded(&self) -> bool {
        self.lengths.iter().any(|length| *length as usize != self.length)
    }

    /// The largest id.
    pub fn max_id(&self) -> u32 {
        self.ids.iter().copied().max().unwrap_or(0)
    }

    /// 1 at real tokens, 0 at padding, `[n, length]`.
    pub(crate) fn mask(&self) -> Vec<f32> {
        let row = |length: &u32| {
            let real = *length as usize;
            (0..self.length).map(move |position| f32::from(u8::from(position < real)))
        };
        self.lengths.iter().flat_map(row).collect()
    }
}

/// How many batches are shuffled together before they are sorted by length: wide enough that most
/// padding disappears, narrow enough that an epoch's order stays random.
const WINDOW: usize = 50;

/// The order of an epoch: indices of examples, a batch at a time.
///
/// The examples are shuffled, then sorted by length inside windows of [`WINDOW`] batches, and the
/// batches are shuffled again, so that no epoch runs from short to long. `seed` and `epoch` alone
/// decide it: a resumed run sees the same batches.
pub fn epoch_order(lengths: &[usize], batch_size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut random = Random::new(mix(seed, epoch));
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    random.shuffle(&mut order);
    for window in order.chunks_mut(batch_size.saturating_mul(WINDOW)) {
        window.sort_by_key(|example_idx| lengths[*example_idx]);
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    random.shuffle(&mut batches);
    batches
}

/// Batches sorted by length, for evaluation: the order does not matter there, padding does.
pub(crate) fn by_length(lengths: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|example_idx| lengths[*example_idx]);
    order.chunks(batch_size).map(<[usize]>::to_vec).collect()
}

/// One seed out of a run's seed and a counter, so that neighbouring counters share nothing.
pub(crate) fn mix(seed: u64, counter: u64) -> u64 {
    Random::new(seed ^ counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_the_longest() {
        let batch = Batch::new(&[&[5, 6, 7], &[8]], 0).unwrap();
        assert_eq!(batch.ids(), [5, 6, 7, 8, 0, 0]);
        assert_eq!(batch.lengths(), [3, 1]);
        assert_eq!(batch.mask(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(batch.is_padded());
    }

    #[test]
    fn a_text_without_tokens_is_refused_by_its_place() {
        let error = Batch::new(&[&[5], &[]], 0).unwrap_err();
        assert!(error.to_string().contains("text 1"), "{error}");
        assert!(Batch::new(&[], 0).is_err());
    }

    #[test]
    fn an_epoch_sees_every_example_once_and_differs_from_the_next() {
        let lengths: Vec<usize> = (0..997).map(|idx| 1 + idx * 7 % 300).collect();
        let first = epoch_order(&lengths, 8, 3, 0);
        let mut seen: Vec<usize> = first.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..997).collect::<Vec<_>>());
        assert_eq!(first, epoch_order(&lengths, 8, 3, 0));
        assert_ne!(first, epoch_order(&lengths, 8, 3, 1));
        assert_ne!(first, epoch_order(&lengths, 8, 4, 0));
    }

    #[test]
    fn bucketing_removes_most_padding() {
        let mut random = Random::new(1);
        let lengths: Vec<usize> = (0..4000).map(|_| 1 + random.below(256)).collect();
        let padding = |batches: &[Vec<usize>]| -> usize {
            let cost = |batch: &Vec<usize>| {
                let longest = batch.iter().map(|idx| lengths[*idx]).max().unwrap();
                batch.iter().map(|idx| longest - lengths[*idx]).sum::<usize>()
            };
            batches.iter().map(cost).sum()
        };
        let plain: Vec<Vec<usize>> =
            (0..4000).collect::<Vec<_>>().chunks(16).map(<[usize]>::to_vec).collect();
        assert!(padding(&epoch_order(&lengths, 16, 1, 0)) * 5 < padding(&plain));
    }
}
