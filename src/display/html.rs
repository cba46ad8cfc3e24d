//! Tables as HTML: escaped, and readable on light and dark pages.

use std::fmt::Write as _;

/// The colours are JupyterLab's own where it names them; elsewhere the page's ink at different
/// strengths, which fits whatever it lies on.
const STYLE: &str = "<style scoped>\
.tb-table{border-collapse:collapse;font-variant-numeric:tabular-nums;\
color:var(--jp-ui-font-color1,inherit);font-size:13px;margin:4px 0 8px}\
.tb-table caption{text-align:left;caption-side:top;padding:2px 0 4px;font-weight:600}\
.tb-table th,.tb-table td{padding:3px 10px;text-align:left;vertical-align:top;border:0;\
max-width:36em;white-space:pre-wrap;overflow-wrap:anywhere}\
.tb-table th{border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,.6));\
vertical-align:bottom;font-weight:600;white-space:nowrap}\
.tb-table th small{display:block;font-weight:400;opacity:.7}\
.tb-table th svg{display:block;margin:2px 0 0 auto}\
.tb-table .tb-n{text-align:right;white-space:nowrap}\
.tb-table .tb-null{opacity:.5;font-style:italic}\
.tb-table tbody tr:nth-child(even){background:rgba(128,128,128,.08)}\
.tb-table tbody tr:hover{background:rgba(128,128,128,.18)}\
.tb-note{opacity:.75;font-size:12px;margin:-4px 0 8px}\
</style>";

/// The head of a column.
pub(super) struct Head<'a> {
    pub(super) text: &'a str,
    /// Markup below the name.
    pub(super) detail: String,
    pub(super) is_number: bool,
}

/// A table of finished text.
pub(super) fn table(title: Option<&str>, heads: Vec<Head<'_>>, rows: &[Vec<String>]) -> String {
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
pub(super) fn table_of(title: Option<&str>, heads: &[Head<'_>], rows: &str) -> String {
    let mut table = format!("{STYLE}<table class=\"tb-table\">");
    if let Some(title) = title {
        let _ = write!(table, "<caption>{}</caption>", escape(title));
    }
    table.push_str("<thead><tr>");
    for head in heads {
        let class = if head.is_number { " class=\"tb-n\"" } else { "" };
        let _ = write!(table, "<th{class}>{}{}</th>", escape(head.text), head.detail);
    }
    let _ = write!(table, "</tr></thead>\n<tbody>\n{rows}</tbody></table>");
    table
}

/// One cell; `markup` and `attributes` are markup already.
pub(super) fn push_cell(row: &mut String, markup: &str, attributes: &str, is_number: bool) {
    let class = if is_number { " class=\"tb-n\"" } else { "" };
    let _ = write!(row, "<td{class}{attributes}>{markup}</td>");
}

/// Text as HTML: as character data and inside a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
