//! One file that a run left: a preview of what it holds, and the file itself. What it says is never markup
//! of the page: pictures are loaded as pictures, the rest is text.

use std::path::Path;

use maud::{Markup, html};
use serde_json::{Value, json};
use trialbook::{
    data::Datasets,
    figure,
    registry::{Artifact, ArtifactOwner, Registry},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    markdown::markdown,
    part::{logged_url, named},
    query::coded,
    shell::Tab,
};

/// The most bytes of a file that are read for a preview.
const MAX_PREVIEW_BYTES: u64 = 8 << 20;
/// The most bytes of a text that are shown.
const MAX_TEXT_BYTES: usize = 128 << 10;
/// The most rows of a table that are shown.
const MAX_ROWS: usize = 200;
/// The most values of a JSON tree that are shown.
const MAX_NODES: usize = 5_000;

/// The kind of a file's content, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Picture(&'static str),
    Json,
    Table,
    Markdown,
    Text,
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        let ending = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "svg" => Self::Picture("image/svg+xml"),
            "png" => Self::Picture("image/png"),
            "jpg" | "jpeg" => Self::Picture("image/jpeg"),
            "gif" => Self::Picture("image/gif"),
            "webp" => Self::Picture("image/webp"),
            "json" => Self::Json,
            "csv" | "tsv" | "parquet" => Self::Table,
            "md" => Self::Markdown,
            "txt" | "log" | "yaml" | "yml" | "toml" | "py" | "rs" | "sh" | "cfg" | "ini"
            | "html" | "xml" | "jsonl" | "css" | "js" => Self::Text,
            "" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The run or the logged model that a file belongs to.
struct Owner {
    id: ArtifactOwner,
    name: String,
    url: String,
}

impl Owner {
    fn of(registry: &Registry, asked: &PageRequest) -> Result<Self, PageFailure> {
        Ok(match asked.param("model") {
            "" => {
                let run = registry.run(asked.param("id"))?;
                let url = format!("/ui/runs/{}", run.run_id);
                let name = named(&run.run_id, &run.name).to_owned();
                Self { url, name, id: ArtifactOwner::Run(run.run_id) }
            }
            id => {
                let model = registry.logged_model(id)?;
                let url = logged_url(&model.model_id);
                Self { url, name: model.name, id: ArtifactOwner::Model(model.model_id) }
            }
        })
    }

    fn crumbs(&self) -> Markup {
        html! {
            p.crumbs {
                @match &self.id {
                    ArtifactOwner::Run(_) => a href="/ui/runs" { "Runs" },
                    ArtifactOwner::Model(_) => a href="/ui/logged-models" { "Logged models" },
                }
                " / " a href=(self.url) { (self.name) }
            }
        }
    }
}

pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let (owner, artifact) = find(registry, asked)?;
    if asked.json {
        let key = if matches!(owner.id, ArtifactOwner::Run(_)) { "run_id" } else { "model_id" };
        return Ok(Answer::Json(json!({key: owner.id.id(), "artifact": artifact})));
    }
    let raw = format!("{}/raw?path={}", owner.url, coded(&artifact.path));
    let body = html! {
        (owner.crumbs())
        h1 { (artifact.path) }
        p.quiet {
            (figure::bytes(artifact.size_bytes)) " · SHA-256 " code.hash { (artifact.sha256) } " · "
            a href=(raw) download="" { "Download" }
        }
        (preview(registry, &artifact, &raw)?)
    };
    let tab = if matches!(owner.id, ArtifactOwner::Run(_)) { Tab::Runs } else { Tab::Models };
    Ok(Answer::Page(PageFrame::new(tab, artifact.path.clone(), body)))
}

/// The file itself.
pub(super) fn raw(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let (_, artifact) = find(registry, asked)?;
    let bytes = registry.read_artifact(&artifact)?;
    let name = artifact.path.rsplit('/').next().unwrap_or_default().to_owned();
    let (content_type, is_shown) = match Kind::of(&artifact.path) {
        Kind::Picture(content_type) => (content_type, true),
        _ => ("application/octet-stream", false),
    };
    Ok(Answer::File { content_type, name, bytes, is_shown })
}

fn find(registry: &Registry, asked: &PageRequest) -> Result<(Owner, Artifact), PageFailure> {
    let owner = Owner::of(registry, asked)?;
    let path = asked.query.get("path").ok_or_else(|| {
        PageFailure::invalid("the query names no file").hint("add ?path= and the artifact's path")
    })?;
    let found = registry.owned_artifacts(&owner.id)?.into_iter().find(|found| found.path == path);
    let artifact = found.ok_or_else(|| {
        PageFailure::new(
            axum::http::StatusCode::NOT_FOUND,
            "not_found",
            format!("{} has no artifact {path:?}", owner.name),
        )
    })?;
    Ok((owner, artifact))
}

