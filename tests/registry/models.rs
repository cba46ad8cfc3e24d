//! Registered models, versions, stages, aliases, references, promotion and rollback.

use serde_json::json;
use trialbook::{
    ErrorKind,
    registry::{Artifact, Stage},
};

use super::{Fixture, new_version};

const M: &str = "SentimentClassifier";

/// Version and stage of every version, and the number of Production versions is checked.
fn stages(f: &Fixture) -> Vec<Stage> {
    let stages: Vec<Stage> =
        f.registry.versions(M).unwrap().into_iter().map(|version| version.stage).collect();
    assert!(stages.iter().filter(|stage| **stage == Stage::Production).count() <= 1);
    stages
}

#[test]
fn versions_count_up_and_numbers_are_not_used_twice() {
    let f = Fixture::new();
    assert_eq!(f.version(M, "a").version, 1);
    assert_eq!(f.version(M, "b").version, 2);
    assert_eq!(f.version("Other", "a").version, 1);
    f.registry.delete_model(M, Some(2)).unwrap();
    assert_eq!(f.version(M, "c").version, 3);
    let names: Vec<String> =
        f.registry.models().unwrap().into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["Other", M]);
}

#[test]
fn a_version_comes_back_as_it_was_registered_and_its_files_load() {
    let f = Fixture::new();
    let made = f.version(M, "weights");
    assert_eq!(f.registry.version(M, 1).unwrap(), made);
    let files = f.registry.model_files(&made).unwrap();
    assert_eq!(std::fs::read(files.path("weights.bin").unwrap()).unwrap(), b"weights");
    f.registry.set_verdict(M, 1, json!({"passed": true})).unwrap();
    f.registry.set_verdict(M, 1, json!({"passed": false})).unwrap();
    assert_eq!(f.registry.version(M, 1).unwrap().verdict, Some(json!({"passed": false})));
}

#[test]
fn a_version_without_its_artifact_or_its_run_is_refused() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let ghost = Artifact { path: "w".into(), sha256: "ab".repeat(32), size_bytes: 3 };
    let error = f.registry.create_version(new_version(M, &run, ghost)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let real = f.registry.log_artifact(&run, "w", b"abc").unwrap();
    let error = f.registry.create_version(new_version(M, &"0".repeat(32), real.clone()));
    assert_eq!(error.err().unwrap().kind(), ErrorKind::NotFound);
    let mut none = new_version(M, &run, real.clone());
    none.files.clear();
    assert_eq!(f.registry.create_version(none).err().unwrap().kind(), ErrorKind::Invalid);
    for name in ["a/b", "a:b", "", "a@b"] {
        let new = new_version(name, &run, real.clone());
        assert_eq!(f.registry.create_version(new).err().unwrap().kind(), ErrorKind::Invalid);
    }
    assert!(f.registry.models().unwrap().is_empty(), "refusals leave no model behind");
}

#[test]
fn promotion_archives_the_former_production_version_in_one_step() {
    let f = Fixture::new();
    for content in ["a", "b", "c"] {
        f.version(M, content);
    }
    f.registry.set_stage(M, 1, Stage::Production, "alice: first").unwrap();
    f.registry.set_stage(M, 2, Stage::Staging, "alice: try").unwrap();
    let promoted = f.registry.set_stage(M, 2, Stage::Production, "alice: better").unwrap();
    assert_eq!(stages(&f), [Stage::Archived, Stage::Production, Stage::None]);
    assert_eq!(f.registry.production(M).unwrap(), Some(promoted.clone()));
    let steps: Vec<(Stage, Stage)> =
        promoted.history.iter().map(|change| (change.from, change.to)).collect();
    assert_eq!(steps, [(Stage::None, Stage::Staging), (Stage::Staging, Stage::Production)]);
    assert_eq!(promoted.history[1].note, "alice: better");
    let former = f.registry.version(M, 1).unwrap();
    assert_eq!(former.history[1].to, Stage::Archived);
    assert_eq!(former.history[1].note, "version 2 took its place: alice: better");

    let error = f.registry.set_stage(M, 2, Stage::Production, "").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "version 2 of model \"SentimentClassifier\" is in Production already"
    );
    assert_eq!(
        f.registry.set_stage(M, 9, Stage::Staging, "").err().unwrap().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn rollback_walks_back_through_former_production_versions() {
    let f = Fixture::new();
    for content in ["a", "b", "c"] {
        f.version(M, content);
    }
    let error = f.registry.rollback(M, "bob").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.hint().map(ToString::to_string).as_deref(),
        Some("promote one with `trialbook promote SentimentClassifier VERSION`")
    );
    for version in 1..=3 {
        f.registry.set_stage(M, version, Stage::Production, "").unwrap();
    }
    let back = f.registry.rollback(M, "bob: 3 is slow").unwrap();
    assert_eq!((back.from.version, back.to.version), (3, 2));
    assert_eq!((back.from.stage, back.to.stage), (Stage::Archived, Stage::Production));
    assert_eq!(back.to.history.last().unwrap().note, "rolled back from version 3: bob: 3 is slow");
    assert_eq!(f.registry.rollback(M, "").unwrap().to.version, 1);
    assert_eq!(stages(&f), [Stage::Production, Stage::Archived, Stage::Archived]);
    let error = f.registry.rollback(M, "").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().ends_with("has no earlier Production version to go back to"));

    f.registry.set_stage(M, 3, Stage::Production, "").unwrap();
    assert_eq!(f.registry.rollback(M, "").unwrap().to.version, 1);
    f.registry.set_stage(M, 2, Stage::Production, "").unwrap();
    f.registry.delete_model(M, Some(1)).unwrap();
    assert!(f.registry.rollback(M, "").is_err(), "a deleted version is not gone back to");
}

