//! The audit trail: every action leaves its event, a refused one none, and nothing loses any.

use serde_json::{Value, json};
use trialbook::{
    ErrorKind, gate,
    registry::{
        AuditAction, AuditEvent, AuditQuery, KeyState, NewKey, Registry, Scope, Stage, digest,
        restore,
    },
    store::Store,
};

use super::{Fixture, judge};
use crate::cli::Trialbook;

const M: &str = "M";

fn trail(registry: &Registry) -> Vec<AuditEvent> {
    let mut events = registry.audit(&AuditQuery::default()).unwrap();
    events.reverse();
    events
}

/// Actions and subjects, oldest first.
fn told(registry: &Registry) -> Vec<(AuditAction, String)> {
    trail(registry).into_iter().map(|event| (event.action, event.subject)).collect()
}

fn new_key(name: &str) -> NewKey {
    NewKey { name: name.to_owned(), scope: Scope::Predict, expires_ms: None }
}

#[test]
fn every_action_is_in_the_trail_and_a_refused_one_is_not() {
    use AuditAction::{
        AddKey, Archive, Collect, Delete, Demote, Force, Gate, Promote, Restore, RevokeKey,
        Rollback,
    };

    let f = Fixture::new();
    let registry = f.registry.acting_as("ada");
    for content in ["one", "two", "three"] {
        f.version(M, content);
    }
    assert_eq!(told(&registry), [], "what is logged and registered has its own records");

    judge(&registry, M, 1).unwrap();
    let to = |version, stage, force| gate::promote(&registry, M, version, stage, force, "ada");
    to(1, Stage::Staging, None).unwrap();
    to(1, Stage::Production, None).unwrap();
    to(2, Stage::Production, Some("friday")).unwrap();
    gate::rollback(&registry, M, "ada", "slow").unwrap();
    to(2, Stage::None, None).unwrap();
    registry.delete_model(M, Some(3)).unwrap();
    let run = f.run("r").run_id;
    registry.delete_run(&run).unwrap();
    registry.restore_run(&run).unwrap();
    registry.delete_run(&run).unwrap();
    registry.gc(false).unwrap();
    registry.gc(false).unwrap();
    registry.add_key(new_key("web")).unwrap();
    registry.revoke_key("web").unwrap();
    for refused in [
        to(2, Stage::Production, None).map(drop),
        to(2, Stage::Production, Some(" ")).map(drop),
        to(9, Stage::Production, Some("friday")).map(drop),
        registry.delete_model(M, Some(1)),
        registry.delete_run(&run),
        registry.add_key(new_key("web")).map(drop),
        registry.revoke_key("web").map(drop),
        judge(&registry, M, 9).map(drop),
    ] {
        assert!(refused.is_err());
    }

    let expected = [
        (Gate, "M/1"),
        (Promote, "M/1"),
        (Promote, "M/1"),
        (Archive, "M/1"),
        (Force, "M/2"),
        (Archive, "M/2"),
        (Rollback, "M/1"),
        (Demote, "M/2"),
        (Delete, "M/3"),
        (Delete, &run),
        (Restore, &run),
        (Delete, &run),
        (Collect, "store"),
        (AddKey, "web"),
        (RevokeKey, "web"),
    ];
    assert_eq!(told(&registry), expected.map(|(action, subject)| (action, subject.to_owned())));
    let events = trail(&registry);
    assert!(events.iter().zip(1..).all(|(event, number)| event.number == number));
    assert!(events.iter().all(|event| event.who == "ada" && event.at_ms > 1_700_000_000_000));
    let forced = json!({
        "from": "None", "to": "Production", "overruled": "it was never gated",
        "note": "ada: forced, friday (overruled: it was never gated)",
    });
    assert_eq!(events[4].details, forced);
    assert_eq!(
        (&events[0].details["passed"], &events[0].details["who"]),
        (&json!(true), &json!("alice"))
    );
    assert_eq!(events[12].details["run_ids"], json!([run]));
    assert!(registry.verify().unwrap().is_valid());
}

#[test]
fn the_newest_come_first_as_many_as_are_wanted() {
    let f = Fixture::new();
    for name in ["a", "b", "c", "d"] {
        f.registry.add_key(new_key(name)).unwrap();
    }
    let subjects = |query: AuditQuery| -> Vec<String> {
        f.registry.audit(&query).unwrap().into_iter().map(|event| event.subject).collect()
    };
    let limit = |n| AuditQuery { limit: Some(n), ..AuditQuery::default() };
    assert_eq!(subjects(limit(2)), ["d", "c"]);
    assert_eq!(subjects(limit(0)), [""; 0]);
    assert_eq!(subjects(AuditQuery::default()), ["d", "c", "b", "a"]);
    let since = |since_ms| AuditQuery { since_ms: Some(since_ms), limit: Some(3) };
    assert_eq!(subjects(since(0)), ["d", "c", "b"]);
    assert_eq!(subjects(since(i64::MAX)), [""; 0]);
}