fn preview(registry: &Registry, artifact: &Artifact, raw: &str) -> Result<Markup, PageFailure> {
    let kind = Kind::of(&artifact.path);
    if let Kind::Picture(_) = kind {
        return Ok(html! { p { img.whole src=(raw) alt=(artifact.path); } });
    }
    if artifact.size_bytes > MAX_PREVIEW_BYTES || kind == Kind::Other {
        return Ok(html! { p.card { "There is no preview of this file." } });
    }
    if kind == Kind::Table {
        return rows(registry, artifact);
    }
    let bytes = registry.read_artifact(artifact)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match kind {
        Kind::Json => match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) => {
                let mut n_left = MAX_NODES;
                html! { div.tree { (tree(None, &value, 0, &mut n_left)) } }
            }
            Err(_) => shown_text(&text),
        },
        Kind::Markdown => html! { div.card { (markdown(&text)) } },
        _ => shown_text(&text),
    })
}

fn shown_text(text: &str) -> Markup {
    let end = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let shown = &text[..end.unwrap_or_default()];
    html! {
        pre.file tabindex="0" { (shown) }
        @if shown.len() < text.len() { p.quiet { "The first " (figure::bytes(shown.len() as u64)) "." } }
    }
}

/// The first rows of a table.
fn rows(registry: &Registry, artifact: &Artifact) -> Result<Markup, PageFailure> {
    // Readers know a file's format by its ending, which a stored file does not have.
    let bytes = registry.read_artifact(artifact)?;
    let ending = Path::new(&artifact.path).extension().and_then(|e| e.to_str()).unwrap_or("csv");
    let failed = |_| PageFailure::invalid("the table cannot be read");
    let file = tempfile::Builder::new().suffix(&format!(".{ending}")).tempfile().map_err(failed)?;
    std::fs::write(file.path(), bytes).map_err(failed)?;
    let name = file.path().display().to_string().replace('\'', "''");
    let sql = format!("SELECT * FROM '{name}' LIMIT {MAX_ROWS}");
    let tables = trialbook::data::ExtraTables::none();
    let result = match Datasets::new(registry.store()).sql(&sql, &tables) {
        Ok(result) => result,
        Err(error) => {
            tracing::debug!(error = error.chain(), "no preview");
            return Ok(html! { p.card { "This file cannot be read as a table." } });
        }
    };
    let json = result.to_json();
    Ok(html! {
        (table(&result.columns(), &json))
        @if result.n_rows() == MAX_ROWS { p.quiet { "The first " (MAX_ROWS) " rows." } }
    })
}

fn table(columns: &[(String, String)], json: &Value) -> Markup {
    let rows = json.as_array().or_else(|| json.get("rows").and_then(Value::as_array));
    let cell = |row: &Value, idx: usize, name: &str| {
        let value = row.get(name).or_else(|| row.get(idx)).cloned().unwrap_or(Value::Null);
        match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    };
    html! {
        div.scroll.tall tabindex="0" role="region" aria-label="Rows" {
            table.grid {
                thead { tr { @for (name, kind) in columns { th scope="col" title=(kind) { (name) } } } }
                tbody {
                    @for row in rows.into_iter().flatten() {
                        tr { @for (idx, (name, _)) in columns.iter().enumerate() { td { (cell(row, idx, name)) } } }
                    }
                }
            }
        }
    }
}

/// A value of JSON and what lies in it.
fn tree(name: Option<&str>, value: &Value, depth: usize, n_left: &mut usize) -> Markup {
    if *n_left == 0 {
        return html! {};
    }
    *n_left -= 1;
    let label = html! { @if let Some(name) = name { span.key { (name) } ": " } };
    let mut branch = |title: String, children: Vec<(String, &Value)>| {
        html! {
            details open[depth < 2 && children.len() <= 40] {
                summary { (label) span.quiet { (title) } }
                div.branch {
                    @for (name, child) in children { (tree(Some(&name), child, depth + 1, n_left)) }
                    @if *n_left == 0 { p.quiet { "…" } }
                }
            }
        }
    };
    match value {
        Value::Object(fields) => branch(
            format!("{{{}}}", fields.len()),
            fields.iter().map(|(name, child)| (name.clone(), child)).collect(),
        ),
        Value::Array(items) => branch(
            format!("[{}]", items.len()),
            items.iter().enumerate().map(|(idx, child)| (idx.to_string(), child)).collect(),
        ),
        Value::String(text) => html! { div.leaf { (label) span.text { (format!("{text:?}")) } } },
        other => html! { div.leaf { (label) (other) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_text() {
        let value = json!({"<b>": ["<script>alert(1)</script>", 1, null]});
        let shown = tree(None, &value, 0, &mut 100).into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<b>"), "{shown}");
        assert!(shown.contains("&lt;script&gt;alert(1)"), "{shown}");
        let long = json!((0..100).collect::<Vec<_>>());
        assert_eq!(tree(None, &long, 0, &mut 10).into_string().matches("leaf").count(), 9);
        let text = "é".repeat(MAX_TEXT_BYTES);
        assert!(shown_text(&text).into_string().contains("The first"));
    }
}
