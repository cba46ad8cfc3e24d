//! A full disk and a store that may not be written are clear errors that lose nothing.

use std::{fs, path::Path};

use super::{
    Fixture,
    child::{acks, command, store_of},
    metrics,
};

/// The system refuses to let files grow, as on a full disk: a limit on file lengths, which needs no
/// rights to set and cannot be missing.
#[cfg(unix)]
#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let f = Fixture::new();
    let program = std::env::current_exe().unwrap();
    let mut limited = command(Path::new("sh"), &["fill", &store_of(&f)]);
    let args: Vec<_> = limited.get_args().map(ToOwned::to_owned).collect();
    let mut shell = std::process::Command::new("sh");
    // Without the trap the signal that comes with the refusal would end the process.
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""])
        .arg(program)
        .args(args)
        .envs(limited.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .stdout(std::process::Stdio::piped());
    limited.stdout(std::process::Stdio::null());
    let mut child = shell.spawn().unwrap();
    let acks: Vec<String> = acks(child.stdout.take().unwrap()).collect();
    assert!(child.wait().unwrap().success(), "{acks:?}");
    let (runs, refused): (Vec<&String>, Vec<&String>) =
        acks.iter().partition(|ack| ack.starts_with("run "));
    assert!(runs.len() > 10, "{acks:?}");
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("refused Io: cannot use the registry"), "{}", refused[0]);
    assert!(refused[0].contains("nothing was changed"), "{}", refused[0]);
    assert!(refused[1].starts_with("refused Io: cannot write an artifact"), "{}", refused[1]);

    for run in runs {
        f.registry.run(&run["run ".len()..]).unwrap();
    }
    f.run("there is room again");
    let verification = f.registry.verify().unwrap();
    assert!(verification.is_valid(), "{verification:?}");
    let n_files = fs::read_dir(f.store().root()).unwrap().count();
    assert!(n_files <= 2, "temporary files were left behind");
}

/// A store whose permissions forbid writing, used by a process without the rights to ignore them.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_store_can_be_read_and_refuses_writes_clearly() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    const NOBODY: u32 = 65534;
    let f = Fixture::new();
    let run = f.run("r").run_id;
    f.registry.log(&run, &metrics(&[("f1", 0.9, 0)])).unwrap();
    f.registry.log_artifact(&run, "a", b"x").unwrap();

    let all = paths(f.folder.path());
    for path in &all {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // By this name a process can start its own program also where the way to it is barred.
    let mut reader = command(Path::new("/proc/self/exe"), &["read-only", &store_of(&f), &run]);
    let is_root = fs::metadata("/proc/self").map(|m| {
        use std::os::unix::fs::MetadataExt as _;
        m.uid() == 0
    });
    if is_root.unwrap() {
        reader.uid(NOBODY).gid(NOBODY);
    }
    let mut child = reader.current_dir("/").spawn().unwrap();
    let acks: Vec<String> = acks(child.stdout.take().unwrap()).collect();
    let status = child.wait().unwrap();
    for path in all {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(status.success());
    assert_eq!(acks, ["refused all"]);
}

/// `dir` and everything below it.
#[cfg(target_os = "linux")]
fn paths(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(paths(&path));
        } else {
            all.push(path);
        }
    }
    all
}
