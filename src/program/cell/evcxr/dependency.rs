//! One crate that a cell asks for: the forms of `:dep`, and `extern crate`. It reads a local
//! crate's name from its manifest and touches nothing else.

use std::path::Path;

use syn::{File, Item};
use toml::{Table, Value};
use trialbook::error::{Error, Result};

/// A line of `[dependencies]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependency {
    name: String,
    wanted: Value,
}

/// The crates that every cell can name without asking.
const BUILT_IN: [&str; 6] = ["alloc", "core", "proc_macro", "std", "test", "trialbook"];

impl Dependency {
    /// Reads what stands after `:dep`: `name`, `name@1.2`, `name = "1.2"`,
    /// `name = { path = "…", features = ["…"] }`, or the path of a local crate. Relative paths
    /// are relative to `folder`.
    ///
    /// # Errors
    /// When it is none of these, or a local path holds no crate.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('.') || text.starts_with('/') {
            return Self::local(text, folder);
        }
        let (name, wanted) = match text.split_once('=') {
            Some((name, wanted)) => {
                (name.trim(), value(wanted.trim()).map_err(|error| error.with_context(text))?)
            }
            None => match text.split_once('@') {
                Some((name, version)) => (name.trim(), Value::String(version.trim().to_owned())),
                None => (text, Value::String("*".to_owned())),
            },
        };
        Self::new(name, wanted, folder)
    }

    /// A dependency of a manifest: its key and its value.
    ///
    /// # Errors
    /// When the key cannot name a crate or the value cannot say which.
    pub fn new(name: &str, wanted: Value, folder: &Path) -> Result<Self> {
        let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|char| char.is_alphanumeric() || matches!(char, '-' | '_'));
        if !is_name {
            return Err(Error::invalid(format!("{name:?} cannot be the name of a crate"))
                .with_hint("`:dep NAME`, `:dep NAME = \"1.0\"`, `:dep NAME = { path = \"…\" }` or `:dep ./FOLDER`"));
        }
        let wanted = match wanted {
            Value::String(version) => Value::String(version),
            Value::Table(table) => Value::Table(with_absolute_path(table, folder)?),
            other => {
                let found = other.type_str();
                return Err(Error::invalid(format!(
                    "{name}: found {found}, expected a version or a table"
                ))
                .with_hint(format!("`:dep {name} = \"1.0\"`")));
            }
        };
        Ok(Self { name: name.to_owned(), wanted })
    }

    fn local(path: &str, folder: &Path) -> Result<Self> {
        let path = canonical(path, folder)?;
        let manifest = path.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest)
            .map_err(|source| Error::io("read", &manifest, source))?;
        let name = toml::from_str::<Table>(&text)
            .map_err(|source| {
                Error::invalid(format!("cannot read {manifest:?}")).with_source(source)
            })?
            .get("package")
            .and_then(|package| package.get("name")?.as_str().map(str::to_owned))
            .ok_or_else(|| Error::invalid(format!("{manifest:?} describes no package")))?;
        let path = Value::String(path.to_string_lossy().into_owned());
        Ok(Self { name, wanted: Value::Table(Table::from_iter([("path".to_owned(), path)])) })
    }

    /// The key in `[dependencies]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name by which cells know the crate.
    pub fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The version, or the table that says where to find it, as TOML on one line.
    pub fn specification(&self) -> String {
        inline(&self.wanted)
    }

    /// Key and value.
    pub(crate) fn entry(&self) -> (String, Value) {
        (self.name.clone(), self.wanted.clone())
    }
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.name, self.specification())
    }
}

