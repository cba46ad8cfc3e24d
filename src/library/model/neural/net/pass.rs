//! One forward pass: which weights, on which device, in which precision, and with or without
//! dropout. The steps that several nets share are its methods, so that training and prediction run
//! the same code.

use std::str::FromStr;

use burn::{
    Dispatch, DispatchDevice,
    tensor::{
        DType, Distribution, Int, Tensor as BurnTensor, TensorData, activation,
        backend::{AutodiffBackend, Backend},
    },
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::parameters::{DeviceTensor, Key, ParameterValues, host};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{backprop::ParameterSource, device::Resolved},
    random::Random,
};

/// The number format of the products inside a net; weights, norms, softmax and loss stay f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits everywhere.
    #[default]
    F32,
    /// bfloat16: f32's range, 8 bits of precision.
    Bf16,
    /// IEEE half precision: 11 bits of precision, at most 65,504.
    F16,
}

impl Precision {
    /// Every name that [`FromStr`] knows.
    pub const NAMES: [&str; 3] = ["f32", "bf16", "f16"];

    /// Names the format that models on a GPU predict in.
    pub const ENV: &str = "TRIALBOOK_PRECISION";

    /// The precision that [`Precision::ENV`] asks for, or f32.
    ///
    /// # Errors
    /// When it names no format.
    pub fn from_env() -> Result<Self> {
        match std::env::var(Self::ENV) {
            Ok(text) if !text.is_empty() => {
                text.parse().map_err(|error: Error| error.with_context(Self::ENV))
            }
            _ => Ok(Self::F32),
        }
    }

    /// The name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// # Errors
    /// [`ErrorKind::Unavailable`] where `device` does not compute in this format, and on a CPU, where
    /// only f32 is fast.
    pub(crate) fn check(self, device: &Resolved) -> Result<()> {
        let Some(dtype) = self.dtype() else { return Ok(()) };
        let name = self.name();
        if device.is_cpu() {
            return Err(Error::invalid(format!(
                "precision {name} works on GPUs only, the device is {device}"
            ))
            .with_hint("leave out --precision, or use --device cuda:0 or wgpu:0"));
        }
        if !Dispatch::supports_dtype(device.burn(), dtype) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("precision {name} cannot be used: {device} does not compute in it"),
            )
            .with_hint("use f16 where a GPU has it, or f32, which all have"));
        }
        Ok(())
    }

    fn dtype(self) -> Option<DType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::F32, Self::Bf16, Self::F16]
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| {
                let names = Self::NAMES.join(", ");
                Error::invalid(format!("unknown precision {text:?}: expected one of {names}"))
            })
    }
}

/// The weights and circumstances of one forward pass.
pub(crate) struct Pass<'a> {
    values: &'a ParameterValues,
    device: &'a DispatchDevice,
    precision: Precision,
    /// True if our own arithmetic takes the steps that it knows.
    is_plain: bool,
    dropout: Option<Masks>,
    cuts: Vec<Cut>,
}

/// The values of parameters in this machine's memory.
pub(crate) struct HostValues(Vec<Option<TensorData>>);

impl ParameterSource for HostValues {
    fn values(&self, key: usize) -> &[f32] {
        self.0[key].as_ref().map_or(&[], |data| bytemuck::cast_slice(&data.bytes))
    }
}

/// The gradients that Burn's way back leaves.
pub(crate) type Gradients = <Dispatch as AutodiffBackend>::Gradients;

/// A step of a training pass that Burn did not record: it has its own derivative. What comes before
/// and what comes after are two graphs, and the way back passes from one to the other here.
pub(crate) struct Cut {
    inputs: Vec<DeviceTensor<2>>,
    outputs: Vec<DeviceTensor<2>>,
    backward: Box<Backward>,
}

/// The gradients of a cut's inputs, and of parameters it used, from those of its outputs.
type Backward =
    dyn FnOnce(Vec<DeviceTensor<2>>) -> (Vec<DeviceTensor<2>>, Vec<(Key, DeviceTensor<2>)>);

