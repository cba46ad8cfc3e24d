//! The lifecycle as a Kubeflow pipeline: which command of this program each step calls, and the
//! spec that Kubeflow Pipelines reads. It runs nothing and knows no cluster.

mod spec;
mod step;
mod yaml;

pub(crate) use spec::PipelineSpec;
