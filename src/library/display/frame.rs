//! Frames, plans and columns: what a notebook shows of polars. However large a frame is, showing it
//! looks at its first rows and at a sample for the histograms, and what it sends stays small.

use std::fmt::Write as _;

use polars::prelude::{Column, DataFrame, DataType, IntoColumn as _, LazyFrame, Series};
use serde_json::{Value, json};

use super::{
    Content, Show,
    html::{self, Head},
};
use crate::{
    data::{Datum, QueryResult, float_cell},
    figure,
    markup::escape,
};

/// The most rows and columns that are shown as HTML.
const MAX_ROWS: usize = 20;
const MAX_COLUMNS: usize = 40;
/// Longer texts are cut; a tooltip shows more of them.
const MAX_CELL_CHARS: usize = 120;
const MAX_TOOLTIP_CHARS: usize = 1_000;
/// The rows that front ends get which explore data themselves: as many as fit, never megabytes.
const MAX_RESOURCE_ROWS: usize = 200;
const MAX_RESOURCE_BYTES: usize = 200_000;
/// A histogram of so many values looks like one of all.
const MAX_SAMPLE: usize = 20_000;
const N_BINS: usize = 16;
/// JupyterLab's and nteract's kind for tables of data.
const DATA_RESOURCE: &str = "application/vnd.dataresource+json";

impl Show for DataFrame {
    fn content(&self) -> Content {
        Content::text(self.to_string())
            .with("text/html", frame_html(self))
            .with(DATA_RESOURCE, data_resource(self))
    }
}

impl Show for LazyFrame {
    fn content(&self) -> Content {
        let plan = match self.describe_plan() {
            Ok(plan) => plan,
            Err(error) => format!("this plan cannot be run: {error}"),
        };
        let page = format!(
            "<div><b>LazyFrame</b>: a plan; <code>.collect()?</code> runs it\
             <pre style=\"white-space:pre-wrap\">{}</pre></div>",
            escape(&plan)
        );
        Content::text(plan).with("text/html", page)
    }
}

impl Show for Series {
    fn content(&self) -> Content {
        let frame = self.clone().into_column().into_frame();
        Content::text(self.to_string()).with("text/html", frame_html(&frame))
    }
}

impl Show for Column {
    fn content(&self) -> Content {
        self.as_materialized_series().content()
    }
}

fn frame_html(frame: &DataFrame) -> String {
    let (n_rows, n_columns) = frame.shape();
    let n_shown = n_columns.min(MAX_COLUMNS);
    let shown = match n_shown == n_columns {
        true => frame.head(Some(MAX_ROWS)),
        false => {
            let names = frame.get_column_names().into_iter().take(n_shown).cloned();
            frame.head(Some(MAX_ROWS)).select(names).unwrap_or_else(|_| frame.head(Some(MAX_ROWS)))
        }
    };
    let heads: Vec<Head<'_>> = frame.columns()[..n_shown].iter().map(head).collect();
    let columns = QueryResult::new(shown).data(MAX_ROWS);
    let mut rows = String::new();
    for row_idx in 0..n_rows.min(MAX_ROWS) {
        rows.push_str("<tr>");
        for ((_, values), head) in columns.iter().zip(&heads) {
            push_value(&mut rows, &values[row_idx], head.is_number);
        }
        rows.push_str("</tr>\n");
    }
    let mut page = format!("<div>{}", html::table_of(None, &heads, &rows));
    let mut notes = Vec::new();
    if n_rows > MAX_ROWS {
        notes.push(format!("… {}", figure::counted(n_rows - MAX_ROWS, "more row")));
    }
    if n_columns > n_shown {
        notes.push(format!("… {} more columns", figure::count(n_columns - n_shown)));
    }
    notes.push(format!(
        "{} × {}",
        figure::counted(n_rows, "row"),
        figure::counted(n_columns, "column")
    ));
    let _ = write!(page, "<div class=\"tb-note\">{}</div></div>", notes.join(" · "));
    page
}

/// A column's name with its type, how much is missing, and how its numbers lie.
fn head(column: &Column) -> Head<'_> {
    let is_number = column.dtype().is_primitive_numeric() || column.dtype().is_decimal();
    let mut detail = format!("<br><small>{}", escape(&column.dtype().to_string()));
    let n_nulls = column.null_count();
    if n_nulls > 0 {
        let _ = write!(detail, " · {} null", figure::count(n_nulls));
    }
    detail.push_str("</small>");
    if is_number && let Some(picture) = histogram(column) {
        let _ = write!(detail, "<br>{picture}");
    }
    Head { text: column.name(), detail, is_number }
}

