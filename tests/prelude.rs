//! Building and finding the prelude, with a compiler and a cargo that are shell scripts: what is
//! tested is what surrounds them, so that no test waits for polars.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use trialbook_program::cell::analyzer::{Analyzer, Indexed, ItemIndex, Package, Sources};

use crate::cli::{Answer, Trialbook};

/// Answers as rustc does about itself.
const RUSTC: &str = r#"#!/bin/sh
case "$*" in
    -vV) printf 'rustc 1.95.0\nhost: test-host\nrelease: 1.95.0\ncommit-hash: 0123abcd\n' ;;
    *sysroot*) printf '%s\n' "$FAKE/sysroot" ;;
esac
"#;

/// Writes what cargo would, unless it is told to fail or to hang.
const CARGO: &str = r#"#!/bin/sh
printf '%s\n' "$*" >> "$FAKE/calls"
env > "$FAKE/environment"
printf '    Building [====>    ] 1/2: polars\r' >&2
if [ -e "$FAKE/hangs" ]; then
    sleep 1000 & echo "$$ $!" > "$FAKE/started.half" && mv "$FAKE/started.half" "$FAKE/started"
    wait
fi
if [ -e "$FAKE/fails" ]; then
    printf '{"reason":"compiler-message","message":{"level":"error","rendered":"error[E0425]: cannot find value\\n"}}\n'
    printf 'error: could not compile trialbook\n' >&2
    exit 101
