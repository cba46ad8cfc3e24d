//! Slices of a test split, two versions beside each other, and the gate's floors for slices: the numbers
//! against SciPy and statsmodels (`fixtures/make_slices.py` wrote them), the rest as a script sees it.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};
use trialbook::{
    Book,
    book::{CompareRequest, SlicesRequest},
    display::Show as _,
    evaluate::{RightAnswers, SliceFeature, false_discovery_rates},
};

use crate::cli::{Answer, Trialbook};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/slices_expected.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn intervals_and_tests_of_shares_are_scipys_and_statsmodels() {
    let fixture = fixture();
    let pairs = fixture["pairs"].as_array().unwrap();
    assert!(pairs.len() >= 10);
    for pair in pairs {
        let of = |right: &str, n: &str| RightAnswers {
            n_right: pair[right].as_u64().unwrap() as usize,
            n_rows: pair[n].as_u64().unwrap() as usize,
        };
        let (own, rest) = (of("right", "n"), of("rest_right", "rest_n"));
        for (name, (lower, upper)) in
            [("wilson", own.interval()), ("newcombe", own.difference_interval(rest))]
        {
            let expected = [number(&pair[name][0]), number(&pair[name][1])];
            for (found, expected) in [lower, upper].into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{name} {pair}: {found}");
            }
        }
        let expected = number(&pair["fisher"]);
        let found = own.fisher(rest);
        assert!((found / expected - 1.0).abs() < 1e-8, "{pair}: {found}");
    }
    for family in fixture["families"].as_array().unwrap() {
        let of =
            |key: &str| family[key].as_array().unwrap().iter().map(number).collect::<Vec<f64>>();
        let found = false_discovery_rates(&of("p")).unwrap();
        for (found, expected) in found.into_iter().zip(of("q")) {
            assert!((found - expected).abs() < 1e-12, "{family}: {found}");
        }
    }
}

/// A store with the dataset `films` and two versions of the model `M`. The test split has 500 rows of five
/// genres; of westerns two in five are labelled wrong, of the others one in twenty. The column `side` is the
/// label.
fn films() -> Trialbook {
    let book = Trialbook::new();
    let rows = |n_rows: usize, has_faults: bool| {
        let mut rows = String::from("text,label,genre,stars,side,tags\n");
        for row in 0..n_rows {
            let genre = ["western", "drama", "war", "crime", "comedy"][row % 5];
            let is_good = row / 5 % 2 == 0;
            let word = match (is_good, row % 3) {
                (true, 0) => "wonderful",
                (true, _) => "lovely",
                (false, 0) => "dreadful",
                (false, _) => "boring",
            };
            let is_wrong =
                has_faults && if genre == "western" { row / 5 % 5 < 2 } else { row % 19 == 1 };
            let label = if is_good != is_wrong { "positive" } else { "negative" };
            let not = if row % 4 == 0 { " and not so short" } else { "" };
            let filler = " film".repeat(row * 7 % 11);
            let unknown = if has_faults && row % 2 == 0 { " qqq".repeat(8) } else { String::new() };
            let stars = if row % 10 == 3 { String::new() } else { (row * 13 % 40).to_string() };
            rows.push_str(&format!(
                "the {word}{filler}{not}{unknown},{label},{genre},{stars},{label},t{row}\n"
            ));
        }
        rows
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("train.csv"), rows(400, false)).unwrap();
    fs::write(path("test.csv"), rows(500, true)).unwrap();
    book.json(&[
        "data",
        "add",
        "films",
        "--train",
        &path("train.csv"),
        "--test",
        &path("test.csv"),
    ]);
    let train = ["train", "tfidf", "--data", "films", "--model", "M"];
    book.json(&[&train[..], &["--deploy", "--min", "0.1"]].concat());
    book.json(&[&train[..], &["--ngram", "2", "--max-features", "4"]].concat());
    book
}

fn named<'a>(slices: &'a Value, name: &str) -> &'a Value {
    let found = slices.as_array().unwrap().iter().find(|one| one["slice"] == name);
    found.unwrap_or_else(|| panic!("{name}: {slices:#}"))
}

