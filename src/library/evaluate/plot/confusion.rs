//! The confusion matrix as a picture: a row is a true class, the shade the share of the row.

use serde_json::{Value, json};

use crate::{
    evaluate::ConfusionMatrix,
    figure,
    output::{Align, Plot, Table},
    plot::{
        svg::{Anchor, Role, Svg, fitted, shortened, width_of},
        vega_lite,
    },
};

/// Below this side length, in pixels, column names stand upright and cells hold no percentages.
const MIN_SIDE_FOR_NAMES: f64 = 56.0;
/// The least side length of a cell, in pixels, in which its number can be read.
const MIN_SIDE: f64 = 34.0;
/// The same where there are so many classes that shades must do.
const MIN_SIDE_OF_SHADES: f64 = 14.0;
/// The most classes whose cells hold numbers.
const MAX_NUMBERED: usize = 40;
/// The most letters of a class name.
const MAX_NAME: usize = 24;
const NAME_SIZE: f64 = 12.0;
/// Room at the right for the scale of shades.
const SCALE: f64 = 92.0;

/// The picture of `confusion`.
pub fn confusion_plot(confusion: &ConfusionMatrix) -> Plot {
    let title = format!("Confusion matrix, {} examples", figure::count(confusion.n_examples()));
    let table = table(confusion, &title);
    Plot::new(&title, svg(confusion, &title), vega(confusion, &title), move |width| {
        table.to_text(width)
    })
}

fn vega(confusion: &ConfusionMatrix, title: &str) -> Value {
    let classes = confusion.classes();
    let mut cells = Vec::new();
    for (row_idx, row) in confusion.counts().iter().enumerate() {
        let support = confusion.support(row_idx).max(1);
        for (column_idx, &count) in row.iter().enumerate() {
            cells.push(json!({
                "true": classes[row_idx],
                "predicted": classes[column_idx],
                "examples": count,
                "share": count as f64 / support as f64,
            }));
        }
    }
    let class_axis = |field: &str| json!({"field": field, "type": "nominal", "sort": classes});
    let mut layers = vec![json!({
        "mark": {"type": "rect", "tooltip": true},
        "encoding": {"color": {
            "field": "share", "type": "quantitative", "title": "share of the true class",
            "scale": {"domain": [0, 1], "range": ["#eff6ff", Role::Cell.light()]},
        }},
    })];
    if classes.len() <= MAX_NUMBERED {
        layers.push(json!({
            "mark": "text",
            "encoding": {
                "text": {"field": "examples", "type": "quantitative", "format": ","},
                "color": {
                    "condition": {"test": "datum.share > 0.6", "value": Role::OnCell.light()},
                    "value": Role::Ink.light(),
                },
            },
        }));
    }
    let mut x = class_axis("predicted");
    x["axis"] = json!({"orient": "top", "labelAngle": if classes.len() > 6 { -45 } else { 0 }});
    let body = json!({
        "data": {"values": cells},
        "encoding": {"x": x, "y": class_axis("true")},
        "layer": layers,
    });
    // As wide as the numbers need.
    let extent =
        if classes.len() <= MAX_NUMBERED { classes.len() * 30 } else { classes.len() * 10 };
    let extent = extent.max(340);
    vega_lite(title, None, (extent, extent), body)
}

