//! Moving in and out: MLflow's file stores, databases and servers, read into the registry and written
//! from it. Sources and targets each stand behind one trait; the registry writes whole records. Nothing
//! here judges or serves a model.

mod artifact_place;
mod export;
mod file_store;
mod file_target;
mod import;
mod notes;
mod report;
mod rest;
mod rest_source;
mod rest_target;
mod source;
mod sqlite;
mod target;
mod yaml;

pub use export::export;
pub use import::{ImportOptions, import};
pub use report::{ExchangeCounts, ExchangeReport, LeftOut};

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};

/// The place of a tracking store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// A folder `mlruns`.
    Folder(PathBuf),
    /// A database of SQLite.
    Sqlite(PathBuf),
    /// A server's address, without a slash at its end.
    Server(String),
}

impl StorePlace {
    /// The place that `text` spells: a path, `file://…`, `sqlite:///…` or `http://…`. A path that is
    /// a file is a database.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for other schemes.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:///") {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if let Some(path) = artifact_place::local_path(text) {
            return Ok(if path.is_file() { Self::Sqlite(path) } else { Self::Folder(path) });
        }
        let is_server = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        if is_server {
            return Ok(Self::Server(text.trim_end_matches('/').to_owned()));
        }
        Err(Error::invalid(format!("{text:?} is no place of a tracking store that can be opened"))
            .with_hint(
                "name a folder mlruns, a file mlflow.db, sqlite:///FILE or http://HOST:PORT",
            ))
    }

    /// Checks that there is something at a place of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is nothing.
    pub fn check(&self) -> Result<()> {
        let (Self::Folder(path) | Self::Sqlite(path)) = self else { return Ok(()) };
        if path.exists() {
            return Ok(());
        }
        let message = format!("{} is no folder and no database", path.display());
        Err(Error::new(ErrorKind::NotFound, message)
            .with_hint("name a folder mlruns, a file mlflow.db or http://HOST:PORT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_a_database_or_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mlflow.db");
        std::fs::write(&file, "").unwrap();
        let text = file.to_str().unwrap();
        for (given, expected) in [
            (text.to_owned(), StorePlace::Sqlite(file.clone())),
            (format!("sqlite:///{text}"), StorePlace::Sqlite(file.clone())),
            ("a/mlruns".to_owned(), StorePlace::Folder("a/mlruns".into())),
            ("file:///a%20b/mlruns".to_owned(), StorePlace::Folder("/a b/mlruns".into())),
            ("http://h:5000/".to_owned(), StorePlace::Server("http://h:5000".to_owned())),
        ] {
            assert_eq!(StorePlace::parse(&given).unwrap(), expected, "{given}");
        }
        let error = StorePlace::parse("postgresql://h/mlflow").unwrap_err();
        assert!(error.to_string().contains("postgresql://h/mlflow") && error.hint().is_some());
    }
}
