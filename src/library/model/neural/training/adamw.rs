//! AdamW (Loshchilov and Hutter, 2019) with the gradients clipped by their global norm.
//!
//! On the CPU a step is one pass over each parameter's memory: as a chain of tensor operations it
//! would take longer than the gradients of a small net. On an accelerator it is that chain.

use burn::tensor::TensorData;
use rayon::prelude::*;

use super::{TrainSettings, loss::diverged, state::Moments};
use crate::{
    error::Result,
    model::neural::net::{
        Net,
        parameters::{DeviceTensor, ParameterSpec, ParameterValues, host, matrix},
    },
};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
/// Keeps the quotient finite where the gradient was always 0.
const EPSILON: f64 = 1e-8;
/// Values a thread works on at once; also what the norm is summed by, so that the number of
/// threads never changes a result.
const CHUNK: usize = 1 << 14;

/// The moments of every parameter, and how many steps made them.
pub(super) struct AdamW {
    step: u64,
    moments: Vec<AdamMoment>,
    weight_decay: f64,
    clip_norm: f64,
}

#[expect(clippy::large_enum_variant, reason = "one a parameter, whose values are far larger")]
enum AdamMoment {
    Host { mean: Vec<f32>, square: Vec<f32> },
    Device { mean: DeviceTensor<2>, square: DeviceTensor<2> },
}

/// The numbers of one step, the same for every value of a parameter.
#[derive(Debug, Clone, Copy)]
struct Factors {
    clip: f32,
    shrink: f32,
    rate: f32,
    root: f32,
}

impl AdamW {
    /// Moments of 0.
    pub(super) fn new(net: &Net, settings: &TrainSettings) -> Self {
        let zero = |(spec, value): (&ParameterSpec, &DeviceTensor<2>)| {
            if net.device().is_cpu() {
                let zeros = vec![0.0; spec.n_values()];
                AdamMoment::Host { mean: zeros.clone(), square: zeros }
            } else {
                AdamMoment::Device { mean: value.zeros_like(), square: value.zeros_like() }
            }
        };
        Self {
            step: 0,
            moments: net.specs().iter().zip(net.values().iter()).map(zero).collect(),
            weight_decay: settings.weight_decay,
            clip_norm: settings.clip_norm,
        }
    }

    /// Moments as they were after `step` steps.
    pub(super) fn restore(&mut self, step: u64, saved: &[Moments], net: &Net) {
        self.step = step;
        for ((moment, saved), spec) in self.moments.iter_mut().zip(saved).zip(net.specs().iter()) {
            *moment = if net.device().is_cpu() {
                AdamMoment::Host { mean: saved.mean.clone(), square: saved.square.clone() }
            } else {
                let device = net.device().burn();
                AdamMoment::Device {
                    mean: matrix(saved.mean.clone(), spec.dims(), device),
                    square: matrix(saved.square.clone(), spec.dims(), device),
                }
            };
        }
    }

    /// The moments as they are now, in the order of the parameters.
    pub(super) fn save(&self) -> Vec<Moments> {
        let copy = |moment: &AdamMoment| match moment {
            AdamMoment::Host { mean, square } => {
                Moments { mean: mean.clone(), square: square.clone() }
            }
            AdamMoment::Device { mean, square } => {
                Moments { mean: host(mean.clone()), square: host(square.clone()) }
            }
        };
        self.moments.iter().map(copy).collect()
    }

