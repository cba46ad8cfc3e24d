//! The release of a model as part of its page: how it stands, what both versions did, which checks hold, and
//! a button that ends it. Starting one and going on with it is for commands.

use maud::{Markup, html};
use serde_json::{Value, json};
use trialbook::{
    Book,
    gate::{self, ReleaseStatus},
    monitor::read_release_counts,
    registry::{Registry, Release},
};

use super::{
    answer::{Answer, PageRequest},
    failure::PageFailure,
    part::{model_url, time, version_url},
    told,
};

/// The newest part of the log of predictions that a page waits for.
const MAX_BYTES: u64 = 8 << 20;

/// `release` with what the servers of this store counted, and what their logs say.
fn status(registry: &Registry, release: Release) -> Result<ReleaseStatus, PageFailure> {
    let (counts, n_servers) = read_release_counts(&registry.store().logs_dir(), &release.id)?;
    // What cannot be read is not known: the page says so in its checks.
    let book = Book::with_store(registry.store().clone());
    let logged = book
        .release_reader(&release, None)
        .and_then(|reader| reader.read(&release, MAX_BYTES))
        .unwrap_or_default();
    Ok(ReleaseStatus::new(release, &counts, n_servers, &logged))
}

/// The newest release of `model`; nothing where it never had one.
pub(super) fn panel(registry: &Registry, model: &str) -> Result<Markup, PageFailure> {
    let Some(release) = registry.release(model)? else { return Ok(html! {}) };
    let status = status(registry, release)?;
    let release = &status.release;
    let url = model_url(model);
    Ok(html! {
        h2 #release { "Release" }
        div.card {
            p.quiet {
                "Started by " (release.started_by) ", " (time(release.started_ms)) " (UTC); candidate "
                a href=(version_url(model, release.candidate)) { "version " (release.candidate) } "."
            }
            (told::output(&status.to_output()))
            @if release.is_running() {
                form method="post" action=(format!("{url}/stop-release")) {
                    label for="stop-reason" { "Reason" }
                    input #stop-reason type="text" name="reason" maxlength="500" autocomplete="off";
                    p.actions { button type="submit" { "Stop the release" } }
                }
            }
        }
    })
}

/// `POST …/stop-release`.
pub(super) fn stop(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let model = registry.model(asked.param("name"))?.name;
    let reason = asked.form.get("reason").unwrap_or_default();
    let running = registry.release(&model)?.filter(Release::is_running);
    let evidence = match running {
        Some(release) => status(registry, release)?.evidence(),
        None => Value::Null,
    };
    let done = gate::stop_release(registry, &model, &asked.who, reason, evidence)?;
    if asked.json {
        return Ok(Answer::Json(json!(done)));
    }
    Ok(Answer::See { url: format!("{}#release", model_url(&model)), cookie: None })
}
