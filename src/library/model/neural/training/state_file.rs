//! A run's state as one safetensors file: tensors by name, and the numbers as JSON in its header.
//!
//! One file, so that the state is replaced as a whole: it is written beside the old one and renamed
//! over it. A process that dies while it writes leaves the old state.

use std::{collections::HashMap, io::Write, path::Path};

use safetensors::{Dtype, SafeTensors};

use super::{
    TrainState,
    state::{Moments, Position},
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{
        net::Net,
        tensors::{FileTensor, Tensors},
    },
};

const FILE: &str = "train_state.safetensors";
/// The header's entry that holds the numbers.
const POSITION: &str = "trialbook.train_state.1";

impl TrainState {
    /// The whole state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if it cannot be put into the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        for (prefix, part) in [("weight", Some(&self.weights)), ("best", self.best.as_ref())] {
            for (name, tensor) in part.into_iter().flat_map(Tensors::iter) {
                tensors.insert(format!("{prefix}/{name}"), tensor.clone());
            }
        }
        let expected = Net::expected(&self.position.config)?;
        for ((name, _), moments) in expected.iter().zip(&self.moments) {
            for (prefix, values) in [("mean", &moments.mean), ("square", &moments.square)] {
                let tensor = FileTensor::new(vec![values.len()], values.clone());
                tensors.insert(format!("{prefix}/{name}"), tensor);
            }
        }
        let position = serde_json::to_string(&self.position)
            .map_err(|source| Error::new(ErrorKind::Internal, "train state").with_source(source))?;
        tensors.to_bytes(HashMap::from([(POSITION.to_owned(), position)]))
    }

    /// Reads [`TrainState::to_bytes`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the bytes are cut off or are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: String| Error::new(ErrorKind::Corrupt, format!("train state: {what}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| corrupt(e.to_string()))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| corrupt(e.to_string()))?;
        let position = header.metadata().as_ref().and_then(|header| header.get(POSITION));
        let position = position.ok_or_else(|| {
            corrupt(format!("the header has no {POSITION}: the file is not a train state"))
        })?;
        let position: Position =
            serde_json::from_str(position).map_err(|e| corrupt(e.to_string()))?;
        let values = |name: &str| {
            let tensor = tensors.tensor(name).map_err(|e| corrupt(format!("{name}: {e}")))?;
            if tensor.dtype() != Dtype::F32 {
                return Err(corrupt(format!("{name} is {:?}, expected F32", tensor.dtype())));
            }
            let words = tensor.data().chunks_exact(4);
            let values = words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            Ok((tensor.shape().to_vec(), values.collect::<Vec<f32>>()))
        };
        let expected = Net::expected(&position.config)?;
        let read = |prefix: &str| {
            let tensor = |(name, _): &(String, Vec<usize>)| {
                let (shape, values) = values(&format!("{prefix}/{name}"))?;
                Ok((name.clone(), FileTensor::new(shape, values)))
            };
            expected.iter().map(tensor).collect::<Result<Tensors>>()
        };
        let moments = expected.iter().map(|(name, shape)| {
            let n_values: usize = shape.iter().product();
            let part = |prefix: &str| {
                let (_, values) = values(&format!("{prefix}/{name}"))?;
                if values.len() != n_values {
                    return Err(corrupt(format!(
                        "{prefix}/{name} has {} values, expected {n_values}",
                        values.len()
                    )));
                }
                Ok(values)
            };
            Ok(Moments { mean: part("mean")?, square: part("square")? })
        });
        let moments = moments.collect::<Result<Vec<_>>>()?;
        let has_best = tensors.names().iter().any(|name| name.starts_with("best/"));
        Ok(Self {
            weights: read("weight")?,
            best: if has_best { Some(read("best")?) } else { None },
            moments,
            position,
        })
    }

    /// Writes the state into the existing folder `dir`, whole or not at all.
    ///
    /// # Errors
    /// When the system refuses, with the path.
    pub fn to_files(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let bytes = self.to_bytes()?;
        let fail = |source| Error::io("write", &path, source);
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
        file.persist(&path).map_err(|error| fail(error.error))?;
        // The new name lasts only once the folder is on disk as well.
        let folder = std::fs::File::open(dir).and_then(|folder| folder.sync_all());
        folder.map_err(|source| Error::io("write", dir, source))
    }

    /// Reads the state that lies in the folder `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without one, [`ErrorKind::Corrupt`] with one that is not whole.
    pub fn from_files(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let bytes = std::fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
        Self::from_bytes(&bytes).map_err(|error| error.with_context(format!("{path:?}")))
    }
}