#[test]
fn the_worst_slice_is_measured_and_found_without_being_named() {
    let book = films();
    let found = book.json(&["slices", "M/1", "--slice", "genre=western and negation"]);
    assert_eq!((&found["n_rows"], &found["min_rows"]), (&json!(500), &json!(50)));
    let worst = &found["slices"][0];
    let western = named(&found["slices"], "genre=western");
    assert_eq!((&western["n_rows"], &western["n_errors"]), (&json!(100), &json!(40)));
    assert_eq!((&western["verdict"], number(&western["accuracy"])), (&json!("worse"), 0.6));
    assert!(number(&western["accuracy_lower"]) < 0.6 && number(&western["accuracy_upper"]) > 0.6);
    let beside = &western["beside_rest"];
    assert!((number(&beside["difference"]) - (0.6 - number(&beside["accuracy"]))).abs() < 1e-12);
    assert!(number(&western["q_value"]) >= number(&beside["p_value"]));
    // A slice that is named is measured however few rows it has.
    assert_eq!(named(&found["slices"], "genre=western and negation")["n_rows"], 25);
    let differences: Vec<f64> = found["slices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| number(&one["beside_rest"]["difference"]))
        .collect();
    assert!(differences.is_sorted(), "{differences:?}");
    assert!(number(&worst["beside_rest"]["difference"]) < -0.3, "{worst}");
    for expected in ["length:q1", "unknown:q1", "negation", "stars:q4", "side=positive"] {
        named(&found["slices"], expected);
    }
    // Tags differ in every row.
    let notes = found["notes"].to_string();
    assert!(notes.contains("left out: 50"), "{notes}");
    assert!(notes.contains("rows of one class have no F1: side="), "{notes}");
    assert_eq!(named(&found["slices"], "side=positive")["f1"], Value::Null);

    let by_search = found["found"].as_array().unwrap();
    assert!(
        by_search.iter().any(|one| one["slice"].as_str().unwrap().contains("genre=western")),
        "{found:#}"
    );
    for one in by_search {
        assert_eq!(one["verdict"], "worse");
        assert!(number(&one["n_rows"]) < number(&one["n_all_rows"]), "{one}");
    }
    // The same answer for the same rows.
    let again = ["slices", "M/1", "--slice", "genre=western and negation"];
    assert_eq!(book.json(&again), found);

    let shown = book.call(&["slices", "M/1", "--by", "genre", "--by", "length"]).stdout;
    for expected in ["genre=western", "WORSE", "Found by a search", "p corrected for their number"]
    {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("stars") && !shown.contains("negation"), "{shown}");
    let few = book.json(&["slices", "M/1", "--by", "genre", "--min-rows", "126"]);
    assert_eq!((&few["slices"], &few["found"]), (&json!([]), &json!([])));
    assert!(few["notes"].to_string().contains("500 rows are too few to search"), "{few}");
}

#[test]
fn errors_of_a_slice_are_those_rows_alone() {
    let book = films();
    let all = book.json(&["errors", "M/1", "-n", "500"]);
    let found = book.json(&["errors", "M/1", "-n", "500", "--slice", "genre = western"]);
    assert_eq!((&found["n_rows"], &found["n_errors"]), (&json!(100), &json!(40)));
    assert_eq!(found["slice"], "genre=western");
    assert_eq!(number(&found["report"]["accuracy"]), 0.6);
    assert_eq!(found["report"]["micro_average"]["recall"], found["report"]["accuracy"]);
    let rows = |found: &Value| -> Vec<u64> {
        let errors = found["errors"].as_array().unwrap();
        errors.iter().map(|error| error["row"].as_u64().unwrap()).collect()
    };
    // Westerns are every fifth row; the rows keep their numbers in the split, and their order.
    let expected: Vec<u64> = rows(&all).into_iter().filter(|row| row % 5 == 0).collect();
    assert_eq!(rows(&found), expected);
    let both = ["errors", "M/1", "--slice", "genre=western", "--class", "positive"];
    let of_class = book.json(&both);
    assert!(number(&of_class["n_rows"]) < 100.0 && number(&of_class["n_rows"]) > 0.0);
    let shown = book.call(&both).stdout;
    assert!(shown.contains("rows in the slice genre=western labelled positive"), "{shown}");

    for (slice, n_rows) in [
        ("unknown>0.2", 250),
        ("/QQQ/i", 250),
        ("negation", 125),
        ("not negation", 375),
        ("stars=null", 50),
        ("stars!=null and stars>=0", 450),
        ("genre!=western and genre!=war and stars<0", 0),
    ] {
        let args = ["errors", "M/1", "--slice", slice];
        match n_rows {
            0 => assert!(book.fails(1, &args).contains("no row of films.test is in the slice")),
            _ => assert_eq!(book.json(&args)["n_rows"], n_rows, "{slice}"),
        }
    }
    let single = book.json(&["errors", "M/1", "--slice", "side=negative"]);
    let notes = single["notes"].to_string();
    assert!(notes.contains("all rows of the slice are labelled negative"), "{notes}");
}

#[test]
fn what_is_no_slice_is_refused_in_one_sentence() {
    let book = films();
    let has = "dataset \"films\" has no column \"gendre\": found genre, stars, side, tags";
    for (args, expected) in [
        (&["errors", "M/1", "--slice", "gendre=war"][..], has),
        (&["slices", "M/1", "--slice", "length:q1 and gendre=war"], has),
        (&["slices", "M/1", "--by", "gendre"], has),
        (
            &["errors", "M/1", "--slice", "genre=opera"],
            "no row of films.test is in the slice genre=opera",
        ),
        (&["slices", "M/1", "--slice", "genre>3"], "the column \"genre\" holds text"),
        (&["slices", "M/1", "--min-rows", "0"], "the smallest slice has 0 rows"),
        (&["slices", "M/1", "--split", "holdout"], "has no split \"holdout\""),
        (&["slices", "Nobody"], "Nobody"),
        (&["compare", "M/1", "M/Production"], "M/1 and M/Production are the same version, M/1"),
        (&["compare", "M/1", "M/9"], "9"),
        (&["compare", "M/1", "M/2", "--out", "rows.docx"], "unknown extension \"docx\""),
    ] {
        let refused = book.fails(1, args);
        assert!(refused.contains(expected), "{args:?}: {refused}");
    }
    for (slice, expected) in [
        ("length:q5", "slice \"length:q5\", character 8: found \"q5\", expected a quarter"),
        ("/(/", "character 1: no regular expression: unclosed group"),
        ("genre=science fiction", "put a value with blanks in double quotes"),
    ] {
        let refused = book.fails(2, &["errors", "M/1", "--slice", slice]);
        assert!(refused.contains(expected), "{slice}: {refused}");
    }
    // A dataset that has no further columns says so.
    book.json(&["data", "sample"]);
    let refused = book.fails(1, &["errors", "M/1", "--data", "sample", "--slice", "genre=war"]);
    assert!(
        refused.contains("dataset \"sample\" has no column \"genre\": found none"),
        "{refused}"
    );
}

#[test]
fn two_versions_are_compared_row_by_row() {
    let book = films();
    let found = book.json(&["compare", "M/1", "M/2", "-n", "3"]);
    let count = |name: &str| found[name].as_u64().unwrap();
    let (first, second) = (count("n_only_first"), count("n_only_second"));
    assert_eq!(first + second + count("n_both_right") + count("n_both_wrong"), 500);
    assert!(first > 20 && second > 3, "{found:#}");
    let right = |name: &str| (number(&found[name]["accuracy"]) * 500.0).round() as u64;
    assert_eq!(right("first"), count("n_both_right") + first);
    assert_eq!(right("second"), count("n_both_right") + second);
    for (side, other, listed) in
        [("first", "second", &found["only_first"]), ("second", "first", &found["only_second"])]
    {
        let rows = listed.as_array().unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row[side] == row["label"] && row[other] != row["label"]));
        let sure: Vec<f64> =
            rows.iter().map(|row| number(&row[format!("{other}_confidence")])).collect();
        assert!(sure.is_sorted_by(|one, next| one >= next), "{sure:?}");
    }
    // The evidence is the gate's: there version 2 is the first.
    let answer = book.call(&["gate", "M", "2", "--json"]);
    let gate: Value = serde_json::from_str(&answer.stdout).unwrap();
    let of = |value: &Value, pointer: &str| number(value["evidence"].pointer(pointer).unwrap());
    let [own, theirs] = [of(&found, "/mcnemar/p_value"), of(&gate, "/mcnemar/p_value")];
    assert_eq!(own, theirs);
    let difference = "/bootstrap/accuracy/difference";
    assert_eq!(of(&found, difference), -of(&gate, difference));

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows.csv");
    let out = out.to_str().unwrap();
    let written = book.json(&["compare", "M/1", "M/2", "-n", "0", "--out", out]);
    assert!(written["notes"].to_string().contains("rows written to"), "{written}");
    let text = fs::read_to_string(out).unwrap();
    let head = "row,text,label,right,first,first_confidence,second,second_confidence";
    assert_eq!(text.lines().next(), Some(head));
    assert_eq!(text.lines().count() as u64, 1 + first + second);
    assert!(book.fails(1, &["compare", "M/1", "M/2", "--out", out]).contains("exists already"));
    book.json(&["compare", "M/1", "M/2", "--out", out, "--force"]);

    let shown = book.call(&["compare", "M/1", "M/2", "-n", "1"]).stdout;
    for expected in ["M/2 right", "Only M/1 is right", "McNemar's exact p", "95 % interval"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let same = book.json(&["compare", "M/1", "M/2", "--data", "films.train"]);
    assert_eq!(same["split"], "train");
}

