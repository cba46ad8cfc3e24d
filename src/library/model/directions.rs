//! The directions of a search and their scalar products, and the point that is a combination of
//! them. They know nothing of losses.

use rayon::prelude::*;

use super::loss::dot_block;

/// Elements that are summed together.
const BLOCK: usize = 1 << 13;
/// A direction of which a smaller part is new is not worth keeping: rounding would grow with it.
const NEW_PART: f64 = 1e-4;
/// So many directions become two where there are too many.
const N_MERGED: usize = 3;

/// A point of the search: `w = Σ coordinate · direction`.
#[derive(Clone)]
pub(super) struct Point {
    pub(super) coordinates: Vec<f64>,
    pub(super) intercepts: Vec<f64>,
    /// `½ ‖w‖²`.
    pub(super) penalty: f64,
    /// `X w + b`: `[n_rows, n_outputs]`.
    pub(super) margins: Vec<f64>,
}

impl Point {
    /// `X w`, the margins without the intercepts.
    pub(super) fn pulls(&self) -> Vec<f64> {
        let mut pulls = self.margins.clone();
        for row in pulls.chunks_exact_mut(self.intercepts.len()) {
            row.iter_mut().zip(&self.intercepts).for_each(|(pull, intercept)| *pull -= intercept);
        }
        pulls
    }

    /// The change of the margins by `step`, coordinates before intercepts.
    pub(super) fn change(&self, subspace: &Subspace, step: &[f64]) -> Vec<f64> {
        let (coordinates, intercepts) = step.split_at(subspace.directions.len());
        let mut change = vec![0.0; self.margins.len()];
        subspace.add_combined(&mut change, coordinates, |direction| &direction.margins);
        for row in change.chunks_exact_mut(intercepts.len()) {
            row.iter_mut().zip(intercepts).for_each(|(margin, intercept)| *margin += intercept);
        }
        change
    }

    /// The coordinates' and the margins' differences from `before`'s.
    pub(super) fn step_from(&self, before: &Self) -> (Vec<f64>, Vec<f64>) {
        let difference = |end: &[f64], start: &[f64]| {
            end.iter().zip(start).map(|(end, start)| end - start).collect()
        };
        (
            difference(&self.coordinates, &before.coordinates),
            difference(&self.margins, &before.margins),
        )
    }

    pub(super) fn advance(&mut self, share: f64, step: &[f64], change: &[f64]) {
        let elements = self.coordinates.iter_mut().chain(&mut self.intercepts);
        elements.zip(step).for_each(|(element, step)| *element += share * step);
        add_scaled(&mut self.margins, share, change);
    }
}

/// A direction `Xᵀγ`, of length 1 in a subspace, and `X Xᵀγ`, what it does to the margins.
pub(super) struct Direction {
    pub(super) gamma: Vec<f64>,
    pub(super) margins: Vec<f64>,
}

impl Direction {
    pub(super) fn length(&self) -> f64 {
        dot(&self.gamma, &self.margins).max(0.0).sqrt()
    }
}

/// The directions and their scalar products, which rounding keeps from being exactly 0 and 1.
#[derive(Default)]
pub(super) struct Subspace {
    pub(super) directions: Vec<Direction>,
    pub(super) gram: Vec<Vec<f64>>,
}

impl Subspace {
    /// Makes `direction` orthogonal to the others and adds it, if something of it is new.
    pub(super) fn push(&mut self, mut direction: Direction) -> bool {
        let length = direction.length();
        let mut rest = length;
        // Twice is enough (Kahan and Parlett): the second time removes the first one's rounding,
        // of which there is little where little was taken away.
        loop {
            let before = rest;
            let shares: Vec<f64> =
                self.along(&direction.gamma).iter().map(|share| -share).collect();
            self.add_combined(&mut direction.gamma, &shares, |other| &other.gamma);
            self.add_combined(&mut direction.margins, &shares, |other| &other.margins);
            rest = direction.length();
            if rest.is_nan() || rest <= NEW_PART * length {
                return false;
            }
            if rest > 0.5 * before {
                break;
            }
        }
        let scale = rest.recip();
        direction.gamma.iter_mut().for_each(|element| *element *= scale);
        direction.margins.iter_mut().for_each(|element| *element *= scale);
        let mut products = self.along(&direction.gamma);
        for (row, product) in self.gram.iter_mut().zip(&products) {
            row.push(*product);
        }
        products.push(dot(&direction.gamma, &direction.margins));
        self.gram.push(products);
        self.directions.push(direction);
        true
    }

