//! `:dep` with real crates in a temporary folder: what cargo and rustc make of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use trialbook::{ErrorKind, progress::Interrupt};
use trialbook_program::cell::evcxr::{Cache, Dependency, Watch};

use super::Session;

/// A crate in `folder`, with what its `lib.rs` says.
fn write_crate(folder: &Path, name: &str, manifest: &str, source: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{manifest}"
    );
    fs::write(path.join("Cargo.toml"), manifest).unwrap();
    fs::write(path.join("src/lib.rs"), source).unwrap();
    path
}

/// Compiles `source` as a program against the session's dependencies and returns what it prints.
fn run(session: &Session, source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("cell.rs"), folder.path().join("cell"));
    let built = session.dependencies.built();
    let header = built.header().unwrap_or_default();
    fs::write(&file, format!("{header}\n{source}")).unwrap();
    let compiled = Command::new("rustc")
        .args(["--edition=2024", "-Cprefer-dynamic", "-Crpath", "-o"])
        .arg(&program)
        .args(built.rustc_args())
        .arg(&file)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn crates_of_every_form_are_built_and_can_be_called() {
    let crates = tempfile::tempdir().unwrap();
    write_crate(crates.path(), "deep", "", "pub fn deep() -> u32 { 40 }");
    let manifest = "[features]\nmore = []\n[dependencies]\ndeep = { path = \"../deep\" }";
    let source =
        "pub fn sum() -> u32 { deep::deep() + if cfg!(feature = \"more\") { 2 } else { 1 } }";
    let two_words = write_crate(crates.path(), "two-words", manifest, source);
    let macros = "use proc_macro::TokenStream;
        #[proc_macro] pub fn seven(_: TokenStream) -> TokenStream { \"7\".parse().unwrap() }";
    let macros = write_crate(crates.path(), "macros", "[lib]\nproc-macro = true", macros);

    let mut session = Session::new();
    assert_eq!(session.says(&format!(":dep {}", two_words.display())), "");
    assert_eq!(run(&session, "fn main() { print!(\"{}\", two_words::sum()); }"), "41");

    // Another name, a feature, and a second crate beside it.
    let line = format!(
        ":dep other = {{ package = \"two-words\", path = {two_words:?}, features = [\"more\"] }}"
    );
    assert_eq!(session.says(":clear"), "");
    assert_eq!(session.says(&line), "");
    assert_eq!(session.says(&format!(":dep macros = {{ path = {macros:?} }}")), "");
    let source = "fn main() { print!(\"{} {}\", other::sum(), macros::seven!()); }";
    assert_eq!(run(&session, source), "42 7");
    let listed = session.says(":show_deps");
    assert!(listed.starts_with("macros = { path = "), "{listed}");
    assert_eq!(listed.lines().count(), 2, "{listed}");

    // All in one shared object instead of in every cell.
    assert_eq!(session.says(":allow_static_linking 0"), "Static linking: false");
    assert!(session.dependencies.built().shared.as_ref().is_some_and(|file| file.is_file()));
    assert_eq!(run(&session, source), "42 7");
}

#[test]
fn a_dependency_that_fails_changes_nothing() {
    let crates = tempfile::tempdir().unwrap();
    let good = write_crate(crates.path(), "good", "", "pub const N: u32 = 1;");
    let bad = write_crate(crates.path(), "bad", "", "pub const N: u32 = \"one\";");
    let mut session = Session::new();
    assert_eq!(session.says(&format!(":dep {}", good.display())), "");
    let before = session.dependencies.built().clone();

    let dependency = Dependency::parse(bad.to_str().unwrap(), Path::new("/")).unwrap();
    let config = session.config.clone();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&lines);
    let watch = Watch {
        line: Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned())),
        ..Watch::silent()
    };
    let error = session.dependencies.add(vec![dependency], &config, &watch).unwrap_err();
    assert!(error.chain().contains("mismatched types"), "{error:?}");
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("Compiling bad v0.1.0")), "{lines:?}");

    assert_eq!(session.dependencies.built(), &before);
    assert_eq!(session.dependencies.list().map(Dependency::name).collect::<Vec<_>>(), ["good"]);
    let missing = session.says(":dep no-such-crate = \"1\"");
    assert!(missing.starts_with("error: cannot find the dependency"), "{missing}");
    assert_eq!(run(&session, "fn main() { print!(\"{}\", good::N); }"), "1");

    // A changed source is built again when it is asked for again.
    fs::write(good.join("src/lib.rs"), "pub const N: u32 = 2;").unwrap();
    assert_eq!(session.says(&format!(":dep {}", good.display())), "");
    assert_eq!(run(&session, "fn main() { print!(\"{}\", good::N); }"), "2");
}

#[test]
fn an_interrupt_ends_cargo_and_all_it_started() {
    let crates = tempfile::tempdir().unwrap();
    let slow = write_crate(crates.path(), "slow", "", "");
    let (script, process) = (slow.join("build.rs"), crates.path().join("process"));
    let source = format!(
        "fn main() {{ std::fs::write({process:?}, std::process::id().to_string()).unwrap();
         std::thread::sleep(std::time::Duration::from_secs(600)); }}"
    );
    fs::write(script, source).unwrap();
    let mut session = Session::new();
    let dependency = Dependency::parse(slow.to_str().unwrap(), Path::new("/")).unwrap();
    let config = session.config.clone();
    let watch = Watch { interrupt: Interrupt::default(), ..Watch::silent() };
    let interrupt = watch.interrupt.clone();
    let started = process.clone();
    let asked = std::thread::spawn(move || {
        while fs::read_to_string(&started).is_ok_and(|id| id.is_empty()) || !started.is_file() {
            std::thread::sleep(Duration::from_millis(5));
        }
        interrupt.raise();
        Instant::now()
    });
    let error = session.dependencies.add(vec![dependency], &config, &watch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    let took = asked.join().unwrap().elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(session.dependencies.list().count(), 0);
    let id = fs::read_to_string(process).unwrap();
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("Z (zombie)"), "still there: {status}");
}

#[test]
fn sessions_share_what_the_cache_keeps() {
    let crates = tempfile::tempdir().unwrap();
    let path = write_crate(crates.path(), "kept", "", "pub const N: u32 = 3;");
    let line = format!(":dep {}", path.display());
    let mut first = Session::new();
    assert_eq!(first.says(":cache 64"), "cache: 64 MiB");
    assert_eq!(first.says(&line), "");

    let mut second = Session::new();
    second.config.cache_folder = first.config.cache_folder.clone();
    assert_eq!(second.says(":cache 64"), "cache: 64 MiB");
    assert_eq!(second.says(&line), "");
    let statistics = Cache::open(&second.config).unwrap().statistics().unwrap();
    assert_eq!(statistics.n_hits, 1, "{statistics:?}");
    assert!(statistics.n_entries >= 1 && statistics.bytes > 0, "{statistics:?}");

    // What a session uses is its own: the cache may go.
    assert!(Cache::open(&first.config).unwrap().shrink(0).unwrap() > 0);
    let empty = second.says(":cache");
    assert!(empty.starts_with("Entries: 0\n"), "{empty}");
    for session in [&first, &second] {
        assert_eq!(run(session, "fn main() { print!(\"{}\", kept::N); }"), "3");
    }
    assert_eq!(first.says(&line), "", "it is built again");
}
