//! The page on which a person labels predictions, one text at a time, with a key for each class. Each answer is
//! kept at once, by the same way as those of `POST /feedback`; undo takes the last one back. What the model
//! predicted is not shown: who sees it tends to agree.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    book::{Book, SampleRequest},
    error::ErrorKind,
    figure,
    monitor::{GivenLabel, Picked, PickedText, SampleBy},
    registry::Registry,
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    query::Query,
    shell::Tab,
};
use crate::serve::{model::outcome::FeedbackOutcome, state::ServerState};

pub(super) const PATH: &str = "/ui/label";
/// The end of the log that texts are picked from: as far as labels are matched at once.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// The texts that somebody sits down for.
const GOAL: usize = 50;
/// Texts that can be skipped in one sitting.
const MAX_SKIPPED: usize = 10_000;

/// `GET /ui/label`.
pub(super) fn page(
    state: &ServerState,
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    let Some((model, classes)) = labelled(state, &asked.query) else {
        let body = html! {
            h1 { "Label predictions" }
            div.card.empty {
                p { "This server answers with no model, or logs no predictions. Labels are taken by one that does both:" }
                pre tabindex="0" { code { "trialbook serve --log-text full" } }
            }
        };
        return Ok(Answer::Page(PageFrame::new(Tab::Predictions, "Label", body)));
    };
    let query = &asked.query;
    let by = by(query)?;
    let n_skipped = query.number("skip", 0, MAX_SKIPPED);
    let texts = query.get("texts").map(str::to_owned);
    let request = SampleRequest {
        model: Some(model.clone()),
        n: n_skipped + 1,
        by: Some(by),
        from_ms: i64::MIN,
        version: None,
        latest_bytes: Some(MAX_LOG_BYTES),
        seed: 42,
        texts,
    };
    let picked = match Book::with_store(registry.store().clone()).pick_texts(&request) {
        Ok(picked) => Ok(picked),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        Err(error) => return Err(error.into()),
    };
    let next = picked.as_ref().ok().and_then(|picked| picked.texts.get(n_skipped));
    if asked.json {
        let text = next.map(
            |text| json!({"request_id": text.request_id, "index": text.index, "text": text.text}),
        );
        return Ok(Answer::Json(
            json!({"model": model, "classes": classes, "by": by, "next": text}),
        ));
    }
    let body = html! {
        p.crumbs { a href="/ui/predictions" { "Predictions" } " · " a href="/ui/performance" { "Performance" } }
        h1 { "Label predictions of " (model) }
        (choice(state, query, by))
        (progress(query, picked.as_ref().ok()))
        @match (&picked, next) {
            (Err(error), _) => {
                @let failure = PageFailure::from_text(error);
                div.card.error role="alert" {
                    p { (failure.0) }
                    @if let Some(hint) = failure.1 { p.hint { (hint) } }
                }
            }
            (Ok(picked), Some(text)) => {
                (form(query, &classes, text, picked.sampled_by(by).is_none()))
                @if picked.sampled_by(by).is_none() {
                    p.quiet {
                        "The texts of " (figure::counted(picked.n_without_text, "prediction")) " are not known: "
                        "this is no random sample of all, and labels are not marked as one."
                    }
                }
            }
            (Ok(_), None) => {
                div.card.empty {
                    p { "Nothing is left to label here: all of it has a label, or was skipped." }
                    p { a href=(query.without("skip").on(PATH)) { "Look at those that were skipped" } }
                }
                (undo(query))
            }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Predictions, "Label", body).by_keys()))
}

/// `POST /ui/label`: a label, a text that is skipped, or the last label taken back.
pub(super) fn label(
    state: &ServerState,
    _: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    let form = &asked.form;
    let by = by(form)?;
    // Of predictions some of whose texts are not known, none is a random one of all.
    let sampled_by = form.get("part").is_none().then_some(by);
    let kept = ["model", "by", "texts", "skip", "done"].into_iter().fold(
        Query::default(),
        |kept, name| match form.get(name) {
            Some(value) => kept.and(name, value),
            None => kept,
        },
    );
    let (skip, done) = (form.number("skip", 0, MAX_SKIPPED), form.number("done", 0, usize::MAX));
    let index = form.get("index").and_then(|index| index.parse().ok()).unwrap_or(0);
    let given = |label: Option<String>| GivenLabel {
        request_id: form.get("request_id").unwrap_or_default().to_owned(),
        index,
        label,
        source: source(&asked.who),
        timestamp_ms: None,
        sampled_by,
    };
    let next = match (form.get("label"), form.get("do")) {
        (Some(label), _) => {
            keep(state, given(Some(label.to_owned())))?;
            let id = form.get("request_id").unwrap_or_default();
            kept.with("done", done + 1).with("last", id).with("last_index", index)
        }
        (None, Some("skip")) => kept.with("skip", (skip + 1).min(MAX_SKIPPED)),
        (None, Some("undo")) => {
            keep(state, given(None))?;
            kept.with("done", done.saturating_sub(1))
        }
        _ => return Err(PageFailure::invalid("the form brings no label")),
    };
    if asked.json {
        return Ok(Answer::Json(json!({"next": next.on(PATH)})));
    }
    Ok(Answer::See { url: next.on(PATH), cookie: None })
}

