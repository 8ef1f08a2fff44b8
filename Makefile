# The tasks of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Where `make run` serves.
LISTEN ?= 127.0.0.1:3000
# Further arguments: `make run ARGS=--no-consumers`, `make test ARGS='--test board'`, `make bench ARGS=post`,
# `make fuzz ARGS='recovery 600'`.
ARGS ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the optimised executable, target/release/kboard
	cargo build --release --locked

.PHONY: run
run: ## the board on http://127.0.0.1:3000, on its own Kafka broker and Redis; Ctrl-C stops it
	tests/services.sh install --compiler-only
	cargo build --release --locked
	@printf '\n  The board: http://%s\n  Ctrl-C ends it; what was posted stays in target/data.\n\n' "$(LISTEN)"
	@exec target/release/kboard serve --data target/data --listen $(LISTEN) $(ARGS)

.PHONY: run-real
run-real: ## the same on a real Kafka and Redis, which it installs and starts
	tests/services.sh install --servers-only
	cargo build --release --locked
	@tests/services.sh run --servers-only --name dev --usual-ports -- bash -c ' \
		printf "\n  The board: http://%s\n  Ctrl-C ends it; what was posted stays in target/services/dev.\n\n" "$(LISTEN)"; \
		exec target/release/kboard serve --kafka "$$KBOARD_TEST_KAFKA" --redis "$$KBOARD_TEST_REDIS" --listen $(LISTEN) $(ARGS)'

.PHONY: test
test: ## every test, against real servers and in a real browser
	tests/services.sh run -- tests/run.sh $(ARGS)

.PHONY: bench
bench: ## the load programs behind the figures in the README
	tests/services.sh run -- benches/run.sh $(ARGS)

.PHONY: fuzz
fuzz: ## every fuzz target for a minute, on nightly: make fuzz ARGS='recovery 600'
	fuzz/run.sh $(ARGS)

.PHONY: dashboards
dashboards: ## grafana/dashboards, from grafana/source
	node grafana/generate.mjs

.PHONY: lint
lint: ## formatting, clippy with warnings as errors, shell scripts, monitoring files
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/clients/rdkafka/Cargo.toml
	cargo clippy --all-targets --locked -- -D warnings
	git ls-files '*.sh' .ci/run | xargs -n1 bash -n
	tests/services.sh install
	promtool check config prometheus/prometheus.yml
	amtool check-config prometheus/alertmanager.yml

.PHONY: stop
stop: ## ends servers that an interrupted run left behind
	tests/services.sh stop
