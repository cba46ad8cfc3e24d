//! `gate`, `promote`, `rollback`: how a version comes into production and leaves it.

use clap::Args;
use serde_json::json;

use super::{Session, model_or_default};
use crate::{
    book::now_ms,
    error::{Error, ErrorKind, Result},
    gate::{Policy, Promotion, Verdict},
    output::Output,
    registry::Stage,
};

/// One version of a model, in two words or in one.
#[derive(Debug, Clone, Args)]
pub(super) struct Subject {
    /// The registered model, or one version of it: NAME/2 or NAME@alias; a number alone is a version
    /// of the one model in production
    name: String,
    /// The version, where NAME does not say it
    #[arg(value_parser = version_number)]
    version: Option<u32>,
}

/// `gate NAME VERSION`
#[derive(Debug, Clone, Args)]
pub struct Gate {
    /// The registered model, or one version of it: NAME/2 or NAME@alias; a number alone is a version
    /// of the one model in production, and nothing at all its newest version
    name: Option<String>,
    /// The version, where NAME does not say it
    #[arg(value_parser = version_number)]
    version: Option<u32>,
    /// The F1 that is enough while there is no Production version
    #[arg(long = "min", value_name = "F1", default_value_t = Policy::default().min_f1)]
    min_f1: f64,
}

/// `promote NAME VERSION`
#[derive(Debug, Clone, Args)]
pub struct Promote {
    #[command(flatten)]
    subject: Subject,
    /// The stage to move it to: None, Staging, Production or Archived
    #[arg(long, default_value = "Production")]
    stage: Stage,
    /// Judge it first; a version that is blocked stays where it is
    #[arg(long, conflicts_with = "force")]
    gate: bool,
    /// With --gate: the F1 that is enough while there is no Production version
    #[arg(long = "min", requires = "gate", value_name = "F1", default_value_t = Policy::default().min_f1)]
    min_f1: f64,
    /// Go ahead without a passing verdict; the reason is kept with the version
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why it is forced
    #[arg(long, requires = "force", value_name = "WHY")]
    reason: Option<String>,
}

/// `rollback NAME`
#[derive(Debug, Clone, Args)]
pub struct Rollback {
    /// The registered model; NAME/2 if that is the version to take back; without it the one model in
    /// production
    name: Option<String>,
    /// Why, kept with the version
    #[arg(long, default_value = "", value_name = "WHY")]
    reason: String,
}

impl Subject {
    /// The model and the number of its version.
    fn find(&self, session: &Session) -> Result<(String, u32)> {
        let Self { name, version } = self;
        let registry = session.book.registry()?;
        let number = name.parse().ok().filter(|_| version.is_none());
        if let Some(number) = number
            && registry.model(name).is_err()
        {
            return Ok((registry.default_model()?, number));
        }
        match (is_reference(name), version) {
            (false, Some(version)) => Ok((name.clone(), *version)),
            (true, None) => {
                let found = registry.resolve(name)?;
                Ok((found.model, found.version))
            }
            (true, Some(version)) => {
                Err(Error::invalid(format!("{name:?} names a version, and {version} another"))
                    .with_hint("write NAME/2 or NAME 2"))
            }
            (false, None) => Err(Error::invalid(format!("which version of {name}?")).with_hint(
                format!("write {name}/2 or {name} 2; `trialbook models show {name}` has them all"),
            )),
        }
    }
}

/// Whether `name` says more than a model's name: that has neither of these.
fn is_reference(name: &str) -> bool {
    name.contains(['/', '@'])
}

fn version_number(text: &str) -> Result<u32> {
    text.parse().map_err(|_| {
        let number = text.trim_start_matches(['v', 'V']);
        let example = if number.parse::<u32>().is_ok() { number } else { "2" };
        Error::invalid(format!("{text:?} is no version's number"))
            .with_hint(format!("versions are plain numbers: write {example}"))
    })
}

impl Gate {
    /// The model and the number of its version; of nothing named the newest one, which is what waits
    /// for a verdict.
    fn find(&self, session: &Session) -> Result<(String, u32)> {
        if let Some(name) = &self.name {
            return Subject { name: name.clone(), version: self.version }.find(session);
        }
        let registry = session.book.registry()?;
        let newest = registry.resolve(&format!("{}/latest", registry.default_model()?))?;
        Ok((newest.model, newest.version))
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let policy = policy(self.min_f1)?;
        let (name, version) = self.find(session)?;
        let verdict = session.book.gate(&name, version, &policy, now_ms())?;
        Ok(verdict.to_output())
    }
}

/// The policy with this minimum.
pub(super) fn policy(min_f1: f64) -> Result<Policy> {
    let policy = Policy { min_f1 };
    policy.check()?;
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
        let (name, version) = self.subject.find(session)?;
        let promotion = session.book.promote(&name, version, self.stage, force)?;
        Ok(promotion.to_output())
    }

    fn run_gated(&self, session: &Session) -> Result<Output> {
        let policy = policy(self.min_f1)?;
        let (name, version) = self.subject.find(session)?;
        let (verdict, promotion) = gate_and_promote(session, &name, version, self.stage, &policy)?;
        let evidence = match &promotion {
            Some(_) => verdict.evidence(),
            None => verdict.to_output(),
        };
        let output = Output::new(json!({"verdict": verdict, "promotion": promotion}))
            .text(evidence.to_text(None));
        Ok(match promotion {
            Some(promotion) => output.text(format!("\n{}", promotion.to_output().to_text(None))),
            None => output.blocked(),
        })
    }
}

impl Rollback {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let name = model_or_default(session, self.name.as_ref())?;
        if !is_reference(&name) {
            return session.book.rollback(&name, &self.reason);
        }
        let named = session.book.registry()?.resolve(&name)?;
        if named.stage != Stage::Production {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{}/{} is not in Production", named.model, named.version),
            )
            .with_hint(format!(
                "a rollback takes back what is: `trialbook rollback {}`",
                named.model
            )));
        }
        session.book.rollback(&named.model, &self.reason)
    }
}
