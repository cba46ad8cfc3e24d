//! The confusion matrix as a picture: a row is a true class, the shade the share of the row.

use serde_json::{Value, json};

use crate::{
    evaluate::ConfusionMatrix,
    figure,
    output::{Align, Plot, Table},
    plot::{
        svg::{Anchor, Role, Svg, shortened},
        vega_lite,
    },
};

const LEFT: f64 = 120.0;
const TOP: f64 = 76.0;
/// Below this side length, in pixels, column names stand upright and cells hold no percentages.
const MIN_SIDE_FOR_NAMES: f64 = 56.0;
/// Below this side length, in pixels, a cell has no room for its numbers.
const MIN_SIDE_FOR_TEXT: f64 = 30.0;

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
    if classes.len() <= 12 {
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
    vega_lite(title, None, (340, 340), body)
}

fn svg(confusion: &ConfusionMatrix, title: &str) -> String {
    let n_classes = confusion.n_classes();
    let side = (420.0 / n_classes.max(1) as f64).clamp(22.0, 130.0);
    let extent = side * n_classes as f64;
    let is_narrow = side < MIN_SIDE_FOR_NAMES;
    let top = if is_narrow { TOP + 72.0 } else { TOP };
    let mut svg = Svg::new(title, LEFT + extent.max(260.0) + 24.0, top + extent + 24.0);
    svg.text(LEFT + extent / 2.0, 48.0, Anchor::Middle, Role::Dim, 13.0, "predicted");
    svg.text_upwards(18.0, top + extent / 2.0, Anchor::Middle, Role::Dim, 13.0, "true");

    for (class_idx, class) in confusion.classes().iter().enumerate() {
        let middle = (class_idx as f64 + 0.5) * side;
        let (x, y) = (LEFT + middle, top - 8.0);
        if is_narrow {
            let name = shortened(class, 12);
            svg.text_upwards(x + 4.0, y, Anchor::Start, Role::Ink, 12.0, &name);
        } else {
            // A letter is about 7.5 pixels wide.
            let name = shortened(class, (side / 7.5) as usize);
            svg.text(x, y, Anchor::Middle, Role::Ink, 12.0, &name);
        }
        let name = shortened(class, 12);
        svg.text(LEFT - 8.0, top + middle + 4.0, Anchor::End, Role::Ink, 12.0, &name);
    }
    for (row_idx, row) in confusion.counts().iter().enumerate() {
        let support = confusion.support(row_idx);
        for (column_idx, &count) in row.iter().enumerate() {
            let share = if support == 0 { 0.0 } else { count as f64 / support as f64 };
            let corner = (LEFT + column_idx as f64 * side, top + row_idx as f64 * side);
            svg.rect(
                Role::Cell,
                0.05 + 0.9 * share,
                (corner.0 + 1.0, corner.1 + 1.0),
                (side - 2.0, side - 2.0),
            );
            if side < MIN_SIDE_FOR_TEXT {
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

fn table(confusion: &ConfusionMatrix, title: &str) -> Table {
    let heads: Vec<String> =
        confusion.classes().iter().map(|class| format!("predicted {class}")).collect();
    let columns = heads.iter().map(|head| (head.as_str(), Align::Right));
    let mut table =
        Table::new([("true", Align::Left)].into_iter().chain(columns)).with_title(title);
    for (class, row) in confusion.classes().iter().zip(confusion.counts()) {
        table.push([class.clone()].into_iter().chain(row.iter().copied().map(figure::count)));
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
    fn many_classes_are_shades_without_numbers() {
        let names: Vec<String> = (0..30).map(|idx| format!("class {idx}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plot = plot(&[(7, 7)], &names);
        assert_eq!(plot.svg.matches("<rect").count(), 1 + 900);
        assert!(!plot.svg.contains(">1<"), "no numbers");
    }
}
