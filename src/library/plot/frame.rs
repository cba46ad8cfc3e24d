//! Two axes around a drawing: where a value lies in the picture, with title, legend, grid, ticks and
//! names. Nothing overlaps: margins follow the labels, and labels without room are left out.

use super::{
    chart::Chart,
    scale::{Scale, Tick},
    svg::{Anchor, Role, Svg, fitted, width_of},
};

pub(super) const LABEL_SIZE: f64 = 11.0;
const NAME_SIZE: f64 = 13.0;
const LEGEND_SIZE: f64 = 12.0;
const LEGEND_ROW: f64 = 18.0;
const SWATCH: f64 = 14.0;
const RIGHT: f64 = 26.0;

/// A picture with axes.
pub(super) struct Frame {
    pub(super) svg: Svg,
    left: f64,
    top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    x: Scale,
    y: Scale,
    right: Option<Scale>,
}

impl Frame {
    /// The frame of `chart` with grid and labels drawn.
    pub(super) fn new(chart: &Chart, x: Scale, y: Scale, right: Option<Scale>) -> Self {
        let (width, height) = if chart.is_square { (340.0, 340.0) } else { (500.0, 290.0) };
        let widest = |scale: &Scale| {
            let labels = scale.ticks.iter().map(|tick| width_of(&tick.label, LABEL_SIZE));
            labels.fold(0.0, f64::max)
        };
        let left = 40.0 + widest(&y);
        let margin = right.as_ref().map_or(RIGHT, |right| 40.0 + widest(right));
        let (header, top) = Header::new(chart, left + width + margin);
        let mut frame = Self {
            svg: Svg::new(&chart.title, left + width + margin, top + height + 52.0),
            left,
            top,
            width,
            height,
            x,
            y,
            right,
        };
        header.draw(&mut frame.svg);
        frame.draw_axes(&chart.x.name, &chart.y.name);
        if let Some((axis, _)) = &chart.right {
            frame.draw_right_axis(&axis.name, left + width + margin);
        }
        frame
    }

    /// The pixel of a point.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.left + self.x.share(x) * self.width, self.top + (1.0 - self.y.share(y)) * self.height)
    }

    /// The pixel of a point whose y is read on the right.
    pub(super) fn at_right(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = self.right.as_ref().map_or(0.0, |right| right.share(y));
        (self.left + self.x.share(x) * self.width, self.top + (1.0 - share) * self.height)
    }

    /// A column from the horizontal axis up to `height`, with a hair of room on both sides.
    pub(super) fn column(
        &mut self,
        role: Role,
        opacity: f64,
        (lower, upper): (f64, f64),
        height: f64,
    ) {
        let (left, top) = self.at((lower, height));
        let (right, bottom) = self.at((upper, 0.0));
        let gap = if right - left > 4.0 { 1.0 } else { 0.0 };
        if height > 0.0 {
            self.svg.rect(
                role,
                opacity,
                (left + gap / 2.0, top),
                (right - left - gap, bottom - top),
            );
        }
    }

    fn draw_axes(&mut self, x_name: &str, y_name: &str) {
        let (left, top) = (self.left, self.top);
        let (right, bottom) = (left + self.width, top + self.height);
        for tick in self.y.ticks.clone() {
            let y = bottom - self.y.share(tick.at) * self.height;
            self.svg.line(Role::Grid, 1.0, (left, y), (right, y));
            self.svg.text(left - 8.0, y + 4.0, Anchor::End, Role::Dim, LABEL_SIZE, &tick.label);
        }
        let stride = stride(&self.x.ticks, self.width);
        for (idx, tick) in self.x.ticks.clone().into_iter().enumerate() {
            let x = left + self.x.share(tick.at) * self.width;
            self.svg.line(Role::Grid, 1.0, (x, top), (x, bottom));
            if idx % stride == 0 {
                let y = bottom + 17.0;
                self.svg.text(x, y, Anchor::Middle, Role::Dim, LABEL_SIZE, &tick.label);
            }
        }
        self.svg.line(Role::Dim, 1.0, (left, bottom), (right, bottom));
        self.svg.line(Role::Dim, 1.0, (left, top), (left, bottom));
        let name = fitted(x_name, NAME_SIZE, self.width);
        let middle = left + self.width / 2.0;
        self.svg.text(middle, bottom + 40.0, Anchor::Middle, Role::Ink, NAME_SIZE, &name);
        let name = fitted(y_name, NAME_SIZE, self.height);
        let middle = top + self.height / 2.0;
        self.svg.text_upwards(20.0, middle, Anchor::Middle, Role::Ink, NAME_SIZE, &name);
    }

    /// Ticks and name on the right, without lines of a second grid; `end` is where the picture ends.
    fn draw_right_axis(&mut self, name: &str, end: f64) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        self.svg.line(Role::Dim, 1.0, (right, bottom), (right, self.top));
        let Some(scale) = &self.right else { return };
        for tick in &scale.ticks {
            let y = bottom - scale.share(tick.at) * self.height;
            let x = right + 8.0;
            self.svg.text(x, y + 4.0, Anchor::Start, Role::Dim, LABEL_SIZE, &tick.label);
        }
        let name = fitted(name, NAME_SIZE, self.height);
        let middle = self.top + self.height / 2.0;
        self.svg.text_upwards(end - 8.0, middle, Anchor::Middle, Role::Ink, NAME_SIZE, &name);
    }
}

/// Of how many ticks one gets its label so that labels do not touch.
fn stride(ticks: &[Tick], width: f64) -> usize {
    let widest = ticks.iter().map(|tick| width_of(&tick.label, LABEL_SIZE)).fold(1.0, f64::max);
    let n_fitting = (width / (widest + 12.0)).floor().max(1.0) as usize + 1;
    ticks.len().div_ceil(n_fitting).max(1)
}

/// The lines above a drawing: the remark and the legend, in as many rows as it needs.
pub(super) struct Header {
    note: Option<String>,
    entries: Vec<(f64, f64, usize, String)>,
    width: f64,
}

impl Header {
    /// The header of a picture of this width, and where the drawing begins below it.
    pub(super) fn new(chart: &Chart, width: f64) -> (Self, f64) {
        let mut bottom = 34.0;
        let note = chart.remark().map(|remark| fitted(&remark, LABEL_SIZE, width - 24.0));
        if note.is_some() {
            bottom += 16.0;
        }
        let mut entries = Vec::new();
        let (mut x, mut y) = (24.0, bottom + 4.0);
        for (idx, name) in chart.legend().into_iter().enumerate() {
            let name = fitted(name, LEGEND_SIZE, width - 72.0);
            let entry_width = SWATCH + 6.0 + width_of(&name, LEGEND_SIZE) + 18.0;
            if x > 24.0 && x + entry_width > width - 6.0 {
                (x, y) = (24.0, y + LEGEND_ROW);
            }
            entries.push((x, y, idx, name));
            x += entry_width;
            bottom = y + LEGEND_ROW;
        }
        (Self { note, entries, width }, bottom + 12.0)
    }

    pub(super) fn draw(&self, svg: &mut Svg) {
        if let Some(note) = &self.note {
            svg.text(self.width / 2.0, 44.0, Anchor::Middle, Role::Dim, LABEL_SIZE, note);
        }
        for (x, y, idx, name) in &self.entries {
            svg.rect(Role::Series(*idx), 1.0, (*x, y + 7.0), (SWATCH, 5.0));
            let x = x + SWATCH + 6.0;
            svg.text(x, y + 14.0, Anchor::Start, Role::Ink, LEGEND_SIZE, name);
        }
    }
}
