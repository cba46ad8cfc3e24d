//! The integration tests, one binary: linking polars once is enough.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour; // behaviour tests, by hand and by the gate
mod checkpoints; // Hugging Face checkpoints as they come
mod cli; // the program as a script sees it
mod compat; // evcxr's commands, :dep, startup files
mod data; // sources, errors, the store's layout, SQL
mod device; // trainings on the device of another process
mod drift_statistics; // statistics of drift against SciPy, Evidently and NannyML
mod errors; // what a version gets wrong and why
mod evaluate; // metrics and curves against scikit-learn
mod feedback; // true labels: taken, kept, measured, made a dataset
mod gate; // gate, promotion and rollback on a real registry
mod gate_policy; // evidence, reports and policies, by the program
mod house; // which rooms and files use each other, and what types are called
mod kernel; // Jupyter's messages, as a front end sends and sees them
mod learning_curve; // what more training data would bring
mod model; // the baseline from texts to saved files
mod monitor_drift; // drift, from a version's profile to an alert
mod neural; // the neural nets, their checkpoints and continued trainings
mod onnx; // versions as ONNX, out and in
mod pipeline; // the Kubeflow pipeline, run here step by step
mod plot; // pictures of datasets, answers and runs
mod predict_file; // every row of a file into another one
mod prelude; // building and finding what cells are compiled against
mod quantize; // versions in 8 bits beside those that they are made of
mod registry; // the tracking store, with crashes and damage
mod serve; // the HTTP server, asked directly and over real sockets
mod shell; // cells from pipes, files and a person at a terminal
mod slices; // slices of a split, two versions beside each other, floors for slices
mod sweep; // settings compared on the same folds, stopped and continued
mod sweep_compile; // sweeps as Katib and Kubeflow run them
mod threshold; // thresholds and calibration, kept with versions and followed everywhere
mod watch; // models trained again by a rule, and the demo of what comes after a release
