//! How likely Kolmogorov's and Smirnov's statistics are: of two samples, exactly where they are small, and
//! by the distribution of one sample of their effective size where they are large. This is SciPy's
//! choice, and its values; the crates that have the test (statrs, kolmogorov_smirnov) know the limit
//! alone.

use std::f64::consts::{PI, TAU};

use super::super::special::ln_gamma;

/// Samples of more examples than this are not counted exactly: SciPy's limit.
const MAX_EXACT: f64 = 10_000.0;

/// What is less likely than this is not worth an exact count of more points than these.
const NEVER: f64 = 1e-10;
const MANY_POINTS: f64 = 1e6;

/// From this size on the approximation is exact to ten digits.
const LARGE: f64 = 1e5;

/// The probability that samples of `n` and `m` examples of one distribution are `statistic` or more
/// apart.
pub(super) fn two_sample_tail(n: f64, m: f64, statistic: f64) -> f64 {
    let effective = (n / (n + m) * m).round().max(1.0);
    let by_one_sample = one_sample_tail(effective, statistic);
    if n.max(m) > MAX_EXACT || (by_one_sample < NEVER && n * m > MANY_POINTS) {
        return by_one_sample;
    }
    exact_tail(n as usize, m as usize, (statistic * n * m).round() as usize)
}

/// The share of the ways from (0, 0) to (n, m) by single steps right and up that reach a point (i, j) with
/// `|i m - j n| >= distance`. Of the ways to (i, j) the share i / (i + j) comes from the left.
fn exact_tail(n: usize, m: usize, distance: usize) -> f64 {
    if distance == 0 {
        return 1.0;
    }
    // The share for (i, j) at j; 1 outside the band.
    let mut shares = vec![1.0; m + 1];
    for i in 0..=n {
        // Points inside: j n < i m + distance and j n > i m - distance.
        let first = (i * m + 1).saturating_sub(distance).div_ceil(n);
        let last = ((i * m + distance - 1) / n).min(m);
        if first > 0 {
            shares[first - 1] = 1.0;
        }
        for j in first..=last {
            let steps = (i + j) as f64;
            shares[j] = if i + j == 0 {
                0.0
            } else {
                let from_left = if i > 0 { shares[j] * i as f64 } else { 0.0 };
                let from_below = if j > 0 { shares[j - 1] * j as f64 } else { 0.0 };
                (from_left + from_below) / steps
            };
        }
    }
    // A distance that the end itself has: all ways reach it.
    shares[m].min(1.0)
}

/// The probability that the distribution of a sample of `n` is `x` or more from that which it was drawn
/// of, after Simard and L'Ecuyer 2011, "Computing the Two-Sided Kolmogorov-Smirnov Distribution", Journal
/// of Statistical Software 39(11).
fn one_sample_tail(n: f64, x: f64) -> f64 {
    let steps = n * x;
    let square = steps * x;
    let tail = if x >= 1.0 {
        0.0
    } else if steps <= 0.5 {
        1.0
    } else if steps <= 1.0 {
        1.0 - (ln_gamma(n + 1.0) - n * n.ln() + n * (2.0 * steps - 1.0).ln()).exp()
    } else if n > LARGE {
        if square >= 18.0 { 0.0 } else { 1.0 - pelz_good(n, x) }
    } else if steps >= n - 1.0 {
        2.0 * (1.0 - x).powf(n)
    } else if x >= 0.5 || square > if n <= 140.0 { 4.0 } else { 2.2 } {
        2.0 * one_sided_tail(n, x)
    } else if n <= 140.0 || steps * x.sqrt() <= 1.4 {
        1.0 - by_matrix_power(n, x)
    } else {
        1.0 - pelz_good(n, x)
    };
    tail.clamp(0.0, 1.0)
}

/// The one-sided tail, exact: `x sum over j of C(n, j) (x + j/n)^(j - 1) (1 - x - j/n)^(n - j)`
/// (Smirnov 1944, Birnbaum and Tingey 1951).
fn one_sided_tail(n: f64, x: f64) -> f64 {
    let n_terms = (n * (1.0 - x)).floor() as usize;
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for j in 0..=n_terms {
        let j = j as f64;
        let (above, below) = (x + j / n, 1.0 - x - j / n);
        if below > 0.0 {
            sum += (ln_choose + (j - 1.0) * above.ln() + (n - j) * below.ln()).exp();
        }
        ln_choose += ((n - j) / (j + 1.0)).ln();
    }
    x * sum
}

/// The probability of less than `x`, exact, after Marsaglia, Tsang and Wang 2003, "Evaluating Kolmogorov's
/// Distribution", Journal of Statistical Software 8(18): `n! / n^n` times an element of the power of a
/// matrix.
fn by_matrix_power(n: f64, x: f64) -> f64 {
    let k = (n * x) as usize + 1;
    let width = 2 * k - 1;
    let h = k as f64 - n * x;
    let mut factorials = vec![1.0; width + 2];
    for i in 1..factorials.len() {
        factorials[i] = factorials[i - 1] * i as f64;
    }
    let mut matrix = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..width.min(row + 2) {
            let mut value = 1.0;
            if column == 0 {
                value -= h.powi(row as i32 + 1);
            }
            if row == width - 1 {
                value -= h.powi((width - column) as i32);
                if column == 0 && 2.0 * h > 1.0 {
                    value += (2.0 * h - 1.0).powi(width as i32);
                }
            }
            matrix[row * width + column] = value / factorials[row + 1 - column];
        }
    }
    let (power, exponent) = matrix_power(&matrix, width, n as u64);
    let element = power[(k - 1) * width + k - 1];
    // n! / n^n by itself would be too small for a double.
    (element.ln() + exponent + ln_gamma(n + 1.0) - n * n.ln()).exp()
}

