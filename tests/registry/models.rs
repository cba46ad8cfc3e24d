//! Registered models, versions, stages, aliases, references, promotion and rollback.

use serde_json::json;
use trialbook::{
    ErrorKind,
    gate::{self, Policy},
    registry::{Artifact, AuditQuery, Registry, Stage, restore},
    store::Store,
};

use super::{Fixture, judge, new_version, promote};

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
    judge(&f.registry, M, 1).unwrap();
    let strict = Policy { min_f1: 0.95 };
    let newest =
        gate::run(&f.registry, M, 1, &strict, &mut |_, _| unreachable!(), 7, "bob").unwrap();
    assert!(!newest.passed);
    let stored = f.registry.version(M, 1).unwrap().verdict;
    assert_eq!(stored, Some(json!(newest)), "the newest counts");
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
    promote(&f.registry, M, 1, Stage::Production, "first").unwrap();
    promote(&f.registry, M, 2, Stage::Staging, "try").unwrap();
    let promoted = promote(&f.registry, M, 2, Stage::Production, "better").unwrap();
    assert_eq!(stages(&f), [Stage::Archived, Stage::Production, Stage::None]);
    assert_eq!(f.registry.production(M).unwrap(), Some(promoted.clone()));
    let steps: Vec<(Stage, Stage)> =
        promoted.history.iter().map(|change| (change.from, change.to)).collect();
    assert_eq!(steps, [(Stage::None, Stage::Staging), (Stage::Staging, Stage::Production)]);
    assert_eq!(promoted.history[0].note, "alice: try");
    let forced = "alice: forced, better (overruled: it was never gated)";
    assert_eq!(promoted.history[1].note, forced);
    let former = f.registry.version(M, 1).unwrap();
    assert_eq!(former.history[1].to, Stage::Archived);
    assert_eq!(former.history[1].note, format!("version 2 took its place: {forced}"));

    let again = gate::promote(&f.registry, M, 2, Stage::Production, None, "bob").unwrap();
    assert!(!again.changed);
    assert_eq!(f.registry.version(M, 2).unwrap(), promoted);
    let error = promote(&f.registry, M, 9, Stage::Staging, "try").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn rollback_walks_back_through_former_production_versions() {
    let f = Fixture::new();
    for content in ["a", "b", "c"] {
        f.version(M, content);
    }
    let error = gate::rollback(&f.registry, M, "bob", "").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.hint().map(ToString::to_string).as_deref(),
        Some("promote one with `trialbook promote SentimentClassifier VERSION`")
    );
    for version in 1..=3 {
        promote(&f.registry, M, version, Stage::Production, "test").unwrap();
    }
    let back = gate::rollback(&f.registry, M, "bob", "3 is slow").unwrap();
    assert_eq!((back.from, back.to), (3, 2));
    assert_eq!(stages(&f), [Stage::Archived, Stage::Production, Stage::Archived]);
    let note = f.registry.version(M, 2).unwrap().history.last().unwrap().note.clone();
    assert_eq!(note, "rolled back from version 3: bob: rollback, 3 is slow");
    assert_eq!(gate::rollback(&f.registry, M, "bob", "").unwrap().to, 1);
    assert_eq!(stages(&f), [Stage::Production, Stage::Archived, Stage::Archived]);
    let error = gate::rollback(&f.registry, M, "bob", "").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().ends_with("has no earlier Production version to go back to"));

    promote(&f.registry, M, 3, Stage::Production, "test").unwrap();
    assert_eq!(gate::rollback(&f.registry, M, "bob", "").unwrap().to, 1);
    promote(&f.registry, M, 2, Stage::Production, "test").unwrap();
    f.registry.delete_model(M, Some(1)).unwrap();
    assert!(
        gate::rollback(&f.registry, M, "bob", "").is_err(),
        "a deleted version is not gone back to"
    );
}

#[test]
fn a_version_archived_by_hand_is_where_rollback_goes() {
    let f = Fixture::new();
    f.version(M, "a");
    f.version(M, "b");
    promote(&f.registry, M, 1, Stage::Production, "test").unwrap();
    promote(&f.registry, M, 1, Stage::Archived, "test").unwrap();
    assert!(gate::rollback(&f.registry, M, "bob", "").is_err(), "nothing is in Production");
    promote(&f.registry, M, 2, Stage::Production, "test").unwrap();
    assert_eq!(gate::rollback(&f.registry, M, "bob", "").unwrap().to, 1);
}

