//! A learning curve as a run: the metrics after learning growing shares of the train split, each measured on rows
//! that no share has learnt, and what twice the rows would bring. The test split is not read.

use std::collections::BTreeMap;

use super::{
    Book, TrainRequest,
    cross_validate::CrossValidation,
    measured::{CV_PARAM, STD_PREFIX, VALIDATION_PREFIX},
    now_ms,
    registering::logged,
    train::prefixed,
};
use crate::{
    data::Split,
    error::{Error, Result},
    evaluate::{CurvePoint, LearningCurve, evaluate, learning_curve_plot},
    figure,
    model::{Fit, Fold, FoldRows, Holdout, fit_fold, fold_rows},
    progress::Monitor,
    random::Random,
    registry::{Run, RunStatus},
};

/// The param of a run that is a learning curve: its shares.
const CURVE_PARAM: &str = "learning_curve";
/// The artifact with the curve, which [`LearningCurve`] reads.
pub const CURVE_ARTIFACT: &str = "learning_curve.json";
/// Repeats with other rows held out, where a share of them is asked for.
const N_REPEATS: usize = 5;
/// The fewest examples of each class that are worth learning.
const MIN_EXAMPLES: usize = 2;

/// A learning curve that is asked for.
#[derive(Debug, Clone)]
pub struct LearningCurveRequest {
    /// Its data, experiment, name, tags and seed; nothing is registered. With a validation size, that share of
    /// the rows is held out five times, other ones each time; without it there are folds.
    pub train: TrainRequest,
    /// The folds of a cross-validation, on which each share is measured. Default 5.
    pub n_folds: usize,
    /// The metric to extrapolate. Default `f1`.
    pub metric: String,
    /// Shares of the rows that can be learnt, growing. Default 1/16, 1/8, 1/4, 1/2 and 1.
    pub shares: Vec<f64>,
}

impl LearningCurveRequest {
    /// A curve on `dataset` with every default.
    pub fn new(dataset: &str) -> Self {
        Self {
            train: TrainRequest::new(dataset),
            n_folds: 5,
            metric: "f1".to_owned(),
            shares: vec![0.0625, 0.125, 0.25, 0.5, 1.0],
        }
    }

    /// Checks the shares: growing, above 0 and at most 1.
    fn check(&self) -> Result<()> {
        let is_share = |share: &f64| *share > 0.0 && *share <= 1.0;
        if self.shares.len() >= 2
            && self.shares.iter().all(is_share)
            && self.shares.is_sorted_by(|one, other| one < other)
        {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the shares of a learning curve are {:?}: expected two or more, growing, above 0 and at most 1",
            self.shares
        )))
    }
}

