#!/usr/bin/env bash
# Prometheus' and Alertmanager's files, each with its own tool: that they are understood, that every rule fires when it
# should and is silent when it should be (the *.yml here are promtool's unit tests), and who is told what. That no alert
# is without cases, a runbook and metrics that exist is in tests/monitoring.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

promtool check config prometheus/prometheus.yml
promtool test rules tests/alerts/*.yml

check() {
    amtool check-config "$1"
    told now alertname=RedisEvictions severity=critical
    told today alertname=DeadLettersGrowing severity=warning topic=orders.v1
    told today alertname=SomebodyElses
}

# Whether RECEIVER is the one that hears of an alert with these labels.
told() {
    local receiver=$1
    shift
    amtool config routes test --config.file="$file" --verify.receivers="$receiver" "$@" >/dev/null 2>"$log" ||
        { echo "  FAILED: $file tells somebody else than $receiver of $*"; cat "$log"; exit 1; }
}

# In the folder of the original, because templates are found from there.
file=prometheus/.alertmanager.yml log=$(mktemp)
trap 'rm -f "$file" "$log"' EXIT
cp prometheus/alertmanager.yml "$file"
check "$file"
for receivers in prometheus/receivers/*.yml; do
    echo "with $receivers:"
    sed '/^receivers:/,$d' prometheus/alertmanager.yml | cat - "$receivers" >"$file"
    check "$file"
done

rendered=$(amtool template render --template.glob='prometheus/templates/*.tmpl' --template.data=tests/alerts/notification.json \
    --template.text='{{ template "kboard.title" . }}{{ "\n" }}{{ template "kboard.text" . }}{{ "\n" }}')
diff - <(echo "$rendered") <<'TEXT' || { echo "  FAILED: the templates say something else"; exit 1; }
FIRING warning: KafkaHighTimeToDrain (2)
billing needs 10m 0s for what waits in orders.v1, as fast as it is now (since 2026-01-02 03:04:05 UTC)
Over: order-saga needs 20m 0s for what waits in orders.v1, as fast as it is now (since 2026-01-02 03:00:00 UTC)
What to do: docs/runbooks/KafkaHighTimeToDrain.md
TEXT
echo "  SUCCESS: routes and templates"
