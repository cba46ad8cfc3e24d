//! Moves between stages on a server. A server knows no transaction over several requests: a move is
//! judged by what was just read, made, and read again; where somebody else came in between, that is an
//! error that says what is there now. History, and the way back, are kept in tags, unless the server keeps
//! them itself, as one of ours does.

use serde_json::json;

use super::{
    RemoteRegistry,
    client::{API, Repeat},
    tags::{FORMER_TAG, HISTORY_TAG, former_production, history_text},
    versions::newest_in,
};
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    registry::{
        record::{ModelVersion, Stage, StageChange},
        tracker::Permit,
    },
};

/// The fields that a server of ours is told beside MLflow's own, which others pass over: the reason why its
/// gate is overruled, and that the move is a rollback.
const REASON_FIELD: &str = "trialbook_override_reason";
const ROLLBACK_FIELD: &str = "trialbook_rollback";

/// A move that was decided.
struct Move<'a> {
    subject: &'a ModelVersion,
    stage: Stage,
    /// The versions as they were read when it was decided.
    before: &'a [ModelVersion],
    note: String,
    /// The note of the version that leaves Production for it.
    note_of_former: String,
    field: Option<(&'static str, String)>,
}

impl RemoteRegistry {
    pub(super) fn move_version(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        permit: &mut Permit<'_>,
    ) -> Result<ModelVersion> {
        let before = self.versions_of(model)?;
        let Some(subject) = before.iter().find(|found| found.version == version) else {
            // It says which there are.
            return self.version_numbered(model, version);
        };
        if subject.stage == stage {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("version {version} of model {model:?} is in {stage} already"),
            ));
        }
        let production = newest_in(before.clone(), Stage::Production);
        let grounds = permit(subject, production.as_ref())?;
        let mut former = self.former(model)?;
        let leaves = match stage {
            Stage::Production => production.as_ref().map(|production| production.version),
            _ => (subject.stage == Stage::Production).then_some(version),
        };
        former.extend(leaves);
        let decided = Move {
            subject,
            stage,
            before: &before,
            note_of_former: format!("version {version} took its place: {}", grounds.note),
            field: grounds.overruled.is_some().then(|| (REASON_FIELD, grounds.note.clone())),
            note: grounds.note,
        };
        self.make(decided, leaves.is_some().then_some(former))
    }

    pub(super) fn take_back(&self, model: &str, note: &str) -> Result<(u32, u32)> {
        let refuse = |what: &str| {
            let hint = Hint::from("promote one with ")
                .run(CommandLine::new("promote").arg(model).written("VERSION"));
            Error::new(ErrorKind::Conflict, format!("model {model:?} {what}")).with_hint(hint)
        };
        let before = self.versions_of(model)?;
        let Some(present) = newest_in(before.clone(), Stage::Production) else {
            return Err(refuse("has no version in Production"));
        };
        let mut former = self.former(model)?;
        let target = loop {
            // A version can be there twice, the present one may be among them, and others are deleted.
            match former.pop() {
                Some(number) if number != present.version => {
                    if let Some(found) = before.iter().find(|found| found.version == number) {
                        break found;
                    }
                }
                Some(_) => {}
                None => return Err(refuse("has no earlier Production version to go back to")),
            }
        };
        let (from, to) = (present.version, target.version);
        let decided = Move {
            subject: target,
            stage: Stage::Production,
            before: &before,
            note: format!("rolled back from version {from}: {note}"),
            note_of_former: format!("rolled back to version {to}: {note}"),
            field: Some((ROLLBACK_FIELD, note.to_owned())),
        };
        self.make(decided, Some(former))?;
        Ok((from, to))
    }

    /// The versions that were in Production, by the model's tag.
    fn former(&self, model: &str) -> Result<Vec<u32>> {
        former_production(&self.model_called(model)?.tags, model)
    }

    /// Makes a move, looks at what came of it, and keeps its history.
    fn make(&self, decided: Move<'_>, former: Option<Vec<u32>>) -> Result<ModelVersion> {
        let Move { subject, stage, before, note, note_of_former, field } = decided;
        let (model, number) = (subject.model.as_str(), subject.version);
        let mut body = json!({
            "name": model,
            "version": number.to_string(),
            "stage": stage.as_str(),
            "archive_existing_versions": stage == Stage::Production,
        });
        if let Some((key, value)) = field {
            body[key] = json!(value);
        }
        let path = format!("{API}/model-versions/transition-stage");
        // Made twice it is the same move.
        self.client.ask("POST", &path, &body, Repeat::Safe)?;
        let after = self.versions_of(model)?;
        let mut others = Vec::new();
        for found in &after {
            let was = before.iter().find(|was| was.version == found.version);
            let expected = match was {
                _ if found.version == number => stage,
                Some(was) if stage == Stage::Production && was.stage == stage => Stage::Archived,
                Some(was) => was.stage,
                None => Stage::None,
            };
            if found.stage != expected {
                others.push(format!("version {} is in {}", found.version, found.stage));
            }
        }
        let moved = after.iter().find(|found| found.version == number);
        let Some(moved) = moved.filter(|_| others.is_empty()) else {
            let found = match others.is_empty() {
                true => format!("version {number} is gone"),
                false => others.join(", "),
            };
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "version {number} of model {model:?} was moved to {stage}, and somebody else \
                     changed stages at the same time: {found}"
                ),
            )
            .with_hint(
                Hint::from("see ")
                    .run(CommandLine::new("models show").arg(model))
                    .say(" and move again what is wrong"),
            ));
        };
        if moved.history.len() > subject.history.len() {
            // The server keeps history and the way back itself.
            return Ok(moved.clone());
        }
        let at_ms = clock::now_ms();
        let mut moved = moved.clone();
        self.keep_change(&mut moved, subject.stage, at_ms, note)?;
        if stage == Stage::Production {
            for was in before.iter().filter(|was| was.stage == stage && was.version != number) {
                let mut was = ModelVersion { stage: Stage::Archived, ..was.clone() };
                self.keep_change(&mut was, Stage::Production, at_ms, note_of_former.clone())?;
            }
        }
        if let Some(former) = former {
            self.tag(model, None, FORMER_TAG, Some(&json!(former).to_string()))?;
        }
        Ok(moved)
    }

    /// Adds a step to a version's history, which ends in its stage.
    fn keep_change(
        &self,
        version: &mut ModelVersion,
        from: Stage,
        at_ms: i64,
        note: String,
    ) -> Result<()> {
        let note = note.trim_end_matches([':', ' ']).to_owned();
        version.history.push(StageChange { from, to: version.stage, at_ms, note });
        let text = history_text(&version.history);
        self.tag(&version.model, Some(version.version), HISTORY_TAG, Some(&text))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        sync::{Arc, Mutex},
        thread,
    };

    use serde_json::Value;

    use super::*;
    use crate::{address::RegistryAddress, registry::Grounds, store::Store};

    /// A server that knows versions with their stages and tags, and a model with tags.
    #[derive(Default)]
    struct Stub {
        stages: Vec<&'static str>,
        tags: Vec<(Value, String, String)>,
        /// Somebody else's move, made together with the next one.
        meanwhile: Option<(usize, &'static str)>,
    }

    impl Stub {
        fn answer(&mut self, path: &str, body: &Value) -> Value {
            let number = |value: &Value| value.as_str().unwrap().parse::<usize>().unwrap();
            let tags_of = |stub: &Self, of: &Value| -> Vec<Value> {
                let of_it = stub.tags.iter().filter(|(version, ..)| version == of);
                of_it.map(|(_, key, value)| json!({"key": key, "value": value})).collect()
            };
            if path.contains("/model-versions/search") {
                let version = |(idx, stage): (usize, &&str)| {
                    let number = json!((idx + 1).to_string());
                    let tags = tags_of(self, &number);
                    json!({"name": "M", "version": number, "current_stage": stage, "tags": tags})
                };
                json!({"model_versions": self.stages.iter().enumerate().map(version).collect::<Vec<_>>()})
            } else if path.contains("/registered-models/get") {
                json!({"registered_model": {"name": "M", "tags": tags_of(self, &Value::Null)}})
            } else if path.ends_with("/transition-stage") {
                let to = number(&body["version"]) - 1;
                if body["archive_existing_versions"] == true {
                    let serving = self.stages.iter_mut().filter(|stage| **stage == "Production");
                    serving.for_each(|stage| *stage = "Archived");
                }
                let stages = ["None", "Staging", "Production", "Archived"];
                self.stages[to] = stages.into_iter().find(|stage| body["stage"] == *stage).unwrap();
                if let Some((idx, stage)) = self.meanwhile.take() {
                    self.stages[idx] = stage;
                }
                json!({"model_version": {}})
            } else {
                let key = body["key"].as_str().unwrap();
                self.tags.retain(|(of, known, _)| *of != body["version"] || known != key);
                let value = body["value"].as_str().unwrap().to_owned();
                self.tags.push((body["version"].clone(), key.to_owned(), value));
                json!({})
            }
        }
    }

    /// The registry of a stub, which answers as long as the test runs.
    fn registry(stub: &Arc<Mutex<Stub>>, folder: &std::path::Path) -> RemoteRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Arc::clone(stub);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut line, mut n_body) = (String::new(), 0);
                stream.read_line(&mut line).unwrap();
                let path = line.split(' ').nth(1).unwrap().to_owned();
                while line.trim() != "" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                    if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
                        n_body = length.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; n_body];
                stream.read_exact(&mut body).unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let answer = stub.lock().unwrap().answer(&path, &body).to_string();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        RemoteRegistry::new(&RegistryAddress::parse(&url).unwrap().unwrap(), &Store::new(folder))
            .unwrap()
    }

    fn grounds(note: &str) -> Grounds {
        Grounds { note: note.to_owned(), overruled: None }
    }

    #[test]
    fn a_server_without_history_gets_it_as_tags_and_rollbacks_go_back_by_them() {
        let folder = tempfile::tempdir().unwrap();
        let stub = Arc::new(Mutex::new(Stub { stages: vec!["None"; 3], ..Stub::default() }));
        let registry = registry(&stub, folder.path());
        for number in 1..=3 {
            let mut permit = |_: &ModelVersion, production: Option<&ModelVersion>| {
                assert_eq!(production.map_or(0, |production| production.version), number - 1);
                Ok(grounds("ada"))
            };
            registry.move_version("M", number, Stage::Production, &mut permit).unwrap();
        }
        assert_eq!(stub.lock().unwrap().stages, ["Archived", "Archived", "Production"]);
        assert_eq!(registry.take_back("M", "ada: bad").unwrap(), (3, 2));
        assert_eq!(registry.take_back("M", "ada: bad").unwrap(), (2, 1));
        assert_eq!(registry.take_back("M", "ada: bad").unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(stub.lock().unwrap().stages, ["Production", "Archived", "Archived"]);
        let versions = registry.versions_of("M").unwrap();
        let of = |idx: usize| -> Vec<(Stage, Stage)> {
            versions[idx].history.iter().map(|change| (change.from, change.to)).collect()
        };
        let (production, archived) = (Stage::Production, Stage::Archived);
        assert_eq!(
            of(0),
            [(Stage::None, production), (production, archived), (archived, production)]
        );
        assert_eq!(of(2), [(Stage::None, production), (production, archived)]);
        assert_eq!(versions[2].history[1].note, "rolled back to version 2: ada: bad");
        assert_eq!(versions[0].history[1].note, "version 2 took its place: ada");
    }

    #[test]
    fn who_moves_a_version_is_told_that_somebody_else_did_too() {
        let folder = tempfile::tempdir().unwrap();
        let stub = Stub {
            stages: vec!["Production", "None", "None"],
            meanwhile: Some((2, "Production")),
            ..Stub::default()
        };
        let stub = Arc::new(Mutex::new(stub));
        let registry = registry(&stub, folder.path());
        let moved =
            registry.move_version("M", 2, Stage::Production, &mut |_, _| Ok(grounds("ada")));
        let error = moved.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().ends_with("version 3 is in Production"), "{error}");
        assert!(stub.lock().unwrap().tags.is_empty(), "no history of what is not so");
    }

    #[test]
    fn a_move_that_the_gate_refuses_asks_the_server_for_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let stub = Arc::new(Mutex::new(Stub { stages: vec!["None"], ..Stub::default() }));
        let registry = registry(&stub, folder.path());
        let moved = registry.move_version("M", 1, Stage::Production, &mut |_, _| {
            Err(Error::new(ErrorKind::Blocked, "no"))
        });
        assert_eq!(moved.unwrap_err().kind(), ErrorKind::Blocked);
        assert_eq!(stub.lock().unwrap().stages, ["None"]);
        assert!(stub.lock().unwrap().tags.is_empty());
    }
}
