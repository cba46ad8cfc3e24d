//! Stores of MLflow's taken over and written: what is damaged, foreign or out of bounds is told, and
//! nothing of it is written in part.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
};

use trialbook::{
    ErrorKind,
    exchange::{ExchangeReport, ImportOptions, StorePlace, export, import},
    progress::Monitor,
    registry::{AuditAction, AuditQuery, Metric, NewRun, Registry, RunBatch, RunStatus, Stage},
    store::Store,
};

use super::Fixture;

const RUN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A file store with one experiment and one run, as MLflow 2.x wrote them.
fn small_store(root: &Path) {
    write(
        &root.join("0/meta.yaml"),
        "artifact_location: file:///gone/0\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n",
    );
    small_run(root, RUN);
}

fn small_run(root: &Path, run_id: &str) {
    let run = root.join("0").join(run_id);
    write(
        &run.join("meta.yaml"),
        &format!(
            "artifact_uri: file:///gone/0/{run_id}/artifacts\nend_time: 7\nexperiment_id: '0'\n\
             lifecycle_stage: active\nrun_id: {run_id}\nrun_name: first\nstart_time: 5\nstatus: 3\nuser_id: ada\n"
        ),
    );
    write(&run.join("metrics/loss"), "5 0.5 0\n6 nan 1\n6 -inf 1\n6 -inf 1\n");
    write(&run.join("params/lr"), "0.1\n");
    write(&run.join("tags/mlflow.runName"), "first");
    write(&run.join("artifacts/a/b.txt"), "content");
}

fn taken(registry: &Registry, place: &str) -> trialbook::Result<ExchangeReport> {
    let place = StorePlace::parse(place).unwrap();
    import(registry, &place, &ImportOptions::default(), &Monitor::silent())
}

fn handed(registry: &Registry, place: &Path) -> ExchangeReport {
    let place = StorePlace::Folder(place.to_owned());
    export(registry, &place, &Monitor::silent()).unwrap()
}

fn new_registry(folder: &Path) -> Registry {
    let root = folder.join("store");
    fs::create_dir_all(&root).unwrap();
    Registry::open(&Store::new(root)).unwrap()
}

fn why<'a>(report: &'a ExchangeReport, what: &str) -> &'a str {
    let left = report.left_out.iter().find(|left| left.what == what);
    &left.unwrap_or_else(|| panic!("{what} is not in {:?}", report.left_out)).why
}

#[test]
fn a_run_is_taken_as_it_is_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mlruns");
    small_store(&root);
    let registry = new_registry(folder.path()).acting_as("ada");
    let report = taken(&registry, root.to_str().unwrap()).unwrap();
    assert_eq!(report.left_out, []);
    assert_eq!((report.moved.n_runs, report.moved.n_metrics, report.moved.n_artifacts), (1, 4, 1));

    let run = registry.run_by_id(RUN).unwrap();
    assert_eq!((run.name.as_str(), run.start_ms, run.end_ms), ("first", 5, Some(7)));
    assert_eq!((run.user.as_str(), run.status), ("ada", RunStatus::Finished));
    assert_eq!((run.params["lr"].as_str(), run.experiment_id.as_str()), ("0.1\n", "0"));
    let history = registry.metric_history(RUN, "loss").unwrap();
    let values: Vec<String> = history.iter().map(|metric| metric.value.to_string()).collect();
    assert_eq!(values, ["0.5", "NaN", "-inf", "-inf"]);
    let artifacts = registry.artifacts(RUN).unwrap();
    assert_eq!(artifacts[0].path, "a/b.txt");
    assert_eq!(registry.read_artifact(&artifacts[0]).unwrap(), b"content");
    assert_eq!(registry.experiment_by_id("0").unwrap().name, "Default");
    let events = registry.audit(&AuditQuery::default()).unwrap();
    assert!(events.iter().all(|event| event.action == AuditAction::Import && event.who == "ada"));
    assert!(events.iter().any(|event| event.subject == RUN));

    let again = taken(&registry, root.to_str().unwrap()).unwrap();
    assert_eq!((again.moved.n_runs, again.present.n_runs), (0, 1));
    assert_eq!(registry.audit(&AuditQuery::default()).unwrap().len(), events.len());
}

