//! `pytorch_model.bin`: what `torch.save` wrote of a state dict, as a zip archive or, before
//! PyTorch 1.6, as pickles one after another. Nothing in it is run.
//!
//! A tensor is a view of a storage that others may share: transposed, as those converted from
//! TensorFlow are, its strides say so and nothing else does.
//!
//! That is why the reader is our own: burn-store's takes the numbers of a tensor as they lie.

mod pickle;

use std::{collections::HashMap, io::Cursor, ops::Range, path::Path, sync::Arc};

use half::{bf16, f16};
use safetensors::Dtype;
use zip::{CompressionMethod, ZipArchive};

use self::pickle::{Cause, Pickle, View};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::tensors::{MappedFile, Tensor, Tensors},
};

/// The beginning of the first pickle of the older format: its length and a number that means it.
const LEGACY: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Maps the file. Floating-point tensors stay in it where their numbers lie row-major, and are
/// gathered into memory where not; of others there is only the shape, for the report.
///
/// # Errors
/// When the file cannot be opened or is not such a file.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let file = Arc::new(MappedFile::open(path)?);
    tensors(&file).map_err(|source| {
        Error::new(ErrorKind::Corrupt, format!("cannot read {path:?} as PyTorch weights"))
            .with_source(source)
            .with_hint("convert it to model.safetensors with Transformers' save_pretrained")
    })
}

/// The place in the file of the bytes of every storage.
type Storages = HashMap<String, Range<usize>>;

fn tensors(file: &Arc<MappedFile>) -> std::result::Result<Tensors, Cause> {
    let bytes = file.bytes();
    let (pickle, storages) =
        if bytes.starts_with(&LEGACY) { one_after_another(bytes)? } else { archive(bytes)? };
    let tensors = pickle.tensors()?.into_iter().map(|(name, view)| {
        let tensor =
            tensor(file, &view, &storages).map_err(|cause| format!("tensor {name}: {cause}"))?;
        Ok((name, tensor))
    });
    tensors.collect()
}

/// A zip archive whose entries are not compressed: `NAME/data.pkl`, and `NAME/data/KEY` for every
/// storage.
fn archive(bytes: &[u8]) -> std::result::Result<(Pickle, Storages), Cause> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut entries = Storages::new();
    for entry_idx in 0..archive.len() {
        let entry = archive.by_index_raw(entry_idx)?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!("its entry {} is compressed", entry.name()).into());
        }
        let start = entry.data_start().ok_or("the start of an entry of the archive is unknown")?;
        let range = usize::try_from(start)?..usize::try_from(start.saturating_add(entry.size()))?;
        if range.end > bytes.len() {
            return Err(format!("its entry {} is cut off", entry.name()).into());
        }
        entries.insert(entry.name().to_owned(), range);
    }
    let folder = entries.keys().find_map(|name| name.strip_suffix("data.pkl"));
    let folder = folder.ok_or("the archive holds no data.pkl")?.to_owned();
    let order = entries.get(&format!("{folder}byteorder"));
    if order.is_some_and(|range| bytes[range.clone()] != *b"little") {
        return Err("its numbers are big-endian".into());
    }
    let pickle = Pickle::read(&bytes[entries[&format!("{folder}data.pkl")].clone()])?;
    let prefix = format!("{folder}data/");
    let key = |(name, range): (String, Range<usize>)| {
        name.strip_prefix(&prefix).map(|key| (key.to_owned(), range))
    };
    Ok((pickle, entries.into_iter().filter_map(key).collect()))
}