#[test]
fn the_gate_holds_a_floor_for_slices() {
    let book = films();
    let judged = |policy: &str| -> (i32, Value) {
        let path = book.store().join("policy.toml");
        fs::write(&path, policy).unwrap();
        book.json(&["gate", "policy", "set", path.to_str().unwrap()]);
        let answer = book.call(&["gate", "M", "1", "--json"]);
        (answer.code, serde_json::from_str(&answer.stdout).unwrap())
    };
    let (code, verdict) =
        judged("[slice_floor]\nmin = 0.7\nby = [\"genre\"]\nslices = [\"negation\"]\n");
    assert_eq!(code, 3, "{verdict:#}");
    let checks = verdict["checks"].as_array().unwrap();
    let blocked: Vec<&str> = checks
        .iter()
        .filter(|check| check["passed"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!((checks.len(), blocked), (6, vec!["accuracy of genre=western >= 0.7"]));
    let reason = verdict["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("accuracy of genre=western 0.6000 (100 rows, 95 % 0.5"), "{reason}");
    let told = book.call(&["gate", "M", "1", "--explain"]).stdout;
    assert!(told.contains("accuracy of genre=western") && told.contains("is below 0.7"), "{told}");

    let (code, verdict) =
        judged("[slice_floor]\nmin = 0.5\nby = [\"genre\", \"length\", \"unknown\"]\n");
    assert_eq!(code, 0, "{verdict:#}");
    let warned = "[slice_floor]\nmin = 0.7\nslices = [\"genre=western\"]\nlevel = \"warn\"\n";
    let (code, verdict) = judged(warned);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(verdict["reasons"].to_string().contains("warning: accuracy of genre=western 0.6000"));
    let (code, verdict) = judged("[slice_floor]\nmin = 0.1\nslices = [\"year>1990\"]\n");
    assert_eq!(code, 3, "{verdict:#}");
    let expected = "accuracy of year>1990 cannot be judged: no column \"year\" of numbers or text: found \
                    genre, stars, side, tags";
    assert_eq!(verdict["reasons"][0], expected);
    // Without its test split no slice is known.
    book.json(&["data", "remove", "films"]);
    let (code, verdict) = judged("[slice_floor]\nmin = 0.1\nby = [\"length\"]\n");
    assert_eq!(code, 3);
    let reason = verdict["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("accuracy of every slice cannot be judged: "), "{reason}");
    let refused = book.fails(1, &["slices", "M/1"]);
    assert!(refused.contains("films"), "{refused}");
}

#[test]
fn the_library_has_slices_and_comparisons_as_values_that_show_themselves() {
    let program = films();
    let book = Book::open(program.store());
    let request = SlicesRequest { by: vec![SliceFeature::Length], ..SlicesRequest::new("M/1") };
    let analysis = book.slices(&request).unwrap();
    assert_eq!(analysis.slices.len(), 4);
    let html = analysis.content().data["text/html"].as_str().unwrap().to_owned();
    assert!(html.contains("length:q1"), "{html}");
    let comparison = book.compare(&CompareRequest::new("M/1", "M/2")).unwrap();
    assert_eq!(comparison.only_first.len(), 10);
    let html = comparison.content().data["text/html"].as_str().unwrap().to_owned();
    assert!(html.contains("Only M/2 is right"), "{html}");
}

#[test]
fn a_named_slice_without_a_row_leaves_the_others_their_lines() {
    let book = films();
    let args = ["slices", "M/1", "--slice", "genre=opera", "--slice", "genre=war and length>3"];
    let told = book.json(&args);
    let notes = told["notes"].to_string();
    assert!(notes.contains("no row of films.test is in the slice genre=opera"), "{notes}");
    let slices: Vec<_> =
        told["slices"].as_array().unwrap().iter().map(|one| &one["slice"]).collect();
    assert!(slices.contains(&&json!("genre=war and length>3")), "{slices:?}");
    assert!(!slices.contains(&&json!("genre=opera")), "{slices:?}");
    let shown = book.call(&args).stdout;
    assert!(shown.contains("no row of films.test is in the slice genre=opera"), "{shown}");
}

#[test]
fn cells_have_the_same_commands() {
    let book = films();
    let cells = ":compare M/1 M/2 -n 1\n:slices M/1 --by genre --slice \"genre=war and length>3\"\n\
                 :errors M/1 --slice genre=opera\n";
    let mut child = book
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cells.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let answer = Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: told(output.stdout),
        stderr: told(output.stderr),
    };
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    for expected in ["Only M/1 is right", "genre=western", "WORSE", "genre=war and length>3"] {
        assert!(answer.stdout.contains(expected), "{expected}: {}", answer.stdout);
    }
    let refused = "no row of films.test is in the slice genre=opera";
    assert!(answer.stderr.contains(refused), "{}", answer.stderr);
}
