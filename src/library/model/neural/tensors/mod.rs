//! Named tensors in a mapped file or in memory, read as `f32`, and safetensors files of them.

mod mapped;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, View};

pub(super) use self::mapped::MappedFile;
use crate::error::{Error, ErrorKind, Result};

/// Tensors by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensors(BTreeMap<String, Tensor>);

/// One tensor: its shape, and where its numbers are.
#[derive(Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Mapped {
        file: Arc<MappedFile>,
        range: Range<usize>,
        dtype: Dtype,
    },
    Owned(Arc<Vec<f32>>),
    /// Of a number type that this crate does not read.
    Unread(String),
}

/// A tensor's numbers, row-major: a view of the mapped file where that is possible.
#[derive(Clone)]
pub struct Values(Source);

#[derive(Clone)]
enum Source {
    /// The range is aligned for `f32`: checked by [`Tensor::values`].
    Mapped(Arc<MappedFile>, Range<usize>),
    Owned(Arc<Vec<f32>>),
}

impl Tensors {
    /// Maps a safetensors file. Nothing but the header is read.
    ///
    /// # Errors
    /// When the file cannot be opened, is cut off, or is no safetensors file.
    pub fn map(path: &Path) -> Result<Self> {
        let file = Arc::new(MappedFile::open(path)?);
        let n_bytes = file.bytes().len();
        let parsed = SafeTensors::deserialize(file.bytes()).map_err(|source| {
            Error::new(
                ErrorKind::Corrupt,
                format!("{path:?} ({n_bytes} bytes) is not a whole safetensors file"),
            )
            .with_source(source)
            .with_hint("it may be incomplete, or a Git LFS pointer: download it again")
        })?;
        let start = file.bytes().as_ptr().addr();
        let tensors = parsed.iter().map(|(name, view)| {
            let offset = view.data().as_ptr().addr() - start;
            let data = Data::Mapped {
                file: Arc::clone(&file),
                range: offset..offset + view.data().len(),
                dtype: view.dtype(),
            };
            (name.to_owned(), Tensor { shape: view.shape().to_vec(), data })
        });
        Ok(Self(tensors.collect()))
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0
            .get(name)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no tensor {name:?}")))
    }

    /// The numbers of `name`: [`Tensors::get`] and [`Tensor::values`] in one, with the name in
    /// the error.
    ///
    /// # Errors
    /// When there is no such tensor, or its number type cannot be read.
    pub fn values(&self, name: &str) -> Result<Values> {
        self.get(name)?.values().map_err(|error| error.with_context(format!("tensor {name:?}")))
    }

    /// Every tensor, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Adds a tensor or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// Writes a safetensors file, every number as F32, bit by bit as it is.
    ///
    /// # Errors
    /// A number type that cannot be read, and when the system refuses, with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        // Transformers refuses a file that does not say which framework's layout it has.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(self.stored()?, Some(metadata), path).map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot write {path:?}")).with_source(source)
        })
    }

    /// The bytes of a safetensors file with `metadata` in its header, every number as F32.
    ///
    /// # Errors
    /// A number type that cannot be read.
    pub fn to_bytes(&self, metadata: HashMap<String, String>) -> Result<Vec<u8>> {
        safetensors::serialize(self.stored()?, Some(metadata)).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write tensors as a file").with_source(source)
        })
    }

    fn stored(&self) -> Result<Vec<(&str, Stored<'_>)>> {
        self.iter()
            .map(|(name, tensor)| Ok((name, Stored { tensor, values: self.values(name)? })))
            .collect()
    }
}

/// A tensor on its way into a file. Once it is there the memory of a mapped one is given back, so
/// that copying a checkpoint never holds all of it.
struct Stored<'a> {
    tensor: &'a Tensor,
    values: Values,
}

impl Drop for Stored<'_> {
    fn drop(&mut self) {
        self.tensor.release();
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(bytemuck::cast_slice(&self.values))
    }

    fn data_len(&self) -> usize {
        size_of_val::<[f32]>(&self.values)
    }
}

impl IntoIterator for Tensors {
    type Item = (String, Tensor);
    type IntoIter = std::collections::btree_map::IntoIter<String, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(String, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl Tensor {
    /// A tensor in memory, row-major.
    ///
    /// # Panics
    /// If `shape` does not hold as many numbers as `values`.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "shape {shape:?}");
        Self { shape, data: Data::Owned(Arc::new(values)) }
    }

    /// A tensor whose numbers, of type `dtype`, are the bytes `range` of `file`, row-major.
    ///
    /// # Panics
    /// If `range` does not lie in the file or does not hold as many numbers as `shape`.
    pub(super) fn mapped(
        file: Arc<MappedFile>,
        range: Range<usize>,
        dtype: Dtype,
        shape: Vec<usize>,
    ) -> Self {
        let n_bits = shape.iter().product::<usize>() * dtype.bitsize();
        assert_eq!(file.bytes()[range.clone()].len() * 8, n_bits, "shape {shape:?}");
        Self { shape, data: Data::Mapped { file, range, dtype } }
    }

    /// A tensor that is known to be there but whose number type cannot be read.
    pub(super) fn unread(shape: Vec<usize>, dtype: String) -> Self {
        Self { shape, data: Data::Unread(dtype) }
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The stored number type, such as `F32`.
    pub fn dtype(&self) -> String {
        match &self.data {
            Data::Mapped { dtype, .. } => format!("{dtype:?}"),
            Data::Owned(_) => "F32".to_owned(),
            Data::Unread(dtype) => dtype.clone(),
        }
    }

    /// True if [`Tensor::values`] can read it.
    pub(super) fn is_float(&self) -> bool {
        match &self.data {
            Data::Mapped { dtype, .. } => matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16),
            Data::Owned(_) => true,
            Data::Unread(_) => false,
        }
    }

    /// The numbers as `f32`; F16 and BF16 are widened, which changes none of them.
    ///
    /// # Errors
    /// Any other number type.
    pub fn values(&self) -> Result<Values> {
        let wrong_type = || {
            Error::invalid(format!(
                "the number type is {}: expected F32, F16 or BF16",
                self.dtype()
            ))
        };
        let (file, range, dtype) = match &self.data {
            Data::Owned(values) => return Ok(Values(Source::Owned(Arc::clone(values)))),
            Data::Unread(_) => return Err(wrong_type()),
            Data::Mapped { file, range, dtype } => (file, range, *dtype),
        };
        let bytes = &file.bytes()[range.clone()];
        let widened: Vec<f32> = match dtype {
            Dtype::F32 if bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok() => {
                return Ok(Values(Source::Mapped(Arc::clone(file), range.clone())));
            }
            // A header of odd length puts the numbers at odd addresses.
            Dtype::F32 => {
                bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
            }
            Dtype::F16 => {
                bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect()
            }
            Dtype::BF16 => {
                bytes.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32()).collect()
            }
            _ => return Err(wrong_type()),
        };
        self.release();
        Ok(Values(Source::Owned(Arc::new(widened))))
    }

    /// Gives the memory of a mapped tensor back to the system until it is read again.
    pub fn release(&self) {
        if let Data::Mapped { file, range, .. } = &self.data {
            file.release(range);
        }
    }
}

/// Equal when shapes and numbers are, wherever they lie. What cannot be read equals nothing.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        let values = (self.values(), other.values());
        self.shape == other.shape && matches!(values, (Ok(own), Ok(others)) if *own == *others)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype(), self.shape)
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Source::Mapped(file, range) => bytemuck::cast_slice(&file.bytes()[range.clone()]),
            Source::Owned(values) => values,
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.len())
    }
}