#[test]
fn what_is_damaged_is_left_out_whole_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mlruns");
    small_store(&root);
    let run = root.join("0").join(RUN);
    let cases = [
        ("metrics/loss", "5 zero 0\n", "\"5 zero 0\" is no value"),
        ("metrics/loss", "5\n", "\"5\" is no value"),
        ("meta.yaml", "run_id: [", "is not YAML"),
        ("meta.yaml", "status: 3\n", "it is of run \"\""),
        ("inputs/x/meta.yaml", "source_type: DATASET\nsource_id: gone\n", "meta.yaml"),
    ];
    for (file, text, expected) in cases {
        let kept = fs::read(run.join(file)).ok();
        write(&run.join(file), text);
        let store = tempfile::tempdir().unwrap();
        let registry = new_registry(store.path());
        small_run(&root, OTHER);
        let report = taken(&registry, root.to_str().unwrap()).unwrap();
        let said = why(&report, &format!("run {RUN}"));
        assert!(said.contains(expected), "{file}: {said}");
        assert!(registry.run_by_id(RUN).is_err() && registry.run_by_id(OTHER).is_ok());
        match kept {
            Some(kept) => fs::write(run.join(file), kept).unwrap(),
            None => fs::remove_dir_all(run.join(file).parent().unwrap()).unwrap(),
        }
    }
    // What is not MLflow's name is left out alone.
    write(&run.join("params/a=b"), "x");
    write(&run.join("tags/long"), &"x".repeat(8_001));
    let registry = new_registry(folder.path());
    let report = taken(&registry, root.to_str().unwrap()).unwrap();
    assert_eq!(report.left_out.len(), 2, "{:?}", report.left_out);
    assert!(why(&report, &format!("run {RUN}")).contains("\"a=b\""));
    assert_eq!(registry.run_by_id(RUN).unwrap().params.len(), 1);
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = new_registry(folder.path());
    let file = folder.path().join("mlflow.db");
    let text = file.to_str().unwrap();
    let refused = |place: &str| taken(&registry, place).unwrap_err();
    assert_eq!(refused(folder.path().join("no").to_str().unwrap()).kind(), ErrorKind::NotFound);
    assert_eq!(refused(folder.path().to_str().unwrap()).kind(), ErrorKind::Invalid);
    fs::write(&file, "no database at all, and longer than a header of SQLite".repeat(20)).unwrap();
    assert_eq!(refused(text).kind(), ErrorKind::Corrupt);
    fs::write(&file, "").unwrap();
    assert!(refused(text).to_string().contains("is no database of MLflow"));
    assert_eq!(registry.experiments().unwrap().len(), 1, "nothing was written");
    let monitor = Monitor::silent();
    let error = export(&registry, &StorePlace::Sqlite(file), &monitor).unwrap_err();
    assert!(error.to_string().contains("only read") && error.hint().is_some());
    fs::create_dir_all(folder.path().join("other/x")).unwrap();
    let other = StorePlace::Folder(folder.path().join("other"));
    assert!(export(&registry, &other, &monitor).unwrap_err().to_string().contains("other things"));
}

#[test]
fn a_server_that_answers_nonsense_is_told_from_one_of_mlflow_s() {
    let folder = tempfile::tempdir().unwrap();
    let registry = new_registry(folder.path());
    let cases = [
        ("200 OK", "<html>", "answered no JSON object"),
        ("200 OK", "[1]", "answered no JSON object"),
        ("404 Not Found", "<html>", "refused with 404"),
        ("401 Unauthorized", "{\"message\": \"a key is needed\"}", "a key is needed"),
        ("500 Internal Server Error", "{}", "refused with 500"),
    ];
    for (status, body, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
            write!(stream, "{head}connection: close\r\n\r\n{body}").unwrap();
        });
        let error = taken(&registry, &url).unwrap_err();
        answering.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(expected), "{status}: {error}");
    }
    let closed = taken(&registry, "http://127.0.0.1:9").unwrap_err();
    assert!(closed.to_string().contains("does not answer"), "{closed}");
}

