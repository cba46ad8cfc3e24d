//! Paths of artifacts as texts: how they are spelled as URIs, and which ones lead out of where they begin.

use percent_encoding::percent_decode_str;
use trialbook::registry::{ARTIFACT_SCHEME, ModelVersion};

/// In front of the paths of registered versions.
pub(super) const REGISTERED: &str = "registered";

/// The URI under which clients find the files of a version, whatever becomes of their source.
pub(super) fn version_uri(version: &ModelVersion) -> String {
    format!("{ARTIFACT_SCHEME}{REGISTERED}/{}/{}", version.model, version.version)
}

/// True if a path leads out of where it begins, however often its percent signs are encoded.
pub(super) fn climbs(path: &str) -> bool {
    let mut path = path.to_owned();
    loop {
        if path.contains('\\')
            || path.contains(char::is_control)
            || path.split(['/', '?', '#']).any(|part| part == "..")
        {
            return true;
        }
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return false;
        }
        path = decoded;
    }
}

/// `mlflow-artifacts://host/path` as `mlflow-artifacts:/path`.
pub(super) fn without_host(uri: &str) -> String {
    match uri.strip_prefix("mlflow-artifacts://") {
        Some(rest) => {
            let path = rest.split_once('/').map_or("", |(_, path)| path);
            format!("{ARTIFACT_SCHEME}{path}")
        }
        None => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_is_found_however_it_is_written() {
        for path in ["..", "a/../b", "a/%2e%2e/b", "a/%252e%252e/b", "a\\..\\b", "..%2fx", "a#/.."]
        {
            assert!(climbs(path), "{path}");
        }
        for path in ["", "a/b", "a..b", "...", "a/.b", "images/k+step+3.png", "100%"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
