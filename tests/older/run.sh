#!/usr/bin/env bash
# Moves a store while a process writes to it with the redb that trialbook had up to schema 2, and
# kills processes meanwhile: `TRIALBOOK_TEST_KILLS=200 tests/older/run.sh`. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-../../target}/older
cargo build --locked --target-dir "$target"
TRIALBOOK_TEST_OLDER=$(realpath "$target")/debug/older
export TRIALBOOK_TEST_OLDER
cd ../..
exec cargo test --locked --test integration "$@" registry::succession -- --nocapture
