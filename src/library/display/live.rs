//! Things shown that change afterwards: an update in place, and a cell's output cleared.

use std::borrow::Cow;

use serde_json::json;

use super::{Content, Show, send};

/// The form by which what follows is given a name. Only trialbook's own front ends know it.
pub const ID_MIME: &str = "application/x-trialbook-id+json";
/// The form that stands for "forget what the cell has shown so far".
pub const CLEAR_MIME: &str = "application/x-trialbook-clear+json";

/// Something shown that can be updated in its place, from this cell or a later one.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::display::{Content, Live};
/// let live = Live::new(&Content::text("epoch 1 of 3"));
/// live.update(&format!("epoch {} of 3", 2));
/// Live::new(&5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    id: String,
}

/// A value that can be shown live: all that shows itself, and plain values such as texts and
/// numbers as `Display` has them.
pub trait LiveValue {
    /// The value as it is shown.
    fn live_content(&self) -> Content;
}

impl<T: Show + ?Sized> LiveValue for T {
    fn live_content(&self) -> Content {
        self.content()
    }
}

macro_rules! plain {
    ($($name:ty),*) => {
        $(impl LiveValue for $name {
            fn live_content(&self) -> Content {
                Content::text(self.to_string())
            }
        })*
    };
}

plain!(str, &str, String, &String, Cow<'_, str>, char, bool);
plain!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64);

impl Live {
    /// Shows `value`.
    pub fn new(value: &(impl LiveValue + ?Sized)) -> Self {
        let live = Self { id: uuid::Uuid::new_v4().to_string() };
        live.send(value, false);
        live
    }

    /// Shows `value` in place of what is shown.
    pub fn update(&self, value: &(impl LiveValue + ?Sized)) {
        self.send(value, true);
    }

    fn send(&self, value: &(impl LiveValue + ?Sized), update: bool) {
        send(&Content::default().with(ID_MIME, json!({"id": self.id, "update": update})));
        send(&value.live_content());
    }
}

/// Forgets what the cell has shown so far; with `wait` only when the next thing is shown, which does
/// not flicker.
pub fn clear_output(wait: bool) {
    send(&Content::default().with(CLEAR_MIME, json!({"wait": wait})));
}
