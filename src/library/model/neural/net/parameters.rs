//! The weights of a net as one list of named matrices, and how they get in and out.
//!
//! Burn's matrices are stored for `x · W`, PyTorch's for `x · Wᵀ`: names and shapes seen from
//! outside are always PyTorch's, and the difference ends in this file. Every parameter is a matrix
//! inside: a vector `[n]` is `[1, n]`, so that it broadcasts over rows.

use std::collections::BTreeSet;

use burn::{
    Dispatch, DispatchDevice,
    tensor::{Tensor as BurnTensor, TensorData},
};

use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::tensors::{self, Tensors},
    random::Random,
};

/// A tensor on a device that is chosen at run time.
pub(crate) type DeviceTensor<const D: usize> = BurnTensor<Dispatch, D>;

/// The relation of a parameter's matrix to PyTorch's tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The same order: embeddings, biases, norms.
    Same,
    /// PyTorch `[out, in]`, here `[in, out]`.
    Transposed,
    /// PyTorch `[out, in, width]`, here `[width · in, out]`.
    Convolution,
}

/// The first values of a new parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Initializer {
    /// One number everywhere.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform between minus and plus this bound.
    Uniform(f32),
}

/// The place of a parameter in its net's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl Key {
    /// The place, counted from 0.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// Name, shape and layout of a parameter; the values lie in [`ParameterValues`].
#[derive(Debug, Clone)]
pub(crate) struct ParameterSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) layout: Layout,
    init: Initializer,
}

impl ParameterSpec {
    /// The matrix inside, `[rows, columns]`.
    pub(crate) fn dims(&self) -> [usize; 2] {
        match (self.layout, self.shape.as_slice()) {
            (Layout::Same, &[n]) => [1, n],
            (Layout::Same, &[rows, columns]) => [rows, columns],
            (Layout::Transposed, &[out, input]) => [input, out],
            (Layout::Convolution, &[out, input, width]) => [width * input, out],
            _ => unreachable!("specs are made by this folder's nets, with these ranks"),
        }
    }

    pub(crate) fn n_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if AdamW shrinks it: weights yes, biases and norms no. Those are all the vectors.
    pub(crate) fn decays(&self) -> bool {
        self.shape.len() > 1
    }

    /// PyTorch's order to the inner one.
    fn inward(&self, values: &[f32]) -> Vec<f32> {
        match (self.layout, self.shape.as_slice()) {
            (Layout::Transposed, &[out, input]) => transpose(values, out, input),
            (Layout::Convolution, &[out, input, width]) => {
                let mut inner = vec![0.0; values.len()];
                for (idx, value) in values.iter().enumerate() {
                    let (o, i, w) = (idx / (input * width), idx / width % input, idx % width);
                    inner[(w * input + i) * out + o] = *value;
                }
                inner
            }
            _ => values.to_vec(),
        }
    }

    /// The inner order to PyTorch's.
    pub(crate) fn outward(&self, values: Vec<f32>) -> Vec<f32> {
        match (self.layout, self.shape.as_slice()) {
            (Layout::Transposed, &[out, input]) => transpose(&values, input, out),
            (Layout::Convolution, &[out, input, width]) => {
                let mut outer = vec![0.0; values.len()];
                for (idx, outer) in outer.iter_mut().enumerate() {
                    let (o, i, w) = (idx / (input * width), idx / width % input, idx % width);
                    *outer = values[(w * input + i) * out + o];
                }
                outer
            }
            _ => values,
        }
    }

    fn initial(&self, random: &mut Random) -> Vec<f32> {
        let n_values = self.n_values();
        match self.init {
            Initializer::Constant(value) => vec![value; n_values],
            Initializer::Uniform(bound) => {
                (0..n_values).map(|_| (2.0 * unit(random) - 1.0) as f32 * bound).collect()
            }
            Initializer::Normal(deviation) => (0..n_values)
                .map(|_| {
                    // Box and Muller (1958); 1 - u keeps the logarithm's argument above 0.
                    let radius = (-2.0 * (1.0 - unit(random)).ln()).sqrt();
                    (radius * (std::f64::consts::TAU * unit(random)).cos()) as f32 * deviation
                })
                .collect(),
        }
    }
}

