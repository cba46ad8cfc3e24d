//! `audit`: who did what to the store. The trail is written by the actions themselves; no command
//! changes it.

use clap::Args;
use serde_json::Value;
use trialbook::{
    book::now_ms,
    error::Result,
    figure,
    output::{Align, Output, Table},
    registry::{AuditAction, AuditEvent, AuditQuery},
};

use super::{Session, moment::TimeArgument};

/// `audit --limit 20 --since 7d`
#[derive(Debug, Clone, Args)]
pub struct Audit {
    /// Show at most this many events
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Only from then on: a date (2026-11-21) or so long ago (7d, 12h)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<TimeArgument>,
}

impl Audit {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let since_ms = self.since.map(|moment| moment.before(now_ms()));
        let query = AuditQuery { limit: Some(self.limit), since_ms };
        let events = session.book.registry()?.audit(&query)?;
        let output = Output::new(&events);
        if events.is_empty() {
            return Ok(output.text("no events yet"));
        }
        let mut table = Table::new([
            ("time (UTC)", Align::Left),
            ("who", Align::Left),
            ("did", Align::Left),
            ("to", Align::Left),
            ("details", Align::Left),
        ]);
        for event in &events {
            table.push([
                figure::time(event.at_ms),
                event.who.clone(),
                event.action.to_string(),
                subject(event),
                details(event),
            ]);
        }
        Ok(output.table(table))
    }
}

/// A run's id is long and says little: its beginning is enough.
fn subject(event: &AuditEvent) -> String {
    let is_run = event.subject.len() == 32 && event.subject.bytes().all(|b| b.is_ascii_hexdigit());
    let subject = if is_run { figure::short(&event.subject) } else { &event.subject };
    subject.to_owned()
}

/// A step's note without what has columns of its own: who took it, and that it was a rollback.
fn note(event: &AuditEvent, note: &str) -> String {
    let who = event.who.split('@').next().unwrap_or_default();
    let note = note.replacen(&format!("{who}: "), "", 1);
    match note.split_once(": rollback") {
        Some((what, "")) => what.to_owned(),
        Some((what, why)) => format!("{what}: {}", why.trim_start_matches(", ")),
        None => note,
    }
}

/// The details in a few words; `--json` has all of them.
fn details(event: &AuditEvent) -> String {
    let details = &event.details;
    let text = |name: &str| details[name].as_str().unwrap_or_default();
    match event.action {
        AuditAction::Promote
        | AuditAction::Force
        | AuditAction::Archive
        | AuditAction::Demote
        | AuditAction::Rollback => {
            format!("{} → {}; {}", text("from"), text("to"), note(event, text("note")))
        }
        AuditAction::Gate => match details["passed"].as_bool() {
            Some(true) => "passed".to_owned(),
            Some(false) => "blocked".to_owned(),
            None => String::new(),
        },
        AuditAction::SetAlias | AuditAction::DeleteAlias => {
            let version = |name: &str| match details[name].as_u64() {
                Some(number) => format!("version {number}"),
                None => "no version".to_owned(),
            };
            format!("{} → {}", version("from"), version("to"))
        }
        AuditAction::Delete if details["name"].is_string() => format!("run {}", text("name")),
        AuditAction::Delete if details["dataset"].is_object() => "dataset".to_owned(),
        AuditAction::Restore if details["name"].is_string() => format!("run {}", text("name")),
        AuditAction::Collect => {
            figure::counted(details["run_ids"].as_array().map_or(0, Vec::len), "run")
        }
        AuditAction::AddKey => match details["expires_ms"].as_i64() {
            Some(at_ms) => format!("{}, expires {} UTC", text("scope"), figure::time(at_ms)),
            None => text("scope").to_owned(),
        },
        AuditAction::Create if details["run"].is_string() => format!("run {}", text("run")),
        AuditAction::Create | AuditAction::Delete | AuditAction::Restore
            if details["experiment"].is_string() =>
        {
            format!("experiment {}", text("experiment"))
        }
        AuditAction::Update if details["policy"].is_string() => {
            format!("policy {}", figure::short(text("policy")))
        }
        AuditAction::Update if details["behaviour"].is_string() => {
            format!("file {}", figure::short(text("behaviour")))
        }
        AuditAction::Update if details["approved_with"].is_string() => {
            format!("approved with the key {}", text("approved_with"))
        }
        AuditAction::StartRelease => {
            format!("{} beside version {}", text("kind"), details["production"])
        }
        AuditAction::AdvanceRelease => format!("{} → {}", details["from"], details["to"]),
        AuditAction::EndRelease | AuditAction::TakeBackRelease => text("reason").to_owned(),
        AuditAction::Retrain => {
            match (details["reasons"].as_array(), details["version"].as_u64()) {
                (Some(reasons), _) => reasons
                    .iter()
                    .filter_map(|reason| reason.as_str())
                    .collect::<Vec<_>>()
                    .join("; "),
                (None, _) if details["error"].is_string() => format!("failed: {}", text("error")),
                (None, Some(version)) => match details["passed"].as_bool() {
                    Some(true) => format!("version {version} passed"),
                    _ => format!("version {version} was blocked"),
                },
                (None, None) => String::new(),
            }
        }
        AuditAction::Rename => format!("{} → {}", text("from"), text("to")),
        AuditAction::Register => format!("from {}", text("source")),
        AuditAction::Import => format!("from {}", text("from")),
        AuditAction::Restore => text("backup").to_owned(),
        AuditAction::Create
        | AuditAction::Update
        | AuditAction::Delete
        | AuditAction::RevokeKey => match details {
            Value::Object(fields) if !fields.is_empty() => details.to_string(),
            _ => String::new(),
        },
    }
}
