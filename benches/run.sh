#!/usr/bin/env bash
# Starts real Kafka and Redis, builds kboard as it ships, and runs every load program, beside what peers there are.
#
#   benches/run.sh                 about five minutes
#   benches/run.sh --full          the figures of the README: longer, three rounds, a 10-minute soak
#   benches/run.sh [--full] post   only what is named: start, post, fanout, drain, history, soak
#   benches/run.sh --embedded …    on kboard's own broker and Redis, in a process of their own as the real ones are
#
# The embedded broker beside Kafka is measured by benches/broker.sh, which starts servers of its own.
#
# Output: Markdown tables on stdout; what the programs say besides on stderr.
set -euo pipefail
cd "$(dirname "$0")/.."

# Starts what ships on free ports and an empty folder, until this script ends.
embedded() {
  local data address
  cargo build --release --locked --quiet
  data=$(mktemp -d)
  "${CARGO_TARGET_DIR:-target}/release/kboard" broker --data "$data" --kafka-listen 127.0.0.1:0 \
    --redis-listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 2>"$data/log" &
  trap "kill $! 2>/dev/null; wait $!; rm -rf '$data'" EXIT
  until address=$(sed -nE 's/.* ready; .* kafka="([^"]+)" redis="([^"]+)".*/\1 \2/p' "$data/log" 2>/dev/null) && [[ $address ]]; do
    kill -0 $! 2>/dev/null || { cat "$data/log" >&2; exit 1; }
    sleep 0.1
  done
  export KBOARD_TEST_KAFKA=${address% *} KBOARD_TEST_REDIS=${address#* } KBOARD_TEST_KAFKA_VERSION=embedded
}
if [[ ${1:-} == --embedded ]]; then
  shift
  embedded
fi
if [[ -z ${KBOARD_TEST_KAFKA:-} || -z ${KBOARD_TEST_REDIS:-} ]]; then
  exec tests/services.sh run -- "$0" "$@"
fi

rounds=1 seconds=5 records=200000 depth=150000 soak=30 warm=10
if [[ ${1:-} == --full ]]; then
  rounds=3 seconds=10 records=1100000 depth=1000000 soak=600 warm=40
  shift
fi
only=" $* "

peers=()
if [[ -x target/bench/centrifugo ]] || benches/peers.sh >&2; then
  peers+=(--peer centrifugo)
else
  echo "Centrifugo could not be installed: its column is missing." >&2
fi
if command -v nginx >/dev/null && ls /usr/lib/nginx/modules/ngx_nchan_module.so >/dev/null 2>&1; then
  peers+=(--peer nchan)
else
  echo "nginx with Nchan is not installed: its column is missing." >&2
fi

# The broker does not tell its version; its jar does.
if [[ -z ${KBOARD_TEST_KAFKA_VERSION:-} ]]; then
  jars=("${KBOARD_TEST_KAFKA_LIBS:-}"/kafka_*.jar)
  version=$(basename "${jars[0]}" .jar)
  export KBOARD_TEST_KAFKA_VERSION=${version##*-}
fi

# Builds kboard itself, too.
cargo bench --locked --bench board --no-run --quiet

# A load program that fails is said and counted, and does not keep the others from running.
failed=0
board() {
  [[ $only == "  " || $only == *" $1 "* ]] || return 0
  cargo bench --bench board --quiet -- "$@" || { echo "failed: board $*" >&2; failed=1; }
}

# Java compiles the broker while it works: in its first minute it has half its speed, of which the peers, which have no
# broker, would know nothing.
only="  " board post --connections 128 --seconds "$warm" >/dev/null

board start
board post "${peers[@]}" --connections 1,128 --seconds "$seconds" --rounds "$rounds"
board fanout "${peers[@]}" --viewers 1,1000,5000 --seconds "$seconds" --rounds "$rounds"
board fanout --viewers 10000 --rate 5 --seconds "$seconds"
board drain --records "$records"
board history --depth "$depth"
board soak --seconds "$soak" --rate 1000
exit "$failed"
