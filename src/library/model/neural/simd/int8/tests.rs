//! Products of bytes against sums in plain arithmetic, on every path that this processor has.

use pulp::Arch;

use super::{
    activations::{CHUNK, QUAD, QuantizedBlocks, TokenRanges},
    dense::{DenseInt8, Instructions, Int8Task, PackedInt8, QuantizedRows},
    path::{IntegerPath, PanelScratch},
    tile::{Quad, QuadRow},
};
use crate::model::neural::simd::{
    archs,
    blocks::{BLOCK, Blocks, FeatureRow},
    math::DenseActivation,
    tile::{PANEL, SumStart},
};

/// RandomNumbers that look random and are the same everywhere.
struct RandomNumbers(u32);

impl RandomNumbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn weight(&mut self) -> i8 {
        (self.next() % 255) as i8
    }

    /// Between -1 and 1.
    fn activation(&mut self) -> f32 {
        self.next() as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The processors with a fused multiply-add: all of them have the same numbers.
fn fused_archs() -> Vec<Arch> {
    archs().into_iter().filter(|arch| !matches!(arch, Arch::Scalar)).collect()
}

/// A panel's sum in numbers that hold every digit.
fn sum(panel: &[[Quad; PANEL]], output: usize, start: i32, x: &[QuadRow], token: usize) -> i64 {
    let quads = panel.iter().zip(x).map(|(weights, row)| {
        let tokens = row.0[token].to_le_bytes();
        let products = weights[output].iter().zip(tokens);
        products.map(|(weight, token)| i64::from(*weight) * i64::from(token)).sum::<i64>()
    });
    i64::from(start) + quads.sum::<i64>()
}

#[track_caller]
fn check_sums(panel: &[[Quad; PANEL]], starts: &[i32; PANEL], x: &[QuadRow], n_tokens: usize) {
    for path in IntegerPath::available() {
        let mut scratch = PanelScratch::default();
        let mut out = [FeatureRow::ZERO; PANEL];
        path.open(panel, starts, &mut scratch).sums(x, &mut out, n_tokens);
        for (output, row) in out.iter().enumerate() {
            for (token, found) in row.0[..n_tokens].iter().enumerate() {
                let expected = sum(panel, output, starts[output], x, token);
                // Rounded once, as the processor rounds: the sum itself has no error.
                let n_quads = panel.len();
                assert_eq!(
                    *found, expected as f32,
                    "{path:?}, {n_quads} quads, output {output}, token {token} of {n_tokens}"
                );
            }
        }
    }
}

#[test]
fn every_path_has_the_exact_sums() {
    let mut numbers = RandomNumbers(7);
    for n_quads in [1, 2, 3, 31, CHUNK / QUAD] {
        let panel: Vec<[Quad; PANEL]> = (0..n_quads)
            .map(|_| std::array::from_fn(|_| std::array::from_fn(|_| numbers.weight())))
            .collect();
        let starts = std::array::from_fn(|_| numbers.next() as i32 - (1 << 23));
        let row = |numbers: &mut RandomNumbers| {
            QuadRow(std::array::from_fn(|_| numbers.next() << 16 ^ numbers.next()))
        };
        let x: Vec<QuadRow> = (0..n_quads).map(|_| row(&mut numbers)).collect();
        for n_tokens in 1..=BLOCK {
            check_sums(&panel, &starts, &x, n_tokens);
        }
    }
}

// The product of bytes that AVX2 has adds two in 16 bits and saturates: 2 · 255 · 127 is more than that.
#[test]
fn no_sum_saturates_however_large_its_products() {
    let n_quads = CHUNK / QUAD;
    let x = vec![QuadRow([u32::MAX; BLOCK]); n_quads];
    for weight in [127, -127] {
        let panel = vec![[[weight; QUAD]; PANEL]; n_quads];
        check_sums(&panel, &[0; PANEL], &x, BLOCK);
        check_sums(&panel, &[-128 * 127 * CHUNK as i32; PANEL], &x, BLOCK);
    }
}

/// Activations `[n_features, n_tokens]` that are all different, those of token 3 all zero.
fn states(n_features: usize, n_tokens: usize) -> Blocks {
    let mut numbers = RandomNumbers(n_features as u32);
    let mut states = Blocks::zeros(n_features, n_tokens);
    for (block_idx, block) in states.blocks_mut().enumerate() {
        for row in block {
            for (lane, value) in row.0.iter_mut().enumerate() {
                let is_zero = block_idx * BLOCK + lane == 3;
                *value = if is_zero { 0.0 } else { 3.0 * numbers.activation() };
            }
        }
    }
    states
}

#[test]
fn an_activation_is_its_byte_times_its_tokens_scale_to_half_a_step() {
    for (n_features, n_tokens) in [(1, 1), (6, 5), (39, 33), (CHUNK + 2, 40)] {
        let states = states(n_features, n_tokens);
        for arch in archs() {
            let quantized = QuantizedBlocks::of(arch, &states);
            for (block_idx, block) in quantized.blocks().enumerate() {
                assert_eq!(block.n_tokens, states.block_tokens(block_idx));
                for (feature, row) in states.block(block_idx).iter().enumerate() {
                    let TokenRanges { scale, center } = block.ranges[feature / CHUNK];
                    let quads = &block.rows[feature / QUAD].0;
                    for (lane, quad) in quads[..block.n_tokens].iter().enumerate() {
                        let byte = quad.to_le_bytes()[feature % QUAD];
                        let found = (f32::from(byte) - 128.0) * scale.0[lane] + center.0[lane];
                        let error = (found - row.0[lane]).abs();
                        let case = format!("{arch:?} {n_features} {feature} {lane}");
                        assert!(error <= 0.501 * scale.0[lane] + 1e-6, "{case}: {error}");
                        assert!(byte > 0, "{case}: -128 has no opposite");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_does_not_look_like_an_answer() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut damaged = states(10, 20);
        damaged.all_mut()[4].0[17] = value;
        for arch in archs() {
            let quantized = QuantizedBlocks::of(arch, &damaged);
            let scales = quantized.blocks().next().unwrap().ranges[0].scale.0;
            assert!(!scales[17].is_finite(), "{arch:?} {value}: {}", scales[17]);
            assert!(scales[..17].iter().all(|scale| scale.is_finite()));
        }
    }
}

/// A dense layer's result on every path and every processor's registers, all outputs.
fn results(
    packed: &PackedInt8,
    x: &Blocks,
    archs: &[Arch],
    start: SumStart,
) -> Vec<(String, Vec<f32>)> {
    let mut found = Vec::new();
    for arch in archs {
        for path in IntegerPath::available() {
            let instructions = Instructions { arch: *arch, path };
            let quantized = QuantizedBlocks::of(*arch, x);
            let mut out = Blocks::zeros(packed.n_out(), x.n_tokens());
            for row in out.all_mut() {
                row.0.fill(0.25);
            }
            packed.apply_into(instructions, &quantized, &mut out, start, DenseActivation::Identity);
            let mut here = out.clone();
            for row in here.all_mut() {
                row.0.fill(0.25);
            }
            let blocks = quantized.blocks().zip(here.blocks_mut());
            DenseInt8 {
                weights: packed,
                panels: 0..packed.n_panels(),
                chunks: 0..packed.n_in().div_ceil(CHUNK),
                start,
                function: DenseActivation::Identity,
                blocks: &mut blocks.map(|(x, out)| Int8Task { x, out }).collect::<Vec<_>>(),
            }
            .run(instructions);
            let values = |blocks: &Blocks| -> Vec<f32> {
                let outputs = (0..x.n_tokens())
                    .flat_map(|token| (0..packed.n_out()).map(move |output| (output, token)));
                outputs.map(|(output, token)| blocks.value(output, token)).collect()
            };
            assert_eq!(values(&out), values(&here), "{arch:?} {path:?}: split and whole");
            found.push((format!("{arch:?} {path:?}"), values(&out)));
        }
    }
    found
}

#[test]
fn a_dense_layer_has_the_same_bits_on_every_path_and_is_close_to_the_one_in_32_bits() {
    let mut numbers = RandomNumbers(3);
    for (n_in, n_out, n_tokens) in
        [(1, 1, 1), (3, 11, 2), (39, 12, 33), (768, 13, 17), (769, 25, 8), (2000, 30, 40)]
    {
        let values: Vec<i8> = (0..n_in * n_out).map(|_| numbers.weight()).collect();
        let scales: Vec<f32> = (0..n_out).map(|_| 0.01 + numbers.activation().abs()).collect();
        let bias: Vec<f32> = (0..n_out).map(|_| numbers.activation()).collect();
        let (first, last) = (n_out / 2, n_out - n_out / 2);
        let parts = [
            QuantizedRows {
                values: &values[..first * n_in],
                scales: &scales[..first],
                bias: &bias[..first],
            },
            QuantizedRows {
                values: &values[first * n_in..],
                scales: &scales[first..],
                bias: &bias[first..],
            },
        ];
        assert_eq!(parts[1].bias.len(), last);
        let packed = PackedInt8::new(&parts, n_in);
        let x = states(n_in, n_tokens);
        for (start, held) in
            [(SumStart::Bias, 0.0), (SumStart::Residual, 0.25), (SumStart::Continue, 0.25)]
        {
            let fused = results(&packed, &x, &fused_archs(), start);
            let case = format!("{n_in} {n_out} {n_tokens} {start:?}");
            for (name, found) in &fused[1..] {
                assert_eq!(*found, fused[0].1, "{case}: {name} and {}", fused[0].0);
            }
            // In f64, with what the activations are before they are bytes: half a step of each.
            for (name, found) in results(&packed, &x, &archs(), start) {
                for (idx, found) in found.iter().enumerate() {
                    let (token, output) = (idx / n_out, idx % n_out);
                    let weights = &values[output * n_in..][..n_in];
                    let scale = f64::from(scales[output]);
                    let products = weights.iter().enumerate().map(|(feature, weight)| {
                        f64::from(*weight) * scale * f64::from(x.value(feature, token))
                    });
                    let bias = if start == SumStart::Continue { 0.0 } else { bias[output] };
                    let expected = products.sum::<f64>() + f64::from(bias) + held;
                    let n_steps: f64 = weights.iter().map(|w| f64::from(*w).abs() * scale).sum();
                    let bound = 0.51 * n_steps * 3.0 / 127.0 + 1e-4;
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error <= bound, "{case} {name} {output} {token}: {error} > {bound}");
                }
            }
        }
    }
}