impl Cut {
    /// The way back through the cut. `recorded` is what the graph behind it gave; returns what to
    /// derive next, whose gradients are those of all that comes before, if anything does, and the
    /// gradients of the cut's own parameters.
    pub(crate) fn backward(
        self,
        recorded: &mut Gradients,
    ) -> (Option<DeviceTensor<1>>, Vec<(Key, DeviceTensor<2>)>) {
        let gradients = self.outputs.iter().map(|output| {
            output.grad_remove(recorded).unwrap_or_else(|| output.clone().inner().zeros_like())
        });
        let (gradients, own) = (self.backward)(gradients.collect());
        let sums = self.inputs.into_iter().zip(gradients).map(|(input, gradient)| {
            // The sum of x · g has the gradient g at x.
            (input * DeviceTensor::from_inner(gradient)).sum()
        });
        (sums.reduce(|sum, part| sum + part), own)
    }
}

impl<'a> Pass<'a> {
    /// A pass that predicts: no dropout.
    pub(crate) fn predict(
        values: &'a ParameterValues,
        device: &'a DispatchDevice,
        precision: Precision,
    ) -> Self {
        Self {
            values,
            device,
            precision,
            is_plain: precision == Precision::F32 && is_host(device),
            dropout: None,
            cuts: Vec::new(),
        }
    }

    /// A pass that trains; `seed` alone decides what its dropout drops.
    pub(crate) fn train(
        values: &'a ParameterValues,
        device: &'a DispatchDevice,
        precision: Precision,
        seed: u64,
    ) -> Self {
        let dropout = Some(Masks::new(seed, device));
        Self { dropout, ..Self::predict(values, device, precision) }
    }

    /// True if gradients are recorded.
    pub(crate) fn trains(&self) -> bool {
        self.dropout.is_some()
    }

    /// True if the tensors are f32 in this machine's memory, where our own arithmetic reads them.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The pass with every step as an accelerator takes it.
    #[cfg(test)]
    pub(crate) fn by_operations(self) -> Self {
        Self { is_plain: false, ..self }
    }

    /// The device without records.
    pub(crate) fn plain_device(&self) -> &DispatchDevice {
        match self.device {
            DispatchDevice::Autodiff(device) => device,
            device => device,
        }
    }

    /// A tensor's values as they are now, apart from any record.
    pub(crate) fn peek<const D: usize>(&self, tensor: &DeviceTensor<D>) -> Vec<f32> {
        host(if self.trains() { tensor.clone().inner() } else { tensor.clone() })
    }

    /// The seed of what a step that draws for itself drops; none when predicting.
    pub(crate) fn own_draws(&mut self) -> Option<u64> {
        match &mut self.dropout {
            Some(Masks::Host(random)) => Some(random.next_u64()),
            _ => None,
        }
    }

