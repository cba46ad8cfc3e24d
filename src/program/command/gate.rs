//! `gate`, `promote`, `rollback`: how a version comes into production and leaves it.

use clap::{Args, ValueEnum};
use serde_json::json;
use trialbook::{
    book::now_ms,
    display::Show as _,
    error::{Error, ErrorKind, Result},
    gate::{self, Policy, Promotion, StoredPolicy, Verdict},
    hint::{CommandLine, Hint},
    output::Output,
    registry::{ModelReference, Stage, VersionSelector},
};

use super::{
    CheckWords, Session,
    gate_policy::GateCommand,
    named::{model_forms, model_or_default, reference, version, version_forms, version_word},
};

/// `gate NAME VERSION`
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Gate {
    #[command(subcommand)]
    command: Option<GateCommand>,
    #[arg(help = model_forms!("; without it the newest version of the one model in production"))]
    name: Option<String>,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The F1 that is enough while there is no Production version
    #[arg(long = "min", value_name = "F1", default_value_t = Policy::default().min_f1)]
    min_f1: f64,
    /// Show the verdict as a report: what decided, both versions beside each other, how sure that is,
    /// and what it would take to tell; =markdown for a pull request, =html for a page
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    explain: Option<ReportForm>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportForm {
    /// For people.
    Text,
    /// For a pull request.
    Markdown,
    /// For a page.
    Html,
}

/// `promote NAME VERSION`
#[derive(Debug, Clone, Args)]
pub struct Promote {
    #[arg(help = model_forms!(""))]
    name: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The stage to move it to, as the last word or as --stage: None, Staging, Production or Archived;
    /// without it Production
    #[arg(value_name = "STAGE")]
    to: Option<Stage>,
    /// The stage to move it to
    #[arg(long, conflicts_with = "to")]
    stage: Option<Stage>,
    /// Judge the version first; if it is blocked, it stays where it is
    #[arg(long, conflicts_with = "force")]
    gate: bool,
    /// With --gate: the F1 that is enough while there is no Production version
    #[arg(long = "min", requires = "gate", value_name = "F1", default_value_t = Policy::default().min_f1)]
    min_f1: f64,
    /// Promote without a passing verdict; the reason is kept with the version
    #[arg(long, requires = "reason")]
    force: bool,
    /// The reason why it is forced
    #[arg(long, requires = "force", value_name = "WHY")]
    reason: Option<String>,
}

/// `rollback NAME`
#[derive(Debug, Clone, Args)]
pub struct Rollback {
    #[arg(help = model_forms!("; without it the one model in production"))]
    name: Option<String>,
    #[arg(value_parser = version_word, help = version_forms!(": it has to be in Production"))]
    version: Option<VersionSelector>,
    /// The reason, kept with the version
    #[arg(long, default_value = "", value_name = "WHY")]
    reason: String,
}

impl Promote {
    /// The model, the number of its version, and the stage to move it to.
    fn find(&self, session: &Session) -> Result<(String, u32, Stage)> {
        let name = &self.name;
        // Where NAME says the version, the word behind it is the stage.
        let is_whole = !reference(session, name, None)?.is_bare();
        let (word, to) = match (is_whole, &self.version, self.to) {
            (true, Some(VersionSelector::Stage(to)), None) => {
                if let Some(stage) = self.stage {
                    let message = format!("two stages to move to: {to} and --stage {stage}");
                    return Err(Error::invalid(message).with_hint("name one"));
                }
                (None, Some(*to))
            }
            // `promote NAME Staging` says where to, and not what.
            (false, Some(VersionSelector::Stage(word)), None) if self.stage.is_none() => {
                return Err(Error::invalid(format!("which version of {name}?")).with_hint(
                    Hint::from(format!("write {name}/2 {word} or {name} 2 {word}; "))
                        .run(CommandLine::new("models show").arg(name))
                        .say(" has them all"),
                ));
            }
            (_, word, to) => (word.as_ref(), to),
        };
        let (model, number) = version(session, name, word)?;
        Ok((model, number, to.or(self.stage).unwrap_or(Stage::Production)))
    }
}

impl Gate {
    /// The model and the number of its version; of nothing named the newest one, which is what waits
    /// for a verdict.
    fn find(&self, session: &Session) -> Result<(String, u32)> {
        if let Some(name) = &self.name {
            return version(session, name, self.version.as_ref());
        }
        let registry = session.book.tracker()?;
        let model = registry.default_model()?;
        let newest =
            registry.resolve(&ModelReference { model, version: VersionSelector::Latest })?;
        Ok((newest.model, newest.version))
    }

    pub(super) fn run(&self, session: &Session, check: CheckWords) -> Result<Output> {
        if let Some(command) = &self.command {
            return command.run(session, check);
        }
        let policy = policy(session, self.min_f1)?;
        let (name, version) = self.find(session)?;
        let verdict = session.book.gate(&name, version, &policy, now_ms())?;
        Ok(match self.explain {
            None => verdict.to_output(),
            Some(ReportForm::Text) => verdict.report(),
            Some(ReportForm::Markdown) => written(&verdict, gate::markdown(&verdict)),
            Some(ReportForm::Html) => {
                let content = verdict.report().content();
                let html = content.data["text/html"].as_str().unwrap_or_default();
                written(&verdict, html.to_owned())
            }
        })
    }
}

/// A verdict whose report is `text` already.
fn written(verdict: &Verdict, text: String) -> Output {
    let output = Output::new(verdict).text(text);
    if verdict.passed { output } else { output.blocked() }
}

/// The default rule with this minimum. A policy of the store has a minimum of its own.
///
/// # Errors
/// A minimum that is no share, and one beside a policy of the store.
pub(super) fn policy(session: &Session, min_f1: f64) -> Result<Policy> {
    let policy = Policy { min_f1 };
    policy.check()?;
    if policy != Policy::default() && StoredPolicy::current_sha256(session.book.store())?.is_some()
    {
        let message = format!("--min {min_f1}: the store has a policy, whose min_f1 counts");
        return Err(
            Error::invalid(message).with_hint(Hint::new().run("gate policy show").say(" shows it"))
        );
    }
    Ok(policy)
}

/// Gates a version and, if it passes, moves it to `stage`.
pub(super) fn gate_and_promote(
    session: &Session,
    model: &str,
    version: u32,
    stage: Stage,
    policy: &Policy,
) -> Result<(Verdict, Option<Promotion>)> {
    let verdict = session.book.gate(model, version, policy, now_ms())?;
    let promotion = match verdict.passed {
        true => Some(session.book.promote(model, version, stage, None)?),
        false => None,
    };
    Ok((verdict, promotion))
}

impl Promote {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if self.gate {
            return self.run_gated(session);
        }
        let force = self.reason.as_deref();
        let (name, version, stage) = self.find(session)?;
        let promotion = session.book.promote(&name, version, stage, force)?;
        Ok(promotion.to_output())
    }

    fn run_gated(&self, session: &Session) -> Result<Output> {
        let policy = policy(session, self.min_f1)?;
        let (name, version, stage) = self.find(session)?;
        let (verdict, promotion) = gate_and_promote(session, &name, version, stage, &policy)?;
        let output = Output::new(json!({"verdict": verdict, "promotion": promotion}))
            .text(verdict.evidence().to_text(None));
        Ok(match promotion {
            Some(promotion) => output.hint(Hint::from("\n").and(promotion.told())),
            None => output.hint(verdict.advice()).blocked(),
        })
    }
}

impl Rollback {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let reference = match &self.name {
            Some(name) => reference(session, name, self.version.as_ref())?,
            None => model_or_default(session, None)?,
        };
        if !reference.is_bare() {
            let named = session.book.tracker()?.resolve(&reference)?;
            if named.stage != Stage::Production {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("{} is not in Production", named.reference()),
                )
                .with_hint(
                    Hint::from("a rollback takes back what is: ")
                        .run(CommandLine::new("rollback").arg(&named.model)),
                ));
            }
        }
        Ok(session.book.rollback(&reference.model, &self.reason)?.to_output())
    }
}
