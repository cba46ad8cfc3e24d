//! The most that this machine's cores multiply and add, and read from memory: what no program's net exceeds.
//! `cargo bench --bench peak -- [THREADS]`, two threads if not said. Prints one line of JSON.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use pulp::{Arch, Simd, WithSimd};

/// Rounds of which the fastest counts: these machines share their cores.
const N_ROUNDS: usize = 12;
/// Of a round's products, which take some 50 ms.
const N_STEPS: usize = 8_000_000;
/// Of a thread, far more than the caches hold.
const N_READ: usize = 1 << 26;

/// Sums of products in as many registers as hide the latency of one.
struct Products;

impl WithSimd for Products {
    /// Multiplications and additions that were made, two for each number of a register.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        let (a, b) = (s.splat_f32s(black_box(0.999_9)), s.splat_f32s(black_box(1e-4)));
        let zero = s.splat_f32s(0.0);
        let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5] = [zero; 6];
        let [mut s6, mut s7, mut s8, mut s9, mut s10, mut s11] = [zero; 6];
        for _ in 0..N_STEPS {
            // By name: an array's elements might be kept in memory.
            macro_rules! multiply_and_add {
                ($($sum:ident)*) => {$($sum = s.mul_add_f32s($sum, a, b);)*};
            }
            multiply_and_add!(s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11);
        }
        let sums = [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11];
        black_box(sums.into_iter().fold(zero, |all, sum| s.add_f32s(all, sum)));
        2 * N_STEPS * sums.len() * S::F32_LANES
    }
}

/// A sum of numbers that come from memory.
struct Reading<'a>(&'a [f32]);

impl WithSimd for Reading<'_> {
    /// Bytes that were read.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        let (vectors, _) = S::as_simd_f32s(self.0);
        let mut sums = [s.splat_f32s(0.0); 8];
        for vectors in vectors.chunks_exact(sums.len()) {
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = s.add_f32s(*sum, *vector);
            }
        }
        black_box(sums);
        size_of_val(self.0)
    }
}

/// Units a second of all threads together in the fastest round.
fn fastest(n_threads: usize, work: impl Fn(usize) -> usize + Sync) -> f64 {
    let barrier = Barrier::new(n_threads);
    let round = |idx: usize| {
        barrier.wait();
        let clock = Instant::now();
        (work(idx), clock.elapsed())
    };
    let rounds = |idx| -> Vec<(usize, Duration)> { (0..N_ROUNDS).map(|_| round(idx)).collect() };
    let rounds = &rounds;
    let times: Vec<Vec<(usize, Duration)>> = thread::scope(|scope| {
        let spawn = |idx| scope.spawn(move || rounds(idx));
        let threads: Vec<_> = (0..n_threads).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let rates = (0..N_ROUNDS).map(|round| {
        let units: usize = times.iter().map(|thread| thread[round].0).sum();
        let longest = times.iter().map(|thread| thread[round].1).max().unwrap_or_default();
        units as f64 / longest.as_secs_f64()
    });
    rates.fold(0.0, f64::max)
}

fn main() {
    let said = std::env::args().skip(1).find(|word| word != "--bench");
    let n_threads = said.map_or(2, |word| word.parse().expect("a number of threads"));
    let arch = Arch::new();
    let operations = fastest(n_threads, |_| arch.dispatch(Products));
    let one = fastest(1, |_| arch.dispatch(Products));
    let numbers: Vec<Vec<f32>> = (0..n_threads).map(|_| vec![1.0; N_READ]).collect();
    let bytes = fastest(n_threads, |idx| arch.dispatch(Reading(&numbers[idx])));
    let answer = serde_json::json!({
        "threads": n_threads, "gflop_per_s": operations / 1e9, "gflop_per_s_of_one": one / 1e9,
        "read_gb_per_s": bytes / 1e9,
    });
    #[expect(clippy::print_stdout, reason = "this program's only answer")]
    {
        println!("{answer}");
    }
}
