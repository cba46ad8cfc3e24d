//! A bucket, or what its keys below a prefix hold: bytes up in parts and down in pieces, never held
//! whole. An upload is there when it is whole: parts that are not completed are no object.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path,
};
use tokio::task::JoinSet;

use super::{S3Url, connection, refusal::refused, wait::wait};
use crate::error::{Error, ErrorKind, Result};

/// A part of an upload. S3 takes 10,000 parts of at least 5 MiB; see [`part_bytes`].
const PART_BYTES: u64 = 8 << 20;
const MAX_PARTS: u64 = 9_000;
/// Parts that are under way at once.
const N_PARTS_AT_ONCE: usize = 4;
/// Bytes that are handed over of a download at a time, at least while there are more.
const PIECE_BYTES: usize = 1 << 20;
/// Objects that are asked for at once.
const N_ASKED_AT_ONCE: usize = 32;

/// The objects below a prefix.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    url: S3Url,
    objects: Arc<dyn ObjectStore>,
}

/// An object: its name below the prefix, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
}

impl Bucket {
    /// The objects below `url`, by the environment's endpoint, region and credentials. Asks no server.
    ///
    /// # Errors
    /// Without credentials, or with an endpoint that is none.
    pub(crate) fn connect(url: &S3Url) -> Result<Self> {
        Ok(Self { url: url.without_slash(), objects: connection::connect(url)? })
    }

    /// The objects of another implementation, below `url`.
    #[cfg(test)]
    pub(crate) fn of(url: &S3Url, objects: Arc<dyn ObjectStore>) -> Self {
        Self { url: url.without_slash(), objects }
    }

    /// The URL of the object called `name`; of the prefix itself without a name.
    pub(crate) fn url(&self, name: &str) -> S3Url {
        if name.is_empty() { self.url.clone() } else { self.url.join(name) }
    }

