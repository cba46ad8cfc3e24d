# Thin names for the commands that do the work. `just` alone lists them.

python := env_var_or_default("PYTHON", "python3")
imdb := env_var_or_default("IMDB", "data/imdb")

_default:
    @just --list --unsorted

# walk through the whole lifecycle on the built-in sample
demo:
    cargo run -- demo

# run every test
test:
    cargo test

# what continuous integration runs
check:
    bash .ci/run

# build the optimised program: target/release/trialbook
build:
    cargo build --release --locked

# serve the Production version of the store
serve *ARGS: build
    target/release/trialbook serve {{ARGS}}
