#!/usr/bin/env bash
# The embedded broker beside Apache Kafka: same clients, same machine, in turns. Medians and their ratio, as Markdown.
#
#   benches/broker.sh                   every part once and small, about 8 minutes
#   benches/broker.sh --full            the figures of benches/README.md: three rounds, 10 GB of log, about 45 minutes
#   benches/broker.sh [--full] produce  only what is named: start, serve, produce, consume, latency, rdkafka, kcat, many, restart
#
# KBOARD names the executable to measure; without it, kboard is built as it ships. Data and logs are in
# target/bench/broker; --full needs 12 GB there.
set -euo pipefail
cd "$(dirname "$0")/.."

PARTS=(start serve produce consume latency rdkafka kcat many restart)
LIBS=$PWD/target/kafka/libs
FORMATTED=$PWD/target/kafka/formatted
WORK=$PWD/target/bench/broker
FIGURES=$WORK/figures
# librdkafka at full speed: tests/clients/rdkafka/src/bin/load.rs
RDKAFKA=$PWD/target/bench/rdkafka/release/load
START_TIMEOUT=120
# What Kafka's own start script gives it.
KAFKA_JAVA=(-Xms1g -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
    -XX:+ExplicitGCInvokesConcurrent -Dlog4j2.level=WARN)

rounds=1 small=1000000 large=200000 lines=1000000 messages=3000 gigabytes=1 idle=10 warm=20
if [[ ${1:-} == --full ]]; then
    rounds=3 small=3000000 large=500000 lines=3000000 messages=10000 gigabytes=10 idle=30 warm=60
    shift
fi