/// Keeps a label; what is refused is told.
fn keep(state: &ServerState, given: GivenLabel) -> Result<(), PageFailure> {
    let Some(feedback) = state.feedback() else {
        return Err(PageFailure::invalid("this server takes no labels: it logs no predictions"));
    };
    let checked = given.check().map(|()| given);
    for answer in feedback.take(state.slots(), vec![checked])? {
        state.metrics().labelled(answer.outcome, 1);
        if answer.outcome == FeedbackOutcome::Refused {
            return Err(PageFailure::invalid(answer.error.unwrap_or_default()));
        }
    }
    Ok(())
}

/// Who labels, as the source of labels: the key's name, or where it comes from.
fn source(who: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.:@".contains(c) { c } else { '_' };
    let who: String = who.chars().map(plain).take(50).collect();
    format!("annotator:{who}")
}

/// The model whose predictions are labelled and its classes, where it answers here and labels are taken.
fn labelled(state: &ServerState, query: &Query) -> Option<(String, Vec<String>)> {
    state.feedback()?;
    let slot = match query.get("model") {
        Some(model) => state.slots().iter().find(|slot| slot.name() == model)?,
        None => state.default_slot(),
    };
    let served = slot.served().ok()?;
    Some((slot.name().to_owned(), served.classifier.classes().to_vec()))
}

fn by(query: &Query) -> Result<SampleBy, PageFailure> {
    Ok(query.get("by").map(str::parse).transpose()?.unwrap_or(SampleBy::Uncertainty))
}

/// The model and the way to pick; another choice begins anew.
fn choice(state: &ServerState, query: &Query, by: SampleBy) -> Markup {
    let said = |by: SampleBy| match by {
        SampleBy::Uncertainty => "least sure first",
        SampleBy::Random => "at random: measures all",
        SampleBy::Disagreement => "two versions disagree",
    };
    html! {
        form.bar method="get" action=(PATH) data-auto="" {
            @if state.slots().len() > 1 {
                label { "Model"
                    select name="model" {
                        @for slot in state.slots() {
                            option value=(slot.name()) selected[query.get("model") == Some(slot.name())] { (slot.name()) }
                        }
                    }
                }
            }
            label { "Which"
                select name="by" {
                    @for way in SampleBy::ALL {
                        option value=(way) selected[way == by] { (said(way)) }
                    }
                }
            }
            @if let Some(texts) = query.get("texts") { input type="hidden" name="texts" value=(texts); }
            noscript { button type="submit" { "Show" } }
        }
    }
}

fn progress(query: &Query, picked: Option<&Picked>) -> Markup {
    let done = query.number("done", 0, usize::MAX);
    html! {
        div.label-progress {
            span { (done) " of " (GOAL) }
            progress max=(GOAL) value=(done.min(GOAL)) aria-label="Labelled in this sitting" {}
            @if let Some(picked) = picked {
                span { (figure::count(picked.n_labelled)) " labelled in all, " (figure::count(picked.n_candidates)) " to go" }
            }
        }
    }
}

/// The text, and a button for each class.
fn form(query: &Query, classes: &[String], text: &PickedText, is_part: bool) -> Markup {
    html! {
        div.label-text #text tabindex="0" role="region" aria-label="Text" { (text.text) }
        div.label-keys {
            form.label-keys method="post" action=(PATH) {
                (kept(query))
                input type="hidden" name="request_id" value=(text.request_id);
                input type="hidden" name="index" value=(text.index);
                @if is_part { input type="hidden" name="part" value="1"; }
                @for (idx, class) in classes.iter().enumerate() {
                    @let key = (idx < 9).then(|| (idx + 1).to_string());
                    button.class type="submit" name="label" value=(class) data-key=[key.as_ref()] {
                        @if let Some(key) = &key { kbd { (key) } }
                        (class)
                    }
                }
                button type="submit" name="do" value="skip" data-key="space" { kbd { "space" } "Skip" }
            }
            (undo(query))
        }
        p.quiet { "Each answer is kept at once. What the model predicted is hidden, so that it sways nobody." }
    }
}

/// The button that takes the last label of this sitting back.
fn undo(query: &Query) -> Markup {
    html! {
        @if let Some(last) = query.get("last") {
            form method="post" action=(PATH) {
                (kept(query))
                input type="hidden" name="request_id" value=(last);
                input type="hidden" name="index" value=(query.get("last_index").unwrap_or("0"));
                button type="submit" name="do" value="undo" data-key="u" { kbd { "u" } "Undo" }
            }
        }
    }
}

fn kept(query: &Query) -> Markup {
    html! {
        @for name in ["model", "by", "texts", "skip", "done"] {
            @if let Some(value) = query.get(name) { input type="hidden" name=(name) value=(value); }
        }
    }
}