#[test]
fn our_own_store_comes_back_from_a_file_store_as_it_was() {
    let f = Fixture::new();
    let new = NewRun { experiment_id: "0".to_owned(), start_ms: 1, ..NewRun::default() };
    let run = f.registry.create_run(new).unwrap();
    let metric = |value, step| Metric { key: "f1".to_owned(), value, step, timestamp_ms: 3 };
    let metrics = vec![metric(f64::NAN, 0), metric(f64::MIN_POSITIVE, 1), metric(0.1 + 0.2, 2)];
    let batch = RunBatch { metrics, ..RunBatch::default() };
    f.registry.log(&run.run_id, &batch).unwrap();
    f.version("M", "one");
    f.version("M", "two");
    f.version("M", "three");
    f.registry.delete_model("M", Some(3)).unwrap();
    f.registry.set_alias("M", "champion", Some(2)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mlruns");
    let report = handed(&f.registry, &root);
    assert_eq!(report.left_out, []);
    assert_eq!(report.moved.n_versions, 2);
    let second = new_registry(folder.path());
    let report = taken(&second, root.to_str().unwrap()).unwrap();
    assert_eq!(report.left_out, []);

    for run in f.registry.search_runs(&Default::default()).unwrap() {
        let back = second.run_by_id(&run.run_id).unwrap();
        assert_eq!(
            (&back.name, back.start_ms, &back.params),
            (&run.name, run.start_ms, &run.params)
        );
        assert_eq!(
            format!("{:?}", second.histories(&run.run_id).unwrap()),
            format!("{:?}", f.registry.histories(&run.run_id).unwrap())
        );
        assert_eq!(
            second.artifacts(&run.run_id).unwrap(),
            f.registry.artifacts(&run.run_id).unwrap()
        );
    }
    for (here, back) in f.registry.versions("M").unwrap().iter().zip(second.versions("M").unwrap())
    {
        assert_eq!((here.version, &here.run_id), (back.version, &back.run_id));
        assert_eq!((&here.files, &here.lineage), (&back.files, &back.lineage));
        assert_eq!((&here.metrics, here.created_ms), (&back.metrics, back.created_ms));
    }
    assert_eq!(second.model("M").unwrap().aliases, f.registry.model("M").unwrap().aliases);
    // The number of the version that was deleted is not given again.
    let next = handed(&second, &root);
    assert_eq!(next.moved.n_versions, 0);
    let third = tempfile::tempdir().unwrap();
    let third = new_registry(third.path());
    taken(&third, root.to_str().unwrap()).unwrap();
    assert_eq!(third.versions("M").unwrap().len(), 2);
}

#[test]
fn one_version_serves_however_many_did_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mlruns");
    small_store(&root);
    let model = root.join("models/M");
    write(&model.join("meta.yaml"), "name: M\ncreation_timestamp: 1\naliases: {}\n");
    for (number, stage) in [(1, "Production"), (2, "Production"), (4, "Deleted_Internal")] {
        write(
            &model.join(format!("version-{number}/meta.yaml")),
            &format!(
                "name: M\nversion: {number}\ncurrent_stage: {stage}\ncreation_timestamp: {number}\n\
                 run_id: {RUN}\nsource: /gone/{RUN}/artifacts/a\n"
            ),
        );
    }
    write(&model.join("aliases/gone"), "4");
    let registry = new_registry(folder.path());
    let report = taken(&registry, root.to_str().unwrap()).unwrap();
    assert!(why(&report, "M/1").contains("version 2 is newer"));
    assert!(why(&report, "M@gone").contains("version 4 is not here"));
    let versions = registry.versions("M").unwrap();
    let stages: Vec<Stage> = versions.iter().map(|version| version.stage).collect();
    assert_eq!(stages, [Stage::Archived, Stage::Production]);
    assert_eq!(versions[1].files[0].path, "b.txt");
    assert!(versions[1].history[0].note.starts_with("imported from "));
    // A version of another origin does not take the place of one that serves, nor a number.
    let other = folder.path().join("other/mlruns");
    small_store(&other);
    fs::rename(root.join("models"), other.join("models")).unwrap();
    let meta = other.join("models/M/version-2/meta.yaml");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("creation_timestamp: 2", "creation_timestamp: 9")).unwrap();
    let five = other.join("models/M/version-5/meta.yaml");
    write(&five, &text.replace("version: 2", "version: 5"));
    let report = taken(&registry, other.to_str().unwrap()).unwrap();
    assert!(why(&report, "M/2").contains("another version has this number"));
    assert!(why(&report, "M/5").contains("version 2 is in Production here"));
    assert_eq!(registry.version("M", 5).unwrap().stage, Stage::None);
    assert_eq!(registry.version("M", 2).unwrap().created_ms, 2);
}