fn svg(confusion: &ConfusionMatrix, title: &str) -> String {
    let n_classes = confusion.n_classes();
    let is_numbered = n_classes <= MAX_NUMBERED;
    let least = if is_numbered { MIN_SIDE } else { MIN_SIDE_OF_SHADES };
    let side = (420.0 / n_classes.max(1) as f64).clamp(least, 130.0);
    let extent = side * n_classes as f64;
    let is_narrow = side < MIN_SIDE_FOR_NAMES;
    let name_size = NAME_SIZE.min(side - 2.0);
    let names: Vec<String> =
        confusion.classes().iter().map(|class| shortened(class, MAX_NAME)).collect();
    let widest = names.iter().map(|name| width_of(name, name_size)).fold(40.0, f64::max);
    let left = 44.0 + widest;
    let top = if is_narrow { 68.0 + widest } else { 76.0 };
    let width = (left + extent + SCALE).max(left + 260.0);
    let mut svg = Svg::new(title, width, top + extent.max(120.0) + 24.0);
    svg.text(left + extent / 2.0, 48.0, Anchor::Middle, Role::Dim, 13.0, "predicted");
    svg.text_upwards(18.0, top + extent / 2.0, Anchor::Middle, Role::Dim, 13.0, "true");
    draw_scale(&mut svg, (left + extent + 20.0, top));

    for (class_idx, name) in names.iter().enumerate() {
        let middle = (class_idx as f64 + 0.5) * side;
        let (x, y) = (left + middle, top - 8.0);
        if is_narrow {
            svg.text_upwards(x + 4.0, y, Anchor::Start, Role::Ink, name_size, name);
        } else {
            let name = fitted(name, name_size, side - 4.0);
            svg.text(x, y, Anchor::Middle, Role::Ink, name_size, &name);
        }
        svg.text(left - 8.0, top + middle + 4.0, Anchor::End, Role::Ink, name_size, name);
    }
    for (row_idx, row) in confusion.counts().iter().enumerate() {
        let support = confusion.support(row_idx);
        for (column_idx, &count) in row.iter().enumerate() {
            let share = if support == 0 { 0.0 } else { count as f64 / support as f64 };
            let corner = (left + column_idx as f64 * side, top + row_idx as f64 * side);
            svg.rect(
                Role::Cell,
                opacity(share),
                (corner.0 + 1.0, corner.1 + 1.0),
                (side - 2.0, side - 2.0),
            );
            // Where cells are small, zeros would hide the numbers that matter.
            if !is_numbered || (is_narrow && count == 0) {
                continue;
            }
            let role = if share > 0.72 { Role::OnCell } else { Role::Ink };
            let (x, y) = (corner.0 + side / 2.0, corner.1 + side / 2.0);
            let count = figure::count(count);
            // A digit is about 0.6 of the font size wide.
            let fitting = (side - 6.0) / (0.62 * count.len() as f64);
            let size =
                fitting.min(side / if is_narrow { 3.0 } else { 5.0 }).clamp(7.0, 22.0).round();
            if !is_narrow {
                svg.text(x, y, Anchor::Middle, role, size, &count);
                let percent = format!("{:.1} %", 100.0 * share);
                svg.text(x, y + size.max(14.0) + 1.0, Anchor::Middle, role, 12.0, &percent);
            } else {
                svg.text(x, y + size / 3.0, Anchor::Middle, role, size, &count);
            }
        }
    }
    svg.finish()
}

/// The opacity of a cell that holds this share of its row.
fn opacity(share: f64) -> f64 {
    0.05 + 0.9 * share
}

/// The scale of the shades, from all of a row down to none of it.
fn draw_scale(svg: &mut Svg, (x, y): (f64, f64)) {
    const STEPS: [f64; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];
    const STEP: f64 = 20.0;
    svg.text(x, y - 8.0, Anchor::Start, Role::Dim, 11.0, "share of row");
    for (idx, share) in STEPS.into_iter().enumerate() {
        let top = y + idx as f64 * STEP;
        svg.rect(Role::Cell, opacity(share), (x, top), (14.0, STEP));
        let label = format!("{:.0} %", 100.0 * share);
        svg.text(x + 20.0, top + 14.0, Anchor::Start, Role::Dim, 11.0, &label);
    }
}