impl Book {
    /// Measures how the metrics grow with the rows that are learnt. Every repeat, a fold or rows that are held
    /// out, has an order of its own in which rows are learnt, with each class in proportion: what a share learns, a
    /// larger one learns too.
    ///
    /// The run that comes back has the mean of each metric over the repeats with the number of rows as its step,
    /// `std_f1` and so on beside it, and the curve as artifacts.
    ///
    /// # Errors
    /// As [`Book::cross_validate`]; shares that make no curve, a metric that is not measured, and fewer examples
    /// than a curve takes.
    pub fn learning_curve(
        &self,
        fit: &dyn Fit,
        request: &LearningCurveRequest,
        monitor: &Monitor,
    ) -> Result<(Run, LearningCurve)> {
        request.check()?;
        let train_request = TrainRequest { model: None, ..self.named(&request.train)? };
        let train = self.datasets().split(&train_request.dataset, "train")?;
        let repeats = request.repeats(&train, train_request.seed)?;
        let orders: Vec<LearningOrder> = repeats
            .iter()
            .zip(0..)
            .map(|(rows, repeat)| {
                LearningOrder::new(&train, rows, train_request.seed.wrapping_add(repeat))
            })
            .collect();
        let shares: Vec<f64> = request
            .shares
            .iter()
            .copied()
            .filter(|share| orders.iter().all(|order| order.least(*share) >= MIN_EXAMPLES))
            .collect();
        if shares.len() < 2 {
            return Err(Error::invalid(format!(
                "{} leave fewer than {MIN_EXAMPLES} of a class in all shares but the last: a learning curve \
                 takes more",
                figure::counted(train.labels.len(), "training row")
            ))
            .with_hint("add examples; --cv with more folds leaves more of them to learn"));
        }
        let mut new = self.new_run(fit, &train_request)?;
        let told: Vec<String> = shares.iter().map(f64::to_string).collect();
        new.params.insert(CURVE_PARAM.to_owned(), told.join(","));
        let is_held_out = train_request.validation_size.is_some();
        if !is_held_out {
            new.params.insert(CV_PARAM.to_owned(), repeats.len().to_string());
        }
        let run = self.begin(new)?;
        self.in_run(&run, || {
            let registry = self.tracker()?;
            let prefix = if is_held_out { VALIDATION_PREFIX } else { "" };
            // Steps of single trainings are no shares.
            let quiet = Monitor { interrupt: monitor.interrupt.clone(), ..Monitor::silent() };
            let n_steps = (shares.len() * repeats.len()) as u64;
            let points = monitor.stage("learning curve", Some(n_steps), || {
                let mut points = Vec::new();
                for share in &shares {
                    let (mut folds, mut n_rows) = (Vec::new(), 0);
                    for (rows, order) in repeats.iter().zip(&orders) {
                        monitor.interrupt.check()?;
                        let rows = rows.learning(|row| order.is_learnt(row, *share));
                        n_rows += rows.others().len();
                        let metrics = measured(fit, &train, &rows, &quiet).map_err(|error| {
                            let n_rows = figure::counted(rows.others().len(), "row");
                            error.with_context(format!("learning {n_rows}"))
                        })?;
                        folds.push(metrics);
                        monitor.progress.advance(1);
                    }
                    let n_rows = n_rows as f64 / repeats.len() as f64;
                    let point = request.point(*share, n_rows, &folds)?;
                    monitor.progress.note(&format!("{} {:.4}", request.metric, point.mean));
                    points.push(point);
                    let CrossValidation { mean, std, .. } = CrossValidation::of(folds, Vec::new());
                    let mut all = mean;
                    all.extend(prefixed(STD_PREFIX, &std));
                    registry.log(&run.run_id, &logged(&prefixed(prefix, &all), n_rows as i64))?;
                }
                Ok::<_, Error>(points)
            })?;
            let n_rows = train.labels.len();
            let curve = LearningCurve::of(&request.metric, points, n_rows, train_request.seed);
            let json = serde_json::to_vec_pretty(&curve).expect("string keys and plain values");
            registry.log_artifact(&run.run_id, CURVE_ARTIFACT, &json)?;
            let svg = learning_curve_plot(&curve).draw().svg;
            registry.log_artifact(&run.run_id, "learning_curve.svg", svg.as_bytes())?;
            registry.finish_run(&run.run_id, RunStatus::Finished, now_ms())?;
            Ok((registry.run(&run.run_id)?, curve))
        })
    }
}

impl LearningCurveRequest {
    /// The rows of each repeat: those that can be learnt, and those that are measured.
    fn repeats(&self, train: &Split, seed: u64) -> Result<Vec<FoldRows>> {
        let Some(share) = self.train.validation_size else {
            return fold_rows(train, self.n_folds, seed);
        };
        (0..N_REPEATS as u64)
            .map(|repeat| {
                let Holdout { train: learnt, valid } =
                    Holdout::new(train, share, seed.wrapping_add(repeat))?;
                Ok(FoldRows::new(learnt, valid))
            })
            .collect()
    }

    fn point(
        &self,
        share: f64,
        n_rows: f64,
        folds: &[BTreeMap<String, f64>],
    ) -> Result<CurvePoint> {
        let values: Option<Vec<f64>> =
            folds.iter().map(|metrics| metrics.get(&self.metric).copied()).collect();
        let values = values.ok_or_else(|| {
            let names: Vec<&str> =
                folds.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
            let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
            Error::invalid(format!(
                "metric {:?} is not measured; there are {}",
                self.metric,
                names.into_iter().collect::<Vec<_>>().join(", ")
            ))
        })?;
        Ok(CurvePoint::new(share, n_rows, values))
    }
}