say() { printf 'broker: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- the servers -----------------------------------------------------------------------------------------------------

SERVERS=(kboard kafka)
declare -A PORT PID

# A free port below the ephemeral range, so that no outgoing connection takes it meanwhile.
free_port() {
    local port
    while port=$((10000 + RANDOM % 20000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

address() { echo "127.0.0.1:${PORT[$1]}"; }

# Runs "$@" as the server, from the folder of its data.
spawn() {
    local server=$1
    shift
    (cd "$WORK/$server" && exec "$@" </dev/null >>"$WORK/$server.log" 2>&1) &
    PID[$server]=$!
}

spawn_kboard() {
    spawn kboard "$KBOARD" broker --data data --kafka-listen "$(address kboard)" --redis redis://127.0.0.1:1 \
        --metrics-listen 127.0.0.1:0
}

spawn_kafka() { spawn kafka java "${KAFKA_JAVA[@]}" -cp "$LIBS/*" kafka.Kafka server.properties; }

# An empty folder for the server.
clear_data() {
    rm -rf "${WORK:?}/$1"
    mkdir -p "$WORK/$1"
    PORT[$1]=$(free_port)
    [[ $1 == kafka ]] || return 0
    cp -r "$FORMATTED" "$WORK/kafka/data"
    sed -e "s|@PORT@|${PORT[kafka]}|g" -e "s|@CONTROLLER_PORT@|$(free_port)|g" -e "s|@DATA@|$WORK/kafka/data|g" \
        tests/kafka/server.properties >"$WORK/kafka/server.properties"
}

# Whether the server answers ApiVersions. The answer's length begins with a zero byte.
answers() {
    local connection
    exec {connection}<>"/dev/tcp/127.0.0.1/${PORT[$1]}" || return
    printf '\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff' >&"$connection"
    local status=0
    IFS= read -r -d '' -t 5 <&"$connection" || status=1
    exec {connection}>&-
    return "$status"
} 2>/dev/null

now_ms() { echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# Starts the server with the data it has; prints nothing, and leaves in `elapsed` how many ms it took to answer.
start() {
    local began deadline=$((SECONDS + START_TIMEOUT))
    began=$(now_ms)
    "spawn_$1"
    until answers "$1"; do
        kill -0 "${PID[$1]}" 2>/dev/null && ((SECONDS < deadline)) || die "$1 does not answer: see $WORK/$1.log"
        sleep 0.002
    done
    elapsed=$(($(now_ms) - began))
}

stop() {
    local server=$1 signal=${2:-TERM}
    [[ -n ${PID[$server]:-} ]] || return 0
    kill "-$signal" "${PID[$server]}" 2>/dev/null || true
    wait "${PID[$server]}" 2>/dev/null || true
    unset "PID[$server]"
}

# Milliseconds of processor time that the server has had.
cpu_ms() {
    local stat
    stat=$(<"/proc/${PID[$1]}/stat")
    read -ra stat <<<"${stat##*) }"
    echo "$(((stat[11] + stat[12]) * 1000 / $(getconf CLK_TCK)))"
}

# MiB of memory that the server has.
memory() { awk '$1 == "VmRSS:" { printf "%.1f\n", $2 / 1024 }' "/proc/${PID[$1]}/status"; }

# --- the clients -----------------------------------------------------------------------------------------------------

# One of Kafka's own tools, with what its script gives it.
tool() {
    local name=$1
    shift
    java -Xmx512m -Dlog4j2.level=ERROR -cp "$LIBS/*" "org.apache.kafka.tools.$name" "$@" 2>>"$WORK/clients.log"
}

create_topic() { "$KBOARD" topics create "$2" --partitions "${3:-1}" --kafka "$(address "$1")" >/dev/null 2>>"$WORK/clients.log"; }

delete_topic() { "$KBOARD" topics delete "$2" --yes --kafka "$(address "$1")" >/dev/null 2>>"$WORK/clients.log"; }

# Records of a size into a topic, and how many a second that were.
produce() {
    local server=$1 topic=$2 count=$3 size=$4 compression=${5:-none}
    tool ProducerPerformance --bootstrap-server "$(address "$server")" --topic "$topic" --num-records "$count" \
        --record-size "$size" --throughput -1 --command-property acks=all compression.type="$compression" |
        awk 'match($0, /[0-9.]+ records\/sec/) { rate = $4 } END { print rate }'
}

# Reads so many records, and tells how many a second that were, joining the group included.
consume() {
    tool ConsumerPerformance --bootstrap-server "$(address "$1")" --topic "$2" --num-records "$3" --hide-header |
        awk -F ', ' 'NF > 5 { rate = $6 } END { print rate }'
}

# The average, the median and the 99th percentile (ms) from producing a record until it is consumed. The tool tells whole
# milliseconds but for the average.
latency() {
    tool EndToEndLatency "$(address "$1")" latency "$2" all 100 |
        awk '/Avg latency/ { average = $3 } /Percentiles/ { gsub(",", ""); print average, $4, $7 }'
}

# --- the figures -----------------------------------------------------------------------------------------------------

# record CASE UNIT SERVER VALUE
record() {
    [[ $4 =~ ^[0-9.]+$ ]] || die "no figure of $3 for \"$1\": see $WORK/clients.log"
    printf '%s\t%s\t%s\t%s\n' "$@" >>"$FIGURES"
    say "$1: $3 $4 $2"
}

# with_cpu CASE SERVER COMMAND…: records what COMMAND prints as a rate, and what the server's processor did for it.
with_cpu() {
    local case=$1 server=$2 before rate
    shift 2
    before=$(cpu_ms "$server")
    rate=$("$@")
    record "$case" "records/s" "$server" "$rate"
    record "$case: processor" "ms" "$server" "$(($(cpu_ms "$server") - before))"
}

# The medians of what was recorded, and kboard's as a part or a multiple of Kafka's.
table() {
    awk -F '\t' '
        function median(values, sorted, count) {
            count = split(values, sorted, " ")
            sort(sorted, count)
            return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
        }
        function sort(sorted, count, place, other, held) {
            for (place = 2; place <= count; place++) {
                held = sorted[place] + 0
                for (other = place - 1; other > 0 && sorted[other] + 0 > held; other--) sorted[other + 1] = sorted[other]
                sorted[other + 1] = held
            }
        }
        function figure(value) { return value >= 100 ? sprintf("%.0f", value) : sprintf("%.3g", value) }
        !($1 in unit) { order[++cases] = $1; unit[$1] = $2 }
        { values[$1, $3] = values[$1, $3] " " $4 }
        END {
            print "| | | embedded | Kafka | ratio |"
            print "|---|---|---:|---:|---:|"
            for (place = 1; place <= cases; place++) {
                name = order[place]
                ours = median(values[name, "kboard"])
                theirs = values[name, "kafka"] == "" ? 0 : median(values[name, "kafka"])
                printf "| %s | %s | %s | %s | %s |\n", name, unit[name], figure(ours),
                    (theirs ? figure(theirs) : ""), (theirs ? sprintf("%.2f", ours / theirs) : "")
            }
        }' "$FIGURES"
}

# --- the parts -------------------------------------------------------------------------------------------------------

both() { local server; for server in "${SERVERS[@]}"; do "$@" "$server"; done; }

in_turns() { local round; for ((round = 0; round < rounds; round++)); do both "$@"; done; }

# Java compiles the broker while it works.
warm_up() {
    local deadline=$((SECONDS + warm))
    create_topic kafka warm
    while ((SECONDS < deadline)); do
        produce kafka warm "$small" 100 >/dev/null
        consume kafka warm "$small" >/dev/null
    done
    delete_topic kafka warm
}

running() {
    [[ -z ${PID[kafka]:-} || -z ${PID[kboard]:-} ]] || return 0
    both clear_data
    both start
    warm_up
}

part_start() {
    one() {
        clear_data "$1"
        start "$1"
        record "start, empty folder" ms "$1" "$elapsed"
        stop "$1"
        start "$1"
        record "start, again" ms "$1" "$elapsed"
        stop "$1"
    }
    in_turns one
}

# The whole board with both of its servers: from exec to the first page.
part_serve() {
    local times time port redis began
    for ((time = 0; time < rounds; time++)); do
        clear_data kboard
        for times in first second; do
            port=$(free_port) redis=$(free_port) began=$(now_ms)
            spawn kboard "$KBOARD" serve --data data --kafka-listen "$(address kboard)" --redis-listen "127.0.0.1:$redis" \
                --listen "127.0.0.1:$port"
            until has_page "$port"; do
                kill -0 "${PID[kboard]}" 2>/dev/null || die "kboard serve ended: see $WORK/kboard.log"
                sleep 0.002
            done
            record "kboard serve to the first page, $times start" ms kboard "$(($(now_ms) - began))"
            stop kboard
        done
    done
}

has_page() {
    local connection line
    exec {connection}<>"/dev/tcp/127.0.0.1/$1" || return
    printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&"$connection"
    IFS= read -r -t 5 line <&"$connection" || line=''
    exec {connection}>&-
    [[ $line == *' 200 '* ]]
} 2>/dev/null

part_produce() {
    one() {
        create_topic "$4" produce
        with_cpu "ProducerPerformance, $1" "$4" produce "$4" produce "$2" "${3% *}" "${3#* }"
        delete_topic "$4" produce
    }
    running
    in_turns one "100 B" "$small" "100 none"
    in_turns one "1 KB" "$large" "1024 none"
    in_turns one "100 B, lz4" "$small" "100 lz4"
}

part_consume() {
    fill() { create_topic "$1" consume && produce "$1" consume "$((small * 2))" 100 >/dev/null; }
    one() { with_cpu "ConsumerPerformance, 100 B" "$1" consume "$1" consume "$((small * 2))"; }
    running
    both fill
    in_turns one
    both delete_consume
}
delete_consume() { delete_topic "$1" consume; }

# measure_latency CASE SERVER COMMAND…: what COMMAND prints: the average, the median and the 99th percentile.
measure_latency() {
    local what=$1 server=$2 average median ninety_ninth
    shift 2
    read -r average median ninety_ninth < <("$@") || die "no latency: see $WORK/clients.log"
    record "$what, average" ms "$server" "$average"
    record "$what, p50" ms "$server" "$median"
    record "$what, p99" ms "$server" "$ninety_ninth"
}

part_latency() {
    prepare() { create_topic "$1" latency; }
    one() { measure_latency "EndToEndLatency" "$1" latency "$1" "$messages"; }
    running
    both prepare
    in_turns one
    both delete_latency
}
delete_latency() { delete_topic "$1" latency; }

# rate COUNT COMMAND…: how many of COUNT records a second COMMAND moves.
rate() {
    local count=$1 began
    shift
    began=$(now_ms)
    "$@" >/dev/null 2>>"$WORK/clients.log"
    echo "$((count * 1000 / ($(now_ms) - began)))"
}

part_rdkafka() {
    load() { "$RDKAFKA" "$2" "$(address "$1")" rdkafka "$3" 2>>"$WORK/clients.log"; }
    one() {
        create_topic "$1" rdkafka
        with_cpu "rdkafka produces, 100 B, acks=all" "$1" load "$1" produce "$small"
        with_cpu "rdkafka consumes" "$1" load "$1" consume "$small"
        measure_latency "rdkafka from end to end" "$1" load "$1" latency "$messages"
        delete_topic "$1" rdkafka
    }
    cargo build -q --release --locked --manifest-path tests/clients/rdkafka/Cargo.toml --target-dir target/bench/rdkafka
    running
    in_turns one
}

# The same library with less of the machine for the broker: kcat also reads its lines, and writes what it consumes.
part_kcat() {
    one() {
        create_topic "$1" kcat
        with_cpu "kcat produces lines of 100 B" "$1" rate "$lines" kcat -P -b "$(address "$1")" -t kcat -l "$WORK/lines"
        with_cpu "kcat consumes them" "$1" rate "$lines" read_lines "$1"
        with_cpu "four of them consume at once" "$1" rate "$((lines * 4))" four_read_lines "$1"
        delete_topic "$1" kcat
    }
    running
    # A line of 99 bytes and its end; yes ends when head has enough.
    head -n "$lines" < <(yes "$(printf 'x%.0s' {1..99})") >"$WORK/lines"
    in_turns one
    rm "$WORK/lines"
}

read_lines() { kcat -C -b "$(address "$1")" -t kcat -o beginning -c "$lines" -q; }

four_read_lines() {
    local reader readers=()
    for reader in {1..4}; do
        read_lines "$1" &
        readers+=($!)
    done
    for reader in "${readers[@]}"; do wait "$reader"; done
}

# 1,000 partitions, 500 connections and 50 groups around what is measured.
part_many() {
    one() {
        local crowd=() group
        create_topic "$1" many 1000
        create_topic "$1" crowd 10
        create_topic "$1" latency
        for group in {1..50}; do
            kcat -b "$(address "$1")" -G "group-$group" -q crowd >/dev/null 2>>"$WORK/clients.log" &
            crowd+=($!)
        done
        hold_connections "${PORT[$1]}" 400 &
        crowd+=($!)
        until_connected "${PORT[$1]}" 500
        with_cpu "many: ProducerPerformance, 100 B" "$1" produce "$1" many "$small" 100
        with_cpu "many: ConsumerPerformance, 100 B" "$1" consume "$1" many "$small"
        measure_latency "many: EndToEndLatency" "$1" latency "$1" "$messages"
        kill "${crowd[@]}"
        wait "${crowd[@]}" 2>/dev/null || true
        delete_topic "$1" many
        delete_topic "$1" crowd
        delete_topic "$1" latency
    }
    running
    in_turns one
}

# Holds so many connections until it is ended.
hold_connections() {
    local connection place
    ulimit -n 4096
    for ((place = 0; place < $2; place++)); do exec {connection}<>"/dev/tcp/127.0.0.1/$1"; done
    sleep infinity &
    trap 'kill $!' TERM
    wait
}

# Waits until there are so many connections to the port.
until_connected() {
    local port deadline=$((SECONDS + 60))
    port=$(printf ':%04X' "$1")
    until (($(awk -v port="$port" '$3 ~ port"$" && $4 == "01"' /proc/net/tcp | wc -l) >= $2)); do
        ((SECONDS < deadline)) || die "fewer than $2 connections after a minute"
        sleep 0.2
    done
}

# One server after the other: there is disk for one such log.
part_restart() {
    one() {
        local began count=$((gigabytes * 1000 * 1000))
        clear_data "$1"
        start "$1"
        create_topic "$1" log
        produce "$1" log "$count" 1000 >/dev/null
        record "memory after writing $gigabytes GB" MiB "$1" "$(memory "$1")"
        stop "$1"
        start "$1"
        record "start with $gigabytes GB of log, after SIGTERM" ms "$1" "$elapsed"
        sleep 5
        began=$(cpu_ms "$1")
        sleep "$idle"
        record "processor when idle" "%" "$1" "$(awk "BEGIN { print ($(cpu_ms "$1") - $began) / $idle / 10 }")"
        record "memory with $gigabytes GB of log" MiB "$1" "$(memory "$1")"
        produce "$1" log 1000000 1000 >/dev/null
        stop "$1" KILL
        start "$1"
        record "start with $gigabytes GB of log, after kill -9" ms "$1" "$elapsed"
        consume "$1" log "$count" >/dev/null
        record "memory after reading $gigabytes GB" MiB "$1" "$(memory "$1")"
        stop "$1"
        rm -rf "${WORK:?}/$1"
    }
    both stop
    both one
}

# --- the run ---------------------------------------------------------------------------------------------------------

end() {
    stop kboard KILL
    stop kafka KILL
    rm -rf "$WORK"/kboard "$WORK"/kafka
}

for part; do [[ " ${PARTS[*]} " == *" $part "* ]] || die "no such part: $part (there are: ${PARTS[*]})"; done
[[ -d $LIBS && -d $FORMATTED ]] || tests/services.sh install --servers-only
if [[ -z ${KBOARD:-} ]]; then
    cargo build --release --locked --quiet
    KBOARD=${CARGO_TARGET_DIR:-target}/release/kboard
fi
KBOARD=$(realpath "$KBOARD")
mkdir -p "$WORK"
rm -f "$FIGURES" "$WORK"/*.log
trap end EXIT
trap 'exit 130' INT TERM
for part in "${@:-${PARTS[@]}}"; do "part_$part"; done
table
