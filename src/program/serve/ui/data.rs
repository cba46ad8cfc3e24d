//! Datasets: their splits, what they look like, and their rows with a search.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    data::{Dataset, DatasetProfile, Datasets, LabelConflicts},
    figure::{self, short},
    registry::Registry,
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{kept, pager, time},
    query::{Query, coded},
    shell::Tab,
};

const PAGE_ROWS: usize = 50;
/// The most letters of a text that a row shows.
const MAX_CHARS: usize = 600;
/// The most profiles that are remembered: making one reads the whole dataset.
const MAX_PROFILES: usize = 32;

/// Profiles by what they are of: the store, the dataset, and what its splits contain.
static PROFILES: LazyLock<Mutex<BTreeMap<String, Arc<DatasetProfile>>>> =
    LazyLock::new(Mutex::default);

/// `GET /ui/data`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let datasets = Datasets::new(registry.store()).list()?;
    if asked.json {
        return Ok(Answer::Json(json!({"datasets": datasets})));
    }
    let body = html! {
        h1 { "Data" }
        @if datasets.is_empty() {
            div.card.empty {
                p { "No datasets yet. Add one:" }
                pre tabindex="0" { code { "trialbook data add NAME FILE" } }
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Datasets" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Dataset" } th scope="col" { "Classes" }
                        th.number scope="col" { "Train" } th.number scope="col" { "Test" }
                        th scope="col" { "Source" } th scope="col" { "Added (UTC)" }
                    } }
                    tbody {
                        @for dataset in &datasets {
                            tr {
                                th scope="row" { a href=(url(&dataset.name)) { (dataset.name) } }
                                td { (dataset.classes.join(", ")) }
                                td.number { (n_rows(dataset, "train")) }
                                td.number { (n_rows(dataset, "test")) }
                                td { (dataset.source) }
                                td.nowrap { (time(dataset.added_ms)) }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Data, "Data", body)))
}

fn url(name: &str) -> String {
    format!("/ui/data/{}", coded(name))
}

fn n_rows(dataset: &Dataset, split: &str) -> String {
    let found = dataset.splits.iter().find(|found| found.name == split);
    found.map(|split| figure::count(split.fingerprint.n_rows)).unwrap_or_default()
}

/// `GET /ui/data/{name}`.
pub(super) fn dataset(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let datasets = Datasets::new(registry.store());
    let dataset = datasets.get(asked.param("name"))?;
    let query = &asked.query;
    // Where rows are searched, nobody waits for the profile.
    let searches = ["q", "split", "label", "page"].iter().any(|name| query.get(name).is_some());
    let rows = rows(&datasets, &dataset, query)?;
    if asked.json {
        let profile = if searches { None } else { Some(profile(registry, &datasets, &dataset)?) };
        let rows_json: Vec<_> =
            rows.rows.iter().map(|(label, text)| json!({"label": label, "text": text})).collect();
        let json = json!({"dataset": dataset, "profile": profile.as_deref(), "rows": rows_json,
            "n_matching": rows.n_matching});
        return Ok(Answer::Json(json));
    }
    let body = html! {
        p.crumbs { a href="/ui/data" { "Data" } }
        h1 { (dataset.name) }
        dl.facts {
            div { dt { "Source" } dd { (dataset.source) } }
            div { dt { "Added (UTC)" } dd { (time(dataset.added_ms)) } }
            @for split in &dataset.splits {
                div { dt { (split.name) } dd { (figure::counted(split.fingerprint.n_rows, "row")) " · " code title=(split.fingerprint.sha256) { (short(&split.fingerprint.sha256)) } } }
            }
        }
        @if searches {
            p { a href=(url(&dataset.name)) { "Show the profile" } }
        } @else {
            p { a.button href=(format!("{}/issues", url(&dataset.name))) { "Issues" } }
            (profile_parts(&*profile(registry, &datasets, &dataset)?))
        }
        (row_section(&dataset, query, &rows))
    };
    Ok(Answer::Page(PageFrame::new(Tab::Data, dataset.name.clone(), body)))
}

fn profile(
    registry: &Registry,
    datasets: &Datasets,
    dataset: &Dataset,
) -> Result<Arc<DatasetProfile>, PageFailure> {
    let mut key = format!("{}\n{}", registry.store().root().display(), dataset.name);
    for split in &dataset.splits {
        key.push_str(&split.fingerprint.sha256);
    }
    let held = || PROFILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = held().get(&key) {
        return Ok(Arc::clone(found));
    }
    let made = Arc::new(datasets.describe(&dataset.name)?);
    let mut profiles = held();
    if profiles.len() >= MAX_PROFILES {
        profiles.clear();
    }
    profiles.insert(key, Arc::clone(&made));
    Ok(made)
}

