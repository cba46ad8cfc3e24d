//! A note in Markdown as markup. What the note writes as HTML is shown as the text it is, and a link leads
//! only to the web or to a place of this server.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// `note` as markup.
pub(super) fn markdown(note: &str) -> Markup {
    let mut out = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut links = Vec::new();
    for event in Parser::new_ext(note, options) {
        match event {
            Event::Start(tag) => start(&mut out, &mut links, tag),
            Event::End(tag) => end(&mut out, &mut links, tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                out.push_str(&escape(&text));
            }
            Event::Code(code) => {
                out.push_str("<code>");
                out.push_str(&escape(&code));
                out.push_str("</code>");
            }
            Event::SoftBreak => out.push('\n'),
            Event::HardBreak => out.push_str("<br>"),
            Event::Rule => out.push_str("<hr>"),
            _ => {}
        }
    }
    html! { div.note { (PreEscaped(out)) } }
}

/// Text as it stands in markup.
fn escape(text: &str) -> String {
    html! { (text) }.into_string()
}

/// True if a link may lead to `url`: others, such as `javascript:`, run code.
fn is_plain(url: &str) -> bool {
    let lower = url.trim().to_ascii_lowercase();
    ["http://", "https://", "mailto:", "#"].iter().any(|start| lower.starts_with(start))
        || (lower.starts_with('/') && !lower.starts_with("//"))
}

fn start(out: &mut String, links: &mut Vec<bool>, tag: Tag<'_>) {
    match tag {
        Tag::Link { dest_url, .. } => {
            let leads = is_plain(&dest_url);
            if leads {
                out.push_str("<a rel=\"noreferrer nofollow\" href=\"");
                out.push_str(&escape(&dest_url));
                out.push_str("\">");
            }
            links.push(leads);
        }
        // Pictures of other servers would tell them who reads; the text stands for them.
        Tag::Image { .. } => out.push_str("<em>"),
        Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
            out.push_str("<pre tabindex=\"0\"><code>");
        }
        Tag::List(Some(first)) => out.push_str(&format!("<ol start=\"{first}\">")),
        tag => {
            if let Some(name) = name(&tag.to_end()) {
                out.push_str(&format!("<{name}>"));
            }
        }
    }
}

fn end(out: &mut String, links: &mut Vec<bool>, tag: TagEnd) {
    match tag {
        TagEnd::Link => {
            if links.pop() == Some(true) {
                out.push_str("</a>");
            }
        }
        TagEnd::Image => out.push_str("</em>"),
        TagEnd::CodeBlock => out.push_str("</code></pre>"),
        tag => {
            if let Some(name) = name(&tag) {
                out.push_str(&format!("</{name}>"));
            }
        }
    }
}

fn name(tag: &TagEnd) -> Option<&'static str> {
    Some(match tag {
        TagEnd::Paragraph => "p",
        // The page's own headings are above them.
        TagEnd::Heading(HeadingLevel::H1 | HeadingLevel::H2) => "h3",
        TagEnd::Heading(HeadingLevel::H3) => "h4",
        TagEnd::Heading(_) => "h5",
        TagEnd::BlockQuote(_) => "blockquote",
        TagEnd::List(true) => "ol",
        TagEnd::List(false) => "ul",
        TagEnd::Item => "li",
        TagEnd::Emphasis => "em",
        TagEnd::Strong => "strong",
        TagEnd::Strikethrough => "del",
        TagEnd::Table => "table",
        TagEnd::TableHead | TagEnd::TableRow => "tr",
        TagEnd::TableCell => "td",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_markup_and_never_what_it_writes_as_html() {
        for (note, expected) in [
            (
                "# A\n\n*b* **c** `d<e>`",
                "<h3>A</h3><p><em>b</em> <strong>c</strong> <code>d&lt;e&gt;</code></p>",
            ),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a <img src=x onerror=alert(1)>", "<p>a &lt;img src=x onerror=alert(1)&gt;</p>"),
            ("[x](javascript:alert(1))", "<p>x</p>"),
            ("[x](JAVASCRIPT:alert(1)) [y](//evil.test)", "<p>x y</p>"),
            ("[x](/ui/runs)", "<p><a rel=\"noreferrer nofollow\" href=\"/ui/runs\">x</a></p>"),
            ("![alt](http://evil.test/x.png)", "<p><em>alt</em></p>"),
            ("2. a\n3. b", "<ol start=\"2\"><li>a</li><li>b</li></ol>"),
            (
                "[x](http://a.test/\"onclick=\"b)",
                "<p><a rel=\"noreferrer nofollow\" href=\"http://a.test/&quot;onclick=&quot;b\">x</a></p>",
            ),
        ] {
            let found = markdown(note).into_string();
            assert_eq!(found, format!("<div class=\"note\">{expected}</div>"), "{note}");
        }
    }
}