    /// Every parameter's place.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        self.values.keys()
    }

    /// The values of all parameters but `without`, apart from any record.
    pub(crate) fn host_values(&self, without: &[Key]) -> HostValues {
        let plain = |value: DeviceTensor<2>| if self.trains() { value.inner() } else { value };
        let values: Vec<Option<DeviceTensor<2>>> = self
            .keys()
            .map(|key| (!without.contains(&key)).then(|| plain(self.value(key))))
            .collect();
        HostValues(values.into_par_iter().map(|value| Some(value?.into_data())).collect())
    }

    /// Records `outputs`, computed from the values of `inputs`, as what the pass goes on with;
    /// `backward` is their derivative. What follows uses no output of an earlier cut.
    pub(crate) fn cut(
        &mut self,
        inputs: Vec<DeviceTensor<2>>,
        outputs: Vec<DeviceTensor<2>>,
        backward: Box<Backward>,
    ) -> Vec<DeviceTensor<2>> {
        let outputs: Vec<DeviceTensor<2>> = outputs
            .into_iter()
            .map(|output| DeviceTensor::from_inner(output).require_grad())
            .collect();
        self.cuts.push(Cut { inputs, outputs: outputs.clone(), backward });
        outputs
    }

    /// The cuts of the pass, in its order.
    pub(crate) fn into_cuts(self) -> Vec<Cut> {
        self.cuts
    }

    /// The parameter's matrix, a vector as `[1, n]`.
    pub(crate) fn value(&self, key: Key) -> DeviceTensor<2> {
        self.values.get(key)
    }

    /// A constant of the pass.
    pub(crate) fn constant<const D: usize>(
        &self,
        values: Vec<f32>,
        dims: [usize; D],
    ) -> DeviceTensor<D> {
        DeviceTensor::from_data(TensorData::new(values, dims), self.device)
    }

    /// Indices.
    pub(crate) fn indices(&self, values: Vec<i32>) -> BurnTensor<Dispatch, 1, Int> {
        let n_values = values.len();
        BurnTensor::from_data(TensorData::new(values, [n_values]), self.device)
    }

    /// The rows `ids` of an embedding table.
    ///
    /// # Shapes
    /// `ids`: `[n]` to `[n, width]`.
    pub(crate) fn embed(&self, table: Key, ids: impl Iterator<Item = u32>) -> DeviceTensor<2> {
        // Ids were checked against the table's size, which is far below 2^31.
        let indices = self.indices(ids.map(|id| id as i32).collect());
        self.value(table).select(0, indices)
    }

    /// [`Pass::embed`]'s values, apart from any record.
    pub(crate) fn peek_embedded(&self, table: Key, ids: &[u32]) -> Vec<f32> {
        let table = self.value(table);
        let table = if self.trains() { table.inner() } else { table };
        let ids = ids.iter().map(|id| *id as i32).collect::<Vec<_>>();
        let n_ids = ids.len();
        let ids = BurnTensor::from_data(TensorData::new(ids, [n_ids]), self.plain_device());
        host(table.select(0, ids))
    }

    /// `x · W` in the pass's precision, back in f32.
    ///
    /// # Shapes
    /// `x`: `[.., n, in]`, `weight`: `[.., in, out]` to `[.., n, out]`.
    pub(crate) fn product<const D: usize>(
        &self,
        x: DeviceTensor<D>,
        weight: DeviceTensor<D>,
    ) -> DeviceTensor<D> {
        match self.precision.dtype() {
            None => x.matmul(weight),
            Some(dtype) => x.cast(dtype).matmul(weight.cast(dtype)).cast(DType::F32),
        }
    }

    /// A linear layer, `x · W + b`.
    ///
    /// # Shapes
    /// `x`: `[n, in]` to `[n, out]`.
    pub(crate) fn linear(&self, x: DeviceTensor<2>, weight: Key, bias: Key) -> DeviceTensor<2> {
        self.product(x, self.value(weight)) + self.value(bias)
    }

    /// `(x - mean) / sqrt(var + epsilon) · weight + bias` over each row, with the biased variance
    /// (Ba et al., 2016).
    ///
    /// # Shapes
    /// `x`: `[n, width]`, unchanged.
    pub(crate) fn layer_norm(
        &self,
        x: DeviceTensor<2>,
        weight: Key,
        bias: Key,
        epsilon: f64,
    ) -> DeviceTensor<2> {
        let centered = x.clone() - x.mean_dim(1);
        let variance = (centered.clone() * centered.clone()).mean_dim(1);
        // Not `recip`: on some backends that is the processor's 12-bit estimate.
        let scale = variance.ones_like() / (variance + epsilon).sqrt();
        centered * scale * self.value(weight) + self.value(bias)
    }

    /// `x · Φ(x)`, exact (Hendrycks and Gimpel, 2016).
    pub(crate) fn gelu<const D: usize>(&self, x: DeviceTensor<D>) -> DeviceTensor<D> {
        // Elsewhere Burn's derivative of this function is that of its tanh approximation.
        if matches!(self.plain_device(), DispatchDevice::Flex(_)) {
            return activation::gelu(x);
        }
        gelu_by_erf(x)
    }

    /// `max(x, 0)`; what is not a number stays so, where Burn's makes 0 of it and a net that
    /// diverged would still give an answer.
    pub(crate) fn relu<const D: usize>(&self, x: DeviceTensor<D>) -> DeviceTensor<D> {
        let is_lower = x.clone().lower_equal_elem(0.0);
        x.mask_fill(is_lower, 0.0)
    }

    /// Sets each value to 0 with `probability` and scales the rest to keep the mean; nothing when
    /// predicting.
    pub(crate) fn dropout<const D: usize>(
        &mut self,
        x: DeviceTensor<D>,
        probability: f64,
    ) -> DeviceTensor<D> {
        match &mut self.dropout {
            Some(masks) if probability > 0.0 => {
                let mask = masks.draw(x.dims(), probability, self.device);
                x * mask
            }
            _ => x,
        }
    }
}

