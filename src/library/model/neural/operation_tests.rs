//! Every operation that the nets take on an accelerator, forward and backward, beside the CPU's numbers:
//! once with a kernel for each, and once as Burn fuses them.

use burn::{
    backend::{
        Autodiff, Flex, Wgpu,
        flex::FlexDevice,
        wgpu::{CubeBackend, WgpuDevice, WgpuRuntime},
    },
    tensor::{
        DType, Distribution, Int, Tensor, TensorData, activation,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{net::fixtures::accelerators, wgpu_adapters::adapters};
use crate::{model::Device, random::Random};

/// A kernel for each operation.
type Unfused = CubeBackend<WgpuRuntime, f32, i32, u32>;

type Apply<B> = dyn Fn(&[Tensor<B, 2>]) -> Tensor<B, 2>;

/// An operation, and what it is given.
struct Case<B: Backend> {
    name: &'static str,
    inputs: Vec<[usize; 2]>,
    apply: Box<Apply<B>>,
    /// Largest difference, as a share of the largest value.
    tolerance: f32,
}

impl<B: Backend> Case<B> {
    fn new(
        name: &'static str,
        inputs: &[[usize; 2]],
        apply: impl Fn(&[Tensor<B, 2>]) -> Tensor<B, 2> + 'static,
    ) -> Self {
        Self { name, inputs: inputs.to_vec(), apply: Box::new(apply), tolerance: 2e-6 }
    }

    fn within(self, tolerance: f32) -> Self {
        Self { tolerance, ..self }
    }
}

/// Values in `-2.0..2.0`, the same everywhere.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| random.below(4001) as f32 / 1000.0 - 2.0).collect()
}

fn indices<B: Backend>(values: &[i32], device: &B::Device) -> Tensor<B, 1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// What the nets are made of, on matrices of `rows` and `columns`.
fn operations<B: Backend>(rows: usize, columns: usize) -> Vec<Case<B>> {
    let [n, m] = [rows, columns];
    let one = [[n, m]];
    vec![
        Case::new("add", &[[n, m], [1, m]], |x| x[0].clone() + x[1].clone()),
        Case::new("subtract", &[[n, m], [n, 1]], |x| x[0].clone() - x[1].clone()),
        Case::new("multiply", &[[n, m], [n, 1]], |x| x[0].clone() * x[1].clone()),
        Case::new("divide", &[[n, m], [n, m]], |x| {
            x[0].clone() / (x[1].clone() * x[1].clone() + 0.5)
        }),
        Case::new("multiply by a number", &one, |x| x[0].clone() * 0.3 + 1.5),
        Case::new("negate", &one, |x| x[0].clone().neg()),
        Case::new("square", &one, |x| x[0].clone().powi_scalar(2)),
        Case::new("root", &one, |x| (x[0].clone().powi_scalar(2) + 0.01).sqrt()),
        Case::new("erf", &one, |x| x[0].clone().erf()).within(1e-5),
        Case::new("tanh", &one, |x| x[0].clone().tanh()).within(1e-5),
        Case::new("sigmoid", &one, |x| activation::sigmoid(x[0].clone())).within(1e-5),
        Case::new("sum", &one, |x| x[0].clone().sum().reshape([1, 1])).within(1e-5),
        Case::new("mean of rows", &one, |x| x[0].clone().mean_dim(1)).within(1e-5),
        Case::new("maximum", &one, move |x| {
            x[0].clone().reshape([1, n, m]).max_dim(1).reshape([1, m])
        }),
        Case::new("softmax", &one, move |x| {
            activation::softmax(x[0].clone().reshape([1, 1, n, m]), 3).reshape([n, m])
        })
        .within(1e-5),
        Case::new("log softmax", &one, |x| activation::log_softmax(x[0].clone(), 1)).within(1e-5),
        Case::new("mask", &one, |x| {
            let is_lower = x[0].clone().lower_equal_elem(0.0);
            x[0].clone().mask_fill(is_lower, 0.0)
        }),
        Case::new("transpose", &one, |x| x[0].clone().transpose()),
        Case::new("swap and flatten", &[[n * 2, m * 3]], move |x| {
            x[0].clone().reshape([n, 2, m, 3]).swap_dims(1, 2).reshape([n * m, 6])
        }),
        Case::new("slice", &one, move |x| x[0].clone().slice_dim(1, m / 3..m)),
        Case::new("join", &[[n, m], [n, 3]], |x| Tensor::cat(x.to_vec(), 1)),
        Case::new("stack", &[[n, m], [n, m]], move |x| {
            Tensor::stack::<3>(x.to_vec(), 0).reshape([2 * n, m])
        }),
        Case::new("rows by index", &one, move |x| {
            // Some rows several times, whose gradients add up, and some never.
            let last = n as i32 - 1;
            x[0].clone().select(0, indices::<B>(&[last, 0, 1, 1, last, 1], &x[0].device()))
        }),
        Case::new("product", &[[n, m], [m, n + 3]], |x| x[0].clone().matmul(x[1].clone()))
            .within(1e-5),
        Case::new("products of a batch", &[[4 * n, m], [4 * m, 5]], move |x| {
            let [a, b] = [x[0].clone().reshape([2, 2, n, m]), x[1].clone().reshape([2, 2, m, 5])];
            a.matmul(b).reshape([4 * n, 5])
        })
        .within(1e-5),
        Case::new("product with a transposed one", &[[2 * n, m], [2 * n, m]], move |x| {
            let [a, b] = [x[0].clone().reshape([2, 1, n, m]), x[1].clone().reshape([2, 1, n, m])];
            a.matmul(b.swap_dims(2, 3)).reshape([2 * n, n])
        })
        .within(1e-5),
        Case::new("product of one row", &[[3, n], [3 * n, m]], move |x| {
            let [a, b] = [x[0].clone().reshape([3, 1, n]), x[1].clone().reshape([3, n, m])];
            a.matmul(b).reshape([3, m])
        })
        .within(1e-5),
    ]
}

/// What is fused: several operations without a look at what is in between.
fn chains<B: Backend>(rows: usize, columns: usize) -> Vec<Case<B>> {
    let [n, m] = [rows, columns];
    vec![
        Case::new("layer norm", &[[n, m], [1, m], [1, m]], |x| {
            let centered = x[0].clone() - x[0].clone().mean_dim(1);
            let variance = (centered.clone() * centered.clone()).mean_dim(1);
            let scale = variance.ones_like() / (variance + 1e-12).sqrt();
            centered * scale * x[1].clone() + x[2].clone()
        })
        .within(2e-5),
        Case::new("gelu", &[[n, m]], |x| {
            let phi = (x[0].clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
            x[0].clone() * phi * 0.5
        })
        .within(1e-5),
        Case::new("attention", &[[2 * n, m], [2 * n, m], [2 * n, m]], move |x| {
            let heads = |idx: usize| x[idx].clone().reshape([n, 2, 1, m]).swap_dims(0, 2);
            let [query, key, value] = [heads(0) / 3.0, heads(1), heads(2)];
            let mut excluded = vec![0.0_f32; n];
            excluded[n - 1] = -1e30;
            let excluded = TensorData::new(excluded, [1, 1, 1, n]);
            let excluded = Tensor::<B, 4>::from_data(excluded, &x[0].device());
            let weights = activation::softmax(query.matmul(key.swap_dims(2, 3)) + excluded, 3);
            weights.matmul(value).swap_dims(1, 2).reshape([2 * n, m])
        })
        .within(2e-5),
        Case::new("step of an LSTM", &[[n, 4 * m], [n, m], [m, 4 * m]], move |x| {
            let gates = x[0].clone() + x[1].clone().matmul(x[2].clone());
            let gate = |idx: usize| gates.clone().slice_dim(1, idx * m..(idx + 1) * m);
            let cell = activation::sigmoid(gate(1)) * x[1].clone()
                + activation::sigmoid(gate(0)) * gate(2).tanh();
            activation::sigmoid(gate(3)) * cell.tanh()
        })
        .within(2e-5),
        Case::new("convolution", &[[12, m], [2 * m, n]], move |x| {
            let first: Vec<i32> = (0..11).flat_map(|start| [start, start + 1]).collect();
            let windows = x[0].clone().select(0, indices::<B>(&first, &x[0].device()));
            let responses = windows.reshape([11, 2 * m]).matmul(x[1].clone());
            responses.reshape([1, 11, n]).max_dim(1).reshape([1, n])
        })
        .within(1e-5),
        Case::new("cross-entropy", &[[n, m], [n, m]], |x| {
            (activation::log_softmax(x[0].clone(), 1) * x[1].clone()).sum().neg().reshape([1, 1])
        })
        .within(1e-5),
        Case::new("step of AdamW", &[[n, m], [n, m], [n, m]], |x| {
            let gradient = x[1].clone() * 0.25;
            let mean = x[2].clone() * 0.9 + gradient.clone() * 0.1;
            let square = x[2].clone().powi_scalar(2) * 0.999 + gradient.powi_scalar(2) * 1e-3;
            x[0].clone() * 0.9999 - mean * 3e-3 / (square.sqrt() * 1.5 + 1e-8)
        })
        .within(1e-5),
    ]
}

/// What an operation gives, and the gradient of each of its inputs.
fn results<B: AutodiffBackend>(case: &Case<B>, device: &B::Device) -> Vec<Vec<f32>> {
    let inputs = case.inputs.iter().enumerate().map(|(idx, dims)| {
        let values = numbers(dims.iter().product(), 7 + idx as u64);
        Tensor::<B, 2>::from_data(TensorData::new(values, *dims), device).require_grad()
    });
    let inputs: Vec<Tensor<B, 2>> = inputs.collect();
    let output = (case.apply)(&inputs);
    let dims = output.dims();
    let factors = numbers(dims.iter().product(), 99);
    let factors = Tensor::from_data(TensorData::new(factors, dims), device);
    let mut gradients = (output.clone() * factors).sum().backward();
    let values = |data: TensorData| data.convert::<f32>().into_vec::<f32>().unwrap();
    let mut results = vec![values(output.into_data())];
    results.extend(inputs.iter().map(|input| match input.grad_remove(&mut gradients) {
        Some(gradient) => values(gradient.into_data()),
        None => vec![0.0; input.shape().num_elements()],
    }));
    results
}

fn wgpu_device() -> WgpuDevice {
    let [device] = accelerators().try_into().expect("a build with wgpu tests one accelerator");
    match device.device() {
        Device::Wgpu(index) => adapters()[index].device.clone(),
        other => panic!("these tests are of wgpu, TRIALBOOK_DEVICE names {other}"),
    }
}

/// Collects what differs, so that one run says all.
fn compare<B: AutodiffBackend>(
    cases: Vec<Case<B>>,
    expected: Vec<Case<Autodiff<Flex>>>,
    device: &B::Device,
    faults: &mut Vec<String>,
) {
    for (case, cpu) in cases.into_iter().zip(expected) {
        assert_eq!(case.name, cpu.name);
        let expected = results(&cpu, &FlexDevice);
        for (idx, (found, expected)) in results(&case, device).iter().zip(&expected).enumerate() {
            assert_eq!(found.len(), expected.len(), "{}", case.name);
            let largest = expected.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
            let difference = |(a, b): (&f32, &f32)| {
                let difference = (a - b).abs() / largest;
                if difference.is_nan() { f32::INFINITY } else { difference }
            };
            let worst = found.iter().zip(expected).map(difference).fold(0.0, f32::max);
            if worst > case.tolerance {
                let what = if idx == 0 { "value".into() } else { format!("gradient {idx}") };
                faults.push(format!("{} {:?} {what}: {worst}", case.name, case.inputs));
            }
        }
    }
}

/// Sizes that fill no vector, and sizes that do, beyond one block of a product. Each product compiles kernels of
/// its own, which a driver on the CPU takes seconds for.
const SIZES: [[usize; 2]; 2] = [[7, 5], [36, 68]];

#[test]
fn each_operation_gives_the_cpus_numbers_and_gradients_in_a_kernel_of_its_own() {
    let (device, mut faults) = (wgpu_device(), Vec::new());
    for [n, m] in SIZES {
        compare::<Autodiff<Unfused>>(operations(n, m), operations(n, m), &device, &mut faults);
        compare::<Autodiff<Unfused>>(chains(n, m), chains(n, m), &device, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_operation_gives_the_cpus_numbers_and_gradients_fused() {
    let (device, mut faults) = (wgpu_device(), Vec::new());
    for [n, m] in SIZES {
        compare::<Autodiff<Wgpu>>(operations(n, m), operations(n, m), &device, &mut faults);
        compare::<Autodiff<Wgpu>>(chains(n, m), chains(n, m), &device, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn products_of_halves_are_products_but_for_their_rounding() {
    fn product<B: Backend>(dtype: DType) -> Case<B> {
        Case::new("product of halves", &[[9, 20], [20, 6]], move |x| {
            x[0].clone().cast(dtype).matmul(x[1].clone().cast(dtype)).cast(DType::F32)
        })
        .within(4e-3)
    }
    let (device, mut faults) = (wgpu_device(), Vec::new());
    let computes = |dtype| <Wgpu as Backend>::supports_dtype(&device, dtype);
    for dtype in [DType::F16, DType::BF16].into_iter().filter(|dtype| computes(*dtype)) {
        let expected = || vec![product(DType::F32)];
        compare::<Autodiff<Unfused>>(vec![product(dtype)], expected(), &device, &mut faults);
        compare::<Autodiff<Wgpu>>(vec![product(dtype)], expected(), &device, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn masks_are_decided_by_the_seed_and_keep_the_share_that_was_asked_for() {
    let device = wgpu_device();
    let draw = |seed: u64| -> Vec<f32> {
        <Wgpu as Backend>::seed(&device, seed);
        let mask = Tensor::<Wgpu, 2>::random([64, 501], Distribution::Bernoulli(0.9), &device);
        mask.into_data().convert::<f32>().into_vec().unwrap()
    };
    let mask = draw(5);
    assert!(mask.iter().all(|value| *value == 0.0 || *value == 1.0));
    // 32,064 draws: the standard deviation of the share is 0.0017.
    let share = mask.iter().sum::<f32>() / mask.len() as f32;
    assert!((share - 0.9).abs() < 0.01, "{share}");
    assert_ne!(draw(6), mask);
}