#[test]
fn without_another_name_the_user_and_the_machine_act() {
    let f = Fixture::new();
    f.registry.add_key(new_key("web")).unwrap();
    let who = trail(&f.registry).remove(0).who;
    assert!(who.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()));
}

#[test]
fn keys_and_trail_are_in_a_backup_and_the_trail_goes_on() {
    let f = Fixture::new();
    let secret = f.registry.add_key(new_key("web")).unwrap().secret;
    let file = f.folder.path().join("backup.tar");
    f.registry.backup(&file).unwrap();
    let store = Store::new(f.folder.path().join("other"));
    restore(&store, &file).unwrap();
    let restored = Registry::open(&store).unwrap();
    assert_eq!(restored.keys().unwrap(), f.registry.keys().unwrap());
    assert_eq!(restored.keys().unwrap()[0].sha256, digest(&secret));
    let expected =
        [(AuditAction::AddKey, "web".to_owned()), (AuditAction::Restore, "store".to_owned())];
    assert_eq!(told(&restored), expected);
    assert!(restored.verify().unwrap().is_valid());
}

#[test]
fn a_key_is_random_shown_once_and_kept_as_its_hash() {
    let f = Fixture::new();
    let made = ["a", "b"].map(|name| f.registry.add_key(new_key(name)).unwrap());
    for one in &made {
        let random = one.secret.strip_prefix("tbk_").unwrap();
        assert!(random.len() == 64 && random.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(one.key.sha256, digest(&one.secret));
    }
    assert_ne!(made[0].secret, made[1].secret);
    let path = f.store().registry_path();
    let files = [path.with_extension("log"), path].map(|path| std::fs::read(path).unwrap());
    let database = files.concat();
    let holds = |bytes: &[u8]| database.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(&made[0].key.sha256) && !holds(made[0].secret.as_bytes()));
    assert!(!holds(&made[0].secret.as_bytes()[4..]));
    let listed: Value = serde_json::to_value(f.registry.keys().unwrap()).unwrap();
    assert_eq!(listed[0].get("sha256"), None, "{listed}");
}

#[test]
fn keys_that_cannot_be_are_refused_with_a_way_out() {
    let f = Fixture::new();
    f.registry.add_key(new_key("web")).unwrap();
    f.registry.revoke_key("web").unwrap();
    assert_eq!(f.registry.keys().unwrap()[0].state(i64::MAX), KeyState::Revoked);
    for (new, kind) in [
        (new_key("web"), ErrorKind::Conflict),
        (new_key(""), ErrorKind::Invalid),
        (new_key("two words"), ErrorKind::Invalid),
        (NewKey { expires_ms: Some(1), ..new_key("late") }, ErrorKind::Invalid),
    ] {
        let error = f.registry.add_key(new.clone()).err().unwrap();
        assert_eq!(error.kind(), kind, "{new:?}: {error:?}");
    }
    let unknown = f.registry.revoke_key("wbe").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_eq!(unknown.hint().map(ToString::to_string).as_deref(), Some("there are: web"));
}

#[test]
fn a_removed_dataset_is_in_the_trail_and_one_that_is_not_there_is_not() {
    let book = Trialbook::new();
    book.json(&["data", "sample", "old"]);
    let train = book.json(&["data", "show", "old"])["splits"][0]["fingerprint"]["sha256"].clone();
    book.fails(1, &["data", "remove", "other"]);
    assert_eq!(book.json(&["audit"]), json!([]));
    book.json(&["data", "remove", "old"]);
    let trail = book.json(&["audit"]);
    assert_eq!(trail.as_array().unwrap().len(), 1, "{trail}");
    assert_eq!((&trail[0]["action"], &trail[0]["subject"]), (&json!("delete"), &json!("old")));
    assert_eq!(trail[0]["details"]["dataset"]["train"], train);
    assert!(book.call(&["audit"]).stdout.contains("dataset"));

    // One whose manifest cannot be read goes all the same.
    book.json(&["data", "sample", "damaged"]);
    std::fs::write(book.store().join("data/damaged/dataset.json"), "{").unwrap();
    book.json(&["data", "remove", "damaged"]);
    assert_eq!(book.json(&["audit"])[0]["subject"], "damaged");
    book.fails(1, &["data", "remove", "damaged"]);
    assert_eq!(book.json(&["audit"]).as_array().unwrap().len(), 2);
}