    /// The length of the object called `name`, if it is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn size_bytes(&self, name: &str) -> Result<Option<u64>> {
        let mut sizes = self.sizes_bytes(std::slice::from_ref(&name.to_owned()))?;
        Ok(sizes.remove(0))
    }

    /// The length of each of the objects called `names`, of those that are there; asked side by side.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn sizes_bytes(&self, names: &[String]) -> Result<Vec<Option<u64>>> {
        let mut sizes = Vec::with_capacity(names.len());
        for names in names.chunks(N_ASKED_AT_ONCE) {
            let paths = names.iter().map(|name| self.path(name)).collect::<Result<Vec<_>>>()?;
            let objects = Arc::clone(&self.objects);
            let heads = wait(async move {
                join_all(paths.iter().map(async |path| objects.head(path).await)).await
            })?;
            for (name, head) in names.iter().zip(heads) {
                sizes.push(match head {
                    Ok(head) => Some(head.size),
                    Err(object_store::Error::NotFound { .. }) => None,
                    Err(error) => return Err(refused("read", &self.url(name), &error)),
                });
            }
        }
        Ok(sizes)
    }

    /// A small object, whole; nothing if there is none.
    ///
    /// # Errors
    /// When the server refuses, also with a bucket that does not exist.
    pub(crate) fn small(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let (path, objects) = (self.path(name)?, Arc::clone(&self.objects));
        let found = wait(async move { objects.get(&path).await?.bytes().await })?;
        match found {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) => match refused("read", &self.url(name), &error) {
                // A bucket that does not exist is another thing.
                error
                    if error.kind() == ErrorKind::NotFound
                        && !error.to_string().contains("no such bucket") =>
                {
                    Ok(None)
                }
                error => Err(error),
            },
        }
    }

    /// Makes a small object, unless it is there; false if it was.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn create_small(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let path = self.path(name)?;
        let put = |mode: PutMode| {
            let (path, objects) = (path.clone(), Arc::clone(&self.objects));
            let payload = PutPayload::from(bytes.to_vec());
            wait(async move { objects.put_opts(&path, payload, PutOptions::from(mode)).await })
        };
        match put(PutMode::Create)? {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            // Some servers know no condition.
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => match put(PutMode::Overwrite)? {
                Ok(_) => Ok(true),
                Err(error) => Err(refused("write", &self.url(name), &error)),
            },
            Err(error) => Err(refused("write", &self.url(name), &error)),
        }
    }

    /// Writes `size_bytes` of `input` as the object called `name`, in parts. It is there once this
    /// returns, whole; after an error it is as it was.
    ///
    /// # Errors
    /// When `input` cannot be read or ends early, or the server refuses.
    pub(crate) fn send(&self, name: &str, input: &mut dyn Read, size_bytes: u64) -> Result<()> {
        let part_bytes = part_bytes(size_bytes);
        if size_bytes <= part_bytes {
            let part = read_part(input, size_bytes).map_err(|error| self.unread(name, error))?;
            let (path, objects) = (self.path(name)?, Arc::clone(&self.objects));
            let sent = wait(async move { objects.put(&path, PutPayload::from(part)).await })?;
            return sent.map(drop).map_err(|error| refused("write", &self.url(name), &error));
        }
        let (path, objects) = (self.path(name)?, Arc::clone(&self.objects));
        let begun = wait(async move { objects.put_multipart(&path).await })?;
        let fail = |error: object_store::Error| refused("write", &self.url(name), &error);
        let mut parts = Parts { upload: begun.map_err(fail)?, sending: JoinSet::new() };
        let mut rest = size_bytes;
        while rest > 0 {
            let part = match read_part(input, rest.min(part_bytes)) {
                Ok(part) => part,
                Err(error) => {
                    wait(parts.abort())?;
                    return Err(self.unread(name, error));
                }
            };
            rest -= part.len() as u64;
            parts = wait(parts.send(part))?.map_err(fail)?;
        }
        wait(parts.complete())?.map_err(fail)
    }

    /// Copies the object called `name` to `output`, a piece at a time; false if it is not there.
    /// `output` may have got a part of it when an error comes.
    ///
    /// # Errors
    /// When the server refuses or breaks off, or `output` does, as an error with this error as cause.
    pub(crate) fn receive(&self, name: &str, output: &mut dyn Write) -> Result<bool> {
        let (path, objects) = (self.path(name)?, Arc::clone(&self.objects));
        let fail = |error: &object_store::Error| refused("read", &self.url(name), error);
        let mut content = match wait(async move { objects.get(&path).await })? {
            Ok(found) => found.into_stream(),
            Err(error @ object_store::Error::NotFound { .. }) => {
                let error = fail(&error);
                let is_bucket = error.to_string().contains("no such bucket");
                return if is_bucket { Err(error) } else { Ok(false) };
            }
            Err(error) => return Err(fail(&error)),
        };
        loop {
            let (rest, pieces) = wait(async move {
                let pieces = gathered(&mut content).await;
                (content, pieces)
            })?;
            content = rest;
            let pieces = pieces.map_err(|error| fail(&error))?;
            if pieces.is_empty() {
                return Ok(true);
            }
            for piece in pieces {
                output.write_all(&piece).map_err(|source| {
                    Error::new(ErrorKind::Io, format!("cannot keep what {} holds", self.url(name)))
                        .with_source(source)
                        .with_hint("free some space; nothing was changed")
                })?;
            }
        }
    }

    /// Every object below the prefix whose name begins with `beginning`, a whole part between slashes
    /// or nothing, by name.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn list(&self, beginning: &str) -> Result<Vec<Object>> {
        let (below, root) = (self.path(beginning)?, self.path("")?);
        let objects = Arc::clone(&self.objects);
        let found = wait(async move {
            let below = (!below.as_ref().is_empty()).then_some(below);
            objects.list(below.as_ref()).try_collect::<Vec<_>>().await
        })?;
        let found = found.map_err(|error| refused("list", &self.url(beginning), &error))?;
        let mut listed: Vec<Object> = found
            .into_iter()
            .filter_map(|object| {
                let name = object.location.as_ref().strip_prefix(root.as_ref())?;
                let name = name.strip_prefix('/').unwrap_or(name);
                Some(Object { name: name.to_owned(), size_bytes: object.size })
            })
            .filter(|object| !object.name.is_empty())
            .collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// Removes the objects called `names`; those that are not there count as removed.
    ///
    /// # Errors
    /// When the server refuses; some may be removed then.
    pub(crate) fn remove(&self, names: &[String]) -> Result<()> {
        let paths = names.iter().map(|name| self.path(name)).collect::<Result<Vec<_>>>()?;
        let objects = Arc::clone(&self.objects);
        let removed = wait(async move {
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut removed = objects.delete_stream(paths);
            while let Some(outcome) = removed.next().await {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })?;
        removed.map_err(|error| refused("remove objects below", &self.url, &error))
    }

    fn path(&self, name: &str) -> Result<Path> {
        let url = self.url(name);
        Path::parse(url.key().trim_end_matches('/'))
            .map_err(|error| Error::invalid(format!("{url} is no place in S3: {error}")))
    }

    fn unread(&self, name: &str, source: io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("cannot read what is to become {}", self.url(name)))
            .with_source(source)
            .with_hint("nothing was changed")
    }
}

/// The length of the parts of an object of `size_bytes`.
fn part_bytes(size_bytes: u64) -> u64 {
    PART_BYTES.max(size_bytes.div_ceil(MAX_PARTS))
}

/// The next `n_bytes` of `input`, all of them.
fn read_part(input: &mut dyn Read, n_bytes: u64) -> io::Result<Bytes> {
    let mut part = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or_default());
    input.take(n_bytes).read_to_end(&mut part)?;
    if part.len() as u64 != n_bytes {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(Bytes::from(part))
}

