//! The look of a value in a notebook and in a terminal: MIME bundles, and the trait by which evcxr
//! and trialbook ask a value for its own. It prints only to hand a bundle to the front end.

mod answer;
mod content;
mod frame;
mod html;
mod live;
mod page;
mod record;
mod show;
#[doc(hidden)]
pub mod value;

pub use content::Content;
pub use live::{Live, LiveValue, clear_output};
#[doc(hidden)]
pub use show::send_text;
pub use show::{Show, send};
pub use value::Format;
pub use {
    crate::markup::escape,
    answer::contents,
    live::{CLEAR_MIME, ID_MIME},
    page::page,
    record::{headline, pairs, runs_table, verdict_word, version_output, versions_table},
};
