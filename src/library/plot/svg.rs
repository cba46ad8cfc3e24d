//! A minimal SVG document: shapes whose colours are roles, not values. Each role has a light value
//! as a plain attribute, which every renderer understands, and a dark one in a media query. The
//! picture brings its own background, so that it is readable whatever it lies on.

use std::fmt::Write as _;

use crate::markup::escape;

/// The purpose of a shape; it decides the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Background,
    /// Titles and values.
    Ink,
    /// Axes and their labels.
    Dim,
    Grid,
    /// Text on a strongly filled cell.
    OnCell,
    /// The filling of a cell, made lighter by its opacity.
    Cell,
    /// The n-th line of data.
    Series(usize),
}

/// The side of its point on which a text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Name, light value, dark value.
const FIXED: [(&str, &str, &str); 6] = [
    ("tb-bg", "#ffffff", "#111827"),
    ("tb-ink", "#1f2937", "#f3f4f6"),
    ("tb-dim", "#4b5563", "#9ca3af"),
    ("tb-grid", "#e5e7eb", "#374151"),
    ("tb-oncell", "#ffffff", "#ffffff"),
    ("tb-cell", "#1d4ed8", "#2563eb"),
];

/// Okabe and Ito's colours, told apart with every kind of colour blindness, made darker or lighter
/// where they would be too pale on the page.
const SERIES: [(&str, &str, &str); 6] = [
    ("tb-s0", "#0072b2", "#56b4e9"),
    ("tb-s1", "#d55e00", "#f0914d"),
    ("tb-s2", "#009e73", "#2fc79b"),
    ("tb-s3", "#b3558c", "#e39cc8"),
    ("tb-s4", "#a67c00", "#f0e442"),
    ("tb-s5", "#555555", "#c7c7c7"),
];

impl Role {
    /// The value on a light page.
    pub(crate) fn light(self) -> &'static str {
        self.colors().1
    }

    fn colors(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Background => FIXED[0],
            Self::Ink => FIXED[1],
            Self::Dim => FIXED[2],
            Self::Grid => FIXED[3],
            Self::OnCell => FIXED[4],
            Self::Cell => FIXED[5],
            Self::Series(series_idx) => SERIES[series_idx % SERIES.len()],
        }
    }

    /// `fill` or `stroke` with the light value, and the class that carries the dark one.
    fn attributes(self, property: &str) -> String {
        let (name, light, _) = self.colors();
        let suffix = if property == "stroke" { "-l" } else { "" };
        format!("class=\"{name}{suffix}\" {property}=\"{light}\"")
    }
}

