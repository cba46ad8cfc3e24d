//! What was predicted, from the log: how much, which labels, how sure, how fast, by which version.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    book::now_ms,
    figure,
    monitor::{PredictionRecord, PredictionStats, read_latest_predictions},
    plot::{Chart, Series},
    registry::Registry,
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    chart::chart,
    failure::PageFailure,
    part::{kept, reference_link, time},
    shell::Tab,
};

const PATH: &str = "/ui/predictions";
/// The end of the log that is read: some thirty thousand predictions.
const MAX_LOG_BYTES: u64 = 8 << 20;
/// The newest predictions that are listed.
const N_NEWEST: usize = 25;
/// Columns of the picture of the rate.
const N_BINS: usize = 60;
const LIVE_MS: u32 = 5_000;
/// Windows of time that can be chosen: in the URL, for people, in milliseconds.
const WINDOWS: [(&str, &str, i64); 4] = [
    ("15m", "last 15 minutes", 15 * 60_000),
    ("1h", "last hour", 60 * 60_000),
    ("1d", "last day", 24 * 60 * 60_000),
    ("7d", "last 7 days", 7 * 24 * 60 * 60_000),
];

pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let query = &asked.query;
    let latest = read_latest_predictions(&registry.store().logs_dir(), MAX_LOG_BYTES)?;
    let window = WINDOWS.iter().find(|(name, _, _)| query.get("window") == Some(*name));
    let since_ms = window.map_or(i64::MIN, |(_, _, ms)| now_ms().saturating_sub(*ms));
    let model = query.get("model");
    let models = PredictionStats::by_model(&latest.records);
    let records: Vec<PredictionRecord> = latest
        .records
        .into_iter()
        .filter(|record| record.timestamp_ms >= since_ms)
        .filter(|record| model.is_none_or(|model| model == record.model))
        .collect();
    let stats = PredictionStats::of(&records);
    if asked.json {
        let json = json!({"statistics": stats, "n_unreadable": latest.n_unreadable});
        return Ok(Answer::Json(json));
    }
    let body = html! {
        h1 { "Predictions" }
        p.crumbs { a href="/ui/label" { "Label predictions" } " · " a href="/ui/performance" { "Performance by true labels" } }
        form.bar method="get" action=(PATH) data-auto="" {
            (kept(query, &["window", "model"]))
            label { "Time"
                select name="window" {
                    option value="" { "all that is read" }
                    @for (name, title, _) in WINDOWS {
                        option value=(name) selected[query.get("window") == Some(name)] { (title) }
                    }
                }
            }
            label { "Model"
                select name="model" {
                    option value="" { "all" }
                    @for name in models.keys() {
                        option value=(name) selected[model == Some(name)] { (name) }
                    }
                }
            }
            noscript { button type="submit" { "Show" } }
        }
        div #predictions-live data-part="" {
            @if records.is_empty() {
                div.card.empty { p { "No predictions here. A server logs what it answers:" } pre tabindex="0" { code { "trialbook serve" } } }
            } @else {
                (figures(&stats))
                (charts(&records, &stats))
                (tables(&records, &stats))
            }
        }
        p.quiet { "From the end of the log; SQL sees all of it: " code { "select * from predictions" } }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Predictions, "Predictions", body).live(LIVE_MS)))
}

fn figures(stats: &PredictionStats) -> Markup {
    let span_s = match (stats.from_ms, stats.to_ms) {
        (Some(from_ms), Some(to_ms)) if to_ms > from_ms => millis_between(from_ms, to_ms) / 1e3,
        _ => 0.0,
    };
    let rate = if span_s > 0.0 { stats.n_predictions as f64 / span_s } else { 0.0 };
    html! {
        dl.facts {
            div { dt { "Predictions" } dd { (figure::count(stats.n_predictions)) } }
            div { dt { "A second, on average" } dd { (figure::metric(rate)) } }
            div { dt { "Mean confidence" } dd { (format!("{:.1} %", stats.confidence.mean * 100.0)) } }
            div { dt { "Latency, median" } dd { (format!("{:.2} ms", stats.latency_ms.p50)) } }
            div { dt { "Latency, p95" } dd { (format!("{:.2} ms", stats.latency_ms.p95)) } }
            div { dt { "Latency, p99" } dd { (format!("{:.2} ms", stats.latency_ms.p99)) } }
            @if let Some(at_ms) = stats.to_ms { div { dt { "Last (UTC)" } dd { (time(at_ms)) } } }
        }
    }
}