    /// Makes two directions of the three oldest, in which the point and its last step lie: what else
    /// they had to give has been taken, as in conjugate gradients.
    pub(super) fn merge_oldest(&mut self, coordinates: &mut Vec<f64>, step: &[f64]) {
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for vector in [&coordinates[..N_MERGED], &step[..N_MERGED]] {
            let mut rest = vector.to_vec();
            for other in &basis {
                add_scaled(&mut rest, -product(vector, other), other);
            }
            let length = product(&rest, &rest).sqrt();
            if length > 1e-8 * product(vector, vector).sqrt() {
                rest.iter_mut().for_each(|element| *element /= length);
                basis.push(rest);
            }
        }
        let oldest: Vec<Direction> = self.directions.drain(..N_MERGED).collect();
        let oldest = Self { directions: oldest, gram: Vec::new() };
        let combine = |shares: &[f64], part: fn(&Direction) -> &Vec<f64>| {
            let mut sum = vec![0.0; part(&oldest.directions[0]).len()];
            oldest.add_combined(&mut sum, shares, part);
            sum
        };
        let merged: Vec<Direction> = basis
            .iter()
            .map(|shares| Direction {
                gamma: combine(shares, |direction| &direction.gamma),
                margins: combine(shares, |direction| &direction.margins),
            })
            .collect();
        self.directions.splice(..0, merged);
        // Columns, then rows of the scalar products.
        let mix = |vector: &[f64]| -> Vec<f64> {
            let merged = basis.iter().map(|shares| product(shares, &vector[..N_MERGED]));
            merged.chain(vector[N_MERGED..].iter().copied()).collect()
        };
        let columns: Vec<Vec<f64>> = self.gram.iter().map(|row| mix(row)).collect();
        let column_of = |idx: usize| columns.iter().map(|row| row[idx]).collect::<Vec<f64>>();
        let rows: Vec<Vec<f64>> =
            (0..self.directions.len()).map(|idx| mix(&column_of(idx))).collect();
        self.gram = rows;
        *coordinates = mix(coordinates);
    }

    /// The scalar products of the vector with these coordinates with each direction.
    pub(super) fn gram_product(&self, coordinates: &[f64]) -> Vec<f64> {
        self.gram.iter().map(|row| product(row, coordinates)).collect()
    }

    /// The scalar products of `vector` with each direction's margins: with `γ` those of `Xᵀγ` with
    /// the directions.
    pub(super) fn along(&self, vector: &[f64]) -> Vec<f64> {
        self.directions.par_iter().map(|direction| dot(vector, &direction.margins)).collect()
    }

    /// `sum += Σ coordinate · part(direction)`.
    pub(super) fn add_combined(
        &self,
        sum: &mut [f64],
        coordinates: &[f64],
        part: impl Fn(&Direction) -> &Vec<f64> + Sync,
    ) {
        sum.par_chunks_mut(BLOCK).enumerate().for_each(|(block_idx, sum)| {
            let start = block_idx * BLOCK;
            for (direction, coordinate) in self.directions.iter().zip(coordinates) {
                let addends = &part(direction)[start..start + sum.len()];
                add_scaled(sum, *coordinate, addends);
            }
        });
    }
}

/// The scalar product of two short vectors.
pub(super) fn product(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// `sum += factor · addend`.
pub(super) fn add_scaled(sum: &mut [f64], factor: f64, addend: &[f64]) {
    sum.iter_mut().zip(addend).for_each(|(sum, addend)| *sum += factor * addend);
}

/// The scalar product of two long vectors. Several are taken at a time, on a thread each.
pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.chunks(BLOCK).zip(other.chunks(BLOCK)).map(|(one, other)| dot_block(one, other)).sum()
}
