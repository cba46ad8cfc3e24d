//! What makes a saved classifier a model that Python loads without trialbook: MLflow's `MLmodel` with a
//! signature, its requirements, and the code that reads the files which are there anyway.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    model::Classifier,
    text::stop_words::ENGLISH,
};

/// The code, beside which the words of [`ENGLISH`] are put.
const CODE: &str = include_str!("python/trialbook_model.py");
/// The folder of the code, and its module.
const CODE_DIR: &str = "code";
const MODULE: &str = "trialbook_model";
const WORDS_MODULE: &str = "trialbook_words";

/// The MLflow whose layout this is.
const MLFLOW_VERSION: &str = "3.17.2";
const PYTHON_VERSION: &str = "3.11.0";

/// Writes the files of the flavour into the folder of a saved classifier; nothing for a net that no
/// package of Python's knows.
pub(super) fn write(
    folder: &Path,
    classifier: &dyn Classifier,
    run_id: &str,
    at_ms: i64,
) -> Result<()> {
    let packages: &[&str] = match classifier.name() {
        "tfidf" => &["scikit-learn"],
        "distilbert" => &["torch", "transformers"],
        _ => return Ok(()),
    };
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        let written = match path.parent() {
            Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(&path, text)),
            None => fs::write(&path, text),
        };
        written.map_err(|source| Error::io("write", &path, source))
    };
    let mut requirements = vec!["mlflow", "numpy", "pandas"];
    requirements.extend(packages);
    put("MLmodel", mlmodel(classifier, run_id, at_ms))?;
    put("requirements.txt", requirements.join("\n") + "\n")?;
    put(
        "python_env.yaml",
        format!("python: {PYTHON_VERSION}\ndependencies:\n- -r requirements.txt\n"),
    )?;
    put(&format!("{CODE_DIR}/{MODULE}.py"), CODE.to_owned())?;
    let words = json!(ENGLISH);
    put(
        &format!("{CODE_DIR}/{WORDS_MODULE}.py"),
        format!(
            "\"\"\"The words that trialbook leaves out as English stop words.\"\"\"\n\nENGLISH = {words}\n"
        ),
    )
}

fn mlmodel(classifier: &dyn Classifier, run_id: &str, at_ms: i64) -> String {
    let created = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let created = created.format("%Y-%m-%d %H:%M:%S%.6f");
    // Without a name: so a list, a frame of one column and a series all answer one row for each text.
    let inputs = json!([{"type": "string", "required": true}]);
    let mut outputs = vec![json!({"type": "string", "name": "label", "required": true})];
    outputs.extend(classifier.classes().iter().map(
        |class| json!({"type": "double", "name": format!("probability_{class}"), "required": true}),
    ));
    let (inputs, outputs) = (quoted(&inputs), quoted(&Value::from(outputs)));
    format!(
        "artifact_path: model
flavors:
  python_function:
    code: {CODE_DIR}
    env:
      virtualenv: python_env.yaml
    loader_module: {MODULE}
    python_version: {PYTHON_VERSION}
  trialbook:
    code: {CODE_DIR}
    model: {}
is_signature_from_type_hint: false
mlflow_version: {MLFLOW_VERSION}
model_uuid: {run_id}
prompts: null
run_id: {run_id}
signature:
  inputs: {inputs}
  outputs: {outputs}
  params: null
type_hint_from_example: false
utc_time_created: '{created}'
",
        classifier.name()
    )
}

/// JSON as a text of YAML.
fn quoted(json: &Value) -> String {
    format!("'{}'", json.to_string().replace('\'', "''"))
}
