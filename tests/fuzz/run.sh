#!/usr/bin/env bash
# Lets libFuzzer make up requests for SECONDS (60), from those in seeds/: `tests/fuzz/run.sh 600`.
# What it learns is kept in target/fuzz. Needs a C++ compiler, and no nightly Rust; with one,
# `cargo fuzz run --fuzz-dir tests/fuzz requests` does the same.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-../../target}/fuzz
RUSTC_WRAPPER=$PWD/rustc.sh cargo build --locked --target-dir "$target"
mkdir -p "$target/corpus"
exec "$target/debug/requests" "$target/corpus" seeds -dict=requests.dict -max_len=512 -timeout=5 \
    -artifact_prefix="$target/" -max_total_time="${1:-60}"
