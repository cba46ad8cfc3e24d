//! evcxr's 33 commands: each is there, does to the settings what it says, and answers.

use std::collections::BTreeMap;

use trialbook_program::cell::evcxr::{COMMANDS, EvcxrCommand};

use super::Session;

/// The names that evcxr 0.22 lists in its `:help`.
const EVCXR_NAMES: [&str; 33] = [
    "allow_static_linking",
    "build_env",
    "cache",
    "clear",
    "clear_cache",
    "codegen_backend",
    "dep",
    "doc",
    "efmt",
    "env",
    "explain",
    "fmt",
    "help",
    "internal_debug",
    "last_compile_dir",
    "last_error_json",
    "linker",
    "load_config",
    "offline",
    "opt",
    "preserve_vars_on_panic",
    "quit",
    "restart",
    "sccache",
    "show_deps",
    "t",
    "time_passes",
    "timing",
    "toolchain",
    "type",
    "types",
    "vars",
    "version",
];

#[test]
fn every_command_of_evcxr_is_there() {
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    assert_eq!(names, EVCXR_NAMES);
    for command in &COMMANDS {
        assert!(!command.help.is_empty(), "{}", command.name);
    }
}

#[test]
fn every_command_answers_as_in_evcxr() {
    let answers = [
        (":allow_static_linking 0", "Static linking: false"),
        (":allow_static_linking 1", "Static linking: true"),
        (":build_env A=b=c", "Set A=b=c for build"),
        (":build_env A", "error: :build_env sets nothing"),
        (":cache", "Entries: 0\nDisk used: 0 MiB\nHits: 0\nSize limit: 0 MiB"),
        (":cache 5", "cache: 5 MiB"),
        (":cache many", "error: \"many\" is not a size in MiB"),
        (":cache 0", "cache: 0 MiB"),
        (":clear", ""),
        (":clear_cache", "Deleted 0 MiB from cache"),
        (":codegen_backend cranelift", "codegen backend: cranelift"),
        (":codegen_backend default", "codegen backend: default"),
        (":dep", "error: :dep names no crate"),
        (":doc Vec", "a growable array"),
        (":doc nothing", "No documentation found"),
        (":doc", "error: :doc names nothing"),
        (":efmt", "Error format: {} (errors must implement std::fmt::Display)"),
        (":efmt {:?}", "Error format: {:?} (errors must implement std::fmt::Debug)"),
        (":efmt {:x}", "error: error format \"{:x}\" is not supported"),
        (":env A=1", "Set A=1 (use :restart command to reload child process)"),
        (":env", "error: :env sets nothing"),
        (":explain", "error: there is no compile error to explain"),
        (":fmt {:#?}", "Output format: {:#?}"),
        (":fmt none", "error: output format \"none\" does not show one value"),
        (":fmt", "Output format: {:?}"),
        (":internal_debug", "Internals debugging: true"),
        (":last_compile_dir", "/session/cell"),
        (":last_error_json", ""),
        (":linker system", "linker: system"),
        (":linker gold", "error: linker \"gold\" is not supported"),
        (":load_config --quiet", ""),
        (":offline 0", "Offline mode: false"),
        (":offline 1", "Offline mode: true"),
        (":opt", "Optimization: 2"),
        (":opt", "Optimization: 0"),
        (":opt 1", "Optimization: 1"),
        (":opt 9", "error: optimization level \"9\" does not exist"),
        (":preserve_vars_on_panic 0", "Preserve vars on panic: false"),
        (":preserve_vars_on_panic 1", "Preserve vars on panic: true"),
        (":quit", ""),
        (":restart", "Child process restarted"),
        (":sccache 0", "sccache: false"),
        (":show_deps", ""),
        (":t n", "n: i32"),
        (":time_passes", "Time passes: true"),
        (":time_passes", "Time passes: false"),
        (":timing", "Timing: true"),
        (":toolchain", "Toolchain: "),
        (":type rows", "rows: Vec<String>"),
        (":type n + 1", "n + 1: i32"),
        (":type lost", "error: cannot find it in this scope"),
        (":types", "Types: true"),
        (":vars", "n: i32\nrows: Vec<String>"),
    ];
    let mut session = Session::new();
    for (line, expected) in answers {
        assert_eq!(session.says(line), expected, "{line}");
    }
    assert!(session.says(":version").starts_with("0.22.0"));
    assert_eq!(session.says(":help").lines().count(), EVCXR_NAMES.len());

    let mut untried: Vec<&str> = EVCXR_NAMES.to_vec();
    untried
        .retain(|name| !answers.iter().any(|(line, _)| line[1..].split(' ').next() == Some(*name)));
    assert_eq!(untried, ["help", "version"], "the two asserted above");

    // The person who runs the tests may have startup files.
    session.asked.retain(|asked| *asked != "run");
    assert_eq!(session.asked, ["clear", "quit", "restart"]);
    assert_eq!(session.config.opt_level(), "1");
    assert_eq!(session.config.rustc_flags(), [""; 0], "the linker was set to the usual one");
    assert_eq!(session.config.output_format(), "{:?}");
    assert_eq!(session.config.build_env, BTreeMap::from([("A".to_owned(), "b=c".to_owned())]));
    assert_eq!(session.config.env, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    assert!(session.config.timing && session.config.display_types && session.config.debug);
}

#[test]
fn variables_are_a_table_in_a_notebook() {
    let mut session = Session::new();
    let content = EvcxrCommand::parse(":vars").unwrap().apply(&mut session).unwrap().unwrap();
    let html = content.data["text/html"].as_str().unwrap();
    assert!(html.contains("<td>rows</td><td>Vec&lt;String&gt;</td>"), "{html}");
}

#[test]
fn errors_are_explained_in_the_words_of_rustc() {
    let mut session = Session::new();
    let error =
        r#"{"message":"m","code":{"code":"E0308","explanation":"Expected type did not match."}}"#;
    session.errors =
        vec![error.to_owned(), error.to_owned(), r#"{"message":"x","code":null}"#.to_owned()];
    assert_eq!(session.says(":explain"), "Expected type did not match.");
    assert!(session.says(":last_error_json").starts_with(error));
    session.errors.drain(..2);
    assert_eq!(session.says(":explain"), "error: rustc has no explanation of the last error");
}
