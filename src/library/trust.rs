//! The certificates that a server's own is checked against: those of the public authorities, or of a file that
//! the environment names, as a company's servers need. It reads the file and asks nobody.

use std::fs;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{Error, ErrorKind, Result};

/// The variables that name a file of certificates, the first that is set counts: MLflow's own, that of the
/// library it asks with, and OpenSSL's.
const VARIABLES: [&str; 3] =
    ["MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];

/// Encryption towards a server that keeps a registry.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a variable that names no file of certificates.
pub(crate) fn tls() -> Result<TlsConfig> {
    let named = VARIABLES.into_iter().find_map(|variable| {
        std::env::var(variable).ok().filter(|path| !path.is_empty()).map(|path| (variable, path))
    });
    let Some((variable, path)) = named else { return Ok(TlsConfig::default()) };
    let refuse = |why: &str| {
        Error::invalid(format!("{variable} names {path:?}, {why}"))
            .with_hint("name a file of certificates in PEM, or leave the variable empty")
    };
    let pem =
        fs::read(&path).map_err(|source| refuse("which cannot be read").with_source(source))?;
    let roots = certificates(&pem);
    if roots.is_empty() {
        return Err(refuse("which holds no certificate"));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::from(roots)).build())
}

/// The error of a request to the server at `url` whose certificate is not trusted; none for another error.
pub(crate) fn refusal(url: &str, error: &ureq::Error) -> Option<Error> {
    // rustls' error lies inside an error of input and output, and is no type of ureq's.
    let said = error.to_string();
    let (_, why) = said.split_once("invalid peer certificate: ")?;
    Some(
        Error::new(
            ErrorKind::Unavailable,
            format!("the certificate of the server at {url} is not trusted: {why}"),
        )
        .with_hint(
            "if it is one of your own authority, name the file of its certificate in \
             MLFLOW_TRACKING_SERVER_CERT_PATH or SSL_CERT_FILE",
        ),
    )
}

/// The certificates in `pem`, whatever else lies between them.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_of_a_file_is_found_and_nothing_else() {
        let part = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        let pem = format!(
            "# a bundle\n{}{}{}",
            part("CERTIFICATE"),
            part("PRIVATE KEY"),
            part("CERTIFICATE")
        );
        assert_eq!(certificates(pem.as_bytes()).len(), 2);
        assert_eq!(certificates(b"no certificates").len(), 0);
        assert_eq!(certificates(part("PRIVATE KEY").as_bytes()).len(), 0);
    }
}
