//! Axes over the unit square: where a share lies in the picture, with grid, ticks and names.

use super::svg::{Anchor, Role, Svg};

const SIDE: f64 = 330.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 44.0;
/// Width of a picture with axes.
pub(super) const WIDTH: f64 = LEFT + SIDE + 26.0;
/// Height of a picture with axes.
pub(super) const HEIGHT: f64 = TOP + SIDE + 56.0;

/// Draws grid, ticks and axis names.
pub(super) fn draw_axes(svg: &mut Svg, x_name: &str, y_name: &str) {
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        svg.line(Role::Grid, 1.0, at(share, 0.0), at(share, 1.0));
        svg.line(Role::Grid, 1.0, at(0.0, share), at(1.0, share));
        let label = format!("{share:.1}");
        let (x, y) = at(share, 0.0);
        svg.text(x, y + 17.0, Anchor::Middle, Role::Dim, 11.0, &label);
        let (x, y) = at(0.0, share);
        svg.text(x - 8.0, y + 4.0, Anchor::End, Role::Dim, 11.0, &label);
    }
    svg.line(Role::Dim, 1.0, at(0.0, 0.0), at(1.0, 0.0));
    svg.line(Role::Dim, 1.0, at(0.0, 0.0), at(0.0, 1.0));
    let (x, y) = at(0.5, 0.0);
    svg.text(x, y + 42.0, Anchor::Middle, Role::Ink, 13.0, x_name);
    let (x, y) = at(0.0, 0.5);
    svg.text_upwards(x - 42.0, y, Anchor::Middle, Role::Ink, 13.0, y_name);
}

/// The pixel of a point of the unit square.
pub(super) fn at(x: f64, y: f64) -> (f64, f64) {
    (LEFT + x * SIDE, TOP + (1.0 - y) * SIDE)
}

/// The length in pixels of a share of a side.
pub(super) fn length(share: f64) -> f64 {
    share * SIDE
}
