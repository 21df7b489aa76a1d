# Two images from one build: `docker build --target fetcher .` and `docker build --target loader .`.
# Plain instructions only, so that builders without BuildKit and without a way to a frontend image do.

FROM rust:1.95.0-slim-trixie AS build
WORKDIR /src

# Dependencies are compiled with empty crates in place of ours, and so again only when a manifest or
# the lock changes. `tests` is never compiled, but the lock holds only with every member present, and a
# manifest only with every file that it names.
COPY Cargo.toml Cargo.lock ./
COPY shared/Cargo.toml shared/
COPY fetcher/Cargo.toml fetcher/
COPY loader/Cargo.toml loader/
COPY tests/Cargo.toml tests/
RUN mkdir -p shared/src fetcher/src loader/src tests/src/bin tests/benches \
    && touch shared/src/lib.rs fetcher/src/lib.rs loader/src/lib.rs tests/src/lib.rs \
    && for bench in $(grep -A1 -F '[[bench]]' tests/Cargo.toml | sed -n 's/^name = "\(.*\)"/\1/p'); do \
           touch "tests/benches/$bench.rs" || exit 1; \
       done \
    && for main in fetcher/src/main.rs loader/src/main.rs tests/src/bin/sandbox.rs; do \
           echo 'fn main() {}' > "$main" || exit 1; \
       done \
    && cargo build --release --locked --package fetcher --package loader \
    # Copied files keep their times, older than this build: cargo would take the empty crates for them.
    && cargo clean --release --package shared --package fetcher --package loader

COPY shared shared
COPY fetcher fetcher
COPY loader loader
COPY migrations migrations
# Beside the programs, only the C library's files that they name, and the roots for TLS.
RUN cargo build --release --locked --package fetcher --package loader \
    && mkdir /runtime \
    && cp --parents --dereference /etc/ssl/certs/ca-certificates.crt \
        $(ldd target/release/fetcher target/release/loader | grep -o '/[^ :]*\.so[^ ]*' | sort -u) /runtime

# No shell, no package manager: nothing to run but the program.
FROM scratch AS runtime
COPY --from=build /runtime/ /
LABEL org.opencontainers.image.licenses="MIT"
USER 65532:65532
STOPSIGNAL SIGTERM

FROM runtime AS fetcher
LABEL org.opencontainers.image.title="toggl-track-fetcher" \
      org.opencontainers.image.description="Pulls Toggl Track and publishes it to NATS JetStream"
COPY --from=build /src/target/release/fetcher /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/fetcher"]

FROM runtime AS loader
LABEL org.opencontainers.image.title="toggl-track-loader" \
      org.opencontainers.image.description="Loads Toggl Track batches from NATS JetStream into PostgreSQL"
COPY --from=build /src/target/release/loader /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/loader"]
