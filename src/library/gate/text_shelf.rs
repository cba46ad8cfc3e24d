//! Texts that a store keeps for good under their SHA-256, in `policies/<sha256>.toml`, and a file beside
//! them that names the one that holds. What the texts say is their owners' business.

use std::{fs, io, path::Path};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, ErrorKind, Result},
    figure::{hex, short},
    hint::Hint,
    registry::Registry,
    store::{Store, write_atomically},
};

/// The largest text that is read.
const MAX_BYTES: u64 = 256 << 10;

/// A shorter prefix of a digest would too often fit several texts.
const MIN_PREFIX_CHARS: usize = 4;

/// The texts of one purpose.
#[derive(Debug, Clone)]
pub(super) struct TextShelf {
    /// The noun for one of the texts, such as `policy`.
    pub(super) what: &'static str,
    /// The name of the file that names the one that holds.
    pub(super) current: String,
    /// The audit trail's name of what is changed.
    pub(super) subject: String,
    /// The name that the text's digest has in the audit trail's details.
    pub(super) detail: &'static str,
    /// The command that sets one.
    pub(super) setter: &'static str,
}

/// Lower-case hex of the SHA-256 of `text`.
pub(super) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

impl TextShelf {
    /// The digest of the text that holds in `store`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a name that is none, and when the system refuses.
    pub(super) fn current_sha256(&self, store: &Store) -> Result<Option<String>> {
        let path = store.policies_dir().join(&self.current);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let sha256 = text.trim_end();
        if is_digest(sha256) {
            return Ok(Some(sha256.to_owned()));
        }
        Err(self.damaged(&path, &format!("it names no {}", self.what)))
    }

    /// The digest that `reference` is, or that it alone begins; `reference` itself where none does.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when several begin with it, and when the system refuses.
    pub(super) fn whole_digest(&self, store: &Store, reference: &str) -> Result<String> {
        if reference.len() < MIN_PREFIX_CHARS || is_digest(reference) {
            return Ok(reference.to_owned());
        }
        let dir = store.policies_dir();
        let fail = |source| Error::io("read", &dir, source);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(reference.to_owned());
            }
            Err(error) => return Err(fail(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".toml"));
            found.extend(
                digest
                    .filter(|digest| is_digest(digest) && digest.starts_with(reference))
                    .map(str::to_owned),
            );
        }
        found.sort_unstable();
        if found.len() > 1 {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{reference:?} matches {}: {}", found.len(), found.join(", ")),
            )
            .with_hint("give more characters of the SHA-256"));
        }
        Ok(found.pop().unwrap_or_else(|| reference.to_owned()))
    }

    /// The text of this digest, as it was set once, with its file's name in what `read` refuses.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a digest that was never set, [`ErrorKind::Corrupt`] for a file that
    /// is not what was set, and what `read` refuses.
    pub(super) fn kept<T>(
        &self,
        store: &Store,
        sha256: &str,
        read: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        let unknown = || {
            let what = self.what;
            Error::new(ErrorKind::NotFound, format!("no {what} {sha256:?} was ever set")).with_hint(
                Hint::new().run("audit").say(format!(" lists every change of the {what}")),
            )
        };
        if !is_digest(sha256) {
            return Err(unknown());
        }
        let path = store.policies_dir().join(format!("{sha256}.toml"));
        if !path.exists() {
            return Err(unknown());
        }
        let text = self.read_text(&path)?;
        if digest(&text) != sha256 {
            return Err(self.damaged(&path, "its text is another one than was set"));
        }
        read(&text).map_err(|error| error.with_context(format!("{} {path:?}", self.what)))
    }

    /// Makes `text`, whose digest is `sha256`, the one that holds in the store of `registry`. False if
    /// it is that already.
    ///
    /// # Errors
    /// When the system or the registry refuses; then the former one holds.
    pub(super) fn set(&self, registry: &Registry, sha256: &str, text: &str) -> Result<bool> {
        let store = registry.store();
        let former = self.current_sha256(store)?;
        if former.as_deref() == Some(sha256) {
            return Ok(false);
        }
        let dir = store.policies_dir();
        store.make_dir(&dir)?;
        write_atomically(&dir.join(format!("{sha256}.toml")), text.as_bytes())?;
        let details = json!({self.detail: sha256, "former": former});
        registry.update_outside(&self.subject, details, || {
            write_atomically(&dir.join(&self.current), sha256.as_bytes())
        })?;
        tracing::info!(sha256 = short(sha256), "{} set", self.subject);
        Ok(true)
    }

    /// The text in a file.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or no text.
    pub(super) fn read_text(&self, path: &Path) -> Result<String> {
        let what = self.what;
        let fail = |source| Error::io("read", path, source);
        let n_bytes = fs::metadata(path).map_err(fail)?.len();
        if n_bytes > MAX_BYTES {
            return Err(Error::invalid(format!(
                "{what} {path:?} has {n_bytes} bytes: at most {MAX_BYTES} are read"
            )));
        }
        let bytes = fs::read(path).map_err(fail)?;
        String::from_utf8(bytes)
            .map_err(|_| Error::invalid(format!("{what} {path:?} is no UTF-8 text")))
    }

    fn damaged(&self, path: &Path, why: &str) -> Error {
        Error::new(ErrorKind::Corrupt, format!("{} {path:?} is damaged: {why}", self.what))
            .with_hint(Hint::new().run(self.setter).say(" sets it anew"))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
