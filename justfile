# The everyday commands; `.ci/run` is what every change must pass.

# What the README says
test:
    cargo test

# All that can be checked here, as for every change
test-all:
    .ci/run

lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace --open

# Accept what the compiler now says of wrong flows, after reading the diff
bless:
    TRYBUILD=overwrite cargo test -p flowstate-tests --test ui
    BLESS=1 cargo test -p flowstate-tests --test docs

# Every requirement on every server that is promised; writes the table in docs/databases.md
servers:
    .ci/run tools servers every_server

bench *args:
    cargo run --release -p flowstate-bench --features postgres,mysql -- {{args}}

package:
    cargo package --workspace
