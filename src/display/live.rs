//! Things shown that change afterwards: an update in place, and a cell's output cleared.

use serde_json::json;

use super::{Content, Show, send};

/// The form by which what follows is given a name. Only trialbook's own front ends know it.
pub(crate) const ID_MIME: &str = "application/x-trialbook-id+json";
/// The form that stands for "forget what the cell has shown so far".
pub(crate) const CLEAR_MIME: &str = "application/x-trialbook-clear+json";

/// Something shown that can be updated in its place, from this cell or a later one.
///
/// ```
/// use trialbook::display::{Content, Live};
/// let live = Live::new(&Content::text("epoch 1 of 3"));
/// live.update(&Content::text("epoch 2 of 3"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    id: String,
}

impl Live {
    /// Shows `value`.
    pub fn new(value: &(impl Show + ?Sized)) -> Self {
        let live = Self { id: uuid::Uuid::new_v4().to_string() };
        live.send(value, false);
        live
    }

    /// Shows `value` in place of what is shown.
    pub fn update(&self, value: &(impl Show + ?Sized)) {
        self.send(value, true);
    }

    fn send(&self, value: &(impl Show + ?Sized), update: bool) {
        send(&Content::default().with(ID_MIME, json!({"id": self.id, "update": update})));
        value.evcxr_display();
    }
}

/// Forgets what the cell has shown so far; with `wait` only when the next thing is shown, which does
/// not flicker.
pub fn clear_output(wait: bool) {
    send(&Content::default().with(CLEAR_MIME, json!({"wait": wait})));
}