fn charts(records: &[PredictionRecord], stats: &PredictionStats) -> Markup {
    let of = |value: fn(&PredictionRecord) -> f64| -> Vec<Option<f64>> {
        records.iter().map(|record| Some(value(record))).collect()
    };
    let labels = stats.labels.iter();
    let (names, counts): (Vec<String>, Vec<f64>) =
        labels.map(|(label, n)| (label.clone(), *n as f64)).unzip();
    let bars = Chart::bars(names, vec![("predictions".to_owned(), counts)]);
    html! {
        div.charts {
            (chart(&rate(records, stats)))
            (chart(&bars.title("Labels").axes("label", "predictions")))
            (chart(&Chart::histogram("confidence", &of(|record| record.confidence)).title("Confidence")))
            (chart(&Chart::histogram("latency in ms", &of(|record| record.latency_ms)).title("Latency")))
        }
    }
}

/// Predictions in each of equal parts of the time.
fn rate(records: &[PredictionRecord], stats: &PredictionStats) -> Chart {
    let from_ms = stats.from_ms.unwrap_or_default();
    let span_ms = millis_between(from_ms, stats.to_ms.unwrap_or(from_ms)).max(1.0);
    let mut counts = [0_u32; N_BINS];
    for record in records {
        let share = millis_between(from_ms, record.timestamp_ms) / span_ms;
        let idx = ((share * N_BINS as f64) as usize).min(N_BINS - 1);
        counts[idx] += 1;
    }
    let bin_s = span_ms / N_BINS as f64 / 1e3;
    let points =
        counts.iter().enumerate().map(|(idx, n)| ((idx as f64 + 0.5) * bin_s, f64::from(*n)));
    Chart::lines(vec![Series::new("predictions", points.collect())])
        .title(format!("Rate: predictions in {}", figure::seconds(bin_s)))
        .axes("seconds since the first", "predictions")
}

/// The time between two moments, also of clocks that jumped by more than a number has room for.
fn millis_between(from_ms: i64, to_ms: i64) -> f64 {
    to_ms as f64 - from_ms as f64
}

fn tables(records: &[PredictionRecord], stats: &PredictionStats) -> Markup {
    html! {
        div.columns {
            section {
                h2 { "Versions" }
                table.pairs {
                    @for (version, n) in &stats.versions {
                        tr { th scope="row" { (reference_link(version)) } td.number { (figure::count(*n)) } }
                    }
                }
            }
            section {
                h2 { "Labels" }
                table.pairs {
                    @for (label, n) in &stats.labels {
                        tr {
                            th scope="row" { (label) } td.number { (figure::count(*n)) }
                            td.number { (format!("{:.1} %", *n as f64 / stats.n_predictions.max(1) as f64 * 100.0)) }
                        }
                    }
                }
            }
        }
        section {
            h2 { "Newest" }
            div.scroll tabindex="0" role="region" aria-label="Newest predictions" {
                table.grid {
                    thead { tr {
                        th scope="col" { "When (UTC)" } th scope="col" { "Version" } th scope="col" { "Label" }
                        th.number scope="col" { "Confidence" } th.number scope="col" { "Latency" }
                        th.number scope="col" { "Letters" } th scope="col" { "Request" }
                    } }
                    tbody {
                        @for record in records.iter().rev().take(N_NEWEST) {
                            tr {
                                td.nowrap { (time(record.timestamp_ms)) }
                                td { (reference_link(&format!("{}/{}", record.model, record.version))) }
                                td { (record.label) }
                                td.number { (format!("{:.1} %", record.confidence * 100.0)) }
                                td.number { (format!("{:.2} ms", record.latency_ms)) }
                                td.number { (figure::count(record.n_chars)) }
                                td { code { (figure::short(&record.request_id)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prediction_is_in_one_part_of_the_time() {
        let record = |timestamp_ms| PredictionRecord {
            timestamp_ms,
            request_id: "r".to_owned(),
            model: "M".to_owned(),
            version: 1,
            label: "a".to_owned(),
            confidence: 0.5,
            latency_ms: 1.0,
            n_chars: 3,
            ..PredictionRecord::default()
        };
        for times in [vec![5], vec![0, 0, 0], (0..1_000).collect(), vec![i64::MIN, 0, i64::MAX]] {
            let records: Vec<_> = times.iter().map(|at_ms| record(*at_ms)).collect();
            let table = rate(&records, &PredictionStats::of(&records)).table();
            let total: f64 = table.rows().iter().map(|row| row[2].parse::<f64>().unwrap()).sum();
            assert_eq!(total, times.len() as f64);
        }
    }
}
