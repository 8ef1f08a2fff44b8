//! kboard itself, as a process: a server that runs until it is ended, or a command that ends by itself.

use std::ffi::OsString;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::Value;

use super::process::Process;
use super::{eventually, ports};

/// Creating topics and joining a group on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// How long a shutdown is awaited on a busy machine. What it may take is measured in `tests/board.rs`.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// A role of kboard that serves HTTP (`serve`, or `consume` with its metrics and health).
#[derive(Debug)]
pub struct Kboard {
    process: Process,
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    port: u16,
    http: reqwest::Client,
}

impl Kboard {
    /// Starts `kboard ARGUMENTS… --listen 127.0.0.1:PORT` on a free port and waits until it is ready.
    pub async fn serve(arguments: &[String]) -> Self {
        let kboard = Self::launch("serve", "--listen", arguments);
        kboard.ready_or_fail().await
    }

    /// Starts `kboard ARGUMENTS… --metrics-listen 127.0.0.1:PORT` on a free port and waits until it is ready.
    pub async fn consume(arguments: &[String]) -> Self {
        let kboard = Self::launch("consume", "--metrics-listen", arguments);
        kboard.ready_or_fail().await
    }

    /// Starts the embedded broker, `kboard ARGUMENTS… --metrics-listen 127.0.0.1:PORT`, and waits until it is there.
    pub async fn broker(arguments: &[String]) -> Self {
        let mut kboard = Self::launch("broker", "--metrics-listen", arguments);
        kboard.alive().await;
        kboard
    }

    /// Starts a role without waiting for it.
    pub fn launch(name: &str, listen_flag: &str, arguments: &[String]) -> Self {
        let port = ports::free();
        let mut arguments = arguments.to_vec();
        arguments.extend([listen_flag.to_owned(), format!("127.0.0.1:{port}")]);
        let (process, environment) = (Process::prepare(name), Vec::new());
        let mut kboard = Self { process, arguments, environment, port, http: client() };
        kboard.relaunch();
        kboard
    }

    /// Has this in its environment from its next start on.
    pub fn set(&mut self, variable: &'static str, value: impl Into<OsString>) {
        self.environment.push((variable, value.into()));
    }

    /// Starts it again after its end, on the same port.
    pub fn relaunch(&mut self) {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        self.process.spawn(command().args(&self.arguments).envs(environment));
    }

    /// Starts it again and waits until it is ready.
    pub async fn restart(&mut self) {
        self.relaunch();
        self.ready().await;
    }

    async fn ready_or_fail(mut self) -> Self {
        self.ready().await;
        self
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&mut self) {
        self.answers("/readyz").await;
    }

    /// Waits until `/healthz` does, of a role that depends on no other.
    pub async fn alive(&mut self) {
        self.answers("/healthz").await;
    }

    async fn answers(&mut self, path: &str) {
        let url = self.url(path);
        let http = self.http.clone();
        let process = std::cell::RefCell::new(&mut self.process);
        eventually("kboard that is ready", READY, async || {
            process.borrow_mut().must_run();
            http.get(&url).send().await.is_ok_and(|response| response.status().is_success()).then_some(())
        })
        .await;
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `host:port`, for tests that speak raw bytes.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client for it: keeps connections, follows no redirects.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Posts a message as the page does.
    pub async fn post(&self, content: &str, author: &str) -> reqwest::Result<reqwest::Response> {
        let body = serde_json::json!({ "content": content, "author": author });
        self.http.post(self.url("/api/messages")).json(&body).send().await
    }

    /// The board's newest messages.
    pub async fn messages(&self, limit: usize) -> Vec<Value> {
        let response = self.http.get(self.url(&format!("/api/messages?limit={limit}"))).send().await.unwrap();
        let mut body: Value = response.error_for_status().unwrap().json().await.unwrap();
        serde_json::from_value(body["messages"].take()).unwrap()
    }

    /// The sum of a metric's series whose labels contain all of `labels` (each as `name="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.http.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to shut down and waits for that.
    pub async fn sigterm(&mut self) -> ExitStatus {
        self.process.terminate(SHUTDOWN).await
    }

    /// Everything it wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process: its memory, other signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Runs `kboard ARGUMENTS…` to its end.
pub async fn run(arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(command());
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    command.output().await.unwrap()
}

/// The program, without the settings that the caller's environment may hold.
pub fn command() -> Command {
    // Beyond a limit on the size of files there is an error, as on a full disk, and not a signal that ends the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kboard")]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KBOARD_") {
            command.env_remove(name);
        }
    }
    command
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
