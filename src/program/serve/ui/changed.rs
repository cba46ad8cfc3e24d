//! Which test examples two models answer differently: their versions are asked again about the test split
//! that both were measured on, since runs keep no answers.

use maud::{Markup, html};
use trialbook::{
    data::Datasets,
    figure, model,
    registry::{ModelVersion, Registry, Run},
};

use super::{failure::PageFailure, part::kept, query::Query};

/// The most examples that are asked about.
const MAX_EXAMPLES: usize = 50_000;
/// The most examples that are shown.
const MAX_SHOWN: usize = 100;
/// The most letters of a text that are shown.
const MAX_CHARS: usize = 280;

/// An example whose answer changed sides.
struct Changed {
    text: String,
    truth: String,
    before: String,
    after: String,
}

/// The section of a comparison; a button where it was not asked for, since asking takes a while.
pub(super) fn section(
    registry: &Registry,
    query: &Query,
    runs: &[Run],
) -> Result<Markup, PageFailure> {
    let [before, after, ..] = runs else { return Ok(html! {}) };
    let (Some(first), Some(second)) = (version(registry, before)?, version(registry, after)?)
    else {
        return Ok(html! {});
    };
    let print = &first.lineage.test_fingerprint;
    if print.is_empty() || *print != second.lineage.test_fingerprint {
        return Ok(html! {});
    }
    Ok(html! {
        section aria-labelledby="changed" {
            h2 #changed { "Test examples that changed sides" }
            @if query.get("changed").is_none() {
                form method="get" action="/ui/compare" {
                    (kept(query, &["changed"]))
                    input type="hidden" name="changed" value="1";
                    p.quiet { (first.model) "/" (first.version) " and " (second.model) "/" (second.version)
                        " are asked again about the test split of " (first.lineage.dataset) "." }
                    button type="submit" { "Ask both" }
                }
            } @else {
                (answers(registry, &first, &second)?)
            }
        }
    })
}

fn version(registry: &Registry, run: &Run) -> Result<Option<ModelVersion>, PageFailure> {
    let named = registry.versions_by_run()?.remove(&run.run_id);
    let Some((model, number)) = named.as_deref().and_then(|named| named.rsplit_once('/')) else {
        return Ok(None);
    };
    match number.parse() {
        Ok(number) => Ok(Some(registry.version(model, number)?)),
        Err(_) => Ok(None),
    }
}

fn answers(
    registry: &Registry,
    first: &ModelVersion,
    second: &ModelVersion,
) -> Result<Markup, PageFailure> {
    let split = Datasets::new(registry.store()).split(&first.lineage.dataset, "test")?;
    if split.fingerprint.sha256 != first.lineage.test_fingerprint {
        return Ok(
            html! { p { "The dataset " (first.lineage.dataset) " has changed since: its test split is another one." } },
        );
    }
    if split.texts.len() > MAX_EXAMPLES {
        return Ok(
            html! { p { "The test split has more than " (figure::count(MAX_EXAMPLES)) " examples." } },
        );
    }
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    let labels = |version: &ModelVersion| -> Result<Vec<String>, PageFailure> {
        let classifier = model::load(&registry.model_files(version)?)?;
        let predicted = model::prediction::predictions(classifier.as_ref(), &texts)?;
        Ok(predicted.into_iter().map(|prediction| prediction.label).collect())
    };
    let (before, after) = (labels(first)?, labels(second)?);
    let truth =
        |idx: usize| split.classes.get(split.labels[idx] as usize).cloned().unwrap_or_default();
    let changed: Vec<Changed> = (0..texts.len())
        .filter(|idx| before[*idx] != after[*idx])
        .map(|idx| Changed {
            text: texts[idx].chars().take(MAX_CHARS).collect(),
            truth: truth(idx),
            before: before[idx].clone(),
            after: after[idx].clone(),
        })
        .collect();
    let n_fixed = changed.iter().filter(|changed| changed.after == changed.truth).count();
    let n_broken = changed.iter().filter(|changed| changed.before == changed.truth).count();
    Ok(html! {
        p {
            (figure::count(changed.len())) " of " (figure::counted(texts.len(), "example"))
            " changed sides: " (figure::count(n_fixed)) " became right, "
            (figure::count(n_broken)) " became wrong."
        }
        @if !changed.is_empty() {
            div.scroll.tall tabindex="0" role="region" aria-label="Examples that changed sides" {
                table.grid.texts {
                    thead { tr {
                        th scope="col" { "Text" } th scope="col" { "Label" }
                        th scope="col" { (first.model) "/" (first.version) }
                        th scope="col" { (second.model) "/" (second.version) }
                    } }
                    tbody {
                        @for Changed { text, truth, before, after } in changed.iter().take(MAX_SHOWN) {
                            tr {
                                td.text { (text) } td { (truth) }
                                td .well[before == truth] .ill[before != truth] { (before) }
                                td .well[after == truth] .ill[after != truth] { (after) }
                            }
                        }
                    }
                }
            }
        }
    })
}
