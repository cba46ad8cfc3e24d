//! Rows of activations and their memory. While batch after batch passes through a net, what one lets go of is kept for the
//! next: fresh memory comes from the system in pages of 4 kB, a fault and 4 kB of zeros each, and on one thread
//! that takes as long as many of the products.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rayon::prelude::*;

/// Tokens in a block: two AVX-512 registers, four of AVX2.
pub(crate) const BLOCK: usize = 32;

/// One feature of the tokens of a block. Aligned so that no register's load crosses a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct FeatureRow(pub(crate) [f32; BLOCK]);

impl FeatureRow {
    pub(crate) const ZERO: Self = Self([0.0; BLOCK]);
    pub(crate) const NAN: Self = Self([f32::NAN; BLOCK]);
}

/// Smaller ones are quickly had from the allocator.
const MIN_ROWS: usize = (256 << 10) / size_of::<FeatureRow>();
/// At most so much is kept that nobody uses.
const MAX_SPARE_ROWS: usize = (512 << 20) / size_of::<FeatureRow>();
/// What is kept serves whoever needs at least this part of it.
const MIN_SHARE: usize = 4;

/// Rows of activations.
#[derive(Debug)]
pub(crate) struct RowBuffer {
    /// At least [`Self::n`] of them.
    rows: Vec<FeatureRow>,
    n: usize,
}

impl RowBuffer {
    /// `n` rows of any numbers: room that is written before it is read.
    pub(crate) fn room(n: usize) -> Self {
        let spare = if n < MIN_ROWS { None } else { pool().take(n) };
        let mut buffer = Self { rows: spare.unwrap_or_else(|| vec![FeatureRow::ZERO; n]), n };
        if cfg!(debug_assertions) {
            // Whoever reads them is found by the tests.
            buffer.fill(FeatureRow::NAN);
        }
        buffer
    }

    /// `n` rows of zeros.
    pub(crate) fn zeros(n: usize) -> Self {
        if n < MIN_ROWS {
            return Self { rows: vec![FeatureRow::ZERO; n], n };
        }
        let mut buffer = Self::room(n);
        buffer.par_chunks_mut(MIN_ROWS).for_each(|rows| rows.fill(FeatureRow::ZERO));
        buffer
    }

    /// Takes another length; the numbers are then any.
    pub(crate) fn resize(&mut self, n: usize) {
        if n <= self.rows.len() {
            self.n = n;
        } else {
            *self = Self::room(n);
        }
    }
}

impl Deref for RowBuffer {
    type Target = [FeatureRow];

    fn deref(&self) -> &[FeatureRow] {
        &self.rows[..self.n]
    }
}

impl DerefMut for RowBuffer {
    fn deref_mut(&mut self) -> &mut [FeatureRow] {
        &mut self.rows[..self.n]
    }
}

impl Clone for RowBuffer {
    fn clone(&self) -> Self {
        let mut copy = Self::room(self.n);
        copy.copy_from_slice(self);
        copy
    }
}

impl From<Vec<FeatureRow>> for RowBuffer {
    fn from(rows: Vec<FeatureRow>) -> Self {
        let n = rows.len();
        Self { rows, n }
    }
}

impl Drop for RowBuffer {
    fn drop(&mut self) {
        if self.rows.len() >= MIN_ROWS {
            pool().put(std::mem::take(&mut self.rows));
        }
    }
}

/// As long as one of these lives, memory of activations is kept.
#[derive(Debug)]
pub(crate) struct KeptMemory(());

impl KeptMemory {
    pub(crate) fn new() -> Self {
        pool().n_keepers += 1;
        Self(())
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.n_keepers -= 1;
        if pool.n_keepers == 0 {
            (pool.n_spare, pool.spare) = (0, VecDeque::new());
        }
    }
}

/// The memory that is kept, that which was let go of first at the front.
struct Pool {
    n_keepers: usize,
    spare: VecDeque<Vec<FeatureRow>>,
    /// Rows of all spare ones together, and the most there may be.
    n_spare: usize,
    max_spare: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool::new(MAX_SPARE_ROWS));

fn pool() -> MutexGuard<'static, Pool> {
    // No change of it panics half way.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    const fn new(max_spare: usize) -> Self {
        Self { n_keepers: 0, spare: VecDeque::new(), n_spare: 0, max_spare }
    }

    /// The smallest that has `n` rows and is not far too large.
    fn take(&mut self, n: usize) -> Option<Vec<FeatureRow>> {
        let fits = |rows: &Vec<FeatureRow>| (n..=n.saturating_mul(MIN_SHARE)).contains(&rows.len());
        let fitting = self.spare.iter().enumerate().filter(|(_, rows)| fits(rows));
        let (idx, _) = fitting.min_by_key(|(_, rows)| rows.len())?;
        let rows = self.spare.remove(idx)?;
        self.n_spare -= rows.len();
        Some(rows)
    }

    fn put(&mut self, rows: Vec<FeatureRow>) {
        if self.n_keepers == 0 || rows.len() > self.max_spare {
            return;
        }
        self.n_spare += rows.len();
        self.spare.push_back(rows);
        while self.n_spare > self.max_spare {
            let Some(oldest) = self.spare.pop_front() else { return };
            self.n_spare -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pool: &mut Pool, lengths: &[usize]) {
        lengths.iter().for_each(|n| pool.put(vec![FeatureRow::ZERO; *n]));
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        let mut pool = Pool { n_keepers: 1, ..Pool::new(1500) };
        put(&mut pool, &[900, 300, 200, 100]);
        let mut take = |n| pool.take(n).map(|rows| rows.len());
        assert_eq!([take(150), take(150), take(150)], [Some(200), Some(300), None]);
        assert_eq!([take(101), take(100), take(300)], [None, Some(100), Some(900)]);
        assert_eq!((pool.spare.len(), pool.n_spare), (0, 0));
    }

    #[test]
    fn what_was_let_go_of_first_goes_first() {
        let mut pool = Pool { n_keepers: 1, ..Pool::new(100) };
        put(&mut pool, &[50, 49, 1]);
        assert_eq!(pool.n_spare, 100);
        put(&mut pool, &[2, 101]);
        assert_eq!((pool.spare.len(), pool.n_spare), (3, 52));
        pool.n_keepers = 0;
        put(&mut pool, &[1]);
        assert_eq!(pool.n_spare, 52, "nobody keeps it");
    }

    #[test]
    fn zeros_are_zeros_whatever_the_memory_held() {
        let _kept = KeptMemory::new();
        for _ in 0..3 {
            let mut rows = RowBuffer::zeros(MIN_ROWS + 5);
            assert!(rows.iter().all(|row| row.0 == [0.0; _]));
            rows.fill(FeatureRow([7.0; _]));
            let copy = rows.clone();
            assert!(copy.iter().all(|row| row.0 == [7.0; _]) && copy.len() == MIN_ROWS + 5);
        }
    }
}
