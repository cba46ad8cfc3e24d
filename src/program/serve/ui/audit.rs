//! The audit trail, newest first.

use maud::{Markup, html};
use serde_json::{Value, json};
use trialbook::registry::{AuditAction, AuditEvent, AuditQuery, Registry};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{kept, logged_url, pager, time},
    query::coded,
    shell::Tab,
};

const PATH: &str = "/ui/audit";
const PAGE_ROWS: usize = 100;
/// The newest events that a search looks through.
const MAX_SEARCHED: usize = 20_000;

pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let query = &asked.query;
    let action = query.get("action").map(str::parse::<AuditAction>).transpose()?;
    let searched = query.get("q").map(str::to_lowercase);
    let page = query.number("page", 1, 10_000).max(1);
    let wanted = AuditQuery { limit: Some(MAX_SEARCHED), ..AuditQuery::default() };
    let fits = |event: &AuditEvent| {
        let has = |words: &String| {
            [&event.who, &event.subject].iter().any(|text| text.to_lowercase().contains(words))
        };
        action.is_none_or(|action| action == event.action) && searched.as_ref().is_none_or(has)
    };
    let mut events: Vec<AuditEvent> = registry
        .audit(&wanted)?
        .into_iter()
        .filter(fits)
        .skip((page - 1) * PAGE_ROWS)
        .take(PAGE_ROWS + 1)
        .collect();
    let has_next = events.len() > PAGE_ROWS;
    events.truncate(PAGE_ROWS);
    if asked.json {
        return Ok(Answer::Json(json!({"events": events, "has_next": has_next})));
    }
    let body = html! {
        h1 { "Audit" }
        form.bar method="get" action=(PATH) {
            (kept(query, &["q", "action", "page"]))
            div.grow {
                label for="q" { "Who or what" }
                input #q type="search" name="q" value=(query.get("q").unwrap_or_default());
            }
            label { "Action"
                select name="action" {
                    option value="" { "any" }
                    @for one in AuditAction::ALL {
                        option value=(one) selected[action == Some(one)] { (one) }
                    }
                }
            }
            button.main type="submit" { "Show" }
        }
        div #audit-live data-part="" {
            @if events.is_empty() { p.quiet { "No events." } }
            @else {
                div.scroll.tall tabindex="0" role="region" aria-label="Events" {
                    table.grid {
                        thead { tr {
                            th.number scope="col" { "No." } th scope="col" { "When (UTC)" } th scope="col" { "Who" }
                            th scope="col" { "Action" } th scope="col" { "What" } th scope="col" { "Details" }
                        } }
                        tbody { @for event in &events { (row(event)) } }
                    }
                }
            }
            (pager(query, PATH, page, has_next))
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Audit, "Audit", body).told(10_000)))
}

fn row(event: &AuditEvent) -> Markup {
    html! {
        tr {
            td.number { (event.number) }
            td.nowrap { (time(event.at_ms)) }
            td { (event.who) }
            td { (event.action) }
            td { (subject(&event.subject)) }
            td { (details(&event.details)) }
        }
    }
}

/// A link to what an event is about, where its name says what that is.
fn subject(subject: &str) -> Markup {
    let is_run = subject.len() == 32 && subject.bytes().all(|byte| byte.is_ascii_hexdigit());
    let version = subject.rsplit_once('/').filter(|(_, number)| number.parse::<u32>().is_ok());
    html! {
        @if is_run { a href=(format!("/ui/runs/{subject}")) { (trialbook::figure::short(subject)) } }
        @else if let Some((name, number)) = version {
            a href=(format!("/ui/models/{}/{number}", coded(name))) { (subject) }
        } @else if subject.starts_with("m-") && subject.len() == 34 {
            a href=(logged_url(subject)) { (subject) }
        } @else { (subject) }
    }
}

fn details(details: &Value) -> Markup {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_plain = |value: &Value| !value.is_null() && !value.is_object() && !value.is_array();
    html! {
        @match details.as_object() {
            Some(fields) => {
                @for (name, value) in fields.iter().filter(|(_, value)| is_plain(value)) {
                    span.pair { span.quiet { (name) } " " (text(value)) } " "
                }
                @if fields.values().any(|value| value.is_object() || value.is_array()) {
                    details {
                        summary { "all of it" }
                        pre { (serde_json::to_string_pretty(details).unwrap_or_default()) }
                    }
                }
            }
            None => (details),
        }
    }
}
