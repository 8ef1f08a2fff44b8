#!/usr/bin/env bash
# The pages in a real browser: builds kboard and runs every *.test.mjs here. To be started through
# `tests/services.sh run --brokers 3 -- tests/browser/run.sh`; support/ starts kboard itself, since tests stop and restart it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

: "${KBOARD_TEST_KAFKA:?run through tests/services.sh run -- tests/browser/run.sh, or make test}"
# With the tests, so that the dependencies are the ones that `cargo test` has built.
cargo build --locked --quiet --bin kboard --tests
KBOARD_BIN=$(cargo metadata --format-version 1 --no-deps | node -e '
  let text = ""; process.stdin.on("data", (part) => (text += part));
  process.stdin.on("end", () => console.log(JSON.parse(text).target_directory))')/debug/kboard
export KBOARD_BIN
exec node --test --test-reporter spec "$@"
