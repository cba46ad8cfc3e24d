//! The web interface: pages of the store's runs, models, data, predictions and audit trail, made on the
//! server, with one small script where a page has to live. It decides nothing: what a promotion needs is
//! the gate's business, what a run holds the registry's.
//!
//! Each page has its file; `routes` knows their paths, `answer` the forms an answer can have.

mod analysis;
mod answer;
mod artifact;
mod asset;
mod audit;
mod changed;
mod chart;
mod column;
mod compare;
mod data;
mod deletion;
mod drift;
mod edit;
mod entry;
mod events;
mod experiment_edit;
mod experiments;
mod failure;
mod history;
mod labelling;
mod logged;
mod markdown;
mod models;
mod nested;
mod parallel;
mod part;
mod performance;
mod predictions;
mod query;
mod release;
mod roc;
mod routes;
mod run;
mod runs;
mod runs_table;
mod runs_tools;
mod shell;
mod stages;
mod told;
mod version;

pub(super) use routes::{Refused, access, refuse, router, show_key};