/// The origin of dropout masks.
enum Masks {
    /// Our own stream: Burn's generator on the CPU is one for the whole process, so that two runs
    /// side by side would disturb each other and neither could be resumed.
    Host(Random),
    /// The device's generator, seeded for this pass: on an accelerator the masks are too large to
    /// be sent over.
    Device,
}

impl Masks {
    fn new(seed: u64, device: &DispatchDevice) -> Self {
        if is_host(device) {
            return Self::Host(Random::new(seed));
        }
        Dispatch::seed(device, seed);
        Self::Device
    }

    fn draw<const D: usize>(
        &mut self,
        dims: [usize; D],
        probability: f64,
        device: &DispatchDevice,
    ) -> DeviceTensor<D> {
        let kept = 1.0 / (1.0 - probability);
        match self {
            Self::Device => {
                DeviceTensor::random(dims, Distribution::Bernoulli(1.0 - probability), device)
                    * kept
            }
            Self::Host(random) => {
                // 16 bits a draw: the probability is exact to 1 in 65,536.
                let threshold = (probability * 65_536.0).round() as u16;
                let n_values = dims.iter().product();
                let mut mask = Vec::with_capacity(n_values + 3);
                while mask.len() < n_values {
                    let bits = random.next_u64();
                    mask.extend([0, 16, 32, 48].map(|shift| {
                        if (bits >> shift) as u16 >= threshold { kept as f32 } else { 0.0 }
                    }));
                }
                mask.truncate(n_values);
                DeviceTensor::from_data(TensorData::new(mask, dims), device)
            }
        }
    }
}

/// `x · Φ(x)` in operations that every backend has.
fn gelu_by_erf<const D: usize>(x: DeviceTensor<D>) -> DeviceTensor<D> {
    let phi = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * phi * 0.5
}

/// True if the device computes in this machine's memory.
pub(crate) fn is_host(device: &DispatchDevice) -> bool {
    match device {
        DispatchDevice::Autodiff(device) => is_host(device),
        DispatchDevice::Flex(_) => true,
        #[allow(unreachable_patterns, reason = "reachable when built for GPUs")]
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::net::fixtures::cpu;

    #[test]
    fn gelu_is_the_same_in_operations_that_every_backend_has() {
        let values: Vec<f32> = (-60..=60).map(|n| n as f32 / 10.0).collect();
        let n_values = values.len();
        let x: DeviceTensor<2> =
            DeviceTensor::from_data(TensorData::new(values, [1, n_values]), cpu().burn());
        let (own, by_erf) = (host(activation::gelu(x.clone())), host(gelu_by_erf(x)));
        for (own, by_erf) in own.iter().zip(&by_erf) {
            assert!((own - by_erf).abs() < 2e-6, "{own} and {by_erf}");
        }
    }
}
