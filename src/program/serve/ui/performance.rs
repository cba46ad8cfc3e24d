//! How good the answers were, by the true labels that came since, beside what was expected without labels. What
//! is measured, the room of monitoring decides; a page looks at the end of the log.

use maud::html;
use serde_json::json;
use trialbook::{
    book::Book,
    monitor::{PerformanceRequest, WindowSize},
    registry::Registry,
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    shell::Tab,
    told,
};
use crate::serve::state::ServerState;

/// The end of the log that is read: some hundred and twenty thousand predictions.
const MAX_LOG_BYTES: u64 = 32 << 20;
const LIVE_MS: u32 = 15_000;
const DAY: WindowSize = WindowSize::Milliseconds(86_400_000);

/// `GET /ui/performance`.
pub(super) fn page(
    state: &ServerState,
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    let window = asked.query.get("window").map(str::parse).transpose()?.unwrap_or(DAY);
    let request = PerformanceRequest {
        model: asked.query.get("model").map(str::to_owned),
        from_ms: i64::MIN,
        latest_bytes: Some(MAX_LOG_BYTES),
        window,
    };
    let book = Book::with_store(registry.store().clone());
    let report =
        book.performance_of(&request, |model, version| state.classes_of(model, version))?;
    if asked.json {
        return Ok(Answer::Json(json!(report)));
    }
    let body = html! {
        p.crumbs { a href="/ui/predictions" { "Predictions" } }
        h1 { "Performance by true labels" }
        form.bar method="get" action="/ui/performance" {
            label { "Window" input type="text" name="window" size="8" value=(asked.query.get("window").unwrap_or("1d")); }
            @if let Some(model) = &request.model { input type="hidden" name="model" value=(model); }
            button type="submit" { "Show" }
            a.button.main href="/ui/label" { "Label predictions" }
        }
        div #performance-live data-part="" { (told::output(&report.to_output())) }
        p.quiet { "From the end of the log; all of it: " code { "trialbook monitor performance" } }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Predictions, "Performance", body).live(LIVE_MS)))
}
