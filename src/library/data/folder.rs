//! Reading the folder of the Large Movie Review Dataset (Maas et al., 2011): `train` and `test`, in
//! each a folder `pos` and `neg` with one text file a review, called `ID_RATING.txt`. The folder
//! `unsup` of unlabelled reviews is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    encoding::TextEncoding,
    input::text_of,
    raw::{Places, RawRows},
};
use crate::error::{Error, Result};

const CLASS_DIRS: [&str; 2] = ["neg", "pos"];

const EXPECTED: &str =
    "the folder must hold train/pos, train/neg, test/pos and test/neg, as aclImdb does";

/// The content of a folder of text files.
#[derive(Debug)]
pub(super) enum Folder {
    /// `{train,test}/{pos,neg}`.
    Both { train: Box<RawRows>, test: Box<RawRows> },
    /// `{pos,neg}`: one split.
    One(Box<RawRows>),
}

/// True if `dir` is one of these folders, or begins to be.
pub(super) fn is_one(dir: &Path) -> bool {
    ["", "train", "test"]
        .iter()
        .any(|split| CLASS_DIRS.iter().any(|class| dir.join(split).join(class).is_dir()))
}

/// Reads the folder `dir` of both splits, or of one.
///
/// # Errors
/// When `pos` or `neg` is missing somewhere, with the folder; invalid UTF-8, with the file.
pub(super) fn read(dir: &Path, encoding: Option<TextEncoding>) -> Result<Folder> {
    if CLASS_DIRS.iter().any(|class| dir.join(class).is_dir()) {
        return read_split(dir, encoding).map(Box::new).map(Folder::One);
    }
    for split in ["train", "test"] {
        if !dir.join(split).is_dir() {
            return Err(
                Error::invalid(format!("{dir:?}: no folder {split:?} in it")).with_hint(EXPECTED)
            );
        }
    }
    Ok(Folder::Both {
        train: Box::new(read_split(&dir.join("train"), encoding)?),
        test: Box::new(read_split(&dir.join("test"), encoding)?),
    })
}

/// Reads `dir/neg` and `dir/pos`, each in the order of the reviews' numbers.
pub(super) fn read_split(dir: &Path, encoding: Option<TextEncoding>) -> Result<RawRows> {
    let mut files = Vec::new();
    let mut labels = Vec::new();
    for class in CLASS_DIRS {
        let class_dir = dir.join(class);
        if !class_dir.is_dir() {
            return Err(
                Error::invalid(format!("{dir:?}: no folder {class:?} in it")).with_hint(EXPECTED)
            );
        }
        let found = text_files(&class_dir)?;
        labels.resize(labels.len() + found.len(), Some(class.to_owned()));
        files.extend(found);
    }
    let texts = files
        .par_iter()
        .map(|path| text_of(path, encoding).map(Some))
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    Ok(RawRows::new(texts, labels, Places::Files { dir: dir.to_owned(), files }))
}

fn text_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io("read the folder", dir, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    // The same order on every file system: by number where names begin with one.
    files.sort_by_cached_key(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let number: Option<u64> = name.split('_').next().and_then(|id| id.parse().ok());
        (number.is_none(), number, name)
    });
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_are_read_in_the_order_of_their_numbers_and_the_unlabelled_left() {
        let temp = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("train/neg/10_2.txt", "ten"),
            ("train/neg/9_1.txt", "nine"),
            ("train/pos/0_9.txt", "zero"),
            ("train/pos/notes.md", "not a review"),
            ("train/unsup/1_0.txt", "unlabelled"),
            ("test/neg/0_1.txt", "bad"),
            ("test/pos/0_10.txt", "good"),
        ] {
            let path = temp.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let Folder::Both { train, test } = read(temp.path(), None).unwrap() else {
            panic!("two splits")
        };
        let texts: Vec<&str> = train.texts.iter().flatten().map(String::as_str).collect();
        assert_eq!(texts, ["nine", "ten", "zero"]);
        assert_eq!(train.labels.iter().flatten().collect::<Vec<_>>(), ["neg", "neg", "pos"]);
        assert_eq!(test.texts.len(), 2);
        let Folder::One(one) = read(&temp.path().join("train"), None).unwrap() else {
            panic!("one split")
        };
        assert_eq!(one.texts, train.texts);
    }
}
