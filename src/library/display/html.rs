//! Tables and pictures as HTML: escaped, and readable on light and dark pages. Notebooks from others
//! are cleaned of styles and inline SVG before they are shown, so nothing depends on either: sides
//! are set cell by cell and pictures are images.

use std::fmt::Write as _;

use crate::{markup::escape, output::WeighedText};

/// The colours are JupyterLab's own where it names them; elsewhere the page's ink at different
/// strengths, which fits whatever it lies on.
const STYLE: &str = "<style scoped>\
.tb-table{border-collapse:collapse;font-variant-numeric:tabular-nums;\
color:var(--jp-ui-font-color1,inherit);font-size:13px;margin:4px 0 8px}\
.tb-table caption{text-align:left;caption-side:top;padding:2px 0 4px;font-weight:600}\
.tb-table th,.tb-table td{padding:3px 10px;vertical-align:top;border:0;\
max-width:36em;white-space:pre-wrap;overflow-wrap:anywhere}\
.tb-table th{border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,.6));\
vertical-align:bottom;font-weight:600;white-space:nowrap}\
.tb-table th small{font-weight:400;opacity:.7}\
.tb-table .tb-n{white-space:nowrap}\
.tb-table .tb-null{opacity:.5}\
.tb-table tbody tr:nth-child(even){background:rgba(128,128,128,.08)}\
.tb-table tbody tr:hover{background:rgba(128,128,128,.18)}\
.tb-note{opacity:.75;font-size:12px;margin:-4px 0 8px}\
</style>";

/// The head of a column.
pub(super) struct ColumnHead<'a> {
    pub(super) text: &'a str,
    /// Markup below the name.
    pub(super) detail: String,
    pub(super) is_number: bool,
}

/// A table of finished text.
pub(super) fn table(
    title: Option<&str>,
    heads: Vec<ColumnHead<'_>>,
    rows: &[Vec<String>],
) -> String {
    let body = |body: &mut String| {
        for row in rows {
            body.push_str("<tr>");
            for (cell, head) in row.iter().zip(&heads) {
                push_cell(body, &escape(cell), "", head.is_number);
            }
            body.push_str("</tr>\n");
        }
    };
    let mut rows = String::new();
    body(&mut rows);
    table_of(title, &heads, &rows)
}

/// A table around rows that are markup already.
pub(super) fn table_of(title: Option<&str>, heads: &[ColumnHead<'_>], rows: &str) -> String {
    let mut table = format!("{STYLE}<table class=\"tb-table\">");
    if let Some(title) = title {
        let _ = write!(table, "<caption>{}</caption>", escape(title));
    }
    table.push_str("<thead><tr>");
    for head in heads {
        let side = side(head.is_number);
        let _ = write!(table, "<th{side}>{}{}</th>", escape(head.text), head.detail);
    }
    let _ = write!(table, "</tr></thead>\n<tbody>\n{rows}</tbody></table>");
    table
}

/// One cell; `markup` and `attributes` are markup already.
pub(super) fn push_cell(row: &mut String, markup: &str, attributes: &str, is_number: bool) {
    let side = side(is_number);
    let _ = write!(row, "<td{side}{attributes}>{markup}</td>");
}

fn side(is_number: bool) -> &'static str {
    match is_number {
        true => " class=\"tb-n\" style=\"text-align:right\"",
        false => " style=\"text-align:left\"",
    }
}

/// A text with its words on blue where they speak for something and on orange where against it: colours
/// that are told apart by those who see no red or green, and so thin that the page's ink stays readable
/// on light and on dark pages.
pub(super) fn weighed(text: &WeighedText) -> String {
    let mut body = String::new();
    for (piece, strength) in text.pieces() {
        let piece = escape(piece);
        let _ = match strength == 0.0 {
            true => write!(body, "{piece}"),
            false => write!(body, "<span style=\"{}\">{piece}</span>", ground(strength)),
        };
    }
    format!(
        "<div style=\"white-space:pre-wrap;line-height:1.7\">{body}</div>\n\
         <div style=\"font-size:12px\"><span style=\"{}\">for {}</span> \
         <span style=\"{}\">against it</span></div>",
        ground(0.5),
        escape(text.towards()),
        ground(-0.5)
    )
}

/// The colour behind a word.
fn ground(strength: f64) -> String {
    let colour = if strength > 0.0 { "38,139,210" } else { "225,110,20" };
    let alpha = 0.1 + 0.45 * strength.abs().min(1.0);
    format!("background-color:rgba({colour},{alpha:.2})")
}

/// An SVG document as an image; `title` is what is said of it.
pub(super) fn image(svg: &str, title: &str) -> String {
    let mut data = String::with_capacity(svg.len() * 3 / 2);
    for letter in svg.chars() {
        match letter {
            '%' | '#' | '<' | '>' | '"' | '\n' => {
                let _ = write!(data, "%{:02X}", u32::from(letter));
            }
            letter => data.push(letter),
        }
    }
    let title = escape(title);
    format!("<img alt=\"{title}\" title=\"{title}\" src=\"data:image/svg+xml,{}\">", escape(&data))
}
