#!/usr/bin/env bash
# Prometheus' files with its own tool: that they are understood, and that every rule fires when it should and is silent
# when it should be (the *.yml here are promtool's unit tests). That no alert is without cases, a runbook and metrics that
# exist is in tests/monitoring.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

promtool check config prometheus/prometheus.yml
promtool test rules tests/alerts/*.yml