#[test]
fn references_resolve_as_in_mlflow() {
    let f = Fixture::new();
    for content in ["a", "b", "c", "d"] {
        f.version(M, content);
    }
    let resolve =
        |text: &str| Ok(f.registry.resolve(&text.parse()?)?.version) as trialbook::Result<u32>;
    assert_eq!(resolve(M).unwrap(), 4, "the newest, while none is in Production");
    promote(&f.registry, M, 2, Stage::Production, "test").unwrap();
    promote(&f.registry, M, 3, Stage::Staging, "test").unwrap();
    f.registry.set_alias(M, "champion", Some(1)).unwrap();
    for (reference, version) in [
        ("SentimentClassifier", 2),
        ("SentimentClassifier/3", 3),
        ("models:/SentimentClassifier/Production", 2),
        ("SentimentClassifier/staging", 3),
        ("SentimentClassifier/none", 4),
        ("models:/SentimentClassifier/1", 1),
        ("models:/SentimentClassifier", 2),
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
    let named = f.registry.model(M).unwrap();
    assert_eq!(named.aliases_of(2).collect::<Vec<_>>(), ["best"]);
    assert_eq!(named.aliases_of(1).count(), 0);
    f.registry.set_alias(M, "best", Some(2)).unwrap();
    let refused: [(&str, Option<u32>); 6] = [
        ("best", Some(7)),
        ("latest", Some(1)),
        ("v2", Some(1)),
        ("a.b", Some(1)),
        ("", Some(1)),
        ("nope", None),
    ];
    for (alias, version) in refused {
        assert!(f.registry.set_alias(M, alias, version).is_err(), "{alias:?}");
    }
    f.registry.set_alias(M, "3", Some(1)).unwrap();
    f.registry.set_alias(M, "3", None).unwrap();
    f.registry.delete_model(M, Some(2)).unwrap();
    assert!(f.registry.model(M).unwrap().aliases.is_empty(), "an alias goes with its version");
    assert!(f.registry.set_alias(M, "best", None).is_err());
    let mut trail = f.registry.audit(&AuditQuery::default()).unwrap();
    trail.reverse();
    let steps: Vec<_> = trail
        .iter()
        .map(|event| (event.action.as_str(), event.subject.as_str(), &event.details))
        .collect();
    assert_eq!(
        steps[..4],
        [
            ("set_alias", "SentimentClassifier@best", &json!({"from": null, "to": 1})),
            ("set_alias", "SentimentClassifier@best", &json!({"from": 1, "to": 2})),
            ("set_alias", "SentimentClassifier@3", &json!({"from": null, "to": 1})),
            ("delete_alias", "SentimentClassifier@3", &json!({"from": 1, "to": null})),
        ],
        "what changes nothing, or is refused, leaves no event"
    );
    assert_eq!(steps[4].0, "delete");

    f.registry.tag_model(M, None, "owner", Some("alice")).unwrap();
    f.registry.tag_model(M, Some(1), "note", Some("x")).unwrap();
    assert_eq!(f.registry.model(M).unwrap().tags["owner"], "alice");
    assert_eq!(f.registry.version(M, 1).unwrap().tags["note"], "x");
    f.registry.tag_model(M, None, "owner", None).unwrap();
    assert!(f.registry.model(M).unwrap().tags.is_empty());
}

#[test]
fn aliases_are_in_a_backup() {
    let f = Fixture::new();
    f.version(M, "a");
    f.registry.set_alias(M, "champion", Some(1)).unwrap();
    let file = f.folder.path().join("backup.tar");
    f.registry.backup(&file).unwrap();
    let store = Store::new(f.folder.path().join("other"));
    restore(&store, &file).unwrap();
    let restored = Registry::open(&store).unwrap();
    let reference = format!("models:/{M}@champion").parse().unwrap();
    assert_eq!(restored.resolve(&reference).unwrap().version, 1);
    assert!(restored.verify().unwrap().is_valid());
}

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let f = Fixture::new();
    f.version(M, "a");
    f.version(M, "b");
    promote(&f.registry, M, 1, Stage::Production, "test").unwrap();
    promote(&f.registry, M, 2, Stage::Staging, "test").unwrap();
    for version in [Some(1), Some(2), None] {
        let error = f.registry.delete_model(M, version).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    promote(&f.registry, M, 1, Stage::Archived, "test").unwrap();
    promote(&f.registry, M, 2, Stage::None, "test").unwrap();
    f.registry.delete_model(M, None).unwrap();
    assert_eq!(f.registry.model(M).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(f.version(M, "c").version, 1, "a model made anew begins anew");
    f.registry.create_model("Empty").unwrap();
    assert_eq!(f.registry.create_model("Empty").err().unwrap().kind(), ErrorKind::Conflict);
    let error = f.registry.resolve(&"Empty".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("its name alone means the Production version"), "{error}");
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
        &|| drop(promote(&f.registry, M, 1, Stage::Production, "test").unwrap()),
        &|| f.registry.set_alias(M, "x", Some(1)).unwrap(),
        &|| drop(judge(&f.registry, M, 1).unwrap()),
    ];
    for step in steps {
        step();
        assert!(generation() > last);
        last = generation();
    }
    assert!(!gate::promote(&f.registry, M, 1, Stage::Production, None, "bob").unwrap().changed);
    assert!(gate::promote(&f.registry, M, 9, Stage::Production, None, "bob").is_err());
    assert_eq!(generation(), last, "neither a refusal nor a stage it has changes anything");
}
