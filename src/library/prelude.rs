//! The names that a script or a notebook brings into scope with one line: `use
//! trialbook::prelude::*;`.

pub use polars::prelude::*;

pub use crate::{
    book::{Book, TrainRequest, Trained},
    data::Explore,
    display::{Content, Live, Show, clear_output},
    error::{Error, ErrorKind},
    evaluate::Evaluation,
    gate::{Policy, Verdict},
    model::{Classifier, Fit, TfidfConfig},
    plot::{Chart, plot},
    progress::Monitor,
    registry::{ModelVersion, Run, RunQuery, Stage},
    text::Vectorizer,
};
