//! Damaged bytes are errors, never wrong data.

use std::fs;

use trialbook::{
    ErrorKind, Result,
    registry::{Registry, Run, RunQuery},
};

use super::{Fixture, metrics, params};

#[test]
fn every_single_byte_change_of_an_artifact_is_an_error() {
    let f = Fixture::new();
    let version = f.version("M", "the weights of a small model");
    let artifact = version.files[0].clone();
    let path = f.registry.artifact_path(&artifact).unwrap();
    let bytes = fs::read(&path).unwrap();
    let check = |damaged: &[u8], what: &str| {
        fs::write(&path, damaged).unwrap();
        for refused in [
            f.registry.read_artifact(&artifact).map(drop),
            f.registry.artifact_path(&artifact).map(drop),
            f.registry.model_files(&version).map(drop),
        ] {
            let error = refused.err().unwrap_or_else(|| panic!("{what} was not noticed"));
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}");
        }
    };
    for idx in 0..bytes.len() {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[idx] ^= flip;
            check(&damaged, &format!("byte {idx} ^ {flip}"));
        }
    }
    check(&bytes[..bytes.len() - 1], "a missing byte");
    check(&[&bytes[..], b"x"].concat(), "a byte too many");
    check(b"", "an empty file");
    let verification = f.registry.verify().unwrap();
    assert_eq!(verification.corrupt.as_slice(), std::slice::from_ref(&artifact.sha256));

    fs::remove_file(&path).unwrap();
    let error = f.registry.read_artifact(&artifact).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(
        error.to_string(),
        format!("weights.bin: artifact {} is missing from the store", artifact.sha256)
    );
    let verification = f.registry.verify().unwrap();
    assert_eq!(verification.missing, [artifact.sha256]);
    assert!(verification.database_valid && !verification.is_valid());
}

#[test]
fn logging_the_same_content_again_heals_a_damaged_artifact() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let artifact = f.registry.log_artifact(&run, "a", b"content").unwrap();
    let path = f.registry.artifact_path(&artifact).unwrap();
    fs::write(&path, b"cOntent").unwrap();
    assert!(f.registry.read_artifact(&artifact).is_err());
    f.registry.log_artifact(&run, "b", b"content").unwrap();
    assert_eq!(f.registry.read_artifact(&artifact).unwrap(), b"content");
}

/// Everything a reader can ask for.
fn read_all(registry: &Registry) -> Result<(Vec<Run>, usize, Vec<String>)> {
    let runs = registry.search_runs(&RunQuery::default())?;
    let mut n_metrics = 0;
    for run in &runs {
        n_metrics += registry.histories(&run.run_id)?.len();
        registry.artifacts(&run.run_id)?;
    }
    let mut names = Vec::new();
    for model in registry.models()? {
        for version in registry.versions(&model.name)? {
            names.push(format!("{}/{} {}", version.model, version.version, version.stage));
        }
    }
    registry.experiments()?;
    Ok((runs, n_metrics, names))
}

#[test]
fn a_damaged_registry_file_is_a_clear_error_and_never_wrong_data() {
    let f = Fixture::new();
    for idx in 0..20 {
        let run = f.run(&format!("run {idx}")).run_id;
        f.registry.log(&run, &params(&[("model", "tfidf")])).unwrap();
        f.registry.log(&run, &metrics(&[("f1", 0.5 + f64::from(idx) / 100.0, 0)])).unwrap();
    }
    f.version("M", "weights");
    let store = f.store().clone();
    let expected = read_all(&f.registry).unwrap();
    let Fixture { folder, registry } = f;
    drop(registry);

    let path = store.registry_path();
    let bytes = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|idx| bytes[*idx] != 0).collect();
    let mut n_noticed = 0;
    let check = |damaged: &[u8], what: &str| {
        // A file of its own, not one that redb still holds.
        let _ = fs::remove_file(&path);
        fs::write(&path, damaged).unwrap();
        match Registry::open(&store).and_then(|registry| read_all(&registry)) {
            Ok(found) if found == expected => 0,
            // A row was lost from sight. No row is ever wrong, and a whole check tells.
            Ok((runs, n_metrics, versions)) => {
                assert!(runs.iter().all(|run| expected.0.contains(run)), "{what}");
                assert!(n_metrics <= expected.1, "{what}");
                assert!(versions.iter().all(|version| expected.2.contains(version)), "{what}");
                let verified = Registry::open(&store).and_then(|registry| registry.verify());
                assert!(!verified.is_ok_and(|verified| verified.is_valid()), "{what}");
                1
            }
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Invalid];
                assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
                assert!(error.hint().is_some(), "{what}: {error:?}");
                1
            }
        }
    };
    // A prime step, so that every part of a page is met.
    for idx in used.iter().copied().step_by(131) {
        let mut damaged = bytes.clone();
        damaged[idx] ^= 1 << (idx % 8);
        n_noticed += check(&damaged, &format!("byte {idx}"));
    }
    assert!(n_noticed > 20, "only {n_noticed} changes were noticed");
    for len in [0, 1, 100, 4096, bytes.len() / 2, bytes.len() - 4096] {
        assert_eq!(check(&bytes[..len], &format!("cut to {len} bytes")), 1, "{len}");
    }
    assert_eq!(check(b"something else entirely", "another file"), 1);
    assert_eq!(check(&bytes, "the file as it was"), 0);
    drop(folder);
}
