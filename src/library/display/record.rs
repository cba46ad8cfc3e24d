//! Runs, versions, verdicts, evaluations and datasets as tables, for commands and notebooks alike.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Content, Show};
use crate::{
    book::{
        BehaviourRun, Derived, ErrorAnalysis, Explained, ModelComparison, ModelTerms, Quantized,
        SliceAnalysis, Trained, listed_metric, measured_on,
    },
    data::{DataIssues, Dataset, DatasetHead, DatasetProfile, QueryResult},
    evaluate::{ConfusionMatrix, Evaluation, confusion_plot},
    figure::{self, short},
    gate::{Promotion, Rollback, Verdict},
    output::{Align, Output, Table},
    registry::{ModelVersion, Run, RunStatus},
};

/// Issues of each kind that a cell shows.
const N_SHOWN_ISSUES: usize = 20;

impl Show for Run {
    fn content(&self) -> Content {
        let mut metrics = Table::new([("metric", Align::Left), ("value", Align::Right)]);
        for (key, value) in &self.metrics {
            metrics.push([key.clone(), figure::metric(*value)]);
        }
        Output::new(json!(null))
            .text(headline(self))
            .table(pairs("param", &self.params))
            .text("")
            .table(metrics)
            .content()
    }

    fn list_content(runs: &[Self]) -> Content {
        runs_table(runs, None).content()
    }
}

impl Show for ModelVersion {
    fn content(&self) -> Content {
        version_output(self, &[]).content()
    }

    fn list_content(versions: &[Self]) -> Content {
        versions_table(versions, None).content()
    }
}

impl Show for Verdict {
    fn content(&self) -> Content {
        self.evidence().content()
    }
}

impl Show for Promotion {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for Rollback {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for Evaluation {
    fn content(&self) -> Content {
        measured(Output::new(json!(null)), self).content()
    }
}

impl Show for BehaviourRun {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for ErrorAnalysis {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for SliceAnalysis {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for ModelComparison {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for Quantized {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for Derived {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for Explained {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for ModelTerms {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for ConfusionMatrix {
    fn content(&self) -> Content {
        confusion_plot(self).content()
    }
}

impl Show for Trained {
    fn content(&self) -> Content {
        let registered = self.version.as_ref().map_or_else(String::new, |version| {
            format!("registered as {}/{}\n", version.model, version.version)
        });
        let held_out = self.held_out.map_or_else(String::new, |held_out| {
            format!("measured on {} held-out rows\n", figure::count(held_out.n_validation))
        });
        let made =
            self.made.as_ref().map_or_else(String::new, |made| made.lines().join("\n") + "\n");
        let said = headline(&self.run) + &registered + &held_out + &made;
        let output = Output::new(json!(null)).text(said);
        measured(output, &self.evaluation).content()
    }
}

impl Show for Dataset {
    fn content(&self) -> Content {
        self.to_output().content()
    }