fi
sleep 0.2
out="$FAKE/out"
mkdir -p "$out"
rm -f "$out"/*
echo code > "$out/libtrialbook.so"
echo meta > "$out/libpolars-1.rmeta"
echo lib > "$out/libpolars-1.rlib"
printf '%s: %s/src/lib.rs\n' "$out/libtrialbook.so" "$TRIALBOOK_SOURCE" > "$out/libtrialbook.d"
printf '{"reason":"compiler-artifact","package_id":"p","fresh":false,"target":{"kind":["lib"],"name":"polars","src_path":"%s"},"features":["sql"],"filenames":["%s","%s"]}\n' "$TRIALBOOK_SOURCE/polars.rs" "$out/libpolars-1.rlib" "$out/libpolars-1.rmeta"
printf '{"reason":"compiler-artifact","package_id":"p","fresh":false,"target":{"kind":["dylib"],"name":"trialbook","src_path":"%s"},"features":[],"filenames":["%s"]}\n' "$TRIALBOOK_SOURCE/src/lib.rs" "$out/libtrialbook.so"
printf '{"reason":"build-finished","success":true}\n'
"#;

/// A package, a toolchain and a place for preludes, all of them in one temporary folder.
struct Workbench {
    dir: TempDir,
    program: Trialbook,
}

impl Workbench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap(), program: Trialbook::new() };
        bench.write("source/Cargo.toml", "[package]");
        bench.write("source/src/lib.rs", "//! first");
        bench.write("source/polars.rs", "pub struct DataFrame;");
        bench.write("sysroot/lib/rustlib/test-host/lib/libstd-1.so", "");
        for (path, script) in [("rustc", RUSTC), ("sysroot/bin/cargo", CARGO)] {
            bench.write(path, script);
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(bench.path(path), executable).unwrap();
        }
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program.command();
        command
            .arg("prelude")
            .args(args)
            .env("FAKE", self.dir.path())
            .env("RUSTC", self.path("rustc"))
            .env("TRIALBOOK_SOURCE", self.path("source"))
            .env("TRIALBOOK_PRELUDE", self.path("preludes"));
        command
    }

    fn call(&self, args: &[&str]) -> Answer {
        Answer::of(&mut self.command(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let answer = self.call(&[args, &["--json"]].concat());
        assert_eq!(answer.code, 0, "{args:?}\n{}\n{}", answer.stdout, answer.stderr);
        serde_json::from_str(&answer.stdout).unwrap()
    }

    fn build(&self) -> PathBuf {
        let built = self.json(&["build", "--profile", "dev"]);
        PathBuf::from(built["dir"].as_str().unwrap())
    }

    /// The names of everything in the folder of preludes but its lock.
    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("preludes")).unwrap();
        let mut kept: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        kept.retain(|path| !path.ends_with(".lock"));
        kept.sort();
        kept
    }

    fn n_calls_of_cargo(&self) -> usize {
        fs::read_to_string(self.path("calls")).unwrap().lines().count()
    }
}

/// Waits until `is_so`, and fails the test where it never comes to that.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_built_is_found_and_not_built_again() {
    let bench = Workbench::new();
    assert_eq!(bench.json(&["status"])["state"], "missing");
    let dir = bench.build();
    for file in ["libtrialbook.so", "deps/libpolars-1.rmeta", "prelude.json"] {
        assert!(dir.join(file).is_file(), "{file}");
    }
    assert!(!dir.join("deps/libpolars-1.rlib").exists(), "metadata is enough");
    let status = bench.json(&["status"]);
    assert_eq!(status["state"], "fresh");
    assert_eq!(status["profile"], "dev");
    assert_eq!(status["compiler"]["version"], "1.95.0");
    assert_eq!(bench.json(&["build", "--profile", "dev"])["built"], false);
    assert_eq!(bench.n_calls_of_cargo(), 1);
    let call = fs::read_to_string(bench.path("calls")).unwrap();
    assert!(call.contains("-- -C prefer-dynamic"), "{call}");
    assert!(!call.contains("--release"), "{call}");
    // These tests have all of them from cargo: ring's build script would run again for each.
    let environment = fs::read_to_string(bench.path("environment")).unwrap();
    for told in ["CARGO_PKG_NAME=", "CARGO_PKG_VERSION=", "CARGO_MANIFEST_DIR="] {
        assert!(!environment.lines().any(|line| line.starts_with(told)), "{told}");
    }
}

#[test]
fn status_says_that_another_process_builds() {
    let bench = Workbench::new();
    bench.write("preludes/.lock", "");
    let lock = fs::File::open(bench.path("preludes/.lock")).unwrap();
    assert_eq!(bench.json(&["status"])["being_built"], false);
    lock.lock().unwrap();
    assert_eq!(bench.json(&["status"])["being_built"], true);
    let said = bench.call(&["status"]).stdout;
    assert!(said.contains("missing: another process builds it now"), "{said}");
    drop(lock);
    bench.build();
    let status = bench.json(&["status"]);
    assert_eq!((&status["being_built"], &status["state"]), (&false.into(), &"fresh".into()));
}

#[test]
fn status_says_how_far_completion_is() {
    let bench = Workbench::new();
    let dir = bench.build();
    assert_eq!(bench.json(&["status"])["completion"], "not_yet");
    fs::remove_file(bench.path("source/polars.rs")).unwrap();
    assert_eq!(bench.json(&["status"])["completion"], "off");
    let said = bench.call(&["status"]).stdout;
    assert!(said.contains("polars") && said.contains("prelude build --force"), "{said}");
    fs::write(dir.join("index.json"), "{}").unwrap();
    assert_eq!(bench.json(&["status"])["completion"], "ready");
}

/// What a session would know of the prelude in `dir`.
fn index(dir: &Path) -> Indexed {
    let manifest: Value =
        serde_json::from_slice(&fs::read(dir.join("prelude.json")).unwrap()).unwrap();
    let packages: Vec<Package> = serde_json::from_value(manifest["packages"].clone()).unwrap();
    let rustdoc = PathBuf::from("/no/such/program");
    Sources { file: dir.join("index.json"), packages, rustdoc }.index()
}

/// The completions at the end of `cell`.
fn completed(index: ItemIndex, cell: &str) -> Vec<String> {
    let analyzer = Analyzer::new(index, None, PathBuf::new());
    analyzer.complete(cell, cell.len()).items.into_iter().map(|item| item.text).collect()
}

/// A whole cargo home in which only what a build needs was ever fetched: `only_for_tests` stands in
/// the index of the registry and nowhere else. `cargo metadata` fails there, whatever it is asked.
#[test]
fn completion_needs_nothing_that_building_did_not_fetch() {
    let bench = Workbench::new();
    let features = "analyzer = []\ncuda = []\ntrialbook-program = []\nwgpu = []";
    let package = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
    };
    let rest = format!(
        "[features]\n{features}\n[dependencies]\npolars = {{ path = \"polars\", features = [\"wide\"] }}\n\
         [dev-dependencies]\nonly_for_tests = \"1\"\n[workspace]\n"
    );
    for (path, text) in [
        ("package/Cargo.toml", package("trialbook", &rest).as_str()),
        ("package/src/lib.rs", "pub mod prelude { pub use polars::DataFrame; pub struct Book; }"),
        ("package/polars/Cargo.toml", &package("polars", "[features]\nwide = []\n")),
        (
            "package/polars/src/lib.rs",
            "pub struct DataFrame; impl DataFrame { pub fn group_by(&self) {} \
             #[cfg(feature = \"wide\")] pub fn group_by_wide(&self) {} \
             #[cfg(feature = \"narrow\")] pub fn group_by_narrow(&self) {} }",
        ),
        (
            "home/config.toml",
            &format!(
                "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nlocal-registry = {:?}\n",
                bench.path("registry")
            ),
        ),
        (
            "registry/index/on/ly/only_for_tests",
            &format!(
                "{{\"name\":\"only_for_tests\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"{}\",\"features\":{{}},\"yanked\":false}}\n",
                "0".repeat(64)
            ),
        ),
    ] {
        bench.write(path, text);
    }
    // Outside of a target folder: there the build would be the project's own.
    let program = bench.path("bin/trialbook");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_trialbook"));
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).unwrap();
    }
    let fresh = |mut command: Command| {
        command
            .env("CARGO_HOME", bench.path("home"))
            .env_remove("CARGO_TARGET_DIR")
            .env("XDG_CACHE_HOME", bench.path("cache"))
            .env("TRIALBOOK_SOURCE", bench.path("package"))
            .env("TRIALBOOK_PRELUDE", bench.path("preludes"))
            .current_dir(bench.path("package"));
        command
    };
    let cargo = |args: &[&str]| {
        let mut command = fresh(Command::new(env!("CARGO")));
        command.args(args);
        Answer::of(&mut command)
    };
    let lock = cargo(&["generate-lockfile", "--offline"]);
    assert_eq!(lock.code, 0, "{}", lock.stderr);
    let metadata = cargo(&["metadata", "--format-version", "1", "--offline"]);
    assert_ne!(metadata.code, 0, "the home holds more than a build fetches");
    let mut command = fresh(Command::new(&program));
    command.args(["prelude", "build", "--profile", "dev", "--json"]);
    let answer = Answer::of(&mut command);
    assert_eq!(answer.code, 0, "{}\n{}", answer.stdout, answer.stderr);
    let built: Value = serde_json::from_str(&answer.stdout).unwrap();
    let dir = PathBuf::from(built["dir"].as_str().unwrap());
    let Indexed { index: found, problem } = index(&dir);
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!(completed(found.clone(), "Data"), ["DataFrame"]);
    let cell = "let df: DataFrame = todo!();\ndf.gr";
    assert_eq!(completed(found, cell), ["group_by", "group_by_wide"], "the features of the build");
    assert!(dir.join("index.json").is_file(), "kept for the next session");

    // A source that went away is named, and what is left is known all the same.
    fs::remove_file(dir.join("index.json")).unwrap();
    fs::remove_dir_all(bench.path("package/polars")).unwrap();
    let Indexed { index: found, problem } = index(&dir);
    assert!(problem.unwrap().to_string().contains("no names of polars"));
    assert_eq!(completed(found, "Bo"), ["Book"]);
    assert!(!dir.join("index.json").exists(), "half an index is not kept");
}

#[test]
fn a_changed_source_makes_it_stale_and_a_touched_one_does_not() {
    let bench = Workbench::new();
    let first = bench.build();
    bench.write("source/src/lib.rs", "//! first");
    assert_eq!(bench.json(&["status"])["state"], "fresh", "the same text, written again");
    bench.write("source/src/lib.rs", "//! other");
    let status = bench.json(&["status"]);
    assert_eq!(status["state"], "stale", "another text of the same length");
    assert_eq!(status["changed"], "src/lib.rs");
    let second = bench.build();
    assert_eq!(bench.json(&["status"])["state"], "fresh");
    assert_eq!(bench.kept(), [second], "{first:?} is replaced");
}

#[test]
fn a_prelude_in_use_outlives_the_build_that_replaces_it() {
    let bench = Workbench::new();
    let first = bench.build();
    let in_use = File::open(first.join("prelude.json")).unwrap();
    in_use.lock_shared().unwrap();
    bench.write("source/src/lib.rs", "//! other");
    let second = bench.build();
    let mut both = vec![first, second];
    both.sort();
    assert_eq!(bench.kept(), both);
    drop(in_use);
    assert_eq!(bench.json(&["build", "--profile", "dev", "--force"])["built"], true);
    assert_eq!(bench.kept().len(), 1, "nobody uses the former two any more");
}

#[test]
fn a_failed_build_leaves_its_log_alone() {
    let bench = Workbench::new();
    bench.write("fails", "");
    let answer = bench.call(&["build"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("error[E0425]: cannot find value"), "{}", answer.stderr);
    let log = bench.path("preludes/build.log");
    assert!(answer.stderr.contains(&log.display().to_string()), "{}", answer.stderr);
    assert_eq!(bench.kept(), std::slice::from_ref(&log));
    assert!(fs::read_to_string(log).unwrap().contains("could not compile"));
    assert_eq!(bench.json(&["status"])["state"], "missing");
}

#[test]
fn of_two_builders_the_second_waits_and_finds_the_work_done() {
    let bench = Workbench::new();
    let builders: Vec<_> = (0..2)
        .map(|_| {
            let mut command = bench.command(&["build", "--profile", "dev", "--json"]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut n_built = 0;
    for builder in builders {
        let output = builder.wait_with_output().unwrap();
        assert!(output.status.success());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        n_built += usize::from(answer["built"] == true);
    }
    assert_eq!((n_built, bench.n_calls_of_cargo(), bench.kept().len()), (1, 1, 1));
}

/// The process ids of cargo and of the compiler it started, once both run.
fn started(bench: &Workbench) -> (String, String) {
    let path = bench.path("started");
    wait_until("cargo and its compiler run", || path.exists());
    let pids = fs::read_to_string(path).unwrap();
    let (cargo, compiler) = pids.trim().split_once(' ').unwrap();
    (cargo.to_owned(), compiler.to_owned())
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

/// Whether the process is there; one that has ended but that nobody has asked about is not.
fn is_alive(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

#[test]
fn an_interrupt_ends_cargo_and_all_it_started() {
    let bench = Workbench::new();
    bench.write("hangs", "");
    let mut builder = bench.command(&["build"]).stderr(Stdio::null()).spawn().unwrap();
    let (cargo, compiler) = started(&bench);
    assert!(is_alive(&cargo) && is_alive(&compiler));
    kill("-INT", &builder.id().to_string());
    assert_eq!(builder.wait().unwrap().code(), Some(130));
    assert!(!is_alive(&cargo) && !is_alive(&compiler), "something goes on");
    assert_eq!(bench.kept(), Vec::<PathBuf>::new(), "something half-made is left");
}

#[cfg(target_os = "linux")]
#[test]
fn cargo_ends_with_a_builder_that_is_killed() {
    let bench = Workbench::new();
    bench.write("hangs", "");
    let mut builder = bench.command(&["build"]).stderr(Stdio::null()).spawn().unwrap();
    let (cargo, compiler) = started(&bench);
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("cargo ends", || !is_alive(&cargo));
    // Cargo's own compilers end with their crate; this one would sleep on.
    kill("-KILL", &compiler);
}

#[test]
fn without_a_compiler_status_answers_and_build_says_what_to_install() {
    let program = Trialbook::new();
    let bare = |verb: &str| {
        let mut command = program.command();
        command.args(["prelude", verb]).env_clear().env("HOME", program.store());
        Answer::of(&mut command)
    };
    let status = bare("status");
    assert_eq!(status.code, 0, "{}", status.stderr);
    let build = bare("build");
    assert_eq!(build.code, 1);
    for said in [&status.stdout, &build.stderr] {
        assert!(said.contains("no Rust compiler found"), "{said}");
        assert!(said.contains("https://rustup.rs"), "{said}");
    }
}

#[test]
fn sources_that_are_gone_are_named() {
    let bench = Workbench::new();
    fs::remove_file(bench.path("source/Cargo.toml")).unwrap();
    let answer = bench.call(&["build"]);
    assert_eq!(answer.code, 1);
    let source = bench.path("source").display().to_string();
    assert!(answer.stderr.contains(&source), "{}", answer.stderr);
    assert!(answer.stderr.contains("TRIALBOOK_SOURCE"), "{}", answer.stderr);
}

/// A cell is compiled without the prelude where that will do: what it names of the standard library's own prelude
/// has to be the same thing with ours, or the cell would mean something else.
#[test]
fn the_prelude_shadows_nothing_that_every_program_has() {
    #[allow(unused_imports, reason = "nothing of it may be used here")]
    use trialbook::prelude::*;

    use std::any::TypeId;

    // Each only compiles where both names are one trait, or the bound would not follow.
    macro_rules! one_trait {
        ($($name:ident = $path:path),+ $(,)?) => {$({
            fn ours<T: $name + ?Sized>() {}
            fn of_std<T: $path + ?Sized>() { ours::<T>(); }
            of_std::<u8>();
        })+};
    }
    one_trait!(
        Clone = std::clone::Clone,
        Copy = std::marker::Copy,
        Default = std::default::Default,
        Eq = std::cmp::Eq,
        Ord = std::cmp::Ord,
        PartialEq = std::cmp::PartialEq,
        PartialOrd = std::cmp::PartialOrd,
        Send = std::marker::Send,
        Sync = std::marker::Sync,
        ToOwned = std::borrow::ToOwned,
        ToString = std::string::ToString,
        Unpin = std::marker::Unpin,
    );
    fn turned<T: Into<u16> + TryInto<u8>, I: IntoIterator<Item = T>>(all: I) -> Vec<u16>
    where
        I::IntoIter: Iterator + DoubleEndedIterator + ExactSizeIterator,
    {
        all.into_iter().map(Into::into).collect()
    }
    assert_eq!(turned([1_u8, 2]), [1, 2]);

    let ours = [
        TypeId::of::<Result<u8, u16>>(),
        TypeId::of::<Option<u8>>(),
        TypeId::of::<Vec<u8>>(),
        TypeId::of::<String>(),
        TypeId::of::<Box<u8>>(),
    ];
    let of_std = [
        TypeId::of::<std::result::Result<u8, u16>>(),
        TypeId::of::<std::option::Option<u8>>(),
        TypeId::of::<std::vec::Vec<u8>>(),
        TypeId::of::<std::string::String>(),
        TypeId::of::<std::boxed::Box<u8>>(),
    ];
    assert_eq!(ours, of_std);
    let values: [std::option::Option<std::result::Result<u8, u8>>; 3] =
        [Some(Ok(1)), Some(Err(1)), None];
    let forgotten: fn(u8) = drop;
    forgotten(values.iter().flatten().count() as u8);
}
