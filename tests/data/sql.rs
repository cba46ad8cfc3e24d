//! SQL over datasets and lent tables.

use trialbook::{
    Error, ErrorKind,
    data::{Column, ExtraTables, Source},
};

use super::lab::{Lab, csv, ten_rows};

#[test]
fn sql_reads_every_split() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("my-data", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (query, expected) in [
        (
            "select label, count(*) as n from sample group by label order by label",
            r#"[{"label": "negative", "n": 1500}, {"label": "positive", "n": 1500}]"#,
        ),
        ("select count(*) as n from sample.train", r#"[{"n": 2000}]"#),
        ("SELECT count(*) AS n FROM sample.test t WHERE t.label = 'positive'", r#"[{"n": 500}]"#),
        (
            "select split, count(*) as n, avg(target) as mean, min(target) as low, max(target) as \
             high from sample group by split order by split desc",
            r#"[{"split": "train", "n": 2000, "mean": 0.5, "low": 0, "high": 1},
                {"split": "test", "n": 1000, "mean": 0.5, "low": 0, "high": 1}]"#,
        ),
        ("select count(*) as n from \"my-data\".train", r#"[{"n": 8}]"#),
        ("select count(*) as n from \"my-data\"", r#"[{"n": 10}]"#),
        ("select count(*) as n from \"my-data.test\" as x", r#"[{"n": 2}]"#),
        (
            "select a.label as label, count(*) as n from sample.train a join sample.test b on \
             a.text = b.text group by a.label",
            "[]",
        ),
        (
            "select a.n as train, b.n as test from (select label, count(*) as n from sample.train \
             group by label) a join (select label, count(*) as n from sample.test group by label) b \
             on a.label = b.label where a.label = 'positive'",
            r#"[{"train": 1000, "test": 500}]"#,
        ),
        (
            "select count(*) as n from (select text from sample.test union all select text from \
             \"my-data\")",
            r#"[{"n": 1010}]"#,
        ),
        (
            "select label from sample union select label from sample.test order by label",
            r#"[{"label": "negative"}, {"label": "positive"}]"#,
        ),
        (
            "select case when target = 1 then 'up' else 'down' end as way, count(*) as n from \
             sample.test group by way order by way",
            r#"[{"way": "down", "n": 500}, {"way": "up", "n": 500}]"#,
        ),
        (
            "select text from \"my-data\" where text like '%number 4%'",
            r#"[{"text": "a \"fine\" film, number 4<br />\nreally"}]"#,
        ),
        (
            "select upper(label) as l, length(text) as n from \"my-data\" where text ilike \
             '%NUMBER 2%'",
            r#"[{"l": "POSITIVE", "n": 36}]"#,
        ),
        (
            "select round(avg(length(text)), 2) as mean from \"my-data\" where label = 'negative'",
            r#"[{"mean": 20.0}]"#,
        ),
        ("select count(distinct label) as n from sample", r#"[{"n": 2}]"#),
        ("select distinct split from sample order by split limit 1", r#"[{"split": "test"}]"#),
        (
            "with p as (select * from sample.test where target = 1) select count(*) as n from p",
            r#"[{"n": 500}]"#,
        ),
        ("select label, count(*) as n from sample group by label having count(*) > 2000", "[]"),
        (
            "select count(*) as n from sample.test where label in ('positive') and text is not null",
            r#"[{"n": 500}]"#,
        ),
        (
            "select count(*) as n from sample.test where label in (select label from \"my-data\" \
             where target = 1)",
            r#"[{"n": 500}]"#,
        ),
        (
            "select label, row_number() over (partition by label order by text) as k from \
             \"my-data\" order by label, k limit 1",
            r#"[{"label": "negative", "k": 1}]"#,
        ),
        (
            "select median(target) as m, stddev(target) as s, sum(target) as t from \"my-data\"",
            r#"[{"m": 0.5, "s": 0.5270462766947299, "t": 5}]"#,
        ),
        (
            "select substr(label, 1, 3) as s, label || '!' as b, concat(label, '-', target) as c, \
             replace(label, 'pos', 'neg') as r, target + 1.5 as x from \"my-data.test\" where \
             target = 1",
            r#"[{"s": "pos", "b": "positive!", "c": "positive-1", "r": "negitive", "x": 2.5}]"#,
        ),
        (
            "select cast(target as double) / 3 as x, target - 2 as y from sample where target = 1 limit 1",
            r#"[{"x": 0.3333333333333333, "y": -1}]"#,
        ),
        (
            "select starts_with(label, 'neg') as a, strpos(label, 'g') as b from \"my-data.test\" \
             where label = 'negative'",
            r#"[{"a": true, "b": 3}]"#,
        ),
        ("select sample.train.label from sample.train limit 1", r#"[{"label": "positive"}]"#),
        ("select sample.label from sample limit 1", r#"[{"label": "positive"}]"#),
        ("select 1 as one", r#"[{"one": 1}]"#),
    ] {
        assert_eq!(lab.sql(query), json(expected), "{query}");
    }
    let rows = lab.datasets.frame("sample").unwrap().collect().unwrap();
    assert_eq!(rows.shape(), (3_000, 4));
    assert_eq!(lab.datasets.frame("sample.test").unwrap().collect().unwrap().shape(), (1_000, 3));
}

#[test]
fn lent_tables_are_built_only_when_a_query_names_them() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let built = std::cell::RefCell::new(Vec::new());
    let build = |table: &str| {
        built.borrow_mut().push(table.to_owned());
        Ok(vec![
            ("run_id".to_owned(), Column::Str(vec![Some("a".into()), Some("b".into()), None])),
            ("f1".to_owned(), Column::F64(vec![Some(0.9), Some(f64::NAN), None])),
            ("step".to_owned(), Column::I64(vec![Some(1), Some(2), Some(3)])),
            ("best".to_owned(), Column::Bool(vec![Some(true), None, Some(false)])),
        ])
    };
    let tables = ExtraTables { names: &["runs", "metrics"], build: &build };
    lab.datasets.sql("select count(*) from sample", &tables).unwrap();
    assert!(built.borrow().is_empty());
    let result = lab
        .datasets
        .sql(
            "select m.run_id, m.f1, m.best from metrics m where m.step < 3 order by m.step",
            &tables,
        )
        .unwrap();
    assert_eq!(*built.borrow(), ["metrics"]);
    let expected = serde_json::json!([
        {"run_id": "a", "f1": 0.9, "best": true},
        {"run_id": "b", "f1": "NaN", "best": null},
    ]);
    assert_eq!(result.to_json(), expected);
    let failing = ExtraTables {
        names: &["runs"],
        build: &|_| Err(Error::new(ErrorKind::Corrupt, "registry is damaged")),
    };
    let error = lab.datasets.sql("select * from runs", &failing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let empty = ExtraTables {
        names: &["runs"],
        build: &|_| Ok(vec![("run_id".to_owned(), Column::Str(Vec::new()))]),
    };
    assert_eq!(lab.datasets.sql("select run_id from runs", &empty).unwrap().n_rows(), 0);
}

/// What people who come from DuckDB type.
#[test]
fn the_words_of_other_databases_are_understood() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let path = |name: &str, content: &str| lab.write(name, content).display().to_string();
    let csv = path("stars.csv", "film,stars\na,1\nb,4\nc,5\n");
    let jsonl = path("price.jsonl", "{\"film\": \"a\", \"price\": 1.5}\n");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (query, expected) in [
        ("select count(*) from sample.test", r#"[{"count(*)": 1000}]"#),
        (
            "select avg(target), max(target) from sample",
            r#"[{"avg(target)": 0.5, "max(target)": 1}]"#,
        ),
        (
            "select label, count(*) from sample group by label order by count(*) desc, label",
            r#"[{"label": "negative", "count(*)": 1500}, {"label": "positive", "count(*)": 1500}]"#,
        ),
        (
            "select quantile(target, 0.5) as q, mean(target) as m from sample",
            r#"[{"q": 0.5, "m": 0.5}]"#,
        ),
        (
            "select count(*) as n from sample.test where regexp_matches(label, '^pos') and target > 1e-3",
            r#"[{"n": 500}]"#,
        ),
        (&format!("select avg(stars) from '{csv}' where stars > 3"), r#"[{"avg(stars)": 4.5}]"#),
        (
            &format!(
                "select s.film, stars, price from '{csv}' s join '{jsonl}' p on s.film = p.film"
            ),
            r#"[{"film": "a", "stars": 1, "price": 1.5}]"#,
        ),
        ("show tables", r#"[{"name": "sample", "kind": "dataset"}]"#),
        (
            "describe sample.test",
            r#"[{"column": "text", "type": "str"}, {"column": "label", "type": "str"},
                {"column": "target", "type": "i32"}]"#,
        ),
        ("describe select 1.5 as x", r#"[{"column": "x", "type": "f64"}]"#),
    ] {
        assert_eq!(lab.sql(query), json(expected), "{query}");
    }
}

#[test]
fn an_answer_is_copied_into_a_file_that_reads_back_the_same() {
    let lab = Lab::new();
    let source = "film,stars,seen\n\"a, \"\"b\"\"\",1,2024-01-05\n,4,2024-02-01\nc,,2024-03-01\n";
    let source = lab.write("films.csv", source);
    let query = format!("select film, stars, seen from '{}'", source.display());
    let expected = lab.sql(&query);
    for name in ["out.csv", "out.tsv", "out.jsonl", "out.parquet"] {
        let path = lab.path(name);
        let copy = format!("copy ({query}) to '{}'", path.display());
        assert_eq!(lab.sql(&copy), serde_json::json!([{"rows": 3, "file": path}]), "{name}");
        let read = lab.sql(&format!("select * from '{}'", path.display()));
        assert_eq!(read, expected, "{name}");
        // A second copy writes over nothing, and says so before it asks anything.
        let before = std::fs::read(&path).unwrap();
        let error = lab.datasets.sql(&copy, &ExtraTables::none()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.hint().map(ToString::to_string).as_deref(),
            Some("name another file: `copy` replaces no file")
        );
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let path = lab.path("sample.parquet");
    let copy = format!("copy sample.test to '{}'", path.display());
    assert_eq!(lab.sql(&copy)[0]["rows"], 1000);
    let empty = lab.path("none.csv");
    lab.sql(&format!("copy (select label from sample where 1 = 2) to '{}'", empty.display()));
    assert_eq!(std::fs::read_to_string(&empty).unwrap(), "label\n");
    // A query that fails leaves no file behind.
    let nothing = lab.path("nothing.csv");
    let copy = format!("copy (select wrong from sample) to '{}'", nothing.display());
    lab.datasets.sql(&copy, &ExtraTables::none()).unwrap_err();
    assert!(!nothing.exists());
}

#[test]
fn a_wrong_query_is_one_clear_message() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("my-data", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let tables = ExtraTables { names: &["runs"], build: &|_| Ok(Vec::new()) };
    let known =
        "there are \"my-data\", sample, runs; every dataset also as NAME.train and NAME.test";
    for (query, expected, hint) in [
        ("select * from nothing", "sql: table \"nothing\" does not exist", known),
        ("select * from sample.dev", "sql: table \"sample.dev\" does not exist", known),
        ("select * from nothing.train", "sql: table \"nothing.train\" does not exist", known),
        ("select wrong from sample", "wrong", ""),
        ("select * from sample where", "sql: ", ""),
        ("selec * from sample", "sql: \"selec\" does not begin a query", "begin with"),
        ("select * from my-data", "sql: ", "\"my-data\""),
        ("drop table sample", "sql: \"drop\" does not begin a query", "begin with"),
        ("select nosuch(text) from sample", "nosuch", ""),
        ("", "sql: the query is empty", "select label"),
        ("select 1 where false", "sql: where without from", "name a table"),
        (
            "select max(target) from sample having max(target) > 1",
            "having without group by",
            "group by",
        ),
        ("select 1 from sample where exists (select 1 from runs)", "exists", "in (select"),
        ("select label from sample where label > 3", "sql: cannot compare string", "in quotes"),
        ("select * from 'nowhere.csv'", "nowhere.csv", ""),
        ("select * from 'notes.txt'", "notes.txt", ""),
    ] {
        let error = lab.datasets.sql(query, &tables).expect_err(query);
        let chain = error.chain();
        println!("{query}\n  {error:?}");
        assert!(chain.contains(expected) && !chain.contains('\n'), "{query}: {chain}");
        let found = error.hint().cloned().unwrap_or_default().to_string();
        assert!(found.contains(hint), "{query}: {error:?}");
    }
}
