#!/usr/bin/env bash
# Installs Centrifugo into target/bench, through the Go module proxy.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/bench
GOBIN="$PWD/target/bench" go install github.com/centrifugal/centrifugo/v6@latest
