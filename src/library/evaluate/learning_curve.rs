//! The learning curve: a metric over growing shares of the training rows, and what twice the rows would bring, by
//! an inverse power law with a bootstrap interval, or why that cannot be told. Training is somebody else's.

use serde::{Deserialize, Serialize};

use super::{
    is_loss,
    normal::Normal,
    power_law::{PowerLaw, PowerLawFit},
    quantile,
};
use crate::figure::{count, metric as number};

/// Draws of the bootstrap.
const N_RESAMPLES: usize = 2_000;
/// The fewest sizes by which a law with three parameters can be told from another one.
const MIN_SIZES: usize = 4;
/// The points of the law in a picture.
const N_DRAWN: usize = 40;

/// The metric after learning one share of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The share of the rows that could be learnt, 1 for all.
    pub share: f64,
    /// Rows learnt, the mean over the repeats.
    pub n_rows: f64,
    /// The metric of each repeat: other rows are learnt, and others measured.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n - 1 in the denominator).
    pub std: f64,
}

/// The metric after twice the rows, by extrapolation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extrapolation {
    /// Rows of the whole train split.
    pub n_rows: f64,
    /// The metric after learning those, by the law.
    pub now: f64,
    /// The metric after learning twice as many, by the law.
    pub doubled: f64,
    /// `doubled` minus `now`.
    pub gain: f64,
    /// 2.5th percentile of the resampled gains.
    pub lower: f64,
    /// 97.5th percentile of the resampled gains.
    pub upper: f64,
    /// The limit that the law approaches with the number of rows.
    pub limit: f64,
    /// The exponent c of the law.
    pub exponent: f64,
    /// Draws behind the interval.
    pub n_resamples: usize,
    /// The law at growing numbers of rows, to draw.
    pub law: Vec<(f64, f64)>,
}

/// A learning curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// The metric.
    pub metric: String,
    /// From the smallest share on.
    pub points: Vec<CurvePoint>,
    /// The metric after twice the rows, where that can be told.
    pub extrapolation: Option<Extrapolation>,
    /// The reason why it cannot.
    pub untold: Option<String>,
}

impl CurvePoint {
    /// The point of these repeats.
    pub fn new(share: f64, n_rows: f64, values: Vec<f64>) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { share, n_rows, mean, std: (square / (n - 1.0)).sqrt(), values }
    }
}

impl LearningCurve {
    /// The curve through `points`, each with the same repeats, and what lies beyond; `n_rows` is the size of the
    /// whole train split.
    ///
    /// The law is fitted to the means. A repeat's offset at all sizes says nothing about growth and is taken out.
    /// The residuals, the distance of the law from the means included, give the variance, which falls with the
    /// number of rows; the interval is that of fits to means drawn anew with it, each time with another variance, as
    /// few repeats leave it uncertain.
    pub fn of(metric: &str, points: Vec<CurvePoint>, n_rows: usize, seed: u64) -> Self {
        let (extrapolation, untold) =
            match extrapolate(metric, &points, n_rows as f64, (seed, N_RESAMPLES)) {
                Ok(extrapolation) => (Some(extrapolation), None),
                Err(why) => (None, Some(why)),
            };
        Self { metric: metric.to_owned(), points, extrapolation, untold }
    }

    /// A sentence on the metric after twice the rows.
    pub fn told(&self) -> String {
        let metric = &self.metric;
        match (&self.extrapolation, &self.untold) {
            (Some(found), _) => {
                let Extrapolation { now, doubled, gain, lower, upper, .. } = found;
                let rows = count((2.0 * found.n_rows) as u64);
                let interval = format!("95 % interval {lower:+.4} to {upper:+.4}");
                // The law never falls, so that an interval that reaches 0 ends there.
                match lower.abs().min(upper.abs()) < 5e-5 {
                    false => format!(
                        "twice the data ({rows} rows) would bring {metric} from {} to about {}: {gain:+.4}, \
                         {interval}",
                        number(*now),
                        number(*doubled)
                    ),
                    true => format!(
                        "whether twice the data ({rows} rows) would help cannot be told from noise: {metric} \
                         {gain:+.4}, {interval}"
                    ),
                }
            }
            (None, why) => format!(
                "what twice the data would bring cannot be told: {}",
                why.as_deref().unwrap_or("it was not asked")
            ),
        }
    }
}

