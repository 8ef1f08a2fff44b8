//! The console as a process, and what is asked of it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// How long the console may take to start, or to see the whole cluster.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long its processor time is looked at.
const REST: Duration = Duration::from_secs(20);

/// A running console, ended with this.
pub struct Console {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Console {
    /// Starts `kboard serve --apps none` and waits until it is ready.
    pub async fn start(kafka: &str) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(env!("CARGO_BIN_EXE_kboard"))
            .args(["serve", "--apps", "none", "--kafka", kafka, "--listen", &address.to_string()])
            .stderr(Stdio::null())
            .spawn()?;
        let console = Self { child, address, http: reqwest::Client::new() };
        let started = Instant::now();
        while console.http.get(console.url("/readyz")).send().await.is_err() {
            if started.elapsed() > PATIENCE {
                bail!("the console does not answer");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(console)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until the console has seen so many topics and groups.
    pub async fn until_watched(&self, topics: usize, groups: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let counts = [("topics", topics), ("groups", groups)];
            let mut all = true;
            for (what, wanted) in counts {
                let answer = self.http.get(self.url(&format!("/api/console/{what}"))).send().await?;
                let answer: Value = answer.error_for_status()?.json().await?;
                all &= answer["total"].as_u64() >= u64::try_from(wanted).ok();
            }
            if all {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("the console does not see {topics} topics and {groups} groups");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks for `path` so many times and prints how long that took.
    pub async fn time(&self, path: &str, times: usize) -> anyhow::Result<()> {
        let mut took = Vec::new();
        let mut bytes = 0;
        for _ in 0..times {
            let started = Instant::now();
            let answer = self.http.get(self.url(path)).send().await?.error_for_status()?;
            bytes = answer.bytes().await?.len();
            took.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        took.sort_by(f64::total_cmp);
        println!("| `{path}` | {:.1} | {:.1} | {} |", took[times / 2], took[times - 1], bytes / 1024);
        Ok(())
    }

    /// Reads `path` to its end, which must mention `needle`, and prints how fast, and how much memory it took above
    /// `before` (MiB).
    pub async fn stream(&self, name: &str, path: &str, records: u64, before: f64, needle: &str) -> anyhow::Result<()> {
        let over = Arc::new(AtomicBool::new(false));
        let pid = self.child.id();
        let sampler = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut most: f64 = 0.0;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(memory_of(pid));
                    std::thread::sleep(Duration::from_millis(50));
                }
                most
            })
        };
        let started = Instant::now();
        let mut answer = self.http.get(self.url(path)).send().await?.error_for_status()?;
        // What is looked for may lie across two chunks.
        let (mut tail, mut found) = (Vec::new(), false);
        while let Some(chunk) = answer.chunk().await? {
            tail.extend_from_slice(&chunk);
            found |= memchr::memmem::find(&tail, needle.as_bytes()).is_some();
            let keep = tail.len().saturating_sub(needle.len());
            tail.drain(..keep);
        }
        let took = started.elapsed();
        over.store(true, Ordering::Relaxed);
        let most = sampler.join().unwrap_or_default() - before;
        if !found {
            bail!("{path} did not find {needle}");
        }
        println!("| {name} | {:.1} | {:.0} | {most:.0} |", took.as_secs_f64(), records as f64 / took.as_secs_f64());
        Ok(())
    }

    /// Resident memory, in MiB.
    pub fn memory(&self) -> f64 {
        memory_of(self.child.id())
    }

    /// The share of a core that it takes when nobody asks for anything, in percent.
    pub async fn at_rest(&self) -> anyhow::Result<f64> {
        let before = processor_of(self.child.id())?;
        tokio::time::sleep(REST).await;
        Ok((processor_of(self.child.id())? - before) / REST.as_secs_f64() * 100.0)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long kcat takes to read the whole topic.
pub fn kcat_reads(kafka: &str, topic: &str) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let read = Command::new("kcat")
        .args(["-C", "-b", kafka, "-t", topic, "-o", "beginning", "-e", "-q"])
        .stdout(Stdio::null())
        .status()
        .context("kcat")?;
    if !read.success() {
        bail!("kcat ended with {read}");
    }
    Ok(started.elapsed())
}

fn memory_of(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Seconds of processor time since it started.
fn processor_of(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("stat")?.1.split(' ').collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}
