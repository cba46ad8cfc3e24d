//! The certificate: read from its files, and read again when they change. Connections keep the one
//! they began with; files that cannot be used leave the one in force.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use trialbook::error::{Error, Result};

use super::security::TlsFiles;

/// A certificate in force.
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
}

/// The state of the files when they were last read.
struct Seen {
    stamps: Stamps,
    /// The reason why they could not be used.
    failure: Option<String>,
}

/// Length and time of change of both files; none for one that is not there.
type Stamps = [Option<(u64, SystemTime)>; 2];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is not there, holds something else, or the two do not belong together.
    pub(crate) fn load(files: &TlsFiles) -> Result<Self> {
        // Before they are read: what changes meanwhile is read again.
        let seen = Seen { stamps: stamps(files), failure: None };
        let config = read(files)?;
        Ok(Self {
            files: files.clone(),
            config: RwLock::new(config.into()),
            seen: Mutex::new(seen),
        })
    }

    /// The configuration for new connections.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The reason why the files that are there now are not used, if they are not.
    pub(crate) fn problem(&self) -> Option<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The reason names files of this machine: it is for the log alone.
        seen.failure
            .as_ref()
            .map(|_| "the new certificate cannot be used, the server's log says why".to_owned())
    }

    /// Reads the files if they have changed since they were last looked at, and again as long as they
    /// cannot be used: what is wrong may be elsewhere, such as the permissions of a folder.
    pub(crate) fn reload_if_changed(&self) {
        let found = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.stamps == found && seen.failure.is_none() {
            return;
        }
        seen.stamps = found;
        match read(&self.files) {
            Ok(config) => {
                seen.failure = None;
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config.into();
                tracing::info!(cert = %self.files.cert.display(), "certificate read again");
            }
            Err(error) => {
                let failure = error.chain().to_string();
                if seen.failure.as_ref() != Some(&failure) {
                    tracing::warn!(
                        error = failure,
                        "the new certificate cannot be used, the old one stays"
                    );
                }
                seen.failure = Some(failure);
            }
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    [&files.cert, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

/// The certificates in the file at `path`, at least one.
///
/// # Errors
/// When the file is not there or holds none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certs = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|certs| if certs.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(certs) });
    certs.map_err(|error| unreadable(path, "certificate", error))
}

fn unreadable(path: &Path, what: &str, error: pem::Error) -> Error {
    match error {
        pem::Error::Io(source) => Error::io("read", path, source),
        error => Error::invalid(format!("{path:?} holds no {what} in PEM"))
            .with_hint("a PEM file begins with -----BEGIN")
            .with_source(error),
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable(&files.key, "private key", error))?;
    let unfit = |source| {
        let TlsFiles { cert, key } = files;
        Error::invalid(format!("certificate {cert:?} and key {key:?} cannot be used together"))
            .with_hint("give the certificate's own key; the server's certificate comes first")
            .with_source(source)
    };
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tls");

    fn files(cert: &str, key: &str) -> TlsFiles {
        let fixture = |name| Path::new(FIXTURES).join(name);
        TlsFiles { cert: fixture(cert), key: fixture(key) }
    }

    #[test]
    fn files_that_cannot_be_used_are_one_clear_error() {
        for (cert, key, expected) in [
            ("absent.crt", "first.key", "absent.crt"),
            ("first.crt", "absent.key", "absent.key"),
            ("first.key", "first.key", "holds no certificate"),
            ("first.crt", "first.crt", "holds no private key"),
            ("first.crt", "second.key", "cannot be used together"),
        ] {
            let error = Tls::load(&files(cert, key)).err().unwrap();
            assert!(error.to_string().contains(expected), "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
        }
    }

    #[test]
    fn changed_files_are_read_again_and_bad_ones_leave_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let used =
            TlsFiles { cert: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let put = |which: &str| {
            let files = files(&format!("{which}.crt"), &format!("{which}.key"));
            fs::copy(files.cert, &used.cert).unwrap();
            fs::copy(files.key, &used.key).unwrap();
        };
        put("first");
        let tls = Tls::load(&used).unwrap();
        let first = tls.config();
        tls.reload_if_changed();
        assert!(Arc::ptr_eq(&first, &tls.config()), "nothing has changed");
        assert_eq!(tls.problem(), None);
        fs::write(&used.cert, "nonsense").unwrap();
        tls.reload_if_changed();
        assert!(Arc::ptr_eq(&first, &tls.config()), "the old one stays");
        assert!(tls.problem().unwrap().contains("cannot be used"));
        put("second");
        tls.reload_if_changed();
        assert!(!Arc::ptr_eq(&first, &tls.config()));
        assert_eq!(tls.problem(), None);
    }

    /// Files that could not be read once, such as before a `chown`, were never tried again.
    #[test]
    fn files_that_could_not_be_used_are_tried_again_although_they_look_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let used =
            TlsFiles { cert: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
        let first = files("first.crt", "first.key");
        fs::copy(&first.cert, &used.cert).unwrap();
        fs::copy(&first.key, &used.key).unwrap();
        let tls = Tls::load(&used).unwrap();
        let in_force = tls.config();
        // Of the same length and time, as far as a look at them tells.
        let whole = fs::read(&used.cert).unwrap();
        let changed =
            fs::metadata(&used.cert).unwrap().modified().unwrap() + Duration::from_secs(9);
        for bytes in [vec![b'x'; whole.len()], whole] {
            fs::write(&used.cert, bytes).unwrap();
            fs::File::open(&used.cert).unwrap().set_modified(changed).unwrap();
            tls.reload_if_changed();
        }
        assert!(!Arc::ptr_eq(&in_force, &tls.config()), "it was not tried again");
        assert_eq!(tls.problem(), None);
    }
}
