//! The servers of a run: kboard first, peers beside it, each started here unless its address is given.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use tempfile::TempDir;

use crate::child::{Managed, free_address};
use crate::http::Connection;
use crate::process::Processes;
use crate::server::{Api, Server};

/// How long a started server may take until it is ready.
const STARTING: Duration = Duration::from_secs(60);

/// The services that kboard and its peers stand on.
#[derive(Args, Clone, Debug)]
pub struct Services {
    /// Kafka, for the kboard that is started and for backlogs
    #[arg(long, env = "KBOARD_TEST_KAFKA", default_value = "127.0.0.1:9092", global = true)]
    pub kafka: String,
    /// Redis, for kboard and the peers
    #[arg(long, env = "KBOARD_TEST_REDIS", default_value = "redis://127.0.0.1:6379", global = true)]
    pub redis: String,
    /// The kboard to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_kboard"), value_name = "FILE", global = true)]
    pub kboard: PathBuf,
}

impl Services {
    /// A `kboard` invocation with these services.
    pub fn kboard(&self) -> Command {
        let mut command = Command::new(&self.kboard);
        command.env("KBOARD_KAFKA", &self.kafka).env("KBOARD_REDIS", &self.redis);
        // Every figure is taken with logging on, as it runs in production; the log goes to a file.
        command.env("KBOARD_LOG", "info");
        command
    }
}

/// Which servers a run measures.
#[derive(Args, Clone, Debug)]
pub struct TargetArgs {
    /// Measure the kboard at this address instead of starting one
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The process to take memory and CPU from; found by its listening port when not given
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// A server to measure beside it, in alternating rounds: centrifugo or nchan (started here on the same Redis),
    /// or [NAME=]URL of a running one that speaks the board's API
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<String>,
    /// The Centrifugo to start
    #[arg(long, default_value = "target/bench/centrifugo", value_name = "FILE")]
    centrifugo: PathBuf,
    /// The nginx to start, with the Nchan module where its distribution puts it
    #[arg(long, default_value = "nginx", value_name = "FILE")]
    nginx: PathBuf,
    /// Rounds of each server; the table shows the median
    #[arg(long, default_value_t = 1)]
    pub rounds: usize,
}

/// A server that is up.
pub struct Target {
    pub server: Server,
    pub processes: Processes,
    // Ends the server, and removes its files, when the run is over.
    _child: Option<Managed>,
    _files: Option<TempDir>,
}

impl TargetArgs {
    /// Starts, or finds, all servers of the run: kboard first.
    pub async fn up(&self, services: &Services) -> anyhow::Result<Vec<Target>> {
        let mut targets = vec![match &self.target {
            Some(url) => found(Server::at("kboard", Api::Board, url)?, self.pid),
            None => start_kboard(services).await?,
        }];
        for peer in &self.peers {
            targets.push(match peer.as_str() {
                "centrifugo" => start_centrifugo(&self.centrifugo, &services.redis).await?,
                "nchan" => start_nchan(&self.nginx, &services.redis).await?,
                other => {
                    let (name, url) = other.split_once('=').unwrap_or(("peer", other));
                    found(Server::at(name, Api::Board, url)?, None)
                }
            });
        }
        Ok(targets)
    }
}

fn found(server: Server, pid: Option<u32>) -> Target {
    let processes = pid.map_or_else(|| Processes::listening_at(server.address), Processes::one);
    Target { server, processes, _child: None, _files: None }
}

/// Starts `kboard serve` and waits until it is ready.
pub async fn start_kboard(services: &Services) -> anyhow::Result<Target> {
    let address = free_address()?;
    let mut command = services.kboard();
    command.args(["serve", "--listen", &address.to_string()]);
    start("kboard", Api::Board, address, &mut command, "/readyz", tempfile::tempdir()?).await
}

async fn start_centrifugo(program: &Path, redis: &str) -> anyhow::Result<Target> {
    let address = free_address()?;
    let files = tempfile::tempdir()?;
    let config = json!({
        "http_server": { "address": address.ip().to_string(), "port": address.port().to_string() },
        "engine": { "type": "redis", "redis": { "address": redis } },
        // As open as the board is: anyone may publish, connect and subscribe.
        "client": { "insecure": true, "allow_anonymous_connect_without_token": true },
        "http_api": { "insecure": true },
        "channel": { "without_namespace": { "history_size": 100, "history_ttl": "1h", "allow_subscribe_for_anonymous": true, "allow_subscribe_for_client": true } },
        "uni_sse": { "enabled": true },
        "health": { "enabled": true },
        "log": { "level": "error" },
    });
    let path = files.path().join("config.json");
    std::fs::write(&path, config.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&path);
    start("centrifugo", Api::Centrifugo, address, &mut command, "/health", files).await
}

async fn start_nchan(program: &Path, redis: &str) -> anyhow::Result<Target> {
    let address = free_address()?;
    let files = tempfile::tempdir()?;
    let directory = files.path().display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    // The same window as the board's: the newest 100 messages, in the same Redis.
    let config = format!(
        "daemon off; {user} worker_processes auto;\n\
         pid {directory}/nginx.pid; error_log stderr error;\n\
         load_module modules/ngx_nchan_module.so;\n\
         events {{ worker_connections 11500; }}\n\
         http {{\n\
           access_log off; keepalive_requests 1000000000; tcp_nodelay on;\n\
           client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};\n\
           uwsgi_temp_path {directory}; scgi_temp_path {directory};\n\
           upstream store {{ nchan_redis_server {redis}; }}\n\
           server {{\n\
             listen {address} backlog=4096;\n\
             location = /ready {{ return 200; }}\n\
             location = /pub {{ nchan_publisher; nchan_channel_id $arg_id; nchan_redis_pass store;\n\
               nchan_message_buffer_length 100; nchan_message_timeout 1h; }}\n\
             location = /sub {{ nchan_subscriber eventsource; nchan_channel_id $arg_id; nchan_redis_pass store;\n\
               nchan_subscriber_first_message newest; }}\n\
           }}\n\
         }}\n"
    );
    let path = files.path().join("nginx.conf");
    std::fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&path).arg("-e").arg("stderr");
    start("nchan", Api::Nchan, address, &mut command, "/ready", files).await
}

async fn start(
    name: &str,
    api: Api,
    address: SocketAddr,
    command: &mut Command,
    ready: &str,
    files: TempDir,
) -> anyhow::Result<Target> {
    let log = files.path().join("log");
    let mut child = Managed::start(name, command, &log)?;
    let server = Server { name: name.to_owned(), api, address };
    let started = Instant::now();
    while status(&server, ready).await != Some(200) {
        if let Some(status) = child.ended()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("{name} ended at its start: {status}\n{said}");
        }
        if started.elapsed() > STARTING {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("{name} was not ready within {STARTING:?}; it said:\n{said}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let processes = Processes::listening_at(address);
    let processes = if processes.is_known() { processes } else { Processes::one(child.pid()) };
    Ok(Target { server, processes, _child: Some(child), _files: Some(files) })
}

/// The status of a GET, if it is answered.
pub async fn status(server: &Server, path: &str) -> Option<u16> {
    let mut connection = Connection::open(server.address).await.ok()?;
    let answer = connection.exchange(&server.get(path)).await.ok()?;
    Some(answer.status)
}

/// The body of a GET that must be answered 200.
pub async fn body<'a>(connection: &'a mut Connection, server: &Server, path: &str) -> anyhow::Result<&'a [u8]> {
    let answer = connection.exchange(&server.get(path)).await.with_context(|| format!("GET {path}"))?;
    if answer.status != 200 {
        bail!("GET {path}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    Ok(answer.body)
}
