//! Solving the small symmetric systems of Newton's method.
//!
//! They have a handful of rows: a crate for linear algebra, such as faer, would be more code than this.

/// The `x` with `matrix · x = right`; `None` if the matrix is not positive definite.
///
/// # Shapes
/// `matrix`: square, row-major, as many rows as `right` is long.
pub(super) fn solve(mut matrix: Vec<f64>, right: &[f64]) -> Option<Vec<f64>> {
    let size = right.len();
    for row in 0..size {
        for column in 0..=row {
            let known: f64 =
                (0..column).map(|k| matrix[row * size + k] * matrix[column * size + k]).sum();
            let rest = matrix[row * size + column] - known;
            matrix[row * size + column] = if row == column {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / matrix[column * size + column]
            };
        }
    }
    let mut solution = right.to_vec();
    for row in 0..size {
        let known: f64 = (0..row).map(|k| matrix[row * size + k] * solution[k]).sum();
        solution[row] = (solution[row] - known) / matrix[row * size + row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| matrix[k * size + row] * solution[k]).sum();
        solution[row] = (solution[row] - known) / matrix[row * size + row];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_an_indefinite_one_refused() {
        let matrix = vec![4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];
        let solution = solve(matrix.clone(), &[1.0, -2.0, 3.0]).unwrap();
        for (row, right) in matrix.chunks(3).zip([1.0, -2.0, 3.0]) {
            let product: f64 = row.iter().zip(&solution).map(|(a, b)| a * b).sum();
            assert!((product - right).abs() < 1e-12);
        }
        assert_eq!(solve(vec![1.0, 2.0, 2.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(solve(vec![f64::NAN], &[1.0]), None);
    }
}