#[test]
fn a_version_archived_by_hand_is_where_rollback_goes() {
    let f = Fixture::new();
    f.version(M, "a");
    f.version(M, "b");
    f.registry.set_stage(M, 1, Stage::Production, "").unwrap();
    f.registry.set_stage(M, 1, Stage::Archived, "").unwrap();
    assert!(f.registry.rollback(M, "").is_err(), "nothing is in Production");
    f.registry.set_stage(M, 2, Stage::Production, "").unwrap();
    assert_eq!(f.registry.rollback(M, "").unwrap().to.version, 1);
}

#[test]
fn references_resolve_as_in_mlflow() {
    let f = Fixture::new();
    for content in ["a", "b", "c", "d"] {
        f.version(M, content);
    }
    let resolve = |text: &str| f.registry.resolve(text).map(|version| version.version);
    assert_eq!(resolve(M).unwrap(), 4, "the newest, while none is in Production");
    f.registry.set_stage(M, 2, Stage::Production, "").unwrap();
    f.registry.set_stage(M, 3, Stage::Staging, "").unwrap();
    f.registry.set_alias(M, "champion", Some(1)).unwrap();
    for (reference, version) in [
        ("SentimentClassifier", 2),
        ("SentimentClassifier/3", 3),
        ("models:/SentimentClassifier/Production", 2),
        ("SentimentClassifier/staging", 3),
        ("SentimentClassifier/none", 4),
        ("models:/SentimentClassifier/latest", 4),
        ("SentimentClassifier@champion", 1),
        ("models:/SentimentClassifier@champion", 1),
    ] {
        assert_eq!(resolve(reference).unwrap(), version, "{reference}");
    }
    for (reference, kind, hint) in [
        ("Nope", ErrorKind::NotFound, "there are: SentimentClassifier"),
        (
            "SentimentClassifier/9",
            ErrorKind::NotFound,
            "it has 1 (None), 2 (Production), 3 (Staging), 4 (None)",
        ),
        (
            "SentimentClassifier/Archived",
            ErrorKind::NotFound,
            "it has 1 (None), 2 (Production), 3 (Staging), 4 (None)",
        ),
        ("SentimentClassifier@nope", ErrorKind::NotFound, "it has champion"),
        (
            "SentimentClassifier/x/y",
            ErrorKind::Invalid,
            "write NAME, NAME/3, NAME/Production, NAME/latest or NAME@alias",
        ),
    ] {
        let error = resolve(reference).err().unwrap();
        assert_eq!(error.kind(), kind, "{reference}");
        assert_eq!(error.hint().unwrap(), &hint, "{reference}");
    }
}

#[test]
fn aliases_and_tags_are_set_moved_and_removed() {
    let f = Fixture::new();
    f.version(M, "a");
    f.version(M, "b");
    f.registry.set_alias(M, "best", Some(1)).unwrap();
    f.registry.set_alias(M, "best", Some(2)).unwrap();
    assert_eq!(f.registry.model(M).unwrap().aliases["best"], 2);
    assert!(f.registry.set_alias(M, "best", Some(7)).is_err());
    assert!(f.registry.set_alias(M, "latest", Some(1)).is_err());
    f.registry.delete_model(M, Some(2)).unwrap();
    assert!(f.registry.model(M).unwrap().aliases.is_empty(), "an alias goes with its version");
    assert!(f.registry.set_alias(M, "best", None).is_err());
    f.registry.tag_model(M, None, "owner", Some("alice")).unwrap();
    f.registry.tag_model(M, Some(1), "note", Some("x")).unwrap();
    assert_eq!(f.registry.model(M).unwrap().tags["owner"], "alice");
    assert_eq!(f.registry.version(M, 1).unwrap().tags["note"], "x");
    f.registry.tag_model(M, None, "owner", None).unwrap();
    assert!(f.registry.model(M).unwrap().tags.is_empty());
}

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let f = Fixture::new();
    f.version(M, "a");
    f.version(M, "b");
    f.registry.set_stage(M, 1, Stage::Production, "").unwrap();
    f.registry.set_stage(M, 2, Stage::Staging, "").unwrap();
    for version in [Some(1), Some(2), None] {
        let error = f.registry.delete_model(M, version).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    f.registry.set_stage(M, 1, Stage::Archived, "").unwrap();
    f.registry.set_stage(M, 2, Stage::None, "").unwrap();
    f.registry.delete_model(M, None).unwrap();
    assert_eq!(f.registry.model(M).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(f.version(M, "c").version, 1, "a model made anew begins anew");
    f.registry.create_model("Empty").unwrap();
    assert_eq!(f.registry.create_model("Empty").err().unwrap().kind(), ErrorKind::Conflict);
    assert!(f.registry.resolve("Empty").is_err());
}

#[test]
fn the_generation_moves_with_models_and_only_with_them() {
    let f = Fixture::new();
    let generation = || f.registry.models_generation().unwrap();
    let mut last = generation();
    f.run("r");
    assert_eq!(generation(), last);
    let steps: [&dyn Fn(); 4] = [
        &|| drop(f.version(M, "a")),
        &|| drop(f.registry.set_stage(M, 1, Stage::Production, "").unwrap()),
        &|| f.registry.set_alias(M, "x", Some(1)).unwrap(),
        &|| f.registry.set_verdict(M, 1, json!(1)).unwrap(),
    ];
    for step in steps {
        step();
        assert!(generation() > last);
        last = generation();
    }
    assert!(f.registry.set_stage(M, 1, Stage::Production, "").is_err());
    assert_eq!(generation(), last, "a refusal changes nothing");
}
