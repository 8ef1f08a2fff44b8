#!/usr/bin/env bash
# Every test, with the services' addresses in the environment (make test). With arguments, those of `cargo test`: `--test
# board`, or a part of tests' names. Ends with the runners' closing lines, once more and together, so that they are where one looks.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${KBOARD_TEST_DIR:?run through tests/services.sh run -- tests/run.sh, or make test}"
closing=$KBOARD_TEST_DIR/closing
failed=0

# Runs "$@", shows its output, keeps the lines that PATTERN finds, and remembers a failure.
suite() {
    local name=$1 pattern=$2 output=$KBOARD_TEST_DIR/${1//[^a-z]/}.out status
    shift 2
    "$@" 2>&1 | tee "$output"
    status=${PIPESTATUS[0]}
    {
        echo "$name:"
        grep -E "$pattern" "$output" | sed 's/^/  /'
        [ "$status" = 0 ] || echo "  FAILED with exit code $status"
    } >>"$closing"
    [ "$status" = 0 ] || failed=1
}

: >"$closing"
suite rust '^(test result:|error: .*failed|    [a-z_:]+$)' cargo test --locked --no-fail-fast "$@"
if grep -q '^  test result' "$closing" && ! grep -qE '^  test result: .* [1-9][0-9]* passed' "$closing"; then
    echo "  no test ran" | tee -a "$closing"
    failed=1
fi

# The same tests on the embedded broker and Redis, as far as they don't need what those refuse: passwords, transactions,
# compaction, topics of the broker's own, a second broker.
embedded() {
    local log=$KBOARD_TEST_DIR/embedded.log broker address="" status deadline=$((SECONDS + 90))
    "${CARGO_TARGET_DIR:-target}/debug/kboard" broker --data "$KBOARD_TEST_DIR/embedded" \
        --kafka-listen 127.0.0.1:0 --redis redis://127.0.0.1:1 --metrics-listen 127.0.0.1:0 \
        --log info --log-format text 2>"$log" &
    broker=$!
    trap 'kill "$broker" 2>/dev/null' EXIT
    while [ -z "$address" ]; do
        if ! kill -0 "$broker" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            echo "error: the embedded broker does not say where it listens"
            cat "$log"
            return 1
        fi
        sleep 0.1
        address=$(sed -nE 's/.* kafka="([^"]+)".*/\1/p' "$log")
    done
    KBOARD_TEST_SERVERS=embedded KBOARD_TEST_KAFKA=$address cargo test --locked --no-fail-fast --test board --test fetch \
        --test stream --test projection --test replay --test groups --test produce --test consume_print --test faults \
        --test topics --test console --test console_dead_letters --test console_groups --test console_messages \
        --test console_overview --test console_produce --test console_topics --test dead_letters --test reset \
        --test processor --test orders --test orders_api --test top --test trace \
        -- --skip aborted_transactions --skip internal_topics --skip what_compaction_left --skip a_lost_broker
    status=$?
    kill "$broker" && wait "$broker" || { echo "error: the embedded broker failed to end in order"; status=1; }
    return "$status"
}

if [ $# = 0 ]; then
    suite alerts '^ *(Unit Testing:|SUCCESS|FAILED)' tests/alerts/run.sh
    suite 'rust, on the embedded servers' '^(test result:|error: |    [a-z_:]+$)' embedded
    suite browser '^ℹ (tests|pass|fail|cancelled|skipped|duration_ms) ' \
        tests/services.sh run --brokers 3 -- tests/browser/run.sh
fi

printf '\n----------------------------------------------------------------\n'
cat "$closing"
[ "$failed" = 0 ] && echo "all suites passed" || echo "some suites FAILED"
exit "$failed"
