//! The file of an encoder's weights in 8 bits: numbers as in the other model files, in lists with a
//! checksum behind them. Of every matrix the bytes and their rows' scales, of everything else the numbers
//! as they are, in the order of [`expected_tensors`].

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use super::matrix::QuantizedMatrix;
use crate::{
    error::{Error, Result},
    model::{
        format::{NumberReader, NumberWriter, corrupt},
        neural::{
            checkpoint::{EncoderConfig, expected_tensors},
            tensors::{MappedFile, Tensors},
        },
    },
};

/// The name of the file.
pub const INT8_FILE: &str = "weights.int8";
/// Its last character is the version of the layout.
const MAGIC: [u8; 8] = *b"tbint8w1";
/// The classes' own weights stay numbers of 32 bits: they are few, and decide last.
const PLAIN_MATRIX: &str = "classifier.weight";

/// An encoder's weights in 8 bits, in the bytes of their file.
#[derive(Debug)]
pub struct QuantizedFile {
    bytes: FileBytes,
    tensors: BTreeMap<String, QuantizedTensor>,
}

#[derive(Debug)]
enum FileBytes {
    Mapped(MappedFile),
    Owned(Vec<u8>),
}

#[derive(Debug)]
enum QuantizedTensor {
    /// Where the bytes lie, and their rows' scales.
    Matrix(Range<usize>, Vec<f32>),
    Plain(Vec<f32>),
}

/// True for a tensor that is stored in 8 bits.
fn is_quantized(name: &str, shape: &[usize]) -> bool {
    shape.len() == 2 && name != PLAIN_MATRIX
}

impl QuantizedFile {
    /// Quantises an encoder's weights.
    ///
    /// # Errors
    /// A tensor that is missing or has a number that is not finite.
    pub fn quantize(config: &EncoderConfig, tensors: &Tensors) -> Result<Self> {
        let mut writer = NumberWriter::new(MAGIC);
        for (name, shape) in expected_tensors(config) {
            let values = tensors.values(&name)?;
            if is_quantized(&name, &shape) {
                let QuantizedMatrix { values, scales } = QuantizedMatrix::of(&values, shape[1])
                    .map_err(|error| error.with_context(format!("tensor {name:?}")))?;
                writer.u8s(bytemuck::cast_slice(&values));
                writer.f32s(&scales);
            } else {
                writer.f32s(&values);
            }
            drop(values);
            tensors.get(&name)?.release();
        }
        Self::read(FileBytes::Owned(writer.finish()), config)
    }

    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) for one that is damaged, or of an encoder of
    /// other sizes than `config`'s.
    pub fn open(path: &Path, config: &EncoderConfig) -> Result<Self> {
        Self::read(FileBytes::Mapped(MappedFile::open(path)?), config)
    }

    fn read(bytes: FileBytes, config: &EncoderConfig) -> Result<Self> {
        let content = bytes.all();
        let start = content.as_ptr().addr();
        let mut reader = NumberReader::new(content, MAGIC, INT8_FILE)?;
        let mut tensors = BTreeMap::new();
        for (name, shape) in expected_tensors(config) {
            let expect = |what: &str, found: usize, expected: usize| match found == expected {
                true => Ok(()),
                false => Err(corrupt(
                    INT8_FILE,
                    format!("tensor {name:?} has {found} {what}, expected {expected}"),
                )),
            };
            let n_values = shape.iter().product();
            let tensor = if is_quantized(&name, &shape) {
                let values = reader.bytes()?;
                expect("bytes", values.len(), n_values)?;
                let scales = reader.read_f32s()?;
                expect("scales", scales.len(), shape[0])?;
                let offset = values.as_ptr().addr() - start;
                QuantizedTensor::Matrix(offset..offset + n_values, scales)
            } else {
                let values = reader.read_f32s()?;
                expect("numbers", values.len(), n_values)?;
                QuantizedTensor::Plain(values)
            };
            tensors.insert(name, tensor);
        }
        reader.finish()?;
        Ok(Self { bytes, tensors })
    }

    /// The bytes of a matrix, row-major, and their rows' scales.
    ///
    /// # Errors
    /// A tensor that is not there or is no matrix in 8 bits: a bug of the caller's.
    pub fn matrix(&self, name: &str) -> Result<(&[i8], &[f32])> {
        match self.tensors.get(name) {
            Some(QuantizedTensor::Matrix(range, scales)) => {
                Ok((bytemuck::cast_slice(&self.bytes.all()[range.clone()]), scales))
            }
            _ => Err(corrupt(INT8_FILE, format!("there is no matrix {name:?} in 8 bits"))),
        }
    }

    /// The numbers of a tensor that is no matrix in 8 bits.
    ///
    /// # Errors
    /// A tensor that is not there or is one: a bug of the caller's.
    pub fn plain(&self, name: &str) -> Result<&[f32]> {
        match self.tensors.get(name) {
            Some(QuantizedTensor::Plain(values)) => Ok(values),
            _ => Err(corrupt(INT8_FILE, format!("there is no tensor {name:?} in 32 bits"))),
        }
    }

    /// The size of the file, which is that of the weights in memory.
    pub fn n_bytes(&self) -> usize {
        self.bytes.all().len()
    }

    /// Gives the memory of a mapped file's matrix back to the system until it is read again.
    pub(in crate::model::neural) fn release(&self, name: &str) {
        if let (FileBytes::Mapped(file), Some(QuantizedTensor::Matrix(range, _))) =
            (&self.bytes, self.tensors.get(name))
        {
            file.release(range);
        }
    }

    /// Writes the file into the folder `dir`.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(INT8_FILE);
        fs::write(&path, self.bytes.all()).map_err(|source| Error::io("write", &path, source))
    }
}