    /// Moves every weight of `net` one step against its gradient:
    /// `w ← (1 - lr · decay) · w - lr · m̂ / (sqrt(v̂) + ε)`. Returns the gradients' norm before
    /// clipping.
    ///
    /// # Errors
    /// A norm that is not a number; the weights are unchanged then.
    pub(super) fn step(
        &mut self,
        net: &mut Net,
        gradients: Vec<DeviceTensor<2>>,
        learning_rate: f64,
    ) -> Result<f64> {
        if net.device().is_cpu() {
            let gradients: Vec<TensorData> =
                gradients.into_iter().map(DeviceTensor::into_data).collect();
            let squares = gradients.iter().map(|gradient| square_sum(floats(gradient)));
            let norm = squares.sum::<f64>().sqrt();
            self.apply(net, norm, learning_rate, |moment, factors, value, idx| {
                let AdamMoment::Host { mean, square } = moment else {
                    unreachable!("moments are made for the net's device");
                };
                let device = value.device();
                let mut weights = value.into_data();
                let values = bytemuck::cast_slice_mut(&mut weights.bytes);
                update(values, mean, square, floats(&gradients[idx]), factors);
                DeviceTensor::from_data(weights, &device)
            })
        } else {
            let squares = gradients.iter().map(|gradient| gradient.clone().powi_scalar(2).sum());
            let squares = DeviceTensor::cat(squares.collect::<Vec<DeviceTensor<1>>>(), 0);
            let norm = f64::from(host(squares.sum())[0]).sqrt();
            self.apply(net, norm, learning_rate, |moment, factors, value, idx| {
                let AdamMoment::Device { mean, square } = moment else {
                    unreachable!("moments are made for the net's device");
                };
                let gradient = gradients[idx].clone() * factors.clip;
                *mean = mean.clone() * BETA1 + gradient.clone() * (1.0 - BETA1);
                *square = square.clone() * BETA2 + gradient.powi_scalar(2) * (1.0 - BETA2);
                let divisor = square.clone().sqrt() * factors.root + EPSILON;
                value * factors.shrink - mean.clone() * factors.rate / divisor
            })
        }
    }

    fn apply(
        &mut self,
        net: &mut Net,
        norm: f64,
        learning_rate: f64,
        mut update: impl FnMut(&mut AdamMoment, Factors, DeviceTensor<2>, usize) -> DeviceTensor<2>,
    ) -> Result<f64> {
        if !norm.is_finite() {
            return Err(diverged("norm of the gradients", norm));
        }
        self.step += 1;
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        // PyTorch's clip_grad_norm_ and its 1e-6.
        let clip = (self.clip_norm / (norm + 1e-6)).min(1.0) as f32;
        let decays: Vec<bool> = net.specs().iter().map(ParameterSpec::decays).collect();
        let old = std::mem::replace(net.values_mut(), ParameterValues::new(Vec::new()));
        let updated = old.into_iter().enumerate().map(|(idx, value)| {
            let decay = if decays[idx] { self.weight_decay } else { 0.0 };
            let factors = Factors {
                clip,
                shrink: (1.0 - learning_rate * decay) as f32,
                rate: (learning_rate / (1.0 - BETA1.powi(step))) as f32,
                root: (1.0 / (1.0 - BETA2.powi(step)).sqrt()) as f32,
            };
            update(&mut self.moments[idx], factors, value, idx)
        });
        *net.values_mut() = ParameterValues::new(updated.collect());
        Ok(norm)
    }
}

/// The values of f32 data where they lie. Burn's own access looks at each value.
fn floats(data: &TensorData) -> &[f32] {
    bytemuck::cast_slice(&data.bytes)
}

/// One step of one parameter, in place.
fn update(
    weights: &mut [f32],
    mean: &mut [f32],
    square: &mut [f32],
    gradient: &[f32],
    factors: Factors,
) {
    let [keep1, keep2] = [BETA1 as f32, BETA2 as f32];
    let [take1, take2] = [(1.0 - BETA1) as f32, (1.0 - BETA2) as f32];
    let epsilon = EPSILON as f32;
    let chunks = weights.par_chunks_mut(CHUNK).zip(mean.par_chunks_mut(CHUNK));
    let chunks = chunks.zip(square.par_chunks_mut(CHUNK)).zip(gradient.par_chunks(CHUNK));
    chunks.for_each(|(((weights, mean), square), gradient)| {
        let values = weights.iter_mut().zip(mean).zip(square).zip(gradient);
        for (((weight, mean), square), gradient) in values {
            let gradient = gradient * factors.clip;
            *mean = *mean * keep1 + gradient * take1;
            *square = *square * keep2 + gradient * gradient * take2;
            let divisor = square.sqrt() * factors.root + epsilon;
            *weight = *weight * factors.shrink - *mean * factors.rate / divisor;
        }
    });
}

/// Sum of squares: eight lanes in f32 inside a chunk, chunks in f64 and in their order.
fn square_sum(values: &[f32]) -> f64 {
    let sums: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut lanes = [0.0_f32; 8];
            let parts = chunk.chunks_exact(8);
            let rest: f32 = parts.remainder().iter().map(|value| value * value).sum();
            for part in parts {
                for (lane, value) in lanes.iter_mut().zip(part) {
                    *lane += value * value;
                }
            }
            f64::from(lanes.iter().sum::<f32>() + rest)
        })
        .collect();
    sums.iter().sum()
}
