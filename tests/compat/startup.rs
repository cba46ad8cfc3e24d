//! `evcxr.toml`, `init.evcxr` and `prelude.rs`: which counts, and what it sets.

use std::{fs, path::PathBuf};

use trialbook::ErrorKind;
use trialbook_program::cell::evcxr::{Config, Startup};

#[test]
fn startup_files_are_found_where_evcxr_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let (working, settings) = (folder.path().join("working"), folder.path().join("settings"));
    for folder in [&working, &settings] {
        fs::create_dir(folder).unwrap();
    }
    let read = || Startup::read(&working, Some(&settings)).unwrap();
    assert_eq!(read(), Startup::default());

    // Without an evcxr.toml, or without its entries, the older files count.
    fs::write(settings.join("init.evcxr"), ":timing\n").unwrap();
    fs::write(settings.join("prelude.rs"), "use std::fmt;\n").unwrap();
    assert_eq!(read().cells().collect::<Vec<_>>(), [":timing\n", "use std::fmt;\n"]);

    let text = "[evcxr]\noffline_mode = true\nopt_level = \"1\"\ntmpdir = \"/tmp/x\"\n";
    fs::write(settings.join("evcxr.toml"), text).unwrap();
    let startup = read();
    assert_eq!(startup.source, Some(settings.join("evcxr.toml")));
    assert_eq!(startup.folder, Some(PathBuf::from("/tmp/x")));
    assert_eq!(startup.cells().count(), 2);
    let mut config = Config::default();
    startup.apply(&mut config).unwrap();
    assert!(config.offline && config.preserve_vars_on_panic && config.allow_static_linking);
    assert_eq!(config.opt_level(), "1");

    // The working folder's file hides the other one.
    let text = "[evcxr]\nprelude = \"let a = 1;\"\npreserve_vars_on_panic = false\n\
                [dependencies]\nregex = \"1\"\nserde = { features = [\"derive\"], version = \"1\" }\n";
    fs::write(working.join("evcxr.toml"), text).unwrap();
    let startup = read();
    let expected = [
        ":dep regex = \"1\"\n:dep serde = { features = [\"derive\"], version = \"1\" }\n",
        "let a = 1;",
    ];
    assert_eq!(startup.cells().collect::<Vec<_>>(), expected);
    let mut config = Config::default();
    startup.apply(&mut config).unwrap();
    assert!(!config.offline && !config.preserve_vars_on_panic);

    fs::write(working.join("evcxr.toml"), "[evcxr\n").unwrap();
    let error = Startup::read(&working, Some(&settings)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("evcxr.toml"), "{error}");
}
