//! How far what a version is asked has moved from what it was judged by, from the log in the store.

use maud::html;
use trialbook::{
    book::{Book, DriftRequest, DriftSource, now_ms},
    figure,
    monitor::drift::DriftOptions,
    progress::Monitor,
    registry::{ModelReference, Registry, VersionSelector},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{model_url, version_url},
    shell::Tab,
    told, version,
};

/// Windows of time that can be chosen: in the URL, for people, in milliseconds.
const WINDOWS: [(&str, &str, i64); 4] = [
    ("1d", "last day", 24 * 60 * 60_000),
    ("1h", "last hour", 60 * 60_000),
    ("7d", "last 7 days", 7 * 24 * 60 * 60_000),
    ("30d", "last 30 days", 30 * 24 * 60 * 60_000),
];

/// `GET /ui/models/{name}/{version}/drift?window=7d`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = version::find(registry, asked)?;
    let chosen = asked.query.get("window");
    let window = WINDOWS.iter().find(|(name, ..)| chosen == Some(*name)).unwrap_or(&WINDOWS[0]);
    let model = ModelReference {
        model: version.model.clone(),
        version: VersionSelector::Number(version.version),
    };
    let book = Book::with_store(registry.store().clone());
    let source = DriftSource::Log { from_ms: now_ms().saturating_sub(window.2) };
    let request = DriftRequest { model, source, options: DriftOptions::default() };
    // Making a profile takes as long as an evaluation, and is for a terminal.
    let found = match book.kept_profile(&version)? {
        Some(found) => book.drift_so_far(&version, found, &request, &Monitor::silent()),
        None => Err(Book::without_profile(&version)),
    };
    let report = match found {
        Ok(report) => Ok((report.to_output(), report.computed_ms)),
        Err(error) if asked.json => return Err(error.into()),
        Err(error) => Err(error),
    };
    if let Ok((output, _)) = report.as_ref()
        && asked.json
    {
        return Ok(Answer::Json(output.json().clone()));
    }
    let url = version_url(&version.model, version.version);
    let title = format!("Drift of {}", version.reference());
    let body = html! {
        p.crumbs {
            a href="/ui/models" { "Models" } " / " a href=(model_url(&version.model)) { (version.model) }
            " / " a href=(url) { "version " (version.version) }
        }
        h1 { (title) }
        form.bar method="get" action=(format!("{url}/drift")) data-auto="" {
            label { "Time"
                select name="window" {
                    @for (name, words, _) in WINDOWS {
                        option value=(name) selected[name == window.0] { (words) }
                    }
                }
            }
            noscript { button type="submit" { "Show" } }
        }
        @match &report {
            Ok((output, computed_ms)) => {
                (told::output(output))
                p.quiet { "Compared at " (figure::time(*computed_ms)) " (UTC)" }
            }
            Err(error) => div.card.empty {
                p { (error) }
                @if let Some(hint) = error.hint() {
                    p.quiet { (hint.spelled(trialbook::hint::Spelling::Program)) }
                }
            },
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, title, body)))
}