/// Five pickles (a number that means this format, its version, the system, the state dict, the
/// storages' keys), then every storage in the order of the keys: how many numbers, and they.
fn one_after_another(bytes: &[u8]) -> std::result::Result<(Pickle, Storages), Cause> {
    let mut at = 0;
    let mut next = || -> std::result::Result<Pickle, Cause> {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.n_bytes;
        Ok(pickle)
    };
    let (_meaning, _version, system) = (next()?, next()?, next()?);
    if system.flag("little_endian") == Some(false) {
        return Err("its numbers are big-endian".into());
    }
    let (pickle, keys) = (next()?, next()?);
    let mut classes = HashMap::new();
    for storage in &pickle.storages {
        classes.insert(&*storage.key, &*storage.class);
    }
    let mut storages = Storages::new();
    for key in keys.texts() {
        let class = classes.get(key).ok_or_else(|| format!("no tensor uses storage {key}"))?;
        let n_bytes = bytes[at..].first_chunk().map(|n_numbers| {
            let n_numbers = usize::try_from(u64::from_le_bytes(*n_numbers)).ok()?;
            n_numbers.checked_mul(dtype(class)?.bitsize() / 8)
        });
        let start = at + 8;
        let end = n_bytes.flatten().and_then(|n_bytes| start.checked_add(n_bytes));
        let end = end.filter(|end| *end <= bytes.len());
        at = end.ok_or_else(|| format!("storage {key} is cut off"))?;
        storages.insert(key.to_owned(), start..at);
    }
    Ok((pickle, storages))
}

/// The numbers of a storage of PyTorch's class `class`.
fn dtype(class: &str) -> Option<Dtype> {
    Some(match class.strip_prefix("torch.")? {
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "DoubleStorage" => Dtype::F64,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        _ => return None,
    })
}

fn tensor(
    file: &Arc<MappedFile>,
    view: &View,
    storages: &Storages,
) -> std::result::Result<Tensor, Cause> {
    let View { storage, offset, shape, strides } = view;
    let dtype = dtype(&storage.class)
        .ok_or_else(|| format!("the type of its numbers, {}, is not supported", storage.class))?;
    let number: fn(&[u8]) -> f32 = match dtype {
        Dtype::F32 => |bytes| f32::from_le_bytes(array(bytes)),
        Dtype::F16 => |bytes| f16::from_le_bytes(array(bytes)).to_f32(),
        Dtype::BF16 => |bytes| bf16::from_le_bytes(array(bytes)).to_f32(),
        _ => return Ok(Tensor::unread(shape.clone(), format!("{dtype:?}"))),
    };
    let range = storages
        .get(&*storage.key)
        .ok_or_else(|| format!("its storage {} is not in the file", storage.key))?;
    let width = dtype.bitsize() / 8;
    let n_stored = range.len() / width;
    let n_numbers = shape.iter().try_fold(1_usize, |n_numbers, size| n_numbers.checked_mul(*size));
    if n_numbers == Some(0) {
        return Ok(Tensor::new(shape.clone(), Vec::new()));
    }
    let last = shape.iter().zip(strides).try_fold(*offset, |last, (size, stride)| {
        last.checked_add((size - 1).checked_mul(*stride)?)
    });
    // A view that repeats numbers could ask for any amount of memory; no weights are stored so.
    let fits = last.is_some_and(|last| last < n_stored) && n_numbers.is_some_and(|n| n <= n_stored);
    let Some(n_numbers) = n_numbers.filter(|_| fits) else {
        return Err(format!(
            "shape {shape:?}, strides {strides:?} and offset {offset} do not fit {n_stored} numbers"
        )
        .into());
    };
    if is_row_major(shape, strides) {
        let start = range.start + offset * width;
        let range = start..start + n_numbers * width;
        return Ok(Tensor::mapped(Arc::clone(file), range, dtype, shape.clone()));
    }
    let stored = &file.bytes()[range.clone()];
    let numbers = places(*offset, shape, strides, n_numbers)
        .map(|place| number(&stored[place * width..(place + 1) * width]));
    Ok(Tensor::new(shape.clone(), numbers.collect()))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as a number has")
}

/// True if the numbers lie without gaps in the order of their indices. Where there is but one index
/// its stride says nothing.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().filter(|(size, _)| **size != 1).all(|(size, stride)| {
        let is_next = *stride == expected;
        expected *= size;
        is_next
    })
}

/// The places of the numbers, in the order of their indices.
fn places(
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    n_numbers: usize,
) -> impl Iterator<Item = usize> {
    let mut index = vec![0; shape.len()];
    let mut next = offset;
    (0..n_numbers).map(move |_| {
        let place = next;
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            next += strides[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            next -= shape[dimension] * strides[dimension];
            index[dimension] = 0;
        }
        place
    })
}

#[cfg(test)]
mod tests;
