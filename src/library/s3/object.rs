//! Single objects as files: fetched into one, sent from one, listed by a pattern.

use std::{fs::File, path::Path};

use super::{Bucket, S3Url};
use crate::error::{Error, ErrorKind, Result};

/// Copies the object at `url` into `file`.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it is not there; when the server refuses.
pub(crate) fn fetch(url: &S3Url, file: &mut File) -> Result<()> {
    let (bucket, name) = parts(url)?;
    match bucket.receive(name, file)? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::NotFound, format!("{url} does not exist"))
            .with_hint("check the bucket and the key")),
    }
}

/// Makes the content of `file` the object at `url`: whole, or not at all.
///
/// # Errors
/// When the file cannot be read, or the server refuses.
pub(crate) fn send(file: &Path, url: &S3Url) -> Result<()> {
    let fail = |source| Error::io("read", file, source);
    let mut input = File::open(file).map_err(fail)?;
    let size_bytes = input.metadata().map_err(fail)?.len();
    let (bucket, name) = parts(url)?;
    bucket.send(name, &mut input, size_bytes)
}

/// True if there is an object at `url`.
///
/// # Errors
/// When the server refuses.
pub(crate) fn occupied(url: &S3Url) -> Result<bool> {
    let (bucket, name) = parts(url)?;
    Ok(bucket.size_bytes(name)?.is_some())
}

/// The objects that `url` means, by name: those below it where it ends with a slash, those that match
/// where it is a pattern, else itself, which is not asked for.
///
/// # Errors
/// When the server refuses, or the pattern is none.
pub(crate) fn listed(url: &S3Url) -> Result<Vec<S3Url>> {
    let key = url.key();
    let pattern_begin = key.find(['*', '?', '[']);
    if pattern_begin.is_none() && !key.is_empty() && !key.ends_with('/') {
        return Ok(vec![url.clone()]);
    }
    let literal = &key[..pattern_begin.unwrap_or(key.len())];
    let folder = literal.rfind('/').map_or("", |end| &literal[..end]);
    let bucket = Bucket::connect(&whole(url)?)?;
    let found = bucket.list(folder)?.into_iter().map(|object| object.name);
    let found: Vec<String> = match pattern_begin {
        None => found.collect(),
        Some(_) => {
            let pattern = glob::Pattern::new(key).map_err(|source| {
                Error::invalid(format!("{url} is no pattern of objects")).with_source(source.msg)
            })?;
            let options =
                glob::MatchOptions { require_literal_separator: true, ..Default::default() };
            found.filter(|name| pattern.matches_with(name, options)).collect()
        }
    };
    Ok(found.iter().map(|name| bucket.url(name)).collect())
}

/// The bucket of `url`, and the object's name in it.
fn parts(url: &S3Url) -> Result<(Bucket, &str)> {
    if url.key().is_empty() || url.key().ends_with('/') {
        return Err(Error::invalid(format!("{url} names no object, but all below it"))
            .with_hint("write the object's whole key: s3://BUCKET/KEY"));
    }
    Ok((Bucket::connect(&whole(url)?)?, url.key()))
}

fn whole(url: &S3Url) -> Result<S3Url> {
    format!("s3://{}", url.bucket()).parse()
}
