//! A Kafka broker of a test's own: one node, from the same jars and settings as the shared one, or kboard's.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::process::{Process, Signal};
use super::{eventually, kboard, ports, services, tools};

/// A JVM on a busy machine, log recovery after a kill included.
const START: Duration = Duration::from_secs(90);

/// The settings of a node; `tests/services.sh` uses the same.
const PROPERTIES: &str = include_str!("../kafka/server.properties");

/// A broker that may be killed and started again on the same port and data. About 5 s and 400 MB each: tests that only
/// need topics to themselves share the run's broker under a prefix instead ([`super::Stack::start`]).
#[derive(Debug)]
pub struct Broker {
    process: Process,
    port: u16,
    /// Of its cluster.
    controller_port: u16,
}

impl Broker {
    /// Starts one and waits until it serves.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more lines for its server.properties, where `@PORT@` and `@CONTROLLER_PORT@` stand for its ports.
    pub async fn start_with(settings: &[&str]) -> Self {
        let process = Process::prepare("kafka");
        let port = ports::free();
        if services::are_embedded() {
            assert!(settings.is_empty(), "the embedded broker has no such settings: {settings:?}");
            let mut broker = Self { process, port, controller_port: 0 };
            broker.restart().await;
            return broker;
        }
        copy_flat(&services::kafka_formatted(), &process.directory().join("data"));
        let mut broker = Self { process, port, controller_port: ports::free() };
        broker.configure(settings);
        broker.restart().await;
        broker
    }

    /// Starts a second one for the cluster of this one, which stays the controller. Without replicas of its own, a topic
    /// that was there before stays on this one.
    pub async fn join(&self) -> Self {
        let process = Process::prepare("kafka");
        let data = process.directory().join("data");
        copy_flat(&services::kafka_formatted(), &data);
        let identity = data.join("meta.properties");
        let other = |line: &str| match line.split_once('=') {
            Some(("node.id", _)) => "node.id=2\n".to_owned(),
            Some(("directory.id", _)) => "directory.id=c2Vjb25kLWJyb2tlci0wMg\n".to_owned(),
            _ => format!("{line}\n"),
        };
        let lines: String = fs::read_to_string(&identity).unwrap().lines().map(other).collect();
        fs::write(identity, lines).unwrap();
        let mut broker = Self { process, port: ports::free(), controller_port: self.controller_port };
        // Of a setting that comes twice, the last one holds.
        broker.configure(&["process.roles=broker", "node.id=2", "listeners=PLAINTEXT://127.0.0.1:@PORT@"]);
        broker.restart().await;
        broker
    }

    fn configure(&self, settings: &[&str]) {
        let directory = self.process.directory();
        let properties = (PROPERTIES.to_owned() + "\n" + &settings.join("\n"))
            .replace("@PORT@", &self.port.to_string())
            .replace("@CONTROLLER_PORT@", &self.controller_port.to_string())
            .replace("@DATA@", &directory.join("data").display().to_string());
        fs::write(directory.join("server.properties"), properties).unwrap();
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Stops it from answering while its connections stay open, until [`Self::thaw`].
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets a frozen broker go on.
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it on its port and data, without waiting until it serves.
    pub fn launch(&mut self) {
        if services::are_embedded() {
            let address = self.address();
            let arguments = ["broker", "--kafka-listen", &address, "--redis", "redis://127.0.0.1:1", "--data", "."];
            return self.process.spawn(kboard::command().args(arguments).args(["--metrics-listen", "127.0.0.1:0"]));
        }
        let libs = services::kafka_libs();
        // C1 alone starts a second faster, and a private broker never lives long enough to need more.
        self.process.spawn(
            Command::new("java")
                .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp"])
                .arg(libs.join("*"))
                .args(["kafka.Kafka", "server.properties"]),
        );
    }

    /// Starts it on its port and data, and waits until it serves.
    pub async fn restart(&mut self) {
        self.launch();
        self.serves().await;
    }

    /// Waits until it answers a metadata request as a broker of its cluster.
    pub async fn serves(&mut self) {
        let address = self.address();
        let process = std::cell::RefCell::new(&mut self.process);
        eventually("a private Kafka broker that answers", START, async || {
            process.borrow_mut().must_run();
            tools::kafka_answers(&address).await.then_some(())
        })
        .await;
    }
}

/// Copies a directory of files (a formatted Kafka data directory has no others).
fn copy_flat(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
