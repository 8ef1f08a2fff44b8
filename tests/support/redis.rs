//! A Redis server of a test's own, a real one or kboard's, whose every write is on disk before it is answered unless the
//! test wants otherwise.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::process::{Process, Signal};
use super::{eventually, kboard, ports, services, tools};

/// Usually 50 ms; more on a busy machine with an append-only file to read.
const START: Duration = Duration::from_secs(60);

/// A server that may be killed and started again on the same port and data.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    fsync: &'static str,
    settings: Vec<String>,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        // A power cut may lose nothing that was acknowledged, or the tests could not tell whose fault a loss is.
        Self::start_with("always").await
    }

    /// Starts one with this `appendfsync` and waits until it answers.
    pub async fn start_with(fsync: &'static str) -> Self {
        let mut server = Self { process: Process::prepare("redis"), port: ports::free(), fsync, settings: Vec::new() };
        server.restart().await;
        server
    }

    /// Starts one with more arguments and waits until it answers.
    pub async fn start_configured(settings: &[String]) -> Self {
        let (process, port) = (Process::prepare("redis"), ports::free());
        let mut server = Self { process, port, fsync: "always", settings: settings.to_vec() };
        server.restart().await;
        server
    }

    /// `redis://host:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Ends it as a power cut would that comes before the last `bytes` of its file are on disk, or a little more: it is
    /// cut between two transactions. A Redis 7.0 that finds half a command in one keeps the half transaction in the file
    /// and runs it at the start after the next.
    pub fn kill9_losing(&mut self, bytes: usize) {
        self.process.kill9();
        if services::are_embedded() {
            // kevy finds out by itself where the last whole command ends.
            let file = fs::File::options().write(true).open(self.process.directory().join("redis/aof-0.aof")).unwrap();
            let length = file.metadata().unwrap().len();
            return file.set_len(length.saturating_sub(bytes as u64)).unwrap();
        }
        let path = self.process.directory().join("appendonlydir/appendonly.aof.1.incr.aof");
        let written = fs::read(&path).unwrap();
        let kept = &written[..written.len().saturating_sub(bytes)];
        let cut = memchr::memmem::rfind(kept, b"*1\r\n$5\r\nMULTI\r\n").unwrap_or(0);
        fs::write(path, &written[..cut]).unwrap();
    }

    /// Stops it from answering while its connections stay open, until [`Self::thaw`].
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it on its port and data, and waits until it answers.
    pub async fn restart(&mut self) {
        let mut command = if services::are_embedded() { self.embedded() } else { self.real() };
        self.process.spawn(&mut command);
        let url = self.url();
        let process = std::cell::RefCell::new(&mut self.process);
        eventually("a private Redis that answers", START, async || {
            process.borrow_mut().must_run();
            tools::redis_answers(&url).await.then_some(())
        })
        .await;
    }

    fn real(&self) -> Command {
        let mut command = Command::new(services::redis_server());
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", self.fsync]).args(&self.settings);
        command
    }

    fn embedded(&self) -> Command {
        assert!(self.settings.is_empty(), "the embedded Redis has no such settings: {:?}", self.settings);
        let mut command = kboard::command();
        command.args(["broker", "--kafka", "127.0.0.1:1", "--metrics-listen", "127.0.0.1:0", "--data", "."]);
        command.args(["--redis-listen", &format!("127.0.0.1:{}", self.port)]);
        command
    }

    /// Empties it, as an operator's slip would.
    pub async fn flush(&self) {
        self.cli(&["FLUSHALL"]).await;
    }

    /// What `redis-cli` prints for a command.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        tools::redis_cli(&self.url(), arguments).await
    }
}
