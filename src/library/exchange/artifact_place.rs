//! URIs of artifacts: which lie in folders of this machine, which belong to a server, and how a folder
//! reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The path that `uri` spells: `file:///…`, `file:…` or a path without a scheme.
pub(super) fn local_path(uri: &str) -> Option<PathBuf> {
    if let Some(rest) = uri.strip_prefix("file:") {
        let path = match rest.strip_prefix("//") {
            // `file://HOST/…` names another machine, unless the host is this one.
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
            None => rest,
        };
        return path.starts_with('/').then(|| PathBuf::from(decoded(path)));
    }
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    (!has_scheme || Path::new(uri).exists()).then(|| PathBuf::from(uri))
}

/// The path on a server's proxy that `uri` spells.
pub(super) fn proxy_path(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Some(path.trim_start_matches('/'))
}

/// True if the artifacts at `uri` are kept by a service that clients ask themselves, such as S3.
pub(super) fn is_remote(uri: &str) -> bool {
    local_path(uri).is_none() && proxy_path(uri).is_none() && !uri.starts_with("models:/")
}

/// The `file://` URI of an absolute path.
pub(super) fn file_uri(path: &Path) -> String {
    format!("file://{}", encoded(&path.to_string_lossy()))
}

/// `text` with every byte that is no letter, digit or one of `-_.~/` as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The paths of the plain files below `dir`, `/` between parts, by name; none if it is not there.
/// Links are not followed.
pub(super) fn files_below(dir: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    if dir.is_dir() {
        collect(dir, "", &mut files)?;
    }
    Ok(files)
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
    let fail = |error| Error::io("read the folder", dir, error);
    let entries = fs::read_dir(dir).map_err(fail)?;
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Error::invalid(format!("the name of {:?} is not UTF-8", entry.path())));
        };
        let kind = entry.file_type().map_err(fail)?;
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads a file of a folder.
pub(super) fn open(dir: &Path, path: &str) -> Result<Box<dyn std::io::Read>> {
    let file = dir.join(path);
    let opened = fs::File::open(&file).map_err(|error| Error::io("read", &file, error))?;
    Ok(Box::new(opened))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_lead_to_folders_to_a_proxy_or_elsewhere() {
        for (uri, path) in [
            ("/a/b", "/a/b"),
            ("./mlruns/0", "./mlruns/0"),
            ("file:///a%20b/%C3%BC", "/a b/ü"),
            ("file:/a", "/a"),
            ("file://localhost/a", "/a"),
            ("/a%20b", "/a%20b"),
        ] {
            assert_eq!(local_path(uri), Some(path.into()), "{uri}");
            assert!(!is_remote(uri));
        }
        assert_eq!(proxy_path("mlflow-artifacts:/1/r/artifacts"), Some("1/r/artifacts"));
        assert_eq!(proxy_path("mlflow-artifacts://h:5/1/r"), Some("1/r"));
        for uri in ["s3://bucket/a", "dbfs:/a", "file://other/a", "gs://b"] {
            assert!(is_remote(uri), "{uri}");
        }
        let path = Path::new("/a b/ü+%");
        assert_eq!(local_path(&file_uri(path)).as_deref(), Some(path));
    }
}
