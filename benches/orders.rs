//! Orders through the whole saga, with every service in one process: `cargo bench --bench orders -- --kafka … --redis …`.
//! `benches/README.md` has the figures and what they mean.

mod common;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use clap::Parser;
use common::median;
use serde_json::json;
use uuid::Uuid;

/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The groups that an order goes through, all of which must have caught up before a run has ended.
const ORDERS: &str = "orders.v1";
const OUTCOMES: &str = "orders.outcome.v1";

/// Orders through the whole saga.
#[derive(Parser)]
#[command(name = "orders", max_term_width = 120)]
struct Args {
    /// The broker, `host:port`, with nothing else on it
    #[arg(long, env = "KBOARD_TEST_KAFKA")]
    kafka: String,
    /// The Redis that holds the states
    #[arg(long, env = "KBOARD_TEST_REDIS")]
    redis: String,
    /// Orders that wait in the topic when the services start
    #[arg(long, default_value_t = 50_000)]
    backlog: u64,
    /// Orders a second of the steady load
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// How long the steady load lasts
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How often all that is done; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only backlogs, so many one after the other, with nothing removed between them
    #[arg(long, conflicts_with = "rounds")]
    waves: Option<u64>,
    /// How long the services remember an order
    #[arg(long, default_value = "7d")]
    retention: String,
    // `cargo bench` adds it to the arguments of every bench program.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` and a bare `cargo bench` run this with nothing to do: no load without being asked.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("it needs a broker and a Redis: cargo bench --bench orders -- --kafka 127.0.0.1:9092 --redis …");
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&Args::parse()))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(waves) = args.waves {
        return run_waves(args, waves).await;
    }
    let (mut drained, mut steady) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let (place, mut outcomes) = Place::open(args, &round.to_string()).await?;
        drained.push(place.drain(&mut outcomes).await?);
        steady.push(place.steady(&mut outcomes).await?);
        place.remove()?;
    }
    println!("| | median of {} |\n|---|--:|", args.rounds);
    println!("| {} orders that waited, orders/s from the first outcome to the last | {:.0} |", args.backlog, {
        median(drained.iter().map(|drained| drained.rate))
    });
    println!("| processor time for them, µs an order | {:.0} |", median(drained.iter().map(|drained| drained.micros)));
    println!("| memory after them, MiB | {:.0} |", median(drained.iter().map(|drained| drained.memory)));
    println!("| at {} orders/s for {} s: placed to outcome read, p50, ms | {:.1} |", args.rate, args.seconds, {
        median(steady.iter().map(|steady| steady.at(0.5)))
    });
    println!("| p99, ms | {:.1} |", median(steady.iter().map(|steady| steady.at(0.99))));
    println!("| processor, % of a core | {:.0} |", median(steady.iter().map(|steady| steady.processor)));
    Ok(())
}

/// Whether an order costs as much after millions of others as the first did.
async fn run_waves(args: &Args, waves: u64) -> anyhow::Result<()> {
    let (place, mut outcomes) = Place::open(args, "waves").await?;
    println!("| orders so far | orders/s | kboard, µs an order | kboard, MiB | Redis, µs an order | Redis, MiB |");
    println!("|--:|--:|--:|--:|--:|--:|");
    for wave in 1..=waves {
        let before = redis_processor(args)?;
        let Drained { rate, micros, memory } = place.drain(&mut outcomes).await?;
        let redis = (redis_processor(args)? - before) * 1e6 / args.backlog as f64;
        let kept = redis_info(args, "used_memory")? / 1_048_576.0;
        println!("| {} | {rate:.0} | {micros:.0} | {memory:.0} | {redis:.0} | {kept:.0} |", wave * args.backlog);
    }
    place.remove()
}

/// Seconds of processor time of the thread of Redis that answers.
fn redis_processor(args: &Args) -> anyhow::Result<f64> {
    Ok(redis_info(args, "used_cpu_user_main_thread")? + redis_info(args, "used_cpu_sys_main_thread")?)
}

/// What Redis tells about itself.
fn redis_info(args: &Args, field: &str) -> anyhow::Result<f64> {
    let told =
        Command::new("redis-cli").args(["-u", &args.redis, "info", "everything"]).output().context("redis-cli")?;
    let told = String::from_utf8(told.stdout)?;
    let value = told.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.with_context(|| format!("{field} of Redis"))?.trim().parse()?)
}

/// What was measured of a backlog.
struct Drained {
    rate: f64,
    micros: f64,
    memory: f64,
}

/// What was measured under a steady load: milliseconds, sorted.
struct Steady {
    took: Vec<f64>,
    processor: f64,
}

impl Steady {
    fn at(&self, share: f64) -> f64 {
        self.took[(self.took.len() as f64 * share) as usize]
    }
}

/// A round's topics and states, apart from every other's.
struct Place<'a> {
    args: &'a Args,
    prefix: String,
}

