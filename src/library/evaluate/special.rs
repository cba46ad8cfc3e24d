//! The special functions that p values are made of. The crates that have them (statrs, puruspe) bring
//! linear algebra along or are exact to fewer digits than SciPy's values are compared with; these three
//! functions are short.

/// The natural logarithm of the gamma function of `x` > 0: Stirling's series above 15, and the
/// recurrence `Γ(x + 1) = x Γ(x)` below.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (mut shifted, mut factor) = (x, 1.0);
    while shifted < 15.0 {
        factor *= shifted;
        shifted += 1.0;
    }
    let square = 1.0 / (shifted * shifted);
    // 1/(12x) - 1/(360x³) + 1/(1260x⁵) - 1/(1680x⁷) + 1/(1188x⁹) - 691/(360360x¹¹)
    let series = (1.0 / 12.0
        - square
            * (1.0 / 360.0
                - square
                    * (1.0 / 1260.0
                        - square
                            * (1.0 / 1680.0
                                - square * (1.0 / 1188.0 - square * 691.0 / 360_360.0)))))
        / shifted;
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series
        - factor.ln()
}

/// The natural logarithm of the beta function of `a` and `b`, both > 0.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The regularised upper incomplete gamma function `Q(a, x)`, with `a` > 0 and `x` >= 0: the series of
/// `1 - Q` below `a + 1`, Lentz's continued fraction above (DLMF 8.7.1 and 8.9.2).
pub(super) fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    // Both need about the root of `a` terms, near `x = a`.
    let n_terms = 200 + 10 * a.sqrt() as usize;
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for step in 1..n_terms {
            term *= x / (a + step as f64);
            sum += term;
            if term < sum * f64::EPSILON * 0.1 {
                break;
            }
        }
        return (1.0 - scale * sum).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = f64::MAX;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for step in 1..n_terms {
        let numerator = -(step as f64) * (step as f64 - a);
        b += 2.0;
        let nonzero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
        d = 1.0 / nonzero(numerator * d + b);
        c = nonzero(b + numerator / c);
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    (scale * fraction).clamp(0.0, 1.0)
}

/// The probability that a standard normal deviate is above `z`.
pub(super) fn normal_tail(z: f64) -> f64 {
    let half = 0.5 * upper_gamma(0.5, 0.5 * z * z);
    if z >= 0.0 { half } else { 1.0 - half }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17's `gammaln`, `gammaincc` and `norm.sf`.
    #[test]
    fn values_are_scipys() {
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() <= 1e-13 * expected.abs(), "{found} {expected}");
        };
        close(ln_gamma(0.5), 0.572_364_942_924_700_1);
        close(ln_gamma(10.5), 13.940_625_219_403_763);
        close(ln_gamma(1e6), 12_815_504.569_147_611);
        close(upper_gamma(0.5, 1.92), 0.050_043_521_248_705_14);
        close(normal_tail(1.959_963_984_540_054), 0.025);
        close(normal_tail(-1.959_963_984_540_054), 0.975);
        assert_eq!(normal_tail(f64::INFINITY), 0.0);
        assert_eq!(normal_tail(0.0), 0.5);
        assert!((ln_beta(2.0, 3.0) - (1.0_f64 / 12.0).ln()).abs() < 1e-14);
    }
}
