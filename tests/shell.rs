//! The shell: cells from pipes, arguments and files, and a person at a terminal. The terminal is a
//! pseudo-terminal that `script` of util-linux makes.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::cli::{Answer, Trialbook};

/// Pipes `cells` into the program.
fn piped(book: &Trialbook, cells: &str) -> Answer {
    let mut command = book.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(cells.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn piped_cells_run_in_order_without_banner_or_prompt() {
    let book = Trialbook::new();
    let cells = ":data sample\n:sql\nselect label, count(*) as n\nfrom sample.train\ngroup by label;\n\
                 :sql select 'it''s' as \"a b\"\n";
    let answer = piped(&book, cells);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.starts_with("added sample: 2,000 train"), "{}", answer.stdout);
    assert!(answer.stdout.contains("positive"), "{}", answer.stdout);
    assert!(answer.stdout.ends_with("a b\n────\nit's\n"), "{}", answer.stdout);
    assert!(!answer.stdout.contains('\u{1b}'), "{}", answer.stdout);
}

#[test]
fn the_first_failure_ends_them_and_is_shown_with_its_cell() {
    let book = Trialbook::new();
    let answer = piped(&book, ":data sample\n:data show nothing\n:data list\n");
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("cell 2 failed:\n  :data show nothing\n"), "{}", answer.stderr);
    assert!(answer.stderr.contains("error: dataset \"nothing\""), "{}", answer.stderr);
    assert!(answer.stderr.contains("hint: "), "{}", answer.stderr);
    assert_eq!(answer.stdout.lines().count(), 1, "what comes after did not run: {}", answer.stdout);
}

#[test]
fn a_startup_file_that_makes_no_sense_is_told_and_not_passed_over() {
    let book = Trialbook::new();
    let settings = tempfile::tempdir().unwrap();
    std::fs::write(settings.path().join("evcxr.toml"), "[evcxr\n").unwrap();
    let cells = ["-c", ":version"];
    let output =
        book.command().args(cells).env("EVCXR_CONFIG_DIR", settings.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("evcxr.toml"), "{stderr}");
}

