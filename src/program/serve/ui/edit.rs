//! Edits of a run by people: its note, its name and its tags, changed in place by forms that work
//! without a script. Each form says what it was filled with, so that nobody overwrites what he has not seen.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use trialbook::{
    error::{Error, ErrorKind},
    figure::hex,
    registry::{Registry, Run, RunEdit, TagEdit},
};

use super::{
    answer::{Answer, PageRequest},
    failure::PageFailure,
    markdown::markdown,
    query::{Query, coded},
};

/// MLflow's tag of a note.
pub(super) const NOTE_TAG: &str = "mlflow.note.content";

/// The beginning of the names of a tag's fields, before its key.
const TAG: &str = "tag.";
const SEEN: &str = "seen.";

/// The note, and the form that changes it where it may be changed; `url` is whose note it is.
pub(super) fn note(url: &str, note: Option<&str>, is_live: bool) -> Markup {
    let text = note.unwrap_or_default();
    html! {
        section aria-labelledby="note" {
            h2 #note { "Note" }
            @if text.trim().is_empty() { p.quiet { "No note." } }
            @else { div.card.note { (markdown(text)) } }
            @if is_live {
                details.edit {
                    summary { "Edit note" }
                    form.card method="post" action=(format!("{url}/note")) {
                        input type="hidden" name="seen" value=(mark(text));
                        label for="note-text" { "Note, in Markdown" }
                        // Browsers leave out a line break at the beginning.
                        textarea #note-text name="note" rows="10" spellcheck="true" { "\n" (text) }
                        p.actions { button.main type="submit" { "Save note" } }
                    }
                }
            }
        }
    }
}

/// The digest that tells one note from another.
fn mark(text: &str) -> String {
    hex(&Sha256::digest(plain(text)))[..16].to_owned()
}

/// Lines as they are kept: browsers send each with a carriage return.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The note that a form brings for what has the note `present` by now.
pub(super) fn sent_note(
    form: &Query,
    present: Option<&str>,
) -> Result<Option<String>, PageFailure> {
    let sent = form.raw("note").ok_or_else(|| {
        PageFailure::invalid("the form brings no note").hint("send the field note")
    })?;
    if form.raw("seen").is_some_and(|seen| seen != mark(present.unwrap_or_default())) {
        let error =
            Error::new(ErrorKind::Conflict, "the note was changed since this page was opened");
        return Err(error.with_hint("open the page again and repeat the change").into());
    }
    Ok(Some(plain(sent).trim_end().to_owned()).filter(|note| !note.is_empty()))
}

/// A form that gives something another name.
pub(super) fn rename(url: &str, name: &str) -> Markup {
    html! {
        details.edit {
            summary { "Rename" }
            form.card method="post" action=(format!("{url}/name")) {
                label for="new-name" { "Name" }
                input #new-name type="text" name="name" value=(name) required autocomplete="off";
                p.actions { button.main type="submit" { "Rename" } }
            }
        }
    }
}

/// The name that a form brings.
pub(super) fn sent_name(form: &Query) -> Result<String, PageFailure> {
    let name = form.get("name").map(str::trim);
    name.map(str::to_owned).ok_or_else(|| PageFailure::invalid("the form brings no name"))
}

/// The form that changes a run's tags.
pub(super) fn tags(run: &Run, shown: &BTreeMap<String, String>) -> Markup {
    html! {
        details.edit {
            summary { "Edit tags" }
            form.card method="post" action=(format!("/ui/runs/{}/tags", run.run_id)) {
                @for (idx, (key, value)) in shown.iter().enumerate() {
                    @let id = format!("tag-{idx}");
                    input type="hidden" name=(format!("{SEEN}{key}")) value=(value);
                    label for=(id) { (key) }
                    @if value.contains('\n') {
                        textarea id=(id) name=(format!("{TAG}{key}")) rows="3" { "\n" (value) }
                    } @else {
                        input id=(id) type="text" name=(format!("{TAG}{key}")) value=(value) autocomplete="off";
                    }
                    label.check {
                        input type="checkbox" name="remove" value=(key);
                        span { "Remove " (key) }
                    }
                }
                label for="tag-key" { "New tag" }
                input #tag-key type="text" name="key" autocomplete="off" placeholder="key";
                label for="tag-value" { "Its value" }
                input #tag-value type="text" name="value" autocomplete="off";
                p.actions { button.main type="submit" { "Save tags" } }
            }
        }
    }
}