/// The matrix in plain text; with many classes one row a class, which says what its examples were taken
/// for. Nothing is left out but zeros.
fn table(confusion: &ConfusionMatrix, title: &str) -> Table {
    const MAX_SIDE_BY_SIDE: usize = 5;
    if confusion.n_classes() > MAX_SIDE_BY_SIDE {
        return one_row_a_class(confusion, title);
    }
    let heads: Vec<String> =
        confusion.classes().iter().map(|class| format!("predicted {class}")).collect();
    let columns = heads.iter().map(|head| (head.as_str(), Align::Right));
    let mut table = Table::new([("true", Align::Left)].into_iter().chain(columns))
        .with_title(title)
        .continued();
    for (class, row) in confusion.classes().iter().zip(confusion.counts()) {
        table.push([class.clone()].into_iter().chain(row.iter().copied().map(figure::count)));
    }
    table
}

fn one_row_a_class(confusion: &ConfusionMatrix, title: &str) -> Table {
    let mut table = Table::new([
        ("true", Align::Left),
        ("examples", Align::Right),
        ("right", Align::Right),
        ("predicted instead", Align::Left),
    ])
    .with_title(title);
    let classes = confusion.classes();
    for (class_idx, row) in confusion.counts().iter().enumerate() {
        let mut wrong: Vec<(usize, usize)> = row.iter().copied().enumerate().collect();
        wrong.retain(|(other_idx, count)| *other_idx != class_idx && *count > 0);
        wrong.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let wrong: Vec<String> = wrong
            .into_iter()
            .map(|(other_idx, count)| format!("{} {}", classes[other_idx], figure::count(count)))
            .collect();
        table.push([
            classes[class_idx].clone(),
            figure::count(confusion.support(class_idx)),
            figure::count(row[class_idx]),
            if wrong.is_empty() { "-".to_owned() } else { wrong.join(", ") },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(counts: &[(u32, u32)], classes: &[&str]) -> Plot {
        let (labels, predicted): (Vec<u32>, Vec<u32>) = counts.iter().copied().unzip();
        let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
        confusion_plot(&ConfusionMatrix::count(&labels, &predicted, &classes).unwrap())
    }

    #[test]
    fn counts_and_row_shares_are_written_in_the_cells() {
        let plot = plot(&[(0, 0), (0, 0), (0, 1), (1, 1)], &["neg", "pos"]);
        assert_eq!(plot.title, "Confusion matrix, 4 examples");
        for expected in [">2<", ">66.7 %<", ">33.3 %<", ">100.0 %<", ">predicted<", ">true<"] {
            assert!(plot.svg.contains(expected), "{expected}");
        }
        let expected = "Confusion matrix, 4 examples\ntrue  predicted neg  predicted pos\n\
                        ──────────────────────────────────\nneg               2              1\n\
                        pos               0              1";
        assert_eq!(plot.text(None), expected);
        assert_eq!(plot.vega_lite["data"]["values"][1]["examples"], 1);
    }

    #[test]
    fn twenty_classes_have_names_numbers_and_a_scale() {
        let names: Vec<String> =
            (0..20).map(|idx| format!("comp.sys.ibm.hardware.{idx}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plot = plot(&[(7, 7), (7, 7), (7, 3)], &names);
        for expected in [">2<", ">1<", ">comp.sys.ibm.hardware.19<", ">100 %<", ">share of row<"] {
            assert!(plot.svg.contains(expected), "{expected}");
        }
        assert_eq!(plot.vega_lite["layer"].as_array().map(Vec::len), Some(2), "numbers too");
        // In a terminal every class has a row, and every confusion is said.
        let sketch = plot.text(Some(80));
        assert!(names.iter().all(|name| sketch.contains(name)), "{sketch}");
        assert!(sketch.lines().all(|line| line.chars().count() <= 80), "{sketch}");
        assert!(sketch.contains("comp.sys.ibm.hardware.3 1"), "{sketch}");
    }

    #[test]
    fn a_hundred_classes_are_shades_without_numbers() {
        let names: Vec<String> = (0..100).map(|idx| format!("class {idx}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plot = plot(&[(7, 7)], &names);
        assert_eq!(plot.svg.matches("<rect").count(), 1 + 10_000 + 5);
        assert!(!plot.svg.contains(">1<"), "no numbers");
    }
}
