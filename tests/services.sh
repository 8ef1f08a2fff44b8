#!/usr/bin/env bash
# Real Kafka and Redis for the tests and for `make run`, on a Debian or Ubuntu machine, without containers.
#
#   tests/services.sh install [OPTION]         what is missing: packages, Kafka's jars, the browser tests' modules
#   tests/services.sh start [OPTION…] [NAME]   starts both, writes target/services/NAME/env, prints its path
#   tests/services.sh stop [NAME]              stops them; without a name, every set that was started here
#   tests/services.sh run [OPTION…] -- CMD…    starts, runs CMD with their addresses in its environment, stops,
#                                              and ends with CMD's exit code
# Options of install, start and run:
#   --servers-only    install what Kafka and Redis need, and nothing for the tests
#   --compiler-only   install what building kboard needs, and nothing else (install)
# Options of start and run:
#   --name NAME       keep the data under target/services/NAME, for the next time (run: thrown away by default)
#   --usual-ports     9092 and 6379 where they are free, so that every tool finds them by default
#   --brokers N       that many brokers in one cluster, instead of one; KBOARD_TEST_KAFKA lists them with commas
#
# CMD, and whoever sources the env file, gets
#   KBOARD_TEST_KAFKA         host:port of the broker
#   KBOARD_TEST_REDIS         redis://host:port, with an append-only file
#   KBOARD_TEST_KAFKA_LIBS    Kafka's jars, for tests that start brokers of their own and for Kafka's tools
#   KBOARD_TEST_REDIS_SERVER  the redis-server executable, for the same
#   KBOARD_TEST_CHROMIUM      the browser
#   KBOARD_TEST_FAKETIME      the library that makes a process's clock jump
#   KBOARD_TEST_PROMETHEUS    the prometheus executable, for tests that start one
#   KBOARD_TEST_ALERTMANAGER  the alertmanager executable, for the same
#   KBOARD_TEST_CLIENTS       where other people's clients are built, for tests/clients
#   KBOARD_TEST_DIR           where the servers' logs are, and where tests put those of their own servers
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
LIBS=$ROOT/target/kafka/libs
FORMATTED=$ROOT/target/kafka/formatted
TOOLS=$ROOT/target/kafka/tools.jsa
SERVICES=$ROOT/target/services
CLIENTS=$ROOT/target/clients
START_TIMEOUT=90
ONLY=
BROKERS=1

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- install ---------------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Ubuntu's package of Chromium is a command that asks for a snap; only one that answers is one.
chromium_path() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        have "$name" && "$name" --version >/dev/null 2>&1 && { command -v "$name"; return; }
    done
    return 1
}

# Debian and Ubuntu have a folder for each architecture.
faketime_path() {
    local library
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1; do
        [ -e "$library" ] && { echo "$library"; return; }
    done
    return 1
}

# Debian calls it after Prometheus.
alertmanager_path() { command -v prometheus-alertmanager || command -v alertmanager; }

# The major version that "$@" tells, or 0.
major() { "$@" 2>&1 | sed -n 's/[^0-9]*\([0-9]\{1,\}\).*/\1/p;q' | grep . || echo 0; }

# Kafka 4 runs on Java 17 and up. A distribution's default may be older while a newer one is there.
java_package() {
    local package
    for package in openjdk-21-jre-headless openjdk-17-jre-headless; do
        [ -z "$(apt-cache madison "$package" 2>/dev/null)" ] || { echo "$package"; return; }
    done
    echo default-jre-headless
}

# What is needed and the package that brings each.
missing_packages() {
    have cc && have make || echo build-essential
    [ "$ONLY" != compiler ] || return 0
    have java && [ "$(major java -version)" -ge 17 ] || java_package
    have mvn || echo maven
    have redis-server && have redis-cli || echo redis-server
    have kcat || echo kcat
    [ "$ONLY" != servers ] || return 0
    have promtool && have prometheus || echo prometheus
    have amtool && alertmanager_path >/dev/null || echo prometheus-alertmanager
    have go || echo golang-go
    python3 -c 'import ensurepip, venv' 2>/dev/null || { echo python3; echo python3-venv; }
    have node && [ "$(major node --version)" -ge 18 ] || echo nodejs
    have npm || echo npm
    chromium_path >/dev/null || echo chromium
    faketime_path >/dev/null || echo libfaketime
}

