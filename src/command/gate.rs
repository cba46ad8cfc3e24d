//! `gate`, `promote`, `rollback`: how a version comes into production and leaves it.

use clap::Args;
use serde_json::json;

use super::Session;
use crate::{
    book::now_ms,
    error::Result,
    gate::{Policy, Promotion, Verdict},
    output::Output,
    registry::{DEFAULT_MODEL, Stage},
};

/// `gate NAME VERSION`
#[derive(Debug, Clone, Args)]
pub struct Gate {
    /// The registered model
    name: String,
    /// The version to judge
    version: u32,
    /// The F1 that is enough while there is no Production version
    #[arg(long = "min", value_name = "F1", default_value_t = Policy::default().min_f1)]
    min_f1: f64,
}

/// `promote NAME VERSION`
#[derive(Debug, Clone, Args)]
pub struct Promote {
    /// The registered model
    name: String,
    /// The version to move
    version: u32,
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
    /// The registered model
    #[arg(default_value = DEFAULT_MODEL)]
    name: String,
    /// Why, kept with the version
    #[arg(long, default_value = "", value_name = "WHY")]
    reason: String,
}

impl Gate {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let policy = policy(self.min_f1)?;
        let verdict = session.book.gate(&self.name, self.version, &policy, now_ms())?;
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
        let promotion = session.book.promote(&self.name, self.version, self.stage, force)?;
        Ok(promotion.to_output())
    }

    fn run_gated(&self, session: &Session) -> Result<Output> {
        let policy = policy(self.min_f1)?;
        let (verdict, promotion) =
            gate_and_promote(session, &self.name, self.version, self.stage, &policy)?;
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
        session.book.rollback(&self.name, &self.reason)
    }
}