/// A number in `0.0..1.0` with 53 random bits.
fn unit(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// `[rows, columns]` to `[columns, rows]`, in blocks that stay in the cache.
pub(super) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut turned = vec![0.0; values.len()];
    for row_start in (0..rows).step_by(BLOCK) {
        for column_start in (0..columns).step_by(BLOCK) {
            for row in row_start..rows.min(row_start + BLOCK) {
                for column in column_start..columns.min(column_start + BLOCK) {
                    turned[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    turned
}

/// Adds `row` to the row `id` of `table`, which has rows as long.
pub(super) fn add_row(table: &mut [f32], id: u32, row: &[f32]) {
    let sums = &mut table[id as usize * row.len()..][..row.len()];
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
}

/// The list a net's layers put their parameters on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specs(Vec<ParameterSpec>);

impl Specs {
    fn add(&mut self, name: String, shape: Vec<usize>, layout: Layout, init: Initializer) -> Key {
        self.0.push(ParameterSpec { name, shape, layout, init });
        Key(self.0.len() - 1)
    }

    /// A matrix in PyTorch's own order.
    pub(crate) fn table(&mut self, name: String, shape: [usize; 2], init: Initializer) -> Key {
        self.add(name, shape.to_vec(), Layout::Same, init)
    }

    /// A vector.
    pub(crate) fn vector(&mut self, name: String, n: usize, init: Initializer) -> Key {
        self.add(name, vec![n], Layout::Same, init)
    }

    /// A weight `[out, in]`.
    pub(crate) fn weight(&mut self, name: String, shape: [usize; 2], init: Initializer) -> Key {
        self.add(name, shape.to_vec(), Layout::Transposed, init)
    }

    /// A convolution's weight `[out, in, width]`.
    pub(crate) fn filters(&mut self, name: String, shape: [usize; 3], init: Initializer) -> Key {
        self.add(name, shape.to_vec(), Layout::Convolution, init)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &ParameterSpec> {
        self.0.iter()
    }

    /// All parameters together.
    pub(crate) fn n_values(&self) -> usize {
        self.0.iter().map(ParameterSpec::n_values).sum()
    }

    /// New values; `seed` alone decides them, whatever the device.
    pub(crate) fn initialize(&self, seed: u64, device: &DispatchDevice) -> ParameterValues {
        let mut random = Random::new(seed);
        let tensors =
            self.0.iter().map(|spec| matrix(spec.initial(&mut random), spec.dims(), device));
        ParameterValues(tensors.collect())
    }

    /// The values of `tensors`, found by their names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every missing, unused and mis-shaped tensor by name.
    pub(crate) fn load(
        &self,
        tensors: &Tensors,
        device: &DispatchDevice,
    ) -> Result<ParameterValues> {
        let known: BTreeSet<&str> = self.0.iter().map(|spec| spec.name.as_str()).collect();
        let mut faults: Vec<String> = Vec::new();
        for spec in &self.0 {
            match tensors.get(&spec.name) {
                Err(_) => faults.push(format!("{} is missing", spec.name)),
                Ok(tensor) if tensor.shape() != spec.shape => faults.push(format!(
                    "{} has shape {:?}, expected {:?}",
                    spec.name,
                    tensor.shape(),
                    spec.shape
                )),
                Ok(_) => {}
            }
        }
        let unused = tensors.iter().map(|(name, _)| name).filter(|name| !known.contains(name));
        faults.extend(unused.map(|name| format!("{name} is not a parameter of this net")));
        if !faults.is_empty() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("weights do not fit the net: {}", faults.join("; ")),
            )
            .with_hint("use the weights and the configuration of the same model"));
        }
        let values = self
            .0
            .iter()
            .map(|spec| Ok(matrix(spec.inward(&tensors.values(&spec.name)?), spec.dims(), device)));
        Ok(ParameterValues(values.collect::<Result<_>>()?))
    }

    /// `values` by name, with PyTorch's shapes and order.
    pub(crate) fn named(&self, values: &ParameterValues) -> Tensors {
        let pairs = self.0.iter().zip(&values.0);
        pairs
            .map(|(spec, value)| {
                let values = spec.outward(host(value.clone()));
                (spec.name.clone(), tensors::FileTensor::new(spec.shape.clone(), values))
            })
            .collect()
    }
}

/// A matrix of these values, row-major.
pub(crate) fn matrix(
    values: Vec<f32>,
    dims: [usize; 2],
    device: &DispatchDevice,
) -> DeviceTensor<2> {
    DeviceTensor::from_data(TensorData::new(values, dims), device)
}

/// A tensor's values, brought into f32 and into this machine's memory.
pub(crate) fn host<const D: usize>(tensor: DeviceTensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("the data was converted to f32 just now")
}

/// One matrix a parameter, in the order of the [`Specs`].
#[derive(Debug, Clone)]
pub(crate) struct ParameterValues(Vec<DeviceTensor<2>>);

impl ParameterValues {
    /// Wraps one matrix a parameter.
    pub(crate) fn new(tensors: Vec<DeviceTensor<2>>) -> Self {
        Self(tensors)
    }

    pub(crate) fn get(&self, key: Key) -> DeviceTensor<2> {
        self.0[key.0].clone()
    }

    /// Every parameter's place.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.0.len()).map(Key)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &DeviceTensor<2>> {
        self.0.iter()
    }

    pub(crate) fn into_iter(self) -> impl ExactSizeIterator<Item = DeviceTensor<2>> {
        self.0.into_iter()
    }

    /// The same values, but for that of `key`.
    pub(crate) fn with(&self, key: Key, value: DeviceTensor<2>) -> Self {
        let mut values = self.clone();
        values.0[key.0] = value;
        values
    }

    /// The same values in a new gradient graph, of which the one of `key` is the only leaf.
    pub(crate) fn leaf(&self, key: Key) -> Self {
        let value = |(idx, value): (usize, &DeviceTensor<2>)| {
            let value = DeviceTensor::from_inner(value.clone());
            if idx == key.0 { value.require_grad() } else { value }
        };
        Self(self.0.iter().enumerate().map(value).collect())
    }

    /// The same values as the leaves of a new gradient graph.
    pub(crate) fn leaves(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|value| DeviceTensor::from_inner(value.clone()).require_grad())
                .collect(),
        )
    }
}
