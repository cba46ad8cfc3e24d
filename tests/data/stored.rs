//! Datasets in the store: list, read, remove, describe, damage, many writers.

use std::{fs, path::PathBuf};

use trialbook::{
    ErrorKind,
    data::{AddOutcome, Source},
};

use super::lab::{Lab, csv, ten_rows};

#[test]
fn datasets_are_listed_read_and_removed() {
    let lab = Lab::new();
    assert!(lab.datasets.list().unwrap().is_empty());
    let error = lab.datasets.get("sample").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().to_string().contains("the store has no datasets"));
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("a-b", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    // What a crash may leave behind is not a dataset.
    fs::create_dir(lab.dir.path().join("store/data/.trialbook-left")).unwrap();
    let names: Vec<String> =
        lab.datasets.list().unwrap().into_iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, ["a-b", "sample"]);
    let head = lab.datasets.head("sample", 3).unwrap();
    assert_eq!((head.split.as_str(), head.rows.len()), ("train", 3));
    assert_eq!(lab.datasets.head("a-b.test", 99).unwrap().rows.len(), 2);
    assert_eq!(lab.datasets.head("a-b.dev", 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(lab.datasets.split("sample", "dev").unwrap_err().kind(), ErrorKind::NotFound);
    let error = lab.datasets.get("samples").unwrap_err();
    assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some("the store has a-b, sample"));
    lab.datasets.remove("a-b").unwrap();
    assert_eq!(lab.datasets.remove("a-b").unwrap_err().kind(), ErrorKind::NotFound);
    let left: Vec<PathBuf> = lab.store_files();
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("a-b")), "{left:?}");
    // Sweeping deletes what the crash left, and only once it is old.
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(lab.datasets.sweep(day).unwrap(), 0);
    assert_eq!(lab.datasets.sweep(std::time::Duration::ZERO).unwrap(), 1);
    assert_eq!(lab.datasets.list().unwrap().len(), 1);
    // A name that is no name never becomes a path.
    assert_eq!(lab.datasets.get("../data/sample").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(lab.datasets.remove("../data").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn names_of_tables_and_words_of_sql_are_refused_and_what_has_one_stays() {
    let lab = Lab::new();
    let file = lab.write("a.csv", csv(&ten_rows(), ','));
    for name in trialbook::data::RESERVED_NAMES.into_iter().chain(["from", "Table", "null"]) {
        let error = lab.add_file(name, &file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        assert!(error.hint().unwrap().to_string().contains("choose another name"), "{error:?}");
        assert!(lab.store_files().is_empty());
    }
    // As they lie in a store that was filled when these names were allowed.
    for name in ["audit", "from"] {
        lab.add_file("fine", &file).unwrap();
        let data = lab.dir.path().join("store/data");
        let manifest = fs::read_to_string(data.join("fine/dataset.json")).unwrap();
        let manifest = manifest.replace("\"fine\"", &format!("\"{name}\""));
        fs::write(data.join("fine/dataset.json"), manifest).unwrap();
        fs::rename(data.join("fine"), data.join(name)).unwrap();
    }
    let names: Vec<String> =
        lab.datasets.list().unwrap().into_iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, ["audit", "from"]);
    assert_eq!(lab.datasets.split("audit", "train").unwrap().texts.len(), 8);
    let tables = trialbook::data::ExtraTables {
        names: &["audit"],
        build: &|_| Ok(vec![("who".to_owned(), trialbook::data::Column::Str(vec![None]))]),
    };
    let count = |table: &str| {
        let query = format!("select count(*) as n from {table}");
        lab.datasets.sql(&query, &tables).unwrap().to_json()[0]["n"].clone()
    };
    // SQL's own table comes first; the dataset's splits and what is quoted are in reach.
    for (table, n_rows) in
        [("audit", 1), ("audit.train", 8), ("\"from\"", 10), ("\"from\".test", 2)]
    {
        assert_eq!(count(table), n_rows, "{table}");
    }
    let error = lab.datasets.sql("select * from nothing", &tables).unwrap_err();
    let known = "there are \"from\", audit; every dataset also as NAME.train and NAME.test";
    assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some(known));
    let error = lab.datasets.sql("select from.text from from", &tables).unwrap_err();
    assert!(error.hint().unwrap().to_string().contains("in double quotes: \"from\""), "{error:?}");
    // What the parser takes for a name can be one.
    lab.add_file("order", &file).unwrap();
    assert_eq!(count("order where label = 'positive' or order.label = 'negative'"), 10);
    lab.datasets.remove("order").unwrap();
    let unreserved = trialbook::data::ExtraTables { names: &["new"], ..tables };
    let error = lab.datasets.sql("select 1", &unreserved).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    lab.datasets.remove("audit").unwrap();
    lab.datasets.remove("from").unwrap();
}

#[test]
fn damaged_files_are_corrupt_and_never_wrong_data() {
    let lab = Lab::new();
    lab.add_file("reviews", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let file = lab.dir.path().join("store/data/reviews/train.parquet");
    let whole = fs::read(&file).unwrap();
    lab.datasets.verify("reviews").unwrap();
    let before = lab.datasets.split("reviews", "train").unwrap();
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, damaged).unwrap();
        let error = lab.datasets.split("reviews", "train").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error:?}");
    }
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let error = lab.datasets.split("reviews", "train").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}");
        assert!(error.hint().unwrap().to_string().contains("data remove"));
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(lab.datasets.split("reviews", "train").unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(&file, whole).unwrap();
    assert_eq!(lab.datasets.split("reviews", "train").unwrap(), before);
}

