//! The trait by which a value shows itself, with evcxr's method name, so that stock evcxr and
//! trialbook both find it; and the lines by which a bundle travels to the front end.

use std::{
    fmt::{Debug, Write as _},
    io::{self, Write as _},
    rc::Rc,
    sync::Arc,
};

use serde_json::Value;

use super::Content;

const BEGIN: &str = "EVCXR_BEGIN_CONTENT";
const END: &str = "EVCXR_END_CONTENT";
/// The beginning of a cell's question, with which nothing that is shown may begin.
const INPUT: &str = "EVCXR_INPUT_REQUEST";

/// A value that looks better than its `Debug`. A cell that ends in one shows it.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::display::{Content, Show};
/// struct Celsius(f64);
/// impl Show for Celsius {
///     fn content(&self) -> Content {
///         Content::text(format!("{} °C", self.0)).with("text/html", format!("<b>{}</b> °C", self.0))
///     }
/// }
/// assert_eq!(Celsius(21.5).content().plain(), "21.5 °C");
/// ```
pub trait Show {
    /// The value in every form it has; `text/plain` is always one of them.
    fn content(&self) -> Content;

    /// Several of them together: below each other, unless the type knows better.
    fn list_content(items: &[Self]) -> Content
    where
        Self: Sized,
    {
        let contents: Vec<Content> = items.iter().map(Show::content).collect();
        Content::stacked(&contents)
    }

    /// Hands the bundle to the front end, on standard output.
    fn evcxr_display(&self) {
        send(&self.content());
    }
}

impl Show for Content {
    fn content(&self) -> Content {
        self.clone()
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn content(&self) -> Content {
        (**self).content()
    }
}

impl<T: Show + ?Sized> Show for Box<T> {
    fn content(&self) -> Content {
        (**self).content()
    }
}

impl<T: Show + ?Sized> Show for Rc<T> {
    fn content(&self) -> Content {
        (**self).content()
    }
}

impl<T: Show + ?Sized> Show for Arc<T> {
    fn content(&self) -> Content {
        (**self).content()
    }
}

impl<T: Show> Show for [T] {
    fn content(&self) -> Content {
        T::list_content(self)
    }
}

impl<T: Show, const N: usize> Show for [T; N] {
    fn content(&self) -> Content {
        T::list_content(self)
    }
}

impl<T: Show> Show for Vec<T> {
    fn content(&self) -> Content {
        T::list_content(self)
    }
}

impl<T: Show> Show for Option<T> {
    fn content(&self) -> Content {
        self.as_ref().map_or_else(|| Content::text("None"), Show::content)
    }
}

impl<T: Show, E: Debug> Show for Result<T, E> {
    fn content(&self) -> Content {
        match self {
            Ok(value) => value.content(),
            Err(error) => Content::text(format!("Err({error:?})")),
        }
    }
}

/// Writes `content` to standard output for the front end that started this process. When nobody
/// reads any more there is nobody to tell.
pub fn send(content: &Content) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(blocks(content).as_bytes()).and_then(|()| stdout.flush());
}

/// Hands text to the front end. What is generic here would be compiled again by every cell.
#[doc(hidden)]
pub fn send_text(text: String) {
    send(&Content::text(text));
}

/// `content` as evcxr's blocks, plain text first: where a kind comes again, another bundle begins.
pub(crate) fn blocks(content: &Content) -> String {
    let mut blocks = String::new();
    let plain = content.data.get_key_value("text/plain");
    let others = content.data.iter().filter(|(mime, _)| *mime != "text/plain");
    for (mime, data) in plain.into_iter().chain(others) {
        let _ = writeln!(blocks, "{BEGIN} {mime}");
        match data {
            Value::String(text) => push_text(&mut blocks, text),
            json => blocks.push_str(&json.to_string()),
        }
        let _ = writeln!(blocks, "\n{END}");
    }
    blocks
}

/// A line of `text` that looks like the end of the block, or like the beginning of another one, is
/// moved out of the way by a blank.
fn push_text(blocks: &mut String, text: &str) {
    for (line_idx, line) in text.split('\n').enumerate() {
        if line_idx > 0 {
            blocks.push('\n');
        }
        if line.trim_end() == END || line.starts_with(BEGIN) || line.starts_with(INPUT) {
            blocks.push(' ');
        }
        blocks.push_str(line);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Dot(u8);

    impl Show for Dot {
        fn content(&self) -> Content {
            Content::text(format!("dot {}", self.0)).with("text/html", "<i>.</i>")
        }
    }

    #[test]
    fn every_form_is_one_block_and_plain_text_comes_first() {
        let content = Content::default()
            .with("text/html", "<b>1</b>\n<b>2</b>")
            .with("application/json", json!({"a": [1]}))
            .with("text/plain", "1\n2");
        let expected = "EVCXR_BEGIN_CONTENT text/plain\n1\n2\nEVCXR_END_CONTENT\n\
                        EVCXR_BEGIN_CONTENT text/html\n<b>1</b>\n<b>2</b>\nEVCXR_END_CONTENT\n\
                        EVCXR_BEGIN_CONTENT application/json\n{\"a\":[1]}\nEVCXR_END_CONTENT\n";
        assert_eq!(blocks(&content), expected);
    }

    #[test]
    fn text_cannot_end_its_own_block() {
        let content = Content::text("a\nEVCXR_END_CONTENT\nb");
        let expected =
            "EVCXR_BEGIN_CONTENT text/plain\na\n EVCXR_END_CONTENT\nb\nEVCXR_END_CONTENT\n";
        assert_eq!(blocks(&content), expected);
    }

    #[test]
    fn wrappers_and_lists_show_what_they_hold() {
        for (content, expected) in [
            (Show::content(&&Dot(1)), "dot 1"),
            (Box::new(Dot(1)).content(), "dot 1"),
            (Arc::new(Dot(1)).content(), "dot 1"),
            (Some(Dot(1)).content(), "dot 1"),
            (None::<Dot>.content(), "None"),
            (Ok::<_, String>(Dot(1)).content(), "dot 1"),
            (Err::<Dot, _>("no").content(), "Err(\"no\")"),
            (vec![Dot(1), Dot(2)].content(), "dot 1\ndot 2"),
            ([Dot(1)].content(), "dot 1"),
            (Vec::<Dot>::new().content(), "[]"),
        ] {
            assert_eq!(content.plain(), expected);
        }
        let html = &vec![Dot(1), Dot(2)].content().data["text/html"];
        assert_eq!(html, "<i>.</i>\n<i>.</i>");
    }
}
