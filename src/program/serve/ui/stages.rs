//! Promotion, override and rollback from the page: first a page that says what will happen, then a form
//! that does it. What is allowed is the gate's to say.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    gate::{self, StoredPolicy},
    registry::{ModelVersion, Registry, Stage},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    models::verdict_state,
    part::{model_url, stage, version_url},
    shell::Tab,
    version::{find, verdict},
};

/// Stages that a version can be moved to from the page.
const STAGES: [Stage; 3] = [Stage::Production, Stage::Staging, Stage::Archived];

/// `GET …/promote`: what a promotion would do.
pub(super) fn confirm_promotion(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    let version = find(registry, asked)?;
    let production = registry.production(&version.model)?;
    let policy = StoredPolicy::current_sha256(registry.store())?;
    let refused = gate::permit(&version, production.as_ref(), policy.as_deref()).err();
    if asked.json {
        let json = json!({"version": version.version, "stage": version.stage,
            "production": production.map(|version| version.version),
            "objection": refused.map(|error| error.to_string())});
        return Ok(Answer::Json(json));
    }
    let url = version_url(&version.model, version.version);
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } " / " a href=(model_url(&version.model)) { (version.model) } " / " a href=(url) { "Version " (version.version) } }
        h1 { "Move " (version.model) " version " (version.version) }
        p { "It stands in " (stage(version.stage)) "; verdict: " (verdict_state(&version)) }
        form.card method="post" action=(format!("{url}/promote")) {
            fieldset { legend { "To which stage" }
                @for (idx, to) in STAGES.into_iter().filter(|to| *to != version.stage).enumerate() {
                    label.choice {
                        input type="radio" name="stage" value=(to.as_str()) checked[idx == 0];
                        span { b { (to.as_str()) } " " span.quiet { (effect(to, production.as_ref())) } }
                    }
                }
            }
            @match &refused {
                Some(objection) => {
                    p.ill #objection { "The gate objects to Production: " (objection) "." }
                    label.check { input type="checkbox" name="force" value="1"; " Overrule the gate, with a reason" }
                }
                None => p.well { "The gate has no objection to Production." }
            }
            label for="reason" { "Reason" }
            input #reason type="text" name="reason" maxlength="500" autocomplete="off" aria-describedby="reason-said";
            p.quiet #reason-said { "Kept in the version's history and the audit trail. Needed to overrule the gate." }
            p.actions { button.main type="submit" { "Move it" } a.button href=(url) { "Cancel" } }
        }
        (verdict(&version))
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, "Promote", body)))
}

/// The effect of moving a version there.
fn effect(to: Stage, production: Option<&ModelVersion>) -> String {
    match (to, production) {
        (Stage::Production, Some(now)) => format!(
            "servers answer with it within 2 seconds; version {} becomes Archived",
            now.version
        ),
        (Stage::Production, None) => "servers answer with it within 2 seconds".to_owned(),
        (Stage::Staging, _) => "it is being tried; servers are left alone".to_owned(),
        _ => "it is retired; a server that answers with it has none from then on".to_owned(),
    }
}

/// `POST …/promote`.
pub(super) fn promote(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = find(registry, asked)?;
    let to: Stage = asked.form.get("stage").unwrap_or_default().parse()?;
    let reason = asked.form.get("reason").map(str::trim).filter(|reason| !reason.is_empty());
    let overrules = asked.form.get("force").is_some();
    if overrules && reason.is_none() && to == Stage::Production {
        return Err(PageFailure::invalid("overruling the gate needs a reason")
            .hint("go back and write why the gate is overruled"));
    }
    let force = match to {
        Stage::Production => reason.filter(|_| overrules),
        _ => reason,
    };
    let done = gate::promote(registry, &version.model, version.version, to, force, &asked.who)?;
    if asked.json {
        return Ok(Answer::Json(json!(done)));
    }
    Ok(Answer::See { url: version_url(&version.model, version.version), cookie: None })
}

/// `GET …/rollback`: what a rollback would do.
pub(super) fn confirm_rollback(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    let model = registry.model(asked.param("name"))?;
    let production = registry.production(&model.name)?;
    if asked.json {
        let json =
            json!({"model": model.name, "production": production.map(|found| found.version)});
        return Ok(Answer::Json(json));
    }
    let url = model_url(&model.name);
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } " / " a href=(url) { (model.name) } }
        h1 { "Roll " (model.name) " back" }
        @match &production {
            Some(now) => {
                form.card method="post" action=(format!("{url}/rollback")) {
                    p { (told(now)) }
                    label for="reason" { "Reason" }
                    input #reason type="text" name="reason" maxlength="500" autocomplete="off";
                    p.actions { button.main type="submit" { "Roll back" } a.button href=(url) { "Cancel" } }
                }
            }
            None => p { "No version is in Production: there is nothing to take back." }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, "Roll back", body)))
}

fn told(now: &ModelVersion) -> Markup {
    html! {
        "Version " (now.version) " is in Production. It becomes Archived, and the version that was in "
        "Production before it answers again: servers follow within 2 seconds."
    }
}

/// `POST …/rollback`.
pub(super) fn roll_back(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let model = registry.model(asked.param("name"))?.name;
    let reason = asked.form.get("reason").unwrap_or_default();
    let done = gate::rollback(registry, &model, &asked.who, reason)?;
    if asked.json {
        return Ok(Answer::Json(json!(done)));
    }
    Ok(Answer::See { url: model_url(&model), cookie: None })
}
