//! `gate policy show|set|check` and `gate approve`: the rule by which versions are judged, and who says
//! yes to one of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    book::now_ms,
    error::{Error, Result},
    figure::short,
    gate::{self, PolicyChecks, StoredPolicy},
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::VersionSelector,
};

use super::{
    CheckWords, Session,
    named::{model_forms, version, version_forms, version_word},
    watch::check_rule,
};

/// The commands about a gate beside asking it.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum GateCommand {
    /// Show, set and check the policy by which versions are judged
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Approve a version with an API key, where the policy asks for that
    Approve(Approve),
}

/// The verbs on policies.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show the policy that holds, or one that did
    Show(ShowPolicy),
    /// Make a file (TOML) the policy that holds; the store keeps its text and the audit trail the change
    Set(PolicyFile),
    /// Check a file without setting it
    Check(PolicyFile),
}

/// `gate policy show`
#[derive(Debug, Clone, Args)]
pub(super) struct ShowPolicy {
    /// The SHA-256 of a policy that was set once, or its first characters, as verdicts and the audit
    /// trail have it; without it the one that holds
    sha256: Option<String>,
}

/// `gate policy set policy.toml`
#[derive(Debug, Clone, Args)]
pub(super) struct PolicyFile {
    /// The policy: a table for each check, such as [non_inferior]; docs/gate.md has all of them
    file: PathBuf,
}

/// `gate approve NAME VERSION`
#[derive(Debug, Clone, Args)]
pub(super) struct Approve {
    #[arg(help = model_forms!(""))]
    name: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The API key whose name the approval gets
    #[arg(long, env = "TRIALBOOK_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
}

impl GateCommand {
    pub(super) fn run(&self, session: &Session, check: CheckWords) -> Result<Output> {
        match self {
            Self::Policy(PolicyCommand::Show(show)) => show.run(session),
            Self::Policy(PolicyCommand::Set(file)) => file.set(session, check),
            Self::Policy(PolicyCommand::Check(file)) => file.check(session, check),
            Self::Approve(approve) => approve.run(session),
        }
    }
}

impl ShowPolicy {
    fn run(&self, session: &Session) -> Result<Output> {
        let store = session.book.store();
        let policy = match &self.sha256 {
            Some(sha256) => Some(StoredPolicy::find(store, sha256)?),
            None => StoredPolicy::current(store)?,
        };
        Ok(match policy {
            Some(policy) => shown(&policy).text(format!("\n{}", policy.text.trim_end())),
            None => Output::new(json!(null)).hint(
                Hint::from(
                    "no policy was set: a version passes if its F1 is at least that of Production on the \
                     same test split, or 0.85 while there is none\n",
                )
                .run("gate policy set FILE")
                .say(" sets one"),
            ),
        })
    }
}

impl PolicyFile {
    /// The policy in the file, whose rule for training again can be followed here.
    fn read(&self, session: &Session, check: CheckWords) -> Result<StoredPolicy> {
        let policy = StoredPolicy::read(&self.file)?;
        if let Some(rule) = &policy.checks.retrain {
            check_rule(session, rule, check)
                .map_err(|error| error.with_context(format!("policy {:?}", self.file)))?;
        }
        Ok(policy)
    }

    fn set(&self, session: &Session, check: CheckWords) -> Result<Output> {
        let policy = self.read(session, check)?;
        let is_new = policy.set(session.book.registry()?)?;
        let told = if is_new {
            "it holds from now on; verdicts by another policy count no more"
        } else {
            "it holds already: nothing changed"
        };
        Ok(shown(&policy).field("changed", is_new).text(told))
    }

    fn check(&self, session: &Session, check: CheckWords) -> Result<Output> {
        let policy = self.read(session, check)?;
        let command = CommandLine::new("gate policy set").arg(self.file.display());
        Ok(shown(&policy).hint(Hint::from("it is a policy; set it with ").run(command)))
    }
}

impl Approve {
    fn run(&self, session: &Session) -> Result<Output> {
        let Some(secret) = &self.key else {
            return Err(Error::invalid("an approval needs an API key")
                .with_hint("put it into TRIALBOOK_KEY, or give --key KEY"));
        };
        let (model, number) = version(session, &self.name, self.version.as_ref())?;
        let registry = session.book.registry()?;
        let key = gate::approve(registry, &model, number, secret, now_ms())?;
        let gate = CommandLine::new("gate").arg(&model).arg(number);
        Ok(Output::new(json!({"model": model, "version": number, "approved_with": key})).hint(
            Hint::from(format!("{model} version {number}: approved with the key {key}; "))
                .run(gate)
                .say(" judges it"),
        ))
    }
}

/// A policy's checks, as they are read.
fn shown(policy: &StoredPolicy) -> Output {
    let mut table =
        Table::new([("check", Align::Left), ("settings", Align::Left), ("otherwise", Align::Left)]);
    for (name, settings, level) in rows(&policy.checks) {
        table.push([name, settings, level]);
    }
    let rule = json!(policy.checks.retrain);
    for (place, (name, value)) in rule.as_object().into_iter().flatten().enumerate() {
        let check = if place == 0 { "retrain" } else { "" };
        table.push([check.to_owned(), format!("{name} = {value}"), String::new()]);
    }
    Output::new(policy)
        .text(format!("policy {} ({})\n", short(&policy.sha256), policy.sha256))
        .table(table)
}

/// Each check with its settings, those that were left out included.
fn rows(checks: &PolicyChecks) -> Vec<(String, String, String)> {
    let json = json!(checks);
    let tables = json.as_object().into_iter().flatten().filter(|(name, _)| *name != "retrain");
    tables
        .map(|(name, settings)| {
            let Some(settings) = settings.as_object() else {
                return (name.clone(), settings.to_string(), String::new());
            };
            let level = settings.get("level").and_then(|level| level.as_str()).unwrap_or_default();
            let level = level.to_owned();
            let told: Vec<String> = settings
                .iter()
                .filter(|(key, _)| *key != "level")
                .map(|(key, value)| format!("{key} = {value}"))
                .collect();
            (name.clone(), told.join(", "), level)
        })
        .collect()
}
