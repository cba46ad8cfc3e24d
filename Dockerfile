# The server as an image: one binary, no shell, not root.
#
#   docker build --tag trialbook .
#   docker run --publish 8000:8000 --volume trialbook-store:/store trialbook
#   docker run --rm --volume trialbook-store:/store trialbook train tfidf --data NAME --deploy
#
# Any other command runs the same way, beside a running server too: they share the store.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# Without a Rust compiler in the image, rust-analyzer has nothing to complete: it stays out.
ENV FEATURES="--no-default-features --features program"

# The dependencies, in a layer that only the manifests can change: they take most of the time.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked $FEATURES

# The program itself. Cargo compares times: sources older than the stand-ins above would not be
# compiled.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked $FEATURES \
    && install -D --mode 755 target/release/trialbook /image/usr/local/bin/trialbook \
    && install -d --mode 755 /image/store


FROM gcr.io/distroless/cc-debian12:nonroot

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trialbook" \
      org.opencontainers.image.description="The whole life of a text classifier in one program: explore, train, track, gate, serve" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The store belongs to the user that runs, in named volumes too: they start as copies of /store.
# A folder of the host that is mounted there must be writable for user 65532.
COPY --from=build /image/usr/local/bin/trialbook /usr/local/bin/trialbook
COPY --from=build --chown=65532:65532 /image/store /store

USER 65532:65532
WORKDIR /store
ENV TRIALBOOK_STORE=/store
VOLUME ["/store"]
EXPOSE 8000
STOPSIGNAL SIGTERM

# Unhealthy also means: no version is in production, so there is nothing to ask.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/trialbook", "health", "--url", "http://127.0.0.1:8000"]

ENTRYPOINT ["/usr/local/bin/trialbook"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
