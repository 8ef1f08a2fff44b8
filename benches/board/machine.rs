//! The facts without which a figure means nothing.

use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::targets::Services;

/// The machine and the programs of a run.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    pub kboard: String,
    pub redis: String,
    /// As `benches/run.sh` names it: a broker does not tell its version.
    pub kafka: String,
}

impl Machine {
    /// Of this machine, now.
    pub fn facts(services: &Services) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: after_colon("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: after_colon("/proc/meminfo", "MemTotal")
                .and_then(|kib| kib.trim_end_matches(" kB").parse::<f64>().ok())
                .map_or(0.0, |kib| (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0),
            kernel: kernel.trim().to_owned(),
            kboard: version(services.kboard().arg("--version")),
            redis: version(Command::new("redis-server").arg("--version")),
            kafka: std::env::var("KBOARD_TEST_KAFKA_VERSION").unwrap_or_else(|_| "unknown".into()),
        }
    }

    /// In one paragraph.
    pub fn text(&self) -> String {
        let Self { cpu, cores, memory_gib, kernel, kboard, redis, kafka } = self;
        format!(
            "{cores} cores of {cpu}, {memory_gib} GiB, Linux {kernel}; {kboard}; Kafka {kafka}; {redis}.\n\
             Server, load, Kafka and Redis share the machine."
        )
    }
}

fn after_colon(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find(|line| line.starts_with(name))?.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// The first four words that a program says of its version.
fn version(command: &mut Command) -> String {
    let said = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
