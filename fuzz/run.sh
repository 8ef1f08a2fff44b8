#!/usr/bin/env bash
# The fuzz targets (make fuzz), one after the other: fuzz/run.sh [TARGET [SECONDS]]. Needs a nightly toolchain and
# cargo-fuzz (`cargo install cargo-fuzz`). What is found is in fuzz/artifacts, what was learnt in fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo +nightly fuzz --version >/dev/null 2>&1 ||
    { echo "no cargo-fuzz on nightly: rustup toolchain install nightly && cargo install cargo-fuzz" >&2; exit 1; }

# What each begins with.
KBOARD_FUZZ_CORPUS=$PWD/fuzz/corpus cargo test --locked --test fuzz >/dev/null

if [ $# -gt 0 ]; then targets=$1; else targets=$(cargo +nightly fuzz list); fi
for target in $targets; do
    cargo +nightly fuzz run "$target" -- "-max_total_time=${2:-60}" -max_len=4096 \
        -rss_limit_mb=1024 -malloc_limit_mb=300 -print_final_stats=1
done