/// `matrix` to the power of `n`, divided by the exponential of the second number.
fn matrix_power(matrix: &[f64], width: usize, n: u64) -> (Vec<f64>, f64) {
    let multiply = |left: &[f64], right: &[f64]| {
        let mut product = vec![0.0; width * width];
        for (own, left) in product.chunks_exact_mut(width).zip(left.chunks_exact(width)) {
            for (factor, row) in left.iter().zip(right.chunks_exact(width)) {
                own.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
            }
        }
        let largest = product.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        product.iter_mut().for_each(|value| *value /= largest);
        (product, largest.ln())
    };
    let mut power: Vec<f64> =
        (0..width * width).map(|at| if at % (width + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let mut exponent = 0.0;
    for bit in (0..u64::BITS - n.leading_zeros()).rev() {
        let (square, scale) = multiply(&power, &power);
        (power, exponent) = (square, 2.0 * exponent + scale);
        if n >> bit & 1 == 1 {
            let (product, scale) = multiply(&power, matrix);
            (power, exponent) = (product, exponent + scale);
        }
    }
    (power, exponent)
}

/// The probability of less than `x` by the first four terms of its expansion in `n^(-1/2)`, after Pelz and
/// Good 1976, "Approximating the Lower Tail-Areas of the Kolmogorov-Smirnov One-Sample Statistic", JRSS B
/// 38, 152–156.
fn pelz_good(n: f64, x: f64) -> f64 {
    let z = n.sqrt() * x;
    let (z2, z4, z6) = (z * z, z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI * PI, PI.powi(4), PI.powi(6));
    let mut sums = [0.0; 4];
    for k in 0..200 {
        // At the odd halves.
        let half = f64::from(k) + 0.5;
        let (h2, h4, h6) = (half * half, half.powi(4), half.powi(6));
        let weight = (-pi2 * h2 / (2.0 * z2)).exp();
        sums[0] += weight;
        sums[1] += weight * (pi2 * h2 - z2);
        sums[2] += weight
            * (6.0 * z6
                + 2.0 * z4
                + pi2 * (2.0 * z4 - 5.0 * z2) * h2
                + pi4 * (1.0 - 2.0 * z2) * h4);
        sums[3] += weight
            * (pi6 * (5.0 - 30.0 * z2) * h6
                + pi4 * (-60.0 * z2 + 212.0 * z4) * h4
                + pi2 * (135.0 * z4 - 96.0 * z6) * h2
                - 30.0 * z6
                - 90.0 * z.powi(8));
        if k > 8 && weight < 1e-20 {
            break;
        }
    }
    let (mut extra2, mut extra3) = (0.0, 0.0);
    for k in 1..200 {
        let k2 = f64::from(k * k);
        let weight = (-pi2 * k2 / (2.0 * z2)).exp();
        extra2 += weight * pi2 * k2;
        extra3 += weight * pi2 * k2 * (3.0 * z2 - pi2 * k2);
        if k > 8 && weight < 1e-20 {
            break;
        }
    }
    let root = TAU.sqrt();
    let terms = [
        sums[0] / z,
        sums[1] / (6.0 * z4),
        sums[2] / (72.0 * z.powi(7)) - extra2 / (36.0 * z.powi(3)),
        sums[3] / (6480.0 * z.powi(10)) + extra3 / (216.0 * z6),
    ];
    root * (terms[0] + terms[1] / n.sqrt() + terms[2] / n + terms[3] / n.powf(1.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branches_meet() {
        // Where one formula takes over from another, both say the same.
        for (n, x) in [(20.0, 0.3), (140.0, 0.16), (1000.0, 0.04), (5000.0, 0.02)] {
            let exact = 1.0 - by_matrix_power(n, x);
            let expanded = 1.0 - pelz_good(n, x);
            assert!((exact - expanded).abs() < 0.3 / (n * n), "{n} {x}: {exact} {expanded}");
        }
        for (n, x) in [(140.0, 0.17), (400.0, 0.1), (2000.0, 0.045)] {
            let exact = 1.0 - by_matrix_power(n, x);
            let doubled = 2.0 * one_sided_tail(n, x);
            assert!((exact - doubled).abs() < 1e-6 * exact, "{n} {x}: {exact} {doubled}");
        }
    }

    #[test]
    fn a_tail_falls_from_1_to_0() {
        for n in [1.0, 2.0, 7.0, 139.0, 141.0, 3000.0, 2e5, 1e9] {
            let tails: Vec<f64> =
                (0..=400).map(|step| one_sample_tail(n, f64::from(step) / 400.0)).collect();
            assert_eq!((tails[0], tails[400]), (1.0, 0.0), "{n}");
            assert!(tails.is_sorted_by(|one, next| *next <= one + 1e-9), "{n}");
        }
    }

    #[test]
    fn small_samples_are_counted() {
        // Of the 6 ways through 2 and 2, both along the sides reach a distance of 1.
        assert!((exact_tail(2, 2, 4) - 2.0 / 6.0).abs() < 1e-15);
        assert_eq!(exact_tail(2, 2, 2), 1.0);
        assert_eq!(exact_tail(3, 5, 0), 1.0);
        // 4 right and 1 up: 2 of 5 ways are 1 apart, and all are 2/4 apart or more but the middle one.
        assert!((exact_tail(4, 1, 4) - 2.0 / 5.0).abs() < 1e-15);
        assert!((exact_tail(4, 1, 3) - 4.0 / 5.0).abs() < 1e-15);
    }
}
