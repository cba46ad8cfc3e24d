//! The floor for slices: the candidate on each slice that a policy names, and the judging of it. Texts and
//! predictions are handed in.

use super::{
    checks::{SliceFloorCheck, SliceMetric},
    judgement::Check,
};
use crate::{
    error::Result,
    evaluate::{RowFeatures, SliceMetrics, SlicedPredictions},
    figure,
};

/// A slice that a policy asks about.
#[derive(Debug, Clone, PartialEq)]
pub struct FloorSlice {
    /// The slice as it is written, or the feature that has none.
    pub name: String,
    /// The candidate on it; or why that is not known.
    pub measured: Result<SliceMetrics, String>,
}

/// The candidate on every slice that `check` names, then on those of its features.
pub fn floor_slices(
    check: &SliceFloorCheck,
    predictions: &SlicedPredictions<'_>,
    features: &RowFeatures<'_>,
) -> Vec<FloorSlice> {
    let named = check.slices.iter().map(|slice| FloorSlice {
        name: slice.to_string(),
        measured: predictions.measure(slice, features).map_err(|error| error.to_string()),
    });
    let mut found: Vec<FloorSlice> = named.collect();
    for feature in &check.by {
        let of_feature = std::slice::from_ref(feature);
        let why = match predictions.measure_by(of_feature, features, check.min_rows) {
            Ok((slices, _)) if slices.is_empty() => {
                format!("none of its values is in {}", figure::counted(check.min_rows, "row"))
            }
            Ok((slices, _)) => {
                found.extend(slices.into_iter().map(|metrics| FloorSlice {
                    name: metrics.slice.to_string(),
                    measured: Ok(metrics),
                }));
                continue;
            }
            Err(error) => error.to_string(),
        };
        found.push(FloorSlice { name: feature.to_string(), measured: Err(why) });
    }
    found
}

/// One check for each slice; one for all of them where they were not measured.
pub(super) fn slice_floors(
    check: &SliceFloorCheck,
    measured: Result<&[FloorSlice], &str>,
) -> Vec<Check> {
    match measured {
        Ok(slices) => slices.iter().map(|slice| floor(check, slice)).collect(),
        Err(why) => vec![unknown(check, format!("{} of every slice", check.metric.as_str()), why)],
    }
}

fn floor(check: &SliceFloorCheck, FloorSlice { name, measured }: &FloorSlice) -> Check {
    let (metric, min) = (check.metric.as_str(), check.min);
    let name = format!("{metric} of {name}");
    let metrics = match measured {
        Ok(metrics) => metrics,
        Err(why) => return unknown(check, name, why),
    };
    if metrics.n_rows < check.min_rows {
        let why = format!(
            "it has {}, and {} are needed",
            figure::counted(metrics.n_rows, "row"),
            figure::count(check.min_rows)
        );
        return unknown(check, name, &why);
    }
    let n_rows = figure::counted(metrics.n_rows, "row");
    let (found, told) = match (check.metric, metrics.f1) {
        (SliceMetric::Accuracy, _) => {
            let (lower, upper) = (metrics.accuracy_lower, metrics.accuracy_upper);
            let interval =
                format!("{n_rows}, 95 % {} to {}", figure::metric(lower), figure::metric(upper));
            (metrics.accuracy, interval)
        }
        (SliceMetric::F1, Some(f1)) => (f1, n_rows),
        (SliceMetric::F1, None) => {
            let class = metrics.only_class.as_deref().unwrap_or_default();
            return unknown(check, name, &format!("all its rows are labelled {class}"));
        }
    };
    let passed = found >= min;
    let relation = if passed { "is at least" } else { "is below" };
    Check {
        reason: Some(format!("{name} {} ({told}) {relation} {min}", figure::metric(found))),
        name: format!("{name} >= {min}"),
        candidate: Some(found),
        required: Some(min),
        passed,
        level: check.level,
    }
}