#[test]
fn many_threads_add_the_same_name_and_one_wins() {
    let lab = Lab::new();
    let same = lab.write("same.csv", csv(&ten_rows(), ','));
    let other = lab.write("other.csv", csv(&ten_rows()[..8], ','));
    let outcomes: Vec<Result<AddOutcome, ErrorKind>> = std::thread::scope(|scope| {
        let adds: Vec<_> = (0..8)
            .map(|n| if n % 4 == 3 { &other } else { &same })
            .map(|file| {
                scope.spawn(|| {
                    lab.add_file("reviews", file)
                        .map(|added| added.outcome)
                        .map_err(|error| error.kind())
                })
            })
            .collect();
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    let n_created = outcomes.iter().filter(|outcome| **outcome == Ok(AddOutcome::Created)).count();
    assert_eq!(n_created, 1, "{outcomes:?}");
    for outcome in &outcomes {
        let is_fine = matches!(
            outcome,
            Ok(AddOutcome::Created | AddOutcome::Unchanged) | Err(ErrorKind::Conflict)
        );
        assert!(is_fine, "{outcomes:?}");
    }
    lab.datasets.verify("reviews").unwrap();
    let left = fs::read_dir(lab.dir.path().join("store/data")).unwrap().count();
    assert_eq!(left, 1, "no temporary folder is left");
}

#[test]
fn the_sample_is_described() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let profile = lab.datasets.describe("sample").unwrap();
    let train = &profile.splits[0];
    assert_eq!((train.n_rows, &train.class_counts[..]), (2_000, &[1_000, 1_000][..]));
    assert_eq!((train.n_duplicates, train.n_empty, profile.overlap.n_texts), (0, 0, 0));
    assert!((20..60).contains(&train.n_words.min) && (60..=120).contains(&train.n_words.max));
    let telling: Vec<&str> =
        profile.telling_words[1].words.iter().map(|word| word.word.as_str()).collect();
    assert!(telling.contains(&"good") && telling.contains(&"wonderful"), "{telling:?}");
    let output = profile.to_output();
    assert_eq!(output.json()["splits"][1]["n_rows"], 1_000);
    assert!(output.to_text(None).contains("most telling words"));
}
