//! A chart as a Vega-Lite 5 specification that carries its data, for front ends that draw it
//! themselves: Jupyter does, and lets people hover and export.

use serde_json::{Map, Value, json};

use super::{
    chart::{Axis, Bin, Chart, MAX_SERIES, Marks, Series, is_drawable},
    svg::Role,
};

/// The specification of `chart`.
pub(super) fn chart(chart: &Chart) -> Value {
    let mut layers = Vec::new();
    if let Some((_, bins)) = &chart.backdrop {
        // Layers share an axis, whose title would name each layer that calls it differently.
        let mark = json!({"type": "bar", "color": "#d1d5db"});
        layers.push(columns(bins, (&chart.x, &chart.y.name), mark));
    }
    if let Some([from, to]) = chart.reference {
        layers.push(json!({
            "data": {"values": [{"x": from.0, "y": from.1}, {"x": to.0, "y": to.1}]},
            "mark": {"type": "line", "strokeDash": [5, 4], "color": "#6b7280", "strokeWidth": 1},
            "encoding": {"x": axis("x", &chart.x), "y": axis("y", &chart.y)},
        }));
    }
    layers.push(match &chart.marks {
        Marks::Columns(bins) => {
            columns(bins, (&chart.x, &chart.y.name), json!({"type": "bar", "color": color(0)}))
        }
        Marks::Bars { names, series } => bars(chart, names, series),
        Marks::Lines(series) => points(chart, series, json!({"type": "line", "point": true})),
        Marks::Points(series) => points(chart, series, json!({"type": "circle", "opacity": 0.6})),
    });
    let body = match layers.len() {
        1 => layers.remove(0),
        _ => json!({"layer": layers}),
    };
    let size = if chart.is_square { (340, 340) } else { (500, 290) };
    spec(&chart.title, chart.remark().as_deref(), size, body)
}

/// A whole specification around `body`, with a light background: a front end in dark colours
/// would otherwise lay the dark ink on its own page.
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
        "background": "white",
        "width": width,
        "height": height,
    });
    if let (Value::Object(spec), Value::Object(body)) = (&mut spec, body) {
        spec.extend(body);
    }
    spec
}

fn color(idx: usize) -> &'static str {
    Role::Series(idx).light()
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
        encoding["axis"] = json!({"tickMinStep": 1});
    }
    encoding
}

fn columns(bins: &[Bin], (x, y_name): (&Axis, &str), mark: Value) -> Value {
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
            "y": {"field": "height", "type": "quantitative", "title": y_name},
        },
    })
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
        "y": {"field": "value", "type": "quantitative", "title": chart.y.name},
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

fn points(chart: &Chart, series: &[Series], mark: Value) -> Value {
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
    let mut encoding = json!({"x": axis("x", &chart.x), "y": axis("y", &chart.y)});
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