/// A check without what it needs: it is not met.
fn unknown(check: &SliceFloorCheck, name: String, why: &str) -> Check {
    Check {
        reason: Some(format!("{name} cannot be judged: {why}")),
        name,
        candidate: None,
        required: Some(check.min),
        passed: false,
        level: check.level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{CellValues, ColumnCells},
        gate::PolicyChecks,
    };

    fn check(text: &str) -> SliceFloorCheck {
        PolicyChecks::parse(&format!("[slice_floor]\n{text}")).unwrap().slice_floor.unwrap()
    }

    /// 100 rows, 60 of drama and 40 of war. Of drama 6 are wrong, of war 10, whose rows are all
    /// positive.
    fn judged(text: &str) -> Vec<Check> {
        let texts: Vec<String> = (0..100).map(|row| format!("film {row}")).collect();
        let is_war = |row: usize| row >= 60;
        let labels: Vec<u32> = (0..100).map(|row| u32::from(is_war(row) || row % 2 == 0)).collect();
        let is_wrong = |row: usize| if is_war(row) { row < 70 } else { row < 6 };
        let predicted: Vec<u32> =
            (0..100).map(|row| labels[row] ^ u32::from(is_wrong(row))).collect();
        let genres = (0..100).map(|row| Some(if is_war(row) { "war" } else { "drama" }.to_owned()));
        let genre =
            ColumnCells { name: "genre".into(), values: CellValues::Texts(genres.collect()) };
        let features = RowFeatures::new(&texts, None, vec![genre]).unwrap();
        let classes = ["neg", "pos"].map(str::to_owned);
        let predictions = SlicedPredictions::new(&labels, &predicted, &classes).unwrap();
        let check = check(text);
        let slices = floor_slices(&check, &predictions, &features);
        slice_floors(&check, Ok(&slices))
    }

    fn outcomes(checks: &[Check]) -> Vec<(&str, bool)> {
        checks.iter().map(|check| (check.name.as_str(), check.passed)).collect()
    }

    #[test]
    fn each_slice_holds_its_line() {
        for (min, expected) in [("0.75", true), ("0.7500001", false)] {
            let found = judged(&format!("min = {min}\nslices = [\"genre=war\"]\nmin_rows = 40"));
            let name = format!("accuracy of genre=war >= {min}");
            assert_eq!(outcomes(&found), [(name.as_str(), expected)]);
        }
        let found = judged("min = 0.8\nby = [\"genre\"]\nmin_rows = 20");
        let expected =
            [("accuracy of genre=drama >= 0.8", true), ("accuracy of genre=war >= 0.8", false)];
        assert_eq!(outcomes(&found), expected);
        let reason = found[1].reason.as_deref().unwrap();
        let expected = "accuracy of genre=war 0.7500 (40 rows, 95 % 0.5981 to 0.8581) is below 0.8";
        assert_eq!(reason, expected);
        // War is in 40 rows alone.
        let found = judged("min = 0.8\nby = [\"genre\"]");
        assert_eq!(outcomes(&found), [("accuracy of genre=drama >= 0.8", true)]);
        let found = judged("metric = \"f1\"\nmin = 0.9\nslices = [\"genre=drama\"]");
        assert_eq!(outcomes(&found), [("f1 of genre=drama >= 0.9", true)]);
    }

    #[test]
    fn what_is_not_known_is_not_met() {
        for (text, expected) in [
            (
                "slices = [\"genre=war\"]\nmin_rows = 41",
                "accuracy of genre=war cannot be judged: it has 40 rows, and 41 are needed",
            ),
            (
                "metric = \"f1\"\nslices = [\"genre=war\"]\nmin_rows = 9",
                "f1 of genre=war cannot be judged: all its rows are labelled pos",
            ),
            (
                "slices = [\"genre=opera\"]",
                "accuracy of genre=opera cannot be judged: no row is in the slice genre=opera",
            ),
            (
                "slices = [\"year>1990\"]",
                "accuracy of year>1990 cannot be judged: no column \"year\" of numbers or text: found genre",
            ),
            (
                "by = [\"unknown\"]",
                "accuracy of unknown cannot be judged: unknown words cannot be told: the model has no \
                 vocabulary",
            ),
            (
                "by = [\"genre\"]\nmin_rows = 61",
                "accuracy of genre cannot be judged: none of its values is in 61 rows",
            ),
        ] {
            let found = judged(&format!("min = 0.1\n{text}"));
            assert_eq!(found[0].reason.as_deref().unwrap(), expected);
            assert!(!found[0].passed && found.len() == 1, "{found:?}");
        }
        let found = slice_floors(&check("min = 0.1\nby = [\"length\"]"), Err("no such dataset"));
        let expected = "accuracy of every slice cannot be judged: no such dataset";
        assert_eq!(found[0].reason.as_deref().unwrap(), expected);
    }
}
