//! Experiments made, renamed, annotated, deleted and restored from the page; before an experiment goes with
//! all its runs, a page says so.

use maud::html;
use serde_json::json;
use trialbook::{
    figure,
    registry::{Experiment, Lifecycle, NewExperiment, Registry},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    edit::{NOTE_TAG, sent_name, sent_note},
    failure::PageFailure,
    part::experiment_url,
    shell::Tab,
};

/// `POST /ui/experiments`.
pub(super) fn create(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let name = sent_name(&asked.form)?;
    let made = registry.create_experiment(NewExperiment { name, ..NewExperiment::default() })?;
    done(asked, made)
}

/// `POST /ui/experiments/{id}/name`.
pub(super) fn set_name(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let id = asked.param("id");
    registry.rename_experiment(id, &sent_name(&asked.form)?)?;
    done(asked, registry.experiment_by_id(id)?)
}

/// `POST /ui/experiments/{id}/note`.
pub(super) fn set_note(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let id = asked.param("id");
    let present = registry.experiment_by_id(id)?;
    let note = sent_note(&asked.form, present.tags.get(NOTE_TAG).map(String::as_str))?;
    registry.tag_experiment(id, NOTE_TAG, note.as_deref())?;
    done(asked, registry.experiment_by_id(id)?)
}

/// `GET /ui/experiments/{id}/delete`.
pub(super) fn confirm_delete(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    confirm(registry, asked, true)
}

/// `GET /ui/experiments/{id}/restore`.
pub(super) fn confirm_restore(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    confirm(registry, asked, false)
}

/// `POST /ui/experiments/{id}/delete`.
pub(super) fn delete(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    change(registry, asked, true)
}

/// `POST /ui/experiments/{id}/restore`.
pub(super) fn restore(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    change(registry, asked, false)
}

fn confirm(registry: &Registry, asked: &PageRequest, deletes: bool) -> Result<Answer, PageFailure> {
    let found = registry.experiment_by_id(asked.param("id"))?;
    let among = if deletes { Lifecycle::Live } else { Lifecycle::Deleted };
    let n_runs = registry.run_counts(among)?.get(&found.experiment_id).copied().unwrap_or(0);
    if asked.json {
        return Ok(Answer::Json(
            json!({"deletes": deletes, "experiment": found, "n_runs": n_runs}),
        ));
    }
    let url = experiment_url(&found.experiment_id);
    let verb = if deletes { "Delete" } else { "Restore" };
    let runs = figure::counted(n_runs, "run");
    let body = html! {
        p.crumbs { a href="/ui/experiments" { "Experiments" } " / " a href=(url) { (found.name) } }
        h1 { (verb) " " (found.name) }
        @if found.deleted == deletes {
            p { @if deletes { "It is deleted already." } @else { "It is not deleted." } }
            p.actions { a.button href=(url) { "Back" } }
        } @else {
            form.card method="post" action=(format!("{url}/{}", verb.to_lowercase())) {
                p #effect {
                    @if deletes {
                        "It is hidden together with its " (runs) ", and nothing can be tracked into it. It can be "
                        "brought back with them until " code { "trialbook store gc" } " removes the runs for good."
                    } @else {
                        "It appears again together with its " (runs) ", also those that were deleted before it."
                    }
                }
                p.actions { button.main type="submit" { (verb) } a.button href=(url) { "Cancel" } }
            }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Experiments, format!("{verb} an experiment"), body)))
}

fn change(registry: &Registry, asked: &PageRequest, deletes: bool) -> Result<Answer, PageFailure> {
    let id = asked.param("id");
    registry.set_experiment_deleted(id, deletes)?;
    done(asked, registry.experiment_by_id(id)?)
}

fn done(asked: &PageRequest, experiment: Experiment) -> Result<Answer, PageFailure> {
    if asked.json {
        return Ok(Answer::Json(json!({ "experiment": experiment })));
    }
    Ok(Answer::See { url: experiment_url(&experiment.experiment_id), cookie: None })
}