/// The extrapolation, or why there is none.
fn extrapolate(
    metric: &str,
    points: &[CurvePoint],
    n_rows: f64,
    (seed, n_resamples): (u64, usize),
) -> Result<Extrapolation, String> {
    let n_sizes = points.len();
    if n_sizes < MIN_SIZES {
        return Err(format!("the curve has {n_sizes} sizes, and a law needs {MIN_SIZES} or more"));
    }
    let n_repeats = points[0].values.len();
    if n_repeats < 2 || points.iter().any(|point| point.values.len() != n_repeats) {
        return Err("each size needs the same two or more repeats".to_owned());
    }
    if points.iter().flat_map(|point| &point.values).any(|value| !value.is_finite()) {
        return Err(format!("{metric} is not a number everywhere"));
    }
    let sign = if is_loss(metric) { 1.0 } else { -1.0 };
    // Of a score, what is missing to 1.
    let wrong = |value: f64| if sign < 0.0 { 1.0 - value } else { value };
    let back = wrong;
    let means: Vec<f64> = points.iter().map(|point| wrong(point.mean)).collect();
    let sizes: Vec<f64> = points.iter().map(|point| point.n_rows).collect();
    let fit = PowerLawFit::new(&sizes);
    let law = fit.fit(&means);
    let residuals = Residuals::of(points, &means, &law, &wrong);
    if let Some((early, late)) = residuals.fall(&means, fit.weights()) {
        return Err(format!(
            "{metric} gets worse with more rows, from {} after {} to {} after {}, by more than noise explains",
            number(points[early].mean),
            count(points[early].n_rows as u64),
            number(points[late].mean),
            count(points[late].n_rows as u64)
        ));
    }
    let gain = |law: &PowerLaw| back(law.at(2.0 * n_rows)) - back(law.at(n_rows));
    let mut gains = residuals.gains((&law, &fit, &sizes), (seed, n_resamples), &gain);
    gains.sort_by(f64::total_cmp);
    let last = 2.0 * n_rows;
    let drawn = |idx: usize| {
        let n = sizes[0] * (last / sizes[0]).powf(idx as f64 / (N_DRAWN - 1) as f64);
        (n, back(law.at(n)))
    };
    Ok(Extrapolation {
        n_rows,
        now: back(law.at(n_rows)),
        doubled: back(law.at(last)),
        gain: gain(&law),
        lower: quantile(&gains, 0.025),
        upper: quantile(&gains, 0.975),
        limit: back(law.a),
        exponent: law.c,
        n_resamples,
        law: (0..N_DRAWN).map(drawn).collect(),
    })
}

/// The residuals of the law and the repeats' offsets.
struct Residuals {
    n_repeats: f64,
    /// Sum of weighted squares by its degrees of freedom: the variance at a weight of 1.
    variance: f64,
    degrees: usize,
    /// The same without the distance of the law from the means.
    noise: f64,
}

impl Residuals {
    fn of(
        points: &[CurvePoint],
        means: &[f64],
        law: &PowerLaw,
        wrong: &dyn Fn(f64) -> f64,
    ) -> Self {
        let (n_sizes, n_repeats) = (points.len(), points[0].values.len());
        let total: f64 = points.iter().map(|point| point.n_rows).sum();
        let grand = means.iter().sum::<f64>() / n_sizes as f64;
        let offset = |repeat: usize| {
            let sum: f64 = points.iter().map(|point| wrong(point.values[repeat])).sum();
            sum / n_sizes as f64 - grand
        };
        let offsets: Vec<f64> = (0..n_repeats).map(offset).collect();
        let (mut of_law, mut of_means) = (0.0, 0.0);
        for (point, mean) in points.iter().zip(means) {
            let weight = point.n_rows / total;
            for (value, offset) in point.values.iter().zip(&offsets) {
                let centred = wrong(*value) - offset;
                of_law += weight * (centred - law.at(point.n_rows)).powi(2);
                of_means += weight * (centred - mean).powi(2);
            }
        }
        // With four sizes or more and two repeats or more there are 4 or more.
        let degrees = n_sizes * n_repeats - (n_repeats - 1) - 3;
        let of_noise = (n_sizes - 1) * (n_repeats - 1);
        Self {
            n_repeats: n_repeats as f64,
            variance: of_law / degrees as f64,
            degrees,
            noise: of_means / of_noise as f64,
        }
    }

