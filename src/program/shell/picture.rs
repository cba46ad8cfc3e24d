//! Pictures in a terminal that can show them: a PNG within an escape sequence.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use trialbook::{display::Content, plot::png};

use super::terminal::Pictures;

/// As wide as a picture is drawn, in pixels.
const WIDTH: u32 = 900;

/// The escape sequence that shows the picture of `content`; `None` when it has none.
pub(super) fn picture(how: Pictures, content: &Content) -> Option<String> {
    let data = |mime: &str| content.data.get(mime).and_then(Value::as_str);
    let png = match data("image/png") {
        Some(png) => png.replace('\n', ""),
        // What cannot be drawn is still there as text.
        None => BASE64_STANDARD.encode(png(data("image/svg+xml")?, WIDTH).ok()?),
    };
    Some(sequence(how, &png))
}

/// The sequence for a PNG, given in Base64.
fn sequence(how: Pictures, png: &str) -> String {
    match how {
        Pictures::Iterm => {
            format!("\u{1b}]1337;File=inline=1;preserveAspectRatio=1:{png}\u{7}\n")
        }
        Pictures::Kitty => {
            // One sequence holds at most 4096 characters; `m=1` says that more come.
            let mut text = String::new();
            let n_chunks = png.len().div_ceil(4096);
            for (idx, chunk) in png.as_bytes().chunks(4096).enumerate() {
                let begin = if idx == 0 { "a=T,f=100," } else { "" };
                let more = u8::from(idx + 1 < n_chunks);
                let chunk = String::from_utf8_lossy(chunk);
                text.push_str(&format!("\u{1b}_G{begin}m={more};{chunk}\u{1b}\\"));
            }
            text.push('\n');
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_cut_into_the_pieces_that_kitty_takes() {
        let text = sequence(Pictures::Kitty, &"A".repeat(5000));
        assert!(text.starts_with("\u{1b}_Ga=T,f=100,m=1;AAAA"), "{text:?}");
        assert!(text.contains("\u{1b}\\\u{1b}_Gm=0;AAAA"), "{text:?}");
    }

    #[test]
    fn a_drawing_becomes_a_png_and_a_text_stays_text() {
        let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>"#;
        let drawing = Content::text("a sketch").with("image/svg+xml", svg);
        let shown = picture(Pictures::Iterm, &drawing).unwrap();
        let sent = shown.trim_end().trim_end_matches('\u{7}').rsplit(':').next().unwrap();
        assert_eq!(BASE64_STANDARD.decode(sent).unwrap(), png(svg, WIDTH).unwrap(), "{shown:?}");
        assert!(picture(Pictures::Iterm, &Content::text("a text")).is_none());
        let broken = Content::text("a text").with("image/svg+xml", "<svg");
        assert!(picture(Pictures::Iterm, &broken).is_none());
    }
}