/// Trains on the rows to be learnt and measures the others.
fn measured(
    fit: &dyn Fit,
    train: &Split,
    rows: &FoldRows,
    monitor: &Monitor,
) -> Result<BTreeMap<String, f64>> {
    let Fold { labels, probabilities, .. } =
        fit_fold(fit, train, rows, monitor, &mut |_, _, _| Ok(()))?;
    let evaluation = evaluate(&labels, probabilities.values(), &train.classes)?;
    Ok(evaluation.metrics().into_iter().collect())
}

/// The order in which the rows of a repeat are learnt, within each class.
struct LearningOrder {
    /// For each row of the split its class and its rank there; none for a row that is measured.
    ranks: Vec<Option<(usize, usize)>>,
    /// Rows of each class that can be learnt.
    n_of_class: Vec<usize>,
}

impl LearningOrder {
    fn new(train: &Split, rows: &FoldRows, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut ranks = vec![None; train.labels.len()];
        let mut n_of_class = Vec::with_capacity(train.classes.len());
        for class_idx in 0..train.classes.len() {
            let is_of_class = |row: &&usize| train.labels[**row] as usize == class_idx;
            let mut members: Vec<usize> =
                rows.others().iter().filter(is_of_class).copied().collect();
            random.shuffle(&mut members);
            for (rank, row) in members.iter().enumerate() {
                ranks[*row] = Some((class_idx, rank));
            }
            n_of_class.push(members.len());
        }
        Self { ranks, n_of_class }
    }

    /// Rows of a class that a share learns.
    fn bound(&self, class_idx: usize, share: f64) -> usize {
        (self.n_of_class[class_idx] as f64 * share).round() as usize
    }

    /// Rows that a share learns of the rarest class.
    fn least(&self, share: f64) -> usize {
        let bounds = (0..self.n_of_class.len()).map(|class_idx| self.bound(class_idx, share));
        bounds.min().unwrap_or(0)
    }

    fn is_learnt(&self, row: usize, share: f64) -> bool {
        self.ranks[row].is_some_and(|(class_idx, rank)| rank < self.bound(class_idx, share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fingerprint;

    #[test]
    fn shares_are_nested_and_have_the_classes_in_proportion() {
        let labels: Vec<u32> = (0..400).map(|row| u32::from(row % 4 == 0)).collect();
        let train = Split {
            name: "train".to_owned(),
            texts: labels.iter().map(|_| "a text".to_owned()).collect(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            fingerprint: Fingerprint {
                sha256: String::new(),
                n_rows: labels.len(),
                class_counts: vec![],
            },
            labels,
        };
        let request = LearningCurveRequest::new("x");
        for (repeat, rows) in request.repeats(&train, 7).unwrap().iter().enumerate() {
            let order = LearningOrder::new(&train, rows, repeat as u64);
            let learnt = |share: f64| -> Vec<usize> {
                rows.learning(|row| order.is_learnt(row, share)).others().to_vec()
            };
            for pair in request.shares.windows(2) {
                let (small, large) = (learnt(pair[0]), learnt(pair[1]));
                assert!(small.iter().all(|row| large.contains(row)), "nested");
                assert_eq!(small.len(), (320.0 * pair[0]) as usize);
                let n_minor = small.iter().filter(|row| train.labels[**row] == 1).count();
                assert_eq!(n_minor, (80.0 * pair[0]) as usize);
            }
            assert_eq!(learnt(1.0), rows.others());
            assert!(learnt(1.0).iter().all(|row| !rows.own().contains(row)));
        }
        let other = LearningCurveRequest {
            train: TrainRequest { validation_size: Some(0.25), ..TrainRequest::new("x") },
            ..request
        };
        let repeats = other.repeats(&train, 7).unwrap();
        assert_eq!((repeats.len(), repeats[0].own().len()), (5, 100));
        assert_ne!(repeats[0].own(), repeats[1].own(), "other rows are held out");
    }

    #[test]
    fn shares_that_make_no_curve_are_refused() {
        for shares in [vec![], vec![1.0], vec![0.5, 0.25], vec![0.0, 1.0], vec![0.5, 1.5]] {
            let request = LearningCurveRequest { shares, ..LearningCurveRequest::new("x") };
            let error = request.check().unwrap_err().to_string();
            assert!(error.contains("expected two or more, growing"), "{error}");
        }
    }
}
