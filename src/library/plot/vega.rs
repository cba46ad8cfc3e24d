//! A chart as a Vega-Lite 5 specification that carries its data, for front ends that draw it
//! themselves: Jupyter does, and lets people hover and export.

use serde_json::{Map, Value, json};

use super::{
    chart::{Chart, MAX_SERIES},
    marks::{Axis, Bin, Marks, Series, is_drawable},
};

/// Okabe and Ito's colours, each with a contrast of at least 3 to 1 both on white and on the dark
/// grey (#333333) that Vega's dark theme lays behind a picture.
const MARKS: [&str; 6] = ["#3690c2", "#d8680f", "#009b71", "#bc6f9a", "#a78200", "#888888"];

/// The specification of `chart`.
pub(super) fn chart(chart: &Chart) -> Value {
    let mut layers = Vec::new();
    if let Some((_, bins)) = &chart.backdrop {
        // Layers share an axis, whose title would name each layer that calls it differently.
        let mark = json!({"type": "bar", "color": "#d1d5db"});
        layers.push(columns(bins, (&chart.x, &chart.y), mark));
    }
    if let Some([from, to]) = chart.reference {
        layers.push(json!({
            "data": {"values": [{"x": from.0, "y": from.1}, {"x": to.0, "y": to.1}]},
            "mark": {"type": "line", "strokeDash": [5, 4], "color": MARKS[5], "strokeWidth": 1},
            "encoding": {"x": axis("x", &chart.x), "y": axis("y", &chart.y)},
        }));
    }
    match &chart.marks {
        Marks::Columns(bins) => {
            let mark = json!({"type": "bar", "color": color(0)});
            layers.push(columns(bins, (&chart.x, &chart.y), mark));
        }
        Marks::Bars { names, series } => layers.push(bars(chart, names, series)),
        Marks::Lines(series) => {
            let side = |is_right: bool| -> Vec<&Series> {
                let series = series.iter().enumerate();
                series.filter(|(idx, _)| chart.is_right(*idx) == is_right).map(|x| x.1).collect()
            };
            let mark = || json!({"type": "line", "point": true});
            layers.push(points(chart, &side(false), &chart.y, mark()));
            if let Some((axis, _)) = &chart.right {
                layers.push(points(chart, &side(true), axis, mark()));
            }
        }
        Marks::Points(series) => {
            let series: Vec<&Series> = series.iter().collect();
            let mark = json!({"type": "circle", "opacity": 0.6});
            layers.push(points(chart, &series, &chart.y, mark));
        }
    }
    let mut body = match layers.len() {
        1 => layers.remove(0),
        _ => json!({"layer": layers}),
    };
    if chart.right.is_some() {
        body["resolve"] = json!({"scale": {"y": "independent"}});
    }
    let size = if chart.is_square { (340, 340) } else { (500, 290) };
    spec(&chart.title, chart.remark().as_deref(), size, body)
}

/// A whole specification around `body`. It names neither the background nor the ink: a front end in
/// dark colours sets both, and one of them alone would be light on light. The colours of the marks
/// are readable on both.
pub(crate) fn spec(
    title: &str,
    note: Option<&str>,
    (width, height): (usize, usize),
    body: Value,
) -> Value {
    let mut title = json!({"text": title});
    if let Some(note) = note {
        title["subtitle"] = note.into();
    }
    let mut spec = json!({
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "width": width,
        "height": height,
    });
    if let (Value::Object(spec), Value::Object(body)) = (&mut spec, body) {
        spec.extend(body);
    }
    spec
}

fn color(idx: usize) -> &'static str {
    MARKS[idx % MARKS.len()]
}

fn axis(field: &str, axis: &Axis) -> Value {
    let kind = if axis.is_time { "temporal" } else { "quantitative" };
    let mut encoding = json!({"field": field, "type": kind, "title": axis.name});
    let mut scale = Map::new();
    match axis.domain {
        Some((from, to)) => scale.insert("domain".to_owned(), json!([from, to])),
        None => scale.insert("zero".to_owned(), Value::from(false)),
    };
    encoding["scale"] = scale.into();
    if axis.is_whole {
        encoding["axis"] = whole();
    }
    encoding
}

/// Counts have no decimals.
fn whole() -> Value {
    json!({"tickMinStep": 1, "format": ",d"})
}

fn columns(bins: &[Bin], (x, y): (&Axis, &Axis), mark: Value) -> Value {
    let values: Vec<Value> = bins
        .iter()
        .map(|bin| json!({"from": bin.lower, "to": bin.upper, "height": bin.height}))
        .collect();
    let mut from = axis("from", x);
    from["bin"] = json!({"binned": true});
    json!({
        "data": {"values": values},
        "mark": with_tooltip(mark),
        "encoding": {
            "x": from,
            "x2": {"field": "to"},
            "y": heights("height", y),
        },
    })
}

/// A vertical axis that begins at 0.
fn heights(field: &str, axis: &Axis) -> Value {
    let mut encoding = json!({"field": field, "type": "quantitative", "title": axis.name});
    if axis.is_whole {
        encoding["axis"] = whole();
    }
    encoding
}

