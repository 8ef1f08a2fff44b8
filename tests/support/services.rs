//! The servers and programs that `tests/services.sh` provides, by its environment variables.

use std::path::PathBuf;

/// The shared broker, `host:port`.
pub fn kafka() -> String {
    provided("KBOARD_TEST_KAFKA")
}

/// The shared Redis, as a URL.
pub fn redis() -> String {
    provided("KBOARD_TEST_REDIS")
}

/// Where Kafka's jars are.
pub fn kafka_libs() -> PathBuf {
    provided("KBOARD_TEST_KAFKA_LIBS").into()
}

/// The classes that Kafka's tools load, for JVMs to start quickly.
pub fn kafka_tools_archive() -> PathBuf {
    kafka_libs().with_file_name("tools.jsa")
}

/// A Kafka data directory, formatted and empty, to be copied.
pub fn kafka_formatted() -> PathBuf {
    kafka_libs().with_file_name("formatted")
}

/// The `redis-server` executable.
pub fn redis_server() -> PathBuf {
    provided("KBOARD_TEST_REDIS_SERVER").into()
}

/// The `prometheus` executable.
pub fn prometheus() -> PathBuf {
    provided("KBOARD_TEST_PROMETHEUS").into()
}

/// The `alertmanager` executable.
pub fn alertmanager() -> PathBuf {
    provided("KBOARD_TEST_ALERTMANAGER").into()
}

/// Whether servers of a test's own are kboard's embedded ones rather than real ones.
pub fn are_embedded() -> bool {
    std::env::var("KBOARD_TEST_SERVERS").is_ok_and(|servers| servers == "embedded")
}

/// The library that makes a process's clock jump.
pub fn faketime() -> PathBuf {
    provided("KBOARD_TEST_FAKETIME").into()
}

/// Where the clients that are programs in other languages are built.
pub fn clients() -> PathBuf {
    provided("KBOARD_TEST_CLIENTS").into()
}

/// Where tests put the directories of their own servers; `tests/services.sh` ends whatever is left running in there.
pub fn directory() -> PathBuf {
    provided("KBOARD_TEST_DIR").into()
}

/// A test that can't reach real servers fails: one that skips would be taken for one that passed.
fn provided(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `make test`, or `tests/services.sh run -- cargo test …` for some tests only")
    })
}