    /// Two sizes of which the later one is worse by more than three standard errors of their difference.
    fn fall(&self, means: &[f64], weights: &[f64]) -> Option<(usize, usize)> {
        let error = |early: usize, late: usize| {
            (self.noise / self.n_repeats * (1.0 / weights[early] + 1.0 / weights[late])).sqrt()
        };
        let pairs = (1..means.len()).flat_map(|late| (0..late).map(move |early| (early, late)));
        pairs
            .map(|(early, late)| {
                (means[late] - means[early] - 3.0 * error(early, late), early, late)
            })
            .filter(|(excess, ..)| *excess > 1e-12)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, early, late)| (early, late))
    }

    /// The gains of laws fitted to means that are drawn anew.
    fn gains(
        &self,
        (law, fit, sizes): (&PowerLaw, &PowerLawFit, &[f64]),
        (seed, n_resamples): (u64, usize),
        gain: &dyn Fn(&PowerLaw) -> f64,
    ) -> Vec<f64> {
        let mut normal = Normal::new(seed);
        let centre: Vec<f64> = sizes.iter().map(|n| law.at(*n)).collect();
        (0..n_resamples)
            .map(|_| {
                let chi_square: f64 = (0..self.degrees).map(|_| normal.draw().powi(2)).sum();
                let variance = self.variance * self.degrees as f64 / chi_square;
                let drawn: Vec<f64> = centre
                    .iter()
                    .zip(fit.weights())
                    .map(|(centre, weight)| {
                        centre + normal.draw() * (variance / (weight * self.n_repeats)).sqrt()
                    })
                    .collect();
                gain(&fit.fit(&drawn))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 5] = [1250.0, 2500.0, 5000.0, 10_000.0, 20_000.0];

    /// Points of `1 - (a + b·n^-c)` with noise of `noise` at the last size and a repeat's own offset.
    fn points(
        law: impl Fn(f64) -> f64,
        n_repeats: usize,
        noise: f64,
        seed: u64,
    ) -> Vec<CurvePoint> {
        let mut normal = Normal::new(seed);
        let offsets: Vec<f64> = (0..n_repeats).map(|_| noise * normal.draw()).collect();
        SIZES
            .iter()
            .map(|n| {
                let noise = noise * (n / SIZES[4]).powf(-0.5);
                let values =
                    offsets.iter().map(|offset| 1.0 - law(*n) + offset + noise * normal.draw());
                CurvePoint::new(n / SIZES[4], *n, values.collect())
            })
            .collect()
    }

    /// Of 200 curves with a known law the interval has to cover about 95 of 100: what it really covers lies
    /// between 0.92 and 0.985, and of so many curves these bounds hold 999 times of 1,000.
    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        for (a, b, c, noise, n_repeats) in
            [(0.08, 1.5, 0.35, 0.003, 5), (0.05, 3.0, 0.5, 0.004, 3), (0.1, 20.0, 0.7, 0.003, 5)]
        {
            let law = |n: f64| a + b * n.powf(-c);
            let n_rows = 25_000.0;
            let truth = law(n_rows) - law(2.0 * n_rows);
            let (mut n_covered, mut n_told) = (0, 0);
            for seed in 0..200 {
                let points = points(law, n_repeats, noise, seed);
                let Ok(found) = extrapolate("f1", &points, n_rows, (seed, 300)) else { continue };
                n_told += 1;
                n_covered += i32::from((found.lower..=found.upper).contains(&truth));
            }
            assert!(n_told >= 197, "{n_told} of 200 told");
            let share = f64::from(n_covered) / f64::from(n_told);
            assert!((0.87..=0.999).contains(&share), "{share} for {a} + {b} n^-{c}");
        }
    }

    #[test]
    fn what_lies_beyond_is_told_in_a_sentence() {
        let curve =
            LearningCurve::of("f1", points(|n| 0.08 + 1.5 * n.powf(-0.35), 5, 1e-4, 7), 25_000, 42);
        let told = curve.told();
        assert!(
            told.starts_with("twice the data (50,000 rows) would bring f1 from 0.87"),
            "{told}"
        );
        assert!(told.contains(": +0.009") && told.contains("95 % interval +0.00"), "{told}");
        let found = curve.extrapolation.unwrap();
        assert!(found.lower < found.gain && found.gain < found.upper, "{found:?}");
        assert!((found.limit - 0.92).abs() < 0.01, "{found:?}");
        assert_eq!(found.law.first().unwrap().0, SIZES[0]);
        assert!((found.law.last().unwrap().0 - 50_000.0).abs() < 1e-6);
    }

    #[test]
    fn of_a_loss_less_is_better() {
        let rising = points(|n| 0.3 + 2.0 * n.powf(-0.4), 4, 1e-4, 3);
        let losses: Vec<CurvePoint> = rising
            .into_iter()
            .map(|point| {
                let values = point.values.iter().map(|value| 1.0 - value).collect();
                CurvePoint::new(point.share, point.n_rows, values)
            })
            .collect();
        let found = LearningCurve::of("log_loss", losses, 20_000, 1).extrapolation.unwrap();
        assert!(found.gain < 0.0 && found.upper < 0.0 && found.lower < found.gain, "{found:?}");
    }

    #[test]
    fn what_cannot_be_told_says_why() {
        let law = |n: f64| 0.08 + 1.5 * n.powf(-0.35);
        let told = |points: Vec<CurvePoint>| LearningCurve::of("f1", points, 20_000, 1).told();
        let few = points(law, 5, 0.001, 1).split_off(2);
        assert!(told(few).ends_with("the curve has 3 sizes, and a law needs 4 or more"));
        let once = points(law, 1, 0.001, 1);
        assert!(told(once).ends_with("each size needs the same two or more repeats"));
        let falling = told(points(|n| 0.2 - 1.5 * n.powf(-0.35), 5, 0.001, 1));
        assert!(falling.contains("f1 gets worse with more rows, from 0."), "{falling}");
        let mut broken = points(law, 2, 0.001, 1);
        broken[1].values[0] = f64::NAN;
        assert!(told(broken).ends_with("f1 is not a number everywhere"));
        // Noise alone: no gain is claimed.
        let flat = told(points(|_| 0.2, 5, 0.01, 5));
        assert!(flat.contains("cannot be told from noise"), "{flat}");
    }
}