/// A small picture of how a column's numbers lie, where there are any.
fn histogram(column: &Column) -> Option<String> {
    const WIDTH: usize = 72;
    const HEIGHT: f64 = 20.0;
    let stride = column.len().div_ceil(MAX_SAMPLE).max(1);
    let sample = if stride == 1 {
        column.clone()
    } else {
        column.as_materialized_series().gather_every(stride, 0).ok()?.into_column()
    };
    let numbers = sample.cast(&DataType::Float64).ok()?;
    let numbers: Vec<f64> =
        numbers.f64().ok()?.iter().flatten().filter(|x| x.abs() <= 1e300).collect();
    if numbers.is_empty() {
        return None;
    }
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut counts = [0_usize; N_BINS];
    for number in &numbers {
        let share = if high > low { (number - low) / (high - low) } else { 0.5 };
        counts[((share * N_BINS as f64) as usize).min(N_BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = WIDTH as f64 / N_BINS as f64;
    let mut path = String::new();
    for (idx, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        let height = (count as f64 / most * HEIGHT).max(1.0);
        let (x, y) = (idx as f64 * width, HEIGHT - height);
        let _ = write!(path, "M{x:.1} {HEIGHT}V{y:.1}h{:.1}V{HEIGHT}z", width - 0.6);
    }
    let figure = |value: f64| match value.fract() == 0.0 {
        true => value.to_string(),
        false => float_cell(value),
    };
    let sampled = if stride > 1 { " (of a sample)" } else { "" };
    let title = format!("{} to {}{sampled}", figure(low), figure(high));
    // A grey that stands out on white and on black.
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\
         <path d=\"{path}\" fill=\"#888\"/></svg>"
    );
    Some(html::image(&svg, &title))
}

fn push_value(row: &mut String, value: &Datum, is_number: bool) {
    if *value == Datum::Null {
        return html::push_cell(row, "<i class=\"tb-null\">null</i>", "", is_number);
    }
    let text = value.table_cell();
    if text.chars().count() <= MAX_CELL_CHARS {
        return html::push_cell(row, &escape(&text), "", is_number);
    }
    let cut = |max_chars: usize| -> String { text.chars().take(max_chars).collect() };
    let title = format!(" title=\"{}\"", escape(&cut(MAX_TOOLTIP_CHARS)));
    html::push_cell(row, &(escape(&cut(MAX_CELL_CHARS)) + "…"), &title, is_number);
}

/// The first rows as frictionless data's "tabular data resource".
fn data_resource(frame: &DataFrame) -> Value {
    let fields: Vec<Value> = frame
        .columns()
        .iter()
        .map(|column| json!({"name": column.name().as_str(), "type": field_type(column.dtype())}))
        .collect();
    let mut columns = QueryResult::new(frame.clone()).values(MAX_RESOURCE_ROWS);
    let mut rows = Vec::new();
    let mut n_bytes = 0;
    for row_idx in 0..frame.height().min(MAX_RESOURCE_ROWS) {
        let mut row = serde_json::Map::new();
        for (name, values) in &mut columns {
            let mut value = values[row_idx].take();
            if let Value::String(text) = &mut value
                && let Some((cut, _)) = text.char_indices().nth(MAX_TOOLTIP_CHARS)
            {
                text.truncate(cut);
                text.push('…');
            }
            n_bytes += name.len() + 8 + value.as_str().map_or(16, str::len);
            row.insert(name.clone(), value);
        }
        if n_bytes > MAX_RESOURCE_BYTES {
            break;
        }
        rows.push(Value::Object(row));
    }
    json!({"schema": {"fields": fields}, "data": rows})
}

fn field_type(dtype: &DataType) -> &'static str {
    match dtype {
        DataType::String => "string",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Datetime(..) => "datetime",
        DataType::Time => "time",
        DataType::Duration(_) => "duration",
        DataType::List(_) | DataType::Array(..) => "array",
        DataType::Struct(_) => "object",
        DataType::Categorical(..) | DataType::Enum(..) => "string",
        dtype if dtype.is_integer() => "integer",
        dtype if dtype.is_primitive_numeric() || dtype.is_decimal() => "number",
        _ => "any",
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoLazy as _, NamedFrom as _, col, df};

    use super::*;

    fn html(content: &Content) -> String {
        content.data["text/html"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_frame_has_types_null_counts_histograms_and_escaped_cells() {
        let frame = df!(
            "text<" => ["<br>", "a & b", "c"],
            "n" => [Some(1), None, Some(3)],
            "x" => [f64::NAN, 0.5, f64::INFINITY],
        );
        let content = frame.unwrap().content();
        let html = html(&content);
        for expected in [
            "text&lt;<br><small>str</small>",
            "n<br><small>i32 · 1 null</small><br><img ",
            ">&lt;br&gt;</td>",
            "<i class=\"tb-null\">null</i>",
            " title=\"1 to 3\"",
            " title=\"0.5 to 0.5\"",
            "3 rows × 3 columns",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        assert!(!html.contains("more rows"), "{html}");
        assert!(content.plain().contains("shape: (3, 3)"), "{}", content.plain());
        let resource = &content.data[DATA_RESOURCE];
        assert_eq!(resource["schema"]["fields"][1], json!({"name": "n", "type": "integer"}));
        assert_eq!(resource["data"][1], json!({"text<": "a & b", "n": null, "x": 0.5}));
    }

    #[test]
    fn decimals_and_dates_in_lists_are_shown_as_they_are() {
        let days = [Series::new("".into(), [19_727]), Series::new("".into(), [0])];
        let frame = df!("price" => ["19.99", "-3.50"], "days" => days).unwrap().lazy().select([
            col("price").cast(DataType::Decimal(6, 2)),
            col("days").cast(DataType::List(Box::new(DataType::Date))),
        ]);
        let content = frame.collect().unwrap().content();
        let html = html(&content);
        for expected in [">19.99</td>", ">-3.50</td>", "2024-01-05", " title=\"-3.5 to 19.99\""] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        let resource = &content.data[DATA_RESOURCE];
        assert_eq!(resource["schema"]["fields"][0], json!({"name": "price", "type": "number"}));
        assert_eq!(resource["data"][1], json!({"price": -3.5, "days": ["1970-01-01"]}));
    }

    #[test]
    fn what_is_sent_of_a_large_frame_is_small() {
        let n_rows = 300_000;
        let long = "x".repeat(5_000);
        let frame = df!(
            "n" => (0..n_rows).collect::<Vec<i64>>(),
            "text" => vec![long.as_str(); n_rows as usize],
        )
        .unwrap();
        let content = frame.content();
        let html = html(&content);
        assert_eq!(html.matches("<tr>").count(), 1 + MAX_ROWS);
        assert!(html.contains("… 299,980 more rows · 300,000 rows × 2 columns"), "{html}");
        assert!(html.contains(&format!(" title=\"{}\"", "x".repeat(MAX_TOOLTIP_CHARS))));
        assert!(html.contains("to 299985 (of a sample)"), "{html}");
        let n_bytes: usize = content.data.values().map(|form| form.to_string().len()).sum();
        assert!(n_bytes < 400_000, "{n_bytes} bytes");
    }

    #[test]
    fn a_wide_frame_is_cut_and_says_so() {
        let columns = (0..60).map(|idx| Series::new(format!("c{idx}").into(), [idx]).into_column());
        let frame = DataFrame::new_infer_height(columns.collect()).unwrap();
        let html = html(&frame.content());
        assert_eq!(html.matches("<th ").count(), MAX_COLUMNS);
        assert!(html.contains("… 20 more columns"), "{html}");
    }

    #[test]
    fn empty_frames_are_shown_too() {
        for frame in [DataFrame::empty(), df!("a" => Vec::<i32>::new()).unwrap()] {
            assert!(html(&frame.content()).contains("0 rows × "));
        }
    }

    #[test]
    fn a_plan_and_a_column_show_themselves() {
        let frame = df!("a" => [1, 2]).unwrap();
        let plan = frame.clone().lazy().filter(col("a").gt(1)).content();
        assert!(plan.plain().contains("FILTER"), "{}", plan.plain());
        assert!(html(&plan).contains("&gt; "), "{}", html(&plan));
        let column = frame.column("a").unwrap().content();
        assert!(
            html(&column).contains("a<br><small>i32</small>") && column.plain().contains("Series")
        );
        let missing = frame.lazy().select([col("b")]).content();
        assert!(!missing.plain().is_empty());
    }
}