#[test]
fn cells_are_taken_from_arguments() {
    let book = Trialbook::new();
    let answer = book.call(&["-c", ":data sample", "-c", ":data list --json"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let json = answer.stdout.split_once('\n').unwrap().1;
    assert_eq!(serde_json::from_str::<Value>(json).unwrap()[0]["name"], "sample");
    let said = book.fails(1, &["-c", ":trian tfidf"]);
    assert!(said.contains("write :train") && !said.contains("cell 1"), "{said}");
    for (cell, hint) in [
        (":hlep", "hint: write :help; :help lists all commands"),
        (":trian tfidf --data sample", "hint: write :train;"),
        // No compiler is looked for, and no prelude built.
        ("train tfidf --data sample", "hint: write `:train tfidf --data sample`"),
        ("help", "hint: write `:help`"),
    ] {
        let said = Answer::of(book.command().args(["-c", cell]).env("PATH", "/nowhere")).stderr;
        assert!(said.contains(hint), "{cell}: {said}");
    }
    let said = book.fails(1, &["-c", ":predict don't"]);
    assert!(said.contains("quote") && said.contains("hint: "), "{said}");
    book.fails(2, &["-c", ":runs list", "runs", "list"]);
    book.fails(2, &["--json", "-c", ":runs list"]);
}

#[test]
fn a_row_that_looks_like_advice_is_shown_as_it_is() {
    let book = Trialbook::new();
    let row = "run `trialbook data list` first";
    let cells = format!(":data sample\n:sql select '{row}' as said\n:runs list\n");
    let answer = piped(&book, &cells);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains(&format!("\n{row}\n")), "{}", answer.stdout);
    let advice = "no runs; train one with `:train tfidf --data NAME`\n";
    assert!(answer.stdout.ends_with(advice), "{}", answer.stdout);
    // A command's own answer and its errors say it as this front end types it.
    let told = book.call(&["runs", "list"]).stdout;
    assert_eq!(told, "no runs; train one with `trialbook train tfidf --data NAME`\n");
    let name = "`trialbook data list`";
    for (args, hint) in [
        (&["-c", ":models show '`trialbook data list`'"][..], "`:train` registers one"),
        (&["models", "show", name], "`trialbook train` registers one"),
    ] {
        let said = book.fails(1, args);
        assert!(said.contains(&format!("model \"{name}\" does not exist")), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn help_names_what_can_be_typed_in_a_cell() {
    let book = Trialbook::new();
    let all = book.call(&["-c", ":help"]).stdout;
    for verb in [":train", ":sql", ":who", ":save", ":dep", ":last_compile_dir"] {
        assert!(all.contains(&format!("  {verb} ")), "{verb}: {all}");
    }
    let one = book.call(&["-c", ":help train tfidf"]).stdout;
    assert!(one.contains("Usage: :train tfidf [OPTIONS] --data <NAME>"), "{one}");
}

#[test]
fn scripts_run_cell_by_cell() {
    let book = Trialbook::new();
    let at = |name: &str| book.store().join(name).display().to_string();
    for (name, text) in [
        ("a.tb", "#!/usr/bin/env -S trialbook run\n:data sample\n\n:sql\nselect 1 as one\n\n"),
        ("b.rs", "// %% first\n:data list\n// %%\n:sql select 1 as one\n"),
        // As Jupytext and as nbconvert write a notebook.
        (
            "c.rs",
            "// ---\n// jupyter:\n// ---\n\n// %% [markdown]\n// :data nothing\n\n// %%\n// :sql\nselect 1 as one\n",
        ),
        ("d.rs", ":data list\n\n:sql\nselect 1 as one\n\n"),
    ] {
        std::fs::write(at(name), text).unwrap();
        let answer = book.call(&["run", &at(name)]);
        assert_eq!(answer.code, 0, "{name}: {}", answer.stderr);
        assert!(answer.stdout.ends_with("one\n───\n  1\n"), "{name}: {}", answer.stdout);
    }
    for (args, expected) in [
        (&["run", &at("missing.rs")][..], "missing.rs"),
        (&["run", &at("history.txt")], ".ipynb, .rs or .tb"),
        (&["run", &at("a.tb"), "--save"], "notebooks"),
    ] {
        assert!(book.fails(1, args).contains(expected), "{args:?}");
    }
}

#[test]
fn a_failing_command_of_a_jupytext_script_fails_it() {
    let book = Trialbook::new();
    let path = book.store().join("gate.rs").display().to_string();
    std::fs::write(&path, "// %%\n// :data show nothing\n// %%\n// :data list\n").unwrap();
    let said = book.fails(1, &["run", &path]);
    assert!(said.contains("dataset \"nothing\""), "{said}");
    let tagged =
        "// %% tags=[\"raises-exception\"]\n// :data show nothing\n// %%\n// :sql select 7 as n\n";
    std::fs::write(&path, tagged).unwrap();
    let answer = book.call(&["run", &path]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.ends_with("7\n"), "{}", answer.stdout);
}

#[test]
fn a_parameter_that_is_not_there_is_refused_before_anything_runs() {
    let book = Trialbook::new();
    let path = book.store().join("p.ipynb").display().to_string();
    let cell = |source: &str, tags: &[&str]| json!({"cell_type": "code", "metadata": {"tags": tags}, "source": source, "outputs": []});
    let notebook = json!({"cells": [cell(":data sample", &[]), cell("let ngram = 1;", &["parameters"])],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 4});
    std::fs::write(&path, notebook.to_string()).unwrap();
    for (given, expected) in [
        ("ngrm=2", "the parameters are ngram"),
        ("ngram=two", "expected a whole number"),
        ("ngram", "expected NAME=VALUE"),
    ] {
        let said = book.fails(1, &["run", &path, "-p", given]);
        assert!(said.contains(expected), "{given}: {said}");
    }
    assert_eq!(book.call(&["data", "list", "--json"]).stdout.trim(), "[]", "no cell has run");
}

#[test]
fn a_notebook_keeps_what_its_cells_show_only_when_all_have_run() {
    let book = Trialbook::new();
    let path = book.store().join("story.ipynb");
    let name = path.to_str().unwrap();
    let code = |source: &str| json!({"cell_type": "code", "metadata": {}, "source": source, "outputs": []});
    let notebook = |cells: &[Value]| json!({"cells": cells, "metadata": {"mine": 1}, "nbformat": 4, "nbformat_minor": 4});
    let title = json!({"cell_type": "markdown", "metadata": {}, "source": "# A story"});
    let mut fails = code(":data show nothing");
    fails["metadata"]["tags"] = json!(["raises-exception"]);
    let good = notebook(&[title, code(":data sample"), fails, code(":data list")]);
    std::fs::write(&path, good.to_string()).unwrap();
    let answer = book.call(&["run", name, "--save"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let saved: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(saved["cells"][0], good["cells"][0]);
    assert_eq!(saved["metadata"], good["metadata"]);
    let text = &saved["cells"][1]["outputs"][0]["data"]["text/plain"][0];
    assert!(text.as_str().unwrap().starts_with("added sample"), "{saved}");
    assert_eq!(saved["cells"][2]["outputs"][0]["ename"], "not_found");
    assert_eq!(saved["cells"][3]["execution_count"], 3);

    let bad = notebook(&[code(":data list"), code(":data show nothing")]).to_string();
    std::fs::write(&path, &bad).unwrap();
    book.fails(1, &["run", name, "--save"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), bad, "half a run is not saved");
}

#[test]
fn a_session_is_saved_as_it_was_typed() {
    let book = Trialbook::new();
    let at = |name: &str| book.store().join(name);
    let saves: String = ["ipynb", "rs", "tb"]
        .map(|ending| format!(":save {}\n", at(&format!("session.{ending}")).display()))
        .concat();
    let answer = piped(&book, &format!(":data sample\n:sql\nselect 1 as one;\n:rerun 2\n{saves}"));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout.matches("one\n───\n  1\n").count(), 2, "{}", answer.stdout);
    let script = std::fs::read_to_string(at("session.rs")).unwrap();
    assert!(
        script.starts_with("// %%\n:data sample\n\n// %%\n:sql\nselect 1 as one;\n"),
        "{script}"
    );
    let notebook: Value =
        serde_json::from_slice(&std::fs::read(at("session.ipynb")).unwrap()).unwrap();
    assert_eq!(notebook["cells"].as_array().unwrap().len(), 3);
    assert_eq!(notebook["cells"][1]["outputs"][0]["output_type"], "display_data");
    let again = book.call(&["run", at("session.tb").to_str().unwrap()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
}

/// A person at a terminal of 30 rows and 100 columns.
struct Person {
    script: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<Vec<u8>>>,
    /// How much of what was seen, without colours, is dealt with.
    read: usize,
}

impl Person {
    fn at(store: &Path, variables: &[(&str, &str)]) -> Self {
        let line =
            "stty rows 30 cols ${TEST_COLUMNS:-100} && echo pid=$$. && exec \"$TEST_PROGRAM\"";
        let mut command = Command::new("script");
        command
            .args(["-qfec", line, "/dev/null"])
            .env("TEST_PROGRAM", env!("CARGO_BIN_EXE_trialbook"))
            .env("TRIALBOOK_STORE", store)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .env("HOME", store)
            .env("XDG_CONFIG_HOME", store)
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut script = command.spawn().expect("`script` of util-linux makes the terminal");
        let keys = script.stdin.take().unwrap();
        let mut output = script.stdout.take().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n_bytes @ 1..) = output.read(&mut bytes) {
                sink.lock().unwrap().extend_from_slice(&bytes[..n_bytes]);
            }
        });
        Self { script, keys, seen, read: 0 }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `text` is seen, behind what was seen before.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = plain(&self.seen.lock().unwrap());
            if let Some(at) = seen[self.read..].find(text) {
                let before = seen[self.read..self.read + at].to_owned();
                self.read += at + text.len();
                return before;
            }
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", &seen[self.read..]);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn leaves(mut self) {
        self.types("\u{4}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.script.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "Ctrl-D does not leave");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.script.wait().unwrap().success());
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// What the terminal was sent, without colours and movements of the cursor.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.find(|end| ('@'..='~').contains(end));
                }
            }
            '\r' => {}
            char => plain.push(char),
        }
    }
    plain
}

const UP: &str = "\u{1b}[A";
const LEFT: &str = "\u{1b}[D";
const CTRL_C: &str = "\u{3}";

#[test]
fn a_line_is_edited_run_and_remembered() {
    let book = Trialbook::new();
    let mut person = Person::at(book.store(), &[]);
    person.sees("Ctrl-D leaves");
    person.sees("[1] ");
    person.types(":data samplX\u{7f}e\r");
    person.sees("added sample: 2,000 train");
    person.sees("[2] ");
    person.types(&format!(":data lst{LEFT}{LEFT}i\r"));
    person.sees("the built-in sample");
    person.sees("[3] ");
    person.types("nonsense");
    person.sees("nonsense");
    person.types(CTRL_C);
    person.sees("[3] ");
    person.types(&format!("{UP}\r"));
    person.sees("the built-in sample");
    person.sees("[4] ");
    person.types(":data show nothing\r");
    person.sees("error: dataset \"nothing\"");
    person.sees("[5] ");
    person.leaves();
}

#[test]
fn what_was_typed_outlives_a_kill() {
    let book = Trialbook::new();
    let mut person = Person::at(book.store(), &[]);
    person.sees("pid=");
    let pid = person.sees(".");
    person.sees("[1] ");
    person.types(":data sample\r");
    person.sees("added sample");
    person.sees("[2] ");
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    drop(person);
    let mut person = Person::at(book.store(), &[]);
    person.sees("[1] ");
    person.types(&format!("{UP}\r"));
    person.sees("unchanged");
    person.sees("[2] ");
    // Ctrl-R finds it, too.
    person.types("\u{12}samp\r");
    person.sees("unchanged");
    person.sees("[3] ");
    person.leaves();
}

#[test]
fn what_is_offered_is_taken_over() {
    const ALT_RIGHT: &str = "\u{1b}[1;3C";
    let book = Trialbook::new();
    let mut person = Person::at(book.store(), &[]);
    person.sees("[1] ");
    person.types(":sql select 20 * 2 + 2 as kept\r");
    person.sees("42");
    person.sees("[2] ");
    // Right, End as two kinds of terminals send it, Ctrl-E and Ctrl-F take all of it.
    let mut number = 2;
    for key in ["\u{1b}[C", "\u{1b}[F", "\u{1b}OF", "\u{5}", "\u{6}"] {
        person.types(":sql select 20");
        person.sees("* 2 + 2 as kept");
        person.types(&format!("{key}\r"));
        person.sees("42");
        number += 1;
        person.sees(&format!("[{number}] "));
    }
    // Alt-F and the arrow with Alt or Ctrl take a word.
    for key in ["\u{1b}f", ALT_RIGHT, "\u{1b}[1;5C"] {
        person.types(":sql select 20");
        person.sees("* 2");
        person.types(&format!("{key} - 3 as less\r"));
        person.sees("37");
        number += 1;
        person.sees(&format!("[{number}] "));
    }
    // Where nothing is offered they move: to the end, and over a word.
    person.types(&format!("sql select 1 as\u{1}:\u{5} ten\u{1}{ALT_RIGHT}{ALT_RIGHT} 9 +\r"));
    person.sees("10");
    number += 1;
    person.sees(&format!("[{number}] "));
    person.leaves();
}

#[test]
fn tab_completes_verbs_flags_and_names() {
    let book = Trialbook::new();
    book.json(&["data", "sample", "reviews"]);
    let mut person = Person::at(book.store(), &[]);
    person.sees("[1] ");
    person.types(":da\tdesc\trev\t");
    person.sees(":data describe reviews ");
    person.types(CTRL_C);
    person.sees("[1] ");
    person.types(":train tfidf --class\tb\t");
    person.sees(":train tfidf --class-weight balanced ");
    person.types(CTRL_C);
    person.sees("[1] ");
    person.types(":sql select lab\t from reviews.te\t");
    person.sees("select label from reviews.test");
    person.types("\t\r");
    person.sees("negative");
    person.sees("[2] ");
    person.leaves();
}

#[test]
fn several_lines_are_one_cell_until_they_are_complete() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let mut person = Person::at(book.store(), &[]);
    person.sees("[1] ");
    person.types(":sql\rselect count(*) as n\rfrom sample.train;\r");
    person.sees("2000");
    person.sees("[2] ");
    // A paste comes between marks; the newline in it submits nothing.
    person.types("\u{1b}[200~:data list\n:sql select 40 + 2 as answer\u{1b}[201~\r");
    person.sees("the built-in sample");
    person.sees("42");
    person.sees("[3] ");
    person.leaves();
}

#[test]
fn ctrl_c_stops_what_runs_and_keeps_the_session() {
    let book = Trialbook::new();
    let mut person = Person::at(book.store(), &[]);
    person.sees("[1] ");
    // A server that takes the call and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    person.types(&format!(":health --url http://{}\r", deaf.local_addr().unwrap()));
    let (_call, _) = deaf.accept().unwrap();
    let clock = Instant::now();
    person.types(CTRL_C);
    person.sees("interrupted");
    person.sees("[2] ");
    assert!(clock.elapsed() < Duration::from_secs(2), "{:?}", clock.elapsed());
    person.types("!echo begun; sleep 60\r");
    person.sees("\nbegun");
    person.types(CTRL_C);
    person.sees("[3] ");
    person.types(":data sample\r");
    person.sees("added sample");
    person.sees("[4] ");
    person.leaves();
}

#[test]
fn colours_and_width_follow_the_terminal() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let raw = |person: &Person| String::from_utf8_lossy(&person.seen.lock().unwrap()).into_owned();
    for (variables, has_colours) in
        [(&[][..], true), (&[("NO_COLOR", "1")], false), (&[("TERM", "dumb")], false)]
    {
        let mut person = Person::at(book.store(), variables);
        person.sees("[1] ");
        person.types(":data list\r");
        person.sees("the built-in sample");
        person.sees("[2] ");
        assert_eq!(raw(&person).contains("\u{1b}[1;34m"), has_colours, "{variables:?}");
        person.leaves();
    }
    let mut person = Person::at(book.store(), &[("TEST_COLUMNS", "40")]);
    person.sees("[1] ");
    person.types(":data list\r");
    person.sees("name");
    let table = person.sees("[2] ");
    assert!(table.lines().all(|line| line.chars().count() <= 40), "{table}");
}
