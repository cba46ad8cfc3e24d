//! What clients of a server keep in a store: every record of it comes back, also out of the fixture that
//! schema 4 wrote; a deleted one goes with `store gc` and its files with it.

use std::{collections::BTreeMap, path::Path};

use trialbook::{
    ErrorKind,
    registry::{
        ArtifactOwner, DatasetRecord, Folder, Lifecycle, LoggedMetric, Metric, ModelStatus,
        NewExperiment, NewLoggedModel, NewRegistration, NewRun, Page, Query, Registration,
        Registry, RunBatch, RunQuery, RunStatus, RunUpdate, restore,
    },
    store::Store,
};

use super::Fixture;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Writes the fixture of the present schema: see `formats`, with the job `tracked`.
pub(crate) fn write_fixture(file: &Path) {
    let f = Fixture::new();
    let registry = f.registry.acting_as("ci");
    let made = registry
        .create_experiment(NewExperiment {
            name: "clients".into(),
            artifact_location: Some("s3://bucket/clients".into()),
            tags: map(&[("team", "mail")]),
        })
        .unwrap();
    let new = NewRun {
        experiment_id: made.experiment_id.clone(),
        name: Some("theirs".into()),
        user: "ada".into(),
        ..NewRun::default()
    };
    let run = registry.create_tracked_run(new).unwrap().run_id;
    let model = registry
        .create_logged_model(NewLoggedModel {
            experiment_id: made.experiment_id,
            name: Some("net".into()),
            model_type: Some("Classifier".into()),
            source_run_id: Some(run.clone()),
            params: map(&[("depth", "2")]),
            tags: map(&[("t", "1")]),
        })
        .unwrap()
        .model_id;
    let dataset = DatasetRecord {
        name: "reviews".into(),
        digest: "d1".into(),
        source_type: "local".into(),
        source: "{}".into(),
        schema: Some("{}".into()),
        profile: None,
    };
    let context = map(&[("mlflow.data.context", "test")]);
    registry.log_inputs(&run, &[(dataset, context)], std::slice::from_ref(&model)).unwrap();
    registry.log_outputs(&run, &[(model.clone(), 3)]).unwrap();
    let metric = Metric { key: "f1".into(), value: f64::INFINITY, step: 3, timestamp_ms: 5 };
    let measured = LoggedMetric {
        key: "f1".into(),
        value: f64::INFINITY,
        step: 3,
        timestamp_ms: 5,
        run_id: run.clone(),
        dataset: Some(("reviews".into(), "d1".into())),
    };
    let batch = RunBatch { metrics: vec![metric], ..RunBatch::default() };
    registry
        .log_measured(&run, &batch, &BTreeMap::from([(model.clone(), vec![measured])]))
        .unwrap();
    registry.set_model_status(&model, ModelStatus::Ready).unwrap();
    put(&registry, ArtifactOwner::Model(model.clone()), "code/x.py", b"x = 1");
    let scheduled = RunUpdate { status: Some(RunStatus::Scheduled), ..RunUpdate::default() };
    registry.update_run(&run, scheduled).unwrap();
    registry.create_described_model("Clients", "theirs", &map(&[("k", "v")])).unwrap();
    registry
        .register(NewRegistration {
            model: "Clients".into(),
            run_id: run,
            files: registry.owned_artifacts(&ArtifactOwner::Model(model.clone())).unwrap(),
            tags: map(&[("a", "b")]),
            registration: Registration {
                source: format!("models:/{model}"),
                model_id: Some(model),
                run_link: Some("http://elsewhere".into()),
                description: "one".into(),
                user: "ada".into(),
                updated_ms: 0,
            },
            ..NewRegistration::default()
        })
        .unwrap();
    registry.backup(file).unwrap();
}

fn put(registry: &Registry, owner: ArtifactOwner, path: &str, bytes: &[u8]) {
    let mut upload = registry.begin_upload(owner, path).unwrap();
    upload.write(bytes).unwrap();
    registry.finish_upload(upload).unwrap();
}

#[test]
fn what_clients_kept_in_schema_4_is_read_whole() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tracked_v4.tar"));
}

#[test]
fn what_clients_keep_now_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    write_fixture(&file);
    check(&file);
}

