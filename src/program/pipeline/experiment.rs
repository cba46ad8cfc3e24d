//! A sweep as Katib's Experiment (`kubeflow.org/v1beta1`): Katib chooses the settings, starts a job for each and reads
//! the metric out of what the job says.
//! <https://www.kubeflow.org/docs/components/katib/user-guides/experiment-config/>

use serde_json::{Value, json};
use trialbook::{book::sweep::space::ValueRange, error::Result, figure::shell_word};

use super::{
    plan::{PlanParameter, SECRET, SweepPlan, TOKEN_ENV},
    spec::{PROGRAM, check_image},
    step::{CLAIM_DEFAULT, MOUNT},
    yaml,
};

/// A line of the table that a cross-validation shows: the metric's name and its mean.
const METRICS_FORMAT: &str = r"^([A-Za-z0-9_]+)\s+([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s";
/// The container whose output Katib reads.
const CONTAINER: &str = "trial";
/// The parameter with the trial's own name.
const TRIAL_NAME: &str = "trial_name";
/// The most trials that may fail.
const MAX_FAILED: usize = 3;

/// A compiled experiment.
#[derive(Debug)]
pub(crate) struct KatibExperiment(pub(crate) Value);

impl KatibExperiment {
    /// The experiment called `name` of a plan that was checked.
    ///
    /// # Errors
    /// When the image cannot be the name of one.
    pub(crate) fn compile(plan: &SweepPlan, name: &str) -> Result<Self> {
        check_image(&plan.image)?;
        let n_trials = plan.settings.len();
        let mut algorithm =
            json!({"algorithmName": if plan.is_random { "random" } else { "grid" }});
        if plan.is_random {
            let seed = json!({"name": "random_state", "value": plan.seed.to_string()});
            algorithm["algorithmSettings"] = json!([seed]);
        }
        let parameters: Vec<Value> =
            plan.parameters.iter().map(|parameter| space(parameter, plan.is_random)).collect();
        let trial_parameters: Vec<Value> = plan
            .parameters
            .iter()
            .map(|parameter| {
                let name = parameter.name();
                json!({"name": name, "description": parameter.flag, "reference": name})
            })
            .chain([json!({"name": TRIAL_NAME, "reference": "${trialSpec.Name}"})])
            .collect();
        Ok(Self(json!({
            "apiVersion": "kubeflow.org/v1beta1",
            "kind": "Experiment",
            "metadata": {"name": name},
            "spec": {
                "objective": {
                    "type": if plan.is_loss { "minimize" } else { "maximize" },
                    "objectiveMetricName": plan.metric,
                    "metricStrategies": [{"name": plan.metric, "value": "latest"}],
                },
                "algorithm": algorithm,
                "parallelTrialCount": plan.n_parallel.min(n_trials),
                "maxTrialCount": n_trials,
                "maxFailedTrialCount": MAX_FAILED.min(n_trials),
                "parameters": parameters,
                "metricsCollectorSpec": {
                    "collector": {"kind": "StdOut"},
                    "source": {"filter": {"metricsFormat": [METRICS_FORMAT]}},
                },
                "trialTemplate": {
                    "primaryContainerName": CONTAINER,
                    "trialParameters": trial_parameters,
                    "trialSpec": job(plan, name),
                },
            },
        })))
    }

    /// The experiment as a file.
    pub(crate) fn to_yaml(&self) -> String {
        yaml::document(&self.0)
    }
}

/// A parameter as Katib draws it: a range where it draws at random, else a list.
fn space(parameter: &PlanParameter, is_random: bool) -> Value {
    let name = parameter.name();
    if let Some(range) = parameter.values.range().filter(|_| is_random) {
        let ValueRange { low, high, is_log, is_whole, .. } = range;
        let mut feasible = json!({"min": low.to_string(), "max": high.to_string()});
        if is_log {
            feasible["distribution"] = "logUniform".into();
        }
        let kind = if is_whole { "int" } else { "double" };
        return json!({"name": name, "parameterType": kind, "feasibleSpace": feasible});
    }
    let points = parameter.values.points();
    let is_number = points.iter().all(|point| point.parse::<f64>().is_ok());
    let kind = if is_number { "discrete" } else { "categorical" };
    json!({"name": name, "parameterType": kind, "feasibleSpace": {"list": points}})
}

/// The job of one trial. Katib joins command and arguments to one line for `sh -c`, so that each word stands as a
/// shell reads it; and Kubernetes takes `$$` for a `$` that starts no variable.
fn job(plan: &SweepPlan, name: &str) -> Value {
    let literal = |word: &str| shell_word(word).replace('$', "$$");
    let filled = |flag: &str, name: &str| format!("'{flag}=${{trialParameters.{name}}}'");
    let place = ["--registry", &plan.registry, "--store", MOUNT].map(literal);
    let words = plan.tagged(name);
    let varied = plan.parameters.iter().map(|parameter| filled(&parameter.flag, &parameter.name()));
    let args: Vec<String> = place
        .into_iter()
        .chain(words.iter().map(|word| literal(word)))
        .chain(varied)
        .chain([filled("--run-name", TRIAL_NAME)])
        .collect();
    let token = json!({"name": SECRET, "key": "token", "optional": true});
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "backoffLimit": 0,
            "template": {
                // A proxy beside it would go on when the training is over.
                "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{
                        "name": CONTAINER,
                        "image": plan.image,
                        "command": [PROGRAM],
                        "args": args,
                        "env": [{"name": TOKEN_ENV, "valueFrom": {"secretKeyRef": token}}],
                        "volumeMounts": [{"name": "store", "mountPath": MOUNT}],
                    }],
                    "volumes": [{
                        "name": "store",
                        "persistentVolumeClaim": {"claimName": CLAIM_DEFAULT},
                    }],
                },
            },
        },
    })
}