fn bars(chart: &Chart, names: &[String], series: &[(String, Vec<f64>)]) -> Value {
    let mut values = Vec::new();
    for (name, heights) in series {
        for (label, height) in names.iter().zip(heights).filter(|(_, y)| is_drawable(**y)) {
            values.push(json!({"name": label, "series": name, "value": height}));
        }
    }
    let mut encoding = json!({
        "x": {
            "field": "name", "type": "nominal", "sort": null, "title": chart.x.name,
            "axis": {"labelAngle": if names.len() > 8 { -45 } else { 0 }},
        },
        "y": heights("value", &chart.y),
    });
    if !chart.legend().is_empty() {
        encoding["xOffset"] = json!({"field": "series", "sort": null});
        encoding["color"] = series_color();
    }
    json!({
        "data": {"values": values},
        "mark": with_tooltip(json!({"type": "bar", "color": color(0)})),
        "encoding": encoding,
    })
}

fn points(chart: &Chart, series: &[&Series], y: &Axis, mark: Value) -> Value {
    let mut values = Vec::new();
    let mut is_dotted = true;
    for one in series {
        is_dotted &= one.points.len() <= 30;
        for (x, y) in &one.points {
            // Vega-Lite interrupts a line where a value is null.
            let y = is_drawable(*y).then_some(*y);
            values.push(json!({"x": x, "y": y, "series": one.name}));
        }
    }
    let mut mark = with_tooltip(mark);
    mark["color"] = color(0).into();
    if mark["point"].is_boolean() {
        mark["point"] = is_dotted.into();
    }
    let mut encoding = json!({"x": axis("x", &chart.x), "y": axis("y", y)});
    if !chart.legend().is_empty() {
        encoding["color"] = series_color();
    }
    if mark["type"] == "line" {
        // A curve lies in the order of its points, not in that of x.
        encoding["order"] = Value::Null;
    }
    json!({"data": {"values": values}, "mark": mark, "encoding": encoding})
}

fn with_tooltip(mut mark: Value) -> Value {
    mark["tooltip"] = true.into();
    mark
}

fn series_color() -> Value {
    let range: Vec<&str> = (0..MAX_SERIES).map(color).collect();
    json!({
        "field": "series", "type": "nominal", "sort": null, "title": null,
        "scale": {"range": range}, "legend": {"orient": "top", "labelLimit": 400},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_their_data_and_their_names() {
        let series = vec![
            Series::new("loss", vec![(1.0, 0.7), (2.0, f64::NAN)]),
            Series::new("f1", vec![(1.0, 0.8)]),
        ];
        let spec = Chart::lines(series).title("Training").axes("step", "value").draw().vega_lite;
        assert_eq!(spec["title"]["text"], "Training");
        assert_eq!(spec["mark"]["type"], "line");
        assert_eq!(spec["encoding"]["x"]["title"], "step");
        assert_eq!(spec["encoding"]["color"]["field"], "series");
        let expected = json!([
            {"x": 1.0, "y": 0.7, "series": "loss"},
            {"x": 2.0, "y": null, "series": "loss"},
            {"x": 1.0, "y": 0.8, "series": "f1"},
        ]);
        assert_eq!(spec["data"]["values"], expected);
    }

    /// JupyterLab's dark theme lays #333333 behind a picture and writes in light grey; with a white
    /// background of ours nothing could be read.
    #[test]
    fn a_picture_is_readable_on_light_and_on_dark_pages() {
        let luminance = |color: &str| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.039_28 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        // The contrast ratio of WCAG 2.2.
        let contrast = |a: &str, b: &str| {
            let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
            a.max(b) / a.min(b)
        };
        for mark in MARKS {
            for page in ["#ffffff", "#333333"] {
                assert!(contrast(mark, page) >= 3.0, "{mark} on {page}");
            }
        }
        let spec = Chart::histogram("n", &[Some(1.0)]).draw().vega_lite;
        assert!(spec.get("background").is_none() && spec.get("config").is_none(), "{spec}");
        assert_eq!(spec["encoding"]["y"]["axis"]["format"], ",d");
    }

    #[test]
    fn what_lies_behind_becomes_a_layer_of_its_own() {
        let bins = vec![Bin { lower: 0.0, upper: 0.1, height: 0.5 }];
        let spec = Chart::lines(vec![Series::new("", vec![(0.0, 0.0)])])
            .of_shares()
            .with_reference((0.0, 0.0), (1.0, 1.0))
            .with_backdrop("share of examples", bins)
            .draw()
            .vega_lite;
        assert_eq!(spec["layer"].as_array().map(Vec::len), Some(3));
        assert_eq!(spec["layer"][0]["data"]["values"][0]["to"], 0.1);
        assert_eq!(spec["title"]["subtitle"], "columns: share of examples");
        assert_eq!(spec["layer"][2]["encoding"]["x"]["scale"]["domain"], json!([0.0, 1.0]));
    }
}
