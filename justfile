# Thin names for the commands that do the work. `just` alone lists them.

python := env_var_or_default("PYTHON", "python3")

_default:
    @just --list --unsorted

# build the program and what Rust cells are compiled against, both optimised: once, then it is there
setup: build
    target/release/trialbook prelude build

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

# the same with CUDA; needs none of it to build, only to run
build-cuda:
    cargo build --release --locked --features cuda

# the same for GPUs of any make, through Vulkan or Metal
build-wgpu:
    cargo build --release --locked --features wgpu

# serve the Production version of the store
serve *ARGS: build
    target/release/trialbook serve {{ARGS}}

# make a Python with the peers that the benchmarks compare with, in target/bench-venv
bench-setup:
    {{python}} -m venv target/bench-venv
    target/bench-venv/bin/pip install --quiet scikit-learn pyarrow mlflow fastapi uvicorn

# add PyTorch, Transformers and ONNX Runtime to it, for `just bench distilbert` and `just bench nets`
bench-setup-distilbert: bench-setup
    target/bench-venv/bin/pip install --quiet torch transformers onnxruntime onnx

# install stock evcxr for `just bench cells` in target/bench-evcxr (takes long)
bench-setup-cells:
    cargo install --locked evcxr_repl@0.22.0 --root target/bench-evcxr --target-dir target/bench-evcxr/build

# run the notebook for stock evcxr in evcxr's own kernel, which it installs in target/bench-evcxr (takes long)
test-stock-evcxr:
    cargo install --locked evcxr_jupyter@0.22.0 --root target/bench-evcxr --target-dir target/bench-evcxr/build
    bash tests/jupyter/run.sh --stock target/bench-evcxr/bin/evcxr_jupyter

# compare with a peer in the same run: `just bench tfidf` (needs scikit-learn), `just bench registry` (needs mlflow), `just bench cells` (needs evcxr), `just bench serve` (needs FastAPI and wrk), `just bench tracking` (needs mlflow), `just bench sweep` (needs scikit-learn), `just bench drift` (real shifts of IMDB), `just bench nets` and `just bench distilbert --device cuda:0` (need PyTorch)
bench WORK *ARGS: build
    {{python}} benches/compare.py {{WORK}} {{ARGS}}

# what the gate's statistics promise, by 10,000 pairs of models whose difference is known (minutes)
simulate:
    cargo bench --locked --bench simulate

# show the files in deploy/, the Dockerfile and the workflows to the tools that read them
check-deploy:
    cargo build --locked
    bash deploy/check.sh

# the nets' tests on a GPU beside the CPU's backends
test-cuda DEVICE="cuda:0":
    TRIALBOOK_DEVICE={{DEVICE}} cargo test --release --locked --features cuda --lib model::neural

# the same through Vulkan or Metal, on any GPU or on Mesa's driver for the CPU (Debian: mesa-vulkan-drivers)
test-wgpu DEVICE="wgpu:0":
    TRIALBOOK_DEVICE={{DEVICE}} cargo test --locked --features wgpu --lib model::neural

# what Jupyter itself says of the kernel, our own client suite, and every notebook: `PROGRAM=target/debug/trialbook just test-jupyter`
test-jupyter *ARGS:
    bash tests/jupyter/run.sh {{ARGS}}

# what Schemathesis, a browser, load and hostile clients find: `LOAD_SECONDS=20 PROGRAM=target/debug/trialbook just test-server` (needs Chromium)
test-server *ARGS:
    bash tests/server/run.sh {{ARGS}}

# MLflow's own clients against the tracking API: `PROGRAM=target/debug/trialbook just test-tracking` (needs Python and pip)
test-tracking *ARGS:
    bash tests/tracking/run.sh {{ARGS}}

# what is written as ONNX against ONNX Runtime, and what Optimum wrote: `PROGRAM=target/debug/trialbook just test-onnx` (needs Python and pip)
test-onnx *ARGS:
    bash tests/onnx/run.sh {{ARGS}}

# what libFuzzer makes up to send to the server, for so many seconds (needs a C++ compiler)
fuzz SECONDS="60":
    bash tests/fuzz/run.sh {{SECONDS}}

# draw the README's pictures anew: a shell session and the server's page (needs Chromium)
pictures: build
    bash docs/pictures/draw.sh