/// The dependencies that the `extern crate` items of a cell ask for, as `:dep name` would; crates
/// that are there anyway are left out. Code that does not parse asks for nothing.
pub fn extern_crates(code: &str) -> Vec<Dependency> {
    // Statements are welcome in cells and not in files.
    let items = match syn::parse_str::<File>(code) {
        Ok(file) => file.items,
        Err(_) => syn::parse_str::<syn::Block>(&format!("{{\n{code}\n}}"))
            .map(|block| {
                let item = |statement| match statement {
                    syn::Stmt::Item(item) => Some(item),
                    _ => None,
                };
                block.stmts.into_iter().filter_map(item).collect()
            })
            .unwrap_or_default(),
    };
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::ExternCrate(item) => Some(item.ident.to_string()),
            _ => None,
        })
        .filter(|name| name != "self" && !BUILT_IN.contains(&name.as_str()))
        .map(|name| Dependency { name, wanted: Value::String("*".to_owned()) })
        .collect()
}

fn value(text: &str) -> Result<Value> {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .ok_or_else(|| {
            Error::invalid("this is not one TOML value")
                .with_hint("quote versions: `:dep regex = \"1.0\"`")
        })
}

/// The manifest lies in the session's folder; a path typed in a cell is relative to the person's.
fn with_absolute_path(mut table: Table, folder: &Path) -> Result<Table> {
    // The old spelling, which cargo refuses in the edition of the session's manifest.
    if let Some(value) = table.remove("default_features") {
        table.entry("default-features").or_insert(value);
    }
    if let Some(Value::String(path)) = table.get_mut("path") {
        *path = canonical(path, folder)?.to_string_lossy().into_owned();
    }
    Ok(table)
}

fn canonical(path: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let path = folder.join(path);
    path.canonicalize().map_err(|source| Error::io("find the crate in", &path, source))
}

fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let entries: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbook::error::ErrorKind;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match Dependency::parse(text, Path::new("/")) {
            Ok(dependency) => dependency.to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn every_form_of_evcxr_is_understood() {
        check("regex", "regex = \"*\"");
        check("regex = \"1.0\"", "regex = \"1.0\"");
        check("  regex=\"1.0\"  ", "regex = \"1.0\"");
        check("regex@1.0", "regex = \"1.0\"");
        check(
            "regex = { version = \"1\", default_features = false }",
            "regex = { default-features = false, version = \"1\" }",
        );
        check("serde-json = '1'", "serde-json = \"1\"");
        check(
            "serde = { default-features = false, features = [\"derive\", \"rc\"], version = \"1\" }",
            "serde = { default-features = false, features = [\"derive\", \"rc\"], version = \"1\" }",
        );
        check(
            "x = { git = \"https://example.org/x.git\", tag = \"v1\" } # the fixed one",
            "x = { git = \"https://example.org/x.git\", tag = \"v1\" }",
        );
    }

    #[test]
    fn what_names_no_crate_is_refused() {
        check("", "error: \"\" cannot be the name of a crate");
        check("9lives", "error: \"9lives\" cannot be the name of a crate");
        check("two words", "error: \"two words\" cannot be the name of a crate");
        check("regex = 1.0", "error: regex: found float, expected a version or a table");
        check("regex = one", "error: regex = one: this is not one TOML value");
        check("a = \"1\"\nb = \"2\"", "error: a = \"1\"\nb = \"2\": this is not one TOML value");
    }

    #[test]
    fn relative_paths_start_at_the_given_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("Cargo.toml"), "[package]\nname = \"its-name\"\n").unwrap();
        let absolute = inner.canonicalize().unwrap();
        for (text, name) in [("./inner", "its-name"), ("x = { path = \"inner\" }", "x")] {
            let found = Dependency::parse(text, folder.path()).unwrap();
            assert_eq!(found.name(), name);
            assert_eq!(
                found.specification(),
                format!("{{ path = {:?} }}", absolute.to_str().unwrap())
            );
        }
        let missing = Dependency::parse("./nowhere", folder.path()).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn extern_crate_asks_for_any_version() {
        let names = |code: &str| -> Vec<String> {
            extern_crates(code).iter().map(Dependency::to_string).collect()
        };
        assert_eq!(names("extern crate regex;\nlet a = 1;"), ["regex = \"*\""]);
        assert_eq!(names("#[macro_use] extern crate log as l;"), ["log = \"*\""]);
        assert!(names("extern crate std;\nextern crate trialbook;\nfn f() {}").is_empty());
        assert!(names("extern crate").is_empty());
    }
}
