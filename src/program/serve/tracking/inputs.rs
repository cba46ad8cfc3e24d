//! `runs/log-inputs` and `runs/outputs`: what a run read and made.

use serde_json::json;
use trialbook::registry::DatasetRecord;

use super::{
    call::{CallAnswer, RestCall},
    fields::missing,
};

pub(super) fn log_inputs(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?.to_owned();
    let mut datasets = Vec::new();
    for mut input in call.fields.take_objects("datasets")? {
        let tags = input.map("tags")?;
        let dataset = input.object("dataset")?.ok_or_else(|| missing("dataset"))?;
        let record = DatasetRecord {
            name: dataset.required("name")?.to_owned(),
            digest: dataset.required("digest")?.to_owned(),
            source_type: dataset.required("source_type")?.to_owned(),
            source: dataset.required_text("source")?.to_owned(),
            schema: dataset.text("schema")?.map(str::to_owned),
            profile: dataset.text("profile")?.map(str::to_owned),
        };
        datasets.push((record, tags));
    }
    let mut models = Vec::new();
    for model in call.fields.take_objects("models")? {
        models.push(model.required("model_id")?.to_owned());
    }
    call.registry.log_inputs(&run_id, &datasets, &models)?;
    Ok(json!({}))
}

pub(super) fn log_outputs(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?.to_owned();
    let mut models = Vec::new();
    for model in call.fields.take_objects("models")? {
        let step = model.int("step")?.unwrap_or_default();
        models.push((model.required("model_id")?.to_owned(), step));
    }
    call.registry.log_outputs(&run_id, &models)?;
    Ok(json!({}))
}