impl<'a> Place<'a> {
    /// A new one, with its topics, and whoever waits for its outcomes.
    async fn open(args: &'a Args, name: &str) -> anyhow::Result<(Self, Outcomes)> {
        let place = Self { args, prefix: format!("bench-{}-{name}.", std::process::id()) };
        // Makes the topics, and keeps the switches.
        drop(Shop::start(&place).await?);
        let outcomes = Outcomes::follow(&place)?;
        Ok((place, outcomes))
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kboard"));
        command.args(arguments).args(["--kafka", &self.args.kafka, "--topic-prefix", &self.prefix]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Every service starts on a topic that is full.
    async fn drain(&self, outcomes: &mut Outcomes) -> anyhow::Result<Drained> {
        let count = self.args.backlog;
        self.produce(count, None)?.wait()?;
        let shop = Shop::start(self).await?;
        let before = shop.processor()?;
        let times: Vec<f64> = outcomes.next(count)?.into_values().collect();
        let (first, last) = times.iter().fold((f64::MAX, 0.0_f64), |(first, last), at| (first.min(*at), last.max(*at)));
        let used = shop.processor()? - before;
        Ok(Drained { rate: count as f64 / (last - first), micros: used * 1e6 / count as f64, memory: shop.memory() })
    }

    /// Orders come at a rate; each is timed from its record's timestamp to the moment its outcome was read.
    async fn steady(&self, outcomes: &mut Outcomes) -> anyhow::Result<Steady> {
        let shop = Shop::start(self).await?;
        let count = self.args.rate * self.args.seconds;
        let (before, started) = (shop.processor()?, Instant::now());
        let mut producer = self.produce(count, Some(self.args.rate))?;
        let ended = outcomes.next(count)?;
        let processor = (shop.processor()? - before) / started.elapsed().as_secs_f64() * 100.0;
        producer.wait()?;
        let placed = self.placed()?;
        let mut took: Vec<f64> = Vec::new();
        for (order, at) in placed {
            // The load of before stands in the topic too.
            if let Some(ended) = ended.get(&order) {
                took.push((ended - at) * 1000.0);
            }
        }
        ensure!(took.len() as u64 == count, "{} of {count} orders were timed", took.len());
        took.sort_by(f64::total_cmp);
        Ok(Steady { took, processor })
    }

    fn produce(&self, count: u64, rate: Option<u64>) -> anyhow::Result<Child> {
        let (count, rate) = (count.to_string(), rate.map(|rate| rate.to_string()));
        let mut command = self.command(&["produce", "--app", "orders", "--seed", "7", "--count", &count]);
        if let Some(rate) = &rate {
            command.args(["--rate", rate]);
        }
        Ok(command.stdout(Stdio::null()).spawn()?)
    }

    /// When each order was placed, in seconds since the epoch.
    fn placed(&self) -> anyhow::Result<Vec<(Uuid, f64)>> {
        let kcat = Command::new("kcat")
            .args(["-C", "-q", "-e", "-b", &self.args.kafka, "-t", &self.topic(ORDERS), "-o", "beginning"])
            .args(["-f", "%k %T\n"])
            .output()
            .context("kcat")?;
        ensure!(kcat.status.success(), "kcat ended with {}", kcat.status);
        let lines = String::from_utf8(kcat.stdout)?;
        let line = |line: &str| {
            let (order, at) = line.split_once(' ').context("a line of kcat")?;
            Ok((order.parse()?, at.parse::<f64>()? / 1000.0))
        };
        lines.lines().map(line).collect()
    }

    fn remove(&self) -> anyhow::Result<()> {
        let mut reset = self.command(&["reset", "--app", "orders", "--yes", "--redis", &self.args.redis]);
        let reset = reset.stdout(Stdio::null()).status()?;
        ensure!(reset.success(), "kboard reset ended with {reset}");
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Whoever waits for the outcomes: kcat, whose lines are stamped as they come.
struct Outcomes {
    kcat: Child,
    lines: BufReader<ChildStdout>,
    seen: HashSet<Uuid>,
}

impl Outcomes {
    fn follow(place: &Place<'_>) -> anyhow::Result<Self> {
        let mut kcat = Command::new("kcat")
            .args(["-C", "-u", "-q", "-b", &place.args.kafka, "-t", &place.topic(OUTCOMES), "-o", "beginning"])
            .args(["-f", "%k\n", "-X", "fetch.wait.max.ms=10"])
            .stdout(Stdio::piped())
            .spawn()
            .context("kcat")?;
        let lines = BufReader::new(kcat.stdout.take().context("a pipe")?);
        Ok(Self { kcat, lines, seen: HashSet::new() })
    }

    /// Waits for the outcomes of so many further orders; when each was read, in seconds since the epoch. An order that has
    /// two ends the run.
    fn next(&mut self, orders: u64) -> anyhow::Result<HashMap<Uuid, f64>> {
        let (mut read, mut line) = (HashMap::new(), String::new());
        while read.len() < orders as usize {
            line.clear();
            ensure!(self.lines.read_line(&mut line)? > 0, "kcat ended after {} outcomes", self.seen.len());
            let order = line.trim_end().parse()?;
            ensure!(self.seen.insert(order), "order {order} has two outcomes");
            read.insert(order, now());
        }
        Ok(read)
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        let _ = self.kcat.kill();
        let _ = self.kcat.wait();
    }
}

/// `kboard serve` of the orders, ended with this.
struct Shop(Child);

impl Shop {
    /// Starts it, and has nothing fail by chance.
    async fn start(place: &Place<'_>) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let Args { redis, retention, .. } = place.args;
        let serve = ["serve", "--apps", "orders", "--redis", redis, "--listen", &address];
        let shop = Self(place.command(&serve).args(["--state-retention", retention]).spawn()?);
        let (http, started) = (reqwest::Client::new(), Instant::now());
        let is_ready = async || {
            let answer = http.get(format!("http://{address}/readyz")).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        while !is_ready().await {
            ensure!(started.elapsed() < PATIENCE, "kboard serve is not ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let calm = json!({
            "payment_decline_chance": 0, "payment_unavailable_chance": 0, "inventory_failure_chance": 0,
            "stock_capacity": 1_000_000_000_u64,
        });
        let switches = http.put(format!("http://{address}/api/orders/switches")).json(&calm).send().await?;
        switches.error_for_status()?;
        Ok(shop)
    }

    /// Resident memory, in MiB.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }

    /// Seconds of processor time since it started.
    fn processor(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(") ").context("stat")?.1.split(' ').collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        let asked = pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok());
        if !asked {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