impl FileBytes {
    fn all(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file.bytes(),
            Self::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{error::ErrorKind, model::neural::tensors::FileTensor};

    fn config(width: usize) -> EncoderConfig {
        EncoderConfig::from_json(&format!(
            r#"{{"model_type": "distilbert", "vocab_size": 7, "dim": {width}, "n_layers": 1, "n_heads": 1,
            "hidden_dim": 5, "max_position_embeddings": 4, "num_labels": 2}}"#
        ))
        .unwrap()
    }

    fn tensors(config: &EncoderConfig) -> Tensors {
        let numbered = |(idx, (name, shape)): (usize, (String, Vec<usize>))| {
            let values = (0..shape.iter().product()).map(|at: usize| (at * 7 + idx) as f32 - 9.0);
            let values = values.collect();
            (name, FileTensor::new(shape, values))
        };
        expected_tensors(config).into_iter().enumerate().map(numbered).collect()
    }

    fn bytes() -> Vec<u8> {
        let config = config(3);
        QuantizedFile::quantize(&config, &tensors(&config)).unwrap().bytes.all().to_vec()
    }

    fn read(bytes: &[u8], width: usize) -> Result<QuantizedFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(INT8_FILE);
        fs::write(&path, bytes).unwrap();
        QuantizedFile::open(&path, &config(width))
    }

    #[track_caller]
    fn is_damaged(bytes: &[u8]) {
        let error = read(bytes, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(
            error.to_string().starts_with("model file \"weights.int8\" is damaged: "),
            "{error}"
        );
    }

    #[test]
    fn matrices_are_bytes_and_all_else_is_as_it_was() {
        let file = read(&bytes(), 3).unwrap();
        let stored = tensors(&config(3));
        for (name, shape) in expected_tensors(&config(3)) {
            let expected = stored.values(&name).unwrap();
            if shape.len() == 1 || name == "classifier.weight" {
                assert_eq!(file.plain(&name).unwrap(), &*expected, "{name}");
                assert!(file.matrix(&name).is_err());
                continue;
            }
            let (values, scales) = file.matrix(&name).unwrap();
            assert_eq!((values.len(), scales.len()), (expected.len(), shape[0]), "{name}");
            for (idx, (value, expected)) in values.iter().zip(&*expected).enumerate() {
                let scale = scales[idx / shape[1]];
                assert!((f32::from(*value) * scale - expected).abs() <= 0.5001 * scale, "{name}");
            }
        }
        let dir = tempfile::tempdir().unwrap();
        file.save(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join(INT8_FILE)).unwrap(), bytes());
    }

    #[test]
    fn every_single_byte_change_and_every_truncation_is_noticed() {
        let bytes = bytes();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            is_damaged(&damaged);
            is_damaged(&bytes[..position]);
        }
        is_damaged(&[&bytes[..], &[0]].concat());
    }

    #[test]
    fn a_file_of_an_encoder_of_other_sizes_is_refused() {
        let error = read(&bytes(), 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("has 21 bytes, expected 28"), "{error}");
        let longer = NumberWriter::new(MAGIC).finish();
        assert!(read(&longer, 3).unwrap_err().to_string().contains("longer than the file"));
    }

    #[test]
    fn weights_that_are_no_numbers_are_not_quantised() {
        let (config, mut tensors) = (config(3), tensors(&config(3)));
        let name = "distilbert.transformer.layer.0.ffn.lin1.weight";
        tensors.insert(name, FileTensor::new(vec![5, 3], vec![f32::NAN; 15]));
        let error = QuantizedFile::quantize(&config, &tensors).unwrap_err();
        assert!(error.to_string().contains("lin1.weight"), "{error}");
    }

    proptest! {
        #[test]
        fn random_bytes_are_never_taken_for_a_file(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assert_eq!(read(&bytes, 3).unwrap_err().kind(), ErrorKind::Corrupt);
        }

        #[test]
        fn a_lists_length_with_a_right_checksum_is_not_believed(length in any::<u64>(), at in 0_usize..9) {
            let whole = bytes();
            let mut content = whole[..whole.len() - 8].to_vec();
            let before = content.clone();
            let offset = 8 + at * 8;
            content[offset..offset + 8].copy_from_slice(&length.to_le_bytes());
            prop_assume!(content != before);
            let checksum = crate::model::format::checksum(&content);
            content.extend(checksum.to_le_bytes());
            // Either a length that cannot be, or numbers that are others: no panic.
            let _ = read(&content, 3).map(|file| file.n_bytes());
        }
    }
}
