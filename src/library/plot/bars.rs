//! Bars: upright where the names fit below them, else lying with the names beside them.

use super::{
    chart::Chart,
    frame::{Header, LABEL_SIZE},
    scale::{Scale, value_label},
    scales::scales,
    svg::{Anchor, Role, Svg, fitted, width_of},
};

const WIDTH: f64 = 500.0;
const HEIGHT: f64 = 290.0;
const MAX_NAME_WIDTH: f64 = 180.0;
const NAME_SIZE: f64 = 13.0;
const WIDEST_BAR: f64 = 90.0;

/// The SVG document of bars.
pub(super) fn svg(chart: &Chart, names: &[String], series: &[(String, Vec<f64>)]) -> String {
    let band = WIDTH / names.len().max(1) as f64;
    let scale = scales(chart, (6, 5)).1;
    let bars = Bars { chart, names, series, scale };
    if bars.fit_upright(band) { bars.upright(band) } else { bars.lying() }
}

struct Bars<'a> {
    chart: &'a Chart,
    names: &'a [String],
    series: &'a [(String, Vec<f64>)],
    scale: Scale,
}

impl Bars<'_> {
    /// True if names and values have room below and above bars that stand.
    fn fit_upright(&self, band: f64) -> bool {
        let (inset, bar) = self.bar_size(band, WIDEST_BAR);
        // A bar by itself may have a label that is wider than the bar.
        let room = if self.series.len() > 1 { bar } else { bar + 2.0 * inset - 8.0 };
        let fits = |text: &str, room: f64| width_of(text, LABEL_SIZE) <= room;
        let values = self.series.iter().flat_map(|(_, values)| values);
        self.names.len() <= 16
            && self.names.iter().all(|name| fits(name, band - 8.0))
            && values.into_iter().all(|value| fits(&self.label(*value), room))
    }

    fn label(&self, value: f64) -> String {
        value_label(value, self.chart.y.is_whole)
    }

    fn upright(&self, band: f64) -> String {
        let labels = self.scale.ticks.iter().map(|tick| width_of(&tick.label, LABEL_SIZE));
        let left = 40.0 + labels.fold(0.0, f64::max);
        let (header, top) = Header::new(self.chart, left + WIDTH + 26.0);
        // The highest bar carries its value above itself.
        let top = top + 10.0;
        let bottom = top + HEIGHT;
        let mut svg = Svg::new(&self.chart.title, left + WIDTH + 26.0, bottom + 52.0);
        header.draw(&mut svg);
        for tick in &self.scale.ticks {
            let y = bottom - self.scale.share(tick.at) * HEIGHT;
            svg.line(Role::Grid, 1.0, (left, y), (left + WIDTH, y));
            svg.text(left - 8.0, y + 4.0, Anchor::End, Role::Dim, LABEL_SIZE, &tick.label);
        }
        let zero = bottom - self.scale.share(0.0) * HEIGHT;
        let (inset, bar) = self.bar_size(band, WIDEST_BAR);
        for (name_idx, name) in self.names.iter().enumerate() {
            let begin = left + name_idx as f64 * band;
            svg.text(
                begin + band / 2.0,
                bottom + 17.0,
                Anchor::Middle,
                Role::Ink,
                LABEL_SIZE,
                name,
            );
            for (idx, value) in self.values(name_idx) {
                let x = begin + inset + idx as f64 * bar;
                let y = bottom - self.scale.share(value) * HEIGHT;
                svg.rect(
                    Role::Series(idx),
                    1.0,
                    (x + 1.0, y.min(zero)),
                    (bar - 2.0, (y - zero).abs()),
                );
                let y = if value < 0.0 { y + 13.0 } else { y - 5.0 };
                let label = self.label(value);
                svg.text(x + bar / 2.0, y, Anchor::Middle, Role::Ink, LABEL_SIZE, &label);
            }
        }
        svg.line(Role::Dim, 1.0, (left, zero), (left + WIDTH, zero));
        let middle = left + WIDTH / 2.0;
        svg.text(middle, bottom + 40.0, Anchor::Middle, Role::Ink, NAME_SIZE, &self.chart.x.name);
        let name = fitted(&self.chart.y.name, NAME_SIZE, HEIGHT);
        svg.text_upwards(20.0, top + HEIGHT / 2.0, Anchor::Middle, Role::Ink, NAME_SIZE, &name);
        svg.finish()
    }

    fn lying(&self) -> String {
        let widths = self.names.iter().map(|name| width_of(name, LABEL_SIZE));
        let left = 44.0 + widths.fold(0.0, f64::max).min(MAX_NAME_WIDTH);
        let band = 10.0 + 14.0 * self.series.len().max(1) as f64;
        let height = band * self.names.len() as f64;
        let (header, top) = Header::new(self.chart, left + WIDTH + 26.0);
        let mut svg = Svg::new(&self.chart.title, left + WIDTH + 26.0, top + height + 52.0);
        header.draw(&mut svg);
        // The values stand right of the bars, so these end before the picture does.
        let length = WIDTH - 56.0;
        for tick in &self.scale.ticks {
            let x = left + self.scale.share(tick.at) * length;
            svg.line(Role::Grid, 1.0, (x, top), (x, top + height));
            let y = top + height + 17.0;
            svg.text(x, y, Anchor::Middle, Role::Dim, LABEL_SIZE, &tick.label);
        }
        let zero = left + self.scale.share(0.0) * length;
        let (inset, bar) = self.bar_size(band, 14.0);
        for (name_idx, name) in self.names.iter().enumerate() {
            let begin = top + name_idx as f64 * band;
            let name = fitted(name, LABEL_SIZE, MAX_NAME_WIDTH);
            let y = begin + band / 2.0 + 4.0;
            svg.text(left - 8.0, y, Anchor::End, Role::Ink, LABEL_SIZE, &name);
            for (idx, value) in self.values(name_idx) {
                let y = begin + inset + idx as f64 * bar;
                let x = left + self.scale.share(value) * length;
                svg.rect(
                    Role::Series(idx),
                    1.0,
                    (x.min(zero), y + 1.0),
                    ((x - zero).abs(), bar - 2.0),
                );
                let label = self.label(value);
                let y = y + bar / 2.0 + 4.0;
                svg.text(x.max(zero) + 5.0, y, Anchor::Start, Role::Ink, LABEL_SIZE, &label);
            }
        }
        svg.line(Role::Dim, 1.0, (zero, top), (zero, top + height));
        let middle = left + length / 2.0;
        let y = top + height + 40.0;
        svg.text(middle, y, Anchor::Middle, Role::Ink, NAME_SIZE, &self.chart.y.name);
        let name = fitted(&self.chart.x.name, NAME_SIZE, height.max(60.0));
        svg.text_upwards(20.0, top + height / 2.0, Anchor::Middle, Role::Ink, NAME_SIZE, &name);
        svg.finish()
    }

    /// The room beside the bars of a name, and the room of one bar.
    fn bar_size(&self, band: f64, widest: f64) -> (f64, f64) {
        let n_series = self.series.len().max(1) as f64;
        let bar = (band * 0.8 / n_series).min(widest);
        ((band - bar * n_series) / 2.0, bar)
    }

    /// The values of a name that can be drawn, with their series.
    fn values(&self, name_idx: usize) -> impl Iterator<Item = (usize, f64)> {
        let values = self.series.iter().map(move |(_, values)| values[name_idx]).enumerate();
        values.filter(|(_, value)| super::marks::is_drawable(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(names: &[&str], values: &[f64]) -> String {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let series = vec![("rows".to_owned(), values.to_vec())];
        Chart::bars(names, series).axes("label", "rows").draw().svg
    }

    #[test]
    fn every_bar_carries_its_value_and_its_name() {
        let svg = svg(&["neg", "p<s"], &[12_500.0, 7.0]);
        for expected in [">12,500<", ">7<", ">neg<", ">p&lt;s<", ">label<", ">rows<"] {
            assert!(svg.contains(expected), "{expected}: {svg}");
        }
    }

    #[test]
    fn names_without_room_below_the_bars_stand_beside_them() {
        let upright = svg(&["a", "b"], &[1.0, -2.0]);
        let long = "a name that no bar of four could carry below itself";
        let lying = svg(&[long, "b", "c", "d"], &[1.0, 2.0, 3.0, -4.0]);
        let ends = |svg: &str| svg.matches("text-anchor=\"start\"").count();
        assert_eq!((ends(&upright), ends(&lying)), (0, 4));
        assert!(lying.contains(">-4<"), "{lying}");
    }

    #[test]
    fn values_without_room_above_the_bars_stand_beside_them() {
        let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
        let series = |name: &str| (name.to_owned(), vec![0.9361; 8]);
        let svg = Chart::bars(names, vec![series("a"), series("b")]).draw().svg;
        assert_eq!(svg.matches(">0.9361<").count(), 16);
        assert_eq!(svg.matches("text-anchor=\"start\"").count(), 16 + 2, "values and legend");
    }
}
