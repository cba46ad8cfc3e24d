//! Tables, plots and whole answers of commands as notebooks show them.

use super::{Content, Show, html};
use crate::{
    output::{Align, Block, Output, Plot, Table, WeighedText},
    plot::Chart,
};

/// The kind that JupyterLab draws with its own Vega.
const VEGA_LITE: &str = "application/vnd.vegalite.v5+json";

impl Show for Plot {
    fn content(&self) -> Content {
        Content::text(self.text(None))
            .with(VEGA_LITE, self.vega_lite.clone())
            .with("image/svg+xml", self.svg.clone())
    }
}

impl Show for Chart {
    fn content(&self) -> Content {
        self.draw().content()
    }
}

impl Show for Table {
    fn content(&self) -> Content {
        let heads = self.columns().iter().map(|(head, align)| html::ColumnHead {
            text: head,
            detail: String::new(),
            is_number: *align == Align::Right,
        });
        let table = html::table(self.title(), heads.collect(), self.rows());
        Content::text(self.to_text(None)).with("text/html", table)
    }
}

impl Show for WeighedText {
    fn content(&self) -> Content {
        Content::text(self.to_plain()).with("text/html", html::weighed(self))
    }
}

impl Show for Output {
    fn content(&self) -> Content {
        Content::stacked(&contents(self, None))
    }
}

/// The content of each part of `output`: a picture by itself, text and tables between pictures
/// together. Plain tables are no wider than `width` columns where they can be wrapped. A `width` is that
/// of a terminal, for which texts that weigh are coloured; one without colours takes them out.
pub fn contents(output: &Output, width: Option<u16>) -> Vec<Content> {
    let mut contents = Vec::new();
    let mut together: Vec<Content> = Vec::new();
    for block in output.blocks() {
        match block {
            Block::Text(text) => together.push(Content::text(text.clone())),
            Block::Hint(hint) => together.push(Content::text(hint.to_string())),
            Block::Table(table) => {
                together.push(table.content().with("text/plain", table.to_text(width)))
            }
            Block::Weighed(text) => together.push(match width {
                Some(_) => text.content().with("text/plain", text.to_coloured()),
                None => text.content(),
            }),
            Block::Plot(plot) => {
                if !together.is_empty() {
                    contents.push(Content::stacked(&std::mem::take(&mut together)));
                }
                contents.push(plot.content());
            }
        }
    }
    if !together.is_empty() {
        contents.push(Content::stacked(&together));
    }
    contents
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plot::Series;

    fn output() -> Output {
        let mut table = Table::new([("name", Align::Left), ("rows", Align::Right)]);
        table.push(["<imdb>", "25,000"]);
        let chart = Chart::lines(vec![Series::new("y", vec![(0.0, 1.0)])]).title("curve");
        Output::new(json!({"a": 1}))
            .text("before <b>")
            .table(table)
            .plot(chart.draw())
            .text("after")
    }

    #[test]
    fn a_plot_is_text_picture_and_specification() {
        let parts = contents(&output(), None);
        let kinds: Vec<Vec<&String>> =
            parts.iter().map(|part| part.data.keys().collect()).collect();
        assert_eq!(kinds[0], ["text/plain", "text/html"]);
        assert_eq!(kinds[1], ["text/plain", VEGA_LITE, "image/svg+xml"]);
        assert_eq!(kinds[2], ["text/plain"]);
        assert_eq!(parts[1].data[VEGA_LITE]["title"]["text"], "curve");
    }

    #[test]
    fn a_text_that_weighs_is_coloured_in_its_own_way_by_each_front_end() {
        let pieces = vec![("<good>".to_owned(), 2.0), (" dull".to_owned(), -1.0)];
        let output = Output::new(()).weighed(WeighedText::new("<pos>", pieces));
        let in_page = contents(&output, None).remove(0);
        assert_eq!(in_page.plain(), "<good> dull");
        let html = in_page.data["text/html"].as_str().unwrap();
        assert!(
            html.contains(">&lt;good&gt;</span>") && html.contains("for &lt;pos&gt;"),
            "{html}"
        );
        assert!(!html.contains("<good>"), "{html}");
        let in_terminal = contents(&output, Some(80)).remove(0);
        assert!(in_terminal.plain().starts_with("\u{1b}[1;32m<good>"), "{}", in_terminal.plain());
    }

    #[test]
    fn an_answer_is_one_page_in_which_nothing_is_markup_by_accident() {
        let content = output().content();
        let html = content.data["text/html"].as_str().unwrap();
        for expected in
            ["before &lt;b&gt;", "&lt;imdb&gt;", "<img alt=\"curve\"", "<pre>after</pre>"]
        {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        assert!(content.plain().starts_with("before <b>\nname"), "{}", content.plain());
    }
}