# Debian starts a service as soon as its package is there; ours run on ports of their own, so forbid that meanwhile.
apt_install() {
    local policy=/usr/sbin/policy-rc.d status=0 package
    [ "$(id -u)" = 0 ] || have sudo || die "not root and no sudo: can't install $*"
    have apt-get || die "no apt-get here: install $* by hand"
    say "installing $*"
    if [ -e "$policy" ]; then policy=; else
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
    fi
    get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >&2; }
    # One name that the distribution doesn't know must not keep the others away.
    get "$@" || for package in "$@"; do get "$package" || status=1; done
    [ -z "$policy" ] || as_root rm -f "$policy"
    return "$status"
}

install_packages() {
    local packages missing
    [ -n "$(missing_packages)" ] || return 0
    # The lists first: which packages there are decides which are asked for.
    as_root apt-get -qq update >&2 || say "apt-get update failed"
    mapfile -t packages < <(missing_packages)
    apt_install "${packages[@]}" || say "apt-get failed"
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] ||
        die "still missing or too old, install by hand: $missing(Java 17, Node 18, and a Chromium or Chrome that is no snap)"
}

# Copies FILE's checksum to STAMP after "$@" succeeded; does nothing when it is already there.
once_for() {
    local file=$1 stamp=$2 sum
    shift 2
    sum=$(cksum <"$file")
    [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
    "$@" || return
    printf '%s\n' "$sum" >"$stamp"
}

fetch_kafka() {
    say "fetching Kafka's jars"
    rm -rf "$LIBS"
    mvn -q -B -f "$ROOT/tests/kafka/pom.xml" dependency:copy-dependencies >&2 || return
    [ -n "$(ls "$LIBS"/kafka_*.jar 2>/dev/null)" ] || { say "Maven brought no Kafka"; return 1; }
}

# Formatting a data directory costs a JVM or two; done once, every broker starts from a copy.
format_kafka() {
    local properties id
    rm -rf "$FORMATTED"
    mkdir -p "$FORMATTED"
    properties=$(mktemp)
    server_properties 9092 9093 "$FORMATTED" >"$properties"
    id=$(java -cp "$LIBS/*" kafka.tools.StorageTool random-uuid 2>/dev/null) &&
        java -cp "$LIBS/*" kafka.tools.StorageTool format -t "$id" -c "$properties" >"$FORMATTED.log" 2>&1 ||
        { tail -20 "$FORMATTED.log" >&2; rm -f "$properties"; return 1; }
    rm -f "$properties"
}

# A virtual environment of our own: what else the machine has in Python stays out of it.
fetch_python_clients() {
    say "fetching the clients in Python"
    rm -rf "$CLIENTS/python"
    python3 -m venv "$CLIENTS/python" >&2 &&
        "$CLIENTS/python/bin/pip" install -q --disable-pip-version-check -r "$ROOT/tests/clients/python/requirements.txt" >&2
}

# The go command that the clients need: this machine's or, where that is older, the one they ask for. Every Go since
# 1.11 can fetch that as a module, with its checksum; only what makes it executable gets lost.
go_command() {
    local wanted here toolchain
    wanted=$(sed -n 's/^go //p' "$ROOT/tests/clients/go/go.mod")
    here=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
    [ "$(printf '%s\n' "$wanted" "$here" | sort -V | head -1)" != "$wanted" ] || { command -v go; return; }
    say "fetching Go $wanted, this machine's is $here"
    toolchain=$(cd / && GOTOOLCHAIN=local GOFLAGS='' go mod download -json \
        "golang.org/toolchain@v0.0.1-go$wanted.linux-$(go env GOHOSTARCH)" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    chmod +x "$toolchain"/bin/* "$toolchain"/pkg/tool/*/* || return
    echo "$toolchain/bin/go"
}

build_go_clients() {
    local go
    say "building the clients in Go"
    go=$(go_command) && [ -n "$go" ] || return
    (cd "$ROOT/tests/clients/go" && GOTOOLCHAIN=local GOFLAGS=-buildvcs=false "$go" build -o "$CLIENTS/go/" ./franz ./sarama) >&2
}

# librdkafka itself is built only once: its sources don't change with ours.
build_rdkafka_client() {
    say "building the client on rdkafka"
    have cargo || { say "no cargo: install Rust"; return 1; }
    cargo build -q --locked --manifest-path "$ROOT/tests/clients/rdkafka/Cargo.toml" --target-dir "$CLIENTS/rdkafka" >&2
}

# What Kafka's tools load at every start, in a form that is loaded at once: they start in half the time. A JVM ignores
# an archive that isn't there or doesn't fit.
archive_tools() {
    say "archiving the classes of Kafka's tools"
    rm -f "$TOOLS"
    java -XX:+UseSerialGC -XX:ArchiveClassesAtExit="$TOOLS" -cp "$LIBS/*" org.apache.kafka.tools.BrokerApiVersionsCommand \
        --bootstrap-server 127.0.0.1:1 >/dev/null 2>&1 || true # there is no broker
    [ -e "$TOOLS" ]
}

fetch_node_modules() {
    say "fetching the modules of $1"
    (cd "$ROOT/$1" && npm ci --silent --no-fund --no-audit) >&2
}

# The modules of a folder, which may have been deleted since they were fetched.
node_modules() {
    local folder=$1 stamp=$2
    [ -d "$ROOT/$folder/node_modules" ] || rm -f "$stamp"
    once_for "$ROOT/$folder/package-lock.json" "$stamp" fetch_node_modules "$folder" || die "no modules for $folder: npm failed"
}

install() {
    mkdir -p "$ROOT/target/kafka"
    install_packages
    [ "$ONLY" != compiler ] || return 0
    # Two runs in one checkout may get here together: one at a time.
    exec 9>"$ROOT/target/kafka/lock"
    flock 9
    once_for "$ROOT/tests/kafka/pom.xml" "$ROOT/target/kafka/fetched" fetch_kafka || die "no Kafka: Maven failed"
    once_for "$ROOT/target/kafka/fetched" "$ROOT/target/kafka/is-formatted" format_kafka || die "can't format Kafka's data"
    [ "$ONLY" != servers ] || { exec 9>&-; return; }
    once_for "$ROOT/target/kafka/fetched" "$ROOT/target/kafka/tools-archived" archive_tools || say "Kafka's tools will start slowly"
    mkdir -p "$CLIENTS"
    node_modules tests/browser "$ROOT/target/kafka/browser-modules"
    node_modules tests/clients/node "$CLIENTS/node-fetched"
    once_for "$ROOT/tests/clients/python/requirements.txt" "$CLIENTS/python-fetched" fetch_python_clients ||
        die "no clients in Python: venv or pip failed"
    once_for <(cat "$ROOT"/tests/clients/go/go.* "$ROOT"/tests/clients/go/*/*.go) "$CLIENTS/go-built" build_go_clients ||
        die "no clients in Go: it could not be fetched or failed to build them"
    once_for <(cat "$ROOT"/tests/clients/rdkafka/Cargo.* "$ROOT"/tests/clients/rdkafka/src/*.rs) "$CLIENTS/rdkafka-built" \
        build_rdkafka_client || die "no client on rdkafka: it failed to build"
    exec 9>&-
}

# --- start and stop --------------------------------------------------------------------------------------------------

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A free port below the ephemeral range, so that no outgoing connection takes it meanwhile, and none that was given before: its
# server may not listen yet. Those are kept in a file, since whoever asks does so in a shell of its own.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 20000))
        ! listening "$port" && ! grep -qx "$port" "$GIVEN" || continue
        echo "$port" | tee -a "$GIVEN"
        return
    done
}

# The usual port when it is wanted and free.
choose_port() {
    if [ "$2" = yes ] && ! listening "$1"; then echo "$1"; else free_port; fi
}

server_properties() {
    sed -e "s|@PORT@|$1|g" -e "s|@CONTROLLER_PORT@|$2|g" -e "s|@DATA@|$3|g" "$ROOT/tests/kafka/server.properties"
}

# Starts "$@" in DIR, apart from the terminal's Ctrl-C, and leaves its pid there. With TIED=yes the kernel ends it when
# this script dies, however it dies.
spawn() {
    local dir=$1 here=$PWD tie=()
    shift
    [ "${TIED:-no}" = no ] || ! have setpriv || tie=(setpriv --pdeathsig KILL)
    # Not in a subshell: the child must be in its directory from the first moment, for `alive`.
    cd "$dir"
    setsid "${tie[@]}" "$@" </dev/null >>"$dir/log" 2>&1 9>&- &
    echo $! >"$dir/pid"
    disown # no word from the shell about its end
    cd "$here"
}

# Whether the process whose pid lies in DIR runs (its working directory tells it from a later one with that pid).
alive() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$1" ]
}

# Waits until "$@" succeeds, or fails with the log of the server in DIR.
wait_until() {
    local name=$1 dir=$2 deadline=$((SECONDS + START_TIMEOUT))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! alive "$dir" || [ "$SECONDS" -ge "$deadline" ]; then
            say "$name does not answer; the end of $dir/log:"
            tail -25 "$dir/log" >&2
            return 1
        fi
        sleep 0.1
    done
}

start_kafka() {
    local dir=$1 usual=$2 port controller
    mkdir -p "$dir"
    [ -e "$dir/data" ] || cp -r "$FORMATTED" "$dir/data"
    port=$(choose_port 9092 "$usual")
    controller=$(free_port)
    server_properties "$port" "$controller" "$dir/data" >"$dir/server.properties"
    spawn "$dir" java -Xmx512m -XX:+UseSerialGC -Dlog4j2.level=WARN -cp "$LIBS/*" kafka.Kafka "$dir/server.properties"
    KAFKA=127.0.0.1:$port
    KAFKA_DIR=$dir
    local id
    for ((id = 2; id <= BROKERS; id++)); do
        start_follower "$dir-$id" "$id" "$controller"
    done
}

# One more broker for the cluster of the first.
start_follower() {
    local dir=$1 id=$2 controller=$3 port identity
    mkdir -p "$dir"
    if [ ! -e "$dir/data" ]; then
        mkdir "$dir/data"
        identity=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-22)
        sed -e "s|^node.id=.*|node.id=$id|" -e "s|^directory.id=.*|directory.id=$identity|" \
            "$FORMATTED/meta.properties" >"$dir/data/meta.properties"
    fi
    port=$(free_port)
    # Of a setting that comes twice, the last one holds.
    {
        server_properties "$port" "$controller" "$dir/data"
        printf '%s\n' process.roles=broker "node.id=$id" "listeners=PLAINTEXT://127.0.0.1:$port"
    } >"$dir/server.properties"
    spawn "$dir" java -Xmx384m -XX:+UseSerialGC -Dlog4j2.level=WARN -cp "$LIBS/*" kafka.Kafka "$dir/server.properties"
    KAFKA=$KAFKA,127.0.0.1:$port
}

has_brokers() { [ "$(kcat -b "$KAFKA" -L -m 2 | grep -c '^  broker ')" -ge "$BROKERS" ]; }

start_redis() {
    local dir=$1 usual=$2 port
    mkdir -p "$dir"
    port=$(choose_port 6379 "$usual")
    spawn "$dir" redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' --appendonly yes --appendfsync everysec
    REDIS=redis://127.0.0.1:$port
    wait_until Redis "$dir" redis-cli -u "$REDIS" ping
}

start() {
    local name=$1 usual=$2 dir=$SERVICES/$1
    ! alive "$dir/kafka" && ! alive "$dir/redis" || die "$name runs already (tests/services.sh stop $name)"
    mkdir -p "$dir"
    GIVEN=$dir/ports
    : >"$GIVEN"
    start_kafka "$dir/kafka" "$usual"
    start_redis "$dir/redis" "$usual"
    wait_until Kafka "$KAFKA_DIR" has_brokers
    cat >"$dir/env" <<ENV
export KBOARD_TEST_KAFKA=$KAFKA
export KBOARD_TEST_REDIS=$REDIS
export KBOARD_TEST_KAFKA_LIBS=$LIBS
export KBOARD_TEST_REDIS_SERVER=$(command -v redis-server)
export KBOARD_TEST_CHROMIUM=$(chromium_path || true)
export KBOARD_TEST_FAKETIME=$(faketime_path || true)
export KBOARD_TEST_PROMETHEUS=$(command -v prometheus || true)
export KBOARD_TEST_ALERTMANAGER=$(alertmanager_path || true)
export KBOARD_TEST_CLIENTS=$CLIENTS
export KBOARD_TEST_DIR=$dir
ENV
    say "Kafka $KAFKA, $REDIS"
}

# Ends every server of the set, also those that tests started below its directory and left behind.
stop() {
    local dir=$SERVICES/$1 signal=${2:-TERM} server deadline=$((SECONDS + 20))
    for server in "$dir"/*; do
        ! alive "$server" || kill "-$signal" "$(cat "$server/pid")" 2>/dev/null || true
    done
    for server in "$dir"/*; do
        while alive "$server"; do
            [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$(cat "$server/pid")" 2>/dev/null || true
            sleep 0.05
        done
        rm -f "$server/pid"
    done
}

# --- run -------------------------------------------------------------------------------------------------------------

run() {
    local name=$1 usual=$2 status=0 kept=$1
    shift 2
    [ $# -gt 0 ] || die "run -- CMD…"
    RUN=${name:-run-$$}
    RUN_KEPT=$kept
    trap end_run EXIT
    # Ctrl-C reaches CMD as well; it ends in its own time, and then the servers do.
    trap : INT TERM
    TIED=yes start "$RUN" "$usual"
    # shellcheck disable=SC1091
    . "$SERVICES/$RUN/env"
    "$@" || status=$?
    RUN_STATUS=$status
    exit "$status"
}

end_run() {
    if [ -n "$RUN_KEPT" ]; then stop "$RUN"; return; fi
    stop "$RUN" KILL
    # What a failed run leaves is what explains it: the logs stay, the data goes.
    if [ "${RUN_STATUS:-1}" = 0 ]; then rm -rf "${SERVICES:?}/$RUN"; else
        rm -rf "$SERVICES/$RUN"/*/data "$SERVICES/$RUN"/*/appendonlydir
        say "logs are in $SERVICES/$RUN"
    fi
}

main() {
    local command=${1:-} name='' usual=no
    [ $# = 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            --name) name=${2:?--name NAME}; shift 2 ;;
            --usual-ports) usual=yes; shift ;;
            --brokers) BROKERS=${2:?--brokers N}; shift 2 ;;
            --servers-only) ONLY=servers; shift ;;
            --compiler-only) ONLY=compiler; shift ;;
            --) shift; break ;;
            -*) die "unknown option $1" ;;
            *) break ;;
        esac
    done
    case $command in
        install) install ;;
        start)
            install
            start "${1:-${name:-dev}}" "$usual"
            echo "$SERVICES/${1:-${name:-dev}}/env"
            ;;
        stop)
            if [ -n "${1:-$name}" ]; then stop "${1:-$name}"; else
                for set in "$SERVICES"/*/; do [ ! -d "$set" ] || stop "$(basename "$set")"; done
            fi
            ;;
        run) install; run "$name" "$usual" "$@" ;;
        *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    esac
}

main "$@"