/// The parts of an upload that is not complete. Whoever fails takes back what was sent.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    sending: JoinSet<object_store::Result<()>>,
}

impl Parts {
    /// Begins to send one more, once few enough are under way.
    async fn send(mut self, part: Bytes) -> object_store::Result<Self> {
        if let Err(error) = self.fewer_than(N_PARTS_AT_ONCE).await {
            self.abort().await;
            return Err(error);
        }
        self.sending.spawn(self.upload.put_part(PutPayload::from(part)));
        Ok(self)
    }

    /// Makes them the object.
    async fn complete(mut self) -> object_store::Result<()> {
        let mut outcome = self.fewer_than(1).await;
        if outcome.is_ok() {
            outcome = self.upload.complete().await.map(drop);
        }
        if outcome.is_err() {
            self.abort().await;
        }
        outcome
    }

    async fn fewer_than(&mut self, n_parts: usize) -> object_store::Result<()> {
        while self.sending.len() >= n_parts
            && let Some(sent) = self.sending.join_next().await
        {
            sent??;
        }
        Ok(())
    }

    /// Takes back what was sent. Parts that cannot be taken back are no object either.
    async fn abort(mut self) {
        self.sending.shutdown().await;
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, "cannot take back the parts of an upload");
        }
    }
}

/// The next pieces of a download; none at its end.
async fn gathered(
    content: &mut (impl futures_util::Stream<Item = object_store::Result<Bytes>> + Unpin),
) -> object_store::Result<Vec<Bytes>> {
    let (mut pieces, mut n_bytes) = (Vec::new(), 0);
    while n_bytes < PIECE_BYTES
        && let Some(piece) = content.try_next().await?
    {
        n_bytes += piece.len();
        if !piece.is_empty() {
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn bucket() -> Bucket {
        Bucket::of(&"s3://models/team".parse().unwrap(), Arc::new(InMemory::new()))
    }

    #[test]
    fn what_was_sent_in_parts_comes_back_in_pieces() {
        let bucket = bucket();
        let part = usize::try_from(PART_BYTES).unwrap();
        for n_bytes in [0, 1, part - 1, part, part + 1, 3 * part + 7] {
            let sent: Vec<u8> = (0..n_bytes).map(|idx| (idx % 251) as u8).collect();
            bucket.send("a/b", &mut sent.as_slice(), n_bytes as u64).unwrap();
            assert_eq!(bucket.size_bytes("a/b").unwrap(), Some(n_bytes as u64));
            let mut back = Vec::new();
            assert!(bucket.receive("a/b", &mut back).unwrap());
            assert!(back == sent, "{n_bytes} bytes");
        }
        assert!(!bucket.receive("a", &mut Vec::new()).unwrap(), "a prefix is no object");
        assert_eq!(bucket.sizes_bytes(&["a/b".into(), "c".into()]).unwrap()[1], None);
    }

    #[test]
    fn an_input_that_ends_early_leaves_no_object() {
        let bucket = bucket();
        for n_bytes in [10, 3 * PART_BYTES] {
            let short = vec![1; usize::try_from(n_bytes).unwrap() - 1];
            bucket.send("a", &mut short.as_slice(), n_bytes).unwrap_err();
            assert_eq!(bucket.size_bytes("a").unwrap(), None);
        }
    }

    #[test]
    fn names_are_listed_from_the_prefix_on_and_removed() {
        let bucket = bucket();
        for name in ["b/2", "a/1", "a/3", "ab"] {
            bucket.send(name, &mut &b"x"[..], 1).unwrap();
        }
        let names = |beginning: &str| -> Vec<String> {
            bucket.list(beginning).unwrap().into_iter().map(|object| object.name).collect()
        };
        assert_eq!(names(""), ["a/1", "a/3", "ab", "b/2"]);
        assert_eq!(names("a"), ["a/1", "a/3"]);
        bucket.remove(&["a/1".into(), "nothing".into()]).unwrap();
        assert_eq!(names("a"), ["a/3"]);
    }

    #[test]
    fn a_small_object_is_made_once() {
        let bucket = bucket();
        assert!(bucket.small("store.json").unwrap().is_none());
        assert!(bucket.create_small("store.json", b"1").unwrap());
        assert!(!bucket.create_small("store.json", b"2").unwrap());
        assert_eq!(bucket.small("store.json").unwrap().unwrap(), b"1");
    }

    #[test]
    fn parts_grow_with_what_would_need_too_many() {
        assert_eq!(part_bytes(250_000_000), PART_BYTES);
        assert!((1_u64 << 42).div_ceil(part_bytes(1 << 42)) <= 10_000);
    }
}
