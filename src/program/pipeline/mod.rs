//! The lifecycle as a Kubeflow pipeline: which command of this program each step calls, and the
//! spec that Kubeflow Pipelines reads; and sweeps as Kubeflow and Katib run them. It runs nothing and knows no cluster.

mod experiment;
mod plan;
mod spec;
mod step;
mod sweep_loop;
mod watching;
mod yaml;

pub(crate) use experiment::KatibExperiment;
pub(crate) use plan::{PlanParameter, SweepPlan};
pub(crate) use spec::PipelineSpec;
pub(crate) use sweep_loop::sweep_pipeline;
pub(crate) use watching::{STEP as WATCH_STEP, watch_pipeline};
