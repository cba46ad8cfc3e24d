//! The way back: the version that was Production before becomes Production again.

use serde_json::json;

use crate::{
    error::Result,
    output::Output,
    registry::{Registry, Rollback},
};

/// Makes the former Production version of `model` Production again and archives the present one,
/// in one transaction. No gate is asked: the version has passed one, and haste is the point.
///
/// # Errors
/// Whatever the registry returns: an unknown model, or no former Production version.
pub fn rollback(registry: &Registry, model: &str, who: &str, reason: &str) -> Result<Output> {
    let note = match reason.trim() {
        "" => format!("{who}: rollback"),
        reason => format!("{who}: rollback, {reason}"),
    };
    let done = registry.rollback(model, &note)?;
    tracing::info!(model, from = done.from.version, to = done.to.version, "rolled back");
    Ok(output(model, &done, &note))
}

fn output(model: &str, done: &Rollback, note: &str) -> Output {
    let (from, to) = (done.from.version, done.to.version);
    Output::new(json!({ "model": model, "from": from, "to": to, "note": note })).text(format!(
        "{model} version {to}: {:?} again\n{model} version {from}: {:?}",
        done.to.stage, done.from.stage
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::verdict::tests::version, *};
    use crate::registry::Stage;

    #[test]
    fn the_output_names_both_versions() {
        let done = Rollback {
            from: version(2, 0.9, Stage::Archived),
            to: version(1, 0.9, Stage::Production),
        };
        let output = output("M", &done, "ada: rollback");
        assert_eq!(output.to_text(None), "M version 1: Production again\nM version 2: Archived");
        assert_eq!((&output.json()["from"], &output.json()["to"]), (&json!(2), &json!(1)));
    }
}
