//! The answer of a command as one page of HTML that needs nothing else: its pictures are in it.

use super::{Content, answer::contents};
use crate::{markup::escape, output::Output};

/// The page, called `title`.
pub fn page(title: &str, output: &Output) -> String {
    let title = escape(title);
    let parts: Vec<String> = contents(output, None).iter().map(Content::html).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font-family: sans-serif; \
         color: #1a1a1a; background: #fff; }} pre {{ font: inherit; white-space: pre-wrap; }} \
         img {{ max-width: 100%; height: auto; }}</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{}\n</body>\n</html>\n",
        parts.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Chart;

    #[test]
    fn a_page_has_its_pictures_in_it_and_runs_nothing() {
        let bars = Chart::bars(vec!["a".to_owned()], vec![("n".to_owned(), vec![1.0])]);
        let output = Output::new(()).text("<script>").plot(bars.title("t").draw());
        let page = page("<b>", &output);
        assert!(page.contains("src=\"data:image/svg+xml,"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    }
}