    fn list_content(datasets: &[Self]) -> Content {
        Self::list_output(datasets).content()
    }
}

impl Show for DatasetProfile {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for DataIssues {
    fn content(&self) -> Content {
        self.to_output(N_SHOWN_ISSUES).content()
    }
}

impl Show for DatasetHead {
    fn content(&self) -> Content {
        self.to_output().content()
    }
}

impl Show for QueryResult {
    fn content(&self) -> Content {
        self.dataframe().content()
    }
}

/// An evaluation's metrics and its confusion matrix.
fn measured(output: Output, evaluation: &Evaluation) -> Output {
    output
        .table(evaluation.table())
        .text("")
        .table(evaluation.report())
        .text("")
        .plot(evaluation.confusion_plot())
}

/// A run's name, where it stands and when it ran.
pub fn headline(run: &Run) -> String {
    format!(
        "run {}  {}  {}{}\nstarted {} UTC, took {}\n",
        run.run_id,
        run.name,
        run.status,
        if run.deleted { "  (deleted)" } else { "" },
        figure::time(run.start_ms),
        took(run)
    )
}

/// Runs as the list shows them, with the version that each one became, such as `Reviews/3`, where
/// `registered` knows it.
pub fn runs_table(runs: &[Run], registered: Option<&BTreeMap<String, String>>) -> Table {
    let mut heads = vec![
        ("run", Align::Left),
        ("name", Align::Left),
        ("status", Align::Left),
        ("started (UTC)", Align::Left),
        ("took", Align::Right),
        ("model", Align::Left),
        ("data", Align::Left),
        ("measured on", Align::Left),
        ("accuracy", Align::Right),
        ("f1", Align::Right),
    ];
    if registered.is_some() {
        heads.insert(7, ("version", Align::Left));
    }
    let mut table = Table::new(heads).with_dispensable([
        "started (UTC)",
        "took",
        "status",
        "measured on",
        "accuracy",
        "name",
    ]);
    for run in runs {
        let param = |key| run.params.get(key).map_or("-", String::as_str).to_owned();
        let mut row = vec![
            short(&run.run_id).to_owned(),
            run.name.clone(),
            run.status.to_string(),
            figure::time(run.start_ms),
            took(run),
            param("model"),
            param("dataset"),
            measured_on(run).unwrap_or_else(|| "-".to_owned()),
            figure::metric_or_dash(listed_metric(run, "accuracy")),
            figure::metric_or_dash(listed_metric(run, "f1")),
        ];
        if let Some(registered) = registered {
            let version = registered.get(&run.run_id).map_or("-", String::as_str);
            row.insert(7, version.to_owned());
        }
        table.push(row);
    }
    table
}

fn took(run: &Run) -> String {
    run.end_ms.map_or_else(
        || if run.status == RunStatus::Running { "…" } else { "-" }.to_owned(),
        |end_ms| figure::seconds((end_ms - run.start_ms) as f64 / 1e3),
    )
}

/// Keys and values as a table.
pub fn pairs(head: &str, pairs: &BTreeMap<String, String>) -> Table {
    let mut table = Table::new([(head, Align::Left), ("value", Align::Left)]);
    for (key, value) in pairs {
        table.push([key, value]);
    }
    table
}

/// The gate's answer to a version, in a word.
pub fn verdict_word(version: &ModelVersion) -> &'static str {
    match version.verdict.as_ref().and_then(|verdict| verdict["passed"].as_bool()) {
        Some(true) => "passed",
        Some(false) => "blocked",
        None => "-",
    }
}

/// Versions as the list shows them, each with its model; those of one model instead with what else
/// they are called, where `aliases` knows it.
pub fn versions_table(versions: &[ModelVersion], aliases: Option<&BTreeMap<String, u32>>) -> Table {
    let mut heads = vec![
        ("version", Align::Right),
        ("stage", Align::Left),
        ("f1", Align::Right),
        ("accuracy", Align::Right),
        ("data", Align::Left),
        ("run", Align::Left),
        ("verdict", Align::Left),
        ("created (UTC)", Align::Left),
    ];
    match aliases {
        Some(_) => heads.insert(7, ("aliases", Align::Left)),
        None => heads.insert(0, ("model", Align::Left)),
    }
    let mut table = Table::new(heads);
    for version in versions {
        let mut row = vec![
            version.version.to_string(),
            version.stage.to_string(),
            figure::metric_or_dash(version.metrics.get("f1").copied()),
            figure::metric_or_dash(version.metrics.get("accuracy").copied()),
            version.lineage.dataset.clone(),
            short(&version.run_id).to_owned(),
            verdict_word(version).to_owned(),
            figure::time(version.created_ms),
        ];
        match aliases {
            Some(aliases) => {
                let own = aliases.iter().filter(|(_, number)| **number == version.version);
                let names: Vec<&str> = own.map(|(alias, _)| alias.as_str()).collect();
                row.insert(7, names.join(", "));
            }
            None => row.insert(0, version.model.clone()),
        }
        table.push(row);
    }
    table
}

/// Everything about one version, with its `aliases`.
pub fn version_output(version: &ModelVersion, aliases: &[&str]) -> Output {
    let mut facts = Table::new([("fact", Align::Left), ("value", Align::Left)]);
    let lineage = &version.lineage;
    facts.push(["stage", &version.stage.to_string()]);
    if !aliases.is_empty() {
        facts.push(["aliases", &aliases.join(", ")]);
    }
    facts.push(["created (UTC)", &figure::time(version.created_ms)]);
    facts.push(["run", &version.run_id]);
    facts.push(["dataset", &lineage.dataset]);
    facts.push(["train fingerprint", &lineage.train_fingerprint]);
    facts.push(["test fingerprint", &lineage.test_fingerprint]);
    facts.push(["code", &lineage.code_version]);
    facts.push(["seed", &lineage.seed.to_string()]);
    facts.push(["verdict", verdict_word(version)]);
    for (key, value) in &version.tags {
        facts.push([format!("tag {key}"), value.clone()]);
    }
    let mut metrics = Table::new([("metric", Align::Left), ("value", Align::Right)]);
    for (key, value) in &version.metrics {
        metrics.push([key.clone(), figure::metric(*value)]);
    }
    let mut files =
        Table::new([("file", Align::Left), ("size", Align::Right), ("sha256", Align::Left)]);
    for file in &version.files {
        files.push([
            file.path.clone(),
            figure::bytes(file.size_bytes),
            short(&file.sha256).to_owned(),
        ]);
    }
    let mut history = Table::new([
        ("when (UTC)", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("note", Align::Left),
    ]);
    for change in &version.history {
        history.push([
            figure::time(change.at_ms),
            change.from.to_string(),
            change.to.to_string(),
            change.note.clone(),
        ]);
    }
    let output = Output::new(version)
        .text(format!("{}\n", version.reference()))
        .table(facts)
        .text("")
        .table(metrics)
        .text("")
        .table(files);
    if version.history.is_empty() { output } else { output.text("").table(history) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> Run {
        Run {
            run_id: "0123456789abcdef0123456789abcdef".to_owned(),
            experiment_id: "0".to_owned(),
            name: name.to_owned(),
            status: RunStatus::Finished,
            start_ms: 0,
            end_ms: Some(1500),
            deleted: false,
            params: BTreeMap::from([("model".to_owned(), "tfidf".to_owned())]),
            metrics: BTreeMap::from([("f1".to_owned(), 0.91)]),
            tags: BTreeMap::new(),
            user: String::new(),
            measured_at: Vec::new(),
            flow: crate::registry::RunFlow::default(),
        }
    }

    #[test]
    fn one_run_is_shown_whole_and_several_as_a_table() {
        let one = run("<first>").content();
        assert!(one.plain().starts_with("run 0123456789abcdef"), "{}", one.plain());
        let html = one.data["text/html"].as_str().unwrap();
        assert!(
            html.contains("&lt;first&gt;")
                && html.contains(" style=\"text-align:right\">0.9100</td>"),
            "{html}"
        );
        let several = vec![run("first"), run("second")].content();
        assert_eq!(several.plain().lines().count(), 4, "{}", several.plain());
    }

    #[test]
    fn an_evaluation_has_its_numbers_and_its_matrix() {
        let classes = ["neg".to_owned(), "pos".to_owned()];
        let rows = [0.8, 0.2, 0.3, 0.7];
        let evaluation = crate::evaluate::evaluate(&[0, 1], &rows, &classes).unwrap();
        let content = evaluation.content();
        assert!(
            content.plain().contains("accuracy") && content.plain().contains("Confusion matrix")
        );
        let html = content.data["text/html"].as_str().unwrap();
        assert!(html.contains("src=\"data:image/svg+xml,") && html.contains("roc_auc"), "{html}");
    }
}
