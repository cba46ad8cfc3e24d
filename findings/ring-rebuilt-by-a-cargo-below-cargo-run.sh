#!/usr/bin/env bash
# ring 0.17.14 and cargo: a `cargo build` that a program runs below `cargo run` compiles ring anew,
# and with it everything that stands on ring (rustls, reqwest, object_store, polars with its readers).
#
# The two calls have the same package, folder, features, profile and flags. But `cargo run` sets
# CARGO_PKG_NAME, CARGO_MANIFEST_DIR and others for the program that it starts, and ring's build script
# asks cargo to run again whenever one of these changes. The inner cargo inherits them, and the next
# cargo that is called from a terminal has them no longer: ring is compiled a third time. Tools that
# call cargo (build helpers, `xtask` programs, kernels) have to take these variables away first.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "outer"
version = "1.0.0"
edition = "2021"

[dependencies]
ring = "=0.17.14"
TOML
cat > src/main.rs <<'RUST'
use std::process::Command;

fn main() {
    let _ = ring::digest::digest(&ring::digest::SHA256, b"");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
    cargo.arg("build");
    if std::env::args().nth(1).as_deref() == Some("clean") {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
    }
    assert!(cargo.status().unwrap().success());
}
RUST
unset ${!CARGO_PKG_@} ${!CARGO_MANIFEST_@}
compiled() { grep -c "Compiling ring" "$1" || true; }
cargo build 2> first.log
cargo build 2> again.log
cargo run 2> nested.log
cargo build 2> after.log
cargo run -- clean 2> clean.log
cargo build 2> last.log
counts="first $(compiled first.log), again $(compiled again.log), below cargo run $(compiled nested.log), after it $(compiled after.log), below cargo run without its variables $(compiled clean.log), after that $(compiled last.log)"
echo "ring 0.17.14, $(cargo --version): times that ring was compiled: $counts"
[ "$counts" = "first 1, again 0, below cargo run 1, after it 1, below cargo run without its variables 0, after that 0" ]