fn check(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    restore(&store, file).unwrap();
    let registry = Registry::open(&store).unwrap();

    let experiment = registry.named_experiment("clients").unwrap().unwrap();
    assert_eq!(experiment.artifact_location.as_deref(), Some("s3://bucket/clients"));
    assert_eq!((experiment.tags["team"].as_str(), experiment.deleted), ("mail", false));
    let run = registry.run("theirs").unwrap();
    assert_eq!((run.status, run.user.as_str(), run.who()), (RunStatus::Scheduled, "ada", "ada"));
    assert_eq!((run.metrics["f1"], run.measured_at[0].step), (f64::INFINITY, 3));
    let (model_id, step) = run.flow.model_outputs[0].clone();
    assert_eq!((step, &run.flow.model_inputs), (3, &vec![model_id.clone()]));
    assert_eq!(run.flow.datasets[0].tags["mlflow.data.context"], "test");
    let datasets = registry.datasets_of(&[(&run.experiment_id, &run.flow)]).unwrap();
    assert_eq!((datasets[0][0].source_type.as_str(), &datasets[0][0].profile), ("local", &None));
    let model = registry.logged_model(&model_id).unwrap();
    assert_eq!((model.name.as_str(), model.status), ("net", ModelStatus::Ready));
    assert_eq!((model.params["depth"].as_str(), model.tags["t"].as_str()), ("2", "1"));
    assert_eq!(model.metrics[0].value, f64::INFINITY);
    assert_eq!(model.metrics[0].dataset, Some(("reviews".into(), "d1".into())));
    let owner = ArtifactOwner::Model(model_id.clone());
    let artifact = registry.owned_artifact(&owner, "code/x.py").unwrap();
    assert_eq!(registry.read_artifact(&artifact).unwrap(), b"x = 1");
    let registered = registry.model("Clients").unwrap();
    assert_eq!((registered.description.as_str(), registered.tags["k"].as_str()), ("theirs", "v"));
    let version = registry.version("Clients", 1).unwrap();
    let said = version.registration.clone().unwrap();
    assert_eq!((said.description.as_str(), said.user.as_str()), ("one", "ada"));
    assert_eq!(said.model_id.as_deref(), Some(model_id.as_str()));
    assert_eq!(version.lineage.test_fingerprint, "mlflow:reviews:d1");
    assert_eq!(version.metrics["f1"], f64::INFINITY);
    assert!(version.is_from_outside());

    let found = |filter: &str| {
        let query = RunQuery { filter: Some(filter.to_owned()), ..RunQuery::default() };
        registry.search_runs(&query).unwrap().len()
    };
    assert_eq!(found("dataset.name = 'reviews' and user_id = 'ada' and status = 'SCHEDULED'"), 1);
    assert_eq!(found("artifact_uri LIKE 's3://bucket/%'"), 1);
    assert_eq!(found("dataset.context = 'training'"), 0);
    let events = registry.audit(&Default::default()).unwrap();
    assert!(events.iter().any(|event| event.action.as_str() == "register" && event.who == "ci"));
    assert!(registry.verify().unwrap().is_valid());

    // A deleted model goes, its files stay as long as a version names them.
    registry.delete_logged_model(&model_id).unwrap();
    assert_eq!(registry.logged_model(&model_id).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.gc(false).unwrap().n_artifacts, 0);
    registry.delete_model("Clients", None).unwrap();
    assert_eq!(registry.gc(false).unwrap().n_artifacts, 1);
    assert!(registry.verify().unwrap().is_valid());
}

#[test]
fn a_deleted_experiment_takes_its_runs_along_and_brings_them_back() {
    let f = Fixture::new();
    let registry = &f.registry;
    let id =
        registry.create_experiment(NewExperiment { name: "e".into(), ..NewExperiment::default() });
    let id = id.unwrap().experiment_id;
    let new = || NewRun { experiment_id: id.clone(), ..NewRun::default() };
    let run = registry.create_run(new()).unwrap().run_id;
    registry.set_experiment_deleted(&id, true).unwrap();
    assert!(registry.run_by_id(&run).unwrap().deleted);
    for refused in [
        registry.create_run(new()).map(drop),
        registry.experiment("e").map(drop),
        registry.rename_experiment(&id, "f"),
        registry.set_experiment_deleted(&id, true),
        registry
            .create_experiment(NewExperiment { name: "e".into(), ..NewExperiment::default() })
            .map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
    let page = Page { limit: 10, ..Page::default() };
    let named = |lifecycle| {
        let query = Query { filter: Some("name = 'e'".into()), ..Query::default() };
        registry.search_experiments(&query, lifecycle, &page).unwrap().items.len()
    };
    assert_eq!(
        (named(Lifecycle::Live), named(Lifecycle::Deleted), named(Lifecycle::Any)),
        (0, 1, 1)
    );
    registry.set_experiment_deleted(&id, false).unwrap();
    assert!(!registry.run_by_id(&run).unwrap().deleted);
}

#[test]
fn an_upload_that_ends_early_leaves_nothing() {
    let f = Fixture::new();
    let run = f.run("one").run_id;
    let owner = ArtifactOwner::Run(run.clone());
    let mut upload = f.registry.begin_upload(owner.clone(), "half.bin").unwrap();
    upload.write(&[7; 100_000]).unwrap();
    drop(upload);
    assert!(f.registry.artifacts(&run).unwrap().is_empty());
    assert!(f.registry.verify().unwrap().orphaned.is_empty());
    put(&f.registry, owner.clone(), "a/b", b"1");
    assert_eq!(
        f.registry.begin_upload(owner.clone(), "a").unwrap_err().kind(),
        ErrorKind::Conflict
    );
    for climbing in ["../x", "/x", "a/../b", ""] {
        let refused = f.registry.begin_upload(owner.clone(), climbing).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{climbing:?}");
    }
    let files = f.registry.owned_artifacts(&owner).unwrap();
    assert!(matches!(Folder::of(&files, "a"), Folder::Entries(entries) if entries.len() == 1));
    f.registry.delete_run(&run).unwrap();
    assert_eq!(f.registry.begin_upload(owner, "late").unwrap_err().kind(), ErrorKind::Conflict);
}
