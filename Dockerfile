# syntax=docker/dockerfile:1
# Four images of one program; none runs as root.
#
#   docker build --tag trialbook .                              the server: one binary, no shell
#   docker build --tag trialbook:cuda --target cuda .           the same for NVIDIA GPUs
#   docker build --tag trialbook:notebook --target notebook .   JupyterLab, the shell and a Rust toolchain
#   docker build --tag trialbook:trial --target trial .         the server's program beside sh, for Katib's trials
#
#   docker run --rm --volume trialbook-store:/store trialbook keys add NAME
#   docker run --publish 8000:8000 --volume trialbook-store:/store trialbook
#   docker run --rm --volume trialbook-store:/store trialbook train tfidf --data NAME --deploy
#   docker run --gpus all --volume trialbook-store:/store trialbook:cuda train cnn --data NAME
#   docker run --publish 127.0.0.1:8888:8888 --volume trialbook-notebook:/store trialbook:notebook
#
# Without a key the server refuses to start, since it listens where other machines reach it; where a
# private network decides who does, `--env TRIALBOOK_NO_AUTH=1` lets it go without. Any other command
# runs the same way, beside a running server too: they share the store. The server's root file system
# can be read-only; beside /store it writes to /tmp alone.

# What every build starts from: the manifests, and stand-ins for the sources. Dependencies are built
# against these, in a layer that only the manifests can change: they take most of the time.
FROM rust:1.95-slim-bookworm AS manifests
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src/library/Cargo.toml src/library/
COPY src/program/Cargo.toml src/program/
RUN echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs src/library/lib.rs src/program/lib.rs


FROM manifests AS build-cuda
# There is no CUDA here to ask for its version: that of the image below.
ENV CUDARC_CUDA_VERSION=12080
RUN cargo build --release --locked --features cuda
COPY src src
# Cargo compares times: sources older than the stand-ins would not be compiled.
RUN touch src/main.rs src/lib.rs src/*/lib.rs \
    && cargo build --release --locked --features cuda \
    && install -D --strip --mode 755 target/release/trialbook /image/usr/local/bin/trialbook \
    && install -d --mode 755 /image/store


# The runtime image has two gigabytes of libraries that nothing here loads. What is compiled at run
# time needs NVRTC and the headers that kernels include; the driver comes from the host.
FROM nvidia/cuda:12.8.1-base-ubuntu24.04 AS cuda

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        cuda-crt-12-8 cuda-cudart-dev-12-8 cuda-nvrtc-12-8 \
    && rm -rf /var/lib/apt/lists/*
ENV CUDA_PATH=/usr/local/cuda \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/cuda/lib64 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trialbook" \
      org.opencontainers.image.description="The whole life of a text classifier in one program, for NVIDIA GPUs" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build-cuda /image/usr/local/bin/trialbook /usr/local/bin/trialbook
COPY --from=build-cuda --chown=65532:65532 /image/store /store

USER 65532:65532
WORKDIR /store
# What is compiled for the GPU is kept below the home.
ENV HOME=/tmp \
    TRIALBOOK_STORE=/store
VOLUME ["/store"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/trialbook", "health"]
ENTRYPOINT ["/usr/local/bin/trialbook"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]


FROM manifests AS build-notebook
RUN cargo build --release --locked
COPY src src
# The prelude takes the dependencies that the program's build has left in its target folder.
ENV TRIALBOOK_PRELUDE=/image/opt/trialbook/prelude
RUN touch src/main.rs src/lib.rs src/*/lib.rs \
    && cargo build --release --locked \
    && target/release/trialbook prelude build \
    && install -D --strip --mode 755 target/release/trialbook /image/usr/local/bin/trialbook


# The compiler that the prelude was built with, and no other, can compile cells against it.
FROM rust:1.95-slim-bookworm AS notebook

# Pictures need a font for their text.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-dejavu-core python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/jupyter \
    && /opt/jupyter/bin/pip install --no-cache-dir jupyterlab==4.6.6 \
    && useradd --create-home --uid 1000 analyst \
    && install -d --owner analyst --group analyst /store

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trialbook" \
      org.opencontainers.image.description="The whole life of a text classifier in one program, with JupyterLab" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build-notebook /image/usr/local/bin/trialbook /usr/local/bin/trialbook
COPY --from=build-notebook /image/opt/trialbook /opt/trialbook
COPY --chown=analyst:analyst notebooks /home/analyst/notebooks
RUN /usr/local/bin/trialbook kernel install --prefix /opt/jupyter

USER 1000:1000
WORKDIR /home/analyst/notebooks
ENV PATH="/opt/jupyter/bin:${PATH}" \
    TRIALBOOK_PRELUDE=/opt/trialbook/prelude \
    TRIALBOOK_STORE=/store
VOLUME ["/store"]
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:8888/api', timeout=4)"]
# Its log has the address to open, with the token. `docker run -it … trialbook` is the shell.
CMD ["jupyter", "lab", "--ip", "0.0.0.0", "--port", "8888", "--no-browser"]


FROM manifests AS build-server
RUN cargo build --release --locked
COPY src src
RUN touch src/main.rs src/lib.rs src/*/lib.rs \
    && cargo build --release --locked \
    && install -D --strip --mode 755 target/release/trialbook /image/usr/local/bin/trialbook \
    && install -d --mode 755 /image/store


# Katib wraps the command of a trial into `sh -c`, which the server's image has not.
FROM debian:bookworm-slim AS trial

# A registry behind TLS is known by these.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trialbook" \
      org.opencontainers.image.description="The whole life of a text classifier in one program, for the trials of a sweep" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build-server /image/usr/local/bin/trialbook /usr/local/bin/trialbook
COPY --from=build-server --chown=65532:65532 /image/store /store

USER 65532:65532
WORKDIR /store
ENV TRIALBOOK_STORE=/store
VOLUME ["/store"]
# A trial ends by itself: there is nothing to ask whether it is well.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/trialbook"]


# Last, and so what is built when no target is named.
FROM gcr.io/distroless/cc-debian12:nonroot AS server

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trialbook" \
      org.opencontainers.image.description="The whole life of a text classifier in one program: explore, train, track, gate, serve" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The store belongs to the user that runs, in named volumes too: they start as copies of /store.
# A folder of the host that is mounted there must be writable for user 65532.
COPY --from=build-server /image/usr/local/bin/trialbook /usr/local/bin/trialbook
COPY --from=build-server --chown=65532:65532 /image/store /store

USER 65532:65532
WORKDIR /store
ENV TRIALBOOK_STORE=/store
VOLUME ["/store"]
EXPOSE 8000
STOPSIGNAL SIGTERM

# Unhealthy also means: no version is in production, so there is nothing to ask.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/trialbook", "health"]

ENTRYPOINT ["/usr/local/bin/trialbook"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