fn profile_parts(profile: &DatasetProfile) -> Markup {
    html! {
        section {
            h2 { "Profile" }
            div.scroll tabindex="0" role="region" aria-label="Splits" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Split" } th.number scope="col" { "Rows" }
                        @for class in &profile.classes { th.number scope="col" { (class) } }
                        th.number scope="col" { "Words (median)" } th.number scope="col" { "Words (min to max)" }
                        th.number scope="col" { "Vocabulary" } th.number scope="col" { "Duplicates" }
                        th.number scope="col" { "Empty" }
                    } }
                    tbody {
                        @for split in &profile.splits {
                            tr {
                                th scope="row" { (split.name) } td.number { (figure::count(split.n_rows)) }
                                @for n in &split.class_counts { td.number { (figure::count(*n)) } }
                                td.number { (split.n_words.median) }
                                td.number { (split.n_words.min) " to " (split.n_words.max) }
                                td.number { (figure::count(split.n_vocabulary)) }
                                td.number { (figure::count(split.n_duplicates)) }
                                td.number { (figure::count(split.n_empty)) }
                            }
                        }
                    }
                }
            }
            ul.findings {
                li { @if profile.overlap.n_texts == 0 { span.well { "No text is in both splits." } }
                    @else { span.ill { (figure::counted(profile.overlap.n_texts, "text")) " of the training split "
                        "are in the test split as well: " (figure::counted(profile.overlap.n_test_rows, "test row")) "." } } }
                (told_conflicts(&profile.label_conflicts))
            }
        }
        section {
            h2 { "Telling words" }
            div.columns {
                @for class in &profile.telling_words {
                    div {
                        h3 { (class.class) }
                        table.pairs {
                            @for word in &class.words {
                                tr {
                                    th scope="row" { (word.word) }
                                    td.number title="z-score of the log-odds ratio" { (format!("{:.1}", word.z_score)) }
                                    td.number.quiet { (figure::count(word.n_in_class)) " / " (figure::count(word.n_in_others)) }
                                }
                            }
                        }
                    }
                }
            }
            p.quiet { "z-score of the log-odds ratio; training rows of the class and of the others that contain the word." }
        }
    }
}

/// Identical texts with different labels, as the profile counts them.
fn told_conflicts(conflicts: &LabelConflicts) -> Markup {
    let LabelConflicts { train, test, between, .. } = conflicts;
    html! {
        @for (place, found) in [("in train", train), ("in test", test), ("between the splits", between)] {
            li {
                @if found.n_texts == 0 { span.well { "No text has two different labels " (place) "." } }
                @else { span.ill { (figure::counted(found.n_texts, "text")) " with different labels " (place) ": "
                    (figure::counted(found.n_rows, "row")) "." } }
            }
        }
    }
}

/// The rows that fit a search.
struct Rows {
    split: String,
    /// Label and text.
    rows: Vec<(String, String)>,
    n_matching: usize,
}

fn rows(datasets: &Datasets, dataset: &Dataset, query: &Query) -> Result<Rows, PageFailure> {
    let names = || dataset.splits.iter().map(|split| split.name.as_str());
    let wanted = query.get("split").or_else(|| names().next()).unwrap_or("train");
    if !names().any(|name| name == wanted) {
        return Err(PageFailure::invalid(format!("{} has no split {wanted:?}", dataset.name))
            .hint(format!("it has {}", names().collect::<Vec<_>>().join(", "))));
    }
    let split = datasets.split(&dataset.name, wanted)?;
    let searched = query.get("q").map(str::to_lowercase);
    let label = query.get("label");
    let class =
        |idx: usize| split.classes.get(split.labels[idx] as usize).map_or("", String::as_str);
    let fits = |idx: &usize| {
        label.is_none_or(|label| label == class(*idx))
            && searched
                .as_ref()
                .is_none_or(|words| split.texts[*idx].to_lowercase().contains(words))
    };
    let matching: Vec<usize> = (0..split.texts.len()).filter(fits).collect();
    let page = query.number("page", 1, 1_000_000).max(1);
    let shown = matching.iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS);
    let rows = shown.map(|idx| (class(*idx).to_owned(), split.texts[*idx].clone())).collect();
    Ok(Rows { split: wanted.to_owned(), rows, n_matching: matching.len() })
}

fn row_section(dataset: &Dataset, query: &Query, found: &Rows) -> Markup {
    let path = url(&dataset.name);
    let page = query.number("page", 1, 1_000_000).max(1);
    html! {
        section aria-labelledby="rows" {
            h2 #rows { "Rows" }
            form.bar method="get" action=(path) {
                (kept(query, &["q", "split", "label", "page"]))
                div.grow {
                    label for="q" { "Search" }
                    input #q type="search" name="q" value=(query.get("q").unwrap_or_default());
                }
                label { "Split"
                    select name="split" {
                        @for split in &dataset.splits {
                            option value=(split.name) selected[split.name == found.split] { (split.name) }
                        }
                    }
                }
                label { "Label"
                    select name="label" {
                        option value="" { "any" }
                        @for class in &dataset.classes {
                            option value=(class) selected[query.get("label") == Some(class)] { (class) }
                        }
                    }
                }
                button.main type="submit" { "Search" }
            }
            p.quiet { (figure::counted(found.n_matching, "row")) }
            div.scroll.tall tabindex="0" role="region" aria-label="Rows" {
                table.grid.texts {
                    thead { tr { th scope="col" { "Label" } th scope="col" { "Text" } } }
                    tbody {
                        @for (label, text) in &found.rows {
                            tr { td.nowrap { (label) } td.text { (cut(text)) } }
                        }
                    }
                }
            }
            (pager(query, &path, page, page * PAGE_ROWS < found.n_matching))
        }
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
