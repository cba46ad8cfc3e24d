//! A batch's gradients on the CPU: shares of the batch go through the net side by side.
//!
//! Few of a tensor library's operations keep more than one thread busy. Shares do, and each is
//! padded to its own longest text only.

use std::{panic::resume_unwind, thread};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::loss::{Objective, gradients};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::net::{Batch, Example, Net, NetConfig, mix, parameters::Tensor},
};

/// Each share has gradients of every parameter until they are summed.
const MAX_SHARES: usize = 4;

/// The number of shares in which a batch of `n_texts` is computed on the CPU: a power of two.
pub(super) fn n_shares(config: &NetConfig, n_texts: usize) -> usize {
    let mut n_shares = 1;
    while n_shares < MAX_SHARES && n_texts / (2 * n_shares) >= config.least_share() {
        n_shares *= 2;
    }
    n_shares
}

/// The threads that shares are computed on.
pub(super) struct Workers {
    /// One for every share that others are computed beside; none where each waits for the one
    /// before.
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// `n_threads` threads for batches of `batch_size` texts.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new(net: &Net, batch_size: usize, n_threads: usize) -> Result<Self> {
        let n_pools = shares_of(net, batch_size).min(n_threads);
        if n_pools < 2 {
            return Ok(Self { pools: Vec::new() });
        }
        // A product spread over threads that have shares of their own would wait for them: each
        // share has its threads to itself.
        let pool = |idx: usize| {
            let n_own = n_threads * (idx + 1) / n_pools - n_threads * idx / n_pools;
            ThreadPoolBuilder::new().num_threads(n_own).build().map_err(|error| {
                Error::new(ErrorKind::Io, format!("cannot start the threads for training: {error}"))
            })
        };
        Ok(Self { pools: (0..n_pools).map(pool).collect::<Result<_>>()? })
    }

    /// The batch's part of the step's loss, and of its gradients: [`gradients`] of the whole batch
    /// but for rounding and for what dropout drops. The number of threads changes no bit.
    ///
    /// # Errors
    /// As [`gradients`].
    pub(super) fn gradients(
        &self,
        net: &Net,
        batch: &[&Example],
        objective: Objective<'_>,
    ) -> Result<(f64, Vec<Tensor<2>>)> {
        sum_of_shares(&self.pools, net, batch, objective, shares_of(net, batch.len()))
    }
}

fn shares_of(net: &Net, n_texts: usize) -> usize {
    if net.device().is_cpu() { n_shares(net.config(), n_texts) } else { 1 }
}

/// Halves the batch until it is a share, so that the parts are always added in the same order.
fn sum_of_shares(
    pools: &[ThreadPool],
    net: &Net,
    batch: &[&Example],
    objective: Objective<'_>,
    n_shares: usize,
) -> Result<(f64, Vec<Tensor<2>>)> {
    if n_shares == 1 {
        let texts: Vec<&[u32]> = batch.iter().map(|example| example.ids.as_slice()).collect();
        let labels: Vec<usize> = batch.iter().map(|example| example.label).collect();
        return gradients(net, &Batch::new(&texts, 0)?, &labels, objective);
    }
    let (left, right) = batch.split_at(batch.len() / 2);
    let half = |pools: &[ThreadPool], batch, side| {
        let objective = Objective { seed: mix(objective.seed, side), ..objective };
        let sum = || sum_of_shares(&[], net, batch, objective, n_shares / 2);
        match pools {
            [] => sum(),
            [pool] => pool.install(sum),
            pools => sum_of_shares(pools, net, batch, objective, n_shares / 2),
        }
    };
    let (here, beside) = pools.split_at(pools.len() / 2);
    let (left, right) = if beside.is_empty() {
        (half(&[], left, 0), half(&[], right, 1))
    } else {
        thread::scope(|scope| {
            let right = scope.spawn(|| half(beside, right, 1));
            (half(here, left, 0), right.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    };
    let ((left_loss, left), (right_loss, right)) = (left?, right?);
    Ok((left_loss + right_loss, added(left, right)))
}

/// The sum of two gradients of every parameter.
pub(super) fn added(one: Vec<Tensor<2>>, other: Vec<Tensor<2>>) -> Vec<Tensor<2>> {
    one.into_iter().zip(other).map(|(one, other)| one + other).collect()
}
