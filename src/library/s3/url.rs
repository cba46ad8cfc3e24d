//! `s3://BUCKET/KEY`: a place in S3-compatible storage. Text only; it asks nobody.

use std::{fmt, path::Path, str::FromStr};

use crate::error::{Error, Result};

/// The beginning of these URLs.
const SCHEME: &str = "s3://";

/// A place in S3-compatible storage: an object, or what the keys of several begin with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct S3Url {
    bucket: String,
    /// Without a slash at its beginning; empty for the whole bucket.
    key: String,
}

impl S3Url {
    /// True if `path` is meant as such a URL.
    pub fn is_one(path: &Path) -> bool {
        path.to_str().is_some_and(|text| text.starts_with(SCHEME))
    }

    /// The URL that is spelled as a path; nothing for the path of a file.
    ///
    /// # Errors
    /// A URL of another form.
    pub fn of_path(path: &Path) -> Result<Option<Self>> {
        match path.to_str().filter(|text| text.starts_with(SCHEME)) {
            Some(text) => text.parse().map(Some),
            None => Ok(None),
        }
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, or the beginning of several.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The place `name` below this one.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let prefix = self.key.trim_end_matches('/');
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        Self { bucket: self.bucket.clone(), key }
    }

    /// The same place without slashes at its end.
    #[must_use]
    pub fn without_slash(&self) -> Self {
        Self { bucket: self.bucket.clone(), key: self.key.trim_end_matches('/').to_owned() }
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.key.is_empty() { "" } else { "/" };
        write!(f, "{SCHEME}{}{slash}{}", self.bucket, self.key)
    }
}

impl FromStr for S3Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |what: &str| {
            Error::invalid(format!("{text:?} is no place in S3: {what}"))
                .with_hint("write it as s3://BUCKET/PREFIX")
        };
        let rest =
            text.strip_prefix(SCHEME).ok_or_else(|| refused("it does not begin with s3://"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
        if bucket.is_empty() || !bucket.chars().all(is_plain) {
            return Err(refused("a bucket's name has letters, digits, dots and hyphens"));
        }
        let inner = key.strip_suffix('/').unwrap_or(key);
        let is_step = |part: &str| matches!(part, "" | "." | "..");
        if !inner.is_empty() && inner.split('/').any(is_step) || key == "/" {
            return Err(refused("a part between two slashes is empty, or is . or .."));
        }
        if key.chars().any(char::is_control) {
            return Err(refused("a control character is in it"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_key() {
        for (text, bucket, key) in [
            ("s3://models", "models", ""),
            ("s3://models/", "models", ""),
            ("s3://models/team a/x.csv", "models", "team a/x.csv"),
            ("s3://my.bucket-1/data/", "my.bucket-1", "data/"),
        ] {
            let url: S3Url = text.parse().unwrap();
            assert_eq!((url.bucket(), url.key()), (bucket, key), "{text}");
        }
        let url: S3Url = "s3://models/team/".parse().unwrap();
        assert_eq!(url.join("a.json").to_string(), "s3://models/team/a.json");
        assert_eq!(url.without_slash().to_string(), "s3://models/team");
        let whole: S3Url = "s3://models".parse().unwrap();
        assert_eq!(whole.join("a.json").to_string(), "s3://models/a.json");
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_form() {
        for text in [
            "",
            "models",
            "https://models/a",
            "s3:/models",
            "s3://",
            "s3:///a",
            "s3://a b/c",
            "s3://user:key@host/a",
            "s3://models//a",
            "s3://models/../a",
            "s3://models/a\nb",
            "s3://models/./a",
        ] {
            let error = text.parse::<S3Url>().unwrap_err();
            assert!(error.hint().is_some(), "{text:?}");
        }
        assert!(S3Url::of_path(Path::new("s3/data.csv")).unwrap().is_none());
        assert!(S3Url::of_path(Path::new("s3://")).is_err());
    }
}
