//! The way back: the version that was Production before becomes Production again.

use serde::Serialize;

use crate::{
    error::Result,
    output::Output,
    registry::{GateSeal, Stage, Tracker},
};

/// A rollback that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rollback {
    /// The registered model's name.
    pub model: String,
    /// The version that was Production and is Archived now.
    pub from: u32,
    /// The version that is Production again.
    pub to: u32,
    /// The person and the reason, as the history of both versions keeps them.
    pub note: String,
}

/// Makes the former Production version of `model` Production again and archives the present one,
/// in one transaction. No gate is asked: the version has passed one, and haste is the point.
///
/// # Errors
/// Whatever the registry returns: an unknown model, or no former Production version.
pub fn rollback(registry: &dyn Tracker, model: &str, who: &str, reason: &str) -> Result<Rollback> {
    let note = match reason.trim() {
        "" => format!("{who}: rollback"),
        reason => format!("{who}: rollback, {reason}"),
    };
    let (from, to) = registry.rollback(model, &note, GateSeal::new())?;
    tracing::info!(model, from, to, "rolled back");
    Ok(Rollback { model: model.to_owned(), from, to, note })
}

impl Rollback {
    /// The rollback for people and programs.
    pub fn to_output(&self) -> Output {
        let Self { model, from, to, .. } = self;
        let (production, archived) = (Stage::Production, Stage::Archived);
        Output::new(self).text(format!(
            "{model} version {to}: {production} again\n{model} version {from}: {archived}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_names_both_versions() {
        let note = "ada: rollback".to_owned();
        let output = Rollback { model: "M".to_owned(), from: 2, to: 1, note }.to_output();
        assert_eq!(output.to_text(None), "M version 1: Production again\nM version 2: Archived");
        let json = serde_json::json!({"model": "M", "from": 2, "to": 1, "note": "ada: rollback"});
        assert_eq!(output.json(), &json);
    }
}
