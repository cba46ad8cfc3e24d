//! A picture as a file: SVG, PNG or a page of HTML, as the name ends.

use std::path::Path;

use super::Chart;
use crate::{
    error::{Error, Result},
    output::Plot,
    store::write_atomically,
};

/// The width of a saved PNG in pixels: twice that of the picture on a page, for sharp screens.
const PNG_WIDTH: u32 = 1200;

impl Chart {
    /// Draws the chart into a file whose name ends in `.svg`, `.png` or `.html`.
    ///
    /// # Errors
    /// Another ending, or a file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.draw().save(path)
    }
}

impl Plot {
    /// Writes the picture into a file whose name ends in `.svg`, `.png` or `.html`.
    ///
    /// # Errors
    /// Another ending, or a file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let bytes = match ending.to_ascii_lowercase().as_str() {
            "svg" => self.svg.clone().into_bytes(),
            "png" => self.png(PNG_WIDTH)?,
            "html" | "htm" => self.page().into_bytes(),
            _ => {
                return Err(Error::invalid(format!(
                    "{path:?}: a plot cannot be saved in this format"
                ))
                .with_hint("end the name in .svg, .png or .html"));
            }
        };
        write_atomically(path, &bytes)
    }

    /// A page of HTML that needs nothing else.
    fn page(&self) -> String {
        let title = super::svg::character_data(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>body {{ margin: 2rem; }} svg {{ max-width: 100%; height: auto; }}</style>\n\
             {}</html>\n",
            self.svg
        )
    }

    /// The picture as a PNG of this width in pixels, in light colours.
    ///
    /// # Errors
    /// A width of 0 or beyond 10,000 pixels, or a build without the feature `png`.
    #[cfg(feature = "png")]
    pub fn png(&self, width: u32) -> Result<Vec<u8>> {
        png(&self.svg, width).map_err(|error| error.with_context(format!("plot {:?}", self.title)))
    }

    /// Only the feature `png` brings what draws pixels.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "png"))]
    pub fn png(&self, _width: u32) -> Result<Vec<u8>> {
        Err(Error::invalid("this build of the library draws no PNG").with_hint(
            crate::hint::Hint::from("save it as .svg or .html, or use ")
                .run("plot … --save FILE.png"),
        ))
    }
}

/// The SVG document `svg` as a PNG of this width in pixels, in light colours.
///
/// # Errors
/// A width of 0 or beyond 10,000 pixels, or a text that is no SVG.
#[cfg(feature = "png")]
pub fn png(svg: &str, width: u32) -> Result<Vec<u8>> {
    use std::sync::{Arc, OnceLock};

    use resvg::{tiny_skia, usvg};

    use crate::error::ErrorKind;

    /// Reading the system's fonts takes a while and is done once.
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();

    if !(1..=10_000).contains(&width) {
        return Err(Error::invalid(format!("a PNG of {width} pixels in width"))
            .with_hint("choose 1 to 10,000"));
    }
    let fail = |what: String| Error::new(ErrorKind::Internal, format!("cannot be drawn: {what}"));
    let fonts = FONTS.get_or_init(|| {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_system_fonts();
        // The picture asks for the system's own font, which only a desktop can name.
        let family = ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial", "Helvetica"]
            .into_iter()
            .find(|family| {
                let families = &[usvg::fontdb::Family::Name(family)];
                let query = usvg::fontdb::Query { families, ..Default::default() };
                fonts.query(&query).is_some()
            })
            .map(str::to_owned)
            .or_else(|| fonts.faces().next().map(|face| face.families[0].0.clone()));
        if let Some(family) = family {
            fonts.set_sans_serif_family(family);
        }
        Arc::new(fonts)
    });
    let options = usvg::Options { fontdb: Arc::clone(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(&without_style(svg), &options)
        .map_err(|source| fail("it is not an SVG".to_owned()).with_source(source))?;
    let scale = width as f32 / tree.size().width();
    let height = (tree.size().height() * scale).round().max(1.0) as u32;
    let mut pixels = tiny_skia::Pixmap::new(width, height)
        .ok_or_else(|| fail(format!("{width} by {height} pixels")))?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|source| fail("no PNG".to_owned()).with_source(source))
}

/// `svg` in its light colours alone: what would make it dark on dark pages is not known to what
/// draws pixels, and would be complained of.
#[cfg(feature = "png")]
fn without_style(svg: &str) -> String {
    match (svg.split_once("<style>"), svg.split_once("</style>")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, plot::Series};

    fn chart() -> Chart {
        Chart::lines(vec![Series::new("y", vec![(0.0, 0.0), (1.0, 2.0)])]).title("a <title>")
    }

    #[test]
    fn the_ending_of_the_name_decides_the_form() {
        let folder = tempfile::tempdir().unwrap();
        let saved = |name: &str| {
            chart().save(folder.path().join(name)).unwrap();
            std::fs::read(folder.path().join(name)).unwrap()
        };
        assert!(saved("a.svg").starts_with(b"<svg "));
        let page = String::from_utf8(saved("a.HTML")).unwrap();
        assert!(
            page.contains("<title>a &lt;title&gt;</title>") && page.contains("<svg "),
            "{page}"
        );
        assert!(!page.contains("<script"), "{page}");
        let error = chart().save(folder.path().join("a.gif")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.hint().is_some_and(|hint| hint.to_string().contains(".png")));
    }

    #[cfg(feature = "png")]
    #[test]
    fn a_png_has_the_width_that_was_asked_for() {
        let png = chart().draw().png(640).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..20], 640_u32.to_be_bytes());
        assert!(chart().draw().png(0).is_err());
    }
}
