//! Behaviour tests of a classifier, after CheckList (Ribeiro et al. 2020): texts made of templates, and
//! what has to come of them. A file says the tests, a model is asked, a report counts; where files lie
//! and what follows from a report is not known here.

mod report;
mod run;
mod sentiment;
mod suite;
mod template;

pub use report::{BehaviourAnswer, BehaviourFailure, BehaviourReport, BehaviourResult};
pub use run::run_behaviour;
pub use suite::{
    BehaviourCase, BehaviourExpectation, BehaviourKind, BehaviourSuite, BehaviourTest,
};
