//! Points of the unit square drawn with braille patterns, two by four dots a character: a curve for
//! terminals that show no pictures.

use std::fmt::Write as _;

const N_COLUMNS: usize = 48;
const N_ROWS: usize = 14;

/// A grid of dots under construction; (0, 0) is the lower left corner, (1, 1) the upper right one.
#[derive(Debug)]
pub(super) struct Sketch {
    cells: Vec<u8>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self { cells: vec![0; N_COLUMNS * N_ROWS] }
    }

    /// Joins neighbouring points by straight lines.
    pub(super) fn polyline(&mut self, points: impl Iterator<Item = (f64, f64)>) {
        let mut previous: Option<(f64, f64)> = None;
        for (x, y) in points {
            let (from_x, from_y) = previous.unwrap_or((x, y));
            let n_steps = ((x - from_x).abs() * (2 * N_COLUMNS) as f64)
                .max((y - from_y).abs() * (4 * N_ROWS) as f64)
                .ceil()
                .max(1.0) as usize;
            for step in 0..=n_steps {
                let share = step as f64 / n_steps as f64;
                self.dot(from_x + (x - from_x) * share, from_y + (y - from_y) * share);
            }
            previous = Some((x, y));
        }
    }

    /// Lines of text: the title, the drawing in its frame, the name of the horizontal axis.
    pub(super) fn to_text(&self, title: &str, x_name: &str, y_name: &str) -> String {
        let mut text = format!("{title}\n{y_name}\n");
        for (row_idx, row) in self.cells.chunks_exact(N_COLUMNS).enumerate() {
            let tick = match row_idx {
                0 => "1",
                _ if row_idx + 1 == N_ROWS => "0",
                _ => " ",
            };
            let drawn: String = row
                .iter()
                .map(|dots| {
                    char::from_u32(0x2800 + u32::from(*dots)).expect("a braille pattern: 8 bits")
                })
                .collect();
            let _ = writeln!(text, "{tick} │{drawn}");
        }
        let _ = writeln!(text, "  └{}", "─".repeat(N_COLUMNS));
        let _ = write!(text, "   0{x_name:^width$}1", width = N_COLUMNS - 2);
        text
    }

    fn dot(&mut self, x: f64, y: f64) {
        if !(0.0..=1.0).contains(&x) || !(0.0..=1.0).contains(&y) {
            return;
        }
        let column = (x * (2 * N_COLUMNS - 1) as f64).round() as usize;
        let row = ((1.0 - y) * (4 * N_ROWS - 1) as f64).round() as usize;
        // Dots are numbered down the left column, then down the right one, but the lowest pair,
        // added later to the script, has the two highest bits.
        let bit = match (column % 2, row % 4) {
            (0, 3) => 6,
            (_, 3) => 7,
            (side, height) => 3 * side + height,
        };
        self.cells[row / 4 * N_COLUMNS + column / 2] |= 1 << bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagonal_joins_the_corners() {
        let mut sketch = Sketch::new();
        sketch.polyline([(0.0, 0.0), (1.0, 1.0)].into_iter());
        let text = sketch.to_text("title", "x", "y");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), N_ROWS + 4);
        assert!(lines[2].starts_with("1 │⠀") && !lines[2].ends_with('⠀'), "{text}");
        assert!(lines[N_ROWS + 1].starts_with("0 │") && lines[N_ROWS + 1].ends_with('⠀'), "{text}");
        assert!(!lines[N_ROWS + 1].starts_with("0 │⠀"), "{text}");
    }

    #[test]
    fn points_outside_are_not_drawn() {
        let mut sketch = Sketch::new();
        sketch.polyline([(-1.0, 0.5), (2.0, f64::NAN)].into_iter());
        assert!(sketch.cells.iter().all(|dots| *dots == 0));
    }
}