/// The tags that a form changes: those that differ from what it was filled with.
fn sent_tags(form: &Query) -> BTreeMap<String, TagEdit> {
    let mut edits = BTreeMap::new();
    for (name, value) in form.pairs() {
        let Some(key) = name.strip_prefix(TAG) else { continue };
        let seen = form.raw(&format!("{SEEN}{key}")).map(plain);
        let is_removed = form.all("remove").any(|removed| removed == key);
        let value = Some(plain(value)).filter(|_| !is_removed);
        if value != seen {
            edits.insert(key.to_owned(), TagEdit { seen, value });
        }
    }
    if let Some(key) = form.get("key") {
        let value = Some(plain(form.raw("value").unwrap_or_default()));
        edits.insert(key.trim().to_owned(), TagEdit { seen: None, value });
    }
    edits
}

/// `POST /ui/runs/{id}/note`.
pub(super) fn set_note(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let run = registry.run_by_id(asked.param("id"))?;
    let seen = run.tags.get(NOTE_TAG).cloned();
    let value = sent_note(&asked.form, seen.as_deref())?;
    let tags = BTreeMap::from([(NOTE_TAG.to_owned(), TagEdit { seen, value })]);
    change(registry, asked, &RunEdit { tags, ..RunEdit::default() })
}

/// `POST /ui/runs/{id}/name`.
pub(super) fn set_name(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let name = Some(sent_name(&asked.form)?);
    change(registry, asked, &RunEdit { name, ..RunEdit::default() })
}

/// `POST /ui/runs/{id}/tags`.
pub(super) fn set_tags(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    change(registry, asked, &RunEdit { tags: sent_tags(&asked.form), ..RunEdit::default() })
}

fn change(registry: &Registry, asked: &PageRequest, edit: &RunEdit) -> Result<Answer, PageFailure> {
    let run = registry.edit_run(asked.param("id"), edit)?;
    if asked.json {
        return Ok(Answer::Json(json!({ "run": run })));
    }
    Ok(Answer::See { url: format!("/ui/runs/{}", coded(&run.run_id)), cookie: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_from_what_was_seen_is_changed() {
        let form = "tag.a=1&seen.a=1&tag.b=2&seen.b=1&tag.c=&seen.c=x&tag.d=1&seen.d=1&remove=d\
                    &tag.e=1%0D%0A2&seen.e=1%0D%0A2&key=+new+&value=v";
        let edits = sent_tags(&Query::of_form(form));
        let told: Vec<(&str, Option<&str>, Option<&str>)> = edits
            .iter()
            .map(|(key, edit)| (key.as_str(), edit.seen.as_deref(), edit.value.as_deref()))
            .collect();
        let expected = [
            ("b", Some("1"), Some("2")),
            ("c", Some("x"), Some("")),
            ("d", Some("1"), None),
            ("new", None, Some("v")),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_note_that_was_changed_meanwhile_is_kept() {
        let form =
            |note: &str, seen: &str| Query::default().and("note", note).and("seen", mark(seen));
        assert_eq!(sent_note(&form("b\r\n", "a"), Some("a")).unwrap().as_deref(), Some("b"));
        assert_eq!(sent_note(&form(" \n", "a\r\nb"), Some("a\nb")).unwrap(), None);
        assert_eq!(sent_note(&form("b", ""), None).unwrap().as_deref(), Some("b"));
        let failure = sent_note(&form("b", "a"), Some("c")).unwrap_err();
        assert_eq!(failure.status, 409);
        assert_eq!(sent_note(&Query::default(), None).unwrap_err().status, 400);
    }

    #[test]
    fn what_stands_in_a_form_is_text() {
        let hostile = "</textarea><script>alert(1)</script>";
        let shown = note("/ui/runs/0", Some(hostile), true).into_string()
            + &rename("", hostile).into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert_eq!(shown.matches("</textarea>").count(), 1, "{shown}");
    }
}
