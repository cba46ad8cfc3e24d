//! The weights of a checkpoint: one file, or several with an index that says which tensor is where,
//! as Transformers writes those that are larger than a shard.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

use super::{
    file_names::{PYTORCH_FILE, WEIGHTS_FILE},
    onnx, pytorch,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::{ModelFiles, neural::tensors::Tensors, onnx::ONNX_FILE},
};

/// `*.index.json`: <https://huggingface.co/docs/transformers/big_models>.
#[derive(Deserialize)]
struct ShardIndex {
    /// Each tensor's file.
    weight_map: BTreeMap<String, String>,
}

/// Opens one file of weights.
type OpenShard = fn(&Path) -> Result<Tensors>;

/// Opens the weights among `files`, in the order in which Transformers looks for them.
///
/// # Errors
/// No weights, files that are damaged, and an index whose files are not there or lack a tensor.
pub(super) fn open(files: &ModelFiles) -> Result<Tensors> {
    let kinds: [(&str, OpenShard); 2] =
        [(WEIGHTS_FILE, Tensors::map), (PYTORCH_FILE, pytorch::read)];
    for (whole, open) in kinds {
        if let Ok(path) = files.path(whole) {
            return open(path);
        }
        if let Ok(path) = files.path(&format!("{whole}.index.json")) {
            return sharded(files, path, open)
                .map_err(|error| error.with_context(format!("{path:?}")));
        }
    }
    if let Ok(path) = files.path(ONNX_FILE) {
        return onnx::read(files, path);
    }
    files.path(WEIGHTS_FILE).map(|_| Tensors::default())
}

fn sharded(files: &ModelFiles, index: &Path, open: OpenShard) -> Result<Tensors> {
    let text = fs::read_to_string(index).map_err(|source| Error::io("read", index, source))?;
    let index: ShardIndex = serde_json::from_str(&text)
        .map_err(|source| Error::invalid("it is not an index of weights").with_source(source))?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let missing: Vec<&str> =
        names.iter().map(|name| name.as_str()).filter(|name| files.path(name).is_err()).collect();
    if !missing.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "{} of the {} files of weights are missing: {}",
                missing.len(),
                names.len(),
                missing.join(", ")
            ),
        )
        .with_hint("download them again, into the folder of the index"));
    }
    let mut shards: BTreeMap<&String, Tensors> = BTreeMap::new();
    for name in names {
        shards.insert(name, open(files.path(name)?)?);
    }
    let take = |(tensor, file): (&String, &String)| {
        let found = shards.get_mut(file).and_then(|shard| shard.remove(tensor));
        found.map(|found| (tensor.clone(), found)).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("the tensor {tensor} is not in {file}"))
                .with_hint("the index and the weights do not belong together: download them again")
        })
    };
    index.weight_map.iter().map(take).collect()
}
