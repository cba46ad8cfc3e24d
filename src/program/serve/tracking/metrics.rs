//! `metrics/…`: histories, whole, of several runs, and thinned for charts.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trialbook::registry::{Metric, Page};

use super::{
    call::{CallAnswer, RestCall},
    experiments::listing,
    fields::missing,
    shapes, token,
    wire::WireRefusal,
};

/// Points of one answer at most.
const MAX_POINTS: usize = 25_000;
const MAX_BULK_RUNS: usize = 100;
const MAX_INTERVAL_POINTS: usize = 2_500;

/// The points of a run's metric; one that was sent twice counts once.
fn history(call: &RestCall, run_id: &str, key: &str) -> Result<Vec<Metric>, WireRefusal> {
    let mut points = call.registry.metric_history(run_id, key)?;
    points.dedup_by(|a, b| {
        (a.step, a.timestamp_ms, a.value.to_bits()) == (b.step, b.timestamp_ms, b.value.to_bits())
    });
    Ok(points)
}

pub(super) fn get_history(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?;
    let points = history(call, run_id, call.fields.required("metric_key")?)?;
    let limit = call.fields.max_results(Some(usize::MAX), usize::MAX)?;
    let page =
        token::page(call.fields.text("page_token")?, limit.min(MAX_POINTS.max(points.len())))?;
    let (from, to) = (page.skip.min(points.len()), (page.skip + page.limit).min(points.len()));
    let next = (to < points.len()).then_some(Page { skip: to, ..page });
    let points = points[from..to].iter().map(|point| shapes::metric(point, None)).collect();
    Ok(listing("metrics", points, token::of(next)))
}

fn run_ids(call: &RestCall, name: &str) -> Result<Vec<String>, WireRefusal> {
    let run_ids = call.fields.texts(name)?;
    if run_ids.is_empty() {
        return Err(missing(name));
    }
    if run_ids.len() > MAX_BULK_RUNS {
        return Err(WireRefusal::invalid(format!(
            "{} runs: at most {MAX_BULK_RUNS} are answered together",
            run_ids.len()
        )));
    }
    Ok(run_ids)
}

pub(super) fn get_history_bulk(call: &mut RestCall) -> CallAnswer {
    let key = call.fields.required("metric_key")?;
    let limit = call.fields.max_results(Some(MAX_POINTS), MAX_POINTS)?;
    let mut points: Vec<Value> = Vec::new();
    let mut run_ids = run_ids(call, "run_id")?;
    run_ids.sort();
    for run_id in run_ids {
        let of_run = history(call, &run_id, key)?;
        let rest = limit - points.len();
        points.extend(of_run.iter().take(rest).map(|point| shapes::metric(point, Some(&run_id))));
    }
    Ok(json!({ "metrics": points }))
}

pub(super) fn get_history_bulk_interval(call: &mut RestCall) -> CallAnswer {
    let key = call.fields.required("metric_key")?;
    let wanted = call.fields.max_results(Some(MAX_INTERVAL_POINTS), MAX_INTERVAL_POINTS)?;
    let (first, last) = (call.fields.int("start_step")?, call.fields.int("end_step")?);
    if first.is_some() != last.is_some() {
        return Err(WireRefusal::invalid("start_step and end_step come together, or neither does"));
    }
    let (first, last) = (first.unwrap_or(i64::MIN), last.unwrap_or(i64::MAX));
    if first > last {
        return Err(WireRefusal::invalid(format!(
            "end_step must be greater than or equal to start_step. Found start_step={first} and \
             end_step={last}"
        )));
    }
    let mut of_runs = Vec::new();
    let mut steps = BTreeSet::new();
    for run_id in run_ids(call, "run_ids")? {
        let mut points = history(call, &run_id, key)?;
        points.retain(|point| (first..=last).contains(&point.step));
        steps.extend(points.iter().map(|point| point.step));
        of_runs.push((run_id, points));
    }
    // Steps of all runs at equal distances, and of each run its last one in any case.
    let steps: Vec<i64> = steps.into_iter().collect();
    let stride = steps.len().div_ceil(wanted).max(1);
    let sampled: BTreeSet<i64> = steps.iter().copied().step_by(stride).collect();
    let mut answer = Vec::new();
    for (run_id, points) in &of_runs {
        let last = points.last().map(|point| point.step);
        let kept =
            points.iter().filter(|point| sampled.contains(&point.step) || Some(point.step) == last);
        answer.extend(kept.map(|point| shapes::metric(point, Some(run_id))));
    }
    Ok(json!({ "metrics": answer }))
}