/// A document under construction; coordinates are pixels from the upper left corner.
#[derive(Debug)]
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    pub(crate) fn new(title: &str, width: f64, height: f64) -> Self {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n\
             <title>{}</title>\n<style>@media (prefers-color-scheme: dark) {{",
            character_data(title)
        );
        for (name, _, dark) in FIXED.iter().chain(&SERIES) {
            let _ = write!(text, " .{name} {{ fill: {dark} }} .{name}-l {{ stroke: {dark} }}");
        }
        text.push_str(" }</style>\n");
        let background = Role::Background.attributes("fill");
        let _ =
            writeln!(text, "<rect width=\"{width}\" height=\"{height}\" rx=\"6\" {background}/>");
        let mut svg = Self { text };
        let title = fitted(title, 15.0, width - 24.0);
        svg.text(width / 2.0, 26.0, Anchor::Middle, Role::Ink, 15.0, &title);
        svg
    }

    pub(crate) fn line(&mut self, role: Role, width: f64, from: (f64, f64), to: (f64, f64)) {
        let stroke = role.attributes("stroke");
        let _ = writeln!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke-width=\"{width}\" {stroke}/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// A line nobody measures anything at: what guessing or perfection would give.
    pub(crate) fn reference(&mut self, from: (f64, f64), to: (f64, f64)) {
        let stroke = Role::Dim.attributes("stroke");
        let _ = writeln!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke-width=\"1.2\" stroke-dasharray=\"5 4\" {stroke}/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(crate) fn polyline(&mut self, role: Role, points: impl Iterator<Item = (f64, f64)>) {
        let stroke = role.attributes("stroke");
        let _ = write!(
            self.text,
            "<polyline fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" {stroke} points=\""
        );
        let mut last = String::new();
        for (x, y) in points {
            let point = format!("{x:.1},{y:.1} ");
            if point != last {
                self.text.push_str(&point);
                last = point;
            }
        }
        self.text.push_str("\"/>\n");
    }

    pub(crate) fn dot(&mut self, role: Role, at: (f64, f64), radius: f64) {
        self.dot_with(role, 1.0, at, radius);
    }

    /// A dot that others shine through.
    pub(crate) fn dot_with(&mut self, role: Role, opacity: f64, (x, y): (f64, f64), radius: f64) {
        let fill = role.attributes("fill");
        let _ = writeln!(
            self.text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill-opacity=\"{opacity}\" {fill}/>"
        );
    }

    pub(crate) fn rect(
        &mut self,
        role: Role,
        opacity: f64,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
    ) {
        let fill = role.attributes("fill");
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill-opacity=\"{opacity:.3}\" {fill}/>"
        );
    }

    pub(crate) fn text(
        &mut self,
        x: f64,
        y: f64,
        anchor: Anchor,
        role: Role,
        size: f64,
        text: &str,
    ) {
        self.text_with("", (x, y), anchor, role, size, text);
    }

    /// Text that reads upwards.
    pub(crate) fn text_upwards(
        &mut self,
        x: f64,
        y: f64,
        anchor: Anchor,
        role: Role,
        size: f64,
        text: &str,
    ) {
        let turned = format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"");
        self.text_with(&turned, (x, y), anchor, role, size, text);
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn text_with(
        &mut self,
        extra: &str,
        (x, y): (f64, f64),
        anchor: Anchor,
        role: Role,
        size: f64,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (fill, text) = (role.attributes("fill"), character_data(text));
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" {fill}{extra}>{text}</text>"
        );
    }
}

/// `name` cut to `max_chars`, with an ellipsis where something is missing.
pub(crate) fn shortened(name: &str, max_chars: usize) -> String {
    if name.chars().count() <= max_chars {
        return name.to_owned();
    }
    name.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect()
}

/// About how wide `text` is, in pixels. A little generous: fonts differ.
pub(crate) fn width_of(text: &str, size: f64) -> f64 {
    let width = |letter: char| match letter {
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        letter if u32::from(letter) >= 0x1100 => 1.05,
        letter if letter.is_uppercase() => 0.72,
        _ => 0.61,
    };
    text.chars().map(width).sum::<f64>() * size
}

/// `text` cut to `max_width` pixels.
pub(crate) fn fitted(text: &str, size: f64, max_width: f64) -> String {
    let width = width_of(text, size);
    if width <= max_width {
        return text.to_owned();
    }
    let n_chars = text.chars().count() as f64;
    shortened(text, (n_chars * max_width / width).floor().max(1.0) as usize)
}

/// Text as XML character data; control characters, which XML forbids, become blanks.
pub(crate) fn character_data(text: &str) -> String {
    let is_forbidden =
        |letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
    escape(&text.replace(is_forbidden, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        let svg = Svg::new("a<b>&\"c\"\u{7}", 10.0, 10.0).finish();
        assert!(svg.contains("<title>a&lt;b&gt;&amp;&quot;c&quot; </title>"), "{svg}");
    }

    #[test]
    fn every_role_has_a_light_and_a_dark_color() {
        let svg = Svg::new("t", 10.0, 10.0).finish();
        for (name, _, dark) in FIXED.iter().chain(&SERIES) {
            assert!(svg.contains(&format!(".{name} {{ fill: {dark} }}")), "{name}");
        }
        assert_eq!(Role::Series(7).colors(), Role::Series(1).colors());
    }

    #[test]
    fn long_names_are_cut_by_characters() {
        assert_eq!(shortened("très long nom", 6), "très …");
        assert_eq!(shortened("short", 5), "short");
    }
}
